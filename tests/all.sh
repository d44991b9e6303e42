#!/usr/bin/env bash
# Every test, on a machine that has Rust and apt-get: installs the programs the tests talk with
# where they are missing, builds, and runs all.
#
# What it does not do: formatting, lints and documents (.ci/run), measurements (bench/run.sh).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# program, and the Debian package it comes from
needed=(
    "make make"
    "cc gcc libc6-dev"
    "nc.openbsd netcat-openbsd"
    "nc.traditional netcat-traditional"
    "ncat ncat"
    "busybox busybox"
    "socat socat"
    "telnet telnet"
    "zsh zsh"
    "fish fish"
)

say() { printf '\n== %s\n' "$*"; }

fail() {
    printf 'tests/all.sh: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "installing needs root or sudo; as root, run: $*"
    fi
}

install_missing() {
    local programs=() packages=() row program names
    for row in "${needed[@]}"; do
        read -r program names <<<"$row"
        if ! command -v "$program" >/dev/null; then
            programs+=("$program")
            read -r -a names <<<"$names"
            packages+=("${names[@]}")
        fi
    done
    [ "${#packages[@]}" -gt 0 ] || return 0
    say "installing ${packages[*]}"
    command -v apt-get >/dev/null ||
        fail "no apt-get here; install by hand what provides: ${programs[*]}"
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${packages[@]}"
    for program in "${programs[@]}"; do
        command -v "$program" >/dev/null || fail "$program is still missing"
    done
}

# Programs of the administrator, busybox among them, are not on everybody's path.
export PATH="$PATH:/usr/sbin:/sbin"
command -v cargo >/dev/null || fail "no cargo here: install Rust first"
install_missing

say "building the server alone, and its tests"
cargo build --no-default-features
cargo test --no-default-features --lib

say "building everything, and every test"
cargo build --workspace
make -C c-compat all check
cargo test --workspace --no-fail-fast

say "every test passed"
