"""The command line: ``python -m fastnorm info`` prints what runs here."""

import argparse
import sys
from collections.abc import Sequence

from . import __version__, _info

# What earlier versions had, and where it is now.
_MOVED = {
    "demo": "the demonstration is a program of the source repository: make demo, or python examples/demo",
    "bench": "the benchmarks are programs of the source repository: make bench-quick, or python bench/run.py",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code: 0, or 2 for a command that is no longer here."""
    top = argparse.ArgumentParser(prog="python -m fastnorm", description="Normalization of NumPy arrays.")
    top.add_argument("--version", action="version", version=f"fastnorm {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _info.add_command(commands)
    for name in _MOVED:
        commands.add_parser(name, add_help=False).set_defaults(moved=name)
    options, rest = top.parse_known_args(arguments)
    moved = getattr(options, "moved", None)
    if moved:
        print(f"python -m fastnorm {moved}: {_MOVED[moved]}", file=sys.stderr)
        return 2
    if rest:
        top.error(f"unrecognized arguments: {' '.join(rest)}")
    code: int = options.run(options)
    return code


if __name__ == "__main__":
    sys.exit(main())
