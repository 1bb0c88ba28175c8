"""The report of the benchmarks, from a run that was never measured: its goals, their verdicts, its pages."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")

import cases
import goals
import report
import side_by_side
import tables


def record(rows: int, out: float, **more: Any) -> dict[str, Any]:
    """Layer norm of rows of 768, of which a copy takes a millisecond and PyTorch two."""
    seconds = {"fastnorm": [1e-3] * 5, "fastnorm, out=": [out] * 5, "PyTorch": [2e-3] * 2, "copy": [1e-3] * 5}
    return {
        "name": "a name",
        "place": f"{rows} rows",
        "op": "layer_norm",
        "direction": "inference",
        "shape": [rows, 768],
        "layout": "MD",
        "groups": 0,
        "dtype": "float32",
        "threads": 2,
        "streams": 2,
        "bytes": rows * 768 * 4,
        "seconds": seconds,
        "wrong": [],
        **more,
    }


def invented(**sections: Any) -> dict[str, Any]:
    facts = ("date", "processor", "processors", "memory in GB", "system", "python", "simd target", "compiler")
    peers = {"fastnorm": "1", "fastnorm, out=": "1", "PyTorch": "2"}
    return {
        "machine": {**dict.fromkeys(facts, "?"), "caches": {"L1": "32K", "L2": "1M", "L3": "32M"}},
        "versions": peers,
        "counterparts": dict.fromkeys(peers, "fastnorm"),
        "threads": 2,
        "quick": False,
        "load before": 0.0,
        "load after": 0.0,
        "elapsed": dict.fromkeys(sections, 600.0),
        **sections,
    }


def rows_of(table: str) -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()[2:]]
    return {goal: rest for goal, *rest in cells}


def test_goals_are_worked_out_of_the_run() -> None:
    run = invented(networks=[record(4096, 1e-3), record(2048, 2e-3), record(64, 1.25e-3)])
    table = rows_of(goals.table(run))
    beyond = table["beyond L2, inference, spans or rows of 256 or more: share of copy at least 0.90"]
    assert beyond == ["2", "1", "0.71 (least 0.50: 2048 rows, layer norm inference 2048x768 MD)", "missed by 44%"]
    within = table["within L2, forward: share of copy at least 0.60"]
    assert within == ["1", "1", "0.80 (least 0.80: 64 rows, layer norm inference 64x768 MD)", "met"]
    assert table["never slower than PyTorch"][:2] == ["3", "3"]
    assert table["2.5 times as fast as PyTorch, geometric mean"][-1] == "missed by 20%"
    assert not any("bfloat16" in goal or "thread" in goal or "NumPy" in goal for goal in table)


def test_goals_with_an_upper_limit() -> None:
    sixteen = record(4096, 0.5e-3, dtype="float16", bytes=4096 * 768 * 2)
    run = invented(
        networks=[record(4096, 1e-3), sixteen],
        memory=[record(4096, 0.5e-3)],
        sizes=[record(64, 1e-3), record(1024, 1e-3), record(2048, 2.5e-3)],
        scaling=[record(4096, 1e-3, threads=n) for n in (1, 2)],
    )
    table = rows_of(goals.table(run))
    assert table["beyond L2, float16: at most 0.67 of float32's time"][1] == "1"
    assert table["a new output: at most 1.25 times the call with `out=`"][1:] == [
        "0",
        "2.00 (greatest 2.00: 12 MB)",
        "missed by 60%",
    ]
    growth = table["time of an element, sizes beyond L2: greatest at most 1.3 times the least"]
    assert growth == ["1", "1", "1.25 (greatest 1.25: layer norm, 2048x768 by 1024x768)", "met"]
    threads = next(row for goal, row in table.items() if goal.startswith("two threads"))
    assert threads[-1] == "missed by 44%"


def test_a_run_without_cases_has_no_goals() -> None:
    assert goals.table(invented()) == ""


def test_the_page_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = invented(networks=[record(4096, 1e-3), record(64, 1e-3)], sizes=[record(64, 1e-3), record(4096, 1e-3)])
    (tmp_path / "run.json").write_text(json.dumps(run))
    monkeypatch.setattr("sys.argv", ["report.py", str(tmp_path / "run.json"), "--output", str(tmp_path / "report")])
    report.main()
    page = (tmp_path / "report" / "README.md").read_text()
    assert "The run took 20 minutes." in page
    titles = [line[3:] for line in page.splitlines() if line.startswith("## ")]
    assert titles == ["Speed by operation", "Goals", "From the caches to main memory", "All places"]
    assert (tmp_path / "report" / "sizes.png").exists()


def test_tables_of_first_cold_and_simultaneous_calls() -> None:
    cold = record(64, 1e-3)
    cold["seconds"] = {"fastnorm": [4e-3], "fastnorm, warm": [1e-3], "copy": [2e-3], "PyTorch": [8e-3]}
    several = [record(64, 1e-3, callers=callers) for callers in (1, 4)]
    for case, ours, theirs in zip(several, (4e-3, 2e-3), (4e-3, 8e-3), strict=True):
        case["seconds"] = {"fastnorm": [ours], "PyTorch": [theirs]}
    steps = [{"step": "import", "seconds": {"fastnorm": [0.1], "PyTorch": [2.0]}}]
    run = invented(first=steps, cold=[cold], together=several)
    assert rows_of(tables.first(run)) == {"import": ["100 ms", "2.00 s (20.00x)"]}
    (cells,) = rows_of(tables.cold(run)).values()
    assert cells == ["4.00 ms", "4.00x", "2.00x", "2.00x (2.00 to 2.00)"]
    assert tables.together(run).splitlines()[-2:] == [
        "| layer norm inference 64x768 | 1 | 4.00 ms (1.00) | 1.00x (1.00) |",
        "| layer norm inference 64x768 | 4 | 2.00 ms (2.00) | 4.00x (0.50) |",
    ]


@pytest.mark.parametrize("quick", [True, False])
def test_every_kind_is_judged_at_its_smallest_place(quick: bool) -> None:
    specs = list(cases.networks(quick, 2))
    kinds = {(s.shape.op, s.shape.direction, s.shape.layout, s.dtype) for s in specs}
    assert len(cases.one_of_each_kind(specs)) == len(kinds)
    passes = {(op, direction) for op, directions in cases.PASSES.items() for direction in directions}
    assert {kind[:2] for kind in kinds if kind[3] == "float32"} == passes


def test_reports_stand_side_by_side() -> None:
    run = invented(networks=[record(4096, 1e-3)])
    page = side_by_side.page({"one": side_by_side.figures(run), "another": side_by_side.figures(run)})
    assert "| [one](one/README.md) |" in page
    assert "| layer norm inference | 2.00 | 2.00 |" in page  # PyTorch takes two milliseconds
    assert "| layer norm inference | 1.00 | 1.00 |" in page  # the copy one
