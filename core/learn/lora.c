#include "learn/lora.h"

#include "base/rng.h"
#include "model/family.h"
#include "model/model_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_FLOATS = 16 };

typedef struct build {
    rs_lora *l;
    const rs_checkpoint *file;
    const rs_lora_options *o;
} build;

static bool usual(const rs_role *role)
{
    return role->kind <= RS_KIND_DOWN;
}

static bool is_target(const build *b, const char *name)
{
    rs_role role = rs_role_of(b->l->config, name);
    if (role.kind >= RS_N_LAYER_KINDS || role.layer < 0 || role.inert) return false;
    return b->o->wants ? b->o->wants(b->o->wants_ctx, name, role.layer) : usual(&role);
}

static int *place_of(const rs_lora *l, int layer, const rs_slot *s)
{
    return &l->index[rs_slot_index(l->config, layer, s)];
}

static rs_status check_rank(const rs_lora *l, const rs_lora_pair *p, rs_err *err)
{
    int64_t least = p->rows < p->cols ? p->rows : p->cols;
    if (l->rank >= 1 && l->rank <= least) return RS_OK;
    return rs_fail(err, RS_E_INVALID,
                   "%s is %" PRId64 " x %" PRId64
                   ": a rank of %d is not from 1 to %" PRId64,
                   p->weight, p->rows, p->cols, l->rank, least);
}

static rs_status add_pair(build *b, const rs_tensor *t, rs_err *err)
{
    rs_lora *l = b->l;
    int layer;
    const rs_slot *s = rs_slot_of(l->config, t->name, &layer);
    if (!s || s->form != RS_FORM_MATRIX || !rs_slot_needed(l->config, layer, s))
        return RS_OK;
    RS_TRY(rs_slot_check(l->config, layer, s, t->name, t->n_dims, t->dim, err));
    rs_lora_pair *p = &l->pairs[l->n];
    *p = (rs_lora_pair){.weight = rs_arena_strdup(&l->arena, t->name),
                        .at = {layer, s->offset},
                        .rows = t->dim[0],
                        .cols = t->dim[1]};
    if (!p->weight) return rs_fail(err, RS_E_NOMEM, "no memory for an adapter");
    RS_TRY(check_rank(l, p, err));
    int *place = place_of(l, layer, s);
    if (*place >= 0)
        return rs_fail(err, RS_E_FORMAT, "%s and %s are the same matrix",
                       l->pairs[*place].weight, p->weight);
    *place = l->n++;
    return RS_OK;
}

static int by_layer(const void *x, const void *y)
{
    const rs_lora_pair *a = x, *b = y;
    if (a->at.layer != b->at.layer) return a->at.layer < b->at.layer ? -1 : 1;
    return strcmp(a->weight, b->weight);
}

/* Files list tensors in different orders: the adapter's is its own. */
static void sort_pairs(rs_lora *l)
{
    qsort(l->pairs, (size_t)l->n, sizeof *l->pairs, by_layer);
    for (int i = 0; i < l->n; i++) {
        rs_place at = l->pairs[i].at;
        *place_of(l, at.layer, rs_slot_at(l->config, at.layer, at.offset)) = i;
    }
    l->lowest_layer = l->pairs[0].at.layer;
}

static rs_status find_pairs(build *b, rs_err *err)
{
    rs_lora *l = b->l;
    size_t places = (size_t)l->config->n_layers * RS_MAX_SLOTS;
    l->pairs = rs_arena_array(&l->arena, places + 1, sizeof *l->pairs);
    l->index = rs_arena_array(&l->arena, places + 1, sizeof *l->index);
    if (!l->pairs || !l->index)
        return rs_fail(err, RS_E_NOMEM, "no memory for an adapter");
    for (size_t i = 0; i < places; i++)
        l->index[i] = -1;
    for (int i = 0; i < rs_checkpoint_count(b->file); i++) {
        const rs_tensor *t = rs_checkpoint_at(b->file, i);
        if (is_target(b, t->name)) RS_TRY(add_pair(b, t, err));
    }
    if (l->n == 0)
        return rs_fail(err, RS_E_INVALID,
                       "none of the model's matrices is selected: nothing to train");
    sort_pairs(l);
    return RS_OK;
}

/* Hands out the factors' memory. */
static void place_factors(rs_lora *l)
{
    int64_t at = 0;
    for (int i = 0; i < l->n; i++) {
        rs_lora_pair *p = &l->pairs[i];
        int64_t a = at, b = at + l->rank * p->cols;
        at = b + l->rank * p->rows;
        if (!l->values) continue;
        p->a = l->values + a;
        p->b = l->values + b;
        p->da = l->gradients + a;
        p->db = l->gradients + b;
    }
    l->floats = at;
}

static bool is_called_as_a_target(const rs_lora *l, const char *name)
{
    const char *own = strrchr(name, '.');
    while (own && own > name && own[-1] != '.')
        own--;
    for (int i = 0; own && i < l->n; i++) {
        size_t n = strlen(l->pairs[i].weight), m = strlen(own);
        if (m < n && strcmp(l->pairs[i].weight + n - m, own) == 0) return true;
    }
    return false;
}

static bool is_pair(const rs_lora *l, const char *name)
{
    for (int i = 0; i < l->n; i++)
        if (strcmp(l->pairs[i].weight, name) == 0) return true;
    return false;
}

static void look_at_names(rs_lora *l, const rs_checkpoint *file)
{
    l->kinds_suffice = true;
    for (int i = 0; i < rs_checkpoint_count(file) && l->kinds_suffice; i++) {
        const char *name = rs_checkpoint_at(file, i)->name;
        rs_role role = rs_role_of(l->config, name);
        if (role.kind == RS_KIND_TOWER)
            l->kinds_suffice = false;
        else if (!role.inert && is_called_as_a_target(l, name))
            l->kinds_suffice = is_pair(l, name);
    }
}

static rs_status take_memory(rs_lora *l, rs_err *err)
{
    place_factors(l);
    l->values = calloc((size_t)l->floats + LINE_FLOATS, sizeof *l->values);
    l->gradients = calloc((size_t)l->floats + LINE_FLOATS, sizeof *l->gradients);
    if (!l->values || !l->gradients)
        return rs_fail(err, RS_E_NOMEM, "no memory for %" PRId64 " numbers of an adapter",
                       l->floats);
    place_factors(l);
    return RS_OK;
}

static void draw_factors(rs_lora *l, uint64_t seed)
{
    for (int i = 0; i < l->n; i++) {
        const rs_lora_pair *p = &l->pairs[i];
        uint64_t stream = rs_rng_name(p->weight);
        double side = 1 / sqrt((double)p->cols);
        for (int64_t k = 0; k < l->rank * p->cols; k++) {
            double u = (double)(rs_rng_at(seed, stream, (uint64_t)k) >> 11) * 0x1p-53;
            p->a[k] = (float)((2 * u - 1) * side);
        }
    }
}

static rs_status make(build *b, rs_err *err)
{
    RS_TRY(find_pairs(b, err));
    look_at_names(b->l, b->file);
    RS_TRY(take_memory(b->l, err));
    draw_factors(b->l, b->o->seed);
    return RS_OK;
}

rs_status rs_lora_new(const rs_checkpoint *file, const rs_config *c,
                      const rs_lora_options *o, rs_lora **out, rs_err *err)
{
    *out = NULL;
    if (!(o->alpha > 0) || !isfinite(o->alpha))
        return rs_fail(err, RS_E_INVALID, "an alpha of %g is not a number above 0",
                       o->alpha);
    rs_lora *l = calloc(1, sizeof *l);
    if (!l) return rs_fail(err, RS_E_NOMEM, "no memory for an adapter");
    l->config = c;
    l->rank = o->rank;
    l->alpha = o->alpha;
    l->rslora = o->rslora;
    l->scale = (float)(o->alpha / (o->rslora ? sqrt((double)o->rank) : (double)o->rank));
    build b = {l, file, o};
    rs_status s = make(&b, err);
    if (s == RS_OK)
        *out = l;
    else
        rs_lora_free(l);
    return s;
}

void rs_lora_free(rs_lora *l)
{
    if (!l) return;
    free(l->values);
    free(l->gradients);
    rs_arena_free(&l->arena);
    free(l);
}

const rs_lora_pair *rs_lora_at(const rs_lora *l, rs_place at)
{
    if (at.layer < 0) return NULL;
    const rs_slot *s = rs_slot_at(l->config, at.layer, at.offset);
    int i = s ? *place_of(l, at.layer, s) : -1;
    return i < 0 ? NULL : &l->pairs[i];
}
