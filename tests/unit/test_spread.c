/* How the Fisher of a tensor lies, and where the dampening cuts it: against the values read
 * one by one, and against what the merge itself does with them. */
#include "merge/measure.h"
#include "merge/spread.h"

#include "tensor/half.h"
#include "tests/t.h"

#include <unistd.h>

static void *remains[256];
static int n_remains;
static void keep(void *p)
{
    if (n_remains < 256) remains[n_remains++] = p;
}

static rs_runtime rt;

/* The demo with another dampening. */
static rs_plan *plan_of(rs_dampen_kind kind, rs_normaliser normaliser, bool per_tensor,
                        rs_over over, int threads)
{
    rs_recipe *r = NULL;
    rs_plan *p = NULL;
    rs_options o = {.threads = threads};
    rs_quit(&rt); /* of the plan before */
    if (rs_init(&o, &rt, &t_err) != RS_OK ||
        rs_recipe_load("tests/golden/demo/luchador-miniature.json", &r, &t_err) != RS_OK)
        return printf("%s\n", t_err.msg), NULL;
    rs_dampen_spec *d = &rs_recipe_fuel(r)->dampen;
    d->kind = kind;
    d->normaliser = normaliser;
    d->per_tensor = per_tensor;
    d->over = over;
    d->q = 0.97;
    keep(r);
    if (rs_plan_build(&rt, r, NULL, &p, &t_err) != RS_OK) printf("%s\n", t_err.msg);
    keep(p);
    return p;
}

static int tensor_of(const rs_plan *p, int layer, rs_kind kind)
{
    for (int i = 0; i < rs_plan_count(p); i++)
        if (rs_plan_at(p, i)->role.layer == layer && rs_plan_at(p, i)->role.kind == kind)
            return i;
    return -1;
}

/* The Fisher's values of tensor i, by its name. */
static float *values_of(const rs_plan *p, int i, int64_t *n)
{
    for (int k = 0; k < rs_plan_n_sources(p); k++) {
        const rs_plan_source *s = rs_plan_source_at(p, k);
        if (strcmp(s->kind, "fisher") != 0) continue;
        const rs_tensor *t = rs_checkpoint_find(s->file, rs_plan_at(p, i)->name);
        if (!t) return NULL;
        float *v = malloc((size_t)t->n_elements * sizeof *v);
        keep(v);
        *n = t->n_elements;
        return rs_checkpoint_read_f32(s->file, t, 0, *n, v, &t_err) == RS_OK ? v : NULL;
    }
    return NULL;
}

static bool in_layers(const rs_plan *p, int i)
{
    const rs_role *r = &rs_plan_at(p, i)->role;
    return r->layer >= 0 && r->kind < RS_N_LAYER_KINDS && rs_spread_is_there(p, i);
}

static int rising(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* All values of the default population, sorted. */
static float *population(const rs_plan *p, int64_t *count)
{
    float *all = malloc(sizeof *all * 8000000), *at = all;
    keep(all);
    for (int i = 0; i < rs_plan_count(p); i++) {
        int64_t n;
        if (!in_layers(p, i)) continue;
        const float *v = values_of(p, i, &n);
        if (!v || at - all + n > 8000000) return NULL;
        memcpy(at, v, (size_t)n * sizeof *v);
        at += n;
    }
    *count = at - all;
    qsort(all, (size_t)*count, sizeof *all, rising);
    return all;
}

static void bins_hold_their_values(void)
{
    uint32_t bits = 1;
    for (int i = 0; i < 2000000; i++, bits = bits * 1664525u + 1013904223u) {
        float f = rs_float_of(bits & 0x7fffffff);
        if (!(f > 0) || !isfinite(f)) continue;
        int b = rs_spread_bin(f);
        T_TRUE(b >= 0 && b < RS_SPREAD_BINS);
        T_TRUE(rs_spread_edge(b) <= (double)f * (1 + 1e-15));
        T_TRUE((double)f < rs_spread_edge(b + 1) * (1 + 1e-15));
    }
    T_EQ(rs_spread_bin(rs_float_of(1)), 0);
    T_EQ(rs_spread_bin(rs_float_of(0x7f7fffff)), RS_SPREAD_BINS - 1);
    T_EQ(rs_spread_bin(1.0f), rs_spread_bin(1.1f));
    T_EQ(rs_spread_bin(1.0f) + 1, rs_spread_bin(1.2f));
    T_EQ(rs_spread_bin(1.0f) + 4, rs_spread_bin(2.0f));
}

static void check_tensor(const rs_plan *p, rs_spreads *s, int i)
{
    static rs_spread got;
    int64_t n;
    T_OK(rs_spreads_tensor(s, i, NULL, NULL, &got, &t_err));
    const float *v = values_of(p, i, &n);
    T_TRUE(v != NULL);
    static uint64_t want[RS_SPREAD_BINS];
    memset(want, 0, sizeof want);
    double zeros = 0, above[2] = {0, 0}, sum = 0, max = 0;
    for (int64_t k = 0; k < n; k++) {
        if (v[k] > 0) want[(int)floor(4 * (log2((double)v[k]) + 149))]++;
        zeros += !(v[k] > 0);
        above[0] += (double)v[k] >= got.cut.at;
        above[1] += (double)v[k] >= got.other.at;
        sum += (double)v[k];
        max = t_max(max, (double)v[k]);
    }
    T_EQ(got.n, n);
    T_EQ(got.zeros, zeros);
    T_EQ(got.cut.above, above[0]);
    T_EQ(got.other.above, above[1]);
    T_NEAR(got.mean, sum / (double)n, 0, 1e-9);
    T_TRUE(got.max == max);
    T_TRUE(rs_spread_is_sound(&got));
    T_TRUE(got.count > 4 && got.bin[got.first] && got.bin[got.first + got.count - 1]);
    /* log2 may put a value that lies on an edge into the bin beside it. */
    for (int b = 0; b < RS_SPREAD_BINS; b++) {
        bool inside = b >= got.first && b < got.first + got.count;
        T_TRUE(inside || got.bin[b] == 0);
        T_NEAR((double)got.bin[b], (double)want[b], 2, 0);
    }
}

static void spreads_are_those_of_the_values(void)
{
    rs_plan *p = plan_of(RS_DAMPEN_EWC, RS_NORM_MEAN, false, RS_OVER_LAYERS, 2);
    rs_spreads *s;
    T_TRUE(p != NULL);
    T_OK(rs_spreads_open(&rt, p, NULL, NULL, &s, &t_err));
    for (int k = 0; k < RS_N_LAYER_KINDS && t_result == T_PASSED; k++)
        check_tensor(p, s, tensor_of(p, 3, (rs_kind)k));
    rs_spreads_close(s);
}

static void marks_are_mean_and_quantile(void)
{
    rs_plan *p = plan_of(RS_DAMPEN_EWC, RS_NORM_MEAN, false, RS_OVER_LAYERS, 2);
    rs_spreads *s;
    rs_spread got;
    int64_t n;
    T_TRUE(p != NULL);
    const float *all = population(p, &n);
    T_TRUE(all != NULL && n > 1000000);
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)all[i];
    double h = (double)(n - 1) * 0.99, k = floor(h);
    double q = (double)all[(int64_t)k] +
               (h - k) * ((double)all[(int64_t)k + 1] - (double)all[(int64_t)k]);
    T_OK(rs_spreads_open(&rt, p, NULL, NULL, &s, &t_err));
    T_OK(rs_spreads_tensor(s, tensor_of(p, 5, RS_KIND_Q), NULL, NULL, &got, &t_err));
    T_NEAR(got.unit, sum / (double)n, 0, 1e-6);
    T_NEAR(got.cut.at, sum / (double)n, 0, 1e-6);
    T_NEAR(got.other.at, q, 0, 1e-6);
    T_EQ(got.cut.normaliser, RS_NORM_MEAN);
    T_EQ(got.other.normaliser, RS_NORM_P99);
    double above = 0, want = 0, at = got.other.at;
    for (int64_t i = 0; i < n; i++)
        want += (double)all[i] >= at;
    T_TRUE(want >= 0.01 * (double)n - 1); /* equal values may make it more */
    for (int i = 0; i < rs_plan_count(p); i++) {
        if (!in_layers(p, i)) continue;
        T_OK(rs_spreads_tensor(s, i, NULL, NULL, &got, &t_err));
        T_TRUE(got.in_population);
        above += got.other.above;
    }
    T_EQ(above, want);
    rs_spreads_close(s);
}

/* For kind hard, d is 0 from the cut on: the merge's own sum of d says how many are left. */
static void a_hard_cut_is_the_merges(void)
{
    const bool scopes[] = {false, true};
    for (int k = 0; k < 2; k++) {
        rs_plan *p = plan_of(RS_DAMPEN_HARD, RS_NORM_MEAN, scopes[k], RS_OVER_TARGETS, 2);
        rs_spreads *s;
        rs_spread got;
        rs_tensor_sums sums;
        T_TRUE(p != NULL);
        T_OK(rs_spreads_open(&rt, p, NULL, NULL, &s, &t_err));
        for (int kind = RS_KIND_Q; kind <= RS_KIND_DOWN; kind++) {
            int i = tensor_of(p, 2, (rs_kind)kind);
            T_OK(rs_spreads_tensor(s, i, NULL, NULL, &got, &t_err));
            T_OK(rs_sums_tensor(&rt, p, i, false, &sums, &t_err));
            T_EQ(got.cut.kind, RS_MARK_HARD);
            T_TRUE(got.other.kind == RS_MARK_NORMALISER &&
                   got.other.normaliser == RS_NORM_MEAN);
            T_TRUE(got.cut.above > 0 && got.cut.above < got.n);
            T_EQ(sums.sum_d, got.n - got.cut.above);
        }
        T_TRUE(rs_spread_d(&rs_recipe_fuel(rs_plan_recipe(p))->dampen) == 0);
        rs_spreads_close(s);
    }
}

static void threads_change_nothing(void)
{
    static rs_spread got[3];
    const int threads[] = {1, 2, 5};
    for (int k = 0; k < 3; k++) {
        rs_plan *p =
            plan_of(RS_DAMPEN_ONE_MINUS, RS_NORM_P95, false, RS_OVER_ALL, threads[k]);
        rs_spreads *s;
        T_TRUE(p != NULL);
        T_OK(rs_spreads_open(&rt, p, NULL, NULL, &s, &t_err));
        T_OK(rs_spreads_tensor(s, tensor_of(p, 0, RS_KIND_DOWN), NULL, NULL, &got[k],
                               &t_err));
        rs_spreads_close(s);
        T_TRUE(memcmp(&got[0], &got[k], sizeof got[0]) == 0);
    }
    T_TRUE(got[0].cut.normaliser == RS_NORM_P95 &&
           got[0].other.normaliser == RS_NORM_P99);
}

static void fingerprints_follow_the_cut(void)
{
    rs_plan *p = plan_of(RS_DAMPEN_EWC, RS_NORM_MEAN, false, RS_OVER_LAYERS, 2);
    rs_plan *same = NULL;
    rs_recipe *r = NULL;
    T_TRUE(p != NULL);
    int i = tensor_of(p, 4, RS_KIND_UP);
    uint64_t was = rs_spread_fingerprint(p, i);
    T_TRUE(was != 0 && was != rs_spread_fingerprint(p, tensor_of(p, 4, RS_KIND_GATE)));
    T_OK(rs_recipe_clone(rs_plan_recipe(p), &r, &t_err));
    keep(r);
    rs_recipe_fuel(r)->dampen.lambda = 7;
    rs_recipe_fuel(r)->gain.master = 0.5;
    T_OK(rs_plan_build(&rt, r, NULL, &same, &t_err));
    T_TRUE(rs_spread_fingerprint(same, i) == was);
    rs_plan_free(same);
    rs_recipe_fuel(r)->dampen.normaliser = RS_NORM_P99;
    T_OK(rs_plan_build(&rt, r, NULL, &same, &t_err));
    T_TRUE(rs_spread_fingerprint(same, i) != was);
    rs_plan_free(same);
}

static bool stop(void *ctx, const rs_progress *p)
{
    (void)ctx, (void)p;
    return false;
}

static void no_fisher_and_no_time(void)
{
    rs_plan *p = plan_of(RS_DAMPEN_EWC, RS_NORM_P99, false, RS_OVER_LAYERS, 2), *bare;
    rs_recipe *r = NULL;
    rs_spreads *s;
    T_TRUE(p != NULL);
    T_FAILS(rs_spreads_open(&rt, p, stop, NULL, &s, &t_err), RS_E_CANCELLED, "cancelled");
    T_TRUE(s == NULL);
    T_OK(rs_recipe_clone(rs_plan_recipe(p), &r, &t_err));
    keep(r);
    rs_recipe_fuel(r)->dampen = (rs_dampen_spec){0};
    r->n_measures = 0;
    T_OK(rs_plan_build(&rt, r, NULL, &bare, &t_err));
    T_FAILS(rs_spreads_open(&rt, bare, NULL, NULL, &s, &t_err), RS_E_NOT_FOUND,
            "names no Fisher");
    T_EQ(rs_spread_fingerprint(bare, 0), 0);
    rs_plan_free(bare);
}

static void damaged_spreads_are_known(void)
{
    rs_spread s = {.n = 10, .zeros = 2, .first = 3, .count = 4};
    T_TRUE(rs_spread_is_sound(&s));
    rs_spread bad = s;
    bad.first = RS_SPREAD_BINS;
    T_TRUE(!rs_spread_is_sound(&bad));
    bad = s, bad.count = -1;
    T_TRUE(!rs_spread_is_sound(&bad));
    bad = s, bad.n = NAN;
    T_TRUE(!rs_spread_is_sound(&bad));
    bad = s, bad.cut = (rs_mark){.kind = RS_MARK_NORMALISER, .at = INFINITY};
    T_TRUE(!rs_spread_is_sound(&bad));
    bad = s, bad.cut = (rs_mark){.kind = RS_MARK_NORMALISER, .at = 1, .normaliser = 99};
    T_TRUE(!rs_spread_is_sound(&bad));
    bad = s, bad.other = (rs_mark){.kind = RS_MARK_HARD, .at = 1, .above = 11};
    T_TRUE(!rs_spread_is_sound(&bad));
}

T_MAIN(T_TEST(bins_hold_their_values), T_TEST(spreads_are_those_of_the_values),
       T_TEST(marks_are_mean_and_quantile), T_TEST(a_hard_cut_is_the_merges),
       T_TEST(threads_change_nothing), T_TEST(fingerprints_follow_the_cut),
       T_TEST(no_fisher_and_no_time), T_TEST(damaged_spreads_are_known))
