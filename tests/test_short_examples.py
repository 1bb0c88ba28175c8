"""The code of docs/examples.md runs, and gives what it says."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnorm as fn

PAGE = Path(__file__).parent.parent / "docs" / "examples.md"
pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="no checkout")


def run(code: int, **names: Any) -> dict[str, Any]:
    names = {"np": np, "fn": fn, **names}
    exec(re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[code], names)
    return names


def numbers(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def rms(x: Any, weight: Any) -> Any:
    return x / np.sqrt((x.astype(float) ** 2).mean(axis=-1, keepdims=True) + 1e-6) * weight


def test_qk_norm() -> None:
    batch, tokens, heads, size = 2, 7, 3, 64
    x, weights = numbers(batch, tokens, 32), numbers(32, 3 * heads * size, seed=1)
    query_weight, key_weights = numbers(size, seed=2), numbers(heads, size, seed=3)
    sizes = {"batch": batch, "tokens": tokens, "heads": heads, "size": size}
    got = run(0, x=x, weights=weights, query_weight=query_weight, key_weights=key_weights, **sizes)
    q, k, v = np.moveaxis((x @ weights).reshape(batch, tokens, 3, heads, size), 2, 0)
    np.testing.assert_allclose(got["q"], rms(q, query_weight), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got["k"], rms(k, key_weights), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(got["v"], v)
    assert np.shares_memory(got["q"], got["qkv"])


def test_adaptive_layer_norm() -> None:
    x, condition = numbers(4, 9, 16), numbers(4, 8, seed=1)
    weights, bias = numbers(8, 48, seed=2), numbers(48, seed=3)
    got = run(1, x=x.copy(), condition=condition, weights=weights, bias=bias, attention=np.tanh)
    shift, scale, gate = (a[:, None] for a in np.split(condition @ weights + bias, 3, axis=1))
    want = x + gate * np.tanh(fn.layer_norm(x) * (1 + scale) + shift)
    np.testing.assert_allclose(got["x"], want, rtol=1e-5, atol=1e-5)


def test_product_of_bytes() -> None:
    """Off by what eight bits leave: half a step of the largest in every factor."""
    x, weight, dense = numbers(50, 256), numbers(256, seed=1), numbers(32, 256, seed=2)
    weight_scale = np.abs(dense).max(axis=1) / np.float32(127)
    weight8 = np.rint(dense / weight_scale[:, None]).astype(np.int8)
    got = run(2, x=x, weight=weight, weight8=weight8, weight_scale=weight_scale)["product"]
    want = rms(x, weight) @ dense.T
    assert np.linalg.norm(got - want) / np.linalg.norm(want) < 0.02
