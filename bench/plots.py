"""Plots of a run, one PNG each."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import results
from judge import THRESHOLDS
from results import OURS, OUT, Run

_COLOURS = {
    OURS: "#1b6ca8",
    OUT: "#7fb2d9",
    "NumPy": "#4d9221",
    "PyTorch": "#d6604d",
    "ONNX Runtime": "#8073ac",
    "OpenVINO": "#b8860b",
    "JAX": "#555555",
}
_OPS = {
    "layer_norm": "#1b6ca8",
    "rms_norm": "#4d9221",
    "batch_norm": "#d6604d",
    "group_norm": "#8073ac",
    "instance_norm": "#b8860b",
    "weight_norm": "#35978f",
    "weight_standardization": "#c51b7d",
}
_MARKERS = {"inference": "o", "forward": "s", "backward": "^"}


def write_all(run: Run, folder: Path) -> dict[str, str]:
    """Draw what the run has; return the files' names by section."""
    drawings = {
        "share": (_share, "networks"),
        "speedup": (_speedup, "networks"),
        "sizes": (_sizes, "sizes"),
        "rows": (_rows, "rows"),
        "calls": (_calls, "calls"),
        "scaling": (_scaling, "scaling"),
        "accuracy": (_accuracy, "hard"),
    }
    written = {}
    for name, (draw, section) in drawings.items():
        if run.get(section):
            figure = draw(run)
            figure.savefig(folder / f"{name}.png", format="png")
            written[name] = f"{name}.png"
    return written


def _figure(width: float = 10, height: float = 5) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.grid(True, color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def _bytes_axis(axes: Any) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xlabel("bytes that must be moved at the least")
    low, high = (math.log2(v) for v in axes.get_xlim())
    ticks = [e for e in range(math.ceil(low), math.floor(high) + 1) if e % 2 == 0]
    axes.set_xticks([2.0**e for e in ticks], [_size(2**e) for e in ticks])


def _size(n: int) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if n < 1024 or unit == "GB":
            return f"{n} {unit}"
        n //= 1024
    raise AssertionError


def _share(run: Run) -> Figure:
    figure, axes = _figure()
    for op, colour in _OPS.items():
        for direction, marker in _MARKERS.items():
            chosen = [r for r in run["networks"] if (r["op"], r["direction"]) == (op, direction)]
            points = [(results.moved(r), s) for r in chosen if r["dtype"] == "float32" and (s := results.share(r))]
            if points:
                label = f"{op.replace('_', ' ')} {direction}"
                axes.scatter(*zip(*points, strict=True), c=colour, marker=marker, s=34, alpha=0.85, label=label)
    axes.axhline(1, color="#333333", linewidth=1)
    axes.set_ylim(0, None)
    axes.set_ylabel("share of the bandwidth of a copy")
    axes.set_title("Share of copy bandwidth, float32, all threads")
    _bytes_axis(axes)
    figure.legend(loc="outside right center", fontsize=8)
    return figure


def _speedup(run: Run) -> Figure:
    records = [r for r in run["networks"] if r["dtype"] == "float32"]
    kinds = list(dict.fromkeys(results.title(r) for r in records))[::-1]
    figure, axes = _figure(10, 1.2 + 0.5 * len(kinds))
    peers = results.peers(run)
    for i, peer in enumerate(peers):
        offset = 0.25 * (i - (len(peers) - 1) / 2)
        points = [
            (s.median, kinds.index(results.title(r)) - offset) for r in records if (s := results.speedup(run, r, peer))
        ]
        if points:
            axes.scatter(*zip(*points, strict=True), c=_COLOURS.get(peer, "#555555"), s=22, alpha=0.8, label=peer)
    axes.axvline(1, color="#333333", linewidth=1)
    axes.set_xscale("log")
    _plain_ticks(axes.xaxis)
    axes.set_yticks(range(len(kinds)), kinds)
    axes.set_xlabel("times as long as fastnorm (right of 1: fastnorm is faster)")
    axes.set_title("Speed-up over each library, one dot a case, float32, all threads")
    axes.legend(fontsize=9)
    return figure


def _plain_ticks(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axis.set_minor_formatter(NullFormatter())


def _sizes(run: Run) -> Figure:
    figure, axes = _figure()
    for op in dict.fromkeys(r["op"] for r in run["sizes"]):
        records = [r for r in run["sizes"] if r["op"] == op]
        for name in (OUT, OURS, *results.peers(run)):
            points = [(results.moved(r), s.median) for r in records if (s := results.compare(r, "copy", name))]
            if points and (op == "layer_norm" or name == OUT):
                label = f"{op.replace('_', ' ')}, {name}"
                colour = _COLOURS.get(name, "#555555") if op == "layer_norm" else _OPS[op]
                style = "-" if op == "layer_norm" else "--"
                axes.plot(*zip(*points, strict=True), style, marker=".", color=colour, label=label)
    axes.axhline(1, color="#333333", linewidth=1)
    axes.set_ylim(0, None)
    axes.set_ylabel("share of the bandwidth of a copy")
    axes.set_title("From the caches to main memory: rows of 768 (batch norm: of 64), float32, all threads")
    _bytes_axis(axes)
    axes.legend(fontsize=8)
    return figure


def _rows(run: Run) -> Figure:
    figure, axes = _figure(10, 4)
    for name in (OUT, *results.peers(run)):
        points = [
            (r["shape"][1], 1e9 * results.seconds(r, name) / math.prod(r["shape"]))
            for r in run["rows"]
            if name in r["seconds"]
        ]
        if points:
            axes.plot(*zip(*points, strict=True), marker=".", color=_COLOURS.get(name, "#555555"), label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    _plain_ticks(axes.yaxis)
    axes.set_xlabel("length of a row, of 4 million elements in all (the longest: of 16 million)")
    axes.set_ylabel("nanoseconds an element")
    axes.set_title("Layer norm of many short and of few long rows, float32, all threads")
    axes.legend(fontsize=8)
    return figure


def _calls(run: Run) -> Figure:
    names = [OURS, OUT, *results.peers(run), "np.multiply"]
    records = [r for r in run["calls"] if OURS in r["seconds"]]
    figure, axes = _figure(10, 4.5)
    width = 0.8 / len(names)
    for i, name in enumerate(names):
        bars = [(j, 1e6 * results.seconds(r, name)) for j, r in enumerate(records) if name in r["seconds"]]
        places = [j + (i - (len(names) - 1) / 2) * width for j, _ in bars]
        axes.bar(places, [t for _, t in bars], width, label=name, color=_COLOURS.get(name, "#777777"))
    axes.set_xticks(
        range(len(records)), [f"{r['op'].replace('_', ' ')}\n{results.shape(r)}" for r in records], fontsize=9
    )
    axes.set_yscale("log")
    _plain_ticks(axes.yaxis)
    axes.set_ylabel("microseconds a call")
    axes.set_title("What a call costs on a small array, float32")
    figure.legend(loc="outside right center", fontsize=9)
    return figure


def _scaling(run: Run) -> Figure:
    figure, axes = _figure(10, 4.5)
    most = max(r["threads"] for r in run["scaling"])
    cases = list(dict.fromkeys((r["place"], r["op"], r["direction"]) for r in run["scaling"]))
    for name in (OURS, *results.peers(run)):
        points = []
        for i, case in enumerate(cases):
            times = {
                r["threads"]: results.seconds(r, name)
                for r in run["scaling"]
                if (r["place"], r["op"], r["direction"]) == case and name in r["seconds"]
            }
            if 1 in times and most in times:
                points.append((i, times[1] / times[most]))
        if points:
            axes.scatter(*zip(*points, strict=True), color=_COLOURS.get(name, "#555555"), label=name)
    axes.axhline(1, color="#333333", linewidth=1)
    axes.axhline(most, color="#bbbbbb", linewidth=1)
    labels = [f"{place}\n{op.replace('_', ' ')} {direction}" for place, op, direction in cases]
    axes.set_xticks(range(len(cases)), labels, rotation=60, ha="right", fontsize=7)
    axes.set_ylabel(f"{most} threads, times as fast as 1")
    axes.set_ylim(0, None)
    axes.set_title("Thread scaling, float32")
    figure.legend(loc="outside right center", fontsize=8)
    return figure


def _accuracy(run: Run) -> Figure:
    records = run["hard"][::-1]
    figure, axes = _figure(10, 1.5 + 0.3 * len(records))
    wrong = 1e10
    names = [*results.peers(run), OURS]
    for place, name in enumerate(names):
        points = [(r["errors"][name], i) for i, r in enumerate(records) if name in r["errors"]]
        values = [max(min(wrong if e is None else e, wrong), 0.1) for e, _ in points]
        offset = 0.18 * (place - (len(names) - 1) / 2)
        axes.scatter(values, [i + offset for _, i in points], color=_COLOURS.get(name, "#555555"), s=26, label=name)
    limits = [THRESHOLDS["dx" if r["direction"] == "backward" else "y"] for r in records]
    axes.scatter(limits, np.arange(len(records)), marker="|", color="#333333", s=90, label="limit")
    axes.set_xscale("log")
    axes.set_yticks(range(len(records)), [f"{r['input']}, {results.title(r)}" for r in records], fontsize=8)
    axes.set_xlabel("worst scaled error, in units of unavoidable rounding errors (1e10 and more: wrong, or not finite)")
    axes.set_title("Accuracy on hard inputs, float32")
    figure.legend(loc="outside right upper", fontsize=8)
    return figure
