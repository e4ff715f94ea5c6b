/* The config of a GGUF: Gemma 3's and 4's keys, and what of them is refused. */
#include "model/config.h"
#include "tests/gguf_build.h"
#include "tests/t.h"

static gguf_build gemma3_keys(void)
{
    gguf_build b = GGUF_BUILD;
    gb_string(&b, "general.architecture", "gemma3");
    gb_int(&b, "gemma3.block_count", 8);
    gb_int(&b, "gemma3.embedding_length", 64);
    gb_int(&b, "gemma3.context_length", 4096);
    gb_int(&b, "gemma3.feed_forward_length", 96);
    gb_int(&b, "gemma3.attention.head_count", 4);
    gb_int(&b, "gemma3.attention.head_count_kv", 2);
    gb_int(&b, "gemma3.attention.key_length", 32);
    gb_int(&b, "gemma3.attention.sliding_window", 7);
    gb_float(&b, "gemma3.attention.layer_norm_rms_epsilon", 1e-6f);
    gb_float(&b, "gemma3.final_logit_softcapping", 30); /* not true: ignored */
    gb_int(&b, "tokenizer.ggml.bos_token_id", 2);
    gb_int(&b, "tokenizer.ggml.eos_token_id", 106);
    gb_array(&b, "tokenizer.ggml.tokens", RS_GGUF_STRING, 3);
    gb_text(&b.keys, "<pad>", 5);
    gb_text(&b.keys, "<eos>", 5);
    gb_text(&b.keys, "<bos>", 5);
    return b;
}

static rs_status config_of(gguf_build *b, rs_config **config)
{
    const char *path = in_folder(t_folder(), "m.gguf");
    rs_checkpoint *c;
    gb_save(b, path);
    RS_TRY(rs_checkpoint_open(path, &c, &t_err));
    rs_status s = rs_config_load(c, config, &t_err);
    rs_checkpoint_close(c);
    return s;
}

static void add_embedding(gguf_build *b, uint64_t rows, uint64_t cols)
{
    float *zeros = calloc(rows * cols, sizeof *zeros);
    gb_tensor(b, "token_embd.weight", RS_DTYPE_F32, rows, cols, zeros, rows * cols * 4);
    free(zeros);
}

static void gemma3_configs(void)
{
    gguf_build b = gemma3_keys();
    rs_config *c;
    add_embedding(&b, 50, 64);
    T_OK(config_of(&b, &c));
    T_STR(c->model_type, "gemma3_text");
    T_TRUE(c->n_layers == 8 && c->hidden == 64 && c->n_heads == 4 && c->vocab == 50);
    T_TRUE(c->sliding_window == 7 && c->max_positions == 4096 && c->tied_head);
    T_TRUE(c->rms_eps == 1e-6 && c->final_softcap == 0 && c->attn_softcap == 0);
    T_NEAR(c->attn_scale, 1 / sqrt(32), 0, 1e-12);
    T_TRUE(c->n_eos == 2 && c->eos[0] == 1 && c->eos[1] == 106 && c->bos == 2);
    for (int i = 0; i < 8; i++) {
        T_EQ(c->layers[i].is_full, i == 5);
        T_EQ(c->layers[i].head_dim, 32);
        T_EQ(c->layers[i].n_kv_heads, 2);
        T_EQ(c->layers[i].intermediate, 96);
        T_TRUE(c->layers[i].rope_theta == (i == 5 ? 1e6 : 1e4));
        T_TRUE(c->layers[i].rope_factor == 1);
    }
    rs_config_free(c);
    b = gemma3_keys();
    add_embedding(&b, 50, 64);
    gb_float(&b, "gemma3.rope.local.freq_base", 20000);
    gb_float(&b, "gemma3.rope.freq_base", 500000);
    gb_string(&b, "gemma3.rope.scaling.type", "linear");
    gb_float(&b, "gemma3.rope.scaling.factor", 8);
    T_OK(config_of(&b, &c));
    T_TRUE(c->layers[5].rope_theta == 500000 && c->layers[0].rope_theta == 20000);
    T_TRUE(c->layers[5].rope_factor == 8 && c->layers[0].rope_factor == 1);
    rs_config_free(c);
}

static rs_status config_with(void (*change)(gguf_build *))
{
    gguf_build b = GGUF_BUILD;
    change(&b);
    add_embedding(&b, 50, 64);
    rs_config *c;
    rs_status s = config_of(&b, &c);
    if (s == RS_OK) rs_config_free(c);
    return s;
}

static void change_arch(gguf_build *b)
{
    gb_string(b, "general.architecture", "qwen9");
}
static void change_none(gguf_build *b)
{
    gb_string(b, "general.architecture", "gemma3");
}
static void change_layers(gguf_build *b)
{
    change_none(b);
    gb_int(b, "gemma3.block_count", 1u << 31);
}
static void change_heads(gguf_build *b)
{
    change_none(b);
    gb_int(b, "gemma3.block_count", 2);
    gb_int(b, "gemma3.attention.key_length", 128);
}
static void change_scaling(gguf_build *b)
{
    *b = gemma3_keys();
    gb_string(b, "gemma3.rope.scaling.type", "yarn");
}
static void change_pattern(gguf_build *b)
{
    *b = gemma3_keys();
    gb_array(b, "gemma3.attention.sliding_window_pattern", RS_GGUF_BOOL, 3);
    rs_buf_add(&b->keys, "\0\0\1", 3);
}

static void bad_configs(void)
{
    T_FAILS(config_with(change_arch), RS_E_UNSUPPORTED, "\"qwen9\" is not supported");
    T_FAILS(config_with(change_none), RS_E_FORMAT, "no key gemma3.block_count");
    T_FAILS(config_with(change_layers), RS_E_FORMAT, "2147483648 layers, 1 to 2048");
    T_FAILS(config_with(change_heads), RS_E_UNSUPPORTED, "heads of 128");
    T_FAILS(config_with(change_scaling), RS_E_UNSUPPORTED, "scales RoPE by \"yarn\"");
    T_FAILS(config_with(change_pattern), RS_E_FORMAT, "has 3 entries for 8 layers");
}

/* The keys of a Gemma 4 file of the given model: what a converter makes of its config. */
static gguf_build gemma4_keys(const rs_config *m)
{
    gguf_build b = GGUF_BUILD;
    const char *full_head = "gemma4.attention.key_length";
    const rs_layer_config *first = &m->layers[0], *last = &m->layers[m->n_layers - 1];
    int n_shared = 0;
    for (int i = 0; i < m->n_layers; i++)
        n_shared += m->layers[i].is_sharer;
    gb_string(&b, "general.architecture", "gemma4");
    gb_int(&b, "gemma4.block_count", (uint32_t)m->n_layers);
    gb_int(&b, "gemma4.embedding_length", (uint32_t)m->hidden);
    gb_int(&b, "gemma4.context_length", (uint32_t)m->max_positions);
    gb_int(&b, "gemma4.attention.head_count", (uint32_t)m->n_heads);
    gb_int(&b, "gemma4.attention.head_count_kv", (uint32_t)first->n_kv_heads);
    gb_int(&b, full_head, (uint32_t)last->head_dim);
    gb_int(&b, "gemma4.attention.key_length_swa", (uint32_t)first->head_dim);
    gb_int(&b, "gemma4.attention.sliding_window", (uint32_t)m->sliding_window);
    gb_int(&b, "gemma4.attention.shared_kv_layers", (uint32_t)n_shared);
    gb_int(&b, "gemma4.embedding_length_per_layer_input", (uint32_t)m->ple_width);
    gb_float(&b, "gemma4.attention.layer_norm_rms_epsilon", (float)m->rms_eps);
    gb_float(&b, "gemma4.rope.freq_base", 1e6f);
    gb_float(&b, "gemma4.rope.freq_base_swa", 1e4f);
    gb_float(&b, "gemma4.final_logit_softcapping", 30);
    gb_array(&b, "gemma4.attention.sliding_window_pattern", RS_GGUF_BOOL,
             (uint64_t)m->n_layers);
    for (int i = 0; i < m->n_layers; i++)
        rs_buf_putc(&b.keys, !m->layers[i].is_full);
    gb_array(&b, "gemma4.feed_forward_length", RS_GGUF_I32, (uint64_t)m->n_layers);
    for (int i = 0; i < m->n_layers; i++)
        gb_u32(&b.keys, (uint32_t)m->layers[i].intermediate);
    gb_int(&b, "tokenizer.ggml.bos_token_id", 2);
    gb_int(&b, "tokenizer.ggml.eos_token_id", 1);
    gb_int(&b, "tokenizer.ggml.padding_token_id", 0);
    return b;
}

static bool same_config(const rs_config *a, const rs_config *b)
{
    bool same = a->family == b->family && a->n_layers == b->n_layers &&
                a->hidden == b->hidden && a->n_heads == b->n_heads &&
                a->vocab == b->vocab && a->sliding_window == b->sliding_window &&
                a->max_positions == b->max_positions && a->ple_width == b->ple_width &&
                a->ple_vocab == b->ple_vocab && a->rms_eps == b->rms_eps &&
                a->final_softcap == b->final_softcap && a->attn_scale == b->attn_scale &&
                a->embed_scale == b->embed_scale && a->tied_head == b->tied_head &&
                a->bos == b->bos && a->pad == b->pad && a->eos[0] == b->eos[0];
    for (int i = 0; same && i < a->n_layers; i++) {
        const rs_layer_config *x = &a->layers[i], *y = &b->layers[i];
        same = x->is_full == y->is_full && x->is_sharer == y->is_sharer &&
               x->is_donor == y->is_donor && x->kv_layer == y->kv_layer &&
               x->head_dim == y->head_dim && x->n_kv_heads == y->n_kv_heads &&
               x->intermediate == y->intermediate && x->rope_pairs == y->rope_pairs &&
               x->rope_theta == y->rope_theta && x->rope_factor == y->rope_factor;
    }
    return same;
}

static void gemma4_configs(void)
{
    static const char *const models[] = {"models/gemma4_e4b", "models/gemma4_e2b"};
    for (int i = 0; i < 2; i++) {
        rs_checkpoint *file;
        rs_config *from_json, *from_gguf;
        T_OK(rs_checkpoint_open(t_golden(models[i]), &file, &t_err));
        T_OK(rs_config_load(file, &from_json, &t_err));
        gguf_build b = gemma4_keys(from_json);
        add_embedding(&b, (uint64_t)from_json->vocab, (uint64_t)from_json->hidden);
        uint64_t ple = (uint64_t)(from_json->ple_width * from_json->n_layers);
        float *zeros = calloc((size_t)from_json->ple_vocab * ple, 4);
        gb_tensor(&b, "per_layer_token_embd.weight", RS_DTYPE_F32,
                  (uint64_t)from_json->ple_vocab, ple, zeros,
                  (size_t)from_json->ple_vocab * ple * 4);
        free(zeros);
        gb_frequencies(&b, from_json->layers[from_json->n_layers - 1].head_dim);
        T_OK(config_of(&b, &from_gguf));
        T_TRUE(same_config(from_json, from_gguf));
        rs_config_free(from_json);
        rs_config_free(from_gguf);
        rs_checkpoint_close(file);
    }
}

static void unequal_widths_are_refused(void)
{
    gguf_build b = GGUF_BUILD;
    gb_string(&b, "general.architecture", "gemma4");
    gb_int(&b, "gemma4.block_count", 3);
    static const char *const same[] = {
        "embedding_length",        "context_length",           "attention.head_count",
        "attention.head_count_kv", "attention.sliding_window", "attention.key_length",
        "attention.key_length_swa"};
    for (int i = 0; i < 7; i++) {
        char key[64];
        snprintf(key, sizeof key, "gemma4.%s", same[i]);
        gb_int(&b, key, 64);
    }
    gb_array(&b, "gemma4.feed_forward_length", RS_GGUF_U32, 3);
    gb_u32(&b.keys, 96);
    gb_u32(&b.keys, 100);
    gb_u32(&b.keys, 96);
    add_embedding(&b, 50, 64);
    rs_config *c;
    T_FAILS(config_of(&b, &c), RS_E_UNSUPPORTED, "feed_forward_length of layer 1 is 100");
}

T_MAIN(T_TEST(gemma3_configs), T_TEST(bad_configs), T_TEST(gemma4_configs),
       T_TEST(unequal_widths_are_refused))
