"""The programs for Ray and Spark on the page run as they stand there, and give the bits of one process."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnorm as fn
from ranks import same_bits

PAGE = Path(__file__).parents[2] / "docs" / "beyond-one-machine.md"
FEATURES, FILES = 12, 70  # eight groups of eight and one of six: three levels of merging
PATIENCE = 600  # seconds: on a busy machine

# What a reader has already: the files, and a local cluster of two processes.
BEFORE = {
    "ray": "import ray\nray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)\n",
    "pyspark": """
from pyspark.sql import SparkSession
spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
spark.sparkContext.setLogLevel("ERROR")
""",
}
# The sentence before a program.
TITLES = {"ray": "With Ray:", "pyspark": "With Spark"}

pytestmark = [pytest.mark.nosanitize, pytest.mark.slow, pytest.mark.skipif(not PAGE.exists(), reason="no checkout")]


def program(engine: str) -> str:
    """The code of the page that follows the title."""
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(r"^```py\n(.*?)^```", text[text.index(TITLES[engine]) :], re.MULTILINE | re.DOTALL)[0]


def corpus(folder: Path) -> list[str]:
    """Files of samples, of unequal size; one is empty."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((FEATURES, FEATURES))
    files = []
    for i in range(FILES):
        samples = rng.standard_normal((0 if i == 4 else 40 + i, FEATURES)) @ mixing + 5
        files.append(str(folder / f"{i}.npy"))
        np.save(files[-1], samples.astype(np.float32))
    return files


@pytest.mark.parametrize("engine", BEFORE)
def test_the_program_of_the_page_gives_the_bits_of_one_process(engine: str, tmp_path: Path) -> None:
    pytest.importorskip(engine, reason=f"{engine} is not installed")
    if engine == "pyspark" and shutil.which("java") is None:
        pytest.skip("no java: on Debian or Ubuntu apt-get install default-jre-headless")
    files, result, script = corpus(tmp_path), tmp_path / "result.npz", tmp_path / "program.py"
    saved = "mean=whitening.mean, covariance=whitening.covariance, matrix=whitening.matrix"
    lines = [f"files = {files!r}", BEFORE[engine], program(engine), f"np.savez({str(result)!r}, {saved})"]
    script.write_text("\n".join(lines), encoding="utf-8")
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=PATIENCE, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    one = fn.merge_whitenings([fn.fit_whitening(np.load(file), method="pca") for file in files])
    with np.load(result) as got:
        for name in ("mean", "covariance", "matrix"):
            assert same_bits(got[name], getattr(one, name)), name
