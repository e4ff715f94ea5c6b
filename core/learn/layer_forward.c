/* layer_forward.c - one layer forward, everything on the way kept. The same formulas as the
 * forward pass of core/model (pass.c), which keeps nothing and has a cache. */
#include "learn/work_internal.h"
#include "tensor/linear.h"

#include <string.h>

typedef struct layer {
    rs_work *w;
    const rs_sequence *s;
    int i;
    const rs_layer_weights *lw;
    const rs_layer_config *lc;
    const float *x; /* the layer's input */
} layer;

static void head_norm(const layer *l, const float *weight, float *x)
{
    const rs_linear_kernels *k = l->w->rt->kernels->linear;
    k->rms_norm(x, weight, l->w->c->rms_eps, x, l->lc->head_dim);
}

static void turn(const layer *l, int64_t row, float *x)
{
    const float *cosines, *sines;
    const rs_rope *r = rs_work_rope(l->w, l->i, &cosines, &sines);
    rs_rope_turn(r, cosines + row * r->n_pairs, sines + row * r->n_pairs, x);
}

static void add_bias(const layer *l, float *x, const float *bias, int64_t n)
{
    if (bias) l->w->rt->kernels->linear->add(x, bias, n);
}

static void norm_in(void *ctx, int64_t row)
{
    const layer *l = ctx;
    int64_t H = l->w->c->hidden;
    l->w->rt->kernels->linear->rms_norm(l->x + row * H, l->lw->input_norm,
                                        l->w->c->rms_eps, l->w->h1 + row * H, H);
}

static rs_product product(const rs_matrix *m, const float *x, float *y)
{
    return (rs_product){m, x, y, m->cols, m->rows, 0};
}

/* Products of the layer in one bundle, and what an adapter adds to each. */
static rs_status multiply(const layer *l, const rs_product *all, int n, rs_err *err)
{
    RS_TRY(rs_linear(l->w->rt, RS_LINEAR_FAST, all, n, l->w->n, err));
    for (int i = 0; i < n; i++) {
        size_t offset = (size_t)((const char *)all[i].w - (const char *)l->lw);
        rs_adapt(l->w, (rs_place){l->i, offset}, all[i].x, all[i].y);
    }
    return RS_OK;
}

/* Bias, norm, RoPE and scale of one row's queries; raw keeps what came out of the product. */
static void queries(void *ctx, int64_t row)
{
    const layer *l = ctx;
    const rs_work *w = l->w;
    int64_t hd = l->lc->head_dim, n = w->c->n_heads * hd;
    float *raw = w->q_raw + row * n, *q = w->q + row * n;
    add_bias(l, raw, l->lw->q_bias, n);
    memcpy(q, raw, (size_t)n * sizeof *q);
    for (int h = 0; h < w->c->n_heads; h++) {
        if (l->lw->q_norm) head_norm(l, l->lw->q_norm, q + h * hd);
        turn(l, row, q + h * hd);
    }
    if (w->c->attn_scale != 1)
        w->rt->kernels->linear->scale(q, (float)w->c->attn_scale, n);
}

static void keys(void *ctx, int64_t row)
{
    const layer *l = ctx;
    const rs_work *w = l->w;
    int64_t hd = l->lc->head_dim, n = l->lc->n_kv_heads * hd;
    float *k = w->k + row * n, *v = w->v + row * n;
    add_bias(l, w->k_raw + row * n, l->lw->k_bias, n);
    add_bias(l, w->v_raw + row * n, l->lw->v_bias, n);
    memcpy(k, w->k_raw + row * n, (size_t)n * sizeof *k);
    memcpy(v, w->v_raw + row * n, (size_t)n * sizeof *v);
    for (int h = 0; h < l->lc->n_kv_heads; h++) {
        if (l->lw->k_norm) head_norm(l, l->lw->k_norm, k + h * hd);
        if (w->c->family->v_norm) head_norm(l, NULL, v + h * hd);
        turn(l, row, k + h * hd);
    }
    if (!l->lc->is_donor) return;
    memcpy(l->s->k[l->i] + row * n, k, (size_t)n * sizeof *k);
    memcpy(l->s->v[l->i] + row * n, v, (size_t)n * sizeof *v);
}

/* to = from + y, normed where the family norms the end of a branch */
typedef struct joining {
    const layer *l;
    const float *from, *y, *norm;
    float *to;
} joining;

static void join_row(void *ctx, int64_t row)
{
    const joining *j = ctx;
    const rs_work *w = j->l->w;
    const rs_linear_kernels *k = w->rt->kernels->linear;
    int64_t H = w->c->hidden;
    float *to = j->to + row * H;
    const float *y = j->y + row * H;
    if (j->norm)
        k->rms_norm(y, j->norm, w->c->rms_eps, to, H);
    else
        memcpy(to, y, (size_t)H * sizeof *to);
    k->add(to, j->from + row * H, H);
}

static void join(const layer *l, const float *from, const float *y, const float *norm,
                 float *to)
{
    joining j = {l, from, y, norm, to};
    rs_each_row(l->w->rt, l->w->n, join_row, &j);
}

/* The end of a branch: to = from + y, y = m x. The way back gives no `to` where it ends with
 * the branch, and needs y only where a norm follows. */
static rs_status end_branch(const layer *l, const rs_matrix *m, const float *x,
                            const float *from, float *y, const float *norm, float *to,
                            rs_err *err)
{
    if (!to && !norm) return RS_OK;
    rs_product one = product(m, x, y);
    RS_TRY(multiply(l, &one, 1, err));
    if (to) join(l, from, y, norm, to);
    return RS_OK;
}

static rs_status attention(layer *l, rs_err *err)
{
    rs_work *w = l->w;
    const rs_layer_weights *lw = l->lw;
    rs_each_row(w->rt, w->n, norm_in, l);
    rs_product all[] = {product(&lw->q, w->h1, w->q_raw), product(&lw->k, w->h1, w->k_raw),
                        product(&lw->v, w->h1, w->v_raw)};
    RS_TRY(multiply(l, all, l->lc->is_sharer ? 1 : 3, err));
    rs_each_row(w->rt, w->n, queries, l);
    if (!l->lc->is_sharer) rs_each_row(w->rt, w->n, keys, l);
    rs_attend(w, l->s, l->i);
    return end_branch(l, &lw->o, w->att, l->x, w->y_att, lw->post_attn_norm, w->x1, err);
}

static void norm_mid(void *ctx, int64_t row)
{
    const layer *l = ctx;
    int64_t H = l->w->c->hidden;
    l->w->rt->kernels->linear->rms_norm(l->w->x1 + row * H, l->lw->pre_mlp_norm,
                                        l->w->c->rms_eps, l->w->h2 + row * H, H);
}

static void gate_row(void *ctx, int64_t row)
{
    const layer *l = ctx;
    const rs_work *w = l->w;
    const rs_linear_kernels *k = w->rt->kernels->linear;
    int64_t M = l->lc->intermediate;
    float *act = w->act + row * M;
    memcpy(act, w->gate + row * M, (size_t)M * sizeof *act);
    bool silu = w->c->family->activation == RS_ACT_SILU;
    (silu ? k->silu_mul : k->gelu_mul)(act, w->up + row * M, M);
}

static rs_status mlp(layer *l, float *to, rs_err *err)
{
    rs_work *w = l->w;
    const rs_layer_weights *lw = l->lw;
    rs_each_row(w->rt, w->n, norm_mid, l);
    rs_product all[] = {product(&lw->gate, w->h2, w->gate),
                        product(&lw->up, w->h2, w->up)};
    RS_TRY(multiply(l, all, 2, err));
    rs_each_row(w->rt, w->n, gate_row, l);
    return end_branch(l, &lw->down, w->act, w->x1, w->y_mlp, lw->post_mlp_norm, to, err);
}

static void ple_row(void *ctx, int64_t row)
{
    const layer *l = ctx;
    const rs_work *w = l->w;
    int64_t P = w->c->ple_width;
    memcpy(w->ple_act + row * P, w->ple_raw + row * P, (size_t)P * sizeof(float));
    w->rt->kernels->linear->gelu_mul(w->ple_act + row * P, l->s->ple[l->i] + row * P, P);
}

static rs_status per_layer(layer *l, float *to, rs_err *err)
{
    rs_work *w = l->w;
    const rs_layer_weights *lw = l->lw;
    rs_product gate = product(&lw->ple_gate, w->x2, w->ple_raw);
    RS_TRY(multiply(l, &gate, 1, err));
    rs_each_row(w->rt, w->n, ple_row, l);
    return end_branch(l, &lw->ple_proj, w->ple_act, w->x2, w->y_ple, lw->ple_norm, to,
                      err);
}

rs_status rs_layer_insides(rs_work *w, rs_sequence *s, int i, float *x_out, rs_err *err)
{
    layer l = {w, s, i, &w->m->layers[i], &w->c->layers[i], s->x[i]};
    bool ple = w->c->ple_width > 0;
    RS_TRY(attention(&l, err));
    RS_TRY(mlp(&l, ple ? w->x2 : x_out, err));
    if (ple) RS_TRY(per_layer(&l, x_out, err));
    if (x_out && l.lw->layer_scalar != 1)
        w->rt->kernels->linear->scale(x_out, l.lw->layer_scalar, w->n * w->c->hidden);
    return RS_OK;
}

rs_status rs_forward_layer(rs_work *w, rs_sequence *s, int i, rs_err *err)
{
    rs_work *own = rs_work_for(w, i);
    own->n = s->n;
    own->holds = true;
    return rs_layer_insides(own, s, i, s->x[i + 1], err);
}
