"""Steps around a norm: activations, residual sums, output in bytes."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnorm as fn
from fastnorm.reference import _activation
from scaled_error import exceeded, half_ulp, unit_roundoff

Array = npt.NDArray[Any]

ACTIVATIONS = ["relu", "silu", "gelu", "gelu_tanh"]
DTYPES = ["float16", "float32", "float64"]


@pytest.fixture(params=ACTIVATIONS)
def activation(request: pytest.FixtureRequest) -> str:
    return request.param


def through(activation: str, z: Array) -> Array:
    """The activation alone: ``(z - 0) * 1``."""
    constants = np.zeros(1, z.dtype), np.ones(1, z.dtype)
    return fn.batch_norm(z.reshape(-1, 1), *constants, eps=0.0, activation=activation).ravel()


def slope(activation: str, z: Array) -> Array:
    """Its derivative alone."""
    column, one = z.reshape(-1, 1), np.ones(1)
    gradients = fn.batch_norm_backward(
        np.ones_like(column), column, None, np.zeros(1), one, training=False, activation=activation
    )
    return gradients.dx.ravel()


def points(dtype: str) -> Array:
    """Values of every size, close to each other where the functions bend."""
    rng = np.random.default_rng(0)
    wide = rng.standard_normal(5000) * np.exp(rng.uniform(-20, 5, 5000))
    z = np.concatenate([np.linspace(-12, 12, 20_001), wide, [0.0, -0.0, 40.0, -40.0, 700.0, -700.0]])
    return z.astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_activations_on_every_target(activation: str, dtype: str, simd_target: str) -> None:
    """Within four units of the largest slope times z; relative to the result where that is not tiny."""
    z = points(dtype)
    expected = _activation.activate(activation, z.astype(np.longdouble))
    error = np.abs(through(activation, z) - expected)
    u = unit_roundoff(dtype)
    half = 1.001 * half_ulp(expected, dtype)
    assert (error <= 4 * u * 1.13 * np.abs(z) + half).all()
    large = np.abs(expected) > 1e-2 * np.abs(z)
    # The reference has erfc in float64 only.
    assert (error <= (16 if dtype == "float64" else 8) * u * np.abs(expected) + half)[large].all()


@pytest.mark.parametrize(("name", "least", "units"), [("gelu", -13.5, 6), ("silu", -86.9, 4)])
def test_activations_are_exact_far_below_zero(name: str, least: float, units: int, simd_target: str) -> None:
    """Relative to the result, wherever it is a normal number; products are rounded where they are not fused."""
    units += 2 * (simd_target in ("SSE4", "BASELINE"))
    z = np.random.default_rng(0).uniform(least, 6, 100_000).astype(np.float32)
    expected = _activation.activate(name, z.astype(np.float64))
    normal = np.abs(expected) >= np.finfo(np.float32).tiny
    error = np.abs(through(name, z) - expected)[normal] / np.abs(expected[normal])
    assert error.max() <= units * unit_roundoff("float32")


@pytest.mark.parametrize("dtype", DTYPES)
def test_slopes_on_every_target(activation: str, dtype: str, simd_target: str) -> None:
    z = points(dtype)
    expected = _activation.derivative(activation, z.astype(np.longdouble))
    error = np.abs(slope(activation, z) - expected) - half_ulp(expected, dtype)
    # The slope is steep in z where z is, and z*change cancels with the gate there.
    assert (error <= 8 * unit_roundoff(dtype) * (1.13 + np.minimum(np.abs(z), 12))).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_activations_of_special_values(activation: str, dtype: str, simd_target: str) -> None:
    z = np.array([np.nan, 0.0, -0.0, np.finfo(dtype).max, -np.finfo(dtype).max], dtype=dtype)
    y = through(activation, z)
    assert np.isnan(y[0])
    np.testing.assert_array_equal(y[1:4], [0, 0, z[3]])
    assert abs(y[4]) <= np.finfo(dtype).tiny
    d = slope(activation, z)
    assert np.isnan(d[0])
    np.testing.assert_allclose(d[1:], [0.0 if activation == "relu" else 0.5] * 2 + [1.0, 0.0], rtol=1e-6, atol=0)


def test_activation_against_scipy() -> None:
    special = pytest.importorskip("scipy.special")
    z = np.linspace(-6, 6, 1001).astype(np.float32)
    wide = z.astype(float)
    np.testing.assert_allclose(through("gelu", z), wide * special.ndtr(wide), rtol=0, atol=1e-6)
    np.testing.assert_allclose(through("silu", z), wide * special.expit(wide), rtol=0, atol=1e-6)


def draw(norm: Any, groups: int, n: int, dtype: str) -> dict[str, Array]:
    rng = np.random.default_rng([groups, n])
    x, dy = norm.put((3 + 2 * rng.standard_normal((2, groups, n))[0]).astype(dtype)), rng.standard_normal((groups, n))
    shape = norm.parameters(x)
    weight, bias = rng.uniform(-2, 2, shape), rng.uniform(-1, 1, shape)
    return {"x": x, "dy": norm.put(dy.astype(dtype)), "weight": weight.astype(dtype), "bias": bias.astype(dtype)}


@pytest.mark.parametrize("n", [3, 64, 200, 1030])
def test_norm_with_activation(norm: Any, dtype: str, activation: str, n: int) -> None:
    a = draw(norm, 6, n, dtype)
    dy = a.pop("dy")
    errors = norm.forward_errors(**a, activation=activation)
    errors |= norm.backward_errors(dy, **a, activation=activation)
    assert not exceeded(errors), errors


def test_activation_after_extreme_statistics(norm: Any, activation: str) -> None:
    """Groups that go through double arithmetic."""
    a = draw(norm, 6, 64, "float32")
    dy = a.pop("dy")
    a["x"] = (a["x"] - 3) * np.float32(1e35)
    if not norm.evaluates:
        assert not exceeded(norm.forward_errors(**a, activation=activation))
        a["weight"] = np.abs(a["weight"])
        gradients = norm.backward(dy, a["x"], a["weight"], norm.forward(a["x"]), activation=activation, bias=a["bias"])
        assert np.isfinite(gradients.dweight).all()
        assert np.isfinite(gradients.dx).all()


def test_activation_gradient_needs_no_dx(norm: Any, activation: str) -> None:
    a = draw(norm, 6, 40, "float32")
    result = norm.forward(a["x"])
    some = [norm.backward(**a, result=result, activation=activation, grad_mask=m)
            for m in ((True, True, True), (False, True, True))]  # fmt: skip
    np.testing.assert_array_equal(some[0].dweight, some[1].dweight)
    np.testing.assert_array_equal(some[0].dbias, some[1].dbias)


# ---- residual sums ---------------------------------------------------------------------------------------------------


SHAPES = [((5, 33), -1), ((70, 64), -1), ((3, 5000), -1), ((4, 6, 7), (0, 2)), ((9, 40), 0), ((2, 70_000), -1)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
@pytest.mark.parametrize("op", ["layer_norm", "rms_norm"])
def test_fused_sum_is_the_sum_and_the_norm(op: str, shape: Any, axis: Any, dtype: str, num_threads: int) -> None:
    rng = np.random.default_rng(1)
    x, residual = rng.standard_normal((2, *shape)).astype(dtype)
    h = x + residual
    weight = rng.standard_normal([shape[a] for a in np.atleast_1d(axis)]).astype(dtype)
    plain = getattr(fn, f"{op}_forward")(h, weight, axis=axis, activation="silu")
    fused = getattr(fn, f"add_{op}_forward")(x, residual, weight, axis=axis, activation="silu")
    np.testing.assert_array_equal(fused.h, h)
    np.testing.assert_array_equal(fused.y, plain.y)
    for name in plain._fields[1:]:
        np.testing.assert_array_equal(getattr(fused, name), getattr(plain, name))
    inference = getattr(fn, f"add_{op}")(x, residual, weight, axis=axis, activation="silu")
    np.testing.assert_array_equal(inference.y, fused.y)
    np.testing.assert_array_equal(inference.h, h)


@pytest.mark.parametrize("out", ["y", "both", "residual", "x", "y on x", "y on residual", "crossed"])
@pytest.mark.parametrize("shape", [(5, 33), (300, 64), (2, 70_000)])
def test_fused_sum_in_place(out: str, shape: Any) -> None:
    rng = np.random.default_rng(2)
    x, residual = rng.standard_normal((2, *shape)).astype(np.float32)
    expected = fn.add_layer_norm(x, residual)
    y, h = np.empty_like(x), np.empty_like(x)
    choices = {"y": y, "both": (y, h), "residual": (y, residual), "x": (None, x), "y on x": x,
               "y on residual": (residual, None), "crossed": (residual, x)}  # fmt: skip
    got = fn.add_layer_norm(x, residual, out=choices[out])
    np.testing.assert_array_equal(got.y, expected.y)
    np.testing.assert_array_equal(got.h, expected.h)
    wanted = choices[out] if isinstance(choices[out], tuple) else (choices[out], None)
    for result, target in zip(got, wanted, strict=True):
        assert target is None or result is target


@pytest.mark.parametrize("dtype", DTYPES)
def test_large_fused_sums(dtype: str, num_threads: int) -> None:
    """From 8 MB on both results are written past the caches, and what is normalized is a second sum."""
    shape = ((9 << 20) // np.dtype(dtype).itemsize // 500, 500)
    x, residual = np.random.default_rng(3).standard_normal((2, *shape)).astype(dtype)
    weight = np.linspace(-1, 1, 500, dtype=dtype)
    got = fn.add_layer_norm(x, residual, weight)
    h = x + residual
    np.testing.assert_array_equal(got.h, h)
    np.testing.assert_array_equal(got.y, fn.layer_norm(h, weight))
    into = fn.add_layer_norm(x, residual, weight, out=(x, residual))
    np.testing.assert_array_equal(into.h, h)
    np.testing.assert_array_equal(into.y, got.y)


def test_fused_sum_with_partial_overlap() -> None:
    buffer = np.random.default_rng(3).standard_normal(330).astype(np.float32)
    x, residual = buffer[:300].reshape(10, 30).copy(), buffer[30:].reshape(10, 30)
    expected = fn.add_layer_norm(x, residual.copy())
    got = fn.add_layer_norm(x, residual, out=(buffer[:300].reshape(10, 30), None))
    np.testing.assert_array_equal(got.y, expected.y)
    np.testing.assert_array_equal(got.h, expected.h)


def test_fused_sum_of_strided_arrays() -> None:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((40, 24)).astype(np.float32).T
    residual = np.broadcast_to(rng.standard_normal(40).astype(np.float32), (24, 40))
    out = np.zeros((24, 80), np.float32)[:, ::2]
    got = fn.add_rms_norm(x, residual, out=(None, out))
    assert got.h is out
    expected = fn.add_rms_norm(np.ascontiguousarray(x), residual.copy())
    np.testing.assert_array_equal(got.h, expected.h)
    np.testing.assert_allclose(got.y, expected.y, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axis"), SHAPES[:-1])
@pytest.mark.parametrize("op", ["layer_norm", "rms_norm"])
@pytest.mark.parametrize("activation", [None, "gelu"])
def test_fused_sum_backward(op: str, shape: Any, axis: Any, dtype: str, activation: Any) -> None:
    rng = np.random.default_rng(5)
    h, dy, dh = rng.standard_normal((3, *shape)).astype(dtype)
    weight, bias = rng.standard_normal((2, *[shape[a] for a in np.atleast_1d(axis)])).astype(dtype)
    more = {"axis": axis, "activation": activation}
    if op == "layer_norm":
        more["bias"] = bias
    statistics = getattr(fn, f"{op}_forward")(h, weight, axis=axis)[1:]
    got = getattr(fn, f"add_{op}_backward")(dy, dh, h, weight, *statistics, **more)
    plain = getattr(fn, f"{op}_backward")(dy, h, weight, *statistics, **more)
    np.testing.assert_array_equal(got.dweight, plain.dweight)
    np.testing.assert_array_equal(got.dbias, plain.dbias)
    # One rounding of the sum: off the exact sum by the error of dx and half a unit.
    exact = getattr(fn.reference, f"{op}_backward")(dy, h, weight, *statistics, **more).dx
    u = unit_roundoff(dtype)
    bound = (
        half_ulp(exact + dh, dtype)
        + half_ulp(exact, dtype)
        + 2 * np.abs(plain.dx - exact)
        + u * (np.abs(exact + dh) + 20 * np.abs(exact).max())
    )
    assert (np.abs(got.dx - (exact + dh)) <= bound).all()
    none = getattr(fn, f"add_{op}_backward")(dy, None, h, weight, *statistics, **more)
    np.testing.assert_array_equal(none.dx, plain.dx)
    only = getattr(fn, f"add_{op}_backward")(dy, dh, h, weight, *statistics, **more, grad_mask=(True, False, False))
    np.testing.assert_array_equal(only.dx, got.dx)


# ---- output in bytes -------------------------------------------------------------------------------------------------


def to_bytes(y: Array, scale: Any, zero_point: Any, dtype: Any) -> Array:
    """ONNX's QuantizeLinear."""
    limits = np.iinfo(dtype)
    compute = np.float64 if y.dtype == np.float64 else np.float32
    rounded = np.rint(y.astype(compute) / np.asarray(scale, compute)) + np.asarray(zero_point, compute)
    return np.clip(rounded, limits.min, limits.max).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["int8", "uint8"])
@pytest.mark.parametrize("each", [False, True])
def test_quantized_output(dtype: str, kind: str, each: bool, simd_target: str) -> None:
    rng = np.random.default_rng(6)
    limits = np.iinfo(kind)
    for shape in ((1, 1), (3, 7), (40, 33), (5, 1500), (300, 64)):
        x, residual = (2 * rng.standard_normal((2, *shape))).astype(dtype)
        n = shape[1]
        scale = rng.uniform(0.005, 0.1, n) if each else 0.03
        zero = rng.integers(limits.min, limits.max + 1, n) if each else limits.min + 100
        q = fn.Quantize(scale, zero, kind)
        weight = rng.standard_normal(n).astype(dtype)
        expected = to_bytes(fn.layer_norm(x, weight), scale, zero, kind)
        got = fn.layer_norm(x, weight, quantize=q)
        assert got.dtype == kind
        np.testing.assert_array_equal(got, expected)
        out = np.zeros((n, shape[0]), kind).T
        assert fn.layer_norm(x, weight, quantize=q, out=out) is out
        np.testing.assert_array_equal(out, expected)
        np.testing.assert_array_equal(
            fn.rms_norm(x, quantize=q, activation="relu"),
            to_bytes(fn.rms_norm(x, activation="relu"), scale, zero, kind),
        )
        constants = rng.standard_normal(n), rng.uniform(0.5, 2, n)
        np.testing.assert_array_equal(
            fn.batch_norm(x, *constants, quantize=q), to_bytes(fn.batch_norm(x, *constants), scale, zero, kind)
        )
        fused, plain = fn.add_layer_norm(x, residual, weight, quantize=q), fn.add_layer_norm(x, residual, weight)
        np.testing.assert_array_equal(fused.y, to_bytes(plain.y, scale, zero, kind))
        np.testing.assert_array_equal(fused.h, plain.h)
        np.testing.assert_array_equal(
            fn.add_rms_norm(x, residual, quantize=q).y, to_bytes(fn.add_rms_norm(x, residual).y, scale, zero, kind)
        )


@pytest.mark.parametrize("axis", [1, -1])
def test_quantized_channels(axis: int) -> None:
    rng = np.random.default_rng(7)
    x = rng.standard_normal((3, 6, 5, 9)).astype(np.float32)
    x = x if axis == 1 else np.ascontiguousarray(np.moveaxis(x, 1, -1))
    mean, var = rng.standard_normal(6), rng.uniform(0.5, 2, 6)
    scale = rng.uniform(0.01, 0.1, 6)
    y = fn.batch_norm(x, mean, var, axis=axis)
    expected = to_bytes(np.moveaxis(y, axis, -1), scale, 0, np.int8)
    got = fn.batch_norm(x, mean, var, axis=axis, quantize=fn.Quantize(scale))
    np.testing.assert_array_equal(np.moveaxis(got, axis, -1), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("each", ["scale", "zero_point"])
def test_one_number_beside_one_for_each_channel(dtype: str, each: str) -> None:
    """Float64 takes either without a copy: the one number was read as the first of many."""
    rng = np.random.default_rng(8)
    x = rng.standard_normal((16, 65)).astype(dtype)
    scale = rng.uniform(0.01, 0.1, 65) if each == "scale" else 0.03
    zero = rng.integers(-100, 100, 65) if each == "zero_point" else 3
    got = fn.layer_norm(x, quantize=fn.Quantize(scale, zero))
    np.testing.assert_array_equal(got, to_bytes(fn.layer_norm(x), scale, zero, np.int8))


def test_quantized_ties_limits_and_nan() -> None:
    z = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 1e30, -1e30, np.inf, -np.inf, np.nan], np.float32)
    q = fn.batch_norm(z.reshape(-1, 1), [0.0], [1.0], eps=0.0, quantize=fn.Quantize(1.0, 3)).ravel()
    np.testing.assert_array_equal(q, [3, 5, 5, 3, 1, 127, -128, 127, -128, 3])


def test_quantized_matches_onnx() -> None:
    evaluator = pytest.importorskip("onnx.reference").ReferenceEvaluator
    helper = pytest.importorskip("onnx.helper")
    node = helper.make_node("QuantizeLinear", ["y", "scale", "zero"], ["q"], axis=1)
    y = fn.layer_norm(np.random.default_rng(8).standard_normal((20, 77)).astype(np.float32))
    values = {n: helper.make_tensor_value_info(n, t, None) for n, t in (("y", 1), ("scale", 1), ("zero", 2), ("q", 2))}
    graph = helper.make_graph([node], "q", [values[n] for n in ("y", "scale", "zero")], [values["q"]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])
    scale, zero = np.linspace(0.01, 0.1, 77).astype(np.float32), np.arange(77, dtype=np.uint8)
    (expected,) = evaluator(model).run(None, {"y": y, "scale": scale, "zero": zero})
    x = np.random.default_rng(8).standard_normal((20, 77)).astype(np.float32)
    np.testing.assert_array_equal(fn.layer_norm(x, quantize=fn.Quantize(scale, zero, "uint8")), expected)


# ---- bad input -------------------------------------------------------------------------------------------------------


X = np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: fn.layer_norm(X, activation="tanh"), ValueError,
     "activation must be one of 'relu', 'silu', 'gelu', 'gelu_tanh', got 'tanh'"),
    (lambda: fn.batch_norm_forward(X, activation=1), TypeError, "activation must be a string, got int"),
    (lambda: fn.Quantize(0.0), ValueError, "scale must be finite and > 0, a normal number of float32, got 0.0"),
    (lambda: fn.Quantize(math.nan), ValueError, "scale must be finite and > 0, a normal number of float32, got nan"),
    (lambda: fn.Quantize("a"), TypeError, "scale must have a real dtype, got <U1"),
    (lambda: fn.Quantize(1.0, 200), ValueError, "zero_point must be from -128 to 127 for int8, got 200"),
    (lambda: fn.Quantize(1.0, 0.5), TypeError, "zero_point must have an integer dtype, got float64"),
    (lambda: fn.Quantize(1.0, 0, "int16"), TypeError, "dtype must be int8 or uint8, got int16"),
    (lambda: fn.Quantize(1.0, 0, "nothing"), TypeError, "dtype must be int8 or uint8, got 'nothing'"),
    (lambda: fn.layer_norm(X, quantize=0.1), TypeError, "quantize must be a Quantize, got float"),
    (lambda: fn.layer_norm(X, quantize=fn.Quantize([0.1, 0.2])), ValueError,
     "scale must have shape () or (4,) to match axis 1 of x with shape (3, 4), got (2,)"),
    (lambda: fn.layer_norm(X, quantize=fn.Quantize(0.1), out=np.empty_like(X)), TypeError,
     "out must have dtype int8 for quantize with that dtype, got float32"),
    (lambda: fn.layer_norm(X, quantize=fn.Quantize(0.1), out=np.empty((4, 3), np.int8)), ValueError,
     "out must have shape (3, 4) to match x, got (4, 3)"),
    (lambda: fn.add_layer_norm(X, X[:2]), ValueError, "residual must have shape (3, 4) to match x, got (2, 4)"),
    (lambda: fn.add_layer_norm(X, X.astype(float)), TypeError,
     "residual must have dtype float32 to match x, got float64"),
    (lambda: fn.add_rms_norm(X, X, out=(X.copy(),)), ValueError,
     "out must be an array or a pair (y, h), got a tuple of 1"),
    (lambda: fn.add_rms_norm(X, X, out=(Y := X.copy(), Y)), ValueError,
     "out[0] must not share memory with out[1], got overlapping arrays"),
    (lambda: fn.add_layer_norm(X, X, out=(None, X.copy()[:2])), ValueError,
     "out[1] must have shape (3, 4) to match x, got (2, 4)"),
    (lambda: fn.add_layer_norm_backward(X, X[0], X, None, X[:, :1], X[:, :1]), ValueError,
     "dh must have shape (3, 4) to match h, got (4,)"),
    (lambda: fn.add_layer_norm_backward(X, None, X, None, X[:, :1], X[:, :1], axis=2), ValueError,
     "axis must be from -2 to 1 for h with shape (3, 4), got 2"),
])  # fmt: skip
def test_errors(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text
