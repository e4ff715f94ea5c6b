/* subspace.h - the directions in which one model differs from another: for every matrix inside
 * the layers the leading singular vectors of W_to - W_from.
 *
 * With a weight, a Fisher F of the same names and shapes, it is sqrt(F) (W_to - W_from) element
 * by element that is decomposed (FWSVD, Hsu et al. 2022): U and V are orthonormal as ever and
 * span the outputs and inputs in which the difference moves the loss that F was measured on,
 * S^2 adds up to sum F D^2, twice the damage of undoing it. An element of F that is 0 takes its
 * element of D out; where nothing is left there are no directions and the file holds zeros.
 *
 * The file: `<tensor>.U` [out, r], `.S` [r], `.V` [in, r], float32, <tensor> being the model's
 * name without ".weight"; metadata name both models by the hash of their contents. One tensor
 * is in memory at a time, read from two checkpoints of the same configuration. */
#ifndef RS_SUBSPACE_H
#define RS_SUBSPACE_H

#include "model/config.h"
#include "store/safetensors.h"
#include "tensor/runtime.h"

typedef struct rs_subspace_options {
    int rank;      /* of every matrix, at most its smaller side; 0: by energy */
    double energy; /* the smallest rank that keeps this share of the squares */
    bool exact;    /* else randomised; by energy it is exact in any case */
    uint64_t seed;
    const rs_checkpoint *weight;                           /* NULL: none */
    bool (*wants)(void *ctx, const char *name, int layer); /* NULL: all */
    void *wants_ctx;
    const rs_string_pair *metadata;
    int n_metadata;
    const char *out;
    bool force;
    rs_progress_fn progress; /* false cancels: RS_E_CANCELLED */
    void *progress_ctx;
    /* Told of each tensor when it is done; may be NULL. kept: share of the squares. */
    void (*done)(void *ctx, const char *name, int rank, double kept, double largest);
    void *done_ctx;
} rs_subspace_options;

typedef struct rs_subspace_result {
    int n_tensors, least_rank, most_rank;
    double kept; /* of all tensors' squares together */
} rs_subspace_result;

/* RS_E_MISMATCH where a matrix of `to` is missing in `from` or the weight or has another
 * shape; RS_E_INVALID where the weight is negative or not finite. */
rs_status rs_subspace_run(const rs_runtime *rt, const rs_checkpoint *from,
                          const rs_checkpoint *to, const rs_config *c,
                          const rs_subspace_options *o, rs_subspace_result *result,
                          rs_err *err) RS_MUST_USE;

/* All singular values of W_to - W_from of one matrix, falling: *s [*n], n its smaller side, to
 * be freed. The share that rank r keeps is rs_svd_kept. Takes as long as an exact
 * decomposition without its vectors, and memory for both matrices in float32. */
rs_status rs_subspace_values(const rs_runtime *rt, const rs_checkpoint *from,
                             const rs_checkpoint *to, const char *name, double **s,
                             int64_t *n, rs_err *err) RS_MUST_USE;

#endif
