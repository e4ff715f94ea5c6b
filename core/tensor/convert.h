/* convert.h - stored numbers to float32 and back.
 *
 * Widening is exact (BF16, F16, integers to 24 bits) or rounds once (F64, larger integers).
 * Blocks are dequantised in the plain order of operations of the GGUF reference, each step
 * rounded to float32, nothing fused: q8_0 d*q; q4_0 d*(q-8); q5_0 d*(q-16); q5_1 d*q+m;
 * q4_k, q5_k (d*sc)*q - (dmin*mn); q6_k (d*sc)*q. Rounding is to nearest, ties to even, once,
 * straight from float32. All instruction sets give the same bits. NaN stays NaN (made quiet,
 * sign and upper payload kept), infinities stay. */
#ifndef RS_CONVERT_H
#define RS_CONVERT_H

#include "base/status.h"
#include "tensor/dtype.h"
#include "tensor/kernels.h"

#include <stdint.h>

typedef struct rs_convert_kernels {
    void (*bf16_to_f32)(const uint16_t *src, float *dst, int64_t n);
    void (*f16_to_f32)(const uint16_t *src, float *dst, int64_t n);
    void (*f32_to_bf16)(const float *src, uint16_t *dst, int64_t n);
    void (*f32_to_f16)(const float *src, uint16_t *dst, int64_t n);
    /* n_blocks whole blocks of a quantised type, indexed by dtype; NULL for plain types */
    void (*dequantise[RS_N_DTYPES])(const void *blocks, float *dst, int64_t n_blocks);
} rs_convert_kernels;

/* Elements [0, n) of plain or whole-block data, to float32. d must be numeric and n a
 * multiple of the block. src needs no alignment beyond 2 bytes for 16-bit types. */
void rs_to_f32(const rs_kernels *k, rs_dtype d, const void *src, float *dst, int64_t n);
/* To F32, BF16 or F16. */
void rs_from_f32(const rs_kernels *k, rs_dtype d, const float *src, void *dst, int64_t n);

uint16_t rs_bf16_from_f32(float v);
float rs_bf16_to_f32(uint16_t v);
uint16_t rs_f16_from_f32(float v);
float rs_f16_to_f32(uint16_t v);

#endif
