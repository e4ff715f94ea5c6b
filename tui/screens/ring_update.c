/* ring_update.c - Ring after every message: rows stay in view; and the mouse on its parts. */
#include "tui/app/commands_internal.h"
#include "tui/draw/widgets.h"
#include "tui/screens/screens.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bool inside(ui_rect r, int x, int y)
{
    return x >= r.x && x < r.x + r.w && y >= r.y && y < r.y + r.h;
}

/* Row of Ring under a place on the screen, or -1. */
static int row_under(const ui_app *a, const ui_ring_layout *l, int y)
{
    if (l->emb.h && y == l->emb.y) return a->doc.n_layers;
    int i = a->rows.top + y - l->list.y;
    if (y < l->list.y || y >= l->list.y + l->list.h || i >= a->rows.n_order) return -1;
    return a->rows.order[i];
}

/* A value set by the mouse: live while the button is held, one undo step at its release. */
static void slide(ui_app *a, const ui_ring_columns *c, int x)
{
    double lo = a->lane_t ? 0 : a->opt.gain_lo, hi = a->lane_t ? 1 : a->opt.gain_hi;
    int cell = x - c->slider;
    if (cell < 0) cell = 0;
    if (cell >= c->slider_w) cell = c->slider_w - 1;
    double v = ui_slider_value(cell, c->slider_w, lo, hi);
    ui_op op = {.op = '=', .value = round(v * 100) / 100, .by_key = true};
    a->dragging = ui_value_edit(a, op, true);
}

static void release(ui_app *a)
{
    char line[64];
    if (!a->dragging) return;
    a->dragging = false;
    snprintf(line, sizeof line, "%s selected =", a->lane_t ? "t" : "gain");
    const rs_measure *m = a->doc.at.measure;
    if (m)
        snprintf(line, sizeof line, "%s selected =%.3g", a->lane_t ? "t" : "gain",
                 a->lane_t ? m->layer[a->rows.cursor].t : m->layer[a->rows.cursor].gain);
    ui_edit_keep(a, line, "slider moved");
}

static void open_detail(ui_app *a, int row, int kind)
{
    a->detail.layer = row;
    a->detail.row = 0;
    a->detail.all = row == a->doc.n_layers;
    ui_go(a, UI_DETAIL);
    int n = 0, more = 0, *at = ui_detail_tensors(a, &n, &more);
    for (int i = 0; i < n; i++)
        if (at[i] == ui_doc_tensor(&a->doc, row, kind)) a->detail.row = i;
    free(at);
}

static void click_row(ui_app *a, const ui_msg *m, const ui_ring_layout *l)
{
    ui_ring_columns c = ui_ring_columns_of(a, l);
    int row = row_under(a, l, m->mouse.y), x = m->mouse.x;
    if (row < 0) return;
    a->focus = UI_FOCUS_ROWS;
    a->rows.cursor = row;
    if (m->mouse.button == 3 || m->mouse.ctrl) {
        a->rows.marked[row] = m->mouse.what == UI_MOUSE_DRAG || !a->rows.marked[row];
        return;
    }
    bool heat = x >= c.heat && x < c.heat + ui_heat_kinds(a) * c.heat_step &&
                row < a->doc.n_layers;
    if (m->mouse.what == UI_MOUSE_DOUBLE || (heat && m->mouse.what == UI_MOUSE_PRESS)) {
        open_detail(a, row, heat ? (x - c.heat) / c.heat_step : -1);
        return;
    }
    if (x >= c.slider && x < c.slider + c.slider_w) slide(a, &c, x);
}

static void click_controls(ui_app *a, const ui_msg *m, const ui_ring_layout *l,
                           ui_effects *fx)
{
    for (int i = 0; i < ui_ring_n_fields(a); i++) {
        int x, w;
        char text[96];
        if (!ui_ring_field(a, l->wide, i, &x, &w, text)) continue;
        if (m->mouse.x < x || m->mouse.x >= x + w) continue;
        a->focus = UI_FOCUS_CONTROLS;
        a->field = i;
        ui_field_menu(a, fx);
        return;
    }
}

static void wheel(ui_app *a, const ui_msg *m, const ui_ring_layout *l)
{
    int by = m->mouse.what == UI_MOUSE_WHEEL_UP ? -1 : 1;
    if (m->mouse.ctrl && row_under(a, l, m->mouse.y) >= 0) {
        ui_op op = {
            .op = by < 0 ? '+' : '-', .value = a->lane_t ? 0.01 : 0.05, .by_key = true};
        ui_value_edit(a, op, false);
        return;
    }
    bool on_text = inside(l->text, m->mouse.x, m->mouse.y);
    ui_focus was = a->focus;
    a->focus = on_text ? UI_FOCUS_TEXT : UI_FOCUS_ROWS;
    ui_move(a, 3 * by);
    a->focus = was;
}

static void mouse(ui_app *a, const ui_msg *m, ui_effects *fx)
{
    ui_ring_layout l = ui_ring_layout_of(a, ui_body(a));
    int x = m->mouse.x, y = m->mouse.y;
    switch (m->mouse.what) {
    case UI_MOUSE_WHEEL_UP:
    case UI_MOUSE_WHEEL_DOWN:
        wheel(a, m, &l);
        return;
    case UI_MOUSE_RELEASE:
        release(a);
        return;
    case UI_MOUSE_DRAG:
        if (a->dragging) {
            ui_ring_columns c = ui_ring_columns_of(a, &l);
            slide(a, &c, x);
        } else if (m->mouse.button == 3 || m->mouse.ctrl) {
            click_row(a, m, &l);
        }
        return;
    default:
        break;
    }
    if (inside(l.list, x, y) || inside(l.emb, x, y))
        click_row(a, m, &l);
    else if (inside(l.controls, x, y))
        click_controls(a, m, &l, fx);
    else if (inside(l.kinds, x, y))
        a->focus = UI_FOCUS_KINDS;
    else if (inside(l.text, x, y) || inside(l.preview_head, x, y))
        a->focus = UI_FOCUS_TEXT;
    else if (inside(l.head, x, y))
        ui_run(a, "sort", fx);
}

bool ui_ring_update(ui_app *a, const ui_msg *m, ui_effects *fx)
{
    if (!a->doc.at.plan) return false;
    if (m->kind == UI_MSG_MOUSE && a->mode == UI_MODE_NONE) mouse(a, m, fx);
    if (a->screen != UI_RING) return true;
    ui_ring_layout l = ui_ring_layout_of(a, ui_body(a));
    ui_rows_scroll(&a->rows, l.visible);
    return true;
}

void ui_ring_hints(const ui_app *a, rs_buf *out)
{
    bool wide = a->width >= 100;
    const char *pm = ui_glyph_at((ui_glyph_level)a->opt.glyphs, UI_G_PLUSMINUS);
    switch (a->focus) {
    case UI_FOCUS_CONTROLS:
        rs_buf_puts(out, "h l field  Enter change  d kind  ,/. lambda  % normaliser  {/} "
                         "scale  Tab panel");
        return;
    case UI_FOCUS_KINDS:
        rs_buf_printf(out, "j k kind  h/l %s0.05  = + * exact  Tab panel", pm);
        return;
    case UI_FOCUS_TEXT:
        rs_buf_puts(
            out,
            "j k scroll  r again  < > seed  P prompt  O whole screen  y copy  Tab panel");
        return;
    default:
        break;
    }
    const char *step = a->lane_t ? "0.01" : "0.05";
    const rs_stage *s = a->doc.at.recipe ? rs_recipe_fuel(a->doc.at.recipe) : NULL;
    if (s && !s->n_inputs) rs_buf_puts(out, "a adds an adapter  ");
    if (wide)
        rs_buf_printf(out,
                      "h/l %s%s  H/L %s%s  = + * exact  Space v mark  ( ) brush  c curve "
                      " K m I lock mute solo  t lane  F heat  ,/. lambda",
                      pm, step, pm, a->lane_t ? "0.05" : "0.25");
    else
        rs_buf_printf(out,
                      "h/l %s%s  = + * exact  Space mark  c curve  K m I lock mute solo  "
                      ",/. lambda",
                      pm, step);
}
