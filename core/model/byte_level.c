#include "model/byte_level.h"

#include "base/nfc.h"
#include "base/utf8.h"
#include "model/tokenizer_internal.h"

#include <stdlib.h>
#include <string.h>

/* --- bytes and their characters --- */

static bool stands_for_itself(uint32_t c)
{
    return (c >= 33 && c <= 126) || (c >= 161 && c <= 172) || (c >= 174 && c <= 255);
}

static uint32_t character_of(unsigned char byte)
{
    uint32_t moved = 256;
    if (stands_for_itself(byte)) return byte;
    for (uint32_t c = 0; c < byte; c++)
        moved += !stands_for_itself(c);
    return moved;
}

int rs_byte_level_char(unsigned char byte, char out[4])
{
    return rs_utf8_encode(character_of(byte), out);
}

/* -1: no byte has this character. */
static int byte_of(uint32_t cp)
{
    if (cp < 256) return stands_for_itself(cp) ? (int)cp : -1;
    for (uint32_t b = 0, moved = 256; b < 256; b++)
        if (!stands_for_itself(b) && moved++ == cp) return (int)b;
    return -1;
}

void rs_byte_level_bytes(const char *piece, size_t n, rs_buf *out)
{
    size_t before = out->len;
    uint32_t cp;
    for (size_t i = 0; i < n;) {
        int len = rs_utf8_decode(piece + i, n - i, &cp);
        int byte = len > 0 ? byte_of(cp) : -1;
        if (byte < 0) {
            out->len = before;
            rs_buf_add(out, piece, n);
            return;
        }
        rs_buf_putc(out, (char)byte);
        i += (size_t)len;
    }
}

/* --- bytes as text --- */

/* How many bytes at s, which begin no character, are replaced by one U+FFFD: as many as could
 * have begun one. */
static size_t broken_part(const char *s, size_t n)
{
    unsigned char c = (unsigned char)s[0];
    size_t want = c >= 0xf0 && c <= 0xf4  ? 4
                  : c >= 0xe0 && c < 0xf0 ? 3
                  : c >= 0xc2 && c < 0xe0 ? 2
                                          : 1;
    for (size_t i = 1; i < want && i < n; i++) {
        unsigned char d = (unsigned char)s[i], low = 0x80, high = 0xbf;
        if (i == 1 && c == 0xe0) low = 0xa0;
        if (i == 1 && c == 0xed) high = 0x9f;
        if (i == 1 && c == 0xf0) low = 0x90;
        if (i == 1 && c == 0xf4) high = 0x8f;
        if (d < low || d > high) return i;
    }
    return want < n ? want : n;
}

void rs_byte_level_text(const char *bytes, size_t n, rs_buf *out)
{
    uint32_t cp;
    for (size_t i = 0; i < n;) {
        int len = rs_utf8_decode(bytes + i, n - i, &cp);
        if (len > 0) {
            rs_buf_add(out, bytes + i, (size_t)len);
            i += (size_t)len;
        } else {
            rs_buf_puts(out, "\xef\xbf\xbd");
            i += broken_part(bytes + i, n - i);
        }
    }
}

/* --- text to ids --- */

typedef struct cutter {
    const rs_tokenizer *t;
    rs_ids *ids;
    rs_status status;
    rs_err *err;
} cutter;

/* One level of cutting: the words between matches count too. */
typedef struct level {
    cutter *c;
    int next;
    const char *s;
    size_t done;
} level;

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory to tokenize");
}

static int32_t whole_word(const rs_tokenizer *t, const char *s, size_t n)
{
    char piece[RS_MAX_PIECE_BYTES + 4];
    size_t at = 0;
    for (size_t i = 0; i < n && at <= RS_MAX_PIECE_BYTES; i++)
        at += (size_t)rs_byte_level_char((unsigned char)s[i], piece + at);
    return at <= RS_MAX_PIECE_BYTES ? rs_pieces_find(&t->pieces, piece, at) : -1;
}

static rs_status add_word(cutter *c, const char *s, size_t n)
{
    const rs_tokenizer *t = c->t;
    int32_t id = t->byte_level->whole_words ? whole_word(t, s, n) : -1;
    if (id >= 0) return rs_ids_add(c->ids, id) ? RS_OK : no_memory(c->err);
    int64_t from = c->ids->n;
    for (size_t i = 0; i < n; i++)
        if (!rs_ids_add(c->ids, t->byte_id[(unsigned char)s[i]]))
            return no_memory(c->err);
    int64_t units = c->ids->n - from;
    RS_TRY(rs_bpe_merge(&t->bpe, c->ids->at + from, &units, c->err));
    c->ids->n = from + units;
    return RS_OK;
}

static rs_status cut(cutter *c, int i_split, const char *s, size_t n);

static bool one_match(void *ctx, size_t start, size_t end)
{
    level *l = ctx;
    cutter *c = l->c;
    c->status = cut(c, l->next, l->s + l->done, start - l->done);
    if (c->status == RS_OK) c->status = cut(c, l->next, l->s + start, end - start);
    l->done = end;
    return c->status == RS_OK;
}

static rs_status cut(cutter *c, int i_split, const char *s, size_t n)
{
    const rs_byte_level *b = c->t->byte_level;
    if (n == 0) return RS_OK;
    if (i_split == b->n_splits) return add_word(c, s, n);
    level l = {c, i_split + 1, s, 0};
    RS_TRY(rs_regex_each(b->split[i_split], s, n, one_match, &l, c->err));
    RS_TRY(c->status);
    return cut(c, i_split + 1, s + l.done, n - l.done);
}

static rs_status encode_valid(cutter *c, const char *s, size_t n)
{
    if (!c->t->byte_level->nfc) return cut(c, 0, s, n);
    rs_buf normal = {0};
    rs_status status = rs_nfc(s, n, &normal, c->err);
    if (status == RS_OK) status = cut(c, 0, normal.data, normal.len);
    rs_buf_free(&normal);
    return status;
}

/* A byte that belongs to no character is a word of its own. */
rs_status rs_byte_level_encode(const rs_tokenizer *t, const char *text, size_t n,
                               rs_ids *ids, rs_err *err)
{
    cutter c = {t, ids, RS_OK, err};
    uint32_t cp;
    size_t from = 0, i = 0;
    while (i < n) {
        int len = rs_utf8_decode(text + i, n - i, &cp);
        if (len > 0) {
            i += (size_t)len;
            continue;
        }
        if (i > from) RS_TRY(encode_valid(&c, text + from, i - from));
        RS_TRY(add_word(&c, text + i, 1));
        from = ++i;
    }
    return n > from ? encode_valid(&c, text + from, n - from) : RS_OK;
}

/* --- the parts of a file --- */

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
#define THE_REST "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
static const char llama3_words[] = CONTRACTIONS "\\p{N}{1,3}" THE_REST;
static const char qwen2_words[] = CONTRACTIONS "\\p{N}" THE_REST;
static const char gpt2_words[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+"
    "|\\s+(?!\\S)|\\s+";

/* By the name that tokenizer.ggml.pre has for it; of two names the first is written. */
static const struct known {
    const char *pre, *words;
    bool nfc, whole_words, adds_bos;
} known[] = {
    {"llama-bpe", llama3_words, false, true, true},
    {"llama3", llama3_words, false, true, true},
    {"llama-v3", llama3_words, false, true, true},
    {"qwen2", qwen2_words, true, false, false},
    {"gpt-2", gpt2_words, false, false, false},
};

static bool type_is(const rs_json *part, const char *type)
{
    const char *s = rs_json_string(rs_json_get(part, "type"));
    return s && strcmp(s, type) == 0;
}

/* The parts of a Sequence, or the part alone. */
static const rs_json *first_part(const rs_json *part)
{
    return type_is(part, "Sequence") ? rs_json_first(rs_json_get(part, "pretokenizers"))
                                     : part;
}

static const rs_json *next_part(const rs_json *whole, const rs_json *part)
{
    return type_is(whole, "Sequence") ? rs_json_next(part) : NULL;
}

bool rs_byte_level_is(const rs_json *pre)
{
    for (const rs_json *p = first_part(pre); p; p = next_part(pre, p))
        if (type_is(p, "ByteLevel")) return true;
    return false;
}

static rs_status add_split(rs_byte_level *b, const char *pattern, rs_err *err)
{
    if (b->n_splits == RS_MAX_SPLITS)
        return rs_fail(err, RS_E_UNSUPPORTED, "a pre_tokenizer of more than %d splits",
                       (int)RS_MAX_SPLITS);
    rs_status s = rs_regex_new(pattern, strlen(pattern), &b->split[b->n_splits], err);
    b->words = NULL;
    for (size_t i = 0; b->n_splits == 0 && i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].words, pattern) == 0) b->words = known[i].words;
    b->n_splits += s == RS_OK;
    return s;
}

static rs_status read_split(rs_byte_level *b, const rs_json *part, rs_err *err)
{
    const char *pattern =
        rs_json_string(rs_json_get(rs_json_get(part, "pattern"), "Regex"));
    const char *behavior = rs_json_string(rs_json_get(part, "behavior"));
    if (!pattern || !behavior || strcmp(behavior, "Isolated") != 0 ||
        rs_json_true(rs_json_get(part, "invert")))
        return rs_fail(
            err, RS_E_UNSUPPORTED,
            "a pre_tokenizer Split that is not a Regex whose matches are Isolated");
    return add_split(b, pattern, err);
}

static rs_status read_pre(rs_byte_level *b, const rs_json *pre, rs_err *err)
{
    for (const rs_json *p = first_part(pre); p; p = next_part(pre, p)) {
        bool bytes = type_is(p, "ByteLevel");
        if (bytes && rs_json_true(rs_json_get(p, "add_prefix_space")))
            return rs_fail(
                err, RS_E_UNSUPPORTED,
                "a ByteLevel pre_tokenizer with add_prefix_space is not supported");
        const rs_json *regex = rs_json_get(p, "use_regex");
        if (bytes && (!regex || rs_json_true(regex)))
            RS_TRY(add_split(b, gpt2_words, err));
        if (!bytes && !type_is(p, "Split"))
            return rs_fail(err, RS_E_UNSUPPORTED,
                           "a pre_tokenizer of other parts than Split and ByteLevel");
        if (!bytes) RS_TRY(read_split(b, p, err));
    }
    return RS_OK;
}

rs_status rs_byte_level_read(rs_byte_level *b, const rs_json *normalizer,
                             const rs_json *pre_tokenizer, const rs_json *decoder,
                             rs_err *err)
{
    b->nfc = type_is(normalizer, "NFC");
    if (!b->nfc && !rs_json_is_null(normalizer))
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "a byte-level tokenizer with another normalizer than NFC");
    if (!type_is(decoder, "ByteLevel"))
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "a byte-level tokenizer whose decoder is not ByteLevel");
    return read_pre(b, pre_tokenizer, err);
}

rs_status rs_byte_level_new(rs_byte_level **out, bool whole_words, rs_err *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out) return rs_fail(err, RS_E_NOMEM, "no memory for a tokenizer");
    (*out)->whole_words = whole_words;
    return RS_OK;
}

/* --- by name --- */

rs_status rs_byte_level_named(const char *pre, size_t n, rs_byte_level **out,
                              bool *adds_bos, rs_err *err)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const struct known *k = &known[i];
        if (strlen(k->pre) != n || memcmp(k->pre, pre, n) != 0) continue;
        RS_TRY(rs_byte_level_new(out, k->whole_words, err));
        (*out)->nfc = k->nfc;
        *adds_bos = k->adds_bos;
        return add_split(*out, k->words, err);
    }
    return rs_fail(err, RS_E_UNSUPPORTED,
                   "the pre-tokeniser \"%.*s\" (tokenizer.ggml.pre) is not supported; "
                   "llama-bpe, qwen2 and gpt-2 are",
                   n < 60 ? (int)n : 60, pre);
}

const char *rs_byte_level_pre(const rs_byte_level *b)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].words == b->words && known[i].nfc == b->nfc &&
            known[i].whole_words == b->whole_words)
            return known[i].pre;
    return NULL;
}

void rs_byte_level_free(rs_byte_level *b)
{
    for (int i = 0; b && i < b->n_splits; i++)
        rs_regex_free(b->split[i]);
    free(b);
}
