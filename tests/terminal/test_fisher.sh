#!/bin/sh
# A Fisher file of the base, made in the background from a text: the heatmap fills with its
# layers while it runs, and the file is added to the recipe.
. "$(dirname "$0")/lib.sh"
i=0
while [ $((i += 1)) -le 60 ]; do
    echo "On night $i the lamp had gone out before the storm came in. Nobody on the island slept; $i of them walked down to the shore with ropes, and the others waited."
done >"$home/t.txt"
begin "'$PROGRAM'"
leave_tour
keys F6
see ":fisher"
keys -l "$home/t.txt n=24 length=128"
keys Enter
see "heat 0/8~"
see "/8~"
until_true eval 'screen | grep -qE "heat [1-7]/8~"' # some layers are there, others not yet
until_true eval 'screen | grep -qE "^.  7 F . · · [^·] "'
see "fisher done" 60
[ -f "$home/out/fisher/it-t.safetensors" ] || fail "nothing was written"
not_here "/8~" # the recipe's own Fisher is shown again
keys 4
see "100 %"
see "8 of 8"
keys Enter
see "is there for dampening"
# What matters for the text on the screen, as heat.
see "now"
keys :
keys -l "fisher-text"
keys Enter
see "fisher done: text of" 60
until_true eval 'screen | grep -qE "gain text~? "'
keys F
see "heat shows style"
keys Q
see "k keep"
keys k
see "ended with 0"
pass
