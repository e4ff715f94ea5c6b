/* train.c - the way of a training: steps, validations, states. */
#include "learn/train_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- one sequence --- */

static rs_status may_go_on(const rs_training *t, rs_err *err)
{
    rs_progress p = {(uint64_t)t->step, (uint64_t)t->o->adamw.steps, "steps", NULL};
    if (!t->o->progress || t->o->progress(t->o->progress_ctx, &p)) return RS_OK;
    return rs_fail(err, RS_E_CANCELLED,
                   "cancelled after %" PRId64 " of %" PRId64 " steps", t->step,
                   t->o->adamw.steps);
}

/* Summed loss of the sequence at hand; unless scale is 0 its factors' gradients are
 * added. */
static rs_status pass(rs_training *t, double scale, double *loss, rs_err *err)
{
    rs_sink none = rs_sink_none();
    rs_sequence *s = t->s;
    rs_sequence_rewind(s);
    RS_TRY(rs_forward_embed(t->work, s, err));
    for (int i = 0; i < t->m->config->n_layers; i++) {
        RS_TRY(rs_forward_layer(t->work, s, i, err));
        RS_TRY(may_go_on(t, err));
    }
    RS_TRY(rs_loss(t->work, s, scale, scale > 0 ? &none : NULL, loss, err));
    for (int i = t->m->config->n_layers - 1; i >= t->l->lowest_layer && scale > 0; i--) {
        RS_TRY(may_go_on(t, err));
        RS_TRY(rs_backward_layer(t->work, s, i, &none, err));
    }
    return RS_OK;
}

static rs_status take(rs_training *t, const rs_example *e, rs_err *err)
{
    return rs_sequence_set(t->s, e->ids, e->labels, e->n, err);
}

/* --- one step --- */

typedef struct batch {
    const rs_example **at;
    int *corpus;
    int64_t tokens, counted;
} batch;

static void clear_losses(rs_training *t)
{
    for (int i = 0; i < t->n_corpora; i++)
        t->by_corpus[i] = (rs_corpus_loss){0, 0, 0};
}

/* Sums become means. */
static void finish_losses(rs_training *t)
{
    for (int i = 0; i < t->n_corpora; i++) {
        rs_corpus_loss *c = &t->by_corpus[i];
        c->loss = c->tokens ? c->loss / (double)c->tokens : NAN;
        c->epochs = (double)t->queues[i].taken / (double)t->corpora[i].n_train;
    }
}

static rs_status gradients(rs_training *t, const batch *b, double *loss, rs_err *err)
{
    memset(t->l->gradients, 0, (size_t)t->l->floats * sizeof(float));
    for (int64_t i = 0; i < t->o->batch; i++) {
        double one;
        rs_corpus_loss *c = &t->by_corpus[b->corpus[i]];
        RS_TRY(take(t, b->at[i], err));
        RS_TRY(pass(t, 1 / (double)b->counted, &one, err));
        if (!isfinite(one))
            return rs_fail(err, RS_E_INVALID,
                           "the loss of step %" PRId64
                           " is not a number, in a sequence of "
                           "%s: a lower learning rate may help",
                           t->step, t->corpora[b->corpus[i]].name);
        c->loss += one;
        c->tokens += t->s->n_counted;
        *loss += one;
    }
    *loss /= (double)b->counted;
    return RS_OK;
}

static rs_status update(rs_training *t, rs_train_record *r, rs_err *err)
{
    const rs_train_options *o = t->o;
    bool protects = rs_protects(t->p);
    if (protects && o->projecting == RS_PROJECT_GRADIENT)
        rs_project_gradients(t->p, o->strength);
    r->norm = rs_norm_of(t->l->gradients, t->l->floats);
    if (!isfinite(r->norm))
        return rs_fail(err, RS_E_INVALID,
                       "the gradients of step %" PRId64
                       " are not finite: a lower learning "
                       "rate may help",
                       t->step);
    rs_adamw_step(t->rt, &o->adamw, t->step, t->l->gradients,
                  rs_adamw_clip(&o->adamw, r->norm), &t->moments);
    if (protects && o->projecting == RS_PROJECT_EXACT)
        rs_project_factors(t->p, o->strength);
    if (protects) r->leak = rs_leak_of(t->p);
    return RS_OK;
}

static void tell(const rs_training *t, const rs_train_record *r, int64_t tokens)
{
    rs_train_step s = {.step = t->step,
                       .loss = r->loss,
                       .norm = r->norm,
                       .rate = rs_adamw_rate(&t->o->adamw, t->step),
                       .leak = r->leak,
                       .tokens = tokens,
                       .corpora = t->by_corpus};
    if (t->o->told) t->o->told(t->o->told_ctx, &s);
}

static rs_status one_step(rs_training *t, batch *b, rs_err *err)
{
    rs_train_record *r = &t->records[t->step];
    *r = (rs_train_record){0};
    b->tokens = b->counted = 0;
    clear_losses(t);
    for (int64_t i = 0; i < t->o->batch; i++) {
        b->at[i] = rs_blend_next(t, &b->corpus[i]);
        b->tokens += b->at[i]->n;
        b->counted += rs_labels_counted(b->at[i]->labels, b->at[i]->n);
    }
    RS_TRY(gradients(t, b, &r->loss, err));
    RS_TRY(update(t, r, err));
    finish_losses(t);
    tell(t, r, b->tokens);
    t->step++;
    return RS_OK;
}

/* --- validation --- */

static rs_status validate(rs_training *t, rs_err *err)
{
    double all = 0;
    int64_t tokens = 0;
    clear_losses(t);
    for (int c = 0; c < t->n_corpora; c++) {
        for (int i = 0; i < t->corpora[c].n_valid; i++) {
            double one;
            RS_TRY(take(t, &t->corpora[c].valid[i], err));
            RS_TRY(pass(t, 0, &one, err));
            t->by_corpus[c].loss += one;
            t->by_corpus[c].tokens += t->s->n_counted;
        }
        all += t->by_corpus[c].loss;
        tokens += t->by_corpus[c].tokens;
    }
    finish_losses(t);
    rs_train_step s = {.step = t->step,
                       .loss = tokens ? all / (double)tokens : NAN,
                       .corpora = t->by_corpus,
                       .is_validation = true};
    if (t->o->told && tokens) t->o->told(t->o->told_ctx, &s);
    return RS_OK;
}

static bool is_time_to_validate(const rs_training *t)
{
    int64_t every = t->o->valid_every;
    return every > 0 && (t->step % every == 0 || t->step == t->o->adamw.steps);
}

/* --- all of it --- */

/* A state is for the worst case; that there is no room for it is not yet that. */
static void maybe_save(rs_training *t)
{
    rs_err why;
    char text[sizeof why.msg + 80];
    if (!t->o->now || t->o->now() - t->saved < t->o->checkpoint_seconds) return;
    if (rs_training_save(t, &why) != RS_OK && t->o->warned) {
        snprintf(text, sizeof text, "no state after %" PRId64 " steps: %s", t->step,
                 why.msg);
        t->o->warned(t->o->told_ctx, text);
    }
    t->saved = t->o->now();
}

static rs_status all_steps(rs_training *t, batch *b, rs_err *err)
{
    while (t->step < t->o->adamw.steps) {
        if (is_time_to_validate(t)) RS_TRY(validate(t, err));
        RS_TRY(one_step(t, b, err));
        RS_TRY(may_go_on(t, err));
        maybe_save(t);
    }
    return is_time_to_validate(t) ? validate(t, err) : RS_OK;
}

static rs_status steps_with_batch(rs_training *t, rs_err *err)
{
    batch b = {.at = calloc((size_t)t->o->batch, sizeof *b.at),
               .corpus = calloc((size_t)t->o->batch, sizeof *b.corpus)};
    rs_status s =
        b.at && b.corpus
            ? all_steps(t, &b, err)
            : rs_fail(err, RS_E_NOMEM, "no memory for a batch of %" PRId64, t->o->batch);
    free(b.at);
    free(b.corpus);
    return s;
}

/* Stopped between two steps or within one, the factors are those of the steps done. */
static rs_status save_where_stopped(rs_training *t, rs_status s, rs_err *err)
{
    rs_err why;
    if (s != RS_E_CANCELLED) return s;
    if (rs_training_save(t, &why) != RS_OK)
        return rs_fail(err, why.code, "stopped after %" PRId64 " steps, and: %s", t->step,
                       why.msg);
    return rs_fail(err, RS_E_CANCELLED,
                   "cancelled after %" PRId64 " of %" PRId64
                   " steps; --resume goes on from there",
                   t->step, t->o->adamw.steps);
}

static rs_status take_memory(rs_training *t, rs_err *err)
{
    size_t floats = (size_t)t->l->floats, steps = (size_t)t->o->adamw.steps;
    t->moments = (rs_moments){.values = t->l->values, .n = t->l->floats};
    t->moments.first = calloc(2 * floats, sizeof(float));
    t->records = calloc(steps, sizeof *t->records);
    t->by_corpus = calloc((size_t)t->n_corpora, sizeof *t->by_corpus);
    if (!t->moments.first || !t->records || !t->by_corpus)
        return rs_fail(err, RS_E_NOMEM, "no memory for a training of %zu steps", steps);
    t->moments.second = t->moments.first + floats;
    int64_t room = rs_training_longest(t);
    RS_TRY(rs_sequence_new(t->m->config, room, true, &t->s, err));
    RS_TRY(rs_training_check_corpora(t, err));
    RS_TRY(rs_work_new(t->rt, t->m, room, &t->work, err));
    RS_TRY(rs_work_adapt(t->work, t->l, err));
    rs_work_keep(t->work, t->spare);
    return rs_blend_open(t, err);
}

static rs_status load(rs_training *t, rs_train_result *result, rs_err *err)
{
    rs_status s = rs_training_load(t, err);
    result->useless = s == RS_E_MISMATCH || s == RS_E_FORMAT;
    return s;
}

static rs_status run(rs_training *t, rs_train_result *result, rs_err *err)
{
    RS_TRY(rs_training_check_numbers(t, err));
    RS_TRY(rs_training_check_memory(t, &t->spare, err));
    RS_TRY(take_memory(t, err));
    RS_TRY(rs_training_begin_output(t, err));
    RS_TRY(rs_training_open(t, err));
    if (rs_protects(t->p) && t->o->projecting == RS_PROJECT_EXACT)
        rs_project_factors(t->p, t->o->strength);
    if (t->o->resume) RS_TRY(load(t, result, err));
    result->resumed_at = t->can_resume ? t->step : -1;
    rs_blend_skip(t, t->step * t->o->batch);
    if (t->o->now) t->saved = t->o->now();
    rs_status s = steps_with_batch(t, err);
    if (s != RS_OK) return save_where_stopped(t, s, err);
    return rs_training_write(t, result->hash, err);
}

static void clean_up(rs_training *t)
{
    rs_blend_close(t);
    rs_writer_free(t->writer);
    rs_work_free(t->work);
    rs_sequence_free(t->s);
    free(t->moments.first);
    free(t->by_corpus);
}

rs_status rs_train_run(const rs_runtime *rt, const rs_model *m, rs_lora *l,
                       rs_protection *p, const rs_train_corpus *corpora, int n_corpora,
                       const rs_train_options *o, rs_train_result *result, rs_err *err)
{
    rs_training t = {.rt = rt,
                     .m = m,
                     .l = l,
                     .p = p,
                     .corpora = corpora,
                     .n_corpora = n_corpora,
                     .o = o,
                     .lock_fd = -1};
    *result = (rs_train_result){.resumed_at = -1};
    rs_status s = run(&t, result, err);
    rs_training_close(&t);
    if (s == RS_OK)
        result->steps = t.records;
    else
        free(t.records);
    clean_up(&t);
    return s;
}
