/* ringside damage RECIPE: predicted damage and kept style, layer by layer. */
#include "tui/verbs/recipe_arg.h"

static int run(ui_common *c, void *options, int n_args, char **args)
{
    (void)options, (void)n_args;
    ui_recipe r;
    rs_err err;
    rs_measure *m = NULL;
    rs_status s = ui_recipe_open(c, args[0], &r, &err);
    if (s == RS_OK) s = ui_recipe_measure(c, r.plan, true, "damage", &m, &err);
    if (s == RS_OK) {
        rs_buf b = {0};
        if (c->json)
            ui_measure_json(r.plan, m, &b);
        else
            ui_measure_table(r.plan, m, &b);
        ui_print(&b);
        rs_buf_free(&b);
    }
    rs_measure_free(m);
    ui_recipe_close(&r);
    return s == RS_OK ? UI_EXIT_OK : ui_fail("damage", &err);
}

const ui_verb ui_verb_damage = {
    .name = "damage",
    .usage = "RECIPE",
    .summary = "predicted damage, kept style, angles and survival per layer",
    .details = "damage is 1/2 sum F x^2 in nat per token: what the change x costs the "
               "model that "
               "the Fisher F was measured on, on text of the Fisher's kind. kept is <x, "
               "D>/<D, D>, "
               "D being the averaged, scaled, undampened delta. Layer -1 is everything "
               "outside the "
               "layers. Formulas: docs/method.md.",
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
