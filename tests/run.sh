#!/bin/sh
# Runs test programs and adds up their closing lines. Last line: N passed, N failed, N skipped
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/ringside-tests-XXXXXX") || exit 1
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT INT TERM
passed=0 failed=0 skipped=0
for program in "$@"; do
    out=$("$program" 2>&1)
    status=$?
    line=$(printf '%s\n' "$out" | tail -n 1)
    numbers=$(printf '%s\n' "$line" |
        sed -n 's/^.*: \([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p')
    if [ -z "$numbers" ]; then
        printf '%s\n%s: ended with status %d and no summary\n' "$out" "$program" "$status"
        failed=$((failed + 1))
        continue
    fi
    read -r p f s <<END
$numbers
END
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    if [ "$f" -gt 0 ] || [ "$s" -gt 0 ]; then printf '%s\n' "$out"; else printf '%s\n' "$line"; fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
