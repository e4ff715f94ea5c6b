/* save.c - saving the open recipe. A recipe of a folder that cannot be written, or that
 * belongs to the installed program, is saved under the user's data folder instead; its paths
 * are rewritten for the new place.
 *
 * What is written goes out one file after the other (the version that is replaced, the new
 * one, its note): the next only when the one before stands, so a full disk never costs the
 * older version. */
#include "base/os.h"
#include "tui/app/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void folder_of(const char *path, char dst[4096])
{
    if (!rs_path_dirname(dst, 4096, path)) snprintf(dst, 4096, ".");
}

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

/* One more file to be written, after those before it. */
static void plan_write(ui_saving *s, const char *path, const char *text)
{
    s->write[s->n_writes++] =
        (ui_write){.path = ui_strdup(path), .text = ui_strdup(text)};
}

/* The next file goes out; false: all stand. */
static bool write_next(ui_saving *s, ui_effects *fx)
{
    if (s->written == s->n_writes) return false;
    ui_effect *e = ui_effects_add(fx, UI_FX_SAVE);
    e->path = ui_strdup(s->write[s->written].path);
    e->text = ui_strdup(s->write[s->written].text);
    return true;
}

/* What stands at path, as it is there now: it may have been changed outside. Where the file is
 * gone, the newest version that was seen. NULL: nothing, or err; owned by the caller.
 * *version: the number of the last one, 0 for none. */
static rs_recipe *standing_at(const ui_file *f, const char *path, int *version,
                              rs_err *err)
{
    rs_recipe *r = NULL;
    if (rs_os_kind(path) == RS_PATH_FILE)
        return ui_file_read(path, &r, version, err) == RS_OK ? r : NULL;
    *version = f ? f->version : 0;
    if (*version < 1 || !f->saved) return NULL;
    if (rs_recipe_parse(f->saved, strlen(f->saved), f->folder, "the saved version", &r,
                        err) != RS_OK)
        return NULL;
    return r;
}

/* The version that is replaced goes to its versions folder first. Sets the new one's number. */
static bool save_older(ui_app *a, const ui_file *f, const char *path, rs_err *err)
{
    char older[4096], folder[4096];
    int version = 0;
    rs_recipe *r = standing_at(f, path, &version, err);
    a->saving.version = version + 1;
    if (!r) return err->code == RS_OK;
    if (ui_version_path(path, version, older, sizeof older)) {
        folder_of(older, folder);
        char *text = text_for(r, folder);
        plan_write(&a->saving, older, text);
        free(text);
    }
    rs_recipe_free(r);
    return true;
}

/* Notes of versions lie beside them: {"version":2,"note":"layer 5 halved"}, one line each.
 * false: those that are there cannot be read, so they cannot be written again; err. */
static bool save_note(ui_saving *s, const char *path, rs_err *err)
{
    char any[4096], notes[4096];
    rs_buf b = {0};
    if (!s->note || !ui_version_path(path, s->version, any, sizeof any)) return true;
    *strrchr(any, '/') = 0;
    if (!rs_path_join(notes, sizeof notes, any, "notes.jsonl")) return true;
    if (rs_os_kind(notes) != RS_PATH_NONE &&
        rs_os_read_file(notes, 1 << 20, &b, err) != RS_OK) {
        rs_buf_free(&b);
        rs_err_prefix(err, "not saved, :write without a note does");
        return false;
    }
    rs_buf_printf(&b, "{\"version\":%d,\"note\":", s->version);
    rs_buf_json(&b, s->note, strlen(s->note));
    rs_buf_puts(&b, "}\n");
    plan_write(s, notes, rs_buf_str(&b));
    rs_buf_free(&b);
    return true;
}

void ui_saving_clear(ui_saving *s)
{
    for (int i = 0; i < s->n_writes; i++) {
        free(s->write[i].path);
        free(s->write[i].text);
    }
    free(s->path);
    free(s->folder);
    free(s->text);
    free(s->note);
    memset(s, 0, sizeof *s);
}

/* Where r goes, under its own name or another, and all that is to be written. */
static bool plan_saving(ui_app *a, const rs_recipe *r, bool other, const char *note,
                        rs_err *err)
{
    char path[4096], folder[4096];
    const ui_file *f = ui_doc_file(&a->doc);
    ui_saving *s = &a->saving;
    if (!r->name || !good_name(r->name)) {
        rs_fail(err, RS_E_INVALID, "\"%.60s\" is no name for a file",
                r->name ? r->name : "");
        return false;
    }
    if (!save_path(a, f, other || !f || !f->path ? r->name : NULL, path, err) ||
        !save_older(a, other ? NULL : f, path, err))
        return false;
    folder_of(path, folder);
    s->other = other;
    s->path = ui_strdup(path);
    s->folder = ui_strdup(folder);
    s->text = text_for(r, folder);
    s->note = ui_strdup(note && note[0] ? note : NULL);
    plan_write(s, path, s->text);
    return save_note(s, path, err);
}

bool ui_save(ui_app *a, const char *name, const char *note, ui_effects *fx)
{
    rs_err err = {0};
    rs_recipe *r = ui_doc_begin(&a->doc, &err);
    if (!r || a->saving.n_writes) {
        ui_warn(a, "%s", r ? "the last save is still being written" : err.msg);
        rs_recipe_free(r);
        return false;
    }
    bool other = name && strcmp(name, r->name) != 0;
    if (other) r->name = rs_recipe_str(r, name);
    bool good = plan_saving(a, r, other, note, &err);
    rs_recipe_free(r);
    if (good) return write_next(&a->saving, fx);
    ui_saving_clear(&a->saving);
    ui_warn(a, "%s", err.msg);
    return false;
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

/* One whose files are not there yet, so that there is no plan, is opened as it is. */
static bool take_recipe(ui_app *a, rs_recipe *r, rs_err *err)
{
    if (ui_doc_base(&a->doc)->plan) return ui_doc_commit(&a->doc, r, err);
    ui_doc_open(&a->doc, r, a->doc.file);
    return true;
}

/* The open file now lies in another folder: every state of it is written from there. */
static bool move_file(ui_app *a, ui_file *f, rs_err *err)
{
    const char *to = a->saving.folder;
    char *now = text_for(ui_doc_base(&a->doc)->recipe, to);
    rs_recipe *r = NULL;
    bool good = rs_recipe_parse(now, strlen(now), to, "the recipe", &r, err) == RS_OK;
    free(now);
    if (!good || !take_recipe(a, r, err)) return false;
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
    if (!take_recipe(a, r, err)) return false;
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

static void tell_saved(ui_app *a)
{
    const ui_saving *s = &a->saving;
    ui_say(a, "saved as %s v%d%s%s%s   %s", a->doc.at.recipe->name, s->version,
           s->note ? "  \"" : "", s->note ? s->note : "", s->note ? "\"" : "", s->path);
}

void ui_saved(ui_app *a, const ui_msg *m, ui_effects *fx)
{
    ui_saving *s = &a->saving;
    if (!s->n_writes) return;
    if (m->ok) {
        s->written++;
        if (write_next(s, fx)) return;
    } else {
        ui_toast(a, m->text ? m->text : "the recipe could not be saved");
        ui_warn(a, "not saved: the recipe stays as it was, edits are kept");
    }
    bool good = m->ok && take_saved(a);
    if (good) tell_saved(a);
    bool merge = s->then_merge && good, load = s->then_load && good,
         quit = s->then_quit && good, prepare = s->then_prepare && good;
    ui_saving_clear(s);
    if (merge) ui_merge_start(a, a->order.out, fx);
    if (prepare) ui_prepare_start(a, fx);
    if (load) ui_load_ordered(a, fx);
    if (quit) ui_effects_add(fx, UI_FX_QUIT);
}
