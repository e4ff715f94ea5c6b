/* sources.c - what completion may know of the app: names of the recipe, the library, jobs,
 * files, and what a selector matches. */
#include "base/os.h"
#include "tui/app/complete.h"
#include "tui/app/select.h"
#include "tui/app/state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_recipes_of(const char *folder, ui_completions *out)
{
    rs_buf names = {0};
    int n = 0;
    if (!folder || rs_os_list(folder, &names, &n, NULL) != RS_OK) n = 0;
    const char *at = rs_buf_str(&names);
    for (int i = 0; i < n; i++, at += strlen(at) + 1) {
        size_t len = strlen(at);
        char name[96];
        if (len < 6 || len > 90 || strcmp(at + len - 5, ".json") != 0) continue;
        snprintf(name, sizeof name, "%.*s", (int)(len - 5), at);
        bool already = false;
        for (int k = 0; k < out->n; k++)
            already |= strcmp(out->at[k].text, name) == 0;
        if (!already) ui_completions_add(out, name, folder);
    }
    rs_buf_free(&names);
}

static bool recipe_names(const ui_app *a, ui_completions *out)
{
    char mine[4096];
    const ui_file *f = ui_doc_file_of(&a->doc);
    if (a->data && snprintf(mine, sizeof mine, "%s/recipes", a->data) < (int)sizeof mine)
        add_recipes_of(mine, out);
    if (f) add_recipes_of(f->folder, out);
    add_recipes_of(a->library, out);
    return true;
}

static bool input_names(const ui_app *a, ui_completions *out)
{
    const rs_stage *s = a->doc.at.recipe ? rs_recipe_fuel(a->doc.at.recipe) : NULL;
    for (int i = 0; s && i < s->n_inputs; i++) {
        char help[48];
        snprintf(help, sizeof help, "weight %.3f", s->inputs[i].weight);
        ui_completions_add(out, s->inputs[i].from, help);
    }
    return s != NULL;
}

static bool scene_names(const ui_app *a, ui_completions *out)
{
    static const char *const names[] = {"A", "B", "C"};
    for (int i = 0; i < 3; i++)
        ui_completions_add(out, names[i],
                           i == a->i_scene    ? "shown"
                           : a->scene[i].text ? ""
                                              : "empty");
    return true;
}

static bool job_names(const ui_app *a, ui_completions *out)
{
    for (int i = 0; i < a->jobs.n; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", a->jobs.at[i].job.id);
        ui_completions_add(out, id, a->jobs.at[i].job.title);
    }
    return true;
}

static bool prompt_names(const ui_app *a, ui_completions *out)
{
    for (int i = 0; i < a->library_prompts.n; i++)
        ui_completions_add(out, a->library_prompts.at[i].id,
                           a->library_prompts.at[i].title);
    return true;
}

static bool option_names(const ui_app *a, ui_completions *out)
{
    for (int i = 0; ui_option_at(i); i++) {
        char text[96], now[48];
        ui_option_show(&a->opt, ui_option_at(i), now);
        snprintf(text, sizeof text, "%s=%s", ui_option_at(i)->name, now);
        ui_completions_add(out, text, ui_option_at(i)->help);
    }
    return true;
}

static bool shade_names(ui_completions *out)
{
    for (int i = 0; i < UI_N_SHADES; i++)
        ui_completions_add(out, ui_shade_name((ui_shade)i), "");
    return true;
}

static bool stage_names(const ui_app *a, ui_completions *out)
{
    const rs_recipe *r = a->doc.at.recipe;
    for (int i = 0; r && i < r->n_stages; i++)
        ui_completions_add(out, r->stages[i].name, r->stages[i].method_name);
    return r != NULL;
}

/* Only masks ask for measures: subspaces. */
static bool measure_names(const ui_app *a, ui_completions *out)
{
    const rs_recipe *r = a->doc.at.recipe;
    for (int i = 0; r && i < r->n_measures; i++)
        if (r->measures[i].type == RS_MEASURE_SUBSPACE)
            ui_completions_add(out, r->measures[i].name, r->measures[i].path);
    return r != NULL;
}

static bool names(const void *ctx, const char *type, ui_completions *out)
{
    const ui_app *a = ctx;
    if (strcmp(type, "RECIPE") == 0) return recipe_names(a, out);
    if (strcmp(type, "INPUT") == 0) return input_names(a, out);
    if (strcmp(type, "SCENE") == 0) return scene_names(a, out);
    if (strcmp(type, "JOB") == 0) return job_names(a, out);
    if (strcmp(type, "PROMPT") == 0) return prompt_names(a, out);
    if (strcmp(type, "NAME=VALUE") == 0) return option_names(a, out);
    if (strcmp(type, "FIELD") == 0) return shade_names(out);
    if (strcmp(type, "STAGE") == 0) return stage_names(a, out);
    if (strcmp(type, "MEASURE") == 0) return measure_names(a, out);
    if (strcmp(type, "SCREEN") == 0) {
        for (int i = 0; i < UI_N_SCREENS; i++)
            if (ui_screens[i]) ui_completions_add(out, ui_screens[i]->name, "");
        return true;
    }
    return false;
}

static bool match(const void *ctx, const char *selector, ui_match_count *count,
                  rs_err *err)
{
    const ui_app *a = ctx;
    ui_mask m;
    if (!ui_select(a, selector, &m, err)) return false;
    memset(count, 0, sizeof *count);
    for (int l = 0; l < m.n_layers; l++)
        count->layers += ui_mask_row(&m, l);
    count->tensors = ui_mask_tensors(a, &m, &count->with_delta, &count->numbers);
    count->per_layer = count->layers ? (double)count->tensors / count->layers : 0;
    ui_mask_free(&m);
    return true;
}

static bool folder_names(const void *ctx, const char *folder, ui_completions *out)
{
    const ui_app *a = ctx;
    char path[4096], child[4096];
    rs_buf list = {0};
    int n = 0;
    if (!ui_expand_home(a, folder[0] ? folder : ".", path) ||
        rs_os_list(path, &list, &n, NULL) != RS_OK)
        n = 0;
    const char *at = rs_buf_str(&list);
    for (int i = 0; i < n; i++, at += strlen(at) + 1) {
        char name[260];
        if (strlen(at) > sizeof name - 2) continue;
        bool is_folder = rs_path_join(child, sizeof child, path, at) &&
                         rs_os_kind(child) == RS_PATH_FOLDER;
        snprintf(name, sizeof name, "%s%s", at, is_folder ? "/" : "");
        ui_completions_add(out, name, "");
    }
    rs_buf_free(&list);
    return true;
}

/* The present value behind a command, where it has one. */
static bool value(const void *ctx, const char *command, const char *type, char out[32])
{
    const ui_app *a = ctx;
    const rs_recipe *r = a->doc.at.recipe;
    const rs_stage *s = r ? rs_recipe_fuel((rs_recipe *)r) : NULL;
    const rs_measure *m = a->doc.at.measure;
    (void)type;
    if (s && strcmp(command, "lambda") == 0)
        snprintf(out, 32, "%.3f", s->dampen.lambda);
    else if (s && s->mask.by && strcmp(command, "mask") == 0)
        snprintf(out, 32, "%.3f", s->mask.strength);
    else if (s && strcmp(command, "scale") == 0)
        snprintf(out, 32, "%.3f", s->scale);
    else if (r && strcmp(command, "budget") == 0)
        snprintf(out, 32, "%.4f", r->budget);
    else if (strcmp(command, "brush") == 0)
        snprintf(out, 32, "%d", a->rows.brush);
    else if (m && strcmp(command, "gain") == 0 && a->rows.cursor <= m->n_layers)
        snprintf(out, 32, "=%.3f", m->layer[a->rows.cursor].gain);
    else if (m && strcmp(command, "t") == 0 && !isnan(m->all.t) &&
             a->rows.cursor <= m->n_layers)
        snprintf(out, 32, "=%.3f", m->layer[a->rows.cursor].t);
    else
        return false;
    return true;
}

void ui_app_sources(const ui_app *a, ui_sources *out)
{
    *out = (ui_sources){.ctx = a,
                        .screen = a->screen,
                        .n_layers = a->doc.n_layers,
                        .names = names,
                        .match = match,
                        .folder = folder_names,
                        .value = value};
}
