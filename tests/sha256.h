/* sha256.h - SHA-256 for tests, whose reference data has it. */
#ifndef TESTS_SHA256_H
#define TESTS_SHA256_H

#include <openssl/evp.h>
#include <stdio.h>

static inline EVP_MD_CTX *sha256_new(void)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (c && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1) return c;
    EVP_MD_CTX_free(c);
    return NULL;
}

/* Frees c. */
static inline void sha256_end(EVP_MD_CTX *c, char hex[65])
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    (void)EVP_DigestFinal_ex(c, md, &n);
    EVP_MD_CTX_free(c);
    for (unsigned i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", i < n ? md[i] : 0u);
}

#endif
