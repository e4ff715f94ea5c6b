#include "tui/term/restore.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static struct {
    volatile sig_atomic_t armed;
    bool has_modes, has_handlers;
    struct termios modes;
    int in, out;
    char bytes[512], goodbye[256];
} state;

static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
enum { STACK_BYTES = 1 << 16 };

void ui_restore_now(void)
{
    if (!state.armed) return;
    state.armed = 0;
    ssize_t ignored = write(state.out, state.bytes, strlen(state.bytes));
    if (state.has_modes) tcsetattr(state.in, TCSANOW, &state.modes);
    (void)ignored;
}

static void on_crash(int signal)
{
    if (state.armed) {
        ui_restore_now();
        ssize_t ignored = write(STDERR_FILENO, state.goodbye, strlen(state.goodbye));
        (void)ignored;
    }
    raise(signal); /* the handler was for once: this time the default ends the process */
}

static void install(void)
{
    if (state.has_handlers) return;
    state.has_handlers = true;
    void *memory = malloc(STACK_BYTES);
    stack_t stack = {.ss_sp = memory, .ss_size = STACK_BYTES};
    bool own_stack = memory && sigaltstack(&stack, NULL) == 0;
    struct sigaction action = {.sa_handler = on_crash};
    action.sa_flags = (int)SA_RESETHAND | (int)SA_NODEFER | (own_stack ? SA_ONSTACK : 0);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++) {
        struct sigaction old;
        /* A sanitizer's handler stays. */
        if (sigaction(crashes[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            sigaction(crashes[i], &action, NULL);
    }
}

void ui_restore_remember(int in)
{
    state.has_modes = tcgetattr(in, &state.modes) == 0;
}

void ui_restore_arm(int in, int out, const char *bytes, const char *goodbye)
{
    state.armed = 0;
    state.in = in;
    state.out = out;
    snprintf(state.bytes, sizeof state.bytes, "%s", bytes);
    snprintf(state.goodbye, sizeof state.goodbye, "%s", goodbye ? goodbye : "");
    install();
    state.armed = 1;
}

void ui_restore_disarm(void)
{
    state.armed = 0;
}
