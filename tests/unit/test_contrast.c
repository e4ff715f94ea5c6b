/* Contrast masks: from real Fishers of two prompts on two models, against the formula in
 * float64; and what must hold of any. */
#include "tests/t.h"
#include "base/rng.h"
#include "merge/contrast.h"
#include "store/tensor_file.h"
#include "tests/files.h"

#include <math.h>

enum { N = 3, ROWS = 700, COLS = 1600 };

static const int64_t rows[N] = {ROWS, 40, 9}, cols[N] = {COLS, 30, 0};
static const char *const names[N] = {"layers.0.up.weight", "layers.0.down.weight",
                                     "layers.0.norm.weight"};
static const char *folder;
static rs_runtime rt;

static int64_t size_of(int i)
{
    return rows[i] * (cols[i] ? cols[i] : 1);
}

/* Values of many sizes, a third of them 0; the first piece of the first tensor is full. */
static float value(uint64_t seed, int i, int64_t k)
{
    uint64_t r = rs_rng_at(seed, (uint64_t)i, (uint64_t)k);
    return r % 3 == 0 ? 0 : (float)exp((double)(r >> 11) * 0x1p-53 * 12 - 20);
}

typedef float (*value_fn)(uint64_t seed, int i, int64_t k);

static const char *make(const char *name, uint64_t seed, value_fn f, rs_dtype type)
{
    const char *path = in_folder(folder, name);
    rs_write_tensor t[N];
    rs_tensor_file *out;
    for (int i = 0; i < N; i++)
        t[i] = (rs_write_tensor){names[i], type, cols[i] ? 2 : 1, {rows[i], cols[i]}};
    rs_write_plan plan = {.tensors = t, .n_tensors = N, .force = true};
    if (rs_tensor_file_new(path, &plan, false, &out, &t_err) != RS_OK) exit(1);
    for (int i = 0; i < N; i++) {
        float *v = malloc((size_t)size_of(i) * sizeof *v);
        uint16_t *half = (uint16_t *)(void *)v;
        for (int64_t k = 0; k < size_of(i); k++) {
            float x = f(seed, i, k);
            uint32_t bits;
            memcpy(&bits, &x, sizeof bits);
            if (type == RS_DTYPE_BF16)
                half[k] = (uint16_t)(bits >> 16);
            else
                v[k] = x;
        }
        size_t bytes = (size_t)size_of(i) * (type == RS_DTYPE_BF16 ? 2 : 4);
        if (rs_tensor_file_write(out, i, 0, v, bytes, &t_err) != RS_OK) exit(1);
        free(v);
    }
    if (rs_tensor_file_finish(out, &t_err) != RS_OK) exit(1);
    rs_tensor_file_free(out);
    return path;
}

static bool open_four(const char *const path[4], rs_checkpoint *f[4])
{
    for (int i = 0; i < 4; i++)
        if (rs_checkpoint_open(path[i], &f[i], &t_err) != RS_OK) return false;
    return true;
}

static rs_status run(rs_checkpoint *const f[4], const char *out, rs_progress_fn progress,
                     rs_contrast_result *r)
{
    const rs_checkpoint *const files[4] = {f[0], f[1], f[2], f[3]};
    rs_contrast_options o = {
        .out = in_folder(folder, out), .force = true, .progress = progress};
    return rs_contrast_run(&rt, files, &o, r, &t_err);
}

static float *all_of(const rs_checkpoint *c, int i)
{
    const rs_tensor *t = rs_checkpoint_find(c, names[i]);
    float *v = malloc((size_t)size_of(i) * sizeof *v);
    if (!t || t->n_elements != size_of(i) ||
        rs_checkpoint_read_f32(c, t, 0, t->n_elements, v, &t_err) != RS_OK)
        exit(1);
    return v;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void start(int threads)
{
    rs_options o = {.threads = threads};
    folder = t_folder();
    T_OK(rs_init(&o, &rt, &t_err));
}

static void stop(rs_checkpoint *f[4])
{
    for (int i = 0; i < 4; i++)
        rs_checkpoint_close(f[i]);
    rs_quit(&rt);
}

/* The whole formula once more, in float64. */
static void against_float64(void)
{
    rs_checkpoint *f[4], *mask;
    rs_contrast_result r;
    int64_t n = 0, at = 0, near = 0, half = 0;
    start(2);
    const char *const paths[4] = {
        make("a+", 1, value, RS_DTYPE_F32), make("a-", 2, value, RS_DTYPE_F32),
        make("b+", 3, value, RS_DTYPE_BF16), make("b-", 4, value, RS_DTYPE_F32)};
    T_TRUE(open_four(paths, f));
    T_OK(run(f, "mask", NULL, &r));
    for (int i = 0; i < N; i++)
        n += size_of(i);
    double *d[2] = {calloc((size_t)n, sizeof(double)), calloc((size_t)n, sizeof(double))};
    double *sorted = calloc((size_t)n, sizeof *sorted), top[2] = {0, 0}, sum = 0;
    for (int i = 0; i < N; at += size_of(i++))
        for (int k = 0; k < 2; k++) {
            float *plus = all_of(f[2 * k], i), *minus = all_of(f[2 * k + 1], i);
            for (int64_t e = 0; e < size_of(i); e++) {
                d[k][at + e] = fmax(0, (double)plus[e] - (double)minus[e]);
                top[k] = fmax(top[k], d[k][at + e]);
            }
            free(plus), free(minus);
        }
    for (int64_t e = 0; e < n; e++)
        sorted[e] = d[0][e] / top[0] + d[1][e] / top[1];
    qsort(sorted, (size_t)n, sizeof *sorted, by_size);
    double median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
    T_NEAR(r.median, median, 0, 1e-6);
    T_NEAR(r.largest_a, top[0], 0, 1e-7);
    T_OK(rs_checkpoint_open(in_folder(folder, "mask"), &mask, &t_err));
    at = 0;
    for (int i = 0; i < N; at += size_of(i++)) {
        float *have = all_of(mask, i);
        for (int64_t e = 0; e < size_of(i); e++) {
            double a = d[0][at + e] / top[0], b = d[1][at + e] / top[1], s = a + b;
            double want = s > 0 && s >= median ? a / s : 0.5;
            sum += (double)have[e];
            half += have[e] == 0.5f;
            if (fabs(s - median) < 1e-6 * median)
                near++; /* either is right */
            else
                T_NEAR(have[e], want, 1e-6, 0);
        }
        free(have);
    }
    T_TRUE(near < n / 1000);
    T_NEAR(r.mean, sum / (double)n, 0, 1e-9);
    T_NEAR(r.undecided, (double)half / (double)n, 1e-3, 0);
    T_TRUE(r.undecided > 0.45 && r.undecided < 0.6);
    printf("  %d tensors, median %.2e, %.1f %% undecided, mean %.3f\n", r.n_tensors,
           r.median, 100 * r.undecided, r.mean);
    rs_checkpoint_close(mask);
    free(d[0]), free(d[1]), free(sorted);
    stop(f);
}

/* B in A's place gives 1 - r; one model twice, 1/2 everywhere. */
static void symmetry(void)
{
    rs_checkpoint *f[4], *x, *y;
    rs_contrast_result r;
    start(1);
    const char *const paths[4] = {
        make("a+", 1, value, RS_DTYPE_F32), make("a-", 2, value, RS_DTYPE_F32),
        make("b+", 3, value, RS_DTYPE_F32), make("b-", 4, value, RS_DTYPE_F32)};
    T_TRUE(open_four(paths, f));
    rs_checkpoint *turned[4] = {f[2], f[3], f[0], f[1]},
                  *one[4] = {f[0], f[1], f[0], f[1]};
    T_OK(run(f, "x", NULL, &r));
    T_OK(run(turned, "y", NULL, &r));
    T_OK(rs_checkpoint_open(in_folder(folder, "x"), &x, &t_err));
    T_OK(rs_checkpoint_open(in_folder(folder, "y"), &y, &t_err));
    for (int i = 0; i < N; i++) {
        float *a = all_of(x, i), *b = all_of(y, i);
        for (int64_t e = 0; e < size_of(i); e++) {
            T_TRUE(a[e] >= 0 && a[e] <= 1);
            T_NEAR(a[e] + b[e], 1, 1e-6, 0);
        }
        free(a), free(b);
    }
    rs_checkpoint_close(x);
    rs_checkpoint_close(y);
    T_OK(run(one, "x", NULL, &r));
    T_EQ(r.mean * 1e9, 5e8);
    rs_checkpoint *same[4] = {f[0], f[0], f[2], f[3]}; /* A does not tell them apart */
    T_OK(run(same, "x", NULL, &r));
    T_TRUE(r.largest_a == 0 && r.largest_b > 0);
    T_NEAR(r.mean, 0.5 * r.undecided, 0, 1e-9);
    stop(f);
}

static void the_same_bytes_by_any_threads(void)
{
    rs_buf text[2] = {{0}, {0}};
    for (int k = 0; k < 2; k++) {
        rs_checkpoint *f[4];
        rs_contrast_result r;
        start(k ? 5 : 1);
        const char *const paths[4] = {
            make("a+", 1, value, RS_DTYPE_F32), make("a-", 2, value, RS_DTYPE_F32),
            make("b+", 3, value, RS_DTYPE_F32), make("b-", 4, value, RS_DTYPE_F32)};
        T_TRUE(open_four(paths, f));
        T_OK(run(f, "mask", NULL, &r));
        T_OK(rs_os_read_file(in_folder(folder, "mask"), 64 << 20, &text[k], &t_err));
        stop(f);
    }
    T_EQ(text[0].len, text[1].len);
    T_TRUE(text[0].len > 0 && memcmp(text[0].data, text[1].data, text[0].len) == 0);
    rs_buf_free(&text[0]);
    rs_buf_free(&text[1]);
}

static float minus_somewhere(uint64_t seed, int i, int64_t k)
{
    return i == 1 && k == 33 ? -1 : value(seed, i, k);
}

static float not_a_number(uint64_t seed, int i, int64_t k)
{
    return i == 2 && k == 4 ? NAN : value(seed, i, k);
}

static int steps_left;

static bool count_down(void *ctx, const rs_progress *p)
{
    (void)ctx;
    return p->done <= p->total && steps_left-- > 0;
}

static void refusals(void)
{
    rs_checkpoint *f[4], *other;
    rs_contrast_result r;
    start(2);
    const char *const paths[4] = {
        make("a+", 1, value, RS_DTYPE_F32), make("a-", 2, minus_somewhere, RS_DTYPE_F32),
        make("b+", 3, value, RS_DTYPE_F32), make("b-", 4, not_a_number, RS_DTYPE_F32)};
    T_TRUE(open_four(paths, f));
    T_FAILS(run(f, "mask", NULL, &r), RS_E_INVALID,
            "layers.0.down.weight, element 33 is -1");
    rs_checkpoint *nan[4] = {f[0], f[0], f[2], f[3]};
    T_FAILS(run(nan, "mask", NULL, &r), RS_E_INVALID,
            "layers.0.norm.weight, element 4 is");
    T_OK(rs_checkpoint_open("tests/golden/subspace/weight.safetensors", &other, &t_err));
    rs_checkpoint *mixed[4] = {f[0], f[0], other, other};
    T_FAILS(run(mixed, "mask", NULL, &r), RS_E_MISMATCH, "has 3 tensors and");
    T_TRUE(rs_os_kind(in_folder(folder, "mask")) == RS_PATH_NONE);
    rs_checkpoint *good[4] = {f[0], f[2], f[2], f[0]};
    int stopped = 0;
    for (int at = 0; at < 30; at++) {
        steps_left = at;
        rs_status s = run(good, "mask", count_down, &r);
        if (s == RS_OK) break;
        T_EQ(s, RS_E_CANCELLED);
        T_TRUE(rs_os_kind(in_folder(folder, "mask")) == RS_PATH_NONE);
        T_TRUE(rs_os_kind(in_folder(folder, "mask.partial")) == RS_PATH_NONE);
        stopped++;
    }
    T_TRUE(stopped >= 4 && stopped < 30);
    rs_checkpoint_close(other);
    stop(f);
}

T_MAIN(T_TEST(against_float64), T_TEST(symmetry), T_TEST(the_same_bytes_by_any_threads),
       T_TEST(refusals))
