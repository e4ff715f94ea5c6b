#include "tensor/quantise.h"

#include "tensor/convert.h"
#include "tensor/gguf_blocks.h"

#include <math.h>

enum { BLOCK = 32, HALF_INFINITY = 0x7c00 };

bool rs_quantise_takes(rs_dtype d)
{
    return d == RS_DTYPE_Q8_0 || d == RS_DTYPE_Q4_0;
}

/* Stores d as a half; false if that is infinite. */
static bool put_scale(uint8_t *at, float d)
{
    uint16_t half = rs_f16_from_f32(d);
    at[0] = (uint8_t)half;
    at[1] = (uint8_t)(half >> 8);
    return (half & HALF_INFINITY) != HALF_INFINITY;
}

static float inverse(float d)
{
    float id = d != 0 ? 1.0f / d : 0;
    return isfinite(id) ? id : 0;
}

/* Halves away from zero; what is cut off is exact. */
static int nearest(float x)
{
    int whole = (int)x;
    float rest = x - (float)whole;
    return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

static bool block_q8_0(const float *x, uint8_t *block)
{
    float most = 0;
    for (int i = 0; i < BLOCK; i++)
        if (fabsf(x[i]) > most) most = fabsf(x[i]);
    float d = most / 127, id = inverse(d);
    for (int i = 0; i < BLOCK; i++)
        block[RS_Q8_0_QS + i] = (uint8_t)(int8_t)nearest(x[i] * id);
    return put_scale(block + RS_Q8_0_D, d);
}

static int code_q4_0(float x, float id)
{
    int code = (int)(x * id + 8.5f);
    return code < 15 ? code : 15;
}

static bool block_q4_0(const float *x, uint8_t *block)
{
    float most = 0, m = 0;
    for (int i = 0; i < BLOCK; i++)
        if (fabsf(x[i]) > most) most = fabsf(x[i]), m = x[i];
    float d = m / -8, id = inverse(d);
    for (int i = 0; i < BLOCK / 2; i++)
        block[RS_Q4_0_QS + i] =
            (uint8_t)(code_q4_0(x[i], id) | code_q4_0(x[i + BLOCK / 2], id) << 4);
    return put_scale(block + RS_Q4_0_D, d);
}

bool rs_quantise(rs_dtype d, const float *src, void *blocks, int64_t n)
{
    uint8_t *to = blocks;
    int bytes = rs_dtype_of(d)->block_bytes;
    bool ok = true;
    for (int64_t i = 0; i < n; i += BLOCK, to += bytes)
        ok &= d == RS_DTYPE_Q8_0 ? block_q8_0(src + i, to) : block_q4_0(src + i, to);
    return ok;
}
