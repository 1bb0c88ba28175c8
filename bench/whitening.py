"""Time and memory of whitening: ``python bench/whitening.py [--threads N] [--rounds N] [--samples N] [--cpu]``.

Fit and transform of a table of float32 against scikit-learn's PCA(whiten=True) and plain NumPy in float64, then batch
whitening forward and backward against the same formulas in PyTorch. All take turns in one process and on the same
number of threads; the memory is what a process of its own needs above the data. Milliseconds are those of the clock,
with --cpu those of the processor: for one thread on a busy machine.
"""

from __future__ import annotations

import argparse
import functools
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl

import fastnorm as fn
import timing

FEATURES = 256
SHAPES = [((32, 64, 28, 28), 1), ((32, 64, 28, 28), 4), ((64, 256, 7, 7), 16), ((4096, 128), 1)]
METHODS = ("zca", "cholesky", "iternorm")
# Threads of one library spin for a while after its call. They must not be there in the next one's.
PAUSE = 0.2


def samples(n: int) -> np.ndarray:
    """Correlated samples of float32, made without more memory than they need."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((FEATURES, FEATURES), dtype=np.float32)
    x = np.empty((n, FEATURES), np.float32)
    for first in range(0, n, 1000):
        x[first : first + 1000] = rng.standard_normal((min(1000, n - first), FEATURES), dtype=np.float32) @ mixing + 5
    return x


def fastnorm(x: np.ndarray) -> Any:
    return fn.fit_whitening(x, method="pca").transform(x)


def scikit_learn(x: np.ndarray) -> Any:
    from sklearn.decomposition import PCA

    return PCA(whiten=True).fit(x).transform(x)


def numpy_float64(x: np.ndarray) -> Any:
    centred = x.astype(np.float64)
    centred -= centred.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / (len(x) - 1))
    return centred @ (vectors / np.sqrt(values))


def fastnorm_in_place(x: np.ndarray) -> Any:
    return fn.fit_whitening(x, method="pca").transform(x, out=x)


TABLE = {"fastnorm": fastnorm, "scikit-learn": scikit_learn, "numpy float64": numpy_float64}
MEASURED = TABLE | {"fastnorm in place": fastnorm_in_place}


def memory(name: str, n: int, threads: int) -> float:
    """Return megabytes that a process of its own needs above data and libraries, result included."""
    if not Path("/proc/self/clear_refs").exists():
        return float("nan")
    command = [sys.executable, __file__, "--memory-of", name, "--samples", str(n), "--threads", str(threads)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_memory(name: str, n: int) -> None:
    MEASURED[name](samples(FEATURES * 2))  # imports and pools
    x = samples(n)
    Path("/proc/self/clear_refs").write_text("5")  # from here on the peak counts
    before = _status("VmRSS")
    MEASURED[name](x)
    print((_status("VmHWM") - before) / 1024)


def _status(name: str) -> int:
    """Return a figure of this process, in kilobytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def plan(options: argparse.Namespace, rounds: int, pause: float) -> timing.Plan:
    """One call a turn."""
    clock = time.process_time if options.cpu else time.perf_counter
    return timing.Plan(rounds, turn=0.0, settle=pause, clock=clock)


def of_table(options: argparse.Namespace) -> None:
    x = samples(options.samples)
    z, mean = fastnorm(x), x.mean(axis=0, dtype=np.float64)
    print(f"fit and transform, {len(x)} x {FEATURES} float32 ({x.nbytes / 2**20:.0f} MB), {options.threads} threads")
    print(f"  off the identity: {np.abs(np.cov(z.T.astype(float)) - np.eye(FEATURES)).max():.1e}, mean {mean[0]:.1f}")
    calls = {name: functools.partial(call, x) for name, call in TABLE.items()}
    times = timing.interleaved(calls, plan(options, options.rounds, PAUSE))
    for name, seconds in times.items():
        ratio = timing.ratio(seconds, times["fastnorm"]).median
        need = memory(name, options.samples, options.threads)
        low, middle = min(seconds) * 1e3, np.median(seconds) * 1e3
        print(f"  {name:<14} {low:7.0f} ms least {middle:7.0f} ms median   x{ratio:5.2f}   {need:6.0f} MB")
    print(f"  the result in place of the data: {memory('fastnorm in place', options.samples, options.threads):.0f} MB")


def of_batches(options: argparse.Namespace) -> None:
    try:
        import torch

        import torch_whitening as peer
    except ImportError:
        print("PyTorch is not installed: no comparison of batch whitening")
        return
    torch.set_num_threads(options.threads)
    print("batch whitening, float32: least milliseconds of fastnorm, of PyTorch with float32 sums, with float64 sums,")
    print("  and the medians of their ratios to fastnorm")
    for shape, groups in SHAPES:
        for method in METHODS:
            print(
                f"  {shape!s:<18} groups {groups:<3} {method:<9}"
                + _against(torch, peer, shape, groups, method, options)
            )


def _against(torch: Any, peer: Any, shape: Any, groups: int, method: Any, options: argparse.Namespace) -> str:
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, *shape), dtype=np.float32)
    x += 0.5 * np.roll(x, 1, 1)
    xt, dyt = torch.from_numpy(x), torch.from_numpy(dy)
    y, saved = fn.batch_whitening_forward(x, groups=groups, method=method)
    answers: list[Any] = [y, *fn.batch_whitening_backward(dy, x, None, saved)]
    forward = {"fastnorm": functools.partial(fn.batch_whitening_forward, x, groups=groups, method=method)}
    backward = {"fastnorm": functools.partial(fn.batch_whitening_backward, dy, x, None, saved)}
    for name, wide in (("float32", False), ("float64", True)):
        y_peer, saved_peer = peer.forward(xt, groups, method, wide)
        for a, b in zip(answers, (y_peer, *peer.backward(dyt, xt, saved_peer)), strict=True):
            if not np.allclose(a, b.numpy(), rtol=1e-3, atol=1e-3 * np.abs(a).max()):
                raise SystemExit(f"{shape}, {groups} groups, {method}: the answers differ")
        forward[name] = functools.partial(peer.forward, xt, groups, method, wide)
        backward[name] = functools.partial(peer.backward, dyt, xt, saved_peer)
    text = ""
    for title, calls in (("forward", forward), ("backward", backward)):
        times = timing.interleaved(calls, plan(options, options.rounds * 2, PAUSE / 10))
        least = " ".join(f"{min(seconds) * 1e3:6.2f}" for seconds in times.values())
        ours = times.pop("fastnorm")
        ratios = [timing.ratio(seconds, ours).median for seconds in times.values()]
        text += f"   {title} {least}  x" + " x".join(f"{ratio:5.2f}" for ratio in ratios)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=fn.get_num_threads(), metavar="N")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="how often they take turns")
    parser.add_argument("--cpu", action="store_true", help="processor time in place of the clock's")
    parser.add_argument("--samples", type=int, default=100_000, metavar="N", help="rows of the table")
    parser.add_argument("--memory-of", choices=MEASURED, help=argparse.SUPPRESS)
    options = parser.parse_args()
    fn.set_num_threads(options.threads)
    with threadpoolctl.threadpool_limits(options.threads):
        if options.memory_of:
            measure_memory(options.memory_of, options.samples)
            return
        of_table(options)
        of_batches(options)


if __name__ == "__main__":
    main()
