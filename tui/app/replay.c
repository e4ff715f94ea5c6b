#include "tui/app/replay.h"

#include "base/utf8.h"
#include "tui/verbs/verbs.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double WAIT = 20, SETTLE = 120, STEP = 0.05;
enum { MAX_LINE = 4096 };

/* --- the script's words --- */

static char *skip_blanks(char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    return s;
}

static void trim_end(char *s)
{
    size_t n = strlen(s);
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\r'))
        s[--n] = 0;
}

/* A comment begins at a # after a blank, outside quotes. */
static void cut_comment(char *s)
{
    bool quoted = false;
    for (char *c = s; *c; c++) {
        if (*c == '"') quoted = !quoted;
        bool begins = c == s || c[-1] == ' ' || c[-1] == '\t';
        if (*c == '#' && !quoted && begins && (c[1] == ' ' || c[1] == 0)) {
            *c = 0;
            return;
        }
    }
}

/* The text at s, in quotes or to the end of the line; *rest: behind it. */
static char *take_text(char *s, char **rest)
{
    s = skip_blanks(s);
    *rest = s + strlen(s);
    if (*s != '"') return s;
    char *end = strchr(s + 1, '"');
    if (!end) return s;
    *end = 0;
    *rest = end + 1;
    return s + 1;
}

/* --- what the screen holds --- */

static char *row_of(char *text, int row)
{
    for (int i = 1; i < row && text; i++) {
        text = strchr(text, '\n');
        if (text) text++;
    }
    char *end = text ? strchr(text, '\n') : NULL;
    if (end) *end = 0;
    return text;
}

static bool holds(ui_replay *r, int row, const char *text)
{
    rs_buf b = {0};
    ui_grid_dump(ui_loop_grid(r->loop), false, &b);
    const char *where = row > 0 && b.data ? row_of(b.data, row) : rs_buf_str(&b);
    bool found = where && strstr(where, text);
    rs_buf_free(&b);
    return found;
}

static void settle(ui_replay *r, bool texts)
{
    double until = ui_now() + SETTLE;
    ui_loop_turn(r->loop, 0);
    while (!ui_loop_is_over(r->loop) && ui_now() < until &&
           (!ui_loop_is_settled(r->loop) || (texts && ui_loop_is_writing(r->loop))))
        ui_loop_turn(r->loop, STEP);
    ui_loop_turn(r->loop, 0);
}

/* --- lines --- */

static rs_status bad_line(const ui_replay *r, rs_err *err, const char *what)
{
    return rs_fail(err, RS_E_INVALID, "%s, line %d: %s", r->file, r->line, what);
}

static void press(ui_replay *r, int key)
{
    ui_msg m = {.kind = UI_MSG_KEY, .key = key};
    ui_loop_send(r->loop, &m);
    ui_loop_turn(r->loop, 0);
}

static rs_status do_key(ui_replay *r, char *args, rs_err *err)
{
    settle(r, false); /* before the line; its keys follow each other at once */
    for (char *word = strtok(args, " \t"); word; word = strtok(NULL, " \t")) {
        int key;
        if (!ui_key_from_name(word, &key))
            return rs_fail(err, RS_E_INVALID, "%s, line %d: there is no key %s", r->file,
                           r->line, word);
        if (!ui_loop_is_over(r->loop)) press(r, key);
    }
    return RS_OK;
}

static rs_status do_type(ui_replay *r, char *args, rs_err *err)
{
    char *rest, *text = take_text(args, &rest);
    size_t n = strlen(text);
    for (size_t at = 0; at < n;) {
        uint32_t cp;
        int used = rs_utf8_decode(text + at, n - at, &cp);
        if (used <= 0) return bad_line(r, err, "the text is not UTF-8");
        press(r, (int)cp);
        at += (size_t)used;
    }
    return RS_OK;
}

static rs_status do_paste(ui_replay *r, char *args, rs_err *err)
{
    (void)err;
    char *rest;
    ui_msg m = {.kind = UI_MSG_PASTE, .text = take_text(args, &rest)};
    ui_loop_send(r->loop, &m);
    return RS_OK;
}

static rs_status expect(ui_replay *r, char *args, bool wanted, rs_err *err)
{
    char *rest, *s = skip_blanks(args);
    int row = 0;
    if (*s >= '0' && *s <= '9') row = (int)strtol(s, &s, 10);
    char *text = take_text(s, &rest);
    settle(r, false);
    if (holds(r, row, text) == wanted) return RS_OK;
    char where[32] = "the screen";
    if (row > 0) snprintf(where, sizeof where, "row %d", row);
    return rs_fail(err, RS_E_MISMATCH, "%s, line %d: %s %s \"%s\"", r->file, r->line,
                   where, wanted ? "does not hold" : "holds", text);
}

static rs_status do_expect(ui_replay *r, char *args, rs_err *err)
{
    return expect(r, args, true, err);
}

static rs_status do_refuse(ui_replay *r, char *args, rs_err *err)
{
    return expect(r, args, false, err);
}

static rs_status wait_until(ui_replay *r, char *args, bool wanted, rs_err *err)
{
    char *rest, *text = take_text(args, &rest);
    double limit = strtod(rest, NULL), until = ui_now() + (limit > 0 ? limit : WAIT);
    ui_loop_turn(r->loop, 0);
    while (holds(r, 0, text) != wanted) {
        if (ui_now() >= until || ui_loop_is_over(r->loop))
            return rs_fail(err, RS_E_MISMATCH, "%s, line %d: \"%s\" %s", r->file, r->line,
                           text, wanted ? "did not come" : "did not go");
        ui_loop_turn(r->loop, STEP);
    }
    return RS_OK;
}

static rs_status do_wait(ui_replay *r, char *args, rs_err *err)
{
    return wait_until(r, args, true, err);
}

static rs_status do_gone(ui_replay *r, char *args, rs_err *err)
{
    return wait_until(r, args, false, err);
}

static rs_status do_screen(ui_replay *r, char *args, rs_err *err)
{
    (void)err;
    settle(r, true);
    const ui_grid *g = ui_loop_grid(r->loop);
    char *rest;
    rs_buf_printf(r->out, "== %s %dx%d\n", take_text(args, &rest), g->width, g->height);
    ui_grid_dump(g, r->roles, r->out);
    return RS_OK;
}

static rs_status do_resize(ui_replay *r, char *args, rs_err *err)
{
    int w = 0, h = 0;
    if (sscanf(args, "%dx%d", &w, &h) != 2 || w < 1 || h < 1 || w > 1000 || h > 1000)
        return bad_line(r, err, "resize takes a size like 80x24");
    ui_loop_resize(r->loop, w, h);
    return RS_OK;
}

static rs_status do_kill(ui_replay *r, char *args, rs_err *err)
{
    long pid = ui_loop_engine_pid(r->loop);
    if (strcmp(args, "engine") != 0)
        return bad_line(r, err, "only the engine can be killed");
    if (pid <= 1 || kill((pid_t)pid, SIGKILL) != 0)
        return bad_line(r, err, "there is no engine to kill");
    return RS_OK;
}

typedef struct verb {
    const char *name;
    rs_status (*run)(ui_replay *r, char *args, rs_err *err);
    bool comments; /* a comment may follow */
} verb;

static const verb verbs[] = {
    {"key", do_key, true},       {"type", do_type, true},     {"expect", do_expect, true},
    {"refuse", do_refuse, true}, {"wait", do_wait, true},     {"gone", do_gone, true},
    {"screen", do_screen, true}, {"resize", do_resize, true}, {"paste", do_paste, false},
    {"kill", do_kill, true},
};

static rs_status run_line(ui_replay *r, char *line, rs_err *err)
{
    line = skip_blanks(line);
    if (!*line || *line == '#') return RS_OK;
    if (*line == ':') {
        cut_comment(line);
        trim_end(line);
        settle(r, false);
        ui_msg m = {.kind = UI_MSG_COMMAND, .text = line + 1};
        ui_loop_send(r->loop, &m);
        ui_loop_turn(r->loop, 0);
        return RS_OK;
    }
    size_t n = strcspn(line, " \t");
    char *args = skip_blanks(line + n);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strlen(verbs[i].name) != n || memcmp(verbs[i].name, line, n) != 0) continue;
        if (verbs[i].comments) cut_comment(args);
        trim_end(args);
        return verbs[i].run(r, args, err);
    }
    return rs_fail(err, RS_E_INVALID, "%s, line %d: unknown word %.*s", r->file, r->line,
                   (int)n, line);
}

rs_status ui_replay_run(ui_replay *r, const char *script, rs_err *err)
{
    char line[MAX_LINE];
    for (r->line = 1; *script && !ui_loop_is_over(r->loop); r->line++) {
        size_t n = strcspn(script, "\n");
        if (n >= sizeof line) return bad_line(r, err, "the line is too long");
        memcpy(line, script, n);
        line[n] = 0;
        script += n + (script[n] == '\n');
        RS_TRY(run_line(r, line, err));
    }
    return RS_OK;
}
