#include "merge/factor_keys.h"

#include "merge/selector.h"
#include "merge/suggest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool rs_key_rows(const char *key, int n_layers, bool *rows)
{
    memset(rows, 0, (size_t)(n_layers + 1) * sizeof *rows);
    if (strcmp(key, "embed") == 0) return rows[n_layers] = true;
    return rs_layer_list(key, n_layers, rows);
}

bool rs_key_cols(const char *key, bool *cols)
{
    uint32_t bits;
    bool any = false;
    memset(cols, 0, RS_FACTOR_KINDS * sizeof *cols);
    if (!rs_kind_group(key, &bits)) return false;
    for (int k = 0; k < RS_FACTOR_KINDS; k++)
        any |= cols[k] = bits >> k & 1;
    return any;
}

bool rs_key_cell(const char *key, int n_layers, bool *rows, bool *cols)
{
    char list[256];
    const char *dot = strrchr(key, '.');
    if (!dot || (size_t)(dot - key) >= sizeof list) return false;
    memcpy(list, key, (size_t)(dot - key));
    list[dot - key] = 0;
    return rs_key_rows(list, n_layers, rows) && rs_key_cols(dot + 1, cols);
}

static bool read_key(const char *key, rs_keys_of of, int n_layers, bool *rows, bool *cols)
{
    switch (of) {
    case RS_KEYS_LAYERS:
        cols[0] = true;
        return rs_key_rows(key, n_layers, rows);
    case RS_KEYS_KINDS:
        rows[0] = true;
        return rs_key_cols(key, cols);
    case RS_KEYS_CELLS:
        return rs_key_cell(key, n_layers, rows, cols);
    }
    return false;
}

/* Why a key is wrong: known words, but too many layers, or not known at all. */
static rs_status bad_key(const char *key, rs_keys_of of, int n_layers, const char *where,
                         rs_err *err)
{
    bool rows[RS_RECIPE_LAYERS + 1] = {false}, cols[RS_FACTOR_KINDS];
    if (read_key(key, of, RS_RECIPE_LAYERS, rows, cols))
        return rs_fail(err, RS_E_MISMATCH,
                       "%s: \"%s\" reaches past the model's %d layers", where, key,
                       n_layers);
    if (of == RS_KEYS_LAYERS)
        return rs_fail(err, RS_E_INVALID,
                       "%s: \"%s\" is no list of layers like 0-3,6,10- and not \"embed\"",
                       where, key);
    const char *word =
        of == RS_KEYS_CELLS && strrchr(key, '.') ? strrchr(key, '.') + 1 : key;
    const char *const *known;
    int n_known = rs_kind_words(&known);
    char hint[96];
    rs_did_you_mean(hint, sizeof hint, word, known, n_known);
    if (of == RS_KEYS_KINDS)
        return rs_fail(err, RS_E_INVALID, "%s: \"%s\" is no kind of tensor in a layer%s",
                       where, key, hint);
    return rs_fail(err, RS_E_INVALID,
                   "%s: \"%s\" is no layers.kind like 5.q_proj or 4-7.mlp%s", where, key,
                   hint);
}

typedef struct spreading {
    int n_layers, n_cols;
    const char *where;
    double *grid;
    const char **owner; /* which key has set a place */
} spreading;

static rs_status spread_one(const spreading *s, const rs_pair *p, const bool *rows,
                            const bool *cols, rs_err *err)
{
    for (int l = 0; l <= s->n_layers; l++) {
        for (int k = 0; k < s->n_cols; k++) {
            int at = l * s->n_cols + k;
            if (!rows[l] || !cols[k]) continue;
            if (s->owner[at])
                return rs_fail(err, RS_E_INVALID, "%s: \"%s\" and \"%s\" overlap",
                               s->where, s->owner[at], p->key);
            s->owner[at] = p->key;
            s->grid[at] = p->value;
        }
    }
    return RS_OK;
}

rs_status rs_keys_spread(const rs_pairs *p, rs_keys_of of, int n_layers,
                         const char *where, double *grid, rs_err *err)
{
    bool rows[RS_RECIPE_LAYERS + 1], cols[RS_FACTOR_KINDS];
    if (n_layers > RS_RECIPE_LAYERS)
        return rs_fail(err, RS_E_UNSUPPORTED, "%s: more than %d layers", where,
                       (int)RS_RECIPE_LAYERS);
    spreading s = {.n_layers = of == RS_KEYS_KINDS ? 0 : n_layers,
                   .n_cols = of == RS_KEYS_LAYERS ? 1 : RS_FACTOR_KINDS,
                   .where = where,
                   .grid = grid};
    s.owner = calloc((size_t)(n_layers + 1) * RS_FACTOR_KINDS, sizeof *s.owner);
    if (!s.owner)
        return rs_fail(err, RS_E_NOMEM, "no memory for the factors of a recipe");
    rs_status status = RS_OK;
    for (int i = 0; i < p->n && status == RS_OK; i++) {
        memset(rows, 0, sizeof rows);
        memset(cols, 0, sizeof cols);
        status = read_key(p->at[i].key, of, n_layers, rows, cols)
                     ? spread_one(&s, &p->at[i], rows, cols, err)
                     : bad_key(p->at[i].key, of, n_layers, where, err);
    }
    free(s.owner);
    return status;
}

bool rs_cell_is_real(const rs_config *c, int row, int col)
{
    rs_kind kind = col < RS_N_LAYER_KINDS ? (rs_kind)col : RS_KIND_NORM;
    return row == c->n_layers || rs_config_has(c, row, kind);
}

static bool points_somewhere(const char *key, rs_keys_of of, const rs_config *c)
{
    bool rows[RS_RECIPE_LAYERS + 1] = {false}, cols[RS_FACTOR_KINDS] = {false};
    if (!read_key(key, of, c->n_layers, rows, cols)) return true; /* refused elsewhere */
    for (int l = 0; l <= c->n_layers; l++)
        for (int k = 0; k < RS_FACTOR_KINDS; k++) {
            bool here = of == RS_KEYS_KINDS ? l < c->n_layers : rows[l];
            if (here && cols[k] && rs_cell_is_real(c, l, k)) return true;
        }
    return false;
}

const char *rs_keys_idle(const rs_pairs *p, rs_keys_of of, const rs_config *c)
{
    for (int i = 0; i < p->n; i++)
        if (!points_somewhere(p->at[i].key, of, c)) return p->at[i].key;
    return NULL;
}

int rs_key_run(const bool *rows, int n_layers, int from, char *key, size_t size)
{
    int first = from;
    while (first <= n_layers && !rows[first])
        first++;
    if (first > n_layers) return -1;
    if (first == n_layers) return snprintf(key, size, "embed"), n_layers + 1;
    int last = first;
    while (last + 1 < n_layers && rows[last + 1])
        last++;
    if (last == RS_RECIPE_LAYERS - 1 && last > first)
        snprintf(key, size, "%d-", first);
    else if (last > first)
        snprintf(key, size, "%d-%d", first, last);
    else
        snprintf(key, size, "%d", first);
    return last + 1;
}

int rs_col_groups(const rs_col_group **out)
{
    static const rs_col_group table[] = {
        {"attn",
         {[RS_KIND_Q] = true,
          [RS_KIND_K] = true,
          [RS_KIND_V] = true,
          [RS_KIND_O] = true}},
        {"mlp", {[RS_KIND_GATE] = true, [RS_KIND_UP] = true, [RS_KIND_DOWN] = true}},
        {"ple", {[RS_KIND_PLE_GATE] = true, [RS_KIND_PLE_PROJ] = true}},
        {"q_proj", {[RS_KIND_Q] = true}},
        {"k_proj", {[RS_KIND_K] = true}},
        {"v_proj", {[RS_KIND_V] = true}},
        {"o_proj", {[RS_KIND_O] = true}},
        {"gate_proj", {[RS_KIND_GATE] = true}},
        {"up_proj", {[RS_KIND_UP] = true}},
        {"down_proj", {[RS_KIND_DOWN] = true}},
        {"per_layer_input_gate", {[RS_KIND_PLE_GATE] = true}},
        {"per_layer_projection", {[RS_KIND_PLE_PROJ] = true}},
        {"norm", {[RS_N_LAYER_KINDS] = true}},
    };
    *out = table;
    return (int)(sizeof table / sizeof *table);
}
