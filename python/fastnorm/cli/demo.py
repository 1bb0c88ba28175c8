"""``python -m fastnorm demo``: every operation on real images, checked, timed, and shown in a picture."""

import argparse
import math
import statistics
from pathlib import Path
from typing import Any, NamedTuple

import fastnorm

from . import accuracy, figures, inputs, plain_numpy, terminal, timing
from .cases import Case, cases
from .extras import require

_HELP = "normalize photographs and handwritten digits; print accuracy and speed, write a picture"
_COLUMNS = (
    *((name, "left") for name in ("operation", "pass", "data", "shape", "layout")),
    *((name, "right") for name in ("error / limit", "NumPy's", "NumPy", "fastnorm", "ratio")),
)
_FOOTNOTE = """\
error: worst scaled error against fastnorm.reference (float64), in units of the rounding errors that float32
arithmetic cannot avoid. The limit is what the library's tests demand; the output named is the nearest to its limit.
NumPy: straightforward float32 code (fastnorm/cli/plain_numpy.py), its worst error and its time."""


class Outcome(NamedTuple):
    """What came out of a case: scaled errors by output of fastnorm and of NumPy, and seconds of both, a round each."""

    case: Case
    errors: dict[str, float]
    numpy_errors: dict[str, float]
    times: dict[str, list[float]]

    @property
    def ratio(self) -> float:
        """NumPy's time by fastnorm's."""
        return timing.ratio(self.times["NumPy"], self.times["fastnorm"]).median


def add_command(commands: Any) -> None:
    """Add the command to the parser's."""
    description = f"""{_HELP[0].upper()}{_HELP[1:]}. Each operation runs forward and backward in float32, channel first
        and channel last, on two photographs of 427 x 640 pixels, their patches of 16 x 16 pixels, and 1797 digits that
        come with scikit-learn. The exit code is 1 if an error is beyond its limit."""
    parser = commands.add_parser("demo", help=_HELP, description=description)
    picture = parser.add_mutually_exclusive_group()
    picture.add_argument("--output", type=Path, default=Path("fastnorm-demo.png"), metavar="FILE.png")
    picture.add_argument("--no-picture", action="store_true", help="write no picture")
    parser.add_argument("--quick", action="store_true", help="a sixteenth of the pixels, 200 digits, few repetitions")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the table, write the picture, and return 1 if an error is beyond its limit."""
    screen = terminal.console("demo")
    if not options.no_picture:
        require("demo", "matplotlib", "matplotlib")
    data = inputs.load(step=4, digits=200) if options.quick else inputs.load()
    plan = timing.Plan(rounds=3, turn=0.001) if options.quick else timing.Plan(rounds=5, turn=0.02)

    todo = list(cases(data))
    with terminal.progress(screen, "running", len(todo)) as step:
        outcomes = []
        for case in todo:
            step(f"{case.title}, {case.problem.direction}, {case.data}, {case.problem.layout}")
            outcomes.append(solve(case, plan))
    _print(screen, outcomes)
    if not options.no_picture:
        figures.draw(data, options.output)
        screen.print(f"picture: {options.output}", highlight=False, soft_wrap=True)

    return 0 if all(accuracy.within_limits(outcome.errors) for outcome in outcomes) else 1


def solve(case: Case, plan: timing.Plan) -> Outcome:
    """Run a case in fastnorm and in NumPy: errors first, then times."""
    calls = {"fastnorm": case.problem.call(fastnorm), "NumPy": case.problem.call(plain_numpy)}
    errors, numpy_errors = (case.problem.errors(call()) for call in calls.values())
    return Outcome(case, errors, numpy_errors, timing.interleaved(calls, plan))


def _print(screen: Any, outcomes: list[Outcome]) -> None:
    table = terminal.table(f"{terminal.versions()}, float32", _COLUMNS)
    previous = ""
    for outcome in outcomes:
        table.add_row(*_row(outcome, previous), style="" if accuracy.within_limits(outcome.errors) else "red")
        previous = outcome.case.title
    screen.print(table)
    screen.print(_FOOTNOTE, style="dim", highlight=False)
    mean = statistics.geometric_mean([outcome.ratio for outcome in outcomes])
    within = sum(accuracy.within_limits(outcome.errors) for outcome in outcomes)
    text = f"\n{within} of {len(outcomes)} within the limits; {mean:.1f} times as fast as NumPy (geometric mean)"
    screen.print(text, style="bold", highlight=False)


def _row(outcome: Outcome, previous: str) -> tuple[str, ...]:
    case, problem = outcome.case, outcome.case.problem
    name = accuracy.worst(outcome.errors)
    numpy_error = max(outcome.numpy_errors.values())
    return (
        case.title if case.title != previous else "",
        problem.direction,
        case.data,
        "x".join(map(str, problem.data.shape)),
        problem.layout,
        f"{name} {outcome.errors[name]:.2f} / {accuracy.LIMITS[name]:>2}",
        f"{numpy_error:.{0 if numpy_error >= 10 else 2}f}" if math.isfinite(numpy_error) else "wrong",
        timing.seconds(outcome.times["NumPy"]),
        timing.seconds(outcome.times["fastnorm"]),
        f"{outcome.ratio:.1f}x",
    )
