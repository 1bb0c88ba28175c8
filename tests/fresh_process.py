"""Fresh interpreters, which find the modules beside the tests."""

import os
import subprocess
import sys
from pathlib import Path

PATIENCE = 120  # seconds: what takes longer hangs
TESTS = str(Path(__file__).parent)


def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process that ran this code, with warnings as errors and the variables of the library unset but for these."""
    keep = {key: value for key, value in os.environ.items() if key not in ("FASTNORM_NUM_THREADS", "OMP_NUM_THREADS")}
    path = os.pathsep.join(filter(None, (TESTS, os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        env={**keep, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
