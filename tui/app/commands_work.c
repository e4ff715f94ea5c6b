/* commands_work.c - merges and other work in the background. */
#include "tui/draw/numbers.h"
#include "tui/screens/screens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool run_merge(ui_app *a, const ui_args *args, ui_effects *fx)
{
    const char *folder = args->n ? args->word[0] : NULL;
    if (args->n == 2 && strcmp(args->word[0], "into") == 0)
        folder = args->word[1];
    else if (args->n > 1) {
        ui_warn(a, "merge takes a folder, not \"%s\"", args->line);
        return false;
    }
    return ui_merge_open(a, folder, fx);
}

static void plan_sources(const rs_plan *p, rs_buf *b)
{
    rs_buf_puts(b, "sources\n");
    for (int i = 0; i < rs_plan_n_sources(p); i++) {
        const rs_plan_source *s = rs_plan_source_at(p, i);
        rs_buf_printf(b, "  %s  %s  %s", s->name, s->kind, s->use ? s->use : "");
        if (strcmp(s->kind, "adapter") == 0)
            rs_buf_printf(b, "  rank %d%s  alpha %g  %d of %d pairs match%s", s->rank,
                          s->rslora ? " rs" : "", s->alpha, s->n_matched, s->n_pairs,
                          s->n_inert ? ", some for layers that share K and V" : "");
        rs_buf_printf(b, "\n      %s\n", s->path);
    }
}

static void plan_tensors(const rs_plan *p, rs_buf *b)
{
    rs_buf_puts(b, "\ntensors that change\n");
    for (int i = 0; i < rs_plan_count(p); i++) {
        const rs_plan_tensor *t = rs_plan_at(p, i);
        if (!t->changes) continue;
        rs_buf_printf(b, "  %s  %s", t->name, rs_dtype_name(t->out_dtype));
        if (t->has_delta) rs_buf_printf(b, "  gain %.4g", t->gain);
        if (t->t == t->t) rs_buf_printf(b, "  t %.4g", t->t);
        rs_buf_putc(b, '\n');
    }
}

void ui_plan_text(const ui_app *a, rs_buf *b)
{
    const rs_plan *p = a->doc.at.plan;
    ui_glyph_level l = (ui_glyph_level)a->opt.glyphs;
    if (!p) {
        rs_buf_printf(b, "%s\n",
                      a->doc.at.recipe ? a->doc.at.problem.msg : "no recipe is open");
        return;
    }
    rs_plan_needs n = rs_plan_need(p);
    rs_buf_printf(b, "%d tensors, %d change, %d are copied\n", n.n_tensors, n.n_changed,
                  n.n_copied);
    rs_buf_printf(b, "writes %s, reads %s", ui_num_size(l, (double)n.out_bytes).s,
                  ui_num_size(l, (double)n.read_bytes).s);
    rs_buf_printf(b, ", needs %s of disk", ui_num_size(l, (double)n.disk_bytes).s);
    rs_buf_printf(b, " and %s of memory\n\n", ui_num_memory(l, (double)n.memory_bytes).s);
    if (rs_plan_n_warnings(p)) rs_buf_puts(b, "warnings\n");
    for (int i = 0; i < rs_plan_n_warnings(p); i++)
        rs_buf_printf(b, "  %s\n", rs_plan_warning(p, i));
    if (rs_plan_n_warnings(p)) rs_buf_putc(b, '\n');
    plan_sources(p, b);
    plan_tensors(p, b);
}

static bool run_plan(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args, (void)fx;
    rs_buf b = {0};
    ui_plan_text(a, &b);
    ui_page_open(a, "plan", &b, false);
    return true;
}

/* --- jobs --- */

/* The job that is meant: by number, by the word of its kind, else the cursor's on Jobs, else
 * the youngest running one. */
static ui_job_row *job_named(ui_app *a, const char *word)
{
    int id = atoi(word);
    ui_job_row *r = id > 0 ? ui_job_with(a, id) : NULL;
    for (int i = 0; i < a->jobs.n && !r && id <= 0; i++)
        if (strcmp(a->jobs.at[i].job.kind, word) == 0) r = &a->jobs.at[i];
    if (!r) ui_warn(a, "there is no job \"%.40s\": 4 lists them", word);
    return r;
}

static bool is_on(const ui_job_row *r)
{
    return r->job.state == UI_JOB_RUNNING || r->job.state == UI_JOB_WAITING;
}

static ui_job_row *youngest(ui_app *a, bool running)
{
    for (int i = 0; i < a->jobs.n; i++)
        if (!running || is_on(&a->jobs.at[i])) return &a->jobs.at[i];
    return NULL;
}

/* NULL: said; an error where one was named. */
static ui_job_row *job_meant(ui_app *a, const ui_args *args, bool running)
{
    if (args->n) return job_named(a, args->word[0]);
    if (a->screen == UI_JOBS && a->jobs.cursor < a->jobs.n)
        return &a->jobs.at[a->jobs.cursor];
    ui_job_row *r = youngest(a, running);
    if (!r) ui_say(a, running ? "no job is running" : "there is no job yet");
    return r;
}

static void stop_yes(ui_app *a, ui_effects *fx)
{
    ui_job_row *r = ui_job_with(a, a->ask.number);
    if (!r) return;
    ui_effects_add(fx, UI_FX_JOB_STOP)->value = r->job.id;
    r->stop_asked = a->now;
    ui_say(a, "job %d is asked to stop", r->job.id);
}

static bool run_stop(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    ui_job_row *r = job_meant(a, args, true);
    if (!r) return args->n == 0;
    if (!args->n && !is_on(r)) {
        ui_job_row *running = youngest(a, true);
        if (running) r = running;
    }
    if (!is_on(r)) {
        ui_say(a, "job %d has ended already", r->job.id);
        return true;
    }
    int share = r->job.total ? (int)(r->job.done * 100 / r->job.total) : 0;
    ui_ask q = {.yes = stop_yes, .number = r->job.id};
    snprintf(q.text, sizeof q.text, "Stop job %d (%.60s) at %d %%? y/N", r->job.id,
             r->job.title, share);
    ui_ask_open(a, &q);
    return true;
}

/* What makes another of the kind, where this one is done. */
static const char *another(const char *kind)
{
    static const char *const rows[][2] = {{"merge", "M merges into another folder"},
                                          {"fisher", "F6 measures anew"},
                                          {"prepare", ":prepare makes what is stale"},
                                          {"train", ":train begins another"},
                                          {"subspace", ":subspace makes another"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(kind, rows[i][0]) == 0) return rows[i][1];
    return "Enter opens it";
}

static bool run_job_again(ui_app *a, const ui_args *args, ui_effects *fx)
{
    ui_job_row *r = job_meant(a, args, false);
    if (!r) return args->n == 0;
    if (is_on(r)) {
        ui_say(a, "job %d is still at work", r->job.id);
        return true;
    }
    if (r->job.state == UI_JOB_DONE) {
        ui_say(a, "job %d is done and its result is there: %s", r->job.id,
               another(r->job.kind));
        return true;
    }
    ui_effects_add(fx, UI_FX_JOB_AGAIN)->value = r->job.id;
    ui_say(a, "job %d runs again", r->job.id);
    return true;
}

static void forget_yes(ui_app *a, ui_effects *fx)
{
    ui_effects_add(fx, UI_FX_JOB_FORGET)->value = a->ask.number;
    ui_say(a, "job %d is off the list; its files stay", a->ask.number);
}

static bool run_forget(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    ui_job_row *r = job_meant(a, args, false);
    if (!r) return args->n == 0;
    if (r->job.state == UI_JOB_RUNNING) {
        ui_say(a, "job %d is running: x stops it first", r->job.id);
        return true;
    }
    ui_ask q = {.yes = forget_yes, .number = r->job.id};
    snprintf(q.text, sizeof q.text,
             "Take job %d (%.60s) off the list? Its files stay. y/N", r->job.id,
             r->job.title);
    ui_ask_open(a, &q);
    return true;
}

static bool run_job_log(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    char title[120];
    ui_job_row *r = job_meant(a, args, false);
    if (!r) return args->n == 0;
    rs_buf b = {0};
    rs_buf_puts(&b, r->log ? r->log : "");
    rs_buf_printf(&b, "\n\nfiles  %s\nresult %s", r->job.folder, r->job.out);
    snprintf(title, sizeof title, "log of job %d  %.60s", r->job.id, r->job.title);
    ui_page_open(a, title, &b, false);
    return true;
}

// clang-format off
const ui_command ui_commands_work[] = {
    {"merge", "M F5", "[FOLDER]", UI_EVERYWHERE, "work", "plan page, then a job", false, run_merge},
    {"plan", NULL, NULL, UI_EVERYWHERE, "work", "the whole plan: sources, warnings, tensors", false, run_plan},
    {"stop", "x F9", "[JOB]", UI_EVERYWHERE, "work", "stop this job, or the youngest running one", false, run_stop},
    {"again", "r", "[JOB]", UI_ON(UI_JOBS), "work", "run this job again", false, run_job_again},
    {"forget", "Del", "[JOB]", UI_ON(UI_JOBS), "work", "take the job off the list; files stay", false, run_forget},
    {"job-log", NULL, "[JOB]", UI_EVERYWHERE, "work", "what was seen of a job", false, run_job_log},
    {0},
};
// clang-format on
