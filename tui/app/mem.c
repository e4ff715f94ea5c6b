#include "tui/app/mem.h"

#include "base/size.h"
#include "tui/app/msg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *need(void *p)
{
    if (p) return p;
    fputs("ringside: no memory left; the session is kept\n", stderr);
    exit(4);
}

void *ui_alloc(size_t count, size_t each)
{
    size_t bytes = 0;
    if (!rs_mul_size(count ? count : 1, each ? each : 1, &bytes)) return need(NULL);
    return need(calloc(1, bytes));
}

void *ui_grow(void *at, int n, int *cap, size_t each)
{
    if (n < *cap) return at;
    int want = *cap ? *cap * 2 : 16;
    size_t bytes = 0;
    if (!rs_mul_size((size_t)want, each, &bytes)) return need(NULL);
    at = need(realloc(at, bytes));
    *cap = want;
    return at;
}

void ui_replace(char **where, const char *with)
{
    char *copy = ui_strdup(with);
    free(*where);
    *where = copy;
}
