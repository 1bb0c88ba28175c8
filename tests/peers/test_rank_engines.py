"""fastnorm.distributed over MPI and over gloo: the program beside this file, on every rank."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = str(Path(__file__).with_name("rank_program.py"))
PATIENCE = 300  # seconds: on a busy machine

pytestmark = pytest.mark.nosanitize


def mpirun(ranks: int, *command: str) -> str:
    """What a program prints that runs on so many ranks."""
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    found = shutil.which("mpirun")
    if found is None:
        pytest.skip("no mpirun: on Debian or Ubuntu apt-get install openmpi-bin")
    start = [found, "--allow-run-as-root", "--oversubscribe", "-n", str(ranks), sys.executable]
    done = subprocess.run([*start, *command], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_mpi(ranks: int) -> None:
    # mpirun may put the ends of the ranks' lines elsewhere.
    printed = re.findall(r"rank \d+ of \d+: \d+ checks", mpirun(ranks, PROGRAM, "mpi"))
    assert sorted(printed) == [f"rank {r} of {ranks}: 6 checks" for r in range(ranks)]


@pytest.mark.slow
def test_training_over_ranks_ends_at_the_weights_of_one_process() -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("threadpoolctl")
    example = Path(__file__).parents[2] / "examples" / "train_digits_over_ranks.py"
    found = re.search(r"weights to one process: (\S+)", mpirun(2, str(example), "--quick"))
    assert found
    assert float(found[1]) < 1e-9


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
        assert "6 checks" in out
