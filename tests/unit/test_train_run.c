/* A training as a run: the same bytes for any threads, every interruption and every kill;
 * states of other work are refused. */
#include "tests/train.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bool same_file(const char *a, const char *b, const char *name)
{
    char x[600], y[600];
    rs_buf p = {0}, q = {0};
    snprintf(x, sizeof x, "%s/%s", a, name);
    snprintf(y, sizeof y, "%s/%s", b, name);
    bool same = rs_os_read_file(x, 64 << 20, &p, &t_err) == RS_OK &&
                rs_os_read_file(y, 64 << 20, &q, &t_err) == RS_OK && p.len == q.len &&
                p.len > 0 && memcmp(p.data, q.data, p.len) == 0;
    rs_buf_free(&p);
    rs_buf_free(&q);
    return same;
}

static bool same_adapters(const char *a, const char *b)
{
    return same_file(a, b, "adapter_model.safetensors") &&
           same_file(a, b, "adapter_config.json") && same_file(a, b, "README.md");
}

/* --- the same bytes --- */

static void any_threads(void)
{
    const char *folder = t_folder(), *one = in_folder(folder, "one");
    rs_train_result a, b;
    rs_train_options o = options_of(one);
    T_OK(train_anew(1, &o, &a));
    T_TRUE(is_clean(one) && a.resumed_at < 0);
    for (int threads = 2; threads <= 5; threads++) {
        o.out = in_folder(folder, "many");
        o.force = true;
        T_OK(train_anew(threads, &o, &b));
        T_TRUE(same_adapters(one, o.out));
        T_TRUE(memcmp(a.steps, b.steps, STEPS * sizeof *a.steps) == 0);
        T_STR(a.hash, b.hash);
        free(b.steps);
    }
    free(a.steps);
}

/* Says no at the left-th call. */
typedef struct stopper {
    uint64_t left; /* 0: never */
} stopper;

static bool go_on(void *ctx, const rs_progress *p)
{
    stopper *s = ctx;
    (void)p;
    return s->left == 0 || --s->left > 0;
}

static double tick(void)
{
    static double t;
    return t += 1;
}

static void stopped_and_gone_on_with(void)
{
    const char *folder = t_folder(), *one = in_folder(folder, "one"),
               *two = in_folder(folder, "two");
    rs_train_result whole, r;
    rs_train_options o = options_of(one);
    T_OK(train_anew(2, &o, &whole));
    o.out = two;
    o.progress = go_on;
    int stops = 0;
    for (uint64_t at = 1; at < 400; at += 13) {
        stopper stop = {at}, never = {0};
        o.progress_ctx = &stop;
        o.now = at % 2 ? tick : NULL;
        o.resume = false;
        rs_status st = train_anew(1 + (int)(at % 3), &o, &r);
        if (st == RS_OK) { /* it had ended before */
            free(r.steps);
            T_OK(rs_os_remove_tree(two, &t_err));
            continue;
        }
        stops++;
        T_EQ(st, RS_E_CANCELLED);
        T_TRUE(strstr(t_err.msg, "--resume goes on") && rs_os_kind(two) == RS_PATH_NONE);
        o.progress_ctx = &never;
        o.resume = true;
        T_OK(train_anew(1 + (int)(at % 2), &o, &r));
        T_TRUE(r.resumed_at >= 0 && same_adapters(one, two) && is_clean(two));
        T_TRUE(memcmp(whole.steps, r.steps, STEPS * sizeof *r.steps) == 0);
        free(r.steps);
        T_OK(rs_os_remove_tree(two, &t_err));
    }
    T_TRUE(stops >= 20);
    free(whole.steps);
}

static int run_and_exit(const rs_train_options *o)
{
    rs_train_result r;
    rs_status st = train_anew(1, o, &r);
    return st == RS_OK ? 0 : 1;
}

/* Killed before each of its writes, syncs and renames; the next run goes on from what it
 * left. */
static void killed_at_its_writes(void)
{
    const char *folder = t_folder(), *one = in_folder(folder, "one"),
               *two = in_folder(folder, "two");
    rs_train_result r;
    rs_train_options o = options_of(one);
    o.now = tick; /* a state after every step */
    long before = rs_os_write_calls();
    T_OK(train_anew(1, &o, &r));
    long calls = rs_os_write_calls() - before;
    free(r.steps);
    o.out = two;
    int kills = 0, resumed = 0;
    for (long at = 1; at <= calls; at++) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            rs_os_faults(at, 0, true);
            _exit(run_and_exit(&o));
        }
        int status = 0;
        T_TRUE(waitpid(pid, &status, 0) == pid);
        kills += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
        bool whole = rs_os_kind(two) == RS_PATH_FOLDER; /* only after its rename */
        o.resume = true;
        if (!whole) {
            T_OK(train_anew(2, &o, &r));
            resumed += r.resumed_at > 0;
            free(r.steps);
        }
        o.resume = false;
        T_TRUE(same_adapters(one, two));
        T_OK(rs_os_remove_tree(two, &t_err));
    }
    printf("  killed %d times in %ld calls, resumed %d times\n", kills, calls, resumed);
    T_TRUE(kills >= calls - 2 && resumed > calls / 2);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Killed again and again at whatever it is doing, until a run comes through. */
static void killed_at_random(void)
{
    const char *folder = t_folder(), *one = in_folder(folder, "one"),
               *two = in_folder(folder, "two");
    rs_train_result r;
    rs_train_options o = options_of(one);
    double began = seconds();
    T_OK(train_anew(1, &o, &r));
    double took = seconds() - began;
    free(r.steps);
    o.out = two;
    o.now = tick;
    o.resume = true;
    int kills = 0;
    for (uint64_t round = 0; round < 3; round++) {
        for (uint64_t k = 0; rs_os_kind(two) == RS_PATH_NONE; k++) {
            double share = (double)(rs_rng_at(round, 1, k) >> 11) * 0x1p-53;
            double wait = took * (0.05 + 0.4 * share) * (1 + 0.1 * (double)k);
            fflush(stdout);
            pid_t pid = fork();
            if (pid == 0) _exit(run_and_exit(&o));
            struct timespec t = {(time_t)wait, (long)((wait - floor(wait)) * 1e9)};
            nanosleep(&t, NULL);
            kill(pid, SIGKILL);
            int status = 0;
            T_TRUE(waitpid(pid, &status, 0) == pid && k < 200);
            kills += WIFSIGNALED(status);
        }
        T_TRUE(same_adapters(one, two));
        T_OK(rs_os_remove_tree(two, &t_err));
    }
    printf("  killed %d times at random\n", kills);
    T_TRUE(kills >= 3);
}

/* --- a disk that is full now and then --- */

static void count_warnings(void *ctx, const char *text)
{
    if (strstr(text, "no state after ") && strstr(text, "state.new")) ++*(int *)ctx;
}

/* One call of the write side fails. In a state between steps that is told of, and the bytes
 * are the same; half a state is never left beside. */
static void states_that_cannot_be_written(void)
{
    const char *folder = t_folder(), *one = in_folder(folder, "one"),
               *two = in_folder(folder, "two"),
               *half = in_folder(folder, "two.training/state.new");
    int warnings = 0, went_on = 0, ended = 0;
    rs_train_result r;
    rs_train_options o = options_of(one);
    o.now = tick; /* a state after every step */
    o.warned = count_warnings;
    o.told_ctx = &warnings;
    long before = rs_os_write_calls();
    T_OK(train_anew(1, &o, &r));
    long calls = rs_os_write_calls() - before;
    free(r.steps);
    T_EQ(warnings, 0);
    o.out = two;
    for (long at = 1; at <= calls; at++) {
        int told = warnings;
        rs_os_faults(at, ENOSPC, false);
        rs_status st = train_anew(1, &o, &r);
        rs_os_faults(0, 0, false);
        T_TRUE(rs_os_kind(half) == RS_PATH_NONE);
        ended += st != RS_OK;
        if (st == RS_OK) {
            went_on += warnings == told + 1;
            free(r.steps);
            T_TRUE(same_adapters(one, two) && is_clean(two));
        }
        T_OK(rs_os_remove_tree(two, &t_err));
    }
    printf("  %ld calls: %d without a state, %d ends\n", calls, went_on, ended);
    T_TRUE(went_on >= 4 * STEPS && ended > 5);
}

/* --- memory --- */

/* Refused by its sum, before anything is written; with that much it goes through. */
static void memory_is_a_budget(void)
{
    const char *out = in_folder(t_folder(), "a");
    subject s;
    rs_train_result r;
    double need, may;
    rs_train_options o = options_of(out);
    T_TRUE(open_subject(&s, tiny, 2));
    s.rt.memory_bytes = 64 << 20;
    T_FAILS(train(&s, &o, &r), RS_E_NOMEM, "of weights, and sequences of 22 tokens");
    const char *numbers = strstr(t_err.msg, "need ");
    T_TRUE(numbers && sscanf(numbers, "need %lf MB, %lf MB may", &need, &may) == 2);
    T_TRUE(need > 80 && need < 110 && may == 67);
    T_TRUE(rs_os_kind(out) == RS_PATH_NONE && is_clean(out));
    s.rt.memory_bytes = (uint64_t)((need - 1) * 1e6);
    T_FAILS(train(&s, &o, &r), RS_E_NOMEM, "--memory");
    s.rt.memory_bytes = (uint64_t)((need + 1) * 1e6);
    T_OK(train(&s, &o, &r));
    free(r.steps);
    close_subject(&s);
}

/* --- numbers --- */

static void numbers_that_are_none(void)
{
    rs_train_result r;
    rs_train_options o = options_of(in_folder(t_folder(), "a"));
    rs_train_options all[6] = {o, o, o, o, o, o};
    all[0].batch = INT64_MAX / STEPS + 1;
    all[1].adamw.rate = INFINITY;
    all[2].adamw.decay = -1;
    all[3].adamw.clip = NAN;
    all[4].strength = 1.5;
    all[5].in_order = true;
    static const char *const why[] = {
        "7 steps of 1317624576693539402 sequences are too many to count",
        "a learning rate of inf is not a number from 0",
        "a weight decay of -1 is not a number from 0",
        "(clip) of nan is not a number from 0",
        "a strength of 1.5 is not from 0 to 1",
        "3 corpora in the order of the file: it is one file's alone"};
    for (int i = 0; i < 6; i++)
        T_FAILS(train_anew(1, &all[i], &r), RS_E_INVALID, why[i]);
    T_TRUE(is_clean(o.out));
}

/* --- states of others, damaged ones --- */

static void other_work_is_refused(void)
{
    const char *out = in_folder(t_folder(), "a");
    char state[600];
    rs_train_result r;
    rs_train_options o = options_of(out);
    stopper stop = {150};
    o.progress = go_on;
    o.progress_ctx = &stop;
    T_EQ(train_anew(1, &o, &r), RS_E_CANCELLED);
    stop.left = 0;
    o.resume = true;
    snprintf(state, sizeof state, "%s.training/state", out);
    rs_buf kept_state = get_file(state);
    rs_train_options others[6] = {o, o, o, o, o, o};
    rs_string_pair fact = {"model", "other"};
    others[0].seed = 99;
    others[1].adamw.rate = 0.02;
    others[2].projecting = RS_PROJECT_GRADIENT;
    others[3].batch = 2;
    others[4].adamw.steps = STEPS + 1;
    others[5].facts = &fact;
    others[5].n_facts = 1;
    for (int i = 0; i < 6; i++)
        T_FAILS(train_anew(1, &others[i], &r), RS_E_MISMATCH, "is of other work");
    subject s;
    T_TRUE(open_subject(&s, tiny, 1));
    s.ids[1][2][3] ^= 1;
    T_FAILS(train(&s, &o, &r), RS_E_MISMATCH, "is of other work");
    close_subject(&s);
    for (size_t at = 40; at < kept_state.len; at += kept_state.len / 5) {
        kept_state.data[at] ^= 1;
        put_file(state, kept_state.data, kept_state.len);
        T_FAILS(train_anew(1, &o, &r), RS_E_FORMAT, "is damaged");
        kept_state.data[at] ^= 1;
    }
    put_file(state, kept_state.data, kept_state.len / 2);
    T_TRUE(train_anew(1, &o, &r) != RS_OK);
    put_file(state, kept_state.data, kept_state.len);
    T_TRUE(open_subject(&s, tiny, 1));
    s.corpora[0].name = "sea.txt"; /* the same file, spelled otherwise */
    T_OK(train(&s, &o, &r));
    T_TRUE(r.resumed_at > 0 && is_clean(out));
    free(r.steps);
    close_subject(&s);
    o.resume = false;
    T_FAILS(train_anew(1, &o, &r), RS_E_EXISTS, "exists");
}

T_MAIN(T_TEST(any_threads), T_TEST(stopped_and_gone_on_with),
       T_TEST(killed_at_its_writes), T_TEST(killed_at_random),
       T_TEST(states_that_cannot_be_written), T_TEST(memory_is_a_budget),
       T_TEST(numbers_that_are_none), T_TEST(other_work_is_refused))
