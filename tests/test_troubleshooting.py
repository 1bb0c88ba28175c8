"""docs/troubleshooting.md: the error texts that it explains are those that calls give."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnorm as fn
from fastnorm import nn

PAGE = Path(__file__).parents[1] / "docs" / "troubleshooting.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="no checkout")


def explained() -> list[str]:
    """The first column of the table."""
    text = PAGE.read_text(encoding="utf-8").partition("| text | meaning |")[2] if PAGE.exists() else ""
    return re.findall(r"^\| `(.+?)` \|", text.partition("\n\n")[0], re.MULTILINE)


def backward_in_evaluation() -> None:
    layer = nn.LayerNorm(3).eval()
    x = np.zeros((2, 3), np.float32)
    layer(x)
    layer.backward(x)


def running_statistics_in_one_array() -> None:
    buffer = np.zeros(5, np.float32)
    fn.batch_norm_forward(np.ones((3, 5), np.float32), running_mean=buffer, running_var=buffer)


def samples(rank: int, bad: bool = False) -> Any:
    """100 samples of three features."""
    x = np.random.default_rng(0).normal(size=(100, 3))
    if rank == 2:
        x[:, 2] = x[:, 0]
    if bad:
        x[3, 1] = np.nan
    return x


F32 = np.zeros((2, 3), np.float32)
# By the beginning of the text.
CALLS: dict[str, Callable[[], Any]] = {
    "x must have dtype": lambda: fn.layer_norm(np.zeros((2, 3), np.int64)),
    "weight must have shape": lambda: fn.batch_norm_forward(
        np.zeros((8, 64, 56, 56), np.float32), np.ones(32, np.float32)
    ),
    "weight must have dtype": lambda: fn.layer_norm(np.zeros((2, 3)), np.ones(3, np.float32)),
    "out must have dtype": lambda: fn.layer_norm(F32, out=np.zeros((2, 3))),
    "num_groups must divide": lambda: fn.group_norm(np.zeros((2, 6, 4, 4), np.float32), 4),
    "expected more than one": lambda: fn.batch_norm_forward(np.zeros((1, 4), np.float32)),
    "x must not be a masked": lambda: fn.layer_norm(np.ma.zeros((2, 3))),
    "x must have native": lambda: fn.layer_norm(np.zeros((2, 3), ">f4")),
    "running_var must not": running_statistics_in_one_array,
    "backward must come": backward_in_evaluation,
    "the covariance has no": lambda: fn.whiten(samples(rank=2)),
    "x must be finite": lambda: fn.whiten(samples(rank=3, bad=True)),
}


@pytest.mark.parametrize("text", explained())
def test_the_text_is_what_the_call_says(text: str) -> None:
    if text.startswith(("FASTNORM_", "x must be an array in memory")):
        return  # below
    (call,) = (call for start, call in CALLS.items() if text.startswith(start))
    with pytest.raises(Exception, match=r"\w") as info:
        call()
    # How much eps would help is rounding, which may be another elsewhere.
    assert re.sub(r">= \S+$", "", str(info.value)) == re.sub(r">= \S+$", "", text)


@pytest.mark.nosanitize
def test_the_warning_at_import() -> None:
    (text,) = (text for text in explained() if text.startswith("FASTNORM_"))
    environment = {**os.environ, "FASTNORM_NUM_THREADS": "many"}
    command = [sys.executable, "-c", "import fastnorm"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert re.sub(r"\d+ is used", "", text) in done.stderr


def test_dask_arrays_are_refused() -> None:
    array = pytest.importorskip("dask.array")
    (text,) = (text for text in explained() if "Dask" in text)
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        fn.layer_norm(array.zeros((4, 4)))
