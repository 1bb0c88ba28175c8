#!/usr/bin/env bash
# Makes the virtual environment that the Makefile works in:
#
#     .ci/bootstrap.sh .venv [PYTHON]
#
# Starts from Python 3.10+, pip, a C++ compiler and make. What the distribution has to add (libhwy-dev, and on Debian
# the split-off parts of Python) is installed with apt-get when the user is root or has sudo without a password, and
# done without where that is possible: Highway is then downloaded by CMake, the venv then made by virtualenv.
# FASTNORM_NO_APT=1 leaves the system alone.
set -euo pipefail

venv=${1:?usage: bootstrap.sh VENV [PYTHON]}
python=${2:-python3}

say() { printf 'bootstrap: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

# --- the least that must be there -------------------------------------------------------------------------------------

command -v "$python" >/dev/null || die "$python not found. Install Python 3.10 or newer, or name one: make PYTHON=..."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    die "$("$python" --version) is too old: Python 3.10 or newer is needed. Name one with make PYTHON=..."
# The interpreter itself and not a virtual environment's link to it: that environment may be the one made anew here.
python=$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')
command -v "${CXX:-c++}" >/dev/null || die "no C++ compiler found. On Debian or Ubuntu: apt-get install g++"

# --- packages of the distribution -------------------------------------------------------------------------------------

has_headers() {
    "$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'
}
has_ensurepip() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }

# A Python of the distribution's own has its headers and its venv module in packages named after its version.
system_python() { [[ $python == /usr/bin/* ]]; }
python_package() { "$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])'; }

missing_packages() {
    echo libhwy-dev
    if system_python; then
        has_headers || echo "$(python_package)-dev"
        has_ensurepip || echo "$(python_package)-venv"
    fi
}

# shellcheck disable=SC2046 # one word is one package
"$(dirname "$0")/packages.sh" $(missing_packages)

has_headers || die "Python.h of $("$python" --version) not found. On Debian or Ubuntu: apt-get install python3-dev"

# --- the virtual environment ------------------------------------------------------------------------------------------

say "making the virtual environment $venv"
rm -rf "$venv"
if has_ensurepip; then
    "$python" -m venv "$venv"
else
    # virtualenv carries its own pip, and needs nothing but the pip that is there to be had in a folder of its own.
    say "Python's venv module is not installed, using virtualenv"
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    "$python" -m pip install -q --disable-pip-version-check --target "$folder" virtualenv ||
        die "cannot make a virtual environment. On Debian or Ubuntu: apt-get install python3-venv"
    PYTHONPATH=$folder "$python" -m virtualenv -q "$venv"
fi

# The build backend lives in the environment too (instead of pip's isolated builds), so that a rebuild compiles only
# what has changed.
"$venv/bin/python" -m pip install -q --disable-pip-version-check --upgrade pip
"$venv/bin/python" -m pip install -q --disable-pip-version-check \
    "scikit-build-core>=0.10" "pybind11>=3" "cmake>=3.21" "ninja>=1.11"
