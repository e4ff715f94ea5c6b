/* import.h - a GGUF file as a Hugging Face folder, for training and for merging.
 *
 * Tensors get their Hugging Face names and are dequantised to float32; where the file stores
 * a norm with 1 added the 1 is taken away again. They are stored as float32, or rounded to
 * bfloat16 once. Tables that Hugging Face's models compute themselves (rope_freqs) are left
 * out; any other tensor without a Hugging Face name is RS_E_UNSUPPORTED. Beside them stand
 * config.json, generation_config.json, tokenizer.json and tokenizer_config.json.
 *
 * Made in chunks of a few MB by all threads; the bytes do not depend on their number. The
 * folder appears under its name only when it is whole (writer.h). */
#ifndef RS_IMPORT_H
#define RS_IMPORT_H

#include "base/status.h"
#include "store/checkpoint.h"
#include "store/writer.h"
#include "tensor/runtime.h"

#include <stdbool.h>

typedef struct rs_import_options {
    const char *out;         /* the new folder */
    rs_dtype dtype;          /* RS_DTYPE_BF16 or RS_DTYPE_F32 */
    bool force;              /* replace an existing one */
    rs_progress_fn progress; /* may be NULL */
    void *progress_ctx;
} rs_import_options;

typedef struct rs_import_result {
    uint64_t bytes;
    int n_tensors, n_left_out;
    char hash[33]; /* of all output tensors' bytes */
} rs_import_result;

/* c: an open GGUF; anything else is RS_E_UNSUPPORTED. */
rs_status rs_import(const rs_runtime *rt, const rs_checkpoint *c,
                    const rs_import_options *o, rs_import_result *result,
                    rs_err *err) RS_MUST_USE;

/* The files beside the weights alone. A GGUF without a vocabulary gets no tokenizer files.
 * dtype: what config.json says of the weights. */
rs_status rs_import_companions(const rs_checkpoint *c, rs_dtype dtype, rs_writer *w,
                               rs_err *err) RS_MUST_USE;

#endif
