/* heat_job.c - heat from jobs that measure the open model: their means of layers that are
 * done, put to the cells of the table of layers and kinds. */
#include "base/os.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "tui/app/jobs.h"
#include "tui/app/state.h"
#include "tui/app/track.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void ui_heat_job_clear(ui_heat_job *h)
{
    free(h->cell);
    memset(h, 0, sizeof *h);
}

double ui_heat_job_at(const ui_heat_job *h, int layer, int kind)
{
    bool inside = h->cell && layer >= 0 && layer < h->n_layers && kind >= 0 &&
                  kind < RS_N_LAYER_KINDS;
    return inside ? h->cell[layer * RS_N_LAYER_KINDS + kind] : NAN;
}

static bool has_fisher(const ui_app *a)
{
    const rs_stage *s = rs_recipe_fuel(a->doc.at.recipe);
    return s && s->dampen.by;
}

static bool is_fisher_of_base(const ui_app *a, const ui_job *j)
{
    return strcmp(j->kind, "fisher") == 0 &&
           strcmp(j->model, rs_plan_base_path(a->doc.at.plan)) == 0;
}

static bool is_of_text(const ui_job *j)
{
    return strcmp(rs_path_basename(j->out), UI_JOB_RESULT) == 0;
}

/* The newest Fisher of a text that runs or is done. */
static const ui_job *text_job(const ui_app *a)
{
    for (int i = 0; i < a->jobs.n; i++) {
        const ui_job *j = &a->jobs.at[i].job;
        bool good = j->state == UI_JOB_RUNNING || (j->state == UI_JOB_DONE && j->track);
        if (good && is_fisher_of_base(a, j) && is_of_text(j)) return j;
    }
    return NULL;
}

/* The newest Fisher of the base that runs, or, where the recipe has none, that is done. */
static const ui_job *model_job(const ui_app *a)
{
    for (int i = 0; i < a->jobs.n; i++) {
        const ui_job *j = &a->jobs.at[i].job;
        if (!is_fisher_of_base(a, j) || is_of_text(j)) continue;
        if (j->state == UI_JOB_RUNNING) return j;
        if (j->state == UI_JOB_DONE && j->track && !has_fisher(a)) return j;
    }
    return NULL;
}

static void fill(ui_app *a, ui_heat_job *h, const ui_track *t)
{
    const rs_config *c = ui_app_config(a);
    for (int i = 0; i < t->n_means; i++) {
        rs_role r = rs_role_of(c, t->means[i].name);
        if (r.layer < 0 || r.layer >= h->n_layers || r.kind >= RS_N_LAYER_KINDS) continue;
        h->cell[r.layer * RS_N_LAYER_KINDS + r.kind] = t->means[i].mean;
    }
}

static void follow(ui_app *a, ui_heat_job *h, const ui_job *j)
{
    uint64_t version = j && j->track ? j->track->version : 0;
    if (!j) {
        ui_heat_job_clear(h);
        return;
    }
    h->runs = j->state == UI_JOB_RUNNING;
    if (h->id == j->id && h->version == version && h->serial == a->doc.serial) return;
    int n = ui_app_config(a)->n_layers;
    bool runs = h->runs;
    ui_heat_job_clear(h);
    *h = (ui_heat_job){.id = j->id, .version = version, .serial = a->doc.serial};
    h->runs = runs;
    h->n_layers = n;
    h->cell = ui_alloc((size_t)n * RS_N_LAYER_KINDS, sizeof *h->cell);
    for (int i = 0; i < n * RS_N_LAYER_KINDS; i++)
        h->cell[i] = NAN;
    h->n_done = j->track ? j->track->n_layers : 0;
    if (j->track) fill(a, h, j->track);
}

void ui_heat_jobs_follow(ui_app *a)
{
    follow(a, &a->heat_model, a->doc.at.plan ? model_job(a) : NULL);
    follow(a, &a->heat_text, a->doc.at.plan ? text_job(a) : NULL);
}

/* --- Fisher of a text --- */

static const ui_pane *pane_here(const ui_app *a)
{
    return a->screen == UI_DUEL && a->duel.open && a->duel.focus ? &a->duel.b : &a->text;
}

char *ui_text_line(const ui_app *a)
{
    const ui_pane *p = pane_here(a);
    size_t n = p->text.len;
    if (!a->pinned.title || n == 0) return NULL;
    n -= rs_utf8_incomplete_tail(p->text.data, n);
    if (n == 0 || !rs_utf8_valid(p->text.data, n)) return NULL;
    rs_buf b = {0};
    rs_buf_puts(&b, "{\"prompt\":");
    rs_buf_json(&b, a->pinned.title, strlen(a->pinned.title));
    if (!a->pinned.raw && a->system && a->system[0]) {
        rs_buf_puts(&b, ",\"system\":");
        rs_buf_json(&b, a->system, strlen(a->system));
    }
    rs_buf_puts(&b, ",\"response\":");
    rs_buf_json(&b, p->text.data, n);
    rs_buf_puts(&b, "}\n");
    char *line = ui_strdup(rs_buf_str(&b));
    rs_buf_free(&b);
    return line;
}

uint64_t ui_text_hash(const ui_app *a)
{
    char *line = ui_text_line(a);
    uint64_t h = line ? rs_rng_name(line) | 1 : 0;
    free(line);
    return h;
}
