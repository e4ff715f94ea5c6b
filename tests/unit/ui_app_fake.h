/* ui_app_fake.h - a workbench without terminal, engine or clock, for tests: keys and events go
 * in as messages, effects are looked at, saves are written and answered, and sums are made by
 * rs_sums_tensor as the engine would make them. */
#ifndef UI_APP_FAKE_H
#define UI_APP_FAKE_H

#include "tests/t.h"

#include "base/os.h"
#include "tui/app/state.h"

static rs_runtime rig_rt;
static ui_app *app;
static ui_effects fx;
static ui_grid grid;
static rs_buf shot;
static char folder[256];
static double rig_now = 100;

static __attribute__((unused)) void send(ui_msg m)
{
    m.now = rig_now;
    m.wall = 1700000000 + rig_now;
    ui_update(app, &m, &fx);
}

/* Saves are executed and answered; everything else stays in the list to be looked at. */
static __attribute__((unused)) void answer_saves(void)
{
    for (int i = 0; i < fx.n; i++) {
        if (fx.at[i].kind != UI_FX_SAVE || fx.at[i].value == 77) continue;
        char dir[4096];
        rs_err err = {0};
        fx.at[i].value = 77;
        bool ok = rs_path_dirname(dir, sizeof dir, fx.at[i].path) &&
                  rs_os_mkdir(dir, &err) == RS_OK &&
                  rs_os_write_file(fx.at[i].path, fx.at[i].text, strlen(fx.at[i].text),
                                   &err) == RS_OK;
        send((ui_msg){.kind = UI_MSG_DONE,
                      .done_effect = UI_FX_SAVE,
                      .ok = ok,
                      .text = ok ? "" : err.msg});
    }
}

static __attribute__((unused)) void key(const char *names)
{
    char name[24];
    while (*names) {
        size_t n = strcspn(names, " ");
        int k = 0;
        snprintf(name, sizeof name, "%.*s", (int)n, names);
        if (n && ui_key_from_name(name, &k)) send((ui_msg){.kind = UI_MSG_KEY, .key = k});
        names += n + (names[n] == ' ');
    }
    answer_saves();
}

static __attribute__((unused)) void type(const char *text)
{
    for (; *text; text++)
        send((ui_msg){.kind = UI_MSG_KEY, .key = (unsigned char)*text});
}

static __attribute__((unused)) void line(const char *text)
{
    send((ui_msg){.kind = UI_MSG_COMMAND, .text = text});
    answer_saves();
}

static __attribute__((unused)) void resize(int w, int h)
{
    ui_grid_resize(&grid, w, h);
    send((ui_msg){.kind = UI_MSG_RESIZE, .width = w, .height = h});
}

static __attribute__((unused)) const char *screen(void)
{
    ui_view(app, &grid);
    rs_buf_reset(&shot);
    ui_grid_dump(&grid, false, &shot);
    return rs_buf_str(&shot);
}

/* A row of the screen, counted from 0. */
static __attribute__((unused)) const char *row(int y)
{
    static char text[1024];
    const char *s = screen();
    for (int i = 0; i < y && s; i++) {
        s = strchr(s, '\n');
        if (s) s++;
    }
    snprintf(text, sizeof text, "%.*s", s ? (int)strcspn(s, "\n") : 0, s ? s : "");
    return text;
}

static __attribute__((unused)) bool shows(const char *text)
{
    return strstr(screen(), text) != NULL;
}

/* What the engine would send: sums of every tensor whose known ones do not fit. */
static __attribute__((unused)) bool measure_now(void)
{
    rs_err err;
    const rs_plan *p = ui_app_plan(app);
    for (int i = 0; p && i < rs_plan_count(p); i++) {
        if (ui_sums_is_known(&app->doc.sums, i) && !ui_sums_is_old(&app->doc.sums, i))
            continue;
        rs_tensor_sums s;
        if (rs_sums_tensor(&rig_rt, p, i, true, &s, &err) != RS_OK) {
            printf("%s\n", err.msg);
            return false;
        }
        ui_engine_event e = {.what = UI_ENGINE_SUMS,
                             .serial = app->doc.serial,
                             .sums = &s,
                             .n_sums = 1,
                             .last = i + 1 == rs_plan_count(p)};
        send((ui_msg){.kind = UI_MSG_ENGINE, .engine = &e});
    }
    return true;
}

/* The demo recipe copied into a folder of its own, so that saves stay away from the tree. */
static __attribute__((unused)) bool copy_recipe(const char *name)
{
    rs_recipe *r = NULL;
    rs_err err;
    char from[4096], to[512];
    rs_buf text = {0};
    snprintf(from, sizeof from, "tests/golden/demo/%s.json", name);
    snprintf(to, sizeof to, "%s/%s.json", folder, name);
    char cwd[2048];
    if (!getcwd(cwd, sizeof cwd)) return false;
    snprintf(from, sizeof from, "%s/tests/golden/demo/%s.json", cwd, name);
    bool ok = rs_recipe_load(from, &r, &err) == RS_OK;
    if (ok) rs_recipe_text(r, folder, &text);
    ok = ok && rs_os_write_file(to, rs_buf_str(&text), text.len, &err) == RS_OK;
    if (!ok) printf("%s\n", err.msg);
    rs_recipe_free(r);
    rs_buf_free(&text);
    return ok;
}

static __attribute__((unused)) bool open_app(const char *what, const char *session, int w,
                                             int h, ui_glyph_level glyphs)
{
    char cwd[2048], library[2100];
    rs_err err;
    rs_options o = {.threads = 2};
    if (!getcwd(cwd, sizeof cwd)) return false;
    snprintf(library, sizeof library, "%s/tests/golden/demo", cwd);
    if (!rig_rt.kernels && rs_init(&o, &rig_rt, &err) != RS_OK) return false;
    ui_setup s = {.rt = &rig_rt,
                  .open = what,
                  .session = session,
                  .library = library,
                  .data = folder,
                  .cwd = folder,
                  .program = "ringside",
                  .glyphs = glyphs,
                  .width = w,
                  .height = h,
                  .now = rig_now,
                  .wall = 1700000000 + rig_now};
    if (ui_app_init(&s, &app, &fx, &err) != RS_OK) return false;
    return ui_grid_resize(&grid, w, h);
}

static __attribute__((unused)) void close_app(void)
{
    ui_app_free(app);
    app = NULL;
    ui_effects_free(&fx);
    memset(&fx, 0, sizeof fx);
    ui_grid_free(&grid);
    memset(&grid, 0, sizeof grid);
}

/* The demo as shipped, measured, at a size. */
static __attribute__((unused)) bool open_demo(int w, int h, ui_glyph_level glyphs)
{
    char path[512];
    snprintf(folder, sizeof folder, "%s", t_folder());
    snprintf(path, sizeof path, "%s/luchador-miniature.json", folder);
    return copy_recipe("luchador-miniature") && open_app(path, NULL, w, h, glyphs) &&
           measure_now();
}

static __attribute__((unused)) ui_effect *effect(ui_effect_kind kind)
{
    for (int i = fx.n - 1; i >= 0; i--)
        if (fx.at[i].kind == kind) return &fx.at[i];
    return NULL;
}

#define T_SHOWS(text)                                                                    \
    do {                                                                                 \
        if (!shows(text)) T_FAIL("not on the screen: \"%s\"\n%s", text, screen());       \
    } while (0)
#define T_ROW(y, text)                                                                   \
    do {                                                                                 \
        if (!strstr(row(y), text))                                                       \
            T_FAIL("row %d is \"%s\", expected \"%s\" in it", y, row(y), text);          \
    } while (0)

#endif
