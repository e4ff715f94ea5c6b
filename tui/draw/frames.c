#include "tui/draw/widgets.h"

#include <string.h>

static void hline(ui_grid *g, int x, int y, int w)
{
    ui_fill(g, (ui_rect){x, y, w > 0 ? w : 0, 1}, UI_DIM, ui_glyph(g, UI_G_HLINE));
}

void ui_draw_title(ui_grid *g, int x, int y, int w, const char *title, bool focused)
{
    hline(g, x, y, w);
    if (w < 5 || !title || !*title) return;
    int room = w - 4; /* one dash is left at the end */
    ui_put(g, x + 1, y, 1, UI_DIM, " ");
    if (focused && g->mono) ui_put(g, x + 1, y, 1, UI_FOCUS, ui_glyph(g, UI_G_FOCUS));
    int used = 2 + ui_put_end(g, x + 2, y, room, focused ? UI_FOCUS : UI_ACCENT, title);
    if (used < w) ui_put(g, x + used, y, 1, UI_DIM, " ");
}

ui_rect ui_draw_popup(ui_grid *g, ui_rect b, const char *title)
{
    if (b.w < 4 || b.h < 2) return (ui_rect){b.x, b.y, 0, 0};
    ui_fill(g, b, UI_TEXT, " ");
    hline(g, b.x, b.y, b.w);
    if (title && *title) ui_draw_title(g, b.x + 1, b.y, b.w - 2, title, true);
    hline(g, b.x, b.y + b.h - 1, b.w);
    ui_draw_vline(g, b.x, b.y, b.h);
    ui_draw_vline(g, b.x + b.w - 1, b.y, b.h);
    ui_put(g, b.x, b.y, 1, UI_DIM, ui_glyph(g, UI_G_TOP_LEFT));
    ui_put(g, b.x + b.w - 1, b.y, 1, UI_DIM, ui_glyph(g, UI_G_TOP_RIGHT));
    ui_put(g, b.x, b.y + b.h - 1, 1, UI_DIM, ui_glyph(g, UI_G_BOTTOM_LEFT));
    ui_put(g, b.x + b.w - 1, b.y + b.h - 1, 1, UI_DIM, ui_glyph(g, UI_G_BOTTOM_RIGHT));
    return (ui_rect){b.x + 2, b.y + 1, b.w - 4, b.h - 2};
}

ui_rect ui_centre(ui_rect area, int w, int h)
{
    if (w > area.w) w = area.w;
    if (h > area.h) h = area.h;
    return (ui_rect){area.x + (area.w - w) / 2, area.y + (area.h - h) / 2, w, h};
}

void ui_draw_vline(ui_grid *g, int x, int y, int h)
{
    ui_fill(g, (ui_rect){x, y, 1, h > 0 ? h : 0}, UI_DIM, ui_glyph(g, UI_G_VLINE));
}

/* Part [*from, *to) of `cells` that stands for rows first .. first+shown-1 of total. */
static bool thumb(int cells, int first, int shown, int total, int *from, int *to)
{
    if (cells < 1 || shown < 1 || total <= shown) return false;
    if (first < 0) first = 0;
    if (first > total - shown) first = total - shown;
    *from = (int)((int64_t)first * cells / total);
    *to = (int)(((int64_t)(first + shown) * cells + total - 1) / total);
    if (*to > cells) *to = cells;
    if (*to <= *from) *to = *from + 1;
    return true;
}

void ui_draw_scrollbar(ui_grid *g, int x, int y, int h, int first, int shown, int total)
{
    int from = 0, to = 0;
    if (!thumb(h, first, shown, total, &from, &to)) return;
    ui_draw_vline(g, x, y, h);
    for (int i = from; i < to; i++)
        ui_put(g, x, y + i, 1, UI_BAR, ui_glyph(g, UI_G_FULL));
}

void ui_draw_extent(ui_grid *g, int x, int y, int w, int first, int shown, int total)
{
    int from = 0, to = 0;
    if (!thumb(w, first, shown, total, &from, &to)) return;
    hline(g, x + from, y, to - from);
    ui_put(g, x + from, y, 1, UI_DIM, ui_glyph(g, UI_G_BOTTOM_LEFT));
    ui_put(g, x + to - 1, y, 1, UI_DIM, ui_glyph(g, UI_G_BOTTOM_RIGHT));
}

/* --- hint rows --- */

/* Length of the item at s: up to two blanks or the end. */
static size_t item_bytes(const char *s)
{
    const char *gap = strstr(s, "  ");
    return gap ? (size_t)(gap - s) : strlen(s);
}

static const char *skip_blanks(const char *s)
{
    while (*s == ' ')
        s++;
    return s;
}

/* Walks the items that fit into w columns; returns the columns used. g may be NULL, then
 * nothing is drawn; the item under column `col` is stored in *hit. */
static int walk_hints(ui_grid *g, int x, int y, int w, const char *items, int col,
                      int *hit)
{
    int used = 0;
    for (const char *s = skip_blanks(items); *s; s = skip_blanks(s)) {
        size_t n = item_bytes(s);
        int width = ui_text_width(s, n), gap = used ? 2 : 0;
        if (used + gap + width > w) break;
        used += gap;
        if (g) {
            const char *blank = memchr(s, ' ', n);
            size_t key = blank ? (size_t)(blank - s) : n;
            int at = x + used + ui_put_n(g, x + used, y, -1, UI_KEY, s, key);
            ui_put_n(g, at, y, -1, UI_TEXT, s + key, n - key);
        }
        if (hit && col >= used && col < used + width) *hit = (int)(s - items);
        used += width;
        s += n;
    }
    return used;
}

int ui_draw_hints(ui_grid *g, int x, int y, int w, const char *items)
{
    return walk_hints(g, x, y, w, items, -1, NULL);
}

int ui_hint_at(const char *items, int w, int col)
{
    int hit = -1;
    walk_hints(NULL, 0, 0, w, items, col, &hit);
    return hit;
}
