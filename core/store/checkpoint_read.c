/* Reading tensors of a checkpoint by ranges; its own file since it is the part that runs
 * often and from many threads. */
#include "store/checkpoint_internal.h"

#include "store/gguf.h"
#include "tensor/convert.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { READ_CHUNK = 512 * 1024, MAX_BLOCK = 256 };

static rs_status read_paired(const rs_store_file *f, const rs_tensor *t, uint64_t first,
                             size_t n, char *dst, rs_err *err)
{
    uint64_t row_bytes = t->n_bytes / (uint64_t)t->dim[0];
    uint64_t head_dim = (uint64_t)(t->dim[0] / t->paired_heads);
    while (n > 0) {
        uint64_t within = first % row_bytes;
        size_t part = (size_t)(row_bytes - within);
        if (part > n) part = n;
        uint64_t at =
            rs_gguf_paired_row(head_dim, first / row_bytes) * row_bytes + within;
        RS_TRY(rs_os_read(f->fd, f->path, t->offset + at, dst, part, err));
        first += part;
        dst += part;
        n -= part;
    }
    return RS_OK;
}

rs_status rs_checkpoint_read_raw(const rs_checkpoint *c, const rs_tensor *t,
                                 uint64_t first, size_t n, void *dst, rs_err *err)
{
    if (first > t->n_bytes || n > t->n_bytes - first)
        return rs_fail(err, RS_E_INVALID,
                       "bytes %" PRIu64 " to %" PRIu64
                       " of tensor %.200s, which has %" PRIu64,
                       first, first + (uint64_t)n, t->name, t->n_bytes);
    const rs_store_file *f = &c->files[t->i_file];
    rs_status s = t->paired_heads > 0
                      ? read_paired(f, t, first, n, dst, err)
                      : rs_os_read(f->fd, f->path, t->offset + first, dst, n, err);
    return s == RS_OK ? s : rs_err_prefix(err, "tensor %.200s", t->name);
}

/* Blocks [first, first + n_blocks) to float32. */
static rs_status read_blocks(const rs_checkpoint *c, const rs_tensor *t, int64_t first,
                             int64_t n_blocks, char *scratch, float *dst, rs_err *err)
{
    const rs_dtype_info *d = rs_dtype_of(t->dtype);
    RS_TRY(rs_checkpoint_read_raw(c, t, (uint64_t)first * (uint64_t)d->block_bytes,
                                  (size_t)n_blocks * (size_t)d->block_bytes, scratch,
                                  err));
    rs_to_f32(c->kernels, t->dtype, scratch, dst, n_blocks * d->block);
    return RS_OK;
}

/* The part of block i that lies in [first, end). */
static rs_status read_part(const rs_checkpoint *c, const rs_tensor *t, int64_t i,
                           int64_t first, int64_t end, char *scratch, float *dst,
                           rs_err *err)
{
    float values[MAX_BLOCK];
    int64_t block = rs_dtype_of(t->dtype)->block, start = i * block;
    int64_t from = first > start ? first : start;
    int64_t to = end < start + block ? end : start + block;
    RS_TRY(read_blocks(c, t, i, 1, scratch, values, err));
    memcpy(dst + (from - first), values + (from - start),
           (size_t)(to - from) * sizeof *dst);
    return RS_OK;
}

static rs_status read_widened(const rs_checkpoint *c, const rs_tensor *t, int64_t first,
                              int64_t n, char *scratch, float *dst, rs_err *err)
{
    const rs_dtype_info *d = rs_dtype_of(t->dtype);
    int64_t end = first + n, at_once = READ_CHUNK / d->block_bytes;
    for (int64_t at = first; at < end;) {
        int64_t i = at / d->block, whole = (end - at) / d->block;
        if (at % d->block != 0 || whole == 0) {
            RS_TRY(read_part(c, t, i, at, end, scratch, dst + (at - first), err));
            at = (i + 1) * d->block;
            continue;
        }
        if (whole > at_once) whole = at_once;
        RS_TRY(read_blocks(c, t, i, whole, scratch, dst + (at - first), err));
        at += whole * d->block;
    }
    return RS_OK;
}

static rs_status check_range(const rs_tensor *t, int64_t first, int64_t n, rs_err *err)
{
    if (!rs_dtype_is_numeric(t->dtype))
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "tensor %.200s is %s, which is not computed with here", t->name,
                       rs_dtype_name(t->dtype));
    if (first < 0 || n < 0 || first > t->n_elements || n > t->n_elements - first)
        return rs_fail(err, RS_E_INVALID,
                       "%" PRId64 " elements from %" PRId64
                       " of tensor %.200s, which has %" PRId64,
                       n, first, t->name, t->n_elements);
    return RS_OK;
}

rs_status rs_checkpoint_read_f32(const rs_checkpoint *c, const rs_tensor *t,
                                 int64_t first, int64_t n, float *dst, rs_err *err)
{
    RS_TRY(check_range(t, first, n, err));
    if (t->dtype == RS_DTYPE_F32) {
        RS_TRY(
            rs_checkpoint_read_raw(c, t, (uint64_t)first * 4, (size_t)n * 4, dst, err));
    } else if (n > 0) {
        char *scratch = malloc(READ_CHUNK);
        if (!scratch)
            return rs_fail(err, RS_E_NOMEM, "no memory to read %.200s", t->name);
        rs_status s = read_widened(c, t, first, n, scratch, dst, err);
        free(scratch);
        if (s != RS_OK) return s;
    }
    if (t->shift != 0)
        for (int64_t i = 0; i < n; i++)
            dst[i] += t->shift;
    return RS_OK;
}
