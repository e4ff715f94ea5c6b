#!/bin/sh
# SIGTERM saves and leaves, and the terminal is as it was; no terminal is a sentence.
. "$(dirname "$0")/lib.sh"
begin "'$PROGRAM'; stty -a | grep -o ' icanon' ; '$PROGRAM' </dev/null"
leave_tour
keys J h
see "luchador-miniature*"
kill -TERM "$(program_pid)"
see "icanon"
see "needs a terminal"
see "ended with 2"
grep -q '"recipe"' "$XDG_STATE_HOME/ringside/session.json" || fail "the session was not saved"
grep -q '0.95' "$XDG_STATE_HOME/ringside/session.json" || fail "the edit was not saved"
pass
