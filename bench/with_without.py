"""Times of a peer without fastnorm and with it, measured in turns, and the table of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import fastnorm as fn
import machine

_ROUNDS = 7
_TURN = 0.1  # seconds of calls in a row, one at the least
_SETTLE = 0.01  # seconds before a turn, in which threads of the other that wait awake go to sleep


class Row(NamedTuple):
    """Least seconds of one call."""

    name: str
    without: float
    within: float


def compare(
    name: str,
    without: Callable[[], Any],
    within: Callable[[], Any],
    around: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Row:
    """Time both in turns, so that a busy machine slows both, the second inside of a context; print the row.

    A turn is a row of calls after a rest and a call that is not timed, as in `timing.interleaved`: pools of threads
    wait awake for a while after a call, on the processors that the other needs, and its data drive the other's out of
    the caches.
    """
    times = [(_turn(without, nullcontext), _turn(within, around)) for _ in range(_ROUNDS)]
    row = Row(name, *(min(column) for column in zip(*times, strict=True)))
    print(f"| {name} | {_text(row.without)} | {_text(row.within)} | {row.without / row.within:.2f} |", flush=True)
    return row


def heading(peer: str, version: str) -> None:
    """Print what stands above the rows."""
    print(f"{peer} {version}, {machine.facts()['processor']}, {fn.get_num_threads()} threads, least times\n")
    print("| what | without | with fastnorm | times as fast |\n|---|---:|---:|---:|", flush=True)


def _turn(call: Callable[[], Any], around: Callable[[], AbstractContextManager[Any]]) -> float:
    """Return the least seconds of a call in a turn."""
    time.sleep(_SETTLE)
    least, end = math.inf, time.perf_counter() + _TURN
    with around():
        call()
        while least == math.inf or time.perf_counter() < end:
            start = time.perf_counter()
            call()
            least = min(least, time.perf_counter() - start)
    return least


def _text(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"
