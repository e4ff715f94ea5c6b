/* tokenizer.h - text to ids and back.
 *
 * Reads tokenizer.json (as a stream into compact tables, at most 60 MB for 262,144 pieces)
 * or the tokenizer inside a GGUF. Covers here: Gemma-shaped BPE (replace " " by U+2581, byte
 * fallback, added tokens cut out of the raw text leftmost-longest, merges by rank),
 * the same with a space put before the text (Llama 2, Mistral), and byte-level BPE
 * (byte_level.h); SentencePiece's GGUF form merges by score. Anything else in the file is
 * refused by name. Immutable, thread-safe after loading. Text is UTF-8; invalid bytes become
 * byte tokens.
 *
 * The space in front: a tokenizer.json says whether each part between added tokens gets it
 * (normalizer Prepend, Metaspace "always") or the start of the text alone (Metaspace
 * "first"), and Metaspace leaves alone what begins with a space. A GGUF says only that there
 * is one (add_space_prefix): there each part gets it, also where it begins with a space, as
 * llama.cpp does it. */
#ifndef RS_TOKENIZER_H
#define RS_TOKENIZER_H

#include "base/buf.h"
#include "base/status.h"
#include "store/checkpoint.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct rs_tokenizer rs_tokenizer;

/* path: a model folder (tokenizer.json, tokenizer_config.json), a tokenizer.json, or a GGUF. */
rs_status rs_tokenizer_load(const char *path, rs_tokenizer **out,
                            rs_err *err) RS_MUST_USE;
rs_status rs_tokenizer_from_gguf(const rs_checkpoint *c, rs_tokenizer **out,
                                 rs_err *err) RS_MUST_USE;
void rs_tokenizer_free(rs_tokenizer *t); /* NULL is fine */

int32_t rs_tokenizer_size(const rs_tokenizer *t); /* ids are 0 .. size-1 */
int32_t rs_tokenizer_bos(const rs_tokenizer *t);  /* -1: none */
int32_t rs_tokenizer_id(const rs_tokenizer *t,
                        const char *piece);                      /* exact piece, or -1 */
bool rs_tokenizer_is_special(const rs_tokenizer *t, int32_t id); /* a control token */
/* The piece as stored ("▁the", "<0x0A>"); "" for holes. Borrowed. */
const char *rs_tokenizer_piece(const rs_tokenizer *t, int32_t id);

typedef struct rs_ids {
    int32_t *at; /* owned; rs_ids_free */
    int64_t n, cap;
} rs_ids;
void rs_ids_free(rs_ids *ids);
bool rs_ids_add(rs_ids *ids, int32_t id); /* false: no memory */

/* add_special: put bos in front where the tokenizer says so. Appends to ids. */
rs_status rs_tokenize(const rs_tokenizer *t, const char *text, size_t n, bool add_special,
                      rs_ids *ids, rs_err *err) RS_MUST_USE;
/* Text that goes on behind what ids holds: no bos, and no space where only the start of a
 * text gets one. */
rs_status rs_tokenize_on(const rs_tokenizer *t, const char *text, size_t n, rs_ids *ids,
                         rs_err *err) RS_MUST_USE;
/* Appends the text of the ids, without the space that was put in front. Byte tokens join to
 * characters; invalid ones become U+FFFD as the reference does. */
rs_status rs_detokenize(const rs_tokenizer *t, const int32_t *ids, int64_t n,
                        bool skip_special, rs_buf *out, rs_err *err) RS_MUST_USE;
/* Appends the ids of all pieces whose text contains this; control tokens are left out. */
rs_status rs_tokenizer_ids_with(const rs_tokenizer *t, const char *text, rs_ids *ids,
                                rs_err *err) RS_MUST_USE;
/* The byte that this id stands for ("<0x0A>": 10), or -1. */
int rs_tokenizer_byte(const rs_tokenizer *t, int32_t id);
/* Pieces are any bytes, also parts of characters (Llama 3, Qwen). */
bool rs_tokenizer_is_byte_level(const rs_tokenizer *t);
/* The raw bytes that one id adds to a stream (special tokens: their text if !skip_special). */
void rs_token_bytes(const rs_tokenizer *t, int32_t id, bool skip_special, rs_buf *out);

#endif
