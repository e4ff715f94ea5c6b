#!/bin/sh
# All tests, one after the other, and one closing line: N passed, N failed, N skipped.
make=${MAKE:-make}
jobs=-j$(nproc)
passed=0 failed=0 skipped=0

# Runs a part; its last line that looks like a summary is added up.
part() {
    name=$1
    shift
    echo "== $name"
    log=$(mktemp)
    "$@" >"$log" 2>&1
    status=$?
    cat "$log"
    line=$(grep -E '^([A-Za-z_.-]+: )?[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$' "$log" | tail -n 1)
    rm -f "$log"
    if [ -z "$line" ]; then # a part without tests of its own, such as lint
        if [ "$status" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
        return
    fi
    p=$(echo "$line" | sed 's/^.*: //; s/ passed.*//')
    f=$(echo "$line" | sed 's/.*passed, //; s/ failed.*//')
    s=$(echo "$line" | sed -n 's/.*failed, \([0-9]*\) skipped/\1/p')
    [ "$status" -ne 0 ] && [ "$f" -eq 0 ] && f=1
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + ${s:-0}))
}

part "unit tests" "$make" --no-print-directory test
part "clang without warnings" "$make" --no-print-directory "$jobs" CC=clang WERROR=1 BUILD=build/clang programs
part "layering" "$make" --no-print-directory lint
part "fuzz corpora" "$make" --no-print-directory "$jobs" fuzz-replay
part "verbs" tests/verbs.sh ./ringside
part "recipes that rebuild themselves" tests/prepare.sh ./ringside
part "killed merges" tests/killed.sh ./ringside "$SYNTHETIC"
part "screens" tests/snapshot/run.sh ./ringside
part "terminal" tests/terminal/run.sh ./ringside
part "unit tests, ASan and UBSan" "$make" --no-print-directory "$jobs" SAN=address,undefined test
part "threads, TSan" "$make" --no-print-directory "$jobs" CC=clang SAN=thread test-threads
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
