"""Rows of bytes with a scale of their own: to the bit what the definition makes of the result in floating point."""

import re
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import fastnorm as fn
import hard_inputs

FORMS = [(np.int8, True), (np.int8, False), (np.uint8, True), (np.uint8, False)]
KINDS = ["float16", "bfloat16", "float32", "float64"]


def dtype_of(kind: str) -> Any:
    return pytest.importorskip("ml_dtypes").bfloat16 if kind == "bfloat16" else np.dtype(kind)


def defined(y: np.ndarray, axis: Any, dtype: Any, symmetric: bool) -> list[np.ndarray]:
    """The definition, in NumPy."""
    limits = np.iinfo(dtype)
    wide = y.astype(np.float64 if y.dtype == np.float64 else np.float32)
    with np.errstate(all="ignore"):
        if symmetric:
            largest = np.abs(wide).max(axis=axis, keepdims=True).astype(np.float64)
            scale = (largest / 127).astype(np.float32)
            zero = np.full(scale.shape, 0 if limits.min else 128)
        else:
            low = np.minimum(wide.min(axis=axis, keepdims=True), 0).astype(np.float32)
            high = np.maximum(wide.max(axis=axis, keepdims=True), 0).astype(np.float32)
            scale = (high - low) / np.float32(255)
            zero = limits.min - low / np.where(scale == 0, 1, scale)
            zero = np.clip(np.where(np.isnan(scale), 0, np.rint(zero)), limits.min, limits.max)
        scale = np.where(scale == 0, np.float32(1), scale)
        zero = zero.astype(np.int32)
        steps = np.rint(wide / scale.astype(wide.dtype))
        q = np.where(np.isnan(steps), zero, np.clip(steps + zero, limits.min, limits.max)).astype(dtype)
    return [q, scale, zero]


def assert_defined(op: str, x: np.ndarray, *, axis: Any = -1, **more: Any) -> None:
    y = getattr(fn, op)(x, axis=axis, **more)
    for dtype, symmetric in FORMS:
        got = getattr(fn, op)(x, axis=axis, quantize=fn.QuantizeRows(dtype, symmetric), **more)
        assert isinstance(got, fn.Quantized)
        assert (got.y.dtype, got.scale.dtype, got.zero_point.dtype) == (dtype, np.float32, np.int32)
        for one, other in zip(got, defined(y, axis, dtype, symmetric), strict=True):
            assert_array_equal(one, other)


def data(*shape: int, dtype: Any = np.float32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("op", ["layer_norm", "rms_norm"])
def test_every_length(op: str, kind: str) -> None:
    dtype = dtype_of(kind)
    for n in [*range(1, 40), 63, 64, 65, 128, 1000, 1024, 1025, 4097]:
        x, weight, bias = data(5, n, dtype=dtype), data(n, dtype=dtype, seed=1), data(n, dtype=dtype, seed=2)
        assert_defined(op, x, weight=weight, bias=bias)


@pytest.mark.parametrize("op", ["layer_norm", "rms_norm"])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [((4, 6, 50), -1), ((4, 6, 50), 1), ((4, 6, 50), 0), ((4, 6, 50), (0, 2)), ((300, 700), -1), ((700, 300), 0),
     ((2, 3, 4, 70), (1, 3)), ((40_000, 5), -1), ((2, 100_000), -1), ((7,), 0)],
)  # fmt: skip
def test_shapes_and_axes(op: str, shape: tuple[int, ...], axis: Any) -> None:
    x = data(*shape)
    assert_defined(op, x, axis=axis)
    assert_defined(op, np.asfortranarray(x), axis=axis)
    assert_defined(op, data(*shape[:-1], 2 * shape[-1])[..., ::-2], axis=axis, offset=1.0, activation="gelu")


@pytest.mark.parametrize("n", [7, 64, 1000])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_hard_rows(n: int, kind: str) -> None:
    x = hard_inputs.batch(n, kind)
    assert_defined("layer_norm", x)
    assert_defined("rms_norm", x, eps=0.0)


def test_masks_and_parameters_per_sample() -> None:
    x, weight, bias = data(4, 30, 20), data(4, 1, 20, seed=1), data(4, 30, 1, seed=2)
    where = np.random.default_rng(0).random(x.shape) < 0.5
    assert_defined("layer_norm", x, weight=weight, bias=bias)
    assert_defined("rms_norm", x, weight=weight, where=where)


@pytest.mark.parametrize(("shape", "axis"), [((300, 700), -1), ((30_000, 5), -1), ((6, 50_000), -1), ((700, 300), 0)])
def test_threads(shape: tuple[int, ...], axis: int) -> None:
    for threads in (1, 2, 3, 8):
        with fn.threads(threads):
            assert_defined("layer_norm", data(*shape), axis=axis)


def test_simd_targets(simd_target: str) -> None:
    for kind in KINDS[2:]:
        for n in (3, 33, 768):
            assert_defined("rms_norm", data(40, n, dtype=kind), weight=data(n, dtype=kind, seed=1))


def test_special_rows() -> None:
    x = data(6, 9)
    x[1], x[2, 3], x[3, 4], x[4] = 0, np.nan, np.inf, 5
    assert_defined("rms_norm", x, eps=0.0)
    assert_defined("layer_norm", x)
    zeros = fn.rms_norm(x, quantize=fn.QuantizeRows())
    assert zeros.scale[1] == 1
    assert_array_equal(zeros.y[1], 0)
    assert np.isnan(zeros.scale[2])
    assert_array_equal(zeros.y[2], 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("op", ["add_layer_norm", "add_rms_norm"])
def test_residual_sums(op: str, kind: str) -> None:
    dtype = dtype_of(kind)
    for shape in ((5, 33), (300, 800)):
        x, residual = data(*shape, dtype=dtype), data(*shape, dtype=dtype, seed=1)
        weight = data(shape[1], dtype=dtype, seed=2)
        want = getattr(fn, op)(x, residual, weight)
        for form in FORMS:
            y, h = got = getattr(fn, op)(x, residual, weight, quantize=fn.QuantizeRows(*form))
            assert isinstance(got, fn.AddNorm)
            assert_array_equal(h, want.h)
            for one, other in zip(y, defined(want.y, -1, *form), strict=True):
                assert_array_equal(one, other)


def test_results_given() -> None:
    x, rows = data(6, 30), fn.QuantizeRows(np.uint8)
    want = fn.layer_norm(x, quantize=rows)
    y, scale, zero = np.empty((30, 6), np.uint8).T, np.empty((12, 1), np.float32)[::2], np.empty((6, 1), np.int32)
    got = fn.layer_norm(x, quantize=rows, out=(y, scale, zero))
    assert got.y is y
    assert got.scale is scale
    assert got.zero_point is zero
    for one, other in zip(got, want, strict=True):
        assert_array_equal(one, other)
    h = np.empty_like(x)
    sums = fn.add_layer_norm(x, x, quantize=rows, out=((y, None, zero), h))
    assert (sums.y.y is y, sums.h is h) == (True, True)
    assert_array_equal(sums.y.scale, fn.layer_norm(2 * x, quantize=rows).scale)


def test_a_residual_updated_in_place() -> None:
    x, residual = data(50, 64), data(50, 64, seed=1)
    want = fn.add_rms_norm(x, residual, quantize=fn.QuantizeRows())
    got = fn.add_rms_norm(x, residual, quantize=fn.QuantizeRows(), out=(None, residual))
    assert got.h is residual
    assert_array_equal(residual, want.h)
    assert_array_equal(got.y.y, want.y.y)


@pytest.mark.parametrize("shape", [(0, 5), (3, 0)])
def test_nothing_to_quantize(shape: tuple[int, ...]) -> None:
    y, scale, zero = fn.rms_norm(np.zeros(shape, "f4"), quantize=fn.QuantizeRows())
    assert y.shape == shape
    assert scale.shape == zero.shape == (shape[0], 1)


def test_representation() -> None:
    assert repr(fn.QuantizeRows()) == "QuantizeRows(dtype=int8, symmetric=True)"
    assert repr(fn.QuantizeRows("u1")) == "QuantizeRows(dtype=uint8, symmetric=False)"


X, ROWS = np.ones((2, 3), "f4"), fn.QuantizeRows()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: fn.QuantizeRows("f4"), TypeError, "dtype must be int8 or uint8, got float32"),
        (lambda: fn.QuantizeRows(symmetric=1), TypeError, "symmetric must be a boolean, got int"),
        (lambda: fn.layer_norm(X, quantize=ROWS, out=np.empty((2, 3), "i1")), ValueError,
         "out must be a tuple (y, scale, zero_point) for quantize with a scale for every row, got numpy.ndarray"),
        (lambda: fn.layer_norm(X, quantize=ROWS, out=(None, None)), ValueError,
         "out must be a tuple (y, scale, zero_point) for quantize with a scale for every row, got a tuple of 2"),
        (lambda: fn.layer_norm(X, quantize=ROWS, out=(X.astype("u1"), None, None)), TypeError,
         "out must have dtype int8 for quantize with that dtype, got uint8"),
        (lambda: fn.layer_norm(X, quantize=ROWS, out=(None, np.ones((2, 1)), None)), TypeError,
         "scale must have dtype float32, got float64"),
        (lambda: fn.rms_norm(X, quantize=ROWS, out=(None, None, np.ones(2, "i4"))), ValueError,
         "zero_point must have shape (2, 1) to match the statistics, got (2,)"),
        (lambda: fn.add_rms_norm(X, X, quantize=ROWS, out=(None, X.copy(), None, None)), ValueError,
         "out must be an array or a pair (y, h), got a tuple of 4"),
        (lambda: fn.batch_norm(X, X[0], X[0], quantize=ROWS), TypeError,
         "quantize must be a Quantize, got QuantizeRows"),
        (lambda: fn.layer_norm(X, quantize="rows"), TypeError, None),
    ],
)  # fmt: skip
def test_errors(call: Any, error: type[Exception], text: str | None) -> None:
    with pytest.raises(error, match=None if text is None else f"^{re.escape(text)}$"):
        call()
