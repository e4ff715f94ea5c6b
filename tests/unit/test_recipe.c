#include "merge/recipe.h"

#include "base/os.h"
#include "merge/suggest.h"
#include "tests/t.h"

static const char full[] =
    "{\n"
    "  \"ringside\": 1,\n"
    "  \"name\": \"demo\",\n"
    "  \"notes\": \"a \\\"note\\\"\",\n"
    "  \"tags\": [\"a\", \"b\"],\n"
    "  \"models\": {\n"
    "    \"it\": {\"path\": \"sparring/it\"},\n"
    "    \"pt\": {\"path\": \"sparring/pt\"},\n"
    "    \"gothic\": {\"adapter\": \"sparring/lora/gothic\"},\n"
    "    \"style\": {\"adapter\": \"out/style\", \"on\": \"it\"}\n"
    "  },\n"
    "  \"measures\": {\n"
    "    \"instruct\": {\"fisher\": \"fisher/it.safetensors\", \"scale\": "
    "\"per_token\"},\n"
    "    \"space\": {\"subspace\": \"s.safetensors\", \"make\": {\"from\": \"pt\", "
    "\"to\": \"it\", \"rank\": 16}}\n"
    "  },\n"
    "  \"stages\": [\n"
    "    {\n"
    "      \"name\": \"fuel\",\n"
    "      \"method\": \"task_arithmetic\",\n"
    "      \"base\": \"it\",\n"
    "      \"inputs\": [\n"
    "        {\"from\": \"gothic\"},\n"
    "        {\"from\": \"style\", \"weight\": 0.5}\n"
    "      ],\n"
    "      \"normalize\": true,\n"
    "      \"scale\": 0.3,\n"
    "      \"mask\": {\"by\": \"space\", \"side\": \"in\", \"strength\": 0.5, "
    "\"per_layer\": true},\n"
    "      \"order\": \"mask_last\",\n"
    "      \"dampen\": {\"by\": \"instruct\", \"kind\": \"ewc\", \"lambda\": 3, "
    "\"scope\": \"tensor\"},\n"
    "      \"gain\": {\"master\": 0.9, \"layers\": {\"0-3\": 0.5}, \"kinds\": {\"mlp\": "
    "0.8}, "
    "\"cells\": {\"5.q_proj\": 0.2}, \"rows\": [[\"full\", \"*\", 0.5]], \"lock\": "
    "[\"7\"]}\n"
    "    },\n"
    "    {\n"
    "      \"name\": \"heal\",\n"
    "      \"method\": \"slerp\",\n"
    "      \"inputs\": [\n"
    "        {\"from\": \"fuel\"},\n"
    "        {\"from\": \"style\"}\n"
    "      ],\n"
    "      \"t\": {\"default\": 0.15, \"layers\": {\"6-7\": 0.2}},\n"
    "      \"norm\": \"lerp\",\n"
    "      \"rowwise\": true\n"
    "    },\n"
    "    {\"name\": \"later\", \"method\": \"ties\", \"density\": 0.2}\n"
    "  ],\n"
    "  \"budget\": {\"damage\": 0.006, \"of\": \"fuel\"},\n"
    "  \"output\": {\"stage\": \"heal\", \"dtype\": \"float32\", \"rounding\": "
    "\"stochastic\", \"seed\": 7}\n"
    "}\n";

static rs_status parse(const char *text, rs_recipe **r)
{
    return rs_recipe_parse(text, strlen(text), "recipes", "demo.json", r, &t_err);
}

/* A small recipe with one line of the stage replaced. */
static rs_status parse_with(const char *models, const char *stage, const char *rest,
                            rs_recipe **r)
{
    char text[4096];
    snprintf(text, sizeof text,
             "{\"ringside\": 1, \"models\": {\"it\": {\"path\": \"it\"}, \"sea\": "
             "{\"adapter\": "
             "\"sea\"}%s}, \"measures\": {\"f\": {\"fisher\": \"f\"}, "
             "\"space\": {\"subspace\": \"u\"}}, \"stages\": "
             "[{\"name\": "
             "\"fuel\", \"method\": \"task_arithmetic\", \"base\": \"it\", \"inputs\": "
             "[{\"from\": \"sea\"}]%s}]%s}",
             models, stage, rest);
    return parse(text, r);
}

#define FAILS_WITH(models, stage, rest, status, sentence)                                \
    do {                                                                                 \
        rs_recipe *t_r;                                                                  \
        T_FAILS(parse_with(models, stage, rest, &t_r), status, sentence);                \
    } while (0)

static void canonical_text_is_stable(void)
{
    rs_recipe *r, *again;
    rs_buf a = {0}, b = {0};
    T_OK(parse(full, &r));
    rs_recipe_text(r, NULL, &a);
    T_STR(rs_buf_str(&a), full);
    T_OK(rs_recipe_clone(r, &again, &t_err));
    rs_recipe_text(again, NULL, &b);
    T_STR(rs_buf_str(&b), full);
    T_TRUE(rs_recipe_equal(r, again));
    T_STR(again->folder, "recipes");
    again->stages[0].scale = 0.25;
    T_TRUE(!rs_recipe_equal(r, again));
    rs_recipe_free(r);
    rs_recipe_free(again);
    rs_buf_free(&a);
    rs_buf_free(&b);
}

static void fields(void)
{
    rs_recipe *r;
    T_OK(parse(full, &r));
    T_STR(r->name, "demo");
    T_EQ(r->tags.n, 2);
    T_EQ(r->n_models, 4);
    T_STR(rs_recipe_model(r, "style")->on, "it");
    T_EQ(rs_recipe_measure(r, "space")->type, RS_MEASURE_SUBSPACE);
    T_TRUE(rs_recipe_measure(r, "space")->make != NULL);
    const rs_stage *fuel = rs_recipe_stage(r, "fuel"), *heal = rs_recipe_stage(r, "heal");
    T_TRUE(fuel == rs_recipe_fuel(r) && heal == rs_recipe_heal(r));
    T_NEAR(fuel->inputs[1].weight, 0.5, 0, 0);
    T_EQ(fuel->dampen.kind, RS_DAMPEN_EWC);
    T_EQ(fuel->dampen.normaliser, RS_NORM_MEAN);
    T_TRUE(fuel->dampen.per_tensor && fuel->normalize && !fuel->dampen.clamp);
    T_STR(fuel->mask.by, "space");
    T_TRUE(fuel->mask.side == RS_MASK_IN && fuel->mask.per_layer && fuel->mask.last);
    T_NEAR(fuel->mask.strength, 0.5, 0, 0);
    T_NEAR(fuel->gain.cells.at[0].value, 0.2, 0, 0);
    T_TRUE(heal->norm_lerp && heal->rowwise && !heal->space_delta);
    T_NEAR(heal->t.fallback, 0.15, 0, 0);
    T_EQ(r->output_dtype, RS_DTYPE_F32);
    T_TRUE(r->stochastic && r->seed == 7);
    rs_recipe_free(r);
}

static void defaults(void)
{
    rs_recipe *r;
    T_OK(parse_with("", "", "", &r));
    T_STR(r->name, "demo");
    const rs_stage *s = rs_recipe_fuel(r);
    T_EQ(s->dampen.kind, RS_DAMPEN_NONE);
    T_TRUE(s->mask.by == NULL && !s->mask.last);
    T_NEAR(s->scale, 1, 0, 0);
    T_NEAR(s->gain.master, 1, 0, 0);
    T_TRUE(!s->normalize && !rs_recipe_heal(r));
    T_EQ(r->output_dtype, RS_DTYPE_BF16);
    T_STR(r->output_stage, "fuel");
    T_TRUE(r->budget <= 0);
    T_STR(r->budget_of, "fuel");
    rs_recipe_free(r);
    T_OK(parse_with("", ",\"dampen\":{\"by\":\"f\",\"kind\":\"hard\"}", "", &r));
    T_EQ(rs_recipe_fuel(r)->dampen.normaliser, RS_NORM_P99);
    T_NEAR(rs_recipe_fuel(r)->dampen.q, 0.99, 0, 0);
    rs_recipe_free(r);
}

static void syntax(void)
{
    rs_recipe *r;
    T_FAILS(parse("{\n \"ringside\": 1,,\n}", &r), RS_E_FORMAT, "demo.json, line 2");
    T_FAILS(parse("[]", &r), RS_E_INVALID, "is no recipe");
    T_FAILS(parse("{\"name\": \"x\"}", &r), RS_E_INVALID, "no \"ringside\": 1");
    T_FAILS(parse("{\"ringside\": 2}", &r), RS_E_UNSUPPORTED, "format 2");
    T_FAILS(parse("{\"ringside\": 1}", &r), RS_E_INVALID, "needs \"stages\"");
    T_FAILS(parse("{\"ringside\": 1, \"ringside\": 1}", &r), RS_E_FORMAT, "twice");
}

static void unknown_words(void)
{
    FAILS_WITH("", ", \"normalise\": true", "", RS_E_INVALID,
               "did you mean \"normalize\"?");
    FAILS_WITH("", "", ", \"otput\": {}", RS_E_INVALID, "did you mean \"output\"?");
    FAILS_WITH("", ", \"dampen\": {\"by\": \"f\", \"kind\": \"ewk\"}", "", RS_E_INVALID,
               "did you mean \"ewc\"?");
    FAILS_WITH("", ", \"dampen\": {\"by\": \"g\"}", "", RS_E_INVALID,
               "\"g\" is no Fisher measure of this recipe");
    FAILS_WITH("", ", \"dampen\": {\"kind\": \"ewc\"}", "", RS_E_INVALID, "needs \"by\"");
    FAILS_WITH(
        "", ", \"dampen\": {\"by\": \"f\", \"normaliser\": \"p98\"}", "", RS_E_INVALID,
        "is none of mean, max, log, rank, none, p90, p95, p99, p999, did you mean \"p");
    FAILS_WITH(", \"x\": {\"adapter\": \"a\", \"on\": \"itt\"}", "", "", RS_E_INVALID,
               "did you mean \"it\"?");
    FAILS_WITH("", "", ", \"output\": {\"stage\": \"fule\"}", RS_E_INVALID,
               "did you mean \"fuel\"?");
    FAILS_WITH("", "", ", \"output\": {\"dtype\": \"bfloat61\"}", RS_E_INVALID,
               "did you mean \"bfloat16\"?");
    FAILS_WITH("", ", \"scale\": \"0.3\"", "", RS_E_FORMAT, "finite number");
}

static void masks(void)
{
    rs_recipe *r;
    T_OK(parse_with("",
                    ", \"mask\": {\"by\": \"space\"}, \"order\": \"mask_first\"", "",
                    &r));
    const rs_mask_spec *m = &rs_recipe_fuel(r)->mask;
    T_TRUE(m->side == RS_MASK_BOTH && m->strength == 1 && !m->per_layer && !m->last);
    rs_recipe_free(r);
#define MASK(members, sentence)                                                          \
    FAILS_WITH("", ", \"mask\": {" members "}", "", RS_E_INVALID, sentence)
    MASK("\"side\": \"in\"", "stage \"fuel\": mask needs \"by\", a subspace measure");
    MASK("\"by\": \"f\"", "\"f\" is no subspace measure of this recipe");
    MASK("\"by\": \"spice\"", "did you mean \"space\"?");
    MASK("\"by\": \"space\", \"sid\": \"in\"", "did you mean \"side\"?");
    MASK("\"by\": \"space\", \"side\": \"inn\"",
         "side \"inn\" is none of out, in, both, block");
    MASK("\"by\": \"space\", \"strength\": 1.5", "strength is 1.5, outside 0 to 1");
    MASK("\"by\": \"space\", \"per_layer\": true",
         "per_layer needs a \"dampen\" with \"by\"");
    MASK("\"by\": \"space\"}, \"order\": \"mask_lats\", \"dampen\": {\"kind\": \"none\"",
         "order \"mask_lats\" is none of mask_first, mask_last");
    FAILS_WITH("", ", \"order\": \"mask_last\"", "", RS_E_INVALID,
               "\"order\" does nothing without a \"mask\"");
}

static void mask_differences(void)
{
    rs_recipe *a, *b;
    rs_buf out = {0};
    T_OK(parse_with("", "", "", &a));
    T_OK(parse_with("", ", \"mask\": {\"by\": \"space\"}", "", &b));
    T_EQ(rs_recipe_diff(a, b, &out), 1);
    T_EQ(rs_recipe_diff(b, a, &out), 1);
    T_TRUE(strstr(rs_buf_str(&out), "mask on: space both 1.000\n"));
    T_TRUE(strstr(rs_buf_str(&out), "mask off: space both 1.000\n"));
    rs_recipe_free(a);
    T_OK(rs_recipe_clone(b, &a, &t_err));
    rs_mask_spec *m = &rs_recipe_fuel(a)->mask;
    m->side = RS_MASK_OUT, m->strength = 0.25, m->last = true;
    T_EQ(rs_recipe_diff(b, a, &out), 3);
    T_TRUE(strstr(rs_buf_str(&out), "mask side both -> out\n"));
    T_TRUE(strstr(rs_buf_str(&out), "mask strength 1.000 -> 0.250\n"));
    T_TRUE(strstr(rs_buf_str(&out), "mask before dampening -> after dampening\n"));
    T_TRUE(!rs_recipe_equal(a, b));
    rs_recipe_free(a);
    rs_recipe_free(b);
    rs_buf_free(&out);
}

static void factor_keys(void)
{
    FAILS_WITH("", ", \"gain\": {\"layers\": {\"0-3\": 1, \"2\": 1}}", "", RS_E_INVALID,
               "gain.layers: \"0-3\" and \"2\" overlap");
    FAILS_WITH("", ", \"gain\": {\"kinds\": {\"mlp\": 1, \"gate_proj\": 1}}", "",
               RS_E_INVALID, "\"mlp\" and \"gate_proj\" overlap");
    FAILS_WITH("", ", \"gain\": {\"cells\": {\"5.attn\": 1, \"4-7.q_proj\": 1}}", "",
               RS_E_INVALID, "\"5.attn\" and \"4-7.q_proj\" overlap");
    FAILS_WITH("", ", \"gain\": {\"kinds\": {\"mpl\": 1}}", "", RS_E_INVALID,
               "did you mean \"mlp\"?");
    FAILS_WITH("", ", \"gain\": {\"layers\": {\"five\": 1}}", "", RS_E_INVALID,
               "\"five\" is no list of layers");
    FAILS_WITH("", ", \"gain\": {\"layers\": {\"5\": 3.5}}", "", RS_E_INVALID,
               "\"5\" is 3.5, outside -2 to 3");
    FAILS_WITH("", ", \"gain\": {\"mute\": [\"mpl\"]}", "", RS_E_INVALID, "gain.mute");
    FAILS_WITH("", ", \"gain\": [[\"mlp\", \"/\", 2]]", "", RS_E_INVALID, "a row is");
    FAILS_WITH("", ", \"gain\": [[\"\\\"q_\\\"\", \"=\", 2]]", "", RS_E_INVALID,
               "not to parts of names");
}

static void stages_fit_together(void)
{
    rs_recipe *r;
    const char *heal =
        "}, {\"name\": \"heal\", \"method\": \"slerp\", \"t\": 0.1, \"inputs\": ";
    char stage[512];
    snprintf(stage, sizeof stage, "%s[{\"from\": \"fuel\"}, {\"from\": \"it\"}]", heal);
    T_OK(parse_with("", stage, "", &r));
    T_STR(r->output_stage, "heal");
    T_NEAR(rs_recipe_heal(r)->t.fallback, 0.1, 0, 0);
    rs_recipe_free(r);
    snprintf(stage, sizeof stage, "%s[{\"from\": \"fuel\"}, {\"from\": \"sea\"}]", heal);
    FAILS_WITH("", stage, "", RS_E_INVALID, "\"sea\" is an adapter; with \"on\"");
    snprintf(stage, sizeof stage, "%s[{\"from\": \"fuel\"}]", heal);
    FAILS_WITH("", stage, "", RS_E_INVALID, "between 2 inputs, not 1");
    snprintf(stage, sizeof stage, "%s[{\"from\": \"heal\"}, {\"from\": \"it\"}]", heal);
    FAILS_WITH("", stage, "", RS_E_INVALID, "\"heal\" is no model and no earlier stage");
    FAILS_WITH(", \"fuel\": {\"path\": \"x\"}", "", "", RS_E_INVALID,
               "two things are called \"fuel\"");
    FAILS_WITH(", \"x\": {\"path\": \"x\", \"adapter\": \"y\"}", "", "", RS_E_INVALID,
               "needs either \"path\" or \"adapter\"");
    FAILS_WITH("", "}, {\"name\": \"x\", \"method\": \"taks_arithmetic\"", "",
               RS_E_INVALID, "did you mean \"task_arithmetic\"?");
}

/* Fuel is found behind several slerps, and shared stages are not walked twice. */
static void fuel_is_found(void)
{
    rs_recipe *r;
    char text[16384];
    int n =
        snprintf(text, sizeof text, "%s",
                 "{\"ringside\":1,\"models\":{\"it\":{\"path\":\"it\"}},\"stages\":["
                 "{\"name\":\"s0\",\"method\":\"slerp\",\"t\":0,\"inputs\":[{\"from\":"
                 "\"it\"},{\"from\":\"it\"}]}");
    for (int i = 1; i < 100; i++)
        n += snprintf(
            text + n, sizeof text - (size_t)n,
            ",{\"name\":\"s%d\",\"method\":\"slerp\",\"t\":0,\"inputs\":[{\"from\":"
            "\"s%d\"},{\"from\":\"s%d\"}]}",
            i, i - 1, i - 1);
    snprintf(text + n, sizeof text - (size_t)n, "]}");
    T_OK(parse(text, &r));
    T_TRUE(rs_recipe_fuel(r) == NULL);
    T_STR(rs_recipe_heal(r)->name, "s99");
    rs_recipe_free(r);
}

static int lines_of_diff(const char *before, const char *after, char *out, size_t size)
{
    rs_recipe *a, *b;
    rs_buf text = {0};
    out[0] = 0;
    if (parse_with("", before, "", &a) != RS_OK || parse_with("", after, "", &b) != RS_OK)
        return -1;
    int n = rs_recipe_diff(a, b, &text);
    snprintf(out, size, "%s", rs_buf_str(&text));
    rs_buf_free(&text);
    rs_recipe_free(a);
    rs_recipe_free(b);
    return n;
}

static void differences(void)
{
    char text[4096];
    T_EQ(lines_of_diff("", "", text, sizeof text), 0);
    T_EQ(lines_of_diff("", ",\"gain\":{\"cells\":{\"4.mlp\":0.3}}", text, sizeof text),
         1);
    T_STR(text, "fuel    layer 4 mlp gain 1.000 -> 0.300\n");
    T_EQ(lines_of_diff(",\"gain\":{\"layers\":{\"0-3\":0.5}}",
                       ",\"gain\":{\"layers\":{\"0\":0.5,\"2-3\":0.5,\"embed\":2}}", text,
                       sizeof text),
         2);
    T_STR(text,
          "fuel    layer 1 gain 0.500 -> 1.000\nfuel    embed gain 1.000 -> 2.000\n");
    T_EQ(lines_of_diff(",\"gain\":{\"layers\":{\"8-\":0.5}}", ",\"scale\":0.30001", text,
                       sizeof text),
         2);
    T_STR(text, "fuel    scale 1.000 -> 0.300\nfuel    layers 8- gain 0.500 -> 1.000\n");
    T_EQ(lines_of_diff(",\"scale\":0.3", ",\"scale\":0.30001", text, sizeof text), 1);
    T_STR(text, "fuel    scale 0.3 -> 0.30001\n");
    T_EQ(lines_of_diff(",\"gain\":{\"kinds\":{\"attn\":0.5}}",
                       ",\"gain\":{\"kinds\":{\"q_proj\":0.5},\"mute\":[\"3\"]}", text,
                       sizeof text),
         4);
    T_STR(text, "fuel    k_proj gain 0.500 -> 1.000\nfuel    v_proj gain 0.500 -> 1.000\n"
                "fuel    o_proj gain 0.500 -> 1.000\nfuel    mute + 3\n");
}

static void editing(void)
{
    rs_recipe *r;
    T_OK(parse_with("", "", "", &r));
    rs_gain_spec *g = &rs_recipe_fuel(r)->gain;
    T_TRUE(rs_pairs_set(r, &g->layers, "5", 0.5, 1));
    T_TRUE(rs_pairs_set(r, &g->layers, "6", 0.25, 1));
    T_TRUE(rs_pairs_set(r, &g->layers, "5", 0.75, 1));
    T_EQ(g->layers.n, 2);
    T_NEAR(g->layers.at[0].value, 0.75, 0, 0);
    T_TRUE(rs_pairs_set(r, &g->layers, "5", 1, 1));
    T_EQ(g->layers.n, 1);
    T_STR(g->layers.at[0].key, "6");
    T_TRUE(rs_names_add(r, &g->mute, "3") && rs_names_add(r, &g->mute, "3"));
    T_EQ(g->mute.n, 1);
    rs_recipe_free(r);
}

/* Written into another folder, paths still lead to the same files. */
static void paths_move(void)
{
    const char *top = t_folder();
    char a[256], b[256], file[300];
    rs_recipe *r;
    rs_buf text = {0};
    snprintf(a, sizeof a, "%s/a", top);
    snprintf(b, sizeof b, "%s/b/c", top);
    snprintf(file, sizeof file, "%s/it", a);
    T_OK(rs_os_mkdir(file, &t_err));
    T_OK(rs_os_mkdir(b, &t_err));
    const char *recipe = "{\"ringside\":1,\"models\":{\"it\":{\"path\":\"./"
                         "it\"},\"hub\":{\"path\":\"org/it\"},"
                         "\"abs\":{\"path\":\"/nowhere/"
                         "x\"}},\"stages\":[{\"name\":\"s\",\"method\":\"slerp\","
                         "\"t\":0,\"inputs\":[{\"from\":\"it\"},{\"from\":\"hub\"}]}]}";
    T_OK(rs_recipe_parse(recipe, strlen(recipe), a, "x.json", &r, &t_err));
    rs_recipe_text(r, b, &text);
    T_TRUE(strstr(rs_buf_str(&text), "\"path\": \"../../a/it\"") != NULL);
    T_TRUE(strstr(rs_buf_str(&text), "\"path\": \"org/it\"") != NULL);
    T_TRUE(strstr(rs_buf_str(&text), "\"path\": \"/nowhere/x\"") != NULL);
    rs_recipe_free(r);
    rs_buf_free(&text);
    T_OK(rs_os_remove_tree(top, &t_err));
}

/* A new folder in one that is a link lies where the link leads: ".." starts there. */
static void paths_move_through_links(void)
{
    const char *top = t_folder();
    char a[256], link[256], out[300], path[600];
    rs_recipe *r;
    rs_buf text = {0};
    snprintf(a, sizeof a, "%s/a/it", top);
    T_OK(rs_os_mkdir(a, &t_err));
    snprintf(a, sizeof a, "%s/real/deep/down", top);
    T_OK(rs_os_mkdir(a, &t_err));
    snprintf(link, sizeof link, "%s/link", top);
    T_EQ(symlink("real/deep/down", link), 0);
    snprintf(out, sizeof out, "%s/new/out", link);
    snprintf(a, sizeof a, "%s/a", top);
    const char *recipe =
        "{\"ringside\":1,\"models\":{\"it\":{\"path\":\"it\"}},\"stages\":[{\"name\":"
        "\"s\",\"method\":\"slerp\",\"t\":0,\"inputs\":[{\"from\":\"it\"},{\"from\":"
        "\"it\"}]}]}";
    T_OK(rs_recipe_parse(recipe, strlen(recipe), a, "x.json", &r, &t_err));
    rs_recipe_text(r, out, &text);
    T_TRUE(strstr(rs_buf_str(&text), "\"path\": \"../../../../../a/it\"") != NULL);
    T_OK(rs_os_mkdir(out, &t_err));
    snprintf(path, sizeof path, "%s/../../../../../a/it", out);
    T_EQ(rs_os_kind(path), RS_PATH_FOLDER);
    /* And from there: the text is the same again, seen through the link or not. */
    rs_recipe_free(r);
    T_OK(rs_recipe_parse(text.data, text.len, out, "x.json", &r, &t_err));
    snprintf(path, sizeof path, "%s/real/deep/down/new/out", top);
    rs_buf_reset(&text);
    rs_recipe_text(r, path, &text);
    T_TRUE(strstr(rs_buf_str(&text), "\"path\": \"../../../../../a/it\"") != NULL);
    rs_recipe_free(r);
    rs_buf_free(&text);
    T_OK(rs_os_remove_tree(top, &t_err));
}

static void loading(void)
{
    const char *top = t_folder();
    char file[256];
    rs_recipe *r;
    snprintf(file, sizeof file, "%s/ringside.json", top);
    T_OK(rs_os_write_file(file, full, sizeof full - 1, &t_err));
    T_OK(rs_recipe_load(top, &r, &t_err));
    T_STR(r->folder, top);
    rs_recipe_free(r);
    T_FAILS(rs_recipe_load("/nowhere/x.json", &r, &t_err), RS_E_NOT_FOUND,
            "/nowhere/x.json");
    T_OK(rs_os_remove_tree(top, &t_err));
}

static void suggestions(void)
{
    static const char *const known[] = {"task_arithmetic", "slerp", "mlp"};
    T_STR(rs_nearest("Slerp", known, 3), "slerp");
    T_STR(rs_nearest("task-arithmetics", known, 3), "task_arithmetic");
    T_STR(rs_nearest("mpl", known, 3), "mlp");
    T_TRUE(rs_nearest("xyz", known, 3) == NULL);
    T_TRUE(rs_nearest("", known, 3) == NULL);
}

/* Every prefix of a good recipe and every byte of it damaged: an error or a recipe, and no
 * reading past the end. */
static void hostile(void)
{
    size_t n = sizeof full - 1;
    char *copy = malloc(n);
    for (size_t i = 0; i < n; i++) {
        rs_recipe *r = NULL;
        memcpy(copy, full, n);
        if (rs_recipe_parse(copy, i, ".", "x", &r, &t_err) == RS_OK) rs_recipe_free(r);
        copy[i] ^= 0x15;
        r = NULL;
        if (rs_recipe_parse(copy, n, ".", "x", &r, &t_err) == RS_OK) rs_recipe_free(r);
    }
    free(copy);
}

T_MAIN(T_TEST(canonical_text_is_stable), T_TEST(fields), T_TEST(defaults), T_TEST(syntax),
       T_TEST(unknown_words), T_TEST(masks), T_TEST(mask_differences),
       T_TEST(factor_keys), T_TEST(stages_fit_together), T_TEST(fuel_is_found),
       T_TEST(differences), T_TEST(editing), T_TEST(paths_move),
       T_TEST(paths_move_through_links), T_TEST(loading), T_TEST(suggestions),
       T_TEST(hostile))
