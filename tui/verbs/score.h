/* score.h - running models over given tokens: shared by logits, perplexity and kl. */
#ifndef UI_SCORE_H
#define UI_SCORE_H

#include "model/forward.h"
#include "model/jsonl.h"
#include "tui/verbs/verbs.h"

/* Called for every position t >= 1 of a sequence with the logits that predict token t, of
 * one model or, with two, of both (b is NULL with one). */
typedef void (*ui_score_fn)(void *ctx, int64_t t, const float *a, const float *b);

/* Runs ids through one or two models (b may be NULL) from an empty cache, in pieces. */
rs_status ui_score(const rs_runtime *rt, const ui_model *a, const ui_model *b,
                   const int32_t *ids, int64_t n, ui_score_fn fn, void *ctx, rs_err *err)
    RS_MUST_USE;

/* The sequences of --file (cut into windows, bos in front of each and counted in it) or of
 * --jsonl (a line each), one after the other. mask: 1 where the token counts. */
typedef struct ui_sequences {
    const ui_model *model;
    rs_line_options options;
    int64_t window;
    rs_lines *lines;   /* --jsonl */
    rs_line text;      /* --file: all of it, tokenized */
    int64_t at;        /* next token of text */
    rs_line line;      /* the present line */
    rs_ids ids;        /* the present sequence */
    rs_buf mask;
} ui_sequences;

rs_status ui_sequences_open(const ui_model *m, const char *file, const char *jsonl, bool raw,
                            int64_t window, ui_sequences *s, rs_err *err) RS_MUST_USE;
/* *done: there are no more. */
rs_status ui_sequences_next(ui_sequences *s, bool *done, rs_err *err) RS_MUST_USE;
void ui_sequences_close(ui_sequences *s);

#endif
