#!/usr/bin/env bash
# Whether the tests of the promise bite: the program is broken on purpose, one way after another, and each time the test
# that is named here has to fail; unbroken, it has to pass.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --locked --quiet --no-run --test evidence --test it

bites=0 misses=0
bite() { # what is broken, test file, test
    local log
    log=$(mktemp)
    # A test that is skipped passes, and counts as one that did not bite.
    if SMPPOST_BROKEN="$1" SMPPOST_KILLS=20 cargo test --locked --quiet --test "$2" "$3" \
        >"$log" 2>&1; then
        echo "MISSED  $1: $2 $3 passes"
        misses=$((misses + 1))
    else
        echo "caught  $1: $2 $3"
        grep -m1 -A1 "panicked at" "$log" | tail -n1 | cut -c1-150 | sed 's/^/          /'
        bites=$((bites + 1))
    fi
    if ! cargo test --locked --quiet --test "$2" "$3" >"$log" 2>&1; then
        echo "MISSED  $2 $3 fails unbroken too:"
        tail -n 20 "$log"
        misses=$((misses + 1))
    fi
    rm -f "$log"
}

bite send-before-commit evidence order::nothing_is_written
bite sync-normal evidence order::nothing_is_written
bite answer-before-commit evidence order::nothing_is_written
bite resend-doubt evidence kills::f46
bite drop-late-answer it session_faults::f27_a_late_answer
bite no-lock evidence recovery::f44
bite no-notes evidence recovery::f46_what_was_answered
bite no-reserve evidence disk::f40

echo "$bites caught, $misses missed"
[ "$misses" -eq 0 ]
