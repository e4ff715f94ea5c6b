#include "tui/screens/screens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const ui_screen ring = {UI_RING,      "ring",         "Ring",
                               ui_ring_view, ui_ring_update, ui_ring_hints};
static const ui_screen duel = {UI_DUEL,      "duel",         "Duel",
                               ui_duel_view, ui_duel_update, ui_duel_hints};
static const ui_screen jobs = {UI_JOBS,      "jobs",         "Jobs",
                               ui_jobs_view, ui_jobs_update, ui_jobs_hints};
static const ui_screen detail = {UI_DETAIL,      "detail",         NULL,
                                 ui_detail_view, ui_detail_update, ui_detail_hints};

const ui_screen *const ui_screens[UI_N_SCREENS] = {
    [UI_RING] = &ring,
    [UI_DUEL] = &duel,
    [UI_JOBS] = &jobs,
    [UI_DETAIL] = &detail,
};

/* --- cursors --- */

static int clamped(int v, int n)
{
    if (v > n - 1) v = n - 1;
    return v < 0 ? 0 : v;
}

static void move_text(ui_app *a, int by)
{
    ui_ring_layout l = ui_ring_layout_of(a, ui_body(a));
    int last = ui_ring_text_lines(a, &l) - l.text.h;
    if (last < 0) last = 0;
    int top = a->text_top < 0 ? last : a->text_top;
    top += by;
    a->text_top = top >= last ? -1 : top < 0 ? 0 : top;
}

static void move_ring(ui_app *a, int by)
{
    switch (a->focus) {
    case UI_FOCUS_CONTROLS:
        a->field = clamped(a->field + by, ui_ring_n_fields(a));
        break;
    case UI_FOCUS_KINDS:
        a->kind = clamped(a->kind + by, ui_heat_kinds(a) + 1);
        break;
    case UI_FOCUS_TEXT:
        move_text(a, by);
        break;
    default:
        ui_rows_move(&a->rows, by);
    }
}

static void move_duel(ui_app *a, int by)
{
    ui_duel *d = &a->duel;
    for (int side = 0; side < 2; side++) {
        if (a->opt.scroll == 1 && side != d->focus) continue;
        d->paragraph[side] =
            clamped(d->paragraph[side] + by, ui_duel_paragraphs(a, side));
    }
}

void ui_move(ui_app *a, int by)
{
    int n = 0, more = 0;
    switch (a->screen) {
    case UI_RING:
        move_ring(a, by);
        break;
    case UI_DUEL:
        move_duel(a, by);
        break;
    case UI_JOBS:
        a->jobs.cursor = clamped(a->jobs.cursor + by, a->jobs.n);
        break;
    case UI_DETAIL:
        free(ui_detail_tensors(a, &n, &more));
        a->detail.row = clamped(a->detail.row + by, n);
        break;
    default:
        break;
    }
}

void ui_move_page(ui_app *a, int pages, int halves)
{
    ui_rect body = ui_body(a);
    int rows = body.h - 4;
    if (a->screen == UI_RING) {
        ui_ring_layout l = ui_ring_layout_of(a, body);
        rows = a->focus == UI_FOCUS_TEXT ? l.text.h : l.visible;
    }
    if (a->screen == UI_DUEL) rows = 2;
    if (rows < 2) rows = 2;
    ui_move(a, pages * (rows - 1) + halves * (rows / 2));
}

void ui_move_end(ui_app *a, bool last)
{
    ui_move(a, last ? 100000 : -100000);
}

/* --- rows as text --- */

static const char *tail_name(const rs_plan_tensor *t)
{
    return t->role.tail ? t->role.tail : t->name;
}

bool ui_row_text(const ui_app *a, int i, char dst[256])
{
    if (i < 0) return false;
    if (a->screen == UI_RING) {
        int row = ui_rows_at(&a->rows, i);
        if (row < 0) return false;
        const rs_config *c = ui_app_config(a);
        if (row == a->doc.n_layers || !c)
            snprintf(dst, 256, "emb embeddings and outside");
        else
            snprintf(dst, 256, "layer %d %s%s%s", row,
                     c->layers[row].is_full ? "full" : "sliding",
                     c->layers[row].is_sharer ? " sharer" : "",
                     c->layers[row].is_donor ? " donor" : "");
        return true;
    }
    if (a->screen == UI_JOBS) {
        if (i >= a->jobs.n) return false;
        const ui_job *j = &a->jobs.at[i].job;
        snprintf(dst, 256, "%d %s %s", j->id, j->kind, j->title);
        return true;
    }
    if (a->screen == UI_DETAIL) {
        int n = 0, more = 0, *at = ui_detail_tensors(a, &n, &more);
        bool there = i < n;
        if (there) snprintf(dst, 256, "%s", tail_name(rs_plan_at(a->doc.at.plan, at[i])));
        free(at);
        return there;
    }
    return false;
}

int ui_row_cursor(const ui_app *a)
{
    if (a->screen == UI_RING) return ui_rows_place(&a->rows, a->rows.cursor);
    if (a->screen == UI_JOBS) return a->jobs.cursor;
    return a->screen == UI_DETAIL ? a->detail.row : 0;
}

void ui_row_go(ui_app *a, int i)
{
    if (a->screen == UI_RING) {
        a->focus = UI_FOCUS_ROWS;
        ui_rows_to(&a->rows, i);
    }
    if (a->screen == UI_JOBS) a->jobs.cursor = clamped(i, a->jobs.n);
    if (a->screen == UI_DETAIL) a->detail.row = i;
}
