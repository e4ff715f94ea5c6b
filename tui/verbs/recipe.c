/* ringside recipe show | check | diff. */
#include "tui/verbs/recipe_arg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct recipe_opts {
    bool resolved;
} recipe_opts;

static const ui_opt opts[] = {
    {"--resolved", UI_OPT_FLAG, NULL,
     "show: one line a tensor, parameters after selectors and precedence",
     offsetof(recipe_opts, resolved)},
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};

extern const ui_verb ui_verb_recipe;

static void resolved_line(const rs_plan *p, const rs_plan_tensor *t, rs_buf *b)
{
    rs_recipe *r = (rs_recipe *)(uintptr_t)rs_plan_recipe(p);
    const rs_stage *fuel = rs_recipe_fuel(r);
    rs_buf_puts(b, "{\"tensor\":");
    rs_buf_json(b, t->name, strlen(t->name));
    rs_buf_printf(b,
                  ",\"shared\":{\"changes\":%s,\"gain\":", t->changes ? "true" : "false");
    rs_buf_json_double(b, t->gain);
    rs_buf_puts(b, ",\"t\":");
    rs_buf_json_double(b, t->t);
    if (fuel) {
        rs_buf_puts(b, ",\"scale\":");
        rs_buf_json_double(b, fuel->scale);
    }
    rs_buf_puts(b, "},\"models\":[");
    for (int i = 0; fuel && i < fuel->n_inputs; i++) {
        rs_buf_puts(b, i ? ",[" : "[");
        rs_buf_json(b, fuel->inputs[i].from, strlen(fuel->inputs[i].from));
        rs_buf_puts(b, ",{\"weight\":");
        rs_buf_json_double(b, fuel->inputs[i].weight);
        rs_buf_puts(b, "}]");
    }
    rs_buf_puts(b, "]}\n");
}

static rs_status show_resolved(ui_common *c, const char *what, rs_buf *b, rs_err *err)
{
    ui_recipe r;
    rs_status s = ui_recipe_open(c, what, &r, err);
    for (int i = 0; s == RS_OK && i < rs_plan_count(r.plan); i++)
        resolved_line(r.plan, rs_plan_at(r.plan, i), b);
    ui_recipe_close(&r);
    return s;
}

static rs_status show(ui_common *c, const recipe_opts *o, char **args, rs_buf *b,
                      rs_err *err)
{
    if (o->resolved) return show_resolved(c, args[1], b, err);
    rs_recipe *r;
    RS_TRY(rs_recipe_load(args[1], &r, err));
    rs_recipe_text(r, NULL, b);
    rs_recipe_free(r);
    return RS_OK;
}

static void check_json(const rs_plan *p, rs_buf *b)
{
    rs_buf_printf(b, "{\"sources\":%d,\"tensors\":%d,\"warnings\":[",
                  rs_plan_n_sources(p), rs_plan_count(p));
    for (int i = 0; i < rs_plan_n_warnings(p); i++) {
        const char *w = rs_plan_warning(p, i);
        if (i) rs_buf_putc(b, ',');
        rs_buf_json(b, w, strlen(w));
    }
    rs_buf_puts(b, "]}\n");
}

static rs_status check(ui_common *c, char **args, rs_buf *b, rs_err *err)
{
    ui_recipe r;
    rs_status s = ui_recipe_open(c, args[1], &r, err);
    if (s == RS_OK && c->json) {
        check_json(r.plan, b);
    } else if (s == RS_OK) {
        rs_buf_printf(b, "%s: %d sources and %d tensors fit together\n", args[1],
                      rs_plan_n_sources(r.plan), rs_plan_count(r.plan));
        for (int i = 0; i < rs_plan_n_warnings(r.plan); i++)
            rs_buf_printf(b, "warning: %s\n", rs_plan_warning(r.plan, i));
    }
    ui_recipe_close(&r);
    return s;
}

/* The lines of a difference as a list. */
static void lines_to_json(rs_buf *b)
{
    rs_buf lines = *b;
    *b = (rs_buf){0};
    rs_buf_puts(b, "{\"differences\":[");
    const char *at = rs_buf_str(&lines);
    for (bool first = true; *at; first = false) {
        size_t n = strcspn(at, "\n");
        if (!first) rs_buf_putc(b, ',');
        rs_buf_json(b, at, n);
        at += n + (at[n] == '\n');
    }
    rs_buf_puts(b, "]}\n");
    rs_buf_free(&lines);
}

static rs_status diff(ui_common *c, char **args, rs_buf *b, int *n, rs_err *err)
{
    rs_recipe *one, *two = NULL;
    RS_TRY(rs_recipe_load(args[1], &one, err));
    rs_status s = rs_recipe_load(args[2], &two, err);
    if (s == RS_OK) *n = rs_recipe_diff(one, two, b);
    if (s == RS_OK && c->json) lines_to_json(b);
    rs_recipe_free(one);
    rs_recipe_free(two);
    return s;
}

static int run(ui_common *c, void *options, int n_args, char **args)
{
    const char *what = args[0];
    bool is_diff = strcmp(what, "diff") == 0;
    int differences = 0;
    rs_err err;
    rs_buf b = {0};
    rs_status s;
    if (n_args != (is_diff ? 3 : 2))
        return ui_usage("recipe", "usage: ringside recipe %s", ui_verb_recipe.usage);
    if (is_diff)
        s = diff(c, args, &b, &differences, &err);
    else if (strcmp(what, "show") == 0)
        s = show(c, options, args, &b, &err);
    else if (strcmp(what, "check") == 0)
        s = check(c, args, &b, &err);
    else
        return ui_usage("recipe", "%s is not one of show, check, diff", what);
    if (s == RS_OK) ui_print(&b);
    rs_buf_free(&b);
    if (s != RS_OK) return ui_fail("recipe", &err);
    return differences ? UI_EXIT_DIFFERS : UI_EXIT_OK;
}

const ui_verb ui_verb_recipe = {
    .name = "recipe",
    .usage = "show RECIPE [--resolved] | check RECIPE | diff RECIPE RECIPE",
    .summary = "shows, checks or compares recipes",
    .details = "show prints the canonical text; with --resolved one JSON line a tensor. "
               "check holds "
               "the recipe against its files. diff says in words what changed and exits "
               "with 1 if "
               "anything did.",
    .opts = opts,
    .opts_size = sizeof(recipe_opts),
    .min_args = 2,
    .max_args = 3,
    .run = run,
};
