/* ring_controls.c - the line above Ring's rows: what the stage does, and the heal. */
#include "tui/draw/widgets.h"
#include "tui/screens/screens.h"

#include <stdio.h>
#include <string.h>

enum { FIELD_SCALE, FIELD_KIND, FIELD_STRENGTH, FIELD_NORM, FIELD_MASK,
       FIELD_HEAL, N_FIELDS };

int ui_ring_n_fields(const ui_app *a)
{
    (void)a;
    return N_FIELDS;
}

static const rs_stage *fuel_of(const ui_app *a)
{
    return a->doc.at.recipe ? rs_recipe_fuel(a->doc.at.recipe) : NULL;
}

static const rs_stage *heal_of(const ui_app *a)
{
    return a->doc.at.recipe ? rs_recipe_heal(a->doc.at.recipe) : NULL;
}

static void scale_text(const ui_app *a, bool wide, char text[96])
{
    const rs_stage *s = fuel_of(a);
    const char *times = ui_glyph_at((ui_glyph_level)a->opt.glyphs, UI_G_TIMES);
    if (!s)
        snprintf(text, 96, "no fuel stage");
    else if (wide)
        snprintf(text, 96, "%.20s %s%.3f %s of %d on %.20s", s->name, times, s->scale,
                 s->normalize ? "mean" : "sum", s->n_inputs, s->base ? s->base : "");
    else
        snprintf(text, 96, "%.20s %s%.3f", s->name, times, s->scale);
}

static void strength_text(const rs_dampen_spec *d, char text[96])
{
    text[0] = 0;
    if (d->kind == RS_DAMPEN_ONE_MINUS)
        snprintf(text, 96, "a %.3f b %.3f%s", d->parameter, d->layer,
                 d->layer == 1 ? "!" : "");
    else if (d->kind == RS_DAMPEN_HARD)
        snprintf(text, 96, "q %.3f", d->q);
    else if (d->kind != RS_DAMPEN_NONE)
        snprintf(text, 96, "lambda %.3f", d->lambda);
}

static void norm_text(const rs_dampen_spec *d, char text[96])
{
    text[0] = 0;
    if (d->kind == RS_DAMPEN_NONE) return;
    if (d->kind == RS_DAMPEN_TASK) {
        snprintf(text, 96, "by %.20s, %.20s", d->by, d->task ? d->task : "");
        return;
    }
    snprintf(text, 96, "by %.20s/%s%s%s", d->by ? d->by : "",
             rs_normaliser_name(d->normaliser), d->per_tensor ? " each" : "",
             d->normaliser == RS_NORM_MAX ? "!" : "");
}

static void heal_text(const ui_app *a, bool wide, char text[96])
{
    const rs_stage *h = heal_of(a);
    if (!h) {
        snprintf(text, 96, "no heal");
        return;
    }
    const char *with = h->n_inputs > 1 ? h->inputs[1].from : "";
    const rs_model_entry *m = rs_recipe_model(a->doc.at.recipe, with);
    int at = snprintf(text, 96, "%.20s slerp/%s%s", h->name,
                      h->space_delta ? "delta" : "weight", h->rowwise ? " rows" : "");
    if (!wide || at < 0 || at >= 96) return;
    at += snprintf(text + at, (size_t)(96 - at), " with %.20s", with);
    if (m && m->on && at < 96) snprintf(text + at, (size_t)(96 - at), " on %.20s", m->on);
}

static void mask_text(const rs_stage *s, char text[96])
{
    char words[160];
    ui_mask_words(&s->mask, false, words);
    snprintf(text, 96, "%.95s", words);
}

static void field_text(const ui_app *a, bool wide, int i, char text[96])
{
    const rs_stage *s = fuel_of(a);
    text[0] = 0;
    if (i == FIELD_SCALE) scale_text(a, wide, text);
    if (s && i == FIELD_KIND)
        snprintf(text, 96, "%s",
                 s->dampen.kind == RS_DAMPEN_NONE ? "no dampening"
                                                  : rs_dampen_name(s->dampen.kind));
    if (s && i == FIELD_STRENGTH) strength_text(&s->dampen, text);
    if (s && i == FIELD_NORM) norm_text(&s->dampen, text);
    if (s && i == FIELD_MASK) mask_text(s, text);
    if (i == FIELD_HEAL) heal_text(a, wide, text);
}

/* What stands before a field: blanks and rules. */
static const char *gap_before(const ui_app *a, bool wide, int i)
{
    bool ascii = a->opt.glyphs == UI_GLYPHS_ASCII;
    switch (i) {
    case FIELD_SCALE:
        return " ";
    case FIELD_KIND:
    case FIELD_MASK:
        return !wide ? "  " : ascii ? " | " : " │ ";
    case FIELD_HEAL:
        return ascii ? " | " : " │ ";
    default:
        return " ";
    }
}

bool ui_ring_field(const ui_app *a, bool wide, int want, int *x, int *w, char text[96])
{
    int at = 0;
    for (int i = 0; i < N_FIELDS; i++) {
        field_text(a, wide, i, text);
        if (!text[0]) {
            if (i == want) return false;
            continue;
        }
        const char *gap = gap_before(a, wide, i);
        at += ui_text_width(gap, strlen(gap));
        *x = at;
        *w = ui_text_width(text, strlen(text));
        if (i == want) return true;
        at += *w;
    }
    return false;
}

void ui_ring_draw_controls(const ui_app *a, ui_grid *g, ui_rect r, bool wide)
{
    bool focused = a->focus == UI_FOCUS_CONTROLS;
    int end = 0;
    for (int i = 0; i < N_FIELDS; i++) {
        int x, w;
        char text[96];
        if (!ui_ring_field(a, wide, i, &x, &w, text)) continue;
        ui_put(g, r.x + end, r.y, x - end, UI_DIM, gap_before(a, wide, i));
        bool here = focused && i == a->field;
        bool idle = i == FIELD_MASK && !fuel_of(a)->mask.by;
        ui_role role = here                ? UI_CURSOR
                       : idle              ? UI_DIM
                       : strchr(text, '!') ? UI_WARN
                                           : UI_TEXT;
        ui_put(g, r.x + x, r.y, r.w - x, role, text);
        if (here) {
            ui_put(g, r.x + x - 1, r.y, 1, UI_CURSOR, ">");
            g->cursor_x = r.x + x - 1;
            g->cursor_y = r.y;
        }
        end = x + w;
    }
}
