/* The formulas of docs/method.md on arrays, against float64 results of another program
 * (tests/golden/merge/README.md: sections 1 to 5, and the damage of 8). */
#include "tests/merge_fixture.h"

static void section_1(const char *isa)
{
    float out[MAX_SIZE];
    int n = 0;
    T_TRUE(load(isa));
    rs_checkpoint *want = expected_of(1);
    for (const rs_json *c = next_of_section(NULL, 1); c; c = next_of_section(c, 1)) {
        const rs_json *params = rs_json_get(c, "params");
        const char *id = rs_json_string(rs_json_get(c, "id"));
        for (int t = 0; t < fx.n; t++, n++) {
            average(params, rs_json_number(rs_json_get(params, "s")), t, out);
            NEAR(want, id, fx.name[t], out);
        }
    }
    T_EQ(n, 20);
}

typedef struct norms {
    rs_norm made[MAX_TENSORS];
    const rs_norm *of[MAX_TENSORS];
} norms;

static rs_status make_norms(rs_normaliser kind, bool per_tensor, norms *out)
{
    rs_values v = fisher_values();
    rs_pass pass = pass_of();
    rs_moments m[MAX_TENSORS], all = {0};
    bool use[MAX_TENSORS];
    for (int t = 0; t < fx.n; t++)
        use[t] = true;
    RS_TRY(rs_fisher_moments(&pass, &v, use, m, &t_err));
    for (int t = 0; t < fx.n; t++)
        rs_moments_add(&all, &m[t]);
    if (!per_tensor)
        RS_TRY(rs_norm_make(&pass, &v, use, &all, kind, &out->made[0], &t_err));
    for (int t = 0; t < fx.n; t++) {
        for (int i = 0; i < fx.n; i++)
            use[i] = i == t;
        out->of[t] = &out->made[per_tensor ? t : 0];
        kept(out->made[0].ranks);
        if (per_tensor)
            RS_TRY(rs_norm_make(&pass, &v, use, &m[t], kind, &out->made[t], &t_err));
        if (per_tensor) kept(out->made[t].ranks);
    }
    return RS_OK;
}

static rs_normaliser normaliser_named(const char *name)
{
    rs_normaliser n = RS_NORM_P99;
    if (strcmp(name, "quantile") != 0 && !rs_normaliser_from_name(name, &n))
        return RS_NORM_NONE;
    return n;
}

static void section_2(const char *isa)
{
    int n = 0;
    T_TRUE(load(isa));
    rs_checkpoint *want = expected_of(2);
    for (const rs_json *c = next_of_section(NULL, 2); c; c = next_of_section(c, 2)) {
        const rs_json *params = rs_json_get(c, "params");
        const char *id = rs_json_string(rs_json_get(c, "id"));
        const char *kind = rs_json_string(rs_json_get(params, "kind"));
        norms made;
        if (!kind) continue;
        bool per_tensor =
            strcmp(rs_json_string(rs_json_get(params, "scope")), "tensor") == 0;
        T_OK(make_norms(normaliser_named(kind), per_tensor, &made));
        for (int t = 0; t < fx.n; t++, n++) {
            float p[MAX_SIZE];
            rs_norm_apply(made.of[t], fx.rt.kernels->merge, fx.f[t], p, fx.size[t]);
            NEAR(want, id, fx.name[t], p);
        }
    }
    T_TRUE(n >= 55);
}

static void layer_fisher(double *out)
{
    rs_values v = fisher_values();
    rs_pass pass = pass_of();
    rs_moments m[MAX_TENSORS];
    bool use[MAX_TENSORS] = {true, true, true, true, true};
    if (rs_fisher_moments(&pass, &v, use, m, &t_err) != RS_OK) return;
    rs_layer_fisher(m, fx.layer, fx.n, N_LAYERS, out);
}

static void layers(void)
{
    double got[N_LAYERS];
    T_TRUE(load(NULL));
    layer_fisher(got);
    const rs_json *want =
        rs_json_get(rs_json_get(case_named("layer_fisher"), "expect"), "F_layer");
    for (int l = 0; l < N_LAYERS; l++)
        T_NEAR(got[l], number_at(want, l), 0, 1e-12);
}

/* --- dampening --- */

static rs_status dampen(const rs_json *params, float d[MAX_TENSORS][MAX_SIZE])
{
    norms made;
    double of_layer[N_LAYERS], cut = 0;
    rs_dampener r = {.lambda = (float)rs_json_number(rs_json_get(params, "lambda")),
                     .a = 1};
    const char *scope = rs_json_string(rs_json_get(params, "scope"));
    if (!rs_dampen_from_name(rs_json_string(rs_json_get(params, "kind")), &r.kind))
        return RS_E_BUG;
    RS_TRY(make_norms(normaliser_named(rs_json_string(rs_json_get(params, "normaliser"))),
                      strcmp(scope, "tensor") == 0, &made));
    layer_fisher(of_layer);
    if (r.kind == RS_DAMPEN_HARD) {
        rs_values v = fisher_values();
        rs_pass pass = pass_of();
        bool use[MAX_TENSORS] = {true, true, true, true, true};
        int64_t n = 0;
        for (int t = 0; t < fx.n; t++)
            n += fx.size[t];
        RS_TRY(rs_fisher_cut(&pass, &v, use, n, made.of,
                             rs_json_number(rs_json_get(params, "q")), &cut, &t_err));
    }
    for (int t = 0; t < fx.n; t++) {
        r.norm = made.of[t];
        r.keep = (float)(1 - of_layer[fx.layer[t]]);
        r.cut = rs_norm_inverse(made.of[t], cut);
        rs_dampen(&r, fx.rt.kernels->merge, fx.f[t], fx.h[t], d[t], fx.size[t]);
    }
    return RS_OK;
}

static double gain_of(const rs_json *params, int t)
{
    const rs_json *g = rs_json_get(params, "g");
    return g ? number_at(g, fx.layer[t]) : 1;
}

static void section_3(const char *isa)
{
    static float d[MAX_TENSORS][MAX_SIZE];
    int n = 0, exact = 0;
    T_TRUE(load(isa));
    rs_checkpoint *want = expected_of(3);
    const rs_merge_kernels *k = fx.rt.kernels->merge;
    for (const rs_json *c = next_of_section(NULL, 3); c; c = next_of_section(c, 3)) {
        const rs_json *params = rs_json_get(c, "params");
        const char *id = rs_json_string(rs_json_get(c, "id"));
        T_OK(dampen(params, d));
        bool hard = strcmp(rs_json_string(rs_json_get(params, "kind")), "hard") == 0;
        for (int t = 0; t < fx.n; t++, n++) {
            float zero[MAX_SIZE] = {0}, ones[MAX_SIZE], e[MAX_SIZE];
            for (int i = 0; i < MAX_SIZE; i++)
                ones[i] = 1;
            bool clamp = rs_json_true(rs_json_get(params, "clamp"));
            k->apply(zero, (float)gain_of(params, t), d[t], clamp, ones, e, fx.size[t]);
            NEAR(want, id, fx.name[t], e);
            if (!hard || rs_json_get(params, "g")) continue;
            T_TRUE(error_of(want, id, fx.name[t], d[t]) == 0);
            exact++;
        }
    }
    T_EQ(n, 110);
    T_EQ(exact, 10);
}

/* --- apply and round --- */

static int differing_bits(const rs_checkpoint *want, const char *id, const char *name,
                          const float *y, int64_t n, int *far)
{
    char full[128];
    uint16_t bits[MAX_SIZE];
    int differ = 0;
    snprintf(full, sizeof full, "%s/bits/%s", id, name);
    const rs_tensor *t = rs_checkpoint_find(want, full);
    if (!t || rs_checkpoint_read_raw(want, t, 0, t->n_bytes, bits, &t_err) != RS_OK)
        return -1;
    for (int64_t i = 0; i < n; i++) {
        int step = (int)rs_bf16_from_f32(y[i]) - (int)bits[i];
        differ += step != 0;
        *far += step < -1 || step > 1;
    }
    return differ;
}

static void section_4(const char *isa)
{
    static float d[MAX_TENSORS][MAX_SIZE];
    T_TRUE(load(isa));
    rs_checkpoint *want = expected_of(4);
    const rs_merge_kernels *k = fx.rt.kernels->merge;
    for (const rs_json *c = next_of_section(NULL, 4); c; c = next_of_section(c, 4)) {
        const rs_json *params = rs_json_get(c, "params"),
                      *expect = rs_json_get(c, "expect");
        const char *id = rs_json_string(rs_json_get(c, "id"));
        const char *by = rs_json_string(rs_json_get(params, "dampening_case"));
        int differ = 0, far = 0;
        if (by) T_OK(dampen(rs_json_get(case_named(by), "params"), d));
        for (int t = 0; t < fx.n; t++) {
            float delta[MAX_SIZE], y[MAX_SIZE];
            char id_y[64];
            average(params, rs_json_number(rs_json_get(params, "s")), t, delta);
            k->apply(fx.w0[t], by ? (float)gain_of(params, t) : 1, by ? d[t] : NULL,
                     rs_json_true(rs_json_get(params, "clamp")), delta, y, fx.size[t]);
            snprintf(id_y, sizeof id_y, "%s/y", id);
            NEAR(want, id_y, fx.name[t], y);
            int n = differing_bits(want, id, fx.name[t], y, fx.size[t], &far);
            T_TRUE(n >= 0);
            differ += n;
        }
        T_EQ(far, 0);
        T_TRUE(differ <= (int)rs_json_number(rs_json_get(expect, "near_halfway")));
    }
}

static void damage(void)
{
    static float d[MAX_TENSORS][MAX_SIZE];
    double q[N_LAYERS] = {0}, kept[N_LAYERS] = {0}, total = 0;
    T_TRUE(load(NULL));
    const rs_json *c = case_named("damage"), *params = rs_json_get(c, "params");
    const rs_json *expect = rs_json_get(c, "expect");
    const rs_json *mean = rs_json_get(
        case_named(rs_json_string(rs_json_get(params, "average_case"))), "params");
    const rs_merge_kernels *k = fx.rt.kernels->merge;
    const char *by = rs_json_string(rs_json_get(params, "dampening_case"));
    T_OK(dampen(rs_json_get(case_named(by), "params"), d));
    for (int t = 0; t < fx.n; t++) {
        float delta[MAX_SIZE], x[MAX_SIZE];
        average(mean, rs_json_number(rs_json_get(mean, "s")), t, delta);
        k->multiply(d[t], delta, x, fx.size[t]);
        q[fx.layer[t]] += k->dot3(fx.f[t], x, x, fx.size[t]) / 2;
        kept[fx.layer[t]] += k->dot(x, delta, fx.size[t]);
    }
    for (int l = 0; l < N_LAYERS; l++) {
        double g = number_at(rs_json_get(params, "g"), l);
        T_NEAR(q[l], number_at(rs_json_get(expect, "q"), l), 0, 1e-6);
        T_NEAR(kept[l], number_at(rs_json_get(expect, "n"), l), 0, 1e-6);
        T_NEAR(g * g * q[l], number_at(rs_json_get(expect, "damage_at_gains"), l), 0,
               1e-6);
        total += g * g * q[l];
    }
    T_NEAR(total, rs_json_number(rs_json_get(expect, "total_at_gains")), 0, 1e-6);
}

ON_BOTH(section_1)
ON_BOTH(section_2)
ON_BOTH(section_3)
ON_BOTH(section_4)

T_MAIN(T_TEST(section_1_base), T_TEST(section_1_best), T_TEST(section_2_base),
       T_TEST(section_2_best), T_TEST(layers), T_TEST(section_3_base),
       T_TEST(section_3_best), T_TEST(section_4_base), T_TEST(section_4_best),
       T_TEST(damage))
