/* Reading keys, writing lines, and the lines that all families have. */
#include "store/gguf_config_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY = 128 };

/* ---- keys ---- */

const rs_gguf_value *rs_gc_find(const rs_gc *b, const char *name)
{
    char key[KEY];
    snprintf(key, sizeof key, "%s.%s", b->arch, name);
    return rs_gguf_get(b->g, key);
}

rs_status rs_gc_need_int(const rs_gc *b, const char *name, int64_t *out)
{
    const rs_gguf_value *v = rs_gc_find(b, name);
    if (!v)
        return rs_fail(b->err, RS_E_FORMAT, "the GGUF has no key %s.%s", b->arch, name);
    if (v->is_array || !rs_gguf_int_at(v, 0, out))
        return rs_fail(b->err, RS_E_FORMAT, "the GGUF's key %s.%s is not a whole number",
                       b->arch, name);
    return RS_OK;
}

/* One number or one for each layer: its value for a layer. */
rs_status rs_gc_need_layer_int(const rs_gc *b, const char *name, int64_t layer,
                               int64_t *out)
{
    const rs_gguf_value *v = rs_gc_find(b, name);
    if (!v || !v->is_array) return rs_gc_need_int(b, name, out);
    if (v->count != b->n_layers || !rs_gguf_int_at(v, layer, out))
        return rs_fail(b->err, RS_E_FORMAT,
                       "the GGUF's key %s.%s is not a list of %" PRId64 " whole numbers",
                       b->arch, name, b->n_layers);
    return RS_OK;
}

/* The same value for all layers, or an error. */
rs_status rs_gc_need_same_int(const rs_gc *b, const char *name, int64_t *out)
{
    RS_TRY(rs_gc_need_layer_int(b, name, 0, out));
    for (int64_t i = 1; i < b->n_layers; i++) {
        int64_t v;
        RS_TRY(rs_gc_need_layer_int(b, name, i, &v));
        if (v != *out)
            return rs_fail(b->err, RS_E_UNSUPPORTED,
                           "the GGUF's key %s.%s differs between layers 0 and %" PRId64
                           ", which is not supported for %s",
                           b->arch, name, i, b->arch);
    }
    return RS_OK;
}

rs_status rs_gc_opt_number(const rs_gc *b, const char *name, double *out)
{
    const rs_gguf_value *v = rs_gc_find(b, name);
    double d;
    if (!v) return RS_OK;
    if (v->is_array || !rs_gguf_number_at(v, 0, &d) || !isfinite(d))
        return rs_fail(b->err, RS_E_FORMAT, "the GGUF's key %s.%s is not a finite number",
                       b->arch, name);
    *out = d;
    return RS_OK;
}

rs_status rs_gc_copy_number(const rs_gc *b, const char *key, const char *name,
                            double otherwise)
{
    RS_TRY(rs_gc_opt_number(b, name, &otherwise));
    rs_gc_put_number(b, key, otherwise);
    return RS_OK;
}

/* ---- what would be another computation ---- */

rs_status rs_gc_must_be(const rs_gc *b, const char *name, int64_t want)
{
    int64_t have = want;
    if (rs_gc_find(b, name)) RS_TRY(rs_gc_need_int(b, name, &have));
    if (have == want) return RS_OK;
    return rs_fail(b->err, RS_E_UNSUPPORTED,
                   "the GGUF's key %s.%s is %" PRId64 ", only %" PRId64
                   " is supported here",
                   b->arch, name, have, want);
}

rs_status rs_gc_one_head(const rs_gc *b, int64_t head_dim)
{
    RS_TRY(rs_gc_must_be(b, "attention.value_length", head_dim));
    return rs_gc_must_be(b, "rope.dimension_count", head_dim);
}

static rs_status refuse_experts(const rs_gc *b)
{
    int64_t n = 0;
    if (rs_gc_find(b, "expert_count")) RS_TRY(rs_gc_need_int(b, "expert_count", &n));
    if (n == 0) return RS_OK;
    return rs_fail(b->err, RS_E_UNSUPPORTED,
                   "the GGUF has %" PRId64
                   " experts in a layer: mixtures of experts (Mixtral ...) are not "
                   "supported",
                   n);
}

/* Keys that runtimes compute with in some architectures. Where `read` names the
 * architecture its config says what they are, elsewhere they have to say nothing: 0, or the
 * neutral value. */
rs_status rs_gc_refuse_others(const rs_gc *b)
{
    static const struct {
        const char *name, *read;
        double neutral;
    } keys[] = {
        {"attention.scale", "gemma2 gemma3", 0},
        {"attention.clamp_kqv", "", 0},
        {"attention.max_alibi_bias", "", 0},
        {"attn_logit_softcapping", "gemma2", 0},
        {"final_logit_softcapping", "gemma2 gemma3 gemma4", 0},
        {"logit_scale", "", 1},
        {"embedding_scale", "", 1},
        {"residual_scale", "", 1},
        {"rope.scaling.attn_factor", "", 1},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        double have = 0;
        if (strstr(keys[i].read, b->arch)) continue;
        RS_TRY(rs_gc_opt_number(b, keys[i].name, &have));
        if (have != 0 && have != keys[i].neutral)
            return rs_fail(b->err, RS_E_UNSUPPORTED,
                           "the GGUF's key %s.%s is %g: models of %s that compute with "
                           "it are not supported",
                           b->arch, keys[i].name, have, b->arch);
    }
    RS_TRY(rs_gc_must_be(b, "attention.causal", 1));
    return refuse_experts(b);
}

rs_status rs_gc_rows_of(const rs_gc *b, const char *tensor, int64_t *rows)
{
    const rs_tensor *t = rs_gguf_find(b->g, tensor);
    if (!t || t->n_dims != 2)
        return rs_fail(b->err, RS_E_FORMAT, "the GGUF has no matrix %s", tensor);
    *rows = t->dim[0];
    return RS_OK;
}

/* ---- lines of JSON ---- */

void rs_gc_put(const rs_gc *b, const char *key, const char *text)
{
    rs_buf_printf(b->out, "%s\n  \"%s\": %s", b->out->len > 1 ? "," : "", key, text);
}

void rs_gc_put_int(const rs_gc *b, const char *key, int64_t v)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, v);
    rs_gc_put(b, key, text);
}

/* Keys hold float32 numbers: the shortest text that gives the same float32. */
void rs_gc_number_text(double v, char text[RS_GC_NUMBER])
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

void rs_gc_put_number(const rs_gc *b, const char *key, double v)
{
    char text[48];
    rs_gc_number_text(v, text);
    rs_gc_put(b, key, text);
}

/* A whole-number key of the same meaning. */
rs_status rs_gc_copy_int(const rs_gc *b, const char *key, const char *name)
{
    int64_t v;
    RS_TRY(rs_gc_need_int(b, name, &v));
    rs_gc_put_int(b, key, v);
    return RS_OK;
}

rs_status rs_gc_copy_same_int(const rs_gc *b, const char *key, const char *name)
{
    int64_t v;
    RS_TRY(rs_gc_need_same_int(b, name, &v));
    rs_gc_put_int(b, key, v);
    return RS_OK;
}

/* ---- parts that all families have ---- */

static void put_id(const rs_gc *b, const char *key, const char *gguf_key)
{
    int64_t id;
    if (rs_gguf_int(b->g, gguf_key, &id)) rs_gc_put_int(b, key, id);
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
static void put_eos(const rs_gc *b)
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
    if (n) rs_gc_put(b, "eos_token_id", text);
}

void rs_gc_put_start(const rs_gc *b, const char *class, const char *model_type,
                     const char *activation, rs_dtype d)
{
    char text[64];
    rs_buf_putc(b->out, '{');
    snprintf(text, sizeof text, "[\n    \"%s\"\n  ]", class);
    rs_gc_put(b, "architectures", text);
    rs_gc_put(b, "attention_bias", "false");
    rs_gc_put(b, "attention_dropout", "0.0");
    put_id(b, "bos_token_id", "tokenizer.ggml.bos_token_id");
    rs_gc_put(b, "dtype",
              d == RS_DTYPE_F32   ? "\"float32\""
              : d == RS_DTYPE_F16 ? "\"float16\""
                                  : "\"bfloat16\"");
    put_eos(b);
    put_id(b, "pad_token_id", "tokenizer.ggml.padding_token_id");
    /* Gemma's configs have a key of their own for it. */
    bool gelu = strcmp(activation, "gelu_pytorch_tanh") == 0;
    snprintf(text, sizeof text, "\"%s\"", activation);
    rs_gc_put(b, gelu ? "hidden_activation" : "hidden_act", text);
    rs_gc_put(b, "initializer_range", "0.02");
    rs_gc_put(b, "use_cache", "true");
    rs_gc_put(b, "tie_word_embeddings",
              rs_gguf_find(b->g, "output.weight") ? "false" : "true");
    snprintf(text, sizeof text, "\"%s\"", model_type);
    rs_gc_put(b, "model_type", text);
}

rs_status rs_gc_put_sizes(const rs_gc *b)
{
    int64_t vocab = 0, window = 0;
    RS_TRY(rs_gc_rows_of(b, "token_embd.weight", &vocab));
    rs_gc_put_int(b, "vocab_size", vocab);
    rs_gc_put_int(b, "num_hidden_layers", b->n_layers);
    RS_TRY(rs_gc_copy_int(b, "hidden_size", "embedding_length"));
    RS_TRY(rs_gc_copy_int(b, "max_position_embeddings", "context_length"));
    RS_TRY(rs_gc_copy_same_int(b, "num_attention_heads", "attention.head_count"));
    bool shares = rs_gc_find(b, "attention.head_count_kv") != NULL;
    RS_TRY(
        rs_gc_copy_same_int(b, "num_key_value_heads",
                            shares ? "attention.head_count_kv" : "attention.head_count"));
    if (rs_gc_find(b, "attention.sliding_window"))
        RS_TRY(rs_gc_need_int(b, "attention.sliding_window", &window));
    if (window > 0) rs_gc_put_int(b, "sliding_window", window);
    return rs_gc_copy_number(b, "rms_norm_eps", "attention.layer_norm_rms_epsilon", 1e-6);
}

/* ---- RoPE ---- */

/* Without a type a factor is linear, as llama.cpp reads it; scale_linear is its older name. */
rs_status rs_gc_linear_factor(const rs_gc *b, double *factor)
{
    size_t n = 0;
    const rs_gguf_value *v = rs_gc_find(b, "rope.scaling.type");
    const char *type = v && !v->is_array ? rs_gguf_string_at(v, 0, &n) : NULL;
    *factor = 1;
    if (v && !type)
        return rs_fail(b->err, RS_E_FORMAT,
                       "the GGUF's key %s.rope.scaling.type is not a string", b->arch);
    if (type && n == 4 && memcmp(type, "none", 4) == 0) return RS_OK;
    if (type && (n != 6 || memcmp(type, "linear", 6) != 0))
        return rs_fail(b->err, RS_E_UNSUPPORTED,
                       "the GGUF scales RoPE by \"%.*s\", which is not supported for %s: "
                       "none and linear are",
                       n < 40 ? (int)n : 40, type, b->arch);
    double f = 1;
    RS_TRY(rs_gc_opt_number(b, "rope.scale_linear", &f));
    RS_TRY(rs_gc_opt_number(b, "rope.scaling.factor", &f));
    if (f != 0) *factor = f;
    return RS_OK;
}

void rs_gc_put_linear(const rs_gc *b, double factor)
{
    char text[RS_GC_NUMBER];
    if (factor == 1) {
        rs_gc_put(b, "rope_scaling", "null");
        return;
    }
    rs_gc_number_text(factor, text);
    rs_buf scaling = {0};
    rs_buf_printf(&scaling, "{\n    \"factor\": %s,\n    \"rope_type\": \"linear\"\n  }",
                  text);
    rs_gc_put(b, "rope_scaling", rs_buf_str(&scaling));
    b->out->failed |= scaling.failed;
    rs_buf_free(&scaling);
}

/* ---- sliding and full layers ---- */

static void put_types(const rs_gc *b, const bool *full)
{
    rs_buf list = {0};
    rs_buf_putc(&list, '[');
    for (int64_t i = 0; i < b->n_layers; i++)
        rs_buf_printf(&list, "%s\n    \"%s\"", i ? "," : "",
                      full[i] ? "full_attention" : "sliding_attention");
    rs_buf_puts(&list, "\n  ]");
    rs_gc_put(b, "layer_types", rs_buf_str(&list));
    b->out->failed |= list.failed;
    rs_buf_free(&list);
}

static rs_status bad_pattern(const rs_gc *b, const char *what)
{
    return rs_fail(b->err, RS_E_FORMAT,
                   "the GGUF's key %s.attention.sliding_window_pattern %s", b->arch,
                   what);
}

/* true in the file means sliding. A number, or no key: each so many-th layer is full. */
rs_status rs_gc_put_layer_types(const rs_gc *b, int64_t every, bool *slides)
{
    bool full[RS_GC_MAX_LAYERS];
    const rs_gguf_value *v = rs_gc_find(b, "attention.sliding_window_pattern");
    bool list = v && v->is_array;
    if (v && !list && (!rs_gguf_int_at(v, 0, &every) || every < 1))
        return bad_pattern(b, "makes no sense");
    if (list && v->count != b->n_layers)
        return rs_fail(b->err, RS_E_FORMAT,
                       "the GGUF's key %s.attention.sliding_window_pattern has %" PRId64
                       " entries for %" PRId64 " layers",
                       b->arch, v->count, b->n_layers);
    *slides = false;
    for (int64_t i = 0; i < b->n_layers; i++) {
        int64_t one = (i + 1) % every != 0;
        if (list && !rs_gguf_int_at(v, i, &one))
            return bad_pattern(b, "is not a list of true and false");
        full[i] = one == 0;
        *slides |= !full[i];
    }
    put_types(b, full);
    return RS_OK;
}
