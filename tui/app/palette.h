/* palette.h - the fuzzy list of all commands and recent lines (`^P`).
 *
 * Ranks recent lines, then names that begin with what is typed, then initials ("la" of
 * lane-all), then substrings of names and help texts, then letters in order. Enter runs the
 * row or asks for its argument, Tab copies it into the command line. */
#ifndef UI_PALETTE_H
#define UI_PALETTE_H

#include "tui/app/complete.h"
#include "tui/app/help.h"

typedef struct ui_palette ui_palette;

/* recent: newest first, n of them; copied. sources: for the present values in the last lines
 * (may be NULL); used while the palette lives. NULL: no memory. */
ui_palette *ui_palette_open(ui_screen_id screen, const char *const *recent, int n,
                            const ui_sources *sources);
ui_popup_result ui_palette_key(ui_palette *p, int key);
const char *ui_palette_line(const ui_palette *p); /* chosen: "lambda " or "gain *0.5" */
void ui_palette_view(const ui_palette *p, ui_grid *g, ui_rect body);
void ui_palette_free(ui_palette *p); /* NULL is fine */

/* How well query fits text: 0 not at all; higher is better. Case is ignored. */
int ui_fuzzy_score(const char *query, const char *text);

#endif
