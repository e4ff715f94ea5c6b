/* bench.h - what benchmarks share: a clock and an end. */
#ifndef BENCH_H
#define BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline _Noreturn void die(const char *what)
{
    fprintf(stderr, "benchmark: %s\n", what);
    exit(1);
}

#endif
