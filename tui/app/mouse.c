/* mouse.c - clicks on the frame: tabs, F-keys, hints; beside a popup they are Esc. What lies
 * between is the screen's (ui_screen.update). */
#include "tui/app/chrome.h"
#include "tui/draw/widgets.h"
#include "tui/screens/screens.h"

#include <string.h>

static void click_tab(ui_app *a, int x)
{
    int at = 0;
    for (int i = 0; i < UI_N_TABS; i++) {
        int w = (int)strlen(ui_tabs[i].label) + 2;
        if (x >= at && x < at + w && ui_screens[ui_tabs[i].screen])
            ui_go(a, ui_tabs[i].screen);
        at += w;
    }
}

static void click_fkey(ui_app *a, int x, ui_effects *fx)
{
    bool words = a->width >= 80, wide = a->width >= 100;
    int at = 1;
    for (int i = 0; i < 10; i++) {
        int w = (i == 9 ? 3 : 2) + (wide ? 3 : 1) +
                (words ? (int)strlen(ui_fkeys[i].label) : 1);
        if (x >= at && x < at + w) ui_key(a, UI_KEY_F1 + i, fx);
        at += w;
    }
}

/* The first key of an item: "h/l" is h, "K m I lock ..." is K. */
static void click_hint(ui_app *a, int x, ui_effects *fx)
{
    rs_buf b = {0};
    ui_hint_text(a, &b);
    int at = ui_hint_at(rs_buf_str(&b), a->width - 2, x - 1);
    if (at >= 0 && (size_t)at < b.len) {
        char name[24];
        int key = 0;
        size_t n = strcspn(b.data + at, " /");
        if (n == 0) n = 1;
        if (n < sizeof name) {
            memcpy(name, b.data + at, n);
            name[n] = 0;
            if (ui_key_from_name(name, &key)) ui_key(a, key, fx);
        }
    }
    rs_buf_free(&b);
}

void ui_mouse(ui_app *a, const ui_msg *m, ui_effects *fx)
{
    int y = m->mouse.y, h = a->height, body_end = h - 2 - (a->opt.hints ? 1 : 0);
    bool wheel =
        m->mouse.what == UI_MOUSE_WHEEL_UP || m->mouse.what == UI_MOUSE_WHEEL_DOWN;
    if (a->mode == UI_MODE_PAGE && wheel) {
        for (int i = 0; i < 3; i++)
            ui_key(a, m->mouse.what == UI_MOUSE_WHEEL_UP ? UI_KEY_UP : UI_KEY_DOWN, fx);
        return;
    }
    if (m->mouse.what != UI_MOUSE_PRESS || m->mouse.button != 1) return;
    if (y == h - 2 && a->opt.hints) {
        click_hint(a, m->mouse.x, fx);
        return;
    }
    bool popup = a->mode == UI_MODE_MENU || a->mode == UI_MODE_HELP ||
                 a->mode == UI_MODE_PALETTE || a->mode == UI_MODE_PAGE;
    if (popup) {
        if (y < 3 || y >= body_end) ui_key(a, UI_KEY_ESC, fx);
        return;
    }
    if (a->mode != UI_MODE_NONE) return;
    if (y == 1) click_tab(a, m->mouse.x);
    if (y == h - 1) click_fkey(a, m->mouse.x, fx);
}
