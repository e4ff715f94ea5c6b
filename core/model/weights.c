#include "model/weights.h"

#include "base/size.h"
#include "model/model_internal.h"
#include "tensor/convert.h"

#include <stdlib.h>
#include <string.h>

/* --- an empty model --- */

static int count_slots(const rs_slot *s)
{
    int n = 0;
    while (s[n].tail)
        n++;
    return n;
}

static rs_status make(const rs_config *c, rs_model *m, rs_err *err)
{
    if (count_slots(c->family->layer_slots) > RS_MAX_SLOTS ||
        count_slots(c->family->model_slots) > RS_MAX_SLOTS)
        return rs_fail(err, RS_E_BUG, "family %s has more than %d slots", c->family->name,
                       RS_MAX_SLOTS);
    size_t rows = (size_t)c->n_layers + 1;
    m->config = c;
    m->layers = rs_arena_array(&m->store->arena, rows, sizeof *m->layers);
    m->store->bound = rs_arena_array(&m->store->arena, rows, RS_MAX_SLOTS);
    if (!m->layers || !m->store->bound)
        return rs_fail(err, RS_E_NOMEM, "no memory for a model of %d layers",
                       c->n_layers);
    for (int i = 0; i < c->n_layers; i++)
        m->layers[i].layer_scalar = 1;
    RS_TRY(rs_kernels_pick(NULL, &m->store->kernels, err));
    return rs_rope_build(c, m->store, err);
}

rs_status rs_model_new(const rs_config *config, rs_model **out, rs_err *err)
{
    *out = NULL;
    rs_model *m = calloc(1, sizeof *m);
    struct rs_model_store *store = calloc(1, sizeof *store);
    if (!m || !store) {
        free(m);
        free(store);
        return rs_fail(err, RS_E_NOMEM, "no memory for a model");
    }
    m->store = store;
    rs_status s = make(config, m, err);
    if (s == RS_OK)
        *out = m;
    else
        rs_model_free(m);
    return s;
}

void rs_model_free(rs_model *m)
{
    if (!m) return;
    rs_arena_free(&m->store->arena);
    free(m->store->memory);
    free(m->store->layer_memory);
    free(m->store);
    free(m);
}

/* --- binding --- */

static unsigned char *bound_flag(const rs_model *m, int layer, const rs_slot *s)
{
    return m->store->bound + rs_slot_index(m->config, layer, s);
}

static void *place_of(rs_model *m, int layer, const rs_slot *s)
{
    char *base = layer < 0 ? (char *)m : (char *)&m->layers[layer];
    return base + s->offset;
}

static rs_status bind_matrix(rs_matrix *to, const char *name, rs_dtype dtype,
                             const int64_t *dim, const void *data, rs_err *err)
{
    const rs_dtype_info *info = rs_dtype_of(dtype);
    if (!rs_linear_takes(dtype))
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "%s is stored as %s, which cannot be multiplied", name,
                       info->name);
    if (dim[1] % info->block != 0)
        return rs_fail(err, RS_E_FORMAT,
                       "%s is %s with rows that are not whole blocks of %d", name,
                       info->name, info->block);
    *to = (rs_matrix){dtype, dim[0], dim[1], data};
    return RS_OK;
}

/* A norm or bias, widened into memory of its own. */
static rs_status bind_vector(rs_model *m, float **to, int64_t n, bool plus_one,
                             const char *name, rs_dtype dtype, const void *data,
                             rs_err *err)
{
    if (!rs_dtype_is_numeric(dtype) || n % rs_dtype_of(dtype)->block != 0)
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "%s is stored as %s, which is not a vector's type", name,
                       rs_dtype_name(dtype));
    if (!*to) *to = rs_arena_array(&m->store->arena, (size_t)n, sizeof **to);
    if (!*to) return rs_fail(err, RS_E_NOMEM, "no memory for %s", name);
    rs_to_f32(m->store->kernels, dtype, data, *to, n);
    if (plus_one)
        for (int64_t i = 0; i < n; i++)
            (*to)[i] += 1.0f;
    return RS_OK;
}

static rs_status bind_scalar(rs_model *m, float *to, const char *name, rs_dtype dtype,
                             const void *data, rs_err *err)
{
    if (!rs_dtype_is_numeric(dtype) || rs_dtype_of(dtype)->block != 1)
        return rs_fail(err, RS_E_UNSUPPORTED, "%s is stored as %s, which is not a number",
                       name, rs_dtype_name(dtype));
    rs_to_f32(m->store->kernels, dtype, data, to, 1);
    return RS_OK;
}

static rs_status bind_slot(rs_model *m, int layer, const rs_slot *s, const char *name,
                           rs_dtype dtype, const int64_t *dim, const void *data,
                           rs_err *err)
{
    void *to = place_of(m, layer, s);
    if (s->form == RS_FORM_SCALAR) return bind_scalar(m, to, name, dtype, data, err);
    bool plus = s->form == RS_FORM_NORM && m->config->family->norm == RS_NORM_ONE_PLUS_W;
    if (s->form != RS_FORM_MATRIX)
        return bind_vector(m, to, dim[0], plus, name, dtype, data, err);
    RS_TRY(bind_matrix(to, name, dtype, dim, data, err));
    if (to == (void *)&m->embed && m->config->tied_head) m->head = m->embed;
    return RS_OK;
}

rs_status rs_model_bind(rs_model *m, const char *name, rs_dtype dtype, int n_dims,
                        const int64_t *dim, const void *data, bool *used, rs_err *err)
{
    int layer;
    const rs_slot *s = rs_slot_of(m->config, name, &layer);
    if (used) *used = s != NULL;
    if (!s) return RS_OK;
    RS_TRY(rs_slot_check(m->config, layer, s, name, n_dims, dim, err));
    RS_TRY(bind_slot(m, layer, s, name, dtype, dim, data, err));
    *bound_flag(m, layer, s) = 1;
    return RS_OK;
}

static uint64_t matrix_bytes(const rs_matrix *m)
{
    uint64_t row;
    return m->data && rs_dtype_bytes(m->dtype, m->cols, &row) ? row * (uint64_t)m->rows : 0;
}

uint64_t rs_model_bytes(const rs_model *m)
{
    uint64_t bytes = 0;
    for (int i = -1; i < m->config->n_layers; i++) {
        const char *base = i < 0 ? (const char *)m : (const char *)&m->layers[i];
        for (const rs_slot *s = rs_family_slots(m->config, i); s->tail; s++)
            if (s->form == RS_FORM_MATRIX)
                bytes += matrix_bytes((const void *)(base + s->offset));
    }
    return bytes;
}

rs_status rs_model_part_complete(const rs_model *m, int layer, rs_err *err)
{
    for (const rs_slot *s = rs_family_slots(m->config, layer); s->tail; s++) {
        if (!rs_slot_needed(m->config, layer, s) || *bound_flag(m, layer, s)) continue;
        if (layer < 0)
            return rs_fail(err, RS_E_MISMATCH, "the model has no tensor %s", s->tail);
        return rs_fail(err, RS_E_MISMATCH, "the model has no tensor layers.%d.%s", layer,
                       s->tail);
    }
    return RS_OK;
}

rs_status rs_model_complete(const rs_model *m, rs_err *err)
{
    for (int i = -1; i < m->config->n_layers; i++)
        RS_TRY(rs_model_part_complete(m, i, err));
    return RS_OK;
}
