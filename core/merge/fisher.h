/* fisher.h - statistics of a Fisher diagonal, and the normalisers made of them.
 *
 * Values are read through a callback, piece by piece (1 Mi elements), so that files of any
 * size go through little memory and tests can use arrays. Everything is the same for every
 * number of threads: counts are integers, sums are float64 in the order of pieces. A negative
 * value, NaN or infinity is RS_E_INVALID with tensor and index.
 *
 * F -> p (docs/method.md): mean F/mean; max F/max, 0 where max is 0; pXX min(1, F/Q), where Q
 * is 0: 1 for F > 0; log (ln F - lo)/(hi - lo) over F > 0, 0 where F is 0, 1 where hi = lo;
 * rank (rank - 1)/(n - 1), equal values sharing the mean of their ranks; none F. Quantiles
 * are exact (16-bit histogram of the float's upper bits, then of the lower bits of the cells
 * that matter). Ranks are exact up to 2^26 values or where all are bfloat16; above, linear
 * within the 32,768 cells. */
#ifndef RS_FISHER_H
#define RS_FISHER_H

#include "merge/recipe.h"
#include "tensor/merge_kernels.h"
#include "tensor/runtime.h"

typedef struct rs_values {
    void *ctx;
    rs_status (*read)(void *ctx, int tensor, int64_t first, int64_t n, float *dst,
                      rs_err *err);
    const char *(*name)(void *ctx, int tensor);
    int n_tensors;
    const int64_t *n_elements; /* [n_tensors] */
} rs_values;

/* How a pass runs. pool NULL: in the calling thread. */
typedef struct rs_pass {
    const rs_merge_kernels *k;
    rs_pool *pool;
    rs_progress_fn progress; /* may be NULL */
    void *progress_ctx;
    const char *what;
    int workers; /* of the pool at most; 0: all */
} rs_pass;
int rs_pass_workers(const rs_pass *pass);
/* Memory of a pass for each worker, about. */
enum { RS_PASS_BYTES = 6 << 20 };

typedef struct rs_moments {
    int64_t n;
    double sum;
    float max, least; /* least: the smallest above 0, 0 if there is none */
} rs_moments;

/* out [n_tensors]. use [n_tensors]: only those with true; the others get n = 0. */
rs_status rs_fisher_moments(const rs_pass *pass, const rs_values *v, const bool *use,
                            rs_moments *out, rs_err *err) RS_MUST_USE;
void rs_moments_add(rs_moments *to, const rs_moments *m);

/* numpy's linear quantile over the tensors of `use`: the two order statistics around
 * (n - 1) q and how far between them. */
typedef struct rs_order {
    float low, high;
    double part;
} rs_order;
rs_status rs_fisher_order(const rs_pass *pass, const rs_values *v, const bool *use,
                          int64_t n, double q, rs_order *out, rs_err *err) RS_MUST_USE;
double rs_order_value(const rs_order *o);

enum { RS_EXACT_RANKS = 1 << 26 };
typedef struct rs_ranks rs_ranks;
rs_status rs_ranks_new(const rs_pass *pass, const rs_values *v, const bool *use,
                       int64_t n, rs_ranks **out, rs_err *err) RS_MUST_USE;
void rs_ranks_free(rs_ranks *r);
double rs_rank_value(const rs_ranks *r, float f); /* p of f, 0 to 1 */
/* Memory of the ranks of n values; low_bits: they are no bfloat16. */
uint64_t rs_ranks_bytes(int64_t n, bool low_bits);

typedef struct rs_norm {
    rs_normaliser kind;
    double factor;   /* of F, or of ln F - lo */
    double lo;       /* of log */
    bool flat;       /* 1 for every F > 0 */
    rs_ranks *ranks; /* of rank: owned */
} rs_norm;

/* All that a normaliser needs, from the moments of the tensors of use and, for quantiles and
 * ranks, further passes over the values. */
rs_status rs_norm_make(const rs_pass *pass, const rs_values *v, const bool *use,
                       const rs_moments *m, rs_normaliser kind, rs_norm *out,
                       rs_err *err) RS_MUST_USE;
void rs_norm_free(rs_norm *n);
double rs_norm_value(const rs_norm *n, float f); /* in float64, monotone in f */
void rs_norm_apply(const rs_norm *n, const rs_merge_kernels *k, const float *f, float *p,
                   int64_t count);

/* The q-quantile of p over all values of use, each tensor with its own norm (norm [n_tensors]
 * of pointers; all the same for a global scope). */
rs_status rs_fisher_cut(const rs_pass *pass, const rs_values *v, const bool *use,
                        int64_t n, const rs_norm *const *norm, double q, double *cut,
                        rs_err *err) RS_MUST_USE;
/* The smallest float whose p is at least cut; infinite if there is none. */
float rs_norm_inverse(const rs_norm *n, double cut);

#endif
