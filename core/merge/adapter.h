/* adapter.h - a PEFT LoRA adapter on disk: which matrices it changes, by how much.
 *
 * Opening reads adapter_config.json and the header of adapter_model.safetensors, pairs every
 * lora_A [r, in] with its lora_B [out, r], and gives each pair its scale: alpha/r, or
 * alpha/sqrt(r) with rsLoRA; rank_pattern and alpha_pattern as PEFT reads them (the first key
 * that matches the end of the module's path). r is what the tensors have. What this version
 * cannot merge exactly (DoRA, biases, saved modules, embeddings, other kinds than LoRA,
 * initialisations that changed the base) is RS_E_UNSUPPORTED by name. Immutable; reading from
 * several threads is fine. Formulas: docs/method.md. */
#ifndef RS_ADAPTER_H
#define RS_ADAPTER_H

#include "base/arena.h"
#include "base/map.h"
#include "model/names.h"
#include "store/checkpoint.h"
#include "tensor/kernels.h"

typedef struct rs_adapter_pair {
    const char *module; /* "model.layers.3.mlp.up_proj", as in the adapter */
    const char *weight; /* the same with ".weight" */
    const rs_tensor *a, *b;
    int rank;
    double scale; /* of B A */
} rs_adapter_pair;

typedef struct rs_adapter {
    rs_arena arena;
    rs_checkpoint *file;
    const char *path;        /* of the folder */
    const char *base_name;   /* base_model_name_or_path, "" if absent */
    int rank;                /* the largest */
    double alpha;            /* lora_alpha of the config */
    bool rslora, transposed; /* transposed: fan_in_fan_out */
    rs_adapter_pair *pairs;
    int n_pairs;
} rs_adapter;

/* path: the adapter's folder, or its safetensors file. */
rs_status rs_adapter_open(const char *path, rs_adapter **out, rs_err *err) RS_MUST_USE;
void rs_adapter_close(rs_adapter *a); /* NULL is fine */

/* Shape of the matrix that a pair changes. */
int64_t rs_adapter_rows(const rs_adapter *a, const rs_adapter_pair *p);
int64_t rs_adapter_cols(const rs_adapter *a, const rs_adapter_pair *p);

/* The factors as float32: b [rows, rank], a [rank, cols], so that the delta is scale * b a
 * in either orientation. *exact: all products of them are exact in float32. NaN and infinity
 * are RS_E_INVALID with tensor and index. */
rs_status rs_adapter_read(const rs_adapter *ad, const rs_adapter_pair *p, float *a,
                          float *b, bool *exact, rs_err *err) RS_MUST_USE;

#endif
