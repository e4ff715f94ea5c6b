#include "store/safetensors.h"

#include "base/bytes.h"
#include "base/json_pull.h"
#include "base/map.h"
#include "base/size.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Numbers that JSON can hold exactly. */
static const int64_t max_number = (int64_t)1 << 53;

/* Tables grow on the heap and move into the arena when their sizes are known. */
typedef struct parse {
    uint64_t data_start, data_bytes;
    rs_arena *arena;
    rs_pull *json;
    rs_tensor *tensors;
    int n_tensors, cap_tensors;
    rs_string_pair *metadata;
    int n_metadata, cap_metadata;
    bool has_metadata;
    rs_map names;
} parse;

/* One tensor's entry as far as it was read. */
typedef struct entry {
    rs_tensor t;
    bool has_dtype, has_shape, has_offsets;
    int64_t begin, end;
} entry;

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory for the header");
}

static bool grow(void *table, size_t each, int n, int *cap)
{
    void *old;
    memcpy(&old, table, sizeof old);
    if (n < *cap) return true;
    if (n > INT32_MAX / 2) return false;
    int more = n ? 2 * n : 64;
    void *p = realloc(old, (size_t)more * each);
    if (!p) return false;
    memcpy(table, &p, sizeof p);
    *cap = more;
    return true;
}

static rs_status read_pair(parse *p, const rs_pull_event *key, rs_err *err)
{
    rs_pull_event e;
    if (!grow(&p->metadata, sizeof *p->metadata, p->n_metadata, &p->cap_metadata))
        return no_memory(err);
    rs_string_pair *m = &p->metadata[p->n_metadata];
    m->key = rs_arena_strndup(p->arena, key->text, key->n);
    if (!m->key) return no_memory(err);
    RS_TRY(rs_pull_next(p->json, &e, err));
    if (e.kind != RS_PULL_STRING)
        return rs_fail(err, RS_E_FORMAT, "__metadata__ \"%.100s\" is not a string",
                       m->key);
    m->value = rs_arena_strndup(p->arena, e.text, e.n);
    if (!m->value) return no_memory(err);
    p->n_metadata++;
    return RS_OK;
}

static rs_status read_metadata(parse *p, rs_err *err)
{
    rs_pull_event e;
    RS_TRY(rs_pull_next(p->json, &e, err));
    if (e.kind != RS_PULL_OBJECT)
        return rs_fail(err, RS_E_FORMAT, "__metadata__ is not an object");
    if (p->has_metadata) return rs_fail(err, RS_E_FORMAT, "it has __metadata__ twice");
    p->has_metadata = true;
    while (true) {
        RS_TRY(rs_pull_next(p->json, &e, err));
        if (e.kind == RS_PULL_OBJECT_END) return RS_OK;
        RS_TRY(read_pair(p, &e, err));
    }
}

static rs_status read_dtype(parse *p, entry *t, rs_err *err)
{
    rs_pull_event e;
    RS_TRY(rs_pull_next(p->json, &e, err));
    if (e.kind != RS_PULL_STRING)
        return rs_fail(err, RS_E_FORMAT, "its dtype is not a string");
    if (t->has_dtype) return rs_fail(err, RS_E_FORMAT, "its dtype is given twice");
    t->has_dtype = true;
    for (int d = 0; d < RS_N_DTYPES; d++) {
        const char *known = rs_dtype_of((rs_dtype)d)->safetensors;
        if (known && rs_pull_is(&e, known)) return t->t.dtype = (rs_dtype)d, RS_OK;
    }
    return rs_fail(err, RS_E_UNSUPPORTED, "its dtype \"%.*s\" is not known here",
                   e.n < 40 ? (int)e.n : 40, e.text);
}

static rs_status read_shape(parse *p, entry *t, rs_err *err)
{
    rs_pull_event e;
    RS_TRY(rs_pull_next(p->json, &e, err));
    if (e.kind != RS_PULL_ARRAY)
        return rs_fail(err, RS_E_FORMAT, "its shape is not an array");
    if (t->has_shape) return rs_fail(err, RS_E_FORMAT, "its shape is given twice");
    t->has_shape = true;
    while (true) {
        RS_TRY(rs_pull_next(p->json, &e, err));
        if (e.kind == RS_PULL_ARRAY_END) return RS_OK;
        if (e.kind != RS_PULL_NUMBER)
            return rs_fail(err, RS_E_FORMAT,
                           "its shape holds something else than numbers");
        if (t->t.n_dims == RS_MAX_DIMS)
            return rs_fail(err, RS_E_UNSUPPORTED, "it has more than %d dimensions",
                           RS_MAX_DIMS);
        RS_TRY(rs_pull_int(p->json, &e, 0, max_number, "a dimension",
                           &t->t.dim[t->t.n_dims++], err));
    }
}

static rs_status read_offsets(parse *p, entry *t, rs_err *err)
{
    rs_pull_event e;
    RS_TRY(rs_pull_next(p->json, &e, err));
    if (t->has_offsets)
        return rs_fail(err, RS_E_FORMAT, "its data_offsets are given twice");
    t->has_offsets = true;
    int64_t *const out[] = {&t->begin, &t->end};
    bool ok = e.kind == RS_PULL_ARRAY;
    for (int i = 0; ok && i < 2; i++) {
        RS_TRY(rs_pull_next(p->json, &e, err));
        ok = e.kind == RS_PULL_NUMBER;
        if (ok)
            RS_TRY(rs_pull_int(p->json, &e, 0, max_number, "a data offset", out[i], err));
    }
    if (ok) RS_TRY(rs_pull_next(p->json, &e, err));
    if (ok && e.kind == RS_PULL_ARRAY_END) return RS_OK;
    return rs_fail(err, RS_E_FORMAT, "its data_offsets are not an array of two numbers");
}

static rs_status read_entry(parse *p, entry *t, rs_err *err)
{
    rs_pull_event e;
    RS_TRY(rs_pull_next(p->json, &e, err));
    if (e.kind != RS_PULL_OBJECT)
        return rs_fail(err, RS_E_FORMAT, "its entry is not an object");
    while (true) {
        RS_TRY(rs_pull_next(p->json, &e, err));
        if (e.kind == RS_PULL_OBJECT_END) break;
        if (rs_pull_is(&e, "dtype")) {
            RS_TRY(read_dtype(p, t, err));
        } else if (rs_pull_is(&e, "shape")) {
            RS_TRY(read_shape(p, t, err));
        } else if (rs_pull_is(&e, "data_offsets")) {
            RS_TRY(read_offsets(p, t, err));
        } else {
            RS_TRY(rs_pull_next(p->json, &e, err));
            RS_TRY(rs_pull_skip(p->json, &e, err));
        }
    }
    if (t->has_dtype && t->has_shape && t->has_offsets) return RS_OK;
    return rs_fail(err, RS_E_FORMAT, "it has no %s",
                   !t->has_dtype   ? "dtype"
                   : !t->has_shape ? "shape"
                                   : "data_offsets");
}

/* Shape, type and offsets agree with each other and with the file. */
static rs_status check_entry(const parse *p, entry *t, rs_err *err)
{
    rs_tensor *out = &t->t;
    out->n_elements = 1;
    for (int i = 0; i < out->n_dims; i++)
        if (!rs_mul_i64(out->n_elements, out->dim[i], &out->n_elements))
            return rs_fail(err, RS_E_FORMAT, "the product of its dimensions overflows");
    if (!rs_dtype_bytes(out->dtype, out->n_elements, &out->n_bytes))
        return rs_fail(err, RS_E_FORMAT, "its size in bytes overflows");
    if (t->end < t->begin)
        return rs_fail(err, RS_E_FORMAT,
                       "it ends at %" PRId64 ", before its start %" PRId64, t->end,
                       t->begin);
    if ((uint64_t)t->end > p->data_bytes)
        return rs_fail(err, RS_E_FORMAT,
                       "it ends at %" PRId64 " but the file has %" PRIu64
                       " bytes of data",
                       t->end, p->data_bytes);
    if ((uint64_t)(t->end - t->begin) != out->n_bytes) {
        char shape[128];
        rs_tensor_shape(out, shape, sizeof shape);
        return rs_fail(err, RS_E_FORMAT,
                       "%s needs %" PRIu64 " bytes but its offsets span %" PRId64, shape,
                       out->n_bytes, t->end - t->begin);
    }
    out->offset = p->data_start + (uint64_t)t->begin;
    return RS_OK;
}

static rs_status read_tensor(parse *p, const rs_pull_event *key, rs_err *err)
{
    entry e = {0};
    bool was = false;
    if (key->n == 0 || memchr(key->text, 0, key->n))
        return rs_fail(err, RS_E_FORMAT, "a tensor's name is empty or has a zero in it");
    char *name = rs_arena_strndup(p->arena, key->text, key->n);
    if (!name || !grow(&p->tensors, sizeof *p->tensors, p->n_tensors, &p->cap_tensors) ||
        !rs_map_put(&p->names, name, key->n, p->n_tensors, &was))
        return no_memory(err);
    if (was) return rs_fail(err, RS_E_FORMAT, "it has the tensor %.200s twice", name);
    rs_status s = read_entry(p, &e, err);
    if (s == RS_OK) s = check_entry(p, &e, err);
    if (s != RS_OK) return rs_err_prefix(err, "tensor %.200s", name);
    e.t.name = e.t.stored_name = name;
    p->tensors[p->n_tensors++] = e.t;
    return RS_OK;
}

static int by_offset(const void *pa, const void *pb)
{
    const rs_tensor *a = pa, *b = pb;
    if (a->offset != b->offset) return a->offset < b->offset ? -1 : 1;
    if (a->n_bytes != b->n_bytes) return a->n_bytes < b->n_bytes ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* The tensors must follow each other without gap to the end of the file. */
static rs_status check_cover(const parse *p, rs_err *err)
{
    const char *before = "?";
    uint64_t at = p->data_start, end = p->data_start + p->data_bytes;
    for (int i = 0; i < p->n_tensors; i++) {
        const rs_tensor *t = &p->tensors[i];
        if (t->offset < at)
            return rs_fail(err, RS_E_FORMAT,
                           "tensors %.150s and %.150s share %" PRIu64
                           " bytes at data offset %" PRIu64,
                           before, t->name, at - t->offset, t->offset - p->data_start);
        if (t->offset > at)
            return rs_fail(err, RS_E_FORMAT,
                           "%" PRIu64 " bytes before tensor %.200s belong to no tensor",
                           t->offset - at, t->name);
        at = t->offset + t->n_bytes;
        before = t->name;
    }
    if (at != end)
        return rs_fail(err, RS_E_FORMAT,
                       "%" PRIu64 " bytes after the last tensor belong to no tensor",
                       end - at);
    return RS_OK;
}

static rs_status read_members(parse *p, rs_err *err)
{
    rs_pull_event e;
    RS_TRY(rs_pull_next(p->json, &e, err));
    if (e.kind != RS_PULL_OBJECT)
        return rs_fail(err, RS_E_FORMAT, "the header is not a JSON object");
    while (true) {
        RS_TRY(rs_pull_next(p->json, &e, err));
        if (e.kind == RS_PULL_OBJECT_END) break;
        RS_TRY(rs_pull_is(&e, "__metadata__") ? read_metadata(p, err)
                                              : read_tensor(p, &e, err));
    }
    RS_TRY(rs_pull_need(p->json, RS_PULL_END, &e, err));
    if (p->n_tensors > 1)
        qsort(p->tensors, (size_t)p->n_tensors, sizeof *p->tensors, by_offset);
    return check_cover(p, err);
}

/* Moves the tables into the arena. */
static rs_status hand_over(const parse *p, rs_safetensors *out, rs_err *err)
{
    out->tensors = rs_arena_array(p->arena, (size_t)p->n_tensors, sizeof *out->tensors);
    out->metadata =
        rs_arena_array(p->arena, (size_t)p->n_metadata, sizeof *out->metadata);
    if (!out->tensors || !out->metadata) return no_memory(err);
    if (p->n_tensors)
        memcpy(out->tensors, p->tensors, (size_t)p->n_tensors * sizeof *out->tensors);
    if (p->n_metadata)
        memcpy(out->metadata, p->metadata, (size_t)p->n_metadata * sizeof *out->metadata);
    out->n_tensors = p->n_tensors;
    out->n_metadata = p->n_metadata;
    return RS_OK;
}

rs_status rs_safetensors_parse(const char *header, size_t n, const char *path,
                               uint64_t file_bytes, rs_arena *a, rs_safetensors *out,
                               rs_err *err)
{
    *out = (rs_safetensors){.hash = rs_hash(header, n)};
    uint64_t start = 8 + (uint64_t)n;
    if (file_bytes < start)
        return rs_fail(err, RS_E_FORMAT,
                       "%s: the header of %zu bytes ends after the file", path, n);
    parse p = {.data_start = start, .data_bytes = file_bytes - start, .arena = a};
    rs_status s = rs_pull_memory(header, n, "the header", &p.json, err);
    if (s == RS_OK) s = read_members(&p, err);
    if (s == RS_OK) s = hand_over(&p, out, err);
    rs_pull_close(p.json);
    rs_map_free(&p.names);
    free(p.tensors);
    free(p.metadata);
    return s == RS_OK ? s : rs_err_prefix(err, "%s", path);
}

static rs_status header_length(int fd, const char *path, uint64_t size, uint64_t *n,
                               rs_err *err)
{
    unsigned char first[8];
    if (size < sizeof first)
        return rs_fail(err, RS_E_FORMAT,
                       "%s has %" PRIu64 " bytes: too short to be a safetensors file",
                       path, size);
    RS_TRY(rs_os_read(fd, path, 0, first, sizeof first, err));
    *n = rs_le64(first);
    if (*n > size - sizeof first)
        return rs_fail(err, RS_E_FORMAT,
                       "%s: its header should have %" PRIu64
                       " bytes but the file has %" PRIu64
                       " (not a safetensors file, or cut short)",
                       path, *n, size);
    if (*n > RS_SAFETENSORS_MAX_HEADER)
        return rs_fail(err, RS_E_FORMAT,
                       "%s: a header of %" PRIu64 " bytes, at most %d are accepted", path,
                       *n, (int)RS_SAFETENSORS_MAX_HEADER);
    return RS_OK;
}

rs_status rs_safetensors_read(int fd, const char *path, uint64_t size, rs_arena *a,
                              rs_safetensors *out, rs_err *err)
{
    uint64_t n = 0;
    *out = (rs_safetensors){0};
    RS_TRY(header_length(fd, path, size, &n, err));
    char *text = malloc((size_t)n + 1);
    if (!text) return rs_fail(err, RS_E_NOMEM, "no memory for the header of %s", path);
    rs_status s = rs_os_read(fd, path, 8, text, (size_t)n, err);
    if (s == RS_OK) s = rs_safetensors_parse(text, (size_t)n, path, size, a, out, err);
    free(text);
    return s;
}
