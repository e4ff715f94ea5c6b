/* replay.h - a session as a script (screens.md 5): the real app, engine and jobs, without a
 * terminal.
 *
 *     key NAME ...          presses keys (names of ui_key_from_name)
 *     type TEXT             types characters; quotes around the text are taken off
 *     :COMMAND              runs a command line
 *     expect [ROW] TEXT     the screen (row, from 1) holds the text now
 *     refuse [ROW] TEXT     ... does not hold it
 *     wait TEXT [SECONDS]   lets time go until it does; default 20
 *     gone TEXT [SECONDS]   lets time go until it does not
 *     screen NAME           prints the screen under a line "== NAME WxH"
 *     resize WxH            as it says
 *     paste TEXT            pasted text
 *     kill engine           SIGKILL to the engine's process
 *     # ...                 a comment, also behind anything but type, paste and commands
 *
 * Before every line of keys, command, expect and refuse the engine is given time to merge and
 * measure what the recipe is by then, before screen also to finish its texts, so what they
 * see does not depend on the machine's speed. The keys of one line follow each other at
 * once. */
#ifndef UI_REPLAY_H
#define UI_REPLAY_H

#include "base/buf.h"
#include "tui/app/loop.h"

#include <stdbool.h>

typedef struct ui_replay {
    ui_loop *loop;
    const char *file; /* how errors call the script */
    bool roles;       /* screens with a second block of role letters */
    rs_buf *out;      /* receives the screens */
    int line;         /* of the last failure */
} ui_replay;

/* Runs the script's text. RS_E_MISMATCH: an expectation failed; RS_E_INVALID: a line makes no
 * sense. The sentence names the line. */
rs_status ui_replay_run(ui_replay *r, const char *script, rs_err *err) RS_MUST_USE;

#endif
