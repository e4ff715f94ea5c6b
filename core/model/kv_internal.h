/* kv_internal.h - the inside of rs_kv, shared by kv.c, attention.c and forward.c.
 *
 * A layer that owns K/V holds positions first .. first + count - 1, each head's rows
 * contiguous: [n_kv_heads, cap, head_dim]. Sliding layers forget what lies further back than
 * the window and a margin, unless every layer's input is kept (then a recomputation may need
 * any position). K is stored after its norm and RoPE, V after its norm. */
#ifndef RS_KV_INTERNAL_H
#define RS_KV_INTERNAL_H

#include "model/forward.h"

typedef struct rs_kv_layer {
    float *k, *v;  /* NULL for layers that read another's */
    int64_t first; /* position of row 0 */
    int64_t cap;   /* rows of a head */
} rs_kv_layer;

struct rs_kv {
    const rs_config *config;
    int64_t max_tokens, length;
    bool keep_inputs;
    rs_kv_layer *layers;
    float **inputs; /* [n_layers][inputs_cap, hidden], with keep_inputs */
    int32_t *ids;   /* [inputs_cap], with keep_inputs */
    int64_t inputs_cap;
    int stale_from; /* lowest layer of an abandoned recomputation; n_layers: fresh */
};

/* Room for n more tokens in every layer. */
rs_status rs_kv_reserve(rs_kv *kv, int64_t n, rs_err *err) RS_MUST_USE;

/* Where position p of a head's K (or V, passed as base) lies. */
static inline float *rs_kv_row(const rs_kv_layer *l, float *base, int head, int head_dim,
                               int64_t p)
{
    return base + ((int64_t)head * l->cap + (p - l->first)) * head_dim;
}

#endif
