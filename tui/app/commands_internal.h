/* commands_internal.h - handlers that stand in another file than their row of the table. */
#ifndef UI_COMMANDS_INTERNAL_H
#define UI_COMMANDS_INTERNAL_H

#include "tui/app/state.h"
#include "tui/app/values.h"

#define UI_HANDLER(name) bool name(ui_app *a, const ui_args *args, ui_effects *fx)

/* gains.c: values by key and by line */
UI_HANDLER(ui_cmd_less);
UI_HANDLER(ui_cmd_more);
UI_HANDLER(ui_cmd_less_big);
UI_HANDLER(ui_cmd_more_big);
UI_HANDLER(ui_cmd_gain);
UI_HANDLER(ui_cmd_t);
UI_HANDLER(ui_cmd_lane);
UI_HANDLER(ui_cmd_reset);
UI_HANDLER(ui_cmd_mute);
UI_HANDLER(ui_cmd_solo);
UI_HANDLER(ui_cmd_lock);

/* shapes.c: many values at once */
UI_HANDLER(ui_cmd_brush);
UI_HANDLER(ui_cmd_brush_narrow);
UI_HANDLER(ui_cmd_brush_wide);
UI_HANDLER(ui_cmd_curve);
UI_HANDLER(ui_cmd_random);
UI_HANDLER(ui_cmd_gains);
UI_HANDLER(ui_cmd_copy_line);
UI_HANDLER(ui_cmd_paste);

/* stages.c: numbers of a whole stage */
UI_HANDLER(ui_cmd_dampen);
UI_HANDLER(ui_cmd_mask);
/* The list behind the mask's field. */
void ui_mask_menu(ui_menu *m);
UI_HANDLER(ui_cmd_normaliser);
UI_HANDLER(ui_cmd_lambda);
UI_HANDLER(ui_cmd_lambda_up);
UI_HANDLER(ui_cmd_lambda_down);
UI_HANDLER(ui_cmd_scale);
UI_HANDLER(ui_cmd_scale_up);
UI_HANDLER(ui_cmd_scale_down);
UI_HANDLER(ui_cmd_weight);
UI_HANDLER(ui_cmd_budget);

/* train_job.c: an adapter, trained in the background */
UI_HANDLER(ui_cmd_train);

/* detail_look.c: the cut of the spectrum */
UI_HANDLER(ui_cmd_rank);

/* heal.c: the slerp at the end */
UI_HANDLER(ui_cmd_heal);

/* inputs.c: sources of the stage, and versions of the recipe */
UI_HANDLER(ui_cmd_add);
UI_HANDLER(ui_cmd_remove);
UI_HANDLER(ui_cmd_recall);
UI_HANDLER(ui_cmd_notes);

/* scenes.c */
UI_HANDLER(ui_cmd_scene);
UI_HANDLER(ui_cmd_scene_clear);
UI_HANDLER(ui_cmd_morph);

/* A name that nothing of the recipe has, from a path's last part; NULL: no memory (inputs.c). */
const char *ui_new_name(rs_recipe *r, const char *path);
/* What lies at full (a model, or an adapter: then folded on the model `on`) as an entry of the
 * recipe; its name. NULL: neither of these, or no memory (inputs.c). */
const char *ui_add_model(rs_recipe *r, const char *full, const char *on);
/* A copy to edit and its fuel stage; NULL after saying why (stages.c). */
rs_recipe *ui_begin_fuel(ui_app *a, rs_stage **s);
/* One value by op on what the keys apply to: rows, a kind, a tensor of the detail. */
bool ui_value_edit(ui_app *a, ui_op op, bool live);
void ui_value_entry(ui_app *a, char op);
/* "2 rows changed, 1 of them hidden, layer 5 is locked" */
void ui_outcome_words(const ui_outcome *o, int hidden, char *dst, size_t n);
/* true: everything was locked; said so. */
bool ui_all_locked(ui_app *a, const ui_outcome *o);
/* "12.5m" or "12.5": a finite number; false: not one. m: thousandths allowed. */
bool ui_read_value(const char *s, bool m, double *v);

/* prepare.c */
UI_HANDLER(ui_cmd_prepare);

#endif
