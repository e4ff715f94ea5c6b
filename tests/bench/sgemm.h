/* sgemm.h - OpenBLAS on one large product, all threads: the reference for what multiplies. */
#ifndef BENCH_SGEMM_H
#define BENCH_SGEMM_H

#include "tensor/blas.h"
#include "tests/bench/bench.h"

enum { SIDE = 2048 };

/* Two factors and room for their product, [SIDE, SIDE] each; none is all zeros, which some
 * processors multiply faster. */
static inline void sgemm_fill(float *m)
{
    for (int i = 0; i < 3 * SIDE * SIDE; i++)
        m[i] = (float)(i % 101) / 101.0f - 0.5f;
}

/* GFLOP/s of one product. */
static inline double sgemm(int threads, float *m)
{
    double t = now();
    rs_blas_spread_ab(threads, SIDE, SIDE, SIDE, m, SIDE, m + SIDE * SIDE, SIDE, 0,
                      m + 2 * SIDE * SIDE, SIDE);
    return 2.0 * SIDE * SIDE * SIDE / (now() - t) / 1e9;
}

#endif
