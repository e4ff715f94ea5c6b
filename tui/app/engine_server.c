#include "tui/app/engine_server.h"

#include "tui/app/engine_internal.h"
#include "tui/verbs/verbs.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Seconds. Work for an older recipe that has taken LONG_WORK is given up for a newer one;
 * below that it is finished, or a held key would never show a token. */
static const double LONG_WORK = 0.4, POLL_EVERY = 0.004, FRAME = 0.016, TELL_EVERY = 0.05;
/* A turn of measuring, while a text is being written and while nothing else is to do. */
static const double MEASURE_BESIDE = 0.004, MEASURE_ALONE = 0.01;

/* --- mail --- */

void ui_mail_drop(ui_mail *m)
{
    free(m->frame);
    *m = (ui_mail){0};
}

void ui_mail_put(ui_mail *m, const char *frame, size_t n)
{
    ui_mail_drop(m);
    m->frame = malloc(n);
    if (!m->frame) return;
    memcpy(m->frame, frame, n);
    if (!ui_command_decode(m->frame, n, &m->c)) ui_mail_drop(m);
}

void ui_mail_move(ui_mail *to, ui_mail *from)
{
    ui_mail_drop(to);
    *to = *from;
    *from = (ui_mail){0};
}

/* --- sending --- */

void ui_server_send(ui_engine_server *e, const ui_engine_event *event)
{
    rs_buf_reset(&e->out);
    ui_event_encode(event, &e->out);
    if (e->out.failed) e->closed = true;
    for (size_t put = 0; put < e->out.len && !e->closed;) {
        ssize_t n = send(e->fd, e->out.data + put, e->out.len - put, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) e->closed = true;
        if (n > 0) put += (size_t)n;
    }
}

void ui_server_error(ui_engine_server *e, const ui_slot *s, const char *sentence)
{
    ui_engine_event event = {.what = UI_ENGINE_ERROR,
                             .slot = s->number,
                             .serial = s->serial,
                             .run = s->text.run,
                             .text = sentence,
                             .n_text = strlen(sentence)};
    ui_server_send(e, &event);
}

/* --- receiving --- */

/* A text that was asked for and never began has ended, too. */
static void stop_pending(ui_engine_server *e, ui_slot *s)
{
    uint64_t run = s->generate.frame ? s->generate.c.run : 0;
    ui_mail_drop(&s->generate);
    if (run && run != s->text.run)
        ui_server_send(e, &(ui_engine_event){.what = UI_ENGINE_STOP,
                                             .slot = s->number,
                                             .serial = s->serial,
                                             .run = run,
                                             .text = "stopped",
                                             .n_text = strlen("stopped")});
}

static void sort_command(ui_engine_server *e, const char *frame, size_t n)
{
    ui_engine_command c;
    if (!ui_command_decode(frame, n, &c)) {
        e->closed = true;
        return;
    }
    ui_slot *s = &e->slots[c.slot];
    switch (c.kind) {
    case UI_CMD_FOLLOW:
        ui_mail_put(&s->follow, frame, n);
        break;
    case UI_CMD_GENERATE:
        ui_mail_put(&s->generate, frame, n);
        break;
    case UI_CMD_MEASURE:
        s->measure = true;
        s->full = c.full;
        break;
    case UI_CMD_STOP:
        stop_pending(e, s);
        s->stop = true;
        break;
    case UI_CMD_DROP:
        ui_mail_drop(&s->follow);
        ui_mail_drop(&s->generate);
        s->stop = s->measure = false;
        s->drop = true;
        break;
    case UI_CMD_CROSS:
        e->cross.wanted = true;
        break;
    case UI_CMD_LOOK:
        ui_mail_put(&e->look.mail, frame, n);
        break;
    case UI_N_CMDS:
        break;
    }
}

void ui_server_receive(ui_engine_server *e)
{
    if (e->closed) return;
    int r = ui_frames_read(&e->in, e->fd);
    const char *frame;
    size_t n;
    ui_frame_state state;
    while ((state = ui_frames_next(&e->in, &frame, &n)) == UI_FRAME_READY)
        sort_command(e, frame, n);
    if (r <= 0 || state == UI_FRAME_BROKEN) e->closed = true;
    e->polled = ui_now();
}

/* --- long work --- */

ui_work ui_work_begin(ui_engine_server *e, ui_slot *s)
{
    double now = ui_now();
    return (ui_work){.e = e, .s = s, .since = now, .told = now - TELL_EVERY + FRAME};
}

static void tell_weights(ui_work *w, const rs_progress *p, double now)
{
    if (!w->tells || now - w->told < TELL_EVERY) return;
    w->told = now;
    ui_engine_event event = {.what = UI_ENGINE_WEIGHTS,
                             .slot = w->s->number,
                             .serial = w->s->serial,
                             .done = (int64_t)p->done,
                             .total = (int64_t)p->total,
                             .text = p->what ? p->what : "",
                             .n_text = p->what ? strlen(p->what) : 0};
    ui_server_send(w->e, &event);
}

bool ui_work_step(void *work, const rs_progress *p)
{
    ui_work *w = work;
    double now = ui_now();
    tell_weights(w, p, now);
    if (now - w->e->polled >= POLL_EVERY) ui_server_receive(w->e);
    if (w->e->closed || w->s->drop || w->s->stop) return false;
    bool newer = w->s->follow.frame || w->s->generate.frame;
    return !newer || (!w->give_up_at_once && now - w->since < LONG_WORK);
}

/* --- the loop --- */

static bool obey(ui_engine_server *e, ui_slot *s)
{
    bool did = s->drop || s->stop || s->measure;
    if (s->drop) {
        /* What came after the drop is for the slot's next life. */
        ui_mail follow = s->follow, generate = s->generate;
        bool measure = s->measure, full = s->full;
        s->follow = s->generate = (ui_mail){0};
        ui_cross_stop(e);
        ui_slot_drop(s);
        s->follow = follow;
        s->generate = generate;
        s->measure = measure;
        s->full = full;
    }
    if (s->stop && (s->text.running || s->text.starts)) ui_text_stop(e, s, "stopped");
    s->stop = false;
    did |= ui_slot_take_recipe(e, s);
    if (s->measure) {
        s->measured = true;
        s->measure = false;
        ui_slot_measure_again(e, s, true);
    }
    return ui_text_take(e, s) || did;
}

static bool is_writing(const ui_engine_server *e)
{
    for (int i = 0; i < UI_ENGINE_SLOTS; i++)
        if (e->slots[i].text.running || e->slots[i].text.starts) return true;
    return false;
}

/* One turn for everything that has something to do; false: nothing had. */
static bool turn(ui_engine_server *e)
{
    bool did = false;
    for (int i = 0; i < UI_ENGINE_SLOTS; i++)
        did |= obey(e, &e->slots[i]);
    for (int i = 0; i < UI_ENGINE_SLOTS; i++) {
        did |= ui_slot_merge(e, &e->slots[i]);
        did |= ui_text_turn(e, &e->slots[i]);
    }
    double slice = is_writing(e) ? MEASURE_BESIDE : MEASURE_ALONE;
    for (int i = 0; i < UI_ENGINE_SLOTS; i++)
        did |= ui_slot_measure(e, &e->slots[i], slice);
    did |= ui_look_turn(e);
    return ui_cross_turn(e) || did;
}

static void wait_for_command(const ui_engine_server *e)
{
    struct pollfd p = {.fd = e->fd, .events = POLLIN};
    (void)poll(&p, 1, -1);
}

int ui_engine_serve(const rs_runtime *rt, int fd, uint64_t budget)
{
    ui_engine_server *e = calloc(1, sizeof *e);
    if (!e) return UI_EXIT_SYSTEM;
    e->rt = rt;
    e->fd = fd;
    e->budget = budget;
    for (int i = 0; i < UI_ENGINE_SLOTS; i++)
        e->slots[i].number = i;
    for (bool busy = true; !e->closed;) {
        if (!busy) wait_for_command(e);
        ui_server_receive(e);
        if (!e->closed) busy = turn(e);
    }
    ui_cross_stop(e);
    ui_look_drop(&e->look);
    for (int i = 0; i < UI_ENGINE_SLOTS; i++)
        ui_slot_drop(&e->slots[i]);
    for (int i = 0; i <= UI_ENGINE_SLOTS; i++)
        ui_vocab_free(&e->vocabs[i]);
    ui_frames_free(&e->in);
    rs_buf_free(&e->out);
    free(e);
    return UI_EXIT_OK;
}
