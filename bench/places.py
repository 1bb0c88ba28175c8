"""Calls against a plainer call of the same data: what is compared, and the table of it."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import fastnorm as fn
import timing

torch: Any = importlib.import_module("torch") if importlib.util.find_spec("torch") else None
functional: Any = torch and torch.nn.functional

Call = Callable[[], Any]


class Place(NamedTuple):
    """What is compared, and the most that the call may take of the plain one's time, or that PyTorch must take more."""

    limit: float | None
    plain: Call
    call: Call
    numpy: Call | None = None
    torch: Call | None = None


def main(places: Mapping[str, Callable[[], Place]], description: str | None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=fn.get_num_threads(), metavar="N")
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--only", default="", metavar="TEXT", help="places whose names have this")
    options = parser.parse_args()
    fn.set_num_threads(options.threads)
    if torch is not None:
        torch.set_num_threads(options.threads)
    width = max(map(len, places))
    print(f"{f'{options.threads} threads':<{width}}        time   of plain (at most)      NumPy    PyTorch")
    for name, make in places.items():
        if options.only in name:
            print(f"{name:<{width}} {_measured(make(), options.rounds)}", flush=True)


def _measured(place: Place, rounds: int) -> str:
    calls: dict[str, timing.Call] = {"call": place.call, "plain": place.plain}
    calls |= {name: call for name, call in (("numpy", place.numpy), ("torch", place.torch)) if call is not None}
    times = timing.interleaved(calls, timing.Plan(rounds, 0.01))
    ratios = {other: timing.ratio(times[other], times["call"]).median for other in calls if other != "call"}
    others = "".join(f"   {ratios[o]:6.2f} x" if o in ratios else " " * 11 for o in ("numpy", "torch"))
    limit = "ahead" if place.limit is None else f"{place.limit:.2f}"
    of_plain = f"{1 / ratios['plain']:8.2f} x ({limit})"
    return f"{timing.seconds(times['call']):>11}   {of_plain:<18}{others}"
