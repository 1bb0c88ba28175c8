"""Accuracy where kernels are known to fail: large means, outliers, extreme ranges, constants, public bug reports."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

import hard_inputs
from scaled_error import exceeded

pytestmark = pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid")  # of the reference and of casts

CONSTANTS = [0.0, 1.0, 1234.0, 0.1, -7.7, 3.4e38, -1e-20, 1e-42, 40000.0]
BEYOND_FLOAT32 = {"constant 3.4e38", "plus minus 3e38", "near the largest"}  # evaluated with a variance below 1


def families(norm: Any) -> set[str]:
    return set(hard_inputs.FAMILIES) - (BEYOND_FLOAT32 if norm.evaluates else set())


def stack(norm: Any, rows: Iterable[np.ndarray]) -> np.ndarray:
    """Data whose groups are the rows, the rows backwards, and plain ones between them: some multiple of six."""
    both = [one for row in rows for one in (row, row[::-1])]
    plain = np.random.default_rng(0).standard_normal((6 - len(both) % 6, both[0].size)).astype(both[0].dtype)
    return norm.put(np.insert(np.stack(both), 3 * np.arange(len(plain)) % len(both), plain, axis=0))


def errors(norm: Any, x: np.ndarray, eps: float) -> dict[str, float]:
    """Scaled errors beyond their thresholds, forward and backward."""
    rng = np.random.default_rng(x.size)
    weight, bias = rng.uniform(-2, 2, (2, *norm.parameters(x))).astype(x.dtype)
    dy = rng.standard_normal(x.shape).astype(x.dtype)
    return exceeded(norm.forward_errors(x, weight, bias, eps=eps) | norm.backward_errors(dy, x, weight, eps=eps))


def assert_accurate(norm: Any, n: int, dtype: str, names: Iterable[str], eps: float) -> None:
    names = sorted(names)
    together = errors(norm, stack(norm, (row for _, row in hard_inputs.rows(n, dtype, names))), eps)
    alone = {name: errors(norm, stack(norm, [row]), eps) for name, row in hard_inputs.rows(n, dtype, names) if together}
    culprits = {name: bad for name, bad in alone.items() if bad}
    assert not together, f"{n} values: {culprits}"


@pytest.mark.parametrize("eps", hard_inputs.EPS)
def test_hard_inputs(norm: Any, dtype: str, eps: float) -> None:
    for n in (2, 3, 64, 100, 1100):
        assert_accurate(norm, n, dtype, families(norm), eps)


def test_simd_targets(norm: Any, simd_target: str) -> None:
    for n, eps in ((33, 1e-5), (1030, 0.0)):
        assert_accurate(norm, n, "float32", families(norm), eps)


def test_many_values(norm: Any) -> None:
    assert_accurate(norm, 66_000, "float32", ("mean 1e4 std 1e-2", "atypical start"), 1e-5)


@pytest.mark.parametrize("eps", [0.0, 1e-5])
@pytest.mark.parametrize("scale", [1e30, 3e37, 1e-25, 1e-40])
def test_finite_in_finite_out(norm: Any, scale: float, eps: float) -> None:
    """The forward of float32 data of any scale, also where that of the deviations or of rstd is no float32."""
    for n in (3, 5, 200, 1500):
        x = norm.put(np.random.default_rng(n).standard_normal((6, n)).astype("f4") * np.float32(scale))
        y = norm.groups(norm.output(x, eps=eps), (6, n))
        assert np.isfinite(y).all(), f"{n} values"
        if not norm.evaluates:
            assert ((np.abs(y).max(axis=1) > 0.5) == (eps == 0 or scale > 1)).all(), f"{n} values"


@pytest.mark.parametrize("n", [2, 3, 31, 33, 64, 100, 1025, 5000])
def test_constant_groups(norm: Any, dtype: str, n: int) -> None:
    """Their output is the bias, the mean is the constant, the variance and the gradient are zero: exactly."""
    if not norm.centred or norm.evaluates:
        pytest.skip("has no variance")
    rng = np.random.default_rng(n)
    x = norm.put(np.repeat(np.array(CONSTANTS, dtype)[:, None], n, axis=1))
    weight, bias = rng.uniform(-2, 2, (2, *norm.parameters(x))).astype(dtype)
    dy = rng.standard_normal(x.shape).astype(dtype)
    for eps in (0.0, 1e-5):
        got = norm.outputs(dy, x, weight, bias, eps=eps)
        np.testing.assert_array_equal(got["y"], norm.spread(bias, x))
        assert not norm.output(x, weight, eps=eps).any()
        assert got["mean"].ravel().tolist() == np.array(CONSTANTS, dtype).tolist()
        assert (got["rstd"] == (1 / np.sqrt(eps) if eps else 0)).all()
        assert not got["dweight"].any()
        assert eps or not got["dx"].any()


def test_zeros_of_the_root_mean_square(norm: Any, dtype: str) -> None:
    if norm.centred:
        pytest.skip("has a mean")
    rng = np.random.default_rng(0)
    for n in (1, 3, 64, 1100):
        x = norm.put(np.zeros((6, n), dtype))
        weight, bias = rng.uniform(-2, 2, (2, *norm.parameters(x))).astype(dtype)
        got = norm.outputs(rng.standard_normal(x.shape).astype(dtype), x, weight, bias, eps=0.0)
        np.testing.assert_array_equal(got["y"], norm.spread(bias, x))
        assert not any(got[name].any() for name in ("rstd", "dx", "dweight"))
