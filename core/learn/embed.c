/* embed.c - the tables: into the stream and the per-layer inputs, and back. */
#include "learn/work_internal.h"
#include "tensor/linear.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define PLACE(member) ((rs_place){-1, offsetof(rs_model, member)})

static const float half_root = (float)0.70710678118654752440;

typedef struct trip {
    rs_work *w;
    rs_sequence *s;
    float
        *all; /* [n, layers x P]: the projection; on the way back dple gathered, then its
                   gradient */
    float *raw; /* [n, layers x P], on the way back: the projection again */
} trip;

static int64_t all_ple(const rs_config *c)
{
    return (int64_t)c->ple_width * c->n_layers;
}

static rs_status trip_open(trip *t, rs_work *w, rs_sequence *s, bool back, rs_err *err)
{
    size_t bytes = (size_t)(s->n * all_ple(w->c)) * sizeof(float) + 1;
    *t = (trip){w, s, malloc(bytes), back ? malloc(bytes) : NULL};
    w->n = s->n;
    if (t->all && (t->raw || !back)) return RS_OK;
    free(t->all);
    free(t->raw);
    return rs_fail(err, RS_E_NOMEM, "no memory for the per-layer embeddings");
}

static void trip_close(trip *t)
{
    free(t->all);
    free(t->raw);
}

static void embed_row(void *ctx, int64_t row)
{
    const trip *t = ctx;
    const rs_work *w = t->w;
    rs_linear_row(w->rt->kernels, &w->m->embed, t->s->ids[row], (float)w->c->embed_scale,
                  t->s->x[0] + row * w->c->hidden);
}

/* (norm(projection / sqrt(hidden)) + sqrt(P) row of the table) / sqrt(2), as in pass.c */
static void ple_row(void *ctx, int64_t row)
{
    const trip *t = ctx;
    const rs_work *w = t->w;
    const rs_linear_kernels *k = w->rt->kernels->linear;
    int64_t P = w->c->ple_width, all = all_ple(w->c);
    float *ple = t->all + row * all, *table = w->rows + row * all;
    const rs_matrix *own = &t->s->ple_rows;
    rs_linear_row(w->rt->kernels, own->data ? own : &w->m->ple_embed,
                  own->data ? row : t->s->ids[row], sqrtf((float)P), table);
    k->scale(ple, (float)pow((double)w->c->hidden, -0.5), all);
    for (int i = 0; i < w->c->n_layers; i++) {
        float *to = t->s->ple[i] + row * P;
        k->rms_norm(ple + i * P, w->m->ple_norm, w->c->rms_eps, to, P);
        k->add(to, table + i * P, P);
        k->scale(to, half_root, P);
    }
}

rs_status rs_forward_embed(rs_work *w, rs_sequence *s, rs_err *err)
{
    trip t;
    if (w->c->ple_width > 0 && !s->ple_rows.data && !w->m->ple_embed.data)
        return rs_fail(err, RS_E_BUG, "the per-layer embeddings are not at hand");
    RS_TRY(trip_open(&t, w, s, false, err));
    rs_each_row(w->rt, s->n, embed_row, &t);
    rs_status status = RS_OK;
    if (w->c->ple_width > 0) {
        status = rs_apply(w, &w->m->ple_model_proj, s->x[0], t.all, err);
        if (status == RS_OK) rs_each_row(w->rt, s->n, ple_row, &t);
    }
    trip_close(&t);
    return status;
}

static void gather_row(void *ctx, int64_t row)
{
    const trip *t = ctx;
    int64_t P = t->w->c->ple_width, all = all_ple(t->w->c);
    for (int i = 0; i < t->w->c->n_layers; i++)
        memcpy(t->all + row * all + i * P, t->s->dple[i] + row * P,
               (size_t)P * sizeof(float));
    t->w->rt->kernels->linear->scale(t->all + row * all, half_root, all);
}

/* The gradient of one row's sum becomes the projection's; rows gets the norm's, summed over
 * the layers. */
static void ple_back_row(void *ctx, int64_t row)
{
    const trip *t = ctx;
    const rs_work *w = t->w;
    const rs_linear_kernels *k = w->rt->kernels->linear;
    float by = (float)pow((double)w->c->hidden, -0.5);
    int64_t P = w->c->ple_width, all = all_ple(w->c);
    float *d = t->all + row * all, *raw = t->raw + row * all;
    float *sum = w->rows + row * P, *own = w->dact + row * P;
    memset(sum, 0, (size_t)P * sizeof *sum);
    k->scale(raw, by, all);
    for (int i = 0; i < w->c->n_layers; i++) {
        rs_norm_back(raw + i * P, w->m->ple_norm, w->c->rms_eps, d + i * P, 0, d + i * P,
                     own, P);
        k->add(sum, own, P);
    }
    k->scale(d, by, all);
}

static rs_status ple_back(trip *t, const int32_t *ids, const rs_sink *sink, rs_err *err)
{
    rs_work *w = t->w;
    rs_sequence *s = t->s;
    int64_t all = all_ple(w->c), P = w->c->ple_width;
    rs_each_row(w->rt, s->n, gather_row, t);
    RS_TRY(sink->lookup(sink->ctx, PLACE(ple_embed), ids, t->all, all, sqrtf((float)P),
                        s->n, all, err));
    RS_TRY(rs_apply(w, &w->m->ple_model_proj, s->x[0], t->raw, err));
    rs_each_row(w->rt, s->n, ple_back_row, t);
    RS_TRY(sink->vector(sink->ctx, PLACE(ple_norm), w->rows, s->n, P, err));
    RS_TRY(sink->matrix(sink->ctx, PLACE(ple_model_proj), t->all, all, s->x[0],
                        w->c->hidden, s->n, err));
    rs_apply_back(w, &w->m->ple_model_proj, t->all, 1, s->dx);
    return RS_OK;
}

/* ids without the padding row, which torch's tables do not train. */
static int32_t *looked_up(const rs_work *w, const rs_sequence *s)
{
    int32_t *ids = malloc((size_t)s->n * sizeof *ids);
    for (int64_t t = 0; ids && t < s->n; t++)
        ids[t] = s->ids[t] == w->c->pad ? -1 : s->ids[t];
    return ids;
}

rs_status rs_backward_embed(rs_work *w, rs_sequence *s, const rs_sink *sink, rs_err *err)
{
    trip t;
    RS_TRY(trip_open(&t, w, s, true, err));
    int32_t *ids = looked_up(w, s);
    rs_status status =
        ids ? RS_OK : rs_fail(err, RS_E_NOMEM, "no memory for the tables' gradients");
    if (status == RS_OK && w->c->ple_width > 0) status = ple_back(&t, ids, sink, err);
    if (status == RS_OK)
        status = sink->lookup(sink->ctx, PLACE(embed), ids, s->dx, w->c->hidden,
                              (float)w->c->embed_scale, s->n, w->c->hidden, err);
    free(ids);
    trip_close(&t);
    return status;
}
