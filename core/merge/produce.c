/* Making the tensors of a plan, whole or by ranges: copies where nothing changes, else tile by
 * tile, rounded once at the output's type, with whatever is not finite refused by name. */
#include "merge/eval.h"

#include "tensor/convert.h"
#include "tensor/half.h"

#include <inttypes.h>
#include <math.h>

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory to merge a tensor");
}

/* --- blame --- */

static bool is_bad(const rs_eval *e, const rs_src_model *m, float *value)
{
    return m && m->tensor[e->i] &&
           rs_checkpoint_read_f32(m->file, m->tensor[e->i], e->first, 1, value, NULL) ==
               RS_OK &&
           !isfinite(*value);
}

rs_status rs_plan_blame(const rs_runtime *rt, const rs_plan *p, rs_workspace *ws, int i,
                        int64_t element, double value, rs_err *err)
{
    rs_eval e = rs_eval_at(rt, p, ws, i, element, 1, err);
    const rs_sources *s = p->sources;
    for (int m = 0; m < s->n_models; m++) {
        float v;
        if (!s->models[m].file || !is_bad(&e, &s->models[m], &v)) continue;
        return rs_fail(
            err, RS_E_INVALID, "%s, element %" PRId64 " is %s in the model \"%s\" (%s)",
            s->models[m].tensor[i]->name, element, isnan(v) ? "NaN" : "infinite",
            s->models[m].name, s->models[m].path);
    }
    return rs_fail(err, RS_E_INVALID,
                   "%s, element %" PRId64 " of the merge is %g, which %s cannot hold",
                   p->tensors[i].name, element, value,
                   rs_dtype_name(p->tensors[i].out_dtype));
}

static rs_status find_bad_element(const rs_eval *e, const float *y)
{
    int64_t i = 0;
    rs_dtype d = e->p->tensors[e->i].out_dtype;
    for (; i < e->n; i++) {
        float stored = d == RS_DTYPE_BF16  ? rs_bf16_to_f32(rs_bf16_from_f32(y[i]))
                       : d == RS_DTYPE_F16 ? rs_f16_to_f32(rs_f16_from_f32(y[i]))
                                           : y[i];
        if (!isfinite(stored)) break;
    }
    return rs_plan_blame(e->rt, e->p, e->ws, e->i, e->first + i,
                         i < e->n ? (double)y[i] : 0, e->err);
}

static bool not_finite(const rs_eval *e, rs_dtype d, const void *stored, int64_t n)
{
    if (d == RS_DTYPE_BF16) return e->k->not_finite_bf16(stored, n);
    if (d == RS_DTYPE_F16) return e->k->not_finite_f16(stored, n);
    if (d == RS_DTYPE_F32) return e->k->not_finite(stored, n);
    const double *x = stored;
    for (int64_t i = 0; d == RS_DTYPE_F64 && i < n; i++)
        if (!isfinite(x[i])) return true;
    return false;
}

/* --- copies --- */

/* Bytes as they are. Clip limits of towers may be infinite by design: single numbers of a
 * tower are not judged. */
static rs_status copy_raw(const rs_eval *e, const rs_src_model *m, void *dst)
{
    const rs_tensor *t = m->tensor[e->i];
    uint64_t first, n;
    if (!rs_dtype_bytes(t->dtype, e->first, &first) ||
        !rs_dtype_bytes(t->dtype, e->n, &n))
        return rs_fail(e->err, RS_E_BUG, "%s is cut inside a block", t->name);
    RS_TRY(rs_checkpoint_read_raw(m->file, t, first, (size_t)n, dst, e->err));
    bool judged = e->p->sources->role[e->i].kind != RS_KIND_TOWER || t->n_elements > 1;
    if (!judged || !not_finite(e, t->dtype, dst, e->n)) return RS_OK;
    float v = 0;
    rs_eval one = *e;
    for (one.n = 1; one.first < e->first + e->n; one.first++)
        if (is_bad(&one, m, &v)) break;
    return rs_plan_blame(e->rt, e->p, e->ws, e->i, one.first, (double)v, e->err);
}

static bool is_copy(const rs_plan *p, int i, const rs_src_model **m)
{
    *m = rs_node_leaf(p, p->root, i);
    return *m && (*m)->tensor[i] && (*m)->tensor[i]->dtype == p->tensors[i].out_dtype &&
           (*m)->tensor[i]->shift == 0;
}

/* --- the calls --- */

int64_t rs_plan_tile(const rs_plan *p, int i, int64_t first, int64_t left)
{
    const rs_tensor *t = p->sources->base_tensor[i];
    int64_t cols = t->n_dims == 2 ? t->dim[1] : 1;
    /* At least four whole rows where they fit: the low-rank product likes them. A mask reads
     * all of its R for each tile. */
    int64_t tile = rs_plan_has_masks(p) ? RS_TILE : 1 << 14;
    if (cols > 1 && 4 * cols <= RS_TILE) {
        int64_t rows = tile / cols / 4 * 4;
        tile = (rows < 4 ? 4 : rows) * cols;
        if (first % cols != 0) tile = cols - first % cols;
    }
    return left < tile ? left : tile;
}

static rs_status produce_tiles(const rs_runtime *rt, const rs_plan *p, rs_workspace *ws,
                               int i, int64_t first, int64_t n, char *dst, rs_err *err)
{
    rs_dtype d = p->tensors[i].out_dtype;
    const rs_src_model *leaf;
    bool copy = is_copy(p, i, &leaf);
    int size = rs_dtype_of(d)->block_bytes;
    float *y = copy ? NULL : rs_workspace_grab(ws);
    rs_status s = copy || y ? RS_OK : no_memory(err);
    for (int64_t at = 0; at < n && s == RS_OK;) {
        int64_t m = copy && n - at > RS_TILE ? RS_TILE
                    : copy                   ? n - at
                                             : rs_plan_tile(p, i, first + at, n - at);
        rs_eval e = rs_eval_at(rt, p, ws, i, first + at, m, err);
        char *out = dst + at * size;
        s = copy ? copy_raw(&e, leaf, out) : rs_eval_node(&e, p->root, y);
        if (s == RS_OK && !copy) {
            rs_from_f32(rt->kernels, d, y, out, m);
            if (not_finite(&e, d, out, m)) s = find_bad_element(&e, y);
        }
        at += m;
    }
    if (y) rs_workspace_release(ws);
    return s;
}

static int source_of(const rs_plan *p, int i)
{
    return p->sources->alias[i] >= 0 ? p->sources->alias[i] : i;
}

static rs_status check_range(const rs_plan *p, int i, int64_t first, int64_t n,
                             rs_err *err)
{
    int64_t all = p->tensors[i].base->n_elements;
    if (first >= 0 && n >= 0 && first <= all && n <= all - first) return RS_OK;
    return rs_fail(err, RS_E_BUG,
                   "elements %" PRId64 " + %" PRId64 " of %s, which has %" PRId64, first,
                   n, p->tensors[i].name, all);
}

rs_status rs_plan_produce(const rs_runtime *rt, const rs_plan *p, rs_workspace *ws, int i,
                          int64_t first, int64_t n, void *dst, rs_err *err)
{
    RS_TRY(check_range(p, i, first, n, err));
    i = source_of(p, i);
    RS_TRY(rs_plan_ready(rt, p, ws, i, err));
    int mark = rs_workspace_mark(ws);
    rs_status s = produce_tiles(rt, p, ws, i, first, n, dst, err);
    rs_workspace_back_to(ws, mark);
    return s;
}

/* --- a whole tensor with all threads --- */

typedef struct whole {
    rs_team team;
    char *dst;
} whole;

static bool do_chunk(void *ctx, int64_t chunk, int worker)
{
    whole *w = ctx;
    rs_team *m = &w->team;
    const rs_plan_tensor *t = &m->p->tensors[m->i];
    int64_t first = chunk * RS_REDUCE, n = t->base->n_elements - first;
    if (n > RS_REDUCE) n = RS_REDUCE;
    int size = rs_dtype_of(t->out_dtype)->block_bytes;
    m->status[worker] = produce_tiles(m->rt, m->p, m->ws[worker], m->i, first, n,
                                      w->dst + first * size, &m->errors[worker]);
    return m->status[worker] == RS_OK;
}

rs_status rs_plan_produce_tensor(const rs_runtime *rt, const rs_plan *p, int i, void *dst,
                                 rs_err *err)
{
    i = source_of(p, i);
    int64_t chunks = (p->tensors[i].base->n_elements + RS_REDUCE - 1) / RS_REDUCE;
    rs_pool *pool = chunks > 1 ? rt->pool : NULL;
    whole w = {.dst = dst};
    rs_status s = rs_team_open(&w.team, rt, p, i, pool, err);
    if (s == RS_OK) s = rs_team_ready(&w.team, err);
    if (s == RS_OK && !rs_pool_run(pool, chunks, do_chunk, &w))
        s = rs_team_error(&w.team, err);
    rs_team_close(&w.team);
    return s;
}
