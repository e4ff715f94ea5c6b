#include "tui/app/engine_internal.h"
#include "tui/verbs/verbs.h"

#include <stdlib.h>
#include <string.h>

/* --- events --- */

static void send_start(ui_engine_server *e, const ui_slot *s)
{
    const ui_text *t = &s->text;
    const char *note = s->alone ? "one after the other: memory" : "";
    ui_engine_event event = {.what = UI_ENGINE_START,
                             .slot = s->number,
                             .serial = s->live_serial,
                             .run = t->run,
                             .index = t->ids.n - t->n_prompt,
                             .replaced = t->ids.n == t->n_prompt,
                             .text = note,
                             .n_text = strlen(note)};
    ui_server_send(e, &event);
}

static void send_stop(ui_engine_server *e, const ui_slot *s, const char *reason)
{
    ui_engine_event event = {.what = UI_ENGINE_STOP,
                             .slot = s->number,
                             .serial = s->live_serial,
                             .run = s->text.run,
                             .done = s->text.ids.n - s->text.n_prompt,
                             .text = reason,
                             .n_text = strlen(reason)};
    ui_server_send(e, &event);
}

/* Tokens a second over the last ones; 0 until there are two. */
static double note_token(ui_text *t, double now)
{
    t->times[t->n_times++ % UI_RATE_WINDOW] = now;
    int n = t->n_times < UI_RATE_WINDOW ? t->n_times : UI_RATE_WINDOW;
    double first = t->times[(t->n_times - n) % UI_RATE_WINDOW];
    return n > 1 && now > first ? (n - 1) / (now - first) : 0;
}

static void send_token(ui_engine_server *e, const ui_slot *s, const rs_token_event *token,
                       double rate)
{
    ui_engine_event event = {.what = UI_ENGINE_TOKEN,
                             .slot = s->number,
                             .serial = s->live_serial,
                             .run = s->text.run,
                             .index = s->text.ids.n - s->text.n_prompt - 1,
                             .id = token->id,
                             .logprob = token->logprob,
                             .tokens_per_second = rate,
                             .text = token->text ? token->text : "",
                             .n_text = token->text ? token->n_text : 0};
    ui_server_send(e, &event);
}

/* --- states --- */

void ui_text_model_gone(ui_text *t)
{
    rs_generator_free(t->generator);
    t->generator = NULL;
    if (t->running) t->starts = true;
    t->running = t->rereads = false;
}

void ui_text_free(ui_text *t)
{
    rs_generator_free(t->generator);
    rs_ids_free(&t->ids);
    ui_mail_drop(&t->request);
    *t = (ui_text){0};
}

bool ui_text_wants_weights(const ui_text *t)
{
    return t->starts;
}

void ui_text_stop(ui_engine_server *e, ui_slot *s, const char *reason)
{
    ui_text *t = &s->text;
    send_stop(e, s, reason);
    t->running = t->starts = t->rereads = false;
    rs_generator_free(t->generator);
    t->generator = NULL;
}

static void text_failed(ui_engine_server *e, ui_slot *s, const rs_err *err)
{
    ui_server_error(e, s, err->msg);
    ui_text_stop(e, s, "stopped");
}

bool ui_text_take(ui_engine_server *e, ui_slot *s)
{
    if (!s->generate.frame) return false;
    ui_text *t = &s->text;
    const ui_engine_command *c = &s->generate.c;
    bool same = t->request.frame && c->run == t->run && c->n_prior == 0;
    t->keep = c->keep;
    t->fixed = c->fixed;
    if (same) { /* only what later edits do to it has changed */
        ui_mail_drop(&s->generate);
        return true;
    }
    rs_generator_free(t->generator);
    t->generator = NULL;
    t->run = c->run;
    t->starts = true;
    t->running = t->rereads = false;
    t->n_prior = c->n_prior;
    ui_mail_move(&t->request, &s->generate);
    s->failed_serial = 0; /* asked again: try again */
    if (s->plan) return true;
    rs_err err;
    rs_fail(&err, RS_E_INVALID, "no recipe is open for this text");
    text_failed(e, s, &err);
    return true;
}

/* New weights are in place: begin again, read again, or leave it. */
void ui_text_weights_changed(ui_slot *s)
{
    ui_text *t = &s->text;
    if (!s->changed || !t->request.frame || t->starts) return;
    if (t->keep && !t->fixed) {
        t->rereads = t->running;
    } else if (!t->fixed) {
        t->starts = true;
        t->running = false;
        t->n_prior = 0;
    }
    if (!t->rereads) s->changed = false;
}

/* The slot's weights were given up for another's: only a text can call them back. */
void ui_text_recipe_changed(ui_text *t)
{
    if (t->request.frame && !t->fixed && !t->keep) t->starts = true;
}

/* --- beginning --- */

static rs_status read_prompt(ui_engine_server *e, ui_slot *s, rs_err *err)
{
    ui_text *t = &s->text;
    const ui_vocab *v;
    RS_TRY(ui_vocab_of(e, rs_plan_base_path(rs_live_plan(s->live)), &v, err));
    t->ids.n = 0;
    RS_TRY(ui_prompt_ids(t->request.c.prompt, v, &t->ids, err));
    t->n_prompt = t->ids.n;
    for (int64_t i = 0; i < t->n_prior; i++)
        if (!rs_ids_add(&t->ids, ui_prior_id(&t->request.c, (uint32_t)i)))
            return rs_fail(err, RS_E_NOMEM, "no memory for the text's tokens");
    return RS_OK;
}

/* The ids that end a text: the config's and those of the chat format. */
static int stop_ids(const rs_config *c, const ui_vocab *v, int32_t out[20])
{
    int n = 0;
    for (int i = 0; i < c->n_eos; i++)
        out[n++] = c->eos[i];
    if (v->chat) n += rs_chat_stop_ids(v->chat, v->tokenizer, out + n);
    return n;
}

static rs_status make_generator(ui_engine_server *e, ui_slot *s, rs_err *err)
{
    ui_text *t = &s->text;
    const rs_model *model = rs_live_model(s->live);
    const ui_vocab *v;
    RS_TRY(ui_vocab_of(e, rs_plan_base_path(rs_live_plan(s->live)), &v, err));
    ui_sampling sampling;
    RS_TRY(ui_sampling_parse(t->request.c.sampler, &sampling, err));
    int32_t stops[20];
    rs_generate_params *p = &sampling.params;
    p->stop_ids = stops;
    p->n_stop_ids = stop_ids(model->config, v, stops);
    p->keep_inputs = t->keep;
    p->max_tokens = p->max_tokens > t->n_prior ? p->max_tokens - t->n_prior : 1;
    rs_status status = rs_generator_new(e->rt, model, v->tokenizer, t->ids.at, t->ids.n,
                                        p, &t->generator, err);
    ui_sampling_free(&sampling);
    return status;
}

/* Reads the prompt. false: given up for something newer, or failed. */
static bool begin(ui_engine_server *e, ui_slot *s)
{
    ui_text *t = &s->text;
    rs_err err;
    rs_generator_free(t->generator);
    t->generator = NULL;
    rs_status status = read_prompt(e, s, &err);
    if (status == RS_OK) status = make_generator(e, s, &err);
    ui_work work = ui_work_begin(e, s);
    if (status == RS_OK)
        status = rs_generator_prefill(t->generator, ui_work_step, &work, &err);
    if (status == RS_E_CANCELLED) return false;
    if (status != RS_OK) return text_failed(e, s, &err), false;
    t->starts = t->rereads = false;
    t->running = true;
    t->n_times = 0;
    s->changed = false;
    send_start(e, s);
    return true;
}

/* --- going on --- */

static bool read_again(ui_engine_server *e, ui_slot *s)
{
    ui_text *t = &s->text;
    rs_err err;
    ui_work work = ui_work_begin(e, s);
    work.give_up_at_once = true;
    rs_status status = rs_generator_weights_changed(t->generator, s->change.first_layer,
                                                    s->change.first_changed_kv,
                                                    ui_work_step, &work, &err);
    if (status == RS_E_CANCELLED) return false;
    if (status != RS_OK) return text_failed(e, s, &err), false;
    t->rereads = false;
    t->n_times = 0;
    s->changed = false;
    send_start(e, s);
    return true;
}

static void step(ui_engine_server *e, ui_slot *s)
{
    ui_text *t = &s->text;
    rs_err err;
    rs_token_event token;
    rs_status status = rs_generator_step(t->generator, &token, &err);
    if (status == RS_OK && !rs_ids_add(&t->ids, token.id))
        status = rs_fail(&err, RS_E_NOMEM, "no memory for the text's tokens");
    if (status != RS_OK) {
        text_failed(e, s, &err);
        return;
    }
    send_token(e, s, &token, note_token(t, ui_now()));
    if (token.stop != RS_STOP_NONE) ui_text_stop(e, s, rs_stop_name(token.stop));
}

bool ui_text_turn(ui_engine_server *e, ui_slot *s)
{
    ui_text *t = &s->text;
    if (!t->request.frame || !s->live) return false;
    bool current = s->live_serial == s->serial;
    if (t->starts) {
        if (!current) return false;
        if (begin(e, s)) step(e, s);
        return true;
    }
    /* Weights that are half old and half new write nothing. */
    if (!t->running || (s->changed && !current)) return false;
    if (t->rereads && !read_again(e, s)) return true;
    step(e, s);
    return true;
}
