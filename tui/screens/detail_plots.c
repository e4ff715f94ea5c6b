/* detail_plots.c - the plots of the layer detail, for the tensor under the cursor: the
 * spectrum of what tuning changed, and how its Fisher lies. */
#include "tensor/svd.h"
#include "tui/draw/plot.h"
#include "tui/draw/widgets.h"
#include "tui/draw/wrap.h"
#include "tui/screens/screens.h"
#include "tui/verbs/recipe_arg.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A title over the left or right half; the rule between the halves. */
static ui_rect open_panel(ui_grid *g, ui_rect r, const char *title, bool focused)
{
    ui_draw_title(g, r.x, r.y, r.w, title, focused);
    return (ui_rect){r.x, r.y + 1, r.w, r.h - 1};
}

static void put_sentence(ui_grid *g, ui_rect r, const char *text)
{
    ui_wrap w = {0};
    if (r.w < 8 || !ui_wrap_text(&w, text, strlen(text), r.w - 3)) return;
    for (int i = 0; i < w.n && i + 1 < r.h; i++)
        ui_put_line(g, r.x + 2, r.y + 1 + i, r.w - 3, UI_DIM, text, &w.at[i], NULL, 0);
    ui_wrap_free(&w);
}

/* How many lines a panel of this height has for words under its plot. */
static int caption_lines(int h)
{
    return h >= 12 ? 2 : 1;
}

/* --- spectrum --- */

static const char *no_spectrum(const ui_app *a, int here)
{
    if (!a->detail.pair) return a->detail.problem.msg;
    if (!ui_detail_has_spectrum(a, here)) return "only matrices of layers have one";
    const ui_spectrum *s = ui_detail_spectrum(a, here);
    return s && s->why ? s->why : "computing its singular values ~";
}

static ui_plot spectrum_plot(const ui_app *a, const ui_spectrum *s, int rank, double *x,
                             char label[24])
{
    for (int i = 0; i < s->n; i++)
        x[i] = i;
    /* What lies under the last ten thousandth of the squares would only flatten the rest. */
    double top = s->s[0], bottom = s->s[rs_svd_rank_of(s->s, s->n, 0.9999) - 1];
    bool is_log = a->opt.spectrum_scale == 0 && top > 0;
    if (is_log && !(bottom < top)) bottom = top / 2;
    ui_plot p = {.x = {.min = 0, .max = s->n > 1 ? s->n - 1 : 1, .n_ticks = 5},
                 .y = {.min = is_log ? bottom : 0,
                       .max = top > 0 ? top : 1,
                       .log = is_log,
                       .n_ticks = 2},
                 .n_series = 1,
                 .n_rules = 1};
    const int ticks[] = {0, rank, s->n / 3, 2 * s->n / 3, s->n - 1};
    for (int i = 0; i < 5; i++)
        p.x.tick[i] = ticks[i];
    snprintf(label, 24, "%.2g", p.y.min);
    p.y.tick[0] = p.y.min;
    p.y.tick[1] = p.y.max;
    p.y.label[0] = label;
    snprintf(label + 12, 12, "%.3g", p.y.max);
    p.y.label[1] = label + 12;
    p.series[0] = (ui_series){x, s->s, s->n, UI_SERIES0, false};
    p.rule[0] = (ui_rule){rank < s->n ? rank : s->n - 1, true};
    return p;
}

/* Marks near the cut would hide its label: the labels that do not touch it stay. */
static void drop_near_ticks(ui_plot *p, int rank, int w)
{
    int kept = 0;
    double near = 5.0 * (p->x.max - p->x.min) / (w > 1 ? w : 1);
    for (int i = 0; i < p->x.n_ticks; i++) {
        bool is_cut = i == 1;
        if (!is_cut && fabs(p->x.tick[i] - rank) < near) continue;
        p->x.tick[kept++] = p->x.tick[i];
    }
    p->x.n_ticks = kept;
    for (int i = 0; i < kept; i++) /* rising */
        for (int k = i + 1; k < kept; k++)
            if (p->x.tick[k] < p->x.tick[i]) {
                double t = p->x.tick[i];
                p->x.tick[i] = p->x.tick[k];
                p->x.tick[k] = t;
            }
}

static ui_rect spectrum_area(ui_rect r)
{
    return (ui_rect){r.x + 1, r.y + 1, r.w - 2, r.h - 1 - caption_lines(r.h)};
}

static void spectrum_caption(ui_grid *g, ui_rect r, const ui_spectrum *s, int rank)
{
    int y = r.y + r.h - caption_lines(r.h), w = r.w - 2;
    double kept = rs_svd_kept(s->s, s->n, rank);
    char text[120];
    if (caption_lines(r.h) == 1) {
        ui_printf(g, r.x + 1, y, w, UI_TEXT, "rank %d keeps %.1f %%; 90 %% needs %d",
                  rank, 100 * kept, rs_svd_rank_of(s->s, s->n, 0.9));
        return;
    }
    int at = snprintf(text, sizeof text, "rank %d keeps %.1f %% of the energy", rank,
                      100 * kept);
    for (int k = 1; k <= 2 && rank << k < s->n; k++)
        at += snprintf(text + at, sizeof text - (size_t)at, "%s%d: %.1f %%",
                       k == 1 ? "; " : "  ", rank << k,
                       100 * rs_svd_kept(s->s, s->n, rank << k));
    ui_put(g, r.x + 1, y, w, UI_TEXT, text);
    ui_printf(g, r.x + 1, y + 1, w, UI_TEXT,
              "90 %% needs rank %d; residual of rank %d: %.1f %% of |D|",
              rs_svd_rank_of(s->s, s->n, 0.9), rank, 100 * sqrt(1 - kept));
}

static void draw_spectrum(const ui_app *a, ui_grid *g, ui_rect r, int here)
{
    char title[300] = "spectrum", name[96], label[24];
    if (here >= 0 && a->detail.pair) {
        ui_tensor_short_name(rs_plan_at(a->doc.at.plan, here), name);
        snprintf(title, sizeof title, "spectrum of %s - %s, %s", a->detail.to,
                 a->detail.from, name);
    }
    open_panel(g, r, title, a->detail.focus == UI_DETAIL_SPECTRUM);
    const ui_spectrum *s = ui_detail_spectrum(a, here);
    if (!s || !s->s) {
        put_sentence(g, r, no_spectrum(a, here));
        return;
    }
    if (!(s->s[0] > 0)) {
        put_sentence(g, r, "the two models do not differ here");
        return;
    }
    int rank = ui_detail_rank(a, s);
    double *x = ui_alloc((size_t)s->n, sizeof *x);
    ui_plot p = spectrum_plot(a, s, rank, x, label);
    ui_rect area = spectrum_area(r);
    drop_near_ticks(&p, rank, area.w);
    ui_draw_plot(g, area, &p);
    spectrum_caption(g, r, s, rank);
    free(x);
}

int ui_detail_rank_at(const ui_app *a, const ui_detail_layout *l, int here, int x)
{
    const ui_spectrum *s = ui_detail_spectrum(a, here);
    char label[24];
    if (!s || !s->s || l->spectrum.h == 0) return 0;
    double *at = ui_alloc((size_t)s->n, sizeof *at);
    ui_plot p = spectrum_plot(a, s, ui_detail_rank(a, s), at, label);
    ui_rect area = spectrum_area(l->spectrum);
    int zero = ui_plot_column(area, &p, 0), first = area.x;
    /* The column of rank 0 is the first of the plot, right of the labels. */
    int labels = 0;
    for (int i = 0; i < p.y.n_ticks; i++)
        if ((int)strlen(p.y.label[i]) > labels) labels = (int)strlen(p.y.label[i]);
    int rank = (int)(ui_plot_value(area, &p, x - first - labels - 1 - zero) + 0.5);
    free(at);
    return rank < 1 ? 1 : rank;
}

/* --- histogram --- */

static const char *no_histogram(const ui_app *a, int here)
{
    const rs_plan *p = a->doc.at.plan;
    if (here < 0) return "no tensor is under the cursor";
    if (!rs_spread_is_there(p, here)) {
        const char *why = rs_plan_fisher_missing(p);
        return why ? why : "no Fisher holds this tensor: f measures one";
    }
    if (ui_looks_failed(&a->detail.looks, rs_spread_fingerprint(p, here)))
        return a->detail.looks.problem;
    return "the Fisher is being read ~";
}

typedef struct bars {
    ui_axis axis; /* in units of the population's mean */
    double count[RS_SPREAD_BINS];
    int n;
} bars;

/* From where half a percent lies below, to the largest; the marks are inside. */
static void fill_bars(const rs_spread *s, bars *b)
{
    double unit = s->unit > 0 ? s->unit : 1, below = 0;
    int lo = s->first, hi = s->first + s->count;
    while (lo < hi - 8 && below + (double)s->bin[lo] < 0.005 * s->n)
        below += (double)s->bin[lo++];
    const rs_mark *const marks[] = {&s->cut, &s->other};
    for (int i = 0; i < 2; i++) {
        if (marks[i]->kind == RS_MARK_NONE) continue;
        int bin = rs_spread_bin((float)marks[i]->at);
        if (bin < lo) lo = bin;
        if (bin + 1 >= hi) hi = bin + 2 < RS_SPREAD_BINS ? bin + 2 : RS_SPREAD_BINS;
    }
    b->n = 0;
    for (int i = lo; i < hi; i++)
        b->count[b->n++] = (double)s->bin[i];
    b->axis = (ui_axis){.min = rs_spread_edge(lo) / unit,
                        .max = rs_spread_edge(hi) / unit,
                        .log = true,
                        .unit = "F/mean"};
    ui_axis_ticks(&b->axis, 6);
}

static int add_rule(const rs_spread *s, const rs_mark *m, bool heavy, ui_rule *rules,
                    int n)
{
    if (m->kind == RS_MARK_NONE) return n;
    rules[n] = (ui_rule){m->at / (s->unit > 0 ? s->unit : 1), heavy};
    return n + 1;
}

/* "q_proj 1.9 %, layer 5 2.4 %": how much of it lies at the cut or above. */
static void share_words(const ui_app *a, const rs_spread *s, char dst[96])
{
    double n = 0, above = 0;
    bool whole = a->detail.layer < a->doc.n_layers;
    int count = 0, more = 0, *at = ui_detail_tensors(a, &count, &more);
    for (int i = 0; i < count && whole; i++) {
        bool old = false;
        const rs_spread *t = ui_detail_spread(a, at[i], &old);
        if (!rs_spread_is_there(a->doc.at.plan, at[i])) continue;
        whole = t && !old && t->cut.kind != RS_MARK_NONE;
        if (!whole || !t->in_population) continue;
        n += t->n;
        above += t->cut.above;
    }
    free(at);
    int len =
        snprintf(dst, 96, "at the cut or above: %.1f %%", 100 * s->cut.above / s->n);
    if (whole && n > 0)
        snprintf(dst + len, (size_t)(96 - len), ", of these rows %.1f %%",
                 100 * above / n);
}

static int put_mark(ui_grid *g, int x, int y, int end, const rs_spread *s,
                    const rs_mark *m, const rs_dampen_spec *d, bool narrow)
{
    char name[32], text[96];
    ui_mark_name(m, d, name);
    int at = snprintf(text, sizeof text, "%s %s",
                      ui_glyph(g, m == &s->cut ? UI_G_CUT : UI_G_OTHER), name);
    if (m == &s->cut)
        at += snprintf(text + at, sizeof text - (size_t)at,
                       narrow ? " d %.2f" : ", d %.2f here", rs_spread_d(d));
    if (m == &s->cut && narrow)
        snprintf(text + at, sizeof text - (size_t)at, ", %.1f %% above",
                 100 * m->above / s->n);
    if (m == &s->other)
        snprintf(text + at, sizeof text - (size_t)at, " %.3g", m->at / s->unit);
    return ui_put(g, x, y, end - x, UI_TEXT, text);
}

static void histogram_caption(const ui_app *a, ui_grid *g, ui_rect r, const rs_spread *s,
                              bool old)
{
    const rs_stage *fuel = rs_recipe_fuel(a->doc.at.recipe);
    int lines = caption_lines(r.h), y = r.y + r.h - lines, x = r.x + 1,
        end = r.x + r.w - 1;
    if (old) x += ui_put(g, x, y, 2, UI_STALE, "~ ");
    if (s->cut.kind != RS_MARK_NONE && fuel)
        x += put_mark(g, x, y, end, s, &s->cut, &fuel->dampen, lines == 1) + 2;
    if (s->other.kind != RS_MARK_NONE)
        put_mark(g, x, y, end, s, &s->other, fuel ? &fuel->dampen : NULL, lines == 1);
    if (lines < 2 || s->cut.kind == RS_MARK_NONE || !(s->n > 0)) return;
    char text[96];
    share_words(a, s, text);
    ui_put(g, r.x + 1, y + 1, r.w - 2, UI_TEXT, text);
}

static void draw_histogram(const ui_app *a, ui_grid *g, ui_rect r, int here)
{
    char title[200] = "Fisher", name[96];
    bool old = false;
    const rs_spread *s = ui_detail_spread(a, here, &old);
    if (here >= 0) {
        const rs_plan_tensor *t = rs_plan_at(a->doc.at.plan, here);
        ui_tensor_short_name(t, name);
        int n = snprintf(title, sizeof title, "Fisher of %s", name);
        ui_num count = ui_num_count(g->glyphs, t->base->n_elements);
        if (n + 10 + ui_text_width(count.s, strlen(count.s)) + 4 < r.w)
            snprintf(title + n, sizeof title - (size_t)n, ", %s numbers", count.s);
    }
    open_panel(g, r, title, a->detail.focus == UI_DETAIL_HISTOGRAM);
    if (!s) {
        put_sentence(g, r, no_histogram(a, here));
        return;
    }
    if (s->count == 0) {
        put_sentence(g, r, "every value is 0: the data never moved this tensor");
        return;
    }
    bars *b = ui_alloc(1, sizeof *b);
    ui_rule rules[2];
    fill_bars(s, b);
    int n = add_rule(s, &s->other, false, rules, 0);
    n = add_rule(s, &s->cut, true, rules, n); /* the one in force lies on top */
    ui_rect area = {r.x + 1, r.y + 1, r.w - 2, r.h - 1 - caption_lines(r.h)};
    ui_draw_histogram(g, area, b->count, b->n, &b->axis, rules, n);
    histogram_caption(a, g, r, s, old);
    free(b);
}

void ui_detail_draw_plots(const ui_app *a, ui_grid *g, const ui_detail_layout *l,
                          int here)
{
    if (l->spectrum.h == 0) return;
    draw_spectrum(a, g, l->spectrum, here);
    draw_histogram(a, g, l->histogram, here);
    int x = l->histogram.x - 1;
    for (int y = l->spectrum.y + 1; y < l->spectrum.y + l->spectrum.h; y++)
        ui_put(g, x, y, 1, UI_DIM, ui_glyph(g, UI_G_VLINE));
}
