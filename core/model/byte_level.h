/* byte_level.h - tokenizers whose units are bytes (GPT-2's way): Llama 3, Qwen.
 *
 * Text is normalised (NFC, or not at all), cut into words by regular expressions, and each
 * word's bytes are merged by rank. Pieces are stored as the file has them, one character for
 * each byte: the 188 printable bytes of Latin-1 stand for themselves, the others for
 * U+0100 on, in order. */
#ifndef RS_BYTE_LEVEL_H
#define RS_BYTE_LEVEL_H

#include "base/json.h"
#include "base/regex.h"
#include "model/tokenizer.h"

enum { RS_MAX_SPLITS = 4 };

typedef struct rs_byte_level {
    rs_regex
        *split[RS_MAX_SPLITS]; /* one after the other, each on the words of the last */
    int n_splits;
    const char *words; /* the expression, if it is one alone and GGUF names it */
    bool nfc;
    bool whole_words; /* ignore_merges: a word that is a piece is that piece */
} rs_byte_level;

/* Is this the pre_tokenizer of a byte-level tokenizer? */
bool rs_byte_level_is(const rs_json *pre_tokenizer);
rs_status rs_byte_level_new(rs_byte_level **out, bool whole_words,
                            rs_err *err) RS_MUST_USE;
/* From the parts of a tokenizer.json; what is not computed here is RS_E_UNSUPPORTED. */
rs_status rs_byte_level_read(rs_byte_level *b, const rs_json *normalizer,
                             const rs_json *pre_tokenizer, const rs_json *decoder,
                             rs_err *err) RS_MUST_USE;
/* By the name that a GGUF's tokenizer.ggml.pre has for it ("llama-bpe", "qwen2", ...).
 * *adds_bos: whether such models have a bos where no key says. */
rs_status rs_byte_level_named(const char *pre, size_t n, rs_byte_level **out,
                              bool *adds_bos, rs_err *err) RS_MUST_USE;
/* That name; NULL: GGUF has none for it. */
const char *rs_byte_level_pre(const rs_byte_level *b);
void rs_byte_level_free(rs_byte_level *b); /* NULL is fine */

/* The character that stands for a byte, as UTF-8; returns its length, 1 or 2. */
int rs_byte_level_char(unsigned char byte, char out[4]);
/* Appends the ids of a text without added tokens. */
rs_status rs_byte_level_encode(const rs_tokenizer *t, const char *text, size_t n,
                               rs_ids *ids, rs_err *err) RS_MUST_USE;
/* Appends the bytes of a piece; one that is no run of such characters is its own bytes. */
void rs_byte_level_bytes(const char *piece, size_t n, rs_buf *out);
/* Appends bytes as text: each part that is no character becomes U+FFFD. */
void rs_byte_level_text(const char *bytes, size_t n, rs_buf *out);

#endif
