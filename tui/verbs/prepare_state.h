/* prepare_state.h - is a file that a recipe describes there, and what it would be today?
 *
 * What a file was made from stands in its own metadata (UI_MADE_FROM): one JSON object of the
 * make's settings, usual ones too, and of the contents of what it names, as hashes. It is
 * fresh where that is what it would be made from now. Names and paths do not count. */
#ifndef UI_PREPARE_STATE_H
#define UI_PREPARE_STATE_H

#include "tui/verbs/products.h"

typedef enum ui_made_state {
    UI_MADE_FRESH,
    UI_MADE_MISSING,
    UI_MADE_STALE,
    UI_MADE_FOREIGN, /* it does not say that prepare made it: kept */
    UI_MADE_UNKNOWN, /* what it was made from is not there: kept */
    UI_MADE_DAMAGED  /* it cannot be read: an error, unless it is to be made */
} ui_made_state;

typedef struct ui_made_row {
    rs_made made;
    char path[4096]; /* of the file */
    ui_made_state state;
    char why[200];            /* stale, foreign, unknown: a clause; else "" */
    bool wanted, forced;      /* it is to be made; whatever its state */
    bool resumed;             /* where an earlier run was stopped */
    double seconds;           /* it took; < 0: not made */
} ui_made_row;

typedef struct ui_preparation {
    ui_common *common;
    ui_progress *show;
    rs_recipe *recipe;
    const char *file;  /* of the recipe */
    ui_made_row *rows; /* [n], each after what it needs */
    int n;
} ui_preparation;

/* Sets the paths of all rows and what is wanted of them. only: the rows of that name and what
 * they need; force: these are wanted whatever their state. Inputs of what is wanted are there,
 * or it is an error. */
rs_status ui_prepare_look(ui_preparation *p, const char *only, bool force,
                          rs_err *err) RS_MUST_USE;
/* Of one row anew, after something that it needs was made. */
rs_status ui_prepare_look_again(ui_preparation *p, ui_made_row *row, rs_err *err) RS_MUST_USE;
const char *ui_made_state_name(ui_made_state s);
/* RS_E_EXISTS: what is at the row's path, and would be replaced, is what the recipe reads. */
rs_status ui_prepare_apart(const ui_preparation *p, const ui_made_row *row,
                           rs_err *err) RS_MUST_USE;

/* --- inputs of a row --- */

typedef struct ui_inputs {
    ui_product product; /* model, data and measure point into the rest */
    char model[2][4096], measure[4096];
    char *text; /* paths of data, each followed by a 0 */
    const char **data;
    const rs_model_entry *folded[2]; /* model is an adapter on a model: made for the time */
    bool folds;                      /* the folder of these is there, and ours */
    int lock;                        /* of that folder */
} ui_inputs;

/* Finds everything. A measure that is not there is no error where `lenient`. */
rs_status ui_inputs_find(const ui_preparation *p, const rs_make *m, bool lenient,
                         ui_inputs *in, rs_err *err) RS_MUST_USE;
void ui_inputs_free(ui_inputs *in);
/* The value of UI_MADE_FROM. */
rs_status ui_inputs_text(const ui_preparation *p, const rs_make *m, const ui_inputs *in,
                         rs_buf *out, rs_err *err) RS_MUST_USE;
/* rs_recipe_resolve with the hub's names. */
rs_status ui_recipe_path(const rs_recipe *r, const char *path, bool made,
                         const char *what, char out[4096], rs_err *err) RS_MUST_USE;

#endif
