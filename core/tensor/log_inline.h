/* log_inline.h - the natural logarithm of a positive float in float64, without libm, whose
 * results differ between processors. F = m 2^e with m in [sqrt(1/2), sqrt(2)); with
 * s = (m - 1)/(m + 1), ln m = 2 (s + s^3/3 + s^5/5 ...), cut where a term is under 2e-16.
 * Zero and negative numbers give something finite that the caller throws away. */
#ifndef RS_LOG_INLINE_H
#define RS_LOG_INLINE_H

#include <stdint.h>
#include <string.h>

/* F = mantissa 2^*exponent. Selections go through masks, not branches, so that loops over
 * this become vectors. */
static inline float rs_log_split(float f, int32_t *exponent)
{
    uint32_t bits, factor_bits;
    float factor, mantissa;
    memcpy(&bits, &f, sizeof bits);
    uint32_t subnormal = 0u - (uint32_t)(bits < 0x00800000u);
    factor_bits = 0x3f800000u + (subnormal & 0x20000000u); /* 1 or 2^64 */
    memcpy(&factor, &factor_bits, sizeof factor);
    float scaled = f * factor;
    memcpy(&bits, &scaled, sizeof bits);
    /* The offset, the bits of sqrt(1/2), makes the exponent round there. */
    int32_t e = (int32_t)(bits - 0x3f3504f3u) >> 23;
    bits -= (uint32_t)e << 23;
    memcpy(&mantissa, &bits, sizeof mantissa);
    *exponent = e - (int32_t)(subnormal & 64u);
    return mantissa;
}

static inline double rs_log_join(float mantissa, int32_t exponent)
{
    double m = (double)mantissa;
    double s = (m - 1.0) / (m + 1.0), z = s * s;
    double t = 1.0 / 19.0;
    t = t * z + 1.0 / 17.0;
    t = t * z + 1.0 / 15.0;
    t = t * z + 1.0 / 13.0;
    t = t * z + 1.0 / 11.0;
    t = t * z + 1.0 / 9.0;
    t = t * z + 1.0 / 7.0;
    t = t * z + 1.0 / 5.0;
    t = t * z + 1.0 / 3.0;
    t = t * z + 1.0;
    return (double)exponent * 0.69314718055994530942 + 2.0 * s * t;
}

#endif
