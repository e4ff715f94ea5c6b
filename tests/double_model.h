/* double_model.h - a text model in float64, written down as its formulas are, for checking what
 * the program computes in float32: weights of a checkpoint by slot, logits, the loss.
 *
 * It shares the reading of configs and tensors with the program and nothing else: every step
 * from ids to loss stands here a second time, one token and one number after the other. Fit
 * for models of some ten thousand weights. */
#ifndef DOUBLE_MODEL_H
#define DOUBLE_MODEL_H

#include "model/family.h"
#include "model/weights.h"
#include "tests/files.h"
#include "tests/t.h"

#include <math.h>

enum { DM_SLOTS = 32 };

typedef struct double_model {
    const rs_config *c; /* borrowed */
    double **at;        /* [n_layers + 1][DM_SLOTS] as stored, or NULL; last: no layer */
    int64_t *size;      /* as at: elements */
} double_model;

/* What one sequence leaves on its way. Rows are tokens. */
typedef struct double_pass {
    const double_model *m;
    const int32_t *ids;
    int64_t n;
    double *x;       /* [n, hidden] the stream */
    double *ple;     /* [n, layers x P] */
    double **k, **v; /* [n_layers][n, K/V heads x head_dim]; NULL for sharers */
} double_pass;

UNUSED const rs_slot *dm_slots(const rs_config *c, int layer)
{
    return layer < 0 ? c->family->model_slots : c->family->layer_slots;
}

UNUSED int dm_index(const double_model *m, int layer, int slot)
{
    return (layer < 0 ? m->c->n_layers : layer) * DM_SLOTS + slot;
}

/* The tensor whose place is at this offset (family.h), or NULL where there is none. */
UNUSED const double *dm_at(const double_model *m, int layer, size_t offset)
{
    const rs_slot *s = dm_slots(m->c, layer);
    for (int i = 0; s[i].tail; i++)
        if (s[i].offset == offset) return m->at[dm_index(m, layer, i)];
    return NULL;
}

#define DM_LAYER(m, layer, member) dm_at(m, layer, offsetof(rs_layer_weights, member))
#define DM_MODEL(m, member) dm_at(m, -1, offsetof(rs_model, member))

UNUSED rs_status dm_load(double_model *m, const rs_checkpoint *f, const rs_config *c,
                         rs_err *err)
{
    size_t places = ((size_t)c->n_layers + 1) * DM_SLOTS;
    *m =
        (double_model){c, calloc(places, sizeof *m->at), calloc(places, sizeof *m->size)};
    for (int i = 0; i < rs_checkpoint_count(f); i++) {
        const rs_tensor *t = rs_checkpoint_at(f, i);
        int layer;
        const rs_slot *s = rs_slot_of(c, t->name, &layer);
        if (!s || !rs_slot_needed(c, layer, s)) continue;
        int at = dm_index(m, layer, (int)(s - dm_slots(c, layer)));
        float *narrow = malloc((size_t)t->n_elements * sizeof *narrow + 1);
        m->at[at] = malloc((size_t)t->n_elements * sizeof **m->at + 1);
        m->size[at] = t->n_elements;
        rs_status st = rs_checkpoint_read_f32(f, t, 0, t->n_elements, narrow, err);
        for (int64_t k = 0; st == RS_OK && k < t->n_elements; k++)
            m->at[at][k] = (double)narrow[k];
        free(narrow);
        RS_TRY(st);
    }
    return RS_OK;
}

UNUSED void dm_free(double_model *m)
{
    for (int i = 0; i < (m->c->n_layers + 1) * DM_SLOTS; i++)
        free(m->at[i]);
    free(m->at);
    free(m->size);
}

/* --- steps --- */

/* y [out] = W x, W [out, in] */
UNUSED void dm_linear(const double *w, const double *x, int64_t out, int64_t in,
                      double *y)
{
    for (int64_t o = 0; o < out; o++) {
        double sum = 0;
        for (int64_t i = 0; i < in; i++)
            sum += w[o * in + i] * x[i];
        y[o] = sum;
    }
}

/* y = x / sqrt(mean x^2 + eps) * w, or * (1 + w); w NULL: * 1. y may be x. */
UNUSED void dm_norm(const rs_config *c, const double *w, const double *x, int64_t n,
                    double *y)
{
    double squares = 0, plus = c->family->norm == RS_NORM_ONE_PLUS_W ? 1 : 0;
    for (int64_t i = 0; i < n; i++)
        squares += x[i] * x[i];
    double root = sqrt(squares / (double)n + c->rms_eps);
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] / root * (w ? plus + w[i] : 1);
}

UNUSED double dm_gelu(double z)
{
    return 0.5 * z * (1 + tanh(sqrt(2 / M_PI) * (z + 0.044715 * z * z * z)));
}

UNUSED double dm_activation(const rs_config *c, double z)
{
    return c->family->activation == RS_ACT_SILU ? z / (1 + exp(-z)) : dm_gelu(z);
}

/* Radians a token of pair j of a head. */
UNUSED double dm_frequency(const rs_layer_config *l, int j)
{
    if (j >= l->rope_pairs) return 0;
    double f = pow(l->rope_theta, -2.0 * j / l->head_dim);
    if (l->rope_original == 0) return f / l->rope_factor;
    double wave = 2 * M_PI / f;
    if (wave > l->rope_original / l->rope_low) return f / l->rope_factor;
    if (wave < l->rope_original / l->rope_high) return f;
    double s = (l->rope_original / wave - l->rope_low) / (l->rope_high - l->rope_low);
    return (1 - s) * f / l->rope_factor + s * f;
}

/* Pair j is elements j and j + half of the head. */
UNUSED void dm_turn(const rs_layer_config *l, int64_t t, double *head)
{
    int half = l->head_dim / 2;
    for (int j = 0; j < half; j++) {
        double angle = (double)t * dm_frequency(l, j), a = head[j], b = head[j + half];
        head[j] = a * cos(angle) - b * sin(angle);
        head[j + half] = b * cos(angle) + a * sin(angle);
    }
}

/* Rows of heads: product, bias, norm, RoPE. */
UNUSED void dm_heads(const double_pass *p, int layer, const double *h, const double *w,
                     const double *bias, const double *norm, bool normed, bool turns,
                     int n_heads, double *to)
{
    const rs_config *c = p->m->c;
    const rs_layer_config *l = &c->layers[layer];
    int64_t width = (int64_t)n_heads * l->head_dim;
    for (int64_t t = 0; t < p->n; t++) {
        double *row = to + t * width;
        dm_linear(w, h + t * c->hidden, width, c->hidden, row);
        for (int64_t i = 0; bias && i < width; i++)
            row[i] += bias[i];
        for (int k = 0; k < n_heads; k++) {
            double *head = row + k * l->head_dim;
            if (normed) dm_norm(c, norm, head, l->head_dim, head);
            if (turns) dm_turn(l, t, head);
        }
    }
}

/* att [head_dim] of one head at position t: the keys that it sees, softened, weigh the values.
 * kv: keys and values of this head, rows `step` apart. */
UNUSED void dm_attend(const rs_config *c, const rs_layer_config *l, int64_t t,
                      const double *q, const double *keys, const double *values,
                      int64_t step, double *att)
{
    int64_t first = l->is_full || t < c->sliding_window ? 0 : t - c->sliding_window + 1;
    double *p = malloc((size_t)(t + 1) * sizeof *p), top = -INFINITY, sum = 0;
    for (int64_t s = first; s <= t; s++) {
        p[s] = 0;
        for (int i = 0; i < l->head_dim; i++)
            p[s] += q[i] * keys[s * step + i];
        p[s] *= c->attn_scale;
        if (c->attn_softcap > 0) p[s] = c->attn_softcap * tanh(p[s] / c->attn_softcap);
        top = fmax(top, p[s]);
    }
    memset(att, 0, (size_t)l->head_dim * sizeof *att);
    for (int64_t s = first; s <= t; s++)
        sum += exp(p[s] - top);
    for (int64_t s = first; s <= t; s++)
        for (int i = 0; i < l->head_dim; i++)
            att[i] += exp(p[s] - top) / sum * values[s * step + i];
    free(p);
}

/* x += y, normed where there is a norm */
UNUSED void dm_join(const rs_config *c, double *x, double *y, const double *norm)
{
    if (norm) dm_norm(c, norm, y, c->hidden, y);
    for (int i = 0; i < c->hidden; i++)
        x[i] += y[i];
}

UNUSED void dm_attention(double_pass *p, int layer)
{
    const double_model *m = p->m;
    const rs_config *c = m->c;
    const rs_layer_config *l = &c->layers[layer];
    int64_t H = c->hidden, nq = (int64_t)c->n_heads * l->head_dim,
            nk = (int64_t)l->n_kv_heads * l->head_dim;
    double *h = malloc((size_t)(p->n * H) * sizeof *h),
           *y = malloc((size_t)H * sizeof *y);
    double *q = malloc((size_t)(p->n * nq) * sizeof *q),
           *att = malloc((size_t)nq * sizeof *att);
    for (int64_t t = 0; t < p->n; t++)
        dm_norm(c, DM_LAYER(m, layer, input_norm), p->x + t * H, H, h + t * H);
    const double *q_norm = DM_LAYER(m, layer, q_norm),
                 *k_norm = DM_LAYER(m, layer, k_norm);
    dm_heads(p, layer, h, DM_LAYER(m, layer, q), DM_LAYER(m, layer, q_bias), q_norm,
             q_norm != NULL, true, c->n_heads, q);
    if (!l->is_sharer) {
        p->k[layer] = malloc((size_t)(p->n * nk) * sizeof **p->k);
        p->v[layer] = malloc((size_t)(p->n * nk) * sizeof **p->v);
        dm_heads(p, layer, h, DM_LAYER(m, layer, k), DM_LAYER(m, layer, k_bias), k_norm,
                 k_norm != NULL, true, l->n_kv_heads, p->k[layer]);
        dm_heads(p, layer, h, DM_LAYER(m, layer, v), DM_LAYER(m, layer, v_bias), NULL,
                 c->family->v_norm, false, l->n_kv_heads, p->v[layer]);
    }
    int group = c->n_heads / l->n_kv_heads;
    for (int64_t t = 0; t < p->n; t++) {
        for (int k = 0; k < c->n_heads; k++)
            dm_attend(c, l, t, q + t * nq + k * l->head_dim,
                      p->k[l->kv_layer] + k / group * l->head_dim,
                      p->v[l->kv_layer] + k / group * l->head_dim, nk,
                      att + k * l->head_dim);
        dm_linear(DM_LAYER(m, layer, o), att, H, nq, y);
        dm_join(c, p->x + t * H, y, DM_LAYER(m, layer, post_attn_norm));
    }
    free(h), free(y), free(q), free(att);
}

UNUSED void dm_mlp(double_pass *p, int layer)
{
    const double_model *m = p->m;
    const rs_config *c = m->c;
    int64_t H = c->hidden, M = c->layers[layer].intermediate;
    double *h = malloc((size_t)H * sizeof *h), *y = malloc((size_t)H * sizeof *y);
    double *gate = malloc((size_t)M * sizeof *gate), *up = malloc((size_t)M * sizeof *up);
    for (int64_t t = 0; t < p->n; t++) {
        double *x = p->x + t * H;
        dm_norm(c, DM_LAYER(m, layer, pre_mlp_norm), x, H, h);
        dm_linear(DM_LAYER(m, layer, gate), h, M, H, gate);
        dm_linear(DM_LAYER(m, layer, up), h, M, H, up);
        for (int64_t i = 0; i < M; i++)
            gate[i] = dm_activation(c, gate[i]) * up[i];
        dm_linear(DM_LAYER(m, layer, down), gate, H, M, y);
        dm_join(c, x, y, DM_LAYER(m, layer, post_mlp_norm));
    }
    free(h), free(y), free(gate), free(up);
}

UNUSED void dm_per_layer(double_pass *p, int layer)
{
    const double_model *m = p->m;
    const rs_config *c = m->c;
    int64_t H = c->hidden, P = c->ple_width;
    double *y = malloc((size_t)H * sizeof *y), *a = malloc((size_t)P * sizeof *a);
    for (int64_t t = 0; t < p->n; t++) {
        const double *ple = p->ple + (t * c->n_layers + layer) * P;
        dm_linear(DM_LAYER(m, layer, ple_gate), p->x + t * H, P, H, a);
        for (int64_t i = 0; i < P; i++)
            a[i] = dm_gelu(a[i]) * ple[i];
        dm_linear(DM_LAYER(m, layer, ple_proj), a, H, P, y);
        dm_join(c, p->x + t * H, y, DM_LAYER(m, layer, ple_norm));
    }
    free(y), free(a);
}

/* The stream's beginning, and the per-layer inputs out of it and their table. */
UNUSED void dm_embed(double_pass *p)
{
    const double_model *m = p->m;
    const rs_config *c = m->c;
    int64_t H = c->hidden, P = c->ple_width, all = P * c->n_layers;
    double by = c->family->scales_embedding ? sqrt((double)H) : 1;
    for (int64_t t = 0; t < p->n; t++) {
        double *x = p->x + t * H, *ple = p->ple + t * all;
        for (int64_t i = 0; i < H; i++)
            x[i] = by * DM_MODEL(m, embed)[p->ids[t] * H + i];
        if (P == 0) continue;
        const double *row = DM_MODEL(m, ple_embed) + p->ids[t] * all;
        dm_linear(DM_MODEL(m, ple_model_proj), x, all, H, ple);
        for (int64_t i = 0; i < all; i++)
            ple[i] /= sqrt((double)H);
        for (int l = 0; l < c->n_layers; l++)
            dm_norm(c, DM_MODEL(m, ple_norm), ple + l * P, P, ple + l * P);
        for (int64_t i = 0; i < all; i++)
            ple[i] = (ple[i] + sqrt((double)P) * row[i]) / sqrt(2);
    }
}

/* logits [vocab] of the token at t, after the soft-cap */
UNUSED void dm_head(const double_pass *p, int64_t t, double *logits)
{
    const rs_config *c = p->m->c;
    double *h = malloc((size_t)c->hidden * sizeof *h);
    dm_norm(c, DM_MODEL(p->m, final_norm), p->x + t * c->hidden, c->hidden, h);
    const double *head = c->tied_head ? DM_MODEL(p->m, embed) : DM_MODEL(p->m, head);
    dm_linear(head, h, c->vocab, c->hidden, logits);
    double cap = c->final_softcap;
    for (int i = 0; cap > 0 && i < c->vocab; i++)
        logits[i] = cap * tanh(logits[i] / cap);
    free(h);
}

/* --- all of it --- */

UNUSED void dm_forward(double_pass *p, const double_model *m, const int32_t *ids,
                       int64_t n)
{
    const rs_config *c = m->c;
    size_t layers = (size_t)c->n_layers, H = (size_t)c->hidden;
    *p = (double_pass){.m = m, .ids = ids, .n = n};
    p->x = malloc((size_t)n * H * sizeof *p->x);
    p->ple = malloc(((size_t)n * layers * (size_t)c->ple_width + 1) * sizeof *p->ple);
    p->k = calloc(layers, sizeof *p->k);
    p->v = calloc(layers, sizeof *p->v);
    dm_embed(p);
    for (int l = 0; l < c->n_layers; l++) {
        dm_attention(p, l);
        dm_mlp(p, l);
        if (c->ple_width > 0) dm_per_layer(p, l);
        const double *scalar = DM_LAYER(m, l, layer_scalar);
        for (size_t i = 0; scalar && i < (size_t)n * H; i++)
            p->x[i] *= scalar[0];
    }
}

UNUSED void dm_pass_free(double_pass *p)
{
    for (int l = 0; l < p->m->c->n_layers; l++)
        free(p->k[l]), free(p->v[l]);
    free(p->x), free(p->ple), free(p->k), free(p->v);
}

/* Negative log-likelihood in nat summed over the labels that are not below 0, told by the
 * tokens before them. */
UNUSED double dm_loss(const double_model *m, const int32_t *ids, const int32_t *labels,
                      int64_t n)
{
    double_pass p;
    double loss = 0, *z = malloc((size_t)m->c->vocab * sizeof *z);
    dm_forward(&p, m, ids, n);
    for (int64_t t = 0; t + 1 < n; t++) {
        if (labels[t + 1] < 0) continue;
        double top = -INFINITY, sum = 0;
        dm_head(&p, t, z);
        for (int i = 0; i < m->c->vocab; i++)
            top = fmax(top, z[i]);
        for (int i = 0; i < m->c->vocab; i++)
            sum += exp(z[i] - top);
        loss += top + log(sum) - z[labels[t + 1]];
    }
    dm_pass_free(&p);
    free(z);
    return loss;
}

#endif
