/* Quantised weights of every architecture and block type: the logits of a GGUF are those of
 * its dequantised import, bit for bit where linear.h promises bits (one token at a time, alone
 * and in a batch), and within rounding where many tokens go through BLAS. */
#include "model/forward.h"
#include "model/import.h"
#include "tensor/convert.h"
#include "tests/gguf_build.h"
#include "tests/t.h"

enum { HIDDEN = 256, INNER = 512, HEADS = 4, KV = 2, HEAD = 64, VOCAB = 96, LAYERS = 2 };
enum { PROMPT = 40, STEPS = 6, SEQUENCES = 3 };

static const rs_dtype blocks[] = {RS_DTYPE_Q8_0, RS_DTYPE_Q4_0, RS_DTYPE_Q5_0,
                                  RS_DTYPE_Q5_1, RS_DTYPE_Q4_K, RS_DTYPE_Q5_K,
                                  RS_DTYPE_Q6_K};

static uint64_t state;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static float small(void)
{
    return (float)((double)(next() >> 40) / (1 << 24) - 0.5);
}

/* ---- a model ---- */

/* Random bytes, but the halves that scale a block are small. */
static void put_blocks(gguf_build *g, const char *name, rs_dtype d, int64_t rows,
                       int64_t cols)
{
    const rs_dtype_info *info = rs_dtype_of(d);
    bool two = d == RS_DTYPE_Q4_K || d == RS_DTYPE_Q5_K || d == RS_DTYPE_Q5_1;
    bool scales = rs_dtype_of(d)->block == 256;
    size_t n = (size_t)(rows * cols / info->block * info->block_bytes);
    uint8_t *bytes = malloc(n);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(next() >> 32);
    for (size_t at = 0; at < n; at += (size_t)info->block_bytes)
        for (int i = 0; i < (two ? 2 : 1); i++) {
            uint16_t h = rs_f16_from_f32(small() / (scales ? 8192 : 256));
            size_t first = d == RS_DTYPE_Q6_K ? 208 : 0;
            memcpy(bytes + at + first + 2 * i, &h, sizeof h);
        }
    gb_tensor(g, name, d, (uint64_t)rows, (uint64_t)cols, bytes, n);
    free(bytes);
}

static void put_vector(gguf_build *g, const char *name, int64_t n, float around)
{
    float v[INNER];
    for (int64_t i = 0; i < n; i++)
        v[i] = around + small() / 2;
    gb_tensor(g, name, RS_DTYPE_F32, 0, (uint64_t)n, v, (size_t)n * sizeof *v);
}

typedef struct family {
    const char *arch;
    int window; /* 0: none */
    bool four_norms, head_norms, biases, untied, scalar;
} family;

static const family families[] = {
    {"gemma2", 16, true, false, false, false, false},
    {"gemma3", 16, true, true, false, false, false},
    {"gemma4", 16, true, true, false, false, true},
    {"llama", 0, false, false, false, true, false},
    {"llama", 16, false, false, false, false, false}, /* Mistral */
    {"qwen2", 0, false, false, true, false, false},
    {"qwen3", 0, false, true, false, true, false},
};

static void key(gguf_build *g, const family *f, const char *name, uint32_t v)
{
    char full[96];
    snprintf(full, sizeof full, "%s.%s", f->arch, name);
    gb_int(g, full, v);
}

static void put_keys(gguf_build *g, const family *f)
{
    char eps[96];
    gb_string(g, "general.architecture", f->arch);
    key(g, f, "block_count", LAYERS);
    key(g, f, "embedding_length", HIDDEN);
    key(g, f, "context_length", 256);
    key(g, f, "feed_forward_length", INNER);
    key(g, f, "attention.head_count", HEADS);
    key(g, f, "attention.head_count_kv", KV);
    key(g, f, "attention.key_length", HEAD);
    if (f->scalar) key(g, f, "attention.key_length_swa", HEAD);
    if (f->window) key(g, f, "attention.sliding_window", (uint32_t)f->window);
    snprintf(eps, sizeof eps, "%s.attention.layer_norm_rms_epsilon", f->arch);
    gb_float(g, eps, 1e-6f);
}

static void put_layer(gguf_build *g, const family *f, rs_dtype d, int layer)
{
    static const struct {
        const char *name;
        int rows, cols;
    } matrices[] = {{"attn_q", HEADS * HEAD, HIDDEN},
                    {"attn_k", KV * HEAD, HIDDEN},
                    {"attn_v", KV * HEAD, HIDDEN},
                    {"ffn_gate", INNER, HIDDEN},
                    {"attn_output", HIDDEN, HEADS * HEAD},
                    {"ffn_up", INNER, HIDDEN},
                    {"ffn_down", HIDDEN, INNER}};
    static const struct {
        const char *name;
        int n;
        bool four, head, bias, scalar;
    } vectors[] = {{"attn_norm.weight", HIDDEN, 0, 0, 0, 0},
                   {"ffn_norm.weight", HIDDEN, 0, 0, 0, 0},
                   {"post_attention_norm.weight", HIDDEN, 1, 0, 0, 0},
                   {"post_ffw_norm.weight", HIDDEN, 1, 0, 0, 0},
                   {"attn_q_norm.weight", HEAD, 0, 1, 0, 0},
                   {"attn_k_norm.weight", HEAD, 0, 1, 0, 0},
                   {"attn_q.bias", HEADS * HEAD, 0, 0, 1, 0},
                   {"attn_k.bias", KV * HEAD, 0, 0, 1, 0},
                   {"attn_v.bias", KV * HEAD, 0, 0, 1, 0},
                   {"layer_output_scale.weight", 1, 0, 0, 0, 1}};
    char name[64];
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) {
        snprintf(name, sizeof name, "blk.%d.%s.weight", layer, matrices[i].name);
        put_blocks(g, name, d, matrices[i].rows, matrices[i].cols);
    }
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        if ((vectors[i].four && !f->four_norms) || (vectors[i].head && !f->head_norms) ||
            (vectors[i].bias && !f->biases) || (vectors[i].scalar && !f->scalar))
            continue;
        snprintf(name, sizeof name, "blk.%d.%s", layer, vectors[i].name);
        put_vector(g, name, vectors[i].n, vectors[i].bias ? 0 : 1);
    }
}

static void make_gguf(const char *path, const family *f, rs_dtype d)
{
    gguf_build g = GGUF_BUILD;
    state = 88172645463325252u;
    put_keys(&g, f);
    put_blocks(&g, "token_embd.weight", d, VOCAB, HIDDEN);
    put_vector(&g, "output_norm.weight", HIDDEN, 1);
    if (f->untied) put_blocks(&g, "output.weight", d, VOCAB, HIDDEN);
    for (int i = 0; i < LAYERS; i++)
        put_layer(&g, f, d, i);
    if (f->scalar) gb_frequencies(&g, HEAD);
    gb_save(&g, path);
}

/* ---- both forms in memory ---- */

typedef struct loaded {
    rs_checkpoint *file;
    rs_config *config;
    rs_model *model;
} loaded;

static void load(const rs_runtime *rt, const char *path, loaded *l)
{
    T_OK(rs_checkpoint_open(path, &l->file, &t_err));
    T_OK(rs_config_load(l->file, &l->config, &t_err));
    T_OK(rs_model_load(rt, l->file, l->config, NULL, NULL, &l->model, &t_err));
}

static void unload(loaded *l)
{
    rs_model_free(l->model);
    rs_config_free(l->config);
    rs_checkpoint_close(l->file);
}

static int32_t token(int sequence, int i)
{
    return (int32_t)((i * i * 7 + i * 3 + sequence * 29 + 5) % VOCAB);
}

/* One token after the other, [STEPS][VOCAB]; then the last step of a batch. */
static void decode(const rs_runtime *rt, const loaded *l, float *out, float *batch)
{
    rs_kv *kv[SEQUENCES];
    int32_t ids[SEQUENCES];
    rs_forward_options fo = {.want = RS_WANT_LAST};
    for (int s = 0; s < SEQUENCES; s++) {
        T_OK(rs_kv_new(l->config, NULL, &kv[s], &t_err));
        for (int i = 0; i < STEPS; i++) {
            int32_t id = token(s, i);
            float *to = s == 0 ? out + (size_t)i * VOCAB : batch;
            T_OK(rs_forward(rt, l->model, kv[s], &id, 1, &fo, to, &t_err));
        }
        ids[s] = token(s, STEPS);
    }
    T_OK(rs_forward_batch(rt, l->model, kv, ids, SEQUENCES, batch, &t_err));
    for (int s = 0; s < SEQUENCES; s++)
        rs_kv_free(kv[s]);
}

static void prefill(const rs_runtime *rt, const loaded *l, float *out)
{
    rs_kv *kv;
    int32_t ids[PROMPT];
    rs_forward_options fo = {.want = RS_WANT_ALL};
    for (int i = 0; i < PROMPT; i++)
        ids[i] = token(1, i);
    T_OK(rs_kv_new(l->config, NULL, &kv, &t_err));
    T_OK(rs_forward(rt, l->model, kv, ids, PROMPT, &fo, out, &t_err));
    rs_kv_free(kv);
}

static void same_bits(const char *what, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(a[i]) || memcmp(&a[i], &b[i], sizeof *a) != 0)
            T_FAIL("%s: logit %zu is %.9g, of the import %.9g", what, i, (double)a[i],
                   (double)b[i]);
}

static void same_within(const char *what, const float *a, const float *b, size_t n)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = t_max(largest, fabs((double)b[i]));
    T_TRUE(largest > 0.01); /* logits that say something */
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)a[i] - (double)b[i]) <= 1e-5 * largest))
            T_FAIL("%s: logit %zu is %.9g, of the import %.9g", what, i, (double)a[i],
                   (double)b[i]);
}

static void compare(const rs_runtime *rt, const loaded *q, const loaded *w,
                    const char *what)
{
    static float one[2][STEPS * VOCAB], batch[2][SEQUENCES * VOCAB],
        many[2][PROMPT * VOCAB];
    const loaded *both[2] = {q, w};
    for (int i = 0; i < 2; i++) {
        decode(rt, both[i], one[i], batch[i]);
        prefill(rt, both[i], many[i]);
    }
    same_bits(what, one[0], one[1], STEPS * VOCAB);
    same_bits(what, batch[0], batch[1], SEQUENCES * VOCAB);
    same_within(what, many[0], many[1], (size_t)PROMPT * VOCAB);
}

static void every_block(const family *f)
{
    rs_runtime rt;
    T_OK(rs_init(&(rs_options){.threads = 2, .memory_bytes = 1 << 28}, &rt, &t_err));
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        const char *folder = t_folder(), *path = in_folder(folder, "q.gguf");
        const char *out = in_folder(folder, "import");
        char what[64];
        rs_import_options o = {.out = out, .dtype = RS_DTYPE_F32};
        rs_import_result result;
        loaded q, w;
        snprintf(what, sizeof what, "%s %s", f->arch, rs_dtype_name(blocks[i]));
        make_gguf(path, f, blocks[i]);
        load(&rt, path, &q);
        T_OK(rs_import(&rt, q.file, &o, &result, &t_err));
        load(&rt, out, &w);
        T_STR(q.config->model_type, w.config->model_type);
        compare(&rt, &q, &w, what);
        unload(&q);
        unload(&w);
        T_OK(rs_os_remove_tree(folder, &t_err));
    }
    rs_quit(&rt);
}

static void gemma2(void)
{
    every_block(&families[0]);
}
static void gemma3(void)
{
    every_block(&families[1]);
}
static void gemma4(void)
{
    every_block(&families[2]);
}
static void llama(void)
{
    every_block(&families[3]);
}
static void mistral(void)
{
    every_block(&families[4]);
}
static void qwen2(void)
{
    every_block(&families[5]);
}
static void qwen3(void)
{
    every_block(&families[6]);
}

T_MAIN(T_TEST(gemma2), T_TEST(gemma3), T_TEST(gemma4), T_TEST(llama), T_TEST(mistral),
       T_TEST(qwen2), T_TEST(qwen3))
