/* A tokenizer.json, its template and its special tokens as keys of a GGUF.
 *
 * Three forms, by tokenizer.ggml.model:
 *   gpt2    byte-level: pieces and merges as they are, the words' expression by its name
 *   gemma4  Gemma's units with merges
 *   llama   Gemma's units with scores (SentencePiece): for all families but Gemma 4, where
 *           scores can say what the merges say; else gemma4's form
 * Ids of the embedding without a piece are padded, pieces beyond it are left out. */
#include "model/chat.h"
#include "model/export_internal.h"
#include "model/tokenizer_internal.h"

#include "base/os.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_LIMIT = 4096, MAX_CONFIG_BYTES = 64 << 20 };

/* tokenizer.ggml.token_type */
enum { NORMAL = 1, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE };

static const char space_mark[] = "\xe2\x96\x81"; /* U+2581 */

typedef struct vocabulary {
    rs_export_job *j;
    const char *folder;
    const rs_tokenizer *t;
    int32_t n;        /* ids of the embedding */
    rs_merge *merges; /* [n_merges] by rank */
    uint32_t n_merges;
    float *scores; /* [n]; NULL: not in this form */
} vocabulary;

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory for a vocabulary");
}

/* --- pieces --- */

static bool is_there(const vocabulary *v, int32_t id)
{
    return id < v->t->pieces.n && rs_piece_is(&v->t->pieces, id, RS_PIECE_PRESENT);
}

static int type_of(const vocabulary *v, int32_t id)
{
    if (!is_there(v, id)) return UNUSED;
    if (rs_piece_is(&v->t->pieces, id, RS_PIECE_SPECIAL)) return CONTROL;
    if (rs_piece_is(&v->t->pieces, id, RS_PIECE_ADDED)) return USER_DEFINED;
    if (v->t->byte_level) return NORMAL;
    if (v->t->byte_value[id] >= 0) return BYTE;
    return id == rs_tokenizer_id(v->t, "<unk>") ? UNKNOWN : NORMAL;
}

static size_t marks_in(const char *text, size_t n)
{
    size_t marks = 0;
    while (3 * marks + 3 <= n && memcmp(text + 3 * marks, space_mark, 3) == 0)
        marks++;
    return 3 * marks == n ? marks : 0;
}

static bool is_merged(const vocabulary *v, int32_t id)
{
    for (uint32_t i = 0; i < v->n_merges; i++)
        if (v->merges[i].result == id) return true;
    return false;
}

/* With scores, runs of spaces are cut out of the raw text, so those that merges make of spaces
 * stand as spaces. */
static void add_piece(const vocabulary *v, int32_t id)
{
    rs_gguf_keys *k = &v->j->keys;
    char pad[32];
    if (!is_there(v, id)) {
        int n = snprintf(pad, sizeof pad, "[PAD%" PRId32 "]", id);
        rs_gguf_add_string(k, pad, (size_t)n);
        return;
    }
    const char *text = rs_piece_text(&v->t->pieces, id);
    size_t n = v->t->pieces.at[id].length, marks = marks_in(text, n);
    char spaces[RS_MAX_PIECE_BYTES];
    memset(spaces, ' ', marks);
    if (v->scores && marks > 0 && type_of(v, id) == USER_DEFINED && is_merged(v, id) &&
        rs_pieces_find(&v->t->pieces, spaces, marks) < 0)
        rs_gguf_add_string(k, spaces, marks);
    else
        rs_gguf_add_string(k, text, n);
}

static void put_pieces(const vocabulary *v)
{
    rs_gguf_keys *k = &v->j->keys;
    rs_gguf_put_array(k, "tokenizer.ggml.tokens", RS_GGUF_STRING, (uint64_t)v->n);
    for (int32_t id = 0; id < v->n; id++)
        add_piece(v, id);
    if (v->scores)
        rs_gguf_put_array(k, "tokenizer.ggml.scores", RS_GGUF_F32, (uint64_t)v->n);
    for (int32_t id = 0; v->scores && id < v->n; id++)
        rs_gguf_add_f32(k, v->scores[id]);
    rs_gguf_put_array(k, "tokenizer.ggml.token_type", RS_GGUF_I32, (uint64_t)v->n);
    for (int32_t id = 0; id < v->n; id++)
        rs_gguf_add_u32(k, (uint32_t)type_of(v, id));
}

/* --- merges --- */

static int by_rank(const void *x, const void *y)
{
    const rs_merge *a = x, *b = y;
    return (a->rank > b->rank) - (a->rank < b->rank);
}

/* Those whose pieces all have rows in the embedding. */
static rs_status list_merges(vocabulary *v, rs_err *err)
{
    const rs_bpe *bpe = &v->t->bpe;
    v->merges = malloc(((size_t)bpe->n + 1) * sizeof *v->merges);
    if (!v->merges) return no_memory(err);
    for (uint32_t i = 0; i < bpe->n_slots; i++) {
        const rs_merge *m = &bpe->slots[i];
        if (m->left < 0 || m->left >= v->n || m->right >= v->n || m->result >= v->n)
            continue;
        v->merges[v->n_merges++] = *m;
    }
    qsort(v->merges, v->n_merges, sizeof *v->merges, by_rank);
    return RS_OK;
}

static rs_status put_merges(const vocabulary *v, rs_err *err)
{
    rs_buf text = {0};
    const rs_pieces *p = &v->t->pieces;
    rs_status s = RS_OK;
    rs_gguf_put_array(&v->j->keys, "tokenizer.ggml.merges", RS_GGUF_STRING, v->n_merges);
    for (uint32_t i = 0; i < v->n_merges && s == RS_OK; i++) {
        const rs_merge *m = &v->merges[i];
        rs_buf_reset(&text);
        rs_buf_add(&text, rs_piece_text(p, m->left), p->at[m->left].length);
        rs_buf_putc(&text, ' ');
        rs_buf_add(&text, rs_piece_text(p, m->right), p->at[m->right].length);
        if (text.failed)
            s = no_memory(err);
        else if (memchr(text.data + 1, ' ', text.len - 1) !=
                 text.data + p->at[m->left].length)
            s = rs_fail(err, RS_E_UNSUPPORTED,
                        "a merge joins pieces with spaces (\"%.100s\"), which a GGUF "
                        "cannot say",
                        text.data);
        else
            rs_gguf_add_string(&v->j->keys, text.data, text.len);
    }
    rs_buf_free(&text);
    return s;
}

/* --- scores for merges --- */

static bool is_plain(const vocabulary *v, int32_t id)
{
    return id >= 0 && id < v->n && type_of(v, id) == NORMAL;
}

/* In how many ways scores would make this piece out of two others. */
static int count_splits(const vocabulary *v, int32_t id)
{
    const rs_pieces *p = &v->t->pieces;
    const char *text = rs_piece_text(p, id);
    size_t n = p->at[id].length;
    int count = 0;
    for (size_t i = 1; i < n; i++) {
        if (((unsigned char)text[i] & 0xc0) == 0x80) continue; /* inside a character */
        count += is_plain(v, rs_pieces_find(p, text, i)) &&
                 is_plain(v, rs_pieces_find(p, text + i, n - i));
    }
    return count;
}

/* The score of a piece is minus the place of its merges in the list. That says the same if
 * the merges of a piece stand together and are all that there could be. Merges to added
 * pieces do not count: these are cut out of the text before. */
static bool score_merges(vocabulary *v, int *ways)
{
    int32_t last = -1;
    int place = 0;
    for (uint32_t i = 0; i < v->n_merges; i++) {
        const rs_merge *m = &v->merges[i];
        if (type_of(v, m->result) == USER_DEFINED) continue;
        if (!is_plain(v, m->left) || !is_plain(v, m->right) || !is_plain(v, m->result))
            return false;
        if (m->result != last && ways[m->result] > 0) return false;
        if (m->result != last) v->scores[m->result] = (float)-place++;
        ways[m->result]++;
        last = m->result;
    }
    for (int32_t id = 0; id < v->n; id++) {
        if (!is_plain(v, id)) continue;
        if (count_splits(v, id) != ways[id]) return false;
        if (ways[id] == 0) v->scores[id] = (float)-place++;
    }
    return true;
}

/* Fills v->scores, or leaves them NULL where scores cannot say it. */
static rs_status make_scores(vocabulary *v, rs_err *err)
{
    enum { LEAST = -1000 }; /* of what is not merged */
    int *ways = calloc((size_t)v->n, sizeof *ways);
    v->scores = malloc((size_t)v->n * sizeof *v->scores);
    rs_status s = ways && v->scores ? RS_OK : no_memory(err);
    for (int32_t id = 0; s == RS_OK && id < v->n; id++)
        v->scores[id] = LEAST;
    if (s == RS_OK && !score_merges(v, ways)) {
        free(v->scores);
        v->scores = NULL;
    }
    free(ways);
    return s;
}

/* --- special tokens --- */

static void put_id(const vocabulary *v, const char *key, int32_t id)
{
    if (id >= 0 && id < v->n) rs_gguf_put_u32(&v->j->keys, key, (uint32_t)id);
}

/* The id of "eos_token" and the like: a string, or an object with content. */
static int32_t named(const vocabulary *v, const rs_json *config, const char *key)
{
    const rs_json *o = rs_json_get(config, key);
    const char *text =
        rs_json_string(rs_json_is_object(o) ? rs_json_get(o, "content") : o);
    return text ? rs_tokenizer_id(v->t, text) : -1;
}

/* Ends of a text: the one that tokenizer_config.json names, then those of the config. */
static void put_ends(const vocabulary *v, int32_t eos)
{
    static const char *const keys[] = {"tokenizer.ggml.eos_token_id",
                                       "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    const rs_config *c = v->j->source->config;
    int n = 0;
    if (eos >= 0) put_id(v, keys[n++], eos);
    for (int i = 0; i < c->n_eos && n < 3; i++)
        if (c->eos[i] != eos) put_id(v, keys[n++], c->eos[i]);
}

static void put_special(const vocabulary *v, const rs_json *config)
{
    rs_gguf_keys *k = &v->j->keys;
    const rs_config *c = v->j->source->config;
    int32_t pad = named(v, config, "pad_token");
    put_id(v, "tokenizer.ggml.bos_token_id", v->t->bos >= 0 ? v->t->bos : c->bos);
    put_ends(v, named(v, config, "eos_token"));
    put_id(v, "tokenizer.ggml.padding_token_id", pad >= 0 ? pad : c->pad);
    if (!v->t->byte_level)
        put_id(v, "tokenizer.ggml.unknown_token_id", rs_tokenizer_id(v->t, "<unk>"));
    rs_gguf_put_bool(k, "tokenizer.ggml.add_bos_token", v->t->adds_bos);
    rs_gguf_put_bool(k, "tokenizer.ggml.add_eos_token", false);
    rs_gguf_put_bool(k, "tokenizer.ggml.add_space_prefix",
                     v->t->prefix != RS_PREFIX_NONE);
}

static rs_status read_special(const vocabulary *v, rs_err *err)
{
    char path[PATH_LIMIT];
    rs_json *config = NULL;
    if (rs_path_join(path, sizeof path, v->folder, "tokenizer_config.json") &&
        rs_os_kind(path) == RS_PATH_FILE)
        RS_TRY(rs_json_read_file(path, MAX_CONFIG_BYTES, &config, err));
    put_special(v, config);
    rs_json_free(config);
    return RS_OK;
}

static rs_status put_template(const vocabulary *v, rs_err *err)
{
    rs_buf text = {0};
    bool found;
    rs_status s = rs_chat_template(v->folder, &text, &found, err);
    if (s == RS_OK && text.failed) s = no_memory(err);
    if (s == RS_OK && found)
        rs_gguf_put_string(&v->j->keys, "tokenizer.chat_template", rs_buf_str(&text),
                           text.len);
    rs_buf_free(&text);
    return s;
}

/* --- the whole --- */

static void put_model(const vocabulary *v, const char *model, const char *pre)
{
    rs_gguf_put_string(&v->j->keys, "tokenizer.ggml.model", model, strlen(model));
    rs_gguf_put_string(&v->j->keys, "tokenizer.ggml.pre", pre, strlen(pre));
}

static rs_status put_byte_level(vocabulary *v, rs_err *err)
{
    const char *pre = rs_byte_level_pre(v->t->byte_level);
    if (!pre)
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "%s cuts words by an expression that GGUF has no name for: only "
                       "those of Llama 3, Qwen 2 and GPT-2 can be exported",
                       v->folder);
    put_model(v, "gpt2", pre);
    put_pieces(v);
    return put_merges(v, err);
}

/* Does a merge make a piece with a space after its start? A Metaspace that splits never uses
 * such a merge, every reader of a GGUF does. */
static bool joins_words(const vocabulary *v)
{
    const rs_pieces *p = &v->t->pieces;
    for (uint32_t i = 0; i < v->n_merges; i++) {
        const rs_piece *r = &p->at[v->merges[i].result];
        const char *text = rs_piece_text(p, v->merges[i].result);
        for (uint32_t k = 1; k + 3 <= r->length; k++)
            if (memcmp(text + k, space_mark, 3) == 0) return true;
    }
    return false;
}

static rs_status check_words(const vocabulary *v, rs_err *err)
{
    const rs_tokenizer *t = v->t;
    if (t->cuts_at_spaces && joins_words(v))
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "%s splits words at spaces before merging, but has merges across "
                       "spaces: a GGUF cannot say that they are not used",
                       v->folder);
    if (t->prefix == RS_PREFIX_FIRST ||
        (t->prefix == RS_PREFIX_EVERY && !t->prefix_doubles))
        rs_export_note(
            v->j,
            "this tokenizer puts a space before a text%s unless it begins with "
            "one; with a GGUF every part of a text gets one, so texts that "
            "begin with a space%s have other ids",
            t->prefix == RS_PREFIX_FIRST ? " (not behind special tokens)" : "",
            t->prefix == RS_PREFIX_FIRST ? " or have special tokens" : "");
    return RS_OK;
}

static rs_status put_units_of_gemma(vocabulary *v, rs_err *err)
{
    RS_TRY(check_words(v, err));
    bool gemma4 = strcmp(v->j->arch, "gemma4") == 0;
    if (!gemma4) RS_TRY(make_scores(v, err));
    if (v->scores) {
        put_model(v, "llama", "default");
        put_pieces(v);
        return RS_OK;
    }
    if (v->t->prefix != RS_PREFIX_NONE)
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "%s puts a space before texts, and scores cannot say what its "
                       "merges say: a GGUF cannot say both",
                       v->folder);
    if (!gemma4)
        rs_export_note(v->j, "scores cannot say what this tokenizer's merges say: it is "
                             "written in the form of Gemma 4's, which older llama.cpp do "
                             "not read");
    put_model(v, "gemma4", "gemma4");
    put_pieces(v);
    return put_merges(v, err);
}

static rs_status put_all(vocabulary *v, rs_err *err)
{
    RS_TRY(list_merges(v, err));
    RS_TRY(v->t->byte_level ? put_byte_level(v, err) : put_units_of_gemma(v, err));
    if (v->t->pieces.n > v->n)
        rs_export_note(v->j,
                       "%" PRId32 " pieces beyond the %" PRId32
                       " rows of the embedding are left out",
                       v->t->pieces.n - v->n, v->n);
    RS_TRY(read_special(v, err));
    return put_template(v, err);
}

/* Of a GGUF: as it has them. */
static void copy_keys(rs_export_job *j, const rs_gguf *g)
{
    for (int i = 0; i < rs_gguf_n_keys(g); i++)
        if (strncmp(rs_gguf_key_at(g, i)->key, "tokenizer.", 10) == 0)
            rs_gguf_put_value(&j->keys, rs_gguf_key_at(g, i));
}

static void put_no_tokenizer(rs_export_job *j)
{
    const rs_config *c = j->source->config;
    rs_gguf_put_string(&j->keys, "tokenizer.ggml.model", "none", 4);
    if (c->bos >= 0)
        rs_gguf_put_u32(&j->keys, "tokenizer.ggml.bos_token_id", (uint32_t)c->bos);
    if (c->n_eos > 0)
        rs_gguf_put_u32(&j->keys, "tokenizer.ggml.eos_token_id", (uint32_t)c->eos[0]);
    rs_export_note(j,
                   "there is no tokenizer.json, so the file has no tokenizer: it can be "
                   "run on ids only");
}

rs_status rs_export_tokenizer(rs_export_job *j, rs_err *err)
{
    const rs_checkpoint *base = j->source->base;
    char path[PATH_LIMIT];
    if (rs_checkpoint_gguf(base)) return copy_keys(j, rs_checkpoint_gguf(base)), RS_OK;
    vocabulary v = {
        .j = j, .folder = rs_checkpoint_folder(base), .n = j->source->config->vocab};
    if (!rs_path_join(path, sizeof path, v.folder, "tokenizer.json"))
        return rs_fail(err, RS_E_INVALID, "the path of %s is too long", v.folder);
    if (rs_os_kind(path) != RS_PATH_FILE) return put_no_tokenizer(j), RS_OK;
    rs_tokenizer *t;
    RS_TRY(rs_tokenizer_load(path, &t, err));
    v.t = t;
    rs_status s = put_all(&v, err);
    free(v.merges);
    free(v.scores);
    rs_tokenizer_free(t);
    return s;
}
