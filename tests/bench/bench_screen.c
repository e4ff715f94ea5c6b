/* How long a person waits for the workbench, with the program itself (./ringside, or the path
 * given) in its own processes:
 *
 *   first    from its start to the first frame on a 120x40 terminal, models and all
 *   slider   from a changed recipe to the first token of the new weights, through the engine's
 *            socket, on the demo with a context of about 300 tokens
 *
 * Goals are 100 ms and 80 ms. The reference beside them, in the same run: starting a program
 * that does nothing. */
#include "base/buf.h"
#include "merge/recipe.h"
#include "tui/app/engine.h"
#include "tui/app/mem.h"
#include "tui/verbs/verbs.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STARTS = 15, MOVES = 25, PHRASES = 98 };
static const char RECIPE[] = "tests/golden/demo/luchador-miniature.json";

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void say(const char *what, double *ms, int n, const char *of)
{
    qsort(ms, (size_t)n, sizeof *ms, by_size);
    printf("%-8s %7.1f ms median, %7.1f ms worst of %d   %s\n", what, ms[n / 2],
           ms[n - 1], n, of);
}

/* --- the first frame --- */

static pid_t in_terminal(const char *program, int *master)
{
    struct winsize size = {.ws_row = 40, .ws_col = 120};
    *master = posix_openpt(O_RDWR | O_NOCTTY);
    if (*master < 0 || grantpt(*master) != 0 || unlockpt(*master) != 0) exit(1);
    const char *slave = ptsname(*master);
    pid_t pid = fork();
    if (pid != 0) return pid;
    setsid();
    int fd = open(slave, O_RDWR);
    if (fd < 0 || ioctl(fd, TIOCSWINSZ, &size) != 0) _exit(127);
    for (int i = 0; i < 3; i++)
        dup2(fd, i);
    close(*master);
    setenv("TERM", "xterm-256color", 1);
    execl(program, program, (char *)NULL);
    _exit(127);
}

/* Milliseconds until `sign` is on the terminal; NULL: until the program has ended. */
static double wait_for(const char *program, const char *sign)
{
    int fd, status;
    double start = ui_now(), shown = 0;
    rs_buf seen = {0};
    pid_t pid = in_terminal(program, &fd);
    char bytes[1 << 14];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (shown == 0 && poll(&p, 1, 10000) > 0) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n <= 0) break; /* it has ended */
        rs_buf_add(&seen, bytes, (size_t)n);
        if (sign && strstr(seen.data, sign)) shown = ui_now();
    }
    if (!sign) shown = ui_now();
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    close(fd);
    rs_buf_free(&seen);
    if (shown == 0) fprintf(stderr, "%s never showed %s\n", program, sign), exit(1);
    return (shown - start) * 1e3;
}

static void first_frame(const char *program)
{
    double ms[STARTS], nothing[STARTS];
    for (int i = 0; i < STARTS; i++) {
        nothing[i] = wait_for("/bin/true", NULL);
        ms[i] = wait_for(program, "mnat"); /* the heading of the rows' numbers */
    }
    say("first", ms, STARTS, "start to first frame (goal 100)");
    say("", nothing, STARTS, "start and end of /bin/true");
}

/* --- a slider --- */

typedef struct ear {
    ui_engine *engine;
    uint64_t serial; /* of the weights that the newest token came from */
} ear;

static void hear(void *ctx, const ui_engine_event *e)
{
    ear *x = ctx;
    if (e->what == UI_ENGINE_ERROR || e->what == UI_ENGINE_DIED) {
        fprintf(stderr, "engine: %.*s\n", (int)e->n_text, e->text);
        exit(1);
    }
    if (e->what == UI_ENGINE_TOKEN) x->serial = e->serial;
}

static void turn_until(ear *x, uint64_t serial)
{
    while (x->serial != serial) {
        short writes = ui_engine_writes(x->engine) ? POLLOUT : 0;
        struct pollfd p = {ui_engine_fd(x->engine), (short)(POLLIN | writes), 0};
        (void)poll(&p, 1, 50);
        ui_engine_turn(x->engine, ui_now(), hear, x);
    }
}

/* A slider's step: gains of all layers, so every merged tensor is stale. */
static void follow(ear *x, rs_recipe *r, uint64_t serial, double scale)
{
    char folder[] = "tests/golden/demo";
    rs_buf text = {0};
    rs_recipe_fuel(r)->scale = scale;
    rs_recipe_text(r, r->folder, &text);
    ui_effect fx = {
        .kind = UI_FX_FOLLOW, .serial = serial, .text = text.data, .path = folder};
    ui_engine_effect(x->engine, &fx, ui_now());
    rs_buf_free(&text);
}

static void ask(ear *x, uint64_t run)
{
    char sampler[] = "{\"temperature\":0,\"max_tokens\":64,\"ignore_eos\":true}";
    rs_buf prompt = {0};
    rs_buf_puts(&prompt, "{\"prompt\":\"Tell me about");
    for (int i = 0; i < PHRASES; i++)
        rs_buf_puts(&prompt, i % 3 ? " the sea" : " and the old lighthouse");
    rs_buf_puts(&prompt, "\"}");
    ui_effect fx = {
        .kind = UI_FX_GENERATE, .run = run, .prompt = prompt.data, .sampler = sampler};
    ui_engine_effect(x->engine, &fx, ui_now());
    rs_buf_free(&prompt);
}

static void slider(const char *program)
{
    ui_engine_options o = {.exe = program};
    ear x = {.engine = ui_engine_new(&o)};
    rs_recipe *r;
    rs_err err;
    double ms[MOVES];
    if (rs_recipe_load(RECIPE, &r, &err) != RS_OK) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    follow(&x, r, 1, 0.3);
    ask(&x, 1);
    turn_until(&x, 1);
    for (int i = 0; i < MOVES; i++) {
        uint64_t serial = (uint64_t)i + 2;
        double start = ui_now();
        follow(&x, r, serial, 0.2 + 0.01 * i);
        turn_until(&x, serial);
        ms[i] = (ui_now() - start) * 1e3;
    }
    say("slider", ms, MOVES, "changed scale to first new token (goal 80)");
    ui_engine_free(x.engine);
    rs_recipe_free(r);
}

int main(int argc, char **argv)
{
    const char *program = argc > 1 ? argv[1] : "./ringside";
    first_frame(program);
    slider(program);
    return 0;
}
