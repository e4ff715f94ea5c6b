/* Widening, rounding and blocks, against twins in double that were written from the
 * formats' definitions, for every instruction set that this processor has. */
#include "tests/t.h"
#include "base/bytes.h"
#include "base/rng.h"
#include "tensor/convert.h"
#include "tensor/runtime.h"

#include <float.h>
#include <stdlib.h>

static const char *const isas[] = {"base", "avx2", "avx512"};
enum { N_ISAS = 3 };

static const rs_kernels *kernels_of(const char *isa)
{
    const rs_kernels *k = NULL;
    return rs_kernels_pick(isa, &k, &t_err) == RS_OK ? k : NULL;
}

static uint32_t bits_of(float f)
{
    uint32_t b;
    memcpy(&b, &f, 4);
    return b;
}

static float float_of(uint32_t b)
{
    float f;
    memcpy(&f, &b, 4);
    return f;
}

/* ---- twins ---- */

/* v to the nearest number with `digits` bits of precision and exponents from `least` up,
 * ties to even; what reaches `limit` is infinite. */
static double nearest(double v, int digits, int least, double limit)
{
    if (v == 0 || !isfinite(v)) return v;
    int e;
    frexp(v, &e); /* v = m 2^e, 0.5 <= m < 1 */
    if (e - 1 < least) e = least + 1;
    double r = ldexp(nearbyint(ldexp(v, digits - e)), e - digits);
    return fabs(r) >= limit ? copysign(INFINITY, v) : r;
}

static double nearest_bf16(double v)
{
    return nearest(v, 8, -126, 0x1p128);
}
static double nearest_f16(double v)
{
    return nearest(v, 11, -14, 65536);
}

static double half_value(uint16_t h)
{
    int e = h >> 10 & 31, m = h & 1023;
    double v = e == 31  ? (m ? NAN : INFINITY)
               : e == 0 ? ldexp(m, -24)
                        : ldexp(1024 + m, e - 25);
    return h & 0x8000 ? -v : v;
}

static bool same(double a, double b)
{
    return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b));
}

/* ---- one at a time ---- */

static void every_half_widens(void)
{
    for (uint32_t h = 0; h < 65536; h++) {
        float f = rs_f16_to_f32((uint16_t)h);
        T_TRUE(same(f, half_value((uint16_t)h)));
        uint16_t back = rs_f16_from_f32(f);
        if (isnan(f))
            T_EQ(back, h | 0x200); /* quiet, sign and payload kept */
        else
            T_EQ(back, h);
    }
}

static void every_bf16_widens(void)
{
    for (uint32_t h = 0; h < 65536; h++) {
        float f = rs_bf16_to_f32((uint16_t)h);
        T_EQ(bits_of(f), h << 16);
        uint16_t back = rs_bf16_from_f32(f);
        if (isnan(f))
            T_EQ(back, h | 0x40);
        else
            T_EQ(back, h);
    }
}

static bool rounds_right(float f)
{
    if (isnan(f))
        return isnan(rs_bf16_to_f32(rs_bf16_from_f32(f))) &&
               isnan(rs_f16_to_f32(rs_f16_from_f32(f)));
    return same(rs_bf16_to_f32(rs_bf16_from_f32(f)), nearest_bf16(f)) &&
           same(rs_f16_to_f32(rs_f16_from_f32(f)), nearest_f16(f));
}

static void floats_round_to_nearest(void)
{
    for (uint64_t i = 0; i < 2000000; i++) {
        uint64_t r = rs_rng_at(1, 2, i);
        T_TRUE(rounds_right(float_of((uint32_t)r)));
        /* halfway cases and their neighbours, in bf16 and in halves */
        uint32_t tie = ((uint32_t)r & 0xffff0000u) | 0x8000u;
        for (int d = -1; d <= 1; d++)
            T_TRUE(rounds_right(float_of(tie + (uint32_t)d)));
        float h = (float)(half_value((uint16_t)r) + ldexp(1, -25));
        for (int d = -1; d <= 1; d++)
            T_TRUE(rounds_right(float_of(bits_of(h) + (uint32_t)d)));
    }
}

static void limits_round(void)
{
    static const struct {
        float v;
        uint16_t bf16, f16;
    } cases[] = {
        {0.0f, 0, 0},
        {-0.0f, 0x8000, 0x8000},
        {1.0f, 0x3f80, 0x3c00},
        {FLT_MAX, 0x7f80, 0x7c00},
        {0x1.fep127f, 0x7f7f, 0x7c00},
        {INFINITY, 0x7f80, 0x7c00},
        {65504.0f, 0x4780, 0x7bff},
        {65519.99f, 0x4780, 0x7bff},
        {65520.0f, 0x4780, 0x7c00},
        {0x1p-24f, 0x3380, 0x0001},
        {0x1p-25f, 0x3300, 0x0000},
        {0x1.000002p-25f, 0x3300, 0x0001},
        {0x1p-149f, 0x0000, 0x0000},
        {0x1p-133f, 0x0001, 0x0000},
        {0x1.8p-14f, 0x38c0, 0x0600},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        T_EQ(rs_bf16_from_f32(cases[i].v), cases[i].bf16);
        T_EQ(rs_f16_from_f32(cases[i].v), cases[i].f16);
    }
    T_EQ(rs_bf16_from_f32(float_of(0x7f800001)), 0x7fc0); /* a NaN, not infinity */
    T_EQ(rs_f16_from_f32(float_of(0xff800001)), 0xfe00);
}

/* ---- blocks ---- */

/* One value of a block as the format defines it; products and sums of two float32 numbers
 * are exact or round harmlessly in double, so each (float) is the one rounding of a step. */
static float scaled(double d, double q)
{
    return (float)(d * q);
}

static void scale_min(const uint8_t *s, int k, double *sc, double *mn)
{
    if (k < 4) {
        *sc = s[k] % 64;
        *mn = s[k + 4] % 64;
    } else {
        *sc = s[k + 4] % 16 + s[k - 4] / 64 * 16;
        *mn = s[k + 4] / 16 + s[k] / 64 * 16;
    }
}

static float twin_simple(rs_dtype t, const uint8_t *b, int v)
{
    double d = half_value(rs_le16(b));
    int j = v % 16, high = v >= 16;
    if (t == RS_DTYPE_Q8_0) return scaled(d, (int8_t)b[2 + v]);
    const uint8_t *qs = b + (t == RS_DTYPE_Q4_0 ? 2 : t == RS_DTYPE_Q5_0 ? 6 : 8);
    int code = high ? qs[j] / 16 : qs[j] % 16;
    if (t == RS_DTYPE_Q4_0) return scaled(d, code - 8);
    uint32_t qh = rs_le32(b + (t == RS_DTYPE_Q5_0 ? 2 : 4));
    if (qh & ((uint32_t)1 << v)) code += 16;
    if (t == RS_DTYPE_Q5_0) return scaled(d, code - 16);
    return (float)((double)scaled(d, code) + half_value(rs_le16(b + 2)));
}

static float twin_k(rs_dtype t, const uint8_t *b, int v)
{
    double sc, mn, d = half_value(rs_le16(b)), dmin = half_value(rs_le16(b + 2));
    int k = v / 32, l = v % 32;
    const uint8_t *qs = b + (t == RS_DTYPE_Q4_K ? 16 : 48) + k / 2 * 32;
    int code = k % 2 ? qs[l] / 16 : qs[l] % 16;
    if (t == RS_DTYPE_Q5_K && b[16 + l] & (1 << k)) code += 16;
    scale_min(b + 4, k, &sc, &mn);
    return (float)((double)scaled(scaled(d, sc), code) - (double)scaled(dmin, mn));
}

static float twin_q6(const uint8_t *b, int v)
{
    int half = v / 128, within = v % 128, quarter = within / 32, l = within % 32;
    uint8_t low = b[64 * half + l + quarter % 2 * 32], high = b[128 + 32 * half + l];
    int code = (quarter < 2 ? low % 16 : low / 16) + 16 * (high >> (2 * quarter) & 3);
    int8_t sc = (int8_t)b[192 + 8 * half + 2 * quarter + l / 16];
    return scaled(scaled(half_value(rs_le16(b + 208)), sc), code - 32);
}

static float twin(rs_dtype t, const uint8_t *b, int v)
{
    if (t == RS_DTYPE_Q6_K) return twin_q6(b, v);
    return t == RS_DTYPE_Q4_K || t == RS_DTYPE_Q5_K ? twin_k(t, b, v)
                                                    : twin_simple(t, b, v);
}

static void fill(uint8_t *p, size_t n, uint64_t stream)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)rs_rng_at(5, stream, i);
}

static void blocks_equal_their_twins(void)
{
    enum { BLOCKS = 400 };
    for (int d = 0; d < RS_N_DTYPES; d++) {
        const rs_dtype_info *t = rs_dtype_of((rs_dtype)d);
        if (!t->is_quantised) continue;
        size_t bytes = BLOCKS * (size_t)t->block_bytes;
        uint8_t *b = malloc(bytes);
        float *y = malloc(BLOCKS * (size_t)t->block * sizeof *y);
        fill(b, bytes, (uint64_t)d);
        for (int i = 0; i < N_ISAS; i++) {
            const rs_kernels *k = kernels_of(isas[i]);
            if (!k) continue;
            rs_to_f32(k, (rs_dtype)d, b, y, (int64_t)BLOCKS * t->block);
            for (int v = 0; v < BLOCKS * t->block; v++)
                if (!same(y[v], twin((rs_dtype)d, b + v / t->block * t->block_bytes,
                                     v % t->block)))
                    T_FAIL("%s of %s, value %d", isas[i], t->name, v);
        }
        free(b);
        free(y);
    }
}

/* ---- many at a time ---- */

static const int64_t sizes[] = {0, 1, 2, 7, 15, 16, 17, 31, 33, 255, 4095, 4096, 4097};
enum { N_SIZES = sizeof sizes / sizeof *sizes, MOST = 4097 };

static void loops_equal_single_conversions(void)
{
    static uint16_t halves[MOST + 1], out16[MOST + 1];
    static float floats[MOST + 1], out32[MOST + 1];
    fill((uint8_t *)halves, sizeof halves, 90);
    fill((uint8_t *)floats, sizeof floats, 91);
    for (int i = 0; i < N_ISAS; i++) {
        const rs_kernels *k = kernels_of(isas[i]);
        if (!k) continue;
        for (int s = 0; s < N_SIZES; s++) {
            int64_t n = sizes[s];
            out32[n] = 77;
            out16[n] = 77;
            rs_to_f32(k, RS_DTYPE_BF16, halves, out32, n);
            for (int64_t j = 0; j < n; j++)
                T_EQ(bits_of(out32[j]), bits_of(rs_bf16_to_f32(halves[j])));
            rs_to_f32(k, RS_DTYPE_F16, halves, out32, n);
            for (int64_t j = 0; j < n; j++)
                T_EQ(bits_of(out32[j]), bits_of(rs_f16_to_f32(halves[j])));
            rs_from_f32(k, RS_DTYPE_BF16, floats, out16, n);
            for (int64_t j = 0; j < n; j++)
                T_EQ(out16[j], rs_bf16_from_f32(floats[j]));
            rs_from_f32(k, RS_DTYPE_F16, floats, out16, n);
            for (int64_t j = 0; j < n; j++)
                T_EQ(out16[j], rs_f16_from_f32(floats[j]));
            rs_from_f32(k, RS_DTYPE_F32, floats, out32, n);
            T_EQ(memcmp(out32, floats, (size_t)n * 4), 0);
            T_TRUE(out32[n] == 77 && out16[n] == 77); /* nothing past the end */
        }
    }
}

#define INTEGER(type, dtype, ...)                                                        \
    do {                                                                                 \
        const type v[] = {__VA_ARGS__};                                                  \
        int64_t n = (int64_t)(sizeof v / sizeof *v);                                     \
        unsigned char raw[256];                                                          \
        memcpy(raw + 1, v, sizeof v); /* not aligned */                                  \
        rs_to_f32(k, dtype, raw + 1, y, n);                                              \
        for (int64_t i = 0; i < n; i++)                                                  \
            T_TRUE(y[i] == (float)v[i]);                                                 \
    } while (0)

static void other_types_widen(void)
{
    const rs_kernels *k = kernels_of("");
    float y[64];
    INTEGER(int8_t, RS_DTYPE_I8, -128, 127, 0);
    INTEGER(uint8_t, RS_DTYPE_U8, 0, 255);
    INTEGER(int16_t, RS_DTYPE_I16, -32768, 32767);
    INTEGER(uint16_t, RS_DTYPE_U16, 65535);
    INTEGER(int32_t, RS_DTYPE_I32, INT32_MIN, INT32_MAX, 16777217);
    INTEGER(uint32_t, RS_DTYPE_U32, UINT32_MAX);
    INTEGER(int64_t, RS_DTYPE_I64, INT64_MIN, (1ll << 53) + 1);
    INTEGER(uint64_t, RS_DTYPE_U64, UINT64_MAX);
    INTEGER(double, RS_DTYPE_F64, 0.1, -1e300, 1e-46, 5e-324);
    const unsigned char flags[] = {0, 1, 255};
    rs_to_f32(k, RS_DTYPE_BOOL, flags, y, 3);
    T_TRUE(y[0] == 0 && y[1] == 1 && y[2] == 1);
}

static void instruction_sets_are_picked(void)
{
    const rs_kernels *k = NULL;
    T_OK(rs_kernels_pick("base", &k, &t_err));
    T_STR(k->isa, "base");
    T_TRUE(k->convert && k->merge && k->linear);
    T_OK(rs_kernels_pick(NULL, &k, &t_err));
    T_FAILS(rs_kernels_pick("mmx", &k, &t_err), RS_E_UNSUPPORTED,
            "\"mmx\" is no instruction set");
}

static void runtime_starts(void)
{
    rs_runtime rt;
    T_OK(rs_init(&(rs_options){.threads = 3, .memory_bytes = 1000, .isa = "base"}, &rt,
                 &t_err));
    T_EQ(rt.threads, 3);
    T_EQ(rt.memory_bytes, 1000);
    T_STR(rt.kernels->isa, "base");
    rs_quit(&rt);
    T_OK(rs_init(NULL, &rt, &t_err));
    T_TRUE(rt.threads >= 1 && rt.memory_bytes > 0);
    rs_quit(&rt);
    T_FAILS(rs_init(&(rs_options){.isa = "vax"}, &rt, &t_err), RS_E_UNSUPPORTED, "vax");
    T_FAILS(rs_init(&(rs_options){.threads = -4}, &rt, &t_err), RS_E_INVALID,
            "-4 threads");
    rs_quit(&rt);
}

static void dtypes_have_names(void)
{
    rs_dtype d;
    uint64_t n;
    for (int i = 0; i < RS_N_DTYPES; i++) {
        T_TRUE(rs_dtype_from_name(rs_dtype_name((rs_dtype)i), &d) && d == (rs_dtype)i);
        int g = rs_dtype_of((rs_dtype)i)->gguf;
        if (g >= 0) T_TRUE(rs_dtype_from_gguf((uint32_t)g, &d) && d == (rs_dtype)i);
    }
    T_TRUE(rs_dtype_from_name("torch.bfloat16", &d) && d == RS_DTYPE_BF16);
    T_TRUE(rs_dtype_from_name("F8_E4M3", &d) && d == RS_DTYPE_F8_E4M3);
    T_TRUE(!rs_dtype_from_name("float128", &d) && !rs_dtype_from_gguf(3, &d));
    T_TRUE(rs_dtype_bytes(RS_DTYPE_Q4_K, 512, &n) && n == 288);
    T_TRUE(!rs_dtype_bytes(RS_DTYPE_Q4_K, 300, &n) &&
           !rs_dtype_bytes(RS_DTYPE_F32, -1, &n));
    T_TRUE(!rs_dtype_bytes(RS_DTYPE_F64, INT64_MAX, &n));
    T_TRUE(!rs_dtype_is_numeric(RS_DTYPE_F8_E5M2) && rs_dtype_is_numeric(RS_DTYPE_Q6_K));
}

T_MAIN(T_TEST(every_half_widens), T_TEST(every_bf16_widens),
       T_TEST(floats_round_to_nearest), T_TEST(limits_round),
       T_TEST(blocks_equal_their_twins), T_TEST(loops_equal_single_conversions),
       T_TEST(other_types_widen), T_TEST(instruction_sets_are_picked),
       T_TEST(runtime_starts), T_TEST(dtypes_have_names))
