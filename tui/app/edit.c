/* edit.c - every change of the recipe: live or for good, with its undo step, its effect in
 * words, and the rows that flash. */
#include "tui/app/state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

double ui_stage_damage(const ui_app *a)
{
    const rs_measure *m = a->doc.at.measure;
    return m ? m->all.damage : NAN;
}

const char *ui_damage_unit(const ui_app *a)
{
    const rs_measure *m = a->doc.at.measure;
    return m && m->units_unknown ? "F units" : "nat";
}

/* As many decimals as it takes to tell the two apart, from 4 to 7. */
static int decimals_between(double x, double y)
{
    int n = 4;
    for (double step = 1e-4; n < 7 && round(x / step) == round(y / step); step /= 10)
        n++;
    return n;
}

static void put_effect(const ui_app *a, const char *name, double was, double now,
                       char *dst, size_t n)
{
    int d = decimals_between(was, now);
    snprintf(dst, n, ", %.40s %.*f -> %.*f %s", name, d, was, d, now, ui_damage_unit(a));
}

void ui_edit_effect(const ui_app *a, double before, double out, char *dst, size_t n)
{
    const rs_measure *m = a->doc.at.measure;
    const rs_stage *s = a->doc.at.recipe ? rs_recipe_fuel(a->doc.at.recipe) : NULL;
    dst[0] = 0;
    if (!m || !s) return;
    double after = m->all.damage;
    if (!isnan(before) && !isnan(after) && after != before)
        put_effect(a, s->name, before, after, dst, n);
    else if (!isnan(out) && !isnan(m->all.out) && m->all.out != out)
        put_effect(a, "out", out, m->all.out, dst, n);
}

/* The rows follow the model that is open; without a heal there is no t to edit. */
static void after_change(ui_app *a)
{
    const rs_recipe *now = a->doc.at.recipe;
    if (now && !rs_recipe_heal(now)) a->lane_t = false;
    ui_rows_resize(&a->rows, a->doc.at.plan ? a->doc.n_layers + 1 : 0);
    if (a->n_flash != a->rows.n) {
        free(a->flash);
        a->flash = ui_alloc((size_t)a->rows.n, sizeof *a->flash);
        a->n_flash = a->rows.n;
    }
    ui_rows_arrange(&a->rows, &a->doc);
    if (a->doc.at.recipe && !rs_recipe_heal(a->doc.at.recipe)) a->lane_t = false;
}

rs_recipe *ui_edit_begin(ui_app *a)
{
    if (!ui_doc_base(&a->doc)->plan) {
        ui_warn(a,
                a->doc.at.recipe ? "nothing can be changed: %s" : "no recipe is open%s",
                a->doc.at.recipe ? a->doc.at.problem.msg : "");
        return NULL;
    }
    rs_err err = {0};
    rs_recipe *r = ui_doc_begin(&a->doc, &err);
    if (!r) ui_warn(a, "nothing can be changed: %s", err.msg);
    return r;
}

typedef struct before {
    double total, out, *gain, *t, *damage;
    int n; /* rows */
} before;

static before note_before(const ui_app *a)
{
    const rs_measure *m = ui_doc_base(&a->doc)->measure;
    before b = {.total = m ? m->all.damage : NAN,
                .out = m ? m->all.out : NAN,
                .n = m ? m->n_layers + 1 : 0};
    b.gain = ui_alloc((size_t)b.n, sizeof(double));
    b.t = ui_alloc((size_t)b.n, sizeof(double));
    b.damage = ui_alloc((size_t)b.n, sizeof(double));
    for (int l = 0; l < b.n; l++) {
        b.gain[l] = m->layer[l].gain;
        b.t[l] = m->layer[l].t;
        b.damage[l] = m->layer[l].damage;
    }
    return b;
}

static void free_before(before *b)
{
    free(b->gain);
    free(b->t);
    free(b->damage);
}

static bool row_changed(const rs_measure_row *now, const before *was, int l)
{
    bool same_damage = isnan(now->damage) || fabs(now->damage - was->damage[l]) < 5e-7;
    bool same_t = isnan(now->t) || now->t == was->t[l];
    return now->gain != was->gain[l] || !same_t || !same_damage;
}

/* Marks the rows whose numbers differ from those before. */
static void flash_rows(ui_app *a, const before *was)
{
    const rs_measure *m = a->doc.at.measure;
    for (int l = 0; l < a->n_flash; l++)
        a->flash[l] = false;
    if (!m || !a->opt.flash || was->n != m->n_layers + 1 || was->n != a->n_flash) return;
    for (int l = 0; l < a->n_flash; l++)
        a->flash[l] = row_changed(&m->layer[l], was, l);
    a->flash_until = a->now + 1;
}

/* After a commit: undo step, flash, words. */
static void finish(ui_app *a, const before *b, const char *text_before, const char *line,
                   const char *what)
{
    after_change(a);
    char effect[160];
    bool changed = strcmp(text_before, a->doc.at.text) != 0;
    ui_edit_effect(a, b->total, b->out, effect, sizeof effect);
    if (changed) {
        ui_undo_push(&a->undo, a->doc.at.text, line, a->i_scene, a->doc.file, a->wall);
        ui_replace(&a->last_edit, line);
        flash_rows(a, b);
    }
    if (what && changed)
        ui_say(a, "%s%s   (u undoes)", what, effect);
    else if (what)
        ui_say(a, "nothing changed: the recipe was so before   %s", line);
}

bool ui_edit_end(ui_app *a, rs_recipe *r, const char *line, const char *what)
{
    rs_err err = {0};
    before b = note_before(a);
    char *text = ui_strdup(ui_doc_base(&a->doc)->text);
    bool good = ui_doc_commit(&a->doc, r, &err);
    if (good)
        finish(a, &b, text, line, what);
    else
        ui_warn(a, "%s", err.msg);
    free_before(&b);
    free(text);
    return good;
}

bool ui_edit_try(ui_app *a, rs_recipe *r)
{
    rs_err err = {0};
    bool good = ui_doc_try(&a->doc, r, &err);
    if (!good) ui_warn(a, "%s", err.msg);
    after_change(a);
    return good;
}

bool ui_edit_keep(ui_app *a, const char *line, const char *what)
{
    if (!ui_doc_is_live(&a->doc)) return false;
    return ui_edit_end(a, NULL, line, what);
}

void ui_edit_drop(ui_app *a)
{
    if (!ui_doc_is_live(&a->doc)) return;
    ui_doc_drop(&a->doc);
    after_change(a);
}

void ui_edit_opened(ui_app *a)
{
    ui_replace(&a->refused_text, NULL);
    after_change(a);
}

bool ui_edit_show_text(ui_app *a, const char *text, int file)
{
    rs_recipe *r = NULL;
    rs_err err = {0};
    const ui_file *f = file >= 0 && file < a->doc.n_files ? &a->doc.files[file] : NULL;
    before b = note_before(a);
    bool good = rs_recipe_parse(text, strlen(text), f ? f->folder : NULL,
                                "the saved state", &r, &err) == RS_OK;
    if (good && file != a->doc.file)
        ui_doc_open(&a->doc, r, file);
    else if (good)
        good = ui_doc_commit(&a->doc, r, &err);
    if (good) {
        after_change(a);
        flash_rows(a, &b);
    } else {
        ui_warn(a, "%s", err.msg);
    }
    free_before(&b);
    return good;
}
