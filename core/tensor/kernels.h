/* kernels.h - inner loops, compiled once per instruction set and picked at start.
 *
 * A file of core/tensor/isa/ is plain C loops (with an intrinsics variant of one loop where a
 * measurement asks for it), compiled for base, AVX2+FMA and AVX-512. Each build fills one
 * const table named by RS_ISA_TABLE. rs_kernels gathers them. Which rules hold is said with
 * each table: merge and product kernels give the same bits for every instruction set, linear
 * kernels (inference) are compared with tolerances. */
#ifndef RS_KERNELS_H
#define RS_KERNELS_H

#include "base/status.h"

struct rs_convert_kernels; /* convert.h: widening and rounding */
struct rs_merge_kernels;   /* merge_kernels.h: elementwise arithmetic and reductions */
struct rs_product_kernels; /* products.h: small products summed in float64 */
struct rs_linear_kernels;  /* linear.h: dot products of stored weights and activations */

typedef struct rs_kernels {
    const char *isa; /* "base", "avx2", "avx512" */
    const struct rs_convert_kernels *convert;
    const struct rs_merge_kernels *merge;
    const struct rs_product_kernels *product;
    const struct rs_linear_kernels *linear;
} rs_kernels;

/* isa NULL or "": the best that this processor has. A name that this build or processor
 * lacks is RS_E_UNSUPPORTED. The table is constant and needs no freeing. */
rs_status rs_kernels_pick(const char *isa, const rs_kernels **out, rs_err *err) RS_MUST_USE;

/* For core/tensor/isa/ files: rs_<name>_<isa>, the table that this build defines. */
#define RS_ISA_JOIN2(a, b) a##_##b
#define RS_ISA_JOIN(a, b) RS_ISA_JOIN2(a, b)
#define RS_ISA_TABLE(name) RS_ISA_JOIN(name, RS_ISA)

#endif
