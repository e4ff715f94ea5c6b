#include "base/utf8.h"
#include "model/tokenizer_internal.h"
#include "store/gguf.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* tokenizer.ggml.token_type */
enum { TYPE_NORMAL = 1, TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER_DEFINED = 4 };

/* ---- pieces ---- */

static rs_status read_piece(rs_tokenizer *t, const rs_gguf_value *tokens,
                            const rs_gguf_value *types, int64_t id, rs_err *err)
{
    size_t n;
    int64_t type = TYPE_NORMAL;
    const char *text = rs_gguf_string_at(tokens, id, &n);
    if (!text)
        return rs_fail(err, RS_E_FORMAT,
                       "tokenizer.ggml.tokens is not an array of strings");
    if (types && !rs_gguf_int_at(types, id, &type))
        return rs_fail(err, RS_E_FORMAT,
                       "tokenizer.ggml.token_type is not an array of integers");
    RS_TRY(rs_pieces_put(&t->pieces, id, text, n, err));
    if (type == TYPE_CONTROL || type == TYPE_UNKNOWN)
        t->pieces.at[id].flags |= RS_PIECE_SPECIAL | RS_PIECE_ADDED;
    if (type == TYPE_USER_DEFINED) t->pieces.at[id].flags |= RS_PIECE_ADDED;
    return RS_OK;
}

static rs_status same_count(const rs_gguf_value *v, int64_t n, const char *key,
                            rs_err *err)
{
    if (v && v->is_array && v->count == n) return RS_OK;
    if (!v || !v->is_array)
        return rs_fail(err, RS_E_FORMAT, "%s is missing or not an array", key);
    return rs_fail(err, RS_E_FORMAT, "%s has %" PRId64 " entries for %" PRId64 " pieces",
                   key, v->count, n);
}

static rs_status read_pieces(rs_tokenizer *t, const rs_gguf *g, rs_err *err)
{
    const rs_gguf_value *tokens = rs_gguf_get(g, "tokenizer.ggml.tokens");
    const rs_gguf_value *types = rs_gguf_get(g, "tokenizer.ggml.token_type");
    if (!tokens || !tokens->is_array)
        return rs_fail(err, RS_E_FORMAT,
                       "there is no vocabulary (tokenizer.ggml.tokens)");
    RS_TRY(same_count(types, tokens->count, "tokenizer.ggml.token_type", err));
    for (int64_t id = 0; id < tokens->count; id++)
        RS_TRY(read_piece(t, tokens, types, id, err));
    return RS_OK;
}

/* ---- merges from scores ---- */

typedef struct scored {
    double score;
    int32_t id;
    uint32_t rank; /* equal scores have equal ranks */
} scored;

static int by_score(const void *x, const void *y)
{
    const scored *a = x, *b = y;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

/* Only plain pieces take part in merging; the others are cut out before or stand alone. */
static bool is_plain(const rs_gguf_value *types, int32_t id)
{
    int64_t type = 0;
    return rs_gguf_int_at(types, id, &type) && type == TYPE_NORMAL;
}

static rs_status read_scores(const rs_tokenizer *t, const rs_gguf *g, scored *all,
                             int32_t *n, rs_err *err)
{
    const rs_gguf_value *scores = rs_gguf_get(g, "tokenizer.ggml.scores");
    const rs_gguf_value *types = rs_gguf_get(g, "tokenizer.ggml.token_type");
    RS_TRY(same_count(scores, t->pieces.n, "tokenizer.ggml.scores", err));
    *n = 0;
    for (int32_t id = 0; id < t->pieces.n; id++) {
        double score;
        if (!is_plain(types, id)) continue;
        if (!rs_gguf_number_at(scores, id, &score) || isnan(score))
            return rs_fail(err, RS_E_FORMAT,
                           "tokenizer.ggml.scores[%" PRId32 "] is no number", id);
        all[(*n)++] = (scored){score, id, 0};
    }
    qsort(all, (size_t)*n, sizeof *all, by_score);
    for (int32_t i = 1; i < *n; i++)
        all[i].rank = all[i - 1].rank + (all[i].score != all[i - 1].score);
    return RS_OK;
}

/* Every way to make this piece out of two others, all with the rank of its score. */
static rs_status add_splits(rs_tokenizer *t, const rs_gguf_value *types,
                            const scored *piece, rs_err *err)
{
    const rs_pieces *p = &t->pieces;
    const char *text = rs_piece_text(p, piece->id);
    size_t n = p->at[piece->id].length;
    for (size_t i = 1; i < n; i++) {
        if (((unsigned char)text[i] & 0xc0) == 0x80) continue; /* inside a character */
        int32_t left = rs_pieces_find(p, text, i);
        if (left < 0 || !is_plain(types, left)) continue;
        int32_t right = rs_pieces_find(p, text + i, n - i);
        if (right < 0 || !is_plain(types, right)) continue;
        RS_TRY(rs_tokenizer_add_merge(t, left, right, piece->rank, piece->id, err));
    }
    return RS_OK;
}

/* SentencePiece joins the pair whose piece has the highest score: a rank by score. */
static rs_status merges_from_scores(rs_tokenizer *t, const rs_gguf *g, rs_err *err)
{
    const rs_gguf_value *types = rs_gguf_get(g, "tokenizer.ggml.token_type");
    int32_t n = 0;
    scored *all = malloc(((size_t)t->pieces.n + 1) * sizeof *all);
    if (!all) return rs_fail(err, RS_E_NOMEM, "no memory for a vocabulary");
    rs_status s = read_scores(t, g, all, &n, err);
    for (int32_t i = 0; s == RS_OK && i < n; i++)
        s = add_splits(t, types, &all[i], err);
    free(all);
    return s;
}

/* ---- merges as they are written ("a b") ---- */

static rs_status read_merge(rs_tokenizer *t, const char *text, size_t n, int64_t rank,
                            rs_err *err)
{
    const rs_pieces *p = &t->pieces;
    const char *gap = n > 1 ? memchr(text + 1, ' ', n - 1) : NULL;
    if (!gap)
        return rs_fail(err, RS_E_FORMAT,
                       "tokenizer.ggml.merges[%" PRId64 "] is not two pieces", rank);
    size_t n_left = (size_t)(gap - text), n_right = n - n_left - 1;
    int32_t left = rs_pieces_find(p, text, n_left);
    int32_t right = rs_pieces_find(p, gap + 1, n_right);
    int32_t joined = rs_pieces_find_joined(p, text, n_left, gap + 1, n_right);
    if (left < 0 || right < 0 || joined < 0)
        return rs_fail(err, RS_E_FORMAT,
                       "tokenizer.ggml.merges[%" PRId64
                       "], \"%.*s\", names a piece that is not "
                       "in the vocabulary",
                       rank, n < 100 ? (int)n : 100, text);
    return rs_tokenizer_add_merge(t, left, right, (uint32_t)rank, joined, err);
}

static rs_status merges_as_written(rs_tokenizer *t, const rs_gguf_value *merges,
                                   rs_err *err)
{
    for (int64_t rank = 0; rank < merges->count; rank++) {
        size_t n;
        const char *text = rs_gguf_string_at(merges, rank, &n);
        if (!text || rank >= UINT32_MAX)
            return rs_fail(err, RS_E_FORMAT,
                           "tokenizer.ggml.merges is not an array of strings");
        RS_TRY(read_merge(t, text, n, rank, err));
    }
    return RS_OK;
}

/* ---- the rest ---- */

static bool key_is(const rs_gguf *g, const char *key, const char *want)
{
    size_t n;
    const char *s = rs_gguf_string(g, key, &n);
    return s && n == strlen(want) && memcmp(s, want, n) == 0;
}

static rs_status read_merges(rs_tokenizer *t, const rs_gguf *g, rs_err *err)
{
    const rs_gguf_value *merges = rs_gguf_get(g, "tokenizer.ggml.merges");
    bool gemma4 = key_is(g, "tokenizer.ggml.model", "gemma4") ||
                  key_is(g, "tokenizer.ggml.pre", "gemma4");
    if (gemma4 && merges && merges->is_array) return merges_as_written(t, merges, err);
    if (gemma4)
        return rs_fail(err, RS_E_FORMAT,
                       "a gemma4 tokenizer without tokenizer.ggml.merges");
    if (t->byte_level && merges && merges->is_array)
        return merges_as_written(t, merges, err);
    if (t->byte_level)
        return rs_fail(err, RS_E_FORMAT,
                       "a byte-level tokenizer without tokenizer.ggml.merges");
    if (key_is(g, "tokenizer.ggml.model", "llama")) return merges_from_scores(t, g, err);
    size_t n = 0;
    const char *model = rs_gguf_string(g, "tokenizer.ggml.model", &n);
    return rs_fail(
        err, RS_E_UNSUPPORTED,
        "the tokenizer model \"%.*s\" is not supported (llama, gpt2 and gemma4 are)",
        n < 60 ? (int)n : 60, model ? model : "");
}

/* Keys that are absent have the values that llama.cpp gives them. Where the space goes, no
 * key says: see tokenizer.h. */
static rs_status read_options(rs_tokenizer *t, const rs_gguf *g, rs_err *err)
{
    bool prefix = key_is(g, "tokenizer.ggml.model", "llama") &&
                  !rs_gguf_get(g, "tokenizer.ggml.merges");
    bool adds_eos = false, trims = false;
    (void)rs_gguf_bool(g, "tokenizer.ggml.add_space_prefix", &prefix);
    (void)rs_gguf_bool(g, "tokenizer.ggml.add_eos_token", &adds_eos);
    (void)rs_gguf_bool(g, "tokenizer.ggml.remove_extra_whitespaces", &trims);
    if (prefix && t->byte_level)
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "a byte-level tokenizer that puts a space before every text "
                       "(tokenizer.ggml.add_space_prefix) is not supported");
    if (trims)
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "a tokenizer that leaves out spaces "
                       "(tokenizer.ggml.remove_extra_whitespaces) is not supported");
    t->prefix = prefix ? RS_PREFIX_EVERY : RS_PREFIX_NONE; /* as llama.cpp does */
    t->prefix_doubles = t->strips_space = prefix;
    if (adds_eos)
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "a tokenizer with tokenizer.ggml.add_eos_token is not supported");
    return RS_OK;
}

static rs_status read_bos(rs_tokenizer *t, const rs_gguf *g, rs_err *err)
{
    int64_t bos;
    if (!rs_gguf_int(g, "tokenizer.ggml.bos_token_id", &bos)) {
        t->adds_bos = false;
        return RS_OK;
    }
    if (bos < 0 || bos >= t->pieces.n)
        return rs_fail(err, RS_E_FORMAT,
                       "tokenizer.ggml.bos_token_id is %" PRId64
                       ", the vocabulary has %" PRId32 " pieces",
                       bos, t->pieces.n);
    t->bos = (int32_t)bos;
    if (!t->byte_level) t->adds_bos = true;
    (void)rs_gguf_bool(g, "tokenizer.ggml.add_bos_token", &t->adds_bos);
    return RS_OK;
}

static rs_status read_byte_level(rs_tokenizer *t, const rs_gguf *g, rs_err *err)
{
    size_t n = 0;
    const char *pre = rs_gguf_string(g, "tokenizer.ggml.pre", &n);
    if (!key_is(g, "tokenizer.ggml.model", "gpt2") ||
        key_is(g, "tokenizer.ggml.pre", "gemma4"))
        return RS_OK;
    return rs_byte_level_named(pre ? pre : "gpt-2", pre ? n : 5, &t->byte_level,
                               &t->adds_bos, err);
}

static rs_status read_all(rs_tokenizer *t, const rs_gguf *g, rs_err *err)
{
    RS_TRY(read_byte_level(t, g, err));
    RS_TRY(read_options(t, g, err));
    RS_TRY(read_pieces(t, g, err));
    RS_TRY(read_merges(t, g, err));
    RS_TRY(read_bos(t, g, err));
    return rs_tokenizer_finish(t, err);
}

rs_status rs_tokenizer_read_gguf(rs_tokenizer *t, const rs_checkpoint *c, rs_err *err)
{
    const rs_gguf *g = rs_checkpoint_gguf(c);
    if (!g)
        return rs_fail(err, RS_E_UNSUPPORTED, "%s is no GGUF file and has no tokenizer",
                       rs_checkpoint_path(c));
    rs_status s = read_all(t, g, err);
    return s == RS_OK ? s : rs_err_prefix(err, "%s", rs_checkpoint_path(c));
}
