/* heal.c - the slerp at the end of a recipe: how it joins its sides, and a new one. */
#include "base/os.h"
#include "tui/app/commands_internal.h"

#include <stdio.h>
#include <string.h>

/* A new heal starts here: a little of the other side, as the demo's recipe has it. */
static const double FIRST_T = 0.15;

static bool refuse(ui_app *a, rs_recipe *r, const char *why)
{
    ui_warn(a, "%s", why);
    rs_recipe_free(r);
    return false;
}

static bool on_off(const char *v, const char *on, const char *off, bool *out)
{
    if (strcmp(v, on) != 0 && strcmp(v, off) != 0) return false;
    *out = strcmp(v, on) == 0;
    return true;
}

/* false: the word says nothing about how sides are joined. */
static bool set_heal(rs_recipe *r, rs_stage *s, const char *word)
{
    const rs_stage *fuel = rs_recipe_fuel(r);
    if (strcmp(word, "weight") == 0 || strcmp(word, "delta") == 0) {
        s->space_delta = word[0] == 'd';
        if (!s->space_delta)
            s->base = NULL;
        else if (!s->base && fuel)
            s->base = fuel->base;
        return true;
    }
    const char *v = strchr(word, '=');
    if (!v++) return false;
    if (strncmp(word, "norm=", 5) == 0) return on_off(v, "lerp", "raw", &s->norm_lerp);
    if (strncmp(word, "rowwise=", 8) == 0) return on_off(v, "on", "off", &s->rowwise);
    if (strncmp(word, "vectors=", 8) == 0)
        return on_off(v, "slerp", "lerp", &s->vectors_slerp);
    if (strncmp(word, "opposite=", 9) == 0)
        return on_off(v, "error", "lerp", &s->opposite_error);
    double flat;
    if (strncmp(word, "flat_below=", 11) != 0 || !ui_read_value(v, false, &flat))
        return false;
    if (flat < 0 || flat > 1) return false;
    s->flat_below = flat;
    return true;
}

/* The name of a whole model: one of the recipe, an adapter of it folded on the base, or what
 * lies at a path. NULL: said. */
static const char *other_side(ui_app *a, rs_recipe *r, const char *word)
{
    char full[4096];
    const char *base = rs_recipe_fuel(r)->base;
    const rs_model_entry *e = rs_recipe_model(r, word);
    if (e && (e->path || e->on)) return e->name;
    bool found = e && e->adapter ? rs_path_join(full, sizeof full, r->folder, e->adapter)
                                 : ui_expand_home(a, word, full);
    if (!found || rs_os_kind(full) == RS_PATH_NONE) {
        ui_warn(a,
                "heal: the recipe has none yet; name a model or an adapter, or its path, "
                "not \"%.60s\"",
                word);
        return NULL;
    }
    const char *name = ui_add_model(r, full, base);
    if (!name) ui_warn(a, "heal goes toward a model or an adapter, not %.200s", full);
    return name;
}

/* A slerp from the recipe's output toward `side`, as its new output. NULL: no memory. */
static rs_stage *add_heal(rs_recipe *r, const char *side)
{
    rs_stage *all = rs_arena_array(&r->arena, (size_t)r->n_stages + 1, sizeof *all);
    rs_input *inputs = rs_arena_array(&r->arena, 2, sizeof *inputs);
    const char *name = ui_new_name(r, "heal");
    if (!all || !inputs || !name) return NULL;
    memcpy(all, r->stages, (size_t)r->n_stages * sizeof *all);
    inputs[0] = (rs_input){r->output_stage, 1};
    inputs[1] = (rs_input){side, 1};
    rs_stage *s = &all[r->n_stages++];
    *s = (rs_stage){.name = name,
                    .method = RS_METHOD_SLERP,
                    .method_name = "slerp",
                    .inputs = inputs,
                    .n_inputs = 2,
                    .scale = 1,
                    .gain = {.master = 1},
                    .t = {.fallback = FIRST_T},
                    .flat_below = 1e-6};
    r->stages = all;
    r->output_stage = name;
    return s;
}

bool ui_cmd_heal(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    char line[200], what[200];
    rs_recipe *r = ui_edit_begin(a);
    rs_stage *s = r ? rs_recipe_heal(r) : NULL;
    if (!r) return false;
    snprintf(line, sizeof line, "heal %.180s", args->line);
    snprintf(what, sizeof what, "heal %.180s", args->line);
    int first = 0;
    if (!s && args->n && rs_recipe_fuel(r)) {
        const char *side = other_side(a, r, args->word[first++]);
        if (!side) return rs_recipe_free(r), false;
        s = add_heal(r, side);
        if (!s) return refuse(a, r, "no memory for another stage");
        snprintf(what, sizeof what, "healed toward %.60s with t %.3f: t slides it", side,
                 FIRST_T);
    }
    if (!s)
        return refuse(
            a, r, "this recipe has no heal: :heal MODEL, an adapter or a path adds one");
    bool good = args->n > 0;
    for (int i = first; i < args->n; i++)
        good = good && set_heal(r, s, args->word[i]);
    if (!good)
        return refuse(a, r,
                      "heal: weight or delta, norm=raw|lerp rowwise=on|off "
                      "vectors=lerp|slerp opposite=lerp|error flat_below=NUMBER");
    return ui_edit_end(a, r, line, what);
}
