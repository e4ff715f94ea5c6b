/* fisher_told.c - what a run tells of a layer that is done: read back from the file, so that it
 * is what is stored, whether this run or an earlier one has written it. */
#include "learn/fisher_internal.h"

#include "tensor/convert.h"

#include <stdlib.h>

enum { PIECE = 1 << 16 };

typedef struct reader {
    const rs_run *r;
    float v[PIECE];
    uint16_t half[PIECE];
} reader;

static rs_status mean_of(reader *d, int i_out, rs_fisher_mean *m, rs_err *err)
{
    const rs_run *r = d->r;
    bool bf16 = r->o->bf16;
    size_t each = bf16 ? sizeof *d->half : sizeof *d->v;
    double sum = 0;
    *m = (rs_fisher_mean){.name = r->name[i_out],
                          .n = rs_checkpoint_find(r->file, r->name[i_out])->n_elements};
    for (int64_t at = 0; at < m->n; at += PIECE) {
        int64_t n = m->n - at < PIECE ? m->n - at : PIECE;
        RS_TRY(rs_tensor_file_read(r->out, i_out, (uint64_t)at * each,
                                   bf16 ? (void *)d->half : d->v, (size_t)n * each, err));
        if (bf16) rs_to_f32(r->rt->kernels, RS_DTYPE_BF16, d->half, d->v, n);
        for (int64_t i = 0; i < n; i++) {
            sum += (double)d->v[i];
            if ((double)d->v[i] > m->max) m->max = (double)d->v[i];
        }
    }
    m->mean = m->n ? sum / (double)m->n : 0;
    return RS_OK;
}

static rs_status means_of(const rs_run *r, int layer, rs_fisher_mean *m, int *n,
                          rs_err *err)
{
    reader *d = malloc(sizeof *d);
    if (!d) return rs_fail(err, RS_E_NOMEM, "no memory for the means of a layer");
    d->r = r;
    rs_status s = RS_OK;
    for (int i = 0; i < r->n_out && s == RS_OK; i++) {
        int own;
        const rs_slot *slot = rs_slot_of(r->c, r->name[i], &own);
        if (slot && own == layer) s = mean_of(d, i, &m[(*n)++], err);
    }
    free(d);
    return s;
}

rs_status rs_run_tell(const rs_run *r, int layer, rs_err *err)
{
    if (!r->o->told) return RS_OK;
    int n = 0;
    rs_fisher_mean *m = calloc((size_t)r->n_out + 1, sizeof *m);
    if (!m) return rs_fail(err, RS_E_NOMEM, "no memory for the means of a layer");
    rs_status s = means_of(r, layer, m, &n, err);
    if (s == RS_OK && n) r->o->told(r->o->told_ctx, layer, m, n);
    free(m);
    return s;
}
