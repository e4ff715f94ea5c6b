#include "merge/plan_internal.h"

#include "base/os.h"
#include "base/rng.h"
#include "merge/measure_file.h"
#include "store/gguf.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t rs_mix(uint64_t a, uint64_t b)
{
    return rs_rng_at(a, b, 0x726973);
}

uint64_t rs_mix_double(uint64_t a, double v)
{
    uint64_t bits;
    v += 0.0; /* -0 is 0 */
    memcpy(&bits, &v, sizeof bits);
    return rs_mix(a, bits);
}

int rs_model_index(const rs_recipe *r, const char *name)
{
    const rs_model_entry *e = rs_recipe_model(r, name);
    return e ? (int)(e - r->models) : -1;
}

int rs_measure_index(const rs_recipe *r, const char *name)
{
    const rs_measure_entry *e = rs_recipe_measure(r, name);
    return e ? (int)(e - r->measures) : -1;
}

int rs_base_entry(const rs_recipe *r, const char *name)
{
    for (int guard = 0; guard <= r->n_stages && name; guard++) {
        const rs_model_entry *e = rs_recipe_model(r, name);
        if (e)
            return e->path ? rs_model_index(r, name)
                   : e->on ? rs_model_index(r, e->on)
                           : -1;
        const rs_stage *s = rs_recipe_stage(r, name);
        if (!s) return -1;
        name = s->method == RS_METHOD_TASK_ARITHMETIC ? s->base
               : s->n_inputs > 0                      ? s->inputs[0].from
                                                      : NULL;
    }
    return -1;
}

bool rs_sources_warn(rs_sources *s, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    const char **grown =
        rs_arena_array(&s->arena, (size_t)s->warnings.n + 1, sizeof *grown);
    char *copy = rs_arena_strdup(&s->arena, text);
    if (!grown || !copy) return false;
    if (s->warnings.n)
        memcpy(grown, s->warnings.at, (size_t)s->warnings.n * sizeof *grown);
    grown[s->warnings.n++] = copy;
    s->warnings.at = grown;
    return true;
}

/* --- which entries a stage needs --- */

typedef struct needs {
    const rs_recipe *r;
    bool *stage, *model; /* model: also adapters, by entry */
} needs;

static void need(needs *n, const char *name)
{
    int m = rs_model_index(n->r, name);
    if (m >= 0) {
        n->model[m] = true;
        if (n->r->models[m].on) n->model[rs_model_index(n->r, n->r->models[m].on)] = true;
        return;
    }
    const rs_stage *s = rs_recipe_stage(n->r, name);
    if (!s || n->stage[s - n->r->stages]) return;
    n->stage[s - n->r->stages] = true;
    if (s->base) need(n, s->base);
    for (int i = 0; i < s->n_inputs; i++)
        need(n, s->inputs[i].from);
}

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory for the sources of a recipe");
}

char *rs_sources_key(const rs_recipe *r, const rs_stage *root)
{
    rs_buf b = {0};
    rs_buf_printf(&b, "%s\n%s\n", r->folder, root->name);
    for (int i = 0; i < r->n_models; i++) {
        const rs_model_entry *e = &r->models[i];
        rs_buf_printf(&b, "m %s\t%s\t%s\t%s\n", e->name, e->path ? e->path : "",
                      e->adapter ? e->adapter : "", e->on ? e->on : "");
    }
    for (int i = 0; i < r->n_measures; i++)
        rs_buf_printf(&b, "f %s\t%s\t%s\n", r->measures[i].name, r->measures[i].path,
                      r->measures[i].scale ? r->measures[i].scale : "");
    for (int i = 0; i < r->n_stages; i++) {
        const rs_stage *s = &r->stages[i];
        rs_buf_printf(&b, "s %s\t%d\t%s", s->name, s->method, s->base ? s->base : "");
        for (int j = 0; j < s->n_inputs; j++)
            rs_buf_printf(&b, "\t%s", s->inputs[j].from);
        rs_buf_printf(&b, "\t%s\t%s\t%s\n", s->dampen.by ? s->dampen.by : "",
                      s->dampen.task ? s->dampen.task : "",
                      s->mask.by ? s->mask.by : "");
    }
    if (b.failed) rs_buf_free(&b);
    return b.data;
}

/* --- opening --- */

static rs_status identity(const rs_checkpoint *c, uint64_t *id, rs_err *err)
{
    char hex[33];
    RS_TRY(rs_checkpoint_identity(c, hex, err));
    *id = rs_rng_name(hex);
    return RS_OK;
}

static rs_status open_model(rs_sources *s, const rs_recipe *r, const rs_plan_options *o,
                            int i, rs_err *err)
{
    char path[4096], what[300];
    rs_src_model *m = &s->models[i];
    snprintf(what, sizeof what, "model \"%s\"", r->models[i].name);
    RS_TRY(rs_recipe_resolve(r, o, r->models[i].path, false, what, path, err));
    m->name = rs_arena_strdup(&s->arena, r->models[i].name);
    m->path = rs_arena_strdup(&s->arena, path);
    if (!m->name || !m->path) return no_memory(err);
    if (rs_checkpoint_open(path, &m->file, err) != RS_OK)
        return rs_err_prefix(err, "%s", what);
    return identity(m->file, &m->id, err);
}

static rs_status open_adapter(rs_sources *s, const rs_recipe *r, const rs_plan_options *o,
                              int i, rs_err *err)
{
    char path[4096], what[300];
    rs_src_adapter *a = &s->adapters[i];
    snprintf(what, sizeof what, "adapter \"%s\"", r->models[i].name);
    RS_TRY(rs_recipe_resolve(r, o, r->models[i].adapter, r->models[i].make, what, path, err));
    a->name = rs_arena_strdup(&s->arena, r->models[i].name);
    a->path = rs_arena_strdup(&s->arena, path);
    if (!a->name || !a->path) return no_memory(err);
    if (rs_adapter_open(path, &a->adapter, err) != RS_OK)
        return rs_err_prefix(err, "%s", what);
    RS_TRY(identity(a->adapter->file, &a->id, err));
    a->id = rs_mix_double(a->id, a->adapter->alpha);
    for (int p = 0; p < a->adapter->n_pairs; p++)
        a->id = rs_mix_double(a->id, a->adapter->pairs[p].scale);
    return RS_OK;
}

/* The scale in words, as a file from elsewhere may have it, and in ours. */
static void read_scale(rs_src_fisher *f, const char *stated)
{
    const char *word = stated ? stated : rs_checkpoint_metadata(f->file, "scale");
    const char *sequences = rs_checkpoint_metadata(f->file, "sequences");
    const char *tokens = rs_checkpoint_metadata(f->file, "tokens");
    double n = sequences ? strtod(sequences, NULL) : 0,
           t = tokens ? strtod(tokens, NULL) : 0;
    f->scale = 1;
    f->scale_unknown = false;
    size_t len = word ? strlen(word) : 0;
    if (len >= 8 && strcmp(word + len - 8, "/ tokens") == 0) return;
    if (word && strcmp(word, "per_token") == 0) return;
    if (word && strcmp(word, "per_sequence") == 0 && n > 0 && t > 0)
        f->scale = n / t;
    else
        f->scale_unknown = true;
}

static rs_status open_fisher(rs_sources *s, const rs_recipe *r, const rs_plan_options *o,
                             int i, rs_err *err)
{
    char path[4096], what[300];
    rs_src_fisher *f = &s->fishers[i];
    if (f->file) return RS_OK;
    snprintf(what, sizeof what, "Fisher \"%s\"", r->measures[i].name);
    RS_TRY(rs_recipe_resolve(r, o, r->measures[i].path, r->measures[i].make, what, path, err));
    f->name = rs_arena_strdup(&s->arena, r->measures[i].name);
    f->path = rs_arena_strdup(&s->arena, path);
    if (!f->name || !f->path) return no_memory(err);
    if (rs_checkpoint_open(path, &f->file, err) != RS_OK)
        return rs_err_prefix(err, "%s", what);
    RS_TRY(identity(f->file, &f->id, err));
    read_scale(f, r->measures[i].scale);
    return rs_match_fisher(s, f, err);
}

/* One that no weight depends on: without it damage is not known, that is all. */
static rs_status try_fisher(rs_sources *s, const rs_recipe *r, const rs_plan_options *o,
                            const char *name, rs_err *err)
{
    rs_err why;
    int i = rs_measure_index(r, name);
    rs_src_fisher *f = &s->fishers[i];
    if (f->missing) return RS_OK;
    rs_status status = open_fisher(s, r, o, i, &why);
    if (status == RS_OK) return RS_OK;
    rs_checkpoint_close(f->file);
    f->file = NULL;
    f->missing = rs_arena_strdup(&s->arena, why.msg);
    if (status != RS_E_NOMEM && f->missing &&
        rs_sources_warn(s, "damage is not known: %s", why.msg))
        return RS_OK;
    return no_memory(err);
}

static rs_status open_fishers(rs_sources *s, const rs_recipe *r, const rs_plan_options *o,
                              const needs *n, rs_err *err)
{
    bool any = false;
    for (int i = 0; i < r->n_stages; i++) {
        const rs_dampen_spec *d = &r->stages[i].dampen;
        bool needed = d->kind != RS_DAMPEN_NONE || r->stages[i].mask.per_layer;
        if (!n->stage[i] || !needed) continue;
        any |= d->by != NULL;
        if (d->by) RS_TRY(open_fisher(s, r, o, rs_measure_index(r, d->by), err));
        if (d->task) RS_TRY(open_fisher(s, r, o, rs_measure_index(r, d->task), err));
    }
    /* Damage is measured with a Fisher even where nothing is dampened by one. */
    for (int i = 0; i < r->n_stages; i++) {
        const rs_dampen_spec *d = &r->stages[i].dampen;
        if (!n->stage[i] || d->kind != RS_DAMPEN_NONE || !d->by) continue;
        any = true;
        RS_TRY(try_fisher(s, r, o, d->by, err));
    }
    for (int i = 0; i < r->n_measures && !any; i++)
        if (r->measures[i].type == RS_MEASURE_FISHER &&
            !rs_measure_is_kind(r, o, i, "contrast")) {
            RS_TRY(try_fisher(s, r, o, r->measures[i].name, err));
            any = true;
        }
    return RS_OK;
}

static rs_status open_subspace(rs_sources *s, const rs_recipe *r,
                               const rs_plan_options *o, int i, rs_err *err)
{
    char path[4096], what[300];
    rs_src_subspace *f = &s->subspaces[i];
    if (f->file) return RS_OK;
    snprintf(what, sizeof what, "subspace \"%s\"", r->measures[i].name);
    RS_TRY(rs_recipe_resolve(r, o, r->measures[i].path, r->measures[i].make, what, path, err));
    f->name = rs_arena_strdup(&s->arena, r->measures[i].name);
    f->path = rs_arena_strdup(&s->arena, path);
    if (!f->name || !f->path) return no_memory(err);
    if (rs_subspace_open(path, &f->file, err) != RS_OK)
        return rs_err_prefix(err, "%s", what);
    RS_TRY(identity(f->file->file, &f->id, err));
    return rs_match_subspace(s, f, err);
}

/* One that no weight depends on: without it the leak is not known, that is all. */
static rs_status try_subspace(rs_sources *s, const rs_recipe *r, const rs_plan_options *o,
                              int i, rs_err *err)
{
    rs_err why;
    rs_src_subspace *f = &s->subspaces[i];
    rs_status status = open_subspace(s, r, o, i, &why);
    if (status == RS_OK) return RS_OK;
    rs_subspace_close(f->file);
    f->file = NULL;
    f->missing = rs_arena_strdup(&s->arena, why.msg);
    if (status != RS_E_NOMEM && f->missing &&
        rs_sources_warn(s, "leak is not known: %s", why.msg))
        return RS_OK;
    return no_memory(err);
}

static rs_status open_subspaces(rs_sources *s, const rs_recipe *r,
                                const rs_plan_options *o, const needs *n, rs_err *err)
{
    bool any = false;
    for (int i = 0; i < r->n_stages; i++) {
        const char *by = r->stages[i].mask.by;
        if (!n->stage[i] || !by) continue;
        any = true;
        RS_TRY(open_subspace(s, r, o, rs_measure_index(r, by), err));
    }
    for (int i = 0; i < r->n_measures && !any; i++)
        if (r->measures[i].type == RS_MEASURE_SUBSPACE) {
            RS_TRY(try_subspace(s, r, o, i, err));
            any = true;
        }
    return RS_OK;
}

/* Letters and digits of the first n bytes of a path or name, lower case: "sparring/it" and
 * "sparring-it" agree. What is not ASCII stays as it is. */
static void squeeze(const char *text, size_t n, char *dst, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < n && at + 1 < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x80 || isalnum(c)) dst[at++] = c >= 0x80 ? text[i] : (char)tolower(c);
    }
    dst[at] = 0;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

bool rs_names_model(const char *claimed, const char *path, const char *own)
{
    char want[4096], last[4096], have[4096], stated[4096];
    size_t n = strlen(claimed), from;
    while (n > 0 && claimed[n - 1] == '/')
        n--;
    for (from = n; from > 0 && claimed[from - 1] != '/';)
        from--;
    squeeze(claimed, n, want, sizeof want);
    squeeze(claimed + from, n - from, last, sizeof last);
    squeeze(path, strlen(path), have, sizeof have);
    if (!last[0]) return false; /* it would stand in every name */
    if (strstr(have, want) || ends_with(have, last)) return true;
    squeeze(own ? own : "", own ? strlen(own) : 0, stated, sizeof stated);
    return stated[0] && (strstr(stated, last) || strstr(last, stated));
}

/* A GGUF that does not say its own name may be any model. */
static bool may_be(const char *claimed, const rs_src_model *m)
{
    const char *own = rs_checkpoint_metadata(m->file, "general.name");
    if (rs_checkpoint_gguf(m->file) && (!own || !own[0])) return true;
    return rs_names_model(claimed, m->path, own);
}

static rs_status match_adapter_entry(rs_sources *s, const rs_recipe *r, int i,
                                     rs_err *err)
{
    rs_src_adapter *a = &s->adapters[i];
    const char *on = r->models[i].on;
    const rs_src_model *onto = &s->models[on ? rs_model_index(r, on) : s->base];
    RS_TRY(rs_match_adapter(s, a, onto->path, err));
    const char *claimed = a->adapter->base_name;
    if (claimed[0] && !may_be(claimed, onto) &&
        !rs_sources_warn(s, "%s was trained on %s and is %s %s (%s)", a->name, claimed,
                         on ? "folded on" : "added to", onto->name, onto->path))
        return no_memory(err);
    return RS_OK;
}

static rs_status list_base(rs_sources *s, rs_err *err)
{
    const rs_checkpoint *c = s->models[s->base].file;
    RS_TRY(rs_config_load(c, &s->config, err));
    int count = rs_checkpoint_count(c);
    size_t n = (size_t)count + 1;
    s->base_tensor = rs_arena_array(&s->arena, n, sizeof *s->base_tensor);
    s->role = rs_arena_array(&s->arena, n, sizeof *s->role);
    s->alias = rs_arena_array(&s->arena, n, sizeof *s->alias);
    if (!s->base_tensor || !s->role || !s->alias) return no_memory(err);
    int embed = -1;
    for (int k = 0; k < count; k++) {
        const rs_tensor *t = rs_checkpoint_at(c, k);
        if (rs_checkpoint_gguf(c) && rs_gguf_is_table(t->stored_name)) continue;
        int i = s->n_tensors++;
        s->base_tensor[i] = t;
        s->role[i] = rs_role_of(s->config, t->name);
        s->alias[i] = -1;
        if (s->role[i].kind == RS_KIND_EMBED) embed = i;
    }
    for (int i = 0; i < s->n_tensors && embed >= 0; i++) {
        const rs_tensor *t = s->base_tensor[i], *e = s->base_tensor[embed];
        if (s->role[i].kind != RS_KIND_HEAD || !s->config->tied_head) continue;
        if (t->n_dims != 2 || t->dim[0] != e->dim[0] || t->dim[1] != e->dim[1]) continue;
        s->alias[i] = embed;
        if (!rs_sources_warn(
                s,
                "the config ties the head to the embedding: %s is written as a "
                "copy of %s",
                t->name, e->name))
            return no_memory(err);
    }
    return RS_OK;
}

static rs_status open_all(rs_sources *s, const rs_recipe *r, const rs_stage *root,
                          const rs_plan_options *o, needs *n, rs_err *err)
{
    need(n, root->name);
    s->base = rs_base_entry(r, root->name);
    if (s->base < 0)
        return rs_fail(err, RS_E_INVALID, "stage \"%s\" has no model at its base",
                       root->name);
    RS_TRY(rs_sources_missing(r, n->model, n->stage, err));
    RS_TRY(open_model(s, r, o, s->base, err));
    RS_TRY(list_base(s, err));
    for (int i = 0; i < r->n_models; i++)
        if (n->model[i] && r->models[i].path && i != s->base)
            RS_TRY(open_model(s, r, o, i, err));
    for (int i = 0; i < r->n_models; i++)
        if (s->models[i].file) RS_TRY(rs_match_model(s, &s->models[i], err));
    for (int i = 0; i < r->n_models; i++)
        if (n->model[i] && r->models[i].adapter) {
            RS_TRY(open_adapter(s, r, o, i, err));
            RS_TRY(match_adapter_entry(s, r, i, err));
        }
    RS_TRY(open_fishers(s, r, o, n, err));
    return open_subspaces(s, r, o, n, err);
}

static rs_sources *new_sources(const rs_recipe *r, const rs_stage *root)
{
    rs_sources *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    atomic_init(&s->refs, 1);
    pthread_mutex_init(&s->mutex, NULL);
    pthread_mutex_init(&s->held_mutex, NULL);
    pthread_mutex_init(&s->mask_mutex, NULL);
    pthread_cond_init(&s->mask_made, NULL);
    s->n_models = r->n_models;
    s->n_measures = r->n_measures;
    s->key = rs_sources_key(r, root);
    s->models = rs_arena_array(&s->arena, (size_t)r->n_models + 1, sizeof *s->models);
    s->adapters = rs_arena_array(&s->arena, (size_t)r->n_models + 1, sizeof *s->adapters);
    s->fishers = rs_arena_array(&s->arena, (size_t)r->n_measures + 1, sizeof *s->fishers);
    s->subspaces =
        rs_arena_array(&s->arena, (size_t)r->n_measures + 1, sizeof *s->subspaces);
    if (s->key && s->models && s->adapters && s->fishers && s->subspaces) return s;
    rs_sources_drop(s);
    return NULL;
}

rs_status rs_sources_open(const rs_recipe *r, const rs_stage *root,
                          const rs_plan_options *o, rs_sources **out, rs_err *err)
{
    *out = NULL;
    rs_sources *s = new_sources(r, root);
    needs n = {r, calloc((size_t)r->n_stages + 1, 1), calloc((size_t)r->n_models + 1, 1)};
    rs_status status =
        s && n.stage && n.model ? open_all(s, r, root, o, &n, err) : no_memory(err);
    free(n.stage);
    free(n.model);
    if (status == RS_OK)
        *out = s;
    else
        rs_sources_drop(s);
    return status;
}

void rs_sources_drop(rs_sources *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) > 1) return;
    for (int i = 0; s->models && i < s->n_models; i++)
        rs_checkpoint_close(s->models[i].file);
    for (int i = 0; s->adapters && i < s->n_models; i++)
        rs_adapter_close(s->adapters[i].adapter);
    for (int i = 0; s->fishers && i < s->n_measures; i++)
        rs_checkpoint_close(s->fishers[i].file);
    for (int i = 0; s->subspaces && i < s->n_measures; i++)
        rs_subspace_close(s->subspaces[i].file);
    rs_config_free(s->config);
    pthread_mutex_destroy(&s->mutex);
    pthread_mutex_destroy(&s->held_mutex);
    pthread_mutex_destroy(&s->mask_mutex);
    pthread_cond_destroy(&s->mask_made);
    rs_arena_free(&s->arena);
    free(s->key);
    free(s);
}
