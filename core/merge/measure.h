/* measure.h - what a merge does to the model, in numbers: damage, style kept, angles.
 *
 * Two steps, so that sliders are instant. (1) rs_sums_tensor passes over one tensor's numbers
 * and leaves sums that do not depend on gains or t: plain and Fisher-weighted Gram matrices
 * of v = (W0, D, X, S), where D is the averaged, scaled delta, X = d * D elementwise, S the
 * heal's other side, W0 the base. A slerp without a stage that adds deltas has its first input
 * as W0; of differences (space delta) W0 is their base and D = X the first input less it. (2) rs_measure combines the sums with the recipe's gains and
 * t in float64: exact for every stage without `clamp` (with it, gains need a new pass).
 * Survival and changed share need the rounded output and are measured at fixed gains by
 * rs_sums_tensor too; rs_measure marks them stale when the gains have moved since.
 * Formulas: docs/method.md (damage = 1/2 sum F x^2 in nat per token; kept = <x, D>/<D, D>). */
#ifndef RS_MEASURE_H
#define RS_MEASURE_H

#include "merge/plan.h"

enum { RS_V_BASE, RS_V_DELTA, RS_V_DAMPED, RS_V_OTHER, RS_N_V };

typedef struct rs_tensor_sums {    /* plain data: copied between processes as bytes */
    int32_t i_tensor;              /* in the plan */
    int32_t valid;                 /* 0: not measured yet */
    double n, n_delta;             /* elements; elements of tensors with a delta */
    double gram[RS_N_V][RS_N_V];   /* sum v_i v_j */
    double fisher[RS_N_V][RS_N_V]; /* sum F v_i v_j; 0 without a Fisher */
    double sum_d;                  /* of d over the elements, where there is a delta */
    double sum_f, max_f;           /* raw Fisher */
    double at_gain, at_t;          /* where the next four were measured */
    double want_dot, want_norm;    /* <round(y) - W0, y - W0> and |y - W0|^2: output */
    double changed;                /* elements whose stored bits differ from the base's */
    /* |v|^2, |U^T v|^2, |v V|^2 of X, and of round(W0 + gain X) - W0, at at_gain, for the
     * plan's subspace: of its mask, else the first. NaN: none, not of this tensor, or not
     * measured (with_output only). */
    double leak[3], stored[3];
    uint64_t fingerprint;          /* of everything but gains and t */
} rs_tensor_sums;

/* One tensor of the plan. with_output: also survival and changed (costs producing it). */
rs_status rs_sums_tensor(const rs_runtime *rt, const rs_plan *p, int i, bool with_output,
                         rs_tensor_sums *out, rs_err *err) RS_MUST_USE;
/* What a sum of 1/2 F x^2 is multiplied by to be nat per token: 1 where the Fisher is per
 * token, sequences/tokens where it is per sequence. *unknown: the file does not say (then 1,
 * and damage is in F units). NaN where the recipe has no Fisher. */
/* Is the output's damage what the sums can tell? They hold the fuel stage on a plain model and
 * the heal right after it; for other graphs it is unknown. */
bool rs_plan_out_is_known(const rs_plan *p);
double rs_plan_damage_scale(const rs_plan *p, bool *unknown);
/* Equal while sums of tensor i stay usable: everything but gains and t. */
uint64_t rs_sums_fingerprint(const rs_plan *p, int i);

typedef struct rs_measure_row {
    double gain;     /* weighted by |D|^2 over the row's tensors */
    bool gain_mixed; /* the tensors differ */
    double d;        /* mean over elements with a delta; NaN: no delta */
    double damage;   /* nat (or F units) of the stage; NaN: no Fisher, no stage */
    double kept;     /* <x, D>/<D, D>; NaN: no delta */
    double norm;     /* |x|/|W|, over tensors with a delta; NaN: no stage adds any */
    double theta;    /* degrees between the heal's sides, over what differs and turns;
                     * NaN without heal */
    double t, c_a, c_b;
    bool flat;       /* slerp = lerp in storage here */
    double out;      /* damage of what a merge would write, nat */
    double survival; /* of the output; NaN: unknown */
    bool survival_stale;
    /* Share of the stage's x inside the subspace, out: |U^T x|^2/|x|^2, in: |x V|^2/|x|^2,
     * leak: the larger; and once W0 + x is rounded to the output's type. Over the tensors
     * that the subspace names; NaN: unknown. */
    double leak, leak_out, leak_in;
    double stored, stored_out, stored_in;
    bool stored_stale;
    double f_mean, f_max; /* raw Fisher */
    double delta_norm;    /* |D|/|W| */
    double changed;       /* share of elements */
    double n;
} rs_measure_row;

typedef struct rs_measure {
    int n_layers, n_tensors;
    rs_measure_row *tensor; /* [n_tensors], the plan's order */
    rs_measure_row *layer;  /* [n_layers + 1], the last: outside the layers */
    rs_measure_row all;
    bool complete;      /* every tensor had sums */
    bool units_unknown; /* the Fisher's scale is unknown: damage is in F units */
    double scale;       /* what raw 1/2 F x^2 was multiplied by */
    bool outside; /* outside the quadratic range: damage over 0.3, or x is it - pt */
} rs_measure;

/* sums [rs_plan_count]. Costs O(tensors), no data is read. */
rs_status rs_measure_from(const rs_plan *p, const rs_tensor_sums *sums, rs_measure **out,
                          rs_err *err) RS_MUST_USE;
void rs_measure_free(rs_measure *m);

#endif
