/* learn_data.h - sequences to learn from, out of a text or JSON lines: shared by grad, fisher. */
#ifndef UI_LEARN_DATA_H
#define UI_LEARN_DATA_H

#include "learn/fisher.h"
#include "tui/verbs/verbs.h"

typedef struct ui_examples {
    rs_example *at; /* their ids and labels are owned by this */
    int n, cap;
    int64_t tokens;  /* of all */
    int passed_over; /* lines and windows in which nothing counts */
    char hash[33];  /* of ids and labels */
} ui_examples;

bool ui_is_jsonl(const char *path); /* what a file holds is told by its name */
/* data: a plain text, cut into windows of `length` tokens, or a file of JSON lines (ui_is_jsonl,
 * or jsonl set). most: at most that many sequences, 0: all. Lines longer than `length`
 * are cut there; lines in which nothing counts are passed over. instead: the system prompt of
 * every conversation (jsonl.h), or NULL. */
rs_status ui_examples_read(const rs_config *c, const rs_tokenizer *t,
                           const rs_chat_format *chat, const char *data, bool jsonl,
                           bool raw, const char *instead, int64_t length, int64_t most, ui_examples *out,
                           rs_err *err) RS_MUST_USE;
/* n sequences of random ids, by seed: what a Fisher without data is taken from. */
rs_status ui_examples_random(const rs_config *c, int64_t n, int64_t length, uint64_t seed,
                             ui_examples *out, rs_err *err) RS_MUST_USE;
void ui_examples_free(ui_examples *e);

#endif
