/* ringside damage RECIPE: predicted damage and kept style, layer by layer. */
#include "tui/verbs/recipe_arg.h"

typedef struct damage_opts {
    const char *histogram;
} damage_opts;

static const ui_opt opts[] = {
    {"--histogram", UI_OPT_STRING, "SEL", "instead: how the Fisher of these tensors lies",
     offsetof(damage_opts, histogram)},
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};

static rs_status measure(ui_common *c, const rs_plan *p, rs_buf *b, rs_err *err)
{
    rs_measure *m = NULL;
    RS_TRY(ui_recipe_measure(c, p, true, "damage", &m, err));
    if (c->json)
        ui_measure_json(p, m, b);
    else
        ui_measure_table(p, m, b);
    rs_measure_free(m);
    return RS_OK;
}

static int run(ui_common *c, void *options, int n_args, char **args)
{
    (void)n_args;
    const damage_opts *o = options;
    ui_recipe r;
    rs_err err;
    rs_buf b = {0};
    rs_status s = ui_recipe_open(c, args[0], &r, &err);
    if (s == RS_OK)
        s = o->histogram ? ui_recipe_spread(c, r.plan, o->histogram, &b, &err)
                         : measure(c, r.plan, &b, &err);
    if (s == RS_OK) ui_print(&b);
    rs_buf_free(&b);
    ui_recipe_close(&r);
    return s == RS_OK ? UI_EXIT_OK : ui_fail("damage", &err);
}

const ui_verb ui_verb_damage = {
    .name = "damage",
    .usage = "RECIPE [--histogram SEL]",
    .summary = "predicted damage, kept style, angles and survival per layer",
    .details = "damage is 1/2 sum F x^2 in nat per token: what the change x costs the "
               "model that "
               "the Fisher F was measured on, on text of the Fisher's kind. kept is <x, "
               "D>/<D, D>, "
               "D being the averaged, scaled, undampened delta. leak is the share of "
               "x inside the recipe's subspace (the larger of the sides out and in), stored "
               "the same once W0 + x is rounded. Layer -1 is everything "
               "outside the "
               "layers. --histogram counts the Fisher values of the tensors that a "
               "selector takes by quarters of an octave, and tells where the stage's "
               "dampening cuts them and how many lie at the cut or above: what the layer "
               "detail of the workbench draws. Formulas: docs/method.md.",
    .opts = opts,
    .opts_size = sizeof(damage_opts),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
