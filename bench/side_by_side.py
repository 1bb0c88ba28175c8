"""Compare the reports of several processors: ``python bench/side_by_side.py [docs/benchmarks]``.

Every folder there with a `figures.json`, which bench/report.py writes, is one processor.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import results
from results import Run
from tables import markdown

_TEXT = """Each processor has a report of its own, made there by `make bench`. Ratios of one column come from one run
and may be compared with each other; those of different processors only roughly, since what else ran there differed."""


def figures(run: Run) -> dict[str, Any]:
    """Return what is compared: by operation the means over the places in float32."""
    records = [r for r in run["networks"] if r["dtype"] == "float32"]
    kinds = [*dict.fromkeys(results.title(r) for r in records), "all"]
    machine = run["machine"]
    facts = ("date", "processor", "processors", "caches", "simd target")
    operations = {kind: _means(run, [r for r in records if kind in ("all", results.title(r))]) for kind in kinds}
    return {"machine": {fact: machine[fact] for fact in facts}, "operations": operations}


def _means(run: Run, records: list[dict[str, Any]]) -> dict[str, float]:
    found = {"share of copy": [s for r in records if (s := results.share(r))]}
    for name in results.peers(run):
        found[name] = [f.median for r in records if (f := results.speedup(run, r, name))]
    found["the fastest of them"] = [b for r in records if (b := results.best_peer(run, r))]
    return {name: round(results.geometric_mean(values), 5) for name, values in found.items() if values}


def page(reports: dict[str, dict[str, Any]]) -> str:
    """Return the page that compares; reports by the name of their folder."""
    parts = ["# Benchmarks, by processor", _TEXT, _processors(reports)]
    for column, title in (
        ("PyTorch", "PyTorch's time, times fastnorm's"),
        ("the fastest of them", "The fastest library's time, times fastnorm's"),
        ("share of copy", "Share of a copy of the same bytes"),
    ):
        parts += [f"## {title}", "Geometric means over the places of each operation, float32.", _table(reports, column)]
    return "\n\n".join(parts) + "\n"


def _processors(reports: dict[str, dict[str, Any]]) -> str:
    rows = []
    for name, report in reports.items():
        machine = report["machine"]
        caches = ", ".join(f"{level} {size}" for level, size in machine["caches"].items())
        rows.append(
            [
                f"[{name}]({name}/README.md)",
                machine["processor"],
                str(machine["processors"]),
                caches,
                machine["simd target"],
                machine["date"].split()[0],
            ]
        )
    return markdown(["report", "processor", "processors", "caches", "SIMD target", "date"], iter(rows))


def _table(reports: dict[str, dict[str, Any]], column: str) -> str:
    kinds = dict.fromkeys(kind for report in reports.values() for kind in report["operations"])
    rows = []
    for kind in kinds:
        values = [report["operations"].get(kind, {}).get(column) for report in reports.values()]
        if any(values):
            rows.append([kind, *(f"{value:.2f}" if value else "" for value in values)])
    return markdown(["operation", *reports], iter(rows))


def main() -> None:
    """Write the page."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/benchmarks")
    reports = {path.parent.name: json.loads(path.read_text()) for path in sorted(folder.glob("*/figures.json"))}
    (folder / "README.md").write_text(page(reports))
    print(f"written: {folder / 'README.md'} of {len(reports)} reports")


if __name__ == "__main__":
    main()
