/* Jobs that outlive whoever started them. This program is also the job's process. */
#include "base/os.h"
#include "tests/t.h"
#include "tui/app/jobs.h"
#include "tui/app/job_process.h"
#include "tui/app/track.h"
#include "tui/verbs/verbs.h"

#include <signal.h>
#include <unistd.h>

static char folder[256];

static ui_job_store *open_store(void)
{
    ui_job_store *s = NULL;
    if (ui_job_store_open(folder, "/proc/self/exe", &s, &t_err) != RS_OK)
        printf("%s\n", t_err.msg);
    return s;
}

static int start(ui_job_store *s, const char *what)
{
    char argv[128];
    int id = 0;
    snprintf(argv, sizeof argv, "[\"ringside\",\"work\",\"%s\"]", what);
    if (ui_job_start(s, argv, "a title", "/out", 1000, &id, &t_err) != RS_OK)
        printf("%s\n", t_err.msg);
    return id;
}

static ui_job job_of(const ui_job_store *s, int id)
{
    int n;
    const ui_job *list = ui_job_store_list(s, &n);
    for (int i = 0; i < n; i++)
        if (list[i].id == id) return list[i];
    return (ui_job){.id = -1};
}

/* Reads until the job has this state, or 20 seconds have gone. */
static bool becomes(ui_job_store *s, int id, ui_job_state state)
{
    double until = ui_now() + 20;
    do {
        (void)ui_job_store_poll(s, ui_now(), 2000);
        if (job_of(s, id).id == id && job_of(s, id).state == state) return true;
        usleep(5000);
    } while (ui_now() < until);
    printf("  job %d has state %d: %s\n", id, (int)job_of(s, id).state, job_of(s, id).error);
    return false;
}

/* The process says that it is done before it ends. */
static bool is_forgotten(ui_job_store *s, int id)
{
    double until = ui_now() + 20;
    rs_status st;
    while ((st = ui_job_forget(s, id, &t_err)) != RS_OK && ui_now() < until)
        usleep(5000);
    if (st != RS_OK) printf("  %s\n", t_err.msg);
    return st == RS_OK;
}

static bool steps(ui_job_store *s, int id, uint64_t done)
{
    double until = ui_now() + 20;
    while (job_of(s, id).done < done && ui_now() < until) {
        (void)ui_job_store_poll(s, ui_now(), 2000);
        usleep(5000);
    }
    return job_of(s, id).done >= done;
}

static void begin(void) { snprintf(folder, sizeof folder, "%s/jobs", t_folder()); }

static void a_job_runs_and_is_done(void)
{
    begin();
    ui_job_store *s = open_store();
    int id = start(s, "done");
    T_EQ(id, 1);
    T_TRUE(ui_job_store_is_running(s));
    T_TRUE(becomes(s, id, UI_JOB_DONE));
    ui_job j = job_of(s, id);
    T_STR(j.kind, "work");
    T_STR(j.title, "a title");
    T_STR(j.out, "/out");
    T_STR(j.hash, "abc");
    T_STR(j.what, "layers.3");
    T_EQ(j.done, 10);
    T_TRUE(j.started == 1000 && j.ended == 2000);
    T_TRUE(!ui_job_store_is_running(s));
    T_EQ(start(s, "done"), 2);
    ui_job_store_free(s);
}

static void failures_are_told_apart(void)
{
    begin();
    ui_job_store *s = open_store();
    int error = start(s, "error"), silent = start(s, "crash"), usage = start(s, "usage");
    T_TRUE(becomes(s, error, UI_JOB_FAILED));
    T_STR(job_of(s, error).error, "no such file");
    T_TRUE(becomes(s, silent, UI_JOB_FAILED));
    T_TRUE(strstr(job_of(s, silent).error, "without a word"));
    T_TRUE(becomes(s, usage, UI_JOB_FAILED));
    T_STR(job_of(s, usage).error, "ringside work: wrong words");
    ui_job_store_free(s);
}

static void stopping_is_asked_and_then_forced(void)
{
    begin();
    ui_job_store *s = open_store();
    int soft = start(s, "wait"), stubborn = start(s, "stubborn");
    T_TRUE(steps(s, soft, 1) && steps(s, stubborn, 1));
    T_FAILS(ui_job_forget(s, soft, &t_err), RS_E_INVALID, "running");
    T_OK(ui_job_stop(s, soft, false, &t_err));
    T_OK(ui_job_stop(s, stubborn, false, &t_err));
    T_TRUE(becomes(s, soft, UI_JOB_STOPPED));
    T_TRUE(job_of(s, stubborn).state == UI_JOB_RUNNING);
    T_OK(ui_job_stop(s, stubborn, true, &t_err));
    T_TRUE(becomes(s, stubborn, UI_JOB_STOPPED));
    T_STR(job_of(s, stubborn).error, "ended by force");
    T_OK(ui_job_again(s, soft, 3000, &t_err)); /* in its own place */
    T_TRUE(job_of(s, soft).id == soft);
    T_TRUE(steps(s, soft, 1));
    T_OK(ui_job_stop(s, soft, true, &t_err));
    T_TRUE(becomes(s, soft, UI_JOB_STOPPED));
    T_TRUE(is_forgotten(s, soft));
    (void)ui_job_store_poll(s, 0, 0);
    T_EQ(job_of(s, soft).id, -1);
    ui_job_store_free(s);
}

static void jobs_outlive_the_store(void)
{
    begin();
    ui_job_store *s = open_store();
    int runs = start(s, "wait"), ends = start(s, "done");
    T_TRUE(steps(s, runs, 1));
    T_TRUE(becomes(s, ends, UI_JOB_DONE));
    ui_job_store_free(s);
    s = open_store();
    (void)ui_job_store_poll(s, ui_now(), 2000);
    int n;
    const ui_job *list = ui_job_store_list(s, &n);
    T_EQ(n, 2);
    T_TRUE(list[0].id == ends && list[1].id == runs); /* newest first */
    T_TRUE(list[0].state == UI_JOB_DONE && list[1].state == UI_JOB_RUNNING);
    T_TRUE(list[0].ended > 1e9); /* when its last word was written */
    T_OK(ui_job_stop(s, runs, false, &t_err));
    T_TRUE(becomes(s, runs, UI_JOB_STOPPED));
    T_OK(ui_job_again(s, ends, 1, &t_err)); /* a done one: a new job */
    T_TRUE(becomes(s, 3, UI_JOB_DONE));
    ui_job_store_free(s);
}

static void rates_come_from_the_last_seconds(void)
{
    begin();
    ui_job_store *s = open_store();
    int id = start(s, "steady");
    T_TRUE(steps(s, id, 1));
    for (int i = 0; i < 90 && job_of(s, id).seconds_left < 0; i++) {
        (void)ui_job_store_poll(s, ui_now(), 2000);
        usleep(100000);
    }
    ui_job j = job_of(s, id);
    T_TRUE(j.rate > 5 && j.rate < 25); /* a step each 100 ms, late ones allowed */
    T_NEAR(j.seconds_left, (double)(j.total - j.done) / j.rate, 1e-9, 1e-9);
    T_OK(ui_job_stop(s, id, true, &t_err));
    T_TRUE(becomes(s, id, UI_JOB_STOPPED));
    ui_job_store_free(s);
}

static void hostile_files_are_passed_over(void)
{
    char path[300];
    begin();
    snprintf(path, sizeof path, "%s/7", folder);
    T_OK(rs_os_mkdir(path, &t_err));
    strcat(path, "/job.json");
    T_OK(rs_os_write_file(path, "{\"argv\":3}", 10, &t_err));
    snprintf(path, sizeof path, "%s/x", folder);
    T_OK(rs_os_mkdir(path, &t_err));
    ui_job_store *s = open_store();
    int n;
    (void)ui_job_store_poll(s, 0, 0);
    (void)ui_job_store_list(s, &n);
    T_EQ(n, 0);
    int id = start(s, "garbage");
    T_TRUE(becomes(s, id, UI_JOB_DONE));
    T_FAILS(ui_job_start(s, "{}", "t", "o", 0, NULL, &t_err), RS_E_INVALID, "words");
    T_FAILS(ui_job_stop(s, 99, false, &t_err), RS_E_NOT_FOUND, "99");
    ui_job_store_free(s);
}

/* What a Fisher tells of its layers is kept with the job, and shared with who shows it. */
static void layers_and_curves_are_kept(void)
{
    begin();
    ui_job_store *s = open_store();
    int id = start(s, "layers\",\"--model\",\"/m/it");
    T_TRUE(becomes(s, id, UI_JOB_DONE));
    ui_job j = job_of(s, id);
    T_STR(j.model, "/m/it");
    T_TRUE(j.track && j.track->n_means == 2 && j.track->n_layers == 2);
    T_TRUE(j.track->means[0].mean == 0.5 && j.track->means[1].layer == 3);
    ui_track_keep(j.track);
    ui_job_store_free(s);
    T_STR(j.track->means[1].name, "b");
    ui_track_drop(j.track);
    s = open_store(); /* a new workbench reads it again */
    (void)ui_job_store_poll(s, 1, 1);
    T_TRUE(job_of(s, id).track && job_of(s, id).track->n_means == 2);
    ui_job_store_free(s);
}

/* Data of a job's own lie in its folder, and go with it. */
static void a_job_with_data_of_its_own(void)
{
    char path[400];
    int id;
    rs_buf text = {0};
    begin();
    ui_job_store *s = open_store();
    T_OK(ui_job_start_on(s, "[\"ringside\",\"work\",\"done\",\"@data\",\"@out\",\"x@out\"]", "t",
                         "@out", "{\"a\":1}\n", 1000, &id, &t_err));
    T_TRUE(becomes(s, id, UI_JOB_DONE));
    snprintf(path, sizeof path, "%s/%d/" UI_JOB_RESULT, folder, id);
    T_STR(job_of(s, id).out, path);
    snprintf(path, sizeof path, "%s/%d/" UI_JOB_DATA, folder, id);
    T_OK(rs_os_read_file(path, 100, &text, &t_err));
    T_STR(rs_buf_str(&text), "{\"a\":1}\n");
    rs_buf_reset(&text);
    snprintf(path, sizeof path, "%s/%d/job.json", folder, id);
    T_OK(rs_os_read_file(path, 4000, &text, &t_err));
    T_TRUE(strstr(rs_buf_str(&text), UI_JOB_DATA "\",\"") != NULL);
    T_TRUE(strstr(rs_buf_str(&text), "\"x@out\"") != NULL);
    T_TRUE(strstr(rs_buf_str(&text), "\"@") == NULL);
    T_TRUE(is_forgotten(s, id));
    T_TRUE(rs_os_kind(path) == RS_PATH_NONE);
    rs_buf_free(&text);
    ui_job_store_free(s);
}

/* The disk is full when the pid is written: nothing runs that nobody can stop. */
static void a_full_disk_starts_nothing(void)
{
    char path[400], argv0[] = "ringside", work_word[] = "work", what[] = "done";
    char *argv[] = {argv0, work_word, what, NULL};
    rs_buf events = {0};
    begin();
    T_OK(rs_os_mkdir(folder, &t_err));
    snprintf(path, sizeof path, "%s/pid", folder);
    T_EQ(symlink("/dev/full", path), 0);
    T_FAILS(ui_job_process_start("/proc/self/exe", folder, "/", argv, &t_err), RS_E_IO,
            "could not be started");
    double until = ui_now() + 5;
    while (ui_job_process_lives(folder) && ui_now() < until)
        usleep(5000);
    T_TRUE(!ui_job_process_lives(folder));
    snprintf(path, sizeof path, "%s/events.jsonl", folder);
    T_OK(rs_os_read_file(path, 1000, &events, &t_err));
    T_EQ(events.len, 0);
    rs_buf_free(&events);
}

/* --- the job --- */

static volatile sig_atomic_t stopped;
static void on_term(int sig)
{
    (void)sig;
    stopped = 1;
}

static void say(int fd, const char *line)
{
    if (write(fd, line, strlen(line)) < 0) _exit(9);
}

static int work(const char *what, int fd)
{
    static const char step[] = "{\"event\":\"step\",\"done\":%d,\"total\":1000,\"unit\":\"bytes\",\"rate\":1,\"what\":\"layers.3\"}\n";
    char line[200];
    signal(SIGTERM, strcmp(what, "stubborn") == 0 ? SIG_IGN : on_term);
    if (strcmp(what, "usage") == 0) return fprintf(stderr, "ringside work: wrong words\n"), 2;
    if (strcmp(what, "garbage") == 0) say(fd, "{\n\n[]\nnull\n{\"event\":7}\n");
    say(fd, "{\"event\":\"start\"}\n");
    if (strcmp(what, "layers") == 0)
        say(fd, "{\"event\":\"fisher\",\"layer\":4,\"tensors\":[{\"name\":\"a\",\"mean\":0.5,\"max\":2}]}\n"
                "{\"event\":\"fisher\",\"layer\":3,\"tensors\":[{\"name\":\"b\",\"mean\":1},{},7]}\n"
                "{\"event\":\"fisher\"}\n{\"event\":\"fisher\",\"layer\":-7,\"tensors\":{}}\n");
    snprintf(line, sizeof line, step, 1);
    say(fd, line);
    if (strcmp(what, "crash") == 0) raise(SIGKILL);
    if (strcmp(what, "error") == 0)
        return say(fd, "{\"event\":\"error\",\"status\":3,\"text\":\"no such file\"}\n"), 3;
    bool waits = strcmp(what, "wait") == 0 || strcmp(what, "stubborn") == 0;
    for (int i = 2; (waits || strcmp(what, "steady") == 0) && !stopped && i < 600; i++) {
        usleep(100000);
        snprintf(line, sizeof line, step, i);
        say(fd, line);
    }
    if (stopped)
        return say(fd, "{\"event\":\"error\",\"status\":130,\"text\":\"cancelled\"}\n"), 130;
    say(fd, "{\"event\":\"step\",\"done\":10,\"total\":10,\"unit\":\"bytes\",\"what\":\"layers.3\"}\n");
    say(fd, "{\"event\":\"done\",\"result\":{\"hash\":\"abc\"}}\n");
    return 0;
}

int main(int argc, char **argv)
{
    static const t_test tests[] = {
        T_TEST(a_job_runs_and_is_done),          T_TEST(failures_are_told_apart),
        T_TEST(stopping_is_asked_and_then_forced), T_TEST(jobs_outlive_the_store),
        T_TEST(rates_come_from_the_last_seconds), T_TEST(hostile_files_are_passed_over),
        T_TEST(a_full_disk_starts_nothing),      T_TEST(layers_and_curves_are_kept),
        T_TEST(a_job_with_data_of_its_own),
    };
    if (argc >= 5 && strcmp(argv[1], "work") == 0) return work(argv[2], atoi(argv[argc - 1]));
    return t_run(__FILE__, tests, (int)(sizeof tests / sizeof *tests), argc, argv);
}
