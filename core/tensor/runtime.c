#include "tensor/runtime.h"

#include "base/limits.h"
#include "tensor/blas.h"

#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

enum {
    ROWS_A_CHUNK = 4,
    FEW_ROWS = 16,       /* waking costs more than a row */
    SMALL_WORK = 1 << 19 /* multiplications done before another thread has woken */
};

struct rs_scratch {
    float *floats;
    int64_t room;
};

static int processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 1024 ? 1024 : (int)n;
}

/* Large blocks go back to the system when they are freed: else each thread keeps what it has
 * had, and a budget says nothing. */
static void give_back_memory(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
#endif
}

rs_status rs_init(const rs_options *o, rs_runtime *rt, rs_err *err)
{
    static const rs_options defaults;
    if (!o) o = &defaults;
    *rt = (rs_runtime){0};
    RS_TRY(rs_kernels_pick(o->isa, &rt->kernels, err));
    rt->threads = o->threads == 0 ? processors() : o->threads;
    rt->memory_bytes = o->memory_bytes ? o->memory_bytes : rs_os_memory("") / 4;
    if (!(rt->scratch = calloc(1, sizeof *rt->scratch)))
        return rs_fail(err, RS_E_NOMEM, "no memory");
    rs_status st = rs_pool_new(rt->threads, &rt->pool, err);
    if (st != RS_OK) {
        rs_quit(rt);
        return st;
    }
    rs_blas_threads(1);
    give_back_memory();
    return RS_OK;
}

void rs_quit(rs_runtime *rt)
{
    rs_pool_free(rt->pool);
    if (rt->scratch) free(rt->scratch->floats);
    free(rt->scratch);
    *rt = (rs_runtime){0};
}

float *rs_runtime_scratch(const rs_runtime *rt, int64_t floats)
{
    enum { LINE = 64 / sizeof(float) };
    struct rs_scratch *s = rt->scratch;
    if (floats <= s->room) return s->floats;
    int64_t room = (floats + LINE - 1) / LINE * LINE;
    free(s->floats);
    s->floats = aligned_alloc(64, (size_t)room * sizeof(float));
    s->room = s->floats ? room : 0;
    return s->floats;
}

rs_pool *rs_pool_worth(const rs_runtime *rt, int64_t multiplications)
{
    return multiplications < SMALL_WORK ? NULL : rt->pool;
}

typedef struct row_run {
    void (*fn)(void *ctx, int64_t row);
    void *ctx;
    int64_t n;
} row_run;

static bool row_chunk(void *ctx, int64_t chunk, int worker)
{
    (void)worker;
    const row_run *r = ctx;
    int64_t end = (chunk + 1) * ROWS_A_CHUNK;
    for (int64_t i = chunk * ROWS_A_CHUNK; i < end && i < r->n; i++)
        r->fn(r->ctx, i);
    return true;
}

void rs_each_row(const rs_runtime *rt, int64_t n, void (*fn)(void *ctx, int64_t row),
                 void *ctx)
{
    row_run r = {fn, ctx, n};
    rs_pool_run(n < FEW_ROWS ? NULL : rt->pool, (n + ROWS_A_CHUNK - 1) / ROWS_A_CHUNK,
                row_chunk, &r);
}
