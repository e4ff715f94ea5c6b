/* loop.h - the outside of the workbench: one poll loop over terminal, engine, jobs and
 * signals that turns what happens into messages and carries out effects.
 *
 * With a terminal it draws at most 60 times a second and only when something changed; when
 * nothing happens it sleeps without a timer. Without one (replay) the caller feeds messages
 * and looks at the grid. The first frame is drawn before any effect is carried out, so
 * nothing that is slow stands before it. One loop at a time (signals), one thread. */
#ifndef UI_LOOP_H
#define UI_LOOP_H

#include "tui/app/app.h"
#include "tui/app/paths.h"
#include "tui/term/term.h"

typedef struct ui_loop ui_loop;

typedef struct ui_loop_options {
    const rs_runtime *rt;
    const ui_paths *paths; /* borrowed for the loop's life */
    const char *open;      /* recipe, merged folder; NULL: the session, or the demo */
    ui_term *term;         /* NULL: none; borrowed */
    int width, height;     /* without a terminal */
    ui_glyph_level glyphs;
    bool ascii_only; /* the locale has no other characters */
    bool mono;
    const char *theme;
    int64_t threads; /* of the engine; 0: its default */
    uint64_t memory;
    bool stable; /* fixed clock and rates: screens that can be compared */
} ui_loop_options;

rs_status ui_loop_new(const ui_loop_options *o, ui_loop **out, rs_err *err) RS_MUST_USE;
void ui_loop_free(ui_loop *l); /* saves the session, ends the engine; NULL is fine */

/* Waits for something to happen, at most `seconds` (< 0: no limit), and deals with it. */
void ui_loop_turn(ui_loop *l, double seconds);
bool ui_loop_is_over(const ui_loop *l);

/* A message from the caller; its times are filled in. */
void ui_loop_send(ui_loop *l, ui_msg *m);
void ui_loop_resize(ui_loop *l, int width, int height); /* without a terminal */
const ui_grid *ui_loop_grid(ui_loop *l); /* drawn anew if needed */
bool ui_loop_is_settled(const ui_loop *l); /* the engine's weights and sums are up to date */
bool ui_loop_is_writing(const ui_loop *l); /* a text is under way */
long ui_loop_engine_pid(const ui_loop *l); /* 0: none */

#endif
