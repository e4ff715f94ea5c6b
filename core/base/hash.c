#include "base/hash.h"

#include "base/os.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

enum { HASH_CHUNK = 1 << 20 };

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

rs_sha256 *rs_sha256_new(void)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (c && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1) return (rs_sha256 *)c;
    EVP_MD_CTX_free(c);
    return NULL;
}

void rs_sha256_add(rs_sha256 *h, const void *data, size_t n)
{
    (void)EVP_DigestUpdate((EVP_MD_CTX *)h, data, n);
}

void rs_sha256_end(rs_sha256 *h, char hex[65])
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    (void)EVP_DigestFinal_ex((EVP_MD_CTX *)h, md, &n);
    EVP_MD_CTX_free((EVP_MD_CTX *)h);
    for (unsigned i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", i < n ? md[i] : 0u);
}

static rs_status hash_fd(int fd, const char *path, uint64_t size, rs_sha256 *h,
                         rs_err *err)
{
    char *chunk = malloc(HASH_CHUNK);
    if (!chunk) return rs_fail(err, RS_E_NOMEM, "no memory to hash %s", path);
    rs_status s = RS_OK;
    for (uint64_t at = 0; at < size && s == RS_OK; at += HASH_CHUNK) {
        size_t n = size - at < HASH_CHUNK ? (size_t)(size - at) : HASH_CHUNK;
        s = rs_os_read(fd, path, at, chunk, n, err);
        if (s == RS_OK) rs_sha256_add(h, chunk, n);
    }
    free(chunk);
    return s;
}

rs_status rs_sha256_file(const char *path, char hex[65], rs_err *err)
{
    int fd;
    uint64_t size;
    RS_TRY(rs_os_open(path, &fd, &size, err));
    rs_sha256 *h = rs_sha256_new();
    rs_status s = h ? hash_fd(fd, path, size, h, err)
                    : rs_fail(err, RS_E_NOMEM, "no memory to hash %s", path);
    if (h) rs_sha256_end(h, hex);
    rs_os_close(fd);
    return s;
}
