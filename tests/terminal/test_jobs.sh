#!/bin/sh
# A merge in the background; another one that is stopped half-way leaves nothing.
. "$(dirname "$0")/lib.sh"
begin "'$PROGRAM'"
leave_tour
keys M
see "heal adds"
keys y
see "merge done"
[ -f "$home/out/luchador-miniature-v1/model.safetensors" ] || fail "nothing was written"
keys 4
see "[4 Jobs]"
see "100 %"
keys 1
# A job that is held before it begins can be stopped at any point: the process is stopped by
# a signal first, so that it is surely still there.
keys -l ":merge $home/out/second"
keys Enter
see "second"
keys y
job() { pgrep -f "ringside merge .*second"; }
held() { pid=$(job) && kill -STOP $pid; }
ended_already() { screen | grep -qF "job 2 ended" || held; }
until_true ended_already
if [ -n "$(job)" ]; then
    keys -l ":stop 2"
    keys Enter
    see "y/N"
    keys y
    kill -CONT "$(job)" 2>/dev/null
    gone() { [ -z "$(job)" ]; }
    until_true gone
fi
keys 4
see "[4 Jobs]"
[ -e "$home/out/second.partial" ] && fail "a partial folder was left"
keys Q
see "ended with 0"
pass
