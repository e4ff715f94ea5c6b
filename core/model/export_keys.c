/* The keys of a GGUF that are not the tokenizer's, out of a config. */
#include "model/export_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY = 128 };

/* --- keys of the architecture --- */

static const char *key_of(const rs_export_job *j, const char *name, char key[KEY])
{
    snprintf(key, KEY, "%s.%s", j->arch, name);
    return key;
}

static void put_int(rs_export_job *j, const char *name, int v)
{
    char key[KEY];
    rs_gguf_put_u32(&j->keys, key_of(j, name, key), (uint32_t)v);
}

static void put_float(rs_export_job *j, const char *name, double v)
{
    char key[KEY];
    rs_gguf_put_f32(&j->keys, key_of(j, name, key), (float)v);
}

static int mlp_of(const rs_layer_config *l)
{
    return l->intermediate;
}
static int kv_heads_of(const rs_layer_config *l)
{
    return l->n_kv_heads;
}

/* One number, or a list where layers differ. */
static void put_of_layers(rs_export_job *j, const char *name,
                          int (*of)(const rs_layer_config *))
{
    char key[KEY];
    const rs_config *c = j->source->config;
    bool same = true;
    for (int i = 1; i < c->n_layers; i++)
        same &= of(&c->layers[i]) == of(&c->layers[0]);
    if (same) {
        put_int(j, name, of(&c->layers[0]));
        return;
    }
    rs_gguf_put_array(&j->keys, key_of(j, name, key), RS_GGUF_I32, (uint64_t)c->n_layers);
    for (int i = 0; i < c->n_layers; i++)
        rs_gguf_add_u32(&j->keys, (uint32_t)of(&c->layers[i]));
}

/* The first layer of a kind, else the first of all. */
static const rs_layer_config *first_layer(const rs_config *c, bool full)
{
    for (int i = 0; i < c->n_layers; i++)
        if (c->layers[i].is_full == full) return &c->layers[i];
    return &c->layers[0];
}

static bool has_layer(const rs_config *c, bool full)
{
    return first_layer(c, full)->is_full == full;
}

/* The type asked for, unless no matrix has it: then the first matrix's. */
static rs_dtype main_type(const rs_export_job *j)
{
    const rs_export_item *first = NULL;
    for (int i = 0; i < j->n_items; i++) {
        const rs_export_item *it = &j->items[i];
        if (it->n_dims == 2 && it->dtype == j->o->dtype) return it->dtype;
        if (it->n_dims == 2 && !first) first = it;
    }
    return first ? first->dtype : j->o->dtype;
}

static void put_general(rs_export_job *j)
{
    static const struct {
        rs_dtype dtype;
        uint32_t number;
    } types[] = {{RS_DTYPE_F32, 0},
                 {RS_DTYPE_F16, 1},
                 {RS_DTYPE_Q4_0, 2},
                 {RS_DTYPE_Q8_0, 7},
                 {RS_DTYPE_BF16, 32}};
    rs_gguf_keys *k = &j->keys;
    rs_gguf_put_string(k, "general.architecture", j->arch, strlen(j->arch));
    rs_gguf_put_string(k, "general.type", "model", 5);
    if (j->o->name) rs_gguf_put_string(k, "general.name", j->o->name, strlen(j->o->name));
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].dtype == main_type(j))
            rs_gguf_put_u32(k, "general.file_type", types[i].number);
    rs_gguf_put_u32(k, "general.quantization_version", 2);
    if (j->source->recipe)
        rs_gguf_put_string(k, "ringside.recipe", j->source->recipe,
                           strlen(j->source->recipe));
}

static void put_sizes(rs_export_job *j)
{
    const rs_config *c = j->source->config;
    put_int(j, "vocab_size", c->vocab);
    put_int(j, "context_length", c->max_positions);
    put_int(j, "embedding_length", c->hidden);
    put_int(j, "block_count", c->n_layers);
    put_of_layers(j, "feed_forward_length", mlp_of);
    put_int(j, "attention.head_count", c->n_heads);
    put_of_layers(j, "attention.head_count_kv", kv_heads_of);
    put_float(j, "attention.layer_norm_rms_epsilon", c->rms_eps);
    put_int(j, "attention.key_length", first_layer(c, true)->head_dim);
    put_int(j, "attention.value_length", first_layer(c, true)->head_dim);
}

/* The four numbers of Llama 3, which the table does not always give back. */
static void put_llama3(rs_export_job *j, const rs_layer_config *l)
{
    const double v[4] = {l->rope_factor, l->rope_low, l->rope_high, l->rope_original};
    rs_gguf_put_array(&j->keys, RS_GGUF_LLAMA3_KEY, RS_GGUF_F32, 4);
    for (int i = 0; i < 4; i++)
        rs_gguf_add_f32(&j->keys, (float)v[i]);
}

/* The factor of the full layers; what turns like Llama 3 is said by the table. */
static void put_rope(rs_export_job *j)
{
    char key[KEY];
    const rs_layer_config *l = first_layer(j->source->config, true);
    put_float(j, "rope.freq_base", l->rope_theta);
    if (l->rope_original > 0) put_llama3(j, l);
    if (l->rope_original > 0 || l->rope_factor == 1) return;
    rs_gguf_put_string(&j->keys, key_of(j, "rope.scaling.type", key), "linear", 6);
    put_float(j, "rope.scaling.factor", l->rope_factor);
}

/* --- what families have besides --- */

/* true: the layer slides. Left out where it is what the runtime takes for granted. */
static bool put_pattern(rs_export_job *j, int usual)
{
    char key[KEY];
    const rs_config *c = j->source->config;
    bool is_usual = usual > 0;
    for (int i = 0; i < c->n_layers; i++)
        is_usual &= c->layers[i].is_full == (usual > 0 && (i + 1) % usual == 0);
    if (is_usual) return false;
    rs_gguf_put_array(&j->keys, key_of(j, "attention.sliding_window_pattern", key),
                      RS_GGUF_BOOL, (uint64_t)c->n_layers);
    for (int i = 0; i < c->n_layers; i++)
        rs_gguf_add_bool(&j->keys, !c->layers[i].is_full);
    return true;
}

static void tell_of_pattern(const rs_export_job *j, int usual)
{
    rs_export_note(j,
                   "the layers that slide are not all but each %d., but those are what "
                   "most llama.cpp take in %s",
                   usual, j->arch);
}

/* llama.cpp takes head_dim^-1/2, in the largest models (heads / hidden)^1/2. */
static void put_scale(rs_export_job *j, int layers_of_27b)
{
    const rs_config *c = j->source->config;
    int head = c->layers[0].head_dim;
    int n = c->n_layers == layers_of_27b ? c->hidden / c->n_heads : head;
    put_float(j, "attention.scale", c->attn_scale);
    if (fabs(c->attn_scale * sqrt(n) - 1) < 1e-6) return;
    rs_export_note(j,
                   "query_pre_attn_scalar is %.6g, but llama.cpp computes with %d "
                   "(it does not read %s.attention.scale)",
                   1 / (c->attn_scale * c->attn_scale), n, j->arch);
}

static void put_gemma2(rs_export_job *j)
{
    const rs_config *c = j->source->config;
    put_float(j, "attn_logit_softcapping", c->attn_softcap);
    put_float(j, "final_logit_softcapping", c->final_softcap);
    if (c->attn_softcap == 0 || c->final_softcap == 0)
        rs_export_note(j, "a softcapping is null, but llama.cpp always divides by those "
                          "of gemma2: it cannot run this model");
    put_int(j, "attention.sliding_window", c->sliding_window);
    if (put_pattern(j, 2)) tell_of_pattern(j, 2);
    put_scale(j, 46);
}

/* Readers do not believe the usual key of gemma3 (gguf.h). */
static void put_caps_of_gemma3(rs_export_job *j)
{
    const rs_config *c = j->source->config;
    if (c->attn_softcap == 0 && c->final_softcap == 0) return;
    if (c->final_softcap > 0) put_float(j, "final_logit_softcapping", c->final_softcap);
    rs_gguf_put_array(&j->keys, RS_GGUF_CAPS_KEY, RS_GGUF_F32, 2);
    rs_gguf_add_f32(&j->keys, (float)c->attn_softcap);
    rs_gguf_add_f32(&j->keys, (float)c->final_softcap);
    rs_export_note(j,
                   "attn_logit_softcapping is %g and final_logit_softcapping %g, but not "
                   "all llama.cpp compute caps of gemma3",
                   c->attn_softcap, c->final_softcap);
}

static void put_gemma3(rs_export_job *j)
{
    const rs_config *c = j->source->config;
    const rs_layer_config *sliding = first_layer(c, false);
    put_caps_of_gemma3(j);
    put_scale(j, 62);
    bool odd = put_pattern(j, 6);
    if (!has_layer(c, false)) return; /* no window: llama.cpp sees that none slides */
    if (odd) tell_of_pattern(j, 6);
    put_int(j, "attention.sliding_window", c->sliding_window);
    if (sliding->rope_theta != 1e4)
        put_float(j, "rope.freq_base_swa", sliding->rope_theta);
}

/* llama.cpp knows the donors of K/V by their place: the last two layers that have their own,
 * a sliding one and then a full one. */
static void tell_of_donors(const rs_export_job *j, int first_shared)
{
    const rs_config *c = j->source->config;
    for (int i = first_shared; i < c->n_layers; i++) {
        int taken = first_shared - (c->layers[i].is_full ? 1 : 2);
        if (c->layers[i].kv_layer == taken) continue;
        rs_export_note(j,
                       "layer %d has the K/V of layer %d, but llama.cpp takes those of "
                       "layer %d: it cannot run this model",
                       i, c->layers[i].kv_layer, taken);
        return;
    }
}

static void put_gemma4(rs_export_job *j)
{
    const rs_config *c = j->source->config;
    const rs_layer_config *full = first_layer(c, true), *sliding = first_layer(c, false);
    int shared = 0;
    for (int i = 0; i < c->n_layers; i++)
        shared += c->layers[i].is_sharer;
    put_int(j, "attention.shared_kv_layers", shared);
    tell_of_donors(j, c->n_layers - shared);
    put_int(j, "embedding_length_per_layer_input", c->ple_width);
    put_int(j, "attention.sliding_window", c->sliding_window);
    put_pattern(j, 0);
    put_int(j, "attention.key_length_swa", sliding->head_dim);
    put_int(j, "attention.value_length_swa", sliding->head_dim);
    put_int(j, "rope.dimension_count", full->head_dim);
    put_int(j, "rope.dimension_count_swa", sliding->head_dim);
    put_float(j, "rope.freq_base_swa", sliding->rope_theta);
    put_float(j, "final_logit_softcapping", c->final_softcap); /* 0: none */
}

/* A window without a pattern is one of all layers for llama (Mistral), of none for Qwen. */
static void put_plain(rs_export_job *j)
{
    const rs_config *c = j->source->config;
    put_int(j, "rope.dimension_count", c->layers[0].head_dim);
    if (!has_layer(c, false)) return;
    put_int(j, "attention.sliding_window", c->sliding_window);
    if (strcmp(j->arch, "llama") != 0 || has_layer(c, true)) put_pattern(j, 0);
    rs_export_note(j,
                   "the model looks back %d tokens in its sliding layers, but llama.cpp "
                   "lets those of %s see all: texts longer than that come out otherwise",
                   c->sliding_window, j->arch);
}

rs_status rs_export_keys(rs_export_job *j, rs_err *err)
{
    static const struct {
        const char *arch;
        void (*put)(rs_export_job *j);
    } archs[] = {
        {"gemma2", put_gemma2}, {"gemma3", put_gemma3}, {"gemma4", put_gemma4},
        {"llama", put_plain},   {"qwen2", put_plain},   {"qwen3", put_plain},
    };
    for (size_t i = 0; i < sizeof archs / sizeof *archs; i++) {
        if (strcmp(archs[i].arch, j->arch) != 0) continue;
        put_general(j);
        put_sizes(j);
        put_rope(j);
        archs[i].put(j);
        return RS_OK;
    }
    return rs_fail(err, RS_E_UNSUPPORTED, "GGUF has no architecture for a %s",
                   j->source->config->model_type);
}

/* --- RoPE as a table --- */

/* What the frequency of pair p is divided by. A pair that does not turn has a divisor that
 * leaves no angle. */
static float factor_of(const rs_layer_config *l, int p)
{
    if (p >= l->rope_pairs) return 1e30f;
    if (l->rope_original <= 0) return 1;
    double pi = 3.14159265358979323846;
    double wave = 2 * pi * pow(l->rope_theta, 2.0 * p / l->head_dim);
    return (float)rs_gguf_llama3_divisor(wave, l->rope_factor, l->rope_low, l->rope_high,
                                         l->rope_original);
}

/* Of sliding layers a GGUF says no more than the base, and that only for Gemma 3 and 4. */
static rs_status check_sliding(const rs_export_job *j, rs_err *err)
{
    const rs_config *c = j->source->config;
    const rs_layer_config *s = first_layer(c, false), *f = first_layer(c, true);
    bool plain = s->rope_pairs == s->head_dim / 2, same = s->rope_theta == f->rope_theta;
    bool ok = c->family->one_rope ? same && s->rope_factor == f->rope_factor &&
                                        s->rope_original == f->rope_original
                                  : plain && s->rope_factor == 1;
    if (s->is_full || ok) return RS_OK;
    return rs_fail(err, RS_E_UNSUPPORTED,
                   "the sliding layers have another RoPE than a GGUF of %s can say "
                   "(theta %g, factor %g, %d of %d pairs)",
                   j->arch, s->rope_theta, s->rope_factor, s->rope_pairs,
                   s->head_dim / 2);
}

rs_status rs_export_rope(rs_export_job *j, rs_err *err)
{
    const rs_config *c = j->source->config;
    const rs_layer_config *l = first_layer(c, true);
    RS_TRY(check_sliding(j, err));
    bool gemma4 = strcmp(j->arch, "gemma4") == 0 && l->is_full;
    if (!gemma4 && l->rope_original <= 0) return RS_OK;
    j->n_rope_factors = l->head_dim / 2;
    j->rope_factors = calloc((size_t)j->n_rope_factors + 1, sizeof *j->rope_factors);
    if (!j->rope_factors) return rs_fail(err, RS_E_NOMEM, "no memory for RoPE");
    for (int p = 0; p < j->n_rope_factors; p++)
        j->rope_factors[p] = factor_of(l, p);
    return RS_OK;
}
