#!/usr/bin/env bash
# Builds landline, the bare C loops and the load generator, and sets the first beside the second:
# servers on processor 0, the generator on processor 1. README.md says how to read what comes out.
#
#   bench/run.sh            the whole table, into bench/RESULTS.md (about 15 minutes)
#   bench/run.sh --quick    the table on standard output, in under 3 minutes
#   bench/run.sh --smoke    only that every part works and answers rightly; times mean nothing
#
#   --only KEY[,KEY]...     only rows whose key starts so (echo, get, run, all, one, idle)
#   --landline PROGRAM      measure this program instead of building one
#   --target-dir DIR        where cargo builds (default bench/out/target)
#   --repetitions N, --seconds S    other than the mode's
#   --nice N                raise the priority of everything measured (needs root), where others
#                           use the machine at the same time
#
# What it does not do: touch a process it did not start, or run without an end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

mode=full
target="$PWD/out/target"
landline=
nice_by=0
pass=()

usage() { sed -n '2,/^$/ s/^# \{0,1\}//p' run.sh; }

while [ $# -gt 0 ]; do
    case "$1" in
    --smoke | --quick | --full) mode="${1#--}" ;;
    --target-dir) target="$2" && shift ;;
    --landline) landline="$2" && shift ;;
    --nice) nice_by="$2" && shift ;;
    --only | --repetitions | --seconds) pass+=("$1" "$2") && shift ;;
    --help) usage && exit 0 ;;
    *) printf 'run.sh: %s: not an option\n' "$1" >&2 && usage >&2 && exit 2 ;;
    esac
    shift
done

for tool in cargo make cc taskset setpriv timeout; do
    command -v "$tool" >/dev/null || { echo "run.sh: $tool is needed" >&2 && exit 2; }
done

make -s -C base OUT="$PWD/out/base"
cargo build -q --release --locked --manifest-path load/Cargo.toml --target-dir "$target"
given="$landline"
if [ -z "$landline" ]; then
    cargo build -q --release --locked --manifest-path ../Cargo.toml --target-dir "$target"
    landline="$target/release/landline"
fi

work="$(mktemp -d "${TMPDIR:-/tmp}/landline-bench.XXXXXX")"
trap 'rm -rf "$work"' EXIT

# The longest each mode may take; it takes about half as long.
case "$mode" in
smoke) limit_s=90 ;;
quick) limit_s=360 ;;
*) limit_s=3600 ;;
esac

commit="$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
[ -z "$(git status --porcelain -- ../src ../Cargo.lock 2>/dev/null)" ] || commit+=", changed"
facts=(
    "Date: $(date -u +%Y-%m-%d), commit: $commit${given:+, program given}"
    "Machine: $(nproc) × $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
    "Kernel: $(uname -r), $(cargo --version | cut -d ' ' -f 1,2), $(cc --version | head -n 1)"
    "Load average before: $(cut -d ' ' -f 1-3 /proc/loadavg)"
)
[ "$mode" != full ] || pass+=(--results "$PWD/RESULTS.md")
for fact in "${facts[@]}"; do
    pass+=(--fact "$fact")
    [ "$mode" = smoke ] || printf -- '- %s\n' "$fact"
done

pin=(taskset -c 1)
[ "$(nproc)" -gt 1 ] || pin=()
[ "$nice_by" -eq 0 ] || pin=(nice -n "-$nice_by" "${pin[@]}")
status=0
timeout -k 5 "$limit_s" "${pin[@]}" "$target/release/landline-load" suite --mode "$mode" \
    --landline "$landline" --base "$PWD/out/base" --work "$work" "${pass[@]}" || status=$?
if [ "$status" -ne 0 ]; then
    for log in "$work"/*.log; do
        [ ! -s "$log" ] || { printf '== %s\n' "${log##*/}" && tail -n 5 "$log"; } >&2
    done
    exit 1
fi
mkdir -p out && cp "$work/raw.jsonl" "out/raw-$mode.jsonl"
