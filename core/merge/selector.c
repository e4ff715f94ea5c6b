#include "merge/selector.h"

#include "merge/recipe.h"
#include "merge/suggest.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum term_type {
    TERM_ALL,
    TERM_LAYERS,
    TERM_KINDS,
    TERM_EMBED,
    TERM_ATTENTION,
    TERM_PART
} term_type;

typedef enum attention { SLIDING, FULL, DONOR, SHARER } attention;

typedef struct term {
    term_type type;
    bool negated;
    bool *layers; /* [RS_RECIPE_LAYERS] */
    uint32_t kinds;
    attention attention;
    const char *part;
    struct term *next;
} term;

struct rs_selector {
    term *terms; /* all of them must hold */
};

typedef struct group {
    const char *name;
    uint32_t kinds;
} group;

#define BIT(k) (1u << (k))

static const group groups[] = {
    {"attn", BIT(RS_KIND_Q) | BIT(RS_KIND_K) | BIT(RS_KIND_V) | BIT(RS_KIND_O)},
    {"mlp", BIT(RS_KIND_GATE) | BIT(RS_KIND_UP) | BIT(RS_KIND_DOWN)},
    {"ple", BIT(RS_KIND_PLE_GATE) | BIT(RS_KIND_PLE_PROJ) | BIT(RS_KIND_PLE_EMBED) |
                BIT(RS_KIND_PLE_MODEL_PROJ)},
};
enum { N_GROUPS = sizeof groups / sizeof *groups };

static const char *const attention_names[] = {"sliding", "full", "donor", "sharer"};

/* What a selector may begin with; the kinds have fixed names (names.h). */
static const char *const words[] = {
    "attn",
    "mlp",
    "ple",
    "norm",
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
    "per_layer_input_gate",
    "per_layer_projection",
    "embed",
    "sliding",
    "full",
    "donor",
    "sharer",
    "layers.",
};
enum { N_KIND_WORDS = 13, N_WORDS = sizeof words / sizeof *words };

int rs_kind_words(const char *const **out)
{
    *out = words;
    return N_KIND_WORDS;
}

bool rs_kind_group(const char *name, uint32_t *bits)
{
    for (int i = 0; i < N_GROUPS; i++)
        if (strcmp(name, groups[i].name) == 0) return *bits = groups[i].kinds, true;
    rs_kind k;
    if (!rs_kind_from_name(name, &k) || k == RS_KIND_TOWER || k == RS_KIND_OTHER)
        return false;
    *bits = BIT(k);
    return true;
}

static bool read_number(const char **at, int *out)
{
    const char *s = *at;
    int v = 0, digits = 0;
    for (; isdigit((unsigned char)*s); s++, digits++) {
        if (v > 100000) return false;
        v = v * 10 + (*s - '0');
    }
    *at = s;
    *out = v;
    return digits > 0;
}

bool rs_layer_list(const char *text, int n_layers, bool *bits)
{
    memset(bits, 0, (size_t)n_layers * sizeof *bits);
    const char *at = text;
    for (;;) {
        int first, last;
        while (*at == ' ')
            at++;
        if (!read_number(&at, &first) || first >= n_layers) return false;
        last = first;
        if (*at == '-') {
            at++;
            last = n_layers - 1;
            if (isdigit((unsigned char)*at) && !read_number(&at, &last)) return false;
        }
        if (last < first || last >= n_layers) return false;
        for (int l = first; l <= last; l++)
            bits[l] = true;
        while (*at == ' ')
            at++;
        if (*at == 0) return true;
        if (*at++ != ',') return false;
    }
}

typedef struct parser {
    rs_arena *arena;
    const char *text; /* the whole, for errors */
    rs_selector *out;
    term **end;
    rs_err *err;
} parser;

static rs_status no_memory(rs_err *err)
{
    return rs_fail(err, RS_E_NOMEM, "no memory for a selector");
}

static rs_status add_term(parser *p, const term *t)
{
    term *copy = rs_arena_alloc(p->arena, sizeof *copy);
    if (!copy) return no_memory(p->err);
    *copy = *t;
    copy->next = NULL;
    *p->end = copy;
    p->end = &copy->next;
    return RS_OK;
}

static rs_status bad_word(const parser *p, const char *word)
{
    char hint[96];
    rs_did_you_mean(hint, sizeof hint, word, words, N_WORDS);
    return rs_fail(p->err, RS_E_INVALID,
                   "selector \"%s\": \"%s\" is no layer, kind or group%s", p->text, word,
                   hint);
}

static rs_status add_layers(parser *p, const char *list, bool negated)
{
    term t = {.type = TERM_LAYERS, .negated = negated};
    t.layers = rs_arena_array(p->arena, RS_RECIPE_LAYERS, sizeof *t.layers);
    if (!t.layers) return no_memory(p->err);
    if (!rs_layer_list(list, RS_RECIPE_LAYERS, t.layers))
        return rs_fail(p->err, RS_E_INVALID,
                       "selector \"%s\": \"%s\" is no list of layers like 0-3,6,10-",
                       p->text, list);
    return add_term(p, &t);
}

static rs_status add_word(parser *p, const char *word, bool negated)
{
    term t = {.negated = negated};
    for (int i = 0; i < 4; i++) {
        if (strcmp(word, attention_names[i]) != 0) continue;
        t.type = TERM_ATTENTION;
        t.attention = (attention)i;
        return add_term(p, &t);
    }
    if (strcmp(word, "*") == 0) {
        t.type = TERM_ALL;
    } else if (strcmp(word, "embed") == 0) {
        t.type = TERM_EMBED;
    } else if (rs_kind_group(word, &t.kinds)) {
        t.type = TERM_KINDS;
    } else {
        return bad_word(p, word);
    }
    return add_term(p, &t);
}

/* "layers.4-7.mlp" or "4-7.mlp": layers, then a word; a negation holds for both together,
 * which only a name for the pair could express, so it is refused. */
static rs_status add_layers_and_word(parser *p, char *list, bool negated)
{
    char *dot = strchr(list, '.');
    if (!dot) return add_layers(p, list, negated);
    if (negated)
        return rs_fail(
            p->err, RS_E_INVALID,
            "selector \"%s\": ! stands before one condition, not before \"%s\"", p->text,
            list);
    *dot = 0;
    RS_TRY(add_layers(p, list, false));
    return add_word(p, dot + 1, false);
}

static rs_status add_part(parser *p, char *quoted, bool negated)
{
    size_t n = strlen(quoted);
    if (n < 3 || quoted[n - 1] != '"' || memchr(quoted + 1, '"', n - 2))
        return rs_fail(p->err, RS_E_INVALID,
                       "selector \"%s\": a part of a name stands between two quotes",
                       p->text);
    quoted[n - 1] = 0;
    return add_term(p,
                    &(term){.type = TERM_PART, .negated = negated, .part = quoted + 1});
}

static char *trimmed(char *s)
{
    while (*s == ' ' || *s == '\t')
        s++;
    size_t n = strlen(s);
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
        s[--n] = 0;
    return s;
}

static rs_status parse_condition(parser *p, char *s)
{
    s = trimmed(s);
    bool negated = false;
    while (*s == '!') {
        negated = !negated;
        s = trimmed(s + 1);
    }
    if (*s == 0)
        return rs_fail(p->err, RS_E_INVALID, "selector \"%s\" has an empty condition",
                       p->text);
    if (*s == '"') return add_part(p, s, negated);
    if (strncmp(s, "layers.", 7) == 0) return add_layers_and_word(p, s + 7, negated);
    if (isdigit((unsigned char)*s)) return add_layers_and_word(p, s, negated);
    return add_word(p, s, negated);
}

/* Splits at & outside quotes. */
static rs_status parse_all(parser *p, char *s)
{
    bool quoted = false;
    char *start = s;
    for (;; s++) {
        if (*s == '"') quoted = !quoted;
        if (*s && (quoted || *s != '&')) continue;
        bool last = *s == 0;
        *s = 0;
        RS_TRY(parse_condition(p, start));
        if (last) return RS_OK;
        start = s + 1;
    }
}

rs_status rs_selector_parse(rs_arena *a, const char *text, const rs_selector **out,
                            rs_err *err)
{
    *out = NULL;
    char *copy = rs_arena_strdup(a, text);
    rs_selector *s = rs_arena_alloc(a, sizeof *s);
    if (!copy || !s) return no_memory(err);
    parser p = {.arena = a, .text = text, .out = s, .end = &s->terms, .err = err};
    RS_TRY(parse_all(&p, copy));
    *out = s;
    return RS_OK;
}

bool rs_selector_has_part(const rs_selector *s)
{
    for (const term *t = s->terms; t; t = t->next)
        if (t->type == TERM_PART) return true;
    return false;
}

static bool attention_is(const rs_config *c, int layer, attention what)
{
    if (!c || layer < 0 || layer >= c->n_layers) return false;
    const rs_layer_config *l = &c->layers[layer];
    switch (what) {
    case SLIDING:
        return !l->is_full;
    case FULL:
        return l->is_full;
    case DONOR:
        return l->is_donor;
    case SHARER:
        return l->is_sharer;
    }
    return false;
}

/* name NULL: a cell of the table, where kind NORM outside the layers stands for tables and
 * norms alike and is therefore not "norm". */
static bool term_holds(const term *t, const rs_config *c, int layer, rs_kind kind,
                       const char *name)
{
    switch (t->type) {
    case TERM_ALL:
        return true;
    case TERM_LAYERS:
        return layer >= 0 && layer < RS_RECIPE_LAYERS && t->layers[layer];
    case TERM_KINDS:
        return (name || layer >= 0) && (t->kinds >> kind & 1) != 0;
    case TERM_EMBED:
        return layer < 0 && kind != RS_KIND_TOWER;
    case TERM_ATTENTION:
        return attention_is(c, layer, t->attention);
    case TERM_PART:
        return name && strstr(name, t->part) != NULL;
    }
    return false;
}

static bool all_hold(const rs_selector *s, const rs_config *c, int layer, rs_kind kind,
                     const char *name)
{
    for (const term *t = s->terms; t; t = t->next)
        if (term_holds(t, c, layer, kind, name) == t->negated) return false;
    return true;
}

bool rs_selector_matches(const rs_selector *s, const rs_config *c, const rs_role *role,
                         const char *name)
{
    return all_hold(s, c, role->layer, role->kind, name ? name : "");
}

bool rs_selector_matches_cell(const rs_selector *s, const rs_config *c, int layer,
                              rs_kind kind)
{
    if (rs_selector_has_part(s)) return false;
    return all_hold(s, c, layer, kind < RS_N_LAYER_KINDS ? kind : RS_KIND_NORM, NULL);
}

/* --- targets --- */

static bool is_list_of_kinds(const char *text)
{
    for (const char *p = text; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        char word[64];
        uint32_t bits;
        size_t n = strcspn(p, ",");
        if (n == 0 || n >= sizeof word) return false;
        memcpy(word, p, n);
        word[n] = 0;
        if (!rs_kind_group(word, &bits)) return false;
    }
    return true;
}

static rs_status add_target(rs_arena *a, const char *text, const rs_selector **any,
                            int *n, rs_err *err)
{
    if (*n == RS_TARGETS)
        return rs_fail(err, RS_E_INVALID, "more than %d selectors of targets", RS_TARGETS);
    return rs_selector_parse(a, text, &any[(*n)++], err);
}

rs_status rs_selector_targets(rs_arena *a, const char *text, const rs_selector **any,
                              int *n, rs_err *err)
{
    if (!is_list_of_kinds(text)) return add_target(a, text, any, n, err);
    for (const char *p = text; *p; p += *p == ',') {
        size_t length = strcspn(p, ",");
        const char *word = rs_arena_strndup(a, p, length);
        if (!word) return no_memory(err);
        RS_TRY(add_target(a, word, any, n, err));
        p += length;
    }
    return RS_OK;
}
