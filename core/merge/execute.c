#include "merge/execute.h"

#include "base/buf.h"
#include "base/os.h"
#include "merge/card.h"
#include "store/writer.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_BYTES = 2 << 20, /* of output that one thread makes at a time, unless told */
    MIN_CHUNK = 64 << 10,
    SCRATCH_FACTOR = 12 /* bytes of scratch for a byte of output, about */
};

/* Element range of one tensor. Chunks are numbered over all tensors in the plan's order. */
typedef struct chunk {
    int i_tensor;
    int64_t first, n;
} chunk;

typedef struct work {
    const rs_runtime *rt;
    const rs_plan *plan;
    rs_writer *writer;
    chunk *chunks;
    int64_t n_chunks;
    rs_workspace **spaces; /* one a thread, as the next two */
    void **buffers;
    rs_err *errors;
    uint64_t total;
    atomic_ullong done;
    const rs_execute_options *o;
} work;

/* --- cutting --- */

/* Elements of one chunk: whole rows where a row fits. */
static int64_t chunk_elements(const rs_plan_tensor *t, uint64_t chunk_bytes)
{
    int64_t n = t->base->n_elements, rows = t->base->n_dims > 0 ? t->base->dim[0] : 1;
    int64_t row = rows > 0 ? n / rows : n;
    uint64_t each = n > 0 ? t->out_bytes / (uint64_t)n : 1;
    int64_t want = (int64_t)(chunk_bytes / (each ? each : 1));
    if (want < 1) want = 1;
    return row > 0 && row <= want ? want / row * row : want;
}

static rs_status cut(work *w, uint64_t chunk_bytes, rs_err *err)
{
    for (int pass = 0; pass < 2; pass++) {
        int64_t at = 0;
        for (int i = 0; i < rs_plan_count(w->plan); i++) {
            const rs_plan_tensor *t = rs_plan_at(w->plan, i);
            int64_t all = t->base->n_elements, step = chunk_elements(t, chunk_bytes);
            if (pass == 0) w->total += t->out_bytes;
            for (int64_t first = 0; first < all; first += step, at++)
                if (pass == 1)
                    w->chunks[at] =
                        (chunk){i, first, all - first < step ? all - first : step};
        }
        w->n_chunks = at;
        if (pass == 0) w->chunks = calloc((size_t)at + 1, sizeof *w->chunks);
        if (!w->chunks) return rs_fail(err, RS_E_NOMEM, "no memory to list the chunks");
    }
    return RS_OK;
}

static uint64_t pick_chunk_bytes(const work *w)
{
    if (w->o->chunk_bytes) return w->o->chunk_bytes;
    uint64_t fair = w->rt->memory_bytes / (uint64_t)(w->rt->threads * SCRATCH_FACTOR);
    if (fair > CHUNK_BYTES) fair = CHUNK_BYTES;
    return fair < MIN_CHUNK ? MIN_CHUNK : fair;
}

static rs_status make_buffers(work *w, uint64_t chunk_bytes, rs_err *err)
{
    size_t n = (size_t)w->rt->threads;
    w->spaces = calloc(n, sizeof *w->spaces);
    w->buffers = calloc(n, sizeof *w->buffers);
    w->errors = calloc(n, sizeof *w->errors);
    if (!w->spaces || !w->buffers || !w->errors)
        return rs_fail(err, RS_E_NOMEM, "no memory for %zu threads", n);
    for (size_t i = 0; i < n; i++) {
        w->buffers[i] = malloc((size_t)chunk_bytes + 64);
        if (!w->buffers[i])
            return rs_fail(err, RS_E_NOMEM, "no memory for a chunk of %llu bytes",
                           (unsigned long long)chunk_bytes);
        RS_TRY(rs_workspace_new(w->rt, &w->spaces[i], err));
    }
    return RS_OK;
}

/* --- one chunk --- */

/* Index of the first NaN or infinity, -1: none. */
static int64_t find_bad(const void *data, rs_dtype d, int64_t n)
{
    const uint16_t *half = data;
    const uint32_t *single = data;
    uint32_t mask = d == RS_DTYPE_F32    ? 0x7f800000u
                    : d == RS_DTYPE_BF16 ? 0x7f80u
                                         : 0x7c00u;
    if (d == RS_DTYPE_F32) {
        for (int64_t i = 0; i < n; i++)
            if ((single[i] & mask) == mask) return i;
    } else if (d == RS_DTYPE_BF16 || d == RS_DTYPE_F16) {
        for (int64_t i = 0; i < n; i++)
            if ((half[i] & mask) == mask) return i;
    }
    return -1;
}

static rs_status make_chunk(work *w, const chunk *c, int worker, rs_err *err)
{
    const rs_plan_tensor *t = rs_plan_at(w->plan, c->i_tensor);
    uint64_t each = t->out_bytes / (uint64_t)t->base->n_elements;
    void *out = w->buffers[worker];
    RS_TRY(rs_plan_produce(w->rt, w->plan, w->spaces[worker], c->i_tensor, c->first, c->n,
                           out, err));
    int64_t bad = t->changes ? find_bad(out, t->out_dtype, c->n) : -1;
    if (bad >= 0)
        return rs_fail(
            err, RS_E_INVALID,
            "the merge gives NaN or infinity in %s at element %lld of %lld as %s",
            t->name, (long long)(c->first + bad), (long long)t->base->n_elements,
            rs_dtype_name(t->out_dtype));
    return rs_writer_write(w->writer, c->i_tensor, (uint64_t)c->first * each, out,
                           (size_t)((uint64_t)c->n * each), err);
}

/* Worker 0 is the coordinating thread: it alone reports. */
static bool run_chunk(void *ctx, int64_t number, int worker)
{
    work *w = ctx;
    const chunk *c = &w->chunks[number];
    const rs_plan_tensor *t = rs_plan_at(w->plan, c->i_tensor);
    rs_err *err = &w->errors[worker];
    if (make_chunk(w, c, worker, err) != RS_OK) return false;
    uint64_t bytes = t->out_bytes / (uint64_t)t->base->n_elements * (uint64_t)c->n;
    uint64_t done = atomic_fetch_add(&w->done, bytes) + bytes;
    if (worker != 0 || !w->o->progress) return true;
    rs_progress p = {done, w->total, "bytes", t->role.tail ? t->role.tail : t->name};
    if (w->o->progress(w->o->progress_ctx, &p)) return true;
    rs_fail(err, RS_E_CANCELLED, "the merge was cancelled after %llu of %llu bytes",
            (unsigned long long)done, (unsigned long long)w->total);
    return false;
}

static rs_status run_chunks(work *w, rs_err *err)
{
    if (rs_pool_run(w->rt->pool, w->n_chunks, run_chunk, w)) return RS_OK;
    for (int i = 0; i < w->rt->threads; i++)
        if (w->errors[i].code != RS_OK)
            return rs_fail(err, w->errors[i].code, "%s", w->errors[i].msg);
    return rs_fail(err, RS_E_BUG, "the merge stopped without a reason");
}

/* --- the folder --- */

static rs_status open_writer(work *w, const rs_string_pair *meta, int n_meta, rs_err *err)
{
    int n = rs_plan_count(w->plan);
    rs_write_tensor *list = calloc((size_t)n + 1, sizeof *list);
    if (!list) return rs_fail(err, RS_E_NOMEM, "no memory for a list of %d tensors", n);
    for (int i = 0; i < n; i++) {
        const rs_plan_tensor *t = rs_plan_at(w->plan, i);
        list[i] = (rs_write_tensor){t->name, t->out_dtype, t->base->n_dims, {0}};
        memcpy(list[i].dim, t->base->dim, sizeof list[i].dim);
    }
    rs_write_plan p = {.tensors = list,
                       .n_tensors = n,
                       .metadata = meta,
                       .n_metadata = n_meta,
                       .shard_bytes = rs_plan_recipe(w->plan)->shard_bytes,
                       .force = w->o->force};
    rs_status s = rs_writer_new(w->o->out, &p, &w->writer, err);
    free(list);
    return s;
}

/* The output must not take the place of what it is made from. */
static rs_status check_out(const work *w, rs_err *err)
{
    rs_buf partial = {0};
    rs_status s = RS_OK;
    rs_buf_printf(&partial, "%s.partial", w->o->out);
    for (int i = 0; i < rs_plan_n_sources(w->plan) && s == RS_OK; i++) {
        const rs_plan_source *src = rs_plan_source_at(w->plan, i);
        bool within = rs_os_is_within(src->path, w->o->out) ||
                      rs_os_is_within(src->path, rs_buf_str(&partial));
        /* Files may be links into it: caches of the hub are built like that. */
        for (int k = 0; src->file && k < rs_checkpoint_n_files(src->file); k++)
            within |= rs_os_is_within(rs_checkpoint_file(src->file, k), w->o->out);
        if (within)
            s = rs_fail(err, RS_E_EXISTS,
                        "%s holds %s, which this merge reads: choose another name",
                        w->o->out, src->name);
    }
    rs_buf_free(&partial);
    return s;
}

/* The tensor files carry the recipe with its own paths, so that their bytes are the same
 * wherever they are made; ringside.json, with paths from the new folder, can be opened there. */
static rs_status write_all(work *w, rs_err *err)
{
    const rs_recipe *r = rs_plan_recipe(w->plan);
    rs_buf stated = {0}, recipe = {0};
    rs_recipe_text(r, r->folder, &stated);
    rs_recipe_text(r, w->o->out, &recipe);
    rs_string_pair meta[] = {{"ringside.recipe", rs_buf_str(&stated)}};
    uint64_t chunk_bytes = pick_chunk_bytes(w);
    rs_status s = stated.failed || recipe.failed
                      ? rs_fail(err, RS_E_NOMEM, "no memory for the recipe")
                      : RS_OK;
    if (s == RS_OK) s = check_out(w, err);
    if (s == RS_OK) s = cut(w, chunk_bytes, err);
    if (s == RS_OK) s = make_buffers(w, chunk_bytes, err);
    if (s == RS_OK) s = open_writer(w, meta, 1, err);
    if (s == RS_OK)
        s = rs_card_write(w->plan, w->writer, rs_buf_str(&stated), rs_buf_str(&recipe),
                          err);
    if (s == RS_OK) s = run_chunks(w, err);
    rs_buf_free(&stated);
    rs_buf_free(&recipe);
    return s;
}

static void release(work *w)
{
    for (int i = 0; i < w->rt->threads; i++) {
        if (w->spaces) rs_workspace_free(w->spaces[i]);
        if (w->buffers) free(w->buffers[i]);
    }
    free(w->spaces);
    free(w->buffers);
    free(w->errors);
    free(w->chunks);
    rs_writer_free(w->writer);
}

rs_status rs_execute(const rs_runtime *rt, const rs_plan *p, const rs_execute_options *o,
                     rs_execute_result *result, rs_err *err)
{
    *result = (rs_execute_result){0};
    work w = {.rt = rt, .plan = p, .o = o};
    RS_TRY(rs_plan_prepare(rt, p, o->progress, o->progress_ctx, err));
    rs_status s = write_all(&w, err);
    if (s == RS_OK) {
        result->bytes = w.total;
        result->n_tensors = rs_plan_count(p);
        result->n_changed = rs_plan_need(p).n_changed;
        s = rs_writer_finish(w.writer, result->hash, err);
    }
    release(&w);
    return s;
}
