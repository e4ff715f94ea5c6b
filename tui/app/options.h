/* options.h - settings of the workbench (:set NAME=VALUE): a table of names, types and help. */
#ifndef UI_OPTIONS_H
#define UI_OPTIONS_H

#include "tui/draw/glyphs.h"

#include <stdbool.h>

typedef enum ui_preview_mode {
    UI_PREVIEW_CONTINUE,
    UI_PREVIEW_RESTART,
    UI_PREVIEW_OFF
} ui_preview_mode;
typedef enum ui_shade {
    UI_SHADE_FISHER,
    UI_SHADE_D,
    UI_SHADE_DELTA,
    UI_SHADE_BOTH,
    UI_SHADE_SURVIVAL,
    UI_SHADE_CONTRAST,
    UI_SHADE_TEXT,
    UI_SHADE_STYLE,
    UI_N_SHADES
} ui_shade;

typedef struct ui_options {
    double gain_lo, gain_hi; /* gain.range: what the slider shows */
    int heat_glyph;          /* ui_heat_style */
    int heat_scale;          /* 0 log, 1 linear */
    int spectrum_scale;      /* of singular values: 0 log, 1 linear */
    int glyphs;              /* ui_glyph_level */
    int theme;               /* 0 dark ... 4 mono */
    bool flash, mouse, hints;
    int preview; /* ui_preview_mode */
    int shade;   /* ui_shade */
    int notify;  /* 0 off, 1 bell */
    int scroll;  /* Duel: 0 together, 1 apart */
} ui_options;

typedef struct ui_option {
    const char *name, *help;
    const char *const *words; /* of a choice; NULL: on/off, or a range */
    int offset;               /* of the int or bool */
    char type;                /* 'w' choice, 'b' on/off, 'r' range of numbers */
} ui_option;

ui_options ui_options_defaults(void);
const ui_option *ui_option_at(int i); /* NULL past the end */
const ui_option *ui_option_named(const char *name);
void ui_option_show(const ui_options *o, const ui_option *what, char dst[48]);
/* false: not a value of it; dst is then what it takes. */
bool ui_option_set(ui_options *o, const ui_option *what, const char *value, char dst[96]);
const char *ui_shade_name(ui_shade s);
const char *ui_option_theme(const ui_options *o);

#endif
