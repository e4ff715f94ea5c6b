/* The formulas of docs/method.md on arrays, against float64 results of another program
 * (tests/golden/merge/README.md: sections 1 to 5, and the damage of 8). */
#include "merge/angle.h"
#include "merge/dampen.h"

#include "base/json.h"
#include "store/checkpoint.h"
#include "tensor/convert.h"
#include "tensor/half.h"
#include "tests/t.h"

#include <stdint.h>

enum { MAX_TENSORS = 8, MAX_SIZE = 4096, N_LAYERS = 3, N_ADAPTERS = 4 };

typedef struct fixture {
    rs_runtime rt;
    rs_json *cases;
    rs_checkpoint *inputs, *heal;
    int n;
    const char *name[MAX_TENSORS];
    int64_t size[MAX_TENSORS], rows[MAX_TENSORS];
    int layer[MAX_TENSORS];
    float w0[MAX_TENSORS][MAX_SIZE], f[MAX_TENSORS][MAX_SIZE], h[MAX_TENSORS][MAX_SIZE];
    float delta[N_ADAPTERS][MAX_TENSORS][MAX_SIZE];
} fixture;

static fixture fx;

/* What a test leaves to the end of its process stays reachable, so that a leak checker sees
 * only leaks of the engine. */
static void *remains[4096];
static int n_remains;
static void keep(void *p)
{
    if (n_remains < 4096) remains[n_remains++] = p;
}

static bool read_into(const rs_checkpoint *c, const char *prefix, const char *name,
                      float *dst)
{
    char full[128];
    snprintf(full, sizeof full, "%s/%s", prefix, name);
    const rs_tensor *t = rs_checkpoint_find(c, full);
    return t && t->n_elements <= MAX_SIZE &&
           rs_checkpoint_read_f32(c, t, 0, t->n_elements, dst, &t_err) == RS_OK;
}

static bool load(const char *isa)
{
    rs_options o = {.threads = 2, .isa = isa};
    if (rs_init(&o, &fx.rt, &t_err) != RS_OK) return false;
    if (rs_json_read_file(t_golden("merge/cases.json"), 1 << 20, &fx.cases, &t_err) !=
            RS_OK ||
        rs_checkpoint_open(t_golden("merge/inputs.safetensors"), &fx.inputs, &t_err) !=
            RS_OK ||
        rs_checkpoint_open(t_golden("merge/heal_inputs.safetensors"), &fx.heal, &t_err) !=
            RS_OK)
        return false;
    const rs_json *t = rs_json_first(rs_json_get(fx.cases, "tensors"));
    for (fx.n = 0; t; t = rs_json_next(t), fx.n++) {
        int i = fx.n;
        fx.name[i] = rs_json_string(rs_json_get(t, "name"));
        fx.layer[i] = (int)rs_json_number(rs_json_get(t, "layer"));
        fx.size[i] = 1;
        for (const rs_json *d = rs_json_first(rs_json_get(t, "shape")); d;
             d = rs_json_next(d))
            fx.size[i] *= (int64_t)rs_json_number(d);
        if (!read_into(fx.inputs, "W0", fx.name[i], fx.w0[i]) ||
            !read_into(fx.inputs, "F", fx.name[i], fx.f[i]) ||
            !read_into(fx.inputs, "H", fx.name[i], fx.h[i]))
            return false;
        for (int a = 0; a < N_ADAPTERS; a++) {
            char prefix[4] = {'D', (char)('1' + a), 0};
            if (!read_into(fx.inputs, prefix, fx.name[i], fx.delta[a][i])) return false;
        }
    }
    return fx.n == 5;
}

/* The largest error over the largest expected magnitude; -1: no such tensor. */
static double error_of(const rs_checkpoint *expected, const char *id, const char *name,
                       const float *got)
{
    char full[128];
    static double want[MAX_SIZE];
    double worst = 0, largest = 0;
    snprintf(full, sizeof full, "%s/%s", id, name);
    const rs_tensor *t = rs_checkpoint_find(expected, full);
    if (!t || t->dtype != RS_DTYPE_F64 || t->n_bytes > sizeof want) return -1;
    if (rs_checkpoint_read_raw(expected, t, 0, t->n_bytes, want, &t_err) != RS_OK)
        return -1;
    for (int64_t i = 0; i < t->n_elements; i++) {
        double e = fabs((double)got[i] - want[i]);
        if (!(e <= worst)) worst = e;
        if (fabs(want[i]) > largest) largest = fabs(want[i]);
    }
    return largest > 0 ? worst / largest : worst;
}

#define NEAR(expected, id, name, got)                                                    \
    do {                                                                                 \
        double t_e = error_of(expected, id, name, got);                                  \
        if (!(t_e >= 0 && t_e <= 1e-6))                                                  \
            T_FAIL("%s/%s is off by %.3g of the largest", id, name, t_e);                \
    } while (0)

static const rs_json *case_named(const char *id)
{
    const rs_json *c = rs_json_first(rs_json_get(fx.cases, "cases"));
    while (c && strcmp(rs_json_string(rs_json_get(c, "id")), id) != 0)
        c = rs_json_next(c);
    return c;
}

static const rs_json *next_of_section(const rs_json *c, int section)
{
    c = c ? rs_json_next(c) : rs_json_first(rs_json_get(fx.cases, "cases"));
    while (c && (int)rs_json_number(rs_json_get(c, "section")) != section)
        c = rs_json_next(c);
    return c;
}

static double number_at(const rs_json *list, int i)
{
    const rs_json *v = rs_json_first(list);
    while (i-- > 0)
        v = rs_json_next(v);
    return rs_json_number(v);
}

static bool is_absent(const rs_json *params, int adapter, const char *name)
{
    for (const rs_json *a = rs_json_first(rs_json_get(params, "absent")); a;
         a = rs_json_next(a))
        if ((int)rs_json_number(rs_json_first(a)) == adapter + 1 &&
            strcmp(rs_json_string(rs_json_next(rs_json_first(a))), name) == 0)
            return true;
    return false;
}

/* As the executor folds it: one float32 coefficient an adapter. */
static void average(const rs_json *params, double s, int t, float *out)
{
    const rs_merge_kernels *k = fx.rt.kernels->merge;
    const rs_json *w = rs_json_get(params, "w");
    double total = 0;
    for (int a = 0; a < N_ADAPTERS; a++)
        total += number_at(w, a);
    if (!rs_json_true(rs_json_get(params, "normalize"))) total = 1;
    memset(out, 0, (size_t)fx.size[t] * sizeof *out);
    for (int a = 0; a < N_ADAPTERS; a++)
        if (!is_absent(params, a, fx.name[t]))
            k->add_scaled((float)(s * number_at(w, a) / total), fx.delta[a][t], out,
                          fx.size[t]);
}

static rs_checkpoint *expected_of(int section)
{
    char path[64];
    rs_checkpoint *c = NULL;
    snprintf(path, sizeof path, "merge/expected%d.safetensors", section);
    if (rs_checkpoint_open(t_golden(path), &c, &t_err) != RS_OK)
        printf("%s\n", t_err.msg);
    keep(c);
    return c;
}

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

/* --- Fisher through the same passes as a file --- */

static rs_status read_fisher(void *ctx, int tensor, int64_t first, int64_t n, float *dst,
                             rs_err *err)
{
    (void)ctx, (void)err;
    memcpy(dst, fx.f[tensor] + first, (size_t)n * sizeof *dst);
    return RS_OK;
}

static const char *name_of(void *ctx, int tensor)
{
    (void)ctx;
    return fx.name[tensor];
}

static rs_values fisher_values(void)
{
    return (rs_values){NULL, read_fisher, name_of, fx.n, fx.size};
}

static rs_pass pass_of(void)
{
    return (rs_pass){.k = fx.rt.kernels->merge, .pool = fx.rt.pool};
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
        keep(out->made[0].ranks);
        if (per_tensor)
            RS_TRY(rs_norm_make(&pass, &v, use, &m[t], kind, &out->made[t], &t_err));
        if (per_tensor) keep(out->made[t].ranks);
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

/* --- slerp --- */

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

/* --- damage --- */

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

/* --- statistics at their edges --- */

static float odd[3][MAX_SIZE];
static int64_t odd_size[3];

static rs_status read_odd(void *ctx, int tensor, int64_t first, int64_t n, float *dst,
                          rs_err *err)
{
    (void)ctx, (void)err;
    memcpy(dst, odd[tensor] + first, (size_t)n * sizeof *dst);
    return RS_OK;
}

static void bad_fishers_are_refused(void)
{
    rs_values v = {NULL, read_odd, name_of, 2, odd_size};
    rs_moments m[2];
    bool use[2] = {true, true};
    T_TRUE(load(NULL));
    rs_pass pass = pass_of();
    odd_size[0] = odd_size[1] = 10;
    odd[1][7] = -1e-20f;
    T_FAILS(rs_fisher_moments(&pass, &v, use, m, &t_err), RS_E_INVALID,
            "element 7 is -1e-20");
    odd[1][7] = NAN;
    T_FAILS(rs_fisher_moments(&pass, &v, use, m, &t_err), RS_E_INVALID, "element 7 is ");
    odd[1][7] = -0.0f;
    T_OK(rs_fisher_moments(&pass, &v, use, m, &t_err));
    T_EQ(m[1].n, 10);
    T_TRUE(m[1].max == 0 && m[1].least == 0);
}

/* All zero, or all equal: no division by nothing, and the documented values. */
static void flat_fishers(void)
{
    static const rs_normaliser kinds[] = {RS_NORM_MEAN, RS_NORM_MAX, RS_NORM_LOG,
                                          RS_NORM_RANK, RS_NORM_P99};
    static const float if_equal[] = {1, 1, 1, 0.5f, 1};
    rs_values v = {NULL, read_odd, name_of, 1, odd_size};
    bool use[1] = {true};
    T_TRUE(load(NULL));
    rs_pass pass = pass_of();
    odd_size[0] = 5;
    for (int value = 0; value < 2; value++)
        for (int i = 0; i < 5; i++) {
            rs_norm norm;
            rs_moments m;
            float p[5];
            for (int j = 0; j < 5; j++)
                odd[0][j] = value ? 3e-7f : 0;
            T_OK(rs_fisher_moments(&pass, &v, use, &m, &t_err));
            T_OK(rs_norm_make(&pass, &v, use, &m, kinds[i], &norm, &t_err));
            rs_norm_apply(&norm, fx.rt.kernels->merge, odd[0], p, 5);
            for (int j = 0; j < 5; j++) {
                float want = value ? if_equal[i] : kinds[i] == RS_NORM_RANK ? 0.5f : 0;
                T_NEAR(p[j], want, 1e-6, 0);
            }
            rs_norm_free(&norm);
        }
}

/* Quantiles and ranks against a plain sort, with ties, zeros and odd sizes. */
static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void order_statistics(void)
{
    static float sorted[2 * MAX_SIZE];
    rs_values v = {NULL, read_odd, name_of, 2, odd_size};
    bool use[2] = {true, true};
    uint32_t seed = 5;
    T_TRUE(load(NULL));
    rs_pass pass = pass_of();
    for (int round = 0; round < 40; round++) {
        int n = 0;
        odd_size[0] = 1 + round * 37 % 400;
        odd_size[1] = round * 91 % 300;
        for (int t = 0; t < 2; t++)
            for (int64_t i = 0; i < odd_size[t]; i++) {
                seed = seed * 1664525u + 1013904223u;
                float f =
                    round % 4 == 0 ? (float)(seed >> 28) : (float)(seed >> 8) * 1e-12f;
                if (round % 2) f = rs_bf16_to_f32(rs_bf16_from_f32(f));
                odd[t][i] = f;
                sorted[n++] = f;
            }
        qsort(sorted, (size_t)n, sizeof *sorted, by_value);
        rs_ranks *ranks;
        rs_norm norm = {.kind = RS_NORM_RANK};
        T_OK(rs_ranks_new(&pass, &v, use, n, &ranks, &t_err));
        norm.ranks = ranks;
        for (double q = 0; q <= 1; q += 0.083) {
            rs_order o;
            double h = (n - 1) * q;
            int i = (int)floor(h);
            double next = sorted[i + 1 < n ? i + 1 : i];
            T_OK(rs_fisher_order(&pass, &v, use, n, q, &o, &t_err));
            T_NEAR(rs_order_value(&o), sorted[i] + (h - i) * (next - sorted[i]), 1e-30,
                   1e-14);
        }
        for (int i = 0, j; i < n; i = j) {
            for (j = i; j < n && sorted[j] == sorted[i];)
                j++;
            double rank = (i + j + 1) / 2.0;
            T_NEAR(rs_norm_value(&norm, sorted[i]), n > 1 ? (rank - 1) / (n - 1) : 0,
                   1e-15, 0);
        }
        rs_ranks_free(ranks);
    }
}

#define ON_BOTH(section)                                                                 \
    static void section##_base(void)                                                     \
    {                                                                                    \
        section("base");                                                                 \
    }                                                                                    \
    static void section##_best(void)                                                     \
    {                                                                                    \
        section(NULL);                                                                   \
    }
ON_BOTH(section_1)
ON_BOTH(section_2)
ON_BOTH(section_3)
ON_BOTH(section_4)
ON_BOTH(section_5)

T_MAIN(T_TEST(section_1_base), T_TEST(section_1_best), T_TEST(section_2_base),
       T_TEST(section_2_best), T_TEST(layers), T_TEST(section_3_base),
       T_TEST(section_3_best), T_TEST(section_4_base), T_TEST(section_4_best),
       T_TEST(section_5_base), T_TEST(section_5_best), T_TEST(angles),
       T_TEST(sine_and_arc_tangent), T_TEST(damage), T_TEST(bad_fishers_are_refused),
       T_TEST(flat_fishers), T_TEST(order_statistics))
