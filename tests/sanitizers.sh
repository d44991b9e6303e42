#!/usr/bin/env bash
# Memory errors and undefined behaviour, found by sanitizers: the C clients against servers that
# keep to nothing (tests/hostile), and the tests of behaviour with the program under ASan.
#
#   tests/sanitizers.sh            all, some minutes
#   tests/sanitizers.sh --short    the C clients alone, with a part of the cases
#
# It needs no nightly Rust: RUSTC_BOOTSTRAP lets the installed one take -Zsanitizer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
short=("$@")

missing=()
for row in "gcc gcc" "make make" "python3 python3"; do
    command -v "${row% *}" >/dev/null || missing+=("${row#* }")
done
if [ "${#missing[@]}" -gt 0 ]; then
    sudo=()
    [ "$(id -u)" -eq 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update -q
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${missing[@]}" libc6-dev
fi

build="$(mktemp -d)"
trap 'rm -rf "$build"' EXIT
sanitize="-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"
make -s -C c-compat BUILD="$build" CC=gcc CFLAGS="$sanitize" all check
PYTHONDONTWRITEBYTECODE=1 python3 tests/hostile/main.py "$build" "${short[@]}"
[ "${#short[@]}" -eq 0 ] || exit 0

# The allocator of the sanitizer keeps what was freed, so what measures memory is left out; so is
# what starts thousands of processes, and what needs more programs than these.
skipped=(memory cost_next_to_nothing no_bytes_harm completions:: netcats::)
target="$(rustc -vV | sed -n 's/^host: //p')"
RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=target/sanitizers \
    cargo test --target "$target" --test it -- "${skipped[@]/#/--skip=}"
