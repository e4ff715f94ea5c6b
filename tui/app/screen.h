/* screen.h - a screen is one row of a table. */
#ifndef UI_SCREEN_H
#define UI_SCREEN_H

#include "tui/app/command.h"
#include "tui/draw/grid.h"

typedef struct ui_screen {
    ui_screen_id id;
    const char *name;  /* "ring": for `go` */
    const char *title; /* "Ring": on the tab; NULL: no tab of its own (layer detail) */
    /* Draws the rows between tabs and message row. */
    void (*view)(const ui_app *a, ui_grid *g, ui_rect r);
    /* Messages beyond keys with a command: engine events, ticks, mouse. true: taken. */
    bool (*update)(ui_app *a, const ui_msg *m, ui_effects *fx);
    /* The hint row for the present focus: "key text" pairs from the command table. */
    void (*hints)(const ui_app *a, rs_buf *out);
} ui_screen;

extern const ui_screen *const ui_screens[]; /* indexed by ui_screen_id; NULL: not built */

#endif
