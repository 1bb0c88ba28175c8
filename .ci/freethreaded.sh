#!/usr/bin/env bash
# Builds CPython without the GIL from Debian's source package, installs fastnorm into it by pip, runs the tests and the
# stress program. The interpreter stays in build/freethreaded for the next time.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf -- '--- %s (at %d s)\n' "$*" "$SECONDS"; }
folder=$PWD/build/freethreaded
python=$folder/venv/bin/python

# The source package of a Debian that has Python 3.13, whatever this one is.
download() {
    .ci/packages.sh dpkg-dev libssl-dev libffi-dev zlib1g-dev libbz2-dev liblzma-dev libsqlite3-dev
    mkdir -p "$folder"/{lists/partial,cache/archives/partial}
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian trixie main" \
        >"$folder/sources.list"
    local options=(-qq -o "Dir::Etc::sourcelist=$folder/sources.list" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root
        -o "Dir::State::lists=$folder/lists" -o "Dir::Cache=$folder/cache")
    apt-get "${options[@]}" update
    (cd "$folder" && apt-get "${options[@]}" source --download-only python3.13 >/dev/null)
    mkdir -p "$folder/source"
    tar -xf "$folder"/python3.13_*.orig.tar.xz -C "$folder/source" --strip-components=1
}

if [ ! -x "$folder/python/bin/python3.13t" ]; then
    step "source package"
    download
    step "CPython without the GIL"
    (cd "$folder/source" && ./configure -q --disable-gil --prefix="$folder/python" --with-ensurepip=install &&
        make -s -j"$(nproc)" && make -s altinstall) >"$folder/build.log" 2>&1 ||
        { tail -n 30 "$folder/build.log"; exit 1; }
fi
step "fastnorm"
"$folder/python/bin/python3.13t" -m venv --clear "$folder/venv"
"$python" -m pip install -q --disable-pip-version-check --only-binary :all: pytest hypothesis ml_dtypes numpy numpydoc
"$python" -m pip install -q --disable-pip-version-check .
cd tests
"$python" -c "import fastnorm, sys; fastnorm.nn.LayerNorm(4); assert not sys._is_gil_enabled(), 'importing enables the GIL'"
step "stress"
"$python" many_threads.py "${FASTNORM_STRESS_SECONDS:-60}" | tee "$folder/stress.log"
grep -q "the GIL is off" "$folder/stress.log"
step "tests"
"$python" -m pytest -q -p no:cacheprovider -m "not slow"
