/* quantise.h - float32 to GGUF's blocks, bit for bit as the format's reference does it.
 *
 * For each block of 32 values, all steps in float32:
 *   q8_0  d = max |x| / 127, id = 1/d; code = x id rounded, halves away from zero
 *   q4_0  m = the x of largest |x| with its sign, the first of equals (0 if all are 0);
 *         d = m / -8, id = 1/d; code = min(15, x id + 8.5 cut toward zero)
 * The stored scale is d rounded to half, the codes come from the unrounded d. id is 0 where d
 * is 0 or so small that 1/d overflows: the stored scale is 0 there in any case, and the
 * reference says nothing. Layout: gguf_blocks.h. */
#ifndef RS_QUANTISE_H
#define RS_QUANTISE_H

#include "tensor/dtype.h"

#include <stdbool.h>
#include <stdint.h>

bool rs_quantise_takes(rs_dtype d); /* Q8_0 and Q4_0 */

/* n finite values, a multiple of 32, to n/32 blocks. false: some scale is too large for a
 * half (|x| above 8,300,000 in q8_0, 520,000 in q4_0): the blocks are no good. */
bool rs_quantise(rs_dtype d, const float *src, void *blocks, int64_t n);

#endif
