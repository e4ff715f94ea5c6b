/* memory.h - how much memory a merge takes, and how it is made to fit a budget.
 *
 * The sum has parts that are there once (the program, the plan's tables, ranks of a Fisher,
 * angles, factors of the adapters at work) and a part for each thread (tiles, a chunk of the
 * output). Where all threads with chunks of 2 MiB are too much, chunks become smaller, down
 * to 64 KiB, and then threads fewer. The result's bytes depend on neither. */
#ifndef RS_MEMORY_H
#define RS_MEMORY_H

#include "merge/plan_internal.h"

typedef struct rs_memory {
    int workers; /* threads that merge */
    uint64_t chunk_bytes;
    uint64_t once;       /* bytes, whatever the threads */
    uint64_t statistics; /* of them, of Fishers */
    uint64_t bytes;      /* in all */
} rs_memory;

/* chunk_bytes 0: chosen. RS_E_NOMEM with numbers where one thread does not fit rt's budget;
 * *out is then the least that is needed. */
rs_status rs_memory_fit(const rs_runtime *rt, const rs_plan *p, uint64_t chunk_bytes,
                        rs_memory *out, rs_err *err) RS_MUST_USE;
/* Threads for the passes over Fishers. RS_E_NOMEM where their statistics do not fit. */
rs_status rs_memory_pass(const rs_runtime *rt, const rs_plan *p, int *workers,
                         rs_err *err) RS_MUST_USE;

#endif
