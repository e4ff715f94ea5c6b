#include "store/tensor_file.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/os.h"
#include "store/partial.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_LIMIT = 4096, ALIGN = 8 };

struct rs_tensor_file {
    rs_arena arena;
    const char *final, *folder, *part; /* PATH, PATH.partial, the file in it */
    uint64_t *offset, *bytes;          /* [n] from the start of the file; sizes */
    int n, fd, lock_fd;
    uint64_t size;
    bool resumes, force;
};

static rs_status too_long(const char *path, rs_err *err)
{
    return rs_fail(err, RS_E_INVALID, "the path %.200s is too long", path);
}

static rs_status set_names(rs_tensor_file *f, const char *path, rs_err *err)
{
    char real[PATH_LIMIT], folder[PATH_LIMIT], part[PATH_LIMIT];
    RS_TRY(rs_os_real_path(real, sizeof real, path, err));
    size_t n = strlen(real);
    if (n + strlen(".partial/data") + 1 > PATH_LIMIT) return too_long(path, err);
    memcpy(folder, real, n);
    memcpy(folder + n, ".partial", sizeof ".partial");
    if (!rs_path_join(part, sizeof part, folder, "data")) return too_long(path, err);
    f->final = rs_arena_strdup(&f->arena, real);
    f->folder = rs_arena_strdup(&f->arena, folder);
    f->part = rs_arena_strdup(&f->arena, part);
    if (f->final && f->folder && f->part) return RS_OK;
    return rs_fail(err, RS_E_NOMEM, "no memory to write %.200s", path);
}

static rs_status lay_out(rs_tensor_file *f, const rs_write_plan *p, rs_err *err)
{
    f->n = p->n_tensors;
    f->offset = rs_arena_array(&f->arena, (size_t)f->n + 1, sizeof *f->offset);
    f->bytes = rs_arena_array(&f->arena, (size_t)f->n + 1, sizeof *f->bytes);
    if (!f->offset || !f->bytes)
        return rs_fail(err, RS_E_NOMEM, "no memory for %d tensors", f->n);
    for (int i = 0; i < f->n; i++) {
        const rs_write_tensor *t = &p->tensors[i];
        int64_t elements = 1;
        for (int d = 0; d < t->n_dims; d++)
            elements *= t->dim[d];
        if (!rs_dtype_bytes(t->dtype, elements, &f->bytes[i]))
            return rs_fail(err, RS_E_INVALID, "%s is too large", t->name);
        f->offset[i] = f->size;
        f->size += f->bytes[i];
    }
    return RS_OK;
}

static void put_tensor(const rs_tensor_file *f, const rs_write_tensor *t, int i,
                       rs_buf *b)
{
    rs_buf_putc(b, ',');
    rs_buf_json(b, t->name, strlen(t->name));
    rs_buf_printf(b, ":{\"dtype\":\"%s\",\"shape\":[",
                  rs_dtype_of(t->dtype)->safetensors);
    for (int d = 0; d < t->n_dims; d++)
        rs_buf_printf(b, d ? ",%" PRId64 : "%" PRId64, t->dim[d]);
    rs_buf_printf(b, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", f->offset[i],
                  f->offset[i] + f->bytes[i]);
}

static void put_header(const rs_tensor_file *f, const rs_write_plan *p, rs_buf *b)
{
    unsigned char length[8] = {0};
    rs_buf_add(b, length, sizeof length);
    rs_buf_puts(b, "{\"__metadata__\":{\"format\":\"pt\"");
    for (int i = 0; i < p->n_metadata; i++) {
        rs_buf_putc(b, ',');
        rs_buf_json(b, p->metadata[i].key, strlen(p->metadata[i].key));
        rs_buf_putc(b, ':');
        rs_buf_json(b, p->metadata[i].value, strlen(p->metadata[i].value));
    }
    rs_buf_putc(b, '}');
    for (int i = 0; i < f->n; i++)
        put_tensor(f, &p->tensors[i], i, b);
    rs_buf_putc(b, '}');
    while (b->len % ALIGN != 0 && !b->failed)
        rs_buf_putc(b, ' ');
    if (b->failed) return;
    rs_put_le64(length, b->len - 8);
    memcpy(b->data, length, sizeof length);
}

/* Is what lies there the beginning of the same file? */
static rs_status compare_header(const rs_tensor_file *f, const rs_buf *header, bool *same,
                                rs_err *err)
{
    int fd;
    uint64_t size;
    *same = false;
    if (rs_os_kind(f->part) != RS_PATH_FILE) return RS_OK;
    RS_TRY(rs_os_open(f->part, &fd, &size, err));
    char *have = malloc(header->len + 1);
    rs_status s =
        have ? RS_OK : rs_fail(err, RS_E_NOMEM, "no memory to read %s", f->part);
    if (s == RS_OK && size >= header->len)
        s = rs_os_read(fd, f->part, 0, have, header->len, err);
    if (s == RS_OK && size >= header->len)
        *same = memcmp(have, header->data, header->len) == 0;
    free(have);
    rs_os_close(fd);
    if (s != RS_OK || *same) return s;
    return rs_fail(err, RS_E_MISMATCH,
                   "%s is of other work: the same model, data and options are needed to "
                   "resume it (without --resume it begins again)",
                   f->folder);
}

static rs_status check_room(const rs_tensor_file *f, uint64_t bytes, rs_err *err)
{
    uint64_t room;
    RS_TRY(rs_os_free_bytes(f->folder, &room, err));
    if (bytes <= room) return RS_OK;
    return rs_fail(err, RS_E_IO, "%s needs %.1f MB, its disk has %.1f MB free", f->final,
                   (double)bytes / 1e6, (double)room / 1e6);
}

/* The header, and the file's whole length: what is never written reads as zeros. */
static rs_status begin(rs_tensor_file *f, const rs_buf *header, rs_err *err)
{
    RS_TRY(check_room(f, header->len + f->size, err));
    RS_TRY(rs_os_create(f->part, &f->fd, err));
    if (f->size > 0)
        RS_TRY(rs_os_write(f->fd, f->part, header->len + f->size - 1, "", 1, err));
    return rs_os_write(f->fd, f->part, 0, header->data, header->len, err);
}

static rs_status start(rs_tensor_file *f, const char *path, const rs_write_plan *p,
                       bool resume, rs_buf *header, rs_err *err)
{
    RS_TRY(set_names(f, path, err));
    if (!p->force && rs_os_kind(f->final) != RS_PATH_NONE)
        return rs_fail(err, RS_E_EXISTS, "%s exists; --force replaces it", f->final);
    if (rs_os_kind(f->final) == RS_PATH_FOLDER)
        return rs_fail(err, RS_E_EXISTS, "%s is a folder", f->final);
    RS_TRY(lay_out(f, p, err));
    put_header(f, p, header);
    if (header->failed) return rs_fail(err, RS_E_NOMEM, "no memory for a header");
    for (int i = 0; i < f->n; i++)
        f->offset[i] += header->len;
    if (resume && rs_os_kind(f->folder) == RS_PATH_FOLDER) {
        RS_TRY(rs_partial_keep(f->folder, &f->lock_fd, err));
        RS_TRY(compare_header(f, header, &f->resumes, err));
        if (f->resumes) return rs_os_reopen(f->part, &f->fd, err);
        return begin(f, header, err);
    }
    RS_TRY(rs_partial_take(f->folder, &f->lock_fd, err));
    return begin(f, header, err);
}

rs_status rs_tensor_file_new(const char *path, const rs_write_plan *plan, bool resume,
                             rs_tensor_file **out, rs_err *err)
{
    *out = NULL;
    rs_tensor_file *f = calloc(1, sizeof *f);
    if (!f) return rs_fail(err, RS_E_NOMEM, "no memory to write %.200s", path);
    f->fd = f->lock_fd = -1;
    f->force = plan->force;
    rs_buf header = {0};
    rs_status s = start(f, path, plan, resume, &header, err);
    rs_buf_free(&header);
    if (s == RS_OK)
        *out = f;
    else
        rs_tensor_file_free(f);
    return s;
}

rs_status rs_tensor_file_write(rs_tensor_file *f, int i, uint64_t first,
                               const void *bytes, size_t n, rs_err *err)
{
    if (i < 0 || i >= f->n || first > f->bytes[i] || n > f->bytes[i] - first)
        return rs_fail(err, RS_E_BUG, "bytes outside tensor %d of %s", i, f->final);
    return rs_os_write(f->fd, f->part, f->offset[i] + first, bytes, n, err);
}

rs_status rs_tensor_file_read(const rs_tensor_file *f, int i, uint64_t first, void *bytes,
                              size_t n, rs_err *err)
{
    if (i < 0 || i >= f->n || first > f->bytes[i] || n > f->bytes[i] - first)
        return rs_fail(err, RS_E_BUG, "bytes outside tensor %d of %s", i, f->final);
    return rs_os_read(f->fd, f->part, f->offset[i] + first, bytes, n, err);
}

rs_status rs_tensor_file_sync(rs_tensor_file *f, rs_err *err)
{
    return rs_os_sync(f->fd, f->part, err);
}

const char *rs_tensor_file_folder(const rs_tensor_file *f)
{
    return f->folder;
}

bool rs_tensor_file_resumes(const rs_tensor_file *f)
{
    return f->resumes;
}

rs_status rs_tensor_file_finish(rs_tensor_file *f, rs_err *err)
{
    char parent[PATH_LIMIT];
    RS_TRY(rs_tensor_file_sync(f, err));
    if (!rs_path_dirname(parent, sizeof parent, f->final)) return too_long(f->final, err);
    RS_TRY(f->force ? rs_os_rename(f->part, f->final, err)
                    : rs_os_rename_new(f->part, f->final, err));
    RS_TRY(rs_os_sync_folder(parent, err));
    rs_partial_remove(f->folder);
    return RS_OK;
}

void rs_tensor_file_discard(rs_tensor_file *f)
{
    if (f->lock_fd >= 0) rs_partial_remove(f->folder);
    rs_tensor_file_free(f);
}

void rs_tensor_file_free(rs_tensor_file *f)
{
    if (!f) return;
    rs_os_close(f->fd);
    rs_os_close(f->lock_fd);
    rs_arena_free(&f->arena);
    free(f);
}
