#!/usr/bin/env bash
# Random calls of the C++ functions, in the hands of libFuzzer:
#
#     .ci/fuzz.sh SECONDS
#
# Inputs that reach something new are kept in build/fuzz/corpus for the next time. Without clang, a program that draws
# its calls from random numbers, built by the compiler that is there.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:?usage: fuzz.sh SECONDS}
step() { printf -- '--- %s (at %d s)\n' "$*" "$SECONDS"; }
configure() {
    mkdir -p build
    cmake -S . -B build/fuzz -G Ninja -DFASTNORM_TESTS=ON "$@" >build/fuzz.log || { cat build/fuzz.log; exit 1; }
    step "build"
    cmake --build build/fuzz --target fastnorm_fuzz
}

.ci/packages.sh clang-19 libclang-rt-19-dev
clang=$(command -v clang++-19 clang++ | head -n 1 || true)
program=build/fuzz/tests/cpp/fastnorm_fuzz
export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=0
if [ -z "$clang" ]; then
    configure -DFASTNORM_SANITIZE=ON
    step "calls"
    exec "$program" "$seconds" "$(date +%s)"
fi
configure -DCMAKE_CXX_COMPILER="$clang" -DFASTNORM_FUZZ=ON
step "calls"
mkdir -p build/fuzz/corpus build/fuzz/finds
"$program" -max_total_time="$seconds" -max_len=512 -len_control=0 -rss_limit_mb=4096 -timeout=300 \
    -artifact_prefix=build/fuzz/finds/ -print_final_stats=1 build/fuzz/corpus
