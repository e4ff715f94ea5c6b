/* model_internal.h - what a model owns besides its matrices: shared by weights and forward. */
#ifndef RS_MODEL_INTERNAL_H
#define RS_MODEL_INTERNAL_H

#include "base/arena.h"
#include "model/family.h"
#include "model/weights.h"

/* Frequencies of one kind of layer: pair j of pairs (j, j + half) turns by
 * position x freq[j]; pairs from n_pairs on do not turn. */
typedef struct rs_rope {
    int half, n_pairs;
    double theta, factor, low, high, original; /* as in rs_layer_config */
    float *freq;                               /* [n_pairs] */
} rs_rope;

struct rs_model_store {
    rs_arena arena; /* norms, tables */
    const rs_kernels *kernels;
    unsigned char
        *bound;   /* [(n_layers + 1) * RS_MAX_SLOTS]; the last row: outside layers */
    void *memory; /* of rs_model_load, or of what lies outside the layers; or NULL */
    void *layer_memory;       /* of the layer that rs_model_load_part read, or NULL */
    rs_rope *ropes;           /* the distinct ones */
    int n_ropes, *layer_rope; /* [n_layers] into ropes */
};

enum { RS_MAX_SLOTS = 32 };

/* RS_E_MISMATCH naming what is missing of a layer, or with -1 outside the layers. */
rs_status rs_model_part_complete(const rs_model *m, int layer, rs_err *err) RS_MUST_USE;

/* rope.c: fills the store's ropes from the config. */
rs_status rs_rope_build(const rs_config *c, struct rs_model_store *store,
                        rs_err *err) RS_MUST_USE;
/* cos, sin [n_pairs] of one position, from float32 angles as the reference computes them. */
void rs_rope_angles(const rs_rope *r, int64_t position, float *cos, float *sin);
/* Turns one head x [2 half] in place. */
void rs_rope_turn(const rs_rope *r, const float *cos, const float *sin, float *x);

#endif
