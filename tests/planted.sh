#!/usr/bin/env bash
# Planted bugs that are run: applies each patch of tests/planted to a copy of the project, and
# demands that a test catches it.
#
#     tests/planted.sh                  all of them
#     tests/planted.sh --short [SEED]   ten, chosen at random; the seed is printed
#     tests/planted.sh NAME...          only these; the number of a patch will do
#
# What caught each bug goes into the table of docs/RELIABILITY.md, but for those chosen at random.
# A patch begins with lines that say what the bug is (`Bug: `) and which tests are to catch it if
# the simulation does not (`Unit: `, `Black box: `). The simulation runs first (LANDLINE_SEEDS of
# them, 200 if not said, from LANDLINE_FIRST on), then the unit tests, then the black-box tests; the
# first failure ends it. A test that hangs has a time limit, and the table says so. The simulation
# is left out if it is not built from what the patch changes, or if the patch says that no scene of
# it comes to that (`Not simulated: `).
#
# A bug that no test catches is a failure of this script; so is a patch that does not apply or does
# not compile. Before all that, the project without patches has to pass the same seeds and tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root="$PWD"
page="$root/docs/RELIABILITY.md"
begin='<!-- planted: begin -->'
end='<!-- planted: end -->'

# Time limits for one run of the simulation, and of the tests that a patch names, in seconds.
simulation_s=240
tests_s=120

export LANDLINE_SEEDS="${LANDLINE_SEEDS:-200}" LANDLINE_FIRST="${LANDLINE_FIRST:-0}"
export CARGO_TERM_COLOR=never
# Line tables are enough for a panic message, and link faster.
export CARGO_PROFILE_DEV_DEBUG=line-tables-only CARGO_PROFILE_TEST_DEBUG=line-tables-only
target="${CARGO_TARGET_DIR:-$root/target}"
export CARGO_TARGET_DIR="$target/planted"

# The copy has the same place each time: what was compiled for it once is of use again. One run at a
# time has it.
work="$CARGO_TARGET_DIR/work"
mkdir -p "$work"
exec 9>"$CARGO_TARGET_DIR/lock"
flock 9
trap 'rm -rf "$work"' EXIT
copy="$work/landline"
out="$work/out"

say() { printf '%s\n' "$*" >&2; }

# Tests of both kinds that a patch names, one a line.
named() { sed -n "s/^$1: //p" "${@:2}" | sort -u; }

# The sentence of a patch, which may be wrapped.
bug() { sed -n '/^Bug: /,/^$/{s/^Bug: //p;s/^  //p}' "$1" | paste -sd ' '; }

# All files are as old as the copy: cargo compiles what it finds newer than what it has.
copy_project() {
    rm -rf "$copy"
    mkdir -p "$copy"
    git ls-files -z --cached | while IFS= read -r -d '' file; do
        if [ -e "$file" ]; then printf '%s\0' "$file"; fi
    done | tar --null -T - -cf - | tar -xmf - -C "$copy"
    # Only another test of the simulation needs the program itself, which would be built each time.
    rm -f "$copy/sim/tests/conformance.rs"
    sed -i '/^landline = { path/d' "$copy/sim/Cargo.toml"
}

# Runs a command of at most $1 seconds in the copy; its output is in $out. 0: passed, 1: failed,
# 124: did not end.
bounded() {
    local limit="$1" status=0
    shift
    timeout -k 5 "$limit" "$@" >"$out" 2>&1 </dev/null || status=$?
    case "$status" in
        0 | 124) return "$status" ;;
        137) return 124 ;;
        *) return 1 ;;
    esac
}

build_simulation() {
    (cd "$copy" && cargo test -q --no-run -p landline-sim --test seeds >"$out" 2>&1)
}

run_simulation() {
    (cd "$copy" && bounded "$simulation_s" cargo test -p landline-sim --test seeds -- every_seed)
}

# $1 is `--lib` or `--test it`, as below.
build_tests() {
    # shellcheck disable=SC2086 # two words, of this script's own
    (cd "$copy" && cargo test -q --no-run -p landline $1 >"$out" 2>&1)
}

# Runs tests by their full names: $1 is `--lib` or `--test it`.
run_tests() {
    local where="$1"
    shift
    # shellcheck disable=SC2086 # two words, of this script's own
    (cd "$copy" && bounded "$tests_s" cargo test -p landline $where -- --exact "$@")
}

# How many tests passed or failed.
ran() { grep -cE '^test .* \.\.\. (ok|FAILED)$' "$out" || true; }

# Says which of $2... failed in $out; all that did not end, where it hung.
first_failed() { sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$out" | head -n 1; }

# What the simulation says of its first failure.
why_of_failure() { sed -n '/^LANDLINE_SEED=/{n;p}' "$out" | head -n 1 | cut -c -160; }

seed_of_failure() { grep -o 'LANDLINE_SEED=[0-9]*' "$out" | cut -d = -f 2 | sort -n | head -n 1; }

fail() {
    say "$1"
    [ ! -s "$out" ] || tail -n 30 "$out" >&2
    return 1
}

# Whether the simulation is built from what a patch changes, and its scenes can come to that.
is_simulated() {
    ! grep -q '^Not simulated: ' "$1" || return 1
    local layers='protocol|reactor|server|service|transfer'
    sed -n 's|^+++ b/src/\([a-z]*\)/.*|\1|p' "$1" | grep -qxE "$layers"
}

# Sets `caught` if tests of this kind catch the bug. $1: their kind for the table, $2: where, $3...:
# their names. Fails if they cannot be built or are not there.
try_tests() {
    local kind="$1" where="$2" status=0 name
    shift 2
    [ "$#" -gt 0 ] || return 0
    build_tests "$where" || fail "it does not compile" || return 1
    run_tests "$where" "$@" || status=$?
    name="$(first_failed)"
    case "$status" in
        0) [ "$(ran)" -eq "$#" ] || fail "a test that it names is not there: $*" || return 1 ;;
        1) caught="$kind \`${name:-$1}\`" ;;
        *) caught="$kind \`$*\`, which did not end within $tests_s s" ;;
    esac
}

try_simulation() {
    local status=0 seed
    build_simulation || fail "it does not compile" || return 1
    run_simulation || status=$?
    seed="$(seed_of_failure)" why="$(why_of_failure)"
    case "$status" in
        0) ;;
        1) caught="simulation, ${seed:+seed $seed}" ;;
        *) caught="simulation, which did not end within $simulation_s s" ;;
    esac
    caught="${caught/%, /, which panicked}"
}

# Sets `caught` to what catches the bug of a patch. Fails if the patch is no good.
try_patch() {
    local patch="$1" units boxes
    caught="" why=""
    mapfile -t units < <(named Unit "$patch")
    mapfile -t boxes < <(named 'Black box' "$patch")
    if is_simulated "$patch"; then
        try_simulation || return 1
    fi
    [ -n "$caught" ] || try_tests "unit test" --lib "${units[@]}" || return 1
    [ -n "$caught" ] || try_tests "black-box test" "--test it" "${boxes[@]}" || return 1
    [ -n "$caught" ] || fail "no test catches it"
}

# The same on a copy that has the patch while it is tried.
plant() {
    local patch="$1" status=0
    : >"$out"
    GIT_CEILING_DIRECTORIES="$work" git -C "$copy" apply "$patch" >"$out" 2>&1 ||
        fail "it does not apply" || return 1
    try_patch "$patch" || status=1
    GIT_CEILING_DIRECTORIES="$work" git -C "$copy" apply -R "$patch"
    return "$status"
}

# What is planted below has to be all that fails.
check_unpatched() {
    local units boxes caught=""
    mapfile -t units < <(named Unit "$@")
    mapfile -t boxes < <(named 'Black box' "$@")
    try_simulation && try_tests "unit test" --lib "${units[@]}" &&
        try_tests "black-box test" "--test it" "${boxes[@]}" || return 1
    [ -z "$caught" ] || fail "fails without any planted bug: $caught"
}

# The patches of these names, or numbers.
chosen() {
    local name found
    for name in "$@"; do
        found=("$root/tests/planted/$name"*.patch)
        [ -e "${found[0]}" ] || { say "no patch $name in tests/planted"; return 1; }
        printf '%s\n' "${found[@]}"
    done
}

# Ten lines of standard input, in an order that the seed decides.
ten() {
    local lines index other
    RANDOM="$1"
    mapfile -t lines
    for ((index = ${#lines[@]} - 1; index > 0; index--)); do
        other=$((RANDOM % (index + 1)))
        set -- "${lines[index]}"
        lines[index]="${lines[other]}"
        lines[other]="$1"
    done
    printf '%s\n' "${lines[@]:0:10}"
}

# The rows of the table in $1, with those of $2 in place of older ones, and none of patches that are
# not there any more.
merge_rows() {
    local patch row number
    printf '| | planted bug | caught by |\n| --- | --- | --- |\n'
    for patch in "$root"/tests/planted/*.patch; do
        number="$(basename "$patch" | cut -d - -f 1)"
        row="$(cat "$1" "$2" | grep "^| $number |" | tail -n 1)" || true
        [ -z "$row" ] || printf '%s\n' "$row"
    done
}

# Puts the rows into the page.
write_page() {
    [ -e "$page" ] || printf '# Reliability\n\n## Planted bugs\n\n%s\n%s\n' "$begin" "$end" >"$page"
    grep -qxF "$begin" "$page" || { say "$page has no line $begin"; return 1; }
    sed -n "/^$begin\$/,/^$end\$/p" "$page" >"$work/old"
    merge_rows "$work/old" "$1" >"$work/merged"
    awk -v begin="$begin" -v end="$end" -v table="$work/merged" '
        $0 == end { is_inside = 0 }
        !is_inside { print }
        $0 == begin { is_inside = 1; while ((getline line < table) > 0) print line }
    ' "$page" >"$work/page"
    cat "$work/page" >"$page"
}

main() {
    local patches patch name number text failed=0 is_random="" start table="$work/table" seed why
    case "${1-}" in
        --short)
            is_random=1 seed="${2:-$((RANDOM * 32768 + RANDOM))}"
            say "planted bugs of seed $seed: tests/planted.sh --short $seed"
            export LANDLINE_SEEDS="${LANDLINE_SHORT_SEEDS:-60}"
            mapfile -t patches < <(printf '%s\n' "$root"/tests/planted/*.patch | ten "$seed")
            ;;
        "") patches=("$root"/tests/planted/*.patch) ;;
        *) mapfile -t patches < <(chosen "$@") ;;
    esac
    [ "${#patches[@]}" -gt 0 ] || return 1
    copy_project
    start="$SECONDS"
    check_unpatched "${patches[@]}"
    say "without patches: passed, $((SECONDS - start)) s"
    : >"$table"
    for patch in "${patches[@]}"; do
        name="$(basename "$patch" .patch)" start="$SECONDS"
        number="${name%%-*}" text="$(bug "$patch")"
        if plant "$patch"; then
            say "$name: $caught, $((SECONDS - start)) s"
            [ -z "$why" ] || say "    $why"
        else
            say "$name: FAILED, $((SECONDS - start)) s"
            failed=$((failed + 1)) caught="**nothing**"
        fi
        printf '| %s | %s | %s |\n' "$number" "$text" "$caught" >>"$table"
    done
    merge_rows /dev/null "$table"
    [ -n "$is_random" ] || write_page "$table"
    say "$((${#patches[@]} - failed)) of ${#patches[@]} planted bugs were caught"
    [ "$failed" -eq 0 ]
}

main "$@"
