#include "tui/draw/theme.h"

#include <string.h>

/* Colours of a role: 24-bit ones, and hand-picked ones of a 16-colour terminal, since the
 * nearest of sixteen is seldom the right one. -1: the terminal's own. */
typedef struct paint {
    int32_t fg, bg;
    int8_t fg16, bg16;
    uint8_t attrs;
} paint;

enum { BOLD = UI_ATTR_BOLD, LINE = UI_ATTR_UNDERLINE, REVERSE = UI_ATTR_REVERSE };

// clang-format off
static const paint dark[UI_N_ROLES] = {
    [UI_TEXT] = {-1, -1, -1, -1, 0},
    [UI_DIM] = {0x7A8089, -1, 8, -1, 0},
    [UI_ACCENT] = {0x7FB4FF, -1, 12, -1, BOLD},
    [UI_HEAD] = {0x9AA8BC, -1, 6, -1, 0},
    [UI_TAB] = {0x101418, 0x7FB4FF, 0, 4, BOLD},
    [UI_CURSOR] = {0xFFFFFF, 0x2C3647, 15, -1, BOLD},
    [UI_FOCUS] = {0xFFD479, -1, 11, -1, BOLD},
    [UI_MARK] = {0xFFB454, -1, 3, -1, 0},
    [UI_EDIT] = {-1, -1, -1, -1, REVERSE},
    [UI_KEY] = {0xFFD479, -1, 11, -1, 0},
    [UI_STALE] = {0x93876F, -1, 8, -1, 0},
    [UI_WARN] = {0xFFB000, -1, 3, -1, BOLD},
    [UI_ERROR] = {0xFF6B6B, -1, 9, -1, BOLD},
    [UI_GOOD] = {0x7FD88F, -1, 10, -1, 0},
    [UI_HEAT0] = {0x4A5270, -1, 4, -1, 0},
    [UI_HEAT1] = {0x5B4E86, -1, 4, -1, 0},
    [UI_HEAT2] = {0x6E4794, -1, 4, -1, 0},
    [UI_HEAT3] = {0x863F98, -1, 5, -1, 0},
    [UI_HEAT4] = {0xA33C90, -1, 5, -1, 0},
    [UI_HEAT5] = {0xC24180, -1, 5, -1, 0},
    [UI_HEAT6] = {0xDE5069, -1, 9, -1, 0},
    [UI_HEAT7] = {0xF26D4C, -1, 9, -1, 0},
    [UI_HEAT8] = {0xFB9836, -1, 11, -1, 0},
    [UI_HEAT9] = {0xFCD54F, -1, 11, -1, 0},
    [UI_BAR_EMPTY] = {0x596070, -1, 8, -1, 0},
    [UI_BAR] = {0x7FB4FF, -1, 12, -1, 0},
    [UI_SERIES0] = {0x7FB4FF, -1, 12, -1, 0},
    [UI_SERIES1] = {0xFFB454, -1, 11, -1, 0},
    [UI_SERIES2] = {0x7FD88F, -1, 10, -1, 0},
    [UI_SERIES3] = {0xE58FD0, -1, 13, -1, 0},
    [UI_SLOP] = {0xFF8F70, -1, 9, -1, LINE},
    [UI_REPEAT] = {0xC792EA, -1, 13, -1, BOLD},
    [UI_CONTRAST] = {0x101418, 0xE0A040, 0, 3, 0},
    [UI_DIVERGE] = {0xFFD479, -1, 11, -1, BOLD},
    [UI_SURPRISE1] = {-1, 0x3A2A2E, 3, -1, 0},
    [UI_SURPRISE2] = {-1, 0x5A2A30, 1, -1, 0},
    [UI_SURPRISE4] = {0xFFFFFF, 0x8A2A34, 15, 1, 0},
};

static const paint light[UI_N_ROLES] = {
    [UI_TEXT] = {-1, -1, -1, -1, 0},
    [UI_DIM] = {0x6B7078, -1, 8, -1, 0},
    [UI_ACCENT] = {0x1F4FA8, -1, 4, -1, BOLD},
    [UI_HEAD] = {0x3F5870, -1, 6, -1, 0},
    [UI_TAB] = {0xFFFFFF, 0x1F4FA8, 15, 4, BOLD},
    [UI_CURSOR] = {0x000000, 0xDCE7F7, 0, -1, BOLD},
    [UI_FOCUS] = {0x8A4B00, -1, 5, -1, BOLD},
    [UI_MARK] = {0xA85400, -1, 1, -1, 0},
    [UI_EDIT] = {-1, -1, -1, -1, REVERSE},
    [UI_KEY] = {0x8A4B00, -1, 5, -1, 0},
    [UI_STALE] = {0x85785C, -1, 8, -1, 0},
    [UI_WARN] = {0x9A5B00, -1, 1, -1, BOLD},
    [UI_ERROR] = {0xB3001B, -1, 1, -1, BOLD},
    [UI_GOOD] = {0x16692B, -1, 2, -1, 0},
    [UI_HEAT0] = {0xB9C3D6, -1, 6, -1, 0},
    [UI_HEAT1] = {0xB2B1D8, -1, 6, -1, 0},
    [UI_HEAT2] = {0xB09DD4, -1, 6, -1, 0},
    [UI_HEAT3] = {0xB086C8, -1, 4, -1, 0},
    [UI_HEAT4] = {0xB06DB6, -1, 4, -1, 0},
    [UI_HEAT5] = {0xAE519C, -1, 4, -1, 0},
    [UI_HEAT6] = {0xA5367C, -1, 5, -1, 0},
    [UI_HEAT7] = {0x95205A, -1, 5, -1, 0},
    [UI_HEAT8] = {0x7E1238, -1, 1, -1, 0},
    [UI_HEAT9] = {0x5C0A1E, -1, 1, -1, 0},
    [UI_BAR_EMPTY] = {0x9AA2AE, -1, 8, -1, 0},
    [UI_BAR] = {0x1F4FA8, -1, 4, -1, 0},
    [UI_SERIES0] = {0x1F4FA8, -1, 4, -1, 0},
    [UI_SERIES1] = {0xA85400, -1, 1, -1, 0},
    [UI_SERIES2] = {0x16692B, -1, 2, -1, 0},
    [UI_SERIES3] = {0x8A2C86, -1, 5, -1, 0},
    [UI_SLOP] = {0xB3381B, -1, 1, -1, LINE},
    [UI_REPEAT] = {0x6A2FA0, -1, 5, -1, BOLD},
    [UI_CONTRAST] = {0xFFFFFF, 0x9A5B00, 15, 1, 0},
    [UI_DIVERGE] = {0x8A4B00, -1, 5, -1, BOLD},
    [UI_SURPRISE1] = {-1, 0xFBEDE6, 6, -1, 0},
    [UI_SURPRISE2] = {-1, 0xF7D3C6, 5, -1, 0},
    [UI_SURPRISE4] = {0x000000, 0xEFA48F, 15, 1, 0},
};

/* Without colour: the attributes of screens.md 1.5; all else is told by glyphs and words. */
static const uint8_t mono[UI_N_ROLES] = {
    [UI_DIM] = UI_ATTR_DIM, [UI_ACCENT] = BOLD, [UI_HEAD] = LINE, [UI_TAB] = REVERSE,
    [UI_CURSOR] = BOLD, [UI_FOCUS] = BOLD, [UI_EDIT] = REVERSE, [UI_KEY] = BOLD,
    [UI_STALE] = UI_ATTR_DIM, [UI_ERROR] = BOLD, [UI_SLOP] = LINE, [UI_REPEAT] = BOLD,
    [UI_CONTRAST] = REVERSE, [UI_DIVERGE] = BOLD,
};

typedef struct change {
    ui_role role;
    paint look;
} change;

/* High contrast: white and strong colours on black, whatever the terminal's own are. */
static const change contrast[] = {
    {UI_DIM, {0xD0D0D0, -1, 7, -1, 0}},
    {UI_ACCENT, {0x66CCFF, -1, 14, -1, BOLD}},
    {UI_HEAD, {0xFFFFFF, -1, 15, -1, LINE}},
    {UI_TAB, {0x000000, 0xFFFFFF, 0, 7, BOLD}},
    {UI_CURSOR, {0x000000, 0xFFFF00, 0, 3, BOLD}},
    {UI_FOCUS, {0xFFFF00, -1, 11, -1, BOLD}},
    {UI_KEY, {0xFFFF00, -1, 11, -1, BOLD}},
    {UI_STALE, {0xB8B8B8, -1, 7, -1, LINE}},
    {UI_BAR_EMPTY, {0xA0A0A0, -1, 7, -1, 0}},
    {UI_BAR, {0xFFFFFF, -1, 15, -1, 0}},
    {UI_ERROR, {0xFFFFFF, 0xC00000, 15, 1, BOLD}},
    {UI_HEAT0, {0x787878, -1, 7, -1, 0}}, {UI_HEAT1, {0x888888, -1, 7, -1, 0}},
    {UI_HEAT2, {0x989898, -1, 7, -1, 0}}, {UI_HEAT3, {0xAAAAAA, -1, 15, -1, 0}},
    {UI_HEAT4, {0xBCBCBC, -1, 15, -1, 0}}, {UI_HEAT5, {0xD0D0D0, -1, 15, -1, 0}},
    {UI_HEAT6, {0xE4E4B0, -1, 11, -1, 0}}, {UI_HEAT7, {0xF2F290, -1, 11, -1, 0}},
    {UI_HEAT8, {0xFFFF60, -1, 11, -1, BOLD}}, {UI_HEAT9, {0xFFFFFF, -1, 15, -1, BOLD}},
};

/* Colours that stay apart for colour-blind eyes: blue to yellow, none told by red and green. */
static const change safe[] = {
    {UI_ACCENT, {0x56B4E9, -1, 14, -1, BOLD}},
    {UI_TAB, {0x101418, 0x56B4E9, 0, 6, BOLD}},
    {UI_WARN, {0xE69F00, -1, 3, -1, BOLD}},
    {UI_ERROR, {0xF0E442, 0x6B2A00, 11, -1, BOLD | LINE}},
    {UI_GOOD, {0x56B4E9, -1, 14, -1, 0}},
    {UI_HEAT0, {0x3A5288, -1, 4, -1, 0}}, {UI_HEAT1, {0x485C85, -1, 4, -1, 0}},
    {UI_HEAT2, {0x57687F, -1, 4, -1, 0}}, {UI_HEAT3, {0x69757B, -1, 6, -1, 0}},
    {UI_HEAT4, {0x7C8279, -1, 6, -1, 0}}, {UI_HEAT5, {0x959276, -1, 6, -1, 0}},
    {UI_HEAT6, {0xB0A56F, -1, 7, -1, 0}}, {UI_HEAT7, {0xCCBA62, -1, 7, -1, 0}},
    {UI_HEAT8, {0xE6D150, -1, 11, -1, 0}}, {UI_HEAT9, {0xFEE838, -1, 11, -1, 0}},
    {UI_BAR, {0x56B4E9, -1, 14, -1, 0}},
    {UI_SERIES0, {0x56B4E9, -1, 14, -1, 0}}, {UI_SERIES1, {0xE69F00, -1, 3, -1, 0}},
    {UI_SERIES2, {0xF0E442, -1, 11, -1, 0}}, {UI_SERIES3, {0xCC79A7, -1, 13, -1, 0}},
    {UI_SLOP, {0xE69F00, -1, 3, -1, LINE}},
    {UI_REPEAT, {0xCC79A7, -1, 13, -1, BOLD}},
    {UI_SURPRISE1, {-1, 0x1E3044, 6, -1, 0}},
    {UI_SURPRISE2, {-1, 0x22466B, 14, -1, 0}},
    {UI_SURPRISE4, {0xFFFFFF, 0x2A62A0, 15, 4, 0}},
};

static const struct {
    const char *name, *help;
    const paint *base;
    const change *changes;
    int n_changes;
    int32_t bg; /* of every role that has none; -1: the terminal's own */
} themes[UI_N_THEMES] = {
    [UI_THEME_DARK] = {"dark", "for dark terminals", dark, NULL, 0, -1},
    [UI_THEME_LIGHT] = {"light", "for light terminals", light, NULL, 0, -1},
    [UI_THEME_CONTRAST] = {"contrast", "strong colours on black", dark, contrast,
                           sizeof contrast / sizeof *contrast, 0x000000},
    [UI_THEME_SAFE] = {"safe", "for colour-blind eyes", dark, safe, sizeof safe / sizeof *safe, -1},
    [UI_THEME_MONO] = {"mono", "no colour, attributes only", dark, NULL, 0, -1},
};
// clang-format on

static paint paint_of(ui_theme theme, ui_role role)
{
    paint p = themes[theme].base[role];
    for (int i = 0; i < themes[theme].n_changes; i++)
        if (themes[theme].changes[i].role == role) p = themes[theme].changes[i].look;
    if (themes[theme].bg >= 0) {
        if (p.bg < 0) p.bg = themes[theme].bg, p.bg16 = 0;
        if (p.fg < 0) p.fg = 0xFFFFFF, p.fg16 = 15;
    }
    return p;
}

static int distance(uint32_t a, int r, int g, int b)
{
    int dr = (int)(a >> 16 & 255) - r, dg = (int)(a >> 8 & 255) - g,
        db = (int)(a & 255) - b;
    return 3 * dr * dr + 4 * dg * dg + 2 * db * db;
}

int ui_colour_256(uint32_t rgb)
{
    static const int level[6] = {0, 95, 135, 175, 215, 255};
    int best = 16, least = distance(rgb, 0, 0, 0);
    for (int i = 1; i < 216; i++) {
        int d = distance(rgb, level[i / 36], level[i / 6 % 6], level[i % 6]);
        if (d < least) least = d, best = 16 + i;
    }
    for (int i = 0; i < 24; i++) {
        int grey = 8 + 10 * i, d = distance(rgb, grey, grey, grey);
        if (d < least) least = d, best = 232 + i;
    }
    return best;
}

int ui_colour_16(uint32_t rgb)
{
    int best = 0, least = 1 << 30;
    for (int i = 0; i < 16; i++) {
        int on = i < 8 ? 170 : 255, off = i < 8 ? 0 : 85;
        int d = distance(rgb, i & 1 ? on : off, i & 2 ? on : off, i & 4 ? on : off);
        if (d < least) least = d, best = i;
    }
    return best;
}

/* Eight colours: a bright one is its plain one in bold; bright black, which would be black on
 * black, is the terminal's own colour, dimmed. */
static ui_look look_8(paint p)
{
    ui_look look = {p.fg16, p.bg16 < 0 ? -1 : p.bg16 & 7, p.attrs};
    if (look.fg == 8) {
        look.fg = -1;
        look.attrs |= UI_ATTR_DIM;
    } else if (look.fg > 8) {
        look.fg &= 7;
        look.attrs |= UI_ATTR_BOLD;
    } else if (look.fg == 0) {
        look.attrs &= (uint8_t)~UI_ATTR_BOLD; /* else it would be drawn as grey */
    }
    return look;
}

ui_look ui_theme_look(ui_theme theme, ui_depth depth, ui_role role)
{
    if ((unsigned)theme >= UI_N_THEMES) theme = UI_THEME_DARK;
    if ((unsigned)role >= UI_N_ROLES) role = UI_TEXT;
    if (theme == UI_THEME_MONO || depth == UI_DEPTH_MONO)
        return (ui_look){-1, -1, mono[role]};
    paint p = paint_of(theme, role);
    switch (depth) {
    case UI_DEPTH_TRUE:
        return (ui_look){p.fg, p.bg, p.attrs};
    case UI_DEPTH_256:
        return (ui_look){p.fg < 0 ? -1 : ui_colour_256((uint32_t)p.fg),
                         p.bg < 0 ? -1 : ui_colour_256((uint32_t)p.bg), p.attrs};
    case UI_DEPTH_16:
        return (ui_look){p.fg16, p.bg16, p.attrs};
    default:
        return look_8(p);
    }
}

const char *ui_theme_name(ui_theme theme)
{
    return (unsigned)theme < UI_N_THEMES ? themes[theme].name : "";
}

const char *ui_theme_help(ui_theme theme)
{
    return (unsigned)theme < UI_N_THEMES ? themes[theme].help : "";
}

bool ui_theme_named(const char *name, ui_theme *theme)
{
    for (int i = 0; i < UI_N_THEMES; i++)
        if (name && strcmp(themes[i].name, name) == 0) {
            *theme = (ui_theme)i;
            return true;
        }
    return false;
}
