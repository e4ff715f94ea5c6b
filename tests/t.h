/* t.h - the test harness, in one header.
 *
 *     static void adds(void) { T_EQ(1 + 1, 2); }
 *     T_MAIN(T_TEST(adds))
 *
 * Each test runs in a child of its own with a time limit, so a crash or a hang is one failed
 * test. A test returns early after a failed T_ check; T_SKIP("why") counts it as skipped.
 * The last line of a run is "NAME: N passed, N failed, N skipped". Arguments select tests by
 * part of their name; T_NOFORK=1 runs them in this process, for a debugger. */
#ifndef T_H
#define T_H

#include "base/status.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { T_PASSED = 0, T_FAILED = 1, T_SKIPPED = 77, T_SECONDS = 300 };

typedef struct t_test {
    const char *name;
    void (*fn)(void);
} t_test;

static int t_result;

#define T_TEST(fn) {#fn, fn}

#define T_FAIL(...)                                                                      \
    do {                                                                                 \
        printf("%s:%d: ", __FILE__, __LINE__);                                           \
        printf(__VA_ARGS__);                                                             \
        printf("\n");                                                                    \
        t_result = T_FAILED;                                                             \
        return;                                                                          \
    } while (0)

#define T_SKIP(why)                                                                      \
    do {                                                                                 \
        printf("  skipped: %s\n", why);                                                  \
        if (t_result == T_PASSED) t_result = T_SKIPPED;                                  \
        return;                                                                          \
    } while (0)

#define T_TRUE(x)                                                                        \
    do {                                                                                 \
        if (!(x)) T_FAIL("not true: %s", #x);                                            \
    } while (0)

#define T_EQ(a, b)                                                                       \
    do {                                                                                 \
        long long t_a = (long long)(a), t_b = (long long)(b);                            \
        if (t_a != t_b) T_FAIL("%s is %lld, expected %s = %lld", #a, t_a, #b, t_b);      \
    } while (0)

#define T_STR(a, b)                                                                      \
    do {                                                                                 \
        const char *t_a = (a), *t_b = (b);                                               \
        if (!t_a || !t_b || strcmp(t_a, t_b) != 0)                                       \
            T_FAIL("%s is \"%s\", expected \"%s\"", #a, t_a ? t_a : "(null)",            \
                   t_b ? t_b : "(null)");                                                \
    } while (0)

/* |a - b| <= abs + rel * |b| */
#define T_NEAR(a, b, abs_, rel_)                                                         \
    do {                                                                                 \
        double t_a = (a), t_b = (b);                                                     \
        if (!(fabs(t_a - t_b) <= (abs_) + (rel_)*fabs(t_b)))                             \
            T_FAIL("%s is %.17g, expected %.17g, off by %.3g", #a, t_a, t_b,             \
                   fabs(t_a - t_b));                                                     \
    } while (0)

#define T_OK(call)                                                                       \
    do {                                                                                 \
        if ((call) != RS_OK) T_FAIL("%s failed: %s", #call, t_err.msg);                  \
    } while (0)

/* The call must fail with this status, and its sentence must contain text. */
#define T_FAILS(call, status, text)                                                      \
    do {                                                                                 \
        rs_status t_s = (call);                                                          \
        if (t_s != (status))                                                             \
            T_FAIL("%s gave %s, expected %s (%s)", #call, rs_status_name(t_s),           \
                   rs_status_name(status), t_s ? t_err.msg : "");                        \
        if (!strstr(t_err.msg, text))                                                    \
            T_FAIL("the error is \"%s\", expected \"%s\" in it", t_err.msg, text);       \
    } while (0)

static __attribute__((unused)) rs_err t_err; /* for T_OK and T_FAILS: pass &t_err */

/* The larger of two; once one is NaN it stays NaN, where fmax and `if (d > worst)` lose it. */
static __attribute__((unused)) double t_max(double a, double b)
{
    return a > b || isnan(a) ? a : b;
}

/* root/below in a static buffer, one for each file that includes this; "" if too long. */
static __attribute__((unused)) const char *t_join(const char *root, const char *below)
{
    static char path[1024];
    size_t n = strlen(root), m = strlen(below);
    path[0] = 0;
    if (n + m + 2 > sizeof path) return path;
    memcpy(path, root, n);
    path[n] = '/';
    memcpy(path + n + 1, below, m + 1);
    return path;
}

/* Where the shared reference data lies, or NULL: then skip. RS_SHARED overrides. */
static __attribute__((unused)) const char *t_shared(const char *below)
{
    const char *root = getenv("RS_SHARED");
    const char *path = t_join(root ? root : "../shared", below);
    return access(path, R_OK) == 0 ? path : NULL;
}

/* The file of Gemma 3 270M that the environment names, or NULL: then T_NO_GEMMA270. */
static __attribute__((unused)) const char *t_gemma270(void)
{
    const char *path = getenv("RS_GEMMA270");
    return path && *path ? path : NULL;
}
#define T_NO_GEMMA270() T_SKIP("RS_GEMMA270 does not name the GGUF of Gemma 3 270M")

/* A file of the project's own golden data. */
static __attribute__((unused)) const char *t_golden(const char *below)
{
    return t_join("tests/golden", below);
}

/* A fresh folder for this test's files, below TMPDIR, which tests/run.sh makes and removes. */
static __attribute__((unused)) const char *t_folder(void)
{
    static char path[512];
    const char *root = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/ringside-test-XXXXXX", root ? root : "/tmp");
    return mkdtemp(path);
}

static int t_child(const t_test *test)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(T_SECONDS);
        test->fn();
        fflush(stdout);
        exit(t_result);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) return T_FAILED;
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    printf("  %s: ended by signal %d\n", test->name, WTERMSIG(status));
    return T_FAILED;
}

static int t_run(const char *file, const t_test *tests, int n, int argc, char **argv)
{
    int count[3] = {0, 0, 0};
    bool nofork = getenv("T_NOFORK") != NULL;
    for (int i = 0; i < n; i++) {
        bool wanted = argc < 2;
        for (int a = 1; a < argc; a++) wanted |= strstr(tests[i].name, argv[a]) != NULL;
        if (!wanted) continue;
        t_result = T_PASSED;
        if (nofork) tests[i].fn();
        int r = nofork ? t_result : t_child(&tests[i]);
        int slot = r == T_PASSED ? 0 : r == T_SKIPPED ? 2 : 1;
        count[slot]++;
        if (slot != 0) printf("  %s %s\n", slot == 1 ? "FAILED" : "skipped", tests[i].name);
    }
    const char *base = strrchr(file, '/');
    printf("%s: %d passed, %d failed, %d skipped\n", base ? base + 1 : file, count[0],
           count[1], count[2]);
    return count[1] ? 1 : 0;
}

#define T_MAIN(...)                                                                      \
    int main(int argc, char **argv)                                                      \
    {                                                                                    \
        static const t_test tests[] = {__VA_ARGS__};                                     \
        return t_run(__FILE__, tests, (int)(sizeof tests / sizeof *tests), argc, argv);  \
    }

#endif
