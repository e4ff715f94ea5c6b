/* linear_avx2.h - the products of linear.h with AVX2, FMA and F16C; part of isa/linear.c.
 *
 * The 16 partial sums of a row are two registers. Rows are taken four at a time: their chains
 * of additions are independent, and each piece of x is read once for all. A `step` widens one
 * block of one row and multiplies it in; it does what rs_to_f32 does, in the same order. */
#ifndef RS_LINEAR_AVX2_H
#define RS_LINEAR_AVX2_H

#include "tensor/gguf_blocks.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

typedef struct lanes {
    __m256 a, b; /* partial sums 0-7, 8-15 */
} lanes;

INLINE lanes lanes_zero(void)
{
    return (lanes){_mm256_setzero_ps(), _mm256_setzero_ps()};
}

INLINE void mac(lanes *s, __m256 w_a, __m256 w_b, const float *x)
{
    s->a = _mm256_fmadd_ps(w_a, _mm256_loadu_ps(x), s->a);
    s->b = _mm256_fmadd_ps(w_b, _mm256_loadu_ps(x + 8), s->b);
}

/* The order of join() in linear.c. */
INLINE float lanes_join(lanes s)
{
    __m256 eight = _mm256_add_ps(s.a, s.b);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

/* --- steps: one block of one row --- */

typedef void (*step_fn)(lanes *s, const uint8_t *block, const float *x);

INLINE __m256 load_bf16(const uint8_t *p)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

INLINE void step_bf16(lanes *s, const uint8_t *p, const float *x)
{
    mac(s, load_bf16(p), load_bf16(p + 16), x);
}

INLINE __m256 load_f16(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

INLINE void step_f16(lanes *s, const uint8_t *p, const float *x)
{
    mac(s, load_f16(p), load_f16(p + 16), x);
}

INLINE void step_f32(lanes *s, const uint8_t *p, const float *x)
{
    mac(s, _mm256_loadu_ps((const float *)p), _mm256_loadu_ps((const float *)p + 8), x);
}

INLINE float half_at(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return _cvtsh_ss(h);
}

/* Eight signed bytes to floats: the low half of q. */
INLINE __m256 floats_of(__m128i q)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q));
}

INLINE __m128i high_half(__m128i q)
{
    return _mm_unpackhi_epi64(q, q);
}

/* 16 codes times d. */
INLINE void mac_scaled(lanes *s, __m128i q, __m256 d, const float *x)
{
    mac(s, _mm256_mul_ps(floats_of(q), d), _mm256_mul_ps(floats_of(high_half(q)), d), x);
}

/* 16 codes times d plus m. */
INLINE void mac_shifted(lanes *s, __m128i q, __m256 d, __m256 m, const float *x)
{
    __m256 w_a = _mm256_add_ps(_mm256_mul_ps(floats_of(q), d), m);
    __m256 w_b = _mm256_add_ps(_mm256_mul_ps(floats_of(high_half(q)), d), m);
    mac(s, w_a, w_b, x);
}

INLINE __m128i load_16(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

INLINE void step_q8_0(lanes *s, const uint8_t *p, const float *x)
{
    __m256 d = _mm256_set1_ps(half_at(p + RS_Q8_0_D));
    mac_scaled(s, load_16(p + RS_Q8_0_QS), d, x);
    mac_scaled(s, load_16(p + RS_Q8_0_QS + 16), d, x + 16);
}

INLINE __m128i low_nibbles(__m128i q)
{
    return _mm_and_si128(q, _mm_set1_epi8(15));
}

INLINE __m128i high_nibbles(__m128i q)
{
    return low_nibbles(_mm_srli_epi16(q, 4));
}

INLINE void step_q4_0(lanes *s, const uint8_t *p, const float *x)
{
    __m256 d = _mm256_set1_ps(half_at(p + RS_Q4_0_D));
    __m128i q = load_16(p + RS_Q4_0_QS), eight = _mm_set1_epi8(8);
    mac_scaled(s, _mm_sub_epi8(low_nibbles(q), eight), d, x);
    mac_scaled(s, _mm_sub_epi8(high_nibbles(q), eight), d, x + 16);
}

/* Bits 0-15 of `bits` as 16 bytes, all ones where the bit is set. */
INLINE __m128i bytes_of_bits(uint32_t bits)
{
    __m128i pair = _mm_set1_epi16((short)bits);
    __m128i spread = _mm_shuffle_epi8(pair, _mm_set_epi64x(0x0101010101010101, 0));
    __m128i one_bit = _mm_set1_epi64x((long long)0x8040201008040201);
    return _mm_cmpeq_epi8(_mm_and_si128(spread, one_bit), one_bit);
}

INLINE uint32_t u32_at(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* code - 16: where the fifth bit is clear, the high nibble is filled with ones. */
INLINE void step_q5_0(lanes *s, const uint8_t *p, const float *x)
{
    __m256 d = _mm256_set1_ps(half_at(p + RS_Q5_0_D));
    uint32_t high = u32_at(p + RS_Q5_0_QH);
    __m128i q = load_16(p + RS_Q5_0_QS), fill = _mm_set1_epi8((char)0xf0);
    __m128i first = _mm_andnot_si128(bytes_of_bits(high), fill);
    __m128i second = _mm_andnot_si128(bytes_of_bits(high >> 16), fill);
    mac_scaled(s, _mm_or_si128(low_nibbles(q), first), d, x);
    mac_scaled(s, _mm_or_si128(high_nibbles(q), second), d, x + 16);
}

INLINE void step_q5_1(lanes *s, const uint8_t *p, const float *x)
{
    __m256 d = _mm256_set1_ps(half_at(p + RS_Q5_1_D));
    __m256 m = _mm256_set1_ps(half_at(p + RS_Q5_1_M));
    uint32_t high = u32_at(p + RS_Q5_1_QH);
    __m128i q = load_16(p + RS_Q5_1_QS), bit = _mm_set1_epi8(16);
    __m128i first = _mm_and_si128(bytes_of_bits(high), bit);
    __m128i second = _mm_and_si128(bytes_of_bits(high >> 16), bit);
    mac_shifted(s, _mm_or_si128(low_nibbles(q), first), d, m, x);
    mac_shifted(s, _mm_or_si128(high_nibbles(q), second), d, m, x + 16);
}

/* Scales and minima of the eight groups of q4_k and q5_k, multiplied out: d sc and
 * -(dmin mn). Subtracting a product is adding its negative, bit for bit. */
typedef struct k_scales {
    float d[8], m[8];
} k_scales;

INLINE void k_unpack(const uint8_t *p, k_scales *out)
{
    float d = half_at(p + RS_Q4_K_D), dmin = half_at(p + RS_Q4_K_DMIN);
    uint32_t a = u32_at(p + RS_Q4_K_SCALES), b = u32_at(p + RS_Q4_K_SCALES + 4);
    uint32_t c = u32_at(p + RS_Q4_K_SCALES + 8);
    uint32_t sc_low = a & 0x3f3f3f3f, mn_low = b & 0x3f3f3f3f;
    uint32_t sc_high = (c & 0x0f0f0f0f) | (a >> 2 & 0x30303030);
    uint32_t mn_high = (c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030);
    __m128i sc = _mm_set_epi32(0, 0, (int)sc_high, (int)sc_low);
    __m128i mn = _mm_set_epi32(0, 0, (int)mn_high, (int)mn_low);
    _mm256_storeu_ps(out->d, _mm256_mul_ps(floats_of(sc), _mm256_set1_ps(d)));
    _mm256_storeu_ps(out->m, _mm256_mul_ps(floats_of(mn), _mm256_set1_ps(-dmin)));
}

INLINE void step_q4_k(lanes *s, const uint8_t *p, const float *x)
{
    k_scales k;
    k_unpack(p, &k);
    const uint8_t *qs = p + RS_Q4_K_QS;
    for (int g = 0; g < 8; g += 2, qs += 32, x += 64) {
        __m128i q0 = load_16(qs), q1 = load_16(qs + 16);
        __m256 d = _mm256_broadcast_ss(k.d + g), m = _mm256_broadcast_ss(k.m + g);
        mac_shifted(s, low_nibbles(q0), d, m, x);
        mac_shifted(s, low_nibbles(q1), d, m, x + 16);
        d = _mm256_broadcast_ss(k.d + g + 1), m = _mm256_broadcast_ss(k.m + g + 1);
        mac_shifted(s, high_nibbles(q0), d, m, x + 32);
        mac_shifted(s, high_nibbles(q1), d, m, x + 48);
    }
}

/* Bit g of every byte of h as 16 or 0. */
INLINE __m128i fifth_bit(__m128i h, int g)
{
    __m128i bit = _mm_set1_epi8((char)(1 << g));
    __m128i set = _mm_cmpeq_epi8(_mm_and_si128(h, bit), bit);
    return _mm_and_si128(set, _mm_set1_epi8(16));
}

INLINE void step_q5_k(lanes *s, const uint8_t *p, const float *x)
{
    k_scales k;
    k_unpack(p, &k);
    const uint8_t *qs = p + RS_Q5_K_QS;
    __m128i h0 = load_16(p + RS_Q5_K_QH), h1 = load_16(p + RS_Q5_K_QH + 16);
    for (int g = 0; g < 8; g += 2, qs += 32, x += 64) {
        __m128i q0 = load_16(qs), q1 = load_16(qs + 16);
        __m256 d = _mm256_broadcast_ss(k.d + g), m = _mm256_broadcast_ss(k.m + g);
        mac_shifted(s, _mm_or_si128(low_nibbles(q0), fifth_bit(h0, g)), d, m, x);
        mac_shifted(s, _mm_or_si128(low_nibbles(q1), fifth_bit(h1, g)), d, m, x + 16);
        d = _mm256_broadcast_ss(k.d + g + 1), m = _mm256_broadcast_ss(k.m + g + 1);
        mac_shifted(s, _mm_or_si128(high_nibbles(q0), fifth_bit(h0, g + 1)), d, m, x + 32);
        mac_shifted(s, _mm_or_si128(high_nibbles(q1), fifth_bit(h1, g + 1)), d, m, x + 48);
    }
}

/* Bits 2 i, 2 i + 1 of every byte of h, moved to bits 4 and 5. */
INLINE __m128i top_bits(__m128i h, int i)
{
    __m128i moved = i < 2    ? _mm_slli_epi16(h, 4 - 2 * i)
                    : i == 2 ? h
                             : _mm_srli_epi16(h, 2);
    return _mm_and_si128(moved, _mm_set1_epi8(0x30));
}

INLINE void mac_q6(lanes *s, __m128i low, __m128i top, float d, const float *x)
{
    __m128i q = _mm_sub_epi8(_mm_or_si128(low, top), _mm_set1_epi8(32));
    mac_scaled(s, q, _mm256_set1_ps(d), x);
}

INLINE void step_q6_k(lanes *s, const uint8_t *p, const float *x)
{
    float scale[16];
    __m256 d = _mm256_set1_ps(half_at(p + RS_Q6_K_D));
    __m128i sc = load_16(p + RS_Q6_K_SCALES);
    _mm256_storeu_ps(scale, _mm256_mul_ps(floats_of(sc), d));
    _mm256_storeu_ps(scale + 8, _mm256_mul_ps(floats_of(high_half(sc)), d));
    const uint8_t *ql = p + RS_Q6_K_QL, *qh = p + RS_Q6_K_QH;
    const float *e = scale;
    for (int half = 0; half < 2; half++, ql += 64, qh += 32, e += 8, x += 128) {
        __m128i l0 = load_16(ql), l1 = load_16(ql + 16), l2 = load_16(ql + 32);
        __m128i l3 = load_16(ql + 48), h0 = load_16(qh), h1 = load_16(qh + 16);
        mac_q6(s, low_nibbles(l0), top_bits(h0, 0), e[0], x);
        mac_q6(s, low_nibbles(l1), top_bits(h1, 0), e[1], x + 16);
        mac_q6(s, low_nibbles(l2), top_bits(h0, 1), e[2], x + 32);
        mac_q6(s, low_nibbles(l3), top_bits(h1, 1), e[3], x + 48);
        mac_q6(s, high_nibbles(l0), top_bits(h0, 2), e[4], x + 64);
        mac_q6(s, high_nibbles(l1), top_bits(h1, 2), e[5], x + 80);
        mac_q6(s, high_nibbles(l2), top_bits(h0, 3), e[6], x + 96);
        mac_q6(s, high_nibbles(l3), top_bits(h1, 3), e[7], x + 112);
    }
}

/* --- rows --- */

/* The last n < 16 elements of a row of a plain type, filled up with zeros. */
INLINE void step_rest(step_fn step, int bytes, lanes *s, const uint8_t *p, const float *x,
                      int64_t n)
{
    uint8_t wide_w[LANES * sizeof(float)] = {0};
    float wide_x[LANES] = {0};
    memcpy(wide_w, p, (size_t)n * (size_t)bytes / LANES);
    memcpy(wide_x, x, (size_t)n * sizeof *x);
    step(s, wide_w, wide_x);
}

INLINE float one_row(step_fn step, int elements, int bytes, const uint8_t *p, const float *x,
                     int64_t n)
{
    lanes s = lanes_zero();
    int64_t k = 0;
    for (; k + elements <= n; k += elements, p += bytes) step(&s, p, x + k);
    if (elements == LANES && k < n) step_rest(step, bytes, &s, p, x + k, n - k);
    return lanes_join(s);
}

/* elements, bytes: of one step. Unless elements is 16, n_cols is a multiple of it. */
INLINE void rows(step_fn step, int elements, int bytes, const uint8_t *w, int64_t row_bytes,
                 int64_t n_rows, int64_t n_cols, const float *x, float *y)
{
    int64_t r = 0, whole = n_cols / elements * elements;
    for (; r + 4 <= n_rows; r += 4, w += 4 * row_bytes) {
        const uint8_t *p = w;
        lanes s0 = lanes_zero(), s1 = s0, s2 = s0, s3 = s0;
        for (int64_t k = 0; k < whole; k += elements, p += bytes) {
            step(&s0, p, x + k);
            step(&s1, p + row_bytes, x + k);
            step(&s2, p + 2 * row_bytes, x + k);
            step(&s3, p + 3 * row_bytes, x + k);
        }
        if (elements == LANES && whole < n_cols) {
            step_rest(step, bytes, &s0, p, x + whole, n_cols - whole);
            step_rest(step, bytes, &s1, p + row_bytes, x + whole, n_cols - whole);
            step_rest(step, bytes, &s2, p + 2 * row_bytes, x + whole, n_cols - whole);
            step_rest(step, bytes, &s3, p + 3 * row_bytes, x + whole, n_cols - whole);
        }
        y[r] = lanes_join(s0);
        y[r + 1] = lanes_join(s1);
        y[r + 2] = lanes_join(s2);
        y[r + 3] = lanes_join(s3);
    }
    for (; r < n_rows; r++, w += row_bytes) y[r] = one_row(step, elements, bytes, w, x, n_cols);
}

static void matvec(rs_dtype d, const void *w, int64_t row_bytes, int64_t n_rows,
                   int64_t n_cols, const float *x, float *y)
{
    switch (d) {
    case RS_DTYPE_BF16:
        rows(step_bf16, 16, 32, w, row_bytes, n_rows, n_cols, x, y);
        break;
    case RS_DTYPE_F16:
        rows(step_f16, 16, 32, w, row_bytes, n_rows, n_cols, x, y);
        break;
    case RS_DTYPE_F32:
        rows(step_f32, 16, 64, w, row_bytes, n_rows, n_cols, x, y);
        break;
    case RS_DTYPE_Q8_0:
        rows(step_q8_0, 32, 34, w, row_bytes, n_rows, n_cols, x, y);
        break;
    case RS_DTYPE_Q4_0:
        rows(step_q4_0, 32, 18, w, row_bytes, n_rows, n_cols, x, y);
        break;
    case RS_DTYPE_Q5_0:
        rows(step_q5_0, 32, 22, w, row_bytes, n_rows, n_cols, x, y);
        break;
    case RS_DTYPE_Q5_1:
        rows(step_q5_1, 32, 24, w, row_bytes, n_rows, n_cols, x, y);
        break;
    case RS_DTYPE_Q4_K:
        rows(step_q4_k, 256, 144, w, row_bytes, n_rows, n_cols, x, y);
        break;
    case RS_DTYPE_Q5_K:
        rows(step_q5_k, 256, 176, w, row_bytes, n_rows, n_cols, x, y);
        break;
    case RS_DTYPE_Q6_K:
        rows(step_q6_k, 256, 210, w, row_bytes, n_rows, n_cols, x, y);
        break;
    default:
        break; /* rs_linear_takes refuses it */
    }
}

/* --- several rows times several vectors --- */

enum { TILE_W = 2, TILE_X = 3 };

/* nw rows of w times nx rows of x: 2 x 3 fill the registers. */
INLINE void tile(int nw, int nx, const float *w, int64_t ldw, const float *x, int64_t ldx,
                 int64_t n_cols, float *y, int64_t ldy)
{
    lanes s[TILE_W][TILE_X];
    for (int i = 0; i < nw; i++)
        for (int j = 0; j < nx; j++) s[i][j] = lanes_zero();
    int64_t k = 0;
    for (; k + LANES <= n_cols; k += LANES) {
        __m256 a[TILE_W], b[TILE_W];
        for (int i = 0; i < nw; i++) {
            a[i] = _mm256_loadu_ps(w + i * ldw + k);
            b[i] = _mm256_loadu_ps(w + i * ldw + k + 8);
        }
        for (int j = 0; j < nx; j++)
            for (int i = 0; i < nw; i++) mac(&s[i][j], a[i], b[i], x + j * ldx + k);
    }
    for (int i = 0; i < nw; i++)
        for (int j = 0; j < nx; j++) {
            if (k < n_cols)
                step_rest(step_f32, 64, &s[i][j], (const uint8_t *)(w + i * ldw + k),
                          x + j * ldx + k, n_cols - k);
            y[j * ldy + i] = lanes_join(s[i][j]);
        }
}

INLINE void tile_rows(int nx, const float *w, int64_t ldw, int64_t n_rows, int64_t n_cols,
                      const float *x, int64_t ldx, float *y, int64_t ldy)
{
    int64_t r = 0;
    for (; r + TILE_W <= n_rows; r += TILE_W)
        tile(TILE_W, nx, w + r * ldw, ldw, x, ldx, n_cols, y + r, ldy);
    if (r < n_rows) tile(1, nx, w + r * ldw, ldw, x, ldx, n_cols, y + r, ldy);
}

static void matmul(const float *w, int64_t ldw, int64_t n_rows, int64_t n_cols,
                   const float *x, int64_t ldx, int64_t n, float *y, int64_t ldy)
{
    for (; n >= 3; n -= 3, x += 3 * ldx, y += 3 * ldy)
        tile_rows(3, w, ldw, n_rows, n_cols, x, ldx, y, ldy);
    if (n == 2) tile_rows(2, w, ldw, n_rows, n_cols, x, ldx, y, ldy);
    if (n == 1) tile_rows(1, w, ldw, n_rows, n_cols, x, ldx, y, ldy);
}

/* --- weighted sums of rows --- */

/* 16 columns of nx sums. */
INLINE void mix_columns(int nx, const float *v, int64_t ldv, int64_t n_rows, const float *a,
                        int64_t lda, float *y, int64_t ldy)
{
    lanes s[4];
    for (int j = 0; j < nx; j++) s[j] = lanes_zero();
    for (int64_t t = 0; t < n_rows; t++) {
        __m256 v_a = _mm256_loadu_ps(v + t * ldv), v_b = _mm256_loadu_ps(v + t * ldv + 8);
        for (int j = 0; j < nx; j++) {
            __m256 by = _mm256_broadcast_ss(a + j * lda + t);
            s[j].a = _mm256_fmadd_ps(by, v_a, s[j].a);
            s[j].b = _mm256_fmadd_ps(by, v_b, s[j].b);
        }
    }
    for (int j = 0; j < nx; j++) {
        _mm256_storeu_ps(y + j * ldy, s[j].a);
        _mm256_storeu_ps(y + j * ldy + 8, s[j].b);
    }
}

INLINE void mix_some(int nx, const float *v, int64_t ldv, int64_t n_rows, int64_t n_cols,
                     const float *a, int64_t lda, float *y, int64_t ldy)
{
    int64_t c = 0;
    for (; c + LANES <= n_cols; c += LANES)
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
