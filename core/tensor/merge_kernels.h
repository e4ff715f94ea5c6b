/* merge_kernels.h - the inner loops of merging: elementwise arithmetic and reductions.
 *
 * Every instruction set gives the same bits: float32 arithmetic in the order written here,
 * nothing fused except in lowrank_exact, where it makes no difference; reductions in float64
 * over 16 lanes (element i goes to lane i mod 16), lanes added pairwise at the end. Arrays
 * do not overlap unless said; n may be any number. No alignment is needed. */
#ifndef RS_MERGE_KERNELS_H
#define RS_MERGE_KERNELS_H

#include "tensor/kernels.h"

#include <stdbool.h>
#include <stdint.h>

struct rs_merge_kernels {
    /* out[i, j] = sum over k, in order, of b[i, k] a[k, j]: rows x n, rank terms. Leading
     * dimensions lda, ldb, ldo. lowrank rounds each product; lowrank_exact may fuse, for
     * factors whose products are exact in float32 (both bfloat16, no underflow). */
    void (*lowrank)(const float *a, int64_t lda, const float *b, int64_t ldb, int rank,
                    float *out, int64_t ldo, int64_t rows, int64_t n);
    void (*lowrank_exact)(const float *a, int64_t lda, const float *b, int64_t ldb,
                          int rank, float *out, int64_t ldo, int64_t rows, int64_t n);

    void (*scale)(float c, const float *x, float *y, int64_t n); /* y = c x; y may be x */
    void (*add_scaled)(float c, const float *x, float *y, int64_t n); /* y += c x */
    void (*subtract)(const float *a, const float *b, float *y,
                     int64_t n); /* y may be a */
    /* y = w + (gain d) x, d NULL: 1; with clamp the bracket is cut to [0, 1]. y may be x. */
    void (*apply)(const float *w, float gain, const float *d, bool clamp, const float *x,
                  float *y, int64_t n);
    void (*multiply)(const float *a, const float *b, float *y,
                     int64_t n); /* y may be a */
    void (*lerp)(const float *a, const float *b, float t, float *y,
                 int64_t n); /* a + t(b - a) */
    void (*blend)(const float *a, const float *b, float ca, float cb, float *y,
                  int64_t n);

    /* Fisher normalisers: p = c F; p = min(1, c F); p = (ln F - lo) c, 0 where F is 0. */
    void (*norm_scale)(float c, const float *f, float *p, int64_t n);
    void (*norm_min1)(float c, const float *f, float *p, int64_t n);
    void (*norm_log)(double lo, double c, const float *f, float *p, int64_t n);
    /* Dampening: 1/(1 + lambda p); (1 - a p) keep cut to [0, 1]; h/(h + lambda f), 1 where that
     * is 0/0; 0 where f >= cut, else 1. d may be p or f. */
    void (*damp_ewc)(float lambda, const float *p, float *d, int64_t n);
    void (*damp_one_minus)(float a, float keep, const float *p, float *d, int64_t n);
    void (*damp_task)(float lambda, const float *f, const float *h, float *d, int64_t n);
    void (*damp_hard)(float cut, const float *f, float *d, int64_t n);

    double (*sum)(const float *x, int64_t n);
    double (*dot)(const float *a, const float *b, int64_t n);
    double (*dot3)(const float *f, const float *a, const float *b,
                   int64_t n); /* f (a b) */
    /* sums of (a - b)^2, (a + b)^2, (a - b)(a + b) in float64: what slerp needs. */
    void (*angle_sums)(const float *a, const float *b, int64_t n, double out[3]);
    float (*largest)(const float *x, int64_t n); /* 0 for n = 0; NaN are passed over */
    /* Is there a NaN or an infinity? (and for 16-bit numbers as stored) */
    bool (*not_finite)(const float *x, int64_t n);
    bool (*not_finite_bf16)(const uint16_t *x, int64_t n);
    bool (*not_finite_f16)(const uint16_t *x, int64_t n);
    bool (*negative)(const float *x, int64_t n); /* is any below 0? -0 is not */
    int64_t (*differing16)(const uint16_t *a, const uint16_t *b, int64_t n);
    int64_t (*differing32)(const uint32_t *a, const uint32_t *b, int64_t n);
};
typedef struct rs_merge_kernels rs_merge_kernels;

/* ln F for F > 0, as norm_log computes it: float64 within 2e-15 relative, the same bits
 * everywhere (libm differs between processors). */
double rs_merge_log(float f);

#endif
