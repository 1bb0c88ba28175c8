"""Packages that one module of fastnorm stands on and the rest does not need."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needs(package: str, *, extra: str) -> Iterator[None]:
    """Tell which extra to install if the import in the body does not find its package.

    Parameters
    ----------
    package : str
        The package by its name on PyPI.
    extra : str
        Both the module of fastnorm that needs it and the extra that brings it.

    Raises
    ------
    ImportError
        If a module of the import's own package is not there. One that is there and broken raises as it does.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("fastnorm"):
            raise
        text = f'fastnorm.{extra} needs {package}: pip install "fastnorm-simd[{extra}]"'
        raise ImportError(text, name=error.name) from error
