"""Docstrings: their examples run and print what they say, and each has the parts that numpydoc asks for."""

import doctest
import importlib
import pkgutil

import pytest

import fastnorm as fn
from docstring_parts import missing_parts
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


@pytest.mark.parametrize("module", ["fastnorm", "fastnorm.nn", "fastnorm.distributed"])
def test_every_part_is_there(module: str) -> None:
    assert missing_parts(module) == []


# Formula and source stand where the operation itself is described; its other passes refer to it.
FORMULAS = (
    *("batch_norm", "layer_norm", "rms_norm", "l2_normalize", "group_norm", "instance_norm", "weight_norm"),
    *("weight_standardization", "batch_whitening", "fit_whitening", "add_layer_norm", "add_rms_norm"),
)


@pytest.mark.parametrize("name", FORMULAS)
def test_an_operation_has_its_formula(name: str) -> None:
    assert "``" in (getattr(fn, name).__doc__ or "").partition("Parameters")[0]


@pytest.mark.parametrize("name", [name for name in FORMULAS if name not in ("l2_normalize", "instance_norm")])
def test_an_operation_has_its_source(name: str) -> None:
    """Itself, or in the form for training, or in the norm that it is made of."""
    family = (name, f"{name}_forward", name.removeprefix("add_"))
    texts = [getattr(fn, each).__doc__ or "" for each in family if hasattr(fn, each)]
    assert any("https://arxiv.org/" in text or "https://doi.org/" in text for text in texts)
