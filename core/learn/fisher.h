/* fisher.h - the diagonal of the empirical Fisher information of a model on data.
 *
 *     sequence   F = mean over sequences of (gradient of the sequence's loss)^2, exact
 *     position   F = mean over sequences of the sum over positions of squared gradients,
 *                positions taken as independent: for y = W x one product of squares
 *
 * The loss is the negative log-likelihood summed over the labels that count (backward.h);
 * labels are the data's, or drawn from the model. Tied tables collect lookup and head, tables
 * of per-layer embeddings the rows that were looked up. Formulas: docs/method.md.
 *
 * The model is never in memory as a whole: layers are read one at a time, forward over all
 * sequences, then back; activations beyond the memory budget go to a file. The result appears
 * under its name when it is whole. An interrupted run leaves `OUT.partial`, and goes on from
 * there with `resume`; the bytes are those of a run that was never interrupted. */
#ifndef RS_FISHER_RUN_H
#define RS_FISHER_RUN_H

#include "model/config.h"
#include "store/safetensors.h"
#include "tensor/runtime.h"

typedef struct rs_example {
    const int32_t *ids, *labels; /* labels NULL: the ids; else -1 where not counted */
    int64_t n;
} rs_example;

typedef enum rs_fisher_kind { RS_FISHER_SEQUENCE, RS_FISHER_POSITION } rs_fisher_kind;

typedef struct rs_fisher_mean { /* of one tensor's Fisher, as it is stored */
    const char *name;
    int64_t n;
    double mean, max;
} rs_fisher_mean;

typedef struct rs_fisher_options {
    rs_fisher_kind kind;
    bool draws; /* labels are drawn from the model, by `seed` */
    uint64_t seed;
    bool
        per_token; /* the sum over sequences is divided by counted tokens, not by sequences */
    bool bf16;     /* stored as bfloat16, else float32 */
    /* NULL: every tensor; else those whose name it takes */
    bool (*wants)(void *ctx, const char *name, int layer);
    void *wants_ctx;
    const rs_string_pair
        *metadata; /* further ones: the data's and the model's identity */
    int n_metadata;
    const char *out;
    bool force, resume;
    double checkpoint_seconds; /* between states that a resumed run can begin from */
    double (*now)(void);       /* monotonic seconds; NULL: no states are written */
    rs_progress_fn progress;   /* may be NULL; false cancels: RS_E_CANCELLED */
    void *progress_ctx;
    /* Told of the tensors of every layer when it is done, the last layer first; a resumed run
     * begins with those that were done. May be NULL. */
    void (*told)(void *ctx, int layer, const rs_fisher_mean *m, int n);
    void *told_ctx;
} rs_fisher_options;

typedef struct rs_fisher_result {
    double loss; /* nat a counted token */
    int64_t tokens, n_tensors;
    uint64_t spilled; /* bytes of activations that did not fit into memory */
    int resumed_at;   /* the layer that the way back went on from; -1: it began anew */
    bool useless;     /* what was to be gone on from is of other work, or damaged */
} rs_fisher_result;

rs_status rs_fisher_run(const rs_runtime *rt, const rs_checkpoint *file,
                        const rs_config *c, const rs_example *examples, int n,
                        const rs_fisher_options *o, rs_fisher_result *result,
                        rs_err *err) RS_MUST_USE;

#endif
