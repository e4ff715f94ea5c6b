/* What the nodes of a plan say about one tensor without reading it: where it comes from,
 * whether it changes, its gain and t, and a hash of all that decides its bytes. */
#include "merge/plan_internal.h"

#include <math.h>

bool rs_node_takes_first(const rs_plan *p, int i)
{
    const rs_role *role = &p->sources->role[i];
    return role->inert || role->kind == RS_KIND_TOWER ||
           role->kind == RS_KIND_LAYER_SCALAR ||
           !rs_dtype_is_computed(p->sources->base_tensor[i]->dtype);
}

/* What a task_arithmetic stage leaves as its base has it. */
static bool keeps_base(const rs_plan *p, int i)
{
    return rs_node_takes_first(p, i);
}

double rs_node_gain(const rs_plan *p, const rs_node *nd, int i)
{
    const rs_role *role = &p->sources->role[i];
    return rs_factors_gain(nd->factors, role->layer, role->kind);
}

double rs_node_t(const rs_plan *p, const rs_node *nd, int i)
{
    const rs_role *role = &p->sources->role[i];
    return rs_t_value(nd->t, role->layer, role->kind);
}

double rs_node_strength(const rs_plan *p, const rs_node *nd, int i)
{
    const rs_mask_spec *m = &nd->stage->mask;
    int layer = p->sources->role[i].layer;
    if (nd->subspace < 0 || !p->sources->subspaces[nd->subspace].entry[i]) return 0;
    if (!m->per_layer) return m->strength;
    return layer >= 0 && nd->layer_fisher ? m->strength * nd->layer_fisher[layer] : 0;
}

bool rs_node_turns(const rs_plan *p, const rs_node *nd, int i)
{
    return nd->stage->vectors_slerp || p->sources->base_tensor[i]->n_dims >= 2;
}

/* base: the leaf of the stage's base, found once for all terms. */
static bool term_counts(const rs_plan *p, const rs_src_model *base, const rs_term *term,
                        int i)
{
    if (term->adapter) return term->adapter->pair[i] != NULL;
    const rs_src_model *a = rs_node_leaf(p, term->node, i);
    return !(a && rs_same_model(a, base));
}

bool rs_node_has_delta(const rs_plan *p, const rs_node *nd, int i)
{
    if (keeps_base(p, i)) return false;
    const rs_src_model *base = rs_node_leaf(p, nd->base, i);
    for (int k = 0; k < nd->n_terms; k++)
        if (term_counts(p, base, &nd->terms[k], i)) return true;
    return false;
}

static bool is_changed(const rs_plan *p, const rs_node *nd, const rs_src_model *base,
                       int i)
{
    if (keeps_base(p, i) || rs_node_gain(p, nd, i) == 0) return false;
    for (int k = 0; k < nd->n_terms; k++)
        if (nd->terms[k].weight != 0 && term_counts(p, base, &nd->terms[k], i))
            return true;
    return false;
}

const rs_src_model *rs_node_leaf(const rs_plan *p, const rs_node *nd, int i)
{
    const rs_src_model *a, *b;
    switch (nd->type) {
    case RS_NODE_MODEL:
        return nd->model;
    case RS_NODE_FOLDED:
        return nd->adapter->pair[i] ? NULL : nd->model;
    case RS_NODE_TASK:
        a = rs_node_leaf(p, nd->base, i);
        return is_changed(p, nd, a, i) ? NULL : a;
    case RS_NODE_SLERP: {
        double t = rs_node_t(p, nd, i);
        a = rs_node_leaf(p, nd->side[0], i);
        if (rs_node_takes_first(p, i) || t == 0) return a;
        b = rs_node_leaf(p, nd->side[1], i);
        return t == 1 ? b : a && rs_same_model(a, b) ? a : NULL;
    }
    }
    return NULL;
}

/* --- hashes --- */

static uint64_t hash_leaf(const rs_src_model *m, int i)
{
    const rs_tensor *t = m->tensor[i];
    uint64_t h = rs_mix(m->id, t ? t->offset : UINT64_MAX);
    return rs_mix(h, t ? (uint64_t)t->i_file : 0);
}

static uint64_t hash_pair(const rs_src_adapter *a, int i)
{
    const rs_adapter_pair *pair = a->pair[i];
    return pair ? rs_mix(a->id, pair->a->offset + 1) : rs_mix(a->id, 0);
}

uint64_t rs_node_targets(const rs_plan *p, const rs_node *nd)
{
    uint64_t h = 0;
    for (int i = 0; i < p->sources->n_tensors; i++)
        if (rs_node_has_delta(p, nd, i)) h = rs_mix(h, (uint64_t)i);
    return h;
}

bool rs_plan_has_masks(const rs_plan *p)
{
    for (int k = 0; k < p->n_stages; k++)
        if (p->stage_nodes[k] && p->stage_nodes[k]->subspace >= 0) return true;
    return false;
}

static uint64_t hash_dampening(const rs_plan *p, const rs_node *nd, int i)
{
    const rs_dampen_spec *d = &nd->stage->dampen;
    const rs_sources *s = p->sources;
    if (d->kind == RS_DAMPEN_NONE || !s->fishers[nd->fisher].tensor[i])
        return d->clamp ? 1 : 0;
    uint64_t h = rs_mix(s->fishers[nd->fisher].id, (uint64_t)d->kind << 8 | d->clamp);
    if (d->kind == RS_DAMPEN_TASK)
        return rs_mix_double(rs_mix(h, s->fishers[nd->task_fisher].id), d->lambda);
    h = rs_mix(h, (uint64_t)d->normaliser << 16 | (uint64_t)d->over << 8 | d->per_tensor);
    if (d->over == RS_OVER_TARGETS) h = rs_mix(h, nd->targets);
    if (d->kind == RS_DAMPEN_EWC) return rs_mix_double(h, d->lambda);
    if (d->kind == RS_DAMPEN_HARD) return rs_mix_double(h, d->q);
    return rs_mix_double(rs_mix_double(h, d->parameter), d->layer);
}

static uint64_t hash_mask(const rs_plan *p, const rs_node *nd, int i)
{
    const rs_mask_spec *m = &nd->stage->mask;
    const rs_dampen_spec *d = &nd->stage->dampen;
    const rs_sources *s = p->sources;
    if (nd->subspace < 0 || m->strength == 0) return 0;
    if (!s->subspaces[nd->subspace].entry[i]) return 0;
    uint64_t h = rs_mix(s->subspaces[nd->subspace].id,
                        (uint64_t)m->side << 2 | (uint64_t)m->last << 1 | m->per_layer);
    h = rs_mix_double(h, m->strength);
    if (!m->per_layer) return h;
    h = rs_mix(rs_mix(h, s->fishers[nd->fisher].id), (uint64_t)d->over);
    return d->over == RS_OVER_TARGETS ? rs_mix(h, nd->targets) : h;
}

/* with_numbers: also gain and t of this node (those below always count). */
static uint64_t hash_node(const rs_plan *p, const rs_node *nd, int i, bool with_numbers);

static uint64_t hash_terms(const rs_plan *p, const rs_node *nd, int i)
{
    uint64_t h = rs_mix(hash_node(p, nd->base, i, true), 2);
    const rs_src_model *base = rs_node_leaf(p, nd->base, i);
    for (int k = 0; k < nd->n_terms; k++) {
        const rs_term *t = &nd->terms[k];
        if (t->weight == 0 || !term_counts(p, base, t, i)) continue;
        h = rs_mix(h, t->adapter ? hash_pair(t->adapter, i)
                                 : hash_node(p, t->node, i, true));
        h = rs_mix_double(h, t->weight);
    }
    uint64_t mask = hash_mask(p, nd, i);
    h = rs_mix(h, hash_dampening(p, nd, i));
    return mask ? rs_mix(h, mask) : h;
}

static uint64_t hash_slerp(const rs_plan *p, const rs_node *nd, int i, bool with_numbers)
{
    const rs_stage *s = nd->stage;
    uint64_t options = (uint64_t)s->space_delta | (uint64_t)s->norm_lerp << 1 |
                       (uint64_t)s->rowwise << 2 | (uint64_t)rs_node_turns(p, nd, i) << 3;
    uint64_t h = rs_mix(3, options);
    h = rs_mix(h, hash_node(p, nd->side[0], i, true));
    h = rs_mix(h, hash_node(p, nd->side[1], i, true));
    if (s->space_delta) h = rs_mix(h, hash_node(p, nd->base, i, true));
    h = rs_mix_double(h, s->flat_below);
    return with_numbers ? rs_mix_double(h, rs_node_t(p, nd, i)) : h;
}

static uint64_t hash_node(const rs_plan *p, const rs_node *nd, int i, bool with_numbers)
{
    const rs_src_model *leaf = rs_node_leaf(p, nd, i);
    if (leaf && with_numbers) return hash_leaf(leaf, i);
    switch (nd->type) {
    case RS_NODE_MODEL:
        return hash_leaf(nd->model, i);
    case RS_NODE_FOLDED:
        return rs_mix(hash_leaf(nd->model, i), hash_pair(nd->adapter, i));
    case RS_NODE_TASK: {
        if (!rs_node_has_delta(p, nd, i)) return hash_node(p, nd->base, i, true);
        uint64_t h = hash_terms(p, nd, i);
        return with_numbers ? rs_mix_double(h, rs_node_gain(p, nd, i)) : h;
    }
    case RS_NODE_SLERP:
        return hash_slerp(p, nd, i, with_numbers);
    }
    return 0;
}

uint64_t rs_node_hash(const rs_plan *p, const rs_node *nd, int i)
{
    return hash_node(p, nd, i, true);
}

uint64_t rs_node_shape_hash(const rs_plan *p, const rs_node *nd, int i)
{
    return hash_node(p, nd, i, false);
}

/* What is taken out grows with the gain, as the rest does, but where the gain is cut first. */
uint64_t rs_mask_key(const rs_plan *p, const rs_node *nd, int i)
{
    uint64_t h = rs_mix(rs_node_shape_hash(p, nd, i), (uint64_t)i);
    bool cut = nd->stage->mask.last && nd->stage->dampen.clamp;
    return cut ? rs_mix_double(h, rs_node_gain(p, nd, i)) : h;
}
