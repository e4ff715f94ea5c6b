/* linear_plain.h - the products of linear.h in plain C; part of isa/linear.c. What they do to
 * the 32 partial sums is the definition that faster forms follow. */
#ifndef RS_LINEAR_PLAIN_H
#define RS_LINEAR_PLAIN_H

enum { PIECE = 256 }; /* elements of a row widened at a time: a whole block of any type */

typedef struct partial {
    float at[LANES];
} partial;

static inline float join(partial *s)
{
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            s->at[i] += s->at[i + width];
    return s->at[0];
}

static void dot_step(partial *s, const float *w, const float *x, int64_t n)
{
    int64_t k = 0;
    for (; k + LANES <= n; k += LANES)
        for (int i = 0; i < LANES; i++)
            s->at[i] += w[k + i] * x[k + i];
    for (; k < n; k++)
        s->at[k % LANES] += w[k] * x[k];
}

static void matmul(const float *w, int64_t ldw, int64_t n_rows, int64_t n_cols,
                   const float *x, int64_t ldx, int64_t n, float *y, int64_t ldy)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t r = 0; r < n_rows; r++) {
            partial s = {{0}};
            dot_step(&s, w + r * ldw, x + i * ldx, n_cols);
            y[i * ldy + r] = join(&s);
        }
}

/* A piece of a row, n a multiple of the block unless it is the last of a plain type. */
static void widen(rs_dtype d, const void *src, float *dst, int64_t n)
{
    const rs_convert_kernels *c = &RS_ISA_TABLE(rs_convert_kernels);
    if (d == RS_DTYPE_BF16)
        c->bf16_to_f32(src, dst, n);
    else if (d == RS_DTYPE_F16)
        c->f16_to_f32(src, dst, n);
    else
        c->dequantise[d](src, dst, n / rs_dtype_of(d)->block);
}

static float dot_stored(rs_dtype d, const char *row, int64_t n_cols, const float *x)
{
    const rs_dtype_info *info = rs_dtype_of(d);
    partial s = {{0}};
    float wide[PIECE];
    for (int64_t k = 0; k < n_cols; k += PIECE) {
        int64_t n = n_cols - k < PIECE ? n_cols - k : PIECE;
        widen(d, row + k / info->block * info->block_bytes, wide, n);
        dot_step(&s, wide, x + k, n);
    }
    return join(&s);
}

static void matvec(rs_dtype d, const void *w, int64_t row_bytes, int64_t n_rows,
                   int64_t n_cols, const float *x, float *y)
{
    if (d == RS_DTYPE_F32) {
        matmul(w, row_bytes / (int64_t)sizeof(float), n_rows, n_cols, x, n_cols, 1, y,
               n_rows);
        return;
    }
    for (int64_t r = 0; r < n_rows; r++)
        y[r] = dot_stored(d, (const char *)w + r * row_bytes, n_cols, x);
}

static void mix_rows(const float *v, int64_t ldv, int64_t n_rows, int64_t n_cols,
                     const float *a, int64_t lda, int64_t n, float *y, int64_t ldy)
{
    for (int64_t i = 0; i < n; i++) {
        float *out = y + i * ldy;
        memset(out, 0, (size_t)n_cols * sizeof *out);
        for (int64_t t = 0; t < n_rows; t++)
            for (int64_t j = 0; j < n_cols; j++)
                out[j] += a[i * lda + t] * v[t * ldv + j];
    }
}

#endif
