/* app.h - the whole state of the workbench, and the three functions that the loop calls.
 *
 * ui_update changes the state, ui_view draws it; neither blocks or touches a terminal, a
 * thread, a clock or a child process (msg.h). What update may do by itself is read recipes
 * and the headers of the files that they name (rs_recipe_load, rs_plan_build): milliseconds,
 * and no weights. One thread at a time. */
#ifndef UI_APP_H
#define UI_APP_H

#include "merge/plan.h"
#include "tui/app/command.h"
#include "tui/app/msg.h"
#include "tui/draw/grid.h"

#include <stdbool.h>

/* What the program tells the workbench at its start. Everything is borrowed for the call of
 * ui_app_init but rt and resolve, which are used as long as the app lives. */
typedef struct ui_setup {
    const rs_runtime *rt;
    rs_resolve_fn resolve; /* names like org/name; NULL: paths only */
    void *resolve_ctx;
    const char
        *open; /* recipe file or merged folder; NULL: the session's, else the demo */
    const char *session;    /* text of the last UI_FX_SESSION, or NULL */
    const char *library;    /* folder of the program's own recipes and prompts.jsonl */
    bool library_installed; /* never written to: saves go to data/recipes */
    const char *data;       /* $XDG_DATA_HOME/ringside */
    const char *cwd;        /* absolute; where merged folders go */
    const char *home;       /* for ~ in paths; may be NULL */
    const char *program;    /* argv[0] of jobs: "ringside" if NULL */
    ui_glyph_level glyphs;
    bool ascii_only;   /* the locale has no other characters */
    bool mono;         /* no colour at all */
    const char *theme; /* NULL: dark */
    int width, height;
    double now, wall;
} ui_setup;

/* Fails only where nothing can be shown at all (no memory). A recipe that cannot be opened
 * is said on the screen, and the demo or nothing is open instead. fx receives what is to be
 * done first (follow, measure, generate). */
rs_status ui_app_init(const ui_setup *s, ui_app **out, ui_effects *fx,
                      rs_err *err) RS_MUST_USE;
void ui_app_free(ui_app *a); /* NULL is fine */
void ui_update(ui_app *a, const ui_msg *m, ui_effects *fx);
/* Clears and fills the grid (at its size), sets its glyph level and mono from the options. */
void ui_view(const ui_app *a, ui_grid *g);

/* The program ends without having been asked by a key: what is not saved of the session yet
 * is added as an effect. */
void ui_app_leaving(ui_app *a, ui_effects *fx);

/* When a UI_MSG_TICK is wanted although nothing happens: seconds from now, < 0: not at all. */
double ui_app_wake(const ui_app *a, double now);
const char *ui_app_theme(const ui_app *a); /* dark light contrast safe mono */
/* A command may have raised this: the loop ends after a UI_FX_QUIT. Unsaved edits are in the
 * session in any case. */

/* --- for commands, help, palette and completion --- */

/* The sentence on the message row; also kept for :log. */
void ui_say(ui_app *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ui_warn(ui_app *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

ui_screen_id ui_app_screen(const ui_app *a);
const rs_recipe *ui_app_recipe(const ui_app *a); /* open recipe, or NULL */
const rs_config *ui_app_config(const ui_app *a); /* of its base model, or NULL */
const rs_plan *ui_app_plan(const ui_app *a);     /* or NULL */

/* Runs a command line as if typed (macro, binding, palette, replay). Same as
 * ui_command_line, and adds the line to the log of edits. */

/* The rows of commands, one array a file; command.c joins them in this order. */
extern const ui_command ui_commands_move[];    /* going about */
extern const ui_command ui_commands_select[];  /* marks, find, filter, sort */
extern const ui_command ui_commands_values[];  /* gains, t, lambda ... */
extern const ui_command ui_commands_edit[];    /* undo, write, load, copy ... */
extern const ui_command ui_commands_text[];    /* preview and Duel */
extern const ui_command ui_commands_work[];    /* merge and jobs */
extern const ui_command ui_commands_learn[];   /* Fisher */
extern const ui_command ui_commands_program[]; /* set, theme, log ... */

#endif
