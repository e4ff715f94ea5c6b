/* Which tensors a GGUF of this model has, and as what they are stored. */
#include "model/export_internal.h"
#include "model/model_internal.h"
#include "tensor/quantise.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 32 };

/* --- the source's tensors by slot --- */

typedef struct found {
    int *at; /* by rs_slot_index: the source's tensor, -1: none */
    const rs_config *config;
} found;

static int *place(const found *f, int layer, const rs_slot *s)
{
    return f->at + rs_slot_index(f->config, layer, s);
}

static rs_status find_one(const found *f, const rs_export_source *src, int i, rs_err *err)
{
    rs_export_tensor t = src->tensor(src->ctx, i);
    int layer;
    const rs_slot *s = rs_slot_of(f->config, t.name, &layer);
    if (!s) return RS_OK;
    RS_TRY(rs_slot_check(f->config, layer, s, t.name, t.n_dims, t.dim, err));
    int *at = place(f, layer, s);
    if (*at >= 0)
        return rs_fail(err, RS_E_MISMATCH, "%.200s and %.200s are the same tensor",
                       src->tensor(src->ctx, *at).name, t.name);
    if (!rs_dtype_is_computed(t.dtype))
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "%.200s is stored as %s, which is not a weight's type", t.name,
                       rs_dtype_name(t.dtype));
    *at = i;
    return RS_OK;
}

/* --- types --- */

static bool makes_logits(const rs_config *c, const rs_slot *s)
{
    const char *tail = c->tied_head ? "embed_tokens.weight" : "lm_head.weight";
    return strcmp(s->tail, tail) == 0;
}

static rs_dtype type_of(const rs_export_job *j, const rs_slot *s, rs_dtype stored,
                        int64_t cols)
{
    rs_dtype asked = j->o->dtype;
    if (s->form != RS_FORM_MATRIX) return RS_DTYPE_F32;
    if (!rs_quantise_takes(asked)) return asked;
    if (s->rows == RS_SIZE_PLE_ALL) return RS_DTYPE_BF16;
    if (cols % BLOCK != 0) return stored == RS_DTYPE_F16 ? RS_DTYPE_F16 : RS_DTYPE_BF16;
    return makes_logits(j->source->config, s) ? RS_DTYPE_Q8_0 : asked;
}

/* --- items --- */

/* Llama's files have the pairs that RoPE turns beside each other. */
static bool is_reordered(const rs_export_job *j, const rs_slot *s)
{
    return strcmp(j->arch, "llama") == 0 && s->form == RS_FORM_MATRIX &&
           (strcmp(s->tail, "self_attn.q_proj.weight") == 0 ||
            strcmp(s->tail, "self_attn.k_proj.weight") == 0);
}

static rs_status add_item(rs_export_job *j, int layer, const rs_slot *s, int i_source,
                          rs_err *err)
{
    const rs_config *c = j->source->config;
    rs_export_tensor t = j->source->tensor(j->source->ctx, i_source);
    rs_export_item *it = &j->items[j->n_items++];
    *it = (rs_export_item){.i_source = i_source};
    if (!rs_gguf_stored_name(j->arch, layer, s->tail, it->name, sizeof it->name,
                             &it->shift))
        return rs_fail(err, RS_E_UNSUPPORTED, "GGUF has no name for %.200s of a %s",
                       t.name, c->model_type);
    it->n_dims = s->form == RS_FORM_MATRIX ? 2 : 1;
    it->dim[0] = rs_slot_size(c, layer, s->rows);
    it->dim[1] = rs_slot_size(c, layer, s->cols);
    it->n = it->dim[0] * it->dim[1];
    it->dtype = type_of(j, s, t.dtype, it->dim[1]);
    it->head_dim = is_reordered(j, s) ? c->layers[layer].head_dim : 0;
    return RS_OK;
}

static rs_status add_row(rs_export_job *j, const found *f, int layer, rs_err *err)
{
    for (const rs_slot *s = rs_family_slots(f->config, layer); s->tail; s++) {
        if (!rs_slot_needed(f->config, layer, s)) continue;
        int i = *place(f, layer, s);
        if (i >= 0)
            RS_TRY(add_item(j, layer, s, i, err));
        else if (layer < 0)
            return rs_fail(err, RS_E_MISMATCH, "the model has no tensor %s", s->tail);
        else
            return rs_fail(err, RS_E_MISMATCH, "the model has no tensor layers.%d.%s",
                           layer, s->tail);
    }
    return RS_OK;
}

static void add_table(rs_export_job *j)
{
    if (!j->rope_factors) return;
    j->items[j->n_items++] = (rs_export_item){.i_source = -1,
                                              .name = "rope_freqs.weight",
                                              .dtype = RS_DTYPE_F32,
                                              .n_dims = 1,
                                              .dim = {j->n_rope_factors, 1},
                                              .n = j->n_rope_factors};
}

static void tell_of_fallback(const rs_export_job *j)
{
    int n = 0;
    const rs_export_item *first = NULL;
    for (int i = 0; i < j->n_items; i++) {
        const rs_export_item *it = &j->items[i];
        bool wide = it->n_dims == 2 && it->dim[1] % BLOCK != 0;
        if (!wide || !rs_quantise_takes(j->o->dtype)) continue;
        if (n++ == 0) first = it;
    }
    if (n)
        rs_export_note(j,
                       "%d matrices stay 16 bits wide, since their rows are no multiple "
                       "of %d: %s with rows of %" PRId64 "%s",
                       n, (int)BLOCK, first->name, first->dim[1],
                       n > 1 ? ", and others" : "");
}

static rs_status list(rs_export_job *j, found *f, rs_err *err)
{
    size_t places = ((size_t)f->config->n_layers + 1) * RS_MAX_SLOTS;
    f->at = malloc(places * sizeof *f->at);
    j->items = calloc((size_t)j->source->n_tensors + 1, sizeof *j->items);
    if (!f->at || !j->items)
        return rs_fail(err, RS_E_NOMEM, "no memory for a list of %d tensors",
                       j->source->n_tensors);
    for (size_t i = 0; i < places; i++)
        f->at[i] = -1;
    for (int i = 0; i < j->source->n_tensors; i++)
        RS_TRY(find_one(f, j->source, i, err));
    for (int layer = -1; layer < f->config->n_layers; layer++)
        RS_TRY(add_row(j, f, layer, err));
    add_table(j);
    return RS_OK;
}

rs_status rs_export_list(rs_export_job *j, rs_err *err)
{
    found f = {.config = j->source->config};
    rs_status s = list(j, &f, err);
    free(f.at);
    if (s == RS_OK) tell_of_fallback(j);
    return s;
}
