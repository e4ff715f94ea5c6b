/* chrome.h - what the mouse needs to know of the frame around the screens. */
#ifndef UI_CHROME_H
#define UI_CHROME_H

#include "tui/app/state.h"

enum { UI_N_TABS = 6 };

typedef struct ui_tab {
    ui_screen_id screen;
    const char *label; /* with its digit, one blank or bracket on each side */
} ui_tab;
extern const ui_tab ui_tabs[UI_N_TABS];

typedef struct ui_fkey {
    const char *label, *command;
} ui_fkey;
extern const ui_fkey ui_fkeys[10];

void ui_hint_text(const ui_app *a, rs_buf *b); /* the hint row of the mode or screen */
double ui_budget_used(const ui_app *a);        /* of the stage or output that it counts */

#endif
