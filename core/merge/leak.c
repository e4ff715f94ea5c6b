#include "merge/leak.h"

#include "tensor/products.h"

#include <math.h>
#include <stdlib.h>

struct rs_leak {
    const rs_product_kernels *k;
    int64_t rows, cols, rank, piece_rows;
    float *u, *v;                  /* [rows, rank], [cols, rank], or NULL */
    double *inside[RS_LEAK_KINDS]; /* U^T x [rank, cols] */
    double v2[RS_LEAK_KINDS];
    pthread_mutex_t mutex; /* of what follows, and of the sums above */
    pthread_cond_t moved;
    int64_t added;
    bool failed;
};

struct rs_leak_piece {
    rs_leak *leak;
    int64_t number;
    double *inside[RS_LEAK_KINDS]; /* U^T x [rank, cols] of these rows */
    double *along[RS_LEAK_KINDS];  /* x V [piece_rows, rank] */
};

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory to measure a leak");
}

static void free_leak(rs_leak *l)
{
    for (int c = 0; c < RS_LEAK_KINDS; c++)
        free(l->inside[c]);
    free(l->u);
    free(l->v);
    pthread_mutex_destroy(&l->mutex);
    pthread_cond_destroy(&l->moved);
    free(l);
}

static rs_status fill(rs_leak *l, const rs_src_subspace *f, const rs_subspace_entry *e,
                      rs_err *err)
{
    size_t rank = (size_t)l->rank;
    if (e->u) l->u = malloc((size_t)l->rows * rank * sizeof *l->u);
    if (e->v) l->v = malloc((size_t)l->cols * rank * sizeof *l->v);
    bool fine = (!e->u || l->u) && (!e->v || l->v);
    for (int c = 0; c < RS_LEAK_KINDS && e->u; c++) {
        l->inside[c] = calloc((size_t)l->cols * rank, sizeof *l->inside[c]);
        fine = fine && l->inside[c];
    }
    return fine ? rs_subspace_read(f->file, e, l->u, l->v, NULL, err) : no_memory(err);
}

rs_status rs_leak_open(const rs_runtime *rt, const rs_plan *p, int i, rs_leak **out,
                       rs_err *err)
{
    *out = NULL;
    if (p->leak_subspace < 0 || !p->fuel || !rs_node_has_delta(p, p->fuel, i))
        return RS_OK;
    const rs_src_subspace *f = &p->sources->subspaces[p->leak_subspace];
    const rs_subspace_entry *e = f->entry[i];
    const rs_tensor *t = p->sources->base_tensor[i];
    if (!e) return RS_OK;
    rs_leak *l = calloc(1, sizeof *l);
    if (!l) return no_memory(err);
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->moved, NULL);
    l->k = rt->kernels->product;
    l->rows = t->dim[0];
    l->cols = t->dim[1];
    l->rank = e->rank;
    l->piece_rows = l->cols < RS_REDUCE ? RS_REDUCE / l->cols : 1;
    rs_status s = fill(l, f, e, err);
    if (s == RS_OK)
        *out = l;
    else
        free_leak(l);
    return s;
}

int64_t rs_leak_length(const rs_leak *l)
{
    return l->piece_rows * l->cols;
}

static void free_piece(rs_leak_piece *w)
{
    for (int c = 0; c < RS_LEAK_KINDS; c++) {
        free(w->inside[c]);
        free(w->along[c]);
    }
    free(w);
}

rs_status rs_leak_begin(rs_leak *l, int64_t piece, rs_leak_piece **out, rs_err *err)
{
    rs_leak_piece *w = *out = calloc(1, sizeof *w);
    bool fine = w != NULL;
    for (int c = 0; c < RS_LEAK_KINDS && fine; c++) {
        if (l->u) w->inside[c] = calloc((size_t)(l->rank * l->cols), sizeof(double));
        if (l->v) w->along[c] = calloc((size_t)(l->rank * l->piece_rows), sizeof(double));
        fine = (!l->u || w->inside[c]) && (!l->v || w->along[c]);
    }
    if (fine) {
        w->leak = l;
        w->number = piece;
        return RS_OK;
    }
    if (w) free_piece(w);
    *out = NULL;
    pthread_mutex_lock(&l->mutex);
    l->failed = true;
    pthread_cond_broadcast(&l->moved);
    pthread_mutex_unlock(&l->mutex);
    return no_memory(err);
}

void rs_leak_add(rs_leak_piece *w, int kind, int64_t first, int64_t n, const float *x)
{
    const rs_leak *l = w->leak;
    while (n > 0) {
        int64_t row = first / l->cols, col = first % l->cols;
        int64_t width = n < l->cols - col ? n : l->cols - col;
        int64_t rows = col == 0 && n >= l->cols ? n / l->cols : 1;
        double *along = w->along[kind];
        if (along) along += (row - w->number * l->piece_rows) * l->rank;
        if (w->inside[kind])
            l->k->ff(l->u + row * l->rank, 1, l->rank, x, width, w->inside[kind] + col,
                     l->cols, l->rank, width, rows);
        if (along)
            l->k->ff(x, width, 1, l->v + col * l->rank, l->rank, along, l->rank, rows,
                     l->rank, width);
        x += rows * width;
        first += rows * width;
        n -= rows * width;
    }
}

static double squares(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sum;
}

/* With the mutex held, in the piece's turn. */
static void add_up(rs_leak *l, const rs_leak_piece *w)
{
    for (int c = 0; c < RS_LEAK_KINDS; c++) {
        for (int64_t i = 0; w->inside[c] && i < l->rank * l->cols; i++)
            l->inside[c][i] += w->inside[c][i];
        if (w->along[c]) l->v2[c] += squares(w->along[c], l->rank * l->piece_rows);
    }
}

void rs_leak_end(rs_leak_piece *w, bool failed)
{
    rs_leak *l = w->leak;
    pthread_mutex_lock(&l->mutex);
    l->failed |= failed;
    while (!l->failed && l->added < w->number)
        pthread_cond_wait(&l->moved, &l->mutex);
    if (!l->failed) add_up(l, w);
    l->added++;
    pthread_cond_broadcast(&l->moved);
    pthread_mutex_unlock(&l->mutex);
    free_piece(w);
}

void rs_leak_close(rs_leak *l, double u2[RS_LEAK_KINDS], double v2[RS_LEAK_KINDS])
{
    for (int c = 0; c < RS_LEAK_KINDS; c++) {
        u2[c] = l && l->u ? squares(l->inside[c], l->rank * l->cols) : NAN;
        v2[c] = l && l->v ? l->v2[c] : NAN;
    }
    if (l) free_leak(l);
}
