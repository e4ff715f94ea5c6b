/* The "make" of measures and adapters: what is read, refused, written and told, and the order
 * in which products are made. */
#include "merge/make.h"

#include "tests/t.h"

static const char plain_models[] =
    "\"it\": {\"path\": \"it\"}, \"pt\": {\"path\": \"pt\"}";

/* A recipe of these models and measures. */
static rs_status parse(const char *models, const char *measures, rs_recipe **r)
{
    rs_buf b = {0};
    rs_buf_printf(&b,
                  "{\"ringside\": 1, \"models\": {%s%s}, \"measures\": {%s}, \"stages\": "
                  "[{\"name\": \"fuel\", \"method\": \"task_arithmetic\", \"base\": \"it\", "
                  "\"inputs\": [{\"from\": \"pt\"}], \"dampen\": {\"by\": \"f\", \"kind\": "
                  "\"ewc\"}}]}",
                  plain_models, models, measures);
    rs_status s = rs_recipe_parse(b.data, b.len, "recipes", "demo.json", r, &t_err);
    rs_buf_free(&b);
    return s;
}

static rs_status parse_fisher(const char *make, rs_recipe **r)
{
    char measures[1024];
    snprintf(measures, sizeof measures, "\"f\": {\"fisher\": \"f.st\", \"make\": {%s}}",
             make);
    return parse("", measures, r);
}

static rs_status parse_space(const char *make, rs_recipe **r)
{
    char measures[1024];
    snprintf(measures, sizeof measures,
             "\"f\": {\"fisher\": \"f.st\"}, \"s\": {\"subspace\": \"s.st\", \"make\": "
             "{%s}}",
             make);
    return parse("", measures, r);
}

static rs_status parse_style(const char *make, rs_recipe **r)
{
    char models[1024];
    snprintf(models, sizeof models,
             ", \"style\": {\"adapter\": \"out/style\", \"on\": \"it\", \"make\": {%s}}",
             make);
    return parse(models,
                 "\"f\": {\"fisher\": \"f.st\"}, \"s\": {\"subspace\": \"s.st\", \"make\": "
                 "{\"from\": \"pt\", \"to\": \"it\", \"rank\": 16}}",
                 r);
}

#define REFUSED(call, sentence)                                                          \
    do {                                                                                 \
        rs_recipe *t_r = NULL;                                                           \
        T_FAILS(call, RS_E_INVALID, sentence);                                           \
        rs_recipe_free(t_r);                                                             \
    } while (0)
#define FISHER(make, sentence) REFUSED(parse_fisher(make, &t_r), sentence)
#define SPACE(make, sentence) REFUSED(parse_space(make, &t_r), sentence)
#define STYLE(make, sentence) REFUSED(parse_style(make, &t_r), sentence)

/* Fields, and the canonical text: read again it is the same, usual values are left out. */
static void round_trip(void)
{
    rs_recipe *r, *again;
    rs_buf text = {0};
    T_OK(parse_fisher("\"seed\": 7, \"kind\": \"sequence\", \"data\": \"chats.jsonl\", "
                      "\"model\": \"it\", \"length\": 256, \"per_token\": true, "
                      "\"labels\": \"model\", \"tensors\": \"mlp\"",
                      &r));
    const rs_make *m = rs_recipe_measure(r, "f")->make;
    T_STR(m->model, "it");
    T_STR(m->kind, "sequence");
    T_STR(m->dtype, "float32");
    T_EQ(m->length, 256);
    T_EQ(m->sequences, 0);
    T_TRUE(m->per_token && !m->raw && m->seed == 7 && !m->chat_template);
    rs_recipe_text(r, NULL, &text);
    T_TRUE(strstr(rs_buf_str(&text),
                  "\"make\": {\"model\": \"it\", \"data\": \"chats.jsonl\", \"labels\": "
                  "\"model\", \"per_token\": true, \"length\": 256, \"tensors\": \"mlp\", "
                  "\"seed\": 7}}"));
    T_OK(rs_recipe_clone(r, &again, &t_err));
    T_TRUE(rs_recipe_equal(r, again));
    rs_recipe_free(again);
    rs_recipe_free(r);
    rs_buf_reset(&text);
    T_OK(parse_style("\"model\": \"pt\", \"corpora\": [\"a.txt\", {\"data\": \"b.jsonl\", "
                     "\"weight\": 0.5}], \"subspace\": \"s\", \"side\": \"in\", \"lr\": "
                     "0.001",
                     &r));
    m = rs_recipe_model(r, "style")->make;
    T_EQ(m->n_corpora, 2);
    T_STR(m->corpora[1].data, "b.jsonl");
    T_NEAR(m->corpora[1].weight, 0.5, 0, 0);
    T_STR(m->side, "in");
    rs_recipe_text(r, NULL, &text);
    T_TRUE(strstr(rs_buf_str(&text),
                  "\"make\": {\"model\": \"pt\", \"corpora\": [{\"data\": \"a.txt\"}, "
                  "{\"data\": \"b.jsonl\", \"weight\": 0.5}], \"subspace\": \"s\", "
                  "\"side\": \"in\", \"lr\": 0.001}}"));
    rs_recipe_free(r);
    rs_buf_free(&text);
}

static void refused(void)
{
    FISHER("", "measure \"f\": make needs \"model\"");
    FISHER("\"model\": \"it\"", "needs either \"data\" or \"random\"");
    FISHER("\"model\": \"it\", \"data\": \"x\", \"random\": 4",
           "needs either \"data\" or \"random\"");
    FISHER("\"model\": \"it\", \"date\": \"x\"", "did you mean \"data\"?");
    FISHER("\"model\": \"pi\", \"data\": \"x\"", "\"pi\" is no model and no earlier stage");
    FISHER("\"model\": \"it\", \"data\": \"\"", "\"data\" is empty");
    FISHER("\"model\": \"it\", \"data\": \"x\", \"kind\": \"positions\"",
           "kind is sequence or position, not \"positions\", did you mean \"position\"?");
    FISHER("\"model\": \"it\", \"data\": \"x\", \"tensors\": \"mpl\"",
           "make: tensors: ");
    FISHER("\"model\": \"fuel\", \"data\": \"x\"", "\"fuel\" is no model");
    SPACE("\"from\": \"pt\", \"to\": \"it\"", "needs either \"rank\" or \"energy\"");
    SPACE("\"from\": \"pt\", \"to\": \"it\", \"rank\": 4, \"energy\": 0.5",
          "needs either \"rank\" or \"energy\"");
    SPACE("\"from\": \"it\", \"to\": \"it\", \"rank\": 4", "does not differ from itself");
    SPACE("\"from\": \"pt\", \"to\": \"it\", \"energy\": 1.5", "energy is 1.5, outside 0 to 1");
    SPACE("\"from\": \"pt\", \"to\": \"it\", \"rank\": 2, \"weight\": \"s\"",
          "make: weight: \"s\" is no Fisher measure of this recipe");
    SPACE("\"from\": \"pt\", \"to\": \"it\", \"model\": \"it\"", "unknown key \"model\"");
    STYLE("\"model\": \"pt\"", "model \"style\": make needs \"corpora\"");
    STYLE("\"model\": \"pt\", \"corpora\": []", "corpora is a list of 1 to");
    STYLE("\"model\": \"pt\", \"corpora\": [{\"weight\": 1}]", "corpora[0] has no \"data\"");
    STYLE("\"model\": \"pt\", \"corpora\": [\"a\", {\"data\": \"b\", \"weight\": -1}]",
          "corpora[1]: a weight of -1");
    STYLE("\"model\": \"pt\", \"corpora\": [{\"data\": \"b\", \"weight\": 0}]",
          "corpora[0]: a weight of 0 is not above 0 and at most 1e6");
    STYLE("\"model\": \"pt\", \"corpora\": [\"a\"], \"targets\": \"nope\"",
          "make: targets: selector \"nope\"");
    STYLE("\"model\": \"pt\", \"corpora\": [\"a\"], \"targets\": \"q_proj,v_prj\"",
          "make: targets: ");
    STYLE("\"model\": \"pt\", \"corpora\": [\"a\"], \"layers\": \"3-1\"",
          "make: layers: \"3-1\" is no list of layers");
    STYLE("\"model\": \"pt\", \"corpora\": [\"a\"], \"subspace\": \"f\"",
          "make: subspace: \"f\" is no subspace measure of this recipe");
    STYLE("\"model\": \"style\", \"corpora\": [\"a\"]", "\"style\" would be made from itself");
    STYLE("\"model\": \"pt\", \"corpora\": [\"a\"], \"steps\": 10, \"warmup\": 11",
          "a warmup of 11 steps is more than 10 steps");
}

/* What a training takes passes. */
static void targets_and_layers(void)
{
    rs_recipe *r = NULL;
    T_OK(parse_style("\"model\": \"pt\", \"corpora\": [\"a\"], \"targets\": "
                     "\"q_proj,v_proj\", \"layers\": \"0-3,6,10-\"",
                     &r));
    T_STR(rs_recipe_model(r, "style")->make->targets, "q_proj,v_proj");
    rs_recipe_free(r);
    T_OK(parse_style("\"model\": \"pt\", \"corpora\": [\"a\"], \"targets\": "
                     "\"mlp & layers.3\"",
                     &r));
    rs_recipe_free(r);
}

static void one_file_for_two(void)
{
    rs_recipe *r = NULL;
    T_FAILS(parse("", "\"f\": {\"fisher\": \"s/f\", \"make\": {\"model\": \"it\", \"data\": "
                      "\"x\"}}, \"g\": {\"fisher\": \"./s//t/../f\", \"make\": {\"model\": "
                      "\"it\", \"data\": \"y\"}}",
                  &r),
            RS_E_INVALID, "\"f\" and \"g\" would both be made at ./s//t/../f");
    T_FAILS(parse("", "\"f\": {\"fisher\": \"f\", \"make\": {\"model\": \"it\", \"data\": "
                      "\"x\"}}, \"g\": {\"fisher\": \"f\", \"make\": {\"model\": \"it\", "
                      "\"data\": \"y\"}}",
                  &r),
            RS_E_INVALID, "\"f\" and \"g\" would both be made at f");
    T_OK(parse("", "\"f\": {\"fisher\": \"f\", \"make\": {\"model\": \"it\", \"data\": "
                   "\"x\"}}, \"g\": {\"fisher\": \"f\", \"make\": {\"model\": \"it\", "
                   "\"data\": \"x\", \"kind\": \"sequence\"}}",
               &r));
    rs_recipe_free(r);
}

static void other_types(void)
{
    rs_recipe *r = NULL;
    T_FAILS(parse_fisher("\"model\": 3, \"data\": \"x\"", &r), RS_E_FORMAT, "string");
    T_FAILS(parse_fisher("\"model\": \"it\", \"data\": \"x\", \"length\": 1", &r),
            RS_E_FORMAT, "length");
    T_FAILS(parse_fisher("\"model\": \"it\", \"data\": \"x\", \"raw\": 1", &r), RS_E_FORMAT,
            "raw");
    T_FAILS(parse("", "\"f\": {\"fisher\": \"f\", \"make\": 3}", &r), RS_E_INVALID,
            "make must be an object");
    T_FAILS(parse(", \"x\": {\"path\": \"x\", \"make\": {}}", "\"f\": {\"fisher\": \"f\"}",
                  &r),
            RS_E_INVALID, "\"make\" goes with \"adapter\"");
    T_FAILS(parse(", \"a\": {\"adapter\": \"a\"}",
                  "\"f\": {\"fisher\": \"f\", \"make\": {\"model\": \"a\", \"data\": "
                  "\"x\"}}",
                  &r),
            RS_E_INVALID, "\"a\" is an adapter, no model: with \"on\" it would be one");
}

/* fisher of the stage that needs the adapter that needs the subspace of two models. */
static const char chain_models[] =
    ", \"style\": {\"adapter\": \"out/style\", \"on\": \"it\", \"make\": {\"model\": "
    "\"pt\", \"corpora\": [\"a\"], \"subspace\": \"s\"}}";
static const char chain_measures[] =
    "\"late\": {\"fisher\": \"l\", \"make\": {\"model\": \"style\", \"data\": \"d\"}}, "
    "\"s\": {\"subspace\": \"s\", \"make\": {\"from\": \"pt\", \"to\": \"it\", \"rank\": "
    "2}}, \"f\": {\"fisher\": \"f\", \"make\": {\"model\": \"it\", \"data\": \"d\"}}";

static void order(void)
{
    rs_recipe *r;
    rs_made p[RS_MADE];
    int n;
    T_OK(parse(chain_models, chain_measures, &r));
    T_OK(rs_made_list(r, NULL, p, &n, &t_err));
    T_EQ(n, 4);
    T_STR(p[0].name, "s");
    T_STR(p[1].name, "style");
    T_STR(p[1].path, "out/style");
    T_STR(p[2].name, "late");
    T_STR(p[3].name, "f");
    T_TRUE(rs_made_needs(r, &p[1], &p[0]) && rs_made_needs(r, &p[2], &p[0]));
    T_TRUE(!rs_made_needs(r, &p[0], &p[1]) && !rs_made_needs(r, &p[3], &p[0]));
    T_TRUE(!rs_made_needs(r, &p[1], &p[1]));
    T_OK(rs_made_list(r, "style", p, &n, &t_err));
    T_EQ(n, 2);
    T_FAILS(rs_made_list(r, "styel", p, &n, &t_err), RS_E_NOT_FOUND,
            "no \"make\" for \"styel\", did you mean \"style\"?");
    rs_recipe_free(r);
}

static void circles(void)
{
    rs_recipe *r = NULL;
    T_FAILS(parse(", \"style\": {\"adapter\": \"out/style\", \"on\": \"it\", \"make\": "
                  "{\"model\": \"pt\", \"corpora\": [\"a\"], \"subspace\": \"s\"}}",
                  "\"f\": {\"fisher\": \"f\"}, \"s\": {\"subspace\": \"s\", \"make\": "
                  "{\"from\": \"it\", \"to\": \"style\", \"rank\": 2}}",
                  &r),
            RS_E_INVALID, "demo.json: \"style\" would be made from itself");
}

static void in_words(void)
{
    rs_recipe *a, *b;
    rs_buf text = {0};
    T_OK(parse_fisher("\"model\": \"it\", \"data\": \"x\"", &a));
    T_OK(parse_fisher("\"model\": \"pt\", \"data\": \"x\", \"length\": 64, \"raw\": true",
                      &b));
    T_EQ(rs_recipe_diff(a, b, &text), 3);
    T_STR(rs_buf_str(&text), "measure make of f: model it -> pt\n"
                             "measure make of f: length 512 -> 64\n"
                             "measure make of f: raw off -> on\n");
    rs_recipe_free(b);
    rs_buf_reset(&text);
    T_OK(parse("", "\"f\": {\"fisher\": \"f.st\"}", &b));
    T_EQ(rs_recipe_diff(a, b, &text), 1);
    T_STR(rs_buf_str(&text), "measure make of f is gone\n");
    rs_recipe_free(a);
    rs_recipe_free(b);
    rs_buf_free(&text);
}

/* Names and paths are not part of what a product depends on; usual values are. */
static void settings(void)
{
    rs_recipe *a, *b;
    rs_buf x = {0}, y = {0};
    T_OK(parse_fisher("\"model\": \"it\", \"data\": \"x\"", &a));
    T_OK(parse_fisher("\"model\": \"pt\", \"data\": \"y\", \"length\": 512", &b));
    rs_make_settings(rs_recipe_measure(a, "f")->make, &x);
    rs_make_settings(rs_recipe_measure(b, "f")->make, &y);
    T_STR(rs_buf_str(&x),
          ",\"random\":0,\"kind\":\"sequence\",\"labels\":\"data\",\"per_token\":false,"
          "\"length\":512,\"sequences\":0,\"tensors\":null,\"dtype\":\"float32\","
          "\"raw\":false,\"chat_template\":null,\"seed\":0");
    T_STR(rs_buf_str(&x), rs_buf_str(&y));
    rs_recipe_free(a);
    rs_recipe_free(b);
    rs_buf_free(&x);
    rs_buf_free(&y);
}

T_MAIN(T_TEST(round_trip), T_TEST(refused), T_TEST(targets_and_layers),
       T_TEST(one_file_for_two), T_TEST(other_types), T_TEST(order),
       T_TEST(circles), T_TEST(in_words), T_TEST(settings))
