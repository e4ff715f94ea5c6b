/* blend.c - which sequence comes next: a corpus by weight, its sequences in an order that
 * every epoch draws anew. Sequence q of a run draws by (seed, q), so that the state of a
 * blend is how many have been taken. */
#include "learn/train_internal.h"

#include "base/rng.h"

#include <stdlib.h>

rs_status rs_blend_open(rs_training *t, rs_err *err)
{
    t->queues = calloc((size_t)t->n_corpora, sizeof *t->queues);
    if (!t->queues) return rs_fail(err, RS_E_NOMEM, "no memory for a blend");
    for (int i = 0; i < t->n_corpora; i++) {
        rs_queue *q = &t->queues[i];
        q->epoch = -1;
        q->order = calloc((size_t)t->corpora[i].n_train, sizeof *q->order);
        if (!q->order) return rs_fail(err, RS_E_NOMEM, "no memory for a blend");
    }
    return RS_OK;
}

void rs_blend_close(rs_training *t)
{
    for (int i = 0; t->queues && i < t->n_corpora; i++)
        free(t->queues[i].order);
    free(t->queues);
}

static double draw(uint64_t seed, uint64_t stream, uint64_t at)
{
    return (double)(rs_rng_at(seed, stream, at) >> 11) * 0x1p-53;
}

static int draw_corpus(const rs_training *t, int64_t sequence)
{
    double all = 0, run = 0;
    for (int i = 0; i < t->n_corpora; i++)
        all += t->corpora[i].weight;
    double u = draw(t->o->seed, rs_rng_name("corpus"), (uint64_t)sequence) * all;
    int last = 0;
    for (int i = 0; i < t->n_corpora; i++) {
        if (!(t->corpora[i].weight > 0)) continue;
        run += t->corpora[i].weight;
        last = i;
        if (u < run) break;
    }
    return last;
}

static void shuffle(const rs_training *t, int corpus, int64_t epoch)
{
    rs_queue *q = &t->queues[corpus];
    int n = t->corpora[corpus].n_train;
    uint64_t stream = rs_rng_at(rs_rng_name("order"), (uint64_t)corpus, (uint64_t)epoch);
    for (int i = 0; i < n; i++)
        q->order[i] = i;
    for (int i = n - 1; i > 0 && !t->o->in_order; i--) {
        int k = (int)(draw(t->o->seed, stream, (uint64_t)i) * (double)(i + 1));
        int32_t held = q->order[i];
        q->order[i] = q->order[k];
        q->order[k] = held;
    }
    q->epoch = epoch;
}

static int64_t taken_so_far(const rs_training *t)
{
    int64_t all = 0;
    for (int i = 0; i < t->n_corpora; i++)
        all += t->queues[i].taken;
    return all;
}

const rs_example *rs_blend_next(rs_training *t, int *corpus)
{
    *corpus = draw_corpus(t, taken_so_far(t));
    rs_queue *q = &t->queues[*corpus];
    const rs_train_corpus *c = &t->corpora[*corpus];
    int64_t epoch = q->taken / c->n_train, at = q->taken++ % c->n_train;
    if (epoch != q->epoch) shuffle(t, *corpus, epoch);
    return &c->train[q->order[at]];
}

void rs_blend_skip(rs_training *t, int64_t sequences)
{
    for (int i = 0; i < t->n_corpora; i++)
        t->queues[i].taken = 0;
    for (int64_t s = 0; s < sequences; s++)
        t->queues[draw_corpus(t, s)].taken++;
}
