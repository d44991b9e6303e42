#!/usr/bin/env bash
# Mutation tests: small faults are put into the server's code, and the tests have to see them.
#
#   tests/mutants.sh [STEP…] [--sample N] [--seed N] [--minutes N] [--only src/server] …
#   tests/mutants.sh report          what was found so far
#
# A sample of what cargo-mutants makes of src/{protocol,transfer,reactor,service,server,sys} is
# built into one copy of the program, behind switches (tests/mutants/switch.py). Steps are
#   build        the copy, in target/mutants, with every test
#   unit         the unit tests, for each mutant
#   simulation   --seeds histories of sim/, for those missed until then, but those of src/sys
#   behaviour    the tests of tests/it that reach a mutant, for those still missed
#   report       totals for each folder, and what was missed
# Without a step, all of them. A stage that was stopped goes on where it was; --again repeats what
# it missed, after new tests and `build`. Remove target/mutants to start anew.
#
# It needs cargo-mutants, python3 with venv, and two packages from PyPI, which it puts into
# target/mutants/python.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

command -v cargo-mutants >/dev/null || {
    echo "tests/mutants.sh: cargo-mutants is missing: cargo install cargo-mutants --locked" >&2
    exit 1
}
python=target/mutants/python
if [ ! -x "$python/bin/python3" ]; then
    python3 -m venv "$python"
    "$python/bin/pip" install -q tree_sitter==0.26.1 tree_sitter_rust==0.24.2
fi
PYTHONDONTWRITEBYTECODE=1 exec nice -n 10 "$python/bin/python3" tests/mutants/main.py "$@"
