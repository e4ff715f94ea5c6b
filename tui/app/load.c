/* load.c - finding and opening recipes. */
#include "base/os.h"
#include "tui/app/adhoc.h"
#include "tui/app/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool ui_expand_home(const ui_app *a, const char *path, char dst[4096])
{
    int n = path[0] == '~' && (path[1] == '/' || !path[1]) && a->home
                ? snprintf(dst, 4096, "%s%s", a->home, path + 1)
            : path[0] == '/' ? snprintf(dst, 4096, "%s", path)
                             : snprintf(dst, 4096, "%s/%s", a->cwd, path);
    return n > 0 && n < 4096;
}

static bool try_file(char dst[4096], const char *folder, const char *name)
{
    if (!folder) return false;
    int n = snprintf(dst, 4096, "%s/%s.json", folder, name);
    return n > 0 && n < 4096 && rs_os_kind(dst) == RS_PATH_FILE;
}

static bool find_named(const ui_app *a, const char *name, char dst[4096])
{
    char mine[4096];
    int n = snprintf(mine, sizeof mine, "%s/recipes", a->data ? a->data : "");
    const ui_file *f = ui_doc_file_of(&a->doc);
    if (strchr(name, '/') || !name[0]) return false;
    return (a->data && n > 0 && n < 4096 && try_file(dst, mine, name)) ||
           (f && try_file(dst, f->folder, name)) || try_file(dst, a->library, name) ||
           try_file(dst, a->cwd, name);
}

/* "NAME@2", or "-1": that many back from the newest version of the open recipe. */
static bool find_version(const char *path, int version, char dst[4096], rs_err *err)
{
    rs_recipe *r = NULL;
    int newest = 0;
    if (!path || ui_file_read(path, &r, &newest, err) != RS_OK) {
        if (!path) rs_fail(err, RS_E_NOT_FOUND, "the open recipe was never saved");
        return false;
    }
    rs_recipe_free(r);
    int back = version <= 0 ? -version : 0;
    if (version <= 0) version += newest;
    if (version < 1) {
        rs_fail(err, RS_E_NOT_FOUND,
                "%s has versions 1 to %d: none is %d before the last",
                rs_path_basename(path), newest, back);
        return false;
    }
    char found[4096];
    bool good = version == newest ? snprintf(found, sizeof found, "%s", path) < 4096
                                  : ui_version_path(path, version, found, sizeof found);
    if (good && rs_os_kind(found) == RS_PATH_FILE) {
        memcpy(dst, found, sizeof found);
        return true;
    }
    rs_fail(err, RS_E_NOT_FOUND, "%s has versions 1 to %d, not %d",
            rs_path_basename(path), newest, version);
    return false;
}

bool ui_folder_holds(const char *folder, const char *name)
{
    char path[4096];
    return rs_path_join(path, sizeof path, folder, name) &&
           rs_os_kind(path) == RS_PATH_FILE;
}

/* A plain model stands for the recipe that only has it as its base. */
static bool recipe_of_model(const ui_app *a, char path[4096], rs_err *err)
{
    char made[4096];
    size_t n = strlen(path);
    bool is_model = (n > 5 && strcmp(path + n - 5, ".gguf") == 0) ||
                    ui_folder_holds(path, "config.json");
    if (!is_model || !a->data || ui_holds_recipe(path)) return true;
    if (ui_adhoc_recipe(path, a->data, made, err) != RS_OK) return false;
    memcpy(path, made, sizeof made);
    return true;
}

bool ui_find_recipe(const ui_app *a, const char *what, char dst[4096], rs_err *err)
{
    char *end = NULL;
    const ui_file *f = ui_doc_file_of(&a->doc);
    if (what[0] == '-') {
        long back = strtol(what, &end, 10);
        if (end != what && *end == 0)
            return find_version(f ? f->path : NULL, (int)back, dst, err);
    }
    char name[1024];
    const char *at = strrchr(what, '@');
    long version = at ? strtol(at + 1, &end, 10) : 0;
    if (at && end != at + 1 && *end == 0 && version > 0 &&
        at - what < (long)sizeof name) {
        snprintf(name, sizeof name, "%.*s", (int)(at - what), what);
        char base[4096];
        return ui_find_recipe(a, name, base, err) &&
               find_version(base, (int)version, dst, err);
    }
    if (find_named(a, what, dst)) return true;
    if (ui_expand_home(a, what, dst) && rs_os_kind(dst) != RS_PATH_NONE)
        return recipe_of_model(a, dst, err);
    rs_fail(err, RS_E_NOT_FOUND, "no recipe \"%s\" here or in the library", what);
    return false;
}

static void folder_of(const char *path, char dst[4096])
{
    if (rs_os_kind(path) == RS_PATH_FOLDER)
        snprintf(dst, 4096, "%s", path);
    else if (!rs_path_dirname(dst, 4096, path))
        snprintf(dst, 4096, ".");
}

/* A file that is known already (its saved text may have changed on disk), or a new one. */
static int file_for(ui_app *a, const char *path, const rs_recipe *r, const char *text,
                    int version)
{
    bool is_recipe = ui_is_recipe_file(path);
    for (int i = 0; i < a->doc.n_files; i++) {
        ui_file *f = &a->doc.files[i];
        if (!f->path || strcmp(f->path, path) != 0) continue;
        ui_replace(&f->saved, text);
        f->version = version;
        return i;
    }
    char folder[4096];
    folder_of(path, folder);
    return ui_doc_add_file(&a->doc, is_recipe ? path : NULL,
                           r->folder ? r->folder : folder, text, version);
}

/* An older version is opened as an edit of its recipe: what is saved then is the next one, and
 * the old ones stay as they are. r (taken) becomes the recipe as seen from there. NULL: err. */
static rs_recipe *take_older(ui_app *a, rs_recipe *r, const char *newest, int *file,
                             rs_err *err)
{
    char folder[4096];
    rs_recipe *top = NULL, *moved;
    int version = 0;
    folder_of(newest, folder);
    if (rs_os_kind(newest) == RS_PATH_FILE) {
        if (ui_file_read(newest, &top, &version, err) != RS_OK) {
            rs_recipe_free(r);
            return NULL;
        }
        char *text = ui_recipe_text(top);
        *file = file_for(a, newest, top, text, version);
        free(text);
    } else {
        *file = ui_doc_add_file(&a->doc, newest, folder, NULL, ui_newest_version(newest));
    }
    moved = ui_recipe_moved(r, a->doc.files[*file].folder, err);
    rs_recipe_free(r);
    rs_recipe_free(top);
    return moved;
}

bool ui_open_path(ui_app *a, const char *path, rs_err *err)
{
    char newest[4096];
    rs_recipe *r = NULL;
    int version = 0, file = -1;
    if (ui_file_read(path, &r, &version, err) != RS_OK) return false;
    if (ui_version_of(path, newest, sizeof newest)) {
        r = take_older(a, r, newest, &file, err);
        if (!r) return false;
    } else {
        char *text = ui_recipe_text(r);
        file = file_for(a, path, r, text, version);
        free(text);
    }
    ui_doc_open(&a->doc, r, file);
    ui_edit_opened(a);
    return true;
}
