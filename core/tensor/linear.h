/* linear.h - stored weights times float32 activations, and the small steps between.
 *
 * A matrix stays in its stored dtype and is widened on the way into the registers. What a
 * dot product gives is defined once for all dtypes: the row is widened exactly as rs_to_f32
 * does, element k is multiplied into partial sum k % 32 in rising order of k, and the 32 sums
 * are joined pairwise (16 apart, then 8, 4, 2, 1). So for one instruction set a product has the
 * same bits whatever the dtype's path, the number of rows, of columns of the other operand
 * (tokens, sequences) and of threads. Instruction sets differ in the last bits: where there
 * is a fused multiply-add it is used. Products of many tokens at once (RS_LINEAR_FAST) go
 * through BLAS and agree within rounding.
 *
 * Elementwise functions have no such freedom: they give the same bits everywhere, up to
 * about 2e-7 relative from the exact function. */
#ifndef RS_LINEAR_H
#define RS_LINEAR_H

#include "tensor/dtype.h"
#include "tensor/runtime.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct rs_matrix {
    rs_dtype dtype;
    int64_t rows, cols; /* [out, in] row-major, blocks along a row */
    const void *data;   /* NULL: absent. Aligned to the element's size (blocks: to 1) */
} rs_matrix;

typedef struct rs_linear_kernels {
    /* y[r] = row r of w . x; rows lie row_bytes apart. x [n_cols] */
    void (*matvec)(rs_dtype d, const void *w, int64_t row_bytes, int64_t n_rows,
                   int64_t n_cols, const float *x, float *y);
    /* y[i * ldy + r] = row r of w . row i of x; w, x float32 with rows ldw, ldx apart */
    void (*matmul)(const float *w, int64_t ldw, int64_t n_rows, int64_t n_cols,
                   const float *x, int64_t ldx, int64_t n, float *y, int64_t ldy);
    /* y[i * ldy + j] = sum over rows t of a[i * lda + t] v[t * ldv + j], t rising */
    void (*mix_rows)(const float *v, int64_t ldv, int64_t n_rows, int64_t n_cols,
                     const float *a, int64_t lda, int64_t n, float *y, int64_t ldy);
    /* y = x / sqrt(mean x^2 + eps) * w; w NULL: 1. y may be x. The mean is in double. */
    void (*rms_norm)(const float *x, const float *w, double eps, float *y, int64_t n);
    void (*gelu_mul)(float *gate, const float *other,
                     int64_t n); /* gate = gelu(gate) other */
    void (*silu_mul)(float *gate, const float *other, int64_t n); /* likewise */
    /* the way back through gelu_mul, with gate as it was before: dgate, dother of dy */
    void (*gelu_back)(const float *gate, const float *other, const float *dy, float *dgate,
                      float *dother, int64_t n);
    void (*silu_back)(const float *gate, const float *other, const float *dy, float *dgate,
                      float *dother, int64_t n);
    void (*softcap)(float *x, float cap, int64_t n); /* x = cap tanh(x / cap) */
    float (*max)(const float *x, int64_t n);
    /* x = exp(x - top), returns the sum in double's precision */
    double (*exp_sum)(float *x, float top, int64_t n);
    void (*scale)(float *x, float by, int64_t n);
    void (*add)(float *x, const float *y, int64_t n); /* x += y */
    void (*add_squares)(float *x, const float *y, int64_t n); /* x += y^2 */
} rs_linear_kernels;

/* May this dtype be multiplied? (f32, f16, bf16, all GGUF blocks) */
bool rs_linear_takes(rs_dtype d);

/* One product of a run: y [n, w->rows] = x [n, w->cols] w^T, rows ldx and ldy apart. */
typedef struct rs_product {
    const rs_matrix *w;
    const float *x;
    float *y;
    int64_t ldx, ldy;
    float cap; /* > 0: softcap on the result */
} rs_product;

typedef enum rs_linear_mode {
    RS_LINEAR_FIXED, /* the order of sums defined above, for any n */
    RS_LINEAR_FAST,  /* BLAS where n is large enough to pay */
} rs_linear_mode;

/* Runs `count` products of n tokens with the runtime's threads. Widened rows lie in the
 * runtime's scratch; that it does not fit is the only error. */
rs_status rs_linear(const rs_runtime *rt, rs_linear_mode mode, const rs_product *products,
                    int count, int64_t n, rs_err *err) RS_MUST_USE;

/* Rows [r, r + n) of m in float32, [n, cols]: where they lie, or widened into `to`. */
const float *rs_matrix_rows(const rs_kernels *k, const rs_matrix *m, int64_t r, int64_t n,
                            float *to);

/* Row r of the table, widened and multiplied by scale. y [cols] */
void rs_linear_row(const rs_kernels *k, const rs_matrix *table, int64_t r, float scale,
                   float *y);

#endif
