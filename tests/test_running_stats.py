"""Running statistics: their update in place, and normalization with them."""

from collections.abc import Iterator

import numpy as np
import pytest

import fastnorm as fn
from fastnorm import reference

Buffers = tuple[np.ndarray, np.ndarray]

UPDATES = [fn.batch_norm_forward, fn.instance_norm_forward]
DEFINITION = {
    fn.batch_norm_forward: reference.batch_norm_forward,
    fn.instance_norm_forward: reference.instance_norm_forward,
}


def data(*shape: int, dtype: str = "f4", seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) * 2 + 3).astype(dtype)


def buffers(channels: int, dtype: str = "f4") -> Buffers:
    return data(channels, dtype=dtype, seed=2), np.abs(data(channels, dtype=dtype, seed=3))


def strided(pair: Buffers) -> Iterator[Buffers]:
    """The same values as columns, backwards, and at odd addresses."""
    mean, var = pair
    columns = np.stack([mean, var], axis=1)
    yield columns[:, 0], columns[:, 1]
    yield mean[::-1].copy()[::-1], var[::-1].copy()[::-1]
    packed = np.zeros(len(mean), np.dtype([("", "i1"), ("mean", mean.dtype), ("", "i1", 2), ("var", var.dtype)]))
    packed["mean"], packed["var"] = mean, var
    yield packed["mean"], packed["var"]


@pytest.mark.parametrize("forward", UPDATES)
@pytest.mark.parametrize("dtypes", ["f4 f4", "f4 f8", "f8 f8"])
@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize(("momentum", "ddof"), [(0.1, 1), (0.1, 0), (0.0, 1), (1.0, 1), (0.5, 1.5), (1, 0)])
def test_update(forward, dtypes: str, axis: int, momentum: float, ddof: float) -> None:
    dtype, buffer_dtype = dtypes.split()
    x = data(4, 3, 5, 3, dtype=dtype)
    mean, var = buffers(3, buffer_dtype)
    want_mean, want_var = mean.astype("f8"), var.astype("f8")
    DEFINITION[forward](x, None, None, want_mean, want_var, axis=axis, momentum=momentum, ddof=ddof)
    result = forward(x, None, None, mean, var, axis=axis, momentum=momentum, ddof=ddof)
    tolerance = 8 * np.finfo(dtype).eps / 2
    np.testing.assert_allclose(mean, want_mean, rtol=tolerance, atol=tolerance * 2)
    np.testing.assert_allclose(var, want_var, rtol=tolerance)
    plain = forward(x, axis=axis)
    for a, b in zip(result, plain, strict=True):
        np.testing.assert_array_equal(a, b, err_msg="the update changes nothing of the result")


def test_update_by_hand() -> None:
    x = np.array([[0.0], [2.0], [4.0]])
    mean, var = np.array([10.0]), np.array([1.0])
    fn.batch_norm_forward(x, None, None, mean, var, momentum=0.25)
    assert (mean[0], var[0]) == (0.75 * 10 + 0.25 * 2, 0.75 * 1 + 0.25 * 4)
    fn.batch_norm_forward(x, None, None, mean, var, momentum=1.0, ddof=0)
    assert (mean[0], var[0]) == (2, 8 / 3)


def test_the_sum_is_rounded_once() -> None:
    # In float32 both products would be rounded as well as their sum.
    x = np.array([[1.0], [3.0]], "f4")
    for momentum in (0.1, 0.3, 0.7):
        mean, var = np.array([7.7], "f4"), np.array([0.1], "f4")
        want_mean = np.float32((1 - momentum) * np.float64(mean[0]) + momentum * 2)
        want_var = np.float32((1 - momentum) * np.float64(var[0]) + momentum * 2)
        fn.batch_norm_forward(x, None, None, mean, var, momentum=momentum)
        assert (mean[0], var[0]) == (want_mean, want_var)


@pytest.mark.parametrize("forward", UPDATES)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_buffers_of_any_strides(forward, dtype: str) -> None:
    x = data(4, 3, 5)
    want_mean, want_var = buffers(3, dtype)
    forward(x, None, None, want_mean, want_var)
    for mean, var in strided(buffers(3, dtype)):
        forward(x, None, None, mean, var)
        np.testing.assert_array_equal(mean, want_mean)
        np.testing.assert_array_equal(var, want_var)


def test_interleaved_columns_of_one_array() -> None:
    state = np.stack([np.ones(3), np.zeros(3), np.zeros(3), np.ones(3)], axis=1)  # weight, bias, mean, var
    x = data(5, 3, dtype="f8")
    fn.batch_norm_forward(x, *state.T)
    np.testing.assert_array_equal(state[:, :2], [[1, 0]] * 3)
    np.testing.assert_allclose(state[:, 2], 0.1 * x.mean(axis=0))
    np.testing.assert_allclose(state[:, 3], 0.9 + 0.1 * x.var(axis=0, ddof=1))


def test_update_of_a_batch_that_is_normalized_in_place() -> None:
    x = data(6, 3)
    mean, var = buffers(3)
    want_mean, want_var = mean.astype("f8"), var.astype("f8")
    want = reference.batch_norm_forward(x, None, None, want_mean, want_var)
    y = fn.batch_norm_forward(x, None, None, mean, var, out=x).y
    assert y is x
    np.testing.assert_allclose(y, want.y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mean, want_mean, rtol=1e-6)
    np.testing.assert_allclose(var, want_var, rtol=1e-6)


@pytest.mark.parametrize("forward", UPDATES)
@pytest.mark.parametrize("shape", [(0, 3, 5), (4, 3, 0), (0, 3, 1), (4, 0, 5)])
def test_without_values_nothing_changes(forward, shape: tuple[int, ...]) -> None:
    mean, var = buffers(shape[1])
    before = mean.copy(), var.copy()
    y, saved_mean, saved_rstd = forward(np.zeros(shape, "f4"), None, None, mean, var)
    assert y.shape == shape
    np.testing.assert_array_equal((mean, var), before)
    assert np.isnan(saved_mean).all()
    assert np.isnan(saved_rstd).all()


@pytest.mark.parametrize("forward", UPDATES)
def test_nan_reaches_its_channel_only(forward) -> None:
    x = data(4, 3, 5)
    want_mean, want_var = buffers(3)
    forward(x, None, None, want_mean, want_var)
    x[1, 2, 3] = np.nan
    mean, var = buffers(3)
    forward(x, None, None, mean, var)
    np.testing.assert_array_equal(mean, [*want_mean[:2], np.nan])
    np.testing.assert_array_equal(var, [*want_var[:2], np.nan])


def test_no_setting_of_seterr_stops_an_update_halfway() -> None:
    x = np.array([[-3e38], [3e38]], "f4")  # the variance is beyond float32
    mean, var = np.array([1.0], "f4"), np.array([1.0], "f4")
    with np.errstate(all="raise"):
        fn.batch_norm_forward(x, None, None, mean, var)
    assert (mean[0], var[0]) == (np.float32(0.9), np.inf)


def test_one_million_values_and_momentum_one_are_the_statistics() -> None:
    x = data(250_000, 4)
    mean, var = buffers(4)
    fn.batch_norm_forward(x, None, None, mean, var, momentum=1.0)
    np.testing.assert_allclose(
        fn.batch_norm(x, mean, var), fn.batch_norm_forward(x).y, rtol=1e-5, atol=1e-5, err_msg="evaluation as training"
    )


# ---- evaluation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtypes", ["f4 f4", "f4 f8", "f8 f8"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_evaluation(dtypes: str, axis: int) -> None:
    dtype, buffer_dtype = dtypes.split()
    x = data(3, 3, 3, dtype=dtype)
    weight, bias = data(3, dtype=dtype, seed=4), data(3, dtype=dtype, seed=5)
    mean, var = buffers(3, buffer_dtype)
    want = reference.batch_norm(x, mean, var, weight, bias, axis=axis)
    tolerance = 30 * np.finfo(dtype).eps
    np.testing.assert_allclose(fn.batch_norm(x, mean, var, weight, bias, axis=axis), want, rtol=0, atol=tolerance * 10)
    for strided_mean, strided_var in strided((mean, var)):
        y = fn.batch_norm(x, strided_mean, strided_var, weight, bias, axis=axis)
        np.testing.assert_array_equal(y, fn.batch_norm(x, mean, var, weight, bias, axis=axis))


def test_evaluation_takes_lists() -> None:
    y = fn.batch_norm(np.array([[1.0, 40.0]]), [2.0, 20.0], [1.0, 100.0], eps=0)
    np.testing.assert_array_equal(y, [[-1, 2]])


def test_evaluation_with_special_variances() -> None:
    var = np.array([0.0, -1.0, np.inf, np.nan, 4.0])
    with np.errstate(all="raise"):
        y = fn.batch_norm(np.full((1, 5), 2.0), np.zeros(5), var, None, np.ones(5), eps=0.0)
    np.testing.assert_array_equal(y, [[1, np.nan, 1, np.nan, 2]])


def test_evaluation_where_variance_and_eps_cancel() -> None:
    y = fn.batch_norm(np.ones((1, 1)), np.zeros(1), np.full(1, -0.5), eps=0.5)
    np.testing.assert_array_equal(y, [[0]])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_backward_of_evaluation(dtype: str) -> None:
    x, dy = data(4, 3, 5, dtype=dtype), data(4, 3, 5, dtype=dtype, seed=7)
    weight = data(3, dtype=dtype, seed=4)
    mean, var = buffers(3, dtype)
    rstd = 1 / np.sqrt(var.astype("f8") + 1e-5)
    got = fn.batch_norm_backward(dy, x, weight, mean, rstd, training=False)
    want = reference.batch_norm_backward(dy, x, weight, mean, rstd, training=False)
    for a, b in zip(got, want, strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=1e-5 if dtype == "f4" else 1e-13)


def test_instance_statistics_are_averaged_over_the_samples() -> None:
    x = data(4, 3, 5, 2, dtype="f8")
    mean, var = np.zeros(3), np.ones(3)
    fn.instance_norm_forward(x, None, None, mean, var)
    np.testing.assert_allclose(mean, 0.1 * x.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(var, 0.9 + 0.1 * x.var(axis=(2, 3), ddof=1).mean(axis=0))


@pytest.mark.parametrize("forward", UPDATES)
@pytest.mark.parametrize("where", [False, True])
@pytest.mark.parametrize("strided", [False, True])
def test_momentum_zero_leaves_statistics_as_they_are(forward, where: bool, strided: bool) -> None:
    """Whatever the batch holds."""
    x = data(16, 3, 4)
    x[3, 1], x[4, 2] = np.inf, np.nan
    mean, var = buffers(3)
    before = mean.copy(), var.copy()
    x = np.asfortranarray(x) if strided else x
    forward(x, None, None, mean, var, momentum=0.0, where=np.ones_like(x, bool) if where else None)
    for a, b in zip((mean, var), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("forward", UPDATES)
@pytest.mark.parametrize("where", [False, True])
@pytest.mark.parametrize("strided", [False, True])
def test_momentum_one_replaces_statistics(forward, where: bool, strided: bool) -> None:
    """Whatever they held."""
    x = data(16, 3, 4)
    x = np.asfortranarray(x) if strided else x
    want = buffers(3)
    options = {"where": np.ones_like(x, bool) if where else None, "momentum": 1.0}
    forward(x, None, None, *want, **options)
    mean, var = np.full(3, np.nan, np.float32), np.full(3, np.inf, np.float32)
    forward(x, None, None, mean, var, **options)
    np.testing.assert_array_equal(mean, want[0])
    np.testing.assert_array_equal(var, want[1])
    mean, var = np.full(3, np.nan, np.float32), np.full(3, np.inf, np.float32)
    DEFINITION[forward](x, None, None, mean, var, **options)
    np.testing.assert_allclose(mean, want[0], rtol=1e-5)
    np.testing.assert_allclose(var, want[1], rtol=1e-5)
