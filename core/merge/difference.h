/* difference.h - which two models a recipe's subspace lies between: W_to - W_from.
 *
 * The first subspace measure that is made from two plain models (make.h), else the models that
 * the recipe calls "pt" and "it". Paths are resolved as a plan resolves them; nothing is
 * opened. */
#ifndef RS_DIFFERENCE_H
#define RS_DIFFERENCE_H

#include "merge/plan.h"

typedef struct rs_difference {
    char from[4096], to[4096];       /* paths */
    const char *from_name, *to_name; /* entries of the recipe; borrowed from it */
    const char *measure;             /* NULL: no measure names them */
    int rank;                        /* 0: the measure does not say */
    double energy;                   /* 0: the measure does not say */
} rs_difference;

/* RS_E_NOT_FOUND: a sentence that says what is missing. */
rs_status rs_recipe_difference(const rs_recipe *r, const rs_plan_options *o,
                               rs_difference *out, rs_err *err) RS_MUST_USE;

/* Where a plain model of the recipe lies. */
rs_status rs_recipe_model_path(const rs_recipe *r, const rs_plan_options *o,
                               const char *name, char out[4096], rs_err *err) RS_MUST_USE;

#endif
