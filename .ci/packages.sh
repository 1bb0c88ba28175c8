#!/usr/bin/env bash
# Installs what is missing of packages of Debian or Ubuntu, when the user is root or has sudo without a password:
#
#     .ci/packages.sh PACKAGE...
#
# Where that is not possible it says so and succeeds. FASTNORM_NO_APT=1 leaves the system alone.
set -euo pipefail

say() { printf 'packages: %s\n' "$*" >&2; }
is_installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'install ok installed'; }

# "" for root, "sudo -n" where that works without a password, else "no".
privilege() {
    if [ "$(id -u)" = 0 ]; then
        echo ""
    elif sudo -n true 2>/dev/null; then
        echo "sudo -n"
    else
        echo "no"
    fi
}

apt_install() {
    local run=$1 log
    shift
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    # The package lists of a fresh machine are empty or stale: then update them once and try again.
    if $run apt-get -o DPkg::Lock::Timeout=300 install -qq -y --no-install-recommends "$@" >"$log" 2>&1 ||
        { $run apt-get -o DPkg::Lock::Timeout=300 update -qq >"$log" 2>&1 &&
            $run apt-get -o DPkg::Lock::Timeout=300 install -qq -y --no-install-recommends "$@" >"$log" 2>&1; }; then
        rm -f "$log"
        return 0
    fi
    cat "$log" >&2
    rm -f "$log"
    return 1
}

if [ -n "${FASTNORM_NO_APT:-}" ] || ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    exit 0
fi
run=$(privilege)
for package in "$@"; do # one by one: one that does not exist must not stop the others
    is_installed "$package" && continue
    if [ "$run" = no ]; then
        say "no right to install $package, going on without it"
    else
        say "installing $package"
        apt_install "$run" "$package" || say "could not install $package, going on without it"
    fi
done
