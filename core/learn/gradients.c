#include "learn/gradients.h"

#include "model/model_internal.h"
#include "tensor/blas.h"
#include "tensor/linear.h"

#include <stdlib.h>
#include <string.h>

typedef struct entry {
    float *at; /* NULL: no gradient */
    int64_t rows, cols;
} entry;

struct rs_gradients {
    const rs_runtime *rt;
    const rs_config *c;
    entry *of; /* by rs_slot_index */
    float *memory;
    size_t floats;
};

static entry *entry_of(const rs_gradients *g, rs_place at)
{
    const rs_slot *s = rs_slot_at(g->c, at.layer, at.offset);
    return s ? &g->of[rs_slot_index(g->c, at.layer, s)] : NULL;
}

static size_t padded(int64_t n)
{
    return ((size_t)n + 15) / 16 * 16;
}

/* Sizes of a layer's tensors from float *at on; hands out memory where there is some. */
static void lay_out(rs_gradients *g, int layer, float *memory, size_t *at)
{
    for (const rs_slot *s = rs_family_slots(g->c, layer); s->tail; s++) {
        if (s->form == RS_FORM_SCALAR || !rs_slot_needed(g->c, layer, s)) continue;
        entry *e = &g->of[rs_slot_index(g->c, layer, s)];
        e->rows = rs_slot_size(g->c, layer, s->rows);
        e->cols = rs_slot_size(g->c, layer, s->cols);
        if (memory) e->at = memory + *at;
        *at += padded(e->rows * e->cols);
    }
}

static rs_status allocate(rs_gradients *g, rs_err *err)
{
    size_t at = 0;
    g->of = calloc((size_t)(g->c->n_layers + 1) * RS_MAX_SLOTS, sizeof *g->of);
    if (!g->of) return rs_fail(err, RS_E_NOMEM, "no memory for gradients");
    for (int layer = -1; layer < g->c->n_layers; layer++)
        lay_out(g, layer, NULL, &g->floats);
    g->memory = calloc(g->floats + 1, sizeof *g->memory);
    if (!g->memory)
        return rs_fail(err, RS_E_NOMEM, "no memory for %.2f GiB of gradients",
                       (double)g->floats * sizeof(float) / 0x1p30);
    for (int layer = -1; layer < g->c->n_layers; layer++)
        lay_out(g, layer, g->memory, &at);
    return RS_OK;
}

rs_status rs_gradients_new(const rs_runtime *rt, const rs_config *c, rs_gradients **out,
                           rs_err *err)
{
    *out = NULL;
    rs_gradients *g = calloc(1, sizeof *g);
    if (!g) return rs_fail(err, RS_E_NOMEM, "no memory for gradients");
    g->rt = rt;
    g->c = c;
    rs_status s = allocate(g, err);
    if (s == RS_OK)
        *out = g;
    else
        rs_gradients_free(g);
    return s;
}

void rs_gradients_free(rs_gradients *g)
{
    if (!g) return;
    free(g->of);
    free(g->memory);
    free(g);
}

void rs_gradients_zero(rs_gradients *g)
{
    memset(g->memory, 0, g->floats * sizeof *g->memory);
}

static rs_status no_place(rs_place at, rs_err *err)
{
    return rs_fail(err, RS_E_BUG, "no gradient stands at offset %zu of layer %d",
                   at.offset, at.layer);
}

static rs_status add_matrix(void *ctx, rs_place at, const float *dy, int64_t ldy,
                            const float *x, int64_t ldx, int64_t n, rs_err *err)
{
    rs_gradients *g = ctx;
    entry *e = entry_of(g, at);
    if (!e || !e->at) return no_place(at, err);
    rs_blas_spread_atb(g->rt->threads, e->rows, e->cols, n, dy, ldy, x, ldx, 1, e->at,
                       e->cols);
    return RS_OK;
}

static rs_status add_vector(void *ctx, rs_place at, const float *rows, int64_t n,
                            int64_t width, rs_err *err)
{
    rs_gradients *g = ctx;
    entry *e = entry_of(g, at);
    if (!e || !e->at || e->rows * e->cols != width) return no_place(at, err);
    for (int64_t t = 0; t < n; t++)
        g->rt->kernels->linear->add(e->at, rows + t * width, width);
    return RS_OK;
}

static rs_status add_rows(void *ctx, rs_place at, const int32_t *ids, const float *rows,
                          int64_t ld, float scale, int64_t n, int64_t width, rs_err *err)
{
    rs_gradients *g = ctx;
    entry *e = entry_of(g, at);
    if (!e || !e->at || e->cols != width) return no_place(at, err);
    for (int64_t t = 0; t < n; t++) {
        if (ids[t] < 0) continue;
        float *to = e->at + ids[t] * width;
        for (int64_t i = 0; i < width; i++)
            to[i] += scale * rows[t * ld + i];
    }
    return RS_OK;
}

rs_sink rs_gradients_sink(rs_gradients *g)
{
    return (rs_sink){g, add_matrix, add_vector, add_rows};
}

const float *rs_gradients_of(const rs_gradients *g, int layer, const rs_slot *s)
{
    return g->of[rs_slot_index(g->c, layer, s)].at;
}
