"""Batch and instance normalization over ranks: what one process computes, and the same bits on every rank."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import fastnorm as fn
import scaled_error
from fastnorm.distributed import (
    sync_batch_norm_backward,
    sync_batch_norm_forward,
    sync_instance_norm_backward,
    sync_instance_norm_forward,
)
from ranks import Ranks, on_ranks, same_bits

C = 6


class Case(NamedTuple):
    """A norm with the axis that the ranks divide among them, in one layout."""

    op: str
    axis: int
    divided: int

    def forward(self, *args: Any, **options: Any) -> Any:
        do = sync_batch_norm_forward if self.op == "batch_norm" else sync_instance_norm_forward
        return do(*args, axis=self.axis, **options)

    def backward(self, *args: Any, **options: Any) -> Any:
        do = sync_batch_norm_backward if self.op == "batch_norm" else sync_instance_norm_backward
        return do(*args, axis=self.axis, **options)

    def cut(self, x: np.ndarray, lengths: tuple[int, ...]) -> list[np.ndarray]:
        return np.split(x, np.cumsum(lengths)[:-1], axis=self.divided)

    def join(self, parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts, axis=self.divided)


CASES = {
    "batch-first": Case("batch_norm", 1, 0),
    "batch-last": Case("batch_norm", -1, 0),
    "instance-first": Case("instance_norm", 1, 3),
    "instance-last": Case("instance_norm", -1, 1),
}
LENGTHS = [(12,), (5, 7), (1, 11, 0), (0, 3, 4, 0, 5)]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def make(case: Case, dtype: Any, mean: float = 0.0) -> tuple[np.ndarray, ...]:
    """x, dy, weight and bias, with 12 places on the axis that is divided."""
    rng = np.random.default_rng(0)
    shape = [4, 5, 3, 2]
    shape[case.axis], shape[case.divided] = C, 12
    x, dy = rng.standard_normal((2, *shape))
    return (x + mean).astype(dtype), dy.astype(dtype), *rng.standard_normal((2, C)).astype(dtype)


def both_passes(case: Case, x: Any, dy: Any, weight: Any, bias: Any, allgather: Any) -> tuple[Any, ...]:
    running = np.zeros(C), np.ones(C)
    forward = case.forward(x, weight, bias, *running, allgather=allgather)
    return forward, case.backward(dy, x, weight, *forward[1:], allgather=allgather), running


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_ranks_have_the_bits_of_one_process_with_the_same_blocks(case: Case, lengths: Any, dtype: Any) -> None:
    x, dy, weight, bias = make(case, dtype)
    weight = weight.astype(np.float64)  # and so are its gradients
    xs, dys = case.cut(x, lengths), case.cut(dy, lengths)
    forward, backward, running = both_passes(case, xs, dys, weight, bias, None)

    def work(rank: int, allgather: Any) -> Any:
        return both_passes(case, xs[rank], dys[rank], weight, bias, allgather)

    ranks = on_ranks(len(lengths), work)
    for rank, (f, b, r) in enumerate(ranks):
        assert same_bits(f.y, forward.y[rank])
        assert same_bits(f[1:], forward[1:])
        assert same_bits(b.dx, backward.dx[rank])
        assert same_bits(r, running)
    for name in ("dweight", "dbias"):
        assert np.allclose(sum(getattr(b, name) for _, b, _ in ranks), getattr(backward, name), rtol=1e-12)


def test_offset_is_added_to_the_weight(case: Case) -> None:
    x, dy, weight, bias = make(case, np.float64)
    xs, dys = case.cut(x, (5, 7)), case.cut(dy, (5, 7))
    plain = case.forward(xs, weight, bias, allgather=None)
    shifted = case.forward(xs, weight - 2.0, bias, offset=2.0, allgather=None)
    gradients = case.backward(dys, xs, weight, *plain[1:], allgather=None)
    of_shifted = case.backward(dys, xs, weight - 2.0, *plain[1:], offset=2.0, allgather=None)
    for a, b in ((plain.y, shifted.y), (gradients.dx, of_shifted.dx)):
        assert np.allclose(case.join(a), case.join(b), rtol=1e-12, atol=1e-13)
    assert same_bits(gradients[1:], of_shifted[1:])


@pytest.mark.parametrize("mean", [0.0, 1e4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ranks_are_as_accurate_as_one_process(case: Case, dtype: Any, mean: float) -> None:
    x, dy, weight, bias = make(case, dtype, mean)
    lengths = (1, 4, 0, 7)
    xs, dys = case.cut(x, lengths), case.cut(dy, lengths)
    ranks = on_ranks(4, lambda rank, gather: both_passes(case, xs[rank], dys[rank], weight, bias, gather))
    forward, _, running = ranks[0]
    whole = forward._replace(y=case.join([f.y for f, _, _ in ranks]))
    errors = scaled_error.forward_errors(case.op, whole, x, weight, bias, axis=case.axis)
    if dtype == np.float64:  # ranks exchange means in one float64, which are rounded
        errors = {name: error / (1 + mean) for name, error in errors.items()}
    assert not scaled_error.exceeded(errors)
    sums = (sum(getattr(b, name) for _, b, _ in ranks) for name in ("dweight", "dbias"))
    gradients = fn.Gradients(case.join([b.dx for _, b, _ in ranks]), *(a / 1 for a in sums))
    loose = dtype == np.float32
    assert not scaled_error.exceeded(
        scaled_error.backward_errors(case.op, gradients, dy, x, weight, axis=case.axis, recentred=loose)
    )
    expected = np.zeros(C), np.ones(C)
    getattr(fn, f"{case.op}_forward")(x, weight, bias, *expected, axis=case.axis)
    assert np.allclose(running, expected, rtol=1e-6 if dtype == np.float32 else 1e-11)


def test_one_rank_has_the_bits_of_the_plain_function(case: Case) -> None:
    x, dy, weight, bias = make(case, np.float32, 100.0)
    forward, backward, running = both_passes(case, x, dy, weight, bias, None)
    buffers = np.zeros(C), np.ones(C)
    plain = getattr(fn, f"{case.op}_forward")(x, weight, bias, *buffers, axis=case.axis)
    assert same_bits(forward[:3], plain)
    assert same_bits(running, buffers)
    gradients = getattr(fn, f"{case.op}_backward")(dy, x, weight, plain.mean, plain.rstd, axis=case.axis)
    assert same_bits(backward, gradients)


def test_nan_on_a_rank_is_nan_in_its_channel_everywhere_and_in_no_other() -> None:
    case = CASES["batch-first"]
    x, dy, weight, bias = make(case, np.float32)
    clean = on_ranks(3, lambda r, gather: both_passes(case, x[4 * r : 4 * r + 4], dy[:4], weight, bias, gather))
    x[5, 2, 0, 0] = np.nan
    dirty = on_ranks(3, lambda r, gather: both_passes(case, x[4 * r : 4 * r + 4], dy[:4], weight, bias, gather))
    others = np.arange(C) != 2
    for (f, b, r), (f0, b0, r0) in zip(dirty, clean, strict=True):
        assert np.isnan(f.y[:, 2]).all()
        assert np.isnan(b.dx[:, 2]).all()
        assert np.isnan(f.mean[2])
        assert np.isnan(r[1][2])
        assert np.array_equal(f.y[:, others], f0.y[:, others])
        assert np.array_equal(b.dx[:, others], b0.dx[:, others])
        assert np.array_equal(r[1][others], r0[1][others])


def test_ranks_without_any_values() -> None:
    x, running = np.zeros((0, C, 2), np.float32), (np.zeros(C), np.ones(C))
    f, _ = on_ranks(2, lambda _, gather: sync_batch_norm_forward(x, None, None, *running, allgather=gather))
    assert f.y.shape == x.shape
    assert np.isnan(f.mean).all()
    assert np.isnan(f.rstd).all()
    assert not f.count.any()
    assert same_bits(running, (np.zeros(C), np.ones(C)))


def test_a_pass_is_two_exchanges_of_three_numbers_per_channel_at_most() -> None:
    x = np.random.default_rng(0).standard_normal((8, 1000, 4)).astype(np.float32)
    ranks = Ranks(2)
    forward = ranks.run(lambda r, gather: sync_batch_norm_forward(x[4 * r : 4 * r + 4], allgather=gather))[0]
    assert len(ranks.sent) == 2
    assert sum(ranks.sent) < 3 * 8000 + 2000
    ranks.sent.clear()
    ranks.run(lambda r, g: sync_batch_norm_backward(x[4 * r : 4 * r + 4], x[:4], None, *forward[1:], allgather=g))
    assert len(ranks.sent) == 2
    assert sum(ranks.sent) < 2 * 8000 + 2000


def test_what_grad_mask_leaves_out_is_none_and_ranks_may_want_different_gradients() -> None:
    case = CASES["batch-first"]
    x, dy, weight, bias = make(case, np.float32)
    f, b, _ = both_passes(case, [x[:5], x[5:]], [dy[:5], dy[5:]], weight, bias, None)
    masks = (False, True, True), (True, False, True)
    parts = (slice(0, 5), slice(5, 12))

    def work(rank: int, allgather: Any) -> Any:
        part = parts[rank]
        return sync_batch_norm_backward(dy[part], x[part], weight, *f[1:], allgather=allgather, grad_mask=masks[rank])

    first, second = on_ranks(2, work)
    assert first.dx is None
    assert second.dweight is None
    assert same_bits(second.dx, b.dx[1])
    assert np.allclose(first.dbias + second.dbias, b.dbias, rtol=1e-5)
