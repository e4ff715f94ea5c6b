/* products.h - what a recipe's make entries ask for, made in process by the verbs' own code.
 *
 * Contents of files are told apart by hashes of what is in them; the hash of a model is kept in
 * $XDG_CACHE_HOME/ringside/content under the checkpoint's cheap identity (checkpoint.h), so that
 * 16 GB are read once, not at every look. */
#ifndef UI_PRODUCTS_H
#define UI_PRODUCTS_H

#include "merge/make.h"
#include "store/checkpoint.h"
#include "tui/verbs/verbs.h"

/* Metadata of a file that prepare made: what it was made from (prepare_state.h). */
#define UI_MADE_FROM "ringside.make"

/* One make with its names resolved. */
typedef struct ui_product {
    const char *model[2];    /* paths: model, or from and to */
    const char *const *data; /* paths: one, or one for each corpus */
    const char *measure;     /* path of the subspace, or of the Fisher that weighs; or NULL */
    const char *base;      /* what an adapter calls its model; NULL: as model[0] is called */
    const char *instead;   /* the system prompt of every conversation (jsonl.h), or NULL */
    const char *out;
    const char *made_from; /* value of UI_MADE_FROM */
    bool force;            /* out may be replaced */
    bool resume;           /* go on from what an interrupted run of the same work left */
    int64_t checkpoint;    /* seconds between states to resume from */
    bool resumed;          /* told: it did */
    bool useless;          /* told: what was left is of other work, or damaged */
} ui_product;

/* fisher.c, subspace.c, train.c. show: tells of each step, cancels. */
rs_status ui_fisher_make(ui_common *c, const rs_make *m, ui_product *p,
                         ui_progress *show, rs_err *err) RS_MUST_USE;
rs_status ui_subspace_make(ui_common *c, const rs_make *m, ui_product *p,
                           ui_progress *show, rs_err *err) RS_MUST_USE;
rs_status ui_train_make(ui_common *c, const rs_make *m, ui_product *p, ui_progress *show,
                        rs_err *err) RS_MUST_USE;

/* --- make_opts.c --- */

#define UI_UNSAID INT64_MIN /* a count that nobody said */

/* Which of the words of a key it is, as the core's enumerations number them; -1: none. */
int ui_make_word(rs_make_type t, const char *key, const char *word);
/* Words and counts of a verb by the table of the make that it stands for: UI_EXIT_OK, or as
 * ui_usage. */
int ui_check_make_opts(const char *verb, rs_make_type t, const ui_opt *opts,
                       const void *options);

/* --- identity.c --- */

/* content_hash.h of the tensors. */
rs_status ui_content_hash(ui_common *c, const rs_checkpoint *f, ui_progress *show,
                          char hex[33], rs_err *err) RS_MUST_USE;
/* Of what path holds: the tensors; with the files that say what they compute; with the
 * tokenizer and the chat format too. */
typedef enum ui_depth { UI_ID_TENSORS, UI_ID_CONFIG, UI_ID_TEXT } ui_depth;
rs_status ui_identity(ui_common *c, const char *path, ui_depth depth, ui_progress *show,
                      char hex[33], rs_err *err) RS_MUST_USE;
/* Of a file's bytes. */
rs_status ui_file_identity(const char *path, char hex[33], rs_err *err) RS_MUST_USE;

#endif
