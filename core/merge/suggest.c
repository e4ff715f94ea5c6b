#include "merge/suggest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { MAX_WORD = 64 };

static char fold(char c)
{
    return c == '-' ? '_' : (char)tolower((unsigned char)c);
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Optimal string alignment over three rows; words longer than MAX_WORD are never near. */
static int distance(const char *a, const char *b)
{
    int n_a = (int)strlen(a), n_b = (int)strlen(b);
    int rows[3][MAX_WORD + 1];
    for (int j = 0; j <= n_b; j++)
        rows[0][j] = j;
    for (int i = 1; i <= n_a; i++) {
        int *now = rows[i % 3];
        const int *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= n_b; j++) {
            char x = fold(a[i - 1]), y = fold(b[j - 1]);
            now[j] = least(least(last[j] + 1, now[j - 1] + 1), last[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == fold(b[j - 2]) && y == fold(a[i - 2]))
                now[j] = least(now[j], before[j - 2] + 1);
        }
    }
    return rows[n_a % 3][n_b];
}

const char *rs_nearest(const char *word, const char *const *known, int n)
{
    size_t len = strlen(word);
    if (len == 0 || len > MAX_WORD) return NULL;
    int allowed = len < 3 ? 1 : (int)(len + 2) / 3;
    const char *best = NULL;
    int best_cost = allowed + 1;
    for (int i = 0; i < n; i++) {
        size_t other = known[i] ? strlen(known[i]) : 0;
        if (other == 0 || other > MAX_WORD) continue;
        int cost = distance(word, known[i]);
        if (cost < best_cost && cost < (int)other) best_cost = cost, best = known[i];
    }
    return best;
}

const char *rs_did_you_mean(char *dst, size_t size, const char *word,
                            const char *const *known, int n)
{
    const char *near = rs_nearest(word, known, n);
    if (near)
        snprintf(dst, size, ", did you mean \"%s\"?", near);
    else
        snprintf(dst, size, "%s", "");
    return dst;
}
