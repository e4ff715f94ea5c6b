/* work_internal.h - the insides of one layer, for one sequence: what forward leaves and
 * backward reads. */
#ifndef RS_WORK_INTERNAL_H
#define RS_WORK_INTERNAL_H

#include "learn/backward.h"
#include "model/family.h"
#include "model/model_internal.h"

struct rs_work {
    const rs_runtime *rt;
    const rs_model *m;
    const rs_config *c;
    int64_t room; /* tokens */
    int64_t n;    /* of the sequence at hand */
    /* forward, [n, width]: the stream after attention and MLP, the norms' outputs, products
     * before anything was done to them (raw), and after */
    float *h1, *q_raw, *k_raw, *v_raw, *q, *k, *v, *att, *y_att;
    float *x1, *h2, *gate, *up, *act, *y_mlp;
    float *x2, *ple_raw, *ple_act, *y_ple;
    /* backward: gradients of the same */
    float *dh, *dy, *dq, *dk, *dv, *datt, *dgate, *dup, *dact;
    float *rows;              /* [n, widest vector] per-token gradients of a vector */
    float *dk_head, *dv_head; /* [heads][n, head_dim] */
    float **cos, **sin;       /* [n_ropes][room, pairs] */
    float *wide;              /* a piece of a widened matrix */
    int64_t wide_floats;
    float *scores; /* for each thread */
    int64_t scores_each;
    float *logits; /* [loss_rows, vocab] */
    int64_t loss_rows;
    double *row_loss; /* [loss_rows] */
    float *exps;      /* [threads, vocab] */
    void *memory;
    rs_work **kept; /* [n_layers] works that keep one layer's insides each, or NULL */
    bool holds;     /* of such a one: forward has been here, backward not */
    struct rs_lora *lora; /* beside the model, or NULL */
    float *low;           /* [2][room, rank] of its products */
};

enum { RS_QUERY_BLOCK = 64, RS_MAX_HEAD_DIM = 1024 };

static inline const rs_rope *rs_work_rope(const rs_work *w, int layer, const float **cos,
                                          const float **sin)
{
    const struct rs_model_store *s = w->m->store;
    int r = s->layer_rope[layer];
    *cos = w->cos[r];
    *sin = w->sin[r];
    return &s->ropes[r];
}

/* The work that holds a layer's insides: w, or one that keeps them. */
rs_work *rs_work_for(rs_work *w, int layer);

/* y [n, rows] = x [n, cols] w^T */
rs_status rs_apply(rs_work *w, const rs_matrix *m, const float *x, float *y,
                   rs_err *err) RS_MUST_USE;
/* dx [n, cols] = beta dx + dy [n, rows] w */
void rs_apply_back(rs_work *w, const rs_matrix *m, const float *dy, float beta,
                   float *dx);

/* lora_pass.c: y [n, rows] += what the adapter's pair at a place adds to the product of x; and
 * back: its part of dx, and the gradients of its factors. Nothing where there is no pair. */
void rs_adapt(const rs_work *w, rs_place at, const float *x, float *y);
void rs_adapt_back(const rs_work *w, rs_place at, const float *dy, const float *x, float *dx);

/* steps.c: back through one row of y = norm(x) w, w NULL: 1. dx = beta dx + what comes of dy
 * (dx may be dy), gw = dy times the normed x. */
void rs_norm_back(const float *x, const float *w, double eps, const float *dy, float beta,
                  float *dx, float *gw, int64_t n);

/* layer_forward.c: everything inside layer i for s->x[i], and the layer's output [n, hidden];
 * x_out NULL: only what rs_backward_layer reads. */
rs_status rs_layer_insides(rs_work *w, rs_sequence *s, int i, float *x_out,
                           rs_err *err) RS_MUST_USE;
/* attend.c: att from q and the layer's keys and values; and back: dq, and what dk, dv of
 * those keys and values get in addition. */
void rs_attend(rs_work *w, const rs_sequence *s, int i);
void rs_attend_back(rs_work *w, const rs_sequence *s, int i, float *dk, float *dv);

#endif
