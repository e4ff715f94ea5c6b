#include "tensor/merge_kernels.h"

#include "tensor/half.h"
#include "tensor/log_inline.h"

#include <string.h>

#if defined(RS_ISA_avx2) || defined(RS_ISA_avx512)
#include <immintrin.h>
#endif

/* --- the low-rank product --- */

/* One vector of floats in each instruction set's own width. */
#if defined(RS_ISA_avx512)
typedef __m512 vec;
enum { WIDTH = 16 };
static inline vec load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline void store(float *p, vec v)
{
    _mm512_storeu_ps(p, v);
}
static inline vec all(float v)
{
    return _mm512_set1_ps(v);
}
static inline vec plain(vec a, vec b, vec c)
{
    return _mm512_add_ps(_mm512_mul_ps(a, b), c);
}
static inline vec exact(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}
#elif defined(RS_ISA_avx2)
typedef __m256 vec;
enum { WIDTH = 8 };
static inline vec load(const float *p)
{
    return _mm256_loadu_ps(p);
}
static inline void store(float *p, vec v)
{
    _mm256_storeu_ps(p, v);
}
static inline vec all(float v)
{
    return _mm256_set1_ps(v);
}
static inline vec plain(vec a, vec b, vec c)
{
    return _mm256_add_ps(_mm256_mul_ps(a, b), c);
}
static inline vec exact(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}
#else
typedef float vec __attribute__((vector_size(16)));
enum { WIDTH = 4 };
static inline vec load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline void store(float *p, vec v)
{
    memcpy(p, &v, sizeof v);
}
static inline vec all(float v)
{
    return (vec){v, v, v, v};
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

/* Blocks of 4 rows by 2 vectors, or 1 row by 8, keep 8 sums in registers: enough to hide the
 * latency of a sum, and in the first each number of a is read once for 4 rows. Edges go by
 * single vectors and elements with the same operations. */
#define LOWRANK(NAME, MADD)                                                              \
    static void NAME##_block(const float *a, int64_t lda, const float *b, int64_t ldb,   \
                             int rank, float *out, int64_t ldo)                          \
    {                                                                                    \
        vec s00 = all(0), s01 = s00, s10 = s00, s11 = s00;                               \
        vec s20 = s00, s21 = s00, s30 = s00, s31 = s00;                                  \
        for (int k = 0; k < rank; k++) {                                                 \
            vec x = load(a + k * lda), y = load(a + k * lda + WIDTH);                    \
            vec b0 = all(b[k]), b1 = all(b[ldb + k]);                                    \
            vec b2 = all(b[2 * ldb + k]), b3 = all(b[3 * ldb + k]);                      \
            s00 = MADD(b0, x, s00), s01 = MADD(b0, y, s01);                              \
            s10 = MADD(b1, x, s10), s11 = MADD(b1, y, s11);                              \
            s20 = MADD(b2, x, s20), s21 = MADD(b2, y, s21);                              \
            s30 = MADD(b3, x, s30), s31 = MADD(b3, y, s31);                              \
        }                                                                                \
        store(out, s00), store(out + WIDTH, s01);                                        \
        store(out + ldo, s10), store(out + ldo + WIDTH, s11);                            \
        store(out + 2 * ldo, s20), store(out + 2 * ldo + WIDTH, s21);                    \
        store(out + 3 * ldo, s30), store(out + 3 * ldo + WIDTH, s31);                    \
    }                                                                                    \
    static void NAME##_row(const float *a, int64_t lda, const float *b, int rank,        \
                           float *out)                                                   \
    {                                                                                    \
        vec s0 = all(0), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;  \
        for (int k = 0; k < rank; k++, a += lda) {                                       \
            vec x = all(b[k]);                                                           \
            s0 = MADD(x, load(a), s0), s1 = MADD(x, load(a + WIDTH), s1);                \
            s2 = MADD(x, load(a + 2 * WIDTH), s2),                                       \
            s3 = MADD(x, load(a + 3 * WIDTH), s3);                                       \
            s4 = MADD(x, load(a + 4 * WIDTH), s4),                                       \
            s5 = MADD(x, load(a + 5 * WIDTH), s5);                                       \
            s6 = MADD(x, load(a + 6 * WIDTH), s6),                                       \
            s7 = MADD(x, load(a + 7 * WIDTH), s7);                                       \
        }                                                                                \
        store(out, s0), store(out + WIDTH, s1);                                          \
        store(out + 2 * WIDTH, s2), store(out + 3 * WIDTH, s3);                          \
        store(out + 4 * WIDTH, s4), store(out + 5 * WIDTH, s5);                          \
        store(out + 6 * WIDTH, s6), store(out + 7 * WIDTH, s7);                          \
    }                                                                                    \
    static void NAME##_vector(const float *a, int64_t lda, const float *b, int rank,     \
                              float *out)                                                \
    {                                                                                    \
        vec s = all(0);                                                                  \
        for (int k = 0; k < rank; k++)                                                   \
            s = MADD(all(b[k]), load(a + k * lda), s);                                   \
        store(out, s);                                                                   \
    }                                                                                    \
    static void NAME(const float *a, int64_t lda, const float *b, int64_t ldb, int rank, \
                     float *out, int64_t ldo, int64_t rows, int64_t n)                   \
    {                                                                                    \
        int64_t i = 0, n_vectors = n / WIDTH * WIDTH;                                    \
        for (; i + 4 <= rows; i += 4) {                                                  \
            int64_t j = 0;                                                               \
            for (; j + 2 * WIDTH <= n; j += 2 * WIDTH)                                   \
                NAME##_block(a + j, lda, b + i * ldb, ldb, rank, out + i * ldo + j,      \
                             ldo);                                                       \
            for (int64_t r = i; r < i + 4 && j < n_vectors; r++)                         \
                NAME##_vector(a + j, lda, b + r * ldb, rank, out + r * ldo + j);         \
        }                                                                                \
        for (; i < rows; i++) {                                                          \
            int64_t j = 0;                                                               \
            for (; j + 8 * WIDTH <= n; j += 8 * WIDTH)                                   \
                NAME##_row(a + j, lda, b + i * ldb, rank, out + i * ldo + j);            \
            for (; j < n_vectors; j += WIDTH)                                            \
                NAME##_vector(a + j, lda, b + i * ldb, rank, out + i * ldo + j);         \
        }                                                                                \
        for (i = 0; i < rows; i++)                                                       \
            for (int64_t j = n_vectors; j < n; j++) {                                    \
                float s = 0;                                                             \
                for (int k = 0; k < rank; k++)                                           \
                    s = b[i * ldb + k] * a[k * lda + j] + s;                             \
                out[i * ldo + j] = s;                                                    \
            }                                                                            \
    }

LOWRANK(lowrank, plain)
LOWRANK(lowrank_exact, exact)

/* --- elementwise --- */

static void scale(float c, const float *x, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = c * x[i];
}

static void add_scaled(float c, const float *restrict x, float *restrict y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += c * x[i];
}

static void subtract(const float *a, const float *b, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] - b[i];
}

static void multiply(const float *a, const float *b, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] * b[i];
}

static inline float cut01(float v)
{
    v = v < 0.0f ? 0.0f : v;
    return v > 1.0f ? 1.0f : v;
}

static void apply(const float *w, float gain, const float *d, bool clamp, const float *x,
                  float *y, int64_t n)
{
    float flat = clamp ? cut01(gain) : gain;
    if (!d)
        for (int64_t i = 0; i < n; i++)
            y[i] = w[i] + flat * x[i];
    else if (clamp)
        for (int64_t i = 0; i < n; i++)
            y[i] = w[i] + cut01(gain * d[i]) * x[i];
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = w[i] + gain * d[i] * x[i];
}

static void lerp(const float *a, const float *b, float t, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] + t * (b[i] - a[i]);
}

static void blend(const float *a, const float *b, float ca, float cb, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = ca * a[i] + cb * b[i];
}

/* --- Fisher --- */

static void norm_scale(float c, const float *f, float *p, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        p[i] = c * f[i];
}

static void norm_min1(float c, const float *f, float *p, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float v = c * f[i];
        p[i] = v > 1.0f ? 1.0f : v;
    }
}

/* In two steps over a few numbers at a time: each is a loop that the compiler vectorises. */
static void norm_log(double lo, double c, const float *f, float *p, int64_t n)
{
    enum { STEP = 256 };
    float mantissa[STEP];
    int32_t exponent[STEP];
    for (int64_t from = 0; from < n; from += STEP) {
        int64_t m = n - from < STEP ? n - from : STEP;
        for (int64_t i = 0; i < m; i++)
            mantissa[i] = rs_log_split(f[from + i], &exponent[i]);
        for (int64_t i = 0; i < m; i++) {
            float v = cut01((float)((rs_log_join(mantissa[i], exponent[i]) - lo) * c));
            uint32_t keep = 0u - (uint32_t)(f[from + i] > 0.0f);
            p[from + i] = rs_float_of(rs_bits_of(v) & keep);
        }
    }
}

static void damp_ewc(float lambda, const float *p, float *d, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        d[i] = 1.0f / (1.0f + lambda * p[i]);
}

static void damp_one_minus(float a, float keep, const float *p, float *d, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        d[i] = cut01((1.0f - a * p[i]) * keep);
}

static void damp_task(float lambda, const float *f, const float *h, float *d, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float below = h[i] + lambda * f[i];
        float empty = below == 0.0f ? 1.0f : 0.0f; /* 0/0 becomes 0/1 + 1 */
        d[i] = h[i] / (below + empty) + empty;
    }
}

static void damp_hard(float cut, const float *f, float *d, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        d[i] = f[i] >= cut ? 0.0f : 1.0f;
}

/* --- reductions: 16 lanes, whatever the width of a vector --- */

enum { LANES = 16 };

static double join(const double *lane)
{
    double s[LANES];
    memcpy(s, lane, sizeof s);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            s[i] += s[i + half];
    return s[0];
}

/* The lanes of 16 elements; TERM uses i. The rest goes to the first lanes, as it would. */
#define REDUCE(TERM)                                                                     \
    double lane[LANES] = {0};                                                            \
    int64_t base = 0;                                                                    \
    for (; base + LANES <= n; base += LANES)                                             \
        for (int l = 0; l < LANES; l++) {                                                \
            int64_t i = base + l;                                                        \
            lane[l] += (TERM);                                                           \
        }                                                                                \
    for (int l = 0; base + l < n; l++) {                                                 \
        int64_t i = base + l;                                                            \
        lane[l] += (TERM);                                                               \
    }

static double sum(const float *x, int64_t n)
{
    REDUCE((double)x[i])
    return join(lane);
}

static double dot(const float *a, const float *b, int64_t n)
{
    REDUCE((double)a[i] * (double)b[i])
    return join(lane);
}

static double dot3(const float *f, const float *a, const float *b, int64_t n)
{
    REDUCE((double)f[i] * ((double)a[i] * (double)b[i]))
    return join(lane);
}

static double sum_minus(const float *a, const float *b, int64_t n)
{
    REDUCE(((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]))
    return join(lane);
}

static double sum_plus(const float *a, const float *b, int64_t n)
{
    REDUCE(((double)a[i] + (double)b[i]) * ((double)a[i] + (double)b[i]))
    return join(lane);
}

static double sum_mixed(const float *a, const float *b, int64_t n)
{
    REDUCE(((double)a[i] - (double)b[i]) * ((double)a[i] + (double)b[i]))
    return join(lane);
}

static void angle_sums(const float *a, const float *b, int64_t n, double out[3])
{
    out[0] = sum_minus(a, b, n);
    out[1] = sum_plus(a, b, n);
    out[2] = sum_mixed(a, b, n);
}

static float largest(const float *x, int64_t n)
{
    float best = 0;
    for (int64_t i = 0; i < n; i++)
        best = x[i] > best ? x[i] : best;
    return best;
}

/* --- checks --- */

static bool not_finite(const float *x, int64_t n)
{
    uint32_t bad = 0;
    for (int64_t i = 0; i < n; i++)
        bad |= (rs_bits_of(x[i]) & 0x7fffffffu) >= 0x7f800000u;
    return bad != 0;
}

static bool not_finite_bf16(const uint16_t *x, int64_t n)
{
    uint16_t bad = 0;
    for (int64_t i = 0; i < n; i++)
        bad |= (uint16_t)((x[i] & 0x7f80u) == 0x7f80u);
    return bad != 0;
}

static bool not_finite_f16(const uint16_t *x, int64_t n)
{
    uint16_t bad = 0;
    for (int64_t i = 0; i < n; i++)
        bad |= (uint16_t)((x[i] & 0x7c00u) == 0x7c00u);
    return bad != 0;
}

static bool negative(const float *x, int64_t n)
{
    uint32_t bad = 0;
    for (int64_t i = 0; i < n; i++)
        bad |= x[i] < 0.0f;
    return bad != 0;
}

static int64_t differing16(const uint16_t *a, const uint16_t *b, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += a[i] != b[i];
    return count;
}

static int64_t differing32(const uint32_t *a, const uint32_t *b, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += a[i] != b[i];
    return count;
}

extern const rs_merge_kernels RS_ISA_TABLE(rs_merge_kernels);

const rs_merge_kernels RS_ISA_TABLE(rs_merge_kernels) = {
    .lowrank = lowrank,
    .lowrank_exact = lowrank_exact,
    .scale = scale,
    .add_scaled = add_scaled,
    .subtract = subtract,
    .apply = apply,
    .multiply = multiply,
    .lerp = lerp,
    .blend = blend,
    .norm_scale = norm_scale,
    .norm_min1 = norm_min1,
    .norm_log = norm_log,
    .damp_ewc = damp_ewc,
    .damp_one_minus = damp_one_minus,
    .damp_task = damp_task,
    .damp_hard = damp_hard,
    .sum = sum,
    .dot = dot,
    .dot3 = dot3,
    .angle_sums = angle_sums,
    .largest = largest,
    .not_finite = not_finite,
    .not_finite_bf16 = not_finite_bf16,
    .not_finite_f16 = not_finite_f16,
    .negative = negative,
    .differing16 = differing16,
    .differing32 = differing32,
};
