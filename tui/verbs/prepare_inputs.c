/* prepare_inputs.c - what a make names: where it is, and what is in it. */
#include "base/os.h"
#include "merge/plan.h"
#include "tui/app/mem.h"
#include "tui/verbs/learn_data.h"
#include "tui/verbs/prepare_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

rs_status ui_recipe_path(const rs_recipe *r, const char *path, bool made,
                         const char *what, char out[4096], rs_err *err)
{
    rs_plan_options how = {.resolve = ui_resolve};
    return rs_recipe_resolve(r, &how, path, made, what, out, err);
}

/* --- finding --- */

static rs_status find_model(const ui_preparation *p, const char *name, int k,
                            ui_inputs *in, rs_err *err)
{
    char what[300], ignored[4096];
    const rs_model_entry *e = rs_recipe_model(p->recipe, name);
    snprintf(what, sizeof what, "model \"%.200s\"", name);
    in->product.model[k] = in->model[k];
    if (e->path) return ui_recipe_path(p->recipe, e->path, false, what, in->model[k], err);
    in->folded[k] = e;
    in->product.base = rs_recipe_model(p->recipe, e->on)->path;
    RS_TRY(ui_recipe_path(p->recipe, rs_recipe_model(p->recipe, e->on)->path, false,
                          what, ignored, err));
    return e->make ? RS_OK
                   : ui_recipe_path(p->recipe, e->adapter, false, what, ignored, err);
}

static rs_status find_measure(const ui_preparation *p, const char *name, bool lenient,
                              ui_inputs *in, rs_err *err)
{
    char what[300];
    const rs_measure_entry *e = rs_recipe_measure(p->recipe, name);
    snprintf(what, sizeof what, "measure \"%.200s\"", name);
    in->product.measure = in->measure;
    rs_status s = ui_recipe_path(p->recipe, e->path, e->make, what, in->measure, err);
    return lenient && e->make ? RS_OK : s;
}

static rs_status find_data(const ui_preparation *p, const rs_make *m, ui_inputs *in,
                           rs_err *err)
{
    int n = m->n_corpora ? m->n_corpora : m->data != NULL;
    char found[4096];
    rs_buf text = {0};
    rs_status s = RS_OK;
    in->data = ui_alloc((size_t)n + 1, sizeof *in->data);
    for (int i = 0; i < n && s == RS_OK; i++) {
        const char *path = m->n_corpora ? m->corpora[i].data : m->data;
        if (!rs_path_join(found, sizeof found, p->recipe->folder, path) ||
            rs_os_kind(found) != RS_PATH_FILE)
            s = rs_fail(err, RS_E_NOT_FOUND, "there is no file %s of data (from %s)", path,
                        p->recipe->folder);
        rs_buf_add(&text, found, strlen(found) + 1);
    }
    if (s == RS_OK && text.failed) s = rs_fail(err, RS_E_NOMEM, "no memory for paths");
    const char *at = in->text = text.data;
    for (int i = 0; i < n && s == RS_OK; i++, at += strlen(at) + 1)
        in->data[i] = at;
    in->product.data = in->data;
    return s;
}

rs_status ui_inputs_find(const ui_preparation *p, const rs_make *m, bool lenient,
                         ui_inputs *in, rs_err *err)
{
    int k = 0;
    *in = (ui_inputs){.lock = -1};
    for (const rs_make_key *key = rs_make_keys(m->type); key->name; key++) {
        const char *name = rs_make_reference(m, key);
        if (!name) continue;
        RS_TRY(key->holds == RS_HOLDS_MODEL ? find_model(p, name, k++, in, err)
                                            : find_measure(p, name, lenient, in, err));
    }
    return find_data(p, m, in, err);
}

void ui_inputs_free(ui_inputs *in)
{
    free(in->text);
    free(in->data);
    *in = (ui_inputs){.lock = -1};
}

/* --- what is in it --- */

static rs_status put_model(const ui_preparation *p, const rs_make *m, const ui_inputs *in,
                           int k, rs_buf *b, rs_err *err)
{
    char on[4096], adapter[4096], hex[33];
    const rs_model_entry *e = in->folded[k];
    ui_depth depth = m->type == RS_MAKE_SUBSPACE ? UI_ID_TENSORS : UI_ID_TEXT;
    snprintf(on, sizeof on, "%s", in->model[k]);
    if (e)
        RS_TRY(ui_recipe_path(p->recipe, rs_recipe_model(p->recipe, e->on)->path, false,
                              e->name, on, err));
    RS_TRY(ui_identity(p->common, on, depth, p->show, hex, err));
    rs_buf_printf(b, "\"%s", hex);
    if (e) {
        RS_TRY(ui_recipe_path(p->recipe, e->adapter, e->make, e->name, adapter, err));
        RS_TRY(ui_identity(p->common, adapter, UI_ID_CONFIG, p->show, hex, err));
        rs_buf_printf(b, "+%s", hex);
    }
    rs_buf_putc(b, '"');
    return RS_OK;
}

/* What its bytes mean, too: the same ones are other data as JSON lines. */
static rs_status put_data(const char *path, rs_buf *b, rs_err *err)
{
    char hex[33];
    RS_TRY(ui_file_identity(path, hex, err));
    rs_buf_printf(b, "\"%s%s\"", hex, ui_is_jsonl(path) ? ".jsonl" : "");
    return RS_OK;
}

static rs_status put_corpora(const rs_make *m, const ui_inputs *in, rs_buf *b, rs_err *err)
{
    rs_buf_putc(b, '[');
    for (int i = 0; i < m->n_corpora; i++) {
        rs_buf_puts(b, i ? ",[" : "[");
        RS_TRY(put_data(in->data[i], b, err));
        rs_buf_putc(b, ',');
        rs_buf_json_double(b, m->corpora[i].weight);
        rs_buf_putc(b, ']');
    }
    rs_buf_putc(b, ']');
    return RS_OK;
}

static rs_status put_named(const ui_preparation *p, const rs_make *m, const ui_inputs *in,
                           const rs_make_key *key, int *k, rs_buf *b, rs_err *err)
{
    char hex[33];
    rs_buf_printf(b, ",\"%s\":", key->name);
    if (key->holds == RS_HOLDS_CORPORA) return put_corpora(m, in, b, err);
    if (!rs_make_string(m, key)) return rs_buf_puts(b, "null"), RS_OK;
    if (key->holds == RS_HOLDS_MODEL) return put_model(p, m, in, (*k)++, b, err);
    if (key->holds == RS_HOLDS_DATA) return put_data(in->data[0], b, err);
    RS_TRY(ui_identity(p->common, in->measure, UI_ID_TENSORS, p->show, hex, err));
    rs_buf_printf(b, "\"%s\"", hex);
    return RS_OK;
}

rs_status ui_inputs_text(const ui_preparation *p, const rs_make *m, const ui_inputs *in,
                         rs_buf *out, rs_err *err)
{
    int k = 0;
    rs_buf_printf(out, "{\"made\":\"%s\",\"version\":1", rs_make_word(m->type));
    rs_make_settings(m, out);
    for (const rs_make_key *key = rs_make_keys(m->type); key->name; key++)
        if (rs_make_names(key)) RS_TRY(put_named(p, m, in, key, &k, out, err));
    rs_buf_putc(out, '}');
    return out->failed ? rs_fail(err, RS_E_NOMEM, "no memory for a recipe's make") : RS_OK;
}
