#include "model/import.h"

#include "model/config.h"
#include "store/gguf.h"
#include "store/write_chunks.h"
#include "tensor/convert.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 1 << 19,
    MIN_CHUNK = 1 << 12
}; /* elements that a thread makes at a time */

typedef struct work {
    const rs_runtime *rt;
    const rs_checkpoint *c;
    const rs_import_options *o;
    const rs_tensor **tensors; /* those that are written */
    int n_tensors, n_left_out;
    int64_t chunk_elements;
    rs_writer *writer;
    float **values; /* one a thread */
    uint64_t each;  /* bytes of an element */
} work;

/* ---- what is written ---- */

static rs_status list_tensors(work *w, rs_err *err)
{
    int n = rs_checkpoint_count(w->c);
    w->tensors = calloc((size_t)n + 1, sizeof *w->tensors);
    if (!w->tensors) return rs_fail(err, RS_E_NOMEM, "no memory for %d tensors", n);
    for (int i = 0; i < n; i++) {
        const rs_tensor *t = rs_checkpoint_at(w->c, i);
        if (rs_gguf_is_table(t->stored_name)) {
            w->n_left_out++;
            continue;
        }
        if (strcmp(t->name, t->stored_name) == 0)
            return rs_fail(err, RS_E_UNSUPPORTED,
                           "%s: the tensor %s has no Hugging Face name for this "
                           "architecture",
                           rs_checkpoint_path(w->c), t->stored_name);
        w->tensors[w->n_tensors++] = t;
    }
    return RS_OK;
}

static void pick_chunk(work *w)
{
    uint64_t fair = w->rt->memory_bytes / (uint64_t)w->rt->threads / 16;
    w->chunk_elements = fair > CHUNK       ? CHUNK
                        : fair < MIN_CHUNK ? MIN_CHUNK
                                           : (int64_t)fair;
}

static rs_status make_buffers(work *w, rs_err *err)
{
    size_t n = (size_t)w->rt->threads, m = (size_t)w->chunk_elements;
    w->values = calloc(n, sizeof *w->values);
    if (!w->values) return rs_fail(err, RS_E_NOMEM, "no memory for %zu threads", n);
    for (size_t i = 0; i < n; i++)
        if (!(w->values[i] = malloc(m * sizeof(float))))
            return rs_fail(err, RS_E_NOMEM, "no memory for a chunk of %zu numbers", m);
    return RS_OK;
}

static rs_status open_writer(work *w, rs_err *err)
{
    rs_write_tensor *list = calloc((size_t)w->n_tensors + 1, sizeof *list);
    if (!list)
        return rs_fail(err, RS_E_NOMEM, "no memory for a list of %d tensors",
                       w->n_tensors);
    for (int i = 0; i < w->n_tensors; i++) {
        const rs_tensor *t = w->tensors[i];
        list[i] = (rs_write_tensor){t->name, w->o->dtype, t->n_dims, {0}};
        memcpy(list[i].dim, t->dim, sizeof list[i].dim);
    }
    rs_write_plan p = {.tensors = list, .n_tensors = w->n_tensors, .force = w->o->force};
    rs_status s = rs_writer_new(w->o->out, &p, &w->writer, err);
    free(list);
    return s;
}

/* ---- one chunk ---- */

static rs_status check_finite(const work *w, const rs_chunk *c, const float *v,
                              rs_err *err)
{
    const rs_tensor *t = w->tensors[c->i_tensor];
    for (int64_t i = 0; i < c->n; i++)
        if (!isfinite(v[i]))
            return rs_fail(
                err, RS_E_FORMAT,
                "%s: %s has NaN or infinity at element %" PRId64 " of %" PRId64,
                rs_checkpoint_path(w->c), t->stored_name, c->first + i, t->n_elements);
    return RS_OK;
}

static rs_status make_chunk(void *ctx, const rs_chunk *c, int worker, void *dst,
                            rs_err *err)
{
    work *w = ctx;
    float *values = w->values[worker];
    RS_TRY(rs_checkpoint_read_f32(w->c, w->tensors[c->i_tensor], c->first, c->n, values,
                                  err));
    RS_TRY(check_finite(w, c, values, err));
    rs_from_f32(w->rt->kernels, w->o->dtype, values, dst, c->n);
    return RS_OK;
}

static rs_status run_chunks(work *w, rs_err *err)
{
    rs_chunk_job job = {.name = "import",
                        .make = make_chunk,
                        .ctx = w,
                        .chunk_bytes = (uint64_t)w->chunk_elements * w->each,
                        .progress = w->o->progress,
                        .progress_ctx = w->o->progress_ctx};
    return rs_write_chunks(w->rt, w->writer, &job, err);
}

/* ---- the whole ---- */

/* The folder would be of no use if its config were refused. */
static rs_status check_config(const work *w, rs_err *err)
{
    rs_config *config;
    rs_status s = rs_config_load(w->c, &config, err);
    if (s == RS_OK) rs_config_free(config);
    return s;
}

/* The small files first: if they cannot be made, nothing long was done. */
static rs_status write_all(work *w, rs_err *err)
{
    RS_TRY(check_config(w, err));
    pick_chunk(w);
    RS_TRY(list_tensors(w, err));
    RS_TRY(make_buffers(w, err));
    RS_TRY(open_writer(w, err));
    RS_TRY(rs_import_companions(w->c, w->o->dtype, w->writer, err));
    return run_chunks(w, err);
}

static void release(work *w)
{
    for (int i = 0; w->values && i < w->rt->threads; i++)
        free(w->values[i]);
    free(w->values);
    free(w->tensors);
    rs_writer_free(w->writer);
}

rs_status rs_import(const rs_runtime *rt, const rs_checkpoint *c,
                    const rs_import_options *o, rs_import_result *result, rs_err *err)
{
    *result = (rs_import_result){0};
    if (!rs_checkpoint_gguf(c))
        return rs_fail(err, RS_E_UNSUPPORTED, "%s is no GGUF file: it needs no import",
                       rs_checkpoint_path(c));
    if (o->dtype != RS_DTYPE_BF16 && o->dtype != RS_DTYPE_F32)
        return rs_fail(err, RS_E_INVALID, "an import is stored as bf16 or f32, not as %s",
                       rs_dtype_name(o->dtype));
    work w = {.rt = rt, .c = c, .o = o, .each = o->dtype == RS_DTYPE_F32 ? 4 : 2};
    rs_status s = write_all(&w, err);
    if (s == RS_OK) {
        result->bytes = rs_writer_bytes(w.writer);
        result->n_tensors = w.n_tensors;
        result->n_left_out = w.n_left_out;
        s = rs_writer_finish(w.writer, result->hash, err);
    }
    release(&w);
    return s;
}
