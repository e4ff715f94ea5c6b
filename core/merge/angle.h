/* angle.h - the geometry of slerp: angles between vectors and the coefficients they give.
 *
 * For a, b with u = a/|a|, v = b/|b|: theta = 2 atan2(|u - v|, |u + v|) (acos would lose half
 * the digits where vectors are close, as merged weights are). All that is needed of a and b
 * are three sums in float64: P = sum (a - b)^2, Q = sum (a + b)^2, R = sum (a - b)(a + b):
 *     |a|^2 = (P + Q)/4 + R/2     |b|^2 = (P + Q)/4 - R/2     |a| - |b| = R/(|a| + |b|)
 *     |u - v|^2 |a||b| = P - (|a| - |b|)^2    |u + v|^2 |a||b| = Q - (|a| - |b|)^2
 * Sine and arc tangent are our own: libm's last bits differ between processors, and the bytes
 * of a merge must not. Source of slerp: Shoemake 1985. */
#ifndef RS_ANGLE_H
#define RS_ANGLE_H

#include "tensor/merge_kernels.h"

typedef struct rs_angle {
    double norm_a, norm_b;
    double theta; /* 0 to pi; 0 where a norm is 0 */
} rs_angle;

rs_angle rs_angle_of_sums(double minus, double plus, double mixed);

typedef struct rs_slerp {
    double c_a, c_b;
    bool is_lerp;  /* c_a = 1 - t, c_b = t, by rule */
    bool opposite; /* theta so near pi that there is no way between a and b */
} rs_slerp;

/* norm_lerp: the result gets the norm (1 - t)|a| + t|b|; else the coefficients apply to a and
 * b as they are. lerp where a norm is 0 or sin theta < flat_below. */
rs_slerp rs_slerp_of(const rs_angle *angle, double t, bool norm_lerp, double flat_below);

/* The three sums over arrays, in blocks of 4,096 elements added in order. */
void rs_angle_sums(const rs_merge_kernels *k, const float *a, const float *b, int64_t n,
                   double sums[3]);
/* y of one vector (y may be a). */
void rs_slerp_apply(const rs_merge_kernels *k, const rs_slerp *s, double t,
                    const float *a, const float *b, float *y, int64_t n);

double rs_sin(double x);             /* |x| up to some thousand */
double rs_atan2(double y, double x); /* y, x >= 0 */

#endif
