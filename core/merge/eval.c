/* The numbers of a plan's nodes, in tiles that fit the cache (eval.h). */
#include "merge/eval.h"

#include "tensor/convert.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory to merge a tensor");
}

/* --- stored tensors --- */

/* The raw bytes of plain types lie at the end of dst, where widening from the front never
 * overtakes them: no buffer of its own. */
static rs_status read_model(const rs_eval *e, const rs_src_model *m, float *dst)
{
    const rs_tensor *t = m->tensor[e->i];
    if (!t)
        return rs_fail(e->err, RS_E_MISMATCH, "model \"%s\" (%s) has no %s", m->name,
                       m->path, e->p->sources->base_tensor[e->i]->name);
    if (t->dtype != RS_DTYPE_BF16 || t->shift != 0)
        return rs_checkpoint_read_f32(m->file, t, e->first, e->n, dst, e->err);
    float *raw = rs_workspace_grab(e->ws);
    if (!raw) return no_memory(e->err);
    rs_status s = rs_checkpoint_read_raw(m->file, t, (uint64_t)e->first * 2,
                                         (size_t)e->n * 2, raw, e->err);
    if (s == RS_OK)
        e->rt->kernels->convert->bf16_to_f32((const uint16_t *)raw, dst, e->n);
    rs_workspace_release(e->ws);
    return s;
}

/* --- adapters --- */

/* B A of the flat range: the end of a row, whole rows, the begin of a row. */
static rs_status low_rank(const rs_eval *e, const rs_src_adapter *ad, float *dst)
{
    const rs_held *f;
    RS_TRY(rs_workspace_factors(e, ad, &f));
    int rank = f->pair->rank;
    int64_t cols = rs_adapter_cols(ad->adapter, f->pair);
    int64_t row = e->first / cols, col = e->first % cols, left = e->n;
    while (left > 0) {
        int64_t rows = col == 0 && left >= cols ? left / cols : 1;
        int64_t n = cols - col < left ? cols - col : left;
        (f->exact ? e->k->lowrank_exact : e->k->lowrank)(
            f->a + col, cols, f->b + row * rank, rank, rank, dst, cols, rows, n);
        dst += rows * n;
        left -= rows * n;
        row += rows;
        col = 0;
    }
    return RS_OK;
}

/* --- nodes --- */

static rs_status eval_folded(const rs_eval *e, const rs_node *nd, float *dst)
{
    RS_TRY(read_model(e, nd->model, dst));
    if (!nd->adapter->pair[e->i]) return RS_OK;
    float *delta = rs_workspace_grab(e->ws);
    if (!delta) return no_memory(e->err);
    rs_status s = low_rank(e, nd->adapter, delta);
    if (s == RS_OK)
        e->k->add_scaled((float)nd->adapter->pair[e->i]->scale, delta, dst, e->n);
    rs_workspace_release(e->ws);
    return s;
}

/* One input's share of the delta into dst: the first term sets it, the others add. */
static rs_status add_term(const rs_eval *e, const rs_term *t, const float *base,
                          bool first, float *dst)
{
    double weight = t->weight;
    float *part = rs_workspace_grab(e->ws);
    if (!part) return no_memory(e->err);
    rs_status s;
    if (t->adapter) {
        weight *= t->adapter->pair[e->i]->scale;
        s = low_rank(e, t->adapter, part);
    } else {
        s = rs_eval_node(e, t->node, part);
        if (s == RS_OK) e->k->subtract(part, base, part, e->n);
    }
    if (s == RS_OK) {
        if (first)
            e->k->scale((float)weight, part, dst, e->n);
        else
            e->k->add_scaled((float)weight, part, dst, e->n);
    }
    rs_workspace_release(e->ws);
    return s;
}

bool rs_eval_term_is_zero(const rs_eval *e, const rs_node *nd, const rs_term *t)
{
    if (t->weight == 0) return true;
    if (t->adapter) return t->adapter->pair[e->i] == NULL;
    const rs_src_model *a = rs_node_leaf(e->p, t->node, e->i);
    return a && rs_same_model(a, rs_node_leaf(e->p, nd->base, e->i));
}

rs_status rs_eval_delta(const rs_eval *e, const rs_node *nd, const float *base,
                        float *dst)
{
    bool first = true;
    if (!rs_node_takes_first(e->p, e->i))
        for (int i = 0; i < nd->n_terms; i++) {
            if (rs_eval_term_is_zero(e, nd, &nd->terms[i])) continue;
            RS_TRY(add_term(e, &nd->terms[i], base, first, dst));
            first = false;
        }
    if (first) memset(dst, 0, (size_t)e->n * sizeof *dst);
    return RS_OK;
}

static rs_status bad_fisher(const rs_eval *e, const rs_src_fisher *f, const float *x)
{
    int64_t i = 0;
    while (i < e->n && isfinite(x[i]) && x[i] >= 0)
        i++;
    return rs_fail(e->err, RS_E_INVALID,
                   "Fisher \"%s\" (%.200s): %s, element %" PRId64
                   " is %g: it must be finite and not "
                   "negative",
                   f->name, f->path, f->tensor[e->i]->name, e->first + i, (double)x[i]);
}

static rs_status read_fisher(const rs_eval *e, int index, float *dst)
{
    const rs_src_fisher *f = &e->p->sources->fishers[index];
    const rs_tensor *t = f->tensor[e->i];
    RS_TRY(rs_checkpoint_read_f32(f->file, t, e->first, e->n, dst, e->err));
    if (e->k->not_finite(dst, e->n) || e->k->negative(dst, e->n))
        return bad_fisher(e, f, dst);
    return RS_OK;
}

rs_status rs_eval_dampening(const rs_eval *e, const rs_node *nd, float *dst, bool *flat)
{
    const rs_dampener *d = &nd->dampeners[e->i];
    *flat = d->kind == RS_DAMPEN_NONE;
    if (*flat) return RS_OK;
    RS_TRY(read_fisher(e, nd->fisher, dst));
    if (d->kind != RS_DAMPEN_TASK) return rs_dampen(d, e->k, dst, NULL, dst, e->n), RS_OK;
    float *h = rs_workspace_grab(e->ws);
    if (!h) return no_memory(e->err);
    rs_status s = read_fisher(e, nd->task_fisher, h);
    if (s == RS_OK) rs_dampen(d, e->k, dst, h, dst, e->n);
    rs_workspace_release(e->ws);
    return s;
}

/* Where the mask comes last and there is something for it to come after. */
static bool masks_late(const rs_eval *e, const rs_node *nd, bool flat)
{
    return !flat && nd->stage->mask.last && rs_node_strength(e->p, nd, e->i) > 0;
}

static float cut01(float v)
{
    v = v < 0 ? 0 : v;
    return v > 1 ? 1 : v;
}

bool rs_eval_damp_first(const rs_eval *e, const rs_node *nd, float *d, bool flat,
                        float *delta)
{
    float gain = (float)rs_node_gain(e->p, nd, e->i);
    bool clamp = nd->stage->dampen.clamp && gain != 0;
    if (!masks_late(e, nd, flat)) return false;
    for (int64_t i = 0; clamp && i < e->n; i++)
        d[i] = cut01(gain * d[i]);
    e->k->multiply(delta, d, delta, e->n);
    return true;
}

/* From the averaged, scaled delta to W0 + x, in y. */
static rs_status apply(const rs_eval *e, const rs_node *nd, float *d, bool flat,
                       float *delta, float *y)
{
    float gain = (float)rs_node_gain(e->p, nd, e->i);
    bool clamp = nd->stage->dampen.clamp;
    if (rs_eval_damp_first(e, nd, d, flat, delta)) {
        RS_TRY(rs_mask_apply(e, nd, delta));
        e->k->apply(y, clamp ? 1 : gain, NULL, false, delta, y, e->n);
        return RS_OK;
    }
    RS_TRY(rs_mask_apply(e, nd, delta));
    e->k->apply(y, gain, flat ? NULL : d, clamp, delta, y, e->n);
    return RS_OK;
}

static rs_status eval_task(const rs_eval *e, const rs_node *nd, float *dst)
{
    RS_TRY(rs_eval_node(e, nd->base, dst));
    if (rs_node_leaf(e->p, nd, e->i) || !rs_node_has_delta(e->p, nd, e->i) ||
        rs_node_gain(e->p, nd, e->i) == 0)
        return RS_OK;
    float *delta = rs_workspace_grab(e->ws);
    float *d = delta ? rs_workspace_grab(e->ws) : NULL;
    bool flat = true;
    rs_status s = d ? rs_eval_delta(e, nd, dst, delta) : no_memory(e->err);
    if (s == RS_OK) s = rs_eval_dampening(e, nd, d, &flat);
    if (s == RS_OK) s = apply(e, nd, d, flat, delta, dst);
    if (d) rs_workspace_release(e->ws);
    if (delta) rs_workspace_release(e->ws);
    return s;
}

static rs_angles *angles_of(const rs_eval *e, const rs_node *nd)
{
    size_t at = (size_t)nd->i_slerp * (size_t)e->p->sources->n_tensors + (size_t)e->i;
    return atomic_load(&e->p->cache->angles[at]);
}

/* The two sides, in delta space less the base (whose values go to base). */
rs_status rs_eval_sides(const rs_eval *e, const rs_node *nd, float *a, float *b,
                        float *base)
{
    RS_TRY(rs_eval_node(e, nd->side[0], a));
    RS_TRY(rs_eval_node(e, nd->side[1], b));
    if (!base) return RS_OK;
    RS_TRY(rs_eval_node(e, nd->base, base));
    e->k->subtract(a, base, a, e->n);
    e->k->subtract(b, base, b, e->n);
    return RS_OK;
}

int64_t rs_eval_row_length(const rs_eval *e)
{
    const rs_tensor *t = e->p->sources->base_tensor[e->i];
    return t->n_dims >= 2 && t->dim[0] > 0 ? t->n_elements / t->dim[0] : t->n_elements;
}

static void join_rows(const rs_eval *e, const rs_node *nd, const rs_angles *angles,
                      double t, const float *b, float *y)
{
    int64_t length = angles->n > 1 ? rs_eval_row_length(e) : INT64_MAX;
    for (int64_t at = 0; at < e->n;) {
        int64_t row = angles->n > 1 ? (e->first + at) / length : 0;
        int64_t n = angles->n > 1 ? length - (e->first + at) % length : e->n;
        if (n > e->n - at) n = e->n - at;
        rs_slerp s =
            rs_slerp_of(&angles->at[row], t, nd->stage->norm_lerp, nd->stage->flat_below);
        rs_slerp_apply(e->k, &s, t, y + at, b + at, y + at, n);
        at += n;
    }
}

static rs_status join(const rs_eval *e, const rs_node *nd, const float *b, float *y)
{
    double t = rs_node_t(e->p, nd, e->i);
    if (!rs_node_turns(e->p, nd, e->i)) {
        rs_slerp lerp = {1 - t, t, true, false};
        rs_slerp_apply(e->k, &lerp, t, y, b, y, e->n);
        return RS_OK;
    }
    const rs_angles *angles = angles_of(e, nd);
    if (!angles) return rs_fail(e->err, RS_E_BUG, "an angle was not made in time");
    join_rows(e, nd, angles, t, b, y);
    return RS_OK;
}

static rs_status eval_slerp(const rs_eval *e, const rs_node *nd, float *dst)
{
    const rs_src_model *leaf = rs_node_leaf(e->p, nd, e->i);
    if (leaf) return read_model(e, leaf, dst);
    if (rs_node_takes_first(e->p, e->i)) return rs_eval_node(e, nd->side[0], dst);
    float *b = rs_workspace_grab(e->ws);
    float *base = b && nd->base ? rs_workspace_grab(e->ws) : NULL;
    rs_status s =
        b && (base || !nd->base) ? rs_eval_sides(e, nd, dst, b, base) : no_memory(e->err);
    if (s == RS_OK) s = join(e, nd, b, dst);
    if (s == RS_OK && base) e->k->apply(dst, 1, NULL, false, base, dst, e->n);
    if (base) rs_workspace_release(e->ws);
    if (b) rs_workspace_release(e->ws);
    return s;
}

rs_status rs_eval_node(const rs_eval *e, const rs_node *nd, float *dst)
{
    switch (nd->type) {
    case RS_NODE_MODEL:
        return read_model(e, nd->model, dst);
    case RS_NODE_FOLDED:
        return eval_folded(e, nd, dst);
    case RS_NODE_TASK:
        return eval_task(e, nd, dst);
    case RS_NODE_SLERP:
        return eval_slerp(e, nd, dst);
    }
    return RS_E_BUG;
}

rs_eval rs_eval_at(const rs_runtime *rt, const rs_plan *p, rs_workspace *ws, int i,
                   int64_t first, int64_t n, rs_err *err)
{
    return (rs_eval){rt, rt->kernels->merge, p, ws, i, first, n, err};
}
