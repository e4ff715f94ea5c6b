#!/bin/sh
# Our prefill and decode beside llama.cpp's on the same files, in turn: Gemma 3 270M
# (RS_GEMMA270) as it is and exported to other types. RS_LLAMA_PYTHON: a Python that has
# llama-cpp-python. Two programs with two threads each ruin each other's figures, so they run
# one after the other, three times, and the best of each counts; what fails is told.
#     tests/bench/beside_llama.sh build/gcc/tests/bench/bench_decode ./ringside
bench=$1 ringside=$2 here=$(dirname "$0")
if [ -z "$RS_GEMMA270" ] || [ -z "$RS_LLAMA_PYTHON" ]; then
    echo "beside llama.cpp: skipped (RS_GEMMA270 and RS_LLAMA_PYTHON)"
    exit 0
fi
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
threads=$(nproc)

larger() { awk -v a="$1" -v b="$2" 'BEGIN { print (a + 0 > b + 0 ? a : b) }'; }

status=0
failed() { # name, what
    echo "$1: failed: $2"
    status=1
}

compare() { # name, file
    ours_p=0 ours_d=0 theirs_p=0 theirs_d=0 share=0
    for _ in 1 2 3; do
        "$bench" "$2" >"$work/out" || { failed "$1" "our program"; return; }
        ours_p=$(larger "$ours_p" "$(sed -n 's/^prefill.*as stored.* \([0-9]*\) tokens\/s$/\1/p' "$work/out")")
        ours_d=$(larger "$ours_d" "$(sed -n 's/^decode, stored\/bf16 *\([0-9.]*\) .*/\1/p' "$work/out")")
        share=$(larger "$share" "$(sed -n 's/^decode, as stored.* \([0-9.]*\)  (target.*/\1/p' "$work/out")")
        line=$("$RS_LLAMA_PYTHON" "$here/llama.py" "$2" "$threads" 2>"$work/err") ||
            { failed "$1" "llama.cpp: $(tail -n 1 "$work/err")"; return; }
        theirs_p=$(larger "$theirs_p" "$(echo "$line" | cut -d' ' -f2)")
        theirs_d=$(larger "$theirs_d" "$(echo "$line" | cut -d' ' -f4)")
    done
    case " $ours_p $ours_d $theirs_p $theirs_d " in
    *" 0 "*) failed "$1" "a figure is missing"; return ;;
    esac
    awk -v n="$1" -v a="$ours_p" -v b="$theirs_p" -v c="$ours_d" -v d="$theirs_d" -v s="$share" 'BEGIN {
        printf "%-8s prefill %4d of %4d tokens/s %5.2f   decode %5.1f of %5.1f %5.2f, %.2f of read bandwidth\n", n, a, b, a / b, c, d, c / d, s }'
}

echo "beside llama.cpp, $threads threads, ours of theirs (target 1.00)"
compare as-is "$RS_GEMMA270"
for type in q8_0 bf16 f32; do
    "$ringside" export "$RS_GEMMA270" "$work/$type.gguf" --type $type -q ||
        { failed $type "the export"; continue; }
    compare $type "$work/$type.gguf"
    rm -f "$work/$type.gguf"
done
exit $status
