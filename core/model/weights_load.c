/* weights_load.c - a checkpoint's tensors into memory that the model owns: all of them, or one
 * layer's at a time, then without the table of per-layer embeddings, whose rows are read as
 * they are looked up. */
#include "base/size.h"
#include "model/model_internal.h"
#include "tensor/convert.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20, ALIGNMENT = 64, READ_PIECE = 8 << 20 };

typedef struct load_item {
    const rs_tensor *tensor;
    const rs_slot *slot;
    int layer;
    bool widen;      /* read as float32: norms, scalars, types that are not multiplied */
    uint64_t bytes;  /* in memory; 0: bound without its numbers */
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
    bool partly;    /* only tensors of this layer, -1: outside the layers */
    int layer;
    rs_progress_fn progress;
    void *ctx;
} loading;

static bool is_ple_table(int layer, const rs_slot *s)
{
    return layer < 0 && s->offset == offsetof(rs_model, ple_embed);
}

static bool is_widened(const rs_tensor *t, const rs_slot *s)
{
    return s->form != RS_FORM_MATRIX || !rs_linear_takes(t->dtype);
}

static rs_status list_items(loading *l, const rs_config *config, rs_err *err)
{
    int count = rs_checkpoint_count(l->file);
    l->items = calloc((size_t)count + 1, sizeof *l->items);
    if (!l->items)
        return rs_fail(err, RS_E_NOMEM, "no memory for a list of %d tensors", count);
    for (int i = 0; i < count; i++) {
        load_item it = {.tensor = rs_checkpoint_at(l->file, i)};
        it.slot = rs_slot_of(config, it.tensor->name, &it.layer);
        if (!it.slot || (l->partly && it.layer != l->layer)) continue;
        it.widen = is_widened(it.tensor, it.slot);
        it.bytes = it.tensor->n_bytes;
        if (it.widen && !rs_dtype_bytes(RS_DTYPE_F32, it.tensor->n_elements, &it.bytes))
            return rs_fail(err, RS_E_FORMAT, "%s is too large", it.tensor->name);
        if (l->partly && is_ple_table(it.layer, it.slot)) it.bytes = 0;
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
static size_t room_for(uint64_t bytes)
{
    return ((size_t)bytes + HUGE_PAGE) / HUGE_PAGE * HUGE_PAGE;
}

static char *reserve(uint64_t bytes)
{
    size_t room = room_for(bytes);
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
    return l->partly ? rs_model_part_complete(m, l->layer, err)
                     : rs_model_complete(m, err);
}

/* Reads what the list holds into new memory and binds it; memory that held it before goes. */
static rs_status load(const rs_runtime *rt, loading *l, rs_model *m, void **memory,
                      rs_err *err)
{
    RS_TRY(list_items(l, m->config, err));
    RS_TRY(lay_out(l, err));
    free(*memory);
    char *at = *memory = reserve(l->bytes);
    if (!at)
        return rs_fail(err, RS_E_NOMEM, "no memory for the %.1f MB of weights of %s",
                       (double)l->bytes / 1e6, rs_checkpoint_path(l->file));
    for (int i = 0; i < l->n_items; i++)
        if (l->items[i].bytes) l->items[i].at = at + l->items[i].offset;
    RS_TRY(read_all(rt, l, err));
    rs_status s = bind_all(l, m, err);
    return s == RS_OK ? s : rs_err_prefix(err, "%s", rs_checkpoint_path(l->file));
}

static rs_status run(const rs_runtime *rt, loading *l, rs_model *m, void **memory,
                     rs_err *err)
{
    rs_status s = load(rt, l, m, memory, err);
    free(l->items);
    free(l->errors);
    return s;
}

rs_status rs_model_load(const rs_runtime *rt, const rs_checkpoint *c,
                        const rs_config *config, rs_progress_fn progress, void *ctx,
                        rs_model **out, rs_err *err)
{
    *out = NULL;
    rs_model *m;
    RS_TRY(rs_model_new(config, &m, err));
    loading l = {.file = c, .progress = progress, .ctx = ctx};
    rs_status s = run(rt, &l, m, &m->store->memory, err);
    if (s == RS_OK)
        *out = m;
    else
        rs_model_free(m);
    return s;
}

rs_status rs_model_load_part(const rs_runtime *rt, const rs_checkpoint *c, rs_model *m,
                             int layer, rs_err *err)
{
    loading l = {.file = c, .partly = true, .layer = layer};
    struct rs_model_store *s = m->store;
    return run(rt, &l, m, layer < 0 ? &s->memory : &s->layer_memory, err);
}

void rs_model_drop_part(rs_model *m, int layer)
{
    void **memory = layer < 0 ? &m->store->memory : &m->store->layer_memory;
    free(*memory);
    *memory = NULL;
}

rs_status rs_model_part_bytes(const rs_checkpoint *c, const rs_config *config, int layer,
                              uint64_t *bytes, rs_err *err)
{
    loading l = {.file = c, .partly = true, .layer = layer};
    rs_status s = list_items(&l, config, err);
    if (s == RS_OK) s = lay_out(&l, err);
    *bytes = room_for(l.bytes);
    free(l.items);
    return s;
}

/* --- rows of the table of per-layer embeddings --- */

static const rs_tensor *find_ple_table(const rs_checkpoint *c, const rs_config *config)
{
    for (int i = 0; i < rs_checkpoint_count(c); i++) {
        const rs_tensor *t = rs_checkpoint_at(c, i);
        int layer;
        const rs_slot *s = rs_slot_of(config, t->name, &layer);
        if (s && is_ple_table(layer, s)) return t;
    }
    return NULL;
}

uint64_t rs_model_ple_bytes(const rs_checkpoint *c, const rs_config *config, int64_t n)
{
    const rs_tensor *t = find_ple_table(c, config);
    int64_t all = (int64_t)config->n_layers * config->ple_width;
    if (!t) return 0;
    rs_dtype type = rs_linear_takes(t->dtype) ? t->dtype : RS_DTYPE_F32;
    const rs_dtype_info *d = rs_dtype_of(type);
    return (uint64_t)n * (uint64_t)(all / d->block * d->block_bytes);
}

rs_status rs_model_read_ple(const rs_checkpoint *c, const rs_model *m, const int32_t *ids,
                            int64_t n, void *rows, rs_err *err)
{
    const rs_tensor *t = find_ple_table(c, m->config);
    int64_t cols = m->ple_embed.cols;
    uint64_t each = rs_model_ple_bytes(c, m->config, 1);
    if (!t) return rs_fail(err, RS_E_MISMATCH, "no table of per-layer embeddings");
    for (int64_t i = 0; i < n; i++) {
        char *to = (char *)rows + (uint64_t)i * each;
        if (ids[i] < 0 || ids[i] >= m->ple_embed.rows)
            return rs_fail(err, RS_E_INVALID, "%s has no row %" PRId32, t->name, ids[i]);
        RS_TRY(rs_linear_takes(t->dtype)
                   ? rs_checkpoint_read_raw(c, t, (uint64_t)ids[i] * each, (size_t)each,
                                            to, err)
                   : rs_checkpoint_read_f32(c, t, ids[i] * cols, cols,
                                            (float *)(void *)to, err));
    }
    return RS_OK;
}
