#include "learn/work_internal.h"

#include "tensor/blas.h"
#include "tensor/convert.h"
#include "tensor/linear.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_A_CHUNK = 4,
    FEW_ROWS = 8,
    LINE_FLOATS = 16,
    WIDE_FLOATS = 4 << 20,   /* of a matrix widened at a time */
    LOGIT_FLOATS = 64 << 20, /* of logits at a time */
    PIECE = 1 << 14          /* elements that a thread widens at a time */
};

/* --- memory --- */

typedef struct carver {
    float *base;
    size_t floats;
} carver;

static float *carve(carver *c, int64_t rows, int64_t width)
{
    float *p = c->base ? c->base + c->floats : NULL;
    size_t n = (size_t)rows * (size_t)width;
    c->floats += (n + LINE_FLOATS - 1) / LINE_FLOATS * LINE_FLOATS;
    return p;
}

typedef struct widths {
    int64_t q, k, mlp, head;
} widths;

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static widths widest(const rs_config *c)
{
    widths w = {0, 0, 0, 0};
    for (int i = 0; i < c->n_layers; i++) {
        const rs_layer_config *l = &c->layers[i];
        w.q = larger(w.q, (int64_t)c->n_heads * l->head_dim);
        w.k = larger(w.k, (int64_t)l->n_kv_heads * l->head_dim);
        w.mlp = larger(w.mlp, l->intermediate);
        w.head = larger(w.head, l->head_dim);
    }
    return w;
}

static void carve_forward(rs_work *w, carver *c, const widths *most)
{
    int64_t n = w->room, H = w->c->hidden, P = w->c->ple_width;
    float **const hidden[] = {&w->h1, &w->y_att, &w->x1, &w->h2, &w->y_mlp,
                              &w->x2, &w->y_ple, &w->dh, &w->dy};
    float **const queries[] = {&w->q_raw, &w->q, &w->att, &w->dq, &w->datt};
    float **const keys[] = {&w->k_raw, &w->v_raw, &w->k, &w->v, &w->dk, &w->dv};
    float **const mlp[] = {&w->gate, &w->up, &w->act, &w->dgate, &w->dup, &w->dact};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        *hidden[i] = carve(c, n, H);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        *queries[i] = carve(c, n, most->q);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        *keys[i] = carve(c, n, most->k);
    for (size_t i = 0; i < sizeof mlp / sizeof *mlp; i++)
        *mlp[i] = carve(c, n, larger(most->mlp, P));
    w->ple_raw = carve(c, n, P);
    w->ple_act = carve(c, n, P);
}

static void carve_all(rs_work *w, carver *c)
{
    const struct rs_model_store *s = w->m->store;
    widths most = widest(w->c);
    int64_t n = w->room, all_ple = (int64_t)w->c->ple_width * w->c->n_layers;
    carve_forward(w, c, &most);
    w->rows = carve(c, n, larger(larger(w->c->hidden, most.q), larger(most.k, all_ple)));
    w->dk_head = carve(c, n * w->c->n_heads, most.head);
    w->dv_head = carve(c, n * w->c->n_heads, most.head);
    w->scores = carve(c, w->rt->threads, w->scores_each);
    w->wide = carve(c, 1, w->wide_floats);
    w->logits = carve(c, w->loss_rows, w->c->vocab);
    w->exps = carve(c, w->rt->threads, w->c->vocab);
    w->row_loss = (double *)(void *)carve(c, w->loss_rows, 2);
    for (int i = 0; i < s->n_ropes; i++) {
        float *cosines = carve(c, n, s->ropes[i].n_pairs);
        float *sines = carve(c, n, s->ropes[i].n_pairs);
        if (w->cos) w->cos[i] = cosines, w->sin[i] = sines;
    }
}

static void set_sizes(rs_work *w)
{
    const rs_config *c = w->c;
    int64_t cols = larger(c->hidden, (int64_t)c->n_heads * widest(c).head);
    for (int i = 0; i < c->n_layers; i++)
        cols = larger(cols, c->layers[i].intermediate);
    w->wide_floats = larger(WIDE_FLOATS, cols);
    int64_t floats = (int64_t)(w->rt->memory_bytes / (16 * sizeof(float)));
    if (floats > LOGIT_FLOATS) floats = LOGIT_FLOATS;
    w->loss_rows = larger(1, floats / c->vocab);
    if (w->loss_rows > w->room) w->loss_rows = w->room;
    w->scores_each = 3 * RS_QUERY_BLOCK * w->room;
}

static rs_status allocate(rs_work *w, rs_err *err)
{
    set_sizes(w);
    if (widest(w->c).head > RS_MAX_HEAD_DIM)
        return rs_fail(err, RS_E_UNSUPPORTED, "heads of %" PRId64 " numbers, at most %d",
                       widest(w->c).head, RS_MAX_HEAD_DIM);
    carver count = {NULL, 0};
    carve_all(w, &count);
    size_t ropes = (size_t)w->m->store->n_ropes;
    w->cos = calloc(2 * ropes + 1, sizeof *w->cos);
    w->memory = aligned_alloc(64, (count.floats + LINE_FLOATS) * sizeof(float));
    if (!w->memory || !w->cos)
        return rs_fail(err, RS_E_NOMEM,
                       "no memory for the insides of a layer at %" PRId64 " tokens",
                       w->room);
    w->sin = w->cos + ropes;
    carver give = {w->memory, 0};
    carve_all(w, &give);
    return RS_OK;
}

static void fill_angles(void *ctx, int64_t row)
{
    rs_work *w = ctx;
    const struct rs_model_store *s = w->m->store;
    for (int i = 0; i < s->n_ropes; i++) {
        int64_t pairs = s->ropes[i].n_pairs;
        rs_rope_angles(&s->ropes[i], row, w->cos[i] + row * pairs,
                       w->sin[i] + row * pairs);
    }
}

uint64_t rs_work_bytes(const rs_runtime *rt, const rs_model *m, int64_t n)
{
    rs_work w = {.rt = rt, .m = m, .c = m->config, .room = n};
    set_sizes(&w);
    carver count = {NULL, 0};
    carve_all(&w, &count);
    return (uint64_t)count.floats * sizeof(float);
}

rs_status rs_work_new(const rs_runtime *rt, const rs_model *m, int64_t n, rs_work **out,
                      rs_err *err)
{
    *out = NULL;
    rs_work *w = calloc(1, sizeof *w);
    if (!w) return rs_fail(err, RS_E_NOMEM, "no memory for a backward pass");
    w->rt = rt;
    w->m = m;
    w->c = m->config;
    w->room = n;
    rs_status s = allocate(w, err);
    if (s != RS_OK) {
        rs_work_free(w);
        return s;
    }
    rs_each_row(rt, n, fill_angles, w);
    *out = w;
    return RS_OK;
}

void rs_work_free(rs_work *w)
{
    if (!w) return;
    free(w->memory);
    free(w->low);
    free(w->cos);
    free(w);
}

/* --- rows --- */

typedef struct row_run {
    void (*fn)(void *ctx, int64_t row);
    void *ctx;
    int64_t n;
} row_run;

static bool row_chunk(void *ctx, int64_t chunk, int worker)
{
    (void)worker;
    const row_run *r = ctx;
    int64_t end = (chunk + 1) * ROWS_A_CHUNK;
    for (int64_t i = chunk * ROWS_A_CHUNK; i < end && i < r->n; i++)
        r->fn(r->ctx, i);
    return true;
}

void rs_each_row(const rs_runtime *rt, int64_t n, void (*fn)(void *ctx, int64_t row),
                 void *ctx)
{
    row_run r = {fn, ctx, n};
    rs_pool_run(n < FEW_ROWS ? NULL : rt->pool, (n + ROWS_A_CHUNK - 1) / ROWS_A_CHUNK,
                row_chunk, &r);
}

/* --- products --- */

rs_status rs_apply(rs_work *w, const rs_matrix *m, const float *x, float *y, rs_err *err)
{
    rs_product p = {m, x, y, m->cols, m->rows, 0};
    return rs_linear(w->rt, RS_LINEAR_FAST, &p, 1, w->n, err);
}

typedef struct widening {
    const rs_kernels *k;
    rs_dtype dtype;
    const char *from;
    float *to;
    int64_t n; /* elements, a whole number of blocks */
} widening;

static bool widen_piece(void *ctx, int64_t chunk, int worker)
{
    (void)worker;
    const widening *w = ctx;
    const rs_dtype_info *info = rs_dtype_of(w->dtype);
    int64_t first = chunk * PIECE, n = w->n - first < PIECE ? w->n - first : PIECE;
    rs_to_f32(w->k, w->dtype, w->from + first / info->block * info->block_bytes,
              w->to + first, n);
    return true;
}

/* Rows [r, r + n) of m in float32: where they lie, or widened into the work's piece. */
static const float *wide_rows(rs_work *w, const rs_matrix *m, int64_t r, int64_t n)
{
    const rs_dtype_info *info = rs_dtype_of(m->dtype);
    const char *from =
        (const char *)m->data + r * (m->cols / info->block * info->block_bytes);
    if (m->dtype == RS_DTYPE_F32) return (const float *)(const void *)from;
    widening job = {w->rt->kernels, m->dtype, from, w->wide, n * m->cols};
    rs_pool_run(w->rt->pool, (job.n + PIECE - 1) / PIECE, widen_piece, &job);
    return w->wide;
}

void rs_apply_back(rs_work *w, const rs_matrix *m, const float *dy, float beta, float *dx)
{
    int64_t rows = m->dtype == RS_DTYPE_F32 ? m->rows : w->wide_floats / m->cols;
    for (int64_t r = 0; r < m->rows; r += rows) {
        int64_t n = m->rows - r < rows ? m->rows - r : rows;
        const float *wide = wide_rows(w, m, r, n);
        rs_blas_threads(w->rt->threads);
        rs_blas_ab(w->n, m->cols, n, dy + r, m->rows, wide, m->cols, r ? 1 : beta, dx,
                   m->cols);
        rs_blas_threads(1);
    }
}
