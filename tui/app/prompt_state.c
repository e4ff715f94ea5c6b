#include "tui/app/prompt_state.h"

#include "tui/app/app.h"
#include "tui/app/mem.h"
#include "tui/draw/widgets.h"
#include "tui/term/prompt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POPUP_ROWS = 8, POPUP_WIDTH = 48 };

struct ui_prompt {
    char prefix[160];
    bool is_command;
    int edit; /* number of its line */
    ui_screen_id screen;
    ui_completions list;
    bool shows_list;
    int chosen; /* row of the popup; -1: none yet */
    size_t bad_from, bad_to;
};

/* --- completion --- */

/* A lone candidate that is typed already is no help. */
static bool is_finished(const ui_prompt *p)
{
    size_t n = ui_edit_cursor() - p->list.word_start;
    const char *word = ui_edit_text() + p->list.word_start;
    return p->list.n == 1 && strlen(p->list.at[0].text) == n &&
           strncmp(p->list.at[0].text, word, n) == 0;
}

static void refresh_list(ui_prompt *p, const ui_app *a)
{
    const char *line = ui_edit_text();
    p->list.n = 0;
    p->chosen = -1;
    p->list.summary[0] = 0;
    if (!p->is_command || !a) return;
    ui_complete(a, line, ui_edit_cursor(), &p->list);
    if (p->list.word_start > ui_edit_cursor()) p->list.word_start = ui_edit_cursor();
    p->shows_list = *line && (p->list.n > 0 || *p->list.summary) && !is_finished(p);
}

/* Bytes that all candidates have in common. */
static size_t common_bytes(const ui_completions *c)
{
    size_t n = strlen(c->at[0].text);
    for (int i = 1; i < c->n; i++) {
        size_t k = 0;
        while (k < n && c->at[i].text[k] == c->at[0].text[k])
            k++;
        n = k;
    }
    while (n > 0 && ((unsigned char)c->at[0].text[n] & 0xC0) == 0x80)
        n--; /* whole characters */
    return n;
}

/* After these the word goes on. */
static bool is_open_ended(const char *text)
{
    size_t n = strlen(text);
    return n == 0 || strchr("/=.+-*:", text[n - 1]) != NULL;
}

static void take_candidate(const ui_prompt *p, int i)
{
    char text[sizeof p->list.at->text + 2];
    const char *word = p->list.at[i].text;
    bool at_end = ui_edit_cursor() == strlen(ui_edit_text());
    bool is_lone_star =
        strcmp(word, "*") == 0 && p->list.n > 1; /* the selector, not an op */
    snprintf(text, sizeof text, "%s%s", word,
             at_end && (!is_open_ended(word) || is_lone_star) ? " " : "");
    ui_edit_replace(p->list.word_start, ui_edit_cursor(), text);
}

static void press_tab(ui_prompt *p, const ui_app *a)
{
    if (p->list.n == 0) return;
    size_t typed = ui_edit_cursor() - p->list.word_start, common = common_bytes(&p->list);
    if (p->chosen >= 0) {
        take_candidate(p, p->chosen);
    } else if (p->list.n == 1) {
        take_candidate(p, 0);
    } else if (common > typed) {
        char text[sizeof p->list.at->text];
        snprintf(text, sizeof text, "%.*s", (int)common, p->list.at[0].text);
        ui_edit_replace(p->list.word_start, ui_edit_cursor(), text);
    } else {
        p->shows_list = true; /* nothing to add: show what there is, from the first on */
        p->chosen = 0;
        return;
    }
    refresh_list(p, a);
}

/* Up and Down move in an open popup; else they are the history's. */
static bool move_choice(ui_prompt *p, int key)
{
    if (!p->shows_list || p->list.n == 0) return false;
    if (key == UI_KEY_DOWN)
        p->chosen = p->chosen + 1 < p->list.n ? p->chosen + 1 : p->chosen;
    else if (key == UI_KEY_UP)
        p->chosen = p->chosen > -1 ? p->chosen - 1 : -1;
    else
        return false;
    return true;
}

/* --- keys --- */

ui_prompt *ui_prompt_open(const ui_app *a, const char *prefix, const char *initial)
{
    ui_prompt *p = ui_alloc(1, sizeof *p);
    snprintf(p->prefix, sizeof p->prefix, "%s", prefix);
    p->is_command = strcmp(prefix, ":") == 0;
    p->screen = a ? ui_app_screen(a) : UI_N_SCREENS;
    p->edit = ui_edit_start(initial, p->is_command);
    refresh_list(p, a);
    return p;
}

ui_prompt_result ui_prompt_key(ui_prompt *p, const ui_app *a, int key)
{
    bool searches = ui_edit_message() != NULL;
    p->bad_to = 0;
    if (key == UI_KEY_ESC && searches) key = UI_CTRL('G'); /* ends the search alone */
    if (key == UI_KEY_ESC || key == UI_CTRL('C')) return UI_PROMPT_CANCELLED;
    if (key == UI_KEY_BACKSPACE && !*ui_edit_text() && !searches)
        return UI_PROMPT_CANCELLED;
    if (key == UI_KEY_TAB) {
        press_tab(p, a);
        return UI_PROMPT_EDITING;
    }
    if (move_choice(p, key)) return UI_PROMPT_EDITING;
    if (key == UI_KEY_ENTER && p->chosen >= 0) {
        take_candidate(p, p->chosen);
        refresh_list(p, a);
        return UI_PROMPT_EDITING;
    }
    if (ui_edit_key(key) == UI_EDIT_DONE) {
        p->shows_list = false;
        return UI_PROMPT_SUBMITTED;
    }
    refresh_list(p, a);
    return UI_PROMPT_EDITING;
}

void ui_prompt_paste(ui_prompt *p, const ui_app *a, const char *text)
{
    p->bad_to = 0;
    ui_edit_insert(text);
    refresh_list(p, a);
}

void ui_prompt_refuse(ui_prompt *p, size_t from, size_t to)
{
    p->edit = ui_edit_start(ui_edit_text(), p->is_command);
    size_t n = strlen(ui_edit_text());
    p->bad_to = to > n ? n : to;
    p->bad_from = from > p->bad_to ? p->bad_to : from;
    if (p->bad_to > 0) ui_edit_move(p->bad_to);
    p->list.n = 0;
    p->shows_list = false;
}

const char *ui_prompt_text(const ui_prompt *p)
{
    (void)p;
    return ui_edit_text();
}

size_t ui_prompt_cursor(const ui_prompt *p)
{
    (void)p;
    return ui_edit_cursor();
}

const char *ui_prompt_prefix(const ui_prompt *p)
{
    return p->prefix;
}

void ui_prompt_free(ui_prompt *p)
{
    if (!p) return;
    if (ui_edit_is_current(p->edit)) ui_edit_stop();
    ui_completions_free(&p->list);
    free(p);
}

/* --- drawing --- */

/* Draws the line from the byte on that keeps the cursor within w columns. Returns the column
 * of byte `mark` of the line, seen from x. */
static int draw_line(const ui_prompt *p, ui_grid *g, int x, int y, int w, size_t mark)
{
    const char *line = ui_edit_text();
    size_t n = strlen(line), cursor = ui_edit_cursor() < n ? ui_edit_cursor() : n,
           from = 0;
    while (from < cursor && ui_text_width(line + from, cursor - from) > w - 1) {
        from++;
        while (from < cursor && ((unsigned char)line[from] & 0xC0) == 0x80)
            from++;
    }
    int at = ui_text_width(line + from, cursor - from);
    ui_put_n(g, x, y, w, UI_EDIT, line + from, n - from);
    if (p->bad_to > from) {
        size_t bad = p->bad_from > from ? p->bad_from : from;
        int column = ui_text_width(line + from, bad - from);
        ui_recolour(g, x + column, y, ui_text_width(line + bad, p->bad_to - bad),
                    UI_ERROR);
    }
    if (cursor == n && at < w)
        ui_put(g, x + at, y, 1, UI_EDIT, ui_glyph(g, UI_G_WRITING));
    g->cursor_x = x + at;
    g->cursor_y = y;
    return mark > from ? ui_text_width(line + from, mark - from) : 0;
}

/* Bytes of the folder that all paths lie in: they are typed already and only take room. */
static size_t folder_bytes(const ui_completions *c)
{
    size_t n = c->n ? common_bytes(c) : 0;
    if (c->n == 1 && n > 0) n--; /* a lone folder's own '/' */
    while (n > 0 && c->at[0].text[n - 1] != '/')
        n--;
    return n;
}

/* name: the part of its text that tells it from the others. */
static void draw_candidate(ui_grid *g, ui_rect in, int y, const ui_completion *c,
                           const char *name, int name_width, bool chosen)
{
    ui_role role = chosen ? UI_CURSOR : UI_TEXT;
    const char *tab = strchr(c->help, '\t');
    int help_bytes = tab ? (int)(tab - c->help) : (int)strlen(c->help), right = 0;
    if (chosen) ui_fill(g, (ui_rect){in.x, y, in.w, 1}, role, " ");
    ui_put(g, in.x, y, 1, role, chosen ? ">" : " ");
    ui_put_middle(g, in.x + 2, y, name_width, role, name);
    if (tab) {
        right = ui_text_width(tab + 1, strlen(tab + 1));
        ui_put_right(g, in.x + in.w - right, y, right, role, tab + 1);
    }
    int x = in.x + 2 + name_width + 2, room = in.x + in.w - x - (right ? right + 1 : 0);
    if (room > 0) ui_put_n(g, x, y, room, role, c->help, (size_t)help_bytes);
}

/* Columns of the names: half of the popup where there are helps beside them. */
static int name_width(const ui_completions *c, size_t from, int room)
{
    int w = 0, most = room;
    for (int i = 0; i < c->n; i++) {
        const char *name = c->at[i].text + from;
        int one = ui_text_width(name, strlen(name));
        if (one > w) w = one;
        if (c->at[i].help[0]) most = room / 2;
    }
    return w > most ? most : w;
}

static int summary_rows(const char *s)
{
    int n = *s ? 1 : 0;
    for (; *s; s++)
        n += *s == '\n';
    return n;
}

static void draw_summary(ui_grid *g, ui_rect in, int y, const char *s)
{
    while (*s && y < in.y + in.h) {
        size_t n = strcspn(s, "\n");
        ui_put_n(g, in.x, y++, in.w, UI_TEXT, s, n);
        s += n + (s[n] == '\n');
    }
}

static void draw_popup(const ui_prompt *p, ui_grid *g, ui_rect body, int column)
{
    const ui_completions *c = &p->list;
    size_t folder = folder_bytes(c);
    int rows = c->n < POPUP_ROWS ? c->n : POPUP_ROWS, extra = summary_rows(c->summary);
    int h = rows + (extra ? extra + 1 : 0) + 2 + 2, w = POPUP_WIDTH + 4;
    if (h > body.h) h = body.h;
    if (w > body.w) w = body.w;
    int x = column - 4, inside = h - 2;
    if (x + w > body.x + body.w) x = body.x + body.w - w;
    if (x < body.x) x = body.x;
    ui_rect in = ui_draw_popup(g, (ui_rect){x, body.y + body.h - h, w, h}, c->title);
    if (in.w < 8 || inside < 1) return;
    if (rows > inside) rows = inside;
    int first = p->chosen >= rows ? p->chosen - rows + 1 : 0,
        names = name_width(c, folder, in.w - 2);
    for (int i = 0; i < rows; i++)
        draw_candidate(g, in, in.y + i, &c->at[first + i], c->at[first + i].text + folder,
                       names, first + i == p->chosen);
    int y = in.y + rows + (rows > 0);
    draw_summary(g, in, y, c->summary);
    if (extra) y += extra + 1;
    if (y < in.y + in.h) {
        int used =
            ui_draw_hints(g, in.x, y, in.w, "Tab completes  ^P^N history  Esc closes");
        if (c->n > rows && used + 12 < in.w)
            ui_printf(g, in.x + in.w - 8, y, 8, UI_DIM, "%8d", c->n);
    }
}

void ui_prompt_view(const ui_prompt *p, ui_grid *g, ui_rect body, ui_rect row)
{
    const char *message = ui_edit_message();
    ui_fill(g, row, UI_TEXT, " ");
    int x = row.x + 1, end = row.x + row.w;
    x += ui_put_end(g, x, row.y, (row.w - 2) * 2 / 3, UI_KEY,
                    message ? message : p->prefix);
    int column = draw_line(p, g, x, row.y, end - x, p->list.word_start);
    if (p->shows_list && (p->list.n > 0 || *p->list.summary))
        draw_popup(p, g, body, x + column);
}

static int word_number(const char *line, size_t at)
{
    int n = 0;
    for (size_t i = 0; i < at; i++)
        n += line[i] != ' ' && (i == 0 || line[i - 1] == ' ');
    return at > 0 && line[at - 1] == ' ' ? n + 1 : n;
}

void ui_prompt_hint(const ui_prompt *p, rs_buf *out)
{
    char name[64];
    const char *line = ui_edit_text();
    if (!p->is_command) {
        rs_buf_puts(out, "Enter keeps  Esc goes back");
        return;
    }
    snprintf(name, sizeof name, "%.*s",
             (int)(strcspn(line, " ") < 63 ? strcspn(line, " ") : 63), line);
    const ui_command *c = *name ? ui_command_named(name, p->screen) : NULL;
    if (!c) {
        rs_buf_puts(out,
                    "Enter runs  Tab completes  ^P^N history  ^R search  Esc leaves");
        return;
    }
    rs_buf_printf(out, "%s %s", c->name, c->args ? c->args : "");
    if (c->args)
        rs_buf_printf(out, "      completing word %d",
                      word_number(line, ui_edit_cursor()));
    else
        rs_buf_printf(out, "  %s", c->help);
}
