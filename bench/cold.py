"""What a parallel call costs after a pause: ``python bench/cold.py [--threads N] [--pause MILLISECONDS]``.

Servers call a layer now and then, not in a loop. After a pause the threads that help are asleep, and where the system
wakes them beside the caller, a library that waits for all of them waits for the scheduler. Libraries take turns; means
count here, since the slow calls are the point.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import fastnorm as fn
import timing

SHAPES = [(256, 768), (1024, 768), (4096, 768)]
CALLS = 3  # in a row after each pause


def libraries(x: np.ndarray, threads: int) -> dict[str, Callable[[], Any]]:
    """Return layer norm by library; PyTorch where it is installed."""
    weight = np.ones(x.shape[1], x.dtype)
    found: dict[str, Callable[[], Any]] = {"fastnorm": lambda: fn.layer_norm(x, weight, weight)}
    try:
        import torch
    except ImportError:
        return found
    torch.set_num_threads(threads)
    data, scale = torch.from_numpy(x), torch.from_numpy(weight)
    found["PyTorch"] = lambda: torch.nn.functional.layer_norm(data, scale.shape, scale, scale)
    return found


def after_pauses(call: Callable[[], Any], pause: float) -> list[float]:
    """Return the times of the calls that follow a pause."""
    time.sleep(pause)
    times = []
    for _ in range(CALLS):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=fn.get_num_threads(), metavar="N")
    parser.add_argument("--pause", type=float, default=20, metavar="MILLISECONDS")
    parser.add_argument("--rounds", type=int, default=100, metavar="N")
    options = parser.parse_args()
    fn.set_num_threads(options.threads)
    print(f"{options.threads} threads, mean time of the first calls after {options.pause:g} ms")
    for shape in SHAPES:
        calls = libraries(np.random.default_rng(0).standard_normal(shape, dtype=np.float32), options.threads)
        times: dict[str, list[list[float]]] = {name: [] for name in calls}
        for _ in range(options.rounds):
            for name, call in calls.items():
                times[name].append(after_pauses(call, options.pause / 1000))
        for name, rounds in times.items():
            means = [timing.seconds([statistics.fmean(column)]) for column in zip(*rounds, strict=True)]
            print(f"  {shape[0]:>5} x {shape[1]}  {name:<10}", *(f"{mean:>10}" for mean in means))


if __name__ == "__main__":
    main()
