/* What a config.json is read to, in both spellings, and what is refused with which words. */
#include "model/config.h"
#include "tests/t.h"

#include "base/buf.h"
#include "base/os.h"
#include "model/family.h"

static char folder[64];

static void write_text(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (rs_os_write_file(path, text, strlen(text), &t_err) != RS_OK) exit(1);
}

/* A checkpoint without tensors, so that any config may stand beside it. */
static void make_folder(void)
{
    static const char bytes[] = "\x02\0\0\0\0\0\0\0{}";
    char path[256];
    snprintf(folder, sizeof folder, "%s", t_folder());
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    if (rs_os_write_file(path, bytes, 10, &t_err) != RS_OK) exit(1);
}

static rs_status load(const char *path, rs_config **c)
{
    rs_checkpoint *file;
    RS_TRY(rs_checkpoint_open(path, &file, &t_err));
    rs_status s = rs_config_load(file, c, &t_err);
    rs_checkpoint_close(file);
    return s;
}

static rs_status load_text(const char *config, rs_config **c)
{
    if (!folder[0]) make_folder();
    write_text("config.json", config);
    return load(folder, c);
}

/* --- the fixtures --- */

static void read_file(const char *path, rs_buf *out)
{
    if (rs_os_read_file(path, 1 << 20, out, &t_err) != RS_OK) exit(1);
}

static void check_equal(const rs_config *a, const rs_config *b)
{
    T_EQ(a->n_layers, b->n_layers);
    T_TRUE(a->hidden == b->hidden && a->n_heads == b->n_heads && a->vocab == b->vocab);
    T_TRUE(a->sliding_window == b->sliding_window && a->ple_width == b->ple_width);
    T_TRUE(a->ple_vocab == b->ple_vocab && a->family == b->family);
    T_TRUE(a->final_softcap == b->final_softcap && a->attn_scale == b->attn_scale);
    T_TRUE(a->tied_head == b->tied_head && a->bos == b->bos && a->rms_eps == b->rms_eps);
    for (int i = 0; i < a->n_layers; i++) {
        const rs_layer_config *x = &a->layers[i], *y = &b->layers[i];
        T_TRUE(x->is_full == y->is_full && x->is_sharer == y->is_sharer);
        T_TRUE(x->kv_layer == y->kv_layer && x->head_dim == y->head_dim);
        T_TRUE(x->n_kv_heads == y->n_kv_heads && x->intermediate == y->intermediate);
        T_TRUE(x->rope_pairs == y->rope_pairs && x->rope_theta == y->rope_theta);
        T_TRUE(x->rope_factor == y->rope_factor && x->is_donor == y->is_donor);
        T_TRUE(x->rope_low == y->rope_low && x->rope_high == y->rope_high &&
               x->rope_original == y->rope_original);
    }
}

static void older_spellings_mean_the_same(void)
{
    static const char *const models[] = {
        "gemma3", "gemma4_e2b", "gemma4_e4b", "gemma4_e4b_mm", "gemma4_v64",
        "gemma2", "llama",      "mistral",    "qwen2",         "qwen3"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        char path[128];
        rs_config *now, *old;
        rs_buf text = {0};
        snprintf(path, sizeof path, "models/%s", models[i]);
        T_OK(load(t_golden(path), &now));
        snprintf(path, sizeof path, "models/older_configs/%s.json", models[i]);
        read_file(t_golden(path), &text);
        T_OK(load_text(rs_buf_str(&text), &old));
        check_equal(now, old);
        rs_buf_free(&text);
        rs_config_free(now);
        rs_config_free(old);
    }
}

static void sparring(void)
{
    rs_config *c;
    T_OK(load("recipes/sparring/it", &c));
    T_STR(c->model_type, "gemma4_text");
    T_STR(c->family->chat, "gemma4");
    T_EQ(c->n_layers, 8);
    T_TRUE(c->hidden == 192 && c->n_heads == 4 && c->vocab == 4096 && c->ple_width == 16);
    T_TRUE(c->sliding_window == 128 && c->max_positions == 4096 && c->tied_head);
    T_NEAR(c->embed_scale, 13.856406, 1e-6, 0);
    T_TRUE(c->attn_scale == 1 && c->final_softcap == 30 && c->attn_softcap == 0);
    T_TRUE(c->n_eos == 2 && c->eos[0] == 1 && c->eos[1] == 9 && c->bos == 2 &&
           c->pad == 0);
    T_TRUE(c->do_sample && c->temperature == 1 && c->top_k == 64 && c->top_p == 0.95);
    for (int i = 0; i < 8; i++) {
        bool full = i == 3 || i == 7;
        const rs_layer_config *l = &c->layers[i];
        T_EQ(l->is_full, full);
        T_EQ(l->head_dim, full ? 96 : 48);
        T_EQ(l->rope_pairs, full ? 12 : 24);
        T_EQ((int)l->rope_theta, full ? 1000000 : 10000);
        T_EQ(l->kv_layer, i == 6 ? 5 : i == 7 ? 3 : i);
        T_EQ(l->is_sharer, i >= 6);
        T_EQ(l->is_donor, i == 5 || i == 3);
        T_TRUE(l->n_kv_heads == 1 && l->intermediate == 640);
    }
    rs_config_free(c);
}

/* --- the published configs, as gemma.md lists them --- */

#define E2B_BARE                                                                         \
    "\"model_type\":\"gemma4_text\",\"final_logit_softcapping\":30.0,"                   \
    "\"global_head_dim\":512,\"head_dim\":256,\"hidden_size\":1536,"                     \
    "\"hidden_size_per_layer_input\":256,\"intermediate_size\":6144,"                    \
    "\"num_attention_heads\":8,\"num_global_key_value_heads\":null,"                     \
    "\"num_hidden_layers\":35,\"num_key_value_heads\":1,\"num_kv_shared_layers\":20,"    \
    "\"sliding_window\":512,\"use_double_wide_mlp\":true,\"vocab_size\":262144,"         \
    "\"eos_token_id\":1,\"bos_token_id\":2"
#define E2B_TEXT E2B_BARE ",\"vocab_size_per_layer_input\":262144"

static void e2b_of_a_wrapper(void)
{
    rs_config *c;
    rs_buf types = {0};
    for (int i = 0; i < 35; i++)
        rs_buf_printf(&types, "%s\"%s\"", i ? "," : "",
                      (i + 1) % 5 == 0 ? "full_attention" : "sliding_attention");
    rs_buf text = {0};
    rs_buf_printf(&text,
                  "{\"model_type\":\"gemma4\",\"eos_token_id\":[1,106],\"vision_config\":"
                  "{\"global_head_dim\":64},\"text_config\":{%s,\"layer_types\":[%s]}}",
                  E2B_TEXT, rs_buf_str(&types));
    make_folder();
    write_text("generation_config.json", "{\"eos_token_id\":[1,106,50]}");
    T_OK(load_text(rs_buf_str(&text), &c));
    T_TRUE(c->n_eos == 3 && c->eos[0] == 1 && c->eos[1] == 106 && c->eos[2] == 50);
    T_TRUE(c->layers[13].is_donor && c->layers[14].is_donor && !c->layers[12].is_donor);
    for (int i = 15; i < 35; i++) {
        T_EQ(c->layers[i].kv_layer, c->layers[i].is_full ? 14 : 13);
        T_EQ(c->layers[i].intermediate, 12288);
    }
    T_TRUE(c->layers[14].intermediate == 6144 && c->layers[14].rope_pairs == 64);
    T_TRUE(c->layers[4].head_dim == 512 && c->layers[3].head_dim == 256);
    rs_config_free(c);
    rs_buf_free(&text);
    rs_buf_free(&types);
}

#define GEMMA3_1B                                                                        \
    "\"model_type\":\"gemma3_text\",\"hidden_size\":1152,\"intermediate_size\":6912,"    \
    "\"num_hidden_layers\":26,\"num_attention_heads\":4,\"num_key_value_heads\":1,"      \
    "\"head_dim\":256,\"sliding_window\":512,\"vocab_size\":262144,"                     \
    "\"query_pre_attn_scalar\":256,\"rope_theta\":1000000,\"rope_local_base_freq\":"     \
    "10000"

static void gemma3_of_patterns(void)
{
    rs_config *c;
    T_OK(load_text("{" GEMMA3_1B ",\"sliding_window_pattern\":6,\"rope_scaling\":"
                   "{\"rope_type\":\"linear\",\"factor\":8.0}}",
                   &c));
    for (int i = 0; i < 26; i++)
        T_EQ(c->layers[i].is_full, (i + 1) % 6 == 0);
    T_TRUE(c->attn_scale == 0.0625 && c->final_softcap == 0 && c->ple_width == 0);
    T_TRUE(c->layers[5].rope_factor == 8 && c->layers[4].rope_factor == 1);
    T_TRUE(c->layers[5].rope_theta == 1e6 && c->layers[4].rope_theta == 1e4);
    rs_config_free(c);
}

static void layer_config_is_the_only_source(void)
{
    rs_config *c;
    T_OK(load_text("{" E2B_TEXT ",\"per_layer_config\":{}}", &c));
    for (int i = 0; i < 35; i++)
        T_EQ(c->layers[i].head_dim, 256);
    T_TRUE(c->layers[5].is_full && c->layers[34].is_full); /* every 6th, and the last */
    rs_config_free(c);
    T_OK(load_text("{" E2B_TEXT ",\"per_layer_config\":null}", &c));
    T_EQ(c->layers[34].head_dim, 256);
    rs_config_free(c);
}

/* --- refusals --- */

#define LLAMA                                                                            \
    "\"model_type\":\"llama\",\"hidden_size\":64,\"intermediate_size\":64,"              \
    "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"vocab_size\":100"

#define QWEN3                                                                            \
    "\"model_type\":\"qwen3\",\"hidden_size\":64,\"intermediate_size\":64,"              \
    "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"vocab_size\":100"

static const struct {
    rs_status status;
    const char *config, *words;
} refused[] = {
    {RS_E_FORMAT, "{}", "no \"model_type\""},
    {RS_E_UNSUPPORTED, "{\"model_type\":\"gemma4_unified\"}", "gemma4_unified"},
    {RS_E_UNSUPPORTED, "{\"model_type\":\"mamba\"}", "mistral, qwen2 and qwen3 are"},
    {RS_E_FORMAT, "{\"model_type\":\"gemma4\"}", "text_config"},
    {RS_E_UNSUPPORTED, "{" E2B_TEXT ",\"enable_moe_block\":true}", "enable_moe_block"},
    {RS_E_UNSUPPORTED, "{" E2B_TEXT ",\"attention_k_eq_v\":true}", "attention_k_eq_v"},
    {RS_E_UNSUPPORTED, "{" E2B_TEXT ",\"use_bidirectional_attention\":\"all\"}",
     "bidirectional"},
    {RS_E_UNSUPPORTED, "{" E2B_TEXT ",\"hidden_activation\":\"silu\"}", "silu"},
    {RS_E_FORMAT, "{" E2B_BARE ",\"vocab_size_per_layer_input\":262143}",
     "outside of 262144 to"},
    {RS_E_UNSUPPORTED,
     "{" E2B_TEXT ",\"per_layer_config\":{\"3\":{\"sliding_window\":7}}}",
     "changes \"sliding_window\" of layer 3"},
    {RS_E_UNSUPPORTED, "{" E2B_TEXT ",\"per_layer_config\":{\"3\":{\"skip\":[\"mlp\"]}}}",
     "skip"},
    {RS_E_FORMAT, "{" E2B_TEXT ",\"per_layer_config\":{\"35\":{\"head_dim\":8}}}", "35"},
    {RS_E_FORMAT,
     "{" E2B_TEXT ",\"per_layer_config\":{\"05\":{\"head_dim\":8},\"5\":{}}}", "twice"},
    {RS_E_FORMAT, "{" E2B_TEXT ",\"per_layer_config\":{\"4\":{\"head_dim\":8}}}",
     "other sliding layers"},
    {RS_E_UNSUPPORTED, "{" GEMMA3_1B ",\"rope_scaling\":{\"rope_type\":\"yarn\"}}",
     "yarn"},
    {RS_E_UNSUPPORTED, "{" LLAMA ",\"rope_scaling\":{\"type\":\"dynamic\"}}",
     "\"dynamic\" is not supported; default, linear, llama3"},
    {RS_E_UNSUPPORTED, "{" LLAMA ",\"rope_parameters\":{\"rope_type\":\"longrope\"}}",
     "longrope"},
    {RS_E_UNSUPPORTED, "{" LLAMA ",\"attention_bias\":true}", "attention_bias"},
    {RS_E_UNSUPPORTED, "{" LLAMA ",\"partial_rotary_factor\":0.5}",
     "partial_rotary_factor 0.5"},
    {RS_E_UNSUPPORTED,
     "{" LLAMA ",\"partial_rotary_factor\":0.25,\"rope_scaling\":{\"rope_type\":"
     "\"linear\",\"factor\":2}}",
     "partial_rotary_factor 0.25"},
    {RS_E_FORMAT, "{" LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\"}}",
     "low_freq_factor 0"},
    {RS_E_UNSUPPORTED,
     "{" GEMMA3_1B ",\"rope_parameters\":{\"full_attention\":"
     "{\"rope_type\":\"proportional\"},\"sliding_attention\":{}}}",
     "proportional"},
    {RS_E_FORMAT, "{" GEMMA3_1B ",\"rope_parameters\":{\"rope_theta\":1}}",
     "sliding_attention"},
    {RS_E_FORMAT, "{" GEMMA3_1B ",\"layer_types\":[]}", "26 entries"},
    {RS_E_FORMAT, "{\"model_type\":\"gemma3_text\"}", "num_hidden_layers"},
    {RS_E_FORMAT, "{\"model_type\":\"gemma3_text\",\"num_hidden_layers\":1e9}",
     "outside of 1 to"},
    {RS_E_FORMAT, "{" GEMMA3_1B ",\"eos_token_id\":\"x\"}", "eos_token_id"},
    {RS_E_FORMAT,
     "{" GEMMA3_1B ",\"query_pre_attn_scalar_\":0,\"final_logit_softcapping\":-1}",
     "negative"},
    {RS_E_UNSUPPORTED,
     "{" LLAMA ",\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":1e4},"
     "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4}}",
     "\"yarn\" is not supported"},
    {RS_E_UNSUPPORTED,
     "{" LLAMA ",\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":1e4},"
     "\"rope_scaling\":{\"type\":\"linear\",\"factor\":4}}",
     "say different things"},
    {RS_E_UNSUPPORTED,
     "{" GEMMA3_1B ",\"rope_parameters\":{\"full_attention\":{\"rope_type\":"
     "\"linear\",\"factor\":8},\"sliding_attention\":{}},\"rope_scaling\":"
     "{\"full_attention\":{\"factor\":4}}}",
     "say different things"},
    {RS_E_UNSUPPORTED, "{" LLAMA ",\"final_logit_softcapping\":30}",
     "\"final_logit_softcapping\" is not supported for llama"},
    {RS_E_UNSUPPORTED, "{" E2B_TEXT ",\"attn_logit_softcapping\":50}",
     "attn_logit_softcapping"},
    {RS_E_UNSUPPORTED,
     "{" QWEN3 ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,"
     "\"low_freq_factor\":1,\"high_freq_factor\":4,"
     "\"original_max_position_embeddings\":8192}}",
     "\"llama3\" of the full layers"},
    {RS_E_FORMAT, "[1", "config.json"},
};

static void refuses_by_name(void)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        rs_config *c = NULL;
        T_FAILS(load_text(refused[i].config, &c), refused[i].status, refused[i].words);
        T_TRUE(c == NULL);
    }
}

/* Equal overrides say nothing and are accepted. */
static void accepts_what_says_nothing(void)
{
    rs_config *c;
    T_OK(load_text("{" GEMMA3_1B ",\"use_bidirectional_attention\":\"vision\","
                   "\"attention_bias\":false,\"per_layer_config\":"
                   "{\"03\":{\"sliding_window\":512,\"skip\":[],\"head_dim\":256}}}",
                   &c));
    rs_config_free(c);
    T_OK(load_text("{" LLAMA ",\"rope_parameters\":{\"rope_type\":\"linear\","
                   "\"factor\":4,\"rope_theta\":1e5},\"rope_scaling\":{\"type\":"
                   "\"linear\",\"factor\":4},\"final_logit_softcapping\":null}",
                   &c));
    T_TRUE(c->layers[0].rope_factor == 4 && c->layers[0].rope_theta == 1e5);
    rs_config_free(c);
}

static void tensors_decide(void)
{
    rs_buf text = {0};
    read_file("recipes/sparring/it/config.json", &text);
    char *at = strstr(text.data, "\"intermediate_size\": 640");
    T_TRUE(at != NULL);
    memcpy(strstr(at, "640"), "512", 3);
    make_folder();
    rs_buf weights = {0};
    read_file("tests/golden/models/gemma4_e4b/model.safetensors", &weights);
    char path[256];
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    T_OK(rs_os_write_file(path, weights.data, weights.len, &t_err));
    rs_config *c;
    T_FAILS(load_text(rs_buf_str(&text), &c), RS_E_MISMATCH, "the config asks for [");
    rs_buf_free(&text);
    rs_buf_free(&weights);
}

static void no_config(void)
{
    rs_config *c;
    make_folder();
    T_FAILS(load(folder, &c), RS_E_NOT_FOUND, "config.json");
}

T_MAIN(T_TEST(older_spellings_mean_the_same), T_TEST(sparring), T_TEST(e2b_of_a_wrapper),
       T_TEST(gemma3_of_patterns), T_TEST(layer_config_is_the_only_source),
       T_TEST(refuses_by_name), T_TEST(accepts_what_says_nothing), T_TEST(tensors_decide),
       T_TEST(no_config))
