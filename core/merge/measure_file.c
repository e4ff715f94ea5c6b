#include "merge/measure_file.h"

#include "merge/plan_internal.h"

#include <string.h>

static rs_checkpoint *open_file(const char *path, const char *kind)
{
    rs_checkpoint *c = NULL;
    if (rs_checkpoint_open(path, &c, NULL) != RS_OK) return NULL;
    const char *own = rs_checkpoint_metadata(c, "kind");
    if (own && strcmp(own, kind) == 0) return c;
    rs_checkpoint_close(c);
    return NULL;
}

static rs_checkpoint *open_kind(const rs_recipe *r, const rs_plan_options *o, int i,
                                const char *kind)
{
    char path[4096];
    if (r->measures[i].type != RS_MEASURE_FISHER ||
        rs_recipe_resolve(r, o, r->measures[i].path, r->measures[i].make, "measure", path,
                          NULL) != RS_OK)
        return NULL;
    return open_file(path, kind);
}

bool rs_file_is_kind(const char *path, const char *kind)
{
    rs_checkpoint *c = open_file(path, kind);
    rs_checkpoint_close(c);
    return c != NULL;
}

bool rs_measure_is_kind(const rs_recipe *r, const rs_plan_options *o, int i,
                        const char *kind)
{
    rs_checkpoint *c = open_kind(r, o, i, kind);
    rs_checkpoint_close(c);
    return c != NULL;
}

rs_status rs_recipe_open_kind(const rs_recipe *r, const rs_plan_options *o,
                              const char *kind, const rs_measure_entry **which,
                              rs_checkpoint **out, rs_err *err)
{
    for (int i = 0; i < r->n_measures; i++) {
        *out = open_kind(r, o, i, kind);
        if (!*out) continue;
        *which = &r->measures[i];
        return RS_OK;
    }
    return rs_fail(err, RS_E_NOT_FOUND, "no measure of the recipe is of kind %s", kind);
}
