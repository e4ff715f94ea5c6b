/* app.c - birth and death of the app, and the one function that changes it. */
#include "base/os.h"
#include "tui/app/state.h"
#include "tui/app/track.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- what is said --- */

static RS_PRINTF(3, 0) void say(ui_app *a, bool warns, const char *fmt, va_list ap)
{
    vsnprintf(a->message, sizeof a->message, fmt, ap);
    a->message_warns = warns;
    a->said = ui_grow(a->said, a->n_said, &a->cap_said, sizeof *a->said);
    if (a->n_said >= 1000) { /* the log keeps the newest */
        free(a->said[0].text);
        memmove(a->said, a->said + 1, (size_t)(a->n_said - 1) * sizeof *a->said);
        a->n_said--;
    }
    a->said[a->n_said++] = (ui_said){.text = ui_strdup(a->message), .wall = a->wall};
}

void ui_say(ui_app *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(a, false, fmt, ap);
    va_end(ap);
}

void ui_warn(ui_app *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(a, true, fmt, ap);
    va_end(ap);
}

void ui_toast(ui_app *a, const char *text)
{
    a->toast = ui_grow(a->toast, a->n_toasts, &a->cap_toasts, sizeof *a->toast);
    a->toast[a->n_toasts++] = ui_strdup(text);
    a->toast_wall = a->wall;
    char line[400];
    snprintf(line, sizeof line, "%s", text);
    for (char *s = line; *s; s++)
        if (*s == '\n') *s = ' ';
    ui_warn(a, "%s", line);
}

static void hide_toast(ui_app *a)
{
    free(a->toast[0]);
    memmove(a->toast, a->toast + 1, (size_t)(a->n_toasts - 1) * sizeof *a->toast);
    a->n_toasts--;
}

/* --- what others ask --- */

ui_screen_id ui_app_screen(const ui_app *a)
{
    return a->screen;
}

const rs_recipe *ui_app_recipe(const ui_app *a)
{
    return a->doc.at.recipe;
}

const rs_config *ui_app_config(const ui_app *a)
{
    return a->doc.at.plan ? rs_plan_config(a->doc.at.plan) : NULL;
}

const rs_plan *ui_app_plan(const ui_app *a)
{
    return a->doc.at.plan;
}

const char *ui_app_theme(const ui_app *a)
{
    return ui_option_theme(&a->opt);
}

ui_rect ui_body(const ui_app *a)
{
    int h = a->height - 4 - (a->opt.hints ? 1 : 0);
    return (ui_rect){0, 2, a->width, h > 0 ? h : 0};
}

/* Times that count up on the screen: of running jobs, and of one that ended just now. */
static bool clocks_run(const ui_app *a)
{
    return ui_jobs_count(a, UI_JOB_RUNNING) > 0 ||
           (a->jobs.ended_at > 0 && a->wall - a->jobs.ended_at < 60);
}

double ui_app_wake(const ui_app *a, double now)
{
    double at = INFINITY;
    if (a->session_at > 0) at = a->session_at;
    if (a->flash_until > now) at = fmin(at, a->flash_until);
    if (clocks_run(a)) at = fmin(at, a->ticked + 1);
    return at == INFINITY ? -1 : fmax(0, at - now);
}

/* --- birth and death --- */

static void copy_setup(ui_app *a, const ui_setup *s)
{
    a->library = ui_strdup(s->library ? s->library : "recipes");
    a->data = ui_strdup(s->data);
    a->cwd = ui_strdup(s->cwd ? s->cwd : ".");
    a->home = ui_strdup(s->home);
    a->program = ui_strdup(s->program ? s->program : "ringside");
    a->library_installed = s->library_installed;
    a->mono = s->mono;
    a->ascii_only = s->ascii_only;
    a->opt = ui_options_defaults();
    a->width = s->width;
    a->height = s->height;
    a->now = s->now;
    a->wall = a->began = s->wall;
    a->focus = UI_FOCUS_ROWS;
    a->text_top = -1;
    a->rows.falloff = UI_FALL_LINEAR;
    a->sampling = ui_sampling_defaults();
    a->doc.rt = s->rt;
    a->doc.options =
        (rs_plan_options){.resolve = s->resolve, .resolve_ctx = s->resolve_ctx};
    a->doc.file = -1;
}

static void set_looks(ui_app *a, const ui_setup *s)
{
    char why[96];
    if (a->opt.glyphs > (int)s->glyphs) a->opt.glyphs = (int)s->glyphs;
    if (s->theme) ui_option_set(&a->opt, ui_option_named("theme"), s->theme, why);
}

static void read_prompts(ui_app *a)
{
    char path[4096];
    rs_buf text = {0};
    snprintf(path, sizeof path, "%s/prompts.jsonl", a->library);
    if (rs_os_read_file(path, 1 << 20, &text, NULL) == RS_OK)
        ui_prompts_read(&a->library_prompts, rs_buf_str(&text), text.len);
    rs_buf_free(&text);
    if (a->library_prompts.n == 0 || a->pinned.title) return;
    const ui_prompt_item *p = &a->library_prompts.at[0];
    a->pinned = (ui_prompt_item){
        .id = ui_strdup(p->id), .title = ui_strdup(p->title), .raw = p->raw};
}

/* What was asked for, else what the session had, else the demo. */
static void open_first(ui_app *a, const ui_setup *s)
{
    rs_err err = {0};
    char path[4096];
    bool restored = s->session && ui_session_restore(a, s->session, s->open == NULL);
    if (restored && !s->open) return;
    const char *what = s->open ? s->open : "luchador-miniature";
    bool found = ui_find_recipe(a, what, path, &err) && ui_open_path(a, path, &err);
    if (found) return;
    ui_warn(a, "%s", err.msg);
    if (s->open && ui_find_recipe(a, "luchador-miniature", path, &err)) {
        ui_toast(a, a->message);
        if (!ui_open_path(a, path, &err)) ui_warn(a, "%s", err.msg);
    }
}

/* A plain model opens as a recipe that adds nothing to it yet. */
static void say_empty(ui_app *a)
{
    const rs_stage *s = a->doc.at.plan ? rs_recipe_fuel(a->doc.at.recipe) : NULL;
    if (s && !s->n_inputs && !a->message[0])
        ui_say(a,
               "nothing is mixed in yet: a adds an adapter, a model or a Fisher by its "
               "path");
}

static void start_undo(ui_app *a)
{
    if (a->doc.at.text && !a->undo.n)
        ui_undo_start(&a->undo, a->doc.at.text, "as opened", a->doc.file, a->wall);
}

rs_status ui_app_init(const ui_setup *s, ui_app **out, ui_effects *fx, rs_err *err)
{
    *out = NULL;
    ui_app *a = calloc(1, sizeof *a);
    if (!a) return rs_fail(err, RS_E_NOMEM, "no memory for the workbench");
    copy_setup(a, s);
    open_first(a, s);
    set_looks(a, s);
    read_prompts(a);
    start_undo(a);
    ui_edit_opened(a);
    say_empty(a);
    bool first = !a->tour.seen && !s->session && !s->open;
    if (first && a->doc.at.plan) ui_tour_open(a, 1);
    a->tour.waits = first && !a->doc.at.plan;
    ui_follow(a, fx);
    a->session_at = a->now + 1;
    *out = a;
    return RS_OK;
}

static void free_texts(ui_app *a)
{
    for (int i = 0; i < a->n_said; i++)
        free(a->said[i].text);
    for (int i = 0; i < a->n_toasts; i++)
        free(a->toast[i]);
    for (int i = 0; i < 3; i++)
        free(a->scene[i].text);
    for (int i = 0; i < a->jobs.n; i++) {
        free(a->jobs.at[i].log);
        ui_track_drop(a->jobs.at[i].job.track);
    }
    free(a->said);
    free(a->toast);
    free(a->jobs.at);
    free(a->pinned.id);
    free(a->pinned.title);
    ui_saving_clear(&a->saving);
    char *const strings[] = {
        a->library,      a->data,          a->cwd,       a->home,        a->program,
        a->last_edit,    a->number_line,   a->system,    a->bindings,    a->session,
        a->refused_text, a->asked_numbers, a->load.what, a->load.against};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        free(strings[i]);
}

void ui_app_free(ui_app *a)
{
    if (!a) return;
    ui_set_mode(a, UI_MODE_NONE);
    ui_duel_close(a);
    ui_pane_free(&a->text);
    ui_prompts_free(&a->library_prompts);
    ui_rows_free(&a->rows);
    ui_undo_free(&a->undo);
    ui_doc_free(&a->doc);
    ui_looks_free(&a->detail.looks);
    ui_heat_job_clear(&a->heat_model);
    ui_heat_job_clear(&a->heat_text);
    ui_contrast_clear(&a->contrast);
    free(a->flash);
    free_texts(a);
    free(a);
}

/* --- update --- */

void ui_go(ui_app *a, ui_screen_id s)
{
    if (!ui_screens[s] || s == a->screen) return;
    a->before = a->screen;
    a->screen = s;
    a->maximised = false;
    a->rows.ranging = false;
    if (s == UI_JOBS)
        for (int i = 0; i < a->jobs.n; i++)
            a->jobs.at[i].seen_failure = true;
}

bool ui_run(ui_app *a, const char *line, ui_effects *fx)
{
    while (*line == ' ' || *line == ':')
        line++;
    return *line ? ui_command_line(a, line, fx) : true;
}

static bool too_small(const ui_app *a)
{
    return a->width < 60 || a->height < 16;
}

/* The line that :bind has put on a key, or NULL. dst has room for it. */
static const char *bound_line(const ui_app *a, int key, char dst[512])
{
    for (const char *s = a->bindings; s && *s;) {
        const char *end = strchr(s, '\n');
        size_t n = end ? (size_t)(end - s) : strlen(s);
        const char *blank = memchr(s, ' ', n);
        char name[24];
        int bound = 0;
        if (blank && (size_t)(blank - s) < sizeof name) {
            snprintf(name, sizeof name, "%.*s", (int)(blank - s), s);
            if (ui_key_from_name(name, &bound) && bound == key) {
                snprintf(dst, 512, "%.*s", (int)(n - (size_t)(blank - s) - 1), blank + 1);
                return dst;
            }
        }
        s = end ? end + 1 : s + n;
    }
    return NULL;
}

static bool toast_key(ui_app *a, int key)
{
    if (!a->n_toasts || (key != UI_KEY_ESC && key != '4')) return false;
    hide_toast(a);
    a->message[0] = 0;
    if (key == '4') ui_go(a, UI_JOBS);
    return true;
}

static const char *screen_words(const ui_app *a)
{
    const ui_screen *s = ui_screens[a->screen];
    return a->screen == UI_DETAIL ? "the layer detail"
           : s && s->title        ? s->title
                                  : "here";
}

static void run_key(ui_app *a, int key, ui_effects *fx)
{
    char line[512], name[24];
    const ui_command *c = ui_command_for_key(key, a->screen);
    if (c) {
        ui_args args = {.line = "", .key = key};
        c->run(a, &args, fx);
    } else if (bound_line(a, key, line)) {
        ui_run(a, line, fx);
    } else if (key != UI_KEY_NONE) {
        ui_say(a, "%s does nothing on %s: ? lists the keys", ui_key_name(key, name),
               screen_words(a));
    }
}

void ui_key(ui_app *a, int key, ui_effects *fx)
{
    bool leaving = key == 'Q' || key == UI_CTRL('Z') || key == UI_CTRL('L');
    if (too_small(a) && !leaving) return; /* nothing is edited blind */
    if (too_small(a) && a->mode != UI_MODE_NONE) ui_set_mode(a, UI_MODE_NONE);
    if (a->mode == UI_MODE_NONE && toast_key(a, key)) return;
    if (ui_mode_key(a, key, fx)) return;
    if (ui_range_key(a, key)) return;
    if (ui_tour_key(a, key)) return;
    run_key(a, key, fx);
}

/* Pasted text never runs as keys: a number line is tried on the rows. */
static void take_paste(ui_app *a, const char *text, ui_effects *fx)
{
    if (a->mode != UI_MODE_NONE) {
        ui_mode_paste(a, text, fx);
        return;
    }
    if (a->screen == UI_RING)
        ui_paste_line(a, text, fx);
    else
        ui_say(a, "pasted text is taken in the command line (:) and on Ring");
}

static void take_done(ui_app *a, const ui_msg *m, ui_effects *fx)
{
    if (m->done_effect == UI_FX_SAVE)
        ui_saved(a, m, fx);
    else if (m->done_effect == UI_FX_EDITOR)
        ui_edited_outside(a, m);
    else if (!m->ok && m->text)
        ui_toast(a, m->text);
    else if (m->ok && m->text && m->text[0])
        ui_say(a, "%s", m->text);
}

/* Stops that were not obeyed within five seconds are repeated harder. */
static void press_stops(ui_app *a, ui_effects *fx)
{
    for (int i = 0; i < a->jobs.n; i++) {
        ui_job_row *r = &a->jobs.at[i];
        if (r->stop_asked <= 0 || a->now - r->stop_asked < 5) continue;
        r->stop_asked = 0;
        ui_effect *e = ui_effects_add(fx, UI_FX_JOB_STOP);
        e->value = r->job.id;
        e->full = true;
        ui_warn(a, "job %d did not stop by itself and is ended", r->job.id);
    }
}

static void keep_session(ui_app *a, bool now, ui_effects *fx)
{
    if (a->session_at <= 0 || (!now && a->now < a->session_at)) return;
    a->session_at = 0;
    rs_buf text = {0};
    ui_session_text(a, &text);
    if (!a->session || strcmp(a->session, rs_buf_str(&text)) != 0) {
        ui_replace(&a->session, rs_buf_str(&text));
        ui_effects_add(fx, UI_FX_SESSION)->text = ui_strdup(a->session);
    }
    rs_buf_free(&text);
}

void ui_app_leaving(ui_app *a, ui_effects *fx)
{
    a->session_at = a->now > 0 ? a->now : 1;
    keep_session(a, true, fx);
}

static void dispatch(ui_app *a, const ui_msg *m, ui_effects *fx)
{
    switch (m->kind) {
    case UI_MSG_KEY:
        ui_key(a, m->key, fx);
        break;
    case UI_MSG_MOUSE:
        if (!too_small(a)) ui_mouse(a, m, fx);
        break;
    case UI_MSG_PASTE:
        take_paste(a, m->text ? m->text : "", fx);
        break;
    case UI_MSG_RESIZE:
        a->width = m->width;
        a->height = m->height;
        break;
    case UI_MSG_FOCUS: /* nothing depends on it yet */
        break;
    case UI_MSG_ENGINE:
        if (m->engine) ui_engine_event_taken(a, m->engine, fx);
        break;
    case UI_MSG_JOB:
        ui_jobs_taken(a, m, fx);
        break;
    case UI_MSG_DONE:
        take_done(a, m, fx);
        break;
    case UI_MSG_COMMAND:
        if (a->mode != UI_MODE_NONE) ui_edit_drop(a);
        ui_set_mode(a, UI_MODE_NONE);
        ui_run(a, m->text ? m->text : "", fx);
        break;
    case UI_MSG_TICK:
        a->ticked = a->now;
        press_stops(a, fx);
        break;
    }
}

static bool quits(const ui_effects *fx, int from)
{
    for (int i = from; i < fx->n; i++)
        if (fx->at[i].kind == UI_FX_QUIT) return true;
    return false;
}

void ui_update(ui_app *a, const ui_msg *m, ui_effects *fx)
{
    int before = fx->n, tour = a->tour.step;
    ui_screen_id screen = a->screen;
    bool popup = a->mode != UI_MODE_NONE;
    a->now = m->now;
    a->wall = m->wall;
    dispatch(a, m, fx);
    const ui_screen *s = ui_screens[a->screen];
    ui_msg seen = *m;
    if (m->kind == UI_MSG_MOUSE && popup)
        seen.kind = UI_MSG_TICK; /* it was for the popup */
    if (s && s->update) s->update(a, &seen, fx);
    bool duel = (screen == UI_DUEL) != (a->screen == UI_DUEL);
    if (duel && !(fx->n > before && a->screen == UI_DUEL)) ui_preview_mode_told(a, fx);
    if (a->tour.step == tour) ui_tour_watch(a, m);
    ui_follow(a, fx);
    ui_look_follow(a, fx);
    ui_contrast_follow(a, fx);
    ui_heat_jobs_follow(a);
    bool acts =
        m->kind != UI_MSG_ENGINE && m->kind != UI_MSG_TICK && m->kind != UI_MSG_JOB;
    if (acts && a->session_at <= 0)
        a->session_at = a->now + 0.4; /* and the loop waits as long: under a second */
    if (quits(fx, before) && a->session_at <= 0) a->session_at = a->now;
    keep_session(a, quits(fx, before), fx);
}
