"""What tests run on every rank of a real engine: python rank_program.py mpi, or gloo RANK SIZE FILE.

Each check compares what the ranks get with what one process gets that has the ranks' arrays as blocks. Ranks are of
unequal size; of three one is empty.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnorm as fn
from fastnorm import distributed as fnd

LENGTHS = {1: (12,), 2: (5, 7), 3: (4, 0, 8)}
C = 6


def blocks_of(x: np.ndarray, size: int) -> list[np.ndarray]:
    return np.split(x, np.cumsum(LENGTHS[size])[:-1])


def same(a: Any, b: Any) -> bool:
    return all(x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


def data(dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    x, dy = np.random.default_rng(0).standard_normal((2, 12, C, 30))
    return (x + 100).astype(dtype), dy.astype(dtype)


def batch_norm(rank: int, size: int, allgather: Any) -> None:
    for dtype in (np.float16, np.float32, np.float64):
        x, dy = (blocks_of(a, size) for a in data(dtype))
        running, buffers = [(np.zeros(C), np.ones(C)) for _ in range(2)]
        one = fnd.sync_batch_norm_forward(x, None, None, *running, allgather=None)
        gradients = fnd.sync_batch_norm_backward(dy, x, None, *one[1:], allgather=None)
        got = fnd.sync_batch_norm_forward(x[rank], None, None, *buffers, allgather=allgather)
        dx = fnd.sync_batch_norm_backward(dy[rank], x[rank], None, *got[1:], allgather=allgather).dx
        assert same((got.y, *got[1:], dx, *buffers), (one.y[rank], *one[1:], gradients.dx[rank], *running))


def batch_whitening(rank: int, size: int, allgather: Any) -> None:
    x, dy = (blocks_of(a, size) for a in data(np.float32))
    for method in ("zca", "cholesky", "iternorm"):
        one = fnd.batch_whitening_forward(x, method=method, groups=2, allgather=None)
        gradients = fnd.batch_whitening_backward(dy, x, None, one.saved, allgather=None)
        got = fnd.batch_whitening_forward(x[rank], method=method, groups=2, allgather=allgather)
        dx = fnd.batch_whitening_backward(dy[rank], x[rank], None, got.saved, allgather=allgather).dx
        assert same((got.y, *got.saved[:3], dx), (one.y[rank], *one.saved[:3], gradients.dx[rank]))


def whitening(rank: int, size: int, allgather: Any) -> None:
    x = blocks_of(np.moveaxis(data(np.float32)[0], 1, -1).reshape(12, 30 * C), size)
    x = [block.reshape(-1, C) for block in x]
    for options in ({"method": "zca"}, {"method": "pca", "n_components": 2}, {"method": "cholesky", "solver": "qr"}):
        one = fnd.fit_whitening(x, allgather=None, **options)
        got = fnd.fit_whitening(x[rank], allgather=allgather, **options)
        assert same((got.mean, got.matrix, got.inverse), (one.mean, one.matrix, one.inverse))


def errors(rank: int, size: int, allgather: Any) -> None:
    bad = size - 1
    x = data(np.float32)[0]
    text = ("" if rank == bad else f"rank {bad} of {size}: ") + "x must have dtype"
    with pytest.raises(TypeError, match=text):
        fnd.sync_batch_norm_forward(x.astype(int) if rank == bad else x, allgather=allgather)
    got = fnd.sync_batch_norm_forward(x, allgather=allgather)  # and afterwards all goes on
    assert np.isfinite(got.y).all()


def faults(rank: int, size: int, allgather: Any) -> None:
    """What is raised on all ranks where one of them fails, or an exchange does, or data do not go together."""
    bad = size - 1
    x = data(np.float32)[0].reshape(-1, 30)

    def unreadable() -> Any:
        yield x
        raise OSError("disk failure")

    kind, text = (OSError, "disk failure") if rank == bad else (RuntimeError, f"rank {bad} of {size} failed with OSE")
    with pytest.raises(kind, match=text):
        fnd.fit_whitening(unreadable() if rank == bad else x, allgather=allgather)
    with pytest.raises(ValueError, match="x must have one or more samples on all ranks together"):
        fnd.fit_whitening(x[:0], allgather=allgather)
    if size == 1:
        return
    for wrong in (lambda parts: parts[1:], lambda parts: parts + parts, lambda parts: parts[::-1], lambda parts: None):
        with pytest.raises((ValueError, TypeError), match="allgather must return"):
            fnd.fit_whitening(x, allgather=(lambda value, f=wrong: f(allgather(value))) if rank == 0 else allgather)
    for other in (x[:, :29], x.astype(float)):
        with pytest.raises(ValueError, match=r"must be the same for every rank, got .* for rank 0"):
            fnd.fit_whitening(other if rank == bad else x, allgather=allgather)
        with pytest.raises(ValueError, match=r"must be the same for every rank, got .* for rank 0"):
            fnd.sync_batch_norm_forward(other if rank == bad else x, allgather=allgather)


def nan(rank: int, size: int, allgather: Any) -> None:
    x = data(np.float32)[0]
    if rank == 0:
        x[0, 2, 0] = np.nan
    y = fnd.sync_batch_norm_forward(x, allgather=allgather).y
    assert np.isnan(y[:, 2]).all()
    assert np.isfinite(np.delete(y, 2, axis=1)).all()


CHECKS: tuple[Callable[[int, int, Any], None], ...] = (batch_norm, batch_whitening, whitening, errors, faults, nan)


def run(rank: int, size: int, allgather: Any) -> None:
    for check in CHECKS:
        check(rank, size, allgather)
    print(f"rank {rank} of {size}: {len(CHECKS)} checks", flush=True)


def over_mpi() -> None:
    from mpi4py import MPI

    run(MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size, MPI.COMM_WORLD.allgather)


def over_gloo(rank: int, size: int, file: str) -> None:
    import torch.distributed as dist

    dist.init_process_group("gloo", rank=rank, world_size=size, init_method=f"file://{file}")

    def allgather(value: Any) -> list[Any]:
        parts = [None] * size
        dist.all_gather_object(parts, value)
        return parts

    run(rank, size, allgather)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    fn.set_num_threads(1)
    try:
        over_mpi() if sys.argv[1] == "mpi" else over_gloo(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # a rank that ends in an error must not wait for the others
