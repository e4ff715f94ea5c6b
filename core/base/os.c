#include "base/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { COPY_CHUNK = 4 * 1024 * 1024, PATH_LIMIT = 4096 };

/* The only mutable globals of core: the fault countdown and the counts of the tests. */
static atomic_long fault_countdown, write_calls;
static atomic_ullong bytes_read;
static atomic_int fault_errno;
static atomic_bool fault_kill;

void rs_os_faults(long countdown, int errnum, bool kill)
{
    atomic_store(&fault_errno, errnum);
    atomic_store(&fault_kill, kill);
    atomic_store(&fault_countdown, countdown);
}

long rs_os_write_calls(void)
{
    return atomic_load(&write_calls);
}

uint64_t rs_os_bytes_read(void)
{
    return atomic_load(&bytes_read);
}

/* 0, or the errno that this call of the write side has to fail with. */
static int fault(void)
{
    atomic_fetch_add(&write_calls, 1);
    if (atomic_load(&fault_countdown) <= 0) return 0;
    if (atomic_fetch_sub(&fault_countdown, 1) != 1) return 0;
    if (atomic_load(&fault_kill)) raise(SIGKILL);
    return atomic_load(&fault_errno);
}

rs_path_kind rs_os_kind(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) return RS_PATH_NONE;
    return S_ISDIR(st.st_mode) ? RS_PATH_FOLDER : RS_PATH_FILE;
}

rs_status rs_os_open(const char *path, int *fd, uint64_t *size, rs_err *err)
{
    struct stat st;
    int f = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (f < 0) return rs_fail_errno(err, errno, "open %s", path);
    if (fstat(f, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(f);
        return rs_fail(err, RS_E_IO, "open %s: not a regular file", path);
    }
    *fd = f;
    if (size) *size = (uint64_t)st.st_size;
    return RS_OK;
}

rs_status rs_os_read(int fd, const char *path, uint64_t offset, void *dst, size_t n,
                     rs_err *err)
{
    atomic_fetch_add_explicit(&bytes_read, n, memory_order_relaxed);
    for (size_t got = 0; got < n;) {
        ssize_t r = pread(fd, (char *)dst + got, n - got, (off_t)(offset + got));
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return rs_fail_errno(err, errno, "read %s", path);
        if (r == 0)
            return rs_fail(err, RS_E_IO,
                           "read %s: the file ends at %" PRIu64 ", %" PRIu64
                           " bytes from %" PRIu64 " were expected",
                           path, offset + got, (uint64_t)n, offset);
        got += (size_t)r;
    }
    return RS_OK;
}

rs_status rs_os_identity(int fd, const char *path, rs_file_id *id, rs_err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return rs_fail_errno(err, errno, "stat %s", path);
    id->device = (uint64_t)st.st_dev;
    id->inode = (uint64_t)st.st_ino;
    id->size = (uint64_t)st.st_size;
    id->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    return RS_OK;
}

void rs_os_close(int fd)
{
    if (fd >= 0) close(fd);
}

static rs_status too_large(const char *path, uint64_t size, size_t max, rs_err *err)
{
    return rs_fail(err, RS_E_FORMAT,
                   "%s has %" PRIu64 " bytes or more, at most %" PRIu64
                   " are accepted here",
                   path, size, (uint64_t)max);
}

/* To the end, wherever that is: the size of a file of the kernel's says nothing. */
static rs_status read_to_end(int fd, const char *path, size_t max, rs_buf *out,
                             rs_err *err)
{
    char part[1 << 14];
    for (size_t all = 0;;) {
        ssize_t n = pread(fd, part, sizeof part, (off_t)all);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return rs_fail_errno(err, errno, "read %s", path);
        all += (size_t)n;
        if (all > max) return too_large(path, all, max, err);
        rs_buf_add(out, part, (size_t)n);
        if (out->failed) return rs_fail(err, RS_E_NOMEM, "no memory to read %s", path);
        atomic_fetch_add_explicit(&bytes_read, n, memory_order_relaxed);
        if (n == 0) return RS_OK;
    }
}

rs_status rs_os_read_file(const char *path, size_t max, rs_buf *out, rs_err *err)
{
    int fd;
    uint64_t size;
    size_t before = out->len;
    RS_TRY(rs_os_open(path, &fd, &size, err));
    rs_status s = size > max ? too_large(path, size, max, err)
                             : read_to_end(fd, path, max, out, err);
    if (s != RS_OK && !out->failed) rs_buf_cut(out, before, out->len - before);
    rs_os_close(fd);
    return s;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

rs_status rs_os_list(const char *folder, rs_buf *out, int *count, rs_err *err)
{
    DIR *d = opendir(folder);
    if (!d) return rs_fail_errno(err, errno, "open folder %s", folder);
    char **names = NULL;
    int n = 0;
    bool ok = true;
    errno = 0;
    for (struct dirent *e; ok && (e = readdir(d)); errno = 0) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        char **more = realloc(names, (size_t)(n + 1) * sizeof *names);
        if (more) names = more;
        ok = more && (names[n] = strdup(e->d_name));
        if (ok) n++;
    }
    int bad = ok ? errno : 0;
    closedir(d);
    if (ok && n > 1) qsort(names, (size_t)n, sizeof *names, by_name);
    for (int i = 0; i < n; i++) {
        rs_buf_add(out, names[i], strlen(names[i]) + 1);
        free(names[i]);
    }
    free(names);
    *count = n;
    if (bad) return rs_fail_errno(err, bad, "read folder %s", folder);
    return ok && !out->failed ? RS_OK
                              : rs_fail(err, RS_E_NOMEM, "no memory to list %s", folder);
}

rs_status rs_os_create(const char *path, int *fd, rs_err *err)
{
    int e = fault();
    int f = e ? -1 : open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (f < 0) return rs_fail_errno(err, e ? e : errno, "create %s", path);
    *fd = f;
    return RS_OK;
}

rs_status rs_os_reopen(const char *path, int *fd, rs_err *err)
{
    int e = fault();
    int f = e ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (f < 0) return rs_fail_errno(err, e ? e : errno, "open %s for writing", path);
    *fd = f;
    return RS_OK;
}

rs_status rs_os_write(int fd, const char *path, uint64_t offset, const void *src,
                      size_t n, rs_err *err)
{
    int e = fault();
    for (size_t put = 0; put < n || e;) {
        ssize_t r =
            e ? -1 : pwrite(fd, (const char *)src + put, n - put, (off_t)(offset + put));
        if (r < 0 && !e && errno == EINTR) continue;
        if (r <= 0)
            return rs_fail_errno(err,
                                 e       ? e
                                 : r < 0 ? errno
                                         : EIO,
                                 "write %s after %" PRIu64 " bytes", path, offset + put);
        put += (size_t)r;
    }
    return RS_OK;
}

rs_status rs_os_sync(int fd, const char *path, rs_err *err)
{
    int e = fault();
    if (e || fsync(fd) != 0) return rs_fail_errno(err, e ? e : errno, "sync %s", path);
    return RS_OK;
}

rs_status rs_os_sync_folder(const char *folder, rs_err *err)
{
    int e = fault();
    int f = e ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f < 0) return rs_fail_errno(err, e ? e : errno, "sync folder %s", folder);
    int bad =
        fsync(f) != 0 && errno != EINVAL ? errno : 0; /* some systems refuse folders */
    close(f);
    return bad ? rs_fail_errno(err, bad, "sync folder %s", folder) : RS_OK;
}

rs_status rs_os_rename(const char *from, const char *to, rs_err *err)
{
    int e = fault();
    if (e || rename(from, to) != 0)
        return rs_fail_errno(err, e ? e : errno, "rename %s to %s", from, to);
    return RS_OK;
}

rs_status rs_os_mkdir(const char *path, rs_err *err)
{
    char part[PATH_LIMIT];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part)
        return rs_fail(err, RS_E_INVALID, "folder name of %zu bytes", n);
    int e = fault();
    if (e) return rs_fail_errno(err, e, "make folder %s", path);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != 0) continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return rs_fail_errno(err, errno, "make folder %s", part);
    }
    if (rs_os_kind(path) != RS_PATH_FOLDER)
        return rs_fail(err, RS_E_EXISTS, "%s exists and is not a folder", path);
    return RS_OK;
}

rs_status rs_os_unlink(const char *path, rs_err *err)
{
    int e = fault();
    if (e || unlink(path) != 0)
        return rs_fail_errno(err, e ? e : errno, "remove %s", path);
    return RS_OK;
}

rs_status rs_os_clear_folder(const char *path, rs_err *err)
{
    rs_buf names = {0};
    int count = 0;
    rs_status s = rs_os_list(path, &names, &count, err);
    const char *end = rs_buf_str(&names) + names.len;
    for (int i = 0; i < count && s == RS_OK; i++) {
        char child[PATH_LIMIT];
        const char *name = end - 1;
        while (name > names.data && name[-1] != 0)
            name--;
        end = name;
        if (!rs_path_join(child, sizeof child, path, name))
            s = rs_fail(err, RS_E_INVALID, "path under %s is too long", path);
        else
            s = rs_os_remove_tree(child, err);
    }
    rs_buf_free(&names);
    return s;
}

rs_status rs_os_remove_tree(const char *path, rs_err *err)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        if (errno == ENOENT) return RS_OK;
        return rs_fail_errno(err, errno, "remove %s", path);
    }
    if (!S_ISDIR(st.st_mode)) return rs_os_unlink(path, err);
    RS_TRY(rs_os_clear_folder(path, err));
    int e = fault();
    if (e || rmdir(path) != 0)
        return rs_fail_errno(err, e ? e : errno, "remove %s", path);
    return RS_OK;
}

enum { NO_REPLACE = 1, EXCHANGE = 2 }; /* Linux's RENAME_NOREPLACE, RENAME_EXCHANGE */

static int rename_how(const char *a, const char *b, unsigned how)
{
#ifdef SYS_renameat2
    return (int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, how);
#else
    (void)a, (void)b, (void)how;
    errno = ENOSYS;
    return -1;
#endif
}

rs_status rs_os_rename_new(const char *from, const char *to, rs_err *err)
{
    int e = fault();
    if (!e && rename_how(from, to, NO_REPLACE) == 0) return RS_OK;
    if (!e) e = errno;
    bool unknown = e == ENOSYS || e == EINVAL;
    if (e == EEXIST || (unknown && rs_os_kind(to) != RS_PATH_NONE))
        return rs_fail(err, RS_E_EXISTS, "%s exists: it appeared in the meantime", to);
    if (unknown) return rs_os_rename(from, to, err);
    return rs_fail_errno(err, e, "rename %s to %s", from, to);
}

rs_status rs_os_exchange(const char *a, const char *b, rs_err *err)
{
    int e = fault();
    if (!e && rename_how(a, b, EXCHANGE) == 0) return RS_OK;
    if (e || (errno != ENOSYS && errno != EINVAL))
        return rs_fail_errno(err, e ? e : errno, "exchange %s and %s", a, b);
    char aside[PATH_LIMIT];
    int n = snprintf(aside, sizeof aside, "%s.old", b);
    if (n < 0 || (size_t)n >= sizeof aside)
        return rs_fail(err, RS_E_INVALID, "path %s is too long", b);
    RS_TRY(rs_os_rename(b, aside, err));
    rs_status s = rs_os_rename(a, b, err);
    if (s == RS_OK) return rs_os_rename(aside, a, err);
    (void)rename(aside, b);
    return s;
}

/* The name still leads to what was opened (it may have been renamed in between). */
static bool is_still(int fd, const char *path)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

rs_status rs_os_lock_folder(const char *path, int *fd, rs_err *err)
{
    *fd = -1;
    RS_TRY(rs_os_mkdir(path, err));
    int f = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f < 0) return rs_fail_errno(err, errno, "open folder %s", path);
    if (flock(f, LOCK_EX | LOCK_NB) == 0 && is_still(f, path)) return *fd = f, RS_OK;
    close(f);
    return rs_fail(err, RS_E_EXISTS, "another process is writing to %s", path);
}

static rs_status copy_bytes(int in, const char *from, int out, const char *to,
                            uint64_t size, rs_err *err)
{
    char *chunk = malloc(COPY_CHUNK);
    if (!chunk) return rs_fail(err, RS_E_NOMEM, "no memory to copy %s", from);
    rs_status s = RS_OK;
    for (uint64_t at = 0; at < size && s == RS_OK; at += COPY_CHUNK) {
        size_t n = size - at < COPY_CHUNK ? (size_t)(size - at) : COPY_CHUNK;
        s = rs_os_read(in, from, at, chunk, n, err);
        if (s == RS_OK) s = rs_os_write(out, to, at, chunk, n, err);
    }
    free(chunk);
    return s;
}

rs_status rs_os_copy(const char *from, const char *to, rs_err *err)
{
    int in = -1, out = -1;
    uint64_t size;
    RS_TRY(rs_os_open(from, &in, &size, err));
    rs_status s = rs_os_create(to, &out, err);
    if (s == RS_OK) s = copy_bytes(in, from, out, to, size, err);
    if (s == RS_OK) s = rs_os_sync(out, to, err);
    rs_os_close(out);
    rs_os_close(in);
    return s;
}

rs_status rs_os_free_bytes(const char *folder, uint64_t *bytes, rs_err *err)
{
    struct statvfs v;
    if (statvfs(folder, &v) != 0)
        return rs_fail_errno(err, errno, "free space of %s", folder);
    *bytes = (uint64_t)v.f_bavail * v.f_frsize;
    return RS_OK;
}

rs_status rs_os_write_file(const char *path, const void *data, size_t n, rs_err *err)
{
    char temp[PATH_LIMIT], folder[PATH_LIMIT];
    int len = snprintf(temp, sizeof temp, "%s.tmp%ld", path, (long)getpid());
    if (len < 0 || (size_t)len >= sizeof temp ||
        !rs_path_dirname(folder, sizeof folder, path))
        return rs_fail(err, RS_E_INVALID, "path %s is too long", path);
    int fd = -1;
    rs_status s = rs_os_create(temp, &fd, err);
    if (s != RS_OK) return s;
    s = rs_os_write(fd, temp, 0, data, n, err);
    if (s == RS_OK) s = rs_os_sync(fd, temp, err);
    rs_os_close(fd);
    if (s == RS_OK) s = rs_os_rename(temp, path, err);
    if (s == RS_OK) return rs_os_sync_folder(folder, err);
    unlink(temp);
    return s;
}
