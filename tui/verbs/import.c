/* ringside import FILE.gguf DIR: a GGUF as a Hugging Face folder. */
#include "model/import.h"
#include "tui/verbs/verbs.h"

#include <inttypes.h>
#include <string.h>

typedef struct import_opts {
    const char *dtype;
    bool force;
} import_opts;

static const ui_opt opts[] = {
    {"--dtype", UI_OPT_STRING, "TYPE", "bf16 (default) or f32",
     offsetof(import_opts, dtype)},
    {"--force", UI_OPT_FLAG, NULL, "replace an existing folder",
     offsetof(import_opts, force)},
    {NULL, UI_OPT_FLAG, NULL, NULL, 0},
};

static void result_json(const rs_import_options *o, const rs_import_result *r,
                        double seconds, rs_buf *b)
{
    rs_buf_puts(b, "{\"out\":");
    rs_buf_json(b, o->out, strlen(o->out));
    rs_buf_printf(b,
                  ",\"dtype\":\"%s\",\"bytes\":%" PRIu64
                  ",\"tensors\":%d,\"left_out\":%d,\"hash\":\"%s\",\"seconds\":%.3f}",
                  rs_dtype_name(o->dtype), r->bytes, r->n_tensors, r->n_left_out, r->hash,
                  seconds);
}

static void report(const ui_common *c, const rs_import_options *o,
                   const rs_import_result *r, double seconds)
{
    rs_buf b = {0};
    if (c->json) {
        result_json(o, r, seconds, &b);
        rs_buf_putc(&b, '\n');
    } else if (!c->quiet) {
        rs_buf_printf(&b, "%s: %d tensors as %s, %.1f MB in %.1f s\n", o->out,
                      r->n_tensors, rs_dtype_name(o->dtype), (double)r->bytes / 1e6,
                      seconds);
        if (r->n_left_out)
            rs_buf_printf(&b, "%d left out: computed from the config\n", r->n_left_out);
        rs_buf_printf(&b, "hash %s\n", r->hash);
    }
    ui_print(&b);
    rs_buf_free(&b);
}

static rs_status import(ui_common *c, const char *path, const rs_import_options *o,
                        rs_import_result *r, rs_err *err)
{
    rs_checkpoint *file;
    RS_TRY(rs_checkpoint_open(path, &file, err));
    rs_status s = rs_import(&c->rt, file, o, r, err);
    rs_checkpoint_close(file);
    return s;
}

static int run(ui_common *c, void *options, int n_args, char **args)
{
    (void)n_args;
    const import_opts *o = options;
    ui_progress show;
    rs_err err;
    rs_import_result result = {0};
    rs_import_options i = {.out = args[1],
                           .dtype = RS_DTYPE_BF16,
                           .force = o->force,
                           .progress = ui_progress_step,
                           .progress_ctx = &show};
    if (o->dtype && !(rs_dtype_from_name(o->dtype, &i.dtype) &&
                      (i.dtype == RS_DTYPE_BF16 || i.dtype == RS_DTYPE_F32)))
        return ui_usage("import", "--dtype is bf16 or f32, not \"%s\"", o->dtype);
    ui_progress_begin(&show, c, "import");
    rs_status s = import(c, args[0], &i, &result, &err);
    double seconds = ui_now() - show.started;
    rs_buf json = {0};
    if (s == RS_OK) result_json(&i, &result, seconds, &json);
    ui_progress_end(&show, s, &err, s == RS_OK ? rs_buf_str(&json) : NULL);
    rs_buf_free(&json);
    if (s != RS_OK) return ui_fail("import", &err);
    report(c, &i, &result, seconds);
    return UI_EXIT_OK;
}

const ui_verb ui_verb_import = {
    .name = "import",
    .usage = "FILE.gguf DIR [--dtype TYPE] [--force]",
    .summary = "writes a GGUF as a Hugging Face folder",
    .details =
        "The tensors are dequantised and stored under their Hugging Face names, as "
        "bfloat16 or float32; config, generation settings and tokenizer are made from "
        "the "
        "keys of the file. Training needs such a folder, merging and running do not: "
        "they "
        "read the GGUF itself.",
    .opts = opts,
    .opts_size = sizeof(import_opts),
    .min_args = 2,
    .max_args = 2,
    .run = run,
};
