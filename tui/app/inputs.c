/* inputs.c - what a stage is mixed from: adds an adapter, a model or a Fisher file by path,
 * takes an input out again; recalls a saved version; notes. */
#include "base/os.h"
#include "merge/measure_file.h"
#include "store/subspace_file.h"
#include "tui/app/commands_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum source_kind {
    AN_ADAPTER,
    A_FISHER,
    A_CONTRAST, /* a mask with the names of a Fisher */
    A_SUBSPACE,
    A_MODEL
} source_kind;

static bool is_subspace(const char *path)
{
    rs_subspace_file *f;
    bool is = rs_subspace_open(path, &f, NULL) == RS_OK;
    rs_subspace_close(f);
    return is;
}

/* By what lies there: adapter_config.json, a lone safetensors file, else a model. */
static source_kind kind_of(const char *path)
{
    char folder[4096];
    size_t n = strlen(path);
    if (rs_os_kind(path) == RS_PATH_FOLDER)
        return ui_folder_holds(path, "adapter_config.json") ? AN_ADAPTER : A_MODEL;
    if (n < 12 || strcmp(path + n - 12, ".safetensors") != 0 ||
        !rs_path_dirname(folder, sizeof folder, path))
        return A_MODEL;
    if (ui_folder_holds(folder, "adapter_config.json")) return AN_ADAPTER;
    if (ui_folder_holds(folder, "config.json")) return A_MODEL;
    if (is_subspace(path)) return A_SUBSPACE;
    return rs_file_is_kind(path, "contrast") ? A_CONTRAST : A_FISHER;
}

static bool is_taken(const rs_recipe *r, const char *name)
{
    return rs_recipe_model(r, name) || rs_recipe_measure(r, name) ||
           rs_recipe_stage(r, name);
}

const char *ui_new_name(rs_recipe *r, const char *path)
{
    char stem[48], name[64];
    size_t n = 0;
    for (const char *c = rs_path_basename(path); *c && *c != '.' && n < 40; c++)
        stem[n++] = isalnum((unsigned char)*c) || *c == '_' ? *c : '-';
    stem[n] = 0;
    snprintf(name, sizeof name, "%s", n ? stem : "source");
    for (int i = 2; is_taken(r, name); i++)
        snprintf(name, sizeof name, "%s-%d", n ? stem : "source", i);
    return rs_recipe_str(r, name);
}

/* A list of the recipe with room for one more; NULL: no memory. */
static void *with_room(rs_recipe *r, const void *list, int n, size_t size)
{
    void *all = rs_arena_array(&r->arena, (size_t)n + 1, size);
    if (all && n) memcpy(all, list, (size_t)n * size);
    return all;
}

static bool add_model_entry(rs_recipe *r, rs_model_entry e)
{
    rs_model_entry *all = with_room(r, r->models, r->n_models, sizeof *all);
    if (!all) return false;
    all[r->n_models++] = e;
    r->models = all;
    return true;
}

const char *ui_add_model(rs_recipe *r, const char *full, const char *on)
{
    const char *name = ui_new_name(r, full), *path = rs_recipe_str(r, full);
    rs_model_entry e = {.name = name};
    if (!name || !path) return NULL;
    switch (kind_of(full)) {
    case A_FISHER:
    case A_CONTRAST:
    case A_SUBSPACE:
        return NULL;
    case AN_ADAPTER:
        e.adapter = path;
        e.on = on;
        break;
    case A_MODEL:
        e.path = path;
        break;
    }
    return add_model_entry(r, e) ? name : NULL;
}

static bool add_input(rs_recipe *r, rs_stage *s, const char *name)
{
    rs_input *all = with_room(r, s->inputs, s->n_inputs, sizeof *all);
    if (!all) return false;
    all[s->n_inputs++] = (rs_input){name, 1};
    s->inputs = all;
    return true;
}

static bool add_measure(rs_recipe *r, rs_stage *s, rs_measure_entry e, bool dampens)
{
    rs_measure_entry *all = with_room(r, r->measures, r->n_measures, sizeof *all);
    if (!all) return false;
    all[r->n_measures++] = e;
    r->measures = all;
    if (dampens && !s->dampen.by) s->dampen.by = e.name;
    return true;
}

/* An input that is mixed in already from the same path, or NULL. */
static const char *twin_of(const rs_recipe *r, const rs_stage *s, const char *full)
{
    for (int i = 0; i < s->n_inputs; i++) {
        const rs_model_entry *e = rs_recipe_model(r, s->inputs[i].from);
        const char *path = e ? (e->adapter ? e->adapter : e->path) : NULL;
        char at[4096], there[4096], here[4096];
        if (!path || !rs_path_join(at, sizeof at, r->folder, path)) continue;
        if (rs_os_real_path(there, sizeof there, at, NULL) == RS_OK &&
            rs_os_real_path(here, sizeof here, full, NULL) == RS_OK &&
            strcmp(there, here) == 0)
            return s->inputs[i].from;
    }
    return NULL;
}

/* Fills what with what was done. */
static bool add_source(rs_recipe *r, rs_stage *s, const char *full, char what[200])
{
    const char *name = ui_new_name(r, full), *path = rs_recipe_str(r, full);
    const char *twin = twin_of(r, s, full);
    char again[100] = "";
    if (twin) snprintf(again, sizeof again, ", which has it as %.60s already", twin);
    if (!name || !path) return false;
    switch (kind_of(full)) {
    case A_FISHER:
        snprintf(what, 200, "Fisher %.60s is there for dampening: d chooses a kind",
                 name);
        return add_measure(
            r, s,
            (rs_measure_entry){.name = name, .type = RS_MEASURE_FISHER, .path = path},
            true);
    case A_CONTRAST:
        snprintf(what, 200, "contrast mask %.60s is there: :shade contrast shows it",
                 name);
        return add_measure(
            r, s,
            (rs_measure_entry){.name = name, .type = RS_MEASURE_FISHER, .path = path},
            false);
    case A_SUBSPACE:
        snprintf(what, 200, "subspace %.60s is there: :mask %.60s both masks by it", name,
                 name);
        return add_measure(
            r, s,
            (rs_measure_entry){.name = name, .type = RS_MEASURE_SUBSPACE, .path = path},
            false);
    case AN_ADAPTER:
        snprintf(what, 200, "adapter %.60s is in %.40s%s", name, s->name,
                 twin ? again : " with weight 1");
        return add_model_entry(r, (rs_model_entry){.name = name, .adapter = path}) &&
               add_input(r, s, name);
    case A_MODEL:
        snprintf(what, 200, "model %.60s is in %.40s%s", name, s->name,
                 twin ? again : " with weight 1");
        return add_model_entry(r, (rs_model_entry){.name = name, .path = path}) &&
               add_input(r, s, name);
    }
    return false;
}

bool ui_cmd_add(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    char full[4096], what[200], line[600];
    rs_stage *s;
    if (!args->n) {
        ui_prompt_command(a, "add ");
        return true;
    }
    if (args->n > 1 || !ui_expand_home(a, args->word[0], full) ||
        rs_os_kind(full) == RS_PATH_NONE) {
        ui_warn(a,
                "add: the path of an adapter, a model, a Fisher or a subspace file, not "
                "\"%.200s\"",
                args->line);
        return false;
    }
    for (size_t n = strlen(full); n > 1 && full[n - 1] == '/'; n--)
        full[n - 1] = 0;
    rs_recipe *r = ui_begin_fuel(a, &s);
    if (!r) return false;
    if (!add_source(r, s, full, what)) {
        rs_recipe_free(r);
        ui_warn(a, "no memory for another source");
        return false;
    }
    snprintf(line, sizeof line, "add \"%.580s\"", args->word[0]);
    return ui_edit_end(a, r, line, what);
}

bool ui_cmd_remove(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    char what[200], line[200];
    rs_stage *s;
    rs_recipe *r = ui_begin_fuel(a, &s);
    if (!r) return false;
    int i = 0;
    while (i < s->n_inputs && (args->n != 1 || strcmp(s->inputs[i].from, args->word[0])))
        i++;
    if (i == s->n_inputs) {
        ui_warn(a, "remove: the name of an input of %.60s, not \"%.100s\"", s->name,
                args->line);
        rs_recipe_free(r);
        return false;
    }
    snprintf(what, sizeof what, "%.60s is out of %.60s", s->inputs[i].from, s->name);
    snprintf(line, sizeof line, "remove %.180s", args->word[0]);
    s->n_inputs--;
    memmove(&s->inputs[i], &s->inputs[i + 1],
            (size_t)(s->n_inputs - i) * sizeof *s->inputs);
    return ui_edit_end(a, r, line, what);
}

/* --- the recipe as a whole --- */

bool ui_cmd_recall(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    char name[4200], path[4096], line[64], what[80];
    rs_err err = {0};
    rs_recipe *old = NULL, *r = NULL;
    const ui_file *f = ui_doc_file_of(&a->doc);
    if (args->n != 1 || !f || !f->path) {
        ui_warn(a, f && !f->path ? "this recipe was never saved"
                                 : "recall: a version, or -1 and so on");
        return false;
    }
    const char *version = args->word[0];
    if (version[0] == '-')
        snprintf(name, sizeof name, "%s", version);
    else
        snprintf(name, sizeof name, "%s@%.20s", f->path, version);
    bool good =
        ui_find_recipe(a, name, path, &err) && rs_recipe_load(path, &old, &err) == RS_OK;
    if (good) r = ui_recipe_moved(old, f->folder, &err);
    rs_recipe_free(old);
    if (!r) {
        ui_warn(a, "%s", err.msg);
        return false;
    }
    int number = ui_version_of(path, name, sizeof name);
    snprintf(line, sizeof line, "recall %.20s", version);
    snprintf(what, sizeof what, "version %d is in the editor",
             number ? number : f->version);
    return ui_edit_end(a, r, line, what);
}

bool ui_cmd_notes(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    if (!args->n) {
        char initial[1024];
        const rs_recipe *now = a->doc.at.recipe;
        snprintf(initial, sizeof initial, "notes %.1000s",
                 now && now->notes ? now->notes : "");
        ui_prompt_command(a, initial);
        return true;
    }
    rs_recipe *r = ui_edit_begin(a);
    if (!r) return false;
    r->notes = rs_recipe_str(r, args->line);
    return ui_edit_end(a, r, "notes", "notes are set");
}
