/* ringside engine --fd N: the engine process. The workbench starts it; nobody else does. */
#include "base/limits.h"
#include "tui/app/engine_server.h"
#include "tui/verbs/verbs.h"

#include <fcntl.h>
#include <signal.h>

typedef struct engine_opts {
    int64_t fd;
} engine_opts;

static const ui_opt opts[] = {
    {"--fd", UI_OPT_INT, "FD", "socket to the workbench", offsetof(engine_opts, fd)},
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};

static void defaults(void *o)
{
    ((engine_opts *)o)->fd = -1;
}

static int run(ui_common *c, void *o, int n_args, char **args)
{
    (void)n_args;
    (void)args;
    int fd = (int)((engine_opts *)o)->fd;
    if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return ui_usage("engine", "is started by the workbench, with --fd and a socket");
    signal(SIGINT, SIG_IGN); /* its life ends with the socket's */
    /* Weights may take most of the machine: they are what it is used for at the moment. */
    return ui_engine_serve(&c->rt, fd, c->memory ? c->memory : rs_os_memory("") / 10 * 7);
}

const ui_verb ui_verb_engine = {
    .name = "engine",
    .usage = "--fd FD",
    .summary = "the live models of a workbench (started by it)",
    .opts = opts,
    .opts_size = sizeof(engine_opts),
    .run = run,
    .defaults = defaults,
    .hidden = true,
};
