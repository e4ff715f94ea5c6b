#include "merge/fisher.h"

#include "tensor/half.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 20, BLOCK = 4096, CELLS = 1 << 16, EXACT_RANKS = 1 << 26 };

/* --- going over the values --- */

typedef struct piece {
    int tensor;
    int64_t first, n;
} piece;

typedef struct walk walk;
/* Works on one piece that has been read. Returns false to stop. */
typedef bool (*piece_fn)(walk *w, int64_t i, const piece *p, const float *f, int worker);

struct walk {
    const rs_pass *pass;
    const rs_values *values;
    piece *pieces;
    int64_t n_pieces;
    float **buffer; /* [threads] */
    piece_fn fn;
    void *ctx;
    rs_status *status; /* [threads] */
    rs_err *errors;    /* [threads] */
};

static bool do_piece(void *ctx, int64_t i, int worker)
{
    walk *w = ctx;
    const piece *p = &w->pieces[i];
    const rs_pass *pass = w->pass;
    rs_status *s = &w->status[worker];
    if (worker == 0 && pass->progress) {
        uint64_t piece_bytes = PIECE * sizeof(float);
        rs_progress now = {(uint64_t)i * piece_bytes, (uint64_t)w->n_pieces * piece_bytes,
                           "bytes", pass->what};
        if (!pass->progress(pass->progress_ctx, &now)) {
            *s = rs_fail(&w->errors[worker], RS_E_CANCELLED, "cancelled");
            return false;
        }
    }
    *s = w->values->read(w->values->ctx, p->tensor, p->first, p->n, w->buffer[worker],
                         &w->errors[worker]);
    if (*s != RS_OK) return false;
    return w->fn(w, i, p, w->buffer[worker], worker);
}

static rs_status cut_into_pieces(walk *w, const rs_values *v, const bool *use,
                                 rs_err *err)
{
    int64_t n = 0;
    for (int t = 0; t < v->n_tensors; t++)
        if (use[t]) n += (v->n_elements[t] + PIECE - 1) / PIECE;
    w->pieces = calloc((size_t)n + 1, sizeof *w->pieces);
    if (!w->pieces)
        return rs_fail(err, RS_E_NOMEM, "no memory for a pass over a Fisher file");
    for (int t = 0; t < v->n_tensors; t++)
        for (int64_t at = 0; use[t] && at < v->n_elements[t]; at += PIECE) {
            int64_t left = v->n_elements[t] - at;
            w->pieces[w->n_pieces++] = (piece){t, at, left < PIECE ? left : PIECE};
        }
    return RS_OK;
}

static void close_walk(walk *w)
{
    int threads = rs_pool_threads(w->pass->pool);
    for (int i = 0; w->buffer && i < threads; i++)
        free(w->buffer[i]);
    free(w->buffer);
    free(w->pieces);
    free(w->status);
    free(w->errors);
}

static rs_status open_walk(walk *w, const rs_pass *pass, const rs_values *v,
                           const bool *use, rs_err *err)
{
    size_t threads = (size_t)rs_pool_threads(pass->pool);
    *w = (walk){.pass = pass, .values = v};
    w->buffer = calloc(threads, sizeof *w->buffer);
    w->status = calloc(threads, sizeof *w->status);
    w->errors = calloc(threads, sizeof *w->errors);
    bool fine = w->buffer && w->status && w->errors;
    for (size_t i = 0; i < threads && fine; i++)
        fine = (w->buffer[i] = malloc(PIECE * sizeof(float))) != NULL;
    rs_status s =
        fine ? cut_into_pieces(w, v, use, err)
             : rs_fail(err, RS_E_NOMEM, "no memory for a pass over a Fisher file");
    if (s != RS_OK) close_walk(w);
    return s;
}

static rs_status run_walk(walk *w, piece_fn fn, void *ctx, rs_err *err)
{
    w->fn = fn;
    w->ctx = ctx;
    int threads = rs_pool_threads(w->pass->pool);
    if (rs_pool_run(w->pass->pool, w->n_pieces, do_piece, w)) return RS_OK;
    for (int i = 0; i < threads; i++)
        if (w->status[i] != RS_OK) {
            if (err) *err = w->errors[i];
            return w->status[i];
        }
    return rs_fail(err, RS_E_BUG, "a pass over a Fisher file ended early");
}

/* --- moments --- */

static rs_status find_bad(const walk *w, const piece *p, const float *f, rs_err *err)
{
    for (int64_t i = 0; i < p->n; i++)
        if (!isfinite(f[i]) || f[i] < 0)
            return rs_fail(
                err, RS_E_INVALID,
                "Fisher tensor %s, element %" PRId64 " is %g: it must be finite and "
                "not negative",
                w->values->name(w->values->ctx, p->tensor), p->first + i, (double)f[i]);
    return RS_OK;
}

static float least_positive(const float *f, int64_t n)
{
    float least = INFINITY;
    for (int64_t i = 0; i < n; i++) {
        float v = f[i] > 0 ? f[i] : INFINITY;
        least = v < least ? v : least;
    }
    return least < INFINITY ? least : 0;
}

static bool measure_piece(walk *w, int64_t i, const piece *p, const float *f, int worker)
{
    const rs_merge_kernels *k = w->pass->k;
    rs_moments *m = (rs_moments *)w->ctx + i;
    if (k->not_finite(f, p->n) || k->negative(f, p->n)) {
        w->status[worker] = find_bad(w, p, f, &w->errors[worker]);
        return false;
    }
    m->n = p->n;
    for (int64_t at = 0; at < p->n; at += BLOCK)
        m->sum += k->sum(f + at, p->n - at < BLOCK ? p->n - at : BLOCK);
    m->max = k->largest(f, p->n);
    m->least = least_positive(f, p->n);
    return true;
}

void rs_moments_add(rs_moments *to, const rs_moments *m)
{
    to->n += m->n;
    to->sum += m->sum;
    if (m->max > to->max) to->max = m->max;
    if (m->least > 0 && (to->least == 0 || m->least < to->least)) to->least = m->least;
}

rs_status rs_fisher_moments(const rs_pass *pass, const rs_values *v, const bool *use,
                            rs_moments *out, rs_err *err)
{
    walk w;
    RS_TRY(open_walk(&w, pass, v, use, err));
    rs_moments *parts = calloc((size_t)w.n_pieces + 1, sizeof *parts);
    rs_status s =
        parts ? run_walk(&w, measure_piece, parts, err)
              : rs_fail(err, RS_E_NOMEM, "no memory for a pass over a Fisher file");
    memset(out, 0, (size_t)v->n_tensors * sizeof *out);
    for (int64_t i = 0; s == RS_OK && i < w.n_pieces; i++)
        rs_moments_add(&out[w.pieces[i].tensor], &parts[i]);
    free(parts);
    close_walk(&w);
    return s;
}

/* --- order statistics ---
 * Keys are unsigned numbers in the order of the values; a pass counts one digit of 16 bits of
 * the keys whose higher digits are those of rank k (and of rank k + 1, if they differ). */

typedef struct digits {
    int shift;                  /* of the digit that is counted */
    uint64_t prefix[2];         /* higher digits that are wanted */
    uint64_t *count[2];         /* [threads, CELLS] each */
    const rs_norm *const *norm; /* NULL: keys are the floats themselves */
} digits;

static uint64_t key_of(const digits *d, int tensor, float f)
{
    if (!d->norm) return rs_bits_of(f == 0 ? 0.0f : f);
    double p = rs_norm_value(d->norm[tensor], f);
    uint64_t bits;
    memcpy(&bits, &p, sizeof bits);
    return bits;
}

static bool count_piece(walk *w, int64_t i, const piece *p, const float *f, int worker)
{
    (void)i;
    digits *d = w->ctx;
    uint64_t *a = d->count[0] + (size_t)worker * CELLS,
             *b = d->count[1] + (size_t)worker * CELLS;
    bool two = d->prefix[0] != d->prefix[1];
    for (int64_t j = 0; j < p->n; j++) {
        uint64_t key = key_of(d, p->tensor, f[j]) >> d->shift, high = key >> 16;
        if (high == d->prefix[0])
            a[key & 0xffff]++;
        else if (two && high == d->prefix[1])
            b[key & 0xffff]++;
    }
    return true;
}

/* The cell that holds rank *k; *k becomes the rank inside it. */
static uint64_t cell_of(uint64_t *count, int threads, uint64_t *k)
{
    for (uint64_t c = 0; c < CELLS; c++) {
        uint64_t n = 0;
        for (int t = 0; t < threads; t++)
            n += count[(size_t)t * CELLS + c];
        if (*k < n) return c;
        *k -= n;
    }
    return CELLS - 1;
}

static rs_status select_two(walk *w, digits *d, int key_bits, uint64_t rank,
                            bool has_next, uint64_t key[2], rs_err *err)
{
    int threads = rs_pool_threads(w->pass->pool);
    size_t bytes = (size_t)threads * CELLS * sizeof(uint64_t);
    uint64_t left[2] = {rank, has_next ? rank + 1 : rank};
    d->prefix[0] = d->prefix[1] = 0;
    for (d->shift = key_bits - 16; d->shift >= 0; d->shift -= 16) {
        memset(d->count[0], 0, bytes);
        memset(d->count[1], 0, bytes);
        RS_TRY(run_walk(w, count_piece, d, err));
        bool same = d->prefix[0] == d->prefix[1];
        for (int i = 0; i < 2; i++) {
            uint64_t *count = d->count[same ? 0 : i];
            uint64_t cell = cell_of(count, threads, &left[i]);
            key[i] = d->prefix[i] << 16 | cell;
        }
        d->prefix[0] = key[0];
        d->prefix[1] = key[1];
    }
    return RS_OK;
}

/* Rank (n - 1) q in two parts: the whole one, and how far to the next value. */
static uint64_t rank_of(int64_t n, double q, double *part)
{
    double h = (double)(n - 1) * q, whole = floor(h);
    *part = h - whole;
    return (uint64_t)whole;
}

static rs_status select_keys(const rs_pass *pass, const rs_values *v, const bool *use,
                             int64_t n, double q, const rs_norm *const *norm,
                             uint64_t key[2], double *part, rs_err *err)
{
    walk w;
    digits d = {.norm = norm};
    if (n <= 0) return rs_fail(err, RS_E_INVALID, "a quantile of no values");
    uint64_t rank = rank_of(n, q, part);
    RS_TRY(open_walk(&w, pass, v, use, err));
    size_t cells = (size_t)rs_pool_threads(pass->pool) * CELLS;
    d.count[0] = calloc(cells, sizeof(uint64_t));
    d.count[1] = calloc(cells, sizeof(uint64_t));
    rs_status s =
        d.count[0] && d.count[1]
            ? select_two(&w, &d, norm ? 64 : 32, rank, rank + 1 < (uint64_t)n, key, err)
            : rs_fail(err, RS_E_NOMEM, "no memory for a histogram");
    free(d.count[0]);
    free(d.count[1]);
    close_walk(&w);
    return s;
}

rs_status rs_fisher_order(const rs_pass *pass, const rs_values *v, const bool *use,
                          int64_t n, double q, rs_order *out, rs_err *err)
{
    uint64_t key[2];
    RS_TRY(select_keys(pass, v, use, n, q, NULL, key, &out->part, err));
    out->low = rs_float_of((uint32_t)key[0]);
    out->high = rs_float_of((uint32_t)key[1]);
    return RS_OK;
}

double rs_order_value(const rs_order *o)
{
    return (double)o->low + o->part * ((double)o->high - (double)o->low);
}

/* --- ranks --- */

struct rs_ranks {
    uint64_t n;
    uint64_t before[CELLS + 1]; /* values whose upper 16 bits are less */
    bool cells_suffice;         /* no value has lower bits */
    uint32_t *sorted;           /* all bits of all values, or NULL */
};

typedef struct counting {
    uint64_t *count; /* [threads, CELLS] */
    bool *has_low;   /* [threads] */
} counting;

static bool count_cells(walk *w, int64_t i, const piece *p, const float *f, int worker)
{
    (void)i;
    counting *c = w->ctx;
    uint64_t *count = c->count + (size_t)worker * CELLS;
    uint32_t low = 0;
    for (int64_t j = 0; j < p->n; j++) {
        uint32_t bits = rs_bits_of(f[j] == 0 ? 0.0f : f[j]);
        count[bits >> 16]++;
        low |= bits & 0xffffu;
    }
    if (low) c->has_low[worker] = true;
    return true;
}

static rs_status fill_cells(walk *w, rs_ranks *r, rs_err *err)
{
    int threads = rs_pool_threads(w->pass->pool);
    counting c = {calloc((size_t)threads * CELLS, sizeof *c.count),
                  calloc((size_t)threads, sizeof *c.has_low)};
    rs_status s = c.count && c.has_low
                      ? run_walk(w, count_cells, &c, err)
                      : rs_fail(err, RS_E_NOMEM, "no memory for a histogram");
    r->cells_suffice = true;
    for (int t = 0; t < threads && s == RS_OK; t++)
        r->cells_suffice &= !c.has_low[t];
    for (int cell = 0; cell < CELLS && s == RS_OK; cell++) {
        r->before[cell + 1] = r->before[cell];
        for (int t = 0; t < threads; t++)
            r->before[cell + 1] += c.count[(size_t)t * CELLS + (size_t)cell];
    }
    free(c.count);
    free(c.has_low);
    return s;
}

typedef struct scattering {
    rs_ranks *r;
    uint64_t *next; /* [CELLS] */
} scattering;

static bool scatter_piece(walk *w, int64_t i, const piece *p, const float *f, int worker)
{
    (void)i, (void)worker;
    scattering *s = w->ctx;
    for (int64_t j = 0; j < p->n; j++) {
        uint32_t bits = rs_bits_of(f[j] == 0 ? 0.0f : f[j]);
        s->r->sorted[s->next[bits >> 16]++] = bits;
    }
    return true;
}

static int by_bits(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Within a cell only the lower 16 bits differ: large cells are counted, small ones sorted. */
static void sort_cell(uint32_t *at, uint64_t n, uint32_t upper, uint32_t *count)
{
    if (n < 2048) {
        qsort(at, n, sizeof *at, by_bits);
        return;
    }
    memset(count, 0, CELLS * sizeof *count);
    for (uint64_t i = 0; i < n; i++)
        count[at[i] & 0xffffu]++;
    for (uint32_t low = 0; low < CELLS; low++)
        for (uint32_t j = 0; j < count[low]; j++)
            *at++ = upper << 16 | low;
}

static rs_status sort_values(const rs_pass *pass, const rs_values *v, const bool *use,
                             rs_ranks *r, rs_err *err)
{
    walk w;
    rs_pass alone = *pass;
    alone.pool = NULL; /* the places are handed out one after the other */
    RS_TRY(open_walk(&w, &alone, v, use, err));
    scattering sc = {r, calloc(CELLS, sizeof(uint64_t))};
    uint32_t *count = calloc(CELLS, sizeof *count);
    r->sorted = malloc((size_t)r->n * sizeof *r->sorted);
    rs_status s =
        sc.next && count && r->sorted
            ? RS_OK
            : rs_fail(err, RS_E_NOMEM, "no memory to rank %" PRIu64 " values", r->n);
    if (s == RS_OK) memcpy(sc.next, r->before, CELLS * sizeof *sc.next);
    if (s == RS_OK) s = run_walk(&w, scatter_piece, &sc, err);
    for (uint32_t c = 0; c < CELLS && s == RS_OK; c++)
        sort_cell(r->sorted + r->before[c], r->before[c + 1] - r->before[c], c, count);
    free(sc.next);
    free(count);
    close_walk(&w);
    return s;
}

rs_status rs_ranks_new(const rs_pass *pass, const rs_values *v, const bool *use,
                       int64_t n, rs_ranks **out, rs_err *err)
{
    walk w;
    *out = NULL;
    rs_ranks *r = calloc(1, sizeof *r);
    if (!r) return rs_fail(err, RS_E_NOMEM, "no memory for ranks");
    r->n = (uint64_t)n;
    rs_status s = open_walk(&w, pass, v, use, err);
    if (s == RS_OK) {
        s = fill_cells(&w, r, err);
        close_walk(&w);
    }
    if (s == RS_OK && !r->cells_suffice && n <= EXACT_RANKS)
        s = sort_values(pass, v, use, r, err);
    if (s == RS_OK)
        *out = r;
    else
        rs_ranks_free(r);
    return s;
}

void rs_ranks_free(rs_ranks *r)
{
    if (!r) return;
    free(r->sorted);
    free(r);
}

bool rs_ranks_are_exact(const rs_ranks *r)
{
    return r->cells_suffice || r->sorted;
}

/* How many of the sorted values [from, to) are less than bits. */
static uint64_t lower_bound(const uint32_t *sorted, uint64_t from, uint64_t to,
                            uint32_t bits)
{
    while (from < to) {
        uint64_t mid = from + (to - from) / 2;
        if (sorted[mid] < bits)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

static double rank_value(const rs_ranks *r, float f)
{
    if (r->n < 2) return 0;
    uint32_t bits = rs_bits_of(f > 0 ? f : 0.0f), cell = bits >> 16, low = bits & 0xffffu;
    uint64_t from = r->before[cell], to = r->before[cell + 1];
    double less, equal = 0;
    if (r->sorted) {
        uint64_t first = lower_bound(r->sorted, from, to, bits);
        uint64_t last = lower_bound(r->sorted, first, to, bits + 1);
        less = (double)first;
        equal = (double)(last - first);
    } else if (r->cells_suffice) {
        less = (double)(low ? to : from);
        equal = low ? 0 : (double)(to - from);
    } else {
        less = (double)from + (double)(to - from) * ((double)low + 0.5) / CELLS;
    }
    double rank =
        less + (equal + 1) / 2; /* a value that is none of them lies between two */
    double p = (rank - 1) / (double)(r->n - 1);
    return p < 0 ? 0 : p > 1 ? 1 : p;
}

/* --- normalisers --- */

static rs_status make_quantile(const rs_pass *pass, const rs_values *v, const bool *use,
                               int64_t n, double q, rs_norm *out, rs_err *err)
{
    rs_order o;
    RS_TRY(rs_fisher_order(pass, v, use, n, q, &o, err));
    double value = rs_order_value(&o);
    out->flat = value == 0;
    out->factor = out->flat ? 0 : 1 / value;
    return RS_OK;
}

static double quantile_of(rs_normaliser kind)
{
    switch (kind) {
    case RS_NORM_P90:
        return 0.90;
    case RS_NORM_P95:
        return 0.95;
    case RS_NORM_P99:
        return 0.99;
    case RS_NORM_P999:
        return 0.999;
    default:
        return -1;
    }
}

static rs_status check_factor(const rs_norm *n, rs_err *err)
{
    if (fabs(n->factor) < 1e37) return RS_OK;
    return rs_fail(err, RS_E_INVALID,
                   "the Fisher's values are too small for float32: their %s is %g",
                   rs_normaliser_name(n->kind), 1 / n->factor);
}

rs_status rs_norm_make(const rs_pass *pass, const rs_values *v, const bool *use,
                       const rs_moments *m, rs_normaliser kind, rs_norm *out, rs_err *err)
{
    *out = (rs_norm){.kind = kind};
    if (m->n == 0) return RS_OK;
    switch (kind) {
    case RS_NORM_NONE:
        out->factor = 1;
        break;
    case RS_NORM_MEAN:
        out->factor = m->sum > 0 ? (double)m->n / m->sum : 0;
        break;
    case RS_NORM_MAX:
        out->factor = m->max > 0 ? 1 / (double)m->max : 0;
        break;
    case RS_NORM_RANK:
        return rs_ranks_new(pass, v, use, m->n, &out->ranks, err);
    case RS_NORM_LOG:
        out->flat = m->least == m->max;
        out->lo = m->least > 0 ? rs_merge_log(m->least) : 0;
        out->factor = out->flat ? 0 : 1 / (rs_merge_log(m->max) - out->lo);
        break;
    default:
        RS_TRY(make_quantile(pass, v, use, m->n, quantile_of(kind), out, err));
    }
    return check_factor(out, err);
}

void rs_norm_free(rs_norm *n)
{
    rs_ranks_free(n->ranks);
    *n = (rs_norm){0};
}

static double clip01(double v) { return v < 0 ? 0 : v > 1 ? 1 : v; }

double rs_norm_value(const rs_norm *n, float f)
{
    if (n->flat) return f > 0 ? 1 : 0;
    double p = n->factor * (double)f;
    switch (n->kind) {
    case RS_NORM_RANK:
        return n->ranks ? rank_value(n->ranks, f) : 0;
    case RS_NORM_LOG: /* outside the population F may lie beyond its ends */
        return f > 0 ? clip01((rs_merge_log(f) - n->lo) * n->factor) : 0;
    case RS_NORM_NONE:
    case RS_NORM_MEAN:
    case RS_NORM_MAX:
        return p;
    default:
        return p > 1 ? 1 : p;
    }
}

void rs_norm_apply(const rs_norm *n, const rs_merge_kernels *k, const float *f, float *p,
                   int64_t count)
{
    if (n->flat || n->kind == RS_NORM_RANK) {
        for (int64_t i = 0; i < count; i++)
            p[i] = (float)rs_norm_value(n, f[i]);
        return;
    }
    switch (n->kind) {
    case RS_NORM_LOG:
        k->norm_log(n->lo, n->factor, f, p, count);
        break;
    case RS_NORM_NONE:
    case RS_NORM_MEAN:
    case RS_NORM_MAX:
        k->norm_scale((float)n->factor, f, p, count);
        break;
    default:
        k->norm_min1((float)n->factor, f, p, count);
    }
}

/* --- the cut of hard --- */

static bool all_same(const rs_norm *const *norm, const bool *use, int n,
                     const rs_norm **one)
{
    *one = NULL;
    for (int i = 0; i < n; i++) {
        if (!use[i]) continue;
        if (!*one) *one = norm[i];
        if (norm[i] != *one) return false;
    }
    return *one != NULL;
}

rs_status rs_fisher_cut(const rs_pass *pass, const rs_values *v, const bool *use,
                        int64_t n, const rs_norm *const *norm, double q, double *cut,
                        rs_err *err)
{
    double part, low, high;
    uint64_t key[2];
    const rs_norm *one;
    /* One norm keeps the order of F, so half the digits do. */
    bool global = all_same(norm, use, v->n_tensors, &one);
    RS_TRY(select_keys(pass, v, use, n, q, global ? NULL : norm, key, &part, err));
    if (global) {
        low = rs_norm_value(one, rs_float_of((uint32_t)key[0]));
        high = rs_norm_value(one, rs_float_of((uint32_t)key[1]));
    } else {
        memcpy(&low, &key[0], sizeof low);
        memcpy(&high, &key[1], sizeof high);
    }
    *cut = low + part * (high - low);
    return RS_OK;
}

float rs_norm_inverse(const rs_norm *n, double cut)
{
    uint32_t from = 0, to = 0x7f800000u; /* p is monotone in the bits of F >= 0 */
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        if (rs_norm_value(n, rs_float_of(mid)) >= cut)
            to = mid;
        else
            from = mid + 1;
    }
    return rs_float_of(from);
}
