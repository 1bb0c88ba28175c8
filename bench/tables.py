"""Markdown tables of a run."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

import results
from judge import THRESHOLDS
from results import OURS, OUT, WARM, Record, Run
from timing import seconds as with_unit


def markdown(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """Return a table; all columns but the first are aligned to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def summary(run: Run) -> str:
    """Speed-up over each library by operation: geometric mean, and the least of all cases."""
    records = [r for r in run["networks"] if r["dtype"] == "float32"]
    head = ["operation", "share of copy", *results.peers(run), "the fastest of them"]
    return markdown(head, _summary_rows(run, records))


def _summary_rows(run: Run, records: list[Record]) -> Iterator[list[str]]:
    kinds = list(dict.fromkeys(results.title(r) for r in records))
    for kind in [*kinds, "all"]:
        chosen = [r for r in records if kind in ("all", results.title(r))]
        shares = [s for r in chosen if (s := results.share(r))]
        cells = [[f.median for r in chosen if (f := results.speedup(run, r, name))] for name in results.peers(run)]
        cells.append([b for r in chosen if (b := results.best_peer(run, r))])
        yield [kind, _mean_and_least(shares, ""), *(_mean_and_least(cell, "x") for cell in cells)]


def _mean_and_least(values: list[float], unit: str) -> str:
    if not values:
        return ""
    return f"{results.geometric_mean(values):.2f}{unit} (least {min(values):.2f})"


def networks(run: Run) -> str:
    """Every place: time, share of copy, and speed-up over each library with its quartiles."""
    return _places(run, "networks")


def drawn(run: Run) -> str:
    """The same for the shapes that are drawn."""
    return _places(run, "drawn")


def _places(run: Run, section: str) -> str:
    head = ["where", "operation", "data", "fastnorm", "of copy", *results.peers(run)]
    return markdown(head, _place_rows(run, section))


def _place_rows(run: Run, section: str) -> Iterator[list[str]]:
    for r in run[section]:
        if OURS not in r["seconds"]:
            continue
        share = results.share(r)
        yield [
            r["place"],
            results.title(r),
            f"{results.shape(r)} {r['layout']} {r['dtype']}",
            with_unit(r["seconds"][OURS]),
            f"{share:.2f}" if share else "",
            *(_spread(run, r, name) for name in results.peers(run)),
        ]


def _spread(run: Run, record: Record, name: str) -> str:
    if name in record["wrong"]:
        return "wrong answer"
    found = results.speedup(run, record, name)
    return f"{found.median:.2f}x ({found.low:.2f} to {found.high:.2f})" if found else ""


def calls(run: Run) -> str:
    """What a call costs on an array of a few hundred elements."""
    names = [OURS, OUT, *results.peers(run), "np.multiply"]
    rows = (
        [
            f"{results.title(r)} {results.shape(r)}",
            *(with_unit(r["seconds"][name]) if name in r["seconds"] else "" for name in names),
        ]
        for r in run["calls"]
    )
    return markdown(["call", *names], rows)


def first(run: Run) -> str:
    """What a fresh process waits for, by library."""
    names = [OURS, *(name for name in results.peers(run) if any(name in r["seconds"] for r in run["first"]))]
    rows = ([r["step"], *(_and_times_ours(r, name) for name in names)] for r in run["first"])
    return markdown(["a fresh process", *names], rows)


def _and_times_ours(record: Record, name: str) -> str:
    """The time, and how many times fastnorm's it is."""
    if name not in record["seconds"]:
        return ""
    found = results.compare(record, name, OURS)
    return with_unit(record["seconds"][name]) + (f" ({found.median:.2f}x)" if found and name != OURS else "")


def cold(run: Run) -> str:
    """Calls on data that no cache holds: the time, beside the same in a loop, a copy and each library."""
    return markdown(["cold data", OURS, "by warm data", "by a cold copy", *results.peers(run)], _cold_rows(run))


def _cold_rows(run: Run) -> Iterator[list[str]]:
    for r in run["cold"]:
        if OURS in r["seconds"]:
            warm, copy = (results.compare(r, OURS, other) for other in (WARM, "copy"))
            yield [
                f"{results.title(r)} {results.shape(r)} {r['layout']}",
                with_unit(r["seconds"][OURS]),
                *(f"{found.median:.2f}x" if found else "" for found in (warm, copy)),
                *(_spread(run, r, name) for name in results.peers(run)),
            ]


def together(run: Run) -> str:
    """Calls of several Python threads at once; in brackets how many times the calls of one caller they are."""
    names = [name for name in results.peers(run) if any(name in r["seconds"] for r in run["together"])]
    return markdown(["call", "callers", OURS, *names], _together_rows(run, names))


def _together_rows(run: Run, names: list[str]) -> Iterator[list[str]]:
    alone = {results.case(r): r for r in run["together"] if r["callers"] == 1}
    for r in run["together"]:
        if OURS in r["seconds"]:
            gains = {n: results.seconds(alone[results.case(r)], n) / results.seconds(r, n) for n in r["seconds"]}
            ratios = {n: found.median for n in names if (found := results.compare(r, n, OURS))}
            yield [
                f"{results.title(r)} {results.shape(r)}",
                str(r["callers"]),
                f"{with_unit(r['seconds'][OURS])} ({gains[OURS]:.2f})",
                *(f"{ratios[n]:.2f}x ({gains[n]:.2f})" if n in ratios else "" for n in names),
            ]


def scaling(run: Run) -> str:
    """How many times as fast all threads are as one."""
    names = [OURS, *results.peers(run)]
    return markdown(["case", "threads", *names], _scaling_rows(run, names))


def _scaling_rows(run: Run, names: list[str]) -> Iterator[list[str]]:
    single = {results.case(r): r for r in run["scaling"] if r["threads"] == 1}
    for r in run["scaling"]:
        if r["threads"] > 1 and results.case(r) in single:
            one = single[results.case(r)]["seconds"]
            cells = (
                f"{statistics.median(one[n]) / results.seconds(r, n):.2f}x" if n in one and n in r["seconds"] else ""
                for n in names
            )
            yield [f"{r['place']}, {results.title(r)}", str(r["threads"]), *cells]


def memory(run: Run) -> str:
    """What a fresh output costs, as the C library hands out memory by default."""
    names = [OURS, OUT, *results.peers(run)]
    rows = (
        [
            f"{r['bytes'] / 2**20:.0f} MB",
            *(with_unit(r["seconds"][n]) if n in r["seconds"] else "" for n in names),
            f"{ratio.median:.2f}x" if (ratio := results.compare(r, OURS, OUT)) else "",
        ]
        for r in run["memory"]
    )
    return markdown(["output", *names, "new by out="], rows)


def hard(run: Run) -> str:
    """Worst scaled errors on hard inputs."""
    names = [OURS, *results.peers(run)]
    rows = (
        [
            f"{r['input']}, {results.title(r)}",
            str(THRESHOLDS["dx" if r["direction"] == "backward" else "y"]),
            *(_error(r["errors"], name) for name in names),
        ]
        for r in run["hard"]
    )
    return markdown(["input", "limit", *names], rows)


def _error(errors: dict[str, float | None], name: str) -> str:
    if name not in errors:
        return ""
    error = errors[name]
    if error is None:
        return "not finite"
    return f"{error:.1f}" if error < 100 else f"{error:.0e}".replace("e+0", "e")
