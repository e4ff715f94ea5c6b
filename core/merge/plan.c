#include "merge/plan_internal.h"

#include "merge/recipe_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory for a plan");
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
                       "model \"%s\" uses a combination of adapters, which this version "
                       "does not do yet",
                       e->name);
    const rs_stage *s = rs_recipe_stage(r, name);
    return s ? refuse_stage(r, s, seen, err) : RS_OK;
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
                          .out_dtype = output_dtype(p, from),
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

static uint64_t pair_bytes(const rs_plan *p, int i)
{
    uint64_t sum = 0;
    for (int m = 0; m < p->sources->n_models; m++) {
        const rs_src_adapter *a = &p->sources->adapters[m];
        if (a->adapter && a->pair[i])
            sum += a->pair[i]->a->n_bytes + a->pair[i]->b->n_bytes;
    }
    return sum;
}

static uint64_t measure_bytes(const rs_sources *s, int f, int i)
{
    uint64_t sum = 0;
    if (s->fishers[f].file && s->fishers[f].tensor[i])
        sum += s->fishers[f].tensor[i]->n_bytes;
    const rs_subspace_entry *e =
        s->subspaces[f].file ? s->subspaces[f].entry[i] : NULL;
    if (e && e->u) sum += e->u->n_bytes;
    if (e && e->v) sum += e->v->n_bytes;
    return sum;
}

static void fill_needs(rs_plan *p)
{
    rs_plan_needs *n = &p->needs;
    const rs_sources *s = p->sources;
    n->n_copied = n->n_tensors - n->n_changed;
    for (int i = 0; i < s->n_tensors; i++) {
        n->read_bytes += s->base_tensor[i]->n_bytes + pair_bytes(p, i);
        for (int m = 0; m < s->n_models && p->tensors[i].changes; m++)
            if (m != s->base && s->models[m].file && s->models[m].tensor[i])
                n->read_bytes += s->models[m].tensor[i]->n_bytes;
        for (int f = 0; f < s->n_measures && p->tensors[i].has_delta; f++)
            n->read_bytes += measure_bytes(s, f, i);
    }
    n->disk_bytes = n->out_bytes + n->out_bytes / 1000 + (1u << 20);
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
    RS_TRY(rs_plan_node(p, p->out_stage->name, &p->root, err));
    for (int i = 0; i < p->n_stages; i++) {
        rs_node *nd = p->stage_nodes[i];
        if (nd && nd->type == RS_NODE_TASK) nd->targets = rs_node_targets(p, nd);
    }
    if (p->fuel_stage) p->fuel = p->stage_nodes[p->fuel_stage - r->stages];
    if (p->heal_stage) {
        const rs_node *heal = p->stage_nodes[p->heal_stage - r->stages];
        p->other = heal->side[heal->side[1] == p->fuel ? 0 : 1];
    }
    p->damage_fisher = p->fuel ? p->fuel->fisher : -1;
    if (p->damage_fisher >= 0 && !p->sources->fishers[p->damage_fisher].file)
        p->damage_fisher = -1;
    p->leak_subspace = p->fuel ? p->fuel->subspace : -1;
    for (int i = 0; i < p->sources->n_measures && p->damage_fisher < 0; i++)
        if (p->sources->fishers[i].file) p->damage_fisher = i;
    for (int i = 0; i < p->sources->n_measures && p->leak_subspace < 0; i++)
        if (p->sources->subspaces[i].file) p->leak_subspace = i;
    return RS_OK;
}

static rs_status make_cache(rs_plan *p, rs_err *err)
{
    size_t n = (size_t)p->n_slerps * (size_t)p->sources->n_tensors;
    p->cache = calloc(1, sizeof *p->cache);
    if (!p->cache) return no_memory(err);
    pthread_mutex_init(&p->cache->prepare, NULL);
    pthread_mutex_init(&p->cache->angle_mutex, NULL);
    pthread_cond_init(&p->cache->made, NULL);
    p->cache->angles = calloc(n + 1, sizeof *p->cache->angles);
    p->cache->views = calloc(4 * (size_t)p->n_stages + 1, sizeof *p->cache->views);
    return p->cache->angles && p->cache->views ? RS_OK : no_memory(err);
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
    fill_needs(p);
    return rs_plan_describe(rt, p, err);
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
    rs_status status = rs_plan_warn_scalars(s, err);
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

/* Is every Fisher open that a stage of `next`, which names the same sources, works with? One
 * that only measured may be missing. */
static bool have_fishers(const rs_plan *p, const rs_recipe *next)
{
    const rs_src_fisher *f = p->sources->fishers;
    for (int i = 0; i < next->n_stages; i++) {
        const rs_dampen_spec *d = &next->stages[i].dampen;
        bool needed = d->kind != RS_DAMPEN_NONE || next->stages[i].mask.per_layer;
        if (!p->stage_nodes[i] || !needed) continue;
        if (d->by && !f[rs_measure_index(next, d->by)].file) return false;
        if (d->task && !f[rs_measure_index(next, d->task)].file) return false;
    }
    return true;
}

/* Until the new plan knows which it needs. */
static void inherit_views(const rs_plan *from, rs_plan *to)
{
    struct rs_plan_cache *a = from->cache, *b = to->cache;
    pthread_mutex_lock(&a->prepare);
    for (int i = 0; i < a->n_views; i++) {
        rs_view_keep(to->sources, a->views[i]);
        b->views[b->n_views++] = a->views[i];
    }
    pthread_mutex_unlock(&a->prepare);
    b->n_inherited = b->n_views;
}

rs_status rs_plan_rebuild(const rs_runtime *rt, const rs_plan *p, const rs_recipe *next,
                          const rs_plan_options *o, rs_plan **out, rs_err *err)
{
    const rs_stage *root;
    *out = NULL;
    RS_TRY(root_stage(next, o, &root, err));
    RS_TRY(refuse_later(next, root, err));
    char *key = rs_sources_key(next, root);
    bool same = key && strcmp(key, p->sources->key) == 0 && have_fishers(p, next);
    free(key);
    if (!same) return rs_plan_build(rt, next, o, out, err);
    atomic_fetch_add(&p->sources->refs, 1);
    RS_TRY(new_plan(rt, next, root, p->sources, out, err));
    inherit_angles(p, *out);
    inherit_views(p, *out);
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
        for (int i = 0; i < p->cache->n_views; i++)
            rs_view_drop(p->sources, p->cache->views[i]);
        free(p->cache->views);
        pthread_mutex_destroy(&p->cache->prepare);
        pthread_mutex_destroy(&p->cache->angle_mutex);
        pthread_cond_destroy(&p->cache->made);
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

const char *rs_plan_fisher_missing(const rs_plan *p)
{
    for (int i = 0; i < p->sources->n_measures && p->damage_fisher < 0; i++)
        if (p->sources->fishers[i].missing) return p->sources->fishers[i].missing;
    return NULL;
}

const char *rs_plan_leak_measure(const rs_plan *p)
{
    return p->leak_subspace < 0 ? NULL : p->sources->subspaces[p->leak_subspace].name;
}

rs_plan_needs rs_plan_need(const rs_plan *p)
{
    return p->needs;
}
uint64_t rs_plan_fingerprint(const rs_plan *p, int i)
{
    return p->fingerprint[i];
}
