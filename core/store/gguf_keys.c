/* The keys of a GGUF that is to be written. */
#include "base/bytes.h"
#include "store/gguf_internal.h"
#include "store/gguf_write.h"

#include <string.h>

void rs_gguf_bytes_u64(rs_buf *b, uint64_t v)
{
    unsigned char bytes[8];
    rs_put_le64(bytes, v);
    rs_buf_add(b, bytes, sizeof bytes);
}

void rs_gguf_bytes_u32(rs_buf *b, uint32_t v)
{
    unsigned char bytes[8];
    rs_put_le64(bytes, v);
    rs_buf_add(b, bytes, 4);
}

static void start(rs_gguf_keys *k, const char *key, rs_gguf_type type)
{
    rs_gguf_add_string(k, key, strlen(key));
    rs_gguf_bytes_u32(&k->bytes, (uint32_t)type);
    k->n++;
}

void rs_gguf_keys_free(rs_gguf_keys *k)
{
    rs_buf_free(&k->bytes);
    k->n = 0;
}

void rs_gguf_add_u32(rs_gguf_keys *k, uint32_t v)
{
    rs_gguf_bytes_u32(&k->bytes, v);
}

void rs_gguf_add_f32(rs_gguf_keys *k, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    rs_gguf_bytes_u32(&k->bytes, bits);
}

void rs_gguf_add_bool(rs_gguf_keys *k, bool v)
{
    rs_buf_putc(&k->bytes, v);
}

void rs_gguf_add_string(rs_gguf_keys *k, const char *s, size_t n)
{
    rs_gguf_bytes_u64(&k->bytes, n);
    rs_buf_add(&k->bytes, s, n);
}

void rs_gguf_put_u32(rs_gguf_keys *k, const char *key, uint32_t v)
{
    start(k, key, RS_GGUF_U32);
    rs_gguf_add_u32(k, v);
}

void rs_gguf_put_f32(rs_gguf_keys *k, const char *key, float v)
{
    start(k, key, RS_GGUF_F32);
    rs_gguf_add_f32(k, v);
}

void rs_gguf_put_bool(rs_gguf_keys *k, const char *key, bool v)
{
    start(k, key, RS_GGUF_BOOL);
    rs_gguf_add_bool(k, v);
}

void rs_gguf_put_string(rs_gguf_keys *k, const char *key, const char *s, size_t n)
{
    start(k, key, RS_GGUF_STRING);
    rs_gguf_add_string(k, s, n);
}

void rs_gguf_put_array(rs_gguf_keys *k, const char *key, rs_gguf_type type, uint64_t n)
{
    start(k, key, RS_GGUF_ARRAY);
    rs_gguf_bytes_u32(&k->bytes, (uint32_t)type);
    rs_gguf_bytes_u64(&k->bytes, n);
}

static size_t bytes_of(const rs_gguf_value *v)
{
    size_t n = 0;
    int each = rs_gguf_type_bytes(v->type);
    if (each) return (size_t)v->count * (size_t)each;
    for (int64_t i = 0; i < v->count; i++)
        n += 8 + (size_t)rs_le64(v->data + v->string_at[i]);
    return n;
}

void rs_gguf_put_value(rs_gguf_keys *k, const rs_gguf_value *v)
{
    if (v->is_array)
        rs_gguf_put_array(k, v->key, v->type, (uint64_t)v->count);
    else
        start(k, v->key, v->type);
    rs_buf_add(&k->bytes, v->data, bytes_of(v));
}
