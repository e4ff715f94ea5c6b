/* widgets.h - the pieces that screens are made of. Pure drawing: all clips, nothing is kept.
 *
 * Values are shares of what the piece shows (0 to 1) unless said otherwise; NaN draws "not
 * known". Rectangles may lie outside the grid and may be too small. */
#ifndef UI_WIDGETS_H
#define UI_WIDGETS_H

#include "tui/draw/glyphs.h"
#include "tui/draw/grid.h"
#include "tui/draw/numbers.h"

/* --- text in columns --- */

/* Right-aligned in w columns from x; too long: the end is lost. Returns w. */
int ui_put_right(ui_grid *g, int x, int y, int w, ui_role role, const char *text);
int ui_put_centre(ui_grid *g, int x, int y, int w, ui_role role, const char *text);

typedef struct ui_col {
    const char *head;
    int width;
    char align; /* 'l', 'r' */
    int x;      /* filled by ui_cols_layout */
} ui_col;
/* Columns from x on, `gap` blanks between; returns the x after the last. */
int ui_cols_layout(ui_col *cols, int n, int x, int gap);
void ui_cols_heads(ui_grid *g, int y, const ui_col *cols, int n); /* role UI_HEAD */
void ui_put_col(ui_grid *g, int y, const ui_col *col, ui_role role, const char *text);

/* --- heat, sliders, bars --- */

/* Level 0-9 of v between min and max over what is visible: logarithmic, or v/max if linear.
 * 0 for v = 0; -1 for NaN. */
int ui_heat_level(double v, double min, double max, bool linear);
/* w cells in role UI_HEAT0 + level; level -1: the glyph for "no such tensor", dim. */
void ui_draw_heat(ui_grid *g, int x, int y, int w, int level, ui_heat_style style);

/* w cells from lo to hi: bar to the knob at v, a cross at 1, ends for values outside. */
void ui_draw_slider(ui_grid *g, int x, int y, int w, double v, double lo, double hi,
                    ui_role knob);
/* The value under column `cell` of such a slider (its middle), for the mouse. */
double ui_slider_value(int cell, int w, double lo, double hi);

/* A bar of eighths over w cells; empty cells are blank. ASCII rounds to whole '#'. */
void ui_draw_bar(ui_grid *g, int x, int y, int w, double share, ui_role role);
/* The same between two ends, w columns in all: ▕████▎  ▏. */
void ui_draw_gauge(ui_grid *g, int x, int y, int w, double share, ui_role role);
/* n values as heights from 0 to max over w cells; more values than cells: the largest of
 * each cell's. Returns columns used (n or w). */
int ui_draw_spark(ui_grid *g, int x, int y, int w, const double *v, int n, double max,
                  ui_role role);

/* --- frames --- */

/* ─ title ─────────── over w columns. Focused: role UI_FOCUS, and a mark without colour. */
void ui_draw_title(ui_grid *g, int x, int y, int w, const char *title, bool focused);
/* A box with its title in the upper edge; clears what is under it. Returns the inside,
 * one blank from the edges. */
ui_rect ui_draw_popup(ui_grid *g, ui_rect box, const char *title);
/* A box of w x h (at most the area) in the middle of area. */
ui_rect ui_centre(ui_rect area, int w, int h);
void ui_draw_vline(ui_grid *g, int x, int y, int h);
/* Track and thumb over h cells for rows first .. first+shown-1 of total; blank if all are
 * shown. */
void ui_draw_scrollbar(ui_grid *g, int x, int y, int h, int first, int shown, int total);
/* └────┘ under a strip of w cells that stand for total rows. */
void ui_draw_extent(ui_grid *g, int x, int y, int w, int first, int shown, int total);

/* "key text" pairs of a hint row, at most w columns, cut at a whole item. Items are parted by
 * two blanks; the key is the item's first word. Returns columns used. */
int ui_draw_hints(ui_grid *g, int x, int y, int w, const char *items);
/* Which item of the hint row column `col` hits: byte offset of its key in items, or -1. */
int ui_hint_at(const char *items, int w, int col);

#endif
