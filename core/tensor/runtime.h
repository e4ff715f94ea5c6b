/* runtime.h - what the program decides once and hands to every long operation: threads,
 * memory budget, kernels. Core reads no environment and no clock of its own. */
#ifndef RS_RUNTIME_H
#define RS_RUNTIME_H

#include "base/pool.h"
#include "base/status.h"
#include "tensor/kernels.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct rs_options {
    int threads;           /* 0: one per processor */
    uint64_t memory_bytes; /* 0: a quarter of what rs_os_memory says */
    const char *isa;       /* NULL: the best */
} rs_options;

typedef struct rs_runtime {
    rs_pool *pool;
    const rs_kernels *kernels;
    uint64_t memory_bytes; /* budget of one operation */
    int threads;
    struct rs_scratch *scratch; /* private; rs_runtime_scratch */
} rs_runtime;

/* Also makes large blocks go back to the system when they are freed, and sets OpenBLAS to one
 * thread inside the pool (blas.h opens it up where it pays). */
rs_status rs_init(const rs_options *o, rs_runtime *rt, rs_err *err) RS_MUST_USE;
void rs_quit(rs_runtime *rt);

/* At least `floats` floats, at a cache line's start, for the one operation that has the pool
 * now; the next one finds them changed. Kept until rs_quit, since a large block that comes
 * and goes costs its page faults each time. NULL: no memory. */
float *rs_runtime_scratch(const rs_runtime *rt, int64_t floats);

/* The pool, or NULL where so few multiplications are done before another thread has woken. */
rs_pool *rs_pool_worth(const rs_runtime *rt, int64_t multiplications);

/* Calls fn for each of n rows, with the threads where there are many. */
void rs_each_row(const rs_runtime *rt, int64_t n, void (*fn)(void *ctx, int64_t row),
                 void *ctx);

/* Progress of a long operation, called from the coordinating thread every 10-100 ms.
 * Returning false stops: the operation releases everything and returns RS_E_CANCELLED. */
typedef struct rs_progress {
    uint64_t done, total;
    const char *unit; /* "bytes", "tokens", "sequences" */
    const char *what; /* the tensor or step at hand; borrowed for the call */
} rs_progress;

typedef bool (*rs_progress_fn)(void *ctx, const rs_progress *p);

#endif
