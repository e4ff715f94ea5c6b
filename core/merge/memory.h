/* memory.h - how much memory a merge takes, and how it is made to fit a budget.
 *
 * The sum has parts that are there once (the program, the plan's tables, headers of GGUFs,
 * ranks of a Fisher, angles, factors of the adapters at work) and a part for each thread
 * (tiles, a chunk of the output). What the small files beside the weights take is gone before
 * the tensors are made; the larger of both counts. Where all threads with chunks of 2 MiB are too much, chunks become smaller, down
 * to 64 KiB, and then threads fewer. The result's bytes depend on neither. */
#ifndef RS_MEMORY_H
#define RS_MEMORY_H

#include "merge/plan_internal.h"

/* Code, libraries, headers of safetensors, small tables. */
enum { RS_PROGRAM_BYTES = 24 << 20 };

typedef struct rs_memory {
    int workers; /* threads that merge */
    uint64_t chunk_bytes;
    uint64_t there;      /* bytes from the first to the last */
    uint64_t statistics; /* of them, of Fishers */
    uint64_t before;     /* of what is done before the tensors */
    uint64_t bytes;      /* in all */
} rs_memory;

/* What the files beside the weights take, about: in a folder, and in one GGUF. */
uint64_t rs_memory_of_folder(const rs_plan *p);
uint64_t rs_memory_of_gguf(const rs_plan *p);

/* chunk_bytes 0: chosen. before: one of the above. RS_E_NOMEM with numbers where one thread does not fit rt's budget;
 * *out is then the least that is needed. */
rs_status rs_memory_fit(const rs_runtime *rt, const rs_plan *p, uint64_t chunk_bytes,
                        uint64_t before, rs_memory *out, rs_err *err) RS_MUST_USE;
/* Threads for the passes over Fishers. RS_E_NOMEM where their statistics do not fit. */
rs_status rs_memory_pass(const rs_runtime *rt, const rs_plan *p, int *workers,
                         rs_err *err) RS_MUST_USE;

#endif
