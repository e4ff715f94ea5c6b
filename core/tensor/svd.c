#include "tensor/svd.h"

#include "base/rng.h"
#include "tensor/blas.h"
#include "tensor/lapack.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { OVERSAMPLING = 24, RANK_SHARE = 8, POWERS = 2, BLOCK = 256 };

static rs_status no_memory(int64_t rows, int64_t cols, rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM,
                   "no memory to decompose a matrix of %" PRId64 " x %" PRId64, rows,
                   cols);
}

/* The sum of squares, which is finite if all numbers are: they are float32. */
static rs_status sum_squares(const float *d, int64_t rows, int64_t cols, double *sum,
                             rs_err *err)
{
    int64_t at = 0, n = rows * cols, i = 0;
    double part[8] = {0};
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++)
            part[k] += (double)d[i + k] * (double)d[i + k];
    for (; i < n; i++)
        part[0] += (double)d[i] * (double)d[i];
    *sum = 0;
    for (int k = 0; k < 8; k++)
        *sum += part[k];
    if (isfinite(*sum)) return RS_OK;
    while (isfinite(d[at]))
        at++;
    return rs_fail(err, RS_E_INVALID,
                   "a matrix of %" PRId64 " x %" PRId64
                   " cannot be decomposed: row %" PRId64 ", column %" PRId64 " is %s",
                   rows, cols, at / cols, at % cols, isnan(d[at]) ? "NaN" : "infinite");
}

static rs_status allocate(rs_svd *s, const float *d, int64_t rows, int64_t cols, int rank,
                          rs_err *err)
{
    *s = (rs_svd){.rows = rows, .cols = cols, .rank = rank};
    if (rank < 1 || rank > (rows < cols ? rows : cols))
        return rs_fail(err, RS_E_INVALID, "rank %d of a matrix of %" PRId64 " x %" PRId64,
                       rank, rows, cols);
    RS_TRY(sum_squares(d, rows, cols, &s->squares, err));
    s->u = malloc((size_t)(rows * rank) * sizeof *s->u);
    s->v = malloc((size_t)(cols * rank) * sizeof *s->v);
    s->s = malloc((size_t)rank * sizeof *s->s);
    return s->u && s->v && s->s ? RS_OK : no_memory(rows, cols, err);
}

void rs_svd_free(rs_svd *s)
{
    free(s->u);
    free(s->v);
    free(s->s);
    *s = (rs_svd){0};
}

/* One decomposition. */
typedef struct job {
    const float *d; /* [rows, cols] */
    int64_t rows, cols;
    rs_svd *out;
    double *values; /* of rs_svd_values */
    uint64_t seed;
} job;

static bool is_tall(const job *j)
{
    return j->rows >= j->cols;
}

static int64_t small_side(const job *j)
{
    return is_tall(j) ? j->cols : j->rows;
}

static int64_t large_side(const job *j)
{
    return is_tall(j) ? j->rows : j->cols;
}

/* Square roots of eigenvalues, of which rounding may leave some below 0. */
static double root(double value)
{
    return value > 0 ? sqrt(value) : 0;
}

/* --- exact --- */

/* Rows [r, r + n) of D, or where it is wide its columns, in float64: block [n, small] or
 * [small, n]. */
static void widen(const job *j, int64_t r, int64_t n, double *block)
{
    for (int64_t i = 0; is_tall(j) && i < n * j->cols; i++)
        block[i] = (double)j->d[r * j->cols + i];
    for (int64_t i = 0; !is_tall(j) && i < j->rows; i++)
        for (int64_t k = 0; k < n; k++)
            block[i * n + k] = (double)j->d[i * j->cols + r + k];
}

static rs_status gram(const job *j, double *g, rs_err *err)
{
    int64_t small = small_side(j), large = large_side(j);
    double *block = malloc((size_t)(BLOCK * small) * sizeof *block);
    if (!block) return no_memory(j->rows, j->cols, err);
    for (int64_t r = 0; r < large; r += BLOCK) {
        int64_t n = large - r < BLOCK ? large - r : BLOCK;
        widen(j, r, n, block);
        rs_lapack_gram(small, n, block, !is_tall(j), r > 0, g);
    }
    free(block);
    return RS_OK;
}

/* The top eigenvalues of the Gram matrix, and unless w is NULL their vectors [small, top]. */
static rs_status gram_eigen(const job *j, int64_t top, double *value, double *w,
                            rs_err *err)
{
    int64_t n = small_side(j);
    double *g = malloc((size_t)(n * n) * sizeof *g);
    rs_status s = g ? gram(j, g, err) : no_memory(j->rows, j->cols, err);
    if (s == RS_OK) s = rs_lapack_eigen(n, g, top, value, w, err);
    free(g);
    for (int64_t i = 0; s == RS_OK && i < top; i++)
        value[i] = root(value[i]);
    return s;
}

static rs_status values(void *ctx, rs_err *err)
{
    const job *j = ctx;
    return gram_eigen(j, small_side(j), j->values, NULL, err);
}

rs_status rs_svd_values(const rs_runtime *rt, const float *d, int64_t rows, int64_t cols,
                        double *s, rs_err *err)
{
    double squares;
    job j = {.d = d, .rows = rows, .cols = cols, .values = s};
    RS_TRY(sum_squares(d, rows, cols, &squares, err));
    return rs_blas_spread(rt->threads, values, &j, err);
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

double rs_svd_kept(const double *s, int64_t n, int64_t rank)
{
    double all = 0, kept = 0;
    for (int64_t i = 0; i < n; i++) {
        all += s[i] * s[i];
        if (i < rank) kept += s[i] * s[i];
    }
    return all > 0 ? kept / all : 1;
}

/* The larger side from the smaller one: columns of D W / s. */
static rs_status other_side(const job *j, const double *w, const double *value,
                            rs_err *err)
{
    int64_t small = small_side(j), large = large_side(j), k = j->out->rank;
    float *to = is_tall(j) ? j->out->u : j->out->v;
    double *block = malloc((size_t)(BLOCK * (small + k)) * sizeof *block);
    if (!block) return no_memory(j->rows, j->cols, err);
    double *part = block + BLOCK * small;
    for (int64_t r = 0; r < large; r += BLOCK) {
        int64_t n = large - r < BLOCK ? large - r : BLOCK;
        widen(j, r, n, block);
        rs_lapack_product(n, k, small, block, !is_tall(j), w, 0, part);
        for (int64_t i = 0; i < n * k; i++) {
            double s = value[i % k];
            to[r * k + i] = s > 0 ? (float)(part[i] / s) : 0;
        }
    }
    free(block);
    return RS_OK;
}

/* A millionth of the largest is what rounding leaves where there is nothing: such values are
 * 0, and so are their directions, on both sides. */
static void set_values(rs_svd *o, double *value)
{
    for (int64_t i = 0; i < o->rank; i++) {
        if (!(value[i] >= 1e-6 * value[0])) value[i] = 0;
        o->s[i] = (float)value[i];
        o->kept += value[i] * value[i];
    }
}

static rs_status exact(void *ctx, rs_err *err)
{
    const job *j = ctx;
    rs_svd *o = j->out;
    int64_t small = small_side(j), k = o->rank;
    double *w = malloc((size_t)(small * k + k) * sizeof *w);
    double *value = w ? w + small * k : NULL;
    rs_status s = w ? gram_eigen(j, k, value, w, err) : no_memory(j->rows, j->cols, err);
    float *near = is_tall(j) ? o->v : o->u;
    if (s == RS_OK) set_values(o, value);
    for (int64_t i = 0; s == RS_OK && i < small * k; i++)
        near[i] = value[i % k] > 0 ? (float)w[i] : 0;
    if (s == RS_OK) s = other_side(j, w, value, err);
    free(w);
    return s;
}

static rs_status decompose(const rs_runtime *rt, rs_status (*fn)(void *ctx, rs_err *err),
                           job *j, int rank, rs_err *err)
{
    rs_status s = allocate(j->out, j->d, j->rows, j->cols, rank, err);
    if (s == RS_OK) s = rs_blas_spread(rt->threads, fn, j, err);
    if (s == RS_OK && !isfinite(j->out->s[0]))
        s = rs_fail(err, RS_E_INVALID,
                    "a singular value of a matrix of %" PRId64 " x %" PRId64
                    " is not finite in float32",
                    j->rows, j->cols);
    if (s != RS_OK) rs_svd_free(j->out);
    return s;
}

rs_status rs_svd_exact(const rs_runtime *rt, const float *d, int64_t rows, int64_t cols,
                       int rank, rs_svd *out, rs_err *err)
{
    job j = {.d = d, .rows = rows, .cols = cols, .out = out};
    return decompose(rt, exact, &j, rank, err);
}

/* --- random --- */

/* 1 or -1, from a counter: as good a start as normal numbers, and for nothing. */
static void fill_signs(float *a, int64_t n, uint64_t seed)
{
    uint64_t bits = 0;
    for (int64_t i = 0; i < n; i++, bits >>= 1) {
        if (i % 64 == 0) bits = rs_rng_at(seed, 1, (uint64_t)i);
        a[i] = bits & 1 ? 1.0f : -1.0f;
    }
}

typedef struct finder {
    int64_t k;
    float *y,
        *z; /* [small, k] basis of the smaller side, [large, k] what D makes of it */
    double *g, *w, *value;
    float *turn; /* [k, rank] */
} finder;

/* z [large, k] of y [small, k] */
static void to_large(const job *j, const finder *f)
{
    int64_t small = small_side(j), large = large_side(j);
    (is_tall(j) ? rs_blas_ab : rs_blas_atb)(large, f->k, small, j->d, j->cols, f->y, f->k,
                                            0, f->z, f->k);
}

static void to_small(const job *j, const finder *f)
{
    int64_t small = small_side(j), large = large_side(j);
    (is_tall(j) ? rs_blas_atb : rs_blas_ab)(small, f->k, large, j->d, j->cols, f->z, f->k,
                                            0, f->y, f->k);
}

/* y: an orthonormal basis of nearly the leading directions of the smaller side; z of it. */
static rs_status find_range(const job *j, const finder *f, rs_err *err)
{
    fill_signs(f->y, small_side(j) * f->k, j->seed);
    for (int q = 0; q < POWERS; q++) {
        int times = q + 1 < POWERS ? 1 : 2;
        to_large(j, f);
        RS_TRY(rs_lapack_orthonormal(large_side(j), f->k, f->z, 1, err));
        to_small(j, f);
        RS_TRY(rs_lapack_orthonormal(small_side(j), f->k, f->y, times, err));
    }
    to_large(j, f);
    return RS_OK;
}

/* With z^T z = W S^2 W^T the sides are y W and z W / S. */
static rs_status turn_back(const job *j, const finder *f, rs_err *err)
{
    rs_svd *o = j->out;
    int64_t k = f->k, r = o->rank, large = large_side(j);
    float *near = is_tall(j) ? o->v : o->u, *far = is_tall(j) ? o->u : o->v;
    RS_TRY(rs_lapack_gram_of(large, k, f->z, f->g, err));
    RS_TRY(rs_lapack_eigen(k, f->g, r, f->value, f->w, err));
    for (int64_t i = 0; i < r; i++)
        f->value[i] = root(f->value[i]);
    set_values(o, f->value);
    for (int64_t i = 0; i < k * r; i++)
        f->turn[i] = o->s[i % r] > 0 ? (float)f->w[i] : 0;
    rs_blas_ab(small_side(j), r, k, f->y, k, f->turn, r, 0, near, r);
    for (int64_t i = 0; i < k * r; i++)
        f->turn[i] = o->s[i % r] > 0 ? f->turn[i] / o->s[i % r] : 0;
    rs_blas_ab(large, r, k, f->z, k, f->turn, r, 0, far, r);
    /* Of a steep spectrum the last of them stand askew by z's rounding over their value. */
    bool steep = o->s[r - 1] < 1e-3f * o->s[0] && o->s[r - 1] > 0;
    return steep ? rs_lapack_orthonormal(large, r, far, 1, err) : RS_OK;
}

static rs_status random_job(void *ctx, rs_err *err)
{
    const job *j = ctx;
    int64_t small = small_side(j), rank = j->out->rank;
    finder f = {.k = rank + rank / RANK_SHARE + OVERSAMPLING};
    if (f.k > small) f.k = small;
    f.y = malloc((size_t)(small * f.k) * sizeof *f.y);
    f.z = malloc((size_t)(large_side(j) * f.k) * sizeof *f.z);
    f.g = malloc((size_t)(f.k * f.k) * sizeof *f.g);
    f.w = malloc((size_t)((f.k + 1) * rank) * sizeof *f.w);
    f.turn = malloc((size_t)(f.k * rank) * sizeof *f.turn);
    f.value = f.w ? f.w + f.k * rank : NULL;
    rs_status s = f.y && f.z && f.g && f.w && f.turn ? find_range(j, &f, err)
                                                     : no_memory(j->rows, j->cols, err);
    if (s == RS_OK) s = turn_back(j, &f, err);
    free(f.y);
    free(f.z);
    free(f.g);
    free(f.w);
    free(f.turn);
    return s;
}

rs_status rs_svd_random(const rs_runtime *rt, const float *d, int64_t rows, int64_t cols,
                        int rank, uint64_t seed, rs_svd *out, rs_err *err)
{
    job j = {.d = d, .rows = rows, .cols = cols, .out = out, .seed = seed};
    return decompose(rt, random_job, &j, rank, err);
}
