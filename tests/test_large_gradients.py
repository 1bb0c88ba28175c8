"""Gradients of outputs as large as float32 knows: sums that overflow in float32 are taken in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnorm as fn

Array = np.ndarray[Any, np.dtype[Any]]


def rows(activation: Any = None) -> Callable[..., Any]:
    def gradients(dy: Array, x: Array, w: Array) -> Any:
        _, mean, rstd = fn.layer_norm_forward(x, w, activation=activation)
        return fn.layer_norm_backward(dy, x, w, mean, rstd, activation=activation)

    return gradients


def added(dy: Array, x: Array, w: Array) -> Any:
    _, h, mean, rstd = fn.add_layer_norm_forward(x, x, w)
    return fn.add_layer_norm_backward(dy, dy, h, w, mean, rstd)


CALLS: dict[str, tuple[tuple[int, ...], int, Callable[..., Any]]] = {
    "layer": ((70, 100), 100, rows()),
    "layer, long rows": ((70, 3000), 3000, rows()),
    "layer, in place": ((70, 100), 100, rows("relu")),
    "layer, long rows in place": ((70, 3000), 3000, rows("relu")),
    "layer and residual": ((70, 100), 100, added),
    "layer, columns": (
        (5, 60, 70),
        60,
        lambda dy, x, w: fn.layer_norm_backward(dy, x, w, *fn.layer_norm_forward(x, axis=1)[1:], axis=1),
    ),
    "rms": ((70, 100), 100, lambda dy, x, w: fn.rms_norm_backward(dy, x, w, fn.rms_norm_forward(x).rstd)),
    "batch": ((8, 5, 300), 5, lambda dy, x, w: fn.batch_norm_backward(dy, x, w, *fn.batch_norm_forward(x)[1:])),
    "batch, one image": (
        (2, 3, 40, 40),
        3,
        lambda dy, x, w: fn.batch_norm_backward(dy, x, w, *fn.batch_norm_forward(x)[1:]),
    ),
    "batch, channels last": (
        (3000, 5),
        5,
        lambda dy, x, w: fn.batch_norm_backward(dy, x, w, *fn.batch_norm_forward(x, axis=-1)[1:], axis=-1),
    ),
    "group": (
        (4, 6, 50),
        6,
        lambda dy, x, w: fn.group_norm_backward(dy, x, 2, w, *fn.group_norm_forward(x, 2)[1:]),
    ),
    "group, channels last": (
        (4, 50, 6),
        6,
        lambda dy, x, w: fn.group_norm_backward(dy, x, 2, w, *fn.group_norm_forward(x, 2, axis=-1)[1:], axis=-1),
    ),
    "weight norm": (
        (70, 100),
        70,
        lambda dy, x, w: fn.weight_norm_backward(dy, x, w[:, None], fn.weight_norm_forward(x, w[:, None]).norm),
    ),
}


def gradients(shape: tuple[int, ...], kind: str) -> Array:
    rng = np.random.default_rng(1)
    if kind == "all":
        dy = rng.uniform(-1e38, 1e38, shape)
    elif kind == "one sign":
        dy = rng.uniform(0.5e38, 1e38, shape)
    else:
        dy = rng.normal(size=shape)
        dy[3:5] *= 3e37
    return dy.astype(np.float32)


@pytest.mark.parametrize("kind", ["all", "one sign", "some"])
@pytest.mark.parametrize("place", ["contiguous", "strided"])
@pytest.mark.parametrize("name", CALLS)
def test_sums_do_not_overflow(name: str, place: str, kind: str) -> None:
    shape, parameters, call = CALLS[name]
    if kind == "some" and shape[0] < 5:
        shape = (6, *shape[1:])
    x = (np.random.default_rng(0).normal(size=shape) * 50 + 3).astype(np.float32)
    w = np.random.default_rng(2).uniform(0.5, 1.0, parameters).astype(np.float32)
    dy = gradients(shape, kind)
    if place == "strided":
        x, dy = np.repeat(x, 2, axis=-1)[..., ::2], np.repeat(dy, 2, axis=-1)[..., ::2]
    want = call(dy.astype(float), x.astype(float), w.astype(float))
    got = call(dy, x, w)
    assert np.isfinite(got[0]).all()
    assert_allclose(got[0], want[0], rtol=1e-4, atol=1e-5 * np.abs(want[0]).max())
    with np.errstate(over="ignore"):
        for a, b in zip(got[1:], want[1:], strict=True):
            assert_allclose(a, b.astype(np.float32), rtol=1e-4, atol=1e-5 * min(np.abs(b).max(), 1e38))
    with fn.threads(1):
        for a, b in zip(call(dy, x, w), got, strict=True):
            assert_array_equal(a, b)


def test_bfloat16() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    shape, parameters, call = CALLS["layer"]
    x = (np.random.default_rng(0).normal(size=shape) * 50).astype(ml_dtypes.bfloat16)
    w, dy = np.ones(parameters, np.float32), gradients(shape, "all").astype(ml_dtypes.bfloat16)
    want = call(dy.astype(float), x.astype(float), w.astype(float))
    dx = call(dy, x, w)[0].astype(float)
    assert_allclose(dx, want[0], rtol=2.0**-7, atol=2.0**-8 * np.abs(want[0]).max())


def test_gradients_that_are_not_finite_stay_in_their_row() -> None:
    shape, parameters, call = CALLS["layer"]
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    w, dy = np.ones(parameters, np.float32), np.random.default_rng(1).normal(size=shape).astype(np.float32)
    want = call(dy, x, w)
    dy[3, 5] = np.nan
    dx, dweight, dbias = call(dy, x, w)
    assert np.isnan(dx[3]).all()
    others = np.arange(len(x)) != 3
    assert_array_equal(dx[others], want[0][others])
    assert np.isnan(dbias[5])
    assert np.isnan(dweight[5])
    assert np.isfinite(np.delete(dbias, 5)).all()
