/* spread.h - how the Fisher values of a tensor lie, and where a stage's dampening cuts them.
 *
 * Counts are by quarters of an octave of F (F = 0 apart) and exact for any number of threads.
 * The marks belong to the fuel stage's population (docs/method.md 2): the cut in force is the F
 * at which the normaliser reaches 1 (mean: the mean of F; pXX: the quantile; max, log, rank: the
 * largest), or for kind hard the F from which d is 0; `other` is the usual one beside it, p99,
 * or the mean where p99 or hard is. Shares count elements with F of the mark and above.
 *
 * rs_spreads keeps the statistics of one plan (a pass or more over the Fisher's population,
 * when it is opened); a tensor then costs two passes over its own values. */
#ifndef RS_SPREAD_H
#define RS_SPREAD_H

#include "merge/plan.h"

enum {
    RS_SPREAD_BINS = 4 * 277 /* from 2^-149, the least float, to 2^128 */
};

typedef enum rs_mark_kind { RS_MARK_NONE, RS_MARK_NORMALISER, RS_MARK_HARD } rs_mark_kind;

typedef struct rs_mark {
    int32_t kind;       /* rs_mark_kind */
    int32_t normaliser; /* rs_normaliser */
    double at;          /* F; > 0 and finite, else kind is RS_MARK_NONE */
    double above;       /* elements of the tensor with F >= at */
} rs_mark;

typedef struct rs_spread { /* plain data: copied between processes as bytes */
    int32_t i_tensor;      /* in the plan */
    int32_t in_population;
    uint64_t fingerprint;
    double n, zeros;  /* elements; those with F = 0 */
    double mean, max; /* of the tensor's F */
    double unit; /* mean F of the population (of the tensor with scope tensor); 0: none */
    rs_mark cut, other;
    int32_t first, count; /* bins outside [first, first + count) are empty */
    uint64_t bin[RS_SPREAD_BINS];
} rs_spread;

double rs_spread_edge(int bin); /* the least F of a bin; bin RS_SPREAD_BINS: 2^128 */
int rs_spread_bin(float f);     /* of an F above 0 */
/* Is what came from elsewhere consistent? */
bool rs_spread_is_sound(const rs_spread *s);

/* Is there a Fisher value for each element of tensor i of the plan? */
bool rs_spread_is_there(const rs_plan *p, int i);
/* Equal while the spread of tensor i stays what it is: lambda, gains and t do not count. 0:
 * there is none. */
uint64_t rs_spread_fingerprint(const rs_plan *p, int i);
/* d at the cut in force: 1/(1 + lambda), 1 - a, 0 of hard; NaN where the kind has no cut. */
double rs_spread_d(const rs_dampen_spec *d);

typedef struct rs_spreads rs_spreads;
/* The plan is borrowed. RS_E_NOT_FOUND where it has no Fisher. progress false: cancelled. */
rs_status rs_spreads_open(const rs_runtime *rt, const rs_plan *p, rs_progress_fn progress,
                          void *ctx, rs_spreads **out, rs_err *err) RS_MUST_USE;
rs_status rs_spreads_tensor(rs_spreads *s, int i, rs_progress_fn progress, void *ctx,
                            rs_spread *out, rs_err *err) RS_MUST_USE;
void rs_spreads_close(rs_spreads *s); /* NULL is fine; before the plan is freed */

#endif
