#include "model/kv_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_CAP = 64,
    MARGIN = 256 /* tokens that a sliding layer keeps beyond its window, for rs_kv_truncate */
};

rs_status rs_kv_new(const rs_config *c, const rs_kv_options *o, rs_kv **out, rs_err *err)
{
    *out = NULL;
    rs_kv *kv = calloc(1, sizeof *kv);
    size_t n = (size_t)c->n_layers;
    if (kv) {
        kv->layers = calloc(n, sizeof *kv->layers);
        kv->inputs = calloc(n, sizeof *kv->inputs);
    }
    if (!kv || !kv->layers || !kv->inputs) {
        rs_kv_free(kv);
        return rs_fail(err, RS_E_NOMEM, "no memory for a cache");
    }
    kv->config = c;
    kv->max_tokens = o && o->max_tokens > 0 ? o->max_tokens : c->max_positions;
    kv->keep_inputs = o && o->keep_inputs;
    kv->stale_from = c->n_layers;
    *out = kv;
    return RS_OK;
}

void rs_kv_free(rs_kv *kv)
{
    if (!kv) return;
    for (int i = 0; kv->config && i < kv->config->n_layers; i++) {
        free(kv->layers[i].k);
        free(kv->layers[i].v);
        free(kv->inputs[i]);
    }
    free(kv->layers);
    free(kv->inputs);
    free(kv->ids);
    free(kv);
}

int64_t rs_kv_length(const rs_kv *kv) { return kv->length; }

uint64_t rs_kv_bytes(const rs_kv *kv)
{
    uint64_t bytes = 0;
    for (int i = 0; i < kv->config->n_layers; i++) {
        const rs_layer_config *l = &kv->config->layers[i];
        bytes += 2 * (uint64_t)kv->layers[i].cap * (uint64_t)l->n_kv_heads *
                 (uint64_t)l->head_dim * sizeof(float);
    }
    if (kv->keep_inputs)
        bytes += (uint64_t)kv->inputs_cap * sizeof(float) * (uint64_t)kv->config->hidden *
                 (uint64_t)kv->config->n_layers;
    return bytes;
}

/* Copies `count` rows of every head, from row `from` on, into room for cap rows a head. */
static void move_rows(float *dst, int64_t dst_cap, const float *src, int64_t src_cap,
                      int64_t from, int64_t count, const rs_layer_config *l)
{
    for (int h = 0; h < l->n_kv_heads; h++)
        memmove(dst + h * dst_cap * l->head_dim, src + (h * src_cap + from) * l->head_dim,
                (size_t)(count * l->head_dim) * sizeof(float));
}

static bool grow_side(float **side, int64_t old_cap, int64_t cap, int64_t from, int64_t count,
                      const rs_layer_config *l)
{
    float *p = malloc((size_t)cap * (size_t)l->n_kv_heads * (size_t)l->head_dim *
                      sizeof(float));
    if (!p) return false;
    if (count > 0) move_rows(p, cap, *side, old_cap, from, count, l);
    free(*side);
    *side = p;
    return true;
}

static bool reserve_layer(rs_kv *kv, int i, int64_t n)
{
    const rs_layer_config *l = &kv->config->layers[i];
    rs_kv_layer *own = &kv->layers[i];
    int64_t count = kv->length - own->first, drop = 0;
    if (count + n <= own->cap) return true;
    if (!l->is_full && !kv->keep_inputs) {
        int64_t keep = kv->config->sliding_window - 1 + MARGIN;
        if (count > keep) drop = count - keep;
    }
    int64_t need = count - drop + n, cap = own->cap ? own->cap : FIRST_CAP;
    while (cap < need) cap += cap / 2;
    if (cap == own->cap) {
        move_rows(own->k, cap, own->k, cap, drop, count - drop, l);
        move_rows(own->v, cap, own->v, cap, drop, count - drop, l);
    } else {
        if (!grow_side(&own->k, own->cap, cap, drop, count - drop, l)) return false;
        if (!grow_side(&own->v, own->cap, cap, drop, count - drop, l)) {
            free(own->k); /* its rows have moved: nothing of this layer can be used */
            own->k = NULL;
            own->cap = 0;
            return false;
        }
        own->cap = cap;
    }
    own->first += drop;
    return true;
}

static bool reserve_inputs(rs_kv *kv, int64_t n)
{
    if (!kv->keep_inputs || kv->length + n <= kv->inputs_cap) return true;
    int64_t cap = kv->inputs_cap ? kv->inputs_cap : FIRST_CAP;
    while (cap < kv->length + n) cap *= 2;
    for (int i = 0; i < kv->config->n_layers; i++) {
        float *p = realloc(kv->inputs[i],
                           (size_t)cap * (size_t)kv->config->hidden * sizeof(float));
        if (!p) return false;
        kv->inputs[i] = p;
    }
    int32_t *ids = realloc(kv->ids, (size_t)cap * sizeof *ids);
    if (!ids) return false;
    kv->ids = ids;
    kv->inputs_cap = cap;
    return true;
}

rs_status rs_kv_reserve(rs_kv *kv, int64_t n, rs_err *err)
{
    if (n > kv->max_tokens - kv->length)
        return rs_fail(err, RS_E_INVALID,
                       "%" PRId64 " tokens do not fit behind %" PRId64
                       ": this cache takes at most %" PRId64,
                       n, kv->length, kv->max_tokens);
    bool ok = reserve_inputs(kv, n);
    for (int i = 0; ok && i < kv->config->n_layers; i++)
        if (!kv->config->layers[i].is_sharer) ok = reserve_layer(kv, i, n);
    return ok ? RS_OK
              : rs_fail(err, RS_E_NOMEM, "no memory for a cache of %" PRId64 " tokens",
                        kv->length + n);
}

rs_status rs_kv_truncate(rs_kv *kv, int64_t n, rs_err *err)
{
    if (n < 0 || n > kv->length)
        return rs_fail(err, RS_E_INVALID,
                       "a cache of %" PRId64 " tokens cannot be cut to %" PRId64, kv->length,
                       n);
    int64_t oldest = n - kv->config->sliding_window + 1;
    for (int i = 0; i < kv->config->n_layers; i++) {
        if (kv->config->layers[i].is_sharer || kv->config->layers[i].is_full) continue;
        if (kv->layers[i].first > (oldest > 0 ? oldest : 0))
            return rs_fail(err, RS_E_INVALID,
                           "the cache cannot go back from %" PRId64 " tokens to %" PRId64
                           ": its sliding layers have forgotten what lies before %" PRId64,
                           kv->length, n, kv->layers[i].first);
    }
    kv->length = n;
    if (n == 0) kv->stale_from = kv->config->n_layers;
    return RS_OK;
}
