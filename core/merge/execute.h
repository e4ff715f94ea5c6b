/* execute.h - writing the merged model: plan in, Hugging Face folder out.
 *
 * Tensors are produced in chunks within the memory budget and written as they come; the
 * folder appears under its name only when it is whole and synced. The bytes do not depend on
 * threads, chunk size or instruction set. NaN or infinity in any input or output stops the
 * merge and names tensor, source and index. Cancelling leaves nothing under the name. */
#ifndef RS_EXECUTE_H
#define RS_EXECUTE_H

#include "merge/plan.h"

typedef struct rs_execute_options {
    const char *out;      /* the new folder */
    bool force;           /* replace an existing one */
    uint64_t chunk_bytes; /* 0: chosen */
    rs_progress_fn progress;
    void *progress_ctx;
} rs_execute_options;

typedef struct rs_execute_result {
    uint64_t bytes;
    int n_tensors, n_changed;
    char hash[33]; /* of all output tensors' bytes */
} rs_execute_result;

rs_status rs_execute(const rs_runtime *rt, const rs_plan *p, const rs_execute_options *o,
                     rs_execute_result *result, rs_err *err) RS_MUST_USE;

#endif
