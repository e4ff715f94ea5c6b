/* Subspace masks on a stage's change (docs/method.md, "Subspaces"): P(X) = X - L R with
 *     out    L = U              R = k U^T X
 *     in     L = k X V          R = V^T
 *     block  L = U              R = k (U^T X V) V^T
 *     both   L = [U | k X V]    R = [k U^T X - k^2 (U^T X V) V^T ; V^T]
 * X the averaged, scaled delta, or what dampening left of it. U^T X and X V are sums over the
 * whole tensor, so L and R are made once, before its tiles: by every thread that needs them,
 * in float64, in pieces of 128 rows that are added in order. Where X is a sum of adapters and
 * nothing else, they follow from the factors without a look at the tensor. */
#include "merge/eval.h"

#include "tensor/products.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_ROWS = 128, PANEL = 64 };

/* Behind the sources' mask_mutex, but for the sums. */
typedef struct rs_mask {
    uint64_t key;
    int users;
    struct rs_mask *next;
    int rank;
    float *l; /* [rows, rank] */
    float *r; /* panels of PANEL columns, each [rank, PANEL]: a product reads them in order */
    rs_mask_side side;
    double strength;
    int64_t rows, cols, k; /* k: directions of the subspace */
    float *u, *v;          /* [rows, k], [cols, k]; NULL: not needed */
    double *out, *in;      /* U^T X [k, cols], X V [rows, k]; NULL: not needed */
    bool by_factors, ending, over;
    int64_t pieces, taken, added;
    int at_work;
    rs_err error;
} mask;

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory for the mask of a tensor");
}

/* --- what the sides need --- */

static bool needs_u(rs_mask_side s)
{
    return s != RS_MASK_IN;
}
static bool needs_v(rs_mask_side s)
{
    return s != RS_MASK_OUT;
}
static bool needs_xv(rs_mask_side s)
{
    return s == RS_MASK_IN || s == RS_MASK_BOTH;
}

static bool is_late(const rs_node *nd, int i)
{
    return nd->stage->mask.last && nd->dampeners[i].kind != RS_DAMPEN_NONE;
}

static bool is_of_factors(const rs_eval *e, const rs_node *nd)
{
    for (int k = 0; k < nd->n_terms; k++)
        if (!nd->terms[k].adapter && !rs_eval_term_is_zero(e, nd, &nd->terms[k]))
            return false;
    return !is_late(nd, e->i);
}

/* --- sums over the tensor --- */

static rs_status check_finite(const rs_eval *e, const float *x)
{
    if (!e->k->not_finite(x, e->n)) return RS_OK;
    int64_t i = 0;
    while (isfinite(x[i]))
        i++;
    return rs_plan_blame(e->rt, e->p, e->ws, e->i, e->first + i, (double)x[i], e->err);
}

/* X over a range into x. */
static rs_status eval_change(const rs_eval *e, const rs_node *nd, float *x)
{
    float *base = rs_workspace_grab(e->ws), *d = base ? rs_workspace_grab(e->ws) : NULL;
    bool flat = true;
    rs_status s = d ? rs_eval_node(e, nd->base, base) : no_memory(e->err);
    if (s == RS_OK) s = rs_eval_delta(e, nd, base, x);
    if (s == RS_OK && is_late(nd, e->i)) s = rs_eval_dampening(e, nd, d, &flat);
    if (s == RS_OK) rs_eval_damp_first(e, nd, d, flat, x);
    if (d) rs_workspace_release(e->ws);
    if (base) rs_workspace_release(e->ws);
    return s == RS_OK ? check_finite(e, x) : s;
}

/* Whole rows, or a part of one. */
static void add_tile(const rs_eval *e, const mask *m, const float *x, double *part)
{
    const rs_product_kernels *k = e->rt->kernels->product;
    int64_t row = e->first / m->cols, col = e->first % m->cols;
    int64_t width = e->n < m->cols ? e->n : m->cols, rows = e->n / width;
    if (part)
        k->ff(m->u + row * m->k, 1, m->k, x, width, part + col, m->cols, m->k, width,
              rows);
    if (m->in)
        k->ff(x, width, 1, m->v + col * m->k, m->k, m->in + row * m->k, m->k, rows, m->k,
              width);
}

static int64_t tile_of(const mask *m, int64_t at, int64_t left)
{
    int64_t col = at % m->cols;
    int64_t n = m->cols <= RS_TILE ? RS_TILE / m->cols * m->cols : RS_TILE;
    if (m->cols > RS_TILE && n > m->cols - col) n = m->cols - col;
    return n < left ? n : left;
}

static rs_status sum_piece(const rs_eval *at, const rs_node *nd, const mask *m,
                           int64_t piece, double *part)
{
    int64_t first = piece * PIECE_ROWS * m->cols;
    int64_t end = first + PIECE_ROWS * m->cols;
    if (end > m->rows * m->cols) end = m->rows * m->cols;
    float *x = rs_workspace_grab(at->ws);
    rs_status s = x ? RS_OK : no_memory(at->err);
    rs_eval e = *at;
    for (e.first = first; e.first < end && s == RS_OK; e.first += e.n) {
        e.n = tile_of(m, e.first, end - e.first);
        s = eval_change(&e, nd, x);
        if (s == RS_OK) add_tile(&e, m, x, part);
    }
    if (x) rs_workspace_release(at->ws);
    return s;
}

/* --- or from factors --- */

static void scale_by(double *x, int64_t n, double by)
{
    for (int64_t i = 0; i < n; i++)
        x[i] *= by;
}

static rs_status add_adapter(const rs_eval *e, const rs_term *t, mask *m)
{
    const rs_product_kernels *k = e->rt->kernels->product;
    const rs_held *f;
    RS_TRY(rs_workspace_factors(e, t->adapter, &f));
    int64_t rank = f->pair->rank;
    double weight = t->weight * f->pair->scale;
    double *small = calloc((size_t)(2 * rank * m->k), sizeof *small);
    if (!small) return no_memory(e->err);
    double *ub = small, *av = small + rank * m->k; /* U^T B [k, rank], A V [rank, k] */
    if (m->out) {
        k->ff(m->u, 1, m->k, f->b, rank, ub, rank, m->k, rank, m->rows);
        scale_by(ub, rank * m->k, weight);
        k->df(ub, rank, 1, f->a, m->cols, m->out, m->cols, m->k, m->cols, rank);
    }
    if (m->in) {
        k->ff(f->a, m->cols, 1, m->v, m->k, av, m->k, rank, m->k, m->cols);
        scale_by(av, rank * m->k, weight);
        k->fd(f->b, rank, 1, av, m->k, m->in, m->k, m->rows, m->k, rank);
    }
    free(small);
    return RS_OK;
}

static rs_status add_adapters(const rs_eval *e, const rs_node *nd, mask *m)
{
    for (int i = 0; i < nd->n_terms; i++)
        if (!rs_eval_term_is_zero(e, nd, &nd->terms[i]))
            RS_TRY(add_adapter(e, &nd->terms[i], m));
    return RS_OK;
}

/* --- from the sums to L and R --- */

/* vt [k, cols] */
static void transpose(const mask *m, float *vt)
{
    for (int64_t j = 0; j < m->cols; j++)
        for (int64_t c = 0; c < m->k; c++)
            vt[c * m->cols + j] = m->v[j * m->k + c];
}

/* out becomes factor (U^T X V) V^T, added to it where `add`. */
static rs_status turn_inward(const rs_eval *e, mask *m, const float *vt, double factor,
                             bool add)
{
    const rs_product_kernels *k = e->rt->kernels->product;
    double *s = calloc((size_t)(m->k * m->k), sizeof *s);
    if (!s) return no_memory(e->err);
    k->df(m->out, m->cols, 1, m->v, m->k, s, m->k, m->k, m->k, m->cols);
    scale_by(s, m->k * m->k, factor);
    if (!add) memset(m->out, 0, (size_t)(m->k * m->cols) * sizeof *m->out);
    k->df(s, m->k, 1, vt, m->cols, m->out, m->cols, m->k, m->cols, m->k);
    free(s);
    return RS_OK;
}

static void round_scaled(const double *x, double by, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(by * x[i]);
}

/* [U | k X V], row by row. */
static void fill_left(const mask *m)
{
    for (int64_t i = 0; i < m->rows; i++) {
        float *l = m->l + i * m->rank;
        if (m->u) memcpy(l, m->u + i * m->k, (size_t)m->k * sizeof *l);
        if (m->in)
            round_scaled(m->in + i * m->k, m->strength, l + (m->u ? m->k : 0), m->k);
    }
}

static int64_t panels(int64_t cols)
{
    return (cols + PANEL - 1) / PANEL;
}

/* r [rank, cols] into panels; what is beyond the last column stays 0. */
static void pack(const mask *m, const float *r)
{
    for (int64_t c = 0; c < m->rank; c++)
        for (int64_t j = 0; j < m->cols; j++)
            m->r[(j / PANEL * m->rank + c) * PANEL + j % PANEL] = r[c * m->cols + j];
}

/* r [rank, cols] */
static rs_status fill_right(const rs_eval *e, mask *m, float *r)
{
    int64_t k_cols = m->k * m->cols;
    rs_status s = RS_OK;
    if (m->side == RS_MASK_BLOCK) {
        transpose(m, r); /* V^T, which the next line turns inward */
        s = turn_inward(e, m, r, 1, false);
    }
    if (needs_xv(m->side)) transpose(m, r + (m->u ? k_cols : 0));
    if (m->side == RS_MASK_BOTH) s = turn_inward(e, m, r + k_cols, -m->strength, true);
    if (m->out) round_scaled(m->out, m->strength, r, k_cols);
    return s;
}

static rs_status join(const rs_eval *e, mask *m)
{
    m->rank = (int)(m->side == RS_MASK_BOTH ? 2 * m->k : m->k);
    m->l = malloc((size_t)(m->rows * m->rank) * sizeof *m->l);
    m->r = calloc((size_t)(panels(m->cols) * PANEL * m->rank), sizeof *m->r);
    float *r = malloc((size_t)(m->cols * m->rank) * sizeof *r);
    rs_status s = m->l && m->r && r ? fill_right(e, m, r) : no_memory(e->err);
    if (s == RS_OK) {
        pack(m, r);
        fill_left(m);
    }
    free(r);
    return s;
}

static void free_sums(mask *m)
{
    free(m->u);
    free(m->v);
    free(m->out);
    free(m->in);
    m->u = m->v = NULL;
    m->out = m->in = NULL;
}

static rs_status finish(const rs_eval *e, const rs_node *nd, mask *m)
{
    rs_status s = m->by_factors ? add_adapters(e, nd, m) : RS_OK;
    if (s == RS_OK) s = join(e, m);
    free_sums(m);
    if (s != RS_OK) return s;
    if (e->k->not_finite(m->l, m->rows * m->rank) ||
        e->k->not_finite(m->r, panels(m->cols) * PANEL * m->rank))
        return rs_fail(e->err, RS_E_INVALID,
                       "stage \"%s\": the part of %s in its subspace is too large for "
                       "float32",
                       nd->name, e->p->tensors[e->i].name);
    return RS_OK;
}

/* --- together; these hold mask_mutex but for the sums --- */

static void free_mask(mask *m)
{
    free_sums(m);
    free(m->l);
    free(m->r);
    free(m);
}

static rs_status load(mask *m, const rs_src_subspace *f, const rs_subspace_entry *entry,
                      rs_err *err)
{
    size_t rows = (size_t)(m->rows * m->k), cols = (size_t)(m->cols * m->k);
    if (needs_u(m->side)) {
        m->u = malloc(rows * sizeof *m->u);
        m->out = calloc(cols, sizeof *m->out);
    }
    if (needs_v(m->side)) m->v = malloc(cols * sizeof *m->v);
    if (needs_xv(m->side)) m->in = calloc(rows, sizeof *m->in);
    if ((needs_u(m->side) && (!m->u || !m->out)) || (needs_v(m->side) && !m->v) ||
        (needs_xv(m->side) && !m->in))
        return no_memory(err);
    if (rs_subspace_read(f->file, entry, m->u, m->v, NULL, err) == RS_OK) return RS_OK;
    return rs_err_prefix(err, "\"%s\"", f->name);
}

static rs_status begin(const rs_eval *e, const rs_node *nd, uint64_t key, mask **out)
{
    const rs_src_subspace *f = &e->p->sources->subspaces[nd->subspace];
    const rs_tensor *t = e->p->sources->base_tensor[e->i];
    mask *m = *out = calloc(1, sizeof *m);
    if (!m) return no_memory(e->err);
    m->key = key;
    m->side = nd->stage->mask.side;
    m->strength = rs_node_strength(e->p, nd, e->i);
    m->rows = t->dim[0];
    m->cols = t->dim[1];
    m->k = f->entry[e->i]->rank;
    m->by_factors = is_of_factors(e, nd);
    if (!m->by_factors) m->pieces = (m->rows + PIECE_ROWS - 1) / PIECE_ROWS;
    rs_status s = load(m, f, f->entry[e->i], e->err);
    if (s == RS_OK) return RS_OK;
    free_mask(m);
    *out = NULL;
    return s;
}

/* A piece's share of U^T X comes after those of all pieces before it. */
static void add_in_order(rs_sources *s, mask *m, int64_t piece, const double *part)
{
    while (m->added < piece && m->error.code == RS_OK)
        pthread_cond_wait(&s->mask_made, &s->mask_mutex);
    if (m->error.code != RS_OK) return;
    pthread_mutex_unlock(&s->mask_mutex);
    for (int64_t i = 0; part && i < m->k * m->cols; i++)
        m->out[i] += part[i];
    pthread_mutex_lock(&s->mask_mutex);
    m->added++;
    pthread_cond_broadcast(&s->mask_made);
}

static void do_piece(rs_sources *s, mask *m, const rs_eval *e, const rs_node *nd,
                     int64_t piece, double *part)
{
    rs_err error = {.code = RS_OK};
    rs_eval mine = *e;
    mine.err = &error;
    pthread_mutex_unlock(&s->mask_mutex);
    if (part) memset(part, 0, (size_t)(m->k * m->cols) * sizeof *part);
    rs_status status = sum_piece(&mine, nd, m, piece, part);
    pthread_mutex_lock(&s->mask_mutex);
    if (status == RS_OK)
        add_in_order(s, m, piece, part);
    else if (m->error.code == RS_OK)
        m->error = error;
    pthread_cond_broadcast(&s->mask_made);
}

static void take_pieces(rs_sources *s, mask *m, const rs_eval *e, const rs_node *nd)
{
    if (m->taken >= m->pieces || m->error.code != RS_OK) return;
    double *part = NULL;
    if (m->out && !(part = malloc((size_t)(m->k * m->cols) * sizeof *part))) {
        no_memory(&m->error);
        return;
    }
    while (m->taken < m->pieces && m->error.code == RS_OK) {
        m->at_work++;
        do_piece(s, m, e, nd, m->taken++, part);
        m->at_work--;
    }
    free(part);
}

/* All pieces are summed, or one has failed and nobody is at work any more. */
static void end(rs_sources *s, mask *m, const rs_eval *e, const rs_node *nd)
{
    rs_err error = {.code = RS_OK};
    rs_eval mine = *e;
    mine.err = &error;
    m->ending = true;
    if (m->error.code == RS_OK) {
        pthread_mutex_unlock(&s->mask_mutex);
        rs_status status = finish(&mine, nd, m);
        pthread_mutex_lock(&s->mask_mutex);
        if (status != RS_OK) m->error = error;
    }
    m->over = true;
    pthread_cond_broadcast(&s->mask_made);
}

static rs_status take_part(rs_sources *s, mask *m, const rs_eval *e, const rs_node *nd)
{
    take_pieces(s, m, e, nd);
    while (!m->over) {
        if (m->at_work == 0 && !m->ending)
            end(s, m, e, nd);
        else
            pthread_cond_wait(&s->mask_made, &s->mask_mutex);
    }
    if (m->error.code != RS_OK && e->err) *e->err = m->error;
    return m->error.code;
}

static rs_status take(const rs_eval *e, const rs_node *nd, uint64_t key, mask **out)
{
    rs_sources *s = e->p->sources;
    rs_status status = RS_OK;
    pthread_mutex_lock(&s->mask_mutex);
    mask *m = s->masks;
    while (m && m->key != key)
        m = m->next;
    if (!m && (status = begin(e, nd, key, &m)) == RS_OK) {
        m->next = s->masks;
        s->masks = m;
    }
    if (status == RS_OK) {
        m->users++;
        status = take_part(s, m, e, nd);
    }
    pthread_mutex_unlock(&s->mask_mutex);
    if (status != RS_OK && m) rs_mask_drop(s, m);
    *out = status == RS_OK ? m : NULL;
    return status;
}

void rs_mask_drop(rs_sources *s, mask *m)
{
    pthread_mutex_lock(&s->mask_mutex);
    bool last = --m->users == 0;
    if (last) {
        mask **link = &s->masks;
        while (*link != m)
            link = &(*link)->next;
        *link = m->next;
    }
    pthread_mutex_unlock(&s->mask_mutex);
    if (last) free_mask(m);
}

/* --- the workspace's --- */

static struct rs_own_mask *own_of(const rs_eval *e, const rs_node *nd)
{
    rs_workspace *ws = e->ws;
    if (ws->sources != e->p->sources || ws->i_tensor != e->i) return NULL;
    for (int i = 0; i < ws->n_masks; i++)
        if (ws->masks[i].of == nd) return &ws->masks[i];
    return NULL;
}

static bool has_room(rs_workspace *ws)
{
    if (ws->n_masks < ws->cap_masks) return true;
    int cap = ws->cap_masks ? 2 * ws->cap_masks : 4;
    struct rs_own_mask *grown = realloc(ws->masks, (size_t)cap * sizeof *grown);
    if (!grown) return false;
    ws->masks = grown;
    ws->cap_masks = cap;
    return true;
}

rs_status rs_mask_ready(const rs_eval *e, const rs_node *nd)
{
    rs_workspace *ws = e->ws;
    if (nd->subspace < 0 || rs_node_strength(e->p, nd, e->i) == 0) return RS_OK;
    if (!rs_node_has_delta(e->p, nd, e->i)) return RS_OK;
    uint64_t key = rs_mask_key(e->p, nd, e->i);
    rs_workspace_turn(e);
    struct rs_own_mask *own = own_of(e, nd);
    if (own && own->mask->key == key) return RS_OK;
    if (!own && !has_room(ws)) return no_memory(e->err);
    mask *m;
    RS_TRY(take(e, nd, key, &m));
    if (own) rs_mask_drop(ws->sources, own->mask);
    if (!own) own = &ws->masks[ws->n_masks++];
    *own = (struct rs_own_mask){nd, m};
    return RS_OK;
}

/* L R over rows [row, row + rows) and columns [col, col + n) into dst [rows, n]. */
static void product(const rs_eval *e, const mask *m, int64_t row, int64_t rows,
                    int64_t col, int64_t n, float *dst)
{
    const float *l = m->l + row * m->rank;
    for (int64_t at = 0; at < n;) {
        int64_t j = col + at, in_panel = j % PANEL;
        int64_t some = PANEL - in_panel < n - at ? PANEL - in_panel : n - at;
        e->k->lowrank(m->r + j / PANEL * m->rank * PANEL + in_panel, PANEL, l, m->rank,
                      m->rank, dst + at, n, rows, some);
        at += some;
    }
}

/* The end of a row, whole rows, the begin of a row. */
static void product_of_range(const rs_eval *e, const mask *m, float *dst)
{
    int64_t row = e->first / m->cols, col = e->first % m->cols, left = e->n;
    while (left > 0) {
        int64_t rows = col == 0 && left >= m->cols ? left / m->cols : 1;
        int64_t n = m->cols - col < left ? m->cols - col : left;
        product(e, m, row, rows, col, n, dst);
        dst += rows * n;
        left -= rows * n;
        row += rows;
        col = 0;
    }
}

rs_status rs_mask_apply(const rs_eval *e, const rs_node *nd, float *x)
{
    if (nd->subspace < 0 || rs_node_strength(e->p, nd, e->i) == 0) return RS_OK;
    const struct rs_own_mask *own = own_of(e, nd);
    if (!own) {
        RS_TRY(rs_mask_ready(e, nd)); /* this worker had no part in the making */
        own = own_of(e, nd);
    }
    if (!own) return rs_fail(e->err, RS_E_BUG, "a mask was not made in time");
    const mask *m = own->mask;
    float *within = rs_workspace_grab(e->ws);
    if (!within) return no_memory(e->err);
    product_of_range(e, m, within);
    e->k->subtract(x, within, x, e->n);
    rs_workspace_release(e->ws);
    return RS_OK;
}

rs_mask_bytes rs_mask_memory(const rs_plan *p, const rs_node *nd, int i)
{
    rs_mask_bytes b = {0};
    if (nd->subspace < 0 || nd->stage->mask.strength == 0) return b;
    const rs_subspace_entry *e = p->sources->subspaces[nd->subspace].entry[i];
    if (!e || !rs_node_has_delta(p, nd, i)) return b;
    const rs_tensor *t = p->sources->base_tensor[i];
    uint64_t k = (uint64_t)e->rank, rows = (uint64_t)t->dim[0] * k,
             cols = (uint64_t)t->dim[1] * k;
    rs_mask_side side = nd->stage->mask.side;
    uint64_t sides = side == RS_MASK_BOTH ? 2 : 1;
    b.held = sides * (rows + (uint64_t)panels(t->dim[1]) * PANEL * k) * sizeof(float);
    b.making = sides * cols * sizeof(float);
    if (needs_u(side)) b.making += rows * sizeof(float) + cols * sizeof(double);
    if (needs_v(side)) b.making += cols * sizeof(float);
    if (needs_xv(side)) b.making += rows * sizeof(double);
    if (needs_u(side) && needs_v(side)) b.making += k * k * sizeof(double);
    if (needs_u(side)) b.worker = cols * sizeof(double);
    return b;
}
