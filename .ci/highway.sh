#!/usr/bin/env bash
# Unpacks the Highway release that CMake would download, for builds for other machines:
#
#     .ci/highway.sh FOLDER
#
# It comes from where CMake gets it or, where that cannot be reached, from Debian's source package: the same archive.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:?usage: highway.sh FOLDER}
recipe=cpp/cmake/FastnormHighway.cmake
release=$(sed -n 's/^set(FASTNORM_HIGHWAY_RELEASE \(.*\))/\1/p' $recipe)
url=$(sed -n 's/^ *"\(https:.*\)")/\1/p' $recipe | sed "s/\${FASTNORM_HIGHWAY_RELEASE}/$release/")
sum=$(sed -n 's/^set(FASTNORM_HIGHWAY_SHA256 \(.*\))/\1/p' $recipe)

[ -e "$folder/.release-$release" ] && exit 0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
archive=$work/highway.tar.gz

from_origin() { curl -sfL --connect-timeout 10 -o "$archive" "$url"; }
# With package lists of its own, so that those of the system stay as they are.
from_debian() {
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -e $keyring ] || return 1
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    echo "deb-src [signed-by=$keyring] http://deb.debian.org/debian trixie main" >"$work/sources.list"
    local apt=(apt-get -qq -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
    "${apt[@]}" update && (cd "$work" && "${apt[@]}" source --download-only highway >/dev/null) &&
        mv "$work"/highway_*.orig.tar.gz "$archive"
}

from_origin || from_debian || {
    echo "highway: cannot get release $release. Unpack it into $folder and touch $folder/.release-$release" >&2
    exit 1
}
echo "$sum  $archive" | sha256sum --check --quiet
rm -rf "$folder"
mkdir -p "$folder"
tar -xzf "$archive" -C "$folder" --strip-components 1
touch "$folder/.release-$release"
