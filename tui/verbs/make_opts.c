/* make_opts.c - options of verbs that are keys of a recipe's make, too: their words and the
 * ends of their counts stand in its table (make.h) alone. */
#include "tui/verbs/products.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const rs_make_key *row_of(rs_make_type t, const char *name)
{
    const rs_make_key *k = rs_make_keys(t);
    while (k->name && strcmp(k->name, name) != 0)
        k++;
    return k->name ? k : NULL;
}

/* The row of "--per-token" is per_token's. */
static const rs_make_key *row_of_option(rs_make_type t, const char *option)
{
    char name[64];
    snprintf(name, sizeof name, "%s", option + 2);
    for (char *c = name; *c; c++)
        if (*c == '-') *c = '_';
    return row_of(t, name);
}

static int word_at(const rs_make_key *k, const char *word)
{
    for (int i = 0; k && k->words[i]; i++)
        if (strcmp(k->words[i], word) == 0) return i;
    return -1;
}

int ui_make_word(rs_make_type t, const char *key, const char *word)
{
    return word_at(row_of(t, key), word);
}

static int wrong_word(const char *verb, const ui_opt *o, const rs_make_key *k,
                      const char *word)
{
    rs_buf all = {0};
    for (int i = 0; k->words[i]; i++)
        rs_buf_printf(&all, "%s%s", i == 0 ? "" : k->words[i + 1] ? ", " : " or ",
                      k->words[i]);
    int status = ui_usage(verb, "%s is %s, not %s", o->name, rs_buf_str(&all), word);
    rs_buf_free(&all);
    return status;
}

static int check_one(const char *verb, const ui_opt *o, const rs_make_key *k,
                     const void *value)
{
    if (k->holds == RS_HOLDS_WORD) {
        const char *word = *(const char *const *)value;
        return word_at(k, word) < 0 ? wrong_word(verb, o, k, word) : UI_EXIT_OK;
    }
    int64_t n = k->holds == RS_HOLDS_COUNT ? *(const int64_t *)value : UI_UNSAID;
    if (n == UI_UNSAID || ((double)n >= k->least && (double)n <= k->most)) return UI_EXIT_OK;
    return ui_usage(verb, "%s is %" PRId64 " to %" PRId64 ", not %" PRId64, o->name,
                    (int64_t)k->least, (int64_t)k->most, n);
}

int ui_check_make_opts(const char *verb, rs_make_type t, const ui_opt *opts,
                       const void *options)
{
    int wrong = UI_EXIT_OK;
    for (const ui_opt *o = opts; o->name && !wrong; o++) {
        const rs_make_key *k = row_of_option(t, o->name);
        if (k) wrong = check_one(verb, o, k, (const char *)options + o->offset);
    }
    return wrong;
}
