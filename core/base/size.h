/* size.h - arithmetic on sizes that come from files: overflow is a false, never a wrap. */
#ifndef RS_SIZE_H
#define RS_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool rs_mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool rs_add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool rs_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool rs_mul_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

#endif
