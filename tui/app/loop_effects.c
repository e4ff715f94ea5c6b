#include "base/os.h"
#include "tui/app/loop_internal.h"
#include "tui/app/mem.h"
#include "tui/term/prompt.h"
#include "tui/verbs/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const double SESSION_DELAY = 0.4;
enum { MAX_EDITED = 16 << 20 };

/* --- files --- */

static rs_status write_file(const char *path, const char *text, rs_err *err)
{
    char folder[4096];
    if (!path || !rs_path_dirname(folder, sizeof folder, path))
        return rs_fail(err, RS_E_INVALID, "there is no usable path to write to");
    RS_TRY(rs_os_mkdir(folder, err));
    return rs_os_write_file(path, text, strlen(text), err);
}

static void save(ui_loop *l, const ui_effect *fx)
{
    rs_err err = {0};
    bool ok = write_file(fx->path, fx->text ? fx->text : "", &err) == RS_OK;
    ui_loop_answer(l, UI_FX_SAVE, ok, ok ? "" : err.msg);
}

void ui_loop_save_session(ui_loop *l)
{
    rs_err err;
    if (l->session && l->session_ours &&
        (write_file(l->paths->session, l->session, &err) != RS_OK ||
         ui_history_save(l->paths->history, &err) != RS_OK))
        ui_loop_answer(l, UI_FX_SESSION, false, err.msg);
    free(l->session);
    l->session = NULL;
}

static void keep_session(ui_loop *l, const ui_effect *fx)
{
    if (!l->session) l->session_due = ui_now() + SESSION_DELAY;
    ui_replace(&l->session, fx->text);
}

int ui_loop_open_lock(const char *path)
{
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
}

/* --- giving the terminal away --- */

void ui_loop_suspend(ui_loop *l)
{
    if (!l->term) return;
    ui_term_suspend(l->term);
    ui_loop_stop_self();
    ui_term_resume(l->term);
    ui_term_redraw(l->term);
    ui_term_resized(l->term, &l->width, &l->height);
    ui_msg m = {.kind = UI_MSG_RESIZE, .width = l->width, .height = l->height};
    ui_loop_send(l, &m);
}

static int run_editor(const char *path)
{
    const char *editor = getenv("VISUAL");
    if (!editor || !*editor) editor = getenv("EDITOR");
    if (!editor || !*editor) editor = "vi";
    char command[4300];
    int n = snprintf(command, sizeof command, "exec %s \"$1\"", editor);
    if (n < 0 || (size_t)n >= sizeof command) return -1;
    /* While the editor has the terminal its keys are its own: ^C is not for us, and ^Z stops
     * both, or the shell would wait for ever. */
    struct sigaction ignore = {.sa_handler = SIG_IGN}, usual = {.sa_handler = SIG_DFL};
    struct sigaction was_int, was_stop;
    sigaction(SIGINT, &ignore, &was_int);
    sigaction(SIGTSTP, &usual, &was_stop);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGINT, SIG_DFL);
        execl("/bin/sh", "sh", "-c", command, "sh", path, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    sigaction(SIGINT, &was_int, NULL);
    sigaction(SIGTSTP, &was_stop, NULL);
    return pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static rs_status edit_text(const char *text, rs_buf *out, rs_err *err)
{
    char path[] = "/tmp/ringside-XXXXXX.json";
    int fd = mkstemps(path, 5);
    if (fd < 0) return rs_fail_errno(err, errno, "make a file for the editor");
    rs_status s = rs_os_write(fd, path, 0, text, strlen(text), err);
    close(fd);
    if (s == RS_OK && run_editor(path) != 0)
        s = rs_fail(err, RS_E_IO, "the editor ended with an error: nothing was changed");
    if (s == RS_OK) s = rs_os_read_file(path, MAX_EDITED, out, err);
    unlink(path);
    return s;
}

static void edit(ui_loop *l, const ui_effect *fx)
{
    rs_err err = {0};
    rs_buf text = {0};
    if (!l->term) {
        ui_loop_answer(l, UI_FX_EDITOR, false, "there is no terminal for an editor");
        return;
    }
    ui_term_suspend(l->term);
    bool ok = edit_text(fx->text ? fx->text : "", &text, &err) == RS_OK;
    ui_term_resume(l->term);
    ui_term_redraw(l->term);
    ui_loop_answer(l, UI_FX_EDITOR, ok, ok ? rs_buf_str(&text) : err.msg);
    rs_buf_free(&text);
}

/* --- jobs --- */

static void job(ui_loop *l, const ui_effect *fx)
{
    rs_err err = {0};
    rs_status s = RS_OK;
    double wall = (double)time(NULL);
    if (!l->jobs) {
        ui_loop_answer(l, fx->kind, false, "the folder of the jobs could not be made");
        return;
    }
    int id = (int)fx->value;
    switch (fx->kind) {
    case UI_FX_JOB_START:
        s = ui_job_start_on(l->jobs, fx->text, fx->title, fx->path, fx->prompt, wall,
                            NULL, &err);
        break;
    case UI_FX_JOB_STOP:
        s = ui_job_stop(l->jobs, id, fx->full, &err);
        break;
    case UI_FX_JOB_AGAIN:
        s = ui_job_again(l->jobs, id, wall, &err);
        break;
    default:
        s = ui_job_forget(l->jobs, id, &err);
        break;
    }
    l->jobs_polled = 0; /* look at once */
    if (s != RS_OK) ui_loop_answer(l, fx->kind, false, err.msg);
}

void ui_loop_effect(ui_loop *l, const ui_effect *fx)
{
    switch (fx->kind) {
    case UI_FX_QUIT:
        l->over = true;
        break;
    case UI_FX_SUSPEND:
        ui_loop_suspend(l);
        break;
    case UI_FX_REDRAW:
        if (l->term) ui_term_redraw(l->term);
        l->dirty = true;
        break;
    case UI_FX_BELL:
        if (l->term) ui_term_bell(l->term);
        break;
    case UI_FX_COPY:
        if (l->term && fx->text) ui_term_copy(l->term, fx->text);
        break;
    case UI_FX_JOB_START:
    case UI_FX_JOB_STOP:
    case UI_FX_JOB_AGAIN:
    case UI_FX_JOB_FORGET:
        job(l, fx);
        break;
    case UI_FX_SAVE:
        save(l, fx);
        break;
    case UI_FX_SESSION:
        keep_session(l, fx);
        break;
    case UI_FX_EDITOR:
        edit(l, fx);
        break;
    case UI_FX_MOUSE:
        if (l->term) ui_term_set_mouse(l->term, fx->value != 0);
        break;
    case UI_FX_LOOK:
        ui_engine_effect(l->reader, fx, ui_now());
        break;
    default:
        ui_engine_effect(l->engine, fx, ui_now());
        break;
    }
}
