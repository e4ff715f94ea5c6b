#include "merge/dampen.h"

#include <stdlib.h>

void rs_layer_fisher(const rs_moments *m, const int *layer_of, int n_tensors,
                     int n_layers, double *out)
{
    double largest = 0;
    for (int l = 0; l < n_layers; l++) {
        rs_moments sum = {0};
        for (int t = 0; t < n_tensors; t++)
            if (layer_of[t] == l) rs_moments_add(&sum, &m[t]);
        out[l] = sum.n ? sum.sum / (double)sum.n : 0;
        if (out[l] > largest) largest = out[l];
    }
    for (int l = 0; l < n_layers; l++)
        out[l] = largest > 0 ? out[l] / largest : 0;
}

void rs_dampen(const rs_dampener *r, const rs_merge_kernels *k, const float *f,
               const float *h, float *d, int64_t n)
{
    switch (r->kind) {
    case RS_DAMPEN_EWC:
        rs_norm_apply(r->norm, k, f, d, n);
        k->damp_ewc(r->lambda, d, d, n);
        break;
    case RS_DAMPEN_ONE_MINUS:
        rs_norm_apply(r->norm, k, f, d, n);
        k->damp_one_minus(r->a, r->keep, d, d, n);
        break;
    case RS_DAMPEN_TASK:
        k->damp_task(r->lambda, f, h, d, n);
        break;
    case RS_DAMPEN_HARD:
        k->damp_hard(r->cut, f, d, n);
        break;
    case RS_DAMPEN_NONE:
        for (int64_t i = 0; i < n; i++)
            d[i] = 1;
        break;
    }
}
