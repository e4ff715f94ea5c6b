/* hash.h - content hashes: XXH3-128, inside passes that read the bytes anyway. Hex strings are
 * lower-case and end with a 0. */
#ifndef RS_HASH_H
#define RS_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct rs_hash128 {
    uint64_t low, high;
} rs_hash128;

rs_hash128 rs_hash(const void *data, size_t n);

typedef struct rs_hasher rs_hasher; /* streaming form of rs_hash; NULL: no memory */
rs_hasher *rs_hasher_new(void);
void rs_hasher_add(rs_hasher *h, const void *data, size_t n);
rs_hash128 rs_hasher_end(const rs_hasher *h);
void rs_hasher_free(rs_hasher *h);

void rs_hash_hex(rs_hash128 h, char hex[33]);

#endif
