"""Many threads call everything at once while the process forks: the same bits, and nobody hangs."""

import subprocess
import sys
from pathlib import Path

import pytest

import fastnorm as fn

pytestmark = pytest.mark.nosanitize


def test_every_function_from_many_threads_beside_forks() -> None:
    tests = Path(__file__).parent
    program = [sys.executable, str(tests / "many_threads.py"), "4"]
    run = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]


class Counted:
    """Has a value that is worked out once."""

    calls = 0

    @fn._once.once
    def value(self) -> int:
        """Seven."""
        self.calls += 1
        return 7


def test_a_property_is_worked_out_once() -> None:
    counted = Counted()
    assert (counted.value, counted.value, counted.calls) == (7, 7, 1)
    assert "Seven" in (Counted.value.__doc__ or "")
