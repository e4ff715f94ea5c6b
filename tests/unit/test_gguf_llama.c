/* Architecture llama of GGUF: rows stored in pairs, Llama 3's table, imports and merges of
 * such files, and what is refused by name. Logits are in test_gguf_families.c. */
#include "base/json.h"
#include "merge/execute.h"
#include "model/import.h"
#include "tests/gguf_model.h"

/* ---- the fixture as a GGUF ---- */

static void make_gguf(const char *path, const char *name)
{
    char below[64];
    rs_checkpoint *hf;
    rs_config *config;
    gguf_build g = GGUF_BUILD;
    snprintf(below, sizeof below, "models/%s", name);
    T_OK(rs_checkpoint_open(t_golden(below), &hf, &t_err));
    T_OK(rs_config_load(hf, &config, &t_err));
    gm_model(&g, "llama", hf, config);
    gb_save(&g, path);
    rs_config_free(config);
    rs_checkpoint_close(hf);
}

static const char *fixture_gguf(const char *folder, const char *name)
{
    const char *path = in_folder(folder, "x.gguf");
    make_gguf(path, name);
    return path;
}

/* The tensors of both are the same bytes. */
static void same_as_fixture(const char *folder, const char *name)
{
    char below[64];
    rs_checkpoint *hf, *c;
    snprintf(below, sizeof below, "models/%s", name);
    T_OK(rs_checkpoint_open(t_golden(below), &hf, &t_err));
    T_OK(rs_checkpoint_open(folder, &c, &t_err));
    T_EQ(rs_checkpoint_count(c), rs_checkpoint_count(hf));
    for (int i = 0; i < rs_checkpoint_count(hf); i++) {
        const rs_tensor *t = rs_checkpoint_at(hf, i), *u = rs_checkpoint_find(c, t->name);
        T_TRUE(u && u->n_bytes == t->n_bytes && u->dtype == t->dtype);
        char *a = malloc((size_t)t->n_bytes), *b = malloc((size_t)t->n_bytes);
        T_OK(rs_checkpoint_read_raw(hf, t, 0, (size_t)t->n_bytes, a, &t_err));
        T_OK(rs_checkpoint_read_raw(c, u, 0, (size_t)t->n_bytes, b, &t_err));
        if (memcmp(a, b, (size_t)t->n_bytes) != 0) T_FAIL("%s differs", t->name);
        free(a);
        free(b);
    }
    rs_checkpoint_close(hf);
    rs_checkpoint_close(c);
}

/* ---- imports ---- */

static int import_to(const char *gguf, const char *out)
{
    rs_runtime rt;
    rs_checkpoint *c;
    rs_import_result result = {.n_left_out = -1};
    rs_import_options o = {.out = out, .dtype = RS_DTYPE_BF16};
    if (rs_init(&(rs_options){.threads = 2}, &rt, &t_err) != RS_OK) return -1;
    if (rs_checkpoint_open(gguf, &c, &t_err) != RS_OK) return -1;
    rs_status s = rs_import(&rt, c, &o, &result, &t_err);
    rs_checkpoint_close(c);
    rs_quit(&rt);
    return s == RS_OK ? result.n_left_out : -1;
}

static void same_config(const char *folder, const char *name)
{
    char below[64];
    rs_checkpoint *hf, *c;
    rs_config *a, *b;
    snprintf(below, sizeof below, "models/%s", name);
    T_OK(rs_checkpoint_open(t_golden(below), &hf, &t_err));
    T_OK(rs_checkpoint_open(folder, &c, &t_err));
    T_OK(rs_config_load(hf, &a, &t_err));
    T_OK(rs_config_load(c, &b, &t_err));
    T_STR(a->model_type, b->model_type);
    T_TRUE(a->sliding_window == b->sliding_window && a->tied_head == b->tied_head);
    for (int i = 0; i < a->n_layers; i++) {
        const rs_layer_config *l = &a->layers[i], *m = &b->layers[i];
        T_TRUE(l->rope_theta == m->rope_theta && l->rope_factor == m->rope_factor);
        T_TRUE(l->rope_low == m->rope_low && l->rope_high == m->rope_high);
        T_TRUE(l->rope_original == m->rope_original && l->is_full == m->is_full);
    }
    rs_config_free(a);
    rs_config_free(b);
    rs_checkpoint_close(hf);
    rs_checkpoint_close(c);
}

static void import_gives_back(const char *name)
{
    const char *folder = t_folder(), *out = in_folder(folder, "out");
    int n_tables = strcmp(name, "llama") == 0; /* Llama 3's frequencies */
    T_EQ(import_to(fixture_gguf(folder, name), out), n_tables);
    same_as_fixture(out, name);
    same_config(out, name);
    T_OK(rs_os_remove_tree(folder, &t_err));
}

static void import_llama(void)
{
    import_gives_back("llama");
}
static void import_mistral(void)
{
    import_gives_back("mistral");
}

/* ---- merges: a model between itself and itself is itself ---- */

static void merge(const char *folder, const char *one, const char *two, const char *out)
{
    rs_runtime rt;
    rs_recipe *r;
    rs_plan *plan;
    rs_buf text = {0};
    rs_execute_result result;
    rs_buf_printf(&text,
                  "{\"ringside\":1,\"name\":\"x\",\"models\":{\"a\":{\"path\":\"%s\"},"
                  "\"b\":{\"path\":\"%s\"}},\"stages\":[{\"name\":\"f\",\"method\":"
                  "\"slerp\",\"inputs\":[{\"from\":\"a\"},{\"from\":\"b\"}],\"t\":0.5}],"
                  "\"output\":{\"stage\":\"f\",\"dtype\":\"bfloat16\"}}",
                  one, two);
    T_OK(rs_init(&(rs_options){.threads = 2, .memory_bytes = 256 << 20}, &rt, &t_err));
    T_OK(rs_recipe_parse(rs_buf_str(&text), text.len, folder, "recipe", &r, &t_err));
    T_OK(rs_plan_build(&rt, r, &(rs_plan_options){0}, &plan, &t_err));
    T_OK(rs_execute(&rt, plan, &(rs_execute_options){.out = out}, &result, &t_err));
    rs_plan_free(plan);
    rs_recipe_free(r);
    rs_buf_free(&text);
    rs_quit(&rt);
}

static void merges_rows_in_their_place(void)
{
    char hf[1024], cwd[700];
    const char *folder = t_folder(), *gguf = fixture_gguf(folder, "llama");
    T_TRUE(getcwd(cwd, sizeof cwd) != NULL);
    snprintf(hf, sizeof hf, "%s/%s", cwd, t_golden("models/llama"));
    if (t_golden("models/llama")[0] == '/')
        snprintf(hf, sizeof hf, "%s", t_golden("models/llama"));
    merge(folder, hf, gguf, in_folder(folder, "hf-first"));
    same_as_fixture(in_folder(folder, "hf-first"), "llama");
    merge(folder, gguf, hf, in_folder(folder, "gguf-first"));
    same_as_fixture(in_folder(folder, "gguf-first"), "llama");
    T_OK(rs_os_remove_tree(folder, &t_err));
}

/* ---- blocks, and ranges that begin and end anywhere ---- */

enum { ROWS = 24, COLS = 64, HEADS = 3, ROW_BYTES = COLS / 32 * 34 };

static void least_keys(gguf_build *g)
{
    gb_string(g, "general.architecture", "llama");
    gb_int(g, "llama.block_count", 1);
    gb_int(g, "llama.embedding_length", COLS);
    gb_int(g, "llama.context_length", 128);
    gb_int(g, "llama.feed_forward_length", 32);
    gb_int(g, "llama.attention.head_count", HEADS);
    gb_int(g, "llama.attention.key_length", ROWS / HEADS);
    gb_float(g, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
}

/* Row r of q is filled with bytes r, one block after the other. */
static const char *blocks_gguf(const char *folder, int heads)
{
    gguf_build g = GGUF_BUILD;
    const char *path = in_folder(folder, "blocks.gguf");
    unsigned char q[ROWS][ROW_BYTES];
    for (int r = 0; r < ROWS; r++)
        memset(q[r], r, ROW_BYTES);
    gb_string(&g, "general.architecture", "llama");
    gb_int(&g, "llama.attention.head_count", (uint32_t)heads);
    gb_tensor(&g, "blk.0.attn_q.weight", RS_DTYPE_Q8_0, ROWS, COLS, q, sizeof q);
    gb_tensor(&g, "blk.0.attn_v.weight", RS_DTYPE_Q8_0, ROWS, COLS, q, sizeof q);
    gb_tensor(&g, "blk.0.attn_k.weight", RS_DTYPE_Q8_0, ROWS, COLS, q, sizeof q);
    gb_save(&g, path);
    return path;
}

/* A list of counts that has none for the layer. */
static const char *short_list(const char *folder)
{
    gguf_build g = GGUF_BUILD;
    const char *path = in_folder(folder, "short.gguf");
    static const unsigned char k[ROWS][ROW_BYTES];
    gb_string(&g, "general.architecture", "llama");
    gb_array(&g, "llama.attention.head_count_kv", RS_GGUF_U32, 1);
    gb_u32(&g.keys, HEADS);
    gb_tensor(&g, "blk.1.attn_k.weight", RS_DTYPE_Q8_0, ROWS, COLS, k, sizeof k);
    gb_save(&g, path);
    return path;
}

/* Heads of 8: the first half of head 1 are rows 8, 10, 12, 14 of the file, the second half
 * 9, 11, 13, 15. */
static void rows_of_blocks(void)
{
    static const int want[ROWS] = {0, 2,  4,  6,  1,  3,  5,  7,  8,  10, 12, 14,
                                   9, 11, 13, 15, 16, 18, 20, 22, 17, 19, 21, 23};
    const char *folder = t_folder();
    rs_checkpoint *c;
    unsigned char got[ROWS * ROW_BYTES];
    float first[COLS], part[COLS];
    T_OK(rs_checkpoint_open(blocks_gguf(folder, HEADS), &c, &t_err));
    const rs_tensor *q = rs_checkpoint_find(c, "model.layers.0.self_attn.q_proj.weight");
    const rs_tensor *v = rs_checkpoint_find(c, "model.layers.0.self_attn.v_proj.weight");
    const rs_tensor *k = rs_checkpoint_find(c, "model.layers.0.self_attn.k_proj.weight");
    T_TRUE(q && v && q->paired_heads == HEADS && v->paired_heads == 0);
    T_TRUE(k && k->paired_heads == HEADS); /* no count of its own */
    for (size_t from = 0; from < sizeof got; from += 29)
        for (size_t n = 1; n <= sizeof got - from; n += 173) {
            T_OK(rs_checkpoint_read_raw(c, q, from, n, got, &t_err));
            for (size_t i = 0; i < n; i++)
                T_EQ(got[i], want[(from + i) / ROW_BYTES]);
        }
    T_OK(rs_checkpoint_read_raw(c, v, 0, sizeof got, got, &t_err));
    T_EQ(got[ROW_BYTES], 1);
    T_OK(rs_checkpoint_read_f32(c, v, 10 * COLS, COLS, first, &t_err));
    T_OK(rs_checkpoint_read_f32(c, q, 9 * COLS + 5, COLS - 5, part, &t_err));
    T_EQ(memcmp(first + 5, part, (COLS - 5) * sizeof *part), 0);
    T_FAILS(rs_checkpoint_read_raw(c, q, 1, sizeof got, got, &t_err), RS_E_INVALID,
            "which has");
    rs_checkpoint_close(c);
    T_FAILS(rs_checkpoint_open(blocks_gguf(folder, 5), &c, &t_err), RS_E_FORMAT,
            "not 5 heads (llama.attention.head_count)");
    T_FAILS(rs_checkpoint_open(blocks_gguf(folder, 24), &c, &t_err), RS_E_FORMAT,
            "even number of rows");
    T_FAILS(rs_checkpoint_open(short_list(folder), &c, &t_err), RS_E_FORMAT,
            "head_count_kv has no whole number for layer 1");
    T_OK(rs_os_remove_tree(folder, &t_err));
}

/* ---- configs ---- */

typedef void change(gguf_build *g);

static rs_status config_with(change *keys, rs_buf *json)
{
    const char *folder = t_folder(), *path = in_folder(folder, "c.gguf");
    static const float zeros[COLS * 4];
    rs_checkpoint *c;
    gguf_build g = GGUF_BUILD;
    least_keys(&g);
    gb_tensor(&g, "token_embd.weight", RS_DTYPE_F32, 4, COLS, zeros, sizeof zeros);
    if (keys) keys(&g);
    gb_save(&g, path);
    RS_TRY(rs_checkpoint_open(path, &c, &t_err));
    rs_buf_reset(json);
    rs_status s = rs_gguf_config_json(rs_checkpoint_gguf(c), json, &t_err);
    rs_checkpoint_close(c);
    if (rs_os_remove_tree(folder, NULL) != RS_OK) return RS_E_IO;
    return s;
}

static void one_tensor(gguf_build *g, const char *name)
{
    static const float v[COLS];
    gb_tensor(g, name, RS_DTYPE_F32, 0, COLS, v, sizeof v);
}

/* --- what is refused --- */

static void bias(gguf_build *g)
{
    one_tensor(g, "blk.0.attn_q.bias");
}
static void long_factors(gguf_build *g)
{
    one_tensor(g, "rope_factors_long.weight");
}
static void table(gguf_build *g, const float *v, int n)
{
    gb_tensor(g, "rope_freqs.weight", RS_DTYPE_F32, 0, (uint64_t)n, v, (size_t)n * 4);
}
static void short_table(gguf_build *g)
{
    table(g, (float[]){1, 1, 2}, 3);
}
static void odd_table(gguf_build *g)
{
    table(g, (float[]){1, 5, 2, 8}, 4);
}
static void bad_table(gguf_build *g)
{
    table(g, (float[]){1, 0, 2, 8}, 4);
}
static void twice(gguf_build *g)
{
    odd_table(g);
    gb_float(g, "llama.rope.scaling.factor", 2);
}
static void text_theta(gguf_build *g)
{
    gb_string(g, "llama.rope.freq_base", "x");
}
static void looks_ahead(gguf_build *g)
{
    gb_bool(g, "llama.attention.causal", false);
}
static void neutral(gguf_build *g)
{
    gb_bool(g, "llama.attention.causal", true);
    gb_float(g, "llama.logit_scale", 1);
    gb_float(g, "llama.embedding_scale", 0);
    gb_float(g, "llama.rope.scaling.attn_factor", 1);
    gb_int(g, "llama.expert_count", 0);
    gb_int(g, "llama.attention.value_length", ROWS / HEADS);
}

static void tables_and_tensors_are_refused(void)
{
    static const struct {
        change *keys;
        rs_status status;
        const char *words;
    } cases[] = {
        {bias, RS_E_UNSUPPORTED, "tensor blk.0.attn_q.bias has no place"},
        {long_factors, RS_E_UNSUPPORTED, "rope_factors_long.weight"},
        {short_table, RS_E_UNSUPPORTED, "not a list of 4"},
        {odd_table, RS_E_UNSUPPORTED, "not Llama 3's scaling"},
        {bad_table, RS_E_FORMAT, "rope_freqs.weight[1] is 0"},
        {twice, RS_E_UNSUPPORTED, "a factor of 2 and by rope_freqs.weight"},
        {text_theta, RS_E_FORMAT, "llama.rope.freq_base is not a finite number"},
        {looks_ahead, RS_E_UNSUPPORTED, "llama.attention.causal is 0, only 1"},
    };
    rs_buf json = {0};
    T_OK(config_with(NULL, &json));
    T_OK(config_with(neutral, &json));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        T_FAILS(config_with(cases[i].keys, &json), cases[i].status, cases[i].words);
    rs_buf_free(&json);
}

/* One key more: a text, else a whole number, else a number. */
static const struct wrong_key {
    const char *key, *text;
    uint32_t whole;
    float number;
    rs_status status;
    const char *words;
} wrong_keys[] = {
    {"rope.scaling.type", "yarn", 0, 0, RS_E_UNSUPPORTED,
     "\"yarn\", which is not supported for llama: none and"},
    {"rope.scaling.type", "longrope", 0, 0, RS_E_UNSUPPORTED, "\"longrope\""},
    {"expert_count", NULL, 8, 0, RS_E_UNSUPPORTED, "8 experts"},
    {"rope.dimension_count", NULL, 4, 0, RS_E_UNSUPPORTED,
     "rope.dimension_count is 4, only 8"},
    {"attention.value_length", NULL, 4, 0, RS_E_UNSUPPORTED,
     "attention.value_length is 4, only 8"},
    {"rope.freq_base", NULL, 0, INFINITY, RS_E_FORMAT,
     "llama.rope.freq_base is not a finite number"},
    {"rope.scaling.factor", NULL, 0, NAN, RS_E_FORMAT,
     "llama.rope.scaling.factor is not a finite number"},
    {"attention.clamp_kqv", NULL, 0, 8, RS_E_UNSUPPORTED, "llama.attention.clamp_kqv is 8"},
    {"attention.scale", NULL, 0, 0.5f, RS_E_UNSUPPORTED, "llama.attention.scale is 0.5"},
    {"logit_scale", NULL, 0, 0.5f, RS_E_UNSUPPORTED, "llama.logit_scale is 0.5"},
    {"embedding_scale", NULL, 0, 12, RS_E_UNSUPPORTED, "llama.embedding_scale is 12"},
    {"final_logit_softcapping", NULL, 0, 30, RS_E_UNSUPPORTED,
     "llama.final_logit_softcapping is 30"},
    {"rope.scaling.attn_factor", NULL, 0, 1.5f, RS_E_UNSUPPORTED, "attn_factor is 1.5"},
};
static const struct wrong_key *wrong;

static void put_wrong_key(gguf_build *g)
{
    char key[96];
    snprintf(key, sizeof key, "llama.%s", wrong->key);
    if (wrong->text)
        gb_string(g, key, wrong->text);
    else if (wrong->whole)
        gb_int(g, key, wrong->whole);
    else
        gb_float(g, key, wrong->number);
}

static void wrong_keys_are_refused(void)
{
    rs_buf json = {0};
    for (size_t i = 0; i < sizeof wrong_keys / sizeof *wrong_keys; i++) {
        wrong = &wrong_keys[i];
        T_FAILS(config_with(put_wrong_key, &json), wrong->status, wrong->words);
    }
    rs_buf_free(&json);
}

static void linear(gguf_build *g)
{
    gb_string(g, "llama.rope.scaling.type", "linear");
    gb_float(g, "llama.rope.scaling.factor", 4);
    gb_int(g, "llama.attention.sliding_window", 0); /* none */
}
static void even_table(gguf_build *g)
{
    table(g, (float[]){2.5f, 2.5f, 2.5f, 2.5f}, 4);
}

static void linear_scaling(void)
{
    rs_buf json = {0};
    rs_json *doc;
    T_OK(config_with(linear, &json));
    T_OK(rs_json_parse(rs_buf_str(&json), json.len, "json", &doc, &t_err));
    const rs_json *s = rs_json_get(doc, "rope_scaling");
    T_STR(rs_json_string(rs_json_get(s, "rope_type")), "linear");
    T_TRUE(rs_json_number(rs_json_get(s, "factor")) == 4);
    T_STR(rs_json_string(rs_json_get(doc, "model_type")), "llama");
    T_TRUE(rs_json_number(rs_json_get(doc, "num_key_value_heads")) == HEADS);
    rs_json_free(doc);
    T_OK(config_with(even_table, &json));
    T_OK(rs_json_parse(rs_buf_str(&json), json.len, "json", &doc, &t_err));
    s = rs_json_get(doc, "rope_scaling");
    T_STR(rs_json_string(rs_json_get(s, "rope_type")), "linear");
    T_TRUE(rs_json_number(rs_json_get(s, "factor")) == 2.5);
    rs_json_free(doc);
    rs_buf_free(&json);
}

/* ---- Llama 3's parameters out of its table ---- */

static rs_layer_config wanted;

static rs_status table_config(double *factor, double *high, double *original)
{
    const char *folder = t_folder(), *path = in_folder(folder, "t.gguf");
    static const float zeros[512];
    rs_buf json = {0};
    rs_json *doc;
    rs_checkpoint *c;
    gguf_build g = GGUF_BUILD;
    gb_string(&g, "general.architecture", "llama");
    gb_int(&g, "llama.block_count", 1);
    gb_int(&g, "llama.embedding_length", 512);
    gb_int(&g, "llama.context_length", 131072);
    gb_int(&g, "llama.feed_forward_length", 32);
    gb_int(&g, "llama.attention.head_count", (uint32_t)(512 / wanted.head_dim));
    gb_float(&g, "llama.rope.freq_base", (float)wanted.rope_theta);
    gb_tensor(&g, "token_embd.weight", RS_DTYPE_F32, 1, 512, zeros, sizeof zeros);
    gm_divisors(&g, &wanted);
    gb_save(&g, path);
    RS_TRY(rs_checkpoint_open(path, &c, &t_err));
    RS_TRY(rs_gguf_config_json(rs_checkpoint_gguf(c), &json, &t_err));
    rs_checkpoint_close(c);
    RS_TRY(rs_json_parse(rs_buf_str(&json), json.len, "json", &doc, &t_err));
    const rs_json *s = rs_json_get(doc, "rope_scaling");
    *factor = rs_json_number(rs_json_get(s, "factor"));
    *high = rs_json_number(rs_json_get(s, "high_freq_factor"));
    *original = rs_json_number(rs_json_get(s, "original_max_position_embeddings"));
    rs_json_free(doc);
    rs_buf_free(&json);
    return rs_os_remove_tree(folder, &t_err);
}

static void finds_parameters(void)
{
    static const struct {
        int head;
        double theta, factor, low, high, original, found_high, found_original;
    } cases[] = {
        {128, 5e5, 8, 1, 4, 8192, 4, 8192},  /* Llama 3.1 */
        {64, 5e5, 32, 1, 4, 8192, 4, 8192},  /* Llama 3.2 1B */
        {64, 5e5, 32, 2, 8, 16384, 4, 8192}, /* the same computation */
        {128, 5e5, 8, 1, 3, 5000, 3, 5000},  {64, 1e4, 2.5, 1, 9, 777, 9, 777},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double factor, high, original;
        wanted = (rs_layer_config){.head_dim = cases[i].head,
                                   .rope_theta = cases[i].theta,
                                   .rope_factor = cases[i].factor,
                                   .rope_low = cases[i].low,
                                   .rope_high = cases[i].high,
                                   .rope_original = cases[i].original};
        T_OK(table_config(&factor, &high, &original));
        T_NEAR(factor, cases[i].factor, 0, 1e-6);
        T_NEAR(high, cases[i].found_high, 0, 2e-3);
        T_NEAR(original, cases[i].found_original, 0, 0);
    }
}

T_MAIN(T_TEST(import_llama), T_TEST(import_mistral), T_TEST(merges_rows_in_their_place),
       T_TEST(rows_of_blocks), T_TEST(tables_and_tensors_are_refused),
       T_TEST(wrong_keys_are_refused), T_TEST(linear_scaling), T_TEST(finds_parameters))
