#include "base/map.h"
#include "tui/draw/wrap.h"
#include "tui/verbs/text_opts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { SCORE_ROWS = 16, DEFAULT_WIDTH = 100, LEAST_WIDTH = 40 };

typedef struct compare_opts {
    const char *a, *b, *prompt;
    ui_text_opts text;
} compare_opts;

static const ui_opt rows[] = {
    {"--a", UI_OPT_STRING, "M", "the left model or recipe", offsetof(compare_opts, a)},
    {"--b", UI_OPT_STRING, "M", "the right model or recipe", offsetof(compare_opts, b)},
    {"--prompt", UI_OPT_STRING, "TEXT", "the prompt of both",
     offsetof(compare_opts, prompt)},
    UI_TEXT_OPTS(compare_opts, text),
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};

static void defaults(void *opts)
{
    compare_opts *o = opts;
    ui_text_opts_defaults(&o->text);
}

/* One model and what it wrote. */
typedef struct side {
    const char *name;
    ui_model model;
    ui_text_params params;
    rs_line line;
    rs_generator *generator;
    double rate, mean_own, mean_other; /* log-probability per token; NaN: not known */
    int64_t words, tokens;
    double distinct; /* share of word trigrams that are no repetition; NaN without any */
} side;

/* ---- writing and scoring ---- */

static bool go_on(void *ctx, const rs_progress *p)
{
    (void)ctx;
    (void)p;
    return !ui_interrupted();
}

static rs_status write_text(ui_common *c, const compare_opts *o, side *s, rs_err *err)
{
    RS_TRY(rs_line_from_prompt(o->prompt, strlen(o->prompt), &s->params.line, &s->line,
                               err));
    RS_TRY(rs_generator_new(&c->rt, s->model.model, s->model.tokenizer, s->line.ids.at,
                            s->line.ids.n, &s->params.p, &s->generator, err));
    RS_TRY(rs_generator_prefill(s->generator, go_on, NULL, err));
    double began = ui_now(), sum = 0;
    while (rs_generator_stopped(s->generator) == RS_STOP_NONE) {
        rs_token_event e;
        RS_TRY(rs_generator_step(s->generator, &e, err));
        sum += e.logprob;
        s->tokens++;
        if (ui_interrupted()) return rs_fail(err, RS_E_CANCELLED, "cancelled");
    }
    s->mean_own = sum / (double)s->tokens;
    s->rate = (double)s->tokens / (ui_now() - began);
    return RS_OK;
}

/* The mean log-probability that this model gives to the new ids of a text, read in pieces so
 * that the logits stay small. */
static rs_status score_ids(const rs_runtime *rt, const rs_model *m, rs_kv *kv,
                           const int32_t *ids, int64_t n_prompt, int64_t n, float *logits,
                           double *mean, rs_err *err)
{
    int64_t vocab = m->config->vocab;
    rs_forward_options o = {.want = RS_WANT_NOTHING, .progress = go_on};
    double sum = 0;
    if (n_prompt > 1) RS_TRY(rs_forward(rt, m, kv, ids, n_prompt - 1, &o, NULL, err));
    o.want = RS_WANT_ALL;
    for (int64_t at = n_prompt - 1; at < n - 1; at += SCORE_ROWS) {
        int64_t k = n - 1 - at < SCORE_ROWS ? n - 1 - at : SCORE_ROWS;
        RS_TRY(rs_forward(rt, m, kv, ids + at, k, &o, logits, err));
        for (int64_t i = 0; i < k; i++)
            sum += rs_logprob(logits + i * vocab, vocab, ids[at + i + 1], NULL);
    }
    *mean = sum / (double)(n - n_prompt);
    return RS_OK;
}

/* Is every id the same piece for both? Else one cannot read what the other wrote. */
static bool same_vocabulary(const side *a, const side *b)
{
    int32_t first;
    return a->model.config->vocab == b->model.config->vocab &&
           ui_other_pieces(&a->model, &b->model, &first) == 0;
}

static rs_status score_other(ui_common *c, side *writer, const side *reader, rs_err *err)
{
    const rs_config *config = reader->model.config;
    int64_t n_prompt, n;
    const int32_t *ids = rs_generator_ids(writer->generator, &n_prompt, &n);
    rs_kv *kv = NULL;
    float *logits = malloc((size_t)config->vocab * SCORE_ROWS * sizeof *logits);
    rs_kv_options o = {.max_tokens = n};
    rs_status s = logits ? rs_kv_new(config, &o, &kv, err)
                         : rs_fail(err, RS_E_NOMEM, "no memory for logits");
    if (s == RS_OK)
        s = score_ids(&c->rt, reader->model.model, kv, ids, n_prompt, n, logits,
                      &writer->mean_other, err);
    rs_kv_free(kv);
    free(logits);
    return s;
}

/* ---- words ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* Lower-case words with one space between. */
static void add_words(rs_buf *out, const char *s, size_t n)
{
    bool between = true;
    for (size_t i = 0; i < n; i++) {
        if (is_blank(s[i])) {
            between = true;
            continue;
        }
        if (between && out->len) rs_buf_putc(out, ' ');
        between = false;
        rs_buf_putc(out, s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] + 32) : s[i]);
    }
}

/* The end of the word that begins at s. */
static const char *word_end(const char *s)
{
    const char *gap = strchr(s, ' ');
    return gap ? gap : s + strlen(s);
}

static rs_status count_words(side *s, rs_err *err)
{
    rs_buf words = {0};
    rs_map seen = {0};
    size_t n;
    int64_t trigrams = 0;
    bool ok = true;
    const char *text = rs_generator_text(s->generator, &n);
    add_words(&words, text, n);
    for (const char *w = rs_buf_str(&words); *w && ok; s->words++) {
        const char *end = word_end(w), *second = *end ? word_end(end + 1) : end;
        if (*second) {
            const char *third = word_end(second + 1);
            ok = rs_map_put(&seen, w, (size_t)(third - w), 1, NULL);
            trigrams++;
        }
        w = *end ? end + 1 : end;
    }
    s->distinct = trigrams ? (double)seen.n / (double)trigrams : NAN;
    ok = ok && !words.failed;
    rs_map_free(&seen);
    rs_buf_free(&words);
    return ok ? RS_OK : rs_fail(err, RS_E_NOMEM, "no memory to count words");
}

/* ---- showing ---- */

static int terminal_width(void)
{
    struct winsize size;
    if (!isatty(1) || ioctl(1, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return DEFAULT_WIDTH;
    return size.ws_col < LEAST_WIDTH ? LEAST_WIDTH : size.ws_col;
}

static void add_blanks(rs_buf *out, int n)
{
    while (n-- > 0)
        rs_buf_putc(out, ' ');
}

static void add_wrapped(rs_buf *out, const char *text, const ui_wrap *w, int i, int width)
{
    const ui_line *line = i < w->n ? &w->at[i] : NULL;
    if (line) rs_buf_add(out, text + line->from, line->to - line->from);
    add_blanks(out, width - (line ? line->width : 0));
}

static void add_rule(rs_buf *out, int column)
{
    for (int i = 0; i < 2 * column + 3; i++)
        rs_buf_putc(out, i == column + 1 ? '+' : '-');
    rs_buf_putc(out, '\n');
}

/* The text as it can stand in a column: a tab has no width of its own. */
static void plain_text(const side *s, rs_buf *out)
{
    size_t n;
    const char *text = rs_generator_text(s->generator, &n);
    ui_text_show(out, text, n, true);
    for (size_t i = 0; i < out->len; i++)
        if (out->data[i] == '\t') out->data[i] = ' ';
}

static rs_status add_columns(rs_buf *out, const side *a, const side *b, rs_err *err)
{
    int column = (terminal_width() - 3) / 2;
    ui_wrap left = {0}, right = {0}, name_a = {0}, name_b = {0};
    rs_buf text_a = {0}, text_b = {0};
    plain_text(a, &text_a);
    plain_text(b, &text_b);
    const char *x = rs_buf_str(&text_a), *y = rs_buf_str(&text_b);
    bool ok = ui_wrap_text(&left, x, text_a.len, column) &&
              ui_wrap_text(&right, y, text_b.len, column) &&
              ui_wrap_text(&name_a, a->name, strlen(a->name), column) &&
              ui_wrap_text(&name_b, b->name, strlen(b->name), column);
    for (int i = 0; ok && i < (name_a.n > name_b.n ? name_a.n : name_b.n); i++) {
        add_wrapped(out, a->name, &name_a, i, column);
        rs_buf_puts(out, " | ");
        add_wrapped(out, b->name, &name_b, i, 0);
        rs_buf_putc(out, '\n');
    }
    add_rule(out, column);
    for (int i = 0; ok && i < (left.n > right.n ? left.n : right.n); i++) {
        add_wrapped(out, x, &left, i, column);
        rs_buf_puts(out, i < right.n && right.at[i].to > right.at[i].from ? " | " : " |");
        add_wrapped(out, y, &right, i, 0);
        rs_buf_putc(out, '\n');
    }
    add_rule(out, column);
    ui_wrap_free(&left);
    ui_wrap_free(&right);
    ui_wrap_free(&name_a);
    ui_wrap_free(&name_b);
    rs_buf_free(&text_a);
    rs_buf_free(&text_b);
    return ok ? RS_OK : rs_fail(err, RS_E_NOMEM, "no memory for the columns");
}

static void add_row(rs_buf *out, const char *what, int decimals, double a, double b)
{
    rs_buf_printf(out, "%-34s", what);
    double v[] = {a, b};
    for (int i = 0; i < 2; i++) {
        char cell[32] = "-";
        if (isfinite(v[i])) snprintf(cell, sizeof cell, "%.*f", decimals, v[i]);
        rs_buf_printf(out, "%12s", cell);
    }
    rs_buf_putc(out, '\n');
}

typedef struct divergence {
    int64_t token, byte; /* -1: none */
} divergence;

/* Where the two begin to differ; -1 where one is the other. */
static divergence find_divergence(const side *a, const side *b, bool same_ids)
{
    divergence d = {-1, -1};
    int64_t prompt_a, all_a, prompt_b, all_b;
    const int32_t *x = rs_generator_ids(a->generator, &prompt_a, &all_a);
    const int32_t *y = rs_generator_ids(b->generator, &prompt_b, &all_b);
    int64_t n_a = all_a - prompt_a, n_b = all_b - prompt_b, i = 0;
    while (i < n_a && i < n_b && x[prompt_a + i] == y[prompt_b + i])
        i++;
    if (same_ids && (i < n_a || i < n_b)) d.token = i;
    size_t s_a, s_b, k = 0;
    const char *t = rs_generator_text(a->generator, &s_a);
    const char *u = rs_generator_text(b->generator, &s_b);
    while (k < s_a && k < s_b && t[k] == u[k])
        k++;
    if (k < s_a || k < s_b) d.byte = (int64_t)k;
    return d;
}

static void add_table(rs_buf *out, const side *a, const side *b, divergence d,
                      uint64_t seed)
{
    rs_buf_printf(out, "%-34s%12s%12s\n", "", "a", "b");
    add_row(out, "words", 0, (double)a->words, (double)b->words);
    add_row(out, "tokens", 0, (double)a->tokens, (double)b->tokens);
    add_row(out, "distinct trigrams", 4, a->distinct, b->distinct);
    add_row(out, "mean log-probability, own model", 4, a->mean_own, b->mean_own);
    add_row(out, "mean log-probability, the other", 4, a->mean_other, b->mean_other);
    add_row(out, "surprise of the other, nat/token", 4, a->mean_own - a->mean_other,
            b->mean_own - b->mean_other);
    rs_buf_printf(out, "%-34s%12s%12s\n", "stopped by",
                  rs_stop_name(rs_generator_stopped(a->generator)),
                  rs_stop_name(rs_generator_stopped(b->generator)));
    if (d.token >= 0)
        rs_buf_printf(out, "the first different token is number %" PRId64 "\n",
                      d.token + 1);
    else if (d.byte >= 0)
        rs_buf_printf(out, "the texts differ from byte %" PRId64 " on\n", d.byte);
    else
        rs_buf_puts(out, "the texts are equal\n");
    rs_buf_printf(out, "seed %" PRIu64 "\n", seed);
}

static void add_number(rs_buf *out, const char *key, double v)
{
    rs_buf_printf(out, ",\"%s\":", key);
    rs_buf_json_double(out, v);
}

static void add_side_json(rs_buf *out, const char *key, const side *s, uint64_t seed)
{
    rs_buf_printf(out, "\"%s\":", key);
    ui_text_result_json(out, s->generator, s->rate, seed);
    rs_buf_puts(out, ",\"model\":");
    rs_buf_json(out, s->name, strlen(s->name));
    rs_buf_printf(out, ",\"words\":%" PRId64 ",\"tokens\":%" PRId64, s->words, s->tokens);
    add_number(out, "distinct_trigrams", s->distinct);
    add_number(out, "mean_logprob", s->mean_own);
    add_number(out, "mean_logprob_other", s->mean_other);
    rs_buf_putc(out, '}');
}

static void add_json(rs_buf *out, const side *a, const side *b, divergence d,
                     uint64_t seed)
{
    rs_buf_putc(out, '{');
    add_side_json(out, "a", a, seed);
    rs_buf_putc(out, ',');
    add_side_json(out, "b", b, seed);
    rs_buf_puts(out, ",\"first_divergence\":{\"token\":");
    rs_buf_printf(out, d.token < 0 ? "null" : "%" PRId64, d.token);
    rs_buf_puts(out, ",\"byte\":");
    rs_buf_printf(out, d.byte < 0 ? "null" : "%" PRId64, d.byte);
    rs_buf_puts(out, "}}\n");
}

/* ---- the verb ---- */

static rs_status open_side(ui_common *c, const compare_opts *o, side *s, rs_err *err)
{
    int parts = UI_MODEL_WEIGHTS | UI_MODEL_TOKENIZER;
    s->mean_own = s->mean_other = NAN;
    RS_TRY(ui_model_open(c, s->name, parts, o->text.chat_template, &s->model, err));
    return ui_text_params_make(&o->text, c, &s->model, &s->params, err);
}

static rs_status compare(ui_common *c, const compare_opts *o, side *a, side *b,
                         rs_err *err)
{
    ui_progress p;
    RS_TRY(open_side(c, o, a, err));
    RS_TRY(open_side(c, o, b, err));
    uint64_t seed = a->params.p.sampler.seed;
    b->params.p.sampler.seed = seed; /* also where none was given */
    ui_progress_begin(&p, c, "compare");
    RS_TRY(write_text(c, o, a, err));
    RS_TRY(write_text(c, o, b, err));
    bool same = same_vocabulary(a, b);
    if (same) RS_TRY(score_other(c, a, b, err));
    if (same) RS_TRY(score_other(c, b, a, err));
    RS_TRY(count_words(a, err));
    RS_TRY(count_words(b, err));
    rs_buf out = {0};
    rs_status s = RS_OK;
    divergence d = find_divergence(a, b, same);
    if (c->json)
        add_json(&out, a, b, d, seed);
    else if ((s = add_columns(&out, a, b, err)) == RS_OK)
        add_table(&out, a, b, d, seed);
    if (s == RS_OK && out.failed)
        s = rs_fail(err, RS_E_NOMEM, "no memory for the result");
    if (s == RS_OK) ui_print(&out);
    rs_buf_free(&out);
    return s;
}

static void close_side(side *s)
{
    rs_generator_free(s->generator);
    rs_line_free(&s->line);
    ui_text_params_free(&s->params);
    ui_model_close(&s->model);
}

static int run(ui_common *c, void *opts, int n_args, char **args)
{
    const compare_opts *o = opts;
    rs_err err;
    (void)n_args;
    (void)args;
    if (!o->a || !o->b || !o->prompt)
        return ui_usage("compare", "%s is missing",
                        !o->a   ? "--a"
                        : !o->b ? "--b"
                                : "--prompt");
    side a = {.name = o->a}, b = {.name = o->b};
    rs_status s = compare(c, o, &a, &b, &err);
    close_side(&a);
    close_side(&b);
    return s == RS_OK ? UI_EXIT_OK : ui_fail("compare", &err);
}

const ui_verb ui_verb_compare = {
    .name = "compare",
    .usage = "--a M --b M --prompt T [--raw] [--max-tokens N] [sampler flags]",
    .summary = "two models on one prompt and seed, side by side",
    .details = "Prints both texts in columns as wide as the terminal (100 without one), "
               "then a table.\n"
               "Distinct trigrams: the share of word trigrams that are no repetition. "
               "Surprise: how "
               "much less\nlikely, in nat per token, a text is to the other model than "
               "to the one that "
               "wrote it.",
    .opts = rows,
    .opts_size = sizeof(compare_opts),
    .run = run,
    .defaults = defaults,
};
