"""Whitening over ranks: what one process computes, and the same bits on every rank."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import fastnorm as fn
from fastnorm.distributed import batch_whitening_backward, batch_whitening_forward, fit_whitening
from ranks import Ranks, on_ranks, same_bits, same_fit

METHODS = ("zca", "cholesky", "iternorm")
LENGTHS = [(14,), (5, 9), (0, 3, 4, 0, 7)]
C, GROUPS = 6, 2


def make(dtype: Any, axis: int = 1, mean: float = 0.0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(1)
    x, dy = rng.standard_normal((2, 14, 5, C))
    x = x @ rng.standard_normal((C, C)) + mean
    x, dy = (np.moveaxis(a, -1, axis).astype(dtype) for a in (x, dy))
    return x, dy, *rng.standard_normal((2, C)).astype(dtype)


def both_passes(x: Any, dy: Any, weight: Any, bias: Any, allgather: Any, **options: Any) -> tuple[Any, ...]:
    running = np.zeros(C), np.tile(np.eye(C // GROUPS), (GROUPS, 1, 1))
    y, saved = batch_whitening_forward(x, weight, bias, *running, groups=GROUPS, allgather=allgather, **options)
    return y, saved, batch_whitening_backward(dy, x, weight, saved, allgather=allgather), running


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize(("dtype", "axis"), [(np.float32, 1), (np.float64, -1)])
def test_ranks_have_the_bits_of_one_process_with_the_same_blocks(
    method: str, lengths: Any, dtype: Any, axis: int
) -> None:
    x, dy, weight, bias = make(dtype, axis)
    weight = weight.astype(np.float64)
    xs, dys = (np.split(a, np.cumsum(lengths)[:-1]) for a in (x, dy))
    options = {"axis": axis, "method": method}
    y, saved, gradients, running = both_passes(xs, dys, weight, bias, None, **options)
    ranks = on_ranks(len(lengths), lambda r, gather: both_passes(xs[r], dys[r], weight, bias, gather, **options))
    for rank, (y_r, saved_r, gradients_r, running_r) in enumerate(ranks):
        assert same_bits(y_r, y[rank])
        assert same_bits(saved_r[:5], saved[:5])
        assert saved_r[5:] == saved[5:]
        assert same_bits(gradients_r.dx, gradients.dx[rank])
        assert same_bits(running_r, running)
    for name in ("dweight", "dbias"):
        assert np.allclose(sum(getattr(g, name) for _, _, g, _ in ranks), getattr(gradients, name), rtol=1e-11)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("mean", [0.0, 1000.0])
def test_ranks_compute_what_one_process_does(method: str, mean: float) -> None:
    x, dy, weight, bias = make(np.float64, mean=mean)
    cuts = (4, 5)
    xs, dys = np.split(x, cuts), np.split(dy, cuts)
    ranks = on_ranks(3, lambda r, gather: both_passes(xs[r], dys[r], weight, bias, gather, method=method))
    running = np.zeros(C), np.tile(np.eye(C // GROUPS), (GROUPS, 1, 1))
    y, saved = fn.batch_whitening_forward(x, weight, bias, *running, groups=GROUPS, method=method)
    dx, dweight, dbias = fn.batch_whitening_backward(dy, x, weight, saved)
    close = {"rtol": 1e-9 * (1 + mean), "atol": 1e-12 * (1 + mean)}
    assert np.allclose(np.concatenate([r[0] for r in ranks]), y, **close)
    assert np.allclose(np.concatenate([r[2].dx for r in ranks]), dx, **close)
    assert np.allclose(sum(r[2].dweight for r in ranks), dweight, **close)
    assert np.allclose(sum(r[2].dbias for r in ranks), dbias, **close)
    for got, expected in zip(ranks[0][3], running, strict=True):
        assert np.allclose(got, expected, **close)


def test_nan_on_a_rank_is_nan_in_its_group_everywhere_and_in_no_other() -> None:
    x, dy, weight, bias = make(np.float32)
    x[9, 1, 2] = np.nan
    for y, _, gradients, running in on_ranks(
        2, lambda r, g: both_passes(x[7 * r : 7 * r + 7], dy[:7], weight, bias, g)
    ):
        for a in (y, gradients.dx):
            assert np.isnan(a[:, :3]).all()
            assert np.isfinite(a[:, 3:]).all()
        assert np.isnan(running[1][0][1]).all()
        assert np.isfinite(running[1][1]).all()


def test_a_covariance_without_full_rank_is_an_error_on_every_rank() -> None:
    x = np.ones((4, 3, 8))
    ranks = Ranks(3)
    for result in ranks.run(lambda _, gather: batch_whitening_forward(x, eps=0.0, allgather=gather)):
        assert isinstance(result, np.linalg.LinAlgError)
        assert "eps >" in str(result)


def test_a_pass_is_two_exchanges_of_some_matrices() -> None:
    x = np.random.default_rng(0).standard_normal((300, 100))
    ranks = Ranks(2)
    y, saved = ranks.run(lambda r, gather: batch_whitening_forward(x[150 * r : 150 * r + 150], allgather=gather))[0]
    assert len(ranks.sent) == 2
    assert sum(ranks.sent) < 4.2 * x.shape[1] ** 2 * 8
    ranks.sent.clear()
    ranks.run(lambda r, g: batch_whitening_backward(y, x[150 * r : 150 * r + 150], None, saved, allgather=g))
    assert len(ranks.sent) == 2
    assert sum(ranks.sent) < 1.2 * x.shape[1] ** 2 * 8


def test_errors_of_one_rank_are_raised_on_all() -> None:
    x = np.random.default_rng(0).standard_normal((6, 4, 3))
    weights = None, np.ones(3)
    first, second = Ranks(2).run(lambda r, g: batch_whitening_forward(x, weights[r], allgather=g))
    assert isinstance(second, ValueError)
    assert str(first) == f"rank 1 of 2: {second}"
    methods = "zca", "cholesky"
    for result in Ranks(2).run(lambda r, g: batch_whitening_forward(x, method=methods[r], allgather=g)):
        assert "method must be the same for every rank, got zca for rank 0 and cholesky for rank 1" in str(result)


# ---- fits ------------------------------------------------------------------------------------------------------------

FITS: dict[str, dict[str, Any]] = {
    "zca": {},
    "pca": {"method": "pca", "n_components": 3},
    "cholesky": {"method": "cholesky", "solver": "qr"},
    "zca-cor": {"method": "zca-cor", "eps": 0.1, "solver": "covariance"},
    "shrunk": {"shrinkage": "oas"},
}


def samples(n: int = 700) -> np.ndarray:
    rng = np.random.default_rng(2)
    return rng.standard_normal((n, 8)) @ rng.standard_normal((8, 8)) + 10


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("lengths", [(700,), (300, 400), (0, 3, 297, 0, 400)], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_fit_over_ranks_has_the_bits_of_one_process_with_the_same_blocks(name: str, lengths: Any, dtype: Any) -> None:
    x = samples().astype(dtype)
    blocks = np.split(x, np.cumsum(lengths)[:-1])
    one = fit_whitening(blocks, allgather=None, **FITS[name])
    for fit in on_ranks(len(lengths), lambda r, gather: fit_whitening(blocks[r], allgather=gather, **FITS[name])):
        assert same_fit(fit, one)
        assert fit.samples == 700
    assert same_fit(fn.merge_whitenings([fn.fit_whitening(block, **FITS[name]) for block in blocks]), one)
    whole = fn.fit_whitening(x, **FITS[name])
    rtol = 1e-6 if dtype == np.float32 else 1e-9
    assert np.allclose(one.matrix, whole.matrix, rtol=rtol, atol=rtol * np.abs(whole.matrix).max())


def test_an_iterator_gives_the_fit_of_its_blocks() -> None:
    blocks = np.array_split(samples(), 7)
    assert same_fit(fit_whitening(iter(blocks), allgather=None), fit_whitening(blocks, allgather=None))


def test_no_block_is_held_while_an_iterator_makes_the_next() -> None:
    made: list[weakref.ref[np.ndarray]] = []

    def blocks() -> Any:
        for part in np.array_split(samples().astype(np.float32), 7):
            block = part.copy()
            made.append(weakref.ref(block))
            yield block
            del block
            gc.collect()
            assert made[-1]() is None

    assert fit_whitening(blocks(), allgather=None).samples == 700
    assert len(made) == 7


def test_a_rank_whose_data_cannot_be_read_stops_all() -> None:
    def unreadable() -> Any:
        yield samples()
        raise OSError("disk failure")

    first, second = Ranks(2).run(lambda r, gather: fit_whitening(samples() if r else unreadable(), allgather=gather))
    assert isinstance(first, OSError)
    assert str(second) == "rank 0 of 2 failed with OSError: disk failure"


@pytest.mark.parametrize(
    ("inputs", "kind", "text"),
    [
        ((np.zeros((0, 3)), np.zeros((0, 3))), ValueError, "x must have one or more samples on all ranks together"),
        ((np.ones((9, 3)), np.ones((9, 4))), ValueError, "the number of features of x must be the same for every rank"),
        (
            ([np.ones((9, 3)), np.ones((9, 4))], np.ones((9, 3))),
            ValueError,
            "the number of features of x must be the same for every block, got 3 for block 0 and 4 for block 1",
        ),
        (
            (np.ones((9, 3), np.float32), np.ones((9, 3))),
            ValueError,
            "the dtype of x must be the same for every rank, got float32 for rank 0 and float64 for rank 1",
        ),
        (
            (np.ones((9, 3)), iter([np.ones((9, 3)), np.ones((9, 3), np.float32)])),
            ValueError,
            "the dtype of x must be the same for every block, got float64 for block 0 and float32 for block 1",
        ),
        ((np.array([[1.0, np.nan]]), np.ones((9, 2))), ValueError, "x must be finite, got NaN or inf in column 1"),
        ((np.ones((9, 3)), np.ones((9, 3))), np.linalg.LinAlgError, "full rank"),
        ((iter([]), np.ones((9, 3))), ValueError, "x must be an array or one or more blocks, got no blocks"),
    ],
)
def test_errors_of_a_fit_are_raised_on_every_rank(inputs: Any, kind: type[Exception], text: str) -> None:
    for result in Ranks(2).run(lambda r, gather: fit_whitening(inputs[r], allgather=gather)):
        assert isinstance(result, kind), repr(result)
        assert text in str(result)


def test_options_of_a_fit_are_the_same_on_every_rank() -> None:
    for result in Ranks(2).run(lambda r, gather: fit_whitening(samples(), eps=[0.0, 0.1][r], allgather=gather)):
        assert "eps must be the same for every rank, got 0.0 for rank 0 and 0.1 for rank 1" in str(result)


@pytest.mark.parametrize(("first", "second"), [({}, {"eps": 0.1}), ({"eps": 0.1}, {})])
def test_options_of_a_fit_count_that_one_rank_alone_gives(first: Any, second: Any) -> None:
    options = first, second
    for result in Ranks(2).run(lambda r, gather: fit_whitening(samples(), allgather=gather, **options[r])):
        assert isinstance(result, ValueError)
        assert "eps must be the same for every rank, got 0" in str(result)


def test_an_option_of_a_fit_may_be_left_out_where_others_give_its_default() -> None:
    options: tuple[dict[str, Any], ...] = {"method": "zca"}, {}, {"eps": 0}
    fits = on_ranks(3, lambda r, gather: fit_whitening(samples(), allgather=gather, **options[r]))
    assert same_fit(fits[1], fit_whitening([samples()] * 3, allgather=None))
