#!/bin/sh
# A merge of 500 MB is killed at random moments: no folder stands under the final name unless
# it is whole, and the next run, over what the killed ones left, writes the very same bytes.
# Then the same of an export to GGUF, killed and cancelled.
#     tests/killed.sh ./ringside build/gcc/tests/bench/synthetic
ringside=$1 synthetic=$2 rounds=${ROUNDS:-12}
root=$(mktemp -d "${TMPDIR:-/tmp}/ringside-killed-XXXXXX") || exit 1
trap 'rm -rf "$root"' EXIT
passed=0 failed=0

check() { # text, command...
    text=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "  FAILED $text"; fi
}

cat >"$root/config.json" <<'END'
{"architectures":["Gemma3ForCausalLM"],"model_type":"gemma3_text","hidden_size":1024,
"intermediate_size":6144,"num_hidden_layers":11,"num_attention_heads":4,"num_key_value_heads":1,
"head_dim":256,"vocab_size":16384,"query_pre_attn_scalar":256,"rms_norm_eps":1e-6,
"sliding_window":512,"max_position_embeddings":4096,"hidden_activation":"gelu_pytorch_tanh"}
END
cat >"$root/recipe.json" <<'END'
{"ringside":1,"name":"killed","models":{"base":{"path":"model"},"a":{"adapter":"adapter"}},
"stages":[{"name":"fuel","method":"task_arithmetic","base":"base","inputs":[{"from":"a","weight":1}],
"scale":0.5}],"output":{"stage":"fuel","dtype":"bfloat16"}}
END
"$synthetic" "$root/config.json" "$root/model" && "$synthetic" "$root/config.json" "$root/adapter" 16 || exit 1
merge() { "$ringside" merge "$root/recipe.json" --out "$1" --quiet; }

timed() { # command...: runs it, its milliseconds in $ms
    begin=$(date +%s%N)
    "$@"
    status=$?
    ms=$((($(date +%s%N) - begin) / 1000000))
    return $status
}

merge "$root/whole" || exit 1
sync # what was written until here is not to be waited for below
timed merge "$root/again" || exit 1
took=$ms
want=$(sha256sum <"$root/whole/model.safetensors")
check "two merges write the same bytes" test "$(sha256sum <"$root/again/model.safetensors")" = "$want"
rm -rf "$root/again"
echo "  a merge of $(($(stat -c %s "$root/whole/model.safetensors") / 1000000)) MB takes $took ms"

# A round that ends before its kill says how long a merge takes now: the disk's pace varies.
kills=0
for round in $(seq "$rounds"); do
    wait_ms=$((took * (round * 7919 % rounds + 1) / (rounds + 1)))
    timed timeout --foreground -s KILL "$(awk "BEGIN { print $wait_ms / 1000 }")" \
        "$ringside" merge "$root/recipe.json" --out "$root/out" --quiet
    if [ $? -eq 137 ]; then kills=$((kills + 1)); else took=$ms; fi
    if [ -e "$root/out" ]; then
        check "killed after $wait_ms ms: the folder is whole" \
            test "$(sha256sum <"$root/out/model.safetensors")" = "$want"
        rm -rf "$root/out"
    else
        passed=$((passed + 1))
    fi
done
# ^C and SIGTERM, with a tenth of a merge less each time it was too late: exit 130, nothing left.
stopped() { # signal
    for part in 5 4 3 2 1; do
        rm -rf "$root/out"
        timed timeout --foreground --preserve-status -s "$1" "$(awk "BEGIN { print $took * $part / 10000 }")" \
            "$ringside" merge "$root/recipe.json" --out "$root/out" --quiet 2>"$root/said"
        [ $? -eq 130 ] && return 0
    done
    return 1
}
for signal in INT TERM; do
    check "a merge was stopped by SIG$signal" stopped $signal
    check "it says that it was cancelled" grep -q "cancelled" "$root/said"
    check "and leaves nothing" test -z "$(ls -d "$root"/out* 2>/dev/null)"
done
check "most rounds were killed, not finished: $kills of $rounds" test $((kills * 2)) -ge "$rounds"
check "the next run succeeds" merge "$root/out"
check "and writes the same bytes" test "$(sha256sum <"$root/out/model.safetensors")" = "$want"
check "and nothing is left beside it" test -z "$(ls -d "$root"/*.partial 2>/dev/null)"

# The same of one file: killed, or asked to stop, half-way.
export_to() { "$ringside" export "$root/recipe.json" "$1" --name k --type q8_0 --quiet 2>/dev/null; }
timed export_to "$root/whole.gguf"
half=$(awk "BEGIN { print $ms / 2000 }")
timeout --foreground -s KILL "$half" "$ringside" export "$root/recipe.json" "$root/out.gguf" --name k --type q8_0 -q 2>/dev/null
check "a killed export leaves no file" test $? -eq 137 -a ! -e "$root/out.gguf"
took=$ms
stopped_export() { # earlier each time it was too late
    for part in 5 4 3 2 1; do
        rm -rf "$root"/stopped.gguf*
        timeout --foreground --preserve-status -s INT "$(awk "BEGIN { print $took * $part / 10000 }")" \
            "$ringside" export "$root/recipe.json" "$root/stopped.gguf" -q 2>/dev/null
        [ $? -eq 130 ] && return 0
    done
    return 1
}
check "one that is asked to stop is cancelled" stopped_export
check "and leaves nothing" test -z "$(ls -d "$root"/stopped.gguf* 2>/dev/null)"
check "the next export succeeds" export_to "$root/out.gguf"
check "and writes the same bytes" cmp -s "$root/out.gguf" "$root/whole.gguf"
check "and nothing is left beside it either" test -z "$(ls -d "$root"/*.partial 2>/dev/null)"
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
