#include "tui/verbs/learn_data.h"

#include "base/hash.h"
#include "base/rng.h"
#include "tui/app/mem.h"
#include "tui/verbs/score.h"

#include <stdlib.h>
#include <string.h>

static void add(ui_examples *e, const int32_t *ids, const char *mask, int64_t n)
{
    e->at = ui_grow(e->at, e->n, &e->cap, sizeof *e->at);
    int32_t *both = ui_alloc((size_t)(2 * n), sizeof *both);
    for (int64_t t = 0; t < n; t++) {
        both[t] = ids[t];
        both[n + t] = t > 0 && (!mask || mask[t]) ? ids[t] : -1;
    }
    e->at[e->n++] = (rs_example){both, both + n, n};
    e->tokens += n;
}

static bool counts(const char *mask, int64_t n)
{
    for (int64_t t = 1; t < n; t++)
        if (mask[t]) return true;
    return false;
}

static rs_status finish(ui_examples *e, const char *data, rs_err *err)
{
    if (e->n == 0)
        return rs_fail(err, RS_E_INVALID, "%s has no sequence in which something counts",
                       data);
    rs_hasher *h = rs_hasher_new();
    if (!h) return rs_fail(err, RS_E_NOMEM, "no memory for a hash");
    for (int i = 0; i < e->n; i++)
        rs_hasher_add(h, e->at[i].ids, (size_t)(2 * e->at[i].n) * sizeof(int32_t));
    rs_hash_hex(rs_hasher_end(h), e->hash);
    rs_hasher_free(h);
    return RS_OK;
}

bool ui_is_jsonl(const char *path)
{
    size_t n = strlen(path);
    return n > 6 && strcmp(path + n - 6, ".jsonl") == 0;
}

rs_status ui_examples_read(const rs_config *c, const rs_tokenizer *t,
                           const rs_chat_format *chat, const char *data, bool jsonl,
                           bool raw, const char *instead, int64_t length, int64_t most,
                           ui_examples *out, rs_err *err)
{
    *out = (ui_examples){0};
    jsonl |= ui_is_jsonl(data);
    ui_model m = {.config = c, .tokenizer = (rs_tokenizer *)t, .chat = chat};
    ui_sequences s;
    rs_status st = ui_sequences_open(&m, jsonl ? NULL : data, jsonl ? data : NULL, raw,
                                     length, &s, err);
    s.options.instead = instead;
    for (bool done = false; st == RS_OK && !done && (most == 0 || out->n < most);) {
        st = ui_sequences_next(&s, &done, err);
        int64_t size = s.ids.n < length ? s.ids.n : length;
        if (st != RS_OK || done) continue;
        if (size > 1 && counts(rs_buf_str(&s.mask), size))
            add(out, s.ids.at, rs_buf_str(&s.mask), size);
        else
            out->passed_over++;
    }
    ui_sequences_close(&s);
    if (st == RS_OK) st = finish(out, data, err);
    if (st != RS_OK) ui_examples_free(out);
    return st;
}

rs_status ui_examples_random(const rs_config *c, int64_t n, int64_t length, uint64_t seed,
                             ui_examples *out, rs_err *err)
{
    *out = (ui_examples){0};
    int32_t *ids = ui_alloc((size_t)length, sizeof *ids);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t t = 0; t < length; t++)
            ids[t] =
                (int32_t)(rs_rng_at(seed, (uint64_t)i, (uint64_t)t) % (uint64_t)c->vocab);
        if (c->bos >= 0) ids[0] = c->bos;
        add(out, ids, NULL, length);
    }
    free(ids);
    rs_status st = finish(out, "random ids", err);
    if (st != RS_OK) ui_examples_free(out);
    return st;
}

void ui_examples_free(ui_examples *e)
{
    for (int i = 0; i < e->n; i++)
        free((int32_t *)e->at[i].ids);
    free(e->at);
    *e = (ui_examples){0};
}
