"""Which wheels a release has, and what one of them holds: as far as it can be told without the machines that build."""

import importlib.metadata
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = {"cp310", "cp311", "cp312", "cp313", "cp314", "cp314t"}

# What each machine of the workflow builds for.
MACHINES = {
    "ubuntu-24.04": ("linux", "x86_64", {"manylinux_x86_64", "musllinux_x86_64"}),
    "ubuntu-24.04-arm": ("linux", "aarch64", {"manylinux_aarch64", "musllinux_aarch64"}),
    "macos-14": ("macos", "arm64", {"macosx_arm64"}),
    "macos-15-intel": ("macos", "x86_64", {"macosx_x86_64"}),
    "windows-2022": ("windows", "AMD64", {"win_amd64"}),
    "windows-11-arm": ("windows", "ARM64", {"win_arm64"}),
}
WITHOUT_NUMPY = {"cp310-win_arm64"}


def workflow(name):
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text(encoding="utf-8"))


def test_every_platform_of_numpy_builds_wheels():
    if not (ROOT / ".github").is_dir():
        pytest.skip("the sources of a release have no workflows")
    jobs = workflow("wheels.yml")["jobs"]
    assert set(jobs["wheels"]["strategy"]["matrix"]["os"]) == set(MACHINES)
    assert jobs["wheels"]["runs-on"] == "${{ matrix.os }}"
    [action] = [step["uses"] for step in jobs["wheels"]["steps"] if "cibuildwheel" in step.get("uses", "")]
    assert re.fullmatch(r"pypa/cibuildwheel@v4\.\d+\.\d+", action)
    assert set(jobs["upload"]["needs"]) == {"wheels", "sdist"}


@pytest.mark.nosanitize
@pytest.mark.parametrize("machine", MACHINES)
def test_every_python_has_a_wheel(machine):
    pytest.importorskip("cibuildwheel")
    platform, architecture, tags = MACHINES[machine]
    command = [sys.executable, "-m", "cibuildwheel", "--print-build-identifiers"]
    command += ["--platform", platform, "--archs", architecture, str(ROOT)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CIBW_")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {f"{python}-{tag}" for python in PYTHONS for tag in tags} - WITHOUT_NUMPY


def test_the_pythons_are_those_of_the_metadata():
    metadata = importlib.metadata.metadata("fastnorm-simd")
    classifiers = metadata.get_all("Classifier")
    versions = {f"cp3{minor}" for minor in re.findall(r":: 3\.(\d+)$", "\n".join(classifiers), re.MULTILINE)}
    assert versions == PYTHONS - {"cp314t"}
    assert "Programming Language :: Python :: Free Threading" in classifiers
    for system in ("MacOS", "Microsoft :: Windows", "POSIX :: Linux"):
        assert f"Operating System :: {system}" in classifiers


@pytest.mark.nosanitize
def test_a_wheel_takes_less_than_3_6_megabytes():
    files = importlib.metadata.files("fastnorm-simd")
    installed = [file for file in files if file.suffix != ".pyc"]
    assert sum(len(zlib.compress(file.read_binary())) for file in installed) < 3_600_000
