#include "tests/t.h"

#include "tui/draw/wrap.h"

/* The lines, parted by '|'. */
static const char *lines_of(const char *text, int width)
{
    static char out[4096];
    ui_wrap w = {0};
    size_t at = 0;
    ui_wrap_text(&w, text, strlen(text), width);
    out[0] = 0;
    for (int i = 0; i < w.n; i++)
        at += (size_t)snprintf(out + at, sizeof out - at, "%s%.*s", i ? "|" : "",
                               (int)(w.at[i].to - w.at[i].from), text + w.at[i].from);
    ui_wrap_free(&w);
    return out;
}

static void breaks_at_blanks(void)
{
    T_STR(lines_of("The lamp swung once and the whole room", 12),
          "The lamp|swung once|and the|whole room");
    T_STR(lines_of("one  two   three", 6),
          "one|two|three"); /* blanks at a break vanish */
    T_STR(lines_of("one  two", 8), "one  two");
    T_STR(lines_of("exactly ten", 7), "exactly|ten");
    T_STR(lines_of("", 7), "");
    T_STR(lines_of("a ", 1), "a");
}

static void line_feeds_and_indents(void)
{
    T_STR(lines_of("a\n\nb\n", 9), "a||b");
    T_STR(lines_of("  indented text here", 10), "  indented|text here");
    T_STR(lines_of("\n\n", 4), "|");
    T_STR(lines_of("a\n     deep", 4),
          "a|deep"); /* an indent as wide as the line is dropped */
}

static void long_words_are_cut(void)
{
    T_STR(lines_of("abcdefghij kl", 4), "abcd|efgh|ij|kl");
    T_STR(lines_of("ab cdefghij", 4), "ab|cdef|ghij");
    T_STR(lines_of("a漢字漢", 4), "a漢|字漢"); /* a wide one is never split */
    T_STR(lines_of("漢字漢", 1), "漢|字|漢");  /* and at least one fits on each line */
}

static void wide_and_combining(void)
{
    T_STR(lines_of("漢字漢字 ab", 5), "漢字|漢字|ab");
    T_STR(lines_of("ne\u0301e\u0301 ne\u0301", 3), "ne\u0301e\u0301|ne\u0301");
}

/* Appending never changes a line but the last one. */
static void stable_while_text_grows(void)
{
    const char *text = "He shut the book. He was a careful man,\n\n  and "
                       "\xE6\xBC\xA2\xE5\xAD\x97 he did "
                       "notshutitquicklyatallbecause of the tide; e\xCC\x81 \xff end";
    size_t n = strlen(text);
    for (int width = 1; width < 30; width++) {
        ui_wrap whole = {0}, part = {0};
        T_TRUE(ui_wrap_text(&whole, text, n, width));
        for (size_t k = 0; k <= n; k++) {
            if (k < n && ((unsigned char)text[k] & 0xC0) == 0x80) continue;
            T_TRUE(ui_wrap_text(&part, text, k, width));
            for (int i = 0; i + 1 < part.n; i++) {
                T_EQ(part.at[i].from, whole.at[i].from);
                T_EQ(part.at[i].to, whole.at[i].to);
            }
        }
        ui_wrap_free(&whole);
        ui_wrap_free(&part);
    }
}

/* No line is wider than asked (unless one character is), none is lost but blanks and feeds. */
static void nothing_lost_nothing_wider(void)
{
    static char text[3000];
    uint32_t seed = 1;
    for (int round = 0; round < 40; round++) {
        static const char *const pieces[] = {"a",       " ",  "bc",   "\n",  "漢",
                                             "e\u0301", "  ", "word", "\xff"};
        text[0] = 0;
        for (int i = 0; i < 300; i++) {
            seed = seed * 1664525u + 1013904223u;
            strcat(text, pieces[(seed >> 16) % 9]);
        }
        for (int width = 1; width < 20; width += 3) {
            ui_wrap w = {0};
            size_t n = strlen(text), at = 0;
            T_TRUE(ui_wrap_text(&w, text, n, width));
            for (int i = 0; i < w.n; i++) {
                const ui_line *l = &w.at[i];
                for (; at < l->from; at++)
                    T_TRUE(text[at] == ' ' || text[at] == '\n');
                T_TRUE(l->to >= l->from);
                int columns = ui_text_width(text + l->from, l->to - l->from);
                T_EQ(columns, l->width);
                T_TRUE(columns <= width || columns == 2);
                at = l->to;
            }
            for (; at < n; at++)
                T_TRUE(text[at] == ' ' || text[at] == '\n');
            ui_wrap_free(&w);
        }
    }
}

static void paragraphs(void)
{
    const char *text = "\nfirst one\nstill first\n\nsecond\n\n\nthird";
    ui_wrap w = {0};
    T_TRUE(ui_wrap_text(&w, text, strlen(text), 80));
    T_EQ(w.n, 8);
    T_EQ(w.at[1].paragraph, 0);
    T_EQ(w.at[2].paragraph, 0);
    T_EQ(w.at[4].paragraph, 1);
    T_EQ(w.at[7].paragraph, 2);
    T_EQ(ui_wrap_paragraph(&w, 1), 4);
    T_EQ(ui_wrap_paragraph(&w, 2), 7);
    T_EQ(ui_wrap_paragraph(&w, 99), 7);
    T_EQ(ui_wrap_line_of(&w, 0), 0);
    T_EQ(ui_wrap_line_of(&w, 5), 1);
    T_EQ(ui_wrap_line_of(&w, strlen(text)), 7);
    ui_wrap_free(&w);
    T_EQ(ui_wrap_line_of(&w, 3), -1);
}

static const char *roles_of(ui_grid *g, int n)
{
    static char out[128];
    for (int x = 0; x < n; x++)
        out[x] = ui_role_letter((ui_role)g->cells[x].role);
    out[n] = 0;
    return out;
}

static void spans(void)
{
    const char *text = "not fear, but some\u0301thing 漢字 x";
    static const ui_span marks[] = {{0, 13, UI_CONTRAST},
                                    {10, 13, UI_SLOP},
                                    {14, 21, UI_REPEAT},
                                    {26, 29, UI_DIVERGE}};
    ui_wrap w = {0};
    ui_grid g = {.glyphs = UI_GLYPHS_BRAILLE};
    ui_grid_resize(&g, 40, 1);
    T_TRUE(ui_wrap_text(&w, text, strlen(text), 60));
    T_EQ(w.n, 1);
    T_EQ(ui_put_line(&g, 0, 0, 40, UI_TEXT, text, &w.at[0], marks, 4), 30);
    T_STR(roles_of(&g, 30), "CCCCCCCCCCLLLtPPPPPtttttDDtttt");
    ui_grid_clear(&g);
    T_EQ(ui_put_line(&g, 0, 0, 12, UI_DIM, text, &w.at[0], marks, 4), 12); /* clipped */
    T_STR(roles_of(&g, 14), "CCCCCCCCCCLLtt");
    ui_wrap_free(&w);
    ui_grid_free(&g);
}

static void gutters(void)
{
    ui_grid g = {.glyphs = UI_GLYPHS_BRAILLE};
    rs_buf b = {0};
    ui_grid_resize(&g, 3, 6);
    ui_draw_gutter(&g, 0, 0, 3, UI_GUTTER_SLOP | UI_GUTTER_REPEAT);
    ui_draw_gutter(&g, 0, 1, 3, UI_GUTTER_DIVERGE);
    ui_draw_gutter(&g, 0, 2, 3, UI_GUTTER_CONTRAST | UI_GUTTER_REREAD);
    ui_draw_gutter(&g, 0, 3, 2, UI_GUTTER_SLOP | UI_GUTTER_REPEAT | UI_GUTTER_DIVERGE);
    g.glyphs = UI_GLYPHS_ASCII;
    ui_draw_gutter(&g, 0, 4, 3, UI_GUTTER_DIVERGE);
    ui_draw_gutter(&g, 0, 5, 0, UI_GUTTER_SLOP);
    ui_grid_dump(&g, false, &b);
    T_STR(rs_buf_str(&b), "s3\n  ▸\nx ┊\ns▸\n  >\n\n");
    rs_buf_free(&b);
    ui_grid_free(&g);
}

T_MAIN(T_TEST(breaks_at_blanks), T_TEST(line_feeds_and_indents),
       T_TEST(long_words_are_cut), T_TEST(wide_and_combining),
       T_TEST(stable_while_text_grows), T_TEST(nothing_lost_nothing_wider),
       T_TEST(paragraphs), T_TEST(spans), T_TEST(gutters))
