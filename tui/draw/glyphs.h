/* glyphs.h - every glyph that is not plain text, by glyph level.
 *
 *     ui_put(g, x, y, -1, UI_DIM, ui_glyph(g, UI_G_VLINE));
 *
 * At the ASCII level no glyph has a byte above 127. Block and braille differ only in how
 * plots are drawn. Unless said otherwise a glyph has one column at every level; those marked
 * (1/2) have two columns in ASCII, so their place is in running text, not in a column. */
#ifndef UI_GLYPHS_H
#define UI_GLYPHS_H

#include "tui/draw/grid.h"

typedef enum ui_glyph_id {
    UI_G_ELLIPSIS,  /* (1/2) … .. */
    UI_G_UNKNOWN,   /* — - : a number that is not known */
    UI_G_TIMES,     /* × x */
    UI_G_PLUSMINUS, /* (1/2) ± +- : in text and narrow intervals */
    UI_G_DEGREE,    /* ° d */
    UI_G_SQUARED,   /* (1/2) ² ^2 */
    UI_G_THIN,      /* thin blank between groups of digits, plain blank */
    UI_G_MIXED,     /* ± & : state cell of a mean over differing tensors */
    UI_G_MARK,      /* • * : marked row */
    UI_G_DIVERGE,   /* ▸ > */
    UI_G_REREAD,    /* ┊ : */
    UI_G_WRITING,   /* ▌ _ : end of a text that is being generated; insertion point */
    UI_G_FOCUS,     /* » > : before the focused panel's title, without colour */
    UI_G_NONE,      /* · - : no such tensor */
    UI_G_HERE,      /* ◆ @ : where the recipe is in a plot */
    UI_G_HLINE,
    UI_G_VLINE,
    UI_G_CROSS, /* ─ │ ┼ - | + */
    UI_G_TOP_LEFT,
    UI_G_TOP_RIGHT,
    UI_G_BOTTOM_LEFT,
    UI_G_BOTTOM_RIGHT, /* ┌ ┐ └ ┘ + */
    UI_G_TEE_RIGHT,
    UI_G_TEE_LEFT,
    UI_G_TEE_DOWN,
    UI_G_TEE_UP, /* ├ ┤ ┬ ┴ + */
    UI_G_CUT,    /* ┃ | : cut in force */
    UI_G_OTHER,  /* ┆ : : the other usual cut, the budget */
    UI_G_FULL,   /* █ # */
    UI_G_BAR_LEFT,
    UI_G_BAR_RIGHT, /* ▕ ▏ [ ] : ends of a gauge */
    UI_G_SLIDER,
    UI_G_SLIDER_REST, /* ━ ─ = - */
    UI_G_KNOB,
    UI_G_ONE, /* ● ┼ O | : value; where 1 is */
    UI_G_OFF_LEFT,
    UI_G_OFF_RIGHT, /* « » < > : value outside the slider */
    UI_N_GLYPHS
} ui_glyph_id;

const char *ui_glyph_at(ui_glyph_level level, ui_glyph_id id);
const char *ui_glyph(const ui_grid *g, ui_glyph_id id);

typedef enum ui_heat_style {
    UI_HEAT_AUTO,
    UI_HEAT_SHADE,
    UI_HEAT_BAR,
    UI_HEAT_DIGIT
} ui_heat_style;
/* Glyph of a heat level 0-9 (below: no such tensor). AUTO is shades, digits in ASCII. */
const char *ui_heat_glyph(const ui_grid *g, int level, ui_heat_style style);
/* Eighths of a cell: 0 is a blank, 8 the full block. In ASCII 4 and more are '#'. */
const char *ui_eighth_across(const ui_grid *g, int eighths); /* from the left: ▏▎▍▌▋▊▉█ */
/* Heights: v from 0 to 1 as ▁ to █, in ASCII as 0 to 9; NaN: no such value. */
const char *ui_height_glyph(const ui_grid *g, double v);

#endif
