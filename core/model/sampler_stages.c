#include "model/sampler_internal.h"

#include <math.h>
#include <string.h>

static int least_to_keep(const rs_sampler *s)
{
    return s->p.min_keep > 1 ? s->p.min_keep : 1;
}

/* ---- what was written before ---- */

void rs_stage_bias(rs_sampler *s)
{
    for (int i = 0; i < s->p.n_bias; i++)
        s->pool.dense[s->bias[i].id] += s->bias[i].bias;
}

static bool penalties_on(const rs_sampler_params *p)
{
    return p->penalty_last_n != 0 &&
           (p->repeat_penalty != 1 || p->frequency_penalty != 0 ||
            p->presence_penalty != 0);
}

static float penalized(const rs_sampler_params *p, float logit, int32_t count)
{
    double l = logit;
    l = l > 0 ? l / p->repeat_penalty : l * p->repeat_penalty;
    return (float)(l - count * p->frequency_penalty - p->presence_penalty);
}

void rs_stage_penalties(rs_sampler *s, rs_context context)
{
    rs_candidates *c = &s->pool;
    int64_t n = s->p.penalty_last_n < 0 || s->p.penalty_last_n > context.n
                    ? context.n
                    : s->p.penalty_last_n;
    const int32_t *last = context.at + (context.n - n);
    for (int64_t i = 0; i < n; i++)
        if (last[i] >= 0 && last[i] < c->vocab) s->count[last[i]]++;
    for (int i = 0; c->gathered && i < c->n; i++) {
        rs_candidate *x = &c->at[i];
        if (s->count[x->id]) x->logit = penalized(&s->p, x->logit, s->count[x->id]);
    }
    for (int64_t i = 0; i < n; i++) {
        int32_t id = last[i];
        if (id < 0 || id >= c->vocab || s->count[id] == 0) continue;
        if (!c->gathered) c->dense[id] = penalized(&s->p, c->dense[id], s->count[id]);
        s->count[id] = 0;
    }
    c->n_sorted = 0;
}

static bool dry_on(const rs_sampler_params *p)
{
    return p->dry_multiplier != 0 && p->dry_last_n != 0;
}

/* ---- truncations ---- */

/* Drops what lies below a floor, in either form of the pool; the order stays. */
static void drop_below(rs_candidates *c, double floor)
{
    if (!c->gathered) {
        for (int64_t i = 0; i < c->vocab; i++)
            if (c->dense[i] < floor) c->dense[i] = -INFINITY;
        return;
    }
    int kept = 0, sorted = 0;
    for (int i = 0; i < c->n; i++) {
        if (c->at[i].logit < floor) continue;
        sorted += i < c->n_sorted;
        c->at[kept++] = c->at[i];
    }
    c->n = kept;
    c->n_sorted = sorted;
}

static bool top_n_sigma_on(const rs_sampler_params *p)
{
    return p->top_n_sigma > 0;
}

static double logit_at(const rs_candidates *c, int64_t i)
{
    return c->gathered ? c->at[i].logit : c->dense[i];
}

static void top_n_sigma(rs_sampler *s, rs_context context)
{
    const rs_candidates *c = &s->pool;
    int64_t size = c->gathered ? c->n : c->vocab, n = 0;
    double max = -INFINITY, sum = 0, squares = 0;
    (void)context;
    for (int64_t i = 0; i < size; i++) {
        double l = logit_at(c, i);
        if (!isfinite(l)) continue;
        if (l > max) max = l;
        sum += l;
        n++;
    }
    if (n == 0) return;
    double mean = sum / (double)n;
    for (int64_t i = 0; i < size; i++) {
        double d = logit_at(c, i) - mean;
        if (isfinite(d)) squares += d * d;
    }
    drop_below(&s->pool, max - s->p.top_n_sigma * sqrt(squares / (double)n));
}

static bool top_k_on(const rs_sampler_params *p)
{
    return p->top_k > 0;
}

static void top_k(rs_sampler *s, rs_context context)
{
    int k = s->p.top_k;
    (void)context;
    rs_pool_keep_top(&s->pool, k > least_to_keep(s) ? k : least_to_keep(s));
}

static bool typical_on(const rs_sampler_params *p)
{
    return p->typical_p < 1;
}

static void typical(rs_sampler *s, rs_context context)
{
    rs_candidates *c = &s->pool;
    double entropy = rs_pool_softmax(c), sum = 0;
    (void)context;
    if (c->n == 0) return;
    double max = rs_pool_max(c), total = rs_pool_total(c);
    for (int i = 0; i < c->n; i++)
        c->at[i].p = fabs(-log(c->at[i].p) - entropy);
    int kept = 0;
    for (int sorted = 0; kept < c->n; kept++) {
        if (kept == sorted) {
            sorted = 4 * sorted + 64;
            rs_pool_sort_by_p(c, kept, sorted);
        }
        if (sum > s->p.typical_p && kept >= least_to_keep(s)) break;
        sum += exp(c->at[kept].logit - max) / total;
    }
    rs_pool_cut(c, kept);
}

static bool top_p_on(const rs_sampler_params *p)
{
    return p->top_p < 1;
}

static void top_p(rs_sampler *s, rs_context context)
{
    rs_candidates *c = &s->pool;
    (void)context;
    if (c->n == 0) return;
    double max = rs_pool_max(c), total = rs_pool_total(c), sum = 0;
    int kept = 0;
    while (kept < c->n && (sum < s->p.top_p || kept < least_to_keep(s))) {
        if (kept == c->n_sorted) rs_pool_sort(c, 4 * kept + 64);
        sum += exp(c->at[kept++].logit - max) / total;
    }
    rs_pool_cut(c, kept ? kept : 1);
}

static bool min_p_on(const rs_sampler_params *p)
{
    return p->min_p > 0;
}

static void min_p(rs_sampler *s, rs_context context)
{
    rs_candidates *c = &s->pool;
    (void)context;
    if (c->n == 0) return;
    double floor = rs_pool_max(c) + log(s->p.min_p);
    int kept = 0;
    for (int i = 0; i < c->n; i++)
        kept += c->at[i].logit >= floor;
    if (kept >= least_to_keep(s))
        drop_below(c, floor);
    else
        rs_pool_keep_top(c, least_to_keep(s));
}

static bool xtc_on(const rs_sampler_params *p)
{
    return p->xtc_probability > 0 && p->xtc_threshold <= 0.5;
}

static void xtc(rs_sampler *s, rs_context context)
{
    rs_candidates *c = &s->pool;
    (void)context;
    if (rs_rng_uniform(&s->xtc) >= s->p.xtc_probability) return;
    int likely = 0;
    rs_pool_softmax(c);
    for (int i = 0; i < c->n; i++)
        likely += c->at[i].p >= s->p.xtc_threshold;
    int drop = likely - 1;
    if (drop <= 0 || c->n - drop < least_to_keep(s)) return;
    rs_pool_sort(c, likely);
    memmove(c->at, c->at + drop, (size_t)(c->n - drop) * sizeof *c->at);
    c->n -= drop;
    c->n_sorted -= drop;
}

/* ---- temperature ---- */

static bool temperature_on(const rs_sampler_params *p)
{
    return p->temperature != 1 || p->dynatemp_range > 0;
}

static double dynamic_temperature(rs_sampler *s)
{
    const rs_sampler_params *p = &s->p;
    double low = fmax(0, p->temperature - p->dynatemp_range);
    double high = p->temperature + p->dynatemp_range;
    double most = log(s->pool.n), entropy = rs_pool_softmax(&s->pool);
    return low + (high - low) * pow(entropy / most, p->dynatemp_exponent);
}

static void temperature(rs_sampler *s, rs_context context)
{
    rs_candidates *c = &s->pool;
    double t = s->p.temperature;
    (void)context;
    if (s->p.dynatemp_range > 0) {
        if (c->n <= 1) return;
        t = dynamic_temperature(s);
    }
    if (t <= 0) {
        rs_pool_keep_top(c, 1);
        return;
    }
    for (int i = 0; i < c->n; i++)
        c->at[i].logit = (float)(c->at[i].logit / t);
}

const rs_stage rs_stages[] = {
    {"penalties", penalties_on, rs_stage_penalties, .counts = true},
    {"dry", dry_on, rs_stage_dry, .counts = true},
    {"top_n_sigma", top_n_sigma_on, top_n_sigma, .truncates = true},
    {"top_k", top_k_on, top_k, .truncates = true, .gathers = true},
    {"typ_p,typical,typical_p,typ", typical_on, typical, .truncates = true,
     .gathers = true},
    {"top_p,nucleus", top_p_on, top_p, .truncates = true, .gathers = true},
    {"min_p", min_p_on, min_p, .truncates = true, .gathers = true},
    {"xtc", xtc_on, xtc, .truncates = true, .gathers = true},
    {"temperature,temp", temperature_on, temperature, .gathers = true},
};
const int rs_n_stages = sizeof rs_stages / sizeof *rs_stages;

static bool same_name(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char x = a[i] == '-' ? '_' : a[i];
        if (x != b[i]) return false;
    }
    return b[n] == 0 || b[n] == ',';
}

int rs_stage_named(const char *name, size_t n)
{
    for (int i = 0; i < rs_n_stages; i++)
        for (const char *known = rs_stages[i].names; known;) {
            if (n && same_name(name, known, n)) return i;
            known = strchr(known, ',');
            if (known) known++;
        }
    return -1;
}

bool rs_stage_is(int i, const char *name)
{
    return rs_stage_named(name, strlen(name)) == i;
}
