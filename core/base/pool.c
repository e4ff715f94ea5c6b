#include "base/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SPIN_ROUNDS = 2000 };

/* A run is published by raising `generation` under the mutex; workers that see a new
 * generation join, take chunks, and the last one out wakes the caller. Workers spin briefly
 * before they sleep, since decoding starts hundreds of short runs a second. */
struct rs_pool {
    pthread_mutex_t mutex;
    pthread_cond_t wake, done;
    pthread_t *threads;
    int n_threads, n_started; /* n_threads counts the caller */
    atomic_uint generation;
    atomic_int active; /* workers still inside the present run */
    atomic_bool quit, stop;
    atomic_llong next;
    int64_t chunks;
    rs_chunk_fn fn;
    void *ctx;
};

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
        if (atomic_load(&p->generation) != seen || atomic_load(&p->quit)) break;
        relax();
    }
    pthread_mutex_lock(&p->mutex);
    while (atomic_load(&p->generation) == seen && !atomic_load(&p->quit))
        pthread_cond_wait(&p->wake, &p->mutex);
    seen = atomic_load(&p->generation);
    pthread_mutex_unlock(&p->mutex);
    return seen;
}

static void *worker_main(void *arg)
{
    worker_arg a = *(worker_arg *)arg;
    free(arg);
    unsigned seen = 0;
    while (true) {
        seen = wait_for_run(a.pool, seen);
        if (atomic_load(&a.pool->quit)) return NULL;
        take_chunks(a.pool, a.number);
        if (atomic_fetch_sub(&a.pool->active, 1) == 1) {
            pthread_mutex_lock(&a.pool->mutex);
            pthread_cond_signal(&a.pool->done);
            pthread_mutex_unlock(&a.pool->mutex);
        }
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
        return rs_fail(err, RS_E_NOMEM, "thread %d of %d could not be started", i, threads);
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
    for (int i = 0; i < p->n_started; i++) pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->mutex);
    free(p->threads);
    free(p);
}

int rs_pool_threads(const rs_pool *p) { return p ? p->n_threads : 1; }

static bool run_alone(int64_t chunks, rs_chunk_fn fn, void *ctx)
{
    for (int64_t i = 0; i < chunks; i++)
        if (!fn(ctx, i, 0)) return false;
    return true;
}

static void wait_for_workers(rs_pool *p)
{
    for (int i = 0; i < SPIN_ROUNDS && atomic_load(&p->active) > 0; i++) relax();
    pthread_mutex_lock(&p->mutex);
    while (atomic_load(&p->active) > 0) pthread_cond_wait(&p->done, &p->mutex);
    pthread_mutex_unlock(&p->mutex);
}

bool rs_pool_run(rs_pool *p, int64_t chunks, rs_chunk_fn fn, void *ctx)
{
    if (!p || p->n_started == 0 || chunks <= 1) return run_alone(chunks, fn, ctx);
    p->chunks = chunks;
    p->fn = fn;
    p->ctx = ctx;
    atomic_store(&p->next, 0);
    atomic_store(&p->stop, false);
    atomic_store(&p->active, p->n_started);
    pthread_mutex_lock(&p->mutex);
    atomic_fetch_add(&p->generation, 1);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->mutex);
    take_chunks(p, 0);
    wait_for_workers(p);
    return !atomic_load(&p->stop);
}
