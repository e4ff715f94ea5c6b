#!/bin/sh
# Screens without a terminal: every NAME.keys is replayed at the sizes of its "# sizes" line and
# what it prints is compared with NAME.SIZE.txt. GENERATE=1 writes those files instead: read
# the difference like code. Last line: N passed, N failed, N skipped.
here=$(realpath "$(dirname "$0")")
tests=$(dirname "$here")
. "$tests/demo.sh"
passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
program=$(own_demo "$(realpath "${1:-./ringside}")" "$work/bin")
export XDG_STATE_HOME="$work/state" XDG_DATA_HOME="$work/data" XDG_CONFIG_HOME="$work/config" \
    XDG_CACHE_HOME="$work/cache" LC_ALL=C.UTF-8
unset NO_COLOR
for script in "$here"/*.keys; do
    name=$(basename "$script" .keys)
    sizes=$(sed -n 's/^# sizes://p' "$script")
    for size in $sizes; do
        rm -rf "$work/state" "$work/data" "$work/out"
        want="$here/$name.$size.txt" got="$work/$name.$size.txt"
        (cd "$work" && timeout 120 "$program" replay "$script" --size "$size") >"$got" 2>"$work/err"
        status=$?
        if [ "$status" -ne 0 ]; then
            echo "FAILED $name at $size: replay ended with $status"
            cat "$work/err"
            failed=$((failed + 1))
        elif [ -n "$GENERATE" ]; then
            cp "$got" "$want"
            passed=$((passed + 1))
        elif diff -u "$want" "$got"; then
            passed=$((passed + 1))
        else
            echo "FAILED $name at $size"
            failed=$((failed + 1))
        fi
    done
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
