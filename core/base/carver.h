/* carver.h - one allocation in pieces. What lays the pieces out runs twice: to count, then to
 * be given them.
 *
 *     rs_carver c = {0};
 *     lay_out(x, &c);                 every rs_carve is NULL
 *     x->memory = rs_carver_open(&c); for free(); NULL: no memory, or sizes that overflow
 *     lay_out(x, &c);                 every rs_carve is a piece */
#ifndef RS_CARVER_H
#define RS_CARVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rs_carver {
    float *base;
    size_t floats; /* handed out or counted so far */
    bool overflow;
} rs_carver;

/* [rows, width] floats from the start of a cache line on, not cleared. */
float *rs_carve(rs_carver *c, int64_t rows, int64_t width);
uint64_t rs_carver_bytes(const rs_carver *c); /* counted; too many: 2^57, to be compared */
void *rs_carver_open(rs_carver *c);

#endif
