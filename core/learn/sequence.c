#include "learn/sequence.h"

#include "base/carver.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int64_t rs_kv_width(const rs_config *c, int i)
{
    return (int64_t)c->layers[i].n_kv_heads * c->layers[i].head_dim;
}

static void carve_donors(rs_sequence *s, rs_carver *c)
{
    for (int i = 0; i < s->config->n_layers; i++) {
        if (!s->config->layers[i].is_donor) continue;
        float **const all[] = {s->k, s->v, s->dk, s->dv};
        for (int j = 0; j < 4; j++) {
            float *p = rs_carve(c, s->room, rs_kv_width(s->config, i));
            if (all[j]) all[j][i] = p;
        }
    }
}

static void carve_all(rs_sequence *s, bool keep_all, rs_carver *c)
{
    const rs_config *config = s->config;
    int64_t n = s->room, H = config->hidden, P = config->ple_width;
    s->ids = (int32_t *)(void *)rs_carve(c, n, 1);
    s->labels = (int32_t *)(void *)rs_carve(c, n, 1);
    s->lse = (double *)(void *)rs_carve(c, n, 2);
    float *pair[2] = {rs_carve(c, n, H), rs_carve(c, n, H)};
    for (int i = 0; i <= config->n_layers; i++) {
        float *x = keep_all && i > 1 ? rs_carve(c, n, H) : pair[i & 1];
        if (s->x) s->x[i] = x;
    }
    s->dx = rs_carve(c, n, H);
    for (int i = 0; i < config->n_layers && P > 0; i++) {
        float *ple = rs_carve(c, n, P), *dple = rs_carve(c, n, P);
        if (s->ple) s->ple[i] = ple, s->dple[i] = dple;
    }
    carve_donors(s, c);
}

uint64_t rs_sequence_bytes(const rs_config *c, int64_t room, bool keep_all)
{
    rs_sequence s = {.config = c, .room = room};
    rs_carver count = {0};
    carve_all(&s, keep_all, &count);
    return rs_carver_bytes(&count);
}

static rs_status allocate(rs_sequence *s, bool keep_all, rs_err *err)
{
    size_t layers = (size_t)s->config->n_layers + 1;
    rs_carver carver = {0};
    carve_all(s, keep_all, &carver);
    s->x = calloc(7 * layers, sizeof *s->x);
    s->memory = rs_carver_open(&carver);
    if (!s->x || !s->memory)
        return rs_fail(err, RS_E_NOMEM, "no memory for a sequence of %" PRId64 " tokens",
                       s->room);
    s->k = s->x + layers;
    s->v = s->k + layers;
    s->dk = s->v + layers;
    s->dv = s->dk + layers;
    s->ple = s->dv + layers;
    s->dple = s->ple + layers;
    carve_all(s, keep_all, &carver);
    return RS_OK;
}

rs_status rs_sequence_new(const rs_config *c, int64_t room, bool keep_all,
                          rs_sequence **out, rs_err *err)
{
    *out = NULL;
    rs_sequence *s = calloc(1, sizeof *s);
    if (!s) return rs_fail(err, RS_E_NOMEM, "no memory for a sequence");
    s->config = c;
    s->room = room;
    rs_status status = allocate(s, keep_all, err);
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

static rs_status check_length(const rs_sequence *s, int64_t n, rs_err *err)
{
    int64_t most = s->room;
    if (most > s->config->max_positions) most = s->config->max_positions;
    if (n >= 2 && n <= most) return RS_OK;
    return rs_fail(err, RS_E_INVALID,
                   "a sequence of %" PRId64 " tokens: 2 to %" PRId64 " can be taken", n,
                   most);
}

int64_t rs_labels_counted(const int32_t *labels, int64_t n)
{
    int64_t counted = 0;
    for (int64_t t = 1; t < n; t++)
        counted += !labels || labels[t] >= 0;
    return counted;
}

rs_status rs_sequence_set(rs_sequence *s, const int32_t *ids, const int32_t *labels,
                          int64_t n, rs_err *err)
{
    RS_TRY(check_length(s, n, err));
    RS_TRY(check(s->config, "token", ids, n, 0, err));
    if (labels) RS_TRY(check(s->config, "label", labels, n, -1, err));
    s->n = n;
    s->ple_rows = (rs_matrix){0};
    memcpy(s->ids, ids, (size_t)n * sizeof *ids);
    memcpy(s->labels, labels ? labels : ids, (size_t)n * sizeof *ids);
    s->labels[0] = -1;
    s->n_counted = rs_labels_counted(labels, n);
    if (s->n_counted > 0) return RS_OK;
    return rs_fail(err, RS_E_INVALID,
                   "a sequence of %" PRId64 " tokens has none that counts", n);
}

void rs_sequence_rewind(rs_sequence *s)
{
    const rs_config *c = s->config;
    size_t row = (size_t)s->n * sizeof(float);
    memset(s->dx, 0, row * (size_t)c->hidden);
    for (int i = 0; i < c->n_layers; i++) {
        if (!s->dk[i]) continue;
        memset(s->dk[i], 0, row * (size_t)rs_kv_width(c, i));
        memset(s->dv[i], 0, row * (size_t)rs_kv_width(c, i));
    }
}
