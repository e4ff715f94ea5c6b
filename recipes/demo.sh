#!/bin/sh
# The demo: makes what its recipe describes (a Fisher, a subspace, a style adapter; once), then
# the workbench on the miniature family if there is a terminal, else the same work by verbs.
# Everything here is a verb that you can type yourself.
ringside=${1:-./ringside}
recipe=recipes/luchador-miniature.json
cd "$(dirname "$0")/.." || exit 1
set -e
say() {
    printf '\n$ ringside'
    printf ' %s' "$@"
    printf '\n'
    "$ringside" "$@"
}
say prepare "$recipe"
if [ -t 0 ] && [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; then
    exec "$ringside" "$recipe"
fi
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
say plan "$recipe"
say merge "$recipe" --out "$out/luchador-miniature"
say damage "$recipe"
say compare --a "$out/luchador-miniature" --b recipes/naive-0.3.json \
    --prompt 'Write two sentences about a lighthouse. Answer in all capital letters.' --max-tokens 80
