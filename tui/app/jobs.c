#include "tui/app/jobs.h"

#include "base/json.h"
#include "base/os.h"
#include "tui/app/job_process.h"
#include "tui/app/mem.h"
#include "tui/app/track.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_JSON = 1 << 20, MAX_READ = 1 << 20, SAMPLES = 64 };
static const double WINDOW = 5; /* seconds that a rate is taken over */

typedef struct entry {
    ui_job job;
    ui_track *track; /* also job.track: shared with those who show it */
    char **argv;     /* owned, ends with NULL */
    char *cwd;
    uint64_t read; /* bytes of events.jsonl */
    rs_buf line;   /* the last one, while it is not whole */
    double at[SAMPLES];
    uint64_t done[SAMPLES];
    int n_samples;
    double seen; /* when the first sample came */
    bool stop_asked;
} entry;

struct ui_job_store {
    char *folder, *exe;
    entry **at; /* newest first */
    int n, cap;
    ui_job *list; /* [n] copies for the caller */
    bool changed;
};

/* --- entries --- */

static void entry_free(entry *e)
{
    for (int i = 0; e->argv && e->argv[i]; i++)
        free(e->argv[i]);
    free(e->argv);
    free(e->cwd);
    ui_track_drop(e->track);
    rs_buf_free(&e->line);
    free(e);
}

static bool in_folder(const entry *e, const char *name, char path[4096])
{
    return rs_path_join(path, 4096, e->job.folder, name);
}

static char **words_of(const rs_json *list)
{
    int n = rs_json_count(list);
    if (!rs_json_is_array(list) || n < 2 || n > UI_JOB_WORDS) return NULL;
    char **argv = ui_alloc((size_t)n + 1, sizeof *argv);
    int i = 0;
    for (const rs_json *v = rs_json_first(list); v; v = rs_json_next(v))
        argv[i++] = ui_strdup(rs_json_string(v) ? rs_json_string(v) : "");
    return argv;
}

static void copy(char *dst, size_t n, const char *src)
{
    snprintf(dst, n, "%s", src ? src : "");
}

static void note_model(entry *e)
{
    e->job.model[0] = 0;
    for (int i = 2; e->argv && e->argv[i] && e->argv[i + 1]; i++)
        if (strcmp(e->argv[i], "--model") == 0)
            copy(e->job.model, sizeof e->job.model, e->argv[i + 1]);
}

/* job.json, and what the files' times tell. */
static bool load_entry(entry *e)
{
    char path[4096];
    rs_json *root;
    if (!in_folder(e, "job.json", path) ||
        rs_json_read_file(path, MAX_JSON, &root, NULL) != RS_OK)
        return false;
    e->argv = words_of(rs_json_get(root, "argv"));
    e->cwd = ui_strdup(rs_json_string(rs_json_get(root, "cwd")));
    copy(e->job.title, sizeof e->job.title, rs_json_string(rs_json_get(root, "title")));
    copy(e->job.out, sizeof e->job.out, rs_json_string(rs_json_get(root, "out")));
    e->job.started = rs_json_number(rs_json_get(root, "started"));
    if (e->argv) copy(e->job.kind, sizeof e->job.kind, e->argv[1]);
    note_model(e);
    rs_json_free(root);
    e->job.state = UI_JOB_RUNNING;
    e->job.seconds_left = -1;
    return e->argv != NULL;
}

static rs_status save_entry(const entry *e, rs_err *err)
{
    char path[4096];
    rs_buf b = {0};
    rs_buf_puts(&b, "{\"argv\":[");
    for (int i = 0; e->argv[i]; i++) {
        if (i) rs_buf_putc(&b, ',');
        rs_buf_json(&b, e->argv[i], strlen(e->argv[i]));
    }
    rs_buf_puts(&b, "],\"title\":");
    rs_buf_json(&b, e->job.title, strlen(e->job.title));
    rs_buf_puts(&b, ",\"out\":");
    rs_buf_json(&b, e->job.out, strlen(e->job.out));
    rs_buf_puts(&b, ",\"cwd\":");
    rs_buf_json(&b, e->cwd, strlen(e->cwd));
    rs_buf_puts(&b, ",\"started\":");
    rs_buf_json_double(&b, e->job.started);
    rs_buf_puts(&b, "}\n");
    rs_status s =
        in_folder(e, "job.json", path) && !b.failed
            ? rs_os_write_file(path, b.data, b.len, err)
            : rs_fail(err, RS_E_INVALID, "the job's folder has too long a path");
    rs_buf_free(&b);
    return s;
}

/* --- what a job writes --- */

static void add_sample(entry *e, double now)
{
    if (e->n_samples == 0) e->seen = now;
    if (e->n_samples == SAMPLES) {
        memmove(e->at, e->at + 1, (SAMPLES - 1) * sizeof *e->at);
        memmove(e->done, e->done + 1, (SAMPLES - 1) * sizeof *e->done);
        e->n_samples--;
    }
    e->at[e->n_samples] = now;
    e->done[e->n_samples++] = e->job.done;
}

/* Over the last five seconds; time left only once five seconds have been seen. */
static void take_rate(entry *e, double now)
{
    int last = e->n_samples - 1, first = last;
    e->job.rate = 0;
    e->job.seconds_left = -1;
    while (first > 0 && now - e->at[first - 1] <= WINDOW)
        first--;
    if (first >= last || e->at[last] <= e->at[first]) return;
    e->job.rate = (double)(e->done[last] - e->done[first]) / (e->at[last] - e->at[first]);
    if (now - e->seen >= WINDOW && e->job.rate > 0 && e->job.total >= e->job.done)
        e->job.seconds_left = (double)(e->job.total - e->job.done) / e->job.rate;
}

static void take_step(entry *e, const rs_json *v, double now)
{
    double done = rs_json_number(rs_json_get(v, "done")),
           total = rs_json_number(rs_json_get(v, "total"));
    if (!(done >= 0 && done < 1e18 && total >= 0 && total < 1e18)) return;
    if ((uint64_t)done < e->job.done) e->n_samples = 0; /* another phase */
    e->job.done = (uint64_t)done;
    e->job.total = (uint64_t)total;
    copy(e->job.unit, sizeof e->job.unit, rs_json_string(rs_json_get(v, "unit")));
    copy(e->job.what, sizeof e->job.what, rs_json_string(rs_json_get(v, "what")));
    add_sample(e, now);
}

static void take_event(entry *e, const char *line, size_t n, double now)
{
    rs_json *v;
    if (rs_json_parse(line, n, "event", &v, NULL) != RS_OK) return;
    const char *kind = rs_json_string(rs_json_get(v, "event"));
    if (!kind) kind = "";
    if (strcmp(kind, "step") == 0) {
        take_step(e, v, now);
    } else if (strcmp(kind, "warn") == 0) {
        copy(e->job.what, sizeof e->job.what, rs_json_string(rs_json_get(v, "text")));
    } else if (ui_track_takes(kind)) {
        if (!e->track) e->job.track = e->track = ui_track_new();
        ui_track_add(e->track, v);
    } else if (strcmp(kind, "done") == 0) {
        const rs_json *result = rs_json_get(v, "result");
        copy(e->job.hash, sizeof e->job.hash,
             rs_json_string(rs_json_get(result, "hash")));
        e->job.state = UI_JOB_DONE;
        if (e->job.total) e->job.done = e->job.total;
    } else if (strcmp(kind, "error") == 0) {
        copy(e->job.error, sizeof e->job.error, rs_json_string(rs_json_get(v, "text")));
        bool cancelled = rs_json_number(rs_json_get(v, "status")) == 130;
        e->job.state = cancelled ? UI_JOB_STOPPED : UI_JOB_FAILED;
    }
    rs_json_free(v);
}

static void take_bytes(entry *e, const char *bytes, size_t n, double now)
{
    for (const char *end; n && (end = memchr(bytes, '\n', n));) {
        size_t len = (size_t)(end - bytes);
        rs_buf_add(&e->line, bytes, len);
        if (!e->line.failed && e->line.len) take_event(e, e->line.data, e->line.len, now);
        rs_buf_reset(&e->line);
        bytes = end + 1;
        n -= len + 1;
    }
    if (e->line.len < MAX_READ) rs_buf_add(&e->line, bytes, n);
}

/* What is new in events.jsonl, some of it at a time. */
static bool read_events(entry *e, double now)
{
    char path[4096];
    int fd;
    uint64_t size;
    if (!in_folder(e, "events.jsonl", path) ||
        rs_os_open(path, &fd, &size, NULL) != RS_OK)
        return false;
    bool more = size > e->read;
    while (size > e->read) {
        uint64_t n = size - e->read < MAX_READ ? size - e->read : MAX_READ;
        char *chunk = ui_alloc((size_t)n, 1);
        bool ok = rs_os_read(fd, path, e->read, chunk, (size_t)n, NULL) == RS_OK;
        if (ok) take_bytes(e, chunk, (size_t)n, now);
        free(chunk);
        if (!ok) break;
        e->read += n;
    }
    struct stat st;
    if (more && fstat(fd, &st) == 0) e->job.last_news = (double)st.st_mtime;
    rs_os_close(fd);
    return more;
}

static void last_log_line(const entry *e, char *out, size_t n)
{
    char path[4096];
    rs_buf text = {0};
    if (in_folder(e, "log", path) &&
        rs_os_read_file(path, MAX_READ, &text, NULL) == RS_OK) {
        while (text.len && text.data[text.len - 1] == '\n')
            text.data[--text.len] = 0;
        const char *line = text.len ? strrchr(text.data, '\n') : NULL;
        copy(out, n, line ? line + 1 : rs_buf_str(&text));
    }
    rs_buf_free(&text);
}

/* The process is gone and said nothing that ends a job. */
static void ended_silently(entry *e)
{
    char path[4096];
    bool asked =
        e->stop_asked || (in_folder(e, "stopped", path) && access(path, F_OK) == 0);
    e->job.state = asked ? UI_JOB_STOPPED : UI_JOB_FAILED;
    last_log_line(e, e->job.error, sizeof e->job.error);
    if (e->job.error[0]) return;
    copy(e->job.error, sizeof e->job.error,
         asked ? "ended by force" : "its process ended without a word (killed?)");
}

/* first: at the start, when what ended did so at some time before. */
static bool look_at(entry *e, double now, double wall, bool first)
{
    if (e->job.state != UI_JOB_RUNNING) return false;
    bool lives = ui_job_process_lives(e->job.folder); /* before its last words are read */
    bool news = read_events(e, now);
    if (lives) {
        if (news) take_rate(e, now);
        /* It may say that it is done a moment before it is gone. */
        if (e->job.state == UI_JOB_RUNNING) return news;
    } else if (e->job.state == UI_JOB_RUNNING) {
        ended_silently(e);
    }
    e->job.rate = 0;
    e->job.seconds_left = -1;
    e->job.ended = first && e->job.last_news > 0 ? e->job.last_news : wall;
    return true;
}

/* --- the store --- */

static void insert(ui_job_store *s, entry *e)
{
    s->at = ui_grow(s->at, s->n, &s->cap, sizeof *s->at);
    int i = s->n++;
    for (; i > 0 && s->at[i - 1]->job.id < e->job.id; i--)
        s->at[i] = s->at[i - 1];
    s->at[i] = e;
    s->changed = true;
}

static entry *entry_new(const ui_job_store *s, int id)
{
    entry *e = ui_alloc(1, sizeof *e);
    e->job.id = id;
    e->job.seconds_left = -1;
    snprintf(e->job.folder, sizeof e->job.folder, "%.1000s/%d", s->folder, id);
    return e;
}

static void find_all(ui_job_store *s)
{
    rs_buf names = {0};
    int n = 0;
    if (rs_os_list(s->folder, &names, &n, NULL) != RS_OK) n = 0;
    const char *name = rs_buf_str(&names);
    for (int i = 0; i < n; i++, name += strlen(name) + 1) {
        char *end;
        long id = strtol(name, &end, 10);
        if (*end || id < 1 || id > 999999999) continue;
        entry *e = entry_new(s, (int)id);
        if (load_entry(e))
            insert(s, e);
        else
            entry_free(e);
    }
    rs_buf_free(&names);
}

rs_status ui_job_store_open(const char *folder, const char *exe, ui_job_store **out,
                            rs_err *err)
{
    RS_TRY(rs_os_mkdir(folder, err));
    ui_job_store *s = ui_alloc(1, sizeof *s);
    s->folder = ui_strdup(folder);
    s->exe = ui_strdup(exe);
    find_all(s);
    for (int i = 0; i < s->n; i++)
        (void)look_at(s->at[i], 0, 0, true);
    *out = s;
    return RS_OK;
}

void ui_job_store_free(ui_job_store *s)
{
    if (!s) return;
    for (int i = 0; i < s->n; i++)
        entry_free(s->at[i]);
    free(s->at);
    free(s->list);
    free(s->folder);
    free(s->exe);
    free(s);
}

static int place_of(const ui_job_store *s, int id)
{
    for (int i = 0; i < s->n; i++)
        if (s->at[i]->job.id == id) return i;
    return -1;
}

static rs_status need(const ui_job_store *s, int id, entry **out, rs_err *err)
{
    int i = place_of(s, id);
    if (i < 0) return rs_fail(err, RS_E_NOT_FOUND, "there is no job %d", id);
    *out = s->at[i];
    return RS_OK;
}

/* A folder of its own: the next free number, also against other workbenches. */
static rs_status claim_folder(ui_job_store *s, entry **out, rs_err *err)
{
    int id = s->n ? s->at[0]->job.id + 1 : 1;
    for (int tries = 0; tries < 1000; tries++, id++) {
        entry *e = entry_new(s, id);
        if (mkdir(e->job.folder, 0777) == 0) {
            *out = e;
            return RS_OK;
        }
        entry_free(e);
    }
    return rs_fail(err, RS_E_IO, "no folder for a new job in %s", s->folder);
}

static rs_status run_entry(ui_job_store *s, entry *e, double wall, rs_err *err)
{
    char path[4096];
    e->read = 0;
    e->n_samples = 0;
    e->stop_asked = false;
    rs_buf_reset(&e->line);
    ui_track_drop(e->track);
    e->job.track = e->track = NULL;
    e->job.done = e->job.total = 0;
    e->job.error[0] = e->job.hash[0] = e->job.what[0] = 0;
    e->job.started = wall;
    e->job.ended = e->job.rate = 0;
    e->job.last_news = wall;
    if (in_folder(e, "stopped", path)) (void)unlink(path);
    RS_TRY(save_entry(e, err));
    RS_TRY(ui_job_process_start(s->exe, e->job.folder, e->cwd, e->argv, err));
    e->job.state = UI_JOB_RUNNING;
    s->changed = true;
    return RS_OK;
}

/* Data of the job's own, and the words that stand for it and for a result beside it. */
static rs_status put_data(entry *e, const char *data, rs_err *err)
{
    char of_data[4096], of_out[4096];
    if (!in_folder(e, UI_JOB_DATA, of_data) || !in_folder(e, UI_JOB_RESULT, of_out))
        return rs_fail(err, RS_E_INVALID, "the job's folder has too long a path");
    for (int i = 0; e->argv[i]; i++) {
        if (strcmp(e->argv[i], "@data") == 0) ui_replace(&e->argv[i], of_data);
        if (strcmp(e->argv[i], "@out") == 0) ui_replace(&e->argv[i], of_out);
    }
    if (strcmp(e->job.out, "@out") == 0)
        snprintf(e->job.out, sizeof e->job.out, "%.1023s", of_out);
    return rs_os_write_file(of_data, data, strlen(data), err);
}

static rs_status start_entry(ui_job_store *s, char **argv, const char *title,
                             const char *out, const char *data, const char *cwd,
                             double wall, int *id, rs_err *err)
{
    entry *e = NULL;
    rs_status status = claim_folder(s, &e, err);
    if (status != RS_OK) {
        for (int i = 0; argv[i]; i++)
            free(argv[i]);
        free(argv);
        return status;
    }
    e->argv = argv;
    e->cwd = ui_strdup(cwd);
    copy(e->job.kind, sizeof e->job.kind, argv[1]);
    note_model(e);
    copy(e->job.title, sizeof e->job.title, title);
    copy(e->job.out, sizeof e->job.out, out);
    if (data) status = put_data(e, data, err);
    if (status == RS_OK) status = run_entry(s, e, wall, err);
    if (status != RS_OK) {
        if (rs_os_remove_tree(e->job.folder, NULL) != RS_OK) s->changed = true;
        entry_free(e);
        return status;
    }
    if (id) *id = e->job.id;
    insert(s, e);
    return RS_OK;
}

rs_status ui_job_start(ui_job_store *s, const char *argv, const char *title,
                       const char *out, double wall, int *id, rs_err *err)
{
    return ui_job_start_on(s, argv, title, out, NULL, wall, id, err);
}

rs_status ui_job_start_on(ui_job_store *s, const char *argv, const char *title,
                          const char *out, const char *data, double wall, int *id,
                          rs_err *err)
{
    char cwd[4096];
    rs_json *root;
    RS_TRY(rs_json_parse(argv, strlen(argv), "the job's words", &root, err));
    char **words = words_of(root);
    rs_json_free(root);
    if (!words)
        return rs_fail(err, RS_E_INVALID, "a job needs 2 to %d words", UI_JOB_WORDS);
    if (!getcwd(cwd, sizeof cwd)) copy(cwd, sizeof cwd, "/");
    return start_entry(s, words, title, out, data, cwd, wall, id, err);
}

rs_status ui_job_stop(ui_job_store *s, int id, bool hard, rs_err *err)
{
    char path[4096];
    entry *e;
    RS_TRY(need(s, id, &e, err));
    if (e->job.state != UI_JOB_RUNNING) return RS_OK;
    e->stop_asked = true;
    (void)ui_job_process_signal(e->job.folder, hard ? SIGKILL : SIGTERM);
    /* A full disk is no reason to go on; the mark only tells later sessions. */
    return in_folder(e, "stopped", path) ? rs_os_write_file(path, "", 0, err) : RS_OK;
}

/* A job says that it has ended a moment before its process is gone; give it that moment. */
static void let_go(const entry *e)
{
    const struct timespec moment = {.tv_nsec = 5000000};
    for (int i = 0; i < 100 && ui_job_process_lives(e->job.folder); i++)
        nanosleep(&moment, NULL);
}

/* What was stopped goes on, where its verb can. */
static void add_resume(entry *e)
{
    int n = 0;
    bool can = strcmp(e->job.kind, "fisher") == 0 || strcmp(e->job.kind, "train") == 0;
    for (; e->argv[n]; n++)
        can = can && strcmp(e->argv[n], "--resume") != 0;
    if (!can || n >= UI_JOB_WORDS) return;
    char **argv = ui_alloc((size_t)n + 2, sizeof *argv);
    memcpy(argv, e->argv, (size_t)n * sizeof *argv);
    argv[n] = ui_strdup("--resume");
    free(e->argv);
    e->argv = argv;
}

rs_status ui_job_again(ui_job_store *s, int id, double wall, rs_err *err)
{
    entry *e;
    RS_TRY(need(s, id, &e, err));
    if (e->job.state == UI_JOB_RUNNING)
        return rs_fail(err, RS_E_INVALID, "job %d is still running", id);
    let_go(e);
    if (e->job.state != UI_JOB_DONE) {
        add_resume(e);
        return run_entry(s, e, wall, err);
    }
    int n = 0;
    while (e->argv[n])
        n++;
    char **argv = ui_alloc((size_t)n + 1, sizeof *argv);
    for (int i = 0; i < n; i++)
        argv[i] = ui_strdup(e->argv[i]);
    return start_entry(s, argv, e->job.title, e->job.out, NULL, e->cwd, wall, NULL, err);
}

rs_status ui_job_forget(ui_job_store *s, int id, rs_err *err)
{
    entry *e;
    RS_TRY(need(s, id, &e, err));
    if (ui_job_process_lives(e->job.folder))
        return rs_fail(err, RS_E_INVALID, "job %d is running: x stops it first", id);
    RS_TRY(rs_os_remove_tree(e->job.folder, err));
    int i = place_of(s, id);
    memmove(s->at + i, s->at + i + 1, (size_t)(s->n - i - 1) * sizeof *s->at);
    s->n--;
    entry_free(e);
    s->changed = true;
    return RS_OK;
}

bool ui_job_store_poll(ui_job_store *s, double now, double wall)
{
    bool news = s->changed;
    for (int i = 0; i < s->n; i++)
        news |= look_at(s->at[i], now, wall, false);
    s->changed = false;
    if (!news) return false;
    free(s->list);
    s->list = ui_alloc((size_t)s->n + 1, sizeof *s->list);
    for (int i = 0; i < s->n; i++)
        s->list[i] = s->at[i]->job;
    return true;
}

bool ui_job_store_is_running(const ui_job_store *s)
{
    for (int i = 0; i < s->n; i++)
        if (s->at[i]->job.state == UI_JOB_RUNNING) return true;
    return s->changed;
}

const ui_job *ui_job_store_list(const ui_job_store *s, int *n)
{
    *n = s->list ? s->n : 0;
    return s->list;
}
