"""What cannot be built is refused by CMake, in a sentence that says what is needed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.nosanitize,
    pytest.mark.skipif(
        sys.platform != "linux" or not shutil.which("g++"), reason="stands in for other compilers with GCC"
    ),
]


def configure(folder, *options, **environment):
    """What CMake says when it fails, on one line."""
    cmake = shutil.which("cmake", path=Path(sys.executable).parent) or shutil.which("cmake") or pytest.skip("no CMake")
    command = [cmake, "-S", ROOT, "-B", folder, "-G", "Unix Makefiles", *options]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CMAKE_")}
    done = subprocess.run(command, capture_output=True, text=True, env={**kept, **environment}, timeout=300)
    assert done.returncode != 0
    return " ".join(done.stderr.split())


def pretended(folder, *flags):
    """A compiler that says of itself what it is told to."""
    compiler = folder / "c++"
    compiler.write_text(f'#!/bin/sh\nexec g++ {" ".join(flags)} "$@"\n')
    compiler.chmod(0o755)
    return str(compiler)


def test_an_old_compiler(tmp_path):
    told = configure(tmp_path / "build", CXX=pretended(tmp_path, "-U__GNUC__", "-D__GNUC__=7", "-w"))
    assert "fastnorm needs GNU 11 or newer, got GNU 7" in told
    assert "environment variable CXX" in told


def test_an_old_library(tmp_path):
    told = configure(tmp_path / "build", CXX=pretended(tmp_path, "-Dto_chars=to_no_chars", "-w"))
    assert "fastnorm needs a C++17 library with std::to_chars for floating-point numbers" in told


def test_a_target_of_32_bits(tmp_path):
    # Without linking: the libraries for such programs need not be installed.
    told = configure(tmp_path / "build", "-DCMAKE_CXX_FLAGS=-m32", "-DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY")
    assert "fastnorm needs a 64-bit target, got one of 32 bits from GNU" in told


def test_no_threads(tmp_path):
    told = configure(tmp_path / "build", "-DCMAKE_DISABLE_FIND_PACKAGE_Threads=ON")
    assert "fastnorm needs threads (POSIX or Windows), and the compiler finds none" in told
    assert "-DFASTNORM_OPENMP=ON" in told


def test_no_highway(tmp_path):
    nowhere = "http://127.0.0.1:9"
    told = configure(tmp_path / "build", "-DFASTNORM_FETCH_HIGHWAY=ON", http_proxy=nowhere, https_proxy=nowhere)
    assert "fastnorm needs Google Highway" in told
    assert "apt-get install libhwy-dev" in told
    assert "-DFETCHCONTENT_SOURCE_DIR_HWY" in told


def test_an_old_cmake():
    """CMake's own words: this project asks for its version before anything else."""
    first = next(line for line in (ROOT / "CMakeLists.txt").read_text().splitlines() if line and line[0] != "#")
    assert first == "cmake_minimum_required(VERSION 3.21...3.31)"
