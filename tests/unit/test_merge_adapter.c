/* PEFT adapters as they are met: names, patterns, scales, and what is refused. */
#include "merge/adapter.h"

#include "base/os.h"
#include "base/regex.h"
#include "merge/plan.h"
#include "store/writer.h"
#include "tests/files.h"
#include "tests/t.h"

typedef struct part {
    const char *name;
    int64_t rows, cols;
    float first;
} part;

/* An adapter folder of float32 tensors; element i of a tensor is first + i. */
static const char *folder_of(const char *config, const part *parts, int n)
{
    static char folder[256];
    static float data[4096];
    rs_write_tensor tensors[16] = {{0}};
    rs_writer *w;
    char hash[33];
    snprintf(folder, sizeof folder, "%s/a", t_folder());
    for (int i = 0; i < n; i++)
        tensors[i] = (rs_write_tensor){
            parts[i].name, RS_DTYPE_F32, 2, {parts[i].rows, parts[i].cols}};
    rs_write_plan plan = {.tensors = tensors, .n_tensors = n, .stem = "adapter_model"};
    if (rs_writer_new(folder, &plan, &w, &t_err) != RS_OK)
        return printf("%s\n", t_err.msg), NULL;
    for (int i = 0; i < n; i++) {
        int64_t count = parts[i].rows * parts[i].cols;
        for (int64_t j = 0; j < count; j++)
            data[j] = parts[i].first + (float)j;
        if (rs_writer_write(w, i, 0, data, (size_t)count * 4, &t_err) != RS_OK)
            return NULL;
    }
    if (rs_writer_file(w, "adapter_config.json", config, strlen(config), &t_err) !=
            RS_OK ||
        rs_writer_finish(w, hash, &t_err) != RS_OK)
        return printf("%s\n", t_err.msg), NULL;
    rs_writer_free(w);
    return folder;
}

#define UP "base_model.model.model.layers.0.mlp.up_proj"
#define DOWN "base_model.model.model.layers.12.mlp.down_proj"

static const part plain[] = {{UP ".lora_A.weight", 2, 3, 1},
                             {UP ".lora_B.weight", 4, 2, 10},
                             {DOWN ".lora_A.weight", 4, 5, 1},
                             {DOWN ".lora_B.weight", 3, 4, 1}};

static double scale_of(const rs_adapter *a, const char *module)
{
    for (int i = 0; i < a->n_pairs; i++)
        if (strstr(a->pairs[i].module, module)) return a->pairs[i].scale;
    return NAN;
}

static void scales(void)
{
    static const struct {
        const char *config;
        double up, down;
    } rows[] = {
        {"{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":6,\"rank_pattern\":{\"down_"
         "proj\":4}}",
         3, 1.5},
        {"{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":6,\"use_rslora\":true,\"rank_"
         "pattern\":{"
         "\"layers.12.*\":4}}",
         4.242640687119285, 3},
        /* The first key that matches the end of the path wins; 2 is not the end of 12. */
        {"{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":6,\"rank_pattern\":{"
         "\"layers\\\\.2\\\\..*\":7,"
         "\"mlp.down_proj\":4,\"down_proj\":9},\"alpha_pattern\":{\"up\":1,\"up_proj\":8,"
         "\".*\":2}}",
         4, 0.5},
    };
    for (int i = 0; i < 3; i++) {
        rs_adapter *a;
        T_OK(rs_adapter_open(folder_of(rows[i].config, plain, 4), &a, &t_err));
        T_EQ(a->n_pairs, 2);
        T_EQ(a->rank, 4);
        T_NEAR(scale_of(a, "up_proj"), rows[i].up, 0, 1e-15);
        T_NEAR(scale_of(a, "down_proj"), rows[i].down, 0, 1e-15);
        rs_adapter_close(a);
    }
}

static void factors(void)
{
    float a[64], b[64];
    bool exact;
    rs_adapter *ad;
    T_OK(rs_adapter_open(folder_of("{\"peft_type\":\"LORA\",\"r\":2}", plain, 2), &ad,
                         &t_err));
    const rs_adapter_pair *p = &ad->pairs[0];
    T_STR(p->weight, "model.layers.0.mlp.up_proj.weight");
    T_EQ(rs_adapter_rows(ad, p), 4);
    T_EQ(rs_adapter_cols(ad, p), 3);
    T_OK(rs_adapter_read(ad, p, a, b, &exact, &t_err));
    T_TRUE(exact && a[0] == 1 && a[5] == 6 && b[0] == 10 && b[7] == 17);
    rs_adapter_close(ad);
    /* fan_in_fan_out: the matrix lies the other way round, so the factors change places. */
    T_OK(rs_adapter_open(
        folder_of("{\"peft_type\":\"LORA\",\"r\":2,\"fan_in_fan_out\":true}", plain, 2),
        &ad, &t_err));
    p = &ad->pairs[0];
    T_EQ(rs_adapter_rows(ad, p), 3);
    T_EQ(rs_adapter_cols(ad, p), 4);
    T_OK(rs_adapter_read(ad, p, a, b, &exact, &t_err));
    float plain_a[6] = {1, 2, 3, 4, 5, 6}, plain_b[8] = {10, 11, 12, 13, 14, 15, 16, 17};
    for (int in = 0; in < 3; in++)
        for (int out = 0; out < 4; out++) {
            float want = 0, got = 0;
            for (int k = 0; k < 2; k++) {
                want += plain_b[out * 2 + k] * plain_a[k * 3 + in];
                got += b[in * 2 + k] * a[k * 4 + out];
            }
            T_TRUE(want == got);
        }
    rs_adapter_close(ad);
    static const part odd[] = {{UP ".lora_A.weight", 2, 3, 0.1f},
                               {UP ".lora_B.weight", 4, 2, 1}};
    T_OK(rs_adapter_open(folder_of("{\"peft_type\":\"LORA\",\"r\":2}", odd, 2), &ad,
                         &t_err));
    T_OK(rs_adapter_read(ad, &ad->pairs[0], a, b, &exact, &t_err));
    T_TRUE(!exact);
    rs_adapter_close(ad);
    static const part nan[] = {{UP ".lora_A.weight", 2, 3, NAN},
                               {UP ".lora_B.weight", 4, 2, 1}};
    T_OK(rs_adapter_open(folder_of("{\"peft_type\":\"LORA\",\"r\":2}", nan, 2), &ad,
                         &t_err));
    T_FAILS(rs_adapter_read(ad, &ad->pairs[0], a, b, &exact, &t_err), RS_E_INVALID,
            "lora_A.weight[0, 0] is NaN");
    rs_adapter_close(ad);
}

static void names(void)
{
    static const char *const forms[][2] = {
        {"base_model.model.model.layers.0.mlp.up_proj.lora_A.weight",
         "base_model.model.model.layers.0.mlp.up_proj.lora_B.weight"},
        {"base_model.model.model.language_model.layers.0.mlp.up_proj.lora_A.weight",
         "base_model.model.model.language_model.layers.0.mlp.up_proj.lora_B.weight"},
        {"base_model.model.layers.0.mlp.up_proj.lora_A.weight",
         "base_model.model.layers.0.mlp.up_proj.lora_B.weight"},
        {"language_model.model.layers.0.mlp.up_proj.weight.lora_A.weight",
         "language_model.model.layers.0.mlp.up_proj.weight.lora_B.weight"},
        {"base_model.model.model.layers.0.mlp.up_proj.lora_A.default.weight",
         "base_model.model.model.layers.0.mlp.up_proj.lora_B.default.weight"},
    };
    for (int i = 0; i < 5; i++) {
        part parts[2] = {{forms[i][0], 2, 3, 1}, {forms[i][1], 4, 2, 1}};
        rs_adapter *ad;
        T_OK(rs_adapter_open(folder_of("{\"peft_type\":\"LORA\",\"r\":2}", parts, 2), &ad,
                             &t_err));
        T_EQ(ad->n_pairs, 1);
        rs_role role = rs_role_of(NULL, ad->pairs[0].weight);
        T_STR(role.tail, "layers.0.mlp.up_proj.weight");
        T_EQ(role.kind, RS_KIND_UP);
        rs_adapter_close(ad);
    }
}

static void config_is(const char *more, rs_status status, const char *sentence)
{
    char config[512];
    rs_adapter *a = NULL;
    snprintf(config, sizeof config, "{\"peft_type\":\"LORA\",\"r\":2%s}", more);
    const char *folder = folder_of(config, plain, 2);
    T_TRUE(folder != NULL);
    T_FAILS(rs_adapter_open(folder, &a, &t_err), status, sentence);
    T_TRUE(a == NULL);
}

static void refused_configs(void)
{
    config_is(",\"use_dora\":true", RS_E_UNSUPPORTED, "DoRA");
    config_is(",\"bias\":\"all\"", RS_E_UNSUPPORTED, "a trained bias");
    config_is(",\"modules_to_save\":[\"norm\"]", RS_E_UNSUPPORTED, "saved module");
    config_is(",\"trainable_token_indices\":[1]", RS_E_UNSUPPORTED, "single tokens");
    config_is(",\"layer_replication\":[[0,2]]", RS_E_UNSUPPORTED,
              "replication of layers");
    config_is(",\"init_lora_weights\":\"pissa_niter_4\"", RS_E_UNSUPPORTED,
              "convert the adapter");
    config_is(",\"rank_pattern\":{\"(\":3}", RS_E_FORMAT, "regular expression");
    config_is(",\"rank_pattern\":{\"up_proj\":\"3\"}", RS_E_FORMAT, "is no number");
    config_is(",\"rank_pattern\":{\"up_proj\":3}", RS_E_MISMATCH,
              "gives model.layers.0.mlp.up_proj rank 3, its tensors have 2");
    config_is(",\"rank_pattern\":[1]", RS_E_FORMAT, "must be an object");
    /* Exponential backtracking ends. */
    config_is(",\"rank_pattern\":{\"((.|.)*)*[!?]\":3}", RS_E_UNSUPPORTED,
              "regular expression");
}

static void tensors_are(const part *parts, int n, rs_status status, const char *sentence)
{
    rs_adapter *a = NULL;
    const char *folder = folder_of("{\"peft_type\":\"LORA\",\"r\":2}", parts, n);
    T_TRUE(folder != NULL);
    T_FAILS(rs_adapter_open(folder, &a, &t_err), status, sentence);
}

static void refused_tensors(void)
{
    tensors_are(plain, 1, RS_E_MISMATCH,
                "has lora_A but no lora_B of model.layers.0.mlp.up_proj");
    part ranks[2] = {{UP ".lora_A.weight", 2, 3, 1}, {UP ".lora_B.weight", 4, 3, 1}};
    tensors_are(ranks, 2, RS_E_MISMATCH, "their ranks differ");
    part embed[1] = {{"base_model.model.model.embed_tokens.lora_embedding_A", 2, 3, 1}};
    tensors_are(embed, 1, RS_E_UNSUPPORTED, "LoRA on an embedding");
    part saved[1] = {{"base_model.model.model.norm.weight", 2, 3, 1}};
    tensors_are(saved, 1, RS_E_UNSUPPORTED, "a whole saved tensor");
    part twice[3] = {{UP ".lora_A.weight", 2, 3, 1},
                     {UP ".lora_A.default.weight", 2, 3, 1},
                     {UP ".lora_B.weight", 4, 2, 1}};
    tensors_are(twice, 3, RS_E_FORMAT, "twice");
    rs_adapter *a;
    T_FAILS(rs_adapter_open("/nowhere/adapter", &a, &t_err), RS_E_NOT_FOUND,
            "adapter_config.json");
}

/* --- against a base --- */

static rs_status plan_with(const char *adapter, rs_plan **p)
{
    char text[1024];
    rs_recipe *r;
    rs_runtime rt;
    snprintf(text, sizeof text,
             "{\"ringside\":1,\"models\":{\"it\":{\"path\":\"recipes/sparring/"
             "it\"},\"x\":{\"adapter\":\"%s\"}},"
             "\"stages\":[{\"name\":\"s\",\"method\":\"task_arithmetic\",\"base\":\"it\","
             "\"inputs\":[{\"from\":"
             "\"x\"}]}]}",
             adapter);
    RS_TRY(rs_recipe_parse(text, strlen(text), ".", "x", &r, &t_err));
    kept(r);
    RS_TRY(rs_init(NULL, &rt, &t_err));
    rs_status s = rs_plan_build(&rt, r, NULL, p, &t_err);
    rs_quit(&rt);
    return s;
}

static void unmatched_pairs_are_listed(void)
{
    part parts[8];
    static const char *const where[] = {"layers.8.mlp.up_proj", "layers.9.mlp.up_proj",
                                        "layers.10.mlp.up_proj", "layers.11.mlp.up_proj"};
    static char names_of[8][128];
    rs_plan *p;
    for (int i = 0; i < 8; i++) {
        snprintf(names_of[i], sizeof names_of[i],
                 "base_model.model.model.%s.lora_%c.weight", where[i / 2],
                 i % 2 ? 'B' : 'A');
        parts[i] = (part){names_of[i], i % 2 ? 8 : 2, i % 2 ? 2 : 3, 1};
    }
    const char *folder = folder_of("{\"peft_type\":\"LORA\",\"r\":2}", parts, 8);
    T_FAILS(plan_with(folder, &p), RS_E_MISMATCH,
            "4 of its 4 modules find no tensor in ");
    T_TRUE(strstr(t_err.msg, "model.layers.8.mlp.up_proj, model.layers.9.mlp.up_proj, "
                             "model.layers.10.mlp.up_proj ..."));
}

/* K and V of a layer that reads another's are never read: dropped, with a note. */
static void inert_pairs_are_dropped(void)
{
    rs_plan *p;
    part parts[4] = {
        {"base_model.model.model.layers.6.self_attn.k_proj.lora_A.weight", 2, 192, 1},
        {"base_model.model.model.layers.6.self_attn.k_proj.lora_B.weight", 48, 2, 1},
        {"base_model.model.model.layers.6.self_attn.q_proj.lora_A.weight", 2, 192, 0},
        {"base_model.model.model.layers.6.self_attn.q_proj.lora_B.weight", 192, 2, 0}};
    T_OK(plan_with(folder_of("{\"peft_type\":\"LORA\",\"r\":2}", parts, 4), &p));
    T_EQ(rs_plan_source_at(p, 1)->n_inert, 1);
    T_EQ(rs_plan_source_at(p, 1)->n_matched, 1);
    T_TRUE(strstr(rs_plan_warning(p, 0), "1 pairs change K or V of layers that share"));
    T_EQ(rs_plan_need(p).n_changed, 1);
    rs_plan_free(p);
}

static void towers_are_refused(void)
{
    rs_plan *p;
    part parts[2] = {{"base_model.model.model.vision_tower.encoder.layers.0.self_attn.q_"
                      "proj.linear.lora_A.weight",
                      2, 3, 1},
                     {"base_model.model.model.vision_tower.encoder.layers.0.self_attn.q_"
                      "proj.linear.lora_B.weight",
                      4, 2, 1}};
    T_FAILS(plan_with(folder_of("{\"peft_type\":\"LORA\",\"r\":2}", parts, 2), &p),
            RS_E_UNSUPPORTED, "towers are copied");
}

static bool note_place(void *ctx, size_t start, size_t end)
{
    size_t *place = ctx;
    place[0] = start;
    place[1] = end;
    return true;
}

static void regular_expressions(void)
{
    rs_regex *r;
    bool yes;
    size_t place[2] = {0, 0};
    T_OK(rs_regex_new("b+", 2, &r, &t_err));
    T_OK(rs_regex_each(r, "aabbb", 5, note_place, place, &t_err));
    T_TRUE(place[0] == 2 && place[1] == 5);
    T_OK(rs_regex_whole(r, "abb", 3, &yes, &t_err));
    T_TRUE(!yes);
    T_OK(rs_regex_whole(r, "bb", 2, &yes, &t_err));
    T_TRUE(yes);
    T_OK(rs_regex_whole(r, "\xff\xfe", 2, &yes, &t_err));
    T_TRUE(!yes);
    rs_regex_free(r);
    T_FAILS(rs_regex_new("a(", 2, &r, &t_err), RS_E_FORMAT,
            "at 2: missing closing parenthesis");
}

T_MAIN(T_TEST(scales), T_TEST(factors), T_TEST(names), T_TEST(refused_configs),
       T_TEST(refused_tensors), T_TEST(unmatched_pairs_are_listed),
       T_TEST(inert_pairs_are_dropped), T_TEST(towers_are_refused),
       T_TEST(regular_expressions))
