/* bpe.h - byte pair encoding: a table of merges and its application to one word.
 *
 * Again and again the adjacent pair with the lowest rank is joined, the leftmost of equals
 * (Sennrich, Haddow, Birch 2016), as Hugging Face's tokenizers do it; ranks may be equal, so
 * SentencePiece's scores fit too. Words of any length take O(n log n).
 * A border between two characters may be cut before merging where no merge has a left side
 * that ends with the one and a right side that begins with the other: then no piece can
 * reach across it. rs_bpe_may_join() tells this from the merges that were added.
 * Built by one thread, then only read. */
#ifndef RS_BPE_H
#define RS_BPE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct rs_merge {
    int32_t left, right; /* left -1: a free slot */
    uint32_t rank;
    int32_t result;
} rs_merge;

typedef struct rs_bpe {
    rs_merge *slots; /* hash table */
    uint32_t n_slots, n;
    uint64_t *joints; /* hash table of pairs of characters; 0: free */
    uint32_t n_joint_slots, n_joints;
    uint64_t ascii_joints[128][2]; /* bit b of [a]: the pair (a, b) */
    bool never_cut;                /* every pair of characters may join */
} rs_bpe;

void rs_bpe_free(rs_bpe *b);
/* A pair that is there already gets the new rank and result. false: no memory. */
bool rs_bpe_add(rs_bpe *b, int32_t left, int32_t right, uint32_t rank, int32_t result);
const rs_merge *rs_bpe_find(const rs_bpe *b, int32_t left, int32_t right); /* or NULL */
/* Some merge joins a piece that ends with the code point a to one that begins with c. */
bool rs_bpe_add_joint(rs_bpe *b, uint32_t a, uint32_t c);
bool rs_bpe_may_join(const rs_bpe *b, uint32_t a, uint32_t c);

/* Merges the word ids[0 .. n) in place; *n becomes the number of ids that are left. */
rs_status rs_bpe_merge(const rs_bpe *b, int32_t *ids, int64_t *n,
                       rs_err *err) RS_MUST_USE;

#endif
