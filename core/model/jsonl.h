/* jsonl.h - lines of JSON as text for a model: what every verb that takes data understands.
 *
 * A line is an object with one of
 *   text                      the tokenizer's special tokens are put in front
 *   prompt (or user)          one user message, with optional system and response
 *   messages                  a list of {"role", "content"}
 *   ids, optional mask        taken as they are; mask 1: ids[t] is a counted target
 * and optionally "add_generation_prompt" (default: true unless the last message is the
 * assistant's). prompt and messages go through the chat format, whose bos is the only one;
 * raw takes prompt (and response behind it) as text. Empty system and response are none.
 * Counted are: all tokens of text and unmasked ids; of conversations what the model says
 * itself, its end-of-turn token included; of a raw prompt with response the response. The
 * first token never counts. Other members are ignored; "id" or "key" is kept as a label.
 * Nothing here is shared: any number of threads. Errors begin with `what` ("F, line 3"). */
#ifndef RS_JSONL_H
#define RS_JSONL_H

#include "model/chat.h"
#include "model/tokenizer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rs_line_options {
    const rs_tokenizer *tokenizer; /* NULL: only ids are understood */
    const rs_chat_format *chat;    /* NULL: conversations are errors, unless raw */
    bool raw;
    bool no_special;    /* no bos before text either */
    const char *system; /* for a prompt without a system of its own; may be NULL */
    /* The system prompt of every conversation, whatever it has itself; what is no conversation
     * is an error. May be NULL. */
    const char *instead;
} rs_line_options;

typedef enum rs_line_form {
    RS_LINE_TEXT,
    RS_LINE_PROMPT,
    RS_LINE_MESSAGES,
    RS_LINE_IDS
} rs_line_form;

typedef struct rs_line {
    rs_line_form form;
    rs_ids ids;
    rs_buf mask;       /* a byte 0 or 1 for each id */
    int64_t n_counted; /* how many are 1 */
    rs_buf text;       /* what was tokenized: the text or the rendered conversation */
    rs_buf prompt;     /* the prompt, or the last user message; may be empty */
    rs_buf label;      /* the line's id or key as JSON text; may be empty */
} rs_line;

void rs_line_free(rs_line *l); /* the line is empty and usable again */

/* One line in memory. out is emptied first. */
rs_status rs_line_parse(const char *json, size_t n, const char *what,
                        const rs_line_options *o, rs_line *out, rs_err *err) RS_MUST_USE;
/* The same without JSON: a prompt as rs_line_parse takes {"prompt": ..}. */
rs_status rs_line_from_prompt(const char *prompt, size_t n, const rs_line_options *o,
                              rs_line *out, rs_err *err) RS_MUST_USE;
/* Whole text, as {"text": ..}. */
rs_status rs_line_from_text(const char *text, size_t n, const rs_line_options *o,
                            rs_line *out, rs_err *err) RS_MUST_USE;

/* A file of such lines, read in pieces; empty lines are passed over. One thread. */
typedef struct rs_lines rs_lines;
rs_status rs_lines_open(const char *path, rs_lines **out, rs_err *err) RS_MUST_USE;
void rs_lines_close(rs_lines *l); /* NULL is fine */
/* The next line's text, borrowed until the next call; *text is NULL at the end. */
rs_status rs_lines_next(rs_lines *l, const char **text, size_t *n,
                        rs_err *err) RS_MUST_USE;
/* "FILE, line N" of the line that came last. */
const char *rs_lines_where(const rs_lines *l);
/* The next line, parsed; *done at the end. */
rs_status rs_lines_parse(rs_lines *l, const rs_line_options *o, rs_line *out, bool *done,
                         rs_err *err) RS_MUST_USE;

#endif
