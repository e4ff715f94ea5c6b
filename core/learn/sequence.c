#include "learn/sequence.h"

#include "base/size.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Counts floats, and with base hands them out. */
typedef struct carver {
    float *base;
    size_t floats;
} carver;

static float *carve(carver *c, size_t floats)
{
    float *p = c->base ? c->base + c->floats : NULL;
    c->floats += (floats + 15) / 16 * 16;
    return p;
}

static void carve_all(rs_sequence *s, carver *c)
{
    const rs_config *config = s->config;
    size_t n = (size_t)s->n, H = (size_t)config->hidden;
    size_t ple = n * (size_t)config->ple_width * (size_t)config->n_layers;
    s->ids = (int32_t *)(void *)carve(c, n);
    s->labels = (int32_t *)(void *)carve(c, n);
    for (int i = 0; i <= config->n_layers; i++) {
        float *x = carve(c, n * H);
        if (s->x) s->x[i] = x;
    }
    s->ple = carve(c, ple);
    s->dx = carve(c, n * H);
    s->dple = carve(c, ple);
    for (int i = 0; i < config->n_layers; i++) {
        const rs_layer_config *l = &config->layers[i];
        if (!l->is_donor) continue;
        size_t width = (size_t)l->n_kv_heads * (size_t)l->head_dim;
        float **const all[] = {s->k, s->v, s->dk, s->dv};
        for (int j = 0; j < 4; j++) {
            float *p = carve(c, n * width);
            if (all[j]) all[j][i] = p;
        }
    }
}

uint64_t rs_sequence_bytes(const rs_config *c, int64_t n)
{
    rs_sequence s = {.config = c, .n = n};
    carver count = {NULL, 0};
    carve_all(&s, &count);
    return (uint64_t)count.floats * sizeof(float);
}

static rs_status check(const rs_config *c, const char *what, const int32_t *ids,
                       int64_t n, int32_t least, rs_err *err)
{
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < least || ids[i] >= c->vocab)
            return rs_fail(err, RS_E_INVALID,
                           "%s %" PRId64 " is id %" PRId32
                           ", outside the vocabulary of %d",
                           what, i, ids[i], c->vocab);
    return RS_OK;
}

static rs_status fill(rs_sequence *s, const int32_t *ids, const int32_t *labels,
                      rs_err *err)
{
    memcpy(s->ids, ids, (size_t)s->n * sizeof *ids);
    memcpy(s->labels, labels ? labels : ids, (size_t)s->n * sizeof *ids);
    s->labels[0] = -1;
    for (int64_t t = 0; t < s->n; t++)
        s->n_counted += s->labels[t] >= 0;
    if (s->n_counted > 0) return RS_OK;
    return rs_fail(err, RS_E_INVALID,
                   "a sequence of %" PRId64 " tokens has none that counts", s->n);
}

static rs_status allocate(rs_sequence *s, rs_err *err)
{
    const rs_config *c = s->config;
    size_t layers = (size_t)c->n_layers + 1;
    carver count = {NULL, 0};
    carve_all(s, &count);
    s->x = calloc(5 * layers, sizeof *s->x);
    s->memory = aligned_alloc(64, (count.floats + 16) / 16 * 16 * sizeof(float));
    if (!s->x || !s->memory)
        return rs_fail(err, RS_E_NOMEM, "no memory for a sequence of %" PRId64 " tokens",
                       s->n);
    s->k = s->x + layers;
    s->v = s->k + layers;
    s->dk = s->v + layers;
    s->dv = s->dk + layers;
    carver give = {s->memory, 0};
    carve_all(s, &give);
    if (c->ple_width == 0) s->ple = s->dple = NULL;
    return RS_OK;
}

rs_status rs_sequence_new(const rs_config *c, const int32_t *ids, const int32_t *labels,
                          int64_t n, rs_sequence **out, rs_err *err)
{
    *out = NULL;
    if (n < 2 || n > c->max_positions)
        return rs_fail(err, RS_E_INVALID,
                       "a sequence of %" PRId64 " tokens: the model takes 2 to %d", n,
                       c->max_positions);
    RS_TRY(check(c, "token", ids, n, 0, err));
    if (labels) RS_TRY(check(c, "label", labels, n, -1, err));
    rs_sequence *s = calloc(1, sizeof *s);
    if (!s) return rs_fail(err, RS_E_NOMEM, "no memory for a sequence");
    s->config = c;
    s->n = n;
    rs_status status = allocate(s, err);
    if (status == RS_OK) status = fill(s, ids, labels, err);
    if (status == RS_OK)
        *out = s;
    else
        rs_sequence_free(s);
    return status;
}

void rs_sequence_free(rs_sequence *s)
{
    if (!s) return;
    free(s->x);
    free(s->memory);
    free(s);
}

void rs_sequence_rewind(rs_sequence *s)
{
    const rs_config *c = s->config;
    size_t n = (size_t)s->n;
    memset(s->dx, 0, n * (size_t)c->hidden * sizeof(float));
    if (s->dple)
        memset(s->dple, 0,
               n * (size_t)c->ple_width * (size_t)c->n_layers * sizeof(float));
    for (int i = 0; i < c->n_layers; i++) {
        if (!s->dk[i]) continue;
        size_t width = (size_t)c->layers[i].n_kv_heads * (size_t)c->layers[i].head_dim;
        memset(s->dk[i], 0, n * width * sizeof(float));
        memset(s->dv[i], 0, n * width * sizeof(float));
    }
}
