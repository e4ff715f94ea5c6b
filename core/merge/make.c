#include "merge/make.h"

#include "merge/recipe_internal.h"
#include "merge/selector.h"
#include "merge/suggest.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* --- the tables --- */

#define KEY(name, of, needed)                                                            \
    {#name, RS_HOLDS_##of, offsetof(rs_make, name), 0, 0, 0, NULL, needed}
#define WORD(name, list)                                                                 \
    {#name, RS_HOLDS_WORD, offsetof(rs_make, name), 0, 0, 0, list, false}
#define NUMBER(name, of, a, b, usual)                                                    \
    {#name, RS_HOLDS_##of, offsetof(rs_make, name), a, b, usual, NULL, false}
#define SEED NUMBER(seed, COUNT, 0, 9007199254740991.0, 0)
#define END {NULL, RS_HOLDS_TEXT, 0, 0, 0, 0, NULL, false}

static const char *const kinds[] = {"sequence", "position", NULL},
                  *const labels[] = {"data", "model", NULL},
                  *const dtypes[] = {"float32", "bfloat16", NULL},
                  *const sides[] = {"both", "in", "out", NULL},
                  *const projections[] = {"exact", "gradient", "none", NULL},
                  *const schedules[] = {"cosine", "constant", NULL};

// clang-format off
static const rs_make_key fisher_keys[] = {
    KEY(model, MODEL, true),
    KEY(data, DATA, false),
    NUMBER(random, COUNT, 0, 1e6, 0),
    WORD(kind, kinds),
    WORD(labels, labels),
    KEY(per_token, SWITCH, false),
    NUMBER(length, COUNT, 2, 1 << 20, 512),
    NUMBER(sequences, COUNT, 0, 1e9, 0),
    KEY(tensors, SELECTOR, false),
    WORD(dtype, dtypes),
    KEY(raw, SWITCH, false),
    KEY(chat_template, TEXT, false),
    SEED, END};

static const rs_make_key subspace_keys[] = {
    KEY(from, MODEL, true),
    KEY(to, MODEL, true),
    NUMBER(rank, COUNT, 0, 100000, 0),
    NUMBER(energy, NUMBER, 0, 1, 0),
    KEY(exact, SWITCH, false),
    KEY(weight, FISHER, false),
    KEY(tensors, SELECTOR, false),
    SEED, END};

static const rs_make_key adapter_keys[] = {
    KEY(model, MODEL, true),
    KEY(corpora, CORPORA, true),
    KEY(subspace, SUBSPACE, false),
    WORD(side, sides),
    WORD(project, projections),
    NUMBER(strength, NUMBER, 0, 1, 1),
    NUMBER(rank, COUNT, 1, 4096, 16),
    NUMBER(alpha, NUMBER, 0, 1e6, 0),
    KEY(rslora, SWITCH, false),
    KEY(targets, TARGETS, false),
    KEY(layers, LAYERS, false),
    NUMBER(steps, COUNT, 1, 1e8, 200),
    NUMBER(batch, COUNT, 1, 1e6, 4),
    NUMBER(length, COUNT, 2, 1 << 20, 512),
    NUMBER(lr, NUMBER, 0, 1, 2e-4),
    NUMBER(warmup, COUNT, 0, 1e9, 0),
    WORD(schedule, schedules),
    NUMBER(weight_decay, NUMBER, 0, 1, 0),
    NUMBER(clip, NUMBER, 0, 1e9, 1),
    NUMBER(validation, NUMBER, 0, 0.5, 0),
    KEY(raw, SWITCH, false),
    KEY(chat_template, TEXT, false),
    SEED, END};
// clang-format on

const rs_make_key *rs_make_keys(rs_make_type t)
{
    return t == RS_MAKE_FISHER     ? fisher_keys
           : t == RS_MAKE_SUBSPACE ? subspace_keys
                                   : adapter_keys;
}

const char *rs_make_word(rs_make_type t)
{
    return t == RS_MAKE_FISHER     ? "fisher"
           : t == RS_MAKE_SUBSPACE ? "subspace"
                                   : "adapter";
}

bool rs_make_names(const rs_make_key *k)
{
    return k->holds == RS_HOLDS_MODEL || k->holds == RS_HOLDS_FISHER ||
           k->holds == RS_HOLDS_SUBSPACE || k->holds == RS_HOLDS_DATA ||
           k->holds == RS_HOLDS_CORPORA;
}

const char *rs_make_reference(const rs_make *m, const rs_make_key *k)
{
    bool refers = k->holds == RS_HOLDS_MODEL || k->holds == RS_HOLDS_FISHER ||
                  k->holds == RS_HOLDS_SUBSPACE;
    return refers ? rs_make_string(m, k) : NULL;
}

/* --- values by key --- */

static bool is_text(const rs_make_key *k)
{
    return k->holds == RS_HOLDS_TEXT || k->holds == RS_HOLDS_SELECTOR ||
           k->holds == RS_HOLDS_TARGETS || k->holds == RS_HOLDS_LAYERS;
}

static void *place(rs_make *m, const rs_make_key *k)
{
    return (char *)m + k->offset;
}

static const void *value(const rs_make *m, const rs_make_key *k)
{
    return (const char *)m + k->offset;
}

const char *rs_make_string(const rs_make *m, const rs_make_key *k)
{
    return *(const char *const *)value(m, k);
}

double rs_make_number(const rs_make *m, const rs_make_key *k)
{
    return k->holds == RS_HOLDS_COUNT ? (double)*(const int64_t *)value(m, k)
                                      : *(const double *)value(m, k);
}

bool rs_make_switch(const rs_make *m, const rs_make_key *k)
{
    return *(const bool *)value(m, k);
}

static void set_usual(rs_make *m)
{
    for (const rs_make_key *k = rs_make_keys(m->type); k->name; k++) {
        if (k->holds == RS_HOLDS_WORD) *(const char **)place(m, k) = k->words[0];
        if (k->holds == RS_HOLDS_COUNT) *(int64_t *)place(m, k) = (int64_t)k->usual;
        if (k->holds == RS_HOLDS_NUMBER) *(double *)place(m, k) = k->usual;
    }
}

/* Does the entry say what it would be without saying it? */
static bool is_usual(const rs_make *m, const rs_make_key *k)
{
    switch (k->holds) {
    case RS_HOLDS_COUNT:
    case RS_HOLDS_NUMBER: return rs_make_number(m, k) == k->usual;
    case RS_HOLDS_SWITCH: return !rs_make_switch(m, k);
    case RS_HOLDS_WORD: return strcmp(rs_make_string(m, k), k->words[0]) == 0;
    case RS_HOLDS_CORPORA: return m->n_corpora == 0;
    default: return !rs_make_string(m, k);
    }
}

/* --- reading --- */

static rs_status read_word(const rs_reader *p, const char *where, const rs_make_key *k,
                           const char **word)
{
    int n = 0;
    char hint[96];
    for (; k->words[n]; n++)
        if (strcmp(k->words[n], *word) == 0) return *word = k->words[n], RS_OK;
    rs_did_you_mean(hint, sizeof hint, *word, k->words, n);
    rs_buf all = {0};
    for (int i = 0; i < n; i++)
        rs_buf_printf(&all, "%s%s", i == 0 ? "" : i + 1 < n ? ", " : " or ", k->words[i]);
    rs_status s = rs_fail(p->err, RS_E_INVALID, "%s: %s is %s, not \"%.60s\"%s", where,
                          k->name, rs_buf_str(&all), *word, hint);
    rs_buf_free(&all);
    return s;
}

/* As far as can be told without the model. */
static rs_status check_text(const rs_reader *p, const rs_make_key *k, const char *text)
{
    int n = 0;
    const rs_selector *ignored[RS_TARGETS];
    bool layers[RS_RECIPE_LAYERS];
    if (k->holds == RS_HOLDS_SELECTOR)
        return rs_selector_parse(&p->r->arena, text, ignored, p->err);
    if (k->holds == RS_HOLDS_TARGETS)
        return rs_selector_targets(&p->r->arena, text, ignored, &n, p->err);
    if (k->holds != RS_HOLDS_LAYERS || rs_layer_list(text, RS_RECIPE_LAYERS, layers))
        return RS_OK;
    return rs_fail(p->err, RS_E_INVALID, "\"%.60s\" is no list of layers like 0-3,6,10-",
                   text);
}

static rs_status read_string(const rs_reader *p, const rs_json *o, const char *where,
                             const rs_make_key *k, const char **to)
{
    const char *s = NULL;
    RS_TRY(rs_read_text(p, o, k->name, where, &s));
    if (!s) return RS_OK;
    if (!s[0])
        return rs_fail(p->err, RS_E_INVALID, "%s: \"%s\" is empty", where, k->name);
    *to = s;
    if (k->holds == RS_HOLDS_WORD) return read_word(p, where, k, to);
    if (check_text(p, k, s) == RS_OK) return RS_OK;
    return rs_err_prefix(p->err, "%s: %s", where, k->name);
}

static rs_status read_number(const rs_reader *p, const rs_json *o, const char *where,
                             const rs_make_key *k, double *to)
{
    RS_TRY(rs_json_opt_double(o, k->name, where, to, p->err));
    if (*to >= k->least && *to <= k->most) return RS_OK;
    return rs_fail(p->err, RS_E_INVALID, "%s: %s is %g, outside %g to %g", where, k->name,
                   *to, k->least, k->most);
}

static rs_status read_corpus(const rs_reader *p, const rs_json *v, const char *where,
                             rs_corpus *c)
{
    c->weight = 1;
    if (rs_json_is_string(v)) {
        c->data = rs_recipe_str(p->r, rs_json_string(v));
        if (!c->data) return rs_read_no_memory(p);
    } else {
        RS_TRY(RS_READ_KEYS(p, v, where, "data", "weight"));
        RS_TRY(rs_read_text(p, v, "data", where, &c->data));
        RS_TRY(rs_json_opt_double(v, "weight", where, &c->weight, p->err));
    }
    if (!c->data || !c->data[0])
        return rs_fail(p->err, RS_E_INVALID, "%s has no \"data\"", where);
    if (c->weight > 0 && c->weight <= 1e6) return RS_OK;
    return rs_fail(p->err, RS_E_INVALID, "%s: a weight of %g is not above 0 and at most 1e6", where,
                   c->weight);
}

static rs_status read_corpora(const rs_reader *p, const rs_json *list, const char *where,
                              rs_make *m)
{
    char at[600];
    if (rs_json_is_null(list)) return RS_OK;
    int n = rs_json_count(list);
    if (!rs_json_is_array(list) || n < 1 || n > RS_RECIPE_ENTRIES)
        return rs_fail(p->err, RS_E_INVALID, "%s: corpora is a list of 1 to %d", where,
                       (int)RS_RECIPE_ENTRIES);
    m->corpora = rs_arena_array(&p->r->arena, (size_t)n, sizeof *m->corpora);
    if (!m->corpora) return rs_read_no_memory(p);
    for (const rs_json *v = rs_json_first(list); v; v = rs_json_next(v)) {
        snprintf(at, sizeof at, "%s: corpora[%d]", where, m->n_corpora);
        RS_TRY(read_corpus(p, v, at, &m->corpora[m->n_corpora]));
        m->n_corpora++;
    }
    return RS_OK;
}

static rs_status read_key(const rs_reader *p, const rs_json *o, const char *where,
                          const rs_make_key *k, rs_make *m)
{
    if (k->needed && rs_json_is_null(rs_json_get(o, k->name)))
        return rs_fail(p->err, RS_E_INVALID, "%s needs \"%s\"", where, k->name);
    switch (k->holds) {
    case RS_HOLDS_COUNT:
        return rs_json_opt_int(o, k->name, (int64_t)k->least, (int64_t)k->most, where,
                               place(m, k), p->err);
    case RS_HOLDS_NUMBER: return read_number(p, o, where, k, place(m, k));
    case RS_HOLDS_SWITCH:
        return rs_json_opt_bool(o, k->name, where, place(m, k), p->err);
    case RS_HOLDS_CORPORA:
        return read_corpora(p, rs_json_get(o, k->name), where, m);
    default: return read_string(p, o, where, k, place(m, k));
    }
}

/* What one key alone does not tell. */
static rs_status check_together(const rs_reader *p, const char *where, const rs_make *m)
{
    if (m->type == RS_MAKE_FISHER && (m->data != NULL) == (m->random > 0))
        return rs_fail(p->err, RS_E_INVALID, "%s needs either \"data\" or \"random\"",
                       where);
    if (m->type == RS_MAKE_SUBSPACE && (m->rank > 0) == (m->energy > 0))
        return rs_fail(p->err, RS_E_INVALID, "%s needs either \"rank\" or \"energy\"",
                       where);
    if (m->type == RS_MAKE_SUBSPACE && strcmp(m->from, m->to) == 0)
        return rs_fail(p->err, RS_E_INVALID, "%s: \"%s\" does not differ from itself",
                       where, m->to);
    if (m->type == RS_MAKE_ADAPTER && m->warmup > m->steps)
        return rs_fail(p->err, RS_E_INVALID,
                       "%s: a warmup of %" PRId64 " steps is more than %" PRId64 " steps",
                       where, m->warmup, m->steps);
    return RS_OK;
}

rs_status rs_read_make(const rs_reader *p, const rs_json *o, const char *owner,
                       rs_make_type type, const rs_make **out)
{
    char where[540];
    const char *known[32];
    int n = 0;
    if (rs_json_is_null(o)) return RS_OK;
    snprintf(where, sizeof where, "%s: make", owner);
    for (const rs_make_key *k = rs_make_keys(type); k->name; k++)
        known[n++] = k->name;
    RS_TRY(rs_read_keys(p, o, where, known, n));
    rs_make *m = rs_arena_alloc(&p->r->arena, sizeof *m);
    if (!m) return rs_read_no_memory(p);
    m->type = type;
    set_usual(m);
    for (const rs_make_key *k = rs_make_keys(type); k->name; k++)
        RS_TRY(read_key(p, o, where, k, m));
    *out = m;
    return check_together(p, where, m);
}

/* --- writing --- */

static void path_as_is(void *ctx, const char *path, rs_buf *b)
{
    (void)ctx;
    rs_buf_json(b, path, strlen(path));
}

static void write_corpora(const rs_make *m, rs_make_path path, void *ctx, rs_buf *b)
{
    rs_buf_putc(b, '[');
    for (int i = 0; i < m->n_corpora; i++) {
        rs_buf_puts(b, i ? ", {\"data\": " : "{\"data\": ");
        path(ctx, m->corpora[i].data, b);
        if (m->corpora[i].weight != 1) {
            rs_buf_puts(b, ", \"weight\": ");
            rs_buf_json_double(b, m->corpora[i].weight);
        }
        rs_buf_putc(b, '}');
    }
    rs_buf_putc(b, ']');
}

static void write_value(const rs_make *m, const rs_make_key *k, rs_make_path path,
                        void *ctx, rs_buf *b)
{
    switch (k->holds) {
    case RS_HOLDS_COUNT:
    case RS_HOLDS_NUMBER: rs_buf_json_double(b, rs_make_number(m, k)); return;
    case RS_HOLDS_SWITCH: rs_buf_puts(b, rs_make_switch(m, k) ? "true" : "false"); return;
    case RS_HOLDS_CORPORA: write_corpora(m, path, ctx, b); return;
    case RS_HOLDS_DATA: path(ctx, rs_make_string(m, k), b); return;
    default: rs_buf_json(b, rs_make_string(m, k), strlen(rs_make_string(m, k)));
    }
}

void rs_make_write(const rs_make *m, rs_make_path path, void *ctx, rs_buf *b)
{
    bool first = true;
    if (!path) path = path_as_is;
    rs_buf_putc(b, '{');
    for (const rs_make_key *k = rs_make_keys(m->type); k->name; k++) {
        if (is_usual(m, k)) continue;
        rs_buf_printf(b, "%s\"%s\": ", first ? "" : ", ", k->name);
        write_value(m, k, path, ctx, b);
        first = false;
    }
    rs_buf_putc(b, '}');
}

void rs_make_say(const rs_make *m, const rs_make_key *k, rs_buf *b)
{
    if (k->holds == RS_HOLDS_SWITCH)
        rs_buf_puts(b, rs_make_switch(m, k) ? "on" : "off");
    else if (k->holds == RS_HOLDS_CORPORA)
        write_corpora(m, path_as_is, NULL, b);
    else if (k->holds == RS_HOLDS_COUNT || k->holds == RS_HOLDS_NUMBER)
        rs_buf_json_double(b, rs_make_number(m, k));
    else
        rs_buf_puts(b, rs_make_string(m, k) ? rs_make_string(m, k) : "none");
}

void rs_make_settings(const rs_make *m, rs_buf *b)
{
    for (const rs_make_key *k = rs_make_keys(m->type); k->name; k++) {
        bool unsaid = is_text(k) && !rs_make_string(m, k);
        if (rs_make_names(k)) continue;
        rs_buf_printf(b, ",\"%s\":", k->name);
        if (unsaid)
            rs_buf_puts(b, "null");
        else
            write_value(m, k, path_as_is, NULL, b);
    }
}
