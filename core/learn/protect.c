#include "learn/protect.h"

#include "tensor/blas.h"
#include "tensor/lapack.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 40 }; /* of polishing */

static const double near_enough = 2e-6, too_far = 0.1;

/* Directions as columns, [n, k]; q NULL: none. */
typedef struct basis {
    float *q;
    int64_t n, k;
} basis;

typedef struct share {
    double out, in, all;
} share;

struct rs_protection {
    const rs_runtime *rt;
    const rs_lora *l;
    basis *u, *v; /* [pairs] */
    share *shares;
    double *scratch; /* `each` for every worker */
    int64_t each;
    bool any;
};

rs_status rs_protection_new(const rs_runtime *rt, const rs_lora *l, rs_protection **out,
                            rs_err *err)
{
    *out = NULL;
    rs_protection *p = calloc(1, sizeof *p);
    if (!p) return rs_fail(err, RS_E_NOMEM, "no memory for protected directions");
    p->rt = rt;
    p->l = l;
    p->u = calloc((size_t)l->n, sizeof *p->u);
    p->v = calloc((size_t)l->n, sizeof *p->v);
    p->shares = calloc((size_t)l->n, sizeof *p->shares);
    if (p->u && p->v && p->shares) return *out = p, RS_OK;
    rs_protection_free(p);
    return rs_fail(err, RS_E_NOMEM, "no memory for protected directions");
}

void rs_protection_free(rs_protection *p)
{
    if (!p) return;
    for (int i = 0; i < p->l->n; i++) {
        if (p->u) free(p->u[i].q);
        if (p->v) free(p->v[i].q);
    }
    free(p->u);
    free(p->v);
    free(p->shares);
    free(p->scratch);
    free(p);
}

bool rs_protects(const rs_protection *p)
{
    return p && p->any;
}

uint64_t rs_protection_bytes(const rs_protection *p)
{
    uint64_t bytes = p ? (uint64_t)(p->each * p->rt->threads) * sizeof(double) : 0;
    for (int i = 0; p && i < p->l->n; i++)
        bytes += (uint64_t)(p->u[i].n * p->u[i].k + p->v[i].n * p->v[i].k) * sizeof(float);
    return bytes;
}

/* --- orthonormal columns --- */

/* The larger; what is no number stays one. */
static double worse(double a, double b)
{
    return isnan(a) || a > b ? a : b;
}

/* How far g = q^T q is from 1, columns of zeros left aside. */
static double off_one(const double *g, int64_t k)
{
    double worst = 0;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k && g[i * k + i] != 0; j++)
            worst = worse(worst, fabs(g[i * k + j] - (i == j)));
    return worst;
}

typedef struct polishing {
    double *q, *next; /* [n, k] */
    double *g;        /* [k, k] */
    int64_t n, k;
} polishing;

/* q <- q (3 - q^T q) / 2, which doubles the digits that are right, until all are. Small
 * products of many columns may still add up to a Gram matrix with an eigenvalue above 3, from
 * where this goes nowhere. */
static rs_status polish(void *ctx, rs_err *err)
{
    const polishing *p = ctx;
    double *q = p->q, *next = p->next, *g = p->g, first = 0;
    int64_t n = p->n, k = p->k;
    for (int round = 0; round < ROUNDS; round++) {
        rs_lapack_product(k, k, n, q, true, q, 0, g);
        double off = off_one(g, k);
        if (off <= (round ? 1e-12 : near_enough)) return RS_OK;
        if (round == 0) first = off;
        if (!(off <= (round ? 3 : too_far))) break;
        for (int64_t i = 0; i < k * k; i++)
            g[i] = (i % (k + 1) ? 0 : 1.5) - g[i] / 2;
        rs_lapack_product(n, k, k, q, false, g, 0, next);
        memcpy(q, next, (size_t)(n * k) * sizeof *q);
    }
    return rs_fail(err, RS_E_INVALID,
                   "columns are not orthonormal: their products are off by %.2g", first);
}

static rs_status take_basis(const rs_runtime *rt, basis *b, const float *q, int64_t n,
                            int64_t k, rs_err *err)
{
    size_t size = (size_t)(n * k);
    double *work = malloc((2 * size + (size_t)(k * k)) * sizeof *work);
    free(b->q);
    *b = (basis){malloc(size * sizeof *b->q), n, k};
    rs_status s = work && b->q
                      ? RS_OK
                      : rs_fail(err, RS_E_NOMEM, "no memory for protected directions");
    for (size_t i = 0; i < size && s == RS_OK; i++)
        work[i] = (double)q[i];
    if (s == RS_OK) {
        polishing job = {work, work + size, work + 2 * size, n, k};
        s = rs_blas_spread(rt->threads, polish, &job, err);
    }
    for (size_t i = 0; i < size && s == RS_OK; i++)
        b->q[i] = (float)work[i];
    free(work);
    return s;
}

/* Room for one pair's sums: both factors, a basis, what is along it, Gram matrices. */
static rs_status make_room(rs_protection *p, const rs_lora_pair *pair, int64_t k,
                           rs_err *err)
{
    int64_t r = p->l->rank, n = pair->rows > pair->cols ? pair->rows : pair->cols;
    int64_t need = n * (3 * r + k) + k * r + 2 * r * r;
    if (need <= p->each) return RS_OK;
    free(p->scratch);
    p->scratch = malloc((size_t)(need * p->rt->threads) * sizeof *p->scratch);
    p->each = p->scratch ? need : 0;
    return p->scratch ? RS_OK
                      : rs_fail(err, RS_E_NOMEM, "no memory for protected directions");
}

rs_status rs_protect(rs_protection *p, int i, const float *u, const float *v, int64_t k,
                     rs_err *err)
{
    const rs_lora_pair *pair = &p->l->pairs[i];
    if (k < 1 || (u && k > pair->rows) || (v && k > pair->cols))
        return rs_fail(err, RS_E_INVALID,
                       "%s is %" PRId64 " x %" PRId64 ": %" PRId64
                       " directions do not fit",
                       pair->weight, pair->rows, pair->cols, k);
    RS_TRY(make_room(p, pair, k, err));
    rs_status s = RS_OK;
    if (u) s = take_basis(p->rt, &p->u[i], u, pair->rows, k, err);
    if (s == RS_OK && v) s = take_basis(p->rt, &p->v[i], v, pair->cols, k, err);
    if (s != RS_OK) return rs_err_prefix(err, "protected directions of %s", pair->weight);
    p->any |= u || v;
    return RS_OK;
}

/* --- one pair --- */

typedef struct work {
    double *x, *y, *spare, *q, *along, *gx, *gy;
} work;

static work work_of(const rs_protection *p, const rs_lora_pair *pair, int worker)
{
    int64_t r = p->l->rank, n = pair->rows > pair->cols ? pair->rows : pair->cols;
    double *at = p->scratch + worker * p->each;
    work w = {.x = at, .y = at + n * r, .spare = at + 2 * n * r, .gx = at + 3 * n * r};
    w.gy = w.gx + r * r;
    w.along = w.gy + r * r;
    return w; /* q: after `along`, whose size is the basis's */
}

/* x [n, r] of a factor that is [r, n], or [n, r] as it lies. */
static void take_factor(const float *from, int64_t n, int64_t r, bool turned, double *x)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < r; j++)
            x[i * r + j] = (double)from[turned ? j * n + i : i * r + j];
}

/* w->along [k, r] = q^T x */
static void look_along(work *w, const basis *b, const double *x, int64_t r)
{
    w->q = w->along + b->k * r;
    for (int64_t i = 0; i < b->n * b->k; i++)
        w->q[i] = (double)b->q[i];
    rs_lapack_product(b->k, r, b->n, w->q, true, x, 0, w->along);
}

/* The factor less `strength` of what lies along the basis. */
static void project(work *w, const basis *b, float *factor, int64_t r, bool turned,
                    double strength)
{
    if (!b->q) return;
    take_factor(factor, b->n, r, turned, w->x);
    look_along(w, b, w->x, r);
    rs_lapack_product(b->n, r, b->k, w->q, false, w->along, 0, w->spare);
    for (int64_t i = 0; i < b->n; i++)
        for (int64_t j = 0; j < r; j++) {
            double v = w->x[i * r + j] - strength * w->spare[i * r + j];
            factor[turned ? j * b->n + i : i * r + j] = (float)v;
        }
}

typedef struct projecting {
    rs_protection *p;
    double strength;
    bool gradients;
} projecting;

static bool project_pair(void *ctx, int64_t i, int worker)
{
    const projecting *c = ctx;
    const rs_lora_pair *pair = &c->p->l->pairs[i];
    int64_t r = c->p->l->rank;
    work w = work_of(c->p, pair, worker);
    project(&w, &c->p->v[i], c->gradients ? pair->da : pair->a, r, true, c->strength);
    project(&w, &c->p->u[i], c->gradients ? pair->db : pair->b, r, false, c->strength);
    return true;
}

void rs_project_factors(rs_protection *p, double strength)
{
    projecting c = {p, strength, false};
    if (p->any) rs_pool_run(p->rt->pool, p->l->n, project_pair, &c);
}

void rs_project_gradients(rs_protection *p, double strength)
{
    projecting c = {p, strength, true};
    if (p->any) rs_pool_run(p->rt->pool, p->l->n, project_pair, &c);
}

/* --- the leak --- */

/* sum over rows a of x [k, r] of a g a^T */
static double weigh(const double *x, int64_t k, const double *g, int64_t r)
{
    double sum = 0;
    for (int64_t i = 0; i < k; i++)
        for (int64_t a = 0; a < r; a++) {
            double row = 0;
            for (int64_t b = 0; b < r; b++)
                row += g[a * r + b] * x[i * r + b];
            sum += row * x[i * r + a];
        }
    return sum;
}

/* x = A^T, y = B: ||B A||^2 = <A A^T, B^T B>, ||U^T B A||^2 = weigh(U^T B, A A^T). */
static bool measure_pair(void *ctx, int64_t i, int worker)
{
    rs_protection *p = ctx;
    const rs_lora_pair *pair = &p->l->pairs[i];
    int64_t r = p->l->rank;
    work w = work_of(p, pair, worker);
    share *s = &p->shares[i];
    *s = (share){0, 0, 0};
    if (!p->u[i].q && !p->v[i].q) return true;
    take_factor(pair->a, pair->cols, r, true, w.x);
    take_factor(pair->b, pair->rows, r, false, w.y);
    rs_lapack_product(r, r, pair->cols, w.x, true, w.x, 0, w.gx);
    rs_lapack_product(r, r, pair->rows, w.y, true, w.y, 0, w.gy);
    for (int64_t k = 0; k < r * r; k++)
        s->all += w.gx[k] * w.gy[k];
    if (p->u[i].q) {
        look_along(&w, &p->u[i], w.y, r);
        s->out = weigh(w.along, p->u[i].k, w.gx, r);
    }
    if (p->v[i].q) {
        look_along(&w, &p->v[i], w.x, r);
        s->in = weigh(w.along, p->v[i].k, w.gy, r);
    }
    return true;
}

static double ratio(double part, double all)
{
    return part > 0 ? part / all : part; /* 0 of 0 is 0; NaN stays */
}

rs_leak rs_leak_of(rs_protection *p)
{
    rs_leak leak = {0, 0, 0};
    double of_u = 0, of_v = 0;
    if (p->any) rs_pool_run(p->rt->pool, p->l->n, measure_pair, p);
    for (int i = 0; i < p->l->n && p->any; i++) {
        const share *s = &p->shares[i];
        if (p->u[i].q) leak.out += s->out, of_u += s->all;
        if (p->v[i].q) leak.in += s->in, of_v += s->all;
        leak.most = worse(leak.most, worse(ratio(s->out, s->all), ratio(s->in, s->all)));
    }
    leak.out = ratio(leak.out, of_u);
    leak.in = ratio(leak.in, of_v);
    return leak;
}
