#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

rs_hash128 rs_hash(const void *data, size_t n)
{
    XXH128_hash_t h = XXH3_128bits(data, n);
    return (rs_hash128){h.low64, h.high64};
}

struct rs_hasher {
    XXH3_state_t *state;
};

rs_hasher *rs_hasher_new(void)
{
    rs_hasher *h = malloc(sizeof *h);
    if (!h) return NULL;
    h->state = XXH3_createState();
    if (h->state && XXH3_128bits_reset(h->state) == XXH_OK) return h;
    rs_hasher_free(h);
    return NULL;
}

void rs_hasher_add(rs_hasher *h, const void *data, size_t n)
{
    (void)XXH3_128bits_update(h->state, data, n);
}

rs_hash128 rs_hasher_end(const rs_hasher *h)
{
    XXH128_hash_t d = XXH3_128bits_digest(h->state);
    return (rs_hash128){d.low64, d.high64};
}

void rs_hasher_free(rs_hasher *h)
{
    if (!h) return;
    XXH3_freeState(h->state);
    free(h);
}

void rs_hash_hex(rs_hash128 h, char hex[33])
{
    snprintf(hex, 33, "%016llx%016llx", (unsigned long long)h.high,
             (unsigned long long)h.low);
}
