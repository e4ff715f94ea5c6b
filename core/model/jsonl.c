#include "model/jsonl.h"

#include "base/json_pull.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void rs_line_free(rs_line *l)
{
    rs_ids_free(&l->ids);
    rs_buf_free(&l->mask);
    rs_buf_free(&l->text);
    rs_buf_free(&l->prompt);
    rs_buf_free(&l->label);
    *l = (rs_line){0};
}

/* ---- what a line says, before it is tokenized ---- */

typedef struct message {
    rs_buf role, content;
} message;

typedef struct draft {
    rs_buf text, prompt, system, response;
    bool has_text, has_prompt, has_messages, has_ids, has_mask;
    bool says_generation, generation; /* add_generation_prompt */
    message *messages;
    int n_messages, cap_messages;
} draft;

static void free_draft(draft *d)
{
    rs_buf_free(&d->text);
    rs_buf_free(&d->prompt);
    rs_buf_free(&d->system);
    rs_buf_free(&d->response);
    for (int i = 0; i < d->n_messages; i++) {
        rs_buf_free(&d->messages[i].role);
        rs_buf_free(&d->messages[i].content);
    }
    free(d->messages);
}

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory for a line");
}

static message *new_message(draft *d)
{
    if (d->n_messages == d->cap_messages) {
        int cap = d->cap_messages ? d->cap_messages * 2 : 8;
        message *bigger = realloc(d->messages, (size_t)cap * sizeof *bigger);
        if (!bigger) return NULL;
        d->messages = bigger;
        d->cap_messages = cap;
    }
    d->messages[d->n_messages] = (message){{0}, {0}};
    return &d->messages[d->n_messages++];
}

/* A string value (null: left empty). zeros: may it contain zero bytes? */
static rs_status read_string(rs_pull *p, const char *key, bool zeros, rs_buf *out,
                             bool *has, rs_err *err)
{
    rs_pull_event e;
    RS_TRY(rs_pull_next(p, &e, err));
    if (e.kind == RS_PULL_NULL) return RS_OK;
    if (e.kind != RS_PULL_STRING)
        return rs_pull_fail(p, err, "\"%s\" is not a string", key);
    if (!zeros && memchr(e.text, 0, e.n))
        return rs_pull_fail(p, err, "\"%s\" contains a zero byte", key);
    rs_buf_reset(out);
    rs_buf_add(out, e.text, e.n);
    if (has) *has = true;
    return out->failed ? no_memory(err) : RS_OK;
}

static rs_status read_message(rs_pull *p, draft *d, rs_err *err)
{
    bool has_role = false, has_content = false;
    message *m = new_message(d);
    if (!m) return no_memory(err);
    for (;;) {
        rs_pull_event e;
        RS_TRY(rs_pull_next(p, &e, err));
        if (e.kind == RS_PULL_OBJECT_END) break;
        if (rs_pull_is(&e, "role")) {
            RS_TRY(read_string(p, "role", false, &m->role, &has_role, err));
        } else if (rs_pull_is(&e, "content")) {
            RS_TRY(read_string(p, "content", false, &m->content, &has_content, err));
        } else {
            RS_TRY(rs_pull_next(p, &e, err));
            RS_TRY(rs_pull_skip(p, &e, err));
        }
    }
    if (!has_role || !has_content)
        return rs_pull_fail(p, err, "message %d has no \"role\" or no \"content\"",
                            d->n_messages);
    return RS_OK;
}

static rs_status read_messages(rs_pull *p, draft *d, rs_err *err)
{
    rs_pull_event e;
    RS_TRY(rs_pull_need(p, RS_PULL_ARRAY, &e, err));
    d->has_messages = true;
    for (;;) {
        RS_TRY(rs_pull_next(p, &e, err));
        if (e.kind == RS_PULL_ARRAY_END) return RS_OK;
        if (e.kind != RS_PULL_OBJECT)
            return rs_pull_fail(p, err, "\"messages\" is not a list of objects");
        RS_TRY(read_message(p, d, err));
    }
}

static rs_status read_ids(rs_pull *p, const rs_line_options *o, rs_line *l, rs_err *err)
{
    int32_t size = o->tokenizer ? rs_tokenizer_size(o->tokenizer) : INT32_MAX;
    rs_pull_event e;
    RS_TRY(rs_pull_need(p, RS_PULL_ARRAY, &e, err));
    for (;;) {
        int64_t id;
        RS_TRY(rs_pull_next(p, &e, err));
        if (e.kind == RS_PULL_ARRAY_END) return RS_OK;
        RS_TRY(rs_pull_int(p, &e, 0, size - 1, "an id", &id, err));
        if (!rs_ids_add(&l->ids, (int32_t)id)) return no_memory(err);
    }
}

static rs_status read_mask(rs_pull *p, rs_line *l, rs_err *err)
{
    rs_pull_event e;
    RS_TRY(rs_pull_need(p, RS_PULL_ARRAY, &e, err));
    for (;;) {
        int64_t v;
        RS_TRY(rs_pull_next(p, &e, err));
        if (e.kind == RS_PULL_ARRAY_END) return RS_OK;
        if (e.kind == RS_PULL_TRUE || e.kind == RS_PULL_FALSE)
            v = e.kind == RS_PULL_TRUE;
        else
            RS_TRY(rs_pull_int(p, &e, 0, 1, "an entry of \"mask\"", &v, err));
        rs_buf_putc(&l->mask, (char)v);
    }
}

static rs_status read_generation(rs_pull *p, draft *d, rs_err *err)
{
    rs_pull_event e;
    RS_TRY(rs_pull_next(p, &e, err));
    if (e.kind == RS_PULL_NULL) return RS_OK;
    if (e.kind != RS_PULL_TRUE && e.kind != RS_PULL_FALSE)
        return rs_pull_fail(p, err, "\"add_generation_prompt\" is not true or false");
    d->says_generation = true;
    d->generation = e.kind == RS_PULL_TRUE;
    return RS_OK;
}

static rs_status read_member(rs_pull *p, const rs_pull_event *key,
                             const rs_line_options *o, draft *d, rs_line *l, rs_err *err)
{
    rs_pull_event v;
    bool zeros = o->raw;
    if (rs_pull_is(key, "text"))
        return read_string(p, "text", true, &d->text, &d->has_text, err);
    if (rs_pull_is(key, "prompt") || rs_pull_is(key, "user"))
        return read_string(p, "prompt", zeros, &d->prompt, &d->has_prompt, err);
    if (rs_pull_is(key, "system"))
        return read_string(p, "system", false, &d->system, NULL, err);
    if (rs_pull_is(key, "response"))
        return read_string(p, "response", zeros, &d->response, NULL, err);
    if (rs_pull_is(key, "messages")) return read_messages(p, d, err);
    if (rs_pull_is(key, "ids")) return d->has_ids = true, read_ids(p, o, l, err);
    if (rs_pull_is(key, "mask")) return d->has_mask = true, read_mask(p, l, err);
    if (rs_pull_is(key, "add_generation_prompt")) return read_generation(p, d, err);
    bool label = rs_pull_is(key, "id") || rs_pull_is(key, "key");
    RS_TRY(rs_pull_next(p, &v, err));
    if (!label) return rs_pull_skip(p, &v, err);
    rs_buf_reset(&l->label);
    return rs_pull_copy(p, &v, 4096, &l->label, err);
}

static rs_status read_members(rs_pull *p, const rs_line_options *o, draft *d, rs_line *l,
                              rs_err *err)
{
    rs_pull_event e;
    RS_TRY(rs_pull_need(p, RS_PULL_OBJECT, &e, err));
    for (;;) {
        RS_TRY(rs_pull_next(p, &e, err));
        if (e.kind == RS_PULL_OBJECT_END) return rs_pull_need(p, RS_PULL_END, &e, err);
        RS_TRY(read_member(p, &e, o, d, l, err));
    }
}

/* ---- from there to ids ---- */

/* Tokenizes text[0 .. n), which goes on where the ids end, and gives every id the mask v. */
static rs_status add_tokens(const rs_line_options *o, const char *text, size_t n,
                            bool special, char v, rs_line *l, rs_err *err)
{
    if (!o->tokenizer)
        return rs_fail(err, RS_E_INVALID,
                       "there is no tokenizer: only \"ids\" can be given");
    RS_TRY(l->ids.n > 0 ? rs_tokenize_on(o->tokenizer, text, n, &l->ids, err)
                        : rs_tokenize(o->tokenizer, text, n, special, &l->ids, err));
    while ((int64_t)l->mask.len < l->ids.n && !l->mask.failed)
        rs_buf_putc(&l->mask, v);
    return RS_OK;
}

static rs_status from_text(const rs_line_options *o, const char *text, size_t n,
                           rs_line *l, rs_err *err)
{
    l->form = RS_LINE_TEXT;
    rs_buf_add(&l->text, text, n);
    return add_tokens(o, text, n, !o->no_special, 1, l, err);
}

static rs_status from_raw(const rs_line_options *o, const draft *d, rs_line *l,
                          rs_err *err)
{
    char prompt_counts = d->response.len == 0;
    rs_buf_add(&l->text, rs_buf_str(&d->prompt), d->prompt.len);
    rs_buf_add(&l->text, rs_buf_str(&d->response), d->response.len);
    RS_TRY(add_tokens(o, rs_buf_str(&d->prompt), d->prompt.len, !o->no_special,
                      prompt_counts, l, err));
    return add_tokens(o, rs_buf_str(&d->response), d->response.len, false, 1, l, err);
}

/* Answers begin behind a newline and end with a control token, so the text may be tokenized
 * piece by piece between their borders. */
static rs_status add_marked(const rs_line_options *o, const rs_buf *marks, rs_line *l,
                            rs_err *err)
{
    const char *text = rs_buf_str(&l->text), *m = rs_buf_str(marks);
    for (size_t from = 0, to; from < l->text.len; from = to) {
        for (to = from + 1; to < l->text.len && m[to] == m[from];)
            to++;
        RS_TRY(add_tokens(o, text + from, to - from, false, m[from], l, err));
    }
    return RS_OK;
}

static rs_status from_messages(const rs_line_options *o, const draft *d,
                               const rs_message *m, int n, rs_line *l, rs_err *err)
{
    if (!o->chat)
        return rs_fail(
            err, RS_E_INVALID,
            "a conversation needs a chat format and the model has none that is "
            "known; name one (%s) or use raw text (--raw)",
            rs_chat_names());
    bool answered = n > 0 && (strcmp(m[n - 1].role, "assistant") == 0 ||
                              strcmp(m[n - 1].role, "model") == 0);
    rs_buf marks = {0};
    rs_status s = rs_chat_render_marked(o->chat, m, n,
                                        d->says_generation ? d->generation : !answered,
                                        &l->text, &marks, err);
    if (s == RS_OK) s = add_marked(o, &marks, l, err);
    rs_buf_free(&marks);
    return s;
}

static rs_status from_prompt(const rs_line_options *o, const draft *d, rs_line *l,
                             rs_err *err)
{
    rs_message m[3];
    int n = 0;
    const char *system = d->system.len ? rs_buf_str(&d->system) : o->system;
    if (o->instead) system = o->instead;
    l->form = RS_LINE_PROMPT;
    rs_buf_add(&l->prompt, rs_buf_str(&d->prompt), d->prompt.len);
    if (o->raw) return from_raw(o, d, l, err);
    if (system && *system) m[n++] = (rs_message){"system", system};
    m[n++] = (rs_message){"user", rs_buf_str(&d->prompt)};
    if (d->response.len) m[n++] = (rs_message){"assistant", rs_buf_str(&d->response)};
    return from_messages(o, d, m, n, l, err);
}

static rs_status from_list(const rs_line_options *o, const draft *d, rs_line *l,
                           rs_err *err)
{
    rs_message *m = malloc(((size_t)d->n_messages + 2) * sizeof *m);
    if (!m) return no_memory(err);
    int n = 0;
    l->form = RS_LINE_MESSAGES;
    if (o->instead && *o->instead) m[n++] = (rs_message){"system", o->instead};
    for (int i = 0; i < d->n_messages; i++) {
        const char *role = rs_buf_str(&d->messages[i].role);
        if (o->instead && strcmp(role, "system") == 0) continue;
        m[n] = (rs_message){role, rs_buf_str(&d->messages[i].content)};
        if (strcmp(m[n++].role, "user") != 0) continue;
        rs_buf_reset(&l->prompt);
        rs_buf_puts(&l->prompt, m[n - 1].content);
    }
    rs_status s = from_messages(o, d, m, n, l, err);
    free(m);
    return s;
}

static rs_status from_ids(const draft *d, rs_line *l, rs_err *err)
{
    l->form = RS_LINE_IDS;
    if (!d->has_mask)
        while ((int64_t)l->mask.len < l->ids.n && !l->mask.failed)
            rs_buf_putc(&l->mask, 1);
    if ((int64_t)l->mask.len != l->ids.n)
        return rs_fail(err, RS_E_INVALID,
                       "there are %" PRId64 " ids and %zu entries of \"mask\"", l->ids.n,
                       l->mask.len);
    return RS_OK;
}

static rs_status from_draft(const rs_line_options *o, const draft *d, rs_line *l,
                            rs_err *err)
{
    int forms = d->has_text + d->has_prompt + d->has_messages + d->has_ids;
    if (forms != 1)
        return rs_fail(
            err, RS_E_INVALID,
            "a line needs %s of \"text\", \"prompt\", \"messages\" and \"ids\"",
            forms ? "only one" : "one");
    if (o->instead && (o->raw || d->has_ids || d->has_text))
        return rs_fail(err, RS_E_INVALID,
                       "only a conversation (\"prompt\" or \"messages\") has a place for a "
                       "system prompt");
    if (d->has_ids) return from_ids(d, l, err);
    if (d->has_mask) return rs_fail(err, RS_E_INVALID, "a \"mask\" belongs to \"ids\"");
    if (d->has_text) return from_text(o, rs_buf_str(&d->text), d->text.len, l, err);
    return d->has_prompt ? from_prompt(o, d, l, err) : from_list(o, d, l, err);
}

/* The first token has nothing before it and never counts. */
static rs_status finish(rs_line *l, rs_err *err)
{
    if (l->mask.failed || l->text.failed || l->prompt.failed || l->label.failed)
        return no_memory(err);
    if (l->mask.len) l->mask.data[0] = 0;
    l->n_counted = 0;
    for (size_t i = 0; i < l->mask.len; i++)
        l->n_counted += l->mask.data[i];
    return RS_OK;
}

rs_status rs_line_parse(const char *json, size_t n, const char *what,
                        const rs_line_options *o, rs_line *out, rs_err *err)
{
    draft d = {0};
    rs_pull *p;
    rs_line_free(out);
    RS_TRY(rs_pull_memory(json, n, what, &p, err));
    rs_status s = read_members(p, o, &d, out, err);
    rs_pull_close(p);
    if (s == RS_OK) {
        s = from_draft(o, &d, out, err);
        if (s == RS_OK) s = finish(out, err);
        if (s != RS_OK) s = rs_err_prefix(err, "%s", what);
    }
    if (s != RS_OK) rs_line_free(out);
    free_draft(&d);
    return s;
}

rs_status rs_line_from_prompt(const char *prompt, size_t n, const rs_line_options *o,
                              rs_line *out, rs_err *err)
{
    draft d = {.has_prompt = true};
    rs_line_free(out);
    if (!o->raw && memchr(prompt, 0, n))
        return rs_fail(err, RS_E_INVALID, "the prompt contains a zero byte");
    rs_buf_add(&d.prompt, prompt, n);
    rs_status s = d.prompt.failed ? no_memory(err) : from_prompt(o, &d, out, err);
    if (s == RS_OK) s = finish(out, err);
    if (s != RS_OK) rs_line_free(out);
    free_draft(&d);
    return s;
}

rs_status rs_line_from_text(const char *text, size_t n, const rs_line_options *o,
                            rs_line *out, rs_err *err)
{
    rs_line_free(out);
    rs_status s = from_text(o, text, n, out, err);
    if (s == RS_OK) s = finish(out, err);
    if (s != RS_OK) rs_line_free(out);
    return s;
}
