#include "base/carver.h"

#include "base/size.h"

#include <stdlib.h>

enum { LINE = 64, LINE_FLOATS = LINE / sizeof(float) };

/* More than any machine has, and sums of such sizes still fit their types. */
static const size_t most_floats = SIZE_MAX / (8 * LINE);

float *rs_carve(rs_carver *c, int64_t rows, int64_t width)
{
    size_t n;
    bool fits = rows >= 0 && width >= 0 &&
                rs_mul_size((size_t)rows, (size_t)width, &n) && n <= most_floats;
    if (fits) n = (n + LINE_FLOATS - 1) / LINE_FLOATS * LINE_FLOATS;
    if (!fits || n > most_floats - c->floats) c->overflow = true;
    if (c->overflow) return NULL;
    float *p = c->base ? c->base + c->floats : NULL;
    c->floats += n;
    return p;
}

uint64_t rs_carver_bytes(const rs_carver *c)
{
    return (uint64_t)(c->overflow ? most_floats : c->floats) * sizeof(float);
}

void *rs_carver_open(rs_carver *c)
{
    if (c->overflow) return NULL;
    c->base = aligned_alloc(LINE, c->floats * sizeof(float) + LINE);
    c->floats = 0;
    return c->base;
}
