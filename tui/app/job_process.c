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
    int lock, events, log, null;
} files;

static void close_files(files *f)
{
    rs_os_close(f->lock);
    rs_os_close(f->events);
    rs_os_close(f->log);
    rs_os_close(f->null);
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
                 .null = open("/dev/null", O_RDONLY | O_CLOEXEC)};
    if (f->lock < 0 || f->events < 0 || f->log < 0 || f->null < 0)
        return rs_fail_errno(err, errno, "files of the job in %s", folder);
    if (flock(f->lock, LOCK_EX | LOCK_NB) != 0)
        return rs_fail(err, RS_E_EXISTS, "the job in %s is still running", folder);
    return RS_OK;
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

/* Forks twice, so that nobody has to wait for the job; its pid comes through a pipe. */
static pid_t spawn(const char *exe, const char *cwd, const files *f, char *const argv[])
{
    int report[2];
    pid_t job = -1;
    if (pipe(report) != 0) return -1;
    pid_t child = fork();
    if (child == 0) {
        setsid();
        pid_t pid = fork();
        if (pid == 0) become_job(exe, cwd, f, argv);
        ssize_t put = write(report[1], &pid, sizeof pid);
        _exit(put == (ssize_t)sizeof pid ? 0 : 1);
    }
    close(report[1]);
    if (child > 0) {
        while (read(report[0], &job, sizeof job) < 0 && errno == EINTR) {
        }
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    close(report[0]);
    return job;
}

rs_status ui_job_process_start(const char *exe, const char *folder, const char *cwd,
                               char *const *argv, rs_err *err)
{
    char option[] = "--events", *words[UI_JOB_WORDS + 3], fd[16], path[4096], text[24];
    files f;
    rs_status s = open_files(folder, &f, err);
    int n = 0;
    for (; s == RS_OK && argv[n] && n < UI_JOB_WORDS; n++)
        words[n] = argv[n];
    words[n++] = option;
    words[n++] = fd;
    words[n] = NULL;
    snprintf(fd, sizeof fd, "%d", f.events);
    pid_t pid = s == RS_OK ? spawn(exe, cwd, &f, words) : -1;
    close_files(&f);
    if (s != RS_OK) return s;
    if (pid < 0) return rs_fail(err, RS_E_IO, "the job's process could not be started");
    if (!rs_path_join(path, sizeof path, folder, "pid"))
        return rs_fail(err, RS_E_INVALID, "the path of the job's folder is too long");
    int len = snprintf(text, sizeof text, "%ld\n", (long)pid);
    return rs_os_write_file(path, text, (size_t)len, err);
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
