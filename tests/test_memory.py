"""Strided, permuted and broadcast arrays are normalized where they lie: no call copies one of them as a whole, and
many small groups need little beside their data."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import memory_growth

pytestmark = [
    pytest.mark.slow,
    pytest.mark.nosanitize,
    pytest.mark.skipif(
        not Path("/proc/self/clear_refs").exists(), reason="the kernel does not tell the peak of memory"
    ),
]

MEGABYTES = 32
# Partial sums, statistics and tiles may take this part of the array at most. A copy takes all of it.
LIMIT = 0.2
# What sums and statistics of small groups may take beside arguments and results.
SMALL_LIMIT = 0.1


def test_no_call_on_a_view_copies_the_array() -> None:
    command = [sys.executable, memory_growth.__file__, str(MEGABYTES)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    parts = {(a, b): float(part) for a, b, part in re.findall(r"^(\w+) +(.+?) +(-?[\d.]+)$", done.stdout, re.MULTILINE)}
    assert parts.pop(("copy", "transposed")) > 0.9, "a copy shows"
    names = [(a, "mask") for a in memory_growth.MASKED] + [(a, "columns") for a in memory_growth.COLUMNS]
    names.append(("layer_norm", "interleaved"))
    small = {name: parts.pop(name) for name in names}
    assert not {name: part for name, part in small.items() if part > SMALL_LIMIT}
    assert parts.keys() == {(a, b) for a in memory_growth.OPERATIONS for b in memory_growth.LAYOUTS}
    assert not {name: part for name, part in parts.items() if part > LIMIT}
