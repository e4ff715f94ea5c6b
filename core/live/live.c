#include "live/live.h"

#include <stdlib.h>
#include <string.h>

/* The bytes of one tensor, counted so that lives can share them. */
typedef struct live_bytes {
    int refs;
    bool valid; /* holds what `fingerprint` stands for; false while it is being made */
    uint64_t fingerprint, n_bytes;
    void *data; /* 64-byte aligned */
} live_bytes;

struct rs_live {
    rs_plan *plan;
    rs_config *config; /* its own: the plan's goes with the plan */
    rs_model *model;
    live_bytes **bytes; /* [n], the plan's order; NULL: not held */
    int *order;       /* [n_held] indices into the plan, lowest place first */
    int n, n_held;
};

/* --- where a tensor acts --- */

static bool tail_is(const rs_role *role, const char *end)
{
    size_t n = strlen(role->tail), m = strlen(end);
    return n >= m && strcmp(role->tail + n - m, end) == 0;
}

/* The lowest layer whose output depends on the tensor; -1: all of them through the
 * embeddings; n_layers: only what comes after the layers. */
static int place_of(const rs_role *role, int n_layers)
{
    if (role->layer >= 0) return role->layer < n_layers ? role->layer : n_layers;
    if (role->kind == RS_KIND_HEAD) return n_layers;
    if (role->kind == RS_KIND_NORM && strcmp(role->tail, "norm.weight") == 0)
        return n_layers;
    return -1;
}

/* In a layer: is it read before that layer's K and V are? */
static bool acts_on_kv(const rs_role *role)
{
    switch (role->kind) {
    case RS_KIND_K:
    case RS_KIND_V: return true;
    case RS_KIND_NORM:
        return tail_is(role, "input_layernorm.weight") || tail_is(role, "k_norm.weight");
    case RS_KIND_BIAS:
        return tail_is(role, "k_proj.bias") || tail_is(role, "v_proj.bias");
    default: return false;
    }
}

static void note_change(rs_live_change *c, const rs_role *role, int n_layers)
{
    int place = place_of(role, n_layers);
    rs_live_change one = {.first_layer = place < n_layers ? place : n_layers - 1,
                          .first_changed_kv =
                              place < 0 || (place < n_layers && acts_on_kv(role))};
    rs_live_change_add(c, &one);
}

void rs_live_change_add(rs_live_change *sum, const rs_live_change *more)
{
    sum->n_stale += more->n_stale;
    sum->n_done += more->n_done;
    if (more->first_layer > sum->first_layer) return;
    bool kv = more->first_changed_kv;
    if (more->first_layer == sum->first_layer) kv |= sum->first_changed_kv;
    sum->first_layer = more->first_layer;
    sum->first_changed_kv = kv;
}

/* Towers and inert tensors are written by a merge but read by no forward pass. */
static bool is_held(const rs_plan_tensor *t)
{
    return t->role.kind != RS_KIND_TOWER && t->role.kind != RS_KIND_OTHER &&
           !t->role.inert;
}

/* --- the bytes --- */

static live_bytes *bytes_new(uint64_t n_bytes)
{
    live_bytes *b = calloc(1, sizeof *b);
    if (!b || n_bytes > SIZE_MAX - 64) {
        free(b);
        return NULL;
    }
    b->data = aligned_alloc(64, ((size_t)n_bytes + 64) / 64 * 64);
    b->n_bytes = n_bytes;
    b->refs = 1;
    if (b->data) return b;
    free(b);
    return NULL;
}

static void bytes_drop(live_bytes *b)
{
    if (!b || --b->refs > 0) return;
    free(b->data);
    free(b);
}

static live_bytes *find_shared(const rs_live *share, const rs_plan *plan, int i)
{
    if (!share || i >= share->n || !share->bytes[i]) return NULL;
    live_bytes *b = share->bytes[i];
    const rs_plan_tensor *t = rs_plan_at(plan, i);
    bool same = b->valid && b->n_bytes == t->out_bytes &&
                strcmp(rs_plan_at(share->plan, i)->name, t->name) == 0 &&
                b->fingerprint == rs_plan_fingerprint(plan, i);
    return same ? b : NULL;
}

/* Bytes that nobody else reads, in the place of those that were there. */
static rs_status make_writable(live_bytes **slot, const rs_plan_tensor *t, rs_err *err)
{
    if (!*slot || (*slot)->refs > 1) {
        live_bytes *b = bytes_new(t->out_bytes);
        if (!b)
            return rs_fail(err, RS_E_NOMEM, "no memory for %s (%.1f MB) of the live model",
                           t->name, (double)t->out_bytes / 1e6);
        bytes_drop(*slot);
        *slot = b;
    }
    (*slot)->valid = false;
    return RS_OK;
}

static rs_status bind(rs_live *l, int i, rs_err *err)
{
    const rs_plan_tensor *t = rs_plan_at(l->plan, i);
    return rs_model_bind(l->model, t->name, t->out_dtype, t->base->n_dims, t->base->dim,
                         l->bytes[i]->data, NULL, err);
}

static rs_status make_tensor(const rs_runtime *rt, rs_live *l, int i, rs_err *err)
{
    RS_TRY(make_writable(&l->bytes[i], rs_plan_at(l->plan, i), err));
    live_bytes *b = l->bytes[i];
    rs_status s = rs_plan_produce_tensor(rt, l->plan, i, b->data, err);
    if (s == RS_OK) {
        b->valid = true;
        b->fingerprint = rs_plan_fingerprint(l->plan, i);
    }
    /* Bound even after a failure: the old place may be gone. */
    rs_status bound = bind(l, i, s == RS_OK ? err : NULL);
    return s == RS_OK ? bound : s;
}

static bool go_on(rs_progress_fn progress, void *ctx, int done, int total, const char *what)
{
    rs_progress p = {(uint64_t)done, (uint64_t)total, "tensors", what};
    return !progress || progress(ctx, &p);
}

/* --- opening --- */

/* Held tensors by place; a counting sort keeps the plan's order within a place. */
static bool sort_tensors(rs_live *l)
{
    int n_layers = l->config->n_layers;
    l->order = calloc((size_t)l->n + 1, sizeof *l->order);
    int *begin = calloc((size_t)n_layers + 3, sizeof *begin);
    if (!l->order || !begin) {
        free(begin);
        return false;
    }
    for (int i = 0; i < l->n; i++)
        if (is_held(rs_plan_at(l->plan, i)))
            begin[place_of(&rs_plan_at(l->plan, i)->role, n_layers) + 2]++;
    for (int k = 0; k < n_layers + 2; k++) begin[k + 1] += begin[k];
    for (int i = 0; i < l->n; i++)
        if (is_held(rs_plan_at(l->plan, i)))
            l->order[begin[place_of(&rs_plan_at(l->plan, i)->role, n_layers) + 1]++] = i;
    l->n_held = begin[n_layers + 1];
    free(begin);
    return true;
}

static rs_status load_config(const char *path, rs_config **out, rs_err *err)
{
    rs_checkpoint *c;
    RS_TRY(rs_checkpoint_open(path, &c, err));
    rs_status s = rs_config_load(c, out, err);
    rs_checkpoint_close(c);
    return s;
}

static rs_status fill(const rs_runtime *rt, rs_live *l, const rs_live *share,
                      rs_progress_fn progress, void *ctx, rs_err *err)
{
    for (int k = 0; k < l->n_held; k++) {
        int i = l->order[k];
        if (!go_on(progress, ctx, k, l->n_held, rs_plan_at(l->plan, i)->name))
            return rs_fail(err, RS_E_CANCELLED, "opening the model was given up");
        live_bytes *b = find_shared(share, l->plan, i);
        if (b) {
            b->refs++;
            l->bytes[i] = b;
            RS_TRY(bind(l, i, err));
        } else {
            RS_TRY(make_tensor(rt, l, i, err));
        }
    }
    (void)go_on(progress, ctx, l->n_held, l->n_held, "");
    return rs_model_complete(l->model, err);
}

static rs_status prepare(rs_live *l, rs_err *err)
{
    l->n = rs_plan_count(l->plan);
    RS_TRY(load_config(rs_plan_base_path(l->plan), &l->config, err));
    l->bytes = calloc((size_t)l->n + 1, sizeof *l->bytes);
    if (!l->bytes || !sort_tensors(l))
        return rs_fail(err, RS_E_NOMEM, "no memory for the live model's table");
    return rs_model_new(l->config, &l->model, err);
}

rs_status rs_live_open(const rs_runtime *rt, rs_plan *plan, const rs_live *share,
                       rs_progress_fn progress, void *ctx, rs_live **out, rs_err *err)
{
    *out = NULL;
    rs_live *l = calloc(1, sizeof *l);
    if (!l) {
        rs_plan_free(plan);
        return rs_fail(err, RS_E_NOMEM, "no memory for a live model");
    }
    l->plan = plan;
    rs_status s = prepare(l, err);
    if (s == RS_OK) s = rs_plan_prepare(rt, plan, progress, ctx, err);
    if (s == RS_OK) s = fill(rt, l, share, progress, ctx, err);
    if (s != RS_OK) {
        rs_live_close(l);
        return s;
    }
    *out = l;
    return RS_OK;
}

void rs_live_close(rs_live *l)
{
    if (!l) return;
    rs_model_free(l->model);
    for (int i = 0; l->bytes && i < l->n; i++) bytes_drop(l->bytes[i]);
    free(l->bytes);
    free(l->order);
    rs_config_free(l->config);
    rs_plan_free(l->plan);
    free(l);
}

/* --- following --- */

bool rs_live_fits(const rs_live *l, const rs_plan *plan)
{
    if (rs_plan_count(plan) != l->n ||
        strcmp(rs_plan_base_path(plan), rs_plan_base_path(l->plan)) != 0)
        return false;
    for (int i = 0; i < l->n; i++) {
        const rs_plan_tensor *a = rs_plan_at(l->plan, i), *b = rs_plan_at(plan, i);
        if (strcmp(a->name, b->name) != 0 || a->out_dtype != b->out_dtype ||
            a->out_bytes != b->out_bytes)
            return false;
    }
    return true;
}

static bool is_stale(const rs_live *l, int i)
{
    const live_bytes *b = l->bytes[i];
    return !b || !b->valid || b->fingerprint != rs_plan_fingerprint(l->plan, i);
}

static rs_status make_stale(const rs_runtime *rt, rs_live *l, rs_progress_fn progress,
                            void *ctx, rs_live_change *change, rs_err *err)
{
    for (int k = 0; k < l->n_held; k++) {
        int i = l->order[k];
        if (!is_stale(l, i)) continue;
        const rs_plan_tensor *t = rs_plan_at(l->plan, i);
        if (!go_on(progress, ctx, change->n_done, change->n_stale, t->name))
            return rs_fail(err, RS_E_CANCELLED, "merging was given up after %d of %d tensors",
                           change->n_done, change->n_stale);
        /* Noted before it is made: a failure half-way has changed it too. */
        note_change(change, &t->role, l->config->n_layers);
        RS_TRY(make_tensor(rt, l, i, err));
        change->n_done++;
    }
    return RS_OK;
}

rs_status rs_live_follow(const rs_runtime *rt, rs_live *l, rs_plan *plan,
                         rs_progress_fn progress, void *ctx, rs_live_change *change,
                         rs_err *err)
{
    *change = (rs_live_change){.first_layer = l->config->n_layers};
    if (!rs_live_fits(l, plan)) {
        rs_plan_free(plan);
        return rs_fail(err, RS_E_MISMATCH,
                       "the recipe's base or its tensors changed: open the model anew");
    }
    rs_plan_free(l->plan);
    l->plan = plan;
    for (int k = 0; k < l->n_held; k++) change->n_stale += is_stale(l, l->order[k]);
    if (change->n_stale == 0) return RS_OK;
    RS_TRY(rs_plan_prepare(rt, plan, progress, ctx, err));
    return make_stale(rt, l, progress, ctx, change, err);
}

/* --- looking --- */

const rs_model *rs_live_model(const rs_live *l) { return l->model; }
const rs_plan *rs_live_plan(const rs_live *l) { return l->plan; }

uint64_t rs_live_bytes(const rs_live *l)
{
    uint64_t n = 0;
    for (int i = 0; i < l->n; i++)
        if (l->bytes[i]) n += l->bytes[i]->n_bytes / (uint64_t)l->bytes[i]->refs;
    return n;
}

uint64_t rs_live_need(const rs_plan *plan, const rs_live *share)
{
    uint64_t n = 0;
    for (int i = 0; i < rs_plan_count(plan); i++)
        if (is_held(rs_plan_at(plan, i)) && !find_shared(share, plan, i))
            n += rs_plan_at(plan, i)->out_bytes;
    return n;
}

const void *rs_live_tensor(const rs_live *l, int i, uint64_t *bytes)
{
    if (i < 0 || i >= l->n || !l->bytes[i] || !l->bytes[i]->valid) return NULL;
    if (bytes) *bytes = l->bytes[i]->n_bytes;
    return l->bytes[i]->data;
}
