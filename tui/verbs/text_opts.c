#include "tui/verbs/text_opts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void ui_text_opts_defaults(ui_text_opts *o)
{
    rs_sampler_params p = rs_sampler_defaults();
    *o = (ui_text_opts){
        .max_tokens = 512,
        .top_k = p.top_k,
        .min_keep = p.min_keep,
        .repeat_last_n = p.penalty_last_n,
        .dry_allowed_length = p.dry_allowed_length,
        .dry_last_n = p.dry_last_n,
        .temp = p.temperature,
        .dynatemp_exp = p.dynatemp_exponent,
        .top_p = p.top_p,
        .min_p = p.min_p,
        .typical = p.typical_p,
        .top_nsigma = p.top_n_sigma,
        .xtc_threshold = p.xtc_threshold,
        .repeat_penalty = p.repeat_penalty,
        .dry_base = p.dry_base,
        .mirostat_lr = p.mirostat_eta,
        .mirostat_ent = p.mirostat_tau,
    };
}

/* A fresh seed, small enough to be typed again. */
static uint64_t any_seed(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t bits =
        rs_rng_at((uint64_t)t.tv_sec, (uint64_t)t.tv_nsec, (uint64_t)getpid());
    return bits % 1000000000;
}

/* A whole number that must fit an int. */
static rs_status to_int(const char *name, int64_t v, int *out, rs_err *err)
{
    if (v < INT32_MIN || v > INT32_MAX)
        return rs_fail(err, RS_E_INVALID, "%s %" PRId64 " is too large", name, v);
    *out = (int)v;
    return RS_OK;
}

static rs_status set_numbers(const ui_text_opts *o, rs_sampler_params *p, rs_err *err)
{
    *p = rs_sampler_defaults();
    p->temperature = o->temp;
    p->dynatemp_range = o->dynatemp_range;
    p->dynatemp_exponent = o->dynatemp_exp;
    p->top_p = o->top_p;
    p->min_p = o->min_p;
    p->typical_p = o->typical;
    p->top_n_sigma = o->top_nsigma;
    p->xtc_probability = o->xtc_probability;
    p->xtc_threshold = o->xtc_threshold;
    p->repeat_penalty = o->repeat_penalty;
    p->frequency_penalty = o->frequency_penalty;
    p->presence_penalty = o->presence_penalty;
    p->dry_multiplier = o->dry_multiplier;
    p->dry_base = o->dry_base;
    p->mirostat_eta = o->mirostat_lr;
    p->mirostat_tau = o->mirostat_ent;
    RS_TRY(to_int("--top-k", o->top_k, &p->top_k, err));
    RS_TRY(to_int("--min-keep", o->min_keep, &p->min_keep, err));
    RS_TRY(to_int("--repeat-last-n", o->repeat_last_n, &p->penalty_last_n, err));
    RS_TRY(to_int("--dry-allowed-length", o->dry_allowed_length, &p->dry_allowed_length,
                  err));
    RS_TRY(to_int("--dry-penalty-last-n", o->dry_last_n, &p->dry_last_n, err));
    RS_TRY(to_int("--mirostat", o->mirostat, &p->mirostat, err));
    const char *order = o->samplers ? o->samplers : "";
    if (strlen(order) >= sizeof p->order)
        return rs_fail(err, RS_E_INVALID, "--samplers has more than %zu characters",
                       sizeof p->order - 1);
    memcpy(p->order, order, strlen(order) + 1);
    return RS_OK;
}

/* "15043+1.5", "15043-inf" */
static rs_status set_bias(const ui_text_opts *o, ui_text_params *out, rs_err *err)
{
    for (int i = 0; i < o->logit_bias.n; i++) {
        const char *text = o->logit_bias.at[i];
        char *sign, *end = NULL;
        long long id = strtoll(text, &sign, 10);
        double v = 0;
        if (sign > text && (*sign == '+' || *sign == '-')) v = strtod(sign, &end);
        if (!end || end == sign || *end || id < 0 || id > INT32_MAX)
            return rs_fail(err, RS_E_INVALID,
                           "--logit-bias %s is not of the form ID+X or ID-X", text);
        out->bias[i] = (rs_logit_bias){(int32_t)id, (float)v};
    }
    out->p.sampler.bias = out->bias;
    out->p.sampler.n_bias = o->logit_bias.n;
    return RS_OK;
}

static rs_status set_breakers(const ui_text_opts *o, const ui_model *m,
                              ui_text_params *out, rs_err *err)
{
    static const ui_strings usual = {{"\n", ":", "\"", "*"}, 4};
    const ui_strings *list = o->dry_breakers.n ? &o->dry_breakers : &usual;
    if (o->dry_multiplier == 0) return RS_OK;
    if (!m->tokenizer)
        return rs_fail(err, RS_E_INVALID,
                       "--dry-multiplier needs a tokenizer for its breakers");
    for (int i = 0; i < list->n; i++)
        if (strcmp(list->at[i], "none") != 0)
            RS_TRY(rs_tokenizer_ids_with(m->tokenizer, list->at[i], &out->dry_breakers,
                                         err));
    out->p.sampler.dry_breakers = out->dry_breakers.at;
    out->p.sampler.n_dry_breakers = (int)out->dry_breakers.n;
    return RS_OK;
}

static void set_ends(const ui_text_opts *o, const ui_model *m, ui_text_params *out)
{
    int n = 0;
    for (int i = 0; m->config && i < m->config->n_eos; i++)
        out->stop_ids[n++] = m->config->eos[i];
    if (m->chat) n += rs_chat_stop_ids(m->chat, m->tokenizer, out->stop_ids + n);
    out->p.stop_ids = out->stop_ids;
    out->p.n_stop_ids = n;
    out->p.stop_strings = o->stop.at;
    out->p.n_stop_strings = o->stop.n;
    out->p.max_tokens = o->max_tokens;
    out->p.min_tokens = o->min_tokens;
    out->p.ignore_eos = o->ignore_eos;
}

rs_status ui_text_opts_check(const ui_text_opts *o, rs_err *err)
{
    ui_text_params p = {0};
    if (o->max_tokens < 1)
        return rs_fail(err, RS_E_INVALID, "--max-tokens %" PRId64 ": at least 1",
                       o->max_tokens);
    if (o->temp < 0)
        return rs_fail(err, RS_E_INVALID, "--temp %g: from 0 (greedy) up", o->temp);
    RS_TRY(set_numbers(o, &p.p.sampler, err));
    RS_TRY(set_bias(o, &p, err));
    return rs_sampler_check(&p.p.sampler, err);
}

rs_status ui_text_params_make(const ui_text_opts *o, const ui_common *c,
                              const ui_model *m, ui_text_params *out, rs_err *err)
{
    *out = (ui_text_params){0};
    RS_TRY(ui_text_opts_check(o, err));
    RS_TRY(set_numbers(o, &out->p.sampler, err));
    RS_TRY(set_bias(o, out, err));
    RS_TRY(set_breakers(o, m, out, err));
    set_ends(o, m, out);
    out->p.sampler.seed = c->seed_given ? (uint64_t)c->seed : any_seed();
    out->line = (rs_line_options){
        .tokenizer = m->tokenizer, .chat = m->chat, .raw = o->raw, .system = o->system};
    return RS_OK;
}

void ui_text_params_free(ui_text_params *p)
{
    rs_ids_free(&p->dry_breakers);
}

void ui_text_result_json(rs_buf *out, const rs_generator *g, double tokens_per_second,
                         uint64_t seed)
{
    int64_t n_prompt, n;
    size_t size;
    const int32_t *ids = rs_generator_ids(g, &n_prompt, &n);
    const char *text = rs_generator_text(g, &size);
    rs_buf_puts(out, "{\"ids\":[");
    for (int64_t i = n_prompt; i < n; i++)
        rs_buf_printf(out, i > n_prompt ? ",%" PRId32 : "%" PRId32, ids[i]);
    rs_buf_puts(out, "],\"text\":");
    rs_buf_json(out, text, size);
    rs_buf_printf(out, ",\"stop\":\"%s\",\"tokens_per_second\":",
                  rs_stop_name(rs_generator_stopped(g)));
    rs_buf_json_double(out, tokens_per_second);
    rs_buf_printf(out, ",\"seed\":%" PRIu64, seed);
}

/* Bytes at s that a terminal is not to see, 0: none. C0 and C1 controls (U+0080 to U+009F are
 * C2 80 to C2 9F), and what turns the direction of the rest of a line (U+202A to U+202E,
 * U+2066 to U+2069). */
static size_t harmful(const char *s, size_t n)
{
    const unsigned char *c = (const unsigned char *)s;
    if (c[0] < 0x20) return c[0] != '\n' && c[0] != '\t';
    if (c[0] == 0x7f) return 1;
    if (c[0] == 0xc2 && n > 1 && c[1] < 0xa0) return 2;
    if (c[0] != 0xe2 || n < 3) return 0;
    bool turns = (c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae) ||
                 (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9);
    return turns ? 3 : 0;
}

void ui_text_show(rs_buf *out, const char *text, size_t n, bool to_terminal)
{
    for (size_t i = 0; i < n;) {
        size_t bad = to_terminal ? harmful(text + i, n - i) : 0;
        rs_buf_putc(out, bad ? '?' : text[i]);
        i += bad ? bad : 1;
    }
}
