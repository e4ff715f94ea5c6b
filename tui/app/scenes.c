/* scenes.c - three recipes side by side, A, B and C: edits belong to the one that is shown.
 * And the morph, a slider between two of them. */
#include "tui/app/commands_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void keep_present(ui_app *a)
{
    ui_replace(&a->scene[a->i_scene].text, ui_doc_base(&a->doc)->text);
}

void ui_scene_go(ui_app *a, int i)
{
    if (!ui_doc_base(&a->doc)->text || i == a->i_scene) return;
    char name = (char)('A' + i);
    ui_edit_drop(a);
    keep_present(a);
    bool is_new = !a->scene[i].text;
    if (is_new)
        ui_replace(&a->scene[i].text, a->scene[a->i_scene].text);
    else if (!ui_edit_show_text(a, a->scene[i].text, a->doc.file))
        return;
    a->i_scene = i;
    char line[16];
    snprintf(line, sizeof line, "scene %c", name);
    ui_undo_push(&a->undo, a->doc.at.text, line, i, a->doc.file, a->wall);
    if (is_new)
        ui_say(a, "scene %c, a copy: edits belong to it now", name);
    else
        ui_say(a, "scene %c", name);
}

static int scene_named(const char *word)
{
    return word[0] >= 'A' && word[0] <= 'C' && !word[1] ? word[0] - 'A' : -1;
}

bool ui_cmd_scene(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    int i = args->key ? args->key - 'A' : args->n == 1 ? scene_named(args->word[0]) : -1;
    if (i < 0 || i > 2) {
        ui_warn(a, "scene: A, B or C, not \"%s\"", args->line);
        return false;
    }
    if (i == a->i_scene)
        ui_say(a, "scene %c is shown", 'A' + i);
    else
        ui_scene_go(a, i);
    return true;
}

bool ui_cmd_scene_clear(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    int i = args->n == 1 ? scene_named(args->word[0]) : -1;
    if (i < 0 || i == a->i_scene) {
        ui_warn(a, i < 0 ? "scene-clear: A, B or C"
                         : "the scene that is shown cannot be emptied");
        return false;
    }
    ui_replace(&a->scene[i].text, NULL);
    ui_say(a, "scene %c is empty", 'A' + i);
    return true;
}

/* --- morph --- */

static double mix(double x, double y, double u)
{
    if (x == y) return x;
    return round((x + (y - x) * u) * 1e6) / 1e6;
}

static void mix_factors(rs_factors *f, const rs_factors *g, double u)
{
    int rows = f->n_layers + 1;
    f->master = mix(f->master, g->master, u);
    for (int l = 0; l < rows; l++)
        f->layer[l] = mix(f->layer[l], g->layer[l], u);
    for (int k = 0; k < RS_FACTOR_KINDS; k++)
        f->kind[k] = mix(f->kind[k], g->kind[k], u);
    for (int i = 0; i < rows * RS_FACTOR_KINDS; i++)
        f->cell[i] = mix(f->cell[i], g->cell[i], u);
}

/* t of every cell, written as cells where rows differ inside. */
static void mix_t(rs_t_table *t, const rs_t_table *o, double u)
{
    int rows = t->n_layers + 1;
    for (int l = 0; l < rows; l++) {
        double a = isnan(t->layer[l]) ? t->fallback : t->layer[l];
        double b = isnan(o->layer[l]) ? o->fallback : o->layer[l];
        t->layer[l] = mix(a, b, u);
    }
    for (int k = 0; k < RS_FACTOR_KINDS; k++)
        if (!isnan(t->kind[k]) && !isnan(o->kind[k]))
            t->kind[k] = mix(t->kind[k], o->kind[k], u);
    for (int i = 0; i < rows * RS_FACTOR_KINDS; i++)
        if (!isnan(t->cell[i]) && !isnan(o->cell[i]))
            t->cell[i] = mix(t->cell[i], o->cell[i], u);
    t->fallback = mix(t->fallback, o->fallback, u);
    for (int l = 0; l < rows; l++)
        if (t->layer[l] == t->fallback) t->layer[l] = NAN;
}

/* Weights of inputs that both have; one that only the nearer one has keeps its own. */
static void mix_weights(rs_stage *s, const rs_stage *o, double u)
{
    for (int i = 0; i < s->n_inputs; i++)
        for (int k = 0; k < o->n_inputs; k++)
            if (strcmp(s->inputs[i].from, o->inputs[k].from) == 0) {
                s->inputs[i].weight = mix(s->inputs[i].weight, o->inputs[k].weight, u);
                break;
            }
}

static bool mix_fuel(const rs_config *c, rs_recipe *r, rs_stage *s, const rs_stage *o,
                     double u, rs_err *err)
{
    rs_factors *f = NULL, *g = NULL;
    bool good = rs_factors_from(&s->gain, c, &f, err) == RS_OK &&
                rs_factors_from(&o->gain, c, &g, err) == RS_OK;
    if (good) {
        mix_factors(f, g, u);
        good = rs_factors_store(f, c, r, &s->gain, err) == RS_OK;
    }
    rs_factors_free(f);
    rs_factors_free(g);
    s->scale = mix(s->scale, o->scale, u);
    s->dampen.lambda = mix(s->dampen.lambda, o->dampen.lambda, u);
    s->dampen.parameter = mix(s->dampen.parameter, o->dampen.parameter, u);
    s->dampen.layer = mix(s->dampen.layer, o->dampen.layer, u);
    s->dampen.q = mix(s->dampen.q, o->dampen.q, u);
    if (s->mask.by && o->mask.by)
        s->mask.strength = mix(s->mask.strength, o->mask.strength, u);
    mix_weights(s, o, u);
    return good;
}

static bool mix_heal(const rs_config *c, rs_recipe *r, rs_stage *s, const rs_stage *o,
                     double u, rs_err *err)
{
    rs_t_table *t = NULL, *v = NULL;
    bool good = rs_t_table_from(&s->t, c, &t, err) == RS_OK &&
                rs_t_table_from(&o->t, c, &v, err) == RS_OK;
    if (good) {
        mix_t(t, v, u);
        good = rs_t_table_store(t, c, r, &s->t, err) == RS_OK;
    }
    rs_t_table_free(t);
    rs_t_table_free(v);
    return good;
}

static rs_recipe *scene_recipe(ui_app *a, int i, rs_err *err)
{
    const char *text = i == a->i_scene ? ui_doc_base(&a->doc)->text : a->scene[i].text;
    const char *folder = ui_doc_base(&a->doc)->recipe->folder;
    rs_recipe *r = NULL;
    if (!text) {
        rs_fail(err, RS_E_INVALID, "scene %c is empty: %c goes there with a copy",
                'A' + i, 'A' + i);
        return NULL;
    }
    return rs_recipe_parse(text, strlen(text), folder, "the scene", &r, err) == RS_OK
               ? r
               : NULL;
}

/* Numbers between the two; kinds, normalisers and everything else from the nearer one. */
static rs_recipe *between(ui_app *a, int from, int to, double u, rs_err *err)
{
    rs_recipe *x = scene_recipe(a, from, err), *y = x ? scene_recipe(a, to, err) : NULL;
    if (!y) {
        rs_recipe_free(x);
        return NULL;
    }
    rs_recipe *near = u < 0.5 ? x : y, *far = u < 0.5 ? y : x;
    double way = u < 0.5 ? u : 1 - u;
    const rs_config *c = ui_app_config(a);
    rs_stage *s = rs_recipe_fuel(near), *o = rs_recipe_fuel(far);
    bool good = !s || !o || mix_fuel(c, near, s, o, way, err);
    s = rs_recipe_heal(near);
    o = rs_recipe_heal(far);
    good = good && (!s || !o || mix_heal(c, near, s, o, way, err));
    rs_recipe_free(far);
    if (good) return near;
    rs_recipe_free(near);
    return NULL;
}

static bool show_morph(ui_app *a)
{
    rs_err err = {0};
    rs_recipe *r = between(a, a->morph.from, a->morph.to, a->morph.x, &err);
    if (!r) {
        ui_warn(a, "%s", err.msg);
        return false;
    }
    return ui_edit_try(a, r);
}

static bool keep_morph(ui_app *a)
{
    char line[64], what[64];
    const ui_morph *m = &a->morph;
    snprintf(line, sizeof line, "morph %c %c %.2f", 'A' + m->from, 'A' + m->to, m->x);
    snprintf(what, sizeof what, "morph %.2f from %c to %c", m->x, 'A' + m->from,
             'A' + m->to);
    return ui_edit_keep(a, line, what);
}

bool ui_morph_open(ui_app *a, int from, int to, double x)
{
    if (!a->doc.at.plan) return ui_edit_begin(a) != NULL;
    a->morph = (ui_morph){from, to, x};
    if (!show_morph(a)) return false;
    ui_set_mode(a, UI_MODE_MORPH);
    return true;
}

void ui_morph_key(ui_app *a, int key, ui_effects *fx)
{
    (void)fx;
    double x = a->morph.x;
    if (key == 'h' || key == UI_KEY_LEFT) x -= 0.05;
    if (key == 'l' || key == UI_KEY_RIGHT) x += 0.05;
    if (key == 'H' || key == UI_KEY_SLEFT) x -= 0.25;
    if (key == 'L' || key == UI_KEY_SRIGHT) x += 0.25;
    if (key == UI_KEY_ENTER) {
        keep_morph(a);
        ui_set_mode(a, UI_MODE_NONE);
        return;
    }
    if (key == UI_KEY_ESC || key == 'q' || key == UI_CTRL('C')) {
        ui_edit_drop(a);
        ui_set_mode(a, UI_MODE_NONE);
        return;
    }
    x = round(x * 100) / 100;
    a->morph.x = x < 0 ? 0 : x > 1 ? 1 : x;
    show_morph(a);
}

/* The scene that is shown, and the next one that is not empty. */
static int other_scene(const ui_app *a)
{
    for (int k = 1; k < 3; k++)
        if (a->scene[(a->i_scene + k) % 3].text) return (a->i_scene + k) % 3;
    return -1;
}

bool ui_cmd_morph(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    double x = -1;
    int from = a->i_scene, to = other_scene(a);
    bool names = args->n >= 2;
    if (names) from = scene_named(args->word[0]), to = scene_named(args->word[1]);
    if (to < 0 && !names) {
        ui_warn(a, "there is one scene only: B goes to a second with a copy");
        return false;
    }
    bool number = args->n == 1 || args->n == 3;
    if (number && (!ui_read_value(args->word[args->n - 1], false, &x) || x < 0 || x > 1))
        from = -1;
    if (from < 0 || to < 0 || from == to || args->n > 3) {
        ui_warn(a, "morph: two scenes and a number from 0 to 1, as A B 0.5");
        return false;
    }
    if (!number) return ui_morph_open(a, from, to, from == a->i_scene ? 0 : 1);
    a->morph = (ui_morph){from, to, x};
    return show_morph(a) && keep_morph(a);
}
