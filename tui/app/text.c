/* text.c - what the engine is asked for: to follow the recipe, to measure it, to write. And
 * Duel's other side, which is a second recipe in slot 1. */
#include "tui/app/state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ui_prompt_line(const ui_app *a, rs_buf *out)
{
    const char *text = a->pinned.title ? a->pinned.title : "";
    rs_buf_puts(out, a->pinned.raw ? "{\"text\":" : "{\"prompt\":");
    rs_buf_json(out, text, strlen(text));
    if (!a->pinned.raw && a->system && a->system[0]) {
        rs_buf_puts(out, ",\"system\":");
        rs_buf_json(out, a->system, strlen(a->system));
    }
    rs_buf_putc(out, '}');
}

static ui_effect *add_generate(ui_app *a, int slot, uint64_t run, ui_effects *fx)
{
    rs_buf prompt = {0}, sampler = {0};
    ui_prompt_line(a, &prompt);
    ui_sampling_json(&a->sampling, &sampler);
    ui_effect *e = ui_effects_add(fx, UI_FX_GENERATE);
    e->slot = slot;
    e->run = run;
    e->prompt = ui_strdup(rs_buf_str(&prompt));
    e->sampler = ui_strdup(rs_buf_str(&sampler));
    rs_buf_free(&prompt);
    rs_buf_free(&sampler);
    return e;
}

/* How the engine is to treat the running text when weights change: Duel's texts are finished
 * as they began (value 1). */
static void set_mode(const ui_app *a, ui_effect *e)
{
    bool fixed = a->screen == UI_DUEL || a->opt.preview == UI_PREVIEW_OFF;
    e->value = fixed;
    e->keep = !fixed && a->opt.preview == UI_PREVIEW_CONTINUE;
}

uint64_t ui_generate(ui_app *a, ui_pane *p, bool keep, ui_effects *fx)
{
    if (!a->doc.at.plan || !a->pinned.title) return 0;
    ui_pane_begin(p, ++a->run, keep);
    ui_effect *e = add_generate(a, p->slot, p->run, fx);
    set_mode(a, e);
    return p->run;
}

void ui_generate_again(ui_app *a, ui_effects *fx)
{
    ui_generate(a, &a->text, false, fx);
    if (a->screen != UI_DUEL || !a->duel.open) return;
    a->duel.a_serial = a->doc.serial;
    a->duel.paragraph[0] = a->duel.paragraph[1] = 0;
    ui_generate(a, &a->duel.b, false, fx);
}

/* The same run number: only the mode changes, nothing begins again. */
void ui_preview_mode_told(ui_app *a, ui_effects *fx)
{
    if (!a->text.run || !a->doc.at.plan) return;
    set_mode(a, add_generate(a, 0, a->text.run, fx));
}

static void add_follow(ui_effects *fx, int slot, uint64_t serial, const char *text,
                       const char *folder)
{
    ui_effect *e = ui_effects_add(fx, UI_FX_FOLLOW);
    e->slot = slot;
    e->serial = serial;
    e->text = ui_strdup(text);
    e->path = ui_strdup(folder);
}

static void add_measure(ui_effects *fx, int slot, bool full)
{
    ui_effect *e = ui_effects_add(fx, UI_FX_MEASURE);
    e->slot = slot;
    e->full = full;
}

void ui_follow(ui_app *a, ui_effects *fx)
{
    if (!a->doc.at.plan || a->follow_later || a->followed == a->doc.serial) return;
    bool first = a->followed == 0;
    a->followed = a->doc.serial;
    add_follow(fx, 0, a->doc.serial, a->doc.at.text, a->doc.at.recipe->folder);
    if (!first) return;
    add_measure(fx, 0, true); /* sticky: later edits are measured too */
    ui_generate(a, &a->text, false, fx);
}

/* --- Duel's B --- */

void ui_duel_close(ui_app *a)
{
    ui_duel *d = &a->duel;
    ui_pane_free(&d->b);
    rs_measure_free(d->measure);
    rs_plan_free(d->plan);
    rs_recipe_free(d->recipe);
    ui_sums_free(&d->sums);
    free(d->name);
    free(d->text);
    free(d->folder);
    uint64_t serial = d->serial;
    memset(d, 0, sizeof *d);
    d->serial = serial;
}

static void duel_measure(ui_duel *d)
{
    rs_measure_free(d->measure);
    d->measure = NULL;
    if (d->plan && rs_measure_from(d->plan, d->sums.at, &d->measure, NULL) != RS_OK)
        d->measure = NULL;
}

void ui_duel_put_sums(ui_app *a, const ui_engine_event *e)
{
    ui_duel *d = &a->duel;
    if (d->open && d->plan && ui_sums_put(&d->sums, e->sums, e->n_sums)) duel_measure(d);
}

/* Opens r (taken) as B. */
static bool duel_open(ui_app *a, rs_recipe *r, int version, ui_effects *fx, rs_err *err)
{
    rs_plan *p = NULL;
    if (rs_plan_build(a->doc.rt, r, &a->doc.options, &p, err) != RS_OK) {
        rs_recipe_free(r);
        return false;
    }
    ui_duel_close(a);
    ui_duel *d = &a->duel;
    d->open = true;
    d->b.slot = 1;
    d->recipe = r;
    d->plan = p;
    d->version = version;
    d->name = ui_strdup(r->name ? r->name : "unnamed");
    d->text = ui_recipe_text(r);
    d->folder = ui_strdup(r->folder);
    d->serial++;
    ui_sums_follow(&d->sums, p);
    if (ui_doc_base(&a->doc)->plan && a->doc.sums.n == d->sums.n)
        ui_sums_put(&d->sums, a->doc.sums.at, a->doc.sums.n);
    duel_measure(d);
    add_follow(fx, 1, d->serial, d->text, d->folder);
    add_measure(fx, 1, false);
    return true;
}

/* The newest saved version that differs from what is shown. */
static rs_recipe *newest_differing(ui_app *a, int *version, rs_err *err)
{
    const ui_file *f = ui_doc_file_of(&a->doc);
    rs_recipe *r = NULL;
    if (!f || !f->saved) {
        rs_fail(err, RS_E_NOT_FOUND,
                "this recipe was never saved: :versus RECIPE names another");
        return NULL;
    }
    if (strcmp(f->saved, a->doc.at.text) != 0) {
        *version = f->version;
        return rs_recipe_parse(f->saved, strlen(f->saved), f->folder, "the saved version",
                               &r, err) == RS_OK
                   ? r
                   : NULL;
    }
    for (int v = f->version - 1; v >= 1 && f->path; v--) {
        char path[4096];
        if (!ui_version_path(f->path, v, path, sizeof path)) break;
        if (rs_recipe_load(path, &r, NULL) != RS_OK) continue;
        if (!rs_recipe_equal(r, a->doc.at.recipe)) {
            *version = v;
            return r;
        }
        rs_recipe_free(r);
        r = NULL;
    }
    rs_fail(err, RS_E_NOT_FOUND,
            "no saved version of %s differs from this one: :versus RECIPE names another",
            a->doc.at.recipe->name);
    return NULL;
}

/* Two of one name differ by version: "v3", or "v3 edited". */
static void tell_duel(ui_app *a)
{
    const ui_file *f = ui_doc_file_of(&a->doc);
    const ui_duel *d = &a->duel;
    const char *name = a->doc.at.recipe->name;
    char of_a[40] = "", of_b[24] = "";
    if (strcmp(name, d->name) == 0) {
        snprintf(of_a, sizeof of_a, " v%d%s", f ? f->version : 0,
                 ui_doc_is_saved(&a->doc) ? "" : " edited");
        snprintf(of_b, sizeof of_b, " v%d", d->version);
    }
    ui_say(a, "duel: %s%s against %s%s", name, of_a, d->name, of_b);
}

bool ui_versus(ui_app *a, const char *what, ui_effects *fx)
{
    rs_err err = {0};
    rs_recipe *r = NULL;
    int version = 0;
    char path[4096] = "", newest[4096];
    if (!a->doc.at.plan) {
        ui_warn(a, "there is no model to write with: %s", a->doc.at.problem.msg);
        return false;
    }
    if (!what || !what[0])
        r = newest_differing(a, &version, &err);
    else if (ui_find_recipe(a, what, path, &err) &&
             ui_file_read(path, &r, &version, &err) != RS_OK)
        r = NULL;
    int older = r ? ui_version_of(path, newest, sizeof newest) : 0;
    if (older) version = older;
    if (!r || !duel_open(a, r, version, fx, &err)) {
        ui_warn(a, "%s", err.msg);
        return false;
    }
    ui_go(a, UI_DUEL);
    ui_generate_again(a, fx);
    tell_duel(a);
    return true;
}

/* The engine has the files open as they were: it lets them go first, B's with A's, since the
 * two share what is equal. */
void ui_files_again(ui_app *a, ui_effects *fx)
{
    ui_duel *d = &a->duel;
    rs_recipe *b = NULL;
    rs_err err = {0};
    int version = d->version;
    if (d->open && rs_recipe_clone(d->recipe, &b, &err) != RS_OK) b = NULL;
    for (int slot = 1; slot >= 0; slot--)
        ui_effects_add(fx, UI_FX_DROP_SLOT)->slot = slot;
    ui_doc_reread(&a->doc);
    ui_look_again(a, fx);
    a->followed = 0;
    ui_follow(a, fx);
    if (!d->open) return;
    if (!b || !duel_open(a, b, version, fx, &err)) {
        ui_warn(a, "%s", err.msg);
        ui_duel_close(a);
    } else if (a->screen == UI_DUEL) {
        ui_generate(a, &d->b, false, fx);
    }
}

/* --- what it answers --- */

static void say_error(ui_app *a, const ui_engine_event *e)
{
    ui_warn(a, "engine: %s", e->text ? e->text : "an error without words");
}

void ui_engine_event_taken(ui_app *a, const ui_engine_event *e, ui_effects *fx)
{
    (void)fx;
    if (e->what == UI_ENGINE_SUMS) {
        if (e->slot == 1)
            ui_duel_put_sums(a, e);
        else if (e->slot == 0) {
            ui_doc_put_sums(&a->doc, e->serial, e->sums, e->n_sums);
            if (a->rows.sort != UI_SORT_LAYER) ui_rows_arrange(&a->rows, &a->doc);
        }
        return;
    }
    if (e->what == UI_ENGINE_LOOK) {
        ui_look_taken(a, e);
        return;
    }
    if (e->what == UI_ENGINE_ERROR) say_error(a, e);
    ui_pane_event(&a->text, e);
    if (a->duel.open) ui_pane_event(&a->duel.b, e);
    if (e->what == UI_ENGINE_DIED)
        ui_warn(a, "%s", e->text ? e->text : "the engine ended");
}
