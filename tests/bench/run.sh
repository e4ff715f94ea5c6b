#!/bin/sh
# Runs the benchmarks one after the other. Each prints ratios against a reference that it
# measures in the same run. RS_GEMMA270 names the Gemma 3 270M GGUF for those that want it.
for program in "$@"; do
    echo "== ${program##*/}"
    "$program" || echo "${program##*/} ended with status $?"
done
for program in "$@"; do
    case $program in
    */bench_decode) "$(dirname "$0")/beside_llama.sh" "$program" ./ringside ;;
    esac
done
