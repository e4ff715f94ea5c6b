/* modes.c - what takes keys before the screen does: prompt and entry lines, menus, pages,
 * questions, help and palette (screens.md 3.9). */
#include "tui/app/state.h"
#include "tui/term/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void close_mode(ui_app *a)
{
    ui_prompt_free(a->prompt);
    a->prompt = NULL;
    ui_help_free(a->help);
    a->help = NULL;
    ui_palette_free(a->palette);
    a->palette = NULL;
    if (a->mode == UI_MODE_MENU) ui_menu_clear(&a->menu);
    if (a->mode == UI_MODE_PAGE) {
        rs_buf_free(&a->page.text);
        memset(&a->page, 0, sizeof a->page);
        a->back.out[0] = 0;
    }
    if (a->mode == UI_MODE_PLAN) {
        free(a->plan.warnings);
        memset(&a->plan, 0, sizeof a->plan);
    }
    a->follow_later = false;
}

void ui_set_mode(ui_app *a, ui_mode m)
{
    close_mode(a);
    a->mode = m;
}

/* --- entry lines --- */

void ui_entry_open(ui_app *a, const char *prefix, const char *initial,
                   const ui_entry *what)
{
    ui_set_mode(a, UI_MODE_ENTRY);
    a->entry = *what;
    a->message[0] = 0;
    a->prompt = ui_prompt_open(a, prefix, initial);
    if (!a->prompt) a->mode = UI_MODE_NONE;
}

static void entry_key(ui_app *a, int key, ui_effects *fx)
{
    ui_entry e = a->entry;
    char text[4096];
    ui_prompt_result r = ui_prompt_key(a->prompt, a, key);
    snprintf(text, sizeof text, "%s", ui_prompt_text(a->prompt));
    if (r == UI_PROMPT_EDITING) {
        a->message[0] = 0;
        if (e.changed) e.changed(a, text, fx);
        return;
    }
    if (r == UI_PROMPT_CANCELLED) {
        ui_set_mode(a, UI_MODE_NONE);
        if (e.left) e.left(a, fx);
        return;
    }
    a->follow_later = false;
    if (!e.accept || e.accept(a, text, fx)) {
        if (a->mode == UI_MODE_ENTRY && a->entry.accept == e.accept)
            ui_set_mode(a, UI_MODE_NONE);
    } else if (a->prompt) {
        ui_prompt_refuse(a->prompt, 0, strlen(text));
    }
}

/* --- the command line --- */

/* Where the word lies that the sentence quotes, for the role of an error. */
static void bad_word(const ui_app *a, const char *line, size_t *from, size_t *to)
{
    *from = 0;
    *to = strlen(line);
    const char *open = strchr(a->message, '"'),
               *close = open ? strchr(open + 1, '"') : NULL;
    char word[128];
    if (!close || close - open - 1 >= (long)sizeof word || close == open + 1) return;
    snprintf(word, sizeof word, "%.*s", (int)(close - open - 1), open + 1);
    const char *at = strstr(line, word);
    if (!at) return;
    *from = (size_t)(at - line);
    *to = *from + strlen(word);
}

static void prompt_key(ui_app *a, int key, ui_effects *fx)
{
    char line[4096];
    ui_prompt_result r = ui_prompt_key(a->prompt, a, key);
    a->message[0] = 0;
    if (r == UI_PROMPT_EDITING) return;
    snprintf(line, sizeof line, "%s", ui_prompt_text(a->prompt));
    if (r == UI_PROMPT_CANCELLED || !line[strspn(line, " ")]) {
        ui_set_mode(a, UI_MODE_NONE);
        return;
    }
    ui_prompt *p = a->prompt;
    a->prompt = NULL; /* the command may open another mode */
    a->mode = UI_MODE_NONE;
    if (ui_run(a, line, fx)) {
        ui_prompt_free(p);
        return;
    }
    if (a->mode != UI_MODE_NONE) {
        ui_prompt_free(p);
        return;
    }
    size_t from, to;
    bad_word(a, line, &from, &to);
    a->prompt = p;
    a->mode = UI_MODE_PROMPT;
    ui_prompt_refuse(p, from, to);
}

void ui_prompt_command(ui_app *a, const char *initial)
{
    ui_set_mode(a, UI_MODE_PROMPT);
    a->message[0] = 0;
    a->prompt = ui_prompt_open(a, ":", initial);
    if (!a->prompt) a->mode = UI_MODE_NONE;
}

/* --- help, palette --- */

static void popup_result(ui_app *a, ui_popup_result r, const char *chosen, ui_effects *fx)
{
    if (r == UI_POPUP_STAYS) return;
    char line[1024];
    snprintf(line, sizeof line, "%s", chosen ? chosen : "");
    ui_set_mode(a, UI_MODE_NONE);
    if (r == UI_POPUP_RUNS) ui_run(a, line, fx);
    if (r == UI_POPUP_ASKS) ui_prompt_command(a, line);
}

/* --- menus and pages --- */

static void menu_moved(ui_app *a, ui_effects *fx)
{
    const ui_menu_item *i = ui_menu_shown(&a->menu, a->menu.cursor);
    if (i && a->menu.moved) a->menu.moved(a, i, fx);
}

static void menu_search(ui_app *a, int key)
{
    ui_menu *m = &a->menu;
    size_t n = strlen(m->search);
    if (key == UI_KEY_BACKSPACE) {
        if (n) m->search[n - 1] = 0;
    } else if (key > 32 && key < 127 && n + 1 < sizeof m->search) {
        m->search[n] = (char)key;
        m->search[n + 1] = 0;
        if (ui_menu_n_shown(m) == 0) m->search[n] = 0; /* nothing would be left */
    }
    m->cursor = 0;
}

static void menu_choose(ui_app *a, ui_effects *fx)
{
    const ui_menu_item *i = ui_menu_shown(&a->menu, a->menu.cursor);
    if (!i) return;
    /* The choice outlives the menu, which the callback may replace. */
    ui_menu_item taken = {
        .text = ui_strdup(i->text), .help = ui_strdup(i->help), .value = i->value};
    void (*chosen)(ui_app *, const ui_menu_item *, ui_effects *) = a->menu.chosen;
    ui_set_mode(a, UI_MODE_NONE);
    if (chosen) chosen(a, &taken, fx);
    free(taken.text);
    free(taken.help);
}

static void menu_key(ui_app *a, int key, ui_effects *fx)
{
    ui_menu *m = &a->menu;
    int n = ui_menu_n_shown(m), was = m->cursor;
    switch (key) {
    case UI_KEY_UP:
    case UI_CTRL('P'):
        m->cursor--;
        break;
    case UI_KEY_DOWN:
    case UI_CTRL('N'):
    case UI_KEY_TAB:
        m->cursor++;
        break;
    case UI_KEY_PGUP:
        m->cursor -= 8;
        break;
    case UI_KEY_PGDN:
        m->cursor += 8;
        break;
    case UI_KEY_HOME:
        m->cursor = 0;
        break;
    case UI_KEY_END:
        m->cursor = n - 1;
        break;
    case UI_KEY_ENTER:
        menu_choose(a, fx);
        return;
    case UI_KEY_ESC:
    case UI_CTRL('C'): {
        void (*left)(ui_app *, ui_effects *) = m->left;
        ui_set_mode(a, UI_MODE_NONE);
        if (left) left(a, fx);
        return;
    }
    default:
        menu_search(a, key);
        menu_moved(a, fx);
        return;
    }
    if (m->cursor >= n) m->cursor = n - 1;
    if (m->cursor < 0) m->cursor = 0;
    if (m->cursor != was) menu_moved(a, fx);
}

void ui_page_open(ui_app *a, const char *title, rs_buf *text, bool at_end)
{
    ui_set_mode(a, UI_MODE_PAGE);
    snprintf(a->page.title, sizeof a->page.title, "%s", title);
    a->page.text = *text;
    a->page.at_end = at_end;
    memset(text, 0, sizeof *text);
}

static void close_page(ui_app *a, ui_effects *fx)
{
    ui_merge_order back = a->back;
    ui_set_mode(a, UI_MODE_NONE);
    if (back.out[0]) ui_merge_again(a, &back, fx);
}

static void page_key(ui_app *a, int key, ui_effects *fx)
{
    ui_page *p = &a->page;
    int lines = 0, rows = ui_page_height(p, ui_body(a), &lines);
    int last = lines > rows ? lines - rows : 0;
    if (p->at_end) p->top = last;
    switch (key) {
    case 'j':
    case UI_KEY_DOWN:
        p->top++;
        break;
    case 'k':
    case UI_KEY_UP:
        p->top--;
        break;
    case ' ':
    case UI_KEY_PGDN:
    case UI_CTRL('D'):
        p->top += rows - 1;
        break;
    case UI_KEY_PGUP:
    case UI_CTRL('U'):
        p->top -= rows - 1;
        break;
    case 'g':
    case UI_KEY_HOME:
        p->top = 0;
        break;
    case 'G':
    case UI_KEY_END:
        p->top = last;
        break;
    case 'q':
    case UI_KEY_ESC:
    case UI_KEY_ENTER:
    case UI_CTRL('C'):
        close_page(a, fx);
        return;
    default:
        break;
    }
    if (p->top > last) p->top = last;
    if (p->top < 0) p->top = 0;
    p->at_end = false;
}

/* --- questions --- */

void ui_ask_open(ui_app *a, const ui_ask *what)
{
    ui_set_mode(a, UI_MODE_ASK);
    a->ask = *what;
}

static void ask_key(ui_app *a, int key, ui_effects *fx)
{
    ui_ask q = a->ask;
    bool no = key == 'n' || key == 'N' || key == UI_KEY_ESC || key == UI_KEY_ENTER ||
              key == UI_CTRL('C');
    bool choice = q.keys[0] ? key > 0 && key < 128 && strchr(q.keys, key) != NULL : false;
    if (!choice && !no && !(key == 'y' && !q.keys[0]))
        return; /* ignored, not taken as no */
    ui_set_mode(a, UI_MODE_NONE);
    a->message[0] = 0;
    if (choice)
        q.other(a, key, fx);
    else if (!no)
        q.yes(a, fx);
}

/* --- all of them --- */

bool ui_mode_key(ui_app *a, int key, ui_effects *fx)
{
    switch (a->mode) {
    case UI_MODE_PROMPT:
        prompt_key(a, key, fx);
        return true;
    case UI_MODE_ENTRY:
        entry_key(a, key, fx);
        return true;
    case UI_MODE_MENU:
        menu_key(a, key, fx);
        return true;
    case UI_MODE_PAGE:
        page_key(a, key, fx);
        return true;
    case UI_MODE_ASK:
        ask_key(a, key, fx);
        return true;
    case UI_MODE_PLAN:
        ui_merge_key(a, key, fx);
        return true;
    case UI_MODE_MORPH:
        ui_morph_key(a, key, fx);
        return true;
    case UI_MODE_HELP: {
        ui_popup_result r = ui_help_key(a->help, key);
        popup_result(a, r, ui_help_line(a->help), fx);
        return true;
    }
    case UI_MODE_PALETTE: {
        ui_popup_result r = ui_palette_key(a->palette, key);
        popup_result(a, r, ui_palette_line(a->palette), fx);
        return true;
    }
    case UI_MODE_NONE:
        break;
    }
    return false;
}

void ui_mode_paste(ui_app *a, const char *text, ui_effects *fx)
{
    if (!a->prompt) return;
    ui_prompt_paste(a->prompt, a, text);
    if (a->mode == UI_MODE_ENTRY && a->entry.changed)
        a->entry.changed(a, ui_prompt_text(a->prompt), fx);
}

void ui_palette_show(ui_app *a)
{
    const char *recent[12];
    int n = 0;
    while (n < 12 && (recent[n] = ui_history_line(n)) != NULL)
        n++;
    ui_sources sources;
    ui_app_sources(a, &sources);
    ui_set_mode(a, UI_MODE_PALETTE);
    a->palette = ui_palette_open(a->screen, recent, n, &sources);
    if (!a->palette) a->mode = UI_MODE_NONE;
}

void ui_help_show(ui_app *a, const char *topic)
{
    ui_set_mode(a, UI_MODE_HELP);
    a->help = ui_help_open(a->screen, topic);
    if (!a->help) a->mode = UI_MODE_NONE;
}
