/* stages.c - numbers and kinds of a whole stage: dampening, scale, weights, budget; the
 * list behind each field of the controls line. */
#include "tui/app/commands_internal.h"
#include "tui/screens/screens.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

rs_recipe *ui_begin_fuel(ui_app *a, rs_stage **s)
{
    rs_recipe *r = ui_edit_begin(a);
    *s = r ? rs_recipe_fuel(r) : NULL;
    if (r && !*s) {
        ui_warn(a, "this recipe has no stage that adds deltas");
        rs_recipe_free(r);
        return NULL;
    }
    return r;
}

static bool refuse(ui_app *a, rs_recipe *r, const char *why)
{
    ui_warn(a, "%s", why);
    rs_recipe_free(r);
    return false;
}

static double rounded(double v)
{
    return round(v * 1e6) / 1e6;
}

/* --- dampening --- */

static const rs_dampen_kind kinds[] = {RS_DAMPEN_ONE_MINUS, RS_DAMPEN_EWC, RS_DAMPEN_TASK,
                                       RS_DAMPEN_HARD, RS_DAMPEN_NONE};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static const char *fisher_but(const rs_recipe *r, const char *not_this)
{
    for (int i = 0; i < r->n_measures; i++)
        if (r->measures[i].type == RS_MEASURE_FISHER &&
            (!not_this || strcmp(r->measures[i].name, not_this) != 0))
            return r->measures[i].name;
    return NULL;
}

/* What a kind needs and is not there yet. false: it cannot be had; `why` says so. */
static bool complete_kind(const rs_recipe *r, rs_dampen_spec *d, rs_dampen_kind k,
                          char why[200])
{
    if (k != RS_DAMPEN_NONE && !d->by) d->by = fisher_but(r, NULL);
    if (k != RS_DAMPEN_NONE && !d->by) {
        snprintf(why, 200, "%s needs a Fisher file, and the recipe has none",
                 rs_dampen_name(k));
        return false;
    }
    if (k == RS_DAMPEN_TASK && !d->task) d->task = fisher_but(r, d->by);
    if (k == RS_DAMPEN_TASK && !d->task) {
        snprintf(why, 200, "task needs a second Fisher file, of the style, beside %s",
                 d->by);
        return false;
    }
    bool thresholds = k == RS_DAMPEN_ONE_MINUS || k == RS_DAMPEN_HARD;
    if (k != d->kind) d->normaliser = thresholds ? RS_NORM_P99 : RS_NORM_MEAN;
    if ((k == RS_DAMPEN_EWC || k == RS_DAMPEN_TASK) && !(d->lambda > 0)) d->lambda = 1;
    if (k == RS_DAMPEN_HARD && !(d->q > 0)) d->q = 0.99;
    d->kind = k;
    return true;
}

static bool set_kind(ui_app *a, rs_dampen_kind k)
{
    rs_stage *s;
    char why[200], line[64], what[64];
    rs_recipe *r = ui_begin_fuel(a, &s);
    if (!r) return false;
    if (!complete_kind(r, &s->dampen, k, why)) return refuse(a, r, why);
    snprintf(line, sizeof line, "dampen %s", rs_dampen_name(k));
    snprintf(what, sizeof what, "dampening %s", rs_dampen_name(k));
    return ui_edit_end(a, r, line, what);
}

static bool next_kind(ui_app *a)
{
    rs_stage *s;
    char why[200];
    rs_recipe *r = ui_begin_fuel(a, &s);
    if (!r) return false;
    int at = 0;
    while (at < N_KINDS && kinds[at] != s->dampen.kind)
        at++;
    rs_dampen_kind next = s->dampen.kind;
    for (int i = 1; i < N_KINDS; i++) {
        rs_dampen_spec d = s->dampen;
        next = kinds[(at + i) % N_KINDS];
        if (complete_kind(r, &d, next, why)) break;
    }
    rs_recipe_free(r);
    return set_kind(a, next);
}

bool ui_cmd_dampen(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    rs_dampen_kind k;
    if (!args->n) return next_kind(a);
    if (rs_dampen_from_name(args->word[0], &k)) return set_kind(a, k);
    ui_warn(a, "dampen: one_minus ewc task hard none, not \"%s\"", args->word[0]);
    return false;
}

static const rs_normaliser norms[] = {RS_NORM_MEAN, RS_NORM_P99,  RS_NORM_P95,
                                      RS_NORM_P90,  RS_NORM_P999, RS_NORM_RANK,
                                      RS_NORM_LOG,  RS_NORM_MAX,  RS_NORM_NONE};
enum { N_NORMS = sizeof norms / sizeof *norms };

static bool set_norm(ui_app *a, const char *word)
{
    rs_stage *s;
    char line[80], what[160];
    rs_recipe *r = ui_begin_fuel(a, &s);
    if (!r) return false;
    if (s->dampen.kind == RS_DAMPEN_NONE)
        return refuse(a, r, "there is no dampening to normalise for: d chooses a kind");
    int at = 0;
    while (at < N_NORMS && norms[at] != s->dampen.normaliser)
        at++;
    if (!word)
        s->dampen.normaliser = norms[(at + 1) % N_NORMS];
    else if (strcmp(word, "scope=tensor") == 0)
        s->dampen.per_tensor = true;
    else if (strcmp(word, "scope=global") == 0)
        s->dampen.per_tensor = false;
    else if (!rs_normaliser_from_name(word, &s->dampen.normaliser))
        return refuse(
            a, r, "normaliser: mean p99 p95 p90 p999 rank log max none, or scope=tensor");
    const char *name = rs_normaliser_name(s->dampen.normaliser);
    snprintf(line, sizeof line, "normaliser %s", word ? word : name);
    snprintf(what, sizeof what, "normaliser %s%s%s", name,
             s->dampen.per_tensor ? " in each tensor" : "",
             s->dampen.normaliser == RS_NORM_MAX ? " (one large value hides all others)"
                                                 : "");
    return ui_edit_end(a, r, line, what);
}

bool ui_cmd_normaliser(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    return set_norm(a, args->n ? args->word[0] : NULL);
}

/* --- strength: lambda; a and b of one_minus; q of hard --- */

static void strength_words(const rs_dampen_spec *d, char dst[96])
{
    if (d->kind == RS_DAMPEN_ONE_MINUS)
        snprintf(dst, 96, "a %.3f b %.3f", d->parameter, d->layer);
    else if (d->kind == RS_DAMPEN_HARD)
        snprintf(dst, 96, "q %.4g", d->q);
    else
        snprintf(dst, 96, "lambda %.3f", d->lambda);
}

static double clamped(double v, double lo, double hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* Four steps of 2^(1/4) make 2 exactly: what is a thousandth but for rounding becomes one. */
static double snapped(double v)
{
    double r = round(v * 1000) / 1000;
    return fabs(v - r) < 1e-9 * fabs(v) ? r : v;
}

static bool step_strength(ui_app *a, int dir)
{
    rs_stage *s;
    char line[96], what[220], was[96], now[96];
    rs_recipe *r = ui_begin_fuel(a, &s);
    if (!r) return false;
    rs_dampen_spec *d = &s->dampen;
    strength_words(d, was);
    switch (d->kind) {
    case RS_DAMPEN_NONE:
        return refuse(a, r, "there is no dampening: d chooses a kind");
    case RS_DAMPEN_ONE_MINUS:
        d->parameter = rounded(clamped(d->parameter + 0.05 * dir, 0, 1));
        d->layer = rounded(clamped(d->layer + 0.05 * dir, 0, 1));
        snprintf(line, sizeof line, "lambda a=%.6g b=%.6g", d->parameter, d->layer);
        break;
    case RS_DAMPEN_HARD:
        d->q = rounded(clamped(d->q - 0.005 * dir, 0, 1));
        snprintf(line, sizeof line, "lambda q=%.6g", d->q);
        break;
    default:
        d->lambda = snapped(d->lambda * pow(2, dir / 4.0));
        snprintf(line, sizeof line, "lambda %.7g", d->lambda);
    }
    strength_words(d, now);
    snprintf(what, sizeof what, "%s -> %s", was, now);
    return ui_edit_end(a, r, line, what);
}

bool ui_cmd_lambda_up(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    return step_strength(a, 1);
}

bool ui_cmd_lambda_down(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    return step_strength(a, -1);
}

static bool set_strength(rs_dampen_spec *d, const char *word)
{
    double v;
    if (d->kind == RS_DAMPEN_ONE_MINUS && (word[0] == 'a' || word[0] == 'b') &&
        word[1] == '=') {
        if (!ui_read_value(word + 2, false, &v) || v < 0 || v > 1) return false;
        *(word[0] == 'a' ? &d->parameter : &d->layer) = v;
        return true;
    }
    if (d->kind == RS_DAMPEN_HARD) {
        if (strncmp(word, "q=", 2) == 0) word += 2;
        if (!ui_read_value(word, false, &v) || v < 0 || v > 1) return false;
        d->q = v;
        return true;
    }
    if (d->kind != RS_DAMPEN_EWC && d->kind != RS_DAMPEN_TASK) return false;
    if (!ui_read_value(word, false, &v) || v < 0 || v > 1e6) return false;
    d->lambda = v;
    return true;
}

bool ui_cmd_lambda(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    rs_stage *s;
    char line[200], what[220], was[96], now[96];
    rs_recipe *r = ui_begin_fuel(a, &s);
    if (!r) return false;
    strength_words(&s->dampen, was);
    bool good = args->n > 0;
    for (int i = 0; i < args->n; i++)
        good = good && set_strength(&s->dampen, args->word[i]);
    if (!good) {
        const char *what_it_takes =
            s->dampen.kind == RS_DAMPEN_ONE_MINUS ? "a=0..1 b=0..1"
            : s->dampen.kind == RS_DAMPEN_HARD    ? "q=0..1"
                                                  : "a number from 0 to 1000000";
        if (s->dampen.kind == RS_DAMPEN_NONE)
            return refuse(a, r, "lambda: there is no dampening, d chooses a kind");
        rs_recipe_free(r);
        ui_warn(a, "lambda takes %s, not \"%s\"", what_it_takes, args->line);
        return false;
    }
    strength_words(&s->dampen, now);
    snprintf(line, sizeof line, "lambda %.180s", args->line);
    snprintf(what, sizeof what, "%s -> %s", was, now);
    return ui_edit_end(a, r, line, what);
}

/* --- scale, weights --- */

static bool set_scale(ui_app *a, bool by, double v)
{
    rs_stage *s;
    char line[64], what[96];
    rs_recipe *r = ui_begin_fuel(a, &s);
    if (!r) return false;
    double was = s->scale;
    s->scale = rounded(by ? was + v : v);
    snprintf(line, sizeof line, "scale %.7g", s->scale);
    snprintf(what, sizeof what, "scale %.3f -> %.3f", was, s->scale);
    return ui_edit_end(a, r, line, what);
}

bool ui_cmd_scale_up(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    return set_scale(a, true, 0.01);
}

bool ui_cmd_scale_down(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    return set_scale(a, true, -0.01);
}

bool ui_cmd_scale(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    double v;
    if (args->n == 1 && ui_read_value(args->word[0], false, &v) && fabs(v) <= 100)
        return set_scale(a, false, v);
    ui_warn(a, "scale takes a number from -100 to 100, not \"%s\"", args->line);
    return false;
}

static double op_on(double v, ui_op op)
{
    switch (op.op) {
    case '+':
        return rounded(v + op.value);
    case '-':
        return rounded(v - op.value);
    case '*':
        return rounded(v * op.value);
    default:
        return op.value;
    }
}

bool ui_cmd_weight(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    rs_stage *s;
    ui_op op;
    char line[200], what[200];
    if (args->n != 2 || !ui_op_parse(args->word[1], &op)) {
        ui_warn(a, "weight: INPUT, then =VALUE +VALUE -VALUE or *VALUE, not \"%s\"",
                args->line);
        return false;
    }
    rs_recipe *r = ui_begin_fuel(a, &s);
    if (!r) return false;
    for (int i = 0; i < s->n_inputs; i++) {
        rs_input *in = &s->inputs[i];
        if (strcmp(in->from, args->word[0]) != 0) continue;
        double was = in->weight;
        in->weight = op_on(was, op);
        snprintf(line, sizeof line, "weight %.150s", args->line);
        snprintf(what, sizeof what, "weight of %.60s %.3f -> %.3f", in->from, was,
                 in->weight);
        return ui_edit_end(a, r, line, what);
    }
    char names[160] = "";
    for (int i = 0; i < s->n_inputs; i++) {
        size_t at = strlen(names);
        snprintf(names + at, sizeof names - at, "%s%s", at ? " " : "", s->inputs[i].from);
    }
    rs_recipe_free(r);
    ui_warn(a, "\"%s\" is no input of the stage; it has %s", args->word[0],
            names[0] ? names : "none");
    return false;
}

/* --- budget --- */

bool ui_cmd_budget(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    double nat = -1;
    const char *of = NULL;
    rs_recipe *r = ui_edit_begin(a);
    if (!r) return false;
    bool good = args->n >= 1 && args->n <= 2 &&
                ui_read_value(args->word[0], true, &nat) && nat >= 0;
    if (good && args->n == 2) {
        good = strncmp(args->word[1], "of=", 3) == 0;
        of = args->word[1] + 3;
        good = good && (strcmp(of, "out") == 0 || rs_recipe_stage(r, of));
    }
    const rs_stage *fuel = rs_recipe_fuel(r);
    if (good && of && strcmp(of, "out") != 0 && !(fuel && strcmp(of, fuel->name) == 0))
        return refuse(a, r,
                      "budget: only the damage of the stage that the rows stand for is "
                      "measured, and that of the output (of=out)");
    if (!good)
        return refuse(a, r,
                      "budget: nat a token (10m is 0.010), then of=STAGE or of=out");
    if (a->doc.at.measure && a->doc.at.measure->units_unknown)
        return refuse(a, r,
                      "the Fisher's scale is unknown, so a budget in nat means nothing: "
                      "state \"scale\" in the recipe's measure");
    r->budget = nat;
    if (of)
        r->budget_of = rs_recipe_str(r, of);
    else if (!r->budget_of)
        r->budget_of = fuel ? fuel->name : "out";
    char line[120], what[120];
    snprintf(line, sizeof line, "budget %.100s", args->line);
    if (nat > 0)
        snprintf(what, sizeof what, "budget of %.40s %.4f nat", r->budget_of, nat);
    else
        snprintf(what, sizeof what, "no budget");
    return ui_edit_end(a, r, line, what);
}

/* --- the list behind a field of the controls line --- */

static void chosen_line(ui_app *a, const ui_menu_item *i, ui_effects *fx)
{
    char line[160];
    static const char *const commands[] = {"scale", "dampen", "lambda", "normaliser",
                                           "mask",  "heal"};
    snprintf(line, sizeof line, "%s %s", commands[a->field % 6], i->text);
    ui_run(a, line, fx);
}

static bool number_done(ui_app *a, const char *text, ui_effects *fx)
{
    char line[160];
    if (!text[strspn(text, " ")]) return true;
    snprintf(line, sizeof line, "%s %.120s", a->entry.name, text);
    return ui_run(a, line, fx);
}

static void number_entry(ui_app *a, const char *command, const char *prefix)
{
    ui_entry e = {.accept = number_done};
    snprintf(e.name, sizeof e.name, "%s", command);
    ui_entry_open(a, prefix, "", &e);
}

static void kinds_menu(ui_menu *m)
{
    static const char *const help[] = {"(1 - a F)(1 - b F_layer)", "1 / (1 + lambda F)",
                                       "H / (H + lambda F), H the style's Fisher",
                                       "0 where F is above its q-quantile", "1"};
    snprintf(m->title, sizeof m->title, "dampening");
    for (int i = 0; i < N_KINDS; i++)
        ui_menu_add(m, rs_dampen_name(kinds[i]), help[i], i);
}

static void norms_menu(ui_menu *m)
{
    static const char *const help[] = {
        "F / mean F: for ewc", "min(1, F / its 99 % quantile)", "the 95 % quantile",
        "the 90 % quantile",   "the 99.9 % quantile",           "place among all, 0 to 1",
        "min-max of log F",    "F / max F: one value rules",    "raw F"};
    snprintf(m->title, sizeof m->title, "normaliser");
    for (int i = 0; i < N_NORMS; i++)
        ui_menu_add(m, rs_normaliser_name(norms[i]), help[i], i);
}

bool ui_field_menu(ui_app *a, ui_effects *fx)
{
    (void)fx;
    if (!a->doc.at.plan) return ui_edit_begin(a) != NULL;
    if (a->field == 0) return number_entry(a, "scale", "scale = "), true;
    if (a->field == 2) return number_entry(a, "lambda", "strength = "), true;
    ui_set_mode(a, UI_MODE_MENU);
    ui_menu *m = &a->menu;
    m->chosen = chosen_line;
    if (a->field == 1)
        kinds_menu(m);
    else if (a->field == 3)
        norms_menu(m);
    else if (a->field == 4)
        ui_mask_menu(m);
    else {
        snprintf(m->title, sizeof m->title, "heal");
        ui_menu_add(m, "weight", "slerp of whole weights", 0);
        ui_menu_add(m, "delta", "slerp of what differs from the base", 1);
        ui_menu_add(m, "norm=raw", "coefficients on the raw sides", 2);
        ui_menu_add(m, "norm=lerp", "unit sides, length interpolated", 3);
        ui_menu_add(m, "rowwise=on", "an angle for each row", 4);
        ui_menu_add(m, "rowwise=off", "one angle a tensor", 5);
    }
    return true;
}
