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
    entry *of; /* [n_layers + 1][RS_MAX_SLOTS]; the last row: outside the layers */
    float *memory;
    size_t floats;
};

static const rs_slot *slots_of(const rs_config *c, int layer)
{
    return layer < 0 ? c->family->model_slots : c->family->layer_slots;
}

static entry *entry_at(const rs_gradients *g, int layer, ptrdiff_t slot)
{
    int row = layer < 0 ? g->c->n_layers : layer;
    return &g->of[row * RS_MAX_SLOTS + slot];
}

static entry *entry_of(const rs_gradients *g, rs_place at)
{
    const rs_slot *s = slots_of(g->c, at.layer);
    for (int i = 0; s[i].tail; i++)
        if (s[i].offset == at.offset) return entry_at(g, at.layer, i);
    return NULL;
}

/* Sizes of the tensors of a layer; hands out memory from *at where there is some. */
static size_t lay_out(const rs_config *c, int layer, entry *of, float *memory, size_t at)
{
    const rs_slot *s = slots_of(c, layer);
    for (int i = 0; s[i].tail; i++) {
        if (s[i].form == RS_FORM_SCALAR || !rs_slot_needed(c, layer, &s[i])) continue;
        int64_t rows = rs_slot_size(c, layer, s[i].rows);
        int64_t cols = s[i].cols == RS_SIZE_NONE ? 1 : rs_slot_size(c, layer, s[i].cols);
        if (of) of[i] = (entry){memory ? memory + at : NULL, rows, cols};
        at += ((size_t)(rows * cols) + 15) / 16 * 16;
    }
    return at;
}

static size_t lay_out_all(const rs_config *c, entry *of, float *memory)
{
    size_t at = 0;
    for (int i = 0; i <= c->n_layers; i++)
        at = lay_out(c, i < c->n_layers ? i : -1, of ? of + i * RS_MAX_SLOTS : NULL,
                     memory, at);
    return at;
}

uint64_t rs_gradients_bytes(const rs_config *c)
{
    return (uint64_t)lay_out_all(c, NULL, NULL) * sizeof(float);
}

rs_status rs_gradients_new(const rs_runtime *rt, const rs_config *c, rs_gradients **out,
                           rs_err *err)
{
    *out = NULL;
    rs_gradients *g = calloc(1, sizeof *g);
    if (!g) return rs_fail(err, RS_E_NOMEM, "no memory for gradients");
    g->rt = rt;
    g->c = c;
    g->floats = lay_out_all(c, NULL, NULL);
    g->of = calloc((size_t)(c->n_layers + 1) * RS_MAX_SLOTS, sizeof *g->of);
    g->memory = calloc(g->floats + 1, sizeof *g->memory);
    if (!g->of || !g->memory) {
        rs_gradients_free(g);
        return rs_fail(err, RS_E_NOMEM, "no memory for %.2f GiB of gradients",
                       (double)rs_gradients_bytes(c) / 0x1p30);
    }
    lay_out_all(c, g->of, g->memory);
    *out = g;
    return RS_OK;
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
    rs_blas_threads(g->rt->threads);
    rs_blas_atb(e->rows, e->cols, n, dy, ldy, x, ldx, 1, e->at, e->cols);
    rs_blas_threads(1);
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
    return entry_at(g, layer, s - slots_of(g->c, layer))->at;
}
