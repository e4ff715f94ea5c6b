/* What has to be known before a tensor can be made: the statistics of the Fishers, once a
 * plan (the first thread computes), and the angles of its slerps and what its masks take out,
 * once a tensor (all that ask take part). */
#include "merge/eval.h"
#include "merge/memory.h"

#include <stdlib.h>

/* --- Fisher statistics --- */

static rs_dampener dampener_of(const rs_plan *p, const rs_node *nd, const rs_view *v,
                               double cut, int i)
{
    const rs_dampen_spec *d = &nd->stage->dampen;
    const rs_role *role = &p->sources->role[i];
    const rs_sources *s = p->sources;
    rs_dampener r = {
        .kind = d->kind, .lambda = (float)d->lambda, .a = (float)d->parameter, .keep = 1};
    if (!s->fishers[nd->fisher].tensor[i]) return (rs_dampener){.kind = RS_DAMPEN_NONE};
    if (d->kind == RS_DAMPEN_TASK && !s->fishers[nd->task_fisher].tensor[i])
        return (rs_dampener){.kind = RS_DAMPEN_NONE};
    if (!v) return r;
    r.norm = v->norm_of[i];
    if (d->kind == RS_DAMPEN_HARD) r.cut = rs_norm_inverse(r.norm, cut);
    if (role->layer >= 0) r.keep = (float)(1 - d->layer * v->layer_fisher[role->layer]);
    return r;
}

static rs_status get_view(const rs_pass *pass, const rs_plan *p, const rs_node *nd,
                          const rs_dampen_spec *d, rs_view **v, rs_err *err)
{
    int n = p->sources->n_tensors;
    bool *targets = calloc((size_t)n + 1, sizeof *targets);
    if (!targets) return rs_fail(err, RS_E_NOMEM, "no memory for a plan");
    for (int i = 0; i < n; i++)
        targets[i] = rs_node_has_delta(p, nd, i);
    rs_status s = rs_view_get(pass, p->sources, nd->fisher, d, targets, v, err);
    free(targets);
    if (s == RS_OK) p->cache->views[p->cache->n_views++] = *v;
    return s;
}

/* The layers' Fisher does not depend on a normaliser: what dampening has will do. */
static rs_status prepare_mask(const rs_pass *pass, const rs_plan *p, rs_node *nd,
                              rs_err *err)
{
    rs_view *v;
    rs_dampen_spec d = nd->stage->dampen;
    if (nd->subspace < 0 || !nd->stage->mask.per_layer) return RS_OK;
    if (d.kind == RS_DAMPEN_NONE || d.kind == RS_DAMPEN_TASK) {
        d.normaliser = RS_NORM_NONE;
        d.per_tensor = false;
    }
    RS_TRY(get_view(pass, p, nd, &d, &v, err));
    nd->layer_fisher = v->layer_fisher;
    return RS_OK;
}

static rs_status prepare_node(const rs_pass *pass, const rs_plan *p, rs_node *nd,
                              rs_err *err)
{
    const rs_dampen_spec *d = &nd->stage->dampen;
    rs_view *v = NULL;
    double cut = 0;
    int n = p->sources->n_tensors;
    RS_TRY(prepare_mask(pass, p, nd, err));
    if (d->kind == RS_DAMPEN_NONE) return RS_OK;
    if (d->kind != RS_DAMPEN_TASK) RS_TRY(get_view(pass, p, nd, d, &v, err));
    if (d->kind == RS_DAMPEN_HARD)
        RS_TRY(rs_view_cut(pass, p->sources, v, d->q, &cut, err));
    for (int i = 0; i < n; i++)
        if (rs_node_has_delta(p, nd, i)) nd->dampeners[i] = dampener_of(p, nd, v, cut, i);
    return RS_OK;
}

/* After preparing: what was inherited, or, where that failed, what was got. */
static void drop_views(const rs_plan *p, bool inherited)
{
    struct rs_plan_cache *c = p->cache;
    int first = inherited ? 0 : c->n_inherited;
    int end = inherited ? c->n_inherited : c->n_views;
    for (int i = first; i < end; i++)
        rs_view_drop(p->sources, c->views[i]);
    for (int i = end; i < c->n_views; i++)
        c->views[first + i - end] = c->views[i];
    c->n_views -= end - first;
    if (inherited) c->n_inherited = 0;
}

static rs_status prepare(const rs_runtime *rt, rs_pass *pass, const rs_plan *p,
                         rs_err *err)
{
    if (atomic_load(&p->cache->prepared)) return RS_OK;
    pthread_mutex_lock(&p->cache->prepare);
    rs_status s = rs_memory_pass(rt, p, &pass->workers, err);
    if (s == RS_OK && !atomic_load(&p->cache->prepared)) {
        for (int i = 0; i < p->n_stages && s == RS_OK; i++) {
            rs_node *nd = p->stage_nodes[i];
            if (nd && nd->type == RS_NODE_TASK) s = prepare_node(pass, p, nd, err);
        }
        drop_views(p, s == RS_OK);
        if (s == RS_OK) atomic_store(&p->cache->prepared, true);
    }
    pthread_mutex_unlock(&p->cache->prepare);
    return s;
}

rs_status rs_plan_prepare(const rs_runtime *rt, const rs_plan *p, rs_progress_fn progress,
                          void *ctx, rs_err *err)
{
    rs_pass pass = {rt->kernels->merge, rt->pool, progress, ctx, "Fisher", 0};
    return prepare(rt, &pass, p, err);
}

/* --- angles and masks --- */

static rs_status ready_node(const rs_eval *e, const rs_node *nd);

static rs_status ready_slerp(const rs_eval *e, const rs_node *nd)
{
    for (int k = 0; k < 2; k++)
        RS_TRY(ready_node(e, nd->side[k]));
    if (nd->base) RS_TRY(ready_node(e, nd->base));
    if (rs_node_takes_first(e->p, e->i) || rs_node_leaf(e->p, nd, e->i) ||
        !rs_node_turns(e->p, nd, e->i))
        return RS_OK;
    return rs_angles_ready(e, nd);
}

static rs_status ready_node(const rs_eval *e, const rs_node *nd)
{
    if (nd->type == RS_NODE_SLERP) return ready_slerp(e, nd);
    if (nd->type != RS_NODE_TASK) return RS_OK;
    RS_TRY(ready_node(e, nd->base));
    for (int k = 0; k < nd->n_terms; k++)
        if (nd->terms[k].node) RS_TRY(ready_node(e, nd->terms[k].node));
    if (rs_node_leaf(e->p, nd, e->i) || rs_node_gain(e->p, nd, e->i) == 0)
        return RS_OK; /* the change is not looked at, so neither is its mask */
    return rs_mask_ready(e, nd);
}

rs_status rs_plan_ready(const rs_runtime *rt, const rs_plan *p, rs_workspace *ws, int i,
                        rs_err *err)
{
    rs_pass pass = {.k = rt->kernels->merge, .what = "Fisher"};
    RS_TRY(prepare(rt, &pass, p, err));
    rs_eval e = rs_eval_at(rt, p, ws, i, 0, 0, err);
    return ready_node(&e, p->root);
}

/* Every thread asks for the same angles and masks, so all take part in making them. */
static bool ready_worker(void *ctx, int64_t chunk, int worker)
{
    rs_team *t = ctx;
    (void)chunk;
    t->status[worker] =
        rs_plan_ready(t->rt, t->p, t->ws[worker], t->i, &t->errors[worker]);
    return t->status[worker] == RS_OK;
}

rs_status rs_team_ready(rs_team *t, rs_err *err)
{
    RS_TRY(rs_plan_prepare(t->rt, t->p, NULL, NULL, err));
    rs_pool *pool = t->threads > 1 ? t->rt->pool : NULL;
    bool nothing = t->p->n_slerps == 0 && !rs_plan_has_masks(t->p);
    if (nothing || rs_pool_run(pool, t->threads, ready_worker, t))
        return RS_OK;
    return rs_team_error(t, err);
}
