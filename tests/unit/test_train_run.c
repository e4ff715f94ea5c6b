/* A training as a run: the same bytes for any threads, every interruption and every kill;
 * states of other work are refused. */
#include "tests/train.h"

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
    T_OK(train_anew(1, &o, &r));
    T_TRUE(r.resumed_at > 0 && is_clean(out));
    free(r.steps);
    o.resume = false;
    T_FAILS(train_anew(1, &o, &r), RS_E_EXISTS, "exists");
}

T_MAIN(T_TEST(any_threads), T_TEST(stopped_and_gone_on_with),
       T_TEST(killed_at_its_writes), T_TEST(killed_at_random),
       T_TEST(other_work_is_refused))
