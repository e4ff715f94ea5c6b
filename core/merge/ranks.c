/* Ranks of a Fisher's values (fisher.h). */
#include "merge/fisher_walk.h"

#include "tensor/half.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Values are not negative: 15 upper bits. */
enum { CELLS = 1 << 15, LOWS = 1 << 16 };

struct rs_ranks {
    uint64_t n;
    uint64_t before[CELLS + 1]; /* values whose upper 16 bits are less */
    bool cells_suffice;         /* no value has lower bits */
    uint32_t *sorted;           /* all bits of all values, or NULL */
};

/* Without the sign: what is negative has been refused, -0 is 0. */
static uint32_t bits_of(float f)
{
    return rs_bits_of(f) & 0x7fffffffu;
}

typedef struct counting {
    uint64_t *count; /* [threads, CELLS] */
    bool *has_low;   /* [threads] */
} counting;

static bool count_cells(rs_walk *w, int64_t i, const rs_piece *p, const float *f,
                        int worker)
{
    (void)i;
    counting *c = w->ctx;
    uint64_t *count = c->count + (size_t)worker * CELLS;
    uint32_t low = 0;
    for (int64_t j = 0; j < p->n; j++) {
        uint32_t bits = bits_of(f[j]);
        count[bits >> 16]++;
        low |= bits & 0xffffu;
    }
    if (low) c->has_low[worker] = true;
    return true;
}

static rs_status fill_cells(rs_walk *w, rs_ranks *r, rs_err *err)
{
    int threads = rs_pass_workers(w->pass);
    counting c = {calloc((size_t)threads * CELLS, sizeof *c.count),
                  calloc((size_t)threads, sizeof *c.has_low)};
    rs_status s = c.count && c.has_low
                      ? rs_walk_run(w, count_cells, &c, err)
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

static bool scatter_piece(rs_walk *w, int64_t i, const rs_piece *p, const float *f,
                          int worker)
{
    (void)i, (void)worker;
    scattering *s = w->ctx;
    for (int64_t j = 0; j < p->n; j++) {
        uint32_t bits = bits_of(f[j]);
        uint64_t *next = &s->next[bits >> 16];
        /* A file that changes while it is read must not write elsewhere. */
        if (*next < s->r->before[(bits >> 16) + 1]) s->r->sorted[(*next)++] = bits;
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
    memset(count, 0, LOWS * sizeof *count);
    for (uint64_t i = 0; i < n; i++)
        count[at[i] & 0xffffu]++;
    for (uint32_t low = 0; low < LOWS; low++)
        for (uint32_t j = 0; j < count[low]; j++)
            *at++ = upper << 16 | low;
}

static rs_status sort_values(const rs_pass *pass, const rs_values *v, const bool *use,
                             rs_ranks *r, rs_err *err)
{
    rs_walk w;
    rs_pass alone = *pass;
    alone.pool = NULL; /* the places are handed out one after the other */
    RS_TRY(rs_walk_open(&w, &alone, v, use, err));
    scattering sc = {r, calloc(CELLS, sizeof(uint64_t))};
    uint32_t *count = calloc(LOWS, sizeof *count);
    r->sorted = calloc((size_t)r->n + 1, sizeof *r->sorted);
    rs_status s =
        sc.next && count && r->sorted
            ? RS_OK
            : rs_fail(err, RS_E_NOMEM, "no memory to rank %" PRIu64 " values", r->n);
    if (s == RS_OK) memcpy(sc.next, r->before, CELLS * sizeof *sc.next);
    if (s == RS_OK) s = rs_walk_run(&w, scatter_piece, &sc, err);
    for (uint32_t c = 0; c < CELLS && s == RS_OK; c++)
        sort_cell(r->sorted + r->before[c], r->before[c + 1] - r->before[c], c, count);
    free(sc.next);
    free(count);
    rs_walk_close(&w);
    return s;
}

rs_status rs_ranks_new(const rs_pass *pass, const rs_values *v, const bool *use,
                       int64_t n, rs_ranks **out, rs_err *err)
{
    rs_walk w;
    *out = NULL;
    rs_ranks *r = calloc(1, sizeof *r);
    if (!r) return rs_fail(err, RS_E_NOMEM, "no memory for ranks");
    r->n = (uint64_t)n;
    rs_status s = rs_walk_open(&w, pass, v, use, err);
    if (s == RS_OK) {
        s = fill_cells(&w, r, err);
        rs_walk_close(&w);
    }
    if (s == RS_OK && !r->cells_suffice && n <= RS_EXACT_RANKS)
        s = sort_values(pass, v, use, r, err);
    if (s == RS_OK)
        *out = r;
    else
        rs_ranks_free(r);
    return s;
}

uint64_t rs_ranks_bytes(int64_t n, bool low_bits)
{
    uint64_t sorted = low_bits && n <= RS_EXACT_RANKS ? 4 * (uint64_t)n : 0;
    return sizeof(rs_ranks) + sorted;
}

void rs_ranks_free(rs_ranks *r)
{
    if (!r) return;
    free(r->sorted);
    free(r);
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

double rs_rank_value(const rs_ranks *r, float f)
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
        less = (double)from + (double)(to - from) * ((double)low + 0.5) / LOWS;
    }
    double rank =
        less + (equal + 1) / 2; /* a value that is none of them lies between two */
    double p = (rank - 1) / (double)(r->n - 1);
    return p < 0 ? 0 : p > 1 ? 1 : p;
}
