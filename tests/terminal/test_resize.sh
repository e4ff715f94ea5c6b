#!/bin/sh
# Resizing: a larger screen shows more, too small a one says so and comes back.
. "$(dirname "$0")/lib.sh"
begin "'$PROGRAM'"
leave_tour
keys J
tm resize-window -x 120 -y 40
see "c_a"
see ">  5 S"
tm resize-window -x 59 -y 15
see "needs 60 columns"
keys h
tm resize-window -x 80 -y 24
see ">  5 S"
see "3.857" # nothing was edited blind
keys Q
see "ended with 0"
pass
