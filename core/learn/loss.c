/* loss.c - negative log-likelihood in pieces of tokens, and the way back through head and last
 * norm. With l the capped logits, c the cap: dl = (softmax(l) - [label]) scale, times
 * 1 - (l / c)^2 for the logits before the cap. */
#include "base/rng.h"
#include "learn/work_internal.h"
#include "tensor/linear.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define PLACE(member) ((rs_place){-1, offsetof(rs_model, member)})

typedef struct losing {
    rs_work *w;
    rs_sequence *s;
    const rs_sink *sink;
    float scale;
    const int32_t *rows; /* [n] of the piece: positions whose next token counts */
    int64_t n;
} losing;

/* The id at which the running sum of e passes a share of it that only seed, stream and
 * position decide. */
static int32_t draw(const rs_sequence *s, int32_t at, const float *e, double sum,
                    int64_t V)
{
    double u =
        (double)(rs_rng_at(s->seed, s->stream, (uint64_t)at) >> 11) * 0x1p-53 * sum;
    double run = 0;
    for (int64_t i = 0; i < V; i++) {
        run += (double)e[i];
        if (run > u) return (int32_t)i;
    }
    return (int32_t)(V - 1);
}

/* One row of logits: its loss, and in their place the gradient. */
static bool loss_row(void *ctx, int64_t row, int worker)
{
    const losing *l = ctx;
    const rs_work *w = l->w;
    const rs_linear_kernels *k = w->rt->kernels->linear;
    int64_t V = w->c->vocab;
    float *z = w->logits + row * V, *e = w->exps + worker * V;
    int32_t at = l->rows[row];
    float top = k->max(z, V);
    memcpy(e, z, (size_t)V * sizeof *e);
    double sum = k->exp_sum(e, top, V);
    if (l->s->draws) l->s->labels[at + 1] = draw(l->s, at, e, sum, V);
    int32_t label = l->s->labels[at + 1];
    l->s->lse[at] = (double)top + log(sum);
    w->row_loss[row] = l->s->lse[at] - (double)z[label];
    if (!l->sink) return true;
    float by = (float)((double)l->scale / sum), cap = (float)w->c->final_softcap;
    float inverse = cap > 0 ? 1 / cap : 0; /* without a cap the slope is 1 */
    for (int64_t i = 0; i < V; i++) {
        float s = z[i] * inverse;
        z[i] = e[i] * by * (1 - s * s);
        if (i == label) z[i] -= l->scale * (1 - s * s);
    }
    return true;
}

static void norm_row(void *ctx, int64_t row)
{
    const losing *l = ctx;
    const rs_work *w = l->w;
    int64_t H = w->c->hidden;
    const float *x = l->s->x[w->c->n_layers] + l->rows[row] * H;
    w->rt->kernels->linear->rms_norm(x, w->m->final_norm, w->c->rms_eps, w->h1 + row * H,
                                     H);
}

static void norm_back_row(void *ctx, int64_t row)
{
    const losing *l = ctx;
    rs_work *w = l->w;
    int64_t H = w->c->hidden, at = l->rows[row] * H;
    rs_norm_back(l->s->x[w->c->n_layers] + at, w->m->final_norm, w->c->rms_eps,
                 w->dh + row * H, 0, l->s->dx + at, w->rows + row * H, H);
}

static rs_status piece_back(losing *l, rs_err *err)
{
    rs_work *w = l->w;
    const rs_sink *k = l->sink;
    int64_t H = w->c->hidden, V = w->c->vocab;
    rs_place head = w->c->tied_head ? PLACE(embed) : PLACE(head);
    RS_TRY(k->matrix(k->ctx, head, w->logits, V, w->h1, H, l->n, err));
    rs_apply_back(w, &w->m->head, w->logits, 0, w->dh);
    rs_each_row(w->rt, l->n, norm_back_row, l);
    return k->vector(k->ctx, PLACE(final_norm), w->rows, l->n, H, err);
}

static rs_status piece(losing *l, double *loss, rs_err *err)
{
    rs_work *w = l->w;
    w->n = l->n;
    rs_each_row(w->rt, l->n, norm_row, l);
    rs_product p = {&w->m->head,  w->h1,       w->logits,
                    w->c->hidden, w->c->vocab, (float)w->c->final_softcap};
    RS_TRY(rs_linear(w->rt, RS_LINEAR_FAST, &p, 1, l->n, err));
    rs_pool_run(w->rt->pool, l->n, loss_row, l);
    for (int64_t i = 0; i < l->n; i++)
        *loss += w->row_loss[i];
    return l->sink ? piece_back(l, err) : RS_OK;
}

rs_status rs_loss(rs_work *w, rs_sequence *s, double scale, const rs_sink *sink,
                  double *loss, rs_err *err)
{
    losing l = {.w = w, .s = s, .sink = sink, .scale = (float)scale};
    int32_t *rows = malloc((size_t)s->n_counted * sizeof *rows);
    if (!rows) return rs_fail(err, RS_E_NOMEM, "no memory for a loss");
    int64_t n = 0;
    for (int64_t t = 1; t < s->n; t++)
        if (s->labels[t] >= 0) rows[n++] = (int32_t)(t - 1);
    rs_status status = RS_OK;
    *loss = 0;
    for (int64_t at = 0; at < n && status == RS_OK; at += l.n) {
        l.n = n - at < w->loss_rows ? n - at : w->loss_rows;
        l.rows = rows + at;
        status = piece(&l, loss, err);
    }
    free(rows);
    return status;
}

rs_status rs_backward_all(rs_work *w, rs_sequence *s, double scale, const rs_sink *sink,
                          double *loss, rs_err *err)
{
    rs_sequence_rewind(s);
    RS_TRY(rs_forward_embed(w, s, err));
    for (int i = 0; i < w->c->n_layers; i++)
        RS_TRY(rs_forward_layer(w, s, i, err));
    RS_TRY(rs_loss(w, s, scale, sink, loss, err));
    for (int i = w->c->n_layers - 1; i >= 0 && sink; i--)
        RS_TRY(rs_backward_layer(w, s, i, sink, err));
    return sink ? rs_backward_embed(w, s, sink, err) : RS_OK;
}
