#include "model/sampler_internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* DRY ("don't repeat yourself"): a token that would go on with a repetition is punished, the
 * harder the longer what is repeated already is. */

static int32_t back(rs_context c, int64_t i)
{
    return c.at[c.n - 1 - i];
}

/* The breakers are sorted. */
static bool is_breaker(const rs_sampler *s, int32_t id)
{
    int low = 0, high = s->p.n_dry_breakers;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (s->dry_breakers[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->p.n_dry_breakers && s->dry_breakers[low] == id;
}

/* reach[i]: how many of the tokens that end i places before the end equal the last tokens
 * (the Z-algorithm on the reversed context; linear). */
static void measure(rs_context c, int32_t *reach)
{
    int64_t from = 0, to = 0; /* the stretch [from, to) that equals the beginning */
    for (int64_t i = 1; i < c.n; i++) {
        int64_t z = 0;
        if (i < to) z = reach[i - from] < to - i ? reach[i - from] : to - i;
        while (i + z < c.n && back(c, z) == back(c, i + z))
            z++;
        reach[i] = (int32_t)(z < INT32_MAX ? z : INT32_MAX);
        if (i + z > to) from = i, to = i + z;
    }
}

static bool make_room(rs_sampler *s, int64_t n)
{
    if (n <= s->reach_cap) return true;
    int64_t cap = n + n / 2 + 64;
    int32_t *bigger = realloc(s->reach, (size_t)cap * sizeof *bigger);
    if (!bigger) return false;
    s->reach = bigger;
    s->reach_cap = cap;
    return true;
}

static float punished(const rs_sampler_params *p, float logit, int32_t length)
{
    double exponent = length - p->dry_allowed_length;
    double most = p->dry_base > 1.000001 ? log(FLT_MAX) / log(p->dry_base) : exponent;
    return (float)(logit - p->dry_multiplier * pow(p->dry_base, fmin(exponent, most)));
}

/* s->count holds the length of each token's longest repetition: applies and clears it. */
static void punish(rs_sampler *s, rs_context c)
{
    rs_candidates *pool = &s->pool;
    for (int i = 0; pool->gathered && i < pool->n; i++) {
        rs_candidate *x = &pool->at[i];
        if (s->count[x->id]) x->logit = punished(&s->p, x->logit, s->count[x->id]);
    }
    for (int64_t i = 0; i < c.n; i++) {
        int32_t id = c.at[i];
        if (id < 0 || id >= pool->vocab || s->count[id] == 0) continue;
        if (!pool->gathered)
            pool->dense[id] = punished(&s->p, pool->dense[id], s->count[id]);
        s->count[id] = 0;
    }
    pool->n_sorted = 0;
}

void rs_stage_dry(rs_sampler *s, rs_context context)
{
    rs_context c = context;
    int64_t limit = 0;
    if (s->p.dry_last_n > 0 && c.n > s->p.dry_last_n) {
        c.at += c.n - s->p.dry_last_n;
        c.n = s->p.dry_last_n;
    }
    while (limit < c.n && !is_breaker(s, back(c, limit)))
        limit++;
    int32_t allowed = s->p.dry_allowed_length > 1 ? s->p.dry_allowed_length : 1;
    if (limit < allowed) return;
    if (!make_room(s, c.n)) {
        s->no_memory = true;
        return;
    }
    measure(c, s->reach);
    for (int64_t i = 1; i < c.n; i++) {
        int32_t m = s->reach[i] < limit ? s->reach[i] : (int32_t)limit,
                next = back(c, i - 1);
        if (m < allowed || next < 0 || next >= s->pool.vocab || is_breaker(s, next))
            continue;
        if (m > s->count[next]) s->count[next] = m;
    }
    punish(s, c);
}
