/* commands_learn.c - measuring models in the background: a Fisher file of the base, the
 * subspace between two models, and what the recipe describes (prepare.c). */
#include "base/os.h"
#include "merge/difference.h"
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

/* --- what matters for this text --- */

/* A job on a file of its own: the prompt that is pinned and what was written to it, of which
 * only that counts. */
static bool run_fisher_text(ui_app *a, const ui_args *args, ui_effects *fx)
{
    (void)args;
    char length[24];
    const rs_config *c = ui_app_config(a);
    char *line = c ? ui_text_line(a) : NULL;
    if (!line) {
        ui_warn(a, c ? "fisher-text: there is no text here yet"
                     : "fisher-text: there is no model to measure");
        return false;
    }
    snprintf(length, sizeof length, "%d",
             c->max_positions < 4096 ? c->max_positions : 4096);
    const char *const words[] = {
        a->program, "fisher", "--model",   rs_plan_base_path(a->doc.at.plan),
        "--jsonl",  "@data",  "--tensors", "!embed",
        "--length", length,   "--dtype",   "bfloat16",
        "--out",    "@out",   "--force"};
    rs_buf argv = {0};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        put_word(&argv, words[i]);
    if (a->pinned.raw) put_word(&argv, "--raw");
    rs_buf_putc(&argv, ']');
    char title[128];
    snprintf(title, sizeof title, "text of \"%.40s\"", a->pinned.title);
    title[strcspn(title, "\n")] = 0;
    ui_effect *e = ui_effects_add(fx, UI_FX_JOB_START);
    e->text = ui_strdup(rs_buf_str(&argv));
    e->title = ui_strdup(title);
    e->path = ui_strdup("@out");
    e->prompt = line;
    rs_buf_free(&argv);
    a->text_measured = ui_text_hash(a);
    a->opt.shade = UI_SHADE_TEXT;
    ui_say(a, "what matters for this text: Ring's cells fill (F shows something else)");
    return true;
}

/* --- subspace --- */

typedef struct subspace_order {
    const char *model[2]; /* from, to: names of the recipe; NULL: the recipe's pair */
    const char *rank, *energy, *out;
    int n_models;
} subspace_order;

static bool read_subspace(const ui_args *args, subspace_order *o)
{
    const char *const names[] = {"rank", "energy", "out"};
    const char **const to[] = {&o->rank, &o->energy, &o->out};
    for (int i = 0; i < args->n; i++) {
        bool taken = false;
        for (int k = 0; k < 3 && !taken; k++) {
            const char *v = value_of(args->word[i], names[k]);
            if (v) *to[k] = v;
            taken = v != NULL;
        }
        if (taken) continue;
        if (o->n_models == 2) return false;
        o->model[o->n_models++] = args->word[i];
    }
    return o->n_models != 1 && !(o->rank && o->energy);
}

/* The cut: as ordered, as set on the spectrum, as the recipe's measure says, else by half of
 * the energy. */
static void cut_words(const ui_app *a, const subspace_order *o, const rs_difference *d,
                      const char **option, char value[32])
{
    const ui_detail *v = &a->detail;
    bool set = v->rank > 0 || v->energy > 0;
    int rank = set ? v->rank : d->rank;
    double energy = set ? v->energy : d->energy;
    *option = o->rank || (!o->energy && rank > 0) ? "--rank" : "--energy";
    if (o->rank || o->energy)
        snprintf(value, 32, "%.31s", o->rank ? o->rank : o->energy);
    else if (rank > 0)
        snprintf(value, 32, "%d", rank);
    else
        snprintf(value, 32, "%g", energy > 0 ? energy : 0.5);
}

static bool find_models(ui_app *a, const subspace_order *o, rs_difference *d)
{
    rs_err err;
    const rs_recipe *r = a->doc.at.recipe;
    memset(d, 0, sizeof *d);
    rs_status s = RS_OK;
    if (!o->n_models) s = rs_recipe_difference(r, &a->doc.options, d, &err);
    char *const paths[] = {d->from, d->to};
    for (int i = 0; i < o->n_models && s == RS_OK; i++)
        s = rs_recipe_model_path(r, &a->doc.options, o->model[i], paths[i], &err);
    if (o->n_models) d->from_name = o->model[0], d->to_name = o->model[1];
    if (s != RS_OK) ui_warn(a, "subspace: %s", err.msg);
    return s == RS_OK;
}

static void start_subspace(ui_app *a, const rs_difference *d, const char *option,
                           const char *value, const char *out, ui_effects *fx)
{
    const char *const words[] = {a->program, "subspace", "--from", d->from, "--to",
                                 d->to,      option,     value,    "--out", out};
    rs_buf argv = {0};
    char title[128];
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        put_word(&argv, words[i]);
    rs_buf_putc(&argv, ']');
    snprintf(title, sizeof title, "%.40s - %.40s, %s %s", d->to_name, d->from_name,
             option + 2, value);
    ui_effect *e = ui_effects_add(fx, UI_FX_JOB_START);
    e->text = ui_strdup(rs_buf_str(&argv));
    e->title = ui_strdup(title);
    e->path = ui_strdup(out);
    rs_buf_free(&argv);
    ui_say(a, "subspace of %s: 4 shows it", title);
}

static bool run_subspace(ui_app *a, const ui_args *args, ui_effects *fx)
{
    char name[400], out[4096], value[32];
    const char *option;
    subspace_order o = {0};
    ui_edit_drop(a);
    if (!a->doc.at.recipe) {
        ui_warn(a, "no recipe is open");
        return false;
    }
    if (!read_subspace(args, &o)) {
        ui_warn(
            a,
            "subspace: two models of the recipe or none, then rank=R or energy=E, out=F");
        return false;
    }
    rs_difference *d = ui_alloc(1, sizeof *d);
    bool good = find_models(a, &o, d);
    if (good) {
        cut_words(a, &o, d, &option, value);
        snprintf(name, sizeof name, "out/subspace/%.100s-%.100s-%s%.31s.safetensors",
                 d->to_name, d->from_name, option[2] == 'r' ? "r" : "e", value);
        good = ui_expand_home(a, o.out ? o.out : name, out) &&
               rs_os_kind(out) == RS_PATH_NONE;
        if (!good)
            ui_warn(a, "subspace: %s is there already: out=F is another name", out);
    }
    if (good) start_subspace(a, d, option, value, out, fx);
    free(d);
    return good;
}

// clang-format off
const ui_command ui_commands_learn[] = {
    {"fisher", "f F6", "DATA [n=64] [length=512] [kind=]", UI_EVERYWHERE, "work", "Fisher file of the base on a text or .jsonl", true, run_fisher},
    {"prepare", NULL, NULL, UI_EVERYWHERE, "work", "make what the recipe describes and is missing or stale", false, ui_cmd_prepare},
    {"fisher-text", NULL, NULL, UI_ON(UI_RING) | UI_ON(UI_DUEL), "work", "what matters for the text on the screen, as shade text", false, run_fisher_text},
    {"train", NULL, "[MODEL] FILE[:W]... [steps=] [subspace=]", UI_EVERYWHERE, "work", "adapter trained on texts, out of a subspace's way", false, ui_cmd_train},
    {"subspace", NULL, "[MODEL MODEL] [rank=|energy=]", UI_EVERYWHERE, "work", "directions that one model differs from another by", false, run_subspace},
    {0},
};
// clang-format on
