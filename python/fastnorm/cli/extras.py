"""Packages that fastnorm does not need but its commands do: imported at use, missed with a helpful line."""

import importlib
from types import ModuleType


class MissingExtra(Exception):
    """An optional package that a command needs is not installed."""


def require(command: str, module: str, package: str) -> ModuleType:
    """Import a module of the extra ``demo``.

    Parameters
    ----------
    command : str
        Who needs it, for the message.
    module, package : str
        Name of the module and of what pip installs.

    Raises
    ------
    MissingExtra
        If it is not installed; the text is one line that says how to get it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != module.partition(".")[0]:
            raise  # it is there, and broken
        raise MissingExtra(f'{command} needs {package}: pip install "fastnorm-simd[demo]"') from None


def installed(module: str) -> bool:
    """Say whether a module can be imported."""
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True
