"""What the library sets out to reach, and whether a run reaches it: a row of the report a goal."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import results
from results import OURS, OUT, Record, Run
from tables import markdown

Value = tuple[float, str]  # and the case that it is of
_FORWARD = ("inference", "forward")
_NORMS = ("layer_norm", "rms_norm", "batch_norm", "group_norm", "instance_norm")
_WEIGHTS = ("weight_norm", "weight_standardization")


class Goal(NamedTuple):
    """A limit that every case keeps, or that their geometric mean keeps."""

    text: str
    limit: float
    values: list[Value]
    at_most: bool = False
    of_mean: bool = False

    def keeps(self, value: float) -> bool:
        """Say whether a value is on the right side of the limit."""
        return value <= self.limit if self.at_most else value >= self.limit

    @property
    def mean(self) -> float:
        """Geometric mean of the cases."""
        return results.geometric_mean(value for value, _ in self.values)

    @property
    def worst(self) -> Value:
        """The case that is farthest from the goal, or has the least to spare."""
        return max(self.values) if self.at_most else min(self.values)

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.keeps(self.mean if self.of_mean else self.worst[0])


def table(run: Run) -> str:
    """Return the table, empty if the run has no case of any goal."""
    found = [goal for goal in goals(run) if goal.values]
    return markdown(["goal", "cases", "met", "result", "verdict"], map(_row, found)) if found else ""


def _row(goal: Goal) -> list[str]:
    extreme, (value, name) = "greatest" if goal.at_most else "least", goal.worst
    decisive = goal.mean if goal.of_mean else value
    kept = "" if goal.of_mean else str(sum(goal.keeps(v) for v, _ in goal.values))
    verdict = "met" if goal.met else f"missed by {max(1, round(100 * abs(decisive / goal.limit - 1)))}%"
    return [goal.text, str(len(goal.values)), kept, f"{goal.mean:.2f} ({extreme} {value:.2f}: {name})", verdict]


def goals(run: Run) -> Iterator[Goal]:
    """Yield all goals with the cases that the run has of them."""
    yield from _shares(run)
    yield from _sixteen_bits(run)
    yield from _threads(run)
    yield from _libraries(run)
    yield from _calls_and_memory(run)
    yield from _growth(run)


def _shares(run: Run) -> Iterator[Goal]:
    places = [r for r in run.get("networks", ()) if r["dtype"] == "float32"]
    near = [r for r in places if not _beyond(run, r) and r["direction"] in _FORWARD]

    def share(text: str, limit: float, ops: Iterable[str], *passes: str, spans: range | None = None) -> Goal:
        chosen = (r for r in places if r["op"] in ops and r["direction"] in passes and _beyond(run, r))
        chosen = (r for r in chosen if spans is None or _span(r) in spans)
        return Goal(f"beyond L2, {text}: share of copy at least {limit:.2f}", limit, _values(chosen, results.share))

    # Inference stands for training, which sweeps as it does, but for batch norm.
    yield share("inference, spans or rows of 256 or more", 0.90, _NORMS, "inference", spans=range(256, sys.maxsize))
    yield share("inference, spans or rows of 16 to 255", 0.80, _NORMS, "inference", spans=range(16, 256))
    yield share("layer and RMS norm backward", 0.80, ("layer_norm", "rms_norm"), "backward")
    yield share("batch norm training", 0.85, ("batch_norm",), "forward")
    yield share("batch norm backward", 0.80, ("batch_norm",), "backward")
    yield share("group and instance norm backward", 0.75, ("group_norm", "instance_norm"), "backward")
    yield share("weight norm and standardization", 0.90, _WEIGHTS, *_FORWARD)
    yield share("weight norm and standardization backward", 0.80, _WEIGHTS, "backward")
    yield Goal("within L2, forward: share of copy at least 0.60", 0.60, _values(near, results.share))
    yield Goal(
        "within L2, forward: never slower than a library", 1.0, _values(near, lambda r: results.best_peer(run, r))
    )


def _sixteen_bits(run: Run) -> Iterator[Goal]:
    single = {results.case(r): r for r in run.get("networks", ()) if r["dtype"] == "float32"}
    for dtype in ("bfloat16", "float16"):
        chosen = [r for r in run.get("networks", ()) if r["dtype"] == dtype]
        beyond = [r for r in chosen if _beyond(run, r)]

        def time(r: Record) -> float | None:
            wide = single.get(results.case(r))
            return _ours(r) / _ours(wide) if wide and OURS in r["seconds"] and OURS in wide["seconds"] else None

        yield Goal(f"beyond L2, {dtype}: share of copy at least 0.70", 0.70, _values(beyond, results.share))
        yield Goal(f"beyond L2, {dtype}: at most 0.67 of float32's time", 0.67, _values(beyond, time), at_most=True)
        yield Goal(f"{dtype}: never slower than PyTorch", 1.0, _values(chosen, _against(run, "PyTorch")))


def _threads(run: Run) -> Iterator[Goal]:
    records = [r for r in run.get("scaling", ()) if OURS in r["seconds"]]
    one = {results.case(r): r for r in records if r["threads"] == 1}
    largest = max(map(_bytes, run["machine"]["caches"].values()), default=0)
    two = [r for r in records if r["threads"] == 2 and results.case(r) in one and results.moved(r) <= largest]
    gains = _values(two, lambda r: results.seconds(one[results.case(r)]) / results.seconds(r))
    yield Goal("two threads on data that the caches hold: at least 1.8 times as fast as one", 1.8, gains)
    alone = _values(one.values(), lambda r: results.best_peer(run, r))
    yield Goal("one thread: never slower than a library on one", 1.0, alone)


def _libraries(run: Run) -> Iterator[Goal]:
    places = [r for r in run.get("networks", ()) if r["dtype"] == "float32"]
    torch, numpy = (_values(places, _against(run, name)) for name in ("PyTorch", "NumPy"))
    best = _values(places, lambda r: results.best_peer(run, r))
    yield Goal("never slower than PyTorch", 1.0, torch)
    yield Goal("2.5 times as fast as PyTorch, geometric mean", 2.5, torch, of_mean=True)
    yield Goal("at least 0.95 times as fast as the fastest library of each case", 0.95, best)
    yield Goal("1.5 times as fast as the fastest library of each case, geometric mean", 1.5, best, of_mean=True)
    random = _values(run.get("drawn", ()), lambda r: results.best_peer(run, r))
    yield Goal("shapes drawn at random: at least 0.95 times as fast as the fastest library", 0.95, random)
    yield Goal(
        "shapes drawn at random: 1.8 times as fast as the fastest library, geometric mean", 1.8, random, of_mean=True
    )
    yield Goal("20 times as fast as NumPy, geometric mean", 20, numpy, of_mean=True)


def _calls_and_memory(run: Run) -> Iterator[Goal]:
    small = [r for r in run.get("calls", ()) if r["shape"][0] == 1 and len(r["shape"]) == 2]
    for name, how in ((OURS, "a new output"), (OUT, "`out=`")):
        ratios = _values(small, _ratio(name, "np.multiply"))
        yield Goal(f"small calls, {how}: at most twice np.multiply", 2.0, ratios, at_most=True)
    fresh = _values(run.get("memory", ()), _ratio(OURS, OUT), _size)
    yield Goal("a new output: at most 1.25 times the call with `out=`", 1.25, fresh, at_most=True)


def _growth(run: Run) -> Iterator[Goal]:
    sweeps = [
        ("sizes beyond L2", [r for r in run.get("sizes", ()) if _beyond(run, r)]),
        ("rows of 16 and more", [r for r in run.get("rows", ()) if r["shape"][-1] >= 16]),
    ]
    for text, records in sweeps:
        values = []
        for op in dict.fromkeys(r["op"] for r in records):
            chosen = [r for r in records if r["op"] == op and OURS in r["seconds"]]
            times = {results.shape(r): _ours(r) / math.prod(r["shape"]) for r in chosen}
            if len(times) > 1:
                slow, fast = (choose(times, key=times.__getitem__) for choose in (max, min))
                values.append((times[slow] / times[fast], f"{op.replace('_', ' ')}, {slow} by {fast}"))
        yield Goal(f"time of an element, {text}: greatest at most 1.3 times the least", 1.3, values, at_most=True)


# ---- cases -----------------------------------------------------------------------------------------------------------


def _values(
    records: Iterable[Record], value: Callable[[Record], float | None], name: Callable[[Record], str] | None = None
) -> list[Value]:
    return [(v, (name or _name)(r)) for r in records if (v := value(r)) is not None]


def _name(record: Record) -> str:
    return f"{record['place']}, {results.title(record)} {results.shape(record)} {record['layout']}"


def _size(record: Record) -> str:
    return f"{record['bytes'] / 2**20:.0f} MB"


def _against(run: Run, peer: str) -> Callable[[Record], float | None]:
    def speedup(record: Record) -> float | None:
        found = results.speedup(run, record, peer) if peer in run["counterparts"] else None
        return found.median if found else None

    return speedup


def _ratio(slow: str, fast: str) -> Callable[[Record], float | None]:
    def value(record: Record) -> float | None:
        found = results.compare(record, slow, fast)
        return found.median if found else None

    return value


def _ours(record: Record) -> float:
    """Return the time of the call with `out=` where there is one: kernels are compared."""
    return results.seconds(record, OUT if OUT in record["seconds"] else OURS)


def _span(record: Record) -> int:
    """Return how many neighbours in memory share a row, or a channel if channels are first."""
    first = record["layout"].startswith("NC") and record["layout"] != "NC"
    return math.prod(record["shape"][2:] if first else record["shape"][-1:])


def _beyond(run: Run, record: Record) -> bool:
    """Say whether the second cache of a processor does not hold what must be moved."""
    return results.moved(record) > _bytes(run["machine"]["caches"].get("L2", "0"))


def _bytes(size: str) -> int:
    """Read a size as the system writes it: 2048K, 32M."""
    return int(size.rstrip("KMG")) * {"K": 2**10, "M": 2**20, "G": 2**30}.get(size[-1:], 1)
