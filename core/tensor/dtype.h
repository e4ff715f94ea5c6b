/* dtype.h - element types of stored tensors, plain and in GGUF blocks.
 *
 * Plain types have blocks of one element. GGUF types store blocks of 32 or 256 elements
 * along a row; a row is always a whole number of blocks. Layouts: gguf_blocks.h. */
#ifndef RS_DTYPE_H
#define RS_DTYPE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum rs_dtype {
    RS_DTYPE_F64,
    RS_DTYPE_F32,
    RS_DTYPE_F16,
    RS_DTYPE_BF16,
    RS_DTYPE_I64,
    RS_DTYPE_I32,
    RS_DTYPE_I16,
    RS_DTYPE_I8,
    RS_DTYPE_U64,
    RS_DTYPE_U32,
    RS_DTYPE_U16,
    RS_DTYPE_U8,
    RS_DTYPE_BOOL,
    RS_DTYPE_F8_E4M3, /* carried through, never computed with */
    RS_DTYPE_F8_E5M2,
    RS_DTYPE_Q8_0,
    RS_DTYPE_Q4_0,
    RS_DTYPE_Q5_0,
    RS_DTYPE_Q5_1,
    RS_DTYPE_Q4_K,
    RS_DTYPE_Q5_K,
    RS_DTYPE_Q6_K,
    RS_N_DTYPES
} rs_dtype;

typedef struct rs_dtype_info {
    const char *name;        /* as people write it: "bf16", "q4_k" */
    const char *safetensors; /* "BF16"; NULL if that format has no such type */
    int gguf;                /* GGUF's type number, -1 if none */
    int block;               /* elements of a block */
    int block_bytes;
    bool is_float;           /* F64, F32, F16, BF16 */
    bool is_quantised;
} rs_dtype_info;

const rs_dtype_info *rs_dtype_of(rs_dtype d);
const char *rs_dtype_name(rs_dtype d);

/* Bytes of n elements. false: overflow, or n is not a whole number of blocks. */
bool rs_dtype_bytes(rs_dtype d, int64_t n, uint64_t *bytes);

/* Looks a name up: safetensors' spelling ("BF16"), ours ("bf16"), torch's ("bfloat16").
 * false: unknown. */
bool rs_dtype_from_name(const char *name, rs_dtype *out);
bool rs_dtype_from_gguf(uint32_t type, rs_dtype *out);

/* Computable: can be widened to float32 (floats, integers of at most 32 bits, blocks). */
bool rs_dtype_is_numeric(rs_dtype d);
/* Weights that are computed with: floats of 16 bits and more, and GGUF blocks. */
bool rs_dtype_is_computed(rs_dtype d);

#endif
