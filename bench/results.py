"""The numbers of a run: ratios, shares and means, for tables and plots alike."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from timing import Ratio, ratio

OURS = "fastnorm"
OUT = "fastnorm, out="
WARM = "fastnorm, warm"
Record = dict[str, Any]
Run = dict[str, Any]


def load(path: Path) -> Run:
    """Read what bench/run.py wrote."""
    run: Run = json.loads(path.read_text())
    return run


def peers(run: Run) -> list[str]:
    """Return the names of the other libraries."""
    return [name for name in run["versions"] if name not in (OURS, OUT)]


def speedup(run: Run, record: Record, peer: str) -> Ratio | None:
    """Return how many times as long a peer takes as fastnorm called in the same way, None if it took no part."""
    return compare(record, peer, run["counterparts"][peer])


def compare(record: Record, peer: str, ours: str) -> Ratio | None:
    """Return how many times as long the one takes as the other."""
    seconds = record["seconds"]
    return ratio(seconds[peer], seconds[ours]) if peer in seconds and ours in seconds else None


def share(record: Record) -> float | None:
    """Return the share of the copy's bandwidth, of the call with `out=` where there is one.

    The copy is a limit, so its fastest round counts; of the call it is the median.
    """
    ours = record["seconds"].get(OUT) or record["seconds"].get(OURS)
    return min(record["seconds"]["copy"]) / statistics.median(ours) if ours else None


def best_peer(run: Run, record: Record) -> float | None:
    """Return the least speed-up over any of the other libraries."""
    found = [r.median for name in peers(run) if (r := speedup(run, record, name))]
    return min(found, default=None)


def seconds(record: Record, name: str = OURS) -> float:
    """Return the median time of a library."""
    return float(statistics.median(record["seconds"][name]))


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean, NaN of nothing."""
    logs = [math.log(v) for v in values]
    return math.exp(math.fsum(logs) / len(logs)) if logs else math.nan


def moved(record: Record) -> int:
    """Return how many bytes must be moved at the least."""
    return int(record["bytes"]) * int(record["streams"])


def case(record: Record) -> tuple[str, ...]:
    """Return what records of the same problem share, whatever the data type and the number of threads."""
    return record["place"], record["op"], record["direction"], record["layout"], shape(record)


def title(record: Record) -> str:
    """Name operation and pass of a record."""
    return f"{record['op'].replace('_', ' ')} {record['direction']}"


def shape(record: Record) -> str:
    """Write the shape of a record."""
    return "x".join(map(str, record["shape"]))
