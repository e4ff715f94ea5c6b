/* ring_layout.c - how Ring divides its space (screens.md 1.2): rows until all are shown, then
 * plots, then text; above 180 columns plots and text stand beside the rows. */
#include "tui/screens/screens.h"

enum { WIDE = 120, BESIDE = 180, STRIP = 4, TEXT_MIN = 5, TEXT_MIN_WIDE = 3 };

static int at_least(int v, int lo)
{
    return v < lo ? lo : v;
}

/* Rows of the panels: a title, a bar a layer (8 at least, for the facts), an axis. */
static int panel_rows(const ui_app *a)
{
    return at_least(a->doc.n_layers, 8) + 2;
}

static ui_rect take(ui_rect *rest, int h)
{
    if (h > rest->h) h = rest->h;
    if (h < 0) h = 0;
    ui_rect r = {rest->x, rest->y, rest->w, h};
    rest->y += h;
    rest->h -= h;
    return r;
}

/* Places the list (with emb as its last row) in `rows` rows. */
static void place_rows(const ui_app *a, ui_ring_layout *l, ui_rect *rest, int rows)
{
    int need = ui_rows_shown(&a->rows);
    if (rows > need) rows = need;
    bool emb = a->rows.shows_emb && rows > 1;
    l->list = take(rest, rows - (emb ? 1 : 0));
    if (emb) l->emb = take(rest, 1);
    l->visible = l->list.h;
}

static void begin(ui_ring_layout *l, ui_rect *rest)
{
    l->controls = take(rest, 1);
    l->head = take(rest, 1);
}

static ui_ring_layout maximised(const ui_app *a, ui_rect body)
{
    ui_ring_layout l = {.wide = body.w >= WIDE};
    ui_rect rest = body;
    if (a->focus == UI_FOCUS_TEXT) {
        l.preview_head = take(&rest, 1);
        l.text = rest;
        return l;
    }
    begin(&l, &rest);
    l.compact = l.wide && ui_rows_shown(&a->rows) > rest.h - 1;
    place_rows(a, &l, &rest, rest.h - 1);
    l.kinds = take(&rest, 1);
    return l;
}

static ui_ring_layout narrow(const ui_app *a, ui_rect body)
{
    ui_ring_layout l = {.wide = body.w >= WIDE};
    ui_rect rest = body;
    int avail = body.h - 5, text = at_least(avail - 5, 1);
    if (text > TEXT_MIN) text = TEXT_MIN;
    begin(&l, &rest);
    place_rows(a, &l, &rest, avail - text);
    l.kinds = take(&rest, 1);
    l.summary = take(&rest, 1);
    l.preview_head = take(&rest, 1);
    l.text = rest;
    return l;
}

static ui_ring_layout wide(const ui_app *a, ui_rect body)
{
    ui_ring_layout l = {.wide = true};
    ui_rect rest = body;
    int need = ui_rows_shown(&a->rows), avail = body.h - 4 - TEXT_MIN_WIDE;
    bool panels = need + panel_rows(a) <= avail;
    l.compact = !panels && need + STRIP > avail;
    begin(&l, &rest);
    place_rows(a, &l, &rest, l.compact ? avail - STRIP : need);
    l.kinds = take(&rest, 1);
    if (panels)
        l.panels = take(&rest, panel_rows(a));
    else
        l.strip = take(&rest, STRIP);
    l.preview_head = take(&rest, 1);
    l.text = rest;
    return l;
}

static ui_ring_layout beside(const ui_app *a, ui_rect body)
{
    ui_ring_layout l = {.wide = true, .beside = true};
    ui_rect left = {body.x, body.y + 1, WIDE, body.h - 1};
    ui_rect right = {body.x + WIDE + 1, body.y + 1, body.w - WIDE - 1, body.h - 1};
    l.controls = (ui_rect){body.x, body.y, body.w, 1};
    l.head = take(&left, 1);
    l.compact = ui_rows_shown(&a->rows) > left.h - 1;
    place_rows(a, &l, &left, left.h - 1);
    l.kinds = take(&left, 1);
    if (panel_rows(a) + 6 <= right.h)
        l.panels = take(&right, panel_rows(a));
    else
        l.strip = take(&right, STRIP);
    l.preview_head = take(&right, 1);
    l.text = right;
    return l;
}

ui_ring_layout ui_ring_layout_of(const ui_app *a, ui_rect body)
{
    if (a->maximised) return maximised(a, body);
    if (body.w >= BESIDE) return beside(a, body);
    if (body.w >= WIDE && body.h >= 4 + STRIP + TEXT_MIN_WIDE + 6) return wide(a, body);
    return narrow(a, body);
}

/* --- columns of a row --- */

static ui_ring_columns narrow_columns(const ui_app *a, int w)
{
    ui_ring_columns c = {
        .heat = 7, .heat_step = 2, .heat_w = 1, .kept = -1, .c_a = -1, .c_b = -1};
    int kinds = ui_heat_kinds(a);
    bool surv = w >= 77, norm = w >= 72, d = w >= 66;
    int fixed = (d ? 5 : 0) + (norm ? 6 : 0) + (surv ? 5 : 0) + 7 + 7 + 6 + 6;
    c.slider = c.heat + 2 * kinds + 1;
    c.slider_w = w - 1 - c.slider - fixed - (w >= 78 ? 2 : 0);
    if (c.slider_w > 30) c.slider_w = 30;
    if (c.slider_w < 4) c.slider_w = 4;
    int x = c.slider + c.slider_w;
    c.gain = x, x += 6;
    c.d = d ? x : -1, x += d ? 5 : 0;
    c.damage = x, x += 7;
    c.norm = norm ? x : -1, x += norm ? 6 : 0;
    c.theta = x, x += 7;
    c.t = x, x += 6;
    c.survival = surv ? x : -1, x += surv ? 5 : 0;
    c.end = x;
    return c;
}

static ui_ring_columns wide_columns(const ui_app *a, int w)
{
    ui_ring_columns c = {.heat = 7, .heat_step = 3, .heat_w = 2, .wide_share = true};
    int more = w - WIDE > 24 ? 24 : w - WIDE;
    c.slider = c.heat + 3 * ui_heat_kinds(a) + 1;
    c.slider_w = 52 + more - c.slider;
    int x = 52 + more;
    c.gain = x;
    c.d = x + 6;
    c.damage = x + 11;
    c.kept = x + 19;
    c.norm = x + 25;
    c.theta = x + 31;
    c.t = x + 38;
    c.c_a = x + 45;
    c.c_b = x + 53;
    c.survival = x + 61;
    c.end = x + 67;
    return c;
}

static ui_ring_columns compact_columns(const ui_app *a)
{
    ui_ring_columns c = {.heat = 9, .heat_step = 1, .heat_w = 1};
    c.slider = c.heat + ui_heat_kinds(a) + 2;
    c.slider_w = 34 - c.slider;
    c.gain = 34;
    c.d = 41;
    c.damage = 47;
    c.kept = 55;
    c.norm = 61;
    c.theta = 68;
    c.t = 76;
    c.c_a = 82;
    c.c_b = 90;
    c.survival = 98;
    c.end = 103;
    return c;
}

ui_ring_columns ui_ring_columns_of(const ui_app *a, const ui_ring_layout *l)
{
    if (l->compact) return compact_columns(a);
    if (l->wide) return wide_columns(a, l->beside ? WIDE : l->head.w);
    return narrow_columns(a, l->head.w);
}
