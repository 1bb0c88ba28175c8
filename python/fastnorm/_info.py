"""``python -m fastnorm info``: what runs here, and why. Needs nothing but NumPy."""

import argparse
import json
import os
import re
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from . import _core, runtime

_LIMITS: Final = {"affinity": "processors of this process (affinity)", "cgroup_quota": "cgroup CPU quota"}
_HELP = "version, SIMD targets, threads and what limits them, OpenMP, compiler"
_OPENMP = {"201511": "4.5", "201811": "5.0", "202011": "5.1", "202111": "5.2", "202411": "6.0"}


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
        "versions": {
            "fastnorm": f"{versions['fastnorm']} in {Path(__file__).parent}",
            "NumPy": np.__version__,
            "Python": f"{versions['python']} on {versions['platform']}",
        },
        "SIMD": {
            "target in use": f"{simd['target']}, {_why_target(simd['target'], simd['targets'])}",
            "targets that run here": ", ".join(simd["targets"]),
        },
        "threads": {
            "in use": str(config["threads"]["in use"]),
            **_thread_limits(),
        },
        "caches": config["caches"],
        "build": {
            "compiler": build["compiler"],
            "OpenMP": _openmp(build["openmp"]),
        },
    }


def _why_target(target: str, targets: list[str]) -> str:
    wanted = os.environ.get("FASTNORM_SIMD_TARGET", "")
    if wanted.lower() == target.lower():
        return "which FASTNORM_SIMD_TARGET asks for"
    if target != targets[0]:
        return "which the program has set"
    return "the best of those that run here" + (f" (there is no {wanted} as FASTNORM_SIMD_TARGET asks)" * bool(wanted))


def _thread_limits() -> dict[str, str]:
    """Return the limits by name, the one that decides marked: the first that is as low as the default."""
    limits, default = _core.thread_limits(), _core.default_num_threads()
    decides = next(name for name, threads in limits.items() if threads == default)
    return {
        _LIMITS.get(name, name): f"{threads or 'none'}{'  <- decides' * (name == decides)}"
        for name, threads in limits.items()
    }


def _openmp(version: str) -> str:
    """Name version and runtime, after the specification's date that the library was built with."""
    if not version.isdecimal() or version == "0":
        return "not used: the library has threads of its own"
    return ", ".join([f"{_OPENMP.get(version, 'of')} ({version})", *_openmp_runtimes()])


def _openmp_runtimes() -> list[str]:
    """Return the OpenMP libraries that this process has loaded; two of them share the processors badly."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return sorted(set(re.findall(r"\S*/lib(?:g|i|)omp[^/\s]*\.so[^/\s]*", maps)))
