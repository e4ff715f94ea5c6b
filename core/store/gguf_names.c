/* GGUF's tensor names and Hugging Face's, one table per architecture. */
#include "store/gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct name_pair {
    const char *gguf; /* in a block: what follows "blk.N." */
    const char *hf;   /* in a block: what follows "model.layers.N." */
} name_pair;

typedef struct arch {
    const char *name;
    float norm_shift; /* added to every norm */
    const name_pair *globals, *blocks;
} arch;

// clang-format off
static const name_pair plain_globals[] = {
    {"token_embd.weight",  "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight",      "lm_head.weight"},
    {NULL, NULL},
};

/* Gemma 2 has no norms of heads; what follows post_ffw_norm is Gemma 4's. */
static const name_pair gemma_blocks[] = {
    {"attn_norm.weight",           "input_layernorm.weight"},
    {"attn_q.weight",              "self_attn.q_proj.weight"},
    {"attn_k.weight",              "self_attn.k_proj.weight"},
    {"attn_v.weight",              "self_attn.v_proj.weight"},
    {"attn_output.weight",         "self_attn.o_proj.weight"},
    {"attn_q_norm.weight",         "self_attn.q_norm.weight"},
    {"attn_k_norm.weight",         "self_attn.k_norm.weight"},
    {"post_attention_norm.weight", "post_attention_layernorm.weight"},
    {"ffn_norm.weight",            "pre_feedforward_layernorm.weight"},
    {"ffn_gate.weight",            "mlp.gate_proj.weight"},
    {"ffn_up.weight",              "mlp.up_proj.weight"},
    {"ffn_down.weight",            "mlp.down_proj.weight"},
    {"post_ffw_norm.weight",       "post_feedforward_layernorm.weight"},
    {"inp_gate.weight",            "per_layer_input_gate.weight"},
    {"proj.weight",                "per_layer_projection.weight"},
    {"post_norm.weight",           "post_per_layer_input_norm.weight"},
    {"layer_output_scale.weight",  "layer_scalar"},
    {NULL, NULL},
};

/* Two norms a layer and nothing else: a file with biases is another model. */
static const name_pair llama_blocks[] = {
    {"attn_norm.weight",   "input_layernorm.weight"},
    {"attn_q.weight",      "self_attn.q_proj.weight"},
    {"attn_k.weight",      "self_attn.k_proj.weight"},
    {"attn_v.weight",      "self_attn.v_proj.weight"},
    {"attn_output.weight", "self_attn.o_proj.weight"},
    {"ffn_norm.weight",    "post_attention_layernorm.weight"},
    {"ffn_gate.weight",    "mlp.gate_proj.weight"},
    {"ffn_up.weight",      "mlp.up_proj.weight"},
    {"ffn_down.weight",    "mlp.down_proj.weight"},
    {NULL, NULL},
};

/* The same; the biases are Qwen 2's, the norms of heads Qwen 3's. */
static const name_pair qwen_blocks[] = {
    {"attn_norm.weight",   "input_layernorm.weight"},
    {"attn_q.weight",      "self_attn.q_proj.weight"},
    {"attn_k.weight",      "self_attn.k_proj.weight"},
    {"attn_v.weight",      "self_attn.v_proj.weight"},
    {"attn_q.bias",        "self_attn.q_proj.bias"},
    {"attn_k.bias",        "self_attn.k_proj.bias"},
    {"attn_v.bias",        "self_attn.v_proj.bias"},
    {"attn_output.weight", "self_attn.o_proj.weight"},
    {"attn_q_norm.weight", "self_attn.q_norm.weight"},
    {"attn_k_norm.weight", "self_attn.k_norm.weight"},
    {"ffn_norm.weight",    "post_attention_layernorm.weight"},
    {"ffn_gate.weight",    "mlp.gate_proj.weight"},
    {"ffn_up.weight",      "mlp.up_proj.weight"},
    {"ffn_down.weight",    "mlp.down_proj.weight"},
    {NULL, NULL},
};

static const name_pair gemma4_globals[] = {
    {"token_embd.weight",           "model.embed_tokens.weight"},
    {"output_norm.weight",          "model.norm.weight"},
    {"output.weight",               "lm_head.weight"},
    {"per_layer_token_embd.weight", "model.embed_tokens_per_layer.weight"},
    {"per_layer_model_proj.weight", "model.per_layer_model_projection.weight"},
    {"per_layer_proj_norm.weight",  "model.per_layer_projection_norm.weight"},
    {NULL, NULL},
};

static const arch archs[] = {
    {"gemma2", -1, plain_globals,  gemma_blocks},
    {"gemma3", -1, plain_globals,  gemma_blocks},
    {"gemma4",  0, gemma4_globals, gemma_blocks},
    {"llama",   0, plain_globals,  llama_blocks},
    {"qwen2",   0, plain_globals,  qwen_blocks},
    {"qwen3",   0, plain_globals,  qwen_blocks},
};
// clang-format on

static const arch *find_arch(const char *name)
{
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++)
        if (strcmp(archs[i].name, name) == 0) return &archs[i];
    return NULL;
}

bool rs_gguf_arch_is_known(const char *name)
{
    return find_arch(name) != NULL;
}

bool rs_gguf_is_table(const char *stored)
{
    return strcmp(stored, "rope_freqs.weight") == 0;
}

static const char *look_up(const name_pair *table, const char *gguf)
{
    for (; table->gguf; table++)
        if (strcmp(table->gguf, gguf) == 0) return table->hf;
    return NULL;
}

static bool is_norm(const char *stored)
{
    static const char end[] = "norm.weight";
    size_t n = strlen(stored), m = sizeof end - 1;
    return n >= m && strcmp(stored + n - m, end) == 0;
}

/* "blk.12.attn_q.weight": the tail, and the number as it is written. */
static const char *block_tail(const char *stored, int *n_digits)
{
    if (strncmp(stored, "blk.", 4) != 0) return NULL;
    *n_digits = (int)strspn(stored + 4, "0123456789");
    bool is_number = *n_digits >= 1 && *n_digits <= 4 && stored[4 + *n_digits] == '.' &&
                     (stored[4] != '0' || *n_digits == 1); /* else two names of one */
    return is_number ? stored + 4 + *n_digits + 1 : NULL;
}

bool rs_gguf_hf_name(const char *arch_name, const char *stored, char *dst, size_t n,
                     float *shift)
{
    const arch *a = find_arch(arch_name);
    if (!a) return false;
    int n_digits, len;
    const char *tail = block_tail(stored, &n_digits);
    const char *hf = look_up(tail ? a->blocks : a->globals, tail ? tail : stored);
    if (!hf) return false;
    if (tail)
        len = snprintf(dst, n, "model.layers.%.*s.%s", n_digits, stored + 4, hf);
    else
        len = snprintf(dst, n, "%s", hf);
    *shift = is_norm(stored) ? a->norm_shift : 0;
    return len > 0 && (size_t)len < n;
}

/* ---- the other way ---- */

static const char *look_back(const name_pair *table, const char *hf)
{
    for (; table->gguf; table++) {
        const char *name = table->hf;
        if (strncmp(name, "model.", 6) == 0) name += 6;
        if (strcmp(name, hf) == 0) return table->gguf;
    }
    return NULL;
}

bool rs_gguf_stored_name(const char *arch_name, int layer, const char *tail, char *dst,
                         size_t n, float *shift)
{
    const arch *a = find_arch(arch_name);
    const char *name = a ? look_back(layer < 0 ? a->globals : a->blocks, tail) : NULL;
    if (!name) return false;
    int len = layer < 0 ? snprintf(dst, n, "%s", name)
                        : snprintf(dst, n, "blk.%d.%s", layer, name);
    *shift = is_norm(name) ? -a->norm_shift : 0;
    return len > 0 && (size_t)len < n;
}
