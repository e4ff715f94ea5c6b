/* kv_internal.h - the inside of rs_kv, shared by kv.c, pass.c, attention.c and forward.c.
 *
 * A layer that owns K/V holds positions first .. length - 1, each head's rows contiguous:
 * [n_kv_heads, cap, head_dim]. Sliding layers forget what lies further back than the window
 * and a margin, unless every layer's input is kept (then a recomputation may need any
 * position). K is stored after its norm and RoPE, V after its norm.
 *
 * Above the last layer that owns K/V (`top`) nothing reads what other tokens leave, so only
 * tokens whose logits are wanted are carried on; `deep` says which were. */
#ifndef RS_KV_INTERNAL_H
#define RS_KV_INTERNAL_H

#include "model/forward.h"

typedef struct rs_kv_layer {
    float *k, *v;  /* NULL for layers that read another's */
    int64_t first; /* position of row 0 */
    int64_t cap;   /* rows of a head */
    float *saved;  /* K and V rows from saved_first on, while a call may be undone */
    int64_t saved_first;
} rs_kv_layer;

struct rs_kv {
    const rs_config *config;
    int64_t max_tokens, length;
    bool keep_inputs;
    int top; /* the last layer that owns K/V */
    rs_kv_layer *layers;
    int32_t *ids; /* [tokens_cap] */
    /* with keep_inputs: */
    float **inputs; /* [n_layers][tokens_cap, hidden]; above top only of deep tokens */
    float *ple;     /* [tokens_cap, n_layers x ple_width] */
    unsigned char *deep; /* [tokens_cap] */
    int64_t tokens_cap;
    /* of an abandoned recomputation; stale_from is n_layers while all is well */
    int stale_from;
    bool stale_kv;
};

/* Room for n more tokens in every layer. */
rs_status rs_kv_reserve(rs_kv *kv, int64_t n, rs_err *err) RS_MUST_USE;

/* Before n tokens are appended: keeps aside what sliding layers may forget meanwhile.
 * Then either rs_kv_undo (the cache is as it was) or rs_kv_settle. */
rs_status rs_kv_mark(rs_kv *kv, int64_t n, rs_err *err) RS_MUST_USE;
void rs_kv_undo(rs_kv *kv, int64_t length);
void rs_kv_settle(rs_kv *kv);

/* Forgets K and V of all tokens, not their ids; length becomes 0. */
void rs_kv_restart(rs_kv *kv);

/* Where position p of a head's K (or V, passed as base) lies. */
static inline float *rs_kv_row(const rs_kv_layer *l, float *base, int head, int head_dim,
                               int64_t p)
{
    return base + ((int64_t)head * l->cap + (p - l->first)) * head_dim;
}

#endif
