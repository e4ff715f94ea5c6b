#include "merge/recipe_internal.h"

#include "base/os.h"
#include "merge/suggest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

rs_status rs_read_no_memory(const rs_reader *p)
{
    return rs_fail(p->err, RS_E_NOMEM, "no memory for the recipe %s", p->what);
}

rs_status rs_read_keys(const rs_reader *p, const rs_json *o, const char *where,
                       const char *const *known, int n_known)
{
    if (!rs_json_is_object(o))
        return rs_fail(p->err, RS_E_INVALID, "%s must be an object", where);
    for (const rs_json *m = rs_json_first(o); m; m = rs_json_next(m)) {
        bool found = false;
        for (int i = 0; i < n_known && !found; i++)
            found = strcmp(known[i], rs_json_key(m)) == 0;
        if (found) continue;
        char hint[96];
        rs_did_you_mean(hint, sizeof hint, rs_json_key(m), known, n_known);
        return rs_fail(p->err, RS_E_INVALID, "%s: unknown key \"%s\"%s", where,
                       rs_json_key(m), hint);
    }
    return RS_OK;
}

rs_status rs_read_text(const rs_reader *p, const rs_json *o, const char *key,
                       const char *where, const char **out)
{
    const char *s = NULL;
    RS_TRY(rs_json_opt_string(o, key, where, &s, p->err));
    if (!s) return RS_OK;
    *out = rs_recipe_str(p->r, s);
    return *out ? RS_OK : rs_read_no_memory(p);
}

/* --- what a later version understands is kept as compact text --- */

static void write_json(const rs_json *v, rs_buf *b)
{
    bool object = rs_json_is_object(v);
    if (object || rs_json_is_array(v)) {
        rs_buf_putc(b, object ? '{' : '[');
        for (const rs_json *m = rs_json_first(v); m; m = rs_json_next(m)) {
            if (m != rs_json_first(v)) rs_buf_puts(b, ", ");
            if (object) {
                rs_buf_json(b, rs_json_key(m), strlen(rs_json_key(m)));
                rs_buf_puts(b, ": ");
            }
            write_json(m, b);
        }
        rs_buf_putc(b, object ? '}' : ']');
    } else if (rs_json_is_string(v)) {
        rs_buf_json(b, rs_json_string(v), strlen(rs_json_string(v)));
    } else if (rs_json_is_number(v)) {
        rs_buf_json_double(b, rs_json_number(v));
    } else {
        rs_buf_puts(b, rs_json_is_null(v) ? "null" : rs_json_true(v) ? "true" : "false");
    }
}

rs_status rs_read_later(const rs_reader *p, const rs_json *v, const char **out)
{
    rs_buf b = {0};
    write_json(v, &b);
    *out = b.failed ? NULL : rs_recipe_str(p->r, rs_buf_str(&b));
    rs_buf_free(&b);
    return *out ? RS_OK : rs_read_no_memory(p);
}

/* --- models and measures --- */

static rs_status check_name(const rs_reader *p, const char *name, const char *what)
{
    size_t n = strlen(name);
    if (n == 0 || n > 200)
        return rs_fail(p->err, RS_E_INVALID,
                       "%s: the name of a %s must have 1 to 200 bytes", p->what, what);
    if (strcmp(name, "out") == 0)
        return rs_fail(p->err, RS_E_INVALID,
                       "%s: a %s cannot be called \"out\", that is what a merge writes",
                       p->what, what);
    return RS_OK;
}

static rs_status read_model(const rs_reader *p, const rs_json *o, rs_model_entry *e)
{
    char where[512];
    e->name = rs_recipe_str(p->r, rs_json_key(o));
    if (!e->name) return rs_read_no_memory(p);
    RS_TRY(check_name(p, e->name, "model"));
    snprintf(where, sizeof where, "%s: model \"%s\"", p->what, e->name);
    if (rs_json_get(o, "adapters")) return rs_read_later(p, o, &e->later);
    RS_TRY(RS_READ_KEYS(p, o, where, "path", "adapter", "on", "make"));
    RS_TRY(rs_read_text(p, o, "path", where, &e->path));
    RS_TRY(rs_read_text(p, o, "adapter", where, &e->adapter));
    RS_TRY(rs_read_text(p, o, "on", where, &e->on));
    if (!e->path == !e->adapter)
        return rs_fail(p->err, RS_E_INVALID, "%s needs either \"path\" or \"adapter\"",
                       where);
    if (e->on && !e->adapter)
        return rs_fail(p->err, RS_E_INVALID, "%s: \"on\" goes with \"adapter\"", where);
    if (e->path && rs_json_get(o, "make"))
        return rs_fail(p->err, RS_E_INVALID, "%s: \"make\" goes with \"adapter\"", where);
    return rs_read_make(p, rs_json_get(o, "make"), where, RS_MAKE_ADAPTER, &e->make);
}

/* `on` names a plain model, so an adapter is never folded on itself. */
static rs_status check_on(const rs_reader *p)
{
    const rs_recipe *r = p->r;
    const char *names[RS_RECIPE_ENTRIES];
    for (int i = 0; i < r->n_models; i++)
        names[i] = r->models[i].path ? r->models[i].name : "";
    for (int i = 0; i < r->n_models; i++) {
        const rs_model_entry *e = &r->models[i];
        const rs_model_entry *on = rs_recipe_model(r, e->on);
        char hint[256];
        if (!e->on || (on && on->path)) continue;
        rs_did_you_mean(hint, sizeof hint, e->on, names, r->n_models);
        return rs_fail(p->err, RS_E_INVALID,
                       "%s: \"%s\" is on \"%s\", which is not a model with a path%s",
                       p->what, e->name, e->on, hint);
    }
    return RS_OK;
}

static rs_status count_members(const rs_reader *p, const rs_json *o, const char *key,
                               int *n)
{
    *n = rs_json_is_null(o) ? 0 : rs_json_count(o);
    if (!rs_json_is_null(o) && !rs_json_is_object(o))
        return rs_fail(p->err, RS_E_INVALID, "%s: \"%s\" must be an object", p->what,
                       key);
    if (*n > RS_RECIPE_ENTRIES)
        return rs_fail(p->err, RS_E_UNSUPPORTED,
                       "%s: %d entries in \"%s\", at most %d work", p->what, *n, key,
                       (int)RS_RECIPE_ENTRIES);
    return RS_OK;
}

static rs_status read_models(const rs_reader *p, const rs_json *o)
{
    int n;
    RS_TRY(count_members(p, o, "models", &n));
    p->r->models = rs_arena_array(&p->r->arena, (size_t)n + 1, sizeof *p->r->models);
    if (!p->r->models) return rs_read_no_memory(p);
    for (const rs_json *m = rs_json_first(o); m; m = rs_json_next(m)) {
        RS_TRY(read_model(p, m, &p->r->models[p->r->n_models]));
        p->r->n_models++;
    }
    return check_on(p);
}

static rs_status read_scale(const rs_reader *p, const rs_json *o, const char *where,
                            rs_measure_entry *e)
{
    static const char *const known[] = {"per_token", "per_sequence"};
    RS_TRY(rs_read_text(p, o, "scale", where, &e->scale));
    if (!e->scale || strcmp(e->scale, known[0]) == 0 || strcmp(e->scale, known[1]) == 0)
        return RS_OK;
    char hint[96];
    rs_did_you_mean(hint, sizeof hint, e->scale, known, 2);
    return rs_fail(p->err, RS_E_INVALID,
                   "%s: scale \"%s\" is neither \"per_token\" nor \"per_sequence\"%s",
                   where, e->scale, hint);
}

static rs_status read_measure(const rs_reader *p, const rs_json *o, rs_measure_entry *e)
{
    char where[512];
    const char *fisher = NULL, *subspace = NULL;
    e->name = rs_recipe_str(p->r, rs_json_key(o));
    if (!e->name) return rs_read_no_memory(p);
    RS_TRY(check_name(p, e->name, "measure"));
    snprintf(where, sizeof where, "%s: measure \"%s\"", p->what, e->name);
    RS_TRY(RS_READ_KEYS(p, o, where, "fisher", "subspace", "scale", "make"));
    RS_TRY(rs_read_text(p, o, "fisher", where, &fisher));
    RS_TRY(rs_read_text(p, o, "subspace", where, &subspace));
    if (!fisher == !subspace)
        return rs_fail(p->err, RS_E_INVALID, "%s needs either \"fisher\" or \"subspace\"",
                       where);
    e->type = fisher ? RS_MEASURE_FISHER : RS_MEASURE_SUBSPACE;
    e->path = fisher ? fisher : subspace;
    RS_TRY(read_scale(p, o, where, e));
    return rs_read_make(p, rs_json_get(o, "make"), where,
                        fisher ? RS_MAKE_FISHER : RS_MAKE_SUBSPACE, &e->make);
}

static rs_status read_measures(const rs_reader *p, const rs_json *o)
{
    int n;
    RS_TRY(count_members(p, o, "measures", &n));
    p->r->measures = rs_arena_array(&p->r->arena, (size_t)n + 1, sizeof *p->r->measures);
    if (!p->r->measures) return rs_read_no_memory(p);
    for (const rs_json *m = rs_json_first(o); m; m = rs_json_next(m)) {
        RS_TRY(read_measure(p, m, &p->r->measures[p->r->n_measures]));
        p->r->n_measures++;
    }
    return RS_OK;
}

/* --- references --- */

rs_status rs_read_reference(const rs_reader *p, const char *name, int n_stages,
                            const char *where)
{
    const rs_recipe *r = p->r;
    const char *known[2 * RS_RECIPE_ENTRIES];
    int n = 0;
    for (int i = 0; i < r->n_models; i++)
        known[n++] = r->models[i].name;
    for (int i = 0; i < n_stages; i++)
        known[n++] = r->stages[i].name;
    for (int i = 0; i < n; i++)
        if (strcmp(known[i], name) == 0) return RS_OK;
    char hint[256];
    rs_did_you_mean(hint, sizeof hint, name, known, n);
    return rs_fail(p->err, RS_E_INVALID, "%s: \"%s\" is no model and no earlier stage%s",
                   where, name, hint);
}

rs_status rs_read_measure(const rs_reader *p, const char *name, rs_measure_type type,
                          const char *where)
{
    const rs_recipe *r = p->r;
    const rs_measure_entry *e = rs_recipe_measure(r, name);
    if (e && e->type == type) return RS_OK;
    const char *known[RS_RECIPE_ENTRIES];
    int n = 0;
    for (int i = 0; i < r->n_measures; i++)
        if (r->measures[i].type == type) known[n++] = r->measures[i].name;
    char hint[256];
    rs_did_you_mean(hint, sizeof hint, name, known, n);
    return rs_fail(p->err, RS_E_INVALID, "%s: \"%s\" is no %s measure of this recipe%s",
                   where, name, type == RS_MEASURE_FISHER ? "Fisher" : "subspace", hint);
}

/* --- the rest of the document --- */

static rs_status read_tags(const rs_reader *p, const rs_json *list)
{
    if (rs_json_is_null(list)) return RS_OK;
    if (!rs_json_is_array(list))
        return rs_fail(p->err, RS_E_INVALID, "%s: \"tags\" must be a list of strings",
                       p->what);
    for (const rs_json *v = rs_json_first(list); v; v = rs_json_next(v)) {
        if (!rs_json_is_string(v))
            return rs_fail(p->err, RS_E_INVALID, "%s: \"tags\" must be a list of strings",
                           p->what);
        if (!rs_names_add(p->r, &p->r->tags, rs_json_string(v)))
            return rs_read_no_memory(p);
    }
    return RS_OK;
}

static rs_status check_stage_name(const rs_reader *p, const char *name, const char *where)
{
    const char *known[RS_RECIPE_ENTRIES];
    for (int i = 0; i < p->r->n_stages; i++)
        known[i] = p->r->stages[i].name;
    if (rs_recipe_stage(p->r, name)) return RS_OK;
    char hint[256];
    rs_did_you_mean(hint, sizeof hint, name, known, p->r->n_stages);
    return rs_fail(p->err, RS_E_INVALID, "%s: \"%s\" is no stage of this recipe%s", where,
                   name, hint);
}

static rs_status read_budget(const rs_reader *p, const rs_json *o)
{
    char where[300];
    rs_stage *fuel = rs_recipe_fuel(p->r);
    p->r->budget_of = fuel ? fuel->name : "out";
    if (rs_json_is_null(o)) return RS_OK;
    snprintf(where, sizeof where, "%s: budget", p->what);
    RS_TRY(RS_READ_KEYS(p, o, where, "damage", "of"));
    RS_TRY(rs_json_opt_double(o, "damage", where, &p->r->budget, p->err));
    RS_TRY(rs_read_text(p, o, "of", where, &p->r->budget_of));
    if (p->r->budget < 0)
        return rs_fail(p->err, RS_E_INVALID, "%s: a damage of %g is less than nothing",
                       where, p->r->budget);
    if (strcmp(p->r->budget_of, "out") == 0) return RS_OK;
    return check_stage_name(p, p->r->budget_of, where);
}

static rs_status read_dtype(const rs_reader *p, const rs_json *o, const char *where)
{
    const char *name = "bfloat16";
    RS_TRY(rs_json_opt_string(o, "dtype", where, &name, p->err));
    rs_dtype d;
    if (rs_dtype_from_name(name, &d) &&
        (d == RS_DTYPE_BF16 || d == RS_DTYPE_F16 || d == RS_DTYPE_F32))
        return p->r->output_dtype = d, RS_OK;
    static const char *const known[] = {"bfloat16", "float16", "float32"};
    char hint[96];
    rs_did_you_mean(hint, sizeof hint, name, known, 3);
    return rs_fail(p->err, RS_E_INVALID,
                   "%s: dtype \"%s\" is none of bfloat16, float16, float32%s", where,
                   name, hint);
}

static rs_status read_rounding(const rs_reader *p, const rs_json *o, const char *where)
{
    const char *name = "nearest";
    RS_TRY(rs_json_opt_string(o, "rounding", where, &name, p->err));
    p->r->stochastic = strcmp(name, "stochastic") == 0;
    if (p->r->stochastic || strcmp(name, "nearest") == 0) return RS_OK;
    return rs_fail(p->err, RS_E_INVALID,
                   "%s: rounding \"%s\" is neither \"nearest\" nor \"stochastic\"", where,
                   name);
}

static rs_status read_output(const rs_reader *p, const rs_json *o)
{
    rs_recipe *r = p->r;
    char where[300];
    int64_t seed = 0, shard = 5000000000;
    r->output_stage = r->stages[r->n_stages - 1].name;
    r->output_dtype = RS_DTYPE_BF16;
    r->shard_bytes = (uint64_t)shard;
    if (rs_json_is_null(o)) return RS_OK;
    snprintf(where, sizeof where, "%s: output", p->what);
    RS_TRY(
        RS_READ_KEYS(p, o, where, "stage", "dtype", "rounding", "seed", "shard_bytes"));
    RS_TRY(rs_read_text(p, o, "stage", where, &r->output_stage));
    RS_TRY(check_stage_name(p, r->output_stage, where));
    RS_TRY(read_dtype(p, o, where));
    RS_TRY(read_rounding(p, o, where));
    RS_TRY(rs_json_opt_int(o, "seed", 0, (INT64_C(1) << 53) - 1, where, &seed, p->err));
    RS_TRY(rs_json_opt_int(o, "shard_bytes", 1000000, INT64_C(1) << 50, where, &shard,
                           p->err));
    r->seed = (uint64_t)seed;
    r->shard_bytes = (uint64_t)shard;
    return RS_OK;
}

static rs_status read_version(const rs_reader *p, const rs_json *root)
{
    int64_t version = 0;
    if (!rs_json_is_object(root) || !rs_json_get(root, "ringside"))
        return rs_fail(p->err, RS_E_INVALID, "%s is no recipe: it has no \"ringside\": 1",
                       p->what);
    RS_TRY(rs_json_opt_int(root, "ringside", 1, 1000000, p->what, &version, p->err));
    if (version == 1) return RS_OK;
    return rs_fail(p->err, RS_E_UNSUPPORTED,
                   "%s has recipe format %d, this program reads 1", p->what,
                   (int)version);
}

/* The file's name without folder and .json. */
static const char *name_from(const rs_reader *p)
{
    const char *base = rs_path_basename(p->what);
    size_t n = strlen(base);
    if (n > 5 && strcmp(base + n - 5, ".json") == 0) n -= 5;
    return rs_arena_strndup(&p->r->arena, base, n);
}

static rs_status read_document(const rs_reader *p, const rs_json *root)
{
    RS_TRY(read_version(p, root));
    RS_TRY(RS_READ_KEYS(p, root, p->what, "ringside", "name", "notes", "tags", "models",
                        "measures", "stages", "budget", "output", "record"));
    p->r->notes = "";
    RS_TRY(rs_read_text(p, root, "name", p->what, &p->r->name));
    RS_TRY(rs_read_text(p, root, "notes", p->what, &p->r->notes));
    if (!p->r->name) p->r->name = name_from(p);
    if (!p->r->name) return rs_read_no_memory(p);
    RS_TRY(read_tags(p, rs_json_get(root, "tags")));
    RS_TRY(read_models(p, rs_json_get(root, "models")));
    RS_TRY(read_measures(p, rs_json_get(root, "measures")));
    RS_TRY(rs_read_stages(p, rs_json_get(root, "stages")));
    RS_TRY(rs_check_makes(p));
    RS_TRY(read_output(p, rs_json_get(root, "output")));
    return read_budget(p, rs_json_get(root, "budget"));
}

rs_status rs_recipe_parse(const char *text, size_t n, const char *folder,
                          const char *what, rs_recipe **out, rs_err *err)
{
    *out = NULL;
    rs_json *root = NULL;
    if (n > RS_RECIPE_BYTES)
        return rs_fail(err, RS_E_FORMAT,
                       "%s: a recipe of %zu bytes is over the limit of %d", what, n,
                       (int)RS_RECIPE_BYTES);
    RS_TRY(rs_json_parse(text, n, what, &root, err));
    rs_recipe *r = calloc(1, sizeof *r);
    rs_reader p = {.r = r, .what = what, .err = err};
    rs_status s = r ? RS_OK : rs_read_no_memory(&p);
    if (s == RS_OK) {
        r->folder = rs_recipe_str(r, folder ? folder : ".");
        s = r->folder ? read_document(&p, root) : rs_read_no_memory(&p);
    }
    rs_json_free(root);
    if (s == RS_OK)
        *out = r;
    else
        rs_recipe_free(r);
    return s;
}
