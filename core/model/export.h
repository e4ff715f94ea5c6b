/* export.h - a model as one GGUF file, for llama.cpp and what is built on it.
 *
 * The tensors of the text model (towers and what the config does not use are left out) get
 * their GGUF names and what GGUF's conventions ask for: norms with 1 added where the family's
 * formula is 1 + w; for Llama and Mistral the rows of q and k re-ordered, in each head the
 * pair (j, j + head_dim/2) becoming neighbours; RoPE of type llama3 and Gemma 4's
 * proportional one as the table rope_freqs (what each pair's frequency is divided by). Beside
 * them stand all keys that llama.cpp reads, the tokenizer and the chat template.
 *
 * Vectors and scalars are F32. Matrices have the type asked for, except
 *   - under q8_0 and q4_0, rows that are no multiple of 32 stay 16 bits wide: F16 where they
 *     are stored so, else BF16;
 *   - under these two, Gemma 4's per_layer_model_projection is BF16;
 *   - under q4_0, the matrix that makes the logits (the embedding where it is tied) is q8_0.
 * Each value is read as float32 and rounded or quantised once (quantise.h).
 *
 * Made in chunks of a few MB by all threads; the bytes do not depend on their number. The
 * file appears under its name only when it is whole (gguf_write.h). */
#ifndef RS_EXPORT_H
#define RS_EXPORT_H

#include "base/status.h"
#include "model/config.h"
#include "store/checkpoint.h"
#include "tensor/runtime.h"

#include <stdbool.h>

typedef struct rs_export_options {
    const char *out;         /* the new file */
    rs_dtype dtype;          /* F32, F16, BF16, Q8_0 or Q4_0 */
    bool force;              /* replace an existing GGUF */
    const char *name;        /* general.name; NULL: none */
    rs_progress_fn progress; /* may be NULL */
    void *progress_ctx;
    /* Told once each what a user should know: types that were not as asked for, what
     * llama.cpp computes otherwise. May be NULL. */
    void (*note)(void *ctx, const char *text);
    void *note_ctx;
} rs_export_options;

typedef struct rs_export_result {
    uint64_t bytes; /* of the file */
    int n_tensors, n_left_out;
} rs_export_result;

bool rs_export_takes(rs_dtype d); /* a type to export to */

/* c: a folder or a GGUF, config: its. RS_E_MISMATCH: a tensor is missing or has another shape;
 * RS_E_UNSUPPORTED: its tokenizer cannot be said in a GGUF; RS_E_INVALID: NaN, infinity, or a
 * value too large for the type. */
rs_status rs_export(const rs_runtime *rt, const rs_checkpoint *c, const rs_config *config,
                    const rs_export_options *o, rs_export_result *result,
                    rs_err *err) RS_MUST_USE;

/* --- the same from tensors that are made on demand (merge/export_merge.h) --- */

typedef struct rs_export_tensor {
    const char *name; /* Hugging Face's, with its prefix */
    rs_dtype dtype;   /* how it is, or would be, stored */
    int n_dims;
    const int64_t *dim;
} rs_export_tensor;

typedef struct rs_export_source {
    const rs_config *config;
    const rs_checkpoint *base; /* where tokenizer and chat template lie */
    const char *recipe;        /* goes into the file as ringside.recipe; NULL: none */
    int n_tensors;
    rs_export_tensor (*tensor)(const void *ctx, int i);
    /* Elements [first, first + n) of tensor i as float32, by thread `worker`. Ranges begin and
     * end at whole rows or at multiples of 256. */
    rs_status (*read)(void *ctx, int worker, int i, int64_t first, int64_t n, float *dst,
                      rs_err *err);
    void *ctx;
} rs_export_source;

rs_status rs_export_from(const rs_runtime *rt, const rs_export_source *source,
                         const rs_export_options *o, rs_export_result *result,
                         rs_err *err) RS_MUST_USE;

#endif
