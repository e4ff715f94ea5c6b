/* Statistics of a Fisher at their edges: bad and flat values, ties, odd sizes. */
#include "tests/merge_fixture.h"

static float odd[3][MAX_SIZE];
static int64_t odd_size[3];

static rs_status read_odd(void *ctx, int tensor, int64_t first, int64_t n, float *dst,
                          rs_err *err)
{
    (void)ctx, (void)err;
    memcpy(dst, odd[tensor] + first, (size_t)n * sizeof *dst);
    return RS_OK;
}

static void bad_fishers_are_refused(void)
{
    rs_values v = {NULL, read_odd, name_of, 2, odd_size};
    rs_moments m[2];
    bool use[2] = {true, true};
    T_TRUE(load(NULL));
    rs_pass pass = pass_of();
    odd_size[0] = odd_size[1] = 10;
    odd[1][7] = -1e-20f;
    T_FAILS(rs_fisher_moments(&pass, &v, use, m, &t_err), RS_E_INVALID,
            "element 7 is -1e-20");
    odd[1][7] = NAN;
    T_FAILS(rs_fisher_moments(&pass, &v, use, m, &t_err), RS_E_INVALID, "element 7 is ");
    odd[1][7] = -0.0f;
    T_OK(rs_fisher_moments(&pass, &v, use, m, &t_err));
    T_EQ(m[1].n, 10);
    T_TRUE(m[1].max == 0 && m[1].least == 0);
}

/* All zero, or all equal: no division by nothing, and the documented values. */
static void flat_fishers(void)
{
    static const rs_normaliser kinds[] = {RS_NORM_MEAN, RS_NORM_MAX, RS_NORM_LOG,
                                          RS_NORM_RANK, RS_NORM_P99};
    static const float if_equal[] = {1, 1, 1, 0.5f, 1};
    rs_values v = {NULL, read_odd, name_of, 1, odd_size};
    bool use[1] = {true};
    T_TRUE(load(NULL));
    rs_pass pass = pass_of();
    odd_size[0] = 5;
    for (int value = 0; value < 2; value++)
        for (int i = 0; i < 5; i++) {
            rs_norm norm;
            rs_moments m;
            float p[5];
            for (int j = 0; j < 5; j++)
                odd[0][j] = value ? 3e-7f : 0;
            T_OK(rs_fisher_moments(&pass, &v, use, &m, &t_err));
            T_OK(rs_norm_make(&pass, &v, use, &m, kinds[i], &norm, &t_err));
            rs_norm_apply(&norm, fx.rt.kernels->merge, odd[0], p, 5);
            for (int j = 0; j < 5; j++) {
                float want = value ? if_equal[i] : kinds[i] == RS_NORM_RANK ? 0.5f : 0;
                T_NEAR(p[j], want, 1e-6, 0);
            }
            rs_norm_free(&norm);
        }
}

/* Quantiles and ranks against a plain sort, with ties, zeros and odd sizes. */
static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void order_statistics(void)
{
    static float sorted[2 * MAX_SIZE];
    rs_values v = {NULL, read_odd, name_of, 2, odd_size};
    bool use[2] = {true, true};
    uint32_t seed = 5;
    T_TRUE(load(NULL));
    rs_pass pass = pass_of();
    for (int round = 0; round < 40; round++) {
        int n = 0;
        odd_size[0] = 1 + round * 37 % 400;
        odd_size[1] = round * 91 % 300;
        for (int t = 0; t < 2; t++)
            for (int64_t i = 0; i < odd_size[t]; i++) {
                seed = seed * 1664525u + 1013904223u;
                float f =
                    round % 4 == 0 ? (float)(seed >> 28) : (float)(seed >> 8) * 1e-12f;
                if (round % 2) f = rs_bf16_to_f32(rs_bf16_from_f32(f));
                odd[t][i] = f;
                sorted[n++] = f;
            }
        qsort(sorted, (size_t)n, sizeof *sorted, by_value);
        rs_ranks *ranks;
        rs_norm norm = {.kind = RS_NORM_RANK};
        T_OK(rs_ranks_new(&pass, &v, use, n, &ranks, &t_err));
        norm.ranks = ranks;
        for (double q = 0; q <= 1; q += 0.083) {
            rs_order o;
            double h = (n - 1) * q;
            int i = (int)floor(h);
            double next = sorted[i + 1 < n ? i + 1 : i];
            T_OK(rs_fisher_order(&pass, &v, use, n, q, &o, &t_err));
            T_NEAR(rs_order_value(&o), sorted[i] + (h - i) * (next - sorted[i]), 1e-30,
                   1e-14);
        }
        for (int i = 0, j; i < n; i = j) {
            for (j = i; j < n && sorted[j] == sorted[i];)
                j++;
            double rank = (i + j + 1) / 2.0;
            T_NEAR(rs_norm_value(&norm, sorted[i]), n > 1 ? (rank - 1) / (n - 1) : 0,
                   1e-15, 0);
        }
        rs_ranks_free(ranks);
    }
}

/* A file that changes under the passes: first small values, then all of them the largest. */
enum { CHANGING = 1 << 16 };
static int n_readings;

static rs_status read_changing(void *ctx, int tensor, int64_t first, int64_t n,
                               float *dst, rs_err *err)
{
    (void)ctx, (void)tensor, (void)first, (void)err;
    bool changed = n_readings++ > 0;
    for (int64_t i = 0; i < n; i++)
        dst[i] = changed || i == 0 ? 100.001f : 0.001f * (float)(i % 1000);
    return RS_OK;
}

static void a_fisher_that_changes(void)
{
    static const int64_t size[] = {CHANGING};
    rs_values v = {NULL, read_changing, name_of, 1, size};
    bool use[1] = {true};
    rs_ranks *ranks;
    T_TRUE(load(NULL));
    rs_pass pass = pass_of();
    T_OK(rs_ranks_new(&pass, &v, use, CHANGING, &ranks, &t_err));
    T_EQ(n_readings, 2);
    for (int i = 0; i < 300; i++) {
        double p = rs_rank_value(ranks, 0.37f * (float)i);
        T_TRUE(p >= 0 && p <= 1);
    }
    rs_ranks_free(ranks);
}

T_MAIN(T_TEST(bad_fishers_are_refused), T_TEST(flat_fishers), T_TEST(order_statistics),
       T_TEST(a_fisher_that_changes))
