/* A Hugging Face config.json out of a GGUF's keys. What no key says (activation, the
 * pattern of sliding layers, local RoPE base ...) is a rule of the architecture. */
#include "store/gguf_config_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- caps ---- */

/* 0: none, and so null. */
static void put_cap(const rs_gc *b, const char *key, double cap)
{
    if (cap == 0)
        rs_gc_put(b, key, "null");
    else
        rs_gc_put_number(b, key, cap);
}

static rs_status copy_cap(const rs_gc *b, const char *name, double otherwise)
{
    RS_TRY(rs_gc_opt_number(b, name, &otherwise));
    put_cap(b, name, otherwise);
    return RS_OK;
}

/* ---- gemma3 ---- */

/* Files of one tool name the two bases rope.global and rope.local. */
static rs_status gemma3_rope(const rs_gc *b, double factor)
{
    double global = 1e6, local = 1e4;
    RS_TRY(rs_gc_opt_number(b, "rope.global.freq_base", &global));
    RS_TRY(rs_gc_opt_number(b, "rope.freq_base", &global));
    RS_TRY(rs_gc_opt_number(b, "rope.local.freq_base", &local));
    RS_TRY(rs_gc_opt_number(b, "rope.freq_base_swa", &local));
    rs_gc_put_number(b, "rope_theta", global);
    rs_gc_put_number(b, "rope_local_base_freq", local);
    rs_gc_put_linear(b, factor);
    return RS_OK;
}

/* final_logit_softcapping is not read: where a published file has it, it is not true. */
static rs_status gemma3_caps(const rs_gc *b)
{
    double caps[2] = {0, 0};
    const rs_gguf_value *v = rs_gguf_get(b->g, RS_GGUF_CAPS_KEY);
    for (int i = 0; v && i < 2; i++)
        if (!v->is_array || v->count != 2 || !rs_gguf_number_at(v, i, &caps[i]) ||
            !isfinite(caps[i]))
            return rs_fail(b->err, RS_E_FORMAT,
                           "the GGUF's key %s is not a list of two numbers",
                           RS_GGUF_CAPS_KEY);
    put_cap(b, "attn_logit_softcapping", caps[0]);
    put_cap(b, "final_logit_softcapping", caps[1]);
    return RS_OK;
}

/* By the key attention.scale where there is one (our own exports have it); it is a float32, the
 * scalar nearly always a whole number. */
static rs_status put_scalar(const rs_gc *b, double usual)
{
    double scale = 0;
    RS_TRY(rs_gc_opt_number(b, "attention.scale", &scale));
    double scalar = scale > 0 ? 1 / (scale * scale) : usual;
    bool whole = scalar < 1e9 && fabs(scalar / round(scalar) - 1) < 1e-6;
    /* transformers takes whole numbers here, and refuses them as 256.0. */
    if (whole)
        rs_gc_put_int(b, "query_pre_attn_scalar", (int64_t)round(scalar));
    else
        rs_gc_put_number(b, "query_pre_attn_scalar", scalar);
    return RS_OK;
}

static rs_status gemma3(const rs_gc *b, rs_dtype d)
{
    int64_t head_dim;
    double factor;
    bool slides;
    RS_TRY(rs_gc_need_int(b, "attention.key_length", &head_dim));
    RS_TRY(rs_gc_one_head(b, head_dim));
    /* only the largest Gemma 3 has such heads, and its scale is not 128^-1/2 */
    if (head_dim == 128 && !rs_gc_find(b, "attention.scale"))
        return rs_fail(
            b->err, RS_E_UNSUPPORTED,
            "this Gemma 3 has heads of 128: its attention scale is not in the GGUF, "
            "use its Hugging Face folder");
    RS_TRY(rs_gc_linear_factor(b, &factor));
    rs_gc_put_start(b, "Gemma3ForCausalLM", "gemma3_text", "gelu_pytorch_tanh", d);
    RS_TRY(rs_gc_put_sizes(b));
    RS_TRY(rs_gc_copy_same_int(b, "intermediate_size", "feed_forward_length"));
    rs_gc_put_int(b, "head_dim", head_dim);
    RS_TRY(put_scalar(b, (double)head_dim));
    RS_TRY(gemma3_caps(b));
    RS_TRY(gemma3_rope(b, factor));
    return rs_gc_put_layer_types(b, 6, &slides);
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
    return put_scalar(b, (double)(big ? hidden / heads : head_dim));
}

static rs_status gemma2(const rs_gc *b, rs_dtype d)
{
    int64_t head_dim;
    bool slides;
    RS_TRY(refuse_scaling(b));
    RS_TRY(rs_gc_need_int(b, "attention.key_length", &head_dim));
    RS_TRY(rs_gc_one_head(b, head_dim));
    rs_gc_put_start(b, "Gemma2ForCausalLM", "gemma2", "gelu_pytorch_tanh", d);
    RS_TRY(rs_gc_put_sizes(b));
    RS_TRY(rs_gc_copy_same_int(b, "intermediate_size", "feed_forward_length"));
    rs_gc_put_int(b, "head_dim", head_dim);
    RS_TRY(gemma2_scalar(b, head_dim));
    RS_TRY(copy_cap(b, "attn_logit_softcapping", 50));
    RS_TRY(copy_cap(b, "final_logit_softcapping", 30));
    RS_TRY(rs_gc_copy_number(b, "rope_theta", "rope.freq_base", 1e4));
    return rs_gc_put_layer_types(b, 2, &slides);
}

/* ---- qwen2, qwen3 ---- */

/* Qwen 2's heads are hidden / heads; Qwen 3's have a key. */
static rs_status qwen_head(const rs_gc *b, bool third)
{
    int64_t hidden, heads, head_dim = 0;
    RS_TRY(rs_gc_need_int(b, "embedding_length", &hidden));
    RS_TRY(rs_gc_need_same_int(b, "attention.head_count", &heads));
    if (third || rs_gc_find(b, "attention.key_length"))
        RS_TRY(rs_gc_need_int(b, "attention.key_length", &head_dim));
    else if (heads > 0)
        head_dim = hidden / heads;
    rs_gc_put_int(b, "head_dim", head_dim);
    return rs_gc_one_head(b, head_dim);
}

/* Layers slide only where our own exports say which; no other file has that key. */
static rs_status qwen(const rs_gc *b, rs_dtype d)
{
    bool third = strcmp(b->arch, "qwen3") == 0, slides = false;
    double factor;
    RS_TRY(rs_gc_linear_factor(b, &factor));
    rs_gc_put_start(b, third ? "Qwen3ForCausalLM" : "Qwen2ForCausalLM", b->arch, "silu",
                    d);
    RS_TRY(rs_gc_put_sizes(b));
    RS_TRY(rs_gc_copy_same_int(b, "intermediate_size", "feed_forward_length"));
    RS_TRY(qwen_head(b, third));
    RS_TRY(rs_gc_copy_number(b, "rope_theta", "rope.freq_base", 1e4));
    rs_gc_put_linear(b, factor);
    if (rs_gc_find(b, "attention.sliding_window_pattern"))
        RS_TRY(rs_gc_put_layer_types(b, 1, &slides));
    rs_gc_put(b, "use_sliding_window", slides ? "true" : "false");
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

/* The first pairs of a full layer's head turn (divisor 1), the rest do not: its divisor leaves
 * no angle. How many of head/2 those are, as the factor that the config has. */
static rs_status gemma4_partial(const rs_gc *b, int64_t head, double *factor)
{
    int n, turn = 0;
    const float *divisor = rs_gguf_rope_factors(b->g, &n);
    bool ok = divisor && n == head / 2 && n > 0;
    for (int i = 0; ok && i < n; i++) {
        turn += divisor[i] == 1;
        ok = turn == i + 1 || divisor[i] >= 1e20f;
    }
    if (!ok)
        return rs_fail(
            b->err, RS_E_UNSUPPORTED,
            "the GGUF has no rope_freqs.weight that says for each of the %" PRId64
            " pairs of a full layer's head, the first ones with 1, whether it "
            "turns",
            head / 2);
    *factor = (double)turn / n;
    if (turn == 0 || floor(*factor * (double)head / 2) != turn)
        *factor = (turn + 0.5) / n;
    return RS_OK;
}

static rs_status gemma4_rope(const rs_gc *b, int64_t head)
{
    char full[RS_GC_NUMBER], sliding[RS_GC_NUMBER], part[RS_GC_NUMBER];
    double base = 1e6, base_swa = 1e4, partial = 0;
    RS_TRY(gemma4_partial(b, head, &partial));
    RS_TRY(rs_gc_opt_number(b, "rope.freq_base", &base));
    RS_TRY(rs_gc_opt_number(b, "rope.freq_base_swa", &base_swa));
    rs_gc_number_text(base, full);
    rs_gc_number_text(base_swa, sliding);
    rs_gc_number_text(partial, part);
    rs_buf text = {0};
    rs_buf_printf(
        &text,
        "{\n    \"full_attention\": {\n      \"partial_rotary_factor\": %s,\n"
        "      \"rope_theta\": %s,\n      \"rope_type\": \"proportional\"\n    },\n"
        "    \"sliding_attention\": {\n      \"rope_theta\": %s,\n"
        "      \"rope_type\": \"default\"\n    }\n  }",
        part, full, sliding);
    rs_gc_put(b, "rope_parameters", rs_buf_str(&text));
    b->out->failed |= text.failed;
    rs_buf_free(&text);
    return RS_OK;
}

static rs_status gemma4_heads(const rs_gc *b, int64_t *full)
{
    int64_t sliding;
    RS_TRY(rs_gc_need_int(b, "attention.key_length", full));
    RS_TRY(rs_gc_need_int(b, "attention.key_length_swa", &sliding));
    RS_TRY(rs_gc_one_head(b, *full));
    RS_TRY(rs_gc_must_be(b, "attention.value_length_swa", sliding));
    RS_TRY(rs_gc_must_be(b, "rope.dimension_count_swa", sliding));
    rs_gc_put_int(b, "head_dim", sliding);
    rs_gc_put_int(b, "global_head_dim", *full);
    return RS_OK;
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

static rs_status gemma4(const rs_gc *b, rs_dtype d)
{
    int64_t n_shared = 0, head;
    bool slides;
    RS_TRY(refuse_scaling(b));
    rs_gc_put_start(b, "Gemma4ForCausalLM", "gemma4_text", "gelu_pytorch_tanh", d);
    RS_TRY(rs_gc_put_sizes(b));
    if (rs_gc_find(b, "attention.shared_kv_layers"))
        RS_TRY(rs_gc_need_int(b, "attention.shared_kv_layers", &n_shared));
    rs_gc_put_int(b, "num_kv_shared_layers", n_shared);
    RS_TRY(gemma4_mlp(b, n_shared));
    RS_TRY(gemma4_heads(b, &head));
    RS_TRY(gemma4_ple(b));
    rs_gc_put(b, "attention_k_eq_v", "false");
    rs_gc_put(b, "enable_moe_block", "false");
    rs_gc_put(b, "use_bidirectional_attention", "null");
    RS_TRY(copy_cap(b, "final_logit_softcapping", 30));
    RS_TRY(gemma4_rope(b, head));
    return rs_gc_put_layer_types(b, 6, &slides);
}

/* ---- the whole ---- */

static rs_status write_family(const rs_gc *b, rs_dtype d)
{
    RS_TRY(rs_gc_refuse_others(b));
    if (strcmp(b->arch, "llama") == 0) return rs_gc_llama(b, d);
    if (strncmp(b->arch, "qwen", 4) == 0) return qwen(b, d);
    if (strcmp(b->arch, "gemma2") == 0) return gemma2(b, d);
    return strcmp(b->arch, "gemma3") == 0 ? gemma3(b, d) : gemma4(b, d);
}

/* A tensor that has no place here would change the computation (biases, experts ...). So
 * does a table of frequencies where none is read. */
static rs_status check_tensors(const rs_gc *b)
{
    char name[4096];
    float shift;
    bool table = strcmp(b->arch, "llama") == 0 || strcmp(b->arch, "gemma4") == 0;
    for (int i = 0; i < rs_gguf_n_tensors(b->g); i++) {
        const char *stored = rs_gguf_tensor(b->g, i)->stored_name;
        if ((table && rs_gguf_is_table(stored)) ||
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
    if (b->n_layers < 1 || b->n_layers > RS_GC_MAX_LAYERS)
        return rs_fail(b->err, RS_E_FORMAT,
                       "the GGUF has %" PRId64 " layers, 1 to %d are accepted",
                       b->n_layers, (int)RS_GC_MAX_LAYERS);
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
