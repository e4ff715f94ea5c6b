#include "tui/verbs/score.h"

#include "base/os.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE = 64, MAX_TEXT_BYTES = 256 << 20 };

static rs_status run_piece(const rs_runtime *rt, const ui_model *m, rs_kv *kv,
                           const int32_t *ids, int64_t n, float *logits, rs_err *err)
{
    rs_forward_options o = {.want = RS_WANT_ALL};
    return rs_forward(rt, m->model, kv, ids, n, &o, logits, err);
}

typedef struct side {
    const ui_model *model;
    rs_kv *kv;
    float *logits; /* [PIECE, vocab] */
} side;

static rs_status open_side(const ui_model *m, side *s, rs_err *err)
{
    *s = (side){.model = m};
    if (!m) return RS_OK;
    s->logits = malloc((size_t)PIECE * (size_t)m->config->vocab * sizeof(float));
    if (!s->logits) return rs_fail(err, RS_E_NOMEM, "no memory for logits");
    return rs_kv_new(m->config, NULL, &s->kv, err);
}

static void close_side(side *s)
{
    rs_kv_free(s->kv);
    free(s->logits);
}

static rs_status run_all(const rs_runtime *rt, side *a, side *b, const int32_t *ids,
                         int64_t n, ui_score_fn fn, void *ctx, rs_err *err)
{
    for (int64_t at = 0; at < n; at += PIECE) {
        int64_t k = n - at < PIECE ? n - at : PIECE;
        RS_TRY(run_piece(rt, a->model, a->kv, ids + at, k, a->logits, err));
        if (b->model) RS_TRY(run_piece(rt, b->model, b->kv, ids + at, k, b->logits, err));
        for (int64_t i = 0; i < k && at + i + 1 < n; i++)
            fn(ctx, at + i + 1, a->logits + i * a->model->config->vocab,
               b->model ? b->logits + i * b->model->config->vocab : NULL);
    }
    return RS_OK;
}

rs_status ui_score(const rs_runtime *rt, const ui_model *a, const ui_model *b,
                   const int32_t *ids, int64_t n, ui_score_fn fn, void *ctx, rs_err *err)
{
    side sa, sb = {0};
    rs_status s = open_side(a, &sa, err);
    if (s == RS_OK) s = open_side(b, &sb, err);
    if (s == RS_OK) s = run_all(rt, &sa, &sb, ids, n, fn, ctx, err);
    close_side(&sa);
    close_side(&sb);
    return s;
}

/* --- sequences --- */

static rs_status read_text(const char *path, ui_sequences *s, rs_err *err)
{
    rs_buf text = {0};
    rs_status st = ui_read_text(path, MAX_TEXT_BYTES, &text, err);
    rs_line_options o = s->options;
    o.no_special = true;
    if (st == RS_OK)
        st = rs_line_from_text(rs_buf_str(&text), text.len, &o, &s->text, err);
    rs_buf_free(&text);
    return st;
}

rs_status ui_sequences_open(const ui_model *m, const char *file, const char *jsonl,
                            bool raw, int64_t window, ui_sequences *s, rs_err *err)
{
    *s = (ui_sequences){.model = m, .window = window};
    s->options =
        (rs_line_options){.tokenizer = m->tokenizer, .chat = m->chat, .raw = raw};
    if (window > m->config->max_positions)
        return rs_fail(err, RS_E_INVALID,
                       "a window of %lld tokens: the model takes 2 to %d",
                       (long long)window, m->config->max_positions);
    return jsonl ? rs_lines_open(jsonl, &s->lines, err) : read_text(file, s, err);
}

static rs_status add(ui_sequences *s, int32_t id, char counts, rs_err *err)
{
    if (!rs_ids_add(&s->ids, id)) return rs_fail(err, RS_E_NOMEM, "no memory for tokens");
    rs_buf_putc(&s->mask, counts);
    return RS_OK;
}

static rs_status next_window(ui_sequences *s, bool *done, rs_err *err)
{
    int32_t bos = rs_tokenizer_bos(s->model->tokenizer);
    *done = s->at >= s->text.ids.n;
    if (!*done && bos >= 0) RS_TRY(add(s, bos, 0, err));
    while (s->at < s->text.ids.n && s->ids.n < s->window)
        RS_TRY(add(s, s->text.ids.at[s->at++], s->ids.n > 0, err));
    return RS_OK;
}

static rs_status next_line(ui_sequences *s, bool *done, rs_err *err)
{
    RS_TRY(rs_lines_parse(s->lines, &s->options, &s->line, done, err));
    if (*done) return RS_OK;
    if (s->line.ids.n > s->model->config->max_positions)
        return rs_fail(err, RS_E_INVALID, "%s has %lld tokens, the model takes %d",
                       rs_lines_where(s->lines), (long long)s->line.ids.n,
                       s->model->config->max_positions);
    for (int64_t i = 0; i < s->line.ids.n; i++)
        RS_TRY(add(s, s->line.ids.at[i], rs_buf_str(&s->line.mask)[i], err));
    return RS_OK;
}

rs_status ui_sequences_next(ui_sequences *s, bool *done, rs_err *err)
{
    s->ids.n = 0;
    rs_buf_reset(&s->mask);
    return s->lines ? next_line(s, done, err) : next_window(s, done, err);
}

void ui_sequences_close(ui_sequences *s)
{
    rs_lines_close(s->lines);
    rs_line_free(&s->text);
    rs_line_free(&s->line);
    rs_ids_free(&s->ids);
    rs_buf_free(&s->mask);
}
