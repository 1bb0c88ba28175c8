"""Compare two builds of fastnorm: ``python bench/builds.py FOLDER [--full] [--threads N] [--only TEXT]``.

FOLDER holds the other build's package, as ``python/`` of a working tree does. Each build runs in a process of its own
and both take turns at each shape, so that whatever else the machine does meets both. The figure is this build's time
over the other's, the median over the turns.
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


def main() -> int:
    """Print the ratio of each spec and of all."""
    options = _options()
    specs = _specs(options.full, options.threads)
    if options.serve:
        _serve(specs, options.folder)
        return 0
    here = Path(__file__).resolve().parent.parent / "python"
    builds = [Build(folder, options.threads, full=options.full) for folder in (here, options.folder)]
    ratios = []
    for i, spec in enumerate(specs):
        if options.only not in spec.name:
            continue
        turns = [[build.seconds(i) for build in builds] for _ in range(options.rounds)]
        ratios.append(statistics.median(ours / other for ours, other in turns[1:]))
        print(f"{ratios[-1]:6.3f}  {min(t[0] for t in turns) * 1e6:10.2f} us  {spec.name}", flush=True)
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    print(f"{mean:6.3f}  geometric mean of {len(ratios)}, the greatest {max(ratios):.3f}")
    return 0


def _specs(full: bool, threads: int) -> list[Spec]:
    return [*networks(not full, threads), *calls(not full, threads)]


def _serve(specs: list[Spec], folder: Path) -> None:
    """Time the spec of each line's index: the data of one are kept while it is asked for."""
    import fastnorm
    from timing import Plan, interleaved

    assert Path(fastnorm.__file__).is_relative_to(folder.resolve()), fastnorm.__file__
    last = -1
    made: dict[str, Callable[[], Any]] = {}
    for line in sys.stdin:
        index = int(line)
        if index != last:
            spec = specs[index]
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
    parser.add_argument("--only", default="", metavar="TEXT", help="specs whose name has this text in it")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
