#include "tensor/blas.h"

#include <cblas.h>

void rs_blas_abt(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                 const float *b, int64_t ldb, float *c, int64_t ldc)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)k, 1, a,
                (int)lda, b, (int)ldb, 0, c, (int)ldc);
}

void rs_blas_add_abt(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                     const float *b, int64_t ldb, float *c, int64_t ldc)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)k, 1, a,
                (int)lda, b, (int)ldb, 1, c, (int)ldc);
}

void rs_blas_ab(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1, a,
                (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

void rs_blas_atb(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                 const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1, a,
                (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

void rs_blas_threads(int n)
{
    openblas_set_num_threads(n);
}

void rs_blas_spread_ab(int threads, int64_t m, int64_t n, int64_t k, const float *a,
                       int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                       int64_t ldc)
{
    rs_blas_threads(threads);
    rs_blas_ab(m, n, k, a, lda, b, ldb, beta, c, ldc);
    rs_blas_threads(1);
}

void rs_blas_spread_atb(int threads, int64_t m, int64_t n, int64_t k, const float *a,
                        int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                        int64_t ldc)
{
    rs_blas_threads(threads);
    rs_blas_atb(m, n, k, a, lda, b, ldb, beta, c, ldc);
    rs_blas_threads(1);
}

rs_status rs_blas_spread(int threads, rs_status (*fn)(void *ctx, rs_err *err), void *ctx,
                         rs_err *err)
{
    rs_blas_threads(threads);
    rs_status s = fn(ctx, err);
    rs_blas_threads(1);
    return s;
}
