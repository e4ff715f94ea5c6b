#include "tui/app/loop.h"

#include "base/os.h"
#include "tui/app/engine.h"
#include "tui/app/jobs.h"
#include "tui/app/loop_internal.h"
#include "tui/app/mem.h"
#include "tui/term/prompt.h"
#include "tui/verbs/verbs.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static const double FRAME = 1.0 / 60, JOB_POLL = 0.2, SLOW_FRAME = 0.05;
static const double STABLE_WALL = 1700000000; /* any fixed time */

/* --- time --- */

static double wall_now(const ui_loop *l)
{
    struct timespec t;
    if (l->stable) return STABLE_WALL;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- messages and effects --- */

static void apply_look(ui_loop *l)
{
    if (!l->term) return;
    ui_theme theme;
    if (ui_theme_named(ui_app_theme(l->app), &theme) && theme != l->theme) {
        l->theme = theme;
        ui_term_set_theme(l->term, theme);
    }
}

static void run_effects(ui_loop *l)
{
    while (l->fx.n > 0) {
        ui_effects now = l->fx;
        l->fx = (ui_effects){0};
        for (int i = 0; i < now.n; i++)
            ui_loop_effect(l, &now.at[i]);
        ui_effects_free(&now);
    }
}

static void update(ui_loop *l, ui_msg *m)
{
    m->now = ui_now();
    m->wall = wall_now(l);
    ui_update(l->app, m, &l->fx);
    l->dirty = true;
}

void ui_loop_send(ui_loop *l, ui_msg *m)
{
    update(l, m);
    run_effects(l);
    apply_look(l);
}

void ui_loop_answer(ui_loop *l, ui_effect_kind kind, bool ok, const char *text)
{
    ui_msg m = {.kind = UI_MSG_DONE, .done_effect = (int)kind, .ok = ok, .text = text};
    update(l, &m);
}

static void engine_event(void *ctx, const ui_engine_event *e)
{
    ui_loop *l = ctx;
    ui_engine_event seen = *e;
    if (l->stable && seen.tokens_per_second > 0) seen.tokens_per_second = 61;
    ui_msg m = {.kind = UI_MSG_ENGINE, .engine = &seen};
    update(l, &m);
}

/* Fixed rates and times: what is left differs only where something else happened. */
static void make_stable(ui_job *jobs, int n)
{
    for (int i = 0; i < n; i++) {
        jobs[i].started = STABLE_WALL;
        if (jobs[i].ended > 0) jobs[i].ended = STABLE_WALL;
        jobs[i].last_news = STABLE_WALL;
        jobs[i].rate = jobs[i].state == UI_JOB_RUNNING ? 4.1e6 : 0;
        jobs[i].seconds_left = jobs[i].state == UI_JOB_RUNNING ? 1 : -1;
    }
}

/* The reader only looks. When it ends, so does the look that was under way. */
static void reader_event(void *ctx, const ui_engine_event *e)
{
    ui_engine_event seen = *e;
    if (e->what == UI_ENGINE_DIED)
        seen = (ui_engine_event){.what = UI_ENGINE_LOOK,
                                 .text = "the process that reads it ended",
                                 .n_text = strlen("the process that reads it ended"),
                                 .last = true};
    if (seen.what == UI_ENGINE_LOOK) engine_event(ctx, &seen);
}

static void poll_jobs(ui_loop *l, double now)
{
    if (!l->jobs) return;
    l->jobs_polled = now;
    if (!ui_job_store_poll(l->jobs, now, wall_now(l))) return;
    int n;
    const ui_job *list = ui_job_store_list(l->jobs, &n);
    ui_job *copy = ui_alloc((size_t)n + 1, sizeof *copy);
    if (n) memcpy(copy, list, (size_t)n * sizeof *copy);
    if (l->stable) make_stable(copy, n);
    ui_msg m = {.kind = UI_MSG_JOB, .jobs = copy, .n_jobs = n};
    update(l, &m);
    free(copy);
}

static void tick(ui_loop *l)
{
    ui_msg m = {.kind = UI_MSG_TICK};
    update(l, &m);
}

/* --- drawing --- */

static void view(ui_loop *l)
{
    if (l->grid.width != l->width || l->grid.height != l->height)
        if (!ui_grid_resize(&l->grid, l->width, l->height)) return;
    ui_view(l->app, &l->grid);
    l->dirty = false;
}

/* A terminal that takes long for a frame gets fewer of them. */
static void present(ui_loop *l)
{
    double before = ui_now();
    view(l);
    ui_term_present(l->term, &l->grid);
    double after = ui_now(), took = after - before;
    if (took > SLOW_FRAME)
        l->frame = fmin(1, 2 * l->frame);
    else if (l->frame > FRAME)
        l->frame = fmax(FRAME, l->frame / 2);
    l->next_frame = after + l->frame - fmin(took, l->frame);
}

const ui_grid *ui_loop_grid(ui_loop *l)
{
    if (l->dirty) view(l);
    return &l->grid;
}

/* --- the terminal and signals --- */

static void resized(ui_loop *l)
{
    ui_term_resized(l->term, &l->width, &l->height);
    ui_msg m = {.kind = UI_MSG_RESIZE, .width = l->width, .height = l->height};
    ui_loop_send(l, &m);
}

void ui_loop_resize(ui_loop *l, int width, int height)
{
    l->width = width;
    l->height = height;
    ui_msg m = {.kind = UI_MSG_RESIZE, .width = width, .height = height};
    ui_loop_send(l, &m);
}

static void take_signals(ui_loop *l)
{
    ui_signals s = ui_loop_signals_taken();
    if (s.ends) l->over = true;
    if (!l->term) return;
    if (s.stops) ui_loop_suspend(l);
    if (s.resized || s.continued) {
        if (s.continued) ui_term_redraw(l->term);
        resized(l);
    }
}

static void read_terminal(ui_loop *l)
{
    double now = ui_now();
    if (!ui_term_read(l->term, now)) l->over = true;
    ui_msg m;
    while (!l->over && ui_term_next(l->term, ui_now(), &m)) {
        if (m.kind == UI_MSG_RESIZE) l->width = m.width, l->height = m.height;
        ui_loop_send(l, &m);
    }
}

/* --- waiting --- */

static void earlier(double *wait, double other)
{
    if (other >= 0 && (*wait < 0 || other < *wait)) *wait = other;
}

static double how_long(const ui_loop *l, double limit)
{
    double now = ui_now(), wait = limit;
    earlier(&wait, ui_app_wake(l->app, now));
    if (l->term) earlier(&wait, ui_term_wait(l->term, now));
    if (l->term && l->dirty) earlier(&wait, fmax(0, l->next_frame - now));
    if (l->jobs && ui_job_store_is_running(l->jobs))
        earlier(&wait, fmax(0, l->jobs_polled + JOB_POLL - now));
    if (l->session) earlier(&wait, fmax(0, l->session_due - now));
    return wait;
}

static void wait_for(const ui_loop *l, double wait, bool *key)
{
    struct pollfd p[4];
    int n = 0;
    p[n++] = (struct pollfd){.fd = ui_loop_signals_fd(), .events = POLLIN};
    const ui_engine *const children[] = {l->engine, l->reader};
    for (int i = 0; i < 2; i++)
        if (ui_engine_fd(children[i]) >= 0)
            p[n++] = (struct pollfd){
                .fd = ui_engine_fd(children[i]),
                .events =
                    (short)(POLLIN | (ui_engine_writes(children[i]) ? POLLOUT : 0))};
    int i_term = n;
    if (l->term) p[n++] = (struct pollfd){.fd = ui_term_fd(l->term), .events = POLLIN};
    int ms = wait < 0 ? -1 : wait > 3600 ? 3600000 : (int)ceil(wait * 1000);
    int ready = poll(p, (nfds_t)n, ms);
    *key = l->term && ready > 0 && p[i_term].revents;
}

void ui_loop_turn(ui_loop *l, double seconds)
{
    bool key = false;
    wait_for(l, how_long(l, seconds), &key);
    take_signals(l);
    /* A lone Esc or a click is settled by time, without new bytes. */
    bool settles = l->term && ui_term_wait(l->term, ui_now()) == 0;
    if (key || settles) read_terminal(l);
    ui_engine_turn(l->engine, ui_now(), engine_event, l);
    ui_engine_turn(l->reader, ui_now(), reader_event, l);
    double now = ui_now();
    if (l->jobs && ui_job_store_is_running(l->jobs) && now - l->jobs_polled >= JOB_POLL)
        poll_jobs(l, now);
    double wake = ui_app_wake(l->app, now);
    if (wake >= 0 && wake <= 0.001) tick(l);
    run_effects(l);
    apply_look(l);
    if (l->session && ui_now() >= l->session_due) ui_loop_save_session(l);
    if (l->term && l->dirty && !l->over && ui_now() >= l->next_frame) present(l);
}

bool ui_loop_is_over(const ui_loop *l)
{
    return l->over;
}
bool ui_loop_is_settled(const ui_loop *l)
{
    return ui_engine_is_settled(l->engine);
}
bool ui_loop_is_writing(const ui_loop *l)
{
    return ui_engine_is_writing(l->engine);
}
long ui_loop_engine_pid(const ui_loop *l)
{
    return (long)ui_engine_pid(l->engine);
}

/* --- beginning and end --- */

/* One workbench saves the session; a second one only reads it. */
static void lock_session(ui_loop *l)
{
    l->session_lock = -1;
    if (rs_os_mkdir(l->paths->state, NULL) != RS_OK) return;
    int fd = ui_loop_open_lock(l->paths->session_lock);
    if (fd < 0) return;
    l->session_lock = fd;
    l->session_ours = flock(fd, LOCK_EX | LOCK_NB) == 0;
    l->session_taken = !l->session_ours;
}

static rs_status start_app(ui_loop *l, const ui_loop_options *o, rs_err *err)
{
    rs_buf session = {0};
    if (rs_os_kind(l->paths->session) == RS_PATH_FILE &&
        rs_os_read_file(l->paths->session, 16 << 20, &session, NULL) != RS_OK)
        rs_buf_reset(&session);
    ui_setup setup = {.rt = o->rt,
                      .resolve = ui_resolve,
                      .open = o->open,
                      .session = session.len ? session.data : NULL,
                      .library = l->paths->library[0] ? l->paths->library : NULL,
                      .library_installed = l->paths->library_installed,
                      .data = l->paths->data,
                      .cwd = l->paths->cwd,
                      .home = getenv("HOME"),
                      .glyphs = o->glyphs,
                      .ascii_only = o->ascii_only,
                      .mono = o->mono,
                      .theme = o->theme,
                      .width = l->width,
                      .height = l->height,
                      .now = ui_now(),
                      .wall = wall_now(l)};
    rs_status s = ui_app_init(&setup, &l->app, &l->fx, err);
    rs_buf_free(&session);
    return s;
}

static rs_status open_all(ui_loop *l, const ui_loop_options *o, rs_err *err)
{
    static const char exe[] = "/proc/self/exe";
    l->width = o->width;
    l->height = o->height;
    if (l->term) ui_term_size(l->term, &l->width, &l->height);
    lock_session(l);
    ui_engine_options e = {exe, o->threads, o->memory, l->paths->log, 0};
    l->engine = ui_engine_new(&e);
    e.nice = 10; /* looking never slows a text down */
    l->reader = ui_engine_new(&e);
    RS_TRY(start_app(l, o, err));
    l->dirty = true;
    if (l->term) present(l);
    if (l->term) apply_look(l);
    rs_status s = ui_job_store_open(l->paths->jobs, exe, &l->jobs, err);
    if (s != RS_OK) ui_loop_answer(l, UI_FX_JOB_START, false, err->msg);
    if (ui_history_load(l->paths->history, err) != RS_OK)
        ui_loop_answer(l, UI_FX_SESSION, false, err->msg);
    poll_jobs(l, ui_now());
    if (l->session_taken)
        ui_loop_answer(
            l, UI_FX_SESSION, true,
            "this session is open in another workbench: it is not saved from here");
    run_effects(l);
    return RS_OK;
}

rs_status ui_loop_new(const ui_loop_options *o, ui_loop **out, rs_err *err)
{
    *out = NULL;
    ui_loop *l = ui_alloc(1, sizeof *l);
    l->paths = o->paths;
    l->term = o->term;
    l->stable = o->stable;
    l->theme = UI_N_THEMES;
    l->frame = FRAME;
    rs_status s = ui_loop_signals_begin(l->term != NULL, err);
    if (s == RS_OK) s = open_all(l, o, err);
    if (s != RS_OK) {
        ui_loop_free(l);
        return s;
    }
    *out = l;
    return RS_OK;
}

void ui_loop_free(ui_loop *l)
{
    if (!l) return;
    if (l->app) {
        ui_app_leaving(l->app, &l->fx);
        run_effects(l);
        ui_loop_save_session(l);
        ui_history_clear();
    }
    ui_engine_free(l->engine);
    ui_engine_free(l->reader);
    ui_job_store_free(l->jobs);
    ui_app_free(l->app);
    ui_effects_free(&l->fx);
    ui_grid_free(&l->grid);
    free(l->session);
    rs_os_close(l->session_lock);
    ui_loop_signals_end();
    free(l);
}
