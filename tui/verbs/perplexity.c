/* ringside perplexity and ringside kl: what models make of a text. */
#include "tui/verbs/score.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { DEFAULT_WINDOW = 1024 };

typedef struct text_opts {
    const char *model, *a, *b, *file, *jsonl, *out, *chat_template;
    int64_t window;
    bool raw;
} text_opts;

static void defaults(void *options)
{
    ((text_opts *)options)->window = DEFAULT_WINDOW;
}

#define TEXT_ROWS                                                                        \
    {"--file", UI_OPT_STRING, "F", "a plain text", offsetof(text_opts, file)},           \
        {"--jsonl", UI_OPT_STRING, "F", "JSON lines: text, prompt, messages or ids",     \
         offsetof(text_opts, jsonl)},                                                    \
        {"--window", UI_OPT_INT, "N",                                                    \
         "tokens that a text is cut into, bos counted (1024)",                           \
         offsetof(text_opts, window)},                                                   \
        {"--raw", UI_OPT_FLAG, NULL, "prompts as plain text, no chat format",            \
         offsetof(text_opts, raw)},                                                      \
    {                                                                                    \
        "--chat-template", UI_OPT_STRING, "NAME",                                        \
            "chat format instead of the model's own", offsetof(text_opts, chat_template) \
    }

// clang-format off
static const ui_opt perplexity_opts[] = {
    {"--model", UI_OPT_STRING, "M", "the model", offsetof(text_opts, model)},
    TEXT_ROWS,
    {"--out", UI_OPT_STRING, "F", "JSON lines {\"logprob\":[..]}, entry i for token i+1",
     offsetof(text_opts, out)},
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};
static const ui_opt kl_opts[] = {
    {"--a", UI_OPT_STRING, "M", "the model that is taken as the truth", offsetof(text_opts, a)},
    {"--b", UI_OPT_STRING, "M", "the other", offsetof(text_opts, b)},
    TEXT_ROWS,
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};
// clang-format on

/* Sums over counted tokens. */
typedef struct tally {
    const ui_sequences *seq;
    int64_t vocab, tokens;
    double nll_a, nll_b, kl;
    rs_buf *logprobs; /* of the sequence, or NULL */
} tally;

/* KL(a || b) of two rows of logits, in double. */
static double divergence(const float *a, const float *b, int64_t vocab, double lse_a,
                         double lse_b)
{
    double sum = 0;
    for (int64_t i = 0; i < vocab; i++) {
        double la = (double)a[i] - lse_a, lb = (double)b[i] - lse_b;
        sum += exp(la) * (la - lb);
    }
    return sum;
}

static void count(void *ctx, int64_t t, const float *a, const float *b)
{
    tally *c = ctx;
    bool counts = rs_buf_str(&c->seq->mask)[t] != 0;
    if (!counts && !c->logprobs) return;
    double lse_a, lse_b, lp = rs_logprob(a, c->vocab, c->seq->ids.at[t], &lse_a);
    if (c->logprobs) {
        if (t > 1) rs_buf_putc(c->logprobs, ',');
        rs_buf_json_double(c->logprobs, lp);
    }
    if (!counts) return;
    c->tokens++;
    c->nll_a -= lp;
    if (!b) return;
    c->nll_b -= rs_logprob(b, c->vocab, c->seq->ids.at[t], &lse_b);
    c->kl += divergence(a, b, c->vocab, lse_a, lse_b);
}

static rs_status score_all(ui_common *c, const ui_model *a, const ui_model *b,
                           ui_sequences *s, tally *sum, FILE *out, rs_err *err)
{
    for (bool done = false; !done;) {
        if (ui_interrupted())
            return rs_fail(err, RS_E_CANCELLED, "scoring was cancelled");
        RS_TRY(ui_sequences_next(s, &done, err));
        if (done) break;
        rs_buf line = {0};
        sum->logprobs = out ? &line : NULL;
        rs_buf_puts(&line, "{\"logprob\":[");
        rs_status st = ui_score(&c->rt, a, b, s->ids.at, s->ids.n, count, sum, err);
        rs_buf_puts(&line, "]}\n");
        bool written = !out || fwrite(rs_buf_str(&line), 1, line.len, out) == line.len;
        rs_buf_free(&line);
        if (st != RS_OK) return st;
        if (!written)
            return rs_fail(err, RS_E_IO, "the log-probabilities could not be written");
    }
    if (sum->tokens == 0)
        return rs_fail(err, RS_E_INVALID, "the text has no token to score");
    return RS_OK;
}

static rs_status score(ui_common *c, const text_opts *o, const ui_model *a,
                       const ui_model *b, tally *sum, rs_err *err)
{
    ui_sequences s;
    FILE *out = NULL;
    rs_status st = ui_sequences_open(a, o->file, o->jsonl, o->raw, o->window, &s, err);
    if (st == RS_OK && o->out && !(out = fopen(o->out, "wx")))
        st = rs_fail(err, RS_E_EXISTS, "%s exists, or cannot be made", o->out);
    *sum = (tally){.seq = &s, .vocab = a->config->vocab};
    if (st == RS_OK) st = score_all(c, a, b, &s, sum, out, err);
    if (out && fclose(out) != 0 && st == RS_OK)
        st = rs_fail(err, RS_E_IO, "%s could not be written", o->out);
    ui_sequences_close(&s);
    return st;
}

static void print_perplexity(const ui_common *c, const tally *t)
{
    rs_buf b = {0};
    double mean = t->nll_a / (double)t->tokens;
    if (c->json) {
        rs_buf_printf(&b, "{\"tokens\":%" PRId64 ",\"nll\":", t->tokens);
        rs_buf_json_double(&b, mean);
        rs_buf_puts(&b, ",\"ppl\":");
        rs_buf_json_double(&b, exp(mean));
        rs_buf_puts(&b, "}\n");
    } else {
        rs_buf_printf(&b, "%" PRId64 " tokens   nll %.6f nat a token   perplexity %.4f\n",
                      t->tokens, mean, exp(mean));
    }
    ui_print(&b);
    rs_buf_free(&b);
}

enum { PARTS = UI_MODEL_WEIGHTS | UI_MODEL_TOKENIZER };

static int run_perplexity(ui_common *c, void *options, int n_args, char **args)
{
    (void)n_args, (void)args;
    const text_opts *o = options;
    if (!o->model) return ui_usage("perplexity", "--model M names the model");
    ui_model m;
    rs_err err;
    tally sum = {0};
    rs_status s = ui_model_open(c, o->model, PARTS, o->chat_template, &m, &err);
    if (s == RS_OK) {
        s = score(c, o, &m, NULL, &sum, &err);
        if (s == RS_OK) print_perplexity(c, &sum);
        ui_model_close(&m);
    }
    return s == RS_OK ? UI_EXIT_OK : ui_fail("perplexity", &err);
}

static void print_kl(const ui_common *c, const tally *t)
{
    rs_buf b = {0};
    double n = (double)t->tokens;
    if (c->json) {
        rs_buf_puts(&b, "{\"kl\":");
        rs_buf_json_double(&b, t->kl / n);
        rs_buf_puts(&b, ",\"nll_a\":");
        rs_buf_json_double(&b, t->nll_a / n);
        rs_buf_puts(&b, ",\"nll_b\":");
        rs_buf_json_double(&b, t->nll_b / n);
        rs_buf_printf(&b, ",\"tokens\":%" PRId64 "}\n", t->tokens);
    } else {
        rs_buf_printf(&b,
                      "%" PRId64
                      " tokens   KL(a||b) %.6f nat a token   nll a %.4f   nll b %.4f\n",
                      t->tokens, t->kl / n, t->nll_a / n, t->nll_b / n);
    }
    ui_print(&b);
    rs_buf_free(&b);
}

static rs_status open_two(ui_common *c, const text_opts *o, ui_model *a, ui_model *b,
                          rs_err *err)
{
    RS_TRY(ui_model_open(c, o->a, PARTS, o->chat_template, a, err));
    rs_status s = ui_model_open(c, o->b, PARTS, o->chat_template, b, err);
    if (s == RS_OK && a->config->vocab != b->config->vocab) {
        s = rs_fail(err, RS_E_MISMATCH,
                    "%s has %d pieces and %s %d: no common distribution", o->a,
                    a->config->vocab, o->b, b->config->vocab);
        ui_model_close(b);
    }
    if (s != RS_OK) ui_model_close(a);
    return s;
}

static int run_kl(ui_common *c, void *options, int n_args, char **args)
{
    (void)n_args, (void)args;
    const text_opts *o = options;
    if (!o->a || !o->b) return ui_usage("kl", "--a M and --b M name the two models");
    ui_model a, b;
    rs_err err;
    tally sum = {0};
    rs_status s = open_two(c, o, &a, &b, &err);
    if (s == RS_OK) {
        s = score(c, o, &a, &b, &sum, &err);
        if (s == RS_OK) print_kl(c, &sum);
        ui_model_close(&a);
        ui_model_close(&b);
    }
    return s == RS_OK ? UI_EXIT_OK : ui_fail("kl", &err);
}

const ui_verb ui_verb_perplexity = {
    .name = "perplexity",
    .usage = "--model M (--file F | --jsonl F) [--window N] [--out F]",
    .summary = "mean negative log-likelihood and perplexity of a text",
    .details =
        "A plain text is cut into windows that each start afresh with bos in front; the "
        "first token of a window is not scored. Of JSON lines the counted tokens are "
        "scored: all of a text, what the model says in a conversation, or those that a "
        "mask names.",
    .opts = perplexity_opts,
    .opts_size = sizeof(text_opts),
    .defaults = defaults,
    .run = run_perplexity,
};

const ui_verb ui_verb_kl = {
    .name = "kl",
    .usage = "--a M --b M (--file F | --jsonl F) [--window N]",
    .summary = "mean KL divergence per token between two models on a text",
    .opts = kl_opts,
    .opts_size = sizeof(text_opts),
    .defaults = defaults,
    .run = run_kl,
};
