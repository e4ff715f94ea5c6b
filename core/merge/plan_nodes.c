/* The graph of a plan: a node for every model and stage that the output needs. */
#include "merge/plan_internal.h"

#include "merge/recipe_internal.h"

#include <math.h>

enum { MAX_GRAPH = 4096 };

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory for a plan");
}

static rs_node *new_node(rs_plan *p, rs_node_type type, const char *name)
{
    rs_node *nd = rs_arena_alloc(&p->arena, sizeof *nd);
    if (!nd) return NULL;
    nd->type = type;
    nd->name = name;
    nd->size = 1;
    nd->fisher = nd->task_fisher = nd->subspace = nd->i_slerp = -1;
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
    if (!s->normalize || s->n_inputs == 0) return RS_OK;
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
    RS_TRY(rs_plan_node(p, in->from, &t->node, err));
    return grow(nd, t->node, err);
}

/* The sides that the mask needs must be there. */
static rs_status mask_of(rs_plan *p, rs_node *nd, rs_err *err)
{
    const rs_mask_spec *m = &nd->stage->mask;
    if (!m->by) return RS_OK;
    nd->subspace = rs_measure_index(p->recipe, m->by);
    const rs_src_subspace *f = &p->sources->subspaces[nd->subspace];
    for (int i = 0; i < p->sources->n_tensors; i++) {
        const rs_subspace_entry *e = f->entry[i];
        bool no_u = e && !e->u && m->side != RS_MASK_IN;
        if (!no_u && !(e && !e->v && m->side != RS_MASK_OUT)) continue;
        return rs_fail(err, RS_E_MISMATCH,
                       "stage \"%s\": a mask of side \"%s\" needs %s.%c, and subspace "
                       "\"%s\" (%.200s) has none",
                       nd->name, rs_mask_side_name(m->side), e->module, no_u ? 'U' : 'V',
                       f->name, f->path);
    }
    return RS_OK;
}

static rs_status task_node(rs_plan *p, const rs_stage *s, rs_node **out, rs_err *err)
{
    double divisor;
    rs_node *nd = *out = new_node(p, RS_NODE_TASK, s->name);
    if (!nd) return no_memory(err);
    nd->stage = s;
    RS_TRY(divisor_of(s, &divisor, err));
    RS_TRY(rs_plan_node(p, s->base, &nd->base, err));
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
    RS_TRY(mask_of(p, nd, err));
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
        RS_TRY(rs_plan_node(p, s->inputs[i].from, &nd->side[i], err));
        RS_TRY(grow(nd, nd->side[i], err));
    }
    if (s->space_delta) {
        RS_TRY(rs_plan_node(p, s->base, &nd->base, err));
        RS_TRY(grow(nd, nd->base, err));
    }
    nd->i_slerp = p->n_slerps++;
    if (rs_t_table_from(&s->t, p->sources->config, &nd->t, err) != RS_OK)
        return rs_err_prefix(err, "stage \"%s\"", s->name);
    return RS_OK;
}

rs_status rs_plan_node(rs_plan *p, const char *name, const rs_node **out, rs_err *err)
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
