#include "tests/t.h"

#include "tui/draw/numbers.h"

static const ui_glyph_level A = UI_GLYPHS_ASCII, U = UI_GLYPHS_BRAILLE;

static int columns(ui_num n)
{
    return ui_text_width(n.s, strlen(n.s));
}

static void formats_of_the_table(void)
{
    T_STR(ui_num_gain(U, 0.93).s, "0.930");
    T_STR(ui_num_gain(U, 12.5).s, "12.50");
    T_STR(ui_num_gain(U, -0.5).s, "-0.50");
    T_STR(ui_num_mean_d(U, 0.724).s, "0.72");
    T_STR(ui_num_mnat(U, 0.001038).s, " 1.038");
    T_STR(ui_num_nat(U, 0.0211).s, "0.0211");
    T_STR(ui_num_nat(U, 25.835).s, "25.835");
    T_STR(ui_num_norm(U, 0.0121).s, " 1.21");
    T_STR(ui_num_theta(U, 24.67, false).s, "24.67°");
    T_STR(ui_num_theta(A, 24.67, false).s, "24.67d");
    T_STR(ui_num_theta(U, 2.42, true).s, " 2.42=");
    T_STR(ui_num_coef(U, 0.85007).s, "0.85007");
    T_STR(ui_num_share(U, 0.51).s, " 51 %");
    T_STR(ui_num_share_narrow(U, 0.99).s, " 99%");
    T_STR(ui_num_share_narrow(U, 1).s, "100%");
}

static void unknown_and_too_large(void)
{
    T_STR(ui_num_gain(U, NAN).s, "    —");
    T_STR(ui_num_gain(A, NAN).s, "    -");
    T_STR(ui_num_share(U, NAN).s, "    —");
    T_STR(ui_num_mnat(U, 1234.567).s, " >9999");
    T_STR(ui_num_nat(U, 123456789).s, " >9999");
    T_STR(ui_num_mean_d(U, 1e6).s, ">999");
    T_STR(ui_num_nat(U, INFINITY).s, " >9999");
    T_STR(ui_num_nat(U, -1e9).s, " <-999");
}

static void widths_never_change(void)
{
    static const double values[] = {0,      -0.0,   1e-9,  0.4999, 0.5,   0.99999,
                                    1,      9.9999, 10,    99.999, 123.4, 999.9,
                                    9999.9, 1e5,    1e12,  1e300,  -1e-9, -0.5,
                                    -10,    -99.9,  -1234, -1e300, 1e-300};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        for (int l = 0; l < 3; l++) {
            ui_glyph_level level = (ui_glyph_level)l;
            double v = values[i];
            T_EQ(columns(ui_num_gain(level, v)), 5);
            T_EQ(columns(ui_num_mean_d(level, v)), 4);
            T_EQ(columns(ui_num_mnat(level, v)), 6);
            T_EQ(columns(ui_num_nat(level, v)), 6);
            T_EQ(columns(ui_num_norm(level, v)), 5);
            T_EQ(columns(ui_num_theta(level, v, i % 2 == 0)), 6);
            T_EQ(columns(ui_num_coef(level, v)), 7);
            T_EQ(columns(ui_num_share(level, v)), 5);
            T_EQ(columns(ui_num_share_narrow(level, v)), 4);
            for (int w = 1; w <= 12; w++)
                T_EQ(columns(ui_num_fixed(level, v, w, 3)), w);
        }
}

static void no_minus_zero(void)
{
    T_STR(ui_num_gain(U, -0.0001).s, "0.000");
    T_STR(ui_num_diff(U, -0.04, 1).s, "0.0");
    T_STR(ui_num_diff(U, 0.04, 1).s, "0.0");
    T_STR(ui_num_diff(U, 5.6, 1).s, "+5.6");
    T_STR(ui_num_diff(U, -0.0038, 4).s, "-0.0038");
}

static void intervals(void)
{
    T_STR(ui_num_interval(U, 3.7, 7.5, 1).s, "[3.7, 7.5]");
    T_STR(ui_num_range(U, 46, 72).s, "[46-72]");
    T_STR(ui_num_pm(U, 5.6, 1.9, 1).s, "+5.6±1.9");
    T_STR(ui_num_pm(A, 5.6, 1.9, 1).s, "+5.6+-1.9");
}

static void counts_and_sizes(void)
{
    T_STR(ui_num_count(U, 552960).s, "552\u2009960");
    T_STR(ui_num_count(A, 552960).s, "552 960");
    T_STR(ui_num_count(A, 4096).s, "4 096");
    T_STR(ui_num_count(A, 12).s, "12");
    T_STR(ui_num_count(A, -1234567).s, "-1 234 567");
    T_STR(ui_num_count(A, INT64_MIN).s, "-9 223 372 036 854 775 808");
    T_STR(ui_num_short(A, 5208576).s, "5.21 M");
    T_STR(ui_num_short(A, 480000).s, "0.48 M");
    T_STR(ui_num_short(A, 29184).s, "29 184");
    T_STR(ui_num_short(A, 16e9).s, "16.0 G");
    T_STR(ui_num_size(U, 10431768).s, "10.4 MB");
    T_STR(ui_num_size(U, 512).s, "512 B");
    T_STR(ui_num_size(U, 999999).s, "1.0 MB");
    T_STR(ui_num_memory(U, 2.1 * 1073741824).s, "2.1 GiB");
    T_STR(ui_num_byte_rate(U, 4.1e6).s, "4.1 MB/s");
    T_STR(ui_num_rate(U, 61, "tok/s").s, "61 tok/s");
    T_STR(ui_num_rate(U, 6.2, "tok/s").s, "6.2 tok/s");
    T_STR(ui_num_rate(U, 9.97, "tok/s").s, "10 tok/s");
}

static void times(void)
{
    setenv("TZ", "UTC", 1);
    T_STR(ui_num_time(U, 1).s, "0:01");
    T_STR(ui_num_time(U, 66.4).s, "1:06");
    T_STR(ui_num_time(U, 3723).s, "1:02:03");
    T_STR(ui_num_time(U, 3599.6).s, "1:00:00");
    T_STR(ui_num_time(U, -1).s, "—");
    T_STR(ui_num_time(U, NAN).s, "—");
    double day = 1700000000; /* 14 November 2023, 22:13 */
    T_STR(ui_num_clock(U, day, day + 60).s, "22:13");
    T_STR(ui_num_clock(U, day - 86400, day).s, "13 Nov");
    T_STR(ui_num_clock(U, day - 400 * 86400.0, day).s, "2022-10-10");
    T_STR(ui_num_clock(U, NAN, day).s, "—");
}

static void hashes(void)
{
    T_STR(ui_num_hash(U, "9c41aabbccddeeff00112233445566e2").s, "9c41…e2");
    T_STR(ui_num_hash(A, "9c41aabbccddeeff00112233445566e2").s, "9c41..e2");
    T_STR(ui_num_hash(A, "9c41").s, "9c41");
    T_STR(ui_num_hash(U, NULL).s, "—");
}

static void state_cells(void)
{
    ui_grid g = {.glyphs = UI_GLYPHS_BRAILLE};
    rs_buf b = {0};
    ui_grid_resize(&g, 30, 1);
    int x = ui_put_number(&g, 0, 0, UI_TEXT, UI_EXACT, "1.000");
    x += ui_put_number(&g, x, 0, UI_TEXT, UI_OLD, "1.000");
    x += ui_put_number(&g, x, 0, UI_TEXT, UI_MIXED, "1.000");
    x += ui_put_number(&g, x, 0, UI_TEXT, UI_OUTSIDE, "1.000");
    T_EQ(x, 24);
    ui_grid_dump(&g, true, &b);
    T_STR(rs_buf_str(&b), " 1.000~1.000±1.000!1.000\nroles\ntttttt~~~~~~dtttttwttttt\n");
    rs_buf_free(&b);
    ui_grid_free(&g);
}

T_MAIN(T_TEST(formats_of_the_table), T_TEST(unknown_and_too_large),
       T_TEST(widths_never_change), T_TEST(no_minus_zero), T_TEST(intervals),
       T_TEST(counts_and_sizes), T_TEST(times), T_TEST(hashes), T_TEST(state_cells))
