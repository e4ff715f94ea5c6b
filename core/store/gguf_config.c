/* A Hugging Face config.json out of a GGUF's keys. What no key says (activation, the
 * pattern of sliding layers, local RoPE base ...) is a rule of the architecture. */
#include "store/gguf_config_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_LAYERS = 2048 };

/* ---- sliding and full layers ---- */

static void put_layer_types(const rs_gc *b, const bool *full)
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

/* true in the file means sliding. Without a list: each pattern-th layer is full. */
static rs_status read_pattern(const rs_gc *b, bool *full)
{
    const rs_gguf_value *v = rs_gc_find(b, "attention.sliding_window_pattern");
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

/* ---- gemma3 ---- */

/* Files of one tool name the two bases rope.global and rope.local. */
static void gemma3_rope(const rs_gc *b, double factor)
{
    double global = rs_gc_number_or(b, "rope.freq_base",
                                    rs_gc_number_or(b, "rope.global.freq_base", 1e6));
    double local = rs_gc_number_or(b, "rope.freq_base_swa",
                                   rs_gc_number_or(b, "rope.local.freq_base", 1e4));
    rs_gc_put_number(b, "rope_theta", global);
    rs_gc_put_number(b, "rope_local_base_freq", local);
    rs_gc_put_linear(b, factor);
}

/* By the key attention.scale where there is one (our own exports have it where the scale does
 * not follow from other keys); it is a float32, the scalar nearly always a whole number. */
static void put_scalar(const rs_gc *b, double usual)
{
    double scale = rs_gc_number_or(b, "attention.scale", 0);
    double scalar = scale > 0 ? 1 / (scale * scale) : usual;
    if (fabs(scalar / round(scalar) - 1) < 1e-6) scalar = round(scalar);
    rs_gc_put_number(b, "query_pre_attn_scalar", scalar);
}

/* final_logit_softcapping is left out: where a file has it for gemma3, it is not true. */
static rs_status gemma3(const rs_gc *b, const bool *full, rs_dtype d)
{
    int64_t head_dim;
    double factor;
    RS_TRY(rs_gc_need_int(b, "attention.key_length", &head_dim));
    if (head_dim == 128 &&
        !rs_gc_find(
            b,
            "attention.scale")) /* only the largest Gemma 3, whose scale is not 128^-1/2 */
        return rs_fail(
            b->err, RS_E_UNSUPPORTED,
            "this Gemma 3 has heads of 128: its attention scale is not in the GGUF, "
            "use its Hugging Face folder");
    RS_TRY(rs_gc_linear_factor(b, &factor));
    rs_gc_put_start(b, "Gemma3ForCausalLM", "gemma3_text", "gelu_pytorch_tanh", d);
    RS_TRY(rs_gc_put_sizes(b));
    RS_TRY(rs_gc_copy_same_int(b, "intermediate_size", "feed_forward_length"));
    rs_gc_put_int(b, "head_dim", head_dim);
    put_scalar(b, (double)head_dim);
    rs_gc_put(b, "attn_logit_softcapping", "null");
    rs_gc_put(b, "final_logit_softcapping", "null");
    gemma3_rope(b, factor);
    put_layer_types(b, full);
    return RS_OK;
}

/* ---- gemma2 ---- */

/* For those whose models have none. */
static rs_status refuse_scaling(const rs_gc *b)
{
    double factor;
    RS_TRY(rs_gc_linear_factor(b, &factor));
    if (factor == 1) return RS_OK;
    return rs_fail(b->err, RS_E_UNSUPPORTED,
                   "the GGUF divides the positions of RoPE by %g, which is not supported "
                   "for %s",
                   factor, b->arch);
}

/* The 27B's scale comes from hidden / heads, that of the others from the head. */
static rs_status gemma2_scalar(const rs_gc *b, int64_t head_dim)
{
    enum { LAYERS_OF_27B = 46 };
    int64_t hidden, heads;
    RS_TRY(rs_gc_need_int(b, "embedding_length", &hidden));
    RS_TRY(rs_gc_need_same_int(b, "attention.head_count", &heads));
    bool big = b->n_layers == LAYERS_OF_27B && heads > 0;
    put_scalar(b, (double)(big ? hidden / heads : head_dim));
    return RS_OK;
}

static rs_status gemma2(const rs_gc *b, rs_dtype d)
{
    int64_t head_dim;
    RS_TRY(refuse_scaling(b));
    RS_TRY(rs_gc_need_int(b, "attention.key_length", &head_dim));
    rs_gc_put_start(b, "Gemma2ForCausalLM", "gemma2", "gelu_pytorch_tanh", d);
    RS_TRY(rs_gc_put_sizes(b));
    RS_TRY(rs_gc_copy_same_int(b, "intermediate_size", "feed_forward_length"));
    rs_gc_put_int(b, "head_dim", head_dim);
    RS_TRY(gemma2_scalar(b, head_dim));
    rs_gc_put_number(b, "attn_logit_softcapping",
                     rs_gc_number_or(b, "attn_logit_softcapping", 50));
    rs_gc_put_number(b, "final_logit_softcapping",
                     rs_gc_number_or(b, "final_logit_softcapping", 30));
    rs_gc_put_number(b, "rope_theta", rs_gc_number_or(b, "rope.freq_base", 1e4));
    return RS_OK;
}

/* ---- qwen2, qwen3 ---- */

static rs_status qwen(const rs_gc *b, rs_dtype d)
{
    bool third = strcmp(b->arch, "qwen3") == 0;
    double factor;
    RS_TRY(rs_gc_linear_factor(b, &factor));
    rs_gc_put_start(b, third ? "Qwen3ForCausalLM" : "Qwen2ForCausalLM", b->arch, "silu",
                    d);
    RS_TRY(rs_gc_put_sizes(b));
    RS_TRY(rs_gc_copy_same_int(b, "intermediate_size", "feed_forward_length"));
    if (rs_gc_find(b, "attention.key_length"))
        RS_TRY(rs_gc_copy_int(b, "head_dim", "attention.key_length"));
    else if (third)
        return rs_fail(b->err, RS_E_FORMAT,
                       "the GGUF has no key qwen3.attention.key_length");
    rs_gc_put_number(b, "rope_theta", rs_gc_number_or(b, "rope.freq_base", 1e4));
    rs_gc_put_linear(b, factor);
    rs_gc_put(b, "use_sliding_window", "false");
    return RS_OK;
}

/* ---- gemma4 ---- */

/* The layers that share K/V may have an MLP of twice the width, nothing else. */
static rs_status gemma4_mlp(const rs_gc *b, int64_t n_shared)
{
    int64_t width, last, v;
    RS_TRY(rs_gc_need_layer_int(b, "feed_forward_length", 0, &width));
    RS_TRY(rs_gc_need_layer_int(b, "feed_forward_length", b->n_layers - 1, &last));
    bool wide = n_shared > 0 && width < INT64_MAX / 2 && last == 2 * width;
    for (int64_t i = 0; i < b->n_layers; i++) {
        RS_TRY(rs_gc_need_layer_int(b, "feed_forward_length", i, &v));
        if (v != (wide && i >= b->n_layers - n_shared ? last : width))
            return rs_fail(
                b->err, RS_E_UNSUPPORTED,
                "the GGUF's feed_forward_length of layer %" PRId64 " is %" PRId64
                ", which fits neither one width nor a doubled one in the layers "
                "that share K/V",
                i, v);
    }
    rs_gc_put_int(b, "intermediate_size", width);
    rs_gc_put(b, "use_double_wide_mlp", wide ? "true" : "false");
    return RS_OK;
}

static void gemma4_rope(const rs_gc *b)
{
    char full[48], sliding[48];
    rs_gc_number_text(rs_gc_number_or(b, "rope.freq_base", 1e6), full);
    rs_gc_number_text(rs_gc_number_or(b, "rope.freq_base_swa", 1e4), sliding);
    rs_buf text = {0};
    rs_buf_printf(
        &text,
        "{\n    \"full_attention\": {\n      \"partial_rotary_factor\": 0.25,\n"
        "      \"rope_theta\": %s,\n      \"rope_type\": \"proportional\"\n    },\n"
        "    \"sliding_attention\": {\n      \"rope_theta\": %s,\n"
        "      \"rope_type\": \"default\"\n    }\n  }",
        full, sliding);
    rs_gc_put(b, "rope_parameters", rs_buf_str(&text));
    b->out->failed |= text.failed;
    rs_buf_free(&text);
}

static rs_status gemma4_ple(const rs_gc *b)
{
    int64_t width = 0, vocab = 0;
    if (rs_gc_find(b, "embedding_length_per_layer_input"))
        RS_TRY(rs_gc_need_int(b, "embedding_length_per_layer_input", &width));
    rs_gc_put_int(b, "hidden_size_per_layer_input", width);
    if (width == 0) return RS_OK;
    RS_TRY(rs_gc_rows_of(b, "per_layer_token_embd.weight", &vocab));
    rs_gc_put_int(b, "vocab_size_per_layer_input", vocab);
    return RS_OK;
}

static rs_status gemma4(const rs_gc *b, const bool *full, rs_dtype d)
{
    int64_t n_shared = 0;
    RS_TRY(refuse_scaling(b));
    rs_gc_put_start(b, "Gemma4ForCausalLM", "gemma4_text", "gelu_pytorch_tanh", d);
    RS_TRY(rs_gc_put_sizes(b));
    if (rs_gc_find(b, "attention.shared_kv_layers"))
        RS_TRY(rs_gc_need_int(b, "attention.shared_kv_layers", &n_shared));
    rs_gc_put_int(b, "num_kv_shared_layers", n_shared);
    RS_TRY(gemma4_mlp(b, n_shared));
    RS_TRY(rs_gc_copy_int(b, "head_dim", "attention.key_length_swa"));
    RS_TRY(rs_gc_copy_int(b, "global_head_dim", "attention.key_length"));
    RS_TRY(gemma4_ple(b));
    rs_gc_put(b, "attention_k_eq_v", "false");
    rs_gc_put(b, "enable_moe_block", "false");
    rs_gc_put(b, "use_bidirectional_attention", "null");
    rs_gc_put_number(b, "final_logit_softcapping",
                     rs_gc_number_or(b, "final_logit_softcapping", 30));
    gemma4_rope(b);
    put_layer_types(b, full);
    return RS_OK;
}

/* ---- the whole ---- */

static rs_status write_family(const rs_gc *b, rs_dtype d)
{
    bool full[MAX_LAYERS];
    if (strcmp(b->arch, "llama") == 0) return rs_gc_llama(b, d);
    if (strncmp(b->arch, "qwen", 4) == 0) return qwen(b, d);
    if (strcmp(b->arch, "gemma2") == 0) return gemma2(b, d);
    RS_TRY(read_pattern(b, full));
    return strcmp(b->arch, "gemma3") == 0 ? gemma3(b, full, d) : gemma4(b, full, d);
}

/* A tensor that has no place here would change the computation (biases, experts ...). The
 * tables of frequencies follow from the config. */
static rs_status check_tensors(const rs_gc *b)
{
    char name[4096];
    float shift;
    for (int i = 0; i < rs_gguf_n_tensors(b->g); i++) {
        const char *stored = rs_gguf_tensor(b->g, i)->stored_name;
        if (rs_gguf_is_table(stored) ||
            rs_gguf_hf_name(b->arch, stored, name, sizeof name, &shift))
            continue;
        return rs_fail(
            b->err, RS_E_UNSUPPORTED,
            "the GGUF's tensor %.100s has no place in the models of %s that are "
            "supported",
            stored, b->arch);
    }
    return RS_OK;
}

static rs_status write_config(rs_gc *b, rs_dtype d)
{
    if (!rs_gguf_arch_is_known(b->arch))
        return rs_fail(
            b->err, RS_E_UNSUPPORTED,
            "the GGUF's architecture \"%.60s\" is not supported: gemma2, gemma3, "
            "gemma4, llama (Llama and Mistral), qwen2 and qwen3 are",
            b->arch);
    RS_TRY(rs_gc_need_int(b, "block_count", &b->n_layers));
    if (b->n_layers < 1 || b->n_layers > MAX_LAYERS)
        return rs_fail(b->err, RS_E_FORMAT,
                       "the GGUF has %" PRId64 " layers, 1 to %d are accepted",
                       b->n_layers, (int)MAX_LAYERS);
    RS_TRY(write_family(b, d));
    RS_TRY(check_tensors(b));
    rs_buf_puts(b->out, "\n}\n");
    return RS_OK;
}

rs_status rs_gguf_config_for(const rs_gguf *g, rs_dtype dtype, rs_buf *out, rs_err *err)
{
    rs_buf text = {0};
    rs_gc b = {g, rs_gguf_arch(g), &text, err, 0};
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
