#include "merge/recipe_internal.h"

#include "merge/factor_keys.h"
#include "merge/selector.h"
#include "merge/suggest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- tables of factors --- */

static rs_status read_pairs(const rs_reader *p, const rs_json *o, const char *where,
                            rs_pairs *out)
{
    if (rs_json_is_null(o)) return RS_OK;
    if (!rs_json_is_object(o))
        return rs_fail(p->err, RS_E_INVALID, "%s must be an object", where);
    int n = rs_json_count(o);
    if (n > 64 * RS_RECIPE_LAYERS)
        return rs_fail(p->err, RS_E_INVALID, "%s has %d keys, far too many", where, n);
    out->at = rs_arena_array(&p->r->arena, (size_t)n + 1, sizeof *out->at);
    if (!out->at) return rs_read_no_memory(p);
    for (const rs_json *m = rs_json_first(o); m; m = rs_json_next(m)) {
        rs_pair *pair = &out->at[out->n];
        if (!rs_json_is_number(m))
            return rs_fail(p->err, RS_E_INVALID, "%s: \"%s\" must be a number", where,
                           rs_json_key(m));
        *pair = (rs_pair){rs_recipe_str(p->r, rs_json_key(m)), rs_json_number(m)};
        if (!pair->key) return rs_read_no_memory(p);
        out->n++;
    }
    return RS_OK;
}

static rs_status read_names(const rs_reader *p, const rs_json *list, const char *where,
                            rs_names *out)
{
    if (rs_json_is_null(list)) return RS_OK;
    if (!rs_json_is_array(list))
        return rs_fail(p->err, RS_E_INVALID, "%s must be a list of selectors", where);
    for (const rs_json *v = rs_json_first(list); v; v = rs_json_next(v)) {
        const rs_selector *ignored;
        if (!rs_json_is_string(v))
            return rs_fail(p->err, RS_E_INVALID, "%s must be a list of selectors", where);
        if (rs_selector_parse(&p->r->arena, rs_json_string(v), &ignored, p->err) != RS_OK)
            return rs_err_prefix(p->err, "%s", where);
        if (!rs_names_add(p->r, out, rs_json_string(v))) return rs_read_no_memory(p);
    }
    return RS_OK;
}

static rs_status read_row(const rs_reader *p, const rs_json *v, const char *where,
                          rs_row *row)
{
    const rs_json *selector = rs_json_first(v), *op = rs_json_next(selector);
    const rs_json *value = op ? rs_json_next(op) : NULL;
    const char *sign = rs_json_string(op);
    const rs_selector *parsed;
    if (!rs_json_is_array(v) || rs_json_count(v) != 3 || !rs_json_is_string(selector) ||
        !sign || strlen(sign) != 1 || !strchr("=*+", sign[0]) ||
        !rs_json_is_number(value) || !isfinite(rs_json_number(value)))
        return rs_fail(p->err, RS_E_INVALID,
                       "%s: a row is [selector, \"=\" or \"*\" or \"+\", number]", where);
    *row = (rs_row){rs_recipe_str(p->r, rs_json_string(selector)), sign[0],
                    rs_json_number(value)};
    if (!row->selector) return rs_read_no_memory(p);
    if (rs_selector_parse(&p->r->arena, row->selector, &parsed, p->err) != RS_OK)
        return rs_err_prefix(p->err, "%s", where);
    if (rs_selector_has_part(parsed))
        return rs_fail(
            p->err, RS_E_INVALID,
            "%s: %s: factors belong to layers and kinds, not to parts of names", where,
            row->selector);
    return RS_OK;
}

static rs_status read_rows(const rs_reader *p, const rs_json *list, const char *where,
                           rs_rows *out)
{
    if (rs_json_is_null(list)) return RS_OK;
    if (!rs_json_is_array(list))
        return rs_fail(p->err, RS_E_INVALID, "%s: rows must be a list", where);
    out->at =
        rs_arena_array(&p->r->arena, (size_t)rs_json_count(list) + 1, sizeof *out->at);
    if (!out->at) return rs_read_no_memory(p);
    for (const rs_json *v = rs_json_first(list); v; v = rs_json_next(v)) {
        RS_TRY(read_row(p, v, where, &out->at[out->n]));
        out->n++;
    }
    return RS_OK;
}

/* Keys and overlaps, on the largest model that a recipe can name. */
static rs_status check_pairs(const rs_reader *p, const rs_pairs *pairs, rs_keys_of of,
                             const char *where, double least, double most)
{
    double *grid = calloc((RS_RECIPE_LAYERS + 1) * RS_FACTOR_KINDS, sizeof *grid);
    if (!grid) return rs_read_no_memory(p);
    rs_status s = rs_keys_spread(pairs, of, RS_RECIPE_LAYERS, where, grid, p->err);
    free(grid);
    for (int i = 0; i < pairs->n && s == RS_OK; i++)
        if (!(pairs->at[i].value >= least && pairs->at[i].value <= most))
            s = rs_fail(p->err, RS_E_INVALID, "%s: \"%s\" is %g, outside %g to %g", where,
                        pairs->at[i].key, pairs->at[i].value, least, most);
    return s;
}

static rs_status read_table(const rs_reader *p, const rs_json *o, const char *where,
                            const char *key, rs_keys_of of, double least, double most,
                            rs_pairs *out)
{
    char place[560];
    snprintf(place, sizeof place, "%s.%s", where, key);
    RS_TRY(read_pairs(p, rs_json_get(o, key), place, out));
    return check_pairs(p, out, of, place, least, most);
}

rs_status rs_read_gain(const rs_reader *p, const rs_json *v, const char *where,
                       rs_gain_spec *g)
{
    char place[560];
    g->master = 1;
    if (rs_json_is_null(v)) return RS_OK;
    if (rs_json_is_array(v)) return read_rows(p, v, where, &g->rows);
    RS_TRY(RS_READ_KEYS(p, v, where, "master", "layers", "kinds", "cells", "rows", "mute",
                        "solo", "lock"));
    RS_TRY(rs_json_opt_double(v, "master", where, &g->master, p->err));
    if (!(g->master >= -2 && g->master <= 3))
        return rs_fail(p->err, RS_E_INVALID, "%s: master is %g, outside -2 to 3", where,
                       g->master);
    RS_TRY(read_table(p, v, where, "layers", RS_KEYS_LAYERS, -2, 3, &g->layers));
    RS_TRY(read_table(p, v, where, "kinds", RS_KEYS_KINDS, -2, 3, &g->kinds));
    RS_TRY(read_table(p, v, where, "cells", RS_KEYS_CELLS, -2, 3, &g->cells));
    RS_TRY(read_rows(p, rs_json_get(v, "rows"), where, &g->rows));
    snprintf(place, sizeof place, "%s.mute", where);
    RS_TRY(read_names(p, rs_json_get(v, "mute"), place, &g->mute));
    snprintf(place, sizeof place, "%s.solo", where);
    RS_TRY(read_names(p, rs_json_get(v, "solo"), place, &g->solo));
    snprintf(place, sizeof place, "%s.lock", where);
    return read_names(p, rs_json_get(v, "lock"), place, &g->lock);
}

rs_status rs_read_t(const rs_reader *p, const rs_json *v, const char *where, rs_t_spec *t)
{
    if (rs_json_is_null(v))
        return rs_fail(p->err, RS_E_INVALID,
                       "%s is missing: how far to go to the second input", where);
    if (rs_json_is_number(v)) {
        t->fallback = rs_json_number(v);
    } else if (rs_json_is_array(v)) {
        RS_TRY(read_rows(p, v, where, &t->rows));
    } else {
        RS_TRY(RS_READ_KEYS(p, v, where, "default", "layers", "kinds", "cells", "rows"));
        RS_TRY(rs_json_opt_double(v, "default", where, &t->fallback, p->err));
        RS_TRY(read_table(p, v, where, "layers", RS_KEYS_LAYERS, -100, 100, &t->layers));
        RS_TRY(read_table(p, v, where, "kinds", RS_KEYS_KINDS, -100, 100, &t->kinds));
        RS_TRY(read_table(p, v, where, "cells", RS_KEYS_CELLS, -100, 100, &t->cells));
        RS_TRY(read_rows(p, rs_json_get(v, "rows"), where, &t->rows));
    }
    if (fabs(t->fallback) <= 100) return RS_OK;
    return rs_fail(p->err, RS_E_INVALID, "%s: %g is outside -100 to 100", where,
                   t->fallback);
}

/* --- dampening --- */

static rs_status one_of(const rs_reader *p, const char *where, const char *key,
                        const char *word, const char *const *known, int n)
{
    char hint[96], list[256] = "";
    rs_did_you_mean(hint, sizeof hint, word, known, n);
    for (int i = 0; i < n; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", known[i]);
    }
    return rs_fail(p->err, RS_E_INVALID, "%s: %s \"%s\" is none of %s%s", where, key,
                   word, list, hint);
}

static rs_status read_dampen_words(const rs_reader *p, const rs_json *o,
                                   const char *where, rs_dampen_spec *d)
{
    static const char *const kinds[] = {"ewc", "one_minus", "task", "hard", "none"};
    static const char *const normalisers[] = {"mean", "max", "log", "rank", "none",
                                              "p90",  "p95", "p99", "p999"};
    static const char *const overs[] = {"layers", "all", "targets"};
    static const char *const scopes[] = {"global", "tensor"};
    const char *kind = "ewc", *normaliser = NULL, *over = "layers", *scope = "global";
    RS_TRY(rs_json_opt_string(o, "kind", where, &kind, p->err));
    RS_TRY(rs_json_opt_string(o, "normaliser", where, &normaliser, p->err));
    RS_TRY(rs_json_opt_string(o, "over", where, &over, p->err));
    RS_TRY(rs_json_opt_string(o, "scope", where, &scope, p->err));
    if (!rs_dampen_from_name(kind, &d->kind))
        return one_of(p, where, "kind", kind, kinds, 5);
    d->normaliser = rs_normaliser_default(d->kind);
    if (normaliser && !rs_normaliser_from_name(normaliser, &d->normaliser))
        return one_of(p, where, "normaliser", normaliser, normalisers, 9);
    int i = 0;
    while (i < 3 && strcmp(over, overs[i]) != 0)
        i++;
    if (i == 3) return one_of(p, where, "over", over, overs, 3);
    d->over = (rs_over)i;
    d->per_tensor = strcmp(scope, "tensor") == 0;
    if (!d->per_tensor && strcmp(scope, "global") != 0)
        return one_of(p, where, "scope", scope, scopes, 2);
    return RS_OK;
}

static rs_status in_range(const rs_reader *p, const char *where, const char *key,
                          double v, double least, double most)
{
    if (v >= least && v <= most) return RS_OK;
    return rs_fail(p->err, RS_E_INVALID, "%s: %s is %g, outside %g to %g", where, key, v,
                   least, most);
}

rs_status rs_read_dampen(const rs_reader *p, const rs_json *o, const char *where,
                         rs_dampen_spec *d)
{
    *d = (rs_dampen_spec){.lambda = 1, .parameter = 1, .layer = 1, .q = 0.99};
    if (rs_json_is_null(o)) return RS_OK;
    RS_TRY(RS_READ_KEYS(p, o, where, "by", "task", "kind", "lambda", "parameter", "layer",
                        "q", "normaliser", "over", "scope", "clamp"));
    RS_TRY(read_dampen_words(p, o, where, d));
    RS_TRY(rs_read_text(p, o, "by", where, &d->by));
    RS_TRY(rs_read_text(p, o, "task", where, &d->task));
    RS_TRY(rs_json_opt_double(o, "lambda", where, &d->lambda, p->err));
    RS_TRY(rs_json_opt_double(o, "parameter", where, &d->parameter, p->err));
    RS_TRY(rs_json_opt_double(o, "layer", where, &d->layer, p->err));
    RS_TRY(rs_json_opt_double(o, "q", where, &d->q, p->err));
    RS_TRY(rs_json_opt_bool(o, "clamp", where, &d->clamp, p->err));
    RS_TRY(in_range(p, where, "lambda", d->lambda, 0, 1e9));
    RS_TRY(in_range(p, where, "parameter", d->parameter, 0, 1));
    RS_TRY(in_range(p, where, "layer", d->layer, 0, 1));
    RS_TRY(in_range(p, where, "q", d->q, 0, 1));
    if (d->by) RS_TRY(rs_read_measure(p, d->by, RS_MEASURE_FISHER, where));
    if (d->task) RS_TRY(rs_read_measure(p, d->task, RS_MEASURE_FISHER, where));
    if (d->kind != RS_DAMPEN_NONE && !d->by)
        return rs_fail(p->err, RS_E_INVALID, "%s: %s needs \"by\", a Fisher measure",
                       where, rs_dampen_name(d->kind));
    if (d->kind == RS_DAMPEN_TASK && !d->task)
        return rs_fail(p->err, RS_E_INVALID,
                       "%s: task needs \"task\", the style task's own Fisher measure",
                       where);
    return RS_OK;
}

/* --- the mask --- */

static rs_status read_order(const rs_reader *p, const rs_json *o, const char *where,
                            rs_mask_spec *m)
{
    static const char *const orders[] = {"mask_first", "mask_last"};
    const char *order = NULL;
    RS_TRY(rs_json_opt_string(o, "order", where, &order, p->err));
    if (!order) return RS_OK;
    m->last = strcmp(order, "mask_last") == 0;
    if (!m->last && strcmp(order, "mask_first") != 0)
        return one_of(p, where, "order", order, orders, 2);
    if (m->by) return RS_OK;
    return rs_fail(p->err, RS_E_INVALID, "%s: \"order\" does nothing without a \"mask\"",
                   where);
}

static rs_status read_mask(const rs_reader *p, const rs_json *o, const char *where,
                           rs_mask_spec *m)
{
    static const char *const sides[] = {"out", "in", "both", "block"};
    const char *side = "both";
    *m = (rs_mask_spec){.side = RS_MASK_BOTH, .strength = 1};
    if (rs_json_is_null(o)) return RS_OK;
    RS_TRY(RS_READ_KEYS(p, o, where, "by", "side", "strength", "per_layer"));
    RS_TRY(rs_read_text(p, o, "by", where, &m->by));
    if (!m->by)
        return rs_fail(p->err, RS_E_INVALID, "%s needs \"by\", a subspace measure",
                       where);
    RS_TRY(rs_read_measure(p, m->by, RS_MEASURE_SUBSPACE, where));
    RS_TRY(rs_json_opt_string(o, "side", where, &side, p->err));
    if (!rs_mask_side_from_name(side, &m->side))
        return one_of(p, where, "side", side, sides, 4);
    RS_TRY(rs_json_opt_double(o, "strength", where, &m->strength, p->err));
    RS_TRY(in_range(p, where, "strength", m->strength, 0, 1));
    return rs_json_opt_bool(o, "per_layer", where, &m->per_layer, p->err);
}

/* --- stages --- */

static rs_status read_inputs(const rs_reader *p, const rs_json *list, const char *where,
                             rs_stage *s)
{
    bool weighted = s->method == RS_METHOD_TASK_ARITHMETIC;
    if (!rs_json_is_array(list))
        return rs_fail(p->err, RS_E_INVALID, "%s needs \"inputs\", a list", where);
    int n = rs_json_count(list);
    if (n > RS_RECIPE_ENTRIES)
        return rs_fail(p->err, RS_E_UNSUPPORTED, "%s: %d inputs, at most %d work", where,
                       n, (int)RS_RECIPE_ENTRIES);
    s->inputs = rs_arena_array(&p->r->arena, (size_t)n + 1, sizeof *s->inputs);
    if (!s->inputs) return rs_read_no_memory(p);
    for (const rs_json *v = rs_json_first(list); v; v = rs_json_next(v)) {
        rs_input *in = &s->inputs[s->n_inputs];
        RS_TRY(weighted ? RS_READ_KEYS(p, v, where, "from", "weight")
                        : RS_READ_KEYS(p, v, where, "from"));
        in->weight = 1;
        RS_TRY(rs_read_text(p, v, "from", where, &in->from));
        RS_TRY(rs_json_opt_double(v, "weight", where, &in->weight, p->err));
        if (!in->from)
            return rs_fail(p->err, RS_E_INVALID, "%s: every input needs \"from\"", where);
        RS_TRY(rs_read_reference(p, in->from, p->r->n_stages, where));
        s->n_inputs++;
    }
    return RS_OK;
}

/* base and inputs must be models: an adapter alone has nothing to stand on. */
static rs_status must_be_model(const rs_reader *p, const char *name, const char *where)
{
    const rs_model_entry *e = rs_recipe_model(p->r, name);
    if (!e || e->path || e->on || !e->adapter) return RS_OK;
    return rs_fail(
        p->err, RS_E_INVALID,
        "%s: \"%s\" is an adapter; with \"on\": MODEL in its entry it is a model", where,
        name);
}

static rs_status read_base(const rs_reader *p, const rs_json *o, const char *where,
                           rs_stage *s)
{
    RS_TRY(rs_read_text(p, o, "base", where, &s->base));
    if (!s->base) return RS_OK;
    RS_TRY(rs_read_reference(p, s->base, p->r->n_stages, where));
    return must_be_model(p, s->base, where);
}

static rs_status read_task_arithmetic(const rs_reader *p, const rs_json *o,
                                      const char *where, rs_stage *s)
{
    char place[512];
    RS_TRY(RS_READ_KEYS(p, o, where, "name", "method", "base", "inputs", "normalize",
                        "scale", "mask", "order", "dampen", "gain"));
    RS_TRY(read_base(p, o, where, s));
    if (!s->base)
        return rs_fail(p->err, RS_E_INVALID, "%s needs \"base\", a model", where);
    RS_TRY(read_inputs(p, rs_json_get(o, "inputs"), where, s));
    RS_TRY(rs_json_opt_bool(o, "normalize", where, &s->normalize, p->err));
    RS_TRY(rs_json_opt_double(o, "scale", where, &s->scale, p->err));
    snprintf(place, sizeof place, "%s: mask", where);
    RS_TRY(read_mask(p, rs_json_get(o, "mask"), place, &s->mask));
    RS_TRY(read_order(p, o, where, &s->mask));
    snprintf(place, sizeof place, "%s: dampen", where);
    RS_TRY(rs_read_dampen(p, rs_json_get(o, "dampen"), place, &s->dampen));
    if (s->mask.per_layer && !s->dampen.by)
        return rs_fail(p->err, RS_E_INVALID,
                       "%s: mask: per_layer needs a \"dampen\" with \"by\", the Fisher "
                       "that says how much each layer matters",
                       where);
    snprintf(place, sizeof place, "%s: gain", where);
    return rs_read_gain(p, rs_json_get(o, "gain"), place, &s->gain);
}

/* "a" is false, "b" is true, absent leaves it. */
static rs_status read_switch(const rs_reader *p, const rs_json *o, const char *key,
                             const char *where, const char *a, const char *b, bool *out)
{
    const char *word = NULL;
    RS_TRY(rs_json_opt_string(o, key, where, &word, p->err));
    if (!word) return RS_OK;
    *out = strcmp(word, b) == 0;
    if (*out || strcmp(word, a) == 0) return RS_OK;
    return rs_fail(p->err, RS_E_INVALID, "%s: %s \"%s\" is neither \"%s\" nor \"%s\"",
                   where, key, word, a, b);
}

static rs_status read_slerp(const rs_reader *p, const rs_json *o, const char *where,
                            rs_stage *s)
{
    char place[512];
    RS_TRY(RS_READ_KEYS(p, o, where, "name", "method", "base", "inputs", "t", "space",
                        "norm", "rowwise", "vectors", "opposite", "flat_below"));
    RS_TRY(read_base(p, o, where, s));
    RS_TRY(read_inputs(p, rs_json_get(o, "inputs"), where, s));
    if (s->n_inputs != 2)
        return rs_fail(p->err, RS_E_INVALID, "%s: slerp goes between 2 inputs, not %d",
                       where, s->n_inputs);
    for (int i = 0; i < 2; i++)
        RS_TRY(must_be_model(p, s->inputs[i].from, where));
    snprintf(place, sizeof place, "%s: t", where);
    RS_TRY(rs_read_t(p, rs_json_get(o, "t"), place, &s->t));
    RS_TRY(read_switch(p, o, "space", where, "weight", "delta", &s->space_delta));
    RS_TRY(read_switch(p, o, "norm", where, "raw", "lerp", &s->norm_lerp));
    RS_TRY(read_switch(p, o, "vectors", where, "lerp", "slerp", &s->vectors_slerp));
    RS_TRY(read_switch(p, o, "opposite", where, "lerp", "error", &s->opposite_error));
    RS_TRY(rs_json_opt_bool(o, "rowwise", where, &s->rowwise, p->err));
    RS_TRY(rs_json_opt_double(o, "flat_below", where, &s->flat_below, p->err));
    RS_TRY(in_range(p, where, "flat_below", s->flat_below, 0, 1));
    if (s->space_delta && !s->base)
        return rs_fail(p->err, RS_E_INVALID,
                       "%s: space \"delta\" needs \"base\", a model", where);
    if (s->base && !s->space_delta)
        return rs_fail(
            p->err, RS_E_INVALID,
            "%s: \"base\" does nothing in space \"weight\"; did you mean \"space\": "
            "\"delta\"?",
            where);
    return RS_OK;
}

static rs_status check_new_name(const rs_reader *p, const char *name)
{
    if (strlen(name) == 0 || strlen(name) > 200 || strcmp(name, "out") == 0)
        return rs_fail(
            p->err, RS_E_INVALID,
            "%s: \"%s\" cannot be the name of a stage (1 to 200 bytes, not \"out\")",
            p->what, name);
    if (rs_recipe_model(p->r, name) || rs_recipe_stage(p->r, name))
        return rs_fail(p->err, RS_E_INVALID, "%s: two things are called \"%s\"", p->what,
                       name);
    return RS_OK;
}

static rs_status read_method(const rs_reader *p, const rs_json *o, const char *where,
                             rs_stage *s)
{
    RS_TRY(rs_read_text(p, o, "method", where, &s->method_name));
    if (!s->method_name)
        return rs_fail(p->err, RS_E_INVALID, "%s needs a \"method\"", where);
    for (int i = 0; i < rs_n_method_names; i++) {
        if (strcmp(s->method_name, rs_method_names[i]) != 0) continue;
        s->method = rs_method_of(s->method_name);
        return RS_OK;
    }
    char hint[96];
    rs_did_you_mean(hint, sizeof hint, s->method_name, rs_method_names,
                    rs_n_method_names);
    return rs_fail(p->err, RS_E_INVALID, "%s: \"%s\" is no method%s", where,
                   s->method_name, hint);
}

static rs_status read_stage(const rs_reader *p, const rs_json *o, rs_stage *s)
{
    char where[400];
    snprintf(where, sizeof where, "%s: stage %d", p->what, p->r->n_stages + 1);
    if (!rs_json_is_object(o))
        return rs_fail(p->err, RS_E_INVALID, "%s must be an object", where);
    s->scale = s->gain.master = 1;
    s->flat_below = 1e-6;
    RS_TRY(rs_read_text(p, o, "name", where, &s->name));
    if (!s->name) return rs_fail(p->err, RS_E_INVALID, "%s needs a \"name\"", where);
    RS_TRY(check_new_name(p, s->name));
    snprintf(where, sizeof where, "%s: stage \"%s\"", p->what, s->name);
    RS_TRY(read_method(p, o, where, s));
    switch (s->method) {
    case RS_METHOD_TASK_ARITHMETIC:
        return read_task_arithmetic(p, o, where, s);
    case RS_METHOD_SLERP:
        return read_slerp(p, o, where, s);
    case RS_METHOD_LATER:
        return rs_read_later(p, o, &s->later);
    }
    return RS_OK;
}

rs_status rs_read_stages(const rs_reader *p, const rs_json *list)
{
    rs_recipe *r = p->r;
    int n = rs_json_is_array(list) ? rs_json_count(list) : 0;
    if (n == 0)
        return rs_fail(p->err, RS_E_INVALID,
                       "%s needs \"stages\", a list of at least one", p->what);
    if (n > RS_RECIPE_ENTRIES)
        return rs_fail(p->err, RS_E_UNSUPPORTED, "%s: %d stages, at most %d work",
                       p->what, n, (int)RS_RECIPE_ENTRIES);
    r->stages = rs_arena_array(&r->arena, (size_t)n, sizeof *r->stages);
    if (!r->stages) return rs_read_no_memory(p);
    for (const rs_json *v = rs_json_first(list); v; v = rs_json_next(v)) {
        RS_TRY(read_stage(p, v, &r->stages[r->n_stages]));
        r->n_stages++;
    }
    return RS_OK;
}
