#include "tensor/runtime.h"

#include "tensor/blas.h"

#include <stdint.h>
#include <unistd.h>

static int processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 1024 ? 1024 : (int)n;
}

static uint64_t quarter_of_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (pages <= 0 || page <= 0) return (uint64_t)1 << 30;
    return (uint64_t)pages * (uint64_t)page / 4;
}

rs_status rs_init(const rs_options *o, rs_runtime *rt, rs_err *err)
{
    static const rs_options defaults;
    if (!o) o = &defaults;
    *rt = (rs_runtime){0};
    RS_TRY(rs_kernels_pick(o->isa, &rt->kernels, err));
    rt->threads = o->threads == 0 ? processors() : o->threads;
    rt->memory_bytes = o->memory_bytes ? o->memory_bytes : quarter_of_memory();
    RS_TRY(rs_pool_new(rt->threads, &rt->pool, err));
    rs_blas_threads(1);
    return RS_OK;
}

void rs_quit(rs_runtime *rt)
{
    rs_pool_free(rt->pool);
    *rt = (rs_runtime){0};
}
