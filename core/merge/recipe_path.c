/* recipe_path.c - paths of a recipe: where they lead, and what they are elsewhere. */
#include "merge/plan.h"
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

bool rs_path_plain(const char *folder, const char *path, char *dst, size_t size)
{
    parts p;
    size_t used = 0;
    if (!split(&p, folder, path)) return false;
    for (int i = 0; i < p.n; i++) {
        int n = snprintf(dst + used, size - used, "/%s", p.at[i]);
        if (n < 0 || (size_t)n >= size - used) return false;
        used += (size_t)n;
    }
    return used > 0;
}

static rs_status not_there(const rs_recipe *r, const char *path, bool made,
                           const char *what, rs_err *err)
{
    if (made)
        return rs_fail(err, RS_E_NOT_FOUND,
                       "%s is not there yet (%s): 'ringside prepare RECIPE' makes it, in the "
                       "workbench :prepare",
                       what, path);
    return rs_fail(err, RS_E_NOT_FOUND, "%s: there is no %s (from %s)", what, path,
                   r->folder);
}

rs_status rs_recipe_resolve(const rs_recipe *r, const rs_plan_options *o,
                            const char *path, bool made, const char *what,
                            char out[4096], rs_err *err)
{
    if (!rs_path_join(out, 4096, r->folder, path))
        return rs_fail(err, RS_E_INVALID, "%s: the path %.200s... is too long", what, path);
    if (rs_os_kind(out) != RS_PATH_NONE) return RS_OK;
    if (made || !o || !o->resolve || path[0] == '/')
        return not_there(r, path, made, what, err);
    if (o->resolve(o->resolve_ctx, path, out, err) == RS_OK) return RS_OK;
    return rs_err_prefix(err, "%s", what);
}
