/* train_internal.h - the parts of a training: train.c (the way), train_checks.c (what is
 * refused), blend.c (which sequence
 * comes next), train_state.c (what a resumed run needs), train_output.c (the PEFT
 * folder). */
#ifndef RS_TRAIN_INTERNAL_H
#define RS_TRAIN_INTERNAL_H

#include "base/hash.h"
#include "learn/train.h"
#include "store/writer.h"

/* Where a corpus stands. */
typedef struct rs_queue {
    int64_t taken; /* sequences so far */
    int64_t epoch; /* that `order` is of; -1: none */
    int32_t *order;
} rs_queue;

typedef struct rs_training {
    const rs_runtime *rt;
    const rs_model *m;
    rs_lora *l;
    rs_protection *p;
    const rs_train_corpus *corpora;
    int n_corpora;
    const rs_train_options *o;
    rs_work *work;
    rs_sequence *s;
    rs_moments moments;
    rs_queue *queues;          /* [n_corpora] */
    rs_corpus_loss *by_corpus; /* [n_corpora] of the step at hand */
    int64_t step;              /* steps done */
    rs_train_record *records;  /* [steps] */
    rs_hash128 work_hash;      /* of everything that decides what comes out */
    rs_writer *writer; /* OUT.partial, from the start, so that errors come early */
    char *folder;      /* OUT.training: the state */
    int lock_fd;
    uint64_t spare; /* bytes of the budget that nothing needs */
    double saved; /* when the last state was written */
    bool can_resume;
} rs_training;

/* train_checks.c. Corpora: into t->s, which is made. */
rs_status rs_training_check_numbers(const rs_training *t, rs_err *err) RS_MUST_USE;
rs_status rs_training_check_corpora(rs_training *t, rs_err *err) RS_MUST_USE;
/* RS_E_NOMEM: the budget does not hold it. *spare: what it holds besides. */
rs_status rs_training_check_memory(const rs_training *t, uint64_t *spare,
                                   rs_err *err) RS_MUST_USE;
/* Tokens of a sequence, at most what the model takes: more are refused by name. */
int64_t rs_training_longest(const rs_training *t);

/* blend.c. The corpus and the number of the sequence that comes next. */
rs_status rs_blend_open(rs_training *t, rs_err *err) RS_MUST_USE;
void rs_blend_close(rs_training *t);
const rs_example *rs_blend_next(rs_training *t, int *corpus);
void rs_blend_skip(rs_training *t, int64_t sequences); /* from the start */

/* train_state.c: factors, moments and records after t->step steps. */
rs_status rs_training_open(rs_training *t, rs_err *err) RS_MUST_USE;
/* Closes the folder; one with nothing to go on from is removed. */
void rs_training_close(rs_training *t);
rs_status rs_training_save(rs_training *t, rs_err *err) RS_MUST_USE;
/* Leaves everything as it is where there is no state. */
rs_status rs_training_load(rs_training *t, rs_err *err) RS_MUST_USE;

/* train_output.c: opens OUT.partial; then the folder under its name. */
rs_status rs_training_begin_output(rs_training *t, rs_err *err) RS_MUST_USE;
rs_status rs_training_write(rs_training *t, char hash[33], rs_err *err) RS_MUST_USE;

#endif
