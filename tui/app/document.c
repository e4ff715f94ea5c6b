#include "tui/app/document.h"

#include "tui/app/mem.h"
#include "tui/app/msg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

char *ui_recipe_text(const rs_recipe *r)
{
    rs_buf b = {0};
    rs_recipe_text(r, r->folder, &b);
    char *text = ui_strdup(rs_buf_str(&b));
    rs_buf_free(&b);
    return text;
}

static void clear_shown(ui_shown *s)
{
    rs_measure_free(s->measure);
    rs_plan_free(s->plan);
    rs_recipe_free(s->recipe);
    free(s->text);
    memset(s, 0, sizeof *s);
}

/* Which tensor stands at which cell of the heatmap. */
static void index_cells(ui_document *d)
{
    free(d->cell);
    d->cell = NULL;
    d->n_layers = 0;
    const rs_plan *p = d->at.plan;
    if (!p) return;
    d->n_layers = rs_plan_config(p)->n_layers;
    int n = d->n_layers * RS_N_LAYER_KINDS;
    d->cell = ui_alloc((size_t)n, sizeof *d->cell);
    for (int i = 0; i < n; i++)
        d->cell[i] = -1;
    for (int i = 0; i < rs_plan_count(p); i++) {
        const rs_role *r = &rs_plan_at(p, i)->role;
        if (r->layer < 0 || r->layer >= d->n_layers || r->kind >= RS_N_LAYER_KINDS)
            continue;
        if (!r->inert) d->cell[r->layer * RS_N_LAYER_KINDS + (int)r->kind] = i;
    }
}

static void measure_shown(ui_document *d)
{
    rs_measure *m = NULL;
    if (d->at.plan && rs_measure_from(d->at.plan, d->sums.at, &m, NULL) != RS_OK)
        m = NULL;
    rs_measure_free(d->at.measure);
    d->at.measure = m;
}

enum { STAMPS = sizeof((ui_document *)0)->stamp / sizeof(uint64_t) };

uint64_t ui_doc_edits_since(const ui_document *d, uint64_t serial)
{
    if (serial >= d->serial) return 0;
    if (d->serial - serial >= STAMPS) return d->serial - serial;
    uint64_t then = d->stamp[serial % STAMPS];
    bool was_live = then & 1;
    uint64_t edits = d->edits - then / 2 + (ui_doc_is_live(d) ? 1 : 0);
    return was_live && edits == 0 ? 1 : edits;
}

/* After `at` changed. */
static void follow(ui_document *d)
{
    d->serial++;
    d->stamp[d->serial % STAMPS] = 2 * d->edits + (ui_doc_is_live(d) ? 1 : 0);
    if (d->at.plan) ui_sums_follow(&d->sums, d->at.plan);
    measure_shown(d);
}

void ui_doc_open(ui_document *d, rs_recipe *r, int file)
{
    clear_shown(&d->held);
    clear_shown(&d->at);
    d->file = file;
    d->at.recipe = r;
    d->at.text = ui_recipe_text(r);
    if (rs_plan_build(d->rt, r, &d->options, &d->at.plan, &d->at.problem) != RS_OK)
        d->at.plan = NULL;
    index_cells(d);
    d->edits++;
    follow(d);
}

int ui_doc_add_file(ui_document *d, const char *path, const char *folder,
                    const char *saved, int version)
{
    d->files = ui_grow(d->files, d->n_files, &d->cap_files, sizeof *d->files);
    d->files[d->n_files] = (ui_file){.path = ui_strdup(path),
                                     .folder = ui_strdup(folder),
                                     .saved = ui_strdup(saved),
                                     .version = version};
    return d->n_files++;
}

ui_file *ui_doc_file(ui_document *d)
{
    return d->file >= 0 && d->file < d->n_files ? &d->files[d->file] : NULL;
}

const ui_file *ui_doc_file_of(const ui_document *d)
{
    return d->file >= 0 && d->file < d->n_files ? &d->files[d->file] : NULL;
}

bool ui_doc_is_live(const ui_document *d)
{
    return d->held.recipe != NULL;
}

const ui_shown *ui_doc_base(const ui_document *d)
{
    return ui_doc_is_live(d) ? &d->held : &d->at;
}

rs_recipe *ui_doc_begin(const ui_document *d, rs_err *err)
{
    const ui_shown *base = ui_doc_base(d);
    rs_recipe *r = NULL;
    if (!base->recipe)
        rs_fail(err, RS_E_INVALID, "no recipe is open");
    else if (rs_recipe_clone(base->recipe, &r, err) != RS_OK)
        r = NULL;
    return r;
}

/* What is on the screen is what undo, the session and a save keep: its text. */
static rs_status reads_back(const rs_recipe *r, rs_err *err)
{
    rs_recipe *again = NULL;
    RS_TRY(rs_recipe_clone(r, &again, err));
    rs_recipe_free(again);
    return RS_OK;
}

/* Makes `next` from r (taken) and the plan that edits start from. */
static bool prepare(ui_document *d, rs_recipe *r, ui_shown *next, rs_err *err)
{
    const ui_shown *base = ui_doc_base(d);
    memset(next, 0, sizeof *next);
    rs_status s = reads_back(r, err);
    if (s == RS_OK)
        s = base->plan
                ? rs_plan_rebuild(d->rt, base->plan, r, &d->options, &next->plan, err)
                : rs_plan_build(d->rt, r, &d->options, &next->plan, err);
    if (s != RS_OK) {
        rs_recipe_free(r);
        return false;
    }
    next->recipe = r;
    next->text = ui_recipe_text(r);
    return true;
}

/* Old plans and recipes are freed only after the new ones stand: a rebuild shares. */
static void show(ui_document *d, const ui_shown *next)
{
    ui_shown was = d->at;
    d->at = *next;
    index_cells(d);
    follow(d);
    clear_shown(&was);
}

bool ui_doc_try(ui_document *d, rs_recipe *r, rs_err *err)
{
    ui_shown next;
    if (!prepare(d, r, &next, err)) return false;
    if (!ui_doc_is_live(d)) {
        d->held = d->at;
        memset(&d->at, 0, sizeof d->at);
        d->at.plan = NULL;
    }
    ui_shown was = d->at;
    d->at = next;
    follow(d);
    clear_shown(&was);
    return true;
}

bool ui_doc_commit(ui_document *d, rs_recipe *r, rs_err *err)
{
    ui_shown next;
    const ui_shown *base = ui_doc_base(d);
    if (r && !prepare(d, r, &next, err)) return false;
    const char *text = r ? next.text : d->at.text;
    if (base->text && text && strcmp(base->text, text) != 0) d->edits++;
    clear_shown(&d->held);
    if (r) show(d, &next);
    return true;
}

void ui_doc_drop(ui_document *d)
{
    if (!ui_doc_is_live(d)) return;
    ui_shown was = d->at;
    d->at = d->held;
    memset(&d->held, 0, sizeof d->held);
    follow(d);
    clear_shown(&was);
}

bool ui_doc_put_sums(ui_document *d, uint64_t serial, const rs_tensor_sums *sums, int n)
{
    if (!d->at.plan || serial < d->reread || !ui_sums_put(&d->sums, sums, n))
        return false;
    measure_shown(d);
    return true;
}

void ui_doc_reread(ui_document *d)
{
    rs_recipe *r = ui_doc_begin(d, NULL);
    if (!r) return;
    ui_sums_free(&d->sums);
    ui_doc_open(d, r, d->file);
    d->reread = d->serial;
}

bool ui_doc_is_saved(const ui_document *d)
{
    const ui_file *f = ui_doc_file_of(d);
    return f && f->saved && d->at.text && strcmp(f->saved, d->at.text) == 0;
}

int ui_doc_tensor(const ui_document *d, int layer, int kind)
{
    if (layer < 0 || layer >= d->n_layers || kind < 0 || kind >= RS_N_LAYER_KINDS)
        return -1;
    return d->cell[layer * RS_N_LAYER_KINDS + kind];
}

static bool row_has(const ui_document *d, int layer, bool (*is)(const ui_sums *, int))
{
    if (!d->at.plan) return false;
    for (int i = 0; i < d->sums.n; i++) {
        const rs_plan_tensor *t = rs_plan_at(d->at.plan, i);
        int row = t->role.layer < 0 ? d->n_layers : t->role.layer;
        if ((layer < 0 || row == layer) && t->changes && is(&d->sums, i)) return true;
    }
    return false;
}

static bool is_unknown(const ui_sums *s, int i)
{
    return !ui_sums_is_known(s, i);
}

bool ui_doc_row_is_old(const ui_document *d, int layer)
{
    return row_has(d, layer, ui_sums_is_old);
}

bool ui_doc_is_old(const ui_document *d)
{
    return row_has(d, -1, ui_sums_is_old);
}

bool ui_doc_row_is_known(const ui_document *d, int layer)
{
    return !row_has(d, layer, is_unknown);
}

/* Mean of a number of the plan over the row's tensors that have it. */
static double plan_mean(const ui_document *d, int layer, bool of_t, bool *mixed)
{
    double sum = 0, first = NAN;
    int n = 0;
    *mixed = false;
    for (int i = 0; d->at.plan && i < rs_plan_count(d->at.plan); i++) {
        const rs_plan_tensor *t = rs_plan_at(d->at.plan, i);
        int row = t->role.layer < 0 ? d->n_layers : t->role.layer;
        double v = of_t ? t->t : t->gain;
        bool counts = of_t ? !isnan(v) && t->base->n_dims >= 2 : t->has_delta;
        if (row != layer || !counts) continue;
        if (n && v != first) *mixed = true;
        if (!n++) first = v;
        sum += v;
    }
    return n == 0 ? NAN : *mixed ? sum / n : first;
}

double ui_doc_row_gain(const ui_document *d, int layer, bool *mixed)
{
    const rs_measure *m = d->at.measure;
    double v = plan_mean(d, layer, false, mixed);
    if (isnan(v) || !m || layer > m->n_layers || isnan(m->layer[layer].gain)) return v;
    *mixed = m->layer[layer].gain_mixed;
    return m->layer[layer].gain;
}

double ui_doc_row_t(const ui_document *d, int layer)
{
    bool mixed;
    const rs_measure *m = d->at.measure;
    double v = plan_mean(d, layer, true, &mixed);
    if (isnan(v) || !m || layer > m->n_layers || isnan(m->layer[layer].t)) return v;
    return m->layer[layer].t;
}

void ui_doc_free(ui_document *d)
{
    clear_shown(&d->held);
    clear_shown(&d->at);
    ui_sums_free(&d->sums);
    for (int i = 0; i < d->n_files; i++) {
        free(d->files[i].path);
        free(d->files[i].folder);
        free(d->files[i].saved);
    }
    free(d->files);
    free(d->cell);
    memset(d, 0, sizeof *d);
}
