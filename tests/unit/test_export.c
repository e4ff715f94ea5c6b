/* A model as a GGUF: what is read back is what went in, for every family; types, names and
 * row order as llama.cpp has them. */
#include "tests/t.h"
#include "model/import.h"
#include "store/gguf_write.h"
#include "tensor/convert.h"
#include "tensor/quantise.h"
#include "tests/exported.h"
#include "tests/synthetic.h"

/* --- round trips --- */

enum { N_IDS = 8 }; /* no more than the shortest window among the models */
static const int32_t ids[N_IDS] = {2, 9, 4, 30, 11, 12, 50, 7};

static void same_logits(const char *name, rs_dtype d)
{
    exported e;
    rs_config *read;
    const char *out = in_folder(t_folder(), "x.gguf");
    T_OK(export_as(&e, golden_model(name), out, d));
    T_OK(rs_config_load(e.file, &read, &t_err));
    T_EQ(read->vocab, e.config->vocab);
    T_EQ(read->tied_head, e.config->tied_head);
    T_TRUE(read->attn_scale == e.config->attn_scale);
    float *want = logits_of(&e.rt, e.from, e.config, ids, N_IDS);
    float *got = logits_of(&e.rt, e.file, read, ids, N_IDS);
    if (!want || !got) T_FAIL("%s: %s", name, t_err.msg);
    T_EQ(memcmp(want, got, sizeof *got * N_IDS * (size_t)read->vocab), 0);
    free(want);
    free(got);
    rs_config_free(read);
    done(&e);
}

static void comes_round(const char *name, const char *arch)
{
    T_TRUE(rs_gguf_arch_is_known(arch));
    same_logits(name, RS_DTYPE_BF16);
    if (t_result == T_PASSED) same_logits(name, RS_DTYPE_F32);
}

#define ROUND(name, arch)                                                                \
    static void name##_comes_round(void)                                                 \
    {                                                                                    \
        comes_round(#name, arch);                                                        \
    }
ROUND(gemma2, "gemma2")
ROUND(gemma3, "gemma3")
ROUND(gemma4_e2b, "gemma4")
ROUND(gemma4_e4b, "gemma4")
ROUND(gemma4_e4b_mm, "gemma4")
ROUND(gemma4_v64, "gemma4")
ROUND(llama, "llama")
ROUND(mistral, "llama")
ROUND(qwen2, "qwen2")
ROUND(qwen3, "qwen3")

/* A GGUF can be exported too; its rows, norms and keys are those that it was made of. */
static void same_again(const char *name)
{
    exported e;
    const char *folder = t_folder();
    const char *f32 = in_folder(folder, "f32.gguf"), *a = in_folder(folder, "a.gguf");
    const char *b = in_folder(folder, "b.gguf");
    rs_export_options o = {.out = f32, .dtype = RS_DTYPE_F32, .name = "x"};
    T_OK(export_how(&e, golden_model(name), o, 2, 1 << 28));
    done(&e);
    o.out = a;
    o.dtype = RS_DTYPE_Q8_0;
    T_OK(export_how(&e, golden_model(name), o, 2, 1 << 28));
    done(&e);
    o.out = b;
    T_OK(export_how(&e, f32, o, 2, 1 << 28));
    T_EQ(e.result.n_left_out, 0);
    done(&e);
    rs_buf x = get_file(a), y = get_file(b);
    T_EQ(x.len, y.len);
    T_EQ(memcmp(x.data, y.data, x.len), 0);
}

static void a_gguf_is_exported_again(void)
{
    static const char *const names[] = {"gemma2", "gemma3", "gemma4_e2b",
                                        "llama",  "qwen2",  "qwen3"};
    for (size_t i = 0; i < sizeof names / sizeof *names && t_result == T_PASSED; i++)
        same_again(names[i]);
}

/* --- what stands in the file --- */

/* A tensor's bytes as they are stored, whatever the reader makes of its name. */
static const rs_tensor *stored(const exported *e, const char *name, void *dst, size_t cap)
{
    const rs_gguf *g = rs_checkpoint_gguf(e->file);
    const rs_tensor *t = rs_gguf_find(g, name);
    FILE *f = fopen(rs_checkpoint_path(e->file), "rb");
    bool ok = t && f && t->n_bytes <= cap && fseek(f, (long)t->offset, SEEK_SET) == 0 &&
              fread(dst, 1, (size_t)t->n_bytes, f) == t->n_bytes;
    if (f) fclose(f);
    return ok ? t : NULL;
}

/* Row h d + 2 j + s of the file is row h d + s d/2 + j of the model. */
static void check_rows(const exported *e, const char *stored_name, const char *hf, int d)
{
    static uint16_t a[1 << 14], b[1 << 14];
    const rs_tensor *t = stored(e, stored_name, b, sizeof b);
    const rs_tensor *from = rs_checkpoint_find(e->from, hf);
    T_TRUE(t && from && t->n_bytes == from->n_bytes && from->n_bytes <= sizeof a);
    T_TRUE(t->dtype == RS_DTYPE_BF16 && t->n_dims == 2 && t->dim[0] == from->dim[0]);
    T_OK(rs_checkpoint_read_raw(e->from, from, 0, (size_t)from->n_bytes, a, &t_err));
    int64_t cols = t->dim[1], moved = 0;
    for (int64_t head = 0; head < t->dim[0] / d; head++)
        for (int j = 0; j < d / 2; j++)
            for (int s = 0; s < 2; s++) {
                int64_t to = head * d + 2 * j + s, was = head * d + s * d / 2 + j;
                moved += to != was;
                T_EQ(memcmp(b + to * cols, a + was * cols, (size_t)cols * 2), 0);
            }
    T_TRUE(moved > 0);
}

static void rows_of_llama_are_reordered(void)
{
    exported e;
    T_OK(export_as(&e, golden_model("llama"), in_folder(t_folder(), "x.gguf"),
                   RS_DTYPE_BF16));
    check_rows(&e, "blk.1.attn_q.weight", "model.layers.1.self_attn.q_proj.weight", 16);
    check_rows(&e, "blk.2.attn_k.weight", "model.layers.2.self_attn.k_proj.weight", 16);
    done(&e);
    T_OK(export_as(&e, golden_model("mistral"), in_folder(t_folder(), "y.gguf"),
                   RS_DTYPE_BF16));
    T_STR(rs_gguf_arch(rs_checkpoint_gguf(e.file)), "llama");
    check_rows(&e, "blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight", 8);
    T_TRUE(strstr(e.notes, "looks back 8 tokens"));
    done(&e);
}

/* Heads that lie in several chunks, read back as they were. */
static void rows_in_many_chunks(void)
{
    static const char config[] =
        "{\"model_type\":\"llama\",\"hidden_size\":96,\"intermediate_size\":64,"
        "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_key_value_heads\":2,"
        "\"head_dim\":64,\"vocab_size\":128,\"rms_norm_eps\":1e-5}";
    static float want[1 << 15], got[1 << 15];
    exported e;
    const char *folder = t_folder();
    const char *model = in_folder(folder, "model");
    T_OK(synthetic_model(model, config, &t_err));
    rs_export_options o = {.out = in_folder(folder, "x.gguf"), .dtype = RS_DTYPE_BF16};
    T_OK(export_how(&e, model, o, 3, 1 << 16)); /* chunks of 4096 numbers, 42 rows */
    for (int i = 0; i < rs_checkpoint_count(e.from); i++) {
        const rs_tensor *t = rs_checkpoint_at(e.from, i);
        const rs_tensor *r = rs_checkpoint_find(e.file, t->name);
        T_TRUE(r && r->n_elements == t->n_elements && t->n_elements <= 1 << 15);
        T_OK(rs_checkpoint_read_f32(e.from, t, 0, t->n_elements, want, &t_err));
        T_OK(rs_checkpoint_read_f32(e.file, r, 0, t->n_elements, got, &t_err));
        T_EQ(memcmp(want, got, (size_t)t->n_elements * sizeof *got), 0);
    }
    done(&e);
}

/* rope_freqs divides each frequency: those of llama3 as the model has them, those of Gemma 4
 * that do not turn so far that no angle is left. */
static void frequencies_are_a_table(void)
{
    exported e;
    float f[64];
    T_OK(export_as(&e, golden_model("llama"), in_folder(t_folder(), "x.gguf"),
                   RS_DTYPE_BF16));
    const rs_tensor *t = stored(&e, "rope_freqs.weight", f, sizeof f);
    T_TRUE(t && t->dtype == RS_DTYPE_F32 && t->n_elements == 8);
    /* theta 1e4, heads of 16, factor 8, low 1, high 4, 64 positions: waves of 6.28, 19.87,
     * 62.83, 198.7 ... against borders of 16 and 64. */
    static const double want[8] = {1, 1.2939758, 7.6673851, 8, 8, 8, 8, 8};
    for (int i = 0; i < 8; i++)
        T_NEAR((double)f[i], want[i], 0, 1e-5);
    T_TRUE(!rs_gguf_get(rs_checkpoint_gguf(e.file), "llama.rope.scaling.type"));
    done(&e);
    T_OK(export_as(&e, golden_model("gemma4_e2b"), in_folder(t_folder(), "y.gguf"),
                   RS_DTYPE_BF16));
    t = stored(&e, "rope_freqs.weight", f, sizeof f);
    T_TRUE(t && t->n_elements == 8);
    for (int i = 0; i < 8; i++)
        T_NEAR((double)f[i], i < 2 ? 1 : 1e30, 0, 1e-6);
    done(&e);
    T_OK(export_as(&e, golden_model("qwen2"), in_folder(t_folder(), "z.gguf"),
                   RS_DTYPE_BF16));
    T_TRUE(!stored(&e, "rope_freqs.weight", f, sizeof f));
    T_TRUE(!stored(&e, "output.weight", f, sizeof f)); /* tied */
    t = stored(&e, "blk.0.attn_k.bias", f, sizeof f);
    T_TRUE(t && t->dtype == RS_DTYPE_F32 && t->n_dims == 1);
    done(&e);
}

static void norms_of_gemma3_carry_a_one(void)
{
    exported e;
    float norm[64], want[64];
    T_OK(export_as(&e, golden_model("gemma3"), in_folder(t_folder(), "x.gguf"),
                   RS_DTYPE_F16));
    const rs_tensor *t = stored(&e, "blk.0.attn_q_norm.weight", norm, sizeof norm);
    const rs_tensor *from =
        rs_checkpoint_find(e.from, "model.layers.0.self_attn.q_norm.weight");
    T_TRUE(t && from && t->dtype == RS_DTYPE_F32 && t->n_elements == from->n_elements);
    T_OK(rs_checkpoint_read_f32(e.from, from, 0, from->n_elements, want, &t_err));
    for (int64_t i = 0; i < t->n_elements; i++)
        T_TRUE(norm[i] == want[i] + 1.0f);
    T_TRUE(strstr(e.notes, "query_pre_attn_scalar is 24"));
    int64_t type;
    T_TRUE(rs_gguf_int(rs_checkpoint_gguf(e.file), "general.file_type", &type));
    T_EQ(type, 1);
    done(&e);
}

static rs_dtype type_of(const exported *e, const char *name)
{
    const rs_tensor *t = rs_gguf_find(rs_checkpoint_gguf(e->file), name);
    return t ? t->dtype : RS_DTYPE_BOOL;
}

static void blocks_where_rows_allow(void)
{
    exported e;
    T_OK(export_as(&e, golden_model("gemma4_e4b"), in_folder(t_folder(), "x.gguf"),
                   RS_DTYPE_Q4_0));
    T_EQ(type_of(&e, "token_embd.weight"), RS_DTYPE_Q8_0); /* makes the logits */
    T_EQ(type_of(&e, "blk.0.attn_q.weight"), RS_DTYPE_Q4_0);
    T_EQ(type_of(&e, "blk.0.ffn_down.weight"), RS_DTYPE_BF16); /* rows of 48 */
    T_EQ(type_of(&e, "per_layer_model_proj.weight"), RS_DTYPE_BF16);
    T_EQ(type_of(&e, "blk.0.layer_output_scale.weight"), RS_DTYPE_F32);
    T_TRUE(strstr(e.notes, "no multiple of 32") && strstr(e.notes, "rows of"));
    done(&e);
    T_OK(export_as(&e, golden_model("qwen3"), in_folder(t_folder(), "y.gguf"),
                   RS_DTYPE_Q8_0));
    T_TRUE(!strstr(e.notes, "no multiple"));
    static float v[1 << 14];
    static unsigned char got[1 << 15], want[1 << 15];
    const rs_tensor *t = stored(&e, "blk.1.ffn_up.weight", got, sizeof got);
    const rs_tensor *from =
        rs_checkpoint_find(e.from, "model.layers.1.mlp.up_proj.weight");
    T_TRUE(t && from && t->dtype == RS_DTYPE_Q8_0 && from->n_elements <= 1 << 14);
    T_OK(rs_checkpoint_read_f32(e.from, from, 0, from->n_elements, v, &t_err));
    T_TRUE(rs_quantise(RS_DTYPE_Q8_0, v, want, from->n_elements));
    T_EQ(memcmp(got, want, (size_t)t->n_bytes), 0);
    done(&e);
}

/* Where rows of no matrix allow blocks, the file is not one of blocks. */
static void a_file_without_blocks(void)
{
    static const char config[] =
        "{\"model_type\":\"llama\",\"hidden_size\":48,\"intermediate_size\":80,"
        "\"num_hidden_layers\":1,\"num_attention_heads\":3,\"head_dim\":16,"
        "\"vocab_size\":128}";
    exported e;
    int64_t type = 0;
    const char *model = in_folder(t_folder(), "model");
    T_OK(synthetic_model(model, config, &t_err));
    T_OK(export_as(&e, model, in_folder(t_folder(), "x.gguf"), RS_DTYPE_Q8_0));
    T_TRUE(rs_gguf_int(rs_checkpoint_gguf(e.file), "general.file_type", &type));
    T_EQ(type, 32); /* bf16 */
    done(&e);
}

/* --- a published model --- */

static bool same_value(const rs_gguf *a, const rs_gguf *b, const char *key)
{
    rs_gguf_keys x = {0}, y = {0};
    const rs_gguf_value *v = rs_gguf_get(a, key), *w = rs_gguf_get(b, key);
    if (v) rs_gguf_put_value(&x, v);
    if (w) rs_gguf_put_value(&y, w);
    bool same = v && w && x.bytes.len == y.bytes.len &&
                memcmp(x.bytes.data, y.bytes.data, x.bytes.len) == 0;
    rs_gguf_keys_free(&x);
    rs_gguf_keys_free(&y);
    return same;
}

static const char *const published_keys[] = {"general.architecture",
                                             "gemma3.context_length",
                                             "gemma3.embedding_length",
                                             "gemma3.block_count",
                                             "gemma3.feed_forward_length",
                                             "gemma3.attention.head_count",
                                             "gemma3.attention.head_count_kv",
                                             "gemma3.attention.key_length",
                                             "gemma3.attention.value_length",
                                             "gemma3.attention.layer_norm_rms_epsilon",
                                             "gemma3.attention.sliding_window",
                                             "gemma3.rope.freq_base",
                                             "tokenizer.ggml.model",
                                             "tokenizer.ggml.pre",
                                             "tokenizer.ggml.tokens",
                                             "tokenizer.ggml.token_type",
                                             "tokenizer.ggml.bos_token_id",
                                             "tokenizer.ggml.eos_token_id",
                                             "tokenizer.ggml.unknown_token_id",
                                             "tokenizer.ggml.padding_token_id",
                                             "tokenizer.ggml.add_bos_token",
                                             "tokenizer.ggml.add_eos_token",
                                             "tokenizer.ggml.add_space_prefix"};

/* How many norms `a` and `b` have in common, with every tensor of `a` in the same place and
 * form in `b`; -1 where one is not, or a norm differs. */
static int equal_norms(const rs_checkpoint *a, const rs_checkpoint *b)
{
    static float x[2048], y[2048];
    int n_norms = 0;
    for (int i = 0; i < rs_checkpoint_count(a); i++) {
        const rs_tensor *t = rs_checkpoint_at(a, i);
        const rs_tensor *r = rs_checkpoint_find(b, t->name);
        if (!r || r->n_dims != t->n_dims || r->n_elements != t->n_elements ||
            strcmp(r->stored_name, t->stored_name) != 0)
            return -1;
        if (t->n_dims != 1) continue;
        if (rs_checkpoint_read_f32(a, t, 0, t->n_elements, x, &t_err) != RS_OK ||
            rs_checkpoint_read_f32(b, r, 0, t->n_elements, y, &t_err) != RS_OK ||
            memcmp(x, y, (size_t)t->n_elements * sizeof *x) != 0)
            return -1;
        n_norms++;
    }
    return n_norms;
}

/* Imported and exported again, Gemma 3 270M has the keys of the published file. The types of
 * its matrices differ, so of the weights only the norms are compared. */
static void gemma_270m_comes_round(void)
{
    const char *published = t_gemma270();
    if (!published) T_NO_GEMMA270();
    const char *folder = t_folder(), *model = in_folder(folder, "model");
    rs_runtime rt;
    rs_checkpoint *c;
    rs_import_result imported;
    exported e;
    rs_options ro = {.threads = 2, .memory_bytes = 1 << 28};
    rs_import_options io = {.out = model, .dtype = RS_DTYPE_F32};
    T_OK(rs_init(&ro, &rt, &t_err));
    T_OK(rs_checkpoint_open(published, &c, &t_err));
    T_OK(rs_import(&rt, c, &io, &imported, &t_err));
    T_OK(export_as(&e, model, in_folder(folder, "x.gguf"), RS_DTYPE_Q8_0));
    T_EQ(e.result.n_tensors, 236);
    for (size_t i = 0; i < sizeof published_keys / sizeof *published_keys; i++)
        if (!same_value(rs_checkpoint_gguf(c), rs_checkpoint_gguf(e.file),
                        published_keys[i]))
            T_FAIL("%s differs", published_keys[i]);
    T_EQ(equal_norms(c, e.file), 109);
    rs_checkpoint_close(c);
    rs_quit(&rt);
    done(&e);
    T_OK(rs_os_remove_tree(folder, &t_err));
}

T_MAIN(T_TEST(gemma2_comes_round), T_TEST(gemma3_comes_round),
       T_TEST(gemma4_e2b_comes_round), T_TEST(gemma4_e4b_comes_round),
       T_TEST(gemma4_e4b_mm_comes_round), T_TEST(gemma4_v64_comes_round),
       T_TEST(llama_comes_round), T_TEST(mistral_comes_round), T_TEST(qwen2_comes_round),
       T_TEST(qwen3_comes_round), T_TEST(a_gguf_is_exported_again),
       T_TEST(rows_of_llama_are_reordered), T_TEST(rows_in_many_chunks),
       T_TEST(frequencies_are_a_table), T_TEST(norms_of_gemma3_carry_a_one),
       T_TEST(blocks_where_rows_allow), T_TEST(a_file_without_blocks),
       T_TEST(gemma_270m_comes_round))
