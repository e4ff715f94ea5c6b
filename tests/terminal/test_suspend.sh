#!/bin/sh
# ^Z to the shell and back.
. "$(dirname "$0")/lib.sh"
LC_ALL=C.UTF-8 tm new-session -d -x 80 -y 24 "cd '$home'; PS1='shell> ' exec sh -i"
see "shell>"
keys -l "'$PROGRAM'; echo ended with \$?"
keys Enter
leave_tour
see "now"
keys C-z
see "shell>"
keys -l "fg"
keys Enter
see "3.857"
see "[1 Ring]"
keys J
see ">  5 S"
keys Q
see "shell>"
keys -l "echo left with \$?"
keys Enter
see "left with 0"
pass
