/* A model by argument: files as they are, or a recipe merged in memory. */
#include "base/os.h"
#include "live/live.h"
#include "tui/verbs/recipe_arg.h"
#include "tui/verbs/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ui_model_owned {
    rs_checkpoint *file; /* of a plain model */
    rs_config *config;
    rs_model *model;
    ui_recipe recipe; /* of a merged one */
    rs_live *live;
};

static rs_status open_files(ui_common *c, const char *what, int parts, ui_model *m,
                            rs_err *err)
{
    struct ui_model_owned *o = m->owned;
    RS_TRY(ui_resolve(NULL, what, m->path, err));
    if (!(parts & UI_MODEL_WEIGHTS)) return RS_OK;
    RS_TRY(rs_checkpoint_open(m->path, &o->file, err));
    RS_TRY(rs_config_load(o->file, &o->config, err));
    ui_progress show;
    ui_progress_begin(&show, c, "load");
    rs_status s = rs_model_load(&c->rt, o->file, o->config, ui_progress_step, &show,
                                &o->model, err);
    ui_progress_end(&show, s, err, NULL);
    m->config = o->config;
    m->model = o->model;
    return s;
}

static rs_status open_recipe(ui_common *c, const char *what, int parts, ui_model *m,
                             rs_err *err)
{
    struct ui_model_owned *o = m->owned;
    RS_TRY(ui_recipe_open(c, what, &o->recipe, err));
    snprintf(m->path, sizeof m->path, "%s", rs_plan_base_path(o->recipe.plan));
    m->config = rs_plan_config(o->recipe.plan);
    if (!(parts & UI_MODEL_WEIGHTS)) return RS_OK;
    ui_progress show;
    ui_progress_begin(&show, c, "merge");
    rs_plan *plan = o->recipe.plan;
    o->recipe.plan = NULL; /* taken by the live */
    rs_status s =
        rs_live_open(&c->rt, plan, NULL, ui_progress_step, &show, &o->live, err);
    ui_progress_end(&show, s, err, NULL);
    if (s != RS_OK) return s;
    m->config = rs_plan_config(rs_live_plan(o->live));
    m->model = rs_live_model(o->live);
    return RS_OK;
}

static rs_status open_text(const char *chat_name, int parts, ui_model *m, rs_err *err)
{
    const int text = UI_MODEL_TOKENIZER | UI_MODEL_TOKENIZER_IF | UI_MODEL_CHAT;
    if (!(parts & text)) return RS_OK;
    rs_status loaded = rs_tokenizer_load(m->path, &m->tokenizer, err);
    if (loaded == RS_E_NOT_FOUND && (parts & UI_MODEL_TOKENIZER_IF)) return RS_OK;
    if (loaded != RS_OK) return loaded;
    if (chat_name) {
        m->chat = rs_chat_named(chat_name);
        if (m->chat) return RS_OK;
        return rs_fail(err, RS_E_INVALID, "chat template %s is unknown; there are %s",
                       chat_name, rs_chat_names());
    }
    rs_err ignored;
    bool needed = (parts & UI_MODEL_CHAT) != 0;
    rs_status s =
        rs_chat_detect(m->path, m->tokenizer, &m->chat, needed ? err : &ignored);
    return needed ? s : RS_OK;
}

rs_status ui_model_open(ui_common *c, const char *what, int parts, const char *chat_name,
                        ui_model *m, rs_err *err)
{
    *m = (ui_model){.owned = NULL};
    if ((parts & UI_MODEL_FILES) && ui_names_recipe(what))
        return rs_fail(err, RS_E_INVALID,
                       "%s is a recipe: merge it first (ringside merge) and name the folder",
                       what);
    m->owned = calloc(1, sizeof *m->owned);
    if (!m->owned) return rs_fail(err, RS_E_NOMEM, "no memory to open %s", what);
    rs_status s = ui_names_recipe(what) ? open_recipe(c, what, parts, m, err)
                                        : open_files(c, what, parts, m, err);
    if (s == RS_OK) s = open_text(chat_name, parts, m, err);
    if (s != RS_OK) ui_model_close(m);
    return s;
}

void ui_model_close(ui_model *m)
{
    struct ui_model_owned *o = m->owned;
    rs_tokenizer_free(m->tokenizer);
    if (o) {
        rs_live_close(o->live);
        ui_recipe_close(&o->recipe);
        rs_model_free(o->model);
        rs_config_free(o->config);
        rs_checkpoint_close(o->file);
    }
    free(o);
    *m = (ui_model){0};
}

int32_t ui_other_pieces(const ui_model *a, const ui_model *b, int32_t *first)
{
    int32_t other = 0,
            n = a->config->vocab < b->config->vocab ? a->config->vocab : b->config->vocab;
    *first = -1;
    if (!a->tokenizer || !b->tokenizer) return 0;
    for (int32_t id = 0; id < n; id++) {
        const char *x = rs_tokenizer_piece(a->tokenizer, id);
        if (strcmp(x, rs_tokenizer_piece(b->tokenizer, id)) == 0) continue;
        if (other++ == 0) *first = id;
    }
    return other;
}
