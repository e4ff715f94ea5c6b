#include "store/write_chunks.h"

#include "store/writer_internal.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef struct work {
    rs_writer *writer;
    const rs_chunk_job *job;
    rs_chunk *chunks;
    int64_t n_chunks;
    int workers;
    void **buffers; /* one a worker, as the errors */
    rs_err *errors;
    atomic_ullong done;
} work;

static int64_t elements_of(const rs_write_tensor *t)
{
    int64_t n = 1;
    for (int d = 0; d < t->n_dims; d++)
        n *= t->dim[d]; /* the writer has checked it */
    return n;
}

/* Bytes of an element; what is written here has no blocks. */
static uint64_t width_of(const rs_write_tensor *t)
{
    return (uint64_t)rs_dtype_of(t->dtype)->block_bytes;
}

static int64_t step_of(const rs_write_tensor *t, uint64_t chunk_bytes)
{
    int64_t n = elements_of(t), rows = t->n_dims > 0 ? t->dim[0] : 1;
    int64_t row = rows > 0 ? n / rows : n;
    int64_t want = (int64_t)(chunk_bytes / width_of(t));
    if (want < 1) want = 1;
    return row > 0 && row <= want ? want / row * row : want;
}

static rs_status cut(work *w, rs_err *err)
{
    for (int pass = 0; pass < 2; pass++) {
        int64_t at = 0;
        for (int i = 0; i < w->writer->n_slots; i++) {
            const rs_write_tensor *t = &w->writer->slots[i].t;
            int64_t all = elements_of(t), step = step_of(t, w->job->chunk_bytes);
            for (int64_t first = 0; first < all; first += step, at++)
                if (pass == 1)
                    w->chunks[at] =
                        (rs_chunk){i, first, all - first < step ? all - first : step};
        }
        w->n_chunks = at;
        if (pass == 0) w->chunks = calloc((size_t)at + 1, sizeof *w->chunks);
        if (!w->chunks) return rs_fail(err, RS_E_NOMEM, "no memory to list the chunks");
    }
    return RS_OK;
}

static rs_status make_buffers(work *w, rs_err *err)
{
    size_t n = (size_t)w->workers, bytes = (size_t)w->job->chunk_bytes + 64;
    w->buffers = calloc(n, sizeof *w->buffers);
    w->errors = calloc(n, sizeof *w->errors);
    if (!w->buffers || !w->errors)
        return rs_fail(err, RS_E_NOMEM, "no memory for %zu threads", n);
    for (size_t i = 0; i < n; i++)
        if (!(w->buffers[i] = malloc(bytes)))
            return rs_fail(err, RS_E_NOMEM, "no memory for a chunk of %zu bytes", bytes);
    return RS_OK;
}

/* Worker 0 is the coordinating thread: it alone reports. */
static bool run_chunk(void *ctx, int64_t number, int worker)
{
    work *w = ctx;
    const rs_chunk *c = &w->chunks[number];
    const rs_write_tensor *t = &w->writer->slots[c->i_tensor].t;
    void *bytes = w->buffers[worker];
    uint64_t width = width_of(t), n = (uint64_t)c->n * width;
    rs_err *err = &w->errors[worker];
    if (w->job->make(w->job->ctx, c, worker, bytes, err) != RS_OK ||
        rs_writer_write(w->writer, c->i_tensor, (uint64_t)c->first * width, bytes,
                        (size_t)n, err) != RS_OK)
        return false;
    uint64_t done = atomic_fetch_add(&w->done, n) + n, all = rs_writer_bytes(w->writer);
    if (worker != 0 || !w->job->progress) return true;
    rs_progress p = {done, all, "bytes", t->name};
    if (w->job->progress(w->job->progress_ctx, &p)) return true;
    rs_fail(err, RS_E_CANCELLED,
            "the %s was cancelled after %" PRIu64 " of %" PRIu64 " bytes", w->job->name,
            done, all);
    return false;
}

static rs_status run_all(const rs_runtime *rt, work *w, rs_err *err)
{
    RS_TRY(cut(w, err));
    RS_TRY(make_buffers(w, err));
    if (rs_pool_run_few(rt->pool, w->workers, w->n_chunks, run_chunk, w)) return RS_OK;
    for (int i = 0; i < w->workers; i++)
        if (w->errors[i].code != RS_OK)
            return rs_fail(err, w->errors[i].code, "%s", w->errors[i].msg);
    return rs_fail(err, RS_E_BUG, "the %s stopped without a reason", w->job->name);
}

rs_status rs_write_chunks(const rs_runtime *rt, rs_writer *writer,
                          const rs_chunk_job *job, rs_err *err)
{
    int all = rs_pool_threads(rt->pool);
    work w = {.writer = writer, .job = job};
    w.workers = job->workers > 0 && job->workers < all ? job->workers : all;
    rs_status s = run_all(rt, &w, err);
    for (int i = 0; w.buffers && i < w.workers; i++)
        free(w.buffers[i]);
    free(w.buffers);
    free(w.errors);
    free(w.chunks);
    return s;
}
