#include "model/family.h"

#include "model/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define IN_LAYER(field) offsetof(rs_layer_weights, field)
#define IN_MODEL(field) offsetof(rs_model, field)
#define MATRIX(tail, when, rows, cols, at)                                               \
    {                                                                                    \
        tail, RS_FORM_MATRIX, RS_WHEN_##when, RS_SIZE_##rows, RS_SIZE_##cols, at         \
    }
#define NORM(tail, when, n, at)                                                          \
    {                                                                                    \
        tail, RS_FORM_NORM, RS_WHEN_##when, RS_SIZE_##n, RS_SIZE_NONE, at                \
    }
#define BIAS(tail, when, n, at)                                                          \
    {                                                                                    \
        tail, RS_FORM_BIAS, RS_WHEN_##when, RS_SIZE_##n, RS_SIZE_NONE, at                \
    }
#define SCALAR(tail, when, at)                                                           \
    {                                                                                    \
        tail, RS_FORM_SCALAR, RS_WHEN_##when, RS_SIZE_ONE, RS_SIZE_NONE, at              \
    }
#define SLOTS_END                                                                        \
    {                                                                                    \
        NULL, RS_FORM_MATRIX, RS_WHEN_ALWAYS, RS_SIZE_NONE, RS_SIZE_NONE, 0              \
    }

// clang-format off
#define LINEARS                                                                          \
    MATRIX("self_attn.q_proj.weight", ALWAYS, QUERIES, HIDDEN, IN_LAYER(q)),             \
    MATRIX("self_attn.k_proj.weight", OWN_KV, KEYS, HIDDEN, IN_LAYER(k)),                \
    MATRIX("self_attn.v_proj.weight", OWN_KV, KEYS, HIDDEN, IN_LAYER(v)),                \
    MATRIX("self_attn.o_proj.weight", ALWAYS, HIDDEN, QUERIES, IN_LAYER(o)),             \
    MATRIX("mlp.gate_proj.weight", ALWAYS, MLP, HIDDEN, IN_LAYER(gate)),                 \
    MATRIX("mlp.up_proj.weight", ALWAYS, MLP, HIDDEN, IN_LAYER(up)),                     \
    MATRIX("mlp.down_proj.weight", ALWAYS, HIDDEN, MLP, IN_LAYER(down))

#define HEAD_NORMS                                                                       \
    NORM("self_attn.q_norm.weight", ALWAYS, HEAD, IN_LAYER(q_norm)),                     \
    NORM("self_attn.k_norm.weight", OWN_KV, HEAD, IN_LAYER(k_norm))

/* Norms before and after each block, or (most families) before it only. */
#define FOUR_NORMS                                                                       \
    NORM("input_layernorm.weight", ALWAYS, HIDDEN, IN_LAYER(input_norm)),                \
    NORM("post_attention_layernorm.weight", ALWAYS, HIDDEN, IN_LAYER(post_attn_norm)),   \
    NORM("pre_feedforward_layernorm.weight", ALWAYS, HIDDEN, IN_LAYER(pre_mlp_norm)),    \
    NORM("post_feedforward_layernorm.weight", ALWAYS, HIDDEN, IN_LAYER(post_mlp_norm))

#define TWO_NORMS                                                                        \
    NORM("input_layernorm.weight", ALWAYS, HIDDEN, IN_LAYER(input_norm)),                \
    NORM("post_attention_layernorm.weight", ALWAYS, HIDDEN, IN_LAYER(pre_mlp_norm))

#define MODEL                                                                            \
    MATRIX("embed_tokens.weight", ALWAYS, VOCAB, HIDDEN, IN_MODEL(embed)),               \
    MATRIX("lm_head.weight", UNTIED, VOCAB, HIDDEN, IN_MODEL(head)),                     \
    NORM("norm.weight", ALWAYS, HIDDEN, IN_MODEL(final_norm))

static const rs_slot plain_model[] = {MODEL, SLOTS_END};
static const rs_slot llama_layer[] = {LINEARS, TWO_NORMS, SLOTS_END};
static const rs_slot qwen3_layer[] = {LINEARS, HEAD_NORMS, TWO_NORMS, SLOTS_END};
static const rs_slot gemma2_layer[] = {LINEARS, FOUR_NORMS, SLOTS_END};
static const rs_slot gemma3_layer[] = {LINEARS, HEAD_NORMS, FOUR_NORMS, SLOTS_END};

static const rs_slot qwen2_layer[] = {
    LINEARS, TWO_NORMS,
    BIAS("self_attn.q_proj.bias", ALWAYS, QUERIES, IN_LAYER(q_bias)),
    BIAS("self_attn.k_proj.bias", OWN_KV, KEYS, IN_LAYER(k_bias)),
    BIAS("self_attn.v_proj.bias", OWN_KV, KEYS, IN_LAYER(v_bias)),
    SLOTS_END
};

static const rs_slot gemma4_layer[] = {
    LINEARS, HEAD_NORMS, FOUR_NORMS,
    MATRIX("per_layer_input_gate.weight", PLE, PLE, HIDDEN, IN_LAYER(ple_gate)),
    MATRIX("per_layer_projection.weight", PLE, HIDDEN, PLE, IN_LAYER(ple_proj)),
    NORM("post_per_layer_input_norm.weight", PLE, HIDDEN, IN_LAYER(ple_norm)),
    SCALAR("layer_scalar", ALWAYS, IN_LAYER(layer_scalar)),
    SLOTS_END
};

static const rs_slot gemma4_model[] = {
    MODEL,
    MATRIX("embed_tokens_per_layer.weight", PLE, PLE_VOCAB, PLE_ALL, IN_MODEL(ple_embed)),
    MATRIX("per_layer_model_projection.weight", PLE, PLE_ALL, HIDDEN, IN_MODEL(ple_model_proj)),
    NORM("per_layer_projection_norm.weight", PLE, PLE, IN_MODEL(ple_norm)),
    SLOTS_END
};

static const char *const qwen2_off[] = {"mlp_bias", "attn_logit_softcapping",
                                        "final_logit_softcapping", NULL};
static const char *const plain_off[] = {"attention_bias", "mlp_bias",
                                        "attn_logit_softcapping",
                                        "final_logit_softcapping", NULL};
static const char *const no_bias[] = {"attention_bias", "mlp_bias", NULL}; /* gemma2, 3 */
static const char *const gemma4_off[] = {"attention_bias", "attention_k_eq_v",
                                         "enable_moe_block", "attn_logit_softcapping",
                                         NULL};

static const char *const gelu_tanh[] = {"gelu_pytorch_tanh", NULL};
static const char *const silu[] = {"silu", "swish", NULL};

static const rs_family families[] = {
    {
        .name = "gemma4", .model_type = "gemma4_text", .wrapper = "gemma4", .chat = "gemma4",
        .activation_key = "hidden_activation", .activations = gelu_tanh, .activation = RS_ACT_GELU_TANH,
        .norm = RS_NORM_W, .score = RS_SCORE_ONE, .scales_embedding = true, .v_norm = true,
        .full_every = 6, .last_is_full = true,
        .head_dim = 256, .global_head_dim = 512, .tied_head = true,
        .full_rope = {RS_ROPE_PROPORTIONAL, 1e6, 0.25, "rope_theta"},
        .sliding_rope = {RS_ROPE_DEFAULT, 1e4, 1, "rope_local_base_freq"},
        .rope_types = 1u << RS_ROPE_DEFAULT | 1u << RS_ROPE_PROPORTIONAL,
        .must_be_off = gemma4_off,
        .layer_slots = gemma4_layer, .model_slots = gemma4_model,
    },
    {
        .name = "gemma3", .model_type = "gemma3_text", .wrapper = "gemma3", .chat = "gemma3",
        .activation_key = "hidden_activation", .activations = gelu_tanh, .activation = RS_ACT_GELU_TANH,
        .norm = RS_NORM_ONE_PLUS_W, .score = RS_SCORE_QUERY_SCALAR, .scales_embedding = true,
        .full_every = 6,
        .head_dim = 256, .tied_head = true,
        .full_rope = {RS_ROPE_DEFAULT, 1e6, 1, "rope_theta"},
        .sliding_rope = {RS_ROPE_DEFAULT, 1e4, 1, "rope_local_base_freq"},
        .rope_types = 1u << RS_ROPE_DEFAULT | 1u << RS_ROPE_LINEAR,
        .must_be_off = no_bias,
        .layer_slots = gemma3_layer, .model_slots = plain_model,
    },
    {
        .name = "gemma2", .model_type = "gemma2", .chat = "gemma2",
        .activation_key = "hidden_activation", .activations = gelu_tanh, .activation = RS_ACT_GELU_TANH,
        .norm = RS_NORM_ONE_PLUS_W, .score = RS_SCORE_QUERY_SCALAR, .scales_embedding = true,
        .full_every = 2,
        .head_dim = 256, .tied_head = true,
        .one_rope = true, .full_rope = {RS_ROPE_DEFAULT, 1e4, 1, "rope_theta"},
        .rope_types = 1u << RS_ROPE_DEFAULT,
        .must_be_off = no_bias,
        .layer_slots = gemma2_layer, .model_slots = plain_model,
    },
    {
        .name = "llama", .model_type = "llama", .chat = "llama3",
        .activation_key = "hidden_act", .activations = silu, .activation = RS_ACT_SILU,
        .norm = RS_NORM_W, .score = RS_SCORE_HEAD_DIM,
        .slides = RS_SLIDES_NEVER,
        .one_rope = true, .full_rope = {RS_ROPE_DEFAULT, 1e4, 1, "rope_theta"},
        .rope_types = 1u << RS_ROPE_DEFAULT | 1u << RS_ROPE_LINEAR | 1u << RS_ROPE_LLAMA3,
        .must_be_off = plain_off,
        .layer_slots = llama_layer, .model_slots = plain_model,
    },
    {
        .name = "mistral", .model_type = "mistral", .chat = "mistral",
        .activation_key = "hidden_act", .activations = silu, .activation = RS_ACT_SILU,
        .norm = RS_NORM_W, .score = RS_SCORE_HEAD_DIM,
        .slides = RS_SLIDES_IF_WINDOW,
        .one_rope = true, .full_rope = {RS_ROPE_DEFAULT, 1e4, 1, "rope_theta"},
        .rope_types = 1u << RS_ROPE_DEFAULT | 1u << RS_ROPE_LINEAR,
        .must_be_off = plain_off,
        .layer_slots = llama_layer, .model_slots = plain_model,
    },
    {
        .name = "qwen2", .model_type = "qwen2", .chat = "chatml",
        .activation_key = "hidden_act", .activations = silu, .activation = RS_ACT_SILU,
        .norm = RS_NORM_W, .score = RS_SCORE_HEAD_DIM,
        .slides = RS_SLIDES_IF_ASKED,
        .one_rope = true, .full_rope = {RS_ROPE_DEFAULT, 1e6, 1, "rope_theta"},
        .rope_types = 1u << RS_ROPE_DEFAULT | 1u << RS_ROPE_LINEAR,
        .must_be_off = qwen2_off,
        .layer_slots = qwen2_layer, .model_slots = plain_model,
    },
    {
        .name = "qwen3", .model_type = "qwen3", .chat = "chatml",
        .activation_key = "hidden_act", .activations = silu, .activation = RS_ACT_SILU,
        .norm = RS_NORM_W, .score = RS_SCORE_HEAD_DIM,
        .slides = RS_SLIDES_IF_ASKED, .head_dim = 128,
        .one_rope = true, .full_rope = {RS_ROPE_DEFAULT, 1e6, 1, "rope_theta"},
        .rope_types = 1u << RS_ROPE_DEFAULT | 1u << RS_ROPE_LINEAR,
        .must_be_off = plain_off,
        .layer_slots = qwen3_layer, .model_slots = plain_model,
    },
};
// clang-format on

static const char *const rope_names[RS_N_ROPE_TYPES] = {
    [RS_ROPE_DEFAULT] = "default",
    [RS_ROPE_LINEAR] = "linear",
    [RS_ROPE_PROPORTIONAL] = "proportional",
    [RS_ROPE_LLAMA3] = "llama3",
};

const rs_family *rs_family_of_type(const char *model_type, bool *is_wrapper)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        const rs_family *f = &families[i];
        *is_wrapper = f->wrapper && strcmp(model_type, f->wrapper) == 0;
        if (*is_wrapper || strcmp(model_type, f->model_type) == 0) return f;
    }
    return NULL;
}

const char *rs_family_names(void)
{
    return "gemma4_text, gemma3_text, gemma2, llama, mistral, qwen2 and qwen3";
}

const char *rs_rope_type_name(rs_rope_type t)
{
    return rope_names[t];
}

bool rs_rope_type_from_name(const char *name, rs_rope_type *out)
{
    for (int t = 0; t < RS_N_ROPE_TYPES; t++)
        if (strcmp(name, rope_names[t]) == 0) return *out = (rs_rope_type)t, true;
    return false;
}

bool rs_slot_needed(const rs_config *c, int layer, const rs_slot *s)
{
    switch (s->when) {
    case RS_WHEN_OWN_KV:
        return !c->layers[layer].is_sharer;
    case RS_WHEN_PLE:
        return c->ple_width > 0;
    case RS_WHEN_UNTIED:
        return !c->tied_head;
    case RS_WHEN_ALWAYS:
        break;
    }
    return true;
}

static const rs_slot *find(const rs_slot *slots, const char *tail)
{
    for (; slots->tail; slots++)
        if (strcmp(slots->tail, tail) == 0) return slots;
    return NULL;
}

const rs_slot *rs_family_slots(const rs_config *c, int layer)
{
    return layer < 0 ? c->family->model_slots : c->family->layer_slots;
}

const rs_slot *rs_slot_at(const rs_config *c, int layer, size_t offset)
{
    for (const rs_slot *s = rs_family_slots(c, layer); s->tail; s++)
        if (s->offset == offset) return s;
    return NULL;
}

size_t rs_slot_index(const rs_config *c, int layer, const rs_slot *s)
{
    size_t row = (size_t)(layer < 0 ? c->n_layers : layer);
    return row * RS_MAX_SLOTS + (size_t)(s - rs_family_slots(c, layer));
}

/* Skips "layers.N.", which rs_role_of has found to be there. */
static const char *after_layer(const char *tail)
{
    tail = strchr(tail, '.');
    tail = tail ? strchr(tail + 1, '.') : NULL;
    return tail ? tail + 1 : "";
}

const rs_slot *rs_slot_of(const rs_config *c, const char *name, int *layer)
{
    rs_role role = rs_role_of(c, name);
    *layer = role.layer;
    if (role.kind == RS_KIND_TOWER || role.inert) return NULL;
    const rs_slot *s = find(rs_family_slots(c, role.layer),
                            role.layer < 0 ? role.tail : after_layer(role.tail));
    return s && rs_slot_needed(c, role.layer, s) ? s : NULL;
}

int64_t rs_slot_size(const rs_config *c, int layer, rs_size size)
{
    const rs_layer_config *l = layer < 0 ? NULL : &c->layers[layer];
    switch (size) {
    case RS_SIZE_NONE:
    case RS_SIZE_ONE:
        return 1;
    case RS_SIZE_HIDDEN:
        return c->hidden;
    case RS_SIZE_HEAD:
        return l ? l->head_dim : 0;
    case RS_SIZE_QUERIES:
        return l ? (int64_t)c->n_heads * l->head_dim : 0;
    case RS_SIZE_KEYS:
        return l ? (int64_t)l->n_kv_heads * l->head_dim : 0;
    case RS_SIZE_MLP:
        return l ? l->intermediate : 0;
    case RS_SIZE_PLE:
        return c->ple_width;
    case RS_SIZE_PLE_ALL:
        return (int64_t)c->ple_width * c->n_layers;
    case RS_SIZE_VOCAB:
        return c->vocab;
    case RS_SIZE_PLE_VOCAB:
        return c->ple_vocab;
    }
    return 0;
}

static void describe(char *dst, size_t n, int n_dims, const int64_t *dim)
{
    size_t at = 0;
    dst[0] = 0;
    for (int i = 0; i < n_dims && at < n; i++)
        at += (size_t)snprintf(dst + at, n - at, "%s%" PRId64, i ? ", " : "", dim[i]);
}

rs_status rs_slot_check(const rs_config *c, int layer, const rs_slot *s, const char *name,
                        int n_dims, const int64_t *dim, rs_err *err)
{
    int64_t want[2] = {rs_slot_size(c, layer, s->rows), rs_slot_size(c, layer, s->cols)};
    int n_want = s->form == RS_FORM_MATRIX ? 2 : 1;
    bool fits =
        n_dims == n_want && dim[0] == want[0] && (n_want < 2 || dim[1] == want[1]);
    if (s->form == RS_FORM_SCALAR && n_dims == 0) fits = true;
    if (fits) return RS_OK;
    char have[128], need[64];
    describe(have, sizeof have, n_dims, dim);
    describe(need, sizeof need, n_want, want);
    return rs_fail(err, RS_E_MISMATCH,
                   "%s has the shape [%s], but the config asks for [%s]", name, have,
                   need);
}
