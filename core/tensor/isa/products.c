#include "tensor/products.h"

#include <string.h>

#if defined(RS_ISA_avx2) || defined(RS_ISA_avx512)
#include <immintrin.h>
#endif

/* One vector of doubles in each instruction set's own width. */
#if defined(RS_ISA_avx512)
typedef __m512d vec;
enum { WIDTH = 8 };
static inline vec load(const double *p)
{
    return _mm512_loadu_pd(p);
}
static inline vec widen(const float *p)
{
    return _mm512_cvtps_pd(_mm256_loadu_ps(p));
}
static inline void store(double *p, vec v)
{
    _mm512_storeu_pd(p, v);
}
static inline vec all(double v)
{
    return _mm512_set1_pd(v);
}
static inline vec plain(vec a, vec b, vec c)
{
    return _mm512_add_pd(_mm512_mul_pd(a, b), c);
}
static inline vec exact(vec a, vec b, vec c)
{
    return _mm512_fmadd_pd(a, b, c);
}
#elif defined(RS_ISA_avx2)
typedef __m256d vec;
enum { WIDTH = 4 };
static inline vec load(const double *p)
{
    return _mm256_loadu_pd(p);
}
static inline vec widen(const float *p)
{
    return _mm256_cvtps_pd(_mm_loadu_ps(p));
}
static inline void store(double *p, vec v)
{
    _mm256_storeu_pd(p, v);
}
static inline vec all(double v)
{
    return _mm256_set1_pd(v);
}
static inline vec plain(vec a, vec b, vec c)
{
    return _mm256_add_pd(_mm256_mul_pd(a, b), c);
}
static inline vec exact(vec a, vec b, vec c)
{
    return _mm256_fmadd_pd(a, b, c);
}
#else
typedef double vec __attribute__((vector_size(16)));
enum { WIDTH = 2 };
static inline vec load(const double *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline vec widen(const float *p)
{
    return (vec){(double)p[0], (double)p[1]};
}
static inline void store(double *p, vec v)
{
    memcpy(p, &v, sizeof v);
}
static inline vec all(double v)
{
    return (vec){v, v};
}
static inline vec plain(vec a, vec b, vec c)
{
    return a * b + c;
}
static inline vec exact(vec a, vec b, vec c)
{
    return a * b + c;
}
#endif

/* Blocks of 4 rows by 2 vectors keep 8 sums in registers. STRIP columns of b at a time, and
 * DEPTH steps of them, stay in the cache while the rows go by. The order of a sum is that of t
 * whatever the blocks. */
enum { STRIP = 256, DEPTH = 64 };

#define PRODUCT(NAME, A, B, LOAD_B, MADD)                                                \
    static void NAME##_block(const A *a, int64_t a_row, int64_t a_step, const B *b,      \
                             int64_t ldb, double *c, int64_t ldc, int64_t steps)         \
    {                                                                                    \
        const A *a1 = a + a_row, *a2 = a1 + a_row, *a3 = a2 + a_row;                     \
        double *c1 = c + ldc, *c2 = c1 + ldc, *c3 = c2 + ldc;                            \
        vec s00 = load(c), s01 = load(c + WIDTH);                                        \
        vec s10 = load(c1), s11 = load(c1 + WIDTH);                                      \
        vec s20 = load(c2), s21 = load(c2 + WIDTH);                                      \
        vec s30 = load(c3), s31 = load(c3 + WIDTH);                                      \
        for (int64_t t = 0, at = 0; t < steps; t++, at += a_step, b += ldb) {            \
            vec x = LOAD_B(b), y = LOAD_B(b + WIDTH);                                    \
            vec a0 = all((double)a[at]), b1 = all((double)a1[at]);                       \
            vec b2 = all((double)a2[at]), b3 = all((double)a3[at]);                      \
            s00 = MADD(a0, x, s00), s01 = MADD(a0, y, s01);                              \
            s10 = MADD(b1, x, s10), s11 = MADD(b1, y, s11);                              \
            s20 = MADD(b2, x, s20), s21 = MADD(b2, y, s21);                              \
            s30 = MADD(b3, x, s30), s31 = MADD(b3, y, s31);                              \
        }                                                                                \
        store(c, s00), store(c + WIDTH, s01);                                            \
        store(c1, s10), store(c1 + WIDTH, s11);                                          \
        store(c2, s20), store(c2 + WIDTH, s21);                                          \
        store(c3, s30), store(c3 + WIDTH, s31);                                          \
    }                                                                                    \
    static void NAME##_row(const A *a, int64_t a_step, const B *b, int64_t ldb,          \
                           double *c, int64_t n, int64_t steps)                          \
    {                                                                                    \
        for (int64_t t = 0; t < steps; t++, a += a_step, b += ldb) {                     \
            double f = (double)*a;                                                       \
            for (int64_t j = 0; j < n; j++)                                              \
                c[j] = f * (double)b[j] + c[j];                                          \
        }                                                                                \
    }                                                                                    \
    static void NAME##_strip(const A *a, int64_t a_row, int64_t a_step, const B *b,      \
                             int64_t ldb, double *c, int64_t ldc, int64_t rows,          \
                             int64_t n, int64_t steps)                                   \
    {                                                                                    \
        int64_t i = 0, whole = n / (2 * WIDTH) * (2 * WIDTH);                            \
        for (; i + 4 <= rows; i += 4)                                                    \
            for (int64_t j = 0; j < whole; j += 2 * WIDTH)                               \
                NAME##_block(a + i * a_row, a_row, a_step, b + j, ldb,                   \
                             c + i * ldc + j, ldc, steps);                               \
        for (int64_t r = 0; r < i && whole < n; r++)                                     \
            NAME##_row(a + r * a_row, a_step, b + whole, ldb, c + r * ldc + whole,       \
                       n - whole, steps);                                                \
        for (; i < rows; i++)                                                            \
            NAME##_row(a + i * a_row, a_step, b, ldb, c + i * ldc, n, steps);            \
    }                                                                                    \
    static void NAME(const A *a, int64_t a_row, int64_t a_step, const B *b, int64_t ldb, \
                     double *c, int64_t ldc, int64_t rows, int64_t n, int64_t steps)     \
    {                                                                                    \
        for (int64_t j = 0; j < n; j += STRIP)                                           \
            for (int64_t t = 0; t < steps; t += DEPTH)                                   \
                NAME##_strip(a + t * a_step, a_row, a_step, b + t * ldb + j, ldb, c + j, \
                             ldc, rows, n - j < STRIP ? n - j : STRIP,                   \
                             steps - t < DEPTH ? steps - t : DEPTH);                     \
    }

PRODUCT(ff, float, float, widen, exact)
PRODUCT(df, double, float, widen, plain)
PRODUCT(fd, float, double, load, plain)

extern const rs_product_kernels RS_ISA_TABLE(rs_product_kernels);

const rs_product_kernels RS_ISA_TABLE(rs_product_kernels) = {ff, df, fd};
