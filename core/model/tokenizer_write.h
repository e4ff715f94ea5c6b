/* tokenizer_write.h - a Hugging Face tokenizer out of the one inside a GGUF.
 *
 * tokenizer.json is BPE in Gemma's shape (a space becomes U+2581, byte fallback), with a
 * space before the text where the GGUF has add_space_prefix, or byte-level BPE. Where the
 * GGUF has scores and no merges, every way to make a plain piece out of two others is a
 * merge; they are ordered by the score of the piece, the longest left side first. That is
 * the order of Gemma's own list. Two pieces of equal score, which SentencePiece would join
 * from left to right, get the order of their ids. Control and user-defined pieces become
 * added tokens.
 *
 * Gemma 3's GGUF has runs of spaces as user-defined pieces where tokenizer.json has runs of
 * U+2581. If all lengths from 2 to the longest are there (at most 64) and U+2581 is a piece,
 * they are written as runs of U+2581, with merges before all others, longest run first:
 * these give the same ids to spaces as cutting out does. Only a text with U+2581 itself is
 * read differently, as the original tokenizer does it.
 *
 * Both functions append to out. Pieces that are not UTF-8 are RS_E_UNSUPPORTED. */
#ifndef RS_TOKENIZER_WRITE_H
#define RS_TOKENIZER_WRITE_H

#include "base/buf.h"
#include "base/status.h"
#include "store/checkpoint.h"

/* c: an open GGUF. */
rs_status rs_tokenizer_write_json(const rs_checkpoint *c, rs_buf *out,
                                  rs_err *err) RS_MUST_USE;
/* tokenizer_config.json: the special tokens by name, add_bos_token, the chat template. */
rs_status rs_tokenizer_write_config(const rs_checkpoint *c, rs_buf *out,
                                    rs_err *err) RS_MUST_USE;

#endif
