/* prepare.c - making what the open recipe describes, in the background: the verb prepare on its
 * file. When the job is done the recipe reads its files again. */
#include "base/os.h"
#include "merge/make.h"
#include "tui/app/commands_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool ui_describes_files(const ui_app *a)
{
    const rs_recipe *r = a->doc.at.recipe;
    rs_made made[RS_MADE];
    int n;
    return r && rs_made_list(r, NULL, made, &n, NULL) == RS_OK && n > 0;
}

/* A job on this file that is at work. */
static const ui_job_row *job_at_work(const ui_app *a, const char *path)
{
    for (int i = 0; i < a->jobs.n; i++) {
        const ui_job *j = &a->jobs.at[i].job;
        bool works = j->state == UI_JOB_RUNNING || j->state == UI_JOB_WAITING;
        if (works && strcmp(j->kind, "prepare") == 0 && strcmp(j->out, path) == 0)
            return &a->jobs.at[i];
    }
    return NULL;
}

void ui_prepare_start(ui_app *a, ui_effects *fx)
{
    const ui_file *f = ui_doc_file_of(&a->doc);
    if (!f || !f->path) {
        ui_warn(a, "the recipe has no file to prepare: W saves it");
        return;
    }
    const ui_job_row *at_work = job_at_work(a, f->path);
    if (at_work) {
        ui_say(a, "job %d is preparing it: 4 shows it", at_work->job.id);
        return;
    }
    rs_buf argv = {0};
    rs_buf_putc(&argv, '[');
    rs_buf_json(&argv, a->program, strlen(a->program));
    rs_buf_puts(&argv, ",\"prepare\",");
    rs_buf_json(&argv, f->path, strlen(f->path));
    rs_buf_putc(&argv, ']');
    ui_effect *e = ui_effects_add(fx, UI_FX_JOB_START);
    e->text = ui_strdup(rs_buf_str(&argv));
    e->title = ui_strdup(a->doc.at.recipe->name);
    e->path = ui_strdup(f->path);
    rs_buf_free(&argv);
    ui_say(a, "preparing %s: 4 shows it, its files are read again when they are made",
           a->doc.at.recipe->name);
}

/* The job reads the file, and makes what it describes beside it: edits are saved first, and a
 * recipe of a folder that cannot be written gets a place that can. */
static bool needs_saving(const ui_app *a)
{
    const ui_file *f = ui_doc_file_of(&a->doc);
    return !ui_doc_is_saved(&a->doc) || !f->path || access(f->folder, W_OK) != 0;
}

bool ui_cmd_prepare(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args;
    ui_edit_drop(a);
    if (!ui_describes_files(a)) {
        ui_warn(a, "nothing in this recipe says how it is made (\"make\"): f measures the base");
        return false;
    }
    if (!needs_saving(a))
        ui_prepare_start(a, fx);
    else if (ui_save(a, NULL, NULL, fx))
        a->saving.then_prepare = true;
    return true;
}

void ui_prepared(ui_app *a, const ui_job *job, ui_effects *fx)
{
    const ui_file *f = ui_doc_file_of(&a->doc);
    if (strcmp(job->kind, "prepare") != 0 || job->state != UI_JOB_DONE) return;
    if (!f || !f->path || strcmp(f->path, job->out) != 0) return;
    if (ui_doc_is_live(&a->doc)) { /* what is being changed stays */
        ui_say(a, "prepare done: %s   (R reads its files, this edit is open)", job->title);
        return;
    }
    ui_files_again(a, fx);
    ui_edit_opened(a);
    if (a->tour.waits && a->doc.at.plan) ui_tour_open(a, 1);
}
