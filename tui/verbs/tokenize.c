#include "base/os.h"
#include "model/jsonl.h"
#include "tui/verbs/text_opts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_TEXT_BYTES = 1024 * 1024 * 1024 };

/* ---- tokenize ---- */

typedef struct tokenize_opts {
    const char *model, *text, *file, *jsonl, *chat_template;
    bool no_special, chat;
} tokenize_opts;

static const ui_opt tokenize_rows[] = {
    {"--model", UI_OPT_STRING, "M", "model, or a folder with its tokenizer",
     offsetof(tokenize_opts, model)},
    {"--text", UI_OPT_STRING, "TEXT", "the text", offsetof(tokenize_opts, text)},
    {"--file", UI_OPT_STRING, "FILE", "a file with the text; - reads standard input",
     offsetof(tokenize_opts, file)},
    {"--jsonl", UI_OPT_STRING, "FILE", "lines of JSON; gives a line for each",
     offsetof(tokenize_opts, jsonl)},
    {"--no-special", UI_OPT_FLAG, NULL, "no special tokens in front of text",
     offsetof(tokenize_opts, no_special)},
    {"--chat", UI_OPT_FLAG, NULL, "through the chat format, and show the rendered text",
     offsetof(tokenize_opts, chat)},
    {"--chat-template", UI_OPT_STRING, "NAME", "chat format, e.g. gemma3, llama3, chatml",
     offsetof(tokenize_opts, chat_template)},
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};

static void add_json(const rs_line *l, bool with_text, rs_buf *out)
{
    rs_buf_puts(out, "{\"ids\":[");
    for (int64_t i = 0; i < l->ids.n; i++)
        rs_buf_printf(out, i ? ",%" PRId32 : "%" PRId32, l->ids.at[i]);
    rs_buf_putc(out, ']');
    if (with_text) {
        rs_buf_puts(out, ",\"text\":");
        rs_buf_json(out, rs_buf_str(&l->text), l->text.len);
    }
    rs_buf_puts(out, "}\n");
}

/* For people: every id with its piece, quoted so that blanks are seen. */
static void add_table(const rs_tokenizer *t, const rs_line *l, rs_buf *out)
{
    for (int64_t i = 0; i < l->ids.n; i++) {
        const char *piece = rs_tokenizer_piece(t, l->ids.at[i]);
        rs_buf_printf(out, "%8" PRId32 "  ", l->ids.at[i]);
        rs_buf_json(out, piece, strlen(piece));
        rs_buf_putc(out, '\n');
    }
    rs_buf_printf(out, "%" PRId64 " tokens\n", l->ids.n);
}

static rs_status one_text(const tokenize_opts *o, const rs_line_options *lo, bool json,
                          rs_buf *out, rs_err *err)
{
    rs_buf file = {0};
    rs_line l = {0};
    rs_status s = RS_OK;
    if (o->file) s = ui_read_text(o->file, MAX_TEXT_BYTES, &file, err);
    const char *text = o->file ? rs_buf_str(&file) : o->text;
    size_t n = o->file ? file.len : strlen(o->text);
    if (s == RS_OK)
        s = o->chat ? rs_line_from_prompt(text, n, lo, &l, err)
                    : rs_line_from_text(text, n, lo, &l, err);
    if (s == RS_OK && json)
        add_json(&l, o->chat, out);
    else if (s == RS_OK)
        add_table(lo->tokenizer, &l, out);
    rs_line_free(&l);
    rs_buf_free(&file);
    return s;
}

static rs_status tokenize_lines(const tokenize_opts *o, const rs_line_options *lo,
                                rs_buf *out, rs_err *err)
{
    rs_lines *lines;
    rs_line l = {0};
    bool done = false;
    RS_TRY(rs_lines_open(o->jsonl, &lines, err));
    rs_status s = RS_OK;
    while (s == RS_OK && !done) {
        s = rs_lines_parse(lines, lo, &l, &done, err);
        if (s == RS_OK && !done) add_json(&l, o->chat, out);
    }
    rs_line_free(&l);
    rs_lines_close(lines);
    return s;
}

static int run_tokenize(ui_common *c, void *opts, int n_args, char **args)
{
    const tokenize_opts *o = opts;
    rs_err err;
    (void)n_args;
    (void)args;
    if (!o->model) return ui_usage("tokenize", "--model is missing");
    int given = (o->text != NULL) + (o->file != NULL) + (o->jsonl != NULL);
    if (given != 1)
        return ui_usage("tokenize", "one of --text, --file and --jsonl is needed, not %s",
                        given == 0 ? "none" : given == 2 ? "two" : "three");
    ui_model m;
    int parts = UI_MODEL_TOKENIZER | (o->chat ? UI_MODEL_CHAT : 0);
    if (ui_model_open(c, o->model, parts, o->chat_template, &m, &err) != RS_OK)
        return ui_fail("tokenize", &err);
    rs_line_options lo = {
        .tokenizer = m.tokenizer, .chat = m.chat, .no_special = o->no_special};
    rs_buf out = {0};
    rs_status s = o->jsonl ? tokenize_lines(o, &lo, &out, &err)
                           : one_text(o, &lo, c->json, &out, &err);
    if (s == RS_OK && out.failed)
        s = rs_fail(&err, RS_E_NOMEM, "no memory for the result");
    if (s == RS_OK) ui_print(&out);
    rs_buf_free(&out);
    ui_model_close(&m);
    return s == RS_OK ? UI_EXIT_OK : ui_fail("tokenize", &err);
}

const ui_verb ui_verb_tokenize = {
    .name = "tokenize",
    .usage = "--model M (--text T|--file F|--jsonl F) [--no-special] [--chat]",
    .summary = "text to token ids",
    .details =
        "Prints ids and pieces; with --json {\"ids\":[..]}. With --jsonl one line "
        "{\"ids\":[..]} for each\nline of the file; --chat adds the rendered \"text\".",
    .opts = tokenize_rows,
    .opts_size = sizeof(tokenize_opts),
    .run = run_tokenize,
};

/* ---- detokenize ---- */

typedef struct detokenize_opts {
    const char *model, *ids, *jsonl;
    bool skip_special;
} detokenize_opts;

static const ui_opt detokenize_rows[] = {
    {"--model", UI_OPT_STRING, "M", "model, or a folder with its tokenizer",
     offsetof(detokenize_opts, model)},
    {"--ids", UI_OPT_STRING, "2,9,4", "the ids", offsetof(detokenize_opts, ids)},
    {"--jsonl", UI_OPT_STRING, "FILE", "lines {\"ids\":[..]}; gives a line for each",
     offsetof(detokenize_opts, jsonl)},
    {"--skip-special", UI_OPT_FLAG, NULL, "leave out control tokens",
     offsetof(detokenize_opts, skip_special)},
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};

static rs_status add_text(const detokenize_opts *o, const rs_tokenizer *t,
                          const rs_line *l, bool json, rs_buf *out, rs_err *err)
{
    rs_buf text = {0};
    rs_status s = rs_detokenize(t, l->ids.at, l->ids.n, o->skip_special, &text, err);
    if (s == RS_OK && json) {
        rs_buf_puts(out, "{\"text\":");
        rs_buf_json(out, rs_buf_str(&text), text.len);
        rs_buf_puts(out, "}\n");
    } else if (s == RS_OK) {
        ui_text_show(out, rs_buf_str(&text), text.len, isatty(1) != 0);
        rs_buf_putc(out, '\n');
    }
    rs_buf_free(&text);
    return s;
}

/* "2,9,4" becomes the line {"ids":[2,9,4]}, so the ids are checked as those of a file. */
static rs_status detokenize_ids(const detokenize_opts *o, const rs_tokenizer *t,
                                bool json, rs_buf *out, rs_err *err)
{
    rs_line_options lo = {.tokenizer = t};
    rs_line l = {0};
    rs_buf line = {0};
    rs_buf_printf(&line, "{\"ids\":[%s]}", o->ids);
    rs_status s = rs_line_parse(rs_buf_str(&line), line.len, "--ids", &lo, &l, err);
    if (s == RS_OK) s = add_text(o, t, &l, json, out, err);
    rs_buf_free(&line);
    rs_line_free(&l);
    return s;
}

static rs_status detokenize_lines(const detokenize_opts *o, const rs_tokenizer *t,
                                  rs_buf *out, rs_err *err)
{
    rs_line_options lo = {.tokenizer = t};
    rs_lines *lines;
    rs_line l = {0};
    bool done = false;
    RS_TRY(rs_lines_open(o->jsonl, &lines, err));
    rs_status s = RS_OK;
    while (s == RS_OK && !done) {
        s = rs_lines_parse(lines, &lo, &l, &done, err);
        if (s == RS_OK && !done && l.form != RS_LINE_IDS)
            s = rs_fail(err, RS_E_INVALID, "%s: there are no \"ids\"",
                        rs_lines_where(lines));
        if (s == RS_OK && !done) s = add_text(o, t, &l, true, out, err);
    }
    rs_line_free(&l);
    rs_lines_close(lines);
    return s;
}

static int run_detokenize(ui_common *c, void *opts, int n_args, char **args)
{
    const detokenize_opts *o = opts;
    rs_err err;
    (void)n_args;
    (void)args;
    if (!o->model) return ui_usage("detokenize", "--model is missing");
    if ((o->ids != NULL) == (o->jsonl != NULL))
        return ui_usage("detokenize", "one of --ids and --jsonl is needed%s",
                        o->ids ? ", not both" : "");
    rs_ids ids = {0};
    bool listed = !o->ids || ui_parse_ids(o->ids, &ids);
    rs_ids_free(&ids);
    if (!listed)
        return ui_usage("detokenize", "--ids %s is not a list of ids like 2,9,4", o->ids);
    ui_model m;
    if (ui_model_open(c, o->model, UI_MODEL_TOKENIZER, NULL, &m, &err) != RS_OK)
        return ui_fail("detokenize", &err);
    rs_buf out = {0};
    rs_status s = o->jsonl ? detokenize_lines(o, m.tokenizer, &out, &err)
                           : detokenize_ids(o, m.tokenizer, c->json, &out, &err);
    if (s == RS_OK && out.failed)
        s = rs_fail(&err, RS_E_NOMEM, "no memory for the result");
    if (s == RS_OK) ui_print(&out);
    rs_buf_free(&out);
    ui_model_close(&m);
    return s == RS_OK ? UI_EXIT_OK : ui_fail("detokenize", &err);
}

const ui_verb ui_verb_detokenize = {
    .name = "detokenize",
    .usage = "--model M (--ids 2,9,4|--jsonl F) [--skip-special]",
    .summary = "token ids to text",
    .details = "Prints the text; with --json {\"text\":\"..\"}. With --jsonl one line "
               "{\"text\":\"..\"} for each\nline {\"ids\":[..]} of the file.",
    .opts = detokenize_rows,
    .opts_size = sizeof(detokenize_opts),
    .run = run_detokenize,
};
