/* theme.h - what a role looks like: theme x colour depth -> colours and attributes.
 *
 * Views name roles only. Everything that a theme tells by colour is also told without it
 * (screens.md 1.5), so `mono` loses nothing. Whether colour is wanted (NO_COLOR, --color)
 * the program decides and passes UI_DEPTH_MONO. */
#ifndef UI_THEME_H
#define UI_THEME_H

#include "tui/draw/grid.h"

typedef enum ui_depth {
    UI_DEPTH_MONO,
    UI_DEPTH_8,
    UI_DEPTH_16,
    UI_DEPTH_256,
    UI_DEPTH_TRUE
} ui_depth;
typedef enum ui_theme {
    UI_THEME_DARK,
    UI_THEME_LIGHT,
    UI_THEME_CONTRAST,
    UI_THEME_SAFE,
    UI_THEME_MONO,
    UI_N_THEMES
} ui_theme;

enum { UI_ATTR_BOLD = 1, UI_ATTR_DIM = 2, UI_ATTR_UNDERLINE = 4, UI_ATTR_REVERSE = 8 };

typedef struct ui_look {
    int32_t fg,
        bg; /* -1: the terminal's own; palette index, or 0xRRGGBB at UI_DEPTH_TRUE */
    uint8_t attrs;
} ui_look;

ui_look ui_theme_look(ui_theme theme, ui_depth depth, ui_role role);
const char *ui_theme_name(ui_theme theme); /* "dark" */
const char *ui_theme_help(ui_theme theme); /* one line for completion */
bool ui_theme_named(const char *name, ui_theme *theme);

/* Nearest entry of the 256-colour cube and grey ramp, and of the 16 and 8 of a terminal. */
int ui_colour_256(uint32_t rgb);
int ui_colour_16(uint32_t rgb);

#endif
