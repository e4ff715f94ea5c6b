#include "merge/recipe_internal.h"

#include "merge/factor_keys.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = RS_RECIPE_LAYERS + 1, K = RS_FACTOR_KINDS };

typedef struct differ {
    rs_buf *out;
    const char *who; /* the first column: a stage, "models", "output" ... */
    int n;
} differ;

static void say(differ *d, const char *fmt, ...) RS_PRINTF(2, 3);
static void say(differ *d, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    rs_buf_printf(d->out, "%-7s %s\n", d->who, text);
    d->n++;
}

static void number(char *dst, size_t size, double v, int digits)
{
    if (isnan(v))
        snprintf(dst, size, "unset");
    else if (digits > 3)
        snprintf(dst, size, "%.*g", digits, v);
    else
        snprintf(dst, size, "%.3f", v);
}

/* "what 1.000 -> 0.300", with as many digits as show the difference. */
static void say_number(differ *d, const char *what, double a, double b)
{
    char x[40], y[40];
    if (a == b || (isnan(a) && isnan(b))) return;
    for (int digits = 3; digits <= 17; digits += 7) {
        number(x, sizeof x, a, digits);
        number(y, sizeof y, b, digits);
        if (strcmp(x, y) != 0) break;
    }
    say(d, "%s %s -> %s", what, x, y);
}

static void say_string(differ *d, const char *what, const char *a, const char *b)
{
    if (!a) a = "none";
    if (!b) b = "none";
    if (strcmp(a, b) != 0) say(d, "%s %s -> %s", what, a, b);
}

static void say_switch(differ *d, const char *what, bool a, bool b, const char *off,
                       const char *on)
{
    say_string(d, what, a ? on : off, b ? on : off);
}

/* --- factors --- */

static double *spread(const rs_pairs *p, rs_keys_of of, double neutral)
{
    double *grid = calloc(ROWS * K, sizeof *grid);
    if (!grid) return NULL;
    for (int i = 0; i < ROWS * K; i++)
        grid[i] = neutral;
    if (rs_keys_spread(p, of, RS_RECIPE_LAYERS, "", grid, NULL) != RS_OK)
        free(grid), grid = NULL;
    return grid;
}

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

/* Runs of rows with the same change in one column of the grids. */
static void diff_rows(differ *d, const double *a, const double *b, int stride, bool *done,
                      const char *kind, const char *what)
{
    for (int l = 0; l < ROWS; l++) {
        bool rows[ROWS] = {false};
        char run[24], label[128];
        int end = l;
        double x = a[l * stride], y = b[l * stride];
        if (same(x, y) || done[l * stride]) continue;
        while (end < ROWS && (end == l || end < RS_RECIPE_LAYERS) &&
               same(a[end * stride], x) && same(b[end * stride], y) &&
               !done[end * stride])
            rows[end++] = true;
        rs_key_run(rows, RS_RECIPE_LAYERS, 0, run, sizeof run);
        const char *word = l == RS_RECIPE_LAYERS ? ""
                           : end > l + 1         ? "layers "
                                                 : "layer ";
        snprintf(label, sizeof label, "%s%s %s%s%s", word, run, kind, kind[0] ? " " : "",
                 what);
        say_number(d, label, x, y);
        l = end - 1;
    }
}

static void diff_layers(differ *d, const rs_pairs *a, const rs_pairs *b, double neutral,
                        const char *what)
{
    double *x = spread(a, RS_KEYS_LAYERS, neutral),
           *y = spread(b, RS_KEYS_LAYERS, neutral);
    bool done[ROWS] = {false};
    if (x && y) diff_rows(d, x, y, 1, done, "", what);
    free(x);
    free(y);
}

static bool group_moves_together(const double *a, const double *b, const rs_col_group *g,
                                 int *first)
{
    *first = -1;
    for (int k = 0; k < K; k++) {
        if (!g->cols[k]) continue;
        if (*first < 0) *first = k;
        if (!same(a[k], a[*first]) || !same(b[k], b[*first])) return false;
    }
    return true;
}

static void diff_kinds(differ *d, const rs_pairs *a, const rs_pairs *b, double neutral,
                       const char *what)
{
    const rs_col_group *groups;
    int n = rs_col_groups(&groups), first;
    double *x = spread(a, RS_KEYS_KINDS, neutral), *y = spread(b, RS_KEYS_KINDS, neutral);
    bool done[K] = {false};
    for (int i = 0; i < n && x && y; i++) {
        char label[128];
        if (!group_moves_together(x, y, &groups[i], &first) || done[first]) continue;
        for (int k = 0; k < K; k++)
            done[k] |= groups[i].cols[k];
        snprintf(label, sizeof label, "%s %s", groups[i].name, what);
        say_number(d, label, x[first], y[first]);
    }
    free(x);
    free(y);
}

/* Groups first, in the rows where all of their columns move together. */
static void diff_cells(differ *d, const rs_pairs *a, const rs_pairs *b, double neutral,
                       const char *what)
{
    const rs_col_group *groups;
    int n = rs_col_groups(&groups), first = 0;
    double *x = spread(a, RS_KEYS_CELLS, neutral), *y = spread(b, RS_KEYS_CELLS, neutral);
    bool *done = calloc(ROWS * K, sizeof *done), *skip = calloc(ROWS * K, sizeof *skip);
    for (int i = 0; i < n && x && y && done && skip; i++) {
        int col = 0;
        while (!groups[i].cols[col])
            col++;
        for (int l = 0; l < ROWS; l++) {
            bool *here = done + l * K;
            bool together =
                group_moves_together(x + l * K, y + l * K, &groups[i], &first);
            skip[l * K + col] = !together || here[col];
            for (int k = 0; k < K; k++)
                here[k] |= together && groups[i].cols[k];
        }
        diff_rows(d, x + col, y + col, K, skip + col, groups[i].name, what);
    }
    free(x);
    free(y);
    free(done);
    free(skip);
}

static void diff_names(differ *d, const char *what, const rs_names *a, const rs_names *b)
{
    for (int i = 0; i < a->n; i++)
        if (!rs_names_has(b, a->at[i])) say(d, "%s - %s", what, a->at[i]);
    for (int i = 0; i < b->n; i++)
        if (!rs_names_has(a, b->at[i])) say(d, "%s + %s", what, b->at[i]);
}

static void rows_text(const rs_rows *rows, char *dst, size_t size)
{
    size_t used = 0;
    snprintf(dst, size, "none");
    for (int i = 0; i < rows->n && used < size; i++)
        used += (size_t)snprintf(dst + used, size - used, "%s%s %c%g", i ? ", " : "",
                                 rows->at[i].selector, rows->at[i].op, rows->at[i].value);
}

static void diff_selector_rows(differ *d, const rs_rows *a, const rs_rows *b)
{
    char x[400], y[400];
    rows_text(a, x, sizeof x);
    rows_text(b, y, sizeof y);
    say_string(d, "rows", x, y);
}

static void diff_gain(differ *d, const rs_gain_spec *a, const rs_gain_spec *b)
{
    say_number(d, "master gain", a->master, b->master);
    diff_layers(d, &a->layers, &b->layers, 1, "gain");
    diff_kinds(d, &a->kinds, &b->kinds, 1, "gain");
    diff_cells(d, &a->cells, &b->cells, 1, "gain");
    diff_selector_rows(d, &a->rows, &b->rows);
    diff_names(d, "mute", &a->mute, &b->mute);
    diff_names(d, "solo", &a->solo, &b->solo);
    diff_names(d, "lock", &a->lock, &b->lock);
}

/* --- stages --- */

static void diff_dampen(differ *d, const rs_dampen_spec *a, const rs_dampen_spec *b)
{
    static const char *const overs[] = {"layers", "all", "targets"};
    say_string(d, "dampening", rs_dampen_name(a->kind), rs_dampen_name(b->kind));
    say_string(d, "dampening by", a->by, b->by);
    say_string(d, "style task's Fisher", a->task, b->task);
    say_number(d, "lambda", a->lambda, b->lambda);
    say_number(d, "parameter", a->parameter, b->parameter);
    say_number(d, "layer", a->layer, b->layer);
    say_number(d, "q", a->q, b->q);
    say_string(d, "normaliser", rs_normaliser_name(a->normaliser),
               rs_normaliser_name(b->normaliser));
    say_string(d, "normaliser over", overs[a->over], overs[b->over]);
    say_switch(d, "normaliser scope", a->per_tensor, b->per_tensor, "global", "tensor");
    say_switch(d, "clamp", a->clamp, b->clamp, "off", "on");
}

static void diff_mask(differ *d, const rs_mask_spec *a, const rs_mask_spec *b)
{
    if (!a->by || !b->by) {
        const rs_mask_spec *m = a->by ? a : b;
        if (m->by)
            say(d, "mask %s: %s %s %.3f%s%s", a->by ? "off" : "on", m->by,
                rs_mask_side_name(m->side), m->strength, m->per_layer ? " per layer" : "",
                m->last ? " after dampening" : "");
        return;
    }
    say_string(d, "mask by", a->by, b->by);
    say_string(d, "mask side", rs_mask_side_name(a->side), rs_mask_side_name(b->side));
    say_number(d, "mask strength", a->strength, b->strength);
    say_switch(d, "mask per layer", a->per_layer, b->per_layer, "off", "on");
    say_switch(d, "mask", a->last, b->last, "before dampening", "after dampening");
}

static const rs_input *find_input(const rs_stage *s, const char *from)
{
    for (int i = 0; i < s->n_inputs; i++)
        if (strcmp(s->inputs[i].from, from) == 0) return &s->inputs[i];
    return NULL;
}

static void diff_weighted_inputs(differ *d, const rs_stage *a, const rs_stage *b)
{
    for (int i = 0; i < a->n_inputs; i++)
        if (!find_input(b, a->inputs[i].from)) say(d, "input - %s", a->inputs[i].from);
    for (int i = 0; i < b->n_inputs; i++) {
        const rs_input *old = find_input(a, b->inputs[i].from);
        char label[256];
        if (!old) {
            say(d, "input + %s, weight %.3f", b->inputs[i].from, b->inputs[i].weight);
            continue;
        }
        snprintf(label, sizeof label, "weight of %s", old->from);
        say_number(d, label, old->weight, b->inputs[i].weight);
    }
}

static void diff_slerp(differ *d, const rs_stage *a, const rs_stage *b)
{
    for (int i = 0; i < 2; i++)
        say_string(d, i ? "second input" : "first input", a->inputs[i].from,
                   b->inputs[i].from);
    say_number(d, "t", a->t.fallback, b->t.fallback);
    diff_layers(d, &a->t.layers, &b->t.layers, NAN, "t");
    diff_kinds(d, &a->t.kinds, &b->t.kinds, NAN, "t");
    diff_cells(d, &a->t.cells, &b->t.cells, NAN, "t");
    diff_selector_rows(d, &a->t.rows, &b->t.rows);
    say_switch(d, "space", a->space_delta, b->space_delta, "weight", "delta");
    say_switch(d, "norm", a->norm_lerp, b->norm_lerp, "raw", "lerp");
    say_switch(d, "rowwise", a->rowwise, b->rowwise, "off", "on");
    say_switch(d, "vectors", a->vectors_slerp, b->vectors_slerp, "lerp", "slerp");
    say_switch(d, "opposite", a->opposite_error, b->opposite_error, "lerp", "error");
    say_number(d, "flat below", a->flat_below, b->flat_below);
}

static void diff_stage(differ *d, const rs_stage *a, const rs_stage *b)
{
    say_string(d, "method", a->method_name, b->method_name);
    if (a->method != b->method) return;
    if (a->method == RS_METHOD_LATER) {
        if (strcmp(a->later, b->later) != 0) say(d, "parameters of %s", a->method_name);
        return;
    }
    say_string(d, "base", a->base, b->base);
    if (a->method == RS_METHOD_SLERP) {
        diff_slerp(d, a, b);
        return;
    }
    diff_weighted_inputs(d, a, b);
    say_switch(d, "normalize", a->normalize, b->normalize, "off", "on");
    say_number(d, "scale", a->scale, b->scale);
    diff_mask(d, &a->mask, &b->mask);
    diff_dampen(d, &a->dampen, &b->dampen);
    diff_gain(d, &a->gain, &b->gain);
}

static void diff_stages(differ *d, const rs_recipe *a, const rs_recipe *b)
{
    for (int i = 0; i < a->n_stages; i++) {
        d->who = a->stages[i].name;
        if (!rs_recipe_stage(b, d->who))
            say(d, "stage is gone (%s)", a->stages[i].method_name);
    }
    for (int i = 0; i < b->n_stages; i++) {
        const rs_stage *old = rs_recipe_stage(a, b->stages[i].name);
        d->who = b->stages[i].name;
        if (old)
            diff_stage(d, old, &b->stages[i]);
        else
            say(d, "stage is new (%s)", b->stages[i].method_name);
    }
}

/* --- models, measures, the rest --- */

static void diff_make(differ *d, const char *name, const rs_make *a, const rs_make *b)
{
    if (!a != !b) say(d, "make of %s is %s", name, a ? "gone" : "new");
    if (!a || !b || a->type != b->type) return;
    for (const rs_make_key *k = rs_make_keys(a->type); k->name; k++) {
        char label[300];
        rs_buf x = {0}, y = {0};
        rs_make_say(a, k, &x);
        rs_make_say(b, k, &y);
        snprintf(label, sizeof label, "make of %.200s: %s", name, k->name);
        say_string(d, label, rs_buf_str(&x), rs_buf_str(&y));
        rs_buf_free(&x);
        rs_buf_free(&y);
    }
}

static void describe_model(const rs_model_entry *e, char *dst, size_t size)
{
    if (e->path)
        snprintf(dst, size, "%s", e->path);
    else if (e->adapter)
        snprintf(dst, size, "%s%s%s", e->adapter, e->on ? " on " : "",
                 e->on ? e->on : "");
    else
        snprintf(dst, size, "%s", e->later ? e->later : "");
}

static void diff_models(differ *d, const rs_recipe *a, const rs_recipe *b)
{
    char x[500], y[500], label[256];
    d->who = "models";
    for (int i = 0; i < a->n_models; i++)
        if (!rs_recipe_model(b, a->models[i].name)) say(d, "- %s", a->models[i].name);
    for (int i = 0; i < b->n_models; i++) {
        const rs_model_entry *old = rs_recipe_model(a, b->models[i].name);
        describe_model(&b->models[i], y, sizeof y);
        if (!old) {
            say(d, "+ %s %s", b->models[i].name, y);
            continue;
        }
        describe_model(old, x, sizeof x);
        snprintf(label, sizeof label, "%s", old->name);
        say_string(d, label, x, y);
        diff_make(d, old->name, old->make, b->models[i].make);
    }
}

static void diff_measures(differ *d, const rs_recipe *a, const rs_recipe *b)
{
    char label[256];
    d->who = "measure";
    for (int i = 0; i < a->n_measures; i++)
        if (!rs_recipe_measure(b, a->measures[i].name))
            say(d, "- %s", a->measures[i].name);
    for (int i = 0; i < b->n_measures; i++) {
        const rs_measure_entry *now = &b->measures[i],
                               *old = rs_recipe_measure(a, now->name);
        if (!old) {
            say(d, "+ %s %s", now->name, now->path);
            continue;
        }
        say_string(d, now->name, old->path, now->path);
        snprintf(label, sizeof label, "scale of %s", now->name);
        say_string(d, label, old->scale, now->scale);
        diff_make(d, now->name, old->make, now->make);
    }
}

static void diff_output(differ *d, const rs_recipe *a, const rs_recipe *b)
{
    d->who = "budget";
    say_number(d, "damage", a->budget > 0 ? a->budget : NAN,
               b->budget > 0 ? b->budget : NAN);
    if (a->budget > 0 && b->budget > 0) say_string(d, "of", a->budget_of, b->budget_of);
    d->who = "output";
    say_string(d, "stage", a->output_stage, b->output_stage);
    say_string(d, "dtype", rs_dtype_name(a->output_dtype),
               rs_dtype_name(b->output_dtype));
    say_switch(d, "rounding", a->stochastic, b->stochastic, "nearest", "stochastic");
    say_number(d, "seed", (double)a->seed, (double)b->seed);
    say_number(d, "shard bytes", (double)a->shard_bytes, (double)b->shard_bytes);
}

int rs_recipe_diff(const rs_recipe *a, const rs_recipe *b, rs_buf *out)
{
    differ d = {.out = out, .who = "recipe"};
    say_string(&d, "name", a->name, b->name);
    if (strcmp(a->notes, b->notes) != 0) say(&d, "notes differ");
    diff_names(&d, "tag", &a->tags, &b->tags);
    diff_models(&d, a, b);
    diff_measures(&d, a, b);
    diff_stages(&d, a, b);
    diff_output(&d, a, b);
    return d.n;
}
