#include "tensor/lapack.h"

#include <cblas.h>
#include <inttypes.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>

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

/* To the library, whose matrices lie column by column, our upper half is the lower one: so
 * nothing is copied to turn it. */
rs_status rs_lapack_eigen(int64_t n, double *g, int64_t top, double *value,
                          double *vector, rs_err *err)
{
    lapack_int found = 0, lo = (lapack_int)(n - top + 1), hi = (lapack_int)n;
    lapack_int info = LAPACK_WORK_MEMORY_ERROR;
    lapack_int *support = malloc((size_t)(2 * top + 2) * sizeof *support);
    double *all = malloc((size_t)n * sizeof *all);
    double *z = malloc((size_t)(vector ? n * top : 1) * sizeof *z);
    if (!is_finite(n, g)) info = -1;
    if (info != -1 && support && all && z)
        info = LAPACKE_dsyevr(LAPACK_COL_MAJOR, vector ? 'V' : 'N', 'I', 'L', hi, g, hi,
                              0, 0, lo, hi, 0, &found, all, z, hi, support);
    if (info == 0 && found != (lapack_int)top) info = 1;
    if (info == 0) fall(n, top, all, z, value, vector);
    free(support);
    free(all);
    free(z);
    return judge(info, "eigenvalues", n, n, err);
}

/* Turned and turned again: the LQ of what lies there, without copies, takes three times as
 * long. */
rs_status rs_lapack_orthonormal(int64_t m, int64_t n, float *a, rs_err *err)
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
