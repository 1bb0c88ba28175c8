"""Weight normalization and weight standardization: against the reference, other libraries' formulas, at the edges."""

import re
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnorm as fn
import hard_inputs
import scaled_error
from gradcheck import assert_gradients, central_difference

OIHW = (6, 3, 5, 4)
SHAPES = [(7,), (3, 5), OIHW, (3, 3, 40, 70), (64, 1500)]
MODES = ["var", "std_unbiased", "std_biased", "max"]


def data(*shape: int, dtype: Any = np.float64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def rounded(x: np.ndarray, dtype: str) -> np.ndarray:
    """What is left of numbers in a dtype, which they may be too large for."""
    with np.errstate(over="ignore"):
        return x.astype(dtype).astype(float)


def kept(shape: tuple[int, ...], axis: int | None) -> tuple[int, ...]:
    """The shape of a length for every filter."""
    return tuple(n if axis is not None and a == axis % len(shape) else 1 for a, n in enumerate(shape))


def orientations(x: np.ndarray) -> Any:
    """Filters as rows, as columns, as both in the other's memory; and the axis that numbers them."""
    columns = np.ascontiguousarray(x.T)
    return [(x, 0), (columns, -1), (columns.T, 0), (x.T, 1)]


def assert_accurate(errors: dict[str, float], condition: float = 1.0) -> None:
    assert not scaled_error.exceeded({name: error / condition for name, error in errors.items()})


# ---- accuracy --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eps", [0.0, 0.3])
@pytest.mark.parametrize(
    ("shape", "axis"), [(shape, axis) for shape in SHAPES for axis in (None, *range(-1, len(shape) - 1))]
)
def test_weight_norm_accuracy(shape: tuple[int, ...], axis: int | None, eps: float, dtype: str) -> None:
    v, dw = data(*shape, dtype=dtype), data(*shape, dtype=dtype, seed=1)
    g = data(*kept(shape, axis), dtype=dtype, seed=2)
    result = fn.weight_norm_forward(v, g, axis=axis, eps=eps)
    assert (result.w.dtype, result.norm.dtype) == (dtype, np.float64)
    assert result.norm.shape == g.shape
    assert_accurate(scaled_error.weight_norm_errors(result, v, g, axis=axis, eps=eps))
    assert_array_equal(fn.weight_norm(v, g, axis=axis, eps=eps), result.w)
    gradients = fn.weight_norm_backward(dw, v, g, result.norm, axis=axis)
    assert (gradients.dv.dtype, gradients.dg.dtype) == (dtype, dtype)
    assert_accurate(scaled_error.weight_norm_errors(gradients, v, g, dw=dw, axis=axis, eps=eps))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("shape", SHAPES[1:])
def test_weight_standardization_accuracy(shape: tuple[int, ...], axis: int, mode: Any, dtype: str) -> None:
    w, dw = data(*shape, dtype=dtype), data(*shape, dtype=dtype, seed=1)
    for gain, eps, scale in ((None, None, 1.0), (data(shape[axis], dtype=dtype, seed=2), 0.2, 1.7)):
        options = {"axis": axis, "mode": mode, "eps": eps, "scale": scale}
        result = fn.weight_standardization_forward(w, gain, **options)
        assert (result.w.dtype, result.mean.dtype, result.var.dtype) == (dtype, np.float64, np.float64)
        assert_accurate(scaled_error.weight_standardization_errors(result, w, gain, **options))
        assert_array_equal(fn.weight_standardization(w, gain, **options), result.w)
        gradients = fn.weight_standardization_backward(dw, w, gain, result.mean, result.var, **options)
        assert (gradients.dw.dtype, gradients.dgain.dtype) == (dtype, dtype)
        assert_accurate(scaled_error.weight_standardization_errors(gradients, w, gain, dw=dw, **options))


@pytest.mark.parametrize("n", [1, 2, 7, 147, 1000])
def test_weight_norm_of_hard_filters(n: int, dtype: str) -> None:
    for v, axis in orientations(hard_inputs.batch(n, dtype)):
        dw = data(*v.shape, dtype=dtype)
        g = data(*kept(v.shape, axis), dtype=dtype, seed=1)
        for eps in (0.0, 1e-12):
            result = fn.weight_norm_forward(v, g, axis=axis, eps=eps)
            gradients = fn.weight_norm_backward(dw, v, g, result.norm, axis=axis)
            with np.errstate(all="ignore"):  # of the reference
                assert_accurate(scaled_error.weight_norm_errors(result, v, g, axis=axis, eps=eps))
                assert_accurate(scaled_error.weight_norm_errors(gradients, v, g, dw=dw, axis=axis, eps=eps))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n", [2, 7, 147])
def test_weight_standardization_of_hard_filters(n: int, mode: Any, dtype: str) -> None:
    hard = hard_inputs.batch(n, dtype)
    for w, axis in orientations(hard):
        for eps in (None, 0.0):
            options = {"axis": axis, "mode": mode, "eps": eps}
            result = fn.weight_standardization_forward(w, **options)
            with np.errstate(all="ignore"):  # of the reference
                assert_accurate(scaled_error.weight_standardization_errors(result, w, **options))
    # The one saved mean of float64 weights is rounded: that costs what the mean is in standard deviations.
    condition = 1.0
    if dtype == "float64":
        hard, condition = hard[np.abs(hard.mean(1)) <= 10 * hard.std(1)], 11.0
    for w, axis in orientations(hard):
        gain, dw = data(len(hard), dtype=dtype), data(*w.shape, dtype=dtype, seed=1)
        for eps in (None, 0.0):
            options = {"axis": axis, "mode": mode, "eps": eps}
            _, mean, var = fn.weight_standardization_forward(w, gain, **options)
            gradients = fn.weight_standardization_backward(dw, w, gain, mean, var, **options)
            with np.errstate(all="ignore"):
                errors = scaled_error.weight_standardization_errors(gradients, w, gain, dw=dw, **options)
            assert_accurate(errors, condition)


# ---- gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("eps", [0.0, 0.3])
@pytest.mark.parametrize("axis", [0, -1, None])
def test_weight_norm_gradients(axis: int | None, eps: float) -> None:
    v, dw, g = data(*OIHW), data(*OIHW, seed=1), data(*kept(OIHW, axis), seed=2)
    dv, dg = fn.weight_norm_backward(dw, v, g, fn.weight_norm_forward(v, g, axis=axis, eps=eps).norm, axis=axis)

    def loss(**arguments: Any) -> Any:
        return np.sum(dw * fn.weight_norm(**arguments, axis=axis, eps=eps))

    options: Any = {"derivative": central_difference, "tolerance": 1e-9}
    assert_gradients(loss, {"v": v, "g": g}, {"v": dv, "g": dg}, **options)


@pytest.mark.parametrize(("mode", "eps"), [(mode, eps) for mode in MODES for eps in (None, 0.0, 0.3)] + [("max", 1e3)])
@pytest.mark.parametrize("axis", [0, -1])
def test_weight_standardization_gradients(axis: int, mode: Any, eps: float | None) -> None:
    w, dw, gain = data(*OIHW), data(*OIHW, seed=1), data(OIHW[axis], seed=2)
    options = {"axis": axis, "mode": mode, "eps": eps, "scale": 1.7}
    result = fn.weight_standardization_forward(w, gain, **options)
    gradients = fn.weight_standardization_backward(dw, w, gain, result.mean, result.var, **options)

    def loss(**arguments: Any) -> Any:
        return np.sum(dw * fn.weight_standardization(**arguments, **options))

    check: Any = {"derivative": central_difference, "tolerance": 1e-9}
    assert_gradients(loss, {"w": w, "gain": gain}, {"w": gradients.dw, "gain": gradients.dgain}, **check)
    implicit = fn.weight_standardization_backward(dw, w, None, result.mean, result.var, **options)
    explicit = fn.weight_standardization_backward(dw, w, np.ones_like(gain), result.mean, result.var, **options)
    assert_array_equal(implicit.dw, explicit.dw)
    assert_array_equal(implicit.dgain, gradients.dgain)


def test_gradients_are_orthogonal_to_what_the_result_ignores() -> None:
    """A longer direction gives the same weights, and so does a shifted or a longer filter."""
    v, dw, g = data(*OIHW), data(*OIHW, seed=1), data(*kept(OIHW, 0), seed=2)
    dv = fn.weight_norm_backward(dw, v, g, fn.weight_norm_forward(v, g).norm).dv
    assert_allclose(np.sum(dv * v, axis=(1, 2, 3)), 0, atol=1e-14)
    for mode in MODES:
        options: Any = {"mode": mode, "eps": 0.0}
        _, mean, var = fn.weight_standardization_forward(v, **options)
        gradient = fn.weight_standardization_backward(dw, v, None, mean, var, **options).dw
        assert_allclose(gradient.sum(axis=(1, 2, 3)), 0, atol=1e-13)
        assert_allclose(np.sum(gradient * v, axis=(1, 2, 3)), 0, atol=1e-13)


# ---- what others compute ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dim", "axis"), [(0, 0), (1, 1), (3, -1), (None, None)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weight_norm_is_that_of_torch(dtype: str, dim: int | None, axis: int | None) -> None:
    torch = pytest.importorskip("torch")
    from torch.nn.utils.parametrizations import weight_norm

    layer = weight_norm(torch.nn.Conv2d(3, 6, (5, 4), dtype=getattr(torch, dtype)), dim=dim)
    originals = layer.parametrizations.weight
    g, v = (originals.original0 * 1.5).detach().requires_grad_(), originals.original1.detach().requires_grad_()
    w, dw = originals[0](g, v), data(*OIHW, dtype=dtype)
    w.backward(torch.from_numpy(dw))
    tolerance = {"rtol": 64 * np.finfo(dtype).eps, "atol": 8 * np.finfo(dtype).eps}
    result = fn.weight_norm_forward(v.detach(), g.detach(), axis=axis)
    assert_allclose(result.w, w.detach(), **tolerance)
    dv, dg = fn.weight_norm_backward(dw, v.detach(), g.detach(), result.norm, axis=axis)
    assert_allclose(dv, v.grad, **tolerance)
    assert_allclose(dg, g.grad, **tolerance)


def bit(w: Any, gain: Any) -> Any:
    """Big Transfer's StdConv2d."""
    mean = w.mean((1, 2, 3), keepdims=True)
    var = ((w - mean) ** 2).mean((1, 2, 3), keepdims=True)
    return (w - mean) / (var + 1e-10) ** 0.5


def timm_scaled(w: Any, gain: Any, gamma: float = 1.7139588594436646) -> Any:
    """timm's ScaledStdConv2d: a batch norm of the filters with gain * scale as its weight."""
    fan_in = w.reshape(w.shape[0], -1).shape[1]
    mean = w.mean((1, 2, 3), keepdims=True)
    var = ((w - mean) ** 2).mean((1, 2, 3), keepdims=True)
    return (w - mean) / (var + 1e-6) ** 0.5 * (gain * (gamma * fan_in**-0.5)).reshape(-1, 1, 1, 1)


def authors(w: Any, gain: Any) -> Any:
    """The authors' repository: the unbiased standard deviation plus 1e-5."""
    w = w - w.mean(1, keepdims=True).mean(2, keepdims=True).mean(3, keepdims=True)
    flat = w.reshape(w.shape[0], -1)
    unbiased = ((flat - flat.mean(1, keepdims=True)) ** 2).sum(1) / (flat.shape[1] - 1)
    return w / (unbiased**0.5 + 1e-5).reshape(-1, 1, 1, 1)


def nfnet(w: Any, gain: Any) -> Any:
    """NFNet's WSConv2D."""
    fan_in = w.reshape(w.shape[0], -1).shape[1]
    mean = w.mean((1, 2, 3), keepdims=True)
    var = ((w - mean) ** 2).mean((1, 2, 3), keepdims=True)
    scale = (var * fan_in).clip(1e-4) ** -0.5 * gain.reshape(-1, 1, 1, 1)
    return w * scale - mean * scale


CALLS: dict[Any, dict[str, Any]] = {
    bit: {"eps": 1e-10},
    timm_scaled: {"scale": 1.7139588594436646 * 60**-0.5},
    authors: {"mode": "std_unbiased"},
    nfnet: {"mode": "max"},
}
WITH_GAIN = (timm_scaled, nfnet)


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-5])
@pytest.mark.parametrize("formula", CALLS)
def test_weight_standardization_is_that_of_others(formula: Any, size: float) -> None:
    w, gain = data(*OIHW) * size, data(6, seed=1) if formula in WITH_GAIN else None
    expected = formula(w, gain)
    assert_allclose(fn.weight_standardization(w, gain, **CALLS[formula]), expected, rtol=1e-11, atol=1e-13)
    hwio = np.ascontiguousarray(np.moveaxis(w, 0, -1))
    result = fn.weight_standardization(hwio, gain, axis=-1, **CALLS[formula])
    assert_allclose(np.moveaxis(result, -1, 0), expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-5])
@pytest.mark.parametrize("formula", CALLS)
def test_its_gradients_are_those_of_others(formula: Any, size: float) -> None:
    torch = pytest.importorskip("torch")
    w, gain = torch.tensor(data(*OIHW) * size, requires_grad=True), torch.tensor(data(6, seed=1), requires_grad=True)
    dw = data(*OIHW, seed=2)
    formula(w, gain).backward(torch.from_numpy(dw))
    a, b = w.detach().numpy(), gain.detach().numpy() if formula in WITH_GAIN else None
    _, mean, var = fn.weight_standardization_forward(a, b, **CALLS[formula])
    gradients = fn.weight_standardization_backward(dw, a, b, mean, var, **CALLS[formula])
    assert_allclose(gradients.dw, w.grad, rtol=1e-9, atol=1e-11 * np.abs(gradients.dw).max())
    if b is not None:
        assert_allclose(gradients.dgain, gain.grad, rtol=1e-10, atol=1e-13)


# ---- edges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, -1])
def test_filters_of_zeros_are_nan_without_eps_and_leave_the_others_alone(axis: int, dtype: str) -> None:
    v, dw = data(5, 40, dtype=dtype), data(5, 40, dtype=dtype, seed=1)
    g = data(5, 1, dtype=dtype, seed=2)
    zeroed = v.copy()
    zeroed[2] = 0
    others = [0, 1, 3, 4]

    def rows(a: Any) -> Any:
        return a if axis == 0 else a.T

    def run(v: Any, eps: float) -> list[np.ndarray]:
        v, dy, length = (np.ascontiguousarray(rows(a)) for a in (v, dw, g))
        w, norm = fn.weight_norm_forward(v, length, axis=axis, eps=eps)
        return [rows(a) for a in (w, norm, *fn.weight_norm_backward(dy, v, length, norm, axis=axis))]

    plain, (w, norm, dv, dg) = run(v, 0.0), run(zeroed, 0.0)
    for got, want in zip((w, norm, dv, dg), plain, strict=True):
        assert_array_equal(got[others], want[others])
    assert norm[2] == 0
    assert all(np.isnan(a[2]).all() for a in (w, dv, dg))
    w, norm, dv, dg = run(zeroed, 1e-12)
    assert_array_equal(w[2], 0)
    assert norm[2] == 1e-6
    assert_allclose(dv[2].astype(float), rounded(g[2] / norm[2] * dw[2], dtype), rtol=1e-2 if dw.itemsize < 4 else 1e-6)
    assert dg[2] == 0


@pytest.mark.parametrize("eps", [None, 0.0])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("axis", [0, -1])
def test_constant_filters(axis: int, mode: Any, eps: float | None, dtype: str) -> None:
    """Output 0; the gradient is that of the linear map that is left, or 0 if eps is."""
    w, dw = np.full((5, 5), 0.1, dtype), data(5, 5, dtype=dtype)
    result = fn.weight_standardization_forward(w, axis=axis, mode=mode, eps=eps)
    assert_array_equal(result.w, 0)
    assert_array_equal(result.mean, w[0, 0])
    assert_array_equal(result.var, 0)
    gradients = fn.weight_standardization_backward(dw, w, None, result.mean, result.var, axis=axis, mode=mode, eps=eps)
    scale = {"var": 1e3, "max": 1e2}.get(mode, 1e5) if eps is None else 0.0
    wide = dw.astype(float)
    expected = rounded(scale * (wide - wide.mean(axis=axis - 1, keepdims=True)), dtype)
    assert_allclose(gradients.dw.astype(float), expected, rtol=1e-2, atol=scale * 4 * np.finfo(np.float32).eps)
    assert_array_equal(gradients.dgain, 0)


def test_one_weight_per_filter(dtype: str) -> None:
    w = np.array([[3.0], [-2.0]], dtype)
    assert_array_equal(fn.weight_norm(w, np.ones((2, 1), dtype)), [[1], [-1]])
    for mode in ("var", "std_biased", "max"):
        result, mean, var = fn.weight_standardization_forward(w, mode=mode)
        assert_array_equal(result, 0)
        assert_array_equal(mean, [3, -2])
        assert_array_equal(var, 0)
        gradients = fn.weight_standardization_backward(w, w, None, mean, var, mode=mode)
        assert_array_equal(gradients.dw, 0)
        assert_array_equal(gradients.dgain, 0)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_one_norm_of_everything(shape: tuple[int, ...]) -> None:
    v = data(4, 5)
    w, norm = fn.weight_norm_forward(v, np.full(shape, 3.0), axis=None)
    assert norm.shape == (1, 1)
    assert_allclose(np.linalg.norm(w), 3)
    for saved in (norm, norm[0, 0]):
        assert fn.weight_norm_backward(v, v, np.full(shape, 3.0), saved, axis=None).dg.shape == shape


def test_a_number_for_one_norm() -> None:
    assert_allclose(fn.weight_norm(np.array([3.0, 4.0]), 10.0, axis=None), [6, 8])
    w, norm = fn.weight_norm_forward(np.array(-2.0), 10.0, axis=None)
    assert (w.shape, w, norm) == ((), -10, 2)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_without_weights(shape: tuple[int, int], axis: int) -> None:
    v = np.zeros(shape)
    w, norm = fn.weight_norm_forward(v, np.ones(kept(shape, axis)), axis=axis)
    assert (w.shape, norm.shape) == (shape, kept(shape, axis))
    dv, dg = fn.weight_norm_backward(v, v, np.ones(kept(shape, axis)), norm, axis=axis)
    assert dv.shape == shape
    assert_array_equal(dg, np.zeros(kept(shape, axis)))
    for mode in MODES:
        w, mean, var = fn.weight_standardization_forward(v, axis=axis, mode=mode)
        assert (w.shape, mean.shape, var.shape) == (shape, (shape[axis],), (shape[axis],))
        gradients = fn.weight_standardization_backward(v, v, None, mean, var, axis=axis, mode=mode)
        assert gradients.dw.shape == shape
        assert_array_equal(gradients.dgain, np.zeros(shape[axis]))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_filter(bad: float) -> None:
    w, dw = data(5, 40), data(5, 40, seed=1)
    spoilt = w.copy()
    spoilt[2, 7] = bad
    others = [0, 1, 3, 4]
    for mode in MODES:
        results = []
        for x in (w, spoilt):
            y, mean, var = fn.weight_standardization_forward(x, mode=mode)
            results.append((y, *fn.weight_standardization_backward(dw, x, None, mean, var, mode=mode)))
        for want, got in zip(*results, strict=True):
            assert_array_equal(got[others], want[others])
            assert np.isnan(got[2]).all()
    y = fn.weight_norm(spoilt, np.ones((5, 1)))
    assert_array_equal(y[others], fn.weight_norm(w, np.ones((5, 1)))[others])
    assert np.isnan(y[2]).all() if np.isnan(bad) else np.isnan(y[2, 7])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_any_memory_layout_and_in_place(axis: int, dtype: str) -> None:
    w, gain = data(6, 4, 8, dtype=dtype), data((6, 4, 8)[axis], dtype=dtype, seed=1)
    g = gain.reshape(kept(w.shape, axis))
    space = np.zeros((6, 8, 9), dtype)
    strided = space[::-1, :, 1::2].transpose(0, 2, 1)
    strided[...] = w
    calls = {
        "norm": lambda x, out: fn.weight_norm(x, g, axis=axis, out=out),
        "standardization": lambda x, out: fn.weight_standardization(x, gain, axis=axis, scale=0.7, out=out),
    }
    for name, call in calls.items():
        expected = call(w, None)
        for x in (w, strided, np.asfortranarray(w)):
            assert_array_equal(call(x, None), call(x, np.empty_like(w)), err_msg=name)
            # Sums go along the memory, so another layout may differ in the last bits.
            assert_allclose(call(x, None).astype(float), expected.astype(float), rtol=1e-2 if w.itemsize < 4 else 1e-5)
        out = strided.copy(order="K")
        assert call(out, out) is out
        assert_array_equal(out, call(strided, None), err_msg=name)


def test_wider_parameters_have_wider_gradients() -> None:
    v = data(4, 6, dtype=np.float32)
    g = np.full((4, 1), 1 / 3)
    w, norm = fn.weight_norm_forward(v, g)
    assert w.dtype == np.float32
    assert fn.weight_norm_backward(v, v, g, norm).dg.dtype == np.float64
    _, mean, var = fn.weight_standardization_forward(v, g[:, 0], scale=1.5)
    gradients = fn.weight_standardization_backward(v, v, g[:, 0], mean, var, scale=1.5)
    assert (gradients.dw.dtype, gradients.dgain.dtype) == (np.float32, np.float64)


def test_statistics_in_float32_do() -> None:
    """The mean is taken from the weights again, so a large one costs nothing."""
    w, dw = data(4, 60, dtype=np.float32) + np.float32(1e4), data(4, 60, dtype=np.float32, seed=1)
    _, mean, var = fn.weight_standardization_forward(w)
    expected = fn.weight_standardization_backward(dw, w, None, mean, var)
    got = fn.weight_standardization_backward(dw, w, None, mean.astype("f4"), var.astype("f4"))
    assert_allclose(got.dw, expected.dw, rtol=1e-5, atol=1e-6)
    v, g = data(4, 60, dtype=np.float32), np.ones((4, 1), np.float32)
    norm = fn.weight_norm_forward(v, g).norm
    assert_allclose(
        fn.weight_norm_backward(dw, v, g, norm.astype("f4")).dv,
        fn.weight_norm_backward(dw, v, g, norm).dv,
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("axis", [0, 1])
def test_threads_change_no_bit(axis: int) -> None:
    w = data(*((3, 90_000) if axis == 0 else (90_000, 3)), dtype=np.float32)
    dw, gain = w[::-1], data(3, dtype=np.float32)
    g = gain.reshape(kept(w.shape, axis))

    def run() -> list[np.ndarray]:
        _, norm = forward = fn.weight_norm_forward(w, g, axis=axis)
        _, mean, var = standardized = fn.weight_standardization_forward(w, gain, axis=axis)
        backward = fn.weight_norm_backward(dw, w, g, norm, axis=axis)
        return [
            *forward,
            *backward,
            *standardized,
            *fn.weight_standardization_backward(dw, w, gain, mean, var, axis=axis),
        ]

    with fn.threads(1):
        expected = run()
    for n in (2, 3, 8):
        with fn.threads(n):
            for got, want in zip(run(), expected, strict=True):
                assert_array_equal(got, want)


# ---- errors ----------------------------------------------------------------------------------------------------------

V, G, GAIN = data(4, 3, 5, dtype=np.float32), np.ones((4, 1, 1), np.float32), np.ones(4, np.float32)
NORM, MEAN = np.ones((4, 1, 1)), np.ones(4)

NORM_ERRORS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"v": np.zeros((4, 3, 5), int)}, TypeError, "v must have dtype float"),
    ({"v": None}, TypeError, "v must be an array, got None"),
    ({"axis": 3}, ValueError, "axis must be from -3 to 2 for v with shape (4, 3, 5), got 3"),
    ({"axis": 1.0}, TypeError, "axis must be an integer, got float"),
    ({"v": np.zeros((), np.float32)}, ValueError, "v must have one or more dimensions, got v with shape ()"),
    ({"g": GAIN}, ValueError, "g must have shape (4, 1, 1) to match axis 0 of v with shape (4, 3, 5), got (4,)"),
    ({"axis": None}, ValueError, "g must have one element for axis=None, got shape (4, 1, 1)"),
    (
        {"g": G.astype(np.float16)},
        TypeError,
        "g must have dtype float32 or float64 for v with dtype float32, got float16",
    ),
    ({"g": None}, TypeError, "g must be an array, got None"),
]
NORM_FORWARD_ERRORS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"eps": -1.0}, ValueError, "eps must be a finite number >= 0, got -1.0"),
    ({"eps": "a"}, TypeError, "eps must be a finite number >= 0, got str"),
    ({"out": np.zeros((4, 3), np.float32)}, ValueError, "out must have shape (4, 3, 5) to match v, got (4, 3)"),
    ({"out": np.zeros((4, 3, 5))}, TypeError, "out must have dtype float32 to match v, got float64"),
    ({"out": [1]}, TypeError, "out must be a numpy.ndarray, since it is written to, got list"),
]
NORM_BACKWARD_ERRORS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"dw": V[:2]}, ValueError, "dw must have shape (4, 3, 5) to match v, got (2, 3, 5)"),
    ({"dw": V.astype(np.float64)}, TypeError, "dw must have dtype float32 to match v, got float64"),
    ({"norm": MEAN}, ValueError, "norm must have shape (4, 1, 1) to match axis 0 of v with shape (4, 3, 5), got (4,)"),
    ({"norm": NORM.astype(int)}, TypeError, "norm must have dtype float32 or float64, got int64"),
]
STANDARDIZATION_ERRORS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"w": np.zeros((4, 3, 5), int)}, TypeError, "w must have dtype float"),
    ({"axis": -4}, ValueError, "axis must be from -3 to 2 for w with shape (4, 3, 5), got -4"),
    ({"axis": None}, TypeError, "axis must be an integer, got NoneType"),
    ({"gain": G}, ValueError, "gain must have shape (4,) to match axis 0 of w with shape (4, 3, 5), got (4, 1, 1)"),
    (
        {"gain": GAIN.astype(int)},
        TypeError,
        "gain must have dtype float32 or float64 for w with dtype float32, got int64",
    ),
    ({"mode": "std"}, ValueError, "mode must be one of 'var', 'std_unbiased', 'std_biased', 'max', got 'std'"),
    ({"mode": None}, TypeError, "mode must be a string, got NoneType"),
    ({"eps": np.inf}, ValueError, "eps must be a finite number >= 0, got inf"),
    ({"scale": np.nan}, ValueError, "scale must be a finite number, got nan"),
    ({"scale": None}, TypeError, "scale must be a finite number, got NoneType"),
]
STANDARDIZATION_BACKWARD_ERRORS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"dw": V[:2]}, ValueError, "dw must have shape (4, 3, 5) to match w, got (2, 3, 5)"),
    (
        {"mean": MEAN[:2]},
        ValueError,
        "mean must have shape (4,) to match the statistics of w with shape (4, 3, 5), got (2,)",
    ),
    (
        {"var": NORM},
        ValueError,
        "var must have shape (4,) to match the statistics of w with shape (4, 3, 5), got (4, 1, 1)",
    ),
]


def check(function: Any, arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}") as info:
        function(**arguments)
    assert type(info.value) is error


@pytest.mark.parametrize(("changes", "error", "text"), NORM_ERRORS + NORM_FORWARD_ERRORS)
def test_weight_norm_errors(changes: dict[str, Any], error: type[Exception], text: str) -> None:
    check(fn.weight_norm, {"v": V, "g": G} | changes, error, text)
    check(fn.weight_norm_forward, {"v": V, "g": G} | changes, error, text)


@pytest.mark.parametrize(("changes", "error", "text"), NORM_ERRORS + NORM_BACKWARD_ERRORS)
def test_weight_norm_backward_errors(changes: dict[str, Any], error: type[Exception], text: str) -> None:
    check(fn.weight_norm_backward, {"dw": V, "v": V, "g": G, "norm": NORM} | changes, error, text)


OUT_ERRORS = [(changes, error, text.replace("match v", "match w")) for changes, error, text in NORM_FORWARD_ERRORS[2:]]


@pytest.mark.parametrize(("changes", "error", "text"), STANDARDIZATION_ERRORS + OUT_ERRORS)
def test_weight_standardization_errors(changes: dict[str, Any], error: type[Exception], text: str) -> None:
    check(fn.weight_standardization, {"w": V, "gain": GAIN} | changes, error, text)
    check(fn.weight_standardization_forward, {"w": V, "gain": GAIN} | changes, error, text)


@pytest.mark.parametrize(("changes", "error", "text"), STANDARDIZATION_ERRORS + STANDARDIZATION_BACKWARD_ERRORS)
def test_weight_standardization_backward_errors(changes: dict[str, Any], error: type[Exception], text: str) -> None:
    arguments = {"dw": V, "w": V, "gain": GAIN, "mean": MEAN, "var": MEAN} | changes
    check(fn.weight_standardization_backward, arguments, error, text)


def test_one_weight_has_no_unbiased_deviation() -> None:
    text = "mode 'std_unbiased' needs two or more weights per filter, got w with shape (3, 1)"
    check(fn.weight_standardization, {"w": np.ones((3, 1)), "mode": "std_unbiased"}, ValueError, text)


def test_nothing_is_written_before_an_error() -> None:
    out = np.full_like(V, 7)
    for wrong in ({"eps": -1.0}, {"axis": 9}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            fn.weight_standardization(V, GAIN, out=out, **wrong)
        with pytest.raises(ValueError, match=next(iter(wrong))):
            fn.weight_norm(V, G, out=out, **wrong)
    assert_array_equal(out, 7)
