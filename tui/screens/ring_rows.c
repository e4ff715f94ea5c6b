/* ring_rows.c - Ring's head, its rows and the row of kinds. Columns: ring_layout.c. */
#include "tui/draw/widgets.h"
#include "tui/screens/screens.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- head --- */

static void head_at(ui_grid *g, int x, int w, int y, const char *text)
{
    if (x >= 0) ui_put_right(g, x + 1, y, w, UI_HEAD, text);
}

static void draw_head(const ui_app *a, ui_grid *g, const ui_ring_layout *l,
                      const ui_ring_columns *c)
{
    int y = l->head.y;
    ui_put(g, 2, y, -1, UI_HEAD, "lay");
    for (int k = 0; k < ui_heat_kinds(a); k++) {
        char letter[2] = {rs_kind_letter((rs_kind)k), 0};
        ui_put(g, c->heat + k * c->heat_step, y, c->heat_w, UI_HEAD,
               c->heat_w > 1 ? rs_kind_short((rs_kind)k) : letter);
    }
    ui_put(g, c->slider, y, -1, UI_HEAD, a->lane_t ? "t (lane)" : "gain");
    char word[32];
    if (a->lane_t)
        ui_put_right(g, c->gain + 1, y, 5, UI_HEAD, "gain");
    else if (!l->wide) { /* where there is no legend: what the cells show, if not F */
        bool fills = ui_heat_word(a, word);
        if (fills || strcmp(word, "heat") != 0)
            ui_put(g, c->slider + 5, y, c->d - c->slider - 6, fills ? UI_STALE : UI_DIM,
                   word);
    }
    head_at(g, c->d, 4, y, "d");
    head_at(g, c->damage, 6, y, l->wide ? "damage" : "mnat");
    if (c->kept >= 0) ui_put_right(g, c->kept + 1, y, 5, UI_HEAD, "kept");
    head_at(g, c->norm, 5, y, "%|W|");
    head_at(g, c->theta, 5, y, "theta");
    head_at(g, c->t, 5, y, "t");
    head_at(g, c->c_a, 7, y, "c_a");
    head_at(g, c->c_b, 7, y, "c_b");
    head_at(g, c->survival, c->wide_share ? 5 : 4, y, "surv");
    if (!l->compact) return;
    int first = a->rows.top, shown = l->visible;
    ui_printf(g, c->end + 2, y, -1, UI_DIM, "rows %d-%d/%d", first, first + shown - 1,
              ui_rows_shown(&a->rows));
}

/* --- one row --- */

static char flag_of(const rs_factors *f, int row)
{
    bool muted = false, soloed = false, locked = false;
    for (int k = 0; k < RS_FACTOR_KINDS; k++) {
        muted |= f->muted[row * RS_FACTOR_KINDS + k];
        soloed |= f->soloed[row * RS_FACTOR_KINDS + k];
        locked |= f->locked[row * RS_FACTOR_KINDS + k];
    }
    return muted ? 'm' : soloed ? 'I' : locked ? 'K' : ' ';
}

typedef struct row_context {
    const ui_app *a;
    ui_grid *g;
    const ui_ring_layout *l;
    const ui_ring_columns *c;
    const rs_factors *factors; /* NULL: none */
    double heat_min, heat_max;
    int y, row;
    bool here, old, mixed, known;
    double gain, t;
    ui_role role;
    ui_state state;          /* of measured numbers */
    const rs_measure_row *m; /* NULL: not measured */
    bool fills;              /* the heat is of a run in progress */
} row_context;

static void draw_heat_cells(const row_context *r)
{
    for (int k = 0; k < ui_heat_kinds(r->a); k++) {
        double v = ui_heat_value(r->a, r->row, k);
        int x = r->c->heat + k * r->c->heat_step;
        bool there = ui_doc_tensor(&r->a->doc, r->row, k) >= 0;
        int level = ui_heat_level(v, r->heat_min, r->heat_max, r->a->opt.heat_scale == 1);
        if (there && isnan(v) && !r->fills)
            ui_fill(r->g, (ui_rect){x, r->y, r->c->heat_w, 1}, UI_DIM, " ");
        else
            ui_draw_heat(r->g, x, r->y, r->c->heat_w, level,
                         (ui_heat_style)r->a->opt.heat_glyph);
    }
}

static void draw_value_slider(const row_context *r)
{
    const ui_options *o = &r->a->opt;
    bool t = r->a->lane_t;
    if (isnan(t ? r->t : r->gain)) return;
    ui_draw_slider(r->g, r->c->slider, r->y, r->c->slider_w, t ? r->t : r->gain,
                   t ? 0 : o->gain_lo, t ? 1 : o->gain_hi, r->here ? UI_EDIT : UI_BAR);
}

static bool flashes(const row_context *r)
{
    const ui_app *a = r->a;
    return a->flash_until > a->now && r->row < a->n_flash && a->flash[r->row];
}

static void put_if(const row_context *r, int x, ui_state state, ui_role role,
                   const char *text)
{
    if (x >= 0) ui_put_number(r->g, x, r->y, role, state, text);
}

static void draw_fuel_numbers(const row_context *r)
{
    const rs_measure_row *m = r->m;
    ui_glyph_level l = r->g->glyphs;
    ui_role changed = flashes(r) ? UI_EDIT : r->role;
    put_if(r, r->c->gain, r->mixed ? UI_MIXED : UI_EXACT, changed,
           ui_num_gain(l, r->gain).s);
    if (!m) return;
    bool outside = r->a->doc.at.measure->outside && !r->old;
    bool no_delta = isnan(r->gain);
    put_if(r, r->c->d, r->state, r->role, ui_num_mean_d(l, m->d).s);
    put_if(r, r->c->damage, outside && m->damage > 0 ? UI_OUTSIDE : r->state, changed,
           ui_num_mnat(l, m->damage).s);
    if (r->c->kept >= 0 && !no_delta)
        put_if(r, r->c->kept, r->state, r->role, ui_num_share(l, m->kept).s);
    put_if(r, r->c->norm, r->state, r->role, ui_num_norm(l, r->known ? m->norm : NAN).s);
}

static void draw_heal_numbers(const row_context *r)
{
    const rs_measure_row *m = r->m;
    ui_glyph_level l = r->g->glyphs;
    ui_role changed = flashes(r) && r->a->lane_t ? UI_EDIT : r->role;
    if (!isnan(r->t)) put_if(r, r->c->t, UI_EXACT, changed, ui_num_gain(l, r->t).s);
    if (!m) return;
    if (!isnan(r->t)) {
        put_if(r, r->c->theta, r->state, r->role, ui_num_theta(l, m->theta, m->flat).s);
        put_if(r, r->c->c_a, r->state, r->role, ui_num_coef(l, m->c_a).s);
        put_if(r, r->c->c_b, r->state, r->role, ui_num_coef(l, m->c_b).s);
    } else if (r->c->t >= 0) {
        ui_put_right(r->g, r->c->theta + 1, r->y, 5, r->role,
                     ui_glyph(r->g, UI_G_UNKNOWN));
        ui_put_right(r->g, r->c->t + 1, r->y, 5, r->role, ui_glyph(r->g, UI_G_UNKNOWN));
    }
    if (r->c->survival < 0) return;
    ui_state s = isnan(m->survival)            ? UI_EXACT
                 : m->survival_stale || r->old ? UI_OLD
                                               : UI_EXACT;
    put_if(r, r->c->survival, s, r->role,
           r->c->wide_share ? ui_num_share(l, m->survival).s
                            : ui_num_share_narrow(l, m->survival).s);
}

static void draw_marks(const row_context *r)
{
    const ui_app *a = r->a;
    const rs_config *c = ui_app_config(a);
    bool marked = a->rows.marked[r->row];
    bool in_range = false;
    if (a->rows.ranging) {
        int p = ui_rows_place(&a->rows, r->row),
            from = ui_rows_place(&a->rows, a->rows.anchor);
        int to = ui_rows_place(&a->rows, a->rows.cursor);
        in_range = p >= (from < to ? from : to) && p <= (from < to ? to : from);
    }
    if (r->here) ui_put(r->g, 0, r->y, 1, UI_CURSOR, ">");
    if (marked || in_range) ui_put(r->g, 1, r->y, 1, UI_MARK, ui_glyph(r->g, UI_G_MARK));
    ui_role role = r->here ? UI_CURSOR : marked ? UI_MARK : UI_TEXT;
    if (r->row == a->doc.n_layers) {
        ui_put(r->g, 2, r->y, 3, role, "emb");
    } else {
        ui_printf(r->g, 1 + (marked || in_range), r->y, 3, role,
                  marked || in_range ? "%2d" : "%3d", r->row);
        ui_put(r->g, 5, r->y, 1, role, c->layers[r->row].is_full ? "F" : "S");
    }
    char flag[2] = {r->factors ? flag_of(r->factors, r->row) : ' ', 0};
    if (flag[0] != ' ') ui_put(r->g, 6, r->y, 1, UI_WARN, flag);
}

static void draw_row(row_context *r)
{
    const ui_app *a = r->a;
    const rs_measure *m = a->doc.at.measure;
    r->here = r->row == a->rows.cursor &&
              (a->focus == UI_FOCUS_ROWS || a->focus == UI_FOCUS_TEXT);
    r->m = m && r->row <= m->n_layers ? &m->layer[r->row] : NULL;
    r->gain = ui_doc_row_gain(&a->doc, r->row, &r->mixed);
    r->t = ui_doc_row_t(&a->doc, r->row);
    r->old = ui_doc_row_is_old(&a->doc, r->row);
    r->known = ui_doc_row_is_known(&a->doc, r->row);
    r->state = r->old ? UI_OLD : UI_EXACT;
    bool muted = r->factors && flag_of(r->factors, r->row) == 'm';
    r->role = r->here ? UI_CURSOR : muted ? UI_DIM : UI_TEXT;
    draw_marks(r);
    bool emb = r->row == a->doc.n_layers;
    if (!emb) draw_heat_cells(r);
    if (emb && isnan(r->gain))
        ui_put(r->g, 7, r->y, r->c->slider - 7 + r->c->slider_w, UI_DIM, "no fuel delta");
    else
        draw_value_slider(r);
    if (emb && a->lane_t) draw_value_slider(r);
    draw_fuel_numbers(r);
    draw_heal_numbers(r);
    if (r->here) {
        r->g->cursor_x = 0;
        r->g->cursor_y = r->y;
    }
}

/* --- the row of kinds --- */

static double kind_factor(const rs_factors *f, int k, int n_kinds)
{
    return k < n_kinds ? f->kind[k] : f->master;
}

static void draw_legend(const ui_app *a, ui_grid *g, int x, int y, double min, double max)
{
    char text[96], lo[16], hi[16], word[32];
    bool fills = ui_heat_word(a, word);
    if (!(max > 0)) { /* nothing is there yet */
        if (fills) ui_put(g, x, y, -1, UI_STALE, word);
        return;
    }
    snprintf(lo, sizeof lo, min < 0.001 || min >= 100 ? "%.0e" : "%.2g", min);
    snprintf(hi, sizeof hi, max < 0.001 || max >= 100 ? "%.0e" : "%.2g", max);
    /* Short: .0025 and 4e-6. */
    const char *l = lo[0] == '0' && lo[1] == '.' ? lo + 1 : lo,
               *h = hi[0] == '0' && hi[1] == '.' ? hi + 1 : hi;
    ui_heat_style style = (ui_heat_style)a->opt.heat_glyph;
    snprintf(text, sizeof text, "%s %s %s %s %s", word, ui_heat_glyph(g, 0, style), l,
             ui_heat_glyph(g, 9, style), h);
    ui_put(g, x, y, -1, UI_DIM, text);
}

static void draw_kinds(const ui_app *a, ui_grid *g, const ui_ring_layout *l,
                       const rs_factors *f, double min, double max)
{
    int n = ui_heat_kinds(a), y = l->kinds.y;
    int x = l->wide ? 9 : 6;
    bool tight = l->kinds.w < 79;
    ui_put(g, l->wide ? 2 : 1, y, 4, a->focus == UI_FOCUS_KINDS ? UI_FOCUS : UI_HEAD,
           "kind");
    for (int k = 0; f && k <= n; k++) {
        bool here = a->focus == UI_FOCUS_KINDS && a->kind == k;
        char letter[2] = {k < n ? rs_kind_letter((rs_kind)k) : 0, 0};
        const char *name = k == n ? "all" : l->wide ? rs_kind_short((rs_kind)k) : letter;
        double v = kind_factor(f, k, n);
        char text[64];
        if (tight)
            snprintf(text, sizeof text, k == n ? "%s %.2f" : "%s%.1f", name, v);
        else if (k == n)
            snprintf(text, sizeof text, "%s %s", name, ui_num_gain(g->glyphs, v).s);
        else
            snprintf(text, sizeof text, "%s %.2f", name, v);
        if (k == n && !l->wide && !tight) x++;
        if (here) {
            ui_put(g, x - 1, y, 1, UI_CURSOR, ">");
            g->cursor_x = x - 1;
            g->cursor_y = y;
        }
        x += ui_put(g, x, y, -1, here ? UI_CURSOR : UI_TEXT, text) + (l->wide ? 2 : 1);
    }
    if (l->wide) draw_legend(a, g, x, y, min, max);
}

/* --- all --- */

void ui_ring_draw_rows(const ui_app *a, ui_grid *g, const ui_ring_layout *l)
{
    ui_ring_columns c = ui_ring_columns_of(a, l);
    const rs_recipe *recipe = a->doc.at.recipe;
    const rs_stage *s = recipe ? rs_recipe_fuel((rs_recipe *)recipe) : NULL;
    rs_factors *f = NULL;
    row_context r = {.a = a, .g = g, .l = l, .c = &c};
    if (s && rs_factors_from(&s->gain, ui_app_config(a), &f, NULL) != RS_OK) f = NULL;
    r.factors = f;
    char word[32];
    ui_heat_range(a, &r.heat_min, &r.heat_max);
    r.fills = ui_heat_word(a, word);
    draw_head(a, g, l, &c);
    for (int i = 0; i < l->visible; i++) {
        int row = a->rows.top + i < a->rows.n_order ? a->rows.order[a->rows.top + i] : -1;
        if (row < 0) break;
        r.row = row;
        r.y = l->list.y + i;
        draw_row(&r);
    }
    if (l->emb.h) {
        r.row = a->doc.n_layers;
        r.y = l->emb.y;
        draw_row(&r);
    }
    int bar = l->compact ? 119 : l->head.w - 1;
    ui_draw_scrollbar(g, bar, l->list.y, l->visible, a->rows.top, l->visible,
                      a->rows.n_order);
    draw_kinds(a, g, l, f, r.heat_min, r.heat_max);
    rs_factors_free(f);
}
