#include "base/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SPIN_ROUNDS = 2000 };

/* A run is open while `state` has the bit OPEN; its lower bits count the workers inside. A
 * worker that wakes up enters only if the run is still open, so the caller waits for those
 * that took chunks and never for those that slept through it: short runs cost no wake-up.
 * Workers spin briefly before they sleep, since decoding starts hundreds of runs a second. */
struct rs_pool {
    pthread_mutex_t mutex;
    pthread_cond_t wake, done;
    pthread_t *threads;
    int n_threads, n_started; /* n_threads counts the caller */
    atomic_uint generation;   /* of runs, to tell a new one */
    atomic_uint state;
    atomic_bool quit, stop;
    atomic_llong next;
    int64_t chunks; /* these four do not change while a run is open */
    int workers;
    rs_chunk_fn fn;
    void *ctx;
};

#define OPEN 0x80000000u

typedef struct worker_arg {
    rs_pool *pool;
    int number;
} worker_arg;

static void take_chunks(rs_pool *p, int worker)
{
    while (!atomic_load_explicit(&p->stop, memory_order_relaxed)) {
        int64_t chunk = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (chunk >= p->chunks) return;
        if (!p->fn(p->ctx, chunk, worker)) atomic_store(&p->stop, true);
    }
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Waits until there is a run after `seen` or the pool ends. */
static unsigned wait_for_run(rs_pool *p, unsigned seen)
{
    for (int i = 0; i < SPIN_ROUNDS; i++) {
        unsigned now = atomic_load(&p->generation);
        if (now != seen || atomic_load(&p->quit)) return now;
        relax();
    }
    pthread_mutex_lock(&p->mutex);
    while (atomic_load(&p->generation) == seen && !atomic_load(&p->quit))
        pthread_cond_wait(&p->wake, &p->mutex);
    pthread_mutex_unlock(&p->mutex);
    return atomic_load(&p->generation);
}

static bool enter(rs_pool *p)
{
    unsigned s = atomic_load(&p->state);
    while (s & OPEN)
        if (atomic_compare_exchange_weak(&p->state, &s, s + 1)) return true;
    return false;
}

static void leave(rs_pool *p)
{
    if (atomic_fetch_sub(&p->state, 1) != 1) return; /* still open, or others inside */
    pthread_mutex_lock(&p->mutex);
    pthread_cond_signal(&p->done);
    pthread_mutex_unlock(&p->mutex);
}

static void *worker_main(void *arg)
{
    worker_arg a = *(worker_arg *)arg;
    free(arg);
    unsigned seen = 0;
    while (true) {
        seen = wait_for_run(a.pool, seen);
        if (atomic_load(&a.pool->quit)) return NULL;
        if (!enter(a.pool)) continue;
        if (a.number < a.pool->workers) take_chunks(a.pool, a.number);
        leave(a.pool);
    }
}

static bool start_worker(rs_pool *p, int number)
{
    worker_arg *arg = malloc(sizeof *arg);
    if (!arg) return false;
    *arg = (worker_arg){p, number};
    if (pthread_create(&p->threads[p->n_started], NULL, worker_main, arg) != 0) {
        free(arg);
        return false;
    }
    p->n_started++;
    return true;
}

rs_status rs_pool_new(int threads, rs_pool **out, rs_err *err)
{
    *out = NULL;
    if (threads < 1 || threads > 1024)
        return rs_fail(err, RS_E_INVALID, "%d threads: give a number from 1 to 1024",
                       threads);
    rs_pool *p = calloc(1, sizeof *p);
    pthread_t *ids = calloc((size_t)threads, sizeof *ids);
    if (!p || !ids) {
        free(p);
        free(ids);
        return rs_fail(err, RS_E_NOMEM, "no memory for %d threads", threads);
    }
    p->threads = ids;
    p->n_threads = threads;
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    for (int i = 1; i < threads; i++) {
        if (start_worker(p, i)) continue;
        rs_pool_free(p);
        return rs_fail(err, RS_E_NOMEM, "thread %d of %d could not be started", i,
                       threads);
    }
    *out = p;
    return RS_OK;
}

void rs_pool_free(rs_pool *p)
{
    if (!p) return;
    pthread_mutex_lock(&p->mutex);
    atomic_store(&p->quit, true);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->mutex);
    for (int i = 0; i < p->n_started; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->mutex);
    free(p->threads);
    free(p);
}

int rs_pool_threads(const rs_pool *p)
{
    return p ? p->n_threads : 1;
}

static bool run_alone(int64_t chunks, rs_chunk_fn fn, void *ctx)
{
    for (int64_t i = 0; i < chunks; i++)
        if (!fn(ctx, i, 0)) return false;
    return true;
}

static void open_run(rs_pool *p)
{
    atomic_store(&p->next, 0);
    atomic_store(&p->stop, false);
    atomic_store(&p->state, OPEN);
    pthread_mutex_lock(&p->mutex);
    atomic_fetch_add(&p->generation, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->mutex);
}

/* Lets nobody in any more and waits for those inside. */
static void close_run(rs_pool *p)
{
    atomic_fetch_and(&p->state, ~OPEN);
    for (int i = 0; i < SPIN_ROUNDS && atomic_load(&p->state) != 0; i++)
        relax();
    if (atomic_load(&p->state) == 0) return;
    pthread_mutex_lock(&p->mutex);
    while (atomic_load(&p->state) != 0)
        pthread_cond_wait(&p->done, &p->mutex);
    pthread_mutex_unlock(&p->mutex);
}

bool rs_pool_run(rs_pool *p, int64_t chunks, rs_chunk_fn fn, void *ctx)
{
    return rs_pool_run_few(p, rs_pool_threads(p), chunks, fn, ctx);
}

bool rs_pool_run_few(rs_pool *p, int workers, int64_t chunks, rs_chunk_fn fn, void *ctx)
{
    if (!p || p->n_started == 0 || workers <= 1 || chunks <= 1)
        return run_alone(chunks, fn, ctx);
    p->chunks = chunks;
    p->workers = workers;
    p->fn = fn;
    p->ctx = ctx;
    open_run(p);
    take_chunks(p, 0);
    close_run(p);
    return !atomic_load(&p->stop);
}
