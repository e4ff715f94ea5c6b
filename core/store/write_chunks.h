/* write_chunks.h - the planned tensors of a writer, made chunk by chunk by the pool.
 *
 * Tensors are cut into ranges of elements, whole rows where a row fits, numbered in the
 * plan's order and taken in this order, so that the threads work near each other. Every
 * thread has one buffer of chunk_bytes. */
#ifndef RS_WRITE_CHUNKS_H
#define RS_WRITE_CHUNKS_H

#include "store/writer.h"
#include "tensor/runtime.h"

typedef struct rs_chunk { /* elements [first, first + n) of tensor i of the plan */
    int i_tensor;
    int64_t first, n;
} rs_chunk;

typedef struct rs_chunk_job {
    const char *name; /* "merge": for sentences */
    /* Fills dst with the chunk as it is stored. Any thread; worker < workers. */
    rs_status (*make)(void *ctx, const rs_chunk *c, int worker, void *dst, rs_err *err);
    void *ctx;
    uint64_t chunk_bytes; /* at most, but one element at least */
    int workers;          /* threads that take part; 0: all */
    rs_progress_fn progress;
    void *progress_ctx;
} rs_chunk_job;

/* Makes and writes everything; the writer is not finished. RS_E_CANCELLED where progress
 * said stop, and *w then holds a part. */
rs_status rs_write_chunks(const rs_runtime *rt, rs_writer *w, const rs_chunk_job *job,
                          rs_err *err) RS_MUST_USE;

#endif
