/* os.h - the one seam between the engine and the operating system's files.
 *
 * All file access of core goes through here, so a test can make the Nth call fail or end
 * the process there (rs_os_faults). Reads are positional and complete: a short file is an
 * error. Inputs are opened read-only and close-on-exec. Thread-safe; a handle may be read
 * from several threads at once. */
#ifndef RS_OS_H
#define RS_OS_H

#include "base/buf.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What makes two opens of a file the same file, without reading it. */
typedef struct rs_file_id {
    uint64_t device, inode, size;
    int64_t mtime_ns;
} rs_file_id;

typedef enum rs_path_kind { RS_PATH_NONE, RS_PATH_FILE, RS_PATH_FOLDER } rs_path_kind;

rs_path_kind rs_os_kind(const char *path); /* follows symbolic links */
bool rs_os_is_link(const char *path);      /* the name itself, whatever it points to */

/* Read side. *size may be NULL. */
rs_status rs_os_open(const char *path, int *fd, uint64_t *size, rs_err *err) RS_MUST_USE;
rs_status rs_os_read(int fd, const char *path, uint64_t offset, void *dst, size_t n,
                     rs_err *err) RS_MUST_USE;
rs_status rs_os_identity(int fd, const char *path, rs_file_id *id,
                         rs_err *err) RS_MUST_USE;
void rs_os_close(int fd); /* ignores fd < 0 */
/* A whole file of at most max bytes, one of the kernel's too, appended to out. */
rs_status rs_os_read_file(const char *path, size_t max, rs_buf *out,
                          rs_err *err) RS_MUST_USE;
/* Names in a folder, sorted, without . and .., each followed by a 0 in out. */
rs_status rs_os_list(const char *folder, rs_buf *out, int *count,
                     rs_err *err) RS_MUST_USE;

/* Write side: these are the calls that faults count. */
rs_status rs_os_create(const char *path, int *fd,
                       rs_err *err) RS_MUST_USE; /* truncates */
/* For writing, what is in it kept. */
rs_status rs_os_reopen(const char *path, int *fd, rs_err *err) RS_MUST_USE;
rs_status rs_os_write(int fd, const char *path, uint64_t offset, const void *src,
                      size_t n, rs_err *err) RS_MUST_USE;
rs_status rs_os_sync(int fd, const char *path, rs_err *err) RS_MUST_USE;
rs_status rs_os_sync_folder(const char *folder, rs_err *err) RS_MUST_USE;
rs_status rs_os_rename(const char *from, const char *to, rs_err *err) RS_MUST_USE;
/* RS_E_EXISTS where `to` is there (looked at just before where the file system knows no such
 * rename). */
rs_status rs_os_rename_new(const char *from, const char *to, rs_err *err) RS_MUST_USE;
rs_status rs_os_mkdir(const char *path, rs_err *err) RS_MUST_USE; /* with its parents */
rs_status rs_os_unlink(const char *path, rs_err *err) RS_MUST_USE;
rs_status rs_os_remove_tree(const char *path,
                            rs_err *err) RS_MUST_USE; /* links: not followed */
/* Last name first. */
rs_status rs_os_clear_folder(const char *path,
                             rs_err *err) RS_MUST_USE; /* what is in it */
/* Swaps two names in one step where the file system can, in three renames where not. */
rs_status rs_os_exchange(const char *a, const char *b, rs_err *err) RS_MUST_USE;
/* Makes the folder and locks it against other processes until *fd is closed (the lock goes
 * with the folder when it is renamed). RS_E_EXISTS: somebody else holds the lock. */
rs_status rs_os_lock_folder(const char *path, int *fd, rs_err *err) RS_MUST_USE;
rs_status rs_os_copy(const char *from, const char *to, rs_err *err) RS_MUST_USE;
rs_status rs_os_free_bytes(const char *folder, uint64_t *bytes, rs_err *err) RS_MUST_USE;
/* Writes beside path, syncs, renames: readers see the old or the new file, whole. */
rs_status rs_os_write_file(const char *path, const void *data, size_t n,
                           rs_err *err) RS_MUST_USE;

/* Fault injection: the countdown-th call of the write side from now fails with errnum, or,
 * with kill, ends the process by SIGKILL before the call is made. 0 switches it off. */
void rs_os_faults(long countdown, int errnum, bool kill);
long rs_os_write_calls(void);    /* calls of the write side so far */
uint64_t rs_os_bytes_read(void); /* so far */

/* Path helpers; results in dst, truncated paths are an error (false). */
bool rs_path_join(char *dst, size_t n, const char *folder, const char *name);
bool rs_path_dirname(char *dst, size_t n, const char *path);
const char *rs_path_basename(const char *path);
/* path from / without links; of what is not there yet, the part that is. RS_E_INVALID: it is
 * too long, or goes through a link to nothing, where nobody knows what would be made. */
rs_status rs_os_real_path(char *dst, size_t n, const char *path, rs_err *err) RS_MUST_USE;
/* path is folder or lies in it, links resolved; false where either does not exist. */
bool rs_os_is_within(const char *path, const char *folder);
/* Stays inside its folder: relative, no "..", no empty or absolute part. */
bool rs_path_is_confined(const char *name);

#endif
