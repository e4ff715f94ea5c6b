/* commands_move.c - going about: tabs, panels, cursors, popups, leaving. */
#include "base/os.h"
#include "tui/app/commands_internal.h"
#include "tui/app/jobs.h"
#include "tui/screens/screens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int number_or(const ui_args *args, int or_else)
{
    int n = args->n ? atoi(args->word[0]) : 0;
    return n > 0 && n < 100000 ? n : or_else;
}

static const ui_screen_id tabs[] = {UI_RING, UI_DUEL,    UI_BOARD,
                                    UI_JOBS, UI_RECIPES, UI_MODELS};
enum { N_TABS = sizeof tabs / sizeof *tabs };

static bool go_to(ui_app *a, ui_screen_id s)
{
    if (!ui_screens[s]) {
        ui_warn(a, "that screen is not in this version");
        return false;
    }
    ui_go(a, s);
    return true;
}

static bool run_go(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    if (args->key >= '1' && args->key <= '6') {
        ui_screen_id s = tabs[args->key - '1'];
        if (s == UI_RING && a->screen == UI_DETAIL) ui_go(a, UI_RING);
        return go_to(a, s);
    }
    for (int i = 0; args->n && i < UI_N_SCREENS; i++)
        if (ui_screens[i] && strcmp(ui_screens[i]->name, args->word[0]) == 0)
            return go_to(a, (ui_screen_id)i);
    ui_warn(a, "go: ring duel jobs detail, not \"%s\"", args->line);
    return false;
}

static bool step_tab(ui_app *a, int by)
{
    int at = 0;
    for (int i = 0; i < N_TABS; i++)
        if (tabs[i] == a->screen) at = i;
    do
        at = (at + by + N_TABS) % N_TABS;
    while (!ui_screens[tabs[at]]);
    ui_go(a, tabs[at]);
    return true;
}

static bool run_tab_next(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    return step_tab(a, 1);
}

static bool run_tab_prev(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    return step_tab(a, -1);
}

static bool step_pane(ui_app *a, int by)
{
    if (a->screen == UI_RING)
        a->focus = (ui_focus)(((int)a->focus + by + UI_N_FOCUS) % UI_N_FOCUS);
    else if (a->screen == UI_DUEL && a->duel.open)
        a->duel.focus = !a->duel.focus;
    else if (a->screen == UI_DETAIL)
        a->detail.focus =
            (ui_detail_focus)(((int)a->detail.focus + by + UI_N_DETAIL_FOCUS) %
                              UI_N_DETAIL_FOCUS);
    else
        ui_say(a, "there is no other panel here");
    return true;
}

static bool run_pane_next(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    return step_pane(a, 1);
}

static bool run_pane_prev(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    return step_pane(a, -1);
}

static bool run_down(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    ui_move(a, number_or(args, 1));
    return true;
}

static bool run_up(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    ui_move(a, -number_or(args, 1));
    return true;
}

static bool run_half_down(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    ui_move_page(a, 0, 1);
    return true;
}

static bool run_half_up(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    ui_move_page(a, 0, -1);
    return true;
}

static bool run_page_down(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    ui_move_page(a, 1, 0);
    return true;
}

static bool run_page_up(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    ui_move_page(a, -1, 0);
    return true;
}

static bool run_top(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    ui_move_end(a, false);
    return true;
}

static bool run_bottom(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    ui_move_end(a, true);
    return true;
}

/* --- open and back --- */

static bool open_result(ui_app *a, ui_effects *fx)
{
    const ui_job_row *r = ui_job_here(a);
    char line[1100];
    if (!r) {
        ui_say(a, "there is no job yet: M merges the recipe");
        return true;
    }
    if (r->job.state != UI_JOB_DONE || !r->job.out[0]) {
        ui_say(a, "job %d has no result yet", r->job.id);
        return true;
    }
    if (strcmp(rs_path_basename(r->job.out), UI_JOB_RESULT) == 0) {
        ui_go(a, UI_RING);
        return ui_run(a, "shade text", fx);
    }
    bool adds = strcmp(r->job.kind, "fisher") == 0 ||
                strcmp(r->job.kind, "subspace") == 0 || strcmp(r->job.kind, "train") == 0;
    snprintf(line, sizeof line, "%s \"%s\"", adds ? "add" : "load", r->job.out);
    if (adds) ui_go(a, UI_RING);
    return ui_run(a, line, fx);
}

static bool run_open(ui_app *a, const ui_args *args, ui_effects *fx)
{
    if (a->screen == UI_JOBS) return open_result(a, fx);
    if (a->screen == UI_RING && !a->doc.at.plan && ui_describes_files(a))
        return ui_cmd_prepare(a, args, fx);
    if (a->screen == UI_DETAIL) {
        a->detail.all = !a->detail.all;
        a->detail.row = 0;
        return true;
    }
    if (a->screen == UI_DUEL) {
        if (a->duel.open)
            ui_say(a, "r writes both texts again, > with the next seed");
        else
            ui_run(a, "versus", fx);
        return true;
    }
    if (a->focus == UI_FOCUS_CONTROLS && a->rows.n) return ui_field_menu(a, fx);
    if (a->screen != UI_RING || !a->rows.n || a->focus != UI_FOCUS_ROWS) {
        ui_say(a, "there is nothing here to open");
        return true;
    }
    a->detail.layer = a->rows.cursor;
    a->detail.row = 0;
    a->detail.all = a->detail.layer == a->doc.n_layers;
    ui_go(a, UI_DETAIL);
    return true;
}

static bool run_back(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    if (a->maximised)
        a->maximised = false;
    else if (a->screen == UI_DETAIL)
        ui_go(a, UI_RING);
    else
        ui_say(a, "Q leaves ringside; q closes a detail or a panel");
    return true;
}

static bool run_cancel(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    if (a->maximised)
        a->maximised = false;
    else if (a->screen == UI_RING && a->rows.filter[0]) {
        a->rows.filter[0] = 0;
        for (int i = 0; i < a->rows.n; i++)
            a->rows.passes[i] = true;
        ui_rows_arrange(&a->rows, &a->doc);
        ui_say(a, "no filter");
    } else if (a->screen == UI_RING && ui_rows_n_marked(&a->rows)) {
        for (int i = 0; i < a->rows.n; i++)
            a->rows.marked[i] = false;
        ui_say(a, "no marks");
    } else if (a->screen == UI_DETAIL) {
        ui_go(a, UI_RING);
    } else {
        a->message[0] = 0;
    }
    return true;
}

static void stop_text(ui_app *a, ui_pane *p, ui_effects *fx)
{
    if (!p->running) return;
    ui_effects_add(fx, UI_FX_STOP_TEXT)->slot = p->slot;
    ui_say(a, "text stopped: r writes it again");
}

static bool run_interrupt(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args;
    bool any = a->text.running || (a->duel.open && a->duel.b.running);
    stop_text(a, &a->text, fx);
    if (a->duel.open) stop_text(a, &a->duel.b, fx);
    if (!any) ui_say(a, "nothing is running here; x stops a job, Q leaves");
    return true;
}

/* --- leaving --- */

static void quit_now(ui_app *a, ui_effects *fx)
{
    a->session_at = a->now;
    ui_effects_add(fx, UI_FX_QUIT);
}

static void quit_choice(ui_app *a, int key, ui_effects *fx)
{
    const ui_file *f = ui_doc_file_of(&a->doc);
    if (key == 'k') quit_now(a, fx);
    if (key == 's' && ui_save(a, NULL, NULL, fx)) a->saving.then_quit = true;
    if (key == 'd' && f && f->saved && ui_edit_show_text(a, f->saved, a->doc.file)) {
        ui_undo_settle(&a->undo, a->doc.at.text, "edits dropped", a->i_scene, a->doc.file,
                       a->wall);
        quit_now(a, fx);
    }
}

static bool run_quit(ui_app *a, const ui_args *args, ui_effects *fx)
{
    bool force = args->n == 1 && strcmp(args->word[0], "force") == 0;
    if (args->n && !force) {
        ui_warn(a, "quit takes nothing, or force, not \"%s\"", args->line);
        return false;
    }
    const ui_file *f = ui_doc_file_of(&a->doc);
    ui_edit_drop(a);
    if (force || !a->doc.at.recipe || ui_doc_is_saved(&a->doc)) {
        quit_now(a, fx);
        return true;
    }
    ui_ask q = {.other = quit_choice};
    int edits = f && f->saved ? ui_undo_since(&a->undo, f->saved) : -1;
    char count[48] = "edits";
    if (edits > 0)
        snprintf(count, sizeof count, "%d edit%s", edits, edits > 1 ? "s" : "");
    snprintf(q.keys, sizeof q.keys, f && f->saved ? "skd" : "sk");
    snprintf(q.text, sizeof q.text,
             "%.24s: %s since v%d.  s save v%d  k keep  %sEsc stay",
             a->doc.at.recipe->name, count, f ? f->version : 0, f ? f->version + 1 : 1,
             f && f->saved ? "d drop  " : "");
    ui_ask_open(a, &q);
    return true;
}

/* --- the rest --- */

static bool run_maximise(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    a->maximised = !a->maximised;
    return true;
}

static bool run_refresh(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args;
    if (!a->doc.at.recipe) return true;
    ui_edit_drop(a);
    ui_files_again(a, fx);
    ui_edit_opened(a);
    if (a->doc.at.plan)
        ui_say(a, "read again: %d tensors, %d sources", rs_plan_count(a->doc.at.plan),
               rs_plan_n_sources(a->doc.at.plan));
    else
        ui_warn(a, "%s", a->doc.at.problem.msg);
    return true;
}

static bool run_freeze(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    a->frozen = !a->frozen;
    ui_say(a, a->frozen ? "the screen is held: Z lets it go" : "the screen moves again");
    return true;
}

static bool run_redraw(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)a, (void)args;
    ui_effects_add(fx, UI_FX_REDRAW);
    return true;
}

static bool run_suspend(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)a, (void)args;
    ui_effects_add(fx, UI_FX_SUSPEND);
    return true;
}

static bool run_help(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    ui_help_show(a, args->line);
    if (args->n && a->help && !ui_help_topic(a->help)[0])
        ui_say(a, "no key or command is about \"%s\": here are all", args->line);
    return true;
}

static bool run_command(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    ui_prompt_command(a, args->line);
    return true;
}

static bool run_palette(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    ui_palette_show(a);
    return true;
}

// clang-format off
const ui_command ui_commands_move[] = {
    {"go", "1 2 4", "SCREEN", UI_EVERYWHERE, "going about", "that screen: ring duel jobs detail", false, run_go},
    {"tab-next", "]", NULL, UI_EVERYWHERE, "going about", "next tab", false, run_tab_next},
    {"tab-prev", "[", NULL, UI_EVERYWHERE, "going about", "previous tab", false, run_tab_prev},
    {"pane-next", "Tab", NULL, UI_EVERYWHERE, "going about", "focus the next panel of the screen", false, run_pane_next},
    {"pane-prev", "S-Tab", NULL, UI_EVERYWHERE, "going about", "focus the previous panel", false, run_pane_prev},
    {"down", "j Down", "[N]", UI_EVERYWHERE, "going about", "cursor down; in a text, next paragraph", false, run_down},
    {"up", "k Up", "[N]", UI_EVERYWHERE, "going about", "cursor up", false, run_up},
    {"half-down", "^D", NULL, UI_EVERYWHERE, "going about", "half a page down", false, run_half_down},
    {"half-up", "^U", NULL, UI_EVERYWHERE, "going about", "half a page up", false, run_half_up},
    {"page-down", "PgDn", NULL, UI_EVERYWHERE, "going about", "a page down", false, run_page_down},
    {"page-up", "PgUp", NULL, UI_EVERYWHERE, "going about", "a page up", false, run_page_up},
    {"top", "g Home", NULL, UI_EVERYWHERE, "going about", "first row", false, run_top},
    {"bottom", "G End", NULL, UI_EVERYWHERE, "going about", "last row", false, run_bottom},
    {"open", "Enter", NULL, UI_EVERYWHERE, "going about", "layer, field or result under the cursor", false, run_open},
    {"back", "q", NULL, UI_EVERYWHERE, "going about", "close the detail or panel", false, run_back},
    {"cancel", "Esc", NULL, UI_EVERYWHERE, "going about", "leave a mode, clear filter, then marks", false, run_cancel},
    {"interrupt", "^C", NULL, UI_EVERYWHERE, "going about", "stop the text that is being written", false, run_interrupt},
    {"quit", "Q F10", "[force]", UI_EVERYWHERE, "going about", "leave; jobs go on, the session is kept", false, run_quit},
    {"maximise", "O", NULL, UI_ON(UI_RING), "view", "focused panel over the whole screen, and back", false, run_maximise},
    {"refresh", "R", NULL, UI_EVERYWHERE, "view", "read the files again", false, run_refresh},
    {"freeze", "Z", NULL, UI_EVERYWHERE, "view", "hold all updates on the screen, and let go", false, run_freeze},
    {"redraw", "^L", NULL, UI_EVERYWHERE, "view", "send every cell again", false, run_redraw},
    {"suspend", "^Z", NULL, UI_EVERYWHERE, "program", "to the shell; fg returns", false, run_suspend},
    {"help", "? F1", "[TOPIC]", UI_EVERYWHERE, "program", "keys of this screen; again: all", false, run_help},
    {"command", ":", NULL, UI_EVERYWHERE, "program", "command line", false, run_command},
    {"palette", "^P", NULL, UI_EVERYWHERE, "program", "fuzzy list of all commands and recent lines", false, run_palette},
    {0},
};
// clang-format on
