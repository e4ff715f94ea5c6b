/* What a plan says of itself: its sources and how they match, and what is merely surprising. */
#include "merge/factor_keys.h"
#include "merge/memory.h"

#include <stdio.h>
#include <string.h>

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory for a plan");
}

static bool warn(rs_plan *p, const char *fmt, ...) RS_PRINTF(2, 3);
static bool warn(rs_plan *p, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const char **grown =
        rs_arena_array(&p->arena, (size_t)p->warnings.n + 1, sizeof *grown);
    char *copy = rs_arena_strdup(&p->arena, text);
    if (!grown || !copy) return false;
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    if (p->warnings.n)
        memcpy(grown, p->warnings.at, (size_t)p->warnings.n * sizeof *grown);
    grown[p->warnings.n++] = copy;
    p->warnings.at = grown;
    return true;
}

/* --- the list of sources --- */

static const char *use_of(const rs_plan *p, const char *name)
{
    if (rs_model_index(p->recipe, name) == p->sources->base) return "base";
    const rs_stage *stages[2] = {p->fuel_stage, p->heal_stage};
    static const char *const words[2] = {"fuel", "heal"};
    for (int k = 0; k < 2; k++)
        for (int i = 0; stages[k] && i < stages[k]->n_inputs; i++)
            if (strcmp(stages[k]->inputs[i].from, name) == 0) return words[k];
    return "input";
}

static const char *subspace_use(const rs_plan *p, const char *name)
{
    for (int i = 0; i < p->recipe->n_stages; i++) {
        const char *by = p->recipe->stages[i].mask.by;
        if (by && strcmp(by, name) == 0) return "mask";
    }
    return "leak";
}

static const char *fisher_use(const rs_plan *p, const char *name)
{
    for (int i = 0; i < p->recipe->n_stages; i++) {
        const rs_dampen_spec *d = &p->recipe->stages[i].dampen;
        if (d->kind == RS_DAMPEN_NONE) continue;
        if (d->by && strcmp(d->by, name) == 0) return "dampen";
        if (d->task && strcmp(d->task, name) == 0) return "task";
    }
    for (int i = 0; i < p->recipe->n_stages; i++) {
        const rs_stage *s = &p->recipe->stages[i];
        if (s->mask.per_layer && strcmp(s->dampen.by, name) == 0) return "mask";
    }
    return "damage";
}

static rs_status list_sources(rs_plan *p, rs_err *err)
{
    rs_sources *s = p->sources;
    size_t n = (size_t)(2 * s->n_models + s->n_measures + 1);
    p->list = rs_arena_array(&p->arena, n, sizeof *p->list);
    if (!p->list) return no_memory(err);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < s->n_models; i++) {
            const rs_src_model *m = &s->models[i];
            if (!m->file || (i == s->base) != (pass == 0)) continue;
            p->list[p->n_list++] = (rs_plan_source){.name = m->name,
                                                    .kind = "model",
                                                    .path = m->path,
                                                    .use = use_of(p, m->name),
                                                    .file = m->file};
        }
    for (int i = 0; i < s->n_models; i++) {
        const rs_src_adapter *a = &s->adapters[i];
        if (!a->adapter) continue;
        p->list[p->n_list++] = (rs_plan_source){.name = a->name,
                                                .kind = "adapter",
                                                .path = a->path,
                                                .use = use_of(p, a->name),
                                                .file = a->adapter->file,
                                                .rank = a->adapter->rank,
                                                .n_pairs = a->adapter->n_pairs,
                                                .n_matched = a->n_matched,
                                                .n_inert = a->n_inert,
                                                .alpha = a->adapter->alpha,
                                                .rslora = a->adapter->rslora};
    }
    for (int i = 0; i < s->n_measures; i++) {
        const rs_src_subspace *f = &s->subspaces[i];
        if (!f->file) continue;
        p->list[p->n_list++] = (rs_plan_source){.name = f->name,
                                                .kind = "subspace",
                                                .path = f->path,
                                                .use = subspace_use(p, f->name),
                                                .file = f->file->file};
    }
    for (int i = 0; i < s->n_measures; i++) {
        const rs_src_fisher *f = &s->fishers[i];
        if (!f->file) continue;
        p->list[p->n_list++] = (rs_plan_source){.name = f->name,
                                                .kind = "fisher",
                                                .path = f->path,
                                                .use = fisher_use(p, f->name),
                                                .file = f->file};
    }
    return RS_OK;
}

/* --- what is merely surprising --- */

static bool warn_fisher(rs_plan *p)
{
    const rs_node *fuel = p->fuel;
    if (!fuel || fuel->fisher < 0 || fuel->stage->dampen.kind == RS_DAMPEN_NONE)
        return true;
    const rs_src_fisher *f = &p->sources->fishers[fuel->fisher];
    int missing = 0;
    const char *first = NULL;
    for (int i = 0; i < p->sources->n_tensors; i++)
        if (p->tensors[i].has_delta && !f->tensor[i] && missing++ == 0)
            first = p->tensors[i].name;
    if (missing &&
        !warn(p,
              "Fisher %s lacks %d of the tensors that change (%s first): they are not "
              "dampened",
              f->name, missing, first))
        return false;
    if (f->scale_unknown && !warn(p,
                                  "Fisher %s does not say its scale: damage is in F "
                                  "units; state \"scale\" in the "
                                  "recipe",
                                  f->name))
        return false;
    const rs_dampen_spec *d = &fuel->stage->dampen;
    if (d->kind == RS_DAMPEN_ONE_MINUS && d->layer == 1)
        return warn(
            p, "one_minus with layer 1 takes the delta out of the layer with the largest "
               "Fisher entirely");
    if (d->normaliser == RS_NORM_MAX &&
        (d->kind == RS_DAMPEN_EWC || d->kind == RS_DAMPEN_ONE_MINUS))
        return warn(
            p, "the normaliser max hardly dampens: a Fisher's mean lies far below its "
               "largest value");
    return true;
}

/* Vectors are never masked, and matrices only where the subspace has directions of them. */
static bool warn_mask(rs_plan *p, const rs_node *nd)
{
    int vectors = 0, missing = 0;
    const char *first = NULL;
    if (!nd || nd->type != RS_NODE_TASK || nd->subspace < 0) return true;
    const rs_src_subspace *f = &p->sources->subspaces[nd->subspace];
    for (int i = 0; i < p->sources->n_tensors; i++) {
        if (!rs_node_has_delta(p, nd, i) || f->entry[i]) continue;
        bool vector = p->sources->base_tensor[i]->n_dims < 2;
        vectors += vector;
        if (!vector && missing++ == 0) first = p->tensors[i].name;
    }
    if (missing && !warn(p,
                         "subspace %s lacks %d of the matrices that stage %s changes (%s "
                         "first): they are not masked",
                         f->name, missing, nd->name, first))
        return false;
    return !vectors || warn(p,
                            "%d vector%s that stage %s changes %s not masked: a subspace "
                            "is of matrices",
                            vectors, vectors == 1 ? "" : "s", nd->name,
                            vectors == 1 ? "is" : "are");
}

static bool warn_masks(rs_plan *p)
{
    for (int i = 0; i < p->n_stages; i++)
        if (!warn_mask(p, p->stage_nodes[i])) return false;
    return true;
}

static bool is_entry_named(const rs_plan *p, const rs_src_model *m, const char *name)
{
    int i = rs_model_index(p->recipe, name);
    return i >= 0 && &p->sources->models[i] == m;
}

/* A heal whose other side is pt, or folded on pt, goes back along it - pt. */
static bool warn_heal(rs_plan *p)
{
    if (!p->heal_stage || !p->other) return true;
    const rs_src_model *m = p->other->model;
    const rs_src_model *base = &p->sources->models[p->sources->base];
    if (!m || m == base || !is_entry_named(p, m, "pt") || !is_entry_named(p, base, "it"))
        return true;
    return warn(
        p,
        "the heal goes toward %s, which stands on pt: it takes back %.0f %% of what "
        "instruction tuning changed",
        p->other->name, 100 * p->heal_stage->t.fallback);
}

/* Gains and t for kinds that this family, or this layer, does not have: a recipe of another
 * model may say them, so they are no error. */
static bool warn_idle(rs_plan *p)
{
    const rs_config *c = p->sources->config;
    for (int i = 0; i < p->recipe->n_stages; i++) {
        const rs_stage *s = &p->recipe->stages[i];
        bool t = s->method == RS_METHOD_SLERP;
        const struct {
            const char *table;
            const rs_pairs *pairs;
            rs_keys_of of;
        } tables[] = {
            {t ? "t.kinds" : "gain.kinds", t ? &s->t.kinds : &s->gain.kinds,
             RS_KEYS_KINDS},
            {t ? "t.cells" : "gain.cells", t ? &s->t.cells : &s->gain.cells,
             RS_KEYS_CELLS},
        };
        for (int k = 0; p->stage_nodes[i] && k < 2; k++) {
            const char *idle = rs_keys_idle(tables[k].pairs, tables[k].of, c);
            if (idle &&
                !warn(p, "stage \"%s\": %s: \"%s\" names nothing that this %s model has",
                      s->name, tables[k].table, idle, c->model_type))
                return false;
        }
    }
    return true;
}

/* layer_scalar and inert tensors come from the first input: say so where others differ. */
rs_status rs_plan_warn_scalars(rs_sources *s, rs_err *err)
{
    const rs_src_model *base = &s->models[s->base];
    for (int m = 0; m < s->n_models; m++) {
        int differ = 0;
        const char *first = NULL;
        if (m == s->base || !s->models[m].file) continue;
        for (int i = 0; i < s->n_tensors; i++) {
            float a, b;
            const rs_tensor *x = base->tensor[i], *y = s->models[m].tensor[i];
            if (s->role[i].kind != RS_KIND_LAYER_SCALAR || !y || x->n_elements != 1 ||
                y->n_elements != 1)
                continue;
            RS_TRY(rs_checkpoint_read_f32(base->file, x, 0, 1, &a, err));
            RS_TRY(rs_checkpoint_read_f32(s->models[m].file, y, 0, 1, &b, err));
            if (a != b && differ++ == 0) first = s->base_tensor[i]->name;
        }
        if (differ &&
            !rs_sources_warn(
                s,
                "%s has other layer scalars than %s in %d layers (%s first): those of "
                "the first input are kept, another base model is likely",
                s->models[m].name, base->name, differ, first))
            return no_memory(err);
    }
    return RS_OK;
}

/* The need as the merge will have it; where it is too much, the merge's own sentence. */
static bool warn_memory(const rs_runtime *rt, rs_plan *p)
{
    rs_memory m;
    rs_err e;
    rs_status s = rs_memory_fit(rt, p, 0, rs_memory_of_folder(p), &m, &e);
    p->needs.memory_bytes = m.bytes;
    return s == RS_OK || warn(p, "%s", e.msg);
}

rs_status rs_plan_describe(const rs_runtime *rt, rs_plan *p, rs_err *err)
{
    RS_TRY(list_sources(p, err));
    for (int i = 0; i < p->sources->warnings.n; i++)
        if (!warn(p, "%s", p->sources->warnings.at[i])) return no_memory(err);
    bool told = warn_memory(rt, p) && warn_fisher(p) && warn_masks(p) && warn_heal(p) &&
                warn_idle(p);
    return told ? RS_OK : no_memory(err);
}
