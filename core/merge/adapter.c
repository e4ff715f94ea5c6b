#include "merge/adapter.h"

#include "base/json.h"
#include "base/os.h"
#include "base/regex.h"
#include "tensor/half.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_BYTES = 4 << 20, MAX_PATTERNS = 4096, MAX_RANK = 1 << 16 };

/* --- adapter_config.json --- */

typedef struct pattern {
    rs_regex *regex;
    double value;
} pattern;

typedef struct patterns {
    pattern *at;
    int n;
} patterns;

typedef struct config {
    const char *where; /* the file */
    int64_t r;
    double alpha;
    bool rslora, transposed;
    patterns ranks, alphas;
} config;

static void free_patterns(patterns *p)
{
    for (int i = 0; i < p->n; i++)
        rs_regex_free(p->at[i].regex);
    free(p->at);
    *p = (patterns){0};
}

/* PEFT's rule: re.match(r"(.*\.)?(KEY)$", module). */
static rs_status add_pattern(patterns *p, const char *where, const char *key,
                             double value, rs_err *err)
{
    rs_buf text = {0};
    rs_buf_printf(&text, "(.*\\.)?(%s)$", key);
    rs_status s =
        text.failed ? rs_fail(err, RS_E_NOMEM, "no memory for the patterns of %s", where)
                    : rs_regex_new(rs_buf_str(&text), text.len, &p->at[p->n].regex, err);
    rs_buf_free(&text);
    if (s != RS_OK) return rs_err_prefix(err, "%s", where);
    p->at[p->n++].value = value;
    return RS_OK;
}

static rs_status read_patterns(const rs_json *root, const char *key, const char *where,
                               patterns *out, rs_err *err)
{
    const rs_json *o = rs_json_get(root, key);
    int n = rs_json_count(o);
    if (rs_json_is_null(o) || (rs_json_is_object(o) && n == 0)) return RS_OK;
    if (!rs_json_is_object(o) || n > MAX_PATTERNS)
        return rs_fail(err, RS_E_FORMAT,
                       "%s: \"%s\" must be an object of at most %d numbers", where, key,
                       (int)MAX_PATTERNS);
    out->at = calloc((size_t)n, sizeof *out->at);
    if (!out->at)
        return rs_fail(err, RS_E_NOMEM, "no memory for the patterns of %s", where);
    for (const rs_json *m = rs_json_first(o); m; m = rs_json_next(m)) {
        if (!rs_json_is_number(m) || !isfinite(rs_json_number(m)))
            return rs_fail(err, RS_E_FORMAT, "%s: %s \"%s\" is no number", where, key,
                           rs_json_key(m));
        RS_TRY(add_pattern(out, where, rs_json_key(m), rs_json_number(m), err));
    }
    return RS_OK;
}

/* Set means: there, and neither null, false, "none" nor empty. */
static bool is_set(const rs_json *v)
{
    if (rs_json_is_null(v)) return false;
    if (rs_json_is_bool(v)) return rs_json_true(v);
    if (rs_json_is_string(v)) return strcmp(rs_json_string(v), "none") != 0;
    if (rs_json_is_object(v) || rs_json_is_array(v)) return rs_json_first(v) != NULL;
    return true;
}

static rs_status refuse(const char *where, const char *what, rs_err *err)
{
    return rs_fail(err, RS_E_UNSUPPORTED, "%s: %s is not merged by this version", where,
                   what);
}

static rs_status refuse_what_differs(const rs_json *root, const char *where, rs_err *err)
{
    static const struct {
        const char *key, *what;
    } rows[] = {
        {"use_dora", "DoRA (use_dora)"},
        {"bias", "a trained bias (bias)"},
        {"lora_bias", "a bias in lora_B (lora_bias)"},
        {"modules_to_save", "a whole saved module (modules_to_save)"},
        {"trainable_token_indices",
         "training of single tokens (trainable_token_indices)"},
        {"layer_replication", "replication of layers (layer_replication)"},
        {"target_parameters", "LoRA on bare parameters (target_parameters)"},
        {"use_qalora", "QA-LoRA (use_qalora)"},
        {"use_bdlora", "block-diagonal LoRA (use_bdlora)"},
        {"alora_invocation_tokens", "activated LoRA (alora_invocation_tokens)"},
        {"arrow_config", "Arrow routing (arrow_config)"},
        {"kasa_config", "KaSA (kasa_config)"},
        {"monteclora_config", "MonteCLoRA (monteclora_config)"},
        {"velora_config", "VeLoRA (velora_config)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (is_set(rs_json_get(root, rows[i].key)))
            return refuse(where, rows[i].what, err);
    const char *type = rs_json_string(rs_json_get(root, "peft_type"));
    if (!type || strcmp(type, "LORA") != 0)
        return rs_fail(err, RS_E_UNSUPPORTED,
                       "%s: peft_type is \"%s\", only LORA is merged", where,
                       type ? type : "missing");
    return RS_OK;
}

/* These start from factors of the base itself and change it: adding B A to the published
 * weights would count that part twice. */
static rs_status refuse_initialisation(const rs_json *root, const char *where,
                                       rs_err *err)
{
    static const char *const rows[] = {"pissa", "olora",   "loftq",
                                       "corda", "lora_ga", "milora"};
    const char *init = rs_json_string(rs_json_get(root, "init_lora_weights"));
    for (size_t i = 0; init && i < sizeof rows / sizeof *rows; i++)
        if (strncmp(init, rows[i], strlen(rows[i])) == 0)
            return rs_fail(
                err, RS_E_UNSUPPORTED,
                "%s: init_lora_weights \"%s\" changed the base model while training; "
                "convert the adapter to an ordinary LoRA first",
                where, init);
    return RS_OK;
}

static rs_status read_config(rs_adapter *ad, const rs_json *root, config *c, rs_err *err)
{
    const char *base = "";
    c->r = 8;
    c->alpha = 8;
    if (!rs_json_is_object(root))
        return rs_fail(err, RS_E_FORMAT, "%s is not a JSON object", c->where);
    RS_TRY(refuse_what_differs(root, c->where, err));
    RS_TRY(refuse_initialisation(root, c->where, err));
    RS_TRY(rs_json_opt_int(root, "r", 1, MAX_RANK, c->where, &c->r, err));
    RS_TRY(rs_json_opt_double(root, "lora_alpha", c->where, &c->alpha, err));
    RS_TRY(rs_json_opt_bool(root, "use_rslora", c->where, &c->rslora, err));
    RS_TRY(rs_json_opt_bool(root, "fan_in_fan_out", c->where, &c->transposed, err));
    RS_TRY(rs_json_opt_string(root, "base_model_name_or_path", c->where, &base, err));
    RS_TRY(read_patterns(root, "rank_pattern", c->where, &c->ranks, err));
    RS_TRY(read_patterns(root, "alpha_pattern", c->where, &c->alphas, err));
    ad->base_name = rs_arena_strdup(&ad->arena, base);
    ad->alpha = c->alpha;
    ad->rslora = c->rslora;
    ad->transposed = c->transposed;
    return ad->base_name ? RS_OK : rs_fail(err, RS_E_NOMEM, "no memory for %s", c->where);
}

static rs_status first_match(const patterns *p, const char *module, double *value,
                             rs_err *err)
{
    for (int i = 0; i < p->n; i++) {
        bool found;
        RS_TRY(rs_regex_whole(p->at[i].regex, module, strlen(module), &found, err));
        if (found) return *value = p->at[i].value, RS_OK;
    }
    return RS_OK;
}

/* --- pairs --- */

/* Where name names a factor: the module's part of it and which factor. Forms: X.lora_A.weight,
 * X.weight.lora_A.weight (one trainer), X.lora_A.default.weight (the adapter's name kept). */
static bool split_name(const char *name, size_t *module_len, char *which)
{
    const char *a = strstr(name, ".lora_A."), *b = strstr(name, ".lora_B.");
    const char *at = a ? a : b;
    size_t n = strlen(name);
    if (!at || (a && b) || n < 7 || strcmp(name + n - 7, ".weight") != 0) return false;
    *which = a ? 'A' : 'B';
    *module_len = (size_t)(at - name);
    if (*module_len > 7 && memcmp(at - 7, ".weight", 7) == 0) *module_len -= 7;
    return true;
}

static rs_status refuse_tensor(const rs_adapter *ad, const char *name, rs_err *err)
{
    const char *what = strstr(name, "lora_embedding_")         ? "LoRA on an embedding"
                       : strstr(name, "lora_magnitude_vector") ? "DoRA"
                       : strstr(name, "lora_B.bias")           ? "a bias in lora_B"
                                                               : "a whole saved tensor";
    return rs_fail(err, RS_E_UNSUPPORTED,
                   "adapter %s: tensor %s is %s, which is not merged by this version",
                   ad->path, name, what);
}

static const char *module_of(rs_adapter *ad, const char *name, size_t n)
{
    static const char prefix[] = "base_model.model.";
    if (n > sizeof prefix - 1 && memcmp(name, prefix, sizeof prefix - 1) == 0) {
        name += sizeof prefix - 1;
        n -= sizeof prefix - 1;
    }
    return rs_arena_strndup(&ad->arena, name, n);
}

static rs_status add_factor(rs_adapter *ad, rs_map *by_module, const rs_tensor *t,
                            rs_err *err)
{
    size_t n = 0;
    char which = 0;
    if (!split_name(t->name, &n, &which)) return refuse_tensor(ad, t->name, err);
    if (t->n_dims != 2 || !rs_dtype_of(t->dtype)->is_float) {
        char shape[256];
        rs_tensor_shape(t, shape, sizeof shape);
        return rs_fail(err, RS_E_MISMATCH, "adapter %s: %s is no matrix of floats",
                       ad->path, shape);
    }
    const char *module = module_of(ad, t->name, n);
    if (!module)
        return rs_fail(err, RS_E_NOMEM, "no memory for the adapter %s", ad->path);
    int64_t i = rs_map_find(by_module, module);
    if (i < 0) {
        i = ad->n_pairs++;
        ad->pairs[i].module = module;
        ad->pairs[i].weight = rs_arena_printf(&ad->arena, "%s.weight", module);
        if (!ad->pairs[i].weight ||
            !rs_map_put(by_module, module, strlen(module), i, NULL))
            return rs_fail(err, RS_E_NOMEM, "no memory for the adapter %s", ad->path);
    }
    const rs_tensor **slot = which == 'A' ? &ad->pairs[i].a : &ad->pairs[i].b;
    if (*slot)
        return rs_fail(err, RS_E_FORMAT, "adapter %s has lora_%c of %s twice: %s and %s",
                       ad->path, which, module, (*slot)->name, t->name);
    *slot = t;
    return RS_OK;
}

static rs_status finish_pair(rs_adapter *ad, rs_adapter_pair *p, const config *c,
                             rs_err *err)
{
    if (!p->a || !p->b)
        return rs_fail(err, RS_E_MISMATCH, "adapter %s has lora_%c but no lora_%c of %s",
                       ad->path, p->a ? 'A' : 'B', p->a ? 'B' : 'A', p->module);
    if (p->a->dim[0] != p->b->dim[1] || p->a->dim[0] < 1 || p->a->dim[0] > MAX_RANK)
        return rs_fail(err, RS_E_MISMATCH,
                       "adapter %s: %s has lora_A [%" PRId64 ", %" PRId64
                       "] and lora_B [%" PRId64 ", %" PRId64 "], their ranks differ",
                       ad->path, p->module, p->a->dim[0], p->a->dim[1], p->b->dim[0],
                       p->b->dim[1]);
    p->rank = (int)p->a->dim[0];
    if (p->rank > ad->rank) ad->rank = p->rank;
    double alpha = c->alpha, r = (double)c->r;
    RS_TRY(first_match(&c->alphas, p->module, &alpha, err));
    RS_TRY(first_match(&c->ranks, p->module, &r, err));
    if (r != p->rank)
        return rs_fail(err, RS_E_MISMATCH,
                       "adapter %s: the config gives %s rank %g, its tensors have %d",
                       ad->path, p->module, r, p->rank);
    p->scale = alpha / (c->rslora ? sqrt((double)p->rank) : (double)p->rank);
    return RS_OK;
}

static rs_status read_pairs(rs_adapter *ad, const config *c, rs_err *err)
{
    rs_map by_module = {0};
    int n = rs_checkpoint_count(ad->file);
    ad->pairs = rs_arena_array(&ad->arena, (size_t)n + 1, sizeof *ad->pairs);
    rs_status s =
        ad->pairs ? RS_OK
                  : rs_fail(err, RS_E_NOMEM, "no memory for the adapter %s", ad->path);
    for (int i = 0; i < n && s == RS_OK; i++)
        s = add_factor(ad, &by_module, rs_checkpoint_at(ad->file, i), err);
    for (int i = 0; i < ad->n_pairs && s == RS_OK; i++)
        s = finish_pair(ad, &ad->pairs[i], c, err);
    rs_map_free(&by_module);
    if (s == RS_OK && ad->n_pairs == 0)
        s = rs_fail(err, RS_E_MISMATCH, "adapter %s holds no lora_A and lora_B",
                    ad->path);
    return s;
}

/* --- opening --- */

static rs_status open_parts(rs_adapter *ad, const char *path, rs_err *err)
{
    char folder[4096], file[4096];
    bool is_folder = rs_os_kind(path) == RS_PATH_FOLDER;
    bool fits = is_folder ? rs_path_join(folder, sizeof folder, path, "")
                          : rs_path_dirname(folder, sizeof folder, path);
    if (!fits || !rs_path_join(file, sizeof file, folder, "adapter_config.json"))
        return rs_fail(err, RS_E_INVALID, "the path %.200s... is too long", path);
    ad->path = rs_arena_strdup(&ad->arena, path);
    config c = {.where = file};
    rs_json *root = NULL;
    rs_status s = ad->path
                      ? rs_json_read_file(file, CONFIG_BYTES, &root, err)
                      : rs_fail(err, RS_E_NOMEM, "no memory for the adapter %s", path);
    if (s == RS_OK) s = read_config(ad, root, &c, err);
    if (s == RS_OK) s = rs_checkpoint_open(path, &ad->file, err);
    if (s == RS_OK) s = read_pairs(ad, &c, err);
    rs_json_free(root);
    free_patterns(&c.ranks);
    free_patterns(&c.alphas);
    return s;
}

rs_status rs_adapter_open(const char *path, rs_adapter **out, rs_err *err)
{
    *out = NULL;
    rs_adapter *ad = calloc(1, sizeof *ad);
    if (!ad) return rs_fail(err, RS_E_NOMEM, "no memory for the adapter %s", path);
    rs_status s = open_parts(ad, path, err);
    if (s == RS_OK)
        *out = ad;
    else
        rs_adapter_close(ad);
    return s;
}

void rs_adapter_close(rs_adapter *ad)
{
    if (!ad) return;
    rs_checkpoint_close(ad->file);
    rs_arena_free(&ad->arena);
    free(ad);
}

int64_t rs_adapter_rows(const rs_adapter *ad, const rs_adapter_pair *p)
{
    return ad->transposed ? p->a->dim[1] : p->b->dim[0];
}

int64_t rs_adapter_cols(const rs_adapter *ad, const rs_adapter_pair *p)
{
    return ad->transposed ? p->b->dim[0] : p->a->dim[1];
}

/* --- factors --- */

/* Exponents of the numbers, and whether all are bfloat16. Zero says nothing. */
typedef struct span {
    uint32_t least, most;
    bool bf16;
} span;

static span span_of(const float *x, int64_t n)
{
    span s = {.least = 255, .most = 0, .bf16 = true};
    uint32_t low = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = rs_bits_of(x[i]), e = bits >> 23 & 255u;
        low |= bits;
        if ((bits & 0x7fffffffu) == 0) continue;
        if (e < s.least) s.least = e;
        if (e > s.most) s.most = e;
    }
    s.bf16 = (low & 0xffffu) == 0;
    return s;
}

/* 16 bits of product fit 24; its exponent must stay among the normal numbers. Subnormal
 * factors have exponent 0 and fall out by the sum. */
static bool products_are_exact(const span *a, const span *b)
{
    return a->bf16 && b->bf16 && a->least + b->least >= 128 && a->least > 0 &&
           b->least > 0 && a->most + b->most <= 380;
}

static rs_status read_factor(const rs_adapter *ad, const rs_tensor *t, bool transpose,
                             float *dst, rs_err *err)
{
    int64_t rows = t->dim[0], cols = t->dim[1];
    float *plain = dst;
    if (transpose && !(plain = malloc((size_t)t->n_elements * sizeof *plain)))
        return rs_fail(err, RS_E_NOMEM, "no memory for %s", t->name);
    rs_status s = rs_checkpoint_read_f32(ad->file, t, 0, t->n_elements, plain, err);
    for (int64_t i = 0; s == RS_OK && i < t->n_elements; i++)
        if (!isfinite(plain[i]))
            s = rs_fail(err, RS_E_INVALID,
                        "adapter %s: %s[%" PRId64 ", %" PRId64 "] is %s", ad->path,
                        t->name, i / cols, i % cols,
                        isnan(plain[i]) ? "NaN" : "infinite");
    if (transpose) {
        for (int64_t i = 0; s == RS_OK && i < rows; i++)
            for (int64_t j = 0; j < cols; j++)
                dst[j * rows + i] = plain[i * cols + j];
        free(plain);
    }
    return s;
}

rs_status rs_adapter_read(const rs_adapter *ad, const rs_adapter_pair *p, float *a,
                          float *b, bool *exact, rs_err *err)
{
    /* (B A)^T = A^T B^T: a transposed adapter swaps its factors. */
    RS_TRY(read_factor(ad, ad->transposed ? p->b : p->a, ad->transposed, a, err));
    RS_TRY(read_factor(ad, ad->transposed ? p->a : p->b, ad->transposed, b, err));
    span x = span_of(a, p->rank * rs_adapter_cols(ad, p));
    span y = span_of(b, p->rank * rs_adapter_rows(ad, p));
    *exact = products_are_exact(&x, &y);
    return RS_OK;
}
