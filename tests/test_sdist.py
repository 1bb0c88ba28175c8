"""The source distribution: what it holds and, where FASTNORM_TEST_SDIST says so, a wheel of it in a fresh environment.

That environment gets its packages from a folder and nothing from anywhere else: Highway is an installed one.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = (".ci/", ".github/", "docs/benchmarks/")

pytestmark = pytest.mark.nosanitize
builds = pytest.mark.skipif("FASTNORM_TEST_SDIST" not in os.environ, reason="takes minutes: make test-sdist")


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=1800, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    pytest.importorskip("scikit_build_core")
    folder = tmp_path_factory.mktemp("sdist")
    code = f"from scikit_build_core.build import build_sdist; build_sdist({str(folder)!r})"
    run(sys.executable, "-c", code, cwd=ROOT)
    [archive] = folder.iterdir()
    return archive


def test_it_holds_the_sources(sdist):
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("no repository to compare with")
    with tarfile.open(sdist) as archive:
        inside = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    tracked = set(run("git", "-C", ROOT, "ls-files").split("\n")) - {""}
    wanted = {name for name in tracked if not name.startswith(LEFT_OUT) and (ROOT / name).exists()}
    assert wanted - inside <= {".gitignore"}
    assert not {name for name in inside - wanted if name.startswith(LEFT_OUT) or name.endswith((".so", ".o", ".pyc"))}
    assert {"PKG-INFO", "LICENSE", "README.md", "CMakeLists.txt", "cpp/include/fastnorm/operations.h"} <= inside


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    wanted = ["scikit-build-core>=0.10", "pybind11>=3", "cmake>=3.21", "ninja>=1.11", "numpy>=1.26"]
    run(sys.executable, "-m", "pip", "wheel", "-q", "-w", folder, *wanted)
    return folder


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def wheel(sdist, packages, python, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    nowhere = "http://127.0.0.1:9"
    # Neither pip nor CMake gets anywhere. Two SIMD targets are half of the time.
    closed = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "VIRTUAL_ENV"))}
    closed |= {"http_proxy": nowhere, "https_proxy": nowhere, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(packages)}
    few = "-Ccmake.define.FASTNORM_FEW_TARGETS=ON"
    run(python, "-m", "pip", "wheel", "-q", "-w", folder, "--no-deps", few, sdist, env=closed, cwd=folder)
    [wheel] = folder.iterdir()
    run(python, "-m", "pip", "install", "-q", wheel, env=closed, cwd=folder)
    return wheel


@builds
def test_it_builds_and_installs_without_network(wheel, python, tmp_path):
    assert wheel.name.startswith("fastnorm_simd-")
    said = run(python, "-W", "error", "-m", "fastnorm", "info", cwd=tmp_path)
    assert re.search(r"AVX2|NEON|BASELINE", said)
    code = "import numpy as np, fastnorm as fn; print(fn.layer_norm(np.arange(8.0)).sum() ** 2 < 1e-20)"
    assert run(python, "-c", code, cwd=tmp_path) == "True\n"


@builds
def test_the_wheel_is_the_package_and_no_more(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert "fastnorm" in tops
    assert len(tops) == 2
    assert len([name for name in names if name.endswith(".so")]) == 1


@builds
@pytest.mark.skipif(sys.platform != "linux", reason="a tool for Linux")
def test_the_wheel_takes_no_library_but_those_of_the_system(wheel):
    """It is for the building system alone where Highway is a shared library there; those of a release hold it."""
    pytest.importorskip("auditwheel")
    said = run(sys.executable, "-m", "auditwheel", "show", wheel)
    print(said)
    libraries = set(re.findall(r"\b(lib[\w+]+)\.so", said))
    assert libraries <= {"libgcc_s", "libhwy", "libm", "libc", "libstdc++", "libpthread"}
