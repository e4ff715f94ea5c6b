/* The config of architecture llama, which both Llama and Mistral have. Llama 3's scaling of
 * RoPE is no key of the file: rope_freqs.weight holds what it makes of each pair. The
 * parameters are found again from that table, and are taken only if they give all of it. */
#include "store/gguf_config_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Llama 3's table ---- */

typedef struct scaling {
    double factor, low, high, original;
} scaling;

typedef struct table {
    const float *divisor; /* of each pair's frequency */
    int n;
    double theta;
} table;

double rs_gguf_llama3_divisor(double wave, double factor, double low, double high,
                              double original)
{
    if (wave > original / low) return factor;
    if (wave < original / high) return 1;
    double smooth = (original / wave - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
}

static double wave_of(const table *t, int pair)
{
    return 2 * 3.14159265358979323846 * pow(t->theta, (double)pair / t->n);
}

/* The table is float32, made from float32 powers. */
static bool gives_table(const scaling *s, const table *t)
{
    for (int i = 0; i < t->n; i++) {
        double have = (double)t->divisor[i];
        double want = rs_gguf_llama3_divisor(wave_of(t, i), s->factor, s->low, s->high,
                                             s->original);
        if (!(fabs(want - have) <= 3e-5 * have)) return false;
    }
    return true;
}

/* What our own exports have beside the table: it alone may not say all four. */
static bool as_written(scaling *s, const rs_gc *b, const table *t)
{
    double v[4];
    const rs_gguf_value *list = rs_gguf_get(b->g, RS_GGUF_LLAMA3_KEY);
    if (!list || !list->is_array || list->count != 4) return false;
    for (int i = 0; i < 4; i++)
        if (!rs_gguf_number_at(list, i, &v[i]) || !(v[i] > 0)) return false;
    *s = (scaling){v[0], v[1], v[2], v[3]};
    return s->high > s->low && gives_table(s, t);
}

/* All published models have 1, 4 and a power of two. */
static bool usual(scaling *s, const table *t)
{
    s->high = 4;
    for (s->original = 32; s->original <= 1 << 24; s->original *= 2)
        if (gives_table(s, t)) return true;
    return false;
}

/* Two pairs of the blend lie on a line: smooth = (original / wave - 1) / (high - 1), with
 * low 1: scaling low, high and original together changes nothing. */
static bool from_blend(scaling *s, const table *t)
{
    double x[2] = {0, 0}, y[2] = {0, 0};
    int n = 0;
    for (int i = 0; i < t->n; i++) {
        double d = (double)t->divisor[i];
        if (d < 1.0001 || d > s->factor * 0.9999) continue;
        int k = n++ == 0 ? 0 : 1;
        x[k] = 1 / wave_of(t, i);
        y[k] = (1 / d - 1 / s->factor) / (1 - 1 / s->factor);
    }
    if (n < 2) return false;
    double slope = (y[1] - y[0]) / (x[1] - x[0]), below = slope * x[0] - y[0];
    s->high = 1 + 1 / below;
    s->original = round(slope / below);
    if (!(below > 0)) return false;
    if (gives_table(s, t)) return true;
    s->original = slope / below;
    return gives_table(s, t);
}

static rs_status read_table(const rs_gc *b, int64_t head_dim, table *t)
{
    t->divisor = rs_gguf_rope_factors(b->g, &t->n);
    t->theta = 1e4;
    RS_TRY(rs_gc_opt_number(b, "rope.freq_base", &t->theta));
    if (!t->divisor || t->n != head_dim / 2)
        return rs_fail(b->err, RS_E_UNSUPPORTED,
                       "the GGUF's rope_freqs.weight is not a list of %" PRId64
                       " float32 numbers, one for each pair of a head",
                       head_dim / 2);
    for (int i = 0; i < t->n; i++)
        if (!(t->divisor[i] > 0 && t->divisor[i] < 1e6f))
            return rs_fail(
                b->err, RS_E_FORMAT,
                "the GGUF's rope_freqs.weight[%d] is %g: frequencies cannot be "
                "divided by it",
                i, (double)t->divisor[i]);
    return RS_OK;
}

static void put_llama3(const rs_gc *b, const scaling *s)
{
    char factor[RS_GC_NUMBER], low[RS_GC_NUMBER], high[RS_GC_NUMBER];
    char original[RS_GC_NUMBER];
    rs_buf text = {0};
    rs_gc_number_text((double)(float)s->factor, factor);
    rs_gc_number_text((double)(float)s->low, low);
    rs_gc_number_text((double)(float)s->high, high);
    rs_gc_number_text((double)(float)s->original, original);
    if (s->original == floor(s->original)) /* where it is whole, without a point */
        snprintf(original, sizeof original, "%.0f", s->original);
    rs_buf_printf(&text,
                  "{\n    \"factor\": %s,\n    \"high_freq_factor\": %s,\n"
                  "    \"low_freq_factor\": %s,\n"
                  "    \"original_max_position_embeddings\": %s,\n"
                  "    \"rope_type\": \"llama3\"\n  }",
                  factor, high, low, original);
    rs_gc_put(b, "rope_scaling", rs_buf_str(&text));
    b->out->failed |= text.failed;
    rs_buf_free(&text);
}

static rs_status put_table(const rs_gc *b, int64_t head_dim)
{
    table t;
    RS_TRY(read_table(b, head_dim, &t));
    scaling s = {.low = 1};
    double least = INFINITY;
    for (int i = 0; i < t.n; i++) {
        s.factor = fmax(s.factor, (double)t.divisor[i]);
        least = fmin(least, (double)t.divisor[i]);
    }
    if (least == s.factor) { /* all alike */
        rs_gc_put_linear(b, s.factor);
        return RS_OK;
    }
    scaling mine;
    if (as_written(&mine, b, &t))
        s = mine;
    else if (!usual(&s, &t) && !from_blend(&s, &t))
        return rs_fail(
            b->err, RS_E_UNSUPPORTED,
            "the GGUF's rope_freqs.weight is not Llama 3's scaling of RoPE, the "
            "only one by a table that is supported");
    put_llama3(b, &s);
    return RS_OK;
}

static rs_status put_rope(const rs_gc *b, int64_t head_dim)
{
    double factor;
    RS_TRY(rs_gc_linear_factor(b, &factor));
    RS_TRY(rs_gc_copy_number(b, "rope_theta", "rope.freq_base", 1e4));
    if (!rs_gguf_find(b->g, "rope_freqs.weight")) {
        rs_gc_put_linear(b, factor);
        return RS_OK;
    }
    if (factor != 1)
        return rs_fail(b->err, RS_E_UNSUPPORTED,
                       "the GGUF scales RoPE by a factor of %g and by rope_freqs.weight: "
                       "only one of both is supported",
                       factor);
    return put_table(b, head_dim);
}

/* ---- the whole ---- */

static rs_status head_size(const rs_gc *b, int64_t *head_dim)
{
    int64_t hidden, heads;
    RS_TRY(rs_gc_need_int(b, "embedding_length", &hidden));
    RS_TRY(rs_gc_need_same_int(b, "attention.head_count", &heads));
    *head_dim = heads > 0 ? hidden / heads : 0;
    if (rs_gc_find(b, "attention.key_length"))
        RS_TRY(rs_gc_need_int(b, "attention.key_length", head_dim));
    if (*head_dim < 2 || *head_dim % 2 != 0)
        return rs_fail(b->err, RS_E_FORMAT,
                       "the GGUF has heads of %" PRId64
                       ", which cannot be turned in pairs",
                       *head_dim);
    return RS_OK;
}

/* Both families compute the same, but for Mistral's window. */
rs_status rs_gc_llama(const rs_gc *b, rs_dtype d)
{
    int64_t head_dim, window = 0;
    bool slides;
    RS_TRY(head_size(b, &head_dim));
    RS_TRY(rs_gc_one_head(b, head_dim));
    if (rs_gc_find(b, "attention.sliding_window"))
        RS_TRY(rs_gc_need_int(b, "attention.sliding_window", &window));
    rs_gc_put_start(b, window > 0 ? "MistralForCausalLM" : "LlamaForCausalLM",
                    window > 0 ? "mistral" : "llama", "silu", d);
    RS_TRY(rs_gc_put_sizes(b));
    RS_TRY(rs_gc_copy_same_int(b, "intermediate_size", "feed_forward_length"));
    rs_gc_put_int(b, "head_dim", head_dim);
    if (window > 0 && rs_gc_find(b, "attention.sliding_window_pattern"))
        RS_TRY(rs_gc_put_layer_types(b, 1, &slides));
    return put_rope(b, head_dim);
}
