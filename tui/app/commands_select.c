/* commands_select.c - finding, filtering, sorting, marking. */
#include "tui/app/select.h"
#include "tui/screens/screens.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LISTS = UI_ON(UI_RING) | UI_ON(UI_DETAIL) | UI_ON(UI_JOBS) };

/* --- find: smart case (a capital letter makes case matter), wraps --- */

static bool has_capital(const char *s)
{
    for (; *s; s++)
        if (isupper((unsigned char)*s)) return true;
    return false;
}

static bool holds(const char *text, const char *part)
{
    bool exact = has_capital(part);
    size_t n = strlen(part);
    for (; *text; text++) {
        size_t i = 0;
        while (i < n && text[i] &&
               (exact
                    ? text[i] == part[i]
                    : tolower((unsigned char)text[i]) == tolower((unsigned char)part[i])))
            i++;
        if (i == n) return true;
    }
    return n == 0;
}

static int find_row(const ui_app *a, int from, int step)
{
    char text[256];
    int n = 0;
    while (ui_row_text(a, n, text))
        n++;
    for (int k = 0; k < n; k++) {
        int i = ((from + k * step) % n + n) % n;
        if (ui_row_text(a, i, text) && holds(text, a->find)) return i;
    }
    return -1;
}

static bool find_step(ui_app *a, int step)
{
    if (!a->find[0]) {
        ui_say(a, "nothing was searched yet: / searches");
        return true;
    }
    int at = find_row(a, ui_row_cursor(a) + step, step);
    if (at < 0)
        ui_warn(a, "no row holds \"%s\"", a->find);
    else
        ui_row_go(a, at);
    return at >= 0;
}

static void find_live(ui_app *a, const char *text, ui_effects *fx)
{
    (void)fx;
    snprintf(a->find, sizeof a->find, "%s", text);
    int at = a->find[0] ? find_row(a, ui_row_cursor(a), 1) : -1;
    if (at >= 0) ui_row_go(a, at);
}

static bool find_done(ui_app *a, const char *text, ui_effects *fx)
{
    find_live(a, text, fx);
    if (!a->find[0] || find_row(a, ui_row_cursor(a), 1) >= 0) return true;
    ui_warn(a, "no row holds \"%s\"", a->find);
    return false;
}

static bool run_find(ui_app *a, const ui_args *args, ui_effects *fx)
{
    if (args->n) return find_done(a, args->line, fx);
    ui_entry e = {.changed = find_live, .accept = find_done, .name = "find"};
    ui_entry_open(a, "/", "", &e);
    return true;
}

static bool run_find_next(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    return find_step(a, 1);
}

static bool run_find_prev(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    return find_step(a, -1);
}

/* --- filter --- */

static bool set_filter(ui_app *a, const char *text, bool live)
{
    ui_rows *r = &a->rows;
    ui_mask m = {0};
    rs_err err = {0};
    bool any = text[strspn(text, " ")] != 0;
    if (any && !ui_select(a, text, &m, &err)) {
        if (!live) ui_warn(a, "filter: %s", err.msg);
        return false;
    }
    for (int i = 0; i < r->n; i++)
        r->passes[i] = !any || ui_mask_row(&m, i);
    snprintf(r->filter, sizeof r->filter, "%s", any ? text : "");
    ui_mask_free(&m);
    ui_rows_arrange(r, &a->doc);
    if (!live && any)
        ui_say(a, "%d of %d rows shown: Esc clears the filter", ui_rows_shown(r), r->n);
    else if (!live)
        ui_say(a, "no filter");
    return true;
}

static void filter_live(ui_app *a, const char *text, ui_effects *fx)
{
    (void)fx;
    set_filter(a, text, true);
}

static bool filter_done(ui_app *a, const char *text, ui_effects *fx)
{
    (void)fx;
    return set_filter(a, text, false);
}

static void filter_left(ui_app *a, ui_effects *fx)
{
    (void)fx;
    set_filter(a, a->rows.filter_before, true);
}

static bool run_filter(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    if (args->n) return set_filter(a, args->line, false);
    ui_entry e = {.changed = filter_live,
                  .accept = filter_done,
                  .left = filter_left,
                  .name = "filter"};
    snprintf(a->rows.filter_before, sizeof a->rows.filter_before, "%s", a->rows.filter);
    ui_entry_open(a, "filter ", a->rows.filter, &e);
    return true;
}

/* --- order --- */

static void say_sort(ui_app *a)
{
    ui_say(a, "rows by %s%s", ui_sort_name(a->rows.sort),
           a->rows.reverse ? ", reversed" : "");
}

static bool run_sort(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    int s = (a->rows.sort + 1) % UI_N_SORTS;
    for (s = args->n ? 0 : s; args->n && s < UI_N_SORTS; s++)
        if (strcmp(ui_sort_name((ui_sort)s), args->word[0]) == 0) break;
    if (s == UI_N_SORTS) {
        ui_warn(a, "sort: layer damage kept gain, not \"%s\"", args->word[0]);
        return false;
    }
    a->rows.sort = (ui_sort)s;
    ui_rows_arrange(&a->rows, &a->doc);
    say_sort(a);
    return true;
}

static bool run_sort_reverse(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    a->rows.reverse = !a->rows.reverse;
    ui_rows_arrange(&a->rows, &a->doc);
    say_sort(a);
    return true;
}

/* --- marks --- */

static void say_marks(ui_app *a)
{
    int n = ui_rows_n_marked(&a->rows), hidden = 0;
    for (int i = 0; i < a->rows.n; i++)
        hidden += a->rows.marked[i] && !a->rows.passes[i];
    if (!n)
        ui_say(a, "no marks");
    else if (hidden)
        ui_say(a, "%d row%s marked, %d of them hidden", n, n > 1 ? "s" : "", hidden);
    else
        ui_say(a, "%d row%s marked", n, n > 1 ? "s" : "");
}

static bool mark_selector(ui_app *a, const char *text, bool only)
{
    ui_mask m;
    rs_err err = {0};
    if (!ui_select(a, text, &m, &err)) {
        ui_warn(a, "%s", err.msg);
        return false;
    }
    for (int i = 0; i < a->rows.n; i++) {
        bool hit = ui_mask_row(&m, i);
        if (hit || only) a->rows.marked[i] = hit;
    }
    ui_mask_free(&m);
    say_marks(a);
    return true;
}

static bool run_mark(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    ui_rows *r = &a->rows;
    if (args->n) return mark_selector(a, args->line, false);
    if (!r->n) return true;
    r->marked[r->cursor] = !r->marked[r->cursor];
    ui_rows_move(r, 1);
    say_marks(a);
    return true;
}

static bool run_select(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    if (args->n) return mark_selector(a, args->line, true);
    ui_warn(a, "select needs a selector: layers.4-7, mlp, damage>1.5m ...");
    return false;
}

static bool run_range(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    if (!a->rows.n) return true;
    a->focus = UI_FOCUS_ROWS;
    a->rows.ranging = true;
    a->rows.anchor = a->rows.cursor;
    ui_say(a, "range from here: move, then Enter or Space marks, Esc leaves");
    return true;
}

/* Rows between anchor and cursor, as they stand on the screen. */
static void mark_range(ui_rows *r)
{
    int from = ui_rows_place(r, r->anchor), to = ui_rows_place(r, r->cursor);
    if (from < 0 || to < 0) return;
    for (int i = from < to ? from : to; i <= (from < to ? to : from); i++)
        r->marked[ui_rows_at(r, i)] = true;
}

bool ui_range_key(ui_app *a, int key)
{
    if (!a->rows.ranging || a->screen != UI_RING) return false;
    if (key == UI_KEY_ESC) {
        a->rows.ranging = false;
        a->message[0] = 0;
        return true;
    }
    if (key != UI_KEY_ENTER && key != ' ') return false;
    mark_range(&a->rows);
    a->rows.ranging = false;
    say_marks(a);
    return true;
}

static bool run_unmark(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    for (int i = 0; i < a->rows.n; i++)
        a->rows.marked[i] = false;
    say_marks(a);
    return true;
}

static bool run_invert(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    for (int i = 0; i < a->rows.n; i++)
        a->rows.marked[i] = !a->rows.marked[i];
    say_marks(a);
    return true;
}

/* --- where it hurts --- */

static bool worst_row(ui_app *a)
{
    const rs_measure *m = a->doc.at.measure;
    int worst = -1;
    for (int i = 0; m && i < ui_rows_shown(&a->rows); i++) {
        double v = m->layer[ui_rows_at(&a->rows, i)].damage;
        if (isnan(v)) continue;
        if (worst < 0 || v > m->layer[ui_rows_at(&a->rows, worst)].damage) worst = i;
    }
    if (worst < 0) {
        ui_say(a, "no damage is known yet");
        return true;
    }
    ui_row_go(a, worst);
    int row = ui_rows_at(&a->rows, worst);
    double damage = m->layer[row].damage, all = m->all.damage;
    if (row == a->doc.n_layers)
        ui_say(a, "outside the layers: damage %.3f mnat", damage * 1000);
    else
        ui_say(a, "layer %d: damage %.3f mnat, %.0f %% of all", row, damage * 1000,
               all > 0 ? damage / all * 100 : 0);
    return true;
}

static bool worst_tensor(ui_app *a)
{
    const rs_measure *m = a->doc.at.measure;
    int n = 0, more = 0, worst = -1, *at = ui_detail_tensors(a, &n, &more);
    for (int i = 0; m && i < n; i++) {
        double v = m->tensor[at[i]].damage;
        if (!isnan(v) && (worst < 0 || v > m->tensor[at[worst]].damage)) worst = i;
    }
    if (worst >= 0) a->detail.row = worst;
    free(at);
    return true;
}

static bool worst_job(ui_app *a)
{
    for (int pass = 0; pass < 3; pass++)
        for (int i = 0; i < a->jobs.n; i++) {
            static const ui_job_state wanted[] = {UI_JOB_FAILED, UI_JOB_STOPPED,
                                                  UI_JOB_RUNNING};
            if (a->jobs.at[i].job.state != wanted[pass]) continue;
            a->jobs.cursor = i;
            return true;
        }
    ui_say(a, "no job needs attention");
    return true;
}

static bool run_worst(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    if (a->screen == UI_DETAIL) return worst_tensor(a);
    return a->screen == UI_JOBS ? worst_job(a) : worst_row(a);
}

// clang-format off
const ui_command ui_commands_select[] = {
    {"find", "/ F3", "[TEXT]", LISTS, "select", "cursor to a row that holds the text", false, run_find},
    {"find-next", "n", NULL, LISTS, "select", "next hit", false, run_find_next},
    {"find-prev", "N", NULL, LISTS, "select", "previous hit", false, run_find_prev},
    {"filter", "\\ F4", "[SELECTOR]", UI_ON(UI_RING), "select", "hide rows that do not match; Esc clears", false, run_filter},
    {"sort", "s", "[COLUMN]", UI_ON(UI_RING), "select", "next order: layer damage kept gain", false, run_sort},
    {"sort-reverse", "S", NULL, UI_ON(UI_RING), "select", "reverse the order", false, run_sort_reverse},
    {"mark", "Space", "[SELECTOR]", UI_ON(UI_RING), "select", "mark and go down", false, run_mark},
    {"range", "v", NULL, UI_ON(UI_RING), "select", "range from here: Enter or Space marks it", false, run_range},
    {"unmark", "U", NULL, UI_ON(UI_RING), "select", "no marks", false, run_unmark},
    {"invert", "~", NULL, UI_ON(UI_RING), "select", "marked become unmarked", false, run_invert},
    {"select", NULL, "SELECTOR", UI_ON(UI_RING) | UI_ON(UI_DETAIL), "select", "mark exactly these rows", false, run_select},
    {"worst", "J", NULL, LISTS, "select", "row of the largest damage; a job that needs attention", false, run_worst},
    {0},
};
// clang-format on
