/* half.h - 16-bit floats one at a time, inline: what the kernels of every instruction set
 * and the scalar functions of convert.h share. Integer steps and exact float steps only, so
 * any compilation gives the same bits. bfloat16 widens bit by bit; a half NaN is made quiet
 * as processors do. Rounding is to nearest, ties to even. */
#ifndef RS_HALF_H
#define RS_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t rs_bits_of(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static inline float rs_float_of(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static inline float rs_bf16_widen(uint16_t h)
{
    return rs_float_of((uint32_t)h << 16);
}

static inline uint16_t rs_bf16_round(float v)
{
    uint32_t bits = rs_bits_of(v);
    uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    uint32_t quiet = bits >> 16 | 0x40u;
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

/* A tiny half is an integer times 2^-24; masks instead of branches let loops vectorise. */
static inline float rs_f16_widen(uint16_t h)
{
    uint32_t em = h & 0x7fffu, sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t is_tiny = 0u - (uint32_t)(em < 0x400u);
    uint32_t is_special = 0u - (uint32_t)(em >= 0x7c00u);
    uint32_t is_nan = 0u - (uint32_t)(em > 0x7c00u);
    uint32_t tiny = rs_bits_of((float)(int32_t)em * 0x1p-24f);
    uint32_t other = (em << 13) + (112u << 23) + (is_special & 112u << 23);
    uint32_t bits = (tiny & is_tiny) | (other & ~is_tiny) | (is_nan & 0x400000u);
    return rs_float_of(bits | sign);
}

static inline uint16_t rs_f16_round(float v)
{
    uint32_t bits = rs_bits_of(v), mag = bits & 0x7fffffffu, sign = bits >> 16 & 0x8000u;
    uint32_t shifted = mag - (112u << 23);
    uint32_t normal = (shifted + 0xfffu + (shifted >> 13 & 1u)) >> 13;
    /* Beside 0.5 one unit in the last place is 2^-24, the least half: the sum rounds. */
    uint32_t tiny =
        rs_bits_of(rs_float_of(mag < 0x38800000u ? mag : 0u) + 0.5f) - 0x3f000000u;
    uint32_t nan = 0x7e00u | (mag >> 13 & 0x3ffu);
    uint32_t r = mag < 0x38800000u ? tiny : mag < 0x47800000u ? normal : 0x7c00u;
    return (uint16_t)((mag > 0x7f800000u ? nan : r) | sign);
}

#endif
