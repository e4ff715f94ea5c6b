#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BLOCK = 64 * 1024, ARENA_ALIGN = 16 };

struct rs_arena_block {
    struct rs_arena_block *next;
    size_t pad; /* keeps the data 16-byte aligned */
    unsigned char data[];
};

static int add_block(rs_arena *a, size_t at_least)
{
    size_t cap = at_least > ARENA_BLOCK ? at_least : ARENA_BLOCK;
    if (cap > SIZE_MAX - sizeof(struct rs_arena_block)) return 0;
    struct rs_arena_block *b = malloc(sizeof *b + cap);
    if (!b) return 0;
    b->next = a->head;
    a->head = b;
    a->used = 0;
    a->cap = cap;
    a->total_bytes += cap;
    return 1;
}

void *rs_arena_alloc(rs_arena *a, size_t bytes)
{
    if (bytes > SIZE_MAX - ARENA_ALIGN) return NULL;
    size_t need = (bytes + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (need == 0) need = ARENA_ALIGN;
    if ((!a->head || a->cap - a->used < need) && !add_block(a, need)) return NULL;
    void *p = a->head->data + a->used;
    a->used += need;
    return memset(p, 0, need);
}

void *rs_arena_array(rs_arena *a, size_t count, size_t each)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, each, &bytes)) return NULL;
    return rs_arena_alloc(a, bytes);
}

char *rs_arena_strndup(rs_arena *a, const char *s, size_t n)
{
    char *p = n < SIZE_MAX ? rs_arena_alloc(a, n + 1) : NULL;
    return p ? memcpy(p, s, n) : NULL;
}

char *rs_arena_strdup(rs_arena *a, const char *s)
{
    return rs_arena_strndup(a, s, strlen(s));
}

char *rs_arena_printf(rs_arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n >= 0 ? rs_arena_alloc(a, (size_t)n + 1) : NULL;
    if (p) vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return p;
}

void rs_arena_free(rs_arena *a)
{
    for (struct rs_arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = (rs_arena){0};
}
