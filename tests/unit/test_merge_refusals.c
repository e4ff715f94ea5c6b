/* Plans that are refused, or made with a warning: files that are not there, recipes that make
 * no sense, numbers that are none. */
#include "tests/merge_plan.h"

#include "store/writer.h"

/* A Fisher that is not there, or is none, stops only what is dampened by it. */
static void a_missing_fisher(void)
{
    static const char *const files[] = {"nowhere.safetensors",
                                        "recipes/sparring/it/config.json"};
    char measures[256];
    rs_recipe *r, *next;
    rs_plan *p, *q;
    start(NULL);
    for (int k = 0; k < 2; k++) {
        snprintf(measures, sizeof measures, "\"f\":{\"fisher\":\"@/%s\"}", files[k]);
        T_OK(parse(ALL, measures, TASK(""), "", &r));
        T_OK(build(r, &p));
        T_TRUE(has_warning(p, "damage is not known: Fisher \"f\""));
        T_TRUE(has_warning(p, files[k]));
        T_OK(parse(ALL, measures, TASK(",\"dampen\":{\"by\":\"f\"}"), "", &next));
        rs_status want = k ? RS_E_FORMAT : RS_E_NOT_FOUND;
        T_FAILS(rs_plan_build(&rt, next, NULL, &q, &t_err), want, files[k]);
        T_FAILS(rs_plan_rebuild(&rt, p, next, NULL, &q, &t_err), want, files[k]);
        T_OK(parse(ALL, measures, TASK(",\"dampen\":{\"by\":\"f\",\"kind\":\"none\"}"),
                   "", &next));
        T_OK(build(next, &q));
        T_TRUE(has_warning(q, "damage is not known: Fisher \"f\""));
        T_TRUE(strstr(rs_plan_fisher_missing(q), files[k]) != NULL);
        rs_plan_free(p);
        rs_plan_free(q);
    }
}

#define MUTE ",\"dampen\":{\"by\":\"f\",\"kind\":\"none\"}"
#define AGAIN                                                                            \
    ",{\"name\":\"more\",\"method\":\"task_arithmetic\",\"base\":\"fuel\","              \
    "\"inputs\":[{\"from\":\"folk\"}]" MUTE "}"

/* An edit that begins to dampen by it finds it missing, though the sources are the same. */
static void a_missing_fisher_is_wanted(void)
{
    static const char gone[] = "\"f\":{\"fisher\":\"@/nowhere.safetensors\"}";
    static const char half[] = FISHER ",\"g\":{\"fisher\":\"@/nowhere.safetensors\"}";
    static const struct {
        const char *measures, *quiet, *loud;
    } cases[] = {
        {gone, TASK(MUTE), TASK(",\"dampen\":{\"by\":\"f\"}")},
        {half, TASK(",\"dampen\":{\"by\":\"f\",\"task\":\"g\",\"kind\":\"none\"}"),
         TASK(",\"dampen\":{\"by\":\"f\",\"task\":\"g\",\"kind\":\"task\"}")},
    };
    rs_recipe *r, *next;
    rs_plan *p, *q;
    start(NULL);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        T_OK(parse(ALL, cases[k].measures, cases[k].quiet, "", &r));
        T_OK(build(r, &p));
        T_OK(parse(ALL, cases[k].measures, cases[k].loud, "", &next));
        T_FAILS(rs_plan_rebuild(&rt, p, next, NULL, &q, &t_err), RS_E_NOT_FOUND,
                "nowhere");
        rs_plan_free(p);
    }
}

/* Two stages that name it: one warning. A recipe without one: no reason. */
static void a_missing_fisher_is_told_once(void)
{
    rs_recipe *r;
    rs_plan *p;
    int told = 0;
    start(NULL);
    T_OK(parse(ALL, "\"f\":{\"fisher\":\"@/nowhere.safetensors\"}", TASK(MUTE) AGAIN,
               "\"stage\":\"more\"", &r));
    T_OK(build(r, &p));
    for (int i = 0; i < rs_plan_n_warnings(p); i++)
        told += strstr(rs_plan_warning(p, i), "damage is not known") != NULL;
    T_EQ(told, 1);
    rs_plan_free(p);
    T_OK(parse(ALL, "", TASK(""), "", &r));
    T_OK(build(r, &p));
    T_TRUE(rs_plan_fisher_missing(p) == NULL);
    rs_plan_free(p);
}

static void fails(const char *models, const char *measures, const char *stages,
                  const char *output, rs_status status, const char *sentence)
{
    rs_recipe *r = NULL;
    rs_plan *p = NULL;
    T_OK(parse(models, measures, stages, output, &r));
    T_FAILS(build(r, &p), status, sentence);
    T_TRUE(p == NULL);
    rs_recipe_free(r);
}

static void refusals(void)
{
    start(NULL);
    fails(ALL,
          "\"m\":{\"subspace\":\"x\",\"make\":{\"from\":\"pt\",\"to\":\"it\",\"rank\":4}}",
          TASK(",\"mask\":{\"by\":\"m\"}"), "", RS_E_NOT_FOUND,
          "subspace \"m\" is not there yet (x): 'ringside prepare RECIPE' makes it");
    fails(ALL, "", "{\"name\":\"s\",\"method\":\"ties\",\"density\":0.2}", "",
          RS_E_UNSUPPORTED, "the method ties");
    fails(ALL, "", TASK(""), "\"rounding\":\"stochastic\"", RS_E_UNSUPPORTED,
          "stochastic");
    fails(ALL, "\"f\":{\"fisher\":\"x\",\"make\":{\"model\":\"it\",\"random\":1}}",
          TASK(",\"dampen\":{\"by\":\"f\"}"), "", RS_E_NOT_FOUND,
          "Fisher \"f\" is not there yet (x): 'ringside prepare RECIPE' makes it");
    fails(ALL ",\"new\":{\"adapter\":\"x\",\"make\":{\"model\":\"it\",\"corpora\":[\"a\"]}}",
          "",
          "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
          "\"from\":\"new\"}]}",
          "", RS_E_NOT_FOUND, "adapter \"new\" is not there yet (x)");
    fails(ALL ",\"new\":{\"adapter\":\"x\",\"make\":{\"model\":\"it\",\"corpora\":[\"a\"]}}",
          "\"f\":{\"fisher\":\"y\",\"make\":{\"model\":\"it\",\"random\":1}}",
          "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
          "\"from\":\"new\"}],\"dampen\":{\"by\":\"f\"}}",
          "", RS_E_NOT_FOUND,
          "adapter \"new\", Fisher \"f\" are not there yet: 'ringside prepare RECIPE' makes");
    fails(ALL, "\"f\":{\"fisher\":\"@/nowhere\"}", TASK(",\"dampen\":{\"by\":\"f\"}"), "",
          RS_E_NOT_FOUND, "Fisher \"f\": there is no ");
    fails(ALL, "",
          "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"normalize\":"
          "true,"
          "\"inputs\":[{\"from\":\"gothic\"},{\"from\":\"comic\",\"weight\":-1}]}",
          "", RS_E_INVALID, "cannot be normalised");
    fails(ALL, "", TASK(",\"gain\":{\"layers\":{\"9\":0}}"), "", RS_E_MISMATCH,
          "stage \"fuel\": gain.layers: \"9\" reaches past the model's 8 layers");
    fails(IT "\"x\":{\"path\":\"@/tests/golden/models/gemma3\"}", "",
          "{\"name\":\"s\",\"method\":\"slerp\",\"t\":0.5,\"inputs\":[{\"from\":\"it\"},{"
          "\"from\":\"x\"}]}",
          "", RS_E_MISMATCH, "where the base has");
    fails(IT "\"x\":{\"adapter\":\"@/tests/golden/peft_merge/plain/adapter\"}", "",
          "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
          "\"from\":\"x\"}]}",
          "", RS_E_MISMATCH, "is made for a matrix [");
    fails("\"b\":{\"path\":\"@/tests/golden/models/gemma3\"}," LORA("folk"), "",
          "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"b\",\"inputs\":[{"
          "\"from\":\"folk\"}]}",
          "", RS_E_MISMATCH, "");
}

static void exploding_graphs(void)
{
    char stages[16384];
    start(NULL);
    int n = snprintf(
        stages, sizeof stages,
        "{\"name\":\"s0\",\"method\":\"slerp\",\"t\":0.5,\"inputs\":[{\"from\":\"it\"},"
        "{\"from\":\"pt\"}]}");
    for (int i = 1; i < 60; i++)
        n += snprintf(stages + n, sizeof stages - (size_t)n,
                      ",{\"name\":\"s%d\",\"method\":\"slerp\",\"t\":0.5,\"inputs\":[{"
                      "\"from\":\"s%d\"},"
                      "{\"from\":\"s%d\"}]}",
                      i, i - 1, i - 1);
    char text[20000];
    rs_recipe *r;
    rs_plan *p;
    snprintf(text, sizeof text,
             "{\"ringside\":1,\"models\":{\"it\":{\"path\":\"recipes/sparring/"
             "it\"},\"pt\":{\"path\":"
             "\"recipes/sparring/pt\"}},\"stages\":[%s]}",
             stages);
    T_OK(rs_recipe_parse(text, strlen(text), ".", "x", &r, &t_err));
    T_FAILS(build(r, &p), RS_E_UNSUPPORTED, "refers to other stages more than");
    rs_recipe_free(r);
}

static void warnings(void)
{
    rs_recipe *r;
    start(NULL);
    rs_plan *p = plan_of(
        FISHER,
        TASK(",\"dampen\":{\"by\":\"f\",\"kind\":\"one_minus\"}") ",{\"name\":\"heal\","
                                                                  "\"method\":\"slerp\","
                                                                  "\"t\":0.3,\"inputs\":["
                                                                  "{\"from\":\"fuel\"},"
                                                                  "{\"from\":\"away\"}]}",
        "", &r);
    T_TRUE(p != NULL);
    T_TRUE(has_warning(p, "away was trained on sparring-it and is folded on pt"));
    T_TRUE(has_warning(p, "takes back 30 %"));
    T_TRUE(has_warning(p, "one_minus with layer 1"));
    rs_plan_free(p);
    p = plan_of(FISHER, TASK(""), "", &r);
    T_TRUE(p && rs_plan_n_warnings(p) == 0);
    rs_plan_free(p);
}

/* --- damaged inputs --- */

/* sparring it with one element of one tensor replaced. */
static bool broken_copy(const char *folder, const char *tensor, int64_t element,
                        uint16_t bits)
{
    char path[600];
    rs_checkpoint *c;
    rs_buf file = {0};
    snprintf(path, sizeof path, "%s/config.json", folder);
    if (rs_os_copy("recipes/sparring/it/config.json", path, &t_err) != RS_OK)
        return false;
    if (rs_checkpoint_open("recipes/sparring/it", &c, &t_err) != RS_OK) return false;
    const rs_tensor *t = rs_checkpoint_find(c, tensor);
    if (!t || rs_os_read_file(rs_checkpoint_file(c, 0), 1 << 26, &file, &t_err) != RS_OK)
        return false;
    memcpy(file.data + t->offset + 2 * (uint64_t)element, &bits, 2);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    bool fine = rs_os_write_file(path, file.data, file.len, &t_err) == RS_OK;
    rs_buf_free(&file);
    rs_checkpoint_close(c);
    return fine;
}

static void nan_is_named(void)
{
    static const char *const names[] = {"model.layers.4.mlp.up_proj.weight",
                                        "model.embed_tokens.weight"};
    static const char *const sentences[] = {
        "element 1234 is NaN in the model \"bad\"",
        "element 1234 is infinite in the model \"bad\""};
    const char *folder = t_folder();
    char text[2000], buffer[16];
    rs_recipe *r;
    rs_plan *p;
    rs_workspace *ws;
    start(NULL);
    for (int k = 0; k < 2; k++) {
        T_TRUE(broken_copy(folder, names[k], 1234, k ? 0xff80 : 0x7fc1));
        snprintf(
            text, sizeof text,
            "{\"ringside\":1,\"models\":{\"bad\":{\"path\":\"%s\"},\"sea\":{\"adapter\":"
            "\"recipes/sparring/lora/sea\"}},\"stages\":[{\"name\":\"s\",\"method\":"
            "\"task_arithmetic\",\"base\":\"bad\",\"inputs\":[{\"from\":\"sea\"}]}]}",
            folder);
        T_OK(rs_recipe_parse(text, strlen(text), ".", "x", &r, &t_err));
        T_OK(build(r, &p));
        T_OK(rs_workspace_new(&rt, &ws, &t_err));
        int i = index_of(p, names[k]);
        T_FAILS(rs_plan_produce(&rt, p, ws, i, 1230, 8, buffer, &t_err), RS_E_INVALID,
                sentences[k]);
        T_TRUE(strstr(t_err.msg, names[k]) && strstr(t_err.msg, folder));
        T_OK(rs_plan_produce(&rt, p, ws, i, 1235, 8, buffer, &t_err));
        rs_workspace_free(ws);
        rs_plan_free(p);
        rs_recipe_free(r);
    }
    T_OK(rs_os_remove_tree(folder, &t_err));
}

static void overflow_is_named(void)
{
    rs_recipe *r;
    rs_workspace *ws;
    char buffer[65536];
    start(NULL);
    rs_plan *p = plan_of(
        "",
        "{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
        "\"from\":\"gothic\"}],\"scale\":1e7}",
        "\"dtype\":\"float16\"", &r);
    T_TRUE(p != NULL);
    T_OK(rs_workspace_new(&rt, &ws, &t_err));
    T_FAILS(rs_plan_produce(&rt, p, ws, index_of(p, "layers.4.mlp.up_proj"), 0, 30000,
                            buffer, &t_err),
            RS_E_INVALID, "which f16 cannot hold");
    rs_workspace_free(ws);
    rs_plan_free(p);
}

static void opposite_sides(void)
{
    rs_recipe *r;
    rs_workspace *ws;
    char buffer[64];
    static const char *const stages =
        "{\"name\":\"a\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
        "\"from\":\"gothic\"}]},"
        "{\"name\":\"b\",\"method\":\"task_arithmetic\",\"base\":\"it\",\"inputs\":[{"
        "\"from\":\"gothic\"}],"
        "\"scale\":-2},{\"name\":\"s\",\"method\":\"slerp\",\"space\":\"delta\",\"base\":"
        "\"it\",\"opposite\":"
        "\"error\",\"t\":0.5,\"inputs\":[{\"from\":\"a\"},{\"from\":\"b\"}]}";
    start(NULL);
    /* Rounding of the sums leaves an angle a little off pi. */
    char wide[1024];
    snprintf(wide, sizeof wide, "%.*s,\"flat_below\":0.001}", (int)strlen(stages) - 1,
             stages);
    rs_plan *p = plan_of("", wide, "", &r);
    T_TRUE(p != NULL);
    T_OK(rs_workspace_new(&rt, &ws, &t_err));
    T_FAILS(rs_plan_produce(&rt, p, ws, index_of(p, "layers.4.mlp.up_proj"), 0, 8, buffer,
                            &t_err),
            RS_E_INVALID, "point in opposite directions");
    rs_workspace_free(ws);
    rs_plan_free(p);
}

T_MAIN(T_TEST(a_missing_fisher), T_TEST(a_missing_fisher_is_wanted),
       T_TEST(a_missing_fisher_is_told_once), T_TEST(refusals), T_TEST(exploding_graphs),
       T_TEST(warnings), T_TEST(nan_is_named), T_TEST(overflow_is_named),
       T_TEST(opposite_sides))
