/* Configs that differ from what the published models of a family have: a GGUF of them gives
 * the logits of the folder, what llama.cpp computes otherwise is told, and what a GGUF cannot
 * say is refused. */
#include "tests/exported.h"
#include "tests/synthetic.h"

enum { N_IDS = 40 }; /* well beyond the windows */

/* The golden weights of a family below another config.json. */
static const char *with_config(const char *model, const char *config)
{
    const char *folder = t_folder();
    if (rs_os_copy(in_folder(golden_model(model), "model.safetensors"),
                   in_folder(folder, "model.safetensors"), &t_err) != RS_OK)
        return NULL;
    put_text(in_folder(folder, "config.json"), config);
    return in_folder(folder, ".");
}

static bool same_logits(const exported *e)
{
    int32_t ids[N_IDS];
    rs_config *read;
    for (int i = 0; i < N_IDS; i++)
        ids[i] = 4 + i * 37 % 256;
    if (rs_config_load(e->file, &read, &t_err) != RS_OK) return false;
    float *want = logits_of(&e->rt, e->from, e->config, ids, N_IDS);
    float *got = logits_of(&e->rt, e->file, read, ids, N_IDS);
    bool same =
        want && got && memcmp(want, got, sizeof *got * N_IDS * (size_t)read->vocab) == 0;
    if (want && got && !same) rs_fail(&t_err, RS_E_BUG, "other logits");
    free(want);
    free(got);
    rs_config_free(read);
    return same;
}

/* note: a part of what is told; NULL: nothing may be told but that there is no tokenizer. */
static void folder_comes_round(const char *folder, const char *config, const char *note)
{
    exported e;
    T_OK(export_as(&e, folder, in_folder(t_folder(), "x.gguf"), RS_DTYPE_F32));
    if (!same_logits(&e)) T_FAIL("%s of %s", t_err.msg, config);
    const char *first = strchr(e.notes, '\n');
    bool alone = first && first[1] == 0 && strstr(e.notes, "no tokenizer");
    if (note ? !strstr(e.notes, note) : !alone) T_FAIL("notes: %s", e.notes);
    done(&e);
}

static void comes_round(const char *model, const char *config, const char *note)
{
    const char *folder = with_config(model, config);
    if (!folder) T_FAIL("%s", t_err.msg);
    folder_comes_round(folder, config, note);
}

/* The same of a model of random numbers. */
static void synthetic_comes_round(const char *config, const char *note)
{
    const char *folder = in_folder(t_folder(), "model");
    T_OK(synthetic_model(folder, config, &t_err));
    folder_comes_round(folder, config, note);
}

#define SIZES                                                                            \
    "\"vocab_size\":384,\"hidden_size\":32,\"intermediate_size\":64,"                    \
    "\"num_attention_heads\":4,\"rms_norm_eps\":1e-6,"
#define QWEN2                                                                            \
    "{\"model_type\":\"qwen2\",\"tie_word_embeddings\":true," SIZES                      \
    "\"num_hidden_layers\":3,\"num_key_value_heads\":2,\"rope_theta\":1e6,"
#define MISTRAL                                                                          \
    "{\"model_type\":\"mistral\",\"tie_word_embeddings\":false," SIZES                   \
    "\"num_hidden_layers\":3,\"num_key_value_heads\":2,\"head_dim\":8"
#define LLAMA                                                                            \
    "{\"model_type\":\"llama\",\"tie_word_embeddings\":false," SIZES                     \
    "\"num_hidden_layers\":3,\"num_key_value_heads\":2,\"head_dim\":16"
#define GEMMA2                                                                           \
    "{\"model_type\":\"gemma2\"," SIZES                                                  \
    "\"num_hidden_layers\":4,\"num_key_value_heads\":2,\"head_dim\":16,"                 \
    "\"query_pre_attn_scalar\":16,\"sliding_window\":8"
#define CAPS ",\"attn_logit_softcapping\":5,\"final_logit_softcapping\":12"
#define GEMMA3                                                                           \
    "{\"model_type\":\"gemma3_text\"," SIZES                                             \
    "\"num_hidden_layers\":4,\"num_key_value_heads\":1,\"head_dim\":16,"                 \
    "\"query_pre_attn_scalar\":16"
#define GEMMA4                                                                           \
    "{\"model_type\":\"gemma4_text\",\"vocab_size\":384,\"hidden_size\":40,"             \
    "\"intermediate_size\":40,\"num_attention_heads\":4,\"num_hidden_layers\":5,"        \
    "\"num_key_value_heads\":1,\"num_kv_shared_layers\":2,\"head_dim\":8,"               \
    "\"global_head_dim\":16,\"hidden_size_per_layer_input\":6,\"sliding_window\":8,"     \
    "\"vocab_size_per_layer_input\":384,\"use_double_wide_mlp\":true,"                   \
    "\"layer_types\":[" SLIDES "," SLIDES "," FULL "," SLIDES "," FULL "],"
#define FULL "\"full_attention\""
#define SLIDES "\"sliding_attention\""
#define TYPES4(a, b, c, d) ",\"layer_types\":[" a "," b "," c "," d "]"

static void sliding_layers_of_qwen(void)
{
    comes_round("qwen2",
                QWEN2 "\"sliding_window\":8,\"use_sliding_window\":true,"
                      "\"max_window_layers\":1}",
                "looks back 8 tokens");
    /* a window that no layer uses */
    comes_round("qwen2", QWEN2 "\"sliding_window\":8,\"use_sliding_window\":false}",
                NULL);
}

static void some_layers_of_mistral(void)
{
    comes_round("mistral",
                MISTRAL ",\"sliding_window\":8,\"layer_types\":[" FULL "," SLIDES "," FULL
                        "]}",
                "looks back 8 tokens");
}

static void patterns_of_gemma2(void)
{
    comes_round("gemma2", GEMMA2 CAPS "}", NULL);
    comes_round("gemma2", GEMMA2 CAPS TYPES4(FULL, SLIDES, SLIDES, SLIDES) "}",
                "the layers that slide are not all but each 2.");
    comes_round("gemma2", GEMMA2 CAPS TYPES4(FULL, FULL, FULL, FULL) "}",
                "the layers that slide");
}

static void patterns_of_gemma3(void)
{
    comes_round("gemma3", GEMMA3 ",\"sliding_window\":8}", NULL);
    comes_round("gemma3",
                GEMMA3 ",\"sliding_window\":8" TYPES4(SLIDES, FULL, SLIDES, FULL) "}",
                "the layers that slide are not all but each 6.");
    comes_round("gemma3", GEMMA3 TYPES4(FULL, FULL, FULL, FULL) "}", NULL);
}

static void caps(void)
{
    comes_round("gemma2",
                GEMMA2 ",\"attn_logit_softcapping\":null,"
                       "\"final_logit_softcapping\":12}",
                "cannot run this model");
    comes_round("gemma2",
                GEMMA2 ",\"attn_logit_softcapping\":5,"
                       "\"final_logit_softcapping\":null}",
                "cannot run this model");
    comes_round("gemma3", GEMMA3 ",\"sliding_window\":8,\"final_logit_softcapping\":3}",
                "not all llama.cpp compute caps of gemma3");
    comes_round("gemma3", GEMMA3 ",\"sliding_window\":8,\"attn_logit_softcapping\":0.5}",
                "not all llama.cpp compute caps of gemma3");
    comes_round("gemma4_e2b", GEMMA4 "\"final_logit_softcapping\":null}", NULL);
    comes_round("gemma4_e2b", GEMMA4 "\"final_logit_softcapping\":2}", NULL);
}

static void pairs_that_turn(void)
{
#define PARTIAL(factor)                                                                  \
    GEMMA4 "\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"proportional\","    \
           "\"rope_theta\":1e6,\"partial_rotary_factor\":" factor                        \
           "},\"sliding_attention\":{\"rope_type\":\"default\",\"rope_theta\":1e4}}}"
    comes_round("gemma4_e2b", PARTIAL("0.25"), NULL);
    comes_round("gemma4_e2b", PARTIAL("0.5"), NULL);
    comes_round("gemma4_e2b", PARTIAL("0.7"), NULL); /* 5 of 8 pairs */
    comes_round("gemma4_e2b", PARTIAL("0.01"), NULL);
    comes_round("gemma4_e2b", PARTIAL("1.0"), NULL);
}

static void scaling_of_llama3(void)
{
#define LLAMA3(factor, low, high, original)                                              \
    LLAMA ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":" factor               \
          ",\"low_freq_factor\":" low ",\"high_freq_factor\":" high                      \
          ",\"original_max_position_embeddings\":" original "}}"
    comes_round("llama", LLAMA3("8", "1", "4", "64"), NULL);
    comes_round("llama", LLAMA3("8", "1", "4", "1000"), NULL); /* one pair in the blend */
    comes_round("llama", LLAMA3("8", "2", "7", "64"), NULL);
    comes_round("llama", LLAMA3("3.3", "1.5", "1.6", "37"), NULL); /* none */
    comes_round("llama", LLAMA3("8", "1", "4", "100000"), NULL); /* none at the factor */
}

static void linear_scaling(void)
{
    static const char tail[] = ",\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":";
    rs_buf config = {0};
    rs_buf_printf(&config, "%s%s3}}", MISTRAL, tail);
    comes_round("mistral", rs_buf_str(&config), NULL);
    rs_buf_reset(&config);
    rs_buf_printf(&config, "%s,\"sliding_window\":8%s2.5}}", GEMMA3, tail);
    comes_round("gemma3", rs_buf_str(&config), NULL);
    rs_buf_free(&config);
}

/* By its heads alone the scale of such a file would be the largest Gemma 3's. */
static void heads_of_128(void)
{
    static const char config[] =
        "{\"model_type\":\"gemma3_text\",\"vocab_size\":300,\"hidden_size\":64,"
        "\"intermediate_size\":32,\"num_attention_heads\":2,\"num_hidden_layers\":2,"
        "\"num_key_value_heads\":1,\"head_dim\":128,\"query_pre_attn_scalar\":128,"
        "\"sliding_window\":8}";
    synthetic_comes_round(config, NULL);
}

/* Gemma 2's scale follows from hidden / heads where there are 46 layers. */
static void layers_of_the_27b(void)
{
    static const char config[] =
        "{\"model_type\":\"gemma2\",\"vocab_size\":300,\"hidden_size\":64,"
        "\"intermediate_size\":32,\"num_attention_heads\":2,\"num_hidden_layers\":46,"
        "\"num_key_value_heads\":1,\"head_dim\":16,\"query_pre_attn_scalar\":16,"
        "\"sliding_window\":8,\"attn_logit_softcapping\":5,"
        "\"final_logit_softcapping\":12}";
    synthetic_comes_round(config, "llama.cpp computes with 32");
}

static void sliding_ropes_without_a_key(void)
{
    static const char config[] =
        GEMMA3 ",\"sliding_window\":8,\"rope_parameters\":{\"full_attention\":"
               "{\"rope_type\":\"default\",\"rope_theta\":1e6},\"sliding_attention\":"
               "{\"rope_type\":\"linear\",\"factor\":2,\"rope_theta\":1e4}}}";
    exported e;
    const char *folder = with_config("gemma3", config);
    T_TRUE(folder);
    T_FAILS(export_as(&e, folder, in_folder(t_folder(), "x.gguf"), RS_DTYPE_F32),
            RS_E_UNSUPPORTED, "the sliding layers have another RoPE");
    done(&e);
}

T_MAIN(T_TEST(sliding_layers_of_qwen), T_TEST(some_layers_of_mistral),
       T_TEST(patterns_of_gemma2), T_TEST(patterns_of_gemma3), T_TEST(caps),
       T_TEST(pairs_that_turn), T_TEST(scaling_of_llama3), T_TEST(linear_scaling),
       T_TEST(heads_of_128), T_TEST(layers_of_the_27b),
       T_TEST(sliding_ropes_without_a_key))
