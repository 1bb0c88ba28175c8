"""Time and memory of whitening: ``python bench/whitening.py [--threads N] [--rounds N] [--shapes NxD ...] [--cpu]``.

Fit and transform of tables against scikit-learn's PCA(whiten=True) of every solver, and the formula written out in
NumPy and in PyTorch; the map alone against a matrix product; then batch whitening forward and backward against the same
formulas in PyTorch. All take turns in one process and on the same number of threads; the memory is what a process of
its own needs above the data. Milliseconds are those of the clock, with --cpu those of the processor: for one thread on
a busy machine.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl

import fastnorm as fn
import timing

SHAPES = [
    (100_000, 256),
    (8_480, 192),
    (1_797, 64),
    (1_000_000, 16),
    (20_000, 768),
    (5_000, 2_048),
    (60, 2_500),
    (200, 20_000),
    (4_096, 384),
]
BATCHES = [((32, 64, 28, 28), 1), ((32, 64, 28, 28), 4), ((64, 256, 7, 7), 16), ((4096, 128), 1)]
METHODS = ("zca", "cholesky", "iternorm")
CONDITION = 1e3  # of the covariance of the table
# Threads of one library spin for a while after its call. They must not be there in the next one's.
PAUSE = 0.2


def samples(n: int, d: int, dtype: Any) -> np.ndarray:
    """Correlated samples, made without more memory than they need."""
    rng = np.random.default_rng(0)
    x = np.empty((n, d), dtype)
    scales = np.geomspace(1, CONDITION**-0.5, d).astype(dtype)
    reflection = rng.standard_normal(d).astype(dtype)
    reflection /= np.linalg.norm(reflection)
    for first in range(0, n, 1000):
        part = rng.standard_normal((min(1000, n - first), d), dtype=dtype) * scales
        x[first : first + 1000] = part - 2 * np.outer(part @ reflection, reflection) + 5
    return x


def components(x: np.ndarray) -> int | None:
    """All of them, or of few samples half as many."""
    return len(x) // 2 if len(x) < x.shape[1] else None


def fastnorm(x: np.ndarray) -> Any:
    return fn.whiten(x, method="pca", n_components=components(x))


def fastnorm_in_place(x: np.ndarray) -> Any:
    return fn.fit_whitening(x, method="pca").transform(x, out=x)


def scikit_learn(solver: str) -> Callable[[np.ndarray], Any]:
    def fit(x: np.ndarray) -> Any:
        from sklearn.decomposition import PCA

        return PCA(components(x), whiten=True, svd_solver=solver).fit_transform(x)

    return fit


def numpy(x: np.ndarray) -> Any:
    centred = x - x.mean(axis=0)
    if len(x) < x.shape[1]:
        u = np.linalg.svd(centred, full_matrices=False)[0][:, : components(x)]
        return u * np.sqrt(x.dtype.type(len(x) - 1))
    values, vectors = np.linalg.eigh(np.cov(x, rowvar=False))
    return centred @ (vectors / np.sqrt(values)).astype(x.dtype)


def pytorch(x: np.ndarray) -> Any:
    import torch

    t = torch.from_numpy(x)
    centred = t - t.mean(0)
    if len(x) < x.shape[1]:
        return torch.linalg.svd(centred, full_matrices=False)[0][:, : components(x)] * (len(x) - 1) ** 0.5
    values, vectors = torch.linalg.eigh(torch.cov(t.T))
    return centred @ (vectors / values.sqrt())


def peers(x: np.ndarray) -> dict[str, Callable[[np.ndarray], Any]]:
    """Every way to whiten that exists for the shape and would end."""
    n, d = x.shape
    found: dict[str, Callable[[np.ndarray], Any]] = {"fastnorm": fastnorm, "numpy": numpy}
    # The solver of the covariance would take minutes for few samples, those of a part have no part to find else.
    solvers = ("full", "covariance_eigh") if n >= d else ("full", "randomized", "arpack")
    found |= {f"scikit-learn {solver}": scikit_learn(solver) for solver in solvers}
    if importlib.util.find_spec("torch"):
        found["pytorch"] = pytorch
    return found


EVERY = {
    "fastnorm": fastnorm,
    "fastnorm in place": fastnorm_in_place,
    "numpy": numpy,
    "pytorch": pytorch,
    **{
        f"scikit-learn {solver}": scikit_learn(solver) for solver in ("full", "covariance_eigh", "randomized", "arpack")
    },
}


def memory(name: str, x: np.ndarray, threads: int) -> float:
    """Return megabytes that a process of its own needs above data and libraries, result included."""
    if not Path("/proc/self/clear_refs").exists():
        return float("nan")
    shape = "x".join(map(str, x.shape))
    command = [sys.executable, __file__, "--memory-of", name, "--shapes", shape, "--dtypes", str(x.dtype)]
    command += ["--threads", str(threads)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_memory(name: str, n: int, d: int, dtype: Any) -> None:
    EVERY[name](samples(200, 20, dtype))  # imports and pools
    x = samples(n, d, dtype)
    Path("/proc/self/clear_refs").write_text("5")  # from here on the peak counts
    before = _status("VmRSS")
    EVERY[name](x)
    print((_status("VmHWM") - before) / 1024)


def _status(name: str) -> int:
    """Return a figure of this process, in kilobytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def plan(options: argparse.Namespace, rounds: int, pause: float) -> timing.Plan:
    """One call a turn."""
    clock = time.process_time if options.cpu else time.perf_counter
    return timing.Plan(rounds, turn=0.0, settle=pause, clock=clock)


def take_turns(
    calls: dict[str, Callable[[], Any]], options: argparse.Namespace, pause: float = PAUSE
) -> dict[str, np.ndarray]:
    """Seconds of every round."""
    times = timing.interleaved(calls, plan(options, options.rounds, pause))
    return {name: np.array(seconds) for name, seconds in times.items()}


def of_tables(options: argparse.Namespace) -> None:
    print(
        f"fit and transform, {options.threads} threads: least ms, others' time over fastnorm's, MB of the fastest two"
    )
    ratios = []
    for n, d in options.shapes:
        for dtype in options.dtypes:
            ratios.append(of_table(samples(n, d, dtype), options))
    print(f"geometric mean of the ratios of the fastest of the others: {np.exp(np.mean(np.log(ratios))):.2f}")


def of_table(x: np.ndarray, options: argparse.Namespace) -> float:
    """Print a line, return the ratio of the fastest of the others."""
    z = fastnorm(x).astype(np.float64)
    off = np.abs(np.cov(z.T) - np.eye(z.shape[1])).max()
    if not off < 1e-2:
        raise SystemExit(f"{x.shape}, {x.dtype}: {off:.1e} off the identity")
    calls: dict[str, Callable[[], Any]] = {name: functools.partial(call, x) for name, call in peers(x).items()}
    times = take_turns(calls, options)
    ours = times.pop("fastnorm")
    ratio = {name: float(np.median(seconds / ours)) for name, seconds in times.items()}
    fastest = min(ratio, key=lambda name: ratio[name])
    text = "  ".join(f"{name} {value:.2f}" for name, value in ratio.items())
    need = ""
    if options.memory:
        need = " ".join(f"{memory(name, x, options.threads):.0f}" for name in ("fastnorm", fastest))
        need = f"   MB of data {x.nbytes / 2**20:.0f}: {need}"
    shape = "x".join(map(str, x.shape))
    slower = " SLOWER" if ratio[fastest] < 1 else ""
    print(f"  {shape:<12} {x.dtype!s:<8} {ours.min() * 1e3:8.2f} ms   {text}{need}{slower}", flush=True)
    return ratio[fastest]


def of_maps(options: argparse.Namespace) -> None:
    """The map alone, in place, against the matrix product of BLAS."""
    print("the map alone, in place: least ms, and np.matmul's time over it")
    for n, d in options.shapes:
        for dtype in options.dtypes if n >= d else ():
            of_map(samples(n, d, dtype), options)


def of_map(x: np.ndarray, options: argparse.Namespace) -> None:
    fit = fn.fit_whitening(x)
    matrix, out, place = fit.matrix.T.astype(x.dtype), np.empty_like(x), x.copy()
    calls = {"fastnorm": lambda: fit.transform(x, out=place), "matmul": lambda: np.matmul(x, matrix, out=out)}
    times = take_turns(calls, options, PAUSE / 4)
    ratio = np.median(times["matmul"] / times["fastnorm"])
    shape = "x".join(map(str, x.shape))
    print(f"  {shape:<12} {x.dtype!s:<8} {times['fastnorm'].min() * 1e3:8.2f} ms   {ratio:.2f}", flush=True)


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
    every: list[float] = []
    for shape, groups in BATCHES:
        for method in METHODS:
            text, ratios = _against(torch, peer, shape, groups, method, options)
            every += ratios
            slower = " SLOWER" if min(ratios) < 1 else ""
            print(f"  {shape!s:<18} groups {groups:<3} {method:<9}{text}{slower}", flush=True)
    print(f"geometric mean of the ratios of float32 sums: {np.exp(np.mean(np.log(every))):.2f}")


def _against(
    torch: Any, peer: Any, shape: Any, groups: int, method: Any, options: argparse.Namespace
) -> tuple[str, list[float]]:
    """What to print, and the ratios to float32 sums of forward and backward."""
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
    text, to_float32 = "", []
    for title, calls in (("forward", forward), ("backward", backward)):
        times = timing.interleaved(calls, plan(options, options.rounds * 2, PAUSE / 10))
        least = " ".join(f"{min(seconds) * 1e3:6.2f}" for seconds in times.values())
        ours = times.pop("fastnorm")
        ratios = [timing.ratio(seconds, ours).median for seconds in times.values()]
        to_float32.append(ratios[0])
        text += f"   {title} {least}  x" + " x".join(f"{ratio:5.2f}" for ratio in ratios)
    return text, to_float32


def _shape(text: str) -> tuple[int, int]:
    n, d = text.split("x")
    return int(n), int(d)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=fn.get_num_threads(), metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often they take turns")
    parser.add_argument("--cpu", action="store_true", help="processor time in place of the clock's")
    parser.add_argument("--shapes", type=_shape, nargs="+", default=SHAPES, metavar="NxD", help="of the tables")
    parser.add_argument("--dtypes", type=np.dtype, nargs="+", default=[np.dtype("f4"), np.dtype("f8")])
    parser.add_argument("--only", choices=("tables", "maps", "batches"))
    parser.add_argument("--no-memory", dest="memory", action="store_false")
    parser.add_argument("--memory-of", choices=EVERY, help=argparse.SUPPRESS)
    options = parser.parse_args()
    fn.set_num_threads(options.threads)
    with threadpoolctl.threadpool_limits(options.threads):
        if importlib.util.find_spec("torch"):
            import torch

            torch.set_num_threads(options.threads)
        if options.memory_of:
            n, d = options.shapes[0]
            measure_memory(options.memory_of, n, d, options.dtypes[0])
            return
        for name, part in {"tables": of_tables, "maps": of_maps, "batches": of_batches}.items():
            if options.only in (None, name):
                part(options)


if __name__ == "__main__":
    main()
