#!/usr/bin/env bash
# A long run of the real program under all kinds of clients at once, good and bad ones; then
# nothing may be left of them. tests/soak/main.py says what is checked.
#
#   tests/soak.sh [SECONDS]     600 if not given; a warm-up comes before, of a fifth of that
#
# LANDLINE=FILE takes a program that was built already.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v python3 >/dev/null || {
    echo "tests/soak.sh: python3 is needed" >&2
    exit 1
}
if [ -z "${LANDLINE:-}" ]; then
    cargo build --quiet --locked
    export LANDLINE="${CARGO_TARGET_DIR:-target}/debug/landline"
fi
PYTHONDONTWRITEBYTECODE=1 exec python3 tests/soak/main.py "$@"
