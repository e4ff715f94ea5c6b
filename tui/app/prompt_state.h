/* prompt_state.h - the command line and the entry lines, as the app sees them.
 *
 * Editing is readline's (term/prompt.h) and needs no terminal; there is one prompt at a time.
 * With prefix ":" it is the command line: it has history, completion and a popup. Any other
 * prefix ("gain of layers.4-7 = ", "/") is an entry line without those.
 *
 *     p = ui_prompt_open(a, ":", "");
 *     switch (ui_prompt_key(p, a, key)) {
 *     case UI_PROMPT_EDITING: ...show a live effect of ui_prompt_text(p)...
 *     case UI_PROMPT_SUBMITTED: if (run(ui_prompt_text(p))) ui_prompt_free(p);
 *                               else ui_prompt_refuse(p, bad_from, bad_to);
 *     case UI_PROMPT_CANCELLED: ui_prompt_free(p);
 *     } */
#ifndef UI_PROMPT_STATE_H
#define UI_PROMPT_STATE_H

#include "tui/app/command.h"
#include "tui/draw/grid.h"

typedef struct ui_prompt ui_prompt;

typedef enum ui_prompt_result {
    UI_PROMPT_EDITING,
    UI_PROMPT_SUBMITTED,
    UI_PROMPT_CANCELLED
} ui_prompt_result;

/* Owned by the caller. a may be NULL: no completion. */
ui_prompt *ui_prompt_open(const ui_app *a, const char *prefix, const char *initial);
/* Esc and ^C cancel, Enter submits, Tab completes, Up and Down choose in the popup, every
 * other key is readline's. */
ui_prompt_result ui_prompt_key(ui_prompt *p, const ui_app *a, int key);
void ui_prompt_paste(ui_prompt *p, const ui_app *a,
                     const char *text);         /* line feeds: blanks */
const char *ui_prompt_text(const ui_prompt *p); /* what is typed, or was submitted */
size_t ui_prompt_cursor(const ui_prompt *p);    /* bytes */
const char *ui_prompt_prefix(const ui_prompt *p);
/* After a submitted line was refused: it stays, bytes from..to in the role of an error (to 0:
 * none) until the next key, the cursor behind the bad word. */
void ui_prompt_refuse(ui_prompt *p, size_t from, size_t to);
/* Draws the entry line in `row` (one row, scrolled sideways if needed) and the popup above
 * it within `body`; places the terminal's cursor. */
void ui_prompt_view(const ui_prompt *p, ui_grid *g, ui_rect body, ui_rect row);
/* Text of the hint row: the command's arguments and help, "completing word 4". */
void ui_prompt_hint(const ui_prompt *p, rs_buf *out);
void ui_prompt_free(ui_prompt *p); /* NULL is fine */

#endif
