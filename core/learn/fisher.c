/* fisher.c - the way of a Fisher run: forward, loss, back, tables. */
#include "learn/fisher_internal.h"

#include "model/model_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLACK = 80 << 20 }; /* the program, and buffers of BLAS */

/* --- forward --- */

/* The rows of the per-layer table, read for the sequence at hand. */
static rs_status take_ple_rows(rs_run *r, rs_err *err)
{
    rs_sequence *s = r->s;
    if (r->c->ple_width == 0) return RS_OK;
    RS_TRY(rs_model_read_ple(r->file, r->m, s->ids, s->n, r->ple_rows, err));
    s->ple_rows = r->m->ple_embed;
    s->ple_rows.rows = s->n;
    s->ple_rows.data = r->ple_rows;
    return RS_OK;
}

static rs_status embed_all(rs_run *r, rs_err *err)
{
    snprintf(r->what, sizeof r->what, "embeddings");
    RS_TRY(rs_model_load_part(r->rt, r->file, r->m, -1, err));
    for (int i = 0; i < r->n; i++) {
        RS_TRY(rs_run_take(r, i, err));
        RS_TRY(take_ple_rows(r, err));
        RS_TRY(rs_forward_embed(r->work, r->s, err));
        RS_TRY(rs_run_move_x(r, RS_PUT, i, 0, err));
        for (int l = 0; l < r->c->n_layers; l++)
            RS_TRY(rs_run_move_ple(r, RS_PUT, i, l, false, err));
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
        RS_TRY(rs_run_move_x(r, RS_GET, i, l, err));
        RS_TRY(rs_run_move_ple(r, RS_GET, i, l, false, err));
        if (lc->is_sharer) RS_TRY(rs_run_move_kv(r, RS_GET, i, lc->kv_layer, false, err));
        RS_TRY(rs_forward_layer(r->work, r->s, l, err));
        RS_TRY(rs_run_move_x(r, RS_PUT, i, l + 1, err));
        if (lc->is_donor) RS_TRY(rs_run_move_kv(r, RS_PUT, i, l, false, err));
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
    rs_model_drop_part(r->m, 0);
    return RS_OK;
}

/* --- the loss --- */

static rs_status lose(rs_run *r, int i, const rs_sink *sink, rs_err *err)
{
    double loss;
    rs_sequence *s = r->s;
    RS_TRY(rs_run_take(r, i, err));
    RS_TRY(rs_run_move_x(r, RS_GET, i, r->c->n_layers, err));
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
    RS_TRY(rs_run_move_dx(r, RS_PUT, i, err));
    for (int l = 0; l < r->c->n_layers; l++)
        if (r->c->layers[l].is_donor) RS_TRY(rs_run_move_kv(r, RS_PUT, i, l, true, err));
    return rs_run_step(r, err);
}

/* Is there anything that gradients of the stream are wanted for? A head alone has its own. */
static bool goes_back(const rs_run *r)
{
    const rs_slot *norm = rs_slot_at(r->c, -1, offsetof(rs_model, final_norm));
    return r->lowest < r->c->n_layers || (norm && rs_run_output(r, -1, norm) >= 0);
}

/* What lies outside the layers and is no table, first half: the last norm. sums stay open. */
static rs_status lose_all(rs_run *r, rs_sums *sums, rs_err *err)
{
    rs_sink sink = rs_sums_sink(sums);
    const rs_sink *to = goes_back(r) ? &sink : NULL;
    snprintf(r->what, sizeof r->what, "loss");
    RS_TRY(rs_model_load_part(r->rt, r->file, r->m, -1, err));
    for (int i = 0; i < r->n; i++) {
        RS_TRY(lose(r, i, to, err));
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
    RS_TRY(rs_run_move_x(r, RS_GET, i, l, err));
    RS_TRY(rs_run_move_dx(r, RS_GET, i, err));
    RS_TRY(rs_run_move_ple(r, RS_GET, i, l, false, err));
    if (lc->is_sharer) RS_TRY(rs_run_move_kv(r, RS_GET, i, lc->kv_layer, false, err));
    if (shares) RS_TRY(rs_run_move_kv(r, RS_GET, i, lc->kv_layer, true, err));
    RS_TRY(rs_backward_layer(r->work, r->s, l, sink, err));
    RS_TRY(rs_run_move_dx(r, RS_PUT, i, err));
    RS_TRY(rs_run_move_ple(r, RS_PUT, i, l, true, err));
    return shares ? rs_run_move_kv(r, RS_PUT, i, lc->kv_layer, true, err) : RS_OK;
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
    for (int l = top - 1; l >= r->lowest; l--) {
        snprintf(r->what, sizeof r->what, "layer %d", l);
        RS_TRY(backward_layer(r, l, err));
        RS_TRY(rs_run_tell(r, l, err));
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
        RS_TRY(rs_run_move_x(r, RS_GET, i, 0, err));
        RS_TRY(rs_run_move_dx(r, RS_GET, i, err));
        RS_TRY(rs_run_get_dple(r, i, err));
        RS_TRY(rs_backward_embed(r->work, r->s, &sink, err));
        rs_sums_end_sequence(sums);
        RS_TRY(rs_run_move_dx(r, RS_PUT, i, err));
    }
    return RS_OK;
}

/* --- all of it --- */

static rs_status load(rs_run *r, int *top, rs_err *err)
{
    rs_status s = rs_run_load(r, top, err);
    r->useless = s == RS_E_FORMAT;
    return s;
}

static rs_status the_way(rs_run *r, rs_sums *outer, int *top, rs_err *err)
{
    RS_TRY(forward_all(r, err));
    RS_TRY(lose_all(r, outer, err));
    *top = r->c->n_layers;
    if (r->o->resume) RS_TRY(load(r, top, err));
    r->can_resume = *top < r->c->n_layers;
    r->steps += (uint64_t)(3 * (r->c->n_layers - *top) * r->n);
    if (r->o->now) r->saved = r->o->now();
    for (int l = r->c->n_layers - 1; l >= *top; l--)
        RS_TRY(rs_run_tell(r, l, err));
    RS_TRY(backward_all(r, *top, err));
    RS_TRY(rs_model_load_part(r->rt, r->file, r->m, -1, err));
    if (r->embeds) RS_TRY(embed_back_all(r, outer, err));
    RS_TRY(rs_sums_write(outer, r, err));
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
    return RS_OK;
}

static rs_status list_work(rs_run *r, rs_err *err)
{
    RS_TRY(rs_run_list_outputs(r, err));
    int layers = r->c->n_layers, back = layers - r->lowest;
    r->all_steps =
        (uint64_t)r->n * (uint64_t)(layers + 1 + 3 * back) + rs_run_table_steps(r);
    return RS_OK;
}

/* What the largest phase needs besides the activations. */
static rs_status fixed_memory(const rs_run *r, uint64_t *bytes, rs_err *err)
{
    int64_t n = r->s->room, H = r->c->hidden;
    uint64_t all_ple = (uint64_t)(n * r->c->ple_width * r->c->n_layers) * sizeof(float);
    uint64_t outside = 3 * all_ple + r->rt->memory_bytes / 4 +
                       (uint64_t)(3 * n * H) * sizeof(float);
    uint64_t most = 0;
    for (int l = -1; l < r->c->n_layers; l++) {
        uint64_t weights, need = l < 0 ? outside : rs_sums_need(r, l);
        RS_TRY(rs_model_part_bytes(r->file, r->c, l, &weights, err));
        if (need + weights > most) most = need + weights;
    }
    *bytes = most + rs_sums_need(r, -1) + rs_work_bytes(r->rt, r->m, n) +
             rs_sequence_bytes(r->c, n, false) + rs_model_ple_bytes(r->file, r->c, n) +
             SLACK;
    return RS_OK;
}

static rs_status plan_memory(rs_run *r, rs_fisher_result *result, rs_err *err)
{
    const rs_example *last = &r->examples[r->n - 1];
    uint64_t all = r->base[r->n - 1] + rs_run_places(r->c, last->n).bytes;
    uint64_t fixed, budget = r->rt->memory_bytes;
    RS_TRY(fixed_memory(r, &fixed, err));
    if (fixed > budget)
        return rs_fail(err, RS_E_NOMEM,
                       "sequences of %" PRId64 " tokens need %.0f MB for weights and one "
                       "layer's insides, %.0f MB may be used (--memory)",
                       r->s->room, (double)fixed / 1e6, (double)budget / 1e6);
    r->ple_rows = malloc((size_t)rs_model_ple_bytes(r->file, r->c, r->s->room) + 1);
    if (!r->ple_rows) return rs_fail(err, RS_E_NOMEM, "no memory for rows of a table");
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
    RS_TRY(list_work(r, err));
    RS_TRY(rs_run_open_output(r, err));
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
    free(r->output);
    free(r->ple_rows);
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
    result->useless = r.useless;
    clean_up(&r);
    return s;
}
