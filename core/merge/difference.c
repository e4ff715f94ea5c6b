#include "merge/difference.h"

#include "merge/make.h"
#include "merge/plan_internal.h"

#include <stdio.h>
#include <string.h>

static const rs_model_entry *plain_model(const rs_recipe *r, const char *name)
{
    const rs_model_entry *m = name ? rs_recipe_model(r, name) : NULL;
    return m && m->path ? m : NULL;
}

/* What a measure's "make" says; false: not two plain models. */
static bool read_make(const rs_recipe *r, const rs_measure_entry *m, rs_difference *out)
{
    if (m->type != RS_MEASURE_SUBSPACE || !m->make) return false;
    const rs_model_entry *from = plain_model(r, m->make->from),
                         *to = plain_model(r, m->make->to);
    if (!from || !to) return false;
    out->from_name = from->name;
    out->to_name = to->name;
    out->measure = m->name;
    if (m->make->rank >= 1 && m->make->rank <= 1000000) out->rank = (int)m->make->rank;
    if (m->make->energy > 0 && m->make->energy <= 1) out->energy = m->make->energy;
    return true;
}

static bool find(const rs_recipe *r, rs_difference *out)
{
    for (int i = 0; i < r->n_measures; i++)
        if (read_make(r, &r->measures[i], out)) return true;
    if (!plain_model(r, "pt") || !plain_model(r, "it")) return false;
    out->from_name = plain_model(r, "pt")->name;
    out->to_name = plain_model(r, "it")->name;
    return true;
}

rs_status rs_recipe_model_path(const rs_recipe *r, const rs_plan_options *o,
                               const char *name, char out[4096], rs_err *err)
{
    char what[300];
    const rs_model_entry *m = plain_model(r, name);
    if (!m)
        return rs_fail(err, RS_E_NOT_FOUND, "the recipe has no model called \"%.200s\"",
                       name);
    snprintf(what, sizeof what, "model \"%.200s\"", name);
    return rs_recipe_resolve(r, o, m->path, false, what, out, err);
}

rs_status rs_recipe_difference(const rs_recipe *r, const rs_plan_options *o,
                               rs_difference *out, rs_err *err)
{
    memset(out, 0, sizeof *out);
    if (!find(r, out))
        return rs_fail(
            err, RS_E_NOT_FOUND,
            "the recipe has no models called pt and it, and no subspace measure "
            "that is made from two models");
    RS_TRY(rs_recipe_model_path(r, o, out->from_name, out->from, err));
    return rs_recipe_model_path(r, o, out->to_name, out->to, err);
}
