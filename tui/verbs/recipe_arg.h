/* recipe_arg.h - a recipe by argument, with its plan: shared by plan, merge, damage. */
#ifndef UI_RECIPE_ARG_H
#define UI_RECIPE_ARG_H

#include "merge/measure.h"
#include "merge/plan.h"
#include "merge/spread.h"
#include "tui/verbs/verbs.h"

typedef struct ui_recipe {
    rs_recipe *recipe;
    rs_plan *plan;
    char *stage; /* of RECIPE:STAGE, or NULL */
} ui_recipe;

/* RECIPE.json or RECIPE.json:STAGE. A merged folder is a plain model: its weights are there. */
bool ui_names_recipe(const char *what);

/* FILE.json, a merged folder, or either with :STAGE. The handle is valid to close in any
 * case. */
rs_status ui_recipe_open(ui_common *c, const char *what, ui_recipe *r, rs_err *err) RS_MUST_USE;
void ui_recipe_close(ui_recipe *r);

/* All sums of the plan and what follows from them. with_output: survival and changed too. */
rs_status ui_recipe_measure(ui_common *c, const rs_plan *p, bool with_output, const char *verb,
                            rs_measure **out, rs_err *err) RS_MUST_USE;

/* Appends a sentence where a mask's subspace says that it belongs to other models than the
 * base (recipe_masks.c). show: tells of the reading, may be NULL. */
rs_status ui_recipe_foreign_mask(ui_common *c, const rs_plan *p, ui_progress *show,
                                 rs_buf *out, rs_err *err) RS_MUST_USE;

/* Columns of the table of layers, shared by damage and plan. */
void ui_measure_table(const rs_plan *p, const rs_measure *m, rs_buf *out);
void ui_measure_json(const rs_plan *p, const rs_measure *m, rs_buf *out);

/* How the Fisher of the tensors that a selector takes lies, and where the recipe cuts it, into
 * out: text, or one JSON document (recipe_spread.c). */
rs_status ui_recipe_spread(ui_common *c, const rs_plan *p, const char *selector, rs_buf *out,
                           rs_err *err) RS_MUST_USE;
/* "mean", "p99", "hard q 0.99": a mark's name. */
void ui_mark_name(const rs_mark *m, const rs_dampen_spec *d, char dst[32]);

#endif
