#!/bin/sh
# Runs test programs, as many at a time as there are processors (JOBS), and adds up their
# closing lines; what they print comes in the order of the arguments. One that is not through
# after LIMIT seconds is ended, with its children, and counted as failed.
# Last line: N passed, N failed, N skipped
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/ringside-tests-XXXXXX") || exit 1
export TMPDIR
export LIMIT="${LIMIT:-1200}"
runs=$TMPDIR/.runs
mkdir "$runs" || exit 1

# What still runs is known by its file, which the end of a program removes.
finish() {
    kill "$all" 2>/dev/null
    for pid in "$runs"/*.pid; do [ -e "$pid" ] && kill "$(cat "$pid")" 2>/dev/null; done
    rm -rf "$TMPDIR"
}
all=
trap finish EXIT
trap 'exit 130' INT TERM

# $1: its number, $2: the program. The status appears when the output is whole.
one='out=$TMPDIR/.runs/$1
timeout -k 10 "$LIMIT" "$2" >"$out.out" 2>&1 &
echo $! >"$out.pid"
wait $!
status=$?
[ -d "${out%/*}" ] || exit 255
echo "$status" >"$out.new"
rm -f "$out.pid"
mv "$out.new" "$out.status"'

n=0
for program in "$@"; do
    n=$((n + 1))
    printf '%s\0%s\0' "$n" "$program"
done | xargs -0 -r -n 2 -P "${JOBS:-$(nproc)}" sh -c "$one" sh 2>/dev/null &
all=$!

passed=0 failed=0 skipped=0 n=0
for program in "$@"; do
    n=$((n + 1))
    while [ ! -e "$runs/$n.status" ] && kill -0 "$all" 2>/dev/null; do sleep 0.1; done
    status=$(cat "$runs/$n.status" 2>/dev/null)
    out=$(cat "$runs/$n.out" 2>/dev/null)
    line=$(printf '%s\n' "$out" | tail -n 1)
    numbers=$(printf '%s\n' "$line" |
        sed -n 's/^.*: \([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p')
    if [ "${status:-1}" -gt 1 ] || [ -z "$numbers" ]; then
        why="ended with status ${status:-unknown}${numbers:+ after its summary}"
        [ "$status" = 124 ] && why="was not through after $LIMIT s"
        printf '%s\n%s: %s\n' "$out" "$program" "$why"
        failed=$((failed + 1))
        continue
    fi
    read -r p f s <<END
$numbers
END
    [ "$status" -ne 0 ] && [ "$f" -eq 0 ] && f=1
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    if [ "$f" -gt 0 ] || [ "$s" -gt 0 ]; then printf '%s\n' "$out"; else printf '%s\n' "$line"; fi
done
wait "$all"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
