/* paths.h - where the workbench keeps its things, by the XDG base directory rules: values of
 * the environment that are not absolute are ignored. Folders are made when first written. */
#ifndef UI_PATHS_H
#define UI_PATHS_H

#include "base/status.h"

#include <stdbool.h>

typedef struct ui_paths {
    char state[4096];   /* $XDG_STATE_HOME/ringside: session, jobs, log, history */
    char data[4096];    /* $XDG_DATA_HOME/ringside: saved recipes */
    char jobs[4096], session[4096], session_lock[4096], log[4096], history[4096];
    char cwd[4096];
    char library[4096]; /* the program's own recipes; "" if there are none */
    bool library_installed;
} ui_paths;

/* root: instead of the user's folders all lies below this one (replay, tests); or NULL. */
rs_status ui_paths_find(const char *root, ui_paths *p, rs_err *err) RS_MUST_USE;

#endif
