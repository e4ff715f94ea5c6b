/* attend.c - softmax(q k^T) v of a whole sequence and its derivative, in blocks of queries.
 *
 * With p the weights and o the result of a query: dv += p do, dp = do v,
 * ds = p (dp - sum p dp), times 1 - (s / cap)^2 where scores are capped; dq = ds k,
 * dk += ds q. The weights are made again on the way back. */
#include "learn/work_internal.h"
#include "tensor/blas.h"
#include "tensor/linear.h"

#include <string.h>

typedef struct attention {
    rs_work *w;
    const float *k, *v; /* of the layer whose K and V are read */
    int layer;
    int64_t hd, nq, nk; /* head_dim, widths of a row of queries and of keys */
} attention;

/* One block of queries of one head: rows row .. row + n, keys from .. from + keys. */
typedef struct block {
    int64_t row, n, from, keys;
    int head, kv_head;
    float *p; /* [n, keys] weights */
} block;

static attention attention_of(rs_work *w, const rs_sequence *s, int i)
{
    const rs_layer_config *l = &w->c->layers[i];
    attention a = {.w = w,
                   .k = w->k,
                   .v = w->v,
                   .layer = i,
                   .hd = l->head_dim,
                   .nq = (int64_t)w->c->n_heads * l->head_dim,
                   .nk = (int64_t)l->n_kv_heads * l->head_dim};
    if (l->is_sharer) a.k = s->k[l->kv_layer], a.v = s->v[l->kv_layer];
    return a;
}

static block block_of(const attention *a, int64_t row, int head, float *p)
{
    const rs_config *c = a->w->c;
    block b = {.row = row, .n = RS_QUERY_BLOCK, .head = head, .p = p};
    if (b.n > a->w->n - row) b.n = a->w->n - row;
    b.from = rs_first_visible(c, a->layer, row);
    b.keys = row + b.n - b.from;
    b.kv_head = head / (c->n_heads / c->layers[a->layer].n_kv_heads);
    return b;
}

/* Scores become weights; with slope not NULL, [n, keys] 1 - (s / cap)^2 of the capped ones. */
static void soften(const attention *a, const block *b, float *slope)
{
    const rs_config *c = a->w->c;
    for (int64_t i = 0; i < b->n; i++) {
        int64_t at = b->row + i;
        rs_soften(c, a->w->rt->kernels->linear, b->p + i * b->keys,
                  rs_first_visible(c, a->layer, at) - b->from, at + 1 - b->from, b->keys,
                  slope ? slope + i * b->keys : NULL);
    }
}

static void weigh(const attention *a, const block *b, float *slope)
{
    rs_blas_abt(b->n, b->keys, a->hd, a->w->q + b->row * a->nq + b->head * a->hd, a->nq,
                a->k + b->from * a->nk + b->kv_head * a->hd, a->nk, b->p, b->keys);
    soften(a, b, slope);
}

static bool attend_chunk(void *ctx, int64_t chunk, int worker)
{
    const attention *a = ctx;
    const rs_work *w = a->w;
    int heads = w->c->n_heads;
    block b = block_of(a, chunk / heads * RS_QUERY_BLOCK, (int)(chunk % heads),
                       w->scores + worker * w->scores_each);
    weigh(a, &b, NULL);
    rs_blas_ab(b.n, a->hd, b.keys, b.p, b.keys, a->v + b.from * a->nk + b.kv_head * a->hd,
               a->nk, 0, w->att + b.row * a->nq + b.head * a->hd, a->nq);
    return true;
}

void rs_attend(rs_work *w, const rs_sequence *s, int i)
{
    attention a = attention_of(w, s, i);
    int64_t blocks = (w->n + RS_QUERY_BLOCK - 1) / RS_QUERY_BLOCK;
    rs_pool_run(w->rt->pool, blocks * w->c->n_heads, attend_chunk, &a);
}

/* dp [n, keys] becomes ds. */
static void through_softmax(const block *b, float *dp, const float *slope)
{
    for (int64_t i = 0; i < b->n; i++) {
        const float *p = b->p + i * b->keys;
        float *d = dp + i * b->keys;
        double mean = 0;
        for (int64_t j = 0; j < b->keys; j++)
            mean += (double)p[j] * (double)d[j];
        for (int64_t j = 0; j < b->keys; j++)
            d[j] = p[j] * (d[j] - (float)mean);
        for (int64_t j = 0; slope && j < b->keys; j++)
            if (p[j] != 0) d[j] *= slope[i * b->keys + j];
    }
}

static void block_back(const attention *a, const block *b, float *dp, float *slope)
{
    const rs_work *w = a->w;
    int64_t head = b->head * a->hd, kv = b->from * a->nk + b->kv_head * a->hd;
    int64_t own = (b->head * w->n + b->from) * a->hd;
    const float *q = w->q + b->row * a->nq + head,
                *d_att = w->datt + b->row * a->nq + head;
    weigh(a, b, slope);
    rs_blas_atb(b->keys, a->hd, b->n, b->p, b->keys, d_att, a->nq, 1, w->dv_head + own,
                a->hd);
    rs_blas_abt(b->n, b->keys, a->hd, d_att, a->nq, a->v + kv, a->nk, dp, b->keys);
    through_softmax(b, dp, slope);
    rs_blas_ab(b->n, a->hd, b->keys, dp, b->keys, a->k + kv, a->nk, 0,
               w->dq + b->row * a->nq + head, a->nq);
    rs_blas_atb(b->keys, a->hd, b->n, dp, b->keys, q, a->nq, 1, w->dk_head + own, a->hd);
}

/* A head at a time: its blocks add to the same keys, in rising order. */
static bool head_back(void *ctx, int64_t head, int worker)
{
    const attention *a = ctx;
    const rs_work *w = a->w;
    float *p = w->scores + worker * w->scores_each, *dp = p + w->scores_each / 3;
    float *slope = w->c->attn_softcap > 0 ? dp + w->scores_each / 3 : NULL;
    size_t bytes = (size_t)(w->n * a->hd) * sizeof(float);
    memset(w->dk_head + head * w->n * a->hd, 0, bytes);
    memset(w->dv_head + head * w->n * a->hd, 0, bytes);
    for (int64_t row = 0; row < w->n; row += RS_QUERY_BLOCK) {
        block b = block_of(a, row, (int)head, p);
        block_back(a, &b, dp, slope);
    }
    return true;
}

typedef struct adding {
    const attention *a;
    float *dk, *dv;
} adding;

/* Heads of a group, in rising order, into the keys that they share. */
static void add_heads(void *ctx, int64_t row)
{
    const adding *d = ctx;
    const attention *a = d->a;
    const rs_work *w = a->w;
    const rs_linear_kernels *k = w->rt->kernels->linear;
    int group = w->c->n_heads / w->c->layers[a->layer].n_kv_heads;
    for (int h = 0; h < w->c->n_heads; h++) {
        int64_t from = (h * w->n + row) * a->hd, to = row * a->nk + h / group * a->hd;
        k->add(d->dk + to, w->dk_head + from, a->hd);
        k->add(d->dv + to, w->dv_head + from, a->hd);
    }
}

void rs_attend_back(rs_work *w, const rs_sequence *s, int i, float *dk, float *dv)
{
    attention a = attention_of(w, s, i);
    adding d = {&a, dk, dv};
    rs_pool_run(w->rt->pool, w->c->n_heads, head_back, &a);
    rs_each_row(w->rt, w->n, add_heads, &d);
}
