"""``python -m fastnorm``: what info prints, where the other commands went, and what is installed with the package."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import fastnorm as fn
from fastnorm import _core
from fastnorm.__main__ import main


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What ``python -m fastnorm`` does in a fresh interpreter."""
    command = [sys.executable, "-W", "error", "-m", "fastnorm", *arguments]
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
    assert list(report) == ["versions", "SIMD", "threads", "caches", "build"]
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


def test_the_least_limit_of_threads_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTNORM_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    limits = _core.thread_limits()
    assert list(limits) == ["FASTNORM_NUM_THREADS", "affinity", "cgroup_quota", "OMP_NUM_THREADS"]
    assert limits["FASTNORM_NUM_THREADS"] is limits["OMP_NUM_THREADS"] is None
    assert _core.default_num_threads() == min(n for n in limits.values() if n)
    if hasattr(os, "sched_getaffinity"):
        assert limits["affinity"] == len(os.sched_getaffinity(0))
    monkeypatch.setenv("OMP_NUM_THREADS", "1,2")
    assert _core.thread_limits()["OMP_NUM_THREADS"] == _core.default_num_threads() == 1
    monkeypatch.setenv("FASTNORM_NUM_THREADS", "77")
    assert _core.thread_limits()["FASTNORM_NUM_THREADS"] == _core.default_num_threads() == 77


# ---- the command line ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [[], ["info"]])
def test_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([*command, "--help"])
    assert len(capsys.readouterr().out.splitlines()) > 4


@pytest.mark.parametrize(
    ("command", "told"),
    [("demo", "make demo, or python examples/demo"), ("bench", "make bench-quick, or python")],
)
@pytest.mark.parametrize("options", [[], ["--quick", "--output", "x.png"], ["--help"]])
def test_commands_that_moved_say_where(
    command: str, told: str, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, *options]) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert (captured.out, len(captured.err.splitlines())) == ("", 1)


def test_nonsense_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["transmogrify"], ["info", "--loud"]):
        with pytest.raises(SystemExit, match="2"):
            main(arguments)
        assert "usage: python -m fastnorm" in capsys.readouterr().err


# ---- what is installed -----------------------------------------------------------------------------------------------

RUNTIME = {"_validate", "nn", "reference"}
# Modules for other packages are named like them, and are the only ones that import them.
PEERS = {"autograd", "dask", "distributed", "jax", "keras", "onnx", "sklearn", "torch"}
OPTIONAL = (*(PEERS - {"distributed"}), "matplotlib", "rich", "pytest", "onnxruntime")


def test_the_wheel_holds_what_runs_in_production() -> None:
    files = importlib.metadata.files("fastnorm-simd") or []
    inside = [file for file in files if file.suffix in (".py", ".pyi", ".so", ".pyd") or file.name == "py.typed"]
    assert {file.parts[0] for file in inside} == {"fastnorm"}
    assert {file.parts[1] for file in inside if len(file.parts) > 2} - PEERS == RUNTIME
    sources = [file for file in inside if file.suffix == ".py" and file.parts[1].removesuffix(".py") not in PEERS]
    assert len(sources) > 30
    for source in sources:
        imported = re.findall(r"^\s*(?:from|import) (\w+)", source.read_text(encoding="utf-8"), re.MULTILINE)
        assert not {*imported} & {*OPTIONAL}, source


def test_the_import_of_fastnorm_brings_no_command_line() -> None:
    code = "import sys, fastnorm; print({'fastnorm._info', 'argparse'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout == "set()\n"
