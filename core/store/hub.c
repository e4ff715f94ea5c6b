#include "store/hub.h"

#include "base/os.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PART = 256, PATH_LIMIT = 4096, MAX_REF = 256 };

/* org/name@revision, taken apart; org may be "". */
typedef struct model_id {
    char org[PART], name[PART], revision[PART];
    bool has_revision;
} model_id;

static bool is_name(const char *s)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_.";
    return s[0] != 0 && s[0] != '.' && s[strspn(s, allowed)] == 0;
}

static bool copy_part(char dst[PART], const char *s, size_t n)
{
    if (n >= PART) return false;
    memcpy(dst, s, n);
    dst[n] = 0;
    return true;
}

/* false: it does not look like the name of a model. */
static bool take_apart(const char *what, model_id *id)
{
    *id = (model_id){.revision = "main"};
    const char *at = strchr(what, '@');
    size_t n = at ? (size_t)(at - what) : strlen(what);
    const char *slash = memchr(what, '/', n);
    const char *name = slash ? slash + 1 : what;
    id->has_revision = at != NULL;
    if (at && (!copy_part(id->revision, at + 1, strlen(at + 1)) ||
               !rs_path_is_confined(id->revision)))
        return false;
    if (!copy_part(id->name, name, n - (size_t)(name - what)) || !is_name(id->name))
        return false;
    return !slash ||
           (copy_part(id->org, what, (size_t)(slash - what)) && is_name(id->org));
}

/* A file holding a commit: its text without blanks at the end, one plain name. */
static bool read_ref(const char *path, char commit[MAX_REF])
{
    rs_buf text = {0};
    bool ok = rs_os_kind(path) == RS_PATH_FILE &&
              rs_os_read_file(path, MAX_REF - 1, &text, NULL) == RS_OK;
    if (ok) {
        size_t n = strcspn(rs_buf_str(&text), " \t\r\n");
        memcpy(commit, rs_buf_str(&text), n);
        commit[n] = 0;
        ok = is_name(commit);
    }
    rs_buf_free(&text);
    return ok;
}

static bool is_folder(const char *path)
{
    return rs_os_kind(path) == RS_PATH_FOLDER;
}

static bool fits(int len, size_t n)
{
    return len >= 0 && (size_t)len < n;
}

/* The snapshot of a revision, a commit's or the one that refs/ names. */
static bool find_in_cache(const char *root, const model_id *id, char *out, size_t n)
{
    char repo[PATH_LIMIT], path[PATH_LIMIT], commit[MAX_REF];
    const char *joint = id->org[0] ? "--" : "";
    if (!fits(snprintf(repo, sizeof repo, "%s/models--%s%s%s", root, id->org, joint,
                       id->name),
              sizeof repo))
        return false;
    if (!fits(snprintf(path, sizeof path, "%s/refs/%s", repo, id->revision), sizeof path))
        return false;
    if (read_ref(path, commit) &&
        fits(snprintf(out, n, "%s/snapshots/%s", repo, commit), n) && is_folder(out))
        return true;
    return fits(snprintf(out, n, "%s/snapshots/%s", repo, id->revision), n) &&
           is_folder(out);
}

static bool find_in_folder(const char *folder, const model_id *id, char *out, size_t n)
{
    if (id->org[0] && fits(snprintf(out, n, "%s/%s/%s", folder, id->org, id->name), n) &&
        rs_os_kind(out) != RS_PATH_NONE)
        return true;
    return fits(snprintf(out, n, "%s/%s", folder, id->name), n) &&
           rs_os_kind(out) != RS_PATH_NONE;
}

static bool has_root(const rs_hub *hub)
{
    return hub && hub->root && hub->root[0];
}

static rs_status not_found(const char *what, const model_id *id, const rs_hub *hub,
                           rs_err *err)
{
    rs_buf more = {0};
    if (has_root(hub))
        rs_buf_printf(&more,
                      ", nor revision %s of models--%s%s%s in the Hugging Face cache %s",
                      id->revision, id->org, id->org[0] ? "--" : "", id->name, hub->root);
    for (int i = 0; hub && !id->has_revision && i < hub->n_folders; i++)
        rs_buf_printf(&more, "%s%s", i ? ", " : ", nor anything of that name in ",
                      hub->folders[i]);
    rs_fail(err, RS_E_NOT_FOUND, "there is no file or folder %s%s", what,
            rs_buf_str(&more));
    rs_buf_free(&more);
    return RS_E_NOT_FOUND;
}

rs_status rs_model_path_resolve(const char *what, const rs_hub *hub, char *out, size_t n,
                                rs_err *err)
{
    model_id id;
    if (what[0] == 0)
        return rs_fail(err, RS_E_INVALID, "an empty path was given for a model");
    if (rs_os_kind(what) != RS_PATH_NONE) {
        if (fits(snprintf(out, n, "%s", what), n)) return RS_OK;
        return rs_fail(err, RS_E_INVALID, "the path %.200s... is too long", what);
    }
    if (!take_apart(what, &id))
        return rs_fail(err, RS_E_NOT_FOUND, "there is no file or folder %s", what);
    if (has_root(hub) && find_in_cache(hub->root, &id, out, n)) return RS_OK;
    for (int i = 0; hub && !id.has_revision && i < hub->n_folders; i++)
        if (find_in_folder(hub->folders[i], &id, out, n)) return RS_OK;
    return not_found(what, &id, hub, err);
}
