/* engine_look.c - single tensors looked at for the layer detail: how their Fisher lies, and
 * the singular values of what tuning changed. Recipe, files and statistics stay open between
 * looks; a newer look gives up one that passes over a Fisher. */
#include "tui/app/engine_internal.h"

#include "learn/subspace.h"
#include "merge/difference.h"
#include "merge/spread.h"
#include "tui/app/look.h"
#include "tui/verbs/verbs.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 18 }; /* floats that are read at a time */
static const double POLL_EVERY = 0.01;

static void close_pair(ui_look_state *s)
{
    rs_checkpoint_close(s->from);
    rs_checkpoint_close(s->to);
    s->from = s->to = NULL;
}

static void close_recipe(ui_look_state *s)
{
    rs_spreads_close(s->spreads);
    rs_plan_free(s->plan);
    ui_recipe_unref(s->recipe);
    free(s->text);
    free(s->folder);
    *s = (ui_look_state){.mail = s->mail, .from = s->from, .to = s->to};
}

void ui_look_drop(ui_look_state *s)
{
    close_recipe(s);
    close_pair(s);
    ui_mail_drop(&s->mail);
}

static bool step(void *ctx, const rs_progress *p)
{
    ui_engine_server *e = ctx;
    (void)p;
    if (ui_now() - e->polled >= POLL_EVERY) ui_server_receive(e);
    return !e->closed && !e->look.mail.frame;
}

static bool is_open(const ui_look_state *s, const ui_engine_command *c)
{
    return s->plan && strcmp(s->text, c->text) == 0 &&
           strcmp(s->folder, c->folder ? c->folder : ".") == 0;
}

/* The plan of the look's recipe; what the one before has open is kept where it can be. */
static rs_status open_recipe(ui_engine_server *e, const ui_engine_command *c, rs_err *err)
{
    ui_look_state *s = &e->look;
    ui_recipe_ref *r = NULL;
    rs_plan *plan = NULL;
    rs_plan_options o = {.resolve = ui_resolve};
    if (is_open(s, c)) return RS_OK;
    RS_TRY(ui_recipe_read(c, &r, err));
    rs_status st = s->plan ? rs_plan_rebuild(e->rt, s->plan, r->recipe, &o, &plan, err)
                           : rs_plan_build(e->rt, r->recipe, &o, &plan, err);
    char *text = strdup(c->text), *folder = strdup(c->folder ? c->folder : ".");
    if (st == RS_OK && (!text || !folder))
        st = rs_fail(err, RS_E_NOMEM, "no memory for a recipe");
    if (st != RS_OK) {
        rs_plan_free(plan);
        ui_recipe_unref(r);
        free(text);
        free(folder);
        return st;
    }
    /* What old and new statistics share is kept by having both for a moment. */
    rs_spreads *now = NULL;
    if (s->spreads && rs_spreads_open(e->rt, plan, step, e, &now, NULL) != RS_OK)
        now = NULL;
    close_recipe(s);
    s->spreads = now;
    s->recipe = r;
    s->plan = plan;
    s->text = text;
    s->folder = folder;
    close_pair(s);
    return RS_OK;
}

static void answer(ui_engine_server *e, const ui_engine_command *c, const void *bytes,
                   size_t n, bool failed)
{
    ui_engine_event event = {.what = UI_ENGINE_LOOK,
                             .run = c->run,
                             .index = (int64_t)c->serial,
                             .id = c->what,
                             .text = bytes,
                             .n_text = n,
                             .last = failed};
    ui_server_send(e, &event);
}

static rs_status look_at_fisher(ui_engine_server *e, const ui_engine_command *c,
                                rs_err *err)
{
    ui_look_state *s = &e->look;
    rs_spread *spread = malloc(sizeof *spread);
    if (!spread) return rs_fail(err, RS_E_NOMEM, "no memory for a histogram");
    rs_status st = RS_OK;
    if (!s->spreads) st = rs_spreads_open(e->rt, s->plan, step, e, &s->spreads, err);
    if (st == RS_OK)
        st = rs_spreads_tensor(s->spreads, (int)c->serial, step, e, spread, err);
    if (st == RS_OK) answer(e, c, spread, sizeof *spread, false);
    free(spread);
    return st;
}

static rs_status open_pair(ui_look_state *s, rs_err *err)
{
    rs_difference d;
    rs_plan_options o = {.resolve = ui_resolve};
    if (s->from && s->to) return RS_OK;
    close_pair(s);
    RS_TRY(rs_recipe_difference(s->recipe->recipe, &o, &d, err));
    RS_TRY(rs_checkpoint_open(d.from, &s->from, err));
    return rs_checkpoint_open(d.to, &s->to, err);
}

static rs_status look_at_difference(ui_engine_server *e, const ui_engine_command *c,
                                    rs_err *err)
{
    ui_look_state *s = &e->look;
    double *v;
    int64_t n;
    RS_TRY(open_pair(s, err));
    RS_TRY(rs_subspace_values(e->rt, s->from, s->to,
                              rs_plan_at(s->plan, (int)c->serial)->name, &v, &n, err));
    answer(e, c, v, (size_t)n * sizeof *v, false);
    free(v);
    return RS_OK;
}

static rs_status mean_of(ui_engine_server *e, const rs_checkpoint *file,
                         const rs_tensor *t, float *piece, double *mean, rs_err *err)
{
    double sum = 0;
    for (int64_t at = 0; at < t->n_elements; at += PIECE) {
        int64_t n = t->n_elements - at < PIECE ? t->n_elements - at : PIECE;
        RS_TRY(rs_checkpoint_read_f32(file, t, at, n, piece, err));
        for (int64_t i = 0; i < n; i++)
            sum += (double)piece[i];
        if (!step(e, NULL)) return rs_fail(err, RS_E_CANCELLED, "cancelled");
    }
    *mean = t->n_elements ? sum / (double)t->n_elements : 0;
    return RS_OK;
}

static rs_status look_at_means(ui_engine_server *e, const ui_engine_command *c,
                               rs_err *err)
{
    rs_checkpoint *file;
    RS_TRY(rs_checkpoint_open(c->text, &file, err));
    int n = rs_checkpoint_count(file);
    double *mean = calloc((size_t)n + 1, sizeof *mean);
    float *piece = malloc(PIECE * sizeof *piece);
    rs_status st =
        mean && piece ? RS_OK : rs_fail(err, RS_E_NOMEM, "no memory for means");
    for (int i = 0; i < n && st == RS_OK; i++)
        st = mean_of(e, file, rs_checkpoint_at(file, i), piece, &mean[i], err);
    if (st == RS_OK) answer(e, c, mean, (size_t)n * sizeof *mean, false);
    free(mean);
    free(piece);
    rs_checkpoint_close(file);
    return st;
}

static rs_status look(ui_engine_server *e, const ui_engine_command *c, rs_err *err)
{
    if (c->what == UI_LOOK_MEANS) return look_at_means(e, c, err);
    RS_TRY(open_recipe(e, c, err));
    if (c->serial >= (uint64_t)rs_plan_count(e->look.plan))
        return rs_fail(err, RS_E_INVALID, "there is no such tensor");
    return c->what == UI_LOOK_SPREAD ? look_at_fisher(e, c, err)
                                     : look_at_difference(e, c, err);
}

bool ui_look_turn(ui_engine_server *e)
{
    if (!e->look.mail.frame) return false;
    ui_mail mail = {0};
    rs_err err;
    ui_mail_move(&mail, &e->look.mail);
    if (!mail.c.text) {
        close_recipe(&e->look);
        close_pair(&e->look);
    } else {
        rs_status st = look(e, &mail.c, &err);
        bool newer = st == RS_E_CANCELLED && e->look.mail.frame;
        if (st != RS_OK && !newer) answer(e, &mail.c, err.msg, strlen(err.msg), true);
    }
    ui_mail_drop(&mail);
    return true;
}
