/* numbers.h - how numbers are written (screens.md 1.3), so that columns never jump.
 *
 * Each function gives a text of a fixed width in columns, right-aligned with blanks; the
 * width is in the comment. NaN is "not known": a dash. What is too large for the width loses
 * decimals first, then is ">9999" (cut to the width). The result is a value: write
 * ui_num_gain(level, v).s in a call.
 *
 * A number in a table has one cell before it for its state; ui_put_number draws both. */
#ifndef UI_NUMBERS_H
#define UI_NUMBERS_H

#include "tui/draw/grid.h"

typedef struct ui_num {
    char s[48];
} ui_num;

ui_num ui_num_gain(ui_glyph_level l, double v);     /* 5: 0.930, 12.50, -0.50 */
ui_num ui_num_mean_d(ui_glyph_level l, double v);   /* 4: 0.72 */
ui_num ui_num_mnat(ui_glyph_level l, double nat);   /* 6: 1.038 for 0.001038 nat */
ui_num ui_num_nat(ui_glyph_level l, double nat);    /* 6: 0.0211 */
ui_num ui_num_norm(ui_glyph_level l, double ratio); /* 5: 1.21 for 0.0121 */
ui_num ui_num_theta(ui_glyph_level l, double degrees, bool flat); /* 6: 24.67° or 2.42= */
ui_num ui_num_coef(ui_glyph_level l, double v);                   /* 7: 0.85007 */
ui_num ui_num_share(ui_glyph_level l, double v);                  /* 5: "51 %" for 0.51 */
ui_num ui_num_share_narrow(ui_glyph_level l, double v);           /* 4: "99%" */
/* Any fixed point number: width columns, at most `decimals`. */
ui_num ui_num_fixed(ui_glyph_level l, double v, int width, int decimals);
/* Always with a sign; "0.0" when nothing is left of it after rounding. Not padded. */
ui_num ui_num_diff(ui_glyph_level l, double v, int decimals);
ui_num ui_num_interval(ui_glyph_level l, double lo, double hi,
                       int decimals);                        /* [3.7, 7.5] */
ui_num ui_num_range(ui_glyph_level l, double lo, double hi); /* [46-72], whole numbers */
ui_num ui_num_pm(ui_glyph_level l, double v, double half, int decimals); /* +5.6±1.9 */
ui_num ui_num_count(ui_glyph_level l, int64_t n); /* 552 960, thin blanks; not padded */
ui_num ui_num_short(ui_glyph_level l, double n);  /* 5.21 M, 0.48 M, 29 184; not padded */
ui_num ui_num_size(ui_glyph_level l, double bytes);   /* 10.4 MB, decimal; not padded */
ui_num ui_num_memory(ui_glyph_level l, double bytes); /* 2.1 GiB; not padded */
/* 61 tok/s, 6.2 tok/s; not padded */
ui_num ui_num_rate(ui_glyph_level l, double per_second, const char *unit);
ui_num ui_num_byte_rate(ui_glyph_level l,
                        double bytes_per_second);     /* 4.1 MB/s; not padded */
ui_num ui_num_time(ui_glyph_level l, double seconds); /* 0:01, 1:02:03; < 0: not known */
/* 14:21 on the day of now, 3 Mar in its year, else 2023-03-03; local time. Not padded. */
ui_num ui_num_clock(ui_glyph_level l, double wall, double now);
ui_num ui_num_hash(ui_glyph_level l, const char *hex); /* 9c41…e2 */

typedef enum ui_state {
    UI_EXACT,  /* blank */
    UI_OLD,    /* ~ : an old value or an estimate; the number is drawn in UI_STALE */
    UI_MIXED,  /* ± : a mean over tensors that differ */
    UI_OUTSIDE /* ! : outside the quadratic range */
} ui_state;
/* State cell at x, then the text. Returns columns used. */
int ui_put_number(ui_grid *g, int x, int y, ui_role role, ui_state state,
                  const char *text);

#endif
