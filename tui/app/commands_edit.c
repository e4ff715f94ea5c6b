/* commands_edit.c - undo and its kin, saving, loading, copying. */
#include "tui/app/commands_internal.h"
#include "tui/screens/screens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- undo --- */

static bool show_node(ui_app *a, const ui_undo_node *n)
{
    if (a->scene[a->i_scene].text || n->scene != a->i_scene)
        ui_replace(&a->scene[a->i_scene].text, a->doc.at.text);
    char *text = ui_strdup(n->text);
    int scene = n->scene;
    bool good = ui_edit_show_text(a, text, n->file);
    if (good) a->i_scene = scene;
    free(text);
    return good;
}

static int times(const ui_args *args)
{
    int n = args->n ? atoi(args->word[0]) : 1;
    return n < 1 ? 1 : n > UI_UNDO_MAX ? UI_UNDO_MAX : n;
}

static bool run_undo(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    ui_edit_drop(a);
    for (int i = times(args); i > 0; i--) {
        const ui_undo_node *here = ui_undo_here(&a->undo);
        char line[240] = "";
        if (here) snprintf(line, sizeof line, "%s", here->line);
        const ui_undo_node *n = ui_undo_back(&a->undo);
        if (!n) {
            ui_say(a, "this is the oldest state");
            return true;
        }
        if (!show_node(a, n)) return false;
        ui_say(a, "undone: %s   (^R does it again)", line);
    }
    return true;
}

static bool run_redo(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    ui_edit_drop(a);
    for (int i = times(args); i > 0; i--) {
        const ui_undo_node *n = ui_undo_forward(&a->undo);
        if (!n) {
            ui_say(a, "this is the newest state");
            return true;
        }
        char line[240];
        snprintf(line, sizeof line, "%s", n->line);
        if (!show_node(a, n)) return false;
        ui_say(a, "done again: %s", line);
    }
    return true;
}

static void history_chosen(ui_app *a, const ui_menu_item *i, ui_effects *fx)
{
    (void)fx;
    const ui_undo_node *n = ui_undo_go(&a->undo, i->value);
    if (n && show_node(a, n))
        ui_say(a, "state %d: %s", i->value + 1, a->undo.at[i->value].line);
}

static int depth_of(const ui_undo *u, int node)
{
    int depth = 0, child = node;
    for (int i = u->at[node].parent; i >= 0; child = i, i = u->at[i].parent) {
        int children = 0;
        for (int k = 0; k < u->n; k++)
            children += u->at[k].parent == i;
        if (children > 1 && u->at[i].last_child != child) depth++;
    }
    return depth;
}

static bool run_history(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    const ui_undo *u = &a->undo;
    const ui_file *f = ui_doc_file_of(&a->doc);
    ui_edit_drop(a);
    ui_set_mode(a, UI_MODE_MENU);
    snprintf(a->menu.title, sizeof a->menu.title, "states of this session");
    for (int i = 0; i < u->n; i++) {
        char text[160], help[64];
        bool saved = f && f->saved && strcmp(f->saved, u->at[i].text) == 0;
        snprintf(text, sizeof text, "%*s%d %.120s", depth_of(u, i) * 2, "", i + 1,
                 u->at[i].line);
        snprintf(help, sizeof help, "%s%s%s", i == u->here ? "here" : "",
                 i == u->here && saved ? ", " : "", saved ? "saved" : "");
        ui_menu_add(&a->menu, text, help, i);
        if (i == u->here) a->menu.cursor = i;
    }
    a->menu.chosen = history_chosen;
    return true;
}

/* The last edit again, on what is selected now. */
static bool run_repeat(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args;
    static const char *const with_selector[] = {"gain", "t",    "mute",
                                                "solo", "lock", "reset"};
    const char *line = a->last_edit;
    char name[32], again[600];
    if (!line) {
        ui_say(a, "nothing was edited yet");
        return true;
    }
    snprintf(name, sizeof name, "%.*s", (int)strcspn(line, " "), line);
    snprintf(again, sizeof again, "%s", line);
    for (size_t i = 0; i < sizeof with_selector / sizeof *with_selector; i++) {
        if (strcmp(name, with_selector[i]) != 0) continue;
        const char *last = strrchr(line, ' ');
        if (i < 2)
            snprintf(again, sizeof again, "%s selected %s", name, last ? last + 1 : "");
        else
            snprintf(again, sizeof again, "%s selected", name);
    }
    return ui_run(a, again, fx);
}

/* --- copy and paste --- */

static bool copy_text(ui_app *a, const char *text, const char *what, ui_effects *fx)
{
    if (!text[0]) {
        ui_say(a, "there is nothing to copy");
        return true;
    }
    ui_effects_add(fx, UI_FX_COPY)->text = ui_strdup(text);
    ui_say(a, "copied %s", what);
    return true;
}

static bool run_copy(ui_app *a, const ui_args *args, ui_effects *fx)
{
    if (a->screen == UI_DUEL && !a->duel.open) {
        ui_say(a, "there is no duel to copy from: V starts one");
        return true;
    }
    if (a->screen == UI_DUEL) {
        const ui_pane *p = ui_duel_pane(a, a->duel.focus);
        return copy_text(a, rs_buf_str(&p->text),
                         a->duel.focus ? "the text of B" : "the text of A", fx);
    }
    if (a->screen == UI_JOBS) {
        const ui_job_row *r = ui_job_here(a);
        return copy_text(a, r ? r->job.out : "", r ? r->job.out : "", fx);
    }
    if (a->screen == UI_RING && a->focus == UI_FOCUS_TEXT)
        return copy_text(a, rs_buf_str(&a->text.text), "the preview", fx);
    return ui_cmd_copy_line(a, args, fx);
}

/* --- outside --- */

static bool run_edit(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args;
    if (!a->doc.at.text) {
        ui_warn(a, "no recipe is open");
        return false;
    }
    ui_edit_drop(a);
    ui_effect *e = ui_effects_add(fx, UI_FX_EDITOR);
    e->text = ui_strdup(a->refused_text ? a->refused_text : a->doc.at.text);
    e->title = ui_strdup(a->doc.at.recipe->name);
    return true;
}

void ui_edited_outside(ui_app *a, const ui_msg *m)
{
    rs_recipe *r = NULL;
    rs_err err = {0};
    if (!m->ok) {
        if (m->text && m->text[0]) ui_toast(a, m->text);
        return;
    }
    if (!m->text || !a->doc.at.recipe) return;
    if (rs_recipe_parse(m->text, strlen(m->text), a->doc.at.recipe->folder,
                        "the edited recipe", &r, &err) != RS_OK) {
        ui_replace(&a->refused_text, m->text);
        ui_warn(a, "%s   (e opens your text again)", err.msg);
        return;
    }
    if (ui_edit_end(a, r, "edit", "edited outside"))
        ui_replace(&a->refused_text, NULL);
    else
        ui_replace(&a->refused_text, m->text);
}

/* --- write and load --- */

static bool run_write(ui_app *a, const ui_args *args, ui_effects *fx)
{
    ui_edit_drop(a);
    const ui_file *f = ui_doc_file_of(&a->doc);
    if (ui_doc_is_saved(&a->doc) && f->path && !args->n) {
        ui_say(a, "nothing changed since v%d", f->version);
        return true;
    }
    return ui_save(a, NULL, args->n ? args->word[0] : NULL, fx);
}

static bool name_typed(ui_app *a, const char *text, ui_effects *fx)
{
    if (strcmp(text, a->ask.line) != 0) {
        ui_warn(a, "that is not its name: nothing was written");
        return true;
    }
    char name[512];
    snprintf(name, sizeof name, "%s", a->ask.line);
    ui_save(a, name, NULL, fx);
    return true;
}

static bool run_write_as(ui_app *a, const ui_args *args, ui_effects *fx)
{
    char path[4096], prefix[400];
    rs_err err = {0};
    ui_edit_drop(a);
    if (!args->n || args->n > 2) {
        ui_warn(a, "write-as needs a name, and may take a note in quotes");
        return false;
    }
    const char *name = args->word[0];
    bool same = a->doc.at.recipe && strcmp(name, a->doc.at.recipe->name) == 0;
    if (!same && strchr(name, '/') == NULL && ui_find_recipe(a, name, path, &err)) {
        snprintf(a->ask.line, sizeof a->ask.line, "%s", name);
        snprintf(prefix, sizeof prefix,
                 "%.60s exists. Type its name to replace it: ", name);
        ui_entry e = {.accept = name_typed, .name = "write-as"};
        ui_entry_open(a, prefix, "", &e);
        return true;
    }
    return ui_save(a, name, args->n > 1 ? args->word[1] : NULL, fx);
}

/* The edits that were asked about are left behind: u leads to what is saved. */
static void push_load(ui_app *a, const char *what, const char *saved, int left)
{
    char line[600];
    if (saved)
        ui_undo_settle(&a->undo, saved, "edits dropped", a->i_scene, left, a->wall);
    snprintf(line, sizeof line, "load %.580s", what);
    ui_undo_push(&a->undo, a->doc.at.text, line, a->i_scene, a->doc.file, a->wall);
    for (int i = 0; i < 3; i++)
        ui_replace(&a->scene[i].text, NULL);
}

static void tell_loaded(ui_app *a, const char *path)
{
    char newest[4096];
    int older = ui_version_of(path, newest, sizeof newest);
    if (!a->doc.at.plan)
        ui_warn(a, "%s: %s", a->doc.at.recipe->name, a->doc.at.problem.msg);
    else if (older)
        ui_say(a, "%s v%d is in the editor: W saves it as v%d   (u goes back)",
               a->doc.at.recipe->name, older, ui_newest_version(newest) + 1);
    else
        ui_say(a, "%s is open   (u goes back)", a->doc.at.recipe->name);
}

/* drop: the edits of the recipe that is left go, once the other one is open. */
static bool load_now(ui_app *a, const char *what, bool drop)
{
    char path[4096];
    rs_err err = {0};
    const ui_file *f = ui_doc_file_of(&a->doc);
    int left = a->doc.file;
    char *saved = ui_strdup(drop && f ? f->saved : NULL);
    bool good = ui_find_recipe(a, what, path, &err) && ui_open_path(a, path, &err);
    if (good) {
        push_load(a, what, saved, left);
        tell_loaded(a, path);
        if (a->screen != UI_RING) ui_go(a, UI_RING);
    } else {
        ui_warn(a, "%s", err.msg);
    }
    free(saved);
    return good;
}

/* Opens the recipe that was ordered; then as A of a duel, if that was ordered, too. */
static bool load_ordered(ui_app *a, bool drop, ui_effects *fx)
{
    ui_load_order o = a->load;
    a->load = (ui_load_order){0};
    bool good = o.what && load_now(a, o.what, drop);
    if (good && o.against[0]) good = ui_versus(a, o.against, fx);
    free(o.what);
    free(o.against);
    return good;
}

static void load_choice(ui_app *a, int key, ui_effects *fx)
{
    if (key == 's')
        a->saving.then_load = ui_save(a, NULL, NULL, fx);
    else
        load_ordered(a, key == 'd', fx); /* k: undo goes back to the edits */
}

void ui_load_ordered(ui_app *a, ui_effects *fx)
{
    load_ordered(a, false, fx);
}

bool ui_load(ui_app *a, const char *what, const char *against, ui_effects *fx)
{
    char path[4096];
    rs_err err = {0};
    ui_edit_drop(a);
    if (!ui_find_recipe(a, what, path, &err)) {
        ui_warn(a, "%s", err.msg);
        return false;
    }
    ui_replace(&a->load.what, what);
    ui_replace(&a->load.against, against ? against : "");
    if (!a->doc.at.recipe || ui_doc_is_saved(&a->doc)) return load_ordered(a, false, fx);
    const ui_file *f = ui_doc_file_of(&a->doc);
    bool can_drop = f && f->saved;
    ui_ask q = {.other = load_choice};
    snprintf(q.keys, sizeof q.keys, can_drop ? "skd" : "sk");
    snprintf(q.text, sizeof q.text,
             "%.24s has unsaved edits: s save v%d  k keep in undo  %sEsc stay",
             a->doc.at.recipe->name, f ? f->version + 1 : 1, can_drop ? "d drop  " : "");
    ui_ask_open(a, &q);
    return true;
}

static bool run_load(ui_app *a, const ui_args *args, ui_effects *fx)
{
    if (args->n == 1) return ui_load(a, args->word[0], NULL, fx);
    ui_edit_drop(a);
    ui_warn(a, "load needs a recipe: a name, name@2, -1, a file or a merged folder");
    return false;
}

// clang-format off
const ui_command ui_commands_edit[] = {
    {"undo", "u", "[N]", UI_EVERYWHERE, "work", "the recipe before the last edit", false, run_undo},
    {"redo", "^R", "[N]", UI_EVERYWHERE, "work", "forward again, on the branch last used", false, run_redo},
    {"history", "z", NULL, UI_EVERYWHERE, "work", "states of this session; Enter goes there", true, run_history},
    {"repeat", "&", NULL, UI_EVERYWHERE, "values", "the last edit again, on what is marked now", true, run_repeat},
    {"copy", "y", NULL, UI_EVERYWHERE, "work", "gains as a line of numbers; a text; a path", false, run_copy},
    {"paste", "p", NULL, UI_ON(UI_RING), "values", "the number line on the rows", true, ui_cmd_paste},
    {"edit", "e", NULL, UI_EVERYWHERE, "work", "recipe in $VISUAL, checked on return", true, run_edit},
    {"write", "W ^S", "[\"NOTE\"]", UI_EVERYWHERE, "work", "save the recipe as its next version", false, run_write},
    {"write-as", NULL, "NAME [\"NOTE\"]", UI_EVERYWHERE, "work", "save under another name", false, run_write_as},
    {"load", NULL, "RECIPE", UI_EVERYWHERE, "work", "open a recipe or a merged folder", true, run_load},
    {0},
};
// clang-format on
