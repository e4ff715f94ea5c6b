/* forward.h - tokens in, logits out: the text model's forward pass with a key-value cache.
 *
 * Activations are float32, weights stay as stored and are widened in registers. An rs_kv
 * holds one sequence: the K and V of every layer that owns some (sliding layers keep what
 * the window needs), its length, and on request the input of every layer, so that a change
 * of weights in layer c costs a recomputation from layer c only.
 * Prefill runs in chunks. A sequence's logits do not depend on what is batched with it, nor
 * on the number of threads, nor (within tolerance) on how its tokens were cut into calls.
 * Formulas: Hugging Face's modelling code of each family, summed up in docs/method.md. */
#ifndef RS_FORWARD_H
#define RS_FORWARD_H

#include "model/weights.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct rs_kv rs_kv;

typedef struct rs_kv_options {
    int64_t
        max_tokens; /* the cache grows up to this; past it RS_E_INVALID. 0: max_positions */
    bool keep_inputs; /* keep every layer's input, for rs_kv_recompute */
} rs_kv_options;

rs_status rs_kv_new(const rs_config *c, const rs_kv_options *o, rs_kv **out,
                    rs_err *err) RS_MUST_USE;
void rs_kv_free(rs_kv *kv); /* NULL is fine */
int64_t rs_kv_length(const rs_kv *kv);
/* Forgets tokens from the end. RS_E_INVALID if the sliding layers no longer hold the window
 * that position n needs (they keep a margin of some hundred tokens). */
rs_status rs_kv_truncate(rs_kv *kv, int64_t n, rs_err *err) RS_MUST_USE;

typedef enum rs_want { RS_WANT_NOTHING, RS_WANT_LAST, RS_WANT_ALL } rs_want;

/* Called after each step of a prefill with a trace; where: -1 scaled embeddings, 0.. layer
 * output, n_layers after the last norm. rows [n, hidden] at positions first.. */
typedef void (*rs_trace_fn)(void *ctx, int where, int64_t first, int64_t n,
                            const float *rows);

typedef struct rs_forward_options {
    rs_want want;
    rs_trace_fn trace; /* may be NULL */
    void *trace_ctx;
    rs_progress_fn
        progress; /* may be NULL; a false abandons the call: RS_E_CANCELLED, and
                                the cache is as before */
    void *progress_ctx;
} rs_forward_options;

/* Appends n tokens to kv. logits: [1, vocab] (LAST) or [n, vocab] (ALL), after the soft-cap,
 * or NULL. Ids outside the vocabulary are RS_E_INVALID. */
rs_status rs_forward(const rs_runtime *rt, const rs_model *m, rs_kv *kv,
                     const int32_t *ids, int64_t n, const rs_forward_options *o,
                     float *logits, rs_err *err) RS_MUST_USE;

/* One token for each of n_seq sequences; each pass over the weights serves all of them.
 * Bitwise the same per sequence for any n_seq. logits [n_seq, vocab] or NULL. */
rs_status rs_forward_batch(const rs_runtime *rt, const rs_model *m, rs_kv *const *kv,
                           const int32_t *ids, int n_seq, float *logits,
                           rs_err *err) RS_MUST_USE;

/* After weights changed: recomputes K/V of the layers above (and with first_changed_kv, of)
 * layer `first` for all cached tokens, from the kept inputs; the last position's logits go
 * to logits (may be NULL). first = -1: embeddings changed, everything. Needs keep_inputs
 * unless first <= 0. progress as above: abandoned means the cache is stale and must be
 * recomputed before use (the next rs_kv_recompute takes the lower of both firsts). */
rs_status rs_kv_recompute(const rs_runtime *rt, const rs_model *m, rs_kv *kv, int first,
                          bool first_changed_kv, rs_progress_fn progress, void *ctx,
                          float *logits, rs_err *err) RS_MUST_USE;

/* log softmax of one row in double: log p(id), and the log-sum-exp if lse is not NULL. */
double rs_logprob(const float *logits, int64_t vocab, int32_t id, double *lse);

#endif
