/* bytes.h - little-endian numbers out of and into byte arrays, without casts. */
#ifndef RS_BYTES_H
#define RS_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t rs_le16(const void *p)
{
    const unsigned char *b = p;
    return (uint16_t)(b[0] | b[1] << 8);
}

static inline uint32_t rs_le32(const void *p)
{
    const unsigned char *b = p;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
           (uint32_t)b[3] << 24;
}

static inline uint64_t rs_le64(const void *p)
{
    const unsigned char *b = p;
    return (uint64_t)rs_le32(b) | (uint64_t)rs_le32(b + 4) << 32;
}

static inline void rs_put_le64(void *p, uint64_t v)
{
    unsigned char *b = p;
    for (int i = 0; i < 8; i++)
        b[i] = (unsigned char)(v >> (8 * i));
}

#endif
