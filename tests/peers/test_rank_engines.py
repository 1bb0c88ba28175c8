"""fastnorm.distributed over MPI and over gloo: the program beside this file, on every rank."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = str(Path(__file__).with_name("rank_program.py"))
PATIENCE = 120  # seconds: on a busy machine

pytestmark = pytest.mark.nosanitize


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_mpi(ranks: int) -> None:
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    mpirun = shutil.which("mpirun")
    if mpirun is None:
        pytest.skip("no mpirun: on Debian or Ubuntu apt-get install openmpi-bin")
    command = [mpirun, "--allow-run-as-root", "--oversubscribe", "-n", str(ranks), sys.executable, PROGRAM, "mpi"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split("\n"))[1:] == [f"rank {r} of {ranks}: 4 checks" for r in range(ranks)]


def test_gloo(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    commands = [[sys.executable, PROGRAM, "gloo", str(rank), "2", str(tmp_path / "meeting")] for rank in range(2)]
    ranks = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for command in commands
    ]
    try:
        results = [rank.communicate(timeout=PATIENCE) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    for rank, (out, err) in zip(ranks, results, strict=True):
        assert rank.returncode == 0, err
        assert "4 checks" in out
