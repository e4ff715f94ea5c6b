/* Moments and order statistics of a Fisher's values (fisher.h). */
#include "merge/fisher_walk.h"

#include "tensor/half.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4096, CELLS = 1 << 16 };

/* --- moments --- */

static rs_status find_bad(const rs_walk *w, const rs_piece *p, const float *f,
                          rs_err *err)
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

static bool measure_piece(rs_walk *w, int64_t i, const rs_piece *p, const float *f,
                          int worker)
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
    rs_walk w;
    RS_TRY(rs_walk_open(&w, pass, v, use, err));
    rs_moments *parts = calloc((size_t)w.n_pieces + 1, sizeof *parts);
    rs_status s =
        parts ? rs_walk_run(&w, measure_piece, parts, err)
              : rs_fail(err, RS_E_NOMEM, "no memory for a pass over a Fisher file");
    memset(out, 0, (size_t)v->n_tensors * sizeof *out);
    for (int64_t i = 0; s == RS_OK && i < w.n_pieces; i++)
        rs_moments_add(&out[w.pieces[i].tensor], &parts[i]);
    free(parts);
    rs_walk_close(&w);
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

static bool count_piece(rs_walk *w, int64_t i, const rs_piece *p, const float *f,
                        int worker)
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

static rs_status select_two(rs_walk *w, digits *d, int key_bits, uint64_t rank,
                            bool has_next, uint64_t key[2], rs_err *err)
{
    int threads = rs_pass_workers(w->pass);
    size_t bytes = (size_t)threads * CELLS * sizeof(uint64_t);
    uint64_t left[2] = {rank, has_next ? rank + 1 : rank};
    d->prefix[0] = d->prefix[1] = 0;
    for (d->shift = key_bits - 16; d->shift >= 0; d->shift -= 16) {
        memset(d->count[0], 0, bytes);
        memset(d->count[1], 0, bytes);
        RS_TRY(rs_walk_run(w, count_piece, d, err));
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
    rs_walk w;
    digits d = {.norm = norm};
    if (n <= 0) return rs_fail(err, RS_E_INVALID, "a quantile of no values");
    uint64_t rank = rank_of(n, q, part);
    RS_TRY(rs_walk_open(&w, pass, v, use, err));
    size_t cells = (size_t)rs_pass_workers(pass) * CELLS;
    d.count[0] = calloc(cells, sizeof(uint64_t));
    d.count[1] = calloc(cells, sizeof(uint64_t));
    rs_status s =
        d.count[0] && d.count[1]
            ? select_two(&w, &d, norm ? 64 : 32, rank, rank + 1 < (uint64_t)n, key, err)
            : rs_fail(err, RS_E_NOMEM, "no memory for a histogram");
    free(d.count[0]);
    free(d.count[1]);
    rs_walk_close(&w);
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
