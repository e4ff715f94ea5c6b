/* masks.c - the subspace mask of a stage: `mask MEASURE SIDE VALUE`, and off. */
#include "tui/app/commands_internal.h"
#include "tui/screens/screens.h"

#include <stdio.h>
#include <string.h>

static const char *first_subspace(const rs_recipe *r)
{
    for (int i = 0; i < r->n_measures; i++)
        if (r->measures[i].type == RS_MEASURE_SUBSPACE) return r->measures[i].name;
    return NULL;
}

static bool read_switch(const char *word, const char *a, const char *b, bool *out)
{
    if (strcmp(word, a) != 0 && strcmp(word, b) != 0) return false;
    *out = strcmp(word, b) == 0;
    return true;
}

/* One word of the command: a side, a strength, a switch, or a subspace of the recipe. */
static bool read_word(const rs_recipe *r, const char *word, rs_mask_spec *m)
{
    const rs_measure_entry *e = rs_recipe_measure(r, word);
    if (rs_mask_side_from_name(word, &m->side)) return true;
    if (read_switch(word, "per_layer=off", "per_layer=on", &m->per_layer)) return true;
    if (read_switch(word, "order=first", "order=last", &m->last)) return true;
    if (e && e->type == RS_MEASURE_SUBSPACE) return m->by = e->name, true;
    double v;
    if (strncmp(word, "strength=", 9) == 0) word += 9;
    if (!ui_read_value(word, false, &v) || !(v >= 0 && v <= 1)) return false;
    m->strength = v;
    return true;
}

/* As the controls line has it, and as the command would set it again. */
void ui_mask_words(const rs_mask_spec *m, bool as_command, char dst[160])
{
    if (!m->by) {
        snprintf(dst, 160, "mask off");
        return;
    }
    int at = snprintf(dst, 160, as_command ? "mask %.60s %s %.6g" : "mask %.60s %s %.3f",
                      m->by, rs_mask_side_name(m->side), m->strength);
    const char *layers = as_command ? " per_layer=on" : " by layer";
    const char *last = as_command ? " order=last" : " last";
    if (!m->per_layer) layers = as_command ? " per_layer=off" : "";
    if (!m->last) last = as_command ? " order=first" : "";
    snprintf(dst + at, (size_t)(160 - at), "%s%s", layers, last);
}

/* What the mask needs and is not there. NULL: nothing. */
static const char *lacks(const rs_stage *s)
{
    if (!s->mask.by)
        return "a mask needs a subspace, and the recipe has none: :subspace makes one, "
               ":add takes its file";
    if (s->mask.per_layer && !s->dampen.by)
        return "per_layer needs a Fisher file, which says how much a layer matters";
    return NULL;
}

static bool refuse(ui_app *a, rs_recipe *r, const char *why)
{
    ui_warn(a, "%s", why);
    rs_recipe_free(r);
    return false;
}

bool ui_cmd_mask(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    rs_stage *s;
    char line[160], what[160];
    rs_recipe *r = ui_begin_fuel(a, &s);
    if (!r) return false;
    bool off = args->n == 1 ? strcmp(args->word[0], "off") == 0 : !args->n && s->mask.by;
    if (!s->mask.by) s->mask = (rs_mask_spec){.side = RS_MASK_BOTH, .strength = 1};
    for (int i = 0; i < args->n && !off; i++)
        if (!read_word(r, args->word[i], &s->mask)) {
            ui_warn(a,
                    "mask takes a subspace of the recipe, out in both block, 0 to 1, "
                    "per_layer=on, order=last, or off, not \"%.80s\"",
                    args->word[i]);
            rs_recipe_free(r);
            return false;
        }
    if (off) s->mask.by = NULL;
    if (!off && !s->mask.by) s->mask.by = first_subspace(r);
    if (!off && lacks(s)) return refuse(a, r, lacks(s));
    ui_mask_words(&s->mask, true, line);
    ui_mask_words(&s->mask, false, what);
    return ui_edit_end(a, r, line, what);
}

void ui_mask_menu(ui_menu *m)
{
    static const struct {
        const char *word, *help;
    } items[] = {{"out", "keeps U^T x at 0: what a matrix puts out"},
                 {"in", "keeps x V at 0: what it takes in"},
                 {"both", "both sides"},
                 {"block", "only U^T x V"},
                 {"off", "no mask"},
                 {"per_layer=on", "strength times the layer's Fisher"},
                 {"per_layer=off", "the same strength everywhere"},
                 {"order=last", "after dampening: nothing leaks back"},
                 {"order=first", "before dampening"}};
    snprintf(m->title, sizeof m->title, "mask");
    for (int i = 0; i < (int)(sizeof items / sizeof *items); i++)
        ui_menu_add(m, items[i].word, items[i].help, i);
}
