/* linear_avx2.h - the products of linear.h with AVX2, FMA and F16C; part of isa/linear.c.
 *
 * The 32 partial sums of a row are four registers. A `step` widens 32 or 256 elements of a row
 * and multiplies them in. It gives what rs_to_f32 gives: a half times an integer of at most 13
 * bits is exact in float32, so code times scale plus offset may be one fused step. Rows are
 * read one after the other: the memory's streams stay long, and are asked for in advance. */
#ifndef RS_LINEAR_AVX2_H
#define RS_LINEAR_AVX2_H

#include "tensor/gguf_blocks.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 4") /* loops of a tile: its sums stay in registers */

enum { AHEAD = 1536 }; /* bytes; measured: more and less are slower */

typedef struct lanes {
    __m256 a, b, c, d; /* partial sums 0-7, 8-15, 16-23, 24-31 */
} lanes;

INLINE lanes lanes_zero(void)
{
    __m256 zero = _mm256_setzero_ps();
    return (lanes){zero, zero, zero, zero};
}

INLINE void mac(__m256 *s, __m256 w, const float *x)
{
    *s = _mm256_fmadd_ps(w, _mm256_loadu_ps(x), *s);
}

/* The order of join() in linear_plain.h, from the sums 16 apart on. */
INLINE float join_16(__m256 a, __m256 b)
{
    __m256 eight = _mm256_add_ps(a, b);
    __m128 four =
        _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

INLINE float lanes_join(lanes s)
{
    return join_16(_mm256_add_ps(s.a, s.c), _mm256_add_ps(s.b, s.d));
}

/* --- steps --- */

typedef void (*step_fn)(lanes *s, const uint8_t *block, const float *x);

INLINE __m256 load_bf16(const uint8_t *p)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

INLINE void step_bf16(lanes *s, const uint8_t *p, const float *x)
{
    mac(&s->a, load_bf16(p), x);
    mac(&s->b, load_bf16(p + 16), x + 8);
    mac(&s->c, load_bf16(p + 32), x + 16);
    mac(&s->d, load_bf16(p + 48), x + 24);
}

INLINE __m256 load_f16(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

INLINE void step_f16(lanes *s, const uint8_t *p, const float *x)
{
    mac(&s->a, load_f16(p), x);
    mac(&s->b, load_f16(p + 16), x + 8);
    mac(&s->c, load_f16(p + 32), x + 16);
    mac(&s->d, load_f16(p + 48), x + 24);
}

INLINE void step_f32(lanes *s, const uint8_t *p, const float *x)
{
    const float *w = (const float *)p;
    mac(&s->a, _mm256_loadu_ps(w), x);
    mac(&s->b, _mm256_loadu_ps(w + 8), x + 8);
    mac(&s->c, _mm256_loadu_ps(w + 16), x + 16);
    mac(&s->d, _mm256_loadu_ps(w + 24), x + 24);
}

/* The half at p in every lane. Eight bytes are read: blocks are longer. */
INLINE __m256 half_at(const uint8_t *p)
{
    return _mm256_broadcastss_ps(_mm_cvtph_ps(_mm_loadl_epi64((const __m128i *)p)));
}

/* Eight bytes as 32-bit integers. */
INLINE __m256i load_u8(const uint8_t *p)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}

/* Eight signed bytes: the low half of q. */
INLINE __m256 floats_of(__m128i q)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q));
}

INLINE __m256 load_i8(const uint8_t *p)
{
    return floats_of(_mm_loadl_epi64((const __m128i *)p));
}

INLINE void step_q8_0(lanes *s, const uint8_t *p, const float *x)
{
    __m256 d = half_at(p + RS_Q8_0_D);
    p += RS_Q8_0_QS;
    mac(&s->a, _mm256_mul_ps(load_i8(p), d), x);
    mac(&s->b, _mm256_mul_ps(load_i8(p + 8), d), x + 8);
    mac(&s->c, _mm256_mul_ps(load_i8(p + 16), d), x + 16);
    mac(&s->d, _mm256_mul_ps(load_i8(p + 24), d), x + 24);
}

INLINE __m256i low_nibbles(__m256i bytes)
{
    return _mm256_and_si256(bytes, _mm256_set1_epi32(15));
}

INLINE __m256i high_nibbles(__m256i bytes)
{
    return _mm256_srli_epi32(bytes, 4);
}

/* code d + m */
INLINE __m256 scaled(__m256i code, __m256 d, __m256 m)
{
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(code), d, m);
}

INLINE void step_q4_0(lanes *s, const uint8_t *p, const float *x)
{
    __m256 d = half_at(p + RS_Q4_0_D), m = _mm256_mul_ps(d, _mm256_set1_ps(-8));
    __m256i q0 = load_u8(p + RS_Q4_0_QS), q1 = load_u8(p + RS_Q4_0_QS + 8);
    mac(&s->a, scaled(low_nibbles(q0), d, m), x);
    mac(&s->b, scaled(low_nibbles(q1), d, m), x + 8);
    mac(&s->c, scaled(high_nibbles(q0), d, m), x + 16);
    mac(&s->d, scaled(high_nibbles(q1), d, m), x + 24);
}

/* All ones in lane i where bit first + i of `bits` is clear. */
INLINE __m256i clear_bits(__m256i bits, int first)
{
    __m256i one = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    __m256i set = _mm256_and_si256(bits, _mm256_slli_epi32(one, first));
    return _mm256_cmpeq_epi32(set, _mm256_setzero_si256());
}

/* code d + m where the lane of `where` is all ones, else code d */
INLINE __m256 scaled_5(__m256i code, __m256 d, __m256 m, __m256i where)
{
    return scaled(code, d, _mm256_and_ps(m, _mm256_castsi256_ps(where)));
}

INLINE int32_t i32_at(const uint8_t *p)
{
    int32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void step_q5_0(lanes *s, const uint8_t *p, const float *x)
{
    __m256 d = half_at(p + RS_Q5_0_D), m = _mm256_mul_ps(d, _mm256_set1_ps(-16));
    __m256i high = _mm256_set1_epi32(i32_at(p + RS_Q5_0_QH));
    __m256i q0 = load_u8(p + RS_Q5_0_QS), q1 = load_u8(p + RS_Q5_0_QS + 8);
    mac(&s->a, scaled_5(low_nibbles(q0), d, m, clear_bits(high, 0)), x);
    mac(&s->b, scaled_5(low_nibbles(q1), d, m, clear_bits(high, 8)), x + 8);
    mac(&s->c, scaled_5(high_nibbles(q0), d, m, clear_bits(high, 16)), x + 16);
    mac(&s->d, scaled_5(high_nibbles(q1), d, m, clear_bits(high, 24)), x + 24);
}

/* The code with 16 added, unless the lane of `where` is all ones. */
INLINE __m256i with_fifth(__m256i code, __m256i where)
{
    return _mm256_or_si256(code, _mm256_andnot_si256(where, _mm256_set1_epi32(16)));
}

INLINE void step_q5_1(lanes *s, const uint8_t *p, const float *x)
{
    __m256 d = half_at(p + RS_Q5_1_D), m = half_at(p + RS_Q5_1_M);
    __m256i high = _mm256_set1_epi32(i32_at(p + RS_Q5_1_QH));
    __m256i q0 = load_u8(p + RS_Q5_1_QS), q1 = load_u8(p + RS_Q5_1_QS + 8);
    mac(&s->a, scaled(with_fifth(low_nibbles(q0), clear_bits(high, 0)), d, m), x);
    mac(&s->b, scaled(with_fifth(low_nibbles(q1), clear_bits(high, 8)), d, m), x + 8);
    mac(&s->c, scaled(with_fifth(high_nibbles(q0), clear_bits(high, 16)), d, m), x + 16);
    mac(&s->d, scaled(with_fifth(high_nibbles(q1), clear_bits(high, 24)), d, m), x + 24);
}

/* Scales and minima of the eight groups of q4_k and q5_k, multiplied out: d sc and
 * -(dmin mn). */
typedef struct k_scales {
    float d[8], m[8];
} k_scales;

INLINE __m256 six_bits(uint32_t low, uint32_t high)
{
    __m128i bytes = _mm_set_epi32(0, 0, (int)high, (int)low);
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}

INLINE void k_unpack(const uint8_t *p, k_scales *out)
{
    __m256 d = half_at(p + RS_Q4_K_D), dmin = half_at(p + RS_Q4_K_DMIN);
    uint32_t a = (uint32_t)i32_at(p + RS_Q4_K_SCALES);
    uint32_t b = (uint32_t)i32_at(p + RS_Q4_K_SCALES + 4);
    uint32_t c = (uint32_t)i32_at(p + RS_Q4_K_SCALES + 8);
    __m256 sc = six_bits(a & 0x3f3f3f3f, (c & 0x0f0f0f0f) | (a >> 2 & 0x30303030));
    __m256 mn = six_bits(b & 0x3f3f3f3f, (c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030));
    __m256 minus = _mm256_xor_ps(dmin, _mm256_set1_ps(-0.0f));
    _mm256_storeu_ps(out->d, _mm256_mul_ps(sc, d));
    _mm256_storeu_ps(out->m, _mm256_mul_ps(mn, minus));
}

INLINE void step_q4_k(lanes *s, const uint8_t *p, const float *x)
{
    k_scales k;
    k_unpack(p, &k);
    const uint8_t *qs = p + RS_Q4_K_QS;
    for (int g = 0; g < 8; g += 2, qs += 32, x += 64) {
        __m256 d = _mm256_broadcast_ss(k.d + g), m = _mm256_broadcast_ss(k.m + g);
        __m256 e = _mm256_broadcast_ss(k.d + g + 1), n = _mm256_broadcast_ss(k.m + g + 1);
        __m256i q0 = load_u8(qs), q1 = load_u8(qs + 8);
        __m256i q2 = load_u8(qs + 16), q3 = load_u8(qs + 24);
        mac(&s->a, scaled(low_nibbles(q0), d, m), x);
        mac(&s->b, scaled(low_nibbles(q1), d, m), x + 8);
        mac(&s->c, scaled(low_nibbles(q2), d, m), x + 16);
        mac(&s->d, scaled(low_nibbles(q3), d, m), x + 24);
        mac(&s->a, scaled(high_nibbles(q0), e, n), x + 32);
        mac(&s->b, scaled(high_nibbles(q1), e, n), x + 40);
        mac(&s->c, scaled(high_nibbles(q2), e, n), x + 48);
        mac(&s->d, scaled(high_nibbles(q3), e, n), x + 56);
    }
}

/* The code with bit g of h as its fifth. */
INLINE __m256i with_bit(__m256i code, __m256i h, int g)
{
    __m256i bit = _mm256_and_si256(_mm256_srli_epi32(h, g), _mm256_set1_epi32(1));
    return _mm256_or_si256(code, _mm256_slli_epi32(bit, 4));
}

INLINE void step_q5_k(lanes *s, const uint8_t *p, const float *x)
{
    k_scales k;
    k_unpack(p, &k);
    const uint8_t *qs = p + RS_Q5_K_QS;
    __m256i h0 = load_u8(p + RS_Q5_K_QH), h1 = load_u8(p + RS_Q5_K_QH + 8);
    __m256i h2 = load_u8(p + RS_Q5_K_QH + 16), h3 = load_u8(p + RS_Q5_K_QH + 24);
    for (int g = 0; g < 8; g += 2, qs += 32, x += 64) {
        __m256 d = _mm256_broadcast_ss(k.d + g), m = _mm256_broadcast_ss(k.m + g);
        __m256 e = _mm256_broadcast_ss(k.d + g + 1), n = _mm256_broadcast_ss(k.m + g + 1);
        __m256i q0 = load_u8(qs), q1 = load_u8(qs + 8);
        __m256i q2 = load_u8(qs + 16), q3 = load_u8(qs + 24);
        mac(&s->a, scaled(with_bit(low_nibbles(q0), h0, g), d, m), x);
        mac(&s->b, scaled(with_bit(low_nibbles(q1), h1, g), d, m), x + 8);
        mac(&s->c, scaled(with_bit(low_nibbles(q2), h2, g), d, m), x + 16);
        mac(&s->d, scaled(with_bit(low_nibbles(q3), h3, g), d, m), x + 24);
        mac(&s->a, scaled(with_bit(high_nibbles(q0), h0, g + 1), e, n), x + 32);
        mac(&s->b, scaled(with_bit(high_nibbles(q1), h1, g + 1), e, n), x + 40);
        mac(&s->c, scaled(with_bit(high_nibbles(q2), h2, g + 1), e, n), x + 48);
        mac(&s->d, scaled(with_bit(high_nibbles(q3), h3, g + 1), e, n), x + 56);
    }
}

/* 32 signed bytes times two scales, 16 each. */
INLINE void mac_i8(lanes *s, __m256i q, const float *d, const float *x)
{
    __m256 d0 = _mm256_broadcast_ss(d), d1 = _mm256_broadcast_ss(d + 1);
    __m128i low = _mm256_castsi256_si128(q), high = _mm256_extracti128_si256(q, 1);
    mac(&s->a, _mm256_mul_ps(floats_of(low), d0), x);
    mac(&s->b, _mm256_mul_ps(floats_of(_mm_unpackhi_epi64(low, low)), d0), x + 8);
    mac(&s->c, _mm256_mul_ps(floats_of(high), d1), x + 16);
    mac(&s->d, _mm256_mul_ps(floats_of(_mm_unpackhi_epi64(high, high)), d1), x + 24);
}

/* Four bits of each byte of q, and above them the two of h that mask leaves; less 32. */
INLINE __m256i six_bit_codes(__m256i q, __m256i h)
{
    __m256i low = _mm256_and_si256(q, _mm256_set1_epi8(15));
    __m256i high = _mm256_and_si256(h, _mm256_set1_epi8(0x30));
    return _mm256_sub_epi8(_mm256_or_si256(low, high), _mm256_set1_epi8(32));
}

INLINE __m256i load_32(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

INLINE void step_q6_k(lanes *s, const uint8_t *p, const float *x)
{
    float d[16];
    uint16_t last; /* d ends the block: half_at would read beyond */
    memcpy(&last, p + RS_Q6_K_D, sizeof last);
    __m256 unit = _mm256_set1_ps(_cvtsh_ss(last));
    _mm256_storeu_ps(d, _mm256_mul_ps(load_i8(p + RS_Q6_K_SCALES), unit));
    _mm256_storeu_ps(d + 8, _mm256_mul_ps(load_i8(p + RS_Q6_K_SCALES + 8), unit));
    const uint8_t *ql = p + RS_Q6_K_QL, *qh = p + RS_Q6_K_QH;
    for (int at = 0; at < 16; at += 8, ql += 64, qh += 32, x += 128) {
        __m256i q0 = load_32(ql), q1 = load_32(ql + 32), h = load_32(qh);
        mac_i8(s, six_bit_codes(q0, _mm256_slli_epi16(h, 4)), d + at, x);
        mac_i8(s, six_bit_codes(q1, _mm256_slli_epi16(h, 2)), d + at + 2, x + 32);
        mac_i8(s, six_bit_codes(_mm256_srli_epi16(q0, 4), h), d + at + 4, x + 64);
        mac_i8(s, six_bit_codes(_mm256_srli_epi16(q1, 4), _mm256_srli_epi16(h, 2)),
               d + at + 6, x + 96);
    }
}

/* --- rows --- */

/* The last n < 32 elements of a row of a plain type, filled up with zeros. */
INLINE void step_rest(step_fn step, int bytes, lanes *s, const uint8_t *p, const float *x,
                      int64_t n)
{
    uint8_t wide_w[LANES * sizeof(float)] = {0};
    float wide_x[LANES] = {0};
    memcpy(wide_w, p, (size_t)n * (size_t)bytes / LANES);
    memcpy(wide_x, x, (size_t)n * sizeof *x);
    step(s, wide_w, wide_x);
}

/* elements, bytes: of one step. Blocks always fill their rows, plain types need not. */
INLINE void rows(step_fn step, bool plain, int elements, int bytes, const uint8_t *w,
                 int64_t row_bytes, int64_t n_rows, int64_t n_cols, const float *x,
                 float *y)
{
    for (int64_t r = 0; r < n_rows; r++, w += row_bytes) {
        const uint8_t *p = w;
        lanes s = lanes_zero();
        int64_t k = 0;
        for (; k + elements <= n_cols; k += elements, p += bytes) {
            for (int at = 0; at < bytes; at += 64)
                _mm_prefetch((const char *)p + AHEAD + at, _MM_HINT_T0);
            step(&s, p, x + k);
        }
        if (plain && k < n_cols) step_rest(step, bytes, &s, p, x + k, n_cols - k);
        y[r] = lanes_join(s);
    }
}

static void matvec(rs_dtype d, const void *w, int64_t row_bytes, int64_t n_rows,
                   int64_t n_cols, const float *x, float *y)
{
    switch (d) {
    case RS_DTYPE_BF16:
        rows(step_bf16, true, 32, 64, w, row_bytes, n_rows, n_cols, x, y);
        break;
    case RS_DTYPE_F16:
        rows(step_f16, true, 32, 64, w, row_bytes, n_rows, n_cols, x, y);
        break;
    case RS_DTYPE_F32:
        rows(step_f32, true, 32, 128, w, row_bytes, n_rows, n_cols, x, y);
        break;
    case RS_DTYPE_Q8_0:
        rows(step_q8_0, false, 32, 34, w, row_bytes, n_rows, n_cols, x, y);
        break;
    case RS_DTYPE_Q4_0:
        rows(step_q4_0, false, 32, 18, w, row_bytes, n_rows, n_cols, x, y);
        break;
    case RS_DTYPE_Q5_0:
        rows(step_q5_0, false, 32, 22, w, row_bytes, n_rows, n_cols, x, y);
        break;
    case RS_DTYPE_Q5_1:
        rows(step_q5_1, false, 32, 24, w, row_bytes, n_rows, n_cols, x, y);
        break;
    case RS_DTYPE_Q4_K:
        rows(step_q4_k, false, 256, 144, w, row_bytes, n_rows, n_cols, x, y);
        break;
    case RS_DTYPE_Q5_K:
        rows(step_q5_k, false, 256, 176, w, row_bytes, n_rows, n_cols, x, y);
        break;
    case RS_DTYPE_Q6_K:
        rows(step_q6_k, false, 256, 210, w, row_bytes, n_rows, n_cols, x, y);
        break;
    default:
        break; /* rs_linear_takes refuses it */
    }
}

/* --- float32 rows times several vectors --- */

enum { TILE = 3 }; /* three dot products at once: their sums fill 12 registers */

/* w0, w1, w2 times x0, x1, x2 one by one, of which either all w or all x are the same. */
INLINE void three_dots(const float *w, int64_t ldw, const float *x, int64_t ldx,
                       int64_t n, float out[TILE])
{
    const float *w1 = w + ldw, *w2 = w1 + ldw, *x1 = x + ldx, *x2 = x1 + ldx;
    lanes s0 = lanes_zero(), s1 = s0, s2 = s0;
    int64_t k = 0;
    for (; k + LANES <= n; k += LANES) {
        step_f32(&s0, (const uint8_t *)(w + k), x + k);
        step_f32(&s1, (const uint8_t *)(w1 + k), x1 + k);
        step_f32(&s2, (const uint8_t *)(w2 + k), x2 + k);
    }
    if (k < n) {
        step_rest(step_f32, 4 * LANES, &s0, (const uint8_t *)(w + k), x + k, n - k);
        step_rest(step_f32, 4 * LANES, &s1, (const uint8_t *)(w1 + k), x1 + k, n - k);
        step_rest(step_f32, 4 * LANES, &s2, (const uint8_t *)(w2 + k), x2 + k, n - k);
    }
    out[0] = lanes_join(s0);
    out[1] = lanes_join(s1);
    out[2] = lanes_join(s2);
}

/* One row of x: rows of w by threes. */
static void one_x(const float *w, int64_t ldw, int64_t n_rows, int64_t n_cols,
                  const float *x, float *y)
{
    int64_t r = 0;
    for (; r + TILE <= n_rows; r += TILE)
        three_dots(w + r * ldw, ldw, x, 0, n_cols, y + r);
    for (; r < n_rows; r++)
        rows(step_f32, true, LANES, 4 * LANES, (const uint8_t *)(w + r * ldw), 0, 1,
             n_cols, x, y + r);
}

static void three_x(const float *w, int64_t ldw, int64_t n_rows, int64_t n_cols,
                    const float *x, int64_t ldx, float *y, int64_t ldy)
{
    for (int64_t r = 0; r < n_rows; r++) {
        float out[TILE];
        three_dots(w + r * ldw, 0, x, ldx, n_cols, out);
        for (int j = 0; j < TILE; j++)
            y[j * ldy + r] = out[j];
    }
}

static void matmul(const float *w, int64_t ldw, int64_t n_rows, int64_t n_cols,
                   const float *x, int64_t ldx, int64_t n, float *y, int64_t ldy)
{
    for (; n >= TILE; n -= TILE, x += TILE * ldx, y += TILE * ldy)
        three_x(w, ldw, n_rows, n_cols, x, ldx, y, ldy);
    for (; n > 0; n--, x += ldx, y += ldy)
        one_x(w, ldw, n_rows, n_cols, x, y);
}

/* --- weighted sums of rows --- */

typedef struct half_lanes {
    __m256 a, b;
} half_lanes;

/* 16 columns of nx sums. */
INLINE void mix_columns(int nx, const float *v, int64_t ldv, int64_t n_rows,
                        const float *a, int64_t lda, float *y, int64_t ldy)
{
    half_lanes s[4];
    UNROLL for (int j = 0; j < nx; j++) s[j].a = s[j].b = _mm256_setzero_ps();
    for (int64_t t = 0; t < n_rows; t++) {
        __m256 v_a = _mm256_loadu_ps(v + t * ldv), v_b = _mm256_loadu_ps(v + t * ldv + 8);
        UNROLL for (int j = 0; j < nx; j++)
        {
            __m256 by = _mm256_broadcast_ss(a + j * lda + t);
            s[j].a = _mm256_fmadd_ps(by, v_a, s[j].a);
            s[j].b = _mm256_fmadd_ps(by, v_b, s[j].b);
        }
    }
    UNROLL for (int j = 0; j < nx; j++)
    {
        _mm256_storeu_ps(y + j * ldy, s[j].a);
        _mm256_storeu_ps(y + j * ldy + 8, s[j].b);
    }
}

INLINE void mix_some(int nx, const float *v, int64_t ldv, int64_t n_rows, int64_t n_cols,
                     const float *a, int64_t lda, float *y, int64_t ldy)
{
    int64_t c = 0;
    for (; c + 16 <= n_cols; c += 16)
        mix_columns(nx, v + c, ldv, n_rows, a, lda, y + c, ldy);
    for (; c < n_cols; c++)
        for (int j = 0; j < nx; j++) {
            float sum = 0;
            for (int64_t t = 0; t < n_rows; t++)
                sum = __builtin_fmaf(a[j * lda + t], v[t * ldv + c], sum);
            y[j * ldy + c] = sum;
        }
}

static void mix_rows(const float *v, int64_t ldv, int64_t n_rows, int64_t n_cols,
                     const float *a, int64_t lda, int64_t n, float *y, int64_t ldy)
{
    for (; n >= 4; n -= 4, a += 4 * lda, y += 4 * ldy)
        mix_some(4, v, ldv, n_rows, n_cols, a, lda, y, ldy);
    for (; n >= 1; n--, a += lda, y += ldy)
        mix_some(1, v, ldv, n_rows, n_cols, a, lda, y, ldy);
}

#endif
