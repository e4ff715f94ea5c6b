/* bench_frame - how long the terminal's part of a frame takes at 200x60: filling the grid,
 * finding what changed, curses' own differences, and the bytes through a pseudo-terminal whose
 * other end is read at once. Milliseconds, median of many frames; the goal is under 4 ms for a
 * whole frame, every cell changed. */
#include "tui/draw/widgets.h"
#include "tui/term/term.h"

#include "tests/bench/bench.h"

#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WIDTH = 200, HEIGHT = 60, FRAMES = 200 };

/* As a screen fills it: runs of text in several roles, sliders, heat. */
static void fill(ui_grid *g, int seed)
{
    ui_grid_clear(g);
    for (int y = 0; y < g->height; y++) {
        for (int x = 0; x < 20; x += 2)
            ui_draw_heat(g, x, y, 2, (x + y + seed) % 10, UI_HEAT_AUTO);
        ui_draw_slider(g, 21, y, 17, (y + seed) % 15 / 10.0, 0, 1.5, UI_EDIT);
        for (int x = 40; x < g->width; x += 8)
            ui_printf(g, x, y, 7, (ui_role)((x + y + seed) % UI_N_ROLES), "%7.4f",
                      (x * y + seed) / 997.0);
    }
}

static void fill_all(ui_grid *g, int seed)
{
    for (int y = 0; y < g->height; y++)
        for (int x = 0; x < g->width; x++) {
            char text[2] = {(char)('a' + (x + y + seed) % 26), 0};
            ui_put(g, x, y, 1, (ui_role)((x / 10 + y + seed) % UI_N_ROLES), text);
        }
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum { EVERY_CELL, A_SCREEN, ONE_ROW, NOTHING, N_KINDS };
static const char *const kinds[N_KINDS] = {"every cell changed",
                                           "a screen of numbers, all new",
                                           "one row changed", "nothing changed"};

static double frame(ui_term *t, ui_grid *g, int kind, int i)
{
    double start = now();
    if (kind == EVERY_CELL)
        fill_all(g, i);
    else
        fill(g, kind == A_SCREEN ? i : 0);
    if (kind == ONE_ROW) ui_printf(g, 0, 30, -1, UI_ERROR, "%d", i);
    ui_term_present(t, g);
    return (now() - start) * 1e3;
}

/* On the terminal's side of the pseudo-terminal; results go to `out`. */
static int measure(FILE *out)
{
    ui_term *t;
    rs_err err;
    ui_grid g = {.glyphs = UI_GLYPHS_BRAILLE};
    ui_term_options o = {.term = "xterm-256color", .mouse = true};
    if (ui_term_open(&o, &t, &err) != RS_OK || !ui_grid_resize(&g, WIDTH, HEIGHT)) {
        fprintf(out, "frame: %s\n", err.msg);
        return 1;
    }
    for (int kind = 0; kind < N_KINDS; kind++) {
        double ms[FRAMES];
        for (int i = 0; i < FRAMES; i++)
            ms[i] = frame(t, &g, kind, i);
        qsort(ms, FRAMES, sizeof *ms, by_size);
        fprintf(out, "frame    %-30s %7.3f ms median, %7.3f ms worst of 20\n",
                kinds[kind], ms[FRAMES / 2], ms[FRAMES * 19 / 20]);
    }
    ui_term_close(t);
    ui_grid_free(&g);
    return 0;
}

static int child(const char *slave, FILE *out)
{
    struct winsize size = {.ws_row = HEIGHT, .ws_col = WIDTH};
    setsid();
    int fd = open(slave, O_RDWR);
    if (fd < 0 || ioctl(fd, TIOCSWINSZ, &size) != 0) return 1;
    dup2(fd, 0);
    dup2(fd, 1);
    int status = measure(out);
    fclose(out);
    return status;
}

int main(void)
{
    int results[2], status = 1;
    char bytes[1 << 16];
    setlocale(LC_ALL, "C.UTF-8");
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0 || pipe(results) != 0)
        return 1;
    const char *slave = ptsname(master);
    pid_t pid = fork();
    if (pid == 0) {
        close(results[0]);
        _exit(child(slave, fdopen(results[1], "w")));
    }
    close(results[1]);
    while (read(master, bytes, sizeof bytes) > 0) {
    } /* until the other side is closed */
    ssize_t n;
    while ((n = read(results[0], bytes, sizeof bytes)) > 0)
        fwrite(bytes, 1, (size_t)n, stdout);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
