"""The C++ library installs, and a program finds it with find_package, links it and knows nothing of Python.

For another machine the environment says how: CMAKE_TOOLCHAIN_FILE and CMAKE_ARGS for CMake, FASTNORM_RUNNER for the
command that programs run by, FASTNORM_BUILD for a folder to build the library in that is kept.
"""

import ctypes
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
CONSUMER = Path(__file__).resolve().parent / "cpp_install"
EXAMPLE = ROOT / "examples" / "cpp"

pytestmark = [pytest.mark.slow, pytest.mark.nosanitize]

RUNNER = shlex.split(os.environ.get("FASTNORM_RUNNER", ""))
OPTIONS = shlex.split(os.environ.get("CMAKE_ARGS", ""))
IS_FOREIGN = "CMAKE_TOOLCHAIN_FILE" in os.environ


def run(*command):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert result.returncode == 0, f"{command}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}"
    return result.stdout


def start(program, *arguments):
    return run(*RUNNER, program, *arguments)


def tool(name):
    """The program of the Python environment if it is there (the extra `test` brings CMake), else the one on PATH."""
    found = shutil.which(name, path=Path(sys.executable).parent) or shutil.which(name)
    return found or pytest.skip(f"{name} not found")


@pytest.fixture(scope="module")
def build_dir(tmp_path_factory):
    """Shared by the two builds: they compile the same objects."""
    kept = os.environ.get("FASTNORM_BUILD")
    return Path(kept) if kept else tmp_path_factory.mktemp("library")


@pytest.fixture(scope="module", params=["OFF", "ON"], ids=["static", "shared"])
def prefix(request, build_dir, tmp_path_factory):
    """Where the library is installed, built of each kind once."""
    cmake, prefix = tool("cmake"), tmp_path_factory.mktemp("prefix")
    settings = [f"-DCMAKE_INSTALL_PREFIX={prefix}", f"-DBUILD_SHARED_LIBS={request.param}", "-DFASTNORM_TESTS=ON"]
    run(cmake, "-S", ROOT, "-B", build_dir, *OPTIONS, *settings)
    run(cmake, "--build", build_dir, "--parallel", os.cpu_count() or 1, "--target", "fastnorm", "fastnorm_bits")
    run(cmake, "--install", build_dir)
    return prefix


def build(source, build_dir, prefix, program):
    cmake = tool("cmake")
    run(cmake, "-S", source, "-B", build_dir, f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Release")
    run(cmake, "--build", build_dir)
    return find_program(build_dir, prefix, program)


def find_program(folder, prefix, name):
    [program] = [path for path in (folder / name, folder / f"{name}.exe") if path.exists()]
    for library in (prefix / "bin").glob("*.dll"):
        shutil.copy(library, folder)  # where Windows looks first
    return program


def parse(output):
    arrays = {}
    for line in output.splitlines():
        name, *values = line.split()
        arrays[name] = np.array(values, dtype=np.float64)
    return arrays


def check_layer_norm(a):
    x, dy, y, dx = (a[f"layer.{name}"].reshape(5, 37) for name in ("x", "dy", "y", "dx"))
    weight, bias = a["layer.weight"], a["layer.bias"]
    mean = x.mean(axis=1, keepdims=True)
    rstd = 1 / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    xhat = (x - mean) * rstd
    g = dy * weight
    expected_dx = rstd * (g - g.mean(axis=1, keepdims=True) - xhat * (g * xhat).mean(axis=1, keepdims=True))
    np.testing.assert_allclose(a["layer.mean"], mean.ravel(), rtol=1e-7)
    np.testing.assert_allclose(a["layer.rstd"], rstd.ravel(), rtol=1e-6)
    np.testing.assert_allclose(y, xhat * weight + bias, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(dx, expected_dx, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(a["layer.dweight"], (dy * xhat).sum(axis=0), rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(a["layer.dbias"], dy.sum(axis=0), rtol=1e-6)


def check_group_norm(a):
    x, y = (a[f"group.{name}"].reshape(2, 4, 5, 3, 2) for name in ("x", "y"))
    axes = (1, 2, 4)
    expected = (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-5)


def check_other_operations(a):
    x, y = (a[f"batch.{name}"].reshape(8, 3) for name in ("x", "y"))
    np.testing.assert_allclose(y, (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(a["batch.running_mean"], 0.1 * x.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(a["batch.running_var"], 0.9 + 0.1 * x.var(axis=0, ddof=1), rtol=1e-6)
    v, w = (a[f"weight.{name}"].reshape(4, 9) for name in "vw")
    g = a["weight.g"].reshape(4, 1)
    np.testing.assert_allclose(w, g * v / np.linalg.norm(v, axis=1, keepdims=True), rtol=1e-6)
    x, y = (a[f"whitening.{name}"].reshape(6, 3) for name in ("x", "y"))
    matrix = np.array([[1, 0, 0], [0.5, 2, 0], [0.25, 0, 4]])
    np.testing.assert_allclose(y, (x - [10, 10.5, 11]) @ matrix.T, rtol=1e-5, atol=1e-6)


ERRORS = """\
value: axis must be from -3 to 2 for x with shape (2, 4, 3), got 3
value: axis must not repeat an axis of x with shape (2, 4, 3), got (1, -2)
value: weight must have shape (3,) to match axis 2 of x with shape (2, 4, 3), got (4,)
value: eps must be a finite number >= 0, got -1.0
type: bias must have dtype float64 for x with dtype float64, got float32
value: x must have two or more dimensions, got x with shape (4,)
value: num_groups must divide the 4 channels on axis 1 of x with shape (2, 4, 3), got 3
value: axis must not be 0, the sample axis of x with shape (2, 4, 3), got 0
value: out must have shape (2, 4, 3) to match x, got (2, 4)
value: running_mean and running_var must be given together, got running_var=None
value: y must be given, since nothing makes it
value: x must have at most 64 dimensions, got 66
value: rstd must not share memory with mean, got overlapping arrays
value: mean must have a place of its own for every element, got shape (2, 4, 1) with strides (0, 0, 0)
value: running_mean must not share memory with mean, got overlapping arrays
value: activation must be from 0 to 4, got 9
type: scale must be an array, got None
type: quantize must have dtype int8 or uint8, got float32
value: mode must be from 0 to 3, got 7
type: count must be an array, got None
value: dweight must not be given, the sums of batch_norm_backward_reduce are its parts""".splitlines()


def check_errors(output):
    assert [line.removeprefix("error ") for line in output.splitlines() if line.startswith("error ")] == ERRORS
    assert output.splitlines()[-1] == "error.y" + 24 * " 7"


def linked_libraries(program):
    command = ("otool", "-L") if sys.platform == "darwin" else ("ldd",)
    return run(*command, program)


def test_a_consumer_builds_and_runs_without_python(prefix, tmp_path):
    program = build(CONSUMER, tmp_path / "build", prefix, "consumer")
    output = start(program)
    arrays = parse("\n".join(line for line in output.splitlines() if not line.startswith("error ")))
    check_layer_norm(arrays)
    check_group_norm(arrays)
    check_other_operations(arrays)
    assert [arrays[f"overlap.{name}"] for name in ("moments", "weight", "rstd", "matrix")] == [1, 1, 1, 1]
    check_errors(output)
    if not IS_FOREIGN:
        assert "libpython" not in linked_libraries(program)


def test_the_bits_are_those_of_every_machine(prefix, build_dir):
    program = find_program(build_dir / "tests" / "cpp", prefix, "fastnorm_bits")
    out = start(program, CONSUMER.parent / "cpp" / "bits" / "expected.txt")
    assert len(re.findall(r"^\w+: 76 hashes, 0 different$", out, re.MULTILINE)) >= 1


def test_the_programs_of_the_pages_build_and_run(prefix, tmp_path):
    readme, page = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/cpp.md"))
    (cmake,) = re.findall(r"^```cmake\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    cmake = f"cmake_minimum_required(VERSION 3.21)\nproject(page CXX)\nadd_executable(program main.cpp)\n{cmake}"
    for i, code in enumerate(re.findall(r"^```cpp\n(#include.*?)^```", readme + page, re.MULTILINE | re.DOTALL)):
        source = tmp_path / str(i)
        source.mkdir()
        (source / "CMakeLists.txt").write_text(cmake)
        (source / "main.cpp").write_text(code)
        start(build(source, source / "build", prefix, "program"))
    assert i == 1


@pytest.mark.skipif(IS_FOREIGN, reason="a library of another machine")
def test_it_is_a_library_of_operators_for_onnx_runtime(prefix):
    for library in prefix.rglob("libfastnorm.so" if sys.platform != "darwin" else "libfastnorm.dylib"):
        loaded = ctypes.CDLL(str(library))
        assert loaded.RegisterCustomOps
        assert loaded.RegisterFastnormOps


def test_the_example_normalizes_in_memory_of_its_own(prefix, tmp_path):
    program = build(EXAMPLE, tmp_path / "build", prefix, "inference")
    for threads in (1, 2):
        output = start(program, threads)
        assert f"threads {threads}\n" in output
        errors = [float(error) for error in re.findall(r"largest error (\S+)$", output, re.MULTILINE)]
        assert len(errors) == 2
        assert all(0 < error < 1e-5 for error in errors)
        assert re.search(r"^allocations in [1-9]\d* calls: 0$", output, re.MULTILINE), output


@pytest.mark.skipif(IS_FOREIGN or sys.platform != "linux", reason="reads what Linux tells of its processors")
def test_the_program_that_measures_threads_prints_tables(build_dir):
    cmake = tool("cmake")
    run(cmake, "-S", ROOT, "-B", build_dir, *OPTIONS, "-DBUILD_SHARED_LIBS=OFF", "-DFASTNORM_BENCH=ON")
    run(cmake, "--build", build_dir, "--parallel", os.cpu_count() or 1, "--target", "fastnorm_scaling")
    output = run(build_dir / "fastnorm_scaling", "--seconds", "0", "--sizes", "0.1", "--only", "norm")
    rows = re.findall(
        r"^\| (.+), 0\.1 MB \| 1 \| [\d.]+ \| [\d.]+ \| [\d.]+ \| [\d.]+ \| 1\.00 \|$", output, re.MULTILINE
    )
    assert len(set(rows)) == 6
