"""Ranks as threads of this process, with an allgather among them: every object is pickled, as on its way to a rank."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PATIENCE = 60  # seconds: a rank that waits longer was left alone

Allgather = Callable[[Any], list[Any]]


class Ranks:
    """An allgather for each of n ranks, and what went through it."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.barrier = threading.Barrier(n, timeout=PATIENCE)
        self.places: list[bytes] = [b""] * n
        self.sent: list[int] = []  # bytes of every object of rank 0

    def allgather(self, rank: int) -> Allgather:
        def gather(value: Any) -> list[Any]:
            self.places[rank] = pickle.dumps(value)
            if rank == 0:
                self.sent.append(len(self.places[0]))
            self.barrier.wait()
            result = [pickle.loads(place) for place in self.places]
            self.barrier.wait()
            return result

        return gather

    def run(self, work: Callable[[int, Allgather], Any]) -> list[Any]:
        """The result of ``work(rank, allgather)`` on every rank; of one that failed its exception."""

        def one(rank: int) -> Any:
            try:
                return work(rank, self.allgather(rank))
            except Exception as error:
                return error

        with ThreadPoolExecutor(self.n) as pool:
            return list(pool.map(one, range(self.n)))


def on_ranks(n: int, work: Callable[[int, Allgather], Any]) -> list[Any]:
    """Results of n ranks that all succeed."""
    results = Ranks(n).run(work)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return results


def same_bits(a: Any, b: Any) -> bool:
    """Whether arrays, or lists of them, have the same bits; NaN equals itself."""
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same_bits, a, b))
    if a is None:
        return b is None
    return bool(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())


def same_fit(a: Any, b: Any) -> bool:
    """Whether two whitenings have the same bits."""
    return all(same_bits(getattr(a, name), getattr(b, name)) for name in ("mean", "covariance", "matrix", "inverse"))
