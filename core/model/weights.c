#include "model/weights.h"

#include "base/size.h"
#include "model/model_internal.h"
#include "tensor/convert.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20, ALIGNMENT = 64, READ_PIECE = 8 << 20 };

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
    free(m->store);
    free(m);
}

/* --- binding --- */

static unsigned char *bound_flag(const rs_model *m, int layer, const rs_slot *s)
{
    const rs_family *f = m->config->family;
    ptrdiff_t slot = s - (layer < 0 ? f->model_slots : f->layer_slots);
    size_t row = (size_t)(layer < 0 ? m->config->n_layers : layer);
    return m->store->bound + row * RS_MAX_SLOTS + slot;
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

static rs_status complete_row(const rs_model *m, int layer, const rs_slot *s, rs_err *err)
{
    for (; s->tail; s++) {
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
    RS_TRY(complete_row(m, -1, m->config->family->model_slots, err));
    for (int i = 0; i < m->config->n_layers; i++)
        RS_TRY(complete_row(m, i, m->config->family->layer_slots, err));
    return RS_OK;
}

/* --- loading a whole checkpoint --- */

typedef struct load_item {
    const rs_tensor *tensor;
    const rs_slot *slot;
    int layer;
    bool widen;      /* read as float32: norms, scalars, types that are not multiplied */
    uint64_t bytes;  /* in memory */
    uint64_t offset; /* from the start of the model's memory */
    char *at;
    int64_t first_piece;
} load_item;

typedef struct loading {
    const rs_checkpoint *file;
    load_item *items;
    int n_items;
    int64_t n_pieces;
    uint64_t bytes;
    rs_err *errors; /* one a worker */
    rs_progress_fn progress;
    void *ctx;
} loading;

static rs_status list_items(loading *l, const rs_config *config, rs_err *err)
{
    int count = rs_checkpoint_count(l->file);
    l->items = calloc((size_t)count + 1, sizeof *l->items);
    if (!l->items)
        return rs_fail(err, RS_E_NOMEM, "no memory for a list of %d tensors", count);
    for (int i = 0; i < count; i++) {
        load_item it = {.tensor = rs_checkpoint_at(l->file, i)};
        it.slot = rs_slot_of(config, it.tensor->name, &it.layer);
        if (!it.slot) continue;
        it.widen = it.slot->form != RS_FORM_MATRIX || !rs_linear_takes(it.tensor->dtype);
        it.bytes = it.tensor->n_bytes;
        if (it.widen && !rs_dtype_bytes(RS_DTYPE_F32, it.tensor->n_elements, &it.bytes))
            return rs_fail(err, RS_E_FORMAT, "%s is too large", it.tensor->name);
        l->items[l->n_items++] = it;
    }
    return RS_OK;
}

static rs_status lay_out(loading *l, rs_err *err)
{
    for (int i = 0; i < l->n_items; i++) {
        load_item *it = &l->items[i];
        uint64_t piece = it->widen ? it->bytes : READ_PIECE;
        it->first_piece = l->n_pieces;
        it->offset = l->bytes;
        l->n_pieces += piece ? (int64_t)((it->bytes + piece - 1) / piece) : 0;
        uint64_t room = it->bytes + ALIGNMENT;
        if (room < it->bytes ||
            !rs_add_u64(l->bytes, room / ALIGNMENT * ALIGNMENT, &l->bytes) ||
            l->bytes > SIZE_MAX / 2)
            return rs_fail(err, RS_E_FORMAT, "%s is too large", it->tensor->name);
    }
    return RS_OK;
}

/* One piece of memory for all. Reading weights from 4 KiB pages costs a fifth of the
 * bandwidth and more, so large pages are asked for. */
static char *reserve(uint64_t bytes)
{
    size_t room = ((size_t)bytes + HUGE_PAGE) / HUGE_PAGE * HUGE_PAGE;
    char *memory = aligned_alloc(HUGE_PAGE, room);
#ifdef MADV_HUGEPAGE
    if (memory) madvise(memory, room, MADV_HUGEPAGE);
#endif
    return memory;
}

static const load_item *item_of_piece(const loading *l, int64_t piece)
{
    int low = 0, high = l->n_items - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (l->items[middle].first_piece <= piece)
            low = middle;
        else
            high = middle - 1;
    }
    return &l->items[low];
}

static rs_status read_piece(const loading *l, int64_t piece, rs_err *err)
{
    const load_item *it = item_of_piece(l, piece);
    if (it->widen)
        return rs_checkpoint_read_f32(l->file, it->tensor, 0, it->tensor->n_elements,
                                      (float *)(void *)it->at, err);
    uint64_t first = (uint64_t)(piece - it->first_piece) * READ_PIECE;
    uint64_t n = it->bytes - first < READ_PIECE ? it->bytes - first : READ_PIECE;
    return rs_checkpoint_read_raw(l->file, it->tensor, first, (size_t)n, it->at + first,
                                  err);
}

/* Worker 0 is the coordinating thread: it alone reports, by the number of the piece that it
 * got, since pieces are handed out in order. */
static bool load_chunk(void *ctx, int64_t piece, int worker)
{
    loading *l = ctx;
    rs_err *err = &l->errors[worker];
    if (read_piece(l, piece, err) != RS_OK) return false;
    if (worker != 0 || !l->progress) return true;
    const load_item *it = item_of_piece(l, piece);
    rs_progress p = {l->bytes / (uint64_t)l->n_pieces * (uint64_t)piece, l->bytes,
                     "bytes", it->tensor->name};
    if (l->progress(l->ctx, &p)) return true;
    rs_fail(err, RS_E_CANCELLED, "loading was cancelled");
    return false;
}

static rs_status read_all(const rs_runtime *rt, loading *l, rs_err *err)
{
    l->errors = calloc((size_t)rt->threads, sizeof *l->errors);
    if (!l->errors) return rs_fail(err, RS_E_NOMEM, "no memory for loading");
    if (rs_pool_run(rt->pool, l->n_pieces, load_chunk, l)) return RS_OK;
    for (int i = 0; i < rt->threads; i++)
        if (l->errors[i].code != RS_OK)
            return rs_fail(err, l->errors[i].code, "%s", l->errors[i].msg);
    return rs_fail(err, RS_E_BUG, "loading stopped without a reason");
}

static rs_status bind_all(const loading *l, rs_model *m, rs_err *err)
{
    for (int i = 0; i < l->n_items; i++) {
        const load_item *it = &l->items[i];
        rs_dtype d = it->widen ? RS_DTYPE_F32 : it->tensor->dtype;
        RS_TRY(rs_model_bind(m, it->tensor->name, d, it->tensor->n_dims, it->tensor->dim,
                             it->at, NULL, err));
    }
    return rs_model_complete(m, err);
}

static rs_status load(const rs_runtime *rt, loading *l, rs_model *m, rs_err *err)
{
    RS_TRY(list_items(l, m->config, err));
    RS_TRY(lay_out(l, err));
    char *memory = reserve(l->bytes);
    if (!memory)
        return rs_fail(err, RS_E_NOMEM, "no memory for the %.1f MB of weights of %s",
                       (double)l->bytes / 1e6, rs_checkpoint_path(l->file));
    m->store->memory = memory;
    for (int i = 0; i < l->n_items; i++)
        l->items[i].at = memory + l->items[i].offset;
    RS_TRY(read_all(rt, l, err));
    rs_status s = bind_all(l, m, err);
    return s == RS_OK ? s : rs_err_prefix(err, "%s", rs_checkpoint_path(l->file));
}

rs_status rs_model_load(const rs_runtime *rt, const rs_checkpoint *c,
                        const rs_config *config, rs_progress_fn progress, void *ctx,
                        rs_model **out, rs_err *err)
{
    *out = NULL;
    rs_model *m;
    RS_TRY(rs_model_new(config, &m, err));
    loading l = {.file = c, .progress = progress, .ctx = ctx};
    rs_status s = load(rt, &l, m, err);
    free(l.items);
    free(l.errors);
    if (s == RS_OK)
        *out = m;
    else
        rs_model_free(m);
    return s;
}
