"""Markdown tables of a run."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

import results
from judge import THRESHOLDS
from results import OURS, OUT, Record, Run
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
