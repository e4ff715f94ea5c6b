#!/bin/sh
# Two recipes side by side.
. "$(dirname "$0")/lib.sh"
begin "'$PROGRAM'"
leave_tour
keys -l ":versus naive-0.3"
keys Enter
see "[2 Duel]"
see "first difference" 60
see "naive-0.3"
keys r
see "first difference" 60
keys 1
see "[1 Ring]"
keys Q
see "ended with 0"
pass
