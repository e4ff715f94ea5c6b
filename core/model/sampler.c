#include "model/sampler.h"

#include "model/sampler_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

rs_sampler_params rs_sampler_defaults(void)
{
    return (rs_sampler_params){.temperature = 0.8,
                               .dynatemp_exponent = 1,
                               .top_k = 40,
                               .top_p = 0.95,
                               .min_p = 0.05,
                               .typical_p = 1,
                               .top_n_sigma = -1,
                               .xtc_threshold = 0.1,
                               .penalty_last_n = 64,
                               .repeat_penalty = 1,
                               .dry_base = 1.75,
                               .dry_allowed_length = 2,
                               .dry_last_n = 64,
                               .mirostat_tau = 5,
                               .mirostat_eta = 0.1};
}

/* ---- checking ---- */

typedef struct range {
    const char *name;
    double value, low, high;
} range;

static rs_status check_ranges(const rs_sampler_params *p, rs_err *err)
{
    const range ranges[] = {
        {"temperature", p->temperature, -1e6, 1e6},
        {"dynatemp_range", p->dynatemp_range, 0, 1e6},
        {"dynatemp_exponent", p->dynatemp_exponent, -100, 100},
        {"top_p", p->top_p, 0, 1},
        {"min_p", p->min_p, 0, 1},
        {"typical_p", p->typical_p, 0, 1},
        {"top_n_sigma", p->top_n_sigma, -1e6, 1e6},
        {"xtc_probability", p->xtc_probability, 0, 1},
        {"xtc_threshold", p->xtc_threshold, 0, 1},
        {"min_keep", p->min_keep, 0, INT32_MAX},
        {"repeat_last_n", p->penalty_last_n, -1, INT32_MAX},
        {"repeat_penalty", p->repeat_penalty, 1e-6, 1e6},
        {"frequency_penalty", p->frequency_penalty, -1e6, 1e6},
        {"presence_penalty", p->presence_penalty, -1e6, 1e6},
        {"dry_multiplier", p->dry_multiplier, 0, 1e6},
        {"dry_base", p->dry_base, 1, 1e6},
        {"dry_allowed_length", p->dry_allowed_length, 0, INT32_MAX},
        {"dry_penalty_last_n", p->dry_last_n, -1, INT32_MAX},
        {"mirostat_ent", p->mirostat_tau, 0, 1e6},
        {"mirostat_lr", p->mirostat_eta, 0, 1e6},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const range *r = &ranges[i];
        if (r->value >= r->low && r->value <= r->high) continue;
        return rs_fail(err, RS_E_INVALID, "the sampler's %s is %g, outside of %g to %g",
                       r->name, r->value, r->low, r->high);
    }
    return RS_OK;
}

/* The stages in their order into stage[]; all of them, in force or not. */
static rs_status parse_order(const char *order, int stage[RS_SAMPLER_MAX_STAGES], int *n,
                             rs_err *err)
{
    *n = 0;
    for (int i = 0; order[0] == 0 && i < rs_n_stages; i++)
        stage[(*n)++] = i;
    for (const char *name = order; *name;) {
        size_t len = strcspn(name, ";");
        int i = rs_stage_named(name, len);
        if (i < 0)
            return rs_fail(
                err, RS_E_INVALID,
                "there is no sampler \"%.*s\"; there are penalties, dry, top_n_sigma, "
                "top_k, typ_p, top_p, min_p, xtc and temperature",
                len < 60 ? (int)len : 60, name);
        for (int k = 0; k < *n; k++)
            if (stage[k] == i)
                return rs_fail(err, RS_E_INVALID,
                               "the sampler \"%.*s\" stands in the order twice",
                               len < 60 ? (int)len : 60, name);
        stage[(*n)++] = i;
        name += len + (name[len] == ';');
    }
    return RS_OK;
}

rs_status rs_sampler_check(const rs_sampler_params *p, rs_err *err)
{
    int stage[RS_SAMPLER_MAX_STAGES], n;
    RS_TRY(check_ranges(p, err));
    if (p->mirostat != 0 && p->mirostat != 2)
        return rs_fail(err, RS_E_INVALID, "mirostat is %d; there are 0 (off) and 2",
                       p->mirostat);
    for (int i = 0; i < p->n_bias; i++)
        if (isnan(p->bias[i].bias) || p->bias[i].bias == INFINITY)
            return rs_fail(err, RS_E_INVALID,
                           "the logit bias of the id %" PRId32 " is %g", p->bias[i].id,
                           (double)p->bias[i].bias);
    if (!memchr(p->order, 0, sizeof p->order))
        return rs_fail(err, RS_E_INVALID, "the order of samplers is too long");
    return parse_order(p->order, stage, &n, err);
}

/* ---- making one ---- */

static bool is_greedy(const rs_sampler_params *p)
{
    return p->temperature <= 0;
}

/* Leaves only the stages that do something, and finds out how long the list may become. */
static void plan(rs_sampler *s, const int *stage, int n, bool *counts)
{
    const rs_sampler_params *p = &s->p;
    int64_t cap = s->pool.vocab;
    bool gathered = false;
    *counts = false;
    for (int i = 0; i < n; i++) {
        const rs_stage *row = &rs_stages[stage[i]];
        if (!row->is_on(p)) continue;
        if (row->truncates && (is_greedy(p) || p->mirostat)) continue;
        if (row->gathers && is_greedy(p)) continue;
        if (row->gathers && !gathered) {
            int64_t k = p->top_k > p->min_keep ? p->top_k : p->min_keep;
            bool few =
                rs_stage_is(stage[i], "top_k") && k < cap && rs_pool_selects((int)k);
            if (few) cap = k > 0 ? k : 1;
            gathered = true;
        }
        *counts |= row->counts;
        s->stage[s->n_stages++] = stage[i];
    }
    s->pool.cap = (int)(is_greedy(p) ? 1 : cap);
}

/* A copy of n things; NULL for none or no memory. */
static void *copy_of(const void *from, int n, size_t each, bool *ok)
{
    if (n <= 0) return NULL;
    void *to = malloc((size_t)n * each);
    if (to) memcpy(to, from, (size_t)n * each);
    *ok &= to != NULL;
    return to;
}

static int by_id(const void *x, const void *y)
{
    int32_t a = *(const int32_t *)x, b = *(const int32_t *)y;
    return (a > b) - (a < b);
}

static bool allocate(rs_sampler *s, bool counts)
{
    bool ok = true;
    size_t vocab = (size_t)s->pool.vocab;
    s->bias = copy_of(s->p.bias, s->p.n_bias, sizeof *s->bias, &ok);
    s->dry_breakers =
        copy_of(s->p.dry_breakers, s->p.n_dry_breakers, sizeof *s->dry_breakers, &ok);
    if (s->dry_breakers)
        qsort(s->dry_breakers, (size_t)s->p.n_dry_breakers, sizeof *s->dry_breakers,
              by_id);
    s->pool.dense = malloc(vocab * sizeof *s->pool.dense);
    s->pool.at = malloc((size_t)s->pool.cap * sizeof *s->pool.at);
    if (counts) s->count = calloc(vocab, sizeof *s->count);
    s->p.bias = s->bias;
    s->p.dry_breakers = s->dry_breakers;
    return ok && s->pool.dense && s->pool.at && (s->count || !counts);
}

rs_status rs_sampler_new(const rs_sampler_params *p, int64_t vocab, rs_sampler **out,
                         rs_err *err)
{
    int stage[RS_SAMPLER_MAX_STAGES], n;
    bool counts;
    *out = NULL;
    RS_TRY(rs_sampler_check(p, err));
    RS_TRY(parse_order(p->order, stage, &n, err));
    if (vocab < 1 || vocab > INT32_MAX)
        return rs_fail(err, RS_E_INVALID, "a sampler for %" PRId64 " tokens", vocab);
    for (int i = 0; i < p->n_bias; i++)
        if (p->bias[i].id < 0 || p->bias[i].id >= vocab)
            return rs_fail(err, RS_E_INVALID,
                           "a logit bias is for the id %" PRId32
                           ", outside of 0 to %" PRId64,
                           p->bias[i].id, vocab - 1);
    rs_sampler *s = calloc(1, sizeof *s);
    if (!s) return rs_fail(err, RS_E_NOMEM, "no memory for a sampler");
    s->p = *p;
    s->pool.vocab = vocab;
    s->draw = rs_rng_stream(p->seed, 0);
    s->xtc = rs_rng_stream(p->seed, 1);
    s->mu = 2 * p->mirostat_tau;
    plan(s, stage, n, &counts);
    if (!allocate(s, counts)) {
        rs_sampler_free(s);
        return rs_fail(err, RS_E_NOMEM, "no memory for a sampler of %" PRId64 " tokens",
                       vocab);
    }
    *out = s;
    return RS_OK;
}

void rs_sampler_free(rs_sampler *s)
{
    if (!s) return;
    free(s->bias);
    free(s->dry_breakers);
    free(s->pool.dense);
    free(s->pool.at);
    free(s->count);
    free(s->reach);
    free(s);
}

/* ---- drawing ---- */

/* The place in the list; it is sorted only as far as the draw has to look. */
static int draw(rs_sampler *s)
{
    rs_candidates *c = &s->pool;
    double max = rs_pool_max(c), goal = rs_rng_uniform(&s->draw) * rs_pool_total(c),
           sum = 0;
    int i = 0;
    for (;; i++) {
        if (i == c->n_sorted) rs_pool_sort(c, 4 * i + 64);
        sum += exp(c->at[i].logit - max);
        if (sum >= goal || i == c->n - 1) return i;
    }
}

static void cut_surprises(rs_sampler *s)
{
    rs_candidates *c = &s->pool;
    int kept = 0;
    rs_pool_softmax(c);
    for (int i = 0; i < c->n; i++)
        kept += -log2(c->at[i].p) <= s->mu;
    rs_pool_keep_top(c, kept > 0 ? kept : 1);
}

static void learn_surprise(rs_sampler *s, int i)
{
    const rs_candidates *c = &s->pool;
    double p = exp(c->at[i].logit - rs_pool_max(c)) / rs_pool_total(c);
    s->mu -= s->p.mirostat_eta * (-log2(p) - s->p.mirostat_tau);
}

int32_t rs_sampler_draw(rs_sampler *s, const float *logits, const int32_t *context,
                        int64_t n_context, const rs_candidate **left, int *n_left)
{
    rs_candidates *c = &s->pool;
    s->no_memory = false;
    rs_pool_start(c, logits);
    rs_stage_bias(s);
    for (int i = 0; i < s->n_stages; i++) {
        if (rs_stages[s->stage[i]].gathers && !rs_stage_is(s->stage[i], "top_k"))
            rs_pool_gather(c);
        rs_stages[s->stage[i]].apply(s, (rs_context){context, n_context});
    }
    if (is_greedy(&s->p)) rs_pool_keep_top(c, 1);
    rs_pool_gather(c);
    if (left) {
        *left = c->at;
        *n_left = c->n;
    }
    if (c->n == 0 || s->no_memory) return -1;
    bool mirostat = s->p.mirostat == 2 && !is_greedy(&s->p);
    if (mirostat) cut_surprises(s);
    int i = c->n > 1 ? draw(s) : 0;
    if (mirostat) learn_surprise(s, i);
    int32_t id = c->at[i].id;
    if (left) {
        rs_pool_sort(c, c->n);
        rs_pool_softmax(c);
        *n_left = c->n;
    }
    return id;
}
