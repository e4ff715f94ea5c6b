#include "model/sampler_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEAP = 4096 };

void rs_pool_start(rs_candidates *c, const float *logits)
{
    memcpy(c->dense, logits, (size_t)c->vocab * sizeof *logits);
    c->gathered = false;
    c->n = c->n_sorted = 0;
}

void rs_pool_gather(rs_candidates *c)
{
    if (c->gathered) return;
    c->gathered = true;
    c->n = c->n_sorted = 0;
    for (int64_t i = 0; i < c->vocab; i++)
        if (isfinite(c->dense[i]))
            c->at[c->n++] = (rs_candidate){(int32_t)i, c->dense[i], 0};
}

/* ---- orders: negative if x comes first; no two candidates are equal ---- */

static int by_likelihood(const void *x, const void *y)
{
    const rs_candidate *a = x, *b = y;
    if (a->logit != b->logit) return a->logit > b->logit ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

static int by_p(const void *x, const void *y)
{
    const rs_candidate *a = x, *b = y;
    if (a->p != b->p) return a->p < b->p ? -1 : 1;
    return by_likelihood(x, y);
}

typedef int (*order)(const void *, const void *);

static void swap(rs_candidate *a, rs_candidate *b)
{
    rs_candidate t = *a;
    *a = *b;
    *b = t;
}

static rs_candidate median(const rs_candidate *a, int n, order o)
{
    const rs_candidate *x = &a[0], *y = &a[n / 2], *z = &a[n - 1];
    if (o(y, x) < 0) return o(z, y) < 0 ? *y : o(z, x) < 0 ? *z : *x;
    return o(z, x) < 0 ? *x : o(z, y) < 0 ? *z : *y;
}

/* Lets x sink from place i of the heap at[0 .. n), whose root is the last in order. */
static void sink(rs_candidate *at, int n, int i, rs_candidate x, order o)
{
    for (int child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && o(&at[child], &at[child + 1]) < 0) child++;
        if (o(&at[child], &x) < 0) break;
        at[i] = at[child];
    }
    at[i] = x;
}

/* Few of many: one pass with a heap of the first ones so far. */
static void select_few(rs_candidate *a, int n, int m, order o)
{
    for (int i = m / 2; i-- > 0;)
        sink(a, m, i, a[i], o);
    for (int i = m; i < n; i++) {
        if (o(&a[i], &a[0]) > 0) continue;
        rs_candidate x = a[i];
        a[i] = a[0];
        sink(a, m, 0, x, o);
    }
}

/* Brings the first m of the order to the front, themselves in no order (quickselect). */
static void select_first(rs_candidate *a, int n, int m, order o)
{
    if (m > 0 && m <= MAX_HEAP && n / 16 > m) {
        select_few(a, n, m, o);
        return;
    }
    while (m > 0 && m < n) {
        rs_candidate pivot = median(a, n, o);
        int i = 0, j = n - 1;
        while (i <= j) {
            while (o(&a[i], &pivot) < 0)
                i++;
            while (o(&pivot, &a[j]) < 0)
                j--;
            if (i <= j) swap(&a[i++], &a[j--]);
        }
        /* a[0 .. j] come before the pivot or are it, a[i .. n) behind it or are it */
        if (m <= j + 1) {
            n = j + 1;
        } else if (m > i) {
            a += i;
            n -= i;
            m -= i;
        } else {
            return;
        }
    }
}

static void sort_first(rs_candidate *a, int n, int m, order o)
{
    if (m > n) m = n;
    if (m <= 0) return;
    select_first(a, n, m, o);
    qsort(a, (size_t)m, sizeof *a, o);
}

void rs_pool_sort(rs_candidates *c, int m)
{
    if (m > c->n) m = c->n;
    if (m <= c->n_sorted) return;
    sort_first(c->at + c->n_sorted, c->n - c->n_sorted, m - c->n_sorted, by_likelihood);
    c->n_sorted = m;
}

void rs_pool_sort_by_p(rs_candidates *c, int from, int m)
{
    c->n_sorted = 0;
    sort_first(c->at + from, c->n - from, m - from, by_p);
}

void rs_pool_cut(rs_candidates *c, int n)
{
    if (n < c->n) c->n = n;
    if (c->n_sorted > c->n) c->n_sorted = c->n;
}

bool rs_pool_selects(int k)
{
    return k <= MAX_HEAP;
}

static void add_leaf(rs_candidate *at, int n, rs_candidate x)
{
    int i = n;
    for (; i > 0 && by_likelihood(&x, &at[(i - 1) / 2]) > 0; i = (i - 1) / 2)
        at[i] = at[(i - 1) / 2];
    at[i] = x;
}

/* One pass over all logits with a heap of the best so far. */
static void select_top(rs_candidates *c, int k)
{
    int n = 0;
    int64_t i = 0;
    for (; i < c->vocab && n < k; i++)
        if (isfinite(c->dense[i]))
            add_leaf(c->at, n++, (rs_candidate){(int32_t)i, c->dense[i], 0});
    for (; i < c->vocab; i++)
        if (c->dense[i] > c->at[0].logit && isfinite(c->dense[i]))
            sink(c->at, n, 0, (rs_candidate){(int32_t)i, c->dense[i], 0}, by_likelihood);
    c->gathered = true;
    c->n = n;
    c->n_sorted = 0;
}

void rs_pool_keep_top(rs_candidates *c, int k)
{
    if (!c->gathered && rs_pool_selects(k)) {
        select_top(c, k);
        return;
    }
    rs_pool_gather(c);
    if (k >= c->n) return;
    rs_pool_sort(c, k);
    rs_pool_cut(c, k);
}

float rs_pool_max(const rs_candidates *c)
{
    if (c->n_sorted) return c->at[0].logit;
    float max = c->at[0].logit;
    for (int i = 1; i < c->n; i++)
        if (c->at[i].logit > max) max = c->at[i].logit;
    return max;
}

double rs_pool_total(const rs_candidates *c)
{
    double max = rs_pool_max(c), sum = 0;
    for (int i = 0; i < c->n; i++)
        sum += exp(c->at[i].logit - max);
    return sum;
}

double rs_pool_softmax(rs_candidates *c)
{
    if (c->n == 0) return 0;
    double max = rs_pool_max(c), sum = 0, mean = 0; /* mean: of l - max */
    for (int i = 0; i < c->n; i++)
        sum += c->at[i].p = exp(c->at[i].logit - max);
    for (int i = 0; i < c->n; i++) {
        double p = c->at[i].p /= sum;
        mean += p * (c->at[i].logit - max);
    }
    return log(sum) - mean; /* -sum p ln p, as ln p = l - max - ln(sum) */
}
