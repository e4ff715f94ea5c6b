/* load.c - opening and saving recipes. A recipe of a folder that cannot be written, or that
 * belongs to the installed program, is saved under the user's data folder instead; its paths
 * are rewritten for the new place. */
#include "base/os.h"
#include "tui/app/adhoc.h"
#include "tui/app/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
    if (version <= 0) version += newest;
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
    bool is_model =
        (n > 5 && strcmp(path + n - 5, ".gguf") == 0) ||
        (ui_folder_holds(path, "config.json") && !ui_folder_holds(path, "ringside.json"));
    if (!is_model || !a->data) return true;
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
    bool is_recipe = rs_os_kind(path) == RS_PATH_FILE;
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

bool ui_open_path(ui_app *a, const char *path, rs_err *err)
{
    rs_recipe *r = NULL;
    int version = 0;
    if (ui_file_read(path, &r, &version, err) != RS_OK) return false;
    char *text = ui_recipe_text(r);
    int file = file_for(a, path, r, text, version);
    free(text);
    ui_doc_open(&a->doc, r, file);
    ui_edit_opened(a);
    return true;
}

/* --- saving --- */

/* The program's own recipes are never written to, wherever they lie. */
static bool same_folder(const char *a, const char *b)
{
    struct stat x, y;
    return a && b && stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

/* Where NAME of this file is saved; name NULL: under the name that it has on disk. A recipe
 * out of a merged folder is never written into that folder. */
static bool save_path(const ui_app *a, const ui_file *f, const char *name, char dst[4096],
                      rs_err *err)
{
    bool own = f && f->path && f->folder && access(f->folder, W_OK) == 0 &&
               !(a->data && same_folder(f->folder, a->library));
    char stem[1024];
    if (!name && f && f->path) {
        snprintf(stem, sizeof stem, "%s", rs_path_basename(f->path));
        stem[ui_stem_length(stem)] = 0;
        name = stem;
    }
    int n = own       ? snprintf(dst, 4096, "%s/%s.json", f->folder, name)
            : a->data ? snprintf(dst, 4096, "%s/recipes/%s.json", a->data, name)
                      : snprintf(dst, 4096, "%s/%s.json", a->cwd, name);
    if (n > 0 && n < 4096) return true;
    rs_fail(err, RS_E_INVALID, "the name \"%.60s\" is too long for a file", name);
    return false;
}

static bool good_name(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n > 120 || name[0] == '.' || name[0] == '-') return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < 32 || name[i] == 127 || strchr("/\\@:", name[i]))
            return false;
    return true;
}

/* Canonical text of r with paths relative to another folder. */
static char *text_for(const rs_recipe *r, const char *folder)
{
    rs_buf b = {0};
    rs_recipe_text(r, folder, &b);
    char *text = ui_strdup(rs_buf_str(&b));
    rs_buf_free(&b);
    return text;
}

static void add_save(ui_effects *fx, const char *path, const char *text)
{
    ui_effect *e = ui_effects_add(fx, UI_FX_SAVE);
    e->path = ui_strdup(path);
    e->text = ui_strdup(text);
}

/* What stands at path, as it is there now: it may have been changed outside. Where the file is
 * gone, the newest version that was seen. NULL: nothing, or err; owned by the caller. */
static rs_recipe *standing_at(const ui_file *f, const char *path, int *version,
                              rs_err *err)
{
    rs_recipe *r = NULL;
    if (rs_os_kind(path) == RS_PATH_FILE)
        return ui_file_read(path, &r, version, err) == RS_OK ? r : NULL;
    *version = f && f->saved ? f->version : 0;
    if (*version < 1) return NULL;
    if (rs_recipe_parse(f->saved, strlen(f->saved), f->folder, "the saved version", &r,
                        err) != RS_OK)
        return NULL;
    return r;
}

/* The version that is replaced goes to its versions folder first. Sets the new one's number. */
static bool save_older(ui_app *a, const ui_file *f, const char *path, ui_effects *fx,
                       rs_err *err)
{
    char older[4096], folder[4096];
    int version = 0;
    rs_recipe *r = standing_at(f, path, &version, err);
    a->saving.version = version + 1;
    if (!r) return err->code == RS_OK;
    if (ui_version_path(path, version, older, sizeof older)) {
        folder_of(older, folder);
        char *text = text_for(r, folder);
        add_save(fx, older, text);
        a->saving.answers++;
        free(text);
    }
    rs_recipe_free(r);
    return true;
}

/* Notes of versions lie beside them: {"2":"layer 5 halved"}, one line each. */
static void save_note(ui_app *a, const char *path, int version, const char *note,
                      ui_effects *fx)
{
    char any[4096], notes[4096];
    rs_buf b = {0};
    if (!ui_version_path(path, version, any, sizeof any)) return;
    *strrchr(any, '/') = 0;
    if (!rs_path_join(notes, sizeof notes, any, "notes.jsonl")) return;
    if (rs_os_kind(notes) == RS_PATH_FILE &&
        rs_os_read_file(notes, 1 << 20, &b, NULL) != RS_OK)
        rs_buf_reset(&b);
    rs_buf_printf(&b, "{\"version\":%d,\"note\":", version);
    rs_buf_json(&b, note, strlen(note));
    rs_buf_puts(&b, "}\n");
    add_save(fx, notes, rs_buf_str(&b));
    a->saving.answers++;
    rs_buf_free(&b);
}

static void clear_saving(ui_saving *s)
{
    free(s->path);
    free(s->folder);
    free(s->text);
    free(s->note);
    memset(s, 0, sizeof *s);
}

bool ui_save(ui_app *a, const char *name, const char *note, ui_effects *fx)
{
    char path[4096], folder[4096];
    rs_err err = {0};
    rs_recipe *r = ui_doc_begin(&a->doc);
    ui_file *f = ui_doc_file(&a->doc);
    if (!r || a->saving.answers) {
        ui_warn(a, r ? "the last save is still being written" : "no recipe is open");
        rs_recipe_free(r);
        return false;
    }
    bool other = name && strcmp(name, r->name) != 0;
    if (other) r->name = rs_recipe_str(r, name);
    bool good = r->name && good_name(r->name);
    if (!good)
        rs_fail(&err, RS_E_INVALID, "\"%.60s\" is no name for a file",
                r->name ? r->name : "");
    good = good && save_path(a, f, other || !f || !f->path ? r->name : NULL, path, &err);
    clear_saving(&a->saving);
    a->saving.version = 1;
    good = good && save_older(a, other ? NULL : f, path, fx, &err);
    if (good) {
        folder_of(path, folder);
        a->saving.answers++;
        a->saving.file = a->doc.file;
        a->saving.other = other;
        a->saving.path = ui_strdup(path);
        a->saving.folder = ui_strdup(folder);
        a->saving.text = text_for(r, folder);
        a->saving.note = ui_strdup(note && note[0] ? note : NULL);
        add_save(fx, path, a->saving.text);
        if (a->saving.note) save_note(a, path, a->saving.version, a->saving.note, fx);
    } else {
        ui_warn(a, "%s", err.msg);
    }
    rs_recipe_free(r);
    return good;
}

/* A state of the session as text for another folder. NULL: it cannot be read any more. */
static char *moved_text(const char *text, const char *from, const char *to)
{
    rs_recipe *r = NULL;
    if (rs_recipe_parse(text, strlen(text), from, "a state", &r, NULL) != RS_OK)
        return NULL;
    char *moved = text_for(r, to);
    rs_recipe_free(r);
    return moved;
}

static void move_text(char **text, const char *from, const char *to)
{
    char *moved = *text ? moved_text(*text, from, to) : NULL;
    if (!moved) return;
    free(*text);
    *text = moved;
}

/* The open file now lies in another folder: every state of it is written from there. */
static bool move_file(ui_app *a, ui_file *f, rs_err *err)
{
    const char *to = a->saving.folder;
    char *now = text_for(ui_doc_base(&a->doc)->recipe, to);
    rs_recipe *r = NULL;
    bool good = rs_recipe_parse(now, strlen(now), to, "the recipe", &r, err) == RS_OK;
    free(now);
    if (!good || !ui_doc_commit(&a->doc, r, err)) return false;
    for (int i = 0; i < a->undo.n; i++)
        if (a->undo.at[i].file == a->doc.file)
            move_text(&a->undo.at[i].text, f->folder, to);
    for (int i = 0; i < 3; i++)
        move_text(&a->scene[i].text, f->folder, to);
    ui_replace(&f->folder, to);
    ui_replace(&f->path, a->saving.path);
    ui_edit_opened(a);
    return true;
}

/* The open recipe under another name: its own file from now on. */
static bool take_other_name(ui_app *a, rs_err *err)
{
    ui_saving *s = &a->saving;
    rs_recipe *r = NULL;
    if (rs_recipe_parse(s->text, strlen(s->text), s->folder, s->path, &r, err) != RS_OK)
        return false;
    int file = ui_doc_add_file(&a->doc, s->path, s->folder, s->text, s->version);
    if (!ui_doc_commit(&a->doc, r, err)) return false;
    a->doc.file = file;
    ui_undo_push(&a->undo, a->doc.at.text, "write-as", a->i_scene, file, a->wall);
    ui_edit_opened(a);
    return true;
}

/* The open recipe is now what was written. */
static bool take_saved(ui_app *a)
{
    ui_saving *s = &a->saving;
    rs_err err = {0};
    ui_file *f = ui_doc_file(&a->doc);
    bool good = true;
    if (s->other || !f)
        good = take_other_name(a, &err);
    else if (!f->path || strcmp(f->path, s->path) != 0)
        good = move_file(a, f, &err);
    if (!good) {
        ui_warn(a, "%s", err.msg);
        return false;
    }
    f = ui_doc_file(&a->doc);
    ui_replace(&f->saved, s->text);
    f->version = s->version;
    return true;
}

void ui_saved(ui_app *a, const ui_msg *m, ui_effects *fx)
{
    ui_saving *s = &a->saving;
    if (!s->answers) return;
    if (!m->ok && !s->failed) {
        s->failed = true;
        ui_toast(a, m->text ? m->text : "the recipe could not be saved");
    }
    if (--s->answers > 0) return;
    bool good = !s->failed && take_saved(a);
    if (good)
        ui_say(a, "saved as %s v%d%s%s%s   %s", a->doc.at.recipe->name, s->version,
               s->note ? "  \"" : "", s->note ? s->note : "", s->note ? "\"" : "",
               s->path);
    else if (s->failed)
        ui_warn(a, "not saved: the recipe stays as it was, edits are kept");
    bool merge = s->then_merge && good, quit = s->then_quit && good;
    char out[1024];
    snprintf(out, sizeof out, "%s", s->out);
    clear_saving(s);
    if (merge) ui_merge_start(a, out, fx);
    if (quit) ui_effects_add(fx, UI_FX_QUIT);
}
