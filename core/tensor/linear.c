#include "tensor/linear.h"

#include "tensor/blas.h"
#include "tensor/convert.h"

#include <stddef.h>

enum {
    MATVEC_BYTES = 96 << 10, /* of weights that one chunk reads, at most */
    CHUNKS_PER_THREAD = 4,   /* at least, where the rows suffice */
    THIN_FLOATS = 16 << 10,  /* widened at a time where few tokens share a pass */
    FAST_ROWS = 192,         /* about, for BLAS */
    FAST_TOKENS = 16,        /* from here on BLAS pays */
    CACHE_LINE = 64
};

bool rs_linear_takes(rs_dtype d)
{
    return d == RS_DTYPE_F32 || d == RS_DTYPE_F16 || d == RS_DTYPE_BF16 ||
           rs_dtype_of(d)->is_quantised;
}

/* One rs_linear call. Chunks are numbered over the products one after another. */
typedef struct run {
    const rs_runtime *rt;
    const rs_product *products;
    int count;
    int64_t n;
    bool fast;
    float *scratch;      /* `each` floats a worker */
    int64_t each, total; /* total: chunks */
    int64_t matvec_rows; /* rows of all products, to find the chunk's size */
    int64_t work;        /* multiplications */
} run;

static int64_t row_bytes(const rs_matrix *m)
{
    const rs_dtype_info *info = rs_dtype_of(m->dtype);
    return m->cols / info->block * info->block_bytes;
}

static int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

/* Only matvec's chunks depend on the number of threads: there each row stands alone. */
static int64_t matvec_chunk(const run *u, const rs_matrix *m)
{
    int64_t rows = MATVEC_BYTES / row_bytes(m);
    int64_t fair = u->matvec_rows / (u->rt->threads * CHUNKS_PER_THREAD);
    if (fair < rows) rows = fair;
    return rows < 4 ? 4 : round_up(rows, 4);
}

static int64_t fast_chunk(const rs_matrix *m)
{
    int64_t parts = (m->rows + FAST_ROWS - 1) / FAST_ROWS;
    if (parts > 1 && parts % 2) parts++; /* even, for even shares */
    return round_up((m->rows + parts - 1) / parts, 16);
}

static int64_t thin_chunk(const rs_matrix *m)
{
    int64_t rows = THIN_FLOATS / (m->cols ? m->cols : 1);
    return rows < 2 ? 2 : round_up(rows, 2);
}

static int64_t chunk_rows(const run *u, const rs_matrix *m)
{
    if (u->n == 1) return matvec_chunk(u, m);
    return u->fast ? fast_chunk(m) : thin_chunk(m);
}

const float *rs_matrix_rows(const rs_kernels *k, const rs_matrix *m, int64_t r, int64_t n,
                            float *to)
{
    const char *first = (const char *)m->data + r * row_bytes(m);
    if (m->dtype == RS_DTYPE_F32) return (const float *)(const void *)first;
    rs_to_f32(k, m->dtype, first, to, n * m->cols);
    return to;
}

static void multiply(const run *u, const rs_product *p, int64_t r, int64_t n_rows,
                     int worker)
{
    const rs_linear_kernels *k = u->rt->kernels->linear;
    const rs_matrix *m = p->w;
    float *y = p->y + r;
    if (u->n == 1) {
        k->matvec(m->dtype, (const char *)m->data + r * row_bytes(m), row_bytes(m),
                  n_rows, m->cols, p->x, y);
    } else {
        float *own = u->scratch ? u->scratch + u->each * worker : NULL;
        const float *w = rs_matrix_rows(u->rt->kernels, m, r, n_rows, own);
        if (u->fast)
            rs_blas_abt(u->n, n_rows, m->cols, p->x, p->ldx, w, m->cols, y, p->ldy);
        else
            k->matmul(w, m->cols, n_rows, m->cols, p->x, p->ldx, u->n, y, p->ldy);
    }
    if (p->cap > 0)
        for (int64_t i = 0; i < u->n; i++)
            k->softcap(y + i * p->ldy, p->cap, n_rows);
}

static bool one_chunk(void *ctx, int64_t chunk, int worker)
{
    const run *u = ctx;
    for (int i = 0; i < u->count; i++) {
        const rs_matrix *m = u->products[i].w;
        int64_t rows = chunk_rows(u, m), chunks = (m->rows + rows - 1) / rows;
        if (chunk >= chunks) {
            chunk -= chunks;
            continue;
        }
        int64_t r = chunk * rows, n = m->rows - r < rows ? m->rows - r : rows;
        multiply(u, &u->products[i], r, n, worker);
        break;
    }
    return true;
}

static void plan(run *u)
{
    for (int i = 0; i < u->count; i++)
        u->matvec_rows += u->products[i].w->rows;
    for (int i = 0; i < u->count; i++) {
        const rs_matrix *m = u->products[i].w;
        int64_t rows = chunk_rows(u, m);
        u->total += (m->rows + rows - 1) / rows;
        int64_t floats = u->n == 1 || m->dtype == RS_DTYPE_F32 ? 0 : rows * m->cols;
        if (floats > u->each) u->each = floats;
        u->work += m->rows * m->cols * u->n;
    }
    u->each = round_up(u->each, CACHE_LINE / (int64_t)sizeof(float));
}

rs_status rs_linear(const rs_runtime *rt, rs_linear_mode mode, const rs_product *products,
                    int count, int64_t n, rs_err *err)
{
    if (n <= 0) return RS_OK;
    bool fast = mode == RS_LINEAR_FAST && n >= FAST_TOKENS;
    run u = {.rt = rt, .products = products, .count = count, .n = n, .fast = fast};
    plan(&u);
    if (u.each > 0) {
        int64_t floats = u.each * rt->threads;
        u.scratch = rs_runtime_scratch(rt, floats);
        if (!u.scratch)
            return rs_fail(err, RS_E_NOMEM, "no memory for %lld bytes of widened weights",
                           (long long)floats * (long long)sizeof(float));
    }
    rs_pool_run(rs_pool_worth(rt, u.work), u.total, one_chunk, &u);
    return RS_OK;
}

void rs_linear_row(const rs_kernels *k, const rs_matrix *table, int64_t r, float scale,
                   float *y)
{
    rs_to_f32(k, table->dtype, (const char *)table->data + r * row_bytes(table), y,
              table->cols);
    k->linear->scale(y, scale, table->cols);
}
