/* leak.h - how much of a stage's change lies in a subspace: |U^T x|^2 and |x V|^2 of one tensor,
 * for x as it is applied and as it is stored. Inside core/merge, for sums.c.
 *
 * U^T x is a sum over the whole tensor. Pieces of whole rows are summed by any thread, in
 * float64, and added in the order of the pieces: the result does not depend on threads. */
#ifndef RS_LEAK_H
#define RS_LEAK_H

#include "merge/eval.h"

enum { RS_LEAK_APPLIED, RS_LEAK_STORED, RS_LEAK_KINDS };

typedef struct rs_leak rs_leak;             /* of a tensor */
typedef struct rs_leak_piece rs_leak_piece; /* one worker's */

/* *out NULL: the plan has no subspace, or it has no directions of tensor i. */
rs_status rs_leak_open(const rs_runtime *rt, const rs_plan *p, int i, rs_leak **out,
                       rs_err *err) RS_MUST_USE;
int64_t rs_leak_length(const rs_leak *l); /* elements of a piece: whole rows */
rs_status rs_leak_begin(rs_leak *l, int64_t piece, rs_leak_piece **out,
                        rs_err *err) RS_MUST_USE;
/* Elements [first, first + n) of the tensor, inside the piece and in order. */
void rs_leak_add(rs_leak_piece *w, int kind, int64_t first, int64_t n, const float *x);
/* Every piece that was begun must end, also one that failed: the next ones wait for it. */
void rs_leak_end(rs_leak_piece *w, bool failed);
/* |U^T x|^2 and |x V|^2; NaN for a side that the file has not. Frees l, which may be NULL. */
void rs_leak_close(rs_leak *l, double u2[RS_LEAK_KINDS], double v2[RS_LEAK_KINDS]);

#endif
