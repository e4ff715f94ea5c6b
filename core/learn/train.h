/* train.h - training of an adapter's factors on a blend of corpora, the model frozen.
 *
 * A step takes `batch` sequences: each draws a corpus by weight and takes the corpus's
 * next sequence (or, `in_order`, the next of the one corpus there is). Its loss is the
 * mean of the negative log-likelihood over all counted labels of the step; sequences pass
 * one after the other, so that a large batch takes no more memory than one sequence. Then
 *
 *     gradients -> (projected) -> norm -> clipped -> AdamW -> factors (projected) -> leak
 *
 * Every epoch of a corpus has an order of its own, drawn by seed, corpus and epoch:
 * nothing depends on threads or on the clock. Formulas: docs/method.md.
 *
 * The adapter appears as a PEFT folder under its name when training is over. Until then
 * `OUT.training/` holds the state, written every so often and where it is stopped; a
 * later run of the same work goes on from there with `resume`, to the same bytes. A
 * process that is killed loses what came after the last state. */
#ifndef RS_TRAIN_H
#define RS_TRAIN_H

#include "learn/fisher.h"
#include "learn/optimiser.h"
#include "learn/protect.h"

typedef struct rs_train_corpus {
    const char *name;
    const rs_example *train, *valid;
    int n_train, n_valid;
    double weight;
} rs_train_corpus;

typedef enum rs_projecting {
    RS_PROJECT_EXACT,    /* factors, at the start and after every step */
    RS_PROJECT_GRADIENT, /* gradients, before they are clipped: leaks under Adam */
    RS_PROJECT_NONE,     /* the leak is measured all the same */
} rs_projecting;

/* One corpus in one step, or in one validation. */
typedef struct rs_corpus_loss {
    double loss; /* mean over its counted labels; NaN where it was not drawn */
    int64_t tokens;
    double epochs; /* how often it has been gone through */
} rs_corpus_loss;

typedef struct rs_train_step {
    int64_t step; /* 0, 1, .. */
    double loss, norm, rate;
    rs_leak leak;
    int64_t tokens;                /* that went through the model */
    const rs_corpus_loss *corpora; /* [n_corpora] */
    bool is_validation; /* step: steps done before it. Only corpora and loss are set */
} rs_train_step;

typedef struct rs_train_options {
    rs_adamw adamw;
    int64_t batch;
    bool in_order;
    uint64_t seed;
    rs_projecting projecting;
    double strength;
    int64_t valid_every; /* steps between validations; 0: none. Also at start and end */
    const char *out;
    bool force, resume;
    const rs_string_pair *facts; /* of model, data, start: a state of others is refused */
    int n_facts;
    const rs_string_pair *metadata; /* of adapter_model.safetensors */
    int n_metadata;
    const char *base_name;     /* for adapter_config.json and the card */
    double checkpoint_seconds; /* between states */
    double (*now)(void);       /* monotonic seconds; NULL: states only where it stops */
    rs_progress_fn progress;   /* done: steps. Called often; false stops, resumably */
    void *progress_ctx;
    void (*told)(void *ctx, const rs_train_step *s); /* may be NULL */
    /* A state could not be written, and training goes on; may be NULL. */
    void (*warned)(void *ctx, const char *text);
    void *told_ctx; /* of both */
} rs_train_options;

/* What a whole run tells, resumed or not. */
typedef struct rs_train_record {
    double loss, norm;
    rs_leak leak;
} rs_train_record;

typedef struct rs_train_result {
    rs_train_record *steps; /* [adamw.steps]; free() them */
    int64_t resumed_at;     /* -1: it began anew */
    bool useless;           /* what was to be gone on from is of other work, or damaged */
    char hash[33];          /* of the contents of what was written */
} rs_train_result;

/* l: trained in place. p: NULL, or what it protects. Corpora are checked before work
 * begins: empty ones, ids outside the vocabulary and sequences in which nothing counts
 * are RS_E_INVALID, as is a loss that is no number, with its step. RS_E_NOMEM before
 * anything is written: model, factors with their gradients and moments, and one sequence
 * on its way need more than the runtime's budget. A state that cannot be written
 * between steps is told of (warned) and tried again; where it is stopped, it is an error. */
rs_status rs_train_run(const rs_runtime *rt, const rs_model *m, rs_lora *l,
                       rs_protection *p, const rs_train_corpus *corpora, int n_corpora,
                       const rs_train_options *o, rs_train_result *result,
                       rs_err *err) RS_MUST_USE;

#endif
