/* gains.c - gains and t by key, by entry line and by command; mute, solo, lock. */
#include "tui/app/commands_internal.h"
#include "tui/screens/screens.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool ui_read_value(const char *s, bool m, double *v)
{
    char *end = NULL;
    *v = strtod(s, &end);
    if (end == s || !isfinite(*v)) return false;
    if (m && *end == 'm') {
        *v /= 1000;
        end++;
    }
    while (*end == ' ')
        end++;
    return *end == 0;
}

void ui_outcome_words(const ui_outcome *o, int hidden, char *dst, size_t n)
{
    int at = snprintf(dst, n, "%d %s%s changed", o->n, o->what, o->n == 1 ? "" : "s");
    if (hidden && at > 0 && (size_t)at < n)
        at += snprintf(dst + at, n - (size_t)at, ", %d of them hidden", hidden);
    if (o->stopped && at > 0 && (size_t)at < n)
        at += snprintf(dst + at, n - (size_t)at, ", %d at the end of the range",
                       o->stopped);
    if (o->locked && at > 0 && (size_t)at < n)
        snprintf(dst + at, n - (size_t)at,
                 o->locked == 1 ? ", layer %d is locked" : ", %d are locked",
                 o->locked == 1 ? o->first_locked : o->locked);
}

static bool of_cells(const ui_outcome *o)
{
    return strcmp(o->what, "cell") == 0;
}

bool ui_all_locked(ui_app *a, const ui_outcome *o)
{
    if (o->n || !o->locked) return false;
    if (o->first_locked == a->doc.n_layers)
        ui_warn(a, "what is outside the layers is locked: K unlocks it before a gain can "
                   "change");
    else if (o->locked == 1 && of_cells(o))
        ui_warn(
            a, "this tensor of layer %d is locked: K unlocks it before a gain can change",
            o->first_locked);
    else if (o->locked == 1)
        ui_warn(a, "layer %d is locked: K unlocks it before a gain can change",
                o->first_locked);
    else
        ui_warn(a, "all %d are locked: K unlocks them before a gain can change",
                o->locked);
    return true;
}

/* --- what keys apply to --- */

typedef struct target {
    ui_mask mask;
    ui_shape shape;
    int hidden;
    char name[256]; /* as a selector */
} target;

static bool target_kind(ui_app *a, target *t)
{
    int n = ui_heat_kinds(a);
    bool all = a->kind >= n;
    rs_err err = {0};
    snprintf(t->name, sizeof t->name, "%s", all ? "*" : rs_kind_name((rs_kind)a->kind));
    t->shape = all ? UI_SHAPE_ALL : UI_SHAPE_KINDS;
    return ui_select(a, t->name, &t->mask, &err);
}

static bool target_tensor(ui_app *a, target *t)
{
    int i = ui_detail_here(a);
    if (!ui_select_tensor(a, i, &t->mask)) return false;
    const rs_role *r = &rs_plan_at(a->doc.at.plan, i)->role;
    t->shape = UI_SHAPE_CELLS;
    if (r->layer < 0)
        snprintf(t->name, sizeof t->name, "embed");
    else
        snprintf(t->name, sizeof t->name, "layers.%d & %s", r->layer,
                 r->kind < RS_N_LAYER_KINDS ? rs_kind_name(r->kind) : "norm");
    return true;
}

static bool target_rows(ui_app *a, target *t)
{
    t->shape = UI_SHAPE_ROWS;
    if (!ui_select_target(a, &t->mask, &t->hidden)) return false;
    double *w = ui_alloc((size_t)a->rows.n, sizeof *w);
    int hidden = 0;
    ui_rows_target(&a->rows, w, &hidden);
    ui_rows_selector(&a->rows, w, t->name, sizeof t->name);
    free(w);
    return true;
}

static bool find_target(ui_app *a, target *t)
{
    memset(t, 0, sizeof *t);
    if (a->screen == UI_DETAIL) return target_tensor(a, t);
    if (a->screen == UI_RING && a->focus == UI_FOCUS_KINDS) return target_kind(a, t);
    return target_rows(a, t);
}

/* --- one edit --- */

static bool apply(ui_app *a, rs_recipe *r, const target *t, ui_op op, bool of_t,
                  ui_outcome *out)
{
    rs_err err = {0};
    bool good = of_t ? ui_t_apply(a, r, &t->mask, t->shape, op, out, &err)
                     : ui_gain_apply(a, r, &t->mask, t->shape, op, out, &err);
    if (!good) ui_warn(a, "%s", err.msg);
    return good;
}

static bool finish_edit(ui_app *a, rs_recipe *r, const target *t, ui_op op, bool of_t,
                        const ui_outcome *out, bool live)
{
    char line[400], what[200];
    if (ui_all_locked(a, out)) {
        rs_recipe_free(r);
        return false;
    }
    if (live) return ui_edit_try(a, r);
    snprintf(line, sizeof line, "%s %s %c%.7g", of_t ? "t" : "gain", t->name, op.op,
             op.value);
    ui_outcome_words(out, t->hidden, what, sizeof what);
    return ui_edit_end(a, r, line, what);
}

static bool edit_target(ui_app *a, target *t, ui_op op, bool of_t, bool live)
{
    ui_outcome out;
    rs_recipe *r = ui_edit_begin(a);
    bool good = r && apply(a, r, t, op, of_t, &out);
    if (r && !good) rs_recipe_free(r);
    good = good && finish_edit(a, r, t, op, of_t, &out, live);
    ui_mask_free(&t->mask);
    return good;
}

bool ui_value_edit(ui_app *a, ui_op op, bool live)
{
    target t;
    if (!a->doc.at.plan) return ui_edit_begin(a) != NULL; /* says why */
    if (!find_target(a, &t)) {
        ui_say(a, "no row is under the cursor");
        return false;
    }
    return edit_target(a, &t, op, a->lane_t, live);
}

/* --- h l H L --- */

static bool step(ui_app *a, int steps, ui_effects *fx)
{
    if (a->screen == UI_DETAIL && a->detail.focus != UI_DETAIL_ROWS)
        return ui_detail_step(a, steps, fx);
    if (a->screen == UI_RING && a->focus == UI_FOCUS_CONTROLS) {
        ui_move(a, steps > 0 ? 1 : -1);
        return true;
    }
    bool values =
        a->screen == UI_DETAIL || (a->screen == UI_RING && a->focus != UI_FOCUS_TEXT);
    if (!values) {
        ui_say(a, "there is no value to change here");
        return true;
    }
    double by = a->lane_t ? 0.01 : 0.05;
    ui_op op = {.op = steps < 0 ? '-' : '+', .value = by * abs(steps), .by_key = true};
    return ui_value_edit(a, op, false);
}

bool ui_cmd_less(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args;
    return step(a, -1, fx);
}

bool ui_cmd_more(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args;
    return step(a, 1, fx);
}

bool ui_cmd_less_big(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args;
    return step(a, -5, fx);
}

bool ui_cmd_more_big(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args;
    return step(a, 5, fx);
}

/* --- the entry line --- */

static bool entry_op(const ui_app *a, const char *text, ui_op *op)
{
    char op_char = a->entry.op;
    text += strspn(text, " ");
    if (*text == '*' || *text == '=') op_char = *text++;
    *op = (ui_op){.op = op_char};
    return ui_read_value(text, false, &op->value);
}

static void value_live(ui_app *a, const char *text, ui_effects *fx)
{
    (void)fx;
    ui_op op;
    a->follow_later = true; /* the engine waits for Enter */
    if (!entry_op(a, text, &op))
        ui_edit_drop(a);
    else if (!ui_value_edit(a, op, true))
        ui_edit_drop(a);
}

static bool value_done(ui_app *a, const char *text, ui_effects *fx)
{
    (void)fx;
    ui_op op;
    ui_edit_drop(a);
    if (!text[strspn(text, " ")]) return true;
    if (!entry_op(a, text, &op)) {
        ui_warn(a, "\"%.40s\" is not a number", text);
        return false;
    }
    return ui_value_edit(a, op, false);
}

static void value_left(ui_app *a, ui_effects *fx)
{
    (void)fx;
    ui_edit_drop(a);
    a->message[0] = 0;
}

void ui_value_entry(ui_app *a, char op)
{
    target t;
    char prefix[400];
    if (!a->doc.at.plan || !find_target(a, &t)) {
        ui_say(a, "no row is under the cursor");
        return;
    }
    ui_mask_free(&t.mask);
    ui_entry e = {
        .changed = value_live, .accept = value_done, .left = value_left, .op = op};
    snprintf(e.name, sizeof e.name, "%s", a->lane_t ? "t" : "gain");
    snprintf(prefix, sizeof prefix, "%s of %s %c ", e.name, t.name, op);
    ui_entry_open(a, prefix, "", &e);
}

/* --- typed --- */

/* Everything up to the last word is the selector. */
static bool split_line(ui_app *a, const ui_args *args, const char *name, target *t,
                       ui_op *op)
{
    rs_err err = {0};
    const char *last = args->line + strlen(args->line);
    while (last > args->line && last[-1] != ' ')
        last--;
    memset(t, 0, sizeof *t);
    snprintf(t->name, sizeof t->name, "%.*s", (int)(last - args->line), args->line);
    for (size_t n = strlen(t->name); n && t->name[n - 1] == ' '; n--)
        t->name[n - 1] = 0;
    if (!args->n || !ui_op_parse(last, op)) {
        ui_warn(a, "%s: SELECTOR, then =VALUE +VALUE -VALUE or *VALUE, not \"%s\"", name,
                args->n ? last : "");
        return false;
    }
    if (!t->name[0] || strcmp(t->name, "selected") == 0) return find_target(a, t);
    if (!ui_select(a, t->name, &t->mask, &err)) {
        ui_warn(a, "%s: %s", name, err.msg);
        return false;
    }
    t->shape = ui_mask_shape(&t->mask);
    return true;
}

bool ui_cmd_gain(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    if (args->key) {
        if (a->screen == UI_RING && a->focus == UI_FOCUS_CONTROLS)
            return ui_field_menu(a, fx);
        ui_value_entry(a, (char)args->key);
        return true;
    }
    target t;
    ui_op op;
    return split_line(a, args, "gain", &t, &op) && edit_target(a, &t, op, false, false);
}

bool ui_cmd_t(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    target t;
    ui_op op;
    return split_line(a, args, "t", &t, &op) && edit_target(a, &t, op, true, false);
}

bool ui_cmd_lane(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    bool to_t = args->n ? strcmp(args->word[0], "t") == 0 : !a->lane_t;
    if (args->n && !to_t && strcmp(args->word[0], "gain") != 0) {
        ui_warn(a, "lane: gain or t, not \"%s\"", args->word[0]);
        return false;
    }
    if (to_t && a->doc.at.recipe && !rs_recipe_heal(a->doc.at.recipe)) {
        ui_warn(a, "this recipe has no heal, so no t");
        return false;
    }
    a->lane_t = to_t;
    ui_say(a, to_t ? "keys change t of the heal now; t goes back to gains"
                   : "keys change gains now; t changes to t of the heal");
    return true;
}

/* --- as it was saved --- */

bool ui_cmd_reset(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    target t;
    ui_outcome out;
    rs_err err = {0};
    const ui_file *f = ui_doc_file_of(&a->doc);
    rs_recipe *saved = NULL, *r = NULL;
    memset(&t, 0, sizeof t);
    bool good = args->n ? ui_select(a, args->line, &t.mask, &err) : find_target(a, &t);
    if (args->n) snprintf(t.name, sizeof t.name, "%s", args->line);
    if (good && (!f || !f->saved))
        good = rs_fail(&err, RS_E_NOT_FOUND, "nothing was saved yet") == RS_OK;
    good = good && rs_recipe_parse(f->saved, strlen(f->saved), f->folder,
                                   "the saved version", &saved, &err) == RS_OK;
    if (good) r = ui_edit_begin(a);
    good = r && ui_values_reset(a, r, saved, &t.mask, a->lane_t, &out, &err);
    rs_recipe_free(saved);
    ui_mask_free(&t.mask);
    if (!good) {
        rs_recipe_free(r);
        if (err.msg[0]) ui_warn(a, "%s", err.msg);
        return false;
    }
    char line[300], what[200];
    if (t.shape == UI_SHAPE_CELLS) snprintf(out.what, sizeof out.what, "cell");
    if (ui_all_locked(a, &out)) return rs_recipe_free(r), false;
    snprintf(line, sizeof line, "reset %s", t.name);
    ui_outcome_words(&out, t.hidden, what, sizeof what);
    return ui_edit_end(a, r, line, what);
}

/* --- mute, solo, lock --- */

static void flag_words(const ui_app *a, const char *name, ui_flag flag, bool on,
                       char *dst, size_t n)
{
    static const char *const words[3][2] = {
        {"sounds again", "muted: gain counts as 0, the value is kept"},
        {"not solo any more", "solo: everything else counts as 0"},
        {"unlocked", "locked"}};
    int row = a->rows.cursor;
    char at[24] = "";
    bool mixed;
    if (flag == UI_FLAG_LOCK && on && row < a->doc.n_layers &&
        strncmp(name, "layers.", 7) == 0 && !strpbrk(name, ",-& "))
        snprintf(at, sizeof at, " at %.3f", ui_doc_row_gain(&a->doc, row, &mixed));
    snprintf(dst, n, "%s %s%s", name, words[flag][on], at);
}

static bool toggle(ui_app *a, const ui_args *args, ui_flag flag, const char *command)
{
    target t;
    rs_err err = {0};
    memset(&t, 0, sizeof t);
    bool good = args->n ? ui_select(a, args->line, &t.mask, &err) : find_target(a, &t);
    if (args->n) snprintf(t.name, sizeof t.name, "%s", args->line);
    if (!good) {
        ui_warn(a, "%s", err.msg[0] ? err.msg : "no row is under the cursor");
        return false;
    }
    bool on = false;
    rs_recipe *r = ui_edit_begin(a);
    good = r && ui_flag_toggle(a, r, &t.mask, flag, &on, &err);
    ui_mask_free(&t.mask);
    if (!good) {
        rs_recipe_free(r);
        if (err.msg[0]) ui_warn(a, "%s", err.msg);
        return false;
    }
    char line[300], what[340];
    snprintf(line, sizeof line, "%s %s", command, t.name);
    flag_words(a, t.name, flag, on, what, sizeof what);
    return ui_edit_end(a, r, line, what);
}

bool ui_cmd_mute(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    return toggle(a, args, UI_FLAG_MUTE, "mute");
}

bool ui_cmd_solo(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    return toggle(a, args, UI_FLAG_SOLO, "solo");
}

bool ui_cmd_lock(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    return toggle(a, args, UI_FLAG_LOCK, "lock");
}
