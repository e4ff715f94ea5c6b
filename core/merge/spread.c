#include "merge/spread.h"

#include "merge/fisher_walk.h"
#include "merge/plan_internal.h"
#include "tensor/half.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LOWEST = -149 };
static const rs_normaliser usual = RS_NORM_P99;

struct rs_spreads {
    const rs_runtime *rt;
    const rs_plan *p;
    const rs_src_fisher *f;
    rs_view *mean, *cut, *other; /* cut NULL: nothing is cut */
    bool is_hard;
    double hard; /* the quantile of p */
};

/* --- bins --- */

double rs_spread_edge(int bin)
{
    return exp2(bin / 4.0 + LOWEST);
}

int rs_spread_bin(float f)
{
    int e;
    double m = frexp((double)f, &e); /* [0.5, 1) */
    int quarter = (m >= 0x1.306fe0a31b715p-1) + (m >= 0x1.6a09e667f3bcdp-1) +
                  (m >= 0x1.ae89f995ad3adp-1); /* 2^-3/4, 2^-1/2, 2^-1/4 */
    return 4 * (e - 1 - LOWEST) + quarter;
}

static bool is_count(double v)
{
    return v >= 0 && v <= 0x1p53;
}

static bool is_mark(const rs_mark *m, double n)
{
    if (m->kind == RS_MARK_NONE) return true;
    return (m->kind == RS_MARK_NORMALISER || m->kind == RS_MARK_HARD) &&
           m->normaliser >= 0 && m->normaliser <= RS_NORM_P999 && m->at > 0 &&
           isfinite(m->at) && is_count(m->above) && m->above <= n;
}

bool rs_spread_is_sound(const rs_spread *s)
{
    return s->i_tensor >= 0 && is_count(s->n) && is_count(s->zeros) && s->zeros <= s->n &&
           s->first >= 0 && s->count >= 0 && s->count <= RS_SPREAD_BINS &&
           s->first <= RS_SPREAD_BINS - s->count && isfinite(s->mean) &&
           isfinite(s->max) && isfinite(s->unit) && is_mark(&s->cut, s->n) &&
           is_mark(&s->other, s->n);
}

/* --- what is asked --- */

static const rs_dampen_spec *spec_of(const rs_plan *p)
{
    return p->fuel ? &p->fuel->stage->dampen : NULL;
}

static bool has_cut(const rs_dampen_spec *d)
{
    return d && d->kind != RS_DAMPEN_NONE && d->kind != RS_DAMPEN_TASK;
}

/* The Fisher that the fuel stage dampens by, else the one that damage is told by. */
static int fisher_of(const rs_plan *p)
{
    int i = p->fuel && has_cut(spec_of(p)) ? p->fuel->fisher : -1;
    if (i >= 0 && p->sources->fishers[i].file) return i;
    return p->damage_fisher;
}

bool rs_spread_is_there(const rs_plan *p, int i)
{
    int f = fisher_of(p);
    return f >= 0 && i >= 0 && i < p->sources->n_tensors &&
           p->sources->fishers[f].tensor[i] != NULL;
}

uint64_t rs_spread_fingerprint(const rs_plan *p, int i)
{
    if (!rs_spread_is_there(p, i)) return 0;
    const rs_dampen_spec *d = spec_of(p);
    uint64_t h = rs_mix(p->sources->fishers[fisher_of(p)].id, (uint64_t)i);
    if (!has_cut(d)) return h | 1;
    h = rs_mix(h, (uint64_t)d->kind << 24 | (uint64_t)d->normaliser << 16 |
                      (uint64_t)d->over << 8 | d->per_tensor);
    if (d->over == RS_OVER_TARGETS) h = rs_mix(h, p->fuel->targets);
    if (d->kind == RS_DAMPEN_HARD) h = rs_mix_double(h, d->q);
    return h | 1;
}

double rs_spread_d(const rs_dampen_spec *d)
{
    switch (d->kind) {
    case RS_DAMPEN_EWC:
        return 1 / (1 + d->lambda);
    case RS_DAMPEN_ONE_MINUS:
        return 1 - d->parameter;
    case RS_DAMPEN_HARD:
        return 0;
    default:
        return NAN;
    }
}

/* --- statistics of the population --- */

static rs_pass pass_of(const rs_spreads *s, rs_progress_fn progress, void *ctx)
{
    return (rs_pass){s->rt->kernels->merge, s->rt->pool, progress, ctx, "Fisher", 0};
}

static rs_status get_view(rs_spreads *s, const rs_pass *pass, rs_normaliser normaliser,
                          rs_view **out, rs_err *err)
{
    const rs_plan *p = s->p;
    rs_dampen_spec spec = {.normaliser = normaliser};
    if (has_cut(spec_of(p))) {
        spec.over = spec_of(p)->over;
        spec.per_tensor = spec_of(p)->per_tensor;
    }
    int n = p->sources->n_tensors;
    bool *targets = calloc((size_t)n + 1, sizeof *targets);
    if (!targets) return rs_fail(err, RS_E_NOMEM, "no memory for a spread");
    for (int i = 0; i < n && p->fuel; i++)
        targets[i] = rs_node_has_delta(p, p->fuel, i);
    rs_status st = rs_view_get(pass, p->sources, fisher_of(p), &spec, targets, out, err);
    free(targets);
    return st;
}

static rs_status look(rs_spreads *s, rs_progress_fn progress, void *ctx, rs_err *err)
{
    const rs_dampen_spec *d = spec_of(s->p);
    rs_pass pass = pass_of(s, progress, ctx);
    rs_normaliser other = usual;
    RS_TRY(get_view(s, &pass, RS_NORM_MEAN, &s->mean, err));
    if (has_cut(d)) {
        s->is_hard = d->kind == RS_DAMPEN_HARD;
        RS_TRY(get_view(s, &pass, d->normaliser, &s->cut, err));
        if (s->is_hard)
            RS_TRY(rs_view_cut(&pass, s->p->sources, s->cut, d->q, &s->hard, err));
        if (s->is_hard || d->normaliser == usual) other = RS_NORM_MEAN;
    }
    return get_view(s, &pass, other, &s->other, err);
}

rs_status rs_spreads_open(const rs_runtime *rt, const rs_plan *p, rs_progress_fn progress,
                          void *ctx, rs_spreads **out, rs_err *err)
{
    *out = NULL;
    if (fisher_of(p) < 0) {
        const char *why = rs_plan_fisher_missing(p);
        return rs_fail(err, RS_E_NOT_FOUND, "%s",
                       why ? why : "the recipe names no Fisher");
    }
    rs_spreads *s = calloc(1, sizeof *s);
    if (!s) return rs_fail(err, RS_E_NOMEM, "no memory for a spread");
    *s = (rs_spreads){.rt = rt, .p = p, .f = &p->sources->fishers[fisher_of(p)]};
    rs_status st = look(s, progress, ctx, err);
    if (st != RS_OK) return rs_spreads_close(s), st;
    *out = s;
    return RS_OK;
}

void rs_spreads_close(rs_spreads *s)
{
    if (!s) return;
    rs_view *const views[] = {s->mean, s->cut, s->other};
    for (int i = 0; i < 3; i++)
        if (views[i]) rs_view_drop(s->p->sources, views[i]);
    free(s);
}

/* --- one tensor --- */

typedef struct counts {
    float at[2];     /* of the marks; infinite: none */
    uint64_t *bins;  /* [threads, RS_SPREAD_BINS] */
    uint64_t *of[3]; /* zeros, above each mark: [threads] */
} counts;

static bool count_piece(rs_walk *w, int64_t i, const rs_piece *p, const float *f,
                        int worker)
{
    counts *c = w->ctx;
    uint64_t *bins = c->bins + (size_t)worker * RS_SPREAD_BINS;
    uint64_t zeros = 0, above[2] = {0, 0};
    (void)i;
    for (int64_t j = 0; j < p->n; j++) {
        if (f[j] > 0)
            bins[rs_spread_bin(f[j])]++;
        else
            zeros++;
        above[0] += f[j] >= c->at[0];
        above[1] += f[j] >= c->at[1];
    }
    c->of[0][worker] += zeros;
    c->of[1][worker] += above[0];
    c->of[2][worker] += above[1];
    return true;
}

static rs_mark mark_of(const rs_view *v, int i, bool is_hard, double hard)
{
    const rs_norm *n = v ? v->norm_of[i] : NULL;
    if (!n || v->n_values == 0) return (rs_mark){0};
    double at = (double)rs_norm_inverse(n, is_hard ? hard : 1);
    if (!(at > 0) || !isfinite(at)) return (rs_mark){0};
    return (rs_mark){.kind = is_hard ? RS_MARK_HARD : RS_MARK_NORMALISER,
                     .normaliser = (int32_t)v->normaliser,
                     .at = at};
}

static void gather(const counts *c, int threads, rs_spread *out)
{
    double *const sums[] = {&out->zeros, &out->cut.above, &out->other.above};
    int last = -1;
    for (int k = 0; k < 3; k++)
        for (int t = 0; t < threads; t++)
            *sums[k] += (double)c->of[k][t];
    for (int b = 0; b < RS_SPREAD_BINS; b++) {
        for (int t = 0; t < threads; t++)
            out->bin[b] += c->bins[(size_t)t * RS_SPREAD_BINS + (size_t)b];
        if (!out->bin[b]) continue;
        if (last < 0) out->first = b;
        last = b;
    }
    out->count = last < 0 ? 0 : last - out->first + 1;
}

static rs_status count(const rs_pass *pass, const rs_values *v, const bool *use,
                       rs_spread *out, rs_err *err)
{
    int threads = rs_pass_workers(pass);
    rs_walk w;
    counts c = {.at = {out->cut.kind ? (float)out->cut.at : INFINITY,
                       out->other.kind ? (float)out->other.at : INFINITY}};
    RS_TRY(rs_walk_open(&w, pass, v, use, err));
    c.bins = calloc((size_t)threads * RS_SPREAD_BINS, sizeof *c.bins);
    uint64_t *rest = calloc((size_t)threads * 3, sizeof *rest);
    for (int k = 0; k < 3 && rest; k++)
        c.of[k] = rest + (size_t)k * (size_t)threads;
    rs_status s = c.bins && rest ? rs_walk_run(&w, count_piece, &c, err)
                                 : rs_fail(err, RS_E_NOMEM, "no memory for a histogram");
    if (s == RS_OK) gather(&c, threads, out);
    free(c.bins);
    free(rest);
    rs_walk_close(&w);
    return s;
}

static rs_status spread(rs_spreads *s, int i, const rs_pass *pass, const rs_values *v,
                        bool *use, rs_moments *m, rs_spread *out, rs_err *err)
{
    use[i] = true;
    RS_TRY(rs_fisher_moments(pass, v, use, m, err));
    const rs_norm *mean = s->mean->norm_of[i];
    out->i_tensor = i;
    out->fingerprint = rs_spread_fingerprint(s->p, i);
    out->in_population = s->mean->use[i];
    out->n = (double)m[i].n;
    out->mean = m[i].n ? m[i].sum / (double)m[i].n : 0;
    out->max = (double)m[i].max;
    out->unit = mean && mean->factor > 0 ? 1 / mean->factor : 0;
    out->cut = mark_of(s->cut, i, s->is_hard, s->hard);
    out->other = mark_of(s->other, i, false, 0);
    return count(pass, v, use, out, err);
}

rs_status rs_spreads_tensor(rs_spreads *s, int i, rs_progress_fn progress, void *ctx,
                            rs_spread *out, rs_err *err)
{
    memset(out, 0, sizeof *out);
    if (!rs_spread_is_there(s->p, i))
        return rs_fail(err, RS_E_NOT_FOUND, "%s holds no %s", s->f->path,
                       rs_plan_at(s->p, i)->name);
    size_t n = (size_t)s->p->sources->n_tensors + 1;
    rs_reading r = {s->p->sources, s->f};
    rs_pass pass = pass_of(s, progress, ctx);
    int64_t *sizes = calloc(n, sizeof *sizes);
    bool *use = calloc(n, sizeof *use);
    rs_moments *m = calloc(n, sizeof *m);
    rs_status st = RS_OK;
    if (!sizes || !use || !m) st = rs_fail(err, RS_E_NOMEM, "no memory for a spread");
    if (st == RS_OK) {
        rs_values v = rs_reading_values(&r, sizes);
        st = spread(s, i, &pass, &v, use, m, out, err);
        if (st != RS_OK) st = rs_err_prefix(err, "%s", s->f->path);
    }
    free(sizes);
    free(use);
    free(m);
    return st;
}
