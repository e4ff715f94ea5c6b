/* merge_fixture.h - the arrays and cases of the reference formulas, for the tests of
 * core/merge. */
#ifndef TESTS_MERGE_FIXTURE_H
#define TESTS_MERGE_FIXTURE_H

#include "merge/angle.h"
#include "merge/dampen.h"
#include "tests/files.h"

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

UNUSED bool read_into(const rs_checkpoint *c, const char *prefix, const char *name,
                      float *dst)
{
    char full[128];
    snprintf(full, sizeof full, "%s/%s", prefix, name);
    const rs_tensor *t = rs_checkpoint_find(c, full);
    return t && t->n_elements <= MAX_SIZE &&
           rs_checkpoint_read_f32(c, t, 0, t->n_elements, dst, &t_err) == RS_OK;
}

UNUSED bool load(const char *isa)
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
UNUSED double error_of(const rs_checkpoint *expected, const char *id, const char *name,
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
        worst = t_max(worst, fabs((double)got[i] - want[i]));
        largest = t_max(largest, fabs(want[i]));
    }
    return largest > 0 ? worst / largest : worst;
}

#define NEAR(expected, id, name, got)                                                    \
    do {                                                                                 \
        double t_e = error_of(expected, id, name, got);                                  \
        if (!(t_e >= 0 && t_e <= 1e-6))                                                  \
            T_FAIL("%s/%s is off by %.3g of the largest", id, name, t_e);                \
    } while (0)

UNUSED const rs_json *case_named(const char *id)
{
    const rs_json *c = rs_json_first(rs_json_get(fx.cases, "cases"));
    while (c && strcmp(rs_json_string(rs_json_get(c, "id")), id) != 0)
        c = rs_json_next(c);
    return c;
}

UNUSED const rs_json *next_of_section(const rs_json *c, int section)
{
    c = c ? rs_json_next(c) : rs_json_first(rs_json_get(fx.cases, "cases"));
    while (c && (int)rs_json_number(rs_json_get(c, "section")) != section)
        c = rs_json_next(c);
    return c;
}

UNUSED double number_at(const rs_json *list, int i)
{
    const rs_json *v = rs_json_first(list);
    while (i-- > 0)
        v = rs_json_next(v);
    return rs_json_number(v);
}

UNUSED bool is_absent(const rs_json *params, int adapter, const char *name)
{
    for (const rs_json *a = rs_json_first(rs_json_get(params, "absent")); a;
         a = rs_json_next(a))
        if ((int)rs_json_number(rs_json_first(a)) == adapter + 1 &&
            strcmp(rs_json_string(rs_json_next(rs_json_first(a))), name) == 0)
            return true;
    return false;
}

/* As the executor folds it: one float32 coefficient an adapter. */
UNUSED void average(const rs_json *params, double s, int t, float *out)
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

UNUSED rs_checkpoint *expected_of(int section)
{
    char path[64];
    rs_checkpoint *c = NULL;
    snprintf(path, sizeof path, "merge/expected%d.safetensors", section);
    if (rs_checkpoint_open(t_golden(path), &c, &t_err) != RS_OK)
        printf("%s\n", t_err.msg);
    kept(c);
    return c;
}

/* --- Fisher through the same passes as a file --- */

UNUSED rs_status read_fisher(void *ctx, int tensor, int64_t first, int64_t n, float *dst,
                             rs_err *err)
{
    (void)ctx, (void)err;
    memcpy(dst, fx.f[tensor] + first, (size_t)n * sizeof *dst);
    return RS_OK;
}

UNUSED const char *name_of(void *ctx, int tensor)
{
    (void)ctx;
    return fx.name[tensor];
}

UNUSED rs_values fisher_values(void)
{
    return (rs_values){NULL, read_fisher, name_of, fx.n, fx.size};
}

UNUSED rs_pass pass_of(void)
{
    return (rs_pass){.k = fx.rt.kernels->merge, .pool = fx.rt.pool};
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

#endif
