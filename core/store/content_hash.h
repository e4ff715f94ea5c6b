/* content_hash.h - one number for the contents of a model, whatever files hold it.
 *
 * A tensor's bytes are cut into leaves of 1 MiB; each leaf is hashed (XXH3-128), and the
 * tensor's hash is that of its leaves' hashes in order (each as 16 bytes, low word first).
 * The content hash is that of, for every tensor in order of name (as bytes): name and 0,
 * dtype's name and 0, u64 dimensions, u64 for each, the tensor's hash. So it depends neither
 * on threads, nor on chunks, nor on shards, metadata or the order of the file, and parts can
 * be hashed as they are made. Not meant against forgery: SHA-256 of the files is. */
#ifndef RS_CONTENT_HASH_H
#define RS_CONTENT_HASH_H

#include "base/hash.h"
#include "store/checkpoint.h"
#include "tensor/runtime.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RS_HASH_LEAF = 1 << 20 };

typedef struct rs_hashed_tensor {
    const char *name;
    rs_dtype dtype;
    int n_dims;
    const int64_t *dim;
    rs_hash128 hash;
} rs_hashed_tensor;

enum { RS_HASH_BYTES = 16 };

uint64_t rs_content_leaves(uint64_t n_bytes); /* how many leaves n_bytes have */
/* Hash of one leaf into out, and of a tensor from its leaves, RS_HASH_BYTES each. */
void rs_content_leaf(const void *bytes, size_t n, unsigned char out[RS_HASH_BYTES]);
rs_hash128 rs_content_join(const unsigned char *leaves, uint64_t n_leaves);
/* Of a tensor in memory. false: no memory. */
bool rs_content_tensor(const void *bytes, uint64_t n_bytes, rs_hash128 *out);
/* Sorts the tensors by name. */
rs_status rs_content_hash(rs_hashed_tensor *tensors, int n, char hex[33],
                          rs_err *err) RS_MUST_USE;

/* Reads everything. progress may be NULL. */
rs_status rs_checkpoint_content_hash(const rs_runtime *rt, const rs_checkpoint *c,
                                     rs_progress_fn progress, void *ctx, char hex[33],
                                     rs_err *err) RS_MUST_USE;

#endif
