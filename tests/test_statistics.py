"""Moments, their merge, and batch normalization of a batch that lies in several places."""

import re
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastnorm as fn
import hard_inputs
import scaled_error
from fastnorm import reference

U64 = 2.0**-53


def data(*shape: int, dtype: Any = np.float64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


# ---- moments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, -1, 1, (0, 2), (2, 0, 1), (-1, 1)])
@pytest.mark.parametrize("shape", [(4, 3, 5), (70, 2, 40), (3, 1, 1)])
def test_moments(shape: tuple[int, ...], axis: Any, keepdims: bool, dtype: str) -> None:
    x = (3 + 2 * data(*shape)).astype(dtype)
    got = fn.moments(x, axis=axis, keepdims=keepdims)
    ref = reference.moments(scaled_error.wide(x), axis=axis, keepdims=keepdims)
    for values, want in zip(got, ref, strict=True):
        assert isinstance(values, np.ndarray)
        assert (values.shape, values.dtype) == (want.shape, np.float64)
    assert_array_equal(got.count, ref.count)
    std = np.sqrt(ref.m2 / ref.count)
    slack = np.abs(ref.mean) * 2.0**-50
    assert scaled_error.scaled_error(got.mean, ref.mean, std, dtype, slack=slack) <= scaled_error.THRESHOLDS["mean"]
    assert scaled_error.scaled_error(got.m2, ref.m2, ref.m2, dtype) <= scaled_error.THRESHOLDS["var"]


def test_moments_of_hard_rows() -> None:
    x = hard_inputs.batch(1000)
    got, ref = fn.moments(x, axis=1), reference.moments(x, axis=1)
    std = np.sqrt(ref.m2 / ref.count)
    errors = {
        "mean": scaled_error.scaled_error(got.mean, ref.mean, std, x.dtype, slack=np.abs(ref.mean) * 2.0**-50),
        "var": scaled_error.scaled_error(got.m2, ref.m2, ref.m2, x.dtype),
    }
    assert not scaled_error.exceeded(errors)


def test_moments_are_the_statistics_of_the_norms() -> None:
    x = data(6, 4, 33, dtype=np.float32)
    count, mean, m2 = fn.moments(x, axis=(0, 2))
    saved = fn.batch_norm_forward(x, eps=0.0)
    assert_array_equal(mean, saved.mean)
    assert_allclose(1 / np.sqrt(m2 / count), saved.rstd, rtol=1e-15)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
def test_moments_of_nothing(shape: tuple[int, ...]) -> None:
    for axis in (None, 0, -1):
        got = fn.moments(np.zeros(shape, np.float32), axis=axis)
        assert got.count.shape == np.zeros(shape).sum(axis=axis).shape
        for values, want in zip(got, reference.moments(np.zeros(shape), axis=axis), strict=True):
            assert_array_equal(values, want)


def test_moments_of_one_number() -> None:
    assert tuple(fn.moments(np.array(3.0))) == (1, 3, 0)


def test_moments_of_any_layout() -> None:
    x = data(6, 8, 10)[::-1, ::2].transpose(2, 0, 1)
    for axis in (None, 0, (1, 2)):
        for got, want in zip(fn.moments(x, axis=axis), fn.moments(x.copy(), axis=axis), strict=True):
            assert_allclose(got, want, rtol=1e-12, atol=1e-15)


# ---- merging ---------------------------------------------------------------------------------------------------------


def exact(x: np.ndarray) -> fn.Moments:
    """Moments with one rounding."""
    return fn.Moments(*(np.float64(values) for values in reference.moments(x.astype(np.longdouble))))


@pytest.mark.parametrize("number", [1, 2, 3, 5, 16, 33])
@pytest.mark.parametrize("mean", [0, 1, 1e3, 1e6])
@pytest.mark.parametrize("kind", ["mixed", "sorted"])
@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="no long double here")
def test_merged_parts_are_the_whole(kind: str, mean: float, number: int) -> None:
    """Within 2 u64 kappa and what each level rounds; parts from the kernels besides with their own error."""
    x = mean + data(5000)
    if kind == "sorted":
        x = np.sort(x)
    parts = np.array_split(x, number)
    whole = reference.moments((x - x[0]).astype(np.longdouble))
    centre, std = whole.mean + x[0], np.sqrt(whole.m2 / whole.count)
    bound = U64 * (2 * np.sqrt(1 + (mean / std) ** 2) + np.log2(number))
    for merged, own in (
        (fn.merge_moments([exact(part) for part in parts]), U64),
        (fn.merge_moments([fn.moments(part) for part in parts]), 4 * U64),
    ):
        assert merged.count == 5000
        assert abs(merged.mean - centre) <= (bound + own) * std
        assert abs(merged.m2 - whole.m2) <= (bound + own) * whole.m2


def test_neighbours_are_merged_level_by_level() -> None:
    parts = [fn.moments(part) for part in np.array_split(data(700, 3), 7)]

    def merge(*pair: fn.Moments) -> fn.Moments:
        return fn.merge_moments(pair)

    ab, cd, ef, g = merge(*parts[:2]), merge(*parts[2:4]), merge(*parts[4:6]), parts[6]
    for got, want in zip(fn.merge_moments(parts), merge(merge(ab, cd), merge(ef, g)), strict=True):
        assert_array_equal(got, want)


def test_parts_without_data_change_nothing() -> None:
    x = data(50, 3) + 1e6
    nothing = fn.moments(x[:0], axis=0)
    part, other = fn.moments(x[:20], axis=0), fn.moments(x[20:], axis=0)
    strange = fn.Moments(np.zeros(3), np.full(3, np.nan), np.zeros(3))
    for parts in ([nothing, part], [part, nothing], [nothing, part, nothing, nothing], [part], [strange, part]):
        for got, want in zip(fn.merge_moments(parts), part, strict=True):
            assert_array_equal(got, want)
    for got, want in zip(
        fn.merge_moments([part, nothing, nothing, other]), fn.merge_moments([part, other]), strict=True
    ):
        assert_array_equal(got, want)
    assert [values.tolist() for values in fn.merge_moments([nothing, nothing])] == [[0.0] * 3] * 3


def test_parts_from_elsewhere() -> None:
    """Plain triples, integer counts, one count for several channels, rows of an array that was gathered."""
    x = data(10, 3)
    want = fn.moments(x, axis=0)
    got = fn.merge_moments([(4, x[:4].mean(0), 4 * x[:4].var(0)), [6, x[4:].mean(0), 6 * x[4:].var(0)]])
    gathered = np.array([fn.moments(x[:4], axis=0), fn.moments(x[4:], axis=0)])
    for merged in (got, fn.merge_moments(gathered)):
        assert isinstance(merged, fn.Moments)
        for values, expected in zip(merged, want, strict=True):
            assert values.dtype == np.float64
            assert_allclose(values, expected, rtol=1e-14, atol=1e-15)


def test_the_parts_stay_as_they_are() -> None:
    part = fn.moments(data(5))
    merged = fn.merge_moments([part])
    merged.m2[...] = -1
    assert part.m2 > 0


# ---- batch normalization in several places ---------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [0, 1e4])
@pytest.mark.parametrize("axis", [1, -1])
def test_ranks_are_the_whole_batch(axis: int, mean: float, dtype: str) -> None:
    """Ranks of 5, 0 and 8 rows: outputs, all gradients, running statistics."""
    shape = (13, 4, 6) if axis == 1 else (13, 6, 4)
    x, dy = (mean + data(*shape)).astype(dtype), data(*shape, dtype=dtype, seed=1)
    weight, bias = data(4, dtype=dtype, seed=2), data(4, dtype=dtype, seed=3)
    ranks = [slice(0, 5), slice(5, 5), slice(5, 13)]

    merged = fn.merge_moments([fn.moments(x[rank], axis=(0, 3 - axis % 3)) for rank in ranks])
    var = merged.m2 / merged.count
    rstd = 1 / np.sqrt(var + 1e-5)
    y = [fn.batch_norm(x[rank], merged.mean, var, weight, bias, axis=axis) for rank in ranks]
    result = fn.BatchNormForward(np.concatenate(y), merged.mean, rstd)
    errors = scaled_error.forward_errors("batch_norm", result, x, weight, bias, axis=axis, eps=1e-5)

    sums = [fn.batch_norm_backward_reduce(dy[r], x[r], merged.mean, rstd, axis=axis) for r in ranks]
    assert_array_equal(sums[1], 0)
    total = fn.BatchNormSums(*(np.sum(part, axis=0) for part in zip(*sums, strict=True)))
    dx = [
        fn.batch_norm_backward_apply(dy[r], x[r], weight, merged.mean, rstd, *total, merged.count, axis=axis)
        for r in ranks
    ]
    assert [part.shape for part in dx] == [x[rank].shape for rank in ranks]
    gradients = fn.Gradients(np.concatenate(dx), total.sum_dy_xhat, total.sum_dy)
    errors |= scaled_error.backward_errors(
        "batch_norm", gradients, dy, x, weight, bias, axis=axis, eps=1e-5, recentred=dtype != "float64"
    )
    # Merging rounds means to float64, which costs float64 data what the mean is in standard deviations.
    condition = 1 + mean if dtype == "float64" else 1
    assert not scaled_error.exceeded({name: error / condition for name, error in errors.items()})

    running = np.zeros(4), np.ones(4)
    fn.batch_norm_forward(x, None, None, *running, axis=axis)
    tolerance = 16 * scaled_error.unit_roundoff(dtype)
    assert_allclose(0.1 * merged.mean, running[0], rtol=tolerance, atol=tolerance)
    assert_allclose(0.9 + 0.1 * merged.m2 / (merged.count - 1), running[1], rtol=tolerance * condition)


def test_one_rank_is_the_backward() -> None:
    x, dy, weight = data(9, 5, 7, dtype=np.float32), data(9, 5, 7, dtype=np.float32, seed=1), data(5, dtype=np.float32)
    _, mean, rstd = fn.batch_norm_forward(x)
    whole = fn.batch_norm_backward(dy, x, weight, mean, rstd)
    sum_dy, sum_dy_xhat = fn.batch_norm_backward_reduce(dy, x, mean, rstd)
    assert_array_equal(sum_dy.astype(np.float32), whole.dbias)
    assert_array_equal(sum_dy_xhat.astype(np.float32), whole.dweight)
    for count in (63, 63.0, np.full(5, 63)):
        dx = fn.batch_norm_backward_apply(dy, x, weight, mean, rstd, sum_dy, sum_dy_xhat, count)
        assert_allclose(dx, whole.dx, rtol=1e-6, atol=1e-7)
    plain = fn.batch_norm_backward_apply(dy, x, None, mean, rstd, sum_dy, sum_dy_xhat, 63)
    assert_allclose(plain, fn.batch_norm_backward(dy, x, None, mean, rstd).dx, rtol=1e-6, atol=1e-7)


# ---- errors ----------------------------------------------------------------------------------------------------------

X, STAT = np.ones((6, 4), np.float32), np.ones(4)
PART = fn.moments(X, axis=0)

ERRORS: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("moments", {"x": X.astype(int)}, TypeError, "x must have dtype float"),
    ("moments", {"x": X, "axis": 2}, ValueError, "axis must be from -2 to 1 for x with shape (6, 4), got 2"),
    ("moments", {"x": X, "axis": (0, -2)}, ValueError, "axis must not repeat an axis of x with shape (6, 4)"),
    ("moments", {"x": X, "axis": "0"}, TypeError, "axis must be an integer, got str"),
    ("moments", {"x": X, "keepdims": 1}, TypeError, "keepdims must be a boolean, got int"),
    ("merge_moments", {"parts": []}, ValueError, "parts must be one or more, got none"),
    ("merge_moments", {"parts": PART}, TypeError, "parts must be a sequence of Moments, got Moments"),
    ("merge_moments", {"parts": 3}, TypeError, "parts must be a sequence of Moments, got int"),
    ("merge_moments", {"parts": [PART, 3]}, TypeError, "parts[1] must be a triple (count, mean, m2), got int"),
    ("merge_moments", {"parts": [PART[:2]]}, TypeError, "parts[0] must be a triple (count, mean, m2), got tuple"),
    (
        "merge_moments",
        {"parts": [PART._replace(count=-1)]},
        ValueError,
        "parts[0].count must be finite and >= 0, got -1",
    ),
    ("merge_moments", {"parts": [PART._replace(mean="a")]}, TypeError, "parts[0].mean must have a real dtype, got <U1"),
    (
        "merge_moments",
        {"parts": [PART, PART._replace(m2=np.ones(3))]},
        ValueError,
        "parts must have shapes that broadcast, got (4,), (4,), (4,), (4,), (4,), (3,)",
    ),
]
REDUCE = {"dy": X, "x": X, "mean": STAT, "rstd": STAT}
REDUCE_ERRORS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"dy": X[:3]}, ValueError, "dy must have shape (6, 4) to match x, got (3, 4)"),
    ({"x": X[0]}, ValueError, "x must have two or more dimensions, got x with shape (4,)"),
    (
        {"mean": STAT[:2]},
        ValueError,
        "mean must have shape (4,) to match the statistics of x with shape (6, 4), got (2,)",
    ),
    ({"rstd": STAT.astype(int)}, TypeError, "rstd must have dtype float32 or float64, got int64"),
    ({"axis": 2}, ValueError, "axis must be from -2 to 1 for x with shape (6, 4), got 2"),
]
APPLY = REDUCE | {"weight": None, "sum_dy": STAT, "sum_dy_xhat": STAT, "count": 6}
APPLY_ERRORS: list[tuple[dict[str, Any], type[Exception], str]] = [
    *REDUCE_ERRORS,
    ({"weight": STAT[:3]}, ValueError, "weight must have shape (4,) to match axis 1 of x with shape (6, 4), got (3,)"),
    ({"sum_dy": 1.0}, ValueError, "sum_dy must have shape (4,) to match the statistics of x with shape (6, 4), got ()"),
    ({"count": 0}, ValueError, "count must be finite and > 0, got 0"),
    ({"count": np.nan}, ValueError, "count must be finite and > 0, got nan"),
    ({"count": STAT[:2]}, ValueError, "count must have shape () or (4,), got (2,)"),
    ({"count": None}, TypeError, "count must be an array, got None"),
]


def check(name: str, arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}") as info:
        getattr(fn, name)(**arguments)
    assert type(info.value) is error


@pytest.mark.parametrize(("name", "arguments", "error", "text"), ERRORS)
def test_errors(name: str, arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    check(name, arguments, error, text)


@pytest.mark.parametrize(("changes", "error", "text"), REDUCE_ERRORS)
def test_errors_of_reduce(changes: dict[str, Any], error: type[Exception], text: str) -> None:
    check("batch_norm_backward_reduce", REDUCE | changes, error, text)


@pytest.mark.parametrize(("changes", "error", "text"), APPLY_ERRORS)
def test_errors_of_apply(changes: dict[str, Any], error: type[Exception], text: str) -> None:
    check("batch_norm_backward_apply", APPLY | changes, error, text)
