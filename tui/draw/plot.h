/* plot.h - line plots with axes, and histograms. Braille dots (2 x 4 a cell), or characters
 * at the other glyph levels. Pure drawing; points outside the axes are not drawn. */
#ifndef UI_PLOT_H
#define UI_PLOT_H

#include "tui/draw/grid.h"

typedef struct ui_axis {
    double min, max;
    bool log;             /* min must be above 0 */
    const char *unit;     /* after the last tick (x), under the ticks (y); may be NULL */
    double tick[8];       /* where; labels by ui_tick_label unless given */
    const char *label[8]; /* NULL: written from the number */
    int n_ticks;
} ui_axis;

typedef struct ui_series {
    const double *x, *y; /* [n]; NaN breaks the line */
    int n;
    ui_role role; /* UI_SERIES0.. */
    bool dots;    /* points only, no line */
} ui_series;

typedef struct ui_rule { /* a vertical line at x */
    double x;
    bool heavy; /* ┃ cut in force, else ┆ */
} ui_rule;

typedef struct ui_plot {
    ui_axis x, y;
    ui_series series[4]; /* without colour: line, dots, dashes, crosses */
    int n_series;
    ui_rule rule[4];
    int n_rules;
    bool has_point; /* ◆ at (point_x, point_y), with a text beside it */
    double point_x, point_y;
    const char *point_text;
    int label_width; /* columns of the y labels; 0: as needed */
    bool frame;      /* └──── under the plot, above the x labels */
} ui_plot;

/* Ticks of 1, 2 or 5 times a power of ten (log: powers of ten), at most n (<= 8). */
void ui_axis_ticks(ui_axis *a, int n);
/* Draws axes, labels (the last row of r) and series. */
void ui_draw_plot(ui_grid *g, ui_rect r, const ui_plot *p);
/* Column of the plot area (0 = first after the axis) at x value v, or -1; and back. */
int ui_plot_column(ui_rect r, const ui_plot *p, double v);
double ui_plot_value(ui_rect r, const ui_plot *p, int column);

/* Columns of eighths: n counts over r.w cells (largest per cell when n > r.w), the highest
 * filling r.h rows. x axis and rules: as in a plot whose x axis is `axis` (may be NULL). */
void ui_draw_histogram(ui_grid *g, ui_rect r, const double *count, int n,
                       const ui_axis *axis, const ui_rule *rules, int n_rules);

#endif
