/* dampen.h - d in [0, 1] for every element of a tensor, from its Fisher (docs/method.md 3).
 *   ewc 1/(1 + lambda p)   one_minus (1 - a p)(1 - b F_layer)   task h/(h + lambda f)
 *   hard 0 where p is at least the cut, else 1   none 1 */
#ifndef RS_DAMPEN_H
#define RS_DAMPEN_H

#include "merge/fisher.h"

typedef struct rs_dampener { /* one tensor's */
    rs_dampen_kind kind;
    const rs_norm *norm;
    float lambda, a, keep; /* keep = 1 - b F_layer */
    float cut;             /* of hard, in terms of F: rs_norm_inverse */
} rs_dampener;

/* F_layer [n_layers] = mean F of a layer over the largest mean; all 0 where there is none.
 * layer_of [n_tensors]: -1 outside the layers. */
void rs_layer_fisher(const rs_moments *m, const int *layer_of, int n_tensors,
                     int n_layers, double *out);

/* f, h [n]: raw Fisher and, for task, the style task's. d may be f. */
void rs_dampen(const rs_dampener *r, const rs_merge_kernels *k, const float *f,
               const float *h, float *d, int64_t n);

#endif
