/* A GGUF as a Hugging Face folder: a small one written here, and Gemma 3 270M where
 * RS_GEMMA270 names its file. */
#include "tests/t.h"
#include "base/json.h"
#include "model/import.h"
#include "model/tokenizer.h"
#include "tensor/convert.h"
#include "tests/gguf_build.h"
#include "tests/tokens.h"

enum { HIDDEN = 32, INNER = 64, HEADS = 2, HEAD = 32 };

static const struct {
    const char *text;
    float score;
    int type;
} extra[] = {{"a", -10, 1},
             {"b", -11, 1},
             {"c", -12, 1},
             {"\xe2\x96\x81", -13, 1},
             {"ab", -3, 1},
             {"bc", -1, 1},
             {"abc", -2, 1},
             {"\xe2\x96\x81"
              "a",
              -2.5f, 1},
             {"  ", 0, 4},
             {"   ", 0, 4},
             {"aa", -4, 1},
             {"<turn>", 0, 3},
             {"\n\n", 0, 4},
             {"\"\\\xc3\xa9", 0, 4}};
enum { N_EXTRA = sizeof extra / sizeof *extra, VOCAB = 260 + N_EXTRA };

static void piece_of(int id, char text[16], float *score, int *type)
{
    static const char *const first[] = {"<pad>", "<eos>", "<bos>", "<unk>"};
    *score = -1000;
    *type = id < 4 ? 3 : 6;
    if (id < 4)
        snprintf(text, 16, "%s", first[id]);
    else if (id < 260)
        snprintf(text, 16, "<0x%02X>", (unsigned)(id - 4));
    else {
        snprintf(text, 16, "%s", extra[id - 260].text);
        *score = extra[id - 260].score;
        *type = extra[id - 260].type;
    }
}

static void put_merges(gguf_build *g)
{
    static const char *const merges[] = {"b c", "a b", "a bc", "\xe2\x96\x81 a"};
    enum { N = sizeof merges / sizeof *merges };
    gb_array(g, "tokenizer.ggml.merges", RS_GGUF_STRING, N);
    for (int i = 0; i < N; i++)
        gb_text(&g->keys, merges[i], strlen(merges[i]));
}

/* model: "llama" (scores) or "gemma4" (merges) */
static void put_tokenizer(gguf_build *g, const char *model)
{
    char text[16];
    float score;
    int type;
    gb_string(g, "tokenizer.ggml.model", model);
    if (strcmp(model, "gemma4") == 0) put_merges(g);
    gb_array(g, "tokenizer.ggml.tokens", RS_GGUF_STRING, VOCAB);
    for (int i = 0; i < VOCAB; i++) {
        piece_of(i, text, &score, &type);
        gb_text(&g->keys, text, strlen(text));
    }
    gb_array(g, "tokenizer.ggml.scores", RS_GGUF_F32, VOCAB);
    for (int i = 0; i < VOCAB; i++) {
        uint32_t bits;
        piece_of(i, text, &score, &type);
        memcpy(&bits, &score, 4);
        gb_u32(&g->keys, bits);
    }
    gb_array(g, "tokenizer.ggml.token_type", RS_GGUF_I32, VOCAB);
    for (int i = 0; i < VOCAB; i++) {
        piece_of(i, text, &score, &type);
        gb_u32(&g->keys, (uint32_t)type);
    }
    gb_int(g, "tokenizer.ggml.bos_token_id", 2);
    gb_int(g, "tokenizer.ggml.eos_token_id", 271);
    gb_int(g, "tokenizer.ggml.unknown_token_id", 3);
    gb_int(g, "tokenizer.ggml.padding_token_id", 0);
    gb_bool(g, "tokenizer.ggml.add_space_prefix", false);
    gb_string(g, "tokenizer.chat_template", "{{ \"x\" }}\n");
}

static void put_config(gguf_build *g)
{
    gb_string(g, "general.architecture", "gemma3");
    gb_int(g, "gemma3.block_count", 1);
    gb_int(g, "gemma3.embedding_length", HIDDEN);
    gb_int(g, "gemma3.context_length", 128);
    gb_int(g, "gemma3.feed_forward_length", INNER);
    gb_int(g, "gemma3.attention.head_count", HEADS);
    gb_int(g, "gemma3.attention.head_count_kv", 1);
    gb_int(g, "gemma3.attention.key_length", HEAD);
    gb_int(g, "gemma3.attention.sliding_window", 16);
    gb_float(g, "gemma3.attention.layer_norm_rms_epsilon", 1e-6f);
}

/* Values of some pattern; a rows of 0 is a vector. */
static void put_f32(gguf_build *g, const char *name, uint64_t rows, uint64_t cols)
{
    size_t n = (size_t)((rows ? rows : 1) * cols);
    float *v = kept(malloc(n * sizeof *v));
    for (size_t i = 0; i < n; i++)
        v[i] = 1 + (float)((i * 7919 + strlen(name)) % 257) / 1024;
    gb_tensor(g, name, RS_DTYPE_F32, rows, cols, v, n * sizeof *v);
}

/* q8_0: half scale 1/128 and 32 numbers. */
static void put_q8(gguf_build *g, const char *name, uint64_t rows, uint64_t cols)
{
    rs_buf b = {0};
    for (uint64_t i = 0; i < rows * cols / 32; i++) {
        rs_buf_add(&b, "\x00\x20", 2);
        for (int k = 0; k < 32; k++)
            rs_buf_putc(&b, (char)((int)(i * 31 + (uint64_t)k * 5) % 251 - 125));
    }
    gb_tensor(g, name, RS_DTYPE_Q8_0, rows, cols, b.data, b.len);
    kept(b.data);
}

static void put_tensors(gguf_build *g)
{
    put_q8(g, "token_embd.weight", VOCAB, HIDDEN);
    put_f32(g, "output_norm.weight", 0, HIDDEN);
    put_q8(g, "blk.0.attn_q.weight", HEADS * HEAD, HIDDEN);
    put_f32(g, "blk.0.attn_norm.weight", 0, HIDDEN);
    put_f32(g, "blk.0.ffn_down.weight", HIDDEN, INNER);
}

static const char *gguf_of(const char *folder, const char *model, const char *further)
{
    gguf_build g = GGUF_BUILD;
    const char *path = in_folder(folder, "small.gguf");
    put_config(&g);
    put_tokenizer(&g, model);
    put_tensors(&g);
    if (further) put_f32(&g, further, 2, 32);
    gb_save(&g, path);
    return path;
}

static const char *small_gguf(const char *folder, const char *further)
{
    return gguf_of(folder, "llama", further);
}

typedef struct subject {
    rs_runtime rt;
    rs_checkpoint *gguf, *folder;
    const char *out;
    rs_import_result result;
} subject;

static rs_status import(subject *s, const char *gguf, const char *out, rs_dtype d,
                        int threads)
{
    *s = (subject){.out = out};
    RS_TRY(rs_init(&(rs_options){.threads = threads}, &s->rt, &t_err));
    RS_TRY(rs_checkpoint_open(gguf, &s->gguf, &t_err));
    rs_import_options o = {.out = out, .dtype = d};
    RS_TRY(rs_import(&s->rt, s->gguf, &o, &s->result, &t_err));
    return rs_checkpoint_open(out, &s->folder, &t_err);
}

static void done(subject *s)
{
    rs_checkpoint_close(s->gguf);
    rs_checkpoint_close(s->folder);
    rs_quit(&s->rt);
}

/* All tensors of the folder are those of the GGUF, rounded as the folder stores them. */
static void same_tensors(const subject *s)
{
    T_EQ(rs_checkpoint_count(s->folder), s->result.n_tensors);
    for (int i = 0; i < rs_checkpoint_count(s->folder); i++) {
        const rs_tensor *t = rs_checkpoint_at(s->folder, i);
        const rs_tensor *from = rs_checkpoint_find(s->gguf, t->name);
        T_TRUE(from && from->n_elements == t->n_elements && from->n_dims == t->n_dims);
        size_t n = (size_t)t->n_elements;
        float *a = malloc(n * sizeof *a), *b = malloc(n * sizeof *b);
        T_OK(rs_checkpoint_read_f32(s->gguf, from, 0, from->n_elements, a, &t_err));
        T_OK(rs_checkpoint_read_f32(s->folder, t, 0, t->n_elements, b, &t_err));
        for (size_t k = 0; t->dtype == RS_DTYPE_BF16 && k < n; k++)
            a[k] = rs_bf16_to_f32(rs_bf16_from_f32(a[k]));
        T_EQ(memcmp(a, b, n * sizeof *a), 0);
        free(a);
        free(b);
    }
}

static void same_ids(const rs_tokenizer *a, const rs_tokenizer *b, const char *text)
{
    rs_ids x = {0}, y = {0};
    T_OK(rs_tokenize(a, text, strlen(text), true, &x, &t_err));
    T_OK(rs_tokenize(b, text, strlen(text), true, &y, &t_err));
    T_EQ(x.n, y.n);
    for (int64_t i = 0; i < x.n; i++)
        T_EQ(x.at[i], y.at[i]);
    rs_ids_free(&x);
    rs_ids_free(&y);
}

static void a_small_file_comes_round(void)
{
    const char *folder = t_folder(), *gguf = small_gguf(folder, NULL);
    subject s;
    T_OK(import(&s, gguf, in_folder(folder, "f32"), RS_DTYPE_F32, 2));
    T_EQ(s.result.n_left_out, 0);
    T_EQ(s.result.n_tensors, 5);
    T_TRUE(rs_checkpoint_find(s.folder, "model.layers.0.mlp.down_proj.weight"));
    same_tensors(&s);
    done(&s);
}

static void bf16_is_rounded_once_by_any_threads(void)
{
    const char *folder = t_folder(), *gguf = small_gguf(folder, NULL);
    subject one, three;
    T_OK(import(&one, gguf, in_folder(folder, "one"), RS_DTYPE_BF16, 1));
    T_OK(import(&three, gguf, in_folder(folder, "three"), RS_DTYPE_BF16, 3));
    same_tensors(&one);
    T_STR(one.result.hash, three.result.hash);
    done(&one);
    done(&three);
}

static void check_tokenizer(const char *model)
{
    static const char *const texts[] = {
        "",      "abc ab a",     "aabcab",          "  a   ab     c",  "x<turn>a\n\n\nb",
        "<bos>", "\"\\\xc3\xa9", "\xc3\xa9 <0x41>", "aaaa abababcabc", "         a"};
    const char *folder = t_folder(), *gguf = gguf_of(folder, model, NULL);
    subject s;
    rs_tokenizer *a, *b;
    T_OK(import(&s, gguf, in_folder(folder, "out"), RS_DTYPE_F32, 1));
    T_OK(rs_tokenizer_from_gguf(s.gguf, &a, &t_err));
    T_OK(rs_tokenizer_load(s.out, &b, &t_err));
    T_EQ(rs_tokenizer_size(b), VOCAB);
    T_EQ(rs_tokenizer_bos(b), 2);
    T_TRUE(rs_tokenizer_is_special(b, 271) && !rs_tokenizer_is_special(b, 268));
    T_STR(rs_tokenizer_piece(a, 269), "   ");
    T_STR(rs_tokenizer_piece(b, 269), "\xe2\x96\x81\xe2\x96\x81\xe2\x96\x81");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        same_ids(a, b, texts[i]);
    rs_tokenizer_free(a);
    rs_tokenizer_free(b);
    done(&s);
}

static void scores_become_merges(void)
{
    check_tokenizer("llama");
}

static void merges_stay_in_their_order(void)
{
    check_tokenizer("gemma4");
}

static void the_small_files_say_what_the_keys_say(void)
{
    const char *folder = t_folder(), *gguf = small_gguf(folder, NULL);
    subject s;
    rs_json *v;
    T_OK(import(&s, gguf, in_folder(folder, "out"), RS_DTYPE_F32, 1));
    T_OK(rs_json_read_file(in_folder(s.out, "config.json"), 1 << 20, &v, &t_err));
    T_STR(rs_json_string(rs_json_get(v, "dtype")), "float32");
    T_EQ(rs_json_number(rs_json_get(v, "vocab_size")), VOCAB);
    rs_json_free(v);
    /* transformers refuses a whole number that is written 8.0 here. */
    rs_buf config = {0};
    T_OK(rs_os_read_file(in_folder(s.out, "config.json"), 1 << 20, &config, &t_err));
    const char *scalar = strstr(rs_buf_str(&config), "\"query_pre_attn_scalar\": ");
    T_TRUE(scalar && scalar[25 + strspn(scalar + 25, "0123456789")] == ',');
    rs_buf_free(&config);
    T_OK(rs_json_read_file(in_folder(s.out, "generation_config.json"), 1 << 20, &v,
                           &t_err));
    const rs_json *eos = rs_json_get(v, "eos_token_id");
    T_EQ(rs_json_count(eos), 2);
    T_EQ(rs_json_number(rs_json_next(rs_json_first(eos))), 271);
    T_EQ(rs_json_number(rs_json_get(v, "bos_token_id")), 2);
    rs_json_free(v);
    T_OK(rs_json_read_file(in_folder(s.out, "tokenizer_config.json"), 1 << 20, &v,
                           &t_err));
    T_STR(rs_json_string(rs_json_get(v, "eos_token")), "<turn>");
    T_STR(rs_json_string(rs_json_get(v, "unk_token")), "<unk>");
    T_STR(rs_json_string(rs_json_get(v, "chat_template")), "{{ \"x\" }}\n");
    T_TRUE(rs_json_true(rs_json_get(v, "add_bos_token")));
    rs_json_free(v);
    done(&s);
}

/* What makes the config of the folder one that is refused stops before anything is written. */
static void no_folder_that_is_refused(void)
{
    static const struct {
        const char *key, *words;
        float value;
    } cases[] = {
        {"gemma3.rope.freq_base", "theta -1", -1},
        {"gemma3.rope.scaling.factor", "factor -2", -2},
        {"gemma3.attention.scale", "attention.scale is not a finite", NAN},
        {"gemma3.attention.value_length", "value_length is 5, only", 5},
        {"gemma3.expert_count", "4 experts", 4},
    };
    const char *folder = t_folder(), *out = in_folder(folder, "out");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gguf_build g = GGUF_BUILD;
        subject s;
        put_config(&g);
        gb_int(&g, "gemma3.attention.sliding_window_pattern", 1); /* all are full */
        gb_float(&g, cases[i].key, cases[i].value);
        put_tensors(&g);
        gb_save(&g, in_folder(folder, "odd.gguf"));
        rs_status status =
            import(&s, in_folder(folder, "odd.gguf"), out, RS_DTYPE_F32, 1);
        T_TRUE(status == RS_E_FORMAT || status == RS_E_UNSUPPORTED);
        T_TRUE(strstr(t_err.msg, cases[i].words) && strstr(t_err.msg, "odd.gguf: "));
        T_TRUE(rs_os_kind(out) == RS_PATH_NONE);
        done(&s);
    }
}

static void refusals_leave_nothing_behind(void)
{
    const char *folder = t_folder(), *gguf = small_gguf(folder, "blk.0.strange.weight");
    const char *out = in_folder(folder, "out");
    subject s;
    T_FAILS(import(&s, gguf, out, RS_DTYPE_F32, 1), RS_E_UNSUPPORTED,
            "blk.0.strange.weight");
    done(&s);
    T_FAILS(import(&s, small_gguf(folder, NULL), out, RS_DTYPE_F16, 1), RS_E_INVALID,
            "bf16 or f32");
    rs_import_options o = {.out = out, .dtype = RS_DTYPE_F32, .progress = stop_at_once};
    T_FAILS(rs_import(&s.rt, s.gguf, &o, &s.result, &t_err), RS_E_CANCELLED, "cancelled");
    done(&s);
    T_TRUE(rs_os_kind(out) == RS_PATH_NONE);
    T_TRUE(rs_os_kind(in_folder(folder, "out.partial")) == RS_PATH_NONE);
    T_OK(import(&s, gguf, out, RS_DTYPE_F32, 1));
    o.progress = NULL;
    T_FAILS(rs_import(&s.rt, s.gguf, &o, &s.result, &t_err), RS_E_EXISTS, "out");
    T_FAILS(rs_import(&s.rt, s.folder, &o, &s.result, &t_err), RS_E_UNSUPPORTED,
            "no GGUF");
    o.force = true;
    T_OK(rs_import(&s.rt, s.gguf, &o, &s.result, &t_err));
    done(&s);
}

/* The imported tokenizer gives the ids of the published one, in a text with U+2581 too,
 * which the GGUF's own cannot. */
static void same_as_published(const rs_tokenizer *t, const char *list)
{
    rs_pull *p;
    token_case c = {0};
    int n = 0;
    T_TRUE(token_open_cases(list, &p));
    for (; token_next_case(p, &c); n++) {
        rs_ids ids = {0};
        T_OK(rs_tokenize(t, rs_buf_str(&c.text), c.text.len, true, &ids, &t_err));
        T_EQ(ids.n, c.ids_special.n);
        for (int64_t i = 0; i < ids.n; i++)
            T_EQ(ids.at[i], c.ids_special.at[i]);
        rs_ids_free(&ids);
    }
    T_EQ(n, 175);
    token_case_free(&c);
    rs_pull_close(p);
}

static void gemma_270m_comes_round(void)
{
    const char *gguf = t_gemma270(), *list = t_shared("fixtures/tokenizer/gemma3.json");
    if (!gguf) T_NO_GEMMA270();
    subject s;
    rs_tokenizer *t;
    T_OK(import(&s, gguf, in_folder(t_folder(), "out"), RS_DTYPE_BF16, 2));
    T_EQ(s.result.n_tensors, 236);
    same_tensors(&s);
    T_OK(rs_tokenizer_load(s.out, &t, &t_err));
    if (list) same_as_published(t, list);
    rs_tokenizer_free(t);
    unlink(in_folder(s.out, "model.safetensors"));
    done(&s);
}

T_MAIN(T_TEST(a_small_file_comes_round), T_TEST(bf16_is_rounded_once_by_any_threads),
       T_TEST(scores_become_merges), T_TEST(merges_stay_in_their_order),
       T_TEST(the_small_files_say_what_the_keys_say), T_TEST(no_folder_that_is_refused),
       T_TEST(refusals_leave_nothing_behind), T_TEST(gemma_270m_comes_round))
