"""Measure: ``python bench/run.py [--quick] [--output FILE.json]``, then bench/report.py makes tables and plots of it.

All libraries solve each problem in turns within one process, on the same number of threads, after their answers have
been compared with the float64 reference. A ratio is the median over the rounds, so that other work on the machine
meets all of them alike; its quartiles are kept too.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fastnorm
import machine
from cases import SECTIONS, Spec
from fastnorm.cli import timing
from fastnorm.cli.bandwidth import same_bytes
from fastnorm.cli.bench import AGREEMENT
from fastnorm.cli.problems import Problem
from hard import measure as measure_hard
from peers import Peer, named

_SMALL = 2**13
_LARGEST_JUDGED = 2**24  # elements; above, the reference would take most of the time, and fastnorm is the judge


def main() -> int:
    """Measure what the command line asks for; 1 if an answer was wrong."""
    options = _options()
    peers = named(options.peers)
    result: dict[str, Any] = {"machine": machine.facts(), "versions": {peer.name: peer.version for peer in peers}}
    result["counterparts"] = {peer.name: peer.counterpart for peer in peers}
    result |= {"threads": options.threads, "quick": options.quick, "load before": machine.load()}
    for section in options.sections:
        if section == "hard":
            result["hard"] = measure_hard(peers)
            continue
        if section != "memory":
            result["memory kept"] = machine.keep_memory()
        result[section] = list(_section(section, peers, options))
        _write(result, options.output)
    _write(result, options.output)
    wrong = [f"{r['name']}: {r['wrong']}" for section in SECTIONS for r in result.get(section, ()) if r["wrong"]]
    print(*wrong, f"written: {options.output}", sep="\n", file=sys.stderr)
    return 1 if wrong else 0


def _write(result: dict[str, Any], path: Path) -> None:
    """Write what is there, so that a run that is ended early leaves its sections."""
    result["load after"] = machine.load()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    everything = [*SECTIONS, "hard"]
    parser.add_argument("--quick", action="store_true", help="a tenth of the shapes, for a few minutes")
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"), metavar="FILE")
    parser.add_argument("--threads", type=int, default=fastnorm.get_num_threads(), metavar="N")
    parser.add_argument("--sections", nargs="+", choices=everything, default=everything)
    parser.add_argument("--peers", nargs="+", metavar="NAME", help="by default all that are installed")
    parser.add_argument("--only", default="", metavar="TEXT", help="specs whose name has this text in it")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often the libraries take turns (5, quick 6)")
    return parser.parse_args()


def _section(section: str, peers: list[Peer], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    specs = [spec for spec in SECTIONS[section](options.quick, options.threads) if options.only in spec.name]
    specs = [spec for spec in specs if _accepted(spec.dtype)]
    plan = timing.Plan(rounds=options.rounds or (6 if options.quick else 5), turn=0.01 if options.quick else 0.02)
    for i, spec in enumerate(specs, 1):
        print(f"{section} {i}/{len(specs)}  {spec.name}", file=sys.stderr, flush=True)
        yield _measure(spec, peers, plan)
        gc.collect()


def _accepted(dtype: str) -> bool:
    """Say whether fastnorm takes this data type."""
    try:
        fastnorm.layer_norm(np.ones((1, 4), _dtype(dtype)))
    except (TypeError, ImportError):
        return False
    return True


def _dtype(name: str) -> np.dtype[Any]:
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def _measure(spec: Spec, peers: list[Peer], plan: timing.Plan) -> dict[str, Any]:
    problem = spec.shape.problem(_dtype(spec.dtype))
    found = {peer.name: peer.candidate(problem, spec.threads) for peer in peers}
    candidates = {name: candidate for name, candidate in found.items() if candidate is not None}
    wrong = _disagreeing(problem, {name: c.answer(c.call()) for name, c in candidates.items()})
    calls = {name: candidate.call for name, candidate in candidates.items() if name not in wrong}
    if problem.data.size <= _SMALL:  # the least that a call can cost
        factor = problem.arguments["weight"] if problem.data.ndim == 2 else problem.data
        calls["np.multiply"] = functools.partial(np.multiply, problem.data, factor)
    times = timing.interleaved({**calls, "copy": same_bytes(problem)}, plan)
    return {
        "name": spec.name,
        **vars(spec.shape),
        "dtype": spec.dtype,
        "threads": spec.threads,
        "streams": problem.streams,
        "bytes": problem.data.nbytes,
        "seconds": times,
        "wrong": wrong,
    }


def _disagreeing(problem: Problem, answers: dict[str, Any]) -> list[str]:
    """Return the names of those whose answers are wrong, judged by the reference or, for huge data, by fastnorm."""
    if problem.data.size <= _LARGEST_JUDGED:
        judge = problem.judge()
        return [name for name, answer in answers.items() if not max(judge.errors(answer).values()) < AGREEMENT]
    ours = _main_output(next(iter(answers.values())))
    close = {name: np.allclose(_main_output(answer), ours, rtol=1e-3, atol=1e-3) for name, answer in answers.items()}
    return [name for name, agrees in close.items() if not agrees]


def _main_output(answer: Any) -> np.ndarray:
    return answer if isinstance(answer, np.ndarray) else answer[0]


if __name__ == "__main__":
    sys.exit(main())
