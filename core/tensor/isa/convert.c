#include "tensor/convert.h"

#include "base/bytes.h"
#include "tensor/gguf_blocks.h"
#include "tensor/half.h"

static void bf16_to_f32(const uint16_t *restrict src, float *restrict dst, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dst[i] = rs_bf16_widen(src[i]);
}

static void f16_to_f32(const uint16_t *restrict src, float *restrict dst, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dst[i] = rs_f16_widen(src[i]);
}

static void f32_to_bf16(const float *restrict src, uint16_t *restrict dst, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dst[i] = rs_bf16_round(src[i]);
}

static void f32_to_f16(const float *restrict src, uint16_t *restrict dst, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        dst[i] = rs_f16_round(src[i]);
}

static float half_at(const uint8_t *p)
{
    return rs_f16_widen(rs_le16(p));
}

static void q8_0(const void *blocks, float *restrict y, int64_t n_blocks)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n_blocks; i++, b += 34, y += 32) {
        float d = half_at(b + RS_Q8_0_D);
        const int8_t *q = (const int8_t *)b + RS_Q8_0_QS;
        for (int j = 0; j < 32; j++)
            y[j] = d * (float)q[j];
    }
}

static void q4_0(const void *blocks, float *restrict y, int64_t n_blocks)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n_blocks; i++, b += 18, y += 32) {
        float d = half_at(b + RS_Q4_0_D);
        const uint8_t *q = b + RS_Q4_0_QS;
        for (int j = 0; j < 16; j++)
            y[j] = d * (float)((q[j] & 15) - 8);
        for (int j = 0; j < 16; j++)
            y[j + 16] = d * (float)((q[j] >> 4) - 8);
    }
}

/* The 32 five-bit codes that q5_0 and q5_1 share. */
static void codes_q5(const uint8_t *q, uint32_t high, int32_t *restrict code)
{
    for (int j = 0; j < 16; j++)
        code[j] = (int32_t)((q[j] & 15) | (high >> j & 1) << 4);
    for (int j = 0; j < 16; j++)
        code[j + 16] = (int32_t)(q[j] >> 4 | (high >> (j + 16) & 1) << 4);
}

static void q5_0(const void *blocks, float *restrict y, int64_t n_blocks)
{
    const uint8_t *b = blocks;
    int32_t code[32];
    for (int64_t i = 0; i < n_blocks; i++, b += 22, y += 32) {
        float d = half_at(b + RS_Q5_0_D);
        codes_q5(b + RS_Q5_0_QS, rs_le32(b + RS_Q5_0_QH), code);
        for (int j = 0; j < 32; j++)
            y[j] = d * (float)(code[j] - 16);
    }
}

static void q5_1(const void *blocks, float *restrict y, int64_t n_blocks)
{
    const uint8_t *b = blocks;
    int32_t code[32];
    for (int64_t i = 0; i < n_blocks; i++, b += 24, y += 32) {
        float d = half_at(b + RS_Q5_1_D), m = half_at(b + RS_Q5_1_M);
        codes_q5(b + RS_Q5_1_QS, rs_le32(b + RS_Q5_1_QH), code);
        for (int j = 0; j < 32; j++)
            y[j] = d * (float)code[j] + m;
    }
}

static void q4_k(const void *blocks, float *restrict y, int64_t n_blocks)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n_blocks; i++, b += 144) {
        float d = half_at(b + RS_Q4_K_D), dmin = half_at(b + RS_Q4_K_DMIN);
        const uint8_t *q = b + RS_Q4_K_QS;
        for (int k = 0; k < 8; k++, y += 32) {
            int sc, mn, shift = k % 2 * 4;
            rs_k_scale_min(b + RS_Q4_K_SCALES, k, &sc, &mn);
            float scale = d * (float)sc, least = dmin * (float)mn;
            for (int l = 0; l < 32; l++)
                y[l] = scale * (float)(q[l] >> shift & 15) - least;
            if (k % 2 == 1) q += 32;
        }
    }
}

static void q5_k(const void *blocks, float *restrict y, int64_t n_blocks)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n_blocks; i++, b += 176) {
        float d = half_at(b + RS_Q5_K_D), dmin = half_at(b + RS_Q5_K_DMIN);
        const uint8_t *q = b + RS_Q5_K_QS, *high = b + RS_Q5_K_QH;
        for (int k = 0; k < 8; k++, y += 32) {
            int sc, mn, shift = k % 2 * 4;
            rs_k_scale_min(b + RS_Q5_K_SCALES, k, &sc, &mn);
            float scale = d * (float)sc, least = dmin * (float)mn;
            for (int l = 0; l < 32; l++) {
                int code = (q[l] >> shift & 15) | (high[l] >> k & 1) << 4;
                y[l] = scale * (float)code - least;
            }
            if (k % 2 == 1) q += 32;
        }
    }
}

/* 32 values of q6_k with the scales of their two halves. */
static void group_q6(const uint8_t *low, int low_shift, const uint8_t *high,
                     int high_shift, float d, const int8_t *sc, float *restrict y)
{
    float scale[2] = {d * (float)sc[0], d * (float)sc[1]};
    int32_t code[32];
    for (int l = 0; l < 32; l++)
        code[l] = ((low[l] >> low_shift & 15) | (high[l] >> high_shift & 3) << 4) - 32;
    for (int l = 0; l < 16; l++)
        y[l] = scale[0] * (float)code[l];
    for (int l = 16; l < 32; l++)
        y[l] = scale[1] * (float)code[l];
}

static void q6_k(const void *blocks, float *restrict y, int64_t n_blocks)
{
    const uint8_t *b = blocks;
    for (int64_t i = 0; i < n_blocks; i++, b += 210) {
        float d = half_at(b + RS_Q6_K_D);
        for (int h = 0; h < 2; h++) {
            const uint8_t *low = b + RS_Q6_K_QL + 64 * h, *high = b + RS_Q6_K_QH + 32 * h;
            const int8_t *sc = (const int8_t *)b + RS_Q6_K_SCALES + 8 * h;
            for (int g = 0; g < 4; g++, y += 32)
                group_q6(low + g % 2 * 32, g / 2 * 4, high, 2 * g, d, sc + 2 * g, y);
        }
    }
}

extern const rs_convert_kernels RS_ISA_TABLE(rs_convert_kernels);

const rs_convert_kernels RS_ISA_TABLE(rs_convert_kernels) = {
    .bf16_to_f32 = bf16_to_f32,
    .f16_to_f32 = f16_to_f32,
    .f32_to_bf16 = f32_to_bf16,
    .f32_to_f16 = f32_to_f16,
    .dequantise =
        {
            [RS_DTYPE_Q8_0] = q8_0,
            [RS_DTYPE_Q4_0] = q4_0,
            [RS_DTYPE_Q5_0] = q5_0,
            [RS_DTYPE_Q5_1] = q5_1,
            [RS_DTYPE_Q4_K] = q4_k,
            [RS_DTYPE_Q5_K] = q5_k,
            [RS_DTYPE_Q6_K] = q6_k,
        },
};
