/* blas.h - the door to BLAS: the only file that includes its header is blas.c.
 *
 * Matrices are row-major float32, ld in elements. One call runs in the calling thread (the
 * program sets OpenBLAS to one thread); several threads may call at once. Sums are in the
 * library's order, so results are compared with tolerances. */
#ifndef RS_BLAS_H
#define RS_BLAS_H

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
void rs_blas_threads(int n); /* for calls from now on */

#endif
