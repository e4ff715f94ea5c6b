#include "tui/draw/grid.h"

#include "base/size.h"
#include "base/utf8.h"
#include "tui/draw/glyphs.h"
#include "tui/draw/width.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char role_letters[] = "tdahTcfmek~wxg0123456789bBpqrsLPCDuvV";

static const ui_cell blank = {{' ', 0, 0}, 1, UI_TEXT};

char ui_role_letter(ui_role r)
{
    return (unsigned)r < UI_N_ROLES ? role_letters[r] : '?';
}

bool ui_grid_resize(ui_grid *g, int width, int height)
{
    size_t n = 0, bytes = 0;
    if (width < 0 || height < 0) return false;
    if (!rs_mul_size((size_t)width, (size_t)height, &n) || n > (1u << 24)) return false;
    if (!rs_mul_size(n ? n : 1, sizeof *g->cells, &bytes)) return false;
    if (width != g->width || height != g->height || !g->cells) {
        ui_cell *cells = realloc(g->cells, bytes);
        if (!cells) return false;
        g->cells = cells;
        g->width = width;
        g->height = height;
    }
    ui_grid_clear(g);
    return true;
}

void ui_grid_clear(ui_grid *g)
{
    size_t n = (size_t)g->width * (size_t)g->height;
    for (size_t i = 0; i < n; i++)
        g->cells[i] = blank;
    g->cursor_x = g->cursor_y = -1;
}

void ui_grid_free(ui_grid *g)
{
    free(g->cells);
    memset(g, 0, sizeof *g);
}

ui_cell *ui_grid_at(ui_grid *g, int x, int y)
{
    if (x < 0 || y < 0 || x >= g->width || y >= g->height) return NULL;
    return &g->cells[(size_t)y * (size_t)g->width + (size_t)x];
}

/* Before a cell is overwritten: the other half of a wide character there becomes a blank. */
static void split_wide(ui_grid *g, int x, int y)
{
    ui_cell *c = ui_grid_at(g, x, y);
    if (!c) return;
    ui_cell *other = c->width == 2   ? ui_grid_at(g, x + 1, y)
                     : c->width == 0 ? ui_grid_at(g, x - 1, y)
                                     : NULL;
    if (!other) return;
    uint8_t role = other->role;
    *other = blank;
    other->role = role;
}

static void set_cell(ui_grid *g, int x, int y, uint32_t cp, int width, ui_role role)
{
    ui_cell *c = ui_grid_at(g, x, y);
    if (!c) return;
    split_wide(g, x, y);
    *c = (ui_cell){{cp, 0, 0}, (uint8_t)width, (uint8_t)role};
}

/* A character of one or two columns. A wide one that is cut by an edge is a blank. */
static void set_char(ui_grid *g, int x, int y, uint32_t cp, int width, ui_role role)
{
    bool to_ascii = g->glyphs == UI_GLYPHS_ASCII && cp >= 0x80;
    if (to_ascii) cp = ui_char_ascii(cp);
    if (width == 1) {
        set_cell(g, x, y, cp, 1, role);
        return;
    }
    bool whole = x >= 0 && x + 1 < g->width && !to_ascii;
    if (to_ascii) {
        set_cell(g, x, y, cp, 1, role);
        set_cell(g, x + 1, y, ' ', 1, role);
    } else if (whole) {
        set_cell(g, x, y, cp, 2, role);
        set_cell(g, x + 1, y, 0, 0, role);
    } else {
        set_cell(g, x, y, ' ', 1, role);
        set_cell(g, x + 1, y, ' ', 1, role);
    }
}

static void add_mark(ui_grid *g, int x, int y, uint32_t cp)
{
    ui_cell *c = ui_grid_at(g, x, y);
    if (!c || cp == 0 || g->glyphs == UI_GLYPHS_ASCII) return;
    if (c->cp[1] == 0)
        c->cp[1] = cp;
    else if (c->cp[2] == 0)
        c->cp[2] = cp;
}

int ui_put_n(ui_grid *g, int x, int y, int max, ui_role role, const char *text, size_t n)
{
    int room = g->width - x;
    if (max < 0 || max > room) max = room;
    if (y < 0 || y >= g->height || max <= 0) return 0;
    int used = 0, last = -1;
    for (size_t i = 0; i < n;) {
        ui_char c = ui_char_next(text + i, n - i);
        i += (size_t)c.bytes;
        if (c.width == 0) {
            if (last >= 0) add_mark(g, x + last, y, c.cp);
            continue;
        }
        if (used + c.width > max) break;
        set_char(g, x + used, y, c.cp, c.width, role);
        last = used;
        used += c.width;
    }
    return used;
}

int ui_put(ui_grid *g, int x, int y, int max, ui_role role, const char *text)
{
    return ui_put_n(g, x, y, max, role, text, strlen(text));
}

int ui_printf(ui_grid *g, int x, int y, int max, ui_role role, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0) return 0;
    size_t len = strlen(text);
    if ((size_t)n > len) len -= rs_utf8_incomplete_tail(text, len);
    return ui_put_n(g, x, y, max, role, text, len);
}

void ui_fill(ui_grid *g, ui_rect r, ui_role role, const char *glyph)
{
    size_t n = strlen(glyph);
    ui_char c = n ? ui_char_next(glyph, n) : (ui_char){' ', 1, 1};
    if (c.width != 1) c = (ui_char){' ', 1, 1};
    int x0 = r.x < 0 ? 0 : r.x, y0 = r.y < 0 ? 0 : r.y;
    int x1 = r.w > g->width - r.x ? g->width : r.x + r.w;
    int y1 = r.h > g->height - r.y ? g->height : r.y + r.h;
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++)
            set_char(g, x, y, c.cp, 1, role);
}

void ui_recolour(ui_grid *g, int x, int y, int w, ui_role role)
{
    for (int i = 0; i < w; i++) {
        ui_cell *c = ui_grid_at(g, x + i, y);
        if (c) c->role = (uint8_t)role;
    }
}

/* Bytes of the longest start of text that takes at most max columns, marks included. */
static size_t head_bytes(const char *text, size_t n, int max)
{
    int used = 0;
    size_t i = 0;
    while (i < n) {
        ui_char c = ui_char_next(text + i, n - i);
        if (used + c.width > max) break;
        used += c.width;
        i += (size_t)c.bytes;
    }
    return i;
}

/* Where the shortest end of text begins that takes at most max columns. */
static size_t tail_start(const char *text, size_t n, int max)
{
    int width = ui_text_width(text, n);
    size_t i = 0;
    while (i < n) {
        ui_char c = ui_char_next(text + i, n - i);
        if (width <= max && c.width > 0) break;
        width -= c.width;
        i += (size_t)c.bytes;
    }
    return i;
}

int ui_put_end(ui_grid *g, int x, int y, int max, ui_role role, const char *text)
{
    size_t n = strlen(text);
    if (max < 0 || max > g->width - x) max = g->width - x;
    if (ui_text_width(text, n) <= max) return ui_put_n(g, x, y, max, role, text, n);
    const char *dots = ui_glyph(g, UI_G_ELLIPSIS);
    int dots_width = ui_text_width(dots, strlen(dots));
    size_t head = head_bytes(text, n, max > dots_width ? max - dots_width : 0);
    int used = ui_put_n(g, x, y, max, role, text, head);
    return used + ui_put(g, x + used, y, max - used, role, dots);
}

/* How many columns of the end are kept: a path's last part whole if half of the room is left
 * for the rest, else a half. */
static int tail_width(const char *text, size_t n, int room)
{
    const char *slash = n ? memchr(text, '/', n) : NULL;
    for (const char *s = slash; s; s = memchr(s + 1, '/', n - (size_t)(s + 1 - text)))
        slash = s;
    if (slash) {
        int last = ui_text_width(slash, n - (size_t)(slash - text));
        if (last <= room - room / 4) return last;
    }
    return room / 2;
}

int ui_put_middle(ui_grid *g, int x, int y, int max, ui_role role, const char *text)
{
    size_t n = strlen(text);
    if (max < 0 || max > g->width - x) max = g->width - x;
    if (ui_text_width(text, n) <= max) return ui_put_n(g, x, y, max, role, text, n);
    const char *dots = ui_glyph(g, UI_G_ELLIPSIS);
    int room = max - ui_text_width(dots, strlen(dots));
    if (room < 2) return ui_put_end(g, x, y, max, role, text);
    size_t tail = tail_start(text, n, tail_width(text, n, room));
    int kept = ui_text_width(text + tail, n - tail);
    int used =
        ui_put_n(g, x, y, room - kept, role, text, head_bytes(text, n, room - kept));
    used += ui_put(g, x + used, y, max - used, role, dots);
    return used + ui_put_n(g, x + used, y, max - used, role, text + tail, n - tail);
}

static void dump_cell(const ui_cell *c, rs_buf *out)
{
    for (int i = 0; i < 3 && c->cp[i]; i++) {
        char bytes[4];
        rs_buf_add(out, bytes, (size_t)rs_utf8_encode(c->cp[i], bytes));
    }
}

static bool is_blank(const ui_cell *c)
{
    return c->cp[0] == ' ' && c->cp[1] == 0;
}

static void dump_row(const ui_grid *g, const ui_cell *row, bool roles, rs_buf *out)
{
    int end = g->width;
    while (end > 0 && is_blank(&row[end - 1]) && (!roles || row[end - 1].role == UI_TEXT))
        end--;
    for (int x = 0; x < end; x++) {
        if (roles)
            rs_buf_putc(out, ui_role_letter((ui_role)row[x].role));
        else
            dump_cell(&row[x], out);
    }
    rs_buf_putc(out, '\n');
}

void ui_grid_dump(const ui_grid *g, bool roles, rs_buf *out)
{
    for (int y = 0; y < g->height; y++)
        dump_row(g, g->cells + (size_t)y * (size_t)g->width, false, out);
    if (!roles) return;
    rs_buf_puts(out, "roles\n");
    for (int y = 0; y < g->height; y++)
        dump_row(g, g->cells + (size_t)y * (size_t)g->width, true, out);
}
