/* prepare_apart.c - a product must not take the place of what the recipe reads. */
#include "tui/verbs/prepare_state.h"

#include "base/os.h"

#include <string.h>

/* Where the entry is, or false: it is nowhere yet, or is the row's own file. */
static bool is_other(const ui_preparation *p, const ui_made_row *row, const char *path,
                     bool same_kind, char out[4096])
{
    if (!path || ui_recipe_path(p->recipe, path, false, "", out, NULL) != RS_OK) return false;
    return !same_kind ||
           !(rs_os_is_within(out, row->path) && rs_os_is_within(row->path, out));
}

static bool is_ours(const ui_made_row *row)
{
    return row->state != UI_MADE_FOREIGN && row->state != UI_MADE_DAMAGED;
}

/* Files may be links: caches of the hub are built like that. */
static bool takes_place(const ui_made_row *row, const char *path)
{
    rs_checkpoint *f;
    bool takes = rs_os_is_within(path, row->path) ||
                 (!is_ours(row) && rs_os_is_within(row->path, path));
    if (takes || rs_checkpoint_open(path, &f, NULL) != RS_OK) return takes;
    for (int i = 0; i < rs_checkpoint_n_files(f); i++)
        takes |= rs_os_is_within(rs_checkpoint_file(f, i), row->path);
    rs_checkpoint_close(f);
    return takes;
}

static rs_status check(const ui_preparation *p, const ui_made_row *row, const char *path,
                       bool same_kind, const char *what, rs_err *err)
{
    char there[4096];
    if (!is_other(p, row, path, same_kind, there) || !takes_place(row, there))
        return RS_OK;
    return rs_fail(err, RS_E_EXISTS,
                   "%s \"%s\": %s would take the place of %s %s, which the recipe reads: "
                   "choose another path",
                   rs_make_word(row->made.make->type), row->made.name, row->path, what,
                   path);
}

static rs_status check_data(const ui_preparation *p, const ui_made_row *row,
                            const rs_make *m, rs_err *err)
{
    if (!m) return RS_OK;
    RS_TRY(check(p, row, m->data, false, "the data", err));
    for (int i = 0; i < m->n_corpora; i++)
        RS_TRY(check(p, row, m->corpora[i].data, false, "the corpus", err));
    return RS_OK;
}

rs_status ui_prepare_apart(const ui_preparation *p, const ui_made_row *row, rs_err *err)
{
    const rs_recipe *r = p->recipe;
    bool adapter = row->made.make->type == RS_MAKE_ADAPTER;
    if (rs_os_kind(row->path) == RS_PATH_NONE) return RS_OK;
    if (rs_os_is_within(p->file, row->path))
        return rs_fail(err, RS_E_EXISTS, "%s \"%s\" would take the place of the recipe %s",
                       rs_make_word(row->made.make->type), row->made.name, p->file);
    for (int i = 0; i < r->n_models; i++) {
        const rs_model_entry *e = &r->models[i];
        RS_TRY(check(p, row, e->path, false, "the model", err));
        RS_TRY(check(p, row, e->adapter, adapter, "the adapter", err));
        RS_TRY(check_data(p, row, e->make, err));
    }
    for (int i = 0; i < r->n_measures; i++) {
        RS_TRY(check(p, row, r->measures[i].path, !adapter, "the measure", err));
        RS_TRY(check_data(p, row, r->measures[i].make, err));
    }
    return RS_OK;
}
