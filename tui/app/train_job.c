/* train_job.c - :train MODEL CORPUS:W... NAME=VALUE...: an adapter trained in the background. */
#include "base/os.h"
#include "merge/difference.h"
#include "tui/app/commands_internal.h"
#include "tui/app/corpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CORPORA = 16 };

/* Options that are handed to the verb as they are. */
static const char *const passed[] = {
    "steps",  "batch",   "length",   "rank",     "alpha",        "targets",
    "layers", "lr",      "warmup",   "schedule", "weight-decay", "clip",
    "side",   "project", "strength", "seed",     "validation",   "valid-every"};

typedef struct train_order {
    char model[4096];
    const char *model_name;
    const char *corpus[CORPORA];
    int n_corpora;
    const char *subspace, *out;
    rs_buf words; /* of the options, as JSON strings with commas before */
} train_order;

static void add_word(rs_buf *b, const char *s)
{
    rs_buf_putc(b, ',');
    rs_buf_json(b, s, strlen(s));
}

/* A name=value; false: no such option, said. */
static bool take_option(ui_app *a, train_order *o, const char *word)
{
    const char *value = strchr(word, '=') + 1;
    size_t n = (size_t)(value - 1 - word);
    char option[40];
    if (n == 8 && strncmp(word, "subspace", n) == 0) return o->subspace = value, true;
    if (n == 3 && strncmp(word, "out", n) == 0) return o->out = value, true;
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) {
        if (strlen(passed[i]) != n || strncmp(word, passed[i], n) != 0) continue;
        snprintf(option, sizeof option, "--%s", passed[i]);
        add_word(&o->words, option);
        add_word(&o->words, value);
        return true;
    }
    ui_warn(
        a,
        "train: there is no option %.40s: steps= rank= lr= subspace= project= out= ...",
        word);
    return false;
}

static const char *base_name(const ui_app *a)
{
    const rs_stage *s = rs_recipe_fuel(a->doc.at.recipe);
    return s && s->base ? s->base : NULL;
}

static bool read_words(ui_app *a, const ui_args *args, train_order *o)
{
    const rs_recipe *r = a->doc.at.recipe;
    for (int i = 0; i < args->n; i++) {
        const char *w = args->word[i];
        const rs_model_entry *m = i == 0 ? rs_recipe_model(r, w) : NULL;
        if (m) {
            o->model_name = w;
        } else if (strchr(w, '=')) {
            if (!take_option(a, o, w)) return false;
        } else if (o->n_corpora < CORPORA) {
            o->corpus[o->n_corpora++] = w;
        } else {
            ui_warn(a, "train: more than %d corpora", (int)CORPORA);
            return false;
        }
    }
    if (!o->model_name) o->model_name = base_name(a);
    if (o->n_corpora && o->model_name) return true;
    ui_warn(
        a,
        "train: MODEL of the recipe, then texts or .jsonl files as FILE or FILE:WEIGHT");
    return false;
}

/* FILE:WEIGHT with the file's whole path. */
static bool find_corpus(ui_app *a, const char *word, char dst[4200])
{
    char file[4096], full[4096];
    double weight;
    const char *colon = ui_corpus_weight(word, &weight);
    snprintf(file, sizeof file, "%.*s", (int)(colon ? colon - word : (long)strlen(word)),
             word);
    if (!ui_expand_home(a, file, full) || rs_os_kind(full) != RS_PATH_FILE) {
        ui_warn(a, "train: there is no file \"%s\"", file);
        return false;
    }
    snprintf(dst, 4200, "%s%s", full, colon ? colon : "");
    return true;
}

/* A measure of the recipe, or a file. */
static bool find_subspace(ui_app *a, const char *word, char dst[4096])
{
    const rs_recipe *r = a->doc.at.recipe;
    const rs_measure_entry *m = rs_recipe_measure(r, word);
    bool found =
        m ? m->type == RS_MEASURE_SUBSPACE && rs_path_join(dst, 4096, r->folder, m->path)
          : ui_expand_home(a, word, dst);
    if (found && rs_os_kind(dst) == RS_PATH_FILE) return true;
    ui_warn(a,
            "train: \"%s\" is no subspace of the recipe and no file: :subspace makes one",
            word);
    return false;
}

static bool place_of(ui_app *a, const train_order *o, char dst[4096])
{
    char name[600], corpus[200];
    double weight;
    snprintf(corpus, sizeof corpus, "%.190s", rs_path_basename(o->corpus[0]));
    if (ui_corpus_weight(o->corpus[0], &weight) && strchr(corpus, ':'))
        *strrchr(corpus, ':') = 0;
    char *dot = strrchr(corpus, '.');
    if (dot && dot != corpus) *dot = 0;
    snprintf(name, sizeof name, "out/train/%.100s-%s%s", o->model_name, corpus,
             o->n_corpora > 1 ? "-and-more" : "");
    if (!ui_expand_home(a, o->out ? o->out : name, dst)) {
        ui_warn(a, "train: the path of the adapter is too long");
        return false;
    }
    if (rs_os_kind(dst) == RS_PATH_NONE) return true;
    ui_warn(a, "train: %s is there already: out=FOLDER is another place", dst);
    return false;
}

static bool find_all(ui_app *a, train_order *o, rs_buf *argv, char out[4096])
{
    rs_err err;
    char path[4200];
    if (rs_recipe_model_path(a->doc.at.recipe, &a->doc.options, o->model_name, o->model,
                             &err) != RS_OK) {
        ui_warn(a, "train: %s", err.msg);
        return false;
    }
    add_word(argv, o->model);
    for (int i = 0; i < o->n_corpora; i++) {
        if (!find_corpus(a, o->corpus[i], path)) return false;
        add_word(argv, "--corpus");
        add_word(argv, path);
    }
    if (o->subspace) {
        if (!find_subspace(a, o->subspace, path)) return false;
        add_word(argv, "--subspace");
        add_word(argv, path);
    }
    if (!place_of(a, o, out)) return false;
    rs_buf_puts(argv, rs_buf_str(&o->words));
    add_word(argv, "--out");
    add_word(argv, out);
    rs_buf_putc(argv, ']');
    return !argv->failed;
}

bool ui_cmd_train(ui_app *a, const ui_args *args, ui_effects *fx)
{
    char out[4096], title[128];
    train_order *o = ui_alloc(1, sizeof *o);
    rs_buf argv = {0};
    ui_edit_drop(a);
    rs_buf_putc(&argv, '[');
    rs_buf_json(&argv, a->program, strlen(a->program));
    rs_buf_puts(&argv, ",\"train\",\"--model\"");
    bool good = a->doc.at.recipe != NULL;
    if (!good) ui_warn(a, "no recipe is open");
    good = good && read_words(a, args, o) && find_all(a, o, &argv, out);
    if (good) {
        snprintf(title, sizeof title, "%.50s on %.40s%s", rs_path_basename(out),
                 o->model_name, o->subspace ? ", masked" : "");
        ui_effect *e = ui_effects_add(fx, UI_FX_JOB_START);
        e->text = ui_strdup(rs_buf_str(&argv));
        e->title = ui_strdup(title);
        e->path = ui_strdup(out);
        ui_say(a, "training %s: 4 shows its curves", title);
    }
    rs_buf_free(&o->words);
    rs_buf_free(&argv);
    free(o);
    return good;
}
