#!/usr/bin/env bash
# Builds the C++ library for other machines and runs its test programs there, by emulation:
#
#     .ci/cross.sh arm | arm_python | s390x | windows | zig
#
# Started by the Makefile, in an environment with CMake, ninja, pytest and NumPy, for `zig` also ziglang.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf -- '--- %s (at %d s)\n' "$*" "$SECONDS"; }
highway=$PWD/build/highway
expected=tests/cpp/bits/expected.txt
# Not in build/: it holds a link to the root of the file system, which a source distribution would walk through.
wine=${TMPDIR:-/tmp}/fastnorm-wine-$(id -u)
export CMAKE_GENERATOR=Ninja
# Two SIMD targets are enough to see what another system makes of them.
export CMAKE_ARGS="-DFETCHCONTENT_SOURCE_DIR_HWY=$highway -DFASTNORM_FEW_TARGETS=ON ${CMAKE_ARGS:-}"
export CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
.ci/highway.sh "$highway"

# The library static and shared, installed, with programs that use it: the tests of this machine's own.
test_install() { python -m pytest -q --noconftest tests/test_cpp_install.py; }

use() {
    export CMAKE_TOOLCHAIN_FILE=$PWD/.ci/toolchains/$1.cmake FASTNORM_BUILD=$PWD/build/cross/$1 FASTNORM_RUNNER=$2
    bits=$FASTNORM_BUILD/tests/cpp/fastnorm_bits
    step "$1"
}

# One of the oldest 64-bit Arm processors in use, which has no AES, a later one, and one with all that there is.
arm() {
    .ci/packages.sh g++-aarch64-linux-gnu qemu-user
    local libraries=/usr/aarch64-linux-gnu
    use aarch64-linux-gnu "qemu-aarch64 -cpu cortex-a72 -L $libraries"
    test_install
    # That shared library was the last to be built.
    step "without AES"
    aarch64-linux-gnu-gcc -shared -fPIC -O1 -o "$FASTNORM_BUILD/without_aes.so" tests/cpp/without_aes.c -ldl
    qemu-aarch64 -cpu cortex-a53 -L $libraries -E LD_PRELOAD="$FASTNORM_BUILD/without_aes.so" "$bits" $expected
    step "max"
    qemu-aarch64 -cpu max -L $libraries "$bits" $expected
    # What the compiler takes for granted must not change which targets there are.
    for processor in cortex-a53+nocrypto cortex-a72 neoverse-v1; do
        local object=$FASTNORM_BUILD/targets.o
        aarch64-linux-gnu-g++ -mcpu=$processor -std=c++17 -O1 -Icpp/include -Icpp/src -Icpp/src/kernels -I"$highway" \
            -c cpp/src/kernels/targets.cpp -o "$object"
        step "targets for $processor: $(aarch64-linux-gnu-nm -C "$object" | grep -o 'N_[A-Z0-9_]*::kTable' | sort -u)"
        [ "$(aarch64-linux-gnu-nm -C "$object" | grep -o 'N_[A-Z0-9_]*::kTable' | sort -u | wc -l)" = 1 ]
    done
}

# Debian's Python for Arm, unpacked and not installed, with the packages that it needs.
unpack_python() {
    local root=$1 version=$2 list package
    [ -e "$root/.ready" ] && return
    step "Python $version for Arm"
    rm -rf "$root"
    mkdir -p "$root"/{lists/partial,cache/archives/partial,sysroot}
    : >"$root/status"
    # Lists and packages of another architecture, without the system's knowledge.
    local apt=(apt-get -qq -y -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o "Dir::State::lists=$root/lists"
        -o "Dir::State::status=$root/status" -o "Dir::Cache=$root/cache" -o APT::Sandbox::User=root)
    "${apt[@]}" update
    "${apt[@]}" install --no-install-recommends --download-only "python$version" "libpython$version-dev" libstdc++6
    for package in "$root"/cache/archives/*.deb; do dpkg-deb -x "$package" "$root/sysroot"; done
    rm -rf "$root/cache" "$root/lists"
    # In the place of one that would include it by the name of the machine.
    cp "$root/sysroot/usr/include/aarch64-linux-gnu/python$version/pyconfig.h" "$root/sysroot/usr/include/python$version/"
    list=(numpy "pytest>=8" "hypothesis>=6.100" ml_dtypes)
    python -m pip install -q --disable-pip-version-check --target "$root/site" --only-binary :all: \
        --python-version "$version" --implementation cp --platform manylinux_2_28_aarch64 \
        --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 "${list[@]}"
    touch "$root/.ready"
}

# The Python package and its tests, on an emulated processor: all that run in one process, or those that are named.
arm_python() {
    .ci/packages.sh g++-aarch64-linux-gnu qemu-user
    local root=$PWD/build/cross/arm-python build=$PWD/build/cross/aarch64-linux-gnu version
    version=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    unpack_python "$root" "$version"
    step "the Python module"
    cmake -S . -B "$build" --toolchain "$PWD/.ci/toolchains/aarch64-linux-gnu.cmake" $CMAKE_ARGS -DBUILD_SHARED_LIBS=OFF \
        -DFASTNORM_PYTHON=ON -Dpybind11_DIR="$(python -m pybind11 --cmakedir)" -DPYBIND11_USE_CROSSCOMPILING=ON \
        -DPYTHON_MODULE_EXTENSION=.so -DPython_INCLUDE_DIR="$root/sysroot/usr/include/python$version" \
        -DPython_EXECUTABLE="$(command -v python)" >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
    cmake --build "$build" --target _core
    rm -rf "$root/site/fastnorm"
    cp -r python/fastnorm "$root/site/"
    cp "$build/_core.so" "$root/site/fastnorm/"
    step "its tests"
    cd tests
    PYTHONPATH=$root/site qemu-aarch64 -cpu cortex-a72 -L "$root/sysroot" "$root/sysroot/usr/bin/python$version" \
        -m pytest -q -p no:cacheprovider -m "not slow and not nosanitize" "$@"
}

# Big-endian.
s390x() {
    .ci/packages.sh g++-s390x-linux-gnu qemu-user
    use s390x-linux-gnu "qemu-s390x -L /usr/s390x-linux-gnu"
    test_install
}

windows() {
    .ci/packages.sh g++-mingw-w64-x86-64-posix wine64 wine
    local compiler=x86_64-w64-mingw32-g++-posix folders=""
    for library in libstdc++-6.dll libwinpthread-1.dll; do
        folders+=";Z:$(dirname "$(realpath "$($compiler -print-file-name=$library)")")"
    done
    export WINEPATH=${folders#;} WINEPREFIX=$wine WINEDEBUG=-all
    use x86_64-w64-mingw32 wine
    test_install
}

# Static programs for musl and Windows, which run here; that for macOS is only built.
zig() {
    .ci/packages.sh qemu-user wine64 wine
    local target run
    mkdir -p build/cross
    export WINEPREFIX=$wine WINEDEBUG=-all
    ZIG=$(python -c 'import os, ziglang; print(os.path.join(os.path.dirname(ziglang.__file__), "zig"))')
    for target in x86_64-linux-musl aarch64-linux-musl aarch64-macos x86_64-windows-gnu; do
        step "$target"
        local build=build/cross/$target
        # The compiler is a program with arguments, and keeps what it has compiled by itself.
        env -u CMAKE_CXX_COMPILER_LAUNCHER ZIG="$ZIG" ZIG_TARGET=$target bash -euo pipefail -c '
            cmake -S . -B "$1" --toolchain .ci/toolchains/zig.cmake -DFASTNORM_TESTS=ON $CMAKE_ARGS >"$1.log" 2>&1 ||
                { cat "$1.log"; exit 1; }
            cmake --build "$1" --target fastnorm_bits' - "$build"
        run=()
        case $target in
            aarch64-linux-*) run=(qemu-aarch64 -cpu cortex-a72) ;;
            *-linux-*) ;;
            *-windows-*) run=(wine) ;;
            *) continue ;;
        esac
        "${run[@]}" "$(find "$build/tests/cpp" -name fastnorm_bits -o -name fastnorm_bits.exe)" $expected
    done
}

"${1:?usage: cross.sh arm | arm_python | s390x | windows | zig}" "${@:2}"
