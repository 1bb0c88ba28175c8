"""The examples of the docstrings run and print what they say."""

import doctest
import importlib
import pkgutil

import pytest

import fastnorm as fn
from peer_packages import PEERS

# Modules for other packages are in tests/peers.
SKIPPED = ("fastnorm._core", "fastnorm.__main__", *(f"fastnorm.{name}" for name in PEERS))
MODULES = [m.name for m in pkgutil.walk_packages(fn.__path__, "fastnorm.") if not m.name.startswith(SKIPPED)]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    target = fn.simd_target()
    failed, _ = doctest.testmod(importlib.import_module(name))
    fn.set_simd_target(target)
    assert failed == 0


def test_every_function_has_an_example() -> None:
    functions = [value for name in fn.__all__ if callable(value := getattr(fn, name)) and name.islower()]
    without = {f.__name__ for f in functions if ">>>" not in (f.__doc__ or "")}
    assert without <= {"set_num_threads", "simd_target", "simd_targets"}
