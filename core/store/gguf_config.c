/* A Hugging Face config.json out of a GGUF's keys. What no key says (activation, the
 * pattern of sliding layers, local RoPE base ...) is a rule of the architecture. */
#include "store/gguf.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LAYERS = 2048, KEY = 128 };

typedef struct build {
    const rs_gguf *g;
    const char *arch;
    rs_buf *out;
    rs_err *err;
    int64_t n_layers;
} build;

/* ---- keys ---- */

static const rs_gguf_value *find(const build *b, const char *name)
{
    char key[KEY];
    snprintf(key, sizeof key, "%s.%s", b->arch, name);
    return rs_gguf_get(b->g, key);
}

static rs_status need_int(const build *b, const char *name, int64_t *out)
{
    const rs_gguf_value *v = find(b, name);
    if (!v)
        return rs_fail(b->err, RS_E_FORMAT, "the GGUF has no key %s.%s", b->arch, name);
    if (v->is_array || !rs_gguf_int_at(v, 0, out))
        return rs_fail(b->err, RS_E_FORMAT, "the GGUF's key %s.%s is not a whole number",
                       b->arch, name);
    return RS_OK;
}

/* One number or one for each layer: its value for a layer. */
static rs_status need_layer_int(const build *b, const char *name, int64_t layer,
                                int64_t *out)
{
    const rs_gguf_value *v = find(b, name);
    if (!v || !v->is_array) return need_int(b, name, out);
    if (v->count != b->n_layers || !rs_gguf_int_at(v, layer, out))
        return rs_fail(b->err, RS_E_FORMAT,
                       "the GGUF's key %s.%s is not a list of %" PRId64 " whole numbers",
                       b->arch, name, b->n_layers);
    return RS_OK;
}

/* The same value for all layers, or an error. */
static rs_status need_same_int(const build *b, const char *name, int64_t *out)
{
    RS_TRY(need_layer_int(b, name, 0, out));
    for (int64_t i = 1; i < b->n_layers; i++) {
        int64_t v;
        RS_TRY(need_layer_int(b, name, i, &v));
        if (v != *out)
            return rs_fail(b->err, RS_E_UNSUPPORTED,
                           "the GGUF's key %s.%s differs between layers 0 and %" PRId64
                           ", which is not supported for %s",
                           b->arch, name, i, b->arch);
    }
    return RS_OK;
}

static double number_or(const build *b, const char *name, double otherwise)
{
    const rs_gguf_value *v = find(b, name);
    double d;
    return v && !v->is_array && rs_gguf_number_at(v, 0, &d) ? d : otherwise;
}

static rs_status rows_of(const build *b, const char *tensor, int64_t *rows)
{
    const rs_tensor *t = rs_gguf_find(b->g, tensor);
    if (!t || t->n_dims != 2)
        return rs_fail(b->err, RS_E_FORMAT, "the GGUF has no matrix %s", tensor);
    *rows = t->dim[0];
    return RS_OK;
}

/* ---- lines of JSON ---- */

static void put(const build *b, const char *key, const char *text)
{
    rs_buf_printf(b->out, "%s\n  \"%s\": %s", b->out->len > 1 ? "," : "", key, text);
}

static void put_int(const build *b, const char *key, int64_t v)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, v);
    put(b, key, text);
}

/* Keys hold float32 numbers: the shortest text that gives the same float32. */
static void number_text(double v, char text[48])
{
    if (fabs(v) >= 1 && fabs(v) < 1e15 && v == floor(v)) {
        snprintf(text, 48, "%.0f.0", v);
        return;
    }
    rs_buf exact = {0};
    if (!isfinite(v) || (double)(float)v != v) rs_buf_json_double(&exact, v);
    for (int digits = 1; exact.len == 0; digits++) {
        char shorter[48];
        snprintf(shorter, sizeof shorter, "%.*g", digits, v);
        if (digits == 9 || strtof(shorter, NULL) == (float)v)
            rs_buf_json_double(&exact, strtod(shorter, NULL));
    }
    snprintf(text, 48, "%s", rs_buf_str(&exact));
    rs_buf_free(&exact);
}

static void put_number(const build *b, const char *key, double v)
{
    char text[48];
    number_text(v, text);
    put(b, key, text);
}

/* A whole-number key of the same meaning. */
static rs_status copy_int(const build *b, const char *key, const char *name)
{
    int64_t v;
    RS_TRY(need_int(b, name, &v));
    put_int(b, key, v);
    return RS_OK;
}

static rs_status copy_same_int(const build *b, const char *key, const char *name)
{
    int64_t v;
    RS_TRY(need_same_int(b, name, &v));
    put_int(b, key, v);
    return RS_OK;
}

/* ---- parts that both families have ---- */

static void put_id(const build *b, const char *key, const char *gguf_key)
{
    int64_t id;
    if (rs_gguf_int(b->g, gguf_key, &id)) put_int(b, key, id);
}

static bool first_piece_is_eos(const rs_gguf *g)
{
    const rs_gguf_value *v = rs_gguf_get(g, "tokenizer.ggml.tokens");
    size_t n = 0;
    const char *s = v && v->count > 1 ? rs_gguf_string_at(v, 1, &n) : NULL;
    return s && n == 5 && memcmp(s, "<eos>", 5) == 0;
}

/* Instruction-tuned files name their end of turn (106) where base models name <eos> (1);
 * generation ends at either. */
static void put_eos(const build *b)
{
    int64_t ids[3], n = 0, id;
    if (first_piece_is_eos(b->g)) ids[n++] = 1;
    static const char *const keys[] = {"tokenizer.ggml.eos_token_id",
                                       "tokenizer.ggml.eot_token_id"};
    for (int k = 0; k < 2; k++) {
        if (!rs_gguf_int(b->g, keys[k], &id) || id < 0) continue;
        bool is_new = true;
        for (int64_t i = 0; i < n; i++)
            is_new &= ids[i] != id;
        if (is_new) ids[n++] = id;
    }
    char text[96];
    if (n == 1)
        snprintf(text, sizeof text, "%" PRId64, ids[0]);
    else if (n == 2)
        snprintf(text, sizeof text, "[%" PRId64 ", %" PRId64 "]", ids[0], ids[1]);
    else if (n == 3)
        snprintf(text, sizeof text, "[%" PRId64 ", %" PRId64 ", %" PRId64 "]", ids[0],
                 ids[1], ids[2]);
    if (n) put(b, "eos_token_id", text);
}

static void put_layer_types(const build *b, const bool *full)
{
    rs_buf list = {0};
    rs_buf_putc(&list, '[');
    for (int64_t i = 0; i < b->n_layers; i++)
        rs_buf_printf(&list, "%s\n    \"%s\"", i ? "," : "",
                      full[i] ? "full_attention" : "sliding_attention");
    rs_buf_puts(&list, "\n  ]");
    put(b, "layer_types", rs_buf_str(&list));
    b->out->failed |= list.failed;
    rs_buf_free(&list);
}

/* true in the file means sliding. Without a list: each pattern-th layer is full. */
static rs_status read_pattern(const build *b, bool *full)
{
    const rs_gguf_value *v = find(b, "attention.sliding_window_pattern");
    int64_t every = 6, slides;
    if (v && !v->is_array && (!rs_gguf_int_at(v, 0, &every) || every < 1))
        return rs_fail(
            b->err, RS_E_FORMAT,
            "the GGUF's key %s.attention.sliding_window_pattern makes no sense", b->arch);
    if (v && v->is_array && v->count != b->n_layers)
        return rs_fail(b->err, RS_E_FORMAT,
                       "the GGUF's key %s.attention.sliding_window_pattern has %" PRId64
                       " entries for %" PRId64 " layers",
                       b->arch, v->count, b->n_layers);
    for (int64_t i = 0; i < b->n_layers; i++) {
        full[i] = (i + 1) % every == 0;
        if (!v || !v->is_array) continue;
        if (!rs_gguf_int_at(v, i, &slides))
            return rs_fail(
                b->err, RS_E_FORMAT,
                "the GGUF's key %s.attention.sliding_window_pattern is not a list "
                "of true and false",
                b->arch);
        full[i] = slides == 0;
    }
    return RS_OK;
}

static void put_start(const build *b, const char *class, const char *model_type,
                      const char *activation, rs_dtype d)
{
    char text[64];
    rs_buf_putc(b->out, '{');
    snprintf(text, sizeof text, "[\n    \"%s\"\n  ]", class);
    put(b, "architectures", text);
    put(b, "attention_bias", "false");
    put(b, "attention_dropout", "0.0");
    put_id(b, "bos_token_id", "tokenizer.ggml.bos_token_id");
    put(b, "dtype",
        d == RS_DTYPE_F32   ? "\"float32\""
        : d == RS_DTYPE_F16 ? "\"float16\""
                            : "\"bfloat16\"");
    put_eos(b);
    put_id(b, "pad_token_id", "tokenizer.ggml.padding_token_id");
    /* Gemma's configs have a key of their own for it. */
    bool gelu = strcmp(activation, "gelu_pytorch_tanh") == 0;
    snprintf(text, sizeof text, "\"%s\"", activation);
    put(b, gelu ? "hidden_activation" : "hidden_act", text);
    put(b, "initializer_range", "0.02");
    put(b, "use_cache", "true");
    put(b, "tie_word_embeddings", rs_gguf_find(b->g, "output.weight") ? "false" : "true");
    snprintf(text, sizeof text, "\"%s\"", model_type);
    put(b, "model_type", text);
}

static rs_status put_sizes(const build *b)
{
    int64_t vocab = 0;
    RS_TRY(rows_of(b, "token_embd.weight", &vocab));
    put_int(b, "vocab_size", vocab);
    put_int(b, "num_hidden_layers", b->n_layers);
    RS_TRY(copy_int(b, "hidden_size", "embedding_length"));
    RS_TRY(copy_int(b, "max_position_embeddings", "context_length"));
    RS_TRY(copy_same_int(b, "num_attention_heads", "attention.head_count"));
    RS_TRY(copy_same_int(b, "num_key_value_heads", "attention.head_count_kv"));
    if (find(b, "attention.sliding_window"))
        RS_TRY(copy_int(b, "sliding_window", "attention.sliding_window"));
    put_number(b, "rms_norm_eps", number_or(b, "attention.layer_norm_rms_epsilon", 1e-6));
    return RS_OK;
}

/* ---- gemma3 ---- */

/* Files of one tool name the two bases rope.global and rope.local. */
static void gemma3_rope(const build *b, double factor)
{
    double global =
        number_or(b, "rope.freq_base", number_or(b, "rope.global.freq_base", 1e6));
    double local =
        number_or(b, "rope.freq_base_swa", number_or(b, "rope.local.freq_base", 1e4));
    put_number(b, "rope_theta", global);
    put_number(b, "rope_local_base_freq", local);
    if (factor == 1) {
        put(b, "rope_scaling", "null");
        return;
    }
    char text[48];
    number_text(factor, text);
    rs_buf scaling = {0};
    rs_buf_printf(&scaling, "{\n    \"factor\": %s,\n    \"rope_type\": \"linear\"\n  }",
                  text);
    put(b, "rope_scaling", rs_buf_str(&scaling));
    b->out->failed |= scaling.failed;
    rs_buf_free(&scaling);
}

static rs_status gemma3_factor(const build *b, double *factor)
{
    size_t n = 0;
    const rs_gguf_value *v = find(b, "rope.scaling.type");
    const char *type = v && !v->is_array ? rs_gguf_string_at(v, 0, &n) : NULL;
    *factor = 1;
    if (!type || (n == 4 && memcmp(type, "none", 4) == 0)) return RS_OK;
    if (n != 6 || memcmp(type, "linear", 6) != 0)
        return rs_fail(
            b->err, RS_E_UNSUPPORTED,
            "the GGUF scales RoPE by \"%.*s\", which is not supported for gemma3",
            n < 40 ? (int)n : 40, type);
    *factor = number_or(b, "rope.scaling.factor", 1);
    return RS_OK;
}

/* final_logit_softcapping is left out: where a file has it for gemma3, it is not true. */
static rs_status gemma3(const build *b, const bool *full, rs_dtype d)
{
    int64_t head_dim;
    double factor;
    RS_TRY(need_int(b, "attention.key_length", &head_dim));
    if (head_dim == 128) /* only the largest Gemma 3, whose scale is not 128^-1/2 */
        return rs_fail(
            b->err, RS_E_UNSUPPORTED,
            "this Gemma 3 has heads of 128: its attention scale is not in the GGUF, "
            "use its Hugging Face folder");
    RS_TRY(gemma3_factor(b, &factor));
    put_start(b, "Gemma3ForCausalLM", "gemma3_text", "gelu_pytorch_tanh", d);
    RS_TRY(put_sizes(b));
    RS_TRY(copy_same_int(b, "intermediate_size", "feed_forward_length"));
    put_int(b, "head_dim", head_dim);
    put_int(b, "query_pre_attn_scalar", head_dim);
    put(b, "attn_logit_softcapping", "null");
    put(b, "final_logit_softcapping", "null");
    gemma3_rope(b, factor);
    put_layer_types(b, full);
    return RS_OK;
}

/* ---- gemma2 ---- */

/* The 27B's scale comes from hidden / heads, that of the others from the head. */
static rs_status gemma2_scalar(const build *b, int64_t head_dim)
{
    enum { LAYERS_OF_27B = 46 };
    int64_t hidden, heads;
    RS_TRY(need_int(b, "embedding_length", &hidden));
    RS_TRY(need_same_int(b, "attention.head_count", &heads));
    bool big = b->n_layers == LAYERS_OF_27B && heads > 0;
    put_int(b, "query_pre_attn_scalar", big ? hidden / heads : head_dim);
    return RS_OK;
}

static rs_status gemma2(const build *b, rs_dtype d)
{
    int64_t head_dim;
    RS_TRY(need_int(b, "attention.key_length", &head_dim));
    put_start(b, "Gemma2ForCausalLM", "gemma2", "gelu_pytorch_tanh", d);
    RS_TRY(put_sizes(b));
    RS_TRY(copy_same_int(b, "intermediate_size", "feed_forward_length"));
    put_int(b, "head_dim", head_dim);
    RS_TRY(gemma2_scalar(b, head_dim));
    put_number(b, "attn_logit_softcapping", number_or(b, "attn_logit_softcapping", 50));
    put_number(b, "final_logit_softcapping", number_or(b, "final_logit_softcapping", 30));
    put_number(b, "rope_theta", number_or(b, "rope.freq_base", 1e4));
    return RS_OK;
}

/* ---- qwen2, qwen3 ---- */

static rs_status refuse_scaling(const build *b)
{
    size_t n = 0;
    const rs_gguf_value *v = find(b, "rope.scaling.type");
    const char *type = v && !v->is_array ? rs_gguf_string_at(v, 0, &n) : NULL;
    if (!type || (n == 4 && memcmp(type, "none", 4) == 0)) return RS_OK;
    return rs_fail(b->err, RS_E_UNSUPPORTED,
                   "the GGUF scales RoPE by \"%.*s\", which is not supported for %s",
                   n < 40 ? (int)n : 40, type, b->arch);
}

static rs_status qwen(const build *b, rs_dtype d)
{
    bool third = strcmp(b->arch, "qwen3") == 0;
    RS_TRY(refuse_scaling(b));
    put_start(b, third ? "Qwen3ForCausalLM" : "Qwen2ForCausalLM", b->arch, "silu", d);
    RS_TRY(put_sizes(b));
    RS_TRY(copy_same_int(b, "intermediate_size", "feed_forward_length"));
    if (find(b, "attention.key_length"))
        RS_TRY(copy_int(b, "head_dim", "attention.key_length"));
    else if (third)
        return rs_fail(b->err, RS_E_FORMAT,
                       "the GGUF has no key qwen3.attention.key_length");
    put_number(b, "rope_theta", number_or(b, "rope.freq_base", 1e4));
    put(b, "use_sliding_window", "false");
    return RS_OK;
}

/* ---- gemma4 ---- */

/* The layers that share K/V may have an MLP of twice the width, nothing else. */
static rs_status gemma4_mlp(const build *b, int64_t n_shared)
{
    int64_t width, last, v;
    RS_TRY(need_layer_int(b, "feed_forward_length", 0, &width));
    RS_TRY(need_layer_int(b, "feed_forward_length", b->n_layers - 1, &last));
    bool wide = n_shared > 0 && width < INT64_MAX / 2 && last == 2 * width;
    for (int64_t i = 0; i < b->n_layers; i++) {
        RS_TRY(need_layer_int(b, "feed_forward_length", i, &v));
        if (v != (wide && i >= b->n_layers - n_shared ? last : width))
            return rs_fail(
                b->err, RS_E_UNSUPPORTED,
                "the GGUF's feed_forward_length of layer %" PRId64 " is %" PRId64
                ", which fits neither one width nor a doubled one in the layers "
                "that share K/V",
                i, v);
    }
    put_int(b, "intermediate_size", width);
    put(b, "use_double_wide_mlp", wide ? "true" : "false");
    return RS_OK;
}

static void gemma4_rope(const build *b)
{
    char full[48], sliding[48];
    number_text(number_or(b, "rope.freq_base", 1e6), full);
    number_text(number_or(b, "rope.freq_base_swa", 1e4), sliding);
    rs_buf text = {0};
    rs_buf_printf(
        &text,
        "{\n    \"full_attention\": {\n      \"partial_rotary_factor\": 0.25,\n"
        "      \"rope_theta\": %s,\n      \"rope_type\": \"proportional\"\n    },\n"
        "    \"sliding_attention\": {\n      \"rope_theta\": %s,\n"
        "      \"rope_type\": \"default\"\n    }\n  }",
        full, sliding);
    put(b, "rope_parameters", rs_buf_str(&text));
    b->out->failed |= text.failed;
    rs_buf_free(&text);
}

static rs_status gemma4_ple(const build *b)
{
    int64_t width = 0, vocab = 0;
    if (find(b, "embedding_length_per_layer_input"))
        RS_TRY(need_int(b, "embedding_length_per_layer_input", &width));
    put_int(b, "hidden_size_per_layer_input", width);
    if (width == 0) return RS_OK;
    RS_TRY(rows_of(b, "per_layer_token_embd.weight", &vocab));
    put_int(b, "vocab_size_per_layer_input", vocab);
    return RS_OK;
}

static rs_status gemma4(const build *b, const bool *full, rs_dtype d)
{
    int64_t n_shared = 0;
    put_start(b, "Gemma4ForCausalLM", "gemma4_text", "gelu_pytorch_tanh", d);
    RS_TRY(put_sizes(b));
    if (find(b, "attention.shared_kv_layers"))
        RS_TRY(need_int(b, "attention.shared_kv_layers", &n_shared));
    put_int(b, "num_kv_shared_layers", n_shared);
    RS_TRY(gemma4_mlp(b, n_shared));
    RS_TRY(copy_int(b, "head_dim", "attention.key_length_swa"));
    RS_TRY(copy_int(b, "global_head_dim", "attention.key_length"));
    RS_TRY(gemma4_ple(b));
    put(b, "attention_k_eq_v", "false");
    put(b, "enable_moe_block", "false");
    put(b, "use_bidirectional_attention", "null");
    put_number(b, "final_logit_softcapping", number_or(b, "final_logit_softcapping", 30));
    gemma4_rope(b);
    put_layer_types(b, full);
    return RS_OK;
}

/* ---- the whole ---- */

static rs_status write_family(const build *b, rs_dtype d)
{
    bool full[MAX_LAYERS];
    if (strncmp(b->arch, "qwen", 4) == 0) return qwen(b, d);
    if (strcmp(b->arch, "gemma2") == 0) return gemma2(b, d);
    RS_TRY(read_pattern(b, full));
    return strcmp(b->arch, "gemma3") == 0 ? gemma3(b, full, d) : gemma4(b, full, d);
}

static rs_status write_config(build *b, rs_dtype d)
{
    if (!rs_gguf_arch_is_known(b->arch))
        return rs_fail(
            b->err, RS_E_UNSUPPORTED,
            "the GGUF's architecture \"%.60s\" is not supported: gemma2, gemma3, "
            "gemma4, qwen2 and qwen3 are",
            b->arch);
    RS_TRY(need_int(b, "block_count", &b->n_layers));
    if (b->n_layers < 1 || b->n_layers > MAX_LAYERS)
        return rs_fail(b->err, RS_E_FORMAT,
                       "the GGUF has %" PRId64 " layers, 1 to %d are accepted",
                       b->n_layers, (int)MAX_LAYERS);
    RS_TRY(write_family(b, d));
    rs_buf_puts(b->out, "\n}\n");
    return RS_OK;
}

rs_status rs_gguf_config_for(const rs_gguf *g, rs_dtype dtype, rs_buf *out, rs_err *err)
{
    rs_buf text = {0};
    build b = {g, rs_gguf_arch(g), &text, err, 0};
    rs_status s = write_config(&b, dtype);
    rs_buf_add(out, rs_buf_str(&text), s == RS_OK ? text.len : 0);
    if (s == RS_OK && (text.failed || out->failed))
        s = rs_fail(err, RS_E_NOMEM, "no memory for a config");
    rs_buf_free(&text);
    return s;
}

rs_status rs_gguf_config_json(const rs_gguf *g, rs_buf *out, rs_err *err)
{
    return rs_gguf_config_for(g, RS_DTYPE_BF16, out, err);
}
