#include "model/tokenizer_write.h"

#include "base/utf8.h"
#include "model/tokenizer_internal.h"
#include "store/gguf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RUN = 64 }; /* 2,016 merges */

static const char space_mark[] = "\xe2\x96\x81"; /* U+2581 */

typedef struct job {
    const rs_gguf *g;
    const rs_tokenizer *t;
    rs_buf *out;
    int longest_run; /* runs of 2 .. longest_run spaces become U+2581; 0: none do */
} job;

/* ---- runs of spaces ---- */

/* How many spaces the piece is made of, 0 if of anything else. */
static size_t run_length(const rs_tokenizer *t, int32_t id)
{
    size_t n = t->pieces.at[id].length;
    bool added = rs_piece_is(&t->pieces, id, RS_PIECE_ADDED);
    if (!added || rs_piece_is(&t->pieces, id, RS_PIECE_SPECIAL)) return 0;
    return strspn(rs_piece_text(&t->pieces, id), " ") == n ? n : 0;
}

static void marks(int n, rs_buf *out)
{
    for (int i = 0; i < n; i++)
        rs_buf_puts(out, space_mark);
}

static bool has_marks(const rs_tokenizer *t, int n)
{
    rs_buf text = {0};
    marks(n, &text);
    bool found = rs_pieces_find(&t->pieces, rs_buf_str(&text), text.len) >= 0;
    rs_buf_free(&text);
    return found;
}

/* The longest run if all may be written as U+2581, else 0. */
static int find_runs(const rs_tokenizer *t)
{
    bool there[MAX_RUN + 1] = {false};
    int longest = 0;
    for (int32_t id = 0; id < t->pieces.n; id++) {
        size_t n = run_length(t, id);
        if (n == 1 || n > MAX_RUN) return 0;
        there[n] = true;
        if ((int)n > longest) longest = (int)n;
    }
    if (!has_marks(t, 1)) return 0;
    for (int n = 2; n <= longest; n++)
        if (!there[n] || has_marks(t, n)) return 0;
    return longest;
}

/* ---- the vocabulary ---- */

/* The piece as a JSON string. */
static void put_piece(const job *j, int32_t id)
{
    size_t n = j->longest_run ? run_length(j->t, id) : 0;
    if (n == 0) {
        rs_buf_json(j->out, rs_piece_text(&j->t->pieces, id), j->t->pieces.at[id].length);
        return;
    }
    rs_buf_putc(j->out, '"');
    marks((int)n, j->out);
    rs_buf_putc(j->out, '"');
}

static rs_status put_vocab(const job *j, rs_err *err)
{
    const rs_pieces *p = &j->t->pieces;
    const char *gap = "";
    for (int32_t id = 0; id < p->n; id++) {
        if (!rs_piece_is(p, id, RS_PIECE_PRESENT)) continue;
        if (!rs_utf8_valid(rs_piece_text(p, id), p->at[id].length))
            return rs_fail(
                err, RS_E_UNSUPPORTED,
                "piece %" PRId32 " is not UTF-8: tokenizer.json cannot hold it", id);
        rs_buf_printf(j->out, "%s\n      ", gap);
        put_piece(j, id);
        rs_buf_printf(j->out, ": %" PRId32, id);
        gap = ",";
    }
    return RS_OK;
}

static void put_added(const job *j)
{
    const rs_pieces *p = &j->t->pieces;
    const char *gap = "";
    for (int32_t id = 0; id < p->n; id++) {
        if (!rs_piece_is(p, id, RS_PIECE_ADDED) || p->at[id].length == 0) continue;
        rs_buf_printf(j->out, "%s\n    {\"id\": %" PRId32 ", \"content\": ", gap, id);
        put_piece(j, id);
        rs_buf_printf(j->out,
                      ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
                      "\"normalized\": false, \"special\": %s}",
                      rs_piece_is(p, id, RS_PIECE_SPECIAL) ? "true" : "false");
        gap = ",";
    }
}

/* ---- merges ---- */

typedef struct ordered {
    rs_merge merge;
    uint16_t left_bytes;
} ordered;

static int by_rank(const void *x, const void *y)
{
    const ordered *a = x, *b = y;
    const rs_merge *m = &a->merge, *n = &b->merge;
    if (m->rank != n->rank) return m->rank < n->rank ? -1 : 1;
    if (m->result != n->result) return m->result < n->result ? -1 : 1;
    return (a->left_bytes < b->left_bytes) - (a->left_bytes > b->left_bytes);
}

/* The merges of the longest run first: spaces are taken up from the left, as many as go. */
static void put_run_merges(const job *j, const char **gap)
{
    for (int n = j->longest_run; n >= 2; n--)
        for (int left = n - 1; left >= 1; left--) {
            rs_buf_printf(j->out, "%s\n      [\"", *gap);
            marks(left, j->out);
            rs_buf_puts(j->out, "\", \"");
            marks(n - left, j->out);
            rs_buf_puts(j->out, "\"]");
            *gap = ",";
        }
}

static rs_status put_merges(const job *j, rs_err *err)
{
    const rs_bpe *bpe = &j->t->bpe;
    const char *gap = "";
    uint32_t n = 0;
    ordered *all = malloc(((size_t)bpe->n + 1) * sizeof *all);
    if (!all) return rs_fail(err, RS_E_NOMEM, "no memory for %" PRIu32 " merges", bpe->n);
    for (uint32_t i = 0; i < bpe->n_slots; i++) {
        const rs_merge *m = &bpe->slots[i];
        if (m->left >= 0) all[n++] = (ordered){*m, j->t->pieces.at[m->left].length};
    }
    qsort(all, n, sizeof *all, by_rank);
    put_run_merges(j, &gap);
    for (uint32_t i = 0; i < n; i++) {
        rs_buf_printf(j->out, "%s\n      [", gap);
        put_piece(j, all[i].merge.left);
        rs_buf_puts(j->out, ", ");
        put_piece(j, all[i].merge.right);
        rs_buf_putc(j->out, ']');
        gap = ",";
    }
    free(all);
    return RS_OK;
}

/* ---- special tokens ---- */

/* The piece that this key names, -1: none. */
static int32_t named(const job *j, const char *key)
{
    int64_t id;
    const rs_pieces *p = &j->t->pieces;
    if (!rs_gguf_int(j->g, key, &id) || id < 0 || id >= p->n) return -1;
    return rs_piece_is(p, (int32_t)id, RS_PIECE_PRESENT) ? (int32_t)id : -1;
}

static void put_named(const job *j, const char *key)
{
    int32_t id = named(j, key);
    if (id >= 0)
        put_piece(j, id);
    else
        rs_buf_puts(j->out, "null");
}

static void put_bos_step(const job *j, int type)
{
    rs_buf_puts(j->out, "{\"SpecialToken\": {\"id\": ");
    put_piece(j, j->t->bos);
    rs_buf_printf(j->out, ", \"type_id\": %d}}, ", type);
}

/* Bos before each text, where the tokenizer adds it. */
static void put_post_processor(const job *j)
{
    static const char text[] = "{\"Sequence\": {\"id\": \"%s\", \"type_id\": %d}}";
    bool adds = j->t->adds_bos;
    rs_buf_puts(j->out, "{\n    \"type\": \"TemplateProcessing\",\n    \"single\": [");
    if (adds) put_bos_step(j, 0);
    rs_buf_printf(j->out, text, "A", 0);
    rs_buf_puts(j->out, "],\n    \"pair\": [");
    if (adds) put_bos_step(j, 0);
    rs_buf_printf(j->out, text, "A", 0);
    rs_buf_puts(j->out, ", ");
    if (adds) put_bos_step(j, 1);
    rs_buf_printf(j->out, text, "B", 1);
    rs_buf_puts(j->out, "],\n    \"special_tokens\": {");
    if (adds) {
        put_piece(j, j->t->bos);
        rs_buf_puts(j->out, ": {\"id\": ");
        put_piece(j, j->t->bos);
        rs_buf_printf(j->out, ", \"ids\": [%" PRId32 "], \"tokens\": [", j->t->bos);
        put_piece(j, j->t->bos);
        rs_buf_puts(j->out, "]}");
    }
    rs_buf_puts(j->out, "}\n  }");
}

/* ---- the files ---- */

/* A space in front of each part is Llama's normalizer; without one, Gemma's shape. */
static void put_spaces(const job *j)
{
    static const char replace[] = "{\"type\": \"Replace\", \"pattern\": {\"String\": "
                                  "\" \"}, \"content\": \"%s\"}";
    rs_buf_puts(j->out, "  \"normalizer\": ");
    if (j->t->prefix != RS_PREFIX_NONE) {
        rs_buf_printf(j->out,
                      "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": "
                      "\"Prepend\", \"prepend\": \"%s\"}, ",
                      space_mark);
        rs_buf_printf(j->out, replace, space_mark);
        rs_buf_puts(j->out, "]},\n  \"pre_tokenizer\": null,\n");
        return;
    }
    rs_buf_printf(j->out, replace, space_mark);
    rs_buf_puts(j->out, ",\n  \"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": "
                        "{\"String\": \" \"}, \"behavior\": \"MergedWithPrevious\", "
                        "\"invert\": false},\n");
}

static void put_words(const job *j)
{
    const rs_byte_level *b = j->t->byte_level;
    rs_buf_printf(j->out,
                  "  \"normalizer\": %s,\n  \"pre_tokenizer\": {\"type\": \"Sequence\", "
                  "\"pretokenizers\": [{\"type\": \"Split\", \"pattern\": {\"Regex\": ",
                  b->nfc ? "{\"type\": \"NFC\"}" : "null");
    rs_buf_json(j->out, b->words, strlen(b->words));
    rs_buf_puts(j->out,
                "}, \"behavior\": \"Isolated\", \"invert\": false}, {\"type\": "
                "\"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": false, "
                "\"use_regex\": false}]},\n");
}

static void put_decoder(const job *j)
{
    if (j->t->byte_level) {
        rs_buf_puts(j->out, "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
                            "\"trim_offsets\": false, \"use_regex\": false},\n");
        return;
    }
    rs_buf_printf(j->out,
                  "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", "
                  "\"pattern\": {\"String\": \"%s\"}, \"content\": \" \"}, "
                  "{\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}%s]},\n",
                  space_mark,
                  j->t->strips_space ? ", {\"type\": \"Strip\", \"content\": \" \", "
                                       "\"start\": 1, \"stop\": 0}"
                                     : "");
}

static void put_shape(const job *j)
{
    if (j->t->byte_level)
        put_words(j);
    else
        put_spaces(j);
    rs_buf_puts(j->out, "  \"post_processor\": ");
    put_post_processor(j);
    rs_buf_puts(j->out, ",\n  \"decoder\": ");
    put_decoder(j);
}

static void put_model_facts(const job *j)
{
    const rs_byte_level *b = j->t->byte_level;
    rs_buf_puts(j->out, "  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n"
                        "    \"unk_token\": ");
    if (b)
        rs_buf_puts(j->out, "null");
    else
        put_named(j, "tokenizer.ggml.unknown_token_id");
    rs_buf_printf(j->out,
                  ",\n    \"continuing_subword_prefix\": null,\n"
                  "    \"end_of_word_suffix\": null,\n    \"fuse_unk\": %s,\n"
                  "    \"byte_fallback\": %s,\n    \"ignore_merges\": %s,\n",
                  b ? "false" : "true", b ? "false" : "true",
                  b && b->whole_words ? "true" : "false");
}

static rs_status put_json(const job *j, rs_err *err)
{
    rs_buf_puts(j->out, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n"
                        "  \"padding\": null,\n  \"added_tokens\": [");
    put_added(j);
    rs_buf_puts(j->out, "\n  ],\n");
    put_shape(j);
    put_model_facts(j);
    rs_buf_puts(j->out, "    \"vocab\": {");
    RS_TRY(put_vocab(j, err));
    rs_buf_puts(j->out, "\n    },\n    \"merges\": [");
    RS_TRY(put_merges(j, err));
    rs_buf_puts(j->out, "\n    ]\n  }\n}\n");
    return RS_OK;
}

static rs_status put_config(const job *j, rs_err *err)
{
    static const char *const tokens[][2] = {
        {"bos_token", "tokenizer.ggml.bos_token_id"},
        {"eos_token", "tokenizer.ggml.eos_token_id"},
        {"pad_token", "tokenizer.ggml.padding_token_id"},
        {"unk_token", "tokenizer.ggml.unknown_token_id"},
    };
    (void)err;
    rs_buf_puts(j->out, "{\n");
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        if (named(j, tokens[i][1]) < 0) continue;
        rs_buf_printf(j->out, "  \"%s\": ", tokens[i][0]);
        put_named(j, tokens[i][1]);
        rs_buf_puts(j->out, ",\n");
    }
    size_t n;
    const char *chat = rs_gguf_string(j->g, "tokenizer.chat_template", &n);
    if (chat) {
        rs_buf_puts(j->out, "  \"chat_template\": ");
        rs_buf_json(j->out, chat, n);
        rs_buf_puts(j->out, ",\n");
    }
    rs_buf_printf(j->out,
                  "  \"add_bos_token\": %s,\n  \"add_eos_token\": false,\n"
                  "  \"clean_up_tokenization_spaces\": false,\n"
                  "  \"tokenizer_class\": \"PreTrainedTokenizerFast\"\n}\n",
                  j->t->adds_bos ? "true" : "false");
    return RS_OK;
}

static rs_status write_with(const rs_checkpoint *c, rs_buf *out,
                            rs_status (*put)(const job *j, rs_err *err), rs_err *err)
{
    rs_tokenizer *t;
    RS_TRY(rs_tokenizer_from_gguf(c, &t, err));
    job j = {.g = rs_checkpoint_gguf(c), .t = t, .out = out};
    if (!t->byte_level && t->prefix == RS_PREFIX_NONE) j.longest_run = find_runs(t);
    rs_status s = put(&j, err);
    if (s != RS_OK) s = rs_err_prefix(err, "%s", rs_checkpoint_path(c));
    if (s == RS_OK && out->failed)
        s = rs_fail(err, RS_E_NOMEM, "no memory to write the tokenizer of %s",
                    rs_checkpoint_path(c));
    rs_tokenizer_free(t);
    return s;
}

rs_status rs_tokenizer_write_json(const rs_checkpoint *c, rs_buf *out, rs_err *err)
{
    return write_with(c, out, put_json, err);
}

rs_status rs_tokenizer_write_config(const rs_checkpoint *c, rs_buf *out, rs_err *err)
{
    return write_with(c, out, put_config, err);
}
