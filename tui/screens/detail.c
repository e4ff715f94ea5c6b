/* detail.c - one layer of Ring, tensor by tensor. */
#include "tui/draw/widgets.h"
#include "tui/screens/screens.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int row_of(const ui_app *a, const rs_plan_tensor *t)
{
    return t->role.layer < 0 ? a->doc.n_layers : t->role.layer;
}

/* Matrices with a delta first, in the order of the columns; the others if they are asked for. */
int *ui_detail_tensors(const ui_app *a, int *n, int *n_more)
{
    const rs_plan *p = a->doc.at.plan;
    int count = p ? rs_plan_count(p) : 0;
    int *at = ui_alloc((size_t)count + 1, sizeof *at);
    *n = *n_more = 0;
    for (int k = 0; k < RS_N_LAYER_KINDS; k++) {
        int i = ui_doc_tensor(&a->doc, a->detail.layer, k);
        if (i >= 0 && rs_plan_at(p, i)->has_delta) at[(*n)++] = i;
    }
    int listed = *n;
    for (int i = 0; i < count; i++) {
        const rs_plan_tensor *t = rs_plan_at(p, i);
        bool already = false;
        if (row_of(a, t) != a->detail.layer || t->role.kind == RS_KIND_TOWER) continue;
        for (int k = 0; k < listed; k++)
            already |= at[k] == i;
        if (already) continue;
        if (a->detail.all || t->has_delta)
            at[(*n)++] = i;
        else
            ++*n_more;
    }
    return at;
}

int ui_detail_here(const ui_app *a)
{
    int n = 0, more = 0, *at = ui_detail_tensors(a, &n, &more);
    int i = a->detail.row >= 0 && a->detail.row < n ? at[a->detail.row] : -1;
    free(at);
    return i;
}

/* "q_proj", "input_layernorm": what follows the layer, without .weight and self_attn. */
void ui_tensor_short_name(const rs_plan_tensor *t, char dst[96])
{
    const char *s = t->role.tail ? t->role.tail : t->name;
    if (t->role.layer >= 0 && strncmp(s, "layers.", 7) == 0) {
        const char *dot = strchr(s + 7, '.');
        if (dot) s = dot + 1;
    }
    if (strncmp(s, "self_attn.", 10) == 0)
        s += 10;
    else if (strncmp(s, "mlp.", 4) == 0)
        s += 4;
    snprintf(dst, 96, "%s", s);
    size_t n = strlen(dst);
    if (n > 7 && strcmp(dst + n - 7, ".weight") == 0) dst[n - 7] = 0;
}

static void shape_text(const rs_tensor *t, char dst[40])
{
    size_t at = 0;
    dst[0] = 0;
    if (t->n_dims == 0) snprintf(dst, 40, "scalar");
    for (int i = 0; i < t->n_dims && at < 40; i++)
        at += (size_t)snprintf(dst + at, 40 - at, "%s%lld", i ? "x" : "",
                               (long long)t->dim[i]);
}

typedef struct columns { /* the state cell of each; -1: not shown */
    int name_w, shape, f, max_f, gain, d, damage, kept, norm, theta, c_a, c_b, survival;
    int leak, stored;
} columns;

/* With a mask in force what is left inside once stored takes the place of the largest F, or of
 * theta. */
static columns columns_of(const ui_app *a, int w)
{
    const rs_measure *m = a->doc.at.measure;
    const rs_stage *s = rs_recipe_fuel(a->doc.at.recipe);
    bool leaks = m && !isnan(m->all.leak), masked = leaks && s && s->mask.by;
    columns c = {10, 12, 21, -1, 29, 36, 41, 49, 54, 60, -1, -1, 67, 73, -1};
    if (w >= 112)
        c = (columns){16, 17, 25, 33, 45, 53, 59, 68, 74, 81, 89, 98, 106, 113, -1};
    if (w >= 112 && masked)
        c = (columns){16, 17, 25, -1, 37, 45, 51, 60, 66, 73, 81, 90, 98, 105, 112};
    if (w < 112 && masked) c.theta = -1, c.survival = 60, c.leak = 66, c.stored = 72;
    if (!leaks || w < 79) c.leak = c.stored = -1;
    if (w < 72) c.survival = -1;
    if (w < 67) c.theta = -1;
    return c;
}

static void head(ui_grid *g, int x, int w, int y, const char *text)
{
    if (x >= 0) ui_put_right(g, x + 1, y, w, UI_HEAD, text);
}

static void draw_head(ui_grid *g, int y, const columns *c, bool wide)
{
    ui_put(g, 2, y, -1, UI_HEAD, "tensor");
    head(g, c->shape, wide ? 7 : 8, y, "shape");
    head(g, c->f, wide ? 7 : 6, y, "F");
    head(g, c->max_f, 6, y, "max F");
    head(g, c->gain, 5, y, "gain");
    head(g, c->d, 4, y, "d");
    head(g, c->damage, 6, y, "mnat");
    head(g, c->kept, wide ? 5 : 4, y, "kept");
    head(g, c->norm, 5, y, "%|W|");
    head(g, c->theta, wide ? 6 : 6, y, "theta");
    head(g, c->c_a, 7, y, "c_a");
    head(g, c->c_b, 7, y, "c_b");
    head(g, c->survival, wide ? 5 : 5, y, "surv");
    head(g, c->leak, 5, y, "leak");
    head(g, c->stored, 6, y, "stored");
}

/* Mean of the raw Fisher over the matrices of all layers: the columns F are in units of it. */
static double mean_f(const ui_app *a)
{
    double sum = 0, n = 0;
    for (int l = 0; l < a->doc.n_layers; l++)
        for (int k = 0; k < RS_N_LAYER_KINDS; k++) {
            int i = ui_doc_tensor(&a->doc, l, k);
            if (!ui_sums_is_known(&a->doc.sums, i) || !(a->doc.sums.at[i].sum_f > 0))
                continue;
            sum += a->doc.sums.at[i].sum_f;
            n += a->doc.sums.at[i].n;
        }
    return n > 0 ? sum / n : NAN;
}

static void put(ui_grid *g, int x, int y, ui_role role, ui_state s, const char *text)
{
    if (x >= 0) ui_put_number(g, x, y, role, s, text);
}

static void draw_leak(ui_grid *g, int y, const rs_measure_row *r, const columns *c,
                      bool wide, ui_role role, ui_state s)
{
    ui_glyph_level l = g->glyphs;
    ui_state o = !isnan(r->stored) && r->stored_stale ? UI_OLD : s;
    put(g, c->leak, y, role, s,
        wide ? ui_num_share(l, r->leak).s : ui_num_share_narrow(l, r->leak).s);
    put(g, c->stored < 0 ? -1 : c->stored + 1, y, role, o,
        wide ? ui_num_share(l, r->stored).s : ui_num_share_narrow(l, r->stored).s);
}

static void draw_numbers(const ui_app *a, ui_grid *g, int y, int i, const columns *c,
                         bool wide, ui_role role)
{
    const rs_measure *m = a->doc.at.measure;
    ui_glyph_level l = g->glyphs;
    if (!m || !ui_sums_is_known(&a->doc.sums, i)) return;
    const rs_measure_row *r = &m->tensor[i];
    bool delta = rs_plan_at(a->doc.at.plan, i)->has_delta;
    ui_state s = ui_sums_is_old(&a->doc.sums, i) ? UI_OLD : UI_EXACT;
    put(g, c->f, y, role, s, ui_num_fixed(l, r->f_mean / mean_f(a), wide ? 7 : 6, 2).s);
    put(g, c->max_f, y, role, s, ui_num_fixed(l, r->f_max / mean_f(a), 6, 0).s);
    put(g, c->gain, y, role, UI_EXACT, ui_num_gain(l, delta ? r->gain : NAN).s);
    put(g, c->d, y, role, s, ui_num_mean_d(l, r->d).s);
    put(g, c->damage, y, role, s, ui_num_mnat(l, r->damage).s);
    put(g, c->kept, y, role, s,
        wide ? ui_num_share(l, r->kept).s : ui_num_share_narrow(l, r->kept).s);
    put(g, c->norm, y, role, s, ui_num_norm(l, r->norm).s);
    if (!isnan(r->t)) put(g, c->theta, y, role, s, ui_num_theta(l, r->theta, r->flat).s);
    if (!isnan(r->t)) put(g, c->c_a, y, role, s, ui_num_coef(l, r->c_a).s);
    if (!isnan(r->t)) put(g, c->c_b, y, role, s, ui_num_coef(l, r->c_b).s);
    ui_state o = isnan(r->survival) ? UI_EXACT : r->survival_stale ? UI_OLD : s;
    put(g, c->survival, y, role, o,
        wide ? ui_num_share(l, r->survival).s : ui_num_share_narrow(l, r->survival).s);
    draw_leak(g, y, r, c, wide, role, s);
}

static void draw_tensor(const ui_app *a, ui_grid *g, int y, int i, bool here,
                        const columns *c, bool wide)
{
    const rs_plan_tensor *t = rs_plan_at(a->doc.at.plan, i);
    char name[96], shape[40];
    ui_role role = here ? UI_CURSOR : UI_TEXT;
    ui_tensor_short_name(t, name);
    shape_text(t->base, shape);
    if (here) {
        ui_put(g, 0, y, 1, UI_CURSOR, ">");
        g->cursor_x = 0;
        g->cursor_y = y;
    }
    int end = c->shape + (wide ? 8 : 9), n = (int)strlen(shape), room = end - n - 3;
    ui_put_middle(g, 2, y, room > c->name_w ? room : c->name_w, role, name);
    ui_put(g, end - n, y, n, role, shape);
    draw_numbers(a, g, y, i, c, wide, role);
}

static void attention_words(const ui_app *a, bool wide, char dst[96])
{
    const rs_config *c = ui_app_config(a);
    int l = a->detail.layer;
    const rs_layer_config *y = &c->layers[l];
    int reader = -1;
    for (int i = 0; i < c->n_layers; i++)
        if (i != l && c->layers[i].is_sharer && c->layers[i].kv_layer == l) reader = i;
    int at = snprintf(dst, 96, "%s%s  %s", y->is_full ? "full" : "sliding",
                      wide ? " attention" : "", wide ? " " : "");
    if (y->is_sharer)
        snprintf(dst + at, (size_t)(96 - at), "k, v read from %d", y->kv_layer);
    else if (wide && reader >= 0)
        snprintf(dst + at, (size_t)(96 - at), "own k and v, read by %d", reader);
    else
        snprintf(dst + at, (size_t)(96 - at), wide ? "own k and v" : "own k, v");
}

static void draw_detail_title(const ui_app *a, ui_grid *g, ui_rect r)
{
    const rs_measure *m = a->doc.at.measure;
    const rs_stage *s = rs_recipe_fuel(a->doc.at.recipe);
    rs_factors *f = NULL;
    bool wide = r.w >= 112, locked = false;
    char title[400], words[96];
    int l = a->detail.layer;
    const char *gap = wide ? "   " : "  ";
    if (s && rs_factors_from(&s->gain, ui_app_config(a), &f, NULL) == RS_OK &&
        l <= f->n_layers)
        for (int k = 0; k < RS_FACTOR_KINDS; k++)
            locked |= f->locked[l * RS_FACTOR_KINDS + k];
    rs_factors_free(f);
    int at = 0;
    if (l >= a->doc.n_layers)
        at = snprintf(title, sizeof title, "outside the layers");
    else {
        attention_words(a, wide, words);
        at = wide ? snprintf(title, sizeof title, "layer %d of %d   %s", l,
                             a->doc.n_layers, words)
                  : snprintf(title, sizeof title, "layer %d  %s", l, words);
    }
    if (locked) at += snprintf(title + at, sizeof title - (size_t)at, "%slocked", gap);
    const rs_measure_row *row = m ? &m->layer[l] : NULL;
    if (row && !isnan(row->kept))
        at += snprintf(title + at, sizeof title - (size_t)at, "%sgain %.3f", gap,
                       row->gain);
    if (row && !isnan(row->kept) && !isnan(row->damage))
        at += snprintf(title + at, sizeof title - (size_t)at, "%sdamage %.3f mnat", gap,
                       row->damage * 1000);
    if (row && !isnan(row->kept))
        snprintf(title + at, sizeof title - (size_t)at, "%sstyle %.0f %%", gap,
                 row->kept * 100);
    ui_draw_title(g, r.x, r.y, r.w, title, false);
}

/* Where a d between 0 and 1 comes from, for the tensor under the cursor. */
static void draw_facts(const ui_app *a, ui_grid *g, ui_rect r, int i)
{
    char text[120];
    const rs_measure *m = a->doc.at.measure;
    if (i < 0 || r.h < 3) return;
    const rs_plan_tensor *t = rs_plan_at(a->doc.at.plan, i);
    ui_draw_title(g, r.x, r.y, r.w, "exact numbers of the tensor under the cursor",
                  false);
    int y = r.y + 1, x = r.x + 1, w = r.w - 2;
    ui_put_middle(g, x, y++, w, UI_TEXT, t->name);
    ui_printf(g, x, y++, w, UI_TEXT, "%s numbers, %s as stored, %s written, %s",
              ui_num_count(g->glyphs, t->base->n_elements).s,
              rs_dtype_name(t->base->dtype), rs_dtype_name(t->out_dtype),
              t->changes ? "merged" : "copied");
    if (!m || !ui_sums_is_known(&a->doc.sums, i) || r.h < 6) return;
    const rs_measure_row *v = &m->tensor[i];
    if (isnan(v->f_mean))
        snprintf(text, sizeof text, "no Fisher");
    else
        snprintf(text, sizeof text, "F mean %.6g, largest %.6g", v->f_mean, v->f_max);
    ui_printf(g, x, y++, w, UI_TEXT, "%s   %d delta%s   gain %.6g", text, t->n_deltas,
              t->n_deltas == 1 ? "" : "s", t->gain);
    text[0] = 0;
    if (!isnan(v->damage))
        snprintf(text, sizeof text, "damage %.6g %s   ", v->damage, ui_damage_unit(a));
    if (!isnan(v->kept))
        ui_printf(g, x, y++, w, UI_TEXT, "%skept %.6g   |D|/|W| %.6g   |x|/|W| %.6g",
                  text, v->kept, v->delta_norm, v->norm);
    if (!isnan(v->t) && y < r.y + r.h)
        ui_printf(g, x, y++, w, UI_TEXT,
                  "theta %.6g   c_a %.6g   c_b %.6g   survival %.4g   changed %.4g",
                  v->theta, v->c_a, v->c_b, v->survival, v->changed);
    const char *by = rs_plan_leak_measure(a->doc.at.plan);
    if (by && !isnan(v->leak) && y < r.y + r.h)
        ui_printf(g, x, y++, w, UI_TEXT,
                  "leak into %s: out %.3g, in %.3g   once stored: out %.3g, in %.3g", by,
                  v->leak_out, v->leak_in, v->stored_out, v->stored_in);
}

ui_detail_layout ui_detail_layout_of(const ui_app *a, ui_rect body, int n)
{
    enum { PLOTS = 9, MOST = 21, FACTS = 7 }; /* with titles and captions */
    int room = body.h - 3; /* below the heads, without the line under the rows */
    (void)a;
    bool plots = room >= PLOTS + 3;
    int rows = plots ? room - PLOTS : room;
    ui_detail_layout l = {.rows = body.y + 2, .n_rows = rows < n ? rows : n};
    l.more = l.rows + l.n_rows;
    if (!plots) return l;
    int y = l.more + 1, left = body.y + body.h - y;
    int h = left >= PLOTS + FACTS ? left - FACTS : left;
    if (h > MOST) h = MOST;
    int half = body.w / 2 + 1;
    l.spectrum = (ui_rect){body.x, y, half, h};
    l.histogram = (ui_rect){body.x + half, y, body.w - half, h};
    if (left - h >= 6) l.facts = (ui_rect){body.x, y + h, body.w, left - h};
    return l;
}

static int top_row(const ui_app *a, const ui_detail_layout *l)
{
    return a->detail.row >= l->n_rows ? a->detail.row - l->n_rows + 1 : 0;
}

void ui_detail_view(const ui_app *a, ui_grid *g, ui_rect body)
{
    if (!a->doc.at.plan || a->detail.layer > a->doc.n_layers) {
        ui_ring_view(a, g, body);
        return;
    }
    int n = 0, more = 0, *at = ui_detail_tensors(a, &n, &more);
    bool wide = body.w >= 112;
    columns c = columns_of(a, body.w);
    ui_detail_layout l = ui_detail_layout_of(a, body, n);
    draw_detail_title(a, g, (ui_rect){body.x, body.y, body.w, 1});
    draw_head(g, body.y + 1, &c, wide);
    int top = top_row(a, &l);
    for (int i = 0; i < l.n_rows && top + i < n; i++)
        draw_tensor(a, g, l.rows + i, at[top + i], top + i == a->detail.row, &c, wide);
    ui_draw_scrollbar(g, body.w - 1, l.rows, l.n_rows, top, l.n_rows, n);
    if (more)
        ui_printf(g, 2, l.more, body.w - 24, UI_DIM, "+ %d more without a delta", more);
    if (more || a->detail.all)
        ui_put_right(g, body.w - 23, l.more, 20, UI_DIM,
                     more ? "Enter lists them" : "Enter hides the rest");
    int here = a->detail.row < n ? at[a->detail.row] : -1;
    ui_detail_draw_plots(a, g, &l, here);
    if (l.facts.h) draw_facts(a, g, l.facts, here);
    free(at);
}

static bool is_in(ui_rect r, int x, int y)
{
    return x >= r.x && x < r.x + r.w && y >= r.y && y < r.y + r.h;
}

static void press(ui_app *a, const ui_msg *m, const ui_detail_layout *l, int n)
{
    int x = m->mouse.x, y = m->mouse.y, row = y - l->rows;
    bool drags = m->mouse.what == UI_MOUSE_DRAG;
    if (row >= 0 && row < l->n_rows && !drags) {
        int to = top_row(a, l) + row;
        a->detail.focus = UI_DETAIL_ROWS;
        if (to < n) a->detail.row = to;
    } else if (is_in(l->spectrum, x, y)) {
        int rank = ui_detail_rank_at(a, l, ui_detail_here(a), x);
        if (!drags) a->detail.focus = UI_DETAIL_SPECTRUM;
        if (a->detail.focus != UI_DETAIL_SPECTRUM || rank < 1) return;
        a->detail.rank = rank;
        a->detail.energy = 0;
    } else if (is_in(l->histogram, x, y) && !drags) {
        a->detail.focus = UI_DETAIL_HISTOGRAM;
    }
}

bool ui_detail_update(ui_app *a, const ui_msg *m, ui_effects *fx)
{
    (void)fx;
    int n = 0, more = 0;
    if (!a->doc.at.plan || a->detail.layer > a->doc.n_layers) {
        ui_go(a, UI_RING);
        return true;
    }
    free(ui_detail_tensors(a, &n, &more));
    if (a->detail.row >= n) a->detail.row = n > 0 ? n - 1 : 0;
    if (m->kind != UI_MSG_MOUSE || a->mode != UI_MODE_NONE) return true;
    ui_detail_layout l = ui_detail_layout_of(a, ui_body(a), n);
    if (m->mouse.what == UI_MOUSE_WHEEL_UP) ui_move(a, -3);
    if (m->mouse.what == UI_MOUSE_WHEEL_DOWN) ui_move(a, 3);
    if (m->mouse.what == UI_MOUSE_PRESS || m->mouse.what == UI_MOUSE_DRAG)
        press(a, m, &l, n);
    return true;
}

void ui_detail_hints(const ui_app *a, rs_buf *out)
{
    const char *pm = ui_glyph_at((ui_glyph_level)a->opt.glyphs, UI_G_PLUSMINUS);
    if (a->detail.focus == UI_DETAIL_SPECTRUM)
        rs_buf_puts(out,
                    "q back  Tab panel  h l rank  H L by 8  j k tensor  :subspace makes "
                    "it  :rank energy=0.9");
    else if (a->detail.focus == UI_DETAIL_HISTOGRAM)
        rs_buf_puts(out, "q back  Tab panel  h l cut  j k tensor  , . lambda  d kind  "
                         "% normaliser");
    else
        rs_buf_printf(out,
                      "q back  j k tensor  h/l %s%s  Tab plots  = + * exact  , . lambda  "
                      "%% normaliser  K m I lock mute solo  i exact",
                      pm, a->lane_t ? "0.01" : "0.05");
}
