# checks.sh - what scripts that run the program share; sourced, after $work has been made.
# check counts in $passed and $failed; $work/$answer and $work/err hold what was said.
trap 'rm -rf "$work"' EXIT
export XDG_CACHE_HOME="$work/cache"
passed=0 failed=0 skipped=0
answer=${answer:-out}

# check NAME STATUS PATTERN COMMAND...: the exit status and a pattern in stdout or stderr
check() {
    name=$1 status=$2 pattern=$3
    shift 3
    "$@" >"$work/$answer" 2>"$work/err"
    got=$?
    if [ "$got" -ne "$status" ]; then
        echo "FAILED $name: status $got, expected $status: $(head -c 300 "$work/err")"
        failed=$((failed + 1))
    elif [ -n "$pattern" ] && ! cat "$work/$answer" "$work/err" | grep -qE -- "$pattern"; then
        echo "FAILED $name: no \"$pattern\" in: $(cat "$work/$answer" "$work/err" | head -c 300)"
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi
}
