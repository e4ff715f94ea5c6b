#!/bin/sh
# A Fisher file of the base, made in the background from a text, and added to the recipe.
. "$(dirname "$0")/lib.sh"
printf 'The lamp had gone out before the storm came in.\nNobody on the island slept that night.\n' >"$home/t.txt"
begin "'$PROGRAM'"
leave_tour
keys F6
see ":fisher"
keys -l "$home/t.txt n=2 length=24"
keys Enter
see "fisher done"
[ -f "$home/out/fisher/it-t.safetensors" ] || fail "nothing was written"
keys 4
see "100 %"
keys Enter
see "is there for dampening"
keys Q
see "k keep"
keys k
see "ended with 0"
pass
