/* text_opts.h - the options of verbs that write text: sampler flags by llama.cpp's names,
 * prompts, ends. One row list for all of them, so generate and compare cannot differ. */
#ifndef UI_TEXT_OPTS_H
#define UI_TEXT_OPTS_H

#include "model/generate.h"
#include "model/jsonl.h"
#include "tui/verbs/verbs.h"

typedef struct ui_text_opts {
    bool raw, ignore_eos;
    const char *system, *chat_template, *samplers;
    int64_t max_tokens, min_tokens, top_k, min_keep, repeat_last_n, dry_allowed_length;
    int64_t dry_last_n, mirostat;
    double temp, dynatemp_range, dynatemp_exp, top_p, min_p, typical, top_nsigma;
    double xtc_probability, xtc_threshold, repeat_penalty, frequency_penalty;
    double presence_penalty, dry_multiplier, dry_base, mirostat_lr, mirostat_ent;
    ui_strings stop, logit_bias, dry_breakers;
} ui_text_opts;

/* Rows for a ui_opt table: T is the verb's options struct, f its ui_text_opts. */
#define UI_TEXT_OPT(T, f, name, type, arg, help, field)                                  \
    {name, type, arg, help, offsetof(T, f.field)}
// clang-format off
#define UI_TEXT_OPTS(T, f)                                                                         \
    UI_TEXT_OPT(T, f, "--raw", UI_OPT_FLAG, NULL, "the prompt is text, no chat format", raw),      \
    UI_TEXT_OPT(T, f, "--system", UI_OPT_STRING, "TEXT", "system message", system),                \
    UI_TEXT_OPT(T, f, "--chat-template", UI_OPT_STRING, "NAME",                                    \
                "chat format, e.g. gemma3, llama3, chatml (default: the model's)", chat_template),              \
    UI_TEXT_OPT(T, f, "--max-tokens,-n", UI_OPT_INT, "N", "tokens to write at most (512)",         \
                max_tokens),                                                                       \
    UI_TEXT_OPT(T, f, "--min-tokens", UI_OPT_INT, "N", "no end before so many tokens",             \
                min_tokens),                                                                       \
    UI_TEXT_OPT(T, f, "--ignore-eos", UI_OPT_FLAG, NULL, "never end before --max-tokens",          \
                ignore_eos),                                                                       \
    UI_TEXT_OPT(T, f, "--stop", UI_OPT_LIST, "TEXT", "end before this text (repeatable)", stop),   \
    UI_TEXT_OPT(T, f, "--temp", UI_OPT_NUMBER, "T", "temperature (0.8); 0: greedy", temp),         \
    UI_TEXT_OPT(T, f, "--top-k", UI_OPT_INT, "K", "the K likeliest (40); 0: off", top_k),          \
    UI_TEXT_OPT(T, f, "--top-p", UI_OPT_NUMBER, "P", "nucleus (0.95); 1: off", top_p),             \
    UI_TEXT_OPT(T, f, "--min-p", UI_OPT_NUMBER, "P", "share of the likeliest (0.05); 0: off",      \
                min_p),                                                                            \
    UI_TEXT_OPT(T, f, "--typical", UI_OPT_NUMBER, "P", "locally typical (1: off)", typical),       \
    UI_TEXT_OPT(T, f, "--top-nsigma", UI_OPT_NUMBER, "N", "deviations below the top (-1: off)",    \
                top_nsigma),                                                                       \
    UI_TEXT_OPT(T, f, "--xtc-probability", UI_OPT_NUMBER, "P", "exclude top choices (0: off)",     \
                xtc_probability),                                                                  \
    UI_TEXT_OPT(T, f, "--xtc-threshold", UI_OPT_NUMBER, "P", "what counts as one (0.1)",           \
                xtc_threshold),                                                                    \
    UI_TEXT_OPT(T, f, "--repeat-penalty", UI_OPT_NUMBER, "R", "divides logits (1: off)",           \
                repeat_penalty),                                                                   \
    UI_TEXT_OPT(T, f, "--repeat-last-n", UI_OPT_INT, "N", "tokens looked at (64); -1: all",        \
                repeat_last_n),                                                                    \
    UI_TEXT_OPT(T, f, "--frequency-penalty", UI_OPT_NUMBER, "X", "per occurrence (0: off)",        \
                frequency_penalty),                                                                \
    UI_TEXT_OPT(T, f, "--presence-penalty", UI_OPT_NUMBER, "X", "for any occurrence (0: off)",     \
                presence_penalty),                                                                 \
    UI_TEXT_OPT(T, f, "--dry-multiplier", UI_OPT_NUMBER, "X", "against repetition (0: off)",       \
                dry_multiplier),                                                                   \
    UI_TEXT_OPT(T, f, "--dry-base", UI_OPT_NUMBER, "X", "growth per token (1.75)", dry_base),      \
    UI_TEXT_OPT(T, f, "--dry-allowed-length", UI_OPT_INT, "N", "free repetitions (2)",             \
                dry_allowed_length),                                                               \
    UI_TEXT_OPT(T, f, "--dry-penalty-last-n", UI_OPT_INT, "N", "tokens looked at (64); -1: all",   \
                dry_last_n),                                                                       \
    UI_TEXT_OPT(T, f, "--dry-sequence-breaker", UI_OPT_LIST, "TEXT",                               \
                "instead of line feed : \" *; none: no breaker", dry_breakers),                    \
    UI_TEXT_OPT(T, f, "--dynatemp-range", UI_OPT_NUMBER, "X", "temperature by entropy (0: off)",   \
                dynatemp_range),                                                                   \
    UI_TEXT_OPT(T, f, "--dynatemp-exp", UI_OPT_NUMBER, "X", "its exponent (1)", dynatemp_exp),     \
    UI_TEXT_OPT(T, f, "--mirostat", UI_OPT_INT, "N", "0: off; 2", mirostat),                       \
    UI_TEXT_OPT(T, f, "--mirostat-lr", UI_OPT_NUMBER, "X", "learning rate (0.1)", mirostat_lr),    \
    UI_TEXT_OPT(T, f, "--mirostat-ent", UI_OPT_NUMBER, "X", "target surprise, bit (5)",            \
                mirostat_ent),                                                                     \
    UI_TEXT_OPT(T, f, "--min-keep", UI_OPT_INT, "N", "candidates to keep at least", min_keep),     \
    UI_TEXT_OPT(T, f, "--samplers", UI_OPT_STRING, "A;B;..", "their order; what is left out is off",\
                samplers),                                                                         \
    UI_TEXT_OPT(T, f, "--logit-bias", UI_OPT_LIST, "ID+X", "added to an id's logit; ID-inf: never",\
                logit_bias)
// clang-format on

void ui_text_opts_defaults(ui_text_opts *o);

/* Parameters for a model. Everything that p points to is owned by this. */
typedef struct ui_text_params {
    rs_generate_params p; /* the seed is the first text's */
    rs_line_options line;
    rs_logit_bias bias[64];
    rs_ids dry_breakers;
    int32_t stop_ids[24];
} ui_text_params;

/* What can be said of the numbers without a model. */
rs_status ui_text_opts_check(const ui_text_opts *o, rs_err *err) RS_MUST_USE;
/* Call once, on memory that stays where it is. free also after a failure. */
rs_status ui_text_params_make(const ui_text_opts *o, const ui_common *c, const ui_model *m,
                              ui_text_params *out, rs_err *err) RS_MUST_USE;
void ui_text_params_free(ui_text_params *p);

/* Appends {"ids":[..],"text":"..","stop":"..","tokens_per_second":..,"seed":..} without its
 * closing brace; ids are the new ones. */
void ui_text_result_json(rs_buf *out, const rs_generator *g, double tokens_per_second,
                         uint64_t seed);
/* Text for a terminal or a pipe: on a terminal, control characters but line feed and tab
 * become '?'. */
void ui_text_show(rs_buf *out, const char *text, size_t n, bool to_terminal);

#endif
