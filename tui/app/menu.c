#include "tui/app/menu.h"

#include "tui/app/mem.h"
#include "tui/draw/widgets.h"
#include "tui/draw/wrap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void ui_menu_clear(ui_menu *m)
{
    for (int i = 0; i < m->n; i++) {
        free(m->item[i].text);
        free(m->item[i].help);
    }
    free(m->item);
    memset(m, 0, sizeof *m);
}

void ui_menu_add(ui_menu *m, const char *text, const char *help, int value)
{
    m->item = ui_grow(m->item, m->n, &m->cap, sizeof *m->item);
    m->item[m->n++] = (ui_menu_item){
        .text = ui_strdup(text), .help = ui_strdup(help ? help : ""), .value = value};
}

static bool contains(const char *text, const char *part)
{
    size_t n = strlen(part);
    for (; *text; text++)
        if (strncasecmp(text, part, n) == 0) return true;
    return n == 0;
}

static bool is_shown(const ui_menu *m, int i)
{
    return contains(m->item[i].text, m->search) || contains(m->item[i].help, m->search);
}

int ui_menu_n_shown(const ui_menu *m)
{
    int n = 0;
    for (int i = 0; i < m->n; i++)
        n += is_shown(m, i);
    return n;
}

const ui_menu_item *ui_menu_shown(const ui_menu *m, int want)
{
    for (int i = 0; i < m->n; i++)
        if (is_shown(m, i) && want-- == 0) return &m->item[i];
    return NULL;
}

static int widest(const ui_menu *m, bool help)
{
    int w = 0;
    for (int i = 0; i < m->n; i++) {
        const char *s = help ? m->item[i].help : m->item[i].text;
        int c = ui_text_width(s, strlen(s));
        if (c > w) w = c;
    }
    return w;
}

static void draw_items(const ui_menu *m, ui_grid *g, ui_rect in, int text_w)
{
    int n = ui_menu_n_shown(m), rows = in.h - 1;
    int top = m->cursor >= rows ? m->cursor - rows + 1 : 0;
    for (int i = 0; i < rows && top + i < n; i++) {
        const ui_menu_item *item = ui_menu_shown(m, top + i);
        bool here = top + i == m->cursor;
        int y = in.y + i;
        if (here) ui_put(g, in.x, y, 1, UI_CURSOR, ">");
        ui_put_end(g, in.x + 2, y, text_w, here ? UI_CURSOR : UI_TEXT, item->text);
        ui_put_end(g, in.x + 4 + text_w, y, in.w - 4 - text_w, UI_DIM, item->help);
        if (here) g->cursor_x = in.x, g->cursor_y = y;
    }
    ui_draw_scrollbar(g, in.x + in.w - 1, in.y, rows, top, rows, n);
}

void ui_menu_view(const ui_menu *m, ui_grid *g, ui_rect body)
{
    int text_w = widest(m, false), help_w = widest(m, true);
    int w = text_w + help_w + 9, h = m->n + 4;
    if (w < 40) w = 40;
    if (w > body.w - 4) w = body.w - 4;
    if (h > body.h) h = body.h;
    if (text_w > w - 9) text_w = w - 9;
    ui_rect in = ui_draw_popup(g, ui_centre(body, w, h), m->title);
    draw_items(m, g, in, text_w);
    ui_printf(g, in.x, in.y + in.h - 1, in.w, UI_DIM, "%s%s%sEnter takes it   Esc leaves",
              m->search[0] ? "search \"" : "", m->search, m->search[0] ? "\"   " : "");
}

static ui_rect page_box(ui_rect body)
{
    int w = body.w > 104 ? 100 : body.w - 4;
    return ui_centre(body, w, body.h);
}

int ui_page_height(const ui_page *p, ui_rect body, int *lines)
{
    ui_rect box = page_box(body);
    ui_wrap w = {0};
    if (ui_wrap_text(&w, rs_buf_str(&p->text), p->text.len, box.w > 5 ? box.w - 4 : 1))
        *lines = w.n;
    else
        *lines = 0;
    ui_wrap_free(&w);
    return box.h - 3;
}

void ui_page_view(const ui_page *p, ui_grid *g, ui_rect body)
{
    ui_rect in = ui_draw_popup(g, page_box(body), p->title);
    ui_wrap w = {0};
    if (!ui_wrap_text(&w, rs_buf_str(&p->text), p->text.len, in.w > 0 ? in.w : 1)) return;
    int rows = in.h - 1, top = p->top;
    if (p->at_end || top > w.n - rows) top = w.n - rows;
    if (top < 0) top = 0;
    for (int i = 0; i < rows && top + i < w.n; i++)
        ui_put_line(g, in.x, in.y + i, in.w, UI_TEXT, rs_buf_str(&p->text),
                    &w.at[top + i], NULL, 0);
    ui_draw_scrollbar(g, in.x + in.w - 1, in.y, rows, top, rows, w.n);
    ui_put(g, in.x, in.y + in.h - 1, in.w, UI_DIM, "j k scroll   q closes");
    g->cursor_x = in.x;
    g->cursor_y = in.y + in.h - 1;
    ui_wrap_free(&w);
}
