/* jobs_train.c - a training on Jobs: the loss over its steps with the validation's, a row for
 * every corpus with a curve of its own, learning rate, and the leak meter. */
#include "tui/app/track.h"
#include "tui/draw/plot.h"
#include "tui/draw/widgets.h"
#include "tui/screens/screens.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECENT = 20, SPARK = 64 }; /* steps that "now" is the mean of; cells at most */

/* --- curves --- */

/* A value's mean in each of n equal parts of the steps so far; NaN where there is none. */
static void parts_of(const ui_track *t, int value, double until, double *v, int n)
{
    double count[SPARK];
    for (int i = 0; i < n; i++)
        v[i] = count[i] = 0;
    for (int i = 0; i < t->n_points; i++) {
        const ui_track_point *p = &t->points[i];
        int at = until > 0 ? (int)(p->step / until * n) : 0;
        if (!p->n[value] || at < 0) continue;
        if (at >= n) at = n - 1;
        v[at] += p->v[value] * p->n[value];
        count[at] += p->n[value];
    }
    for (int i = 0; i < n; i++)
        v[i] = count[i] > 0 ? v[i] / count[i] : NAN;
}

static double last_step(const ui_track *t)
{
    return t->n_points ? t->points[t->n_points - 1].step + 1 : 0;
}

/* The smallest and largest loss of any corpus, so that their curves can be compared. */
static void range_of(const ui_track *t, int first, int n, double *lo, double *hi)
{
    *lo = INFINITY;
    *hi = -INFINITY;
    for (int k = 0; k < n; k++) {
        double v[SPARK];
        parts_of(t, first + k, last_step(t), v, 16);
        for (int i = 0; i < 16; i++) {
            if (isnan(v[i])) continue;
            *lo = fmin(*lo, v[i]);
            *hi = fmax(*hi, v[i]);
        }
    }
}

static void draw_curve(const ui_track *t, ui_grid *g, int x, int y, int w, int value,
                       double lo, double hi)
{
    double v[SPARK];
    if (w < 1) return;
    if (w > SPARK) w = SPARK;
    parts_of(t, value, last_step(t), v, w);
    for (int i = 0; i < w; i++) /* where no step drew it: as before */
        if (isnan(v[i]) && i > 0) v[i] = v[i - 1];
    for (int i = 0; i < w; i++)
        v[i] = hi > lo ? 0.06 + 0.94 * (v[i] - lo) / (hi - lo) : isnan(v[i]) ? NAN : 0.5;
    ui_draw_spark(g, x, y, w, v, w, 1, UI_BAR);
}

/* --- the plot --- */

typedef struct curves {
    double *x, *loss, *step, *valid;
    int n, n_valid;
    double lo, hi;
} curves;

static void widen(curves *c, double v)
{
    if (!isfinite(v)) return;
    c->lo = fmin(c->lo, v);
    c->hi = fmax(c->hi, v);
}

/* The loss, a point for each dot column and at most 40 so far, since that of single steps is
 * mostly noise. */
static curves curves_of(const ui_track *t, int columns)
{
    double width = fmax(t->steps / columns, last_step(t) / 40);
    curves c = {.n = columns, .n_valid = t->n_valid, .lo = INFINITY, .hi = -INFINITY};
    c.x = ui_alloc((size_t)columns + 1, sizeof *c.x);
    c.loss = ui_alloc((size_t)columns + 1, sizeof *c.loss);
    c.step = ui_alloc((size_t)t->n_valid + 1, sizeof *c.step);
    c.valid = ui_alloc((size_t)t->n_valid + 1, sizeof *c.valid);
    double *n = ui_alloc((size_t)columns + 1, sizeof *n);
    for (int i = 0; i < t->n_points; i++) {
        const ui_track_point *p = &t->points[i];
        int at = (int)(p->step / width);
        if (at < 0 || !p->n[UI_TRACK_LOSS]) continue;
        if (at >= columns) at = columns - 1;
        c.loss[at] += p->v[UI_TRACK_LOSS] * p->n[UI_TRACK_LOSS];
        c.x[at] += p->step * p->n[UI_TRACK_LOSS];
        n[at] += p->n[UI_TRACK_LOSS];
    }
    int used = 0;
    for (int i = 0; i < columns; i++) {
        if (!(n[i] > 0)) continue;
        c.x[used] = c.x[i] / n[i];
        c.loss[used] = c.loss[i] / n[i];
        widen(&c, c.loss[used++]);
    }
    c.n = used;
    for (int i = 0; i < t->n_valid; i++) {
        c.step[i] = t->valid[i].step;
        c.valid[i] = t->valid[i].loss;
        widen(&c, c.valid[i]);
    }
    free(n);
    return c;
}

static void draw_plot(const ui_track *t, ui_grid *g, ui_rect r)
{
    curves c = curves_of(t, r.w > 8 ? (r.w - 6) * 2 : 4);
    if (c.hi >= c.lo) {
        double margin = fmax(0.05 * (c.hi - c.lo), 1e-3 * fabs(c.hi) + 1e-9);
        ui_plot p = {.x = {.min = 0, .max = t->steps},
                     .y = {.min = c.lo - margin, .max = c.hi + margin},
                     .n_series = 2,
                     .label_width = 5,
                     .frame = r.h >= 8};
        ui_axis_ticks(&p.x, 5);
        ui_axis_ticks(&p.y, r.h >= 8 ? 4 : 3);
        p.series[0] = (ui_series){c.x, c.loss, c.n, UI_SERIES0, false};
        p.series[1] = (ui_series){c.step, c.valid, c.n_valid, UI_SERIES1, false};
        ui_draw_plot(g, r, &p);
    } else {
        ui_put(g, r.x + 2, r.y + 1, r.w - 3, UI_DIM, "no step is done yet");
    }
    free(c.x);
    free(c.loss);
    free(c.step);
    free(c.valid);
}

/* --- numbers beside it --- */

static void loss_text(double v, char dst[16])
{
    snprintf(dst, 16, isfinite(v) ? v < 10 ? "%.3f" : "%.2f" : "-", v);
}

static const char *leak_text(double v, char dst[32])
{
    if (isnan(v))
        snprintf(dst, 32, "-");
    else if (v == 0 || v >= 1e-5)
        snprintf(dst, 32, "%.2f %%", 100 * v);
    else
        snprintf(dst, 32, "%.0e", v);
    return dst;
}

static int draw_head(const ui_track *t, ui_grid *g, int x, int y, int w)
{
    char loss[16], valid[16];
    loss_text(ui_track_recent(t, UI_TRACK_LOSS, RECENT), loss);
    loss_text(t->valid_loss, valid);
    int n = ui_put(g, x, y, 5, UI_DIM, "loss ");
    n += ui_put(g, x + n, y, w - n, UI_SERIES0, loss);
    if (t->n_valid) {
        n += ui_put(g, x + n, y, w - n, UI_DIM, "  valid ");
        ui_put(g, x + n, y, w - n, UI_SERIES1, valid);
    }
    return 1;
}

/* name, loss, validation's, epochs where there is room, and the curve. */
static void draw_corpus(const ui_track *t, ui_grid *g, int x, int y, int w, int i,
                        double lo, double hi)
{
    const ui_track_corpus *c = &t->corpus[i];
    char loss[16], valid[16];
    bool wide = w >= 40;
    int name = wide ? 14 : 11, at = x + name;
    loss_text(ui_track_recent(t, UI_TRACK_CORPUS + i, RECENT), loss);
    loss_text(c->valid, valid);
    ui_put_end(g, x, y, name - 1, UI_TEXT, c->name);
    ui_put_right(g, at, y, 5, UI_TEXT, loss);
    at += 6;
    if (t->n_valid) {
        ui_put_right(g, at, y, 5, UI_TEXT, valid);
        at += 6;
    }
    if (wide) {
        char epochs[16];
        snprintf(epochs, sizeof epochs, isfinite(c->epochs) ? "%.2f" : "-", c->epochs);
        ui_put_right(g, at, y, 6, UI_TEXT, epochs);
        at += 7;
    }
    draw_curve(t, g, at, y, x + w - at, UI_TRACK_CORPUS + i, lo, hi);
}

static int draw_corpora(const ui_track *t, ui_grid *g, int x, int y, int w, int room)
{
    double lo, hi;
    int n = t->n_corpora;
    range_of(t, UI_TRACK_CORPUS, n, &lo, &hi);
    if (n <= room) {
        for (int i = 0; i < n; i++)
            draw_corpus(t, g, x, y + i, w, i, lo, hi);
        return n;
    }
    int rows = (n + 1) / 2 < room ? (n + 1) / 2 : room; /* two in a row, without curves */
    for (int i = 0; i < n && i / 2 < rows; i++) {
        char loss[16];
        int left = x + (i % 2) * (w / 2), width = w / 2 - 1;
        loss_text(ui_track_recent(t, UI_TRACK_CORPUS + i, RECENT), loss);
        ui_put_end(g, left, y + i / 2, width - 6, UI_TEXT, t->corpus[i].name);
        ui_put_right(g, left + width - 5, y + i / 2, 5, UI_TEXT, loss);
    }
    return rows;
}

static void draw_rate(const ui_track *t, ui_grid *g, int x, int y, int w)
{
    char text[32];
    double hi = 0;
    for (int i = 0; i < t->n_points; i++)
        hi = fmax(hi, t->points[i].v[UI_TRACK_RATE]);
    snprintf(text, sizeof text, "%.1e ", t->last.v[UI_TRACK_RATE]);
    int n = ui_put(g, x, y, 3, UI_DIM, "lr ");
    n += ui_put(g, x + n, y, w - n, UI_TEXT, text);
    draw_curve(t, g, x + n, y, w - n < 16 ? w - n : 16, UI_TRACK_RATE, 0, hi);
}

static bool has_leak(const ui_track *t)
{
    return !isnan(t->last.v[UI_TRACK_OUT]) || !isnan(t->last.v[UI_TRACK_IN]);
}

static void draw_leak_line(const ui_track *t, ui_grid *g, int x, int y, int w)
{
    char out[32], in[32];
    if (!has_leak(t))
        ui_put(g, x, y, w, UI_DIM, "no subspace is protected");
    else
        ui_printf(g, x, y, w, UI_TEXT, "leak U %s  V %s",
                  leak_text(t->last.v[UI_TRACK_OUT], out),
                  leak_text(t->last.v[UI_TRACK_IN], in));
}

static void draw_norm(const ui_track *t, ui_grid *g, int x, int y, int w)
{
    char text[80];
    int n = snprintf(text, sizeof text, "norm %.2f", t->last.v[UI_TRACK_NORM]);
    if (t->tokens_per_second > 0)
        snprintf(text + n, sizeof text - (size_t)n, "  %s tok/s",
                 ui_num_count(g->glyphs, (int64_t)t->tokens_per_second).s);
    ui_put(g, x, y, w, UI_TEXT, text);
}

/* --- the leak meter --- */

static void draw_side(ui_grid *g, int x, int y, int w, const char *side, double v)
{
    char text[32];
    int bar = w - 30 < 42 ? w - 30 : 42;
    ui_put(g, x, y, 7, UI_TEXT, side);
    if (bar > 4) ui_draw_gauge(g, x + 8, y, bar, isnan(v) ? 0 : fmin(v, 1), UI_BAR);
    ui_put(g, x + 10 + bar, y, 20, v > 1e-6 ? UI_WARN : UI_GOOD, leak_text(v, text));
}

static void draw_meter(const ui_track *t, ui_grid *g, ui_rect r)
{
    ui_draw_title(
        g, r.x, r.y, r.w,
        "leak meter: share of the adapter's change inside the protected subspace", false);
    if (!has_leak(t)) {
        ui_put(g, r.x + 2, r.y + 1, r.w - 4, UI_DIM,
               "no subspace is protected: train with --subspace measures it");
        return;
    }
    draw_side(g, r.x + 2, r.y + 1, r.w - 4, "U side", t->last.v[UI_TRACK_OUT]);
    draw_side(g, r.x + 2, r.y + 2, r.w - 4, "V side", t->last.v[UI_TRACK_IN]);
}

/* --- all --- */

static void draw_numbers(const ui_track *t, ui_grid *g, ui_rect r, bool meter)
{
    int y = r.y, end = r.y + r.h, below = meter ? 2 : 3;
    y += draw_head(t, g, r.x, y, r.w);
    if (r.w >= 40 && end - y > t->n_corpora + below) {
        ui_put(g, r.x, y, 14, UI_HEAD, "corpus");
        ui_put_right(g, r.x + 14, y, 5, UI_HEAD, "loss");
        if (t->n_valid) ui_put_right(g, r.x + 20, y, 5, UI_HEAD, "valid");
        ui_put_right(g, r.x + (t->n_valid ? 26 : 20), y++, 6, UI_HEAD, "epoch");
    }
    y += draw_corpora(t, g, r.x, y, r.w, end - y - below > 0 ? end - y - below : 0);
    if (y < end) draw_rate(t, g, r.x, y++, r.w);
    if (y < end && !meter) draw_leak_line(t, g, r.x, y++, r.w);
    if (y < end) draw_norm(t, g, r.x, y++, r.w);
}

int ui_jobs_draw_training(ui_grid *g, ui_rect r, const ui_track *t)
{
    bool wide = r.w >= 112, meter = wide && r.h >= 16;
    int most = 17, h = meter ? r.h - 4 : r.h;
    if (h > most) h = most;
    if (h < 4) return 0;
    int left = wide ? 72 : 46;
    if (left > r.w - 32) left = r.w - 32;
    draw_plot(t, g, (ui_rect){r.x, r.y, left, h});
    ui_printf(g, r.x + left - 14, r.y, 14, UI_DIM, "%.0f/%.0f",
              t->n_points ? t->last.step + 1 : 0, t->steps);
    draw_numbers(t, g, (ui_rect){r.x + left + 1, r.y, r.w - left - 2, h}, meter);
    if (!meter) return h;
    draw_meter(t, g, (ui_rect){r.x, r.y + h, r.w, 3});
    return h + 4;
}
