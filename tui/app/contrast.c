/* contrast.c - shade contrast: the mean of a contrast mask over each tensor. The recipe names
 * the mask as a Fisher measure whose file says that it is one; its header tells which cells
 * there are, the reader's process reads the numbers. */
#include "base/rng.h"
#include "merge/measure_file.h"
#include "tui/app/state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ui_contrast_clear(ui_contrast *c)
{
    free(c->cell);
    free(c->mean);
    memset(c, 0, sizeof *c);
}

/* Of the measures' files, and when files were last read again. */
static uint64_t key_of(const ui_app *a)
{
    const rs_recipe *r = a->doc.at.recipe;
    rs_buf b = {0};
    rs_buf_printf(&b, "%s\n%llu\n", r->folder, (unsigned long long)a->doc.reread);
    for (int i = 0; i < r->n_measures; i++)
        rs_buf_printf(&b, "%s\n", r->measures[i].path);
    uint64_t h = rs_rng_name(rs_buf_str(&b)) | 1;
    rs_buf_free(&b);
    return h;
}

static void take_tensors(ui_app *a, ui_contrast *c, const rs_checkpoint *file)
{
    c->n = rs_checkpoint_count(file);
    c->cell = ui_alloc((size_t)c->n + 1, sizeof *c->cell);
    for (int i = 0; i < c->n; i++) {
        rs_role r = rs_role_of(ui_app_config(a), rs_checkpoint_at(file, i)->name);
        int layer = r.layer, kind = (int)r.kind;
        bool is_cell = layer >= 0 && layer < a->doc.n_layers && kind < RS_N_LAYER_KINDS;
        c->cell[i] = is_cell ? layer * RS_N_LAYER_KINDS + kind : -1;
    }
}

bool ui_contrast_find(ui_app *a)
{
    ui_contrast *c = &a->contrast;
    const rs_measure_entry *which;
    rs_checkpoint *file;
    if (!a->doc.at.plan) return false;
    uint64_t key = key_of(a);
    if (c->key == key) return c->n > 0;
    ui_contrast_clear(c);
    c->key = key;
    if (rs_recipe_open_kind(a->doc.at.recipe, &a->doc.options, "contrast", &which, &file,
                            NULL) != RS_OK)
        return false;
    snprintf(c->path, sizeof c->path, "%s", rs_checkpoint_path(file));
    take_tensors(a, c, file);
    rs_checkpoint_close(file);
    return c->n > 0;
}

void ui_contrast_follow(ui_app *a, ui_effects *fx)
{
    ui_contrast *c = &a->contrast;
    bool shown = a->opt.shade == UI_SHADE_CONTRAST && a->screen == UI_RING;
    if (!shown || !ui_contrast_find(a) || c->mean || c->asked || c->failed) return;
    c->asked = true;
    a->detail.looks.asked = 0; /* one look at a time */
    ui_effect *e = ui_effects_add(fx, UI_FX_LOOK);
    e->value = UI_LOOK_MEANS;
    e->run = c->key;
    e->text = ui_strdup(c->path);
}

void ui_contrast_taken(ui_app *a, const ui_engine_event *e)
{
    ui_contrast *c = &a->contrast;
    if (e->run != c->key) return;
    c->asked = false;
    c->failed = e->last || e->n_text != (size_t)c->n * sizeof *c->mean;
    if (c->failed) {
        ui_warn(a, "shade contrast: %s", e->last ? e->text : "what came back is damaged");
        return;
    }
    free(c->mean);
    c->mean = ui_alloc((size_t)c->n + 1, sizeof *c->mean);
    memcpy(c->mean, e->text, e->n_text);
}

double ui_contrast_at(const ui_app *a, int layer, int kind)
{
    const ui_contrast *c = &a->contrast;
    for (int i = 0; i < c->n && c->mean; i++)
        if (c->cell[i] == layer * RS_N_LAYER_KINDS + kind) return c->mean[i];
    return NAN;
}
