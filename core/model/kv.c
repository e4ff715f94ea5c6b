#include "model/kv_internal.h"

#include "base/size.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_CAP = 64,
    MARGIN =
        256 /* tokens that a sliding layer keeps beyond its window, for rs_kv_truncate */
};

static int last_owner(const rs_config *c)
{
    int top = 0;
    for (int i = 0; i < c->n_layers; i++)
        if (!c->layers[i].is_sharer) top = i;
    return top;
}

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
    kv->top = last_owner(c);
    kv->stale_from = c->n_layers;
    *out = kv;
    return RS_OK;
}

void rs_kv_free(rs_kv *kv)
{
    if (!kv) return;
    if (kv->layers && kv->config) rs_kv_settle(kv);
    for (int i = 0; kv->config && i < kv->config->n_layers; i++) {
        free(kv->layers[i].k);
        free(kv->layers[i].v);
        free(kv->inputs[i]);
    }
    free(kv->layers);
    free(kv->inputs);
    free(kv->ids);
    free(kv->ple);
    free(kv->deep);
    free(kv);
}

int64_t rs_kv_length(const rs_kv *kv)
{
    return kv->length;
}

static int64_t row_floats(const rs_kv *kv, int i)
{
    const rs_layer_config *l = &kv->config->layers[i];
    return (int64_t)l->n_kv_heads * l->head_dim;
}

/* --- room --- */

/* Copies `count` rows of every head, from row `from` on, into room for cap rows a head. */
static void move_rows(float *dst, int64_t dst_cap, const float *src, int64_t src_cap,
                      int64_t from, int64_t count, const rs_layer_config *l)
{
    for (int h = 0; h < l->n_kv_heads; h++)
        memmove(dst + h * dst_cap * l->head_dim, src + (h * src_cap + from) * l->head_dim,
                (size_t)(count * l->head_dim) * sizeof(float));
}

static float *alloc_floats(int64_t rows, int64_t width)
{
    size_t n;
    if (!rs_mul_size((size_t)rows, (size_t)width, &n) || n > SIZE_MAX / 8) return NULL;
    return malloc((n ? n : 1) * sizeof(float));
}

/* New memory for cap rows, with `count` old ones from row `from` on. */
static bool grow_layer(rs_kv *kv, int i, int64_t cap, int64_t from, int64_t count)
{
    const rs_layer_config *l = &kv->config->layers[i];
    rs_kv_layer *own = &kv->layers[i];
    float *k = alloc_floats(cap, row_floats(kv, i));
    float *v = alloc_floats(cap, row_floats(kv, i));
    if (!k || !v) {
        free(k);
        free(v);
        return false;
    }
    if (count > 0) {
        move_rows(k, cap, own->k, own->cap, from, count, l);
        move_rows(v, cap, own->v, own->cap, from, count, l);
    }
    free(own->k);
    free(own->v);
    own->k = k;
    own->v = v;
    own->cap = cap;
    return true;
}

static bool forgets(const rs_kv *kv, int i)
{
    return !kv->keep_inputs && !kv->config->layers[i].is_full;
}

static bool reserve_layer(rs_kv *kv, int i, int64_t n)
{
    const rs_layer_config *l = &kv->config->layers[i];
    rs_kv_layer *own = &kv->layers[i];
    int64_t count = kv->length - own->first, drop = 0;
    if (count + n <= own->cap) return true;
    int64_t keep = kv->config->sliding_window - 1 + MARGIN;
    if (forgets(kv, i) && count > keep) drop = count - keep;
    int64_t need = count - drop + n, cap = own->cap ? own->cap : FIRST_CAP;
    while (cap < need)
        cap += cap / 2;
    if (cap == own->cap) {
        move_rows(own->k, cap, own->k, cap, drop, count - drop, l);
        move_rows(own->v, cap, own->v, cap, drop, count - drop, l);
    } else if (!grow_layer(kv, i, cap, drop, count - drop)) {
        return false;
    }
    own->first += drop;
    return true;
}

static void *grow(void *p, int64_t rows, int64_t width, size_t each)
{
    size_t n;
    if (!rs_mul_size((size_t)rows, (size_t)width, &n) || n > SIZE_MAX / 16) return NULL;
    return realloc(p, (n ? n : 1) * each);
}

static bool grow_kept(rs_kv *kv, int64_t cap)
{
    const rs_config *c = kv->config;
    for (int i = 0; i < c->n_layers; i++) {
        float *inputs = grow(kv->inputs[i], cap, c->hidden, sizeof *inputs);
        if (!inputs) return false;
        kv->inputs[i] = inputs;
    }
    float *ple = grow(kv->ple, cap, (int64_t)c->n_layers * c->ple_width, sizeof *ple);
    if (ple) kv->ple = ple;
    unsigned char *deep = grow(kv->deep, cap, 1, 1);
    if (deep) kv->deep = deep;
    return ple && deep;
}

static bool reserve_tokens(rs_kv *kv, int64_t n)
{
    if (kv->length + n <= kv->tokens_cap) return true;
    int64_t cap = kv->tokens_cap ? kv->tokens_cap : FIRST_CAP;
    while (cap < kv->length + n)
        cap *= 2;
    int32_t *ids = grow(kv->ids, cap, 1, sizeof *ids);
    if (!ids) return false;
    kv->ids = ids;
    if (kv->keep_inputs && !grow_kept(kv, cap)) return false;
    kv->tokens_cap = cap;
    return true;
}

rs_status rs_kv_reserve(rs_kv *kv, int64_t n, rs_err *err)
{
    if (n > kv->max_tokens - kv->length)
        return rs_fail(err, RS_E_INVALID,
                       "%" PRId64 " tokens do not fit behind %" PRId64
                       ": this cache takes at most %" PRId64,
                       n, kv->length, kv->max_tokens);
    bool ok = reserve_tokens(kv, n);
    for (int i = 0; ok && i < kv->config->n_layers; i++)
        if (!kv->config->layers[i].is_sharer) ok = reserve_layer(kv, i, n);
    return ok ? RS_OK
              : rs_fail(err, RS_E_NOMEM, "no memory for a cache of %" PRId64 " tokens",
                        kv->length + n);
}

/* --- undoing --- */

static bool save_layer(rs_kv *kv, int i)
{
    const rs_layer_config *l = &kv->config->layers[i];
    rs_kv_layer *own = &kv->layers[i];
    int64_t count = kv->length - own->first, width = row_floats(kv, i);
    own->saved = alloc_floats(2 * count, width);
    if (!own->saved) return false;
    own->saved_first = own->first;
    move_rows(own->saved, count, own->k, own->cap, 0, count, l);
    move_rows(own->saved + count * width, count, own->v, own->cap, 0, count, l);
    return true;
}

rs_status rs_kv_mark(rs_kv *kv, int64_t n, rs_err *err)
{
    if (kv->length == 0 || n <= MARGIN) return RS_OK; /* nothing needed will be dropped */
    for (int i = 0; i < kv->config->n_layers; i++) {
        if (kv->config->layers[i].is_sharer || !forgets(kv, i) || save_layer(kv, i))
            continue;
        rs_kv_settle(kv);
        return rs_fail(err, RS_E_NOMEM, "no memory for a cache of %" PRId64 " tokens",
                       kv->length + n);
    }
    return RS_OK;
}

void rs_kv_undo(rs_kv *kv, int64_t length)
{
    for (int i = 0; i < kv->config->n_layers; i++) {
        const rs_layer_config *l = &kv->config->layers[i];
        rs_kv_layer *own = &kv->layers[i];
        if (length == 0) own->first = 0;
        if (!own->saved) continue;
        int64_t count = length - own->saved_first, width = row_floats(kv, i);
        own->first = own->saved_first; /* memory never shrinks: the rows have room */
        move_rows(own->k, own->cap, own->saved, count, 0, count, l);
        move_rows(own->v, own->cap, own->saved + count * width, count, 0, count, l);
    }
    kv->length = length;
    rs_kv_settle(kv);
}

void rs_kv_settle(rs_kv *kv)
{
    for (int i = 0; i < kv->config->n_layers; i++) {
        free(kv->layers[i].saved);
        kv->layers[i].saved = NULL;
    }
}

void rs_kv_restart(rs_kv *kv)
{
    for (int i = 0; i < kv->config->n_layers; i++)
        kv->layers[i].first = 0;
    kv->length = 0;
}

/* --- forgetting --- */

static rs_status check_window(const rs_kv *kv, int64_t n, rs_err *err)
{
    int64_t oldest = n - kv->config->sliding_window + 1;
    for (int i = 0; i < kv->config->n_layers; i++) {
        if (kv->config->layers[i].is_sharer || kv->config->layers[i].is_full) continue;
        if (kv->layers[i].first > (oldest > 0 ? oldest : 0))
            return rs_fail(
                err, RS_E_INVALID,
                "the cache cannot go back from %" PRId64 " tokens to %" PRId64
                ": its sliding layers have forgotten what lies before %" PRId64,
                kv->length, n, kv->layers[i].first);
    }
    return RS_OK;
}

rs_status rs_kv_truncate(rs_kv *kv, int64_t n, rs_err *err)
{
    if (n < 0 || n > kv->length)
        return rs_fail(err, RS_E_INVALID,
                       "a cache of %" PRId64 " tokens cannot be cut to %" PRId64,
                       kv->length, n);
    if (n == 0) {
        rs_kv_restart(kv);
        kv->stale_from = kv->config->n_layers;
        return RS_OK;
    }
    if (kv->stale_from >= 0) RS_TRY(check_window(kv, n, err)); /* else all is made anew */
    kv->length = n;
    return RS_OK;
}
