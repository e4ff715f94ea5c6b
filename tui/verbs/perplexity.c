/* ringside perplexity and ringside kl: what models make of a text. */
#include "base/os.h"
#include "tui/verbs/score.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    DEFAULT_WINDOW = 1024,
    MOST_RENAMED = 100 /* one in so many pieces may differ */
};

typedef struct text_opts {
    const char *model, *a, *b, *file, *jsonl, *out, *chat_template;
    int64_t window;
    bool raw, force;
} text_opts;

static void defaults(void *options)
{
    ((text_opts *)options)->window = DEFAULT_WINDOW;
}

#define TEXT_ROWS                                                                        \
    {"--file", UI_OPT_STRING, "F", "a plain text; - reads standard input",               \
     offsetof(text_opts, file)},                                                         \
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
    {"--force", UI_OPT_FLAG, NULL, "replace an existing file", offsetof(text_opts, force)},
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
    rs_buf *logprobs; /* JSON lines, or NULL: nobody asks */
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
                           ui_sequences *s, tally *sum, ui_progress *show, rs_err *err)
{
    rs_status st = RS_OK;
    rs_progress at = {0, (uint64_t)s->text.ids.n, "tokens", "scoring"};
    for (bool done = false; st == RS_OK;) {
        st = ui_sequences_next(s, &done, err);
        if (st != RS_OK || done) break;
        if (sum->logprobs) rs_buf_puts(sum->logprobs, "{\"logprob\":[");
        st = ui_score(&c->rt, a, b, s->ids.at, s->ids.n, count, sum, err);
        if (sum->logprobs) rs_buf_puts(sum->logprobs, "]}\n");
        at.done += (uint64_t)s->ids.n;
        if (at.total && at.done > at.total) at.done = at.total; /* bos of each window */
        if (st == RS_OK && !ui_progress_step(show, &at))
            st = rs_fail(err, RS_E_CANCELLED, "scoring was cancelled");
    }
    if (st == RS_OK && sum->tokens == 0)
        st = rs_fail(err, RS_E_INVALID, "the text has no token to score");
    return st;
}

/* The file that --out means, links followed, or "": known before the work begins. */
static rs_status find_out(const text_opts *o, char path[4096], rs_err *err)
{
    path[0] = 0;
    if (!o->out) return RS_OK;
    RS_TRY(rs_os_real_path(path, 4096, o->out, err));
    char folder[4096];
    if (!rs_path_dirname(folder, sizeof folder, path) ||
        rs_os_kind(folder) != RS_PATH_FOLDER)
        return rs_fail(err, RS_E_NOT_FOUND, "--out %s: there is no folder for it",
                       o->out);
    if (rs_os_kind(path) == RS_PATH_NONE) return RS_OK;
    int fd = -1;
    RS_TRY(rs_os_open(path, &fd, NULL, err)); /* a folder or a device is not replaced */
    rs_os_close(fd);
    if (!o->force)
        return rs_fail(err, RS_E_EXISTS, "%s exists; --force replaces it", o->out);
    return RS_OK;
}

static rs_status score(ui_common *c, const text_opts *o, const ui_model *a,
                       const ui_model *b, tally *sum, ui_progress *show, rs_err *err)
{
    ui_sequences s;
    char path[4096];
    rs_buf lines = {0};
    RS_TRY(find_out(o, path, err));
    rs_status st = ui_sequences_open(a, o->file, o->jsonl, o->raw, o->window, &s, err);
    *sum = (tally){.seq = &s, .vocab = a->config->vocab};
    if (path[0]) sum->logprobs = &lines;
    if (st == RS_OK) st = score_all(c, a, b, &s, sum, show, err);
    if (st == RS_OK && path[0] && lines.failed)
        st = rs_fail(err, RS_E_NOMEM, "no memory for the log-probabilities");
    if (st == RS_OK && path[0])
        st = rs_os_write_file(path, rs_buf_str(&lines), lines.len, err);
    rs_buf_free(&lines);
    ui_sequences_close(&s);
    return st;
}

/* What is wrong with the words themselves; UI_EXIT_OK: nothing. */
static int check_words(const char *verb, const text_opts *o)
{
    if (!o->file == !o->jsonl) return ui_usage(verb, "give either --file F or --jsonl F");
    if (o->window < 2)
        return ui_usage(verb, "--window %" PRId64 ": a window has at least 2 tokens",
                        o->window);
    return UI_EXIT_OK;
}

static void perplexity_json(const tally *t, rs_buf *b)
{
    double mean = t->nll_a / (double)t->tokens;
    rs_buf_printf(b, "{\"tokens\":%" PRId64 ",\"nll\":", t->tokens);
    rs_buf_json_double(b, mean);
    rs_buf_puts(b, ",\"ppl\":");
    rs_buf_json_double(b, exp(mean));
    rs_buf_putc(b, '}');
}

static void perplexity_words(const tally *t, rs_buf *b)
{
    double mean = t->nll_a / (double)t->tokens;
    rs_buf_printf(b, "%" PRId64 " tokens   nll %.6f nat a token   perplexity %.4f",
                  t->tokens, mean, exp(mean));
}

/* Ends the verb's progress, prints its result, and gives its exit status. */
static int finish(ui_progress *show, rs_status s, const rs_err *err, const tally *t,
                  void (*json)(const tally *, rs_buf *),
                  void (*words)(const tally *, rs_buf *))
{
    rs_buf event = {0}, said = {0};
    if (s == RS_OK) json(t, &event);
    ui_progress_end(show, s, err, rs_buf_str(&event));
    if (s == RS_OK) (show->common->json ? json : words)(t, &said);
    rs_buf_putc(&said, '\n');
    if (s == RS_OK) ui_print(&said);
    rs_buf_free(&event);
    rs_buf_free(&said);
    return s == RS_OK ? UI_EXIT_OK : ui_fail(show->verb, err);
}

enum { PARTS = UI_MODEL_WEIGHTS | UI_MODEL_TOKENIZER };

static int run_perplexity(ui_common *c, void *options, int n_args, char **args)
{
    (void)n_args, (void)args;
    const text_opts *o = options;
    if (!o->model) return ui_usage("perplexity", "--model M names the model");
    int wrong = check_words("perplexity", o);
    if (wrong) return wrong;
    ui_model m;
    rs_err err;
    ui_progress show;
    tally sum = {0};
    ui_progress_begin(&show, c, "perplexity");
    rs_status s = ui_model_open(c, o->model, PARTS, o->chat_template, &m, &err);
    if (s == RS_OK) {
        s = score(c, o, &m, NULL, &sum, &show, &err);
        ui_model_close(&m);
    }
    return finish(&show, s, &err, &sum, perplexity_json, perplexity_words);
}

static void kl_json(const tally *t, rs_buf *b)
{
    double n = (double)t->tokens;
    rs_buf_puts(b, "{\"kl\":");
    rs_buf_json_double(b, t->kl / n);
    rs_buf_puts(b, ",\"nll_a\":");
    rs_buf_json_double(b, t->nll_a / n);
    rs_buf_puts(b, ",\"nll_b\":");
    rs_buf_json_double(b, t->nll_b / n);
    rs_buf_printf(b, ",\"tokens\":%" PRId64 "}", t->tokens);
}

static void kl_words(const tally *t, rs_buf *b)
{
    double n = (double)t->tokens;
    rs_buf_printf(
        b, "%" PRId64 " tokens   KL(a||b) %.6f nat a token   nll a %.4f   nll b %.4f",
        t->tokens, t->kl / n, t->nll_a / n, t->nll_b / n);
}

/* Renamed special pieces leave the rest comparable; another vocabulary does not. */
static rs_status compare_pieces(ui_common *c, const text_opts *o, const ui_model *a,
                                const ui_model *b, rs_err *err)
{
    rs_err what;
    int32_t first, n = ui_other_pieces(a, b, &first), all = a->config->vocab;
    if (a->config->vocab != b->config->vocab)
        return rs_fail(err, RS_E_MISMATCH,
                       "%s has %d pieces and %s %d: no common distribution", o->a,
                       a->config->vocab, o->b, b->config->vocab);
    if (n == 0) return RS_OK;
    rs_fail(
        &what, RS_E_MISMATCH,
        "%d of %d pieces differ between %.100s and %.100s, token %d first: \"%.40s\" and "
        "\"%.40s\"",
        n, all, o->a, o->b, first, rs_tokenizer_piece(a->tokenizer, first),
        rs_tokenizer_piece(b->tokenizer, first));
    if (n > all / MOST_RENAMED)
        return rs_fail(err, what.code, "%s: no common distribution", what.msg);
    if (!c->quiet) fprintf(stderr, "ringside kl: warning: %s\n", what.msg);
    return RS_OK;
}

static rs_status open_two(ui_common *c, const text_opts *o, ui_model *a, ui_model *b,
                          rs_err *err)
{
    RS_TRY(ui_model_open(c, o->a, PARTS, o->chat_template, a, err));
    rs_status s = ui_model_open(c, o->b, PARTS, o->chat_template, b, err);
    if (s == RS_OK) {
        s = compare_pieces(c, o, a, b, err);
        if (s != RS_OK) ui_model_close(b);
    }
    if (s != RS_OK) ui_model_close(a);
    return s;
}

static int run_kl(ui_common *c, void *options, int n_args, char **args)
{
    (void)n_args, (void)args;
    const text_opts *o = options;
    if (!o->a || !o->b) return ui_usage("kl", "--a M and --b M name the two models");
    int wrong = check_words("kl", o);
    if (wrong) return wrong;
    ui_model a, b;
    rs_err err;
    ui_progress show;
    tally sum = {0};
    ui_progress_begin(&show, c, "kl");
    rs_status s = open_two(c, o, &a, &b, &err);
    if (s == RS_OK) {
        s = score(c, o, &a, &b, &sum, &show, &err);
        ui_model_close(&a);
        ui_model_close(&b);
    }
    return finish(&show, s, &err, &sum, kl_json, kl_words);
}

const ui_verb ui_verb_perplexity = {
    .name = "perplexity",
    .usage = "--model M (--file F | --jsonl F) [--window N] [--out F [--force]]",
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
