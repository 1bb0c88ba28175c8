"""Write the README's first table from a report: ``python bench/first_table.py docs/benchmarks/NAME/README.md``."""

from __future__ import annotations

import sys
from pathlib import Path

from tables import markdown

# By operation the hard input whose errors stand beside its times.
_HARD = {
    "layer norm inference": "mean 100",
    "layer norm backward": "mean 100",
    "rms norm inference": "scale 1e18",
    "rms norm backward": "scale 1e18",
    "batch norm inference": "4096 rows, mean 1000",
    "batch norm forward": "a million rows, mean 1",
    "batch norm backward": "a million rows, mean 1",
    "group norm inference": "maps, mean 100",
    "group norm backward": "maps, mean 100",
    "instance norm inference": "maps, mean 100",
    "instance norm backward": "maps, mean 100",
}
_BEGIN, _END = "<!-- first table: begin -->", "<!-- first table: end -->"


def main() -> None:
    """Replace what stands between the marks."""
    report = Path(sys.argv[1]).read_text(encoding="utf-8")
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in report.splitlines() if line[:2] == "| "]
    found = {row[0]: row[1:] for row in cells}
    rows = []
    for name, hard in _HARD.items():
        numpy, torch = (cell.split()[0] for cell in found[name][1:3])
        rows.append([name, numpy, torch, hard, *found[f"{hard}, {name}"][1:4]])
    head = ["float32", "NumPy's time", "PyTorch's time", "on hard data", "error", "NumPy's", "PyTorch's"]
    path = Path(__file__).resolve().parent.parent / "README.md"
    before, rest = path.read_text(encoding="utf-8").split(_BEGIN)
    after = rest.split(_END)[1]
    path.write_text(f"{before}{_BEGIN}\n\n{markdown(head, iter(rows))}\n\n{_END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
