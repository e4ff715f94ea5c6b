#include "tui/draw/plot.h"

#include "tui/draw/glyphs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TICKS = 8, LABEL_BYTES = 24 };

/* --- axes --- */

static bool is_usable(const ui_axis *a)
{
    return isfinite(a->min) && isfinite(a->max) && a->max > a->min &&
           (!a->log || a->min > 0);
}

/* Place of v on the axis: 0 at min, 1 at max; NaN if it has none. */
static double share_of(const ui_axis *a, double v)
{
    if (!is_usable(a) || !isfinite(v) || (a->log && v <= 0)) return NAN;
    if (a->log) return log(v / a->min) / log(a->max / a->min);
    return (v - a->min) / (a->max - a->min);
}

static void log_ticks(ui_axis *a, int n)
{
    int lo = (int)ceil(log10(a->min) - 1e-9), hi = (int)floor(log10(a->max) + 1e-9);
    int stride = (hi - lo) / n + 1;
    for (int e = lo; e <= hi && a->n_ticks < n; e += stride)
        a->tick[a->n_ticks++] = pow(10, e);
}

void ui_axis_ticks(ui_axis *a, int n)
{
    static const double steps[] = {1, 2, 5, 10};
    a->n_ticks = 0;
    if (!is_usable(a) || n < 2) return;
    if (n > MAX_TICKS) n = MAX_TICKS;
    if (a->log) {
        log_ticks(a, n);
        return;
    }
    double range = a->max - a->min, unit = pow(10, floor(log10(range / n)));
    double step = unit * 10;
    for (int i = 3; i >= 0; i--)
        if (floor(a->max / (unit * steps[i]) + 1e-9) -
                ceil(a->min / (unit * steps[i]) - 1e-9) + 1 <=
            n)
            step = unit * steps[i];
    double first = ceil(a->min / step - 1e-9);
    while (a->n_ticks < n && (first + a->n_ticks) * step <= a->max + step * 1e-9) {
        a->tick[a->n_ticks] = (first + a->n_ticks) * step;
        a->n_ticks++;
    }
}

static const char *tick_label(const ui_axis *a, int i, char out[LABEL_BYTES])
{
    if (a->label[i]) return a->label[i];
    double v = fabs(a->tick[i]) < 1e-12 * (fabs(a->max) + fabs(a->min)) ? 0 : a->tick[i];
    snprintf(out, LABEL_BYTES, "%.4g", v);
    return out;
}

static int n_ticks(const ui_axis *a)
{
    return a->n_ticks < 0 ? 0 : a->n_ticks > MAX_TICKS ? MAX_TICKS : a->n_ticks;
}

static int label_width(const ui_plot *p)
{
    if (p->label_width > 0) return p->label_width;
    int most = 0;
    for (int i = 0; i < n_ticks(&p->y); i++) {
        char text[LABEL_BYTES];
        const char *label = tick_label(&p->y, i, text);
        int w = ui_text_width(label, strlen(label));
        if (w > most) most = w;
    }
    return most;
}

/* The cells of the series: right of the axis, above the labels. */
static ui_rect plot_area(ui_rect r, const ui_plot *p)
{
    int left = label_width(p) + 1, below = p->frame ? 2 : 1;
    ui_rect area = {r.x + left, r.y, r.w - left, r.h - below};
    if (area.w < 0) area.w = 0;
    if (area.h < 0) area.h = 0;
    return area;
}

/* Which of `cells` holds the value, or -1. */
static int cell_of(const ui_axis *a, double v, int cells)
{
    double s = share_of(a, v);
    if (isnan(s) || s < -1e-9 || s > 1 + 1e-9 || cells < 1) return -1;
    int cell = (int)floor(s * (cells - 1) + 0.5);
    return cell < 0 ? 0 : cell >= cells ? cells - 1 : cell;
}

int ui_plot_column(ui_rect r, const ui_plot *p, double v)
{
    return cell_of(&p->x, v, plot_area(r, p).w);
}

double ui_plot_value(ui_rect r, const ui_plot *p, int column)
{
    int w = plot_area(r, p).w;
    if (!is_usable(&p->x) || w < 2) return p->x.min;
    double s = (double)(column < 0 ? 0 : column > w - 1 ? w - 1 : column) / (w - 1);
    if (p->x.log) return p->x.min * pow(p->x.max / p->x.min, s);
    return p->x.min + s * (p->x.max - p->x.min);
}

/* Labels of an x axis under `area`, each beginning at its tick, none over another. */
static void draw_x_labels(ui_grid *g, ui_rect area, int y, const ui_axis *a)
{
    int free_from = area.x, edge = area.x + area.w, end = edge;
    if (a->unit) end -= ui_text_width(a->unit, strlen(a->unit)) + 1;
    for (int i = 0; i < n_ticks(a); i++) {
        char text[LABEL_BYTES];
        const char *label = tick_label(a, i, text);
        int column = cell_of(a, a->tick[i], area.w),
            w = ui_text_width(label, strlen(label));
        if (column < 0) continue;
        int x = area.x + column;
        if (x + w > end) x = end - w;
        if (x < free_from) continue;
        ui_put(g, x, y, end - x, UI_DIM, label);
        free_from = x + w + 1;
    }
    if (a->unit && free_from < edge)
        ui_put(g, free_from, y, edge - free_from, UI_DIM, a->unit);
}

static void draw_frame(ui_grid *g, ui_rect r, ui_rect area, const ui_plot *p)
{
    int axis = area.x - 1;
    ui_fill(g, (ui_rect){axis, area.y, 1, area.h}, UI_DIM, ui_glyph(g, UI_G_VLINE));
    for (int i = 0; i < n_ticks(&p->y); i++) {
        char text[LABEL_BYTES];
        const char *label = tick_label(&p->y, i, text);
        int row = cell_of(&p->y, p->y.tick[i], area.h);
        if (row < 0) continue;
        int y = area.y + area.h - 1 - row, w = ui_text_width(label, strlen(label));
        if (w <= axis - r.x) ui_put(g, axis - w, y, w, UI_DIM, label);
        ui_put(g, axis, y, 1, UI_DIM, ui_glyph(g, UI_G_TEE_LEFT));
    }
    int below = area.y + area.h;
    if (p->frame) {
        ui_put(g, axis, below, 1, UI_DIM, ui_glyph(g, UI_G_BOTTOM_LEFT));
        ui_fill(g, (ui_rect){area.x, below, area.w, 1}, UI_DIM, ui_glyph(g, UI_G_HLINE));
        below++;
    }
    draw_x_labels(g, area, below, &p->x);
    if (p->y.unit) ui_put(g, r.x, below, axis - r.x, UI_DIM, p->y.unit);
}

static void draw_rules(ui_grid *g, ui_rect area, const ui_axis *a, const ui_rule *rules,
                       int n)
{
    for (int i = 0; i < n; i++) {
        int column = cell_of(a, rules[i].x, area.w);
        if (column < 0) continue;
        ui_fill(g, (ui_rect){area.x + column, area.y, 1, area.h}, UI_DIM,
                ui_glyph(g, rules[i].heavy ? UI_G_CUT : UI_G_OTHER));
    }
}

/* --- series --- */

/* What a line is drawn on: pixels of a cell each, or 2 x 4 braille dots a cell. */
typedef struct canvas {
    ui_grid *g;
    ui_rect area;
    int w, h; /* pixels */
    bool is_braille, patterned;
} canvas;

static void set_dot(const canvas *c, int px, int py, ui_role role, char letter)
{
    static const unsigned char bit[4][2] = {
        {0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    if (px < 0 || py < 0 || px >= c->w || py >= c->h) return;
    if (!c->is_braille) {
        char text[2] = {letter, 0};
        ui_put(c->g, c->area.x + px, c->area.y + py, 1, role, text);
        return;
    }
    ui_cell *cell = ui_grid_at(c->g, c->area.x + px / 2, c->area.y + py / 4);
    if (!cell) return;
    bool has_dots = cell->cp[0] >= 0x2800 && cell->cp[0] <= 0x28FF;
    uint32_t cp = (has_dots ? cell->cp[0] : 0x2800) | bit[py % 4][px % 2];
    *cell = (ui_cell){{cp, 0, 0}, 1, (uint8_t)role};
}

/* The k-th pixel of series i: without colour the four differ by pattern. */
static bool is_on(const canvas *c, int i, int k)
{
    if (!c->patterned || !c->is_braille) return true;
    return i == 0 || (i == 1 && k % 3 == 0) || (i == 2 && k % 7 < 4) ||
           (i == 3 && k % 6 == 0);
}

static void draw_pixel(const canvas *c, int i, int k, int px, int py, ui_role role)
{
    static const char letters[4] = {'*', '.', '-', 'x'};
    if (!is_on(c, i, k)) return;
    set_dot(c, px, py, role, letters[i]);
    if (!(c->patterned && c->is_braille && i == 3)) return;
    for (int d = 0; d < 4; d++) /* a small cross */
        set_dot(c, px + (d & 1 ? 1 : -1), py + (d & 2 ? 1 : -1), role, letters[i]);
}

/* Cuts the part t0..t1 of a line where p + t d leaves 0 .. size - 1. */
static bool cut_axis(double p, double d, double size, double *t0, double *t1)
{
    if (fabs(d) < 1e-12) return p >= -0.5 && p <= size - 0.5;
    double a = (-0.5 - p) / d, b = (size - 0.5 - p) / d;
    if (a > b) {
        double swap = a;
        a = b;
        b = swap;
    }
    if (a > *t0) *t0 = a;
    if (b < *t1) *t1 = b;
    return *t0 <= *t1;
}

/* Returns the pattern's next k, so that dashes go on over short pieces. */
static int draw_segment(const canvas *c, int i, int k, const double a[2],
                        const double b[2], ui_role role)
{
    double d[2] = {b[0] - a[0], b[1] - a[1]}, t0 = 0, t1 = 1;
    if (!cut_axis(a[0], d[0], c->w, &t0, &t1) || !cut_axis(a[1], d[1], c->h, &t0, &t1))
        return k;
    double length = fmax(fabs(d[0]), fabs(d[1])) * (t1 - t0);
    int steps = (int)ceil(length);
    for (int s = 0; s <= steps; s++) {
        double t = steps ? t0 + (t1 - t0) * s / steps : t0;
        draw_pixel(c, i, k++, (int)floor(a[0] + t * d[0] + 0.5),
                   (int)floor(a[1] + t * d[1] + 0.5), role);
    }
    return k - 1;
}

static void draw_series(const canvas *c, int i, const ui_plot *p)
{
    const ui_series *s = &p->series[i];
    double last[2] = {NAN, NAN};
    for (int j = 0, k = 0; j < s->n; j++) {
        double here[2] = {share_of(&p->x, s->x[j]) * (c->w - 1),
                          (1 - share_of(&p->y, s->y[j])) * (c->h - 1)};
        bool known = isfinite(here[0]) && isfinite(here[1]);
        bool is_inside = known && here[0] > -0.5 && here[0] < c->w - 0.5 &&
                         here[1] > -0.5 && here[1] < c->h - 0.5;
        if (known && !s->dots && isfinite(last[0]))
            k = draw_segment(c, i, k, last, here, s->role);
        else if (is_inside)
            draw_pixel(c, i, s->dots ? 0 : k, (int)floor(here[0] + 0.5),
                       (int)floor(here[1] + 0.5), s->role);
        last[0] = known ? here[0] : NAN;
        last[1] = known ? here[1] : NAN;
    }
}

static void draw_point(ui_grid *g, ui_rect area, const ui_plot *p)
{
    int column = cell_of(&p->x, p->point_x, area.w),
        row = cell_of(&p->y, p->point_y, area.h);
    if (column < 0 || row < 0) return;
    int x = area.x + column, y = area.y + area.h - 1 - row, end = area.x + area.w;
    ui_put(g, x, y, 1, UI_ACCENT, ui_glyph(g, UI_G_HERE));
    if (!p->point_text) return;
    int w = ui_text_width(p->point_text, strlen(p->point_text));
    bool fits_right = x + 3 + w <= end;
    int at = fits_right ? x + 3 : x - 2 - w;
    if (at <= area.x) return;
    ui_put(g, at - 1, y, 1, UI_TEXT, " ");
    at += ui_put(g, at, y, w, UI_TEXT, p->point_text);
    if (!fits_right) ui_put(g, at, y, 1, UI_TEXT, " ");
}

void ui_draw_plot(ui_grid *g, ui_rect r, const ui_plot *p)
{
    ui_rect area = plot_area(r, p);
    ui_fill(g, r, UI_TEXT, " ");
    if (area.w < 1 || area.h < 1) return;
    draw_frame(g, r, area, p);
    draw_rules(g, area, &p->x, p->rule, p->n_rules < 4 ? p->n_rules : 4);
    bool is_braille = g->glyphs == UI_GLYPHS_BRAILLE;
    canvas c = {
        g,          area,   area.w * (is_braille ? 2 : 1), area.h * (is_braille ? 4 : 1),
        is_braille, g->mono};
    for (int i = 0; i < p->n_series && i < 4; i++)
        draw_series(&c, i, p);
    if (p->has_point) draw_point(g, area, p);
}

/* --- histogram --- */

static double most_in(const double *count, int n, int i, int w)
{
    int from = (int)((int64_t)i * n / w), to = (int)((int64_t)(i + 1) * n / w);
    double most = 0;
    for (int k = from; k < to || k == from; k++)
        if (count[k] > most) most = count[k];
    return most;
}

static void draw_column(ui_grid *g, int x, int y, int h, double share)
{
    int eighths = (int)floor(share * h * 8 + 0.5);
    if (share > 0 && eighths == 0) eighths = 1;
    for (int row = 0; row < h; row++) {
        int part = eighths - row * 8;
        if (part <= 0) return;
        const char *glyph =
            part >= 8 ? ui_glyph(g, UI_G_FULL) : ui_height_glyph(g, (part - 0.5) / 8);
        if (part < 8 && g->glyphs == UI_GLYPHS_ASCII) glyph = part >= 4 ? "#" : ".";
        ui_put(g, x, y + h - 1 - row, 1, UI_BAR, glyph);
    }
}

void ui_draw_histogram(ui_grid *g, ui_rect r, const double *count, int n,
                       const ui_axis *axis, const ui_rule *rules, int n_rules)
{
    ui_fill(g, r, UI_TEXT, " ");
    ui_rect area = {r.x, r.y, r.w, r.h - (axis ? 1 : 0)};
    if (area.w < 1 || area.h < 1) return;
    if (axis) draw_x_labels(g, area, area.y + area.h, axis);
    double most = 0;
    for (int i = 0; i < n; i++)
        if (isfinite(count[i]) && count[i] > most) most = count[i];
    for (int i = 0; i < area.w && most > 0; i++)
        draw_column(g, area.x + i, area.y, area.h,
                    fmin(most_in(count, n, i, area.w) / most, 1));
    if (axis) draw_rules(g, area, axis, rules, n_rules);
}
