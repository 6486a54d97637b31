#!/bin/bash
# Makes sure that Debian packages are installed. Arguments: package names. Does nothing when all are there.
# Installs as root, or through sudo; where neither is possible it says which line to run and fails.
set -euo pipefail

missing=()
for package in "$@"; do
    if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" != installed ]; then
        missing+=("$package")
    fi
done
[ ${#missing[@]} -gt 0 ] || exit 0

install=(apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "${missing[@]}")

refuse() {
    echo "deb: $1" >&2
    echo "deb: please run:  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
}

command -v apt-get >/dev/null || refuse "this system has no apt-get; these Debian packages are missing: ${missing[*]}"
as_root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || refuse "not root, and there is no sudo; missing: ${missing[*]}"
    as_root=(sudo)
fi

echo "deb: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# noninteractive goes through env, because sudo drops the caller's environment.
run() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "$@" </dev/null >>"$log" 2>&1; }
if ! { run apt-get -o DPkg::Lock::Timeout=300 update -qq && run "${install[@]}"; }; then
    # apt prints the addresses of its sources; the reasons are kept, the addresses are not.
    grep -E '^(E:|W:|sudo:|dpkg:)' "$log" | sed -E 's#[a-z]+://[^ ]*#(source)#g' | tail -n 20 >&2 || true
    refuse "could not install ${missing[*]}"
fi
echo "deb: done"
