/* lora.h - pairs of small factors beside a model's frozen matrices:
 *
 *     y = W x + s B (A x)     A [rank, in], B [out, rank], s = alpha / rank, or with rsLoRA
 *                             alpha / sqrt(rank)
 *
 * A pass that has one (rs_work_adapt) adds the second part to the products of the
 * matrices that it names, unmerged, and on the way back adds to the factors' gradients
 *
 *     dB += s dy^T (x A^T)    dA += s (dy B)^T x    and to the input's, dx += s (dy B) A
 *
 * Gradients of W are nobody's business then: rs_sink_none. Factors are float32,
 * row-major, and lie one after the other (A, B of the first pair, of the second, ...), so
 * that optimiser and files see one array. One owner at a time. */
#ifndef RS_LORA_H
#define RS_LORA_H

#include "base/arena.h"
#include "learn/backward.h"

typedef struct rs_lora_pair {
    const char *weight; /* the model's name of W, "model.layers.3.mlp.up_proj.weight" */
    rs_place at;
    int64_t rows, cols; /* of W */
    float *a, *b;       /* into values */
    float *da, *db;     /* into gradients */
} rs_lora_pair;

typedef struct rs_lora {
    rs_arena arena;
    const rs_config *config; /* borrowed */
    int n, rank;
    double alpha;
    bool rslora;
    float scale;
    rs_lora_pair *pairs; /* [n] by layer, then by name */
    int64_t floats;      /* of all factors */
    float *values, *gradients;
    int *index;         /* [n_layers][slot]: the pair at a place, -1: none */
    int lowest_layer;   /* that a pair changes: the way back may end there */
    bool kinds_suffice; /* all that the file calls as a target is called are targets */
} rs_lora;

typedef struct rs_lora_options {
    int rank;
    double alpha;
    bool rslora;
    uint64_t seed;
    /* NULL: q k v o gate up down */
    bool (*wants)(void *ctx, const char *name, int layer);
    void *wants_ctx;
} rs_lora_options;

/* A pair for every matrix inside the layers of `file` that is wanted; weights that
 * nothing reads (K and V of layers that share them) never are. A is uniform in
 * +-1/sqrt(in) by seed, name and place, B is 0. RS_E_INVALID: nothing is selected, or the
 * rank is larger than the smaller side of a matrix. */
rs_status rs_lora_new(const rs_checkpoint *file, const rs_config *c,
                      const rs_lora_options *o, rs_lora **out, rs_err *err) RS_MUST_USE;
void rs_lora_free(rs_lora *l);                                 /* NULL is fine */
const rs_lora_pair *rs_lora_at(const rs_lora *l, rs_place at); /* or NULL */

/* From now on w's passes are those of the model with l beside it; NULL: without. */
rs_status rs_work_adapt(rs_work *w, rs_lora *l, rs_err *err) RS_MUST_USE;

#endif
