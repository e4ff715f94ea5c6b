/* Singular value decompositions against LAPACK's in float64 (tests/golden/subspace, W_it - W_pt
 * of the sparring models; limits as that fixture's README states them), and what must hold of
 * any. */
#include "base/rng.h"
#include "store/checkpoint.h"
#include "tensor/lapack.h"
#include "tensor/svd.h"
#include "tests/t.h"

static rs_runtime rt; /* of the test's process: start() first */

static rs_status start(void)
{
    rs_options o = {.threads = 2};
    return rs_init(&o, &rt, &t_err);
}

static float *read_f32(const rs_checkpoint *c, const char *name, int64_t dim[2])
{
    const rs_tensor *t = rs_checkpoint_find(c, name);
    if (!t) return NULL;
    float *v = calloc((size_t)t->n_elements + 1, sizeof *v);
    if (rs_checkpoint_read_f32(c, t, 0, t->n_elements, v, &t_err) != RS_OK) exit(1);
    dim[0] = t->dim[0];
    dim[1] = t->n_dims > 1 ? t->dim[1] : 1;
    return v;
}

/* max |A A^T - B B^T| for A, B [n, k] */
static double projectors(const float *a, const float *b, int64_t n, int64_t k)
{
    double worst = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++) {
            double x = 0;
            for (int64_t c = 0; c < k; c++)
                x += (double)a[i * k + c] * (double)a[j * k + c] -
                     (double)b[i * k + c] * (double)b[j * k + c];
            worst = t_max(worst, fabs(x));
        }
    return worst;
}

/* max |A^T A - 1| */
static double lost_orthogonality(const float *a, int64_t n, int64_t k)
{
    double worst = 0;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j <= i; j++) {
            double x = i == j ? -1 : 0;
            for (int64_t r = 0; r < n; r++)
                x += (double)a[r * k + i] * (double)a[r * k + j];
            worst = t_max(worst, fabs(x));
        }
    return worst;
}

static const char *const tensors[] = {
    "model.layers.0.self_attn.q_proj", "model.layers.1.mlp.gate_proj",
    "model.layers.2.self_attn.v_proj", "model.layers.3.self_attn.q_proj",
    "model.layers.4.self_attn.o_proj", "model.layers.5.self_attn.k_proj",
    "model.layers.6.mlp.down_proj",    "model.layers.7.mlp.up_proj"};

static void differences_of_the_sparring_models(void)
{
    enum { RANK = 16 };
    rs_checkpoint *it, *pt, *want;
    T_OK(start());
    T_OK(rs_checkpoint_open("recipes/sparring/it", &it, &t_err));
    T_OK(rs_checkpoint_open("recipes/sparring/pt", &pt, &t_err));
    T_OK(rs_checkpoint_open("tests/golden/subspace/sparring.safetensors", &want, &t_err));
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        char name[96];
        int64_t dim[2], k[2];
        snprintf(name, sizeof name, "%s.weight", tensors[i]);
        float *d = read_f32(it, name, dim), *p = read_f32(pt, name, dim);
        for (int64_t e = 0; e < dim[0] * dim[1]; e++)
            d[e] -= p[e];
        snprintf(name, sizeof name, "%s.S", tensors[i]);
        float *s = read_f32(want, name, k);
        snprintf(name, sizeof name, "%s.U", tensors[i]);
        float *u = read_f32(want, name, k);
        snprintf(name, sizeof name, "%s.V", tensors[i]);
        float *v = read_f32(want, name, k);
        T_EQ(k[1], RANK);
        rs_svd exact, fast;
        T_OK(rs_svd_exact(&rt, d, dim[0], dim[1], RANK, &exact, &t_err));
        for (int j = 0; j < RANK; j++)
            T_NEAR(exact.s[j], s[j], 4e-6 * (double)s[0], 0);
        double off = t_max(projectors(exact.u, u, dim[0], RANK),
                           projectors(exact.v, v, dim[1], RANK));
        printf("  %s: projectors off by %.1e\n", tensors[i], off);
        T_TRUE(off <= 2e-5);
        T_OK(rs_svd_random(&rt, d, dim[0], dim[1], RANK, 7, &fast, &t_err));
        double best = sqrt(exact.squares - exact.kept),
               ours = sqrt(fast.squares - fast.kept);
        printf("    random leaves %.4f of the best\n", ours / best);
        T_TRUE(ours <= 1.01 * best && ours >= best * (1 - 1e-6));
        T_TRUE(lost_orthogonality(fast.u, dim[0], RANK) < 1e-5);
        T_TRUE(lost_orthogonality(fast.v, dim[1], RANK) < 1e-4);
        rs_svd_free(&exact);
        rs_svd_free(&fast);
        free(d), free(p), free(s), free(u), free(v);
    }
    rs_checkpoint_close(it);
    rs_checkpoint_close(pt);
    rs_checkpoint_close(want);
    rs_quit(&rt);
}

static float *noise(int64_t n, uint64_t seed)
{
    float *a = calloc((size_t)n, sizeof *a);
    for (int64_t i = 0; i < n; i++) { /* nearly normal: a sum of twelve */
        for (int j = 0; j < 12; j++)
            a[i] += (float)((double)rs_rng_at(seed, (uint64_t)j, (uint64_t)i) * 0x1p-64 -
                            0.5);
    }
    return a;
}

static void shapes_and_spectra(void)
{
    static const int64_t shapes[][2] = {
        {300, 200}, {200, 300}, {64, 64}, {513, 40}, {1, 7}};
    T_OK(start());
    for (int i = 0; i < 5; i++) {
        int64_t m = shapes[i][0], n = shapes[i][1], small = m < n ? m : n;
        float *d = noise(m * n, 5);
        double *all = calloc((size_t)small, sizeof *all), sum = 0;
        T_OK(rs_svd_values(&rt, d, m, n, all, &t_err));
        for (int64_t j = 0; j < small; j++)
            sum += all[j] * all[j];
        int rank = small > 20 ? 20 : (int)small;
        rs_svd a, b;
        T_OK(rs_svd_exact(&rt, d, m, n, rank, &a, &t_err));
        T_OK(rs_svd_random(&rt, d, m, n, rank, 1, &b, &t_err));
        T_NEAR(sum, a.squares, 0, 1e-9);
        for (int j = 0; j < rank; j++)
            T_NEAR(a.s[j], all[j], 0, 1e-6);
        T_TRUE(b.squares - b.kept <= 1.02 * (a.squares - a.kept) + 1e-6 * a.squares);
        T_TRUE(lost_orthogonality(a.u, m, rank) < 1e-4);
        T_EQ(rs_svd_rank_of(all, small, 1e-12), 1);
        rs_svd_free(&a);
        rs_svd_free(&b);
        free(all);
        free(d);
    }
    static const double s[] = {3, 2, 1, 0};
    T_EQ(rs_svd_rank_of(s, 4, 9.0 / 14), 1);
    T_EQ(rs_svd_rank_of(s, 4, 0.8), 2);
    T_EQ(rs_svd_rank_of(s, 4, 1), 3);
    rs_svd a;
    float d[6] = {0};
    T_FAILS(rs_svd_exact(&rt, d, 2, 3, 3, &a, &t_err), RS_E_INVALID,
            "rank 3 of a matrix");
    T_OK(rs_svd_exact(&rt, d, 2, 3, 2, &a,
                      &t_err)); /* nothing to find, nothing invented */
    T_TRUE(a.s[0] == 0 && a.kept == 0);
    rs_svd_free(&a);
    rs_quit(&rt);
}

/* What no decomposition can take is said to be that, and not a lack of memory. */
static void numbers_that_are_not(void)
{
    enum { M = 70, N = 40, R = 5 };
    static const float odd[] = {NAN, INFINITY, -INFINITY};
    double all[N];
    rs_svd s;
    T_OK(start());
    for (int i = 0; i < 3; i++) {
        const char *why = i == 0
                              ? "of 70 x 40 cannot be decomposed: row 3, column 7 is NaN"
                              : "row 3, column 7 is infinite";
        float *d = noise(M * N, 9);
        d[3 * N + 7] = odd[i];
        d[3 * N + 8] = NAN;
        T_FAILS(rs_svd_values(&rt, d, M, N, all, &t_err), RS_E_INVALID, why);
        T_FAILS(rs_svd_exact(&rt, d, M, N, R, &s, &t_err), RS_E_INVALID, why);
        T_TRUE(!s.u && !s.v && !s.s);
        T_FAILS(rs_svd_random(&rt, d, M, N, R, 1, &s, &t_err), RS_E_INVALID, why);
        free(d);
    }
    float *d = noise(M * N, 9);
    for (int i = 0; i < M * N; i++)
        d[i] =
            d[i] < 0 ? -3e38f : 3e38f; /* float64 holds their squares, no float32 sums */
    T_OK(rs_svd_values(&rt, d, M, N, all, &t_err));
    T_TRUE(isfinite(all[0]) && all[0] > 3.4e38);
    T_FAILS(rs_svd_exact(&rt, d, M, N, R, &s, &t_err), RS_E_INVALID,
            "is not finite in float32");
    T_FAILS(rs_svd_random(&rt, d, M, N, R, 1, &s, &t_err), RS_E_INVALID, "not finite");
    free(d);
    rs_quit(&rt);
}

static void the_door_tells_why(void)
{
    double g[9] = {2, 0, 0, 0, 3, 0, 0, 0, 5}, value[3], vector[6];
    T_OK(rs_lapack_eigen(3, g, 2, value, vector, &t_err));
    T_NEAR(value[0], 5, 0, 1e-14);
    T_NEAR(value[1], 3, 0, 1e-14);
    T_NEAR(fabs(vector[4]), 1, 0, 1e-14);
    T_NEAR(fabs(vector[3]), 1, 0, 1e-14);
    static const double odd[] = {NAN, INFINITY};
    for (int i = 0; i < 2; i++) {
        double h[9] = {2, 0, 0, 0, 3, odd[i], 0, 0, 5};
        T_FAILS(rs_lapack_eigen(3, h, 3, value, NULL, &t_err), RS_E_INVALID,
                "eigenvalues of a matrix of 3 x 3 cannot be found");
    }
    float a[6] = {1, 2, NAN, 4, 5, 6};
    T_FAILS(rs_lapack_orthonormal(3, 2, a, 1, &t_err), RS_E_INVALID,
            "basis of a matrix of 3 x 2 cannot be found");
}

/* d [m, n] with the singular values of `value`: a diagonal, turned by two reflections on each
 * side. */
static float *with_spectrum(int64_t m, int64_t n, double (*value)(int64_t i))
{
    float *d = calloc((size_t)(m * n), sizeof *d);
    for (int64_t i = 0; i < m && i < n; i++)
        d[i * n + i] = (float)value(i);
    for (uint64_t turn = 0; turn < 2; turn++) {
        float *u = noise(m, 60 + turn), *v = noise(n, 80 + turn);
        double *along = calloc((size_t)n, sizeof *along), uu = 0, vv = 0;
        for (int64_t i = 0; i < m; i++)
            uu += (double)u[i] * (double)u[i];
        for (int64_t j = 0; j < n; j++)
            vv += (double)v[j] * (double)v[j];
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++)
                along[j] += 2 / uu * (double)u[i] * (double)d[i * n + j];
        for (int64_t i = 0; i < m; i++) {
            float *row = d + i * n;
            double dot = 0, ui = (double)u[i];
            for (int64_t j = 0; j < n; j++)
                dot += ((double)row[j] - ui * along[j]) * (double)v[j];
            for (int64_t j = 0; j < n; j++)
                row[j] =
                    (float)((double)row[j] - ui * along[j] - 2 / vv * dot * (double)v[j]);
        }
        free(u), free(v), free(along);
    }
    return d;
}

static double one_over(int64_t i)
{
    return 1 / (double)(i + 1);
}

static double steep(int64_t i)
{
    return pow(0.8, (double)i);
}

static double cliff(int64_t i)
{
    return i < 8 ? 1 : 1e-3 * one_over(i);
}

static double low_rank(int64_t i)
{
    return i < 4 ? 1 : 0;
}

/* Squares of D - U S V^T: from the definition, no difference of large sums. */
static double left_by(const rs_svd *s, const float *d)
{
    double sum = 0;
    for (int64_t i = 0; i < s->rows; i++)
        for (int64_t j = 0; j < s->cols; j++) {
            double x = (double)d[i * s->cols + j];
            for (int r = 0; r < s->rank; r++)
                x -= (double)s->u[i * s->rank + r] * (double)s->s[r] *
                     (double)s->v[j * s->rank + r];
            sum += x * x;
        }
    return sum;
}

/* Randomised against the best, of wide and of tall matrices: what is left, and sides that are
 * orthogonal however small the last singular values are. */
static void spectra(void)
{
    static const struct {
        double (*value)(int64_t i);
        int rank;
        double excess;
    } all[] = {{one_over, 32, 1.01}, {steep, 40, 1.01}, {cliff, 16, 1.02}};
    T_OK(start());
    for (int k = 0; k < 6; k++) {
        int64_t m = k % 2 ? 700 : 300, n = k % 2 ? 300 : 700;
        int rank = all[k / 2].rank;
        float *d = with_spectrum(m, n, all[k / 2].value);
        rs_svd best, ours;
        T_OK(rs_svd_exact(&rt, d, m, n, rank, &best, &t_err));
        T_OK(rs_svd_random(&rt, d, m, n, rank, 3, &ours, &t_err));
        double ratio = sqrt(left_by(&ours, d) / left_by(&best, d)),
               u = lost_orthogonality(ours.u, m, rank),
               v = lost_orthogonality(ours.v, n, rank);
        printf("  spectrum %d, %d x %d: leaves %.4f of the best, sides askew by %.1e, "
               "%.1e\n",
               k / 2, (int)m, (int)n, ratio, u, v);
        T_TRUE(ratio >= 1 - 1e-3 && ratio <= all[k / 2].excess);
        T_TRUE(u < 1e-5 && v < 1e-4);
        rs_svd_free(&best);
        rs_svd_free(&ours);
        free(d);
    }
    rs_quit(&rt);
}

/* More directions asked for than there are: nothing is left, and the others are none. */
static void fewer_than_asked_for(void)
{
    enum { R = 10 };
    T_OK(start());
    for (int k = 0; k < 4; k++) {
        int64_t m = k % 2 ? 300 : 200, n = k % 2 ? 200 : 300;
        float *d = with_spectrum(m, n, low_rank);
        rs_svd a;
        T_OK(k < 2 ? rs_svd_random(&rt, d, m, n, R, 3, &a, &t_err)
                   : rs_svd_exact(&rt, d, m, n, R, &a, &t_err));
        for (int i = 0; i < R; i++) {
            double u = 0, v = 0;
            for (int64_t r = 0; r < m; r++)
                u += (double)a.u[r * R + i] * (double)a.u[r * R + i];
            for (int64_t r = 0; r < n; r++)
                v += (double)a.v[r * R + i] * (double)a.v[r * R + i];
            T_NEAR(u, i < 4 ? 1 : 0, i < 4 ? 1e-5 : 0, 0);
            T_NEAR(v, i < 4 ? 1 : 0, i < 4 ? 1e-5 : 0, 0);
            T_NEAR(a.s[i], i < 4 ? 1 : 0, i < 4 ? 1e-5 : 0, 0);
        }
        T_TRUE(left_by(&a, d) < 1e-8);
        rs_svd_free(&a);
        free(d);
    }
    rs_quit(&rt);
}

T_MAIN(T_TEST(differences_of_the_sparring_models), T_TEST(shapes_and_spectra),
       T_TEST(numbers_that_are_not), T_TEST(the_door_tells_why), T_TEST(spectra),
       T_TEST(fewer_than_asked_for))
