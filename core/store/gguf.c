#include "store/gguf.h"

#include "base/bytes.h"
#include "base/size.h"
#include "base/utf8.h"
#include "store/gguf_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_READ = 8 << 20,         /* holds the header of nearly every file */
    MAX_HEADER = FIRST_READ * 64, /* read in parts that grow by 4 */
    MAX_NAME = 1024,
    MAX_GGUF_DIMS = 4,
    MAX_ALIGNMENT = 1 << 20,
    LEAST_KEY = 8 + 4 + 1,               /* bytes of the shortest key and value */
    LEAST_TENSOR = 8 + 1 + 4 + 8 + 4 + 8 /* and of the shortest tensor entry */
};

/* Reading from the front. `more` is set when the bytes in memory, not the file, were too
 * few: then a larger part has to be read and parsed again. */
typedef struct cursor {
    rs_gguf *g;
    const unsigned char *p;
    size_t at, n;
    bool more;
    rs_err *err;
} cursor;

static rs_status no_memory(cursor *c)
{
    return rs_fail(c->err, RS_E_NOMEM, "no memory for the header of %s", c->g->path);
}

static rs_status need(cursor *c, uint64_t bytes, const char *what)
{
    if (bytes <= c->n - c->at) return RS_OK;
    uint64_t left = c->g->file_bytes - c->at;
    c->more = bytes <= left;
    if (c->more)
        return rs_fail(c->err, RS_E_FORMAT,
                       "%s: its header does not end within %d MB: not read here",
                       c->g->path, MAX_HEADER >> 20);
    return rs_fail(c->err, RS_E_FORMAT,
                   "%s: %s at %zu takes %" PRIu64 " bytes but only %" PRIu64
                   " are left (cut short, or not true)",
                   c->g->path, what, c->at, bytes, left);
}

static rs_status get_u32(cursor *c, uint32_t *v, const char *what)
{
    RS_TRY(need(c, 4, what));
    *v = rs_le32(c->p + c->at);
    c->at += 4;
    return RS_OK;
}

static rs_status get_u64(cursor *c, uint64_t *v, const char *what)
{
    RS_TRY(need(c, 8, what));
    *v = rs_le64(c->p + c->at);
    c->at += 8;
    return RS_OK;
}

/* A name: short, UTF-8, without zero bytes; copied into the arena. */
static rs_status get_name(cursor *c, const char **name, const char *what)
{
    uint64_t n;
    size_t start = c->at;
    RS_TRY(get_u64(c, &n, what));
    if (n == 0 || n > MAX_NAME)
        return rs_fail(c->err, RS_E_FORMAT,
                       "%s: %s at %zu has %" PRIu64 " bytes, 1 to %d are accepted",
                       c->g->path, what, start, n, MAX_NAME);
    RS_TRY(need(c, n, what));
    const char *text = (const char *)c->p + c->at;
    if (memchr(text, 0, (size_t)n) || !rs_utf8_valid(text, (size_t)n))
        return rs_fail(c->err, RS_E_FORMAT, "%s: %s at %zu is not valid UTF-8 text",
                       c->g->path, what, start);
    *name = rs_arena_strndup(&c->g->arena, text, (size_t)n);
    c->at += (size_t)n;
    return *name ? RS_OK : no_memory(c);
}

static rs_status get_type(cursor *c, const char *key, rs_gguf_type *out)
{
    uint32_t t;
    RS_TRY(get_u32(c, &t, "a value's type"));
    if (t >= RS_GGUF_N_TYPES)
        return rs_fail(c->err, RS_E_FORMAT,
                       "%s: key %.200s has the unknown type %" PRIu32, c->g->path, key,
                       t);
    *out = (rs_gguf_type)t;
    return RS_OK;
}

/* Walks over the strings, noting where each begins. */
static rs_status get_strings(cursor *c, rs_gguf_value *v)
{
    uint32_t *at = rs_arena_array(&c->g->arena, (size_t)v->count, sizeof *at);
    if (!at) return no_memory(c);
    size_t start = c->at;
    for (int64_t i = 0; i < v->count; i++) {
        uint64_t n;
        at[i] = (uint32_t)(c->at - start); /* below MAX_HEADER */
        RS_TRY(get_u64(c, &n, "a string"));
        RS_TRY(need(c, n, "a string"));
        c->at += (size_t)n;
    }
    v->string_at = at;
    return RS_OK;
}

static rs_status get_elements(cursor *c, rs_gguf_value *v, uint64_t count)
{
    uint64_t least =
                 v->type == RS_GGUF_STRING ? 8 : (uint64_t)rs_gguf_type_bytes(v->type),
             bytes;
    if (!rs_mul_u64(count, least, &bytes) || count > INT64_MAX)
        return rs_fail(c->err, RS_E_FORMAT, "%s: key %.200s has %" PRIu64 " elements",
                       c->g->path, v->key, count);
    RS_TRY(need(c, bytes, "a value"));
    v->count = (int64_t)count;
    v->data = c->p + c->at;
    if (v->type == RS_GGUF_STRING) return get_strings(c, v);
    c->at += (size_t)bytes;
    return RS_OK;
}

static rs_status get_key(cursor *c, rs_gguf_value *v)
{
    uint64_t count = 1;
    RS_TRY(get_name(c, &v->key, "the name of a key"));
    RS_TRY(get_type(c, v->key, &v->type));
    if (v->type == RS_GGUF_ARRAY) {
        v->is_array = true;
        RS_TRY(get_type(c, v->key, &v->type));
        if (v->type == RS_GGUF_ARRAY)
            return rs_fail(c->err, RS_E_UNSUPPORTED,
                           "%s: key %.200s is an array of arrays, which is not read here",
                           c->g->path, v->key);
        RS_TRY(get_u64(c, &count, "an array's length"));
    }
    return get_elements(c, v, count);
}

static rs_status get_keys(cursor *c, uint64_t n)
{
    rs_gguf *g = c->g;
    for (uint64_t i = 0; i < n; i++) {
        rs_gguf_value *v = &g->keys[i];
        RS_TRY(get_key(c, v));
        bool was = false;
        if (!rs_map_put(&g->key_map, v->key, strlen(v->key), (int64_t)i, &was))
            return no_memory(c);
        if (was)
            return rs_fail(c->err, RS_E_FORMAT, "%s has the key %.200s twice", g->path,
                           v->key);
        g->n_keys++;
    }
    return RS_OK;
}

/* ---- tensors ---- */

static rs_status get_dims(cursor *c, rs_tensor *t)
{
    uint32_t n_dims;
    RS_TRY(get_u32(c, &n_dims, "a tensor's dimensions"));
    if (n_dims > MAX_GGUF_DIMS)
        return rs_fail(c->err, RS_E_FORMAT,
                       "%s: tensor %.200s has %" PRIu32
                       " dimensions, at most %d are defined",
                       c->g->path, t->name, n_dims, MAX_GGUF_DIMS);
    t->n_dims = (int)n_dims;
    t->n_elements = 1;
    for (int i = t->n_dims - 1; i >= 0; i--) { /* stored fastest first */
        uint64_t dim;
        RS_TRY(get_u64(c, &dim, "a tensor's dimensions"));
        if (dim > INT64_MAX || !rs_mul_i64(t->n_elements, (int64_t)dim, &t->n_elements))
            return rs_fail(c->err, RS_E_FORMAT,
                           "%s: the product of tensor %.200s's dimensions overflows",
                           c->g->path, t->name);
        t->dim[i] = (int64_t)dim;
    }
    return RS_OK;
}

static const char *foreign_type(uint32_t type)
{
    static const char *const names[] = {
        [3] = "Q4_1",    [9] = "Q8_1",     [10] = "Q2_K",   [11] = "Q3_K",
        [15] = "Q8_K",   [16] = "IQ2_XXS", [17] = "IQ2_XS", [18] = "IQ3_XXS",
        [19] = "IQ1_S",  [20] = "IQ4_NL",  [21] = "IQ3_S",  [22] = "IQ2_S",
        [23] = "IQ4_XS", [29] = "IQ1_M",   [34] = "TQ1_0",  [35] = "TQ2_0",
        [39] = "MXFP4",
    };
    const char *name = type < sizeof names / sizeof *names ? names[type] : NULL;
    return name ? name : "unknown";
}

static rs_status get_tensor_type(cursor *c, rs_tensor *t)
{
    uint32_t type;
    RS_TRY(get_u32(c, &type, "a tensor's type"));
    if (!rs_dtype_from_gguf(type, &t->dtype))
        return rs_fail(
            c->err, RS_E_UNSUPPORTED,
            "%s: tensor %.200s has type %" PRIu32
            " (%s): f32, f16, bf16, q8_0, q4_0, q5_0, q5_1, q4_k, q5_k and q6_k are "
            "read here",
            c->g->path, t->name, type, foreign_type(type));
    int64_t row = t->n_dims ? t->dim[t->n_dims - 1] : 1;
    if (row % rs_dtype_of(t->dtype)->block != 0)
        return rs_fail(c->err, RS_E_FORMAT,
                       "%s: tensor %.200s has rows of %" PRId64
                       " values, which are no whole blocks of %s",
                       c->g->path, t->name, row, rs_dtype_name(t->dtype));
    if (!rs_dtype_bytes(t->dtype, t->n_elements, &t->n_bytes))
        return rs_fail(c->err, RS_E_FORMAT, "%s: tensor %.200s's size in bytes overflows",
                       c->g->path, t->name);
    return RS_OK;
}

static rs_status get_tensor(cursor *c, rs_tensor *t)
{
    RS_TRY(get_name(c, &t->name, "the name of a tensor"));
    t->stored_name = t->name;
    RS_TRY(get_dims(c, t));
    RS_TRY(get_tensor_type(c, t));
    RS_TRY(get_u64(c, &t->offset, "a tensor's offset"));
    if (t->offset % c->g->alignment != 0)
        return rs_fail(c->err, RS_E_FORMAT,
                       "%s: tensor %.200s begins at %" PRIu64
                       ", not at a multiple of %" PRIu32,
                       c->g->path, t->name, t->offset, c->g->alignment);
    return RS_OK;
}

static rs_status get_tensors(cursor *c, uint64_t n)
{
    rs_gguf *g = c->g;
    for (uint64_t i = 0; i < n; i++) {
        rs_tensor *t = &g->tensors[i];
        RS_TRY(get_tensor(c, t));
        bool was = false;
        if (!rs_map_put(&g->tensor_map, t->name, strlen(t->name), (int64_t)i, &was))
            return no_memory(c);
        if (was)
            return rs_fail(c->err, RS_E_FORMAT, "%s has the tensor %.200s twice", g->path,
                           t->name);
        g->n_tensors++;
    }
    return RS_OK;
}

static int by_offset(const void *pa, const void *pb)
{
    const rs_tensor *a = *(rs_tensor *const *)pa, *b = *(rs_tensor *const *)pb;
    if (a->offset != b->offset) return a->offset < b->offset ? -1 : 1;
    if (a->n_bytes != b->n_bytes) return a->n_bytes < b->n_bytes ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* Offsets become absolute; every tensor inside the file, none on top of another. */
static rs_status place_tensors(cursor *c)
{
    rs_gguf *g = c->g;
    uint64_t data = g->data_start <= g->file_bytes ? g->file_bytes - g->data_start : 0;
    rs_tensor **order = rs_arena_array(&g->arena, (size_t)g->n_tensors, sizeof *order);
    if (!order) return no_memory(c);
    for (int i = 0; i < g->n_tensors; i++) {
        rs_tensor *t = order[i] = &g->tensors[i];
        if (t->offset > data || t->n_bytes > data - t->offset)
            return rs_fail(c->err, RS_E_FORMAT,
                           "%s: tensor %.200s of %" PRIu64 " bytes at %" PRIu64
                           " does not fit the %" PRIu64 " bytes of data (cut short?)",
                           g->path, t->name, t->n_bytes, t->offset, data);
        t->offset += g->data_start;
    }
    if (g->n_tensors > 1) qsort(order, (size_t)g->n_tensors, sizeof *order, by_offset);
    for (int i = 1; i < g->n_tensors; i++)
        if (order[i]->offset < order[i - 1]->offset + order[i - 1]->n_bytes)
            return rs_fail(c->err, RS_E_FORMAT, "%s: tensors %.150s and %.150s overlap",
                           g->path, order[i - 1]->name, order[i]->name);
    return RS_OK;
}

/* ---- the whole header ---- */

static rs_status get_start(cursor *c, uint64_t *n_tensors, uint64_t *n_keys)
{
    const char *path = c->g->path;
    uint32_t magic, version;
    RS_TRY(get_u32(c, &magic, "the start"));
    if (magic != 0x46554747u)
        return rs_fail(c->err, RS_E_FORMAT, "%s does not begin with \"GGUF\"", path);
    RS_TRY(get_u32(c, &version, "the version"));
    if (version != 2 && version != 3)
        return rs_fail(c->err, RS_E_UNSUPPORTED,
                       "%s is GGUF version %" PRIu32 "%s: versions 2 and 3 are read here",
                       path, version, version & 0xffffu ? "" : " (perhaps big-endian)");
    RS_TRY(get_u64(c, n_tensors, "the number of tensors"));
    RS_TRY(get_u64(c, n_keys, "the number of keys"));
    uint64_t left = c->g->file_bytes - c->at;
    if (*n_keys > left / LEAST_KEY || *n_tensors > left / LEAST_TENSOR ||
        *n_keys > MAX_HEADER / LEAST_KEY || *n_tensors > MAX_HEADER / LEAST_TENSOR)
        return rs_fail(c->err, RS_E_FORMAT,
                       "%s claims %" PRIu64 " keys and %" PRIu64
                       " tensors, more than its %" PRIu64 " bytes can hold",
                       path, *n_keys, *n_tensors, c->g->file_bytes);
    return RS_OK;
}

static rs_status read_arch(cursor *c)
{
    size_t n = 0;
    const char *text = rs_gguf_string(c->g, "general.architecture", &n);
    c->g->arch = rs_arena_strndup(&c->g->arena, text ? text : "", n);
    return c->g->arch ? RS_OK : no_memory(c);
}

static rs_status read_alignment(cursor *c)
{
    int64_t a = 32;
    if (rs_gguf_get(c->g, "general.alignment") &&
        !rs_gguf_int(c->g, "general.alignment", &a))
        a = 0;
    if (a < 1 || a > MAX_ALIGNMENT || (a & (a - 1)) != 0)
        return rs_fail(c->err, RS_E_FORMAT,
                       "%s: general.alignment is not a power of two up to %d", c->g->path,
                       (int)MAX_ALIGNMENT);
    c->g->alignment = (uint32_t)a;
    return RS_OK;
}

static rs_status parse_header(cursor *c)
{
    rs_gguf *g = c->g;
    uint64_t n_tensors, n_keys;
    RS_TRY(get_start(c, &n_tensors, &n_keys));
    /* Entries take more room in memory than in the file, so ask for the bytes first. */
    RS_TRY(need(c, n_keys * LEAST_KEY + n_tensors * LEAST_TENSOR, "the header"));
    g->keys = rs_arena_array(&g->arena, (size_t)n_keys, sizeof *g->keys);
    g->tensors = rs_arena_array(&g->arena, (size_t)n_tensors, sizeof *g->tensors);
    if (!g->keys || !g->tensors) return no_memory(c);
    RS_TRY(get_keys(c, n_keys));
    RS_TRY(read_arch(c));
    RS_TRY(read_alignment(c));
    RS_TRY(get_tensors(c, n_tensors));
    g->data_start = ((uint64_t)c->at + g->alignment - 1) / g->alignment * g->alignment;
    g->hash = rs_hash(c->p, c->at);
    return place_tensors(c);
}

static void forget(rs_gguf *g)
{
    rs_map_free(&g->key_map);
    rs_map_free(&g->tensor_map);
    rs_arena_free(&g->arena);
    g->n_keys = g->n_tensors = 0;
}

/* Parses the first n bytes of the file, which it takes. *more: try a longer part. */
static rs_status try_parse(rs_gguf *g, unsigned char *bytes, size_t n, bool *more,
                           rs_err *err)
{
    free(g->header);
    g->header = bytes;
    forget(g);
    cursor c = {g, bytes, 0, n, false, err};
    rs_status s = parse_header(&c);
    *more = s != RS_OK && c.more;
    return s;
}

static rs_gguf *new_gguf(const char *path, uint64_t size)
{
    rs_gguf *g = calloc(1, sizeof *g);
    char *copy = strdup(path);
    if (!g || !copy) return free(g), free(copy), NULL;
    g->path = copy;
    g->file_bytes = size;
    return g;
}

/* ---- the one tensor that the config depends on ---- */

enum { MAX_PAIRS = 512 }; /* of the longest head */

static const rs_tensor *rope_table(const rs_gguf *g)
{
    const rs_tensor *t = rs_gguf_find(g, "rope_freqs.weight");
    bool fits = t && t->dtype == RS_DTYPE_F32 && t->n_dims == 1 && t->n_elements > 0 &&
                t->n_elements <= MAX_PAIRS;
    return fits ? t : NULL;
}

static rs_status keep_rope_table(rs_gguf *g, const rs_tensor *t,
                                 const unsigned char *bytes, rs_err *err)
{
    rs_gguf_value v = {.type = RS_GGUF_F32, .count = t->n_elements, .data = bytes};
    g->rope_factors = calloc((size_t)t->n_elements, sizeof *g->rope_factors);
    if (!g->rope_factors)
        return rs_fail(err, RS_E_NOMEM, "no memory for the header of %s", g->path);
    g->n_rope_factors = (int)t->n_elements;
    for (int i = 0; i < g->n_rope_factors; i++) {
        double d = 0;
        (void)rs_gguf_number_at(&v, i, &d);
        g->rope_factors[i] = (float)d;
    }
    return RS_OK;
}

static rs_status read_rope_table(rs_gguf *g, int fd, rs_err *err)
{
    unsigned char bytes[MAX_PAIRS * 4];
    const rs_tensor *t = rope_table(g);
    if (!t) return RS_OK;
    RS_TRY(rs_os_read(fd, g->path, t->offset, bytes, (size_t)t->n_bytes, err));
    return keep_rope_table(g, t, bytes, err);
}

/* Of the first n bytes of the file. */
static rs_status find_rope_table(rs_gguf *g, const unsigned char *bytes, size_t n,
                                 rs_err *err)
{
    const rs_tensor *t = rope_table(g);
    if (!t || t->offset > n || t->n_bytes > n - t->offset) return RS_OK;
    return keep_rope_table(g, t, bytes + t->offset, err);
}

rs_status rs_gguf_parse(const void *bytes, size_t n, uint64_t size, const char *path,
                        rs_gguf **out, rs_err *err)
{
    bool more;
    *out = NULL;
    if (n > size) n = (size_t)size;
    if (n > MAX_HEADER) n = MAX_HEADER;
    rs_gguf *g = new_gguf(path, size);
    unsigned char *copy = malloc(n ? n : 1);
    if (copy) memcpy(copy, bytes, n);
    rs_status s = g && copy
                      ? try_parse(g, copy, n, &more, err)
                      : rs_fail(err, RS_E_NOMEM, "no memory for the header of %s", path);
    if (!g) free(copy);
    if (s == RS_OK) s = find_rope_table(g, bytes, n, err);
    if (s == RS_OK)
        *out = g;
    else
        rs_gguf_free(g);
    return s;
}

/* Reads and parses ever larger parts from the front. */
static rs_status read_growing(rs_gguf *g, int fd, rs_err *err)
{
    bool more = true;
    rs_status s = RS_OK;
    for (uint64_t part = FIRST_READ; more && part <= MAX_HEADER; part *= 4) {
        size_t n = (size_t)(part < g->file_bytes ? part : g->file_bytes);
        unsigned char *bytes = malloc(n ? n : 1);
        if (!bytes)
            return rs_fail(err, RS_E_NOMEM, "no memory for the header of %s", g->path);
        s = rs_os_read(fd, g->path, 0, bytes, n, err);
        if (s != RS_OK) return free(bytes), s;
        s = try_parse(g, bytes, n, &more, err);
    }
    return s;
}

const float *rs_gguf_rope_factors(const rs_gguf *g, int *n)
{
    *n = g->n_rope_factors;
    return g->rope_factors;
}

rs_status rs_gguf_open(int fd, const char *path, uint64_t size, rs_gguf **out,
                       rs_err *err)
{
    *out = NULL;
    rs_gguf *g = new_gguf(path, size);
    if (!g) return rs_fail(err, RS_E_NOMEM, "no memory for the header of %s", path);
    rs_status s = read_growing(g, fd, err);
    if (s == RS_OK) s = read_rope_table(g, fd, err);
    if (s == RS_OK)
        *out = g;
    else
        rs_gguf_free(g);
    return s;
}

void rs_gguf_free(rs_gguf *g)
{
    if (!g) return;
    forget(g);
    free(g->header);
    free(g->rope_factors);
    free((char *)g->path);
    free(g);
}
