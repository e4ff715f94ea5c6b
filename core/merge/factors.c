#include "merge/factors.h"

#include "merge/factor_keys.h"
#include "merge/selector.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { K = RS_FACTOR_KINDS, GAIN_LO = -2, GAIN_HI = 3, T_LO = -100, T_HI = 100 };

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory for a table of gains");
}

/* Some loops below are bounded by what a recipe can name. */
static rs_status check_size(const rs_config *c, rs_err *err)
{
    if (c->n_layers <= RS_RECIPE_LAYERS) return RS_OK;
    return rs_fail(err, RS_E_UNSUPPORTED,
                   "the model has %d layers, recipes work up to %d", c->n_layers,
                   (int)RS_RECIPE_LAYERS);
}

/* --- selectors over the table --- */

typedef enum shape { SHAPE_NONE, SHAPE_ALL, SHAPE_ROWS, SHAPE_COLS, SHAPE_CELLS } shape;

/* cells [n_layers + 1, K] that the selector names, and whether they are everything, whole
 * rows, whole columns (of the layers: outside there are no kinds) or neither. A row
 * must name a tensor that the model has. A mark need not: the table is written with a mark
 * for each cell. */
static rs_status select_cells(const rs_config *c, const char *text, bool *cells,
                              bool must_be_real, shape *what, rs_err *err)
{
    rs_arena arena = {0};
    const rs_selector *s;
    rs_status status = rs_selector_parse(&arena, text, &s, err);
    if (status != RS_OK) return rs_arena_free(&arena), status;
    bool rows = true, cols = true;
    int n = 0, n_named = 0, n_all = (c->n_layers + 1) * K;
    for (int l = 0; l <= c->n_layers; l++)
        for (int k = 0; k < K; k++) {
            int layer = l < c->n_layers ? l : -1;
            cells[l * K + k] = rs_selector_matches_cell(s, c, layer, (rs_kind)k);
            n += cells[l * K + k];
            n_named += cells[l * K + k] && (!must_be_real || rs_cell_is_real(c, l, k));
            rows &= cells[l * K + k] == cells[l * K];
            if (l < c->n_layers)
                cols &= cells[l * K + k] == cells[k];
            else
                cols &= !cells[l * K + k];
        }
    rs_arena_free(&arena);
    *what = n_named == 0 ? SHAPE_NONE
            : n == n_all ? SHAPE_ALL
            : rows       ? SHAPE_ROWS
            : cols       ? SHAPE_COLS
                         : SHAPE_CELLS;
    return RS_OK;
}

static double applied(double old, const rs_row *row)
{
    if (row->op == '=') return row->value;
    return row->op == '*' ? old * row->value : old + row->value;
}

/* --- gains --- */

void rs_factors_free(rs_factors *f)
{
    if (!f) return;
    free(f->layer);
    free(f->cell);
    free(f->muted);
    free(f->soloed);
    free(f->locked);
    free(f);
}

static rs_factors *new_factors(int n_layers)
{
    rs_factors *f = calloc(1, sizeof *f);
    size_t rows = (size_t)n_layers + 1;
    if (!f) return NULL;
    f->n_layers = n_layers;
    f->master = 1;
    f->layer = calloc(rows, sizeof *f->layer);
    f->cell = calloc(rows * K, sizeof *f->cell);
    f->muted = calloc(rows * K, sizeof *f->muted);
    f->soloed = calloc(rows * K, sizeof *f->soloed);
    f->locked = calloc(rows * K, sizeof *f->locked);
    if (!f->layer || !f->cell || !f->muted || !f->soloed || !f->locked)
        return rs_factors_free(f), NULL;
    for (size_t i = 0; i < rows; i++)
        f->layer[i] = 1;
    for (size_t i = 0; i < rows * K; i++)
        f->cell[i] = 1;
    for (int k = 0; k < K; k++)
        f->kind[k] = 1;
    return f;
}

static rs_status apply_row(rs_factors *f, const rs_config *c, const rs_row *row,
                           bool *cells, rs_err *err)
{
    shape what;
    RS_TRY(select_cells(c, row->selector, cells, true, &what, err));
    if (what == SHAPE_NONE)
        return rs_fail(err, RS_E_INVALID,
                       "gain: the selector \"%s\" matches nothing here", row->selector);
    if (what == SHAPE_ALL) f->master = applied(f->master, row);
    for (int l = 0; l <= f->n_layers; l++)
        if (what == SHAPE_ROWS && cells[l * K]) f->layer[l] = applied(f->layer[l], row);
    for (int k = 0; k < K; k++)
        if (what == SHAPE_COLS && cells[k]) f->kind[k] = applied(f->kind[k], row);
    for (int i = 0; i < (f->n_layers + 1) * K; i++)
        if (what == SHAPE_CELLS && cells[i]) f->cell[i] = applied(f->cell[i], row);
    return RS_OK;
}

static rs_status mark_cells(const rs_config *c, const rs_names *names, const char *what,
                            bool *cells, bool *marks, rs_err *err)
{
    for (int i = 0; i < names->n; i++) {
        shape any;
        RS_TRY(select_cells(c, names->at[i], cells, false, &any, err));
        if (any == SHAPE_NONE)
            return rs_fail(err, RS_E_INVALID,
                           "%s: the selector \"%s\" matches nothing here", what,
                           names->at[i]);
        for (int j = 0; j < (c->n_layers + 1) * K; j++)
            marks[j] |= cells[j];
    }
    return RS_OK;
}

/* Rows add and multiply: what comes out must be what a table might state. */
static rs_status check_range(const double *v, int n, double lo, double hi,
                             const char *what, rs_err *err)
{
    for (int i = 0; i < n; i++)
        if (!isnan(v[i]) && !(v[i] >= lo && v[i] <= hi))
            return rs_fail(err, RS_E_INVALID, "%s: rows make %g, outside %g to %g", what,
                           v[i], lo, hi);
    return RS_OK;
}

static rs_status check_factors(const rs_factors *f, rs_err *err)
{
    RS_TRY(check_range(&f->master, 1, GAIN_LO, GAIN_HI, "gain", err));
    RS_TRY(check_range(f->layer, f->n_layers + 1, GAIN_LO, GAIN_HI, "gain", err));
    RS_TRY(check_range(f->kind, K, GAIN_LO, GAIN_HI, "gain", err));
    return check_range(f->cell, (f->n_layers + 1) * K, GAIN_LO, GAIN_HI, "gain", err);
}

static rs_status fill_factors(rs_factors *f, const rs_gain_spec *g, const rs_config *c,
                              bool *cells, rs_err *err)
{
    f->master = g->master;
    RS_TRY(rs_keys_spread(&g->layers, RS_KEYS_LAYERS, c->n_layers, "gain.layers",
                          f->layer, err));
    RS_TRY(rs_keys_spread(&g->kinds, RS_KEYS_KINDS, c->n_layers, "gain.kinds", f->kind,
                          err));
    RS_TRY(rs_keys_spread(&g->cells, RS_KEYS_CELLS, c->n_layers, "gain.cells", f->cell,
                          err));
    for (int i = 0; i < g->rows.n; i++)
        RS_TRY(apply_row(f, c, &g->rows.at[i], cells, err));
    if (g->rows.n) RS_TRY(check_factors(f, err));
    RS_TRY(mark_cells(c, &g->mute, "gain.mute", cells, f->muted, err));
    RS_TRY(mark_cells(c, &g->solo, "gain.solo", cells, f->soloed, err));
    RS_TRY(mark_cells(c, &g->lock, "gain.lock", cells, f->locked, err));
    f->any_solo = g->solo.n > 0;
    return RS_OK;
}

rs_status rs_factors_from(const rs_gain_spec *g, const rs_config *c, rs_factors **out,
                          rs_err *err)
{
    *out = NULL;
    RS_TRY(check_size(c, err));
    rs_factors *f = new_factors(c->n_layers);
    bool *cells = calloc((size_t)(c->n_layers + 1) * K, sizeof *cells);
    rs_status s = f && cells ? fill_factors(f, g, c, cells, err) : no_memory(err);
    free(cells);
    if (s == RS_OK)
        *out = f;
    else
        rs_factors_free(f);
    return s;
}

static int row_of(int n_layers, int layer)
{
    return layer >= 0 && layer < n_layers ? layer : n_layers;
}

double rs_factors_product(const rs_factors *f, int layer, rs_kind kind)
{
    int l = row_of(f->n_layers, layer), k = rs_factor_kind(kind);
    /* Kinds are the columns of the layers: what lies outside has a row, but no kind. */
    double of_kind = l < f->n_layers ? f->kind[k] : 1;
    return f->master * f->layer[l] * of_kind * f->cell[l * K + k];
}

double rs_factors_gain(const rs_factors *f, int layer, rs_kind kind)
{
    int at = row_of(f->n_layers, layer) * K + rs_factor_kind(kind);
    if (f->muted[at] || (f->any_solo && !f->soloed[at])) return 0;
    return rs_factors_product(f, layer, kind);
}

/* --- back into a recipe --- */

/* Pairs are gathered first, so that an edit costs the recipe's arena one array a table. */
typedef struct keeper {
    rs_recipe *r;
    int n_layers;
    bool failed;
    rs_pair *list;
    int n, cap;
} keeper;

static void keep(keeper *k, const char *key, double value)
{
    if (k->n == k->cap) {
        int cap = k->cap ? 2 * k->cap : 32;
        rs_pair *grown = realloc(k->list, (size_t)cap * sizeof *grown);
        if (!grown) {
            k->failed = true;
            return;
        }
        k->list = grown;
        k->cap = cap;
    }
    const char *copy = rs_recipe_str(k->r, key);
    if (!copy)
        k->failed = true;
    else
        k->list[k->n++] = (rs_pair){copy, value};
}

static rs_pairs kept(keeper *k)
{
    rs_pairs p = {.n = k->n};
    p.at = rs_arena_array(&k->r->arena, (size_t)k->n + 1, sizeof *p.at);
    if (!p.at) return k->failed = true, k->n = 0, (rs_pairs){0};
    if (k->n) memcpy(p.at, k->list, (size_t)k->n * sizeof *p.at);
    k->n = 0;
    return p;
}

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* Runs of equal values in a column of `stride`; value `neutral` is left out, and so are rows
 * in skip (may be NULL). suffix ("" or ".mlp") is put behind the rows. */
static void keep_runs(keeper *k, const double *values, int stride, const bool *skip,
                      double neutral, const char *suffix)
{
    for (int l = 0; l <= k->n_layers;) {
        double v = values[l * stride];
        bool wanted = !same(v, neutral) && !(skip && skip[l]);
        int end = l + 1; /* a run never reaches into the row "embed" */
        while (wanted && end < k->n_layers && values[end * stride] == v &&
               !(skip && skip[end]))
            end++;
        if (wanted) {
            bool rows[RS_RECIPE_LAYERS + 1] = {false};
            char run[24], key[64];
            for (int i = l; i < end; i++)
                rows[i] = true;
            rs_key_run(rows, k->n_layers, 0, run, sizeof run);
            snprintf(key, sizeof key, "%s%s", run, suffix);
            keep(k, key, v);
        }
        l = end;
    }
}

/* true where all columns of the group hold the same value in row l. */
static bool group_agrees(const double *row, const rs_col_group *g, int *first)
{
    *first = -1;
    for (int k = 0; k < K; k++) {
        if (!g->cols[k]) continue;
        if (*first < 0)
            *first = k;
        else if (!same(row[k], row[*first]))
            return false;
    }
    return *first >= 0;
}

static void keep_kinds(keeper *k, const double *kinds, double neutral)
{
    const rs_col_group *groups;
    int n = rs_col_groups(&groups), first;
    bool done[K] = {false};
    for (int i = 0; i < n; i++) {
        if (!group_agrees(kinds, &groups[i], &first) || done[first]) continue;
        for (int j = 0; j < K; j++)
            done[j] |= groups[i].cols[j];
        if (!same(kinds[first], neutral)) keep(k, groups[i].name, kinds[first]);
    }
}

/* Groups take the rows where all their columns agree; single columns what is left. */
static void keep_cells(keeper *k, const double *cells, double neutral)
{
    const rs_col_group *groups;
    int n = rs_col_groups(&groups);
    bool done[RS_RECIPE_LAYERS + 1][K] = {{false}};
    for (int i = 0; i < n; i++) {
        bool skip[RS_RECIPE_LAYERS + 1];
        char suffix[32];
        int first = 0, any = 0;
        for (int l = 0; l <= k->n_layers; l++) {
            bool agrees = group_agrees(cells + l * K, &groups[i], &first);
            skip[l] = !agrees || done[l][first];
            for (int j = 0; j < K; j++)
                done[l][j] |= agrees && groups[i].cols[j];
        }
        for (int j = K - 1; j >= 0; j--)
            if (groups[i].cols[j]) any = j;
        snprintf(suffix, sizeof suffix, ".%s", groups[i].name);
        keep_runs(k, cells + any, K, skip, neutral, suffix);
    }
}

static void keep_names(keeper *k, rs_names *names, const bool *marks)
{
    double whole[RS_RECIPE_LAYERS + 1];
    double *rest = calloc((size_t)(k->n_layers + 1) * K, sizeof *rest);
    int n_whole = 0;
    *names = (rs_names){0};
    if (!rest) {
        k->failed = true;
        return;
    }
    for (int l = 0; l <= k->n_layers; l++) {
        int n = 0;
        for (int j = 0; j < K; j++)
            n += marks[l * K + j];
        /* Outside the layers there is one cell that counts, so its row is whole with it. */
        if (l == k->n_layers) n = marks[l * K + K - 1] ? K : 0;
        whole[l] = n == K;
        n_whole += n == K;
        for (int j = 0; j < K; j++)
            rest[l * K + j] = l < k->n_layers && marks[l * K + j] && n < K;
    }
    if (n_whole == k->n_layers + 1) {
        keep(k, "*", 1);
    } else {
        keep_runs(k, whole, 1, NULL, 0, "");
        keep_cells(k, rest, 0);
    }
    rs_pairs found = kept(k);
    for (int i = 0; i < found.n; i++)
        k->failed |= !rs_names_add(k->r, names, found.at[i].key);
    free(rest);
}

rs_status rs_factors_store(const rs_factors *f, const rs_config *c, rs_recipe *r,
                           rs_gain_spec *g, rs_err *err)
{
    RS_TRY(check_size(c, err));
    keeper k = {.r = r, .n_layers = f->n_layers};
    *g = (rs_gain_spec){.master = f->master};
    keep_runs(&k, f->layer, 1, NULL, 1, "");
    g->layers = kept(&k);
    keep_kinds(&k, f->kind, 1);
    g->kinds = kept(&k);
    keep_cells(&k, f->cell, 1);
    g->cells = kept(&k);
    keep_names(&k, &g->mute, f->muted);
    keep_names(&k, &g->solo, f->soloed);
    keep_names(&k, &g->lock, f->locked);
    free(k.list);
    return k.failed ? no_memory(err) : RS_OK;
}

/* --- t --- */

void rs_t_table_free(rs_t_table *t)
{
    if (!t) return;
    free(t->layer);
    free(t->cell);
    free(t);
}

static rs_t_table *new_t(int n_layers)
{
    rs_t_table *t = calloc(1, sizeof *t);
    size_t rows = (size_t)n_layers + 1;
    if (!t) return NULL;
    t->n_layers = n_layers;
    t->layer = calloc(rows, sizeof *t->layer);
    t->cell = calloc(rows * K, sizeof *t->cell);
    if (!t->layer || !t->cell) return rs_t_table_free(t), NULL;
    for (size_t i = 0; i < rows; i++)
        t->layer[i] = NAN;
    for (size_t i = 0; i < rows * K; i++)
        t->cell[i] = NAN;
    for (int k = 0; k < K; k++)
        t->kind[k] = NAN;
    return t;
}

double rs_t_value(const rs_t_table *t, int layer, rs_kind kind)
{
    int l = row_of(t->n_layers, layer), k = rs_factor_kind(kind);
    if (!isnan(t->cell[l * K + k])) return t->cell[l * K + k];
    if (l < t->n_layers && !isnan(t->kind[k])) return t->kind[k];
    return isnan(t->layer[l]) ? t->fallback : t->layer[l];
}

/* Rows act on the values themselves, the last one wins; then the table is written anew from
 * the values: whole rows as layers, the rest as cells. */
static rs_status apply_t_rows(rs_t_table *t, const rs_t_spec *spec, const rs_config *c,
                              bool *cells, double *value, rs_err *err)
{
    int n = (t->n_layers + 1) * K;
    for (int i = 0; i < n; i++)
        value[i] = rs_t_value(t, i / K < t->n_layers ? i / K : -1, (rs_kind)(i % K));
    for (int r = 0; r < spec->rows.n; r++) {
        const rs_row *row = &spec->rows.at[r];
        shape what;
        RS_TRY(select_cells(c, row->selector, cells, true, &what, err));
        if (what == SHAPE_NONE)
            return rs_fail(err, RS_E_INVALID,
                           "t: the selector \"%s\" matches nothing here", row->selector);
        if (what == SHAPE_ALL) t->fallback = applied(t->fallback, row);
        for (int i = 0; i < n; i++)
            if (cells[i]) value[i] = applied(value[i], row);
    }
    RS_TRY(check_range(value, n, T_LO, T_HI, "t", err));
    for (int k = 0; k < K; k++)
        t->kind[k] = NAN;
    for (int l = 0; l <= t->n_layers; l++) {
        bool uniform = true;
        for (int k = 1; k < K; k++)
            uniform &= value[l * K + k] == value[l * K];
        t->layer[l] = uniform && value[l * K] != t->fallback ? value[l * K] : NAN;
        for (int k = 0; k < K; k++) {
            double v = value[l * K + k];
            t->cell[l * K + k] = uniform || v == t->fallback ? NAN : v;
        }
    }
    return RS_OK;
}

static rs_status fill_t(rs_t_table *t, const rs_t_spec *spec, const rs_config *c,
                        rs_err *err)
{
    t->fallback = spec->fallback;
    RS_TRY(rs_keys_spread(&spec->layers, RS_KEYS_LAYERS, c->n_layers, "t.layers",
                          t->layer, err));
    RS_TRY(rs_keys_spread(&spec->kinds, RS_KEYS_KINDS, c->n_layers, "t.kinds", t->kind,
                          err));
    RS_TRY(rs_keys_spread(&spec->cells, RS_KEYS_CELLS, c->n_layers, "t.cells", t->cell,
                          err));
    if (spec->rows.n == 0) return RS_OK;
    size_t n = (size_t)(c->n_layers + 1) * K;
    bool *cells = calloc(n, sizeof *cells);
    double *value = calloc(n, sizeof *value);
    rs_status s =
        cells && value ? apply_t_rows(t, spec, c, cells, value, err) : no_memory(err);
    free(cells);
    free(value);
    return s;
}

rs_status rs_t_table_from(const rs_t_spec *spec, const rs_config *c, rs_t_table **out,
                          rs_err *err)
{
    *out = NULL;
    RS_TRY(check_size(c, err));
    rs_t_table *t = new_t(c->n_layers);
    rs_status s = t ? fill_t(t, spec, c, err) : no_memory(err);
    if (s == RS_OK)
        *out = t;
    else
        rs_t_table_free(t);
    return s;
}

rs_status rs_t_table_store(const rs_t_table *t, const rs_config *c, rs_recipe *r,
                           rs_t_spec *spec, rs_err *err)
{
    RS_TRY(check_size(c, err));
    keeper k = {.r = r, .n_layers = t->n_layers};
    *spec = (rs_t_spec){.fallback = t->fallback};
    keep_runs(&k, t->layer, 1, NULL, NAN, "");
    spec->layers = kept(&k);
    keep_kinds(&k, t->kind, NAN);
    spec->kinds = kept(&k);
    keep_cells(&k, t->cell, NAN);
    spec->cells = kept(&k);
    free(k.list);
    return k.failed ? no_memory(err) : RS_OK;
}
