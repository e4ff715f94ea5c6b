/* commands_values.c - the rows for gains, t, dampening and stages; handlers: gains.c, shapes.c,
 * stages.c, scenes.c. */
#include "tui/app/commands_internal.h"
#include "tui/screens/screens.h"

#include <string.h>

enum { HERE = UI_ON(UI_RING) | UI_ON(UI_DETAIL) };

static bool run_shade(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    int s = args->n ? 0 : (a->opt.shade + 1) % UI_N_SHADES;
    if (!args->n && s == UI_SHADE_CONTRAST && !ui_contrast_find(a)) s++;
    if (!args->n && s == UI_SHADE_TEXT && !a->heat_text.id) s++; /* there is none */
    for (; args->n && s < UI_N_SHADES; s++)
        if (strcmp(ui_shade_name((ui_shade)s), args->word[0]) == 0) break;
    if (s == UI_N_SHADES) {
        ui_warn(a, "shade: fisher d delta both survival contrast text style, not \"%s\"",
                args->word[0]);
        return false;
    }
    static const char *const means[UI_N_SHADES] = {"mean raw Fisher",
                                                   "mean d of the dampening",
                                                   "|D|/|W|",
                                                   "Fisher times D squared",
                                                   "survival in storage",
                                                   "mean of the contrast mask",
                                                   "mean Fisher of the text",
                                                   "style kept"};
    if (s == UI_SHADE_CONTRAST && !ui_contrast_find(a)) {
        ui_warn(a, "shade contrast: the recipe has no contrast mask; ringside fisher "
                   "--contrast makes one, :add takes it");
        return false;
    }
    if (s == UI_SHADE_TEXT && !a->heat_text.id) {
        ui_warn(a, "shade text: no text was measured yet: :fisher-text does it");
        return false;
    }
    a->opt.shade = s;
    if (ui_heat_shade(a) != (ui_shade)s)
        ui_say(a, "heat for %s needs a Fisher and shows delta: %s",
               ui_shade_name((ui_shade)s), means[UI_SHADE_DELTA]);
    else
        ui_say(a, "heat shows %s: %s", ui_shade_name((ui_shade)s), means[s]);
    return true;
}

// clang-format off
const ui_command ui_commands_values[] = {
    {"less", "h Left", NULL, UI_EVERYWHERE, "values", "less by 0.05 (t 0.01)", true, ui_cmd_less},
    {"more", "l Right", NULL, UI_EVERYWHERE, "values", "more by 0.05 (t 0.01)", true, ui_cmd_more},
    {"less-big", "H S-Left", NULL, UI_EVERYWHERE, "values", "five times less", true, ui_cmd_less_big},
    {"more-big", "L S-Right", NULL, UI_EVERYWHERE, "values", "five times more", true, ui_cmd_more_big},
    {"gain", "= + - *", "SELECTOR OPVALUE", HERE, "values", "set, add, take, multiply; keys open an entry line", true, ui_cmd_gain},
    {"t", NULL, "SELECTOR OPVALUE", HERE, "values", "the same for t of the heal", true, ui_cmd_t},
    {"lane", "t", "[gain|t]", HERE, "values", "which value keys edit: gain, or t of the heal", false, ui_cmd_lane},
    {"reset", "BackSpace", "[SELECTOR]", HERE, "values", "values of the last saved version", true, ui_cmd_reset},
    {"brush-narrow", "(", NULL, UI_ON(UI_RING), "values", "brush narrower", false, ui_cmd_brush_narrow},
    {"brush-wide", ")", NULL, UI_ON(UI_RING), "values", "brush wider", false, ui_cmd_brush_wide},
    {"brush", NULL, "ROWS [FALLOFF]", UI_ON(UI_RING), "values", "rows each side, and fall-off: flat linear cosine", false, ui_cmd_brush},
    {"curve", "c", "[CURVE] [FROM TO]", UI_ON(UI_RING), "values", "curve over the marked rows, or all", true, ui_cmd_curve},
    {"random", NULL, "SEED [FROM TO]", UI_ON(UI_RING), "values", "seeded random values over the marked rows", true, ui_cmd_random},
    {"gains", NULL, "N,N,...", UI_ON(UI_RING), "values", "the number line, typed", true, ui_cmd_gains},
    {"mute", "m", "[SELECTOR]", HERE, "values", "gain counts as 0, the value is kept", true, ui_cmd_mute},
    {"solo", "I", "[SELECTOR]", HERE, "values", "only these count; again: all", true, ui_cmd_solo},
    {"lock", "K", "[SELECTOR]", HERE, "values", "nothing changes these rows", true, ui_cmd_lock},
    {"scene", "A B C", "SCENE", HERE, "scenes", "go to that scene; an empty one starts as a copy", true, ui_cmd_scene},
    {"scene-clear", NULL, "SCENE", HERE, "scenes", "empty a scene", false, ui_cmd_scene_clear},
    {"morph", ";", "[SCENE SCENE] [VALUE]", UI_ON(UI_RING), "scenes", "slider between two scenes", true, ui_cmd_morph},
    {"dampen", "d", "[KIND]", HERE, "dampening", "next kind, or that one", true, ui_cmd_dampen},
    {"normaliser", "%", "[NORMALISER]", HERE, "dampening", "next, or that one; scope=tensor", true, ui_cmd_normaliser},
    {"mask", NULL, "[MEASURE] [SIDE] [VALUE]", HERE, "dampening", "subspace mask: out in both block, 0 to 1, per_layer=on, order=last, off", true, ui_cmd_mask},
    {"lambda-down", ",", NULL, HERE, "dampening", "lambda divided by 2^(1/4)", true, ui_cmd_lambda_down},
    {"lambda-up", ".", NULL, HERE, "dampening", "lambda times 2^(1/4)", true, ui_cmd_lambda_up},
    {"lambda", NULL, "VALUE", HERE, "dampening", "exact; a= b= of one_minus, q= of hard", true, ui_cmd_lambda},
    {"scale-down", "{", NULL, HERE, "dampening", "scale of the stage -0.01", true, ui_cmd_scale_down},
    {"scale-up", "}", NULL, HERE, "dampening", "scale of the stage +0.01", true, ui_cmd_scale_up},
    {"scale", NULL, "VALUE", HERE, "dampening", "exact scale of the stage", true, ui_cmd_scale},
    {"weight", NULL, "INPUT OPVALUE", HERE, "dampening", "weight of an adapter or model in the stage", true, ui_cmd_weight},
    {"add", "a", "[PATH]", HERE, "recipe", "an adapter, a model, a Fisher or a subspace file into the stage", true, ui_cmd_add},
    {"remove", NULL, "INPUT", HERE, "recipe", "take an input out of the stage", true, ui_cmd_remove},
    {"recall", NULL, "VERSION", HERE, "recipe", "a saved version into the editor; -1 the one before", true, ui_cmd_recall},
    {"notes", NULL, "TEXT", HERE, "recipe", "notes of the recipe, for its card", true, ui_cmd_notes},
    {"heal", NULL, "SPACE|NAME=VALUE", HERE, "dampening", "weight, delta, norm=lerp ...; MODEL: a new one", true, ui_cmd_heal},
    {"budget", NULL, "NAT [of=STAGE|out]", HERE, "dampening", "damage budget of a stage, or of what a merge would write", true, ui_cmd_budget},
    {"rank", NULL, "R|energy=E", UI_ON(UI_DETAIL), "dampening", "cut of the spectrum: what a new subspace would use", false, ui_cmd_rank},
    {"shade", "F", "[FIELD]", HERE, "view", "what the heat cells show: fisher d delta both survival contrast text style", false, run_shade},
    {0},
};
// clang-format on
