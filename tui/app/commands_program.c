/* commands_program.c - settings, the log, numbers in full, differences in words. */
#include "tui/draw/numbers.h"
#include "tui/screens/screens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- set --- */

static void after_set(ui_app *a, const ui_option *o, ui_effects *fx)
{
    if (strcmp(o->name, "mouse") == 0)
        ui_effects_add(fx, UI_FX_MOUSE)->value = a->opt.mouse;
    if (strcmp(o->name, "preview") == 0) ui_preview_mode_told(a, fx);
    if (strcmp(o->name, "theme") == 0 || strcmp(o->name, "glyphs") == 0)
        ui_effects_add(fx, UI_FX_REDRAW);
}

static bool set_option(ui_app *a, const char *name, const char *value, ui_effects *fx)
{
    char words[96], now[48];
    const ui_option *o = ui_option_named(name);
    if (!o) {
        ui_warn(a, "set: there is no option \"%.40s\"; o lists them", name);
        return false;
    }
    if (value && !ui_option_set(&a->opt, o, value, words)) {
        ui_warn(a, "set %s takes %s, not \"%.40s\"", name, words, value);
        return false;
    }
    if (a->ascii_only && a->opt.glyphs != UI_GLYPHS_ASCII) {
        a->opt.glyphs = UI_GLYPHS_ASCII;
        ui_warn(a, "the locale is not UTF-8: only ascii can be shown");
        return false;
    }
    if (value) after_set(a, o, fx);
    ui_option_show(&a->opt, o, now);
    ui_say(a, "%s=%s", o->name, now);
    return true;
}

static void option_chosen(ui_app *a, const ui_menu_item *i, ui_effects *fx)
{
    const ui_option *o = ui_option_at(i->value);
    char line[96], now[48];
    if (!o) return;
    ui_option_show(&a->opt, o, now);
    if (o->type == 'r') {
        snprintf(line, sizeof line, "set %s=", o->name);
        ui_prompt_command(a, line);
        return;
    }
    if (o->type == 'b') {
        set_option(a, o->name, strcmp(now, "on") == 0 ? "off" : "on", fx);
    } else {
        int at = 0;
        while (o->words[at] && strcmp(o->words[at], now) != 0)
            at++;
        set_option(a, o->name,
                   o->words[at] && o->words[at + 1] ? o->words[at + 1] : o->words[0], fx);
    }
}

static bool run_options(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    ui_set_mode(a, UI_MODE_MENU);
    snprintf(a->menu.title, sizeof a->menu.title, "settings (Enter: next value)");
    for (int i = 0; ui_option_at(i); i++) {
        char text[96], now[48];
        ui_option_show(&a->opt, ui_option_at(i), now);
        snprintf(text, sizeof text, "%-11s %s", ui_option_at(i)->name, now);
        ui_menu_add(&a->menu, text, ui_option_at(i)->help, i);
    }
    a->menu.chosen = option_chosen;
    return true;
}

static bool run_set(ui_app *a, const ui_args *args, ui_effects *fx)
{
    char name[64];
    if (!args->n) return run_options(a, args, fx);
    const char *equals = strchr(args->line, '=');
    size_t n = equals ? (size_t)(equals - args->line) : strlen(args->line);
    if (n >= sizeof name) n = sizeof name - 1;
    snprintf(name, sizeof name, "%.*s", (int)n, args->line);
    return set_option(a, name, equals ? equals + 1 : NULL, fx);
}

static bool set_by_name(ui_app *a, const char *name, const ui_args *args, ui_effects *fx)
{
    return set_option(a, name, args->n ? args->word[0] : NULL, fx);
}

static bool run_theme(ui_app *a, const ui_args *args, ui_effects *fx)
{
    return set_by_name(a, "theme", args, fx);
}

static bool run_glyphs(ui_app *a, const ui_args *args, ui_effects *fx)
{
    return set_by_name(a, "glyphs", args, fx);
}

static bool run_mouse(ui_app *a, const ui_args *args, ui_effects *fx)
{
    return set_by_name(a, "mouse", args, fx);
}

/* --- bind --- */

/* The bindings without those of one key. */
static char *without_key(const char *bindings, const char *key)
{
    rs_buf b = {0};
    size_t n = strlen(key);
    for (const char *s = bindings ? bindings : ""; *s;) {
        size_t len = strcspn(s, "\n");
        bool same = len > n && strncmp(s, key, n) == 0 && s[n] == ' ';
        if (!same) rs_buf_printf(&b, "%.*s\n", (int)len, s);
        s += len + (s[len] == '\n');
    }
    char *text = ui_strdup(rs_buf_str(&b));
    rs_buf_free(&b);
    return text;
}

static bool run_bind(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    int key = 0;
    char name[24], line[600];
    if (!args->n) {
        rs_buf b = {0};
        rs_buf_puts(&b, a->bindings && a->bindings[0]
                            ? a->bindings
                            : "no key is bound: :bind KEY COMMAND\n");
        ui_page_open(a, "bound keys", &b, false);
        return true;
    }
    if (!ui_key_from_name(args->word[0], &key)) {
        ui_warn(a, "bind: \"%s\" is no key: 7 F12 M-x ^E ...", args->word[0]);
        return false;
    }
    if (ui_command_for_key(key, a->screen)) {
        ui_warn(
            a,
            "bind: %s has a meaning here already; free are 7 8 9 ! # $ ' ^ _ ` | and Alt",
            args->word[0]);
        return false;
    }
    ui_key_name(key, name);
    char *rest = without_key(a->bindings, name);
    const char *command = args->line + strcspn(args->line, " ");
    command += strspn(command, " :");
    snprintf(line, sizeof line, "%s %.500s\n", name, command);
    rs_buf b = {0};
    rs_buf_puts(&b, rest);
    if (*command) rs_buf_puts(&b, line);
    ui_replace(&a->bindings, rs_buf_str(&b));
    rs_buf_free(&b);
    free(rest);
    ui_say(a, *command ? "%s runs %s" : "%s is free again%s", name, command);
    return true;
}

/* --- what was said, what there is, what differs --- */

static bool run_log(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    rs_buf b = {0};
    for (int i = 0; i < a->n_said; i++)
        rs_buf_printf(
            &b, "%s  %s\n",
            ui_num_clock((ui_glyph_level)a->opt.glyphs, a->said[i].wall, a->wall).s,
            a->said[i].text);
    ui_page_open(a, "messages of this session", &b, true);
    return true;
}

static bool run_info(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    rs_buf b = {0};
    if (!a->doc.at.plan) {
        ui_plan_text(a, &b);
    } else if (a->screen == UI_JOBS) {
        const ui_job_row *r = ui_job_here(a);
        if (r)
            rs_buf_printf(
                &b, "job %d\nkind   %s\ntitle  %s\nresult %s\nfiles  %s\nhash   %s\n%s",
                r->job.id, r->job.kind, r->job.title, r->job.out, r->job.folder,
                r->job.hash, r->job.error);
        else
            rs_buf_puts(&b, "no job yet: M merges the recipe\n");
    } else {
        int row = a->screen == UI_DETAIL ? a->detail.layer : a->rows.cursor;
        ui_ring_facts(a, row, true, &b);
        ui_ring_legend(&b);
    }
    ui_page_open(a, "exact numbers", &b, false);
    return true;
}

static bool run_diff(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    const ui_file *f = ui_doc_file_of(&a->doc);
    rs_recipe *other = NULL;
    rs_err err = {0};
    char title[160];
    rs_buf b = {0};
    ui_edit_drop(a);
    if (!a->doc.at.recipe) return true;
    if (a->screen == UI_DUEL && a->duel.open) {
        snprintf(title, sizeof title, "from %.50s (B) to %.50s (A)", a->duel.name,
                 a->doc.at.recipe->name);
        if (rs_recipe_diff(a->duel.recipe, a->doc.at.recipe, &b) == 0)
            rs_buf_puts(&b, "no difference\n");
        ui_page_open(a, title, &b, false);
        return true;
    }
    if (!f || !f->saved ||
        rs_recipe_parse(f->saved, strlen(f->saved), f->folder, "the saved version",
                        &other, &err) != RS_OK) {
        ui_warn(a, "%s", f && f->saved ? err.msg : "nothing was saved yet");
        return false;
    }
    snprintf(title, sizeof title, "%.60s, open, against v%d as saved",
             a->doc.at.recipe->name, f->version);
    if (rs_recipe_diff(other, a->doc.at.recipe, &b) == 0)
        rs_buf_puts(&b, "no difference\n");
    rs_recipe_free(other);
    ui_page_open(a, title, &b, false);
    return true;
}

static bool run_tour(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    int step = args->n ? atoi(args->word[0]) : 1;
    ui_go(a, UI_RING);
    ui_tour_open(a, step);
    return true;
}

// clang-format off
const ui_command ui_commands_program[] = {
    {"info", "i", NULL, UI_EVERYWHERE, "view", "exact numbers, and what the columns mean", false, run_info},
    {"options", "o F2", NULL, UI_EVERYWHERE, "program", "sheet of settings", false, run_options},
    {"diff", "D", NULL, UI_ON(UI_RING) | UI_ON(UI_DUEL), "work", "in words: this and the saved one, or Duel's two", false, run_diff},
    {"set", NULL, "[NAME=VALUE]", UI_EVERYWHERE, "program", "an option; without a value it prints it", false, run_set},
    {"bind", NULL, "[KEY COMMAND]", UI_EVERYWHERE, "program", "a key for a command line; alone it lists", false, run_bind},
    {"theme", NULL, "THEME", UI_EVERYWHERE, "program", "dark light contrast safe mono", false, run_theme},
    {"glyphs", NULL, "braille|block|ascii", UI_EVERYWHERE, "program", "glyph level", false, run_glyphs},
    {"mouse", NULL, "on|off", UI_EVERYWHERE, "program", "mouse reporting", false, run_mouse},
    {"tour", NULL, "[STEP]", UI_EVERYWHERE, "program", "the tour of the first start again", false, run_tour},
    {"log", NULL, NULL, UI_EVERYWHERE, "program", "messages of this session, newest last", false, run_log},
    {0},
};
// clang-format on
