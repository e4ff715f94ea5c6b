#include "learn/fisher_internal.h"

#include "model/model_internal.h"
#include "tensor/convert.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLACK = 80 << 20, CONVERT = 1 << 16 }; /* SLACK: the program, BLAS' own buffers */

/* --- what is written --- */

int rs_run_output(const rs_run *r, int layer, int slot)
{
    for (int i = 0; i < r->n_out; i++)
        if (r->slot[i][0] == layer && r->slot[i][1] == slot) return i;
    return -1;
}

static rs_status list_outputs(rs_run *r, rs_err *err)
{
    int count = rs_checkpoint_count(r->file);
    r->name = calloc((size_t)count + 1, sizeof *r->name);
    r->slot = calloc((size_t)count + 1, sizeof *r->slot);
    if (!r->name || !r->slot)
        return rs_fail(err, RS_E_NOMEM, "no memory for a list of %d tensors", count);
    for (int i = 0; i < count; i++) {
        const rs_tensor *t = rs_checkpoint_at(r->file, i);
        int layer;
        const rs_slot *s = rs_slot_of(r->c, t->name, &layer);
        if (!s || s->form == RS_FORM_SCALAR) continue;
        if (r->o->wants && !r->o->wants(r->o->wants_ctx, t->name, layer)) continue;
        const rs_family *f = r->c->family;
        r->name[r->n_out] = t->name;
        r->slot[r->n_out][0] = layer;
        r->slot[r->n_out++][1] = (int)(s - (layer < 0 ? f->model_slots : f->layer_slots));
    }
    if (r->n_out > 0) return RS_OK;
    return rs_fail(err, RS_E_INVALID, "none of the model's tensors is selected");
}

static rs_status open_output(rs_run *r, rs_err *err)
{
    char sequences[24], tokens[24];
    rs_string_pair pairs[32] = {
        {"kind", r->o->kind == RS_FISHER_POSITION ? "position" : "sequence"},
        {"labels", r->o->draws ? "model" : "data"},
        {"scale", r->o->per_token ? "per_token" : "per_sequence"},
        {"sequences", sequences},
        {"tokens", tokens}};
    int n = 5;
    snprintf(sequences, sizeof sequences, "%d", r->n);
    snprintf(tokens, sizeof tokens, "%" PRId64, r->counted);
    for (int i = 0; i < r->o->n_metadata && n < 32; i++)
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

typedef enum direction { GET, PUT } direction;

static rs_status move(rs_run *r, direction d, uint64_t at, float *values, int64_t width,
                      rs_err *err)
{
    uint64_t n = (uint64_t)(r->s->n * width) * sizeof *values;
    return d == PUT ? rs_spill_put(r->spill, at, values, n, err)
                    : rs_spill_get(r->spill, at, values, n, err);
}

static uint64_t x_at(const rs_run *r, int i, int layer)
{
    uint64_t H = (uint64_t)r->examples[i].n * (uint64_t)r->c->hidden * sizeof(float);
    return r->base[i] + rs_run_places(r->c, r->examples[i].n).x + H * (uint64_t)layer;
}

static rs_status move_x(rs_run *r, direction d, int i, int layer, rs_err *err)
{
    return move(r, d, x_at(r, i, layer), r->s->x[layer], r->c->hidden, err);
}

rs_status rs_run_get_x(rs_run *r, int i, int layer, float *to, rs_err *err)
{
    return move(r, GET, x_at(r, i, layer), to, r->c->hidden, err);
}

static rs_status move_dx(rs_run *r, direction d, int i, float *dx, rs_err *err)
{
    uint64_t at = r->base[i] + rs_run_places(r->c, r->examples[i].n).dx;
    return move(r, d, at, dx, r->c->hidden, err);
}

rs_status rs_run_get_dx(rs_run *r, int i, float *to, rs_err *err)
{
    return move_dx(r, GET, i, to, err);
}

/* The slice of layer l of the per-layer inputs (or of their gradient). */
static rs_status move_ple(rs_run *r, direction d, int i, int l, bool gradient,
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
        RS_TRY(move_ple(r, GET, i, l, true, err));
    return RS_OK;
}

/* K and V of a donor, or the gradients of them. */
static rs_status move_kv(rs_run *r, direction d, int i, int donor, bool gradient,
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

/* --- forward --- */

static rs_status embed_all(rs_run *r, rs_err *err)
{
    snprintf(r->what, sizeof r->what, "embeddings");
    RS_TRY(rs_model_load_part(r->rt, r->file, r->m, -1, err));
    for (int i = 0; i < r->n; i++) {
        RS_TRY(rs_run_take(r, i, err));
        RS_TRY(rs_forward_embed(r->work, r->s, err));
        RS_TRY(move_x(r, PUT, i, 0, err));
        for (int l = 0; l < r->c->n_layers; l++)
            RS_TRY(move_ple(r, PUT, i, l, false, err));
    }
    rs_model_drop_part(r->m, -1);
    return RS_OK;
}

static rs_status forward_layer(rs_run *r, int l, rs_err *err)
{
    const rs_layer_config *lc = &r->c->layers[l];
    RS_TRY(rs_model_load_part(r->rt, r->file, r->m, l, err));
    for (int i = 0; i < r->n; i++) {
        RS_TRY(rs_run_take(r, i, err));
        RS_TRY(move_x(r, GET, i, l, err));
        RS_TRY(move_ple(r, GET, i, l, false, err));
        if (lc->is_sharer) RS_TRY(move_kv(r, GET, i, lc->kv_layer, false, err));
        RS_TRY(rs_forward_layer(r->work, r->s, l, err));
        RS_TRY(move_x(r, PUT, i, l + 1, err));
        if (lc->is_donor) RS_TRY(move_kv(r, PUT, i, l, false, err));
        RS_TRY(rs_run_step(r, err));
    }
    return RS_OK;
}

static rs_status forward_all(rs_run *r, rs_err *err)
{
    RS_TRY(embed_all(r, err));
    for (int l = 0; l < r->c->n_layers; l++) {
        snprintf(r->what, sizeof r->what, "forward, layer %d", l);
        RS_TRY(forward_layer(r, l, err));
    }
    return RS_OK;
}

/* --- the loss --- */

static rs_status lose(rs_run *r, int i, const rs_sink *sink, rs_err *err)
{
    double loss;
    rs_sequence *s = r->s;
    RS_TRY(rs_run_take(r, i, err));
    RS_TRY(move_x(r, GET, i, r->c->n_layers, err));
    rs_sequence_rewind(s);
    s->draws = r->o->draws;
    s->seed = r->o->seed;
    s->stream = (uint64_t)i;
    RS_TRY(rs_loss(r->work, s, 1, sink, &loss, err));
    if (!isfinite(loss))
        return rs_fail(err, RS_E_INVALID, "the loss of sequence %d is not a number",
                       i + 1);
    r->loss += loss;
    memcpy(r->labels[i], s->labels, (size_t)s->n * sizeof *s->labels);
    memcpy(r->lse[i], s->lse, (size_t)s->n * sizeof *s->lse);
    RS_TRY(move_dx(r, PUT, i, s->dx, err));
    for (int l = 0; l < r->c->n_layers; l++)
        if (r->c->layers[l].is_donor) RS_TRY(move_kv(r, PUT, i, l, true, err));
    return rs_run_step(r, err);
}

/* What lies outside the layers and is no table, first half: the last norm. sums stay open. */
static rs_status lose_all(rs_run *r, rs_sums *sums, rs_err *err)
{
    rs_sink sink = rs_sums_sink(sums);
    snprintf(r->what, sizeof r->what, "loss");
    RS_TRY(rs_model_load_part(r->rt, r->file, r->m, -1, err));
    for (int i = 0; i < r->n; i++) {
        RS_TRY(lose(r, i, &sink, err));
        rs_sums_end_sequence(sums);
    }
    rs_model_drop_part(r->m, -1);
    return RS_OK;
}

/* --- backward --- */

static rs_status backward_sequence(rs_run *r, int i, int l, const rs_sink *sink,
                                   rs_err *err)
{
    const rs_layer_config *lc = &r->c->layers[l];
    bool shares = lc->is_sharer || lc->is_donor;
    RS_TRY(rs_run_take(r, i, err));
    RS_TRY(move_x(r, GET, i, l, err));
    RS_TRY(move_dx(r, GET, i, r->s->dx, err));
    RS_TRY(move_ple(r, GET, i, l, false, err));
    if (lc->is_sharer) RS_TRY(move_kv(r, GET, i, lc->kv_layer, false, err));
    if (shares) RS_TRY(move_kv(r, GET, i, lc->kv_layer, true, err));
    RS_TRY(rs_backward_layer(r->work, r->s, l, sink, err));
    RS_TRY(move_dx(r, PUT, i, r->s->dx, err));
    RS_TRY(move_ple(r, PUT, i, l, true, err));
    return shares ? move_kv(r, PUT, i, lc->kv_layer, true, err) : RS_OK;
}

static rs_status backward_layer(rs_run *r, int l, rs_err *err)
{
    rs_sums sums;
    RS_TRY(rs_model_load_part(r->rt, r->file, r->m, l, err));
    RS_TRY(rs_sums_open(&sums, r, l, err));
    rs_sink sink = rs_sums_sink(&sums);
    rs_status s = RS_OK;
    for (int i = 0; i < r->n && s == RS_OK; i++) {
        s = backward_sequence(r, i, l, &sink, err);
        rs_sums_end_sequence(&sums);
        for (int k = 0; k < 3 && s == RS_OK; k++)
            s = rs_run_step(r, err); /* the way back is three times as long */
    }
    if (s == RS_OK) s = rs_sums_write(&sums, r, err);
    rs_sums_close(&sums);
    return s;
}

static rs_status maybe_save(rs_run *r, int next, rs_err *err)
{
    if (!r->o->now || r->o->now() - r->saved < r->o->checkpoint_seconds) return RS_OK;
    RS_TRY(rs_run_save(r, next, err));
    r->can_resume = true;
    r->saved = r->o->now();
    return RS_OK;
}

static rs_status backward_all(rs_run *r, int top, rs_err *err)
{
    for (int l = top - 1; l >= 0; l--) {
        snprintf(r->what, sizeof r->what, "layer %d", l);
        RS_TRY(backward_layer(r, l, err));
        RS_TRY(maybe_save(r, l, err));
    }
    rs_model_drop_part(r->m, 0);
    return RS_OK;
}

/* Second half of what lies outside the layers: through the per-layer inputs to the
 * embeddings. Leaves dx of the embeddings in the spill. */
static rs_status embed_back_all(rs_run *r, rs_sums *sums, rs_err *err)
{
    rs_sink sink = rs_sums_sink(sums);
    snprintf(r->what, sizeof r->what, "embeddings");
    for (int i = 0; i < r->n; i++) {
        RS_TRY(rs_run_take(r, i, err));
        RS_TRY(move_x(r, GET, i, 0, err));
        RS_TRY(move_dx(r, GET, i, r->s->dx, err));
        RS_TRY(rs_run_get_dple(r, i, err));
        RS_TRY(rs_backward_embed(r->work, r->s, &sink, err));
        rs_sums_end_sequence(sums);
        RS_TRY(move_dx(r, PUT, i, r->s->dx, err));
    }
    return rs_sums_write(sums, r, err);
}

/* --- all of it --- */

static rs_status the_way(rs_run *r, rs_sums *outer, int *top, rs_err *err)
{
    RS_TRY(forward_all(r, err));
    RS_TRY(lose_all(r, outer, err));
    *top = r->c->n_layers;
    if (r->o->resume) RS_TRY(rs_run_load(r, top, err));
    r->can_resume = *top < r->c->n_layers;
    r->steps += (uint64_t)(3 * (r->c->n_layers - *top) * r->n);
    if (r->o->now) r->saved = r->o->now();
    RS_TRY(backward_all(r, *top, err));
    RS_TRY(rs_model_load_part(r->rt, r->file, r->m, -1, err));
    RS_TRY(embed_back_all(r, outer, err));
    snprintf(r->what, sizeof r->what, "tables");
    return rs_run_tables(r, err);
}

static rs_status copy_labels(rs_run *r, int i, rs_err *err)
{
    const rs_example *e = &r->examples[i];
    r->labels[i] = malloc((size_t)e->n * sizeof **r->labels);
    r->lse[i] = malloc((size_t)e->n * sizeof **r->lse);
    if (!r->labels[i] || !r->lse[i])
        return rs_fail(err, RS_E_NOMEM, "no memory for %d sequences", r->n);
    memcpy(r->labels[i], e->labels ? e->labels : e->ids, (size_t)e->n * sizeof *e->ids);
    rs_status s = rs_run_take(r, i, err);
    if (s != RS_OK) return rs_err_prefix(err, "sequence %d", i + 1);
    r->counted += r->s->n_counted;
    return RS_OK;
}

static rs_status take_examples(rs_run *r, rs_err *err)
{
    int64_t longest = 0;
    uint64_t at = 0;
    if (r->n < 1) return rs_fail(err, RS_E_INVALID, "there is no sequence to learn from");
    r->base = calloc((size_t)r->n, sizeof *r->base);
    r->labels = calloc((size_t)r->n, sizeof *r->labels);
    r->lse = calloc((size_t)r->n, sizeof *r->lse);
    if (!r->base || !r->labels || !r->lse)
        return rs_fail(err, RS_E_NOMEM, "no memory for %d sequences", r->n);
    for (int i = 0; i < r->n; i++) {
        if (r->examples[i].n > longest) longest = r->examples[i].n;
        r->tokens += r->examples[i].n;
        r->base[i] = at;
        at += rs_run_places(r->c, r->examples[i].n).bytes;
    }
    RS_TRY(rs_sequence_new(r->c, longest, false, &r->s, err));
    for (int i = 0; i < r->n; i++)
        RS_TRY(copy_labels(r, i, err));
    r->all_steps = (uint64_t)r->n * (uint64_t)(4 * r->c->n_layers + 1) + 2;
    return RS_OK;
}

/* Bytes in memory of the tensors of a layer, or outside the layers. */
static uint64_t weights_of(const rs_run *r, int layer)
{
    uint64_t bytes = 0;
    for (int i = 0; i < rs_checkpoint_count(r->file); i++) {
        const rs_tensor *t = rs_checkpoint_at(r->file, i);
        int own;
        if (rs_slot_of(r->c, t->name, &own) && own == layer) bytes += t->n_bytes + 64;
    }
    return bytes;
}

/* What the largest phase needs besides the activations. */
static uint64_t fixed_memory(const rs_run *r)
{
    int64_t n = r->s->room, H = r->c->hidden;
    uint64_t all_ple = (uint64_t)(n * r->c->ple_width * r->c->n_layers) * sizeof(float);
    uint64_t most = weights_of(r, -1) + 3 * all_ple + rs_sums_need(r, -1) +
                    r->rt->memory_bytes / 4 + (uint64_t)(3 * n * H) * sizeof(float);
    for (int l = 0; l < r->c->n_layers; l++) {
        uint64_t need = weights_of(r, l) + rs_sums_need(r, l);
        if (need > most) most = need;
    }
    return most + rs_work_bytes(r->rt, r->m, n) + rs_sequence_bytes(r->c, n, false) +
           SLACK;
}

static rs_status plan_memory(rs_run *r, rs_fisher_result *result, rs_err *err)
{
    const rs_example *last = &r->examples[r->n - 1];
    uint64_t all = r->base[r->n - 1] + rs_run_places(r->c, last->n).bytes;
    uint64_t fixed = fixed_memory(r), budget = r->rt->memory_bytes;
    if (fixed > budget)
        return rs_fail(err, RS_E_NOMEM,
                       "sequences of %" PRId64 " tokens need %.0f MB for weights and one "
                       "layer's insides, %.0f MB may be used (--memory)",
                       r->s->room, (double)fixed / 1e6, (double)budget / 1e6);
    uint64_t near = budget - fixed < all ? budget - fixed : all;
    result->spilled = all - near;
    return rs_spill_new(rs_tensor_file_folder(r->out), all, near, &r->spill, err);
}

static rs_status run(rs_run *r, rs_fisher_result *result, rs_err *err)
{
    rs_sums outer;
    int top = r->c->n_layers;
    RS_TRY(rs_model_new(r->c, &r->m, err));
    RS_TRY(take_examples(r, err));
    RS_TRY(list_outputs(r, err));
    RS_TRY(open_output(r, err));
    r->can_resume = rs_tensor_file_resumes(r->out);
    RS_TRY(plan_memory(r, result, err));
    RS_TRY(rs_work_new(r->rt, r->m, r->s->room, &r->work, err));
    RS_TRY(rs_sums_open(&outer, r, -1, err));
    rs_status s = the_way(r, &outer, &top, err);
    rs_sums_close(&outer);
    if (s != RS_OK) return s;
    *result = (rs_fisher_result){.loss = r->loss / (double)r->counted,
                                 .tokens = r->counted,
                                 .n_tensors = r->n_out,
                                 .spilled = result->spilled,
                                 .resumed_at = top < r->c->n_layers ? top : -1};
    return rs_tensor_file_finish(r->out, err);
}

static void clean_up(rs_run *r)
{
    for (int i = 0; i < r->n; i++) {
        if (r->labels) free(r->labels[i]);
        if (r->lse) free(r->lse[i]);
    }
    free(r->labels);
    free(r->lse);
    free(r->base);
    free(r->name);
    free(r->slot);
    rs_work_free(r->work);
    rs_sequence_free(r->s);
    rs_spill_free(r->spill);
    rs_model_free(r->m);
    if (r->out && !r->can_resume) rs_tensor_file_discard(r->out);
    if (r->out && r->can_resume) rs_tensor_file_free(r->out);
}

rs_status rs_fisher_run(const rs_runtime *rt, const rs_checkpoint *file,
                        const rs_config *c, const rs_example *examples, int n,
                        const rs_fisher_options *o, rs_fisher_result *result, rs_err *err)
{
    rs_run r = {.rt = rt, .file = file, .c = c, .examples = examples, .n = n, .o = o};
    *result = (rs_fisher_result){.resumed_at = -1};
    rs_status s = run(&r, result, err);
    clean_up(&r);
    return s;
}
