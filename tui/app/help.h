/* help.h - the keys popup (`?`), built from the command table.
 *
 * Shows the commands of the screen by group, in as many columns as fit; typing searches keys,
 * names and help texts; arrows move; Enter closes it and runs the row (a command that needs an
 * argument opens the command line instead); a second ? shows all screens. */
#ifndef UI_HELP_H
#define UI_HELP_H

#include "tui/app/command.h"
#include "tui/draw/grid.h"

typedef struct ui_help ui_help;

/* What a popup wants after a key. */
typedef enum ui_popup_result {
    UI_POPUP_STAYS,
    UI_POPUP_CLOSES, /* nothing else to do */
    UI_POPUP_RUNS,   /* close it, then run the chosen line: ..._line() */
    UI_POPUP_ASKS    /* close it, then open the command line with the chosen line */
} ui_popup_result;

/* topic: NULL or "" for the screen's keys, else a first search, on all screens where this one
 * has nothing of it. */
ui_help *ui_help_open(ui_screen_id screen, const char *topic);
const char *ui_help_topic(const ui_help *h); /* searched for; "": nothing, or none found */
ui_popup_result ui_help_key(ui_help *h, int key);
const char *ui_help_line(const ui_help *h); /* chosen: "lambda " */
void ui_help_view(const ui_help *h, ui_grid *g, ui_rect body);
void ui_help_free(ui_help *h); /* NULL is fine */

#endif
