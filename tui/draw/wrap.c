#include "tui/draw/wrap.h"

#include "tui/draw/glyphs.h"
#include "tui/draw/width.h"

#include <stdlib.h>
#include <string.h>

static bool add_line(ui_wrap *w, ui_line line)
{
    if (w->n == w->cap) {
        int cap = w->cap ? w->cap * 2 : 32;
        ui_line *at = realloc(w->at, (size_t)cap * sizeof *at);
        if (!at) return false;
        w->at = at;
        w->cap = cap;
    }
    w->at[w->n++] = line;
    return true;
}

/* The next line of text[from, end), which holds no line feed. *next: where the one after it
 * begins. Blanks at a break hang over the edge and belong to no line. */
static ui_line take_line(const char *text, size_t from, size_t end, int width,
                         size_t *next)
{
    ui_line line = {.from = from, .to = from};
    size_t at = from, break_to = from, break_next = from;
    int used = 0, break_width = 0;
    bool has_word = false, can_break = false;
    while (at < end) {
        ui_char c = ui_char_next(text + at, end - at);
        bool is_blank = text[at] == ' ';
        if (!is_blank && used + c.width > width && !has_word) {
            line.from = line.to = from =
                at; /* an indent that leaves no room is dropped */
            used = 0;
        }
        if (!is_blank && used + c.width > width && at > from) {
            /* Too long: back to the last break, or cut the word here. */
            *next = can_break ? break_next : at;
            line.to = can_break ? break_to : at;
            line.width = can_break ? break_width : used;
            return line;
        }
        if (is_blank && has_word) {
            size_t blanks_from = at;
            int word_width = used;
            while (at < end && text[at] == ' ')
                at++, used++;
            break_to = blanks_from;
            break_width = word_width;
            break_next = at;
            can_break = true;
            continue;
        }
        at += (size_t)c.bytes;
        used += c.width;
        if (is_blank) continue; /* an indent: no place to break */
        has_word = true;
        line.to = at;
        line.width = used;
        if (c.width == 2) { /* between wide characters a line may end anywhere */
            break_to = break_next = at;
            break_width = used;
            can_break = true;
        }
    }
    *next = end;
    return line;
}

bool ui_wrap_text(ui_wrap *w, const char *text, size_t n, int width)
{
    w->n = 0;
    if (width < 1) width = 1;
    int paragraph = 0;
    bool was_empty = false, has_text = false;
    size_t at = 0;
    while (at < n) {
        const char *feed = memchr(text + at, '\n', n - at);
        size_t end = feed ? (size_t)(feed - text) : n;
        bool is_empty = at == end;
        if (!is_empty && was_empty && has_text) paragraph++;
        was_empty = is_empty;
        has_text |= !is_empty;
        bool starts = true;
        do {
            size_t next = end;
            ui_line line = take_line(text, at, end, width, &next);
            line.paragraph = paragraph;
            line.starts = starts;
            if (!add_line(w, line)) return false;
            starts = false;
            at = next;
        } while (at < end);
        at = end + (feed ? 1 : 0);
    }
    return true;
}

void ui_wrap_free(ui_wrap *w)
{
    free(w->at);
    memset(w, 0, sizeof *w);
}

int ui_wrap_line_of(const ui_wrap *w, size_t at)
{
    int lo = 0, hi = w->n;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        if (w->at[mid].from <= at)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo > 0 ? lo - 1 : w->n ? 0 : -1;
}

int ui_wrap_paragraph(const ui_wrap *w, int paragraph)
{
    if (w->n == 0) return 0;
    int last = w->at[w->n - 1].paragraph;
    if (paragraph > last) paragraph = last;
    for (int i = 0; i < w->n; i++)
        if (w->at[i].paragraph >= paragraph && (w->at[i].to > w->at[i].from || i == 0))
            return i;
    return 0;
}

static ui_role role_at(size_t at, ui_role role, const ui_span *spans, int n)
{
    for (int i = 0; i < n && spans[i].from <= at; i++)
        if (at < spans[i].to) role = spans[i].role;
    return role;
}

/* Where the role may change after byte at: the next border of a span, at most `to`. */
static size_t next_border(size_t at, size_t to, const ui_span *spans, int n)
{
    for (int i = 0; i < n; i++) {
        if (spans[i].from > at && spans[i].from < to) to = spans[i].from;
        if (spans[i].to > at && spans[i].to < to) to = spans[i].to;
    }
    return to;
}

int ui_put_line(ui_grid *g, int x, int y, int max, ui_role role, const char *text,
                const ui_line *line, const ui_span *spans, int n_spans)
{
    int room = g->width - x, used = 0;
    if (max < 0 || max > room) max = room;
    while (n_spans > 0 && spans->to <= line->from)
        spans++, n_spans--;
    while (n_spans > 0 && spans[n_spans - 1].from >= line->to)
        n_spans--;
    used = ui_put_n(g, x, y, max, role, text + line->from, line->to - line->from);
    /* Roles over the drawn cells: marks have no cell of their own, so count columns. */
    int column = 0;
    for (size_t at = line->from; at < line->to && column < used;) {
        size_t border = next_border(at, line->to, spans, n_spans);
        int width = ui_text_width(text + at, border - at);
        if (column + width > used) width = used - column;
        ui_role here = role_at(at, role, spans, n_spans);
        if (here != role) ui_recolour(g, x + column, y, width, here);
        column += width;
        at = border;
    }
    return used;
}

void ui_draw_gutter(ui_grid *g, int x, int y, int w, unsigned marks)
{
    static const struct {
        unsigned mark;
        const char *letter;
        ui_role role;
    } kind[] = {{UI_GUTTER_SLOP, "s", UI_SLOP},
                {UI_GUTTER_REPEAT, "3", UI_REPEAT},
                {UI_GUTTER_CONTRAST, "x", UI_CONTRAST}};
    int at = 0, places = w > 2 ? 2 : w;
    for (int i = 0; i < 3 && at < places; i++)
        if (marks & kind[i].mark) ui_put(g, x + at++, y, 1, kind[i].role, kind[i].letter);
    if (w < 1) return;
    if (marks & UI_GUTTER_DIVERGE)
        ui_put(g, x + w - 1, y, 1, UI_DIVERGE, ui_glyph(g, UI_G_DIVERGE));
    else if (marks & UI_GUTTER_REREAD)
        ui_put(g, x + w - 1, y, 1, UI_DIM, ui_glyph(g, UI_G_REREAD));
}
