/* joblist.c - the jobs as Jobs shows them: the list as it comes, a log of what was seen of
 * each, and how fast it went lately. The jobs themselves live in processes of their own. */
#include "tui/app/state.h"
#include "tui/app/track.h"
#include "tui/draw/numbers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ui_job_row *ui_job_with(ui_app *a, int id)
{
    for (int i = 0; i < a->jobs.n; i++)
        if (a->jobs.at[i].job.id == id) return &a->jobs.at[i];
    return NULL;
}

const ui_job_row *ui_job_here(const ui_app *a)
{
    const ui_jobs *j = &a->jobs;
    return j->cursor >= 0 && j->cursor < j->n ? &j->at[j->cursor] : NULL;
}

int ui_jobs_count(const ui_app *a, ui_job_state s)
{
    int n = 0;
    for (int i = 0; i < a->jobs.n; i++)
        n += a->jobs.at[i].job.state == s;
    return n;
}

static void log_line(ui_app *a, ui_job_row *r, const char *text)
{
    rs_buf b = {0};
    if (r->log) rs_buf_puts(&b, r->log);
    rs_buf_printf(&b, "%s%s  %s", b.len ? "\n" : "",
                  ui_num_clock(UI_GLYPHS_BLOCK, a->wall, a->wall).s, text);
    free(r->log);
    r->log = ui_strdup(rs_buf_str(&b));
    rs_buf_free(&b);
}

static const char *state_word(ui_job_state s)
{
    static const char *const words[] = {"waiting", "running", "done", "stopped",
                                        "failed"};
    return words[s];
}

/* A step of at least a tenth is worth a line. */
static void log_change(ui_app *a, ui_job_row *r, const ui_job *now, bool is_new)
{
    char line[800];
    const ui_job *was = &r->job;
    if (is_new || was->state != now->state) {
        snprintf(line, sizeof line, "%s%s%s%s%s", state_word(now->state),
                 now->error[0] ? ": " : "", now->error, now->hash[0] ? "  hash " : "",
                 now->hash);
        log_line(a, r, line);
    }
    int tenth = now->total ? (int)(now->done * 10 / now->total) : 0;
    int tenth_was = was->total ? (int)(was->done * 10 / was->total) : 0;
    if (now->state == UI_JOB_RUNNING && tenth != tenth_was && now->what[0]) {
        snprintf(line, sizeof line, "%d %%  %s", tenth * 10, now->what);
        log_line(a, r, line);
    }
}

static void sample(ui_app *a, ui_job_row *r, const ui_job *now)
{
    int last = r->n_samples - 1;
    if (last >= 0 && a->now - r->at[last] < 0.5) return;
    if (r->n_samples == UI_JOB_SAMPLES) {
        memmove(r->at, r->at + 1, (UI_JOB_SAMPLES - 1) * sizeof *r->at);
        memmove(r->done, r->done + 1, (UI_JOB_SAMPLES - 1) * sizeof *r->done);
        r->n_samples--;
    }
    r->at[r->n_samples] = a->now;
    r->done[r->n_samples++] = now->done;
}

static void tell_end(ui_app *a, const ui_job *now, ui_effects *fx)
{
    a->jobs.ended_at = a->wall;
    a->jobs.ended_id = now->id;
    if (now->state == UI_JOB_DONE) {
        ui_num size = {""};
        if (now->total && strcmp(now->unit, "bytes") == 0)
            size = ui_num_size((ui_glyph_level)a->opt.glyphs, (double)now->total);
        ui_say(a, "%s done: %s%s%s   (4 opens Jobs)", now->kind, now->title,
               size.s[0] ? ", " : "", size.s);
    } else if (now->state == UI_JOB_FAILED) {
        char text[700];
        snprintf(text, sizeof text, "%s %s stopped\n%s", now->kind, now->title,
                 now->error);
        ui_toast(a, text);
        int share = now->total ? (int)(now->done * 100 / now->total) : 0;
        ui_warn(
            a, "job %d failed at %d %%: 4 opens Jobs, r runs it again   (Esc hides this)",
            now->id, share);
    } else if (now->state == UI_JOB_STOPPED) {
        ui_say(a, "job %d stopped: r on Jobs runs it again", now->id);
    }
    ui_prepared(a, now, fx);
    if (a->opt.notify == 1) ui_effects_add(fx, UI_FX_BELL);
}

static bool is_over(ui_job_state s)
{
    return s == UI_JOB_DONE || s == UI_JOB_STOPPED || s == UI_JOB_FAILED;
}

/* Jobs of before this session that run still, or ended after the last one was left. */
static void tell_meanwhile(ui_app *a)
{
    int done = 0, bad = 0, running = 0;
    for (int i = 0; i < a->jobs.n; i++) {
        const ui_job *j = &a->jobs.at[i].job;
        if (j->started >= a->began) continue;
        running += j->state == UI_JOB_RUNNING;
        done += j->state == UI_JOB_DONE && j->ended > a->left;
        bad += j->state == UI_JOB_FAILED && j->ended > a->left;
    }
    if (running)
        ui_say(a, "%d job%s running since before: 4 opens Jobs", running,
               running > 1 ? "s are" : " is");
    else if (bad)
        ui_say(a, "%d job%s failed while you were away: 4 opens Jobs", bad,
               bad > 1 ? "s" : "");
    else if (done)
        ui_say(a, "%d finished job%s on Jobs (4)", done, done > 1 ? "s" : "");
}

void ui_jobs_taken(ui_app *a, const ui_msg *m, ui_effects *fx)
{
    ui_jobs *j = &a->jobs, was = *j;
    int here = was.cursor < was.n ? was.at[was.cursor].job.id : -1;
    ui_job_row *rows = ui_alloc((size_t)m->n_jobs, sizeof *rows);
    for (int i = 0; i < m->n_jobs; i++) {
        ui_job_row *old = ui_job_with(a, m->jobs[i].id);
        ui_track_keep(m->jobs[i].track);
        if (old) {
            rows[i] = *old;
            old->log = NULL;
        }
    }
    for (int i = 0; i < was.n; i++) {
        free(was.at[i].log);
        ui_track_drop(was.at[i].job.track);
    }
    free(was.at);
    j->at = rows;
    j->n = j->cap = m->n_jobs;
    j->cursor = 0;
    int started = -1; /* the youngest that is new: the cursor waits on it */
    for (int i = 0; i < j->n; i++) {
        ui_job_row *r = &j->at[i];
        bool is_new = r->job.id != m->jobs[i].id;
        if (is_new && was.loaded && started < 0) started = i;
        ui_job_state before = r->job.state;
        log_change(a, r, &m->jobs[i], is_new);
        r->job = m->jobs[i];
        sample(a, r, &r->job);
        if (r->job.id == here) j->cursor = i;
        if (is_over(r->job.state)) r->stop_asked = 0;
        if (was.loaded && is_over(r->job.state) && (is_new || !is_over(before)))
            tell_end(a, &r->job, fx);
        if (!was.loaded && r->job.state == UI_JOB_FAILED && r->job.ended <= a->left)
            r->seen_failure = true; /* that session showed it */
    }
    if (started >= 0 && a->screen != UI_JOBS) j->cursor = started;
    if (!was.loaded) tell_meanwhile(a);
    j->loaded = true;
    if (a->screen == UI_JOBS)
        for (int i = 0; i < j->n; i++)
            j->at[i].seen_failure = true;
}
