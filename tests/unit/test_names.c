/* Roles of tensors by their names: every prefix, towers, inert K/V, adapters, measures. */
#include "model/names.h"
#include "tests/t.h"

#include "model/family.h"

static rs_config *config_of(const char *path)
{
    rs_checkpoint *file;
    rs_config *c = NULL;
    if (rs_checkpoint_open(path, &file, &t_err) != RS_OK) exit(1);
    if (rs_config_load(file, &c, &t_err) != RS_OK) exit(1);
    rs_checkpoint_close(file);
    return c;
}

static void kinds_and_prefixes(void)
{
    static const struct {
        const char *name, *tail;
        rs_kind kind;
        int layer;
    } cases[] = {
        {"model.layers.3.mlp.up_proj.weight", "layers.3.mlp.up_proj.weight", RS_KIND_UP,
         3},
        {"model.language_model.layers.7.self_attn.q_proj.weight",
         "layers.7.self_attn.q_proj.weight", RS_KIND_Q, 7},
        {"language_model.model.layers.0.self_attn.o_proj.weight",
         "layers.0.self_attn.o_proj.weight", RS_KIND_O, 0},
        {"layers.12.mlp.down_proj.weight", "layers.12.mlp.down_proj.weight", RS_KIND_DOWN,
         12},
        {"base_model.model.model.layers.7.mlp.down_proj.lora_B.weight",
         "layers.7.mlp.down_proj.lora_B.weight", RS_KIND_DOWN, 7},
        {"base_model.model.model.language_model.layers.7.self_attn.k_proj.lora_A.weight",
         "layers.7.self_attn.k_proj.lora_A.weight", RS_KIND_K, 7},
        {"base_model.model.layers.9.self_attn.v_proj.weight.lora_A.weight",
         "layers.9.self_attn.v_proj.weight.lora_A.weight", RS_KIND_V, 9},
        {"model.layers.2.mlp.gate_proj.U", "layers.2.mlp.gate_proj.U", RS_KIND_GATE, 2},
        {"model.layers.2.mlp.gate_proj", "layers.2.mlp.gate_proj", RS_KIND_GATE, 2},
        {"model.layers.2.per_layer_input_gate.weight",
         "layers.2.per_layer_input_gate.weight", RS_KIND_PLE_GATE, 2},
        {"model.layers.2.per_layer_projection.weight",
         "layers.2.per_layer_projection.weight", RS_KIND_PLE_PROJ, 2},
        {"model.layers.2.layer_scalar", "layers.2.layer_scalar", RS_KIND_LAYER_SCALAR, 2},
        {"model.layers.2.post_per_layer_input_norm.weight",
         "layers.2.post_per_layer_input_norm.weight", RS_KIND_NORM, 2},
        {"model.layers.2.input_layernorm.weight", "layers.2.input_layernorm.weight",
         RS_KIND_NORM, 2},
        {"model.layers.2.self_attn.q_norm.weight", "layers.2.self_attn.q_norm.weight",
         RS_KIND_NORM, 2},
        {"model.layers.2.self_attn.q_proj.bias", "layers.2.self_attn.q_proj.bias",
         RS_KIND_BIAS, 2},
        {"model.norm.weight", "norm.weight", RS_KIND_NORM, -1},
        {"model.per_layer_projection_norm.weight", "per_layer_projection_norm.weight",
         RS_KIND_NORM, -1},
        {"model.embed_tokens.weight", "embed_tokens.weight", RS_KIND_EMBED, -1},
        {"base_model.model.model.embed_tokens.lora_embedding_A",
         "embed_tokens.lora_embedding_A", RS_KIND_EMBED, -1},
        {"model.language_model.embed_tokens_per_layer.weight",
         "embed_tokens_per_layer.weight", RS_KIND_PLE_EMBED, -1},
        {"model.per_layer_model_projection.weight", "per_layer_model_projection.weight",
         RS_KIND_PLE_MODEL_PROJ, -1},
        {"lm_head.weight", "lm_head.weight", RS_KIND_HEAD, -1},
        {"language_model.lm_head.weight", "lm_head.weight", RS_KIND_HEAD, -1},
        {"model.rotary.inv_freq", "rotary.inv_freq", RS_KIND_OTHER, -1},
        {"model.layers.x.mlp.up_proj.weight", "layers.x.mlp.up_proj.weight",
         RS_KIND_OTHER, -1},
        {"", "", RS_KIND_OTHER, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rs_role r = rs_role_of(NULL, cases[i].name);
        if (r.kind != cases[i].kind || r.layer != cases[i].layer || r.inert)
            T_FAIL("%s: %s of layer %d", cases[i].name, rs_kind_name(r.kind), r.layer);
        T_STR(r.tail, cases[i].tail);
    }
}

static void towers(void)
{
    static const char *const names[] = {
        "model.vision_tower.encoder.layers.3.self_attn.q_proj.linear.weight",
        "model.audio_tower.layers.0.lconv1d.linear_start.input_max",
        "model.embed_vision.embedding_projection.weight",
        "model.embed_audio.embedding_projection.weight",
        "vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight",
        "base_model.model.model.vision_tower.encoder.layers.0.mlp.up_proj.lora_A.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        rs_role r = rs_role_of(NULL, names[i]);
        T_TRUE(r.kind == RS_KIND_TOWER && r.layer == -1);
    }
}

static void inert_and_checked(void)
{
    rs_config *c = config_of("recipes/sparring/it");
    T_TRUE(rs_role_of(c, "model.layers.6.self_attn.k_proj.weight").inert);
    T_TRUE(rs_role_of(c, "model.layers.7.self_attn.v_proj.weight").inert);
    T_TRUE(rs_role_of(c, "model.layers.7.self_attn.k_norm.weight").inert);
    T_TRUE(rs_role_of(c, "model.layers.6.self_attn.k_proj.lora_A.weight").inert);
    T_TRUE(!rs_role_of(c, "model.layers.6.self_attn.q_proj.weight").inert);
    T_TRUE(!rs_role_of(c, "model.layers.6.self_attn.q_norm.weight").inert);
    T_TRUE(!rs_role_of(c, "model.layers.5.self_attn.k_proj.weight").inert);
    T_TRUE(!rs_role_of(NULL, "model.layers.6.self_attn.k_proj.weight").inert);
    rs_role beyond = rs_role_of(c, "model.layers.8.mlp.up_proj.weight");
    T_TRUE(beyond.kind == RS_KIND_OTHER && beyond.layer == -1);
    rs_config_free(c);
}

static void names_of_kinds(void)
{
    for (int k = 0; k < RS_N_KINDS; k++) {
        rs_kind back;
        T_TRUE(rs_kind_from_name(rs_kind_name((rs_kind)k), &back) && back == (rs_kind)k);
        T_EQ(rs_kind_letter((rs_kind)k) != 0, k < RS_N_LAYER_KINDS);
        T_TRUE(rs_kind_short((rs_kind)k)[0] != 0);
    }
    rs_kind none;
    T_TRUE(!rs_kind_from_name("q", &none));
    T_TRUE(rs_kind_letter(RS_KIND_PLE_GATE) == 'G' &&
           rs_kind_letter(RS_KIND_PLE_PROJ) == 'P');
}

static void what_a_config_has(void)
{
    rs_config *g4 = config_of("recipes/sparring/it");
    rs_config *g3 = config_of("tests/golden/models/gemma3");
    T_TRUE(rs_config_has(g4, 5, RS_KIND_K) && !rs_config_has(g4, 6, RS_KIND_K));
    T_TRUE(!rs_config_has(g4, 7, RS_KIND_V) && rs_config_has(g4, 7, RS_KIND_Q));
    T_TRUE(rs_config_has(g4, 0, RS_KIND_PLE_GATE) &&
           !rs_config_has(g3, 0, RS_KIND_PLE_GATE));
    T_TRUE(rs_config_has(g4, -1, RS_KIND_PLE_EMBED) &&
           !rs_config_has(g3, -1, RS_KIND_PLE_EMBED));
    T_TRUE(rs_config_has(g4, 0, RS_KIND_LAYER_SCALAR));
    T_TRUE(!rs_config_has(g3, 0, RS_KIND_LAYER_SCALAR));
    T_TRUE(rs_config_has(g3, -1, RS_KIND_EMBED) && !rs_config_has(g3, -1, RS_KIND_HEAD));
    T_TRUE(rs_config_has(g3, 0, RS_KIND_NORM) && !rs_config_has(g3, 4, RS_KIND_Q));
    rs_config_free(g4);
    rs_config_free(g3);
}

/* Every text tensor of the fixtures that is not inert has a slot, and nothing else has. */
static void slots_of_files(void)
{
    static const char *const models[] = {"gemma3", "gemma4_e2b", "gemma4_e4b",
                                         "gemma4_v64", "gemma4_e4b_mm"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        char path[128];
        rs_checkpoint *file;
        snprintf(path, sizeof path, "models/%s", models[i]);
        T_OK(rs_checkpoint_open(t_golden(path), &file, &t_err));
        rs_config *c = config_of(t_golden(path));
        for (int t = 0; t < rs_checkpoint_count(file); t++) {
            const rs_tensor *tensor = rs_checkpoint_at(file, t);
            int layer;
            rs_role role = rs_role_of(c, tensor->name);
            bool live = role.kind != RS_KIND_TOWER && !role.inert;
            if ((rs_slot_of(c, tensor->name, &layer) != NULL) != live)
                T_FAIL("%s: %s", models[i], tensor->name);
        }
        rs_config_free(c);
        rs_checkpoint_close(file);
    }
}

T_MAIN(T_TEST(kinds_and_prefixes), T_TEST(towers), T_TEST(inert_and_checked),
       T_TEST(names_of_kinds), T_TEST(what_a_config_has), T_TEST(slots_of_files))
