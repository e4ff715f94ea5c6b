#include "tui/app/loop_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* A handler writes the signal's number into the pipe; the loop reads it when it comes by. */
static int wake[2] = {-1, -1};
static const int caught[] = {SIGTERM, SIGHUP, SIGINT, SIGWINCH, SIGTSTP, SIGCONT};
enum { N_CAUGHT = sizeof caught / sizeof *caught };
static struct sigaction before[N_CAUGHT];
static bool installed;

static void on_signal(int sig)
{
    int saved = errno;
    unsigned char byte = (unsigned char)sig;
    ssize_t n = write(wake[1], &byte, 1);
    (void)n; /* a full pipe wakes the loop just as well */
    errno = saved;
}

static void install(void)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&act.sa_mask);
    for (int i = 0; i < N_CAUGHT; i++)
        sigaction(caught[i], &act, NULL);
}

rs_status ui_loop_signals_begin(bool terminal, rs_err *err)
{
    if (pipe(wake) != 0) return rs_fail_errno(err, errno, "make a pipe");
    for (int i = 0; i < 2; i++) {
        fcntl(wake[i], F_SETFD, FD_CLOEXEC);
        fcntl(wake[i], F_SETFL, O_NONBLOCK);
    }
    installed = terminal;
    if (!terminal) return RS_OK;
    for (int i = 0; i < N_CAUGHT; i++)
        sigaction(caught[i], NULL, &before[i]);
    install();
    return RS_OK;
}

void ui_loop_signals_end(void)
{
    for (int i = 0; installed && i < N_CAUGHT; i++)
        sigaction(caught[i], &before[i], NULL);
    installed = false;
    for (int i = 0; i < 2; i++) {
        if (wake[i] >= 0) close(wake[i]);
        wake[i] = -1;
    }
}

int ui_loop_signals_fd(void)
{
    return wake[0];
}

ui_signals ui_loop_signals_taken(void)
{
    ui_signals s = {0};
    unsigned char bytes[64];
    for (ssize_t n; (n = read(wake[0], bytes, sizeof bytes)) > 0;)
        for (ssize_t i = 0; i < n; i++) {
            int sig = bytes[i];
            s.ends |= sig == SIGTERM || sig == SIGHUP || sig == SIGINT;
            s.resized |= sig == SIGWINCH;
            s.stops |= sig == SIGTSTP;
            s.continued |= sig == SIGCONT;
        }
    return s;
}

void ui_loop_stop_self(void)
{
    struct sigaction act = {.sa_handler = SIG_DFL};
    sigemptyset(&act.sa_mask);
    sigaction(SIGTSTP, &act, NULL);
    raise(SIGTSTP);
    install();
}
