#!/bin/sh
# NO_COLOR sends no colours, LANG=C no byte above 127.
LOCALE_WANTED=C
. "$(dirname "$0")/lib.sh"
begin "NO_COLOR=1 '$PROGRAM' 2>'$home/err'"
leave_tour
keys J
see ">  5 S"
screen | LC_ALL=C grep -q '[^ -~]' && fail "a byte that is not ASCII is on the screen"
tm capture-pane -p -e | grep -q "$(printf '\033')\[[0-9;]*\(3[0-7]\|4[0-7]\|38;\|48;\)" &&
    fail "a colour was sent in spite of NO_COLOR"
keys Q
see "ended with 0"
pass
