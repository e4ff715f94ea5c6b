/* screens.h - what the screens offer to the commands: where their cursors go, what their rows
 * are called, and how the space of Ring is divided. */
#ifndef UI_SCREENS_H
#define UI_SCREENS_H

#include "tui/app/state.h"

/* Cursor of the focused panel by that many rows (a text pane: lines; Duel: paragraphs). */
void ui_move(ui_app *a, int by);
void ui_move_page(ui_app *a, int pages, int halves);
void ui_move_end(ui_app *a, bool last);
/* Rows of the list on the screen as text, for find: false past the end. */
bool ui_row_text(const ui_app *a, int i, char dst[256]);
int ui_row_cursor(const ui_app *a);
void ui_row_go(ui_app *a, int i);

/* --- the layer detail --- */

typedef struct ui_detail_layout {
    int rows, more; /* y of the first tensor, of the line under them */
    int n_rows;
    ui_rect spectrum, histogram, facts; /* h 0: no room */
} ui_detail_layout;
ui_detail_layout ui_detail_layout_of(const ui_app *a, ui_rect body, int n_tensors);
void ui_detail_draw_plots(const ui_app *a, ui_grid *g, const ui_detail_layout *l, int here);
/* The rank under column x of the spectrum; 0: none there. */
int ui_detail_rank_at(const ui_app *a, const ui_detail_layout *l, int here, int x);
/* "q_proj", "input_layernorm": what follows the layer. */
void ui_tensor_short_name(const rs_plan_tensor *t, char dst[96]);

/* --- Jobs --- */

/* Curves, corpora, rate and leak of a training, from the top of r; returns the rows used. */
int ui_jobs_draw_training(ui_grid *g, ui_rect r, const struct ui_track *t);

/* --- Ring --- */

typedef struct ui_ring_layout {
    ui_rect controls, head, list, emb, kinds, summary, panels, strip, preview_head, text,
        side;
    bool wide;    /* 120 columns and more: kept, both coefficients */
    bool compact; /* more rows than space: heat without gaps, a panel at the right */
    bool beside;  /* preview and plots at the right of the rows */
    int visible;  /* rows of the list, without emb */
} ui_ring_layout;

ui_ring_layout ui_ring_layout_of(const ui_app *a, ui_rect body);

/* Columns of a row; x < 0: not shown. */
typedef struct ui_ring_columns {
    int heat, heat_step, heat_w, slider, slider_w, gain, d, damage, kept, norm, theta, t,
        c_a, c_b, survival, end;
    bool wide_share; /* "51 %" or "51%" */
} ui_ring_columns;
ui_ring_columns ui_ring_columns_of(const ui_app *a, const ui_ring_layout *l);

int ui_heat_kinds(const ui_app *a); /* columns of heat: 9, or 7 without G and P */
double ui_heat_value(const ui_app *a, int layer, int kind); /* NaN: no such tensor */
ui_shade ui_heat_shade(const ui_app *a); /* what the cells show: the option's, if it can */
void ui_heat_range(const ui_app *a, double *min, double *max);
/* What the legend calls it: "heat", "heat 3/8~" of a run in progress. Is it one? */
bool ui_heat_word(const ui_app *a, char dst[32]);

void ui_ring_view(const ui_app *a, ui_grid *g, ui_rect body);
bool ui_ring_update(ui_app *a, const ui_msg *m, ui_effects *fx);
void ui_ring_hints(const ui_app *a, rs_buf *out);
void ui_ring_draw_rows(const ui_app *a, ui_grid *g, const ui_ring_layout *l);
void ui_ring_draw_panels(const ui_app *a, ui_grid *g, const ui_ring_layout *l);
void ui_ring_draw_text(const ui_app *a, ui_grid *g, const ui_ring_layout *l);
void ui_ring_draw_controls(const ui_app *a, ui_grid *g, ui_rect r, bool wide);
/* Fields of the controls line: how many, and the i-th one's place on the row. */
int ui_ring_n_fields(const ui_app *a);
/* "mask itspace both 1.000", or the command that sets it (tui/app/masks.c). */
void ui_mask_words(const rs_mask_spec *m, bool as_command, char dst[160]);
bool ui_ring_field(const ui_app *a, bool wide, int i, int *x, int *w, char text[96]);
int ui_ring_text_lines(const ui_app *a, const ui_ring_layout *l); /* of the preview */
/* "layer 4, sliding" style facts, one a line, for panel and info. */
void ui_ring_legend(rs_buf *out); /* what the columns of the rows mean */
void ui_ring_facts(const ui_app *a, int row, bool all, rs_buf *out);

/* --- layer detail --- */

/* Tensors of the layer (the plan's indices) that the detail lists; owned by the caller. */
int *ui_detail_tensors(const ui_app *a, int *n, int *n_more);
int ui_detail_here(const ui_app *a); /* tensor under the cursor, or -1 */
void ui_detail_view(const ui_app *a, ui_grid *g, ui_rect body);
bool ui_detail_update(ui_app *a, const ui_msg *m, ui_effects *fx);
void ui_detail_hints(const ui_app *a, rs_buf *out);

/* --- Duel --- */

void ui_duel_view(const ui_app *a, ui_grid *g, ui_rect body);
bool ui_duel_update(ui_app *a, const ui_msg *m, ui_effects *fx);
void ui_duel_hints(const ui_app *a, rs_buf *out);
const ui_pane *ui_duel_pane(const ui_app *a, int side);
int ui_duel_paragraphs(const ui_app *a, int side);

/* --- Jobs --- */

void ui_jobs_view(const ui_app *a, ui_grid *g, ui_rect body);
bool ui_jobs_update(ui_app *a, const ui_msg *m, ui_effects *fx);
void ui_jobs_hints(const ui_app *a, rs_buf *out);

#endif
