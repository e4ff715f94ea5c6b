/* gguf_model.h - a Hugging Face fixture as a GGUF, by llama.cpp's names and rules, which are
 * written here once more and not taken from the library. */
#ifndef GGUF_MODEL_H
#define GGUF_MODEL_H

#include "model/config.h"
#include "tests/gguf_build.h"
#include "tests/t.h"

typedef struct gm_pair {
    const char *hf, *gguf;
} gm_pair;

static const gm_pair gm_names[] = {
    {"input_layernorm.weight", "attn_norm.weight"},
    {"self_attn.q_proj.weight", "attn_q.weight"},
    {"self_attn.k_proj.weight", "attn_k.weight"},
    {"self_attn.v_proj.weight", "attn_v.weight"},
    {"self_attn.q_proj.bias", "attn_q.bias"},
    {"self_attn.k_proj.bias", "attn_k.bias"},
    {"self_attn.v_proj.bias", "attn_v.bias"},
    {"self_attn.o_proj.weight", "attn_output.weight"},
    {"self_attn.q_norm.weight", "attn_q_norm.weight"},
    {"self_attn.k_norm.weight", "attn_k_norm.weight"},
    {"mlp.gate_proj.weight", "ffn_gate.weight"},
    {"mlp.up_proj.weight", "ffn_up.weight"},
    {"mlp.down_proj.weight", "ffn_down.weight"},
    {"pre_feedforward_layernorm.weight", "ffn_norm.weight"},
    {"post_feedforward_layernorm.weight", "post_ffw_norm.weight"},
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
};

/* gemma2's norm after attention is a norm before the MLP elsewhere. */
UNUSED void gm_name(const char *hf, bool gemma, char dst[96])
{
    int layer = 0, n = 0;
    bool in_layer = sscanf(hf, "model.layers.%d.%n", &layer, &n) == 1 && n > 0;
    const char *tail = in_layer ? hf + n : hf;
    dst[0] = 0;
    if (strcmp(tail, "post_attention_layernorm.weight") == 0)
        snprintf(dst, 96, "blk.%d.%s", layer,
                 gemma ? "post_attention_norm.weight" : "ffn_norm.weight");
    for (size_t i = 0; i < sizeof gm_names / sizeof *gm_names && !dst[0]; i++)
        if (strcmp(gm_names[i].hf, tail) == 0)
            snprintf(dst, 96, in_layer ? "blk.%d.%s" : "%.0d%s", in_layer ? layer : 0,
                     gm_names[i].gguf);
}

/* Architecture llama: the rows of each head, (2, head/2), become (head/2, 2). */
UNUSED void gm_pair_rows(float *x, const rs_tensor *t, int64_t heads)
{
    int64_t cols = t->dim[1], half = t->dim[0] / heads / 2;
    float *from = malloc((size_t)t->n_elements * sizeof *from);
    memcpy(from, x, (size_t)t->n_elements * sizeof *from);
    for (int64_t h = 0; h < heads; h++)
        for (int64_t side = 0; side < 2; side++)
            for (int64_t p = 0; p < half; p++)
                memcpy(x + ((h * half + p) * 2 + side) * cols,
                       from + ((h * 2 + side) * half + p) * cols,
                       (size_t)cols * sizeof *x);
    free(from);
}

/* heads: of q and k, where their rows are stored in pairs; else NULL. */
UNUSED void gm_tensors(gguf_build *g, const rs_checkpoint *c, bool gemma,
                       const int heads[2])
{
    for (int i = 0; i < rs_checkpoint_count(c); i++) {
        const rs_tensor *t = rs_checkpoint_at(c, i);
        char name[96];
        gm_name(t->name, gemma, name);
        T_TRUE(name[0] != 0);
        float *x = malloc((size_t)t->n_elements * sizeof *x);
        T_OK(rs_checkpoint_read_f32(c, t, 0, t->n_elements, x, &t_err));
        bool norm = strstr(name, "norm.weight") != NULL;
        for (int64_t k = 0; norm && gemma && k < t->n_elements; k++)
            x[k] += 1;
        if (heads && strstr(name, "attn_q.weight")) gm_pair_rows(x, t, heads[0]);
        if (heads && strstr(name, "attn_k.weight")) gm_pair_rows(x, t, heads[1]);
        gb_tensor(g, name, RS_DTYPE_F32, t->n_dims == 2 ? (uint64_t)t->dim[0] : 0,
                  (uint64_t)t->dim[t->n_dims - 1], x, (size_t)t->n_elements * sizeof *x);
        free(x);
    }
}

UNUSED void gm_int(gguf_build *g, const char *arch, const char *name, uint32_t v)
{
    char full[96];
    snprintf(full, sizeof full, "%s.%s", arch, name);
    gb_int(g, full, v);
}

UNUSED void gm_float(gguf_build *g, const char *arch, const char *name, double v)
{
    char full[96];
    snprintf(full, sizeof full, "%s.%s", arch, name);
    gb_float(g, full, (float)v);
}

UNUSED void gm_keys(gguf_build *g, const char *arch, const rs_config *c)
{
    gb_string(g, "general.architecture", arch);
    gm_int(g, arch, "block_count", (uint32_t)c->n_layers);
    gm_int(g, arch, "embedding_length", (uint32_t)c->hidden);
    gm_int(g, arch, "context_length", (uint32_t)c->max_positions);
    gm_int(g, arch, "feed_forward_length", (uint32_t)c->layers[0].intermediate);
    gm_int(g, arch, "attention.head_count", (uint32_t)c->n_heads);
    gm_int(g, arch, "attention.head_count_kv", (uint32_t)c->layers[0].n_kv_heads);
    gm_int(g, arch, "attention.key_length", (uint32_t)c->layers[0].head_dim);
    if (c->sliding_window)
        gm_int(g, arch, "attention.sliding_window", (uint32_t)c->sliding_window);
    gm_float(g, arch, "attention.layer_norm_rms_epsilon", c->rms_eps);
    gm_float(g, arch, "rope.freq_base", c->layers[0].rope_theta);
    if (c->attn_softcap > 0) gm_float(g, arch, "attn_logit_softcapping", c->attn_softcap);
    if (c->final_softcap > 0)
        gm_float(g, arch, "final_logit_softcapping", c->final_softcap);
}

/* What converters store of Llama 3's scaling: each pair's divisor. */
UNUSED void gm_divisors(gguf_build *g, const rs_layer_config *l)
{
    float divisor[64];
    int n = l->head_dim / 2;
    for (int i = 0; i < n; i++) {
        double wave = 2 * M_PI * pow(l->rope_theta, 2.0 * i / l->head_dim);
        double smooth =
            (l->rope_original / wave - l->rope_low) / (l->rope_high - l->rope_low);
        divisor[i] = wave < l->rope_original / l->rope_high ? 1
                     : wave > l->rope_original / l->rope_low
                         ? (float)l->rope_factor
                         : (float)(1 / ((1 - smooth) / l->rope_factor + smooth));
    }
    gb_tensor(g, "rope_freqs.weight", RS_DTYPE_F32, 0, (uint64_t)n, divisor,
              (size_t)n * sizeof *divisor);
}

/* Keys and tensors (float32). kind: how GGUF calls the architecture. */
UNUSED void gm_model(gguf_build *g, const char *kind, const rs_checkpoint *hf,
                     const rs_config *config)
{
    const rs_layer_config *l = &config->layers[0];
    int heads[2] = {config->n_heads, l->n_kv_heads};
    bool gemma = strncmp(kind, "gemma", 5) == 0, llama = strcmp(kind, "llama") == 0;
    gm_keys(g, kind, config);
    gm_tensors(g, hf, gemma, llama ? heads : NULL);
    if (l->rope_original > 0) gm_divisors(g, l);
}

#endif
