"""A stress program: every function of the package at once from many threads, then forks while they call.

``python tests/many_threads.py [seconds]`` ends with status 0 if each result has the bits that one thread gets. It is
made for Python without the GIL, where nothing else keeps the threads apart, and runs with it too. It forks with the GIL
only: without it, a fork beside threads may leave locks of Python's own objects taken.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from every_function import CALLS, Data, arrays

THREADS = 8


def digest(result: Any) -> bytes:
    """Of all numbers in a result."""
    found = sha256()
    for array in arrays(result):
        found.update(array.tobytes())
    return found.digest()


def main(seconds: float) -> int:
    """Run, and say what was done."""
    calls: dict[str, Callable[[Data], Any]] = dict(CALLS)
    # Small ones, and some that are worth several threads of the library.
    data = [Data(), Data(96, 4096)]
    expected = {(name, i): digest(call(d)) for name, call in calls.items() for i, d in enumerate(data)}
    end = time.monotonic() + seconds
    wrong: list[str] = []
    done = [0] * THREADS

    def work(number: int) -> None:
        rng = random.Random(number)
        names = list(calls)
        while time.monotonic() < end:
            name, i = rng.choice(names), rng.choice((0, 0, 0, 1))
            if digest(calls[name](data[i])) != expected[name, i]:
                wrong.append(f"{name} of data {i} in thread {number}")
            done[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    forks = 0
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    while time.monotonic() < end and gil and hasattr(os, "fork"):
        pid = os.fork()
        if pid == 0:  # the other threads are gone in here: calls must not wait for them
            name = list(calls)[forks % len(calls)]
            os._exit(0 if digest(calls[name](data[1])) == expected[name, 1] else 1)
        _, status = os.waitpid(pid, 0)
        if status:
            wrong.append(f"status {status} of forked child {forks}")
        forks += 1
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    what = f"{sum(done)} calls in {THREADS} threads, {forks} forks, {len(wrong)} wrong"
    print(f"{what}; the GIL is {'on' if gil else 'off'}")
    print(*wrong[:20], sep="\n", end="" if not wrong else "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10))
