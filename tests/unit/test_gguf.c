/* GGUF files: container, names, config, and every way in which they can be bad. */
#include "base/json.h"
#include "base/rng.h"
#include "model/config.h"
#include "tensor/convert.h"
#include "tests/gguf_build.h"
#include "tests/t.h"

#include <stdint.h>

static rs_status parse(const rs_buf *f, rs_gguf **g)
{
    return rs_gguf_parse(f->data, f->len, f->len, "x.gguf", g, &t_err);
}

/* ---- the container ---- */

static gguf_build with_all_types(void)
{
    gguf_build b = GGUF_BUILD;
    gb_string(&b, "general.architecture", "test");
    gb_key(&b, "u8", RS_GGUF_U8);
    rs_buf_putc(&b.keys, (char)200);
    gb_key(&b, "i8", RS_GGUF_I8);
    rs_buf_putc(&b.keys, (char)-56);
    gb_key(&b, "u16", RS_GGUF_U16);
    rs_buf_add(&b.keys, "\x01\xff", 2);
    gb_key(&b, "i16", RS_GGUF_I16);
    rs_buf_add(&b.keys, "\x01\xff", 2);
    gb_int(&b, "u32", 4000000000u);
    gb_key(&b, "i32", RS_GGUF_I32);
    gb_u32(&b.keys, (uint32_t)-7);
    gb_float(&b, "f32", 0.5f);
    gb_float(&b, "whole", 12.0f);
    gb_bool(&b, "yes", true);
    gb_key(&b, "u64", RS_GGUF_U64);
    gb_u64(&b.keys, 1ull << 40);
    gb_key(&b, "huge", RS_GGUF_U64);
    gb_u64(&b.keys, UINT64_MAX);
    gb_key(&b, "i64", RS_GGUF_I64);
    gb_u64(&b.keys, (uint64_t)-9);
    gb_key(&b, "f64", RS_GGUF_F64);
    gb_u64(&b.keys, 0x3fb999999999999aull);
    gb_array(&b, "flags", RS_GGUF_BOOL, 3);
    rs_buf_add(&b.keys, "\1\0\1", 3);
    gb_array(&b, "words", RS_GGUF_STRING, 3);
    gb_text(&b.keys, "one", 3);
    gb_text(&b.keys, "", 0);
    gb_text(&b.keys, "th\0ee\xff", 6);
    gb_array(&b, "nothing", RS_GGUF_F32, 0);
    return b;
}

static int64_t int_of(const rs_gguf *g, const char *key)
{
    int64_t v = INT64_MIN;
    return rs_gguf_int(g, key, &v) ? v : INT64_MIN;
}

static void keys_of_all_types(void)
{
    gguf_build b = with_all_types();
    rs_buf f = gb_file(&b);
    rs_gguf *g;
    T_OK(parse(&f, &g));
    T_EQ(rs_gguf_n_keys(g), 17);
    T_STR(rs_gguf_arch(g), "test");
    T_EQ(int_of(g, "u8"), 200);
    T_EQ(int_of(g, "i8"), -56);
    T_EQ(int_of(g, "u16"), 0xff01);
    T_EQ(int_of(g, "i16"), -255);
    T_EQ(int_of(g, "u32"), 4000000000);
    T_EQ(int_of(g, "i32"), -7);
    T_EQ(int_of(g, "whole"), 12);
    T_EQ(int_of(g, "yes"), 1);
    T_EQ(int_of(g, "u64"), 1ll << 40);
    T_EQ(int_of(g, "i64"), -9);
    static const char *const no_ints[] = {
        "f32", "huge", "words", "general.architecture", "absent", "flags"};
    for (int i = 0; i < 6; i++)
        T_EQ(int_of(g, no_ints[i]), INT64_MIN);
    double d = 0;
    bool yes = false;
    size_t n = 0;
    T_TRUE(rs_gguf_number(g, "f64", &d) && d == 0.1);
    T_TRUE(rs_gguf_number(g, "f32", &d) && d == 0.5);
    T_TRUE(rs_gguf_number(g, "i8", &d) && d == -56);
    T_TRUE(!rs_gguf_number(g, "general.architecture", &d));
    T_TRUE(rs_gguf_bool(g, "yes", &yes) && yes && !rs_gguf_bool(g, "u8", &yes));
    T_TRUE(rs_gguf_string(g, "u8", &n) == NULL && rs_gguf_string(g, "words", &n) == NULL);
    const rs_gguf_value *flags = rs_gguf_get(g, "flags"),
                        *words = rs_gguf_get(g, "words");
    int64_t v = -1;
    T_TRUE(flags->is_array && flags->count == 3 && rs_gguf_int_at(flags, 1, &v) &&
           v == 0);
    T_TRUE(memcmp(rs_gguf_string_at(words, 2, &n), "th\0ee\xff", 6) == 0 && n == 6);
    T_TRUE(rs_gguf_string_at(words, 1, &n) && n == 0);
    T_TRUE(rs_gguf_string_at(flags, 1, &n) == NULL);
    T_EQ(rs_gguf_get(g, "nothing")->count, 0);
    T_STR(rs_gguf_key_at(g, 1)->key, "u8");
    rs_gguf_free(g);
    rs_gguf_free(NULL);
}

static void every_cut_is_refused(void)
{
    gguf_build b = with_all_types();
    float w[64] = {1, 2, 3};
    gb_tensor(&b, "a", RS_DTYPE_F32, 4, 8, w, 128);
    gb_tensor(&b, "b", RS_DTYPE_Q8_0, 1, 64, w, 68);
    rs_buf f = gb_file(&b);
    rs_gguf *g;
    T_OK(parse(&f, &g));
    T_EQ(rs_gguf_n_tensors(g), 2);
    rs_gguf_free(g);
    for (size_t n = 0; n < f.len; n++) {
        char *part = malloc(n ? n : 1); /* so that a read past the end is seen */
        memcpy(part, f.data, n);
        T_FAILS(rs_gguf_parse(part, n, n, "x.gguf", &g, &t_err), RS_E_FORMAT, "x.gguf");
        T_TRUE(g == NULL);
        free(part);
    }
}

static void broken_bytes_never_crash(void)
{
    gguf_build b = with_all_types();
    float w[64] = {1, 2, 3};
    gb_tensor(&b, "blk.0.attn_q.weight", RS_DTYPE_F32, 4, 8, w, 128);
    rs_buf f = gb_file(&b);
    for (uint64_t i = 0; i < 20000; i++) {
        char *copy = malloc(f.len);
        memcpy(copy, f.data, f.len);
        for (uint64_t k = 0; k < 1 + i % 3; k++)
            copy[rs_rng_at(i, k, 0) % f.len] = (char)rs_rng_at(i, k, 1);
        rs_gguf *g;
        if (rs_gguf_parse(copy, f.len, f.len, "x.gguf", &g, &t_err) == RS_OK)
            rs_gguf_free(g);
        else
            T_TRUE(strstr(t_err.msg, "x.gguf") != NULL);
        free(copy);
    }
}

static void bad_starts(void)
{
    rs_gguf *g;
    gguf_build b = GGUF_BUILD;
    rs_buf f = gb_file(&b);
    T_OK(parse(&f, &g)); /* no keys and no tensors is a file too */
    rs_gguf_free(g);
    f.data[3] = 'f';
    T_FAILS(parse(&f, &g), RS_E_FORMAT, "does not begin with \"GGUF\"");
    b = GGUF_BUILD;
    b.version = 1;
    f = gb_file(&b);
    T_FAILS(parse(&f, &g), RS_E_UNSUPPORTED, "GGUF version 1: versions 2 and 3");
    b = GGUF_BUILD;
    b.version = 0x03000000;
    f = gb_file(&b);
    T_FAILS(parse(&f, &g), RS_E_UNSUPPORTED, "big-endian");
    b = GGUF_BUILD;
    b.n_tensors = 1ull << 60;
    f = gb_file(&b);
    T_FAILS(parse(&f, &g), RS_E_FORMAT, "more than its 32 bytes can hold");
    b = GGUF_BUILD;
    b.n_keys = UINT64_MAX;
    f = gb_file(&b);
    T_FAILS(parse(&f, &g), RS_E_FORMAT, "more than its 32 bytes can hold");
}

static void bad_keys(void)
{
    rs_gguf *g;
    gguf_build b = GGUF_BUILD;
    gb_int(&b, "a", 1);
    gb_int(&b, "a", 1);
    rs_buf f = gb_file(&b);
    T_FAILS(parse(&f, &g), RS_E_FORMAT, "has the key a twice");
    b = GGUF_BUILD;
    gb_int(&b, "", 1);
    f = gb_file(&b);
    T_FAILS(parse(&f, &g), RS_E_FORMAT, "has 0 bytes, 1 to 1024 are accepted");
    b = GGUF_BUILD;
    gb_int(&b, "\xff", 1);
    f = gb_file(&b);
    T_FAILS(parse(&f, &g), RS_E_FORMAT, "not valid UTF-8");
    b = GGUF_BUILD;
    gb_key(&b, "k", (rs_gguf_type)13);
    gb_u64(&b.keys, 0);
    f = gb_file(&b);
    T_FAILS(parse(&f, &g), RS_E_FORMAT, "key k has the unknown type 13");
    b = GGUF_BUILD;
    gb_array(&b, "k", RS_GGUF_ARRAY, 1);
    f = gb_file(&b);
    T_FAILS(parse(&f, &g), RS_E_UNSUPPORTED, "key k is an array of arrays");
    b = GGUF_BUILD;
    gb_array(&b, "k", RS_GGUF_F64, 1ull << 61);
    f = gb_file(&b);
    T_FAILS(parse(&f, &g), RS_E_FORMAT, "key k has 2305843009213693952 elements");
    b = GGUF_BUILD;
    gb_array(&b, "k", RS_GGUF_STRING, 1ull << 40);
    f = gb_file(&b);
    T_FAILS(parse(&f, &g), RS_E_FORMAT, "takes 8796093022208 bytes but only");
    b = GGUF_BUILD;
    gb_key(&b, "k", RS_GGUF_STRING);
    gb_u64(&b.keys, UINT64_MAX - 4);
    f = gb_file(&b);
    T_FAILS(parse(&f, &g), RS_E_FORMAT, "x.gguf: a string at");
    b = GGUF_BUILD;
    gb_int(&b, "general.alignment", 24);
    f = gb_file(&b);
    T_FAILS(parse(&f, &g), RS_E_FORMAT, "general.alignment is not a power of two");
    b = GGUF_BUILD;
    gb_string(&b, "general.alignment", "32");
    f = gb_file(&b);
    T_FAILS(parse(&f, &g), RS_E_FORMAT, "general.alignment");
}

static rs_status with_tensor(uint32_t n_dims, const uint64_t *dims, uint32_t type,
                             uint64_t offset, int times)
{
    gguf_build b = GGUF_BUILD;
    rs_gguf *g;
    for (int i = 0; i < times; i++)
        gb_entry(&b, "t", n_dims, dims, type, offset);
    char zeros[256] = "";
    rs_buf_add(&b.data, zeros, sizeof zeros);
    rs_buf f = gb_file(&b);
    rs_status s = parse(&f, &g);
    if (s == RS_OK) rs_gguf_free(g);
    return s;
}

static void bad_tensors(void)
{
    const uint64_t d8[] = {8}, d33[] = {33}, many[] = {2, 2, 2, 2, 2};
    const uint64_t wide[] = {1ull << 32, 1ull << 32}, negative[] = {UINT64_MAX};
    const uint64_t big[] = {1ull << 61}, blocks[] = {16, 2};
    T_OK(with_tensor(1, d8, 0, 0, 1));
    T_OK(with_tensor(0, NULL, 0, 32, 1)); /* a scalar */
    T_FAILS(with_tensor(1, d8, 0, 0, 2), RS_E_FORMAT, "has the tensor t twice");
    T_FAILS(with_tensor(5, many, 0, 0, 1), RS_E_FORMAT, "t has 5 dimensions, at most 4");
    T_FAILS(with_tensor(2, wide, 0, 0, 1), RS_E_FORMAT, "dimensions overflows");
    T_FAILS(with_tensor(1, negative, 0, 0, 1), RS_E_FORMAT, "dimensions overflows");
    T_FAILS(with_tensor(1, big, 28, 0, 1), RS_E_FORMAT, "size in bytes overflows");
    T_FAILS(with_tensor(1, big, 0, 0, 1), RS_E_FORMAT, "does not fit");
    T_FAILS(with_tensor(1, d33, 8, 0, 1), RS_E_FORMAT,
            "t has rows of 33 values, which are no whole blocks of q8_0");
    T_FAILS(with_tensor(2, blocks, 8, 0, 1), RS_E_FORMAT, "rows of 16 values");
    T_FAILS(with_tensor(1, d8, 3, 0, 1), RS_E_UNSUPPORTED, "type 3 (Q4_1): f32, f16");
    T_FAILS(with_tensor(1, d8, 99, 0, 1), RS_E_UNSUPPORTED, "type 99 (unknown)");
    T_FAILS(with_tensor(1, d8, 0, 8, 1), RS_E_FORMAT,
            "begins at 8, not at a multiple of 32");
    T_FAILS(with_tensor(1, d8, 0, 256, 1), RS_E_FORMAT,
            "t of 32 bytes at 256 does not fit the 256 bytes of data");
    T_FAILS(with_tensor(1, d8, 0, UINT64_MAX - 31, 1), RS_E_FORMAT, "does not fit");
    gguf_build b = GGUF_BUILD;
    rs_gguf *g;
    const uint64_t d16[] = {16};
    gb_entry(&b, "a", 1, d16, 0, 0);
    gb_entry(&b, "b", 1, d16, 0, 32);
    char zeros[96] = "";
    rs_buf_add(&b.data, zeros, sizeof zeros);
    rs_buf f = gb_file(&b);
    T_FAILS(parse(&f, &g), RS_E_FORMAT, "tensors a and b overlap");
}

static void dimensions_turn_round(void)
{
    gguf_build b = GGUF_BUILD;
    rs_gguf *g;
    const uint64_t dims[] = {64, 3, 2};
    char zeros[2048] = "";
    gb_int(&b, "general.alignment", 64);
    b.alignment = 64;
    gb_entry(&b, "t", 3, dims, (uint32_t)rs_dtype_of(RS_DTYPE_Q8_0)->gguf, 64);
    rs_buf_add(&b.data, zeros, sizeof zeros);
    rs_buf f = gb_file(&b);
    T_OK(parse(&f, &g));
    const rs_tensor *t = rs_gguf_find(g, "t");
    T_TRUE(t && t->n_dims == 3 && t->dim[0] == 2 && t->dim[1] == 3 && t->dim[2] == 64);
    T_EQ(t->n_elements, 384);
    T_EQ(t->n_bytes, 12 * 34);
    T_EQ(rs_gguf_data_start(g) % 64, 0);
    T_EQ(t->offset, rs_gguf_data_start(g) + 64);
    T_TRUE(rs_gguf_find(g, "u") == NULL);
    rs_gguf_free(g);
}

static void large_headers_are_read_in_parts(void)
{
    const char *dir = t_folder(), *path = in_folder(dir, "big.gguf");
    gguf_build b = GGUF_BUILD;
    enum { WORDS = 900000 };
    gb_string(&b, "general.architecture", "x");
    gb_array(&b, "words", RS_GGUF_STRING, WORDS);
    for (int i = 0; i < WORDS; i++) {
        char w[16];
        int n = snprintf(w, sizeof w, "word %d", i);
        gb_text(&b.keys, w, (size_t)n);
    }
    float one = 1;
    gb_tensor(&b, "t", RS_DTYPE_F32, 0, 1, &one, 4);
    T_TRUE(b.keys.len > 16 << 20); /* more than is read at once */
    gb_save(&b, path);
    rs_checkpoint *c;
    T_OK(rs_checkpoint_open(path, &c, &t_err));
    const rs_gguf_value *words = rs_gguf_get(rs_checkpoint_gguf(c), "words");
    size_t n = 0;
    T_EQ(words->count, WORDS);
    T_TRUE(memcmp(rs_gguf_string_at(words, WORDS - 1, &n), "word 899999", 11) == 0);
    rs_checkpoint_close(c);
}

/* ---- as a checkpoint ---- */

static void names(void)
{
    static const struct {
        const char *arch, *gguf, *hf;
        float shift;
    } cases[] = {
        {"gemma3", "token_embd.weight", "model.embed_tokens.weight", 0},
        {"gemma3", "output_norm.weight", "model.norm.weight", -1},
        {"gemma3", "blk.17.attn_k_norm.weight", "model.layers.17.self_attn.k_norm.weight",
         -1},
        {"gemma3", "blk.0.ffn_norm.weight",
         "model.layers.0.pre_feedforward_layernorm.weight", -1},
        {"gemma3", "blk.3.post_ffw_norm.weight",
         "model.layers.3.post_feedforward_layernorm.weight", -1},
        {"gemma3", "blk.3.ffn_down.weight", "model.layers.3.mlp.down_proj.weight", 0},
        {"gemma4", "blk.5.attn_norm.weight", "model.layers.5.input_layernorm.weight", 0},
        {"gemma4", "blk.5.layer_output_scale.weight", "model.layers.5.layer_scalar", 0},
        {"gemma4", "blk.5.post_norm.weight",
         "model.layers.5.post_per_layer_input_norm.weight", 0},
        {"gemma4", "blk.5.inp_gate.weight", "model.layers.5.per_layer_input_gate.weight",
         0},
        {"gemma4", "blk.5.proj.weight", "model.layers.5.per_layer_projection.weight", 0},
        {"gemma4", "per_layer_model_proj.weight",
         "model.per_layer_model_projection.weight", 0},
        {"gemma4", "output.weight", "lm_head.weight", 0},
        {"gemma4", "rope_freqs.weight", NULL, 0},
        {"gemma3", "blk.x.attn_q.weight", NULL, 0},
        {"gemma3", "blk.123456.attn_q.weight", NULL, 0},
        {"gemma3", "blk.00.attn_q.weight", NULL, 0},
        {"gemma3", "blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight", 0},
        {"gemma3", "blk.1.ssm_a.weight", NULL, 0},
        {"falcon", "token_embd.weight", NULL, 0},
        {"llama", "blk.2.ffn_norm.weight",
         "model.layers.2.post_attention_layernorm.weight", 0},
        {"llama", "blk.2.attn_q.bias", NULL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char hf[128] = "";
        float shift = 0;
        bool known = rs_gguf_hf_name(cases[i].arch, cases[i].gguf, hf, sizeof hf, &shift);
        T_EQ(known, cases[i].hf != NULL);
        if (!known) continue;
        T_STR(hf, cases[i].hf);
        T_TRUE(shift == cases[i].shift);
    }
    T_TRUE(rs_gguf_arch_is_known("gemma4") && !rs_gguf_arch_is_known("gemma5"));
}

static void checkpoints_speak_hugging_face(void)
{
    const char *dir = t_folder(), *path = in_folder(dir, "m.gguf");
    gguf_build b = GGUF_BUILD;
    const float norm[4] = {1.5f, 1, 0.25f, -3};
    uint8_t q4[18 * 4];
    for (int i = 0; i < 72; i++)
        q4[i] = (uint8_t)(i * 37 + 5);
    for (int i = 0; i < 4; i++)
        q4[18 * i + 1] = 0x2c; /* a tame scale */
    gb_string(&b, "general.architecture", "gemma3");
    gb_string(&b, "general.name", "tiny");
    gb_tensor(&b, "output_norm.weight", RS_DTYPE_F32, 0, 4, norm, 16);
    gb_tensor(&b, "blk.0.attn_q.weight", RS_DTYPE_Q4_0, 2, 64, q4, 72);
    gb_tensor(&b, "odd.weight", RS_DTYPE_F32, 0, 4, norm, 16);
    gb_save(&b, path);
    rs_checkpoint *c;
    T_OK(rs_checkpoint_open(path, &c, &t_err));
    T_EQ(rs_checkpoint_layout(c), RS_LAYOUT_GGUF);
    T_EQ(rs_checkpoint_count(c), 3);
    T_STR(rs_checkpoint_metadata(c, "general.name"), "tiny");
    T_EQ(rs_checkpoint_n_metadata(c), 2);
    const rs_tensor *n = rs_checkpoint_find(c, "model.norm.weight");
    T_TRUE(n && n->shift == -1);
    T_STR(n->stored_name, "output_norm.weight");
    float f[128], part[128];
    T_OK(rs_checkpoint_read_f32(c, n, 1, 3, f, &t_err));
    T_TRUE(f[0] == 0 && f[1] == -0.75f && f[2] == -4);
    T_OK(rs_checkpoint_read_raw(c, n, 0, 4, f, &t_err));
    T_TRUE(f[0] == 1.5f); /* raw is raw */
    T_TRUE(rs_checkpoint_find(c, "odd.weight") !=
           NULL); /* unknown: its own name, no shift */
    const rs_tensor *q = rs_checkpoint_find(c, "model.layers.0.self_attn.q_proj.weight");
    T_TRUE(q && q->dim[0] == 2 && q->dim[1] == 64);
    T_OK(rs_checkpoint_read_f32(c, q, 0, 128, f, &t_err));
    for (int first = 0; first < 128; first++) /* any range, also inside blocks */
        for (int k = 0; k <= 128 - first; k++) {
            T_OK(rs_checkpoint_read_f32(c, q, first, k, part, &t_err));
            T_EQ(memcmp(part, f + first, (size_t)k * 4), 0);
        }
    rs_checkpoint_close(c);
}

/* ---- config ---- */

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

/* A quarter of the pairs of a full layer's head turn. */
static void add_frequencies(gguf_build *b, int head)
{
    float divisor[256];
    for (int i = 0; i < head / 2; i++)
        divisor[i] = i < head / 8 ? 1 : 1e30f;
    gb_tensor(b, "rope_freqs.weight", RS_DTYPE_F32, 0, (uint64_t)head / 2, divisor,
              (size_t)head / 2 * 4);
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
        add_frequencies(&b, from_json->layers[from_json->n_layers - 1].head_dim);
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

T_MAIN(T_TEST(keys_of_all_types), T_TEST(every_cut_is_refused),
       T_TEST(broken_bytes_never_crash), T_TEST(bad_starts), T_TEST(bad_keys),
       T_TEST(bad_tensors), T_TEST(dimensions_turn_round),
       T_TEST(large_headers_are_read_in_parts), T_TEST(names),
       T_TEST(checkpoints_speak_hugging_face), T_TEST(gemma3_configs),
       T_TEST(bad_configs), T_TEST(gemma4_configs), T_TEST(unequal_widths_are_refused))
