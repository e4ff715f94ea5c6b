#include "tui/draw/width.h"

#include "base/utf8.h"

#include <utf8proc.h>

/* Stand-ins that no decomposition gives. Sorted by code point. */
static const struct {
    uint16_t cp;
    char ascii;
} stand_in[] = {
    {0x00A0, ' '}, {0x00A6, '|'},  {0x00AB, '<'}, {0x00AD, '-'},  {0x00B0, 'd'},
    {0x00B1, '&'}, {0x00B2, '2'},  {0x00B3, '3'}, {0x00B4, '\''}, {0x00B7, '-'},
    {0x00BB, '>'}, {0x00D7, 'x'},  {0x00D8, 'O'}, {0x00DF, 's'},  {0x00F7, '/'},
    {0x00F8, 'o'}, {0x2009, ' '},  {0x2010, '-'}, {0x2011, '-'},  {0x2012, '-'},
    {0x2013, '-'}, {0x2014, '-'},  {0x2015, '-'}, {0x2018, '\''}, {0x2019, '\''},
    {0x201A, ','}, {0x201B, '\''}, {0x201C, '"'}, {0x201D, '"'},  {0x201E, '"'},
    {0x2020, '+'}, {0x2022, '*'},  {0x2026, '.'}, {0x202F, ' '},  {0x2032, '\''},
    {0x2033, '"'}, {0x2039, '<'},  {0x203A, '>'}, {0x2190, '<'},  {0x2192, '>'},
    {0x2212, '-'}, {0x2260, '#'},  {0x2500, '-'}, {0x2502, '|'},  {0x2503, '|'},
    {0x2506, ':'}, {0x250A, ':'},  {0x250C, '+'}, {0x2510, '+'},  {0x2514, '+'},
    {0x2518, '+'}, {0x251C, '+'},  {0x2524, '+'}, {0x252C, '+'},  {0x2534, '+'},
    {0x253C, '+'}, {0x2588, '#'},  {0x25B8, '>'}, {0x25CF, 'O'},
};

/* Characters that only steer the display: what turns the line's direction is shown, since it
 * could make a name read as another; the rest is skipped. */
static bool turns_direction(uint32_t cp)
{
    return cp == 0x061C || cp == 0x200E || cp == 0x200F ||
           (cp >= 0x202A && cp <= 0x202E) || (cp >= 0x2066 && cp <= 0x2069);
}

static bool is_selector(uint32_t cp)
{
    return (cp >= 0xFE00 && cp <= 0xFE0F) || (cp >= 0xE0100 && cp <= 0xE01EF);
}

/* Columns of cp, or -1 where '?' is shown instead, -2 where nothing is. */
static int measure(uint32_t cp)
{
    if (cp < 0x7F) return cp >= 0x20 ? 1 : -1;
    if (cp < 0xA0 || turns_direction(cp)) return -1;
    if (cp == 0xAD) return 1;
    if (is_selector(cp)) return -2;
    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return -1;
    case UTF8PROC_CATEGORY_CF:
        return -2;
    default:
        break;
    }
    int width = utf8proc_charwidth((utf8proc_int32_t)cp);
    return width < 0 ? -1 : width > 2 ? 2 : width;
}

ui_char ui_char_next(const char *s, size_t n)
{
    unsigned char first = (unsigned char)s[0];
    if (first >= 0x20 && first < 0x7F) return (ui_char){first, 1, 1};
    uint32_t cp = 0;
    int bytes = rs_utf8_decode(s, n, &cp);
    if (bytes == 0) return (ui_char){'?', 1, 1};
    int width = measure(cp);
    if (width == -1) return (ui_char){'?', bytes, 1};
    if (width == -2) return (ui_char){0, bytes, 0};
    return (ui_char){cp == 0xAD ? '-' : cp, bytes, width};
}

uint32_t ui_char_ascii(uint32_t cp)
{
    if (cp < 0x80) return cp;
    size_t lo = 0, hi = sizeof stand_in / sizeof *stand_in;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (stand_in[mid].cp < cp)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo < sizeof stand_in / sizeof *stand_in && stand_in[lo].cp == cp)
        return (unsigned char)stand_in[lo].ascii;
    /* A letter with marks: its first part. */
    utf8proc_int32_t part[8];
    int boundary = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char(
        (utf8proc_int32_t)cp, part, 8, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &boundary);
    bool is_letter = n >= 1 && ((part[0] >= 'a' && part[0] <= 'z') ||
                                (part[0] >= 'A' && part[0] <= 'Z'));
    return is_letter ? (uint32_t)part[0] : '?';
}

int ui_text_width(const char *text, size_t n)
{
    int width = 0;
    for (size_t i = 0; i < n;) {
        ui_char c = ui_char_next(text + i, n - i);
        width += c.width;
        i += (size_t)c.bytes;
    }
    return width;
}
