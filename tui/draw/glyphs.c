#include "tui/draw/glyphs.h"

#include <math.h>

/* [glyph]: UTF-8, ASCII. In the order of ui_glyph_id. */
static const char *const glyphs[UI_N_GLYPHS][2] = {
    [UI_G_ELLIPSIS] = {"…", ".."},
    [UI_G_UNKNOWN] = {"—", "-"},
    [UI_G_TIMES] = {"×", "x"},
    [UI_G_PLUSMINUS] = {"±", "+-"},
    [UI_G_DEGREE] = {"°", "d"},
    [UI_G_SQUARED] = {"²", "^2"},
    [UI_G_THIN] = {"\xE2\x80\x89", " "},
    [UI_G_MIXED] = {"±", "&"},
    [UI_G_MARK] = {"•", "*"},
    [UI_G_DIVERGE] = {"▸", ">"},
    [UI_G_REREAD] = {"┊", ":"},
    [UI_G_WRITING] = {"▌", "_"},
    [UI_G_FOCUS] = {"»", ">"},
    [UI_G_NONE] = {"·", "-"},
    [UI_G_HERE] = {"◆", "@"},
    [UI_G_HLINE] = {"─", "-"},
    [UI_G_VLINE] = {"│", "|"},
    [UI_G_CROSS] = {"┼", "+"},
    [UI_G_TOP_LEFT] = {"┌", "+"},
    [UI_G_TOP_RIGHT] = {"┐", "+"},
    [UI_G_BOTTOM_LEFT] = {"└", "+"},
    [UI_G_BOTTOM_RIGHT] = {"┘", "+"},
    [UI_G_TEE_RIGHT] = {"├", "+"},
    [UI_G_TEE_LEFT] = {"┤", "+"},
    [UI_G_TEE_DOWN] = {"┬", "+"},
    [UI_G_TEE_UP] = {"┴", "+"},
    [UI_G_CUT] = {"┃", "|"},
    [UI_G_OTHER] = {"┆", ":"},
    [UI_G_FULL] = {"█", "#"},
    [UI_G_BAR_LEFT] = {"▕", "["},
    [UI_G_BAR_RIGHT] = {"▏", "]"},
    [UI_G_SLIDER] = {"━", "="},
    [UI_G_SLIDER_REST] = {"─", "-"},
    [UI_G_KNOB] = {"●", "O"},
    [UI_G_ONE] = {"┼", "|"},
    [UI_G_OFF_LEFT] = {"«", "<"},
    [UI_G_OFF_RIGHT] = {"»", ">"},
};

static const char *const shades[4] = {"░", "▒", "▓", "█"};
static const char *const heights[8] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
static const char *const across[9] = {" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
static const char *const digits[10] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
static const unsigned char shade_of_level[10] = {0, 0, 0, 1, 1, 1, 2, 2, 3, 3};

const char *ui_glyph_at(ui_glyph_level level, ui_glyph_id id)
{
    if ((unsigned)id >= UI_N_GLYPHS) return "?";
    return glyphs[id][level == UI_GLYPHS_ASCII];
}

const char *ui_glyph(const ui_grid *g, ui_glyph_id id)
{
    return ui_glyph_at(g->glyphs, id);
}

const char *ui_heat_glyph(const ui_grid *g, int level, ui_heat_style style)
{
    if (level < 0) return ui_glyph(g, UI_G_NONE);
    if (level > 9) level = 9;
    if (style == UI_HEAT_DIGIT || g->glyphs == UI_GLYPHS_ASCII) return digits[level];
    if (style == UI_HEAT_BAR) return heights[level * 7 / 9];
    return shades[shade_of_level[level]];
}

const char *ui_eighth_across(const ui_grid *g, int eighths)
{
    if (eighths < 0) eighths = 0;
    if (eighths > 8) eighths = 8;
    if (g->glyphs == UI_GLYPHS_ASCII) return eighths >= 4 ? "#" : " ";
    return across[eighths];
}

const char *ui_height_glyph(const ui_grid *g, double v)
{
    if (isnan(v)) return ui_glyph(g, UI_G_NONE);
    if (v < 0) v = 0;
    if (v > 1) v = 1;
    if (g->glyphs == UI_GLYPHS_ASCII) {
        int level = (int)floor(v * 10);
        return digits[level > 9 ? 9 : level];
    }
    int level = (int)floor(v * 8);
    return heights[level > 7 ? 7 : level];
}
