"""Make a report of a run: ``python bench/report.py [build/bench.json] [--output build/benchmarks]``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import goals
import plots
import results
import side_by_side
import tables
from results import Run

# Section of the run, None if a table takes from several; title, text, plots, table.
_SECTIONS: tuple[tuple[str | None, str, str, tuple[str, ...], Callable[[Run], str] | None], ...] = (
    (
        "networks",
        "Speed by operation",
        """Geometric mean over the places below, float32, and the least of them. The share of copy compares with the
fastest round of a parallel copy of the bytes that the operation must read and write at the least; the other columns say
how many times as long a library takes.""",
        ("speedup", "share"),
        tables.summary,
    ),
    (
        None,
        "Goals",
        """Worked out from this run, float32 unless said otherwise. The result is the geometric mean of the cases and
the one that is farthest from the goal. Beyond L2 is what moves more bytes than the second cache of one processor has; a
span is what a channel has in one image, a row what is normalized or, channels last, the channels. A goal that this run
has no case of is left out. What limits those that are missed, with profiles, is in [speed](../../speed.md).""",
        (),
        goals.table,
    ),
    (
        "calls",
        "Small calls",
        "What a call costs on an array of a few hundred elements.",
        ("calls",),
        tables.calls,
    ),
    (
        "first",
        "First calls",
        """What a fresh process waits for: the import (NumPy's own; the others on top of NumPy's), the first call, which
makes threads and memory, and the second. In brackets how many times as long it takes as fastnorm.""",
        (),
        tables.first,
    ),
    (
        "cold",
        "Cold data",
        """Before each call 128 MB are copied by all processors, so that data, parameters and code come from memory. The
call beside the same in a loop, and beside a copy of as many bytes that is as cold.""",
        (),
        tables.cold,
    ),
    (
        "together",
        "Calls from several threads at once",
        """Python threads that call without a pause, all on the same input, each with as many threads of the library as
others have. The time is what passes for each call that any of them makes; in brackets, how many calls they make in the
time of one by a single caller.""",
        (),
        tables.together,
    ),
    (
        "sizes",
        "From the caches to main memory",
        "The call with `out=`, others as they come.",
        ("sizes", "rows"),
        None,
    ),
    (
        "scaling",
        "Threads",
        "Times as fast as on one thread.",
        ("scaling",),
        tables.scaling,
    ),
    (
        "memory",
        "Fresh outputs",
        """Layer norm of rows of 1024, memory as the C library hands it out by default: a large output begins with a
page fault for each page, unless it takes over the memory of a dead result, as fastnorm's do. All other figures are
measured with freed memory kept by the process.""",
        (),
        tables.memory,
    ),
    (
        "hard",
        "Accuracy on hard inputs",
        """Worst scaled error of the output or the gradients against the float64 reference, in units of the rounding
errors that float32 arithmetic cannot avoid; see [numerics](../../numerics.md).""",
        ("accuracy",),
        tables.hard,
    ),
    (
        "drawn",
        "Shapes drawn at random",
        "Nothing was tuned on these: operations, passes, layouts, types and sizes are drawn, always the same.",
        (),
        tables.drawn,
    ),
    (
        "networks",
        "All places",
        "Medians of the rounds, in brackets their quartiles. A wrong answer is not timed.",
        (),
        tables.networks,
    ),
)


def main() -> None:
    """Read a run and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, nargs="?", default=Path("build/bench.json"))
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks"), metavar="FOLDER")
    options = parser.parse_args()
    run = results.load(options.run)
    options.output.mkdir(parents=True, exist_ok=True)
    pictures = plots.write_all(run, options.output)
    page = options.output / "README.md"
    page.write_text("\n\n".join(_page(run, pictures)) + "\n")
    (options.output / "figures.json").write_text(json.dumps(side_by_side.figures(run), indent=1) + "\n")
    print(f"written: {page} and {len(pictures)} pictures")


def _page(run: Run, pictures: dict[str, str]) -> list[str]:
    parts = [f"# Benchmarks: {run['machine']['processor']}", _head(run)]
    for section, title, text, names, table in _SECTIONS:
        rows = table(run) if table and (section is None or run.get(section)) else ""
        drawn = [f"![{title}]({pictures[name]})" for name in names if name in pictures]
        if rows or drawn:
            parts += [f"## {title}", text, *drawn, *([rows] if rows else [])]
    return parts


def _head(run: Run) -> str:
    machine = run["machine"]
    caches = ", ".join(f"{level} {size}" for level, size in machine["caches"].items())
    versions = ", ".join(f"{name} {v}" for name, v in run["versions"].items() if "out=" not in name)
    command = "make bench-quick" if run["quick"] else "make bench"
    return f"""Measured by `{command}` on {machine["date"]}: {machine["processor"]}, {machine["processors"]} processors,
{caches}, {machine["memory in GB"]} GB, {machine["system"]}; {versions}; Python {machine["python"]}; SIMD target
{machine["simd target"]}, {machine["compiler"]}; {run["threads"]} threads each. Processes that wanted a processor, on
average over a minute: {run["load before"]} before, {run["load after"]} after. The run took {_minutes(run)}.

All libraries solve each problem in turns within one process, after their answers have been compared: with the float64
reference for the smallest problem of each kind and all small ones, with fastnorm's for the others. Ratios are medians
over the turns in which both took part; what is slow takes part in fewer. Output memory is
{"kept" if run.get("memory kept") else "not kept"} by the process between calls, for all alike."""


def _minutes(run: Run) -> str:
    seconds = sum(run["elapsed"].values())
    return f"{round(seconds / 60)} minutes" if seconds >= 90 else f"{round(seconds)} seconds"


if __name__ == "__main__":
    main()
