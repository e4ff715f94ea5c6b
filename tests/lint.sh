#!/bin/sh
# Proves the layering (docs/architecture.md): includes point down only, core calls nothing
# that prints, exits or draws, and each foreign library has one door.
lib=$1
bad=0
say() {
    echo "lint: $*"
    bad=1
}

# room: rooms that its files may include (besides itself)
allowed() {
    case $1 in
    base) echo base ;;
    tensor) echo base tensor ;;
    store) echo base tensor store ;;
    model) echo base tensor store model ;;
    learn | merge) echo base tensor store model "$1" ;;
    live) echo base tensor store model learn merge live ;;
    esac
}
for folder in core/*/; do
    room=$(basename "$folder")
    rooms=$(allowed "$room")
    [ -n "$rooms" ] || say "core/$room is not in the list of rooms"
    for line in $(grep -rhoE '^#include "[a-z_]+/' "$folder" | sed 's/.*"//; s,/,,' | sort -u); do
        case " $rooms " in
        *" $line "*) ;;
        *) say "core/$room includes $line/, which is not below it" ;;
        esac
    done
done
grep -rlE '^#include "(tui|eval)/' core && say "core includes a higher room"
grep -rlE '^#include "tui/' eval 2>/dev/null && say "eval includes tui"

one_door() { # header pattern, the files or folders that may (one in each layer)
    pattern=$1
    shift
    for f in $(grep -rlE "^#include <($pattern)" core eval tui 2>/dev/null); do
        for door in "$@"; do
            if [ "$f" = "$door" ] || [ "${f#"$door"/}" != "$f" ]; then continue 2; fi
        done
        say "$f includes <$pattern>: only $* may"
    done
}
one_door 'cjson/' 'core/base/json.c'
one_door 'openblas' 'core/tensor/blas.c'
one_door 'cblas' 'core/tensor/blas.c' 'core/tensor/lapack.c'
one_door 'lapacke' 'core/tensor/lapack.c'
one_door 'n?curses' 'tui/term'
one_door 'readline/' 'tui/term/prompt.c'
one_door 'utf8proc' 'core/base/nfc.c' 'tui/draw/width.c'
one_door 'pcre2' 'core/base/regex.c'
one_door 'xxhash' 'core/base/hash.c'

if [ -n "$lib" ]; then
    # snprintf into memory is fine; what reaches the world or ends the process is not
    # (no pipe into `while`: its bad=1 would stay in a subshell)
    symbols=$(nm -u "$lib" 2>/dev/null | awk '{print $2}' | sort -u |
        grep -xE '(printf|fprintf|vprintf|vfprintf|puts|putchar|fputs|fputc|fwrite|perror|exit|_exit|abort|getenv|initscr|time|clock_gettime|gettimeofday|__printf_chk|__fprintf_chk|__vfprintf_chk)|(ui_|ev_).*')
    for symbol in $symbols; do say "libringside.a needs $symbol"; done
    defined=$(nm -g --defined-only "$lib" 2>/dev/null | awk 'NF == 3 && $3 !~ /^(__|_)/ {print $3}' | sort -u)
    case $defined in *rs_init*) ;; *) say "$lib does not define rs_init: its symbols cannot be read" ;; esac
    for symbol in $defined; do
        case $symbol in rs_*) ;; *) say "libringside.a defines $symbol without rs_" ;; esac
    done
fi

# every header stands alone, and has its guard (isa/ holds pieces of its one source)
for h in $(find core tui -name '*.h' ! -path 'core/tensor/isa/*'); do
    grep -q '^#ifndef' "$h" || say "$h has no include guard"
    ${CC:-gcc} -std=c11 -D_XOPEN_SOURCE=700 -D_DEFAULT_SOURCE -Icore -I. -fsyntax-only -x c "$h" 2>/dev/null ||
        say "$h does not compile on its own"
done

if command -v shellcheck >/dev/null 2>&1; then
    # shellcheck disable=SC2046
    shellcheck -S warning -e SC2034,SC2044,SC2154 $(find tests recipes -name '*.sh') .ci/run || bad=1
fi
[ "$bad" -eq 0 ] && echo "lint: layering, doors, headers and scripts are in order"
exit "$bad"
