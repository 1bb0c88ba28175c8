"""What the figures were measured on: it stands on every report."""

from __future__ import annotations

import ctypes
import datetime
import os
import platform
import re
from pathlib import Path
from typing import Any

import fastnorm


def facts() -> dict[str, Any]:
    """Return processor, caches, memory, versions and date."""
    config: Any = fastnorm.show_config(mode="dicts")
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": processor(),
        "processors": os.cpu_count(),
        "caches": _caches(),
        "memory in GB": round(memory() / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "simd target": fastnorm.simd_target(),
        "compiler": config["build"]["compiler"],
    }


def load() -> float | None:
    """Return how many processes want a processor, on average over the last minute."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def keep_memory() -> bool:
    """Let freed memory stay with the process, for all libraries alike: kernels are compared, not page faults.

    The C library otherwise hands large blocks back to the system, and every output starts with a fault for each page.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    no_separate_mappings, never_trim = (-4, 0), (-1, -1)
    return bool(mallopt(*no_separate_mappings)) and bool(mallopt(*never_trim))


def processor() -> str:
    """Name the processor; with its family and model where Linux tells, since virtual machines hide the name."""
    found = {key: value.strip() for key, value in re.findall(r"^([a-z ]+?)\s*:(.+)$", _read("/proc/cpuinfo"), re.M)}
    if "model name" not in found:
        return platform.processor() or platform.machine()
    return f"{found['model name']} (family {found['cpu family']}, model {found['model']})"


def _caches() -> dict[str, str]:
    caches = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (_read(folder / name).strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            caches[f"L{level}"] = size
    return caches


def memory() -> int:
    """Return the bytes of the machine's memory, 0 if the system does not tell."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
