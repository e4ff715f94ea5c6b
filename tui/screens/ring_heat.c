/* ring_heat.c - what the heat cells of Ring show. */
#include "tui/screens/screens.h"

#include <math.h>
#include <stdio.h>

int ui_heat_kinds(const ui_app *a)
{
    const rs_config *c = ui_app_config(a);
    return c && c->ple_width == 0 ? RS_KIND_DOWN + 1 : RS_N_LAYER_KINDS;
}

/* A Fisher of this model that is being made fills the cells as its layers are done. */
static const ui_heat_job *shown_job(const ui_app *a)
{
    if (a->opt.shade == UI_SHADE_TEXT && a->heat_text.id > 0) return &a->heat_text;
    return a->opt.shade == UI_SHADE_FISHER && a->heat_model.id > 0 ? &a->heat_model
                                                                   : NULL;
}

bool ui_heat_word(const ui_app *a, char dst[32])
{
    const ui_heat_job *h = shown_job(a);
    ui_shade shade = ui_heat_shade(a);
    const char *word = shade == UI_SHADE_FISHER ? "heat" : ui_shade_name(shade);
    snprintf(dst, 32, "%s", word);
    if (!h) return false;
    if (h->runs)
        snprintf(dst, 32, "%s %d/%d~", word, h->n_done, h->n_layers);
    else if (h == &a->heat_model)
        snprintf(dst, 32, "%s job %d", word, h->id);
    else if (h->id && a->text_measured != ui_text_hash(a))
        snprintf(dst, 32, "%s~",
                 word); /* of another text than the one that stands there */
    return true;
}

/* Without a Fisher its mean is 1 everywhere, which says nothing: the differences do. */
ui_shade ui_heat_shade(const ui_app *a)
{
    const rs_stage *s = a->doc.at.recipe ? rs_recipe_fuel(a->doc.at.recipe) : NULL;
    bool by_fisher = a->opt.shade == UI_SHADE_FISHER || a->opt.shade == UI_SHADE_BOTH;
    if (shown_job(a)) return (ui_shade)a->opt.shade;
    bool none = a->opt.shade == UI_SHADE_TEXT ||
                (a->opt.shade == UI_SHADE_CONTRAST && a->contrast.n == 0);
    if (none) /* the recipe's own, then */
        return s && s->dampen.by ? UI_SHADE_FISHER : UI_SHADE_DELTA;
    if (by_fisher && s && !s->dampen.by) return UI_SHADE_DELTA;
    return (ui_shade)a->opt.shade;
}

/* Mean over the tensor; NaN where it is not known, or has no meaning there. */
static double value_of(const ui_app *a, int i)
{
    const rs_measure *m = a->doc.at.measure;
    if (!ui_sums_is_known(&a->doc.sums, i)) return NAN;
    const rs_tensor_sums *s = &a->doc.sums.at[i];
    switch (ui_heat_shade(a)) {
    case UI_SHADE_FISHER:
        return s->n > 0 ? s->sum_f / s->n : NAN;
    case UI_SHADE_BOTH:
        return s->n > 0 ? s->fisher[RS_V_DELTA][RS_V_DELTA] / s->n : NAN;
    case UI_SHADE_D:
        return m ? m->tensor[i].d : NAN;
    case UI_SHADE_DELTA:
        return m ? m->tensor[i].delta_norm : NAN;
    case UI_SHADE_SURVIVAL:
        return m ? m->tensor[i].survival : NAN;
    case UI_SHADE_STYLE:
        return m ? m->tensor[i].kept : NAN;
    default:
        return NAN;
    }
}

double ui_heat_value(const ui_app *a, int layer, int kind)
{
    int i = ui_doc_tensor(&a->doc, layer, kind);
    if (i >= 0 && ui_heat_shade(a) == UI_SHADE_CONTRAST)
        return ui_contrast_at(a, layer, kind);
    if (i >= 0 && shown_job(a)) return ui_heat_job_at(shown_job(a), layer, kind);
    return i < 0 ? NAN : value_of(a, i);
}

/* Over all rows, not only those scrolled to; zeros take no part in a logarithm. */
void ui_heat_range(const ui_app *a, double *min, double *max)
{
    *min = INFINITY;
    *max = 0;
    for (int l = 0; l < a->doc.n_layers; l++)
        for (int k = 0; k < ui_heat_kinds(a); k++) {
            double v = ui_heat_value(a, l, k);
            if (isnan(v)) continue;
            if (v > 0 && v < *min) *min = v;
            if (v > *max) *max = v;
        }
    if (*min > *max) *min = *max;
}
