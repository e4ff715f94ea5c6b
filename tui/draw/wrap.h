/* wrap.h - texts into lines: byte ranges, so that roles by byte (marks, surprise) stay easy.
 *
 * Greedy and stable: appending to a text never changes a line but the last. Breaks at blanks
 * and between wide characters, never hyphenates; a word longer than the line is cut where the
 * line ends. A line feed ends a paragraph and an empty line is a line; blanks at a break
 * belong to no line. Indents stay. Byte ranges never split a character. */
#ifndef UI_WRAP_H
#define UI_WRAP_H

#include "tui/draw/grid.h"

typedef struct ui_line {
    size_t from, to; /* bytes of the text, without the blanks at its end */
    int width;       /* columns */
    int paragraph;   /* 0, 1, ...: counts blocks of lines that an empty line parts */
    bool starts;     /* first line after a line feed or of the text */
} ui_line;

typedef struct ui_wrap {
    ui_line *at;
    int n, cap;
} ui_wrap;

/* Lines of text at a width of at least 1; what was in w is replaced. false: no memory. */
bool ui_wrap_text(ui_wrap *w, const char *text, size_t n, int width);
void ui_wrap_free(ui_wrap *w);
/* Index of the line that holds byte `at` (the last one that starts at or before it), or -1. */
int ui_wrap_line_of(const ui_wrap *w, size_t at);
/* First line of a paragraph (clamped), to scroll by paragraphs. */
int ui_wrap_paragraph(const ui_wrap *w, int paragraph);

/* A part of the text with a role of its own. Spans are sorted by `from`; where two overlap,
 * the later one wins. */
typedef struct ui_span {
    size_t from, to;
    ui_role role;
} ui_span;
/* One line of the text, at most max columns. Returns columns used. */
int ui_put_line(ui_grid *g, int x, int y, int max, ui_role role, const char *text,
                const ui_line *line, const ui_span *spans, int n_spans);

/* What happened on a line, for its gutter. */
enum {
    UI_GUTTER_SLOP = 1,
    UI_GUTTER_REPEAT = 2,
    UI_GUTTER_CONTRAST = 4,
    UI_GUTTER_DIVERGE = 8,
    UI_GUTTER_REREAD = 16
};
/* Marks in w cells (2 or 3) at x: s 3 x from the left, then the place of first difference. */
void ui_draw_gutter(ui_grid *g, int x, int y, int w, unsigned marks);

#endif
