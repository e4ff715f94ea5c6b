#!/bin/sh
# Runs the committed corpora through fuzz targets built with replay.c, the corpus of fuzz_NAME
# being tests/fuzz/corpus/NAME. Last line: N passed, N failed (targets)
passed=0 failed=0
for program in "$@"; do
    name=${program##*/fuzz_}
    if out=$("$program" "tests/fuzz/corpus/$name" 2>&1); then
        passed=$((passed + 1))
        printf '%s\n' "$out" | tail -n 1
    else
        failed=$((failed + 1))
        printf '%s\nfuzz_%s: FAILED\n' "$out" "$name"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
