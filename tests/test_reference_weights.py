"""The reference's weight normalization and weight standardization: forward against facts, gradients by complex step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastnorm import reference as ref
from gradcheck import assert_gradients

OIHW = (4, 3, 2, 3)


@pytest.mark.parametrize("eps", [0.0, 0.3])
@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_weight_norm(axis: int | None, eps: float) -> None:
    rng = np.random.default_rng(0)
    shape = tuple(n if axis is not None and a == axis % 4 else 1 for a, n in enumerate(OIHW))
    v, dw, g = rng.standard_normal(OIHW), rng.standard_normal(OIHW), rng.uniform(0.5, 2, shape)
    over = tuple(a for a in range(4) if shape[a] == 1)
    w, norm = ref.weight_norm_forward(v, g, axis=axis, eps=eps)
    assert norm.shape == shape
    assert_allclose(norm, np.sqrt(np.sum(v**2, axis=over, keepdims=True) + eps))
    if not eps:
        assert_allclose(np.sqrt(np.sum(w**2, axis=over, keepdims=True)), g)
    assert_array_equal(ref.weight_norm(v, g, axis=axis, eps=eps), w)
    gradients = ref.weight_norm_backward(dw, v, g, norm, axis=axis)

    def loss(**a: Any) -> Any:
        return np.sum(dw * ref.weight_norm(**a, axis=axis, eps=eps))

    assert_gradients(loss, {"v": v, "g": g}, {"v": gradients.dv, "g": gradients.dg})


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1, 1)])
def test_weight_norm_of_everything(shape: tuple[int, ...]) -> None:
    """The length may be any array of one element; its gradient has its shape."""
    v, g = np.random.default_rng(0).standard_normal(OIHW), np.full(shape, 3.0)
    w, norm = ref.weight_norm_forward(v, g, axis=None)
    assert w.shape == OIHW
    assert_allclose(np.linalg.norm(w), 3)
    assert ref.weight_norm_backward(v, v, g, norm, axis=None).dg.shape == shape


def test_weight_norm_of_zeros() -> None:
    w, norm = ref.weight_norm_forward(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[1.0], [1.0]]))
    assert_array_equal(w, [[np.nan, np.nan], [0.6, 0.8]])
    dv, dg = ref.weight_norm_backward(w, np.array([[0.0, 0.0], [3.0, 4.0]]), np.ones((2, 1)), norm)
    assert np.isnan(dv[0]).all()
    assert np.isnan(dg[0])


MODES = [("var", None), ("var", 0.0), ("std_unbiased", None), ("std_biased", 0.2), ("max", None), ("max", 50.0)]


@pytest.mark.parametrize("with_gain", [False, True])
@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize(("mode", "eps"), MODES)
def test_weight_standardization(mode: Any, eps: float | None, axis: int, with_gain: bool) -> None:
    rng = np.random.default_rng(0)
    w, dw = rng.standard_normal((2, *OIHW))
    gain = rng.uniform(0.5, 2, OIHW[axis]) if with_gain else np.ones(OIHW[axis])
    options: dict[str, Any] = {"mode": mode, "eps": eps, "axis": axis, "scale": 1.7}
    result = ref.weight_standardization_forward(w, gain if with_gain else None, **options)
    rows = np.moveaxis(w, axis, 0).reshape(OIHW[axis], -1)
    k = rows.shape[1]
    assert_allclose(result.mean, rows.mean(1), atol=1e-15)
    assert_allclose(result.var, rows.var(1))
    gradients = ref.weight_standardization_backward(
        dw, w, gain if with_gain else None, result.mean, result.var, **options
    )

    def loss(**a: Any) -> Any:
        return np.sum(dw * ref.weight_standardization(**a, **options))

    assert_gradients(loss, {"w": w, "gain": gain}, {"w": gradients.dw, "gain": gradients.dgain})
    expected_std = {
        "var": np.sqrt(rows.var(1) + (1e-6 if eps is None else eps)),
        "std_unbiased": rows.std(1, ddof=1) + 1e-5,
        "std_biased": rows.std(1) + 0.2,
        "max": np.sqrt(np.maximum(rows.var(1) * k, 1e-4 if eps is None else eps)),
    }[mode]
    got = np.moveaxis(result.w, axis, 0).reshape(rows.shape)
    factor = 1.7 * gain / expected_std
    assert_allclose(got, (rows - rows.mean(1, keepdims=True)) * factor[:, None], rtol=1e-10)


@pytest.mark.parametrize("eps", [None, 0.0])
@pytest.mark.parametrize("mode", ["var", "std_unbiased", "std_biased", "max"])
def test_constant_filters(mode: Any, eps: float | None) -> None:
    """Output 0; the gradient is that of the linear map that is left, or 0 if eps is."""
    w, dw = np.full((2, 5), 0.1), np.random.default_rng(0).standard_normal((2, 5))
    result = ref.weight_standardization_forward(w, mode=mode, eps=eps)
    assert_array_equal(result.w, 0)
    assert_array_equal(result.mean, 0.1)
    g = ref.weight_standardization_backward(dw, w, None, result.mean, result.var, mode=mode, eps=eps)
    scale = {"var": 1e3, "max": 1e2}.get(mode, 1e5) if eps is None else 0.0
    assert_allclose(g.dw, scale * (dw - dw.mean(1, keepdims=True)), atol=1e-9)
    assert_array_equal(g.dgain, 0)


def test_one_weight_per_filter() -> None:
    assert_array_equal(ref.weight_standardization(np.ones((3, 1))), 0)
    with pytest.raises(ValueError, match="more than one weight"):
        ref.weight_standardization(np.ones((3, 1)), mode="std_unbiased")
