#include "tui/app/job_process.h"

#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct files {
    int lock, events, log, pid, null;
    int gate[2]; /* a byte through this pipe lets the job begin */
} files;

static void close_files(files *f)
{
    rs_os_close(f->lock);
    rs_os_close(f->events);
    rs_os_close(f->log);
    rs_os_close(f->pid);
    rs_os_close(f->null);
    rs_os_close(f->gate[0]);
    rs_os_close(f->gate[1]);
}

static int open_in(const char *folder, const char *name, int flags)
{
    char path[4096];
    if (!rs_path_join(path, sizeof path, folder, name)) return -1;
    return open(path, flags | O_CLOEXEC, 0666);
}

static rs_status open_files(const char *folder, files *f, rs_err *err)
{
    *f = (files){.lock = open_in(folder, "lock", O_RDWR | O_CREAT),
                 .events = open_in(folder, "events.jsonl",
                                   O_WRONLY | O_CREAT | O_TRUNC | O_APPEND),
                 .log = open_in(folder, "log", O_WRONLY | O_CREAT | O_TRUNC | O_APPEND),
                 .pid = -1,
                 .gate = {-1, -1},
                 .null = open("/dev/null", O_RDONLY | O_CLOEXEC)};
    if (f->lock < 0 || f->events < 0 || f->log < 0 || f->null < 0)
        return rs_fail_errno(err, errno, "files of the job in %s", folder);
    if (flock(f->lock, LOCK_EX | LOCK_NB) != 0)
        return rs_fail(err, RS_E_EXISTS, "the job in %s is still running", folder);
    f->pid = open_in(folder, "pid", O_WRONLY | O_CREAT | O_TRUNC);
    if (f->pid < 0) return rs_fail_errno(err, errno, "the pid of the job in %s", folder);
    if (pipe(f->gate) != 0) return rs_fail_errno(err, errno, "a pipe for the job");
    return RS_OK;
}

/* Nothing begins that could not be found and stopped: its pid has to stand first. */
static void wait_for_gate(const files *f)
{
    char byte;
    ssize_t n;
    close(f->gate[1]);
    while ((n = read(f->gate[0], &byte, 1)) < 0 && errno == EINTR) {
    }
    if (n != 1) _exit(125);
    close(f->gate[0]);
}

/* In the child of the child; nothing here allocates. */
static void become_job(const char *exe, const char *cwd, const files *f,
                       char *const argv[])
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_IGN);
    wait_for_gate(f);
    if (nice(10) == -1) errno = 0; /* not being nicer is no reason to stop */
    if (chdir(cwd) != 0) _exit(126);
    dup2(f->null, 0);
    dup2(f->log, 1);
    dup2(f->log, 2);
    fcntl(f->lock, F_SETFD, 0);
    fcntl(f->events, F_SETFD, 0);
    execv(exe, argv);
    _exit(127);
}

/* Digits and a newline of a pid, in a process that may not allocate. */
static bool write_pid(int fd, pid_t pid)
{
    char text[24];
    size_t at = sizeof text;
    text[--at] = '\n';
    for (long n = (long)pid; n > 0; n /= 10)
        text[--at] = (char)('0' + n % 10);
    return write(fd, text + at, sizeof text - at) == (ssize_t)(sizeof text - at);
}

/* The one between writes the pid's file and lets the job begin. */
static bool let_begin(const files *f, pid_t pid)
{
    return pid > 0 && write_pid(f->pid, pid) && write(f->gate[1], "", 1) == 1;
}

/* Forks twice, so that nobody has to wait for the job. The one between writes the pid's file,
 * so that it stands when this returns, and also if the workbench is killed meanwhile. */
static bool spawn(const char *exe, const char *cwd, const files *f, char *const argv[])
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        setsid();
        pid_t pid = fork();
        if (pid == 0) become_job(exe, cwd, f, argv);
        _exit(let_begin(f, pid) ? 0 : 1);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

rs_status ui_job_process_start(const char *exe, const char *folder, const char *cwd,
                               char *const *argv, rs_err *err)
{
    char option[] = "--events", *words[UI_JOB_WORDS + 3], fd[16];
    files f;
    rs_status s = open_files(folder, &f, err);
    int n = 0;
    for (; s == RS_OK && argv[n] && n < UI_JOB_WORDS; n++)
        words[n] = argv[n];
    words[n++] = option;
    words[n++] = fd;
    words[n] = NULL;
    snprintf(fd, sizeof fd, "%d", f.events);
    bool runs = s == RS_OK && spawn(exe, cwd, &f, words);
    close_files(&f);
    if (s == RS_OK && !runs)
        return rs_fail(err, RS_E_IO, "the job's process could not be started");
    return s;
}

bool ui_job_process_lives(const char *folder)
{
    int fd = open_in(folder, "lock", O_RDWR);
    if (fd < 0) return false;
    bool lives = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return lives;
}

bool ui_job_process_signal(const char *folder, int sig)
{
    char path[4096];
    rs_buf text = {0};
    if (!ui_job_process_lives(folder) || !rs_path_join(path, sizeof path, folder, "pid"))
        return false;
    bool ok = rs_os_read_file(path, 64, &text, NULL) == RS_OK;
    long pid = ok ? strtol(rs_buf_str(&text), NULL, 10) : 0;
    rs_buf_free(&text);
    return pid > 1 && kill((pid_t)pid, sig) == 0;
}
