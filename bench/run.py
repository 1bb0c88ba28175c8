"""Measure: ``python bench/run.py [--quick] [--output FILE.json]``, then bench/report.py makes tables and plots of it.

All libraries solve each problem in turns within one process, on the same number of threads, after their answers have
been compared: with the float64 reference for the smallest problem of each kind and all small ones, with fastnorm's for
the others. A ratio is the median over the rounds in which both took part, so that other work on the machine meets all
of them alike; its quartiles are kept too. What is slow takes part in fewer rounds.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import fastnorm
import machine
import results
import timing
from bandwidth import same_bytes
from candidate import Candidate, Peer
from cases import SECTIONS, Spec, one_of_each_kind
from hard import measure as measure_hard
from judge import AGREEMENT, Judge
from peers import named
from problems import Problem
from situations import can_be_called_together, cold, measure_first, together

# Numbers of elements.
_SMALL = 2**13
_LARGEST_JUDGED = 2**19  # by the reference, unless the smallest of its kind: it would take most of the time
_LARGEST_COMPARED = 2**27  # above, each library would take gigabytes; fastnorm and the copy are left
_SAMPLE = 2**20

_COPIES = 10  # of the data that must fit in memory: inputs, outputs, the copy's, and what drawing them takes


def main() -> int:
    """Measure what the command line asks for; 1 if an answer of fastnorm was wrong."""
    options = _options()
    peers = named(options.peers)
    result: dict[str, Any] = {"machine": machine.facts(), "versions": {peer.name: peer.version for peer in peers}}
    result["counterparts"] = {peer.name: peer.counterpart for peer in peers}
    result |= {"threads": options.threads, "quick": options.quick, "load before": machine.load(), "elapsed": {}}
    for section in options.sections:
        start = time.perf_counter()
        if section not in ("memory", "first", "hard"):
            result["memory kept"] = machine.keep_memory()
        result[section] = list(_section(section, peers, options))
        result["elapsed"][section] = round(time.perf_counter() - start, 1)
        _write(result, options.output)
    wrong = [f"{r['name']}: {r['wrong']}" for section in SECTIONS for r in result.get(section, ()) if r["wrong"]]
    took = [f"{section:<10}{seconds:7.1f} s" for section, seconds in result["elapsed"].items()]
    total = f"{'in all':<10}{sum(result['elapsed'].values()):7.1f} s"
    print(*wrong, *took, total, f"written: {options.output}", sep="\n", file=sys.stderr)
    ours = (name for section in SECTIONS for r in result.get(section, ()) for name in r["wrong"] if _is_ours(name))
    return 1 if any(ours) else 0


def _is_ours(name: str) -> bool:
    return name.startswith(results.OURS)


def _write(result: dict[str, Any], path: Path) -> None:
    """Write what is there, so that a run that is ended early leaves its sections."""
    result["load after"] = machine.load()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    everything = ["first", *SECTIONS, "hard"]
    parser.add_argument("--quick", action="store_true", help="a tenth of the shapes, for a few minutes")
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"), metavar="FILE")
    parser.add_argument("--threads", type=int, default=fastnorm.get_num_threads(), metavar="N")
    parser.add_argument("--sections", nargs="+", choices=everything, default=everything)
    parser.add_argument("--peers", nargs="+", metavar="NAME", help="by default all that are installed")
    parser.add_argument("--only", default="", metavar="TEXT", help="specs whose name has this text in it")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often the libraries take turns (7, quick 6)")
    return parser.parse_args()


def _section(section: str, peers: list[Peer], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    if section == "hard":
        yield from measure_hard(peers)
    elif section == "first":
        yield from measure_first(peers, options.threads, options.rounds or (3 if options.quick else 6))
    else:
        yield from _specs(section, peers, options)


def _specs(section: str, peers: list[Peer], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    specs = [s for s in SECTIONS[section](options.quick, options.threads) if _accepted(s.dtype) and _fits(s)]
    rounds, turn, budget = (6, 0.01, 0.25) if options.quick else (7, 0.02, 0.6)
    plan = timing.Plan(options.rounds or rounds, turn, budget)
    judged = {*one_of_each_kind(specs), *(spec for spec in specs if spec.size <= _LARGEST_JUDGED)}
    specs = [spec for spec in specs if options.only in spec.name]
    for i, spec in enumerate(specs, 1):
        print(f"{section} {i}/{len(specs)}  {spec.name}", file=sys.stderr, flush=True)
        yield _measure(spec, peers, plan, by_reference=spec in judged)
        gc.collect()


def _fits(spec: Spec) -> bool:
    """Say whether the machine has the memory, as far as it tells how much it has."""
    return not 0 < machine.memory() < _COPIES * spec.size * _dtype(spec.dtype).itemsize


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

        name = ml_dtypes.bfloat16
    return np.dtype(name)


def _measure(spec: Spec, peers: list[Peer], plan: timing.Plan, *, by_reference: bool) -> dict[str, Any]:
    problem = spec.shape.problem(_dtype(spec.dtype))
    if spec.size > _LARGEST_COMPARED:
        peers = [peer for peer in peers if _is_ours(peer.name)]
    if spec.callers:
        peers = [peer for peer in peers if can_be_called_together(peer)]
    found = {peer.name: peer.candidate(problem, spec.threads) for peer in peers}
    candidates = {name: candidate for name, candidate in found.items() if candidate is not None}
    wrong = (_wrong if by_reference else _unlike_the_first)(problem, candidates)
    calls = {name: candidate.call for name, candidate in candidates.items() if name not in wrong}
    if problem.data.size <= _SMALL and not spec.callers:  # the least that a call can cost
        factor = problem.arguments["weight"] if problem.data.ndim == 2 else problem.data
        calls["np.multiply"] = functools.partial(np.multiply, problem.data, factor)
    times = timing.interleaved(_in_its_situation(spec, calls, problem), plan)
    return {
        "name": spec.name,
        **vars(spec.shape),
        "dtype": spec.dtype,
        "threads": spec.threads,
        "callers": spec.callers,
        "streams": problem.streams,
        "bytes": problem.data.nbytes,
        "seconds": times,
        "wrong": wrong,
    }


def _in_its_situation(spec: Spec, calls: Mapping[str, timing.Call], problem: Problem) -> Mapping[str, timing.Call]:
    if spec.cold:
        return cold(calls, problem)
    return together(calls, spec.callers) if spec.callers else {**calls, "copy": same_bytes(problem)}


def _wrong(problem: Problem, candidates: dict[str, Candidate]) -> list[str]:
    """Return the names of those whose answers are not the reference's."""
    judge = Judge(problem)
    errors = ((name, judge.errors(candidate.answer(candidate.call()))) for name, candidate in candidates.items())
    # In 16 bits some store statistics like data, and are a few roundings of the type off. The unit is that of float32.
    few = 16 * _epsilon(problem.data.dtype) / _epsilon(np.dtype(np.float32))
    return [name for name, error in errors if not max(error.values()) < max(AGREEMENT, few)]


def _unlike_the_first(problem: Problem, candidates: dict[str, Candidate]) -> list[str]:
    """Return the names of those whose main output is not that of the first, which is fastnorm, in a sample of it."""
    samples = ((name, _sample(candidate.answer(candidate.call()))) for name, candidate in candidates.items())
    first, *others = samples
    tolerance = max(1e-3, 4 * _epsilon(problem.data.dtype))
    reach = tolerance * np.abs(first[1]).max()
    return [name for name, sample in others if not np.allclose(sample, first[1], rtol=tolerance, atol=reach)]


def _sample(answer: Any) -> np.ndarray:
    """Return every so many-th element; the step is odd, so that all rows and columns are met."""
    output = answer if isinstance(answer, np.ndarray) else answer[0]
    return output.reshape(-1)[:: max(1, output.size // _SAMPLE) | 1].astype(np.float64)


def _epsilon(dtype: np.dtype[Any]) -> float:
    """Return the distance of 1 and the next number."""
    return 2.0**-7 if dtype.name == "bfloat16" else float(np.finfo(dtype).eps)


if __name__ == "__main__":
    sys.exit(main())
