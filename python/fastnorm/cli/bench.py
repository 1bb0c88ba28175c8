"""``python -m fastnorm bench``: a small comparison of speed on this machine."""

import argparse
import json
import platform
import statistics
from pathlib import Path
from typing import Any, NamedTuple

import fastnorm

from . import terminal, timing
from .bandwidth import same_bytes
from .peers import Candidate, Peer, available
from .problems import Problem
from .shapes import COMPARED, Shape

_HELP = "compare speed with NumPy, and with PyTorch and ONNX Runtime if they are installed"
_FOOTNOTE = """\
fastnorm: median time of a call. of copy: the time of a copy of the bytes that must be moved, on the same threads, by
the time of fastnorm with out=. Other columns: how many times as long they take, median of the rounds in which all take
turns. ONNX Runtime writes to an array made before and is compared with fastnorm doing so; the others make new ones."""

# Answers that are farther from the reference than this many rounding errors are not answers to the same question.
AGREEMENT = 4096


class Measured(NamedTuple):
    """Seconds of one call by name, a number a round, and the names of those whose answers were wrong."""

    shape: Shape
    times: dict[str, list[float]]
    wrong: list[str]


def add_command(commands: Any) -> None:
    """Add the command to the parser's."""
    description = f"""{_HELP[0].upper()}{_HELP[1:]}: {len(COMPARED)} shapes of real networks in float32. Before it is
        timed, every answer is compared with the float64 reference; the exit code is 1 if one does not agree."""
    parser = commands.add_parser("bench", help=_HELP, description=description)
    parser.add_argument("--threads", type=_positive, metavar="N", help="of every library alike; by default fastnorm's")
    parser.add_argument("--rounds", type=_positive, default=7, metavar="N", help="how often all take turns (7)")
    parser.add_argument("--only", default="", metavar="TEXT", help="the shapes whose line has this text in it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all times as JSON")
    parser.set_defaults(run=run)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def run(options: argparse.Namespace) -> int:
    """Measure, print the table, and return 1 if an answer was wrong."""
    screen = terminal.console("bench")
    shapes = [shape for shape in COMPARED if options.only.lower() in shape.name.replace("-", " ").lower()]
    threads = options.threads or fastnorm.get_num_threads()
    before, peers, measured = fastnorm.get_num_threads(), available(), []
    with terminal.progress(screen, "measuring", len(shapes)) as step:
        for shape in shapes:
            step(f"{shape.place}, {shape.op}, {shape.direction}")
            measured.append(measure(shape, peers, threads, timing.Plan(options.rounds)))
    fastnorm.set_num_threads(before)
    _print(screen, measured, peers, threads)
    if options.json:
        options.json.write_text(json.dumps(_record(measured, peers, threads), indent=1) + "\n")
    return 1 if any(one.wrong for one in measured) else 0


def measure(shape: Shape, peers: list[Peer], threads: int, plan: timing.Plan) -> Measured:
    """Check the answers of all libraries to one problem, then time them in turns."""
    problem = shape.problem()
    candidates = {peer.name: peer.candidate(problem, threads) for peer in peers}
    ready = {name: candidate for name, candidate in candidates.items() if candidate is not None}
    wrong = disagreeing(problem, ready)
    calls = {name: candidate.call for name, candidate in ready.items() if name not in wrong}
    return Measured(shape, timing.interleaved({**calls, "copy": same_bytes(problem)}, plan), wrong)


def disagreeing(problem: Problem, candidates: dict[str, Candidate]) -> list[str]:
    """Return the names of those whose answers are not the reference's."""
    judge = problem.judge()
    answers = {name: candidate.answer(candidate.call()) for name, candidate in candidates.items()}
    return [name for name, answer in answers.items() if not max(judge.errors(answer).values()) < AGREEMENT]


def _print(screen: Any, measured: list[Measured], peers: list[Peer], threads: int) -> None:
    others = {peer.name: peer.counterpart for peer in peers if not peer.name.startswith("fastnorm")}
    left, right = ("where", "operation", "pass", "shape", "layout"), ("fastnorm", "of copy", *others)
    columns = [*((name, "left") for name in left), *((name, "right") for name in right)]
    versions = [terminal.versions(threads), *(f"{peer.name} {peer.version}" for peer in peers[3:])]
    table = terminal.table(f"{', '.join(versions)}; float32", columns)
    for one in measured:
        table.add_row(*_row(one, others), style="red" if one.wrong else "")
    screen.print(table)
    screen.print(_FOOTNOTE, style="dim", highlight=False)
    for name, ours in others.items():
        both = [one.times for one in measured if {name, ours} <= {*one.times}]
        ratios = [timing.ratio(times[name], times[ours]).median for times in both]
        if ratios:
            mean, least = statistics.geometric_mean(ratios), min(ratios)
            text = f"{name} takes {mean:.1f} times as long (geometric mean of {len(ratios)}), at the least {least:.2f}"
            screen.print(text, style="bold", highlight=False)
    for one in measured:
        for name in one.wrong:
            screen.print(f"{name} does not agree with the reference: {one.shape.name}", style="red", highlight=False)


def _row(one: Measured, others: dict[str, str]) -> list[str]:
    shape, times = one.shape, one.times

    def ratio(other: str, ours: str, unit: str = "") -> str:
        return f"{timing.ratio(times[other], times[ours]).median:.2f}{unit}" if {other, ours} <= {*times} else ""

    return [
        shape.place,
        shape.op.replace("_", " "),
        shape.direction,
        "x".join(map(str, shape.shape)),
        shape.layout,
        timing.seconds(times["fastnorm"]) if "fastnorm" in times else "wrong",
        ratio("copy", "fastnorm, out=") or ratio("copy", "fastnorm"),
        *(ratio(name, ours, "x") for name, ours in others.items()),
    ]


def _record(measured: list[Measured], peers: list[Peer], threads: int) -> dict[str, Any]:
    return {
        "versions": {peer.name: peer.version for peer in peers},
        "simd_target": fastnorm.simd_target(),
        "machine": platform.machine(),
        "threads": threads,
        "cases": [{**vars(one.shape), "seconds": one.times, "wrong": one.wrong} for one in measured],
    }
