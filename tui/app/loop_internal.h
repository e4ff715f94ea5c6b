/* loop_internal.h - the loop's state, shared by loop.c, loop_effects.c and loop_signals.c. */
#ifndef UI_LOOP_INTERNAL_H
#define UI_LOOP_INTERNAL_H

#include "tui/app/engine.h"
#include "tui/app/jobs.h"
#include "tui/app/loop.h"

struct ui_loop {
    const ui_paths *paths;
    ui_app *app;
    ui_effects fx;
    ui_engine *engine;
    ui_engine
        *reader; /* a second one without models: what is read from files for looking at */
    ui_job_store *jobs; /* NULL: the folder could not be made */
    ui_term *term;
    ui_theme theme;
    ui_grid grid;
    int width, height;
    bool dirty, over, stable;
    double frame, next_frame; /* seconds between frames, when the next may come */
    double jobs_polled;
    char *session; /* waits to be saved, or NULL */
    double session_due;
    int session_lock;
    bool session_ours, session_taken;
};

/* --- loop_effects.c --- */
void ui_loop_effect(ui_loop *l, const ui_effect *fx);
void ui_loop_save_session(ui_loop *l);
void ui_loop_suspend(ui_loop *l);
int ui_loop_open_lock(const char *path); /* -1: not possible */
/* --- loop.c --- */
void ui_loop_answer(ui_loop *l, ui_effect_kind kind, bool ok, const char *text);

/* --- loop_signals.c: signals through a pipe --- */
typedef struct ui_signals {
    bool ends, resized, stops, continued;
} ui_signals;

rs_status ui_loop_signals_begin(bool terminal, rs_err *err) RS_MUST_USE;
void ui_loop_signals_end(void);
int ui_loop_signals_fd(void);
ui_signals ui_loop_signals_taken(void); /* since the last call */
void ui_loop_stop_self(void); /* SIGTSTP with its own effect; returns after SIGCONT */

#endif
