/* detail_look.c - what the layer detail asks for about single tensors, and the cut of the
 * spectrum. One look is under way at most: first the Fisher of the tensor under the cursor,
 * then of the others in the layer, then the spectrum of the one under the cursor. */
#include "base/rng.h"
#include "merge/difference.h"
#include "tensor/svd.h"
#include "tui/app/commands_internal.h"
#include "tui/screens/screens.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANK_MOST = 256, BIG_STEP = 8 }; /* of a cut that nobody chose; of H and L */
static const double ENERGY = 0.5;

/* --- what is there --- */

static void follow_pair(ui_app *a)
{
    ui_detail *d = &a->detail;
    if (d->serial == a->doc.serial) return;
    rs_difference *pair = ui_alloc(1, sizeof *pair);
    rs_buf key = {0};
    d->serial = a->doc.serial;
    d->pair = 0;
    rs_status s =
        rs_recipe_difference(a->doc.at.recipe, &a->doc.options, pair, &d->problem);
    if (s == RS_OK) {
        rs_buf_printf(&key, "%s\n%s\n%llu", pair->from, pair->to,
                      (unsigned long long)a->doc.reread);
        d->pair = rs_rng_name(rs_buf_str(&key)) | 1;
        snprintf(d->from, sizeof d->from, "%s", pair->from_name);
        snprintf(d->to, sizeof d->to, "%s", pair->to_name);
        d->pair_rank = pair->rank;
        d->pair_energy = pair->energy;
    }
    rs_buf_free(&key);
    free(pair);
}

bool ui_detail_has_spectrum(const ui_app *a, int i)
{
    if (i < 0 || !a->doc.at.plan || !a->detail.pair) return false;
    const rs_plan_tensor *t = rs_plan_at(a->doc.at.plan, i);
    return t->role.layer >= 0 && t->base->n_dims == 2;
}

static uint64_t spectrum_key(const ui_app *a, int i)
{
    if (!ui_detail_has_spectrum(a, i)) return 0;
    return (a->detail.pair ^ rs_rng_name(rs_plan_at(a->doc.at.plan, i)->name)) | 1;
}

const rs_spread *ui_detail_spread(const ui_app *a, int i, bool *old)
{
    const rs_plan *p = a->doc.at.plan;
    uint64_t key = p && i >= 0 ? rs_spread_fingerprint(p, i) : 0;
    const rs_spread *s = ui_looks_spread(&a->detail.looks, key);
    *old = key && !s;
    return s || !key ? s : ui_looks_spread_of(&a->detail.looks, i);
}

const ui_spectrum *ui_detail_spectrum(const ui_app *a, int i)
{
    return ui_looks_spectrum(&a->detail.looks, spectrum_key(a, i));
}

/* --- asking --- */

typedef struct wish {
    int i;
    ui_look_what what;
    uint64_t key; /* 0: nothing is missing */
} wish;

static bool wants_spread(const ui_app *a, int i, wish *w)
{
    uint64_t key = rs_spread_fingerprint(a->doc.at.plan, i);
    if (!key || ui_looks_spread(&a->detail.looks, key) ||
        ui_looks_failed(&a->detail.looks, key))
        return false;
    *w = (wish){i, UI_LOOK_SPREAD, key};
    return true;
}

static wish next_wish(const ui_app *a)
{
    wish w = {0};
    int n = 0, more = 0, *at = ui_detail_tensors(a, &n, &more);
    int here = a->detail.row >= 0 && a->detail.row < n ? at[a->detail.row] : -1;
    bool found = here >= 0 && wants_spread(a, here, &w);
    for (int k = 0; k < n && !found && a->detail.layer < a->doc.n_layers; k++)
        found = wants_spread(a, at[k], &w);
    if (!found && here >= 0 && !ui_detail_spectrum(a, here))
        w = (wish){here, UI_LOOK_SPECTRUM, spectrum_key(a, here)};
    free(at);
    return w;
}

void ui_look_follow(ui_app *a, ui_effects *fx)
{
    if (a->screen != UI_DETAIL || !a->doc.at.plan || a->follow_later) return;
    follow_pair(a);
    wish w = next_wish(a);
    if (!w.key || w.key == a->detail.looks.asked) return;
    a->detail.looks.asked = w.key;
    a->contrast.asked = false; /* one look at a time */
    ui_effect *e = ui_effects_add(fx, UI_FX_LOOK);
    e->serial = (uint64_t)w.i;
    e->run = w.key;
    e->value = w.what;
    e->text = ui_strdup(a->doc.at.text);
    e->path = ui_strdup(a->doc.at.recipe->folder);
}

void ui_look_taken(ui_app *a, const ui_engine_event *e)
{
    ui_looks *l = &a->detail.looks;
    if (e->id == UI_LOOK_MEANS) {
        if (e->text) ui_contrast_taken(a, e);
        return;
    }
    if (!e->run && a->contrast.asked) /* the reader has ended */
        a->contrast.asked = false, a->contrast.failed = true;
    uint64_t key = e->run ? e->run : l->asked; /* 0: what was under way has ended */
    bool known = e->id == UI_LOOK_SPREAD || e->id == UI_LOOK_SPECTRUM;
    if (!key || !known || !e->text) return;
    if (e->last)
        ui_looks_fail(l, (ui_look_what)e->id, key, e->text);
    else
        ui_looks_put(l, (ui_look_what)e->id, key, e->text, e->n_text);
}

void ui_look_again(ui_app *a, ui_effects *fx)
{
    ui_looks_free(&a->detail.looks);
    a->detail.serial = 0;
    ui_effects_add(fx, UI_FX_LOOK); /* without a text: the files are let go */
}

/* --- the cut of the spectrum --- */

int ui_detail_rank(const ui_app *a, const ui_spectrum *s)
{
    const ui_detail *d = &a->detail;
    bool given = d->rank > 0 || d->energy > 0;
    int rank = given ? d->rank : d->pair_rank;
    double energy = given ? d->energy : d->pair_energy;
    if (rank < 1) {
        rank = rs_svd_rank_of(s->s, s->n, energy > 0 ? energy : ENERGY);
        if (!(energy > 0) && rank > RANK_MOST) rank = RANK_MOST;
    }
    return rank < s->n ? rank : s->n;
}

static void say_rank(ui_app *a, const ui_spectrum *s)
{
    int rank = ui_detail_rank(a, s);
    ui_say(
        a,
        "rank %d of %d keeps %.1f %% of the squares: :subspace makes it for all matrices",
        rank, s->n, 100 * rs_svd_kept(s->s, s->n, rank));
}

static bool step_rank(ui_app *a, int steps)
{
    const ui_spectrum *s = ui_detail_spectrum(a, ui_detail_here(a));
    if (!s || !s->s) {
        ui_say(a, "there is no spectrum here to cut yet");
        return true;
    }
    int by = abs(steps) > 1 ? (steps > 0 ? BIG_STEP : -BIG_STEP) : steps;
    int rank = ui_detail_rank(a, s) + by;
    a->detail.rank = rank < 1 ? 1 : rank > s->n ? s->n : rank;
    a->detail.energy = 0;
    say_rank(a, s);
    return true;
}

static bool step_cut(ui_app *a, int steps, ui_effects *fx)
{
    static const rs_normaliser order[] = {RS_NORM_MEAN, RS_NORM_P90,  RS_NORM_P95,
                                          RS_NORM_P99,  RS_NORM_P999, RS_NORM_MAX};
    const int n = sizeof order / sizeof *order;
    const rs_stage *s = a->doc.at.recipe ? rs_recipe_fuel(a->doc.at.recipe) : NULL;
    char line[40];
    if (s && s->dampen.kind == RS_DAMPEN_HARD)
        return ui_run(a, steps > 0 ? "lambda-up" : "lambda-down", fx);
    int at = 0;
    while (s && at < n && order[at] != s->dampen.normaliser)
        at++;
    int next = at == n ? 0 : at + (steps > 0 ? 1 : -1);
    if (next < 0 || next >= n) {
        ui_say(a, next < 0 ? "the mean is the lowest cut"
                           : "the largest value is the highest cut");
        return true;
    }
    snprintf(line, sizeof line, "normaliser %s", rs_normaliser_name(order[next]));
    return ui_run(a, line, fx);
}

bool ui_detail_step(ui_app *a, int steps, ui_effects *fx)
{
    return a->detail.focus == UI_DETAIL_SPECTRUM ? step_rank(a, steps)
                                                 : step_cut(a, steps, fx);
}

bool ui_cmd_rank(ui_app *a, const ui_args *args, ui_effects *fx)
{
    double v = 0;
    bool by_energy = args->n == 1 && strncmp(args->word[0], "energy=", 7) == 0;
    (void)fx;
    bool good = args->n == 1 &&
                ui_read_value(args->word[0] + (by_energy ? 7 : 0), false, &v) &&
                (by_energy ? v > 0 && v <= 1 : v >= 1 && v <= 1e6 && v == floor(v));
    if (!good) {
        ui_warn(
            a, "rank takes a whole number from 1, or energy=E with E up to 1, not \"%s\"",
            args->line);
        return false;
    }
    a->detail.rank = by_energy ? 0 : (int)v;
    a->detail.energy = by_energy ? v : 0;
    const ui_spectrum *s = ui_detail_spectrum(a, ui_detail_here(a));
    if (s && s->s)
        say_rank(a, s);
    else
        ui_say(a, "the cut is kept for every spectrum");
    return true;
}
