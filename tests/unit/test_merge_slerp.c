/* The geometry of slerp against float64 results of another program. */
#include "tests/merge_fixture.h"

static void heal_vector(const rs_json *params, const float *a, const float *b,
                        const float *w0, int64_t n, float *y)
{
    const rs_merge_kernels *k = fx.rt.kernels->merge;
    bool delta = strcmp(rs_json_string(rs_json_get(params, "space")), "delta") == 0;
    double t = rs_json_number(rs_json_get(params, "t")), sums[3] = {0};
    float u[MAX_SIZE], v[MAX_SIZE];
    memcpy(u, a, (size_t)n * sizeof *u);
    memcpy(v, b, (size_t)n * sizeof *v);
    if (delta) k->subtract(u, w0, u, n), k->subtract(v, w0, v, n);
    rs_angle_sums(k, u, v, n, sums);
    rs_angle angle = rs_angle_of_sums(sums[0], sums[1], sums[2]);
    rs_slerp s =
        rs_slerp_of(&angle, t, rs_json_true(rs_json_get(params, "keep_norm")), 1e-6);
    rs_slerp_apply(k, &s, t, u, v, y, n);
    if (delta) k->apply(y, 1, NULL, false, w0, y, n);
}

static void section_5(const char *isa)
{
    int n = 0;
    T_TRUE(load(isa));
    rs_checkpoint *want = expected_of(5);
    for (const rs_json *c = next_of_section(NULL, 5); c; c = next_of_section(c, 5)) {
        const rs_json *params = rs_json_get(c, "params");
        const char *id = rs_json_string(rs_json_get(c, "id"));
        bool rowwise = rs_json_true(rs_json_get(params, "row_wise"));
        for (int i = 0; i < rs_checkpoint_count(fx.heal); i++) {
            const rs_tensor *t = rs_checkpoint_at(fx.heal, i);
            float a[MAX_SIZE], b[MAX_SIZE], w0[MAX_SIZE], y[MAX_SIZE];
            if (strncmp(t->name, "A/", 2) != 0) continue;
            const char *name = t->name + 2;
            T_TRUE(read_into(fx.heal, "A", name, a) && read_into(fx.heal, "B", name, b) &&
                   read_into(fx.heal, "W0", name, w0));
            int64_t length = rowwise && t->n_dims == 2 ? t->dim[1] : t->n_elements;
            for (int64_t at = 0; at < t->n_elements; at += length)
                heal_vector(params, a + at, b + at, w0 + at, length, y + at);
            NEAR(want, id, name, y);
            n++;
        }
    }
    T_TRUE(n >= 77);
}

static void angles(void)
{
    T_TRUE(load(NULL));
    static const char *const ids[] = {"heal_whole_plain_flat_0.407",
                                      "heal_delta_plain_flat_0.407"};
    for (int space = 0; space < 2; space++) {
        const rs_json *want =
            rs_json_get(rs_json_get(case_named(ids[space]), "expect"), "angle_rad_flat");
        for (const rs_json *m = rs_json_first(want); m; m = rs_json_next(m)) {
            float a[MAX_SIZE], b[MAX_SIZE], w0[MAX_SIZE];
            char name[64];
            double sums[3] = {0};
            snprintf(name, sizeof name, "A/%s", rs_json_key(m));
            const rs_tensor *t = rs_checkpoint_find(fx.heal, name);
            T_TRUE(t && read_into(fx.heal, "A", rs_json_key(m), a) &&
                   read_into(fx.heal, "B", rs_json_key(m), b) &&
                   read_into(fx.heal, "W0", rs_json_key(m), w0));
            const rs_merge_kernels *k = fx.rt.kernels->merge;
            if (space)
                k->subtract(a, w0, a, t->n_elements),
                    k->subtract(b, w0, b, t->n_elements);
            rs_angle_sums(k, a, b, t->n_elements, sums);
            rs_angle angle = rs_angle_of_sums(sums[0], sums[1], sums[2]);
            /* In delta space the subtraction is rounded to float32, the reference's is not;
             * and one pass leaves the root of float64's rounding at exactly 0 and pi. */
            double want_theta = rs_json_number(m);
            double limit = space || want_theta > 3 ? 2e-7 : 1e-12;
            T_NEAR(angle.theta, want_theta, limit, space ? 0 : 1e-9);
        }
    }
}

static void sine_and_arc_tangent(void)
{
    for (double x = -9; x < 9; x += 0.00137)
        T_NEAR(rs_sin(x), sin(x), 4e-16, 4e-16);
    for (double x = 0; x < 3; x += 0.0173)
        for (double y = 1e-9; y < 5; y *= 1.37)
            T_NEAR(rs_atan2(y, x), atan2(y, x), 1e-300, 1e-15);
    T_NEAR(rs_atan2(0, 0), 0, 0, 0);
    T_NEAR(rs_atan2(0, 1), 0, 0, 0);
}

ON_BOTH(section_5)

T_MAIN(T_TEST(section_5_base), T_TEST(section_5_best), T_TEST(angles),
       T_TEST(sine_and_arc_tangent))
