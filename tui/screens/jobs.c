/* jobs.c - merges in the background: how far, how fast, how long, what they said. */
#include "tui/app/jobs.h"
#include "base/os.h"
#include "tui/app/track.h"
#include "tui/draw/widgets.h"
#include "tui/draw/wrap.h"
#include "tui/screens/screens.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const words[] = {"waiting", "running", "done", "stopped", "failed"};

typedef struct columns {
    int id, kind, title, title_w, state, bar, bar_w, done, rate, left, started;
} columns;

static columns columns_of(int w)
{
    if (w >= 114)
        return (columns){1,
                         6,
                         15,
                         29 + w - 120,
                         44 + w - 120,
                         54 + w - 120,
                         20,
                         76 + w - 120,
                         83 + w - 120,
                         94 + w - 120,
                         107 + w - 120};
    int more = w - 80;
    columns c = {2, 5,         13,        23 + more, 36 + more, -1,
                 0, 46 + more, 53 + more, 62 + more, 72 + more};
    if (w < 80)
        c.started = -1, c.title_w = 21 + more + 8, c.state += 8, c.done += 8, c.rate += 8,
        c.left += 8;
    return c;
}

static void draw_summary(const ui_app *a, ui_grid *g, int y)
{
    int running = ui_jobs_count(a, UI_JOB_RUNNING),
        waiting = ui_jobs_count(a, UI_JOB_WAITING);
    int x = 1 + ui_printf(g, 1, y, -1, UI_TEXT, "%d running  %d waiting  %d ended",
                          running, waiting, a->jobs.n - running - waiting);
    if (!a->jobs.n) ui_put(g, x + 3, y, -1, UI_DIM, "M merges the recipe that is open");
}

static void draw_head(ui_grid *g, int y, const columns *c)
{
    ui_put(g, c->id, y, -1, UI_HEAD, " #");
    ui_put(g, c->kind, y, -1, UI_HEAD, "job");
    ui_put(g, c->state, y, -1, UI_HEAD, "state");
    if (c->bar >= 0) ui_put(g, c->bar, y, -1, UI_HEAD, "progress");
    ui_put_right(g, c->done, y, 5, UI_HEAD, "done");
    ui_put(g, c->rate, y, -1, UI_HEAD, "rate");
    ui_put_right(g, c->left, y, 8, UI_HEAD, "left");
    if (c->started >= 0) ui_put(g, c->started, y, -1, UI_HEAD, "started");
}

static bool resumes(const ui_job *j)
{
    return strcmp(j->kind, "fisher") == 0 || strcmp(j->kind, "train") == 0;
}

/* Rate, or what stands in its place. */
static void rate_text(const ui_app *a, const ui_job *j, char dst[64])
{
    ui_glyph_level l = (ui_glyph_level)a->opt.glyphs;
    double quiet = j->last_news > 0 ? a->wall - j->last_news : 0;
    dst[0] = 0;
    if (j->state == UI_JOB_STOPPED || j->state == UI_JOB_FAILED)
        snprintf(dst, 64, resumes(j) ? "r resumes" : "r again");
    else if (j->state != UI_JOB_RUNNING)
        return;
    else if (quiet > 10)
        snprintf(dst, 64, "quiet %s", ui_num_time(l, quiet).s);
    else if (j->rate > 0 && strcmp(j->unit, "bytes") == 0)
        snprintf(dst, 64, "%s", ui_num_byte_rate(l, j->rate).s);
    else if (j->rate > 0)
        snprintf(dst, 64, "%s", ui_num_rate(l, j->rate, j->unit).s);
}

static void left_text(const ui_app *a, const ui_job *j, char dst[64])
{
    ui_glyph_level l = (ui_glyph_level)a->opt.glyphs;
    const char *unknown = ui_glyph_at(l, UI_G_UNKNOWN);
    if (j->state == UI_JOB_RUNNING && j->seconds_left >= 0)
        snprintf(dst, 64, "%s", ui_num_time(l, j->seconds_left).s);
    else if (j->state == UI_JOB_DONE && j->ended > j->started)
        snprintf(dst, 64, "in %s", ui_num_time(l, j->ended - j->started).s);
    else
        snprintf(dst, 64, "%s", unknown);
}

static ui_role state_role(const ui_job_row *r)
{
    switch (r->job.state) {
    case UI_JOB_FAILED:
        return UI_ERROR;
    case UI_JOB_STOPPED:
        return UI_WARN;
    case UI_JOB_DONE:
        return UI_GOOD;
    default:
        return UI_TEXT;
    }
}

static double share_of(const ui_job *j)
{
    return j->state == UI_JOB_DONE ? 1
           : j->total              ? (double)j->done / (double)j->total
                                   : NAN;
}

static void draw_job(const ui_app *a, ui_grid *g, int y, const ui_job_row *r, bool here,
                     const columns *c)
{
    char text[64];
    const ui_job *j = &r->job;
    ui_role role = here ? UI_CURSOR : UI_TEXT;
    if (here) {
        ui_put(g, 0, y, 1, UI_CURSOR, ">");
        g->cursor_x = 0;
        g->cursor_y = y;
    }
    ui_printf(g, c->id, y, 3, role, "%2d", j->id);
    ui_put(g, c->kind, y, 7, role, j->kind);
    ui_put_end(g, c->title, y, c->title_w - 1, role, j->title);
    ui_put(g, c->state, y, -1, r->stop_asked > 0 ? UI_WARN : state_role(r),
           r->stop_asked > 0 ? "stopping" : words[j->state]);
    if (c->bar >= 0)
        ui_draw_gauge(g, c->bar, y, c->bar_w, isnan(share_of(j)) ? 0 : share_of(j),
                      UI_BAR);
    ui_put_right(g, c->done, y, 5, role, ui_num_share(g->glyphs, share_of(j)).s);
    rate_text(a, j, text);
    ui_put(g, c->rate, y, 10, UI_TEXT, text);
    left_text(a, j, text);
    ui_put_right(g, c->left, y, 8, UI_TEXT, text);
    if (c->started >= 0 && j->started > 0)
        ui_put(g, c->started, y, -1, UI_DIM,
               ui_num_clock(g->glyphs, j->started, a->wall).s);
}

/* --- the job under the cursor --- */

/* Work of the last ten seconds, a cell each. */
static void draw_speed(const ui_app *a, ui_grid *g, int x, int y, const ui_job_row *r)
{
    double v[UI_JOB_SAMPLES];
    int n = 0;
    (void)a;
    for (int i = 1; i < r->n_samples; i++) {
        double dt = r->at[i] - r->at[i - 1];
        v[n++] = dt > 0 ? (double)(r->done[i] - r->done[i - 1]) / dt : 0;
    }
    double max = 0;
    for (int i = 0; i < n; i++)
        if (v[i] > max) max = v[i];
    if (n && max > 0) ui_draw_spark(g, x, y, UI_JOB_SAMPLES, v, n, max, UI_BAR);
}

static void draw_lines(ui_grid *g, ui_rect r, const char *text, ui_role role)
{
    ui_wrap w = {0};
    if (r.h < 1 || !ui_wrap_text(&w, text, strlen(text), r.w)) return;
    int top = w.n > r.h ? w.n - r.h : 0;
    for (int i = 0; i < r.h && top + i < w.n; i++)
        ui_put_line(g, r.x, r.y + i, r.w, role, text, &w.at[top + i], NULL, 0);
    ui_wrap_free(&w);
}

/* A heat cell for every layer of a Fisher: its mean over the tensors, once it is done. */
static void draw_layers(const ui_app *a, ui_grid *g, int x, int y, int w, const ui_job *j)
{
    enum { MOST = 512 };
    double sum[MOST] = {0}, min = INFINITY, max = 0;
    int n[MOST] = {0}, layers = 0;
    for (int i = 0; i < j->track->n_means; i++) {
        const ui_track_mean *m = &j->track->means[i];
        if (m->layer < 0 || m->layer >= MOST) continue;
        sum[m->layer] += m->mean;
        n[m->layer]++;
        if (m->layer >= layers) layers = m->layer + 1;
    }
    for (int i = 0; i < layers; i++) {
        double v = n[i] ? sum[i] / n[i] : 0;
        if (v > 0 && v < min) min = v;
        if (v > max) max = v;
    }
    ui_put(g, x, y, 8, UI_DIM, "layers");
    int shown = layers < w - 20 ? layers : w - 20;
    for (int i = 0; i < shown; i++)
        ui_draw_heat(g, x + 8 + i, y, 1,
                     n[i] ? ui_heat_level(sum[i] / n[i], min, max, false) : -1,
                     (ui_heat_style)a->opt.heat_glyph);
    ui_printf(g, x + 10 + shown, y, 12, UI_TEXT, "%d of %d", j->track->n_layers, layers);
}

static const char *what_enter_does(const ui_job *j)
{
    static const char *const does[][2] = {
        {"fisher", "Enter adds it to the open recipe"},
        {"train", "Enter adds the adapter to the open recipe"},
        {"subspace", "Enter adds it to the open recipe"},
        {"prepare", "Enter opens the recipe"}};
    if (strcmp(rs_path_basename(j->out), UI_JOB_RESULT) == 0)
        return "Enter shows it as heat of the text";
    for (size_t i = 0; i < sizeof does / sizeof *does; i++)
        if (strcmp(j->kind, does[i][0]) == 0) return does[i][1];
    return "Enter opens the merged folder's recipe";
}

static void draw_details(const ui_app *a, ui_grid *g, ui_rect r, const ui_job_row *row)
{
    const ui_job *j = &row->job;
    char title[220];
    ui_glyph_level l = g->glyphs;
    snprintf(title, sizeof title, "job %d   %s %s", j->id, j->kind, j->title);
    ui_draw_title(g, r.x, r.y, r.w, title, false);
    int y = r.y + 1, x = r.x + 2, w = r.w - 4;
    bool trains = j->track && j->track->steps > 0;
    if (trains) {
        int spare = j->error[0] || j->state == UI_JOB_DONE ? 4 : 2;
        y += ui_jobs_draw_training(g, (ui_rect){r.x, y, r.w, r.y + r.h - y - spare},
                                   j->track);
    } else if (j->out[0]) {
        ui_put(g, x, y, 8, UI_DIM, "result");
        ui_put_middle(g, x + 8, y++, w - 8, UI_TEXT, j->out);
    }
    bool bytes = strcmp(j->unit, "bytes") == 0;
    if (j->total && bytes && !trains)
        ui_printf(g, x, y++, w, UI_TEXT, "written %s of %s",
                  ui_num_size(l, (double)j->done).s, ui_num_size(l, (double)j->total).s);
    else if (j->total && !trains)
        ui_printf(g, x, y++, w, UI_TEXT, "%llu of %llu %s", (unsigned long long)j->done,
                  (unsigned long long)j->total, j->unit);
    if (j->what[0] && j->state != UI_JOB_DONE && !trains) {
        ui_put(g, x, y, 8, UI_DIM, "at");
        ui_put_middle(g, x + 8, y++, w - 8, UI_TEXT, j->what);
    }
    if (j->state == UI_JOB_RUNNING && y < r.y + r.h && !trains) {
        ui_put(g, x, y, 8, UI_DIM, "speed");
        draw_speed(a, g, x + 8, y++, row);
    }
    if (j->hash[0]) {
        ui_put(g, x, y, 8, UI_DIM, "hash");
        ui_put(g, x + 8, y++, w - 8, UI_GOOD, j->hash);
    }
    if (j->track && j->track->n_means && y < r.y + r.h) draw_layers(a, g, x, y++, w, j);
    if (j->state == UI_JOB_DONE && y < r.y + r.h)
        ui_put(g, x, y++, w, UI_TEXT, what_enter_does(j));
    if (j->error[0]) {
        int room = r.y + r.h - y < 5 ? r.y + r.h - y : 5;
        draw_lines(g, (ui_rect){x, y, w, room}, j->error, UI_ERROR);
        y += room;
    }
    if (y + 2 > r.y + r.h || !row->log) return;
    snprintf(title, sizeof title, "log of job %d", j->id);
    ui_draw_title(g, r.x, y, r.w, title, false);
    draw_lines(g, (ui_rect){x, y + 1, w, r.y + r.h - y - 1}, row->log, UI_TEXT);
}

static int list_rows(const ui_app *a, ui_rect body)
{
    int most = body.h - 11 > 4 ? body.h - 11 : 4;
    return a->jobs.n < most ? a->jobs.n : most;
}

void ui_jobs_view(const ui_app *a, ui_grid *g, ui_rect body)
{
    columns c = columns_of(g->width);
    int rows = list_rows(a, body),
        top = a->jobs.cursor >= rows ? a->jobs.cursor - rows + 1 : 0;
    draw_summary(a, g, body.y);
    draw_head(g, body.y + 1, &c);
    for (int i = 0; i < rows && top + i < a->jobs.n; i++)
        draw_job(a, g, body.y + 2 + i, &a->jobs.at[top + i], top + i == a->jobs.cursor,
                 &c);
    ui_draw_scrollbar(g, g->width - 1, body.y + 2, rows, top, rows, a->jobs.n);
    const ui_job_row *here = ui_job_here(a);
    int y = body.y + 2 + rows;
    if (here) draw_details(a, g, (ui_rect){0, y, g->width, body.y + body.h - y}, here);
}

bool ui_jobs_update(ui_app *a, const ui_msg *m, ui_effects *fx)
{
    if (m->kind != UI_MSG_MOUSE || a->mode != UI_MODE_NONE) return false;
    ui_rect body = ui_body(a);
    int rows = list_rows(a, body),
        top = a->jobs.cursor >= rows ? a->jobs.cursor - rows + 1 : 0;
    int i = m->mouse.y - body.y - 2;
    if (m->mouse.what == UI_MOUSE_WHEEL_UP) ui_move(a, -3);
    if (m->mouse.what == UI_MOUSE_WHEEL_DOWN) ui_move(a, 3);
    bool press = m->mouse.what == UI_MOUSE_PRESS || m->mouse.what == UI_MOUSE_DOUBLE;
    if (!press || i < 0 || i >= rows || top + i >= a->jobs.n) return true;
    a->jobs.cursor = top + i;
    if (m->mouse.what == UI_MOUSE_DOUBLE) ui_run(a, "open", fx);
    return true;
}

void ui_jobs_hints(const ui_app *a, rs_buf *out)
{
    if (!a->jobs.n)
        rs_buf_puts(out, "M merge  1 Ring");
    else
        rs_buf_puts(out, "Enter open  x stop  r again  i exact  Del forget  y copy path  "
                         "J needs attention");
}
