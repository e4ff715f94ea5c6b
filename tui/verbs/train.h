/* train.h - the parts of ringside train: train.c (options, the run), train_subject.c
 * (model, adapter, corpora, protected directions), train_show.c (what it says while it
 * works). */
#ifndef UI_TRAIN_H
#define UI_TRAIN_H

#include "learn/train.h"
#include "tui/verbs/learn_data.h"
#include "tui/verbs/products.h"

typedef struct ui_train_opts {
    const char *model, *jsonl, *order, *out, *subspace, *side, *project, *layers, *init,
        *schedule, *chat_template;
    const char *made_from; /* metadata of what prepare makes, or NULL */
    const char *base;      /* a path or name that the adapter calls its model by; NULL: `model` */
    ui_strings corpora, targets;
    int64_t rank, steps, batch, length, warmup, valid_every, checkpoint, seed;
    double alpha, strength, rate, decay, clip, validation;
    bool rslora, raw, resume, force;
} ui_train_opts;

typedef struct ui_train_corpus {
    char *name; /* its path */
    double weight;
    ui_examples data;
} ui_train_corpus;

typedef struct ui_trainee {
    ui_model m;
    rs_checkpoint *file;
    rs_lora *lora;
    rs_protection *protection; /* NULL: nothing is protected */
    ui_train_corpus *corpora;
    rs_train_corpus *views; /* [n] of the same */
    int n, cap;
    char model_hash[33], subspace_hash[33]; /* of tensors */
    char identity[33];                      /* of the model with its configuration */
} ui_trainee;

/* A path, and behind its last colon a weight where that is a number (1). */
void ui_trainee_add(ui_trainee *t, const char *path_and_weight);
void ui_trainee_add_weighed(ui_trainee *t, const char *path, double weight);
/* What can be wrong is found here or by rs_train_run, before the first step. */
rs_status ui_trainee_open(ui_common *c, const ui_train_opts *o, ui_progress *show,
                          ui_trainee *t, rs_err *err) RS_MUST_USE;
void ui_trainee_close(ui_trainee *t);

/* --- train_show.c --- */

typedef struct ui_train_show {
    ui_progress *progress;
    const ui_trainee *trainee;
    int64_t steps, tokens; /* all steps; tokens that passed in this run */
    double since;          /* when the last step ended */
    uint64_t done;         /* as progress was told last; UINT64_MAX: not yet */
    char what[80];
} ui_train_show;

bool ui_train_progress(void *ctx, const rs_progress *g);
void ui_train_told(void *ctx, const rs_train_step *s);
void ui_train_warned(void *ctx, const char *text);
/* lists: losses, gradient norms and leaks of all steps too. */
void ui_train_json(const ui_train_opts *o, const ui_train_show *show,
                   const rs_train_result *r, double seconds, bool lists, rs_buf *b);
void ui_train_say(const ui_common *c, const ui_train_opts *o, const ui_train_show *show,
                  const rs_train_result *r, double seconds);

#endif
