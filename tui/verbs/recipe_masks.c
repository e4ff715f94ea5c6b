/* Was a mask's subspace taken from the models that the recipe works on? Told from the hashes
 * in its file, which costs a reading of the base once a model. */
#include "tui/verbs/products.h"
#include "tui/verbs/recipe_arg.h"

#include <string.h>

static const rs_plan_source *base_of(const rs_plan *p)
{
    for (int i = 0; i < rs_plan_n_sources(p); i++)
        if (strcmp(rs_plan_source_at(p, i)->use, "base") == 0)
            return rs_plan_source_at(p, i);
    return NULL;
}

rs_status ui_recipe_foreign_mask(ui_common *c, const rs_plan *p, ui_progress *show,
                                 rs_buf *out, rs_err *err)
{
    const rs_plan_source *base = base_of(p);
    for (int i = 0; base && i < rs_plan_n_sources(p) && !out->len; i++) {
        const rs_plan_source *s = rs_plan_source_at(p, i);
        char hash[33];
        if (strcmp(s->kind, "subspace") != 0 || strcmp(s->use, "mask") != 0) continue;
        const char *from = rs_checkpoint_metadata(s->file, "from_hash");
        const char *to = rs_checkpoint_metadata(s->file, "to_hash");
        if (!from || !to) continue;
        RS_TRY(ui_content_hash(c, base->file, show, hash, err));
        if (strcmp(hash, from) == 0 || strcmp(hash, to) == 0) continue;
        rs_buf_printf(out,
                      "subspace %s (%s) leads from a model of content %.32s to one of "
                      "%.32s, and the base %s (%s) is %s: its directions are those of "
                      "another model",
                      s->name, s->path, from, to, base->name, base->path, hash);
    }
    return out->failed ? rs_fail(err, RS_E_NOMEM, "no memory for a warning") : RS_OK;
}
