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

T_MAIN(T_TEST(keys_of_all_types), T_TEST(every_cut_is_refused),
       T_TEST(broken_bytes_never_crash), T_TEST(bad_starts), T_TEST(bad_keys),
       T_TEST(bad_tensors), T_TEST(dimensions_turn_round),
       T_TEST(large_headers_are_read_in_parts), T_TEST(names),
       T_TEST(checkpoints_speak_hugging_face))
