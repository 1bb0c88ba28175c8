"""``where=``: elements outside of a mask count in no statistic and in no sum."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import fastnorm as fn
import scaled_error
from scaled_error import exceeded

Array = npt.NDArray[Any]


def draw(norm: Any, groups: int, n: int, dtype: str) -> tuple[Array, Array, Array, Array]:
    """Data, gradient, weight, and a mask by which one group is empty and one has a single element."""
    rng = np.random.default_rng([groups, n])
    rows = rng.random((groups, n)) < 0.6
    rows[0] = False
    rows[1] = np.arange(n) == n // 2
    x, dy = 3 + 2 * rng.standard_normal((groups, n)), rng.standard_normal((groups, n))
    x, dy = norm.put(x.astype(dtype)), norm.put(dy.astype(dtype))
    return x, dy, rng.uniform(-2, 2, norm.parameters(x)).astype(dtype), norm.put(rows)


def loosened(a: Array) -> Array:
    """The same values in the same order of axes, with a gap between any two of them."""
    order = np.argsort(a.strides)[::-1]
    wide = np.repeat(a.transpose(order), 2, axis=-1)
    return wide[..., ::2].transpose(np.argsort(order))


def check(norm: Any, x: Array, dy: Array, weight: Array, where: Array) -> None:
    """Forward and backward against the reference."""
    errors = norm.forward_errors(x, weight, where=where) | norm.backward_errors(dy, x, weight, where=where)
    assert not exceeded(errors), errors


def skip_evaluation(norm: Any) -> None:
    if norm.evaluates:
        pytest.skip("its statistics are constants")


@pytest.mark.parametrize("n", [4, 33, 257, 3000])
def test_errors_within_the_limits(norm: Any, dtype: str, n: int) -> None:
    skip_evaluation(norm)
    x, dy, weight, where = draw(norm, 6, n, dtype)
    check(norm, x, dy, weight, where)


# Data that are worked off in parts, of all groups or of some, and with more or fewer parameters than sums may take.
@pytest.mark.parametrize(("groups", "n"), [(6, 30000), (24, 7000), (96, 4096), (300, 700), (1500, 130), (6000, 20)])
def test_parts(norm: Any, groups: int, n: int) -> None:
    skip_evaluation(norm)
    x, dy, weight, where = draw(norm, groups, n, "float32")
    check(norm, x, dy, weight, where)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_with_activation(norm: Any, activation: str) -> None:
    skip_evaluation(norm)
    x, dy, weight, where = draw(norm, 6, 50, "float32")
    bias = np.linspace(-1, 1, weight.size, dtype=np.float32).reshape(weight.shape)
    errors = norm.forward_errors(x, weight, bias, where=where, activation=activation)
    errors |= norm.backward_errors(dy, x, weight, bias=bias, where=where, activation=activation)
    assert not exceeded(errors), errors


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_gradients_in_half_precision(norm: Any, dtype: str) -> None:
    skip_evaluation(norm)
    x, dy, weight, where = draw(norm, 6, 70, dtype)
    check(norm, x, dy, weight, where)


def test_a_mask_without_holes_changes_next_to_nothing(norm: Any, dtype: str) -> None:
    skip_evaluation(norm)
    x, dy, weight, _ = draw(norm, 6, 130, dtype)
    everything = norm.outputs(dy, x, weight)
    result = norm.forward(x, weight, where=True)
    masked = result._asdict() | norm.backward(dy, x, weight, result, where=np.ones((1,) * x.ndim, bool))._asdict()
    for name, value in everything.items():
        np.testing.assert_allclose(masked[name], value, rtol=2e-5 if dtype == "float32" else 1e-13, atol=1e-4)


# Of few elements that count, the first ones tell nothing about the others.
@pytest.mark.parametrize("n", [50, 300, 1500])
@pytest.mark.parametrize("mean", [0.0, 1e4])
def test_what_counts_lies_at_the_end(norm: Any, dtype: str, n: int, mean: float) -> None:
    skip_evaluation(norm)
    x, dy, weight, _ = draw(norm, 6, n, dtype)
    x = x + np.asarray(mean, dtype)
    where = norm.put(np.tile(np.arange(n) >= n * 2 // 3, (6, 1)) & (np.arange(n) % 7 > 0))
    check(norm, x, dy, weight, where)


@pytest.mark.parametrize("n", [50, 300])
def test_constant_and_huge_groups(norm: Any, dtype: str, n: int) -> None:
    skip_evaluation(norm)
    x, dy, weight, where = draw(norm, 6, n, dtype)
    large = 1e18 if dtype == "float32" else 9
    factors = np.array([1, 1, 0, large, 1 / large, 1])[:, None]
    x = x * norm.put(np.broadcast_to(factors, (6, n)).astype(dtype))
    check(norm, x, dy, weight, where)


@pytest.mark.parametrize("n", [20, 300])
def test_strided_data_give_the_same_bits(norm: Any, dtype: str, n: int) -> None:
    skip_evaluation(norm)
    x, dy, weight, where = draw(norm, 6, n, dtype)
    loose = [loosened(a) for a in (x, dy, where)]
    plain = norm.forward(x, weight, where=where)
    strided = norm.forward(loose[0], weight, where=loose[2])
    for a, b in zip(plain, strided, strict=True):
        np.testing.assert_array_equal(a, b)
    gradients = norm.backward(dy, x, weight, plain, where=where)
    for a, b in zip(gradients, norm.backward(loose[1], loose[0], weight, plain, where=loose[2]), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n", [40, 300])
@pytest.mark.parametrize("bad", [np.nan, np.inf, 3e38])
def test_what_lies_outside_does_not_matter(norm: Any, bad: float, n: int) -> None:
    skip_evaluation(norm)
    x, dy, weight, where = draw(norm, 6, n, "float32")
    garbage = np.where(where, x, np.float32(bad))
    clean, dirty = norm.forward(x, weight, where=where), norm.forward(garbage, weight, where=where)
    for a, b in zip(clean[1:], dirty[1:], strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(clean.y[where], dirty.y[where])
    some = norm.backward(dy, x, weight, clean, where=where), norm.backward(dy, garbage, weight, clean, where=where)
    for a, b in zip(*some, strict=True):
        np.testing.assert_array_equal(a, b)


def test_empty_groups(norm: Any) -> None:
    skip_evaluation(norm)
    x, dy, weight, _ = draw(norm, 6, 40, "float32")
    bias = np.linspace(-1, 1, weight.size, dtype=np.float32).reshape(weight.shape)
    result = norm.forward(x, weight, bias, where=False)
    np.testing.assert_array_equal(result.y, norm.spread(bias, x))
    for statistic in result[1:]:
        np.testing.assert_array_equal(statistic, 0)
    for gradient in norm.backward(dy, x, weight, result, where=False):
        np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("axis", [1, -1])
def test_padded_sequences_are_normalized_like_unpadded_ones(axis: int) -> None:
    rng = np.random.default_rng(0)
    lengths, channels = [7, 20, 1, 13], 10
    sequences = [rng.standard_normal((n, channels)).astype(np.float32) for n in lengths]
    padded = np.full((4, 20, channels), np.nan, np.float32)
    for one, sequence in zip(padded, sequences, strict=True):
        one[: len(sequence)] = sequence
    where = (np.arange(20) < np.array(lengths)[:, None])[:, :, None]
    together = np.concatenate(sequences)
    running = [np.zeros(channels), np.ones(channels), np.zeros(channels), np.ones(channels)]
    expected = fn.batch_norm_forward(together, running_mean=running[0], running_var=running[1])
    data, mask = (padded, where) if axis == -1 else (padded.transpose(0, 2, 1), where.transpose(0, 2, 1))
    got = fn.batch_norm_forward(data, running_mean=running[2], running_var=running[3], axis=axis, where=mask)
    y = got.y if axis == -1 else got.y.transpose(0, 2, 1)
    np.testing.assert_allclose(y[where[:, :, 0]], expected.y, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got.mean, expected.mean, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(running[2:], running[:2], rtol=1e-6, atol=1e-8)


def test_running_statistics_match_the_reference() -> None:
    rng = np.random.default_rng(1)
    x, where = rng.standard_normal((5, 12, 3)), rng.random((5, 12, 3)) < 0.2
    buffers = [(np.zeros(12), np.ones(12)) for _ in range(4)]
    for op in ("instance_norm_forward", "batch_norm_forward"):
        for module, (mean, var) in zip((fn, fn.reference), (buffers.pop(), buffers.pop()), strict=True):
            getattr(module, op)(x, running_mean=mean, running_var=var, where=where)
            if module is fn:
                got = mean, var
        np.testing.assert_allclose(got, (mean, var), rtol=1e-12)
    assert not buffers


def test_evaluation_backward() -> None:
    rng = np.random.default_rng(2)
    x, dy = rng.standard_normal((2, 6, 5, 4))
    where, (mean, rstd, weight) = rng.random((6, 1, 4)) < 0.5, rng.uniform(0.5, 2, (3, 5))
    options = {"training": False, "where": where, "activation": "silu"}
    got = fn.batch_norm_backward(dy, x, weight, mean, rstd, **options)
    for a, b in zip(got, fn.reference.batch_norm_backward(dy, x, weight, mean, rstd, **options), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("axis", [None, 0, (0, 2), -1])
def test_moments(axis: Any) -> None:
    rng = np.random.default_rng(3)
    x, where = 5 + rng.standard_normal((7, 9, 11)).astype(np.float32), rng.random((7, 1, 11)) < 0.5
    where[0] = False
    got, expected = (module.moments(x, axis=axis, where=where) for module in (fn, fn.reference))
    std = np.sqrt(expected.m2 / np.maximum(expected.count, 1))
    np.testing.assert_array_equal(got.count, expected.count)
    mean = scaled_error.scaled_error(got.mean, expected.mean, std, x.dtype, slack=np.abs(expected.mean) * 2.0**-50)
    assert mean <= scaled_error.THRESHOLDS["mean"]
    assert scaled_error.scaled_error(got.m2, expected.m2, expected.m2, x.dtype) <= scaled_error.THRESHOLDS["var"]


def test_same_bits_for_any_number_of_threads(norm: Any, num_threads: int) -> None:
    skip_evaluation(norm)
    x, dy, weight, where = draw(norm, 6, 9000, "float32")
    result = norm.forward(x, weight, where=where)
    gradients = norm.backward(dy, x, weight, result, where=where)
    with fn.threads(1):
        alone = norm.forward(x, weight, where=where)
        for a, b in zip(result, alone, strict=True):
            np.testing.assert_array_equal(a, b)
        for a, b in zip(gradients, norm.backward(dy, x, weight, alone, where=where), strict=True):
            np.testing.assert_array_equal(a, b)


def test_strided_mask_and_out_over_it() -> None:
    x = np.random.default_rng(4).standard_normal((8, 12)).astype(np.float32)
    where = np.zeros((24, 8), bool)[::-2].T
    where[:, ::3] = True
    expected = fn.layer_norm(x, where=where.copy())
    np.testing.assert_array_equal(fn.layer_norm(x, where=where), expected)
    buffer = np.zeros(x.nbytes, np.uint8)
    out = buffer.view(np.float32).reshape(x.shape)
    where = buffer[:12].view(bool)
    where[3:] = True
    expected = fn.layer_norm(x, where=where.copy())
    np.testing.assert_array_equal(fn.layer_norm(x, where=where, out=out), expected)


def test_no_data() -> None:
    mean, rstd = fn.layer_norm_forward(np.zeros((0, 3)), where=True)[1:]
    assert mean.shape == rstd.shape == (0, 1)
    count, mean, m2 = fn.moments(np.zeros((0, 3)), axis=0, where=True)
    np.testing.assert_array_equal([count, mean, m2], 0)


X = np.ones((3, 4))


@pytest.mark.parametrize(("where", "error", "text"), [
    (np.ones((3, 4)), TypeError, "where must have dtype bool, got float64"),
    ([0, 1, 0, 1], TypeError, "where must have dtype bool, got int64"),
    (np.ones((2, 4), bool), ValueError, "where must have a shape that broadcasts to that of x, (3, 4), got (2, 4)"),
    (np.ones((1, 3, 4), bool), ValueError,
     "where must have a shape that broadcasts to that of x, (3, 4), got (1, 3, 4)"),
])  # fmt: skip
def test_bad_masks(where: Any, error: type[Exception], text: str) -> None:
    statistics = np.ones((3, 1))
    for call in (
        lambda: fn.layer_norm(X, where=where),
        lambda: fn.batch_norm_forward(X, where=where),
        lambda: fn.moments(X, where=where),
        lambda: fn.layer_norm_backward(X, X, None, statistics, statistics, where=where),
    ):
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value) == text
