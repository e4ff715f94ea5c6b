/* Fuzz target: any bytes as a GGUF file: every key and tensor is used, and its config made. */
#include "store/gguf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long touched; /* so that reads are not left out */

static void use_value(const rs_gguf_value *v)
{
    int64_t i64;
    double d;
    size_t n = 0;
    for (int64_t i = 0; i < v->count; i++) {
        if (rs_gguf_int_at(v, i, &i64)) touched += (unsigned long)i64;
        if (rs_gguf_number_at(v, i, &d)) touched += d > 0;
        const char *s = rs_gguf_string_at(v, i, &n);
        for (size_t k = 0; s && k < n; k++)
            touched += (unsigned char)s[k];
    }
}

static void use_tensor(const rs_gguf *g, const rs_tensor *t, uint64_t size)
{
    char name[4096], shape[256];
    float shift = 0;
    rs_tensor_shape(t, shape, sizeof shape);
    rs_gguf_hf_name(rs_gguf_arch(g), t->stored_name, name, sizeof name, &shift);
    bool inside = t->n_bytes <= size && t->offset <= size - t->n_bytes;
    if (t->n_bytes > 0 && !inside) abort();
    int64_t heads = 0;
    if (rs_gguf_paired_heads(g, t, &heads, NULL) == RS_OK && heads > 0 &&
        t->dim[0] % (2 * heads) != 0)
        abort();
    if (t->n_dims > RS_MAX_DIMS || rs_gguf_find(g, t->stored_name) != t) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rs_gguf *g = NULL;
    rs_err err;
    rs_buf config = {0};
    if (rs_gguf_parse(data, size, size, "f", &g, &err) != RS_OK) return 0;
    for (int i = 0; i < rs_gguf_n_keys(g); i++)
        use_value(rs_gguf_key_at(g, i));
    for (int i = 0; i < rs_gguf_n_tensors(g); i++)
        use_tensor(g, rs_gguf_tensor(g, i), size);
    if (rs_gguf_config_json(g, &config, &err) == RS_OK) touched += config.len;
    rs_buf_free(&config);
    rs_gguf_free(g);
    return 0;
}
