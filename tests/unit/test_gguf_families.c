/* GGUF files of other families, written here from the Hugging Face fixtures by llama.cpp's
 * names and rules: config and logits are those of the folder. */
#include "model/forward.h"
#include "tests/gguf_model.h"
#include "tests/t.h"
#include "tests/tokens.h"

#include "base/json.h"
#include "base/os.h"
#include "model/tokenizer_internal.h"
#include "model/tokenizer_write.h"

enum { MAX_IDS = 64 };

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

/* kind: how GGUF calls the architecture. scale: of the attention, where the GGUF's rule is not
 * the tiny model's; 0: as it is. */
static void same_logits(const char *arch, const char *kind, double scale)
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
    gm_model(&g, kind, hf, config);
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
    same_logits("qwen2", "qwen2", 0);
}
static void qwen3(void)
{
    same_logits("qwen3", "qwen3", 0);
}
/* Untied heads; llama has Llama 3's scaling of RoPE, mistral a window. */
static void llama(void)
{
    same_logits("llama", "llama", 0);
}
static void mistral(void)
{
    same_logits("mistral", "llama", 0);
}
/* The fixture's query_pre_attn_scalar is 24, which no GGUF key says: files hold models whose
 * scalar is that of the head. */
static void gemma2(void)
{
    same_logits("gemma2", "gemma2", 1 / sqrt(24.0));
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

/* The tokenizer that an import of the GGUF would write, read again. */
static void load_written(const char *file, const char *folder, rs_tokenizer **out)
{
    char path[512];
    rs_checkpoint *c;
    rs_buf json = {0};
    T_OK(rs_checkpoint_open(file, &c, &t_err));
    T_OK(rs_tokenizer_write_json(c, &json, &t_err));
    snprintf(path, sizeof path, "%s/written.json", folder);
    T_OK(rs_os_write_file(path, json.data, json.len, &t_err));
    T_OK(rs_tokenizer_load(path, out, &t_err));
    rs_buf_free(&json);
    rs_checkpoint_close(c);
}

static bool gives(const rs_tokenizer *t, const token_case *c)
{
    rs_ids ids = {0};
    bool ok = rs_tokenize(t, c->text.data, c->text.len, false, &ids, &t_err) == RS_OK &&
              ids.n == c->ids.n &&
              (ids.n == 0 || memcmp(ids.at, c->ids.at, (size_t)ids.n * 4) == 0);
    rs_ids_free(&ids);
    return ok;
}

/* The tokenizer of tokenizer.json, put into a GGUF as converters do, gives the same ids; so
 * does what an import writes of it. */
static void same_ids(const char *name, const char *pre)
{
    char below[64], cases[1024], file[512];
    snprintf(below, sizeof below, "fixtures/tokenizer/%s.json", name);
    const char *fixture = t_shared(below);
    if (!fixture) T_SKIP("no published tokenizers here");
    snprintf(cases, sizeof cases, "%s", fixture);
    const char *folder = token_published(name);
    if (!folder) T_SKIP("no published tokenizers here");
    rs_tokenizer *json, *gguf, *written;
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
    load_written(file, folder, &written);
    T_TRUE(rs_tokenizer_size(written) == rs_tokenizer_size(json));
    T_TRUE(!gguf->adds_bos && !written->adds_bos); /* the GGUF names none */
    rs_pull *p = NULL;
    token_case c = {0};
    int n = 0;
    T_TRUE(token_open_cases(cases, &p));
    for (; token_next_case(p, &c); n++) {
        T_TRUE(gives(gguf, &c));
        T_TRUE(gives(written, &c));
    }
    T_EQ(n, 175);
    token_case_free(&c);
    rs_pull_close(p);
    rs_tokenizer_free(json);
    rs_tokenizer_free(gguf);
    rs_tokenizer_free(written);
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

T_MAIN(T_TEST(qwen2), T_TEST(qwen3), T_TEST(gemma2), T_TEST(llama), T_TEST(mistral),
       T_TEST(qwen3_tokens), T_TEST(llama3_tokens))
