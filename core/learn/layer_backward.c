/* layer_backward.c - one layer back: the steps of layer_forward.c in reverse. At each step dx
 * is the gradient of the stream at that point; a branch adds to it. */
#include "learn/work_internal.h"
#include "tensor/linear.h"

#include <stddef.h>
#include <string.h>

typedef struct layer {
    rs_work *w;
    rs_sequence *s;
    int i;
    const rs_layer_weights *lw;
    const rs_layer_config *lc;
    const rs_sink *sink;
    float *dk, *dv; /* of the keys and values that the layer reads */
} layer;

#define PLACE(l, member) ((rs_place){(l)->i, offsetof(rs_layer_weights, member)})

/* Gradient of a matrix and of its input. */
static rs_status matrix_back(layer *l, const rs_matrix *m, rs_place at, const float *dy,
                             const float *x, float beta, float *dx, rs_err *err)
{
    RS_TRY(l->sink->matrix(l->sink->ctx, at, dy, m->rows, x, m->cols, l->w->n, err));
    rs_apply_back(l->w, m, dy, beta, dx);
    rs_adapt_back(l->w, at, dy, x, dx);
    return RS_OK;
}

/* --- norms of whole rows --- */

typedef struct norm_back {
    const layer *l;
    const float *x, *weight, *dy;
    float beta;
    float *dx;
} norm_back;

static void norm_back_row(void *ctx, int64_t row)
{
    const norm_back *b = ctx;
    rs_work *w = b->l->w;
    int64_t H = w->c->hidden, at = row * H;
    rs_norm_back(b->x + at, b->weight, w->c->rms_eps, b->dy + at, b->beta, b->dx + at,
                 w->rows + at, H);
}

static rs_status through_norm(layer *l, const float *x, const float *weight, rs_place at,
                              const float *dy, float beta, float *dx, rs_err *err)
{
    rs_work *w = l->w;
    norm_back b = {l, x, weight, dy, beta, dx};
    rs_each_row(w->rt, w->n, norm_back_row, &b);
    return l->sink->vector(l->sink->ctx, at, w->rows, w->n, w->c->hidden, err);
}

/* What the end of a branch hands into it: dx itself, or through its norm, into the work's dy. */
static rs_status into_branch(layer *l, const float *y, const float *weight, rs_place at,
                             const float **dy, rs_err *err)
{
    *dy = l->s->dx;
    if (!weight) return RS_OK;
    *dy = l->w->dy;
    return through_norm(l, y, weight, at, l->s->dx, 0, l->w->dy, err);
}

/* --- per-layer embeddings --- */

static void ple_gate_back(void *ctx, int64_t row)
{
    const layer *l = ctx;
    rs_work *w = l->w;
    int64_t P = w->c->ple_width, at = row * P;
    /* dact holds the gradient of the product, dgate gets that of the gate */
    w->rt->kernels->linear->gelu_back(w->ple_raw + at, l->s->ple[l->i] + at, w->dact + at,
                                      w->dgate + at, l->s->dple[l->i] + at, P);
}

static rs_status per_layer_back(layer *l, rs_err *err)
{
    rs_work *w = l->w;
    const float *dy;
    RS_TRY(into_branch(l, w->y_ple, l->lw->ple_norm, PLACE(l, ple_norm), &dy, err));
    RS_TRY(matrix_back(l, &l->lw->ple_proj, PLACE(l, ple_proj), dy, w->ple_act, 0,
                       w->dact, err));
    rs_each_row(w->rt, w->n, ple_gate_back, l);
    return matrix_back(l, &l->lw->ple_gate, PLACE(l, ple_gate), w->dgate, w->x2, 1,
                       l->s->dx, err);
}

/* --- MLP --- */

static void gate_back(void *ctx, int64_t row)
{
    const layer *l = ctx;
    rs_work *w = l->w;
    const rs_linear_kernels *k = w->rt->kernels->linear;
    int64_t M = l->lc->intermediate, at = row * M;
    bool silu = w->c->family->activation == RS_ACT_SILU;
    (silu ? k->silu_back : k->gelu_back)(w->gate + at, w->up + at, w->dact + at,
                                         w->dgate + at, w->dup + at, M);
}

static rs_status mlp_back(layer *l, rs_err *err)
{
    rs_work *w = l->w;
    const float *dy;
    RS_TRY(into_branch(l, w->y_mlp, l->lw->post_mlp_norm, PLACE(l, post_mlp_norm), &dy,
                       err));
    RS_TRY(matrix_back(l, &l->lw->down, PLACE(l, down), dy, w->act, 0, w->dact, err));
    rs_each_row(w->rt, w->n, gate_back, l);
    RS_TRY(matrix_back(l, &l->lw->gate, PLACE(l, gate), w->dgate, w->h2, 0, w->dh, err));
    RS_TRY(matrix_back(l, &l->lw->up, PLACE(l, up), w->dup, w->h2, 1, w->dh, err));
    return through_norm(l, w->x1, l->lw->pre_mlp_norm, PLACE(l, pre_mlp_norm), w->dh, 1,
                        l->s->dx, err);
}

/* --- attention --- */

static void turn_back(const layer *l, int64_t row, float *d)
{
    const float *cosines, *sines;
    const rs_rope *r = rs_work_rope(l->w, l->i, &cosines, &sines);
    rs_rope_turn_back(r, cosines + row * r->n_pairs, sines + row * r->n_pairs, d);
}

/* Gradients of one row's heads, through RoPE and norm, to the product's; the norm's weight
 * gets the sum over the heads in rows. */
typedef struct heads_back {
    const layer *l;
    const float *raw, *weight;
    float *d;
    int n_heads;
    bool turns, normed;
    float scale;
} heads_back;

static void heads_back_row(void *ctx, int64_t row)
{
    const heads_back *b = ctx;
    rs_work *w = b->l->w;
    const rs_linear_kernels *k = w->rt->kernels->linear;
    int64_t hd = b->l->lc->head_dim, n = b->n_heads * hd;
    float *d = b->d + row * n, *sum = w->rows + row * hd;
    if (b->scale != 1) k->scale(d, b->scale, n);
    if (b->weight) memset(sum, 0, (size_t)hd * sizeof *sum);
    for (int h = 0; h < b->n_heads; h++) {
        float own[RS_MAX_HEAD_DIM], *dh = d + h * hd;
        if (b->turns) turn_back(b->l, row, dh);
        if (!b->normed) continue;
        rs_norm_back(b->raw + row * n + h * hd, b->weight, w->c->rms_eps, dh, 0, dh, own,
                     hd);
        if (b->weight) k->add(sum, own, hd);
    }
}

static rs_status through_heads(layer *l, const heads_back *b, rs_place norm,
                               const float *bias, rs_place bias_at, rs_err *err)
{
    rs_work *w = l->w;
    const rs_sink *k = l->sink;
    rs_each_row(w->rt, w->n, heads_back_row, (void *)b);
    if (b->weight) RS_TRY(k->vector(k->ctx, norm, w->rows, w->n, l->lc->head_dim, err));
    if (bias)
        RS_TRY(k->vector(k->ctx, bias_at, b->d, w->n, b->n_heads * l->lc->head_dim, err));
    return RS_OK;
}

static rs_status keys_back(layer *l, rs_err *err)
{
    rs_work *w = l->w;
    const rs_layer_weights *lw = l->lw;
    heads_back k = {l,    w->k_raw,   lw->k_norm, l->dk, l->lc->n_kv_heads,
                    true, lw->k_norm, 1};
    heads_back v = {
        l, w->v_raw, NULL, l->dv, l->lc->n_kv_heads, false, w->c->family->v_norm, 1};
    RS_TRY(through_heads(l, &k, PLACE(l, k_norm), lw->k_bias, PLACE(l, k_bias), err));
    RS_TRY(through_heads(l, &v, PLACE(l, v), lw->v_bias, PLACE(l, v_bias), err));
    RS_TRY(matrix_back(l, &lw->k, PLACE(l, k), l->dk, w->h1, 1, w->dh, err));
    return matrix_back(l, &lw->v, PLACE(l, v), l->dv, w->h1, 1, w->dh, err);
}

/* Where the gradients of the keys and values that layer i reads are gathered. */
static void find_keys(layer *l)
{
    rs_work *w = l->w;
    int donor = l->lc->kv_layer;
    if (l->lc->is_sharer || l->lc->is_donor) {
        l->dk = l->s->dk[donor], l->dv = l->s->dv[donor];
        return;
    }
    size_t bytes = (size_t)(w->n * l->lc->n_kv_heads * l->lc->head_dim) * sizeof(float);
    l->dk = memset(w->dk, 0, bytes);
    l->dv = memset(w->dv, 0, bytes);
}

static rs_status attention_back(layer *l, rs_err *err)
{
    rs_work *w = l->w;
    const rs_layer_weights *lw = l->lw;
    const float *dy;
    RS_TRY(
        into_branch(l, w->y_att, lw->post_attn_norm, PLACE(l, post_attn_norm), &dy, err));
    RS_TRY(matrix_back(l, &lw->o, PLACE(l, o), dy, w->att, 0, w->datt, err));
    find_keys(l);
    rs_attend_back(w, l->s, l->i, l->dk, l->dv);
    heads_back q = {l,
                    w->q_raw,
                    lw->q_norm,
                    w->dq,
                    w->c->n_heads,
                    true,
                    lw->q_norm,
                    (float)w->c->attn_scale};
    RS_TRY(through_heads(l, &q, PLACE(l, q_norm), lw->q_bias, PLACE(l, q_bias), err));
    RS_TRY(matrix_back(l, &lw->q, PLACE(l, q), w->dq, w->h1, 0, w->dh, err));
    if (!l->lc->is_sharer) RS_TRY(keys_back(l, err));
    return through_norm(l, l->s->x[l->i], lw->input_norm, PLACE(l, input_norm), w->dh, 1,
                        l->s->dx, err);
}

rs_status rs_backward_layer(rs_work *w, rs_sequence *s, int i, const rs_sink *sink,
                            rs_err *err)
{
    rs_work *own = rs_work_for(w, i);
    layer l = {.w = own,
               .s = s,
               .i = i,
               .lw = &w->m->layers[i],
               .lc = &w->c->layers[i],
               .sink = sink};
    bool is_there = own != w && own->holds;
    own->n = w->n = s->n;
    own->holds = false;
    if (!is_there) RS_TRY(rs_layer_insides(own, s, i, NULL, err));
    if (l.lw->layer_scalar != 1)
        w->rt->kernels->linear->scale(s->dx, l.lw->layer_scalar, w->n * w->c->hidden);
    if (w->c->ple_width > 0) RS_TRY(per_layer_back(&l, err));
    RS_TRY(mlp_back(&l, err));
    return attention_back(&l, err);
}
