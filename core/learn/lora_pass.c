/* lora_pass.c - an adapter's part of a layer's products, forward and back. The thin
 * products go through BLAS in blocks of fixed size, one thread each, so their sums do not
 * depend on the number of threads. */
#include "learn/lora.h"
#include "learn/work_internal.h"
#include "tensor/blas.h"
#include "tensor/linear.h"

#include <stdlib.h>

enum {
    TOKENS = 64, /* a block of the products that run over tokens */
    ROWS = 128   /* a block of a factor's gradient */
};

typedef struct thin {
    const rs_work *w;
    const rs_lora_pair *p;
    const float *x, *dy;
    float *y, *dx;
    float *low, *back; /* [n, rank] s x A^T, s dy B */
} thin;

static rs_pool *pool_for(const rs_work *w, const rs_lora_pair *p)
{
    return rs_pool_worth(w->rt, w->n * w->lora->rank * (p->rows + p->cols));
}

static int64_t blocks(int64_t n, int64_t size)
{
    return (n + size - 1) / size;
}

static int64_t part(int64_t n, int64_t first, int64_t size)
{
    return n - first < size ? n - first : size;
}

static void lower(const thin *t, int64_t row, int64_t n)
{
    const rs_lora *l = t->w->lora;
    float *low = t->low + row * l->rank;
    rs_blas_abt(n, l->rank, t->p->cols, t->x + row * t->p->cols, t->p->cols, t->p->a,
                t->p->cols, low, l->rank);
    t->w->rt->kernels->linear->scale(low, l->scale, n * l->rank);
}

static bool forward_block(void *ctx, int64_t chunk, int worker)
{
    (void)worker;
    const thin *t = ctx;
    int64_t row = chunk * TOKENS, n = part(t->w->n, row, TOKENS), r = t->w->lora->rank;
    lower(t, row, n);
    rs_blas_add_abt(n, t->p->rows, r, t->low + row * r, r, t->p->b, r,
                    t->y + row * t->p->rows, t->p->rows);
    return true;
}

static bool back_block(void *ctx, int64_t chunk, int worker)
{
    (void)worker;
    const thin *t = ctx;
    const rs_lora_pair *p = t->p;
    int64_t row = chunk * TOKENS, n = part(t->w->n, row, TOKENS), r = t->w->lora->rank;
    float *back = t->back + row * r;
    lower(t, row, n);
    rs_blas_ab(n, r, p->rows, t->dy + row * p->rows, p->rows, p->b, r, 0, back, r);
    t->w->rt->kernels->linear->scale(back, t->w->lora->scale, n * r);
    rs_blas_ab(n, p->cols, r, back, r, p->a, p->cols, 1, t->dx + row * p->cols, p->cols);
    return true;
}

/* Blocks of rows of dB, then of columns of dA. */
static bool gradient_block(void *ctx, int64_t chunk, int worker)
{
    (void)worker;
    const thin *t = ctx;
    const rs_lora_pair *p = t->p;
    int64_t n = t->w->n, r = t->w->lora->rank, of_b = blocks(p->rows, ROWS);
    if (chunk < of_b) {
        int64_t at = chunk * ROWS;
        rs_blas_atb(part(p->rows, at, ROWS), r, n, t->dy + at, p->rows, t->low, r, 1,
                    p->db + at * r, r);
    } else {
        int64_t at = (chunk - of_b) * ROWS;
        rs_blas_atb(r, part(p->cols, at, ROWS), n, t->back, r, t->x + at, p->cols, 1,
                    p->da + at, p->cols);
    }
    return true;
}

void rs_adapt(const rs_work *w, rs_place at, const float *x, float *y)
{
    const rs_lora_pair *p = w->lora ? rs_lora_at(w->lora, at) : NULL;
    if (!p) return;
    thin t = {.w = w, .p = p, .x = x, .y = y, .low = w->low};
    rs_pool_run(pool_for(w, p), blocks(w->n, TOKENS), forward_block, &t);
}

void rs_adapt_back(const rs_work *w, rs_place at, const float *dy, const float *x,
                   float *dx)
{
    const rs_lora_pair *p = w->lora ? rs_lora_at(w->lora, at) : NULL;
    if (!p) return;
    thin t = {.w = w, .p = p, .x = x, .dy = dy, .dx = dx, .low = w->low};
    t.back = w->low + w->room * w->lora->rank;
    rs_pool_run(pool_for(w, p), blocks(w->n, TOKENS), back_block, &t);
    rs_pool_run(pool_for(w, p), blocks(p->rows, ROWS) + blocks(p->cols, ROWS),
                gradient_block, &t);
}

rs_status rs_work_adapt(rs_work *w, rs_lora *l, rs_err *err)
{
    rs_work_keep(w, 0);
    free(w->low);
    w->low = NULL;
    w->lora = NULL;
    if (!l) return RS_OK;
    w->low = malloc((size_t)(2 * w->room * l->rank) * sizeof *w->low);
    if (!w->low) return rs_fail(err, RS_E_NOMEM, "no memory for an adapter's products");
    w->lora = l;
    return RS_OK;
}
