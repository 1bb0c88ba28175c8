#!/usr/bin/env bash
# Builds a wheel that is good for every Linux with glibc 2.28 or newer, into dist/, and tests it:
#
#     .ci/wheel.sh
#
# zig's compiler links its C++ library statically, and takes no symbol that such a glibc lacks. Highway is in it.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf -- '--- %s (at %d s)\n' "$*" "$SECONDS"; }
python=$PWD/.venv/bin/python
build=$PWD/build/wheel
.ci/highway.sh "$PWD/build/highway"

rm -rf "$build/made"
mkdir -p "$build/bin" dist
zig=$("$python" -c 'import os, ziglang; print(os.path.join(os.path.dirname(ziglang.__file__), "zig"))')
for language in cc c++; do
    # Its own default is to check for undefined behaviour.
    printf '#!/bin/sh\nexec "%s" %s -target %s-linux-gnu.2.28 -fno-sanitize=all "$@"\n' "$zig" $language "$(uname -m)" \
        >"$build/bin/$language"
    chmod +x "$build/bin/$language"
done

step "wheel"
env -u CMAKE_CXX_COMPILER_LAUNCHER CC="$build/bin/cc" CXX="$build/bin/c++" \
    "$python" -m pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation -w "$build/made" . \
    -Cbuild-dir="$build/cmake" -Ccmake.define.FETCHCONTENT_SOURCE_DIR_HWY="$PWD/build/highway"
step "audit"
"$python" -m auditwheel repair --wheel-dir dist "$build"/made/*.whl
step "tests"
FASTNORM_TEST_WHEEL=$(ls -t "$PWD"/dist/*manylinux*.whl | head -n 1) "$python" -m pytest -q --noconftest tests/test_built_wheel.py
