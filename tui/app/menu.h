/* menu.h - a list to choose from, and a page of text to read: the two popups of the app.
 *
 * A menu shows rows of text with help; arrows and ^N ^P move, letters search, Enter chooses,
 * Esc leaves. `moved` is told of every move, so that a choice can be shown live. A page shows
 * lines and scrolls. Neither knows what it is for: that is in the callbacks. */
#ifndef UI_MENU_H
#define UI_MENU_H

#include "tui/app/command.h"
#include "tui/draw/grid.h"

typedef struct ui_menu_item {
    char *text, *help;
    int value;
} ui_menu_item;

typedef struct ui_menu {
    char title[80], search[48];
    ui_menu_item *item;
    int n, cap;
    int cursor; /* among the rows that the search leaves */
    void (*moved)(ui_app *a, const ui_menu_item *i, ui_effects *fx);  /* may be NULL */
    void (*chosen)(ui_app *a, const ui_menu_item *i, ui_effects *fx); /* Enter */
    void (*left)(ui_app *a, ui_effects *fx); /* Esc; may be NULL */
} ui_menu;

void ui_menu_clear(ui_menu *m);
void ui_menu_add(ui_menu *m, const char *text, const char *help, int value);
/* Rows that the search leaves: how many, and the i-th (NULL past the end). */
int ui_menu_n_shown(const ui_menu *m);
const ui_menu_item *ui_menu_shown(const ui_menu *m, int i);
void ui_menu_view(const ui_menu *m, ui_grid *g, ui_rect body);

typedef struct ui_page {
    char title[120];
    rs_buf text;
    int top;
    bool at_end; /* follows the end */
} ui_page;

void ui_page_view(const ui_page *p, ui_grid *g, ui_rect body);
/* Lines that fit, and lines there are, for scrolling by keys. */
int ui_page_height(const ui_page *p, ui_rect body, int *lines);

#endif
