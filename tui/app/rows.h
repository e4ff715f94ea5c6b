/* rows.h - the rows of Ring: one a layer and one for everything outside the layers; cursor,
 * marks, filter, order and brush. Rows are numbered as in rs_measure: the last is "emb". */
#ifndef UI_ROWS_H
#define UI_ROWS_H

#include "tui/app/document.h"

#include <stdbool.h>

typedef enum ui_sort {
    UI_SORT_LAYER,
    UI_SORT_DAMAGE,
    UI_SORT_KEPT,
    UI_SORT_GAIN,
    UI_N_SORTS
} ui_sort;
typedef enum ui_falloff {
    UI_FALL_FLAT,
    UI_FALL_LINEAR,
    UI_FALL_COSINE,
    UI_N_FALLS
} ui_falloff;

typedef struct ui_rows {
    int n;        /* rows: layers + 1; 0: nothing is open */
    int cursor;   /* a row */
    int top;      /* index in order of the first one on the screen */
    bool *marked; /* [n] */
    int *order;   /* [n_order] rows that the filter lets through, but for emb */
    int n_order;
    bool shows_emb;
    bool *passes; /* [n] the filter */
    char filter[128], filter_before[128]; /* before: when its line was opened */
    ui_sort sort;
    bool reverse, ranging;
    int anchor;
    int brush; /* rows each side */
    ui_falloff falloff;
} ui_rows;

void ui_rows_resize(ui_rows *r, int n); /* forgets marks and filter if n differs */
/* Sorts and filters again. */
void ui_rows_arrange(ui_rows *r, const ui_document *d);
int ui_rows_shown(const ui_rows *r); /* emb included */
int ui_rows_at(const ui_rows *r,
               int place); /* row at a place of the screen's list, or -1 */
int ui_rows_place(const ui_rows *r, int row); /* the other way, or -1 */
void ui_rows_move(ui_rows *r, int by);        /* stops at the ends */
void ui_rows_to(ui_rows *r, int place);
/* Keeps the cursor within `visible` rows of the list without emb. */
void ui_rows_scroll(ui_rows *r, int visible);
int ui_rows_n_marked(const ui_rows *r);
/* What an edit applies to: weight [n] between 0 and 1 (marked rows, else the brush round the
 * cursor, else the cursor row). Returns how many rows have one; *hidden: of them filtered. */
int ui_rows_target(const ui_rows *r, double *weight, int *hidden);
/* "layers.0-3,6", "embed", "*" for a set of rows into dst. */
void ui_rows_selector(const ui_rows *r, const double *weight, char *dst, size_t n);
void ui_rows_free(ui_rows *r);

const char *ui_sort_name(ui_sort s);
const char *ui_falloff_name(ui_falloff f);

#endif
