#include "base/json_pull.h"
#include "base/os.h"
#include "base/utf8.h"
#include "model/tokenizer_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE_BYTES = 256 * 1024 * 1024, MAX_PART_BYTES = 256 * 1024, KEY_BYTES = 40 };

/* One pass over the file. Merges name pieces, so where they come before the vocabulary they
 * are passed over and read in a second pass. */
typedef struct reader {
    rs_tokenizer *t;
    rs_pull *pull;
    rs_tokenizer_parts parts;
    bool has_model, has_vocab, has_merges, merges_only;
} reader;

/* Puts the file and the place before a sentence about what stands there. */
static rs_status placed(reader *r, rs_status s, rs_err *err)
{
    if (s != RS_E_FORMAT || !err) return s;
    rs_err why = *err;
    return rs_pull_fail(r->pull, err, "%.380s", why.msg);
}

/* The next member of an object: its key (cut short if longer; no key we know is) and the
 * first event of its value, which is RS_PULL_OBJECT_END at the end of the object. */
static rs_status next_member(rs_pull *p, char key[KEY_BYTES], rs_pull_event *value,
                             rs_err *err)
{
    RS_TRY(rs_pull_next(p, value, err));
    if (value->kind == RS_PULL_OBJECT_END) return key[0] = 0, RS_OK;
    size_t n = value->n < KEY_BYTES - 1 ? value->n : KEY_BYTES - 1;
    memcpy(key, value->text, n);
    key[n] = 0;
    return rs_pull_next(p, value, err);
}

static bool at_end(const rs_pull_event *v)
{
    return v->kind == RS_PULL_OBJECT_END;
}
static bool is(const char *key, const char *name)
{
    return strcmp(key, name) == 0;
}

/* ---- added tokens ---- */

typedef struct added_entry {
    int64_t id;
    char content[RS_MAX_PIECE_BYTES + 1];
    size_t n;
    bool special, odd;
} added_entry;

static rs_status read_added_member(reader *r, const char *key, const rs_pull_event *v,
                                   added_entry *a, rs_err *err)
{
    bool flag = v->kind == RS_PULL_TRUE;
    if (is(key, "id"))
        return rs_pull_int(r->pull, v, 0, RS_MAX_PIECES, "an added token's id", &a->id,
                           err);
    if (is(key, "content")) {
        if (v->kind != RS_PULL_STRING || v->n > RS_MAX_PIECE_BYTES)
            return rs_pull_fail(
                r->pull, err,
                "an added token whose content is not a string of at most %d "
                "bytes",
                RS_MAX_PIECE_BYTES);
        a->n = v->n;
        memcpy(a->content, v->text, v->n);
        a->content[v->n] = 0;
        return RS_OK;
    }
    if (is(key, "special")) a->special = flag;
    if (is(key, "single_word") || is(key, "lstrip") || is(key, "rstrip") ||
        is(key, "normalized"))
        a->odd |= flag;
    return rs_pull_skip(r->pull, v, err);
}

static rs_status read_added(reader *r, added_entry *a, rs_err *err)
{
    *a = (added_entry){.id = -1};
    for (;;) {
        char key[KEY_BYTES];
        rs_pull_event v;
        RS_TRY(next_member(r->pull, key, &v, err));
        if (at_end(&v)) break;
        RS_TRY(read_added_member(r, key, &v, a, err));
    }
    if (a->id < 0 || a->n == 0)
        return rs_pull_fail(r->pull, err,
                            "an added token without an id or without content");
    if (a->odd)
        return rs_fail(
            err, RS_E_UNSUPPORTED,
            "the added token \"%.60s\" is single_word, lstrip, rstrip or normalized, "
            "which is not supported",
            a->content);
    RS_TRY(placed(r, rs_pieces_put(&r->t->pieces, a->id, a->content, a->n, err), err));
    r->t->pieces.at[a->id].flags |= RS_PIECE_ADDED | (a->special ? RS_PIECE_SPECIAL : 0);
    return RS_OK;
}

static rs_status read_all_added(reader *r, const rs_pull_event *v, rs_err *err)
{
    added_entry a;
    if (v->kind == RS_PULL_NULL) return RS_OK;
    if (v->kind != RS_PULL_ARRAY)
        return rs_pull_fail(r->pull, err, "added_tokens is not an array");
    for (;;) {
        rs_pull_event e;
        RS_TRY(rs_pull_next(r->pull, &e, err));
        if (e.kind == RS_PULL_ARRAY_END) return RS_OK;
        if (e.kind != RS_PULL_OBJECT)
            return rs_pull_fail(r->pull, err, "an added token that is not an object");
        RS_TRY(read_added(r, &a, err));
    }
}

/* ---- the model ---- */

static rs_status read_vocab(reader *r, const rs_pull_event *v, rs_err *err)
{
    if (v->kind != RS_PULL_OBJECT || r->has_vocab)
        return rs_pull_fail(r->pull, err, "the vocab is not one object");
    r->has_vocab = true;
    for (;;) {
        char piece[RS_MAX_PIECE_BYTES + 1];
        rs_pull_event e;
        int64_t id;
        RS_TRY(rs_pull_next(r->pull, &e, err));
        if (e.kind == RS_PULL_OBJECT_END) return RS_OK;
        if (e.n > RS_MAX_PIECE_BYTES)
            return rs_pull_fail(r->pull, err, "a piece of more than %d bytes",
                                RS_MAX_PIECE_BYTES);
        size_t n = e.n;
        memcpy(piece, e.text, n);
        RS_TRY(rs_pull_next(r->pull, &e, err));
        RS_TRY(rs_pull_int(r->pull, &e, 0, RS_MAX_PIECES - 1, "a piece's id", &id, err));
        RS_TRY(placed(r, rs_pieces_put(&r->t->pieces, id, piece, n, err), err));
    }
}

static rs_status need_piece(reader *r, int32_t id, const char *text, size_t n,
                            rs_err *err)
{
    if (id >= 0) return RS_OK;
    return rs_pull_fail(r->pull, err,
                        "the merges name \"%.*s\", which is not in the vocabulary",
                        n < 100 ? (int)n : 100, text);
}

static rs_status add_merge(reader *r, uint32_t rank, const char *a, size_t n_a,
                           const char *b, size_t n_b, rs_err *err)
{
    const rs_pieces *p = &r->t->pieces;
    int32_t left = rs_pieces_find(p, a, n_a), right = rs_pieces_find(p, b, n_b);
    RS_TRY(need_piece(r, left, a, n_a, err));
    RS_TRY(need_piece(r, right, b, n_b, err));
    int32_t joined = rs_pieces_find_joined(p, a, n_a, b, n_b);
    if (joined < 0)
        return rs_pull_fail(
            r->pull, err,
            "the pieces \"%.100s\" and \"%.100s\" merge to one that is not in "
            "the vocabulary",
            rs_piece_text(p, left), rs_piece_text(p, right));
    return rs_tokenizer_add_merge(r->t, left, right, rank, joined, err);
}

/* A merge is ["a", "b"] or "a b". */
static rs_status read_merge(reader *r, const rs_pull_event *e, uint32_t rank, rs_err *err)
{
    char left[RS_MAX_PIECE_BYTES + 1];
    rs_pull_event s;
    if (e->kind == RS_PULL_STRING) {
        const char *gap = e->n ? memchr(e->text, ' ', e->n) : NULL;
        if (!gap) return rs_pull_fail(r->pull, err, "a merge that is not two pieces");
        size_t n = (size_t)(gap - e->text);
        return add_merge(r, rank, e->text, n, gap + 1, e->n - n - 1, err);
    }
    if (e->kind != RS_PULL_ARRAY)
        return rs_pull_fail(r->pull, err, "a merge that is not two pieces");
    RS_TRY(rs_pull_need(r->pull, RS_PULL_STRING, &s, err));
    if (s.n > RS_MAX_PIECE_BYTES)
        return rs_pull_fail(r->pull, err, "a piece of more than %d bytes",
                            RS_MAX_PIECE_BYTES);
    size_t n = s.n;
    memcpy(left, s.text, n);
    RS_TRY(rs_pull_need(r->pull, RS_PULL_STRING, &s, err));
    RS_TRY(add_merge(r, rank, left, n, s.text, s.n, err));
    return rs_pull_need(r->pull, RS_PULL_ARRAY_END, &s, err);
}

static rs_status read_merges(reader *r, const rs_pull_event *v, rs_err *err)
{
    if (v->kind != RS_PULL_ARRAY || r->has_merges)
        return rs_pull_fail(r->pull, err, "the merges are not one array");
    if (!r->has_vocab) return rs_pull_skip(r->pull, v, err);
    r->has_merges = true;
    for (uint32_t rank = 0;; rank++) {
        rs_pull_event e;
        RS_TRY(rs_pull_next(r->pull, &e, err));
        if (e.kind == RS_PULL_ARRAY_END) return RS_OK;
        RS_TRY(read_merge(r, &e, rank, err));
    }
}

static void keep_text(char *dst, size_t cap, const rs_pull_event *v)
{
    size_t n = v->kind == RS_PULL_STRING && v->n < cap ? v->n : 0;
    memcpy(dst, v->text, n);
    dst[n] = 0;
}

static rs_status read_model_member(reader *r, const char *key, const rs_pull_event *v,
                                   rs_err *err)
{
    rs_tokenizer_parts *p = &r->parts;
    bool flag = v->kind == RS_PULL_TRUE;
    if (is(key, "merges")) return read_merges(r, v, err);
    if (r->merges_only) return rs_pull_skip(r->pull, v, err);
    if (is(key, "vocab")) return read_vocab(r, v, err);
    if (is(key, "type")) keep_text(p->model_type, sizeof p->model_type, v);
    if (is(key, "byte_fallback")) p->byte_fallback = flag;
    if (is(key, "ignore_merges")) p->ignore_merges = flag;
    if (is(key, "dropout"))
        p->has_dropout =
            v->kind != RS_PULL_NULL && !rs_pull_is(v, "0.0") && !rs_pull_is(v, "0");
    if (is(key, "continuing_subword_prefix") || is(key, "end_of_word_suffix"))
        p->has_affixes |= v->kind == RS_PULL_STRING && v->n > 0;
    return rs_pull_skip(r->pull, v, err);
}

static rs_status read_model(reader *r, const rs_pull_event *v, rs_err *err)
{
    if (v->kind != RS_PULL_OBJECT || r->has_model)
        return rs_pull_fail(r->pull, err, "the model is not one object");
    r->has_model = true;
    for (;;) {
        char key[KEY_BYTES];
        rs_pull_event e;
        RS_TRY(next_member(r->pull, key, &e, err));
        if (at_end(&e)) return RS_OK;
        RS_TRY(read_model_member(r, key, &e, err));
    }
}

/* ---- the document ---- */

static rs_status read_part(reader *r, const char *key, const rs_pull_event *v,
                           rs_json **part, rs_err *err)
{
    rs_buf text = {0};
    rs_json_free(*part);
    *part = NULL;
    rs_status s = rs_pull_copy(r->pull, v, MAX_PART_BYTES, &text, err);
    if (s == RS_OK) s = rs_json_parse(rs_buf_str(&text), text.len, key, part, err);
    rs_buf_free(&text);
    return s;
}

static rs_status read_member(reader *r, const char *key, const rs_pull_event *v,
                             rs_err *err)
{
    rs_tokenizer_parts *p = &r->parts;
    if (is(key, "model")) return read_model(r, v, err);
    if (r->merges_only) return rs_pull_skip(r->pull, v, err);
    if (is(key, "added_tokens")) return read_all_added(r, v, err);
    if (is(key, "normalizer")) return read_part(r, key, v, &p->normalizer, err);
    if (is(key, "pre_tokenizer")) return read_part(r, key, v, &p->pre_tokenizer, err);
    if (is(key, "post_processor")) return read_part(r, key, v, &p->post_processor, err);
    if (is(key, "decoder")) return read_part(r, key, v, &p->decoder, err);
    return rs_pull_skip(r->pull, v, err);
}

static rs_status read_document(reader *r, const char *path, rs_err *err)
{
    rs_pull_event e;
    r->has_model = false;
    RS_TRY(rs_pull_open(path, MAX_FILE_BYTES, &r->pull, err));
    rs_status s = rs_pull_need(r->pull, RS_PULL_OBJECT, &e, err);
    while (s == RS_OK) {
        char key[KEY_BYTES];
        s = next_member(r->pull, key, &e, err);
        if (s != RS_OK) break;
        if (at_end(&e)) {
            s = rs_pull_need(r->pull, RS_PULL_END, &e, err);
            break;
        }
        s = read_member(r, key, &e, err);
    }
    rs_pull_close(r->pull);
    r->pull = NULL;
    return s;
}

/* What tokenizer_config.json says about bos: its add_bos_token wins over the
 * post_processor, its bos_token names the piece where there is no post_processor. */
typedef struct bos_config {
    bool adds_bos, has_adds_bos, adds_eos;
    char bos[64];
} bos_config;

static rs_status read_bos_token(rs_pull *p, const rs_pull_event *v, bos_config *c,
                                rs_err *err)
{
    if (v->kind != RS_PULL_OBJECT) {
        keep_text(c->bos, sizeof c->bos, v);
        return rs_pull_skip(p, v, err);
    }
    for (;;) {
        char key[KEY_BYTES];
        rs_pull_event e;
        RS_TRY(next_member(p, key, &e, err));
        if (at_end(&e)) return RS_OK;
        if (is(key, "content")) keep_text(c->bos, sizeof c->bos, &e);
        RS_TRY(rs_pull_skip(p, &e, err));
    }
}

static rs_status read_bos_members(rs_pull *p, bos_config *c, rs_err *err)
{
    rs_pull_event e;
    RS_TRY(rs_pull_need(p, RS_PULL_OBJECT, &e, err));
    for (;;) {
        char key[KEY_BYTES];
        RS_TRY(next_member(p, key, &e, err));
        if (at_end(&e)) return rs_pull_need(p, RS_PULL_END, &e, err);
        if (is(key, "add_bos_token") &&
            (e.kind == RS_PULL_TRUE || e.kind == RS_PULL_FALSE)) {
            c->has_adds_bos = true;
            c->adds_bos = e.kind == RS_PULL_TRUE;
        }
        if (is(key, "add_eos_token")) c->adds_eos = e.kind == RS_PULL_TRUE;
        if (is(key, "bos_token"))
            RS_TRY(read_bos_token(p, &e, c, err));
        else
            RS_TRY(rs_pull_skip(p, &e, err));
    }
}

/* Gemma's models need a bos: where neither file says, it is put in front if there is one. */
static rs_status decide_bos(rs_tokenizer *t, const rs_tokenizer_parts *parts,
                            const bos_config *c, rs_err *err)
{
    if (c->adds_eos)
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "a tokenizer_config.json with add_eos_token is not supported");
    const char *bos = c->bos[0] ? c->bos : "<bos>";
    if (t->bos < 0) t->bos = rs_tokenizer_id(t, bos);
    if (c->has_adds_bos)
        t->adds_bos = c->adds_bos;
    else if (rs_json_is_null(parts->post_processor) && !t->byte_level)
        t->adds_bos = t->bos >= 0;
    if (t->adds_bos && t->bos < 0)
        return rs_fail(
            err, RS_E_FORMAT,
            "tokenizer_config.json wants \"%s\" before every text, but it is not in "
            "the vocabulary",
            bos);
    return RS_OK;
}

static rs_status read_config(rs_tokenizer *t, const rs_tokenizer_parts *parts,
                             const char *json_path, rs_err *err)
{
    char folder[4096], path[4096];
    bos_config c = {0};
    if (rs_path_dirname(folder, sizeof folder, json_path) &&
        rs_path_join(path, sizeof path, folder, "tokenizer_config.json") &&
        rs_os_kind(path) == RS_PATH_FILE) {
        rs_pull *p;
        RS_TRY(rs_pull_open(path, MAX_FILE_BYTES, &p, err));
        rs_status s = read_bos_members(p, &c, err);
        rs_pull_close(p);
        if (s != RS_OK) return s;
    }
    rs_status s = decide_bos(t, parts, &c, err);
    return s == RS_OK ? s : rs_err_prefix(err, "%s", json_path);
}

static rs_status read_whole(reader *r, const char *path, rs_err *err)
{
    RS_TRY(read_document(r, path, err));
    if (!r->has_vocab)
        return rs_fail(err, RS_E_FORMAT, "%s has no vocabulary (model.vocab)", path);
    rs_status s = rs_tokenizer_check_shape(r->t, &r->parts, err);
    if (s != RS_OK) return rs_err_prefix(err, "%s", path);
    if (!r->has_merges) {
        r->merges_only = true;
        RS_TRY(read_document(r, path, err));
        if (!r->has_merges)
            return rs_fail(err, RS_E_FORMAT, "%s has no merges (model.merges)", path);
    }
    s = rs_tokenizer_finish(r->t, err);
    if (s != RS_OK) return rs_err_prefix(err, "%s", path);
    return read_config(r->t, &r->parts, path, err);
}

rs_status rs_tokenizer_read_json(rs_tokenizer *t, const char *path, rs_err *err)
{
    reader r = {.t = t};
    rs_status s = read_whole(&r, path, err);
    rs_json_free(r.parts.normalizer);
    rs_json_free(r.parts.pre_tokenizer);
    rs_json_free(r.parts.post_processor);
    rs_json_free(r.parts.decoder);
    return s;
}
