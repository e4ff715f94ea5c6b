#include "tui/draw/numbers.h"

#include "tui/draw/glyphs.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

__attribute__((format(printf, 1, 2))) static ui_num num(const char *fmt, ...)
{
    ui_num out;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(out.s, sizeof out.s, fmt, ap);
    va_end(ap);
    return out;
}

/* text right-aligned in `width` columns, then `after`. */
static ui_num padded(const char *text, int width, const char *after)
{
    int pad = width - ui_text_width(text, strlen(text));
    return num("%*s%s%s", pad > 0 ? pad : 0, "", text, after);
}

static ui_num unknown(ui_glyph_level l, int width)
{
    return padded(ui_glyph_at(l, UI_G_UNKNOWN), width, "");
}

/* "-0.00" is 0.00. */
static void drop_minus_zero(char *s)
{
    if (s[0] == '-' && strspn(s + 1, "0.") == strlen(s + 1)) memmove(s, s + 1, strlen(s));
}

ui_num ui_num_fixed(ui_glyph_level l, double v, int width, int decimals)
{
    if (width < 1) width = 1;
    if (width > 16) width = 16;
    if (isnan(v)) return unknown(l, width);
    for (int d = decimals; d >= 0 && fabs(v) < 1e15; d--) {
        char s[48];
        snprintf(s, sizeof s, "%.*f", d, v);
        drop_minus_zero(s);
        if ((int)strlen(s) <= width) return padded(s, width, "");
    }
    char s[20];
    snprintf(s, sizeof s, "%.*s", width, v > 0 ? ">9999" : "<-999");
    return padded(s, width, "");
}

ui_num ui_num_gain(ui_glyph_level l, double v)
{
    return ui_num_fixed(l, v, 5, 3);
}
ui_num ui_num_mean_d(ui_glyph_level l, double v)
{
    return ui_num_fixed(l, v, 4, 2);
}
ui_num ui_num_mnat(ui_glyph_level l, double nat)
{
    return ui_num_fixed(l, nat * 1000, 6, 3);
}
ui_num ui_num_nat(ui_glyph_level l, double nat)
{
    return ui_num_fixed(l, nat, 6, 4);
}
ui_num ui_num_norm(ui_glyph_level l, double ratio)
{
    return ui_num_fixed(l, ratio * 100, 5, 2);
}
ui_num ui_num_coef(ui_glyph_level l, double v)
{
    return ui_num_fixed(l, v, 7, 5);
}

ui_num ui_num_theta(ui_glyph_level l, double degrees, bool flat)
{
    if (isnan(degrees)) return unknown(l, 6);
    ui_num n = ui_num_fixed(l, degrees, 5, 2);
    return padded(n.s, 5, flat ? "=" : ui_glyph_at(l, UI_G_DEGREE));
}

ui_num ui_num_share(ui_glyph_level l, double v)
{
    if (isnan(v)) return unknown(l, 5);
    return padded(ui_num_fixed(l, v * 100, 3, 0).s, 3, " %");
}

ui_num ui_num_share_narrow(ui_glyph_level l, double v)
{
    if (isnan(v)) return unknown(l, 4);
    return padded(ui_num_fixed(l, v * 100, 3, 0).s, 3, "%");
}

static int sane_decimals(int decimals)
{
    return decimals < 0 ? 0 : decimals > 6 ? 6 : decimals;
}

/* Not padded; beyond a billion it is only "large". */
static bool is_drawable(double v)
{
    return fabs(v) < 1e9;
}

ui_num ui_num_diff(ui_glyph_level l, double v, int decimals)
{
    if (isnan(v)) return unknown(l, 1);
    if (!is_drawable(v)) return num("%s", v > 0 ? ">9999" : "<-9999");
    decimals = sane_decimals(decimals);
    ui_num n = num("%+.*f", decimals, v);
    bool is_zero = strspn(n.s + 1, "0.") == strlen(n.s + 1);
    return is_zero ? num("%.*f", decimals, 0.0) : n;
}

static ui_num plain(ui_glyph_level l, double v, int decimals)
{
    if (isnan(v)) return unknown(l, 1);
    if (!is_drawable(v)) return num("%s", v > 0 ? ">9999" : "<-9999");
    ui_num n = num("%.*f", sane_decimals(decimals), v);
    drop_minus_zero(n.s);
    return n;
}

ui_num ui_num_interval(ui_glyph_level l, double lo, double hi, int decimals)
{
    return num("[%s, %s]", plain(l, lo, decimals).s, plain(l, hi, decimals).s);
}

ui_num ui_num_range(ui_glyph_level l, double lo, double hi)
{
    return num("[%s-%s]", plain(l, lo, 0).s, plain(l, hi, 0).s);
}

ui_num ui_num_pm(ui_glyph_level l, double v, double half, int decimals)
{
    if (isnan(v)) return unknown(l, 1);
    return num("%s%s%s", ui_num_diff(l, v, decimals).s, ui_glyph_at(l, UI_G_PLUSMINUS),
               plain(l, half, decimals).s);
}

ui_num ui_num_count(ui_glyph_level l, int64_t n)
{
    char digits[24];
    const char *thin = ui_glyph_at(l, UI_G_THIN);
    uint64_t magnitude = n < 0 ? (uint64_t)0 - (uint64_t)n : (uint64_t)n;
    int len = snprintf(digits, sizeof digits, "%" PRIu64, magnitude);
    ui_num out = num("%s", n < 0 ? "-" : "");
    size_t at = strlen(out.s);
    for (int i = 0; i < len; i++) {
        bool starts_group = i > 0 && (len - i) % 3 == 0;
        at += (size_t)snprintf(out.s + at, sizeof out.s - at, "%s%c",
                               starts_group ? thin : "", digits[i]);
    }
    return out;
}

/* v in the first unit in which it is below 1000: at most three significant digits. */
static ui_num scaled(ui_glyph_level l, double v, double step, const char *const *units,
                     int n, const char *after)
{
    if (isnan(v)) return unknown(l, 1);
    if (v < 0) v = 0;
    int i = 0;
    while (i + 1 < n && v >= 999.5) {
        v /= step;
        i++;
    }
    if (v >= 9999.5) return num(">9999 %s%s", units[i], after);
    int decimals = i == 0 || v >= 99.95 ? 0 : 1;
    return num("%.*f %s%s", decimals, v, units[i], after);
}

static const char *const decimal_units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
static const char *const binary_units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};

ui_num ui_num_size(ui_glyph_level l, double bytes)
{
    return scaled(l, bytes, 1000, decimal_units, 6, "");
}

ui_num ui_num_memory(ui_glyph_level l, double bytes)
{
    return scaled(l, bytes, 1024, binary_units, 6, "");
}

ui_num ui_num_byte_rate(ui_glyph_level l, double bytes_per_second)
{
    return scaled(l, bytes_per_second, 1000, decimal_units, 6, "/s");
}

ui_num ui_num_short(ui_glyph_level l, double n)
{
    if (isnan(n)) return unknown(l, 1);
    if (fabs(n) < 1e5) return ui_num_count(l, (int64_t)llround(n));
    double v = n / 1e6;
    const char *unit = "M";
    if (fabs(v) >= 999.5) {
        v /= 1e3;
        unit = "G";
    }
    if (!is_drawable(v)) return num(">9999 %s", unit);
    double a = fabs(v);
    return num("%.*f %s", a < 9.995 ? 2 : a < 99.95 ? 1 : 0, v, unit);
}

ui_num ui_num_rate(ui_glyph_level l, double per_second, const char *unit)
{
    if (isnan(per_second)) return unknown(l, 1);
    if (!is_drawable(per_second)) return num(">9999 %.16s", unit);
    return num("%.*f %.16s", per_second < 9.95 ? 1 : 0, per_second, unit);
}

ui_num ui_num_time(ui_glyph_level l, double seconds)
{
    if (isnan(seconds) || seconds < 0) return unknown(l, 1);
    if (seconds >= 3600.0 * 10000) return num(">9999:00:00");
    int64_t s = (int64_t)floor(seconds + 0.5);
    int hours = (int)(s / 3600), minutes = (int)(s / 60 % 60), rest = (int)(s % 60);
    if (hours) return num("%d:%02d:%02d", hours, minutes, rest);
    return num("%d:%02d", minutes, rest);
}

ui_num ui_num_clock(ui_glyph_level l, double wall, double now)
{
    static const char *const month[12] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    if (isnan(wall) || wall <= 0 || wall > 1e11) return unknown(l, 1);
    time_t a = (time_t)wall, b = (time_t)now;
    struct tm t, n;
    if (!localtime_r(&a, &t) || !localtime_r(&b, &n)) return unknown(l, 1);
    if (t.tm_year != n.tm_year)
        return num("%04d-%02d-%02d", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday);
    if (t.tm_yday != n.tm_yday) return num("%d %s", t.tm_mday, month[t.tm_mon % 12]);
    return num("%02d:%02d", t.tm_hour, t.tm_min);
}

ui_num ui_num_hash(ui_glyph_level l, const char *hex)
{
    size_t n = hex ? strlen(hex) : 0;
    if (n == 0) return unknown(l, 1);
    if (n <= 8) return num("%s", hex);
    return num("%.4s%s%s", hex, ui_glyph_at(l, UI_G_ELLIPSIS), hex + n - 2);
}

int ui_put_number(ui_grid *g, int x, int y, ui_role role, ui_state state,
                  const char *text)
{
    static const char *const sign[] = {" ", "~", NULL, "!"};
    static const ui_role roles[] = {UI_TEXT, UI_STALE, UI_DIM, UI_WARN};
    const char *glyph = sign[state] ? sign[state] : ui_glyph(g, UI_G_MIXED);
    if (state == UI_EXACT)
        ui_put(g, x, y, 1, role, glyph);
    else
        ui_put(g, x, y, 1, roles[state], glyph);
    return 1 + ui_put(g, x + 1, y, -1, state == UI_OLD ? UI_STALE : role, text);
}
