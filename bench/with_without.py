"""Times of a peer without fastnorm and with it, measured in turns, and the table of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import fastnorm as fn
import machine

_SECONDS = 1.0  # for each pair
_LEAST = 5
_MOST = 2000


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
    """Call both in turns, so that a busy machine slows both, the second inside of a context; print the row."""

    def turn() -> tuple[float, float]:
        first = _seconds(without)
        with around():
            return first, _seconds(within)

    turn()
    rounds = max(_LEAST, min(_MOST, int(_SECONDS / sum(turn()))))
    times = [turn() for _ in range(rounds)]
    row = Row(name, *(min(column) for column in zip(*times, strict=True)))
    print(f"| {name} | {_text(row.without)} | {_text(row.within)} | {row.without / row.within:.2f} |", flush=True)
    return row


def heading(peer: str, version: str) -> None:
    """Print what stands above the rows."""
    print(f"{peer} {version}, {machine.facts()['processor']}, {fn.get_num_threads()} threads, least times\n")
    print("| what | without | with fastnorm | times as fast |\n|---|---:|---:|---:|", flush=True)


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _text(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"
