"""Compare two builds of fastnorm: ``python bench/builds.py FOLDER [--full] [--threads N] [--only TEXT]``.

FOLDER holds the other build's package, as ``python/`` of a working tree does. Each build runs in a process of its own
and they take turns at each shape, their callers on the same processor, so that whatever else the machine does meets
both. How arrays lie in memory decides up to a fifth of the time, so it is another way in each of several processes. The
first figure is this build's time over the other's, the median over all turns; the second the other build's over
that of a second process of the same: what the measurement itself is off.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401, teaches NumPy the name bfloat16
import numpy as np

from cases import Spec, calls, networks

_TURN = 0.02


class Build:
    """One build, in a process that times a spec at each line that it is sent."""

    def __init__(self, folder: Path, threads: int, *, full: bool) -> None:
        command = [sys.executable, __file__, "--serve", str(folder), "--threads", str(threads)]
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        self._process = subprocess.Popen(
            [*command, *(["--full"] if full else [])],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self, index: int) -> float:
        """Return what one call of a spec takes."""
        assert self._process.stdin
        assert self._process.stdout
        print(index, file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def main() -> int:
    """Print the ratio of each spec and of all."""
    options = _options()
    specs = _specs(options.full, options.threads)
    if options.serve:
        _serve(specs, options.folder)
        return 0
    wanted = [i for i, spec in enumerate(specs) if options.only in spec.name]
    turns: dict[int, list[list[float]]] = {i: [] for i in wanted}
    here = Path(__file__).resolve().parent.parent / "python"
    for _ in range(options.processes):
        folders = (here, options.folder, options.folder)
        builds = [Build(folder, options.threads, full=options.full) for folder in folders]
        for i in wanted:
            turns[i] += [[build.seconds(i) for build in builds] for _ in range(options.rounds)][1:]
        for build in builds:
            build.close()
    for i in wanted:
        fastest = min(turn[0] for turn in turns[i]) * 1e6
        print(f"{_ratio(turns[i], 0):6.3f} {_ratio(turns[i], 2):6.3f}  {fastest:10.2f} us  {specs[i].name}")
    ratios, noise = ([_ratio(turns[i], which) for i in wanted] for which in (0, 2))
    print(f"{_mean(ratios):6.3f} {_mean(noise):6.3f}  geometric means of {len(wanted)}")
    print(f"{max(ratios):6.3f} {max(noise):6.3f}  the greatest")
    return 0


def _ratio(turns: list[list[float]], which: int) -> float:
    """Return one build's time over that of the second, the median over the turns."""
    return statistics.median(turn[which] / turn[1] for turn in turns)


def _mean(ratios: list[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, ratios)))


def _specs(full: bool, threads: int) -> list[Spec]:
    return [*networks(not full, threads), *calls(not full, threads)]


def _serve(specs: list[Spec], folder: Path) -> None:
    """Time the spec of each line's index: the data of one are kept while it is asked for."""
    import fastnorm
    from timing import Plan, interleaved

    assert Path(fastnorm.__file__).is_relative_to(folder.resolve()), fastnorm.__file__
    fastnorm.layer_norm(np.zeros((1024, 1024)))  # starts the threads, which may go anywhere
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # the caller alone
    last = -1
    between: list[bytearray] = []
    made: dict[str, Callable[[], Any]] = {}
    for line in sys.stdin:
        index = int(line)
        if index != last:
            spec = specs[index]
            # Memory of any size first: how arrays lie to each other decides up to a fifth of the time.
            between[:] = [bytearray(int.from_bytes(os.urandom(2), "little")) for _ in range(20)]
            fastnorm.set_num_threads(spec.threads)
            problem = spec.shape.problem(np.dtype(spec.dtype))
            more = {} if problem.direction == "backward" else {"out": np.empty_like(problem.data)}
            last, made = index, {"it": problem.call(fastnorm, **more)}
        (times,) = interleaved(made, Plan(rounds=1, turn=_TURN, settle=0.0)).values()
        print(times[0], flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the other build's package is")
    parser.add_argument("--full", action="store_true", help="all shapes, not those of the quick run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--processes", type=int, default=3, help="how often all is repeated in new processes")
    parser.add_argument("--only", default="", metavar="TEXT", help="specs whose name has this text in it")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
