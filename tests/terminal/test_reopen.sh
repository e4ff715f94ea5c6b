#!/bin/sh
# What was left unsaved is there again at the next start.
. "$(dirname "$0")/lib.sh"
begin "'$PROGRAM'; '$PROGRAM'"
leave_tour
keys -l ":sort layer"
keys Enter
keys J h
see "luchador-miniature*"
see "0.950"
keys Q
see "k keep"
keys k
see "luchador-miniature*"
see ">  5 S"
see "0.950"
keys :
keys C-p
see ":sort layer"
keys Escape
not_here ":sort layer"
keys Q
see "k keep"
keys d
see "ended with 0"
pass
