/* Subspaces weighted by sqrt(F): against float64 (tests/golden/subspace/make_weighted.py), and
 * what must hold of any: a constant weight changes nothing but the values, what weighs nothing
 * is not there. */
#include "learn/subspace.h"
#include "model/family.h"
#include "store/tensor_file.h"
#include "tests/files.h"
#include "tests/t.h"

#include <math.h>

static const char *const names[] = {"model.layers.2.self_attn.v_proj",
                                    "model.layers.5.per_layer_projection"};

static rs_runtime rt;
static rs_checkpoint *from, *to;
static rs_config *config;
static const char *folder;

static rs_status start(void)
{
    rs_options o = {.threads = 2};
    folder = t_folder();
    RS_TRY(rs_init(&o, &rt, &t_err));
    RS_TRY(rs_checkpoint_open("recipes/sparring/pt", &from, &t_err));
    RS_TRY(rs_checkpoint_open("recipes/sparring/it", &to, &t_err));
    return rs_config_load(to, &config, &t_err);
}

static void finish(void)
{
    rs_config_free(config);
    rs_checkpoint_close(from);
    rs_checkpoint_close(to);
    rs_quit(&rt);
}

static bool only_these(void *ctx, const char *name, int layer)
{
    (void)ctx, (void)layer;
    for (int i = 0; i < 2; i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0) return true;
    return false;
}

/* A weight of `value` everywhere for both matrices, with NaN put at `bad` of the second. */
static const char *constant(const char *name, float value, int64_t bad)
{
    rs_write_tensor t[2];
    char full[2][80];
    rs_tensor_file *f;
    const char *path = in_folder(folder, name);
    for (int i = 0; i < 2; i++) {
        snprintf(full[i], sizeof full[i], "%s.weight", names[i]);
        const rs_tensor *own = rs_checkpoint_find(to, full[i]);
        t[i] = (rs_write_tensor){full[i], RS_DTYPE_F32, 2, {own->dim[0], own->dim[1]}};
    }
    rs_write_plan plan = {.tensors = t, .n_tensors = 2, .force = true};
    if (rs_tensor_file_new(path, &plan, false, &f, &t_err) != RS_OK) exit(1);
    for (int i = 0; i < 2; i++) {
        int64_t n = t[i].dim[0] * t[i].dim[1];
        float *v = calloc((size_t)n, sizeof *v);
        for (int64_t k = 0; k < n; k++)
            v[k] = i == 1 && k == bad ? NAN : value;
        if (rs_tensor_file_write(f, i, 0, v, (size_t)n * sizeof *v, &t_err) != RS_OK)
            exit(1);
        free(v);
    }
    if (rs_tensor_file_finish(f, &t_err) != RS_OK) exit(1);
    rs_tensor_file_free(f);
    return path;
}

/* The subspace of rank 8 under a weight (NULL: none), as a checkpoint. */
static rs_status make(const char *weight, bool exact, rs_checkpoint **out)
{
    rs_checkpoint *w = NULL;
    rs_subspace_result r;
    char path[600];
    snprintf(path, sizeof path, "%s/out.safetensors", folder);
    if (weight) RS_TRY(rs_checkpoint_open(weight, &w, &t_err));
    rs_subspace_options o = {.rank = 8,
                             .exact = exact,
                             .weight = w,
                             .wants = only_these,
                             .out = path,
                             .force = true};
    rs_status s = rs_subspace_run(&rt, from, to, config, &o, &r, &t_err);
    rs_checkpoint_close(w);
    return s == RS_OK ? rs_checkpoint_open(path, out, &t_err) : s;
}

static float *values(const rs_checkpoint *c, int i, const char *part, int64_t dim[2])
{
    char name[80];
    snprintf(name, sizeof name, "%s.%s", names[i], part);
    const rs_tensor *t = rs_checkpoint_find(c, name);
    float *v = t ? calloc((size_t)t->n_elements, sizeof *v) : NULL;
    if (!t || rs_checkpoint_read_f32(c, t, 0, t->n_elements, v, &t_err) != RS_OK) exit(1);
    dim[0] = t->dim[0];
    dim[1] = t->n_dims > 1 ? t->dim[1] : 1;
    return v;
}

/* max |A A^T - B B^T| of the part in two files */
static double projectors(const rs_checkpoint *x, const rs_checkpoint *y, int i,
                         const char *part)
{
    int64_t d[2], e[2];
    float *a = values(x, i, part, d), *b = values(y, i, part, e);
    double worst = d[0] == e[0] && d[1] == e[1] ? 0 : INFINITY;
    for (int64_t r = 0; r < d[0] && worst < 1; r++)
        for (int64_t s = 0; s <= r; s++) {
            double sum = 0;
            for (int64_t k = 0; k < d[1]; k++)
                sum += (double)a[r * d[1] + k] * (double)a[s * d[1] + k] -
                       (double)b[r * d[1] + k] * (double)b[s * d[1] + k];
            worst = t_max(worst, fabs(sum));
        }
    free(a), free(b);
    return worst;
}

static void against_float64(void)
{
    rs_checkpoint *want, *have;
    T_OK(start());
    T_OK(rs_checkpoint_open("tests/golden/subspace/weighted.safetensors", &want, &t_err));
    for (int exact = 0; exact < 2; exact++) {
        T_OK(make("tests/golden/subspace/weight.safetensors", exact, &have));
        for (int i = 0; i < 2; i++) {
            int64_t d[2], e[2];
            float *s = values(have, i, "S", d), *t = values(want, i, "S", e);
            for (int k = 0; k < 8; k++)
                T_NEAR(s[k], t[k], (exact ? 4e-6 : 1e-3) * (double)t[0], 0);
            double u = projectors(have, want, i, "U"), v = projectors(have, want, i, "V");
            printf("  %s, %s: projectors off by %.1e and %.1e\n", names[i],
                   exact ? "exact" : "random", u, v);
            T_TRUE(!exact || (u <= 2e-5 && v <= 2e-5));
            free(s), free(t);
        }
        rs_checkpoint_close(have);
    }
    rs_checkpoint_close(want);
    finish();
}

/* 4 has an exact root: the same directions bit for bit, twice the values. */
static void a_constant_weight(void)
{
    rs_checkpoint *plain, *four;
    T_OK(start());
    for (int exact = 0; exact < 2; exact++) {
        T_OK(make(NULL, exact, &plain));
        float *part[2][3];
        int64_t d[2];
        for (int i = 0; i < 6; i++)
            part[i / 3][i % 3] =
                values(plain, i / 3, (const char *[]){"U", "S", "V"}[i % 3], d);
        rs_checkpoint_close(plain);
        T_OK(make(constant("four", 4, -1), exact, &four));
        for (int i = 0; i < 6; i++) {
            float *v = values(four, i / 3, (const char *[]){"U", "S", "V"}[i % 3], d);
            float *w = part[i / 3][i % 3], by = i % 3 == 1 ? 2 : 1;
            for (int64_t k = 0; k < d[0] * d[1]; k++)
                T_NEAR(v[k], by * w[k], exact ? 1e-6 : 0, 0);
            free(v), free(w);
        }
        rs_checkpoint_close(four);
    }
    finish();
}

/* No weight anywhere: no directions, and no noise in their place. */
static void nothing_weighs(void)
{
    rs_checkpoint *none;
    T_OK(start());
    for (int exact = 0; exact < 2; exact++) {
        T_OK(make(constant("none", 0, -1), exact, &none));
        for (int i = 0; i < 6; i++) {
            int64_t d[2];
            float *v = values(none, i / 3, (const char *[]){"U", "S", "V"}[i % 3], d);
            for (int64_t k = 0; k < d[0] * d[1]; k++)
                T_TRUE(v[k] == 0);
            free(v);
        }
        rs_checkpoint_close(none);
    }
    finish();
}

static void bad_weights(void)
{
    rs_checkpoint *c;
    T_OK(start());
    T_FAILS(make(constant("nan", 1, 77), true, &c), RS_E_INVALID,
            "model.layers.5.per_layer_projection.weight, element 77 is");
    T_FAILS(make(constant("minus", -1, -1), true, &c), RS_E_INVALID,
            "element 0 is -1: a weight must be finite and not negative");
    T_FAILS(make("tests/golden/subspace/sparring.safetensors", true, &c), RS_E_MISMATCH,
            "has no tensor model.layers.2.self_attn.v_proj.weight");
    T_FAILS(make("tests/golden/models/gemma4_e4b", true, &c), RS_E_MISMATCH,
            "model.layers.2.self_attn.v_proj.weight is");
    finish();
}

T_MAIN(T_TEST(against_float64), T_TEST(a_constant_weight), T_TEST(nothing_weighs),
       T_TEST(bad_weights))
