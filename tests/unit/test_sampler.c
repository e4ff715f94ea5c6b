/* Every stage of the sampler against its rule written down again here, plainly and in long
 * double; the draw by chi-square; streams, orders, refusals. */
#include "model/sampler.h"
#include "tests/t.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))
enum { MAX = 600 };

/* ---- the rules, plainly ---- */

typedef struct plain {
    int n, id[MAX];
    long double l[MAX];
} plain;

static void sort_plain(plain *c)
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

static void probabilities(const plain *c, long double p[MAX])
{
    long double sum = 0, max = -INFINITY;
    for (int i = 0; i < c->n; i++)
        max = fmaxl(max, c->l[i]);
    for (int i = 0; i < c->n; i++)
        sum += p[i] = expl(c->l[i] - max);
    for (int i = 0; i < c->n; i++)
        p[i] /= sum;
}

static long double entropy_of(const long double *p, int n)
{
    long double h = 0;
    for (int i = 0; i < n; i++)
        h -= p[i] > 0 ? p[i] * logl(p[i]) : 0;
    return h;
}

static int at_least(const rs_sampler_params *p)
{
    return p->min_keep > 1 ? p->min_keep : 1;
}

static void plain_penalties(plain *c, const rs_sampler_params *p, const int32_t *ctx,
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

static bool breaks(const rs_sampler_params *p, int id)
{
    for (int i = 0; i < p->n_dry_breakers; i++)
        if (p->dry_breakers[i] == id) return true;
    return false;
}

static void plain_dry(plain *c, const rs_sampler_params *p, const int32_t *ctx, int n)
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

static void keep(plain *c, const bool *stays)
{
    int n = 0;
    for (int i = 0; i < c->n; i++)
        if (stays[i]) c->l[n] = c->l[i], c->id[n++] = c->id[i];
    c->n = n;
}

static void plain_sigma(plain *c, const rs_sampler_params *p)
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

static void plain_typical(plain *c, const rs_sampler_params *p)
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

static void plain_top_p(plain *c, const rs_sampler_params *p)
{
    long double pr[MAX], sum = 0;
    int n = 0;
    sort_plain(c);
    probabilities(c, pr);
    while (n < c->n && (sum < p->top_p || n < at_least(p)))
        sum += pr[n++];
    c->n = n;
}

static void plain_min_p(plain *c, const rs_sampler_params *p)
{
    int n = 0;
    sort_plain(c);
    while (n < c->n && (c->l[n] >= c->l[0] + logl(p->min_p) || n < at_least(p)))
        n++;
    c->n = n;
}

static void plain_xtc(plain *c, const rs_sampler_params *p)
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

static void plain_temperature(plain *c, const rs_sampler_params *p)
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
static void plain_chain(plain *c, const rs_sampler_params *p, const float *logits,
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
static bool equal_candidates(const plain *want, const rs_candidate *got, int n)
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

static bool chain_holds(const rs_sampler_params *p, const float *logits, int vocab,
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
static rs_sampler_params off(void)
{
    rs_sampler_params p = rs_sampler_defaults();
    p.temperature = 1;
    p.top_k = 0;
    p.top_p = 1;
    p.min_p = 0;
    return p;
}

static float noise(rs_rng *r, double scale)
{
    double sum = 0;
    for (int i = 0; i < 6; i++)
        sum += rs_rng_uniform(r) - 0.5;
    return (float)(sum * scale);
}

/* ---- tests ---- */

/* Numbers that can be checked by hand: p = .5 .25 .125 .0625 .0625. */
static void by_hand(void)
{
    const float l[] = {-2, -1, -3, -4, -4};
    float logits[5];
    for (int i = 0; i < 5; i++)
        logits[i] = (float)(l[i] * log(2.0));
    static const struct {
        const char *what;
        int n, first;
    } rows[] = {{"top_k", 2, 1},   {"top_p", 2, 1}, {"min_p", 3, 1},
                {"typical", 1, 0}, {"xtc", 4, 0},   {"min_keep", 4, 1}};
    for (int i = 0; i < COUNT(rows); i++) {
        rs_sampler_params p = off();
        if (i == 0) p.top_k = 2;
        if (i == 1) p.top_p = 0.75 - 1e-7;
        if (i == 2) p.min_p = 0.25 - 1e-7;
        if (i == 3)
            p.typical_p = 0.2; /* H = 1.875 bits: the second (2 bits) is nearest */
        if (i == 4) p.xtc_probability = 1, p.xtc_threshold = 0.2;
        if (i == 5) p.min_p = 0.9, p.min_keep = 4;
        rs_sampler *s;
        const rs_candidate *left;
        int n;
        T_OK(rs_sampler_new(&p, 5, &s, &t_err));
        int32_t id = rs_sampler_draw(s, logits, NULL, 0, &left, &n);
        T_TRUE(id >= 0 && id < 5);
        if (n != rows[i].n || left[0].id != rows[i].first)
            T_FAIL("%s: %d left, first %d", rows[i].what, n, (int)left[0].id);
        rs_sampler_free(s);
    }
}

static const int32_t repeated[] = {1, 2, 3, 4, 9, 1, 2, 3, 5, 1, 2, 3, 7, 4, 1, 2, 3};

static void each_stage(void)
{
    rs_rng r = rs_rng_stream(3, 0);
    float logits[40];
    const int32_t breakers[] = {9, 4};
    const rs_logit_bias bias[] = {{3, 1.5f}, {7, -INFINITY}};
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 40; i++)
            logits[i] = noise(&r, 4);
        logits[11] = NAN;
        logits[12] = -INFINITY;
        for (int i = 0; i < 16; i++) {
            rs_sampler_params p = off();
            if (i == 0) p.bias = bias, p.n_bias = 2;
            if (i == 1) p.repeat_penalty = 1.3;
            if (i == 2) p.frequency_penalty = 0.4, p.penalty_last_n = 5;
            if (i == 3) p.presence_penalty = 0.7, p.penalty_last_n = -1;
            if (i == 4) p.dry_multiplier = 0.8;
            if (i == 5)
                p.dry_multiplier = 0.8, p.dry_allowed_length = 1, p.dry_last_n = 9;
            if (i == 6) {
                p.dry_multiplier = 1, p.dry_last_n = -1, p.dry_allowed_length = 1;
                p.dry_breakers = breakers, p.n_dry_breakers = 2;
            }
            if (i == 7) p.top_n_sigma = 1;
            if (i == 8) p.top_k = 7;
            if (i == 9) p.typical_p = 0.6;
            if (i == 10) p.top_p = 0.8;
            if (i == 11) p.min_p = 0.1;
            if (i == 12) p.xtc_probability = 1, p.xtc_threshold = 0.06;
            if (i == 13) p.temperature = 0.6;
            if (i == 14)
                p.temperature = 0.9, p.dynatemp_range = 0.5, p.dynatemp_exponent = 1.5;
            if (i == 15) p.top_p = 0.05, p.typical_p = 0.3, p.min_keep = 5;
            if (!chain_holds(&p, logits, 40, repeated, COUNT(repeated)))
                T_FAIL("setting %d, round %d", i, round);
        }
    }
}

/* All at once, with everything random. */
static void whole_chains(void)
{
    rs_rng r = rs_rng_stream(5, 0);
    static float logits[500];
    int32_t ctx[200];
    const int32_t breakers[] = {0};
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 500; i++)
            logits[i] = noise(&r, 6);
        int n = (int)(rs_rng_next(&r) % 200);
        for (int i = 0; i < n; i++)
            ctx[i] = (int32_t)(rs_rng_next(&r) % 4);
        rs_sampler_params p = off();
        p.temperature = 0.3 + rs_rng_uniform(&r);
        p.repeat_penalty = 0.9 + 0.4 * rs_rng_uniform(&r);
        p.frequency_penalty = 0.1 * rs_rng_uniform(&r);
        p.penalty_last_n = (int)(rs_rng_next(&r) % 100) - 1;
        p.dry_multiplier = rs_rng_uniform(&r);
        p.dry_base = 1.05;
        p.dry_last_n = (int)(rs_rng_next(&r) % 200) - 1;
        p.dry_breakers = breakers;
        p.n_dry_breakers = round % 2;
        if (round % 3 == 0) p.top_n_sigma = 1 + 2 * rs_rng_uniform(&r);
        if (round % 4) p.top_k = 1 + (int)(rs_rng_next(&r) % 300);
        if (round % 5 == 0) p.typical_p = 0.5 + 0.5 * rs_rng_uniform(&r);
        if (round % 2) p.top_p = 0.6 + 0.4 * rs_rng_uniform(&r);
        if (round % 7) p.min_p = 0.02 * rs_rng_uniform(&r);
        if (round % 3 == 1)
            p.xtc_probability = 1, p.xtc_threshold = 0.1 * rs_rng_uniform(&r);
        if (round % 6 == 1) p.dynatemp_range = 0.3;
        if (!chain_holds(&p, logits, 500, ctx, n)) T_FAIL("round %d", round);
    }
}

/* A vocabulary of Gemma's size: selecting gives what sorting would. */
static void large_vocabulary(void)
{
    enum { V = 262144 };
    float *logits = malloc(V * sizeof *logits);
    rs_rng r = rs_rng_stream(8, 0);
    for (int i = 0; i < V; i++)
        logits[i] = (float)(rs_rng_next(&r) % 5000) / 500; /* ties */
    for (int k = 1; k < 70000; k = k * 7 + 3) {
        rs_sampler_params p = off();
        p.top_k = k;
        rs_sampler *s;
        const rs_candidate *left;
        int n;
        T_OK(rs_sampler_new(&p, V, &s, &t_err));
        T_TRUE(rs_sampler_draw(s, logits, NULL, 0, &left, &n) >= 0);
        T_EQ(n, k);
        int above = 0, equal = 0;
        float least = left[n - 1].logit;
        int32_t last = left[n - 1].id;
        for (int i = 0; i < V; i++)
            above += logits[i] > least;
        for (int i = 0; i <= last; i++)
            equal += logits[i] == least;
        T_EQ(above + equal, k); /* of equals the lowest ids */
        for (int i = 1; i < n; i++)
            T_TRUE(left[i].logit < left[i - 1].logit ||
                   (left[i].logit == left[i - 1].logit && left[i].id > left[i - 1].id));
        rs_sampler_free(s);
    }
    free(logits);
}

static void greedy(void)
{
    float logits[] = {1, 3, 2, 3, NAN};
    rs_sampler_params p = rs_sampler_defaults();
    rs_sampler *s;
    const rs_candidate *left;
    int n;
    p.temperature = 0;
    p.xtc_probability = 1; /* truncations do nothing here */
    T_OK(rs_sampler_new(&p, 5, &s, &t_err));
    T_EQ(rs_sampler_draw(s, logits, NULL, 0, &left, &n), 1);
    T_EQ(n, 1);
    T_NEAR(left[0].p, 1, 0, 0);
    rs_sampler_free(s);
    const int32_t ctx[] = {1};
    p.presence_penalty = 0.5;
    T_OK(rs_sampler_new(&p, 5, &s, &t_err));
    T_EQ(rs_sampler_draw(s, logits, ctx, 1, NULL, NULL), 3);
    for (int i = 0; i < 5; i++)
        logits[i] = i % 2 ? NAN : -INFINITY;
    T_EQ(rs_sampler_draw(s, logits, ctx, 1, NULL, NULL), -1);
    rs_sampler_free(s);
}

/* Pearson's statistic of the draws from a known distribution. */
static void draw_is_fair(void)
{
    const double p_want[] = {0.4, 0.25, 0.15, 0.1, 0.06, 0.04};
    enum { N = 60000 };
    float logits[6];
    int seen[6] = {0};
    for (int i = 0; i < 6; i++)
        logits[5 - i] = (float)log(p_want[i]);
    rs_sampler_params p = off();
    p.seed = 11;
    rs_sampler *s;
    T_OK(rs_sampler_new(&p, 6, &s, &t_err));
    for (int i = 0; i < N; i++)
        seen[5 - rs_sampler_draw(s, logits, NULL, 0, NULL, NULL)]++;
    double x = 0;
    for (int i = 0; i < 6; i++)
        x += (seen[i] - N * p_want[i]) * (seen[i] - N * p_want[i]) / (N * p_want[i]);
    if (x > 20.5) T_FAIL("chi-square is %g, beyond the 0.1 %% point of 5 degrees", x);
    rs_sampler_free(s);
}

/* XTC's stream is its own: with nothing for it to drop, the drawn tokens stay the same. Equal
 * seeds give equal tokens, others do not. */
static void streams(void)
{
    float logits[64];
    int32_t drawn[4][100];
    rs_rng r = rs_rng_stream(1, 0);
    for (int i = 0; i < 64; i++)
        logits[i] = noise(&r, 2);
    for (int k = 0; k < 4; k++) {
        rs_sampler_params p = off();
        p.seed = k == 3 ? 5 : 4;
        if (k == 1) p.xtc_probability = 0.5, p.xtc_threshold = 0.4;
        rs_sampler *s;
        T_OK(rs_sampler_new(&p, 64, &s, &t_err));
        for (int i = 0; i < 100; i++)
            drawn[k][i] = rs_sampler_draw(s, logits, NULL, 0, NULL, NULL);
        rs_sampler_free(s);
    }
    T_TRUE(memcmp(drawn[0], drawn[1], sizeof drawn[0]) == 0);
    T_TRUE(memcmp(drawn[0], drawn[2], sizeof drawn[0]) == 0);
    T_TRUE(memcmp(drawn[0], drawn[3], sizeof drawn[0]) != 0);
}

/* XTC strikes as often as it should. */
static void xtc_probability(void)
{
    const float logits[] = {2, 1.9f, 0};
    rs_sampler_params p = off();
    p.xtc_probability = 0.3;
    rs_sampler *s;
    const rs_candidate *left;
    int n, struck = 0;
    T_OK(rs_sampler_new(&p, 3, &s, &t_err));
    for (int i = 0; i < 10000; i++) {
        T_TRUE(rs_sampler_draw(s, logits, NULL, 0, &left, &n) >= 0);
        struck += n < 3;
    }
    T_NEAR(struck, 3000, 230, 0); /* five standard deviations */
    rs_sampler_free(s);
}

static void mirostat(void)
{
    float logits[300];
    rs_rng r = rs_rng_stream(2, 0);
    for (int i = 0; i < 300; i++)
        logits[i] = noise(&r, 5);
    rs_sampler_params p = off();
    p.mirostat = 2;
    p.mirostat_tau = 3;
    p.top_k = 1; /* left out */
    rs_sampler *s;
    T_OK(rs_sampler_new(&p, 300, &s, &t_err));
    long double mu = 6, mean = 0, pr[MAX];
    static plain c;
    for (int step = 0; step < 2000; step++) {
        const rs_candidate *left;
        int n;
        c.n = 300;
        for (int i = 0; i < 300; i++)
            c.id[i] = i, c.l[i] = logits[i];
        sort_plain(&c);
        probabilities(&c, pr);
        int kept = 0;
        while (kept < 300 && -log2l(pr[kept]) <= mu)
            kept++;
        int32_t id = rs_sampler_draw(s, logits, NULL, 0, &left, &n);
        T_EQ(n, kept > 0 ? kept : 1);
        c.n = n;
        probabilities(&c, pr);
        for (int i = 0; i < n; i++)
            if (c.id[i] == id) {
                mu -= 0.1L * (-log2l(pr[i]) - 3);
                mean += -log2l(pr[i]) / 2000;
            }
    }
    T_NEAR((double)mean, 3, 0.15, 0);
    rs_sampler_free(s);
}

/* Another order: temperature before top-p gives other candidates than after it. */
static void orders(void)
{
    const float logits[] = {3, 2, 1, 0, -1};
    static const struct {
        const char *order;
        int n;
    } rows[] = {{"", 3},        {"top_p;temperature", 3}, {"temp;top-p", 5},
                {"nucleus", 3}, {"temperature", 5},       {"penalties;dry;top_k", 5}};
    for (int i = 0; i < COUNT(rows); i++) {
        rs_sampler_params p = off();
        p.top_p = 0.9;
        p.temperature = 4;
        snprintf(p.order, sizeof p.order, "%s", rows[i].order);
        rs_sampler *s;
        const rs_candidate *left;
        int n;
        T_OK(rs_sampler_new(&p, 5, &s, &t_err));
        T_TRUE(rs_sampler_draw(s, logits, NULL, 0, &left, &n) >= 0);
        if (n != rows[i].n) T_FAIL("order \"%s\": %d candidates", rows[i].order, n);
        rs_sampler_free(s);
    }
    /* penalties after truncation work on the list */
    rs_sampler_params p = off();
    const int32_t ctx[] = {0, 0};
    p.top_k = 2;
    p.frequency_penalty = 1;
    p.dry_multiplier = 2;
    p.dry_allowed_length = 1;
    snprintf(p.order, sizeof p.order, "top_k;penalties;dry");
    rs_sampler *s;
    const rs_candidate *left;
    int n;
    T_OK(rs_sampler_new(&p, 5, &s, &t_err));
    T_TRUE(rs_sampler_draw(s, logits, ctx, 2, &left, &n) >= 0);
    T_EQ(n, 2);
    T_EQ(left[0].id, 1);
    T_NEAR(left[1].logit, 3 - 2 - 2, 1e-6, 0);
    rs_sampler_free(s);
}

static void refused(void)
{
    const rs_logit_bias nan_bias = {0, NAN}, far = {9, 1};
    static const char *const words[] = {"top_p is 1.5, outside of 0 to 1",
                                        "temperature is nan",
                                        "mirostat is 1",
                                        "no sampler \"top_q\"",
                                        "stands in the order twice",
                                        "the logit bias of the id 0 is nan",
                                        "is for the id 9, outside of 0 to 4",
                                        "repeat_penalty is 0",
                                        "dry_base is 0.5",
                                        "xtc_threshold is -1"};
    for (int i = 0; i < COUNT(words); i++) {
        rs_sampler_params p = rs_sampler_defaults();
        rs_sampler *s;
        if (i == 0) p.top_p = 1.5;
        if (i == 1) p.temperature = NAN;
        if (i == 2) p.mirostat = 1;
        if (i == 3) snprintf(p.order, sizeof p.order, "top_k;top_q");
        if (i == 4) snprintf(p.order, sizeof p.order, "top_k;top-k");
        if (i == 5) p.bias = &nan_bias, p.n_bias = 1;
        if (i == 6) p.bias = &far, p.n_bias = 1;
        if (i == 7) p.repeat_penalty = 0;
        if (i == 8) p.dry_base = 0.5;
        if (i == 9) p.xtc_threshold = -1;
        T_FAILS(rs_sampler_new(&p, 5, &s, &t_err), RS_E_INVALID, words[i]);
        T_TRUE(s == NULL);
    }
}

T_MAIN(T_TEST(by_hand), T_TEST(each_stage), T_TEST(whole_chains),
       T_TEST(large_vocabulary), T_TEST(greedy), T_TEST(draw_is_fair), T_TEST(streams),
       T_TEST(xtc_probability), T_TEST(mirostat), T_TEST(orders), T_TEST(refused))
