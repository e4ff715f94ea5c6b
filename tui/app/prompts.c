#include "tui/app/prompts.h"

#include "base/json.h"
#include "tui/app/mem.h"
#include "tui/app/msg.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_line(ui_prompts *p, const char *text, size_t n)
{
    rs_json *root = NULL;
    if (rs_json_parse(text, n, "prompts.jsonl", &root, NULL) != RS_OK) return false;
    const char *id = rs_json_string(rs_json_get(root, "id"));
    const char *raw = rs_json_string(rs_json_get(root, "text"));
    const char *chat = rs_json_string(rs_json_get(root, "prompt"));
    bool good = id && strlen(id) < 24 && (raw || chat);
    if (good) {
        p->at = ui_grow(p->at, p->n, &p->cap, sizeof *p->at);
        p->at[p->n++] = (ui_prompt_item){.id = ui_strdup(id),
                                         .title = ui_strdup(raw ? raw : chat),
                                         .raw = raw != NULL};
    }
    rs_json_free(root);
    return good;
}

int ui_prompts_read(ui_prompts *p, const char *text, size_t n)
{
    int bad = 0;
    while (n) {
        const char *end = memchr(text, '\n', n);
        size_t len = end ? (size_t)(end - text) : n;
        if (len > 1 && !read_line(p, text, len)) bad++;
        size_t step = end ? len + 1 : len;
        text += step;
        n -= step;
    }
    return bad;
}

const ui_prompt_item *ui_prompts_named(const ui_prompts *p, const char *id)
{
    for (int i = 0; i < p->n; i++)
        if (strcmp(p->at[i].id, id) == 0) return &p->at[i];
    return NULL;
}

void ui_prompts_free(ui_prompts *p)
{
    for (int i = 0; i < p->n; i++) {
        free(p->at[i].id);
        free(p->at[i].title);
    }
    free(p->at);
    memset(p, 0, sizeof *p);
}

typedef struct sampler_name {
    const char *name, *json, *help;
    char type; /* 'd' double, 'i' int, 'u' uint64, 'n' int64 */
    int offset;
    double lo, hi;
} sampler_name;

#define P(field) (int)offsetof(ui_sampling, p.field)
static const sampler_name names[] = {
    {"temp", "temperature", "0 is greedy", 'd', P(temperature), 0, 100},
    {"top-k", "top_k", "0 is off", 'i', P(top_k), 0, 1000000},
    {"top-p", "top_p", "1 is off", 'd', P(top_p), 0, 1},
    {"min-p", "min_p", "0 is off", 'd', P(min_p), 0, 1},
    {"typical", "typical_p", "1 is off", 'd', P(typical_p), 0, 1},
    {"top-nsigma", "top_n_sigma", "0 or less is off", 'd', P(top_n_sigma), -1, 100},
    {"xtc-probability", "xtc_probability", "0 is off", 'd', P(xtc_probability), 0, 1},
    {"xtc-threshold", "xtc_threshold", "candidates above it may be cut", 'd',
     P(xtc_threshold), 0, 1},
    {"repeat-last-n", "penalty_last_n", "how far penalties look back", 'i',
     P(penalty_last_n), -1, 1000000},
    {"repeat-penalty", "repeat_penalty", "1 is off", 'd', P(repeat_penalty), 0, 10},
    {"frequency-penalty", "frequency_penalty", "0 is off", 'd', P(frequency_penalty), -10,
     10},
    {"presence-penalty", "presence_penalty", "0 is off", 'd', P(presence_penalty), -10,
     10},
    {"dry-multiplier", "dry_multiplier", "0 is off", 'd', P(dry_multiplier), 0, 100},
    {"dry-base", "dry_base", "growth with the length of a repeat", 'd', P(dry_base), 0,
     100},
    {"dry-allowed-length", "dry_allowed_length", "repeats up to this are free", 'i',
     P(dry_allowed_length), 0, 10000},
    {"seed", "seed", "of the draws", 'u', P(seed), 0, 9e15},
    {"max-tokens", "max_tokens", "where a text ends at the latest", 'n',
     (int)offsetof(ui_sampling, max_tokens), 1, 100000},
};
enum { N_NAMES = sizeof names / sizeof *names };

const char *ui_sampling_name(int i, const char **help)
{
    if (i < 0 || i >= N_NAMES) return NULL;
    *help = names[i].help;
    return names[i].name;
}

ui_sampling ui_sampling_defaults(void)
{
    ui_sampling s = {.p = rs_sampler_defaults(), .max_tokens = 240};
    s.p.temperature = 0;
    s.p.seed = 7;
    return s;
}

static double get(const ui_sampling *s, const sampler_name *n)
{
    const char *at = (const char *)s + n->offset;
    switch (n->type) {
    case 'i':
        return *(const int *)at;
    case 'u':
        return (double)*(const uint64_t *)at;
    case 'n':
        return (double)*(const int64_t *)at;
    default:
        return *(const double *)at;
    }
}

static void put(ui_sampling *s, const sampler_name *n, double v)
{
    char *at = (char *)s + n->offset;
    switch (n->type) {
    case 'i':
        *(int *)at = (int)v;
        break;
    case 'u':
        *(uint64_t *)at = (uint64_t)v;
        break;
    case 'n':
        *(int64_t *)at = (int64_t)v;
        break;
    default:
        *(double *)at = v;
    }
}

static const sampler_name *find(const char *pair, const char *equals)
{
    size_t n = (size_t)(equals - pair);
    for (int i = 0; i < N_NAMES; i++) {
        const char *a = names[i].name, *b = names[i].json;
        if (strlen(a) == n && strncmp(a, pair, n) == 0) return &names[i];
        if (strlen(b) == n && strncmp(b, pair, n) == 0) return &names[i];
    }
    return NULL;
}

bool ui_sampling_set(ui_sampling *s, const char *pair, char why[160])
{
    const char *equals = strchr(pair, '=');
    const sampler_name *n = equals ? find(pair, equals) : NULL;
    if (!n) {
        snprintf(why, 160,
                 "sampler: %.60s is not NAME=VALUE of temp top-k top-p min-p seed ...",
                 pair);
        return false;
    }
    char *end = NULL;
    double v = strtod(equals + 1, &end);
    bool whole = n->type == 'd' || v == floor(v);
    if (end == equals + 1 || *end || !(v >= n->lo && v <= n->hi) || !whole) {
        snprintf(why, 160, "sampler: %s takes a %s from %g to %g", n->name,
                 n->type == 'd' ? "number" : "whole number", n->lo, n->hi);
        return false;
    }
    ui_sampling next = *s;
    rs_err err;
    put(&next, n, v);
    if (rs_sampler_check(&next.p, &err) != RS_OK) {
        snprintf(why, 160, "sampler: %.140s", err.msg);
        return false;
    }
    *s = next;
    return true;
}

void ui_sampling_json(const ui_sampling *s, rs_buf *out)
{
    for (int i = 0; i < N_NAMES; i++) {
        rs_buf_printf(out, "%s\"%s\":", i ? "," : "{", names[i].json);
        rs_buf_json_double(out, get(s, &names[i]));
    }
    rs_buf_putc(out, '}');
}

void ui_sampling_short(const ui_sampling *s, rs_buf *out)
{
    ui_sampling plain = {.p = rs_sampler_defaults(), .max_tokens = 240};
    if (s->p.temperature <= 0) {
        rs_buf_puts(out, "T 0");
        return;
    }
    rs_buf_printf(out, "T %.1f", s->p.temperature);
    for (int i = 1; i < 15; i++)
        if (get(s, &names[i]) != get(&plain, &names[i]))
            rs_buf_printf(out, " %s %g", names[i].name, get(s, &names[i]));
}
