#include "tui/app/engine_internal.h"

#include "model/jsonl.h"

#include <stdlib.h>
#include <string.h>

void ui_vocab_free(ui_vocab *v)
{
    rs_tokenizer_free(v->tokenizer);
    *v = (ui_vocab){0};
}

/* Is some slot's text or model still bound to this tokenizer? */
static bool in_use(const ui_engine_server *e, const ui_vocab *v)
{
    for (int i = 0; i < UI_ENGINE_SLOTS; i++) {
        const rs_live *live = e->slots[i].live;
        if (live && strcmp(rs_plan_base_path(rs_live_plan(live)), v->path) == 0)
            return true;
    }
    return false;
}

static ui_vocab *free_place(ui_engine_server *e)
{
    for (int i = 0; i <= UI_ENGINE_SLOTS; i++)
        if (!e->vocabs[i].tokenizer) return &e->vocabs[i];
    for (int i = 0; i < UI_ENGINE_SLOTS; i++)
        if (!in_use(e, &e->vocabs[i])) return &e->vocabs[i];
    return &e->vocabs
                [UI_ENGINE_SLOTS]; /* at most as many are in use as there are slots */
}

rs_status ui_vocab_of(ui_engine_server *e, const char *path, const ui_vocab **out,
                      rs_err *err)
{
    for (int i = 0; i <= UI_ENGINE_SLOTS; i++)
        if (e->vocabs[i].tokenizer && strcmp(e->vocabs[i].path, path) == 0) {
            *out = &e->vocabs[i];
            return RS_OK;
        }
    ui_vocab *v = free_place(e);
    ui_vocab_free(v);
    if (strlen(path) >= sizeof v->path)
        return rs_fail(err, RS_E_INVALID, "the path of the model is too long");
    RS_TRY(rs_tokenizer_load(path, &v->tokenizer, err));
    memcpy(v->path, path, strlen(path) + 1);
    /* A model without a known chat format still takes plain text. */
    if (rs_chat_detect(path, v->tokenizer, &v->chat, NULL) != RS_OK) v->chat = NULL;
    *out = v;
    return RS_OK;
}

rs_status ui_prompt_ids(const char *json, const ui_vocab *v, rs_ids *out, rs_err *err)
{
    rs_line_options o = {.tokenizer = v->tokenizer, .chat = v->chat, .raw = !v->chat};
    rs_line line = {0};
    rs_status s = rs_line_parse(json, strlen(json), "the prompt", &o, &line, err);
    for (int64_t i = 0; s == RS_OK && i < line.ids.n; i++)
        if (!rs_ids_add(out, line.ids.at[i]))
            s = rs_fail(err, RS_E_NOMEM, "no memory for the prompt");
    rs_line_free(&line);
    return s;
}
