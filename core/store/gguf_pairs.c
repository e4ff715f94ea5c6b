/* Which rows a GGUF stores in pairs. */
#include "store/gguf.h"

#include "tensor/dtype.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* "blk.12.attn_q.weight" and attn_k: the key that counts the tensor's heads, and the layer. */
static const char *key_of(const char *stored, int64_t *layer)
{
    int n = 0;
    if (sscanf(stored, "blk.%4" SCNd64 ".%n", layer, &n) != 1 || n == 0) return NULL;
    if (strcmp(stored + n, "attn_q.weight") == 0) return "llama.attention.head_count";
    if (strcmp(stored + n, "attn_k.weight") == 0) return "llama.attention.head_count_kv";
    return NULL;
}

/* One number, or one a layer. Without a count of K/V heads there are as many as heads. */
static rs_status count_of(const rs_gguf *g, const char *key, int64_t layer, int64_t *n,
                          rs_err *err)
{
    const rs_gguf_value *v = rs_gguf_get(g, key);
    if (!v) v = rs_gguf_get(g, "llama.attention.head_count");
    int64_t i = v && v->is_array ? layer : 0;
    if (v && i >= 0 && i < v->count && rs_gguf_int_at(v, i, n)) return RS_OK;
    return rs_fail(err, RS_E_FORMAT,
                   "the GGUF's key %s has no whole number for layer %" PRId64, key,
                   layer);
}

uint64_t rs_gguf_paired_row(uint64_t head_dim, uint64_t row)
{
    uint64_t in = row % head_dim, half = head_dim / 2;
    return row - in + in % half * 2 + in / half;
}

rs_status rs_gguf_paired_heads(const rs_gguf *g, const rs_tensor *t, int64_t *heads,
                               rs_err *err)
{
    int64_t layer = 0;
    *heads = 0;
    if (strcmp(rs_gguf_arch(g), "llama") != 0) return RS_OK;
    const char *key = key_of(t->stored_name, &layer);
    if (!key) return RS_OK;
    int64_t n = 0, rows = t->n_dims == 2 ? t->dim[0] : 0;
    RS_TRY(count_of(g, key, layer, &n, err));
    bool whole = n > 0 && rows > 0 && rows % n == 0 && rows / n % 2 == 0 &&
                 t->dim[1] % rs_dtype_of(t->dtype)->block == 0;
    if (!whole)
        return rs_fail(err, RS_E_FORMAT,
                       "the %" PRId64 " rows of %.100s are not %" PRId64
                       " heads (%s) of an even number of rows",
                       rows, t->stored_name, n, key);
    *heads = n;
    return RS_OK;
}
