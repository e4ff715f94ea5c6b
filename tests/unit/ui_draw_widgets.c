#include "tests/t.h"

#include "tui/draw/plot.h"
#include "tui/draw/widgets.h"
#include "tui/draw/wrap.h"

static const ui_glyph_level levels[] = {UI_GLYPHS_ASCII, UI_GLYPHS_BLOCK,
                                        UI_GLYPHS_BRAILLE};

static char *shot(const ui_grid *g)
{
    static char out[1 << 16];
    rs_buf b = {0};
    ui_grid_dump(g, false, &b);
    snprintf(out, sizeof out, "%s", rs_buf_str(&b));
    rs_buf_free(&b);
    return out;
}

static const char *slider(double v, int w, ui_glyph_level level)
{
    ui_grid g = {.glyphs = level};
    ui_grid_resize(&g, w, 1);
    ui_draw_slider(&g, 0, 0, w, v, 0, 1.5, UI_EDIT);
    char *s = shot(&g);
    ui_grid_free(&g);
    s[strcspn(s, "\n")] = 0;
    return s;
}

static void sliders_as_drawn(void)
{
    const ui_glyph_level u = UI_GLYPHS_BRAILLE, a = UI_GLYPHS_ASCII;
    T_STR(slider(0.930, 9, u), "━━━━━●┼──");
    T_STR(slider(1.000, 9, u), "━━━━━━●──");
    T_STR(slider(0.500, 9, u), "━━━●──┼──");
    T_STR(slider(0.930, 17, u), "━━━━━━━━━━●┼─────");
    T_STR(slider(0.856, 17, u), "━━━━━━━━━●─┼─────");
    T_STR(slider(0.988, 17, u), "━━━━━━━━━━━●─────");
    T_STR(slider(0.500, 14, u), "━━━━●────┼────");
    T_STR(slider(0.750, 14, u), "━━━━━━━●─┼────");
    T_STR(slider(0.000, 14, u), "●────────┼────");
    T_STR(slider(1.500, 9, u), "━━━━━━━━●");
    T_STR(slider(-1, 9, u), "«─────┼──");
    T_STR(slider(3, 9, u), "━━━━━━━━»");
    T_STR(slider(NAN, 9, u), "──────┼──");
    T_STR(slider(0.930, 9, a), "=====O|--");
    T_STR(slider(0.500, 9, a), "===O--|--");
    T_STR(slider(-1, 9, a), "<-----|--");
}

/* The value under a column puts the knob into that column. */
static void slider_and_mouse_agree(void)
{
    for (int w = 2; w < 40; w++)
        for (int cell = 0; cell < w; cell++) {
            ui_grid g = {.glyphs = UI_GLYPHS_ASCII};
            ui_grid_resize(&g, w, 1);
            ui_draw_slider(&g, 0, 0, w, ui_slider_value(cell, w, 0, 1.5), 0, 1.5,
                           UI_EDIT);
            T_EQ(ui_grid_at(&g, cell, 0)->cp[0], 'O');
            ui_grid_free(&g);
        }
    T_NEAR(ui_slider_value(-5, 9, 0, 1.5), 0.08333333333333333, 1e-12, 0);
    T_NEAR(ui_slider_value(50, 9, 0, 1.5), 1.5, 0, 0);
}

static void bars_and_sparks(void)
{
    static const double damage[] = {.728, .548, .614, 1.011, 1.038, .260, .981, .818};
    ui_grid g = {.glyphs = UI_GLYPHS_BRAILLE};
    ui_grid_resize(&g, 40, 3);
    T_EQ(ui_draw_spark(&g, 0, 0, 20, damage, 8, 1.038, UI_BAR), 8);
    ui_draw_gauge(&g, 10, 0, 12, 5.997 / 6, UI_BAR);
    ui_draw_gauge(&g, 0, 1, 20, 0.63, UI_BAR);
    ui_draw_bar(&g, 0, 2, 20, 0.728, UI_BAR);
    T_STR(shot(&g), "▆▅▅██▃█▇  ▕█████████▉▏\n▕███████████▎      ▏\n██████████████▌\n");
    g.glyphs = UI_GLYPHS_ASCII;
    ui_grid_clear(&g);
    ui_draw_spark(&g, 0, 0, 20, damage, 8, 1.038, UI_BAR);
    ui_draw_gauge(&g, 10, 0, 12, 5.997 / 6, UI_BAR);
    T_STR(shot(&g), "75599297  [##########]\n\n\n");
    ui_grid_clear(&g);
    T_EQ(ui_draw_spark(&g, 0, 0, 4, damage, 8, 1.038, UI_BAR),
         4); /* largest of each pair */
    T_STR(shot(&g), "7999\n\n\n");
    ui_grid_free(&g);
}

static void heat_levels(void)
{
    T_EQ(ui_heat_level(0, 0.001, 1, false), 0);
    T_EQ(ui_heat_level(0.001, 0.001, 1, false), 0);
    T_EQ(ui_heat_level(1, 0.001, 1, false), 9);
    T_EQ(ui_heat_level(0.0316, 0.001, 1, false), 4);
    T_EQ(ui_heat_level(0.5, 0.001, 1, true), 5);
    T_EQ(ui_heat_level(NAN, 0.001, 1, true), -1);
    T_EQ(ui_heat_level(5, 1, 1, false), 9);
    T_EQ(ui_heat_level(-1, 0.001, 1, false), 0);
    T_EQ(ui_heat_level(INFINITY, 0.001, 1, false), 9);
    T_EQ(ui_heat_level(1, NAN, NAN, false), 0);
}

static void frames(void)
{
    ui_grid g = {.glyphs = UI_GLYPHS_BRAILLE};
    ui_grid_resize(&g, 24, 5);
    ui_draw_title(&g, 0, 0, 24, "preview s03", false);
    ui_rect in = ui_draw_popup(&g, (ui_rect){2, 1, 12, 3}, "tour");
    T_TRUE(in.x == 4 && in.y == 2 && in.w == 8 && in.h == 1);
    ui_put(&g, in.x, in.y, in.w, UI_TEXT, "12345678");
    T_STR(shot(&g),
          "─ preview s03 ──────────\n  ┌─ tour ───┐\n  │ 12345678 │\n  └──────────┘\n\n");
    ui_grid_clear(&g);
    g.mono = true;
    ui_draw_title(&g, 0, 0, 12, "a long title", true);
    ui_draw_extent(&g, 0, 1, 21, 5, 23, 42);
    for (int y = 0; y < 5; y++)
        ui_put(&g, 23, y, 1, UI_TEXT, ".");
    ui_draw_scrollbar(&g, 23, 0, 5, 10, 10, 30);
    T_STR(shot(&g),
          "─»a long … ─           │\n  └──────────┘         █\n                       █\n"
          "                       █\n                       │\n");
    ui_grid_free(&g);
}

static void hints(void)
{
    const char *items = "h/l ±0.05  = + * exact  Space mark  c curve";
    ui_grid g = {.glyphs = UI_GLYPHS_BRAILLE};
    ui_grid_resize(&g, 40, 1);
    T_EQ(ui_draw_hints(&g, 1, 0, 36, items), 34); /* cut at a whole item */
    T_STR(shot(&g), " h/l ±0.05  = + * exact  Space mark\n");
    T_EQ(ui_hint_at(items, 36, 0), 0);
    T_EQ(ui_hint_at(items, 36, 9), -1);
    T_EQ(strncmp(items + ui_hint_at(items, 36, 12), "= +", 3), 0);
    T_EQ(strncmp(items + ui_hint_at(items, 36, 24), "Space", 5), 0);
    T_EQ(ui_hint_at(items, 36, 38), -1);
    ui_grid_free(&g);
}

static void columns_and_alignment(void)
{
    ui_col cols[] = {{"name", 8, 'l', 0}, {"nat", 6, 'r', 0}};
    ui_grid g = {.glyphs = UI_GLYPHS_BRAILLE};
    ui_grid_resize(&g, 24, 3);
    T_EQ(ui_cols_layout(cols, 2, 1, 2), 17);
    ui_cols_heads(&g, 0, cols, 2);
    ui_put_col(&g, 1, &cols[0], UI_TEXT, "luchador-miniature");
    ui_put_col(&g, 1, &cols[1], UI_TEXT, "0.02");
    ui_put_centre(&g, 0, 2, 9, UI_TEXT, "abc");
    T_STR(shot(&g), " name         nat\n luchado…    0.02\n   abc\n");
    ui_rect c = ui_centre((ui_rect){0, 2, 80, 20}, 40, 30);
    T_TRUE(c.x == 20 && c.y == 2 && c.w == 40 && c.h == 20);
    ui_grid_free(&g);
}

/* --- plots --- */

static void fill_plot(ui_plot *p, double *x, double *y, int n)
{
    for (int i = 0; i < n; i++) {
        x[i] = 0.03 * i / (n - 1);
        y[i] = 100 * (1 - exp(-x[i] * 80));
    }
    *p = (ui_plot){.x = {.min = 0, .max = 0.03, .unit = "nat"},
                   .y = {.min = 0, .max = 100, .unit = "%"}};
    p->series[0] = (ui_series){x, y, n, UI_SERIES0, false};
    p->n_series = 1;
    p->rule[0] = (ui_rule){0.006, false};
    p->n_rules = 1;
    p->has_point = true;
    p->point_x = 0.006;
    p->point_y = 55;
    p->point_text = "now";
    ui_axis_ticks(&p->x, 4);
    ui_axis_ticks(&p->y, 3);
}

static void ticks(void)
{
    ui_axis a = {.min = 0, .max = 0.03};
    ui_axis_ticks(&a, 4);
    T_EQ(a.n_ticks, 4);
    T_NEAR(a.tick[3], 0.03, 1e-15, 0);
    a = (ui_axis){.min = 0.001, .max = 100, .log = true};
    ui_axis_ticks(&a, 8);
    T_EQ(a.n_ticks, 6);
    T_NEAR(a.tick[5], 100, 1e-9, 0);
    a = (ui_axis){.min = 1e-12, .max = 1e12, .log = true};
    ui_axis_ticks(&a, 5);
    T_TRUE(a.n_ticks >= 2 && a.n_ticks <= 5);
    a = (ui_axis){.min = 3, .max = 3};
    ui_axis_ticks(&a, 5);
    T_EQ(a.n_ticks, 0);
    a = (ui_axis){.min = NAN, .max = 1};
    ui_axis_ticks(&a, 5);
    T_EQ(a.n_ticks, 0);
    for (int n = 3; n <= 8; n++)
        for (double max = 1e-7; max < 1e8; max *= 3.7) {
            a = (ui_axis){.min = 0, .max = max};
            ui_axis_ticks(&a, n);
            T_TRUE(a.n_ticks >= 2 && a.n_ticks <= n);
            T_TRUE(a.tick[a.n_ticks - 1] <= max * (1 + 1e-9));
        }
}

static void plot_in_ascii(void)
{
    static const double x[] = {0, 1, 2, 3}, y[] = {0, 1, 2, 3};
    ui_plot p = {.x = {.min = 0, .max = 3, .tick = {0, 3}, .n_ticks = 2},
                 .y = {.min = 0, .max = 3, .tick = {0, 3}, .n_ticks = 2}};
    ui_grid g = {.glyphs = UI_GLYPHS_ASCII};
    p.series[0] = (ui_series){x, y, 4, UI_SERIES0, false};
    p.n_series = 1;
    ui_grid_resize(&g, 8, 6);
    ui_draw_plot(&g, (ui_rect){0, 0, 6, 5}, &p);
    T_STR(shot(&g), "3+   *\n |  *\n | *\n0+*\n  0  3\n\n");
    g.glyphs = UI_GLYPHS_BRAILLE;
    ui_draw_plot(&g, (ui_rect){0, 0, 6, 5}, &p);
    T_STR(shot(&g), "3┤  ⢀⡜\n │  ⡜\n │ ⡜\n0┤⡜\n  0  3\n\n");
    ui_grid_free(&g);
}

static void plot_columns_and_back(void)
{
    double x[50], y[50];
    ui_plot p;
    fill_plot(&p, x, y, 50);
    ui_rect r = {3, 2, 44, 9};
    for (int c = 0; c < 40; c++)
        T_EQ(ui_plot_column(r, &p, ui_plot_value(r, &p, c)), c);
    T_EQ(ui_plot_column(r, &p, 0.04), -1);
    T_EQ(ui_plot_column(r, &p, NAN), -1);
    p.x = (ui_axis){.min = 0.001, .max = 100, .log = true};
    for (int c = 0; c < 40; c++)
        T_EQ(ui_plot_column(r, &p, ui_plot_value(r, &p, c)), c);
    T_EQ(ui_plot_column(r, &p, 0), -1);
}

/* Points far outside must neither hang nor draw outside their area. */
static void hostile_series(void)
{
    static const double x[] = {0, 1e300, -1e300, NAN, 1, INFINITY, 0.5, 0.5, 0.2},
                        y[] = {1e300, -1e300, 5, 1, NAN, 0.1, 0, 1e18, 0.4};
    ui_plot p = {.x = {.min = 0, .max = 1}, .y = {.min = 0, .max = 1}};
    p.series[0] = (ui_series){x, y, 9, UI_SERIES0, false};
    p.series[1] = (ui_series){x, y, 9, UI_SERIES1, true};
    p.n_series = 2;
    for (int level = 0; level < 3; level++) {
        ui_grid g = {.glyphs = levels[level]};
        ui_grid_resize(&g, 20, 10);
        ui_draw_plot(&g, (ui_rect){4, 2, 10, 5}, &p);
        for (int i = 0; i < 200; i++) {
            int cx = i % 20, cy = i / 20;
            bool inside = cx >= 4 && cx < 14 && cy >= 2 && cy < 7;
            if (!inside) T_EQ(ui_grid_at(&g, cx, cy)->cp[0], ' ');
        }
        ui_grid_free(&g);
    }
}

static void four_series_differ_without_colour(void)
{
    static const double x[] = {0, 1};
    static const double y[4][2] = {{.1, .1}, {.4, .4}, {.7, .7}, {.95, .95}};
    ui_plot p = {.x = {.min = 0, .max = 1}, .y = {.min = 0, .max = 1}};
    for (int i = 0; i < 4; i++)
        p.series[i] = (ui_series){x, y[i], 2, (ui_role)(UI_SERIES0 + i), false};
    p.n_series = 4;
    ui_grid g = {.glyphs = UI_GLYPHS_BRAILLE, .mono = true};
    ui_grid_resize(&g, 30, 10);
    ui_draw_plot(&g, (ui_rect){0, 0, 30, 10}, &p);
    int n[4] = {0};
    for (int i = 0; i < 300; i++) {
        ui_cell *c = &g.cells[i];
        if (c->cp[0] >= 0x2800 && c->cp[0] <= 0x28FF) n[c->role - UI_SERIES0]++;
    }
    T_EQ(n[0], 29); /* a whole line has every cell */
    T_TRUE(n[1] > 5 && n[2] > 5 && n[3] > 5);
    ui_grid_free(&g);
}

/* --- every piece at every place and size: clips, and is pure ASCII at the ASCII level --- */

static void draw_all(ui_grid *g, ui_rect r)
{
    static const double v[] = {0.2, NAN, 0.9, 1.5, -1, INFINITY, 0};
    double x[20], y[20];
    ui_plot p;
    ui_axis axis = {.min = 0.001, .max = 100, .log = true, .unit = "F"};
    fill_plot(&p, x, y, 20);
    ui_axis_ticks(&axis, 6);
    p.frame = r.w % 2 == 0;
    for (int i = 0; i < 7; i++) {
        ui_draw_slider(g, r.x, r.y, r.w, v[i], 0, 1.5, UI_EDIT);
        ui_draw_bar(g, r.x, r.y, r.w, v[i], UI_BAR);
        ui_draw_gauge(g, r.x, r.y, r.w, v[i], UI_BAR);
        ui_draw_heat(g, r.x, r.y, r.w, i * 2 - 1, (ui_heat_style)(i % 4));
    }
    ui_draw_spark(g, r.x, r.y, r.w, v, 7, 1, UI_BAR);
    ui_draw_title(g, r.x, r.y, r.w, "“title” é 漢字", r.h % 2 == 0);
    ui_draw_popup(g, r, "popup — 漢字");
    if (r.w > 0) ui_draw_scrollbar(g, r.x, r.y, r.h, 3, r.h, 40);
    ui_draw_extent(g, r.x, r.y, r.w, 3, 5, 40);
    ui_put_right(g, r.x, r.y, r.w, UI_TEXT, "right 漢字");
    ui_put_centre(g, r.x, r.y, r.w, UI_TEXT, "centre 漢字");
    ui_draw_hints(g, r.x, r.y, r.w, "h/l ±0.05  x y");
    ui_draw_gutter(g, r.x, r.y, r.w > 3 ? 3 : r.w, 15);
    ui_draw_histogram(g, r, v, 7, r.h % 3 ? &axis : NULL, p.rule, 1);
    ui_draw_plot(g, r, &p);
}

static bool is_pure(const ui_grid *g)
{
    for (int i = 0; i < g->width * g->height; i++)
        if (g->cells[i].cp[0] > 127 || g->cells[i].cp[1]) return false;
    return true;
}

/* No cell outside the rectangle may change. */
static bool stays_inside(const ui_grid *g, ui_rect r)
{
    for (int y = 0; y < g->height; y++)
        for (int x = 0; x < g->width; x++) {
            bool inside =
                x >= r.x && x < r.x + r.w && y >= r.y && y < r.y + (r.h > 1 ? r.h : 1);
            if (!inside && g->cells[y * g->width + x].cp[0] != '.') return false;
        }
    return true;
}

static void every_size_and_place(void)
{
    ui_grid g = {0};
    ui_grid_resize(&g, 26, 14);
    for (int level = 0; level < 3; level++)
        for (int w = 0; w <= 30; w++)
            for (int h = 0; h <= 16; h++)
                for (int at = -3; at <= 9; at += 4) {
                    ui_rect r = {at, at / 2, w, h};
                    g.glyphs = levels[level];
                    ui_fill(&g, (ui_rect){0, 0, 26, 14}, UI_TEXT, ".");
                    draw_all(&g, r);
                    if (level == 0) T_TRUE(is_pure(&g));
                    if (!stays_inside(&g, r)) T_FAIL("outside of %dx%d at %d", w, h, at);
                }
    ui_grid_free(&g);
}

T_MAIN(T_TEST(sliders_as_drawn), T_TEST(slider_and_mouse_agree), T_TEST(bars_and_sparks),
       T_TEST(heat_levels), T_TEST(frames), T_TEST(hints), T_TEST(columns_and_alignment),
       T_TEST(ticks), T_TEST(plot_in_ascii), T_TEST(plot_columns_and_back),
       T_TEST(hostile_series), T_TEST(four_series_differ_without_colour),
       T_TEST(every_size_and_place))
