#!/usr/bin/env bash
# Builds landline, the bare C loops and the load generator, and sets the first beside the second:
# servers on processor 0, the generator on processor 1. README.md says how to read what comes out.
#
#   bench/run.sh            the whole table, into bench/RESULTS.md (at most 15 minutes)
#   bench/run.sh --quick    the tables on standard output, in at most 3 minutes
#   bench/run.sh --smoke    only that every part works and answers rightly; times mean nothing
#   bench/run.sh --stalls   only whether one peer's slow work stalls another (needs 2.2 GiB of disk)
#
#   --peers                 beside Debian's redis, nginx, lighttpd, nats-server, mosquitto, ngircd,
#                           xinetd, ucspi-tcp, ncat and socat too; installs what is missing. Whole:
#                           at most 15 minutes; with --quick at most 6, into bench/out/
#   --only KEY[,KEY]...     only rows whose key starts so (echo, get, run, all, one, idle, free)
#   --landline PROGRAM      measure this program instead of building one
#   --target-dir DIR        where cargo builds (default bench/out/target)
#   --repetitions N, --seconds S    other than the mode's
#   --stalls-on PROCESSORS  where the server of --stalls and its commands run (default 0)
#   --nice N                raise the priority of everything measured (needs root), where others
#                           use the machine at the same time
#
# What it does not do: touch a process it did not start, or run without an end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# program, and the Debian package it comes from
peers=(
    "redis-server redis-server"
    "nginx nginx-light"
    "lighttpd lighttpd"
    "nats-server nats-server"
    "mosquitto mosquitto"
    "ngircd ngircd"
    "xinetd xinetd"
    "tcpserver ucspi-tcp"
    "ncat ncat"
    "socat socat"
    "gnuplot gnuplot-nox"
)

mode=full
target="$PWD/out/target"
landline=
nice_by=0
with_peers=
stalls=
only_stalls=
pass=()

usage() { sed -n '2,/^$/ s/^# \{0,1\}//p' run.sh; }

fail() {
    printf 'run.sh: %s\n' "$*" >&2
    exit 2
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

# Debian starts a service when its package is installed, unless this file says no (invoke-rc.d(8)).
# One that is there already is left as it is; ours is gone when the packages are in.
install_quietly() {
    local policy=/usr/sbin/policy-rc.d ours='' status=0
    if [ ! -e "$policy" ]; then
        ours=yes
        printf '#!/bin/sh\nexit 101\n' | as_root install -m 755 /dev/stdin "$policy"
    fi
    as_root apt-get update -q &&
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -q --no-install-recommends "$@" || status=$?
    [ -z "$ours" ] || as_root rm -f "$policy"
    return "$status"
}

install_missing() {
    local packages=() row program package
    for row in "${peers[@]}"; do
        read -r program package <<<"$row"
        command -v "$program" >/dev/null || packages+=("$package")
    done
    [ "${#packages[@]}" -gt 0 ] || return 0
    command -v apt-get >/dev/null || fail "no apt-get here; install by hand: ${packages[*]}"
    printf 'installing %s\n' "${packages[*]}" >&2
    install_quietly "${packages[@]}" >out/apt.log 2>&1 ||
        fail "installing failed; bench/out/apt.log has the cause"
}

versions() {
    local row package version list=()
    for row in "${peers[@]}"; do
        read -r _ package <<<"$row"
        # shellcheck disable=SC2016 # the field is dpkg-query's
        version="$(dpkg-query -W -f '${Version}' "$package" 2>/dev/null || echo '?')"
        list+=("${package} ${version},")
    done
    printf '%s' "${list[*]}" | sed 's/,$//'
}

while [ $# -gt 0 ]; do
    case "$1" in
    --smoke | --quick | --full) mode="${1#--}" ;;
    --peers) with_peers=yes ;;
    --stalls) only_stalls=yes ;;
    --target-dir) target="$2" && shift ;;
    --landline) landline="$2" && shift ;;
    --nice) nice_by="$2" && shift ;;
    --only | --repetitions | --seconds | --stalls-on) pass+=("$1" "$2") && shift ;;
    --help) usage && exit 0 ;;
    *) printf 'run.sh: %s: not an option\n' "$1" >&2 && usage >&2 && exit 2 ;;
    esac
    shift
done
mkdir -p out

for tool in cargo make cc taskset setpriv timeout renice; do
    command -v "$tool" >/dev/null || fail "$tool is needed"
done
# Programs of the administrator are not on everybody's path.
export PATH="$PATH:/usr/sbin:/sbin"
[ -z "$with_peers" ] || install_missing

make -s -C base OUT="$PWD/out/base"
cargo build -q --release --locked --manifest-path load/Cargo.toml --target-dir "$target"
given="$landline"
if [ -z "$landline" ]; then
    cargo build -q --release --locked --manifest-path ../Cargo.toml --target-dir "$target"
    landline="$target/release/landline"
fi

work="$(mktemp -d "${TMPDIR:-/tmp}/landline-bench.XXXXXX")"
# What was left by a run that was killed goes too: two do not run at once.
trap 'rm -rf "$work" out/stalls' EXIT
rm -rf out/stalls

# The longest each mode may take, and the time within which repetitions begin; what is left is for
# the stalls, the start and the end.
limit_s=900 budget_s=720
case "$mode${with_peers:+-peers}${only_stalls:+-stalls}" in
smoke*) limit_s=90 budget_s=60 stalls=yes ;;
quick) limit_s=180 budget_s=160 ;;
quick-peers) limit_s=360 budget_s=280 stalls=yes ;;
*) stalls=yes ;;
esac

commit="$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
[ -z "$(git status --porcelain -- ../src ../Cargo.lock 2>/dev/null)" ] || commit+=", changed"
facts=(
    "Date: $(date -u +%Y-%m-%d), commit: $commit${given:+, program given}"
    "Machine: $(nproc) × $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
    "Kernel: $(uname -r), TCP $(cat /proc/sys/net/ipv4/tcp_congestion_control)"
    "Built with: $(cargo --version | cut -d ' ' -f 1,2), $(cc --version | head -n 1)"
    "Load average before: $(cut -d ' ' -f 1-3 /proc/loadavg)"
)
[ -z "$with_peers" ] || facts+=("Packages: $(versions)")

results=
if [ -n "$only_stalls" ]; then
    pass+=(--only nothing)
elif [ "$mode" = full ]; then
    results="$PWD/RESULTS"
elif [ -n "$with_peers" ]; then
    results="$PWD/out/RESULTS-$mode"
fi
[ -z "$results" ] || pass+=(--results "$results.md" --chart-data "$PWD/out/chart.tsv")
[ -z "$with_peers" ] || pass+=(--peers "$PWD/out/peers")
[ -z "$stalls" ] || pass+=(--stalls "$PWD/out/stalls")
for fact in "${facts[@]}"; do
    pass+=(--fact "$fact")
    [ "$mode" = smoke ] || printf -- '- %s\n' "$fact"
done

pin=(taskset -c 1)
[ "$(nproc)" -gt 1 ] || pin=()
[ "$nice_by" -eq 0 ] || pin=(nice -n "-$nice_by" "${pin[@]}")
status=0
timeout -k 5 "$limit_s" "${pin[@]}" "$target/release/landline-load" suite --mode "$mode" \
    --landline "$landline" --base "$PWD/out/base" --work "$work" --budget "$budget_s" \
    "${pass[@]}" || status=$?
if [ "$status" -ne 0 ]; then
    for log in "$work"/*.log; do
        [ ! -s "$log" ] || { printf '== %s\n' "${log##*/}" && tail -n 5 "$log"; } >&2
    done
    exit 1
fi
[ ! -e "$work/raw.jsonl" ] || cp "$work/raw.jsonl" "out/raw-$mode.jsonl"
if [ -n "$results" ] && command -v gnuplot >/dev/null; then
    gnuplot -e "data='out/chart.tsv'; chart='$results.svg'" chart.gp
fi
