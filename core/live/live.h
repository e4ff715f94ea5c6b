/* live.h - a model in memory that follows a recipe.
 *
 * rs_live_open makes every tensor of the plan that the forward pass reads (the very bytes a
 * merge would write; towers and inert tensors are left out) and binds them to an rs_model.
 * rs_live_follow takes a changed recipe: only tensors whose fingerprint differs are made
 * again, lowest layer first, and the caller learns the lowest place that changed, for
 * rs_kv_recompute. Tensors with equal fingerprints are shared with the live given as
 * `share`: their memory is counted, and a live that has to change a shared tensor makes a
 * copy of its own, so either may be closed first.
 *
 * Not thread-safe: one owner for all lives that share, and only between forward calls. */
#ifndef RS_LIVE_H
#define RS_LIVE_H

#include "merge/plan.h"
#include "model/tokenizer.h"
#include "model/weights.h"

typedef struct rs_live rs_live;

/* The plan is taken, also on failure (freed with the live or at the next follow). share: a
 * live whose equal tensors are used instead of copies, or NULL. progress counts tensors. */
rs_status rs_live_open(const rs_runtime *rt, rs_plan *plan, const rs_live *share,
                       rs_progress_fn progress, void *ctx, rs_live **out, rs_err *err)
    RS_MUST_USE;
void rs_live_close(rs_live *l); /* NULL is fine */

const rs_model *rs_live_model(const rs_live *l);
const rs_plan *rs_live_plan(const rs_live *l);
/* Its part of the memory: a tensor that k lives share counts 1/k in each, so that the sum
 * over all lives is what they take together. */
uint64_t rs_live_bytes(const rs_live *l);
/* What opening this plan would take beyond what `share` (or NULL) has. */
uint64_t rs_live_need(const rs_plan *plan, const rs_live *share);
/* Output tensor i of the plan as it is held, or NULL where it is not; bytes may be NULL. */
const void *rs_live_tensor(const rs_live *l, int i, uint64_t *bytes);
/* Whether rs_live_follow can take this plan: same base, same tensors, shapes, dtypes. */
bool rs_live_fits(const rs_live *l, const rs_plan *plan);

typedef struct rs_live_change {
    int n_stale, n_done;
    int first_layer; /* lowest layer that changed; -1: embeddings; n_layers: nothing did. A
                        change of the last norm or the head counts as the last layer's */
    bool first_changed_kv; /* in that layer something before its K/V changed (q, o, mlp: no) */
} rs_live_change;

/* Takes plan as above; RS_E_MISMATCH unless it fits. May be cut short by progress
 * (RS_E_CANCELLED) or by a failure: then some tensors are old, and the next follow makes up
 * for it. *change tells what was done in any case. */
rs_status rs_live_follow(const rs_runtime *rt, rs_live *l, rs_plan *plan,
                         rs_progress_fn progress, void *ctx, rs_live_change *change,
                         rs_err *err) RS_MUST_USE;

/* Two changes seen as one: what a cache needs that missed both. */
void rs_live_change_add(rs_live_change *sum, const rs_live_change *more);

#endif
