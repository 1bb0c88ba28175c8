"""Shapes that leave most of a vector empty: few channels last, tiny maps, short groups, filters along a middle axis."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnorm as fn
from scaled_error import backward_errors, exceeded, forward_errors, weight_norm_errors

# Rows around where they are taken together; lanes up to a vector and more.
CHANNELS = (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 31, 32, 33)
ROWS = (2, 16, 31, 64, 129, 2100)


def data(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    return (3 + 2 * np.random.default_rng([seed, *shape]).standard_normal(shape)).astype(dtype)


def strided(x: np.ndarray) -> np.ndarray:
    """The same values with gaps between all of them."""
    room = np.empty([2 * n for n in x.shape], x.dtype)
    view = room[tuple(slice(None, None, 2) for _ in x.shape)]
    view[...] = x
    return view


def amid_a_line(x: np.ndarray, first: int) -> np.ndarray:
    """The same values, some elements behind where a vector begins."""
    room = np.empty(x.size + first + 64, x.dtype)
    begin = -(room.ctypes.data // x.itemsize) % (64 // x.itemsize) + first
    view = room[begin : begin + x.size].reshape(x.shape)
    view[...] = x
    return view


def equal(got: Any, want: Any) -> None:
    for a, b in zip(got, want, strict=True):
        assert_array_equal(a, b)


def check(op: str, x: np.ndarray, **options: Any) -> None:
    """The errors of a norm, forward and backward; the same bits from data with gaps and on one thread."""
    channels = x.shape[options["axis"]]
    kind = "f8" if x.dtype == np.float64 else "f4"
    weight, bias, dy = data((channels,), kind, 1), data((channels,), kind, 2), data(x.shape, str(x.dtype), 3)
    forward, backward = getattr(fn, f"{op}_forward"), getattr(fn, f"{op}_backward")
    got = forward(x, weight=weight, bias=bias, **options)
    mean, rstd = got[1:]
    saved = {"weight": weight, "mean": mean, "rstd": rstd, **options}
    gradients = backward(dy, x, **saved)
    assert not exceeded(forward_errors(op, got, x, weight, bias, **options)), (x.shape, options)
    exact = x.dtype != np.float64  # one float64 mean of float64 data is rounded
    assert not exceeded(backward_errors(op, gradients, dy, x, weight, recentred=exact, **options)), (x.shape, options)
    equal(forward(strided(x), weight=weight, bias=bias, **options), got)
    equal(backward(strided(dy), strided(x), **saved), gradients)
    for first in (0, 1, 7):
        out = amid_a_line(x, first)
        equal(forward(amid_a_line(x, 3), weight=weight, bias=bias, out=out, **options), got)
    with fn.threads(1):
        equal(forward(x, weight=weight, bias=bias, **options), got)
        equal(backward(dy, x, **saved), gradients)
    if op == "batch_norm":
        running = data((channels,), kind, 4), np.abs(data((channels,), kind, 5)) + 1
        y = fn.batch_norm(x, *running, weight, bias, **options)
        assert_array_equal(fn.batch_norm(strided(x), *running, weight, bias, **options), y)
        from_first = fn.batch_norm(np.moveaxis(x, options["axis"], 1).copy(), *running, weight, bias)
        assert_array_equal(np.moveaxis(from_first, 1, options["axis"]), y)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("channels", CHANNELS)
def test_few_channels_last(channels: int, dtype: str) -> None:
    for rows in ROWS:
        x = data((rows, channels), dtype)
        check("batch_norm", x, axis=-1)
        check("instance_norm", data((2, rows, channels), dtype), axis=-1)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("maps", [(1, 2), (2, 2), (1, 4), (3, 3), (5, 6), (4, 8)])
def test_tiny_maps(maps: tuple[int, int], dtype: str) -> None:
    for samples, channels in ((1, 7), (15, 3), (16, 40), (70, 5), (1100, 2)):
        check("batch_norm", data((samples, channels, *maps), dtype), axis=1)
        check("instance_norm", data((samples, channels, *maps), dtype), axis=1)
        check("instance_norm", data((samples, *maps, channels), dtype), axis=-1)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("channels", [2, 6, 32, 48])
def test_groups_of_few_channels(channels: int, dtype: str) -> None:
    for groups in (g for g in (1, 2, 3, 16, 32) if channels % g == 0):
        for shape in ((200, channels), (130, channels, 1, 3)):
            check("group_norm", data(shape, dtype), num_groups=groups, axis=1)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [((40, 6, 3, 3), 1), ((16, 5, 1, 31), 1), ((70, 20, 7), 2), ((33, 4, 3), 2), ((9, 8, 5), 1), ((300, 2, 2, 2), 1)],
)
def test_filters_along_any_axis(shape: tuple[int, ...], axis: int, dtype: str) -> None:
    v, g = data(shape, dtype), data(tuple(n if a == axis else 1 for a, n in enumerate(shape)), dtype, 1)
    got = fn.weight_norm_forward(v, g, axis=axis)
    assert not exceeded(weight_norm_errors(got, v, g, axis=axis))
    equal(fn.weight_norm_forward(strided(v), g, axis=axis), got)
    first = fn.weight_norm(np.ascontiguousarray(np.moveaxis(v, axis, 0)), np.moveaxis(g, axis, 0), axis=0)
    np.testing.assert_allclose(
        np.moveaxis(first, 0, axis).astype(float), got.w.astype(float), rtol=4 * np.finfo(dtype).eps
    )


@pytest.mark.parametrize("op", ["batch_norm", "layer_norm"])
def test_masks_of_few_channels(op: str) -> None:
    """What does not count changes nothing: the same bits whatever lies there."""
    rng = np.random.default_rng(0)
    for shape in ((70, 3), (5, 31, 4), (40, 200), (3, 2, 1500)):
        where = rng.random(shape) < 0.5
        x, dy = data(shape, "float32"), data(shape, "float32", 1)
        other = np.where(where, x, np.float32(np.nan))
        forward, backward = getattr(fn, f"{op}_forward"), getattr(fn, f"{op}_backward")
        got, want = forward(other, axis=-1, where=where), forward(x, axis=-1, where=where)
        equal(got[1:], want[1:])
        assert_array_equal(got.y[where], want.y[where])
        saved = want[1:]
        for a, b in zip(
            backward(dy, other, None, *saved, axis=-1, where=where),
            backward(dy, x, None, *saved, axis=-1, where=where),
            strict=True,
        ):
            assert_array_equal(a, b)
