"""The reference's normalizations: statistics, special values, dtypes, parts of a batch, folding."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fastnorm import reference as ref


def data(shape: tuple[int, ...]) -> Any:
    """Normal data off zero."""
    return 1.5 * np.random.default_rng(0).standard_normal(shape) + 0.5


@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("ddof", [0, 1])
def test_running_statistics(axis: int, ddof: int) -> None:
    x = data((4, 3, 5))
    channels = x.shape[axis]
    over = tuple(a for a in range(3) if a != axis % 3)
    for op, mean, var in [
        ("batch_norm", x.mean(over), x.var(over, ddof=ddof)),
        ("instance_norm", x.mean(over), x.var(over[1], ddof=ddof).mean(0)),
    ]:
        forward = getattr(ref, f"{op}_forward")
        buffers = np.full(channels, 2.0, np.float32), np.full(channels, 3.0)
        forward(x, running_mean=buffers[0], running_var=buffers[1], axis=axis, momentum=0.25, ddof=ddof)
        assert_allclose(buffers[0], 1.5 + 0.25 * mean, rtol=1e-6)
        assert_allclose(buffers[1], 2.25 + 0.25 * var, rtol=1e-13)
        forward(x, running_mean=buffers[0], running_var=buffers[1], axis=axis, where=np.False_)
        assert_allclose(buffers[0], 1.5 + 0.25 * mean, rtol=1e-6)
        assert_allclose(buffers[1], 2.25 + 0.25 * var, rtol=1e-13)


def test_running_variance_of_one_value() -> None:
    """A channel of which the mask leaves one value has a mean and no variance, nor has a sample of that kind."""
    x, where = data((3, 2, 4)), np.zeros((3, 2, 4), bool)
    where[0, 0, 1] = where[:2, 1] = True
    for forward in (ref.batch_norm_forward, ref.instance_norm_forward):
        mean, var = np.full(2, 2.0), np.full(2, 3.0)
        forward(x, None, None, mean, var, momentum=1.0, where=where)
        assert_allclose(mean, [x[0, 0, 1], x[:2, 1].mean()])
        own = x[:2, 1].var(ddof=1) if forward is ref.batch_norm_forward else x[:2, 1].var(1, ddof=1).mean()
        assert_allclose(var, [3.0, own])


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_residual_is_rounded(name: str) -> None:
    dtype = np.dtype(pytest.importorskip("ml_dtypes").bfloat16 if name == "bfloat16" else name)
    x, residual = np.random.default_rng(0).standard_normal((2, 50, 7)).astype(dtype)
    y, h = ref.add_layer_norm(x, residual)
    assert h.dtype == dtype
    assert y.dtype == np.float64
    assert_array_equal(h, x + residual)
    assert_array_equal(y, ref.layer_norm(h))
    assert_array_equal(ref.add_rms_norm(x, residual).y, ref.rms_norm(h))


def test_parts_of_a_batch() -> None:
    """Moments, sums and gradients of parts, one of them empty, are those of the whole."""
    x, weight = data((13, 3, 2)), np.array([1.0, -2.0, 3.0])
    dy = np.random.default_rng(1).standard_normal(x.shape)
    whole = ref.batch_norm_forward(x, weight)
    expected = ref.batch_norm_backward(dy, x, weight, whole.mean, whole.rstd)
    parts = [slice(0, 5), slice(5, 5), slice(5, 13)]
    merged = ref.merge_moments([ref.moments(x[p], axis=(0, 2)) for p in parts])
    assert_array_equal(merged.count, 26)
    assert_allclose(merged.mean, whole.mean, rtol=1e-14)
    assert_allclose(merged.m2 / merged.count, x.var((0, 2)), rtol=1e-14)
    sums = [ref.batch_norm_backward_reduce(dy[p], x[p], whole.mean, whole.rstd) for p in parts]
    sum_dy, sum_dy_xhat = (sum(s) for s in zip(*sums, strict=True))
    assert_allclose(sum_dy, expected.dbias, rtol=1e-12)
    assert_allclose(sum_dy_xhat, expected.dweight, rtol=1e-12)
    apply = [
        ref.batch_norm_backward_apply(dy[p], x[p], weight, whole.mean, whole.rstd, sum_dy, sum_dy_xhat, merged.count)
        for p in parts
    ]
    assert_allclose(np.concatenate(apply), expected.dx, atol=1e-14)


@pytest.mark.parametrize("keepdims", [False, True])
def test_moments(keepdims: bool) -> None:
    x, where = data((4, 5, 3)), np.random.default_rng(1).random((4, 5, 3)) < 0.5
    for axis in (None, 1, (0, -1)):
        got = ref.moments(x, axis=axis, keepdims=keepdims, where=where)
        assert_array_equal(got.count, np.sum(where, axis=axis, keepdims=keepdims))
        assert_allclose(got.mean, np.mean(x, axis=axis, keepdims=keepdims, where=where))
        assert_allclose(got.m2 / got.count, np.var(x, axis=axis, keepdims=keepdims, where=where), atol=1e-15)
    nothing = ref.moments(np.empty((0, 3)), axis=0)
    assert not any(a.any() for a in nothing)
    assert_array_equal(ref.merge_moments([nothing, ref.moments(x[0], axis=0)]).mean, ref.moments(x[0], axis=0).mean)


@pytest.mark.parametrize("axis", [0, 1])
def test_folding(axis: int) -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((6, 4)), rng.standard_normal((3, 4))
    bias, mean, gamma, beta = rng.standard_normal((4, 3))
    var = rng.random(3)
    expected = ref.batch_norm(x @ weight.T + bias, mean, var, gamma, beta)
    folded = ref.fold_batch_norm(weight if axis == 0 else weight.T, bias, mean, var, gamma, beta, axis=axis)
    assert_allclose(x @ (folded.weight.T if axis == 0 else folded.weight) + folded.bias, expected, rtol=1e-12)
    plain = ref.fold_batch_norm(weight, None, mean, var)
    assert_allclose(x @ plain.weight.T + plain.bias, ref.batch_norm(x @ weight.T, mean, var), rtol=1e-12)


def test_constant_groups() -> None:
    x = np.array([[1234.0], [0.1], [-3e38], [0.0]]).repeat(4099, 1)
    y, mean, rstd = ref.layer_norm_forward(x, bias=np.linspace(0, 1, 4099), eps=0.0)
    assert_array_equal(mean, x[:, :1])
    assert_array_equal(rstd, 0)
    assert_array_equal(y, np.linspace(0, 1, 4099)[None].repeat(4, 0))
    assert not ref.layer_norm_backward(x, x, None, mean, rstd).dx.any()
    assert_array_equal(ref.rms_norm(np.zeros((2, 3)), eps=0.0), 0)


def test_large_means_cost_nothing() -> None:
    """The output does not depend on the mean, as long as the data represent it exactly."""
    x = np.round(np.random.default_rng(0).standard_normal((3, 1000)) * 2**10) / 2**10
    far = ref.layer_norm_forward(x + 2.0**40)
    near = ref.layer_norm_forward(x)
    assert_allclose(far.y, near.y, rtol=1e-13, atol=1e-14)
    dy = np.random.default_rng(1).standard_normal(x.shape)
    one, other = (ref.layer_norm_backward(dy, a, None, r.mean, r.rstd).dx for a, r in ((x + 2.0**40, far), (x, near)))
    assert_allclose(one, other, rtol=1e-12, atol=1e-13)


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="longdouble is no wider than float64")
@pytest.mark.parametrize("mean", [0.0, 1e8, 1e14])
def test_longdouble_is_exact_enough(mean: float) -> None:
    """As the measure of float64 kernels it is off by hundredths of their unit roundoff, whatever the mean."""
    x = mean + np.random.default_rng(0).standard_normal(50)
    y, _, rstd = ref.layer_norm_forward(x.astype(np.longdouble), eps=0.0)
    values = [Fraction(v) for v in x.tolist()]
    centred = [v - sum(values) / 50 for v in values]
    var = sum(c * c for c in centred) / 50
    with localcontext() as context:
        context.prec = 60
        root = (Decimal(var.numerator) / Decimal(var.denominator)).sqrt()
        exact = [np.longdouble(str(Decimal(c.numerator) / Decimal(c.denominator) / root)) for c in centred]
        assert abs(rstd[0] * np.longdouble(str(root)) - 1) < 0.02 * 2.0**-53
    assert np.max(np.abs(y - exact) / (1 + np.abs(y))) < 0.02 * 2.0**-53


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_special_values(bad: float) -> None:
    x = np.random.default_rng(0).standard_normal((3, 5))
    clean = ref.layer_norm(x)
    x[1, 2] = bad
    y, mean, rstd = ref.layer_norm_forward(x)
    assert_array_equal(y[::2], clean[::2])
    assert np.isnan(y[1]).all()
    assert np.isnan(ref.layer_norm_backward(np.ones_like(x), x, None, mean, rstd).dx[1]).all()
    rms = ref.rms_norm(x)[1]
    assert_array_equal(np.isnan(rms), np.arange(5) == 2 if np.isinf(bad) else True)
    assert np.isinf(bad) == (rms[0] == 0)


def test_nothing() -> None:
    """Empty batches and empty groups."""
    mean, var = np.full(3, 2.0), np.full(3, 3.0)
    result = ref.batch_norm_forward(np.empty((0, 3, 4)), None, None, mean, var)
    assert result.y.shape == (0, 3, 4)
    assert (*mean, *var) == (2, 2, 2, 3, 3, 3)
    g = ref.batch_norm_backward(result.y, result.y, None, result.mean, result.rstd)
    assert_array_equal(g.dweight, np.zeros(3))
    assert_array_equal(g.dbias, np.zeros(3))
    assert np.isnan(ref.layer_norm_forward(np.empty((2, 0))).rstd).all()
    assert ref.instance_norm(np.empty((2, 0, 3))).shape == (2, 0, 3)
    assert ref.group_norm(np.empty((0, 4, 3)), 2).shape == (0, 4, 3)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64", "longdouble", "complex64"])
def test_dtypes(name: str) -> None:
    dtype = np.dtype(pytest.importorskip("ml_dtypes").bfloat16 if name == "bfloat16" else name)
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(dtype)
    wide = {"longdouble": np.longdouble, "complex64": np.complex128}.get(name, np.float64)
    result = ref.layer_norm_forward(x, activation="gelu")
    assert result.y.dtype == result.mean.dtype == result.rstd.dtype == wide
    assert_array_equal(result.y, ref.layer_norm_forward(x.astype(wide), activation="gelu").y)
    assert ref.layer_norm_backward(x, x, x[0], result.mean, result.rstd).dx.dtype == wide


def test_default_eps_of_rms_norm() -> None:
    """None is the machine epsilon of the type that the data are computed in."""
    for dtype, eps in ((np.float16, 2.0**-23), (np.float32, 2.0**-23), (np.float64, 2.0**-52)):
        x = (1e-3 * data((3, 4))).astype(dtype)
        assert_array_equal(ref.rms_norm(x, eps=None), ref.rms_norm(x, eps=eps))
        assert_array_equal(ref.add_rms_norm(x, x, eps=None).y, ref.rms_norm(x + x, eps=eps))


def test_activations() -> None:
    z = np.array([-40.0, -3.0, -0.5, 0.0, 0.5, 3.0, 40.0, np.nan])
    mean, var = np.zeros(8), np.ones(8)

    def act(name: Any) -> Any:
        return ref.batch_norm(z[None], mean, var, eps=0.0, activation=name)[0]

    def slope(name: Any) -> Any:
        return ref.batch_norm_backward(
            np.ones((1, 8)), z[None], None, mean, var, training=False, activation=name
        ).dx[0]  # fmt: skip

    assert_array_equal(act("relu"), [0, 0, 0, 0, 0.5, 3, 40, np.nan])
    assert_array_equal(slope("relu"), [0, 0, 0, 0, 1, 1, 1, 0])
    assert_allclose(act("silu")[:-1], (z / (1 + np.exp(-z)))[:-1])
    # z times the normal distribution function, to twelve digits of tables.
    assert_allclose(
        act("gelu")[1:6], [-0.00404969409489, -0.154268769363, 0, 0.345731230637, 2.99595030591], rtol=1e-11
    )
    assert_allclose(act("gelu_tanh")[:-1], act("gelu")[:-1], atol=5e-4)
    for name in ("silu", "gelu", "gelu_tanh"):
        assert np.isnan(act(name)[-1])
        assert_array_equal(act(name)[[3, 6]], [0, 40])
        assert abs(act(name)[0]) < 1e-15
        assert_allclose(slope(name)[[0, 3, 6]], [0, 0.5, 1], atol=1e-14)
