#include "tui/draw/wrap.h"
#include "tui/verbs/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_MEMORY = 1000000, HELP_WIDTH = 79 };

const ui_opt ui_common_opts[] = {
    {"--json", UI_OPT_FLAG, NULL, "one JSON document on stdout", offsetof(ui_common, json)},
    {"--threads", UI_OPT_INT, "N", "threads to use (default: one per processor)",
     offsetof(ui_common, threads)},
    {"--memory", UI_OPT_SIZE, "SIZE", "memory budget, e.g. 2G (default: a quarter of RAM, or of its cgroup limit)",
     offsetof(ui_common, memory)},
    {"--seed", UI_OPT_INT, "N", "seed of everything random", offsetof(ui_common, seed)},
    {"--quiet,-q", UI_OPT_FLAG, NULL, "no progress and no warnings",
     offsetof(ui_common, quiet)},
    {"--events", UI_OPT_INT, "FD", "progress as JSON lines to this file descriptor",
     offsetof(ui_common, events_fd)},
    {"--help,-h", UI_OPT_FLAG, NULL, "this text", offsetof(ui_common, help)},
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};

/* Does `word` (up to its '=') spell one of the names in "--long,-s"? */
static bool opt_is(const ui_opt *o, const char *word, size_t n)
{
    for (const char *name = o->name; name;) {
        const char *end = strchr(name, ',');
        size_t len = end ? (size_t)(end - name) : strlen(name);
        if (len == n && memcmp(name, word, n) == 0) return true;
        name = end ? end + 1 : NULL;
    }
    return false;
}

static const ui_opt *find_opt(const ui_opt *opts, const char *word, size_t n)
{
    for (const ui_opt *o = opts; o && o->name; o++)
        if (opt_is(o, word, n)) return o;
    return NULL;
}

static bool parse_size(const char *text, uint64_t *out)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || !(v >= 0)) return false;
    static const char units[] = "KMGT";
    double unit = 1;
    const char *u = *end ? strchr(units, *end & ~0x20) : NULL;
    if (u && *u) {
        bool binary = strcmp(end + 1, "iB") == 0;
        if (!binary && end[1] && strcmp(end + 1, "B") != 0) return false;
        for (const char *k = units; k <= u; k++) unit *= binary ? 1024 : 1000;
    } else if (*end && strcmp(end, "B") != 0) {
        return false;
    }
    if (v * unit > 1e18) return false;
    *out = (uint64_t)(v * unit);
    return true;
}

static bool parse_value(const ui_opt *o, const char *text, void *at)
{
    char *end;
    errno = 0;
    switch (o->type) {
    case UI_OPT_FLAG: *(bool *)at = true; return true;
    case UI_OPT_STRING: *(const char **)at = text; return true;
    case UI_OPT_SIZE: return parse_size(text, at);
    case UI_OPT_INT:
        *(int64_t *)at = strtoll(text, &end, 10);
        return *text && !*end && errno == 0;
    case UI_OPT_NUMBER:
        *(double *)at = strtod(text, &end);
        return *text && !*end && errno == 0;
    case UI_OPT_LIST: {
        ui_strings *list = at;
        if (list->n >= (int)(sizeof list->at / sizeof *list->at)) return false;
        list->at[list->n++] = text;
        return true;
    }
    }
    return false;
}

/* Of the options of every verb: one that says something of this verb. */
static bool fits(const ui_verb *v, const ui_opt *o)
{
    return !v->has_screen || o->offset == offsetof(ui_common, threads) ||
           o->offset == offsetof(ui_common, memory) || o->offset == offsetof(ui_common, help);
}

/* What no verb could work with; UI_EXIT_OK: nothing. */
static int check_common(const char *verb, const ui_common *c)
{
    if (c->threads_given && (c->threads < 1 || c->threads > 1024))
        return ui_usage(verb, "--threads %" PRId64 " is not from 1 to 1024", c->threads);
    if (c->memory_given && c->memory < LEAST_MEMORY)
        return ui_usage(verb, "--memory %" PRIu64 " is less than 1M", c->memory);
    bool open = c->events_fd == (int)c->events_fd && fcntl((int)c->events_fd, F_GETFD) != -1;
    if (c->events_given && !open)
        return ui_usage(verb, "--events %" PRId64 " is no open file descriptor", c->events_fd);
    return UI_EXIT_OK;
}

typedef struct parser {
    const ui_verb *verb;
    ui_common *common;
    char *opts;
    int argc;
    char **argv;
    int n_args; /* words that are not options are moved to argv[0 ..] */
} parser;

static void note_given(ui_common *c, const ui_opt *o)
{
    c->seed_given |= o->offset == offsetof(ui_common, seed);
    c->threads_given |= o->offset == offsetof(ui_common, threads);
    c->memory_given |= o->offset == offsetof(ui_common, memory);
    c->events_given |= o->offset == offsetof(ui_common, events_fd);
}

/* Takes argv[*i] as an option, with its value. */
static int parse_opt(parser *p, int *i)
{
    const char *word = p->argv[*i], *eq = strchr(word, '=');
    size_t n = eq ? (size_t)(eq - word) : strlen(word);
    void *base = p->opts;
    const ui_opt *o = find_opt(p->verb->opts, word, n);
    if (!o) {
        o = find_opt(ui_common_opts, word, n);
        if (o && !fits(p->verb, o)) o = NULL;
        base = p->common;
    }
    if (!o)
        return ui_usage(p->verb->name, "unknown option %.*s; 'ringside %s --help' lists them",
                        (int)n, word, p->verb->name);
    const char *value = eq ? eq + 1 : NULL;
    if (o->type == UI_OPT_FLAG && value)
        return ui_usage(p->verb->name, "option %.*s takes no value", (int)n, word);
    if (o->type != UI_OPT_FLAG && !value) {
        if (*i + 1 >= p->argc)
            return ui_usage(p->verb->name, "option %s needs a value (%s)", word, o->arg);
        value = p->argv[++*i];
    }
    if (!parse_value(o, value, (char *)base + o->offset))
        return ui_usage(p->verb->name, "%s is not a value for %.*s (%s)", value, (int)n, word,
                        o->arg);
    if (base == p->common) note_given(p->common, o);
    return UI_EXIT_OK;
}

static int parse(parser *p)
{
    bool only_words = false;
    for (int i = 0; i < p->argc; i++) {
        char *word = p->argv[i];
        if (!only_words && strcmp(word, "--") == 0) {
            only_words = true;
        } else if (!only_words && word[0] == '-' && word[1]) {
            int status = parse_opt(p, &i);
            if (status) return status;
        } else {
            p->argv[p->n_args++] = word;
        }
    }
    if (p->common->help) return UI_EXIT_OK;
    if (p->n_args < p->verb->min_args)
        return ui_usage(p->verb->name, "too few words; usage: ringside %s %s", p->verb->name,
                        p->verb->usage);
    if (p->verb->max_args >= 0 && p->n_args > p->verb->max_args)
        return ui_usage(p->verb->name, "one word too many: %s", p->argv[p->verb->max_args]);
    return UI_EXIT_OK;
}

static int run_parsed(const ui_verb *v, parser *p)
{
    ui_common *c = p->common;
    if (c->help) {
        rs_buf text = {0};
        ui_verb_help(v, &text);
        ui_print(&text);
        rs_buf_free(&text);
        return UI_EXIT_OK;
    }
    int wrong = check_common(v->name, c);
    if (wrong) return wrong;
    rs_err err;
    rs_options o = {(int)c->threads, c->memory, getenv("RINGSIDE_ISA")};
    if (rs_init(&o, &c->rt, &err) != RS_OK) return ui_fail(v->name, &err);
    int status = v->run(c, p->opts, p->n_args, p->argv);
    rs_quit(&c->rt);
    return status;
}

int ui_verb_run(const ui_verb *v, int argc, char **argv)
{
    ui_common common = {.events_fd = -1};
    char *opts = calloc(1, v->opts_size ? v->opts_size : 1);
    if (!opts) return UI_EXIT_SYSTEM;
    if (v->defaults) v->defaults(opts);
    parser p = {v, &common, opts, argc, argv, 0};
    int status = parse(&p);
    if (status == UI_EXIT_OK) status = run_parsed(v, &p);
    free(opts);
    return status;
}

static void help_rows(const ui_verb *v, const ui_opt *opts, rs_buf *out)
{
    for (const ui_opt *o = opts; o && o->name; o++) {
        if (opts == ui_common_opts && !fits(v, o)) continue;
        char left[64];
        snprintf(left, sizeof left, "%s%s%s", o->name, o->arg ? " " : "",
                 o->arg ? o->arg : "");
        for (char *c = left; *c; c++)
            if (*c == ',' && c[1] == '-') *c = ' ';
        rs_buf_printf(out, "  %-28s %s\n", left, o->help);
    }
}

/* Lines end at a blank before column 80. */
static void put_wrapped(const char *text, rs_buf *out)
{
    ui_wrap w = {0};
    if (!ui_wrap_text(&w, text, strlen(text), HELP_WIDTH)) return;
    for (int i = 0; i < w.n; i++)
        rs_buf_printf(out, "%.*s\n", (int)(w.at[i].to - w.at[i].from), text + w.at[i].from);
    ui_wrap_free(&w);
}

void ui_verb_help(const ui_verb *v, rs_buf *out)
{
    rs_buf_printf(out, "usage: ringside %s %s\n\n%s\n", v->name, v->usage, v->summary);
    if (v->details) rs_buf_putc(out, '\n');
    if (v->details) put_wrapped(v->details, out);
    if (v->opts && v->opts->name) {
        rs_buf_puts(out, "\noptions\n");
        help_rows(v, v->opts, out);
    }
    rs_buf_puts(out, v->has_screen ? "\nas every verb\n" : "\nevery verb\n");
    help_rows(v, ui_common_opts, out);
}

const ui_verb *ui_verb_named(const char *name)
{
    for (int i = 0; i < ui_n_verbs; i++)
        if (ui_verbs[i] && strcmp(ui_verbs[i]->name, name) == 0) return ui_verbs[i];
    return NULL;
}
