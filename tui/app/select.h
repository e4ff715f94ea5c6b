/* select.h - selectors as typed in the workbench: the language of recipes (merge/selector.h)
 * and the words that only the screen knows (marked cursor selected locked, and comparisons
 * with a number that is shown: damage>1.5m gain<1), joined by & and negated by !. */
#ifndef UI_SELECT_H
#define UI_SELECT_H

#include "tui/app/app.h"

typedef struct ui_mask {
    int n_layers;
    bool *bit;                  /* [n_layers + 1, RS_FACTOR_KINDS] */
    bool *row;                  /* [n_layers + 1]: holds a tensor that the model has */
    bool kind[RS_FACTOR_KINDS]; /* the same, in any layer */
    double *weight; /* [n_layers + 1] of the rows: 1, or the brush's fall-off */
    bool has_part;  /* names single tensors: never whole rows or kinds */
} ui_mask;

/* What a mask is in terms of the four factors. */
typedef enum ui_shape {
    UI_SHAPE_NONE,
    UI_SHAPE_ALL,
    UI_SHAPE_ROWS,
    UI_SHAPE_KINDS,
    UI_SHAPE_CELLS
} ui_shape;

/* false: not a selector, or it matches nothing here; err says which word. */
bool ui_select(const ui_app *a, const char *text, ui_mask *out, rs_err *err);
/* The rows that keys apply to (ui_rows_target); false: none. hidden: filtered among them. */
bool ui_select_target(const ui_app *a, ui_mask *out, int *hidden);
/* The tensor under the layer detail's cursor. */
bool ui_select_tensor(const ui_app *a, int i_tensor, ui_mask *out);
ui_shape ui_mask_shape(const ui_mask *m);
bool ui_mask_row(const ui_mask *m, int row); /* any tensor of it */
int ui_mask_n_rows(const ui_mask *m);
/* Tensors of the plan that a mask holds, and of them those with a delta; numbers in the
 * latter (any pointer may be NULL). */
int ui_mask_tensors(const ui_app *a, const ui_mask *m, int *with_delta, int64_t *numbers);
void ui_mask_free(ui_mask *m);

#endif
