/* lapack.h - the door to LAPACK, and to products in double: the only file that includes its
 * header is lapack.c.
 *
 * Matrices are row-major. Results are the library's, compared with tolerances. Errors:
 * RS_E_NOMEM; RS_E_INVALID where a number is not finite or the library found no solution. */
#ifndef RS_LAPACK_H
#define RS_LAPACK_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* g [n, n] symmetric, its upper half is read and overwritten. The `top` largest eigenvalues,
 * falling, into value, and unless vector is NULL their vectors into its columns, vector
 * [n, top]. */
rs_status rs_lapack_eigen(int64_t n, double *g, int64_t top, double *value,
                          double *vector, rs_err *err) RS_MUST_USE;
/* a [m, n], m >= n: its columns become orthonormal with the same span, by Cholesky's factor of
 * their Gram matrix in float64: once to a thousandth or so, where only the span matters, twice
 * to rounding; by Householder's reflections where they are nearly dependent. */
rs_status rs_lapack_orthonormal(int64_t m, int64_t n, float *a, int times,
                                rs_err *err) RS_MUST_USE;
/* g [n, n] = a^T a for a [m, n], the upper half of it. */
rs_status rs_lapack_gram_of(int64_t m, int64_t n, const float *a, double *g,
                            rs_err *err) RS_MUST_USE;
/* g [n, n] = beta g + a^T a for a [k, n], or a a^T for a [n, k] where `of_rows`; the upper
 * half of it. */
void rs_lapack_gram(int64_t n, int64_t k, const double *a, bool of_rows, double beta,
                    double *g);
/* c [m, n] = a [m, k] b [k, n], or with `transposed` a [k, m]^T b [k, n]; beta times c is
 * added. */
void rs_lapack_product(int64_t m, int64_t n, int64_t k, const double *a, bool transposed,
                       const double *b, double beta, double *c);

#endif
