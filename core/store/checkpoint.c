#include "store/checkpoint.h"

#include "store/checkpoint_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_LIMIT = 4096 };

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

rs_status rs_ckpt_files(rs_checkpoint *c, int n, rs_err *err)
{
    c->files = rs_arena_array(&c->arena, (size_t)n, sizeof *c->files);
    if (!c->files) return rs_fail(err, RS_E_NOMEM, "no memory for %d files", n);
    for (int i = 0; i < n; i++)
        c->files[i].fd = -1;
    c->n_files = n;
    return RS_OK;
}

rs_status rs_ckpt_open_file(rs_checkpoint *c, int i, const char *path, rs_err *err)
{
    rs_store_file *f = &c->files[i];
    f->path = path;
    return rs_os_open(path, &f->fd, &f->size, err);
}

rs_status rs_ckpt_add(rs_checkpoint *c, const rs_tensor *t, rs_err *err)
{
    if (c->n_tensors == c->cap_tensors) {
        int cap = c->cap_tensors ? c->cap_tensors * 2 : 256;
        rs_tensor *more = realloc(c->tensors, (size_t)cap * sizeof *more);
        if (!more) return rs_fail(err, RS_E_NOMEM, "no memory for %d tensors", cap);
        c->tensors = more;
        c->cap_tensors = cap;
    }
    bool was = false;
    if (!rs_map_put(&c->by_name, t->name, strlen(t->name), c->n_tensors, &was))
        return rs_fail(err, RS_E_NOMEM, "no memory for the names of %s", c->path);
    if (was) {
        const rs_tensor *other = &c->tensors[rs_map_find(&c->by_name, t->name)];
        return rs_fail(err, RS_E_FORMAT, "tensor %.150s is in %s and again in %s",
                       t->name, c->files[other->i_file].path, c->files[t->i_file].path);
    }
    c->tensors[c->n_tensors++] = *t;
    c->bytes += t->n_bytes; /* every file checked its own sum against its size */
    return RS_OK;
}

rs_status rs_ckpt_add_safetensors(rs_checkpoint *c, int i, const rs_map *owner,
                                  rs_err *err)
{
    rs_store_file *f = &c->files[i];
    rs_safetensors header;
    RS_TRY(rs_safetensors_read(f->fd, f->path, f->size, &c->arena, &header, err));
    f->header = header.hash;
    if (i == 0) {
        c->metadata = header.metadata;
        c->n_metadata = header.n_metadata;
    }
    for (int k = 0; k < header.n_tensors; k++) {
        rs_tensor *t = &header.tensors[k];
        int64_t wanted = owner ? rs_map_find(owner, t->name) : -1;
        if (wanted >= 0 && wanted != i) continue;
        t->i_file = i;
        RS_TRY(rs_ckpt_add(c, t, err));
    }
    return RS_OK;
}

rs_status rs_ckpt_refuse_pickle(const char *path, rs_err *err)
{
    static const char *const endings[] = {".bin",  ".pt",  ".pth",
                                          ".ckpt", ".pkl", ".pickle"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends_with(path, endings[i]))
            return rs_fail(
                err, RS_E_UNSUPPORTED,
                "%s is a pickle file, which can run any code when it is loaded: it "
                "is not read here, convert it to safetensors first",
                path);
    return RS_OK;
}

static rs_status add_gguf(rs_checkpoint *c, rs_err *err)
{
    rs_store_file *f = &c->files[0];
    RS_TRY(rs_gguf_open(f->fd, f->path, f->size, &c->gguf, err));
    c->layout = RS_LAYOUT_GGUF;
    f->header = rs_gguf_hash(c->gguf);
    const char *arch = rs_gguf_arch(c->gguf);
    for (int i = 0; i < rs_gguf_n_tensors(c->gguf); i++) {
        rs_tensor t = *rs_gguf_tensor(c->gguf, i);
        char name[PATH_LIMIT];
        if (rs_gguf_hf_name(arch, t.stored_name, name, sizeof name, &t.shift)) {
            t.name = rs_arena_strdup(&c->arena, name);
            if (!t.name) return rs_fail(err, RS_E_NOMEM, "no memory for %s", c->path);
        }
        rs_status s = rs_gguf_paired_heads(c->gguf, &t, &t.paired_heads, err);
        if (s != RS_OK) return rs_err_prefix(err, "%s", c->path);
        RS_TRY(rs_ckpt_add(c, &t, err));
    }
    return RS_OK;
}

/* The string keys of a GGUF, as metadata. */
static rs_status gguf_metadata(rs_checkpoint *c, rs_err *err)
{
    int n = rs_gguf_n_keys(c->gguf);
    rs_string_pair *m = rs_arena_array(&c->arena, (size_t)n, sizeof *m);
    if (!m) return rs_fail(err, RS_E_NOMEM, "no memory for the keys of %s", c->path);
    c->metadata = m;
    for (int i = 0; i < n; i++) {
        const rs_gguf_value *v = rs_gguf_key_at(c->gguf, i);
        if (v->type != RS_GGUF_STRING || v->is_array) continue;
        size_t len;
        const char *text = rs_gguf_string_at(v, 0, &len);
        m->key = v->key;
        m->value = rs_arena_strndup(&c->arena, text, len);
        if (!m->value) return rs_fail(err, RS_E_NOMEM, "no memory for %s", c->path);
        m++;
        c->n_metadata++;
    }
    return RS_OK;
}

/* What the first bytes say, since names may lie. */
static rs_status open_single(rs_checkpoint *c, rs_err *err)
{
    RS_TRY(rs_ckpt_refuse_pickle(c->path, err));
    RS_TRY(rs_ckpt_files(c, 1, err));
    RS_TRY(rs_ckpt_open_file(c, 0, c->path, err));
    char magic[4] = "";
    if (c->files[0].size >= sizeof magic)
        RS_TRY(rs_os_read(c->files[0].fd, c->path, 0, magic, sizeof magic, err));
    if (memcmp(magic, "GGUF", 4) == 0) {
        RS_TRY(add_gguf(c, err));
        return gguf_metadata(c, err);
    }
    if (ends_with(c->path, ".gguf"))
        return rs_fail(err, RS_E_FORMAT, "%s does not begin with \"GGUF\"", c->path);
    if (memcmp(magic, "PK\3\4", 4) == 0)
        return rs_fail(
            err, RS_E_UNSUPPORTED,
            "%s is a zip archive (probably a pickled checkpoint), which is not read "
            "here: convert it to safetensors first",
            c->path);
    return rs_ckpt_add_safetensors(c, 0, NULL, err);
}

static rs_status open_into(rs_checkpoint *c, const char *path, rs_err *err)
{
    char folder[PATH_LIMIT];
    RS_TRY(rs_kernels_pick(NULL, &c->kernels, err));
    bool is_folder = rs_os_kind(path) == RS_PATH_FOLDER;
    if (strlen(path) >= sizeof folder ||
        (!is_folder && !rs_path_dirname(folder, sizeof folder, path)))
        return rs_fail(err, RS_E_INVALID, "the path %.200s... is too long", path);
    c->path = rs_arena_strdup(&c->arena, path);
    c->folder = rs_arena_strdup(&c->arena, is_folder ? path : folder);
    if (!c->path || !c->folder) return rs_fail(err, RS_E_NOMEM, "no memory for %s", path);
    if (is_folder) return rs_ckpt_open_folder(c, err);
    if (ends_with(path, ".json")) return rs_ckpt_open_index(c, c->path, err);
    return open_single(c, err);
}

rs_status rs_checkpoint_open(const char *path, rs_checkpoint **out, rs_err *err)
{
    *out = NULL;
    rs_checkpoint *c = calloc(1, sizeof *c);
    if (!c) return rs_fail(err, RS_E_NOMEM, "no memory to open %s", path);
    rs_status s = open_into(c, path, err);
    if (s == RS_OK)
        *out = c;
    else
        rs_checkpoint_close(c);
    return s;
}

void rs_checkpoint_close(rs_checkpoint *c)
{
    if (!c) return;
    for (int i = 0; i < c->n_files; i++)
        rs_os_close(c->files[i].fd);
    rs_gguf_free(c->gguf);
    rs_map_free(&c->by_name);
    free(c->tensors);
    rs_arena_free(&c->arena);
    free(c);
}

const char *rs_checkpoint_path(const rs_checkpoint *c)
{
    return c->path;
}
const char *rs_checkpoint_folder(const rs_checkpoint *c)
{
    return c->folder;
}
rs_layout rs_checkpoint_layout(const rs_checkpoint *c)
{
    return c->layout;
}
int rs_checkpoint_n_files(const rs_checkpoint *c)
{
    return c->n_files;
}
const char *rs_checkpoint_file(const rs_checkpoint *c, int i)
{
    return c->files[i].path;
}
uint64_t rs_checkpoint_bytes(const rs_checkpoint *c)
{
    return c->bytes;
}
int rs_checkpoint_count(const rs_checkpoint *c)
{
    return c->n_tensors;
}
const struct rs_gguf *rs_checkpoint_gguf(const rs_checkpoint *c)
{
    return c->gguf;
}
int rs_checkpoint_n_metadata(const rs_checkpoint *c)
{
    return c->n_metadata;
}

const rs_tensor *rs_checkpoint_at(const rs_checkpoint *c, int i)
{
    return &c->tensors[i];
}

const rs_tensor *rs_checkpoint_find(const rs_checkpoint *c, const char *name)
{
    int64_t i = rs_map_find(&c->by_name, name);
    return i < 0 ? NULL : &c->tensors[i];
}

const char *rs_checkpoint_metadata(const rs_checkpoint *c, const char *key)
{
    for (int i = 0; i < c->n_metadata; i++)
        if (strcmp(c->metadata[i].key, key) == 0) return c->metadata[i].value;
    return NULL;
}

void rs_checkpoint_metadata_at(const rs_checkpoint *c, int i, const char **key,
                               const char **value)
{
    *key = c->metadata[i].key;
    *value = c->metadata[i].value;
}

rs_status rs_checkpoint_identity(const rs_checkpoint *c, char hex[33], rs_err *err)
{
    rs_hasher *h = rs_hasher_new();
    if (!h) return rs_fail(err, RS_E_NOMEM, "no memory to identify %s", c->path);
    rs_status s = RS_OK;
    for (int i = 0; i < c->n_files && s == RS_OK; i++) {
        rs_file_id id;
        s = rs_os_identity(c->files[i].fd, c->files[i].path, &id, err);
        if (s != RS_OK) break;
        uint64_t words[] = {id.device,
                            id.inode,
                            id.size,
                            (uint64_t)id.mtime_ns,
                            c->files[i].header.low,
                            c->files[i].header.high};
        rs_hasher_add(h, words, sizeof words);
    }
    rs_hash_hex(rs_hasher_end(h), hex);
    rs_hasher_free(h);
    return s;
}

void rs_tensor_shape(const rs_tensor *t, char *dst, size_t n)
{
    size_t at = 0;
    for (int i = 0; i < t->n_dims && at < n; i++) {
        int len = snprintf(dst + at, n - at, "%s%" PRId64, i ? ", " : "[", t->dim[i]);
        if (len > 0) at += (size_t)len;
    }
    if (at < n)
        snprintf(dst + at, n - at, "%s] %s", t->n_dims ? "" : "[",
                 rs_dtype_name(t->dtype));
}
