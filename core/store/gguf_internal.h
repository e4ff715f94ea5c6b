/* gguf_internal.h - what gguf.c parses and gguf_values.c gives out, and the
 * numbers of what is written. */
#ifndef RS_GGUF_INTERNAL_H
#define RS_GGUF_INTERNAL_H

#include "base/arena.h"
#include "base/map.h"
#include "store/gguf.h"

struct rs_gguf {
    rs_arena arena;
    unsigned char *header; /* owned */
    const char *path;      /* owned */
    const char *arch;
    uint64_t file_bytes, data_start;
    uint32_t alignment;
    rs_gguf_value *keys;
    int n_keys;
    rs_tensor *tensors;
    int n_tensors;
    rs_map key_map, tensor_map;
    rs_hash128 hash;
    float *rope_factors; /* owned; NULL: none */
    int n_rope_factors;
};

/* Bytes of one element; 0: a string or an array, whose size varies. */
int rs_gguf_type_bytes(rs_gguf_type t);

/* gguf_keys.c: appends a number, little-endian. */
void rs_gguf_bytes_u64(rs_buf *b, uint64_t v);
void rs_gguf_bytes_u32(rs_buf *b, uint32_t v);

#endif
