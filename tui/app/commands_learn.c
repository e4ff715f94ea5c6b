/* commands_learn.c - measuring the model in the background: a Fisher file of the base, and what
 * the recipe describes (prepare.c). */
#include "base/os.h"
#include "tui/app/commands_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A verb's words as a JSON array. */
static void put_word(rs_buf *b, const char *s)
{
    rs_buf_puts(b, b->len ? "," : "[");
    rs_buf_json(b, s, strlen(s));
}

typedef struct fisher_order {
    const char *data, *kind, *length, *sequences, *out;
} fisher_order;

/* The value of "name=value", or NULL. */
static const char *value_of(const char *word, const char *name)
{
    size_t n = strlen(name);
    return strncmp(word, name, n) == 0 && word[n] == '=' ? word + n + 1 : NULL;
}

static bool read_order(const ui_args *args, fisher_order *o)
{
    const char *const names[] = {"kind", "length", "n", "out"};
    const char **const to[] = {&o->kind, &o->length, &o->sequences, &o->out};
    for (int i = 0; i < args->n; i++) {
        bool taken = false;
        for (int k = 0; k < 4 && !taken; k++) {
            const char *v = value_of(args->word[i], names[k]);
            if (v) *to[k] = v;
            taken = v != NULL;
        }
        if (taken) continue;
        if (o->data) return false;
        o->data = args->word[i];
    }
    return o->data != NULL;
}

/* out/fisher/MODEL-DATA.safetensors below the current folder. */
static bool default_out(const ui_app *a, const char *model, const char *data,
                        char dst[4096])
{
    char name[512], file[256];
    snprintf(file, sizeof file, "%.200s", rs_path_basename(data));
    char *dot = strrchr(file, '.');
    if (dot && dot != file) *dot = 0;
    snprintf(name, sizeof name, "out/fisher/%.200s-%s.safetensors",
             rs_path_basename(model), file);
    return ui_expand_home(a, name, dst);
}

static void start(ui_app *a, const fisher_order *o, const char *data, const char *out,
                  ui_effects *fx)
{
    const char *model = rs_plan_base_path(a->doc.at.plan);
    const char *const words[] = {
        a->program, "fisher",   "--model", model,         "--data",     data,    "--kind",
        o->kind,    "--length", o->length, "--sequences", o->sequences, "--out", out};
    rs_buf argv = {0};
    char title[128];
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        put_word(&argv, words[i]);
    rs_buf_putc(&argv, ']');
    snprintf(title, sizeof title, "Fisher of %.60s on %.40s", rs_path_basename(model),
             rs_path_basename(data));
    ui_effect *e = ui_effects_add(fx, UI_FX_JOB_START);
    e->text = ui_strdup(rs_buf_str(&argv));
    e->title = ui_strdup(title);
    e->path = ui_strdup(out);
    rs_buf_free(&argv);
    ui_say(a, "%s: 4 shows it, Enter there adds the file to the recipe", title);
}

static bool run_fisher(ui_app *a, const ui_args *args, ui_effects *fx)
{
    char data[4096], out[4096];
    fisher_order o = {.kind = "sequence", .length = "512", .sequences = "64"};
    ui_edit_drop(a);
    if (!a->doc.at.plan) {
        ui_warn(a, "there is no model to measure: %s", a->doc.at.problem.msg);
        return false;
    }
    if (args->key) {
        ui_prompt_command(a, "fisher ");
        return true;
    }
    if (!read_order(args, &o)) {
        ui_warn(
            a, "fisher: a text or .jsonl file, then n=64 length=512 kind=sequence out=F");
        return false;
    }
    if (!ui_expand_home(a, o.data, data) || rs_os_kind(data) != RS_PATH_FILE) {
        ui_warn(a, "fisher: there is no file \"%s\"", o.data);
        return false;
    }
    bool named = o.out ? ui_expand_home(a, o.out, out)
                       : default_out(a, rs_plan_base_path(a->doc.at.plan), o.data, out);
    if (!named || rs_os_kind(out) != RS_PATH_NONE) {
        ui_warn(a,
                named ? "fisher: %s is there already: out=F is another name"
                      : "fisher: the path of the file is too long%s",
                named ? out : "");
        return false;
    }
    start(a, &o, data, out, fx);
    return true;
}

// clang-format off
const ui_command ui_commands_learn[] = {
    {"fisher", "f F6", "DATA [n=64] [length=512] [kind=]", UI_EVERYWHERE, "work", "Fisher file of the base on a text or .jsonl", true, run_fisher},
    {"prepare", NULL, NULL, UI_EVERYWHERE, "work", "make what the recipe describes and is missing or stale", false, ui_cmd_prepare},
    {0},
};
// clang-format on
