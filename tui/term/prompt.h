/* prompt.h (term) - one line of text under readline's hands, without a terminal.
 *
 * The only file that includes readline, in callback mode: keys come from ui_edit_key, the
 * line and the cursor are copied out, nothing is read from or written to a terminal, no
 * signal and no environment variable is touched. There is one line at a time (readline is
 * global), so there is no handle. The app uses it through app/prompt_state.h. */
#ifndef UI_TERM_PROMPT_H
#define UI_TERM_PROMPT_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum ui_edit_result { UI_EDIT_GOES_ON, UI_EDIT_DONE } ui_edit_result;

/* Starts a line, ending the one before; remember: a submitted line joins the history, ^P and
 * ^N walk through it. Returns the number of this line, so that a prompt that is closed late
 * does not end another one's. */
int ui_edit_start(const char *initial, bool remember);
bool ui_edit_is_current(int number);
/* One key of msg.h. DONE: Enter; the line is in ui_edit_text until the next start. */
ui_edit_result ui_edit_key(int key);
void ui_edit_insert(const char *text); /* at the cursor; control bytes become blanks */
/* Replaces bytes from..to by text and puts the cursor behind it. */
void ui_edit_replace(size_t from, size_t to, const char *text);
void ui_edit_move(size_t at); /* cursor to byte at */
void ui_edit_stop(void);
const char *ui_edit_text(void); /* valid until the next call that changes it */
size_t ui_edit_cursor(void);
const char *ui_edit_message(void); /* while ^R searches: what it looks for; else NULL */

/* History of command lines, shared by all prompts: newest first, NULL past the end. */
const char *ui_history_line(int i);
void ui_history_add(const char *line); /* once: an equal newest line is not repeated */
void ui_history_clear(void);
/* Files of one line an entry. A file that is not there loads as empty. Saves the last 1000. */
rs_status ui_history_load(const char *path, rs_err *err) RS_MUST_USE;
rs_status ui_history_save(const char *path, rs_err *err) RS_MUST_USE;

#endif
