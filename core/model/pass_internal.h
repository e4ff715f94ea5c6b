/* pass_internal.h - one trip of some token rows through the layers.
 *
 * Rows of a pass belong to one sequence (prefill: consecutive positions) or to one sequence
 * each (batch). Every step works on rows alone or on (row, head) pairs, so what is beside a
 * row never shows in its numbers. Buffers are [n, width], float32. */
#ifndef RS_PASS_INTERNAL_H
#define RS_PASS_INTERNAL_H

#include "model/family.h"
#include "model/kv_internal.h"
#include "model/model_internal.h"
#include "tensor/linear.h"

typedef struct rs_pass {
    const rs_runtime *rt;
    const rs_model *m;
    rs_linear_mode mode;
    int64_t n;        /* rows */
    rs_kv *const *kv; /* one a row, or one for all */
    bool one_sequence;
    const int32_t *ids;     /* [n] */
    int64_t *position;      /* [n] */
    int64_t row0;           /* of a view: its first row in the whole pass */
    float *x, *h, *y;       /* [n, hidden] the stream, its norm, a branch's result */
    float *q, *att;         /* [n, widest heads x head_dim] */
    float *k, *v;           /* [n, widest K/V heads x head_dim] */
    float *gate, *up;       /* [n, widest MLP] */
    float *ple, *ple_table; /* [n, layers x P]: per-layer inputs, rows of their table */
    float *ple_h;           /* [n, P] */
    float **cos, **sin;     /* [n_ropes][n, pairs] */
    float *scores;          /* a block of queries' scores for each worker */
    int64_t scores_each, max_keys;
    void *memory; /* of all of the above */
} rs_pass;

/* Allocates for n rows that look back over at most max_keys keys; the rest of the struct is
 * as the caller set it. */
rs_status rs_pass_new(rs_pass *p, int64_t n, int64_t max_keys, rs_err *err) RS_MUST_USE;
void rs_pass_free(rs_pass *p);

/* Fills position, cos, sin; x (scaled embeddings) and ple from the ids. */
rs_status rs_pass_start(rs_pass *p, int64_t first_position, rs_err *err) RS_MUST_USE;
/* The same for tokens that the cache holds, from its kept inputs of layer `first`. */
void rs_pass_restart(rs_pass *p, int64_t first_position, int first);
/* x through layer i; K/V go to the caches at the rows' positions. Only rows from `carry` on
 * go further than their K/V (carry > 0: one sequence, and i is the last layer with K/V). */
rs_status rs_pass_layer(rs_pass *p, int i, int64_t carry, rs_err *err) RS_MUST_USE;
/* The rows from `from` on as a pass of their own, in the same memory. */
rs_pass rs_pass_view(const rs_pass *p, int64_t from);
/* attention.c: att from q and the caches. */
void rs_pass_attend(rs_pass *p, int i);

/* Calls fn for each row, with the threads where there are many. */
void rs_pass_rows(const rs_pass *p, void (*fn)(const rs_pass *p, int64_t row, void *ctx),
                  void *ctx);

static inline rs_kv *rs_pass_kv(const rs_pass *p, int64_t row)
{
    return p->kv[p->one_sequence ? 0 : row];
}

#endif
