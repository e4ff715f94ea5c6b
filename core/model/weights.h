/* weights.h - the tensors of a text model in memory, in their stored dtypes.
 *
 * An rs_model binds named tensors to the places where the forward pass reads them. Matrices
 * are borrowed (their memory must outlive the model and may be rewritten in place between
 * forward calls: how core/live changes weights); norms and scalars are copied to float32 when
 * bound, so bind them again after a change. Norms hold what x is multiplied by: where the
 * family's formula is 1 + w, the 1 is in. Not to be changed while a forward pass runs. */
#ifndef RS_WEIGHTS_H
#define RS_WEIGHTS_H

#include "model/config.h"
#include "tensor/linear.h"
#include "tensor/runtime.h"

typedef struct rs_layer_weights {
    rs_matrix q, k, v, o, gate, up, down, ple_gate, ple_proj;
    float *q_bias, *k_bias, *v_bias;                                   /* or NULL */
    float *input_norm, *post_attn_norm, *pre_mlp_norm, *post_mlp_norm; /* [hidden] */
    float *q_norm, *k_norm; /* [head_dim] or NULL */
    float *ple_norm;        /* [hidden] or NULL */
    float layer_scalar;     /* 1 where there is none */
} rs_layer_weights;

typedef struct rs_model {
    const rs_config *config; /* borrowed */
    rs_matrix embed, head /* = embed where tied */, ple_embed, ple_model_proj;
    float *final_norm, *ple_norm;
    rs_layer_weights *layers;
    struct rs_model_store *store; /* memory that the model owns itself */
} rs_model;

/* An empty model. config must outlive it. */
rs_status rs_model_new(const rs_config *config, rs_model **out, rs_err *err) RS_MUST_USE;
/* Binds one tensor by its Hugging Face name (any prefix). Unknown and inert names and towers
 * are ignored (*used = false; used may be NULL); wrong shapes are RS_E_MISMATCH. */
rs_status rs_model_bind(rs_model *m, const char *name, rs_dtype dtype, int n_dims,
                        const int64_t *dim, const void *data, bool *used,
                        rs_err *err) RS_MUST_USE;
/* RS_E_MISMATCH naming the first missing tensor unless everything is bound. */
rs_status rs_model_complete(const rs_model *m, rs_err *err) RS_MUST_USE;
/* Reads a whole checkpoint into memory that the model owns, binds and completes it.
 * progress may be NULL. */
rs_status rs_model_load(const rs_runtime *rt, const rs_checkpoint *c,
                        const rs_config *config, rs_progress_fn progress, void *ctx,
                        rs_model **out, rs_err *err) RS_MUST_USE;
/* Reads one layer's tensors, or with -1 those outside the layers, for a model that is never in
 * memory as a whole: the layer that was read before goes, what lies outside stays until it is
 * dropped. The table of per-layer embeddings, larger than all of them, is bound without its
 * numbers (data NULL): rs_model_read_ple reads rows of it. */
rs_status rs_model_load_part(const rs_runtime *rt, const rs_checkpoint *c, rs_model *m,
                             int layer, rs_err *err) RS_MUST_USE;
void rs_model_drop_part(rs_model *m, int layer);
/* Bytes that rs_model_load_part takes. */
rs_status rs_model_part_bytes(const rs_checkpoint *c, const rs_config *config, int layer,
                              uint64_t *bytes, rs_err *err) RS_MUST_USE;
/* The rows of n ids in the type of m->ple_embed, one after the other: what
 * rs_model_ple_bytes says they take. Part -1 of m must have been read. */
rs_status rs_model_read_ple(const rs_checkpoint *c, const rs_model *m, const int32_t *ids,
                            int64_t n, void *rows, rs_err *err) RS_MUST_USE;
uint64_t rs_model_ple_bytes(const rs_checkpoint *c, const rs_config *config, int64_t n);
/* Bytes of all matrices that are bound, wherever they lie. */
uint64_t rs_model_bytes(const rs_model *m);
void rs_model_free(rs_model *m); /* NULL is fine */

#endif
