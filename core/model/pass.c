#include "model/pass_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { QUERY_BLOCK = 16, LINE_FLOATS = 16 };

/* --- memory --- */

static void carve_all(rs_pass *p, rs_carver *c)
{
    const rs_config *config = p->m->config;
    const struct rs_model_store *s = p->m->store;
    rs_widths w = rs_config_widest(config);
    int64_t all_ple = (int64_t)config->n_layers * config->ple_width;
    p->x = rs_carve(c, p->n, config->hidden);
    p->h = rs_carve(c, p->n, config->hidden);
    p->y = rs_carve(c, p->n, config->hidden);
    p->q = rs_carve(c, p->n, w.queries);
    p->att = rs_carve(c, p->n, w.queries);
    p->k = rs_carve(c, p->n, w.keys);
    p->v = rs_carve(c, p->n, w.keys);
    p->gate = rs_carve(c, p->n, w.mlp);
    p->up = rs_carve(c, p->n, w.mlp);
    p->ple = rs_carve(c, p->n, all_ple);
    p->ple_table = rs_carve(c, p->n, all_ple);
    p->ple_h = rs_carve(c, p->n, config->ple_width);
    p->scores = rs_carve(c, p->rt->threads, p->scores_each);
    p->position = (int64_t *)(void *)rs_carve(c, p->n, 2);
    rs_rope_carve(s, p->n, c, p->cos, p->sin);
}

rs_status rs_pass_new(rs_pass *p, int64_t n, int64_t max_keys, rs_err *err)
{
    p->n = n;
    p->max_keys = max_keys;
    int64_t block = p->one_sequence && n > 1 ? QUERY_BLOCK : 1;
    p->scores_each = (block * max_keys + LINE_FLOATS - 1) / LINE_FLOATS * LINE_FLOATS;
    size_t ropes = (size_t)p->m->store->n_ropes;
    rs_carver c = {0};
    carve_all(p, &c);
    p->memory = rs_carver_open(&c);
    p->cos = calloc(ropes ? 2 * ropes : 1, sizeof *p->cos);
    if (!p->memory || !p->cos) {
        rs_pass_free(p);
        return rs_fail(err, RS_E_NOMEM, "no memory for %lld tokens at once",
                       (long long)n);
    }
    p->sin = p->cos + ropes;
    carve_all(p, &c);
    return RS_OK;
}

void rs_pass_free(rs_pass *p)
{
    free(p->memory);
    free(p->cos);
    p->memory = NULL;
    p->cos = p->sin = NULL;
}

/* --- rows --- */

typedef struct row_run {
    const rs_pass *p;
    void (*fn)(const rs_pass *p, int64_t row, void *ctx);
    void *ctx;
} row_run;

static void one_row(void *ctx, int64_t row)
{
    const row_run *r = ctx;
    r->fn(r->p, row, r->ctx);
}

void rs_pass_rows(const rs_pass *p, void (*fn)(const rs_pass *p, int64_t row, void *ctx),
                  void *ctx)
{
    row_run r = {p, fn, ctx};
    rs_each_row(p->rt, p->n, one_row, &r);
}

/* --- embeddings --- */

static void rope_row(const rs_pass *p, int64_t row)
{
    rs_rope_angles(p->m->store, p->position[row], row, p->cos, p->sin);
}

static void embed_row(const rs_pass *p, int64_t row, void *ctx)
{
    (void)ctx;
    const rs_config *c = p->m->config;
    rs_linear_row(p->rt->kernels, &p->m->embed, p->ids[row], (float)c->embed_scale,
                  p->x + row * c->hidden);
    rope_row(p, row);
    rs_pass_kv(p, row)->ids[p->position[row]] = p->ids[row];
}

/* Per-layer inputs of one row: (norm(projection of x / sqrt(hidden)) + sqrt(P) row of the
 * table) / sqrt(2). The projection lies in ple already. */
static void ple_row(const rs_pass *p, int64_t row, void *ctx)
{
    (void)ctx;
    const rs_config *c = p->m->config;
    const rs_linear_kernels *k = p->rt->kernels->linear;
    int64_t P = c->ple_width, all = P * c->n_layers;
    float *ple = p->ple + row * all, *table = p->ple_table + row * all;
    rs_linear_row(p->rt->kernels, &p->m->ple_embed, p->ids[row], sqrtf((float)P), table);
    k->scale(ple, (float)pow((double)c->hidden, -0.5), all);
    for (int i = 0; i < c->n_layers; i++)
        k->rms_norm(ple + i * P, p->m->ple_norm, c->rms_eps, ple + i * P, P);
    k->add(ple, table, all);
    k->scale(ple, (float)0.70710678118654752440, all);
}

static void keep_ple_row(const rs_pass *p, int64_t row, void *ctx)
{
    (void)ctx;
    rs_kv *kv = rs_pass_kv(p, row);
    int64_t all = (int64_t)p->m->config->ple_width * p->m->config->n_layers;
    if (kv->keep_inputs)
        memcpy(kv->ple + p->position[row] * all, p->ple + row * all,
               (size_t)all * sizeof(float));
}

static rs_status make_ple(rs_pass *p, rs_err *err)
{
    const rs_config *c = p->m->config;
    int64_t all = (int64_t)c->ple_width * c->n_layers;
    rs_product product = {&p->m->ple_model_proj, p->x, p->ple, c->hidden, all, 0};
    RS_TRY(rs_linear(p->rt, p->mode, &product, 1, p->n, err));
    rs_pass_rows(p, ple_row, NULL);
    rs_pass_rows(p, keep_ple_row, NULL);
    return RS_OK;
}

static void set_positions(rs_pass *p, int64_t first)
{
    for (int64_t i = 0; i < p->n; i++)
        p->position[i] = p->one_sequence ? first + i : p->kv[i]->length;
}

rs_status rs_pass_start(rs_pass *p, int64_t first_position, rs_err *err)
{
    set_positions(p, first_position);
    rs_pass_rows(p, embed_row, NULL);
    return p->m->config->ple_width > 0 ? make_ple(p, err) : RS_OK;
}

static void restart_row(const rs_pass *p, int64_t row, void *ctx)
{
    int first = *(int *)ctx;
    const rs_config *c = p->m->config;
    const rs_kv *kv = rs_pass_kv(p, row);
    int64_t H = c->hidden, all = (int64_t)c->ple_width * c->n_layers;
    memcpy(p->x + row * H, kv->inputs[first] + p->position[row] * H,
           (size_t)H * sizeof(float));
    memcpy(p->ple + row * all, kv->ple + p->position[row] * all,
           (size_t)all * sizeof(float));
    rope_row(p, row);
}

void rs_pass_restart(rs_pass *p, int64_t first_position, int first)
{
    set_positions(p, first_position);
    rs_pass_rows(p, restart_row, &first);
}

rs_pass rs_pass_view(const rs_pass *p, int64_t from)
{
    const rs_config *c = p->m->config;
    rs_pass v = *p;
    v.n -= from;
    v.row0 += from;
    v.ids += from;
    v.position += from;
    v.x += from * c->hidden;
    v.h += from * c->hidden;
    v.ple += from * c->ple_width * c->n_layers;
    return v;
}

/* --- one layer --- */

typedef struct norm_step {
    const float *from, *w;
    float *to;
} norm_step;

static void norm_row(const rs_pass *p, int64_t row, void *ctx)
{
    const norm_step *s = ctx;
    int64_t n = p->m->config->hidden;
    p->rt->kernels->linear->rms_norm(s->from + row * n, s->w, p->m->config->rms_eps,
                                     s->to + row * n, n);
}

/* x += norm(y; w) */
static void add_normed_row(const rs_pass *p, int64_t row, void *ctx)
{
    const float *w = ctx;
    const rs_linear_kernels *k = p->rt->kernels->linear;
    int64_t n = p->m->config->hidden;
    float *y = p->y + row * n;
    if (w) k->rms_norm(y, w, p->m->config->rms_eps, y, n);
    k->add(p->x + row * n, y, n);
}

static void norm(const rs_pass *p, const float *from, const float *w, float *to)
{
    norm_step s = {from, w, to};
    rs_pass_rows(p, norm_row, &s);
}

static void turn_heads(const rs_pass *p, int layer, int64_t row, float *heads,
                       int n_heads, const float *w)
{
    const rs_config *c = p->m->config;
    const struct rs_model_store *s = p->m->store;
    const rs_rope *r = &s->ropes[s->layer_rope[layer]];
    const float *cosines = p->cos[s->layer_rope[layer]] + (p->row0 + row) * r->n_pairs;
    const float *sines = p->sin[s->layer_rope[layer]] + (p->row0 + row) * r->n_pairs;
    int hd = c->layers[layer].head_dim;
    for (int h = 0; h < n_heads; h++) {
        float *x = heads + (int64_t)h * hd;
        if (w) p->rt->kernels->linear->rms_norm(x, w, c->rms_eps, x, hd);
        rs_rope_turn(r, cosines, sines, x);
    }
}

static void add_bias(const rs_pass *p, float *x, const float *bias, int64_t n)
{
    if (bias) p->rt->kernels->linear->add(x, bias, n);
}

static void store_kv(const rs_pass *p, int layer, int64_t row, const float *k, float *v)
{
    const rs_config *c = p->m->config;
    const rs_layer_config *l = &c->layers[layer];
    rs_kv_layer *own = &rs_pass_kv(p, row)->layers[layer];
    size_t bytes = (size_t)l->head_dim * sizeof(float);
    for (int h = 0; h < l->n_kv_heads; h++) {
        float *vh = v + (int64_t)h * l->head_dim;
        if (c->family->v_norm)
            p->rt->kernels->linear->rms_norm(vh, NULL, c->rms_eps, vh, l->head_dim);
        memcpy(rs_kv_row(own, own->k, h, l->head_dim, p->position[row]),
               k + (int64_t)h * l->head_dim, bytes);
        memcpy(rs_kv_row(own, own->v, h, l->head_dim, p->position[row]), vh, bytes);
    }
}

/* Norm, RoPE and scale of one row's queries. */
static void queries_row(const rs_pass *p, int64_t row, void *ctx)
{
    int layer = *(int *)ctx;
    const rs_config *c = p->m->config;
    int64_t nq = (int64_t)c->n_heads * c->layers[layer].head_dim;
    float *q = p->q + row * nq;
    add_bias(p, q, p->m->layers[layer].q_bias, nq);
    turn_heads(p, layer, row, q, c->n_heads, p->m->layers[layer].q_norm);
    if (c->attn_scale != 1) p->rt->kernels->linear->scale(q, (float)c->attn_scale, nq);
}

/* Norms and RoPE of one row's K and V, on their way to the cache. */
static void keys_row(const rs_pass *p, int64_t row, void *ctx)
{
    int layer = *(int *)ctx;
    const rs_layer_config *l = &p->m->config->layers[layer];
    const rs_layer_weights *w = &p->m->layers[layer];
    int64_t nk = (int64_t)l->n_kv_heads * l->head_dim;
    float *k = p->k + row * nk, *v = p->v + row * nk;
    add_bias(p, k, w->k_bias, nk);
    add_bias(p, v, w->v_bias, nk);
    turn_heads(p, layer, row, k, l->n_kv_heads, w->k_norm);
    store_kv(p, layer, row, k, v);
}

static void heads_row(const rs_pass *p, int64_t row, void *ctx)
{
    queries_row(p, row, ctx);
    keys_row(p, row, ctx);
}

/* The parts of a layer's attention input: h must be there. */
static rs_status project(rs_pass *p, int i, bool queries, bool keys, rs_err *err)
{
    const rs_config *c = p->m->config;
    const rs_layer_config *l = &c->layers[i];
    const rs_layer_weights *w = &p->m->layers[i];
    int64_t H = c->hidden, nq = (int64_t)c->n_heads * l->head_dim;
    int64_t nk = (int64_t)l->n_kv_heads * l->head_dim;
    rs_product all[3];
    int n = 0;
    if (queries) all[n++] = (rs_product){&w->q, p->h, p->q, H, nq, 0};
    if (keys) all[n++] = (rs_product){&w->k, p->h, p->k, H, nk, 0};
    if (keys) all[n++] = (rs_product){&w->v, p->h, p->v, H, nk, 0};
    RS_TRY(rs_linear(p->rt, p->mode, all, n, p->n, err));
    rs_pass_rows(p, queries && keys ? heads_row : queries ? queries_row : keys_row, &i);
    return RS_OK;
}

static rs_status mix_heads(rs_pass *p, int i, rs_err *err)
{
    int64_t H = p->m->config->hidden;
    int64_t nq = (int64_t)p->m->config->n_heads * p->m->config->layers[i].head_dim;
    rs_pass_attend(p, i);
    rs_product o = {&p->m->layers[i].o, p->att, p->y, nq, H, 0};
    RS_TRY(rs_linear(p->rt, p->mode, &o, 1, p->n, err));
    rs_pass_rows(p, add_normed_row, p->m->layers[i].post_attn_norm);
    return RS_OK;
}

static void gate_row(const rs_pass *p, int64_t row, void *ctx)
{
    int64_t n = *(int64_t *)ctx;
    const rs_linear_kernels *k = p->rt->kernels->linear;
    bool silu = p->m->config->family->activation == RS_ACT_SILU;
    (silu ? k->silu_mul : k->gelu_mul)(p->gate + row * n, p->up + row * n, n);
}

static rs_status mlp_block(rs_pass *p, int i, rs_err *err)
{
    const rs_layer_weights *w = &p->m->layers[i];
    int64_t H = p->m->config->hidden, M = p->m->config->layers[i].intermediate;
    norm(p, p->x, w->pre_mlp_norm, p->h);
    rs_product in[] = {{&w->gate, p->h, p->gate, H, M, 0},
                       {&w->up, p->h, p->up, H, M, 0}};
    RS_TRY(rs_linear(p->rt, p->mode, in, 2, p->n, err));
    rs_pass_rows(p, gate_row, &M);
    rs_product out = {&w->down, p->gate, p->y, M, H, 0};
    RS_TRY(rs_linear(p->rt, p->mode, &out, 1, p->n, err));
    rs_pass_rows(p, add_normed_row, w->post_mlp_norm);
    return RS_OK;
}

static void ple_gate_row(const rs_pass *p, int64_t row, void *ctx)
{
    int layer = *(int *)ctx;
    int64_t P = p->m->config->ple_width, all = P * p->m->config->n_layers;
    p->rt->kernels->linear->gelu_mul(p->ple_h + row * P, p->ple + row * all + layer * P,
                                     P);
}

static rs_status ple_block(rs_pass *p, int i, rs_err *err)
{
    const rs_layer_weights *w = &p->m->layers[i];
    int64_t H = p->m->config->hidden, P = p->m->config->ple_width;
    rs_product in = {&w->ple_gate, p->x, p->ple_h, H, P, 0};
    RS_TRY(rs_linear(p->rt, p->mode, &in, 1, p->n, err));
    rs_pass_rows(p, ple_gate_row, &i);
    rs_product out = {&w->ple_proj, p->ple_h, p->y, P, H, 0};
    RS_TRY(rs_linear(p->rt, p->mode, &out, 1, p->n, err));
    rs_pass_rows(p, add_normed_row, w->ple_norm);
    return RS_OK;
}

static void keep_input_row(const rs_pass *p, int64_t row, void *ctx)
{
    int layer = *(int *)ctx;
    rs_kv *kv = rs_pass_kv(p, row);
    int64_t H = p->m->config->hidden;
    if (!kv->keep_inputs) return;
    memcpy(kv->inputs[layer] + p->position[row] * H, p->x + row * H,
           (size_t)H * sizeof(float));
    kv->deep[p->position[row]] = layer == p->m->config->n_layers - 1;
}

static rs_status rest_of_layer(rs_pass *p, int i, rs_err *err)
{
    if (p->n == 0) return RS_OK;
    RS_TRY(mix_heads(p, i, err));
    RS_TRY(mlp_block(p, i, err));
    if (p->m->config->ple_width > 0) RS_TRY(ple_block(p, i, err));
    float s = p->m->layers[i].layer_scalar;
    if (s != 1) p->rt->kernels->linear->scale(p->x, s, p->n * p->m->config->hidden);
    return RS_OK;
}

rs_status rs_pass_layer(rs_pass *p, int i, int64_t carry, rs_err *err)
{
    bool owns = !p->m->config->layers[i].is_sharer;
    rs_pass_rows(p, keep_input_row, &i);
    norm(p, p->x, p->m->layers[i].input_norm, p->h);
    RS_TRY(project(p, i, carry == 0, owns, err));
    if (carry == 0) return rest_of_layer(p, i, err);
    rs_pass view = rs_pass_view(p, carry);
    if (view.n > 0) RS_TRY(project(&view, i, true, false, err));
    return rest_of_layer(&view, i, err);
}
