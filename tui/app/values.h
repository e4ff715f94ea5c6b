/* values.h - gains and t of many tensors at once: set, add, take, multiply over a mask.
 *
 * A mask's shape decides which factor is touched (screens.md 3.1): everything the master (or
 * t's default), whole rows the layer factors, whole kinds the kind factors, else the cells.
 * Where a factor takes a locked tensor along, its cell factor makes up for it, so nothing
 * locked ever changes. Values are rounded to a millionth, so that a step and its opposite
 * cancel. */
#ifndef UI_VALUES_H
#define UI_VALUES_H

#include "tui/app/select.h"

typedef struct ui_op {
    char op; /* '=' '+' '-' '*' */
    double value;
    bool by_key; /* stops at the slider's ends instead of the limits of exact entry */
} ui_op;

typedef struct ui_outcome {
    int n;            /* rows, kinds or tensors that were changed or already there */
    int stopped;      /* of them: at the end of the range */
    int locked;       /* left alone */
    int first_locked; /* a row, -1: none */
    char what[16];    /* "row", "kind", "cell", "value" */
} ui_outcome;

enum { UI_GAIN_MIN = -2, UI_GAIN_MAX = 3, UI_T_MIN = -1, UI_T_MAX = 2 };

/* "=0.5" "+0.05" "-0.1" "*0.5" */
bool ui_op_parse(const char *text, ui_op *out);
/* Changes the stage in r. false: err says why; r is then not to be used. */
bool ui_gain_apply(const ui_app *a, rs_recipe *r, const ui_mask *m, ui_shape shape,
                   ui_op op, ui_outcome *out, rs_err *err);
bool ui_t_apply(const ui_app *a, rs_recipe *r, const ui_mask *m, ui_shape shape, ui_op op,
                ui_outcome *out, rs_err *err);
/* Gains (or t) of the mask's rows as in the saved recipe. */
bool ui_values_reset(const ui_app *a, rs_recipe *r, const rs_recipe *saved,
                     const ui_mask *m, bool of_t, ui_outcome *out, rs_err *err);
/* One value for each row [n_layers + 1], NaN: leave it; as `=` on that row. */
bool ui_gain_rows(const ui_app *a, rs_recipe *r, const double *value, ui_outcome *out,
                  rs_err *err);
bool ui_t_rows(const ui_app *a, rs_recipe *r, const double *value, ui_outcome *out,
               rs_err *err);
/* master x layer of each layer (NaN where there is no recipe), [n_layers]. */
bool ui_gain_line(const ui_app *a, double *value);

typedef enum ui_flag { UI_FLAG_MUTE, UI_FLAG_SOLO, UI_FLAG_LOCK } ui_flag;
/* Sets the flag on the mask's cells if any of them lacks it, else takes it off. *on: which. */
bool ui_flag_toggle(const ui_app *a, rs_recipe *r, const ui_mask *m, ui_flag flag,
                    bool *on, rs_err *err);

/* Curves over n marked rows (screens.md 3.1): value at place i, from FROM to TO. */
double ui_curve(const char *name, int i, int n, double from, double to);
const char *ui_curve_name(int i, const char **help); /* NULL past the end */

#endif
