/* Attention of one layer: softmax(q k^T) v over what each row may see, in blocks of queries.
 * Key p is visible to the query at position t if p <= t and, in sliding layers, t - p is
 * below the window. */
#include "model/pass_internal.h"

enum { BLOCK = 16 }; /* queries of one sequence that share a look at the keys */

typedef struct attention {
    const rs_pass *p;
    int layer;
    int64_t block; /* rows of a block: BLOCK, or 1 for a batch */
} attention;

int64_t rs_first_visible(const rs_config *c, int layer, int64_t position)
{
    if (c->layers[layer].is_full) return 0;
    int64_t first = position - c->sliding_window + 1;
    return first > 0 ? first : 0;
}

void rs_soften(const rs_config *c, const rs_linear_kernels *k, float *scores,
               int64_t first, int64_t end, int64_t n, float *slope)
{
    float *seen = scores + first, cap = (float)c->attn_softcap;
    if (cap > 0) k->softcap(seen, cap, end - first);
    for (int64_t i = first; slope && i < end; i++)
        slope[i] = 1 - (scores[i] / cap) * (scores[i] / cap);
    double sum = k->exp_sum(seen, k->max(seen, end - first), end - first);
    k->scale(seen, (float)(1.0 / sum), end - first);
    for (int64_t i = 0; i < first; i++)
        scores[i] = 0;
    for (int64_t i = end; i < n; i++)
        scores[i] = 0;
}

/* Scores of one row's query over keys from .. from + n - 1. */
static void soften(const rs_pass *p, int layer, int64_t row, float *scores, int64_t from,
                   int64_t n)
{
    const rs_config *c = p->m->config;
    int64_t at = p->position[row];
    rs_soften(c, p->rt->kernels->linear, scores, rs_first_visible(c, layer, at) - from,
              at + 1 - from, n, NULL);
}

static void attend(const attention *a, int64_t row, int64_t n, int head, float *scores)
{
    const rs_pass *p = a->p;
    const rs_config *c = p->m->config;
    const rs_layer_config *l = &c->layers[a->layer];
    const rs_linear_kernels *k = p->rt->kernels->linear;
    rs_kv_layer *own = &rs_pass_kv(p, row)->layers[l->kv_layer];
    int hd = l->head_dim, kv_head = head / (c->n_heads / l->n_kv_heads);
    int64_t ld = (int64_t)c->n_heads * hd;
    int64_t from = rs_first_visible(c, a->layer, p->position[row]);
    int64_t keys = p->position[row + n - 1] + 1 - from;
    const float *K = rs_kv_row(own, own->k, kv_head, hd, from);
    const float *V = rs_kv_row(own, own->v, kv_head, hd, from);
    k->matmul(K, hd, keys, hd, p->q + row * ld + head * hd, ld, n, scores, keys);
    for (int64_t i = 0; i < n; i++)
        soften(p, a->layer, row + i, scores + i * keys, from, keys);
    k->mix_rows(V, hd, keys, hd, scores, keys, n, p->att + row * ld + head * hd, ld);
}

static bool attend_chunk(void *ctx, int64_t chunk, int worker)
{
    const attention *a = ctx;
    int64_t heads = a->p->m->config->n_heads;
    int64_t row = chunk / heads * a->block, n = a->p->n - row;
    if (n > a->block) n = a->block;
    attend(a, row, n, (int)(chunk % heads), a->p->scores + worker * a->p->scores_each);
    return true;
}

void rs_pass_attend(rs_pass *p, int layer)
{
    attention a = {p, layer, p->one_sequence ? BLOCK : 1};
    int64_t blocks = (p->n + a.block - 1) / a.block;
    const rs_config *c = p->m->config;
    int64_t work = p->n * c->n_heads * c->layers[layer].head_dim * p->max_keys;
    rs_pool_run(rs_pool_worth(p->rt, work), blocks * c->n_heads, attend_chunk, &a);
}
