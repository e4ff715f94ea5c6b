#include "tensor/convert.h"

#include "tensor/half.h"

#include <math.h>
#include <string.h>

uint16_t rs_bf16_from_f32(float v)
{
    return rs_bf16_round(v);
}
float rs_bf16_to_f32(uint16_t v)
{
    return rs_bf16_widen(v);
}
uint16_t rs_f16_from_f32(float v)
{
    return rs_f16_round(v);
}
float rs_f16_to_f32(uint16_t v)
{
    return rs_f16_widen(v);
}

/* Types that need no speed: read one by one, since src may lie anywhere. */
#define WIDEN(type, src, dst, n)                                                         \
    for (int64_t i = 0; i < (n); i++) {                                                  \
        type v;                                                                          \
        memcpy(&v, (const char *)(src) + i * (int64_t)sizeof v, sizeof v);               \
        (dst)[i] = (float)v;                                                             \
    }

static void widen_plain(rs_dtype d, const void *src, float *dst, int64_t n)
{
    switch (d) {
    case RS_DTYPE_F64:
        WIDEN(double, src, dst, n) break;
    case RS_DTYPE_I64:
        WIDEN(int64_t, src, dst, n) break;
    case RS_DTYPE_I32:
        WIDEN(int32_t, src, dst, n) break;
    case RS_DTYPE_I16:
        WIDEN(int16_t, src, dst, n) break;
    case RS_DTYPE_I8:
        WIDEN(int8_t, src, dst, n) break;
    case RS_DTYPE_U64:
        WIDEN(uint64_t, src, dst, n) break;
    case RS_DTYPE_U32:
        WIDEN(uint32_t, src, dst, n) break;
    case RS_DTYPE_U16:
        WIDEN(uint16_t, src, dst, n) break;
    case RS_DTYPE_U8:
        WIDEN(uint8_t, src, dst, n) break;
    case RS_DTYPE_BOOL:
        for (int64_t i = 0; i < n; i++)
            dst[i] = ((const uint8_t *)src)[i] ? 1.0f : 0.0f;
        break;
    default:
        memset(dst, 0, (size_t)n * sizeof *dst); /* not numeric: callers refuse it */
    }
}

void rs_to_f32(const rs_kernels *k, rs_dtype d, const void *src, float *dst, int64_t n)
{
    const rs_convert_kernels *c = k->convert;
    if (n <= 0) return;
    if (d == RS_DTYPE_F32)
        memcpy(dst, src, (size_t)n * sizeof *dst);
    else if (d == RS_DTYPE_BF16)
        c->bf16_to_f32(src, dst, n);
    else if (d == RS_DTYPE_F16)
        c->f16_to_f32(src, dst, n);
    else if (c->dequantise[d])
        c->dequantise[d](src, dst, n / rs_dtype_of(d)->block);
    else
        widen_plain(d, src, dst, n);
}

void rs_from_f32(const rs_kernels *k, rs_dtype d, const float *src, void *dst, int64_t n)
{
    if (n <= 0) return;
    if (d == RS_DTYPE_F32)
        memcpy(dst, src, (size_t)n * sizeof *src);
    else if (d == RS_DTYPE_BF16)
        k->convert->f32_to_bf16(src, dst, n);
    else if (d == RS_DTYPE_F16)
        k->convert->f32_to_f16(src, dst, n);
}
