/* arena.h - memory for everything that is parsed or planned and dies together.
 *
 * One arena per model, recipe or plan. Blocks grow as needed and are freed at once; what
 * points into an arena is "borrowed from" its owner. An arena is used by one thread at a
 * time. Allocation never aborts: NULL means out of memory. */
#ifndef RS_ARENA_H
#define RS_ARENA_H

#include <stddef.h>

typedef struct rs_arena {
    struct rs_arena_block *head;
    size_t used, cap;   /* of the head block */
    size_t total_bytes; /* over all blocks */
} rs_arena;

/* A zeroed rs_arena is a valid empty one. */
void *rs_arena_alloc(rs_arena *a, size_t bytes); /* 16-byte aligned, zeroed */
void *rs_arena_array(rs_arena *a, size_t count, size_t each); /* overflow-checked */
char *rs_arena_strdup(rs_arena *a, const char *s);
char *rs_arena_strndup(rs_arena *a, const char *s, size_t n);
char *rs_arena_printf(rs_arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void rs_arena_free(rs_arena *a); /* the arena is empty and usable again */

#endif
