#include "tui/app/select.h"

#include "merge/selector.h"
#include "tui/app/state.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { K = RS_FACTOR_KINDS };

static void new_mask(ui_mask *m, int n_layers)
{
    memset(m, 0, sizeof *m);
    m->n_layers = n_layers;
    m->bit = ui_alloc((size_t)(n_layers + 1) * K, sizeof *m->bit);
    m->row = ui_alloc((size_t)n_layers + 1, sizeof *m->row);
    m->weight = ui_alloc((size_t)n_layers + 1, sizeof *m->weight);
    for (int l = 0; l <= n_layers; l++)
        m->weight[l] = 1;
}

void ui_mask_free(ui_mask *m)
{
    free(m->bit);
    free(m->row);
    free(m->weight);
    memset(m, 0, sizeof *m);
}

/* Bits of cells that have no tensor (per-layer embeddings of a model without, K/V of a layer
 * that shares them) belong to a column's shape, but no row or kind is there by them alone. */
static void find_real(const ui_app *a, ui_mask *m)
{
    const rs_config *c = ui_app_config(a);
    for (int l = 0; l <= m->n_layers; l++)
        for (int k = 0; k < K; k++) {
            rs_kind kind = k < RS_N_LAYER_KINDS ? (rs_kind)k : RS_KIND_NORM;
            bool inside = l < m->n_layers;
            if (!m->bit[l * K + k] || (inside && !rs_config_has(c, l, kind))) continue;
            m->row[l] = true;
            if (inside) m->kind[k] = true;
        }
}

bool ui_mask_row(const ui_mask *m, int row)
{
    return m->row[row];
}

int ui_mask_n_rows(const ui_mask *m)
{
    int n = 0;
    for (int l = 0; l <= m->n_layers; l++)
        n += ui_mask_row(m, l);
    return n;
}

/* --- what only the screen knows --- */

static double shown_number(const rs_measure_row *r, const char *name, size_t n)
{
    static const char *const names[] = {"gain", "damage", "kept", "d",
                                        "norm", "theta",  "t",    "survival"};
    const double values[] = {r->gain, r->damage, r->kept, r->d,
                             r->norm, r->theta,  r->t,    r->survival};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == n && strncmp(names[i], name, n) == 0) return values[i];
    return INFINITY; /* no such number */
}

/* "1.5m" is 0.0015, "60%" is 0.6. */
static bool read_number(const char *s, double *v)
{
    char *end = NULL;
    *v = strtod(s, &end);
    if (end == s) return false;
    if (*end == 'm')
        *v /= 1000, end++;
    else if (*end == '%')
        *v /= 100, end++;
    while (*end == ' ')
        end++;
    return *end == 0;
}

/* 1: a comparison, applied; 0: none; -1: a bad one. */
static int compare(const ui_app *a, const char *word, bool *rows, rs_err *err)
{
    const char *op = strpbrk(word, "<>");
    if (!op || word[0] == '"') return 0;
    size_t n = (size_t)(op - word);
    while (n && word[n - 1] == ' ')
        n--;
    bool equal = op[1] == '=';
    double than;
    const rs_measure *m = a->doc.at.measure;
    rs_measure_row probe = {0};
    if (isinf(shown_number(&probe, word, n)) || !read_number(op + 1 + equal, &than)) {
        rs_fail(err, RS_E_INVALID,
                "\"%s\" is not a comparison: damage>1.5m gain<1 kept<50%% d norm theta t "
                "survival",
                word);
        return -1;
    }
    for (int l = 0; m && l <= m->n_layers; l++) {
        double v = shown_number(&m->layer[l], word, n);
        rows[l] = *op == '<' ? v < than : v > than;
        if (equal && v == than) rows[l] = true;
    }
    return 1;
}

static bool screen_word(const ui_app *a, const char *word, bool *rows)
{
    const ui_rows *r = &a->rows;
    if (strcmp(word, "marked") == 0) {
        memcpy(rows, r->marked, (size_t)r->n * sizeof *rows);
        return true;
    }
    if (strcmp(word, "cursor") == 0) {
        if (r->cursor < r->n) rows[r->cursor] = true;
        return true;
    }
    if (strcmp(word, "selected") != 0) return false;
    double *weight = ui_alloc((size_t)r->n, sizeof *weight);
    int hidden = 0;
    ui_rows_target(r, weight, &hidden);
    for (int i = 0; i < r->n; i++)
        rows[i] = weight[i] != 0;
    free(weight);
    return true;
}

/* Cells that are locked. */
static bool locked_word(const ui_app *a, const char *word, bool *cells, rs_err *err)
{
    if (strcmp(word, "locked") != 0) return false;
    const rs_stage *s = rs_recipe_fuel(a->doc.at.recipe);
    rs_factors *f = NULL;
    if (s && rs_factors_from(&s->gain, ui_app_config(a), &f, err) == RS_OK)
        memcpy(cells, f->locked, (size_t)(f->n_layers + 1) * K * sizeof *cells);
    rs_factors_free(f);
    return true;
}

/* --- terms --- */

static void rows_to_cells(const ui_mask *m, const bool *rows, bool *cells)
{
    for (int l = 0; l <= m->n_layers; l++)
        for (int k = 0; k < K; k++)
            cells[l * K + k] = rows[l];
}

static void tensors_to_cells(const ui_app *a, const rs_selector *s, ui_mask *m,
                             bool *cells)
{
    const rs_plan *p = a->doc.at.plan;
    m->has_part = true;
    for (int i = 0; i < rs_plan_count(p); i++) {
        const rs_plan_tensor *t = rs_plan_at(p, i);
        int row = t->role.layer < 0 ? m->n_layers : t->role.layer;
        if (row <= m->n_layers &&
            rs_selector_matches(s, ui_app_config(a), &t->role, t->name))
            cells[row * K + rs_factor_kind(t->role.kind)] = true;
    }
}

/* A term without its !, in the language of recipes. */
static bool recipe_word(const ui_app *a, const char *word, ui_mask *m, bool *cells,
                        rs_err *err)
{
    rs_arena arena = {0};
    const rs_selector *s = NULL;
    bool good = rs_selector_parse(&arena, word, &s, err) == RS_OK;
    if (good && word[0] == '"') {
        tensors_to_cells(a, s, m, cells);
    } else if (good) {
        for (int i = 0; i < (m->n_layers + 1) * K; i++)
            cells[i] = rs_selector_matches_cell(
                s, ui_app_config(a), i / K < m->n_layers ? i / K : -1, (rs_kind)(i % K));
    }
    rs_arena_free(&arena);
    return good;
}

static bool term(const ui_app *a, char *word, ui_mask *m, bool *cells, rs_err *err)
{
    size_t n = strlen(word);
    while (n && isspace((unsigned char)word[n - 1]))
        word[--n] = 0;
    while (isspace((unsigned char)*word))
        word++;
    bool negated = false;
    for (; *word == '!' || *word == ' '; word++)
        if (*word == '!') negated = !negated;
    bool *rows = ui_alloc((size_t)m->n_layers + 1, sizeof *rows);
    int compared = compare(a, word, rows, err);
    bool good = compared >= 0;
    if (compared == 1 || (good && screen_word(a, word, rows)))
        rows_to_cells(m, rows, cells);
    else if (good && !locked_word(a, word, cells, err))
        good = recipe_word(a, word, m, cells, err);
    free(rows);
    for (int i = 0; good && negated && i < (m->n_layers + 1) * K; i++)
        cells[i] = !cells[i];
    return good;
}

/* All terms of a text that may be changed, joined into the mask. */
static bool terms(const ui_app *a, char *text, ui_mask *m, rs_err *err)
{
    int n = (m->n_layers + 1) * K;
    bool *cells = ui_alloc((size_t)n, sizeof *cells);
    bool good = true, quoted = false, last = false;
    for (int i = 0; i < n; i++)
        m->bit[i] = true;
    for (char *start = text, *s = text; good && !last; s++) {
        if (*s == '"') quoted = !quoted;
        if (*s && (quoted || *s != '&')) continue;
        last = *s == 0;
        *s = 0;
        memset(cells, 0, (size_t)n * sizeof *cells);
        good = term(a, start, m, cells, err);
        for (int i = 0; i < n; i++)
            m->bit[i] = m->bit[i] && cells[i];
        start = s + 1;
    }
    free(cells);
    return good;
}

bool ui_select(const ui_app *a, const char *text, ui_mask *out, rs_err *err)
{
    memset(out, 0, sizeof *out);
    if (!a->doc.at.plan) {
        rs_fail(err, RS_E_INVALID, "no model is open");
        return false;
    }
    new_mask(out, a->doc.n_layers);
    char *copy = ui_strdup(text);
    bool good = terms(a, copy, out, err);
    free(copy);
    if (good) find_real(a, out);
    if (good && ui_mask_n_rows(out) == 0) {
        rs_fail(err, RS_E_INVALID, "\"%s\" matches no row here", text);
        good = false;
    }
    if (!good) ui_mask_free(out);
    return good;
}

bool ui_select_target(const ui_app *a, ui_mask *out, int *hidden)
{
    memset(out, 0, sizeof *out);
    if (!a->doc.at.plan || a->rows.n != a->doc.n_layers + 1) return false;
    new_mask(out, a->doc.n_layers);
    bool any = ui_rows_target(&a->rows, out->weight, hidden) > 0;
    for (int i = 0; i < a->rows.n * K; i++)
        out->bit[i] = out->weight[i / K] != 0;
    find_real(a, out);
    if (!any) ui_mask_free(out);
    return any;
}

bool ui_select_tensor(const ui_app *a, int i_tensor, ui_mask *out)
{
    memset(out, 0, sizeof *out);
    const rs_plan *p = a->doc.at.plan;
    if (!p || i_tensor < 0 || i_tensor >= rs_plan_count(p)) return false;
    const rs_role *r = &rs_plan_at(p, i_tensor)->role;
    new_mask(out, a->doc.n_layers);
    int row = r->layer < 0 ? out->n_layers : r->layer;
    out->bit[row * K + rs_factor_kind(r->kind)] = true;
    find_real(a, out);
    return true;
}

ui_shape ui_mask_shape(const ui_mask *m)
{
    if (m->has_part) return UI_SHAPE_CELLS;
    int n = m->n_layers, count = 0, n_all = (n + 1) * K;
    bool rows = true, kinds = true;
    for (int l = 0; l <= n; l++)
        for (int k = 0; k < K; k++) {
            bool on = m->bit[l * K + k];
            count += on;
            rows &= on == m->bit[l * K];
            /* Kinds are the columns of the layers; what lies outside has none. */
            kinds &= l < n ? on == m->bit[k] : !on;
        }
    if (count == 0) return UI_SHAPE_NONE;
    if (count == n_all) return UI_SHAPE_ALL;
    return rows ? UI_SHAPE_ROWS : kinds ? UI_SHAPE_KINDS : UI_SHAPE_CELLS;
}

int ui_mask_tensors(const ui_app *a, const ui_mask *m, int *with_delta, int64_t *numbers)
{
    int n = 0, delta = 0;
    int64_t count = 0;
    const rs_plan *p = a->doc.at.plan;
    for (int i = 0; i < rs_plan_count(p); i++) {
        const rs_plan_tensor *t = rs_plan_at(p, i);
        int row = t->role.layer < 0 ? m->n_layers : t->role.layer;
        if (row > m->n_layers || t->role.inert) continue;
        if (!m->bit[row * K + rs_factor_kind(t->role.kind)]) continue;
        n++;
        if (!t->has_delta) continue;
        delta++;
        count += t->base->n_elements;
    }
    if (with_delta) *with_delta = delta;
    if (numbers) *numbers = count;
    return n;
}
