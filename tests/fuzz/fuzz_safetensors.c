/* Fuzz target: any bytes as a safetensors file; what is accepted must describe the file. */
#include "base/bytes.h"
#include "store/safetensors.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const rs_safetensors *s, uint64_t start, uint64_t size)
{
    uint64_t at = start;
    for (int i = 0; i < s->n_tensors; i++) {
        const rs_tensor *t = &s->tensors[i];
        char shape[256];
        rs_tensor_shape(t, shape, sizeof shape);
        if (t->offset != at || t->n_dims > RS_MAX_DIMS || strlen(t->name) == 0) abort();
        at += t->n_bytes;
    }
    if (at != size) abort();
    for (int i = 0; i < s->n_metadata; i++)
        if (!s->metadata[i].key || !s->metadata[i].value) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 8 || rs_le64(data) > size - 8) return 0; /* refused before parsing */
    size_t n = (size_t)rs_le64(data);
    char *header = malloc(n ? n : 1);
    if (!header) return 0;
    memcpy(header, data + 8, n);
    rs_arena arena = {0};
    rs_safetensors out;
    rs_err err;
    if (rs_safetensors_parse(header, n, "f", size, &arena, &out, &err) == RS_OK)
        check(&out, 8 + n, size);
    rs_arena_free(&arena);
    free(header);
    return 0;
}
