"""The same calls in other situations than one after the other: first of a process, on cold data, several at once."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

import fastnorm
import first_call
from bandwidth import Copy, same_bytes
from candidate import Peer
from problems import Problem
from results import OURS, WARM
from timing import Call, Prepared

# What is written and read to empty the caches: most of it is in no cache of 32 MB.
_FLUSHED: Final = 2**26

# ---- first calls -----------------------------------------------------------------------------------------------------


def measure_first(peers: list[Peer], threads: int, rounds: int) -> Iterator[dict[str, Any]]:
    """Start processes of the libraries in turns; yield a record for each step that one waits for."""
    libraries = [peer.name for peer in peers if peer.name in first_call.LIBRARIES]
    found = [{name: _fresh_process(name, threads) for name in libraries} for _ in range(rounds)]
    for step in next(iter(found[0].values()), {}):
        yield {"step": step, "seconds": {name: [times[name][step] for times in found] for name in libraries}}


def _fresh_process(library: str, threads: int) -> dict[str, float]:
    command = [sys.executable, first_call.__file__, library, str(threads)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


# ---- cold data -------------------------------------------------------------------------------------------------------


def cold(calls: Mapping[str, Call], problem: Problem) -> dict[str, Call]:
    """Return calls that find the caches full of something else, a copy like that, and fastnorm's call as it was."""
    with fastnorm.threads(min(os.cpu_count() or 1, 1024)):
        flush = Copy(2 * _FLUSHED)
    copy = same_bytes(problem)
    # One thread copies without the threads of Python, which take longer than a few kilobytes do.
    plain: Call = functools.partial(np.copyto, *copy.parts[0]) if len(copy.parts) == 1 else copy
    found: dict[str, Call] = {name: Prepared(call, flush) for name, call in {**calls, "copy": plain}.items()}
    return {**found, WARM: calls[OURS]} if OURS in calls else found


# ---- several callers -------------------------------------------------------------------------------------------------


class Together:
    """Calls by several Python threads at once. Its time is what passes for each call that is made by any of them.

    Attributes
    ----------
    row : float
        Seconds that are timed together. A thread that does not let go of the interpreter keeps it for 5 ms.
    """

    row = 0.05

    def __init__(self, call: Call, callers: int) -> None:
        self._call, self._callers = call, callers
        self._pool = ThreadPoolExecutor(callers)

    def __call__(self) -> None:
        """Make a call in each thread."""
        self.repeat(self._callers)

    def repeat(self, count: int) -> None:
        """Make so many in all."""
        share, rest = divmod(count, self._callers)
        for waiting in [self._pool.submit(self._calls, share + (i < rest)) for i in range(self._callers)]:
            waiting.result()

    def _calls(self, count: int) -> None:
        for _ in range(count):
            self._call()


def together(calls: Mapping[str, Call], callers: int) -> dict[str, Call]:
    """Return calls by so many threads at once."""
    return {name: Together(call, callers) for name, call in calls.items()}


def can_be_called_together(peer: Peer) -> bool:
    """Say whether each call has a result of its own."""
    return peer.counterpart == OURS and "out=" not in peer.name
