#!/usr/bin/env bash
# Runs the fuzz targets one after the other, with coverage: for SECONDS each, 600 unless said.
#
#   fuzz/run.sh [SECONDS] [TARGET]
#   KEEP=1 fuzz/run.sh …      also puts what was found, minimised, into fuzz/corpus
#
# It works on a copy of the corpus in fuzz/target, and needs no nightly Rust: RUSTC_BOOTSTRAP lets
# the installed one take the flags of coverage. Inputs that break a target are in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export RUSTC_BOOTSTRAP=1
seconds="${1:-600}"
targets=("${@:2}")
[ "${#targets[@]}" -gt 0 ] || targets=(conversation frames allow_list options addresses)
# Longest input, and how many of them are kept: tests/fuzz/replay.rs holds the same limits.
bytes_max=1024
files_max=200

if ! command -v g++ >/dev/null; then
    sudo=()
    [ "$(id -u)" -eq 0 ] || sudo=(sudo)
    "${sudo[@]}" apt-get update -q
    "${sudo[@]}" apt-get install -y -q --no-install-recommends g++
fi
command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz

fuzz() { cargo fuzz "$1" --sanitizer none "${@:2}"; }

keep() {
    local target="$1" found="$2" small
    small="$(mktemp -d)"
    # One input for each new branch: how often it is taken does not count.
    fuzz cmin "$target" "$found" -- -max_len="$bytes_max" -use_counters=0
    find "$found" -type f -size -1025c -printf '%s %p\n' | sort -n | sed -n "1,${files_max}p" |
        cut -d ' ' -f 2- | xargs -r cp -t "$small"
    rm -rf "fuzz/corpus/$target"
    mv "$small" "fuzz/corpus/$target"
    chmod 755 "fuzz/corpus/$target"
}

for target in "${targets[@]}"; do
    printf '\n== %s: %s s\n' "$target" "$seconds"
    found="fuzz/target/corpus/$target"
    mkdir -p "$found"
    fuzz run "$target" "$found" "fuzz/corpus/$target" -- \
        -max_len="$bytes_max" -max_total_time="$seconds" -print_final_stats=1 -verbosity=0
    if [ -n "${KEEP:-}" ]; then
        cp -n "fuzz/corpus/$target"/* "$found"/
        keep "$target" "$found"
    fi
done
