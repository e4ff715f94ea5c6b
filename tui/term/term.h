/* term.h - the terminal: the only files that include curses.
 *
 * Copies a grid to the screen (changed cells only) and turns what arrives into messages. One
 * terminal at a time, one thread. The program has called setlocale. On SIGSEGV, SIGBUS,
 * SIGFPE, SIGILL and SIGABRT, and at exit(), the terminal is put back as it was.
 *
 * A loop: poll ui_term_fd for reading, with ui_term_wait as the longest timeout; then
 * ui_term_read once and ui_term_next until it is false. Sizes: on SIGWINCH call
 * ui_term_resized, which gives the new size. */
#ifndef UI_TERM_H
#define UI_TERM_H

#include "base/status.h"
#include "tui/app/msg.h"
#include "tui/draw/grid.h"
#include "tui/draw/theme.h"

typedef struct ui_term ui_term;

typedef struct ui_term_options {
    const char *term;      /* $TERM; NULL or "dumb": refused */
    const char *colorterm; /* $COLORTERM; may be NULL */
    bool no_color;         /* NO_COLOR or --color never */
    ui_theme theme;
    bool mouse;
    const char *title; /* of the window; NULL: left alone */
    const char
        *goodbye; /* printed to stderr after a crash, e.g. where the session lies */
} ui_term_options;

/* UNSUPPORTED with a sentence: no terminal, TERM=dumb, an entry that terminfo lacks. */
rs_status ui_term_open(const ui_term_options *o, ui_term **out, rs_err *err) RS_MUST_USE;
void ui_term_close(ui_term *t); /* restores the terminal; NULL is fine */

ui_depth ui_term_depth(const ui_term *t);
void ui_term_size(const ui_term *t, int *width, int *height);
void ui_term_resized(ui_term *t, int *width, int *height); /* asks the system again */
void ui_term_set_theme(ui_term *t, ui_theme theme);
void ui_term_set_mouse(ui_term *t, bool on);

void ui_term_present(ui_term *t, const ui_grid *g);
void ui_term_redraw(ui_term *t); /* the next present sends every cell */

int ui_term_fd(const ui_term *t);
/* Reads what is there. false: the terminal is gone. */
bool ui_term_read(ui_term *t, double now);
bool ui_term_next(ui_term *t, double now, ui_msg *out); /* out->wall is not set */
double ui_term_wait(const ui_term *t, double now);      /* seconds; < 0: forever */

void ui_term_bell(ui_term *t);
void ui_term_copy(ui_term *t,
                  const char *text); /* OSC 52, at most 74 994 bytes of text */
void ui_term_set_title(ui_term *t, const char *title); /* control bytes are left out */
/* Restores the terminal (before SIGTSTP or an editor), and takes it again. */
void ui_term_suspend(ui_term *t);
void ui_term_resume(ui_term *t);

#endif
