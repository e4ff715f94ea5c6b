/* pool.h - the engine's threads.
 *
 * Work is a number of chunks; threads (the caller among them) take chunk numbers from an
 * atomic counter until none is left or somebody asks to stop. Which thread does which chunk
 * is not defined, so results must not depend on it: write to the chunk's own place and
 * combine in chunk order afterwards. The threads sleep when there is no work. One run at a
 * time per pool; a run must not start another on the same pool. */
#ifndef RS_POOL_H
#define RS_POOL_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct rs_pool rs_pool;

/* Does one chunk. worker is 0 .. threads-1, for scratch memory per worker. A false stops the
 * run: no further chunk is handed out. */
typedef bool (*rs_chunk_fn)(void *ctx, int64_t chunk, int worker);

/* threads counts the caller: 1 makes no thread at all. */
rs_status rs_pool_new(int threads, rs_pool **out, rs_err *err) RS_MUST_USE;
void rs_pool_free(rs_pool *p);         /* NULL is fine */
int rs_pool_threads(const rs_pool *p); /* 1 for NULL */

/* Returns true when every chunk was done with true. p may be NULL: all in the caller. */
bool rs_pool_run(rs_pool *p, int64_t chunks, rs_chunk_fn fn, void *ctx);
/* The same with workers 0 .. workers-1 alone: where memory does not do for all. */
bool rs_pool_run_few(rs_pool *p, int workers, int64_t chunks, rs_chunk_fn fn, void *ctx);

#endif
