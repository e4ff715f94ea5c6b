#include "tui/app/sums.h"

#include "tui/app/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WAYS = 8, KEEP_EACH = 32, KEEP_MAX = 32768 };

static void forget(ui_sums *s)
{
    ui_sums_free(s);
    memset(s, 0, sizeof *s);
}

static void make_room(ui_sums *s, int n)
{
    s->n = n;
    s->at = ui_alloc((size_t)n, sizeof *s->at);
    s->want = ui_alloc((size_t)n, sizeof *s->want);
    int cap = 64;
    while (cap < n * KEEP_EACH && cap < KEEP_MAX)
        cap *= 2;
    s->kept = ui_alloc((size_t)cap, sizeof *s->kept);
    s->cap = cap;
}

static size_t home_of(const ui_sums *s, int i, uint64_t fingerprint)
{
    uint64_t h =
        (fingerprint ^ ((uint64_t)i * 0x9e3779b97f4a7c15u)) * 0xff51afd7ed558ccdu;
    return (size_t)(h >> 32) & (size_t)(s->cap - 1);
}

static const rs_tensor_sums *find_kept(const ui_sums *s, int i, uint64_t fingerprint)
{
    if (!s->cap) return NULL;
    size_t home = home_of(s, i, fingerprint);
    for (size_t k = 0; k < WAYS; k++) {
        const rs_tensor_sums *c = &s->kept[(home + k) & (size_t)(s->cap - 1)];
        if (c->valid && c->i_tensor == i && c->fingerprint == fingerprint) return c;
    }
    return NULL;
}

static void keep(ui_sums *s, const rs_tensor_sums *t)
{
    size_t home = home_of(s, t->i_tensor, t->fingerprint), place = home;
    for (size_t k = 0; k < WAYS; k++) {
        size_t here = (home + k) & (size_t)(s->cap - 1);
        const rs_tensor_sums *c = &s->kept[here];
        place = here;
        if (!c->valid) break;
        if (c->i_tensor == t->i_tensor && c->fingerprint == t->fingerprint) break;
        if (k == WAYS - 1) place = home; /* full: the first of the group gives way */
    }
    s->kept[place] = *t;
}

void ui_sums_follow(ui_sums *s, const rs_plan *p)
{
    int n = rs_plan_count(p);
    if (n != s->n) {
        forget(s);
        make_room(s, n);
    }
    for (int i = 0; i < n; i++) {
        s->want[i] = rs_sums_fingerprint(p, i);
        if (s->at[i].valid && s->at[i].fingerprint == s->want[i]) continue;
        const rs_tensor_sums *c = find_kept(s, i, s->want[i]);
        if (c) s->at[i] = *c;
    }
}

/* Sums that were measured without the output keep what was known of the output. */
static void keep_output(rs_tensor_sums *now, const rs_tensor_sums *was)
{
    if (!was->valid || was->fingerprint != now->fingerprint) return;
    if (!isnan(now->want_norm) || isnan(was->want_norm)) return;
    now->at_gain = was->at_gain;
    now->at_t = was->at_t;
    now->want_dot = was->want_dot;
    now->want_norm = was->want_norm;
    now->changed = was->changed;
}

int ui_sums_put(ui_sums *s, const rs_tensor_sums *sums, int n)
{
    int news = 0;
    for (int k = 0; k < n; k++) {
        rs_tensor_sums t = sums[k];
        int i = t.i_tensor;
        if (!t.valid || i < 0 || i >= s->n) continue;
        bool fits = t.fingerprint == s->want[i];
        const rs_tensor_sums *was = find_kept(s, i, t.fingerprint);
        if (was) keep_output(&t, was);
        keep(s, &t);
        if (!fits && s->at[i].valid) continue;
        s->at[i] = t;
        news++;
    }
    return news;
}

bool ui_sums_is_known(const ui_sums *s, int i)
{
    return i >= 0 && i < s->n && s->at[i].valid;
}

bool ui_sums_is_old(const ui_sums *s, int i)
{
    return ui_sums_is_known(s, i) && s->at[i].fingerprint != s->want[i];
}

void ui_sums_free(ui_sums *s)
{
    free(s->at);
    free(s->want);
    free(s->kept);
    memset(s, 0, sizeof *s);
}
