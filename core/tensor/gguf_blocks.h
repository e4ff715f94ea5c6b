/* gguf_blocks.h - where things lie in GGUF's quantised blocks, for all who widen them.
 *
 * A block is read byte by byte at these offsets (blocks are not aligned). d, dmin and m are
 * IEEE halves, q codes. Layout and formulas: docs/formats.md. Values of a block, in order:
 *   q8_0  32: d * i8
 *   q4_0  32: j < 16 low nibble of qs[j], then the high ones: d * (code - 8)
 *   q5_0  32: as q4_0, the fifth bit of value v is bit v of qh: d * (code - 16)
 *   q5_1  32: the same codes: d * code + m
 *   q4_k 256: eight groups of 32, 6-bit scale and minimum each: (d*sc)*code - (dmin*mn);
 *             bytes 32g.. of qs hold group 2g in the low and 2g+1 in the high nibbles
 *   q5_k 256: as q4_k, the fifth bit of value l of group k is bit k of qh[l]
 *   q6_k 256: two halves of 128, an i8 scale for each 16: (d*sc)*(code - 32) */
#ifndef RS_GGUF_BLOCKS_H
#define RS_GGUF_BLOCKS_H

#include <stdint.h>

// clang-format off
enum {
    RS_Q8_0_D = 0, RS_Q8_0_QS = 2,
    RS_Q4_0_D = 0, RS_Q4_0_QS = 2,
    RS_Q5_0_D = 0, RS_Q5_0_QH = 2, RS_Q5_0_QS = 6,
    RS_Q5_1_D = 0, RS_Q5_1_M = 2, RS_Q5_1_QH = 4, RS_Q5_1_QS = 8,
    RS_Q4_K_D = 0, RS_Q4_K_DMIN = 2, RS_Q4_K_SCALES = 4, RS_Q4_K_QS = 16,
    RS_Q5_K_D = 0, RS_Q5_K_DMIN = 2, RS_Q5_K_SCALES = 4, RS_Q5_K_QH = 16, RS_Q5_K_QS = 48,
    RS_Q6_K_QL = 0, RS_Q6_K_QH = 128, RS_Q6_K_SCALES = 192, RS_Q6_K_D = 208
};
// clang-format on

/* Scale and minimum of group k (0-7) out of the 12 packed bytes of q4_k and q5_k. */
static inline void rs_k_scale_min(const uint8_t *s, int k, int *sc, int *mn)
{
    if (k < 4) {
        *sc = s[k] & 63;
        *mn = s[k + 4] & 63;
    } else {
        *sc = (s[k + 4] & 15) | (s[k - 4] >> 6) << 4;
        *mn = s[k + 4] >> 4 | (s[k] >> 6) << 4;
    }
}

#endif
