/* grid.h - the screen as data: cells with a role each. Views draw here and nowhere else.
 *
 * A cell holds one character (with up to two combining marks), its width and a role; what a
 * role looks like is the theme's matter (theme.h). Drawing always clips, measures by our own
 * width table and shows control bytes and invalid UTF-8 as '?'. ASCII glyph level: views ask
 * ui_glyph() for every glyph that is not plain text. */
#ifndef UI_GRID_H
#define UI_GRID_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The roles of screens.md 1.5; a snapshot prints their letters (ui_role_letter). */
typedef enum ui_role {
    UI_TEXT,
    UI_DIM,
    UI_ACCENT,
    UI_HEAD,
    UI_TAB,
    UI_CURSOR,
    UI_FOCUS,
    UI_MARK,
    UI_EDIT,
    UI_KEY,
    UI_STALE,
    UI_WARN,
    UI_ERROR,
    UI_GOOD,
    UI_HEAT0,
    UI_HEAT1,
    UI_HEAT2,
    UI_HEAT3,
    UI_HEAT4,
    UI_HEAT5,
    UI_HEAT6,
    UI_HEAT7,
    UI_HEAT8,
    UI_HEAT9,
    UI_BAR_EMPTY,
    UI_BAR,
    UI_SERIES0,
    UI_SERIES1,
    UI_SERIES2,
    UI_SERIES3,
    UI_SLOP,
    UI_REPEAT,
    UI_CONTRAST,
    UI_DIVERGE,
    UI_SURPRISE1,
    UI_SURPRISE2,
    UI_SURPRISE4,
    UI_N_ROLES
} ui_role;
char ui_role_letter(ui_role r);

typedef struct ui_cell {
    uint32_t cp[3]; /* 0: none; cp[0] = 0 with width 0: right half of a wide character */
    uint8_t width, role;
} ui_cell;

typedef enum ui_glyph_level {
    UI_GLYPHS_ASCII,
    UI_GLYPHS_BLOCK,
    UI_GLYPHS_BRAILLE
} ui_glyph_level;

typedef struct ui_grid {
    int width, height;
    ui_cell *cells; /* [height, width] */
    ui_glyph_level glyphs;
    bool mono;              /* no colour: views add the marks of screens.md 1.5 */
    int cursor_x, cursor_y; /* where the terminal's cursor belongs; -1: hidden */
} ui_grid;

typedef struct ui_rect {
    int x, y, w, h;
} ui_rect;

bool ui_grid_resize(ui_grid *g, int width, int height); /* clears; false: no memory */
void ui_grid_clear(ui_grid *g);
void ui_grid_free(ui_grid *g);
ui_cell *ui_grid_at(ui_grid *g, int x, int y); /* NULL outside */

/* Text at (x, y), at most max columns (max < 0: to the right edge). Returns columns used. */
int ui_put(ui_grid *g, int x, int y, int max, ui_role role, const char *text);
int ui_put_n(ui_grid *g, int x, int y, int max, ui_role role, const char *text, size_t n);
int ui_printf(ui_grid *g, int x, int y, int max, ui_role role, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
void ui_fill(ui_grid *g, ui_rect r, ui_role role, const char *glyph);
void ui_recolour(ui_grid *g, int x, int y, int w, ui_role role);
/* As ui_put, but what is too long loses its end or its middle to an ellipsis. */
int ui_put_end(ui_grid *g, int x, int y, int max, ui_role role, const char *text);
int ui_put_middle(ui_grid *g, int x, int y, int max, ui_role role, const char *text);

int ui_text_width(const char *text, size_t n); /* columns */

/* The text of the rows, trailing blanks cut; with roles, a second block of role letters. */
void ui_grid_dump(const ui_grid *g, bool roles, rs_buf *out);

#endif
