/* One pass over a tensor that leaves what rs_measure_from combines: Gram sums in float64.
 * Pieces of 2^18 elements (of whole rows where a leak is measured), tiles and lanes are fixed, so the sums do not depend on threads. */
#include "merge/measure.h"

#include "merge/leak.h"
#include "tensor/convert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_BUFFERS = RS_N_V + 3 };

typedef struct task {
    rs_team team;
    bool with_output, has_fisher;
    rs_leak *leak;         /* NULL: no subspace */
    int64_t length;        /* of a piece */
    rs_tensor_sums *piece; /* [pieces] */
} task;

typedef struct tile {
    rs_eval e;        /* where it is: elements e.first, e.n of tensor e.i */
    float *v[RS_N_V]; /* W0, D, X, S */
    bool has[RS_N_V]; /* false: all zero */
    float *f, *y, *stored;
} tile;

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory to measure a tensor");
}

/* The slerp at the end of a recipe that adds no deltas: its first input stands where the fuel
 * stage would. NULL: there is none. */
static const rs_node *lone_slerp(const rs_plan *p)
{
    return p->fuel || !p->heal_stage ? NULL
                                     : p->stage_nodes[p->heal_stage - p->recipe->stages];
}

static const rs_node *base_node(const rs_plan *p)
{
    const rs_node *slerp = lone_slerp(p);
    if (p->fuel) return p->fuel->base;
    return !slerp ? p->root : slerp->base ? slerp->base : slerp->side[0];
}

/* The first input of a slerp of differences, less their base: D, and X as well. */
static rs_status fill_first(tile *at)
{
    const rs_eval *e = &at->e;
    const rs_node *slerp = lone_slerp(e->p);
    if (!slerp || !slerp->base) return RS_OK;
    RS_TRY(rs_eval_node(e, slerp->side[0], at->v[RS_V_DELTA]));
    e->k->subtract(at->v[RS_V_DELTA], at->v[RS_V_BASE], at->v[RS_V_DELTA], e->n);
    memcpy(at->v[RS_V_DAMPED], at->v[RS_V_DELTA], (size_t)e->n * sizeof(float));
    at->has[RS_V_DELTA] = at->has[RS_V_DAMPED] = true;
    return RS_OK;
}

/* X = d P(D), or P(d D), such that gain X is what is applied: with `clamp` that depends on the
 * gain. y is free until the output is looked at. */
static rs_status fill_damped(tile *at, double *sum_d)
{
    const rs_eval *e = &at->e;
    const rs_node *fuel = e->p->fuel;
    float *d = at->v[RS_V_DAMPED];
    double gain = rs_node_gain(e->p, fuel, e->i);
    bool flat, clamp = fuel->stage->dampen.clamp && gain != 0;
    RS_TRY(rs_eval_dampening(e, fuel, d, &flat));
    memcpy(at->y, at->v[RS_V_DELTA], (size_t)e->n * sizeof(float));
    bool late = rs_eval_damp_first(e, fuel, d, flat, at->y);
    RS_TRY(rs_mask_apply(e, fuel, at->y));
    for (int64_t i = 0; flat && i < e->n; i++)
        d[i] = 1;
    for (int64_t i = 0; clamp && i < e->n; i++) {
        double x = late ? (double)d[i] : gain * (double)d[i];
        d[i] = (float)((x < 0 ? 0 : x > 1 ? 1 : x) / gain);
    }
    *sum_d += e->k->sum(d, e->n);
    if (late)
        e->k->scale(clamp ? (float)(1 / gain) : 1, at->y, d, e->n);
    else
        e->k->multiply(d, at->y, d, e->n);
    return RS_OK;
}

static rs_status fill_fuel(tile *at, double *sum_d)
{
    const rs_eval *e = &at->e;
    const rs_plan *p = e->p;
    RS_TRY(rs_eval_node(e, base_node(p), at->v[RS_V_BASE]));
    at->has[RS_V_BASE] = true;
    if (!p->fuel) return fill_first(at);
    at->has[RS_V_DELTA] = at->has[RS_V_DAMPED] = rs_node_has_delta(p, p->fuel, e->i);
    if (!at->has[RS_V_DELTA]) return RS_OK;
    RS_TRY(rs_eval_delta(e, p->fuel, at->v[RS_V_BASE], at->v[RS_V_DELTA]));
    return fill_damped(at, sum_d);
}

static rs_status fill_other(tile *at)
{
    const rs_eval *e = &at->e;
    const rs_plan *p = e->p;
    at->has[RS_V_OTHER] = p->other != NULL;
    if (!p->other) return RS_OK;
    const rs_src_model *a = rs_node_leaf(p, p->other, e->i);
    if (!a || !rs_same_model(a, rs_node_leaf(p, base_node(p), e->i)))
        return rs_eval_node(e, p->other, at->v[RS_V_OTHER]);
    memcpy(at->v[RS_V_OTHER], at->v[RS_V_BASE], (size_t)e->n * sizeof(float));
    return RS_OK;
}

static void add_grams(const tile *at, bool has_fisher, rs_tensor_sums *out)
{
    const rs_merge_kernels *k = at->e.k;
    int64_t n = at->e.n;
    for (int a = 0; a < RS_N_V; a++)
        for (int b = a; b < RS_N_V; b++) {
            if (!at->has[a] || !at->has[b]) continue;
            double plain = k->dot(at->v[a], at->v[b], n);
            double weighted = has_fisher ? k->dot3(at->f, at->v[a], at->v[b], n) : 0;
            out->gram[a][b] += plain;
            out->fisher[a][b] += weighted;
            if (a == b) continue;
            out->gram[b][a] += plain;
            out->fisher[b][a] += weighted;
        }
}

static rs_status add_fisher(tile *at, rs_tensor_sums *out)
{
    const rs_eval *e = &at->e;
    const rs_src_fisher *f = &e->p->sources->fishers[e->p->damage_fisher];
    const rs_tensor *x = f->tensor[e->i];
    RS_TRY(rs_checkpoint_read_f32(f->file, x, e->first, e->n, at->f, e->err));
    if (e->k->not_finite(at->f, e->n) || e->k->negative(at->f, e->n))
        return rs_fail(e->err, RS_E_INVALID,
                       "Fisher \"%s\" (%.300s): %s holds a negative or infinite value",
                       f->name, f->path, x->name);
    out->sum_f += e->k->sum(at->f, e->n);
    double most = e->k->largest(at->f, e->n);
    if (most > out->max_f) out->max_f = most;
    return RS_OK;
}

/* The output as it is stored, against the base as it would be stored. */
static rs_status add_output(tile *at, rs_tensor_sums *out)
{
    const rs_eval *e = &at->e;
    const rs_kernels *kernels = e->rt->kernels;
    rs_dtype d = e->p->tensors[e->i].out_dtype;
    int64_t n = e->n;
    size_t bytes = (size_t)n * (size_t)rs_dtype_of(d)->block_bytes;
    const float *w0 = at->v[RS_V_BASE];
    RS_TRY(rs_eval_node(e, e->p->root, at->y));
    void *a = at->stored, *b = at->f; /* F is done with */
    rs_from_f32(kernels, d, at->y, a, n);
    rs_from_f32(kernels, d, w0, b, n);
    out->changed += (double)(d == RS_DTYPE_F32 ? e->k->differing32(a, b, n)
                                               : e->k->differing16(a, b, n));
    memcpy(at->f, a, bytes);
    rs_to_f32(kernels, d, at->f, at->stored, n);
    e->k->subtract(at->stored, w0, at->stored, n);
    e->k->subtract(at->y, w0, at->y, n);
    out->want_dot += e->k->dot(at->stored, at->y, n);
    out->want_norm += e->k->dot(at->y, at->y, n);
    return RS_OK;
}

/* X, and what is left of gain X when the stage is stored. y, F and stored are done with. */
static rs_status add_leak(tile *at, rs_leak_piece *leak, rs_tensor_sums *out)
{
    const rs_eval *e = &at->e;
    const rs_kernels *kernels = e->rt->kernels;
    rs_dtype d = e->p->tensors[e->i].out_dtype;
    const float *w0 = at->v[RS_V_BASE], *x = at->v[RS_V_DAMPED];
    RS_TRY(rs_eval_node(e, e->p->fuel, at->y));
    rs_from_f32(kernels, d, at->y, at->f, e->n);
    rs_to_f32(kernels, d, at->f, at->stored, e->n);
    e->k->subtract(at->stored, w0, at->stored, e->n);
    out->leak[0] += e->k->dot(x, x, e->n);
    out->stored[0] += e->k->dot(at->stored, at->stored, e->n);
    rs_leak_add(leak, RS_LEAK_APPLIED, e->first, e->n, x);
    rs_leak_add(leak, RS_LEAK_STORED, e->first, e->n, at->stored);
    return RS_OK;
}

static rs_status sum_tile(const task *t, tile *at, rs_leak_piece *leak,
                          rs_tensor_sums *out)
{
    RS_TRY(fill_fuel(at, &out->sum_d));
    RS_TRY(fill_other(at));
    if (t->has_fisher) RS_TRY(add_fisher(at, out));
    add_grams(at, t->has_fisher, out);
    if (t->with_output) RS_TRY(add_output(at, out));
    return leak ? add_leak(at, leak, out) : RS_OK;
}

static rs_status sum_piece(const task *t, rs_workspace *ws, int64_t first, int64_t n,
                           rs_leak_piece *leak, rs_tensor_sums *out, rs_err *err)
{
    tile at = {0};
    float **slots[N_BUFFERS] = {&at.f, &at.y, &at.stored};
    int mark = rs_workspace_mark(ws);
    bool fits = true;
    for (int k = 0; k < RS_N_V; k++)
        slots[3 + k] = &at.v[k];
    for (int k = 0; k < N_BUFFERS && fits; k++)
        fits = (*slots[k] = rs_workspace_grab(ws)) != NULL;
    rs_status s = fits ? RS_OK : no_memory(err);
    for (int64_t done = 0; done < n && s == RS_OK; done += at.e.n) {
        int64_t m = n - done < RS_TILE ? n - done : RS_TILE;
        at.e = rs_eval_at(t->team.rt, t->team.p, ws, t->team.i, first + done, m, err);
        s = sum_tile(t, &at, leak, out);
    }
    rs_workspace_back_to(ws, mark);
    return s;
}

static bool do_piece(void *ctx, int64_t piece, int worker)
{
    task *t = ctx;
    rs_team *m = &t->team;
    rs_leak_piece *leak = NULL;
    rs_err *err = &m->errors[worker];
    int64_t first = piece * t->length, n = m->p->tensors[m->i].base->n_elements - first;
    rs_status s = t->leak ? rs_leak_begin(t->leak, piece, &leak, err) : RS_OK;
    if (s == RS_OK)
        s = sum_piece(t, m->ws[worker], first, n < t->length ? n : t->length, leak,
                      &t->piece[piece], err);
    if (leak) rs_leak_end(leak, s != RS_OK);
    m->status[worker] = s;
    return s == RS_OK;
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
        out->leak[0] += s->leak[0];
        out->stored[0] += s->stored[0];
    }
}

/* Closes the task's leak. */
static void take_leak(task *t, rs_tensor_sums *out)
{
    double u2[RS_LEAK_KINDS], v2[RS_LEAK_KINDS];
    if (!t->leak) out->leak[0] = out->stored[0] = NAN;
    rs_leak_close(t->leak, u2, v2);
    out->leak[1] = u2[RS_LEAK_APPLIED];
    out->leak[2] = v2[RS_LEAK_APPLIED];
    out->stored[1] = u2[RS_LEAK_STORED];
    out->stored[2] = v2[RS_LEAK_STORED];
}

static rs_status run(const rs_runtime *rt, const rs_plan *p, int i, task *t,
                     rs_tensor_sums *out, rs_err *err)
{
    if (t->with_output) RS_TRY(rs_leak_open(rt, p, i, &t->leak, err));
    t->length = t->leak ? rs_leak_length(t->leak) : RS_REDUCE;
    int64_t pieces = (p->tensors[i].base->n_elements + t->length - 1) / t->length;
    rs_pool *pool = pieces > 1 ? rt->pool : NULL;
    t->piece = calloc((size_t)pieces + 1, sizeof *t->piece);
    rs_status s = t->piece ? rs_team_open(&t->team, rt, p, i, pool, err) : no_memory(err);
    if (s == RS_OK) s = rs_team_ready(&t->team, err);
    if (s == RS_OK && !rs_pool_run(pool, pieces, do_piece, t))
        s = rs_team_error(&t->team, err);
    if (s == RS_OK) add_pieces(t, pieces, out);
    take_leak(t, out);
    rs_team_close(&t->team);
    free(t->piece);
    return s;
}

/* Nothing can happen to it: towers, inert K/V, what is no number, the tied head's copy. */
static bool is_idle(const rs_plan *p, int i)
{
    const rs_role *role = &p->sources->role[i];
    return role->kind == RS_KIND_TOWER || role->inert || p->sources->alias[i] >= 0 ||
           !rs_dtype_is_computed(p->sources->base_tensor[i]->dtype) ||
           !rs_dtype_of(p->tensors[i].out_dtype)->is_float ||
           p->tensors[i].out_dtype == RS_DTYPE_F64;
}

rs_status rs_sums_tensor(const rs_runtime *rt, const rs_plan *p, int i, bool with_output,
                         rs_tensor_sums *out, rs_err *err)
{
    rs_err own;
    const rs_plan_tensor *pt = &p->tensors[i];
    task t = {.with_output = with_output};
    memset(out, 0, sizeof *out);
    out->i_tensor = i;
    out->n = (double)pt->base->n_elements;
    out->n_delta = pt->has_delta ? out->n : 0;
    out->at_gain = pt->gain;
    out->at_t = pt->t;
    out->fingerprint = rs_sums_fingerprint(p, i);
    if (!is_idle(p, i)) {
        t.has_fisher =
            p->damage_fisher >= 0 && p->sources->fishers[p->damage_fisher].tensor[i];
        RS_TRY(run(rt, p, i, &t, out, err ? err : &own));
    }
    if (!with_output) out->want_dot = out->want_norm = out->changed = NAN;
    if (is_idle(p, i)) take_leak(&t, out);
    out->valid = 1;
    return RS_OK;
}

bool rs_plan_out_is_known(const rs_plan *p)
{
    if (!p->fuel || p->fuel->base->type != RS_NODE_MODEL) return false;
    if (p->out_stage != (p->heal_stage ? p->heal_stage : p->fuel_stage)) return false;
    return !p->heal_stage || !p->heal_stage->space_delta ||
           strcmp(p->heal_stage->base, p->fuel_stage->base) == 0;
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
    if (p->leak_subspace >= 0) h = rs_mix(h, p->sources->subspaces[p->leak_subspace].id);
    const rs_node *slerp = lone_slerp(p);
    h = rs_mix(h, p->fuel ? rs_node_shape_hash(p, p->fuel, i)
                          : rs_node_hash(p, base_node(p), i));
    if (slerp && slerp->base) h = rs_mix(h, rs_node_hash(p, slerp->side[0], i));
    if (p->fuel && p->fuel->stage->dampen.clamp)
        h = rs_mix_double(h, rs_node_gain(p, p->fuel, i));
    if (p->other) h = rs_mix(h, rs_node_hash(p, p->other, i));
    return h;
}
