#!/bin/sh
# A recipe that describes its Fisher opens without it; Enter or :prepare makes it in the
# background, and the numbers appear, on the first start with the tour.
. "$(dirname "$0")/lib.sh"
tree=$(cd "$tests/.." && pwd)
rm "$home/bin/recipes"
mkdir "$home/bin/recipes"
cat >"$home/bin/recipes/luchador-miniature.json" <<END
{"ringside": 1, "name": "mine", "models": {"it": {"path": "$tree/recipes/sparring/it"},
 "sea": {"adapter": "$tree/recipes/sparring/lora/sea"}},
 "measures": {"f": {"fisher": "fisher/it.st", "make": {"model": "it", "random": 2, "length": 24}}},
 "stages": [{"name": "fuel", "method": "task_arithmetic", "base": "it", "inputs": [{"from": "sea"}],
  "dampen": {"by": "f"}}]}
END
begin "'$PROGRAM'"
see "is not there yet"
see "Enter or :prepare makes what is missing"
keys Enter
see "tour 1 of 10"
not_here "is not there yet"
[ -f "$home/bin/recipes/fisher/it.st" ] || fail "nothing was written"
keys Escape
not_here "tour 1 of 10"
see "  7 F"
see "job 1 ended"
keys 4
see "100 %"
see "prepare"
keys 1
keys -l ":prepare"
keys Enter
see "job 2 ended"
keys Q
see "ended with 0"
pass
