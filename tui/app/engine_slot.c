#include "tui/app/engine_internal.h"
#include "tui/verbs/verbs.h"

#include <stdlib.h>
#include <string.h>

/* --- recipes --- */

void ui_recipe_unref(ui_recipe_ref *r)
{
    if (!r || --r->refs > 0) return;
    rs_recipe_free(r->recipe);
    free(r->stage);
    free(r);
}

rs_status ui_recipe_read(const ui_engine_command *c, ui_recipe_ref **out, rs_err *err)
{
    ui_recipe_ref *r = calloc(1, sizeof *r);
    if (!r) return rs_fail(err, RS_E_NOMEM, "no memory for a recipe");
    r->refs = 1;
    r->stage = c->stage ? strdup(c->stage) : NULL;
    rs_status s = rs_recipe_parse(c->text, strlen(c->text), c->folder ? c->folder : ".",
                                  "the recipe", &r->recipe, err);
    if (s == RS_OK && c->stage && !r->stage)
        s = rs_fail(err, RS_E_NOMEM, "no memory for a recipe");
    if (s != RS_OK) {
        ui_recipe_unref(r);
        return s;
    }
    *out = r;
    return RS_OK;
}

static rs_status make_plan(const ui_engine_server *e, const ui_slot *s,
                           const ui_recipe_ref *r, rs_plan **out, rs_err *err)
{
    rs_plan_options o = {.stage = r->stage, .resolve = ui_resolve};
    if (s->plan) return rs_plan_rebuild(e->rt, s->plan, r->recipe, &o, out, err);
    return rs_plan_build(e->rt, r->recipe, &o, out, err);
}

bool ui_slot_take_recipe(ui_engine_server *e, ui_slot *s)
{
    if (!s->follow.frame) return false;
    ui_mail mail = {0};
    ui_mail_move(&mail, &s->follow);
    rs_err err;
    ui_recipe_ref *r = NULL;
    rs_plan *plan = NULL;
    rs_status status = ui_recipe_read(&mail.c, &r, &err);
    if (status == RS_OK) status = make_plan(e, s, r, &plan, &err);
    if (status == RS_OK) {
        rs_plan_free(s->plan);
        ui_recipe_unref(s->recipe);
        s->plan = plan;
        s->recipe = r;
        s->serial = mail.c.serial;
        ui_slot_measure_again(e, s, false);
        if (s->evicted) ui_text_recipe_changed(&s->text);
    } else {
        ui_recipe_unref(r);
        ui_engine_event event = {.what = UI_ENGINE_ERROR,
                                 .slot = s->number,
                                 .serial = mail.c.serial,
                                 .text = err.msg,
                                 .n_text = strlen(err.msg)};
        ui_server_send(e, &event);
    }
    ui_mail_drop(&mail);
    return true;
}

/* --- weights --- */

static void close_live(ui_slot *s)
{
    ui_text_model_gone(&s->text);
    rs_live_close(s->live);
    ui_recipe_unref(s->live_recipe);
    s->live = NULL;
    s->live_recipe = NULL;
    s->live_serial = 0;
}

bool ui_slot_evict(ui_engine_server *e, ui_slot *s)
{
    if (!s->live) return true;
    if (s->text.running || s->text.starts) return false;
    if (e->cross.kv) ui_cross_stop(e);
    close_live(s);
    s->evicted = true;
    return true;
}

static const rs_live *other_live(const ui_engine_server *e, const ui_slot *s)
{
    for (int i = 0; i < UI_ENGINE_SLOTS; i++)
        if (i != s->number && e->slots[i].live) return e->slots[i].live;
    return NULL;
}

static uint64_t used_bytes(const ui_engine_server *e)
{
    uint64_t n = 0;
    for (int i = 0; i < UI_ENGINE_SLOTS; i++)
        if (e->slots[i].live) n += rs_live_bytes(e->slots[i].live);
    return n;
}

typedef enum room { ROOM, ROOM_LATER, ROOM_NEVER } room;

/* Memory for the plan, taken from slots that are not writing if there is too little. */
static room make_room(ui_engine_server *e, ui_slot *s, const rs_plan *plan, rs_err *err)
{
    s->alone = false;
    for (int i = UI_ENGINE_SLOTS - 1; i >= 0; i--) {
        if (used_bytes(e) + rs_live_need(plan, other_live(e, s)) <= e->budget)
            return ROOM;
        if (i == s->number || !e->slots[i].live) continue;
        s->alone = true;
        if (!ui_slot_evict(e, &e->slots[i])) return ROOM_LATER;
    }
    uint64_t need = rs_live_need(plan, NULL);
    if (need <= e->budget) return ROOM;
    rs_fail(err, RS_E_NOMEM,
            "the model's tensors take %.2f GiB, the engine may use %.2f GiB (--memory)",
            (double)need / 0x1p30, (double)e->budget / 0x1p30);
    return ROOM_NEVER;
}

static rs_status open_live(ui_engine_server *e, ui_slot *s, rs_plan *plan, ui_work *w,
                           bool *later, rs_err *err)
{
    if (s->live && e->cross.kv) ui_cross_stop(e);
    close_live(s);
    room r = make_room(e, s, plan, err);
    *later = r == ROOM_LATER;
    if (r != ROOM) {
        rs_plan_free(plan);
        return RS_E_NOMEM;
    }
    RS_TRY(rs_live_open(e->rt, plan, other_live(e, s), ui_work_step, w, &s->live, err));
    s->change = (rs_live_change){.n_stale = 1, .n_done = 1, .first_layer = -1};
    s->changed = true;
    s->evicted = false;
    return RS_OK;
}

static rs_status follow_live(ui_engine_server *e, ui_slot *s, rs_plan *plan, ui_work *w,
                             int *n_done, rs_err *err)
{
    rs_live_change change;
    rs_status status =
        rs_live_follow(e->rt, s->live, plan, ui_work_step, w, &change, err);
    *n_done = change.n_done;
    /* A tensor that failed half-way counts as changed. */
    bool touched = change.n_done > 0 || (status != RS_OK && status != RS_E_CANCELLED);
    if (!touched) return status;
    if (s->changed)
        rs_live_change_add(&s->change, &change);
    else
        s->change = change;
    s->changed = true;
    return status;
}

static void merge_failed(ui_engine_server *e, ui_slot *s, const rs_err *err)
{
    s->failed_serial = s->serial;
    ui_server_error(e, s, err->msg);
    if (s->text.running || s->text.starts) ui_text_stop(e, s, "stopped");
}

static bool wants_merge(const ui_slot *s)
{
    if (!s->plan || s->live_serial == s->serial || s->failed_serial == s->serial)
        return false;
    /* A fixed text is finished with the weights that it began with. */
    if (s->live && s->text.fixed && s->text.running && !s->text.starts) return false;
    return !s->evicted || s->needed || ui_text_wants_weights(&s->text);
}

bool ui_slot_merge(ui_engine_server *e, ui_slot *s)
{
    if (!wants_merge(s)) return false;
    rs_err err;
    rs_plan *plan = NULL;
    int n_done = 1;
    bool later = false;
    uint64_t serial = s->serial;
    ui_recipe_ref *r = s->recipe;
    ui_work work = ui_work_begin(e, s);
    work.tells = true;
    rs_status status = make_plan(e, s, r, &plan, &err);
    if (status == RS_OK) {
        r->refs++;
        if (s->live && rs_live_fits(s->live, plan))
            status = follow_live(e, s, plan, &work, &n_done, &err);
        else
            status = open_live(e, s, plan, &work, &later, &err);
        /* The plan that the live had, and its recipe, are gone in every case. */
        ui_recipe_unref(s->live_recipe);
        s->live_recipe = r;
    }
    if (later) return false;
    if (status == RS_E_CANCELLED) return true;
    if (status != RS_OK) return merge_failed(e, s, &err), true;
    s->live_serial = serial;
    ui_engine_event ready = {.what = UI_ENGINE_READY,
                             .slot = s->number,
                             .serial = serial,
                             .done = n_done,
                             .total = n_done};
    ui_server_send(e, &ready);
    ui_text_weights_changed(s);
    return true;
}

void ui_slot_drop(ui_slot *s)
{
    close_live(s);
    ui_text_free(&s->text);
    ui_slot_drop_sums(s);
    rs_plan_free(s->plan);
    ui_recipe_unref(s->recipe);
    ui_mail_drop(&s->follow);
    ui_mail_drop(&s->generate);
    *s = (ui_slot){.number = s->number};
}
