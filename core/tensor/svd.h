/* svd.h - the leading part of a singular value decomposition, D = U S V^T.
 *
 *     exact    eigenvalues of the Gram matrix of the smaller side, in float64
 *     random   range finder on the smaller side with an eighth and 24 columns more than asked
 *              for and two power iterations, orthonormalised between (Halko, Martinsson,
 *              Tropp 2011); the seed decides
 *
 * Where D has fewer directions than asked for, the values behind them are 0 (under a millionth
 * of the largest) and their vectors zeros. Signs of pairs of vectors are free. Uses all threads
 * of the runtime. Numbers that are not finite, or so large that products of float32 overflow
 * (random), are RS_E_INVALID, and so are eigenvalues that do not converge; then there is nothing
 * to free. */
#ifndef RS_SVD_H
#define RS_SVD_H

#include "tensor/runtime.h"

typedef struct rs_svd {
    int64_t rows, cols;
    int rank;
    float *u, *s, *v;     /* [rows, rank] [rank, falling] [cols, rank]; owned */
    double squares, kept; /* squared Frobenius norm of D; sum of s^2 */
} rs_svd;

void rs_svd_free(rs_svd *s);
/* All singular values, falling, into s [min(rows, cols)]. */
rs_status rs_svd_values(const rs_runtime *rt, const float *d, int64_t rows, int64_t cols,
                        double *s, rs_err *err) RS_MUST_USE;
/* The smallest rank whose squares sum up to at least energy (0 to 1) of all n. */
int rs_svd_rank_of(const double *s, int64_t n, double energy);
/* The share of the squares that the first `rank` of n values hold; 1 where all are 0. */
double rs_svd_kept(const double *s, int64_t n, int64_t rank);
/* rank: 1 to min(rows, cols). */
rs_status rs_svd_exact(const rs_runtime *rt, const float *d, int64_t rows, int64_t cols,
                       int rank, rs_svd *out, rs_err *err) RS_MUST_USE;
rs_status rs_svd_random(const rs_runtime *rt, const float *d, int64_t rows, int64_t cols,
                        int rank, uint64_t seed, rs_svd *out, rs_err *err) RS_MUST_USE;

#endif
