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
# The demo's merge takes moments: one is tried after the other until a signal holds one
# before it is done. That one is surely there to be stopped.
job() { pgrep -f "ringside merge .*$home/out/held-$n --events"; }
held() { pid=$(job) && kill -STOP "$pid" && [ ! -e "$home/out/held-$n" ]; }
ended_or_held() { held || [ -e "$home/out/held-$n" ]; }
for n in 2 3 4 5 6 7 8 9; do
    keys -l ":merge $home/out/held-$n"
    keys Enter
    see "held-$n"
    keys y
    until_true ended_or_held
    [ -e "$home/out/held-$n" ] || break
    kill -CONT "$(job)" 2>/dev/null
done
[ -e "$home/out/held-$n" ] && fail "no merge could be held"
keys -l ":stop $n"
keys Enter
see "y/N"
keys y
kill -CONT "$(job)"
see "job $n stopped"
[ -z "$(job)" ] || fail "the process goes on"
[ -z "$(ls -d "$home/out/held-$n"* 2>/dev/null)" ] || fail "something was left"
keys 4
see "[4 Jobs]"
keys Q
see "ended with 0"
pass
