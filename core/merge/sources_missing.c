/* sources_missing.c - several files of a recipe that say how they are made and are not there
 * yet: told in one sentence, since one call makes them all. */
#include "merge/plan_internal.h"
#include "merge/recipe_internal.h"

#include "base/os.h"

typedef struct missing {
    const rs_recipe *r;
    rs_buf names;
    int n;
    bool seen[RS_RECIPE_ENTRIES]; /* measures */
} missing;

static void miss(missing *m, const char *what, const char *name, const char *path)
{
    char file[4096];
    if (!rs_path_join(file, sizeof file, m->r->folder, path) ||
        rs_os_kind(file) != RS_PATH_NONE)
        return;
    rs_buf_printf(&m->names, "%s%s \"%.80s\"", m->n++ ? ", " : "", what, name);
}

static void miss_measure(missing *m, const char *name)
{
    int i = rs_measure_index(m->r, name);
    if (i < 0 || m->seen[i] || !m->r->measures[i].make) return;
    m->seen[i] = true;
    miss(m, m->r->measures[i].type == RS_MEASURE_FISHER ? "Fisher" : "subspace", name,
         m->r->measures[i].path);
}

static void miss_of_stage(missing *m, const rs_stage *s)
{
    bool dampens = s->dampen.kind != RS_DAMPEN_NONE;
    if (dampens && s->dampen.by) miss_measure(m, s->dampen.by);
    if (dampens && s->dampen.task) miss_measure(m, s->dampen.task);
    if (s->mask.by) miss_measure(m, s->mask.by);
}

rs_status rs_sources_missing(const rs_recipe *r, const bool *model, const bool *stage,
                             rs_err *err)
{
    missing m = {.r = r};
    rs_status status = RS_OK;
    for (int i = 0; i < r->n_models; i++)
        if (model[i] && r->models[i].make)
            miss(&m, "adapter", r->models[i].name, r->models[i].adapter);
    for (int i = 0; i < r->n_stages; i++)
        if (stage[i]) miss_of_stage(&m, &r->stages[i]);
    if (m.n > 1) /* one is told by who opens it, with its path */
        status = rs_fail(err, RS_E_NOT_FOUND,
                         "%.300s are not there yet: 'ringside prepare RECIPE' makes them, in "
                         "the workbench :prepare",
                         rs_buf_str(&m.names));
    rs_buf_free(&m.names);
    return status;
}
