#!/bin/sh
# SIGKILL to the engine while it is there: said, started again, nothing lost.
. "$(dirname "$0")/lib.sh"
begin "'$PROGRAM'"
leave_tour
see "tok/s  now"
engine=$(child_of_verb engine)
[ -n "$engine" ] || fail "there is no engine"
kill -9 "$engine"
new_engine() { pid=$(child_of_verb engine) && [ -n "$pid" ] && [ "$pid" != "$engine" ]; }
until_true new_engine
keys J h
see "3.800"
see "tok/s  now"
keys u
see "3.857"
keys Q
see "ended with 0"
gone() { [ -z "$(pgrep -f "ringside engine --fd")" ] || ! kill -0 "$pid"; }
until_true gone
pass
