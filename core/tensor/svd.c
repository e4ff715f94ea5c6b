#include "tensor/svd.h"

#include "base/rng.h"
#include "tensor/blas.h"
#include "tensor/lapack.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OVERSAMPLING = 16, POWERS = 2, BLOCK = 256 };

static rs_status no_memory(int64_t rows, int64_t cols, rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM,
                   "no memory to decompose a matrix of %" PRId64 " x %" PRId64, rows,
                   cols);
}

static double squares_of(const float *d, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)d[i] * (double)d[i];
    return sum;
}

static rs_status allocate(rs_svd *s, const float *d, int64_t rows, int64_t cols, int rank,
                          rs_err *err)
{
    *s = (rs_svd){.rows = rows, .cols = cols, .rank = rank};
    if (rank < 1 || rank > (rows < cols ? rows : cols))
        return rs_fail(err, RS_E_INVALID, "rank %d of a matrix of %" PRId64 " x %" PRId64,
                       rank, rows, cols);
    s->u = malloc((size_t)(rows * rank) * sizeof *s->u);
    s->v = malloc((size_t)(cols * rank) * sizeof *s->v);
    s->s = malloc((size_t)rank * sizeof *s->s);
    s->squares = squares_of(d, rows * cols);
    return s->u && s->v && s->s ? RS_OK : no_memory(rows, cols, err);
}

void rs_svd_free(rs_svd *s)
{
    free(s->u);
    free(s->v);
    free(s->s);
    *s = (rs_svd){0};
}

/* --- exact --- */

/* Rows [r, r + n) of D, or where `tall` is false its columns, in float64: block [n, small] or
 * [small, n]. */
static void widen(const float *d, int64_t rows, int64_t cols, bool tall, int64_t r,
                  int64_t n, double *block)
{
    for (int64_t i = 0; tall && i < n * cols; i++)
        block[i] = (double)d[r * cols + i];
    for (int64_t i = 0; !tall && i < rows; i++)
        for (int64_t j = 0; j < n; j++)
            block[i * n + j] = (double)d[i * cols + r + j];
}

static bool gram(const float *d, int64_t rows, int64_t cols, double *g)
{
    bool tall = rows >= cols;
    int64_t small = tall ? cols : rows, large = tall ? rows : cols;
    double *block = malloc((size_t)(BLOCK * small) * sizeof *block);
    if (!block) return false;
    for (int64_t r = 0; r < large; r += BLOCK) {
        int64_t n = large - r < BLOCK ? large - r : BLOCK;
        widen(d, rows, cols, tall, r, n, block);
        rs_lapack_gram(small, n, block, !tall, r > 0, g);
    }
    free(block);
    return true;
}

rs_status rs_svd_values(const rs_runtime *rt, const float *d, int64_t rows, int64_t cols,
                        double *s, rs_err *err)
{
    int64_t n = rows < cols ? rows : cols;
    double *g = malloc((size_t)(n * n) * sizeof *g);
    rs_blas_threads(rt->threads);
    bool good = g && gram(d, rows, cols, g) && rs_lapack_eigen(n, g, n, s, NULL);
    rs_blas_threads(1);
    free(g);
    for (int64_t i = 0; good && i < n; i++)
        s[i] = s[i] > 0 ? sqrt(s[i]) : 0;
    return good ? RS_OK : no_memory(rows, cols, err);
}

int rs_svd_rank_of(const double *s, int64_t n, double energy)
{
    double all = 0, sum = 0;
    for (int64_t i = 0; i < n; i++)
        all += s[i] * s[i];
    for (int64_t i = 0; i < n; i++) {
        sum += s[i] * s[i];
        if (sum >= energy * all) return (int)i + 1;
    }
    return (int)n;
}

/* The larger side from the smaller one: columns of D W / s. */
static bool other_side(const rs_svd *o, const float *d, const double *w,
                       const double *value)
{
    bool tall = o->rows >= o->cols;
    int64_t small = tall ? o->cols : o->rows, large = tall ? o->rows : o->cols,
            k = o->rank;
    float *to = tall ? o->u : o->v;
    double *block = malloc((size_t)(BLOCK * (small + k)) * sizeof *block);
    if (!block) return false;
    double *part = block + BLOCK * small;
    for (int64_t r = 0; r < large; r += BLOCK) {
        int64_t n = large - r < BLOCK ? large - r : BLOCK;
        widen(d, o->rows, o->cols, tall, r, n, block);
        rs_lapack_product(n, k, small, block, !tall, w, 0, part);
        for (int64_t i = 0; i < n * k; i++) {
            double s = value[i % k];
            to[r * k + i] = s > 0 ? (float)(part[i] / s) : 0;
        }
    }
    free(block);
    return true;
}

static bool exact(rs_svd *o, const float *d, double *g, double *value, double *w)
{
    bool tall = o->rows >= o->cols;
    int64_t small = tall ? o->cols : o->rows, k = o->rank;
    if (!gram(d, o->rows, o->cols, g) || !rs_lapack_eigen(small, g, k, value, w))
        return false;
    for (int64_t j = 0; j < k; j++) {
        value[j] = value[j] > 0 ? sqrt(value[j]) : 0;
        o->s[j] = (float)value[j];
        o->kept += value[j] * value[j];
    }
    float *near = tall ? o->v : o->u;
    for (int64_t i = 0; i < small * k; i++)
        near[i] = (float)w[i];
    return other_side(o, d, w, value);
}

rs_status rs_svd_exact(const rs_runtime *rt, const float *d, int64_t rows, int64_t cols,
                       int rank, rs_svd *out, rs_err *err)
{
    rs_status status = allocate(out, d, rows, cols, rank, err);
    int64_t n = rows < cols ? rows : cols;
    double *g = status == RS_OK ? malloc((size_t)(n * n) * sizeof *g) : NULL;
    double *w = g ? malloc((size_t)(n * rank + rank) * sizeof *w) : NULL;
    rs_blas_threads(rt->threads);
    if (status == RS_OK && (!w || !exact(out, d, g, w + n * rank, w)))
        status = no_memory(rows, cols, err);
    rs_blas_threads(1);
    free(g);
    free(w);
    if (status != RS_OK) rs_svd_free(out);
    return status;
}

/* --- random --- */

/* Standard normal numbers by Box and Muller, from a counter. */
static void fill_normal(float *a, int64_t n, uint64_t seed)
{
    for (int64_t i = 0; i < n; i += 2) {
        double u = (double)((rs_rng_at(seed, 1, (uint64_t)i) >> 11) + 1) * 0x1p-53;
        double v = (double)(rs_rng_at(seed, 2, (uint64_t)i) >> 11) * 0x1p-53;
        double r = sqrt(-2 * log(u)), turn = 2 * 3.14159265358979323846 * v;
        a[i] = (float)(r * cos(turn));
        if (i + 1 < n) a[i + 1] = (float)(r * sin(turn));
    }
}

/* y [rows, k]: an orthonormal basis of nearly the range of D. z [cols, k]: scratch. */
static bool find_range(const float *d, int64_t rows, int64_t cols, int64_t k,
                       uint64_t seed, float *y, float *z)
{
    fill_normal(z, cols * k, seed);
    for (int q = 0; q <= POWERS; q++) {
        rs_blas_ab(rows, k, cols, d, cols, z, k, 0, y, k);
        if (!rs_lapack_orthonormal(rows, k, y)) return false;
        if (q == POWERS) break;
        rs_blas_atb(cols, k, rows, d, cols, y, k, 0, z, k);
        if (!rs_lapack_orthonormal(cols, k, z)) return false;
    }
    return true;
}

typedef struct small_side {
    int64_t k;
    float *y, *b; /* [rows, k], [k, cols] */
    double *wide, *g, *w, *value;
} small_side;

/* The decomposition of b = y^T D, turned back by y. */
static bool decompose(rs_svd *o, const small_side *p)
{
    int64_t k = p->k, r = o->rank, cols = o->cols;
    for (int64_t i = 0; i < k * cols; i++)
        p->wide[i] = (double)p->b[i];
    rs_lapack_gram(k, cols, p->wide, true, 0, p->g);
    if (!rs_lapack_eigen(k, p->g, r, p->value, p->w)) return false;
    for (int64_t j = 0; j < r; j++) {
        double s = p->value[j] > 0 ? sqrt(p->value[j]) : 0;
        o->s[j] = (float)s;
        o->kept += s * s;
    }
    float *turn = (float *)(void *)p->g; /* [k, r] in float32 */
    for (int64_t i = 0; i < k * r; i++)
        turn[i] = (float)p->w[i];
    rs_blas_ab(o->rows, r, k, p->y, k, turn, r, 0, o->u, r);
    for (int64_t i = 0; i < k * r; i++)
        turn[i] = o->s[i % r] > 0 ? turn[i] / o->s[i % r] : 0;
    rs_blas_atb(cols, r, k, p->b, cols, turn, r, 0, o->v, r);
    return true;
}

static bool random_svd(rs_svd *o, const float *d, small_side *p, uint64_t seed)
{
    float *z = p->b; /* [cols, k], the same size */
    if (!find_range(d, o->rows, o->cols, p->k, seed, p->y, z)) return false;
    rs_blas_atb(p->k, o->cols, o->rows, p->y, p->k, d, o->cols, 0, p->b, o->cols);
    return decompose(o, p);
}

rs_status rs_svd_random(const rs_runtime *rt, const float *d, int64_t rows, int64_t cols,
                        int rank, uint64_t seed, rs_svd *out, rs_err *err)
{
    rs_status status = allocate(out, d, rows, cols, rank, err);
    int64_t n = rows < cols ? rows : cols;
    small_side p = {.k = rank + OVERSAMPLING < n ? rank + OVERSAMPLING : n};
    p.y = malloc((size_t)(rows * p.k) * sizeof *p.y);
    p.b = malloc((size_t)(cols * p.k) * sizeof *p.b);
    p.wide = malloc((size_t)(cols * p.k) * sizeof *p.wide);
    p.g = malloc((size_t)(p.k * p.k) * sizeof *p.g);
    p.w = malloc((size_t)(p.k * (rank + 1)) * sizeof *p.w);
    p.value = p.w ? p.w + p.k * rank : NULL;
    rs_blas_threads(rt->threads);
    bool good = p.y && p.b && p.wide && p.g && p.w;
    if (status == RS_OK && (!good || !random_svd(out, d, &p, seed)))
        status = no_memory(rows, cols, err);
    rs_blas_threads(1);
    free(p.y);
    free(p.b);
    free(p.wide);
    free(p.g);
    free(p.w);
    if (status != RS_OK) rs_svd_free(out);
    return status;
}
