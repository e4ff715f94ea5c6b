/* products.h - products of small matrices summed in float64, for what a merge's bytes depend
 * on: the same bits for every instruction set, unlike BLAS.
 *
 *     c[i, j] += sum over t, in order, of a[i, t] b[t, j]        i < rows, j < n, t < steps
 *
 * with a[i, t] at a[i * a_row + t * a_step], so that a may be transposed; b [steps, n] and c
 * [rows, n] are row-major with leading dimensions ldb, ldc. The first product is exact in
 * float64 (24 bits by 24 bits), so that fusing it with the sum changes nothing; in the others
 * each product is rounded once. Where a call is cut into ranges of rows or of n does not show,
 * nor where steps are cut into calls that follow each other. */
#ifndef RS_PRODUCTS_H
#define RS_PRODUCTS_H

#include "tensor/kernels.h"

#include <stdint.h>

struct rs_product_kernels {
    void (*ff)(const float *a, int64_t a_row, int64_t a_step, const float *b, int64_t ldb,
               double *c, int64_t ldc, int64_t rows, int64_t n, int64_t steps);
    void (*df)(const double *a, int64_t a_row, int64_t a_step, const float *b,
               int64_t ldb, double *c, int64_t ldc, int64_t rows, int64_t n,
               int64_t steps);
    void (*fd)(const float *a, int64_t a_row, int64_t a_step, const double *b,
               int64_t ldb, double *c, int64_t ldc, int64_t rows, int64_t n,
               int64_t steps);
};
typedef struct rs_product_kernels rs_product_kernels;

#endif
