#include "store/partial.h"

#include "base/os.h"

#include <string.h>

enum { PATH_LIMIT = 4096 };

/* Folders are emptied from the last name to the first, so the mark, whose name sorts first,
 * goes last. */
static const char mark_name[] = ".ringside-partial";

static rs_status mark_path(const char *folder, char path[PATH_LIMIT], rs_err *err)
{
    if (rs_path_join(path, PATH_LIMIT, folder, mark_name)) return RS_OK;
    return rs_fail(err, RS_E_INVALID, "the path %.200s is too long", folder);
}

rs_status rs_partial_mark(const char *folder, rs_err *err)
{
    char path[PATH_LIMIT];
    int fd;
    RS_TRY(mark_path(folder, path, err));
    RS_TRY(rs_os_create(path, &fd, err));
    rs_os_close(fd);
    return RS_OK;
}

rs_status rs_partial_unmark(const char *folder, rs_err *err)
{
    char path[PATH_LIMIT];
    RS_TRY(mark_path(folder, path, err));
    return rs_os_unlink(path, err);
}

/* RS_E_EXISTS unless the folder is empty or left by an interrupted run. */
static rs_status check_ours(const char *folder, rs_err *err)
{
    rs_buf names = {0};
    int count = 0;
    bool ours = false;
    rs_status s = rs_os_list(folder, &names, &count, err);
    const char *name = rs_buf_str(&names);
    for (int i = 0; s == RS_OK && i < count; i++, name += strlen(name) + 1)
        ours |= strcmp(name, mark_name) == 0;
    rs_buf_free(&names);
    if (s != RS_OK || count == 0 || ours) return s;
    return rs_fail(err, RS_E_EXISTS,
                   "%s exists and is not what an interrupted run left: move it away",
                   folder);
}

rs_status rs_partial_keep(const char *folder, int *lock_fd, rs_err *err)
{
    RS_TRY(rs_os_lock_folder(folder, lock_fd, err));
    rs_status s = check_ours(folder, err);
    if (s == RS_OK) return rs_partial_mark(folder, err);
    rs_os_close(*lock_fd);
    *lock_fd = -1;
    return s;
}

rs_status rs_partial_take(const char *folder, int *lock_fd, rs_err *err)
{
    RS_TRY(rs_partial_keep(folder, lock_fd, err));
    RS_TRY(rs_os_clear_folder(folder, err));
    return rs_partial_mark(folder, err);
}

void rs_partial_remove(const char *folder)
{
    rs_status ignored = rs_os_remove_tree(folder, NULL);
    (void)ignored;
}
