"""Weights and biases that vary along any axes of the data: conditional normalization (AdaLN, AdaIN, FiLM, SPADE)."""

import itertools
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import fastnorm as fn
import gradcheck
from fastnorm import reference
from scaled_error import exceeded

Axes = tuple[bool, ...]


def patterns(ndim: int) -> list[Axes]:
    """Which axes a parameter varies along."""
    return list(itertools.product((False, True), repeat=ndim))


def parameter(x: np.ndarray, axes: Axes, seed: int, dtype: Any = None) -> np.ndarray:
    shape = [n if varies else 1 for n, varies in zip(x.shape, axes, strict=True)]
    return np.random.default_rng(seed).uniform(-2, 2, shape).astype(dtype or x.dtype)


def draw(norm: Any, groups: int, n: int, dtype: Any) -> list[np.ndarray]:
    """Gradient of the output, data."""
    rng = np.random.default_rng([groups, n])
    return [norm.put(a.astype(dtype)) for a in rng.standard_normal((2, groups, n)) + [[[0.5]], [[3]]]]


def assert_accurate(norm: Any, dy: Any, x: Any, weight: Any, bias: Any, **more: Any) -> None:
    about = f"{x.shape}, {np.shape(weight)}, {np.shape(bias)}, {more}"
    assert not exceeded(norm.forward_errors(x, weight, bias, **more)), about
    assert not exceeded(norm.backward_errors(dy, x, weight, bias=bias, **more)), about


# ---- accuracy --------------------------------------------------------------------------------------------------------


def test_every_pattern_of_axes(norm: Any, dtype: str) -> None:
    for groups, n in ((6, 12), (6, 70)):
        dy, x = draw(norm, groups, n, dtype)
        for axes in patterns(x.ndim):
            assert_accurate(norm, dy, x, parameter(x, axes, 1), parameter(x, axes, 2))


def test_weight_and_bias_of_different_shapes(norm: Any, dtype: str) -> None:
    """Also documented shapes, and none."""
    dy, x = draw(norm, 6, 12, dtype)
    documented = np.random.default_rng(3).uniform(-2, 2, norm.parameters(x)).astype(dtype)
    choices = [None, documented, *(parameter(x, axes, 1) for axes in patterns(x.ndim))]
    for weight, bias in itertools.product(choices, choices):
        assert_accurate(norm, dy, x, weight, bias)


def test_long_and_many_groups(norm: Any, dtype: str) -> None:
    for groups, n in ((3, 9000), (1200, 9)):
        dy, x = draw(norm, groups, n, dtype)
        for axes in patterns(x.ndim):
            assert_accurate(norm, dy, x, parameter(x, axes, 1), parameter(x, axes[::-1], 2))


def test_simd_targets(norm: Any, dtype: str, simd_target: str) -> None:
    dy, x = draw(norm, 6, 33, dtype)
    for axes in patterns(x.ndim):
        assert_accurate(norm, dy, x, parameter(x, axes, 1), parameter(x, axes, 2))


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu", "gelu_tanh"])
def test_activations(norm: Any, dtype: str, activation: str) -> None:
    dy, x = draw(norm, 6, 12, dtype)
    for axes in patterns(x.ndim):
        assert_accurate(norm, dy, x, parameter(x, axes, 1), parameter(x, axes[::-1], 2), activation=activation)


def test_masks_and_offset(norm: Any, dtype: str) -> None:
    dy, x = draw(norm, 6, 12, dtype)
    where = {} if norm.evaluates else {"where": np.random.default_rng(0).random(x.shape) < 0.7}
    for axes in patterns(x.ndim):
        offsets = [{}, {}] if "offset" in norm.fixed else [{"offset": 1.5}, {"offset": -2.0}]
        assert_accurate(norm, dy, x, parameter(x, axes, 1), parameter(x, axes, 2), **offsets[0])
        assert_accurate(norm, dy, x, None, parameter(x, axes, 2), **offsets[1], **where)
        assert_accurate(norm, dy, x, parameter(x, axes, 1), None, **where)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_sixteen_bits(norm: Any, kind: str) -> None:
    dtype = np.dtype(kind) if kind == "float16" else pytest.importorskip("ml_dtypes").bfloat16
    dy, x = draw(norm, 6, 12, dtype)
    for axes in patterns(x.ndim):
        for own in (dtype, np.float32, np.float64):
            assert_accurate(norm, dy, x, parameter(x, axes, 1, own), parameter(x, axes[::-1], 2, own))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(draws=st.data())
def test_any_axes_and_strides(norm: Any, draws: st.DataObject) -> None:
    groups, n = draws.draw(st.sampled_from([(3, 6), (6, 9), (6, 130)]), "shape")
    dy, x = draw(norm, groups, n, "float32")
    axes = st.tuples(*[st.booleans()] * x.ndim)
    weight, bias = (parameter(x, draws.draw(axes, name), seed) for seed, name in enumerate(("weight", "bias")))
    steps = draws.draw(st.tuples(*[st.sampled_from((1, -1))] * x.ndim), "steps")
    if draws.draw(st.booleans(), "broadcast views"):
        weight = np.broadcast_to(weight, x.shape)
    flipped = [a[tuple(slice(None, None, step) for step in steps)] for a in (dy, x, weight)]
    assert_accurate(norm, *flipped, bias)


@pytest.mark.parametrize("op", ["add_layer_norm", "add_rms_norm"])
@pytest.mark.parametrize("shape", [(4, 6, 10), (2, 40, 300)])
def test_residual_sums(op: str, shape: tuple[int, ...], dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, residual, dy, dh = rng.standard_normal((4, *shape)).astype(dtype)
    for axes in patterns(3):
        for axis in (-1, 1):
            bias = {} if "rms" in op else {"bias": parameter(x, axes[::-1], 2)}
            options: dict[str, Any] = {"axis": axis, "offset": 1.0}
            weight = parameter(x, axes, 1)
            y, h, *statistics = getattr(fn, f"{op}_forward")(x, residual, weight, **bias, **options)
            plain = op.removeprefix("add_")
            want = getattr(fn, f"{plain}_forward")(h, weight, **bias, **options)
            assert_array_equal(y, want.y)
            back = {k: v for k, v in bias.items() if k == "bias"}
            got = getattr(fn, f"{op}_backward")(dy, dh, h, weight, *statistics, **back, **options)
            ref = getattr(reference, f"{op}_backward")(dy, dh, h, weight, *statistics, **back, **options)
            for one, other in zip(got, ref, strict=True):
                assert one.shape == other.shape
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3 if dtype == "float32" else 1e-10)


# ---- gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [None, "silu"])
def test_derivatives(norm: Any, activation: Any) -> None:
    """Of the reference by complex step, of the kernels by differences."""
    dy, x = (a[..., :] for a in draw(norm, 6, 6, "float64"))
    options = norm.options(x) | {"activation": activation}
    running = options.pop("running", None)
    for axes in patterns(x.ndim):
        weight, bias = parameter(x, axes, 1), parameter(x, axes[::-1], 2)
        arguments = {"x": x, "weight": weight, "bias": bias}

        def of_reference(**a: Any) -> Any:
            if running is not None:
                return np.sum(dy * reference.batch_norm(a.pop("x"), *running, **a, **options))
            return np.sum(dy * getattr(reference, f"{norm.op}_forward")(**a, **options).y)

        def of_kernels(**a: Any) -> Any:
            return np.sum(dy * norm.output(**a, activation=activation))

        result = norm.forward(x, weight, bias, activation=activation)
        got = norm.backward(dy, x, weight, result, bias=bias, activation=activation)
        gradients = {"x": got.dx, "weight": got.dweight, "bias": got.dbias}
        gradcheck.assert_gradients(of_reference, arguments, gradients, tolerance=1e-11, directions=1)
        if activation is None:
            check: Any = {"derivative": gradcheck.central_difference, "tolerance": 1e-7, "directions": 1}
            gradcheck.assert_gradients(of_kernels, arguments, gradients, **check)


# ---- determinism, places ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("groups", "n"), [(3, 40_000), (300, 300), (15_000, 6)])
def test_threads(norm: Any, groups: int, n: int) -> None:
    dy, x = draw(norm, groups, n, "float32")
    for axes in patterns(x.ndim)[1::2]:
        weight, bias = parameter(x, axes, 1), parameter(x, axes[::-1], 2)
        with fn.threads(1):
            want = norm.outputs(dy, x, weight, bias)
        with fn.threads(3):
            got = norm.outputs(dy, x, weight, bias)
        for name, value in want.items():
            assert got[name].tobytes() == value.tobytes(), (name, axes)


def test_repeated_values_are_those_of_the_documented_shape(norm: Any, dtype: str) -> None:
    """What a parameter repeats in the shape of the data has the same y, to the bit."""
    for n in (9, 300):
        _, x = draw(norm, 6, n, dtype)
        parameters = np.random.default_rng(n).uniform(-2, 2, (2, *norm.parameters(x))).astype(dtype)
        assert_array_equal(norm.output(x, *(norm.spread(p, x) for p in parameters)), norm.output(x, *parameters))


def test_results_may_take_the_place_of_the_data(norm: Any) -> None:
    _, x = draw(norm, 6, 12, "float32")
    for axes in patterns(x.ndim):
        weight, bias = parameter(x, axes, 1), parameter(x, axes[::-1], 2)
        want = norm.output(x, weight, bias)
        copy = x.copy("K")
        norm.forward(copy, weight, bias, out=copy)
        assert_array_equal(copy, want)
    # A parameter in the shape of the data may be where the result goes.
    weight = parameter(x, (True,) * x.ndim, 1)
    want = norm.output(x, weight)
    norm.forward(x, weight, out=weight)
    assert_array_equal(weight, want)


# ---- empty, one, errors ----------------------------------------------------------------------------------------------


def test_no_samples() -> None:
    x, weight = np.zeros((0, 4, 5)), np.zeros((0, 4, 1))
    y, mean, rstd = fn.instance_norm_forward(x, weight, weight)
    gradients = fn.instance_norm_backward(x, x, weight, mean, rstd)
    assert y.shape == gradients.dx.shape == x.shape
    assert gradients.dweight.shape == gradients.dbias.shape == weight.shape


X = np.ones((2, 4, 5), "f4")


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda w: fn.layer_norm(X, w((2, 3, 5))), ValueError,
         "weight must have shape (5,) or one of as many dimensions as x that broadcasts to (2, 4, 5), got (2, 3, 5)"),
        (lambda w: fn.batch_norm_forward(X, bias=w((1, 5, 1))), ValueError,
         "bias must have shape (4,) or one of as many dimensions as x that broadcasts to (2, 4, 5), got (1, 5, 1)"),
        (lambda w: fn.instance_norm(X, w((2, 4))), ValueError,
         "weight must have shape (4,) to match axis 1 of x with shape (2, 4, 5), got (2, 4)"),
        (lambda w: fn.group_norm(X, 2, w((4, 1, 2, 1))), ValueError,
         "weight must have shape (4,) to match axis 1 of x with shape (2, 4, 5), got (4, 1, 2, 1)"),
        (lambda w: fn.rms_norm_backward(X, X, w((3, 1, 5)), w((2, 4, 1), float)), ValueError,
         "weight must have shape (5,) or one of as many dimensions as x that broadcasts to (2, 4, 5), got (3, 1, 5)"),
        (lambda w: fn.layer_norm(X, w((2, 1, 5), "f2")), TypeError,
         "weight must have dtype float32 or float64 for x with dtype float32, got float16"),
        (lambda w: fn.batch_norm_backward_apply(X, X, w((2, 4, 1)), *w((4, 4), float), 10), ValueError,
         "weight must have shape (4,) to match axis 1 of x with shape (2, 4, 5), got (2, 4, 1)"),
    ],
)  # fmt: skip
def test_errors(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        call(lambda shape, dtype="f4": np.ones(shape, dtype))


def test_quantized_output(norm: Any) -> None:
    """One scale for each documented value, and parameters that vary along other axes."""
    if norm.op not in ("batch_norm", "layer_norm", "rms_norm"):
        pytest.skip("does not quantize")
    norm = norm._replace(fixed={"running": True} | norm.fixed) if norm.op == "batch_norm" else norm
    _, x = draw(norm, 6, 12, "float32")
    scale = np.linspace(0.1, 0.5, int(np.prod(norm.parameters(x)))).reshape(norm.parameters(x))
    options = norm.options(x)
    running = options.pop("running", ())
    for axes in patterns(x.ndim):
        weight, bias = parameter(x, axes, 1), parameter(x, axes[::-1], 2)
        y = getattr(fn, norm.op)(x, *running, weight=weight, bias=bias, **options)
        for own in (np.float64(0.25), scale):
            got = getattr(fn, norm.op)(x, *running, weight=weight, bias=bias, quantize=fn.Quantize(own), **options)
            steps = np.float32(own) if own.ndim == 0 else norm.spread(own, x).astype("f4")
            assert_array_equal(got, np.clip(np.rint(y / steps), -128, 127))
