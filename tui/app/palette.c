#include "tui/app/palette.h"

#include "tui/app/mem.h"
#include "tui/app/typing.h"
#include "tui/draw/widgets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RECENT = 50, RECENT_BONUS = 1000, SHOWN_RECENT = 3 };

typedef struct entry {
    const ui_command *command;
    char *line; /* what it puts into the command line, without blanks at its end */
    const char *help;
    bool is_recent;
    bool is_whole; /* runs as it stands; else an argument is missing */
    int score, order;
} entry;

struct ui_palette {
    ui_screen_id screen;
    ui_sources sources;
    ui_typing query;
    entry *all;
    int n_all, cap_all;
    int *shown; /* indices of all, best first; then recent lines that do not match */
    int n_shown, n_matches;
    int cursor;
    char chosen[512];
};

/* --- entries --- */

static void add_entry(ui_palette *p, const ui_command *c, const char *line,
                      const char *help, bool is_recent, bool is_whole)
{
    p->all = ui_grow(p->all, p->n_all, &p->cap_all, sizeof *p->all);
    p->all[p->n_all] =
        (entry){c, ui_strdup(line), help, is_recent, is_whole, 0, p->n_all};
    p->n_all++;
}

/* "dampen ewc", "theme dark": a command with each word of its fixed list. */
static void add_fixed(ui_palette *p, const ui_command *c)
{
    char type[32], line[128];
    const char *help = "", *word;
    const char *args = c->args ? c->args + (c->args[0] == '[') : "";
    size_t n = strcspn(args, " ]");
    if (n == 0 || n >= sizeof type) return;
    memcpy(type, args, n);
    type[n] = 0;
    if (strcmp(type, "SELECTOR") == 0 || strcmp(type, "OPVALUE") == 0) return;
    for (int i = 0; (word = ui_fixed_word(type, i, &help)) != NULL; i++) {
        snprintf(line, sizeof line, "%.60s %.60s", c->name, word);
        add_entry(p, c, line, help, false, true);
    }
}

static void add_recent(ui_palette *p, const char *line)
{
    char name[64];
    for (int i = 0; i < p->n_all; i++)
        if (strcmp(p->all[i].line, line) == 0) return;
    size_t n = strcspn(line, " ");
    if (n == 0 || n >= sizeof name) return;
    memcpy(name, line, n);
    name[n] = 0;
    const ui_command *c = ui_command_named(name, p->screen);
    if (c) add_entry(p, c, line, c->help, true, true);
}

static int by_score(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score) - (x->score > y->score)
                                : x->order - y->order;
}

/* Names count fully, help texts a third and only where the letters stand together. */
static int score_of(const ui_palette *p, const entry *e)
{
    const char *query = p->query.text;
    if (!*query)
        return e->is_recent                          ? 1 + RECENT_BONUS
               : e->is_whole && strchr(e->line, ' ') ? 0
                                                     : 1;
    int score = ui_fuzzy_score(query, e->line);
    int in_help = ui_fuzzy_score(query, e->help);
    if (in_help > 300 && in_help / 3 > score) score = in_help / 3;
    return score > 0 && e->is_recent ? score + RECENT_BONUS : score;
}

static void rank(ui_palette *p)
{
    for (int i = 0; i < p->n_all; i++)
        p->all[i].score = score_of(p, &p->all[i]);
    qsort(p->all, (size_t)p->n_all, sizeof *p->all, by_score);
    p->n_shown = p->cursor = 0;
    while (p->n_shown < p->n_all && p->all[p->n_shown].score > 0) {
        p->shown[p->n_shown] = p->n_shown;
        p->n_shown++;
    }
    p->n_matches = p->n_shown;
    int extra = 0;
    for (int i = p->n_matches; i < p->n_all && extra < SHOWN_RECENT; i++)
        if (p->all[i].is_recent) p->shown[p->n_shown++] = i, extra++;
}

ui_palette *ui_palette_open(ui_screen_id screen, const char *const *recent, int n,
                            const ui_sources *sources)
{
    ui_palette *p = ui_alloc(1, sizeof *p);
    const ui_command *c;
    p->screen = screen;
    if (sources) p->sources = *sources;
    for (int i = 0; i < n && i < MAX_RECENT; i++)
        add_recent(p, recent[i]);
    for (int i = 0; (c = ui_command_at(i, screen)) != NULL; i++) {
        if (strcmp(c->name, "palette") == 0) continue;
        add_entry(p, c, c->name, c->help ? c->help : "", false,
                  !c->args || c->args[0] == '[');
        add_fixed(p, c);
    }
    p->shown = ui_alloc((size_t)p->n_all, sizeof *p->shown);
    rank(p);
    return p;
}

void ui_palette_free(ui_palette *p)
{
    if (!p) return;
    for (int i = 0; i < p->n_all; i++)
        free(p->all[i].line);
    free(p->all);
    free(p->shown);
    free(p);
}

const char *ui_palette_line(const ui_palette *p)
{
    return p->chosen;
}

/* --- keys --- */

static const entry *under_cursor(const ui_palette *p)
{
    return p->cursor < p->n_shown ? &p->all[p->shown[p->cursor]] : NULL;
}

static ui_popup_result choose(ui_palette *p, bool only_copy)
{
    const entry *e = under_cursor(p);
    if (!e) return UI_POPUP_STAYS;
    bool asks = only_copy || !e->is_whole;
    bool wants_blank = asks && !e->is_whole;
    snprintf(p->chosen, sizeof p->chosen, "%.500s%s", e->line, wants_blank ? " " : "");
    return asks ? UI_POPUP_ASKS : UI_POPUP_RUNS;
}

static void move_cursor(ui_palette *p, int by)
{
    p->cursor += by;
    if (p->cursor > p->n_shown - 1) p->cursor = p->n_shown - 1;
    if (p->cursor < 0) p->cursor = 0;
}

ui_popup_result ui_palette_key(ui_palette *p, int key)
{
    switch (key) {
    case UI_KEY_ESC:
    case UI_CTRL('C'):
        return UI_POPUP_CLOSES;
    case UI_KEY_ENTER:
        return choose(p, false);
    case UI_KEY_TAB:
        return choose(p, true);
    case UI_KEY_UP:
    case UI_CTRL('P'):
        move_cursor(p, -1);
        break;
    case UI_KEY_DOWN:
    case UI_CTRL('N'):
        move_cursor(p, 1);
        break;
    case UI_KEY_PGUP:
        move_cursor(p, -8);
        break;
    case UI_KEY_PGDN:
        move_cursor(p, 8);
        break;
    default:
        if (ui_typing_key(&p->query, key)) rank(p);
    }
    return UI_POPUP_STAYS;
}

/* --- drawing --- */

static void draw_entry(const ui_palette *p, ui_grid *g, ui_rect in, int y, int i)
{
    const entry *e = &p->all[p->shown[i]];
    bool chosen = i == p->cursor, is_plain = !strchr(e->line, ' ') && !e->is_recent;
    ui_role role = chosen ? UI_CURSOR : UI_TEXT;
    char text[512];
    int names = in.w / 3, keys = 6;
    snprintf(text, sizeof text, "%.400s%s%.60s", e->line,
             is_plain && e->command->args ? " " : "",
             is_plain && e->command->args ? e->command->args : "");
    if (chosen) ui_fill(g, (ui_rect){in.x, y, in.w, 1}, role, " ");
    ui_put(g, in.x, y, 2, role, chosen ? "> " : "  ");
    if (e->is_recent) {
        ui_put_end(g, in.x + 2, y, in.w - 2, role, text);
        return;
    }
    ui_put_end(g, in.x + 2, y, names, role, text);
    int x = in.x + 3 + names;
    if (is_plain && e->command->keys)
        ui_put_end(g, x, y, keys, chosen ? role : UI_KEY, e->command->keys);
    ui_put_end(g, x + keys + 1, y, in.x + in.w - x - keys - 1, role, e->help);
}

/* The whole help text of the row under the cursor, and what its value is now. */
static void draw_explanation(const ui_palette *p, ui_grid *g, ui_rect in, int y)
{
    const entry *e = under_cursor(p);
    char value[32] = "", type[32];
    if (!e) return;
    const ui_command *c = e->command;
    snprintf(type, sizeof type, "%.*s", (int)strcspn(c->args ? c->args : "", " ]"),
             c->args ? c->args : "");
    bool known = p->sources.value && *type &&
                 p->sources.value(p->sources.ctx, c->name, type, value);
    if (known)
        ui_printf(g, in.x, y, in.w, UI_TEXT, "%s is %s; %s", c->name, value, e->help);
    else
        ui_printf(g, in.x, y, in.w, UI_TEXT, "%s: %s", c->name, e->help);
}

void ui_palette_view(const ui_palette *p, ui_grid *g, ui_rect body)
{
    int w = body.w >= 110 ? 90 : body.w - 14 > 56 ? body.w - 14 : body.w;
    int want = p->n_shown + 7 + (p->n_shown > p->n_matches ? 2 : 0);
    ui_rect in =
        ui_draw_popup(g, ui_centre(body, w, want < 12 ? 12 : want), "palette   ^P");
    int rows = in.h - 5, y = in.y + 2, at;
    if (in.w < 20 || rows < 1) return;
    ui_put(g, in.x, in.y, 2, UI_KEY, "> ");
    at = in.x + 2 + ui_put(g, in.x + 2, in.y, in.w - 3, UI_EDIT, p->query.text);
    ui_put(g, at, in.y, 1, UI_EDIT, ui_glyph(g, UI_G_WRITING));
    g->cursor_x = at;
    g->cursor_y = in.y;
    int first = p->cursor >= rows ? p->cursor - rows + 1 : 0;
    for (int i = first; i < p->n_shown && y < in.y + 2 + rows; i++) {
        bool opens_recent = i == p->n_matches && i > first && y + 2 < in.y + 2 + rows;
        if (opens_recent) {
            ui_put(g, in.x + 2, y + 1, in.w - 2, UI_HEAD, "recent");
            y += 2;
        }
        draw_entry(p, g, in, y++, i);
    }
    if (p->n_matches == 0)
        ui_put(g, in.x + 2, in.y + 1, in.w - 2, UI_DIM, "nothing like that");
    draw_explanation(p, g, in, in.y + in.h - 2);
    ui_draw_hints(g, in.x, in.y + in.h - 1, in.w,
                  "Enter runs or asks for the value  Tab copies into :  Esc");
}
