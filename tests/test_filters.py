"""Filters along several axes and in groups: weight normalization, standardization, and their start from data."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import fastnorm as fn
import scaled_error
from fastnorm import nn, reference
from fastnorm.reference._filters import filters
from gradcheck import assert_gradients

MODES = ["var", "std_unbiased", "std_biased", "max"]
# Shapes of weights, axes of filters, groups.
CASES: list[tuple[tuple[int, ...], Any, int]] = [
    ((6, 4, 3, 5), (0, 1), 1),
    ((6, 4, 3, 5), (1, -1), 1),
    ((6, 4, 3, 5), [3, 0], 1),
    ((6, 4, 3, 5), 1, 2),
    ((6, 4, 3, 5), 1, 3),
    ((6, 4, 3, 5), -1, 2),
    ((6, 4, 3, 5), (1, 3), 3),
    ((6, 4, 3, 5), (0, 2), 3),
    ((6, 4), 1, 2),
    ((6, 7, 300), 1, 6),
    ((64, 30, 9), 1, 4),
]


def data(*shape: int, dtype: Any = np.float64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def assert_weights(v: np.ndarray, dw: np.ndarray, axis: Any, groups: int) -> None:
    options: dict[str, Any] = {"axis": axis, "groups": groups}
    f = filters(v, tuple(axis) if isinstance(axis, list) else axis, groups)
    g = data(*f.kept, dtype=v.dtype, seed=2)
    result = fn.weight_norm_forward(v, g, **options)
    assert result.norm.shape == g.shape
    assert not scaled_error.exceeded(scaled_error.weight_norm_errors(result, v, g, **options))
    gradients = fn.weight_norm_backward(dw, v, g, result.norm, **options)
    assert not scaled_error.exceeded(scaled_error.weight_norm_errors(gradients, v, g, dw=dw, **options))
    for mode in MODES:
        if mode == "std_unbiased" and f.size == 1:
            continue
        for gain in (None, data(*f.filters, dtype=v.dtype, seed=3)):
            more: Any = options | {"mode": mode, "scale": 1.7, "eps": 0.1}
            standard = fn.weight_standardization_forward(v, gain, **more)
            assert standard.mean.shape == standard.var.shape == f.filters
            assert not scaled_error.exceeded(scaled_error.weight_standardization_errors(standard, v, gain, **more))
            back = fn.weight_standardization_backward(dw, v, gain, standard.mean, standard.var, **more)
            errors = scaled_error.weight_standardization_errors(back, v, gain, dw=dw, **more)
            assert not scaled_error.exceeded(errors)


@pytest.mark.parametrize(("shape", "axis", "groups"), CASES)
def test_accuracy(shape: tuple[int, ...], axis: Any, groups: int, dtype: str) -> None:
    v, dw = data(*shape, dtype=dtype), data(*shape, dtype=dtype, seed=1)
    assert_weights(v, dw, axis, groups)
    moved = [np.ascontiguousarray(a.T).T for a in (v, dw)]
    assert_weights(*moved, axis, groups)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_axes_and_groups(draws: st.DataObject) -> None:
    groups = draws.draw(st.integers(1, 3), "groups")
    shape = (groups * draws.draw(st.integers(1, 3)), *draws.draw(st.lists(st.integers(1, 5), max_size=3), "shape"))
    axis = tuple(draws.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1), "axis"))
    steps = tuple(slice(None, None, draws.draw(st.sampled_from((1, -1)))) for _ in shape)
    v, dw = (data(*shape, seed=seed)[steps] for seed in (0, 1))
    if filters(v, axis, groups).size > 1:
        assert_weights(v, dw, axis, groups)


def test_groups_are_the_parts_on_their_own() -> None:
    """What a grouped transposed convolution has are the filters of its groups, one after the other."""
    groups, v, dw = 3, data(6, 4, 5), data(6, 4, 5, seed=1)
    g, gain = data(1, 12, 1, seed=2), data(12, seed=3)
    parts = zip(
        *(np.split(a, groups) for a in (v, dw)), np.split(g, groups, axis=1), np.split(gain, groups), strict=True
    )
    w, norm = fn.weight_norm_forward(v, g, axis=1, groups=groups)
    dv, dg = fn.weight_norm_backward(dw, v, g, norm, axis=1, groups=groups)
    s, mean, var = fn.weight_standardization_forward(v, gain, axis=1, groups=groups)
    ds, dgain = fn.weight_standardization_backward(dw, v, gain, mean, var, axis=1, groups=groups)
    for k, (one, one_dw, one_g, one_gain) in enumerate(parts):
        rows, channels = slice(2 * k, 2 * k + 2), slice(4 * k, 4 * k + 4)
        one_w, one_norm = fn.weight_norm_forward(one, one_g, axis=1)
        assert_allclose(w[rows], one_w, rtol=1e-14)
        assert_allclose(norm[:, channels], one_norm, rtol=1e-14)
        back = fn.weight_norm_backward(one_dw, one, one_g, one_norm, axis=1)
        assert_allclose(dv[rows], back.dv, rtol=1e-12, atol=1e-14)
        assert_allclose(dg[:, channels], back.dg, rtol=1e-12, atol=1e-14)
        one_s, one_mean, one_var = fn.weight_standardization_forward(one, one_gain, axis=1)
        assert_allclose(s[rows], one_s, rtol=1e-12)
        back_s = fn.weight_standardization_backward(one_dw, one, one_gain, one_mean, one_var, axis=1)
        assert_allclose(ds[rows], back_s.dw, rtol=1e-11, atol=1e-13)
        assert_allclose(dgain[channels], back_s.dgain, rtol=1e-11, atol=1e-13)


def test_groups_make_no_difference_to_filters_along_axis_0() -> None:
    v, g = data(6, 4, 5), data(6, 1, 1, seed=1)
    assert_array_equal(fn.weight_norm(v, g, groups=3), fn.weight_norm(v, g))
    assert_array_equal(fn.weight_standardization(v, groups=2), fn.weight_standardization(v))


def test_strided_and_wider_parameters() -> None:
    v, wide = data(6, 4, 5, dtype="f4"), data(24, seed=1)
    gain = wide[::2]
    want = fn.weight_standardization(v, gain.copy(), axis=1, groups=3)
    assert_array_equal(fn.weight_standardization(v, gain, axis=1, groups=3), want)
    narrow = gain.astype("f4")
    padded = np.zeros(24, "f4")
    padded[::2] = narrow
    got = fn.weight_norm(v, padded[::2].reshape(1, 12, 1), axis=1, groups=3)
    assert_array_equal(got, fn.weight_norm(v, narrow.reshape(1, 12, 1), axis=1, groups=3))


@pytest.mark.parametrize(("shape", "axis", "groups"), CASES[:9])
def test_gradients_of_the_reference(shape: tuple[int, ...], axis: Any, groups: int) -> None:
    axis = tuple(axis) if isinstance(axis, list) else axis
    v, dw, options = data(*shape), data(*shape, seed=1), {"axis": axis, "groups": groups}
    f = filters(v, axis, groups)
    g, gain = data(*f.kept, seed=2), data(*f.filters, seed=3)
    dv, dg = reference.weight_norm_backward(dw, v, g, reference.weight_norm_forward(v, g, **options).norm, **options)
    loss = lambda **a: np.sum(dw * reference.weight_norm(**a, **options))  # noqa: E731
    assert_gradients(loss, {"v": v, "g": g}, {"v": dv, "g": dg})
    _, mean, var = reference.weight_standardization_forward(v, gain, **options)
    ds, dgain = reference.weight_standardization_backward(dw, v, gain, mean, var, **options)
    loss = lambda **a: np.sum(dw * reference.weight_standardization(**a, **options))  # noqa: E731
    assert_gradients(loss, {"w": v, "gain": gain}, {"w": ds, "gain": dgain})


V = np.ones((6, 4, 5), "f4")


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: fn.weight_norm(V, np.ones((1, 12, 1), "f4"), axis=1, groups=4), ValueError,
         "groups must divide the 6 channels on axis 0 of v with shape (6, 4, 5), got 4"),
        (lambda: fn.weight_norm(V, np.ones((1, 4, 1), "f4"), axis=1, groups=3), ValueError,
         "g must have shape (1, 12, 1) to match axis 1 of 3 groups of v with shape (6, 4, 5), got (1, 4, 1)"),
        (lambda: fn.weight_norm(V, 1.0, axis=None, groups=2), ValueError, "groups must be 1 for axis=None, got 2"),
        (lambda: fn.weight_standardization(V, groups=0), ValueError, "groups must be positive, got 0"),
        (lambda: fn.weight_standardization(V, groups=1.5), TypeError, "groups must be an integer, got float"),
        (lambda: fn.weight_standardization(V, np.ones(4), axis=1, groups=2), ValueError,
         "gain must have shape (8,) to match axis 1 of 2 groups of w with shape (6, 4, 5), got (4,)"),
        (lambda: fn.weight_standardization(V, np.ones(6), axis=(0, 2)), ValueError,
         "gain must have shape (6, 5) to match axes (0, 2) of w with shape (6, 4, 5), got (6,)"),
        (lambda: fn.weight_standardization(V, axis=(0, -3)), ValueError,
         "axis must not repeat an axis of w with shape (6, 4, 5), got (0, -3)"),
        (lambda: nn.WeightNorm(V, axis=1, groups=4), ValueError,
         "groups must divide the 6 channels on axis 0 of weight with shape (6, 4, 5), got 4"),
    ],
)  # fmt: skip
def test_errors(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        call()


@pytest.mark.parametrize(("axis", "groups"), [((0, 1), 1), (1, 3), ((1, 2), 2), (None, 1)])
def test_layers(axis: Any, groups: int) -> None:
    weight, dw = data(6, 4, 5), data(6, 4, 5, seed=1)
    layer = nn.WeightNorm(weight, axis, groups=groups)
    assert_allclose(layer(), weight, rtol=1e-14)
    dv = layer.backward(dw)
    norm = fn.weight_norm_forward(weight, layer.original0, axis=axis, groups=groups).norm
    want = fn.weight_norm_backward(dw, weight, layer.original0, norm, axis=axis, groups=groups)
    assert_array_equal(dv, want.dv)
    assert_array_equal(layer.gradients()["original0"], want.dg)
    if axis is None:
        return
    standard = nn.WeightStandardization(weight, True, axis=axis, groups=groups)
    assert_array_equal(standard(), fn.weight_standardization(weight, axis=axis, groups=groups))
    standard.backward(dw)
    assert standard.gradients()["gain"].shape == standard.gain.shape


# ---- the start from data ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "axis"), [((50, 4), 1), ((3, 6, 5, 7), 1), ((3, 5, 7, 6), -1)])
def test_weight_norm_starts_with_normalized_outputs(shape: tuple[int, ...], axis: int, dtype: str) -> None:
    t = (3 * data(*shape) + 7).astype(dtype)
    g, bias = fn.weight_norm_init(t, axis=axis)
    assert g.shape == bias.shape == (shape[axis],)
    assert g.dtype == bias.dtype == t.dtype
    along = [n if a == axis % len(shape) else 1 for a, n in enumerate(shape)]
    y = g.astype(float).reshape(along) * t + bias.astype(float).reshape(along)
    over = tuple(a for a, n in enumerate(along) if n == 1)
    assert_allclose(y.mean(axis=over), 0, atol=1e-5 if dtype == "float32" else 1e-13)
    assert_allclose(y.std(axis=over), 1, rtol=1e-6 if dtype == "float32" else 1e-13)
    for got, want in zip((g, bias), reference.weight_norm_init(t, axis=axis), strict=True):
        assert_allclose(got, want, rtol=4 * np.finfo(dtype).eps)  # as far as a scale may be off


def test_weight_norm_init_of_constants_and_errors() -> None:
    g, bias = fn.weight_norm_init(np.full((5, 2), 3.0))
    assert_array_equal(g, 0)
    assert_array_equal(bias, 0)
    with pytest.raises(ValueError, match=r"^t must have two or more dimensions, got t with shape \(3,\)$"):
        fn.weight_norm_init(np.ones(3))
    with pytest.raises(ValueError, match=r"^axis must be from -2 to 1 for t with shape \(5, 2\), got 2$"):
        fn.weight_norm_init(np.ones((5, 2)), axis=2)
    with pytest.raises(TypeError, match=r"^t must have dtype float16, bfloat16, float32 or float64, got int64$"):
        fn.weight_norm_init(np.ones((5, 2), int))
