/* ringside export MODEL FILE.gguf: a folder, or the result of a recipe, as one GGUF. */
#include "base/os.h"
#include "merge/export_merge.h"
#include "store/content_hash.h"
#include "tui/verbs/recipe_arg.h"
#include "tui/verbs/verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct export_opts {
    const char *type, *name;
    bool force;
} export_opts;

static const ui_opt opts[] = {
    {"--type", UI_OPT_STRING, "TYPE", "bf16 (default), f16, f32, q8_0 or q4_0",
     offsetof(export_opts, type)},
    {"--name", UI_OPT_STRING, "NAME", "the model's name in the file (general.name)",
     offsetof(export_opts, name)},
    {"--force", UI_OPT_FLAG, NULL, "replace an existing GGUF",
     offsetof(export_opts, force)},
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};

static void result_json(const rs_export_options *o, const rs_export_result *r,
                        const char *hash, double seconds, rs_buf *b)
{
    rs_buf_puts(b, "{\"out\":");
    rs_buf_json(b, o->out, strlen(o->out));
    rs_buf_printf(b,
                  ",\"type\":\"%s\",\"bytes\":%" PRIu64
                  ",\"tensors\":%d,\"left_out\":%d,\"hash\":\"%s\",\"seconds\":%.3f}",
                  rs_dtype_name(o->dtype), r->bytes, r->n_tensors, r->n_left_out, hash,
                  seconds);
}

static void report(const ui_common *c, const rs_export_options *o,
                   const rs_export_result *r, const char *hash, double seconds)
{
    rs_buf b = {0};
    if (c->json) {
        result_json(o, r, hash, seconds, &b);
        rs_buf_putc(&b, '\n');
    } else if (!c->quiet) {
        rs_buf_printf(&b, "%s: %d tensors as %s, %.1f MB in %.1f s\nhash %s\n",
                      o->out, r->n_tensors, rs_dtype_name(o->dtype),
                      (double)r->bytes / 1e6, seconds, hash);
        if (r->n_left_out)
            rs_buf_printf(&b, "%d left out: the text model does not use them\n",
                          r->n_left_out);
    }
    ui_print(&b);
    rs_buf_free(&b);
}

static void note(void *show, const char *text)
{
    ui_progress_warn(show, text);
}

/* The last part of a path, without slashes at its end; of "." the folder's own name. */
static void name_of_path(const char *path, char name[256])
{
    const char *end = rs_path_basename(path);
    char *whole = end[0] == 0 || end[0] == '.' ? realpath(path, NULL) : NULL;
    if (whole) path = whole;
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    size_t from = n;
    while (from > 0 && path[from - 1] != '/')
        from--;
    snprintf(name, 256, "%.*s", (int)(n - from), path + from);
    free(whole);
}

static rs_status from_recipe(ui_common *c, const char *what, rs_export_options *o,
                             ui_progress *show, rs_export_result *r, rs_err *err)
{
    ui_recipe recipe;
    rs_status s = ui_recipe_open(c, what, &recipe, err);
    for (int i = 0; s == RS_OK && i < rs_plan_n_warnings(recipe.plan); i++)
        ui_progress_warn(show, rs_plan_warning(recipe.plan, i));
    if (s == RS_OK && !o->name) o->name = rs_plan_recipe(recipe.plan)->name;
    if (s == RS_OK) s = rs_export_merge(&c->rt, recipe.plan, o, r, err);
    ui_recipe_close(&recipe);
    return s;
}

static rs_status from_files(ui_common *c, const char *what, rs_export_options *o,
                            rs_export_result *r, rs_err *err)
{
    char path[4096], name[256];
    rs_checkpoint *file;
    rs_config *config = NULL;
    RS_TRY(ui_resolve(NULL, what, path, err));
    RS_TRY(rs_checkpoint_open(path, &file, err));
    name_of_path(what, name);
    if (!o->name) o->name = rs_checkpoint_metadata(file, "general.name");
    if (!o->name) o->name = name;
    rs_status s = rs_config_load(file, &config, err);
    if (s == RS_OK) s = rs_export(&c->rt, file, config, o, r, err);
    o->name = NULL;
    rs_config_free(config);
    rs_checkpoint_close(file);
    return s;
}

/* Of all tensors that were written, read back from the file. */
static rs_status hash_of(const ui_common *c, const char *path, char hex[33], rs_err *err)
{
    rs_checkpoint *file;
    RS_TRY(rs_checkpoint_open(path, &file, err));
    rs_status s = rs_checkpoint_content_hash(&c->rt, file, NULL, NULL, hex, err);
    rs_checkpoint_close(file);
    return s;
}

static int run(ui_common *c, void *options, int n_args, char **args)
{
    (void)n_args;
    const export_opts *o = options;
    ui_progress show;
    rs_err err;
    rs_export_result result = {0};
    rs_export_options e = {.out = args[1],
                           .dtype = RS_DTYPE_BF16,
                           .force = o->force,
                           .name = o->name,
                           .progress = ui_progress_step,
                           .progress_ctx = &show,
                           .note = note,
                           .note_ctx = &show};
    size_t n = strlen(args[1]);
    if (n < 6 || strcmp(args[1] + n - 5, ".gguf") != 0)
        return ui_usage("export", "%s does not end in .gguf, by which a GGUF is known",
                        args[1]);
    if (o->type && !(rs_dtype_from_name(o->type, &e.dtype) && rs_export_takes(e.dtype)))
        return ui_usage("export", "--type is bf16, f16, f32, q8_0 or q4_0, not \"%s\"",
                        o->type);
    ui_progress_begin(&show, c, "export");
    rs_status s = ui_names_recipe(args[0])
                      ? from_recipe(c, args[0], &e, &show, &result, &err)
                      : from_files(c, args[0], &e, &result, &err);
    char hash[33] = "";
    if (s == RS_OK) s = hash_of(c, e.out, hash, &err);
    double seconds = ui_now() - show.started;
    rs_buf json = {0};
    if (s == RS_OK) result_json(&e, &result, hash, seconds, &json);
    ui_progress_end(&show, s, &err, s == RS_OK ? rs_buf_str(&json) : NULL);
    rs_buf_free(&json);
    if (s != RS_OK) return ui_fail("export", &err);
    report(c, &e, &result, hash, seconds);
    return UI_EXIT_OK;
}

const ui_verb ui_verb_export = {
    .name = "export",
    .usage = "MODEL FILE.gguf [--type TYPE] [--name NAME] [--force]",
    .summary = "writes a model or a merge as one GGUF, for llama.cpp",
    .details =
        "MODEL is a Hugging Face folder, a GGUF, or RECIPE.json, also with :STAGE: then "
        "the merge goes straight into the file. Tokenizer, chat template and all keys "
        "that llama.cpp reads go along. Vectors are f32; under q8_0 and q4_0 rows that "
        "are no multiple of 32 stay 16 bits wide (told as a warning), and under q4_0 the "
        "matrix that makes the logits is q8_0. The file appears under its name when it "
        "is whole. The same model gives the same bytes whatever --threads is.",
    .opts = opts,
    .opts_size = sizeof(export_opts),
    .min_args = 2,
    .max_args = 2,
    .run = run,
};
