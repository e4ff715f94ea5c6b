#include "tui/app/engine_internal.h"

#include "base/json.h"

#include <string.h>

/* The sampler's settings by name: llama.cpp's words with underscores, as the flags of
 * `generate` carry them with dashes. */

typedef enum kind { AS_DOUBLE, AS_INT, AS_COUNT, AS_BOOL } kind;

typedef struct setting {
    const char *name;
    kind kind;
    size_t offset; /* into rs_generate_params */
    int64_t min, max;
} setting;

#define IN_SAMPLER(m) offsetof(rs_generate_params, sampler.m)
#define BIG (1 << 24)

static const setting settings[] = {
    {"temperature", AS_DOUBLE, IN_SAMPLER(temperature), 0, 0},
    {"dynatemp_range", AS_DOUBLE, IN_SAMPLER(dynatemp_range), 0, 0},
    {"dynatemp_exponent", AS_DOUBLE, IN_SAMPLER(dynatemp_exponent), 0, 0},
    {"top_k", AS_INT, IN_SAMPLER(top_k), -1, BIG},
    {"top_p", AS_DOUBLE, IN_SAMPLER(top_p), 0, 0},
    {"min_p", AS_DOUBLE, IN_SAMPLER(min_p), 0, 0},
    {"typical_p", AS_DOUBLE, IN_SAMPLER(typical_p), 0, 0},
    {"top_n_sigma", AS_DOUBLE, IN_SAMPLER(top_n_sigma), 0, 0},
    {"xtc_probability", AS_DOUBLE, IN_SAMPLER(xtc_probability), 0, 0},
    {"xtc_threshold", AS_DOUBLE, IN_SAMPLER(xtc_threshold), 0, 0},
    {"min_keep", AS_INT, IN_SAMPLER(min_keep), 0, BIG},
    {"repeat_last_n", AS_INT, IN_SAMPLER(penalty_last_n), -1, BIG},
    {"penalty_last_n", AS_INT, IN_SAMPLER(penalty_last_n), -1, BIG},
    {"repeat_penalty", AS_DOUBLE, IN_SAMPLER(repeat_penalty), 0, 0},
    {"frequency_penalty", AS_DOUBLE, IN_SAMPLER(frequency_penalty), 0, 0},
    {"presence_penalty", AS_DOUBLE, IN_SAMPLER(presence_penalty), 0, 0},
    {"dry_multiplier", AS_DOUBLE, IN_SAMPLER(dry_multiplier), 0, 0},
    {"dry_base", AS_DOUBLE, IN_SAMPLER(dry_base), 0, 0},
    {"dry_allowed_length", AS_INT, IN_SAMPLER(dry_allowed_length), 0, BIG},
    {"dry_penalty_last_n", AS_INT, IN_SAMPLER(dry_last_n), -1, BIG},
    {"mirostat", AS_INT, IN_SAMPLER(mirostat), 0, 2},
    {"mirostat_tau", AS_DOUBLE, IN_SAMPLER(mirostat_tau), 0, 0},
    {"mirostat_eta", AS_DOUBLE, IN_SAMPLER(mirostat_eta), 0, 0},
    {"max_tokens", AS_COUNT, offsetof(rs_generate_params, max_tokens), 1, BIG},
    {"min_tokens", AS_COUNT, offsetof(rs_generate_params, min_tokens), 0, BIG},
    {"ignore_eos", AS_BOOL, offsetof(rs_generate_params, ignore_eos), 0, 0},
};

enum {
    N_SETTINGS = sizeof settings / sizeof *settings,
    MAX_STOPS = 64,
    DEFAULT_TOKENS = 240
};

static const char WHERE[] = "the sampler";

static rs_status read_setting(const rs_json *o, const setting *w, rs_generate_params *p,
                              rs_err *err)
{
    void *at = (char *)p + w->offset;
    int64_t v = w->kind == AS_INT ? *(int *)at : 0;
    switch (w->kind) {
    case AS_DOUBLE:
        return rs_json_opt_double(o, w->name, WHERE, at, err);
    case AS_BOOL:
        return rs_json_opt_bool(o, w->name, WHERE, at, err);
    case AS_COUNT:
        return rs_json_opt_int(o, w->name, w->min, w->max, WHERE, at, err);
    case AS_INT:
        RS_TRY(rs_json_opt_int(o, w->name, w->min, w->max, WHERE, &v, err));
        *(int *)at = (int)v;
    }
    return RS_OK;
}

static bool is_known(const char *name)
{
    static const char *const others[] = {"seed", "stop", "order"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(name, others[i]) == 0) return true;
    for (int i = 0; i < N_SETTINGS; i++)
        if (strcmp(name, settings[i].name) == 0) return true;
    return false;
}

static rs_status read_stops(const rs_json *list, ui_sampling *out, rs_err *err)
{
    int n = rs_json_count(list);
    if (rs_json_is_null(list) || n == 0) return RS_OK;
    if (!rs_json_is_array(list) || n > MAX_STOPS)
        return rs_fail(err, RS_E_INVALID,
                       "%s: \"stop\" is not a list of at most %d strings", WHERE,
                       MAX_STOPS);
    const char **at = rs_arena_alloc(&out->arena, (size_t)n * sizeof *at);
    int i = 0;
    for (const rs_json *v = rs_json_first(list); v; v = rs_json_next(v)) {
        const char *s = rs_json_string(v);
        if (!s) return rs_fail(err, RS_E_INVALID, "%s: \"stop\" holds no string", WHERE);
        s = rs_arena_strdup(&out->arena, s);
        if (!at || !s) return rs_fail(err, RS_E_NOMEM, "no memory for the stop strings");
        at[i++] = s;
    }
    out->params.stop_strings = at;
    out->params.n_stop_strings = n;
    return RS_OK;
}

static rs_status read_all(const rs_json *o, ui_sampling *out, rs_err *err)
{
    rs_generate_params *p = &out->params;
    for (const rs_json *v = rs_json_first(o); v; v = rs_json_next(v))
        if (!is_known(rs_json_key(v)))
            return rs_fail(err, RS_E_INVALID, "%s knows no \"%s\"", WHERE,
                           rs_json_key(v));
    for (int i = 0; i < N_SETTINGS; i++)
        RS_TRY(read_setting(o, &settings[i], p, err));
    int64_t seed = 0;
    RS_TRY(rs_json_opt_int(o, "seed", 0, INT64_C(1) << 53, WHERE, &seed, err));
    p->sampler.seed = (uint64_t)seed;
    const char *order = "";
    RS_TRY(rs_json_opt_string(o, "order", WHERE, &order, err));
    if (strlen(order) >= sizeof p->sampler.order)
        return rs_fail(err, RS_E_INVALID, "%s: \"order\" is too long", WHERE);
    memcpy(p->sampler.order, order, strlen(order) + 1);
    return read_stops(rs_json_get(o, "stop"), out, err);
}

rs_status ui_sampling_parse(const char *json, ui_sampling *out, rs_err *err)
{
    *out = (ui_sampling){0};
    out->params.sampler = rs_sampler_defaults();
    out->params.max_tokens = DEFAULT_TOKENS;
    if (!json || !*json) return RS_OK;
    rs_json *root;
    RS_TRY(rs_json_parse(json, strlen(json), WHERE, &root, err));
    rs_status s = rs_json_is_object(root)
                      ? read_all(root, out, err)
                      : rs_fail(err, RS_E_INVALID, "%s: not a JSON object", WHERE);
    if (s == RS_OK) s = rs_sampler_check(&out->params.sampler, err);
    rs_json_free(root);
    if (s != RS_OK) ui_sampling_free(out);
    return s;
}

void ui_sampling_free(ui_sampling *s)
{
    rs_arena_free(&s->arena);
}
