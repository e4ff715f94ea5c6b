#!/bin/sh
# Open, move a slider, watch numbers and text change, save, quit.
. "$(dirname "$0")/lib.sh"
begin "'$PROGRAM'"
leave_tour
keys J
see ">  5 S"
keys '*'
see "gain of layers.5"
keys -l 0.5
see "0.144"
keys Enter
see "1 row changed, fuel 0.0039 -> 0.0034 nat"
see "luchador-miniature*"
see "3.423"
see "tok/s  now"
before=$(screen | tail -n 8 | head -n 5)
keys H H
see "tok/s  now"
changed() { [ "$(screen | tail -n 8 | head -n 5)" != "$before" ]; }
until_true changed
keys u u
see "3.423"
keys W
see "saved as luchador-miniature v2"
not_here "luchador-miniature*"
keys Q
see "ended with 0"
pass
