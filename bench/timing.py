"""Fair timing: the implementations take turns, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

Call = Callable[[], object]


@runtime_checkable
class Repeatable(Protocol):
    """Calls that are timed in rows, since each by itself would begin and end with what is not its own.

    Attributes
    ----------
    row : float
        Seconds that a row takes at the least.
    """

    row: float

    def __call__(self) -> object:
        """Make one call."""

    def repeat(self, count: int) -> None:
        """Make so many."""


@dataclass(frozen=True)
class Prepared:
    """A call before each of which something is done that is not timed.

    Attributes
    ----------
    call, prepare : callable
        What is timed, and what is done before.
    """

    call: Call
    prepare: Call

    def __call__(self) -> object:
        """Do both."""
        self.prepare()
        return self.call()


# What is timed takes at least this long: the clock's own call takes a twentieth of a microsecond.
_SHORTEST = 2e-5

# A slow call is worth a second look, not more.
_FEWEST_ROUNDS = 2


class Plan(NamedTuple):
    """How long to measure.

    Attributes
    ----------
    rounds : int
        How often the implementations take turns.
    turn : float
        Seconds of one turn; a turn makes at least one call.
    budget : float
        Seconds for all the turns of one implementation. One that takes longer takes part in the first rounds only, at
        the least in two: with it all wait, and what takes fifty times as long need not be known to the percent.
    settle : float
        Seconds of rest before a turn. A thread pool keeps its threads spinning for a while after a call, on the
        processors that the next one needs: those of GNU's OpenMP for 300000 pauses, 5 to 8 ms on an AMD EPYC (Zen 4).
    clock : callable
        Returns seconds; `time.process_time` for processor time.
    """

    rounds: int = 7
    turn: float = 0.02
    budget: float = math.inf
    settle: float = 0.015
    clock: Callable[[], float] = time.perf_counter


class Ratio(NamedTuple):
    """Median of the ratios of two implementations' times, round by round, and their quartiles."""

    median: float
    low: float
    high: float


def interleaved(calls: Mapping[str, Call], plan: Plan) -> dict[str, list[float]]:
    """Time calls in turns.

    Parameters
    ----------
    calls : mapping
        Calls by name.
    plan : Plan
        How long to measure.

    Returns
    -------
    dict
        By name the seconds of one call, one number a round. Beyond its budget a call has fewer, of the first rounds.
    """
    once = {name: _first_look(call, plan) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for i in range(plan.rounds):
        for name, call in calls.items():
            if i >= _FEWEST_ROUNDS and (i + 1) * _turn_seconds(once[name], plan) > plan.budget:
                continue
            time.sleep(plan.settle)
            if not _is_slow(once[name], plan):
                call()  # wakes threads and caches again, not timed
            times[name].append(_turn(call, max(1, round(_shortest(call) / once[name])), plan))
    return times


def ratio(slow: list[float], fast: list[float]) -> Ratio:
    """Return how many times as long the first takes, from the rounds in which both took part."""
    ratios = sorted(a / b for a, b in zip(slow, fast, strict=False))
    if len(ratios) == 1:
        return Ratio(ratios[0], ratios[0], ratios[0])
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(median, low, high)


def seconds(times: list[float]) -> str:
    """Write the median of times with a unit and three digits."""
    t = statistics.median(times)
    scale, unit = next(((s, u) for s, u in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")) if t >= s), (1e-6, "µs"))
    value = t / scale
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def _shortest(call: Call) -> float:
    if isinstance(call, Prepared):
        return 0.0  # one call at a time
    return call.row if isinstance(call, Repeatable) else _SHORTEST


def _turn(call: Call, count: int, plan: Plan) -> float:
    """Return the median of what calls took for a while: a call that the system interrupts does not count."""
    samples: list[float] = []
    end = time.perf_counter() + plan.turn
    while not samples or time.perf_counter() < end:
        samples.append(_time(call, count, plan))
    return statistics.median(samples)


def _turn_seconds(once: float, plan: Plan) -> float:
    """Return what a turn takes: a call that wakes, then calls for a turn, at least one."""
    return once + max(once, plan.turn)


def _is_slow(once: float, plan: Plan) -> bool:
    """Say whether the fewest turns are all that the budget has: waking does not count for a call that long."""
    return 2 * _FEWEST_ROUNDS * once > plan.budget


def _first_look(call: Call, plan: Plan) -> float:
    """Return about how long a call takes, to say how many are timed together and in how many rounds."""
    once = _time(call, 1, plan)  # the first call of all pays for threads, caches and memory
    if once > plan.budget:
        return once
    once = _time(call, 1, plan)
    if isinstance(call, Repeatable):
        for _ in range(2):  # by itself a call begins and ends with what is not its own
            once = _time(call, max(1, round(call.row / max(once, 1e-7))), plan)
    elif once < 10 * _SHORTEST:
        once = min(once, _time(call, 1, plan), _time(call, 1, plan))
    return max(once, 1e-7)


def _time(call: Call, count: int, plan: Plan) -> float:
    """Return the seconds of one of so many calls."""
    if isinstance(call, Prepared):
        call.prepare()
        call = call.call
    repeat = call.repeat if isinstance(call, Repeatable) else None
    start = plan.clock()
    if repeat:
        repeat(count)
    else:
        for _ in range(count):
            call()
    return (plan.clock() - start) / count
