"""``python -m fastnorm info``: what runs here, and why. Needs nothing but NumPy."""

import argparse
import json
import sys
from typing import Any, cast

import numpy as np

from .. import runtime
from .limits import thread_limits

_HELP = "version, SIMD targets, threads and what limits them, OpenMP, compiler"


def add_command(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser("info", help=_HELP, description=f"Print {_HELP}.")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines of text")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the report."""
    report = facts()
    if options.json:
        print(json.dumps(report, indent=2))
        return 0
    width = max(len(name) for section in report.values() for name in section)
    for title, section in report.items():
        print(title)
        for name, value in section.items():
            print(f"  {name:<{width}}  {value}")
    return 0


def facts() -> dict[str, dict[str, str]]:
    """Return the report: sections by title, each with lines by name."""
    config = cast("dict[str, dict[str, Any]]", runtime.show_config(mode="dicts"))
    versions, simd, build = config["versions"], config["simd"], config["build"]
    return {
        f"fastnorm {versions['fastnorm']}": {
            "NumPy": np.__version__,
            "Python": versions["python"],
            "platform": versions["platform"],
            "installed in": str(__import__("fastnorm").__path__[0]),
        },
        "SIMD": {
            "target in use": f"{simd['target']} ({_why_target(simd)})",
            "targets that run here": ", ".join(simd["targets"]),
        },
        "threads": {
            "in use": str(config["threads"]["in use"]),
            **{limit.name: _describe(limit.threads, limit.decides) for limit in thread_limits()},
        },
        "build": {"compiler": build["compiler"], "OpenMP": _openmp(build["openmp"])},
    }


def _why_target(simd: dict[str, Any]) -> str:
    wanted = config_variable("FASTNORM_SIMD_TARGET")
    if wanted == simd["target"]:
        return "FASTNORM_SIMD_TARGET asks for it"
    best = "the best of those that run here" if simd["target"] == simd["targets"][0] else "set by the program"
    return f"{best}; FASTNORM_SIMD_TARGET={wanted} is not one of them" if wanted else best


def config_variable(name: str) -> str:
    """Return an environment variable, empty if not set."""
    import os

    return os.environ.get(name, "")


def _describe(threads: int | None, decides: bool) -> str:
    return ("not set" if threads is None else str(threads)) + (" <- decides" if decides else "")


def _openmp(version: str) -> str:
    """Name the runtime after the specification date it was built with."""
    if version in ("", "0", "no"):
        return "no: every call runs on the calling thread"
    names = {"201511": "4.5", "201811": "5.0", "202011": "5.1", "202111": "5.2"}
    return f"{names.get(version, '')} ({version})".strip()


if __name__ == "__main__":
    sys.exit(run(argparse.Namespace(json=False)))
