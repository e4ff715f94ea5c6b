#include "learn/work_internal.h"

#include "tensor/blas.h"
#include "tensor/linear.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    WIDE_FLOATS = 4 << 20,   /* of a matrix widened at a time */
    LOGIT_FLOATS = 32 << 20, /* of logits at a time */
    BACK_COLUMNS = 320       /* about, of a product on the way back that a thread takes */
};

/* --- memory --- */

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void carve_each(float **const *all, size_t count, int64_t n, int64_t width,
                       rs_carver *c)
{
    for (size_t i = 0; i < count; i++)
        *all[i] = rs_carve(c, n, width);
}

#define CARVE(list, n, width, c) carve_each(list, sizeof list / sizeof *list, n, width, c)

/* What forward leaves and backward reads. */
static void carve_forward(rs_work *w, rs_carver *c, const rs_widths *most)
{
    int64_t n = w->room, P = w->c->ple_width;
    float **const hidden[] = {&w->h1,    &w->y_att, &w->x1,   &w->h2,
                              &w->y_mlp, &w->x2,    &w->y_ple};
    float **const queries[] = {&w->q_raw, &w->q, &w->att};
    float **const keys[] = {&w->k_raw, &w->v_raw, &w->k, &w->v};
    float **const mlp[] = {&w->gate, &w->up, &w->act};
    float **const ple[] = {&w->ple_raw, &w->ple_act};
    CARVE(hidden, n, w->c->hidden, c);
    CARVE(queries, n, most->queries, c);
    CARVE(keys, n, most->keys, c);
    CARVE(mlp, n, most->mlp, c);
    CARVE(ple, n, P, c);
}

static void carve_backward(rs_work *w, rs_carver *c, const rs_widths *most)
{
    int64_t n = w->room, P = w->c->ple_width;
    float **const hidden[] = {&w->dh, &w->dy};
    float **const queries[] = {&w->dq, &w->datt};
    float **const keys[] = {&w->dk, &w->dv};
    float **const mlp[] = {&w->dgate, &w->dup, &w->dact};
    CARVE(hidden, n, w->c->hidden, c);
    CARVE(queries, n, most->queries, c);
    CARVE(keys, n, most->keys, c);
    CARVE(mlp, n, larger(most->mlp, P), c);
}

static void carve_all(rs_work *w, rs_carver *c)
{
    rs_widths most = rs_config_widest(w->c);
    int64_t n = w->room, all_ple = (int64_t)w->c->ple_width * w->c->n_layers;
    carve_forward(w, c, &most);
    carve_backward(w, c, &most);
    w->rows = rs_carve(c, n, larger(larger(w->c->hidden, most.head), all_ple));
    w->dk_head = rs_carve(c, n * w->c->n_heads, most.head);
    w->dv_head = rs_carve(c, n * w->c->n_heads, most.head);
    w->scores = rs_carve(c, w->rt->threads, w->scores_each);
    w->wide = rs_carve(c, 1, w->wide_floats);
    w->logits = rs_carve(c, w->loss_rows, w->c->vocab);
    w->exps = rs_carve(c, w->rt->threads, w->c->vocab);
    w->row_loss = (double *)(void *)rs_carve(c, w->loss_rows, 2);
    rs_rope_carve(w->m->store, n, c, w->cos, w->sin);
}

/* Rows of logits at a time are the vocabulary's alone: bits of a sum depend on them, so
 * the memory there is may not. */
static void set_sizes(rs_work *w)
{
    const rs_config *c = w->c;
    rs_widths most = rs_config_widest(c);
    w->wide_floats =
        larger(larger(WIDE_FLOATS, c->hidden), larger(most.queries, most.mlp));
    w->loss_rows = larger(1, LOGIT_FLOATS / c->vocab);
    if (w->loss_rows > w->room) w->loss_rows = w->room;
    w->scores_each = 3 * RS_QUERY_BLOCK * w->room;
}

static rs_status allocate(rs_work *w, rs_err *err)
{
    set_sizes(w);
    int64_t head = rs_config_widest(w->c).head;
    if (head > RS_MAX_HEAD_DIM)
        return rs_fail(err, RS_E_UNSUPPORTED, "heads of %" PRId64 " numbers, at most %d",
                       head, RS_MAX_HEAD_DIM);
    rs_carver c = {0};
    carve_all(w, &c);
    size_t ropes = (size_t)w->m->store->n_ropes;
    w->cos = calloc(2 * ropes + 1, sizeof *w->cos);
    w->memory = rs_carver_open(&c);
    if (!w->memory || !w->cos)
        return rs_fail(err, RS_E_NOMEM,
                       "no memory for the insides of a layer at %" PRId64 " tokens",
                       w->room);
    w->sin = w->cos + ropes;
    carve_all(w, &c);
    return RS_OK;
}

static void fill_angles(void *ctx, int64_t row)
{
    const rs_work *w = ctx;
    rs_rope_angles(w->m->store, row, row, w->cos, w->sin);
}

uint64_t rs_work_bytes(const rs_runtime *rt, const rs_model *m, int64_t n)
{
    rs_work w = {.rt = rt, .m = m, .c = m->config, .room = n};
    set_sizes(&w);
    rs_carver c = {0};
    carve_all(&w, &c);
    return rs_carver_bytes(&c);
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

/* --- insides that are kept --- */

static void drop_kept(rs_work *w)
{
    for (int i = 0; w->kept && i < w->c->n_layers; i++) {
        if (w->kept[i]) free(w->kept[i]->memory);
        free(w->kept[i]);
    }
    free(w->kept);
    w->kept = NULL;
}

/* The work itself, but for what forward leaves; NULL: no memory. */
static rs_work *twin_of(const rs_work *w)
{
    rs_widths most = rs_config_widest(w->c);
    rs_carver c = {0};
    rs_work *twin = malloc(sizeof *twin);
    if (!twin) return NULL;
    *twin = *w;
    twin->kept = NULL;
    carve_forward(twin, &c, &most);
    twin->memory = rs_carver_open(&c);
    if (!twin->memory) return free(twin), NULL;
    carve_forward(twin, &c, &most);
    return twin;
}

void rs_work_keep(rs_work *w, uint64_t bytes)
{
    rs_widths most = rs_config_widest(w->c);
    rs_carver c = {0};
    rs_work counted = *w;
    carve_forward(&counted, &c, &most);
    drop_kept(w);
    w->kept = calloc((size_t)w->c->n_layers, sizeof *w->kept);
    for (int i = w->c->n_layers - 1; w->kept && i >= 0; i--) {
        if (bytes < rs_carver_bytes(&c) || !(w->kept[i] = twin_of(w))) break;
        bytes -= rs_carver_bytes(&c);
    }
}

rs_work *rs_work_for(rs_work *w, int layer)
{
    return w->kept && w->kept[layer] ? w->kept[layer] : w;
}

void rs_work_free(rs_work *w)
{
    if (!w) return;
    drop_kept(w);
    free(w->memory);
    free(w->low);
    free(w->cos);
    free(w);
}

/* --- products --- */

rs_status rs_apply(rs_work *w, const rs_matrix *m, const float *x, float *y, rs_err *err)
{
    rs_product p = {m, x, y, m->cols, m->rows, 0};
    return rs_linear(w->rt, RS_LINEAR_FAST, &p, 1, w->n, err);
}

typedef struct widening {
    const rs_work *w;
    const rs_matrix *m;
    int64_t first;
} widening;

static void widen_row(void *ctx, int64_t row)
{
    const widening *j = ctx;
    rs_matrix_rows(j->w->rt->kernels, j->m, j->first + row, 1,
                   j->w->wide + row * j->m->cols);
}

/* Rows [first, first + n) of m in float32: where they lie, or widened into the work's
 * piece. */
static const float *wide_rows(rs_work *w, const rs_matrix *m, int64_t first, int64_t n)
{
    const rs_kernels *k = w->rt->kernels;
    if (m->dtype == RS_DTYPE_F32) return rs_matrix_rows(k, m, first, n, NULL);
    widening j = {w, m, first};
    rs_each_row(w->rt, n, widen_row, &j);
    return w->wide;
}

/* dx [n, cols] = beta dx + dy [n, rows] w, a block of columns for a thread. */
typedef struct going_back {
    int64_t n, rows, cols, ldy, block;
    const float *dy, *wide;
    float *dx, beta;
} going_back;

static bool back_block(void *ctx, int64_t chunk, int worker)
{
    (void)worker;
    const going_back *b = ctx;
    int64_t at = chunk * b->block, n = b->cols - at < b->block ? b->cols - at : b->block;
    rs_blas_ab(b->n, n, b->rows, b->dy, b->ldy, b->wide + at, b->cols, b->beta,
               b->dx + at, b->cols);
    return true;
}

/* An even number of blocks, for even shares. */
static int64_t back_columns(int64_t cols)
{
    int64_t parts = (cols + BACK_COLUMNS - 1) / BACK_COLUMNS;
    if (parts > 1 && parts % 2) parts++;
    return ((cols + parts - 1) / parts + 15) / 16 * 16;
}

/* Blocks are the same for any number of threads, so the sums are, too; and the library's
 * own threads, which wait for each other by spinning, stay out of it. */
void rs_apply_back(rs_work *w, const rs_matrix *m, const float *dy, float beta, float *dx)
{
    int64_t rows = m->dtype == RS_DTYPE_F32 ? m->rows : w->wide_floats / m->cols;
    for (int64_t r = 0; r < m->rows; r += rows) {
        int64_t n = m->rows - r < rows ? m->rows - r : rows;
        const float *wide = wide_rows(w, m, r, n);
        going_back b = {w->n,   n,    m->cols, m->rows,     back_columns(m->cols),
                        dy + r, wide, dx,      r ? 1 : beta};
        rs_pool_run(rs_pool_worth(w->rt, w->n * n * m->cols),
                    (m->cols + b.block - 1) / b.block, back_block, &b);
    }
}
