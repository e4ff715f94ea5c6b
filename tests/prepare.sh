#!/bin/sh
# Recipes that rebuild themselves: what is missing or stale is made, once, in order, and what
# was stopped goes on to the same bytes. Last line: N passed, N failed, N skipped.
ringside=$(cd "$(dirname "${1:-./ringside}")" && pwd)/$(basename "${1:-./ringside}")
top=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
answer=now
. "$top/tests/checks.sh"
cd "$work" || exit 1

p() {
    n=$1 s=$2 pattern=$3
    shift 3
    check "$n" "$s" "$pattern" "$ringside" prepare "$@"
    cp now out # what later checks look at
}
# recipe FILE OPTIONS-OF-THE-FISHER OPTIONS-OF-THE-SUBSPACE
recipe() {
    cat >"$1" <<END
{"ringside": 1, "models": {"it": {"path": "$top/recipes/sparring/it"}, "pt": {"path": "pt"},
 "sea": {"adapter": "$top/recipes/sparring/lora/sea"},
 "folded": {"adapter": "$top/recipes/sparring/lora/gothic", "on": "it"}},
 "measures": {"instruct": {"fisher": "fisher/it.st", "make": {"model": "it", "data": "chats.jsonl"$2}},
  "space": {"subspace": "space.st", "make": {"from": "pt", "to": "it", $3}},
  "moved": {"subspace": "moved.st", "make": {"from": "it", "to": "folded", "rank": 4, "tensors": "layers.3.mlp"}}},
 "stages": [{"name": "fuel", "method": "task_arithmetic", "base": "it", "inputs": [{"from": "sea"}],
  "dampen": {"by": "instruct"}}]}
END
}
cp -r "$top/recipes/sparring/pt" pt
for i in 1 2 3 4; do
    echo "{\"prompt\":\"Say $i.\",\"response\":\"The lamp of tower $i had gone out before the storm.\"}"
done >chats.jsonl
recipe r.json ', "length": 64' '"rank": 4, "tensors": "layers.3 & attn"'

check 'plan says what makes it' 3 "Fisher .instruct. is not there yet .fisher/it.st.: 'ringside prepare RECIPE'" "$ringside" plan r.json
check 'merge too' 3 'is not there yet' "$ringside" merge r.json --out m
check 'damage too' 3 'is not there yet' "$ringside" damage r.json
p 'a dry run' 0 'fisher +instruct +missing' r.json --dry-run
check 'makes nothing' 1 '' test -e fisher -o -e space.st -o -e "$XDG_CACHE_HOME"
p 'one alone' 0 'subspace +space +made' r.json --only space
check 'is alone' 1 '^0$' grep -c instruct out
check 'and is there' 0 '' test -f space.st -a ! -e fisher
p 'a name misspelt' 3 'did you mean "instruct"' r.json --only instrukt
p 'all' 0 'fisher +instruct +made' r.json --events 1
check 'step by step' 0 '' grep -q '"event":"step".*"unit":"steps".*"what":"fisher instruct: ' out
check 'what was there is fresh' 0 '' grep -qE 'subspace +space +fresh' out
check 'a folded model too' 0 '' grep -qE 'subspace +moved +made' out
check 'nothing is left beside them' 0 '^cache chats.jsonl err fisher moved.st now out pt r.json space.st $' sh -c 'ls | tr "\n" " "'
check 'nor there' 0 '' test "$(ls fisher)" = it.st
check 'plan is content' 0 'instruct +fisher +dampen' "$ringside" plan r.json
cp -r fisher fisher1
stamp() { stat -c '%n %i %Y %Z' fisher/it.st space.st moved.st; }
before=$(stamp)
p 'again' 0 'instruct +fresh' r.json
check 'one line for each' 0 '^3$' grep -c fresh out
check 'and nothing else' 0 '^3$' sh -c 'wc -l <out'
p 'by JSON' 0 '"name":"space","kind":"subspace","path":"./space.st","state":"fresh","why":"","made":false' r.json --json
check 'nothing was touched' 0 '' test "$before" = "$(stamp)"
"$ringside" inspect moved.st >moved.txt
check 'rank of what was folded' 0 'layers.3.mlp.up_proj.U' "$ringside" inspect moved.st --tensors

# names, paths and usual values do not count; the rest does
recipe r.json ', "length": 64, "kind": "sequence"' '"rank": 4, "tensors": "layers.3 & attn"'
sed -i 's/"pt"/"base"/g; s/"path": "pt"/"path": ".\/pt"/; s/"path": "base"/"path": "pt"/' r.json
p 'other names' 0 'instruct +fresh' r.json
check 'of all' 0 '^3$' grep -c fresh out
recipe r.json ', "length": 48' '"rank": 5, "tensors": "layers.3 & attn"'
p 'another length' 0 'instruct +stale .*length 64 -> 48' r.json --dry-run
check 'another rank' 0 '' grep -qE 'space +stale .*rank 4 -> 5' out
p 'are made anew' 0 'instruct +made .*length 64 -> 48' r.json
p 'and fresh' 0 'instruct +fresh' r.json
recipe r.json ', "length": 64' '"rank": 5, "tensors": "layers.3 & attn"'
p 'and back' 0 'instruct +made' r.json
check 'to the same bytes' 0 '' cmp fisher/it.st fisher1/it.st
sed -i 's/storm/gale/' chats.jsonl
p 'other data' 0 'instruct +stale .*data is another' r.json --dry-run
sed -i 's/gale/storm/' chats.jsonl
printf 'x' | dd of=pt/model.safetensors bs=1 seek=5000000 conv=notrunc 2>/dev/null
p 'another model' 0 'space +stale .*from pt is another' r.json --dry-run
check 'touches nothing else' 0 '' grep -qE 'moved +fresh' out
cp "$top/recipes/sparring/pt/model.safetensors" pt/
p 'the same bytes are the same model' 0 'space +fresh' r.json --dry-run

# files of others
cp "$top/recipes/sparring/it/model.safetensors" moved.st
p 'of another maker' 0 'moved +kept +./moved.st +not made by this entry .--force' r.json
cp -p moved.st theirs.st
p 'is not replaced' 0 'moved +kept' r.json
check 'not at all' 0 '' cmp moved.st theirs.st
p 'by force it is' 0 'moved +made' r.json --force --only moved
p 'then it is ours' 0 'moved +fresh' r.json
echo 'no tensors' >moved.st
p 'what is no file of tensors is an error' 3 'subspace "moved": ./moved.st.*--force --only moved makes it anew' r.json
check 'and kept' 0 '' grep -q 'no tensors' moved.st
p 'by force that too' 0 'moved +made' r.json --force --only moved
p 'force makes all' 0 '' r.json --force
check 'the fresh ones too' 0 '^3$' grep -c ' made ' out

cp space.st whole.st
head -c 5000 whole.st >space.st
p 'a product cut short is an error' 3 'subspace "space": ./space.st' r.json
p 'which force mends' 0 'space +made' r.json --force --only space
check 'to the same bytes' 0 '' cmp space.st whole.st

# nothing that the recipe reads is replaced, by force neither
cp -r pt pt2
# taken PATTERN FROM TO: prepare --force of the recipe with one path changed
taken() {
    n=$1 pattern=$2
    sed "s,$3,$4," r.json >taken.json
    p "$n" 3 "$pattern" taken.json --force
}
taken 'a file of a model' 'take the place of the model pt, which the recipe reads' '"space.st"' '"pt/model.safetensors"'
taken 'another of its files' 'take the place of the model pt' '"space.st"' '"pt/config.json"'
ln -s pt/model.safetensors link.st
taken 'by a link' 'take the place of the model pt' '"space.st"' '"link.st"'
taken 'data' 'take the place of the data chats.jsonl' '"space.st"' '"chats.jsonl"'
taken 'the recipe' 'take the place of the recipe taken.json' '"space.st"' '"taken.json"'
check 'the model is as before' 0 '' diff -r pt pt2
rm -rf pt2 link.st taken.json

# models that are folded for the time do not take the place of anybody's folder
rm moved.st
mkdir moved.st.folded moved.st.folded1
echo 'mine' >moved.st.folded/notes.txt
cp moved.st.folded/notes.txt "$top/recipes/sparring/pt/model.safetensors" moved.st.folded1
p 'a folder of somebody else' 3 'moved.st.folded exists and is not what an interrupted run left' r.json
check 'stays' 0 'mine' cat moved.st.folded/notes.txt
rm -rf moved.st.folded
p 'one of another name' 0 'moved +made' r.json
check 'is not even looked at' 0 'mine' cat moved.st.folded1/notes.txt
rm -rf moved.st.folded1
mkdir -p moved.st.folded/1
touch moved.st.folded/.ringside-partial moved.st.folded/1/model.safetensors
p 'what a killed run left' 0 'moved +fresh' r.json
check 'is taken away' 1 '' test -e moved.st.folded

# the same bytes are other data as JSON lines
cp chats.jsonl chats.txt
sed 's,fisher/it.st,text.st,; s,chats.jsonl,chats.txt,' r.json >text.json
p 'as a text' 0 'instruct +made' text.json --only instruct
sed 's,fisher/it.st,text.st,' r.json >text.json
p 'as lines' 0 'instruct +stale .*data is another' text.json --only instruct --dry-run
rm text.st text.json chats.txt

# metadata that nobody vouches for
# st FILE VALUE: a safetensors file with this text as what it was made from
st() {
    head="{\"__metadata__\":{\"ringside.make\":\"$2\"},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"
    n=${#head}
    {
        for i in 0 8 16 24 32 40 48 56; do
            # shellcheck disable=SC2059
            printf "\\$(printf %03o $((n >> i & 255)))"
        done
        printf '%s' "$head"
        printf '\000\000\000\000'
    } >"$1"
}
st moved.st ''
p 'made from nothing' 0 'moved +stale .*another version' r.json --dry-run
st moved.st '{\"made\":\"subspace\",\"version\":1,\"rank\":{\"a\":1}}'
p 'made from an object' 0 'moved +stale .*rank none -> 4' r.json --dry-run
st moved.st '{\"made\":\"subspace\",\"version\":1,\"rank\":4,\"energy\":0,\"exact\":false,\"tensors\":\"\\u001b[31m\\u0007red\"}'
p 'with control characters' 0 'tensors .\[31m.red -> layers.3.mlp' r.json --dry-run
check 'which do not get out' 1 '' grep -q "$(printf '\033')" out
st moved.st '{\"made\":\"subspace\",\"version\":1,\"rank\":1e999}'
p 'with no number' 0 'moved +stale' r.json --dry-run
st moved.st "$(printf '%0200d' 0 | sed 's/0/[/g')"
p 'very deep' 0 'moved +stale .*another version' r.json --dry-run
st moved.st "$(head -c 100000 /dev/zero | tr '\0' 'a')"
p 'very long' 0 'moved +stale .*another version' r.json --dry-run
p 'each is replaced' 0 'moved +made' r.json

# errors before any work
rm -rf fisher space.st
mv chats.jsonl away.jsonl
p 'no data' 3 'fisher "instruct": there is no file chats.jsonl of data' r.json
check 'nothing was begun' 1 '' test -e space.st
p 'of what is not asked for' 0 'space +made' r.json --only space
mv away.jsonl chats.jsonl
p 'data came' 0 'instruct +made' r.json
mv chats.jsonl away.jsonl
p 'data went' 0 'instruct +kept .*there is no file chats.jsonl' r.json
mv away.jsonl chats.jsonl
mv pt gone
rm space.st
p 'no model' 3 'subspace "space": model "pt": there is no file or folder pt' r.json
mv gone pt
echo '{"text":""}' >empty.jsonl
sed 's/chats.jsonl/empty.jsonl/; s/it.st/it2.st/' r.json >empty.json
p 'nothing that counts' 3 'fisher "instruct": empty.jsonl has no sequence|fisher "instruct": ./empty.jsonl has no sequence' empty.json
check 'leaves nothing' 1 '' test -e fisher/it2.st -o -e fisher/it2.st.partial
p 'a recipe without makes' 0 'nothing in this recipe' "$top/tests/golden/demo/naive-0.3.json"
p 'no recipe' 3 'no.json' no.json
p 'seconds below nothing' 2 'not below 0' r.json --checkpoint -1
if [ "$(id -u)" -ne 0 ]; then
    mkdir shut && cp chats.jsonl shut && recipe shut/r.json '' '"rank": 4' && chmod a-w shut
    p 'a folder that cannot be written' 4 'cannot be written: save the recipe' shut/r.json --only instruct
    chmod u+w shut
else
    skipped=$((skipped + 1))
fi

# stopped, and taken up again
# stopped as soon as the Fisher has kept a state; too late is tried again
interrupted() {
    for _ in 1 2 3 4 5; do
        rm -rf fisher moved.st
        "$ringside" prepare r.json --checkpoint 0 >said 2>&1 &
        while [ ! -e fisher/it.st.partial/state ] && kill -0 $! 2>/dev/null; do sleep 0.01; done
        kill -"$1" $! 2>/dev/null
        wait $!
        got=$?
        [ -e fisher/it.st.partial/state ] && [ "$got" -eq "$2" ] && return 0
    done
    return 1
}
p 'whole' 0 '' r.json
check 'stopped' 0 '' interrupted INT 130
check 'says how to go on' 0 '' grep -q 'cancelled at fisher instruct; preparing again goes on' said
check 'nothing has its name' 1 '' test -e fisher/it.st -o -e moved.st
p 'goes on' 0 'instruct +made' r.json --events 1
check 'from where it was' 0 '' grep -qE 'instruct +made .* resumed' out
check 'to the same bytes' 0 '' cmp fisher/it.st fisher1/it.st
check 'and leaves nothing' 0 '' test "$(ls fisher)" = it.st
check 'stopped again' 0 '' interrupted INT 130
cp fisher/it.st.partial/state kept.state
# full COMMAND...: as on a disk on which nothing more can be written behind the first 100 kB
full() {
    (
        trap '' XFSZ
        ulimit -f 100
        "$@"
    )
}
check 'on a full disk' 4 'File too large' full "$ringside" prepare r.json
cp err full.err # check writes err anew
check 'the state is kept' 0 '' cmp kept.state fisher/it.st.partial/state
check 'nor is it begun again' 1 '' grep -q 'begins again' full.err
p 'room came' 0 'instruct +made .* resumed' r.json
check 'to the same bytes then' 0 '' cmp fisher/it.st fisher1/it.st
check 'killed' 0 '' interrupted KILL 137
recipe r.json ', "length": 48' '"rank": 5, "tensors": "layers.3 & attn"'
p 'what is left of other work' 0 'begins again' r.json
check 'is of no use' 0 '' grep -qE 'instruct +made' out
check 'nor said to be' 1 '' grep -q resumed out
recipe r.json ', "length": 64' '"rank": 5, "tensors": "layers.3 & attn"'
check 'killed again' 0 '' interrupted KILL 137
printf 'damaged!' | dd of=fisher/it.st.partial/state bs=1 seek=2000 conv=notrunc 2>/dev/null
p 'a damaged state' 0 'begins again' r.json
check 'and for the third time' 0 '' interrupted KILL 137
head -c 3000 fisher/it.st.partial/state >short && mv short fisher/it.st.partial/state
p 'a state cut short' 0 'begins again' r.json
check 'all the same' 0 '' cmp fisher/it.st fisher1/it.st

# a subspace weighed by a Fisher: made after it, and anew with it
sed 's/"rank": 5/"rank": 5, "weight": "instruct"/' r.json >w.json
p 'weighed' 0 'space +stale .*weight is another|space +stale .*weight instruct is another' w.json --dry-run
p 'by the Fisher' 0 'space +made' w.json --only space
check 'which comes first' 0 'fisher' head -n 1 out
p 'then fresh' 0 'space +fresh' w.json
sed -i 's/"length": 64/"length": 32/' w.json
p 'another Fisher' 0 'space +stale .*instruct is made anew' w.json --dry-run

# adapters: trained out of the way of a subspace, which is made first
rm -rf fisher
for i in $(seq 40); do echo "The keeper of tower $i wrote that the sea was loud, and that nobody slept."; done >sea.txt
for i in $(seq 40); do echo "Once there was a miller who had $i geese and one grey cat that could count."; done >folk.txt
# style FILE OPTIONS
style() {
    cat >"$1" <<END
{"ringside": 1, "models": {"it": {"path": "$top/recipes/sparring/it"}, "pt": {"path": "pt"},
 "style": {"adapter": "adapters/style", "on": "it", "make": {"model": "pt", "subspace": "space",
  "corpora": [{"data": "sea.txt", "weight": 2}, "folk.txt"], "layers": "3", "targets": "q_proj,v_proj",
  "steps": 6, "batch": 2, "length": 24, "rank": 4, "validation": 0.1$2}}},
 "measures": {"space": {"subspace": "space.st", "make": {"from": "pt", "to": "it", "rank": 3, "tensors": "layers.3 & attn"}}},
 "stages": [{"name": "heal", "method": "slerp", "t": 0.2, "inputs": [{"from": "it"}, {"from": "style"}]}]}
END
}
style s.json ''
check 'plan misses the adapter' 3 "adapter .style. is not there yet .adapters/style.: 'ringside prepare RECIPE'" "$ringside" plan s.json
p 'an adapter alone' 0 'adapter +style +made' s.json --only style
check 'with what it needs, first' 0 '^subspace' head -n 1 out
check 'is planned' 0 'style +adapter' "$ringside" plan s.json
check 'is protected' 0 'protected subspace .*strength 1' cat adapters/style/README.md
cat >on.json <<END
{"ringside": 1, "models": {"it": {"path": "$top/recipes/sparring/it"},
 "folded": {"adapter": "$top/recipes/sparring/lora/gothic", "on": "it"},
 "next": {"adapter": "adapters/next", "on": "it", "make": {"model": "folded", "corpora": ["sea.txt"], "layers": "3",
  "steps": 1, "batch": 1, "length": 24, "rank": 2}}},
 "stages": [{"name": "heal", "method": "slerp", "t": 0.2, "inputs": [{"from": "it"}, {"from": "next"}]}]}
END
p 'an adapter on what is folded' 0 'adapter +next +made' on.json --only next
check 'is one of the model below' 0 '"base_model_name_or_path": "it"' cat adapters/next/adapter_config.json
rm -r adapters/next on.json
p 'an adapter again' 0 'style +fresh' s.json
cp -r adapters/style first
p 'in force' 0 'style +made' s.json --force --only style
check 'to the same factors' 0 '' cmp first/adapter_model.safetensors adapters/style/adapter_model.safetensors
style s.json ', "lr": 1e-3'
p 'another rate' 0 'style +stale .*lr 0.0002 -> 0.001' s.json --dry-run
style s.json ''
sed -i 's/"weight": 2/"weight": 3/' s.json
p 'another weight' 0 'style +stale .*corpora are others' s.json --dry-run
style s.json ''
sed -i 's/"rank": 3/"rank": 2/' s.json
p 'another subspace' 0 'space +stale .*rank 3 -> 2' s.json --dry-run
check 'is followed' 0 '' grep -qE 'style +stale .*space is made anew' out
p 'and both are made' 0 'space +made' s.json
check 'the adapter too' 0 '' grep -qE 'style +made .*subspace space is another' out
# touched alone, the subspace has the same bytes, and what follows from it stays
rm space.st
p 'the subspace alone' 0 'space +made' s.json
check 'comes out the same' 0 '' grep -qE 'style +fresh' out
style s.json ', "steps": 100'
sed -i 's/"steps": 6, //' s.json
stopped() {
    for _ in 1 2 3 4 5; do
        rm -rf adapters
        "$ringside" prepare s.json --only style --checkpoint 0 >said 2>&1 &
        while [ ! -e adapters/style.training/state ] && kill -0 $! 2>/dev/null; do sleep 0.01; done
        kill -"$1" $! 2>/dev/null
        wait $!
        [ $? -eq "$2" ] && [ -e adapters/style.training/state ] && return 0
    done
    return 1
}
p 'a longer one' 0 'style +made' s.json
rm -rf first && cp -r adapters/style first
check 'a stopped training' 0 '' stopped INT 130
check 'has no adapter' 1 '' test -e adapters/style
p 'goes on too' 0 'style +made .*resumed' s.json
check 'to the same bytes too' 0 '' cmp first/adapter_model.safetensors adapters/style/adapter_model.safetensors
check 'a killed training' 0 '' stopped KILL 137
p 'goes on as well' 0 'style +made .*resumed' s.json
check 'and is the same' 0 '' cmp first/adapter_model.safetensors adapters/style/adapter_model.safetensors
check 'nothing beside it' 0 '^style$' ls adapters
check 'of it all, a merge' 0 '' "$ringside" merge s.json --out merged -q
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
