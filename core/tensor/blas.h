/* blas.h - the door to BLAS in float32: only blas.c, and lapack.c for double, include its header.
 *
 * Matrices are row-major float32, ld in elements. A call runs in the calling thread, and several
 * threads may call at once; only what is spread takes threads of the library's own, and only
 * while the pool does nothing. Sums are in the library's order, so results are compared with
 * tolerances. */
#ifndef RS_BLAS_H
#define RS_BLAS_H

#include "base/status.h"

#include <stdint.h>

/* c [m, n] = a [m, k] times b [n, k] transposed */
void rs_blas_abt(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                 const float *b, int64_t ldb, float *c, int64_t ldc);
/* c [m, n] += a [m, k] times b [n, k] transposed */
void rs_blas_add_abt(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                     const float *b, int64_t ldb, float *c, int64_t ldc);
/* c [m, n] = beta c + a [m, k] times b [k, n] */
void rs_blas_ab(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                const float *b, int64_t ldb, float beta, float *c, int64_t ldc);
/* c [m, n] = beta c + a [k, m] transposed times b [k, n] */
void rs_blas_atb(int64_t m, int64_t n, int64_t k, const float *a, int64_t lda,
                 const float *b, int64_t ldb, float beta, float *c, int64_t ldc);

/* As rs_blas_ab and rs_blas_atb, spread over threads of the library. */
void rs_blas_spread_ab(int threads, int64_t m, int64_t n, int64_t k, const float *a,
                       int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                       int64_t ldc);
void rs_blas_spread_atb(int threads, int64_t m, int64_t n, int64_t k, const float *a,
                        int64_t lda, const float *b, int64_t ldb, float beta, float *c,
                        int64_t ldc);
/* Calls fn, whose products (LAPACK's too) are all spread. Returns what it returns. */
rs_status rs_blas_spread(int threads, rs_status (*fn)(void *ctx, rs_err *err), void *ctx,
                         rs_err *err) RS_MUST_USE;
void rs_blas_threads(int n); /* for calls from now on: 1, set once; else see above */

#endif
