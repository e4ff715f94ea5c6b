/* One pass over a tensor that leaves what rs_measure_from combines: Gram sums in float64.
 * Pieces of 2^18 elements, tiles and lanes are fixed, so the sums do not depend on threads. */
#include "merge/measure.h"

#include "merge/plan_internal.h"
#include "tensor/convert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_BUFFERS = RS_N_V + 3 };

typedef struct task {
    const rs_runtime *rt;
    const rs_plan *p;
    int i;
    bool with_output, has_fisher;
    rs_workspace **ws;     /* [threads] */
    rs_tensor_sums *piece; /* [pieces] */
    rs_status *status;     /* [threads] */
    rs_err *errors;
} task;

typedef struct tile {
    int64_t first, n;
    float *v[RS_N_V]; /* W0, D, X, S */
    bool has[RS_N_V]; /* false: all zero */
    float *f, *y, *stored;
} tile;

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory to measure a tensor");
}

static const rs_node *base_node(const rs_plan *p)
{
    return p->fuel ? p->fuel->base : p->root;
}

/* X = d D, such that gain X is what is applied: with `clamp` that depends on the gain. */
static rs_status fill_damped(const task *t, rs_workspace *ws, tile *at, double *sum_d,
                             rs_err *err)
{
    const rs_merge_kernels *k = t->rt->kernels->merge;
    const rs_node *fuel = t->p->fuel;
    float *d = at->v[RS_V_DAMPED];
    double gain = rs_node_gain(t->p, fuel, t->i);
    bool flat;
    RS_TRY(
        rs_node_dampening(t->rt, t->p, ws, fuel, t->i, at->first, at->n, d, &flat, err));
    for (int64_t i = 0; flat && i < at->n; i++)
        d[i] = 1;
    if (fuel->stage->dampen.clamp && gain != 0)
        for (int64_t i = 0; i < at->n; i++) {
            double e = gain * (double)d[i];
            d[i] = (float)((e < 0 ? 0 : e > 1 ? 1 : e) / gain);
        }
    *sum_d += k->sum(d, at->n);
    k->multiply(d, at->v[RS_V_DELTA], d, at->n);
    return RS_OK;
}

static rs_status fill_fuel(const task *t, rs_workspace *ws, tile *at, double *sum_d,
                           rs_err *err)
{
    const rs_plan *p = t->p;
    RS_TRY(rs_node_eval(t->rt, p, ws, base_node(p), t->i, at->first, at->n,
                        at->v[RS_V_BASE], err));
    at->has[RS_V_BASE] = true;
    at->has[RS_V_DELTA] = at->has[RS_V_DAMPED] =
        p->fuel && rs_node_has_delta(p, p->fuel, t->i);
    if (!at->has[RS_V_DELTA]) return RS_OK;
    RS_TRY(rs_node_delta(t->rt, p, ws, p->fuel, t->i, at->first, at->n, at->v[RS_V_BASE],
                         at->v[RS_V_DELTA], err));
    return fill_damped(t, ws, at, sum_d, err);
}

static rs_status fill_other(const task *t, rs_workspace *ws, tile *at, rs_err *err)
{
    const rs_plan *p = t->p;
    at->has[RS_V_OTHER] = p->other != NULL;
    if (!p->other) return RS_OK;
    const rs_src_model *a = rs_node_leaf(p, p->other, t->i);
    if (a && rs_same_model(a, rs_node_leaf(p, base_node(p), t->i))) {
        memcpy(at->v[RS_V_OTHER], at->v[RS_V_BASE], (size_t)at->n * sizeof(float));
        return RS_OK;
    }
    return rs_node_eval(t->rt, p, ws, p->other, t->i, at->first, at->n, at->v[RS_V_OTHER],
                        err);
}

static void add_grams(const task *t, const tile *at, rs_tensor_sums *out)
{
    const rs_merge_kernels *k = t->rt->kernels->merge;
    for (int a = 0; a < RS_N_V; a++)
        for (int b = a; b < RS_N_V; b++) {
            if (!at->has[a] || !at->has[b]) continue;
            double plain = k->dot(at->v[a], at->v[b], at->n);
            double weighted =
                t->has_fisher ? k->dot3(at->f, at->v[a], at->v[b], at->n) : 0;
            out->gram[a][b] += plain;
            out->fisher[a][b] += weighted;
            if (a == b) continue;
            out->gram[b][a] += plain;
            out->fisher[b][a] += weighted;
        }
}

static rs_status add_fisher(const task *t, tile *at, rs_tensor_sums *out, rs_err *err)
{
    const rs_merge_kernels *k = t->rt->kernels->merge;
    const rs_src_fisher *f = &t->p->sources->fishers[t->p->damage_fisher];
    const rs_tensor *x = f->tensor[t->i];
    RS_TRY(rs_checkpoint_read_f32(f->file, x, at->first, at->n, at->f, err));
    if (k->not_finite(at->f, at->n) || k->negative(at->f, at->n))
        return rs_fail(err, RS_E_INVALID,
                       "Fisher \"%s\" (%.300s): %s holds a negative or infinite value",
                       f->name, f->path, x->name);
    out->sum_f += k->sum(at->f, at->n);
    double most = k->largest(at->f, at->n);
    if (most > out->max_f) out->max_f = most;
    return RS_OK;
}

/* The output as it is stored, against the base as it would be stored. */
static rs_status add_output(const task *t, rs_workspace *ws, tile *at,
                            rs_tensor_sums *out, rs_err *err)
{
    const rs_merge_kernels *k = t->rt->kernels->merge;
    rs_dtype d = t->p->tensors[t->i].out_dtype;
    size_t bytes = (size_t)at->n * (size_t)rs_dtype_of(d)->block_bytes;
    const float *w0 = at->v[RS_V_BASE];
    RS_TRY(rs_node_eval(t->rt, t->p, ws, t->p->root, t->i, at->first, at->n, at->y, err));
    char *a = (char *)at->stored, *b = (char *)at->f; /* F is done with */
    rs_from_f32(t->rt->kernels, d, at->y, a, at->n);
    rs_from_f32(t->rt->kernels, d, w0, b, at->n);
    out->changed +=
        (double)(d == RS_DTYPE_F32
                     ? k->differing32((uint32_t *)(void *)a, (uint32_t *)(void *)b, at->n)
                     : k->differing16((uint16_t *)(void *)a, (uint16_t *)(void *)b,
                                      at->n));
    memcpy(at->f, a, bytes);
    rs_to_f32(t->rt->kernels, d, at->f, at->stored, at->n);
    k->subtract(at->stored, w0, at->stored, at->n);
    k->subtract(at->y, w0, at->y, at->n);
    out->want_dot += k->dot(at->stored, at->y, at->n);
    out->want_norm += k->dot(at->y, at->y, at->n);
    return RS_OK;
}

static rs_status sum_tile(const task *t, rs_workspace *ws, tile *at, rs_tensor_sums *out,
                          rs_err *err)
{
    RS_TRY(fill_fuel(t, ws, at, &out->sum_d, err));
    RS_TRY(fill_other(t, ws, at, err));
    if (t->has_fisher) RS_TRY(add_fisher(t, at, out, err));
    add_grams(t, at, out);
    return t->with_output ? add_output(t, ws, at, out, err) : RS_OK;
}

static rs_status sum_piece(const task *t, rs_workspace *ws, int64_t first, int64_t n,
                           rs_tensor_sums *out, rs_err *err)
{
    tile at = {0};
    float **slots[N_BUFFERS] = {&at.f, &at.y, &at.stored};
    for (int k = 0; k < RS_N_V; k++)
        slots[3 + k] = &at.v[k];
    int grabbed = 0;
    for (; grabbed < N_BUFFERS; grabbed++)
        if (!(*slots[grabbed] = rs_workspace_grab(ws))) break;
    rs_status s = grabbed == N_BUFFERS ? RS_OK : no_memory(err);
    for (int64_t done = 0; done < n && s == RS_OK; done += at.n) {
        at.first = first + done;
        at.n = n - done < RS_TILE ? n - done : RS_TILE;
        s = sum_tile(t, ws, &at, out, err);
    }
    while (grabbed-- > 0)
        rs_workspace_release(ws);
    return s;
}

static bool do_piece(void *ctx, int64_t piece, int worker)
{
    task *t = ctx;
    int64_t first = piece * RS_REDUCE, n = t->p->tensors[t->i].base->n_elements - first;
    t->status[worker] = sum_piece(t, t->ws[worker], first, n < RS_REDUCE ? n : RS_REDUCE,
                                  &t->piece[piece], &t->errors[worker]);
    return t->status[worker] == RS_OK;
}

static void add_pieces(const task *t, int64_t pieces, rs_tensor_sums *out)
{
    for (int64_t i = 0; i < pieces; i++) {
        const rs_tensor_sums *s = &t->piece[i];
        for (int a = 0; a < RS_N_V; a++)
            for (int b = 0; b < RS_N_V; b++) {
                out->gram[a][b] += s->gram[a][b];
                out->fisher[a][b] += s->fisher[a][b];
            }
        out->sum_d += s->sum_d;
        out->sum_f += s->sum_f;
        if (s->max_f > out->max_f) out->max_f = s->max_f;
        out->want_dot += s->want_dot;
        out->want_norm += s->want_norm;
        out->changed += s->changed;
    }
}

static rs_status run(task *t, rs_tensor_sums *out, rs_err *err)
{
    int64_t pieces = (t->p->tensors[t->i].base->n_elements + RS_REDUCE - 1) / RS_REDUCE;
    rs_pool *pool = pieces > 1 ? t->rt->pool : NULL;
    int threads = rs_pool_threads(pool);
    rs_status s = RS_OK;
    t->ws = calloc((size_t)threads, sizeof *t->ws);
    t->status = calloc((size_t)threads, sizeof *t->status);
    t->errors = calloc((size_t)threads, sizeof *t->errors);
    t->piece = calloc((size_t)pieces + 1, sizeof *t->piece);
    if (!t->ws || !t->status || !t->errors || !t->piece) s = no_memory(err);
    for (int i = 0; i < threads && s == RS_OK; i++)
        s = rs_workspace_new(t->rt, &t->ws[i], err);
    if (s == RS_OK && !rs_pool_run(pool, pieces, do_piece, t)) {
        s = RS_E_BUG;
        for (int i = 0; i < threads && s == RS_E_BUG; i++)
            if (t->status[i] != RS_OK) s = t->status[i], *err = t->errors[i];
    }
    if (s == RS_OK) add_pieces(t, pieces, out);
    for (int i = 0; t->ws && i < threads; i++)
        rs_workspace_free(t->ws[i]);
    free(t->ws);
    free(t->status);
    free(t->errors);
    free(t->piece);
    return s;
}

/* Nothing can happen to it: towers, inert K/V, what is no number, the tied head's copy. */
static bool is_idle(const rs_plan *p, int i)
{
    const rs_role *role = &p->sources->role[i];
    return role->kind == RS_KIND_TOWER || role->inert || p->sources->alias[i] >= 0 ||
           !rs_dtype_is_numeric(p->sources->base_tensor[i]->dtype) ||
           !rs_dtype_of(p->tensors[i].out_dtype)->is_float ||
           p->tensors[i].out_dtype == RS_DTYPE_F64;
}

rs_status rs_sums_tensor(const rs_runtime *rt, const rs_plan *p, int i, bool with_output,
                         rs_tensor_sums *out, rs_err *err)
{
    rs_err own;
    const rs_plan_tensor *pt = &p->tensors[i];
    task t = {.rt = rt, .p = p, .i = i, .with_output = with_output};
    memset(out, 0, sizeof *out);
    out->i_tensor = i;
    out->n = (double)pt->base->n_elements;
    out->n_delta = pt->has_delta ? out->n : 0;
    out->at_gain = pt->gain;
    out->at_t = pt->t;
    out->fingerprint = rs_sums_fingerprint(p, i);
    if (!is_idle(p, i)) {
        RS_TRY(rs_plan_ready(rt, p, i, true, err ? err : &own));
        t.has_fisher =
            p->damage_fisher >= 0 && p->sources->fishers[p->damage_fisher].tensor[i];
        RS_TRY(run(&t, out, err ? err : &own));
    }
    if (!with_output) out->want_dot = out->want_norm = out->changed = NAN;
    out->valid = 1;
    return RS_OK;
}

double rs_plan_damage_scale(const rs_plan *p, bool *unknown)
{
    *unknown = false;
    if (p->damage_fisher < 0) return NAN;
    const rs_src_fisher *f = &p->sources->fishers[p->damage_fisher];
    *unknown = f->scale_unknown;
    return f->scale_unknown ? 1 : f->scale;
}

uint64_t rs_sums_fingerprint(const rs_plan *p, int i)
{
    uint64_t h = rs_mix((uint64_t)i + 1, (uint64_t)p->tensors[i].out_dtype);
    if (p->damage_fisher >= 0) h = rs_mix(h, p->sources->fishers[p->damage_fisher].id);
    h = rs_mix(h,
               p->fuel ? rs_node_shape_hash(p, p->fuel, i) : rs_node_hash(p, p->root, i));
    if (p->fuel && p->fuel->stage->dampen.clamp)
        h = rs_mix_double(h, rs_node_gain(p, p->fuel, i));
    if (p->other) h = rs_mix(h, rs_node_hash(p, p->other, i));
    return h;
}
