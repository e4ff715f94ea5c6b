/* Sources that do not fit the base: which of it is an error and which a warning, in words. */
#include "merge/execute.h"
#include "merge/plan_internal.h"
#include "tests/files.h"
#include "tests/synthetic.h"
#include "tests/t.h"

static rs_runtime rt;

static void start(void)
{
    rs_options o = {.threads = 2, .memory_bytes = 1 << 28};
    if (rs_init(&o, &rt, &t_err) != RS_OK) printf("%s\n", t_err.msg);
}

/* A tiny gemma3 of 4 layers, or of 3, with a head of its own or without. */
static void put_model(const char *root, const char *name, bool short_one, bool untied)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", root, name);
    const char *text = get_file(t_golden("models/gemma3/config.json")).data;
    if (short_one) {
        text = replaced(text, "\"num_hidden_layers\": 4", "\"num_hidden_layers\": 3");
        text = replaced(text, "    \"sliding_attention\",\n", "");
    }
    if (untied)
        text = replaced(text, "\"tie_word_embeddings\": true",
                        "\"tie_word_embeddings\": false");
    T_OK(synthetic_model(path, text, &t_err));
}

static rs_status plan_pair(const char *root, const char *base, const char *other,
                           rs_recipe **r, rs_plan **p)
{
    char text[1024];
    *p = NULL;
    snprintf(text, sizeof text,
             "{\"ringside\":1,\"name\":\"two\",\"models\":{\"a\":{\"path\":\"%s\"},"
             "\"b\":{\"path\":\"%s\"}},\"stages\":[{\"name\":\"s\",\"method\":\"slerp\","
             "\"t\":0.5,\"inputs\":[{\"from\":\"a\"},{\"from\":\"b\"}]}]}",
             base, other);
    RS_TRY(rs_recipe_parse(text, strlen(text), root, "recipe", r, &t_err));
    return rs_plan_build(&rt, *r, NULL, p, &t_err);
}

static void another_depth(void)
{
    char root[512];
    rs_recipe *r;
    rs_plan *p;
    start();
    snprintf(root, sizeof root, "%s", t_folder());
    put_model(root, "four", false, false);
    put_model(root, "three", true, false);
    T_FAILS(plan_pair(root, "four", "three", &r, &p), RS_E_MISMATCH, "lacks 13 of the");
    T_TRUE(strstr(t_err.msg, "model \"b\"") && strstr(t_err.msg, "layers.3."));
    rs_recipe_free(r);
    T_OK(plan_pair(root, "three", "four", &r, &p));
    T_EQ(rs_plan_n_warnings(p), 1);
    const char *w = rs_plan_warning(p, 0);
    T_TRUE(strstr(w, "model \"b\"") && strstr(w, "/four)"));
    T_TRUE(strstr(w, "has 13 tensors that the base lacks (model.layers.3.") != NULL);
    T_TRUE(strstr(w, "with 4 layers to the base's 3: left out") != NULL);
    rs_plan_free(p);
    rs_recipe_free(r);
    T_OK(plan_pair(root, "three", "three", &r, &p));
    T_EQ(rs_plan_n_warnings(p), 0);
    rs_plan_free(p);
    rs_recipe_free(r);
    rs_quit(&rt);
    T_OK(rs_os_remove_tree(root, &t_err));
}

static void a_head_too_many(void)
{
    char root[512];
    rs_recipe *r;
    rs_plan *p;
    start();
    snprintf(root, sizeof root, "%s", t_folder());
    put_model(root, "tied", false, false);
    put_model(root, "untied", false, true);
    T_OK(plan_pair(root, "tied", "untied", &r, &p));
    T_EQ(rs_plan_n_warnings(p), 1);
    T_TRUE(strstr(rs_plan_warning(p, 0),
                  "has 1 tensor that the base lacks (lm_head.weight): left out") != NULL);
    rs_plan_free(p);
    rs_recipe_free(r);
    rs_quit(&rt);
    T_OK(rs_os_remove_tree(root, &t_err));
}

static void which_model_is_meant(void)
{
    static const struct {
        const char *claimed, *path, *own;
        bool same;
    } cases[] = {
        {"org/Some-Model-7B", "models/some_model_7b", NULL, true},
        {"org/Some-Model-7B", "cache/org/some-model-7b/snapshots/1", NULL, true},
        {"sparring-it", "recipes/sparring/it", NULL, true},
        {"org/Some-Model-7B", "models/other-7b", NULL, false},
        {"google/gemma-3-270m", "model.gguf", "Gemma 3 270m", true},
        {"google/gemma-3-270m-it", "model.gguf", "Gemma 3 270m", true},
        {"google/gemma-3-270m", "model.gguf", "Llama 3.1 8B", false},
        {"google/gemma-3-270m", "gemma-3-270m.gguf", "Llama 3.1 8B", false},
        {"google/gemma-3-270m", "model.gguf", "--", false},
        {"org/-", "forge/model", "Llama 3.1 8B", false},
        {"--", "models/it", "Llama 3.1 8B", false},
        {"cache/Some-Model-7B//", "models/some_model_7b", NULL, true},
        {"org/Some-Model-7B/", "models/other-7b", NULL, false},
        {"org/模型", "models/模型", NULL, true},
        {"org/模型", "models/other-7b", "Llama 3.1 8B", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (rs_names_model(cases[i].claimed, cases[i].path, cases[i].own) !=
            cases[i].same)
            T_FAIL("%s, %s", cases[i].claimed, cases[i].path);
}

/* The config of a merge of root/model with itself; free it. */
static char *merged_config(const char *root, const char *model)
{
    char path[800], out[700];
    rs_recipe *r;
    rs_plan *p;
    rs_buf text = {0};
    rs_execute_result result;
    snprintf(out, sizeof out, "%s/out", root);
    snprintf(path, sizeof path, "%s/config.json", out);
    rs_execute_options o = {.out = out, .force = true};
    if (plan_pair(root, model, model, &r, &p) != RS_OK ||
        rs_execute(&rt, p, &o, &result, &t_err) != RS_OK ||
        rs_os_read_file(path, 1 << 20, &text, &t_err) != RS_OK)
        printf("%s\n", t_err.msg);
    rs_plan_free(p);
    rs_recipe_free(r);
    rs_buf_putc(&text, 0);
    return text.data;
}

/* tie_word_embeddings is true of the tensors, whatever the base's config says. */
static void ties_are_true(void)
{
    static const char tie[] = "\"tie_word_embeddings\": true",
                      untie[] = "\"tie_word_embeddings\": false";
    static const struct {
        bool head;
        const char *says, *gets; /* NULL: the flag is not there */
    } cases[] = {{false, tie, tie},
                 {false, untie, tie},
                 {false, NULL, NULL},
                 {true, tie, tie}, /* the head becomes a copy */
                 {true, untie, untie}};
    char root[512], path[600];
    start();
    snprintf(root, sizeof root, "%s", t_folder());
    snprintf(path, sizeof path, "%s/m/config.json", root);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_model(root, "m", false, cases[i].head);
        const char *full = replaced(get_file(path).data, cases[i].head ? untie : tie,
                                    cases[i].says ? cases[i].says : "\"other\": 1");
        T_TRUE(full != NULL);
        T_OK(rs_os_write_file(path, full, strlen(full), &t_err));
        const char *want =
            cases[i].says ? replaced(full, cases[i].says, cases[i].gets) : full;
        char *got = merged_config(root, "m");
        T_STR(got, want);
        free(got);
    }
    rs_quit(&rt);
    T_OK(rs_os_remove_tree(root, &t_err));
}

/* A model inside a multimodal config: both places say the same, other parts keep theirs. */
static void nested_ties_are_true(void)
{
    char root[512], path[600];
    rs_buf text = {0}, nested = {0};
    start();
    snprintf(root, sizeof root, "%s", t_folder());
    snprintf(path, sizeof path, "%s/m/config.json", root);
    put_model(root, "m", false, true);
    T_OK(rs_os_read_file(path, 1 << 20, &text, &t_err));
    rs_buf_printf(&nested,
                  "{\"model_type\":\"gemma3\",\"tie_word_embeddings\":true,"
                  "\"a\":{\"tie_word_embeddings\":true,\"b\\\"{\":[1,{}]},"
                  "\"text_config\":%s}",
                  rs_buf_str(&text));
    T_OK(rs_os_write_file(path, nested.data, nested.len, &t_err));
    char *got = merged_config(root, "m");
    T_TRUE(strncmp(got,
                   "{\"model_type\":\"gemma3\",\"tie_word_embeddings\":false,"
                   "\"a\":{\"tie_word_embeddings\":true,",
                   strlen("{\"model_type\":\"gemma3\",\"tie_word_embeddings\":false,"
                          "\"a\":{\"tie_word_embeddings\":true,")) == 0);
    T_TRUE(strstr(got, "\"tie_word_embeddings\": false") != NULL);
    free(got);
    rs_buf_free(&text);
    rs_buf_free(&nested);
    rs_quit(&rt);
    T_OK(rs_os_remove_tree(root, &t_err));
}

/* A population without a value dampens nothing, by whatever normaliser. */
static void an_empty_population(void)
{
    static const rs_normaliser kinds[] = {RS_NORM_MEAN, RS_NORM_MAX,  RS_NORM_P99,
                                          RS_NORM_LOG,  RS_NORM_RANK, RS_NORM_NONE};
    rs_recipe *r;
    rs_plan *p;
    start();
    T_OK(rs_recipe_load("tests/golden/demo/luchador-miniature.json", &r, &t_err));
    T_OK(rs_plan_build(&rt, r, NULL, &p, &t_err));
    rs_sources *s = p->sources;
    bool *none = calloc((size_t)s->n_tensors + 1, sizeof *none);
    rs_pass pass = {.k = rt.kernels->merge, .pool = rt.pool, .what = "Fisher"};
    for (int i = 0; i < 12; i++) {
        rs_dampen_spec d = {.kind = RS_DAMPEN_HARD,
                            .normaliser = kinds[i / 2],
                            .per_tensor = i % 2,
                            .over = RS_OVER_TARGETS};
        rs_view *v;
        double cut = 0;
        T_OK(rs_view_get(&pass, s, 0, &d, none, &v, &t_err));
        T_EQ(v->n_values, 0);
        T_OK(rs_view_cut(&pass, s, v, 0.5, &cut, &t_err));
        T_TRUE(isinf(cut) && cut > 0);
        for (int t = 0; t < s->n_tensors; t++)
            T_TRUE(isinf(rs_norm_inverse(v->norm_of[t], cut)));
        rs_view_drop(s, v);
    }
    T_TRUE(s->views == NULL);
    free(none);
    rs_plan_free(p);
    rs_recipe_free(r);
    rs_quit(&rt);
}

T_MAIN(T_TEST(ties_are_true), T_TEST(nested_ties_are_true), T_TEST(an_empty_population),
       T_TEST(another_depth), T_TEST(a_head_too_many), T_TEST(which_model_is_meant))
