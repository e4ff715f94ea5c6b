#!/bin/sh
# The verbs as a user runs them: output, exit statuses, one-sentence errors.
# Last line: N passed, N failed, N skipped.
ringside=${1:-./ringside}
it=recipes/sparring/it
demo=tests/golden/demo/luchador-miniature.json
work=$(mktemp -d)
. "$(dirname "$0")/checks.sh"

r() {
    n=$1 s=$2 p=$3
    shift 3
    check "$n" "$s" "$p" "$ringside" "$@"
}

r version 0 '^ringside [0-9]' --version
r help 0 '  merge  ' help
r 'help of a verb' 0 'usage: ringside merge' merge --help
r 'help for a verb' 0 'usage: ringside merge' help merge
r 'unknown option' 2 'unknown option --frob' merge --frob
r 'missing value' 2 'needs a value' merge x.json --out
r 'missing file' 3 'no.json' plan no.json
r 'bad size' 2 'not a value for --memory' plan $demo --memory lots
r 'bad threads' 2 'not from 1 to' plan $demo --threads -3

r inspect 0 'gemma4_text' inspect $it
r 'inspect tensors' 0 'layers.3.self_attn.q_proj' inspect $it --tensors
r 'inspect json' 0 '"layers":8|"n_layers":8|"layers": 8' inspect $it --json
r 'inspect adapter' 0 'rank' inspect recipes/sparring/lora/gothic
r 'inspect fisher' 0 'bf16' inspect tests/golden/demo/sparring/fisher/it-instruct.safetensors

printf '{"text":"Hello, lighthouse."}\n' >"$work/t.jsonl"
r tokenize 0 '"ids":\[2,' tokenize --model $it --jsonl "$work/t.jsonl"
"$ringside" tokenize --model $it --jsonl "$work/t.jsonl" >"$work/ids.jsonl" 2>/dev/null
r detokenize 0 'Hello, lighthouse' detokenize --model $it --jsonl "$work/ids.jsonl" --skip-special
printf '{"prompt":"Write two sentences about a dog."}\n' >"$work/p.jsonl"
r generate 0 '"stop":"(eos|length)"' generate --model $it --jsonl "$work/p.jsonl" --temp 0 --max-tokens 40 --json
r 'generate from a recipe' 0 '"stop"' generate --model $demo --jsonl "$work/p.jsonl" --temp 0 --max-tokens 20 --json
r 'bad json line' 3 'line 1' generate --model $it --jsonl recipes/demo.sh --temp 0
r logits 0 '' logits --model $it --ids 2,9,4 --out "$work/l.safetensors" --hidden
r 'logits exist' 3 'exists' logits --model $it --ids 2,9,4 --out "$work/l.safetensors"
r 'bad id' 3 'outside the vocabulary of 4096' logits --model $it --ids 2,9999 --out "$work/m.safetensors"
r perplexity 0 '"ppl":' perplexity --model $it --file README.md --window 256 --json
r kl 0 '"kl":' kl --a $it --b $demo --file README.md --window 256 --json
cp -r $it "$work/renamed"
sed -i 's/<unk>/<odd>/g' "$work/renamed/tokenizer.json"
r 'kl of a renamed piece' 0 'warning: 1 of 4096 pieces differ .*token 3 first: "<unk>" and "<odd>"' kl --a $it --b "$work/renamed" --file README.md --window 256
r 'kl of a renamed piece, quietly' 0 '"kl":' kl --a $it --b "$work/renamed" --file README.md --window 256 --json -q
sed -i 's/"vocab": {/\n&/' "$work/renamed/tokenizer.json"
sed -i '2s/w/ŵ/g' "$work/renamed/tokenizer.json"
r 'kl of another vocabulary' 3 'of 4096 pieces differ .*no common distribution' kl --a $it --b "$work/renamed" --file README.md --window 256
r compare 0 'tokens|words' compare --a $it --b tests/golden/demo/naive-0.3.json --prompt 'Name a dog.' --max-tokens 20

r plan 0 '52 change' plan $demo
sed 's#it-instruct.safetensors#gone.safetensors#; s/"kind": "ewc"/"kind": "none"/' $demo >tests/golden/demo/gone.test.json
r 'damage without the Fisher' 0 'unknown: Fisher .*gone.safetensors' damage tests/golden/demo/gone.test.json
rm -f tests/golden/demo/gone.test.json
r 'plan json' 0 '"changed":' plan $demo --json
r damage 0 'style kept' damage $demo
r 'damage, histogram' 0 'cut +F .*lie there or above +.mean, d 0.250 there' damage $demo --histogram layers.5.q_proj
r 'damage, histogram for programs' 0 '^.\"tensors\":.*\"cut\":.\"by\":\"mean\",\"at\":' damage $demo --histogram 'layers.3 & mlp' --json
r 'a histogram of nothing' 3 'takes no tensor that the Fisher holds' damage $demo --histogram layers.40
r 'a histogram of a bad selector' 3 'q_prog' damage $demo --histogram q_prog
r merge 0 'hash [0-9a-f]{32}' merge $demo --out "$work/merged"
r 'merge exists' 3 'exists' merge $demo --out "$work/merged"
r 'merge force' 0 'hash' merge $demo --out "$work/merged" --force
r 'merged again' 0 '"name": "luchador-miniature"' recipe show "$work/merged"
r 'merged runs' 0 '"stop"' generate --model "$work/merged" --jsonl "$work/p.jsonl" --temp 0 --max-tokens 20 --json
r 'recipe show' 0 '"ringside": 1' recipe show $demo
r 'recipe resolved' 0 '"shared":' recipe show $demo --resolved --json
r 'recipe check' 0 'fit together' recipe check $demo
r 'recipe diff' 1 'lambda' recipe diff $demo tests/golden/demo/luchador-ewc10.json
r 'recipe same' 0 '' recipe diff $demo $demo
sed 's/"scale": 0.3/"scael": 0.3/' $demo >tests/golden/demo/typo.test.json
r 'unknown key' 3 'scael.*scale' recipe check tests/golden/demo/typo.test.json
rm -f tests/golden/demo/typo.test.json
r keys 0 'gain' keys
r manual 0 '.Sh VERBS' manual

# names out of a recipe cannot speak to the terminal
sed 's/"name": "naive-0.3"/"name": "a\\u001b]0;x\\u0007\\u009b2Jz"/; s#"sparring/#"'"$PWD"'/tests/golden/demo/sparring/#' tests/golden/demo/naive-0.3.json >"$work/esc.json"
r 'plan of an odd name' 0 '^a.\]0;x' plan "$work/esc.json"
cat "$work/out" "$work/err" >"$work/shown" # check overwrites them
check 'no escape reaches the terminal' 1 '' env LC_ALL=C grep -aqP '\x1b|\xc2\x9b|\x07' "$work/shown"
check 'an escape would be found' 0 '' sh -c "printf '\\302\\233' | LC_ALL=C grep -aqP '\x1b|\xc2\x9b|\x07'"

# preview equals merge: the model in memory gives the very logits of the written one
"$ringside" logits --model $demo --ids 2,9,4,77,300 --out "$work/a.safetensors" -q
"$ringside" logits --model "$work/merged" --ids 2,9,4,77,300 --out "$work/b.safetensors" -q
check 'preview equals merge' 0 '' cmp "$work/a.safetensors" "$work/b.safetensors"

# progress as events
mkdir "$work/deeper"
"$ringside" merge $demo --out "$work/deeper/ev" -q --events 9 9>"$work/events"
check 'the same bytes in another folder' 0 '' cmp "$work/merged/model.safetensors" "$work/deeper/ev/model.safetensors"
check 'events' 0 '"event":"done"' cat "$work/events"

# GGUF: the merge straight into the file is the exported folder; what stands there is refused
r 'export a recipe' 0 '136 tensors as q8_0' export $demo "$work/direct.gguf" --type q8_0 --name m
r export 0 '136 tensors as q8_0' export "$work/merged" "$work/after.gguf" --type q8_0 --name m
hash=$(sed -n 's/^hash //p' "$work/out")
r 'whose hash is told' 0 "$hash" export "$work/merged" "$work/hashed.gguf" --type q8_0 --json
r 'another has another' 0 'hash' export "$work/merged" "$work/hashed.gguf" --type bf16 --force
check 'indeed' 1 '' test "$(sed -n 's/^hash //p' "$work/out")" = "$hash"
check 'a merge needs no folder to be exported' 0 '' cmp "$work/direct.gguf" "$work/after.gguf"
r 'export of a stage' 0 '"type":"bf16"' export "$demo:fuel" "$work/stage.gguf" --json
r 'exported runs' 0 '"stop"' generate --model "$work/direct.gguf" --jsonl "$work/p.jsonl" --temp 0 --max-tokens 20 --json
r 'export exists' 3 'exists.*--force' export $it "$work/direct.gguf"
r 'export force' 0 'as q4_0' export $it "$work/direct.gguf" --type q4_0 --force --threads 1
r 'export says what stays wide' 0 'no multiple of 32' export $it "$work/again.gguf" --type q4_0
"$ringside" export $it "$work/five.gguf" --type q4_0 --threads 5 -q 2>/dev/null
check 'export by any threads' 0 '' cmp "$work/direct.gguf" "$work/five.gguf"
whole=$(realpath "$ringside")
(cd $it && "$whole" export . "$work/dot.gguf" -q 2>/dev/null)
check 'a folder named . has its name' 0 '' sh -c "head -c 400 '$work/dot.gguf' | LC_ALL=C grep -aq 'general.name.*$(basename "$it")'"
r 'bad type' 2 'bf16, f16, f32, q8_0 or q4_0' export $it "$work/x.gguf" --type q6_k
cp README.md "$work/diary.gguf"
r 'export over a diary' 3 'is no GGUF' export $it "$work/diary.gguf" --force
r 'export of nothing' 3 'no-model' export no-model "$work/x.gguf"
mkdir "$work/odd"
cp $it/model.safetensors $it/tokenizer.json "$work/odd"
sed 's/"num_hidden_layers": 8/"num_hidden_layers": 9/; s/"full_attention"$/"full_attention", "full_attention"/' $it/config.json >"$work/odd/config.json"
r 'export of a model with a hole' 3 'layer 8 has 1 K/V heads of 48' export "$work/odd" "$work/x.gguf"
"$ringside" export $it "$work/lines.gguf" -q --events 9 9>"$work/events" 2>/dev/null
check 'export events' 0 '"event":"done".*"tensors":136' cat "$work/events"
check 'nothing of refused exports' 1 '' test -e "$work/x.gguf" -o -e "$work/x.gguf.partial"

# a full disk is exit 4 and leaves nothing under the name (needs a small file system: root)
mkdir "$work/small"
if mount -t tmpfs -o size=3m tmpfs "$work/small" 2>/dev/null; then
    r 'full disk' 4 'free|space' merge $demo --out "$work/small/merged" -q
    check 'full disk leaves nothing' 1 '' test -e "$work/small/merged"
    r 'full disk for a GGUF' 4 'free|space' export $it "$work/small/x.gguf" -q
    check 'full disk leaves no GGUF' 1 '' test -e "$work/small/x.gguf" -o -e "$work/small/x.gguf.partial"
    umount "$work/small"
else
    echo "skipped: a full disk (no right to mount)"
    skipped=$((skipped + 1))
fi
# gradients and Fisher; an interrupted Fisher goes on to the same bytes
echo '{"text":"The lighthouse keeper opened the log."}' >"$work/t.jsonl"
r 'gradients' 0 '"loss":.*"tokens":10' grad --model $it --jsonl "$work/t.jsonl" --out "$work/g" --json
r 'gradients again' 3 '--force' grad --model $it --ids 2,9,4 --out "$work/g"
r 'no data for gradients' 2 'usage' grad --model $it --out "$work/g2"
fisher="fisher --model $it --data README.md --length 96 --sequences 6 -q --out"
r 'a Fisher' 0 '' $fisher "$work/one.f"
r 'it is one' 0 'what +fisher' inspect "$work/one.f"
r 'Fisher again' 3 '--force' $fisher "$work/one.f"
r 'Fisher by any threads' 0 '' $fisher "$work/two.f" --threads 5 --memory 300M
r 'Fisher, cheap' 0 '' $fisher "$work/three.f" --kind position --labels model --seed 7 --dtype bfloat16
r 'Fisher of random tokens' 0 '"tokens":62,.*"peak_bytes":[1-9][0-9]{6,},' fisher --model $it --random 2 --length 32 --out "$work/r.f" --tensors 'layers.3 & mlp' --json
# a training: protected, stopped and gone on with, whatever the threads
train="train --model $it --corpus README.md:2 --corpus $work/t.jsonl --length 48 --batch 2 --steps 6 --rank 4 --lr 0.002 --seed 3 -q"
r 'a subspace' 0 '' subspace --from recipes/sparring/pt --to $it --rank 4 --out "$work/space" -q
r 'a training' 0 '' $train --subspace "$work/space" --out "$work/a1"
r 'is an adapter' 0 'rank' inspect "$work/a1"
r 'training again' 3 '--force' $train --subspace "$work/space" --out "$work/a1"
r 'training by one thread' 0 '"leak_out":[0-9.]+e-1[4-9]' $train --subspace "$work/space" --out "$work/a2" --threads 1 --json
check 'to the same bytes' 0 '' cmp "$work/a1/adapter_model.safetensors" "$work/a2/adapter_model.safetensors"
r 'from an adapter' 0 '"losses":\[.*"grad_norms":\[.*"leak":\[' train --model $it --jsonl "$work/t.jsonl" --order file --batch 1 --steps 1 --init "$work/a1" --layers 1,3 --out "$work/a3" --json
r 'not enough lines' 3 '2 steps of 1 sequences in the order of the file: .*t.jsonl has 1' train --model $it --jsonl "$work/t.jsonl" --order file --batch 1 --steps 2 --out "$work/a4"
r 'unknown targets' 3 '--targets: .*q_prj' $train --targets q_prj --out "$work/a4"
r 'layers that are not there' 3 'layers are 0 to 7' $train --layers 6-9 --out "$work/a4"
r 'too large a rank' 3 'self_attn.k_proj.weight is 48 x 192: a rank of 49 is not from 1 to 48' $train --rank 49 --out "$work/a4"
r 'no corpus' 3 'nothing.txt' train --model $it --corpus "$work/nothing.txt" --out "$work/a4"
r 'both kinds of data' 2 'either --corpus F' train --model $it --corpus README.md --jsonl "$work/t.jsonl" --out "$work/a4"
echo '{"messages":[{"role":"user","content":"Nobody answers."}]}' >"$work/silent.jsonl"
r 'no response' 3 'silent.jsonl has no sequence in which something counts' train --model $it --corpus "$work/silent.jsonl" --out "$work/a4"
echo '{"ids":[2,5,9,7]}' >"$work/ids.jsonl"
echo '{"ids":[2,5,99999,7]}' >"$work/far.jsonl"
r 'a token that is not there' 3 'far.jsonl, line 1, byte 17: an id is 99999' train --model $it --corpus "$work/far.jsonl" --out "$work/a4"
r 'a whole subspace' 0 '' subspace --from recipes/sparring/pt --to $it --rank 9999 --tensors v_proj --out "$work/whole" -q
r 'nothing left to train' 3 'protects every direction' $train --subspace "$work/whole" --targets v_proj --out "$work/a4"
r "another model's subspace" 3 'is of the models' train --model tests/golden/models/gemma3 --jsonl "$work/ids.jsonl" --rank 4 --subspace "$work/space" --out "$work/a4"
r 'a rate that is too much' 3 'the (loss|gradients) of step [0-9]+ (is|are) not' $train --lr 1e30 --clip 0 --out "$work/a4"
r 'a rank of nothing' 2 '--rank is 1 to 4096, not 0' $train --rank 0 --out "$work/a4"
r 'an alpha without end' 2 '--alpha inf is not a number' $train --alpha inf --out "$work/a4"
r 'another side' 2 '--side is both, in or out, not left' $train --subspace "$work/space" --side left --out "$work/a4"
r 'a side of nothing' 2 '--side is of the directions of a --subspace' $train --side in --out "$work/a4"
r 'no projection of nothing' 2 '--project is of the directions' $train --project none --out "$work/a4"
r 'nor its strength' 2 '--strength is of the directions' $train --strength 0.5 --out "$work/a4"
r 'times of no validation' 2 '--valid-every is of a --validation' $train --valid-every 3 --out "$work/a4"
r "another's alpha" 3 '--alpha 3, but .*a1 has alpha 8' $train --init "$work/a1" --alpha 3 --out "$work/a4"
r "another's scale" 3 '--rslora, but .*a1 is scaled by alpha / rank' $train --init "$work/a1" --rslora --out "$work/a4"
r "one's own alpha" 0 '' $train --init "$work/a1" --alpha 8 --steps 1 --out "$work/a5"
r 'a training in too little memory' 4 'of weights, and sequences of 48 tokens with factors of rank 4 need [0-9]+ MB, 67 MB may be used' $train --memory 67M --out "$work/a4"
check 'leaves nothing' 1 '' test -e "$work/a4" -o -e "$work/a4.partial" -o -e "$work/a4.training"
check 'the base by its own name' 0 '"base_model_name_or_path": "it"' grep base_model "$work/a1/adapter_config.json"
mkdir "$work/inputs" && cp -r $it "$work/inputs/it" && cp "$work/t.jsonl" "$work/inputs" && cp "$work/space" "$work/inputs/space" && cp -r "$work/a1" "$work/inputs/a1"
for what in "--model $work/inputs/it --corpus README.md" "--model $it --corpus $work/inputs/t.jsonl" "--model $it --corpus README.md --subspace $work/inputs/space" "--model $it --corpus README.md --init $work/inputs/a1"; do
    r 'what it is made from stays' 3 'inputs/[a-z0-9./]+ would be replaced by what is made from it' train $what --steps 1 --length 32 --force --out "$work/inputs"
done
r 'the model stays' 3 'would be replaced' train --model "$work/inputs/it" --corpus README.md --steps 1 --force --out "$work/inputs/it"
check 'all of it' 0 '' cmp $it/model.safetensors "$work/inputs/it/model.safetensors"
# a validation: whole sequences at the end, with at least the share of what counts
head -c 4000 README.md >"$work/small.txt"
r 'a share for validation' 0 '' train --model $it --corpus "$work/small.txt" --length 64 --validation 0.1 --steps 1 --batch 1 --out "$work/a6" -q --events 3 3>"$work/told"
check 'as many tokens' 0 '' awk -F'"tokens":' '/"valid"/ { n++; split($2, v, /[,}]/); if (v[1] < 200 || v[1] > 63 * 8) bad = 1 } END { exit bad || n < 1 }' "$work/told"
# gone on with: not after another word in config.json, but from a folder of another name
cp -r $it "$work/other"
train2="train --corpus README.md --length 48 --batch 2 --steps 400 --rank 4 --checkpoint 0 -q --out $work/a7"
for _ in 1 2 3 4 5; do
    rm -rf "$work/a7" "$work/a7.training" "$work/a7.partial"
    $ringside $train2 --model "$work/other" &
    while [ ! -e "$work/a7.training/state" ] && kill -0 $! 2>/dev/null; do sleep 0.01; done
    kill -INT $! 2>/dev/null
    wait $!
    [ -e "$work/a7.training/state" ] && break
done
sed 's/"rms_norm_eps": *[^,]*/"rms_norm_eps": 0.001/' "$work/other/config.json" >"$work/changed.json"
cp "$work/other/config.json" "$work/kept.json"
cp "$work/changed.json" "$work/other/config.json"
check 'the word is another' 1 '' cmp -s "$work/changed.json" "$work/kept.json"
r 'not with another configuration' 3 'is of other work' $train2 --model "$work/other" --resume
cp "$work/kept.json" "$work/other/config.json"
cp README.md "$work/README.md"
sed_train=$(echo "$train2" | sed "s|README.md|$work/README.md|")
r 'but with a corpus spelled otherwise' 0 '"resumed_at":[0-9]+' $sed_train --model "$work/other" --resume --json
# bytes do not follow the budget
echo '{"ids":[2'"$(awk 'BEGIN { for (i = 0; i < 150; i++) printf ",%d", 3 + i * 31 % 2000 }')"']}' >"$work/long.jsonl"
r 'gradients' 0 '' grad --model $it --jsonl "$work/long.jsonl" --out "$work/g1" --memory 1G
r 'gradients in little memory' 0 '' grad --model $it --jsonl "$work/long.jsonl" --out "$work/g2" --memory 1M
check 'to the same bytes' 0 '' cmp "$work/g1" "$work/g2"
r 'random tokens by their own seed' 0 '"sequences":2,"tokens":62' fisher --model $it --random-tokens 9 --sequences 2 --length 32 --seed 9 --out "$work/r9.f" --tensors 'layers.3 & mlp' --json
r 'random tokens by the common seed' 0 '' fisher --model $it --random 2 --length 32 --seed 9 --out "$work/r9b.f" --tensors 'layers.3 & mlp' -q
check 'the same tokens' 0 '' cmp "$work/r9.f" "$work/r9b.f"
r 'Fisher of a recipe' 3 'is a recipe: merge it first' fisher --model recipes/naive-0.3.json --random 2 --out "$work/x.f"
r 'training on a recipe' 3 'is a recipe: merge it first' train --model recipes/naive-0.3.json --corpus README.md --steps 1 --out "$work/x.a"
r 'no data' 2 'one of --data F, --jsonl F and --random N' fisher --model $it --out "$work/x.f"
r 'nothing selected' 3 'none of the model' fisher --model $it --random 2 --out "$work/x.f" --tensors '"nobody"'
r 'too little memory' 4 '--memory' fisher --model $it --random 2 --out "$work/x.f" --memory 1M
# contrast: a mask of two prompts and two models; stopped in any run, it goes on to the same bytes
echo 'You speak like a pirate.' >"$work/plus"
echo 'You are brief.' >"$work/minus"
printf '{"prompt":"Name a dog.","response":"Rex is a good dog."}\n{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"What is the sea?"},{"role":"assistant","content":"Water."}]}\n' >"$work/talk.jsonl"
contrast="fisher --model $it --other recipes/sparring/pt --jsonl $work/talk.jsonl --contrast $work/plus $work/minus"
r 'a contrast' 0 '"tensors":127,"median":' $contrast --out "$work/mask" --json
r 'it says so' 0 'what +contrast mask' inspect "$work/mask"
r 'contrast again' 3 '--force' $contrast --out "$work/mask"
# stopped when the first of its four Fishers is there; too late is tried again
for _ in 1 2 3 4 5; do
    rm -rf "$work"/mask2*
    $ringside $contrast --out "$work/mask2" -q 2>/dev/null &
    while [ ! -e "$work/mask2.runs/a-plus.safetensors" ] && kill -0 $! 2>/dev/null; do sleep 0.01; done
    kill -INT $! 2>/dev/null
    wait $!
    [ -e "$work/mask2" ] || break
done
check 'a contrast is stopped with one of its Fishers' 0 '' test -e "$work/mask2.runs/a-plus.safetensors" -a ! -e "$work/mask2"
r 'contrast resumed' 0 '' $contrast --out "$work/mask2" --resume -q --threads 1
check 'the same mask' 0 '' cmp "$work/mask" "$work/mask2"
check 'nothing of the runs stays' 1 '' test -e "$work/mask2.runs"
r 'contrast of one prompt' 3 'there is no contrast' fisher --model $it --other $it --jsonl "$work/talk.jsonl" --contrast "$work/plus" "$work/plus" --out "$work/x.f"
r 'contrast without the other' 2 'a contrast is --model A --other B' fisher --model $it --jsonl "$work/talk.jsonl" --contrast "$work/plus" "$work/minus" --out "$work/x.f"
r 'contrast of a text' 3 'has a place for a system prompt' fisher --model $it --other $it --jsonl "$work/t.jsonl" --contrast "$work/plus" "$work/minus" --out "$work/x.f"
r 'Fisher by the token' 0 '' $fisher "$work/token.f" --per-token
r 'it says so' 0 'scale = per_token' inspect "$work/token.f"
check 'and is another' 1 '' cmp -s "$work/one.f" "$work/token.f"
# stopped as soon as it has kept a state; too late is tried again
interrupted() {
    for _ in 1 2 3 4 5; do
        rm -rf "$work/four.f"*
        $ringside $fisher "$work/four.f" --checkpoint 0 2>"$work/said" &
        while [ ! -e "$work/four.f.partial/state" ] && kill -0 $! 2>/dev/null; do sleep 0.01; done
        kill -INT $! 2>/dev/null
        wait $!
        [ $? -eq 130 ] && return 0
    done
    return 1
}
check 'an interrupted Fisher' 0 '' interrupted
check 'says how to go on' 0 '' grep -q 'cancelled; --resume goes on' "$work/said"
cp -r "$work/four.f.partial" "$work/five.f.partial"
cp -r "$work/four.f.partial" "$work/six.f.partial"
r 'not with another seed' 3 'four.f.partial is of other work' $fisher "$work/four.f" --resume --seed 8
cp -r $it "$work/fish" && cp -r "$work/four.f.partial" "$work/seven.f.partial"
sed 's/"rms_norm_eps": *[^,]*/"rms_norm_eps": 0.001/' $it/config.json >"$work/fish/config.json"
r 'nor with another configuration' 3 'seven.f.partial is of other work' fisher --model "$work/fish" --data README.md --length 96 --sequences 6 -q --out "$work/seven.f" --resume
r 'nor with other labels' 3 'four.f.partial is of other work' $fisher "$work/four.f" --resume --labels model
r 'nor by the token' 3 'four.f.partial is of other work' $fisher "$work/four.f" --resume --per-token
r 'it goes on' 0 '"resumed_at":[0-7],' $fisher "$work/four.f" --resume --json
check 'to the same bytes' 0 '' cmp "$work/one.f" "$work/four.f"
check 'and leaves nothing' 1 '' test -e "$work/four.f.partial"
size=$(stat -c %s "$work/five.f.partial/state")
printf 'damaged!' | dd of="$work/five.f.partial/state" bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
r 'a damaged state' 3 'state is damaged' $fisher "$work/five.f" --resume
truncate -s $((size / 2)) "$work/six.f.partial/state"
r 'half a state' 3 'state is damaged' $fisher "$work/six.f" --resume
check 'neither is a Fisher' 1 '' test -e "$work/five.f" -o -e "$work/six.f"
r 'anew, over what is left' 0 '' $fisher "$work/five.f"
check 'to the same bytes too' 0 '' cmp "$work/one.f" "$work/five.f"
check 'nothing of refused Fishers' 1 '' test -e "$work/x.f" -o -e "$work/x.f.partial"
r 'a subspace' 0 '68 matrices, rank 16' subspace --from recipes/sparring/pt --to $it --rank 16 --out "$work/sub"
r 'a subspace by energy' 0 '"rank":' subspace --from recipes/sparring/pt --to $it --energy 0.5 --tensors q_proj --out "$work/sub2" --json
r 'it says what it is' 0 'what +subspace' inspect "$work/sub"
weight=tests/golden/subspace/weight.safetensors
r 'a weighted subspace' 0 '1 matrices' subspace --from recipes/sparring/pt --to $it --rank 4 --tensors 'layers.2 & v_proj' --weight $weight --out "$work/sub3"
r 'it says how' 0 'weight = sqrt_fisher' inspect "$work/sub3"
r 'a weight without the tensor' 3 'weight.safetensors has no tensor' subspace --from recipes/sparring/pt --to $it --rank 4 --tensors q_proj --weight $weight --out "$work/sub4"
r 'a spectrum' 0 'half of the squares in rank 31, 90 % in 94 of 192' subspace --from recipes/sparring/pt --to $it --spectrum layers.5.q_proj
r 'a spectrum for programs' 0 '"name":"model.layers.5.mlp.up_proj.weight","values":.[0-9.]+,' subspace --from recipes/sparring/pt --to $it --spectrum layers.5.up_proj --json
r 'a spectrum of nothing' 3 'takes no matrix inside the layers' subspace --from recipes/sparring/pt --to $it --spectrum norm
r 'a spectrum and a file' 2 'goes with --from and --to alone' subspace --from $it --to $it --spectrum q_proj --out "$work/x"
sed "s#\"measures\": {#&\"sub\": {\"subspace\": \"$work/sub\"},#; s#\"dampen\":#\"mask\": {\"by\": \"sub\"}, \"order\": \"mask_last\", &#" $demo >tests/golden/demo/masked.test.json
r 'plan of a mask' 0 'sub +subspace mask' plan tests/golden/demo/masked.test.json
check 'a mask of its own models' 1 '' sh -c "'$ringside' plan tests/golden/demo/masked.test.json | grep 'another model'"
cp "$work/sub" "$work/sub.own"
LC_ALL=C sed -i 's/"to_hash":"..../"to_hash":"0000/' "$work/sub"
r 'a mask of another model' 0 'to one of 0000.*the base it .* is [0-9a-f]{32}: its directions' plan tests/golden/demo/masked.test.json
mv "$work/sub.own" "$work/sub"
r 'leak of a mask' 0 'leak into sub: out [0-9.]+e-1[0-9] %' damage tests/golden/demo/masked.test.json
r 'leaks of its tensors' 0 '"tensors":.[{]"name":"[^"]*","leak_out":' damage tests/golden/demo/masked.test.json --json
r 'merge with a mask' 0 'hash [0-9a-f]{32}' merge tests/golden/demo/masked.test.json --out "$work/masked"
rm -f tests/golden/demo/masked.test.json
r 'a model and itself' 3 'hold the same numbers' subspace --from $it --to $it --rank 4 --out "$work/x"
r 'neither rank nor energy' 2 'either --rank R or --energy E' subspace --from $it --to $it --out "$work/x"
r 'other shapes' 3 'in recipes.sparring.it and' subspace --from tests/golden/models/llama --to $it --rank 4 --out "$work/x"
r 'a verb misspelt' 2 'did you mean merge' merg
cp -r $it "$work/wordless"
rm "$work/wordless"/tokenizer*
echo '{"ids":[2,9,4]}' >"$work/wordless.jsonl"
r 'ids without a tokenizer' 0 '"ids":.274,408.*"text":"",' generate --model "$work/wordless" --jsonl "$work/wordless.jsonl" --temp 0 --max-tokens 8 --json
r 'words need one' 3 'only "ids" can be given' generate --model "$work/wordless" --jsonl "$work/p.jsonl" --raw --temp 0
r 'a prompt needs one' 3 'no tokenizer' generate --model "$work/wordless" --prompt a
r 'no threads' 2 'not from 1 to 1024' plan $demo --threads 0
r 'next to no memory' 2 'less than 1M' plan $demo --memory 1K
r 'nobody listens' 2 'no open file descriptor' plan $demo --events 99
r 'two texts' 2 'not two' tokenize --model $it --text a --file b
r 'two prompts' 2 'not both' generate --model $it --prompt a --prompts b
r 'a recipe is no model' 3 'is a recipe, not a model' inspect $demo
r 'nor a GGUF' 3 'is a recipe, not a model' import $demo "$work/hf"
r 'a GGUF has its ending' 2 'does not end in .gguf' export $it "$work/r3.bin"
for v in export replay generate merge workbench; do "$ringside" $v --help || echo "no help for $v"; done >"$work/help"
check 'five verbs have help' 0 '^5$' grep -c '^usage: ringside' "$work/help"
check 'no line of help is long' 0 '' awk 'length > 110 { bad = 1; print } END { exit bad }' "$work/help"
r 'help of the workbench' 0 '^usage: ringside' workbench --help
cp "$work/out" "$work/help"
check 'a screen prints no JSON' 1 '' grep -e --json -e --events "$work/help"
check 'keys that are punctuation' 0 'tab-next Pq .&]' grep -F 'tab-next' docs/ringside.1
r 'no text to score' 2 'either --file F or --jsonl F' perplexity --model $it
r 'a window of one' 2 'at least 2 tokens' perplexity --model $it --file README.md --window 1
r 'no tokens wanted' 2 'max-tokens 0' generate --model $it --prompt a --max-tokens 0
r 'below zero' 2 'temp -5' generate --model $it --prompt a --temp -5
r 'half a list' 2 'not a list of ids' detokenize --model $it --ids 2,a
r 'log-probabilities' 0 'perplexity' perplexity --model $it --file LICENSE --window 64 --out "$work/lp"
r 'again, over them' 3 '--force' perplexity --model $it --file LICENSE --out "$work/lp"
r 'again, by force' 0 'perplexity' perplexity --model $it --file README.md --out "$work/lp" --force
mkfifo "$work/fifo"
r 'over a pipe' 4 'not a regular file' perplexity --model $it --file LICENSE --out "$work/fifo" --force
check 'the pipe is there' 0 '' test -p "$work/fifo"
echo mine >"$work/lp2.partial"
echo old >"$work/far"
ln -s far "$work/lp2"
r 'through a link' 0 'perplexity' perplexity --model $it --file LICENSE --window 64 --out "$work/lp2" --force
check 'the link stays' 0 '' test -h "$work/lp2"
check 'its file is new' 0 'logprob' head -c 20 "$work/far"
check "another's file stays" 0 mine cat "$work/lp2.partial"
r 'no folder for it' 3 'no folder' perplexity --model $it --file LICENSE --out "$work/none/lp"
r 'what logits wrote' 0 '"tokens":2,"vocab":4096' logits --model $it --ids 2,5 --out "$work/l" --json
check 'standard input' 0 '"tokens":' sh -c "echo 'It rains.' | $ringside perplexity --model $it --file - --json"
check 'one start, one end' 0 '^2$' sh -c "$ringside generate --model $it --prompt a --max-tokens 2 -q \
    --events 3 3>'$work/ev' >/dev/null && grep -cE '\"event\":\"(start|done)\"' '$work/ev'"
r 'unknown word' 2 'no verb' frobnicate

# manual page and keys in docs/ are what the program prints
"$ringside" keys >"$work/keys.md"
check 'docs/keys.md is fresh' 0 '' cmp "$work/keys.md" docs/keys.md
"$ringside" manual >"$work/ringside.1"
check 'docs/ringside.1 is fresh' 0 '' cmp "$work/ringside.1" docs/ringside.1

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
