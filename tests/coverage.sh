#!/usr/bin/env bash
# Line coverage of src/server and src/service by the simulation alone (sim/), file by file.
#
#   tests/coverage.sh              totals, and each file, the least covered first
#   tests/coverage.sh --lines      also each line that no history reaches, with its text
#   LANDLINE_SEEDS=N tests/coverage.sh      that many histories; 1,000 unless said
#   AT_LEAST=85 tests/coverage.sh           fails if less than 85 % of the lines are reached
#
# The simulation compiles the server's files without their unit tests, so the lines of those tests
# do not count. It needs cargo-llvm-cov and the llvm-cov that fits rustc. The latter is taken from
# LLVM_COV and LLVM_PROFDATA, from the toolchain, or from Debian's llvm package, which is installed
# if it is missing. A history that fails is reported, and the coverage is measured all the same.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../sim"

fail() {
    printf 'tests/coverage.sh: %s\n' "$*" >&2
    exit 1
}

command -v cargo-llvm-cov >/dev/null ||
    fail "cargo-llvm-cov is missing; try: cargo install cargo-llvm-cov --locked"

version="$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')"
host="$(rustc -vV | sed -n 's/^host: //p')"
own="$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-cov"
if [ -z "${LLVM_COV:-}" ] && [ ! -x "$own" ]; then
    llvm="/usr/lib/llvm-$version/bin"
    if [ ! -x "$llvm/llvm-cov" ]; then
        command -v apt-get >/dev/null ||
            fail "set LLVM_COV and LLVM_PROFDATA to those of LLVM $version"
        sudo=()
        [ "$(id -u)" -eq 0 ] || sudo=(sudo)
        echo "tests/coverage.sh: installing llvm-$version" >&2
        "${sudo[@]}" apt-get update -q >&2
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -q --no-install-recommends "llvm-$version" >&2
    fi
    export LLVM_COV="$llvm/llvm-cov" LLVM_PROFDATA="$llvm/llvm-profdata"
fi

report="$(mktemp -d)"
trap 'rm -rf "$report"' EXIT
cargo llvm-cov clean --profraw-only
cargo llvm-cov --no-report --ignore-run-fail --test seeds >"$report/run" 2>&1 ||
    { cat "$report/run" >&2; fail "the simulation was not built"; }
grep -E '^(LANDLINE_SEED=|test result|test .*FAILED)' "$report/run" || true
cargo llvm-cov report --lcov --output-path "$report/lcov" 2>/dev/null

# file, line, how often it ran: those of the two folders alone.
awk -F '[:,]' '
    /^SF:/ { file = $2; sub(/.*\/src\/\.\.\/\.\.\//, "", file) }
    /^DA:/ && file ~ /^src\/(server|service)\// { print file, $2, $3 }
' "$report/lcov" >"$report/lines"

echo
echo "    lines   reached         %"
awk '
    { lines[$1]++; reached[$1] += ($3 > 0) }
    END {
        for (file in lines)
            printf "%9d %9d %8.1f %%  %s\n", lines[file], reached[file],
                100 * reached[file] / lines[file], file
    }
' "$report/lines" | sort -k3n -k5
awk -v at_least="${AT_LEAST:-0}" '
    function show(name) {
        printf "%9d %9d %8.1f %%  %s\n", lines[name], reached[name],
            100 * reached[name] / lines[name], name
    }
    {
        split($1, part, "/")
        folder = "src/" part[2]
        lines[folder]++; lines["both"]++
        reached[folder] += ($3 > 0); reached["both"] += ($3 > 0)
    }
    END {
        show("src/server"); show("src/service"); show("both")
        exit 100 * reached["both"] < at_least * lines["both"]
    }
' "$report/lines" || status=1

if [ "${1:-}" = --lines ]; then
    awk '
        $3 == 0 {
            if ($1 != file) { printf "\n== %s\n", $1; file = $1; number = 0 }
            while (number < $2) { getline text < ("../" file); number++ }
            printf "%5d  %s\n", $2, text
        }
    ' "$report/lines"
fi
exit "${status:-0}"
