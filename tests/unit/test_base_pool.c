#include "base/pool.h"
#include "base/rng.h"
#include "tests/t.h"

#include <dirent.h>
#include <stdatomic.h>
#include <time.h>

typedef struct counted {
    atomic_int done[1000];
    atomic_int workers[64];
    atomic_int total;
    int64_t stop_from; /* this chunk and all after it say false */
} counted;

static bool count(void *ctx, int64_t chunk, int worker)
{
    counted *c = ctx;
    atomic_fetch_add(&c->done[chunk], 1);
    atomic_fetch_add(&c->workers[worker], 1);
    atomic_fetch_add(&c->total, 1);
    return chunk < c->stop_from;
}

static void every_chunk_once(void)
{
    static const int threads[] = {1, 2, 3, 7, 16};
    for (int t = 0; t < 5; t++) {
        rs_pool *p;
        T_OK(rs_pool_new(threads[t], &p, &t_err));
        T_EQ(rs_pool_threads(p), threads[t]);
        for (int64_t n = 0; n <= 1000; n = n * 3 + 1) {
            static counted c;
            memset(&c, 0, sizeof c);
            c.stop_from = INT64_MAX;
            T_TRUE(rs_pool_run(p, n, count, &c));
            for (int64_t i = 0; i < 1000; i++)
                T_EQ(c.done[i], i < n);
            int by_workers = 0;
            for (int w = 0; w < threads[t]; w++)
                by_workers += c.workers[w];
            T_EQ(by_workers, n); /* worker numbers stay below threads */
        }
        rs_pool_free(p);
    }
}

static void a_false_stops_the_run(void)
{
    rs_pool *p;
    T_OK(rs_pool_new(4, &p, &t_err));
    for (int round = 0; round < 50; round++) {
        static counted c;
        memset(&c, 0, sizeof c);
        c.stop_from = 10;
        T_TRUE(!rs_pool_run(p, 1000, count, &c));
        T_EQ(c.done[10], 1);
        T_TRUE(c.total <= 10 + 4); /* after its own false no thread takes another chunk */
        c.stop_from = INT64_MAX;
        T_TRUE(rs_pool_run(p, 100, count, &c)); /* and the next run is whole again */
    }
    static counted alone;
    alone.stop_from = 3;
    T_TRUE(!rs_pool_run(NULL, 100, count, &alone));
    T_EQ(alone.total, 4);
    T_EQ(rs_pool_threads(NULL), 1);
    rs_pool_free(p);
    rs_pool_free(NULL);
}

typedef struct sums {
    double part[64];
} sums;

static bool sum_part(void *ctx, int64_t chunk, int worker)
{
    (void)worker;
    double s = 0;
    for (uint64_t i = 0; i < 1000; i++)
        s += (double)rs_rng_at(1, (uint64_t)chunk, i) * 0x1p-64;
    ((sums *)ctx)->part[chunk] = s;
    return true;
}

static void results_do_not_depend_on_threads(void)
{
    sums one = {{0}};
    T_TRUE(rs_pool_run(NULL, 64, sum_part, &one));
    for (int threads = 1; threads <= 7; threads += 2) {
        sums many = {{0}};
        rs_pool *p;
        T_OK(rs_pool_new(threads, &p, &t_err));
        T_TRUE(rs_pool_run(p, 64, sum_part, &many));
        T_EQ(memcmp(&one, &many, sizeof one), 0);
        rs_pool_free(p);
    }
}

static bool nothing(void *ctx, int64_t chunk, int worker)
{
    (void)chunk;
    (void)worker;
    atomic_fetch_add((atomic_long *)ctx, 1);
    return true;
}

static void many_short_runs(void)
{
    rs_pool *p;
    atomic_long n = 0;
    T_OK(rs_pool_new(3, &p, &t_err));
    for (int i = 0; i < 20000; i++)
        T_TRUE(rs_pool_run(p, 1 + i % 5, nothing, &n));
    T_EQ(n, 20000 / 5 * 15);
    rs_pool_free(p);
}

static void runs_after_sleep(void)
{
    rs_pool *p;
    atomic_long n = 0;
    T_OK(rs_pool_new(4, &p, &t_err));
    for (int i = 0; i < 20; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL); /* past the spinning */
        T_TRUE(rs_pool_run(p, 8, nothing, &n));
    }
    T_EQ(n, 160);
    rs_pool_free(p);
}

/* What the kernel counts of one thread: a thread that sleeps through has the same switches
 * before and after; one that spins is running, one that polls has more. */
typedef struct thread_count {
    long tid, switches;
    bool asleep;
} thread_count;

static thread_count count_of(long tid)
{
    char path[64], line[128];
    thread_count c = {.tid = tid};
    snprintf(path, sizeof path, "/proc/self/task/%ld/status", tid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        long n;
        if (!strncmp(line, "State:\tS", 8)) c.asleep = true;
        if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1) c.switches += n;
        if (sscanf(line, "nonvoluntary_ctxt_switches: %ld", &n) == 1) c.switches += n;
    }
    if (f) fclose(f);
    return c;
}

enum { MAX_THREADS = 16 };

/* The threads of this process but the first `n_old` of `old`, in the kernel's order. */
static int threads_now(thread_count *c, const thread_count *old, int n_old)
{
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    for (struct dirent *e; d && n < MAX_THREADS && (e = readdir(d));) {
        bool is_old = e->d_name[0] == '.';
        for (int i = 0; i < n_old; i++)
            is_old |= old[i].tid == atol(e->d_name);
        if (!is_old) c[n++] = count_of(atol(e->d_name));
    }
    if (d) closedir(d);
    return n;
}

static bool slept(const thread_count *before, const thread_count *after, int n)
{
    for (int i = 0; i < n; i++)
        if (!after[i].asleep || after[i].tid != before[i].tid ||
            after[i].switches != before[i].switches)
            return false;
    return true;
}

/* Three looks in a row find them asleep; the first may come too early, since the workers
 * spin before they sleep and a busy machine may let them do so late. */
static void sleeping_costs_nothing(void)
{
    rs_pool *p;
    atomic_long n = 0;
    thread_count old[MAX_THREADS], before[MAX_THREADS], after[MAX_THREADS];
    T_OK(rs_pool_new(2, &p, &t_err)); /* a sanitizer's own thread starts with the first */
    rs_pool_free(p);
    int n_old = threads_now(old, NULL, 0);
    T_OK(rs_pool_new(4, &p, &t_err));
    T_TRUE(rs_pool_run(p, 8, nothing, &n));
    int quiet = 0;
    for (int look = 0; look < 20 && quiet < 3; look++) {
        T_EQ(threads_now(before, old, n_old), 3);
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        T_EQ(threads_now(after, old, n_old), 3);
        quiet = slept(before, after, 3) ? quiet + 1 : 0;
    }
    T_EQ(quiet, 3);
    rs_pool_free(p);
}

static void refuses_silly_numbers(void)
{
    rs_pool *p;
    T_FAILS(rs_pool_new(0, &p, &t_err), RS_E_INVALID, "0 threads: give a number");
    T_FAILS(rs_pool_new(100000, &p, &t_err), RS_E_INVALID, "100000 threads");
    T_TRUE(p == NULL);
}

T_MAIN(T_TEST(every_chunk_once), T_TEST(a_false_stops_the_run),
       T_TEST(results_do_not_depend_on_threads), T_TEST(many_short_runs),
       T_TEST(runs_after_sleep), T_TEST(sleeping_costs_nothing),
       T_TEST(refuses_silly_numbers))
