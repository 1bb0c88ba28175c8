"""The short examples of docs/examples.md give what they say."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PAGE = Path(__file__).parent.parent / "docs" / "examples.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="no checkout")


def run(code: int) -> Any:
    names: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[code], names)
    return names


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def rms(x: Any) -> Any:
    return x / np.sqrt((x.astype(float) ** 2).mean(axis=-1, keepdims=True) + 1e-6)


def test_qk_norm() -> None:
    got = run(0)
    q, k, v = np.moveaxis(numbers(2, 16, 3 * 4 * 32).reshape(2, 16, 3, 4, 32), 2, 0)
    np.testing.assert_allclose(got["q"], rms(q), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got["k"], rms(k), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(got["v"], v)
    assert np.shares_memory(got["q"], got["qkv"])


def test_adaptive_layer_norm() -> None:
    x = numbers(2, 16, 64)
    shift, scale, gate = (a[:, None] for a in np.split(numbers(2, 192, seed=1), 3, axis=1))
    centred = x.astype(float) - x.mean(axis=-1, keepdims=True, dtype=float)
    normalized = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(run(1)["x"], x + gate * (normalized * (1 + scale) + shift), rtol=1e-5, atol=1e-5)


def test_product_of_bytes() -> None:
    """Off by what eight bits leave: half a step of the largest."""
    got = run(2)
    want = rms(numbers(16, 64)) @ (got["weight8"] * got["weight_scale"]).T
    assert got["y"].dtype == np.int8
    assert got["scale"].shape == (16, 1)
    assert np.linalg.norm(got["product"] - want) / np.linalg.norm(want) < 0.02
