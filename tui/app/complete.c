#include "tui/app/complete.h"

#include "tui/app/complete_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_CANDIDATES = 600 };

bool ui_completions_add(ui_completions *c, const char *text, const char *help)
{
    if (c->n >= MAX_CANDIDATES || strlen(text) >= sizeof c->at->text) return true;
    if (c->n == c->cap) {
        int cap = c->cap ? c->cap * 2 : 32;
        ui_completion *at = realloc(c->at, (size_t)cap * sizeof *at);
        if (!at) return false;
        c->at = at;
        c->cap = cap;
    }
    ui_completion *added = &c->at[c->n++];
    snprintf(added->text, sizeof added->text, "%s", text);
    snprintf(added->help, sizeof added->help, "%s", help ? help : "");
    return true;
}

void ui_completions_free(ui_completions *c)
{
    free(c->at);
    memset(c, 0, sizeof *c);
}

static bool has_inside(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (; *text; text++)
        if (strncasecmp(text, word, n) == 0) return true;
    return n == 0;
}

void ui_keep_matching(ui_completions *c, int from, const char *word)
{
    size_t len = strlen(word);
    bool begins = false;
    for (int i = from; i < c->n; i++)
        begins |= strncasecmp(c->at[i].text, word, len) == 0;
    int n = from;
    for (int i = from; i < c->n; i++) {
        bool fits = begins ? strncasecmp(c->at[i].text, word, len) == 0
                           : has_inside(c->at[i].text, word);
        if (fits) c->at[n++] = c->at[i];
    }
    c->n = n;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const ui_completion *)a)->text, ((const ui_completion *)b)->text);
}

static void complete_names(const ui_sources *s, const char *word, ui_completions *out)
{
    const ui_command *c;
    for (int i = 0; (c = ui_command_at(i, s->screen)) != NULL; i++) {
        bool is_known = false;
        for (int k = 0; k < out->n; k++)
            is_known |= strcmp(out->at[k].text, c->name) == 0;
        if (!is_known) ui_completions_add(out, c->name, c->help);
    }
    ui_keep_matching(out, 0, word);
    if (out->n) qsort(out->at, (size_t)out->n, sizeof *out->at, by_text);
    snprintf(out->title, sizeof out->title, "command");
}

/* --- types --- */

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcasecmp(text + n - m, end) == 0;
}

/* Folders can be anything; of files, those that can be of the type. */
static bool can_be(const char *type, const char *name)
{
    if (ends_in(name, "/")) return true;
    if (strcmp(type, "FOLDER") == 0) return false;
    if (strcmp(type, "RECIPE") == 0) return ends_in(name, ".json");
    return strcmp(type, "FILE") == 0 || ends_in(name, ".safetensors") ||
           ends_in(name, ".gguf");
}

static void complete_path(const ui_sources *s, const char *word, const char *type,
                          ui_completions *out)
{
    char folder[512];
    const char *slash = strrchr(word, '/');
    int n = slash ? (int)(slash - word) + 1 : 0, from = out->n;
    snprintf(folder, sizeof folder, "%.*s", n, word);
    if (!s->folder || !s->folder(s->ctx, folder, out)) return;
    int kept = from;
    for (int i = from; i < out->n; i++) {
        char whole[sizeof out->at->text + sizeof folder];
        bool is_hidden = out->at[i].text[0] == '.' && word[n] != '.';
        snprintf(whole, sizeof whole, "%s%s", folder, out->at[i].text);
        if (!can_be(type, out->at[i].text) || is_hidden ||
            strlen(whole) >= sizeof out->at->text)
            continue;
        out->at[kept] = out->at[i];
        snprintf(out->at[kept++].text, sizeof out->at->text, "%.511s", whole);
    }
    out->n = kept;
}

static bool is_number_type(const char *type)
{
    return strcmp(type, "VALUE") == 0 || strcmp(type, "NAT") == 0 ||
           strcmp(type, "N") == 0 || strcmp(type, "SEED") == 0 ||
           strcmp(type, "OPVALUE") == 0;
}

static bool is_path_type(const char *type)
{
    return strcmp(type, "FILE") == 0 || strcmp(type, "FOLDER") == 0 ||
           strcmp(type, "PATH") == 0;
}

/* Everything of one type; what does not fit the word is taken out by the caller. */
static void add_type(const ui_sources *s, const ui_place *p, const char *type,
                     const char *word, ui_completions *out)
{
    char value[32];
    int from = out->n;
    if (is_number_type(type) && s->value &&
        s->value(s->ctx, p->command->name, type, value))
        ui_completions_add(out, value, "present value");
    bool has_files =
        is_path_type(type) || strcmp(type, "RECIPE") == 0 || strcmp(type, "MODEL") == 0;
    bool named = s->names && s->names(s->ctx, type, out) && out->n > from;
    if (named && !has_files) return;
    const char *help = "", *fixed;
    for (int i = 0; (fixed = ui_fixed_word(type, i, &help)) != NULL; i++)
        ui_completions_add(out, fixed, help);
    if (has_files) complete_path(s, word, type, out);
}

/* --- argument words --- */

typedef struct spec { /* one word of a command's `args` */
    char text[64];
    bool is_optional, repeats;
} spec;

/* The i-th word of args; "[A B]" are two optional words. false: there are fewer. */
static bool spec_at(const char *args, int i, spec *out)
{
    int depth = 0;
    for (const char *s = args; s && *s; s += *s == ' ') {
        size_t n = 0, end = strcspn(s, " ");
        *out = (spec){.is_optional = depth > 0};
        for (size_t k = 0; k < end; k++) {
            depth += s[k] == '[' ? 1 : s[k] == ']' ? -1 : 0;
            out->is_optional |= s[k] == '[';
            bool is_mark = s[k] == '[' || s[k] == ']' || s[k] == '"';
            if (!is_mark && n + 1 < sizeof out->text) out->text[n++] = s[k];
        }
        out->text[n] = 0;
        if (n > 3 && strcmp(out->text + n - 3, "...") == 0) {
            out->repeats = true;
            out->text[n - 3] = 0;
        }
        if (i-- == 0 || out->repeats) return true;
        s += end;
    }
    return false;
}

static bool is_type(const char *s)
{
    bool has_letters = false;
    for (; *s; s++) {
        if (islower((unsigned char)*s) || isdigit((unsigned char)*s)) return false;
        has_letters |= isupper((unsigned char)*s) != 0;
    }
    return has_letters;
}

/* "A|B|C" are scenes and not types. */
static bool is_letter(const char *text)
{
    return text[0] && strchr("ABC", text[0]) && !text[1];
}

/* One alternative of a spec: a type, "key=TYPE" or a word to be typed as it stands. */
static void add_alternative(const ui_sources *s, const ui_place *p, const char *text,
                            ui_completions *out)
{
    const char *equals = strchr(text, '=');
    size_t key = equals ? (size_t)(equals - text) + 1 : 0;
    if (isdigit((unsigned char)text[0]))
        return; /* a range of numbers: nothing to offer */
    if (is_letter(text) || (!is_type(text) && !equals)) {
        ui_completions_add(out, text, "");
    } else if (is_type(text)) {
        add_type(s, p, text, p->word, out);
    } else if (strncmp(p->word, text, key) == 0 && is_type(text + key)) {
        int from = out->n;
        add_type(s, p, text + key, p->word + key, out);
        for (int i = from; i < out->n; i++) {
            char whole[sizeof out->at->text + 64];
            snprintf(whole, sizeof whole, "%.*s%s", (int)key, text, out->at[i].text);
            if (strlen(whole) < sizeof out->at->text)
                snprintf(out->at[i].text, sizeof out->at->text, "%.511s", whole);
        }
    } else {
        /* The key alone until it is typed, and then the word behind it. */
        char start[96];
        bool has_key = strncmp(p->word, text, key) == 0 && text[key];
        snprintf(start, sizeof start, "%.*s", (int)(has_key ? strlen(text) : key), text);
        ui_completions_add(out, start, has_key ? "" : text + key);
    }
}

/* Alternatives are parted by '|'; behind "of=" all of them belong to the key. */
static void add_spec(const ui_sources *s, const ui_place *p, const spec *words,
                     ui_completions *out)
{
    char text[64], key[32] = "";
    snprintf(text, sizeof text, "%s", words->text);
    for (char *at = text, *next = text; next; at = next + 1) {
        char one[96];
        next = strchr(at, '|');
        if (next) *next = 0;
        char *equals = strchr(at, '=');
        if (equals && !is_type(at) && next)
            snprintf(key, sizeof key, "%.*s", (int)(equals - at) + 1, at);
        bool needs_key = *key && !equals;
        if (needs_key && strncmp(p->word, key, strlen(key)) != 0) continue;
        snprintf(one, sizeof one, "%s%s", needs_key ? key : "", at);
        add_alternative(s, p, one, out);
    }
}

static bool is_opvalue(const char *word)
{
    return *word && strchr("=+-*", *word) &&
           (!word[1] || strchr(".0123456789+-", word[1]));
}

static void set_title(ui_completions *out, const char *type)
{
    snprintf(out->title, sizeof out->title, "%.31s", type);
    for (char *c = out->title; *c; c++)
        *c = (char)tolower((unsigned char)*c);
}

/* The first argument takes several words when it is a selector. */
static void complete_argument(const ui_sources *s, ui_place *p, ui_completions *out)
{
    spec first, here;
    if (!spec_at(p->command->args, 0, &first)) return;
    bool is_selector = strcmp(first.text, "SELECTOR") == 0;
    if (is_selector && !(p->index > 0 && is_opvalue(p->word))) {
        ui_complete_selector(s, p, out);
        snprintf(out->title, sizeof out->title, "selector");
        return;
    }
    int index = is_selector ? 1 : p->index;
    for (int i = index; spec_at(p->command->args, i, &here); i++) {
        int n = out->n;
        add_spec(s, p, &here, out);
        if (out->n > n && !*out->title) set_title(out, here.text);
        if (!here.is_optional || here.repeats) break;
    }
    ui_keep_matching(out, 0, p->word);
}

/* Start of the word before `at`: behind the last blank that is not inside quotes. */
static size_t word_start(const char *line, size_t at)
{
    size_t start = 0;
    bool quoted = false;
    for (size_t i = 0; i < at; i++) {
        if (line[i] == '"') quoted = !quoted;
        if (!quoted && line[i] == ' ') start = i + 1;
    }
    return start;
}

static int count_words(const char *line, size_t from, size_t to)
{
    int n = 0;
    for (size_t i = from; i < to; i++)
        if (line[i] != ' ' && (i == from || line[i - 1] == ' ')) n++;
    return n;
}

void ui_complete_with(const ui_sources *s, const char *line, size_t at,
                      ui_completions *out)
{
    out->n = 0;
    out->title[0] = out->summary[0] = 0;
    if (at > strlen(line)) at = strlen(line);
    size_t name = strspn(line, " :"), name_end = name + strcspn(line + name, " ");
    ui_place p = {.line = line, .from = word_start(line, at)};
    if (p.from < name) p.from = name < at ? name : at;
    snprintf(p.word, sizeof p.word, "%.*s", (int)(at - p.from < 511 ? at - p.from : 511),
             line + p.from);
    out->word_start = p.from;
    if (at <= name_end) {
        complete_names(s, p.word, out);
        return;
    }
    char command[64];
    snprintf(command, sizeof command, "%.*s",
             (int)(name_end - name < 63 ? name_end - name : 63), line + name);
    p.command = ui_command_named(command, s->screen);
    if (!p.command) return;
    p.args = name_end + strspn(line + name_end, " ");
    if (p.args > p.from) p.args = p.from;
    p.index = count_words(line, p.args, p.from);
    complete_argument(s, &p, out);
    out->word_start = p.from;
}
