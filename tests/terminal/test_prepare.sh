#!/bin/sh
# A recipe that describes its Fisher opens without it; :prepare makes it in the background, and
# the numbers appear.
. "$(dirname "$0")/lib.sh"
tree=$(cd "$(dirname "$0")/../.." && pwd)
cat >"$home/mine.json" <<END
{"ringside": 1, "name": "mine", "models": {"it": {"path": "$tree/recipes/sparring/it"},
 "sea": {"adapter": "$tree/recipes/sparring/lora/sea"}},
 "measures": {"f": {"fisher": "fisher/it.st", "make": {"model": "it", "random": 2, "length": 24}}},
 "stages": [{"name": "fuel", "method": "task_arithmetic", "base": "it", "inputs": [{"from": "sea"}],
  "dampen": {"by": "f"}}]}
END
begin "'$PROGRAM' mine.json"
see "is not there yet"
see ":prepare makes what is missing"
keys -l ":prepare"
keys Enter
see "prepare done: mine"
not_here "is not there yet"
see "  7 F"
see "job 1 ended"
[ -f "$home/fisher/it.st" ] || fail "nothing was written"
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
