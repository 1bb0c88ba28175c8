"""What limits the number of threads here: the same sources that the library itself looks at, by name."""

import os
from pathlib import Path
from typing import NamedTuple

from .. import _core


class Limit(NamedTuple):
    """One source of the number of threads: its value, None if it says nothing, and whether it decides."""

    name: str
    threads: int | None
    decides: bool


def thread_limits() -> list[Limit]:
    """Return what limits the default number of threads.

    ``FASTNORM_NUM_THREADS`` alone decides where it is set, else the least of the others.
    """
    own = _count(os.environ.get("FASTNORM_NUM_THREADS"))
    others = {
        "processors of this process (affinity)": _affinity(),
        "cgroup CPU quota": _quota(),
        "OMP_NUM_THREADS": _count(os.environ.get("OMP_NUM_THREADS")),
    }
    default = _core.default_num_threads()
    limits = [Limit("FASTNORM_NUM_THREADS", own, own is not None)]
    decided = own is not None
    for name, threads in others.items():
        decides = not decided and threads == default
        limits.append(Limit(name, threads, decides))
        decided = decided or decides
    return limits


def _count(text: str | None) -> int | None:
    """Return the whole number at the start of a variable, which may be a list as in ``OMP_NUM_THREADS=4,2``."""
    digits = (text or "").strip().split(",")[0].strip()
    return int(digits) if digits.isdecimal() and int(digits) > 0 else None


def _affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quota() -> int | None:
    """Return the tightest quota, in processors rounded up, of the process's control group and all above it."""
    found = [*_quotas_version_2(), *_quotas_version_1()]
    return min(found, default=None)


def _quotas_version_2() -> list[int]:
    own = [line[3:] for line in _read("/proc/self/cgroup").splitlines() if line.startswith("0::")]
    group = Path("/sys/fs/cgroup" + (own[0] if own else ""))
    files = [folder / "cpu.max" for folder in (group, *group.parents) if str(folder).startswith("/sys/fs/cgroup")]
    return [n for n in (_rounded_up(*_read(file).split()[:2]) for file in files) if n]


def _quotas_version_1() -> list[int]:
    folder = "/sys/fs/cgroup/cpu/cpu.cfs_"
    n = _rounded_up(_read(folder + "quota_us"), _read(folder + "period_us"))
    return [n] if n else []


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _rounded_up(quota: str = "", period: str = "") -> int:
    """Return how many processors `quota` of a `period` is; 0 where there is no quota."""
    if not quota.isdecimal() or not period.isdecimal() or int(period) == 0:
        return 0
    return -(-int(quota) // int(period))
