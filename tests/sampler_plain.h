/* sampler_plain.h - the sampler's rules written down again, plainly and in long double. */
#ifndef TESTS_SAMPLER_PLAIN_H
#define TESTS_SAMPLER_PLAIN_H

#include "model/sampler.h"
#include "tests/files.h"
#include "tests/t.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
enum { MAX = 600 };

/* ---- the rules, plainly ---- */

typedef struct plain {
    int n, id[MAX];
    long double l[MAX];
} plain;

UNUSED void sort_plain(plain *c)
{
    for (int i = 1; i < c->n; i++)
        for (int k = i; k > 0 && (c->l[k] > c->l[k - 1] ||
                                  (c->l[k] == c->l[k - 1] && c->id[k] < c->id[k - 1]));
             k--) {
            long double l = c->l[k];
            int id = c->id[k];
            c->l[k] = c->l[k - 1], c->id[k] = c->id[k - 1];
            c->l[k - 1] = l, c->id[k - 1] = id;
        }
}

UNUSED void probabilities(const plain *c, long double p[MAX])
{
    long double sum = 0, max = -INFINITY;
    for (int i = 0; i < c->n; i++)
        max = fmaxl(max, c->l[i]);
    for (int i = 0; i < c->n; i++)
        sum += p[i] = expl(c->l[i] - max);
    for (int i = 0; i < c->n; i++)
        p[i] /= sum;
}

UNUSED long double entropy_of(const long double *p, int n)
{
    long double h = 0;
    for (int i = 0; i < n; i++)
        h -= p[i] > 0 ? p[i] * logl(p[i]) : 0;
    return h;
}

UNUSED int at_least(const rs_sampler_params *p)
{
    return p->min_keep > 1 ? p->min_keep : 1;
}

UNUSED void plain_penalties(plain *c, const rs_sampler_params *p, const int32_t *ctx,
                            int n)
{
    int from = p->penalty_last_n < 0 || p->penalty_last_n > n ? 0 : n - p->penalty_last_n;
    for (int i = 0; i < c->n; i++) {
        int count = 0;
        for (int k = from; k < n; k++)
            count += ctx[k] == c->id[i];
        if (!count) continue;
        c->l[i] = c->l[i] > 0 ? c->l[i] / p->repeat_penalty : c->l[i] * p->repeat_penalty;
        c->l[i] -= count * p->frequency_penalty + p->presence_penalty;
    }
}

UNUSED bool breaks(const rs_sampler_params *p, int id)
{
    for (int i = 0; i < p->n_dry_breakers; i++)
        if (p->dry_breakers[i] == id) return true;
    return false;
}

UNUSED void plain_dry(plain *c, const rs_sampler_params *p, const int32_t *ctx, int n)
{
    if (p->dry_last_n >= 0 && n > p->dry_last_n) {
        ctx += n - p->dry_last_n;
        n = p->dry_last_n;
    }
    int limit = 0;
    while (limit < n && !breaks(p, ctx[n - 1 - limit]))
        limit++;
    for (int i = 0; i < c->n; i++) {
        int longest = 0;
        for (int at = 1; at < n && !breaks(p, c->id[i]); at++) {
            if (ctx[at] != c->id[i]) continue;
            int m = 0;
            while (m < at && m < limit && ctx[at - 1 - m] == ctx[n - 1 - m])
                m++;
            if (m > longest) longest = m;
        }
        if (longest >= p->dry_allowed_length && longest > 0)
            c->l[i] -=
                p->dry_multiplier * powl(p->dry_base, longest - p->dry_allowed_length);
    }
}

UNUSED void keep(plain *c, const bool *stays)
{
    int n = 0;
    for (int i = 0; i < c->n; i++)
        if (stays[i]) c->l[n] = c->l[i], c->id[n++] = c->id[i];
    c->n = n;
}

UNUSED void plain_sigma(plain *c, const rs_sampler_params *p)
{
    long double mean = 0, sd = 0, max = -INFINITY;
    bool stays[MAX];
    for (int i = 0; i < c->n; i++)
        mean += c->l[i] / c->n, max = fmaxl(max, c->l[i]);
    for (int i = 0; i < c->n; i++)
        sd += (c->l[i] - mean) * (c->l[i] - mean) / c->n;
    for (int i = 0; i < c->n; i++)
        stays[i] = c->l[i] >= max - p->top_n_sigma * sqrtl(sd);
    keep(c, stays);
}

UNUSED void plain_typical(plain *c, const rs_sampler_params *p)
{
    long double pr[MAX], sum = 0;
    bool stays[MAX] = {false};
    probabilities(c, pr);
    long double h = entropy_of(pr, c->n);
    for (int kept = 0; kept < c->n && !(sum > p->typical_p && kept >= at_least(p));
         kept++) {
        int best = -1;
        for (int i = 0; i < c->n; i++)
            if (!stays[i] &&
                (best < 0 || fabsl(-logl(pr[i]) - h) < fabsl(-logl(pr[best]) - h)))
                best = i;
        stays[best] = true;
        sum += pr[best];
    }
    keep(c, stays);
}

UNUSED void plain_top_p(plain *c, const rs_sampler_params *p)
{
    long double pr[MAX], sum = 0;
    int n = 0;
    sort_plain(c);
    probabilities(c, pr);
    while (n < c->n && (sum < p->top_p || n < at_least(p)))
        sum += pr[n++];
    c->n = n;
}

UNUSED void plain_min_p(plain *c, const rs_sampler_params *p)
{
    int n = 0;
    sort_plain(c);
    while (n < c->n && (c->l[n] >= c->l[0] + logl(p->min_p) || n < at_least(p)))
        n++;
    c->n = n;
}

UNUSED void plain_xtc(plain *c, const rs_sampler_params *p)
{
    long double pr[MAX];
    int likely = 0;
    sort_plain(c);
    probabilities(c, pr);
    while (likely < c->n && pr[likely] >= p->xtc_threshold)
        likely++;
    int drop = likely - 1;
    if (drop <= 0 || c->n - drop < at_least(p)) return;
    for (int i = drop; i < c->n; i++)
        c->l[i - drop] = c->l[i], c->id[i - drop] = c->id[i];
    c->n -= drop;
}

UNUSED void plain_temperature(plain *c, const rs_sampler_params *p)
{
    long double pr[MAX], t = p->temperature;
    if (p->dynatemp_range > 0 && c->n > 1) {
        probabilities(c, pr);
        long double low = fmaxl(0, t - p->dynatemp_range), high = t + p->dynatemp_range;
        t = low +
            (high - low) * powl(entropy_of(pr, c->n) / logl(c->n), p->dynatemp_exponent);
    }
    for (int i = 0; i < c->n; i++)
        c->l[i] /= t;
}

/* The default order; a probability of XTC is taken for 1. */
UNUSED void plain_chain(plain *c, const rs_sampler_params *p, const float *logits,
                        int vocab, const int32_t *ctx, int n)
{
    c->n = 0;
    for (int i = 0; i < vocab; i++) {
        long double l = logits[i];
        for (int k = 0; k < p->n_bias; k++)
            l += p->bias[k].id == i ? p->bias[k].bias : 0;
        if (isfinite(l)) c->id[c->n] = i, c->l[c->n++] = l;
    }
    if (p->penalty_last_n) plain_penalties(c, p, ctx, n);
    if (p->dry_multiplier > 0 && p->dry_last_n) plain_dry(c, p, ctx, n);
    if (p->top_n_sigma > 0) plain_sigma(c, p);
    sort_plain(c);
    int k = p->top_k > at_least(p) ? p->top_k : at_least(p);
    if (p->top_k > 0 && c->n > k) c->n = k;
    if (p->typical_p < 1) plain_typical(c, p);
    if (p->top_p < 1) plain_top_p(c, p);
    if (p->min_p > 0) plain_min_p(c, p);
    if (p->xtc_probability > 0 && p->xtc_threshold <= 0.5) plain_xtc(c, p);
    plain_temperature(c, p);
    sort_plain(c);
}

/* ---- comparing ---- */

/* Logits are float32: near 80, after a low temperature, they are 7.6e-6 apart, and p moves by
 * as much relatively. */
UNUSED bool equal_candidates(const plain *want, const rs_candidate *got, int n)
{
    long double p[MAX];
    probabilities(want, p);
    bool same = n == want->n;
    for (int i = 0; same && i < n; i++) {
        bool found = false;
        for (int k = 0; k < n; k++) /* equal logits may stand in another order */
            if (got[k].id == want->id[i])
                found = fabsl(got[k].p - p[i]) <= 1e-5L * p[i] + 1e-12L;
        same = found && (i == 0 || got[i].p <= got[i - 1].p);
    }
    if (same) return true;
    printf("  got %d candidates, expected %d\n", n, want->n);
    for (int i = 0; i < n && i < 12; i++)
        printf("    %d %.9g\n", (int)got[i].id, got[i].p);
    for (int i = 0; i < want->n && i < 12; i++)
        printf("    want %d %.9Lg\n", want->id[i], p[i]);
    return false;
}

UNUSED bool chain_holds(const rs_sampler_params *p, const float *logits, int vocab,
                        const int32_t *ctx, int n)
{
    static plain want;
    rs_sampler *s;
    const rs_candidate *left;
    int n_left;
    plain_chain(&want, p, logits, vocab, ctx, n);
    if (rs_sampler_new(p, vocab, &s, &t_err) != RS_OK) return false;
    bool ok = true;
    for (int twice = 0; twice < 2 && ok; twice++) { /* nothing is left over from a draw */
        int32_t id = rs_sampler_draw(s, logits, ctx, n, &left, &n_left);
        ok = equal_candidates(&want, left, n_left);
        bool among = false;
        for (int i = 0; i < n_left; i++)
            among |= left[i].id == id;
        ok = ok && among;
    }
    rs_sampler_free(s);
    return ok;
}

/* Everything off. */
UNUSED rs_sampler_params off(void)
{
    rs_sampler_params p = rs_sampler_defaults();
    p.temperature = 1;
    p.top_k = 0;
    p.top_p = 1;
    p.min_p = 0;
    return p;
}

UNUSED float noise(rs_rng *r, double scale)
{
    double sum = 0;
    for (int i = 0; i < 6; i++)
        sum += rs_rng_uniform(r) - 0.5;
    return (float)(sum * scale);
}

#endif
