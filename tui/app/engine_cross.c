#include "tui/app/engine_internal.h"

#include <stdlib.h>
#include <string.h>

/* Duel's surprise: the text of slot 0 scored under slot 1's model and the other way round,
 * some tokens a turn, once both texts stand. */

enum { CHUNK_TOKENS = 32 };

void ui_cross_stop(ui_engine_server *e)
{
    rs_kv_free(e->cross.kv);
    for (int i = 0; i < UI_ENGINE_SLOTS; i++)
        e->slots[i].needed = false;
    e->cross = (ui_cross){0};
}

static bool stands(const ui_slot *s)
{
    return s->text.request.frame && s->text.ids.n > s->text.n_prompt;
}

static bool is_busy(const ui_slot *s)
{
    return s->text.running || s->text.starts || s->generate.frame;
}

static bool cross_failed(ui_engine_server *e, const ui_slot *s, const char *sentence)
{
    ui_server_error(e, s, sentence);
    ui_cross_stop(e);
    return true;
}

static rs_status begin_half(ui_engine_server *e, const ui_slot *text,
                            const ui_slot *model, rs_err *err)
{
    const rs_config *c = rs_live_model(model->live)->config;
    const rs_config *own = rs_plan_config(text->plan);
    if (c->vocab != own->vocab)
        return rs_fail(
            err, RS_E_MISMATCH,
            "the texts cannot be compared: one model has %d words, the other %d",
            own->vocab, c->vocab);
    rs_kv_options o = {.max_tokens = text->text.ids.n};
    e->cross.at = 0;
    e->cross.serial = model->live_serial;
    return rs_kv_new(c, &o, &e->cross.kv, err);
}

/* The scores of the tokens that follow those at first .. first+n-1. */
static void send_scores(ui_engine_server *e, const ui_slot *s, int64_t first, int64_t n,
                        const float *logits, int64_t vocab)
{
    const rs_ids *ids = &s->text.ids;
    for (int64_t i = first; i < first + n; i++) {
        if (i + 1 < s->text.n_prompt || i + 1 >= ids->n) continue;
        ui_engine_event event = {.what = UI_ENGINE_CROSS,
                                 .slot = s->number,
                                 .run = s->text.run,
                                 .serial = s->live_serial,
                                 .index = i + 1 - s->text.n_prompt,
                                 .id = ids->at[i + 1],
                                 .total = ids->n - s->text.n_prompt,
                                 .last = e->cross.half == 1 && i + 2 == ids->n};
        event.logprob = rs_logprob(logits + (i - first) * vocab, vocab, event.id, NULL);
        ui_server_send(e, &event);
    }
}

static rs_status score_chunk(ui_engine_server *e, ui_slot *text, ui_slot *model,
                             rs_err *err)
{
    ui_cross *x = &e->cross;
    const rs_model *m = rs_live_model(model->live);
    int64_t left = text->text.ids.n - x->at,
            n = left < CHUNK_TOKENS ? left : CHUNK_TOKENS;
    int64_t vocab = m->config->vocab;
    float *logits = malloc((size_t)n * (size_t)vocab * sizeof *logits);
    if (!logits) return rs_fail(err, RS_E_NOMEM, "no memory for the scores of a text");
    ui_work work = ui_work_begin(e, model);
    work.give_up_at_once = true;
    rs_forward_options o = {
        .want = RS_WANT_ALL, .progress = ui_work_step, .progress_ctx = &work};
    rs_status s =
        rs_forward(e->rt, m, x->kv, text->text.ids.at + x->at, n, &o, logits, err);
    if (s == RS_OK) {
        send_scores(e, text, x->at, n, logits, vocab);
        x->at += n;
    }
    free(logits);
    return s;
}

static void end_half(ui_engine_server *e)
{
    rs_kv_free(e->cross.kv);
    e->cross.kv = NULL;
    if (++e->cross.half == 2) ui_cross_stop(e);
}

bool ui_cross_turn(ui_engine_server *e)
{
    ui_cross *x = &e->cross;
    if (!x->wanted || is_busy(&e->slots[0]) || is_busy(&e->slots[1])) return false;
    ui_slot *text = &e->slots[x->half], *model = &e->slots[1 - x->half];
    if (!stands(text) || !model->plan || model->failed_serial == model->serial) {
        ui_cross_stop(e);
        return true;
    }
    bool told = model->needed;
    text->needed = false;
    model->needed = true;
    if (!model->live || model->live_serial != model->serial) return !told;
    rs_err err;
    rs_status s = RS_OK;
    if (!x->kv)
        s = begin_half(e, text, model, &err);
    else if (x->serial != model->live_serial) {
        ui_cross_stop(e); /* the weights changed under it */
        return true;
    }
    if (s == RS_OK) s = score_chunk(e, text, model, &err);
    if (s == RS_E_CANCELLED) return true;
    if (s != RS_OK) return cross_failed(e, text, err.msg);
    if (x->at >= text->text.ids.n) end_half(e);
    return true;
}
