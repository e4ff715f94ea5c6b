#include "tensor/lapack.h"

#include <cblas.h>
#include <lapacke.h>
#include <stdlib.h>

bool rs_lapack_eigen(int64_t n, double *g, int64_t top, double *value, double *vector)
{
    lapack_int found = 0, lo = (lapack_int)(n - top + 1), hi = (lapack_int)n;
    lapack_int *support = malloc((size_t)(2 * top + 2) * sizeof *support);
    double *all = malloc((size_t)n * sizeof *all);
    double *z = malloc((size_t)(vector ? n * top : 1) * sizeof *z);
    bool good = support && all && z;
    if (good)
        good = LAPACKE_dsyevr(LAPACK_ROW_MAJOR, vector ? 'V' : 'N', 'I', 'U',
                              (lapack_int)n, g, (lapack_int)n, 0, 0, lo, hi, 0, &found,
                              all, z, (lapack_int)(vector ? top : 1), support) == 0 &&
               found == (lapack_int)top;
    for (int64_t j = 0; good && j < top; j++) {
        value[j] = all[top - 1 - j];
        for (int64_t i = 0; vector && i < n; i++)
            vector[i * top + j] = z[i * top + top - 1 - j];
    }
    free(support);
    free(all);
    free(z);
    return good;
}

bool rs_lapack_orthonormal(int64_t m, int64_t n, float *a)
{
    float *tau = malloc((size_t)n * sizeof *tau);
    bool good = tau &&
                LAPACKE_sgeqrf(LAPACK_ROW_MAJOR, (lapack_int)m, (lapack_int)n, a,
                               (lapack_int)n, tau) == 0 &&
                LAPACKE_sorgqr(LAPACK_ROW_MAJOR, (lapack_int)m, (lapack_int)n,
                               (lapack_int)n, a, (lapack_int)n, tau) == 0;
    free(tau);
    return good;
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
