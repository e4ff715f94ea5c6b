#include "tui/app/mem.h"
#include "tui/app/msg.h"

#include <stdlib.h>
#include <string.h>

ui_effect *ui_effects_add(ui_effects *e, ui_effect_kind kind)
{
    e->at = ui_grow(e->at, e->n, &e->cap, sizeof *e->at);
    ui_effect *added = &e->at[e->n++];
    *added = (ui_effect){.kind = kind};
    return added;
}

void ui_effects_clear(ui_effects *e)
{
    for (int i = 0; i < e->n; i++) {
        ui_effect *f = &e->at[i];
        free(f->text);
        free(f->path);
        free(f->title);
        free(f->stage);
        free(f->prompt);
        free(f->sampler);
    }
    e->n = 0;
}

void ui_effects_free(ui_effects *e)
{
    ui_effects_clear(e);
    free(e->at);
    memset(e, 0, sizeof *e);
}

char *ui_strdup(const char *s)
{
    if (!s) return NULL;
    size_t n = strlen(s) + 1;
    return memcpy(ui_alloc(n, 1), s, n);
}
