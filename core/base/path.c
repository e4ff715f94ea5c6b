/* path.c - names of files: the path helpers of os.h. Nothing here opens or changes a file. */
#include "base/os.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_LIMIT = 4096 };

bool rs_path_join(char *dst, size_t n, const char *folder, const char *name)
{
    size_t f = strlen(folder);
    const char *slash = f == 0 || folder[f - 1] == '/' ? "" : "/";
    int len = name[0] == '/' ? snprintf(dst, n, "%s", name)
                             : snprintf(dst, n, "%s%s%s", folder, slash, name);
    return len >= 0 && (size_t)len < n;
}

bool rs_path_dirname(char *dst, size_t n, const char *path)
{
    const char *slash = strrchr(path, '/');
    int len = !slash          ? snprintf(dst, n, ".")
              : slash == path ? snprintf(dst, n, "/")
                              : snprintf(dst, n, "%.*s", (int)(slash - path), path);
    return len >= 0 && (size_t)len < n;
}

const char *rs_path_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

bool rs_path_is_confined(const char *name)
{
    if (name[0] == 0 || name[0] == '/') return false;
    for (const char *part = name; part;) {
        const char *end = strchr(part, '/');
        size_t n = end ? (size_t)(end - part) : strlen(part);
        if (n == 0 || (n == 2 && memcmp(part, "..", 2) == 0)) return false;
        part = end ? end + 1 : NULL;
    }
    return true;
}

bool rs_os_is_link(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

static rs_status path_too_long(const char *path, rs_err *err)
{
    return rs_fail(err, RS_E_INVALID, "the path %.200s is too long", path);
}

rs_status rs_os_real_path(char *dst, size_t n, const char *path, rs_err *err)
{
    char there[PATH_LIMIT];
    size_t len = strlen(path);
    if (len >= sizeof there) return path_too_long(path, err);
    memcpy(there, path, len + 1);
    while (true) {
        char *real = realpath(len ? there : path[0] == '/' ? "/" : ".", NULL);
        if (real) {
            const char *rest = path + len;
            while (*rest == '/')
                rest++;
            bool fits = *rest ? rs_path_join(dst, n, real, rest)
                              : snprintf(dst, n, "%s", real) < (int)n;
            free(real);
            return fits ? RS_OK : path_too_long(path, err);
        }
        if (len == 0) return rs_fail_errno(err, errno, "find the folder of %.200s", path);
        while (len > 0 && there[len - 1] == '/')
            there[--len] = 0;
        if (rs_os_is_link(there))
            return rs_fail(err, RS_E_INVALID, "%s is a link to nothing", there);
        while (len > 0 && there[len - 1] != '/')
            there[--len] = 0;
    }
}

bool rs_os_is_within(const char *path, const char *folder)
{
    char *p = realpath(path, NULL), *f = realpath(folder, NULL);
    size_t n = f ? strlen(f) : 0;
    bool within = p && f && strncmp(p, f, n) == 0 && (p[n] == 0 || p[n] == '/');
    free(p);
    free(f);
    return within;
}
