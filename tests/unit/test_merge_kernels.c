/* Every instruction set gives the same bits, and they are right against float64. */
#include "tensor/merge_kernels.h"
#include "tensor/products.h"

#include "tensor/half.h"
#include "tests/t.h"

enum { N = 4200, RANK = 33 };

static const rs_kernels *all[3];
static int n_all;
static float a[N], b[N], c[N], big_a[RANK * 640 + 8], big_b[40 * RANK];
static uint32_t seed = 1;

static float value(void)
{
    seed = seed * 1664525u + 1013904223u;
    return ((float)(seed >> 8) / 8388608.0f - 1.0f) * (seed >> 28 ? 1.0f : 1e-4f);
}

static void pick_all(void)
{
    static const char *const names[] = {"base", "avx2", "avx512"};
    for (int i = 0; i < 3; i++)
        if (rs_kernels_pick(names[i], &all[n_all], NULL) == RS_OK) n_all++;
    for (int i = 0; i < N; i++)
        a[i] = value(), b[i] = value(), c[i] = fabsf(value());
}

static const int64_t sizes[] = {0,  1,  2,   7,   8,    15,   16,  17,
                                31, 33, 255, 257, 4095, 4096, 4097};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

#define SAME_BITS(CALL, EXPECTED, TOLERANCE)                                             \
    for (int s = 0; s < N_SIZES; s++) {                                                  \
        float first[N], y[N];                                                            \
        int64_t n = sizes[s];                                                            \
        for (int v = 0; v < n_all; v++) {                                                \
            const rs_merge_kernels *k = all[v]->merge;                                   \
            memcpy(y, b, sizeof y);                                                      \
            CALL;                                                                        \
            if (v == 0) memcpy(first, y, sizeof y);                                      \
            if (memcmp(first, y, sizeof y) != 0)                                         \
                T_FAIL("%s with %lld elements differs on %s", #CALL, (long long)n,       \
                       all[v]->isa);                                                     \
        }                                                                                \
        for (int64_t i = 0; i < n; i++)                                                  \
            T_NEAR(y[i], EXPECTED, TOLERANCE, 3e-7);                                     \
    }

static double cut01(double v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

static void elementwise(void)
{
    pick_all();
    SAME_BITS(k->scale(0.3f, a, y, n), 0.3 * a[i], 1e-7)
    SAME_BITS(k->add_scaled(0.3f, a, y, n), b[i] + 0.3 * a[i], 1e-7)
    SAME_BITS(k->subtract(a, c, y, n), (double)a[i] - c[i], 1e-7)
    SAME_BITS(k->multiply(a, c, y, n), (double)a[i] * c[i], 1e-7)
    SAME_BITS(k->apply(a, 0.7f, c, false, b, y, n), a[i] + 0.7 * c[i] * b[i], 2e-7)
    SAME_BITS(k->apply(a, 1.7f, c, true, b, y, n), a[i] + cut01(1.7f * c[i]) * b[i], 2e-7)
    SAME_BITS(k->apply(a, -1.7f, NULL, false, b, y, n), a[i] - (double)1.7f * b[i], 2e-7)
    SAME_BITS(k->apply(a, 1.7f, NULL, true, b, y, n), (double)a[i] + b[i], 2e-7)
    SAME_BITS(k->lerp(a, c, 0.15f, y, n), a[i] + 0.15f * ((double)c[i] - a[i]), 2e-7)
    SAME_BITS(k->blend(a, c, 0.85f, 0.15f, y, n),
              0.85f * (double)a[i] + 0.15f * (double)c[i], 2e-7)
    SAME_BITS(k->norm_scale(3.0f, c, y, n), 3.0 * c[i], 1e-7)
    SAME_BITS(k->norm_min1(3.0f, c, y, n), cut01(3.0 * c[i]), 1e-7)
    SAME_BITS(k->norm_log(-9.5, 0.1, c, y, n),
              c[i] > 0 ? (log((double)c[i]) + 9.5) * 0.1 : 0, 2e-7)
    SAME_BITS(k->damp_ewc(3.0f, c, y, n), 1 / (1 + 3.0 * c[i]), 2e-7)
    SAME_BITS(k->damp_one_minus(0.9f, 0.5f, c, y, n), cut01((1 - 0.9 * c[i]) * 0.5), 2e-7)
    SAME_BITS(k->damp_task(3.0f, c, c, y, n), c[i] > 0 ? 0.25 : 1, 2e-7)
    SAME_BITS(k->damp_hard(0.5f, c, y, n), c[i] >= 0.5f ? 0 : 1, 0)
}

static double dot_in_double(const float *x, const float *y, const float *z, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++)
        s += (double)x[i] * y[i] * (z ? z[i] : 1);
    return s;
}

static void reductions(void)
{
    pick_all();
    for (int s = 0; s < N_SIZES; s++) {
        int64_t n = sizes[s];
        double first[7];
        for (int v = 0; v < n_all; v++) {
            const rs_merge_kernels *k = all[v]->merge;
            double r[7] = {k->sum(a, n), k->dot(a, b, n), k->dot3(c, a, b, n),
                           k->largest(c, n)};
            k->angle_sums(a, b, n, r + 4);
            if (v == 0) memcpy(first, r, sizeof r);
            T_TRUE(memcmp(first, r, sizeof r) == 0);
        }
        T_NEAR(first[1], dot_in_double(a, b, NULL, n), 1e-11, 0);
        T_NEAR(first[2], dot_in_double(a, b, c, n), 1e-11, 0);
        double aa = dot_in_double(a, a, NULL, n), bb = dot_in_double(b, b, NULL, n);
        T_NEAR(first[4], aa + bb - 2 * first[1], 1e-10, 0);
        T_NEAR(first[5], aa + bb + 2 * first[1], 1e-10, 0);
        T_NEAR(first[6], aa - bb, 1e-10, 0);
    }
}

/* Any window of the product, any leading dimension, is the product of that window. */
static void low_rank(void)
{
    static float out[40 * 640], first[40 * 640];
    pick_all();
    for (int i = 0; i < RANK * 640 + 8; i++)
        big_a[i] = value();
    for (int i = 0; i < 40 * RANK; i++)
        big_b[i] = value();
    static const int shape[][3] = {{1, 1, 1},     {4, 16, 8},   {5, 33, 16},  {7, 100, 3},
                                   {16, 129, 32}, {3, 640, 33}, {1, 300, 16}, {9, 7, 4}};
    for (int s = 0; s < 8; s++)
        for (int exact = 0; exact < 2; exact++) {
            int rows = shape[s][0], n = shape[s][1], rank = shape[s][2];
            if (exact)
                for (int i = 0; i < RANK * 640 + 8; i++) {
                    big_a[i] = rs_bf16_widen(rs_bf16_round(big_a[i]));
                    if (i < 40 * RANK) big_b[i] = rs_bf16_widen(rs_bf16_round(big_b[i]));
                }
            for (int v = 0; v < n_all; v++) {
                const rs_merge_kernels *k = all[v]->merge;
                memset(out, 0, sizeof out);
                (exact ? k->lowrank_exact : k->lowrank)(big_a + 3, 640, big_b, RANK, rank,
                                                        out, n + 1, rows, n);
                if (v == 0) memcpy(first, out, sizeof out);
                if (memcmp(first, out, sizeof out) != 0)
                    T_FAIL("%d x %d of rank %d differs on %s", rows, n, rank,
                           all[v]->isa);
            }
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < n; j++) {
                    double want = 0;
                    float plain = 0;
                    for (int r = 0; r < rank; r++) {
                        want += (double)big_b[i * RANK + r] * big_a[3 + r * 640 + j];
                        plain += big_b[i * RANK + r] * big_a[3 + r * 640 + j];
                    }
                    T_NEAR(out[i * (n + 1) + j], want, 3e-6, 0);
                    T_TRUE(out[i * (n + 1) + j] == plain);
                }
            T_TRUE(out[(rows - 1) * (n + 1) + n] == 0);
        }
}

static void checks(void)
{
    pick_all();
    for (int v = 0; v < n_all; v++) {
        const rs_merge_kernels *k = all[v]->merge;
        uint16_t h[70];
        float f[70];
        for (int at = -1; at < 70; at++) {
            static const float bad[] = {NAN, INFINITY, -INFINITY};
            for (int i = 0; i < 70; i++)
                f[i] = 3.4e38f * (i % 2 ? 1 : -1), h[i] = 0x3c00;
            if (at >= 0) f[at] = bad[at % 3];
            T_EQ(k->not_finite(f, 70), at >= 0);
            if (at >= 0) h[at] = at % 2 ? 0x7f80 : 0xffc1;
            T_EQ(k->not_finite_bf16(h, 70), at >= 0);
            if (at >= 0) h[at] = at % 2 ? 0x7c00 : 0xfe01;
            T_EQ(k->not_finite_f16(h, 70), at >= 0);
            for (int i = 0; i < 70; i++)
                f[i] = i % 2 ? 0.0f : -0.0f;
            if (at >= 0) f[at] = -1e-45f;
            T_EQ(k->negative(f, 70), at >= 0);
            uint16_t g[70];
            memcpy(g, h, sizeof g);
            if (at >= 0) g[at] ^= 1;
            T_EQ(k->differing16(g, h, 70), at >= 0);
            T_EQ(k->differing32((uint32_t *)f, (uint32_t *)f, 70), 0);
        }
    }
}

static void logarithm(void)
{
    for (float f = 1e-45f; f < 1e38f; f *= 1.0371f) {
        T_NEAR(rs_merge_log(f), log((double)f), 1e-14, 4e-16);
        if (f * 1.0371f == f) f *= 2;
    }
    T_NEAR(rs_merge_log(1.0f), 0, 0, 0);
}

/* c += a b of every kind against a sum in the same order, bit for bit, a transposed or not, and
 * with steps in two calls. */
static void products(void)
{
    static const int shapes[][3] = {{1, 1, 1},   {4, 16, 3},  {5, 37, 64}, {9, 256, 65},
                                    {3, 7, 130}, {7, 300, 9}, {4, 8, 200}};
    static double da[2000], db[70000], c0[3000], c1[3000];
    static float fa[2000], fb[70000];
    pick_all();
    for (int i = 0; i < 2000; i++)
        fa[i] = value(), da[i] = (double)fa[i] * 1.37;
    for (int i = 0; i < 70000; i++)
        fb[i] = value(), db[i] = (double)fb[i] / 3;
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int kind = 0; kind < 6; kind++) {
            int rows = shapes[s][0], n = shapes[s][1], steps = shapes[s][2];
            int64_t row = kind % 2 ? 1 : steps, step = kind % 2 ? rows : 1;
            for (int i = 0; i < 3000; i++)
                c0[i] = i;
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < n; j++)
                    for (int t = 0; t < steps; t++) {
                        double x = kind / 2 == 1 ? da[i * row + t * step]
                                                 : (double)fa[i * row + t * step];
                        double y = kind / 2 == 2 ? db[t * (n + 1) + j]
                                                 : (double)fb[t * (n + 1) + j];
                        c0[i * (n + 2) + j] = x * y + c0[i * (n + 2) + j];
                    }
            for (int v = 0; v < n_all; v++) {
                const rs_product_kernels *k = all[v]->product;
                for (int i = 0; i < 3000; i++)
                    c1[i] = i;
                for (int t = 0, half = steps / 2; t <= half; t += half ? half : 1) {
                    int some = t ? steps - half : half ? half : steps;
                    const float *bf = fb + t * (n + 1);
                    const double *bd = db + t * (n + 1);
                    if (kind / 2 == 0)
                        k->ff(fa + t * step, row, step, bf, n + 1, c1, n + 2, rows, n,
                              some);
                    else if (kind / 2 == 1)
                        k->df(da + t * step, row, step, bf, n + 1, c1, n + 2, rows, n,
                              some);
                    else
                        k->fd(fa + t * step, row, step, bd, n + 1, c1, n + 2, rows, n,
                              some);
                    if (!half) break;
                }
                if (memcmp(c0, c1, sizeof c0) != 0)
                    T_FAIL("kind %d of %d x %d, %d steps, differs on %s", kind, rows, n,
                           steps, all[v]->isa);
            }
        }
}

T_MAIN(T_TEST(elementwise), T_TEST(reductions), T_TEST(low_rank), T_TEST(products),
       T_TEST(checks), T_TEST(logarithm))
