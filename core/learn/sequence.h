/* sequence.h - one sequence on its way through the layers and back.
 *
 * What a backward pass has to keep between layers: every layer's input, the K and V of layers
 * that others read (donors), the per-layer inputs, and on the way back the gradients that flow
 * down. Everything inside a layer is made again when it is needed (work_internal.h). Rows are
 * tokens, float32. */
#ifndef RS_SEQUENCE_H
#define RS_SEQUENCE_H

#include "model/config.h"
#include "tensor/linear.h"

typedef struct rs_sequence {
    const rs_config *config; /* borrowed */
    int64_t room, n;         /* tokens: at most, at hand */
    int32_t *ids;            /* [n] */
    int32_t
        *labels; /* [n] what the model should say at t, told by tokens before t; -1: not
                        counted. labels[0] never counts */
    int64_t n_counted; /* labels that count */
    double
        *lse; /* [n] log-sum-exp of the logits at t where labels[t + 1] counts: rs_loss */
    bool
        draws; /* rs_loss puts labels drawn from the model in place of those that count */
    uint64_t seed, stream; /* of the draws */
    float **x; /* [n_layers + 1][n, hidden] input of each layer, output of the last; where
                    only one layer is kept, every other one is the same memory */
    float **ple;      /* [n_layers][n, P] per-layer inputs, or NULL */
    float **k, **v;   /* [n_layers][n, K/V heads x head_dim] of donors, else NULL */
    rs_matrix ple_rows; /* [n, layers x P] the tokens' rows of the table of per-layer
                           embeddings; data NULL: they are looked up in the model's */
    float *dx;        /* [n, hidden] gradient of the stream where the way back stands */
    float **dple;     /* as ple; set by each layer's way back */
    float **dk, **dv; /* as k, v: what the sharers above have added */
    void *memory;
} rs_sequence;

/* keep_all: the inputs of all layers; else of one at a time, which the caller fills. */
rs_status rs_sequence_new(const rs_config *c, int64_t room, bool keep_all,
                          rs_sequence **out, rs_err *err) RS_MUST_USE;
void rs_sequence_free(rs_sequence *s); /* NULL is fine */
uint64_t rs_sequence_bytes(const rs_config *c, int64_t room, bool keep_all);
/* Copies ids and labels, and forgets ple_rows; labels NULL: the ids themselves, from the second
 * on. Ids and labels outside the vocabulary, more tokens than there is room for, and a sequence
 * without a label that counts are RS_E_INVALID. */
rs_status rs_sequence_set(rs_sequence *s, const int32_t *ids, const int32_t *labels,
                          int64_t n, rs_err *err) RS_MUST_USE;
/* Labels that count; labels NULL: ids themselves. The first never does. */
int64_t rs_labels_counted(const int32_t *labels, int64_t n);
/* Gradients to zero: before each way back. */
void rs_sequence_rewind(rs_sequence *s);
/* Width of a row of layer i's K and V. */
int64_t rs_kv_width(const rs_config *c, int i);

#endif
