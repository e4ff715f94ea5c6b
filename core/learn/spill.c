#include "learn/spill.h"

#include "base/os.h"

#include <stdlib.h>
#include <string.h>

struct rs_spill {
    char *memory, path[4096];
    uint64_t in_memory;
    int fd;
};

static rs_status open_file(rs_spill *s, const char *folder, uint64_t bytes, rs_err *err)
{
    uint64_t room;
    if (!rs_path_join(s->path, sizeof s->path, folder, "spill"))
        return rs_fail(err, RS_E_INVALID, "the path %.200s is too long", folder);
    RS_TRY(rs_os_free_bytes(folder, &room, err));
    if (bytes > room)
        return rs_fail(
            err, RS_E_IO,
            "%.1f MB of activations do not fit into memory, and the disk of %s "
            "has %.1f MB free",
            (double)bytes / 1e6, folder, (double)room / 1e6);
    RS_TRY(rs_os_create(s->path, &s->fd, err));
    return rs_os_unlink(s->path, err);
}

rs_status rs_spill_new(const char *folder, uint64_t bytes, uint64_t memory,
                       rs_spill **out, rs_err *err)
{
    *out = NULL;
    rs_spill *s = calloc(1, sizeof *s);
    if (!s) return rs_fail(err, RS_E_NOMEM, "no memory for activations");
    s->fd = -1;
    s->in_memory = bytes < memory ? bytes : memory;
    s->memory = malloc((size_t)s->in_memory + 1);
    rs_status status =
        s->memory ? RS_OK : rs_fail(err, RS_E_NOMEM, "no memory for activations");
    if (status == RS_OK && bytes > s->in_memory)
        status = open_file(s, folder, bytes - s->in_memory, err);
    if (status == RS_OK)
        *out = s;
    else
        rs_spill_free(s);
    return status;
}

void rs_spill_free(rs_spill *s)
{
    if (!s) return;
    rs_os_close(s->fd);
    free(s->memory);
    free(s);
}

/* How much of n bytes at `at` lies in memory. */
static uint64_t part_in_memory(const rs_spill *s, uint64_t at, uint64_t n)
{
    if (at >= s->in_memory) return 0;
    return n < s->in_memory - at ? n : s->in_memory - at;
}

rs_status rs_spill_put(rs_spill *s, uint64_t at, const void *from, uint64_t n,
                       rs_err *err)
{
    uint64_t near = part_in_memory(s, at, n);
    if (near) memcpy(s->memory + at, from, (size_t)near);
    if (near == n) return RS_OK;
    return rs_os_write(s->fd, s->path, at + near - s->in_memory,
                       (const char *)from + near, (size_t)(n - near), err);
}

rs_status rs_spill_get(const rs_spill *s, uint64_t at, void *to, uint64_t n, rs_err *err)
{
    uint64_t near = part_in_memory(s, at, n);
    if (near) memcpy(to, s->memory + at, (size_t)near);
    if (near == n) return RS_OK;
    return rs_os_read(s->fd, s->path, at + near - s->in_memory, (char *)to + near,
                      (size_t)(n - near), err);
}
