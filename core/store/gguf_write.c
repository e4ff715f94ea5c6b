#include "store/gguf_write.h"

#include "base/arena.h"
#include "base/map.h"
#include "base/os.h"
#include "base/size.h"
#include "store/gguf_internal.h"
#include "store/partial.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_LIMIT = 4096, ALIGNMENT = 32, VERSION = 3 };

typedef struct slot {
    rs_write_tensor t; /* name in the arena */
    uint64_t n_bytes;
    uint64_t offset; /* from the start of the data; then of the file */
    atomic_ullong written;
} slot;

struct rs_gguf_writer {
    rs_arena arena;
    const char *final, *folder, *file; /* the file inside FILE.partial/ */
    int lock_fd, fd;
    bool force, kept; /* kept: the folder stays */
    slot *slots;
    int n_slots;
    uint64_t data_bytes, header_bytes; /* with what fills them up */
};

static uint64_t aligned(uint64_t n)
{
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static rs_status no_memory(const rs_gguf_writer *w, rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory to write %.200s", w->final);
}

/* ---- the names ---- */

static rs_status set_names(rs_gguf_writer *w, const char *path, rs_err *err)
{
    size_t n = strlen(path);
    const char *name = rs_path_basename(path);
    if (n == 0 || n > PATH_LIMIT - 256 || path[n - 1] == '/' || strcmp(name, ".") == 0 ||
        strcmp(name, "..") == 0)
        return rs_fail(err, RS_E_INVALID, "\"%.200s\" cannot be the name of a new file",
                       path);
    w->final = rs_arena_strdup(&w->arena, path);
    w->folder = rs_arena_printf(&w->arena, "%s.partial", path);
    w->file = rs_arena_printf(&w->arena, "%s.partial/model.gguf", path);
    if (!w->final || !w->folder || !w->file)
        return rs_fail(err, RS_E_NOMEM, "no memory to write %.200s", path);
    return RS_OK;
}

/* Only a GGUF or an empty file may be replaced. */
static rs_status may_replace(const char *path, bool *may, rs_err *err)
{
    int fd;
    uint64_t size;
    char magic[4];
    RS_TRY(rs_os_open(path, &fd, &size, err));
    rs_status s = RS_OK;
    if (size >= sizeof magic) s = rs_os_read(fd, path, 0, magic, sizeof magic, err);
    rs_os_close(fd);
    *may = size == 0 || (size >= sizeof magic && memcmp(magic, "GGUF", 4) == 0);
    return s;
}

/* What stands in the way under the final name. */
static rs_status look_at_final(const rs_gguf_writer *w, rs_err *err)
{
    bool may = false;
    if (rs_os_is_link(w->final))
        return rs_fail(err, RS_E_EXISTS, "%s is a symbolic link: name the file itself",
                       w->final);
    rs_path_kind kind = rs_os_kind(w->final);
    if (kind == RS_PATH_NONE) return RS_OK;
    if (kind == RS_PATH_FOLDER)
        return rs_fail(err, RS_E_EXISTS, "%s exists and is a folder: choose another name",
                       w->final);
    if (!w->force)
        return rs_fail(err, RS_E_EXISTS, "%s exists: choose another name or use --force",
                       w->final);
    RS_TRY(may_replace(w->final, &may, err));
    if (may) return RS_OK;
    return rs_fail(err, RS_E_EXISTS,
                   "%s is no GGUF, so it is not replaced even by force: remove it "
                   "yourself or choose another name",
                   w->final);
}

/* ---- the list ---- */

static rs_status fill_slot(rs_gguf_writer *w, const rs_write_tensor *t, slot *s,
                           rs_err *err)
{
    const rs_dtype_info *d = rs_dtype_of(t->dtype);
    int64_t elements = 1;
    bool ok = t->n_dims >= 1 && t->n_dims <= 4 && d->gguf >= 0;
    for (int i = 0; ok && i < t->n_dims; i++)
        ok = t->dim[i] > 0 && rs_mul_i64(elements, t->dim[i], &elements);
    ok = ok && t->dim[t->n_dims - 1] % d->block == 0;
    ok = ok && rs_dtype_bytes(t->dtype, elements, &s->n_bytes);
    ok = ok && s->n_bytes <= UINT64_MAX / 4 && w->data_bytes <= UINT64_MAX / 4;
    if (!ok)
        return rs_fail(err, RS_E_INVALID,
                       "tensor %.200s cannot be stored as %s in a GGUF", t->name,
                       d->name);
    s->t = *t;
    s->t.name = rs_arena_strdup(&w->arena, t->name);
    s->offset = w->data_bytes;
    w->data_bytes += aligned(s->n_bytes);
    return s->t.name ? RS_OK : no_memory(w, err);
}

static rs_status lay_out(rs_gguf_writer *w, const rs_write_tensor *tensors, int n,
                         rs_err *err)
{
    rs_map seen = {0};
    rs_status s = RS_OK;
    w->slots = rs_arena_array(&w->arena, (size_t)n, sizeof *w->slots);
    if (!w->slots) return no_memory(w, err);
    for (int i = 0; i < n && s == RS_OK; i++) {
        bool was = false;
        const char *name = tensors[i].name;
        s = fill_slot(w, &tensors[i], &w->slots[i], err);
        if (s == RS_OK && !rs_map_put(&seen, name, strlen(name), i, &was))
            s = no_memory(w, err);
        if (was) s = rs_fail(err, RS_E_INVALID, "tensor %.200s is planned twice", name);
    }
    w->n_slots = n;
    rs_map_free(&seen);
    return s;
}

/* ---- the header ---- */

static void put_tensor(rs_buf *b, const slot *s)
{
    size_t n = strlen(s->t.name);
    rs_gguf_bytes_u64(b, n);
    rs_buf_add(b, s->t.name, n);
    rs_gguf_bytes_u32(b, (uint32_t)s->t.n_dims);
    for (int i = s->t.n_dims - 1; i >= 0; i--) /* fastest first */
        rs_gguf_bytes_u64(b, (uint64_t)s->t.dim[i]);
    rs_gguf_bytes_u32(b, (uint32_t)rs_dtype_of(s->t.dtype)->gguf);
    rs_gguf_bytes_u64(b, s->offset);
}

static void put_header(const rs_gguf_writer *w, const rs_gguf_keys *keys, rs_buf *b)
{
    rs_buf_puts(b, "GGUF");
    rs_gguf_bytes_u32(b, VERSION);
    rs_gguf_bytes_u64(b, (uint64_t)w->n_slots);
    rs_gguf_bytes_u64(b, keys->n);
    rs_buf_add(b, rs_buf_str(&keys->bytes), keys->bytes.len);
    for (int i = 0; i < w->n_slots; i++)
        put_tensor(b, &w->slots[i]);
    while (b->len % ALIGNMENT != 0 && !b->failed)
        rs_buf_putc(b, 0);
}

static rs_status check_room(const rs_gguf_writer *w, rs_err *err)
{
    uint64_t room, all = w->header_bytes + w->data_bytes;
    RS_TRY(rs_os_free_bytes(w->folder, &room, err));
    if (all <= room) return RS_OK;
    return rs_fail(err, RS_E_IO,
                   "%s needs %" PRIu64 " bytes but the disk has only %" PRIu64 " free",
                   w->final, all, room);
}

/* The bytes between the tensors are holes, which read as 0; those after the last are written,
 * so that the file has its length. */
static rs_status write_ends(rs_gguf_writer *w, const rs_buf *header, rs_err *err)
{
    static const unsigned char zeros[ALIGNMENT];
    RS_TRY(rs_os_create(w->file, &w->fd, err));
    RS_TRY(rs_os_write(w->fd, w->file, 0, header->data, header->len, err));
    if (w->n_slots == 0) return RS_OK;
    const slot *last = &w->slots[w->n_slots - 1];
    uint64_t end = last->offset + last->n_bytes;
    return rs_os_write(w->fd, w->file, end, zeros, (size_t)(aligned(end) - end), err);
}

static rs_status start(rs_gguf_writer *w, const rs_gguf_keys *keys, rs_err *err)
{
    rs_buf header = {0};
    put_header(w, keys, &header);
    rs_status s = RS_OK;
    if (header.failed || keys->bytes.failed) s = no_memory(w, err);
    w->header_bytes = header.len;
    if (s == RS_OK) s = rs_partial_take(w->folder, &w->lock_fd, err);
    if (s == RS_OK) s = check_room(w, err);
    for (int i = 0; i < w->n_slots; i++)
        w->slots[i].offset += w->header_bytes;
    if (s == RS_OK) s = write_ends(w, &header, err);
    rs_buf_free(&header);
    return s;
}

rs_status rs_gguf_writer_new(const char *path, const rs_gguf_keys *keys,
                             const rs_write_tensor *tensors, int n_tensors, bool force,
                             rs_gguf_writer **out, rs_err *err)
{
    *out = NULL;
    rs_gguf_writer *w = calloc(1, sizeof *w);
    if (!w) return rs_fail(err, RS_E_NOMEM, "no memory to write %.200s", path);
    w->lock_fd = w->fd = -1;
    w->force = force;
    rs_status s = set_names(w, path, err);
    if (s == RS_OK) s = look_at_final(w, err);
    if (s == RS_OK) s = lay_out(w, tensors, n_tensors, err);
    if (s == RS_OK) s = start(w, keys, err);
    if (s == RS_OK)
        *out = w;
    else
        rs_gguf_writer_free(w);
    return s;
}

/* ---- the data ---- */

rs_status rs_gguf_writer_write(rs_gguf_writer *w, int i, uint64_t first,
                               const void *bytes, size_t n, rs_err *err)
{
    if (i < 0 || i >= w->n_slots)
        return rs_fail(err, RS_E_BUG, "tensor %d of %d planned ones", i, w->n_slots);
    slot *s = &w->slots[i];
    if (first > s->n_bytes || n > s->n_bytes - first)
        return rs_fail(err, RS_E_BUG,
                       "%zu bytes at %" PRIu64 " of tensor %.200s, which has %" PRIu64, n,
                       first, s->t.name, s->n_bytes);
    RS_TRY(rs_os_write(w->fd, w->file, s->offset + first, bytes, n, err));
    if (atomic_fetch_add(&s->written, n) + n > s->n_bytes)
        return rs_fail(err, RS_E_BUG, "bytes of tensor %.200s were written twice",
                       s->t.name);
    return RS_OK;
}

uint64_t rs_gguf_writer_bytes(const rs_gguf_writer *w)
{
    return w->header_bytes + w->data_bytes;
}

static rs_status check_complete(rs_gguf_writer *w, rs_err *err)
{
    for (int i = 0; i < w->n_slots; i++) {
        uint64_t written = atomic_load(&w->slots[i].written);
        if (written != w->slots[i].n_bytes)
            return rs_fail(err, RS_E_BUG,
                           "%" PRIu64 " of the %" PRIu64
                           " bytes of tensor %.200s were written",
                           written, w->slots[i].n_bytes, w->slots[i].t.name);
    }
    return RS_OK;
}

/* What is under the name now was perhaps not there at the start. */
static rs_status take_name(rs_gguf_writer *w, rs_err *err)
{
    if (!w->force) return rs_os_rename_new(w->file, w->final, err);
    RS_TRY(look_at_final(w, err));
    return rs_os_rename(w->file, w->final, err);
}

/* The work is done but cannot get its name: it stays, and without the mark no later run
 * empties the folder. */
static rs_status keep_partial(rs_gguf_writer *w, rs_err *err)
{
    w->kept = true;
    rs_status ignored = rs_partial_unmark(w->folder, NULL);
    (void)ignored;
    return rs_err_prefix(
        err, "all is written but could not get its name, and stays as %.200s", w->file);
}

rs_status rs_gguf_writer_finish(rs_gguf_writer *w, rs_err *err)
{
    char parent[PATH_LIMIT];
    RS_TRY(check_complete(w, err));
    if (!rs_path_dirname(parent, sizeof parent, w->final))
        return rs_fail(err, RS_E_INVALID, "the path %.200s is too long", w->final);
    RS_TRY(rs_os_sync(w->fd, w->file, err));
    if (take_name(w, err) != RS_OK) return keep_partial(w, err);
    rs_status s = rs_os_sync_folder(parent, err);
    if (s == RS_OK) return RS_OK;
    return rs_err_prefix(err, "%s is written, but may not survive a power cut", w->final);
}

void rs_gguf_writer_free(rs_gguf_writer *w)
{
    if (!w) return;
    rs_os_close(w->fd);
    if (w->lock_fd >= 0 && !w->kept) rs_partial_remove(w->folder);
    rs_os_close(w->lock_fd);
    rs_arena_free(&w->arena);
    free(w);
}
