"""Errors over ranks: every rank raises one that says what is wrong, none waits for ever, nothing is half written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastnorm.distributed import sync_batch_norm_backward, sync_batch_norm_forward, sync_instance_norm_forward
from ranks import Ranks, same_bits

X = np.random.default_rng(0).standard_normal((6, 4, 3)).astype(np.float32)


def forward(x: Any = X, **options: Any) -> Callable[[Any], Any]:
    return lambda gather: sync_batch_norm_forward(x, allgather=gather, **options)


def outcomes(*calls: Callable[[Any], Any]) -> list[Any]:
    """What happens on ranks that make one call each."""
    return Ranks(len(calls)).run(lambda rank, gather: calls[rank](gather))


def check_all(
    results: list[Any], expected: tuple[type[Exception], str], *own: tuple[int, type[Exception], str]
) -> None:
    """Every rank raised what is expected, those in `own` something of their own."""
    wanted = {rank: (kind, text) for rank, kind, text in own}
    for rank, result in enumerate(results):
        kind, text = wanted.get(rank, expected)
        assert isinstance(result, kind), f"rank {rank}: {result!r}"
        assert text in str(result), f"rank {rank}: {result!r}"


@pytest.mark.parametrize(
    ("bad", "kind", "text"),
    [
        (forward(X.astype(int)), TypeError, "x must have dtype"),
        (forward(X[0, 0]), ValueError, "x must have two or more dimensions"),
        (forward(eps=-1.0), ValueError, "eps must be a finite number >= 0"),
        (forward(offset=np.inf), ValueError, "offset must be a finite number"),
        (forward(activation="tanh"), ValueError, "activation must be one of"),
        (forward(weight=np.ones(3)), ValueError, "weight must have shape (4,)"),
        (forward(running_mean=np.zeros(4)), ValueError, "running_mean and running_var must be given together"),
        (forward([]), ValueError, "x must be an array or one or more blocks, got no blocks"),
        (forward([X, X[:, :3]]), ValueError, "the groups of x must be the same for every block, got (4,) for block 0"),
    ],
)
def test_an_error_of_one_rank_is_raised_on_all(bad: Any, kind: type[Exception], text: str) -> None:
    results = outcomes(forward(), bad, forward())
    check_all(results, (kind, f"rank 1 of 3: {text}"), (1, kind, text))
    assert not str(results[1]).startswith("rank"), "the rank itself has the error as it was"


def test_an_error_of_any_kind_reaches_all_ranks() -> None:
    class Unreadable:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise MemoryError("no room")

    results = outcomes(forward(Unreadable()), forward())
    check_all(results, (RuntimeError, "rank 0 of 2 failed with MemoryError: no room"), (0, MemoryError, "no room"))


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (forward(X[:, :3]), "the groups of x must be the same for every rank, got (4,) for rank 0 and (3,) for rank 1"),
        (forward(X.astype(float)), "the dtype of x must be the same for every rank, got float32 for rank 0"),
        (forward(eps=1e-3), "eps must be the same for every rank, got 1e-05 for rank 0 and 0.001 for rank 1"),
        (forward(momentum=0.5), "momentum must be the same for every rank"),
        (forward(activation="relu"), "activation must be the same for every rank, got None for rank 0 and relu for"),
        (
            forward(running_mean=np.zeros(4), running_var=np.ones(4)),
            "whether there are running statistics must be the same for every rank",
        ),
        (lambda g: sync_instance_norm_forward(X, allgather=g), "the operation must be the same for every rank"),
        (
            lambda g: sync_batch_norm_backward(X, X, None, *np.ones((3, 4)), allgather=g),
            "the operation must be the same for every rank",
        ),
    ],
)
def test_what_ranks_must_have_in_common(other: Any, text: str) -> None:
    check_all(outcomes(forward(), other), (ValueError, text))


def test_too_few_values_on_all_ranks_together() -> None:
    one, none = X[:1, :, :1], X[:0, :, :1]
    check_all(outcomes(forward(none), forward(one)), (ValueError, "expected more than one value per group"))
    buffers = {"running_mean": np.zeros(4), "running_var": np.ones(4), "ddof": 2}
    text = "ddof must be less than the 2 values per group on all ranks, got 2"
    check_all(outcomes(forward(one, **buffers), forward(one, **buffers)), (ValueError, text))


def test_no_running_statistics_change_on_any_rank_when_one_fails() -> None:
    buffers = [(np.zeros(4), np.ones(4)) for _ in range(2)]
    weights = np.ones(4), np.ones(5)

    def work(rank: int, gather: Any) -> Any:
        return sync_batch_norm_forward(X, weights[rank], None, *buffers[rank], allgather=gather)

    check_all(Ranks(2).run(work), (ValueError, "rank 1 of 2: weight"), (1, ValueError, "weight"))
    assert all(same_bits(pair, (np.zeros(4), np.ones(4))) for pair in buffers)


def wrapped(change: Callable[[int, list[Any]], Any]) -> list[Any]:
    """Outcomes of three ranks whose allgather changes what it returns on a rank."""

    def work(rank: int, gather: Any) -> Any:
        return sync_batch_norm_forward(X + rank, allgather=lambda value: change(rank, gather(value)))

    return Ranks(3).run(work)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda rank, parts: parts[rank:] + parts[:rank], "one order on every rank, got another on rank 1 than on"),
        (lambda rank, parts: parts[::-1] if rank == 2 else parts, "one order on every rank"),
        (lambda rank, parts: parts[:2] if rank == 0 else parts, "one order on every rank"),
        (lambda rank, parts: [], "the objects of all ranks, got 0 without this rank's own"),
        (lambda rank, parts: parts + parts[:1], "every rank's object once, got one twice among 4"),
        (lambda rank, parts: iter(parts), "must return the list of all ranks' objects, got list_iterator"),
        (lambda rank, parts: [3.0] * 3, "what the ranks gave to it, got float in place 0 of 3"),
        (lambda rank, parts: None, "must return the list of all ranks' objects, got NoneType"),
    ],
)
def test_an_allgather_that_returns_something_else(change: Any, text: str) -> None:
    check_all(wrapped(change), (Exception, text))


@pytest.mark.parametrize(
    "change", [lambda parts: parts[:-1], lambda parts: parts + parts, lambda parts: [1, 2, 3], lambda parts: None]
)
def test_an_allgather_that_is_wrong_on_one_rank_stops_all(change: Any) -> None:
    results = wrapped(lambda rank, parts: change(parts) if rank == 2 else parts)
    check_all(results, (Exception, "rank 2 of 3: "), (2, Exception, "allgather must return"))


def test_blocks_of_dy_go_with_those_of_x() -> None:
    with pytest.raises(ValueError, match="dy must have 2 blocks to match x, got 1"):
        sync_batch_norm_backward(X, [X, X], None, *np.ones((3, 4)), allgather=None)
    with pytest.raises(ValueError, match="count must be finite and > 0"):
        sync_batch_norm_backward(X, X, None, *np.zeros((3, 4)), allgather=None)
