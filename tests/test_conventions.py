"""docs/conventions.md: each row's code gives what its library computes, and every row is compared."""

import importlib
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnorm as fn
from conventions import formulas
from conventions.case import Case

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "conventions.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="no checkout")

# The modules with the functions, by how their names begin.
MODULES = {"torch": "torch", "llama": "torch", "gemma": "torch", "onnx": "onnx", "onnxruntime": "onnx"}
CHILDREN = ("keras", "flax", "timm")
# What float32 leaves of eight digits, in results of the size of one and sums of some dozen.
SINGLE = 2e-5


def rows() -> dict[str, str]:
    """The code of every row, by the name of its test."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    return {name: code for code, name in re.findall(r"^\|.*\| `([^`]+)` \| `(\w+)` \|$", text, re.MULTILINE)}


ROWS = rows()


def library(name: str) -> str:
    return name.partition("_")[0]


def case(name: str) -> Case:
    """What the library computes; skips if it is not installed."""
    module = MODULES.get(library(name))
    if module is None:
        return getattr(formulas, name)()
    pytest.importorskip(module)
    if library(name) == "onnxruntime":
        pytest.importorskip("onnxruntime")
    return getattr(importlib.import_module(f"conventions.of_{module}"), name)()


def run(code: str, given: Any) -> dict[str, np.ndarray]:
    """The results of a row's code: y, the fields of what a forward returns, and the buffers that it updated."""
    names = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in given.items()}
    result = eval(code, {"fn": fn, "np": np} | names)
    return names | ({"y": result} if isinstance(result, np.ndarray) else result._asdict())


@pytest.mark.parametrize("name", ROWS)
def test_row(name: str) -> None:
    this = case(name)
    got = run(ROWS[name], this.given)
    for key, value in this.expected.items():
        expected = value.detach().numpy() if hasattr(value, "detach") else value
        if this.same_bits:
            # Not all: the peer's float32 before the last rounding may be another one, which rarely tips the balance.
            assert got[key].dtype == expected.dtype == np.float16
            assert (got[key] == expected).mean() > 0.999
            assert (run(this.near, this.given)[key] == expected).mean() < 0.9
        else:
            np.testing.assert_allclose(got[key], expected, rtol=0, atol=this.tolerance * np.abs(expected).max())


@cache
def by_itself(peer: str, directory: Path) -> Any:
    """The results of a library's own layers; None without it."""
    path = directory / f"{peer}.npz"
    command = [sys.executable, "-m", "conventions.layers", peer, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=TESTS)
    if done.returncode and re.search(r"^ModuleNotFoundError", done.stderr, re.MULTILINE):
        return None
    assert done.returncode == 0, done.stderr
    with np.load(path) as results:
        return dict(results)


@pytest.mark.slow
@pytest.mark.nosanitize
@pytest.mark.parametrize("name", [name for name in ROWS if library(name) in CHILDREN])
def test_row_against_the_layer_itself(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    peer = library(name)
    results = by_itself(peer, tmp_path_factory.getbasetemp())
    if results is None:
        pytest.skip(f"{peer} is not installed")
    this = case(name)
    got = run(ROWS[name], this.given)
    for key in this.expected:
        expected = results[f"{name}/{key}"]
        np.testing.assert_allclose(got[key], expected, rtol=0, atol=SINGLE * np.abs(expected).max())


def test_every_row_has_its_function_and_every_function_its_row() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (TESTS / "conventions").glob("*.py"))
    functions = re.findall(r"^def ([a-z]\w*)\(\) -> Case:$", sources, re.MULTILINE)
    assert sorted(functions) == sorted(ROWS)
    # Every line of a table whose last column is a test has been read.
    assert len(ROWS) == len(re.findall(r"`[a-z]\w*` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
