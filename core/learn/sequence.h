/* sequence.h - one sequence on its way through the layers and back.
 *
 * What a backward pass has to keep between layers: every layer's input, the K and V of layers
 * that others read (donors), and on the way back the gradients that flow down. Everything
 * inside a layer is made again when it is needed (work_internal.h), so a sequence of n tokens
 * takes n x hidden x (layers + 2) floats and a little, whatever the layers' widths. Rows are
 * tokens, float32. */
#ifndef RS_SEQUENCE_H
#define RS_SEQUENCE_H

#include "model/weights.h"

typedef struct rs_sequence {
    const rs_config *config; /* borrowed */
    int64_t n;
    int32_t *ids; /* [n] */
    int32_t
        *labels; /* [n] what the model should say at t, told by tokens before t; -1: not
                        counted. labels[0] never counts */
    float **x;   /* [n_layers + 1][n, hidden] input of each layer, output of the last */
    float *ple;  /* [n, layers x P], or NULL */
    float **k, **v;    /* [n_layers][n, K/V heads x head_dim] of donors, else NULL */
    float *dx;         /* [n, hidden] gradient of the stream where the way back stands */
    float *dple;       /* as ple */
    float **dk, **dv;  /* as k, v: what the sharers above have added */
    int64_t n_counted; /* labels that count */
    void *memory;
} rs_sequence;

/* Copies ids and labels; labels NULL: the ids themselves, from the second on. Ids and labels
 * outside the vocabulary, and a sequence without a label that counts, are RS_E_INVALID. */
rs_status rs_sequence_new(const rs_config *c, const int32_t *ids, const int32_t *labels,
                          int64_t n, rs_sequence **out, rs_err *err) RS_MUST_USE;
void rs_sequence_free(rs_sequence *s); /* NULL is fine */
/* Gradients to zero: before each way back. */
void rs_sequence_rewind(rs_sequence *s);
uint64_t rs_sequence_bytes(const rs_config *c, int64_t n); /* what one takes */

#endif
