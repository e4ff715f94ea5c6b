#include "tests/t.h"

#include "tui/draw/theme.h"

static void names(void)
{
    static const char *const known[] = {"dark", "light", "contrast", "safe", "mono"};
    ui_theme t;
    for (int i = 0; i < UI_N_THEMES; i++) {
        T_STR(ui_theme_name((ui_theme)i), known[i]);
        T_TRUE(*ui_theme_help((ui_theme)i));
        T_TRUE(ui_theme_named(known[i], &t) && (int)t == i);
    }
    T_TRUE(!ui_theme_named("pink", &t) && !ui_theme_named(NULL, &t));
}

/* Every look is within what the depth can show. */
static void looks_are_in_range(void)
{
    static const int most[] = {-1, 7, 15, 255, 0xFFFFFF};
    for (int t = 0; t < UI_N_THEMES; t++)
        for (int d = 0; d <= UI_DEPTH_TRUE; d++)
            for (int r = 0; r < UI_N_ROLES; r++) {
                ui_look l = ui_theme_look((ui_theme)t, (ui_depth)d, (ui_role)r);
                T_TRUE(l.fg >= -1 && l.fg <= most[d]);
                T_TRUE(l.bg >= -1 && l.bg <= most[d]);
                T_TRUE(l.fg < 0 || l.fg != l.bg);
                T_TRUE(l.attrs < 16);
            }
}

/* screens.md 1.5: what stands in for colour. */
static void mono_attributes(void)
{
    static const struct {
        ui_role role;
        int attrs;
    } want[] = {{UI_TEXT, 0},
                {UI_DIM, UI_ATTR_DIM},
                {UI_ACCENT, UI_ATTR_BOLD},
                {UI_HEAD, UI_ATTR_UNDERLINE},
                {UI_TAB, UI_ATTR_REVERSE},
                {UI_CURSOR, UI_ATTR_BOLD},
                {UI_EDIT, UI_ATTR_REVERSE},
                {UI_KEY, UI_ATTR_BOLD},
                {UI_STALE, UI_ATTR_DIM},
                {UI_ERROR, UI_ATTR_BOLD},
                {UI_SLOP, UI_ATTR_UNDERLINE},
                {UI_REPEAT, UI_ATTR_BOLD},
                {UI_CONTRAST, UI_ATTR_REVERSE},
                {UI_DIVERGE, UI_ATTR_BOLD},
                {UI_HEAT5, 0}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        for (int d = 0; d <= UI_DEPTH_TRUE; d++) {
            ui_theme theme = d == 0 ? UI_THEME_DARK : UI_THEME_MONO;
            ui_look l = ui_theme_look(theme, (ui_depth)d, want[i].role);
            T_EQ(l.attrs, want[i].attrs);
            T_TRUE(l.fg == -1 && l.bg == -1);
        }
}

static int luminance(int32_t rgb)
{
    return 30 * (rgb >> 16 & 255) + 59 * (rgb >> 8 & 255) + 11 * (rgb & 255);
}

/* Ten levels, each one brighter (or, on light, darker) than the one before. */
static void heat_goes_one_way(void)
{
    for (int t = 0; t < UI_THEME_MONO; t++)
        for (int r = UI_HEAT1; r <= UI_HEAT9; r++) {
            int before =
                luminance(ui_theme_look((ui_theme)t, UI_DEPTH_TRUE, (ui_role)(r - 1)).fg);
            int here =
                luminance(ui_theme_look((ui_theme)t, UI_DEPTH_TRUE, (ui_role)r).fg);
            bool light = t == UI_THEME_LIGHT;
            if (light ? here >= before : here < before - 300)
                T_FAIL("theme %d, level %d", t, r - UI_HEAT0);
        }
}

static void contrast_fills_the_background(void)
{
    for (int r = 0; r < UI_N_ROLES; r++)
        T_TRUE(ui_theme_look(UI_THEME_CONTRAST, UI_DEPTH_TRUE, (ui_role)r).bg >= 0);
}

static void quantising(void)
{
    T_EQ(ui_colour_256(0x000000), 16);
    T_EQ(ui_colour_256(0xFFFFFF), 231);
    T_EQ(ui_colour_256(0xFF0000), 196);
    T_EQ(ui_colour_256(0x808080), 244);
    T_EQ(ui_colour_16(0xFF5555), 9);
    T_EQ(ui_colour_16(0x0000AA), 4);
}

T_MAIN(T_TEST(names), T_TEST(looks_are_in_range), T_TEST(mono_attributes),
       T_TEST(heat_goes_one_way), T_TEST(contrast_fills_the_background),
       T_TEST(quantising))
