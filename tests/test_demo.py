"""The demonstration: what it prints, its picture, and what it says where something is missing."""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnorm as fn

pytest.importorskip("matplotlib")
pytest.importorskip("rich")
pytest.importorskip("sklearn")

from demo.command import main
from judge import THRESHOLDS

PROGRAM = Path(__file__).parents[1] / "examples" / "demo"

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


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the reduced demonstration prints, and its picture."""
    picture, text = tmp_path_factory.mktemp("demo") / "picture.png", io.StringIO()
    with contextlib.redirect_stdout(text):
        assert main(["--quick", "--output", str(picture)]) == 0
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
        assert THRESHOLDS[name] == float(limit)
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
    monkeypatch.setitem(THRESHOLDS, "dbias", 1e-9)  # type: ignore[index]
    assert main(["--quick", "--no-picture"]) == 1
    done, all_ = map(int, re.findall(r"(\d+) of (\d+) within", capsys.readouterr().out)[0])
    assert 0 < done < all_


def test_a_picture_that_cannot_be_written_is_told_at_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--quick", "--output", str(tmp_path / "missing" / "picture.png")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "missing" in captured.err
    assert len(captured.err.splitlines()) == 1


@pytest.mark.nosanitize
@pytest.mark.parametrize("module", ["sklearn", "matplotlib", "rich"])
def test_a_missing_package_is_one_line(module: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.modules['{module}'] = None\n")
    command, environment = [sys.executable, str(PROGRAM), "--help"], {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert module in done.stderr
    assert "pip install '.[demo]'" in done.stderr


@pytest.mark.nosanitize
def test_it_runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, str(PROGRAM), "--help"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0
    assert "usage: python examples/demo" in done.stdout
