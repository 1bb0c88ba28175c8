"""The command line: ``python -m fastnorm info``, ``demo`` and ``bench``."""

import argparse
import sys
from collections.abc import Sequence

from .. import __version__
from . import bench, demo, info
from .extras import MissingExtra

_DESCRIPTION = "Normalization of NumPy arrays: what runs here, a demonstration on real images, a comparison of speed."


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; each puts its function into ``run``."""
    top = argparse.ArgumentParser(prog="python -m fastnorm", description=_DESCRIPTION)
    top.add_argument("--version", action="version", version=f"fastnorm {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (info, demo, bench):
        command.add_command(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code: 0, or 1 if a check failed, or 2 if something is missing."""
    options = parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except (MissingExtra, OSError) as error:
        print(f"python -m fastnorm: {error}", file=sys.stderr)
        return 2
    return code
