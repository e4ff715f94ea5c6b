#include "tui/app/command.h"
#include "tui/app/mem.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = sizeof((ui_args *)0)->word / sizeof(char *) };

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static char *skip_blanks(char *s)
{
    while (is_blank(*s))
        s++;
    return s;
}

/* Cuts one quoted word at s; returns what follows the quote, or NULL if there is none. */
static char *take_quoted(char *s, char **word)
{
    char *to = s;
    *word = s++;
    while (*s && *s != '"') {
        if (*s == '\\' && (s[1] == '"' || s[1] == '\\')) s++;
        *to++ = *s++;
    }
    if (!*s) return NULL;
    *to = 0;
    return s + 1;
}

static char *take_word(char *s, char **word)
{
    if (*s == '"') return take_quoted(s, word);
    *word = s;
    while (*s && !is_blank(*s))
        s++;
    if (*s) *s++ = 0;
    return s;
}

bool ui_args_parse(const char *line, ui_args *args)
{
    memset(args, 0, sizeof *args);
    while (is_blank(*line))
        line++;
    size_t n = strlen(line);
    while (n > 0 && is_blank(line[n - 1]))
        n--;
    /* One copy stays whole, the other is cut into words. */
    args->owned = ui_alloc(2, n + 1);
    memcpy(args->owned, line, n);
    memcpy(args->owned + n + 1, line, n);
    args->line = args->owned;
    char *s = skip_blanks(args->owned + n + 1);
    while (*s) {
        if (args->n == MAX_WORDS) return false;
        s = take_word(s, &args->word[args->n]);
        if (!s) return false;
        args->n++;
        s = skip_blanks(s);
    }
    return true;
}

void ui_args_free(ui_args *args)
{
    free(args->owned);
    memset(args, 0, sizeof *args);
    args->line = "";
}
