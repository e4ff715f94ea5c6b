/* tokenizer_internal.h - what the files of the tokenizer share.
 *
 * A tokenizer is a vocabulary (pieces), merges (bpe), the added tokens that are cut out of
 * the raw text first, and a few facts. tokenizer_json.c and tokenizer_gguf.c fill one from
 * a file, tokenizer.c applies it. Text becomes units in Gemma's way (a space becomes U+2581,
 * a character without a piece its bytes) or in GPT-2's (byte_level.h). */
#ifndef RS_TOKENIZER_INTERNAL_H
#define RS_TOKENIZER_INTERNAL_H

#include "base/json.h"
#include "model/bpe.h"
#include "model/byte_level.h"
#include "model/tokenizer.h"
#include "model/tokenizer_pieces.h"

/* Added tokens, sorted by their bytes, so that all that begin alike are neighbours. */
typedef struct rs_added_token {
    const char *text; /* borrowed from the pieces */
    uint32_t n;
    int32_t id;
} rs_added_token;

typedef struct rs_added {
    rs_added_token *at;
    int32_t n;
    int32_t first
        [257]; /* those that begin with byte b: at[first[b]] .. at[first[b + 1] - 1] */
} rs_added;

/* From the pieces that have RS_PIECE_ADDED. false: no memory. */
bool rs_added_build(rs_added *a, const rs_pieces *p);
void rs_added_free(rs_added *a);
/* The longest added token that text begins with, or NULL. */
const rs_added_token *rs_added_match(const rs_added *a, const char *text, size_t n);

/* Where text gets a space in front that it does not have (SentencePiece's dummy prefix).
 * Texts are cut at added tokens; a part is what stands between two of them. */
typedef enum rs_prefix {
    RS_PREFIX_NONE,
    RS_PREFIX_FIRST, /* only the part that begins the text */
    RS_PREFIX_EVERY, /* each part */
} rs_prefix;

struct rs_tokenizer {
    rs_pieces pieces;
    rs_bpe bpe;
    rs_added added;
    int32_t byte_id[256]; /* the piece of each byte */
    int16_t *byte_value;  /* [pieces.n]: which byte the piece stands for, or -1 */
    int32_t
        ascii_id[128]; /* the piece of each character, -1: none; [' '] that of U+2581 */
    rs_byte_level *byte_level; /* NULL: Gemma's units */
    rs_prefix prefix;
    bool prefix_doubles; /* also where the part begins with a space */
    bool cuts_at_spaces; /* a word begins at each U+2581 */
    bool strips_space;   /* decoding leaves out one space at the start */
    int32_t bos;         /* -1: none */
    bool adds_bos;
};

/* A merge of ids, its joint included. */
rs_status rs_tokenizer_add_merge(rs_tokenizer *t, int32_t left, int32_t right,
                                 uint32_t rank, int32_t result, rs_err *err) RS_MUST_USE;
/* Once pieces and merges are complete: byte pieces, added tokens, tables. */
rs_status rs_tokenizer_finish(rs_tokenizer *t, rs_err *err) RS_MUST_USE;

/* t is zeroed. path: the tokenizer.json; its tokenizer_config.json is looked for beside it. */
rs_status rs_tokenizer_read_json(rs_tokenizer *t, const char *path,
                                 rs_err *err) RS_MUST_USE;
rs_status rs_tokenizer_read_gguf(rs_tokenizer *t, const rs_checkpoint *c,
                                 rs_err *err) RS_MUST_USE;

/* The parts of a tokenizer.json besides its vocabulary, as they were found (NULL: absent). */
typedef struct rs_tokenizer_parts {
    rs_json *normalizer, *pre_tokenizer, *post_processor, *decoder;
    char model_type[32];
    bool byte_fallback, ignore_merges, has_dropout, has_affixes;
} rs_tokenizer_parts;

/* tokenizer_shape.c: is this the shape that we compute? If not, RS_E_UNSUPPORTED and a
 * sentence that names the part. Sets units, prefix, bos and adds_bos. */
rs_status rs_tokenizer_check_shape(rs_tokenizer *t, const rs_tokenizer_parts *parts,
                                   rs_err *err) RS_MUST_USE;

#endif
