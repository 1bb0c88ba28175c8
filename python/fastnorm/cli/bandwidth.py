"""The limit: how fast this machine copies memory with as many threads as fastnorm uses.

A normalization reads its input and writes its output. No code does that faster than a copy of the same bytes.
"""

import itertools
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from .._types import Array
from .problems import Problem
from .timing import Repeatable


class Copy(Repeatable):
    """A copy of an array, split over threads.

    np.copyto releases the interpreter's lock, but uses one thread. Until fastnorm has a copy loop of its own for its
    own threads, those of concurrent.futures do: each copies its slice again and again without waiting for the others,
    so that starting them counts once for many copies, and not at all for the limit.
    """

    def __init__(self, nbytes: int, threads: int) -> None:
        size = max(16 * threads, nbytes // 4)
        bounds = [size * i // threads // 16 * 16 for i in range(threads)] + [size]
        source, target = np.ones(size, np.float32), np.zeros(size, np.float32)
        self._slices = [(target[a:b], source[a:b]) for a, b in itertools.pairwise(bounds)]
        self._pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None

    def repeat(self, count: int) -> None:
        """Copy so many times."""
        others: list[Future[None]] = []
        if self._pool is not None:
            others = [self._pool.submit(_copy, *pair, count) for pair in self._slices[1:]]
        _copy(*self._slices[0], count)
        for other in others:
            other.result()


def same_bytes(problem: Problem, threads: int) -> Copy:
    """Return the copy that moves as many bytes as the problem must at the least."""
    return Copy(problem.data.nbytes * problem.streams // 2, threads)


def _copy(target: Array, source: Array, count: int) -> None:
    for _ in range(count):
        np.copyto(target, source)
