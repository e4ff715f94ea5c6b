#include "tui/app/engine_internal.h"
#include "tui/verbs/verbs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where something is measured, the last event of a pass says so even if nothing was left to
 * do. Survival needs the rounded output: it comes in a second pass over the tensors whose
 * gain or t has moved since it was taken. */

void ui_slot_drop_sums(ui_slot *s)
{
    free(s->sums);
    free(s->output_fresh);
    s->sums = NULL;
    s->output_fresh = NULL;
    s->n_sums = 0;
}

static bool make_table(ui_slot *s, int n)
{
    if (s->n_sums == n && s->sums) return true;
    ui_slot_drop_sums(s);
    s->sums = calloc((size_t)n + 1, sizeof *s->sums);
    s->output_fresh = calloc((size_t)n + 1, sizeof *s->output_fresh);
    if (s->sums && s->output_fresh)
        s->n_sums = n;
    else
        ui_slot_drop_sums(s);
    return s->n_sums == n;
}

static void send_sums(ui_engine_server *e, const ui_slot *s, const rs_tensor_sums *sums,
                      int n, bool last)
{
    int measured = s->pass == UI_PASS_SUMS ? s->next : s->n_sums;
    ui_engine_event event = {.what = UI_ENGINE_SUMS,
                             .slot = s->number,
                             .serial = s->serial,
                             .done = measured,
                             .total = s->n_sums,
                             .sums = sums,
                             .n_sums = n,
                             .last = last};
    ui_server_send(e, &event);
}

static bool is_fresh(const ui_slot *s, int i)
{
    return s->sums[i].valid && s->sums[i].fingerprint == rs_sums_fingerprint(s->plan, i);
}

void ui_slot_measure_again(ui_engine_server *e, ui_slot *s, bool resend)
{
    if (!s->measured || !s->plan) return;
    if (!make_table(s, rs_plan_count(s->plan))) {
        ui_server_error(e, s, "no memory for the measures");
        return;
    }
    s->pass = UI_PASS_SUMS;
    s->next = 0;
    if (!resend) return;
    /* What is known already goes out at once, in the plan's order. */
    int first = 0;
    for (int i = 0; i <= s->n_sums; i++) {
        if (i < s->n_sums && is_fresh(s, i)) continue;
        if (i > first) send_sums(e, s, s->sums + first, i - first, false);
        first = i + 1;
    }
}

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static bool needs(const ui_slot *s, int i)
{
    if (!is_fresh(s, i)) return true;
    if (s->pass == UI_PASS_SUMS) return false;
    const rs_plan_tensor *t = rs_plan_at(s->plan, i);
    const rs_tensor_sums *m = &s->sums[i];
    return !s->output_fresh[i] || !same(m->at_gain, t->gain) || !same(m->at_t, t->t);
}

/* A tensor that is only copied needs no second look: nothing is wanted, nothing changes. */
static bool is_copied(const ui_slot *s, int i)
{
    const rs_plan_tensor *t = rs_plan_at(s->plan, i);
    if (t->changes || t->out_dtype != t->base->dtype || !is_fresh(s, i)) return false;
    s->sums[i].want_dot = s->sums[i].want_norm = s->sums[i].changed = 0;
    s->sums[i].at_gain = t->gain;
    s->sums[i].at_t = t->t;
    return true;
}

static bool measure_one(ui_engine_server *e, ui_slot *s, int i)
{
    rs_err err;
    bool output = s->pass == UI_PASS_OUTPUT;
    rs_tensor_sums fresh;
    memset(&fresh, 0, sizeof fresh);
    if (output && is_copied(s, i)) {
        s->output_fresh[i] = true;
        return true;
    }
    if (rs_sums_tensor(e->rt, s->plan, i, output, &fresh, &err) != RS_OK) {
        ui_server_error(e, s, err.msg);
        s->pass = UI_PASS_NONE;
        return false;
    }
    s->sums[i] = fresh;
    s->output_fresh[i] = output;
    return true;
}

static bool next_pass(ui_engine_server *e, ui_slot *s)
{
    if (s->pass == UI_PASS_SUMS && s->full) {
        s->pass = UI_PASS_OUTPUT;
        s->next = 0;
        return true;
    }
    s->pass = UI_PASS_NONE;
    send_sums(e, s, NULL, 0, true);
    return false;
}

bool ui_slot_measure(ui_engine_server *e, ui_slot *s, double seconds)
{
    if (s->pass == UI_PASS_NONE || !s->plan) return false;
    double until = ui_now() + seconds;
    int first =
        s->next; /* of a run of tensors that were measured now, to be sent together */
    while (s->next < s->n_sums) {
        if (needs(s, s->next)) {
            if (!measure_one(e, s, s->next)) return true;
            s->next++;
        } else {
            if (s->next > first) send_sums(e, s, s->sums + first, s->next - first, false);
            first = ++s->next;
        }
        if (s->next > first && ui_now() >= until) break;
    }
    if (s->next > first) send_sums(e, s, s->sums + first, s->next - first, false);
    if (s->next >= s->n_sums) next_pass(e, s);
    return true;
}
