#include "model/export.h"

#include "model/export_internal.h"
#include "tensor/convert.h"
#include "tensor/merge_kernels.h"
#include "tensor/quantise.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 1 << 19, /* elements that a thread makes at a time */
    MIN_CHUNK = 1 << 12,
    GRAIN = 256 /* ranges that are no whole rows begin at multiples of this */
};

typedef struct chunk {
    int i_item;
    int64_t first, n;
} chunk;

typedef struct work {
    rs_export_job *job;
    chunk *chunks;
    int64_t n_chunks, chunk_elements;
    rs_gguf_writer *writer;
    float **values; /* one a thread, as the next two */
    void **stored;
    rs_err *errors;
    uint64_t total;
    atomic_ullong done;
} work;

void rs_export_note(const rs_export_job *j, const char *fmt, ...)
{
    char text[512];
    if (!j->o->note) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    j->o->note(j->o->note_ctx, text);
}

static uint64_t bytes_of(rs_dtype d, int64_t n)
{
    const rs_dtype_info *info = rs_dtype_of(d);
    return (uint64_t)(n / info->block) * (uint64_t)info->block_bytes;
}

/* ---- cutting ---- */

/* A chunk holds at least one row of those whose rows are re-ordered. */
static void pick_chunk(work *w)
{
    const rs_runtime *rt = w->job->rt;
    uint64_t fair = rt->memory_bytes / (uint64_t)rt->threads / 16;
    int64_t n = fair > CHUNK       ? CHUNK
                : fair < MIN_CHUNK ? MIN_CHUNK
                                   : (int64_t)(fair / GRAIN * GRAIN);
    for (int i = 0; i < w->job->n_items; i++) {
        const rs_export_item *it = &w->job->items[i];
        if (it->head_dim && it->dim[1] > n) n = it->dim[1];
    }
    w->chunk_elements = n;
}

static int64_t step_of(const work *w, const rs_export_item *it)
{
    int64_t n = w->chunk_elements;
    return it->head_dim ? n / it->dim[1] * it->dim[1] : n / GRAIN * GRAIN;
}

static rs_status cut(work *w, rs_err *err)
{
    for (int pass = 0; pass < 2; pass++) {
        int64_t at = 0;
        for (int i = 0; i < w->job->n_items; i++) {
            const rs_export_item *it = &w->job->items[i];
            int64_t step = step_of(w, it);
            if (pass == 0) w->total += bytes_of(it->dtype, it->n);
            for (int64_t first = 0; first < it->n; first += step, at++)
                if (pass == 1)
                    w->chunks[at] =
                        (chunk){i, first, it->n - first < step ? it->n - first : step};
        }
        w->n_chunks = at;
        if (pass == 0) w->chunks = calloc((size_t)at + 1, sizeof *w->chunks);
        if (!w->chunks) return rs_fail(err, RS_E_NOMEM, "no memory to list the chunks");
    }
    return RS_OK;
}

static rs_status make_buffers(work *w, rs_err *err)
{
    size_t n = (size_t)w->job->rt->threads, m = (size_t)w->chunk_elements;
    w->values = calloc(n, sizeof *w->values);
    w->stored = calloc(n, sizeof *w->stored);
    w->errors = calloc(n, sizeof *w->errors);
    if (!w->values || !w->stored || !w->errors)
        return rs_fail(err, RS_E_NOMEM, "no memory for %zu threads", n);
    for (size_t i = 0; i < n; i++) {
        w->values[i] = malloc(m * sizeof(float));
        w->stored[i] = malloc(m * sizeof(float));
        if (!w->values[i] || !w->stored[i])
            return rs_fail(err, RS_E_NOMEM, "no memory for a chunk of %zu numbers", m);
    }
    return RS_OK;
}

/* ---- one chunk ---- */

static rs_status bad_value(const rs_export_item *it, int64_t at, double v, rs_err *err)
{
    return rs_fail(err, RS_E_INVALID,
                   "%s: the value %g at element %" PRId64 " of %" PRId64
                   " cannot be stored as %s",
                   it->name, v, at, it->n, rs_dtype_name(it->dtype));
}

static rs_status read_values(work *w, const chunk *c, int worker, rs_err *err)
{
    const rs_export_source *src = w->job->source;
    const rs_export_item *it = &w->job->items[c->i_item];
    float *v = w->values[worker];
    if (it->i_source < 0) {
        memcpy(v, w->job->rope_factors + c->first, (size_t)c->n * sizeof *v);
        return RS_OK;
    }
    RS_TRY(src->read(src->ctx, worker, it->i_source, c->first, c->n, v, err));
    for (int64_t i = 0; i < c->n; i++)
        if (!isfinite(v[i])) return bad_value(it, c->first + i, (double)v[i], err);
    if (it->shift != 0)
        for (int64_t i = 0; i < c->n; i++)
            v[i] += it->shift;
    return RS_OK;
}

/* Where some value is too large for the type: the largest. */
static rs_status blame_largest(const rs_export_item *it, const chunk *c, const float *v,
                               rs_err *err)
{
    int64_t at = 0;
    for (int64_t i = 1; i < c->n; i++)
        if (fabsf(v[i]) > fabsf(v[at])) at = i;
    return bad_value(it, c->first + at, (double)v[at], err);
}

static rs_status store_values(work *w, const chunk *c, int worker, rs_err *err)
{
    const rs_export_item *it = &w->job->items[c->i_item];
    const rs_kernels *k = w->job->rt->kernels;
    const rs_merge_kernels *m = k->merge;
    const float *v = w->values[worker];
    void *to = w->stored[worker];
    bool fits = true;
    if (rs_quantise_takes(it->dtype))
        fits = rs_quantise(it->dtype, v, to, c->n);
    else
        rs_from_f32(k, it->dtype, v, to, c->n);
    if (it->dtype == RS_DTYPE_F16) fits = !m->not_finite_f16(to, c->n);
    if (it->dtype == RS_DTYPE_BF16) fits = !m->not_finite_bf16(to, c->n);
    return fits ? RS_OK : blame_largest(it, c, v, err);
}

static rs_status write_values(work *w, const chunk *c, int worker, rs_err *err)
{
    const rs_export_item *it = &w->job->items[c->i_item];
    const char *from = w->stored[worker];
    if (!it->head_dim)
        return rs_gguf_writer_write(w->writer, c->i_item, bytes_of(it->dtype, c->first),
                                    from, (size_t)bytes_of(it->dtype, c->n), err);
    size_t each = (size_t)bytes_of(it->dtype, it->dim[1]);
    int64_t row = c->first / it->dim[1], rows = c->n / it->dim[1];
    for (int64_t r = 0; r < rows; r++, from += each)
        RS_TRY(rs_gguf_writer_write(
            w->writer, c->i_item,
            rs_gguf_paired_row((uint64_t)it->head_dim, (uint64_t)(row + r)) * each, from,
            each, err));
    return RS_OK;
}

static rs_status make_chunk(work *w, const chunk *c, int worker, rs_err *err)
{
    RS_TRY(read_values(w, c, worker, err));
    RS_TRY(store_values(w, c, worker, err));
    return write_values(w, c, worker, err);
}

/* Worker 0 is the coordinating thread: it alone reports. */
static bool run_chunk(void *ctx, int64_t number, int worker)
{
    work *w = ctx;
    const rs_export_options *o = w->job->o;
    const chunk *c = &w->chunks[number];
    const rs_export_item *it = &w->job->items[c->i_item];
    rs_err *err = &w->errors[worker];
    if (make_chunk(w, c, worker, err) != RS_OK) return false;
    uint64_t bytes = bytes_of(it->dtype, c->n);
    uint64_t done = atomic_fetch_add(&w->done, bytes) + bytes;
    if (worker != 0 || !o->progress) return true;
    rs_progress p = {done, w->total, "bytes", it->name};
    if (o->progress(o->progress_ctx, &p)) return true;
    rs_fail(err, RS_E_CANCELLED,
            "the export was cancelled after %" PRIu64 " of %" PRIu64 " bytes", done,
            w->total);
    return false;
}

static rs_status run_chunks(work *w, rs_err *err)
{
    if (rs_pool_run(w->job->rt->pool, w->n_chunks, run_chunk, w)) return RS_OK;
    for (int i = 0; i < w->job->rt->threads; i++)
        if (w->errors[i].code != RS_OK)
            return rs_fail(err, w->errors[i].code, "%s", w->errors[i].msg);
    return rs_fail(err, RS_E_BUG, "the export stopped without a reason");
}

/* ---- the whole ---- */

/* The output must not take the place of what it is made from. */
static rs_status check_out(const rs_export_job *j, rs_err *err)
{
    const rs_checkpoint *base = j->source->base;
    for (int i = 0; i < rs_checkpoint_n_files(base); i++)
        if (rs_os_is_within(rs_checkpoint_file(base, i), j->o->out))
            return rs_fail(err, RS_E_EXISTS,
                           "%s is what this export reads: choose another name",
                           j->o->out);
    return RS_OK;
}

static rs_status open_writer(work *w, rs_err *err)
{
    const rs_export_job *j = w->job;
    rs_write_tensor *list = calloc((size_t)j->n_items + 1, sizeof *list);
    if (!list)
        return rs_fail(err, RS_E_NOMEM, "no memory for a list of %d tensors", j->n_items);
    for (int i = 0; i < j->n_items; i++) {
        const rs_export_item *it = &j->items[i];
        list[i] = (rs_write_tensor){it->name, it->dtype, it->n_dims, {0}};
        memcpy(list[i].dim, it->dim, sizeof it->dim);
    }
    rs_status s = rs_gguf_writer_new(j->o->out, &j->keys, list, j->n_items, j->o->force,
                                     &w->writer, err);
    free(list);
    return s;
}

/* The header first: if it cannot be made, nothing long was done. */
static rs_status write_all(work *w, rs_err *err)
{
    rs_export_job *j = w->job;
    RS_TRY(check_out(j, err));
    RS_TRY(rs_export_rope(j, err));
    RS_TRY(rs_export_list(j, err));
    RS_TRY(rs_export_keys(j, err));
    RS_TRY(rs_export_tokenizer(j, err));
    pick_chunk(w);
    RS_TRY(cut(w, err));
    RS_TRY(make_buffers(w, err));
    RS_TRY(open_writer(w, err));
    rs_gguf_keys_free(&j->keys);
    RS_TRY(run_chunks(w, err));
    return rs_gguf_writer_finish(w->writer, err);
}

static void release(work *w)
{
    for (int i = 0; i < w->job->rt->threads; i++) {
        if (w->values) free(w->values[i]);
        if (w->stored) free(w->stored[i]);
    }
    free(w->values);
    free(w->stored);
    free(w->errors);
    free(w->chunks);
    free(w->job->items);
    free(w->job->rope_factors);
    rs_gguf_keys_free(&w->job->keys);
    rs_gguf_writer_free(w->writer);
}

/* Only Mistral goes by another family's name. */
static const char *arch_of(const rs_family *f)
{
    return strcmp(f->name, "mistral") == 0 ? "llama" : f->name;
}

bool rs_export_takes(rs_dtype d)
{
    return d == RS_DTYPE_F32 || d == RS_DTYPE_F16 || d == RS_DTYPE_BF16 ||
           rs_quantise_takes(d);
}

/* Without the table that a GGUF may have: it is made anew. */
static int count_weights(const rs_export_source *source)
{
    int n = 0;
    for (int i = 0; i < source->n_tensors; i++)
        n += !rs_gguf_is_table(source->tensor(source->ctx, i).name);
    return n;
}

rs_status rs_export_from(const rs_runtime *rt, const rs_export_source *source,
                         const rs_export_options *o, rs_export_result *result,
                         rs_err *err)
{
    *result = (rs_export_result){0};
    if (!rs_export_takes(o->dtype))
        return rs_fail(err, RS_E_INVALID,
                       "an export is stored as f32, f16, bf16, q8_0 or q4_0, not as %s",
                       rs_dtype_name(o->dtype));
    rs_export_job j = {.rt = rt, .source = source, .o = o};
    j.arch = arch_of(source->config->family);
    work w = {.job = &j};
    rs_status s = write_all(&w, err);
    if (s == RS_OK) {
        result->bytes = rs_gguf_writer_bytes(w.writer);
        result->n_tensors = j.n_items;
        result->n_left_out = count_weights(source) - j.n_items + (j.rope_factors != NULL);
    }
    release(&w);
    return s;
}

/* ---- from files ---- */

static rs_export_tensor file_tensor(const void *ctx, int i)
{
    const rs_tensor *t = rs_checkpoint_at(ctx, i);
    return (rs_export_tensor){t->name, t->dtype, t->n_dims, t->dim};
}

static rs_status file_read(void *ctx, int worker, int i, int64_t first, int64_t n,
                           float *dst, rs_err *err)
{
    (void)worker;
    return rs_checkpoint_read_f32(ctx, rs_checkpoint_at(ctx, i), first, n, dst, err);
}

rs_status rs_export(const rs_runtime *rt, const rs_checkpoint *c, const rs_config *config,
                    const rs_export_options *o, rs_export_result *result, rs_err *err)
{
    rs_export_source source = {.config = config,
                               .base = c,
                               .recipe = rs_checkpoint_metadata(c, "ringside.recipe"),
                               .n_tensors = rs_checkpoint_count(c),
                               .tensor = file_tensor,
                               .read = file_read,
                               .ctx = (void *)c};
    rs_status s = rs_export_from(rt, &source, o, result, err);
    return s == RS_E_MISMATCH ? rs_err_prefix(err, "%s", rs_checkpoint_path(c)) : s;
}
