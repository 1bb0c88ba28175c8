"""The command line: what info, demo and bench print, the picture, and what they say where something is missing."""

import contextlib
import io
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
from fastnorm.cli.peers import Fastnorm as Ours
from fastnorm.cli.problems import Problem, normalization, weights, whitening
from fastnorm.cli.shapes import COMPARED

# The layouts in which the demonstration shows every operation both ways.
LAYOUTS = {
    "batch norm": ("NCHW", "NHWC"),
    "instance norm": ("NCHW", "NHWC"),
    "group norm": ("NCHW", "NHWC"),
    "layer norm": ("NCL", "NLC"),
    "RMS norm": ("NCL", "NLC"),
    "weight norm": ("OIHW", "HWIO"),
    "weight standardization": ("OIHW", "HWIO"),
    "batch whitening, ZCA": ("NCHW", "NHWC"),
    "batch whitening, Cholesky": ("NCHW", "NHWC"),
}
FITTED = ("whitening, ZCA", "whitening, Cholesky")


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
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the reduced demonstration prints, and its picture."""
    picture, text = tmp_path_factory.mktemp("demo") / "picture.png", io.StringIO()
    with contextlib.redirect_stdout(text):
        assert main(["demo", "--quick", "--output", str(picture)]) == 0
    return text.getvalue(), picture


def rows(text: str) -> list[str]:
    """The lines of the table that end with a ratio."""
    return [line for line in text.splitlines() if re.search(r"\d+\.\dx *$", line)]


def test_the_demo_runs_every_operation_both_ways_in_both_orders(demo: tuple[str, Path]) -> None:
    lines, title = [], ""
    for line in rows(demo[0]):
        title = next((op for op in (*LAYOUTS, *FITTED) if line.strip().startswith(op)), title)
        lines.append((title, line))
    for op, layouts in LAYOUTS.items():
        for layout in layouts:
            for direction in ("forward", "backward"):
                assert any(title == op and layout in line and direction in line for title, line in lines)
    for op in FITTED:
        assert any(title == op and "fit, map" in line for title, line in lines)
    assert "photographs" in demo[0]
    assert "digits" in demo[0]
    assert f"{len(lines)} of {len(lines)} within the limits" in demo[0]


def test_the_demo_tells_errors_limits_and_times(demo: tuple[str, Path]) -> None:
    for line in rows(demo[0]):
        found = re.search(r"(\w+) (\d+\.\d\d) / +(\d+) ", line)
        assert found
        name, error, limit = found.groups()
        assert accuracy.LIMITS[name] == float(limit)
        assert 0 < float(error) <= float(limit)
        times = re.findall(r"(\d+\.?\d*) (s|ms|µs)\b", line)
        assert len(times) == (2 if fn.get_num_threads() == 1 else 3)
        assert all(float(value) > 0 for value, _ in times)


def test_the_picture_is_one(demo: tuple[str, Path]) -> None:
    image = pytest.importorskip("matplotlib.image")
    assert demo[1].read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    pixels = image.imread(demo[1])[..., :3]
    assert min(pixels.shape[:2]) > 600
    assert len(np.unique((pixels * 255).astype(np.uint8).reshape(-1, 3), axis=0)) > 5000  # photographs
    assert 0.2 < (pixels.min(axis=-1) < 0.98).mean() < 0.95  # neither empty nor full
    colourful = np.ptp(pixels, axis=-1) > 0.2
    assert colourful[: len(pixels) // 2].mean() > 0.02


def test_the_demo_fails_beyond_a_limit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(accuracy.LIMITS, "dbias", 1e-9)  # type: ignore[index]
    assert main(["demo", "--quick", "--no-picture"]) == 1
    done, all_ = map(int, re.findall(r"(\d+) of (\d+) within", capsys.readouterr().out)[0])
    assert 0 < done < all_


def test_a_picture_that_cannot_be_written_is_told_at_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["demo", "--quick", "--output", str(tmp_path / "missing" / "picture.png")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "missing" in captured.err
    assert len(captured.err.splitlines()) == 1


# ---- what is missing -------------------------------------------------------------------------------------------------


@pytest.mark.nosanitize
@pytest.mark.parametrize(
    ("module", "package", "command"),
    [
        ("sklearn", "scikit-learn", "demo"),
        ("matplotlib", "matplotlib", "demo"),
        ("rich", "rich", "demo"),
        ("rich", "rich", "bench"),
    ],
)
def test_a_missing_package_is_one_line(module: str, package: str, command: str) -> None:
    code = f"import sys; sys.modules['{module}'] = None; from fastnorm.cli import main; sys.exit(main(['{command}']))"
    done = run(code=code)
    message = f'python -m fastnorm: {command} needs {package}: pip install "fastnorm-simd[demo]"\n'
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)


@pytest.mark.nosanitize
def test_info_needs_nothing() -> None:
    code = "import sys; sys.modules['rich'] = None; from fastnorm.cli import main; sys.exit(main(['info']))"
    assert run(code=code).returncode == 0


def test_the_import_of_fastnorm_brings_no_command_line() -> None:
    code = "import sys, fastnorm; print('fastnorm.cli' in sys.modules)"
    assert run(code=code).stdout == "False\n"


@pytest.mark.parametrize("command", [[], ["info"], ["demo"], ["bench"]])
def test_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([*command, "--help"])
    assert len(capsys.readouterr().out.splitlines()) > 4


def test_nonsense_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["transmogrify"], ["bench", "--threads", "0"], ["bench", "--rounds", "many"]):
        with pytest.raises(SystemExit, match="2"):
            main(arguments)
        assert "usage: python -m fastnorm" in capsys.readouterr().err


# ---- bench -----------------------------------------------------------------------------------------------------------


@pytest.mark.nosanitize
def test_bench_compares(tmp_path: Path) -> None:
    file = tmp_path / "times.json"
    done = run("bench", "--only", "one token", "--rounds", "2", "--json", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert "BERT, one token" in done.stdout
    assert re.search(r"NumPy takes \d+\.\d times as long", done.stdout)
    record = json.loads(file.read_text())
    (case,) = record["cases"]
    assert case["shape"] == [1, 768]
    assert {"fastnorm", "fastnorm, out=", "NumPy", "copy"} <= set(case["seconds"])
    assert all(len(times) == 2 and min(times) > 0 for times in case["seconds"].values())
    assert case["wrong"] == []


def test_bench_has_a_dozen_shapes_of_every_operation() -> None:
    assert 12 <= len(COMPARED) <= 16
    assert {shape.op for shape in COMPARED} == {
        "batch_norm",
        "layer_norm",
        "rms_norm",
        "group_norm",
        "instance_norm",
    }
    assert len({shape.name for shape in COMPARED}) == len(COMPARED)


def test_a_wrong_answer_is_not_timed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def off(self: object, problem: Problem, threads: int) -> Candidate:
        return Candidate(problem.call(plain_numpy), lambda y: y + 1)

    monkeypatch.setattr(NumPy, "candidate", off)
    monkeypatch.setattr("fastnorm.cli.bench.available", lambda: [Ours(), NumPy()])
    before = fn.get_num_threads()
    assert main(["bench", "--only", "one token", "--rounds", "1", "--threads", "1"]) == 1
    assert "NumPy does not agree with the reference: BERT-one-token" in capsys.readouterr().out
    assert fn.get_num_threads() == before


def test_the_copy_moves_the_bytes_of_the_problem() -> None:
    problem = normalization("layer_norm", "backward", "MD", np.ones((64, 1000), np.float32))
    copy = same_bytes(problem)
    source, target = copy.args  # type: ignore[attr-defined]
    copy()
    assert source.nbytes + target.nbytes == 3 * problem.data.nbytes
    assert np.array_equal(source, target)


# ---- the plain NumPy code --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["inference", "forward", "backward"])
@pytest.mark.parametrize(
    ("op", "options"),
    [
        ("batch_norm", {"axis": 1}),
        ("batch_norm", {"axis": -1}),
        ("layer_norm", {"axis": -1}),
        ("layer_norm", {"axis": (1, 3)}),
        ("rms_norm", {"axis": 1}),
        ("group_norm", {"num_groups": 3, "axis": 1}),
        ("group_norm", {"num_groups": 2, "axis": -1}),
        ("instance_norm", {"axis": 1}),
        ("instance_norm", {"axis": -1}),
    ],
)
def test_the_plain_numpy_code_and_fastnorm_agree(op: str, options: dict[str, int], direction: str) -> None:
    x = np.random.default_rng(5).normal(3, 2, size=(4, 6, 5, 4))
    for dtype in (np.float32, np.float64):
        problem = normalization(op, direction, "", x.astype(dtype), **options)
        judge = problem.judge()
        assert accuracy.within_limits(judge.errors(problem.call(fn)()))
        errors = judge.errors(problem.call(plain_numpy)())
        assert max(errors.values()) < 100
        assert next(iter(errors)) == ("dx" if direction == "backward" else "y")


@pytest.mark.parametrize("direction", ["inference", "forward", "backward"])
@pytest.mark.parametrize("op", ["weight_norm", "weight_standardization"])
@pytest.mark.parametrize("axis", [0, -1])
def test_the_plain_numpy_code_and_fastnorm_agree_on_weights(op: str, axis: int, direction: str) -> None:
    w = np.random.default_rng(5).normal(0.5, 2, size=(6, 5, 4, 4))
    for dtype in (np.float32, np.float64):
        problem = weights(op, direction, "", w.astype(dtype), axis=axis)
        judge = problem.judge()
        assert accuracy.within_limits(judge.errors(problem.call(fn)()))
        errors = judge.errors(problem.call(plain_numpy)())
        assert max(errors.values()) < 100
        assert len(errors) == (1 if direction == "inference" else 2)


@pytest.mark.parametrize("method", ["zca", "cholesky"])
def test_the_plain_numpy_code_and_fastnorm_agree_on_whitening(method: str) -> None:
    rng = np.random.default_rng(5)
    table, x = rng.normal(3, 2, size=(200, 12)).astype("f4"), rng.normal(3, 2, size=(4, 6, 5, 8)).astype("f4")
    problems = [whitening("whiten", "fit, map", "NC", table, method=method, eps=0.1)]
    for direction in ("forward", "backward"):
        for axis, groups in ((1, 2), (-1, 4), (1, 6)):
            options = {"axis": axis, "groups": groups, "method": method}
            problems.append(whitening("batch_whitening", direction, "", x, **options))
    for problem in problems:
        judge = problem.judge()
        assert accuracy.within_limits(judge.errors(problem.call(fn)()))
        errors = judge.errors(problem.call(plain_numpy)())
        assert max(errors.values()) < 100
        assert list(errors) == (["dz", "dweight", "dbias"] if problem.direction == "backward" else ["z"])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    "op", ["batch_norm", "layer_norm", "rms_norm", "instance_norm", "weight_norm", "weight_standardization"]
)
def test_the_rounding_to_16_bits_is_no_error(op: str, dtype: str) -> None:
    found = pytest.importorskip("ml_dtypes").bfloat16 if dtype == "bfloat16" else np.float16
    x = np.random.default_rng(5).normal(3, 2, size=(20, 12, 30)).astype(found)
    make = weights if op.startswith("weight_") else normalization
    for direction in ("inference", "forward", "backward"):
        problem = make(op, direction, "", x, axis=1)
        judge, call = problem.judge(), problem.call(fn)
        assert accuracy.within_limits(judge.errors(call()))
        assert max(judge.errors(problem.call(plain_numpy)()).values()) < 100
        result = call() if direction != "inference" else (call(),)
        off = [np.nextafter(a, found(0)) if a is not None and a.itemsize == 2 else a for a in result]
        changed = off[0] if direction == "inference" else type(result)(*off)
        assert not accuracy.within_limits(judge.errors(changed))


def test_the_judge_sees_what_is_wrong() -> None:
    problem = normalization("layer_norm", "inference", "MD", np.random.default_rng(6).normal(size=(3, 50)).astype("f4"))
    judge, y = problem.judge(), problem.call(fn)()
    assert judge.errors(y)["y"] < 8
    assert judge.errors(y * np.float32(1 + 1e-5))["y"] > 8
    y[1, 2] = np.nan
    assert judge.errors(y)["y"] == np.inf
