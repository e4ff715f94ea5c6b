/* Which two models a recipe's subspace lies between, and the singular values of what differs. */
#include "learn/subspace.h"
#include "merge/difference.h"
#include "tensor/svd.h"

#include "tests/t.h"

#include <unistd.h>

static rs_recipe *parse(const char *models, const char *measures)
{
    rs_recipe *r = NULL;
    static char text[2000];
    snprintf(text, sizeof text,
             "{\"ringside\":1,\"name\":\"t\",\"models\":{%s},\"measures\":{%s},\"stages\":[{"
             "\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"a\",\"inputs\":[]}]}",
             models, measures);
    if (rs_recipe_parse(text, strlen(text), "recipes", "the recipe", &r, &t_err) != RS_OK)
        printf("%s\n", t_err.msg);
    return r;
}

#define SPARRING(name, folder) "\"" name "\":{\"path\":\"sparring/" folder "\"}"

static void pairs_by_name_and_by_measure(void)
{
    static rs_difference d;
    rs_recipe *r =
        parse(SPARRING("a", "it") "," SPARRING("it", "it") "," SPARRING("pt", "pt"), "");
    T_TRUE(r != NULL);
    T_OK(rs_recipe_difference(r, NULL, &d, &t_err));
    T_STR(d.from_name, "pt");
    T_TRUE(strstr(d.from, "recipes/sparring/pt") != NULL);
    T_TRUE(strstr(d.to, "recipes/sparring/it") != NULL);
    T_TRUE(d.measure == NULL && d.rank == 0);
    rs_recipe_free(r);
    r = parse(SPARRING("a", "it") "," SPARRING("b", "pt"),
              "\"space\":{\"subspace\":\"s.safetensors\",\"make\":{\"from\":\"b\",\"to\":\"a\","
              "\"rank\":16}}");
    T_TRUE(r != NULL);
    T_OK(rs_recipe_difference(r, NULL, &d, &t_err));
    T_STR(d.to_name, "a");
    T_STR(d.measure, "space");
    T_EQ(d.rank, 16);
    rs_recipe_free(r);
}

static void what_is_missing_is_said(void)
{
    static rs_difference d;
    rs_recipe *r = parse(SPARRING("a", "it") "," SPARRING("it", "it"), "");
    T_TRUE(r != NULL);
    T_FAILS(rs_recipe_difference(r, NULL, &d, &t_err), RS_E_NOT_FOUND, "called pt and it");
    rs_recipe_free(r);
    r = parse(SPARRING("a", "it") "," SPARRING("it", "it") "," SPARRING("pt", "nowhere"), "");
    T_TRUE(r != NULL);
    T_FAILS(rs_recipe_difference(r, NULL, &d, &t_err), RS_E_NOT_FOUND, "model \"pt\"");
    rs_recipe_free(r);
}

/* --- the values --- */

static rs_runtime rt;
static rs_checkpoint *from, *to;
static rs_config *config;

static bool open_pair(void)
{
    return rs_init(NULL, &rt, &t_err) == RS_OK &&
           rs_checkpoint_open("recipes/sparring/pt", &from, &t_err) == RS_OK &&
           rs_checkpoint_open("recipes/sparring/it", &to, &t_err) == RS_OK &&
           rs_config_load(to, &config, &t_err) == RS_OK;
}

static const char *asked = "model.layers.5.self_attn.q_proj.weight";
static double told_kept, told_largest;
static int told_rank;

static bool only_asked(void *ctx, const char *name, int layer)
{
    (void)ctx, (void)layer;
    return strcmp(name, asked) == 0;
}

static void note(void *ctx, const char *name, int rank, double kept, double largest)
{
    (void)ctx, (void)name;
    told_rank = rank;
    told_kept = kept;
    told_largest = largest;
}

/* What `subspace --exact` prints for a rank, or for a share, is what the values say. */
static void values_agree_with_the_subspace(void)
{
    char out[600];
    double *s, squares = 0, want = 0;
    int64_t n;
    T_TRUE(open_pair());
    T_OK(rs_subspace_values(&rt, from, to, asked, &s, &n, &t_err));
    T_EQ(n, 192);
    const rs_tensor *a = rs_checkpoint_find(to, asked), *b = rs_checkpoint_find(from, asked);
    float *x = malloc((size_t)a->n_elements * sizeof *x);
    float *y = malloc((size_t)a->n_elements * sizeof *y);
    T_OK(rs_checkpoint_read_f32(to, a, 0, a->n_elements, x, &t_err));
    T_OK(rs_checkpoint_read_f32(from, b, 0, b->n_elements, y, &t_err));
    for (int64_t i = 0; i < a->n_elements; i++)
        want += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    for (int64_t i = 0; i < n; i++) {
        squares += s[i] * s[i];
        T_TRUE(i == 0 || s[i] <= s[i - 1]);
    }
    T_NEAR(squares, want, 0, 1e-6);
    snprintf(out, sizeof out, "%s/s.safetensors", t_folder());
    rs_subspace_options o = {.exact = true, .wants = only_asked, .done = note, .out = out};
    rs_subspace_result r;
    const int ranks[] = {1, 16, 94, 192};
    for (int k = 0; k < 4; k++) {
        o.rank = ranks[k];
        o.force = true;
        T_OK(rs_subspace_run(&rt, from, to, config, &o, &r, &t_err));
        T_NEAR(rs_svd_kept(s, n, ranks[k]), told_kept, 1e-6, 0);
        T_NEAR(s[0], told_largest, 0, 1e-6);
    }
    o.rank = 0;
    o.energy = 0.9;
    T_OK(rs_subspace_run(&rt, from, to, config, &o, &r, &t_err));
    T_EQ(told_rank, rs_svd_rank_of(s, n, 0.9));
    free(s), free(x), free(y);
}

static void what_is_no_matrix(void)
{
    double *s;
    int64_t n;
    T_TRUE(open_pair());
    T_FAILS(rs_subspace_values(&rt, from, to, "model.norm.weight", &s, &n, &t_err),
            RS_E_NOT_FOUND, "no matrix model.norm.weight");
    T_TRUE(s == NULL);
    T_FAILS(rs_subspace_values(&rt, from, to, "nothing", &s, &n, &t_err), RS_E_NOT_FOUND,
            "no matrix nothing");
}

static void kept_at_the_ends(void)
{
    const double s[] = {3, 4, 0}; /* the order does not matter to a sum */
    const double none[] = {0, 0};
    T_NEAR(rs_svd_kept(s, 3, 0), 0, 0, 0);
    T_NEAR(rs_svd_kept(s, 3, 1), 9.0 / 25, 1e-15, 0);
    T_NEAR(rs_svd_kept(s, 3, 3), 1, 0, 0);
    T_NEAR(rs_svd_kept(none, 2, 1), 1, 0, 0);
}

T_MAIN(T_TEST(pairs_by_name_and_by_measure), T_TEST(what_is_missing_is_said),
       T_TEST(values_agree_with_the_subspace), T_TEST(what_is_no_matrix),
       T_TEST(kept_at_the_ends))
