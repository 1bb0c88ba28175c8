"""The command line: what info, demo and bench print, the picture, and what they say where something is missing."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnorm as fn
from fastnorm.cli import accuracy, main, plain_numpy
from fastnorm.cli.bandwidth import same_bytes
from fastnorm.cli.limits import thread_limits
from fastnorm.cli.peers import Candidate, NumPy
from fastnorm.cli.problems import Problem, normalization
from fastnorm.cli.shapes import COMPARED

OPERATIONS = ("batch norm", "instance norm", "group norm", "layer norm", "RMS norm")


def run(*arguments: str, code: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """What ``python -m fastnorm`` or a line of code does in a fresh interpreter."""
    command = [sys.executable, "-W", "error", *(("-c", code) if code else ("-m", "fastnorm")), *arguments]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300)


# ---- info ------------------------------------------------------------------------------------------------------------


def test_info_tells_what_runs_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    for fact in (fn.__version__, np.__version__, fn.simd_target(), ", ".join(fn.simd_targets()), "OpenMP", "compiler"):
        assert fact in out
    assert re.search(rf"in use +{fn.get_num_threads()}\n", out)


def test_info_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert list(report) == ["versions", "SIMD", "threads", "build"]
    assert report["threads"]["in use"] == str(fn.get_num_threads())


@pytest.mark.nosanitize
def test_info_says_what_decides_the_number_of_threads() -> None:
    out = run("info", FASTNORM_NUM_THREADS="3", OMP_NUM_THREADS="1").stdout
    assert re.search(r"in use +3\n", out)
    assert re.search(r"FASTNORM_NUM_THREADS +3  <- decides\n", out)
    assert out.count("<- decides") == 1
    out = run("info", FASTNORM_NUM_THREADS="", OMP_NUM_THREADS="1,2").stdout
    assert re.search(r"in use +1\n", out)
    assert out.count("<- decides") == 1


@pytest.mark.nosanitize
def test_info_says_why_the_target() -> None:
    last = fn.simd_targets()[-1]
    assert f"{last}, which FASTNORM_SIMD_TARGET asks for" in run("info", FASTNORM_SIMD_TARGET=last).stdout
    assert "the best of those that run here" in run("info", FASTNORM_SIMD_TARGET="").stdout


def test_one_limit_decides() -> None:
    assert sum(limit.decides for limit in thread_limits()) == 1


# ---- demo ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "picture.png"


@pytest.fixture(scope="module")
def demo(picture: Path, request: pytest.FixtureRequest) -> str:
    """What the reduced demonstration prints."""
    capture = request.getfixturevalue("capsys_of_module")
    assert main(["demo", "--quick", "--output", str(picture)]) == 0
    out: str = capture()
    return out


@pytest.fixture(scope="module")
def capsys_of_module() -> "object":
    import contextlib
    import io

    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        yield text.getvalue
