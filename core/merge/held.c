/* The factors of adapters that are at work at the moment, widened once for all threads. */
#include "merge/eval.h"

#include <stdlib.h>

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory for the factors of an adapter");
}

/* One allocation holds both factors. */
static rs_status load(const rs_src_adapter *ad, const rs_adapter_pair *pair,
                      rs_held **out, rs_err *err)
{
    size_t rank = (size_t)pair->rank;
    size_t n_a = (size_t)rs_adapter_cols(ad->adapter, pair) * rank;
    size_t n_b = (size_t)rs_adapter_rows(ad->adapter, pair) * rank;
    rs_held *h = calloc(1, sizeof *h);
    float *both = malloc((n_a + n_b) * sizeof *both);
    rs_status s = h && both ? RS_OK : no_memory(err);
    if (s == RS_OK)
        s = rs_adapter_read(ad->adapter, pair, both, both + n_a, &h->exact, err);
    if (s != RS_OK) {
        free(both);
        free(h);
        return s;
    }
    h->pair = pair;
    h->a = both;
    h->b = both + n_a;
    *out = h;
    return RS_OK;
}

/* Whoever wants the same waits for the one that reads them. */
rs_status rs_held_take(rs_sources *s, const rs_src_adapter *ad,
                       const rs_adapter_pair *pair, rs_held **out, rs_err *err)
{
    rs_status status = RS_OK;
    pthread_mutex_lock(&s->held_mutex);
    rs_held *h = s->held;
    while (h && h->pair != pair)
        h = h->next;
    if (!h) {
        status = load(ad, pair, &h, err);
        if (status == RS_OK) {
            h->next = s->held;
            s->held = h;
        }
    }
    if (status == RS_OK) h->users++;
    pthread_mutex_unlock(&s->held_mutex);
    *out = h;
    return status;
}

void rs_held_drop(rs_sources *s, rs_held *h)
{
    pthread_mutex_lock(&s->held_mutex);
    if (--h->users == 0) {
        rs_held **link = &s->held;
        while (*link != h)
            link = &(*link)->next;
        *link = h->next;
        free(h->a);
        free(h);
    }
    pthread_mutex_unlock(&s->held_mutex);
}
