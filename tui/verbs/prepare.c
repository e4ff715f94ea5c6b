/* ringside prepare RECIPE: makes the files that a recipe describes and that are missing or not
 * what they would be today. */
#include "base/os.h"
#include "merge/execute.h"
#include "store/partial.h"
#include "tui/app/mem.h"
#include "tui/verbs/prepare_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct prepare_opts {
    const char *only;
    int64_t checkpoint;
    bool force, dry_run;
} prepare_opts;

static void defaults(void *options)
{
    prepare_opts *o = options;
    o->checkpoint = 30;
}

static const ui_opt opts[] = {
    {"--only", UI_OPT_STRING, "NAME", "this measure or adapter, and what it is made from",
     offsetof(prepare_opts, only)},
    {"--dry-run", UI_OPT_FLAG, NULL, "say what would be made, make nothing",
     offsetof(prepare_opts, dry_run)},
    {"--force", UI_OPT_FLAG, NULL, "make what is fresh, too, and replace files of others",
     offsetof(prepare_opts, force)},
    {"--checkpoint", UI_OPT_INT, "S", "seconds between the states to go on from (30)",
     offsetof(prepare_opts, checkpoint)},
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};

/* --- an adapter on a model, as files for the time --- */

static void put_entry(rs_buf *b, const char *name, const char *key, const char *path)
{
    rs_buf_printf(b, "\"%s\":{\"%s\":", name, key);
    rs_buf_json(b, path, strlen(path));
    rs_buf_putc(b, '}');
}

static rs_status fold_recipe(const ui_preparation *p, const rs_model_entry *e,
                             rs_recipe **out, rs_err *err)
{
    char on[4096], adapter[4096];
    rs_buf b = {0};
    RS_TRY(ui_recipe_path(p->recipe, rs_recipe_model(p->recipe, e->on)->path, false, e->on,
                          on, err));
    RS_TRY(ui_recipe_path(p->recipe, e->adapter, e->make, e->name, adapter, err));
    rs_buf_puts(&b, "{\"ringside\":1,\"models\":{");
    put_entry(&b, "on", "path", on);
    rs_buf_putc(&b, ',');
    put_entry(&b, "a", "adapter", adapter);
    rs_buf_puts(&b, "},\"stages\":[{\"name\":\"folded\",\"method\":\"task_arithmetic\","
                    "\"base\":\"on\",\"inputs\":[{\"from\":\"a\"}]}],\"output\":{\"dtype\":"
                    "\"float32\"}}");
    rs_status s = rs_recipe_parse(rs_buf_str(&b), b.len, ".", e->name, out, err);
    rs_buf_free(&b);
    return s;
}

/* In float32, so that small deltas stay. */
static rs_status fold(const ui_preparation *p, const rs_model_entry *e, const char *out,
                      rs_err *err)
{
    rs_recipe *r;
    rs_plan *plan = NULL;
    rs_execute_result result;
    rs_plan_options how = {.resolve = ui_resolve};
    rs_execute_options o = {.out = out,
                            .progress = ui_progress_step,
                            .progress_ctx = p->show};
    RS_TRY(fold_recipe(p, e, &r, err));
    rs_status s = rs_plan_build(&p->common->rt, r, &how, &plan, err);
    if (s == RS_OK) s = rs_execute(&p->common->rt, plan, &o, &result, err);
    rs_plan_free(plan);
    rs_recipe_free(r);
    return s == RS_OK ? s : rs_err_prefix(err, "model \"%s\"", e->name);
}

/* The folder for them, beside the product: marked as ours and locked (partial.h), so that
 * nobody's own folder of that name is emptied. false: the path is too long. */
static bool folds_path(const char *path, char out[4096])
{
    int n = snprintf(out, 4096, "%s.folded", path);
    return n > 0 && n < 4096 - 16;
}

static rs_status fold_all(const ui_preparation *p, const char *path, ui_inputs *in,
                          rs_err *err)
{
    char folder[4096];
    if (!in->folded[0] && !in->folded[1]) return RS_OK;
    if (!folds_path(path, folder))
        return rs_fail(err, RS_E_INVALID, "the path %.200s... is too long", path);
    RS_TRY(rs_partial_take(folder, &in->lock, err));
    in->folds = true;
    for (int k = 0; k < 2; k++) {
        if (!in->folded[k]) continue;
        if (!rs_path_join(in->model[k], sizeof in->model[k], folder, k ? "2" : "1"))
            return rs_fail(err, RS_E_INVALID, "the path %.200s... is too long", path);
        RS_TRY(fold(p, in->folded[k], in->model[k], err));
    }
    return RS_OK;
}

static void unfold(ui_inputs *in, const char *path)
{
    char folder[4096];
    if (in->folds && folds_path(path, folder)) rs_partial_remove(folder);
    rs_os_close(in->lock);
    in->lock = -1;
    in->folds = false;
}

/* A run that was killed leaves its models: nothing is gone on from them. */
static void clear_folds(const char *path)
{
    char folder[4096];
    ui_inputs in = {.lock = -1};
    if (!folds_path(path, folder) || rs_os_kind(folder) != RS_PATH_FOLDER) return;
    in.folds = rs_partial_take(folder, &in.lock, NULL) == RS_OK;
    unfold(&in, path);
}

/* --- making one --- */

static rs_status make_once(const ui_preparation *p, const rs_make *m,
                           ui_product *product, rs_err *err)
{
    switch (m->type) {
    case RS_MAKE_FISHER: return ui_fisher_make(p->common, m, product, p->show, err);
    case RS_MAKE_SUBSPACE: return ui_subspace_make(p->common, m, product, p->show, err);
    default: return ui_train_make(p->common, m, product, p->show, err);
    }
}

/* What an interrupted run left is gone on from; if it is of other work or damaged, the work is
 * begun again. After any other failure, of a disk that is full, it stays. */
static rs_status make_resumed(const ui_preparation *p, const rs_make *m,
                              ui_product *product, rs_err *err)
{
    product->resume = true;
    rs_status s = make_once(p, m, product, err);
    if (s == RS_OK || !product->useless) return s;
    ui_progress_warn(p->show, "what an interrupted run left is of no use: it begins again");
    product->resume = false;
    return make_once(p, m, product, err);
}

static rs_status make_from(const ui_preparation *p, ui_made_row *row, ui_inputs *in,
                           int64_t checkpoint, rs_err *err)
{
    rs_buf text = {0};
    const rs_make *m = row->made.make;
    ui_product *product = &in->product;
    rs_status s = ui_inputs_text(p, m, in, &text, err);
    if (s == RS_OK) s = fold_all(p, row->path, in, err);
    product->out = row->path;
    product->made_from = rs_buf_str(&text);
    product->force = rs_os_kind(row->path) != RS_PATH_NONE;
    product->checkpoint = checkpoint;
    if (s == RS_OK) s = make_resumed(p, m, product, err);
    row->resumed = product->resumed;
    unfold(in, row->path);
    rs_buf_free(&text);
    return s;
}

static rs_status make_row(ui_preparation *p, ui_made_row *row, int64_t checkpoint,
                          rs_err *err)
{
    char part[300];
    ui_inputs in;
    double began = ui_now();
    const char *word = rs_make_word(row->made.make->type), *name = row->made.name;
    snprintf(part, sizeof part, "%s %.200s", word, name);
    p->common->part = part;
    rs_status s = ui_inputs_find(p, row->made.make, false, &in, err);
    if (s == RS_OK) s = make_from(p, row, &in, checkpoint, err);
    ui_inputs_free(&in);
    p->common->part = NULL;
    row->seconds = ui_now() - began;
    if (s == RS_E_CANCELLED)
        return rs_fail(err, s, "cancelled at %s; preparing again goes on from what is kept",
                       part);
    return s == RS_OK ? s : rs_err_prefix(err, "%s \"%s\"", word, name);
}

/* --- all of them --- */

static bool follows_made(const ui_preparation *p, const ui_made_row *row)
{
    for (const ui_made_row *r = p->rows; r < row; r++)
        if (r->seconds >= 0 && rs_made_needs(p->recipe, &row->made, &r->made)) return true;
    return false;
}

static int name_width(const ui_preparation *p)
{
    size_t most = 0;
    for (int i = 0; i < p->n; i++) {
        size_t n = strlen(p->rows[i].made.name);
        if (n > most) most = n;
    }
    return most < 24 ? (int)most : 24;
}

static void row_text(const ui_made_row *row, int width, rs_buf *b)
{
    char name[256];
    const char *state = row->seconds >= 0 ? "made"
                        : row->state == UI_MADE_FOREIGN || row->state == UI_MADE_UNKNOWN
                            ? "kept"
                            : ui_made_state_name(row->state);
    snprintf(name, sizeof name, "%-*s", width, row->made.name);
    rs_buf_printf(b, "%-8s  ", rs_make_word(row->made.make->type));
    ui_put_clean(b, name);
    rs_buf_printf(b, "  %-7s  ", state);
    ui_put_clean(b, row->path);
    if (row->why[0]) rs_buf_puts(b, "  ");
    if (row->why[0]) ui_put_clean(b, row->why);
    if (row->state == UI_MADE_FOREIGN && !row->wanted)
        rs_buf_puts(b, " (--force replaces it)");
    if (row->seconds >= 0)
        rs_buf_printf(b, "  in %.1f s%s", row->seconds, row->resumed ? ", resumed" : "");
    rs_buf_putc(b, '\n');
}

static void say_row(const ui_preparation *p, const ui_made_row *row)
{
    rs_buf b = {0};
    if (p->common->json || p->common->quiet) return;
    if (p->show->on_line) fprintf(stderr, "\r\033[K");
    p->show->on_line = false;
    row_text(row, name_width(p), &b);
    ui_print(&b);
    rs_buf_free(&b);
}

static rs_status make_all(ui_preparation *p, const prepare_opts *o, rs_err *err)
{
    for (int i = 0; i < p->n; i++) {
        ui_made_row *row = &p->rows[i];
        if (!o->dry_run) clear_folds(row->path);
        if (!o->dry_run && follows_made(p, row)) RS_TRY(ui_prepare_look_again(p, row, err));
        if (!o->dry_run && row->wanted) RS_TRY(make_row(p, row, o->checkpoint, err));
        say_row(p, row);
    }
    return RS_OK;
}

static void put_json(const ui_preparation *p, rs_buf *b)
{
    rs_buf_puts(b, "{\"products\":[");
    for (int i = 0; i < p->n; i++) {
        const ui_made_row *row = &p->rows[i];
        rs_buf_printf(b, "%s{\"name\":", i ? "," : "");
        rs_buf_json(b, row->made.name, strlen(row->made.name));
        rs_buf_printf(b, ",\"kind\":\"%s\",\"path\":", rs_make_word(row->made.make->type));
        rs_buf_json(b, row->path, strlen(row->path));
        rs_buf_printf(b, ",\"state\":\"%s\",\"why\":", ui_made_state_name(row->state));
        rs_buf_json(b, row->why, strlen(row->why));
        rs_buf_printf(b, ",\"made\":%s", row->seconds >= 0 ? "true" : "false");
        if (row->seconds >= 0) rs_buf_printf(b, ",\"seconds\":%.3f", row->seconds);
        rs_buf_putc(b, '}');
    }
    rs_buf_puts(b, "]}");
}

static rs_status prepare(ui_preparation *p, const prepare_opts *o, const char *file,
                         rs_err *err)
{
    rs_made made[RS_MADE];
    p->file = file;
    RS_TRY(rs_recipe_load(file, &p->recipe, err));
    RS_TRY(rs_made_list(p->recipe, o->only, made, &p->n, err));
    p->rows = ui_alloc((size_t)p->n + 1, sizeof *p->rows);
    for (int i = 0; i < p->n; i++)
        p->rows[i].made = made[i];
    RS_TRY(ui_prepare_look(p, o->only, o->force, err));
    return make_all(p, o, err);
}

static void say_end(const ui_preparation *p, const rs_buf *json)
{
    rs_buf b = {0};
    if (p->common->json)
        rs_buf_printf(&b, "%s\n", rs_buf_str(json));
    else if (p->n == 0 && !p->common->quiet)
        rs_buf_puts(&b, "nothing in this recipe says how it is made (\"make\")\n");
    ui_print(&b);
    rs_buf_free(&b);
}

static int run(ui_common *c, void *options, int n_args, char **args)
{
    (void)n_args;
    const prepare_opts *o = options;
    if (o->checkpoint < 0) return ui_usage("prepare", "--checkpoint is not below 0");
    rs_err err;
    ui_progress show;
    rs_buf json = {0};
    ui_preparation p = {.common = c, .show = &show};
    ui_progress_begin(&show, c, "prepare");
    rs_status s = prepare(&p, o, args[0], &err);
    if (s == RS_OK) put_json(&p, &json);
    ui_progress_end(&show, s, &err, s == RS_OK ? rs_buf_str(&json) : NULL);
    if (s == RS_OK) say_end(&p, &json);
    rs_buf_free(&json);
    free(p.rows);
    rs_recipe_free(p.recipe);
    return s == RS_OK ? UI_EXIT_OK : ui_fail("prepare", &err);
}

const ui_verb ui_verb_prepare = {
    .name = "prepare",
    .usage = "RECIPE [--only NAME] [--dry-run] [--force]",
    .summary = "makes the Fisher, subspace and adapter files that a recipe describes",
    .details =
        "A measure or an adapter of a recipe may say how its file is made (\"make\"). What is "
        "missing, or would not be today what it is, is made, each after what it is made from; "
        "a line tells of each. What a file was made from stands in its metadata: options, and "
        "hashes of models, data and measures. A file that does not say so is kept, unless "
        "--force. A run that is stopped goes on where it was when it is started again.",
    .opts = opts,
    .opts_size = sizeof(prepare_opts),
    .defaults = defaults,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
