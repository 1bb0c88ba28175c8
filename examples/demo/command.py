"""The command: what the demonstration runs, and the table that it prints."""

import argparse
import functools
import math
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from threadpoolctl import threadpool_limits

import fastnorm
import plain_numpy
import timing
from judge import THRESHOLDS, Judge, exceeded

from . import figures, inputs, terminal
from .cases import Case, cases

_FOOTNOTE = """\
error: worst scaled error against fastnorm.reference (float64), in units of the rounding errors that float32
arithmetic cannot avoid. The limit is what the library's tests demand; the output named is the nearest to its limit.
z and dz: whitened values and their gradient; roundings count by the root of the covariance's condition number.
NumPy: straightforward float32 code on one thread (bench/plain_numpy.py), its worst error and its time.
ratio: NumPy's time by that of fastnorm, on all threads or on one, whichever is less."""
_BESIDE_DATA = 138  # columns of a terminal that has room for the name of the data


class Outcome(NamedTuple):
    """What came out of a case: scaled errors by output of fastnorm and of NumPy, and seconds, a round each, by name."""

    case: Case
    errors: dict[str, float]
    numpy_errors: dict[str, float]
    times: dict[str, list[float]]

    @property
    def ratio(self) -> float:
        """NumPy's time by fastnorm's."""
        return max(timing.ratio(self.times["NumPy"], self.times[name]).median for name in self.times if name != "NumPy")

    @property
    def within_limits(self) -> bool:
        """Whether no output of fastnorm is beyond its limit."""
        return not exceeded(self.errors)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    description = """Normalize photographs and handwritten digits; print accuracy and speed, write a picture. Each
        operation runs forward and backward in float32, channel first and channel last, on two photographs of 427 x 640
        pixels, their patches, and 1797 digits that come with scikit-learn; layer norm in float16 too. Patches are also
        the filters of the methods for weights. The exit code is 1 if an error is beyond its limit."""
    made = argparse.ArgumentParser(prog="python examples/demo", description=description)
    picture = made.add_mutually_exclusive_group()
    picture.add_argument("--output", type=Path, default=Path("fastnorm-demo.png"), metavar="FILE.png")
    picture.add_argument("--no-picture", action="store_true", help="write no picture")
    made.add_argument("--quick", action="store_true", help="a sixteenth of the pixels, 200 digits, few repetitions")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and return the exit code: 0, or 1 if an error is beyond its limit, or 2 if the picture cannot be written."""
    options = parser().parse_args(arguments)
    try:
        return run(options)
    except OSError as error:
        print(f"python examples/demo: {error}", file=sys.stderr)
        return 2


def run(options: argparse.Namespace) -> int:
    """Print the table, write the picture, and return 1 if an error is beyond its limit."""
    screen = terminal.console()
    if not options.no_picture:
        options.output.touch()
    data = inputs.load(step=4, digits=200) if options.quick else inputs.load()
    plan = (
        timing.Plan(rounds=3, turn=0.001)
        if options.quick
        else timing.Plan(rounds=4, turn=0.005, budget=0.3, settle=0.002)
    )

    todo = list(cases(data))
    with threadpool_limits(1), terminal.progress(screen, "running", len(todo)) as step:
        outcomes = []
        for case in todo:
            step(f"{case.title}, {case.problem.direction}, {case.data}, {case.problem.layout}")
            outcomes.append(solve(case, plan))
    _print(screen, outcomes)
    if not options.no_picture:
        figures.draw(data, options.output)
        screen.print(f"picture: {options.output}", highlight=False, soft_wrap=True)

    return 0 if all(outcome.within_limits for outcome in outcomes) else 1


def solve(case: Case, plan: timing.Plan) -> Outcome:
    """Run a case in fastnorm and in NumPy: errors first, then times."""
    fast, plain = case.problem.call(fastnorm), case.problem.call(plain_numpy)
    judge = Judge(case.problem)
    errors, numpy_errors = judge.errors(fast()), judge.errors(plain())
    calls: dict[str, timing.Call] = {"NumPy": plain}
    for n in _thread_counts():
        calls[terminal.threads(n)] = functools.partial(_with_threads, n, fast)
    return Outcome(case, errors, numpy_errors, timing.interleaved(calls, plan))


def _thread_counts() -> list[int]:
    return sorted({1, fastnorm.get_num_threads()})


def _with_threads(n: int, call: Callable[[], object]) -> None:
    with fastnorm.threads(n):
        call()


def _print(screen: Console, outcomes: list[Outcome]) -> None:
    timed = ["NumPy", *map(terminal.threads, _thread_counts())]
    left, right = ["operation", "pass", "data", "shape", "layout"], ["error / limit", "NumPy's", *timed, "ratio"]
    wide = screen.width >= _BESIDE_DATA
    columns = [*((name, "left") for name in left), *((name, "right") for name in right)]
    title = f"{terminal.versions(fastnorm.get_num_threads())}, float32"
    table = terminal.table(title, columns if wide else columns[:2] + columns[3:])
    previous = ""
    for outcome in outcomes:
        cells = _row(outcome, previous)
        style = "" if outcome.within_limits else "red"
        table.add_row(*(cells if wide else cells[:2] + cells[3:]), style=style)
        previous = outcome.case.title
    screen.print(table)
    screen.print(_FOOTNOTE, style="dim", highlight=False)
    mean = statistics.geometric_mean([outcome.ratio for outcome in outcomes])
    within = sum(outcome.within_limits for outcome in outcomes)
    text = f"\n{within} of {len(outcomes)} within the limits; {mean:.1f} times as fast as NumPy (geometric mean)"
    screen.print(text, style="bold", highlight=False)


def _row(outcome: Outcome, previous: str) -> list[str]:
    case, problem = outcome.case, outcome.case.problem
    name = max(outcome.errors, key=lambda output: outcome.errors[output] / THRESHOLDS[output])
    numpy_error = max(outcome.numpy_errors.values())
    return [
        case.title if case.title != previous else "",
        problem.direction,
        case.data,
        "x".join(map(str, problem.data.shape)),
        problem.layout,
        f"{name} {outcome.errors[name]:.2f} / {THRESHOLDS[name]:>2}",
        f"{numpy_error:.{0 if numpy_error >= 10 else 2}f}" if math.isfinite(numpy_error) else "wrong",
        *map(timing.seconds, outcome.times.values()),
        f"{outcome.ratio:.1f}x",
    ]
