#include "tensor/dtype.h"

#include "base/size.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

// clang-format off
static const rs_dtype_info table[RS_N_DTYPES] = {
    [RS_DTYPE_F64]     = {"f64",     "F64",     28,  1, 8, true, false},
    [RS_DTYPE_F32]     = {"f32",     "F32",      0,  1, 4, true, false},
    [RS_DTYPE_F16]     = {"f16",     "F16",      1,  1, 2, true, false},
    [RS_DTYPE_BF16]    = {"bf16",    "BF16",    30,  1, 2, true, false},
    [RS_DTYPE_I64]     = {"i64",     "I64",     27,  1, 8, false, false},
    [RS_DTYPE_I32]     = {"i32",     "I32",     26,  1, 4, false, false},
    [RS_DTYPE_I16]     = {"i16",     "I16",     25,  1, 2, false, false},
    [RS_DTYPE_I8]      = {"i8",      "I8",      24,  1, 1, false, false},
    [RS_DTYPE_U64]     = {"u64",     "U64",     -1,  1, 8, false, false},
    [RS_DTYPE_U32]     = {"u32",     "U32",     -1,  1, 4, false, false},
    [RS_DTYPE_U16]     = {"u16",     "U16",     -1,  1, 2, false, false},
    [RS_DTYPE_U8]      = {"u8",      "U8",      -1,  1, 1, false, false},
    [RS_DTYPE_BOOL]    = {"bool",    "BOOL",    -1,  1, 1, false, false},
    [RS_DTYPE_F8_E4M3] = {"f8_e4m3", "F8_E4M3", -1,  1, 1, false, false},
    [RS_DTYPE_F8_E5M2] = {"f8_e5m2", "F8_E5M2", -1,  1, 1, false, false},
    [RS_DTYPE_Q8_0]    = {"q8_0",    NULL,       8,  32,  34, false, true},
    [RS_DTYPE_Q4_0]    = {"q4_0",    NULL,       2,  32,  18, false, true},
    [RS_DTYPE_Q5_0]    = {"q5_0",    NULL,       6,  32,  22, false, true},
    [RS_DTYPE_Q5_1]    = {"q5_1",    NULL,       7,  32,  24, false, true},
    [RS_DTYPE_Q4_K]    = {"q4_k",    NULL,      12, 256, 144, false, true},
    [RS_DTYPE_Q5_K]    = {"q5_k",    NULL,      13, 256, 176, false, true},
    [RS_DTYPE_Q6_K]    = {"q6_k",    NULL,      14, 256, 210, false, true},
};
// clang-format on

const rs_dtype_info *rs_dtype_of(rs_dtype d)
{
    return &table[d];
}

const char *rs_dtype_name(rs_dtype d)
{
    return table[d].name;
}

bool rs_dtype_bytes(rs_dtype d, int64_t n, uint64_t *bytes)
{
    if (n < 0 || n % table[d].block != 0) return false;
    return rs_mul_u64((uint64_t)(n / table[d].block), (uint64_t)table[d].block_bytes,
                      bytes);
}

bool rs_dtype_from_name(const char *name, rs_dtype *out)
{
    static const struct {
        const char *name;
        rs_dtype dtype;
    } torch[] = {
        {"float64", RS_DTYPE_F64},   {"float32", RS_DTYPE_F32}, {"float16", RS_DTYPE_F16},
        {"bfloat16", RS_DTYPE_BF16}, {"int64", RS_DTYPE_I64},   {"int32", RS_DTYPE_I32},
        {"int16", RS_DTYPE_I16},     {"int8", RS_DTYPE_I8},     {"uint8", RS_DTYPE_U8},
    };
    if (strncmp(name, "torch.", 6) == 0) name += 6;
    for (int d = 0; d < RS_N_DTYPES; d++)
        if (strcasecmp(name, table[d].name) == 0) return *out = (rs_dtype)d, true;
    for (size_t i = 0; i < sizeof torch / sizeof *torch; i++)
        if (strcmp(name, torch[i].name) == 0) return *out = torch[i].dtype, true;
    return false;
}

bool rs_dtype_from_gguf(uint32_t type, rs_dtype *out)
{
    for (int d = 0; d < RS_N_DTYPES; d++)
        if (table[d].gguf >= 0 && (uint32_t)table[d].gguf == type)
            return *out = (rs_dtype)d, true;
    return false;
}

bool rs_dtype_is_numeric(rs_dtype d)
{
    return d != RS_DTYPE_F8_E4M3 && d != RS_DTYPE_F8_E5M2 && d != RS_DTYPE_I64 &&
           d != RS_DTYPE_U64;
}

bool rs_dtype_is_computed(rs_dtype d)
{
    const rs_dtype_info *info = rs_dtype_of(d);
    return info->is_float || info->is_quantised;
}
