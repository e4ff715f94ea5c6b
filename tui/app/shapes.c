/* shapes.c - many values at once: brush, curves, random values, the number line. */
#include "base/rng.h"
#include "tui/app/commands_internal.h"
#include "tui/screens/screens.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- brush --- */

static bool say_brush(ui_app *a)
{
    if (a->rows.brush == 0)
        ui_say(a, "brush: this row only");
    else
        ui_say(a, "brush: %d row%s each side, %s", a->rows.brush,
               a->rows.brush > 1 ? "s" : "", ui_falloff_name(a->rows.falloff));
    return true;
}

bool ui_cmd_brush_narrow(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    if (a->rows.brush > 0) a->rows.brush--;
    return say_brush(a);
}

bool ui_cmd_brush_wide(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    if (a->rows.brush < a->rows.n) a->rows.brush++;
    return say_brush(a);
}

bool ui_cmd_brush(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    double rows = -1;
    bool good = args->n >= 1 && ui_read_value(args->word[0], false, &rows) && rows >= 0 &&
                rows <= 1000 && rows == floor(rows);
    int fall = (int)a->rows.falloff;
    if (good && args->n > 1) {
        for (fall = 0; fall < UI_N_FALLS; fall++)
            if (strcmp(ui_falloff_name((ui_falloff)fall), args->word[1]) == 0) break;
        good = fall < UI_N_FALLS;
    }
    if (!good) {
        ui_warn(a, "brush: rows each side, then flat, linear or cosine, not \"%s\"",
                args->line);
        return false;
    }
    a->rows.brush = (int)rows;
    a->rows.falloff = (ui_falloff)fall;
    return say_brush(a);
}

/* --- values over the marked rows, or over all layers --- */

/* Rows [n_layers + 1] that a curve goes over: the marked ones, else all layers. */
static int curve_rows(const ui_app *a, bool *rows)
{
    int n = 0;
    bool marks = ui_rows_n_marked(&a->rows) > 0;
    for (int i = 0; i < a->rows.n; i++) {
        rows[i] = marks ? a->rows.marked[i] : i < a->doc.n_layers;
        n += rows[i];
    }
    return n;
}

static bool set_rows(ui_app *a, const double *value, const char *line, bool live)
{
    ui_outcome out;
    rs_err err = {0};
    char what[200];
    rs_recipe *r = ui_edit_begin(a);
    if (!r) return false;
    bool good = a->lane_t ? ui_t_rows(a, r, value, &out, &err)
                          : ui_gain_rows(a, r, value, &out, &err);
    if (!good) ui_warn(a, "%s", err.msg);
    if (!good || ui_all_locked(a, &out)) {
        rs_recipe_free(r);
        return false;
    }
    if (live) return ui_edit_try(a, r);
    ui_outcome_words(&out, 0, what, sizeof what);
    return ui_edit_end(a, r, line, what);
}

typedef double (*value_at)(const void *ctx, int i, int n);

static bool set_shape(ui_app *a, value_at f, const void *ctx, const char *line, bool live)
{
    bool *rows = ui_alloc((size_t)a->rows.n, sizeof *rows);
    double *value = ui_alloc((size_t)a->rows.n, sizeof *value);
    int n = curve_rows(a, rows), at = 0;
    for (int i = 0; i < a->rows.n; i++)
        value[i] = rows[i] ? f(ctx, at++, n) : NAN;
    bool good = set_rows(a, value, line, live);
    free(rows);
    free(value);
    return good;
}

/* --- curves --- */

typedef struct curve_spec {
    const char *name;
    double from, to;
} curve_spec;

static double curve_value(const void *ctx, int i, int n)
{
    const curve_spec *c = ctx;
    return ui_curve(c->name, i, n, c->from, c->to);
}

static bool apply_curve(ui_app *a, const char *name, double from, double to, bool live)
{
    char line[96];
    curve_spec c = {name, from, to};
    snprintf(line, sizeof line, "curve %s %g %g", name, from, to);
    return set_shape(a, curve_value, &c, line, live);
}

static void curve_moved(ui_app *a, const ui_menu_item *i, ui_effects *fx)
{
    (void)fx;
    apply_curve(a, i->text, 0, 1, true);
}

static void curve_chosen(ui_app *a, const ui_menu_item *i, ui_effects *fx)
{
    (void)fx;
    ui_edit_drop(a);
    apply_curve(a, i->text, 0, 1, false);
}

static void curve_left(ui_app *a, ui_effects *fx)
{
    (void)fx;
    ui_edit_drop(a);
}

static bool curve_menu(ui_app *a, ui_effects *fx)
{
    const char *help = "";
    if (!a->doc.at.plan) return ui_edit_begin(a) != NULL;
    ui_set_mode(a, UI_MODE_MENU);
    ui_menu *m = &a->menu;
    snprintf(m->title, sizeof m->title, "curve over %s",
             ui_rows_n_marked(&a->rows) ? "the marked rows" : "all layers");
    for (int i = 0; ui_curve_name(i, &help); i++)
        ui_menu_add(m, ui_curve_name(i, NULL), help, i);
    m->moved = curve_moved;
    m->chosen = curve_chosen;
    m->left = curve_left;
    curve_moved(a, &m->item[0], fx);
    return true;
}

bool ui_cmd_curve(ui_app *a, const ui_args *args, ui_effects *fx)
{
    if (!args->n) return curve_menu(a, fx);
    const char *name = NULL;
    double from = 0, to = 1;
    for (int i = 0; ui_curve_name(i, NULL); i++)
        if (strcmp(ui_curve_name(i, NULL), args->word[0]) == 0)
            name = ui_curve_name(i, NULL);
    if (!name) {
        ui_warn(a, "there is no curve \"%s\"; c lists them", args->word[0]);
        return false;
    }
    bool good =
        args->n == 1 || (args->n == 3 && ui_read_value(args->word[1], false, &from) &&
                         ui_read_value(args->word[2], false, &to));
    if (!good) {
        ui_warn(a, "curve %s: FROM and TO are two numbers, as 0.5 1", name);
        return false;
    }
    return apply_curve(a, name, from, to, false);
}

/* --- random --- */

typedef struct random_spec {
    uint64_t seed;
    double from, to;
} random_spec;

static double random_value(const void *ctx, int i, int n)
{
    const random_spec *r = ctx;
    (void)n;
    double u = (double)(rs_rng_at(r->seed, 0, (uint64_t)i) >> 11) / 9007199254740992.0;
    return round((r->from + (r->to - r->from) * u) * 1000) / 1000;
}

bool ui_cmd_random(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    double seed = -1, from = 0, to = 1;
    bool good = (args->n == 1 || args->n == 3) &&
                ui_read_value(args->word[0], false, &seed) && seed >= 0 && seed <= 9e15 &&
                seed == floor(seed);
    if (good && args->n == 3)
        good = ui_read_value(args->word[1], false, &from) &&
               ui_read_value(args->word[2], false, &to);
    if (!good) {
        ui_warn(a, "random: SEED [FROM TO], not \"%s\"", args->line);
        return false;
    }
    char line[96];
    random_spec r = {(uint64_t)seed, from, to};
    snprintf(line, sizeof line, "random %.0f %g %g", seed, from, to);
    return set_shape(a, random_value, &r, line, false);
}

/* --- the number line --- */

/* Comma separated numbers into value [max]; -1: not such a line. */
static int read_line(const char *text, double *value, int max)
{
    int n = 0;
    for (const char *s = text; n < max;) {
        char *end = NULL;
        double v = strtod(s, &end);
        if (end == s || !isfinite(v)) return -1;
        value[n++] = v;
        while (*end == ' ' || *end == '\t')
            end++;
        if (*end == 0 || *end == '\n' || *end == '\r') {
            while (*end == '\n' || *end == '\r' || *end == ' ')
                end++;
            return *end ? -1 : n;
        }
        if (*end != ',') return -1;
        s = end + 1;
    }
    return -1;
}

enum { LINE_MAX_NUMBERS = 1024 };

static bool set_line(ui_app *a, const double *line, int n, bool stretch,
                     const char *command)
{
    bool *rows = ui_alloc((size_t)a->rows.n, sizeof *rows);
    double *value = ui_alloc((size_t)a->rows.n, sizeof *value);
    int m = curve_rows(a, rows), at = 0;
    for (int i = 0; i < a->rows.n; i++) {
        value[i] = NAN;
        if (!rows[i]) continue;
        double u = stretch && m > 1 ? (double)at * (n - 1) / (m - 1) : at;
        int k = (int)u;
        if (k < n)
            value[i] = k + 1 < n && stretch ? line[k] + (u - k) * (line[k + 1] - line[k])
                                            : line[k];
        at++;
    }
    bool good = set_rows(a, value, command, false);
    free(rows);
    free(value);
    return good;
}

static bool set_numbers(ui_app *a, const double *value, int n, bool stretch,
                        const char *text)
{
    rs_buf line = {0};
    rs_buf_printf(&line, "gains %s", text);
    bool good = set_line(a, value, n, stretch, rs_buf_str(&line));
    rs_buf_free(&line);
    return good;
}

static void line_choice(ui_app *a, int key, ui_effects *fx)
{
    (void)fx;
    double value[LINE_MAX_NUMBERS];
    int n = read_line(a->asked_numbers, value, LINE_MAX_NUMBERS);
    if (n > 0) set_numbers(a, value, n, key == 's', a->asked_numbers);
}

/* Pasting a line of another length asks. */
static bool paste_numbers(ui_app *a, const char *text)
{
    double value[LINE_MAX_NUMBERS];
    int n = read_line(text, value, LINE_MAX_NUMBERS);
    if (n <= 0) {
        ui_warn(a, "gains: numbers with commas between them, not \"%.60s\"", text);
        return false;
    }
    if (!a->doc.at.plan) return ui_edit_begin(a) != NULL;
    bool *rows = ui_alloc((size_t)a->rows.n, sizeof *rows);
    int m = curve_rows(a, rows);
    free(rows);
    if (n == m) return set_numbers(a, value, n, false, text);
    ui_ask q = {.other = line_choice, .keys = "sf"};
    ui_replace(&a->asked_numbers, text);
    snprintf(q.text, sizeof q.text,
             "%d numbers for %d rows: s stretch, f fill from the first row, Esc neither",
             n, m);
    ui_ask_open(a, &q);
    return true;
}

void ui_paste_line(ui_app *a, const char *text, ui_effects *fx)
{
    (void)fx;
    char *line = ui_strdup(text);
    for (char *s = line; *s; s++)
        if (*s == '\n' || *s == '\r') *s = ' ';
    paste_numbers(a, line);
    free(line);
}

bool ui_cmd_gains(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    return paste_numbers(a, args->line);
}

bool ui_cmd_copy_line(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args;
    double *value = ui_alloc((size_t)a->rows.n, sizeof *value);
    if (!ui_gain_line(a, value)) {
        free(value);
        ui_warn(a, "there are no gains to copy");
        return false;
    }
    rs_buf b = {0};
    for (int l = 0; l < a->doc.n_layers; l++)
        rs_buf_printf(&b, "%s%.6g", l ? "," : "", value[l]);
    ui_replace(&a->number_line, rs_buf_str(&b));
    ui_effects_add(fx, UI_FX_COPY)->text = ui_strdup(rs_buf_str(&b));
    ui_say(a, "%s", rs_buf_str(&b));
    rs_buf_free(&b);
    free(value);
    return true;
}

bool ui_cmd_paste(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    if (a->number_line) return paste_numbers(a, a->number_line);
    ui_say(a, "nothing was copied yet: y copies the gains as a line of numbers");
    return true;
}
