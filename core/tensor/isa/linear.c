#include "tensor/linear.h"

#include "tensor/convert.h"
#include "tensor/half.h"

#include <math.h>
#include <string.h>

extern const rs_convert_kernels RS_ISA_TABLE(rs_convert_kernels);
extern const rs_linear_kernels RS_ISA_TABLE(rs_linear_kernels);

enum { LANES = 32 }; /* partial sums of a dot product */

#ifdef __AVX2__
#include "tensor/isa/linear_avx2.h"
#else
#include "tensor/isa/linear_plain.h"
#endif

/* --- elementwise --- */

static void rms_norm(const float *x, const float *w, double eps, float *y, int64_t n)
{
    double s[8] = {0}, sum = 0;
    int64_t k = 0;
    for (; k + 8 <= n; k += 8)
        for (int i = 0; i < 8; i++)
            s[i] += (double)x[k + i] * (double)x[k + i];
    for (; k < n; k++)
        s[0] += (double)x[k] * (double)x[k];
    for (int i = 0; i < 8; i++)
        sum += s[i];
    float by = (float)(1 / sqrt(sum / (double)n + eps));
    if (w)
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] * by * w[i];
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] * by;
}

/* exp by 2^n times a Taylor polynomial on [-ln 2 / 2, ln 2 / 2] (its error 5e-9), with ln 2 in
 * two parts so that the rest is exact. Arguments are held to [-88, 89], whose ends give 0 and
 * infinity, and NaN is put back, by integer steps: comparisons of floats would keep compilers
 * from making this a vector loop. */
static inline float exp_of(float v)
{
    uint32_t bits = rs_bits_of(v), sign = bits & 0x80000000u;
    int32_t mag = (int32_t)(bits & 0x7fffffffu);
    int32_t limit = 0x42b20000 - (int32_t)(sign >> 14); /* 89, or 88 below zero */
    uint32_t nan = mag > 0x7f800000 ? 0x7fc00000u : 0u;
    float x = rs_float_of((uint32_t)(mag < limit ? mag : limit) | sign);
    float shifted = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: rounds to an integer */
    float n = shifted - 12582912.0f;
    float f = x - n * 0.693359375f;
    f = f - n * -2.12194440e-4f;
    float p = 1.0f / 5040;
    p = p * f + 1.0f / 720;
    p = p * f + 1.0f / 120;
    p = p * f + 1.0f / 24;
    p = p * f + 1.0f / 6;
    p = p * f + 0.5f;
    p = p * f + 1.0f;
    p = p * f + 1.0f;
    float power = rs_float_of((rs_bits_of(shifted) + 127u) << 23);
    return rs_float_of(rs_bits_of(p * power) | nan);
}

/* gelu_tanh(z) = z / (1 + exp(-2 u)), u = sqrt(2 / pi) (z + 0.044715 z^3) */
static void gelu_mul(float *gate, const float *other, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float z = gate[i];
        float u = -1.59576912f * (z + 0.044715f * z * z * z);
        gate[i] = z / (1.0f + exp_of(u)) * other[i];
    }
}

/* silu(z) = z / (1 + exp(-z)) */
static void silu_mul(float *gate, const float *other, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        gate[i] = gate[i] / (1.0f + exp_of(-gate[i])) * other[i];
}

/* With s = 1 / (1 + exp(-2 u)): gelu' = s + z s (1 - s) 2 u' */
static void gelu_back(const float *gate, const float *other, const float *dy, float *dgate,
                      float *dother, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float z = gate[i], zz = z * z;
        float s = 1.0f / (1.0f + exp_of(-1.59576912f * (z + 0.044715f * zz * z)));
        float slope = s + z * s * (1.0f - s) * 1.59576912f * (1.0f + 0.134145f * zz);
        dgate[i] = dy[i] * other[i] * slope;
        dother[i] = dy[i] * z * s;
    }
}

/* silu' = s + z s (1 - s) */
static void silu_back(const float *gate, const float *other, const float *dy, float *dgate,
                      float *dother, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float z = gate[i], s = 1.0f / (1.0f + exp_of(-z));
        dgate[i] = dy[i] * other[i] * (s + z * s * (1.0f - s));
        dother[i] = dy[i] * z * s;
    }
}

static void softcap(float *x, float cap, int64_t n)
{
    float by = 1 / cap;
    for (int64_t i = 0; i < n; i++) {
        float v = x[i] * by;
        float e = exp_of(-2.0f * fabsf(v));
        x[i] = copysignf(cap * ((1.0f - e) / (1.0f + e)), v);
    }
}

static float max_of(const float *x, int64_t n)
{
    float m[8], best = -INFINITY;
    for (int i = 0; i < 8; i++)
        m[i] = -INFINITY;
    int64_t k = 0;
    for (; k + 8 <= n; k += 8)
        for (int i = 0; i < 8; i++)
            m[i] = x[k + i] > m[i] ? x[k + i] : m[i];
    for (; k < n; k++)
        m[0] = x[k] > m[0] ? x[k] : m[0];
    for (int i = 0; i < 8; i++)
        best = m[i] > best ? m[i] : best;
    return best;
}

static double exp_sum(float *x, float top, int64_t n)
{
    double s[8] = {0}, sum = 0;
    for (int64_t i = 0; i < n; i++)
        x[i] = exp_of(x[i] - top);
    int64_t k = 0;
    for (; k + 8 <= n; k += 8)
        for (int i = 0; i < 8; i++)
            s[i] += (double)x[k + i];
    for (; k < n; k++)
        s[0] += (double)x[k];
    for (int i = 0; i < 8; i++)
        sum += s[i];
    return sum;
}

static void scale(float *x, float by, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] *= by;
}

static void add(float *x, const float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] += y[i];
}

static void add_squares(float *x, const float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] += y[i] * y[i];
}

const rs_linear_kernels RS_ISA_TABLE(rs_linear_kernels) = {
    .matvec = matvec,
    .matmul = matmul,
    .mix_rows = mix_rows,
    .rms_norm = rms_norm,
    .gelu_mul = gelu_mul,
    .silu_mul = silu_mul,
    .gelu_back = gelu_back,
    .silu_back = silu_back,
    .softcap = softcap,
    .max = max_of,
    .exp_sum = exp_sum,
    .scale = scale,
    .add = add,
    .add_squares = add_squares,
};
