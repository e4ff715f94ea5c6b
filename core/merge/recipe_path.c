#include "merge/recipe_internal.h"

#include "base/os.h"

#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096, MAX_PARTS = 256 };

typedef struct parts {
    char text[2 * PATH_BYTES];
    const char *at[MAX_PARTS];
    int n;
} parts;

/* path below folder as parts without "." and with ".." taken out where something precedes
 * it. The folder's own links are resolved first: ".." from a link leads elsewhere than the
 * text says. */
static bool split(parts *p, const char *folder, const char *path)
{
    char real[PATH_BYTES];
    p->n = 0;
    if (rs_os_real_path(real, sizeof real, folder, NULL) != RS_OK ||
        !rs_path_join(p->text, sizeof p->text, real, path))
        return false;
    char *save = NULL;
    for (char *s = strtok_r(p->text, "/", &save); s; s = strtok_r(NULL, "/", &save)) {
        if (strcmp(s, ".") == 0) continue;
        if (strcmp(s, "..") == 0) {
            p->n -= p->n > 0;
            continue;
        }
        if (p->n == MAX_PARTS) return false;
        p->at[p->n++] = s;
    }
    return true;
}

static bool relative(const parts *to, const parts *path, char *dst, size_t size)
{
    int common = 0;
    size_t used = 0;
    while (common < to->n && common < path->n &&
           strcmp(to->at[common], path->at[common]) == 0)
        common++;
    dst[0] = 0;
    for (int i = common; i < to->n + path->n - common; i++) {
        const char *part = i < to->n ? ".." : path->at[common + i - to->n];
        int len = snprintf(dst + used, size - used, "%s%s", used ? "/" : "", part);
        if (len < 0 || (size_t)len >= size - used) return false;
        used += (size_t)len;
    }
    if (used == 0) snprintf(dst, size, ".");
    return true;
}

void rs_path_rebase(const char *from, const char *to, const char *path, char *dst,
                    size_t size)
{
    char joined[PATH_BYTES];
    parts goal, file;
    snprintf(dst, size, "%s", path);
    /* Absolute paths stay; what is no file here is a name for the resolver (org/name). */
    if (path[0] == '/' || !rs_path_join(joined, sizeof joined, from, path) ||
        rs_os_kind(joined) == RS_PATH_NONE)
        return;
    if (!split(&goal, to, "") || !split(&file, from, path)) return;
    if (!relative(&goal, &file, dst, size)) snprintf(dst, size, "%s", path);
}
