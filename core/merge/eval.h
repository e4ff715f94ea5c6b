/* eval.h - the numbers of a node: one range of one tensor, in float32, in one thread. Inside
 * core/merge: others go through plan.h. How a tensor is cut into ranges never shows
 * in the result: every element is computed alone and in one order. */
#ifndef RS_EVAL_H
#define RS_EVAL_H

#include "merge/plan_internal.h"

struct rs_mask;
enum { RS_MAX_BUFFERS = 512, RS_MAX_FACTORS = 64 };

struct rs_workspace {
    float *buffer[RS_MAX_BUFFERS]; /* a stack of tiles */
    int used;
    rs_sources *sources; /* that the rest belongs to: counted */
    int i_tensor;
    struct rs_held *factors[RS_MAX_FACTORS];
    int n_factors;
    struct rs_own_mask {
        const rs_node *of;
        struct rs_mask *mask;
    } * masks;
    int n_masks, cap_masks;
};

/* RS_TILE floats from the workspace's stack, or NULL: no memory. */
float *rs_workspace_grab(rs_workspace *ws);
void rs_workspace_release(rs_workspace *ws);
int rs_workspace_mark(const rs_workspace *ws);
void rs_workspace_back_to(rs_workspace *ws, int mark);

/* Both factors of an adapter's pair in float32, shared by all workspaces that use them. */
typedef struct rs_held {
    const rs_adapter_pair *pair;
    float *a, *b; /* [rank, cols], [rows, rank] */
    bool exact;   /* all products of them are exact in float32 */
    int users;
    struct rs_held *next;
} rs_held;
rs_status rs_held_take(rs_sources *s, const rs_src_adapter *ad,
                       const rs_adapter_pair *pair, rs_held **out,
                       rs_err *err) RS_MUST_USE;
void rs_held_drop(rs_sources *s, rs_held *h);

/* What an evaluation needs at hand: elements [first, first + n), n <= RS_TILE, of tensor i. */
typedef struct rs_eval {
    const rs_runtime *rt;
    const rs_merge_kernels *k;
    const rs_plan *p;
    rs_workspace *ws;
    int i;
    int64_t first, n;
    rs_err *err;
} rs_eval;

/* What lies in the workspace of another tensor is dropped. */
void rs_workspace_turn(const rs_eval *e);
/* The factors of tensor e->i; they stay until another tensor's turn. */
rs_status rs_workspace_factors(const rs_eval *e, const rs_src_adapter *ad,
                               const rs_held **out) RS_MUST_USE;

rs_eval rs_eval_at(const rs_runtime *rt, const rs_plan *p, rs_workspace *ws, int i,
                   int64_t first, int64_t n, rs_err *err);
rs_status rs_eval_node(const rs_eval *e, const rs_node *nd, float *dst) RS_MUST_USE;
/* The TASK node's averaged, scaled delta; zero where it has none. base: its base's values. */
rs_status rs_eval_delta(const rs_eval *e, const rs_node *nd, const float *base,
                        float *dst) RS_MUST_USE;
/* d of the TASK node; *flat: d is 1 everywhere and dst untouched. */
rs_status rs_eval_dampening(const rs_eval *e, const rs_node *nd, float *dst,
                            bool *flat) RS_MUST_USE;
bool rs_eval_term_is_zero(const rs_eval *e, const rs_node *nd, const rs_term *t);
/* Where the mask comes after dampening: delta times e, and true. e is d (as rs_eval_dampening
 * left it, *flat as it said), or with clamp and a gain that is not 0 cut(gain d). */
bool rs_eval_damp_first(const rs_eval *e, const rs_node *nd, float *d, bool flat,
                        float *delta);
/* The two sides of a SLERP; in delta space less the base, whose values go to base. */
rs_status rs_eval_sides(const rs_eval *e, const rs_node *nd, float *a, float *b,
                        float *base) RS_MUST_USE;
int64_t rs_eval_row_length(const rs_eval *e); /* of tensor i; a vector is one row */
/* Makes the angles of tensor e->i under one SLERP whose sides are ready, unless they are
 * there. */
rs_status rs_angles_ready(const rs_eval *e, const rs_node *nd) RS_MUST_USE;

/* --- masks: mask.c --- */

/* Makes what the mask of a TASK node takes out of tensor e->i, together with other threads
 * that ask for it, unless there is none; it stays with the workspace until another tensor's
 * turn. Everything below the node must be ready, and statistics prepared. */
rs_status rs_mask_ready(const rs_eval *e, const rs_node *nd) RS_MUST_USE;
/* x becomes P(x) over the range; nothing happens where the node has no mask here. */
rs_status rs_mask_apply(const rs_eval *e, const rs_node *nd, float *x) RS_MUST_USE;
void rs_mask_drop(rs_sources *s, struct rs_mask *m);
/* Bytes of what is held for a tensor, and while it is made: by all, and by each worker. */
typedef struct rs_mask_bytes {
    uint64_t held, making, worker;
} rs_mask_bytes;
rs_mask_bytes rs_mask_memory(const rs_plan *p, const rs_node *nd, int i);

/* --- one tensor by all threads of a pool --- */

typedef struct rs_team {
    const rs_runtime *rt;
    const rs_plan *p;
    int i, threads;
    rs_workspace **ws; /* [threads] */
    rs_status *status; /* [threads] */
    rs_err *errors;    /* [threads] */
} rs_team;

/* Close it in any case. */
rs_status rs_team_open(rs_team *t, const rs_runtime *rt, const rs_plan *p, int i,
                       const rs_pool *pool, rs_err *err) RS_MUST_USE;
void rs_team_close(rs_team *t);
/* rs_plan_ready with all threads. */
rs_status rs_team_ready(rs_team *t, rs_err *err) RS_MUST_USE;
/* The error of the first worker that has one: after rs_pool_run returned false. */
rs_status rs_team_error(const rs_team *t, rs_err *err) RS_MUST_USE;

#endif
