#include "tui/verbs/verbs.h"

#include "base/os.h"
#include "base/utf8.h"
#include "store/hub.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
    (void)sig;
    interrupted = 1;
}

bool ui_interrupted(void)
{
    return interrupted != 0;
}

int ui_exit_of(rs_status s)
{
    switch (s) {
    case RS_OK:
        return UI_EXIT_OK;
    case RS_E_CANCELLED:
        return UI_EXIT_CANCELLED;
    case RS_E_NOMEM:
    case RS_E_IO:
    case RS_E_BUG:
        return UI_EXIT_SYSTEM;
    default:
        return UI_EXIT_INPUT;
    }
}

int ui_fail(const char *verb, const rs_err *err)
{
    fprintf(stderr, "ringside%s%s: %s\n", *verb ? " " : "", verb, err->msg);
    return ui_exit_of(err->code);
}

int ui_usage(const char *verb, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "ringside%s%s: ", *verb ? " " : "", verb);
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    return UI_EXIT_USAGE;
}

void ui_put_clean(rs_buf *b, const char *text)
{
    size_t from = b->len;
    rs_buf_puts(b, text);
    if (!b->failed && b->len > from) rs_utf8_clean(b->data + from);
}

void ui_print(const rs_buf *b)
{
    if (fwrite(rs_buf_str(b), 1, b->len, stdout) == b->len && fflush(stdout) == 0) return;
    fprintf(stderr, "ringside: write to stdout: %s\n", strerror(errno));
    _exit(UI_EXIT_SYSTEM);
}

rs_status ui_read_text(const char *path, size_t max, rs_buf *out, rs_err *err)
{
    if (strcmp(path, "-") != 0) return rs_os_read_file(path, max, out, err);
    char piece[1 << 16];
    for (size_t n; (n = fread(piece, 1, sizeof piece, stdin)) > 0;) {
        rs_buf_add(out, piece, n);
        if (out->failed) return rs_fail(err, RS_E_NOMEM, "no memory for standard input");
        if (out->len > max)
            return rs_fail(err, RS_E_INVALID, "standard input has more than %zu bytes",
                           max);
    }
    return ferror(stdin) ? rs_fail_errno(err, errno, "read standard input") : RS_OK;
}

bool ui_parse_ids(const char *text, rs_ids *ids)
{
    for (const char *p = text; *p;) {
        char *end;
        long v = strtol(p, &end, 10);
        if (end == p || v < 0 || v > INT32_MAX || (*end && *end != ',')) return false;
        if (!rs_ids_add(ids, (int32_t)v)) return false;
        p = *end ? end + 1 : end;
    }
    return ids->n > 0;
}

double ui_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- progress --- */

static void event(const ui_progress *p, const rs_buf *line)
{
    if (p->common->events_fd < 0) return;
    size_t put = 0;
    while (put < line->len) {
        ssize_t n = write((int)p->common->events_fd, line->data + put, line->len - put);
        if (n < 0 && errno != EINTR) return; /* nobody listens any more: go on working */
        if (n > 0) put += (size_t)n;
    }
}

void ui_progress_event(ui_progress *p, const rs_buf *line)
{
    if (!line->failed) event(p, line);
}

void ui_progress_begin(ui_progress *p, ui_common *c, const char *verb)
{
    *p = (ui_progress){.common = c, .verb = verb, .started = ui_now()};
    p->last_time = p->started;
    p->inner = c->working++ > 0;
    if (p->inner) return;
    struct sigaction act = {.sa_handler = on_signal};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    rs_buf e = {0};
    rs_buf_printf(&e, "{\"event\":\"start\",\"verb\":\"%s\",\"pid\":%ld}\n", verb,
                  (long)getpid());
    event(p, &e);
    rs_buf_free(&e);
}

static void human_bytes(char out[32], double v, const char *unit)
{
    static const char *const scale[] = {"", "k", "M", "G", "T"};
    int i = 0;
    bool bytes = strcmp(unit, "bytes") == 0;
    for (; v >= 1000 && i < 4; i++)
        v /= 1000;
    snprintf(out, 32,
             v < 10 && i    ? "%.2f %s%s"
             : v < 100 && i ? "%.1f %s%s"
                            : "%.0f %s%s",
             v, scale[i], bytes ? "B" : unit);
}

static void show_line(ui_progress *p, const rs_progress *g)
{
    char done[32], rate[32];
    human_bytes(done, (double)g->done, g->unit);
    human_bytes(rate, p->rate, g->unit);
    int percent = g->total ? (int)(100.0 * (double)g->done / (double)g->total) : 0;
    double left =
        p->rate > 0 && g->total > g->done ? (double)(g->total - g->done) / p->rate : 0;
    char what[49];
    snprintf(what, sizeof what, "%s", g->what ? g->what : "");
    rs_utf8_clean(what);
    fprintf(stderr, "\r\033[K%s %3d %%  %s  %s/s  %d:%02d left  %s", p->verb, percent,
            done, rate, (int)(left / 60), (int)left % 60, what);
    p->on_line = true;
}

static void write_step(const ui_progress *p, const rs_progress *g)
{
    rs_buf e = {0};
    rs_buf_printf(&e,
                  "{\"event\":\"step\",\"done\":%" PRIu64 ",\"total\":%" PRIu64
                  ",\"unit\":\"%s\",\"rate\":",
                  g->done, g->total, g->unit);
    rs_buf_json_double(&e, p->rate);
    rs_buf_puts(&e, ",\"what\":");
    const char *what = g->what ? g->what : "";
    rs_buf_json(&e, what, strlen(what));
    rs_buf_puts(&e, "}\n");
    if (!e.failed) event(p, &e);
    rs_buf_free(&e);
}

bool ui_progress_step(void *ctx, const rs_progress *step)
{
    ui_progress *p = ctx;
    double now = ui_now();
    char what[256];
    rs_progress named = *step;
    const rs_progress *g = &named;
    const char *part = p->common->part;
    if (part) {
        snprintf(what, sizeof what, "%s%s%s", part, step->what ? ": " : "",
                 step->what ? step->what : "");
        named.what = what;
    }
    if (now - p->last_time > 0.2) {
        double rate = (double)(g->done - p->last_done) / (now - p->last_time);
        if (g->done >= p->last_done)
            p->rate = p->rate > 0 ? 0.7 * p->rate + 0.3 * rate : rate;
        p->last_done = g->done;
        p->last_time = now;
    }
    if (now - p->shown > 0.1 || g->done == g->total) {
        p->shown = now;
        write_step(p, g);
        if (!p->common->quiet && isatty(2)) show_line(p, g);
    }
    return !interrupted;
}

void ui_progress_warn(ui_progress *p, const char *text)
{
    rs_buf e = {0};
    rs_buf_puts(&e, "{\"event\":\"warn\",\"text\":");
    rs_buf_json(&e, text, strlen(text));
    rs_buf_puts(&e, "}\n");
    event(p, &e);
    rs_buf_free(&e);
    if (p->common->quiet) return;
    if (p->on_line) fprintf(stderr, "\r\033[K");
    p->on_line = false;
    rs_buf clean = {0};
    ui_put_clean(&clean, text);
    fprintf(stderr, "ringside %s: warning: %s\n", p->verb, rs_buf_str(&clean));
    rs_buf_free(&clean);
}

void ui_progress_end(ui_progress *p, rs_status s, const rs_err *err,
                     const char *result_json)
{
    if (p->on_line) fprintf(stderr, "\r\033[K");
    p->on_line = false;
    p->common->working--;
    if (p->inner) return;
    rs_buf e = {0};
    if (s == RS_OK) {
        rs_buf_printf(&e, "{\"event\":\"done\",\"seconds\":%.3f%s%s}\n",
                      ui_now() - p->started, result_json ? ",\"result\":" : "",
                      result_json ? result_json : "");
    } else {
        rs_buf_printf(&e, "{\"event\":\"error\",\"status\":%d,\"text\":", ui_exit_of(s));
        rs_buf_json(&e, err->msg, strlen(err->msg));
        rs_buf_puts(&e, "}\n");
    }
    event(p, &e);
    rs_buf_free(&e);
}

/* --- names of models --- */

static void hub_root(char out[4096])
{
    const char *cache = getenv("HF_HUB_CACHE"), *home = getenv("HF_HOME"),
               *user = getenv("HOME"), *xdg = getenv("XDG_CACHE_HOME");
    if (cache && *cache)
        snprintf(out, 4096, "%s", cache);
    else if (home && *home)
        snprintf(out, 4096, "%s/hub", home);
    else if (xdg && *xdg == '/')
        snprintf(out, 4096, "%s/huggingface/hub", xdg);
    else
        snprintf(out, 4096, "%s/.cache/huggingface/hub", user ? user : "");
}

rs_status ui_resolve(void *ctx, const char *what, char out[4096], rs_err *err)
{
    (void)ctx;
    char root[4096];
    hub_root(root);
    rs_hub hub = {.root = root};
    return rs_model_path_resolve(what, &hub, out, 4096, err);
}
