#include "store/state.h"

#include "base/os.h"

#include <stdio.h>

static rs_status name_files(rs_state *f, const char *folder, rs_err *err)
{
    int n = snprintf(f->folder, sizeof f->folder, "%s", folder);
    if (n > 0 && (size_t)n < sizeof f->folder &&
        rs_path_join(f->path, sizeof f->path, folder, "state") &&
        rs_path_join(f->fresh, sizeof f->fresh, folder, "state.new"))
        return RS_OK;
    f->fresh[0] = 0;
    return rs_fail(err, RS_E_INVALID, "the path %.200s is too long", folder);
}

bool rs_state_exists(const char *folder)
{
    char path[4096];
    return rs_path_join(path, sizeof path, folder, "state") &&
           rs_os_kind(path) == RS_PATH_FILE;
}

rs_status rs_state_open(rs_state *f, const char *folder, bool reads, rs_err *err)
{
    *f = (rs_state){.fd = -1, .reads = reads, .hash = rs_hasher_new()};
    RS_TRY(name_files(f, folder, err));
    if (!f->hash) return rs_fail(err, RS_E_NOMEM, "no memory for a state");
    return reads ? rs_os_open(f->path, &f->fd, &f->size, err)
                 : rs_os_create(f->fresh, &f->fd, err);
}

static rs_status damaged(const rs_state *f, rs_err *err)
{
    return rs_fail(err, RS_E_FORMAT, "%s is damaged: remove %s to begin anew", f->path,
                   f->folder);
}

rs_status rs_state_pass(rs_state *f, void *bytes, size_t n, rs_err *err)
{
    if (f->reads && (f->at > f->size || n > f->size - f->at)) return damaged(f, err);
    rs_status s = f->reads ? rs_os_read(f->fd, f->path, f->at, bytes, n, err)
                           : rs_os_write(f->fd, f->fresh, f->at, bytes, n, err);
    if (s == RS_OK) rs_hasher_add(f->hash, bytes, n);
    f->at += n;
    return s;
}

rs_status rs_state_end(rs_state *f, rs_err *err)
{
    rs_hash128 want = rs_hasher_end(f->hash), have = want;
    RS_TRY(rs_state_pass(f, &have, sizeof have, err));
    if (have.low == want.low && have.high == want.high) return RS_OK;
    return damaged(f, err);
}

/* A full disk should get its room back. */
static void drop(const rs_state *f)
{
    if (!f->fresh[0] || rs_os_kind(f->fresh) != RS_PATH_FILE) return;
    rs_status ignored = rs_os_unlink(f->fresh, NULL);
    (void)ignored;
}

rs_status rs_state_close(rs_state *f, rs_status s, rs_err *err)
{
    if (s == RS_OK && !f->reads) s = rs_os_sync(f->fd, f->fresh, err);
    rs_os_close(f->fd);
    rs_hasher_free(f->hash);
    if (f->reads) return s;
    if (s == RS_OK) s = rs_os_rename(f->fresh, f->path, err);
    if (s == RS_OK) s = rs_os_sync_folder(f->folder, err);
    if (s != RS_OK) drop(f);
    return s;
}
