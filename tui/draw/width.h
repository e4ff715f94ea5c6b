/* width.h - text as the grid takes it: one character at a time, measured and made harmless.
 *
 * The one place that knows Unicode (utf8proc). Widths come from our table and not from the
 * locale, so the same text takes the same cells everywhere. What cannot be shown safely is
 * '?': control bytes, bytes that are not UTF-8, characters that turn the direction of the
 * line, unassigned ones. Joiners, variation selectors and other invisible characters are
 * skipped (width 0, cp 0). */
#ifndef UI_WIDTH_H
#define UI_WIDTH_H

#include "tui/draw/grid.h"

typedef struct ui_char {
    uint32_t cp; /* 0: nothing to draw */
    int bytes;   /* consumed, at least 1 */
    int width;   /* 0: combines with the character before it */
} ui_char;

/* The first character of s; n must be at least 1. */
ui_char ui_char_next(const char *s, size_t n);
/* An ASCII stand-in of the same width for the first cell: 'e' for é, '"' for a curly quote,
 * '?' where there is none. cp below 128 stays. */
uint32_t ui_char_ascii(uint32_t cp);
#endif
