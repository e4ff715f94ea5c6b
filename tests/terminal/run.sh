#!/bin/sh
# The workbench in a real terminal (tmux): every test beside this file. Last line:
# N passed, N failed, N skipped.
program=${1:-./ringside}
here=$(dirname "$0")
PROGRAM=$(realpath "$program")
export PROGRAM
passed=0 failed=0
if ! command -v tmux >/dev/null || ! command -v pgrep >/dev/null; then
    echo "tmux or pgrep is not installed"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi
for t in "$here"/test_*.sh; do
    if timeout 180 sh "$t"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
