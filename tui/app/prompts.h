/* prompts.h - the library of prompts (prompts.jsonl beside the recipes) and how text is drawn.
 *
 * A line of the library is one of the plumbing forms with an id: {"id":"s01","text":".."} is
 * continued as it is, {"id":"s02","prompt":".."} goes through the chat format. */
#ifndef UI_PROMPTS_H
#define UI_PROMPTS_H

#include "base/buf.h"
#include "model/sampler.h"

#include <stdbool.h>

typedef struct ui_prompt_item {
    char *id;    /* "s01"; "" for a typed one */
    char *title; /* the text itself */
    bool raw;    /* continued as it is */
} ui_prompt_item;

typedef struct ui_prompts {
    ui_prompt_item *at;
    int n, cap;
} ui_prompts;

/* Bad lines are left out; their number is returned. */
int ui_prompts_read(ui_prompts *p, const char *text, size_t n);
const ui_prompt_item *ui_prompts_named(const ui_prompts *p, const char *id);
void ui_prompts_free(ui_prompts *p);

typedef struct ui_sampling {
    rs_sampler_params p; /* p.seed is the seed on the screen */
    int64_t max_tokens;
} ui_sampling;

ui_sampling ui_sampling_defaults(void); /* greedy, seed 7, 240 tokens */
/* NAME=VALUE with llama.cpp's names ("temp=0.8", "min-p=0.05"); false: `why` says what is
 * wrong. */
bool ui_sampling_set(ui_sampling *s, const char *pair, char why[160]);
const char *ui_sampling_name(int i, const char **help); /* i-th name, NULL past the end */
void ui_sampling_json(const ui_sampling *s, rs_buf *out);  /* for UI_FX_GENERATE */
void ui_sampling_short(const ui_sampling *s, rs_buf *out); /* "T 1.0 min-p 0.05" */

#endif
