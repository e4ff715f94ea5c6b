/* Fuzz target: any bytes as text on the grid - measured, wrapped, elided, drawn and dumped. The
 * drawing stands alone, so it is compiled in here. */
#include "base/utf8.h"
#include "tui/draw/glyphs.c"
#include "tui/draw/grid.c"
#include "tui/draw/width.c"
#include "tui/draw/wrap.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is dumped is text again, without control bytes, and plain ASCII where that is asked. */
static void check_dump(const ui_grid *g)
{
    rs_buf b = {0};
    ui_grid_dump(g, true, &b);
    if (!rs_utf8_valid(b.data, b.len)) abort();
    for (size_t i = 0; i < b.len; i++) {
        unsigned char c = (unsigned char)b.data[i];
        if ((c < 32 && c != '\n') || c == 127) abort();
        if (c > 127 && g->glyphs == UI_GLYPHS_ASCII) abort();
    }
    rs_buf_free(&b);
}

static void wrap_and_draw(ui_grid *g, const char *text, size_t n, int width)
{
    ui_wrap w = {0};
    ui_span span = {n / 4, n / 2, UI_SLOP};
    size_t at = 0;
    if (!ui_wrap_text(&w, text, n, width)) abort();
    for (int i = 0; i < w.n; i++) {
        const ui_line *l = &w.at[i];
        if (l->from < at || l->to < l->from || l->to > n) abort();
        if (l->width > width && l->width != 2) abort();
        at = l->to;
        ui_put_line(g, width % 7 - 2, i, -1, UI_TEXT, text, l, &span, 1);
    }
    ui_wrap_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || size > 4096) return 0;
    char text[4100];
    size_t n = size - 2;
    memcpy(text, data + 2, n);
    text[n] = 0;
    ui_grid g = {.glyphs = (ui_glyph_level)(data[0] % 3)};
    int width = data[1] % 60 + 1, x = data[0] % 16 - 4;
    if (!ui_grid_resize(&g, width, 12)) return 0;
    wrap_and_draw(&g, text, n, width);
    if (ui_put_end(&g, x, 1, width / 2, UI_DIM, text) > width) abort();
    if (ui_put_middle(&g, x, 2, width / 2, UI_DIM, text) > width) abort();
    ui_put(&g, x, 3, -1, UI_TEXT, text);
    check_dump(&g);
    ui_grid_free(&g);
    return 0;
}
