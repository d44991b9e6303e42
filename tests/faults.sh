#!/usr/bin/env bash
# The real program under fault injection: each system call of a serving landline is made to fail in
# every way its man page names. tests/faults/main.py has the cases; docs/FAULTS.md is their result.
#
#   tests/faults.sh                        all cases, and docs/FAULTS.md anew
#   tests/faults.sh --short                a fixed part, in about a minute
#   tests/faults.sh --job NAME --call NAME only some of them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

missing=()
for program in strace python3; do
    command -v "$program" >/dev/null || missing+=("$program")
done
if [ "${#missing[@]}" -gt 0 ]; then
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

cargo build --quiet --locked
LANDLINE="${CARGO_TARGET_DIR:-target}/debug/landline" PYTHONDONTWRITEBYTECODE=1 \
    exec python3 tests/faults/main.py "$@"
