/* train_checks.c - what a training refuses before it begins: numbers, corpora, more memory
 * than there may be. */
#include "learn/train_internal.h"

#include <inttypes.h>
#include <math.h>

enum { SLACK = 80 << 20 }; /* the program, and buffers of BLAS */

/* --- numbers --- */

static rs_status check_weights(const rs_training *t, rs_err *err)
{
    double all = 0;
    for (int i = 0; i < t->n_corpora; i++) {
        const rs_train_corpus *c = &t->corpora[i];
        if (c->n_train < 1)
            return rs_fail(err, RS_E_INVALID, "%s has no sequence to learn from",
                           c->name);
        if (!(c->weight >= 0) || !isfinite(c->weight))
            return rs_fail(err, RS_E_INVALID, "%s has weight %g", c->name, c->weight);
        all += c->weight;
    }
    if (t->n_corpora >= 1 && all > 0 && isfinite(all)) return RS_OK;
    return rs_fail(err, RS_E_INVALID, "there is no corpus to learn from");
}

static rs_status check_counts(const rs_train_options *o, rs_err *err)
{
    int64_t steps = o->adamw.steps, warmup = o->adamw.warmup;
    if (steps < 1 || o->batch < 1 || warmup < 0 || warmup > steps)
        return rs_fail(err, RS_E_INVALID,
                       "%" PRId64 " steps of %" PRId64 " sequences, %" PRId64
                       " of them warming up, is no training",
                       steps, o->batch, warmup);
    if (o->batch <= INT64_MAX / steps &&
        (uint64_t)steps <= SIZE_MAX / 2 / sizeof(rs_train_record))
        return RS_OK;
    return rs_fail(err, RS_E_INVALID,
                   "%" PRId64 " steps of %" PRId64 " sequences are too many to count",
                   steps, o->batch);
}

static rs_status check_from_0(const char *what, double v, double most, rs_err *err)
{
    if (v >= 0 && v <= most && isfinite(v)) return RS_OK;
    return most < INFINITY
               ? rs_fail(err, RS_E_INVALID, "a %s of %g is not from 0 to %g", what, v, most)
               : rs_fail(err, RS_E_INVALID, "a %s of %g is not a number from 0", what, v);
}

rs_status rs_training_check_numbers(const rs_training *t, rs_err *err)
{
    const rs_train_options *o = t->o;
    RS_TRY(check_weights(t, err));
    RS_TRY(check_counts(o, err));
    RS_TRY(check_from_0("learning rate", o->adamw.rate, INFINITY, err));
    RS_TRY(check_from_0("weight decay", o->adamw.decay, INFINITY, err));
    RS_TRY(check_from_0("limit of the gradients' norm (clip)", o->adamw.clip, INFINITY, err));
    return check_from_0("strength", o->strength, 1, err);
}

/* --- corpora --- */

static rs_status check_sequences(rs_training *t, const rs_train_corpus *c,
                                 const rs_example *e, int n, const char *what,
                                 rs_err *err)
{
    for (int i = 0; i < n; i++)
        if (rs_sequence_set(t->s, e[i].ids, e[i].labels, e[i].n, err) != RS_OK)
            return rs_err_prefix(err, "%s, %s %d", c->name, what, i + 1);
    return RS_OK;
}

static rs_status check_order(const rs_training *t, rs_err *err)
{
    int64_t steps = t->o->adamw.steps, batch = t->o->batch;
    if (!t->o->in_order) return RS_OK;
    if (t->n_corpora != 1)
        return rs_fail(err, RS_E_INVALID,
                       "%d corpora in the order of the file: it is one file's alone",
                       t->n_corpora);
    if (t->corpora[0].n_train >= batch * steps) return RS_OK;
    return rs_fail(err, RS_E_INVALID,
                   "%" PRId64 " steps of %" PRId64
                   " sequences in the order of the file: %s has %d",
                   steps, batch, t->corpora[0].name, t->corpora[0].n_train);
}

rs_status rs_training_check_corpora(rs_training *t, rs_err *err)
{
    for (int i = 0; i < t->n_corpora; i++) {
        const rs_train_corpus *c = &t->corpora[i];
        RS_TRY(check_sequences(t, c, c->train, c->n_train, "sequence", err));
        RS_TRY(check_sequences(t, c, c->valid, c->n_valid, "validation sequence", err));
    }
    return check_order(t, err);
}

/* --- memory --- */

int64_t rs_training_longest(const rs_training *t)
{
    int64_t most = 2;
    for (int i = 0; i < t->n_corpora; i++) {
        const rs_train_corpus *c = &t->corpora[i];
        for (int k = 0; k < c->n_train; k++)
            if (c->train[k].n > most) most = c->train[k].n;
        for (int k = 0; k < c->n_valid; k++)
            if (c->valid[k].n > most) most = c->valid[k].n;
    }
    if (most > t->m->config->max_positions) most = t->m->config->max_positions;
    return most;
}

rs_status rs_training_check_memory(const rs_training *t, uint64_t *spare, rs_err *err)
{
    const rs_config *c = t->m->config;
    int64_t n = rs_training_longest(t), rank = t->l->rank;
    uint64_t weights = rs_model_bytes(t->m), all = rs_protection_bytes(t->p) + SLACK;
    all += 4 * (uint64_t)t->l->floats * sizeof(float); /* gradients and two moments too */
    all += (uint64_t)t->o->adamw.steps * sizeof(rs_train_record);
    all += rs_sequence_bytes(c, n, true) + rs_work_bytes(t->rt, t->m, n);
    all += 2 * (uint64_t)(n * rank) * sizeof(float);
    uint64_t budget = t->rt->memory_bytes;
    if (all + weights > budget)
        return rs_fail(err, RS_E_NOMEM,
                       "%.0f MB of weights, and sequences of %" PRId64
                       " tokens with factors of rank %" PRId64
                       " need %.0f MB, %.0f MB may be used (--memory)",
                       (double)weights / 1e6, n, rank, (double)(all + weights) / 1e6,
                       (double)budget / 1e6);
    *spare = budget - all - weights;
    return RS_OK;
}
