/* generate.h - writing text token by token, one request at a time or many in a batch.
 *
 * A generator holds one request: prompt ids, cache, sampler, what has been written. step()
 * yields one token; the caller decides when to go on, so weights may change between steps.
 * A drawn token is read by the model only when the next one is wanted.
 * Text comes out in whole UTF-8 characters, stop strings are held back until resolved; the
 * text ends before a stop string. Control tokens add no text. A run of byte tokens becomes
 * text as soon as it is valid UTF-8, or U+FFFD for every byte when it ends without being so
 * (rs_detokenize decides over whole runs: only runs that are partly valid differ).
 * A request's ids and text do not depend on what is stepped with it. One thread at a time. */
#ifndef RS_GENERATE_H
#define RS_GENERATE_H

#include "model/forward.h"
#include "model/sampler.h"
#include "model/tokenizer.h"

typedef enum rs_stop {
    RS_STOP_NONE,
    RS_STOP_EOS,
    RS_STOP_LENGTH,
    RS_STOP_STRING
} rs_stop;
const char *rs_stop_name(rs_stop s); /* "eos", "length", "string" */

typedef struct rs_generate_params {
    rs_sampler_params sampler;
    int64_t max_tokens;      /* 0: as many as the model has positions for */
    int64_t min_tokens;      /* end ids are not drawn before */
    bool ignore_eos;         /* nor ever */
    const int32_t *stop_ids; /* config's eos and the chat format's */
    int n_stop_ids;
    const char *const *stop_strings;
    int n_stop_strings;
    bool keep_inputs; /* for weight changes from the middle */
} rs_generate_params;

typedef struct rs_generator rs_generator;

/* Borrows runtime, model and tokenizer (NULL: ids without text); copies everything else. The prompt is read by the
 * first step (or by rs_generator_prefill). RS_E_INVALID: no prompt, ids that the model does
 * not have, no room for one more token, an empty stop string, wrong sampler parameters. */
rs_status rs_generator_new(const rs_runtime *rt, const rs_model *m, const rs_tokenizer *t,
                           const int32_t *prompt, int64_t n_prompt,
                           const rs_generate_params *p, rs_generator **out,
                           rs_err *err) RS_MUST_USE;
void rs_generator_free(rs_generator *g); /* NULL is fine */
/* Reads the prompt, so that a later step finds it done. progress (tokens; may be NULL)
 * returning false abandons it: RS_E_CANCELLED, and it may be called again. */
rs_status rs_generator_prefill(rs_generator *g, rs_progress_fn progress, void *ctx,
                               rs_err *err) RS_MUST_USE;

typedef struct rs_token_event {
    int32_t id;
    double logprob;   /* under the model's own distribution, before the sampler */
    const char *text; /* newly settled text, maybe empty; borrowed until the next step */
    size_t n_text;
    rs_stop stop; /* not NONE: this was the last token (the stop id is included) */
} rs_token_event;

rs_status rs_generator_step(rs_generator *g, rs_token_event *e, rs_err *err) RS_MUST_USE;
/* Steps all generators of an array that are not finished, as one batch; the events of the
 * others have id -1. All must be of one model. */
rs_status rs_generator_step_all(rs_generator *const *g, int n, rs_token_event *e,
                                rs_err *err) RS_MUST_USE;
rs_stop rs_generator_stopped(const rs_generator *g);
/* Prompt and new ids; a stop id is the last. Borrowed until the next step. */
const int32_t *rs_generator_ids(const rs_generator *g, int64_t *n_prompt, int64_t *n_all);
/* The text so far, as far as it is settled; what was held back joins it at the end. */
const char *rs_generator_text(const rs_generator *g, size_t *n);
/* Weights changed from layer `first` up (see rs_kv_recompute): the next step's logits equal
 * a fresh run's over the same tokens. RS_E_CANCELLED: it may be called again, or else the
 * next step does the work. */
rs_status rs_generator_weights_changed(rs_generator *g, int first, bool first_changed_kv,
                                       rs_progress_fn progress, void *ctx,
                                       rs_err *err) RS_MUST_USE;

#endif
