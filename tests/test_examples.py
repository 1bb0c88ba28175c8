"""The examples: each runs in its short form, prints its table and writes a picture with something in it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
PATIENCE = 300  # seconds: on a busy machine
NORMALIZATIONS = (
    "batch norm",
    "layer norm",
    "RMS norm",
    "group norm",
    "instance norm",
    "weight norm",
    "weight standardization",
    "batch whitening",
)
WHITENINGS = ("pca", "zca", "cholesky", "cholesky-prec", "zca-cor", "pca-cor")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.nosanitize,
    pytest.mark.skipif(not EXAMPLES.exists(), reason="no checkout"),
]


def run(example: str, picture: Path) -> str:
    """What an example prints; warnings are errors."""
    pytest.importorskip("matplotlib")
    pytest.importorskip("rich")
    pytest.importorskip("sklearn")
    command = [sys.executable, "-W", "error", str(EXAMPLES / example), "--quick", "--output", str(picture)]
    environment = {**os.environ, "COLUMNS": "120", "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=environment, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


def cells(text: str, title: str) -> list[str]:
    """The numbers in a line of the table."""
    (line,) = re.findall(rf"^ +{re.escape(title)} {{2,}}(.*)$", text, re.MULTILINE)
    return re.findall(r"\d[\d.e+-]*", line)


def check_picture(path: Path) -> None:
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    pixels = pytest.importorskip("matplotlib.image").imread(path)[..., :3]
    assert min(pixels.shape[:2]) > 800
    assert 0.05 < (pixels.min(axis=-1) < 0.98).mean() < 0.95  # neither empty nor full
    assert len(np.unique((pixels * 255).astype(np.uint8).reshape(-1, 3), axis=0)) > 200
    for part in np.array_split(pixels, 4):
        assert part.std() > 0.05


def test_digits(tmp_path: Path) -> None:
    text = run("train_digits.py", tmp_path / "digits.png")
    accuracies = {title: float(cells(text, title)[0]) for title in ("none", *NORMALIZATIONS)}
    assert all(75 < accuracy <= 100 for accuracy in accuracies.values()), "at the moderate learning rate all learn"
    assert all(float(cells(text, title)[-1]) > 0 for title in NORMALIZATIONS)
    grown = re.findall(r"has grown to (\S+) and (\S+) of", text)
    assert all(float(ratio) > 1 for ratio in grown[0])
    found = re.search(r"none (\S+), batch norm (\S+), batch whitening (\S+)", " ".join(text.split()))
    assert found
    none, batch_norm, whitening = map(float, found.groups())
    assert whitening < 0.5 * min(none, batch_norm)
    check_picture(tmp_path / "digits.png")


def test_whitening_of_images(tmp_path: Path) -> None:
    text = run("whiten_images.py", tmp_path / "images.png")
    for title in (*WHITENINGS, "zca, 8 parts"):
        off, error, similarity, *times = map(float, cells(text, title))
        assert off < 1e-9
        assert error < 1e-11
        assert -1 <= similarity <= 1
        assert len(times) == 2
    nearest = float(cells(text, "zca-cor")[2])
    assert all(float(cells(text, title)[2]) <= nearest for title in WHITENINGS)
    found = re.search(r"differ by (\S+) of", text)
    assert found
    assert float(found[1]) < 1e-9
    check_picture(tmp_path / "images.png")
