/* The numbers of the Ring, on the demo: damage, style kept, norms, angles, survival. */
#include "merge/execute.h"
#include "merge/measure.h"

#include "tests/files.h"
#include "tests/t.h"

#include <unistd.h>

static rs_runtime rt;

static rs_recipe *demo(void)
{
    rs_recipe *r = NULL;
    if (rs_recipe_load("tests/golden/demo/luchador-miniature.json", &r, &t_err) != RS_OK)
        printf("%s\n", t_err.msg);
    kept(r);
    return r;
}

static rs_measure *measure(rs_recipe *r, bool with_output, rs_plan **plan,
                           rs_tensor_sums **sums)
{
    rs_measure *m = NULL;
    rs_plan *p = NULL;
    if (!rt.kernels && rs_init(NULL, &rt, &t_err) != RS_OK) return NULL;
    if (!r || rs_plan_build(&rt, r, NULL, &p, &t_err) != RS_OK)
        return printf("%s\n", t_err.msg), NULL;
    rs_tensor_sums *s = calloc((size_t)rs_plan_count(p), sizeof *s);
    for (int i = 0; i < rs_plan_count(p); i++)
        if (rs_sums_tensor(&rt, p, i, with_output, &s[i], &t_err) != RS_OK)
            return printf("%s\n", t_err.msg), NULL;
    if (rs_measure_from(p, s, &m, &t_err) != RS_OK) printf("%s\n", t_err.msg);
    kept(p);
    kept(s);
    kept(m);
    kept(rt.pool);
    *plan = p;
    *sums = s;
    return m;
}

static void set_gains(rs_recipe *r, const char *const *keys, const double *gains, int n)
{
    for (int i = 0; i < n; i++)
        (void)rs_pairs_set(r, &rs_recipe_fuel(r)->gain.layers, keys[i], gains[i], 1);
}

static rs_measure *slerp_of_two(const char *more, rs_plan **p, rs_tensor_sums **s)
{
    char text[900], cwd[2048], recipes[2100];
    rs_recipe *r = NULL;
    snprintf(
        text, sizeof text,
        "{\"ringside\":1,\"name\":\"two\",\"models\":{\"it\":{\"path\":\"sparring/it\"},"
        "\"pt\":{\"path\":\"sparring/pt\"},\"style\":{\"adapter\":"
        "\"sparring/lora/"
        "gothic\",\"on\":\"it\"}},\"stages\":[{\"name\":\"mix\",\"method\":"
        "\"slerp\",\"inputs\":[{\"from\":\"it\"},{\"from\":\"pt\"}],\"t\":0.5%s}],"
        "\"output\":{\"stage\":\"mix\",\"dtype\":\"bfloat16\"}}",
        more);
    if (!getcwd(cwd, sizeof cwd)) return NULL;
    snprintf(recipes, sizeof recipes, "%s/recipes", cwd);
    if (rs_recipe_parse(text, strlen(text), recipes, "two", &r, &t_err) != RS_OK)
        return printf("%s\n", t_err.msg), NULL;
    kept(r);
    return measure(r, true, p, s);
}

static int place_of(const rs_plan *p, const char *name)
{
    for (int i = 0; i < rs_plan_count(p); i++)
        if (strcmp(rs_plan_at(p, i)->name, name) == 0) return i;
    return -1;
}

/* Products of two models' stored numbers. */
static bool direct(const rs_plan *p, int i, const char *a, const char *b, double *ab,
                   double *aa, double *bb)
{
    char path[2][256];
    const char *name = rs_plan_at(p, i)->name;
    int64_t n = rs_plan_at(p, i)->base->n_elements;
    float *v[2] = {NULL, NULL};
    for (int k = 0; k < 2; k++) {
        rs_checkpoint *c = NULL;
        snprintf(path[k], sizeof path[k], "recipes/sparring/%s", k ? b : a);
        v[k] = malloc((size_t)n * sizeof(float));
        if (rs_checkpoint_open(path[k], &c, &t_err) != RS_OK) return false;
        const rs_tensor *t = rs_checkpoint_find(c, name);
        if (!t || rs_checkpoint_read_f32(c, t, 0, n, v[k], &t_err) != RS_OK) return false;
        rs_checkpoint_close(c);
    }
    *ab = *aa = *bb = 0;
    for (int64_t e = 0; e < n; e++) {
        *ab += (double)v[0][e] * v[1][e];
        *aa += (double)v[0][e] * v[0][e];
        *bb += (double)v[1][e] * v[1][e];
    }
    free(v[0]);
    free(v[1]);
    return true;
}

/* Two models and no delta: the first one is what the numbers compare with. */
static void a_slerp_alone(void)
{
    rs_plan *p;
    rs_tensor_sums *s;
    rs_measure *m = slerp_of_two("", &p, &s);
    T_TRUE(m != NULL);
    int i = place_of(p, "model.layers.0.mlp.up_proj.weight");
    double ab, aa, bb;
    T_TRUE(i >= 0 && direct(p, i, "it", "pt", &ab, &aa, &bb));
    double theta = acos(ab / sqrt(aa * bb));
    T_NEAR(m->tensor[i].theta, theta * 180 / acos(-1), 1e-4, 0);
    T_NEAR(m->tensor[i].c_a, sin(theta / 2) / sin(theta), 1e-6, 0);
    T_NEAR(m->tensor[i].c_b, m->tensor[i].c_a, 1e-12, 0);
    T_NEAR(m->tensor[i].t, 0.5, 0, 0);
    T_TRUE(m->tensor[i].changed > 0.5 && m->all.changed > 0.5);
    T_TRUE(m->all.survival > 0.9 && !m->all.survival_stale);
    T_TRUE(isnan(m->all.norm) && isnan(m->all.damage) && isnan(m->all.gain));
    uint64_t was = rs_sums_fingerprint(p, i);
    m = slerp_of_two(",\"flat_below\":0.5", &p, &s); /* what t and shape do not touch */
    T_TRUE(m && rs_sums_fingerprint(p, i) == was);
}

/* Of differences: the sides less their base, as the formula has it. */
static void a_slerp_of_differences_alone(void)
{
    rs_plan *p;
    rs_tensor_sums *s;
    rs_measure *m = slerp_of_two(",\"space\":\"delta\",\"base\":\"style\"", &p, &s);
    T_TRUE(m != NULL);
    int i = place_of(p, "model.layers.0.self_attn.q_proj.weight");
    const double(*g)[RS_N_V] = s[i].gram;
    double dd = g[RS_V_DELTA][RS_V_DELTA];
    double oo = g[RS_V_OTHER][RS_V_OTHER] - 2 * g[RS_V_OTHER][RS_V_BASE] +
                g[RS_V_BASE][RS_V_BASE];
    double dot = g[RS_V_DELTA][RS_V_OTHER] - g[RS_V_DELTA][RS_V_BASE];
    T_TRUE(dd > 0);
    T_NEAR(m->tensor[i].theta, acos(dot / sqrt(dd * oo)) * 180 / acos(-1), 1e-4, 0);
    T_TRUE(m->tensor[i].theta > 1 && m->tensor[i].changed > 0.3);
}

/* Values of screens.md 2.1 to 2.6, to the digits shown there. */
static void as_shipped(void)
{
    rs_plan *p;
    rs_tensor_sums *s;
    rs_measure *m = measure(demo(), true, &p, &s);
    T_TRUE(m != NULL);
    T_TRUE(m->complete && !m->units_unknown && !m->outside);
    T_NEAR(m->all.damage, 3.857e-3, 0.5e-6, 0);
    T_NEAR(m->layer[5].damage, 0.578e-3, 0.5e-6, 0);
    for (int l = 0; l < 8; l++)
        T_TRUE(m->layer[l].damage <= m->layer[5].damage);
    T_NEAR(m->all.kept, 0.47, 0.005, 0);
    T_NEAR(m->layer[8].damage, 0, 0, 0);
    T_TRUE(m->all.survival > 0.99 && m->all.survival < 1.01 && !m->all.survival_stale);
    T_TRUE(isnan(m->layer[8].kept) && m->layer[8].theta < 1e-3);
}

static void layer_5_at_half(void)
{
    static const char *const keys[] = {"5"};
    static const double gains[] = {0.5};
    rs_plan *p;
    rs_tensor_sums *s;
    rs_recipe *r = demo();
    set_gains(r, keys, gains, 1);
    rs_measure *m = measure(r, false, &p, &s);
    T_TRUE(m != NULL);
    T_NEAR(m->layer[5].damage, 0.144e-3, 0.5e-6, 0);
    T_NEAR(m->all.damage, 3.423e-3, 0.5e-6, 0);
    T_NEAR(m->all.kept, 0.43, 0.005, 0);
    rs_recipe_fuel(r)->dampen.lambda = 1.5;
    m = measure(r, false, &p, &s);
    T_NEAR(m->all.damage, 6.574e-3, 0.5e-6, 0);
    T_NEAR(m->all.kept, 0.57, 0.005, 0);
}

static void tuned(void)
{
    static const char *const keys[] = {"0", "1", "2", "3", "5"};
    static const double gains[] = {0.93, 0.848, 0.856, 0.988, 0.5};
    static const double d[] = {0.53, 0.47, 0.49, 0.55, 0.59, 0.65, 0.69, 0.78};
    static const double mnat[] = {0.728, 0.548, 0.614, 1.011, 1.038, 0.260, 0.981, 0.818};
    static const double norm[] = {0.79, 0.62, 0.66, 0.87, 1.04, 0.57, 1.18, 1.25};
    static const double kept[] = {51, 41, 42, 55, 61, 33, 69, 77};
    rs_plan *p;
    rs_tensor_sums *s;
    rs_recipe *r = demo();
    set_gains(r, keys, gains, 5);
    rs_recipe_fuel(r)->dampen.lambda = 1.5;
    rs_measure *m = measure(r, false, &p, &s);
    T_TRUE(m != NULL);
    for (int l = 0; l < 8; l++) {
        T_NEAR(m->layer[l].d, d[l], 0.00501, 0);
        T_NEAR(1e3 * m->layer[l].damage, mnat[l], 0.000501, 0);
        T_NEAR(100 * m->layer[l].norm, norm[l], 0.00501, 0);
        T_NEAR(100 * m->layer[l].kept, kept[l], 0.501, 0);
    }
    T_NEAR(1e3 * m->all.damage, 5.997, 0.0005, 0);
    T_NEAR(m->all.kept, 0.55, 0.005, 0);
    /* The table of layer 5 (screens.md 2.6). */
    static const struct {
        const char *name;
        double f, d, mnat, kept, norm;
    } rows[] = {{"q_proj", 0.25, 0.76, 0.018, 38, 0.63},
                {"k_proj", 1.95, 0.30, 0.004, 15, 0.24},
                {"v_proj", 10.39, 0.13, 0.001, 7, 0.07},
                {"o_proj", 0.70, 0.56, 0.018, 28, 0.45},
                {"gate_proj", 0.49, 0.59, 0.090, 30, 0.54},
                {"up_proj", 0.29, 0.72, 0.080, 36, 0.68},
                {"down_proj", 0.34, 0.70, 0.049, 35, 0.52}};
    for (int k = 0; k < 7; k++) {
        int i = 0;
        char tail[64];
        snprintf(tail, sizeof tail, "layers.5.%s.%s.weight", k < 4 ? "self_attn" : "mlp",
                 rows[k].name);
        while (!strstr(rs_plan_at(p, i)->name, tail))
            i++;
        const rs_measure_row *row = &m->tensor[i];
        T_NEAR(row->f_mean / 0.013522613755569875, rows[k].f, 0.00501, 0);
        T_NEAR(row->d, rows[k].d, 0.00501, 0);
        T_NEAR(1e3 * row->damage, rows[k].mnat, 0.000501, 0);
        T_NEAR(100 * row->kept, rows[k].kept, 0.501, 0);
        T_NEAR(100 * row->norm, rows[k].norm, 0.00501, 0);
    }
}

/* Sums are the same for any number of threads, and stay usable while gains and t move. */
static void sums_are_stable(void)
{
    static const char *const keys[] = {"5"};
    static const double gains[] = {0.5};
    rs_plan *p, *q;
    rs_tensor_sums *a, *b;
    rs_recipe *r = demo();
    T_TRUE(measure(r, true, &p, &a) != NULL);
    rs_options one = {.threads = 1, .isa = "base"};
    rs_quit(&rt);
    T_OK(rs_init(&one, &rt, &t_err));
    set_gains(r, keys, gains, 1);
    rs_recipe_heal(r)->t.fallback = 0.3;
    rs_measure *direct = measure(r, true, &q, &b), *indirect;
    T_TRUE(direct != NULL);
    for (int i = 0; i < rs_plan_count(p); i++) {
        T_TRUE(memcmp(a[i].gram, b[i].gram, sizeof a[i].gram) == 0);
        T_TRUE(memcmp(a[i].fisher, b[i].fisher, sizeof a[i].fisher) == 0);
        T_TRUE(a[i].fingerprint == b[i].fingerprint &&
               a[i].fingerprint == rs_sums_fingerprint(q, i));
        T_TRUE(a[i].sum_d == b[i].sum_d && a[i].sum_f == b[i].sum_f &&
               a[i].max_f == b[i].max_f);
    }
    T_OK(rs_measure_from(q, a, &indirect, &t_err));
    kept(indirect);
    T_NEAR(indirect->all.out, direct->all.out, 0, 1e-12);
    T_NEAR(indirect->layer[5].damage, direct->layer[5].damage, 0, 1e-12);
    T_TRUE(indirect->all.survival_stale && !direct->all.survival_stale);
    rs_recipe_fuel(r)->dampen.lambda = 4;
    rs_plan *other;
    T_OK(rs_plan_rebuild(&rt, q, r, NULL, &other, &t_err));
    kept(other);
    int moved = 0;
    for (int i = 0; i < rs_plan_count(p); i++)
        moved += rs_sums_fingerprint(other, i) != a[i].fingerprint;
    T_EQ(moved, 52);
}

/* The output's damage, elementwise from the made numbers. */
static void out_is_what_is_written(void)
{
    rs_plan *p;
    rs_tensor_sums *s;
    rs_recipe *r = demo();
    r->output_dtype = RS_DTYPE_F32;
    rs_measure *m = measure(r, false, &p, &s);
    T_TRUE(m != NULL);
    rs_checkpoint *f, *it;
    T_OK(rs_checkpoint_open("tests/golden/demo/sparring/fisher/it-instruct.safetensors", &f,
                            &t_err));
    T_OK(rs_checkpoint_open("recipes/sparring/it", &it, &t_err));
    kept(f);
    kept(it);
    double damage = 0;
    for (int i = 0; i < rs_plan_count(p); i++) {
        const rs_plan_tensor *t = rs_plan_at(p, i);
        const rs_tensor *ft = rs_checkpoint_find(f, t->name);
        int64_t n = t->base->n_elements;
        float *y = malloc((size_t)n * 4), *w = malloc((size_t)n * 4),
              *g = calloc((size_t)n, 4);
        T_OK(rs_plan_produce_tensor(&rt, p, i, y, &t_err));
        T_OK(rs_checkpoint_read_f32(it, t->base, 0, n, w, &t_err));
        if (ft) T_OK(rs_checkpoint_read_f32(f, ft, 0, n, g, &t_err));
        for (int64_t k = 0; k < n; k++) {
            double x = (double)y[k] - (double)w[k];
            damage += 0.5 * (double)g[k] * x * x;
        }
        free(y);
        free(w);
        free(g);
    }
    T_NEAR(m->all.out, damage, 0, 1e-5);
    T_NEAR(damage, 0.0687, 0.00005, 0);
}

/* Against relative_norm of ../shared/fixtures/gemma3-270m/adapters.json; that page's NLL is
 * tested where a forward pass is. */
static void real_adapters(void)
{
    static const double weights[3][2] = {{1, 0}, {0, 0.5}, {0.5, 0.25}};
    static const double want[3] = {0.01316074644265462, 0.018334867340907855,
                                   0.01129745577342312};
    const char *gguf = t_gemma270(), *lora = t_shared("data/gemma270-lora");
    if (!gguf) T_NO_GEMMA270();
    if (!lora) T_SKIP("the adapters for Gemma 3 270M are not there");
    for (int k = 0; k < 3; k++) {
        char text[4096];
        rs_recipe *r;
        rs_plan *p;
        rs_tensor_sums *s;
        snprintf(text, sizeof text,
                 "{\"ringside\":1,\"models\":{\"b\":{\"path\":\"%s\"},\"g\":{\"adapter\":"
                 "\"%s/gothic\"},\"c\":{"
                 "\"adapter\":\"%s/"
                 "comic\"}},\"stages\":[{\"name\":\"s\",\"method\":\"task_arithmetic\","
                 "\"base\":\"b\",\"inputs\":[{\"from\":\"g\",\"weight\":%g},{\"from\":"
                 "\"c\",\"weight\":%g}]}]}",
                 gguf, lora, lora, weights[k][0], weights[k][1]);
        T_OK(rs_recipe_parse(text, strlen(text), ".", "x", &r, &t_err));
        kept(r);
        rs_measure *m = measure(r, false, &p, &s);
        T_TRUE(m != NULL);
        T_NEAR(m->all.norm, want[k], 0, 1e-6);
    }
}

T_MAIN(T_TEST(as_shipped), T_TEST(layer_5_at_half), T_TEST(tuned),
       T_TEST(sums_are_stable), T_TEST(out_is_what_is_written), T_TEST(real_adapters),
       T_TEST(a_slerp_alone), T_TEST(a_slerp_of_differences_alone))
