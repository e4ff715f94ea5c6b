#include "tensor/lapack.h"

#include <cblas.h>
#include <inttypes.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>

enum { ROWS = 512 }; /* widened at a time */
#define NEARLY 1e-6  /* of the largest of Cholesky's diagonal: columns too alike */

/* What the library's info says. Negative ones besides these two are its check for NaN. */
static rs_status judge(lapack_int info, const char *what, int64_t m, int64_t n,
                       rs_err *err)
{
    if (info == 0) return RS_OK;
    if (info == LAPACK_WORK_MEMORY_ERROR || info == LAPACK_TRANSPOSE_MEMORY_ERROR)
        return rs_fail(err, RS_E_NOMEM,
                       "no memory for the %s of a matrix of %" PRId64 " x %" PRId64, what,
                       m, n);
    return rs_fail(err, RS_E_INVALID,
                   "the %s of a matrix of %" PRId64 " x %" PRId64 " %s", what, m, n,
                   info < 0 ? "cannot be found: some of its numbers are not finite"
                            : "did not converge");
}

/* value and vector [n, top] from z, whose columns lie one after the other, rising. */
static void fall(int64_t n, int64_t top, const double *all, const double *z,
                 double *value, double *vector)
{
    for (int64_t j = 0; j < top; j++) {
        value[j] = all[top - 1 - j];
        for (int64_t i = 0; vector && i < n; i++)
            vector[i * top + j] = z[(top - 1 - j) * n + i];
    }
}

/* The library itself looks for NaN only. */
static bool is_finite(int64_t n, const double *g)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i; j < n; j++)
            if (!isfinite(g[i * n + j])) return false;
    return true;
}

static lapack_int eigen_top(int64_t n, double *g, int64_t top, double *value,
                            double *vector)
{
    lapack_int found = 0, lo = (lapack_int)(n - top + 1), hi = (lapack_int)n;
    lapack_int info = LAPACK_WORK_MEMORY_ERROR;
    lapack_int *support = malloc((size_t)(2 * top + 2) * sizeof *support);
    double *all = malloc((size_t)n * sizeof *all);
    double *z = malloc((size_t)(vector ? n * top : 1) * sizeof *z);
    if (support && all && z)
        info = LAPACKE_dsyevr(LAPACK_COL_MAJOR, vector ? 'V' : 'N', 'I', 'L', hi, g, hi,
                              0, 0, lo, hi, 0, &found, all, z, hi, support);
    if (info == 0 && found != (lapack_int)top) info = 1;
    if (info == 0) fall(n, top, all, z, value, vector);
    free(support);
    free(all);
    free(z);
    return info;
}

/* Where most are wanted anyway, all by divide and conquer: a fraction of the time. */
static lapack_int eigen_all(int64_t n, double *g, int64_t top, double *value,
                            double *vector)
{
    double *all = malloc((size_t)n * sizeof *all);
    lapack_int info = LAPACK_WORK_MEMORY_ERROR, side = (lapack_int)n;
    if (all) info = LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'L', side, g, side, all);
    if (info == 0) fall(n, top, all + (n - top), g + (n - top) * n, value, vector);
    free(all);
    return info;
}

/* To the library, whose matrices lie column by column, our upper half is the lower one: so
 * nothing is copied to turn it. */
rs_status rs_lapack_eigen(int64_t n, double *g, int64_t top, double *value,
                          double *vector, rs_err *err)
{
    bool most = vector && 2 * top > n;
    lapack_int info = -1;
    if (is_finite(n, g)) info = (most ? eigen_all : eigen_top)(n, g, top, value, vector);
    return judge(info, "eigenvalues", n, n, err);
}

rs_status rs_lapack_gram_of(int64_t m, int64_t n, const float *a, double *g, rs_err *err)
{
    double *wide = malloc((size_t)(ROWS * n) * sizeof *wide);
    if (!wide) return judge(LAPACK_WORK_MEMORY_ERROR, "Gram matrix", m, n, err);
    for (int64_t r = 0; r < m; r += ROWS) {
        int64_t k = m - r < ROWS ? m - r : ROWS;
        for (int64_t i = 0; i < k * n; i++)
            wide[i] = (double)a[r * n + i];
        rs_lapack_gram(n, k, wide, false, r > 0, g);
    }
    free(wide);
    return RS_OK;
}

/* Turned and turned again: the LQ of what lies there, without copies, takes three times as
 * long. */
static rs_status householder(int64_t m, int64_t n, float *a, rs_err *err)
{
    lapack_int rows = (lapack_int)m, cols = (lapack_int)n;
    lapack_int info = LAPACK_WORK_MEMORY_ERROR;
    float *tau = malloc((size_t)n * sizeof *tau);
    if (tau) info = LAPACKE_sgeqrf(LAPACK_ROW_MAJOR, rows, cols, a, cols, tau);
    if (info == 0)
        info = LAPACKE_sorgqr(LAPACK_ROW_MAJOR, rows, cols, cols, a, cols, tau);
    free(tau);
    return judge(info, "orthonormal basis", m, n, err);
}

/* g, whose upper half is a^T a, becomes R^T R: a R^-1. false: the columns are nearly dependent
 * (or not numbers), and a is as it was. */
static bool by_cholesky(int64_t m, int64_t n, float *a, double *g, float *r)
{
    lapack_int side = (lapack_int)n;
    double least = INFINITY, most = 0;
    if (!is_finite(n, g) || LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'L', side, g, side) != 0)
        return false;
    for (int64_t i = 0; i < n; i++) {
        if (g[i * n + i] < least) least = g[i * n + i];
        if (g[i * n + i] > most) most = g[i * n + i];
        for (int64_t j = i; j < n; j++)
            r[i * n + j] = (float)g[i * n + j];
    }
    if (!(least > NEARLY * most)) return false;
    cblas_strsm(CblasRowMajor, CblasRight, CblasUpper, CblasNoTrans, CblasNonUnit, (int)m,
                side, 1, r, side, a, side);
    return true;
}

rs_status rs_lapack_orthonormal(int64_t m, int64_t n, float *a, int times, rs_err *err)
{
    double *g = malloc((size_t)(n * n) * sizeof *g);
    float *r = malloc((size_t)(n * n) * sizeof *r);
    rs_status s =
        g && r ? RS_OK : judge(LAPACK_WORK_MEMORY_ERROR, "orthonormal basis", m, n, err);
    for (int i = 0; s == RS_OK && i < times; i++) {
        s = rs_lapack_gram_of(m, n, a, g, err);
        if (s != RS_OK || by_cholesky(m, n, a, g, r)) continue;
        s = householder(m, n, a, err);
        break;
    }
    free(g);
    free(r);
    return s;
}

void rs_lapack_gram(int64_t n, int64_t k, const double *a, bool of_rows, double beta,
                    double *g)
{
    cblas_dsyrk(CblasRowMajor, CblasUpper, of_rows ? CblasNoTrans : CblasTrans, (int)n,
                (int)k, 1, a, (int)(of_rows ? k : n), beta, g, (int)n);
}

void rs_lapack_product(int64_t m, int64_t n, int64_t k, const double *a, bool transposed,
                       const double *b, double beta, double *c)
{
    cblas_dgemm(CblasRowMajor, transposed ? CblasTrans : CblasNoTrans, CblasNoTrans,
                (int)m, (int)n, (int)k, 1, a, (int)(transposed ? m : k), b, (int)n, beta,
                c, (int)n);
}
