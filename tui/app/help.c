#include "tui/app/help.h"

#include "tui/app/mem.h"
#include "tui/app/typing.h"
#include "tui/draw/widgets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { KEYS_WIDTH = 12, COLUMN_GAP = 2, COLUMN = 54 /* room for nearly every text */ };

typedef struct line { /* of the list: a heading, a command or, with neither, a blank */
    const char *heading;
    const ui_command *command;
} line;

struct ui_help {
    ui_screen_id screen;
    bool all;
    ui_typing search;
    line *lines;
    int n, cap, n_commands;
    int cursor; /* a line with a command; -1: none */
    char chosen[80];
};

/* --- the list --- */

static bool has_inside(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (; text && *text; text++)
        if (strncasecmp(text, word, n) == 0) return true;
    return n == 0;
}

static bool is_wanted(const ui_help *h, const ui_command *c)
{
    const char *s = h->search.text;
    return has_inside(c->name, s) || has_inside(c->keys, s) || has_inside(c->help, s) ||
           has_inside(c->group, s);
}

static const char *group_of(const ui_command *c)
{
    return c->group ? c->group : "other";
}

/* The first command of this group in the table: is it c? Then the group starts here. */
static bool opens_group(const ui_command *c, ui_screen_id screen)
{
    const ui_command *other;
    for (int i = 0; (other = ui_command_at(i, screen)) != NULL && other != c; i++)
        if (strcmp(group_of(other), group_of(c)) == 0) return false;
    return true;
}

static void add(ui_help *h, line l)
{
    h->lines = ui_grow(h->lines, h->n, &h->cap, sizeof *h->lines);
    h->lines[h->n++] = l;
}

static void add_group(ui_help *h, const char *group, ui_screen_id screen)
{
    const ui_command *c;
    bool has_heading = false;
    for (int i = 0; (c = ui_command_at(i, screen)) != NULL; i++) {
        if (strcmp(group_of(c), group) != 0 || !is_wanted(h, c)) continue;
        if (!has_heading && h->n > 0) add(h, (line){0});
        if (!has_heading) add(h, (line){.heading = group});
        has_heading = true;
        add(h, (line){.command = c});
        h->n_commands++;
    }
}

static void move_to_command(ui_help *h, int from, int step)
{
    for (int i = from; i >= 0 && i < h->n; i += step)
        if (h->lines[i].command) {
            h->cursor = i;
            return;
        }
}

static void build(ui_help *h)
{
    ui_screen_id screen = h->all ? UI_N_SCREENS : h->screen;
    const ui_command *c;
    h->n = h->n_commands = 0;
    h->cursor = -1;
    for (int i = 0; (c = ui_command_at(i, screen)) != NULL; i++)
        if (opens_group(c, screen)) add_group(h, group_of(c), screen);
    move_to_command(h, 0, 1);
}

/* --- keys --- */

ui_help *ui_help_open(ui_screen_id screen, const char *topic)
{
    ui_help *h = ui_alloc(1, sizeof *h);
    h->screen = screen;
    snprintf(h->search.text, sizeof h->search.text, "%s", topic ? topic : "");
    build(h);
    h->all = h->n == 0; /* of another screen, perhaps */
    if (h->all) build(h);
    if (h->n == 0) { /* nothing of that name: better all keys than an empty page */
        h->all = false;
        h->search.text[0] = 0;
        build(h);
    }
    return h;
}

const char *ui_help_topic(const ui_help *h)
{
    return h->search.text;
}

void ui_help_free(ui_help *h)
{
    if (!h) return;
    free(h->lines);
    free(h);
}

const char *ui_help_line(const ui_help *h)
{
    return h->chosen;
}

static ui_popup_result choose(ui_help *h)
{
    if (h->cursor < 0) return UI_POPUP_STAYS;
    const ui_command *c = h->lines[h->cursor].command;
    bool needs_argument = c->args && c->args[0] != '[';
    snprintf(h->chosen, sizeof h->chosen, "%.64s%s", c->name, needs_argument ? " " : "");
    return needs_argument ? UI_POPUP_ASKS : UI_POPUP_RUNS;
}

/* What other keys than letters do, and letters while nothing is searched for. */
static bool leaves(ui_help *h, int key, ui_popup_result *result)
{
    bool is_idle = !*h->search.text;
    h->chosen[0] = 0;
    *result = UI_POPUP_CLOSES;
    if (key == UI_KEY_ESC || key == UI_CTRL('C') || (key == 'q' && is_idle)) return true;
    if (key == ':' && is_idle) {
        *result = UI_POPUP_ASKS;
        return true;
    }
    if (key == UI_KEY_ENTER) {
        *result = choose(h);
        return true;
    }
    return false;
}

static void move_cursor(ui_help *h, int key)
{
    int at = h->cursor;
    if (at < 0) return;
    if (key == UI_KEY_DOWN || key == UI_CTRL('N'))
        move_to_command(h, at + 1, 1);
    else if (key == UI_KEY_UP)
        move_to_command(h, at - 1, -1);
    else if (key == UI_KEY_PGDN)
        move_to_command(h, at + 10 < h->n ? at + 10 : h->n - 1, -1);
    else if (key == UI_KEY_PGUP)
        move_to_command(h, at > 10 ? at - 10 : 0, 1);
    else if (key == UI_KEY_HOME)
        move_to_command(h, 0, 1);
    else if (key == UI_KEY_END)
        move_to_command(h, h->n - 1, -1);
}

ui_popup_result ui_help_key(ui_help *h, int key)
{
    ui_popup_result result;
    if (leaves(h, key, &result)) return result;
    if (key == UI_CTRL('P')) {
        snprintf(h->chosen, sizeof h->chosen, "palette");
        return UI_POPUP_RUNS;
    }
    if (key == '?' || key == UI_KEY_F1) {
        if (h->all) return UI_POPUP_CLOSES;
        h->all = true;
        h->search.text[0] = 0;
        build(h);
    } else if (key != ' ' || *h->search.text) {
        if (ui_typing_key(&h->search, key))
            build(h);
        else
            move_cursor(h, key);
    }
    return UI_POPUP_STAYS;
}

/* --- drawing --- */

static void draw_command(const ui_help *h, ui_grid *g, int x, int y, int w, int i)
{
    const ui_command *c = h->lines[i].command;
    bool chosen = i == h->cursor, here = (c->screens & UI_ON(h->screen)) != 0;
    ui_role role = chosen ? UI_CURSOR : here ? UI_TEXT : UI_DIM;
    char name[80];
    if (chosen) ui_fill(g, (ui_rect){x, y, w, 1}, role, " ");
    if (chosen) ui_put(g, x, y, 1, role, ">");
    snprintf(name, sizeof name, ":%s", c->name);
    ui_put_end(g, x + 1, y, KEYS_WIDTH,
               chosen ? role
               : here ? UI_KEY
                      : UI_DIM,
               c->keys ? c->keys : name);
    if (w > KEYS_WIDTH + 2)
        ui_put_end(g, x + KEYS_WIDTH + 2, y, w - KEYS_WIDTH - 2, role, c->help);
}

static void draw_line(const ui_help *h, ui_grid *g, int x, int y, int w, int i)
{
    if (h->lines[i].heading)
        ui_put_end(g, x, y, w, UI_HEAD, h->lines[i].heading);
    else if (h->lines[i].command)
        draw_command(h, g, x, y, w, i);
}

static void draw_foot(const ui_help *h, ui_grid *g, ui_rect in, int first, int last)
{
    char place[48];
    int from = 0, to = 0;
    for (int i = 0; i < last; i++) {
        if (!h->lines[i].command) continue;
        to++;
        if (i < first) from = to;
    }
    snprintf(place, sizeof place, "%d-%d of %d", to ? from + 1 : 0, to, h->n_commands);
    int y = in.y + in.h - 1, w = (int)strlen(place);
    ui_draw_hints(g, in.x, y, in.w - w - 2,
                  h->all ? ": command  ^P palette"
                         : "? again: all screens  : command  ^P palette");
    ui_put_right(g, in.x + in.w - w, y, w, UI_DIM, place);
}

/* The row under the cursor in full: columns may have cut it. */
static void draw_whole(const ui_help *h, ui_grid *g, ui_rect in)
{
    if (h->cursor < 0) return;
    const ui_command *c = h->lines[h->cursor].command;
    int y = in.y + in.h - 2, x = in.x;
    x += ui_printf(g, x, y, in.w, UI_KEY, ":%s%s%s", c->name, c->args ? " " : "",
                   c->args ? c->args : "");
    ui_put_end(g, x + 2, y, in.x + in.w - x - 2, UI_TEXT, c->help);
}

static void write_title(const ui_help *h, char *out, size_t n)
{
    const char *where = h->all ? "all screens" : ui_screen_word((int)h->screen);
    if (*h->search.text)
        snprintf(out, n, "keys of %s   search: %s", where, h->search.text);
    else
        snprintf(out, n, "keys of %s   (type to search, Enter runs, q closes)", where);
}

void ui_help_view(const ui_help *h, ui_grid *g, ui_rect body)
{
    char title[160];
    int columns =
        body.w >= 2 * (COLUMN + COLUMN_GAP) ? body.w / (COLUMN + COLUMN_GAP) : 1;
    int want = (h->n + columns - 1) / columns + 5,
        w = body.w - 4 > 56 ? body.w - 4 : body.w;
    write_title(h, title, sizeof title);
    ui_rect box = ui_centre(body, w, want < 9 ? 9 : want);
    ui_rect in = ui_draw_popup(g, box, title);
    int rows = in.h - 3, each = (in.w - (columns - 1) * COLUMN_GAP) / columns;
    if (rows < 1 || each < 8) return;
    int page = rows * columns, first = h->cursor > 0 ? h->cursor / page * page : 0;
    int last = first + page < h->n ? first + page : h->n;
    for (int i = first; i < last; i++) {
        int k = i - first, x = in.x + k / rows * (each + COLUMN_GAP);
        draw_line(h, g, x, in.y + k % rows, each, i);
    }
    if (h->n == 0)
        ui_put(g, in.x, in.y, in.w, UI_DIM,
               "nothing of that name; BackSpace takes letters back");
    draw_whole(h, g, in);
    draw_foot(h, g, in, first, last);
    g->cursor_x = g->cursor_y = -1;
}
