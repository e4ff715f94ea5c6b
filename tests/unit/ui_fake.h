/* ui_fake.h - a workbench of a few commands, for the tests of table, prompt and popups. */
#ifndef UI_FAKE_H
#define UI_FAKE_H

#include "tests/t.h"

#include "tui/app/app.h"
#include "tui/app/complete.h"

#include <stdarg.h>

struct ui_app {
    ui_screen_id screen;
    char said[512], ran[512];
    int n_args;
};

static ui_app app;

void ui_say(ui_app *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(a->said, sizeof a->said, fmt, ap);
    va_end(ap);
}

void ui_warn(ui_app *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(a->said, sizeof a->said, fmt, ap);
    va_end(ap);
}

ui_screen_id ui_app_screen(const ui_app *a)
{
    return a->screen;
}

static bool run(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)fx;
    a->n_args = args->n;
    snprintf(a->ran, sizeof a->ran, "%s", args->line);
    for (int i = 0; i < args->n; i++) {
        size_t at = strlen(a->ran);
        snprintf(a->ran + at, sizeof a->ran - at, "|%s", args->word[i]);
    }
    return args->n == 0 || strcmp(args->word[0], "refuse") != 0;
}

static const ui_command fake_values[] = {
    {"less", "h Left", NULL, UI_EVERYWHERE, "values", "less, by 0.05", true, run},
    {"gain", "= + - *", "SELECTOR OPVALUE", UI_ON(UI_RING) | UI_ON(UI_DETAIL), "values",
     "set, add, take, multiply", true, run},
    {"lambda", ", .", "VALUE", UI_ON(UI_RING), "dampening", "strength of ewc and task",
     true, run},
    {"dampen", "d", "[KIND]", UI_ON(UI_RING), "dampening", "next kind, or that one", true,
     run},
    {"budget", NULL, "NAT [of=STAGE|out]", UI_ON(UI_RING), "dampening",
     "damage budget | nat", true, run},
    {"curve", "c", "CURVE [FROM TO]", UI_ON(UI_RING), "values",
     "curve over the marked rows", true, run},
    {0}};
static const ui_command fake_work[] = {
    {"merge", "M F5", "[FOLDER] [dtype=]", UI_EVERYWHERE, "work",
     "write the merged model", false, run},
    {"undo", "u", "[N]", UI_EVERYWHERE, "work", "the recipe before the last edit", false,
     run},
    {"mute", "m", "[SELECTOR]", UI_ON(UI_RING), "select", "gain counts as 0, value kept",
     true, run},
    {"hold", "m", "[JOB]", UI_ON(UI_JOBS), "work", "pause and let go", false, run},
    {"load", NULL, "RECIPE", UI_EVERYWHERE, "work", "open a recipe", false, run},
    {"mouse", NULL, "on|off", UI_EVERYWHERE, "program", "mouse reporting", false, run},
    {"scene", "A B C", "A|B|C", UI_ON(UI_RING), "values", "go to that scene", true, run},
    {"theme", NULL, "THEME", UI_EVERYWHERE, "program", "colours", false, run},
    {"sampler", NULL, "NAME=VALUE...", UI_ON(UI_RING), "program", "sampler of the text",
     false, run},
    {"palette", "^P", NULL, UI_EVERYWHERE, "program", "all commands", false, run},
    {0}};
const ui_command *const ui_command_groups[] = {fake_values, fake_work, NULL};

static bool fake_names(const void *ctx, const char *type, ui_completions *out)
{
    (void)ctx;
    if (strcmp(type, "STAGE") == 0) {
        ui_completions_add(out, "fuel", "task_arithmetic");
        return ui_completions_add(out, "heal", "slerp");
    }
    if (strcmp(type, "NAME=VALUE") == 0) {
        ui_completions_add(out, "temp=", "0.000");
        return ui_completions_add(out, "top-k=", "0");
    }
    return false;
}

static bool fake_match(const void *ctx, const char *selector, ui_match_count *m,
                       rs_err *err)
{
    (void)ctx, (void)err;
    *m = (ui_match_count){.with_delta = -1};
    if (strcmp(selector, "mlp") == 0)
        *m = (ui_match_count){8, 24, -1, 0, 3};
    else if (strcmp(selector, "layers.4-7") == 0)
        *m = (ui_match_count){4, 36, 24, 0, 9};
    else if (strcmp(selector, "layers.4-7 & mlp") == 0)
        *m = (ui_match_count){0, 12, -1, 1474560, 3};
    else
        return false;
    return true;
}

static bool fake_folder(const void *ctx, const char *folder, ui_completions *out)
{
    (void)ctx;
    if (strcmp(folder, "recipes/") == 0) {
        ui_completions_add(out, "a.json", "");
        return ui_completions_add(out, "b.json", "");
    }
    if (*folder) return false;
    ui_completions_add(out, ".hidden/", "");
    ui_completions_add(out, "recipes/", "");
    return ui_completions_add(out, "README.md", "");
}

static bool fake_value(const void *ctx, const char *command, const char *type,
                       char out[32])
{
    (void)ctx, (void)type;
    snprintf(out, 32, "1.500");
    return strcmp(command, "lambda") == 0;
}

void ui_app_sources(const ui_app *a, ui_sources *out)
{
    *out = (ui_sources){a, a->screen, 8, fake_names, fake_match, fake_folder, fake_value};
}

#endif
