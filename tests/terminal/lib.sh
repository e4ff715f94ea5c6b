# shellcheck shell=sh
# Helpers of the terminal tests: a tmux of their own, waiting for text, never for time.
# A test is a file that sources this one; it ends with `pass` or at the first failed step.
# $PROGRAM: the binary. Each test has its own home, so nothing of the user's is touched.
name=$(basename "$0" .sh)
home=$(mktemp -d)
tests=$(cd "$(dirname "$0")/.." && pwd)
. "$tests/demo.sh"
PROGRAM=$(own_demo "$PROGRAM" "$home/bin")
export HOME="$home" XDG_STATE_HOME="$home/state" XDG_DATA_HOME="$home/data" \
    XDG_CONFIG_HOME="$home/config" XDG_CACHE_HOME="$home/cache"
unset NO_COLOR COLORTERM VISUAL EDITOR
socket="ringside-$name-$$"
columns=${COLUMNS_WANTED:-80} rows=${ROWS_WANTED:-24}

tm() { tmux -L "$socket" -f /dev/null "$@"; }

finish() {
    tm kill-server 2>/dev/null
    rm -rf "$home"
}
trap finish EXIT
trap 'exit 1' INT TERM

screen() { tm capture-pane -p; }

fail() {
    echo "FAILED $name: $1"
    screen
    exit 1
}

# Starts a shell command in the terminal; its end is shown as "ended with N".
begin() {
    LC_ALL=${LOCALE_WANTED:-C.UTF-8} tm new-session -d -x "$columns" -y "$rows" \
        "cd '$home'; $1; echo \"ended with \$?\"; exec sleep 1000"
}

keys() { tm send-keys "$@"; }

# see TEXT [SECONDS]: until the screen holds it.
see() {
    tries=$((${2:-30} * 20))
    while ! screen | grep -qF -- "$1"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "\"$1\" did not come"
        sleep 0.05
    done
}

# until COMMAND...: until it succeeds.
until_true() {
    tries=600
    while ! "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || fail "never true: $*"
        sleep 0.05
    done
}

# not_here TEXT: the screen does not hold it (any more).
lacks() { ! screen | grep -qF -- "$1"; }
not_here() { until_true lacks "$1"; }

# The demo has opened for the first time: all numbers are there, and the tour goes.
leave_tour() {
    see "tour 1 of 10"
    see "0.578"
    keys Escape
    see "3.857"
}

# The processes below the pane's shell that run this verb.
child_of_verb() { pgrep -f "ringside $1 --" -P "$(program_pid)" | head -n 1; }
program_pid() { pgrep -x ringside -P "$(tm display-message -p '#{pane_pid}')" | head -n 1; }

pass() {
    echo "passed $name"
    exit 0
}
