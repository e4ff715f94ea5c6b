/* How fast and how exact the leading part of a singular value decomposition is found:
 *
 *     bench_svd [ROWS COLUMNS RANK]     (2560 10240 256)
 *
 * Reference is LAPACK's sgesdd on the same matrix in the same run, which this program calls
 * itself; then our exact way (eigenvalues of a Gram matrix). The excess is how much more than
 * the best possible residual of this rank is left, on a Gaussian matrix and on one with
 * singular values 1/i, and for all matrices of the sparring models' differences at rank 16. */
#include "base/rng.h"
#include "model/family.h"
#include "store/checkpoint.h"
#include "tensor/svd.h"
#include "tests/bench/bench.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 2 }; /* others may use the processor: the best of each counts */

static float *floats(int64_t n)
{
    float *a = malloc((size_t)n * sizeof *a);
    if (!a) die("no memory");
    return a;
}

/* Nearly normal: a sum of four. */
static float *gaussian(int64_t n, uint64_t seed)
{
    float *a = floats(n);
    for (int64_t i = 0; i < n; i++) {
        uint64_t r = rs_rng_at(seed, 3, (uint64_t)i);
        double sum = 0;
        for (int k = 0; k < 4; k++)
            sum += (double)(r >> 16 * k & 0xffff) - 32767.5;
        a[i] = (float)(sum / 37837.0);
    }
    return a;
}

/* a [m, n] becomes (1 - 2 u u^T) a (1 - 2 v v^T) for unit vectors: the singular values stay. */
static void reflect(float *a, int64_t m, int64_t n, uint64_t seed)
{
    float *u = gaussian(m, seed), *v = gaussian(n, seed + 1);
    double *along = calloc((size_t)n, sizeof *along), uu = 0, vv = 0;
    if (!along) die("no memory");
    for (int64_t i = 0; i < m; i++)
        uu += (double)u[i] * (double)u[i];
    for (int64_t j = 0; j < n; j++)
        vv += (double)v[j] * (double)v[j];
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            along[j] += 2 / uu * (double)u[i] * (double)a[i * n + j];
    for (int64_t i = 0; i < m; i++) {
        double dot = 0;
        for (int64_t j = 0; j < n; j++) {
            a[i * n + j] -= (float)((double)u[i] * along[j]);
            dot += (double)a[i * n + j] * (double)v[j];
        }
        for (int64_t j = 0; j < n; j++)
            a[i * n + j] -= (float)(2 / vv * dot * (double)v[j]);
    }
    free(u);
    free(v);
    free(along);
}

static float *one_over_i(int64_t m, int64_t n)
{
    float *a = floats(m * n);
    memset(a, 0, (size_t)(m * n) * sizeof *a);
    for (int64_t i = 0; i < m && i < n; i++)
        a[i * n + i] = 1 / (float)(i + 1);
    reflect(a, m, n, 20);
    reflect(a, m, n, 30);
    return a;
}

/* Seconds of the whole decomposition; a [m, n] row-major is n x m column-major to LAPACK. */
static double sgesdd(const rs_runtime *rt, const float *d, int64_t m, int64_t n)
{
    int64_t k = m < n ? m : n;
    float *a = floats(m * n), *u = floats(n * k), *s = floats(k), *vt = floats(k * m);
    memcpy(a, d, (size_t)(m * n) * sizeof *a);
    openblas_set_num_threads(rt->threads);
    double t = now();
    if (LAPACKE_sgesdd(LAPACK_COL_MAJOR, 'S', (lapack_int)n, (lapack_int)m, a,
                       (lapack_int)n, s, u, (lapack_int)n, vt, (lapack_int)k) != 0)
        die("sgesdd did not converge");
    t = now() - t;
    openblas_set_num_threads(1);
    free(a), free(u), free(s), free(vt);
    return t;
}

typedef struct timed {
    double seconds, left; /* left: squares that the rank does not hold */
} timed;

static timed decompose(const rs_runtime *rt, const float *d, int64_t m, int64_t n,
                       int rank, bool exact)
{
    rs_svd s;
    rs_err err;
    double from = now();
    if ((exact ? rs_svd_exact(rt, d, m, n, rank, &s, &err)
               : rs_svd_random(rt, d, m, n, rank, 1, &s, &err)) != RS_OK)
        die(err.msg);
    timed t = {now() - from, s.squares - s.kept};
    rs_svd_free(&s);
    return t;
}

static void best_of(timed *best, timed t)
{
    if (t.seconds < best->seconds) *best = t;
}

static double excess(const timed *ours, const timed *best)
{
    return 100 * (sqrt(ours->left / best->left) - 1);
}

static void row(const char *what, double ours, const char *unit, double reference,
                const char *than, double ratio, double bar, const char *more)
{
    printf("%-26s %8.2f %-10s %8.2f %-10s %5.2f  (target %g)  %s\n", what, ours, unit,
           reference, than, ratio, bar, more);
}

static void excess_row(const char *what, double percent, double bar)
{
    printf("%-26s %8.3f %-10s %30.2f  (at most %g)\n", what, percent, "% excess",
           percent / bar, bar);
}

static void large(const rs_runtime *rt, int64_t m, int64_t n, int rank)
{
    float *d = gaussian(m * n, 1);
    timed fast = {1e30, 0}, exact = {1e30, 0};
    double whole = 1e30;
    for (int r = 0; r < ROUNDS; r++) {
        best_of(&fast, decompose(rt, d, m, n, rank, false));
        best_of(&exact, decompose(rt, d, m, n, rank, true));
        best_of(&fast, decompose(rt, d, m, n, rank, false));
        double t = sgesdd(rt, d, m, n);
        if (t < whole) whole = t;
    }
    row("randomised SVD", fast.seconds, "s", whole, "s sgesdd", whole / fast.seconds, 12,
        "Gaussian");
    row("randomised SVD", fast.seconds, "s", exact.seconds, "s exact",
        exact.seconds / fast.seconds, 2, "Gaussian");
    excess_row("  residual, Gaussian", excess(&fast, &exact), 2);
    free(d);
    d = one_over_i(m, n);
    fast = decompose(rt, d, m, n, rank, false);
    exact = decompose(rt, d, m, n, rank, true);
    excess_row("  residual, 1/i", excess(&fast, &exact), 1);
    free(d);
}

static double excess_of(const rs_runtime *rt, const rs_checkpoint *a,
                        const rs_checkpoint *b, const rs_tensor *t, int rank)
{
    rs_err err;
    const rs_tensor *other = rs_checkpoint_find(b, t->name);
    float *d = floats(t->n_elements), *e = floats(t->n_elements);
    if (!other || rs_checkpoint_read_f32(a, t, 0, t->n_elements, d, &err) != RS_OK ||
        rs_checkpoint_read_f32(b, other, 0, t->n_elements, e, &err) != RS_OK)
        die("the sparring models do not fit together");
    for (int64_t i = 0; i < t->n_elements; i++)
        d[i] -= e[i];
    timed fast = decompose(rt, d, t->dim[0], t->dim[1], rank, false);
    timed best = decompose(rt, d, t->dim[0], t->dim[1], rank, true);
    free(d);
    free(e);
    return excess(&fast, &best);
}

static void sparring(const rs_runtime *rt)
{
    rs_err err;
    rs_checkpoint *it, *pt;
    double worst = 0;
    if (rs_checkpoint_open("recipes/sparring/it", &it, &err) != RS_OK) die(err.msg);
    if (rs_checkpoint_open("recipes/sparring/pt", &pt, &err) != RS_OK) die(err.msg);
    for (int i = 0; i < rs_checkpoint_count(it); i++) {
        const rs_tensor *t = rs_checkpoint_at(it, i);
        bool small = t->n_dims != 2 || t->dim[0] <= 16 || t->dim[1] <= 16;
        if (small || !strstr(t->name, "layers.")) continue;
        double e = excess_of(rt, it, pt, t, 16);
        if (!(e <= worst)) worst = e;
    }
    excess_row("  residual, it - pt, r 16", worst, 1);
    rs_checkpoint_close(it);
    rs_checkpoint_close(pt);
}

int main(int argc, char **argv)
{
    rs_err err;
    rs_runtime rt;
    int64_t m = argc > 3 ? atoll(argv[1]) : 2560, n = argc > 3 ? atoll(argv[2]) : 10240;
    int rank = argc > 3 ? atoi(argv[3]) : 256;
    if (rs_init(NULL, &rt, &err) != RS_OK) die(err.msg);
    printf("%ld x %ld, rank %d, %d threads, %s\n", (long)m, (long)n, rank, rt.threads,
           rt.kernels->isa);
    large(&rt, m, n, rank);
    sparring(&rt);
    rs_quit(&rt);
    return 0;
}
