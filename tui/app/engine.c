#include "tui/app/engine.h"

#include "model/tokenizer.h"
#include "tui/app/engine_internal.h"
#include "tui/app/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEATHS = 3 };
static const double DEATH_WINDOW = 60;

/* What a slot was told last, and how far it is. */
typedef struct told {
    ui_mail follow, generate;
    bool measure, full;
    uint64_t serial, ready, summed;
    bool failed; /* the recipe was refused: nothing more comes for it */
    bool writing;
    rs_ids ids; /* of the text */
} told;

struct ui_engine {
    char *exe, *log;
    int64_t threads;
    uint64_t memory;
    int nice;
    int fd;
    pid_t pid;
    bool waits; /* died too often: the next GENERATE starts it */
    ui_frames in;
    rs_buf sums, out;
    size_t sent; /* bytes of out */
    told slots[UI_ENGINE_SLOTS];
    double deaths[DEATHS];
    int n_deaths;
};

ui_engine *ui_engine_new(const ui_engine_options *o)
{
    ui_engine *e = ui_alloc(1, sizeof *e);
    e->exe = ui_strdup(o->exe);
    e->log = ui_strdup(o->log);
    e->threads = o->threads;
    e->memory = o->memory;
    e->nice = o->nice;
    e->fd = -1;
    return e;
}

/* --- the process --- */

/* Between fork and exec: only calls that are safe there. */
static void become_engine(const ui_engine *e, int fd, const char *const argv[])
{
    setpgid(0, 0); /* the terminal's signals are not for it */
    if (e->nice) setpriority(PRIO_PROCESS, 0, e->nice);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null = open("/dev/null", O_RDWR);
    int log = e->log ? open(e->log, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
    dup2(null, 0);
    dup2(null, 1);
    dup2(log >= 0 ? log : null, 2);
    fcntl(fd, F_SETFD, 0);
    union { /* execv promises not to write, its type does not say so */
        const char *const *in;
        char *const *out;
    } words = {argv};
    execv(e->exe, words.out);
    _exit(127);
}

static bool start(ui_engine *e)
{
    int pair[2];
    char fd[16], threads[24], memory[24];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return false;
    const char *argv[9] = {"ringside", "engine", "--fd", fd};
    int n = 4;
    if (e->threads) {
        argv[n++] = "--threads";
        argv[n++] = threads;
    }
    if (e->memory) {
        argv[n++] = "--memory";
        argv[n++] = memory;
    }
    snprintf(fd, sizeof fd, "%d", pair[1]);
    snprintf(threads, sizeof threads, "%" PRId64, e->threads);
    snprintf(memory, sizeof memory, "%" PRIu64, e->memory);
    pid_t pid = fork();
    if (pid == 0) become_engine(e, pair[1], argv);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return false;
    }
    e->fd = pair[0];
    e->pid = pid;
    return true;
}

static int reap(ui_engine *e)
{
    int status = 0;
    if (e->fd >= 0) close(e->fd);
    e->fd = -1;
    if (e->pid > 0 && waitpid(e->pid, &status, WNOHANG) == 0) {
        /* It closed its end without ending: a moment for a clean end, then harder. */
        for (int i = 0; i < 50 && waitpid(e->pid, &status, WNOHANG) == 0; i++)
            usleep(2000);
        if (kill(e->pid, 0) == 0) {
            kill(e->pid, SIGKILL);
            waitpid(e->pid, &status, 0);
        }
    }
    e->pid = 0;
    ui_frames_free(&e->in);
    e->in = (ui_frames){0};
    rs_buf_reset(&e->out);
    e->sent = 0;
    return status;
}

void ui_engine_free(ui_engine *e)
{
    if (!e) return;
    if (e->fd >= 0) shutdown(e->fd, SHUT_RDWR);
    reap(e);
    for (int i = 0; i < UI_ENGINE_SLOTS; i++) {
        ui_mail_drop(&e->slots[i].follow);
        ui_mail_drop(&e->slots[i].generate);
        rs_ids_free(&e->slots[i].ids);
    }
    rs_buf_free(&e->sums);
    rs_buf_free(&e->out);
    free(e->exe);
    free(e->log);
    free(e);
}

/* --- telling --- */

static void queue(ui_engine *e, const ui_engine_command *c)
{
    if (e->fd >= 0) ui_command_encode(c, &e->out);
}

static void remember(ui_mail *m, const ui_engine_command *c)
{
    rs_buf frame = {0};
    ui_command_encode(c, &frame);
    if (!frame.failed) ui_mail_put(m, frame.data + 4, frame.len - 4);
    rs_buf_free(&frame);
}

/* The text again: from the front, or after what stands where it is to go on. */
static void queue_text(ui_engine *e, told *t)
{
    ui_engine_command c = t->generate.c;
    rs_buf prior = {0};
    if (c.keep || c.fixed) {
        for (int64_t i = 0; i < t->ids.n; i++)
            for (int k = 0; k < 4; k++)
                rs_buf_putc(&prior, (char)((uint32_t)t->ids.at[i] >> (8 * k)));
        c.prior = prior.len ? prior.data : NULL;
        c.n_prior = (uint32_t)(prior.len / 4);
    }
    queue(e, &c);
    rs_buf_free(&prior);
}

static void tell_all(ui_engine *e)
{
    for (int i = 0; i < UI_ENGINE_SLOTS; i++) {
        told *t = &e->slots[i];
        t->ready = t->summed = 0;
        t->failed = false;
        if (t->follow.frame) queue(e, &t->follow.c);
        ui_engine_command measure = {.kind = UI_CMD_MEASURE, .slot = i, .full = t->full};
        if (t->measure) queue(e, &measure);
        bool again = t->writing ||
                     (t->generate.frame && !t->generate.c.keep && !t->generate.c.fixed);
        if (t->generate.frame && again) queue_text(e, t);
    }
}

static void note(told *t, const ui_engine_command *c)
{
    switch (c->kind) {
    case UI_CMD_FOLLOW:
        remember(&t->follow, c);
        t->serial = c->serial;
        t->failed = false;
        break;
    case UI_CMD_MEASURE:
        t->measure = true;
        t->full = c->full;
        t->summed = 0;
        break;
    case UI_CMD_GENERATE:
        if (!t->generate.frame || t->generate.c.run != c->run) t->writing = true;
        remember(&t->generate, c);
        break;
    case UI_CMD_STOP:
        ui_mail_drop(&t->generate);
        t->writing = false;
        break;
    case UI_CMD_DROP:
        ui_mail_drop(&t->follow);
        ui_mail_drop(&t->generate);
        rs_ids_free(&t->ids);
        *t = (told){0};
        break;
    default:
        break;
    }
}

static const int command_of[] = {
    [UI_FX_FOLLOW] = UI_CMD_FOLLOW + 1,     [UI_FX_MEASURE] = UI_CMD_MEASURE + 1,
    [UI_FX_GENERATE] = UI_CMD_GENERATE + 1, [UI_FX_STOP_TEXT] = UI_CMD_STOP + 1,
    [UI_FX_DROP_SLOT] = UI_CMD_DROP + 1,    [UI_FX_CROSS] = UI_CMD_CROSS + 1,
    [UI_FX_LOOK] = UI_CMD_LOOK + 1,
};

bool ui_engine_takes(ui_effect_kind kind)
{
    return (size_t)kind < sizeof command_of / sizeof *command_of && command_of[kind];
}

void ui_engine_effect(ui_engine *e, const ui_effect *fx, double now)
{
    if (!ui_engine_takes(fx->kind) || fx->slot < 0 || fx->slot >= UI_ENGINE_SLOTS) return;
    ui_engine_command c = {.kind = (ui_command_kind)(command_of[fx->kind] - 1),
                           .slot = fx->slot,
                           .serial = fx->serial,
                           .run = fx->run,
                           .full = fx->full,
                           .keep = fx->keep,
                           .fixed = fx->kind == UI_FX_GENERATE && fx->value == 1,
                           .what = fx->kind == UI_FX_LOOK ? (int)fx->value : 0,
                           .text = fx->text,
                           .folder = fx->path,
                           .stage = fx->stage,
                           .prompt = fx->prompt,
                           .sampler = fx->sampler};
    (void)now;
    note(&e->slots[c.slot], &c);
    bool asks = c.kind == UI_CMD_GENERATE || c.kind == UI_CMD_LOOK;
    bool starts = e->fd < 0 && (!e->waits || asks);
    if (!starts) {
        queue(e, &c);
    } else if (start(e)) {
        e->waits = false;
        tell_all(e); /* this one is among them, but for a look */
        if (c.kind == UI_CMD_LOOK) queue(e, &c);
    }
}

/* --- listening --- */

static void follow_event(ui_engine *e, const ui_engine_event *v)
{
    told *t = &e->slots[v->slot];
    switch (v->what) {
    case UI_ENGINE_READY:
        t->ready = v->serial;
        break;
    case UI_ENGINE_SUMS:
        if (v->last) t->summed = v->serial;
        break;
    case UI_ENGINE_START:
        if (v->run != t->generate.c.run) break;
        t->writing = true;
        if (v->index < t->ids.n) t->ids.n = v->index;
        break;
    case UI_ENGINE_TOKEN:
        if (v->run == t->generate.c.run && v->index == t->ids.n)
            (void)rs_ids_add(&t->ids, v->id);
        break;
    case UI_ENGINE_STOP:
        if (v->run == t->generate.c.run) t->writing = false;
        break;
    case UI_ENGINE_ERROR:
        t->failed |= v->serial == t->serial;
        break;
    default:
        break;
    }
}

static const char *way_of_death(int status, char out[80])
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return "killed, perhaps for memory";
    if (WIFSIGNALED(status))
        snprintf(out, 80, "%.60s", strsignal(WTERMSIG(status)));
    else
        snprintf(out, 80, "exit status %d", WEXITSTATUS(status));
    return out;
}

static void died(ui_engine *e, double now, ui_engine_event_fn fn, void *ctx)
{
    char way[80], text[200];
    const char *how = way_of_death(reap(e), way);
    e->deaths[e->n_deaths++ % DEATHS] = now;
    e->waits =
        e->n_deaths >= DEATHS && now - e->deaths[e->n_deaths % DEATHS] < DEATH_WINDOW;
    if (!e->waits && !start(e)) e->waits = true;
    if (e->waits)
        snprintf(text, sizeof text,
                 "engine ended (%s) three times in a minute: r starts it", how);
    else
        snprintf(text, sizeof text, "engine ended (%s), starting again", how);
    for (int i = 0; i < UI_ENGINE_SLOTS; i++) {
        if (i > 0 && !e->slots[i].follow.frame) continue;
        ui_engine_event v = {.what = UI_ENGINE_DIED,
                             .slot = i,
                             .run = e->slots[i].generate.c.run,
                             .last = e->waits,
                             .text = text,
                             .n_text = strlen(text)};
        fn(ctx, &v);
    }
    if (!e->waits) tell_all(e);
}

static bool send_queue(ui_engine *e)
{
    while (e->sent < e->out.len) {
        ssize_t n = send(e->fd, e->out.data + e->sent, e->out.len - e->sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
        e->sent += (size_t)n;
    }
    rs_buf_reset(&e->out);
    e->sent = 0;
    return true;
}

void ui_engine_turn(ui_engine *e, double now, ui_engine_event_fn fn, void *ctx)
{
    if (e->fd < 0) return;
    bool alive = send_queue(e);
    int r = ui_frames_read(&e->in, e->fd);
    const char *frame;
    size_t n;
    ui_frame_state state;
    while ((state = ui_frames_next(&e->in, &frame, &n)) == UI_FRAME_READY) {
        ui_engine_event v;
        if (!ui_event_decode(frame, n, &e->sums, &v)) {
            state = UI_FRAME_BROKEN;
            break;
        }
        follow_event(e, &v);
        fn(ctx, &v);
    }
    if (!alive || r <= 0 || state == UI_FRAME_BROKEN) died(e, now, fn, ctx);
}

/* --- looking --- */

int ui_engine_fd(const ui_engine *e)
{
    return e->fd;
}
pid_t ui_engine_pid(const ui_engine *e)
{
    return e->pid;
}
bool ui_engine_writes(const ui_engine *e)
{
    return e->out.len > e->sent;
}

bool ui_engine_is_settled(const ui_engine *e)
{
    if (e->fd < 0) return true;
    for (int i = 0; i < UI_ENGINE_SLOTS; i++) {
        const told *t = &e->slots[i];
        if (!t->follow.frame || t->failed) continue;
        if (t->ready != t->serial || (t->measure && t->summed != t->serial)) return false;
    }
    return true;
}

bool ui_engine_is_writing(const ui_engine *e)
{
    for (int i = 0; i < UI_ENGINE_SLOTS; i++)
        if (e->slots[i].writing) return e->fd >= 0;
    return false;
}
