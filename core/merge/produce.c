/* Making the numbers of a plan. A tensor is made in tiles that fit the cache; how it is cut
 * never shows in the result: every element is computed alone, in float32 and one order, and
 * whole-tensor reductions (the angles of slerp) go over fixed pieces and blocks. */
#include "merge/plan_internal.h"

#include "tensor/convert.h"
#include "tensor/half.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BUFFERS = 512, MAX_FACTORS = 64 };

typedef struct held_factors {
    const rs_adapter_pair *pair;
    float *a, *b; /* [rank, cols], [rows, rank] */
    bool exact;
} held_factors;

struct rs_workspace {
    float *buffer[MAX_BUFFERS]; /* a stack of tiles */
    int used;
    uint64_t serial; /* of the sources that the factors belong to */
    int i_tensor;
    held_factors factors[MAX_FACTORS];
    int n_factors;
};

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory to merge a tensor");
}

rs_status rs_workspace_new(const rs_runtime *rt, rs_workspace **out, rs_err *err)
{
    (void)rt;
    *out = calloc(1, sizeof **out);
    return *out ? RS_OK : no_memory(err);
}

static void drop_factors(rs_workspace *ws)
{
    for (int i = 0; i < ws->n_factors; i++)
        free(ws->factors[i].a);
    ws->n_factors = 0;
}

void rs_workspace_free(rs_workspace *ws)
{
    if (!ws) return;
    for (int i = 0; i < MAX_BUFFERS; i++)
        free(ws->buffer[i]);
    drop_factors(ws);
    free(ws);
}

float *rs_workspace_grab(rs_workspace *ws)
{
    if (ws->used == MAX_BUFFERS) return NULL;
    float **b = &ws->buffer[ws->used];
    if (!*b) *b = aligned_alloc(64, RS_TILE * sizeof(float));
    if (*b) ws->used++;
    return *b;
}

void rs_workspace_release(rs_workspace *ws)
{
    ws->used--;
}

/* Everything that an evaluation needs at hand. */
typedef struct eval {
    const rs_runtime *rt;
    const rs_merge_kernels *k;
    const rs_plan *p;
    rs_workspace *ws;
    int i;
    int64_t first, n;
    rs_err *err;
} eval;

/* --- stored tensors --- */

/* The raw bytes of plain types lie at the end of dst, where widening from the front never
 * overtakes them: no buffer of its own. */
static rs_status read_model(const eval *e, const rs_src_model *m, float *dst)
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

/* One allocation holds both factors. */
static rs_status load_factors(const eval *e, const rs_src_adapter *ad, held_factors *out)
{
    const rs_adapter_pair *pair = ad->pair[e->i];
    int64_t cols = rs_adapter_cols(ad->adapter, pair),
            rows = rs_adapter_rows(ad->adapter, pair);
    size_t n_a = (size_t)cols * (size_t)pair->rank,
           n_b = (size_t)rows * (size_t)pair->rank;
    out->pair = pair;
    out->a = malloc((n_a + n_b) * sizeof *out->a);
    if (!out->a) return no_memory(e->err);
    out->b = out->a + n_a;
    rs_status s = rs_adapter_read(ad->adapter, pair, out->a, out->b, &out->exact, e->err);
    if (s != RS_OK) free(out->a);
    return s;
}

/* Factors of the tensor at hand stay in the workspace until another tensor's turn. */
static rs_status get_factors(const eval *e, const rs_src_adapter *ad,
                             const held_factors **out)
{
    rs_workspace *ws = e->ws;
    if (ws->serial != e->p->sources->serial || ws->i_tensor != e->i) drop_factors(ws);
    ws->serial = e->p->sources->serial;
    ws->i_tensor = e->i;
    for (int f = 0; f < ws->n_factors; f++)
        if (ws->factors[f].pair == ad->pair[e->i]) return *out = &ws->factors[f], RS_OK;
    if (ws->n_factors == MAX_FACTORS) drop_factors(ws);
    RS_TRY(load_factors(e, ad, &ws->factors[ws->n_factors]));
    *out = &ws->factors[ws->n_factors++];
    return RS_OK;
}

/* B A of the flat range: the end of a row, whole rows, the begin of a row. */
static rs_status low_rank(const eval *e, const rs_src_adapter *ad, float *dst)
{
    const held_factors *f;
    RS_TRY(get_factors(e, ad, &f));
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

static rs_status eval_node(const eval *e, const rs_node *nd, float *dst);

static rs_status eval_folded(const eval *e, const rs_node *nd, float *dst)
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
static rs_status add_term(const eval *e, const rs_node *nd, const rs_term *t,
                          const float *base, bool first, float *dst)
{
    double weight = t->weight;
    (void)nd;
    float *part = rs_workspace_grab(e->ws);
    if (!part) return no_memory(e->err);
    rs_status s;
    if (t->adapter) {
        weight *= t->adapter->pair[e->i]->scale;
        s = low_rank(e, t->adapter, part);
    } else {
        s = eval_node(e, t->node, part);
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

static bool term_is_zero(const eval *e, const rs_node *nd, const rs_term *t)
{
    if (t->weight == 0) return true;
    if (t->adapter) return t->adapter->pair[e->i] == NULL;
    const rs_src_model *a = rs_node_leaf(e->p, t->node, e->i);
    return a && rs_same_model(a, rs_node_leaf(e->p, nd->base, e->i));
}

static rs_status eval_delta(const eval *e, const rs_node *nd, const float *base,
                            float *dst)
{
    bool first = true;
    if (!rs_node_takes_first(e->p, e->i))
        for (int i = 0; i < nd->n_terms; i++) {
            if (term_is_zero(e, nd, &nd->terms[i])) continue;
            RS_TRY(add_term(e, nd, &nd->terms[i], base, first, dst));
            first = false;
        }
    if (first) memset(dst, 0, (size_t)e->n * sizeof *dst);
    return RS_OK;
}

static rs_status bad_fisher(const eval *e, const rs_src_fisher *f, const float *x)
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

static rs_status read_fisher(const eval *e, int index, float *dst)
{
    const rs_src_fisher *f = &e->p->sources->fishers[index];
    const rs_tensor *t = f->tensor[e->i];
    RS_TRY(rs_checkpoint_read_f32(f->file, t, e->first, e->n, dst, e->err));
    if (e->k->not_finite(dst, e->n) || e->k->negative(dst, e->n))
        return bad_fisher(e, f, dst);
    return RS_OK;
}

static rs_status eval_dampening(const eval *e, const rs_node *nd, float *dst, bool *flat)
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

static rs_status eval_task(const eval *e, const rs_node *nd, float *dst)
{
    RS_TRY(eval_node(e, nd->base, dst));
    if (rs_node_leaf(e->p, nd, e->i) || !rs_node_has_delta(e->p, nd, e->i) ||
        rs_node_gain(e->p, nd, e->i) == 0)
        return RS_OK;
    float *delta = rs_workspace_grab(e->ws);
    float *d = delta ? rs_workspace_grab(e->ws) : NULL;
    bool flat = true;
    rs_status s = d ? eval_delta(e, nd, dst, delta) : no_memory(e->err);
    if (s == RS_OK) s = eval_dampening(e, nd, d, &flat);
    if (s == RS_OK)
        e->k->apply(dst, (float)rs_node_gain(e->p, nd, e->i), flat ? NULL : d,
                    nd->stage->dampen.clamp, delta, dst, e->n);
    if (d) rs_workspace_release(e->ws);
    if (delta) rs_workspace_release(e->ws);
    return s;
}

static rs_angles *angles_of(const eval *e, const rs_node *nd)
{
    size_t at = (size_t)nd->i_slerp * (size_t)e->p->sources->n_tensors + (size_t)e->i;
    return atomic_load(&e->p->cache->angles[at]);
}

/* The two sides, in delta space less the base (whose values go to base). */
static rs_status eval_sides(const eval *e, const rs_node *nd, float *a, float *b,
                            float *base)
{
    RS_TRY(eval_node(e, nd->side[0], a));
    RS_TRY(eval_node(e, nd->side[1], b));
    if (!base) return RS_OK;
    RS_TRY(eval_node(e, nd->base, base));
    e->k->subtract(a, base, a, e->n);
    e->k->subtract(b, base, b, e->n);
    return RS_OK;
}

static int64_t row_length(const eval *e)
{
    const rs_tensor *t = e->p->sources->base_tensor[e->i];
    return t->n_dims >= 2 && t->dim[0] > 0 ? t->n_elements / t->dim[0] : t->n_elements;
}

static void join_rows(const eval *e, const rs_node *nd, const rs_angles *angles, double t,
                      const float *b, float *y)
{
    int64_t length = angles->n > 1 ? row_length(e) : INT64_MAX;
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

static rs_status join(const eval *e, const rs_node *nd, const float *b, float *y)
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

static rs_status eval_slerp(const eval *e, const rs_node *nd, float *dst)
{
    const rs_src_model *leaf = rs_node_leaf(e->p, nd, e->i);
    if (leaf) return read_model(e, leaf, dst);
    if (rs_node_takes_first(e->p, e->i)) return eval_node(e, nd->side[0], dst);
    float *b = rs_workspace_grab(e->ws);
    float *base = b && nd->base ? rs_workspace_grab(e->ws) : NULL;
    rs_status s =
        b && (base || !nd->base) ? eval_sides(e, nd, dst, b, base) : no_memory(e->err);
    if (s == RS_OK) s = join(e, nd, b, dst);
    if (s == RS_OK && base) e->k->apply(dst, 1, NULL, false, base, dst, e->n);
    if (base) rs_workspace_release(e->ws);
    if (b) rs_workspace_release(e->ws);
    return s;
}

static rs_status eval_node(const eval *e, const rs_node *nd, float *dst)
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

static eval eval_at(const rs_runtime *rt, const rs_plan *p, rs_workspace *ws, int i,
                    int64_t first, int64_t n, rs_err *err)
{
    return (eval){rt, rt->kernels->merge, p, ws, i, first, n, err};
}

rs_status rs_node_eval(const rs_runtime *rt, const rs_plan *p, rs_workspace *ws,
                       const rs_node *nd, int i, int64_t first, int64_t n, float *dst,
                       rs_err *err)
{
    eval e = eval_at(rt, p, ws, i, first, n, err);
    return eval_node(&e, nd, dst);
}

rs_status rs_node_delta(const rs_runtime *rt, const rs_plan *p, rs_workspace *ws,
                        const rs_node *nd, int i, int64_t first, int64_t n,
                        const float *base, float *dst, rs_err *err)
{
    eval e = eval_at(rt, p, ws, i, first, n, err);
    return eval_delta(&e, nd, base, dst);
}

rs_status rs_node_dampening(const rs_runtime *rt, const rs_plan *p, rs_workspace *ws,
                            const rs_node *nd, int i, int64_t first, int64_t n,
                            float *dst, bool *flat, rs_err *err)
{
    eval e = eval_at(rt, p, ws, i, first, n, err);
    return eval_dampening(&e, nd, dst, flat);
}

/* --- blame --- */

static bool is_bad(const eval *e, const rs_src_model *m, float *value)
{
    return m && m->tensor[e->i] &&
           rs_checkpoint_read_f32(m->file, m->tensor[e->i], e->first, 1, value, NULL) ==
               RS_OK &&
           !isfinite(*value);
}

rs_status rs_plan_blame(const rs_runtime *rt, const rs_plan *p, rs_workspace *ws, int i,
                        int64_t element, double value, rs_err *err)
{
    eval e = eval_at(rt, p, ws, i, element, 1, err);
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

static rs_status find_bad_element(const eval *e, const float *y)
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

static bool not_finite(const eval *e, rs_dtype d, const void *stored, int64_t n)
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
static rs_status copy_raw(const eval *e, const rs_src_model *m, void *dst)
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
    eval one = *e;
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
    int64_t cols = t->n_dims == 2 ? t->dim[1] : 1, tile = 1 << 14;
    /* At least four whole rows where they fit: the low-rank product likes them. */
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
        eval e = eval_at(rt, p, ws, i, first + at, m, err);
        char *out = dst + at * size;
        s = copy ? copy_raw(&e, leaf, out) : eval_node(&e, p->root, y);
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
    RS_TRY(rs_plan_ready(rt, p, i, false, err));
    int used = ws->used;
    rs_status s = produce_tiles(rt, p, ws, i, first, n, dst, err);
    ws->used = used;
    return s;
}

/* --- a whole tensor with all threads --- */

typedef struct whole {
    const rs_runtime *rt;
    const rs_plan *p;
    rs_workspace **ws; /* [threads] */
    int i;
    char *dst;
    rs_status *status; /* [threads] */
    rs_err *errors;
} whole;

static bool do_chunk(void *ctx, int64_t chunk, int worker)
{
    whole *w = ctx;
    const rs_plan_tensor *t = &w->p->tensors[w->i];
    int64_t first = chunk * RS_REDUCE, n = t->base->n_elements - first;
    if (n > RS_REDUCE) n = RS_REDUCE;
    int size = rs_dtype_of(t->out_dtype)->block_bytes;
    w->status[worker] = produce_tiles(w->rt, w->p, w->ws[worker], w->i, first, n,
                                      w->dst + first * size, &w->errors[worker]);
    return w->status[worker] == RS_OK;
}

static void close_whole(whole *w, int threads)
{
    for (int i = 0; w->ws && i < threads; i++)
        rs_workspace_free(w->ws[i]);
    free(w->ws);
    free(w->status);
    free(w->errors);
}

static rs_status open_whole(whole *w, int threads, rs_err *err)
{
    w->ws = calloc((size_t)threads, sizeof *w->ws);
    w->status = calloc((size_t)threads, sizeof *w->status);
    w->errors = calloc((size_t)threads, sizeof *w->errors);
    if (!w->ws || !w->status || !w->errors) return no_memory(err);
    for (int i = 0; i < threads; i++)
        RS_TRY(rs_workspace_new(w->rt, &w->ws[i], err));
    return RS_OK;
}

static rs_status first_error(const whole *w, int threads, rs_err *err)
{
    for (int i = 0; i < threads; i++)
        if (w->status[i] != RS_OK) {
            if (err) *err = w->errors[i];
            return w->status[i];
        }
    return rs_fail(err, RS_E_BUG, "a tensor was not made to its end");
}

rs_status rs_plan_produce_tensor(const rs_runtime *rt, const rs_plan *p, int i, void *dst,
                                 rs_err *err)
{
    i = source_of(p, i);
    RS_TRY(rs_plan_ready(rt, p, i, true, err));
    int64_t chunks = (p->tensors[i].base->n_elements + RS_REDUCE - 1) / RS_REDUCE;
    rs_pool *pool = chunks > 1 ? rt->pool : NULL;
    int threads = rs_pool_threads(pool);
    whole w = {.rt = rt, .p = p, .i = i, .dst = dst};
    rs_status s = open_whole(&w, threads, err);
    if (s == RS_OK && !rs_pool_run(pool, chunks, do_chunk, &w))
        s = first_error(&w, threads, err);
    close_whole(&w, threads);
    return s;
}

/* --- angles --- */

typedef struct reduction {
    whole w;
    const rs_node *nd;
    double (*sums)[3]; /* one a piece, or a row */
    bool rowwise;
} reduction;

/* A piece's sums: blocks of 4,096 from the start of the piece, which is a multiple of them;
 * tiles of a reduction are 16 blocks. */
static rs_status sum_range(const eval *whole_piece, const rs_node *nd, double sums[3])
{
    rs_workspace *ws = whole_piece->ws;
    float *a = rs_workspace_grab(ws), *b = a ? rs_workspace_grab(ws) : NULL;
    float *base = b && nd->base ? rs_workspace_grab(ws) : NULL;
    int grabbed = (a != NULL) + (b != NULL) + (base != NULL);
    rs_status s = b && (base || !nd->base) ? RS_OK : no_memory(whole_piece->err);
    for (int64_t at = 0; at < whole_piece->n && s == RS_OK; at += RS_TILE) {
        eval e = *whole_piece;
        e.first += at;
        e.n = whole_piece->n - at < RS_TILE ? whole_piece->n - at : RS_TILE;
        s = eval_sides(&e, nd, a, b, base);
        if (s == RS_OK) rs_angle_sums(e.k, a, b, e.n, sums);
    }
    while (grabbed-- > 0)
        rs_workspace_release(ws);
    return s;
}

static bool do_sums(void *ctx, int64_t piece, int worker)
{
    reduction *r = ctx;
    whole *w = &r->w;
    int64_t all = w->p->tensors[w->i].base->n_elements;
    eval e = eval_at(w->rt, w->p, w->ws[worker], w->i, 0, 0, &w->errors[worker]);
    int64_t length = r->rowwise ? row_length(&e) : RS_REDUCE;
    e.first = piece * length;
    e.n = all - e.first < length ? all - e.first : length;
    w->status[worker] = sum_range(&e, r->nd, r->sums[piece]);
    return w->status[worker] == RS_OK;
}

static rs_status no_way(const rs_plan *p, const rs_node *nd, int i, rs_err *err)
{
    return rs_fail(
        err, RS_E_INVALID,
        "stage \"%s\": the two sides of %s point in opposite directions, and the recipe "
        "says \"opposite\": \"error\"",
        nd->name, p->tensors[i].name);
}

static rs_status check_angles(const rs_plan *p, const rs_node *nd, int i,
                              const rs_angles *a, rs_err *err)
{
    if (!nd->stage->opposite_error) return RS_OK;
    for (int64_t r = 0; r < a->n; r++) {
        rs_slerp s = rs_slerp_of(&a->at[r], 0.5, false, nd->stage->flat_below);
        if (s.opposite) return no_way(p, nd, i, err);
    }
    return RS_OK;
}

static rs_angles *finish_angles(const reduction *r, int64_t pieces)
{
    int64_t n = r->rowwise ? pieces : 1;
    rs_angles *a = malloc(sizeof *a + (size_t)n * sizeof a->at[0]);
    double all[3] = {0};
    if (!a) return NULL;
    atomic_init(&a->refs, 1);
    a->n = n;
    for (int64_t i = 0; i < pieces; i++) {
        if (r->rowwise)
            a->at[i] = rs_angle_of_sums(r->sums[i][0], r->sums[i][1], r->sums[i][2]);
        for (int k = 0; k < 3; k++)
            all[k] += r->sums[i][k];
    }
    if (!r->rowwise) a->at[0] = rs_angle_of_sums(all[0], all[1], all[2]);
    return a;
}

static rs_status make_angles(const rs_runtime *rt, const rs_plan *p, const rs_node *nd,
                             int i, bool use_pool, rs_angles **out, rs_err *err)
{
    const rs_tensor *t = p->sources->base_tensor[i];
    reduction r = {.w = {.rt = rt, .p = p, .i = i}, .nd = nd};
    r.rowwise = nd->stage->rowwise && t->n_dims >= 2 && t->dim[0] > 1;
    int64_t pieces = r.rowwise ? t->dim[0] : (t->n_elements + RS_REDUCE - 1) / RS_REDUCE;
    rs_pool *pool = use_pool && pieces > 1 ? rt->pool : NULL;
    int threads = rs_pool_threads(pool);
    r.sums = calloc((size_t)pieces + 1, sizeof *r.sums);
    rs_status s = r.sums ? open_whole(&r.w, threads, err) : no_memory(err);
    if (s == RS_OK && !rs_pool_run(pool, pieces, do_sums, &r))
        s = first_error(&r.w, threads, err);
    if (s == RS_OK && !(*out = finish_angles(&r, pieces))) s = no_memory(err);
    close_whole(&r.w, threads);
    free(r.sums);
    return s;
}

uint64_t rs_angle_key(const rs_plan *p, const rs_node *nd, int i)
{
    uint64_t h = rs_mix(rs_node_hash(p, nd->side[0], i), rs_node_hash(p, nd->side[1], i));
    if (nd->base) h = rs_mix(h, rs_node_hash(p, nd->base, i));
    return rs_mix(h, nd->stage->rowwise);
}

static rs_status ready_node(const rs_runtime *rt, const rs_plan *p, const rs_node *nd,
                            int i, bool use_pool, rs_err *err);

static rs_status ready_slerp(const rs_runtime *rt, const rs_plan *p, const rs_node *nd,
                             int i, bool use_pool, rs_err *err)
{
    size_t at = (size_t)nd->i_slerp * (size_t)p->sources->n_tensors + (size_t)i;
    _Atomic(rs_angles *) *slot = &p->cache->angles[at];
    for (int k = 0; k < 2; k++)
        RS_TRY(ready_node(rt, p, nd->side[k], i, use_pool, err));
    if (nd->base) RS_TRY(ready_node(rt, p, nd->base, i, use_pool, err));
    if (rs_node_takes_first(p, i) || rs_node_leaf(p, nd, i) || !rs_node_turns(p, nd, i))
        return RS_OK;
    rs_angles *now = atomic_load(slot), *made = NULL;
    if (!now) {
        RS_TRY(make_angles(rt, p, nd, i, use_pool, &made, err));
        made->key = rs_angle_key(p, nd, i);
        if (atomic_compare_exchange_strong(slot, &now, made))
            now = made;
        else
            free(made); /* another thread was faster: the same numbers */
    }
    return check_angles(p, nd, i, now, err);
}

static rs_status ready_node(const rs_runtime *rt, const rs_plan *p, const rs_node *nd,
                            int i, bool use_pool, rs_err *err)
{
    if (nd->type == RS_NODE_SLERP) return ready_slerp(rt, p, nd, i, use_pool, err);
    if (nd->type != RS_NODE_TASK) return RS_OK;
    RS_TRY(ready_node(rt, p, nd->base, i, use_pool, err));
    for (int k = 0; k < nd->n_terms; k++)
        if (nd->terms[k].node)
            RS_TRY(ready_node(rt, p, nd->terms[k].node, i, use_pool, err));
    return RS_OK;
}

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

static rs_status prepare_node(const rs_pass *pass, const rs_plan *p, rs_node *nd,
                              rs_err *err)
{
    const rs_dampen_spec *d = &nd->stage->dampen;
    const rs_view *v = NULL;
    double cut = 0;
    int n = p->sources->n_tensors;
    if (d->kind == RS_DAMPEN_NONE) return RS_OK;
    if (d->kind != RS_DAMPEN_TASK) {
        bool *targets = calloc((size_t)n + 1, sizeof *targets);
        if (!targets) return no_memory(err);
        for (int i = 0; i < n; i++)
            targets[i] = rs_node_has_delta(p, nd, i);
        rs_status s = rs_view_get(pass, p->sources, nd->fisher, d, targets, &v, err);
        free(targets);
        if (s == RS_OK && d->kind == RS_DAMPEN_HARD)
            s = rs_view_cut(pass, p->sources, v, d->q, &cut, err);
        if (s != RS_OK) return s;
    }
    for (int i = 0; i < n; i++)
        if (rs_node_has_delta(p, nd, i)) nd->dampeners[i] = dampener_of(p, nd, v, cut, i);
    return RS_OK;
}

static rs_status prepare(const rs_pass *pass, const rs_plan *p, rs_err *err)
{
    if (atomic_load(&p->cache->prepared)) return RS_OK;
    pthread_mutex_lock(&p->cache->prepare);
    rs_status s = RS_OK;
    if (!atomic_load(&p->cache->prepared)) {
        for (int i = 0; i < p->n_stages && s == RS_OK; i++) {
            rs_node *nd = p->stage_nodes[i];
            if (nd && nd->type == RS_NODE_TASK) s = prepare_node(pass, p, nd, err);
        }
        if (s == RS_OK) atomic_store(&p->cache->prepared, true);
    }
    pthread_mutex_unlock(&p->cache->prepare);
    return s;
}

rs_status rs_plan_prepare(const rs_runtime *rt, const rs_plan *p, rs_progress_fn progress,
                          void *ctx, rs_err *err)
{
    rs_pass pass = {rt->kernels->merge, rt->pool, progress, ctx, "Fisher"};
    return prepare(&pass, p, err);
}

rs_status rs_plan_ready(const rs_runtime *rt, const rs_plan *p, int i, bool use_pool,
                        rs_err *err)
{
    rs_pass pass = {
        .k = rt->kernels->merge, .pool = use_pool ? rt->pool : NULL, .what = "Fisher"};
    RS_TRY(prepare(&pass, p, err));
    return ready_node(rt, p, p->root, i, use_pool, err);
}
