#include "learn/fisher_internal.h"

#include "model/model_internal.h"
#include "tensor/blas.h"
#include "tensor/linear.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_FLOATS = 1 << 16 }; /* of a gradient at a time: it stays in the cache */

static int64_t padded(int64_t n)
{
    return (n + 15) / 16 * 16;
}

static rs_sum *sum_of(rs_sums *s, const rs_slot *slot)
{
    return &s->of[slot - rs_family_slots(s->c, s->layer)];
}

static int64_t block_rows(const rs_sum *u)
{
    return BLOCK_FLOATS / u->cols > 1 ? BLOCK_FLOATS / u->cols : 1;
}

/* Floats for each thread: a block of the gradient, or their part of the squares. */
static int64_t scratch_for(const rs_sums *s, const rs_sum *u)
{
    if (s->kind == RS_FISHER_SEQUENCE) return padded(block_rows(u) * u->cols);
    return padded((u->rows + u->cols) * s->room / s->rt->threads + 1);
}

/* Sizes of what is wanted; hands out memory where there is some. */
static int64_t lay_out(rs_sums *s, const rs_run *r, float *memory)
{
    int64_t at = 0;
    for (const rs_slot *slot = rs_family_slots(r->c, s->layer); slot->tail; slot++) {
        int i_out = rs_run_output(r, s->layer, slot);
        if (i_out < 0 || rs_is_table(s->layer, slot)) continue;
        rs_sum *u = sum_of(s, slot);
        bool vector = slot->cols == RS_SIZE_NONE;
        u->i_out = i_out;
        u->rows = rs_slot_size(r->c, s->layer, slot->rows);
        u->cols = rs_slot_size(r->c, s->layer, slot->cols);
        if (memory) u->acc = memory + at;
        at += padded(u->rows * u->cols);
        if (vector && s->kind == RS_FISHER_SEQUENCE) {
            if (memory) u->one = memory + at;
            at += padded(u->rows);
        }
        int64_t scratch = vector ? 0 : scratch_for(s, u);
        if (scratch > s->scratch_each) s->scratch_each = scratch;
    }
    return at;
}

static rs_sums empty(const rs_run *r, int layer)
{
    rs_sums s = {.rt = r->rt,
                 .c = r->c,
                 .kind = r->o->kind,
                 .layer = layer,
                 .room = r->s->room};
    for (int i = 0; i < RS_MAX_SLOTS; i++)
        s.of[i].i_out = -1;
    return s;
}

uint64_t rs_sums_need(const rs_run *r, int layer)
{
    rs_sums s = empty(r, layer);
    int64_t floats = lay_out(&s, r, NULL);
    return (uint64_t)(floats + s.scratch_each * r->rt->threads) * sizeof(float);
}

rs_status rs_sums_open(rs_sums *s, const rs_run *r, int layer, rs_err *err)
{
    *s = empty(r, layer);
    int64_t floats = lay_out(s, r, NULL);
    s->memory = calloc((size_t)floats + 1, sizeof *s->memory);
    s->scratch =
        malloc((size_t)(s->scratch_each * r->rt->threads + 1) * sizeof *s->scratch);
    if (!s->memory || !s->scratch) {
        rs_sums_close(s);
        return rs_fail(err, RS_E_NOMEM, "no memory for the Fisher of a layer");
    }
    lay_out(s, r, s->memory);
    return RS_OK;
}

void rs_sums_close(rs_sums *s)
{
    free(s->memory);
    free(s->scratch);
    s->memory = s->scratch = NULL;
}

static rs_sum *sum_at(rs_sums *s, rs_place at)
{
    const rs_slot *slot = rs_slot_at(s->c, at.layer, at.offset);
    rs_sum *u = slot && at.layer == s->layer ? sum_of(s, slot) : NULL;
    return u && u->i_out >= 0 ? u : NULL;
}

/* --- kind sequence: blocks of rows of dy^T x, squared while they are in the cache --- */

typedef struct squaring {
    rs_sums *s;
    rs_sum *u;
    const float *dy, *x;
    int64_t ldy, ldx, n, rows;
} squaring;

static bool square_block(void *ctx, int64_t chunk, int worker)
{
    const squaring *q = ctx;
    float *g = q->s->scratch + worker * q->s->scratch_each;
    int64_t first = chunk * q->rows, cols = q->u->cols;
    int64_t rows = q->u->rows - first < q->rows ? q->u->rows - first : q->rows;
    rs_blas_atb(rows, cols, q->n, q->dy + first, q->ldy, q->x, q->ldx, 0, g, cols);
    q->s->rt->kernels->linear->add_squares(q->u->acc + first * cols, g, rows * cols);
    return true;
}

static void add_sequence(squaring *q)
{
    q->rows = block_rows(q->u);
    rs_pool_run(q->s->rt->pool, (q->u->rows + q->rows - 1) / q->rows, square_block, q);
}

/* --- kind position: (dy^2)^T (x^2) --- */

static void square_rows(const float *from, int64_t ld, int64_t n, int64_t width,
                        float *to)
{
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < width; i++)
            to[t * width + i] = from[t * ld + i] * from[t * ld + i];
}

static void add_positions(squaring *q)
{
    float *dy = q->s->scratch, *x = dy + q->n * q->u->rows;
    square_rows(q->dy, q->ldy, q->n, q->u->rows, dy);
    square_rows(q->x, q->ldx, q->n, q->u->cols, x);
    rs_blas_spread_atb(q->s->rt->threads, q->u->rows, q->u->cols, q->n, dy, q->u->rows, x,
                       q->u->cols, 1, q->u->acc, q->u->cols);
}

/* --- the sink --- */

static rs_status take_matrix(void *ctx, rs_place at, const float *dy, int64_t ldy,
                             const float *x, int64_t ldx, int64_t n, rs_err *err)
{
    (void)err;
    rs_sums *s = ctx;
    squaring q = {s, sum_at(s, at), dy, x, ldy, ldx, n, 0};
    if (!q.u) return RS_OK;
    if (s->kind == RS_FISHER_POSITION)
        add_positions(&q);
    else
        add_sequence(&q);
    return RS_OK;
}

static rs_status take_vector(void *ctx, rs_place at, const float *rows, int64_t n,
                             int64_t width, rs_err *err)
{
    (void)err;
    rs_sums *s = ctx;
    rs_sum *u = sum_at(s, at);
    const rs_linear_kernels *k = s->rt->kernels->linear;
    for (int64_t t = 0; u && t < n; t++) {
        if (s->kind == RS_FISHER_POSITION)
            k->add_squares(u->acc, rows + t * width, width);
        else
            k->add(u->one, rows + t * width, width);
    }
    return RS_OK;
}

/* Tables are done by rows at the end: of lookups nothing is taken. */
rs_sink rs_sums_sink(rs_sums *s)
{
    rs_sink sink = rs_sink_none();
    sink.ctx = s;
    sink.matrix = take_matrix;
    sink.vector = take_vector;
    return sink;
}

void rs_sums_end_sequence(rs_sums *s)
{
    for (int i = 0; i < RS_MAX_SLOTS; i++) {
        rs_sum *u = &s->of[i];
        if (!u->one) continue;
        s->rt->kernels->linear->add_squares(u->acc, u->one, u->rows);
        memset(u->one, 0, (size_t)u->rows * sizeof *u->one);
    }
}

rs_status rs_sums_write(rs_sums *s, const rs_run *r, rs_err *err)
{
    for (int i = 0; i < RS_MAX_SLOTS; i++)
        if (s->of[i].i_out >= 0)
            RS_TRY(rs_run_write(r, s->of[i].i_out, 0, s->of[i].acc,
                                s->of[i].rows * s->of[i].cols, err));
    return RS_OK;
}
