#include "base/bytes.h"
#include "store/gguf_internal.h"

#include <math.h>
#include <string.h>

int rs_gguf_type_bytes(rs_gguf_type t)
{
    static const int bytes[RS_GGUF_N_TYPES] = {
        [RS_GGUF_U8] = 1,  [RS_GGUF_I8] = 1,  [RS_GGUF_U16] = 2, [RS_GGUF_I16] = 2,
        [RS_GGUF_U32] = 4, [RS_GGUF_I32] = 4, [RS_GGUF_F32] = 4, [RS_GGUF_BOOL] = 1,
        [RS_GGUF_U64] = 8, [RS_GGUF_I64] = 8, [RS_GGUF_F64] = 8,
    };
    return bytes[t];
}

int rs_gguf_n_keys(const rs_gguf *g)
{
    return g->n_keys;
}
const rs_gguf_value *rs_gguf_key_at(const rs_gguf *g, int i)
{
    return &g->keys[i];
}

const rs_gguf_value *rs_gguf_get(const rs_gguf *g, const char *key)
{
    int64_t i = rs_map_find(&g->key_map, key);
    return i < 0 ? NULL : &g->keys[i];
}

static const unsigned char *element(const rs_gguf_value *v, int64_t i)
{
    return v->data + i * rs_gguf_type_bytes(v->type);
}

static double double_of(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

bool rs_gguf_number_at(const rs_gguf_value *v, int64_t i, double *out)
{
    int64_t whole;
    if (v->type == RS_GGUF_F32) return *out = float_of(rs_le32(element(v, i))), true;
    if (v->type == RS_GGUF_F64) return *out = double_of(rs_le64(element(v, i))), true;
    if (!rs_gguf_int_at(v, i, &whole)) return false;
    *out = (double)whole;
    return true;
}

static bool whole_float(const rs_gguf_value *v, int64_t i, int64_t *out)
{
    double d;
    if (!rs_gguf_number_at(v, i, &d) || !(fabs(d) <= 0x1p53) || d != floor(d))
        return false;
    *out = (int64_t)d;
    return true;
}

bool rs_gguf_int_at(const rs_gguf_value *v, int64_t i, int64_t *out)
{
    const unsigned char *p = element(v, i);
    switch (v->type) {
    case RS_GGUF_U8:
        return *out = *p, true;
    case RS_GGUF_BOOL:
        return *out = *p != 0, true;
    case RS_GGUF_I8:
        return *out = (int8_t)*p, true;
    case RS_GGUF_U16:
        return *out = rs_le16(p), true;
    case RS_GGUF_I16:
        return *out = (int16_t)rs_le16(p), true;
    case RS_GGUF_U32:
        return *out = rs_le32(p), true;
    case RS_GGUF_I32:
        return *out = (int32_t)rs_le32(p), true;
    case RS_GGUF_I64:
        return *out = (int64_t)rs_le64(p), true;
    case RS_GGUF_U64:
        return *out = (int64_t)rs_le64(p), *out >= 0;
    case RS_GGUF_F32:
    case RS_GGUF_F64:
        return whole_float(v, i, out);
    default:
        return false;
    }
}

const char *rs_gguf_string_at(const rs_gguf_value *v, int64_t i, size_t *n)
{
    if (v->type != RS_GGUF_STRING) return NULL;
    const unsigned char *p = v->data + v->string_at[i];
    *n = (size_t)rs_le64(p);
    return (const char *)p + 8;
}

static const rs_gguf_value *single(const rs_gguf *g, const char *key)
{
    const rs_gguf_value *v = rs_gguf_get(g, key);
    return v && !v->is_array ? v : NULL;
}

bool rs_gguf_int(const rs_gguf *g, const char *key, int64_t *out)
{
    const rs_gguf_value *v = single(g, key);
    return v && rs_gguf_int_at(v, 0, out);
}

bool rs_gguf_number(const rs_gguf *g, const char *key, double *out)
{
    const rs_gguf_value *v = single(g, key);
    return v && rs_gguf_number_at(v, 0, out);
}

bool rs_gguf_bool(const rs_gguf *g, const char *key, bool *out)
{
    const rs_gguf_value *v = single(g, key);
    if (!v || v->type != RS_GGUF_BOOL) return false;
    *out = v->data[0] != 0;
    return true;
}

const char *rs_gguf_string(const rs_gguf *g, const char *key, size_t *n)
{
    const rs_gguf_value *v = single(g, key);
    return v ? rs_gguf_string_at(v, 0, n) : NULL;
}

const char *rs_gguf_arch(const rs_gguf *g)
{
    return g->arch;
}
int rs_gguf_n_tensors(const rs_gguf *g)
{
    return g->n_tensors;
}
const rs_tensor *rs_gguf_tensor(const rs_gguf *g, int i)
{
    return &g->tensors[i];
}
uint64_t rs_gguf_data_start(const rs_gguf *g)
{
    return g->data_start;
}
rs_hash128 rs_gguf_hash(const rs_gguf *g)
{
    return g->hash;
}

const rs_tensor *rs_gguf_find(const rs_gguf *g, const char *stored_name)
{
    int64_t i = rs_map_find(&g->tensor_map, stored_name);
    return i < 0 ? NULL : &g->tensors[i];
}
