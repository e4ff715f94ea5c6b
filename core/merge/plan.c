#include "merge/plan_internal.h"

#include "base/os.h"
#include "merge/recipe_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_GRAPH = 4096 };

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

/* --- what this version does not do --- */

static rs_status refuse_stage(const rs_recipe *r, const rs_stage *s, bool *seen,
                              rs_err *err);

static rs_status refuse_reference(const rs_recipe *r, const char *name, bool *seen,
                                  rs_err *err)
{
    const rs_model_entry *e = rs_recipe_model(r, name);
    if (e && e->later)
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "model \"%s\" uses %s, which this version does not do yet",
                       e->name,
                       e->path || e->adapter ? "\"make\"" : "a combination of adapters");
    const rs_stage *s = rs_recipe_stage(r, name);
    return s ? refuse_stage(r, s, seen, err) : RS_OK;
}

static rs_status refuse_measure(const rs_recipe *r, const char *name, rs_err *err)
{
    const rs_measure_entry *e = rs_recipe_measure(r, name);
    if (!e || !e->make) return RS_OK;
    return rs_fail(
        err, RS_E_UNSUPPORTED,
        "measure \"%s\" has a \"make\", which this version does not do yet: take it out "
        "and name the finished file",
        name);
}

static rs_status refuse_stage(const rs_recipe *r, const rs_stage *s, bool *seen,
                              rs_err *err)
{
    if (seen[s - r->stages]) return RS_OK;
    seen[s - r->stages] = true;
    if (s->method == RS_METHOD_LATER)
        return rs_fail(
            err, RS_E_UNSUPPORTED,
            "stage \"%s\" uses the method %s, which this version does not do yet",
            s->name, s->method_name);
    if (s->mask)
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "stage \"%s\" has a \"mask\", which this version does not do yet",
                       s->name);
    if (s->dampen.by) RS_TRY(refuse_measure(r, s->dampen.by, err));
    if (s->dampen.task) RS_TRY(refuse_measure(r, s->dampen.task, err));
    if (s->base) RS_TRY(refuse_reference(r, s->base, seen, err));
    for (int i = 0; i < s->n_inputs; i++)
        RS_TRY(refuse_reference(r, s->inputs[i].from, seen, err));
    return RS_OK;
}

static rs_status refuse_later(const rs_recipe *r, const rs_stage *root, rs_err *err)
{
    bool seen[RS_RECIPE_ENTRIES] = {false};
    if (r->n_stages > RS_RECIPE_ENTRIES)
        return rs_fail(err, RS_E_INVALID, "too many stages");
    if (r->stochastic)
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "output: stochastic rounding is not done by this version yet");
    return refuse_stage(r, root, seen, err);
}

/* --- nodes --- */

static rs_status node_of(rs_plan *p, const char *name, const rs_node **out, rs_err *err);

static rs_node *new_node(rs_plan *p, rs_node_type type, const char *name)
{
    rs_node *nd = rs_arena_alloc(&p->arena, sizeof *nd);
    if (!nd) return NULL;
    nd->type = type;
    nd->name = name;
    nd->size = 1;
    nd->fisher = nd->task_fisher = nd->i_slerp = -1;
    return nd;
}

static rs_status model_node(rs_plan *p, int entry, const rs_node **out, rs_err *err)
{
    const rs_model_entry *e = &p->recipe->models[entry];
    rs_node *nd = new_node(p, e->path ? RS_NODE_MODEL : RS_NODE_FOLDED, e->name);
    if (!nd) return no_memory(err);
    nd->model = &p->sources->models[e->path ? entry : rs_model_index(p->recipe, e->on)];
    if (!e->path) nd->adapter = &p->sources->adapters[entry];
    *out = nd;
    return RS_OK;
}

static rs_status grow(rs_node *nd, const rs_node *child, rs_err *err)
{
    nd->size += child->size;
    if (nd->size <= MAX_GRAPH) return RS_OK;
    return rs_fail(err, RS_E_UNSUPPORTED,
                   "stage \"%s\" refers to other stages more than %d times in all",
                   nd->name, (int)MAX_GRAPH);
}

static rs_status divisor_of(const rs_stage *s, double *out, rs_err *err)
{
    *out = 1;
    if (!s->normalize) return RS_OK;
    double sum = 0, size = 0;
    for (int i = 0; i < s->n_inputs; i++) {
        sum += s->inputs[i].weight;
        size += fabs(s->inputs[i].weight);
    }
    if (fabs(sum) <= 1e-9 * size || sum == 0)
        return rs_fail(
            err, RS_E_INVALID,
            "stage \"%s\": the weights add up to %g, so they cannot be normalised",
            s->name, sum);
    *out = sum;
    return RS_OK;
}

/* An adapter, alone or folded on the very base of the stage, is a delta without any rounding;
 * anything else is a model whose difference to the base counts. */
static rs_status term_of(rs_plan *p, rs_node *nd, const rs_input *in, rs_term *t,
                         rs_err *err)
{
    int entry = rs_model_index(p->recipe, in->from);
    const rs_model_entry *e = entry >= 0 ? &p->recipe->models[entry] : NULL;
    bool on_base =
        e && e->on && nd->base->type == RS_NODE_MODEL &&
        nd->base->model == &p->sources->models[rs_model_index(p->recipe, e->on)];
    if (e && e->adapter && (!e->on || on_base)) {
        t->adapter = &p->sources->adapters[entry];
        return RS_OK;
    }
    RS_TRY(node_of(p, in->from, &t->node, err));
    return grow(nd, t->node, err);
}

static rs_status task_node(rs_plan *p, const rs_stage *s, rs_node **out, rs_err *err)
{
    double divisor;
    rs_node *nd = *out = new_node(p, RS_NODE_TASK, s->name);
    if (!nd) return no_memory(err);
    nd->stage = s;
    RS_TRY(divisor_of(s, &divisor, err));
    RS_TRY(node_of(p, s->base, &nd->base, err));
    RS_TRY(grow(nd, nd->base, err));
    nd->terms = rs_arena_array(&p->arena, (size_t)s->n_inputs + 1, sizeof *nd->terms);
    if (!nd->terms) return no_memory(err);
    for (int i = 0; i < s->n_inputs; i++) {
        rs_term *t = &nd->terms[nd->n_terms++];
        t->weight = s->scale * s->inputs[i].weight / divisor;
        RS_TRY(term_of(p, nd, &s->inputs[i], t, err));
    }
    if (s->dampen.by) nd->fisher = rs_measure_index(p->recipe, s->dampen.by);
    if (s->dampen.task) nd->task_fisher = rs_measure_index(p->recipe, s->dampen.task);
    if (rs_factors_from(&s->gain, p->sources->config, &nd->factors, err) != RS_OK)
        return rs_err_prefix(err, "stage \"%s\"", s->name);
    nd->dampeners = rs_arena_array(&p->arena, (size_t)p->sources->n_tensors + 1,
                                   sizeof *nd->dampeners);
    return nd->dampeners ? RS_OK : no_memory(err);
}

static rs_status slerp_node(rs_plan *p, const rs_stage *s, rs_node **out, rs_err *err)
{
    rs_node *nd = *out = new_node(p, RS_NODE_SLERP, s->name);
    if (!nd) return no_memory(err);
    nd->stage = s;
    for (int i = 0; i < 2; i++) {
        RS_TRY(node_of(p, s->inputs[i].from, &nd->side[i], err));
        RS_TRY(grow(nd, nd->side[i], err));
    }
    if (s->space_delta) {
        RS_TRY(node_of(p, s->base, &nd->base, err));
        RS_TRY(grow(nd, nd->base, err));
    }
    nd->i_slerp = p->n_slerps++;
    if (rs_t_table_from(&s->t, p->sources->config, &nd->t, err) != RS_OK)
        return rs_err_prefix(err, "stage \"%s\"", s->name);
    return RS_OK;
}

static rs_status node_of(rs_plan *p, const char *name, const rs_node **out, rs_err *err)
{
    int entry = rs_model_index(p->recipe, name);
    if (entry >= 0) return model_node(p, entry, out, err);
    const rs_stage *s = rs_recipe_stage(p->recipe, name);
    if (!s) return rs_fail(err, RS_E_INVALID, "there is no \"%s\" in the recipe", name);
    rs_node **made = &p->stage_nodes[s - p->recipe->stages];
    /* The pointer is kept at once, so that a half-made node is freed with the plan. */
    if (!*made)
        RS_TRY(s->method == RS_METHOD_SLERP ? slerp_node(p, s, made, err)
                                            : task_node(p, s, made, err));
    *out = *made;
    return RS_OK;
}

/* --- tensors --- */

static rs_dtype output_dtype(const rs_plan *p, int i)
{
    const rs_tensor *t = p->sources->base_tensor[i];
    const rs_dtype_info *d = rs_dtype_of(t->dtype);
    bool untouched =
        p->sources->role[i].inert || p->sources->role[i].kind == RS_KIND_TOWER;
    if (d->is_quantised) return p->recipe->output_dtype;
    return d->is_float && !untouched ? p->recipe->output_dtype : t->dtype;
}

static void fill_fuel(rs_plan *p, int i, rs_plan_tensor *t)
{
    t->gain = NAN;
    if (!p->fuel) return;
    t->gain = rs_node_gain(p, p->fuel, i);
    t->has_delta = rs_node_has_delta(p, p->fuel, i);
    for (int k = 0; k < p->fuel->n_terms; k++) {
        const rs_term *term = &p->fuel->terms[k];
        t->n_deltas += t->has_delta && (!term->adapter || term->adapter->pair[i]);
    }
}

static rs_status fill_tensor(rs_plan *p, int i, rs_err *err)
{
    rs_sources *s = p->sources;
    rs_plan_tensor *t = &p->tensors[i];
    int from = s->alias[i] >= 0 ? s->alias[i] : i;
    *t = (rs_plan_tensor){.name = s->base_tensor[i]->name,
                          .base = s->base_tensor[i],
                          .role = s->role[i],
                          .out_dtype = output_dtype(p, i),
                          .t = NAN};
    if (!rs_dtype_bytes(t->out_dtype, t->base->n_elements, &t->out_bytes))
        return rs_fail(err, RS_E_UNSUPPORTED, "%s has too many elements", t->name);
    const rs_src_model *leaf = rs_node_leaf(p, p->root, from);
    if (leaf && !leaf->tensor[from])
        return rs_fail(err, RS_E_MISMATCH, "model \"%s\" (%s) has no %s", leaf->name,
                       leaf->path, t->name);
    t->changes = !rs_same_model(leaf, &s->models[s->base]);
    fill_fuel(p, from, t);
    if (p->heal_stage)
        t->t = rs_node_t(p, p->stage_nodes[p->heal_stage - p->recipe->stages], from);
    p->fingerprint[i] =
        rs_mix(rs_node_hash(p, p->root, from), (uint64_t)t->out_dtype + 1);
    p->needs.out_bytes += t->out_bytes;
    p->needs.n_tensors++;
    p->needs.n_changed += t->changes;
    return RS_OK;
}

static uint64_t pair_bytes(const rs_plan *p, int i, uint64_t *factors)
{
    uint64_t sum = 0;
    for (int m = 0; m < p->sources->n_models; m++) {
        const rs_src_adapter *a = &p->sources->adapters[m];
        if (!a->adapter || !a->pair[i]) continue;
        sum += a->pair[i]->a->n_bytes + a->pair[i]->b->n_bytes;
        *factors += 4 * (uint64_t)(a->pair[i]->a->n_elements + a->pair[i]->b->n_elements);
    }
    return sum;
}

static void fill_needs(const rs_runtime *rt, rs_plan *p)
{
    rs_plan_needs *n = &p->needs;
    const rs_sources *s = p->sources;
    uint64_t most = 0;
    n->n_copied = n->n_tensors - n->n_changed;
    for (int i = 0; i < s->n_tensors; i++) {
        uint64_t factors = 0;
        n->read_bytes += s->base_tensor[i]->n_bytes + pair_bytes(p, i, &factors);
        for (int m = 0; m < s->n_models && p->tensors[i].changes; m++)
            if (m != s->base && s->models[m].file && s->models[m].tensor[i])
                n->read_bytes += s->models[m].tensor[i]->n_bytes;
        for (int f = 0; f < s->n_measures && p->tensors[i].has_delta; f++)
            if (s->fishers[f].file && s->fishers[f].tensor[i])
                n->read_bytes += s->fishers[f].tensor[i]->n_bytes;
        if (factors > most) most = factors;
    }
    n->disk_bytes = n->out_bytes + n->out_bytes / 1000 + (1u << 20);
    uint64_t threads = (uint64_t)(rt->threads > 0 ? rt->threads : 1);
    n->memory_bytes =
        threads * (most + 10 * RS_TILE * sizeof(float) + (8u << 20)) + (16u << 20);
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

static const char *fisher_use(const rs_plan *p, const char *name)
{
    for (int i = 0; i < p->recipe->n_stages; i++) {
        const rs_dampen_spec *d = &p->recipe->stages[i].dampen;
        if (d->kind == RS_DAMPEN_NONE) continue;
        if (d->by && strcmp(d->by, name) == 0) return "dampen";
        if (d->task && strcmp(d->task, name) == 0) return "task";
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

/* layer_scalar and inert tensors come from the first input: say so where others differ. */
static rs_status warn_scalars(rs_sources *s, rs_err *err)
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

/* --- building --- */

static rs_status find_stages(rs_plan *p, const rs_stage *root)
{
    rs_stage *heal = NULL;
    p->out_stage = root;
    p->fuel_stage =
        rs_recipe_fuel_of(p->recipe, rs_recipe_stage(p->recipe, root->name), &heal);
    p->heal_stage = heal;
    return RS_OK;
}

static rs_status build_nodes(rs_plan *p, rs_err *err)
{
    const rs_recipe *r = p->recipe;
    p->stage_nodes =
        rs_arena_array(&p->arena, (size_t)r->n_stages + 1, sizeof *p->stage_nodes);
    if (!p->stage_nodes) return no_memory(err);
    p->n_stages = r->n_stages;
    RS_TRY(node_of(p, p->out_stage->name, &p->root, err));
    if (p->fuel_stage) p->fuel = p->stage_nodes[p->fuel_stage - r->stages];
    if (p->heal_stage) {
        const rs_node *heal = p->stage_nodes[p->heal_stage - r->stages];
        p->other = heal->side[heal->side[1] == p->fuel ? 0 : 1];
    }
    p->damage_fisher = p->fuel ? p->fuel->fisher : -1;
    for (int i = 0; i < p->sources->n_measures && p->damage_fisher < 0; i++)
        if (p->sources->fishers[i].file) p->damage_fisher = i;
    return RS_OK;
}

static rs_status make_cache(rs_plan *p, rs_err *err)
{
    size_t n = (size_t)p->n_slerps * (size_t)p->sources->n_tensors;
    p->cache = calloc(1, sizeof *p->cache);
    if (!p->cache) return no_memory(err);
    pthread_mutex_init(&p->cache->prepare, NULL);
    p->cache->angles = calloc(n + 1, sizeof *p->cache->angles);
    return p->cache->angles ? RS_OK : no_memory(err);
}

static rs_status build(const rs_runtime *rt, rs_plan *p, const rs_stage *root,
                       rs_err *err)
{
    size_t n = (size_t)p->sources->n_tensors + 1;
    RS_TRY(find_stages(p, root));
    RS_TRY(build_nodes(p, err));
    RS_TRY(make_cache(p, err));
    p->tensors = rs_arena_array(&p->arena, n, sizeof *p->tensors);
    p->fingerprint = rs_arena_array(&p->arena, n, sizeof *p->fingerprint);
    if (!p->tensors || !p->fingerprint) return no_memory(err);
    for (int i = 0; i < p->sources->n_tensors; i++)
        RS_TRY(fill_tensor(p, i, err));
    fill_needs(rt, p);
    RS_TRY(list_sources(p, err));
    for (int i = 0; i < p->sources->warnings.n; i++)
        if (!warn(p, "%s", p->sources->warnings.at[i])) return no_memory(err);
    if (!warn_fisher(p) || !warn_heal(p)) return no_memory(err);
    return RS_OK;
}

static rs_status root_stage(const rs_recipe *r, const rs_plan_options *o,
                            const rs_stage **out, rs_err *err)
{
    const char *name = o && o->stage ? o->stage : r->output_stage;
    *out = rs_recipe_stage(r, name);
    if (*out) return RS_OK;
    return rs_fail(err, RS_E_NOT_FOUND, "the recipe \"%s\" has no stage \"%s\"", r->name,
                   name);
}

/* Takes the sources. */
static rs_status new_plan(const rs_runtime *rt, const rs_recipe *r, const rs_stage *root,
                          rs_sources *s, rs_plan **out, rs_err *err)
{
    rs_plan *p = calloc(1, sizeof *p);
    if (!p) return rs_sources_drop(s), no_memory(err);
    p->sources = s;
    p->recipe = r;
    rs_status status = build(rt, p, root, err);
    if (status == RS_OK)
        *out = p;
    else
        rs_plan_free(p);
    return status;
}

rs_status rs_plan_build(const rs_runtime *rt, const rs_recipe *r,
                        const rs_plan_options *o, rs_plan **out, rs_err *err)
{
    const rs_stage *root;
    rs_sources *s;
    *out = NULL;
    RS_TRY(root_stage(r, o, &root, err));
    RS_TRY(refuse_later(r, root, err));
    RS_TRY(rs_sources_open(r, root, o, &s, err));
    rs_status status = warn_scalars(s, err);
    if (status != RS_OK) return rs_sources_drop(s), status;
    return new_plan(rt, r, root, s, out, err);
}

static void drop_angles(rs_angles *a)
{
    if (a && atomic_fetch_sub(&a->refs, 1) == 1) free(a);
}

/* Angles of the old plan whose sides are the same in the new one. */
static void inherit_angles(const rs_plan *from, rs_plan *to)
{
    int n = to->sources->n_tensors;
    for (int k = 0; k < to->n_stages && from->n_slerps == to->n_slerps; k++) {
        const rs_node *nd = to->stage_nodes[k];
        for (int i = 0; i < n && nd && nd->type == RS_NODE_SLERP; i++) {
            size_t at = (size_t)nd->i_slerp * (size_t)n + (size_t)i;
            rs_angles *a = atomic_load(&from->cache->angles[at]);
            if (!a || a->key != rs_angle_key(to, nd, i)) continue;
            atomic_fetch_add(&a->refs, 1);
            atomic_store(&to->cache->angles[at], a);
        }
    }
}

rs_status rs_plan_rebuild(const rs_runtime *rt, const rs_plan *p, const rs_recipe *next,
                          const rs_plan_options *o, rs_plan **out, rs_err *err)
{
    const rs_stage *root;
    *out = NULL;
    RS_TRY(root_stage(next, o, &root, err));
    RS_TRY(refuse_later(next, root, err));
    char *key = rs_sources_key(next, root);
    bool same = key && strcmp(key, p->sources->key) == 0;
    free(key);
    if (!same) return rs_plan_build(rt, next, o, out, err);
    atomic_fetch_add(&p->sources->refs, 1);
    RS_TRY(new_plan(rt, next, root, p->sources, out, err));
    inherit_angles(p, *out);
    return RS_OK;
}

void rs_plan_free(rs_plan *p)
{
    if (!p) return;
    for (int i = 0; p->stage_nodes && i < p->n_stages; i++) {
        if (!p->stage_nodes[i]) continue;
        rs_factors_free(p->stage_nodes[i]->factors);
        rs_t_table_free(p->stage_nodes[i]->t);
    }
    if (p->cache) {
        size_t n = (size_t)p->n_slerps * (size_t)p->sources->n_tensors;
        for (size_t i = 0; p->cache->angles && i < n; i++)
            drop_angles(atomic_load(&p->cache->angles[i]));
        free(p->cache->angles);
        pthread_mutex_destroy(&p->cache->prepare);
        free(p->cache);
    }
    rs_sources_drop(p->sources);
    rs_arena_free(&p->arena);
    free(p);
}

/* --- asking --- */

const rs_recipe *rs_plan_recipe(const rs_plan *p)
{
    return p->recipe;
}
const rs_config *rs_plan_config(const rs_plan *p)
{
    return p->sources->config;
}
const char *rs_plan_base_path(const rs_plan *p)
{
    return p->sources->models[p->sources->base].path;
}
int rs_plan_count(const rs_plan *p)
{
    return p->sources->n_tensors;
}
const rs_plan_tensor *rs_plan_at(const rs_plan *p, int i)
{
    return &p->tensors[i];
}
int rs_plan_n_sources(const rs_plan *p)
{
    return p->n_list;
}
const rs_plan_source *rs_plan_source_at(const rs_plan *p, int i)
{
    return &p->list[i];
}
int rs_plan_n_warnings(const rs_plan *p)
{
    return p->warnings.n;
}
const char *rs_plan_warning(const rs_plan *p, int i)
{
    return p->warnings.at[i];
}
rs_plan_needs rs_plan_need(const rs_plan *p)
{
    return p->needs;
}
uint64_t rs_plan_fingerprint(const rs_plan *p, int i)
{
    return p->fingerprint[i];
}
