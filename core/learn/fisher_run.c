/* fisher_run.c - what all parts of a Fisher run share: the tensors of the output, the
 * activations of a sequence in the spill, progress. */
#include "learn/fisher_internal.h"
#include "tensor/convert.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONVERT = 1 << 16, /* numbers that are scaled and rounded at a time */
    MOST_PAIRS = 32    /* of metadata */
};

bool rs_is_table(int layer, const rs_slot *s)
{
    return layer < 0 && (s->offset == offsetof(rs_model, embed) ||
                         s->offset == offsetof(rs_model, head) ||
                         s->offset == offsetof(rs_model, ple_embed));
}

/* --- what is written --- */

int rs_run_output(const rs_run *r, int layer, const rs_slot *s)
{
    return r->output[rs_slot_index(r->c, layer, s)];
}

static bool wants_any(const rs_run *r, int layer)
{
    for (const rs_slot *s = rs_family_slots(r->c, layer); s->tail; s++)
        if (rs_run_output(r, layer, s) >= 0) return true;
    return false;
}

/* How far down the way back has to go for what is wanted. Outside the layers, only the last
 * norm and a head of its own lie above them. */
static void find_the_end(rs_run *r)
{
    for (const rs_slot *s = rs_family_slots(r->c, -1); s->tail; s++)
        if (s->offset != offsetof(rs_model, head) &&
            s->offset != offsetof(rs_model, final_norm))
            r->embeds |= rs_run_output(r, -1, s) >= 0;
    while (!r->embeds && r->lowest < r->c->n_layers && !wants_any(r, r->lowest))
        r->lowest++;
}

rs_status rs_run_list_outputs(rs_run *r, rs_err *err)
{
    int count = rs_checkpoint_count(r->file);
    size_t places = ((size_t)r->c->n_layers + 1) * RS_MAX_SLOTS;
    r->name = calloc((size_t)count + 1, sizeof *r->name);
    r->output = malloc(places * sizeof *r->output);
    if (!r->name || !r->output)
        return rs_fail(err, RS_E_NOMEM, "no memory for a list of %d tensors", count);
    for (size_t i = 0; i < places; i++)
        r->output[i] = -1;
    for (int i = 0; i < count; i++) {
        const rs_tensor *t = rs_checkpoint_at(r->file, i);
        int layer;
        const rs_slot *s = rs_slot_of(r->c, t->name, &layer);
        if (!s || s->form == RS_FORM_SCALAR) continue;
        if (r->o->wants && !r->o->wants(r->o->wants_ctx, t->name, layer)) continue;
        r->output[rs_slot_index(r->c, layer, s)] = r->n_out;
        r->name[r->n_out++] = t->name;
    }
    if (r->n_out == 0)
        return rs_fail(err, RS_E_INVALID, "none of the model's tensors is selected");
    find_the_end(r);
    return RS_OK;
}

rs_status rs_run_open_output(rs_run *r, rs_err *err)
{
    char sequences[24], tokens[24];
    rs_string_pair pairs[MOST_PAIRS] = {
        {"kind", r->o->kind == RS_FISHER_POSITION ? "position" : "sequence"},
        {"labels", r->o->draws ? "model" : "data"},
        {"scale", r->o->per_token ? "per_token" : "per_sequence"},
        {"sequences", sequences},
        {"tokens", tokens}};
    int n = 5, more = r->o->n_metadata;
    if (more > MOST_PAIRS - n)
        return rs_fail(err, RS_E_INVALID,
                       "%d pairs of metadata: a Fisher file takes %d besides its own", more,
                       MOST_PAIRS - n);
    snprintf(sequences, sizeof sequences, "%d", r->n);
    snprintf(tokens, sizeof tokens, "%" PRId64, r->counted);
    for (int i = 0; i < more; i++)
        pairs[n++] = r->o->metadata[i];
    rs_write_tensor *t = calloc((size_t)r->n_out + 1, sizeof *t);
    if (!t) return rs_fail(err, RS_E_NOMEM, "no memory for a list of tensors");
    for (int i = 0; i < r->n_out; i++) {
        const rs_tensor *own = rs_checkpoint_find(r->file, r->name[i]);
        t[i] = (rs_write_tensor){
            own->name, r->o->bf16 ? RS_DTYPE_BF16 : RS_DTYPE_F32, own->n_dims, {0}};
        memcpy(t[i].dim, own->dim, sizeof t[i].dim);
    }
    rs_write_plan plan = {.tensors = t,
                          .n_tensors = r->n_out,
                          .metadata = pairs,
                          .n_metadata = n,
                          .force = r->o->force};
    rs_status s = rs_tensor_file_new(r->o->out, &plan, r->o->resume, &r->out, err);
    r->useless = s == RS_E_MISMATCH;
    free(t);
    return s;
}

rs_status rs_run_write(const rs_run *r, int i_out, int64_t first, float *values,
                       int64_t count, rs_err *err)
{
    double by = 1.0 / (double)(r->o->per_token ? r->counted : (int64_t)r->n);
    uint16_t half[CONVERT];
    for (int64_t at = 0; at < count; at += CONVERT) {
        int64_t n = count - at < CONVERT ? count - at : CONVERT;
        float *v = values + at;
        for (int64_t i = 0; i < n; i++) {
            v[i] = (float)((double)v[i] * by);
            if (!(v[i] < INFINITY))
                return rs_fail(
                    err, RS_E_INVALID,
                    "the Fisher of %s is not finite: the loss of some sequence "
                    "is not a number",
                    r->name[i_out]);
        }
        size_t each = r->o->bf16 ? sizeof *half : sizeof *v;
        if (r->o->bf16) rs_from_f32(r->rt->kernels, RS_DTYPE_BF16, v, half, n);
        RS_TRY(rs_tensor_file_write(r->out, i_out, (uint64_t)(first + at) * each,
                                    r->o->bf16 ? (const void *)half : v, (size_t)n * each,
                                    err));
    }
    return RS_OK;
}

/* --- sequences --- */

rs_places rs_run_places(const rs_config *c, int64_t n)
{
    uint64_t row = (uint64_t)n * sizeof(float), H = row * (uint64_t)c->hidden;
    uint64_t ple = row * (uint64_t)c->ple_width * (uint64_t)c->n_layers;
    rs_places p = {.x = 0};
    p.dx = H * ((uint64_t)c->n_layers + 1);
    p.ple = p.dx + H;
    p.dple = p.ple + ple;
    p.kv = p.dple + ple;
    p.bytes = p.kv;
    for (int i = 0; i < c->n_layers; i++)
        if (c->layers[i].is_donor) p.bytes += 4 * row * (uint64_t)rs_kv_width(c, i);
    return p;
}

rs_status rs_run_take(rs_run *r, int i, rs_err *err)
{
    const rs_example *e = &r->examples[i];
    r->s->draws = false;
    return rs_sequence_set(r->s, e->ids, r->labels[i], e->n, err);
}

static rs_status move(rs_run *r, rs_direction d, uint64_t at, float *values,
                      int64_t width, rs_err *err)
{
    uint64_t n = (uint64_t)(r->s->n * width) * sizeof *values;
    return d == RS_PUT ? rs_spill_put(r->spill, at, values, n, err)
                       : rs_spill_get(r->spill, at, values, n, err);
}

rs_status rs_run_move_x(rs_run *r, rs_direction d, int i, int layer, rs_err *err)
{
    uint64_t H = (uint64_t)r->examples[i].n * (uint64_t)r->c->hidden * sizeof(float);
    uint64_t x = rs_run_places(r->c, r->examples[i].n).x + H * (uint64_t)layer;
    return move(r, d, r->base[i] + x, r->s->x[layer], r->c->hidden, err);
}

rs_status rs_run_move_dx(rs_run *r, rs_direction d, int i, rs_err *err)
{
    uint64_t at = r->base[i] + rs_run_places(r->c, r->examples[i].n).dx;
    return move(r, d, at, r->s->dx, r->c->hidden, err);
}

/* The slice of layer l of the per-layer inputs (or of their gradient). */
rs_status rs_run_move_ple(rs_run *r, rs_direction d, int i, int l, bool gradient,
                          rs_err *err)
{
    int64_t P = r->c->ple_width;
    if (P == 0) return RS_OK;
    rs_places p = rs_run_places(r->c, r->examples[i].n);
    uint64_t slice = (uint64_t)(r->s->n * P) * sizeof(float) * (uint64_t)l;
    return move(r, d, r->base[i] + (gradient ? p.dple : p.ple) + slice,
                gradient ? r->s->dple[l] : r->s->ple[l], P, err);
}

rs_status rs_run_get_dple(rs_run *r, int i, rs_err *err)
{
    for (int l = 0; l < r->c->n_layers; l++)
        RS_TRY(rs_run_move_ple(r, RS_GET, i, l, true, err));
    return RS_OK;
}

/* K and V of a donor, or the gradients of them. */
rs_status rs_run_move_kv(rs_run *r, rs_direction d, int i, int donor, bool gradient,
                         rs_err *err)
{
    uint64_t at = r->base[i] + rs_run_places(r->c, r->examples[i].n).kv;
    uint64_t row = (uint64_t)r->examples[i].n * sizeof(float);
    for (int l = 0; l < donor; l++)
        if (r->c->layers[l].is_donor) at += 4 * row * (uint64_t)rs_kv_width(r->c, l);
    uint64_t one = row * (uint64_t)rs_kv_width(r->c, donor);
    rs_sequence *s = r->s;
    if (gradient) at += 2 * one;
    RS_TRY(move(r, d, at, gradient ? s->dk[donor] : s->k[donor], rs_kv_width(r->c, donor),
                err));
    return move(r, d, at + one, gradient ? s->dv[donor] : s->v[donor],
                rs_kv_width(r->c, donor), err);
}

/* --- progress --- */

rs_status rs_run_step(rs_run *r, rs_err *err)
{
    r->steps++;
    if (!r->o->progress) return RS_OK;
    rs_progress p = {r->steps < r->all_steps ? r->steps : r->all_steps, r->all_steps,
                     "steps", r->what};
    if (r->o->progress(r->o->progress_ctx, &p)) return RS_OK;
    return rs_fail(
        err, RS_E_CANCELLED, "cancelled%s",
        r->can_resume ? "; --resume goes on from the last layers that were kept" : "");
}
