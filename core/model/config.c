#include "model/config.h"

#include "base/buf.h"
#include "base/os.h"
#include "model/config_internal.h"
#include "store/gguf.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_CONFIG_BYTES = 16 << 20,
    MAX_LAYERS = 2048,
    MAX_WIDTH = 1 << 20,
    MAX_HEADS = 4096,
    MAX_VOCAB = 1 << 24,
    MAX_POSITIONS = 1 << 30
};

rs_status rs_config_need(const config_reader *r, const char *key, int64_t max, int *out)
{
    int64_t v = 0;
    if (rs_json_is_null(rs_json_get(r->text, key)))
        return rs_fail(r->err, RS_E_FORMAT, "%s has no \"%s\"", r->where, key);
    RS_TRY(rs_json_opt_int(r->text, key, 1, max, r->where, &v, r->err));
    *out = (int)v;
    return RS_OK;
}

static rs_status opt_int(const config_reader *r, const char *key, int64_t min,
                         int64_t max, int *out)
{
    int64_t v = *out;
    RS_TRY(rs_json_opt_int(r->text, key, min, max, r->where, &v, r->err));
    *out = (int)v;
    return RS_OK;
}

/* --- which family, and where its part stands --- */

static rs_status unknown_type(const config_reader *r, const char *type)
{
    return rs_fail(r->err, RS_E_UNSUPPORTED,
                   "%s: the model_type \"%s\" is not supported; %s are", r->where, type,
                   rs_family_names());
}

static rs_status find_family(config_reader *r)
{
    const char *type = rs_json_string(rs_json_get(r->root, "model_type"));
    if (!type) return rs_fail(r->err, RS_E_FORMAT, "%s has no \"model_type\"", r->where);
    bool wrapped = false;
    const rs_family *f = rs_family_of_type(type, &wrapped);
    if (!f) return unknown_type(r, type);
    r->text = wrapped ? rs_json_get(r->root, "text_config") : r->root;
    if (!rs_json_is_object(r->text))
        return rs_fail(r->err, RS_E_FORMAT,
                       "%s: model_type \"%s\" without a \"text_config\"", r->where, type);
    const char *inner = rs_json_string(rs_json_get(r->text, "model_type"));
    if (wrapped && inner && strcmp(inner, f->model_type) != 0)
        return unknown_type(r, inner);
    r->c->family = f;
    snprintf(r->c->model_type, sizeof r->c->model_type, "%s", f->model_type);
    return RS_OK;
}

/* --- things that would change the computation and are not built --- */

static rs_status check_off(const config_reader *r)
{
    for (const char *const *key = r->c->family->must_be_off; *key; key++) {
        const rs_json *v = rs_json_get(r->text, *key);
        if (rs_json_is_null(v)) continue;
        if (!rs_json_is_bool(v) || rs_json_true(v))
            return rs_fail(r->err, RS_E_UNSUPPORTED,
                           "%s: \"%s\" is not supported for %s; it must be false",
                           r->where, *key, r->c->model_type);
    }
    return RS_OK;
}

/* "vision" concerns image tokens only, which never occur here. */
static rs_status check_causal(const config_reader *r)
{
    const rs_json *v = rs_json_get(r->text, "use_bidirectional_attention");
    const char *word = rs_json_string(v);
    if (rs_json_is_null(v) || (rs_json_is_bool(v) && !rs_json_true(v))) return RS_OK;
    if (word && strcmp(word, "vision") == 0) return RS_OK;
    return rs_fail(r->err, RS_E_UNSUPPORTED,
                   "%s: \"use_bidirectional_attention\" is %s%s%s: bidirectional models "
                   "(encoders) are not supported, causal ones are",
                   r->where, word ? "\"" : "", word ? word : "true", word ? "\"" : "");
}

static rs_status check_activation(const config_reader *r)
{
    const rs_family *f = r->c->family;
    const char *act = NULL;
    RS_TRY(rs_json_opt_string(r->text, f->activation_key, r->where, &act, r->err));
    if (!act) return RS_OK;
    for (const char *const *name = f->activations; *name; name++)
        if (strcmp(act, *name) == 0) return RS_OK;
    return rs_fail(r->err, RS_E_UNSUPPORTED, "%s: the %s \"%s\" is not supported; %s is",
                   r->where, f->activation_key, act, f->activations[0]);
}

/* --- numbers --- */

static rs_status read_sizes(const config_reader *r)
{
    rs_config *c = r->c;
    RS_TRY(rs_config_need(r, "num_hidden_layers", MAX_LAYERS, &c->n_layers));
    RS_TRY(rs_config_need(r, "hidden_size", MAX_WIDTH, &c->hidden));
    RS_TRY(rs_config_need(r, "num_attention_heads", MAX_HEADS, &c->n_heads));
    RS_TRY(rs_config_need(r, "vocab_size", MAX_VOCAB, &c->vocab));
    c->max_positions = 131072;
    RS_TRY(opt_int(r, "max_position_embeddings", 1, MAX_POSITIONS, &c->max_positions));
    RS_TRY(opt_int(r, "sliding_window", 1, MAX_POSITIONS, &c->sliding_window));
    bool has_ple = false;
    for (const rs_slot *s = rs_family_slots(c, -1); s->tail; s++)
        has_ple |= s->when == RS_WHEN_PLE;
    if (!has_ple) return RS_OK;
    RS_TRY(opt_int(r, "hidden_size_per_layer_input", 0, MAX_WIDTH, &c->ple_width));
    c->ple_vocab = c->ple_width ? c->vocab : 0;
    if (c->ple_width)
        RS_TRY(opt_int(r, "vocab_size_per_layer_input", c->vocab, MAX_VOCAB,
                       &c->ple_vocab)); /* every token has its row */
    return RS_OK;
}

static rs_status read_cap(const config_reader *r, const char *key, double *cap)
{
    RS_TRY(rs_json_opt_double(r->text, key, r->where, cap, r->err));
    if (*cap >= 0) return RS_OK;
    return rs_fail(r->err, RS_E_FORMAT, "%s: \"%s\" is %g, it cannot be negative",
                   r->where, key, *cap);
}

static rs_status read_scales(const config_reader *r)
{
    rs_config *c = r->c;
    c->rms_eps = 1e-6;
    RS_TRY(rs_json_opt_double(r->text, "rms_norm_eps", r->where, &c->rms_eps, r->err));
    if (c->rms_eps < 0)
        return rs_fail(r->err, RS_E_FORMAT, "%s: \"rms_norm_eps\" is negative", r->where);
    RS_TRY(read_cap(r, "final_logit_softcapping", &c->final_softcap));
    RS_TRY(read_cap(r, "attn_logit_softcapping", &c->attn_softcap));
    c->embed_scale = c->family->scales_embedding ? (double)sqrtf((float)c->hidden) : 1;
    c->attn_scale = 1;
    if (c->family->score != RS_SCORE_QUERY_SCALAR) return RS_OK;
    double scalar = 256;
    RS_TRY(
        rs_json_opt_double(r->text, "query_pre_attn_scalar", r->where, &scalar, r->err));
    if (scalar <= 0)
        return rs_fail(r->err, RS_E_FORMAT, "%s: \"query_pre_attn_scalar\" is %g",
                       r->where, scalar);
    c->attn_scale = 1 / sqrt(scalar);
    return RS_OK;
}

/* --- token ids and generation defaults --- */

static rs_status add_eos(rs_config *c, int64_t id, const char *where, rs_err *err)
{
    for (int i = 0; i < c->n_eos; i++)
        if (c->eos[i] == id) return RS_OK;
    if (c->n_eos == (int)(sizeof c->eos / sizeof *c->eos))
        return rs_fail(err, RS_E_UNSUPPORTED, "%s: more than %d different eos_token_id",
                       where, c->n_eos);
    c->eos[c->n_eos++] = (int)id;
    return RS_OK;
}

/* A number, a list of numbers, or nothing. */
static rs_status read_eos(rs_config *c, const rs_json *o, const char *where, rs_err *err)
{
    const rs_json *v = rs_json_get(o, "eos_token_id");
    int64_t id = 0;
    if (rs_json_is_null(v)) return RS_OK;
    bool list = rs_json_is_array(v);
    for (const rs_json *e = list ? rs_json_first(v) : v; e;
         e = list ? rs_json_next(e) : NULL) {
        if (rs_json_as_int(e, 0, MAX_VOCAB, "eos_token_id", &id, err) != RS_OK)
            return rs_err_prefix(err, "%s", where);
        RS_TRY(add_eos(c, id, where, err));
    }
    return RS_OK;
}

static rs_status read_id(const config_reader *r, const char *key, int *out)
{
    int64_t id = *out;
    RS_TRY(rs_json_opt_int(r->root, key, -1, MAX_VOCAB, r->where, &id, r->err));
    RS_TRY(rs_json_opt_int(r->text, key, -1, MAX_VOCAB, r->where, &id, r->err));
    *out = (int)id;
    return RS_OK;
}

/* Either place may say that the head is a matrix of its own. */
static rs_status read_tie(const config_reader *r)
{
    bool outer = r->c->family->tied_head, inner = outer;
    const char *key = "tie_word_embeddings";
    RS_TRY(rs_json_opt_bool(r->root, key, r->where, &outer, r->err));
    RS_TRY(rs_json_opt_bool(r->text, key, r->where, &inner, r->err));
    r->c->tied_head = outer && inner;
    return RS_OK;
}

static rs_status read_ids(const config_reader *r)
{
    rs_config *c = r->c;
    c->bos = c->pad = -1;
    RS_TRY(read_id(r, "bos_token_id", &c->bos));
    RS_TRY(read_id(r, "pad_token_id", &c->pad));
    RS_TRY(read_eos(c, r->text, r->where, r->err));
    return r->root == r->text ? RS_OK : read_eos(c, r->root, r->where, r->err);
}

static rs_status read_generation(rs_config *c, const rs_json *g, const char *where,
                                 rs_err *err)
{
    int64_t top_k = c->top_k;
    RS_TRY(read_eos(c, g, where, err));
    RS_TRY(rs_json_opt_bool(g, "do_sample", where, &c->do_sample, err));
    RS_TRY(rs_json_opt_double(g, "temperature", where, &c->temperature, err));
    RS_TRY(rs_json_opt_double(g, "top_p", where, &c->top_p, err));
    RS_TRY(rs_json_opt_int(g, "top_k", 0, MAX_VOCAB, where, &top_k, err));
    c->top_k = (int)top_k;
    return RS_OK;
}

static rs_status load_generation(rs_config *c, const char *folder, rs_err *err)
{
    char path[4096];
    if (!rs_path_join(path, sizeof path, folder, "generation_config.json"))
        return rs_fail(err, RS_E_INVALID, "the path of %s is too long", folder);
    if (rs_os_kind(path) != RS_PATH_FILE) return RS_OK;
    rs_json *g = NULL;
    RS_TRY(rs_json_read_file(path, MAX_CONFIG_BYTES, &g, err));
    rs_status s = read_generation(c, g, path, err);
    rs_json_free(g);
    return s;
}

/* --- the whole --- */

/* The tensors decide in a dispute with the config: say so and stop. */
static rs_status check_tensors(const rs_config *c, const rs_checkpoint *file, rs_err *err)
{
    for (int i = 0; i < rs_checkpoint_count(file); i++) {
        const rs_tensor *t = rs_checkpoint_at(file, i);
        int layer;
        const rs_slot *s = rs_slot_of(c, t->name, &layer);
        if (!s) continue;
        rs_status status = rs_slot_check(c, layer, s, t->name, t->n_dims, t->dim, err);
        if (status != RS_OK) return rs_err_prefix(err, "%s", rs_checkpoint_path(file));
    }
    return RS_OK;
}

static rs_status read_config(config_reader *r)
{
    RS_TRY(find_family(r));
    RS_TRY(check_off(r));
    RS_TRY(check_causal(r));
    RS_TRY(check_activation(r));
    RS_TRY(read_sizes(r));
    RS_TRY(read_scales(r));
    RS_TRY(read_ids(r));
    RS_TRY(read_tie(r));
    r->c->layers = calloc((size_t)r->c->n_layers, sizeof *r->c->layers);
    if (!r->c->layers) return rs_fail(r->err, RS_E_NOMEM, "no memory for a config");
    return rs_config_read_layers(r);
}

static rs_status read_text(const char *where, const rs_buf *text, rs_config *c,
                           rs_err *err)
{
    rs_json *root = NULL;
    RS_TRY(rs_json_parse(rs_buf_str(text), text->len, where, &root, err));
    config_reader r = {where, root, NULL, c, err};
    rs_status s = read_config(&r);
    rs_json_free(root);
    return s;
}

static rs_status load_folder(const rs_checkpoint *file, rs_config *c, rs_err *err)
{
    char path[4096];
    const char *folder = rs_checkpoint_folder(file);
    if (!rs_path_join(path, sizeof path, folder, "config.json"))
        return rs_fail(err, RS_E_INVALID, "the path of %s is too long", folder);
    rs_buf text = {0};
    rs_status s = rs_os_read_file(path, MAX_CONFIG_BYTES, &text, err);
    if (s == RS_OK) s = read_text(path, &text, c, err);
    if (s == RS_OK) s = load_generation(c, folder, err);
    rs_buf_free(&text);
    return s;
}

static rs_status load_gguf(const rs_checkpoint *file, rs_config *c, rs_err *err)
{
    rs_buf text = {0};
    rs_status s = rs_gguf_config_json(rs_checkpoint_gguf(file), &text, err);
    if (s != RS_OK) s = rs_err_prefix(err, "%s", rs_checkpoint_path(file));
    if (s == RS_OK) s = read_text(rs_checkpoint_path(file), &text, c, err);
    rs_buf_free(&text);
    return s;
}

rs_status rs_config_load(const rs_checkpoint *file, rs_config **out, rs_err *err)
{
    *out = NULL;
    rs_config *c = calloc(1, sizeof *c);
    if (!c) return rs_fail(err, RS_E_NOMEM, "no memory for a config");
    c->temperature = c->top_p = 1;
    rs_status s =
        rs_checkpoint_gguf(file) ? load_gguf(file, c, err) : load_folder(file, c, err);
    if (s == RS_OK) s = check_tensors(c, file, err);
    if (s != RS_OK) {
        rs_config_free(c);
        return s;
    }
    *out = c;
    return RS_OK;
}

void rs_config_free(rs_config *c)
{
    if (!c) return;
    free(c->layers);
    free(c);
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

rs_widths rs_config_widest(const rs_config *c)
{
    rs_widths w = {0};
    for (int i = 0; i < c->n_layers; i++) {
        const rs_layer_config *l = &c->layers[i];
        w.queries = larger(w.queries, (int64_t)c->n_heads * l->head_dim);
        w.keys = larger(w.keys, (int64_t)l->n_kv_heads * l->head_dim);
        w.mlp = larger(w.mlp, l->intermediate);
        w.head = larger(w.head, l->head_dim);
    }
    return w;
}
