"""The metric against emulated kernels: the recommended one passes on every hard input, careless ones do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import hard_inputs
import scaled_error
from fastnorm import reference as ref
from scaled_error import backward_errors, exceeded, forward_errors

F32 = np.float32


def bfloat16() -> Any:
    return pytest.importorskip("ml_dtypes").bfloat16


def high_and_low(x: Any, mean: Any) -> Any:
    """(x - mean) in float32, the mean in two parts."""
    h = mean.astype(F32)
    return (x.astype(F32) - h) - (mean - h).astype(F32)


def kernel(x: Any, weight: Any, bias: Any, eps: float) -> ref.LayerNormForward:
    """Layer normalization in float32 with statistics in float64; in float64 where float32 has not the range."""
    _, mean, rstd = ref.layer_norm_forward(x, eps=eps)
    d = high_and_low(x, mean) * rstd.astype(F32)
    wide = (x.astype(np.float64) - mean) * rstd
    out_of_range = (rstd != 0) & ((rstd < 2.0**-100) | (rstd > 2.0**100)) | (np.abs(mean) > 2.0**126)
    xhat = np.where(out_of_range, wide, d).astype(F32)
    return ref.LayerNormForward((xhat * weight.astype(F32) + bias.astype(F32)).astype(x.dtype), mean, rstd)


def gradients(dy: Any, x: Any, weight: Any, eps: float) -> ref.Gradients:
    _, mean, rstd = ref.layer_norm_forward(x, eps=eps)
    xhat, g, r = high_and_low(x, mean) * rstd.astype(F32), dy.astype(F32) * weight.astype(F32), rstd.astype(F32)
    db, dh = (np.mean(a, axis=1, keepdims=True, dtype=np.float64).astype(F32) for a in (g, g * xhat))
    dx = r * (g - db - xhat * dh)
    sums = (np.sum(a, axis=0, dtype=np.float64).astype(weight.dtype) for a in (dy.astype(F32) * xhat, dy))
    return ref.Gradients(dx.astype(x.dtype), *sums)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid")
@pytest.mark.parametrize("n", [3, 64, 1000])
@pytest.mark.parametrize("eps", hard_inputs.EPS)
@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_recommended_kernel(name: str, eps: float, n: int) -> None:
    dtype = bfloat16() if name == "bfloat16" else np.dtype(name)
    x, rng = hard_inputs.batch(n, dtype), np.random.default_rng(0)
    weight, bias = rng.uniform(-2, 2, (2, n)).astype(dtype)
    got = kernel(x, weight, bias, eps)
    assert not exceeded(forward_errors("layer_norm", got, x, weight, bias, eps=eps))
    assert not exceeded(forward_errors("layer_norm", got.y, x, weight, bias, eps=eps))
    moderate = np.abs(np.log2(got.rstd[:, 0], where=got.rstd[:, 0] > 0, out=np.zeros(len(x)))) < 60
    x, dy = x[moderate], rng.standard_normal((np.sum(moderate), n)).astype(dtype)
    assert not exceeded(backward_errors("layer_norm", gradients(dy, x, weight, eps), dy, x, weight, eps=eps))


def test_careless_kernels_fail() -> None:
    """In units of the last place of the output nothing looks wrong with these."""
    x = hard_inputs.row("mean 1e4", 1000)[None]
    y, mean, rstd = ref.layer_norm_forward(x)
    folded = x * rstd.astype(F32) - (mean * rstd).astype(F32)
    rounded = (x - mean.astype(F32)) * rstd.astype(F32)
    for careless in (folded, rounded):
        assert exceeded(forward_errors("layer_norm", careless, x))["y"] > 100
    assert set(exceeded(forward_errors("layer_norm", ref.LayerNormForward(y, mean.astype(F32), rstd), x))) == {"mean"}
    dy = np.random.default_rng(0).standard_normal(x.shape).astype(F32)
    g = ref.layer_norm_backward(dy, x, None, mean, rstd)
    wrong = g._replace(dx=g.dx + 1e-4, dweight=None, dbias=g.dbias + 1e-6 * np.abs(dy[0]))
    assert set(exceeded(backward_errors("layer_norm", wrong, dy, x))) == {"dx", "dbias"}


@pytest.mark.parametrize("activation", [None, "relu", "gelu"])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", ["float32", "float64"])
@pytest.mark.parametrize(
    ("op", "options"),
    [
        ("batch_norm", {"axis": -1}),
        ("batch_norm", {"running": (np.array([1.0, 2, 3, 4]), np.array([0.5, 1, 2, 3]))}),
        ("layer_norm", {"axis": (1, 2)}),
        ("rms_norm", {"offset": 1.0}),
        ("rms_norm", {"eps": None}),
        ("group_norm", {"num_groups": 2}),
        ("instance_norm", {}),
    ],
)  # fmt: skip
def test_rounded_reference(op: str, options: dict[str, Any], name: str, masked: bool, activation: Any) -> None:
    """The reference itself, in float64 and rounded, passes for every operation and option."""
    rng, dtype = np.random.default_rng(0), np.dtype(name)
    x, dy = rng.standard_normal((2, 5, 4, 4)).astype(dtype)
    shape = (4, 4) if op == "layer_norm" else (4,)
    weight, bias = rng.standard_normal((2, *shape)).astype(dtype)
    where = rng.random(x.shape) < 0.7 if masked else None
    running = options.get("running")
    plain = {key: value for key, value in options.items() if key != "running"}
    back = {key: value for key, value in plain.items() if key != "eps"}
    if running is None:
        got = getattr(ref, f"{op}_forward")(x, weight=weight, bias=bias, activation=activation, where=where, **plain)
        stats = {key: getattr(got, key) for key in got._fields[1:]}
        got = got._replace(y=got.y.astype(dtype))
    else:
        got = ref.batch_norm(x, *running, weight, bias, activation=activation).astype(dtype)
        stats = {"mean": running[0], "rstd": 1 / np.sqrt(running[1] + 1e-5), "training": False}
    g = getattr(ref, f"{op}_backward")(
        dy, x, weight=weight, bias=bias, activation=activation, where=where, **stats, **back
    )
    common: dict[str, Any] = {"weight": weight, "bias": bias, "activation": activation, "where": where, **options}
    errors = forward_errors(op, got, x, **common) | backward_errors(
        op, ref.Gradients(*(a.astype(dtype) for a in g)), dy, x, **common
    )
    assert {"y", "dx", "dweight", "dbias"} <= errors.keys()
    assert not exceeded(errors)
    assert name == "float64" or max(errors.values()) < 1.01  # nothing but the last rounding


@pytest.mark.parametrize("axis", [0, -1])
def test_rounded_weights(axis: int) -> None:
    rng = np.random.default_rng(0)
    v, dw = rng.standard_normal((2, 5, 3, 4)).astype(F32)
    g = rng.uniform(1, 2, (5, 1, 1) if axis == 0 else (1, 1, 4)).astype(F32)

    def rounded(result: Any) -> Any:
        return type(result)(*(a.astype(F32) for a in result))

    norm = ref.weight_norm_forward(v, g, axis=axis)
    errors = scaled_error.weight_norm_errors(rounded(norm), v, g, axis=axis)
    back = rounded(ref.weight_norm_backward(dw, v, g, norm.norm, axis=axis))
    errors |= scaled_error.weight_norm_errors(back, v, g, dw=dw, axis=axis)
    assert not exceeded(errors)
    for mode in ("var", "std_unbiased", "std_biased", "max"):
        options: dict[str, Any] = {"axis": axis, "mode": mode, "scale": 0.3}
        result = ref.weight_standardization_forward(v, g.ravel(), **options)
        back = rounded(ref.weight_standardization_backward(dw, v, g.ravel(), result.mean, result.var, **options))
        got = result._replace(w=result.w.astype(F32))
        errors = scaled_error.weight_standardization_errors(got, v, g.ravel(), **options)
        errors |= scaled_error.weight_standardization_errors(back, v, g.ravel(), dw=dw, **options)
        assert set(errors) == {"w", "mean", "var", "dw", "dgain"}
        assert not exceeded(errors)


def test_special_values() -> None:
    one = np.ones(3)
    error = scaled_error.scaled_error
    assert error(np.array([1, np.nan, 3], F32), np.array([1, np.nan, 3.0]), one, F32) == 0
    assert error(np.array([1, 2, 3], F32), np.array([1, np.nan, 3.0]), one, F32) == np.inf
    assert error(np.array([np.inf, 0, 0], F32), np.array([1e39, 0, 0.0]), one, F32) == 0
    assert error(np.array([np.inf, 0, 0], F32), np.array([1e38, 0, 0.0]), one, F32) > 1e30
    assert error(np.array([np.inf, -np.inf, 0], F32), np.array([np.inf, -np.inf, 0.0]), one, F32) == 0
    assert error(np.empty(0, F32), np.empty(0), 1.0, F32) == 0
    assert error(np.array([1 + 2.0**-23], F32), np.array([1.0]), 1.0, F32) == pytest.approx(2)
    assert error(np.array([1e-45], F32), np.array([0.0]), 0.0, F32) == pytest.approx(0.25)
    assert exceeded({"y": np.nan}).keys() == {"y"}


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_half_ulp(name: str) -> None:
    """Rounding to nearest is never further off, and somewhere as far."""
    dtype = bfloat16() if name == "bfloat16" else np.dtype(name)
    x = np.random.default_rng(0).standard_normal(10000) * np.logspace(-10, 4, 10000)
    off = np.abs(x - x.astype(F32).astype(dtype).astype(float)) / scaled_error.half_ulp(x, dtype)
    assert 0.99 < off.max() <= 1.0001
    assert scaled_error.half_ulp(0.0, np.float16) == 2.0**-25


def test_hard_inputs() -> None:
    for n in (0, 1, 2, 65, 1000):
        for name in ("float16", "float32", "float64"):
            for row, x in hard_inputs.rows(n, name):
                assert x.shape == (n,), row
                assert x.dtype == name
    names = {name for name, _ in hard_inputs.rows(100, np.float32)}
    assert names == set(hard_inputs.FAMILIES)
    assert np.array_equal(hard_inputs.row("normal", 9), hard_inputs.row("normal", 9))
    assert not np.array_equal(hard_inputs.row("normal", 9), hard_inputs.row("normal", 9, seed=1))
