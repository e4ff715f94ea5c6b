#include "tui/app/options.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const heat_words[] = {"auto", "shade", "bar", "digit", NULL};
static const char *const scale_words[] = {"log", "linear", NULL};
static const char *const glyph_words[] = {"ascii", "block", "braille", NULL};
static const char *const theme_words[] = {"dark", "light", "contrast",
                                          "safe", "mono",  NULL};
static const char *const preview_words[] = {"continue", "restart", "off", NULL};
static const char *const shade_words[] = {"fisher",   "d",    "delta", "both", "survival",
                                          "contrast", "text", "style", NULL};
static const char *const notify_words[] = {"off", "bell", NULL};
static const char *const scroll_words[] = {"together", "apart", NULL};

#define AT(field) offsetof(ui_options, field)
static const ui_option table[] = {
    {"flash", "changed cells are marked for a second", NULL, AT(flash), 'b'},
    {"gain.range", "what the slider shows, LOW..HIGH", NULL, AT(gain_lo), 'r'},
    {"glyphs", "glyph level", glyph_words, AT(glyphs), 'w'},
    {"heatglyph", "how heat cells are drawn", heat_words, AT(heat_glyph), 'w'},
    {"heatscale", "heat by logarithm or in proportion", scale_words, AT(heat_scale), 'w'},
    {"hints", "the row of keys above the F-keys", NULL, AT(hints), 'b'},
    {"mouse", "mouse reporting", NULL, AT(mouse), 'b'},
    {"notify", "when a job ends", notify_words, AT(notify), 'w'},
    {"preview", "what changed weights do to the text", preview_words, AT(preview), 'w'},
    {"scroll", "Duel's panes scroll together or apart", scroll_words, AT(scroll), 'w'},
    {"shade", "what the heat cells show", shade_words, AT(shade), 'w'},
    {"spectrum", "scale of singular values", scale_words, AT(spectrum_scale), 'w'},
    {"theme", "colours", theme_words, AT(theme), 'w'},
};

ui_options ui_options_defaults(void)
{
    return (ui_options){.gain_lo = 0,
                        .gain_hi = 1.5,
                        .glyphs = UI_GLYPHS_BRAILLE,
                        .flash = true,
                        .mouse = true,
                        .hints = true,
                        .preview = UI_PREVIEW_RESTART,
                        .notify = 1};
}

const ui_option *ui_option_at(int i)
{
    return i >= 0 && i < (int)(sizeof table / sizeof *table) ? &table[i] : NULL;
}

const ui_option *ui_option_named(const char *name)
{
    for (int i = 0; ui_option_at(i); i++)
        if (strcmp(table[i].name, name) == 0) return &table[i];
    return NULL;
}

static int *as_int(ui_options *o, const ui_option *what)
{
    return (int *)((char *)o + what->offset);
}

static bool *as_bool(ui_options *o, const ui_option *what)
{
    return (bool *)((char *)o + what->offset);
}

void ui_option_show(const ui_options *o, const ui_option *what, char dst[48])
{
    ui_options copy = *o;
    if (what->type == 'b')
        snprintf(dst, 48, "%s", *as_bool(&copy, what) ? "on" : "off");
    else if (what->type == 'w')
        snprintf(dst, 48, "%s", what->words[*as_int(&copy, what)]);
    else
        snprintf(dst, 48, "%g..%g", o->gain_lo, o->gain_hi);
}

static bool set_range(ui_options *o, const char *value, char dst[96])
{
    char low[32], *end = NULL;
    double lo = 0, hi = 0;
    const char *dots = strstr(value, "..");
    bool ok = dots && dots > value && (size_t)(dots - value) < sizeof low;
    if (ok) { /* apart first: a number would take the first dot */
        snprintf(low, sizeof low, "%.*s", (int)(dots - value), value);
        lo = strtod(low, &end);
        ok = *end == 0;
        hi = strtod(dots + 2, &end);
        ok = ok && end != dots + 2 && *end == 0;
    }
    if (ok && lo >= -2 && hi <= 3 && lo < hi) {
        o->gain_lo = lo;
        o->gain_hi = hi;
        return true;
    }
    snprintf(dst, 96, "two numbers from -2 to 3, as 0..1.5");
    return false;
}

static bool set_word(int *where, const char *const *words, const char *value,
                     char dst[96])
{
    dst[0] = 0;
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], value) == 0) {
            *where = i;
            return true;
        }
        size_t at = strlen(dst);
        snprintf(dst + at, 96 - at, "%s%s", at ? " " : "", words[i]);
    }
    return false;
}

bool ui_option_set(ui_options *o, const ui_option *what, const char *value, char dst[96])
{
    if (what->type == 'w') return set_word(as_int(o, what), what->words, value, dst);
    if (what->type == 'r') return set_range(o, value, dst);
    bool on = strcmp(value, "on") == 0;
    if (!on && strcmp(value, "off") != 0) {
        snprintf(dst, 96, "on off");
        return false;
    }
    *as_bool(o, what) = on;
    return true;
}

const char *ui_shade_name(ui_shade s)
{
    return shade_words[s];
}

const char *ui_option_theme(const ui_options *o)
{
    return theme_words[o->theme];
}
