/* ring_panels.c - beside or below Ring's rows: damage and style by layer as bars, and what is
 * known of the row under the cursor. */
#include "tui/draw/widgets.h"
#include "tui/draw/wrap.h"
#include "tui/screens/screens.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- bars --- */

/* The smallest 1, 2 or 5 times a power of ten of which max is at most 2.5. */
static double tick_for(double max)
{
    if (!(max > 0) || isinf(max)) return 1;
    double p = pow(10, floor(log10(max)) - 1);
    static const double steps[] = {1, 2, 5, 10, 20, 50, 100};
    for (int i = 0; i < 7; i++)
        if (max / (steps[i] * p) <= 2.5) return steps[i] * p;
    return max;
}

static bool is_locked(const rs_factors *f, int row)
{
    bool locked = false;
    for (int k = 0; f && k < RS_FACTOR_KINDS; k++)
        locked |= f->locked[row * RS_FACTOR_KINDS + k];
    return locked;
}

static void damage_bars(const ui_app *a, ui_grid *g, ui_rect r, const rs_factors *f)
{
    const rs_measure *m = a->doc.at.measure;
    double max = 0;
    int bars = r.h - 2;
    ui_draw_title(g, r.x, r.y, r.w, "damage by layer, mnat", false);
    if (!m) return;
    for (int l = 0; l < m->n_layers; l++)
        if (m->layer[l].damage * 1000 > max) max = m->layer[l].damage * 1000;
    double tick = tick_for(max);
    int cell = r.w > 38 ? 10 : 7; /* columns of a tick */
    for (int l = 0; l < m->n_layers && l < bars; l++) {
        int y = r.y + 1 + l;
        double v = m->layer[l].damage;
        ui_printf(g, r.x, y, 3, UI_DIM, "%3d", l);
        if (!isnan(v))
            ui_draw_bar(g, r.x + 4, y, cell * 5 / 2 + 1,
                        v * 1000 / tick * cell / (cell * 5 / 2 + 1), UI_BAR);
        ui_put(g, r.x + 5 + cell * 5 / 2 + 1 - 1, y, 6, UI_TEXT,
               ui_num_mnat(g->glyphs, v).s);
        if (is_locked(f, l)) ui_put(g, r.x + 5 + cell * 5 / 2 + 7, y, 1, UI_WARN, "K");
    }
    int y = r.y + r.h - 1;
    ui_put(g, r.x + 4, y, -1, UI_DIM, "0");
    for (int t = 1; t <= 2; t++) {
        char text[16];
        snprintf(text, sizeof text, tick < 1 ? "%.1f" : "%.0f", tick * t);
        if (tick < 0.1) snprintf(text, sizeof text, "%g", tick * t);
        ui_put(g, r.x + 4 + cell * t - (int)strlen(text) / 2, y, -1, UI_DIM, text);
    }
}

static void style_bars(const ui_app *a, ui_grid *g, ui_rect r)
{
    const rs_measure *m = a->doc.at.measure;
    int bars = r.h - 2, w = r.w - 14;
    ui_draw_title(g, r.x, r.y, r.w, "style kept by layer", false);
    if (!m || w < 4) return;
    for (int l = 0; l < m->n_layers && l < bars; l++) {
        int y = r.y + 1 + l;
        ui_printf(g, r.x, y, 3, UI_DIM, "%3d", l);
        if (!isnan(m->layer[l].kept))
            ui_draw_bar(g, r.x + 4, y, w, m->layer[l].kept, UI_SERIES0);
        ui_put(g, r.x + 5 + w, y, 5, UI_TEXT,
               ui_num_share(g->glyphs, m->layer[l].kept).s);
    }
    int y = r.y + r.h - 1;
    ui_put(g, r.x + 4, y, -1, UI_DIM, "0");
    ui_put(g, r.x + 4 + w / 2 - 1, y, -1, UI_DIM, "50");
    ui_put(g, r.x + 4 + w - 3, y, -1, UI_DIM, "100 %");
}

/* --- facts about a row --- */

/* Damage that 0.1 more gain would add: x is linear in the gains, so it goes with the square. */
static double more_damage(const rs_measure_row *m)
{
    if (isnan(m->damage) || !(m->gain > 0)) return NAN;
    double f = (m->gain + 0.1) / m->gain;
    return m->damage * (f * f - 1);
}

static double saved_gain(const ui_app *a, int row)
{
    const ui_file *f = ui_doc_file_of(&a->doc);
    rs_recipe *r = NULL;
    rs_factors *t = NULL;
    double v = NAN;
    if (!f || !f->saved ||
        rs_recipe_parse(f->saved, strlen(f->saved), f->folder, "saved", &r, NULL) !=
            RS_OK)
        return NAN;
    const rs_stage *s = rs_recipe_fuel(r);
    if (s && rs_factors_from(&s->gain, ui_app_config(a), &t, NULL) == RS_OK &&
        row <= t->n_layers)
        v = t->master * t->layer[row];
    rs_factors_free(t);
    rs_recipe_free(r);
    return v;
}

static void factor_facts(const ui_app *a, int row, bool all, rs_buf *b)
{
    const rs_stage *s = rs_recipe_fuel(a->doc.at.recipe);
    bool mixed;
    double gain = ui_doc_row_gain(&a->doc, row, &mixed);
    rs_factors *f = NULL;
    if (!s || rs_factors_from(&s->gain, ui_app_config(a), &f, NULL) != RS_OK) return;
    double lo = INFINITY, hi = -INFINITY;
    for (int k = 0; k < RS_FACTOR_KINDS; k++) {
        double v = f->kind[k] * f->cell[row * RS_FACTOR_KINDS + k];
        if (v < lo) lo = v;
        if (v > hi) hi = v;
    }
    rs_buf_printf(b, "gain   %.3f   %.3g x %.3g x kinds ", isnan(gain) ? 1 : gain,
                  f->master, f->layer[row]);
    if (lo == hi)
        rs_buf_printf(b, "%.3g\n", lo);
    else
        rs_buf_printf(b, "%.2g-%.2g\n", lo, hi);
    double was = saved_gain(a, row);
    if (!isnan(was)) rs_buf_printf(b, "was    %.3f   as saved\n", was);
    if (all) {
        rs_buf_printf(b,
                      "\ngain of a tensor = master x layer x kind x cell\n  master "
                      "%.6g\n  layer  %.6g\n",
                      f->master, f->layer[row]);
        for (int k = 0; k < ui_heat_kinds(a); k++)
            rs_buf_printf(b, "  %-22s kind %.6g  cell %.6g%s%s%s\n",
                          rs_kind_name((rs_kind)k), f->kind[k],
                          f->cell[row * RS_FACTOR_KINDS + k],
                          f->muted[row * RS_FACTOR_KINDS + k] ? "  muted" : "",
                          f->soloed[row * RS_FACTOR_KINDS + k] ? "  solo" : "",
                          f->locked[row * RS_FACTOR_KINDS + k] ? "  locked" : "");
        rs_buf_putc(b, '\n');
    }
    rs_factors_free(f);
}

typedef struct exact {
    const char *name;
    double value;
    const char *unit;
} exact;

static void put_exact(rs_buf *b, const exact *e, int n)
{
    for (int i = 0; i < n; i++)
        if (isnan(e[i].value))
            rs_buf_printf(b, "  %-9s not known\n", e[i].name);
        else
            rs_buf_printf(b, "  %-9s %.9g%s\n", e[i].name, e[i].value, e[i].unit);
}

static void exact_facts(const ui_app *a, const rs_measure_row *m, rs_buf *b)
{
    const rs_measure *all = a->doc.at.measure;
    char damage[80];
    snprintf(damage, sizeof damage, " %s   1/2 sum F x^2, x as applied",
             ui_damage_unit(a));
    const exact row[] = {
        {"damage", m->damage, damage},
        {"out", m->out, "   of what a merge would write"},
        {"kept", m->kept, "   <x, D>/<D, D>"},
        {"mean d", m->d, ""},
        {"|x|/|W|", m->norm, ""},
        {"|D|/|W|", m->delta_norm, ""},
        {"theta", m->theta, m->flat ? " degrees   slerp is lerp in storage" : " degrees"},
        {"t", m->t, ""},
        {"c_a", m->c_a, ""},
        {"c_b", m->c_b, ""},
        {"survival", m->survival, m->survival_stale ? " (of earlier gains)" : ""},
        {"changed", m->changed, ""},
        {"mean F", m->f_mean, ""},
        {"largest F", m->f_max, ""},
        {"numbers", m->n, ""}};
    const exact sum[] = {{"damage", all->all.damage, ""},
                         {"out", all->all.out, ""},
                         {"kept", all->all.kept, ""}};
    rs_buf_puts(b, "\nexact\n");
    put_exact(b, row, sizeof row / sizeof *row);
    rs_buf_puts(b, "\nall layers\n");
    put_exact(b, sum, sizeof sum / sizeof *sum);
    if (all->outside)
        rs_buf_puts(b, "\n! outside the quadratic range: above 0.3 nat, or a change that "
                       "is mostly it - pt. "
                       "Measured KL was then a tenth to a fifth of the prediction.\n");
    if (ui_doc_is_old(&a->doc))
        rs_buf_puts(
            b, "\n~ some sums are of an earlier recipe; new ones are on their way.\n");
}

void ui_ring_legend(rs_buf *b)
{
    rs_buf_puts(
        b,
        "\ncolumns of the rows\n"
        "  S F      attention with a window (sliding), or over all (full)\n"
        "  K m I    behind it: locked, muted, soloed\n"
        "  q k v o  heat of queries, keys, values, output of attention; F chooses it\n"
        "  g u d    of gate, up and down of the MLP\n"
        "  G P      of the per-layer gate and projection, if there are any\n"
        "  gain     factor of the style; +- before it: the cells differ\n"
        "  d        mean share that dampening lets through\n"
        "  mnat     damage in thousandths of a nat\n"
        "  %|W|     size of what is added, in % of the base's weights\n"
        "  theta    angle between the heal's two sides; 7.06= means that slerp and\n"
        "           lerp are the same there, as the output type stores them\n"
        "  t        place between the sides: 0 one, 1 the other\n"
        "  surv     share of the changes that rounding to the output type leaves\n");
}

void ui_ring_facts(const ui_app *a, int row, bool all, rs_buf *b)
{
    const rs_measure *m = a->doc.at.measure;
    const rs_config *c = ui_app_config(a);
    if (!m || !c || row < 0 || row > m->n_layers) return;
    const rs_measure_row *r = &m->layer[row];
    if (all && row < m->n_layers)
        rs_buf_printf(
            b, "layer %d of %d, %s attention%s%s\n\n", row, m->n_layers,
            c->layers[row].is_full ? "full" : "sliding",
            c->layers[row].is_sharer ? ", reads the keys and values of another layer"
                                     : "",
            c->layers[row].is_donor ? ", its keys and values are read by others" : "");
    else if (all)
        rs_buf_puts(b, "everything outside the layers\n\n");
    factor_facts(a, row, all, b);
    if (!isnan(r->damage))
        rs_buf_printf(b, "damage %.3f mnat, %.0f %% of all\n", r->damage * 1000,
                      m->all.damage > 0 ? r->damage / m->all.damage * 100 : 0);
    if (!isnan(r->kept))
        rs_buf_printf(b, "style  %.0f %% kept of layer\n", r->kept * 100);
    if (!isnan(more_damage(r)))
        rs_buf_printf(b, "+0.1 gain would add %.3f mnat\n", more_damage(r) * 1000);
    if (!isnan(r->t))
        rs_buf_printf(b, "theta  %.2f%s  %s\n", r->theta,
                      ui_glyph_at((ui_glyph_level)a->opt.glyphs, UI_G_DEGREE),
                      r->flat ? "slerp = lerp here" : "slerp matters here");
    if (!isnan(r->survival))
        rs_buf_printf(b, "survival %.0f %% in %s\n", r->survival * 100,
                      rs_dtype_name(a->doc.at.recipe->output_dtype));
    if (!all && !isnan(m->all.damage) && !isnan(m->all.out))
        rs_buf_printf(b, "all    %.3f mnat, heal adds %.1f\n", m->all.damage * 1000,
                      (m->all.out - m->all.damage) * 1000);
    if (all) exact_facts(a, r, b);
}

static void put_lines(ui_grid *g, ui_rect r, const char *text)
{
    for (int y = r.y; *text && y < r.y + r.h; y++) {
        size_t n = strcspn(text, "\n");
        ui_put_n(g, r.x, y, r.w, UI_TEXT, text, n);
        text += n + (text[n] == '\n');
    }
}

static void facts_panel(const ui_app *a, ui_grid *g, ui_rect r)
{
    const rs_config *c = ui_app_config(a);
    int row = a->rows.cursor;
    char title[64];
    rs_buf b = {0};
    if (row >= a->doc.n_layers)
        snprintf(title, sizeof title, "outside the layers");
    else
        snprintf(title, sizeof title, "layer %d, %s", row,
                 c->layers[row].is_full ? "full" : "sliding");
    ui_draw_title(g, r.x, r.y, r.w, title, false);
    ui_ring_facts(a, row, false, &b);
    put_lines(g, (ui_rect){r.x + 1, r.y + 1, r.w - 1, r.h - 2}, rs_buf_str(&b));
    ui_put(g, r.x + 1, r.y + r.h - 1, r.w - 1, UI_DIM, "Enter  opens the layer");
    rs_buf_free(&b);
}

/* The narrow panel beside compact rows. */
static void side_panel(const ui_app *a, ui_grid *g, const ui_ring_layout *l)
{
    const rs_config *c = ui_app_config(a);
    const rs_measure *m = a->doc.at.measure;
    int row = a->rows.cursor, n_marked = 0;
    rs_buf b = {0};
    if (row < a->doc.n_layers) {
        rs_buf_printf(&b, "layer %d %s\n", row, c->layers[row].is_full ? "F" : "S");
        if (m && !isnan(m->layer[row].gain))
            rs_buf_printf(&b, "gain  %.3f\n", m->layer[row].gain);
        if (c->layers[row].is_sharer)
            rs_buf_printf(&b, "k v of %d\n", c->layers[row].kv_layer);
        else
            rs_buf_puts(&b, c->layers[row].is_donor ? "k v shared\n" : "own k v\n");
    } else {
        rs_buf_puts(&b, "outside\n");
    }
    if (m && !isnan(m->layer[row].damage)) {
        rs_buf_printf(&b, "%.0f %% of all\n",
                      m->all.damage > 0 ? m->layer[row].damage / m->all.damage * 100 : 0);
        if (!isnan(more_damage(&m->layer[row])))
            rs_buf_printf(&b, "+0.1: +%.3f\n", more_damage(&m->layer[row]) * 1000);
    }
    n_marked = ui_rows_n_marked(&a->rows);
    if (n_marked) rs_buf_printf(&b, "\n%d marked\n", n_marked);
    put_lines(g, (ui_rect){105, l->list.y, 13, l->list.h}, rs_buf_str(&b));
    rs_buf_free(&b);
}

void ui_ring_draw_panels(const ui_app *a, ui_grid *g, const ui_ring_layout *l)
{
    if (l->compact && !l->beside) {
        side_panel(a, g, l);
        return;
    }
    ui_rect r = l->panels;
    const rs_stage *s = rs_recipe_fuel(a->doc.at.recipe);
    rs_factors *f = NULL;
    if (s && rs_factors_from(&s->gain, ui_app_config(a), &f, NULL) != RS_OK) f = NULL;
    int facts = r.w >= 100 ? 34 : 36, bars = r.w >= 100 ? 40 : r.w - facts;
    damage_bars(a, g, (ui_rect){r.x, r.y, bars, r.h}, f);
    if (r.w >= 100) style_bars(a, g, (ui_rect){r.x + bars, r.y, r.w - bars - facts, r.h});
    facts_panel(a, g, (ui_rect){r.x + r.w - facts, r.y, facts, r.h});
    rs_factors_free(f);
}
