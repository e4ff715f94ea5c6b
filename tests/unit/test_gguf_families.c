/* GGUF files of other families, written here from the Hugging Face fixtures by llama.cpp's
 * names and rules: config and logits are those of the folder. */
#include "model/forward.h"
#include "tests/gguf_build.h"
#include "tests/t.h"
#include "tests/tokens.h"

#include "base/json.h"
#include "base/os.h"
#include "model/tokenizer_internal.h"

enum { MAX_IDS = 64 };

typedef struct pair {
    const char *hf, *gguf;
} pair;

static const pair names[] = {
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
static void gguf_name(const char *hf, bool gemma, char dst[96])
{
    int layer = 0, n = 0;
    bool in_layer = sscanf(hf, "model.layers.%d.%n", &layer, &n) == 1 && n > 0;
    const char *tail = in_layer ? hf + n : hf;
    dst[0] = 0;
    if (strcmp(tail, "post_attention_layernorm.weight") == 0)
        snprintf(dst, 96, "blk.%d.%s", layer,
                 gemma ? "post_attention_norm.weight" : "ffn_norm.weight");
    for (size_t i = 0; i < sizeof names / sizeof *names && !dst[0]; i++)
        if (strcmp(names[i].hf, tail) == 0)
            snprintf(dst, 96, in_layer ? "blk.%d.%s" : "%.0d%s", in_layer ? layer : 0,
                     names[i].gguf);
}

static void add_tensors(gguf_build *g, const rs_checkpoint *c, bool gemma)
{
    for (int i = 0; i < rs_checkpoint_count(c); i++) {
        const rs_tensor *t = rs_checkpoint_at(c, i);
        char name[96];
        gguf_name(t->name, gemma, name);
        T_TRUE(name[0] != 0);
        float *x = malloc((size_t)t->n_elements * sizeof *x);
        T_OK(rs_checkpoint_read_f32(c, t, 0, t->n_elements, x, &t_err));
        bool norm = strstr(name, "norm.weight") != NULL;
        for (int64_t k = 0; norm && gemma && k < t->n_elements; k++)
            x[k] += 1;
        gb_tensor(g, name, RS_DTYPE_F32, t->n_dims == 2 ? (uint64_t)t->dim[0] : 0,
                  (uint64_t)t->dim[t->n_dims - 1], x, (size_t)t->n_elements * sizeof *x);
        free(x);
    }
}

static void key(gguf_build *g, const char *arch, const char *name, uint32_t v)
{
    char full[96];
    snprintf(full, sizeof full, "%s.%s", arch, name);
    gb_int(g, full, v);
}

static void key_float(gguf_build *g, const char *arch, const char *name, double v)
{
    char full[96];
    snprintf(full, sizeof full, "%s.%s", arch, name);
    gb_float(g, full, (float)v);
}

static void add_keys(gguf_build *g, const char *arch, const rs_config *c)
{
    gb_string(g, "general.architecture", arch);
    key(g, arch, "block_count", (uint32_t)c->n_layers);
    key(g, arch, "embedding_length", (uint32_t)c->hidden);
    key(g, arch, "context_length", (uint32_t)c->max_positions);
    key(g, arch, "feed_forward_length", (uint32_t)c->layers[0].intermediate);
    key(g, arch, "attention.head_count", (uint32_t)c->n_heads);
    key(g, arch, "attention.head_count_kv", (uint32_t)c->layers[0].n_kv_heads);
    key(g, arch, "attention.key_length", (uint32_t)c->layers[0].head_dim);
    if (c->sliding_window)
        key(g, arch, "attention.sliding_window", (uint32_t)c->sliding_window);
    key_float(g, arch, "attention.layer_norm_rms_epsilon", c->rms_eps);
    key_float(g, arch, "rope.freq_base", c->layers[0].rope_theta);
    if (c->attn_softcap > 0)
        key_float(g, arch, "attn_logit_softcapping", c->attn_softcap);
    if (c->final_softcap > 0)
        key_float(g, arch, "final_logit_softcapping", c->final_softcap);
}

static int64_t read_ids(const rs_checkpoint *f, int32_t ids[MAX_IDS])
{
    const rs_tensor *t = rs_checkpoint_find(f, "ids.1");
    int64_t raw[MAX_IDS];
    if (!t || t->n_elements > MAX_IDS || t->dtype != RS_DTYPE_I64 ||
        rs_checkpoint_read_raw(f, t, 0, (size_t)t->n_bytes, raw, &t_err) != RS_OK)
        return 0;
    for (int64_t i = 0; i < t->n_elements; i++)
        ids[i] = (int32_t)raw[i];
    return t->n_elements;
}

/* scalar: of the attention, where the GGUF's rule is not the tiny model's; 0: as it is. */
static void same_logits(const char *arch, bool gemma, double scale)
{
    char path[512], file[512];
    rs_checkpoint *hf, *c, *f;
    rs_config *config, *read;
    rs_model *m;
    rs_runtime rt;
    rs_options o = {.threads = 2, .memory_bytes = 1 << 28};
    gguf_build g = GGUF_BUILD;
    T_OK(rs_init(&o, &rt, &t_err));
    snprintf(path, sizeof path, "models/%s", arch);
    T_OK(rs_checkpoint_open(t_golden(path), &hf, &t_err));
    T_OK(rs_config_load(hf, &config, &t_err));
    add_keys(&g, arch, config);
    add_tensors(&g, hf, gemma);
    rs_buf bytes = gb_file(&g);
    const char *folder = t_folder();
    snprintf(file, sizeof file, "%s/x.gguf", folder);
    T_OK(rs_os_write_file(file, bytes.data, bytes.len, &t_err));
    T_OK(rs_checkpoint_open(file, &c, &t_err));
    T_OK(rs_config_load(c, &read, &t_err));
    T_STR(read->model_type, config->model_type);
    T_TRUE(read->tied_head == config->tied_head && read->rms_eps == config->rms_eps);
    if (scale > 0) read->attn_scale = scale;
    T_NEAR(read->attn_scale, config->attn_scale, 0, 1e-12);
    T_OK(rs_model_load(&rt, c, read, NULL, NULL, &m, &t_err));
    snprintf(path, sizeof path, "logits/%s.safetensors", arch);
    T_OK(rs_checkpoint_open(t_golden(path), &f, &t_err));
    int32_t ids[MAX_IDS];
    int64_t n = read_ids(f, ids), all = n * read->vocab;
    const rs_tensor *t = rs_checkpoint_find(f, "logits.1");
    T_TRUE(n > 1 && t && t->n_elements == all);
    float *want = malloc((size_t)all * sizeof *want),
          *got = malloc((size_t)all * sizeof *got);
    rs_kv *kv;
    rs_forward_options fo = {.want = RS_WANT_ALL};
    T_OK(rs_checkpoint_read_f32(f, t, 0, all, want, &t_err));
    T_OK(rs_kv_new(read, NULL, &kv, &t_err));
    T_OK(rs_forward(&rt, m, kv, ids, n, &fo, got, &t_err));
    for (int64_t i = 0; i < all; i++)
        T_NEAR((double)got[i], (double)want[i], 9e-5, 0);
    rs_kv_free(kv);
    free(want);
    free(got);
    rs_model_free(m);
    rs_config_free(config);
    rs_config_free(read);
    rs_checkpoint_close(hf);
    rs_checkpoint_close(c);
    rs_checkpoint_close(f);
    rs_quit(&rt);
    T_OK(rs_os_remove_tree(folder, &t_err));
}

static void qwen2(void)
{
    same_logits("qwen2", false, 0);
}
static void qwen3(void)
{
    same_logits("qwen3", false, 0);
}
/* The fixture's query_pre_attn_scalar is 24, which no GGUF key says: files hold models whose
 * scalar is that of the head. */
static void gemma2(void)
{
    same_logits("gemma2", true, 1 / sqrt(24.0));
}

/* --- byte-level tokenizers --- */

static void add_pieces(gguf_build *g, const rs_tokenizer *t)
{
    int32_t n = rs_tokenizer_size(t);
    gb_array(g, "tokenizer.ggml.tokens", RS_GGUF_STRING, (uint64_t)n);
    for (int32_t i = 0; i < n; i++) {
        const char *piece = rs_tokenizer_piece(t, i);
        gb_text(&g->keys, piece, strlen(piece));
    }
    gb_array(g, "tokenizer.ggml.token_type", RS_GGUF_I32, (uint64_t)n);
    for (int32_t i = 0; i < n; i++)
        gb_u32(&g->keys, rs_tokenizer_is_special(t, i)                ? 3
                         : rs_piece_is(&t->pieces, i, RS_PIECE_ADDED) ? 4
                                                                      : 1);
}

static void add_merges(gguf_build *g, const char *folder)
{
    char path[512];
    rs_json *doc;
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    T_OK(rs_json_read_file(path, 64 << 20, &doc, &t_err));
    const rs_json *merges = rs_json_get(rs_json_get(doc, "model"), "merges");
    gb_array(g, "tokenizer.ggml.merges", RS_GGUF_STRING, (uint64_t)rs_json_count(merges));
    for (const rs_json *m = rs_json_first(merges); m; m = rs_json_next(m)) {
        rs_buf text = {0};
        const rs_json *a = rs_json_is_array(m) ? rs_json_first(m) : m;
        rs_buf_puts(&text, rs_json_string(a));
        if (a != m) rs_buf_printf(&text, " %s", rs_json_string(rs_json_next(a)));
        gb_text(&g->keys, rs_buf_str(&text), text.len);
        rs_buf_free(&text);
    }
    rs_json_free(doc);
}

/* The tokenizer of tokenizer.json, put into a GGUF as converters do, gives the same ids. */
static void same_ids(const char *name, const char *pre)
{
    char below[64], cases[1024], file[512];
    snprintf(below, sizeof below, "fixtures/tokenizer/%s.json", name);
    const char *fixture = t_shared(below);
    if (!fixture) T_SKIP("no published tokenizers here");
    snprintf(cases, sizeof cases, "%s", fixture);
    const char *folder = token_published(name);
    if (!folder) T_SKIP("no published tokenizers here");
    rs_tokenizer *json, *gguf;
    gguf_build g = GGUF_BUILD;
    T_OK(rs_tokenizer_load(folder, &json, &t_err));
    gb_string(&g, "general.architecture", "qwen2");
    gb_string(&g, "tokenizer.ggml.model", "gpt2");
    gb_string(&g, "tokenizer.ggml.pre", pre);
    add_pieces(&g, json);
    add_merges(&g, folder);
    rs_buf bytes = gb_file(&g);
    snprintf(file, sizeof file, "%s/x.gguf", folder);
    T_OK(rs_os_write_file(file, bytes.data, bytes.len, &t_err));
    T_OK(rs_tokenizer_load(file, &gguf, &t_err));
    rs_pull *p = NULL;
    token_case c = {0};
    int n = 0;
    T_TRUE(token_open_cases(cases, &p));
    for (; token_next_case(p, &c); n++) {
        rs_ids ids = {0};
        T_OK(rs_tokenize(gguf, c.text.data, c.text.len, false, &ids, &t_err));
        T_TRUE(ids.n == c.ids.n &&
               (ids.n == 0 || memcmp(ids.at, c.ids.at, (size_t)ids.n * 4) == 0));
        rs_ids_free(&ids);
    }
    T_EQ(n, 175);
    token_case_free(&c);
    rs_pull_close(p);
    rs_tokenizer_free(json);
    rs_tokenizer_free(gguf);
    token_remove(folder);
}

static void qwen3_tokens(void)
{
    same_ids("qwen3", "qwen2");
}
static void llama3_tokens(void)
{
    same_ids("llama3", "llama-bpe");
}

T_MAIN(T_TEST(qwen2), T_TEST(qwen3), T_TEST(gemma2), T_TEST(qwen3_tokens),
       T_TEST(llama3_tokens))
