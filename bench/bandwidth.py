"""The limit: how fast this machine copies memory with as many threads as fastnorm uses.

A normalization reads its input and writes its output. No code does that faster than a copy of the same bytes.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

import fastnorm
from problems import Problem

# As the library has it: a thread is worth waking for this much work.
_BYTES_PER_THREAD = 128 * 1024

# What NumPy copies in one go, since the C library writes longer ones past the caches, as no kernel does. Blocks have a
# gap of a cache line between them, so that NumPy does not join them.
_BLOCK = 256 * 1024
_GAP = 64


class Copy:
    """A copy of so many bytes on the threads that the kernels would use: an assignment lets go of the interpreter.

    Attributes
    ----------
    nbytes : int
        What is read and written in all.
    parts : list of pairs of ndarrays
        Target and source of each thread.
    row : float
        Seconds that are timed together: threads of Python wait for each other at the end, which costs tens of
        microseconds, many more than it costs the library's.
    """

    row = 2e-3

    def __init__(self, nbytes: int) -> None:
        threads = max(1, min(fastnorm.get_num_threads(), nbytes // _BYTES_PER_THREAD))
        blocks = threads * max(1, round(nbytes / (threads * _BLOCK)))
        width = max(1, nbytes // blocks)
        target, source = np.zeros((blocks, width + _GAP), np.uint8), np.ones((blocks, width + _GAP), np.uint8)
        used = (a[0, :width] if blocks == 1 else a[:, :width] for a in (target, source))
        split = (np.split(a, threads) for a in used)
        self.parts: list[tuple[np.ndarray, np.ndarray]] = list(zip(*split, strict=True))
        self.nbytes = 2 * blocks * width
        self._helpers = ThreadPoolExecutor(threads)  # starts those that it needs

    def __call__(self) -> None:
        """Copy once."""
        self.repeat(1)

    def repeat(self, count: int) -> None:
        """Copy several times, after which the threads wait for each other."""
        turns = [itertools.count() for _ in self.parts]
        waiting = [self._helpers.submit(self._copy, first, turns, count) for first in range(1, len(self.parts))]
        self._copy(0, turns, count)
        for helper in waiting:
            if not helper.cancel():  # has begun; else no processor was free for it, and nothing is left to do
                helper.result()

    def _copy(self, first: int, turns: list[itertools.count[int]], count: int) -> None:
        """Copy a part so many times, then what others have left to do of theirs."""
        for (target, source), turn in zip(_from(first, self.parts), _from(first, turns), strict=True):
            while next(turn) < count:
                target[...] = source


def _from(first: int, parts: list[Any]) -> list[Any]:
    return parts[first:] + parts[:first]


def same_bytes(problem: Problem) -> Copy:
    """Return a copy that reads and writes as many bytes in all as the problem must at the least."""
    return Copy(problem.data.nbytes * problem.streams // 2)
