#include "tui/app/palette.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum {
    EXACT = 1000,
    PREFIX = 900,
    INITIALS = 700,
    WORD = 600,
    INSIDE = 500,
    SCATTERED = 200
};

static int lower(char c)
{
    return tolower((unsigned char)c);
}

static bool starts_word(const char *text, const char *at)
{
    return at == text || strchr(" -_./", at[-1]) != NULL;
}

/* Every letter of the query begins a word, in order: "td" for tab-down. */
static bool are_initials(const char *query, const char *text)
{
    for (const char *at = text; *at && *query; at++)
        if (starts_word(text, at) && lower(*at) == lower(*query)) query++;
    return *query == 0;
}

/* Place of the query in the text, the best kind first; -1: not inside. */
static int inside(const char *query, const char *text, bool *at_word)
{
    size_t n = strlen(query);
    int first = -1;
    for (const char *at = text; *at; at++) {
        if (strncasecmp(at, query, n) != 0) continue;
        if (first < 0) first = (int)(at - text);
        if (!starts_word(text, at)) continue;
        *at_word = true;
        return (int)(at - text);
    }
    *at_word = false;
    return first;
}

/* Letters skipped between the query's letters, or -1 if they do not all occur in order. */
static int gaps(const char *query, const char *text)
{
    int skipped = 0;
    bool begun = false;
    for (; *text && *query; text++) {
        if (lower(*text) == lower(*query)) {
            query++;
            begun = true;
        } else if (begun) {
            skipped++;
        }
    }
    return *query ? -1 : skipped;
}

static int less(int score, int by)
{
    return score - (by > 80 ? 80 : by);
}

int ui_fuzzy_score(const char *query, const char *text)
{
    bool at_word = false;
    size_t n = strlen(query), len = strlen(text);
    if (n == 0) return 1;
    if (n > len) return 0;
    if (strncasecmp(text, query, n) == 0)
        return len == n ? EXACT : less(PREFIX, (int)(len - n));
    if (n > 1 && are_initials(query, text)) return less(INITIALS, (int)(len - n));
    int at = inside(query, text, &at_word);
    if (at >= 0) return less(at_word ? WORD : INSIDE, at);
    int skipped = gaps(query, text);
    return skipped < 0 ? 0 : less(SCATTERED, skipped);
}
