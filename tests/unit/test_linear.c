/* Products of stored weights against a double twin, for every dtype, odd sizes, every
 * instruction set; and the promises of linear.h about bits. */
#include "tensor/linear.h"
#include "tests/t.h"

#include "tensor/convert.h"

static const char *const isas[] = {"base", "avx2", "avx512"};
static const rs_dtype dtypes[] = {
    RS_DTYPE_F32,  RS_DTYPE_F16,  RS_DTYPE_BF16, RS_DTYPE_Q8_0, RS_DTYPE_Q4_0,
    RS_DTYPE_Q5_0, RS_DTYPE_Q5_1, RS_DTYPE_Q4_K, RS_DTYPE_Q5_K, RS_DTYPE_Q6_K};
enum { N_ISAS = 3, N_DTYPES = 10 };

static uint64_t state = 88172645463325252u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static float small(void)
{
    return (float)((double)(next() >> 40) / (1 << 24) - 0.5);
}

static float *floats(int64_t n)
{
    float *x = malloc((size_t)(n + 1) * sizeof *x);
    for (int64_t i = 0; i < n; i++)
        x[i] = small();
    return x;
}

/* Halves stand at these places of each block: kept small and finite. */
static void fix_halves(rs_dtype d, uint8_t *block)
{
    bool k = d == RS_DTYPE_Q4_K || d == RS_DTYPE_Q5_K;
    int first = d == RS_DTYPE_Q6_K ? 208 : 0, n = k || d == RS_DTYPE_Q5_1 ? 2 : 1;
    for (int i = 0; i < n; i++) {
        uint16_t h = rs_f16_from_f32(small() / 16);
        memcpy(block + first + 2 * i, &h, sizeof h);
    }
}

/* rows x cols random numbers of a dtype. */
static void *stored(rs_dtype d, int64_t rows, int64_t cols)
{
    const rs_dtype_info *info = rs_dtype_of(d);
    int64_t blocks = rows * cols / info->block;
    uint8_t *p = malloc((size_t)(blocks * info->block_bytes) + 1);
    for (int64_t b = 0; b < blocks; b++) {
        uint8_t *at = p + b * info->block_bytes;
        for (int i = 0; i < info->block_bytes; i++)
            at[i] = (uint8_t)(next() >> 32);
        float v = small();
        uint16_t half = d == RS_DTYPE_BF16 ? rs_bf16_from_f32(v) : rs_f16_from_f32(v);
        if (d == RS_DTYPE_F32)
            memcpy(at, &v, sizeof v);
        else if (info->block == 1)
            memcpy(at, &half, sizeof half);
        else
            fix_halves(d, at);
    }
    return p;
}

static const rs_kernels *kernels(const char *isa)
{
    const rs_kernels *k;
    return rs_kernels_pick(isa, &k, &t_err) == RS_OK ? k : NULL;
}

/* |a - double twin| <= 1e-6 of the sum of absolute products */
static bool near_twin(float a, const float *w, const float *x, int64_t n)
{
    double sum = 0, size = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)w[i] * (double)x[i];
        size += fabs((double)w[i] * (double)x[i]);
    }
    return fabs((double)a - sum) <= 1e-6 * size;
}

static void check_matvec(const rs_kernels *k, rs_dtype d, int64_t rows, int64_t cols)
{
    void *w = stored(d, rows, cols);
    float *x = floats(cols), *y = floats(rows), *z = floats(rows);
    float *wide = floats(rows * cols);
    uint64_t bytes;
    T_TRUE(rs_dtype_bytes(d, cols, &bytes));
    rs_to_f32(k, d, w, wide, rows * cols);
    k->linear->matvec(d, w, (int64_t)bytes, rows, cols, x, y);
    for (int64_t r = 0; r < rows; r++)
        if (!near_twin(y[r], wide + r * cols, x, cols))
            T_FAIL("%s %s, row %d of %dx%d: %.9g", k->isa, rs_dtype_name(d), (int)r,
                   (int)rows, (int)cols, (double)y[r]);
    k->linear->matmul(wide, cols, rows, cols, x, cols, 1, z, rows);
    if (memcmp(y, z, (size_t)rows * sizeof *y) != 0)
        T_FAIL("%s %s: not the bits of the widened row", k->isa, rs_dtype_name(d));
    free(w);
    free(x);
    free(y);
    free(z);
    free(wide);
}

static void matvec_every_dtype(void)
{
    static const int64_t odd[] = {1, 7, 31, 32, 33, 95, 640, 1037};
    for (int i = 0; i < N_ISAS; i++) {
        const rs_kernels *k = kernels(isas[i]);
        for (int d = 0; k && d < N_DTYPES; d++) {
            int block = rs_dtype_of(dtypes[d])->block;
            for (size_t c = 0; c < sizeof odd / sizeof *odd; c++)
                for (int64_t rows = 1; rows <= 6; rows++)
                    check_matvec(k, dtypes[d], rows,
                                 block == 1 ? odd[c] : (int64_t)(c + 1) * block);
        }
    }
}

static void matmul_has_matvecs_bits(void)
{
    for (int i = 0; i < N_ISAS; i++) {
        const rs_kernels *k = kernels(isas[i]);
        for (int64_t cols = 30; k && cols < 200; cols += 67) {
            int64_t rows = 5, n = 8;
            float *w = floats(rows * cols), *x = floats(n * cols), *y = floats(n * rows),
                  one[8];
            for (int64_t m = 1; m <= n; m++) {
                k->linear->matmul(w, cols, rows, cols, x, cols, m, y, rows);
                for (int64_t j = 0; j < m; j++) {
                    k->linear->matvec(RS_DTYPE_F32, w, cols * 4, rows, cols, x + j * cols,
                                      one);
                    T_TRUE(memcmp(one, y + j * rows, (size_t)rows * sizeof *one) == 0);
                }
            }
            free(w);
            free(x);
            free(y);
        }
    }
}

/* rs_linear with n tokens, one or several threads, several products in a run. */
static void check_linear(rs_dtype d, int64_t rows, int64_t cols, int64_t n)
{
    float *x = floats(n * cols), *wide = floats(rows * cols);
    void *w = stored(d, rows, cols);
    rs_matrix m = {d, rows, cols, w};
    float *first = NULL;
    static const int threads[] = {1, 2, 7};
    for (int t = 0; t < 3; t++) {
        rs_runtime rt;
        rs_options o = {.threads = threads[t], .memory_bytes = 1 << 28};
        T_OK(rs_init(&o, &rt, &t_err));
        rs_to_f32(rt.kernels, d, w, wide, rows * cols);
        for (int mode = 0; mode < 2; mode++) {
            float *y = floats(2 * n * rows);
            rs_product p[2] = {{&m, x, y, cols, rows, 0},
                               {&m, x, y + n * rows, cols, rows, 0}};
            T_OK(rs_linear(&rt, (rs_linear_mode)mode, p, 2, n, &t_err));
            T_TRUE(memcmp(y, y + n * rows, (size_t)(n * rows) * sizeof *y) == 0);
            for (int64_t i = 0; i < n; i++)
                for (int64_t r = 0; r < rows; r++)
                    T_TRUE(
                        near_twin(y[i * rows + r], wide + r * cols, x + i * cols, cols));
            if (mode == RS_LINEAR_FIXED && first)
                T_TRUE(memcmp(first, y, (size_t)(n * rows) * sizeof *y) == 0);
            if (mode == RS_LINEAR_FIXED && !first)
                first = y;
            else
                free(y);
        }
        rs_quit(&rt);
    }
    free(first);
    free(x);
    free(w);
    free(wide);
}

static void linear_threads_and_modes(void)
{
    static const int64_t tokens[] = {1, 2, 3, 15, 16, 40};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
        for (int d = 0; d < N_DTYPES; d++)
            check_linear(dtypes[d], 203, 512, tokens[i]);
}

static void mix_rows_of_v(void)
{
    for (int i = 0; i < N_ISAS; i++) {
        const rs_kernels *k = kernels(isas[i]);
        for (int64_t n = 1; k && n <= 6; n++) {
            int64_t rows = 37, cols = 43;
            float *v = floats(rows * cols), *a = floats(n * rows), *y = floats(n * cols);
            k->linear->mix_rows(v, cols, rows, cols, a, rows, n, y, cols);
            for (int64_t j = 0; j < n * cols; j++) {
                double sum = 0;
                for (int64_t t = 0; t < rows; t++)
                    sum +=
                        (double)a[j / cols * rows + t] * (double)v[t * cols + j % cols];
                T_NEAR((double)y[j], sum, 1e-5, 0);
            }
            free(v);
            free(a);
            free(y);
        }
    }
}

static double gelu(double z)
{
    return 0.5 * z * (1 + tanh(sqrt(2 / M_PI) * (z + 0.044715 * z * z * z)));
}

static void elementwise(void)
{
    enum { N = 4001 };
    static float x[N], g[N], u[N], c[N], e[N], r[N], one[N];
    for (int i = 0; i < N; i++) {
        x[i] = (float)(i - N / 2) / 50;
        one[i] = 1;
    }
    for (int i = 0; i < N_ISAS; i++) {
        const rs_kernels *k = kernels(isas[i]);
        if (!k) continue;
        memcpy(g, x, sizeof x);
        memcpy(u, x, sizeof x);
        memcpy(c, x, sizeof x);
        memcpy(e, x, sizeof x);
        k->linear->gelu_mul(g, one, N);
        k->linear->silu_mul(u, one, N);
        k->linear->softcap(c, 30, N);
        double sum = k->linear->exp_sum(e, 40, N), want = 0, square = 0;
        k->linear->rms_norm(x, NULL, 1e-6, r, N);
        for (int j = 0; j < N; j++)
            square += (double)x[j] * (double)x[j];
        for (int j = 0; j < N; j++) {
            double v = (double)x[j];
            T_NEAR((double)g[j], gelu(v), 1e-6, 4e-7);
            T_NEAR((double)u[j], v / (1 + exp(-v)), 1e-6, 4e-7);
            T_NEAR((double)c[j], 30 * tanh(v / 30), 4e-6, 4e-7);
            T_NEAR((double)e[j], exp((double)(x[j] - 40.0f)), 1e-38, 5e-7);
            T_NEAR((double)r[j], v / sqrt(square / N + 1e-6), 1e-9, 3e-7);
            want += exp((double)(x[j] - 40.0f));
        }
        T_NEAR(sum, want, 0, 1e-6);
        T_NEAR((double)k->linear->max(x, N), (double)x[N - 1], 0, 0);
    }
}

static void elementwise_extremes(void)
{
    const rs_kernels *k = kernels(NULL);
    float z[] = {-1e30f, -1000, -90, 0, 90, 1000, 1e30f, NAN},
          one[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    k->linear->gelu_mul(z, one, 7);
    for (int i = 0; i < 4; i++)
        T_NEAR((double)z[i], 0, 1e-30, 0);
    T_NEAR((double)z[4], 90, 0, 1e-7);
    T_NEAR((double)z[6], 1e30, 0, 1e-6);
    float s[] = {-1e30f, -1000, 90, 1e30f};
    k->linear->silu_mul(s, one, 4);
    T_TRUE(s[0] == 0 && s[1] == 0 && s[2] == 90 && s[3] == 1e30f);
    float e[] = {-1000, 0, NAN};
    (void)k->linear->exp_sum(e, 0, 3);
    T_TRUE(e[0] == 0 && e[1] == 1 && isnan(e[2]));
}

/* Elementwise functions promise the same bits for every instruction set. */
static void elementwise_bits(void)
{
    enum { N = 1003 };
    static float x[N], first[3][N], now[3][N];
    for (int i = 0; i < N; i++)
        x[i] = 40 * small();
    for (int i = 0; i < N_ISAS; i++) {
        const rs_kernels *k = kernels(isas[i]);
        if (!k) continue;
        for (int f = 0; f < 3; f++)
            memcpy(now[f], x, sizeof x);
        k->linear->gelu_mul(now[0], x, N);
        k->linear->softcap(now[1], 7, N);
        (void)k->linear->exp_sum(now[2], 20, N);
        if (i == 0) memcpy(first, now, sizeof now);
        T_TRUE(memcmp(first, now, sizeof now) == 0);
    }
}

static void table_row(void)
{
    const rs_kernels *k = kernels(NULL);
    void *w = stored(RS_DTYPE_Q8_0, 3, 64);
    rs_matrix m = {RS_DTYPE_Q8_0, 3, 64, w};
    float wide[192], y[64];
    rs_to_f32(k, RS_DTYPE_Q8_0, w, wide, 192);
    rs_linear_row(k, &m, 2, 3, y);
    for (int i = 0; i < 64; i++)
        T_TRUE(y[i] == wide[128 + i] * 3);
    T_TRUE(rs_linear_takes(RS_DTYPE_Q6_K) && rs_linear_takes(RS_DTYPE_BF16));
    T_TRUE(!rs_linear_takes(RS_DTYPE_F64) && !rs_linear_takes(RS_DTYPE_I8));
    free(w);
}

T_MAIN(T_TEST(matvec_every_dtype), T_TEST(matmul_has_matvecs_bits),
       T_TEST(linear_threads_and_modes), T_TEST(mix_rows_of_v), T_TEST(elementwise),
       T_TEST(elementwise_extremes), T_TEST(elementwise_bits), T_TEST(table_row))
