"""Float64 of any scale: data whose squares over- or underflow are normalized as if they had been scaled before."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnorm as fn
from fastnorm import reference

Array = np.ndarray[Any, np.dtype[Any]]

POWERS = [-996, -664, -540, -480, 480, 500, 512, 664, 996]  # 1e-300 to 1e300
TOLERANCE = 16 * 2.0**-53
FORWARDS: dict[str, tuple[tuple[int, ...], Callable[..., Any]]] = {
    "layer": ((5, 40), lambda m, x, **o: m.layer_norm_forward(x, **o)),
    "layer, long rows": ((2, 5000), lambda m, x, **o: m.layer_norm_forward(x, **o)),
    "layer, columns": ((40, 5), lambda m, x, **o: m.layer_norm_forward(x, axis=0, **o)),
    "layer, long columns": ((3000, 3), lambda m, x, **o: m.layer_norm_forward(x, axis=0, **o)),
    "rms": ((5, 40), lambda m, x, **o: m.rms_norm_forward(x, **o)),
    "rms, long rows": ((2, 5000), lambda m, x, **o: m.rms_norm_forward(x, **o)),
    "batch": ((6, 3, 50), lambda m, x, **o: m.batch_norm_forward(x, **o)),
    "batch, channels last": ((60, 3), lambda m, x, **o: m.batch_norm_forward(x, axis=-1, **o)),
    "group": ((4, 6, 20), lambda m, x, **o: m.group_norm_forward(x, 2, **o)),
    "group, channels last": ((4, 20, 6), lambda m, x, **o: m.group_norm_forward(x, 2, axis=-1, **o)),
    "instance": ((4, 6, 20), lambda m, x, **o: m.instance_norm_forward(x, **o)),
}
BACKWARDS: dict[str, tuple[tuple[int, ...], Callable[..., Any]]] = {
    "layer": ((70, 40), lambda dy, x, s: fn.layer_norm_backward(dy, x, None, *s)),
    "layer, columns": ((40, 70), lambda dy, x, s: fn.layer_norm_backward(dy, x, None, *s, axis=0)),
    "batch": ((6, 3, 50), lambda dy, x, s: fn.batch_norm_backward(dy, x, None, *s)),
    "batch, channels last": ((60, 3), lambda dy, x, s: fn.batch_norm_backward(dy, x, None, *s, axis=-1)),
    "group": ((4, 6, 20), lambda dy, x, s: fn.group_norm_backward(dy, x, 2, None, *s)),
}


def data(shape: tuple[int, ...], seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape) + 0.25


@pytest.fixture(params=[False, True], ids=["plain", "mask"])
def options(request: pytest.FixtureRequest) -> Callable[[Array], dict[str, Any]]:
    if not request.param:
        return lambda x: {}
    return lambda x: {"where": np.random.default_rng(9).random(x.shape) < 0.8}


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("name", FORWARDS)
def test_forward(name: str, power: int, options: Callable[[Array], dict[str, Any]]) -> None:
    shape, call = FORWARDS[name]
    x = data(shape)
    want = call(reference, x.astype(np.longdouble), eps=0.0, **options(x))
    y, *mean, rstd = call(fn, np.ldexp(x, power), eps=0.0, **options(x))
    assert_allclose(y, np.asarray(want[0], float), rtol=TOLERANCE, atol=TOLERANCE)
    assert_allclose(np.ldexp(rstd, power), np.asarray(want[-1], float), rtol=TOLERANCE)
    for value in mean:
        assert_allclose(np.ldexp(value, -power), np.asarray(want[1], float), rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("name", BACKWARDS)
def test_backward(name: str, power: int) -> None:
    shape, call = BACKWARDS[name]
    x, dy = data(shape), data(shape, 1)
    forward = FORWARDS[name][1]
    want = call(dy, x, forward(fn, x, eps=0.0)[1:])
    got = call(dy, np.ldexp(x, power), forward(fn, np.ldexp(x, power), eps=0.0)[1:])
    assert_allclose(np.ldexp(got[0], power), want[0], rtol=0, atol=1e-13)
    for a, b in zip(got[1:], want[1:], strict=True):
        assert_allclose(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("axis", [0, 1])
def test_weight_norm(power: int, axis: int) -> None:
    v, dw = data((7, 30)), data((7, 30), 1)
    g = data((7, 1) if axis == 0 else (1, 30), 2)
    w, norm = fn.weight_norm_forward(v, g, axis=axis)
    scaled = np.ldexp(v, power)
    got, length = fn.weight_norm_forward(scaled, g, axis=axis)
    assert_allclose(got, w, rtol=TOLERANCE)
    assert_allclose(np.ldexp(length, -power), norm, rtol=TOLERANCE)
    assert_allclose(fn.weight_norm(scaled, g, axis=axis), w, rtol=TOLERANCE)
    dv, dg = fn.weight_norm_backward(dw, v, g, norm, axis=axis)
    dv_got, dg_got = fn.weight_norm_backward(dw, scaled, g, length, axis=axis)
    assert_allclose(np.ldexp(dv_got, power), dv, rtol=0, atol=1e-13)
    assert_allclose(dg_got, dg, rtol=0, atol=1e-13)


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("mode", ["var", "std_unbiased", "std_biased", "max"])
def test_weight_standardization(power: int, mode: Any) -> None:
    w, dw = data((7, 30)), data((7, 30), 1)
    want, mean, var = fn.weight_standardization_forward(w, mode=mode, eps=0.0)
    scaled = np.ldexp(w, power)
    got, mean_got, var_got = fn.weight_standardization_forward(scaled, mode=mode, eps=0.0)
    assert_allclose(got, want, rtol=TOLERANCE, atol=TOLERANCE)
    assert_allclose(np.ldexp(mean_got, -power), mean, rtol=TOLERANCE, atol=TOLERANCE)
    gradient, dgain = fn.weight_standardization_backward(dw, w, None, mean, var, mode=mode, eps=0.0)
    gradient_got, dgain_got = fn.weight_standardization_backward(
        dw, scaled, None, mean_got, var_got, mode=mode, eps=0.0
    )
    assert_allclose(np.ldexp(gradient_got, power), gradient, rtol=0, atol=1e-13)
    assert_allclose(dgain_got, dgain, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 6000), (6000, 3)])
@pytest.mark.parametrize("power", [-664, 996])
def test_a_part_of_a_group_may_be_of_another_scale(shape: tuple[int, int], power: int) -> None:
    """Blocks of a group whose own squares fit, or are zero, merge with those of others whose squares do not."""
    axis = int(np.argmax(shape))
    for low, high in [(0.0, 1.0), (2.0**-400, 1.0), (2.0**-900, 2.0**-10)]:
        x = data(shape)
        first = [slice(None)] * 2
        first[axis] = slice(0, 2048)
        x[tuple(first)] *= low
        rest = [slice(None)] * 2
        rest[axis] = slice(2048, None)
        x[tuple(rest)] *= high
        want = reference.layer_norm(x.astype(np.longdouble), axis=axis, eps=0.0)
        # What is lost below the least number is nothing beside the rest of the group.
        y = fn.layer_norm(np.ldexp(x, power), axis=axis, eps=0.0)
        assert_allclose(y, np.asarray(want, float), rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("value", [1e-300, 1e-200, 1e160, 2e305, 1.7e308, -1.7e308])
@pytest.mark.parametrize("shape", [(2, 40), (2, 3000)])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("eps", [0.0, 1e-5])
def test_equal_values_give_exactly_the_bias(value: float, shape: tuple[int, int], axis: int, eps: float) -> None:
    x = np.full(shape if axis == 1 else shape[::-1], value)
    bias = np.arange(float(x.shape[axis]))
    y, mean, rstd = fn.layer_norm_forward(x, None, bias, axis=axis, eps=eps)
    assert_array_equal(y, np.broadcast_to(bias if axis == 1 else bias[:, None], x.shape))
    assert_array_equal(mean, np.full_like(mean, value))
    assert_allclose(rstd, eps**-0.5 if eps else 0.0, rtol=1e-15)
    _, mean, m2 = fn.moments(x, axis=axis)
    assert_array_equal(mean, np.full_like(mean, value))
    assert_array_equal(m2, np.zeros_like(m2))


@pytest.mark.parametrize(("power", "eps"), [(-996, 1e-5), (-996, 1e-300), (-540, 1e-310), (-540, 1e-323), (996, 1e300)])
def test_eps_is_that_of_the_data_as_they_are(power: int, eps: float) -> None:
    x = np.ldexp(data((5, 40)), power)
    exact = x.astype(np.longdouble)
    centred = exact - exact.mean(axis=-1, keepdims=True)
    rstd = 1 / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.longdouble(eps))
    result = fn.layer_norm_forward(x, eps=eps)
    assert_allclose(result.rstd, np.asarray(rstd, float), rtol=TOLERANCE)
    want = np.asarray(centred * rstd, float)
    assert_allclose(result.y, want, rtol=TOLERANCE, atol=TOLERANCE * np.abs(want).max())


def test_moments_of_large_values() -> None:
    x = 2e305 * (1 + 0.1 * data((3, 7000)))
    for values, axis in ((x, 1), (x.T.copy(), 0)):
        count, mean, m2 = fn.moments(values, axis=axis)
        assert_allclose(mean / 2e305, np.mean(x / 2e305, axis=1), rtol=1e-14)
        assert_array_equal(count, 7000.0)
        assert np.isinf(m2).all(), "no float64 is as large"


def test_running_statistics_of_large_values() -> None:
    x = 1e120 * data((64, 3))
    mean, var = np.zeros(3), np.ones(3)
    fn.batch_norm_forward(x, running_mean=mean, running_var=var, momentum=1.0)
    assert_allclose(mean, x.mean(axis=0), rtol=1e-14)
    assert_allclose(var, x.var(axis=0, ddof=1), rtol=1e-13)


@pytest.mark.parametrize("power", [-996, 996])
def test_special_values_stay_in_their_group(power: int) -> None:
    x = np.ldexp(data((4, 3000)), power)
    want = fn.layer_norm(x, eps=0.0)
    x[1, 2500], x[2, 7] = np.nan, np.inf
    y = fn.layer_norm(x, eps=0.0)
    assert np.isnan(y[1:3]).all()
    assert_array_equal(y[::3], want[::3])
    y = fn.rms_norm(x, eps=0.0)
    assert_array_equal(y[2], np.where(np.isinf(x[2]), np.nan, np.copysign(0.0, x[2])))
    assert np.isnan(y[1]).all()
