/* gguf_build.h - GGUF files for tests, written part by part, true or false. */
#ifndef GGUF_BUILD_H
#define GGUF_BUILD_H

#include "store/gguf.h"
#include "tests/files.h"

typedef struct gguf_build {
    rs_buf keys, tensors, data;
    uint64_t n_keys, n_tensors;
    uint32_t version, alignment;
} gguf_build;

#define GGUF_BUILD ((gguf_build){.version = 3, .alignment = 32})

UNUSED void gb_u32(rs_buf *b, uint32_t v)
{
    unsigned char bytes[4] = {(unsigned char)v, (unsigned char)(v >> 8),
                              (unsigned char)(v >> 16), (unsigned char)(v >> 24)};
    rs_buf_add(b, bytes, 4);
}

UNUSED void gb_u64(rs_buf *b, uint64_t v)
{
    unsigned char bytes[8];
    rs_put_le64(bytes, v);
    rs_buf_add(b, bytes, 8);
}

UNUSED void gb_text(rs_buf *b, const char *s, size_t n)
{
    gb_u64(b, n);
    rs_buf_add(b, s, n);
}

/* The start of a key: its value is to be appended to g->keys. */
UNUSED void gb_key(gguf_build *g, const char *key, rs_gguf_type type)
{
    gb_text(&g->keys, key, strlen(key));
    gb_u32(&g->keys, type);
    g->n_keys++;
}

UNUSED void gb_array(gguf_build *g, const char *key, rs_gguf_type type, uint64_t count)
{
    gb_key(g, key, RS_GGUF_ARRAY);
    gb_u32(&g->keys, type);
    gb_u64(&g->keys, count);
}

UNUSED void gb_string(gguf_build *g, const char *key, const char *value)
{
    gb_key(g, key, RS_GGUF_STRING);
    gb_text(&g->keys, value, strlen(value));
}

UNUSED void gb_int(gguf_build *g, const char *key, uint32_t v)
{
    gb_key(g, key, RS_GGUF_U32);
    gb_u32(&g->keys, v);
}

UNUSED void gb_float(gguf_build *g, const char *key, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, 4);
    gb_key(g, key, RS_GGUF_F32);
    gb_u32(&g->keys, bits);
}

UNUSED void gb_bool(gguf_build *g, const char *key, bool v)
{
    gb_key(g, key, RS_GGUF_BOOL);
    rs_buf_putc(&g->keys, v);
}

/* An entry with any numbers; dims in the file's order, fastest first. */
UNUSED void gb_entry(gguf_build *g, const char *name, uint32_t n_dims,
                     const uint64_t *dims, uint32_t type, uint64_t offset)
{
    gb_text(&g->tensors, name, strlen(name));
    gb_u32(&g->tensors, n_dims);
    for (uint32_t i = 0; i < n_dims; i++)
        gb_u64(&g->tensors, dims[i]);
    gb_u32(&g->tensors, type);
    gb_u64(&g->tensors, offset);
    g->n_tensors++;
}

/* A tensor of `rows` rows (0: a vector) with its n bytes. */
UNUSED void gb_tensor(gguf_build *g, const char *name, rs_dtype type, uint64_t rows,
                      uint64_t cols, const void *bytes, size_t n)
{
    uint64_t dims[2] = {cols, rows};
    while (g->data.len % g->alignment != 0)
        rs_buf_putc(&g->data, 0);
    gb_entry(g, name, rows ? 2 : 1, dims, (uint32_t)rs_dtype_of(type)->gguf, g->data.len);
    rs_buf_add(&g->data, bytes, n);
}

/* Gemma 4: a quarter of the pairs of a full layer's head turn. */
UNUSED void gb_frequencies(gguf_build *g, int head)
{
    float divisor[256];
    for (int i = 0; i < head / 2; i++)
        divisor[i] = i < head / 8 ? 1 : 1e30f;
    gb_tensor(g, "rope_freqs.weight", RS_DTYPE_F32, 0, (uint64_t)head / 2, divisor,
              (size_t)head / 2 * 4);
}

/* The whole file; frees the parts. */
UNUSED rs_buf gb_file(gguf_build *g)
{
    rs_buf f = {0};
    rs_buf_puts(&f, "GGUF");
    gb_u32(&f, g->version);
    gb_u64(&f, g->n_tensors);
    gb_u64(&f, g->n_keys);
    rs_buf_add(&f, rs_buf_str(&g->keys), g->keys.len);
    rs_buf_add(&f, rs_buf_str(&g->tensors), g->tensors.len);
    while (g->alignment && f.len % g->alignment != 0)
        rs_buf_putc(&f, 0);
    rs_buf_add(&f, rs_buf_str(&g->data), g->data.len);
    rs_buf_free(&g->keys);
    rs_buf_free(&g->tensors);
    rs_buf_free(&g->data);
    kept(f.data);
    return f;
}

UNUSED void gb_save(gguf_build *g, const char *path)
{
    rs_buf f = gb_file(g);
    put_file(path, f.data, f.len);
}

#endif
