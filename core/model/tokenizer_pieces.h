/* tokenizer_pieces.h - the vocabulary: pieces of text and their ids, both ways. Internal.
 *
 * About 20 bytes a piece and its text. Built by one thread, then only read. Piece texts end
 * with a 0 that does not count and may contain zeros. */
#ifndef RS_TOKENIZER_PIECES_H
#define RS_TOKENIZER_PIECES_H

#include "base/buf.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { RS_MAX_PIECES = 1 << 22, RS_MAX_PIECE_BYTES = 1024 };

enum {
    RS_PIECE_PRESENT = 1, /* ids without it are holes */
    RS_PIECE_SPECIAL = 2, /* a control token */
    RS_PIECE_ADDED = 4    /* cut out of the text before anything else */
};

typedef struct rs_piece {
    uint32_t start; /* into text */
    uint16_t length;
    uint8_t flags;
} rs_piece;

typedef struct rs_piece_slot {
    uint32_t hash; /* most lookups that miss never touch the text */
    int32_t id;    /* -1: free */
} rs_piece_slot;

typedef struct rs_pieces {
    rs_buf text;
    rs_piece *at;   /* [n] */
    int32_t n, cap; /* ids are 0 .. n-1 */
    int32_t n_present;
    rs_piece_slot *slots; /* hash table */
    uint32_t n_slots;     /* 0 or a power of two */
} rs_pieces;

void rs_pieces_free(rs_pieces *p);
/* Gives id to the text. Doing it twice the same way is fine; two texts for one id or two ids
 * for one text are RS_E_FORMAT. */
rs_status rs_pieces_put(rs_pieces *p, int64_t id, const char *text, size_t n,
                        rs_err *err) RS_MUST_USE;
int32_t rs_pieces_find(const rs_pieces *p, const char *text,
                       size_t n); /* -1: no such piece */
/* The piece that is a and b joined. */
int32_t rs_pieces_find_joined(const rs_pieces *p, const char *a, size_t n_a,
                              const char *b, size_t n_b);

static inline const char *rs_piece_text(const rs_pieces *p, int32_t id)
{
    return p->text.data + p->at[id].start;
}

static inline bool rs_piece_is(const rs_pieces *p, int32_t id, int flag)
{
    return (p->at[id].flags & flag) != 0;
}

#endif
