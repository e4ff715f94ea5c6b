#include "tests/t.h"

#include "tui/draw/glyphs.h"
#include "tui/draw/grid.h"
#include "tui/draw/width.h"

static ui_grid make(int w, int h, ui_glyph_level level)
{
    ui_grid g = {0};
    g.glyphs = level;
    ui_grid_resize(&g, w, h);
    return g;
}

static const char *row_text(ui_grid *g, int y)
{
    static char out[4096];
    rs_buf b = {0};
    ui_grid_dump(g, false, &b);
    const char *s = rs_buf_str(&b);
    for (int i = 0; i < y; i++)
        s = strchr(s, '\n') + 1;
    snprintf(out, sizeof out, "%.*s", (int)strcspn(s, "\n"), s);
    rs_buf_free(&b);
    return out;
}

static void role_letters(void)
{
    T_EQ(ui_role_letter(UI_TEXT), 't');
    T_EQ(ui_role_letter(UI_HEAT0), '0');
    T_EQ(ui_role_letter(UI_HEAT9), '9');
    T_EQ(ui_role_letter(UI_BAR_EMPTY), 'b');
    T_EQ(ui_role_letter(UI_SERIES3), 's');
    T_EQ(ui_role_letter(UI_CONTRAST), 'C');
    T_EQ(ui_role_letter(UI_SURPRISE4), 'V');
    for (int i = 0; i < UI_N_ROLES; i++)
        for (int k = 0; k < i; k++)
            T_TRUE(ui_role_letter((ui_role)i) != ui_role_letter((ui_role)k));
}

static void hostile_bytes_are_question_marks(void)
{
    ui_grid g = make(40, 1, UI_GLYPHS_BRAILLE);
    T_EQ(ui_put(&g, 0, 0, -1, UI_TEXT, "a\x1b[31m\tb\x7f\n\xff\xc3"), 12);
    T_STR(row_text(&g, 0), "a?[31m?b????");
    ui_grid_clear(&g);
    /* a right-to-left override, a C1 control, an unassigned character, a private one */
    ui_put(&g, 0, 0, -1, UI_TEXT,
           "x\u202Ey\xC2\x9B"
           "z\u0378\uE000.");
    T_STR(row_text(&g, 0), "x?y?z??.");
    ui_grid_free(&g);
}

static void invisible_ones_take_no_cell(void)
{
    ui_grid g = make(20, 1, UI_GLYPHS_BRAILLE);
    T_EQ(ui_put(&g, 0, 0, -1, UI_TEXT, "a\u200Db\uFEFFc\uFE0Fd\u00ADe"), 6);
    T_STR(row_text(&g, 0), "abcd-e");
    ui_grid_free(&g);
}

static void combining_marks(void)
{
    ui_grid g = make(6, 1, UI_GLYPHS_BRAILLE);
    T_EQ(ui_put(&g, 0, 0, -1, UI_TEXT, "e\u0301\u0302\u0303x"),
         2); /* the third mark is lost */
    ui_cell *c = ui_grid_at(&g, 0, 0);
    T_EQ(c->cp[0], 'e');
    T_EQ(c->cp[1], 0x301);
    T_EQ(c->cp[2], 0x302);
    T_EQ(ui_grid_at(&g, 1, 0)->cp[0], 'x');
    T_EQ(ui_put(&g, 4, 0, -1, UI_TEXT, "\u0301z"), 1); /* a mark without a base */
    T_EQ(ui_grid_at(&g, 3, 0)->cp[1], 0);
    T_EQ(ui_grid_at(&g, 4, 0)->cp[0], 'z');
    ui_grid_free(&g);
}

static void wide_characters(void)
{
    ui_grid g = make(5, 2, UI_GLYPHS_BRAILLE);
    T_EQ(ui_put(&g, 0, 0, -1, UI_TEXT, "漢字漢"), 4); /* the third is not cut in half */
    T_EQ(ui_grid_at(&g, 0, 0)->width, 2);
    T_EQ(ui_grid_at(&g, 1, 0)->width, 0);
    T_STR(row_text(&g, 0), "漢字");
    ui_put(&g, 1, 0, 1, UI_TEXT, "x"); /* over a right half: the left one goes */
    T_STR(row_text(&g, 0), " x字");
    ui_put(&g, 2, 0, 1, UI_TEXT, "y"); /* over a left half */
    T_STR(row_text(&g, 0), " xy");
    ui_put(&g, -1, 1, -1, UI_TEXT, "漢a"); /* cut by the left edge */
    T_STR(row_text(&g, 1), " a");
    ui_grid_free(&g);
}

static void clips_everywhere(void)
{
    ui_grid g = make(10, 3, UI_GLYPHS_BRAILLE);
    T_EQ(ui_put(&g, 0, 5, -1, UI_TEXT, "no"), 0);
    T_EQ(ui_put(&g, 0, -1, -1, UI_TEXT, "no"), 0);
    T_EQ(ui_put(&g, 12, 0, -1, UI_TEXT, "no"), 0);
    T_EQ(ui_put(&g, 8, 0, -1, UI_TEXT, "abcdef"), 2);
    T_EQ(ui_put(&g, -3, 1, -1, UI_TEXT, "abcdef"), 6);
    T_EQ(ui_put(&g, 0, 2, 3, UI_TEXT, "abcdef"), 3);
    T_EQ(ui_put(&g, 0, 2, 0, UI_TEXT, "abcdef"), 0);
    T_STR(row_text(&g, 0), "        ab");
    T_STR(row_text(&g, 1), "def");
    T_STR(row_text(&g, 2), "abc");
    ui_fill(&g, (ui_rect){-5, -5, 8, 7}, UI_DIM, "#");
    T_STR(row_text(&g, 1), "###");
    ui_fill(&g, (ui_rect){8, 2, 1 << 30, 1 << 30}, UI_DIM, "#");
    T_STR(row_text(&g, 2), "abc     ##");
    ui_recolour(&g, -2, 2, 100, UI_ERROR);
    ui_grid_free(&g);
}

static void elisions(void)
{
    ui_grid g = make(60, 2, UI_GLYPHS_BRAILLE);
    ui_put_end(&g, 0, 0, 8, UI_TEXT, "luchador-miniature");
    T_STR(row_text(&g, 0), "luchado…");
    T_EQ(ui_put_end(&g, 0, 1, 8, UI_TEXT, "luchador"), 8);
    T_STR(row_text(&g, 1), "luchador");
    ui_grid_clear(&g);
    ui_put_middle(&g, 0, 0, 44, UI_TEXT,
                  "/data/models/gemma-a-very-long-name/model-00003.safetensors");
    T_STR(row_text(&g, 0), "/data/models/gemma-…/model-00003.safetensors");
    ui_put_middle(&g, 0, 1, 10, UI_TEXT, "abcdefghijklmnopqrstuvwxyz");
    T_STR(row_text(&g, 1), "abcde…wxyz");
    g.glyphs = UI_GLYPHS_ASCII;
    ui_grid_clear(&g);
    ui_put_end(&g, 0, 0, 8, UI_TEXT, "luchador-miniature");
    T_STR(row_text(&g, 0), "luchad..");
    for (int max = 0; max < 12; max++) { /* never wider than asked, whatever the width */
        T_TRUE(ui_put_end(&g, 0, 1, max, UI_TEXT, "漢字漢字漢字漢字") <= max);
        T_TRUE(ui_put_middle(&g, 0, 1, max, UI_TEXT, "漢字/漢字漢字漢字") <= max);
    }
    ui_grid_free(&g);
}

static void ascii_level_is_pure(void)
{
    ui_grid g = make(60, 2, UI_GLYPHS_ASCII);
    ui_put(&g, 0, 0, -1, UI_TEXT,
           "“Carrow,” he said — café naïve … 漢 ×3 e\u0301 Ångström ½");
    T_STR(row_text(&g, 0), "\"Carrow,\" he said - cafe naive . ?  x3 e Angstrom ?");
    for (int i = 0; i < UI_N_GLYPHS; i++)
        for (const char *s = ui_glyph(&g, (ui_glyph_id)i); *s; s++)
            T_TRUE((unsigned char)*s < 128);
    ui_grid_free(&g);
}

static void glyphs_have_one_column(void)
{
    static const ui_glyph_id wider[] = {UI_G_ELLIPSIS, UI_G_PLUSMINUS, UI_G_SQUARED};
    for (int level = 0; level < 3; level++)
        for (int i = 0; i < UI_N_GLYPHS; i++) {
            const char *s = ui_glyph_at((ui_glyph_level)level, (ui_glyph_id)i);
            bool may_be_two = level == 0;
            for (size_t k = 0; may_be_two && k < 3; k++)
                may_be_two = wider[k] != (ui_glyph_id)i;
            int w = ui_text_width(s, strlen(s));
            bool is_wider = level == 0 && !may_be_two;
            T_TRUE(w == 1 || (is_wider && w == 2));
        }
    ui_grid g = make(1, 1, UI_GLYPHS_ASCII);
    for (int i = -1; i < 12; i++) {
        T_EQ(strlen(ui_heat_glyph(&g, i, UI_HEAT_AUTO)), 1);
        T_EQ(strlen(ui_heat_glyph(&g, i, UI_HEAT_BAR)), 1);
        T_EQ(strlen(ui_height_glyph(&g, i / 10.0)), 1);
        T_EQ(strlen(ui_eighth_across(&g, i)), 1);
    }
    g.glyphs = UI_GLYPHS_BRAILLE;
    T_STR(ui_heat_glyph(&g, 2, UI_HEAT_AUTO), "░");
    T_STR(ui_heat_glyph(&g, 3, UI_HEAT_AUTO), "▒");
    T_STR(ui_heat_glyph(&g, 9, UI_HEAT_BAR), "█");
    T_STR(ui_heat_glyph(&g, 7, UI_HEAT_DIGIT), "7");
    ui_grid_free(&g);
}

static void dump_with_roles(void)
{
    ui_grid g = make(12, 2, UI_GLYPHS_BRAILLE);
    rs_buf b = {0};
    ui_put(&g, 0, 0, -1, UI_ACCENT, "ab");
    ui_put(&g, 3, 0, -1, UI_SLOP, "漢");
    ui_grid_dump(&g, true, &b);
    T_STR(rs_buf_str(&b), "ab 漢\n\nroles\naatLL\n\n");
    rs_buf_free(&b);
    ui_grid_free(&g);
}

static void resize_clears_and_refuses(void)
{
    ui_grid g = make(3, 3, UI_GLYPHS_BLOCK);
    ui_put(&g, 0, 0, -1, UI_TEXT, "abc");
    T_TRUE(ui_grid_resize(&g, 3, 3));
    T_STR(row_text(&g, 0), "");
    T_TRUE(!ui_grid_resize(&g, -1, 4));
    T_TRUE(!ui_grid_resize(&g, 1 << 20, 1 << 20));
    T_EQ(g.width, 3);
    T_TRUE(ui_grid_resize(&g, 0, 0));
    T_EQ(ui_put(&g, 0, 0, -1, UI_TEXT, "x"), 0);
    T_TRUE(ui_grid_at(&g, 0, 0) == NULL);
    ui_grid_free(&g);
}

static void long_printf_is_cut_between_characters(void)
{
    ui_grid g = make(3000, 1, UI_GLYPHS_BRAILLE);
    char text[4001];
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "é", 2);
    text[4000] = 0;
    int used = ui_printf(&g, 0, 0, -1, UI_TEXT, "%s", text);
    T_TRUE(used >= 1000 && used <= 2000);
    for (int x = 0; x < used; x++)
        T_EQ(ui_grid_at(&g, x, 0)->cp[0], 0xE9);
    ui_grid_free(&g);
}

T_MAIN(T_TEST(role_letters), T_TEST(hostile_bytes_are_question_marks),
       T_TEST(invisible_ones_take_no_cell), T_TEST(combining_marks),
       T_TEST(wide_characters), T_TEST(clips_everywhere), T_TEST(elisions),
       T_TEST(ascii_level_is_pure), T_TEST(glyphs_have_one_column),
       T_TEST(dump_with_roles), T_TEST(resize_clears_and_refuses),
       T_TEST(long_printf_is_cut_between_characters))
