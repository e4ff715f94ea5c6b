#include "tui/app/values.h"

#include "merge/factors.h"
#include "tui/app/state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { K = RS_FACTOR_KINDS };

bool ui_op_parse(const char *text, ui_op *out)
{
    while (*text == ' ')
        text++;
    if (!strchr("=+-*", *text) || !*text) return false;
    char *end = NULL;
    double v = strtod(text + 1, &end);
    if (end == text + 1 || !isfinite(v)) return false;
    while (*end == ' ')
        end++;
    if (*end) return false;
    *out = (ui_op){.op = *text, .value = v};
    return true;
}

static double rounded(double v)
{
    double r = round(v * 1e6) / 1e6;
    return r == 0 ? 0 : r; /* no negative zero */
}

typedef struct limits {
    double lo, hi, key_lo, key_hi;
} limits;

/* The value after op, weight w of it; counts a stop at the end of the range. A key never
 * carries a value out of the slider, but one that is outside already may move on. */
static double applied(double old, ui_op op, double w, const limits *lim, ui_outcome *out)
{
    double v = old;
    if (op.op == '=') v = old + w * (op.value - old);
    if (op.op == '+') v = old + w * op.value;
    if (op.op == '-') v = old - w * op.value;
    if (op.op == '*') v = old * (1 + w * (op.value - 1));
    v = rounded(v);
    double lo = lim->lo, hi = lim->hi;
    if (op.by_key && old >= lim->key_lo && old <= lim->key_hi)
        lo = lim->key_lo, hi = lim->key_hi;
    if (v < lo || v > hi) {
        out->stopped++;
        v = v < lo ? lo : hi;
    }
    return v;
}

/* A single factor has the same limits as their product (recipe format). */
static double factor(double v, ui_outcome *out)
{
    if (v >= UI_GAIN_MIN && v <= UI_GAIN_MAX) return v;
    out->stopped++;
    return v < UI_GAIN_MIN ? UI_GAIN_MIN : UI_GAIN_MAX;
}

/* Sets the layer factor so that master x layer is v. */
static void set_layer(rs_factors *f, int l, double v, ui_outcome *out)
{
    f->layer[l] = f->master == 1 || f->master == 0 ? v : factor(v / f->master, out);
}

static limits gain_limits(const ui_app *a)
{
    return (limits){UI_GAIN_MIN, UI_GAIN_MAX, a->opt.gain_lo, a->opt.gain_hi};
}

static bool row_is_locked(const ui_app *a, const rs_factors *f, int row)
{
    bool any = false, all = true;
    for (int k = 0; k < K; k++) {
        if (k < RS_N_LAYER_KINDS && ui_doc_tensor(&a->doc, row, k) < 0) continue;
        any |= f->locked[row * K + k];
        all &= f->locked[row * K + k];
    }
    return any && all;
}

static void count_locked(ui_outcome *out, int row)
{
    if (out->locked++ == 0) out->first_locked = row;
}

static double product(const rs_factors *f, int i)
{
    return rs_factors_product(f, i / K < f->n_layers ? i / K : -1, (rs_kind)(i % K));
}

/* What the cell is multiplied by, also where it is 0. */
static double beside(const rs_factors *f, int i)
{
    int l = i / K, k = i % K;
    return f->master * f->layer[l] * (l < f->n_layers ? f->kind[k] : 1);
}

/* Cells that are locked get back the product that they had. */
static bool hold_locked(rs_factors *f, const double *before, rs_err *err)
{
    for (int i = 0; i < (f->n_layers + 1) * K; i++) {
        double now = product(f, i);
        if (!f->locked[i] || now == before[i]) continue;
        double others = beside(f, i);
        f->cell[i] = others != 0 ? before[i] / others : INFINITY;
        if (!(f->cell[i] >= UI_GAIN_MIN && f->cell[i] <= UI_GAIN_MAX)) {
            rs_fail(err, RS_E_INVALID,
                    "a locked row could not keep its gain: K unlocks it, or change the "
                    "rows alone");
            return false;
        }
        if (fabs(f->cell[i] - rounded(f->cell[i])) < 1e-9)
            f->cell[i] = rounded(f->cell[i]);
    }
    return true;
}

static void change_rows(const ui_app *a, rs_factors *f, const ui_mask *m, ui_op op,
                        ui_outcome *out)
{
    limits lim = gain_limits(a);
    for (int l = 0; l <= f->n_layers; l++) {
        if (!ui_mask_row(m, l)) continue;
        if (row_is_locked(a, f, l)) {
            count_locked(out, l);
            continue;
        }
        double now = applied(f->master * f->layer[l], op, m->weight[l], &lim, out);
        set_layer(f, l, now, out);
        out->n++;
    }
}

static void change_kinds(const ui_app *a, rs_factors *f, const ui_mask *m, ui_op op,
                         ui_outcome *out)
{
    limits lim = gain_limits(a);
    for (int k = 0; k < K; k++) {
        if (!m->kind[k]) continue;
        f->kind[k] = applied(f->kind[k], op, 1, &lim, out);
        out->n++;
    }
}

static void change_cells(const ui_app *a, rs_factors *f, const ui_mask *m, ui_op op,
                         ui_outcome *out)
{
    limits lim = gain_limits(a);
    for (int i = 0; i < (f->n_layers + 1) * K; i++) {
        if (!m->bit[i]) continue;
        bool there =
            i % K == RS_N_LAYER_KINDS || ui_doc_tensor(&a->doc, i / K, i % K) >= 0;
        if (f->locked[i]) {
            if (there) count_locked(out, i / K);
            continue;
        }
        ui_outcome unseen = {0};
        double old = product(f, i),
               now = applied(old, op, 1, &lim, there ? out : &unseen);
        double others = beside(f, i);
        f->cell[i] =
            factor(rounded(others != 0 ? now / others : now), there ? out : &unseen);
        out->n += there;
    }
}

static rs_stage *fuel_of(rs_recipe *r, rs_err *err)
{
    rs_stage *s = rs_recipe_fuel(r);
    if (!s)
        rs_fail(err, RS_E_INVALID,
                "this recipe has no stage that adds deltas, so no gains");
    return s;
}

static rs_stage *heal_of(rs_recipe *r, rs_err *err)
{
    rs_stage *s = rs_recipe_heal(r);
    if (!s) rs_fail(err, RS_E_INVALID, "this recipe has no heal, so no t");
    return s;
}

/* The fuel stage's table for changing, and the products as they were. */
typedef struct table {
    rs_stage *stage;
    rs_factors *f;
    double *before;
} table;

static bool open_table(const ui_app *a, rs_recipe *r, table *t, rs_err *err)
{
    memset(t, 0, sizeof *t);
    t->stage = fuel_of(r, err);
    if (!t->stage ||
        rs_factors_from(&t->stage->gain, ui_app_config(a), &t->f, err) != RS_OK)
        return false;
    int n = (t->f->n_layers + 1) * K;
    t->before = ui_alloc((size_t)n, sizeof *t->before);
    for (int i = 0; i < n; i++)
        t->before[i] = product(t->f, i);
    return true;
}

static bool close_table(const ui_app *a, rs_recipe *r, table *t, bool good, rs_err *err)
{
    good = good && hold_locked(t->f, t->before, err) &&
           rs_factors_store(t->f, ui_app_config(a), r, &t->stage->gain, err) == RS_OK;
    rs_factors_free(t->f);
    free(t->before);
    return good;
}

static void begin_outcome(ui_outcome *out, const char *what)
{
    memset(out, 0, sizeof *out);
    out->first_locked = -1;
    strcpy(out->what, what);
}

bool ui_gain_apply(const ui_app *a, rs_recipe *r, const ui_mask *m, ui_shape shape,
                   ui_op op, ui_outcome *out, rs_err *err)
{
    static const char *const words[] = {"row", "value", "row", "kind", "cell"};
    begin_outcome(out, words[shape]);
    table t;
    if (!open_table(a, r, &t, err)) return false;
    limits lim = gain_limits(a);
    switch (shape) {
    case UI_SHAPE_ALL:
        t.f->master = applied(t.f->master, op, 1, &lim, out);
        out->n = 1;
        break;
    case UI_SHAPE_ROWS:
        change_rows(a, t.f, m, op, out);
        break;
    case UI_SHAPE_KINDS:
        change_kinds(a, t.f, m, op, out);
        break;
    default:
        change_cells(a, t.f, m, op, out);
    }
    return close_table(a, r, &t, true, err);
}

bool ui_gain_rows(const ui_app *a, rs_recipe *r, const double *value, ui_outcome *out,
                  rs_err *err)
{
    begin_outcome(out, "row");
    table t;
    if (!open_table(a, r, &t, err)) return false;
    limits lim = gain_limits(a);
    for (int l = 0; l <= t.f->n_layers; l++) {
        if (isnan(value[l])) continue;
        if (row_is_locked(a, t.f, l)) {
            count_locked(out, l);
            continue;
        }
        ui_op op = {.op = '=', .value = value[l]};
        double now = applied(t.f->master * t.f->layer[l], op, 1, &lim, out);
        set_layer(t.f, l, now, out);
        out->n++;
    }
    return close_table(a, r, &t, true, err);
}

bool ui_gain_line(const ui_app *a, double *value)
{
    const rs_recipe *r = a->doc.at.recipe;
    const rs_stage *s = r ? rs_recipe_fuel(r) : NULL;
    rs_factors *f = NULL;
    if (!s || !ui_app_config(a)) return false;
    if (rs_factors_from(&s->gain, ui_app_config(a), &f, NULL) != RS_OK) return false;
    for (int l = 0; l < f->n_layers; l++)
        value[l] = rounded(f->master * f->layer[l]);
    rs_factors_free(f);
    return true;
}

/* --- t --- */

static const limits t_limits = {UI_T_MIN, UI_T_MAX, 0, 1};

static void change_t_all(rs_t_table *t, ui_op op, ui_outcome *out)
{
    int n = t->n_layers + 1;
    bool set = op.op == '=';
    t->fallback = applied(t->fallback, op, 1, &t_limits, out);
    out->n = 1;
    for (int l = 0; l < n; l++)
        if (!isnan(t->layer[l]))
            t->layer[l] = set ? NAN : applied(t->layer[l], op, 1, &t_limits, out);
    for (int k = 0; k < K; k++)
        if (!isnan(t->kind[k]))
            t->kind[k] = set ? NAN : applied(t->kind[k], op, 1, &t_limits, out);
    for (int i = 0; i < n * K; i++)
        if (!isnan(t->cell[i]))
            t->cell[i] = set ? NAN : applied(t->cell[i], op, 1, &t_limits, out);
}

static double unless(double v, double fallback)
{
    return v == fallback ? NAN : v;
}

static void change_t_row(rs_t_table *t, int l, ui_op op, double w, ui_outcome *out)
{
    double old = isnan(t->layer[l]) ? t->fallback : t->layer[l];
    t->layer[l] = unless(applied(old, op, w, &t_limits, out), t->fallback);
    out->n++;
    ui_outcome unseen = {0};
    for (int k = 0; k < K; k++) {
        double *c = &t->cell[l * K + k];
        if (!isnan(*c)) *c = applied(*c, op, w, &t_limits, &unseen);
    }
}

static void change_t(const ui_app *a, rs_t_table *t, const ui_mask *m, ui_shape shape,
                     ui_op op, ui_outcome *out)
{
    if (shape == UI_SHAPE_ALL) change_t_all(t, op, out);
    for (int l = 0; shape == UI_SHAPE_ROWS && l <= t->n_layers; l++)
        if (ui_mask_row(m, l)) change_t_row(t, l, op, m->weight[l], out);
    for (int k = 0; shape == UI_SHAPE_KINDS && k < K; k++) {
        if (!m->kind[k]) continue;
        double old = isnan(t->kind[k]) ? t->fallback : t->kind[k];
        t->kind[k] = applied(old, op, 1, &t_limits, out);
        out->n++;
    }
    for (int i = 0; shape == UI_SHAPE_CELLS && i < (t->n_layers + 1) * K; i++) {
        if (!m->bit[i]) continue;
        double old = rs_t_value(t, i / K < t->n_layers ? i / K : -1, (rs_kind)(i % K));
        t->cell[i] = applied(old, op, 1, &t_limits, out);
        out->n += i % K == RS_N_LAYER_KINDS || ui_doc_tensor(&a->doc, i / K, i % K) >= 0;
    }
}

bool ui_t_apply(const ui_app *a, rs_recipe *r, const ui_mask *m, ui_shape shape, ui_op op,
                ui_outcome *out, rs_err *err)
{
    static const char *const words[] = {"row", "value", "row", "kind", "cell"};
    begin_outcome(out, words[shape]);
    rs_stage *s = heal_of(r, err);
    rs_t_table *t = NULL;
    if (!s || rs_t_table_from(&s->t, ui_app_config(a), &t, err) != RS_OK) return false;
    change_t(a, t, m, shape, op, out);
    bool good = rs_t_table_store(t, ui_app_config(a), r, &s->t, err) == RS_OK;
    rs_t_table_free(t);
    return good;
}

bool ui_t_rows(const ui_app *a, rs_recipe *r, const double *value, ui_outcome *out,
               rs_err *err)
{
    begin_outcome(out, "row");
    rs_stage *s = heal_of(r, err);
    rs_t_table *t = NULL;
    if (!s || rs_t_table_from(&s->t, ui_app_config(a), &t, err) != RS_OK) return false;
    for (int l = 0; l <= t->n_layers; l++) {
        ui_op op = {.op = '=', .value = value[l]};
        if (!isnan(value[l])) change_t_row(t, l, op, 1, out);
    }
    bool good = rs_t_table_store(t, ui_app_config(a), r, &s->t, err) == RS_OK;
    rs_t_table_free(t);
    return good;
}

/* --- as it was saved --- */

static void reset_gains(const ui_app *a, rs_factors *f, const rs_factors *was,
                        const ui_mask *m, ui_outcome *out)
{
    bool all = ui_mask_shape(m) == UI_SHAPE_ALL;
    if (all) f->master = was->master;
    for (int k = 0; all && k < K; k++)
        f->kind[k] = was->kind[k];
    for (int l = 0; l <= f->n_layers; l++) {
        if (!ui_mask_row(m, l)) continue;
        if (row_is_locked(a, f, l)) {
            count_locked(out, l);
            continue;
        }
        bool whole = true;
        for (int k = 0; k < K; k++)
            whole &= m->bit[l * K + k];
        if (whole) f->layer[l] = was->layer[l];
        for (int k = 0; k < K; k++)
            if (m->bit[l * K + k] && !f->locked[l * K + k])
                f->cell[l * K + k] = was->cell[l * K + k];
        out->n++;
    }
}

static bool reset_gain_rows(const ui_app *a, rs_recipe *r, const rs_recipe *saved,
                            const ui_mask *m, ui_outcome *out, rs_err *err)
{
    rs_recipe *unchanged = (rs_recipe *)saved; /* rs_recipe_fuel only looks */
    const rs_stage *s = fuel_of(unchanged, err);
    rs_factors *was = NULL;
    table t;
    if (!s || rs_factors_from(&s->gain, ui_app_config(a), &was, err) != RS_OK)
        return false;
    bool good = open_table(a, r, &t, err);
    if (good) {
        reset_gains(a, t.f, was, m, out);
        good = close_table(a, r, &t, true, err);
    }
    rs_factors_free(was);
    return good;
}

static bool reset_t_rows(const ui_app *a, rs_recipe *r, const rs_recipe *saved,
                         const ui_mask *m, ui_outcome *out, rs_err *err)
{
    rs_stage *s = heal_of(r, err), *s_was = heal_of((rs_recipe *)saved, err);
    rs_t_table *t = NULL, *was = NULL;
    bool good = s && s_was &&
                rs_t_table_from(&s->t, ui_app_config(a), &t, err) == RS_OK &&
                rs_t_table_from(&s_was->t, ui_app_config(a), &was, err) == RS_OK;
    for (int l = 0; good && l <= t->n_layers; l++) {
        if (!ui_mask_row(m, l)) continue;
        double v = isnan(was->layer[l]) ? was->fallback : was->layer[l];
        t->layer[l] = unless(v, t->fallback);
        memcpy(t->cell + l * K, was->cell + l * K, K * sizeof *t->cell);
        out->n++;
    }
    good = good && rs_t_table_store(t, ui_app_config(a), r, &s->t, err) == RS_OK;
    rs_t_table_free(t);
    rs_t_table_free(was);
    return good;
}

bool ui_values_reset(const ui_app *a, rs_recipe *r, const rs_recipe *saved,
                     const ui_mask *m, bool of_t, ui_outcome *out, rs_err *err)
{
    begin_outcome(out, "row");
    return of_t ? reset_t_rows(a, r, saved, m, out, err)
                : reset_gain_rows(a, r, saved, m, out, err);
}

/* --- mute, solo, lock --- */

bool ui_flag_toggle(const ui_app *a, rs_recipe *r, const ui_mask *m, ui_flag flag,
                    bool *on, rs_err *err)
{
    rs_stage *s = fuel_of(r, err);
    rs_factors *f = NULL;
    if (!s || rs_factors_from(&s->gain, ui_app_config(a), &f, err) != RS_OK) return false;
    bool *mark = flag == UI_FLAG_MUTE   ? f->muted
                 : flag == UI_FLAG_SOLO ? f->soloed
                                        : f->locked;
    int n = (f->n_layers + 1) * K;
    *on = false;
    for (int i = 0; i < n; i++)
        *on |= m->bit[i] && !mark[i];
    for (int i = 0; i < n; i++)
        if (m->bit[i]) mark[i] = *on;
    f->any_solo = false;
    for (int i = 0; i < n; i++)
        f->any_solo |= f->soloed[i];
    bool good = rs_factors_store(f, ui_app_config(a), r, &s->gain, err) == RS_OK;
    rs_factors_free(f);
    return good;
}
