"""Whitening fits over Dask: time, memory and bytes exchanged on one and two workers, and a model for many.

    python bench/ranks.py [--quick]

Blocks are made where they are used, so that nothing but tasks and partial results is exchanged. Processor time is that
of the busiest worker: on a machine that nothing else runs on, a fit takes about that long.

A file distributed.py here would hide Dask's package of that name from all programs of this folder, and from tests.
"""

import argparse
import math
import os
import resource
import time
from typing import Any, NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"  # of NumPy's BLAS: its threads spin while they wait, and that is processor time

import dask.array as da
import numpy as np
from dask import compute, delayed
from dask.distributed import Client, LocalCluster

import fastnorm as fn
import fastnorm.dask
from machine import facts

ROWS = 2000
FIT: dict[str, Any] = {"method": "pca", "solver": "covariance"}  # "auto" decomposes every block to choose
SPLIT_EVERY = 8
NETWORK = 1.25e9  # bytes a second: 10 Gbit
LATENCY = 1e-3  # seconds to hand a partial result over
TASKS_A_SECOND = 2000  # that one scheduler deals with


class Measured(NamedTuple):
    """One fit on a cluster."""

    seconds: float
    busy: float  # seconds of processor time of the busiest worker
    made: float  # the same for making the blocks alone
    peak: float  # megabytes of the largest worker, above its start
    exchanged: float  # megabytes between workers


def block(seed: int, features: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((ROWS, features), np.float32)


def touched(x: np.ndarray) -> float:
    return float(x[0, 0])


def measure(client: Client, blocks: int, features: int, start_memory: float) -> Measured:
    make = delayed(block, pure=True)
    parts = [make(i, features) for i in range(blocks)]
    x = da.concatenate([da.from_delayed(part, (ROWS, features), np.float32) for part in parts])
    received, start, used = total_received(client), time.perf_counter(), client.run(time.process_time)
    fastnorm.dask.fit_whitening(x, **FIT, split_every=SPLIT_EVERY).compute()
    seconds, busy = time.perf_counter() - start, busiest(client, used)
    exchanged, used = total_received(client) - received, client.run(time.process_time)
    compute(*map(delayed(touched), parts))
    made = busiest(client, used)
    return Measured(seconds, busy, made, peak_memory(client) - start_memory, exchanged / 1e6)


def busiest(client: Client, used: dict[str, float]) -> float:
    return float(max(now - used[worker] for worker, now in client.run(time.process_time).items()))


def total_received(client: Client) -> float:
    return float(sum(client.run(bytes_received).values()))


def peak_memory(client: Client) -> float:
    return float(max(client.run(memory).values()))


def memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def bytes_received(dask_worker: Any) -> float:
    return float(sum(entry["total"] for entry in dask_worker.transfer_incoming_log))


def seconds_of(work: Any, repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return float(np.median(times))


def model(features: int, blocks: int) -> None:
    """Print the time of a fit of so many blocks, by the cost of one, of a merge, and of handing over what is merged."""
    with fn.threads(1):
        x = block(0, features)
        fit, other = fn.fit_whitening(x, **FIT), fn.fit_whitening(block(1, features), **FIT)
        one = seconds_of(lambda: fn.fit_whitening(x, **FIT))
        merge = seconds_of(lambda: fn.merge_whitenings([fit, other]))
        last = seconds_of(lambda: fn.merge_whitenings([fit, other]).matrix, 3)
    size = 8 * features * (features + 1)
    print(
        f"\n{features} features: a block {one * 1e3:.2f} ms, a merge {merge * 1e3:.2f} ms, the decomposition"
        f" {last * 1e3:.0f} ms, a partial result {size / 1e6:.2f} MB; {blocks} blocks:"
    )
    print(f"{'workers':>8} {'blocks':>8} {'tree':>8} {'Dask':>8} {'scheduler':>10} {'ranks':>8} {'gathered':>10}")
    for workers in (10, 100, 1000):
        own = blocks / workers * (one + merge)
        # Merges of a level run side by side: the last group of each level is waited for.
        tree = math.ceil(math.log(workers, SPLIT_EVERY)) * (SPLIT_EVERY - 1) * (merge + size / NETWORK + LATENCY)
        tasks = blocks * (2 + 1 / (SPLIT_EVERY - 1))  # make, fit, merge
        gathered = workers * size
        ranks = own + workers * merge + gathered / NETWORK + last
        print(
            f"{workers:>8} {own:>7.2f}s {tree:>7.2f}s {own + tree + last:>7.2f}s {tasks / TASKS_A_SECOND:>9.1f}s"
            f" {ranks:>7.2f}s {gathered / 1e6:>7.0f} MB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10 and 30 blocks only")
    parser.add_argument("--features", type=int, nargs="+", default=[64])
    options = parser.parse_args()
    counts = (10, 30) if options.quick else (10, 100, 1000)
    print(f"{facts()['processor']}; blocks of {ROWS} samples in float32, one thread a worker")
    print(
        f"{'features':>8} {'blocks':>7} {'workers':>8} {'fit':>8} {'processor':>10} {'making':>8} {'peak':>8}"
        f" {'exchanged':>10}"
    )
    for workers in (1, 2):
        options_of_cluster = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": ":0"}
        with LocalCluster(**options_of_cluster) as cluster, Client(cluster) as client:
            measure(client, 4, 8, 0.0)  # imports
            start_memory = peak_memory(client)
            for features in options.features:
                for blocks in counts:
                    m = measure(client, blocks, features, start_memory)
                    print(
                        f"{features:>8} {blocks:>7} {workers:>8} {m.seconds:>7.2f}s {m.busy:>9.2f}s {m.made:>7.2f}s"
                        f" {m.peak:>5.0f} MB {m.exchanged:>7.1f} MB",
                        flush=True,
                    )
    for features in (256, 1024):
        model(features, 1000 if options.quick else 100_000)


if __name__ == "__main__":
    main()
