/* model_internal.h - what a model owns besides its matrices: shared by weights and forward. */
#ifndef RS_MODEL_INTERNAL_H
#define RS_MODEL_INTERNAL_H

#include "base/arena.h"
#include "base/carver.h"
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
        *bound;   /* by rs_slot_index */
    void *memory; /* of rs_model_load, or of what lies outside the layers; or NULL */
    void *layer_memory;       /* of the layer that rs_model_load_part read, or NULL */
    rs_rope *ropes;           /* the distinct ones */
    int n_ropes, *layer_rope; /* [n_layers] into ropes */
};

/* RS_E_MISMATCH naming what is missing of a layer, or with -1 outside the layers. */
rs_status rs_model_part_complete(const rs_model *m, int layer, rs_err *err) RS_MUST_USE;

/* rope.c: fills the store's ropes from the config. */
rs_status rs_rope_build(const rs_config *c, struct rs_model_store *store,
                        rs_err *err) RS_MUST_USE;
/* Room for the angles of `rows` positions: cos, sin [n_ropes][rows, pairs]; both NULL: it is
 * only counted. */
void rs_rope_carve(const struct rs_model_store *s, int64_t rows, rs_carver *c,
                   float **cos, float **sin);
/* Fills one row for a position, from float32 angles as the reference computes them. */
void rs_rope_angles(const struct rs_model_store *s, int64_t position, int64_t row,
                    float *const *cos, float *const *sin);
/* Turns one head x [2 half] in place, by cos, sin [n_pairs]; and the way back of it. */
void rs_rope_turn(const rs_rope *r, const float *cos, const float *sin, float *x);
void rs_rope_turn_back(const rs_rope *r, const float *cos, const float *sin, float *x);

/* attention.c: the first key that the query at a position sees; it sees all from there up to
 * its own. */
int64_t rs_first_visible(const rs_config *c, int layer, int64_t position);
/* n scores of one query become its weights, those outside [first, end) 0. slope [n], or NULL:
 * inside, the derivative 1 - (s / cap)^2 of the soft-cap. */
void rs_soften(const rs_config *c, const rs_linear_kernels *k, float *scores,
               int64_t first, int64_t end, int64_t n, float *slope);

#endif
